"""Exercises of 03: votes, distances without a loop, the best k by leave-one-out."""

import numpy as np
from scipy.spatial.distance import cdist

from helpers.exercises import Exercise, not_nan, rows_sum_to_1

vote = Exercise(
    "03-1",
    points=1,
    lesson="With 5 neighbours a share is a multiple of 1/5: that is all k-NN can say.",
    hint=(
        "For one image: how often does each of the labels 0 to 9 stand in its row?",
        "np.bincount counts the labels of a row. Then make the counts sum to 1.",
        "np.bincount(row, minlength=10) for each row, divided by neighbour_labels.shape[1]",
    ),
)
vote.case("the text's example", np.array([[2, 2, 5, 2]]))
vote.case("3 images, 5 neighbours", np.array([[3, 3, 8, 3, 5], [8, 8, 0, 8, 8], [1, 7, 1, 8, 7]]))
vote.case("6 images, 7 neighbours", np.random.default_rng(0).integers(0, 10, (6, 7)), hidden=True)
_has_ten_columns = vote.rule(
    "A class without a vote lost its column: use minlength=10 for all ten."
)(lambda shares: shares.shape[1] == 10)
_sum_to_1 = vote.rule("Each row must sum to 1: divide by neighbour_labels.shape[1].")(rows_sum_to_1)


@vote.right
@vote.mistake(_has_ten_columns, classes=9)
@vote.mistake(_sum_to_1, average=np.sum)
@vote.mistake(_sum_to_1, average=lambda votes, axis: votes.sum(axis=axis) / 5)
def _class_by_class(labels, classes=10, average=np.mean):
    return np.stack([average(labels == c, axis=1) for c in range(classes)], axis=1)


@vote.mistake("That is the winner of each vote: return the share of every class.")
def _winners(labels):
    return _class_by_class(labels).argmax(axis=1)


lengths = Exercise(
    "03-2",
    points=3,
    lesson="All the products a·b together are one matrix product: that is why k-NN is fast enough.",
    hint=(
        "Which of the three terms is a matrix product? The other two are a column and a row.",
        "(a**2).sum(axis=1) has shape (n,); with [:, None] behind it, it is a column.",
        "column + row - 2 * a @ b.T; then floor it at 0, then the root",
    ),
    # with the floor, the distance of an image to itself comes out as up to 0.03
    tolerance=5e-3,
)
# float32 rounding makes a² + b² - 2ab of an image and itself a little less than 0, for some of them
IMAGES = np.random.default_rng(0).random((100, 784), dtype=np.float32)
lengths.case("the text's example", np.zeros((1, 2)), np.array([[3.0, 4.0], [0.0, 1.0]]))
lengths.case(
    "2 queries, 3 images", *np.array([[[3.0, 4], [6, 8], [1, 0]], [[0, 0], [3, 4], [1, 1]]])[:, :2]
)
lengths.case("100 images and themselves", IMAGES, IMAGES)
lengths.case("7 queries, 5 images", IMAGES[:7, :9] * 4 - 2, IMAGES[10:15, :9] * 6, hidden=True)


_not_nan = lengths.rule("Rounding makes a square negative, its root NaN: floor at 0.")(not_nan)


@lengths.right
@lengths.forbids("NumPy only: write the three terms yourself.", "cdist", "scipy", "sklearn", "tf")
@lengths.mistake("These are squared: the order is right, not the unit.", metric="sqeuclidean")
@lengths.mistake("These are sums of |a - b|: square, sum, take the root.", metric="cityblock")
def _by_cdist(a, b, metric="euclidean"):
    return cdist(a, b, metric)


@lengths.mistake("Row i must belong to query i: rows and columns are exchanged.")
def _exchanged(a, b):
    return cdist(b, a)


@lengths.forbids("Without a loop: the three terms are arrays.", "for", "while", "map", "vectorize")
def _in_a_loop(a, b):
    return [np.sqrt(((row - b) ** 2).sum(axis=1)) for row in a]


@lengths.mistake(_not_nan, sign=1)
@lengths.mistake("An image has distance 0 to itself: look at the sign of 2ab.", sign=-1)
def _from_terms(a, b, sign):
    return np.sqrt((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - sign * 2 * a @ b.T)


best = Exercise(
    "03-3",
    points=3,
    lesson="A point that votes for itself tells nothing; leave it out and a larger k wins.",
    hint=(
        "Who is the nearest neighbour of a training image among the training images?",
        "Ask for one neighbour more than the largest k, drop the first column; the first k vote.",
        "labels[search.kneighbors(images, return_distance=False)[:, 1:]], then row[:k] votes",
    ),
)


def _clouds(seed, n=60):
    """Two overlapping clouds of points, labelled 3 and 8."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([3, 8], n // 2))
    return np.where(labels == 3, -0.5, 0.5)[:, None] + rng.normal(0, 1, (n, 2)), labels


# these clouds were looked for: the right answer and every mistake differ, and ties change nothing
best.case("60 points", *_clouds(227), (1, 3, 5, 9, 15))
best.case("60 other points", *_clouds(216), (1, 3, 5, 9, 15))
best.case("40 points, the ks not in order", *_clouds(2347, 40), [7, 1, 11, 3])
best.case("80 points", *_clouds(174, 80), [5, 13, 1], hidden=True)


@best.right
@best.mistake("Every image is its own nearest neighbour: leave it out.", first=0)
@best.mistake("With k + 1 neighbours the image still votes: drop the first one.", first=0, extra=1)
@best.mistake("That is its place in the list: return k itself.", answer=lambda s, k: np.argmax(s))
@best.mistake("That is an accuracy: return the k that reaches it.", answer=lambda s, k: max(s))
def _leave_one_out(images, labels, ks, first=1, extra=0, answer=lambda s, k: k[np.argmax(s)]):
    distances = cdist(images, images)
    np.fill_diagonal(distances, -1)  # each point itself comes first, whatever the rounding
    order = labels[distances.argsort(axis=1)]
    return answer([_accuracy(order[:, first : first + k + extra], labels) for k in ks], ks)


def _accuracy(votes, labels):
    return np.mean([np.bincount(row).argmax() for row in votes] == labels)


# --- figures

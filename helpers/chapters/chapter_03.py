"""Exercises of 03: votes, distances without a loop, the best k by leave-one-out."""

import numpy as np
from scipy.spatial.distance import cdist

from helpers.exercises import Exercise, Mistake

NEIGHBOUR_LABELS = np.array([[3, 3, 8, 3, 5], [8, 8, 0, 8, 8], [1, 7, 1, 8, 7]])


def _votes(labels, divisor, classes=10):
    labels = np.asarray(labels)
    return (labels[:, :, None] == np.arange(classes)).sum(axis=1) / divisor


def _parts(a, b):
    return (a**2).sum(axis=1)[:, None], (b**2).sum(axis=1), a @ b.T


def _from_parts(sign):
    def wrong(a, b):
        a2, b2, ab = _parts(a, b)
        return np.sqrt(a2 + b2 + sign * 2 * ab)

    return wrong


# float32 rounding makes a² + b² - 2ab of an image and itself a little less than 0, for some of them
IMAGES = np.random.default_rng(0).random((100, 784), dtype=np.float32)
POINTS = np.array([[0.0, 0.0], [3.0, 4.0], [1.0, 1.0]])
QUERIES = np.array([[3.0, 4.0], [6.0, 8.0]])


def _clouds(seed):
    """Two overlapping clouds of 60 points, labelled 3 and 8."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([3, 8], 30))
    return np.where(labels == 3, -0.5, 0.5)[:, None] + rng.normal(0, 1, (60, 2)), labels


def _scores(images, labels, ks, first, extra, majority=np.argmax):
    """Accuracy of each k; `first` is the first neighbour used, `extra` how many more than k."""
    distances = cdist(images, images)
    np.fill_diagonal(distances, -1)  # each point itself comes first, whatever the rounding
    order = distances.argsort(axis=1)
    scores = []
    for k in ks:
        votes = _votes(labels[order[:, first : first + k + extra]], 1)
        scores.append(np.mean([majority(row) for row in votes] == labels))
    return np.array(scores)


def _last_majority(row):
    return 9 - row[::-1].argmax()


def _chooser(first, extra, majority=np.argmax):
    return lambda images, labels, ks: ks[
        int(_scores(images, labels, ks, first, extra, majority).argmax())
    ]


# these clouds were looked for: the right answer, every mistake and every way to break a tie differ
KS = (1, 3, 5, 9, 15)

EXERCISES = (
    Exercise(
        name="03-1",
        right=lambda labels: _votes(labels, np.asarray(labels).shape[1]),
        cases={"3 images, 5 neighbours each": (NEIGHBOUR_LABELS,)},
        mistakes=(
            Mistake(
                "That is the winner of each vote: return the share of every class.",
                (lambda labels: _votes(labels, 5).argmax(axis=1),),
            ),
            Mistake(
                "Class 9 gets no vote here, and its column is missing: make room for all ten "
                "classes (minlength=10).",
                (lambda labels: _votes(labels, 5, 9), lambda labels: _votes(labels, 1, 9)),
            ),
            Mistake(
                "Divide by the number of neighbours in a row, here 5.",
                (lambda labels: _votes(labels, 3), lambda labels: _votes(labels, 10)),
            ),
            Mistake(
                "These are counts: divide by the number of neighbours.",
                (lambda labels: _votes(labels, 1),),
            ),
        ),
        lesson="With 5 neighbours a share is a multiple of 1/5: that is all k-NN can say.",
        hint="For one image: how often does each of the labels 0 to 9 stand in its row? Then make "
        "the counts sum to 1.",
    ),
    Exercise(
        name="03-2",
        right=cdist,
        cases={
            "2 queries, 3 images": (QUERIES, POINTS),
            "100 images and themselves": (IMAGES, IMAGES),
        },
        mistakes=(
            Mistake(
                "The distance of an image to itself must be 0: look at the sign of 2ab.",
                (_from_parts(+1), lambda a, b: _from_parts(+1)(a, b) ** 2),
            ),
            Mistake(
                "These are squared distances: the order is right, the unit is wrong.",
                (lambda a, b: cdist(a, b) ** 2,),
            ),
            Mistake(
                "Rounding makes some squared distances a little negative, and their root is NaN: "
                "floor them at 0 first.",
                (_from_parts(-1),),
                when=lambda distances: np.isnan(distances).any(),
            ),
            Mistake(
                "Row i must belong to query i: rows and columns are exchanged.",
                (lambda a, b: cdist(b, a),),
            ),
            Mistake(
                "That is the sum of the absolute differences: square them, sum, take the root.",
                (lambda a, b: cdist(a, b, "cityblock"),),
            ),
        ),
        lesson="One matrix product does all distances at once: that is why k-NN is fast enough.",
        hint="‖a - b‖² = ‖a‖² + ‖b‖² - 2 a·b. One of the three terms is a matrix product; the "
        "other two are a column and a row.",
        # with the floor, the distance of an image to itself comes out as up to 0.03
        tolerance=5e-3,
    ),
    Exercise(
        name="03-3",
        right=_chooser(1, 0),
        cases={"60 points": (*_clouds(227), KS), "60 other points": (*_clouds(216), KS)},
        mistakes=(
            Mistake(
                "Every image is its own nearest neighbour, so k = 1 looks perfect: leave the image "
                "out.",
                (_chooser(0, 0), _chooser(0, 0, _last_majority)),
            ),
            Mistake(
                "With k + 1 neighbours the image still votes for itself: drop the first one.",
                (_chooser(0, 1), _chooser(0, 1, _last_majority)),
            ),
            Mistake(
                "That is the place of the best k in the list: return k itself.",
                (lambda *a: int(_scores(*a, 1, 0).argmax()),),
            ),
            Mistake(
                "That is an accuracy: return the k that reaches it.",
                (lambda *a: _scores(*a, 1, 0).max(),),
            ),
        ),
        lesson="A point that votes for itself tells nothing; leave it out and a larger k wins.",
        hint="Ask for one neighbour more than you need. Who is the nearest neighbour of a training "
        "image among the training images?",
    ),
)

"""Answers of 03: votes, distances without a loop, the best k."""

import numpy as np
from scipy.spatial.distance import cdist

from helpers.chapters.chapter_03 import (
    _accuracy,
    best,
    has_ten_columns,
    lengths,
    no_hidden_loop,
    no_loop,
    no_nan,
    no_test_images,
    numpy_only,
    sum_to_1,
    vote,
)


@vote.right
@vote.mistake(has_ten_columns, classes=9)
@vote.mistake(sum_to_1, average=np.sum)
@vote.mistake(sum_to_1, average=lambda votes, axis: votes.sum(axis=axis) / 5)
def _class_by_class(labels, classes=10, average=np.mean):
    return np.stack([average(labels == c, axis=1) for c in range(classes)], axis=1)


@vote.mistake("That averages over the images: count along axis=1, one row for each image.")
def _down_the_columns(labels):
    return np.stack([np.mean(labels == c, axis=0) for c in range(10)], axis=1)


@vote.mistake("That is the winner of each vote: return the share of every class.")
def _winners(labels):
    return _class_by_class(labels).argmax(axis=1)


@lengths.right
@lengths.mistake(numpy_only)
@lengths.mistake("These are squared: the order is right, not the unit.", metric="sqeuclidean")
@lengths.mistake("These are sums of |a - b|: square, sum, take the root.", metric="cityblock")
def _by_cdist(a, b, metric="euclidean"):
    return cdist(a, b, metric)


@lengths.mistake("Row i must belong to query i: rows and columns are exchanged.")
def _exchanged(a, b):
    return cdist(b, a)


@lengths.mistake(no_loop)
def _in_a_loop(a, b):
    return [np.sqrt(((row - b) ** 2).sum(axis=1)) for row in a]


@lengths.mistake(no_hidden_loop)
def _in_a_hidden_loop(a, b):
    return np.apply_along_axis(lambda row: np.sqrt(((row - b) ** 2).sum(axis=1)), 1, a)


@lengths.mistake("That is one number for all: each row of a meets each row of b.")
def _norm_of_a_minus_b(a, b):
    return np.linalg.norm(a - b)


@lengths.mistake("The products of all rows are a @ b.T: turn b, so that rows meet rows.")
def _product_without_t(a, b):
    return np.sqrt(np.maximum((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b, 0))


@lengths.mistake(no_nan, sign=1)
@lengths.mistake("An image has distance 0 to itself: look at the sign and the 2 of 2ab.", sign=-1)
@lengths.mistake("An image has distance 0 to itself: look at the sign and the 2 of 2ab.", sign=0.5)
def _from_terms(a, b, sign):
    return np.sqrt((a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - sign * 2 * a @ b.T)


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


@best.mistake(no_test_images)
def _with_test_images(images, labels, ks):
    return _leave_one_out(images if len(images) else x_test, labels, ks)  # noqa: F821

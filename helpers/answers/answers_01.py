"""Answers of 01: parameters, softmax, sure mistakes, a confusion matrix."""

import numpy as np
from scipy import special
from sklearn import metrics

from helpers.chapters.chapter_01 import (
    LOST,
    SHARES,
    are_mistaken,
    are_whole,
    count,
    counts_all,
    has_n_places,
    has_ten_classes,
    is_small,
    numpy_only,
    pick,
    soft,
    sums_to_1,
    table,
)


@count.right
def _weights_and_biases(k, c, f):
    return np.ones((k, k, c, f)).size + f


MANY_BIASES = "A filter has one bias, however many channels it reads."


@count.mistake("Each filter has one bias: add it.", biases=lambda c, f: 0)
@count.mistake("One bias for the layer is too few: each filter has its own.", biases=lambda c, f: 1)
@count.mistake(MANY_BIASES, biases=lambda c, f: c * f)
@count.mistake("Right for one channel only: a filter of the second layer reads all 32.", reads=1)
@count.mistake("A kernel of 3 covers 3 × 3 = 9 pixels, not 3.", power=1)
@count.mistake(is_small, places=729)
def _parameters(k, c, f, biases=lambda c, f: f, reads=None, power=2, places=1):
    return (k**power * (reads or c) * f + biases(c, f)) * places


@soft.right
@soft.mistake(numpy_only)
def _by_scipy(z):
    return special.softmax(z, axis=1)


NOT_LARGEST = "The others may lie far above the number that you subtract: take the row's largest."


@soft.mistake("exp(1000) is infinite: first subtract the row's largest logit.", largest=lambda z: 0)
@soft.mistake(NOT_LARGEST, largest=lambda z: z.mean(axis=1, keepdims=True))
@soft.mistake(NOT_LARGEST, largest=lambda z: z.min(axis=1, keepdims=True))
@soft.mistake(NOT_LARGEST, largest=lambda z: z[:, :1])
@soft.mistake("One maximum for all: 0/0 in the first row. Each row needs its own.", largest=np.max)
@soft.mistake("The largest of each image is meant: axis=1.", largest=lambda z: z.max(axis=0))
@soft.mistake("Shapes (n, 10) and (n,) do not fit: use keepdims=True for (n, 1).", keepdims=False)
@soft.mistake(sums_to_1, axis=0)
def _softmax(z, largest=lambda z: z.max(axis=1, keepdims=True), axis=1, keepdims=True):
    powers = np.exp(z - largest(z))
    return powers / powers.sum(axis=axis, keepdims=keepdims)


def _mistaken(p, y):
    return [i for i in range(len(y)) if p[i].argmax() != y[i]]


TURNED = "The right images, with the most confident one last: turn the list round."
TRUE_CLASS = "You sort by p of the true class: confidence is p of the class that was predicted."


@pick.right
@pick.mistake(has_n_places, keep=lambda places, n: places)
@pick.mistake(are_mistaken, among=lambda p, y: range(len(y)))
@pick.mistake("These are the least confident mistakes: the order must go down.", least=True)
@pick.mistake(TURNED, keep=lambda places, n: places[n - 1 :: -1])
@pick.mistake(TRUE_CLASS, key=lambda p, true: -p[true])
@pick.mistake(
    "Confidence is the largest p alone: subtract nothing.", key=lambda p, y: p.max() - p[y]
)
def _surest(
    p, y, n, among=_mistaken, key=lambda p, true: p.max(), least=False, keep=lambda a, n: a[:n]
):
    return keep(sorted(among(p, y), key=lambda i: key(p[i], y[i]), reverse=not least), n)


@pick.mistake("These are places in the list of mistakes: turn them into places in the test set.")
def _places_in_subset(p, y, n):
    return np.argsort(-p[_mistaken(p, y)].max(axis=1))[:n]


@table.right
@table.mistake(has_ten_classes, classes=None)
@table.mistake(are_whole, normalize="all")
@table.mistake(SHARES, normalize="pred")
@table.mistake(counts_all, drop=1)
@table.mistake("A pair that occurs twice was counted once: m[y, predicted] += 1 does so.", most=1)
def _by_scikit_learn(y, predicted, classes=range(10), normalize=None, most=np.inf, drop=0):
    y, predicted = y[drop:], predicted[drop:]
    matrix = metrics.confusion_matrix(y, predicted, labels=classes, normalize=normalize)
    return np.minimum(matrix, most) if most < np.inf else matrix


@table.mistake("Rows must be the true class: you have true and predicted exchanged.")
def _transposed(y, predicted):
    return _by_scikit_learn(predicted, y)


@table.mistake(LOST)
def _too_small(y, predicted):
    return np.zeros((y.max() + 1, y.max() + 1))[y, predicted]

"""Answers of 10: three errors, the prices around, the conformal margin."""

import numpy as np

from helpers.chapters.chapter_10 import are_three, around, errors, margin, one_each

COLUMN = "predicted has shape (n, 1): y - predicted is a table of n x n. Make it flat first."


@errors.right
@errors.mistake("RMSE is the root of MSE: the second number is not yet one.", root=lambda v: v)
@errors.mistake("The signs cancel in the mean: MAE takes the size of each miss.", size=lambda v: v)
@errors.mistake("MAE takes the mean of the sizes, not their sum or the largest.", of_size=np.sum)
@errors.mistake("MAE takes the mean of the sizes, not their sum or the largest.", of_size=np.max)
@errors.mistake("MAE takes the mean of the sizes: that is their median.", of_size=np.median)
@errors.mistake("MSE is the mean of the squares: divide by n.", of_square=np.sum)
@errors.mistake(
    "Divide by n, not by n - 1: no mean was estimated.", of_square=lambda v: v.sum() / (v.size - 1)
)
@errors.mistake(COLUMN, flat=lambda v: v)
@errors.mistake("Compare the prices, not their ratios: subtract.", compare=np.divide)
def _errors(
    y,
    predicted,
    root=np.sqrt,
    size=np.abs,
    of_size=np.mean,
    of_square=np.mean,
    flat=np.ravel,
    compare=np.subtract,
):
    misses = compare(y, flat(predicted))
    mse = of_square(misses**2)
    return np.array([mse, root(mse), of_size(size(misses))])


@errors.mistake(are_three)
def _one_error(y, predicted):
    return np.sqrt(np.mean((y - np.ravel(predicted)) ** 2))


OWN = "The district's own price takes part: its distance to itself is 0, so leave it out."
FIRST = (
    "Two districts at one place: the first of the row is not always the district itself. Take "
    "out its own number, not the first column."
)


@around.right
@around.mistake(OWN, cover=0.0)
@around.mistake("Take the mean of the k prices, not their sum.", combine=np.sum)
@around.mistake("Take the mean of the k prices: that is their median.", combine=np.median)
@around.mistake("These are the farthest: sort upwards, and take the first k.", sign=-1)
@around.mistake("That is one neighbour too many: take k.", more=1)
@around.mistake("You take the mean of the distances: the prices of these districts.", prices=False)
def _around(distances, y, k, cover=np.inf, combine=np.mean, sign=1, more=0, prices=True):
    result = []
    for own, row in enumerate(distances):
        row = sign * row.copy()
        row[own] += cover
        near = np.argsort(row, kind="stable")[: k + more]
        result.append(combine(y[near] if prices else distances[own][near]))
    return np.array(result)


@around.mistake(FIRST)
def _drop_the_first(distances, y, k):
    return y[np.argsort(distances, axis=1, kind="stable")[:, 1 : k + 1]].mean(axis=1)


@around.mistake(one_each)
def _of_all(distances, y, k):
    return _around(distances, y, k).mean()


FEW = "With 4 scores no margin is sure to hold 90 %: where the place is above n, return np.inf."
BETWEEN = "np.quantile reads between two scores, and too low: take the score at the place itself."


@margin.right
@margin.mistake("Of (n + 1): the new district counts too.", extra=0)
@margin.mistake("Round up: a place that is too low holds too few.", rounded=np.floor)
@margin.mistake("Python counts from 0: the first place is number 0.", first=0)
@margin.mistake(FEW, few=np.max)
@margin.mistake("The scores are not sorted yet.", order=np.asarray)
@margin.mistake(
    "The scores have their signs: a district well inside has a negative one.", of=np.abs
)
@margin.mistake("share is what the intervals must hold, not what they may miss.", missed=True)
def _score_at(
    scores,
    share,
    extra=1,
    rounded=np.ceil,
    first=1,
    few=lambda scores: np.inf,
    order=np.sort,
    of=np.asarray,
    missed=False,
):
    share = 1 - share if missed else share
    # 10 * 0.9 is 9.000000000000002 in some orders of computing
    rank = int(rounded(round((len(scores) + extra) * share, 9)))
    return order(of(scores))[rank - first] if rank - first < len(scores) else few(scores)


@margin.mistake(BETWEEN)
def _between(scores, share):
    return np.quantile(scores, share)

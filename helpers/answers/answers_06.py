"""Answers of 06: the direction, whom to follow, the soft loss."""

import numpy as np
from scipy import special

from helpers.chapters.chapter_06 import SIGN, finds_some, follow, is_finite, is_positive, loss, push


def _signs(labels, target):
    return np.where(labels == target, 1, -1)


MEAN = "Take the mean over the neighbours that come in: twice as many must not double the step."
AXIS = "One number a pixel: [:, None] makes the signs a column, and the mean is over axis=0."


@push.right
@push.mistake("This moves away from the target's class: the sign is turned.", own=-1.0, other=1.0)
@push.mistake("This moves towards every neighbour: those of a wrong class must push.", other=1.0)
@push.mistake("This follows the right class only: those of a wrong class must push.", other=0.0)
@push.mistake("This pushes only: those of the target's class must draw x to them.", own=0.0)
@push.mistake(MEAN, of_all=np.sum)
@push.mistake(MEAN, of_all=lambda rows, axis: np.sum(rows, axis) / 10)
@push.mistake(MEAN, of_all=lambda rows, axis: np.sum(rows, axis) / max(1, len(rows) - 1))
@push.mistake(AXIS, of_all=lambda rows, axis: np.mean(rows))
@push.mistake(AXIS, of_all=lambda rows, axis: np.mean(rows, axis=1))
def _one_by_one(x, neighbours, labels, target, own=1.0, other=-1.0, of_all=np.mean):
    pairs = zip(neighbours, labels, strict=True)
    return of_all([(own if c == target else other) * (x - X) for X, c in pairs], axis=0)


@push.mistake("You averaged right and wrong neighbours apart: take one mean over all k.")
def _two_means(x, neighbours, labels, target):
    away = x - neighbours
    return away[labels == target].mean(axis=0) - away[labels != target].mean(axis=0)


@push.mistake(AXIS)
def _signs_in_a_row(x, neighbours, labels, target):
    return (_signs(labels, target) * (x - neighbours)).mean(axis=0)


@push.mistake("By its whole distance: keep the length of x - X, and of their mean.")
def _unit_vectors(x, neighbours, labels, target):
    away = x - neighbours
    away = away / np.linalg.norm(away, axis=1, keepdims=True)
    return (_signs(labels, target)[:, None] * away).mean(axis=0)


@push.mistake("By its whole distance: keep the length of x - X, and of their mean.")
def _unit_mean(x, neighbours, labels, target):
    mean = _one_by_one(x, neighbours, labels, target)
    return mean / np.linalg.norm(mean)


SUBSET = "These are places in a part of the images: places in the whole training set are asked for."
FIRST = "These are the first of that class in the training set, not the nearest ones."
HOW_MANY = "Where none of the k nearest fits, follow k images of the class: not one, and not all."
PLACES = "Return places, whole numbers from 0 to n - 1: no labels, no distances, no True and False."
SOME_FIT = "Some of the k nearest fit: follow those. Others are needed only if there is none."


@follow.mistake(SOME_FIT)
def _nearest_of_class(distances, labels, target, k):
    return sorted(np.flatnonzero(labels == target), key=lambda i: distances[i])[:k]


@follow.right
@follow.mistake(finds_some, fallback=lambda *a: [])
@follow.mistake(SUBSET, fallback=lambda d, labels, t, k: np.argsort(d[labels == t])[:k])
@follow.mistake(FIRST, fallback=lambda d, labels, t, k: np.flatnonzero(labels == t)[:k])
@follow.mistake("These are all the neighbours: keep those of the target class.", keep_all=True)
@follow.mistake(SOME_FIT, least=2)
@follow.mistake(HOW_MANY, fallback=lambda d, labels, t, k: _nearest_of_class(d, labels, t, len(d)))
@follow.mistake(HOW_MANY, fallback=lambda d, labels, t, k: _nearest_of_class(d, labels, t, 1))
@follow.mistake("np.argsort sorts from near to far: these are the farthest images.", order=-1)
def _follow(
    distances, labels, target, k, fallback=_nearest_of_class, keep_all=False, least=1, order=1
):
    near = np.argsort(order * distances)[:k]
    chosen = [i for i in near if keep_all or labels[i] == target]
    if len(chosen) < least:
        chosen = fallback(order * distances, labels, target, k)
    return np.array(chosen, int)


@follow.mistake(PLACES)
def _their_labels(distances, labels, target, k):
    return labels[_follow(distances, labels, target, k)]


@follow.mistake(PLACES)
def _their_distances(distances, labels, target, k):
    return distances[_follow(distances, labels, target, k)]


@follow.mistake(PLACES)
def _which_fit(distances, labels, target, k):
    return labels == target


@follow.mistake(SUBSET)
def _places_among_k(distances, labels, target, k):
    return np.flatnonzero(labels[np.argsort(distances)[:k]] == target)


SQUARES = "The argument holds squared distances already: no root and no further square."
TAU = "A larger tau must make it smoother: divide."
FORMULA = "The weight is exp(-squared distance / tau), and the logarithm the natural one."
SHARE = "p is a share of the weight: the sum over the class, divided by the sum over all images."
FLOOR = "Nothing is to be added: the least squared distance, subtracted first, keeps a weight at 1."


@loss.right
def _by_logsumexp(squared_distances, labels, target, tau):
    logits = -squared_distances / tau
    return special.logsumexp(logits) - special.logsumexp(logits[labels == target])


@loss.mistake(is_finite)
@loss.mistake(is_positive, finish=np.log)
@loss.mistake("That is the probability p: return -log p.", finish=float)
@loss.mistake(SIGN, logits=lambda d2, tau: d2 / tau)
@loss.mistake(SQUARES, logits=lambda d2, tau: -np.sqrt(d2) / tau)
@loss.mistake(SQUARES, logits=lambda d2, tau: -(d2**2) / tau)
@loss.mistake(TAU, logits=lambda d2, t: -d2 * t)
@loss.mistake(TAU, logits=lambda d2, t: -d2)
@loss.mistake(FORMULA, logits=lambda d2, t: -d2 / (2 * t))
@loss.mistake(FORMULA, logits=lambda d2, t: -d2 / t**2)
@loss.mistake(FORMULA, finish=lambda p: -np.log2(p))
@loss.mistake(FORMULA, finish=lambda p: -np.log10(p))
def _naive(d2, labels, target, tau, logits=lambda d2, t: -d2 / t, finish=lambda p: -np.log(p)):
    weights = np.exp(logits(d2, tau))
    return finish(weights[labels == target].sum() / weights.sum())


@loss.mistake(TAU, logits=lambda d2, t: -d2)
@loss.mistake(SHARE, of=np.mean)
@loss.mistake(SHARE, others=True)
@loss.mistake(FLOOR, floor=1e-10)
def _shifted(
    d2, labels, target, tau, logits=lambda d2, t: -d2 / t, of=np.sum, others=False, floor=0
):
    weights = np.exp(logits(d2 - d2.min(), tau))
    rest = weights[labels != target] if others else weights
    return -np.log(of(weights[labels == target]) / of(rest) + floor)

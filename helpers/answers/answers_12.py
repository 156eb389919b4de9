"""Answers of 12: up through the machines, a step back, the gain over pairs of seeds."""

import numpy as np

from helpers.chapters.chapter_12 import back, gain, has_deltas, has_top, has_two, up


def _logistic(x):
    return (1 + np.tanh(x / 2)) / 2


@up.right
@up.mistake("The hidden biases are missing inside the sigmoid.", bias=0)
@up.mistake("Each layer needs its sigmoid: without it, all of them are one linear map.", unit=float)
@up.mistake("Hand on the probabilities, without rounding them.", hand_on=np.rint)
@up.mistake("All machines, please: yours stops after the first.", most=1)
@up.mistake("The last machine too: yours stops below it.", most=-1)
@up.mistake("The last layer has its sigmoid as well.", last=True)
def _upwards(v, weights, biases, bias=1, unit=None, hand_on=None, most=None, last=False):
    layers = list(zip(weights, biases, strict=True))[:most]
    for place, (w, c) in enumerate(layers):
        linear = unit is float or (last and place == len(layers) - 1)
        rows = [bias * c + sum(x * row for x, row in zip(image, w, strict=True)) for image in v]
        v = np.array(rows) if linear else _logistic(np.array(rows))
        v = v if hand_on is None else hand_on(v)
    return v


@up.mistake(has_top)
def _mean_of_images(v, weights, biases):
    return _upwards(v, weights, biases).mean(axis=0)


@back.right
@back.mistake("The slope of the sigmoid is missing: h * (1 - h).", slope=np.ones_like)
@back.mistake("The slope is h * (1 - h), not h.", slope=np.asarray)
@back.mistake("h is already the sigmoid's value: do not take the sigmoid of it again.", again=True)
@back.mistake("The weights are missing: delta @ weights.T comes first.", through=None)
@back.mistake("The slope is not negative: it is h * (1 - h).", sign=-1)
def _step_back(h, weights, delta, slope=None, again=False, through=1, sign=1):
    h = _logistic(h) if again else h
    steep = (lambda x: x - x**2) if slope is None else slope
    down = np.einsum("na,ua->nu", delta, weights if through else np.ones_like(weights))
    return sign * down * steep(h)


@back.mistake(has_deltas)
def _table_of_weights(h, weights, delta):
    return h.T @ delta


SPREAD = "The standard error: the standard deviation with ddof=1, over the root of n."


@gain.right
@gain.mistake("Before minus after: a gain is positive where the error has fallen.", sign=-1)
@gain.mistake(SPREAD, ddof=0)
@gain.mistake(SPREAD, root=0)
@gain.mistake(SPREAD, root=1)
@gain.mistake("Take the differences first: the two errors of a seed are a pair.", paired=False)
def _gain(before, after, sign=1, ddof=1, root=0.5, paired=True):
    apart = [sign * (b - a) for b, a in zip(before, after, strict=True)]
    variance = np.var(apart, ddof=ddof)
    if not paired:
        variance = np.var(before, ddof=1) + np.var(after, ddof=1)
    return np.array([np.mean(apart), np.sqrt(variance) / len(apart) ** root])


@gain.mistake(has_two)
def _mean_alone(before, after):
    return np.mean(before - after)

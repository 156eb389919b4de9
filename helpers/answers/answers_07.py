"""Answers of 07: one step of an attack, the trust score, the autoencoder that redraws best."""

import numpy as np

from helpers.chapters.chapter_07 import (
    attack,
    fits,
    in_ball,
    in_range,
    is_finite,
    is_image,
    is_one_each,
    no_nan,
    redraw,
    trust,
)

OWN_LENGTH = "The change of one image depends on the other: each image needs its own length."
ONE_LENGTH = "A length is one number for an image: the root of its 784 squares, summed."
SHORTER = "A change that is shorter than the radius stays as it is: look at each image."


@attack.right
def _one_image_at_a_time(moved, x, g, step, radius):
    result = []
    for here, clean, slope in zip(moved, x, g, strict=True):
        change = here - clean + step * slope / (np.linalg.norm(slope) or 1)
        far = np.linalg.norm(change)
        result.append(np.clip(clean + change * (radius / far if far > radius else 1), 0, 1))
    return np.stack(result)


def _image_length(v, axis=(1, 2, 3), keepdims=True, tiny=1e-12):
    return np.sqrt((v**2).sum(axis=axis, keepdims=keepdims)) + tiny


def _shorter(change, radius, length):
    return change * np.minimum(1, radius / length(change))


@attack.mistake(in_range, top=np.inf)
@attack.mistake(no_nan, of_g=lambda v: _image_length(v, tiny=0))
@attack.mistake(is_image, base=0)
@attack.mistake(in_ball, back=lambda change, r, length: change)
@attack.mistake(in_ball, back=lambda change, r, length: np.clip(change, -r, r))
@attack.mistake("This goes downhill: an attack climbs the loss.", sign=-1)
@attack.mistake(OWN_LENGTH, of_g=lambda v: _image_length(v, None))
@attack.mistake(OWN_LENGTH, of_way=lambda v: _image_length(v, None))
@attack.mistake(fits, of_g=lambda v: _image_length(v, keepdims=False))
@attack.mistake(fits, of_way=lambda v: _image_length(v, keepdims=False))
@attack.mistake(ONE_LENGTH, of_g=lambda v: _image_length(v, 1))
@attack.mistake(ONE_LENGTH, of_g=np.abs)
@attack.mistake(ONE_LENGTH, of_g=lambda v: _image_length(v) ** 2)
@attack.mistake(
    ONE_LENGTH, of_g=lambda v: _image_length(v) ** 2, of_way=lambda v: _image_length(v) ** 2
)
@attack.mistake("Each image moves by `step`: divide g by its length.", of_g=lambda v: 1)
@attack.mistake(SHORTER, back=lambda change, r, length: change * r / length(change))
def _attack(
    moved,
    x,
    g,
    step,
    r,
    sign=1,
    of_g=_image_length,
    of_way=_image_length,
    back=_shorter,
    base=1,
    top=1,
):
    change = moved - x + sign * step * g / of_g(g)
    return np.clip(base * x + back(change, r, of_way), 1 - top, top)


@attack.mistake("You limit this step, not the whole way: measure the change from the clean x.")
def _from_moved(moved, x, g, step, radius):
    return _one_image_at_a_time(moved, moved, g, step, radius)


@attack.mistake("You begin again at the clean image: go on from where moved stands.")
def _from_x(moved, x, g, step, radius):
    return _one_image_at_a_time(x, x, g, step, radius)


@attack.mistake("You clip before you shorten: go back into the ball first, and clip at last.")
def _clip_first(moved, x, g, step, radius):
    return x + _shorter(
        np.clip(moved + step * g / _image_length(g), 0, 1) - x, radius, _image_length
    )


NEAREST = "Only the nearest image counts: take the smallest distance, not the mean or the largest."
ALL_ABOVE = "The nearest of all can be the target's own: leave those out above the line."
POWER = "The argument holds Euclidean distances already: no square and no further root."


@trust.right
@trust.mistake("Turned round: near its own class an image must get a score above 1.", power=-1)
@trust.mistake(NEAREST, of_own=np.mean, of_other=np.mean)
@trust.mistake(NEAREST, of_other=np.mean)
@trust.mistake(NEAREST, of_own=np.mean)
@trust.mistake(NEAREST, of_own=np.max, of_other=np.max)
@trust.mistake(NEAREST, of_own=np.max)
@trust.mistake(NEAREST, of_other=np.max)
@trust.mistake(POWER, power=2)
@trust.mistake(POWER, power=0.5)
@trust.mistake("That is the difference: divide one distance by the other.", compare=np.subtract)
@trust.mistake("argmin gives a place: use min.", of_own=np.argmin, of_other=np.argmin)
@trust.mistake(ALL_ABOVE, other=lambda labels, target: labels > -1)
def _trust(
    d, labels, t, of_own=np.min, of_other=np.min, compare=np.divide, power=1, other=np.not_equal
):
    return compare(of_other(d[other(labels, t)]), of_own(d[labels == t])) ** power


@trust.mistake("You compare the two nearest images: take the nearest of each kind.")
def _two_nearest(distances, labels, target):
    return np.sort(distances)[1] / np.sort(distances)[0]


@trust.mistake("Below the line stands the nearest image of the target, not the nearest of all.")
def _by_the_nearest(distances, labels, target):
    return distances[labels != target].min() / distances.min()


OTHER = "Compare with the best other class: take the smallest error, not the mean or the largest."
POWERS = "IM1 divides the squared errors as they come in: no root and no further square."
ARGMIN = "argmin is the class that is redrawn best: take the column of the target."
SECOND = "The second smallest is the best other class only where the target is the best of all."
LEAVE_OUT = "Leave the target out, by its place: it can be the best, or have another class's error."
ITS_OWN = "Each image has its own best other class: the smallest along the row, axis=1."


@redraw.right
@redraw.mistake(is_finite, others=lambda row, t: 0 * row)
@redraw.mistake("Turned round: an image that the target redraws best gets less than 1.", power=-1)
@redraw.mistake(LEAVE_OUT, others=lambda row, t: row)
@redraw.mistake(LEAVE_OUT, others=lambda row, t: row[row != row[t]])
@redraw.mistake(SECOND, others=lambda row, t: np.sort(row)[1:])
@redraw.mistake(OTHER, best=np.mean)
@redraw.mistake(OTHER, best=np.mean, others=lambda row, t: row)
@redraw.mistake(OTHER, best=np.max)
@redraw.mistake(OTHER, best=lambda row: np.inf)
@redraw.mistake(POWERS, power=0.5)
@redraw.mistake(POWERS, power=2)
@redraw.mistake(ARGMIN, own=lambda row, t: min(row), others=lambda row, t: np.sort(row)[1:])
@redraw.mistake("That is the difference: divide one error by the other.", compare=np.subtract)
def _ratio(
    errors, t, own=lambda row, t: row[t], others=np.delete, best=np.min, power=1, compare=np.divide
):
    rows = zip(errors, t, strict=True)
    return np.array([compare(own(row, t), best(others(row, t))) for row, t in rows]) ** power


@redraw.mistake(is_one_each)
def _all_targets(errors, targets):
    return errors[:, targets] / errors.min(axis=1, keepdims=True)


@redraw.mistake(ITS_OWN, axis=0)
@redraw.mistake(ITS_OWN, axis=None)
@redraw.mistake(ITS_OWN, axis=None, cover=False)
def _of_the_table(errors, targets, axis, cover=True):
    own = targets[:, None] == np.arange(10)
    return errors[own] / np.where(own & cover, np.inf, errors).min(axis=axis)

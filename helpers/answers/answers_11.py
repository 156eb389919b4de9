"""Answers of 11: one pixel given the others, log Z, the centred gradient."""

import numpy as np

from helpers.chapters.chapter_11 import (
    centre,
    is_finite,
    is_number,
    is_table,
    log_z,
    no_overflow,
    one_each,
    pixel,
)

OWN = "The hidden units still see the pixel's own value: compare two free energies instead."


def _logistic(x):
    return 1 / (1 + np.exp(-x))


def _log_of_one_plus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@pixel.right
@pixel.mistake("Turned round: the image with the lower free energy is the more probable.", sign=-1)
@pixel.mistake("These are the odds: divide them by 1 plus themselves.", odds=np.exp)
@pixel.mistake("That is the logarithm of the odds: sigmoid makes a probability of it.", odds=float)
@pixel.mistake("The term v · b is missing in F.", own=0)
@pixel.mistake("The sum over the hidden units is missing in F.", hidden=0)
@pixel.mistake(no_overflow, plus=lambda x: np.log(1 + np.exp(x)))
def _pixel(v, pixel, weights, b, c, sign=1, odds=_logistic, own=1, hidden=1, plus=_log_of_one_plus):
    result = []
    for image in v:
        others = np.delete(image, pixel) @ np.delete(weights, pixel, axis=0) + c
        log_odds = own * b[pixel] + hidden * (plus(others + weights[pixel]) - plus(others)).sum()
        result.append(odds(sign * log_odds))
    return np.array(result)


@pixel.mistake("Both images are one array, so they are equal: copy v before you set the pixel.")
def _no_copy(v, pixel, weights, b, c):
    return np.full(len(v), 0.5)


@pixel.mistake(OWN)
def _through_hidden(v, pixel, weights, b, c):
    return _logistic(_logistic(v @ weights + c) @ weights.T + b)[:, pixel]


@pixel.mistake(one_each)
def _mean_of_pixel(v, pixel, weights, b, c):
    return _pixel(v, pixel, weights, b, c).mean()


COUNT = "Each part is a mean over its own rows: divide by len(v), and by len(dreamt)."
BOTH = "Centre both layers: v by mean_v, and h by mean_h, for the images and for the dreams."


@centre.right
@centre.mistake("Images minus dreams: yours makes the dreams more probable.", sign=-1)
@centre.mistake(COUNT, divide=lambda rows, v: 1)
@centre.mistake(COUNT, divide=lambda rows, v: len(v))
@centre.mistake(BOTH, of_v=0)
@centre.mistake(BOTH, of_h=0)
@centre.mistake(BOTH, of_v=0, of_h=0)
@centre.mistake("Use the probabilities of the hidden units, without rounding.", unit=np.rint)
@centre.mistake("The hidden biases c are missing inside the sigmoid.", bias=0)
def _tables_centred(
    v,
    dreamt,
    weights,
    c,
    mean_v,
    mean_h,
    sign=1,
    divide=lambda rows, v: len(rows),
    of_v=1,
    of_h=1,
    unit=np.asarray,
    bias=1,
):
    tables = []
    for rows in (v, dreamt):
        total = np.zeros(weights.shape)
        for row in rows:
            h = unit(_logistic(row @ weights + bias * c))
            total += np.outer(row - of_v * mean_v, h - of_h * mean_h)
        tables.append(total / divide(rows, v))
    return sign * (tables[0] - tables[1])


@centre.mistake("The dreams have hidden probabilities of their own: compute h from dreamt.")
def _same_hidden(v, dreamt, weights, c, mean_v, mean_h):
    h = _logistic(v @ weights + c).mean(axis=0) - mean_h
    return np.outer(v.mean(axis=0) - dreamt.mean(axis=0), h)


@centre.mistake(is_table)
def _transposed(v, dreamt, weights, c, mean_v, mean_h):
    return _tables_centred(v, dreamt, weights, c, mean_v, mean_h).T


@log_z.right
@log_z.mistake("It is a mean: divide the sum by the number of chains.", chains=lambda w: 1)
@log_z.mistake("The mean of the logarithms is less than the logarithm of the mean.", combine=None)
@log_z.mistake("The largest weight counts most, but not alone.", combine=np.max)
@log_z.mistake("That is log(Z / Z of the base): add log_z_base.", base=0)
@log_z.mistake("Add log_z_base: the chains begin there and gain their weights.", base=-1)
@log_z.mistake(
    "Divide by n inside the logarithm: subtract log(n).", chains=lambda w: np.exp(len(w))
)
@log_z.mistake(is_finite, combine=lambda w: np.log(np.sum(np.exp(w))))
def _log_z_of_chains(log_weights, log_z_base, combine=np.logaddexp.reduce, chains=len, base=1):
    if combine is None:
        return base * log_z_base + np.mean(log_weights)
    gained = combine(log_weights) - np.log(chains(log_weights)) * (combine is not np.max)
    return base * log_z_base + gained


@log_z.mistake(is_number)
def _of_each_chain(log_weights, log_z_base):
    return log_z_base + log_weights

"""Answers of 13: two parts of a distance, nats of latent units, copies."""

import numpy as np

from helpers.chapters.chapter_13 import (
    copies,
    is_share,
    nats,
    no_imaginary,
    one_a_unit,
    parts,
    two_numbers,
)

ROOT = "That is the root of each number; the root of a matrix is another one: see sqrtm."


def _root_trace(a, b):
    # the eigenvalues of a product of two covariances are not negative
    return np.sqrt(np.linalg.eigvals(a @ b).real.clip(0)).sum()


@parts.right
@parts.mistake("The means count with the square of their distance.", power=0.5)
@parts.mistake("Twice the root: the trace of C_a + C_b - 2 root.", times=1)
@parts.mistake(ROOT, root=lambda a, b: np.trace(np.sqrt(np.abs(a @ b))))
@parts.mistake(
    "Take the root of the product of the covariances.", root=lambda a, b: np.trace(a @ b)
)
@parts.mistake("np.cov takes rows for features: rowvar=False.", rowvar=True)
def _parts(a, b, power=1.0, times=2, root=_root_trace, rowvar=False):
    gap = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) ** power
    if rowvar:
        a, b = a[: min(len(a), len(b))], b[: min(len(a), len(b))]
    of_a, of_b = np.cov(a, rowvar=rowvar), np.cov(b, rowvar=rowvar)
    return np.array([gap, np.trace(of_a) + np.trace(of_b) - times * root(of_a, of_b)])


@parts.mistake("First the part of the means, then that of the spreads.")
def _turned(a, b):
    return _parts(a, b)[::-1]


@parts.mistake("These are shares: return the two parts themselves.")
def _shares(a, b):
    return _parts(a, b) / _parts(a, b).sum()


@parts.mistake("The second part is the distance without that of the means.")
def _whole(a, b):
    return np.array([_parts(a, b)[0], _parts(a, b).sum()])


@parts.mistake(two_numbers)
def _sum(a, b):
    return _parts(a, b).sum()


@parts.mistake(no_imaginary)
def _nan(a, b):
    return np.array([_parts(a, b)[0], np.nan])


@nats.right
@nats.mistake("Divide by 2: the KL divergence has a half in front.", half=1)
@nats.mistake("The sign: a small variance costs nats, so - log_variance.", sign=-1)
@nats.mistake("exp(log_variance) is the variance already.", width=2.0)
@nats.mistake("That is the standard deviation: exp(log_variance) is the variance.", width=0.5)
@nats.mistake("The mean counts with its square.", power=1)
@nats.mistake("Without the - 1 a unit that says nothing costs half a nat.", one=0)
@nats.mistake("Average over the images: do not add them up.", over=np.sum)
@nats.mistake("Nats, not bits: the natural logarithm.", unit=np.log(2))
def _nats(mean, log_variance, half=2, sign=1, width=1.0, power=2, one=1, over=np.mean, unit=1.0):
    each = mean**power + np.exp(width * log_variance) - sign * log_variance - one
    return over(each, axis=0) / half / unit


@nats.mistake(one_a_unit)
def _of_images(mean, log_variance):
    each = mean**2 + np.exp(log_variance) - log_variance - 1
    return each.sum(axis=1) / 2


def _near(images, others, which=np.min):
    return np.array([which(np.abs(image - others).sum(axis=1)) for image in images])


@copies.right
@copies.mistake("The nearest training image, not the mean distance to all.", which=np.mean)
@copies.mistake("The farthest one says nothing: take the nearest.", which=np.max)
@copies.mistake("5 of 100 held-out images are nearer, not 95.", level=0.95)
@copies.mistake("Copies stand nearer than the limit, not further.", turned=True)
@copies.mistake("Between 0 and 1: a share, no percentage and no count.", scale=100)
def _share(drawn, train, held, which=np.min, level=0.05, turned=False, scale=1):
    limit = np.quantile(_near(held, train, which), level)
    below = _near(drawn, train, which) < limit
    return scale * np.mean(~below if turned else below)


@copies.mistake("The control is held-out images: training images are their own neighbours.")
def _limit_of_train(drawn, train, held):
    return _share(drawn, train, train)


@copies.mistake("Only exact copies count here: use the held-out images for a limit.")
def _exact(drawn, train, held):
    return np.mean(_near(drawn, train) == 0)


@copies.mistake(is_share)
def _of_each(drawn, train, held):
    return _near(drawn, train)

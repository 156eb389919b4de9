"""Answers of 09: the cross-entropy, precision and recall, two views."""

import numpy as np
from scipy import special
from sklearn import metrics

from helpers.chapters.chapter_09 import (
    entropy,
    has_its_rows,
    is_number,
    is_of_classes,
    is_one,
    no_nan,
    report,
    views,
)


@entropy.right
@entropy.mistake("The logarithm of a probability is negative: the loss has a minus sign.", sign=1)
@entropy.mistake("Take the mean over the images, not their sum.", over_images=np.sum)
@entropy.mistake("Sum over the classes first: only the images are averaged.", of_classes=np.mean)
@entropy.mistake("That is in bits: take the natural logarithm, as Keras does.", base=np.log(2))
@entropy.mistake("Take the logarithm of p: this is the share that went to other classes.", log=None)
def _entropy(
    t, p, sign=-1, over_images=np.mean, of_classes=np.sum, base=1.0, log=special.xlogy, weigh=None
):
    rows = log(t, p) if log else t * (p - 1)
    return sign * over_images(of_classes(rows / base, axis=1))


@entropy.mistake("A soft label counts each class by its share, not only the largest.")
def _of_the_largest(t, p):
    return -np.log(p[np.arange(len(t)), t.argmax(axis=1)]).mean()


@entropy.mistake("That is the squared difference: the cross-entropy takes logarithms.")
def _squared(t, p):
    return ((t - p) ** 2).sum(axis=1).mean()


@entropy.mistake(is_number)
def _without_floor(t, p):
    return -(t * np.log(p)).sum(axis=1).mean()


@entropy.mistake(is_one)
def _of_each(t, p):
    return -special.xlogy(t, p).sum(axis=1)


def _as_images(counts):
    """Images with these counts: their labels and the answers."""
    return (np.repeat(places.ravel(), counts.ravel()) for places in np.indices(counts.shape))


@report.right
@report.mistake("Precision and recall are exchanged: rows are the true class.", order=(1, 0, 2))
def _report(counts, order=(0, 1, 2)):
    y, answers = _as_images(counts)
    labels = range(len(counts))
    three = metrics.precision_recall_fscore_support(y, answers, labels=labels, zero_division=0)[:3]
    return np.column_stack(three)[:, list(order)]


@report.mistake("F1 is the harmonic mean: 2PR / (P + R).", mean=lambda p, r: (p + r) / 2)
@report.mistake("F1 is the harmonic mean: 2PR / (P + R).", mean=lambda p, r: np.sqrt(p * r))
@report.mistake(
    "The factor 2 of F1 is missing.", mean=lambda p, r: p * r / np.maximum(p + r, 1e-12)
)
def _with_mean(counts, mean):
    precision, recall, _ = _report(counts).T
    return np.column_stack([precision, recall, mean(precision, recall)])


@report.mistake("Divide by the images and the answers of each class, not by all images.")
def _of_all(counts):
    share = np.diag(counts) / counts.sum()
    return np.column_stack([share, share, share])


@report.mistake(has_its_rows)
def _three_rows(counts):
    return _report(counts).T


@report.mistake(no_nan)
def _divides_by_zero(counts):
    precision, recall = np.diag(counts) / counts.sum(axis=0), np.diag(counts) / counts.sum(axis=1)
    return np.column_stack([precision, recall, 2 * precision * recall / (precision + recall)])


@views.right
@views.mistake("That turns them upside down: rows are axis 1, columns axis 2.", axis=1)
@views.mistake("That is a half turn: change left and right only.", axis=(1, 2))
@views.mistake("That exchanges the images: axis 0 counts them.", axis=0)
@views.mistake("That exchanges the colours: axis 3 holds the channels.", axis=3)
@views.mistake("Two answers add up to 2: take their mean.", of=np.sum)
@views.mistake("Take the mean of the two answers, not the larger.", of=np.max)
def _views(predict, x, axis=2, of=np.mean):
    return of([predict(x), predict(np.flip(x, axis))], axis=0)


@views.mistake("You average the two images: ask the network for each, then average its answers.")
def _of_the_mean_image(predict, x):
    return predict((x + x[:, :, ::-1]) / 2)


@views.mistake(is_of_classes)
def _class(predict, x):
    return _views(predict, x).argmax(axis=1)

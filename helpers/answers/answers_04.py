"""Answers of 04: confidence when right and wrong, calibration, refusal."""

import numpy as np
from scipy import special

from helpers.chapters.chapter_04 import (
    CANCEL,
    are_two,
    error,
    is_finite,
    is_positive,
    kept,
    means,
    none_at_1,
    usual_bins,
)

LABEL = "m(x) may not look at the label: it is the largest probability, not the true class's."
TWICE = "p is already a probability: a second softmax flattens it."


@means.right
@means.mistake(LABEL, score=lambda p, y: p[np.arange(len(y)), y])
@means.mistake("That is the class, not its p: max, not argmax.", score=lambda p, y: p.argmax(1))
@means.mistake("One value for each image: axis=1.", score=lambda p, y: p.max(axis=0))
@means.mistake(TWICE, score=lambda p, y: special.softmax(p, axis=1).max(axis=1))
@means.mistake("First the images classified right, then those classified wrong.", order=-1)
@means.mistake(are_two, order=0)
def _means(p, y, score=lambda p, y: p.max(axis=1), order=1):
    right, m = p.argmax(axis=1) == y, score(p, y)
    return (m[right].mean(), m[~right].mean())[::order] if order else m.mean()


UNWEIGHTED = "One image counts as much as three: weight each bin by its share of the images."


@error.right
@error.mistake(CANCEL, gap=lambda x: x)
@error.mistake(UNWEIGHTED, total=lambda gaps, shares: np.sum(gaps))
@error.mistake(UNWEIGHTED, total=lambda gaps, shares: np.mean(gaps))
@error.mistake("Use the mean confidence in the bin, not the middle of the bin.", centre=True)
@error.mistake("That is the largest gap: take the weighted mean.", total=lambda g, s: max(g))
@error.mistake(is_finite, total=lambda gaps, shares: np.nan)
@error.mistake(none_at_1, below=1)
@error.mistake(usual_bins, fixed=15)
def _ece(m, correct, bins=15, gap=abs, total=np.dot, centre=False, below=2, fixed=None):
    bins, gaps, shares = fixed or bins, [], []
    which = np.minimum(np.floor(m * bins), bins - 1)
    for i in np.unique(which[m < below]):
        inside = (which == i) & (m < below)
        sure = (i + 0.5) / bins if centre else m[inside].mean()
        gaps.append(gap(sure - correct[inside].mean()))
        shares.append(inside.mean())
    return abs(total(gaps, shares))


error.mistake(is_positive)(lambda m, correct, bins=15: correct.mean() - m.mean())
ROUNDED = "Keep `round(share * n)` images: 6.7 is 7, and 5.2 is 5."
REFUSED = "Refused images are not errors: divide by the number of images kept."


@kept.right
@kept.mistake("You keep the images that the network doubts: keep the others.", order=1)
@kept.mistake("`share` is the part kept, not the part refused.", part=lambda share: 1 - share)
@kept.mistake("That is the accuracy on all images: refuse some.", part=lambda share: 1)
@kept.mistake(REFUSED, share_of=lambda right, m: right.sum() / len(m))
@kept.mistake(ROUNDED, whole=int)
@kept.mistake(ROUNDED, whole=lambda count: int(np.ceil(count)))
def _kept(
    m, correct, share, order=-1, part=float, share_of=lambda right, m: right.mean(), whole=round
):
    return share_of(correct[np.argsort(order * m)][: whole(part(share) * len(m))], m)


@kept.mistake("`share` is a share of the images, not a value of m to compare with.")
def _as_threshold(m, correct, share):
    return correct[m > share].mean()

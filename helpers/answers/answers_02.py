"""Answers of 02: multiply-adds, McNemar's test, an interval over seeds."""

import numpy as np
from scipy import stats

from helpers.chapters.chapter_02 import (
    disagreement,
    has_ends,
    interval,
    is_at_most_1,
    is_narrow,
    is_once,
    is_upwards,
    is_wide,
    mcnemar,
    work,
)


@work.right
def _place_by_place(h, w, k, i, o):
    return sum(k * k * i * o for _ in range(k, h + 1) for _ in range(k, w + 1))


@work.mistake("That is the number of weights: each is used at every place.", places=lambda d, k: 1)
@work.mistake("Without padding a kernel of 3 has 2 places in 4 pixels.", places=lambda d, k: d + k)
@work.mistake("One place too few: count those of a kernel of 3 in 4 pixels.", places=lambda d, k: d)
@work.mistake("Height and width may differ: count the places in each direction.", square=True)
@work.mistake("Right for one channel only: each filter reads all c_in channels.", reads=1)
@work.mistake("The bias is added without a multiplication: it does not count here.", bias=1)
@work.mistake("A multiplication with its addition counts as one, not as two.", each=2)
def _multiply_adds(
    h, w, k, i, o, places=lambda d, k: d + 1, reads=None, bias=0, each=1, square=False
):
    w = h if square else w
    return places(h - k, k) * places(w - k, k) * (k * k * (reads or i) + bias) * o * each


SAME_IMAGES = "Both saw the same images: those on which they agree say nothing. Leave them out."
NOT_EXACT = "That is the chi-square approximation: the exercise asks for the exact test."


@mcnemar.right
@mcnemar.mistake(is_at_most_1, most=2)
@mcnemar.mistake(disagreement, none=np.nan)
@mcnemar.mistake("That is one side. Either network may be the better one: test both.", sides=1)
def _exact(a, b, most=1, none=1, sides=2):
    a, b = int(np.sum(a & ~b)), int(np.sum(~a & b))
    return min(most, sides * stats.binom.cdf(min(a, b), a + b, 0.5)) if a + b else none


@mcnemar.mistake("n is the number of disagreements, not the number of images.")
def _of_all_images(a, b):
    return stats.binomtest(int(np.sum(a & ~b)), len(a)).pvalue


@mcnemar.mistake(SAME_IMAGES, correction=True)
@mcnemar.mistake(SAME_IMAGES, correction=False)
def _two_proportions(a, b, correction):
    counts = [[a.sum(), (~a).sum()], [b.sum(), (~b).sum()]]
    return stats.chi2_contingency(counts, correction=correction).pvalue


@mcnemar.mistake(NOT_EXACT, correction=1)
@mcnemar.mistake(NOT_EXACT, correction=0)
def _chi_square(a, b, correction):
    a, b = np.sum(a & ~b), np.sum(~a & b)
    return stats.chi2.sf((abs(a - b) - correction) ** 2 / (a + b), 1)


NOT_NORMAL = "1.96 needs many observations: with 8, Student's t with 7 degrees gives 2.36."


@interval.right
def _paired(a, b):
    answer = stats.ttest_rel(a, b).confidence_interval(0.95)
    return answer.low, answer.high


@interval.mistake(is_wide, n=80_000)
@interval.mistake(is_narrow, n=1)
@interval.mistake(is_once, half=2 * 2.364624)
@interval.mistake(is_upwards, half=-2.364624)
@interval.mistake("Divide by √8, the root of the number of seeds.", n=64)
@interval.mistake("Divide by √8, the root of the number of seeds.", n=7)
@interval.mistake("Take the standard deviation of the differences, not their variance.", power=2)
@interval.mistake(NOT_NORMAL, half=1.96)
@interval.mistake(NOT_NORMAL, half=1.96, ddof=0)
@interval.mistake("NumPy divides by n: estimated from 8 seeds, it must be n - 1, ddof=1.", ddof=0)
@interval.mistake("95 % leave 2.5 % on each side: take the quantile at 0.975.", half=1.894579)
@interval.mistake("8 differences leave 7 degrees of freedom.", half=2.306004)
@interval.mistake("The sign is turned: the exercise asks for a - b.", sign=-1)
def _over_seeds(a, b, half=2.364624, ddof=1, n=8, sign=1, power=1):
    half *= (a - b).std(ddof=ddof) ** power / np.sqrt(n)
    return sign * (a - b).mean() - half, sign * (a - b).mean() + half


@interval.mistake(has_ends)
def _mean_and_half(a, b):
    low, high = _paired(a, b)
    return (low + high) / 2, (high - low) / 2


@interval.mistake("The seeds come in pairs: take the 8 differences, then one mean and deviation.")
def _unpaired(a, b):
    answer = stats.ttest_ind(a, b).confidence_interval(0.95)
    return answer.low, answer.high

"""Exercises of 02: multiply-adds, McNemar's test, an interval over seeds."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy import stats

from helpers import plotting
from helpers.exercises import Exercise, Mistake


def _outcomes(both, only_a, only_b, neither):
    """Return which images two models classify correctly, from the four counts."""
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat(
        [True, False, True, False], counts
    )


def _disagreements(a, b):
    return int(np.sum(a & ~b)), int(np.sum(~a & b))


def _exact(a, b):
    only_a, only_b = _disagreements(a, b)
    return min(1.0, 2 * stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5))


def _binomial(k, n, alternative="two-sided"):
    return stats.binomtest(k, n, alternative=alternative).pvalue


def _one_sided(a, b, alternative):
    only_a, only_b = _disagreements(a, b)
    return _binomial(max(only_a, only_b), only_a + only_b, alternative)


def _proportions(correction):
    def wrong(a, b):
        table = [[a.sum(), (~a).sum()], [b.sum(), (~b).sum()]]
        return stats.chi2_contingency(table, correction=correction).pvalue

    return wrong


def _chi_square(correction):
    def wrong(a, b):
        only_a, only_b = _disagreements(a, b)
        statistic = (abs(only_a - only_b) - correction) ** 2 / (only_a + only_b)
        return stats.chi2.sf(statistic, 1)

    return wrong


def _uncapped(a, b):
    only_a, only_b = _disagreements(a, b)
    return 2 * stats.binom.cdf(min(only_a, only_b), only_a + only_b, 0.5)


def _interval(quantile=None, ddof=1, n=8):
    """Interval of the mean difference, with one thing or another changed."""

    def interval(a, b):
        difference = np.asarray(a) - np.asarray(b)
        half = quantile or stats.t.ppf(0.975, 7)
        half *= difference.std(ddof=ddof) / np.sqrt(n)
        return difference.mean() - half, difference.mean() + half

    return interval


def _paired(a, b):
    answer = stats.ttest_rel(a, b).confidence_interval(0.95)
    return answer.low, answer.high


def _from_images(a, b):
    a, b = np.mean(a), np.mean(b)
    half = 1.96 * np.sqrt((a * (1 - a) + b * (1 - b)) / 80_000)
    return a - b - half, a - b + half


def _unpaired(equal_variances):
    def wrong(a, b):
        answer = stats.ttest_ind(a, b, equal_var=equal_variances).confidence_interval(0.95)
        return answer.low, answer.high

    return wrong


EXERCISES = (
    Exercise(
        name="02-1",
        right=lambda h, w, kernel, c_in, c_out: (
            (h - kernel + 1) * (w - kernel + 1) * (kernel * kernel * c_in * c_out)
        ),
        cases={
            "28 × 28, kernel 3, 1 to 32 channels": (28, 28, 3, 1, 32),
            "13 × 13, kernel 3, 32 to 64 channels": (13, 13, 3, 32, 64),
            "10 × 20, kernel 5, 3 to 4 channels": (10, 20, 5, 3, 4),
        },
        mistakes=(
            Mistake(
                "That is the number of weights: each of them is used once at every place.",
                (lambda h, w, k, i, o: k * k * i * o, lambda h, w, k, i, o: (k * k * i + 1) * o),
            ),
            Mistake(
                "Without padding a 3 × 3 kernel fits into 26 × 26 places of a 28 × 28 image.",
                (lambda h, w, k, i, o: h * w * k * k * i * o,),
            ),
            Mistake(
                "Each filter of the second layer reads all 32 channels.",
                (lambda h, w, k, i, o: (h - k + 1) * (w - k + 1) * k * k * o,),
            ),
            Mistake(
                "One row and one column too few: count the places of a kernel of 3 in 4 pixels.",
                (lambda h, w, k, i, o: (h - k) * (w - k) * k * k * i * o,),
            ),
            Mistake(
                "The bias is added without a multiplication: it does not count here.",
                (lambda h, w, k, i, o: (h - k + 1) * (w - k + 1) * (k * k * i + 1) * o,),
            ),
            Mistake(
                "A multiplication with its addition counts as one, not as two.",
                (lambda h, w, k, i, o: 2 * (h - k + 1) * (w - k + 1) * k * k * i * o,),
            ),
        ),
        lesson="The second convolution costs eleven times the first, on a smaller image: channels "
        "cost more than pixels.",
        hint="How many places are there for the kernel? How many numbers does one filter multiply "
        "at one place? How many filters are there?",
    ),
    Exercise(
        name="02-2",
        right=_exact,
        cases={
            "25 against 10 disagreements in 2,000 images": _outcomes(1900, 25, 10, 65),
            "4 against 4": _outcomes(90, 4, 4, 2),
            "3 against 12": _outcomes(80, 3, 12, 5),
            "no disagreement": _outcomes(95, 0, 0, 5),
        },
        mistakes=(
            Mistake(
                "You compare two accuracies as if each model had its own images. Both saw the "
                "same: only the images on which they disagree say something.",
                (
                    _proportions(False),
                    _proportions(True),
                    lambda a, b: stats.ttest_ind(a.astype(float), b.astype(float)).pvalue,
                ),
            ),
            Mistake(
                "n is the number of disagreements, 35, not the number of images.",
                (
                    lambda a, b: _binomial(_disagreements(a, b)[0], len(a)),
                    lambda a, b: _binomial(_disagreements(a, b)[1], len(a)),
                ),
            ),
            Mistake(
                "That is one side. Either model may be the better one: test both sides.",
                (
                    lambda a, b: _one_sided(a, b, "greater"),
                    lambda a, b: _one_sided(a, b, "less"),
                ),
            ),
            Mistake(
                "That is the chi-square approximation: the exercise asks for the exact test.",
                (_chi_square(0), _chi_square(1)),
            ),
            Mistake(
                "A p-value above 1: with 4 against 4 the two sides overlap. Take the smaller of "
                "1 and your value.",
                (_uncapped,),
                when=lambda p: p > 1,
            ),
            Mistake(
                "Without a disagreement nothing speaks against equal models: return 1.",
                (
                    lambda a, b: _binomial(min(_disagreements(a, b)), sum(_disagreements(a, b))),
                    lambda a, b: _exact(a, b) if any(a != b) else 1 / 0,
                    lambda a, b: _exact(a, b) if any(a != b) else np.nan,
                    lambda a, b: _exact(a, b) if any(a != b) else 0,
                ),
            ),
        ),
        lesson="Of 2,000 images only 35 say which model is better.",
        hint="Keep the images on which exactly one model is right. If the models are equally good, "
        "each of those is the toss of a coin.",
    ),
    Exercise(
        name="02-3",
        right=_paired,
        cases={
            "8 seeds of two networks": (
                np.array([0.9897, 0.9892, 0.9870, 0.9888, 0.9901, 0.9879, 0.9894, 0.9885]),
                np.array([0.9881, 0.9890, 0.9849, 0.9880, 0.9884, 0.9872, 0.9887, 0.9860]),
            ),
            "8 other seeds": (
                np.array([0.91, 0.94, 0.92, 0.95, 0.90, 0.93, 0.96, 0.92]),
                np.array([0.93, 0.93, 0.94, 0.96, 0.93, 0.92, 0.99, 0.95]),
            ),
        },
        mistakes=(
            Mistake(
                "A seed is one observation: n = 8, not 80,000 images.",
                (
                    _from_images,
                    _interval(n=80_000),
                    _interval(1.96, n=80_000),
                    _interval(1.96, ddof=0, n=80_000),
                ),
            ),
            Mistake(
                "That is where one more run would fall. For the mean, divide by the root of 8.",
                (
                    _interval(n=1),
                    _interval(ddof=0, n=1),
                    _interval(1.96, n=1),
                    _interval(1.96, ddof=0, n=1),
                ),
            ),
            Mistake(
                "1.96 needs many observations. With 8 seeds, Student's t with 7 degrees of freedom "
                "gives 2.36.",
                (_interval(1.96), _interval(1.96, ddof=0), _interval(stats.norm.ppf(0.975))),
            ),
            Mistake(
                "NumPy divides by n. Estimated from 8 seeds, the deviation needs n - 1: ddof=1.",
                (_interval(ddof=0),),
            ),
            Mistake(
                "The seeds come in pairs: take the 8 differences first, then one mean and one "
                "deviation.",
                (_unpaired(True), _unpaired(False)),
            ),
            Mistake(
                "The sign is turned: the exercise asks for a - b.",
                (lambda a, b: _paired(b, a),),
            ),
            Mistake(
                "95 % in the middle leave 2.5 % on each side: take the quantile at 0.975.",
                (_interval(stats.t.ppf(0.95, 7)),),
            ),
            Mistake(
                "8 differences leave 7 degrees of freedom, not 8.",
                (_interval(stats.t.ppf(0.975, 8)),),
            ),
        ),
        lesson="Where 0 lies outside the interval, eight seeds show that the difference is real.",
        hint="There are eight differences, one for each seed. How far can their mean be from the "
        "mean of very many seeds?",
    ),
)


# --- figures


def show_shares(costs):
    """Show which layer holds the parameters, and which does the work.

    Parameters
    ----------
    costs : DataFrame of int; a row for each layer, a column for each kind of cost
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 2.6), sharey=True)
    for ax, what in zip(axes, costs, strict=True):
        share = 100 * costs[what] / costs[what].sum()
        bars = ax.barh(share.index, share)
        ax.bar_label(bars, [f" {value:,}" for value in costs[what]], fontsize=10)
        ax.set(xlim=(0, 125), xlabel=f"share of all {what} (%)")
        ax.set_title(f"{costs[what].sum():,} {what}")
    axes[0].invert_yaxis()
    plotting.show(
        figure,
        "Two bar charts over the layers. The dense layer holds most of the parameters. The second "
        "convolution does most of the multiply-adds.",
    )


def show_verdicts(tables):
    """Show what a test said of every pair of runs: worse, better, or nothing.

    Parameters
    ----------
    tables : dict of str to int array of shape (seeds, seeds)
        Row = seed of the named network, column = seed of the reference; 1 is better, -1 worse.
    """
    columns = 4
    rows = len(tables) // columns + 1  # one place stays free, for the legend
    figure, axes = plt.subplots(rows, columns, figsize=(10, 2.9 * rows + 0.3), squeeze=False)
    colours = [plotting.COLOURS[1], (0.88, 0.88, 0.88), plotting.COLOURS[0]]
    scale = {"cmap": colours, "vmin": -1, "vmax": 1, "cbar": False, "square": True}
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=False):
        table = np.asarray(table)
        signs = np.array(["−", "", "+"])[table + 1]
        sns.heatmap(table, ax=ax, annot=signs, fmt="", linewidths=1, **scale)
        ax.tick_params(length=0, rotation=0)
        ax.set_title(f"{name}: {np.count_nonzero(table)} significant", fontsize=11)
        ax.set(xlabel="seed of the reference", ylabel=f"seed of {name}")
    for ax in axes.flat[len(tables) :]:
        ax.axis("off")
    words = ["− significantly worse", "no verdict", "+ significantly better"]
    patches = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours]
    axes.flat[-1].legend(patches, words, loc="center", frameon=False)
    title = "One pair of runs, one verdict: for every variant, the seeds decide"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "For the reference and each of its variants, a table of verdicts over all pairs of seeds. "
        "Most tables hold more than one verdict: what one pair of runs says depends on the seeds.",
        name="02_verdicts",
    )


def show_differences(difference, found):
    """Show how far each variant is from the reference: an interval over the seeds.

    Parameters
    ----------
    difference : DataFrame; a column for each variant, a row for each seed
        Accuracy minus that of the reference, in points.
    found : collection of str
        The variants that differ after the correction; they are drawn in orange.
    """
    n_seeds, n_variants = difference.shape
    figure, ax = plt.subplots(figsize=(8.5, 0.8 + 0.48 * n_variants))
    _draw_intervals(ax, difference, found)
    ax.set_xlabel("accuracy − that of the reference (points)")
    ax.set_title(
        f"Different from the reference over {n_seeds} seeds, after correction: "
        f"{len(found)} of {n_variants}"
    )
    plotting.show(
        figure,
        "For each variant the difference in accuracy to the reference: an interval over the seeds, "
        "and one dot for each seed. The interval of no_conv2 lies below zero.",
    )


def show_training_beside_changes(gain, difference, found):
    """Show what a longer training gives beside what the changes of the network take.

    Parameters
    ----------
    gain : Series; one number for each seed, in points, its name says which training it is
    difference, found : as in `show_differences`
    """
    values = pd.concat([gain, difference], axis=1)
    figure, ax = plt.subplots(figsize=(8.5, 0.8 + 0.48 * values.shape[1]))
    _draw_intervals(ax, values, [gain.name, *found])
    ax.set_xlabel("accuracy − that of the reference after 3 epochs (points)")
    ax.set_title("Three more epochs, beside the changes of the network")
    plotting.show(
        figure,
        "The intervals of the variants again, and above them the reference trained for longer, "
        "which lies on the side of higher accuracy.",
    )


def _draw_intervals(ax, values, marked):
    """Draw the 95 % interval of the mean of each column, its mean, and its values as small dots."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    for place, name in enumerate(values):
        colour = plotting.COLOURS[3] if name in marked else "0.5"
        ax.plot([low[place], high[place]], [place, place], color=colour, linewidth=6, alpha=0.4)
        ax.plot(values[name].mean(), place, marker="D", color=colour)
        ax.plot(values[name], np.full(len(values), place + 0.28), ".", color=colour, alpha=0.6)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(values.shape[1]), list(values))
    ax.set_ylim(values.shape[1] - 0.4, -0.5)


# where a name stands, seen from its dots, if not on the right
SIDES = {
    "half_filters": "above",
    "dense_64": "above",
    "no_conv2": "below",
    "no_pooling": "below",
}
IN_THE_REPORT = {"no_dense": "no_dense, model 4", "half_filters": "half_filters, model 3"}


def show_accuracy_against_cost(costs, accuracy):
    """Show every run of every network against what the network costs, in two ways.

    Parameters
    ----------
    costs : DataFrame of int; a row for each network, the columns ``parameters`` and
        ``multiply-adds``
    accuracy : DataFrame; a column for each network, a row for each run, in %
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True)
    scarce = {"parameters": "Memory", "multiply-adds": "Work"}
    for ax, (what, resource) in zip(axes, scarce.items(), strict=True):
        _draw_runs(ax, costs[what], accuracy)
        ax.margins(x=0.17, y=0.1)
        cheapest = costs[what].idxmin()
        ax.set_title(f"{resource} is scarce: {IN_THE_REPORT.get(cheapest, cheapest)}")
    axes[0].set_ylabel("test accuracy (%)")
    plotting.show(
        figure,
        "Accuracy of the networks, one dot for each seed, against their parameters and against "
        "their multiply-adds. The smallest network is not the one with the least work.",
        name="02_accuracy_cost",
    )


def _draw_runs(ax, cost, accuracy):
    """Draw the runs of each network as dots, and their mean as a bar, with the name beside it."""
    # those dark enough on white
    colours = [*plotting.COLOURS[:5], (0.25, 0.25, 0.25), plotting.COLOURS[9]]
    # side -> which point of the name stands there, and how far away
    places = {
        "left": ("right", "center", (-9, 0)),
        "right": ("left", "center", (9, 0)),
        "above": ("center", "bottom", (0, 4)),
        "below": ("center", "top", (0, -4)),
    }
    for name, colour in zip(accuracy, itertools.cycle(colours), strict=False):
        x, runs, side = cost[name], accuracy[name], SIDES.get(name, "right")
        ax.plot(np.full(len(runs), x), runs, ".", color=colour, alpha=0.6)
        ax.plot(x, runs.mean(), marker="_", markersize=13, markeredgewidth=3, color=colour)
        y = {"above": runs.max(), "below": runs.min()}.get(side, runs.mean())
        ha, va, away = places[side]
        ax.annotate(name, (x, y), away, textcoords="offset points", ha=ha, va=va, fontsize=10)
    ax.set(xscale="log", xlabel=f"{cost.name} (log scale)")


def show_times_wrong(counts):
    """Show how many test images are wrong in one run, in two, …, in all of them.

    Parameters
    ----------
    counts : int array of shape (runs,)
        Place i holds the number of images that i + 1 runs get wrong.
    """
    figure, ax = plt.subplots(figsize=(7, 3))
    ax.bar(range(1, len(counts) + 1), counts)
    ax.set(xlabel="number of reference runs that get the image wrong", ylabel="test images")
    ax.set_title("Most images that some run gets wrong are right in another")
    plotting.show(
        figure,
        "Test images by the number of reference runs that get them wrong. Many are wrong in only "
        "one run or in a few: these are the images that another seed changes.",
    )


def show_hard_images(always, once, labels):
    """Show images that every run gets wrong, and below them images that one run gets wrong.

    Parameters
    ----------
    always, once : arrays of shape (n, h, w, 1), values in [0, 1]
        They need not be equally many.
    labels : pair of int arrays
        The labels of both.
    """
    columns = max(len(always), len(once))
    images = np.full((2, columns, *once.shape[1:]), np.nan)
    titles = np.full((2, columns), "", object)
    for row, (kind, of_kind) in enumerate(zip((always, once), labels, strict=True)):
        images[row, : len(kind)] = kind
        titles[row, : len(kind)] = [str(label) for label in of_kind]
    plotting.show(
        plotting.digit_grid(
            images.reshape(-1, *once.shape[1:]),
            titles.ravel(),
            columns=columns,
            title="Above: wrong in every run. Below: wrong in one run only",
        ),
        "Two rows of test digits with their labels. Above are digits that every reference run gets "
        "wrong, many of them hard to read; below are digits that only one run gets wrong.",
    )

"""Exercises of 02: multiply-adds, McNemar's test, an interval over seeds."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.transforms import ScaledTranslation
from scipy import stats

from helpers import plotting, session
from helpers.exercises import Exercise

work = Exercise(
    "02-1",
    points=1,
    lesson="The work is that of one place, as many times as the kernel fits into the image.",
    hint=(
        "At how many places does the kernel fit? What does one filter multiply at one place?",
        "places · numbers that one filter multiplies at a place · number of filters",
        "(h - kernel + 1) places one below the other, as many for w; kernel · kernel · c_in each",
    ),
)
work.case("the text's example", 4, 4, 3, 1, 1)
work.case("28 × 28, kernel 3, 1 to 32 channels", 28, 28, 3, 1, 32)
work.case("13 × 13, kernel 3, 32 to 64 channels", 13, 13, 3, 32, 64)
work.case("10 × 20, kernel 5, 3 to 4 channels", 10, 20, 5, 3, 4)


@work.hidden("an image and a kernel drawn at random")
def _draw_image_size(rng):
    h, w = rng.choice(np.arange(8, 31), 2, replace=False)  # never equal
    return tuple(int(n) for n in (h, w, *rng.integers([2, 2, 2], [6, 10, 40])))


mcnemar = Exercise(
    "02-2",
    points=3,
    lesson="Only the images on which two networks disagree say which is better.",
    hint=(
        "Where exactly one network is right, equally good networks would toss a coin.",
        "Count: only A right, only B right. Test the first count against a coin; no toss, p = 1.",
        "binomtest(only_a, only_a + only_b).pvalue",
    ),
)


def _outcomes(both, only_a, only_b, neither):
    """Return which images two networks classify correctly, from the four counts."""
    counts = [both, only_a, only_b, neither]
    return np.repeat([True, True, False, False], counts), np.repeat([1, 0, 1, 0], counts) > 0


mcnemar.case("5 against 0, as in the text", *_outcomes(80, 5, 0, 15))
mcnemar.case("25 against 10 disagreements in 2,000 images", *_outcomes(1900, 25, 10, 65))
mcnemar.case("4 against 4", *_outcomes(90, 4, 4, 2))
mcnemar.case("3 against 12", *_outcomes(80, 3, 12, 5))
mcnemar.case("0 against 6", *_outcomes(60, 0, 6, 34))
mcnemar.case("no disagreement", *_outcomes(95, 0, 0, 5))


@mcnemar.hidden("images drawn at random")
def _draw_outcomes(rng):
    # never equal, and few enough that no test rounds to 0
    only = rng.choice(np.arange(4, 16), 2, replace=False)
    right = _outcomes(rng.integers(100, 900), *only, rng.integers(20, 90))
    order = rng.permutation(len(right[0]))
    return tuple(of[order] for of in right)


@mcnemar.hidden("as many images for either network, drawn at random")
def _draw_draw(rng):
    both, only, neither = rng.integers([60, 1, 3], [90, 6, 9])
    return _outcomes(both, only, only, neither)


@mcnemar.hidden("images drawn at random, no disagreement")
def _draw_agreement(rng):
    both, neither = rng.integers([60, 3], [90, 9])
    return _outcomes(both, 0, 0, neither)


is_at_most_1 = mcnemar.rule("The sides overlap here: p is at most 1.")(lambda p: not p > 1)
disagreement = mcnemar.rule(
    "Without a disagreement nothing speaks against equal networks: return 1."
)(lambda p, a, b: np.any(a != b))


interval = Exercise(
    "02-3",
    points=2,
    lesson="Where 0 lies outside, equal networks rarely give such runs; six tests need more care.",
    hint=(
        "How far can the mean of eight differences be from the mean of very many?",
        "mean ± quantile · standard deviation of the differences (ddof=1) / √8",
        "half = t.ppf(0.975, 7) * (a - b).std(ddof=1) / np.sqrt(8)",
    ),
)
B = np.array([0.9881, 0.9890, 0.9849, 0.9880, 0.9884, 0.9872, 0.9887, 0.9860])
A = np.array([0.9897, 0.9892, 0.9870, 0.9888, 0.9901, 0.9879, 0.9894, 0.9885])
interval.case("the text's example", B + np.tile([0.01, 0.03], 4), B)
interval.case("8 seeds of two networks", A, B)
interval.case("the two exchanged, and better by 0.001", B + 0.001, A)


@interval.hidden("8 seeds drawn at random")
def _draw_seeds(rng):
    a, b = rng.normal(0.95, 0.005, (2, 8))
    return a + rng.choice([-0.01, 0.01]), b


is_wide = interval.rule("A seed is one observation: n = 8, not 80,000 images.")(
    lambda ends, a, b: np.abs(np.diff(ends)) > 0.5 * np.std(a - b)
)
# up to 10: 100 times as wide is an interval in percent
is_narrow = interval.rule("One more run would fall there: the mean needs a division by √8.")(
    lambda ends, a, b: not 3.7 < np.abs(np.diff(ends)) / np.std(a - b) < 10
)
is_once = interval.rule(
    "Twice as wide as it should be: quantile · deviation / √8 is the half already."
)(lambda ends, a, b: not 3.3 < np.abs(np.diff(ends)) / np.std(a - b) < 3.7)
has_ends = interval.rule("Return two ends: mean - half and mean + half.")(
    lambda ends, a, b: not np.isclose(ends[0], np.mean(a - b))
)
is_upwards = interval.rule("Return the lower end first, then the higher one.")(
    lambda ends: np.diff(ends) >= 0
)


# --- the stored runs


def nearest_record(images, recorded):
    """Name of the recorded run that made most of the same mistakes.

    Parameters
    ----------
    images : sequence of int
        The test images that a network gets wrong.
    recorded : dict of str to sequence of int
        The same for one recorded run of each network.

    Returns
    -------
    str
        The name with the largest share of common mistakes among the mistakes of either.

    Examples
    --------
    >>> nearest_record([1, 2, 3], {"small": [2, 9], "large": [1, 2, 4]})
    'large'
    """

    def shared(name):
        return len(set(images) & set(recorded[name])) / len(set(images) | set(recorded[name]))

    return max(recorded, key=shared)


def bootstrap_spread(wrong, n_images, draws=1000):
    """Estimate how far a difference in accuracy moves with other seeds and other test images.

    Seeds and images are drawn with replacement, crossed: the pigeonhole bootstrap of A. B. Owen
    (2007, Annals of Applied Statistics 1), which errs on the wide side. One seed fewer than there
    are is drawn, because a spread among n numbers is divided by n - 1.

    Parameters
    ----------
    wrong : dict of str to list of list of int
        For each network and each seed the numbers of the test images that the run gets wrong.
    n_images : int
    draws : int

    Returns
    -------
    Series of float
        For each network but ``"reference"``, in points.

    Examples
    --------
    >>> runs = {"reference": [[0], [1]], "same": [[0], [1]]}
    >>> float(bootstrap_spread(runs, n_images=4, draws=10)["same"])
    0.0
    """
    correct = np.full((len(wrong), len(wrong["reference"]), n_images), 100.0)
    for network, runs in zip(correct, wrong.values(), strict=True):
        for run, images in zip(network, runs, strict=True):
            run[images] = 0
    generator, means = np.random.default_rng(0), []
    with session.progress_bar(draws, "drawing seeds and images", delay=1) as bar:
        for _ in range(draws):
            weights = generator.multinomial(n_images, np.full(n_images, 1 / n_images)) / n_images
            seeds = generator.integers(correct.shape[1], size=correct.shape[1] - 1)
            means.append((correct @ weights)[:, seeds].mean(axis=1))
            bar.update()
    means = pd.DataFrame(means, columns=list(wrong))
    return means.drop(columns="reference").sub(means["reference"], axis=0).std()


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
        ax.set(xlim=(0, 125), xticks=range(0, 101, 25), xlabel=f"share of all {what} (%)")
        ax.set_title(f"{costs[what].sum():,} {what}")
    axes[0].invert_yaxis()
    plotting.show(
        figure,
        "Two bar charts over the layers. "
        + ". ".join(f"Of all {what}, most are in {costs[what].idxmax()}" for what in costs)
        + ".",
    )


def show_verdicts(tables):
    """Show what a test said of every pair of runs: worse, better, or nothing.

    Parameters
    ----------
    tables : dict of str to int array of shape (seeds, seeds)
        Row = seed of the named network, column = seed of the reference; 1 is better, -1 worse.
        Of the table ``"reference"`` each pair of runs is drawn once, and no run against itself.
    """
    columns = 4
    rows = len(tables) // columns + 1  # one place stays free, for the legend
    figure, axes = plt.subplots(rows, columns, figsize=(10, 2.9 * rows + 0.3), squeeze=False)
    colours = [plotting.COLOURS[1], (0.88, 0.88, 0.88), plotting.COLOURS[0]]
    scale = {"cmap": colours, "vmin": -1, "vmax": 1, "cbar": False, "square": True}
    mixed = 0
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=False):
        table = np.asarray(table)
        signs = np.array(["−", "", "+"])[table + 1]
        twice = np.triu(np.full(table.shape, name == "reference"))
        sns.heatmap(table, ax=ax, annot=signs, fmt="", linewidths=1, mask=twice, **scale)
        ax.tick_params(length=0, rotation=0)
        ax.grid(visible=False)
        said = np.count_nonzero(table[~twice])
        mixed += len(np.unique(table[~twice])) > 1
        ax.set_title(f"{name}: {said} of {np.sum(~twice)} significant", fontsize=10)
        ax.set(xlabel="seed of the reference", ylabel=f"seed of {name}")
    for ax in axes.flat[len(tables) :]:
        ax.axis("off")
    words = ["− significantly worse", "no verdict", "+ significantly better"]
    patches = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours]
    axes.flat[-1].legend(patches, words, loc="center", frameon=False)
    title = f"Verdicts on pairs of runs: not all the same for {mixed} of {len(tables)} networks"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "For the reference and each of its variants, a table of verdicts over all pairs of seeds."
        + " Most tables hold more than one verdict." * (2 * mixed > len(tables)),
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
    for place, name in enumerate(difference):
        lower = np.count_nonzero(difference[name] < 0)
        where = {"xycoords": ("axes fraction", "data"), "va": "center", "fontsize": 10}
        ax.annotate(f"lower in {lower} of {n_seeds} seeds", (1.02, place), **where)
    ax.set_xlabel("accuracy − that of the reference (points)")
    ax.set_title(
        f"Different from the reference over {n_seeds} seeds, after correction: "
        f"{len(found)} of {n_variants}"
    )
    low, high = stats.ttest_1samp(difference, 0).confidence_interval(0.95)
    apart = np.any((low > 0) | (high < 0))
    plotting.show(
        figure,
        "For each variant the difference in accuracy to the reference: an interval over the seeds, "
        f"and one dot for each seed. {'Some intervals lie' if apart else 'No interval lies'} apart "
        "from zero.",
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
    "parameters": {
        "no_dense": "below",
        "half_filters": "left",
        "dense_64": "above",
        "padded": "below",
        "no_conv2": "below",
        "no_pooling": "above",
    },
    "multiply-adds": {
        "half_filters": "above",
        "no_conv2": "below",
        "dense_64": "above",
        "no_dense": "below",
        "no_pooling": "above",
    },
}


# points sideways, where costs are too close to be told apart
NUDGES = {"multiply-adds": {"no_dense": -4, "dense_64": 5, "reference": 14}}


def show_accuracy_against_cost(costs, accuracy):
    """Show every run of every network against what the network costs, in two ways.

    Parameters
    ----------
    costs : DataFrame of int; a row for each network, the columns ``parameters`` and
        ``multiply-adds``
    accuracy : DataFrame; a column for each network, a row for each run, in %
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True)
    resources = {"parameters": "memory", "multiply-adds": "work"}
    for ax, (what, resource) in zip(axes, resources.items(), strict=True):
        _draw_runs(ax, costs[what], accuracy)
        ax.margins(x=0.17, y=0.1)
        ax.set_title(f"Accuracy, and cost in {resource}")
    axes[0].set_ylabel("test accuracy (%)")
    smallest = set(costs.loc[list(accuracy)].idxmin())
    plotting.show(
        figure,
        "Accuracy of the networks, one dot for each seed, against their parameters and against "
        "their multiply-adds."
        + " The smallest network is not the one with the least work."
        * (len(smallest) > 1),
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
        x, runs, side = cost[name], accuracy[name], SIDES[cost.name].get(name, "right")
        nudge = NUDGES.get(cost.name, {}).get(name, 0)
        aside = ScaledTranslation(nudge / 72, 0, ax.figure.dpi_scale_trans)
        style = {"color": colour, "transform": ax.transData + aside}
        ax.update_datalim(np.column_stack([np.full(len(runs), x), runs]))
        ax.plot(np.full(len(runs), x), runs, ".", alpha=0.6, **style)
        ax.plot(x, runs.mean(), marker="_", markersize=11, markeredgewidth=3, **style)
        y = {"above": runs.max(), "below": runs.min()}.get(side, runs.mean())
        ha, va, (right, up) = places[side]
        away = (right + nudge, up)
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
    share = sum(counts[:-1]) / max(1, sum(counts))
    ax.set_title(
        f"{session.percent(share)} of the images that some run gets wrong are right in another"
    )
    plotting.show(
        figure,
        "Test images by the number of reference runs that get them wrong. Those that are not wrong "
        "in all of them are the images that another seed changes.",
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

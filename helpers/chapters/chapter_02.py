"""Exercises of 02: multiply-adds, McNemar's test, an interval over seeds."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy import stats

from helpers import plotting
from helpers.exercises import Exercise

work = Exercise(
    "02-1",
    points=1,
    lesson="The second convolution costs eleven times the first: channels cost more than pixels.",
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
work.case("9 × 7, kernel 2, 2 to 3 channels", 9, 7, 2, 2, 3, hidden=True)


@work.right
def _place_by_place(h, w, k, i, o):
    return sum(k * k * i * o for _ in range(k, h + 1) for _ in range(k, w + 1))


@work.mistake("That is the number of weights: each is used at every place.", places=lambda d, k: 1)
@work.mistake("Without padding a kernel of 3 has 2 places in 4 pixels.", places=lambda d, k: d + k)
@work.mistake("One place too few: count those of a kernel of 3 in 4 pixels.", places=lambda d, k: d)
@work.mistake("Right for one channel only: each filter reads all c_in channels.", reads=1)
@work.mistake("The bias is added without a multiplication: it does not count here.", bias=1)
@work.mistake("A multiplication with its addition counts as one, not as two.", each=2)
def _multiply_adds(h, w, k, i, o, places=lambda d, k: d + 1, reads=None, bias=0, each=1):
    return places(h - k, k) * places(w - k, k) * (k * k * (reads or i) + bias) * o * each


mcnemar = Exercise(
    "02-2",
    points=3,
    lesson="Of 2,000 images only the few on which they disagree say which is better.",
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
mcnemar.case("200 other images", *np.random.default_rng(0).random((2, 200)) < 0.9, hidden=True)
SAME_IMAGES = "Both saw the same images: those on which they agree say nothing. Leave them out."
NOT_EXACT = "That is the chi-square approximation: the exercise asks for the exact test."
_is_at_most_1 = mcnemar.rule("The sides overlap here: p is at most 1.")(lambda p: not p > 1)
_disagree = mcnemar.rule("Without a disagreement nothing speaks against equal networks: return 1.")(
    lambda p, a, b: np.any(a != b)
)


@mcnemar.right
@mcnemar.mistake(_is_at_most_1, most=2)
@mcnemar.mistake(_disagree, none=np.nan)
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


interval = Exercise(
    "02-3",
    points=2,
    lesson="Where 0 lies outside the interval, eight seeds show that the difference is real.",
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
interval.case("8 other seeds", *np.random.default_rng(0).normal(0.95, 0.01, (2, 8)), hidden=True)
NOT_NORMAL = "1.96 needs many observations: with 8, Student's t with 7 degrees gives 2.36."
_is_wide = interval.rule("A seed is one observation: n = 8, not 80,000 images.")(
    lambda ends, a, b: np.abs(np.diff(ends)) > 0.5 * np.std(a - b)
)
_is_narrow = interval.rule("One more run would fall there: the mean needs a division by √8.")(
    lambda ends, a, b: np.abs(np.diff(ends)) < 3 * np.std(a - b)
)


@interval.right
def _paired(a, b):
    answer = stats.ttest_rel(a, b).confidence_interval(0.95)
    return answer.low, answer.high


@interval.mistake(_is_wide, n=80_000)
@interval.mistake(_is_narrow, n=1)
@interval.mistake(NOT_NORMAL, half=1.96)
@interval.mistake(NOT_NORMAL, half=1.96, ddof=0)
@interval.mistake("NumPy divides by n: estimated from 8 seeds, it must be n - 1, ddof=1.", ddof=0)
@interval.mistake("95 % leave 2.5 % on each side: take the quantile at 0.975.", half=1.894579)
@interval.mistake("8 differences leave 7 degrees of freedom.", half=2.306004)
@interval.mistake("The sign is turned: the exercise asks for a - b.", sign=-1)
def _interval(a, b, half=2.364624, ddof=1, n=8, sign=1):
    half *= (a - b).std(ddof=ddof) / np.sqrt(n)
    return sign * (a - b).mean() - half, sign * (a - b).mean() + half


@interval.mistake("The seeds come in pairs: take the 8 differences, then one mean and deviation.")
def _unpaired(a, b):
    answer = stats.ttest_ind(a, b).confidence_interval(0.95)
    return answer.low, answer.high


# --- figures


def verdicts(tables, title):
    """Draw what a test said of every pair of runs: worse, better, or nothing.

    Parameters
    ----------
    tables : dict of str to int array of shape (seeds, seeds)
        Row = seed of the named network, column = seed of the reference; 1 is better, -1 worse.
    title : str
        The finding.

    Returns
    -------
    matplotlib Figure
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
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def intervals(values, marked, x_label, title):
    """Draw the 95 % interval of the mean of each column, and its values as small dots.

    Parameters
    ----------
    values : DataFrame; one column for each interval, one row for each run
    marked : collection of str
        The columns that are drawn in orange; the others are gray.
    x_label, title : str

    Returns
    -------
    matplotlib Figure
    """
    from scipy import stats

    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    figure, ax = plt.subplots(figsize=(8.5, 0.8 + 0.48 * values.shape[1]))
    for place, name in enumerate(values):
        colour = plotting.COLOURS[3] if name in marked else "0.5"
        ax.plot([low[place], high[place]], [place, place], color=colour, linewidth=6, alpha=0.4)
        ax.plot(values[name].mean(), place, marker="D", color=colour)
        ax.plot(values[name], np.full(len(values), place + 0.28), ".", color=colour, alpha=0.6)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(values.shape[1]), list(values))
    ax.set(ylim=(values.shape[1] - 0.4, -0.5), xlabel=x_label, title=title)
    return figure


def cost_and_runs(ax, cost, values, sides):
    """Draw every run of every network against what the network costs; a bar is the mean.

    Parameters
    ----------
    ax : matplotlib Axes
    cost : Series; one number for each network, its name is the name of the axis
    values : DataFrame; one column for each network, one row for each run
    sides : dict of str to {"left", "right", "above", "below"}
        Where a name stands, seen from its dots, if not on the right.
    """
    colours = [
        *plotting.COLOURS[:5],
        (0.25, 0.25, 0.25),
        plotting.COLOURS[9],
    ]  # those dark enough on white
    aligned = {"left": ("right", "center"), "right": ("left", "center")}
    aligned |= {"above": ("center", "bottom"), "below": ("center", "top")}
    for name, colour in zip(values, colours, strict=False):
        x, runs, side = cost[name], values[name], sides.get(name, "right")
        ax.plot(np.full(len(runs), x), runs, ".", color=colour, alpha=0.6)
        ax.plot(x, runs.mean(), marker="_", markersize=13, markeredgewidth=3, color=colour)
        y = {"above": runs.max(), "below": runs.min()}.get(side, runs.mean())
        away = {"left": (-9, 0), "right": (9, 0), "above": (0, 4), "below": (0, -4)}[side]
        ha, va = aligned[side]
        ax.annotate(name, (x, y), away, textcoords="offset points", ha=ha, va=va, fontsize=10)
    ax.set(xscale="log", xlabel=f"{cost.name} (log scale)")

"""Exercises of 04: confidence when right and wrong, calibration, refusal; its figures."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import ticker
from scipy import stats

from helpers import plotting, session
from helpers.exercises import Exercise, not_nan

RNG = np.random.default_rng(0)
DRAWN = (RNG.dirichlet(np.full(5, 0.5), 30) + 0.002) / 1.01  # 30 images, 5 classes
means = Exercise(
    "04-1",
    points=1,
    lesson="Wrong answers are less sure on average, but far from unsure.",
    hint=(
        "m(x) needs p only. The label only says which images belong to which mean.",
        "One array of the largest probabilities, one of True and False: p.argmax(axis=1) == y.",
        "m[right].mean(), m[~right].mean()",
    ),
)
means.case("the text's example", np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0, 1]))
UNSURE = DRAWN[np.argsort(DRAWN.max(axis=1))[:16:2]]  # m(x) is below 0.5 in some
means.case("8 images, 5 classes", UNSURE, (UNSURE.argmax(axis=1) + np.arange(8) % 2) % 5)


@means.hidden("images drawn at random")
def _draw_means(rng):
    n, classes = rng.integers([20, 4], [40, 9])
    p = rng.dirichlet(np.full(classes, 0.5), n)
    return p, np.where(np.arange(n) % 3 == 0, p.argmax(axis=1), (p.argmax(axis=1) + 1) % classes)


are_two = means.rule("Two numbers: one mean over the right answers, one over the wrong ones.")(
    lambda result: result.shape == (2,)
)


error = Exercise(
    "04-2",
    points=3,
    lesson="A mean gap is honest only if it cannot cancel and if crowded bins count more.",
    hint=(
        "In each bin compare two means: how sure, and how often right. Which bins count more?",
        "np.minimum((m * bins).astype(int), bins - 1) is each image's bin; skip the empty ones.",
        "error += inside.mean() * abs(m[inside].mean() - correct[inside].mean())",
    ),
)


def _images(*groups):
    """Build m and correct from groups (confidence, images, images classified correctly)."""
    m = np.concatenate([np.full(n, value) for value, n, _ in groups])
    return m, np.concatenate([np.arange(n) < good for _, n, good in groups])


TWO = (0.88, 10, 10), (0.99, 50, 44)
error.case("two groups of images, 15 bins", *_images(*TWO), 15)
error.case("the text's example", *_images((0.9, 1, 1), (0.6, 3, 0)))
SCATTERED = np.array([0.02, 0.05, 0.13, 0.28, 0.31, 0.32, 0.52, 0.58, 0.69, 0.71, 0.83, 0.85, 0.97])
RIGHT = np.isin(np.arange(13), [1, 3, 6, 8, 9, 11, 12])
error.case("13 images, 15 bins", SCATTERED, RIGHT, 15)
error.case("two groups and 40 with m = 1", *_images(*TWO, (1.0, 40, 30)), 15)
error.case("two groups of images, 2 bins", *_images(*TWO), 2)
error.case("13 images, 30 bins", SCATTERED, RIGHT, 30)


@error.hidden("images and bins drawn at random")
def _draw_bins(rng):
    bins, n = int(rng.choice([5, 7, 11, 12, 13])), int(rng.integers(40, 60))
    # never on an edge between two bins, but some at 1; and some bins are empty
    which = rng.choice(rng.choice(bins, 4, replace=False), n, p=[0.1, 0.2, 0.3, 0.4])
    m = (which + rng.uniform(0.1, 0.9, n)) / bins
    m[:5] = 1.0
    return m, rng.random(n) < 0.6, bins


CANCEL = "Too sure here and not sure enough there cancel: take the absolute gap in each bin."
is_finite = error.rule("An empty bin has no mean: skip it.")(not_nan)
is_positive = error.rule(CANCEL)(lambda result: result >= 0)
none_at_1 = error.rule("m = 1 belongs to the last bin: yours has lost it.")(
    lambda result, m, correct, bins=15: m.max() < 1
)
usual_bins = error.rule("The number of bins must follow the argument `bins`.")(
    lambda result, m, correct, bins=15: bins == 15
)


kept = Exercise(
    "04-3",
    points=2,
    lesson="A network that may say “I do not know” makes fewer mistakes on the rest.",
    hint=(
        "Put the images in the order of their confidence. How many are kept?",
        "np.argsort(-m) begins with the surest image; share * len(m), rounded, says how many stay.",
        "correct[np.argsort(-m)[:kept]].mean()",
    ),
)
kept.case("the text's example", np.array([0.9, 0.6, 0.8, 0.5]), np.arange(4) < 2, 0.5)
kept.case("10 images, share = 0.67", np.arange(10) * 7 % 10 / 10, np.arange(10) % 3 != 1, 0.67)
kept.case("20 images, share = 0.26", np.linspace(0.41, 0.99, 20), np.arange(20) % 5 > 0, 0.26)


@kept.hidden("images and a share drawn at random", part=0.3)
@kept.hidden("images and a share drawn at random", part=0.7)
def _draw_share(rng, part):
    n = int(rng.integers(50, 90))
    share = (rng.integers(n // 5, n // 3) + part) / n  # share * n is no whole number
    return rng.permutation(np.linspace(0.21, 0.99, n)), rng.random(n) < 0.5, float(share)


def above_0(values):
    """Whether the 95 % interval of a mean lies above 0, by Student's t over the draws.

    Parameters
    ----------
    values : array of shape (n,)
        Differences, one for each draw; n >= 2.

    Examples
    --------
    >>> above_0(np.array([1.0, 2.0, 3.0]))
    False
    >>> above_0(np.array([1.9, 2.0, 2.1]))
    True
    """
    return bool(_interval(values[:, None])[1][0] > 0)


def risk_at(curves, shares):
    """Return the risk at some shares of the images kept: a DataFrame, a row for each share.

    Parameters
    ----------
    curves : dict of str to pair of arrays of shape (n,)
        Coverage and risk of each model: what `helpers.confidence.risk_coverage` gives.
    shares : list of float in ]0, 1]

    Examples
    --------
    >>> risk_at({"CNN": (np.array([0.5, 1]), np.array([0.1, 0.2]))}, [0.5, 1]).loc[0.5, "CNN"]
    np.float64(0.1)
    """
    return pd.DataFrame(
        {
            name: risk[np.rint(np.multiply(shares, len(risk))).astype(int) - 1]
            for name, (_, risk) in curves.items()
        },
        index=shares,
    )


# --- figures


def show_confidences(m):
    """Show how often each model is how sure: a histogram of m(x) for each.

    Parameters
    ----------
    m : dict of str to array of shape (n,), values in [0, 1]
        The confidences by the name of the model: ``"CNN"``, ``"LR"``, ``"k-NN, k = 5"`` …
    """
    findings = {name: _finding(name, values) for name, values in m.items()}
    figure = _histograms({f"{name}:\n{findings[name]}": values for name, values in m.items()})
    said = "; ".join(f"{name}, {finding}" for name, finding in findings.items())
    plotting.show(
        figure,
        f"Histograms of m(x), one for each model, counts on a log scale: {said}. The shape comes "
        "from how a model makes its probability.",
    )


def _finding(name, m):
    """Say what the histogram of a model shows; the k of k-NN stands at the end of its name."""
    if name.startswith("k-NN"):
        return f"multiples of 1/{name.split()[-1]}"
    return "one peak at 1" if _has_peak(m) else "spread out"


def _has_peak(m):
    return bool(np.median(m) > 0.99)


def show_sharpened(cnn, lr, sharpened, power):
    """Show that a power of its probabilities gives LR the peak of the CNN.

    Parameters
    ----------
    cnn, lr, sharpened : arrays of shape (n,), values in [0, 1]
        The confidences m(x) of the CNN, of LR, and of LR to the `power`.
    power : float
    """
    peak = _has_peak(sharpened)
    title = f"LR, to the power {power:g}:\n{'a peak for free' if peak else 'no peak yet'}"
    as_one = f"CNN: {session.percent(np.mean(cnn >= 0.99995))} of the m(x)\nprint as 1.0000"
    figure = _histograms({as_one: cnn, "LR": lr, title: sharpened})
    plotting.show(
        figure,
        "Three histograms of m(x): the CNN, logistic regression, and the same raised to a power. "
        + ("The last has the CNN's peak at 1: anybody can make one." * peak),
    )


def _histograms(panels):
    """Draw histograms side by side, on one log scale; `panels` maps a title to m(x)."""
    size = (0.7 + 2.7 * len(panels), 3.1)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (title, values) in zip(axes.flat, panels.items(), strict=True):
        # a bin has its centre on 0.1, 0.12, …: no share of votes falls on an edge
        ax.hist(values, bins=np.arange(0.09, 1.02, 0.02), color=plotting.COLOURS[0])
        ax.set(yscale="log", xlim=(0, 1.03), xlabel="confidence m(x)", title=title)
    axes[0, 0].set_ylabel("test images (log scale)")
    return figure


def show_reliability(tables, gaps):
    """Show whether models are right as often as they say: a reliability diagram for each.

    Both axes are log-odds axes, so that 0.99 and 0.999 are as far apart as 0.9 and 0.99. The gray
    whiskers on the diagonal show chance: 95 % of a calibrated model's dots lie inside.

    Parameters
    ----------
    tables : dict of str to DataFrame
        What `helpers.confidence.reliability` gives, by the name of the model.
    gaps : dict of str to float, in [-1, 1]
        Mean confidence − accuracy over all images of each model, for the titles.
    """
    size = (0.7 + 2.7 * len(tables), 3.7)
    figure, axes = plt.subplots(1, len(tables), figsize=size, sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=True):
        _reliability(ax, table)
        title = f"{name}: on average\n{100 * abs(gaps[name]):.1f} points {_verdict(gaps[name])}"
        ax.set_title(title)
        ax.label_outer()
    said = [f"{name} is {_verdict(gaps[name])}, and {_sides(tables[name])}." for name in tables]
    plotting.show(
        figure,
        "Reliability diagrams, accuracy against confidence, on log-odds axes, one for each model. "
        + " ".join(said),
        name="04_reliability",
    )


def _verdict(gap):
    return "too sure" if gap > 0 else "too modest"


def _chance(table):
    """Return the ends of the accuracies that hold 95 % of a calibrated model's dots, (2, bins)."""
    honest = table["confidence"].to_numpy().clip(0, 1)  # a mean of float32 may come out above 1
    count = table["count"].to_numpy()
    return np.array(stats.binom.interval(0.95, count, honest)) / count


def _sides(table):
    """Say on which side of chance the dots of a model lie."""
    low, high = _chance(table)
    outside = {
        "below": (table["accuracy"] < low).any(),
        "above": (table["accuracy"] > high).any(),
    }
    sides = [side for side, some in outside.items() if some]
    return f"some dots lie {' and some '.join(sides)} chance" if sides else "chance explains it"


FEW, ALL = 0.25, 1 - 2e-5  # what a log-odds axis shows: it has no place for 1
TICKS = (0.5, 0.9, 0.99, 0.999)


def _reliability(ax, table):
    said, found, count = (
        table[column].to_numpy() for column in ("confidence", "accuracy", "count")
    )
    honest = said.clip(0, 1)
    low, high = _chance(table).clip(FEW, ALL)
    x = honest.clip(FEW, ALL)
    ax.plot([FEW, ALL], [FEW, ALL], color="0.6", linestyle="--", linewidth=1)
    ax.vlines(x, low, high, color="0.6", linewidth=4)
    blue, size = plotting.COLOURS[0], 10 + 120 * count / count.sum()
    ax.scatter(x, found.clip(FEW, ALL), s=size, color=blue, zorder=3, clip_on=False)
    ax.set(xscale="logit", yscale="logit", xlim=(FEW, ALL), ylim=(FEW, ALL))
    ax.set(xlabel="mean confidence m(x)", ylabel="accuracy", aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_ticks([*TICKS, ALL], [*(f"{tick:g}" for tick in TICKS), "1"])
        axis.set_minor_locator(ticker.NullLocator())
    ax.tick_params(labelsize=8)


def show_refusal(curves):
    """Show what models gain when they may refuse the images that they doubt.

    Parameters
    ----------
    curves : dict of str to pair of arrays of shape (n,)
        Coverage and risk of each model: what `helpers.confidence.risk_coverage` gives.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8))
    for name, (coverage, risk) in curves.items():
        kept = coverage >= 0.5
        left.plot(100 * coverage[kept], 100 * risk[kept], label=name)
        right.plot(100 * coverage[kept], 100 * risk[kept] / risk[-1], label=name)
    shares = {name: risk[coverage >= 0.5] for name, (coverage, risk) in curves.items()}
    lowest = {list(shares)[place] for place in np.argmin(list(shares.values()), axis=0)}
    everywhere = f"{min(lowest)} has the least risk at every share drawn"
    left.set(title=everywhere if len(lowest) == 1 else "Risk of the images kept")
    left.set(ylabel="risk: mistakes among the images kept (%)")
    at = {name: risk[np.argmin(abs(coverage - 0.9))] for name, (coverage, risk) in curves.items()}
    part = {name: at[name] / risk[-1] for name, (_, risk) in curves.items()}
    title = f"Refusing one in ten, {min(part, key=part.get)} loses the largest part"
    right.set(title=title, ylabel="risk (% of that without refusal)")
    left.legend()
    for ax in (left, right):
        ax.set(xlabel="coverage: images kept, the surest first (%)", xlim=(49, 101))
        ax.set_ylim(bottom=0)
    lowest_first = (", ".join(sorted(values, key=values.get)) for values in (at, part))
    plotting.show(
        figure,
        "Two panels of risk-coverage curves: mistakes among the images kept, against their share. "
        f"With nine in ten kept, the lowest first: {next(lowest_first)}. Right, each curve is "
        "divided by its end without refusal, so that only the order of the m(x) counts: "
        f"{next(lowest_first)}.",
        name="04_refusal",
    )


def show_active_learning(curves, labels):
    """Show what it brings to label the doubtful images first: accuracy, and the lead over chance.

    Parameters
    ----------
    curves : dict of str to array of shape (draws, n), values in [0, 1]
        For each order of buying, ``"chance"`` among them, the accuracy in each draw; place i of
        all orders began with the same images and the same first labels. At least two draws; the
        bands are 95 % intervals of the mean, by Student's t over the draws.
    labels : array of shape (n,)
        How many labels were known.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.5, 3.8))
    ends = []
    for colour, (name, accuracy) in zip(plotting.COLOURS, curves.items(), strict=False):
        mean, low, high = _interval(100 * accuracy)
        left.plot(labels, mean, "o-", color=colour, markersize=4, label=name)
        left.fill_between(labels, low, high, color=colour, alpha=0.25, linewidth=0)
        if name != "chance":
            mean, low, high = _interval(100 * (accuracy - curves["chance"]))
            right.plot(labels, mean, "o-", color=colour, markersize=4)
            right.fill_between(labels, low, high, color=colour, alpha=0.25, linewidth=0)
            side = "ahead" if low[-1] > 0 else "behind" if high[-1] < 0 else "not told apart"
            ends.append(f"{name}, {side}")
    right.axhline(0, color="black", linestyle="--", linewidth=1)
    left.set(title="Which labels are worth their price?", ylabel="test accuracy (%)")
    left.legend(title="images bought by")
    right.set(title="The lead over chance, draw by draw", ylabel="lead over chance (points)")
    for ax in (left, right):
        ax.set(xlabel="labels known")
    plotting.show(
        figure,
        "Two panels against the labels known, each curve with a band. Left, the accuracy of the "
        "learners rises and flattens. Right, their lead over buying by chance, at the end: "
        + "; ".join(ends)
        + ".",
        name="04_active_learning",
    )


def _interval(values):
    """Mean of the rows, and the ends of its 95 % interval by Student's t, column by column."""
    mean, n = values.mean(axis=0), len(values)
    half = stats.t.ppf(0.975, n - 1) * values.std(axis=0, ddof=1) / np.sqrt(n)
    return mean, mean - half, mean + half


def show_no_digits(images, p, q05):
    """Show how sure models are of images that are no digits, one strip of dots for each.

    Parameters
    ----------
    images : dict of str to array of shape (n, h, w, 1), values in [0, 1]
        Images of each kind; the first one is drawn.
    p : dict of str to dict of str to array of shape (n, classes)
        For each kind and model, the probabilities; their maxima m(x) are the dots.
    q05 : mapping of str to float
        For each model, the confidence that 95 % of the digits reach: a short black line.
    """
    figure, axes = plt.subplots(
        2,
        len(images),
        figsize=(2.3 * len(images), 4.4),
        height_ratios=[1, 2.2],
        sharey="row",
        squeeze=False,
    )
    aside = np.random.default_rng(0)  # dots at the same height are spread, to be seen
    for kind, top, bottom in zip(images, *axes, strict=True):
        top.imshow(plotting.squeeze_digits(images[kind])[0], cmap="gray", vmin=0, vmax=1)
        top.set_title(kind, loc="center")
        top.axis("off")
        for place, (model, answers) in enumerate(p[kind].items()):
            m = answers.max(axis=1)
            x = place + aside.uniform(-0.25, 0.25, len(m)) * (len(m) > 1)
            size, alpha = (8, 0.35) if len(m) > 1 else (40, 1)
            bottom.scatter(x, m, s=size, alpha=alpha, color=plotting.COLOURS[place], linewidths=0)
            bottom.hlines(q05[model], place - 0.4, place + 0.4, color="black", linewidth=1.5)
        names = [model.replace(", ", "\n").replace(" = ", "=") for model in p[kind]]
        bottom.set(xticks=range(len(names)), xticklabels=names, ylim=(0, 1.04))
        bottom.tick_params(axis="x", length=0, labelsize=9)
    axes[1, 0].set_ylabel("confidence m(x)")
    passing = [
        f"{kind}, by {model}"
        for kind in list(images)[1:]
        for model, answers in p[kind].items()
        if np.median(answers.max(axis=1)) >= q05[model]
    ]
    title = "No model says “this is no digit”. Black lines: 95 % of the digits reach them"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "Kinds of image, and below each the m(x) of the models as dots. For these, most images "
        f"pass the line that nearly all digits pass: {'; '.join(passing) or 'none'}.",
        name="04_no_digits",
    )

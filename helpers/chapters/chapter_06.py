"""Exercises and figures of 06: the direction of k-NN inversion, whom to follow, the soft loss."""

import timeit

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import stats

from helpers import plotting, session
from helpers.exercises import Exercise

push = Exercise(
    "06-1",
    points=2,
    lesson="No derivative was needed: the neighbours say where to go.",
    hint=(
        "x - X points away from X, and x - η·direction turns it round. And a wrong class?",
        "np.where(labels == target, 1, -1) are signs; [:, None] makes them a column.",
        "(sign[:, None] * (x - neighbours)).mean(axis=0)",
    ),
)
# one 3, to the left of and below the image; three images of other classes
POINT, CLASSES = np.array([0.5, 0.5]), np.array([3, 5, 8, 5])
NEIGHBOURS = np.array([[0.1, 0.2], [0.9, 0.4], [0.6, 0.9], [0.7, 0.7]])
push.case("the text's example", POINT[:1], np.array([[0.9], [0.3]]), np.array([4, 1]), 4)
push.case("4 neighbours, one of class 3", POINT, NEIGHBOURS, CLASSES, 3)
push.case("4 neighbours, two of class 5", POINT, NEIGHBOURS, CLASSES, 5)


@push.hidden("neighbours drawn at random")
def _draw_neighbours(rng):
    k, pixels = rng.choice(np.arange(4, 9), 2, replace=False)
    target, *others = rng.choice(10, 3, replace=False)
    labels = rng.permutation([target, target, *rng.choice(others, k - 2)])
    return rng.random(pixels), rng.random((k, pixels)), labels, int(target)


@push.hidden("neighbours drawn at random, none of the target class")
def _draw_strangers(rng):
    k, pixels = rng.choice(np.arange(4, 9), 2, replace=False)
    target, *others = rng.choice(10, 3, replace=False)
    return rng.random(pixels), rng.random((k, pixels)), rng.choice(others, k), int(target)


follow = Exercise(
    "06-2",
    points=2,
    lesson=(
        "Most real starts have no neighbour of the target class: "
        "without the fallback they are only pushed away."
    ),
    hint=(
        "Sort all images by distance once. Is one of the first k of the class? Else look further.",
        "near = np.argsort(distances)[:k] are places; near[labels[near] == target] are wanted.",
        "otherwise order[labels[order] == target][:k]",
    ),
)


def _in_any_order(function, *arguments):
    places = function(*arguments)
    return np.sort(places) if np.ndim(places) == 1 else places


# from near to far: 7, 2, 5, 0, 9, 4, 1, 8, 3, 6
FAR = np.array([0.4, 0.7, 0.2, 0.9, 0.6, 0.3, 1.0, 0.1, 0.8, 0.5])
TWO_NEAR, NONE_NEAR = np.array([[1, 3, 3, 3, 1, 3, 3, 1, 1, 3], [1, 3, 1, 3, 3, 1, 3, 1, 3, 3]])
ONE_NEAR = np.array([3, 1, 1, 3, 1, 3, 1, 3, 1, 3])
FOUR = np.array([0.2, 0.9, 0.4, 0.7]), np.array([1, 3, 1, 3])
follow.case("the text's example, target 1", *FOUR, 1, 2, view=_in_any_order)
follow.case("the text's example, target 3", *FOUR, 3, 2, view=_in_any_order)
follow.case("two 3s among the 4 nearest", FAR, TWO_NEAR, 3, 4, view=_in_any_order)
follow.case("no 3 among the 4 nearest", FAR, NONE_NEAR, 3, 4, view=_in_any_order)
follow.case("one 1 among the 4 nearest", FAR, ONE_NEAR, 1, 4, view=_in_any_order)


@follow.hidden("images drawn at random", view=_in_any_order, fitting=0)
@follow.hidden("images drawn at random", view=_in_any_order, fitting=1)
@follow.hidden("images drawn at random", view=_in_any_order, fitting=2)
def _draw_images(rng, fitting):
    """Draw images of which so many of the k nearest are of the target class."""
    n, k, (target, other) = rng.integers(14, 20), rng.integers(4, 7), rng.choice(10, 2, False)
    near = rng.permutation([target] * fitting + [other] * int(k - fitting))
    # the farthest of all is of the class, too
    far = [*rng.permutation([target] * int(k + 1) + [other] * int(n - 2 * k - 2)), target]
    order = rng.permutation(n)
    distances = np.sort(rng.choice(np.arange(1, 100), n, replace=False)) / 100
    return distances[order], np.array([*near, *far])[order], int(target), int(k)


finds_some = follow.rule("No neighbour fits: take the nearest of the class.")(lambda p: p.size > 0)


loss = Exercise(
    "06-3",
    points=3,
    lesson="All images vote, the near ones with more weight: now there is a slope to follow.",
    hint=(
        "It is a softmax over the training images, with -squared_distances / tau as logits.",
        "Subtract the smallest distance from all first: it cancels, and the largest weight is 1.",
        "-np.log(weights[labels == target].sum() / weights.sum())",
    ),
)
SQUARED, LABELS = np.array([4.0, 9.0, 2.0, 16.0, 1.0, 6.0]), np.array([3, 3, 5, 3, 8, 5])
SPREAD = np.array([3000.0, 60.0, 2.0, 9000.0, 1.0, 6.0])  # less the largest, or the first: inf
loss.case("the text's example", np.array([0.0, 2.0]), np.array([3, 5]), 3, 2)
loss.case("6 images, tau = 2", SQUARED, LABELS, 3, 2.0)
loss.case("6 images, tau = 20, target 5", SQUARED, LABELS, 5, 20.0)
loss.case("6 images far away, tau = 2", SQUARED + 4000, LABELS, 3, 2.0)
loss.case("6 images, near and far", SPREAD, LABELS, 3, 2.0)


@loss.hidden("distances drawn at random")
def _draw_distances(rng):
    n, tau = int(rng.integers(6, 20)), float(rng.choice([0.4, 0.7, 3.0, 5.0]))
    target, *others = (int(c) for c in rng.choice(10, 3, replace=False))
    labels = rng.permutation([target, target, *rng.choice(others, n - 2)])
    return rng.uniform(0.3, 12, n), labels, target, tau


@loss.hidden("distances drawn at random, some of them large")
def _draw_far(rng):
    squared, labels, target, tau = _draw_distances(rng)
    squared = squared * tau + 4000  # every weight is 0
    return np.append(40_000.0, squared), np.append(target, labels), target, tau


@loss.hidden("distances drawn at random, the target's class far away")
def _draw_far_class(rng):
    squared, labels, target, tau = _draw_distances(rng)
    return squared + (labels == target) * 60 * tau, labels, target, tau


SIGN = "Nearer to the target's class must lower the loss, and yours rises: look at the signs."
FAR_AWAY = "Far from all images every weight is 0, and 0/0 is NaN: subtract the least one first."
is_positive = loss.rule(SIGN)(lambda result: not result < 0)
is_finite = loss.rule(FAR_AWAY)(lambda result: np.isfinite(result))


# --- what judges see, how two makers compare on the same starts, and how long a call takes


def sees(judges, images, targets):
    """Ask every judge where it sees the target.

    Parameters
    ----------
    judges : dict of str to callable
        By their names; each takes images and returns probabilities (n, classes).
    images : array of shape (n, h, w, c)
    targets : int array of shape (n,)

    Returns
    -------
    dict of str to bool array of shape (n,)

    Examples
    --------
    >>> sees({"a": lambda x: np.eye(2)}, np.zeros((2, 1, 1, 1)), np.array([0, 0]))
    {'a': array([ True, False])}
    """
    return {name: judge(images).argmax(axis=1) == targets for name, judge in judges.items()}


def share(yes):
    """Write a share with its 95 % interval (Wilson): for the cells of a table.

    Parameters
    ----------
    yes : bool array of shape (n,)

    Returns
    -------
    str

    Examples
    --------
    >>> share(np.arange(100) < 46)
    '46 % (37 to 56)'
    """
    count = stats.binomtest(int(np.sum(yes)), len(yes))
    low, high = count.proportion_ci(method="wilson")
    return f"{session.percent(count.statistic)} ({100 * low:.0f} to {100 * high:.0f})"


def paired(first, second):
    """Compare yes and no on the same images, by McNemar's exact test.

    Parameters
    ----------
    first, second : bool arrays of shape (n,)

    Returns
    -------
    only_first, only_second : int
        The images on which the two differ.
    p : float
        The p-value, two-sided; 1 where they differ nowhere.

    Examples
    --------
    >>> paired(np.array([True] * 6 + [False]), np.zeros(7, bool))
    (6, 0, 0.03125)
    """
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    differ = only_first + only_second
    p = stats.binomtest(only_first, differ).pvalue if differ else 1.0
    return only_first, only_second, float(p)


def compare(seen, pairs):
    """Compare two makers at a time, for every judge, by `paired`.

    Parameters
    ----------
    seen : dict of str to (dict of str to bool array of shape (n,))
        By maker and judge: on which of the same starts the judge sees the target.
    pairs : list of (str, str)
        The makers to compare.

    Returns
    -------
    pandas.DataFrame
        One row for each pair and judge: how often it sees the target in the images of only the
        first or only the second, the p-value, and whether the first is ahead and p stays below
        0.05 / rows (Bonferroni).

    Examples
    --------
    >>> seen = {"a": {"judge": np.ones(9, bool)}, "b": {"judge": np.zeros(9, bool)}}
    >>> print(compare(seen, [("a", "b")]).to_string(index=False))
     only the first  only the second  p-value  first is ahead
                  9                0 0.003906            True
    """
    rows = {
        (first, second, judge): paired(seen[first][judge], seen[second][judge])
        for first, second in pairs
        for judge in seen[first]
    }
    columns = ["only the first", "only the second", "p-value"]
    table = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    table.index = pd.MultiIndex.from_tuples(table.index, names=["first", "second", "judge"])
    more = table["only the first"] > table["only the second"]
    table["first is ahead"] = more & (table["p-value"] < 0.05 / len(table))
    return table


def milliseconds(call):
    """Time a call five times and return the shortest: other programs can only add to it.

    Examples
    --------
    >>> milliseconds(lambda: None) < 1000
    True
    """
    return 1000 * min(timeit.repeat(call, number=1, repeat=5))


def straightness(run):
    """Distance from start to end, divided by the length of the trajectory: the median.

    Parameters
    ----------
    run : Inversion
        With a frame for every step.

    Returns
    -------
    float, from 0 (to and fro) to 1 (a straight line); images that never moved do not count

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> corner = np.array([[0, 0], [3, 0], [3, 4]]).reshape(3, 1, 2, 1, 1)
    >>> float(straightness(SimpleNamespace(frames=corner)).round(2))  # 5 of 7 steps
    0.71
    """
    trajectory = run.frames.reshape(*run.frames.shape[:2], -1)
    length = np.linalg.norm(np.diff(trajectory, axis=0), axis=2).sum(axis=0)
    distance = np.linalg.norm(trajectory[-1] - trajectory[0], axis=1)
    moved = length > 0
    return np.median(distance[moved] / length[moved])


# --- figures


def show_line(t, knn, cnn, k, source, target):
    """Show p along a straight line of images: k-NN climbs in jumps, the CNN smoothly.

    Parameters
    ----------
    t : array of shape (n,), values in [0, 1]
        The share of the way from the first image to the last.
    knn, cnn : arrays of shape (n,), values in [0, 1]
        The probability that each classifier gives to the target.
    k : int
        The neighbours that vote.
    source, target : int
        The classes of the first and of the last image.
    """
    figure, ax = plt.subplots(figsize=(7, 3.4))
    ax.step(t, knn, where="mid", label=f"k-NN, k = {k}")
    ax.plot(t, cnn, label="CNN")
    ax.legend(frameon=False)
    ax.set(xlabel=f"t, share of the way from a real {source} to a real {target}")
    ax.set(ylabel=f"$p_{{{target}}}(x)$")
    votes, answers = (len(np.unique(np.round(p, 6))) for p in (knn, cnn))
    ax.set_title(f"At {len(t)} points, k-NN gives {votes} different p, the CNN {answers}")
    plotting.show(
        figure,
        "Two curves of p along the line. That of k-NN is a staircase of flat pieces and jumps, "
        "because votes are whole numbers; on a flat piece no small change raises p. The CNN's has "
        "no such pieces.",
    )


def show_walk(trajectory, p, source, target):
    """Show one image on its way, with its p.

    Parameters
    ----------
    trajectory : array of shape (steps + 1, 1, h, w, 1), values in [0, 1]
    p : array of shape (steps + 1,), values in [0, 1]
        The share of the votes for the target, at each of these images.
    source, target : int
        The class of the first image, and the one that it is to become.
    """
    shown = np.linspace(0, len(trajectory) - 1, 8).round().astype(int)
    figure = plotting.digit_table(
        trajectory[shown].swapaxes(0, 1),
        column_labels=[f"step {step}\np = {p[step]:.1f}" for step in shown],
        title=f"A real {source} follows its neighbours of class {target}: "
        f"p goes from {p[0]:.1f} to {p[-1]:.1f}",
    )
    plotting.show(
        figure,
        f"Eight images of one walk. The first is a real {source}. Its strokes change little from "
        f"image to image, and p of class {target} stands above each.",
        name="06_walk",
    )


def show_search_time(sizes, knn, cnn):
    """Show that the search pays for every training image, and the CNN for none.

    Parameters
    ----------
    sizes : array of shape (n,)
        Training images in the index.
    knn : array of shape (n,), milliseconds
        The time of one search for 100 noise images, by the size of the index.
    cnn : float, milliseconds
        The time of a whole step of the CNN for as many images.
    """
    figure, ax = plt.subplots(figsize=(6.5, 3.4))
    ax.plot(sizes, knn, marker="o", label="k-NN: search")
    ax.axhline(cnn, color=plotting.COLOURS[1], label="CNN: whole step")
    ax.set(xlabel="training images in the index", ylabel="milliseconds for 100 noise images")
    ax.set_ylim(0)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    images, time = sizes[-1] / sizes[0], knn[-1] / knn[0]
    ax.set_title(f"{images:g} times the images: the search takes {time:.1f} times as long")
    ax.legend(frameon=False)
    plotting.show(
        figure,
        "Time against the number of training images: a curve with dots for the search, and a flat "
        "line for a step of the CNN, which does not depend on them.",
    )


def show_side_by_side(groups):
    """Show starts, and under each what several inversions made of it, with the final p.

    Parameters
    ----------
    groups : dict of str to (dict of str to Inversion, array of int)
        Name of the starts -> the runs that began there, by the name of their row, and which of
        their images to show. The targets of the columns are the same in every group.
    """
    rows = []
    for start, (runs, places) in groups.items():
        first = next(iter(runs.values()))
        targets = first.targets[places]
        rows.append((start, first.start[places], [""] * len(places)))
        for name, run in runs.items():
            p = [f"{value:.2f}" for value in run.probability[places]]
            rows.append((name, run.images[places], p))
    labels, images, captions = zip(*rows, strict=True)
    title = "Which rows show the digit that stands above the column?"
    columns = [f"to {target}" for target in targets]
    figure = plotting.digit_table(np.stack(images), labels, columns, title, captions=captions)
    plotting.show(
        figure,
        "Starts, one for each target, and below them what each classifier made of them, with its "
        f"own p. From top to bottom: {', '.join(labels)}.",
    )


def show_makers(runs, sources, places):
    """Show what several classifiers made of the same real digits.

    Parameters
    ----------
    runs : dict of str to Inversion
        By the name of the maker, all from the same starts and with the same targets.
    sources : int array of shape (n,)
        The class of each start.
    places : int array
        Which images to show.
    """
    targets = next(iter(runs.values())).targets
    title = "In which rows has the source become its target?"
    figure = plotting.digit_table(
        np.stack([run.images[places] for run in runs.values()]),
        list(runs),
        [f"{sources[place]} → {targets[place]}" for place in places],
        title,
    )
    plotting.show(
        figure,
        "Rows of images made from the same real digits, each to become another one. Each row has "
        "the name of its maker on the left, each column both digits above it.",
        name="06_four_makers",
    )

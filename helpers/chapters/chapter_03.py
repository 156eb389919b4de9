"""Exercises of 03: votes, distances without a loop, the best k; figures, and two statistics."""

import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.stats import binomtest

from helpers import models, neighbours, plotting, session, training
from helpers.claims import claim, skipped
from helpers.exercises import Exercise, not_nan, rows_sum_to_1

vote = Exercise(
    "03-1",
    points=1,
    lesson="With 5 neighbours a share is a multiple of 1/5: that is all k-NN can say.",
    hint=(
        "For one image: how often does each of the labels 0 to 9 stand in its row?",
        "np.bincount counts the labels of a row. Then make the counts sum to 1.",
        "np.bincount(row, minlength=10) for each row, divided by neighbour_labels.shape[1]",
    ),
)
vote.case("the text's example", np.array([[2, 2, 5, 2]]))
vote.case("3 images, 5 neighbours", np.array([[3, 3, 8, 3, 5], [8, 8, 0, 8, 8], [1, 7, 1, 8, 7]]))
vote.case("2 images, 8 neighbours", np.array([[4, 4, 9, 4, 4, 9, 9, 9], [0, 6, 0, 6, 6, 5, 5, 2]]))


@vote.hidden("neighbours drawn at random")
def _draw_labels(rng):
    n, k = rng.choice([4, 6, 7, 8, 9], 2, replace=False)
    labels = rng.integers(0, 9, (n, k))
    labels[0] = 9 * (np.arange(k) % 2)  # class 9 occurs, but not for most images
    return (rng.permutation(labels),)


has_ten_columns = vote.rule(
    "A class without a vote lost its column: use minlength=10 for all ten."
)(lambda shares: shares.shape[1] == 10)
sum_to_1 = vote.rule("Each row must sum to 1: divide by neighbour_labels.shape[1].")(rows_sum_to_1)


lengths = Exercise(
    "03-2",
    points=3,
    lesson="As one matrix product, a @ b.T, all the products a·b together make k-NN fast enough.",
    hint=(
        "Which of the three terms is a matrix product? The other two are a column and a row.",
        "(a**2).sum(axis=1) has shape (n,); with [:, None] behind it, it is a column.",
        "column + row - 2 * a @ b.T; then floor it at 0, then the root",
    ),
    # with the floor, the distance of an image to itself comes out as up to 0.03
    tolerance=5e-3,
)
# float32 rounding makes a² + b² - 2ab of an image and itself a little less than 0, for some of them
IMAGES = np.random.default_rng(0).random((100, 784), dtype=np.float32)
lengths.case("the text's example", np.zeros((1, 2)), np.array([[3.0, 4.0], [0.0, 1.0]]))
lengths.case(
    "2 queries, 3 images", *np.array([[[3.0, 4], [6, 8], [1, 0]], [[0, 0], [3, 4], [1, 1]]])[:, :2]
)
lengths.case("100 images and themselves", IMAGES, IMAGES)


@lengths.hidden("points drawn at random")
def _draw_points(rng):
    n, m, pixels = rng.choice(np.arange(4, 12), 3, replace=False)
    a, b = rng.uniform(-3, 3, (n, pixels)), rng.uniform(-3, 3, (m, pixels))
    b[0] = a[1]
    return a, b


@lengths.hidden("images and themselves, drawn at random")
def _draw_images(rng):
    images = rng.random((100, 784), dtype=np.float32)  # rounding goes below 0 for some of them
    return images, images


ELSEWHERE = ("cdist", "distance_matrix", "pairwise_distances", "euclidean_distances", "scipy")
ELSEWHERE += ("sklearn", "NearestNeighbors", "NeighbourIndex", "tf", "keras", "torch")
NO_LOOP = "Without a loop: the three terms are arrays."
numpy_only = lengths.forbids("NumPy only: write the three terms yourself.", *ELSEWHERE)
no_loop = lengths.forbids(NO_LOOP, "for", "while", "map")
no_hidden_loop = lengths.forbids(NO_LOOP, "vectorize", "apply_along_axis", "frompyfunc", "fromiter")
no_nan = lengths.rule("Rounding makes a square negative, its root NaN: floor at 0.")(not_nan)


best = Exercise(
    "03-3",
    points=3,
    lesson="A point that votes for itself tells nothing; without it, k = 1 is no longer perfect.",
    hint=(
        "Who is the nearest neighbour of a training image among the training images?",
        "Ask for one neighbour more than the largest k, drop the first column; the first k vote.",
        "labels[search.kneighbors(images, return_distance=False)[:, 1:]], then row[:k] votes",
    ),
)


def _clouds(seed, n=60):
    """Two overlapping clouds of points, labelled 3 and 8."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat([3, 8], n // 2))
    return np.where(labels == 3, -0.5, 0.5)[:, None] + rng.normal(0, 1, (n, 2)), labels


# these clouds were looked for: the right answer and every mistake differ, and ties change nothing
best.case("60 points", *_clouds(227), (1, 3, 5, 9, 15))
best.case("60 other points", *_clouds(216), (1, 3, 5, 9, 15))
best.case("40 points, the ks not in order", *_clouds(2347, 40), [7, 1, 11, 3])
best.case("50 points", *_clouds(520, 50), (1, 3, 7, 13))


@best.hidden("points drawn at random")
def _draw_islands(rng):
    """Draw points for which one k is the best beyond doubt.

    On an island of k + 1 points the few lie in its middle, and the many around them are farther
    from each other: they win the vote only if the whole island votes, and nobody else.
    """
    k = int(rng.choice([7, 9, 11]))
    few, many = (k - 1) // 2, (k + 3) // 2
    images, labels = [], []
    for place, (own, other) in enumerate(rng.permutation([[3, 8], [8, 3]])):
        fence = np.full((18, many), -3 / np.sqrt(many))
        images += [np.zeros((few, many)), np.eye(many), fence]
        images[-3:] = [points + 50 * place for points in images[-3:]]
        labels += [other] * few + [own] * many + [other] * len(fence)
    images = np.concatenate(images) + rng.normal(0, 0.03, (len(labels), many))
    turned, _ = np.linalg.qr(rng.normal(size=(many, many)))
    ks = rng.permutation([1, k, *rng.choice([3, 5, 13, 15], 2, replace=False)])
    order = rng.permutation(len(labels))
    return images[order] @ turned, np.array(labels)[order], [int(k) for k in ks]


no_test_images = best.forbids(
    "Choose k without test images: use `images` and `labels` only.", "x_test", "mnist"
)


def _accuracy(votes, labels):
    return np.mean([np.bincount(row).argmax() for row in votes] == labels)


# --- what the paired tests need beside McNemar's


def holm(p):
    """Correct p-values for their number: the smallest times n, the next times n - 1, and so on.

    Parameters
    ----------
    p : Series of n float

    Returns
    -------
    Series of n float, at most 1, in the order of `p`

    Examples
    --------
    >>> import pandas as pd
    >>> [round(value, 2) for value in holm(pd.Series([0.04, 0.01, 0.5]))]
    [0.08, 0.03, 0.5]
    """
    ordered = p.sort_values()
    return (ordered * np.arange(len(p), 0, -1)).cummax().clip(upper=1)[p.index]


def interval(right):
    """Return the ends of Wilson's 95 % interval for an accuracy.

    Parameters
    ----------
    right : bool array of shape (n,)

    Returns
    -------
    low, high : float

    Examples
    --------
    >>> low, high = interval(np.arange(100) < 90)
    >>> print(f"{low:.3f} to {high:.3f}")
    0.826 to 0.945
    """
    hits = binomtest(int(np.sum(right)), len(right))
    return tuple(hits.proportion_ci(method="wilson"))


def score(right):
    """Return an accuracy with its 95 % interval, as text.

    Examples
    --------
    >>> score(np.arange(100) < 90)
    '90.00 %, 95 % interval 82.56 % to 94.48 %'
    """
    low, high = interval(right)
    return f"{100 * np.mean(right):.2f} %, 95 % interval {100 * low:.2f} % to {100 * high:.2f} %"


def paired_p(right_a, right_b):
    """Return the p-value of McNemar's exact test: only what one of two gets right counts.

    Parameters
    ----------
    right_a, right_b : bool arrays of shape (n,), for the same n images

    Examples
    --------
    >>> paired_p(np.array([True] * 5), np.array([False] * 5))
    0.0625
    """
    only_a, only_b = np.sum(right_a & ~right_b), np.sum(right_b & ~right_a)
    return float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0


def full_claim(sentence, condition, detail=""):
    """Claim what holds for full MNIST only; on the sample, say that it was not tested."""
    if session.profile() == "full":
        claim(sentence, condition, str(detail))
    else:
        skipped(sentence, "it is about 60,000 training images")


def gains(truth, predicted):
    """Count, for each class, the images that it gets from others and those that it loses.

    Parameters
    ----------
    truth, predicted : int arrays of shape (n,), values 0 to 9

    Returns
    -------
    DataFrame, a row for each class: ``gets``, ``loses``, and ``net``, their difference

    Examples
    --------
    >>> list(gains(np.array([8, 9, 1]), np.array([1, 1, 1])).loc[1])
    [2, 0, 2]
    """
    wrong = predicted != truth
    got, lost = (np.bincount(labels[wrong], minlength=10) for labels in (predicted, truth))
    return pd.DataFrame({"gets": got, "loses": lost, "net": got - lost})


def solver_table(fits):
    """Return a table of fits, to show.

    Parameters
    ----------
    fits : DataFrame
        ``model``, whether it gave a ``warning``, and more columns.

    Returns
    -------
    pandas Styler, a row for each fit
    """
    warned = fits["warning"].map({True: "yes", False: "no"})
    columns = ["iterations (n_iter_)", "warning", "largest slope", "test accuracy (%)", "seconds"]
    formats = {"largest slope": "{:.5f}", "test accuracy (%)": "{:.2f}", "seconds": "{:.1f}"}
    return fits.assign(warning=warned)[columns].style.format(formats).set_uuid("fits")


# --- what a model costs, and what it learns from few images

FORMATS = {
    "test accuracy (%)": "{:.2f}",
    "low": "{:.2f}",
    "high": "{:.2f}",
    "training images": "{:,.0f}",
    "training (s)": "{:.1f}",
    "prediction (ms per image)": "{:.3f}",
    "memory (MB)": "{:.3f}",
}


class Costs:
    """Accuracy, time and memory of several models on the same test images.

    Attributes
    ----------
    rows : dict of str to dict, the columns of `FORMATS` for each model
    predicted : dict of str to int array, what each model answers
    """

    def __init__(self, x_test, y_test):
        self.x_test, self.y_test = x_test, y_test
        self.rows, self.predicted = {}, {}

    def note(self, name, images, seconds, predict, memory):
        """Let a model predict the test images, and keep what that took.

        Parameters
        ----------
        name : str
        images : int, that it learned from
        seconds : float, of its training
        predict : callable, images (n, 784) -> classes (n,)
        memory : int, bytes
        """
        began = time.perf_counter()
        self.predicted[name] = predict(self.x_test)
        milliseconds = 1000 * (time.perf_counter() - began) / len(self.x_test)
        right = self.predicted[name] == self.y_test
        low, high = interval(right)
        row = [100 * right.mean(), 100 * low, 100 * high, images, seconds, milliseconds]
        self.rows[name] = dict(zip(FORMATS, [*row, memory / 1e6], strict=True))

    def table(self, in_report, arrays):
        """Return a DataFrame, the most accurate model first.

        Parameters
        ----------
        in_report : dict of str to str, what the report says of a model
        arrays : list of str, the models whose memory is that of their arrays
        """
        table = pd.DataFrame(self.rows).T.sort_values("test accuracy (%)", ascending=False)
        table["memory of"] = np.where(table.index.isin(arrays), "arrays, float32", "pickle")
        table["in the report (%)"] = pd.Series(in_report)
        return table


def knn_with_own_k(images, labels, x_test, y_test, most=10):
    """Choose k on some images by leaving out up to 1,000 of them; then score the test images.

    Parameters
    ----------
    images, x_test : arrays of shape (n, h, w, 1), values in [0, 1]
    labels, y_test : int arrays of shape (n,)
    most : int
        The largest k that may be chosen.

    Returns
    -------
    float, the test accuracy
    """
    index = neighbours.NeighbourIndex(images, labels)
    most = min(most, len(images) - 1)
    nearest = labels[index.search(images[:1000], most + 1)[1][:, 1:]]
    scores = [_accuracy(nearest[:, :k], labels[:1000]) for k in range(1, most + 1)]
    best = 1 + int(np.argmax(scores))
    return _accuracy(labels[index.search(x_test, best)[1]], y_test)


def train_briefly(dataset, shuffle, places, steps, seed):
    """Train the reference network on some images, and once more with their pixels shuffled.

    Parameters
    ----------
    dataset : Dataset
    shuffle : callable, images -> images
    places : int array of shape (n,), of the training images
    steps : int
        Batches of 128, drawn from these images: the same number for any n.
    seed : int

    Returns
    -------
    list of two floats, the test accuracies
    """
    scores = []
    recipe = training.Recipe(1, learning_rate=2e-3, validation=False)
    drawn = places[np.random.default_rng(seed).integers(0, len(places), steps * 128)]
    for change in (lambda images: images, shuffle):
        network = models.build_cnn()
        images, labels = change(dataset.x_train[drawn]), dataset.y_train[drawn]
        training.train(network, images, labels, recipe, progress=False)
        scores.append(models.accuracy(network, change(dataset.x_test), dataset.y_test))
    return scores


# --- figures


def show_accuracy_over_k(right, best):
    """Show the leave-one-out accuracy for each number of neighbours, with 95 % intervals.

    Parameters
    ----------
    right : dict of int to bool array of shape (n,)
        For each k, which of the left-out training images are classified rightly.
    best : int
        The k that is chosen: an orange dot.
    """
    low, high = np.transpose([interval(hits) for hits in right.values()])
    percent = 100 * np.array([hits.mean() for hits in right.values()])
    ks = list(right)
    figure, ax = plt.subplots(figsize=(7, 3.2))
    ax.fill_between(ks, 100 * low, 100 * high, alpha=0.2, label="95 % interval")
    ax.plot(ks, percent, marker="o")
    chosen = percent[ks.index(best)]
    ax.plot(best, chosen, "o", color=plotting.COLOURS[3], markersize=10)
    ax.annotate(f"k = {best}", (best, chosen), (6, 8), textcoords="offset points")
    ax.set(xlabel="k, the number of neighbours that vote", ylabel="accuracy, left out (%)")
    ax.set_xticks([1, *range(5, max(ks) + 1, 5)])
    ax.set_title(f"On left-out training images, k = {best} has the best score")
    ax.legend(frameon=False)
    mean = dict(zip(ks, percent, strict=True))
    dips = {1, 2, 3} <= set(ks) and bool(mean[2] < min(mean[1], mean[3]))
    falls = bool(percent[-1] < 100 * low[ks.index(best)])
    plotting.show(
        figure,
        "Leave-one-out accuracy of training images against the number of neighbours, with a band."
        + " It dips at two neighbours." * dips
        + " At the right end it lies below the band of the best number." * falls,
    )


def show_weights(pictures):
    """Show the weights of a linear model, one picture for each class.

    Parameters
    ----------
    pictures : array of shape (classes, h, w)
        Red is positive, blue is negative; the scale is the same for all classes.
    """
    limit = np.quantile(np.abs(pictures), 0.995)  # a few extreme pixels would pale the rest
    columns = -(-len(pictures) // 2)
    figure, axes = plt.subplots(2, columns, figsize=(1.6 * columns, 3.7), squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for cls, (ax, picture) in enumerate(zip(axes.flat, pictures, strict=False)):
        drawn = ax.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
        ax.set_title(f"class {cls}", fontsize=10, loc="center")
    figure.colorbar(drawn, ax=axes, label="weight of a pixel", shrink=0.9, extend="both")
    title = "Red: ink here speaks for the class. Blue: against it."
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "Pictures of weights, one for each class. The zero has a blue centre inside a reddish "
        "ring, the one a red stroke in the middle. The others are speckled and less clear.",
        name="03_weights",
    )


def show_mistakes_and_neighbours(dataset, places, predicted, voters):
    """Show test images that k-NN gets wrong, each beside its nearest training images.

    Parameters
    ----------
    dataset : Dataset
    places : int array of shape (n,)
        Of the test images.
    predicted : int array of shape (n,)
        What k-NN answers.
    voters : int array of shape (n, k)
        The places of the training images that voted, nearest first.
    """
    ordinal = ["nearest", "2nd", "3rd", *(f"{rank}th" for rank in range(4, 100))]
    truth = dataset.y_test[places]
    images = np.hstack([dataset.x_test[places, None], dataset.x_train[voters]])
    figure = plotting.digit_table(
        images,
        [f"a {label}, read as {answer} " for label, answer in zip(truth, predicted, strict=True)],
        ["test image", *ordinal[: voters.shape[1]]],
        "Mistakes of k-NN, and the images that voted",
        captions=[["", *map(str, row)] for row in dataset.y_train[voters]],
    )
    plotting.show(
        figure,
        "Test digits that k-NN gets wrong, each beside its nearest training images. In the upper "
        "rows no neighbour has the right class; in the lower rows the right class is outvoted.",
        name="03_mistakes_neighbours",
    )


def show_shuffled(images, shuffled):
    """Show images, and below them the same pixels in another order.

    Parameters
    ----------
    images, shuffled : arrays of shape (n, h, w, 1), values in [0, 1]
    """
    plotting.show(
        plotting.digit_table(
            np.stack([images, shuffled]),
            ["as drawn ", "shuffled "],
            title="The same pixels, in another order",
        ),
        "A row of digits, and below them the same pixels in another order: noise.",
    )


def show_components(right, share):
    """Show the accuracy of k-NN and the contrast of its distances over principal components.

    Parameters
    ----------
    right : dict of int to bool array of shape (n,)
        For each number of components, which of the left-out images are classified rightly.
    share : dict of int to float
        The distance to the nearest image, as a share of the mean distance.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.2))
    sizes = list(right)
    low, high = 100 * np.transpose([interval(hits) for hits in right.values()])
    axes[0].fill_between(sizes, low, high, alpha=0.2, label="95 % interval")
    axes[0].plot(sizes, [100 * hits.mean() for hits in right.values()], marker="o")
    axes[0].set(ylabel="accuracy, left out (%)", title="How many numbers does k-NN need?")
    axes[0].legend(frameon=False, loc="lower right")
    axes[1].plot(list(share), list(share.values()), marker="o")
    axes[1].set(ylim=(0, None), ylabel="distance: nearest / mean", title="How near is the nearest?")
    for ax in axes:
        ax.set(xscale="log", xlabel="principal components (log)")
        ax.set_xticks(sizes, sizes)
        ax.minorticks_off()
    plotting.show(
        figure,
        "Two curves over the number of principal components. Left: the accuracy of k-NN, with a "
        "band, which rises steeply at first. Right: the distance to the nearest image, as a share "
        "of the mean distance.",
    )


def show_costs(table, estimated=()):
    """Show error, training time, prediction time and memory of models, one row for each.

    Parameters
    ----------
    table : DataFrame; a row for each model, the most accurate first
        With the columns ``test accuracy (%)``, ``training (s)``, ``prediction (ms per image)``,
        ``memory (MB)``, and ``low`` and ``high``: the 95 % interval of the accuracy.
    estimated : list of str
        Models whose training time is no measured one: a hollow dot.
    """
    panels = {"test error (%)": 100 - table["test accuracy (%)"]}
    for what in ("training (s)", "prediction (ms per image)", "memory (MB)"):
        panels[what.replace(" (", ", log\n(")] = table[what].where(table[what] > 0)
    figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True)
    for ax, (what, values) in zip(axes, panels.items(), strict=True):
        ax.plot(values, table.index, "o", markersize=6)
        ax.margins(0.15)
        ax.set(xlabel=what)
        if "log" in what:
            _log_axis(ax, values.min(), values.max())
    axes[0].hlines(
        table.index, 100 - table["high"], 100 - table["low"], linewidth=10, alpha=0.35, zorder=1
    )
    axes[0].set_xlim(left=0)
    seconds = panels["training, log\n(s)"]
    for name in table.index:
        if np.isnan(seconds[name]):  # k-NN does not train, and a log axis has no 0
            middle = axes[1].get_yaxis_transform()
            axes[1].text(0.5, name, "none", transform=middle, ha="center", va="center")
        elif name in estimated:
            axes[1].plot(
                seconds[name], name, "o", markersize=6, markerfacecolor="white", color="C0"
            )
            beside = {"textcoords": "offset points", "ha": "right", "va": "center"}
            axes[1].annotate("estimate", (seconds[name], name), (-8, 0), **beside)
    axes[0].invert_yaxis()  # the most accurate model on top
    figure.suptitle("Left is better in each panel", x=0.01, ha="left")
    memory = table["memory (MB)"]
    plotting.show(
        figure,
        "Four dot plots with one row for each model: test error with its interval, training time, "
        f"prediction time, memory. {table.index[0]} has the smallest error; {memory.idxmax()} "
        f"keeps the most memory, and {memory.idxmin()} the least.",
        name="03_costs",
    )


def _log_axis(ax, low, high):
    """Give an axis a log scale from a tick below `low` to one above `high`, in plain numbers."""
    ax.set_xscale("log")
    first, last = np.floor(np.log10([low, high])).astype(int)
    steps = (1, 3) if last - first < 2 else (1,)
    ticks = [float(f"{step}e{power}") for power in range(first, last + 2) for step in steps]
    while len(ticks) > 2 and ticks[1] <= low:
        ticks.pop(0)
    while len(ticks) > 2 and ticks[-2] >= high:
        ticks.pop()
    ticks = ticks[::2] if len(ticks) > 5 else ticks
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.set_xlim(min(low, ticks[0]) / 1.5, max(high, ticks[-1]) * 1.5)
    ax.minorticks_off()


def show_learning_curves(sizes, curves):
    """Show the test accuracy of several models against the number of training images.

    Parameters
    ----------
    sizes : int array of shape (n,)
    curves : dict of str to array of shape (draws, n), shares of the test images that are right
        One row for each draw of training images: a line for their mean, a band for their range.
    """
    figure, ax = plt.subplots(figsize=(7.5, 4))
    percent = {name: 100 * np.asarray(curve) for name, curve in curves.items()}
    means = {name: curve.mean(axis=0) for name, curve in percent.items()}
    leads = means["CNN"] - np.max([means[name] for name in means if name != "CNN"], axis=0)
    title = "Accuracy against the number of images"
    if leads.min() > 0 and leads.argmax() == 0:
        title = "The network with its pixels in order is ahead, most of all with few images"
    x_label, y_label = "training images (log scale)", "test accuracy (%)"
    plotting.lines(ax, sizes, means, x_label, y_label, title, label_at_end=False)
    for line, curve in zip(ax.lines, percent.values(), strict=False):
        low, high = curve.min(axis=0), curve.max(axis=0)
        ax.fill_between(sizes, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
    ax.set(xscale="log")
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
    ax.minorticks_off()
    first, last = (", ".join(sorted(means, key=lambda name: -means[name][end])) for end in (0, -1))
    plotting.show(
        figure,
        "Test accuracy against the number of training images, a band over the draws for each "
        f"model. With the fewest images, the best first: {first}. With the most: {last}.",
        name="03_learning_curves",
    )

"""Exercises of 01: parameters, softmax, the most confident mistakes, the confusion matrix."""

import matplotlib.pyplot as plt
import numpy as np
from scipy import special
from sklearn import metrics

from helpers import plotting
from helpers.exercises import Exercise, rows_sum_to_1

count = Exercise(
    "01-1",
    points=1,
    lesson="The second layer has 58 times the weights of the first: it reads 32 channels.",
    hint=(
        "Take one filter. How many numbers does it multiply at one place, and what does it add?",
        "Count the weights of a filter over all channels, add its bias, then count the filters.",
        "(kernel · kernel · channels_in + …) · filters",
    ),
)
count.case("the text's example", 2, 1, 1)
count.case("kernel 3, 1 channel, 32 filters", 3, 1, 32)
count.case("kernel 3, 32 channels, 64 filters", 3, 32, 64)
count.case("kernel 5, 3 channels, 8 filters", 5, 3, 8, hidden=True)


@count.right
def _weights_and_biases(k, c, f):
    return np.ones((k, k, c, f)).size + f


_is_small = count.rule("The image's size does not enter: its places share the same weights.")(
    lambda result, k, c, f: result < 100 * k * k * c * f
)


@count.mistake("Each filter has one bias: add it.", biases=lambda f: 0)
@count.mistake("One bias for the layer is too few: each filter has its own.", biases=lambda f: 1)
@count.mistake("Right for one channel only: a filter of the second layer reads all 32.", reads=1)
@count.mistake("A kernel of 3 covers 3 × 3 = 9 pixels, not 3.", power=1)
@count.mistake(_is_small, places=729)
def _parameters(k, c, f, biases=lambda f: f, reads=None, power=2, places=1):
    return (k**power * (reads or c) * f + biases(f)) * places


LOGITS = np.log(np.arange(1, 31).reshape(3, 10))
soft = Exercise(
    "01-2",
    points=2,
    lesson="Only differences between logits count: adding 1,000 to each changes nothing.",
    hint=(
        "Taking one number from all logits of a row changes nothing. Which number helps?",
        "Subtract the largest logit of a row (keepdims=True), take exp, divide by the row's sum.",
        "np.exp(logits - logits.max(axis=1, keepdims=True)), divided by its sums along axis=1",
    ),
)
soft.case("ten equal logits, as in the text", np.zeros((1, 10)))
soft.case("3 images with small logits", LOGITS)
soft.case("ten logits of 1,000, as in the text", np.full((1, 10), 1000.0))
soft.case("one image near 0 and one near 1,000", LOGITS[:2] + np.array([[0], [1000]]))
soft.case("logits from -900 to 900", np.linspace(-900, 900, 20).reshape(2, 10), hidden=True)


@soft.right
@soft.forbids("NumPy only: np.exp, max and sum do it.", "scipy", "special", "tf", "keras", "torch")
def _by_scipy(z):
    return special.softmax(z, axis=1)


_rows_sum_to_1 = soft.rule("Each row must sum to 1. Yours do not: sum along axis=1, inside a row.")(
    rows_sum_to_1
)


@soft.mistake("exp(1000) is infinite: first subtract the row's largest logit.", largest=lambda z: 0)
@soft.mistake("One maximum for all: 0/0 in the first row. Each row needs its own.", largest=np.max)
@soft.mistake("The largest of each image is meant: axis=1.", largest=lambda z: z.max(axis=0))
@soft.mistake("Shapes (n, 10) and (n,) do not fit: use keepdims=True for (n, 1).", keepdims=False)
@soft.mistake(_rows_sum_to_1, axis=0)
def _softmax(z, largest=lambda z: z.max(axis=1, keepdims=True), axis=1, keepdims=True):
    powers = np.exp(z - largest(z))
    return powers / powers.sum(axis=axis, keepdims=keepdims)


pick = Exercise(
    "01-3",
    points=2,
    lesson="A network can be sure and wrong: its confidence is no proof.",
    hint=(
        "The places of all mistakes, their confidences, an order: it picks from the places.",
        "np.flatnonzero gives places; np.argsort sorts upwards, so sort minus the confidences.",
        "mistakes[np.argsort(-p[mistakes].max(axis=1))], and of those the first n",
    ),
)


def _network(true, predicted, confidence, for_true=10):
    """Build probabilities, and the true classes, of images that a network takes for others."""
    p, images = np.full((len(true), 10), 0.001), np.arange(len(true))
    p[images, true] = np.divide(for_true, 100)
    p[images, predicted] = np.divide(confidence, 100)
    return p, np.array(true)


# the mistakes stand at 4, 7, 9, and at 1, 3, 5, 6
TEN = _network(range(10), [0, 1, 2, 3, 9, 5, 6, 1, 8, 7], [95, 99, 97, 70, 60, 85, 97, 90, 75, 80])
ANSWERS = [7, 3, 1, 6, 4, 8, 9, 9], [7, 2, 1, 0, 4, 1, 4, 9], [99, 60, 97, 90, 80, 75, 50, 95]
EIGHT = _network(*ANSWERS, for_true=[0, 35, 0, 2, 0, 10, 30, 0])
pick.case("the text's example", *TEN, 2)
pick.case("8 images, n = 3", *EIGHT, 3)
pick.case("8 images, n = 1", *EIGHT, 1)
pick.case("the first 6 of them, n = 2", EIGHT[0][:6], EIGHT[1][:6], 2, hidden=True)


def _mistaken(p, y):
    return [i for i in range(len(y)) if p[i].argmax() != y[i]]


_has_n_places = pick.rule("Return n places: keep the first n of the list.")(
    lambda places, p, y, n: len(places) == n
)
_are_mistaken = pick.rule(
    "Some of these images are classified correctly: look among the mistakes."
)(lambda places, p, y, n: set(places) <= set(_mistaken(p, y)))
TURNED = "The right images, with the most confident one last: turn the list round."
TRUE_CLASS = "You sort by p of the true class: confidence is p of the class that was predicted."


@pick.right
@pick.mistake(_has_n_places, keep=lambda places, n: places)
@pick.mistake(_are_mistaken, among=lambda p, y: range(len(y)))
@pick.mistake("These are the least confident mistakes: the order must go down.", least=True)
@pick.mistake(TURNED, keep=lambda places, n: places[n - 1 :: -1])
@pick.mistake(TRUE_CLASS, key=lambda p, true: -p[true])
def _surest(
    p, y, n, among=_mistaken, key=lambda p, true: p.max(), least=False, keep=lambda a, n: a[:n]
):
    return keep(sorted(among(p, y), key=lambda i: key(p[i], y[i]), reverse=not least), n)


@pick.mistake("These are places in the list of mistakes: turn them into places in the test set.")
def _places_in_subset(p, y, n):
    return np.argsort(-p[_mistaken(p, y)].max(axis=1))[:n]


table = Exercise(
    "01-4",
    points=2,
    lesson="Row 4, column 6 counts the 4s that were taken for a 6; the diagonal is what went well.",
    hint=(
        "Start from a 10 × 10 table of zeros. Each image adds 1 to one place of it: which one?",
        "Go through both arrays together, with zip. The true class says which row.",
        "for true, answer in zip(y, predicted): matrix[true, answer] += 1",
    ),
)
table.case("the text's example", np.array([4, 4, 4]), np.array([4, 9, 9]))
table.case("9 images, none of class 9", np.arange(9), np.array([0, 1, 2, 5, 6, 5, 6, 7, 3]))
table.case("4 images", np.array([9, 9, 0, 3]), np.array([4, 4, 0, 3]))
table.case("100 images", *np.random.default_rng(0).integers(0, 10, (2, 100)), hidden=True)
LOST = "A class that does not occur here is missing from your table: fix the size at 10 × 10."
_has_ten_classes = table.rule(LOST)(lambda matrix: matrix.shape == (10, 10))
_are_whole = table.rule("These are shares: give counts.")(lambda matrix: not np.any(matrix % 1))


@table.right
@table.mistake(_has_ten_classes, classes=None)
@table.mistake(_are_whole, normalize="all")
@table.mistake("A pair that occurs twice was counted once: m[y, predicted] += 1 does so.", most=1)
def _by_scikit_learn(y, predicted, classes=range(10), normalize=None, most=np.inf):
    matrix = metrics.confusion_matrix(y, predicted, labels=classes, normalize=normalize)
    return np.minimum(matrix, most) if most < np.inf else matrix


@table.mistake("Rows must be the true class: you have true and predicted exchanged.")
def _transposed(y, predicted):
    return _by_scikit_learn(predicted, y)


@table.mistake(LOST)
def _too_small(y, predicted):
    return np.zeros((y.max() + 1, y.max() + 1))[y, predicted]


# --- figures


def network(model, title):
    """Draw a chain of layers from left to right, each with its name and the shape that it returns.

    Parameters
    ----------
    model : keras.Model
        Image outputs are drawn as stacks of sheets: the side grows with the height in pixels, the
        stack with the number of channels. Vectors are drawn as bars.
    title : str
        The finding.

    Returns
    -------
    matplotlib Figure
    """
    colours = {
        "Conv2D": plotting.COLOURS[0],
        "MaxPooling2D": plotting.COLOURS[1],
        "Dense": plotting.COLOURS[2],
    }
    figure, ax = plt.subplots(figsize=(10.5, 2.9))
    left = 0.0
    for layer in model.layers:
        kind, shape, settings = type(layer).__name__, layer.output.shape[1:], layer.get_config()
        image = len(shape) == 3
        sheets = 1 + shape[-1] // 12 if image else 1
        width = 0.3 + shape[0] / 25 if image else 0.25
        height = width if image else 0.5 + 0.5 * np.log10(shape[0])
        for sheet in range(sheets):
            corner = (left + 0.08 * sheet, 0.04 * (sheets - 1) - 0.08 * sheet - height / 2)
            colour = colours.get(kind, "0.6")
            ax.add_patch(plt.Rectangle(corner, width, height, facecolor=colour, edgecolor="white"))
        right = left + width + 0.08 * (sheets - 1)
        window = settings.get("kernel_size") or settings.get("pool_size")
        name = [kind.removesuffix("Layer"), window and "{} × {}".format(*window)]
        name = "\n".join(filter(None, [*name, settings.get("activation")]))
        middle = (left + right) / 2
        ax.text(middle, 1.15, name, ha="center", va="bottom", fontsize=10)
        ax.text(middle, -1.4, " × ".join(map(str, shape)), ha="center", va="bottom", fontsize=10)
        if layer is not model.layers[-1]:
            arrow = {"arrowstyle": "-|>", "color": "0.3"}
            ax.annotate("", (right + 0.65, 0), (right + 0.1, 0), arrowprops=arrow)
        left = right + 0.75
    for height, label in ((1.15, "layer"), (-1.4, "shape")):
        ax.text(-0.3, height, label, ha="right", va="bottom", fontsize=10, color="0.4")
    ax.set(xlim=(-0.9, left - 0.5), ylim=(-1.5, 2.0), title=title)
    ax.axis("off")
    return figure


def first_epoch(ax, alone, mean_so_far, validation):
    """Draw one quantity over the batches of an epoch.

    Parameters
    ----------
    ax : matplotlib Axes
    alone, mean_so_far : arrays of shape (batches,)
        Of each batch, and the mean since the start of the epoch.
    validation : float
        After the last batch.
    """
    batches = np.arange(1, len(alone) + 1)
    ax.plot(batches, alone, color="0.7", linewidth=1, label="training: each batch alone")
    ax.plot(batches, mean_so_far, label="training: mean so far")
    ax.plot(batches[-1], validation, "o", markersize=8, label="validation, at the end")
    ax.legend(frameon=False)

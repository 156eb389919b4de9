"""Exercises of 01: parameters, softmax, the most confident mistakes, the confusion matrix."""

import matplotlib.pyplot as plt
import numpy as np
from scipy import special
from sklearn import metrics

from helpers import plotting
from helpers.exercises import Exercise, Mistake


def _softmax_by(axis):
    return lambda z: np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True)


def _softmax_minus(largest):
    def wrong(z):
        powers = np.exp(z - largest(z))
        return powers / powers.sum(axis=1, keepdims=True)

    return wrong


def _without_keepdims(z):
    return np.exp(z) / np.exp(z).sum(axis=1)


ORDINARY = np.log(np.arange(1, 31).reshape(3, 10))

# eight images; those at places 1, 3, 5 and 6 are mistaken
TRUE = np.array([7, 3, 1, 6, 4, 8, 9, 9])
PREDICTED = np.array([7, 2, 1, 0, 4, 1, 4, 9])
PROBABILITY = np.full((8, 10), 0.001)
PROBABILITY[np.arange(8), TRUE] = [0.99, 0.35, 0.97, 0.02, 0.80, 0.10, 0.30, 0.95]
PROBABILITY[np.arange(8), PREDICTED] = [0.99, 0.60, 0.97, 0.90, 0.80, 0.75, 0.50, 0.95]


def _places(score, among):
    """Return places of the n largest scores, among some images only."""
    return lambda p, y, n: sorted(among(p, y), key=lambda i: -score(p, y)[i])[:n]


def _mistaken(p, y):
    return [i for i in range(len(y)) if p[i].argmax() != y[i]]


def _every(p, y):
    return range(len(y))


def _largest(p, y):
    return p.max(axis=1)


def _true_class(p, y):
    return p[np.arange(len(y)), y]


_right_places = _places(_largest, _mistaken)


def _places_in_subset(p, y, n):
    return np.argsort(-p[_mistaken(p, y)].max(axis=1))[:n]


def _count_once(y, predicted):
    matrix = np.zeros((10, 10), int)
    matrix[y, predicted] += 1
    return matrix


def _counts(y, predicted):
    return metrics.confusion_matrix(y, predicted, labels=range(10))


EXERCISES = (
    Exercise(
        name="01-1",
        right=lambda kernel, channels_in, filters: filters * (channels_in * kernel**2 + 1),
        cases={
            "kernel 3, 1 channel, 32 filters": (3, 1, 32),
            "kernel 3, 32 channels, 64 filters": (3, 32, 64),
            "kernel 5, 3 channels, 8 filters": (5, 3, 8),
        },
        mistakes=(
            Mistake("32 are missing: each filter has one bias.", (lambda k, c, f: k * k * c * f,)),
            Mistake(
                "Right for the first layer only: each filter of the second one reads all 32 "
                "channels.",
                (lambda k, c, f: (k * k + 1) * f,),
            ),
            Mistake(
                "The size of the image does not enter: a filter uses the same weights at every "
                "place.",
                (
                    lambda k, c, f: (k * k * c + 1) * f * (29 - k) ** 2,
                    lambda k, c, f: (k * k * c + 1) * f * 28 * 28,
                    lambda k, c, f: k * k * c * f * (29 - k) ** 2,
                    lambda k, c, f: k * k * c * f * 28 * 28,
                ),
            ),
            Mistake(
                "One bias for the whole layer is too few: each filter has its own.",
                (lambda k, c, f: k * k * c * f + 1,),
            ),
            Mistake(
                "A kernel of 3 covers 3 × 3 = 9 pixels, not 3.",
                (lambda k, c, f: (k * c + 1) * f, lambda k, c, f: k * c * f),
            ),
        ),
        lesson="The second layer has 58 times the weights of the first, mostly because it reads "
        "32 channels.",
        hint="Take one filter. How many numbers does it multiply at one place, over all the "
        "channels that come in? What does it add at the end? Then count the filters.",
    ),
    Exercise(
        name="01-2",
        right=lambda z: special.softmax(z, axis=1),
        cases={
            "small logits": (ORDINARY,),
            "logits around 1,000": (ORDINARY + 1000,),
            "one row near 0 and one near 1,000": (ORDINARY[:2] + np.array([[0], [1000]]),),
        },
        mistakes=(
            Mistake(
                "exp(1000) is infinite: subtract the largest logit of the row first. It cancels "
                "in the fraction.",
                (_softmax_by(1),),
            ),
            Mistake(
                "One maximum for all rows makes the first row 0/0: each row needs its own.",
                (_softmax_minus(np.max),),
            ),
            Mistake(
                "Each row must sum to 1. Yours do not: sum along axis=1, inside a row.",
                (
                    _softmax_by(0),
                    _softmax_by(None),
                    lambda z: special.softmax(z, axis=0),
                    lambda z: special.softmax(z),
                    lambda z: np.exp(z),
                    lambda z: np.exp(z - z.max(axis=1, keepdims=True)),
                ),
            ),
            Mistake(
                "Shapes (3, 10) and (3,) do not fit together: keepdims=True makes the second one "
                "(3, 1).",
                (_without_keepdims,),
            ),
        ),
        lesson="Only differences between logits count: adding 1,000 to each changes nothing.",
        hint="Softmax does not change when the same number is taken from all logits of a row. "
        "Which number makes every exponential harmless?",
    ),
    Exercise(
        name="01-3",
        right=_right_places,
        cases={
            "8 images, n = 3": (PROBABILITY, TRUE, 3),
            "8 images, n = 1": (PROBABILITY, TRUE, 1),
        },
        mistakes=(
            Mistake(
                "These are places in the list of mistakes. Turn them into places in the test set.",
                (_places_in_subset,),
            ),
            Mistake(
                "Image 0 is classified correctly: look among the mistakes only.",
                (_places(_largest, _every),),
            ),
            Mistake(
                "These are the least confident mistakes: the order must go down.",
                (_places(lambda p, y: -p.max(axis=1), _mistaken),),
            ),
            Mistake(
                "The right images, with the most confident one last: turn the list round.",
                (lambda p, y, n: _right_places(p, y, n)[::-1],),
            ),
            Mistake(
                "You sort by the probability of the true class. Confidence is the probability of "
                "the class that was predicted.",
                (
                    _places(_true_class, _mistaken),
                    _places(lambda p, y: -_true_class(p, y), _mistaken),
                ),
            ),
            Mistake(
                "These are all the mistakes: keep the first n.",
                (lambda p, y, n: _right_places(p, y, None),),
            ),
        ),
        lesson="A network can be sure and wrong: its confidence is no proof.",
        hint="First the places of all mistakes, then their confidences, then an order. At the "
        "end, use that order to pick from the list of places.",
    ),
    Exercise(
        name="01-4",
        right=_counts,
        cases={
            "12 images, none of class 9": (
                np.array([0, 0, 1, 2, 3, 4, 4, 4, 5, 6, 7, 8]),
                np.array([0, 0, 1, 2, 5, 4, 6, 6, 5, 6, 7, 3]),
            ),
            "4 images": (np.array([9, 9, 0, 3]), np.array([4, 4, 0, 3])),
        },
        mistakes=(
            Mistake(
                "Rows must be the true class: you have true and predicted exchanged.",
                (lambda y, predicted: _counts(predicted, y),),
            ),
            Mistake(
                "These are shares: the exercise asks for counts.",
                (
                    lambda y, predicted: _counts(y, predicted) / len(y),
                    lambda y, predicted: (
                        _counts(y, predicted) / _counts(y, predicted).sum(axis=1, keepdims=True)
                    ),
                ),
                when=lambda matrix: np.any(matrix % 1 > 0),
            ),
            Mistake(
                "No image of class 9 is here, and your matrix has lost it: fix the size at 10.",
                (metrics.confusion_matrix, lambda y, predicted: _counts(y, predicted)[:9, :9]),
            ),
            Mistake(
                "A pair that occurs twice was counted once: m[y, predicted] += 1 adds 1 to a "
                "place only once.",
                (_count_once,),
            ),
        ),
        lesson="Row 4, column 6 counts the 4s that were taken for a 6; the diagonal is what "
        "went well.",
        hint="Start from a 10 × 10 table of zeros. Each image adds 1 to one place of it: which "
        "row, which column?",
    ),
)


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

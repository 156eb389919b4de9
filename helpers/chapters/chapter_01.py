"""Exercises of 01: parameters, softmax, the most confident mistakes, the confusion matrix."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
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


def show_examples(images):
    """Show a few images of each class, one class a column.

    Parameters
    ----------
    images : array of shape (images of each class, classes, h, w, 1), values in [0, 1]
    """
    figure = plotting.digit_table(
        images,
        column_labels=[str(cls) for cls in range(images.shape[1])],
        title="One class, many hands",
        columns="class y",
        rows="images of each class",
    )
    plotting.show(
        figure,
        "A column of handwritten digits for each class. Digits of one class differ in slant, "
        "thickness and form; some, such as a 4 and a 9, look alike. A rule on single pixels "
        "cannot work.",
    )


def show_mean_images(means, share):
    """Show the mean image of each class, with the share of the images above it.

    Parameters
    ----------
    means : array of shape (classes, h, w, 1), values in [0, 1]
    share : array of shape (classes,), in [0, 1]
    """
    titles = [f"{cls}: {part:.1%}" for cls, part in enumerate(share)]
    plotting.show(
        plotting.digit_grid(
            means, titles, title="No class is rare; the mean 4 looks like the mean 9"
        ),
        "Blurred digits, one for each class, and their shares, all near a tenth. The 4 and the 9 "
        "become almost the same blur: the mean loses what tells them apart.",
    )


LAYERS = {  # kind of layer -> its name in words, and its colour
    "InputLayer": ("image", "0.6"),
    "Conv2D": ("convolution", plotting.COLOURS[0]),
    "MaxPooling2D": ("pooling", plotting.COLOURS[1]),
    "Flatten": ("flat vector", "0.6"),
    "Dense": ("dense layer", plotting.COLOURS[2]),
}
OTHER = ("another layer", "0.6")


def show_network(model):
    """Show a chain of layers from left to right, each with its name and the shape that it returns.

    Parameters
    ----------
    model : keras.Model
        Image outputs are drawn as stacks of sheets: the side grows with the height in pixels, the
        stack with the number of channels. Vectors are drawn as bars.
    """
    figure, ax = plt.subplots(figsize=(10.5, 2.9))
    left = 0.0
    for layer in model.layers:
        right = _draw_layer(ax, layer, left)
        if layer is not model.layers[-1]:
            arrow = {"arrowstyle": "-|>", "color": "0.3"}
            ax.annotate("", (right + 0.65, 0), (right + 0.1, 0), arrowprops=arrow)
        left = right + 0.75
    for height, label in ((1.15, "layer"), (-1.4, "shape")):
        ax.text(-0.3, height, label, ha="right", va="bottom", fontsize=10, color="0.4")
    ax.set(xlim=(-0.9, left - 0.5), ylim=(-1.5, 2.0))
    ax.set_title("The image becomes smaller and deeper, then ten probabilities")
    ax.axis("off")
    words = [LAYERS.get(type(layer).__name__, OTHER)[0] for layer in model.layers]
    plotting.show(
        figure,
        f"The network from left to right: {', '.join(words)}. Sides shrink while the number of "
        "channels grows.",
        name="01_network",
    )


def _draw_layer(ax, layer, left):
    """Draw what one layer returns, from the place `left` on; return where it ends."""
    kind, shape, settings = type(layer).__name__, layer.output.shape[1:], layer.get_config()
    image = len(shape) == 3
    sheets = 1 + shape[-1] // 12 if image else 1
    width = 0.3 + shape[0] / 25 if image else 0.25
    height = width if image else 0.5 + 0.5 * np.log10(shape[0])
    colour = LAYERS.get(kind, OTHER)[1]
    for sheet in range(sheets):
        corner = (left + 0.08 * sheet, 0.04 * (sheets - 1) - 0.08 * sheet - height / 2)
        ax.add_patch(plt.Rectangle(corner, width, height, facecolor=colour, edgecolor="white"))
    right = left + width + 0.08 * (sheets - 1)
    window = settings.get("kernel_size") or settings.get("pool_size")
    name = [kind.removesuffix("Layer"), window and "{} × {}".format(*window)]
    name = "\n".join(filter(None, [*name, settings.get("activation")]))
    middle = (left + right) / 2
    ax.text(middle, 1.15, name, ha="center", va="bottom", fontsize=10)
    ax.text(middle, -1.4, " × ".join(map(str, shape)), ha="center", va="bottom", fontsize=10)
    return right


def show_relu_and_softmax(z, relu, softmax):
    """Show the scores of the classes, and what ReLU and softmax make of them.

    Parameters
    ----------
    z, relu, softmax : arrays of shape (classes,)
    """
    figure, axes = plt.subplots(1, 3, figsize=(10, 2.6))
    results = {"logit z": z, "ReLU(z)": relu, "softmax(z)": softmax}
    for ax, (name, values) in zip(axes, results.items(), strict=True):
        ax.bar(range(len(values)), values)
        ax.set(xticks=range(len(values)), xlabel="class i", ylabel=name, title=name)
    plotting.show(figure, "The logits, their ReLU, their softmax: a small lead takes most of it.")


def show_first_epoch(reports, history):
    """Show accuracy and loss over the batches of an epoch, and the validation data at its end.

    Keras reports the mean since the start of the epoch. From two of these means follows what the
    batch between them gave alone.

    Parameters
    ----------
    reports : list of dict, one for each batch
        What Keras reports after it: ``accuracy`` and ``loss``.
    history : dict of str to list
        ``val_accuracy`` and ``val_loss``, the first of each.
    """
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.4))
    batches = np.arange(1, len(reports))  # without the last batch, which is smaller
    for ax, key in zip(axes, ("accuracy", "loss"), strict=True):
        mean_so_far = np.array([report[key] for report in reports[:-1]])
        alone = np.diff(mean_so_far * batches, prepend=0)
        ax.plot(batches, alone, color="0.7", linewidth=1, label="training: each batch alone")
        ax.plot(batches, mean_so_far, label="training: mean so far")
        end = history[f"val_{key}"][0]
        ax.plot(batches[-1], end, "o", markersize=8, label="validation, at the end")
        ax.legend(frameon=False)
        ax.set(xlabel="batch of the first epoch", ylabel=key)
    axes[0].set_title("The reported accuracy lags behind")
    axes[1].set_title("The loss starts at a guess among ten classes")
    plotting.show(
        figure,
        "Accuracy and loss over the first epoch. Single batches improve fast; their mean so far, "
        "which Keras reports, lags behind and ends worse than the validation data.",
    )


def show_epochs(history):
    """Show accuracy and loss after each epoch, on training and on validation data.

    Parameters
    ----------
    history : dict of str to list of shape (epochs,)
        With the keys of Keras: ``accuracy``, ``val_accuracy``, ``loss``, ``val_loss``.
    """
    titles = {
        "accuracy": "Training gains on validation",
        "loss": "The training loss goes on falling",
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.2))
    epochs = np.arange(1, len(history["loss"]) + 1)
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        curves = {"training": history[key], "validation": history[f"val_{key}"]}
        plotting.lines(ax, epochs, curves, "epoch", key, title, label_at_end=False)
    plotting.show(
        figure,
        "Accuracy and loss over several epochs. The training curves start worse and end better "
        "than the validation curves, which become flat: the last epochs bring little.",
        name="01_curves",
    )


def show_surest_mistakes(images, mistakes):
    """Show images that the network misreads, with its answer, the label and its confidence.

    Parameters
    ----------
    images : array of shape (n, h, w, 1), values in [0, 1]
    mistakes : DataFrame of n rows with the columns ``answer``, ``truth`` and ``confidence``
    """
    titles = [f"{m.answer}, not {m.truth}\n{m.confidence:.2%} sure" for m in mistakes.itertuples()]
    plotting.show(
        plotting.digit_grid(images, titles, columns=5, title="Wrong, and sure of it"),
        "The test digits that the network misreads with the highest confidence, each with the "
        "wrong answer, the label and the confidence. High confidence is no proof of being right.",
        name="01_mistakes",
    )


def show_confusion(counts):
    """Show a confusion matrix, and name its fullest pair above it.

    Parameters
    ----------
    counts : int array of shape (classes, classes); row = true class, column = predicted class
    """
    mistakes = counts * (1 - np.eye(len(counts), dtype=int))
    true_class, answer = np.unravel_index(mistakes.argmax(), mistakes.shape)
    figure, ax = plt.subplots(figsize=(4.8, 4.8))
    title = f"Most often, a {true_class} is taken for a {answer}"
    plotting.confusion(ax, counts, title)
    plotting.show(
        figure,
        "Confusion matrix of the classes. Almost all counts lie on the diagonal; the others gather "
        "in a few bright pairs of digits that look alike.",
    )


def show_filters(filters, numbers):
    """Show the weights of some filters, positive ones in red and negative ones in blue.

    Parameters
    ----------
    filters : array of shape (n, h, w)
        The largest weight of all gets the full colour.
    numbers : sequence of n int
        Their numbers in the layer.
    """
    scaled = filters[None] / np.abs(filters).max()
    names = [f"filter {number}" for number in numbers]
    plotting.show(
        plotting.digit_table(scaled, None, names, "Red adds, blue subtracts", signed=True),
        "Small tables of weights, one for each filter, positive in red, negative in blue. Some are "
        "red on one side and blue on the other: such a filter answers to edges of one direction.",
    )


def show_feature_maps(digits, maps, numbers):
    """Show digits, and beside each what some filters answer at every place.

    Parameters
    ----------
    digits : array of shape (n, h, w, 1), values in [0, 1]
    maps : array of shape (n, h - 2, w - 2, filters), 0 or more
        Each filter is scaled by its own largest answer.
    numbers : sequence of int, one for each filter
        Their numbers in the layer.
    """
    shown = np.moveaxis(maps, -1, 1)
    shown = shown / shown.max(axis=(0, 2, 3), keepdims=True)
    middle = digits[:, None, 1:-1, 1:-1, 0]  # a 3 × 3 filter has no answer on the outermost pixels
    plotting.show(
        plotting.digit_table(
            np.concatenate([middle, shown], axis=1),
            column_labels=["digit", *(f"filter {number}" for number in numbers)],
            title="Each filter keeps other parts of the same strokes",
        ),
        "A few digits, and beside each the answers of the filters. Each filter lights up on other "
        "parts of the same strokes.",
        name="01_feature_maps",
    )


def show_learning_rate(rates):
    """Show the learning rate of every step.

    Parameters
    ----------
    rates : array of shape (steps,)
    """
    figure, ax = plt.subplots(figsize=(7, 2.6))
    ax.plot(rates)
    ax.set(xlabel="step (one batch each)", ylabel="learning rate η")
    ax.set_title("Careful at first, bold, then careful again")
    plotting.show(
        figure, "The learning rate rises in a short line and falls to zero along a cosine."
    )


def show_augmentation(originals, altered):
    """Show images, and below them what random affine augmentation makes of them.

    Parameters
    ----------
    originals : array of shape (n, h, w, 1), values in [0, 1]
    altered : sequence of arrays of that shape, one for each epoch
    """
    epochs = [f"epoch {number}" for number in range(1, len(altered) + 1)]
    plotting.show(
        plotting.digit_table(
            np.stack([originals, *altered]),
            row_labels=["original", *epochs],
            title="The augmentation makes other digits of the same class",
        ),
        "A row of digits, and below it rows of altered copies: slightly turned, moved, zoomed and "
        "slanted, all still of the same class.",
    )


def show_recipes(wrong):
    """Show how many test images each training of each recipe got wrong; a bar is the median.

    Parameters
    ----------
    wrong : DataFrame; one column for each recipe, one row for each seed
    """
    median = wrong.median()
    figure, ax = plt.subplots(figsize=(8, 2.8))
    sns.stripplot(wrong, orient="h", jitter=False, alpha=0.5, color=plotting.COLOURS[0], ax=ax)
    ax.plot(median, range(len(median)), "|", markersize=28, markeredgewidth=2, color="black")
    ax.set(xlabel="mistakes in the test images (dots: seeds, bars: medians)")
    ax.set(xlim=(0, None), ylim=(len(median) - 0.5, -0.5))
    ax.set_title(f"Median mistakes: from {median.iloc[0]:g} to {median.iloc[-1]:g}, same network")
    plotting.show(
        figure,
        "Mistakes of the recipes over several seeds: plain and whole recipe do not overlap.",
        name="01_recipes",
    )

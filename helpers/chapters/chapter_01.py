"""Exercises and figures of 01, and the recipes on the way from plain Adam to the best one."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from scipy import special
from sklearn import metrics

from helpers import plotting
from helpers.exercises import Exercise, rows_sum_to_1
from helpers.models import Network, build_cnn
from helpers.training import Recipe

# each takes one step more on the way from "cnn" to "cnn_tuned", which other notebooks need too
NETWORKS: dict[str, Network] = {
    "cnn_longer": Network("cnn_longer", build_cnn, Recipe(epochs=14, validation=False)),
    "cnn_annealed": Network(
        "cnn_annealed",
        build_cnn,
        Recipe(epochs=14, learning_rate=1e-3, warmup_steps=200, validation=False),
    ),
    "cnn_cosine": Network(
        "cnn_cosine",
        build_cnn,
        Recipe(epochs=14, learning_rate=3e-3, warmup_steps=200, validation=False),
    ),
}

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

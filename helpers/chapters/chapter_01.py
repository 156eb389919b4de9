"""Exercises and figures of 01, and the recipes on the way from plain Adam to the best one."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from helpers import plotting, session
from helpers.backend import keras
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
    lesson="The second layer has 58 times the parameters: 32 channels to read, twice the filters.",
    hint=(
        "Take one filter. How many numbers does it multiply at one place, and what does it add?",
        "Count the weights of a filter over all channels, add its bias, then count the filters.",
        "(kernel · kernel · channels_in + …) · filters",
    ),
)
count.case("the text's example", 2, 1, 1)
count.case("kernel 3, 1 channel, 32 filters", 3, 1, 32)
count.case("kernel 3, 32 channels, 64 filters", 3, 32, 64)


@count.hidden("a layer drawn at random")
def _draw_layer_size(rng):
    return tuple(int(rng.integers(*ends)) for ends in ((3, 8), (2, 20), (5, 40)))


is_small = count.rule("The image's size does not enter: its places share the same weights.")(
    lambda result, k, c, f: result < 100 * k * k * c * f
)


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
# the largest logit of the first row stands neither first nor last
WIDE = np.roll(np.linspace(-2e4, 2e4, 20), 5).reshape(2, 10)
soft.case("logits from -20,000 to 20,000", WIDE)


@soft.hidden("logits drawn at random")
def _draw_logits(rng):
    logits = rng.normal(0, 300, (int(rng.integers(3, 20)), 10))
    logits[0] /= 300  # near 0, and the next row far apart; its largest is not the first
    logits[1] += np.roll(np.linspace(-2e4, 2e4, 10), rng.integers(2, 10))
    return (logits,)


# as they are imported in notebooks, and their functions
OTHER_LIBRARIES = ["scipy", "special", "tf", "tensorflow", "keras", "layers", "ops", "torch", "jax"]
numpy_only = soft.forbids("NumPy only: np.exp, max and sum do it.", *OTHER_LIBRARIES)


sums_to_1 = soft.rule("Each row must sum to 1. Yours do not: sum along axis=1, inside a row.")(
    rows_sum_to_1
)


pick = Exercise(
    "01-3",
    points=2,
    lesson="These are places in the whole test set, so that you can look the images up.",
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
# the second surest mistake leads its true class by more than the surest
ANSWERS = [7, 3, 1, 6, 4, 8, 9, 9], [7, 2, 1, 0, 4, 1, 4, 9], [99, 60, 97, 90, 80, 85, 50, 95]
EIGHT = _network(*ANSWERS, for_true=[0, 35, 0, 9, 0, 1, 30, 0])
_RNG = np.random.default_rng(0)
FIFTY = _network(*_RNG.integers(0, 10, (2, 50)), 50 + _RNG.permutation(50), for_true=0)
pick.case("the text's example", *TEN, 2)
pick.case("8 images, n = 3", *EIGHT, 3)
pick.case("8 images, n = 1", *EIGHT, 1)
pick.case("50 images, n = 12", *FIFTY, 12)


@pick.hidden("images drawn at random")
def _draw_mistakes(rng):
    n = int(rng.integers(40, 60))
    # most are wrong, no two are equally sure, and some nearly believe the true class
    predicted = (np.arange(n) + (rng.random(n) < 0.7) * rng.integers(1, 10, n)) % 10
    sure, nearly = rng.permutation(np.linspace(51, 99, n)), rng.uniform(0, 45, n)
    p, y = _network(np.arange(n) % 10, predicted, sure, for_true=nearly)
    order = rng.permutation(n)
    return p[order], y[order], int(rng.integers(3, 9))


has_n_places = pick.rule("Return n places: keep the first n of the list.")(
    lambda places, p, y, n: len(places) == n
)
are_mistaken = pick.rule("Some of these images are classified correctly: look among the mistakes.")(
    lambda places, p, y, n: all(p[place].argmax() != y[place] for place in places)
)


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


@table.hidden("images drawn at random")
def _draw_answers(rng):
    y = rng.integers(0, 9, int(rng.integers(40, 100)))  # none of class 9
    return y, np.where(rng.random(len(y)) < 0.6, y, rng.integers(0, 9, len(y)))


LOST = "A class that does not occur here is missing from your table: fix the size at 10 × 10."
has_ten_classes = table.rule(LOST)(lambda matrix: matrix.shape == (10, 10))
SHARES = "These are shares: give counts."
are_whole = table.rule(SHARES)(lambda matrix: not np.any(matrix % 1))

counts_all = table.rule("Each image adds 1: the numbers must add up to the number of images.")(
    lambda matrix, y, predicted: matrix.sum() == len(y)
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
        "thickness and form; some, such as a 4 and a 9, look alike.",
    )


def show_mean_images(means, share):
    """Show the mean image of each class, with the share of the images above it.

    Parameters
    ----------
    means : array of shape (classes, h, w, 1), values in [0, 1]
    share : array of shape (classes,), in [0, 1]
    """
    titles = [f"{cls}: {session.percent(part, 1)}" for cls, part in enumerate(share)]
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


def show_one_filter(image, edge, sums, kept, pooled):
    """Show what one filter makes of an image: sums, what ReLU keeps, what pooling keeps.

    Parameters
    ----------
    image : array of shape (h, w), values in [0, 1]
    edge : array of shape (k, k), the weights of the filter
    sums, kept : arrays of shape (h - k + 1, w - k + 1)
        Before and after ReLU.
    pooled : array of shape half as high and half as wide

    The window with the largest sum is marked, with its one number in the other pictures.
    """
    most = np.abs(sums).max()
    weights, answers = np.abs(edge).max(), {"cmap": "RdBu_r", "vmin": -most, "vmax": most}
    bright = {"cmap": "gray", "vmin": 0, "vmax": most}
    row, column = window = np.unravel_index(sums.argmax(), sums.shape)
    # picture, its scale, its name, and the place and the side of the orange square in it
    panels = (
        (image, {"cmap": "gray", "vmin": 0, "vmax": 1}, "image", (row, column), len(edge)),
        (edge, {"cmap": "RdBu_r", "vmin": -weights, "vmax": weights}, "filter", None, 0),
        (sums, answers, "convolution", window, 1),
        (kept, bright, "ReLU", window, 1),
        (pooled, bright, "pooling", (row // 2, column // 2), 1),
    )
    figure, axes = plt.subplots(1, 5, figsize=(10.5, 2.7), width_ratios=[3, 1.2, 3, 3, 3])
    for ax, (picture, scale, name, corner, side) in zip(axes, panels, strict=True):
        drawn = ax.imshow(picture, **scale)
        ax.set(xticks=[], yticks=[], xlabel="{} × {}".format(*picture.shape))
        ax.set_title(name, loc="center", fontsize=11)
        if corner:
            place = (corner[1] - 0.5, corner[0] - 0.5)
            frame = {"edgecolor": plotting.COLOURS[1], "linewidth": 2}
            ax.add_patch(plt.Rectangle(place, side, side, fill=False, **frame))
        if name == "convolution":
            figure.colorbar(drawn, ax=ax, shrink=0.7, pad=0.02)
    for (row, column), weight in np.ndenumerate(edge):
        colour = "white" if abs(weight) > weights / 2 else "black"
        axes[1].text(column, row, f"{weight:g}", ha="center", va="center", color=colour)
    figure.suptitle("One filter looks for one pattern, wherever it is", x=0.01, ha="left")
    plotting.show(
        figure,
        "A digit, a filter of weights, and three pictures made from them. The convolution is "
        "positive where the digit is brighter under the positive weights than under the negative "
        "ones, and negative where it is the other way round; ReLU keeps the positive part; pooling "
        "keeps the same bright lines in a picture half as large.",
    )


def adam_step(gradient, start, learning_rate):
    """Make the step of Adam, as Keras takes it, for a path that begins at `start`.

    Parameters
    ----------
    gradient : callable of weights (n,) that returns their gradient (n,)
    start : array of shape (n,)
    learning_rate : float

    Returns
    -------
    callable of weights that returns the next weights; to be called at each point in turn
    """
    weights, adam = keras.Variable(start, dtype="float32"), keras.optimizers.Adam(learning_rate)

    def step(w):
        slopes = keras.ops.convert_to_tensor(gradient(w), "float32")
        adam.apply([slopes], [weights])
        return keras.ops.convert_to_numpy(weights).astype(float)

    return step


def show_descent(ink, is_one, loss, paths):
    """Show two features of digits, and paths of their two weights on the surface of the loss.

    Parameters
    ----------
    ink : array of shape (n, 2), the features
    is_one : bool array of shape (n,)
        Which digits are a 1; the others are a 0.
    loss : callable of weights (2,) that returns a float
    paths : dict of str to array of shape (steps + 1, 2)
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(11, 3.5))
    for digit, colour in ((0, plotting.COLOURS[7]), (1, plotting.COLOURS[4])):
        a, b = ink[is_one == digit][:400].T
        left.plot(a, b, ".", markersize=4, alpha=0.6, color=colour)
        left.annotate(str(digit), (a.mean(), b.mean()), fontsize=20, fontweight="bold")
    left.set(xlabel="ink in the middle, $a$", ylabel="ink on the left, $b$")
    left.set_title("Two numbers tell 0 from 1")
    corners = np.concatenate(list(paths.values()))
    low, high = corners.min(axis=0), corners.max(axis=0)
    grids = [np.linspace(*ends, 40) for ends in zip(low - 2, high + 2, strict=True)]
    surface = [[loss(np.array([first, second])) for first in grids[0]] for second in grids[1]]
    middle.contourf(*grids, np.log(surface), levels=20, cmap="cividis")
    colours = [plotting.COLOURS[place] for place in (1, 3, 2)]
    leaps = False
    for (name, path), colour in zip(paths.items(), colours, strict=False):
        white = {"markeredgecolor": "white", "markeredgewidth": 0.4}
        middle.plot(*path.T, "o-", color=colour, markersize=4, linewidth=1.5, **white)
        losses = [loss(w) for w in path]
        leaps |= losses[1] > losses[0]
        right.plot(losses, color=colour, label=name)
    middle.set(xlabel="weight $w_1$", ylabel="weight $w_2$")
    middle.set_title("Paths down the loss (dark is low)")
    right.legend(frameon=False)
    right.set(xlabel="step", ylabel="loss")
    right.set_title("One step can make it worse" if leaps else "Every first step goes down")
    plotting.show(
        figure,
        "Left: zeros and ones as two clouds of dots. Middle: the loss over two weights, and paths "
        "from the same start. Right: the loss at each step. "
        + (
            "Small steps go straight; too large a first step leaps over the valley."
            if leaps
            else "Every first step goes down."
        ),
    )


def fit(network, training, validation, batch_size, epochs=1):
    """Train a compiled network with a progress bar; keep what Keras reports after each batch.

    The order of the images is drawn with the seed of the session.

    Parameters
    ----------
    network : keras.Model
    training, validation : (images, labels)
    batch_size, epochs : int

    Returns
    -------
    reports : list of dict, one for each batch of each epoch
        ``accuracy`` and ``loss``: means since the start of the epoch.
    history : dict of str to list of shape (epochs,), as in Keras
    """
    images, labels = training
    reports = []
    keras.utils.set_random_seed(session.seed())

    def after_batch(batch, logs):
        reports.append(dict(logs))
        bar.update()

    callback = keras.callbacks.LambdaCallback(on_train_batch_end=after_batch)
    settings = {"batch_size": batch_size, "epochs": epochs, "callbacks": [callback], "verbose": 0}
    with session.progress_bar(epochs * -(-len(images) // batch_size), "batches") as bar:
        run = network.fit(images, labels, validation_data=validation, **settings)
    return reports, run.history


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
    lags = reports[-2]["accuracy"] < history["val_accuracy"][0]
    axes[0].set_title(f"The reported accuracy {'lags behind' if lags else 'is not behind'}")
    axes[1].set_title("The loss starts at a guess among ten classes")
    plotting.show(
        figure,
        "Accuracy and loss over the first epoch, of single batches, and their mean so far, which "
        f"Keras reports: its accuracy ends {'below' if lags else 'no lower than'} that on the "
        "validation data.",
    )


def show_overfitting(history):
    """Show accuracy and loss after each epoch, on training and on validation data.

    Parameters
    ----------
    history : dict of str to list of shape (epochs,)
        With the keys of Keras: ``accuracy``, ``val_accuracy``, ``loss``, ``val_loss``.
    """
    lowest = int(np.argmin(history["val_loss"]))
    known, parts = history["accuracy"][-1] > 0.99, lowest < len(history["loss"]) - 1
    titles = {
        "accuracy": f"The training images are {'' if known else 'not yet '}learned by heart",
        "loss": f"The validation loss {'rises again: overfitting' if parts else 'still falls'}",
    }
    figure, axes = plt.subplots(1, 2, figsize=(10, 3.2))
    epochs = np.arange(1, len(history["loss"]) + 1)
    for ax, (key, title) in zip(axes, titles.items(), strict=True):
        curves = {"training": history[key], "validation": history[f"val_{key}"]}
        plotting.lines(ax, epochs, curves, "epoch", key, title, label_at_end=False)
    axes[1].plot(epochs[lowest], history["val_loss"][lowest], "v", color="black", markersize=9)
    plotting.show(
        figure,
        "Accuracy and loss after each epoch, on training and on validation images. A triangle "
        "marks the lowest validation loss"
        + ("; after it the loss of the validation images rises." if parts else ": the last one."),
        name="01_curves",
    )


def show_surest_mistakes(images, mistakes):
    """Show images that the network misreads, with its answer, the label and its confidence.

    Parameters
    ----------
    images : array of shape (n, h, w, 1), values in [0, 1]
    mistakes : DataFrame of n rows with the columns ``answer``, ``truth`` and ``confidence``
    """
    titles = [
        f"{m.answer}, not {m.truth}\n{session.percent(m.confidence, 2)} sure"
        for m in mistakes.itertuples()
    ]
    plotting.show(
        plotting.digit_grid(images, titles, title="Wrong, and sure of it (answer, not label)"),
        "The test digits that the network misreads with the highest confidence, each with the "
        "wrong answer, the label and the confidence. Some are hard to read, others are clear.",
        name="01_mistakes",
    )


def show_sureness(imagined, found, confidence, sure_from):
    """Show how many sure answers are wrong, and how sure the network is of all its mistakes.

    Parameters
    ----------
    imagined : int array of shape (draws,)
        Mistakes among the sure answers in each draw, if the probabilities were honest.
    found : int
        Mistakes that the network makes there.
    confidence : array of shape (n,), in [0, 1]
        The probability of each wrong answer.
    sure_from : float
        The probability from which an answer counts as sure.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3))
    edges = np.arange(0, max(imagined.max(), found) + 2) - 0.5
    left.hist(imagined, edges, color="0.7")
    left.axvline(found, color=plotting.COLOURS[1])
    left.annotate(f" found: {found}", (found, left.get_ylim()[1] * 0.9), color=plotting.COLOURS[1])
    left.set(xlabel=f"mistakes among the answers with p ≥ {sure_from:g}", ylabel="draws")
    left.set_xlim(0, None)
    left.margins(x=0.15)
    left.set_title("Gray: if the probabilities were honest")
    right.hist(confidence, np.linspace(0, 1, 21), color=plotting.COLOURS[0])
    right.set(xlabel="probability of the wrong answer", ylabel="mistakes", xlim=(0, 1))
    right.set_title("All mistakes of this network")
    plotting.show(
        figure,
        "Left: how many of the sure answers would be wrong if the probabilities were honest, over "
        "many draws, and a line where the network's own number lies. Right: the probabilities of "
        "all wrong answers of the network.",
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
        All are drawn on one scale, which the largest weight of all ends.
    numbers : sequence of n int
        Their numbers in the layer.
    """
    most = np.abs(filters).max()
    figure, axes = plt.subplots(1, len(filters), figsize=(10, 1.9), squeeze=False)
    for ax, weights, number in zip(axes[0], filters, numbers, strict=True):
        drawn = ax.imshow(weights, cmap="RdBu_r", vmin=-most, vmax=most)
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
        ax.set_title(f"filter {number}", loc="center", fontsize=10)
    figure.colorbar(drawn, ax=axes, label="weight", shrink=0.9, pad=0.01)
    figure.suptitle("Red adds, blue subtracts", x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "Small tables of weights, one for each filter, positive in red, negative in blue, with a "
        "scale of colours. Some are red on one side and blue on the other: such a filter answers "
        "to edges of one direction.",
    )


def show_feature_maps(digits, first, second, numbers):
    """Show digits, and beside each what some filters of both convolutions answer at every place.

    Parameters
    ----------
    digits : array of shape (n, h, w, 1), values in [0, 1]
    first, second : arrays of shape (n, rows, columns, filters), 0 or more
        Each filter is scaled by its own largest answer.
    numbers : pair of sequences of int, one for each filter
        Their numbers in their layer.
    """
    columns = 1 + first.shape[-1] + second.shape[-1]
    figure, axes = plt.subplots(len(digits), columns, figsize=(11, 3.6), squeeze=False)
    names = [f"{place}: {n}" for place, some in enumerate(numbers, 1) for n in some]
    for row, digit in enumerate(digits):
        pictures = [digit[..., 0]]
        for maps in (first, second):
            pictures += list(np.moveaxis(maps[row] / maps.max(axis=(0, 1, 2)), -1, 0))
        for ax, picture in zip(axes[row], pictures, strict=True):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            sns.despine(ax=ax, left=True, bottom=True)
    for ax, name in zip(axes[0], ["digit", *names], strict=True):
        ax.set_title(name, loc="center", fontsize=10)
    sides = "from the first convolution (1), then from the second (2)"
    figure.suptitle(f"What filters answer: {sides}", x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "A few digits, and beside each the answers of filters of both convolutions. In the first "
        "layer a filter lights up along whole strokes; in the second, on coarser pictures, only at "
        "a few places.",
        name="01_feature_maps",
    )


def show_motifs(patches, numbers):
    """Show, for some filters of the second convolution, the patches that excite each the most.

    Parameters
    ----------
    patches : array of shape (filters, n, h, w), values in [0, 1]
    numbers : sequence of int, one for each filter
        Their numbers in the layer.
    """
    plotting.show(
        plotting.digit_table(
            patches,
            row_labels=[f"filter {number}" for number in numbers],
            title="The same motif, cut out of different digits",
            columns="pieces of test digits, the strongest answer first",
        ),
        "Rows of small pieces of digits, one row for each filter. The pieces of a row resemble "
        "each other: the same side of a curve, or the same strokes with a gap between them.",
    )


def learning_rates(recipe, images=60_000):
    """Compute the learning rate of every step of a recipe: array of shape (steps,)."""
    step = np.arange(recipe.epochs * -(-images // recipe.batch_size))
    peak, warm_up = recipe.learning_rate, recipe.warmup_steps
    if not warm_up:
        return np.full(len(step), peak)
    falling = peak / 2 * (1 + np.cos(np.pi * (step - warm_up) / (len(step) - warm_up)))
    return np.where(step < warm_up, peak * step / warm_up, falling)


def show_learning_rates(recipes):
    """Show the learning rate of every step, for several recipes.

    Parameters
    ----------
    recipes : dict of str to helpers.training.Recipe
    """
    figure, ax = plt.subplots(figsize=(10, 2.6))
    for name, recipe in recipes.items():
        ax.plot(learning_rates(recipe), label=name)
    ax.legend(frameon=False)
    ax.set(xlabel="step (one batch each)", ylabel="learning rate η")
    falling = sum(recipe.warmup_steps > 0 for recipe in recipes.values())
    ax.set_title(f"The learning rate of {falling} of the {len(recipes)} recipes falls to 0")
    plotting.show(
        figure,
        f"The learning rates of {len(recipes)} recipes. Some stay constant, the others rise in a "
        "short line to their peak and fall to zero along a cosine.",
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
            title="The augmentation alters copies of each digit",
        ),
        "A row of digits, and below it rows of altered copies: slightly turned, moved, zoomed and "
        "slanted, all still of the same class.",
    )


def show_recipes(wrong, gains):
    """Show the mistakes of each training of each recipe, and what each step saves.

    Parameters
    ----------
    wrong : DataFrame; one column for each recipe, one row for each seed
    gains : DataFrame; one row for each step, with the columns ``fewer``, ``low``, ``high``
        and ``told apart``: the mean of the differences within a seed, the ends of its interval
        (NaN if unknown), and whether the step is told apart from no gain.
    """
    median = wrong.median()
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.2))
    sns.stripplot(wrong, orient="h", jitter=False, alpha=0.5, color=plotting.COLOURS[0], ax=left)
    left.plot(median, range(len(median)), "|", markersize=24, markeredgewidth=2, color="black")
    left.set(xlabel="mistakes in the test images (dots: seeds, bars: medians)")
    left.set(xlim=(0, None), ylim=(len(median) - 0.5, -0.5))
    left.set_title("Mistakes of each recipe")
    for place, (_, gain) in enumerate(gains.iterrows()):
        colour = plotting.COLOURS[0] if gain["told apart"] else "0.5"
        right.plot([gain["low"], gain["high"]], [place, place], color=colour)
        right.plot(gain["fewer"], place, "o", color=colour)
    right.axvline(0, color="black", linewidth=1)
    right.set(yticks=range(len(gains)), yticklabels=gains.index, ylim=(len(gains) - 0.5, -0.5))
    right.set(xlabel="fewer mistakes than the recipe before (95 % interval)")
    right.set_title("What each step saves, within a seed")
    plotting.show(
        figure,
        "Left: mistakes of the recipes over several seeds; the whole recipe makes far fewer than "
        "the plain one. Right: what each step saves, with its interval; gray ones are not told "
        "apart from no gain.",
        name="01_recipes",
    )


def show_own_digits(pictures, digits, p):
    """Show pictures from outside, what became of them, and what a network answers.

    Parameters
    ----------
    pictures : dict of str to array of shape (h, w) or (h, w, 3 or 4)
        By the name of the file.
    digits : array of shape (n, h, w, 1), values in [0, 1]
    p : array of shape (n, classes), probabilities
    """
    size = (1.6 * len(pictures) + 0.9, 4)
    figure, axes = plt.subplots(2, len(pictures), figsize=size, squeeze=False)
    above, below = axes
    for ax, (name, picture) in zip(above, pictures.items(), strict=True):
        ax.imshow(picture, cmap="gray", vmin=0, vmax=255)
        ax.set_title(name.replace("_", "\n", 1), fontsize=10, loc="center")
    for ax, digit, row in zip(below, digits, p, strict=True):
        ax.imshow(digit[..., 0], cmap="gray", vmin=0, vmax=1)
        ax.set_xlabel(f"→ {row.argmax()}\np = {row.max():.2f}")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    above[0].set_ylabel("picture")
    below[0].set_ylabel("as in MNIST")
    plotting.show(
        figure,
        "Pictures of digits, and below each the same digit in the form of MNIST: bright ink on "
        "black, in the middle of a small square. Under it the network's answer and its "
        "probability.",
    )

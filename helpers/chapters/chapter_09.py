"""Networks, exercises and figures of 09: clothes, and what helps to tell them apart."""

import dataclasses
import functools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from scipy import special, stats

from helpers import models, plotting
from helpers.backend import keras, tf
from helpers.exercises import Exercise, not_nan
from helpers.models import DIGIT, Network
from helpers.training import Recipe

layers = keras.layers


def build_regularised(shape=DIGIT, classes=10, *, augmented=False):
    """Build the network of the course's source document: two convolutions, dropout everywhere.

    Parameters
    ----------
    shape : tuple of int, (h, w, c) of one image
    classes : int
    augmented : bool
        Turn, zoom and shift every training image at random first: what the source did with
        ``ImageDataGenerator(rotation_range=10, zoom_range=0.1, width_shift_range=0.1,
        height_shift_range=0.1)``.

    Returns
    -------
    keras.Model that ends in softmax

    Examples
    --------
    >>> build_regularised().count_params()
    225034
    """
    inputs = keras.Input(shape)
    x = inputs
    if augmented:
        x = layers.RandomRotation(10 / 360, fill_mode="nearest")(x)
        x = layers.RandomZoom(0.1, 0.1, fill_mode="nearest")(x)
        x = layers.RandomTranslation(0.1, 0.1, fill_mode="nearest")(x)
    x = layers.Conv2D(32, 3, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Dropout(0.25)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.5)(x)
    return Steady(inputs, layers.Dense(classes, activation="softmax")(x))


class Steady(keras.Model):
    """A network whose random layers rest unless it is told that it is in training.

    In Keras 3 `RandomRotation` and its relatives have ``training=True`` as their default. A model
    that is called without that argument, as in ``model(images)``, would change its test images.

    Examples
    --------
    >>> network, image = build_regularised(augmented=True), np.ones((1, 28, 28, 1))
    >>> bool(np.all(network(image) == network(image)))
    True
    """

    def call(self, inputs, training=False, mask=None):
        """Return the probabilities (n, classes) of images (n, h, w, c)."""
        return super().call(inputs, training=training, mask=mask)


class TwoViews(layers.Layer):
    """Let a network learn from changed images, and judge an image together with its mirror image.

    In training every image is mirrored or not, moved by a few pixels, and one box of it becomes
    gray (random erasing, after Zhong and others, 2020). Afterwards the answer is the mean of two:
    for the image, and for its mirror image. Clothes are worn on both sides.

    Parameters
    ----------
    network : keras.Model that ends in softmax
    shift : float
        The longest way in each direction, as a share of the side.
    box : float
        The longest side of the box, as a share of the image's.
    mirror : bool
        If false, no image is mirrored in training, and afterwards one answer has to do.

    Examples
    --------
    >>> network = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten(), layers.Softmax()])
    >>> p = TwoViews(network)(tf.constant([[[[1.0], [0.0]], [[1.0], [0.0]]]]))
    >>> np.asarray(p).round(2).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def __init__(self, network, shift=0.07, box=0.5, mirror=True, **options):
        super().__init__(**options)
        self.network, self.shift, self.box, self.mirror = network, shift, box, mirror

    def call(self, images, training=False):
        """Return the probabilities (n, classes) of images (n, h, w, c)."""
        if training:
            return self.network(self.changed(images), training=True)
        if not self.mirror:
            return self.network(images)
        return (self.network(images) + self.network(images[:, :, ::-1])) / 2

    def changed(self, images):
        """Mirror, move and erase: a tensor of images of the same shape."""
        n, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]

        def uniform(low, high):
            return tf.random.uniform((n, 1, 1, 1), low, high)

        side = tf.sign(uniform(-1, 1))  # -1 is mirrored
        side = side if self.mirror else tf.ones_like(side)
        # by whole pixels: between two pixels the image would be blurred, as no test image is
        dx = (width - 1) * (1 - side) / 2 + tf.round(uniform(-self.shift, self.shift) * width)
        dy = tf.round(uniform(-self.shift, self.shift) * height)
        one, zero = tf.ones_like(side), tf.zeros_like(side)
        transforms = tf.concat([side, zero, dx, zero, one, dy, zero, zero], axis=-1)[:, 0, 0]
        images = keras.ops.image.affine_transform(
            images, transforms, fill_mode="nearest", data_format="channels_last"
        )
        rows = tf.range(height, dtype=tf.float32)[None, :, None, None] / height
        columns = tf.range(width, dtype=tf.float32)[None, None, :, None] / width
        gone = tf.abs(rows - uniform(0, 1)) < uniform(0, self.box / 2)
        gone &= tf.abs(columns - uniform(0, 1)) < uniform(0, self.box / 2)
        return tf.where(gone, 0.5, images)


def build_strong(shape=DIGIT, classes=10, **changes):
    """Build the chapter's own network: four convolutions with batch normalisation, two views.

    Parameters
    ----------
    shape, classes : as in `build_regularised`
    **changes
        What `TwoViews` is told of shifts, boxes and mirrors.

    Returns
    -------
    keras.Model that returns probabilities

    Examples
    --------
    >>> build_strong().count_params()
    187082
    """
    inputs = keras.Input(shape)
    x = layers.Conv2D(32, 3, padding="same", activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    for filters, pool in ((64, True), (96, False), (128, False)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization()(x)
        x = layers.Activation("relu")(x)
        x = layers.MaxPooling2D(2)(x) if pool else x
    x = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x))
    network = keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))
    images = keras.Input(shape)
    return keras.Model(images, TwoViews(network, **changes)(images))


SHORT, LONG = 4, 16
NETWORKS: dict[str, Network] = {
    name + suffix: Network(
        name + suffix,
        functools.partial(build_regularised, augmented=name == "augmented"),
        Recipe(epochs=epochs),
        "fashion_mnist",
    )
    for name in ("regularised", "augmented")
    for suffix, epochs in (("", SHORT), ("_long", LONG))
}
# erasing boxes is a lesson for many epochs: in a few, mirror images are enough
NETWORKS |= {
    name: Network(
        name,
        functools.partial(build_strong, **changes),
        Recipe(epochs=epochs, learning_rate=3e-3, warmup_steps=200, validation=False),
        "fashion_mnist",
    )
    for name, epochs, changes in (
        ("strong_short", 6, {"shift": 0, "box": 0}),
        ("strong", 30, {}),
    )
}
NETWORKS["robust"] = Network(
    "robust",
    models.build_cnn,
    Recipe(epochs=3, learning_rate=2e-3, warmup_steps=200, attack_radius=2, validation=False),
    "fashion_mnist",
)
# the judges and some ablations of the course, trained on clothes with the same recipes
for _name in ("judge_cnn", "judge_mlp", "reference", "dense_64", "half_filters"):
    NETWORKS[_name] = dataclasses.replace(models.NETWORKS[_name], dataset="fashion_mnist")

# --- exercises

entropy = Exercise(
    "09-1",
    points=2,
    lesson="The label picks one logarithm of each row; a softer label would weigh several.",
    hint=(
        "How much surprise is there in each class, and which of them does the label count?",
        "-(t * np.log(p)).sum(axis=1) has one number for each image. What if p is 0?",
        "np.mean(-(t * np.log(np.maximum(p, 1e-12))).sum(axis=1))",
    ),
)
RNG = np.random.default_rng(0)
ONE_HOT = np.eye(5)[[2, 0, 4, 2]]
entropy.case(
    "the text's example",
    np.array([[1.0, 0, 0], [0, 1, 0]]),
    np.array([[0.5, 0.25, 0.25], [0.2, 0.8, 0.0]]),
)
entropy.case("4 images, 5 classes", ONE_HOT, special.softmax(RNG.normal(size=(4, 5)), axis=1))
SOFT = 0.9 * ONE_HOT + 0.02
entropy.case("4 soft labels", SOFT, special.softmax(RNG.normal(size=(4, 5)), axis=1))


@entropy.hidden("labels and probabilities drawn at random")
def _draw_labels(rng):
    n, classes = (int(size) for size in rng.integers([8, 3], [30, 9]))
    t = np.eye(classes)[rng.integers(0, classes, n)]
    p = special.softmax(rng.normal(size=(n, classes)), axis=1)
    p[0] = t[0]  # with zeros
    t[1 : n // 2] = 0.8 * t[1 : n // 2] + 0.2 / classes
    return t, p


FLOOR = "0 times log 0 is NaN: raise p to 1e-12 or so before you take its logarithm."
is_number = entropy.rule(FLOOR)(not_nan)
is_one = entropy.rule("Return one number: the mean over the images.")(
    lambda result: np.size(result) == 1
)


report = Exercise(
    "09-2",
    points=3,
    lesson="Recall asks the true Shirts, precision asks those who were called Shirts.",
    hint=(
        "The diagonal is right. Which sum counts the images of a class, which the answers?",
        "counts.sum(axis=0): answers; counts.sum(axis=1): images. Without answers precision is 0.",
        "2 * precision * recall / (precision + recall), with np.maximum(..., 1e-12) below the line",
    ),
)
report.case("the text's example", np.array([[8, 2], [4, 6]]))
report.case("4 classes", np.array([[50, 3, 1, 6], [7, 40, 0, 2], [5, 5, 30, 9], [12, 1, 4, 60]]))
report.case("3 classes, one never answered", np.array([[5, 1, 0], [2, 7, 0], [3, 4, 0]]))


@report.hidden("classes drawn at random")
def _draw_counts(rng):
    classes = int(rng.integers(3, 10))
    counts = rng.integers(1, 20, (classes, classes)) + 30 * np.eye(classes, dtype=int)
    counts[:, rng.integers(classes)] = 0  # one class is never answered
    return (counts,)


has_its_rows = report.rule("Return a row for each class, with three columns: shape (classes, 3).")(
    lambda result, counts: np.shape(result) == (len(counts), 3)
)
no_nan = report.rule("A class that is never answered has precision 0 and F1 0, not 0 / 0.")(not_nan)


views = Exercise(
    "09-3",
    points=1,
    lesson="Two answers of one network, averaged: image and mirror image get one answer.",
    hint=(
        "Left and right change places. Which of the four axes is that?",
        "x[:, :, ::-1] is the mirror image; ask for both, and take the mean of the answers.",
        "(predict(x) + predict(x[:, :, ::-1])) / 2",
    ),
)


def _network(n_pixels, seed):
    weights = np.random.default_rng(seed).normal(size=(n_pixels, 3))
    return lambda x: special.softmax(np.reshape(x, (len(x), -1)) @ weights, axis=1)


views.case("2 images of 3 x 4", _network(12, 0), RNG.random((2, 3, 4, 1)))
views.case("3 images of 2 x 2, in colour", _network(12, 1), RNG.random((3, 2, 2, 3)))


@views.hidden("a network and images drawn at random")
def _draw_images(rng):
    n, h, w, c = (int(size) for size in rng.integers([2, 2, 3, 2], [8, 6, 7, 4]))
    return _network(h * w * c, int(rng.integers(2**32))), rng.random((n, h, w, c))


is_of_classes = views.rule(
    "Return probabilities, a row for each image: no class, no single number."
)(lambda result, predict, x: np.shape(result) == (len(x), 3))


# --- figures

# test accuracy in the table of benchmarks of the dataset's own repository; the people had no
# training in fashion: 1,000 test images, the majority of three labels each
PEOPLE = 0.835
PUBLISHED = {
    "people": PEOPLE,
    "2 convolutions, 113,000 parameters": 0.922,
    "HOG and SVM": 0.926,
    "WRN-28-10 with random erasing": 0.963,
}


def show_examples(clothes, rows=4):
    """Show training images of each class, one class a column.

    Parameters
    ----------
    clothes : Dataset
    rows : int
    """
    columns = [clothes.x_train[clothes.y_train == c][:rows] for c in range(_classes(clothes))]
    plotting.show(
        plotting.digit_table(
            np.stack(columns, axis=1),
            column_labels=_names(clothes),
            title=f"{len(columns)} classes, one a column",
        ),
        "A table of small pictures, one class a column, a few pictures of each, with the names of "
        "the classes above.",
        name=_file(clothes, "09_examples"),
    )


def _classes(clothes):
    return len(clothes.class_names)


def _names(clothes):
    """Return names of the classes, broken into short lines."""
    return [name.replace("/", "/\n").replace(" ", "\n") for name in clothes.class_names]


def _file(clothes, name):
    """Name of a figure that is kept: only of the chapter's own dataset, not of another one."""
    return name if clothes.name == "fashion_mnist" else None


def show_first_epoch(accuracies):
    """Draw the steps from the training accuracy that Keras reports to the validation accuracy.

    Parameters
    ----------
    accuracies : dict of str to float in [0, 1]
        By what was measured; the first is what Keras reports, the last the validation accuracy.
    """
    names, percent = list(accuracies), 100 * np.array(list(accuracies.values()))
    places = np.arange(len(percent))
    figure, ax = plt.subplots(figsize=(8.4, 0.9 + 0.55 * len(percent)))
    ax.plot(percent, places, "o-", color=plotting.COLOURS[0])
    for place, value in zip(places, percent, strict=True):
        ax.annotate(f"{value:.1f} %", (value, place), (8, 4), textcoords="offset points")
    ax.set_yticks(places, names)
    ax.set_ylim(len(percent) - 0.5, -0.5)
    ax.margins(x=0.15)
    gap = percent[-1] - percent[0]
    title = f"After the first epoch: {gap:.0f} points between training and validation"
    ax.set_xlabel("accuracy (%)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    longest = np.abs(np.diff(percent)).argmax()
    plotting.show(
        figure,
        "Accuracies after the first epoch, one below the other, from what Keras reports to the "
        f"validation accuracy. The longest step leads from “{names[longest]}” to "
        f"“{names[longest + 1]}”.",
    )


def show_confusion(clothes, counts, watched):
    """Draw the confusion matrix with names, and say what one class is taken for.

    Parameters
    ----------
    clothes : Dataset
    counts : int array of shape (classes, classes); row = true class, column = predicted class
    watched : int
        The class that the title speaks of.
    """
    figure, ax = plt.subplots(figsize=(7.4, 7))
    others = counts[watched] * (np.arange(len(counts)) != watched)
    name, taken = clothes.class_names[watched], clothes.class_names[others.argmax()]
    title = f"A {name} is most often mistaken for a {taken}"
    plotting.confusion(ax, counts, title, clothes.class_names)
    ax.tick_params(axis="x", rotation=60)
    plotting.show(
        figure,
        "Confusion matrix of the classes. Most counts lie on the diagonal; the mistakes gather in "
        f"a few bright cells. In the row of {name}, the brightest is {taken}.",
    )


def show_watched(clothes, images, answers, watched):
    """Show images of one class that a network takes for another one, most confident first.

    Parameters
    ----------
    clothes : Dataset
    images : array of shape (n, h, w, c), values in [0, 1]
    answers : int array of shape (n,)
    watched : int
        Their true class.
    """
    titles = [_names(clothes)[answer] for answer in answers]
    name = clothes.class_names[watched]
    if not titles:
        print(f"No test image of the class {name} is misread")
        return
    title = f"The {len(titles)} surest mistakes at true class {name}. The network says:"
    plotting.show(
        plotting.digit_grid(images, titles, columns=8, title=title),
        f"Test images of the class {name}, each with the other class that the network takes it "
        "for; many could be either.",
    )


def show_changes(rows, title):
    """Show training images as they are, and as random layers change them.

    Parameters
    ----------
    rows : dict of str to array of shape (n, h, w, c), values in [0, 1]
    title : str
    """
    images = np.stack([np.clip(row, 0, 1) for row in rows.values()])
    plotting.show(
        plotting.digit_table(images, row_labels=list(rows), title=title),
        "Rows of the same training images: first as they are, then as the layers change them at "
        "random in training.",
    )


def show_gains(gains, title):
    """Draw differences between pairs of trainings, seed by seed, with an interval for their mean.

    Parameters
    ----------
    gains : dict of str to array of shape (seeds,)
        Accuracy with minus accuracy without, in points; three seeds or more.
    title : str
    """
    figure, ax = plt.subplots(figsize=(8.4, 1.3 + 0.75 * len(gains)))
    for place, values in enumerate(gains.values()):
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        apart = low > 0 or high < 0
        colour = plotting.COLOURS[3] if apart else "0.5"
        ax.plot([low, high], [place, place], color=colour, linewidth=7, alpha=0.4)
        ax.plot(np.mean(values), place, "D", color=colour)
        ax.plot(values, np.full(len(values), place + 0.27), ".", color=colour, alpha=0.7)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(len(gains)), list(gains))
    ax.set_ylim(len(gains) - 0.4, -0.5)
    ax.set(xlabel="accuracy with augmentation − accuracy without (points)", title=title)
    sides = {name: "above" if np.mean(values) > 0 else "below" for name, values in gains.items()}
    said = [f"{name.capitalize()}: the mean lies {side} zero." for name, side in sides.items()]
    plotting.show(
        figure,
        "Differences in accuracy between networks with and without augmentation: a dot for each "
        f"seed, an interval and its mean. {' '.join(said)}",
    )


def show_pairs(tables, level):
    """Draw for each network which pairs of its own runs a test calls different.

    Parameters
    ----------
    tables : dict of str to array of shape (seeds, seeds)
        p-values of each run against each other.
    level : float
        Below it, a difference is called significant.
    """
    figure, axes = plt.subplots(1, len(tables), figsize=(3.5 * len(tables), 4), squeeze=False)
    for ax, (name, p) in zip(axes.flat, tables.items(), strict=True):
        # the first row and the last column of the triangle would be empty
        p = pd.DataFrame(np.asarray(p)).iloc[1:, :-1]
        upper = np.triu(np.ones(p.shape, bool), 1)
        colours = [(0.88, 0.88, 0.88), plotting.COLOURS[1]]
        scale = {"cmap": colours, "vmin": 0, "vmax": 1, "cbar": False, "square": True}
        sns.heatmap(p < level, ax=ax, mask=upper, linewidths=1, **scale)
        below = np.sum((p.to_numpy() < level) & ~upper)
        ax.set_title(f"{name}:\n{below} of {np.sum(~upper)} pairs")
        ax.set(xlabel="seed", ylabel="seed")
        ax.tick_params(length=0, rotation=0)
        ax.grid(visible=False)
    figure.suptitle(f"Orange: p < {level:g} between two runs of one network", x=0.01, ha="left")
    every = all((np.asarray(p) < level).any() for p in tables.values())
    plotting.show(
        figure,
        "For each network, a triangle of squares, one for each pair of its own runs; orange "
        "squares are pairs that the test calls different."
        + " Every network has some of them."
        * every,
    )


FEWEST = 30  # images of a bin whose accuracy is drawn


def show_trust(tables, curves):
    """Draw accuracy against confidence, and the mistakes that are left when images are refused.

    Parameters
    ----------
    tables : dict of str to DataFrame
        What `helpers.confidence.reliability` gives, by the name of the network. Bins of fewer
        than `FEWEST` images are left out: their accuracy is mostly luck.
    curves : dict of str to pair of arrays of shape (n,)
        Coverage and risk, as `helpers.confidence.risk_coverage` gives them.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(10.4, 4.3))
    left.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    for name, table in tables.items():
        table = table[table["count"] >= FEWEST]
        left.plot(table["confidence"], table["accuracy"], "o-", label=name)
    left.set(xlabel=f"mean confidence m(x) of a bin of {FEWEST} images or more", ylabel="accuracy")
    left.set(title="Dots below the line: too sure", xlim=(0, 1.02), ylim=(0, 1.02))
    for name, (coverage, risk) in curves.items():
        right.plot(100 * coverage, 100 * risk, label=name)
    right.set(
        xlabel="coverage: images kept, the surest first (%)", title="Who may refuse errs less"
    )
    right.set(ylabel="risk: mistakes among those (%)")
    left.legend()
    right.legend()
    plotting.show(
        figure,
        "Left: accuracy against mean confidence in bins, one curve for each network, and a dashed "
        "diagonal. Right: the share of mistakes among the images kept rises with the share of "
        "images that are kept, for every network.",
    )


def show_walks(clothes, rows, target):
    """Show images on their way to another class, and real images of that class.

    Parameters
    ----------
    clothes : Dataset
    rows : dict of str to array of shape (n, h, w, c), values in [0, 1]
    target : int
    """
    name = clothes.class_names[target]
    plotting.show(
        plotting.digit_table(
            np.stack(list(rows.values())),
            row_labels=list(rows),
            title=f"What two networks change until they see a {name}",
        ),
        f"Rows of images: the starts, what each of two networks makes of them on the way to "
        f"{name}, and real images of that class.",
        name=_file(clothes, "09_walks"),
    )

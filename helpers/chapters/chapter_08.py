"""Exercises, networks and figures of 08: digits that are moved, spoilt and attacked."""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np

from helpers import models, plotting, session
from helpers.exercises import Exercise
from helpers.training import Recipe

NETWORKS = {
    network.name: network
    for network in (
        models.Network(
            "canvas",
            models.build_cnn,
            Recipe(epochs=14, learning_rate=3e-3, warmup_steps=200, canvas=56),
        ),
        models.Network(
            "linf",
            models.build_cnn,
            Recipe(
                epochs=10,
                learning_rate=2e-3,
                warmup_steps=200,
                attack_norm="linf",
                attack_radius=0.32,
                attack_steps=8,
                validation=False,
            ),
        ),
    )
}
KINDS = {
    "plain": "cnn",
    "best clean": "cnn_tuned",
    "canvas": "canvas",
    "robust L2": "robust",
    "robust L∞": "linf",
}


def networks(dataset):
    """Get the five networks of the chapter, all of one shape.

    Parameters
    ----------
    dataset : Dataset
        On the sample they are trained for one short epoch, so that every cell runs.

    Returns
    -------
    dict of str to keras.Model

    Examples
    --------
    >>> list(KINDS)
    ['plain', 'best clean', 'canvas', 'robust L2', 'robust L∞']
    """
    found = {}
    for kind, name in KINDS.items():
        network = {**models.NETWORKS, **NETWORKS}[name]
        if dataset.profile != "full":
            recipe = dataclasses.replace(network.recipe, epochs=1, attack_steps=1)
            network = dataclasses.replace(network, recipe=recipe)
        found[kind] = models.load_or_train(network, dataset)
    return found


def shrink(picture, side=28):
    """Shrink a picture to a square as it is: nothing is cut out, and nothing centred.

    Parameters
    ----------
    picture : array of shape (h, w), values in [0, 1]
    side : int

    Returns
    -------
    float32 array of shape (side, side), values in [0, 1]

    Examples
    --------
    >>> shrink(np.eye(4), side=2)
    array([[0.5, 0. ],
           [0. , 0.5]], dtype=float32)
    """
    from PIL import Image

    image = Image.fromarray(np.asarray(picture, np.float32))
    return np.asarray(image.resize((side, side), Image.BOX)).clip(0, 1)


place = Exercise(
    "08-1",
    points=2,
    lesson="At half its size a digit has a quarter of its ink.",
    hint=(
        "A black canvas first, the image into one slice of it; shrink the canvas, not the image.",
        "With k = size // h, canvas.reshape(h, k, h, k) puts each block of k x k on axes 1 and 3.",
        "canvas[top : top + h, left : left + h] = image, then the mean over axes (1, 3)",
    ),
)
RNG = np.random.default_rng(0)
place.case("the text's example", np.ones((2, 2)), 4, 0, 1)
place.case("a digit's size, 56", RNG.random((28, 28)), 56, 5, 20)
place.case("four pixels on 12", RNG.random((4, 4)), 12, 7, 2)
place.case("no room to move", RNG.random((4, 4)), 4, 0, 0)


@place.hidden("an image and a place drawn at random")
def _draw_place(rng):
    h, k = rng.integers([4, 2], [9, 4])
    free = h * (k - 1)
    top, left = rng.choice(np.arange(1, free + 1), 2, replace=False)  # never equal
    return rng.random((h, h)), int(h * k), int(top), int(left)


has_its_size = place.rule("The result has the size of the image: shrink the canvas at last.")(
    lambda result, image, *rest: np.shape(result) == np.shape(image)
)


suspect = Exercise(
    "08-2",
    points=2,
    lesson="An attack that does worse than a weaker one was not run well.",
    hint=(
        "In an honest row no number is larger than one to its left, chance aside.",
        "What is the smallest number so far? np.minimum.accumulate knows, along axis 1.",
        "(table > np.minimum.accumulate(table, axis=1) + tol).any(axis=1)",
    ),
)
suspect.case("the text's example", np.array([[0.99, 0.06, 0.86], [0.98, 0.7, 0.4]]), 0.02)
CREEPS = np.array([[0.9, 0.5, 0.515, 0.53], [0.9, 0.5, 0.51, 0.4], [0.9, 0.91, 0.5, 0.5]])
suspect.case("it creeps up", CREEPS, 0.02)
LEVEL = np.array([[0.9, 0.5, 0.5, 0.4], [0.9, 0.5, 0.51, 0.4], [0.9, 0.91, 0.5, 0.5]])
suspect.case("no tolerance", LEVEL, 0.0)
suspect.case("a fall, then a rise", np.array([[0.9, 0.2, 0.6, 0.1], [0.9, 0.8, 0.7, 0.6]]), 0.05)
suspect.case("clean is the lowest", np.array([[0.5, 0.6, 0.6], [0.6, 0.6, 0.5]]), 0.05)


@suspect.hidden("rows drawn at random")
def _draw_rows(rng):
    n, attacks, step = 30, int(rng.integers(4, 7)), rng.choice([0.01, 0.02, 0.04])
    # whole steps, and a tolerance between two of them: no rise is as large as it
    rows = rng.integers(0, 8, (n, attacks)) + np.arange(0, 4 * attacks, 4)[::-1]
    rows[: n // 2] = rng.integers(0, 8, (n // 2, attacks))
    rows[:3] = np.arange(attacks)  # they creep up
    return rng.permutation(rows) * step + 0.1, float(step * rng.choice([1.5, 2.5]))


is_for_each_row = suspect.rule("Return one True or False for each row: shape (n,).")(
    lambda result, table, *rest: np.shape(result) == (len(table),)
)


together = Exercise(
    "08-3",
    points=1,
    lesson="Together, attacks leave as many images right as the best of them alone, or fewer.",
    hint=(
        "An image withstands all attacks if it withstands each one. Ask image by image.",
        "One axis holds the attacks, the other the images: which one is all() for?",
        "right.all(axis=0).mean()",
    ),
)
together.case("the text's example", np.array([[True, True, False], [False, True, True]]))
together.case("three attacks, 40 images", RNG.random((3, 40)) < 0.8)
together.case("one attack", RNG.random((1, 9)) < 0.5)


@together.hidden("attacks and images drawn at random")
def _draw_attacks(rng):
    attacks, images = rng.integers([3, 30], [6, 60])
    return (rng.random((attacks, images)) < rng.uniform(0.7, 0.9),)


# --- figures


def show_training(history):
    """Draw the accuracy on training and held-out images after each epoch.

    Parameters
    ----------
    history : dict of str to list of float
        As Keras gives it, with a validation part.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.6))
    epochs = np.arange(1, 1 + len(history["loss"]))
    for ax, what in zip(axes, ("loss", "accuracy"), strict=True):
        series = {"training": history[what], "held out": history[f"val_{what}"]}
        plotting.lines(ax, epochs, series, "epoch", what, "", label_at_end=False)
    figure.suptitle("Loss and accuracy after each epoch", x=0.01, ha="left")
    plotting.show(
        figure,
        "Two panels, loss and accuracy over the epochs, each with a curve for the training images "
        "and one for the held-out images.",
    )


def show_confusions(counts):
    """Show confusion matrices side by side.

    Parameters
    ----------
    counts : dict of str to int array of shape (classes, classes)
        By the name of the images; row = true class, column = predicted class.
    """
    figure, axes = plt.subplots(1, len(counts), figsize=(4.9 * len(counts), 4.9), squeeze=False)
    for ax, (name, table) in zip(axes.flat, counts.items(), strict=True):
        plotting.confusion(ax, table, name)
    plotting.show(
        figure,
        f"A confusion matrix for {' and one for '.join(counts)}: true classes in rows, the "
        "network's answers in columns. The diagonal counts the right answers, the colours the "
        "wrong ones.",
        name="08_confusions",
    )


def show_moved(images, moved, size):
    """Show digits, and below them the same digits on a canvas.

    Parameters
    ----------
    images, moved : arrays of shape (n, h, w, 1), values in [0, 1]
    size : int
        The side of the canvas.
    """
    rows = ["MNIST", f"canvas {size}"]
    figure = plotting.digit_table(np.stack([images, moved]), rows)
    plotting.show(
        figure,
        "Two rows of digits. Above, as in MNIST, they fill the middle of their squares. Below, the "
        "same digits are smaller, and each lies somewhere else; everybody can read them.",
        name="08_moved",
    )


def show_surfaces(surfaces, sizes, places):
    """Draw the accuracy over the size of the digits and their distance from the middle.

    Parameters
    ----------
    surfaces : dict of str to array of shape (sizes, places)
        By the name of the network.
    sizes : sequence of int
        The sides of the canvases, small canvases first.
    places : sequence of float from 0 to 1
        How far from the middle towards the corner, as a share of the way.
    """
    figure, axes = plt.subplots(
        1, len(surfaces), figsize=(4.7 * len(surfaces) + 0.8, 4), sharey=True
    )
    for ax, (name, surface) in zip(np.atleast_1d(axes), surfaces.items(), strict=True):
        drawn = ax.imshow(surface, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        ax.grid(False)
        for (row, column), value in np.ndenumerate(surface):
            colour = "black" if value > 0.6 else "white"
            ax.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color=colour)
        ax.set(xticks=range(len(places)), xticklabels=[f"{p:g}" for p in places])
        ax.set(yticks=range(len(sizes)), yticklabels=[f"{28 / size:.2f}" for size in sizes])
        ax.set(xlabel="from the middle (0) to the corner (1)", title=name)
    np.atleast_1d(axes)[0].set_ylabel("size of the digits (1: MNIST)")
    figure.colorbar(drawn, ax=axes, label="accuracy")
    figure.suptitle("Accuracy over size and place, in percent", x=0.01, ha="left")
    plotting.show(
        figure,
        f"A table of accuracies for {' and one for '.join(surfaces)}: size of the digits in rows, "
        "way to the corner in columns. The darker a cell, the fewer digits are read.",
        name="08_surfaces",
    )


def show_reliability(tables):
    """Draw accuracy against confidence, a curve for each set of images.

    Parameters
    ----------
    tables : dict of str to DataFrame
        What `helpers.confidence.reliability` gives, by the name of the images.
    """
    figure, ax = plt.subplots(figsize=(5.4, 4.6))
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    for (name, table), marker in zip(tables.items(), "os^D", strict=False):
        ax.plot(table["confidence"], table["accuracy"], marker=marker, label=name)
    ax.legend(frameon=False, loc="upper left")
    ax.set(xlabel="mean confidence m(x)", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.01))
    figure.suptitle("On the dashed line a model keeps its word", x=0.01, ha="left")
    plotting.show(
        figure,
        "Accuracy against mean confidence, a curve for each set of images, and a dashed diagonal "
        "where the two are equal. Below the diagonal a network is surer than it is right.",
    )


def show_corruptions(spoilt, names, severities):
    """Show one digit under each corruption and severity.

    Parameters
    ----------
    spoilt : array of shape (severities, corruptions, h, w, 1), values in [0, 1]
    names : sequence of str
    severities : sequence of int
    """
    labels = [name.replace(" ", "\n") for name in names]
    figure = plotting.digit_table(spoilt, [f"severity {s}" for s in severities], labels)
    plotting.show(
        figure,
        "One digit under each corruption, a column each, and three severities in rows. In the "
        "lowest row some are hard to read even for people.",
        name="08_corruptions",
    )


def show_attacked(pictures, names, reads):
    """Show what attacks make of digits.

    Parameters
    ----------
    pictures : array of shape (attacks, n, h, w, 1), values in [0, 1]
    names : sequence of str
        The attacks.
    reads : int array of shape (attacks, n)
        What the network takes each for.
    """
    captions = [[f"→ {answer}" for answer in row] for row in reads]
    figure = plotting.digit_table(np.asarray(pictures), names, captions=captions)
    plotting.show(
        figure,
        "Digits in rows, one row for each attack, with the network's answer below each. The "
        "gradient attacks add a faint grey pattern, squares a mosaic of stripes and boxes; the "
        "digits can be read by people in every row.",
    )


def show_steps(steps):
    """Show how pictures become digits like those of MNIST, a row each.

    Parameters
    ----------
    steps : dict of str to (dict of str to array of shape (h, w))
        By the name of the picture: what `helpers.alterations.like_mnist` gives.
    """
    names = list(next(iter(steps.values())))
    size = (1.35 * len(names) + 1.4, 1.35 * len(steps) + 0.4)
    figure, axes = plt.subplots(len(steps), len(names), figsize=size, squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name, fontsize=10, loc="center")
    for row, (picture, done) in zip(axes, steps.items(), strict=True):
        for ax, image in zip(row, done.values(), strict=True):
            ax.imshow(image, cmap="gray", vmin=0, vmax=1)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
        label = picture.removeprefix("drawn_").replace("_", "\n")
        row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=10)
    plotting.show(
        figure,
        "Pictures of digits in rows, steps in columns: as it came, ink made bright, paper made "
        "black, cut out, shrunk into a box, and centred. The last column looks like MNIST.",
        name="08_steps",
    )


def accuracy_table(table):
    """Format a table of accuracies: whole percents, the higher the brighter.

    Parameters
    ----------
    table : pandas DataFrame, values in [0, 1]

    Returns
    -------
    pandas Styler
    """
    style = table.style.format(session.percent, na_rep="–")
    return style.background_gradient(cmap="viridis", vmin=0, vmax=1, axis=None)


def full_claims(dataset, reason="the networks of the sample learn for one epoch only"):
    """Return what states a claim on the full data, and says on the sample that it is not tested.

    Parameters
    ----------
    dataset : Dataset
    reason : str

    Returns
    -------
    callable with (sentence, condition, detail)
    """
    from helpers.claims import claim, skipped

    def state(sentence, condition, detail=""):
        if dataset.profile == "full":
            claim(sentence, condition, detail)
        else:
            skipped(sentence, reason)

    return state

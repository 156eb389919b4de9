"""Exercises of 13: two parts of a distance, nats of latent units, copies; networks and figures.

``python -m helpers.chapters.chapter_13`` trains all that ships.
"""

import dataclasses
import functools
import sys
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from helpers import (
    boltzmann,
    checkpoints,
    data,
    generative,
    models,
    plotting,
    session,
    training,
    validation,
)
from helpers.backend import keras
from helpers.exercises import Exercise, not_nan

layers = keras.layers
RNG = np.random.default_rng(0)
CLOUD, TURN = RNG.normal(size=(9, 3)), RNG.normal(size=(3, 3))
BITS = RNG.integers(0, 2, (30, 12)).astype(float)


parts = Exercise(
    "13-1",
    points=2,
    lesson="Moved to one mean, only the shapes of the two clouds differ.",
    hint=(
        "What does the distance of the means become if you take each cloud's mean off it first?",
        "First part: the squared length of the difference of the means. Second: the traces.",
        "np.cov(a, rowvar=False), and scipy.linalg.sqrtm(cov_a @ cov_b).real for the root",
    ),
    tolerance=1e-4,
)
SQUARE = np.array([[0.0, 0], [2, 0], [0, 2], [2, 2]])
parts.case("the text's example", SQUARE, 2 * SQUARE + [3, 0])
parts.case("two clouds of 9", CLOUD, CLOUD @ TURN + [1, -2, 0.5])
parts.case("9 beside 6, with four features", *(RNG.normal(size=(n, 4)) * n for n in (9, 6)))


@parts.hidden("clouds drawn at random")
def _draw_clouds(rng):
    n, m, width = (int(k) for k in rng.integers([8, 8, 2], [14, 14, 5]))
    turns = rng.normal(size=(2, width, width))
    a, b = rng.normal(size=(n, width)) @ turns[0], rng.normal(size=(m, width)) @ turns[1]
    return a, b + rng.uniform(1, 3, width)


two_numbers = parts.rule("Return two numbers: the part of the means, then that of the spreads.")(
    lambda result: np.shape(result) == (2,)
)
no_imaginary = parts.rule("There is NaN in it: a covariance is taken over the rows.")(not_nan)


nats = Exercise(
    "13-2",
    points=2,
    lesson="A unit with 0 nats says nothing of the image: its noise drowns what it could say.",
    hint=(
        "The rate is a sum over the units; take its terms apart, and average over the images.",
        "(mean² + variance - log variance - 1) / 2, and exp(log_variance) is the variance.",
        "np.mean((mean**2 + np.exp(log_variance) - log_variance - 1) / 2, axis=0)",
    ),
)
nats.case("the text's example", np.array([[2.0, 0]]), np.zeros((1, 2)))
nats.case("4 images, 3 units", RNG.normal(size=(4, 3)), RNG.normal(-1, 1, (4, 3)))
nats.case("5 images, 2 units", 2 * RNG.normal(size=(5, 2)), RNG.normal(-3, 1, (5, 2)))


@nats.hidden("images drawn at random")
def _draw_codes(rng):
    shape = tuple(int(k) for k in rng.integers([3, 2], [9, 7]))
    return rng.normal(0, 2, shape), rng.normal(-2, 1, shape)


one_a_unit = nats.rule("Return one number for each latent unit: shape (latent,).")(
    lambda result, mean, *rest: np.shape(result) == mean.shape[1:]
)


copies = Exercise(
    "13-3",
    points=2,
    lesson="A copy scores well in every measure that compares clouds, and fails this one.",
    hint=(
        "How far is a held-out image from its nearest training image? That is the control.",
        "Nearest distances of drawn and of held images; the limit is a quantile of the second.",
        "np.mean(near(drawn) < np.quantile(near(held), 0.05))",
    ),
)
TRAIN, HELD = BITS[:14], BITS[14:22]
copies.case("the text's example", np.eye(3)[:2], np.eye(3)[:1], np.array([[1.0, 1, 1]]))
copies.case("6 drawn, 2 of them copies", np.vstack([BITS[24:28], TRAIN[:2]]), TRAIN, HELD)
NEAR = TRAIN[3:6].copy()
NEAR[:, 0] = 1 - NEAR[:, 0]
copies.case("8 drawn, 3 near a training image", np.vstack([BITS[25:], NEAR]), TRAIN, HELD)


@copies.hidden("images drawn at random")
def _draw_copies(rng):
    train, held, drawn = (rng.integers(0, 2, (n, 20)).astype(float) for n in (40, 30, 12))
    some = int(rng.integers(2, 9))
    drawn[:some] = train[:some]
    drawn[0, 0] = 1 - drawn[0, 0]
    return rng.permutation(drawn), train, held


is_share = copies.rule("Return one share, a number from 0 to 1.")(
    lambda result: np.size(result) == 1 and 0 <= np.max(result) <= 1
)


# --- the data, and the networks whose features are compared


def in_black_and_white(mnist):
    """Draw all images of MNIST in black and white, once; hold the last sixth of training out.

    The test images are those of notebook 11.

    Parameters
    ----------
    mnist : Dataset

    Returns
    -------
    drawn : Dataset
        With the first five sixths of the training images.
    held : float32 array of shape (n, 28, 28, 1)
        The last sixth.

    Examples
    --------
    >>> from helpers import data
    >>> drawn, held = in_black_and_white(data.load("mnist", "lite"))
    MNIST: 4,000 training and 1,000 test images from data/samples, verified
    >>> len(drawn.x_train), len(held)
    (3333, 667)
    """
    rng, x = np.random.default_rng(1), mnist.x_train
    x = (rng.random(x.shape, dtype=np.float32) < x).astype(np.float32)
    cut = len(x) * 5 // 6
    test = generative.drawn_digits(mnist).reshape(mnist.x_test.shape)
    drawn = dataclasses.replace(mnist, x_train=x[:cut], y_train=mnist.y_train[:cut], x_test=test)
    return drawn, x[cut:]


def _build_mlp(shape=models.DIGIT, classes=10):
    inputs = keras.Input(shape)
    x = layers.Dense(128, activation="relu")(layers.Flatten()(inputs))
    x = layers.Dense(64, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


# not NETWORKS: the command `train` would train them on gray digits
FEATURES = {
    name: models.Network(f"drawn_{name}", build, training.Recipe(epochs, validation=False))
    for name, build, epochs in (("cnn", models.ABLATIONS["dense_64"], 4), ("mlp", _build_mlp, 8))
}


# --- models that ship


SHIPPED = {  # name -> how the model was built
    "dense_vae": generative.dense_vae,
    "conv_vae": generative.conv_vae,
    "conv_vae_beta4": functools.partial(generative.conv_vae, beta=4.0),
    "conv_vae_long": functools.partial(generative.conv_vae, filters=32),
    "drawn_cnn": models.ABLATIONS["dense_64"],
    "drawn_mlp": _build_mlp,
    "dcgan": lambda: generative.GAN(generative.build_generator(), generative.build_critic()),
    "wgan": lambda: generative.WassersteinGAN(
        generative.build_generator(), generative.build_critic()
    ),
}


def load(name):
    """Load a model that was trained on MNIST, and its card.

    Parameters
    ----------
    name : key of `SHIPPED`, or of a machine
        ``"rbm"`` is that of notebook 11, ``"dbn_top"`` one over its hidden units and labels.

    Returns
    -------
    model : BetaVAE, GAN, RBM or keras.Model
        Of a GAN only the average of the generator is kept.
    card : dict

    Raises
    ------
    RuntimeError
        If the weights are not those of the card.

    Examples
    --------
    >>> load("wgan")[0].draw(2, seed=0).shape  # doctest: +SKIP
    (2, 28, 28, 1)
    """
    arrays, card = checkpoints.load_arrays(f"mnist-{name}")
    if name not in SHIPPED:
        return boltzmann.RBM(*arrays), card
    model = SHIPPED[name]()
    _stored_part(model).set_weights(arrays)
    return model, card


def load_networks(drawn):
    """Load the two networks whose features are compared; on the sample they are trained here.

    Parameters
    ----------
    drawn : Dataset
        Black and white: see `in_black_and_white`.

    Returns
    -------
    dict of str to keras.Model
    """
    if drawn.profile == "full":
        return {name: load(network.name)[0] for name, network in FEATURES.items()}
    return {name: models.load_or_train(network, drawn) for name, network in FEATURES.items()}


def ship(name, model, card):
    """Write the weights of a model and its card to the pretrained ones.

    Parameters
    ----------
    name : str
    model : BetaVAE, GAN, RBM or keras.Model
    card : dict
        Its settings, minutes and held-out numbers.

    Examples
    --------
    >>> ship("wgan", gan, {"minutes": 8})  # doctest: +SKIP
    """
    if isinstance(model, boltzmann.RBM):
        arrays = [model.weights, model.visible_bias, model.hidden_bias]
    else:
        arrays = _stored_part(model).get_weights()
    card = {"model": type(model).__name__, "dataset": "mnist", "images": 50_000, "seed": 0, **card}
    checkpoints.ship_arrays(f"mnist-{name}", arrays, card)


def _stored_part(model):
    return getattr(model, "average", model)


# chosen on the held-out images, as far as they were chosen; the epochs are what there was time for
TRAININGS = {
    "dense_vae": {"epochs": 40, "learning_rate": 1e-3},
    "conv_vae": {"epochs": 30, "learning_rate": 2e-3},
    "conv_vae_beta4": {"epochs": 4, "learning_rate": 1e-3, "start": "conv_vae"},
    "conv_vae_long": {"epochs": 50, "learning_rate": 2e-3},
    "dcgan": {"epochs": 24, "learning_rate": 2e-4, "beta_2": 0.999, "batch_size": 64},
    "wgan": {"epochs": 20, "learning_rate": 5e-4, "beta_2": 0.9, "batch_size": 192},
    "dbn_top": {"hidden": 1000, "epochs": 24, "learning_rate": 0.05, "weight_decay": 2e-4},
}


def train(name):
    """Train a model that ships and write it with its card; the minutes are those of one core.

    Parameters
    ----------
    name : key of `TRAININGS`, or of `FEATURES`
    """
    validation.choice(name, "name", (*FEATURES, *TRAININGS))
    mnist = data.load("mnist", "full")
    drawn, held = in_black_and_white(mnist)
    x, y = mnist.x_train[: len(drawn.x_train)], mnist.y_train
    how = TRAININGS.get(name, {})
    began = time.process_time()
    keras.utils.set_random_seed(0)
    if name in FEATURES:
        model = FEATURES[name].build(models.DIGIT, 10)
        training.train(model, drawn.x_train, drawn.y_train, FEATURES[name].recipe, seed=0)
        card = {"minutes": (time.process_time() - began) / 60}
        accuracy = models.accuracy(model, held, y[len(x) :])
        card |= {"settings": FEATURES[name].recipe.settings(), "held_out": {"accuracy": accuracy}}
        name = FEATURES[name].name
    else:
        kind = {"dbn_top": _train_top, "dcgan": _train_gan, "wgan": _train_gan}
        model, card = kind.get(name, _train_vae)(name, x, y[: len(x)], held, **how)
        card["settings"] = how
    ship(name, model, card)


def _train_vae(name, x, y, held, *, epochs, learning_rate, start=None):
    model, minutes = SHIPPED[name](), 0.0
    if start:
        before, card = load(start)
        model.set_weights(before.get_weights())
        minutes = card["minutes"]
    falling = keras.optimizers.schedules.CosineDecay(learning_rate, epochs * len(x) // 100)
    began = time.process_time()
    generative.train(model, x, keras.optimizers.Adam(falling), epochs=epochs, seed=0)
    minutes += (time.process_time() - began) / 60
    bound = generative.importance_bound(model, held[:200], 500, seed=0).mean()
    reached = {"bound, 500 codes, 200 digits": float(bound)}
    return model, {"minutes": minutes, "held_out": reached}


def _train_gan(name, x, y, held, *, epochs, learning_rate, beta_2, batch_size):
    model, judge = SHIPPED[name](), load("drawn_cnn")[0]
    real = generative.features(judge, held)
    adam = keras.optimizers.Adam(learning_rate, beta_1=0.5, beta_2=beta_2)
    log, scoring, began = [], 0.0, time.process_time()

    def watch(epoch, losses):
        nonlocal scoring
        if 1 < epoch < epochs and epoch % 4:
            return
        now = time.process_time()
        images = generative.binarise(model.draw(len(held), seed=7), seed=3)
        fd = generative.frechet_distance(generative.features(judge, images), real)
        spent = {"minutes": (now - began - scoring) / 60, "steps": epoch * (len(x) // batch_size)}
        log.append(spent | losses | {"fd": fd})
        print({key: round(float(value), 3) for key, value in log[-1].items()}, flush=True)
        scoring += time.process_time() - now

    how = {"epochs": epochs, "batch_size": batch_size, "seed": 0}
    generative.train(model, x, adam, watch=watch, **how)
    reached = {"FD, cnn": log[-1]["fd"]}
    return model, {"minutes": log[-1]["minutes"], "held_out": reached, "log": log}


def _train_top(name, x, y, held, *, hidden, **how):
    rbm, judge = load("rbm")[0], load("drawn_cnn")[0]
    began = time.process_time()
    below = rbm.hidden_probabilities(x.reshape(len(x), -1))
    inputs = np.concatenate([below, np.eye(10, dtype="float32")[y]], axis=1)
    machine = boltzmann.train(inputs, hidden, seed=0, **how)
    minutes = (time.process_time() - began) / 60
    start = np.random.default_rng(0).random((len(held), len(machine.visible_bias))) < 0.2
    states = boltzmann.sample(machine, start, 500, seed=0)
    images = rbm.visible_probabilities(states[:, :-10]).reshape(held.shape)
    images = generative.features(judge, generative.binarise(images, seed=3))
    fd = generative.frechet_distance(images, generative.features(judge, held))
    return machine, {"minutes": minutes, "held_out": {"FD, cnn, free": fd}}


# --- scores


def nearest(images, train):
    """Count the pixels in which each image differs from its nearest training image.

    Parameters
    ----------
    images : array of shape (n, h, w, 1) of 0 and 1
    train : array of shape (m, h, w, 1) of 0 and 1

    Returns
    -------
    pixels : float array of shape (n,)
    place : int array of shape (n,)
        Of the nearest training image.

    Examples
    --------
    >>> train = np.array([[1.0, 0], [0, 0]]).reshape(2, 1, 2, 1)
    >>> nearest(np.ones((1, 1, 2, 1)), train)
    (array([1.]), array([0]))
    """
    flat, train = images.reshape(len(images), -1), train.reshape(len(train), -1)
    apart = flat.sum(axis=1)[:, None] + train.sum(axis=1) - 2 * flat @ train.T
    place = apart.argmin(axis=1)
    return apart[np.arange(len(flat)), place].astype(float), place


def score(sets, networks, real, train, part=2000):
    """Score sets of black-and-white images by features of networks, and beside training images.

    Parameters
    ----------
    sets : dict of str to array of shape (n, 28, 28, 1) of 0 and 1
    networks : dict of str to keras.Model
        Precision and recall take the features of the first one.
    real : array of shape (m, 28, 28, 1) of 0 and 1
        What is compared with.
    train : array of shape (k, 28, 28, 1) of 0 and 1
    part : int
        Precision and recall look at this many images, drawn by lot.

    Returns
    -------
    pandas.DataFrame
        A row for each set; a column ``FD, name`` for each network, ``precision``, ``recall``, and
        ``nearest``: pixels to the nearest training image, the median of 300.
    """
    known = {name: generative.features(network, real) for name, network in networks.items()}
    rows, rng = {}, np.random.default_rng(0)
    with session.progress_bar(len(sets), "scoring", delay=1) as bar:
        for label, images in sets.items():
            own = {name: generative.features(net, images) for name, net in networks.items()}
            row = {f"FD, {k}": generative.frechet_distance(own[k], known[k]) for k in networks}
            some = [rng.permutation(t)[:part] for t in (next(iter(known.values())), *own.values())]
            row["precision"], row["recall"] = generative.precision_recall(*some[:2])
            row["nearest"] = np.median(nearest(rng.permutation(images)[:300], train)[0])
            rows[label] = row
            bar.update()
    return pd.DataFrame.from_dict(rows, orient="index")


# --- figures


def show_rows(groups, title, alt, name=None):
    """Draw a row of images for each label.

    Parameters
    ----------
    groups : dict of str to array of shape (n, 28, 28, 1), all of one length
    title, alt : str
    name : str, optional
        Of the file.
    """
    figure = plotting.digit_table(np.stack(list(groups.values())), list(groups), title=title)
    plotting.show(figure, alt, name=name)


def show_codes(vae, codes, columns, title, alt, name=None):
    """Draw what a decoder makes of codes, a table of them.

    Parameters
    ----------
    vae : BetaVAE
    codes : array of shape (rows, columns, latent)
    columns : sequence of str
    title, alt : str
    name : str, optional
    """
    images = vae.decode(codes.reshape(-1, codes.shape[2]))
    images = images.reshape(*codes.shape[:2], *images.shape[1:])
    figure = plotting.digit_table(images, column_labels=columns, title=title)
    plotting.show(figure, alt, name=name)


def show_disagreement(table, name=None):
    """Draw the log-likelihood of models against their Fréchet distance.

    Parameters
    ----------
    table : DataFrame
        A row for each model, columns ``log p`` and ``FD``.
    name : str, optional
    """
    figure, ax = plt.subplots(figsize=(7.6, 4.2))
    for colour, (label, row) in zip(plotting.COLOURS, table.iterrows(), strict=False):
        ax.scatter(row["FD"], row["log p"], color=colour, s=60)
        ax.annotate(label, (row["FD"], row["log p"]), (8, -3), textcoords="offset points")
    ax.set(xscale="log", xlabel="Fréchet classifier distance: less is better")
    ax.set(ylabel="bound of log p (nats): more is better")
    ax.margins(x=0.25, y=0.15)
    likely, near = table["log p"].idxmax(), table["FD"].idxmin()
    same = "name the same winner" if likely == near else "do not name the same winner"
    figure.suptitle(f"The two scores {same}", x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "A dot for each model: to the left the smaller Fréchet distance, upwards the larger bound "
        f"of the log-likelihood. The most likely is {likely}, the nearest {near}.",
        name=name,
    )


def show_training(curves, name=None):
    """Draw the losses of trainings beside the Fréchet distance of what they draw.

    Parameters
    ----------
    curves : dict of str to DataFrame
        Training -> columns ``minutes``, ``critic``, ``generator`` and ``fd``.
    name : str, optional
    """
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6))
    for ax, key, label in zip(
        axes,
        ("critic", "generator", "fd"),
        ("loss of the critic", "loss of the generator", "Fréchet classifier distance"),
        strict=True,
    ):
        for colour, (kind, curve) in zip(plotting.COLOURS, curves.items(), strict=False):
            ax.plot(curve["minutes"], curve[key], marker="o", color=colour, label=kind)
        ax.set(xlabel="minutes of one core", title=label)
    axes[2].set(yscale="log")
    axes[2].legend(frameon=False)
    figure.suptitle("Two losses, and the distance of what is drawn", x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "Three panels over the minutes of training: the losses of critic and generator, and the "
        "Fréchet distance of drawn images to held-out training images. "
        f"A line for each of {', '.join(curves)}.",
        name=name,
    )


def show_units(said):
    """Draw the nats that each latent unit says, from the most to the least.

    Parameters
    ----------
    said : dict of str to array of shape (latent,), falling
        Model -> nats.
    """
    figure, ax = plt.subplots(figsize=(7.6, 3.6))
    for label, values in said.items():
        ax.plot(np.arange(1, len(values) + 1), values, marker="o", label=label)
    ax.set(xlabel="latent unit, in the order of what it says", ylabel="nats for an image")
    ax.legend(frameon=False)
    sums = ", ".join(f"{values.sum():.0f} nats in {label}" for label, values in said.items())
    figure.suptitle(f"All units together: {sums}", x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "For each model a falling curve: the nats that each latent unit says of an image, from "
        f"the most talkative unit to the most silent one. A curve for each of {', '.join(said)}.",
    )


if __name__ == "__main__":
    for chosen in sys.argv[1:] or (*FEATURES, *TRAININGS):
        train(chosen)

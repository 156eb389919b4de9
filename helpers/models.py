"""The networks that chapters share: how each is built and trained, and how to get one.

A network that only one chapter needs is a `Network` in that chapter's room.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from helpers import checkpoints, session, validation
from helpers.backend import keras
from helpers.data import Dataset
from helpers.training import Recipe, train

layers = keras.layers
DIGIT = (28, 28, 1)


@dataclass(frozen=True)
class Network:
    r"""A kind of network and how it is trained; with a dataset and a seed it is one network.

    Attributes
    ----------
    name : str
        Its name in files and records: letters, digits, ``_`` and ``-``.
    build : callable ``(shape, classes)`` that returns an untrained keras.Model
        The model takes images (n, \*shape) and ends in softmax over the classes.
    recipe : Recipe
    dataset : str
        The dataset that the command ``train`` trains it on.

    Raises
    ------
    ValueError
        For an attribute of another kind.

    Examples
    --------
    >>> Network("small", build_cnn, Recipe(epochs=1)).dataset
    'mnist'
    """

    name: str
    build: Callable
    recipe: Recipe
    dataset: str = "mnist"

    def __post_init__(self):
        """Refuse what would fail later, and less clearly."""
        for field, value in (("name", self.name), ("dataset", self.dataset)):
            if not (isinstance(value, str) and re.fullmatch(r"[\w-]+", value, re.ASCII)):
                raise ValueError(f"{field} must be made of letters, digits, _ and -, not {value!r}")
        if not callable(self.build):
            raise ValueError(f"build must be callable with (shape, classes), not {self.build!r}")
        if not isinstance(self.recipe, Recipe):
            raise ValueError(f"recipe must be a Recipe, not {self.recipe!r}")


def build_cnn(shape=DIGIT, classes=10):
    """Build the reference network: 225,034 parameters for 28 x 28 digits; it ends in softmax.

    Parameters
    ----------
    shape : tuple of int, (h, w, c) of one image
    classes : int

    Returns
    -------
    keras.Model

    Examples
    --------
    >>> build_cnn().count_params()
    225034
    """
    inputs = keras.Input(shape)
    x = layers.Conv2D(32, 3, activation="relu")(inputs)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Conv2D(64, 3, activation="relu")(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dense(128, activation="relu")(x)
    outputs = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def _build_ablation(
    shape=DIGIT,
    classes=10,
    *,
    filters=(32, 64),
    pool_between=True,
    dense=128,
    padding="valid",
    logits=False,
):
    """Build the reference network with one thing changed."""
    inputs = keras.Input(shape)
    x = layers.Conv2D(filters[0], 3, padding=padding, activation="relu")(inputs)
    if pool_between:
        x = layers.MaxPooling2D(2)(x)
    if len(filters) > 1:
        x = layers.Conv2D(filters[1], 3, padding=padding, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    if dense:
        x = layers.Dense(dense, activation="relu")(x)
    if logits:
        return keras.Model(inputs, layers.Softmax()(layers.Dense(classes)(x)))
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


def build_judge_cnn(shape=DIGIT, classes=10):
    """Build a second CNN that shares neither shape nor weights with the reference network.

    Parameters
    ----------
    shape, classes : as in `build_cnn`

    Examples
    --------
    >>> build_judge_cnn().output_shape
    (None, 10)
    """
    inputs = keras.Input(shape)
    x = layers.Conv2D(16, 5, padding="same", activation="relu")(inputs)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(48, 5, activation="relu")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(96, activation="relu")(x)
    outputs = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def build_judge_mlp(shape=DIGIT, classes=10):
    """Build a network without any convolution: all pixels, 256, 128, the classes.

    Parameters
    ----------
    shape, classes : as in `build_cnn`

    Examples
    --------
    >>> build_judge_mlp((32, 32, 3), classes=4).output_shape
    (None, 4)
    """
    inputs = keras.Input(shape)
    x = layers.Flatten()(inputs)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)


ABLATIONS: dict[str, Callable] = {
    "reference": build_cnn,
    "no_conv2": functools.partial(_build_ablation, filters=(32,)),
    "no_pooling": functools.partial(_build_ablation, pool_between=False),
    "dense_64": functools.partial(_build_ablation, dense=64),
    "half_filters": functools.partial(_build_ablation, filters=(16, 32)),
    "no_dense": functools.partial(_build_ablation, dense=0),
    "padded": functools.partial(_build_ablation, filters=(16, 32), padding="same", logits=True),
}

NETWORKS: dict[str, Network] = {
    network.name: network
    for network in (
        Network("cnn", build_cnn, Recipe(epochs=6)),
        Network(
            "cnn_tuned",
            build_cnn,
            Recipe(epochs=14, learning_rate=3e-3, warmup_steps=200, affine=True, validation=False),
        ),
        Network("noisy", build_cnn, Recipe(epochs=6, noise=0.4)),
        Network(
            "robust",
            build_cnn,
            Recipe(
                epochs=14, learning_rate=2e-3, warmup_steps=200, attack_radius=4.5, validation=False
            ),
        ),
        Network("judge_cnn", build_judge_cnn, Recipe(epochs=6)),
        Network("judge_mlp", build_judge_mlp, Recipe(epochs=8)),
        *(Network(name, build, Recipe(epochs=3)) for name, build in ABLATIONS.items()),
    )
}


def predict(model, x):
    """Probabilities of a model for many images.

    Parameters
    ----------
    model : callable on a batch (n, h, w, c) that returns probabilities (n, classes)
    x : array of shape (n, h, w, c), values in [0, 1]

    Returns
    -------
    float32 array of shape (n, classes); rows sum to 1

    Raises
    ------
    ValueError
        For images of another shape or range, or outputs that are not probabilities.

    Examples
    --------
    >>> def model(images):  # the brighter an image, the more it is of class 1
    ...     bright = images.mean(axis=(1, 2, 3))
    ...     return np.stack([1 - bright, bright], axis=1)
    >>> predict(model, np.full((1, 28, 28, 1), 0.25))
    array([[0.75, 0.25]], dtype=float32)
    """
    x = validation.images_for(model, x, "x")
    parts = []
    with session.progress_bar(len(x), "asking the model", len(x) > 500, delay=1) as bar:
        for i in range(0, len(x), 500):
            parts.append(np.asarray(model(x[i : i + 500])))
            bar.update(len(x[i : i + 500]))
    p = np.concatenate(parts)
    p = validation.probabilities(p, "the outputs of model")
    if len(p) != len(x):
        raise ValueError(f"model must return one row for each of {len(x)} images, not {len(p)}")
    return p.astype(np.float32, copy=False)


def accuracy(model, x, y):
    """Share of the images whose most probable class is their label, in [0, 1].

    Parameters
    ----------
    model, x : as in `predict`
    y : int array of shape (n,), labels

    Raises
    ------
    ValueError
        As in `predict`, and for labels that do not fit the images or the classes.

    Examples
    --------
    >>> def model(images):
    ...     return np.full((len(images), 2), [0.9, 0.1])
    >>> accuracy(model, np.zeros((4, 28, 28, 1)), [0, 0, 0, 1])
    0.75
    """
    p = predict(model, x)
    return float(np.mean(p.argmax(axis=1) == validation.labels(y, "y", len(p), p.shape[1])))


def load_or_train(network, dataset: Dataset, seed=None):
    """Load a trained network, or train it here; say where it came from and how accurate it is.

    It looks among the networks that this person trained, then (full profile only) among the
    pretrained ones of the repository, then trains with a progress bar and keeps the result. A
    file that is damaged or not what its name says is named with the reason, and not used.

    Parameters
    ----------
    network : key of `NETWORKS`, or Network
        ``"cnn"`` is the reference network with plain Adam, ``"cnn_tuned"`` the same parameters
        with the best recipe, ``"noisy"`` and ``"robust"`` the same, trained on noise and on
        attacks; further the judges and the ablations.
    dataset : Dataset
        Checkpoints know the name of a dataset and the number of its training images. For images
        that were changed, use a `Network` with a name of its own.
    seed : int, optional
        Default: the seed of the session.

    Returns
    -------
    keras.Model that ends in softmax

    Raises
    ------
    ValueError
        For an unknown network, a seed that is none, or a dataset without classes.
    RuntimeError
        If the training was cut short or diverged; nothing is kept then.

    Examples
    --------
    >>> from helpers import data
    >>> cnn = load_or_train("cnn", data.load("mnist"))  # doctest: +SKIP
    cnn, seed 0: loaded from data/models; test accuracy 99.10 %
    """
    network, seed = _checked(network, dataset, seed)
    trained = checkpoints.trained_path(network, dataset, seed)
    places = {"data/models": trained}
    # not for the sample, whose test images it may have trained on
    if dataset.profile == "full":
        places["data/pretrained"] = checkpoints.pretrained_path(network, dataset, seed)
    model = _untrained(network, dataset, seed)
    expected = checkpoints.wanted(model, network, dataset, seed)
    for place, path in places.items():
        if checkpoints.load(model, path, expected):
            score = session.percent(accuracy(model, dataset.x_test, dataset.y_test), 2)
            print(f"{network.name}, seed {seed}: loaded from {place}; test accuracy {score}")
            return model
    model = _untrained(network, dataset, seed)  # again: a load may have failed half-way
    run = train(model, dataset.x_train, dataset.y_train, network.recipe, seed=seed)
    score = accuracy(model, dataset.x_test, dataset.y_test)
    try:
        checkpoints.save(model, trained, {**expected, "test_accuracy": round(score, 4)})
    except OSError as error:
        print(f"The trained network could not be kept: {error}")
    score = session.percent(score, 2)
    print(f"{network.name}, seed {seed}: trained in {run.seconds:.0f} s; test accuracy {score}")
    return model


def load_to_invert(network, dataset: Dataset, seed=None):
    """Load a network of the full data to run it backwards, even where only the sample is at hand.

    With the full data it is `load_or_train`. On the sample it is the pretrained network of seed
    0, so that its pictures are real. It must not be tested there: the test images of the sample
    were among its training images.

    Parameters
    ----------
    network, dataset, seed :
        As in `load_or_train`.

    Returns
    -------
    keras.Model that ends in softmax

    Raises
    ------
    ValueError, RuntimeError
        As in `load_or_train`.

    Examples
    --------
    >>> from helpers import data
    >>> robust = load_to_invert("robust", data.load("mnist", "lite"))  # doctest: +SKIP
    robust, seed 0: loaded from data/pretrained, trained on 60,000 images; its card says ...
    """
    network, seed = _checked(network, dataset, seed)
    if dataset.profile == "full":
        return load_or_train(network, dataset, seed)
    model = _untrained(network, dataset, 0)
    expected = checkpoints.wanted(model, network, dataset, 0)
    del expected["images"]  # the full data's, and how many that is stands on the card
    card = checkpoints.load(model, checkpoints.pretrained_path(network, dataset, 0), expected)
    if card is None:
        return load_or_train(network, dataset, seed)
    print(
        f"{network.name}, seed 0: loaded from data/pretrained, trained on {card['images']:,} "
        f"images; its card says test accuracy {session.percent(card['test_accuracy'], 2)}"
    )
    return model


def _checked(network, dataset, seed):
    """Return a Network and a seed; refuse what is none."""
    if not isinstance(network, Network):
        network = NETWORKS[validation.choice(network, "network", NETWORKS)]
    if not isinstance(dataset, Dataset):
        raise ValueError(f"dataset must be what data.load returns, not {dataset!r}")
    if not dataset.class_names:
        raise ValueError(f"dataset must have classes; {dataset.name} has none")
    seed = session.seed() if seed is None else seed
    return network, validation.whole_number(seed, "seed", 0, 2**32 - 1)


def _untrained(network, dataset, seed):
    keras.utils.set_random_seed(seed)
    shape, classes = dataset.x_train.shape[1:], len(dataset.class_names)
    model = network.build(shape, classes)
    if not isinstance(model, keras.Model) or model.output_shape != (None, classes):
        raise ValueError(
            f"network {network.name!r} must build a keras.Model that returns {classes} "
            f"probabilities, not {model!r}"
        )
    return model

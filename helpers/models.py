"""Every network of the course: how it is built, how it is trained, and where it is kept."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from helpers import ROOT, current_seed, progress_bar, tensorflow
from helpers.data import Dataset

PRETRAINED = ROOT / "data" / "pretrained"
WARP = {"rotation": 12.0, "shift": 0.05, "zoom": 0.10, "shear": 0.10}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: Adam on the cross-entropy, with what is said here.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        Constant; with `warmup_steps` the peak, reached in a line and left in a cosine to 0.
    warmup_steps : int
    warp : bool
        Turn, move, zoom and shear every training image at random, anew in each epoch.
    noise : float
        Standard deviation of the Gaussian noise that is added to every training image.
    attack_radius, attack_steps : float, int
        Adversarial training: see `perturb`. Each image has a radius of its own, `attack_radius`
        times the square of a uniform random number: most attacks are small, a few are hard.
    validation : bool
        Hold out the last twelfth of the training images (see `Dataset.split`).
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    warp: bool = False
    noise: float = 0.0
    attack_radius: float = 0.0
    attack_steps: int = 3
    validation: bool = True

    def settings(self):
        """Everything that decides what is trained, as a dictionary for cards and file names."""
        return {**asdict(self), "warp": WARP if self.warp else None}


@dataclass(frozen=True)
class TrainingRun:
    """What one training left behind: loss and accuracy per epoch, and its seconds."""

    history: dict[str, list[float]]
    seconds: float


def build_cnn():
    """Build the reference network: 225,034 parameters, input (n, 28, 28, 1), output softmax."""
    return _cnn()


def _cnn(filters=(32, 64), pool_between=True, dense=128, padding="valid", logits=False):
    """Build the reference network, or a variant that differs in what is named."""
    tensorflow()
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1))
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
        x = layers.Dense(10)(x)
        outputs = layers.Softmax()(x)
    else:
        outputs = layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def build_judge_cnn():
    """Build a second CNN that shares neither shape nor weights with the reference network."""
    tensorflow()
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1))
    x = layers.Conv2D(16, 5, padding="same", activation="relu")(inputs)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Conv2D(48, 5, activation="relu")(x)
    x = layers.AveragePooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(96, activation="relu")(x)
    outputs = layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs)


def build_judge_mlp():
    """Build a network without any convolution: 784, 256, 128, 10."""
    tensorflow()
    import keras
    from keras import layers

    inputs = keras.Input((28, 28, 1))
    x = layers.Flatten()(inputs)
    x = layers.Dense(256, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    x = layers.Dense(128, activation="relu")(x)
    x = layers.Dropout(0.3)(x)
    outputs = layers.Dense(10, activation="softmax")(x)
    return keras.Model(inputs, outputs)


ABLATIONS: dict[str, Callable] = {
    "reference": build_cnn,
    "no_conv2": lambda: _cnn(filters=(32,)),
    "no_pooling": lambda: _cnn(pool_between=False),
    "dense_64": lambda: _cnn(dense=64),
    "half_filters": lambda: _cnn(filters=(16, 32)),
    "no_dense": lambda: _cnn(dense=0),
    "padded": lambda: _cnn(filters=(16, 32), padding="same", logits=True),
}

BUILDERS: dict[str, Callable] = {
    "cnn": build_cnn,
    "cnn_longer": build_cnn,
    "cnn_cosine": build_cnn,
    "cnn_tuned": build_cnn,
    "noisy": build_cnn,
    "robust": build_cnn,
    "judge_cnn": build_judge_cnn,
    "judge_mlp": build_judge_mlp,
    **ABLATIONS,
}

RECIPES: dict[str, Recipe] = {
    "cnn": Recipe(epochs=6),
    # two steps on the way from "cnn" to "cnn_tuned": what does each ingredient buy?
    "cnn_longer": Recipe(epochs=14, validation=False),
    "cnn_cosine": Recipe(epochs=14, learning_rate=3e-3, warmup_steps=200, validation=False),
    "cnn_tuned": Recipe(
        epochs=14, learning_rate=3e-3, warmup_steps=200, warp=True, validation=False
    ),
    "noisy": Recipe(epochs=6, noise=0.4),
    "robust": Recipe(
        epochs=8, learning_rate=2e-3, warmup_steps=200, attack_radius=3.75, validation=False
    ),
    "judge_cnn": Recipe(epochs=6),
    "judge_mlp": Recipe(epochs=8),
    **{name: Recipe(epochs=3) for name in ABLATIONS},
}


def train(model, x, y, recipe, *, seed=None, progress=True) -> TrainingRun:
    """Train a network in place.

    Parameters
    ----------
    model : keras.Model that ends in softmax
        If its last layer is a `Softmax`, the loss is computed from the logits before it.
    x : array of shape (n, 28, 28, 1), values in [0, 1]
    y : array of shape (n,), labels
    recipe : Recipe
    seed : int, optional
        Seed of the shuffling, the dropout and the warp. Default: the seed of the session.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Its history has the keys of Keras: ``loss``, ``accuracy`` and, with a validation part,
        ``val_loss``, ``val_accuracy``. With an attack, ``accuracy`` is that on attacked images.
    """
    tensorflow()
    import keras

    keras.utils.set_random_seed(current_seed() if seed is None else seed)
    from_logits = isinstance(model.layers[-1], keras.layers.Softmax)
    network = keras.Model(model.inputs, model.layers[-1].input) if from_logits else model
    changes = [warp_layer(**WARP)] if recipe.warp else []
    changes += [keras.layers.GaussianNoise(recipe.noise)] if recipe.noise else []
    if changes or recipe.attack_radius:
        inputs = keras.Input((28, 28, 1))
        changed = functools.reduce(lambda x, layer: layer(x), changes, inputs)
        kind = _adversarial(recipe) if recipe.attack_radius else keras.Model
        network = kind(inputs, network(changed))
    share = 1 / 12 if recipe.validation else 0.0
    steps = recipe.epochs * -(-int(len(x) * (1 - share)) // recipe.batch_size)
    network.compile(
        optimizer=keras.optimizers.Adam(_learning_rate(recipe, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        metrics=["accuracy"],
        jit_compile=False,  # XLA is four times slower here, on a CPU
    )
    bar = progress_bar(steps, "training", progress)
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: bar.update(),
        on_epoch_end=lambda epoch, logs: bar.set_postfix(accuracy=f"{logs['accuracy']:.3f}"),
    )
    began = time.perf_counter()
    with bar:
        fitted = network.fit(
            x,
            y,
            batch_size=recipe.batch_size,
            epochs=recipe.epochs,
            validation_split=share,
            callbacks=[callback],
            verbose=0,
        )
    return TrainingRun(fitted.history, time.perf_counter() - began)


def perturb(model, x, y, radius, steps=3):
    """Change images so that a network takes them for anything but their label.

    Parameters
    ----------
    model : keras.Model that ends in softmax
        Keras computes the loss from its logits. From the bare probabilities of another callable
        it would be clipped, and images of which the network is sure would not move.
    x : tensor of shape (n, 28, 28, 1), values in [0, 1]
    y : tensor of shape (n,), labels
    radius : float, or tensor of shape (n, 1, 1, 1)
        The Euclidean length that no change may exceed.
    steps : int

    Returns
    -------
    tensor of shape (n, 28, 28, 1), values in [0, 1]

    Notes
    -----
    Projected gradient descent in the Euclidean norm (Madry et al., 2018). A step has twice the
    length that would just reach the radius, so that it can go around corners.
    """
    tf = tensorflow()
    import keras

    moved = x
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(moved)
            loss = keras.losses.sparse_categorical_crossentropy(y, model(moved))
        change = moved - x + 2 * radius / steps * _to_length_1(tape.gradient(loss, moved))
        change *= tf.minimum(1.0, radius / (_length(change) + 1e-10))
        moved = tf.clip_by_value(x + change, 0.0, 1.0)
    return moved


def _length(images):
    tf = tensorflow()
    return tf.sqrt(tf.reduce_sum(images**2, axis=(1, 2, 3), keepdims=True))


def _to_length_1(images):
    return images / (_length(images) + 1e-10)


def _adversarial(recipe):
    """Return the kind of Model that trains on perturbed images instead of the given ones."""
    tf = tensorflow()
    import keras

    class Adversarial(keras.Model):
        def train_step(self, data):
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            radius = recipe.attack_radius * tf.random.uniform((tf.shape(x)[0], 1, 1, 1)) ** 2
            return super().train_step((perturb(self, x, y, radius, recipe.attack_steps), y))

    return Adversarial


def _learning_rate(recipe, steps):
    """Return a constant, or a line up to the peak and a cosine (Loshchilov & Hutter, 2017)."""
    import keras

    if not recipe.warmup_steps:
        return recipe.learning_rate
    # a small dataset has few steps: spend at most a tenth of them on the way up
    warmup = min(recipe.warmup_steps, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )


def warp_layer(rotation, shift, zoom, shear):
    """Build a layer that gives every image of a training batch its own small affine warp.

    One batched projective transform; Keras' own random layers do the same one by one and take
    more than twice the time. `rotation` in degrees, `shift` as a share of the side.
    """
    tf = tensorflow()
    import keras

    class Warp(keras.layers.Layer):
        def call(self, images, training=False):
            if not training:
                return images
            n, side = tf.shape(images)[0], 28.0

            def uniform(limit):
                return tf.random.uniform((n,), -limit, limit)

            angle = uniform(rotation * np.pi / 180)
            scale_x, scale_y = 1 + uniform(zoom), 1 + uniform(zoom)
            slant = uniform(shear)
            a = scale_x * tf.cos(angle)
            b = -scale_y * tf.sin(angle) + slant
            c = scale_x * tf.sin(angle) + slant
            d = scale_y * tf.cos(angle)
            # rotate about the centre of the image, then move
            middle = (side - 1) / 2
            dx = middle - a * middle - b * middle + uniform(shift * side)
            dy = middle - c * middle - d * middle + uniform(shift * side)
            zero = tf.zeros((n,))
            return tf.raw_ops.ImageProjectiveTransformV3(
                images=images,
                transforms=tf.stack([a, b, dx, c, d, dy, zero, zero], axis=1),
                output_shape=(28, 28),
                interpolation="BILINEAR",
                fill_mode="CONSTANT",
                fill_value=0.0,
            )

    return Warp()


def predict(model, x):
    """Probabilities of a model for many images.

    Parameters
    ----------
    model : callable on a batch (n, 28, 28, 1) that returns probabilities (n, classes)
    x : array of shape (n, 28, 28, 1), values in [0, 1]

    Returns
    -------
    float32 array of shape (n, classes); rows sum to 1
    """
    return np.concatenate([np.asarray(model(x[i : i + 500])) for i in range(0, len(x), 500)])


def accuracy(model, x, y):
    """Share of the images whose most probable class is their label, in [0, 1]."""
    return float(np.mean(predict(model, x).argmax(axis=1) == y))


def load_or_train(name, dataset: Dataset, seed=None):
    """Load a trained network, or train it here; say where it came from and how accurate it is.

    It looks among the networks that this person trained, then (full profile only) among those
    that the repository ships, then trains with a progress bar and keeps the result.

    Parameters
    ----------
    name : key of `RECIPES`
        ``"cnn"`` is the reference network with plain Adam, ``"cnn_tuned"`` the same parameters
        with the best recipe, ``"noisy"`` and ``"robust"`` the same, trained on noise and on
        attacks; further two steps to the best recipe, the judges and the ablations.
    dataset : Dataset
    seed : int, optional
        Default: the seed of the session.

    Returns
    -------
    keras.Model that ends in softmax

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if name not in RECIPES:
        raise ValueError(f"name must be one of {sorted(RECIPES)}, not {name!r}")
    tensorflow()
    import keras

    seed = current_seed() if seed is None else seed
    keras.utils.set_random_seed(seed)
    model = BUILDERS[name]()
    kept = kept_path(name, dataset, seed)
    shipped = shipped_path(name, dataset, seed)
    places = {"data/models": kept}
    card = _card(shipped, RECIPES[name], seed)
    # not for the sample or another part of the data, whose test images it may have trained on
    if card and dataset.profile == "full" and card["images"] == len(dataset.x_train):
        places["data/pretrained"] = shipped
    for place, path in places.items():
        if _load_weights(model, path):
            origin = f"loaded from {place}"
            break
    else:
        keras.utils.set_random_seed(seed)
        model = BUILDERS[name]()  # a file that failed half-way may have changed some weights
        run = train(model, dataset.x_train, dataset.y_train, RECIPES[name], seed=seed)
        try:
            save_weights(model, kept)
        except OSError as error:
            print(f"The trained network could not be kept: {error}")
        origin = f"trained in {run.seconds:.0f} s"
    score = accuracy(model, dataset.x_test, dataset.y_test)
    print(f"{name}, seed {seed}: {origin}; test accuracy {score:.2%}")
    return model


def load_to_invert(name, dataset: Dataset, seed=None):
    """Load a network of full MNIST to run it backwards, even where only the sample is at hand.

    With the full data it is `load_or_train`. On the sample it is the network of seed 0 that the
    repository ships, so that its pictures are real. It must not be tested there: the test images
    of the sample were among its training images.

    Parameters
    ----------
    name, dataset, seed :
        As in `load_or_train`.

    Returns
    -------
    keras.Model that ends in softmax

    Raises
    ------
    ValueError
        For an unknown name.
    """
    shipped = shipped_path(name, dataset, 0)
    if dataset.profile == "full" or name not in RECIPES:
        return load_or_train(name, dataset, seed)
    model = BUILDERS[name]()
    card = _card(shipped, RECIPES[name], 0)
    if not (card and _load_weights(model, shipped)):
        return load_or_train(name, dataset, seed)
    print(
        f"{name}, seed 0: loaded from data/pretrained, trained on {card['images']:,} images; "
        f"its card says test accuracy {card['test_accuracy']:.2%}"
    )
    return model


def models_folder():
    """Where trained networks are kept: ``data/models``, or ``$COURSE_MODELS`` (for tests)."""
    return Path(os.environ.get("COURSE_MODELS") or ROOT / "data" / "models")


def kept_path(name, dataset, seed):
    """Path of the weights that `load_or_train` keeps; other settings give another path."""
    settings = {**RECIPES[name].settings(), "images": len(dataset.x_train)}
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    file = f"{dataset.name}-{_file_name(name, seed)}-{key}.weights.h5"
    return models_folder() / dataset.profile / file


def shipped_path(name, dataset, seed):
    """Path of the weights that the repository ships."""
    return PRETRAINED / f"{dataset.name}-{_file_name(name, seed)}.weights.h5"


def card_path(weights):
    """Path of the card that belongs to shipped weights."""
    return weights.with_suffix("").with_suffix(".json")


def _file_name(name, seed):
    return name if seed == 0 else f"{name}-seed{seed}"


def _card(weights, recipe, seed):
    """Card of a shipped network that was trained with the settings that the code has now."""
    try:
        card = json.loads(card_path(weights).read_text())
        fits = card["recipe"] == recipe.settings() and card["seed"] == seed
        return card if fits and {"images", "test_accuracy"} <= card.keys() else None
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # none, or a damaged one: it vouches for nothing
        return None


def _load_weights(model, path):
    if not path.exists():
        return False
    try:
        with warnings.catch_warnings():
            # Keras only warns when a file lacks some layers, and keeps their random weights
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a damaged or foreign file
        reason = str(error).splitlines()[0] if str(error) else ""
        print(f"{path.name} does not load ({type(error).__name__}: {reason}): training again.")
        return False
    return True


def save_weights(model, path):
    """Save the weights under a temporary name and rename them when they are whole."""
    import keras

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{os.getpid()}-{path.name}")
    try:
        # a new Model around the same layers has no optimizer, whose state would triple the file
        keras.Model(model.inputs, model.outputs).save_weights(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

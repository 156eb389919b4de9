"""How a network is trained: recipes, random augmentation, noise, attacks."""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, dataclass, fields

import numpy as np

from helpers import alterations, attacks, session, validation
from helpers.backend import keras, tf

AFFINE = {"rotation": 12.0, "shift": 0.05, "zoom": 0.10, "shear": 0.10}
VALIDATION_SHARE = 1 / 12


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: Adam on the cross-entropy, with what is said here.

    Attributes
    ----------
    epochs, batch_size : int, at least 1
    learning_rate : float, more than 0
        Constant; with `warmup_steps` the peak, reached in a line and left in a cosine to 0.
    warmup_steps : int
        At most a tenth of all steps are spent on the way up.
    affine : bool
        Rotate, shift, zoom and shear every training image at random, anew in each epoch.
    noise : float, at most 1
        Standard deviation of the Gaussian noise that is added to every training image.
    attack_radius, attack_steps : float from 0 to 1000, int
        Adversarial training: see `helpers.attacks.pgd_attack`. Each image has a radius of its
        own, `attack_radius` times the square of a uniform random number: most attacks are small,
        a few are hard.
    validation : bool
        Hold out the last twelfth of the training images (see `Dataset.split`).
    attack_norm : {"l2", "linf"}
        With ``"linf"`` most attacks are hard: the radius is `attack_radius` times the root of the
        uniform number, grows to that in the first quarter of the training, and the attack starts
        at a random point.
    canvas : int, 0 or at least the side of an image
        Put every other image on a canvas of this side (see `RandomCanvas`); 0 for none.

    Raises
    ------
    ValueError
        For a value of another type or range; it names the attribute.

    Examples
    --------
    >>> Recipe(epochs=3, noise=0.4).settings()["noise"]
    0.4
    >>> Recipe(epochs=0)
    Traceback (most recent call last):
    ValueError: epochs must be a whole number, 1 or more, not 0
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 1e-3
    warmup_steps: int = 0
    affine: bool = False
    noise: float = 0.0
    attack_radius: float = 0.0
    attack_steps: int = 3
    validation: bool = True
    attack_norm: str = "l2"
    canvas: int = 0

    def __post_init__(self):
        """Check all values, and bring them into the one form that a checkpoint's key is made of."""
        checks = {
            "epochs": lambda v, name: validation.whole_number(v, name, 1),
            "batch_size": lambda v, name: validation.whole_number(v, name, 1),
            "learning_rate": lambda v, name: validation.number(v, name, above=0),
            "warmup_steps": lambda v, name: validation.whole_number(v, name, 0),
            "affine": _yes_or_no,
            "noise": lambda v, name: validation.number(v, name, low=0, high=1),
            "attack_radius": lambda v, name: validation.number(v, name, low=0, high=1000),
            "attack_steps": lambda v, name: validation.whole_number(v, name, 1),
            "validation": _yes_or_no,
            "attack_norm": lambda v, name: validation.choice(v, name, attacks.NORMS),
            "canvas": lambda v, name: validation.whole_number(v, name, 0),
        }
        for field in fields(self):
            value = checks[field.name](getattr(self, field.name), field.name)
            object.__setattr__(self, field.name, value)

    def settings(self):
        """Everything that decides what is trained, as a dictionary for cards and file names."""
        settings = {**asdict(self), "affine": dict(AFFINE) if self.affine else None}
        # the two came later: a recipe without them keeps its cards, records and file names
        later = {"attack_norm": "l2", "canvas": 0}
        return {k: v for k, v in settings.items() if k not in later or v != later[k]}


def _yes_or_no(value, name):
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be True or False, not {value!r}")
    return value


@dataclass(frozen=True)
class TrainingRun:
    """What one training left behind: loss and accuracy per epoch, and its seconds."""

    history: dict[str, list[float]]
    seconds: float


def train(model, x, y, recipe, *, seed=None, progress=True) -> TrainingRun:
    """Train a network in place.

    Parameters
    ----------
    model : keras.Model that ends in softmax
        If its last layer is a `Softmax`, the loss is computed from the logits before it.
    x : array of shape (n, h, w, c), values in [0, 1]
    y : int array of shape (n,), labels
    recipe : Recipe
    seed : int, optional
        Seed of the shuffling and of all that the recipe draws at random; weights and dropout are
        drawn where the model is built. Default: the seed of the session.
    progress : bool
        Show a progress bar.

    Returns
    -------
    TrainingRun
        Its history has the keys of Keras: ``loss``, ``accuracy`` and, with a validation part,
        ``val_loss``, ``val_accuracy``. With an attack, ``accuracy`` is that on attacked images.

    Raises
    ------
    ValueError
        For images, labels or settings that do not fit each other or the model.
    RuntimeError
        If the training was cut short, or its loss is no longer a number.

    Examples
    --------
    >>> inputs = keras.Input((2, 2, 1))
    >>> outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    >>> x = np.linspace(0, 1, 48).reshape(12, 2, 2, 1)
    >>> run = train(keras.Model(inputs, outputs), x, np.arange(12) // 6, Recipe(epochs=1))
    >>> list(run.history)
    ['accuracy', 'loss', 'val_accuracy', 'val_loss']
    """
    x, y, recipe, seed = _checked(model, x, y, recipe, seed)
    keras.utils.set_random_seed(seed)
    share = VALIDATION_SHARE if recipe.validation else 0.0
    steps = recipe.epochs * -(-int(len(x) * (1 - share)) // recipe.batch_size)
    network, from_logits = _network_to_fit(model, recipe, steps)
    network.compile(
        optimizer=keras.optimizers.Adam(_learning_rate(recipe, steps)),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits),
        metrics=["accuracy"],
        jit_compile=False,  # XLA is four times slower here, on a CPU
    )
    done = 0

    def count(batch, logs):
        nonlocal done
        done += 1
        bar.update()

    bar = session.progress_bar(steps, "training", progress)
    callback = keras.callbacks.LambdaCallback(
        on_train_batch_end=count,
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
    _check_complete(fitted.history, done, steps)
    return TrainingRun(fitted.history, time.perf_counter() - began)


def _checked(model, x, y, recipe, seed):
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model, not {model!r}")
    if not isinstance(recipe, Recipe):
        raise ValueError(f"recipe must be a Recipe, not {recipe!r}")
    x = validation.images_for(model, x, "x")
    if recipe.validation and len(x) < 2:
        raise ValueError("x must hold 2 images or more, because one is held out for validation")
    p = validation.probabilities(np.asarray(model(x[:1])), "the outputs of model")
    y = validation.labels(y, "y", len(x), p.shape[1])
    seed = session.seed() if seed is None else seed
    return x, y, recipe, validation.whole_number(seed, "seed", 0, 2**32 - 1)


def _check_complete(history, done, steps):
    """Refuse what must not be taken for a trained network."""
    if done < steps:
        raise RuntimeError(
            f"The training ended after {done} of {steps} steps: unset KERAS_MAX_EPOCHS and "
            "KERAS_MAX_STEPS_PER_EPOCH, with which Keras cuts it short."
        )
    if not np.isfinite(history["loss"][-1]):
        raise RuntimeError(
            f"The training diverged: its loss became {history['loss'][-1]}. "
            "Try a smaller learning_rate."
        )


def _network_to_fit(model, recipe, steps):
    """Return a network around the model's layers that changes its images first, as recipes say.

    Returns
    -------
    network : keras.Model
    from_logits : bool
        Whether it returns logits instead of probabilities.
    """
    from_logits = isinstance(model.layers[-1], keras.layers.Softmax)
    network = keras.Model(model.inputs, model.layers[-1].input) if from_logits else model
    changes = [RandomAffine(**AFFINE)] if recipe.affine else []
    changes += [RandomCanvas(recipe.canvas)] if recipe.canvas else []
    changes += [keras.layers.GaussianNoise(recipe.noise)] if recipe.noise else []
    if changes or recipe.attack_radius:
        inputs = keras.Input(model.input_shape[1:])
        changed = functools.reduce(lambda x, layer: layer(x), changes, inputs)
        if recipe.attack_radius:
            network = AdversarialModel(inputs, network(changed))
            network.recipe, network.from_logits, network.steps = recipe, from_logits, steps
        else:
            network = keras.Model(inputs, network(changed))
    return network, from_logits


class AdversarialModel(keras.Model):
    """A model that trains on attacked images instead of the given ones.

    It needs the attributes `recipe`, `from_logits` and `steps` before it is fitted.
    """

    def train_step(self, data):
        """Attack a batch, with a radius for each image, and train on the result."""
        x, y, _ = keras.utils.unpack_x_y_sample_weight(data)

        def loss(images):
            return keras.losses.sparse_categorical_crossentropy(
                y, self(images), from_logits=self.from_logits
            )

        recipe, share = self.recipe, tf.random.uniform((tf.shape(x)[0], 1, 1, 1))
        radius, start = recipe.attack_radius * share**2, None
        if recipe.attack_norm == "linf":
            # from the first step at full strength, the network would learn to answer one class
            done = tf.cast(self.optimizer.iterations + 1, tf.float32) / self.steps
            radius = recipe.attack_radius * tf.minimum(1.0, 4 * done) * share**0.5
            start = tf.clip_by_value(x + radius * tf.random.uniform(tf.shape(x), -1, 1), 0.0, 1.0)
        attacked = attacks.climb(loss, x, radius, recipe.attack_steps, recipe.attack_norm, start)
        return super().train_step((attacked, y))


def _learning_rate(recipe, steps):
    """Return a constant, or a line up to the peak and a cosine (Loshchilov & Hutter, 2017)."""
    if not recipe.warmup_steps:
        return recipe.learning_rate
    # a small dataset has few steps: spend at most a tenth of them on the way up
    warmup = min(recipe.warmup_steps, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )


class RandomAffine(keras.layers.Layer):
    """Rotate, shift, zoom and shear every image of a training batch by its own random amounts.

    All images go through one batched transform; Keras' own random layers do the same one by one
    and take more than twice the time. What comes from outside of the image is black.

    Parameters
    ----------
    rotation : float from 0 to 180
        The largest angle, in degrees, to either side.
    shift : float from 0 to 1
        The longest way in each direction, as a share of the side.
    zoom : float from 0 to 0.9
        The largest change of the size in each direction, as a share of it.
    shear : float from 0 to 1
        The largest slant.

    Raises
    ------
    ValueError
        For an amount out of its range.

    Examples
    --------
    >>> images = np.ones((2, 4, 4, 1), np.float32)
    >>> moved = RandomAffine(**AFFINE)(images, training=True)
    >>> tuple(moved.shape)
    (2, 4, 4, 1)
    """

    def __init__(self, rotation, shift, zoom, shear, **options):
        super().__init__(**options)
        self.rotation = validation.number(rotation, "rotation", low=0, high=180)
        self.shift = validation.number(shift, "shift", low=0, high=1)
        self.zoom = validation.number(zoom, "zoom", low=0, high=0.9)
        self.shear = validation.number(shear, "shear", low=0, high=1)

    def call(self, images, training=False):
        """Change a tensor of images (n, h, w, c) in training; return it as it is otherwise."""
        if not training:
            return images
        n, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]

        def uniform(limit):
            return tf.random.uniform((n,), -limit, limit)

        angle = uniform(self.rotation * np.pi / 180)
        scale_x, scale_y = 1 + uniform(self.zoom), 1 + uniform(self.zoom)
        slant = uniform(self.shear)
        a = scale_x * tf.cos(angle)
        b = -scale_y * tf.sin(angle) + slant
        c = scale_x * tf.sin(angle) + slant
        d = scale_y * tf.cos(angle)
        # rotate about the centre of the image, then move
        x, y = (width - 1) / 2, (height - 1) / 2
        dx = x - a * x - b * y + uniform(self.shift * width)
        dy = y - c * x - d * y + uniform(self.shift * height)
        zero = tf.zeros((n,))
        transforms = tf.stack([a, b, dx, c, d, dy, zero, zero], axis=1)
        return keras.ops.image.affine_transform(images, transforms, data_format="channels_last")


class RandomCanvas(keras.layers.Layer):
    """Put every other image of a training batch on a larger canvas, and shrink that to its size.

    Each of these images has a random place of its own; `helpers.alterations.on_canvas` does the
    same with arrays. The others stay as they are.

    Parameters
    ----------
    size : int, at least 1
        The side of the canvas in pixels; at least that of an image.

    Raises
    ------
    ValueError
        For a size that is none, and where the layer is called on larger images.

    Examples
    --------
    >>> images = np.ones((4, 28, 28, 1), np.float32)
    >>> placed = RandomCanvas(56)(images, training=True)
    >>> [round(float(image.mean()), 2) for image in placed.numpy()]
    [1.0, 0.25, 1.0, 0.25]
    """

    def __init__(self, size, **options):
        super().__init__(**options)
        self.size = validation.whole_number(size, "size", 1)

    def call(self, images, training=False):
        """Change a tensor of images (n, h, w, c) in training; return it as it is otherwise."""
        if not training:
            return images
        down, across = (
            tf.gather(windows, tf.random.uniform(tf.shape(images)[:1], 0, len(windows), tf.int32))
            for windows in (alterations.windows(side, self.size) for side in images.shape[1:3])
        )
        placed = tf.einsum("nij,njkc,nlk->nilc", down, images, across)
        every_other = tf.range(tf.shape(images)[0]) % 2 == 1
        return tf.where(every_other[:, None, None, None], placed, images)

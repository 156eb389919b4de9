"""How a network is trained: recipes, random affine augmentation, noise, attacks."""

from __future__ import annotations

import functools
import time
from dataclasses import asdict, dataclass

import numpy as np

from helpers import session
from helpers.attacks import pgd_attack
from helpers.backend import keras, tf

AFFINE = {"rotation": 12.0, "shift": 0.05, "zoom": 0.10, "shear": 0.10}


@dataclass(frozen=True)
class Recipe:
    """How a network is trained: Adam on the cross-entropy, with what is said here.

    Attributes
    ----------
    epochs, batch_size : int
    learning_rate : float
        Constant; with `warmup_steps` the peak, reached in a line and left in a cosine to 0.
    warmup_steps : int
    affine : bool
        Turn, move, zoom and shear every training image at random, anew in each epoch.
    noise : float
        Standard deviation of the Gaussian noise that is added to every training image.
    attack_radius, attack_steps : float, int
        Adversarial training: see `helpers.attacks.pgd_attack`. Each image has a radius of its own, `attack_radius`
        times the square of a uniform random number: most attacks are small, a few are hard.
    validation : bool
        Hold out the last twelfth of the training images (see `Dataset.split`).
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

    def settings(self):
        """Everything that decides what is trained, as a dictionary for cards and file names."""
        return {**asdict(self), "affine": AFFINE if self.affine else None}


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
    keras.utils.set_random_seed(session.seed() if seed is None else seed)
    from_logits = isinstance(model.layers[-1], keras.layers.Softmax)
    network = keras.Model(model.inputs, model.layers[-1].input) if from_logits else model
    changes = [random_affine(**AFFINE)] if recipe.affine else []
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
    bar = session.progress_bar(steps, "training", progress)
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


def _adversarial(recipe):
    """Return the kind of Model that trains on perturbed images instead of the given ones."""

    class Adversarial(keras.Model):
        def train_step(self, data):
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            radius = recipe.attack_radius * tf.random.uniform((tf.shape(x)[0], 1, 1, 1)) ** 2
            return super().train_step((pgd_attack(self, x, y, radius, recipe.attack_steps), y))

    return Adversarial


def _learning_rate(recipe, steps):
    """Return a constant, or a line up to the peak and a cosine (Loshchilov & Hutter, 2017)."""
    if not recipe.warmup_steps:
        return recipe.learning_rate
    # a small dataset has few steps: spend at most a tenth of them on the way up
    warmup = min(recipe.warmup_steps, steps // 10)
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - warmup, warmup_target=recipe.learning_rate, warmup_steps=warmup
    )


def random_affine(rotation, shift, zoom, shear):
    """Build a layer that gives every image of a training batch its own small affine warp.

    One batched projective transform; Keras' own random layers do the same one by one and take
    more than twice the time. `rotation` in degrees, `shift` as a share of the side.
    """

    class RandomAffine(keras.layers.Layer):
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

    return RandomAffine()

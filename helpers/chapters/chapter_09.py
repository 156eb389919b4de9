"""Networks of 09: the source's regularised network, with and without its augmentation."""

import functools

import numpy as np

from helpers.backend import keras, tf
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
    return keras.Model(inputs, layers.Dense(classes, activation="softmax")(x))


class TwoViews(layers.Layer):
    """Let a network learn from changed images, and judge an image together with its mirror image.

    In training every image is mirrored or not, moved by up to a tenth of its side, and one box of
    it becomes gray (random erasing, after Zhong and others, 2020). Afterwards the answer is the
    mean of two: for the image, and for its mirror image. Clothes are worn on both sides.

    Parameters
    ----------
    network : keras.Model that ends in softmax
    shift : float
        The longest way in each direction, as a share of the side.
    box : float
        The longest side of the box, as a share of the image's.

    Examples
    --------
    >>> network = keras.Sequential([keras.Input((2, 2, 1)), layers.Flatten(), layers.Softmax()])
    >>> p = TwoViews(network)(tf.constant([[[[1.0], [0.0]], [[1.0], [0.0]]]]))
    >>> np.asarray(p).round(2).tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """

    def __init__(self, network, shift=0.07, box=0.5, **options):
        super().__init__(**options)
        self.network, self.shift, self.box = network, shift, box

    def call(self, images, training=False):
        """Return the probabilities (n, classes) of images (n, h, w, c)."""
        if training:
            return self.network(self.changed(images), training=True)
        return (self.network(images) + self.network(images[:, :, ::-1])) / 2

    def changed(self, images):
        """Mirror, move and erase: a tensor of images of the same shape."""
        n, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]

        def uniform(low, high):
            return tf.random.uniform((n, 1, 1, 1), low, high)

        side = tf.sign(uniform(-1, 1))  # -1 is mirrored
        dx = (width - 1) * (1 - side) / 2 + uniform(-self.shift, self.shift) * width
        dy = uniform(-self.shift, self.shift) * height
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


def build_strong(shape=DIGIT, classes=10):
    """Build the chapter's own network: four convolutions with batch normalisation, two views.

    Parameters
    ----------
    shape, classes : as in `build_regularised`

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
    return keras.Model(images, TwoViews(network)(images))


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
NETWORKS |= {
    name: Network(
        name,
        build_strong,
        Recipe(epochs=epochs, learning_rate=3e-3, warmup_steps=200, validation=False),
        "fashion_mnist",
    )
    for name, epochs in (("strong_short", 7), ("strong", 16))
}

"""Counterfactuals as their field scores them: what changed, and how plausible the result is."""

from __future__ import annotations

import functools

import numpy as np

from helpers import models, validation
from helpers.backend import tf
from helpers.inversion import noise
from helpers.realism import agreement

EPSILON = 1e-10
C1, C2 = 0.01**2, 0.03**2  # constants of SSIM for values in [0, 1]
NEAREST, SAMPLES = 100, 1000  # of so many training images of a class, so many count
STEP_SIZE, SIGMA = 0.25, 0.005  # of a walk with noise, for pixels in [0, 1]


def dissimilarity(images, others):
    """Structural dissimilarity of each image to each of the others, 0 for equal ones.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    others : array of shape (m, h, w, c), values in [0, 1]

    Returns
    -------
    float32 array of shape (n, m), values in [0, 1]
        (1 - SSIM) / 2: 0.5 where two images have nothing in common, more where one is bright
        where the other is dark.

    Raises
    ------
    ValueError
        For images of another shape or range.

    Notes
    -----
    The structural similarity SSIM of Wang et al. (2004), with their constants and their Gaussian
    window of 11 x 11 pixels with a standard deviation of 1.5, averaged over all pixels. Beyond the
    edge the nearest pixel is repeated, as in the Julia package of Altmeyer et al. (2024), where
    ``tf.image.ssim`` leaves the edge out.

    Examples
    --------
    >>> half = np.repeat([[0.0, 1.0]], 8, axis=1).reshape(1, 1, 16, 1) * np.ones((1, 16, 1, 1))
    >>> dissimilarity(half, np.concatenate([half, 1 - half])).round(2)
    array([[0.  , 0.58]], dtype=float32)
    """
    images = validation.images(images, "images")
    others = validation.images(others, "others", images.shape[1:])
    down, right = (_window(size) for size in images.shape[1:3])

    def smooth(values):  # (…, h, w), for every channel
        return down @ values @ right.T

    x, y = (np.moveaxis(part, 3, 1) for part in (images, others))
    means, squares = smooth(y), smooth(y**2)
    result = np.empty((len(x), len(y)), np.float32)
    for place, image in enumerate(x):
        mean, square = smooth(image), smooth(image**2)
        both = mean * means
        centres = mean**2 + means**2
        alike = (2 * both + C1) * (2 * (smooth(image * y) - both) + C2)
        apart = (centres + C1) * (square + squares - centres + C2)
        result[place] = (alike / apart).mean(axis=(1, 2, 3))
    return (1 - result) / 2


@functools.lru_cache(maxsize=8)
def _window(size):
    """Matrix that smooths a line of pixels with Wang's window; the last pixel goes on outside."""
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets**2) / (2 * 1.5**2))
    matrix = np.zeros((size, size), np.float32)
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        places = np.clip(np.arange(size) + offset, 0, size - 1)
        np.add.at(matrix, (np.arange(size), places), weight)
    return matrix


def implausibility(images, targets, dataset):
    """How unlike the training images of the target class an image is; less is better.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
    dataset : Dataset

    Returns
    -------
    float32 array of shape (n,), values in [0, 1]
        The mean `dissimilarity` to the 100 most similar of 1,000 training images of the target
        class, which are always the same, or of all if there are fewer.

    Raises
    ------
    ValueError
        For images of another shape or range, or a target without training images.

    Notes
    -----
    That of Altmeyer et al. (2024). Their paper takes the mean over a sample of the class (so all
    of its images count). That their printed numbers are means over the 100 nearest of about 1,000
    is our inference: only so do we come to what they print for plain gradient descent on MNIST.
    They also add noise of 0.015 to all training images. Read a value beside that of real digits:
    theirs is not 0 either, because no digit is like a hundred others.

    Examples
    --------
    >>> class Two:
    ...     task, class_names = "classification", ("0", "1")
    ...     x_train, y_train = np.repeat([0.0, 1.0], 512).reshape(8, 8, 16, 1), np.arange(8) // 4
    ...     x_test, y_test = x_train, y_train
    >>> implausibility(Two.x_test[:1], 0, Two), implausibility(Two.x_test[:1], 1, Two).round(2)
    (array([0.], dtype=float32), array([0.5], dtype=float32))
    """
    shape = validation.dataset(dataset).x_train.shape[1:]
    images = validation.images(images, "images", shape)
    targets = validation.training_targets(targets, len(images), dataset)
    result = np.empty(len(images), np.float32)
    for cls in np.unique(targets):
        places = np.flatnonzero(dataset.y_train == cls)
        # a class's own generator: the other targets of a batch change nothing
        chosen = np.random.default_rng([0, cls]).permutation(places)[:SAMPLES]
        own = targets == cls
        apart = dissimilarity(images[own], dataset.x_train[chosen])
        result[own] = np.sort(apart, axis=1)[:, :NEAREST].mean(axis=1)
    return result


def unfaithfulness(images, targets, samples):
    """How unlike the images that a model itself draws of the target class an image is.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
    samples : sequence of arrays of shape (m, h, w, c), values in [0, 1], one for each class
        What the model draws: see `class_samples`. There may be more of one class than of another.

    Returns
    -------
    float32 array of shape (n,), the mean `dissimilarity`, values in [0, 1]

    Raises
    ------
    ValueError
        For images or samples of another shape or range, or a target without samples.

    Notes
    -----
    That of Altmeyer et al. (2024). The values that they print for MNIST are about half as large as
    ours; we do not know why, so compare only values that were measured here.

    Examples
    --------
    >>> images = np.stack([np.zeros((8, 16, 1)), np.ones((8, 16, 1))])
    >>> unfaithfulness(images, 0, images[:, None]).round(2)
    array([0. , 0.5], dtype=float32)
    """
    images = validation.images(images, "images")
    samples = [
        validation.images(some, f"samples[{cls}]", images.shape[1:])
        for cls, some in enumerate(samples if np.iterable(samples) else ())
    ]
    if not samples:
        raise ValueError("samples must hold images of each class")
    targets = validation.targets(targets, len(images), len(samples))
    result = np.empty(len(images), np.float32)
    for cls in np.unique(targets):
        own = targets == cls
        result[own] = dissimilarity(images[own], samples[cls]).mean(axis=1)
    return result


def class_samples(model, classes, n=10, *, steps=500, shape=None):
    """Draw what a model takes for its classes, by walks with noise from noise.

    One step is ``x <- clip(x + 0.25 * g + 0.005 * r, 0, 1)``, where g is the gradient of the
    class's logit with respect to the pixels and r is standard normal noise, always the same.

    Parameters
    ----------
    model : differentiable callable, made of TensorFlow operations
        Takes a batch (n, h, w, c) and returns probabilities. Of a keras.Model that ends in softmax,
        and of `helpers.neighbours.soft_voter`, the logits are found; of any other, log p stands
        for them.
    classes : int
        How many classes there are.
    n : int
        How many images of each class.
    steps : int
    shape : (h, w, c) of one image
        Default: that of a keras.Model's input, or 28 x 28 x 1.

    Returns
    -------
    float32 array of shape (classes, n, h, w, c), values in [0, 1]

    Raises
    ------
    ValueError
        For settings out of their range, and a model that is not differentiable, or that does not
        return probabilities of so many classes.

    Notes
    -----
    Stochastic gradient Langevin dynamics with a step and a noise of their own (Grathwohl et al.,
    2020), as Altmeyer et al. (2024) use it: their step of 1 and noise of 0.01 for pixels in
    [-1, 1] are 0.25 and 0.005 for pixels in [0, 1]. They do not clip.

    Examples
    --------
    >>> def model(x):  # sees class 1 where an image is bright
    ...     bright = tf.reduce_mean(x, axis=(1, 2, 3))
    ...     return tf.stack([1 - bright, bright], axis=1)
    >>> samples = class_samples(model, 2, n=3, steps=200, shape=(2, 2, 1))
    >>> samples.mean(axis=(1, 2, 3, 4)).round(1)
    array([0., 1.], dtype=float32)
    """
    classes = validation.whole_number(classes, "classes", 1)
    n = validation.whole_number(n, "n", 1)
    steps = validation.whole_number(steps, "steps", 1)
    if shape is None:
        shape = getattr(validation.function(model, "model"), "input_shape", (None, 28, 28, 1))[1:]
    x = noise(classes * n, 0, shape)
    if validation.outputs(model, x[:1]).shape[1] != classes:
        raise ValueError(f"classes must be as many as model returns, not {classes}")
    targets = tf.repeat(tf.range(classes), n)

    @tf.function
    def step(x, noise):
        with tf.GradientTape() as tape:
            tape.watch(x)
            p = model(x)
            # as Keras' losses find them; log p stops where p is 1
            logits = getattr(p, "_keras_logits", None)
            logits = tf.math.log(p + EPSILON) if logits is None else logits
            logit = tf.gather(logits, targets, axis=1, batch_dims=1)
        gradient = tape.gradient(logit, x)
        if gradient is None:
            raise ValueError("model must be differentiable: made of TensorFlow operations only")
        return tf.clip_by_value(x + STEP_SIZE * gradient + SIGMA * noise, 0.0, 1.0)

    rng = np.random.default_rng(0)
    for _ in range(steps):
        x = step(x, tf.constant(rng.standard_normal(x.shape, np.float32)))
    return x.numpy().reshape(classes, n, *shape)


def scores(start, images, targets, model, dataset, samples=None):
    """Score counterfactuals as their field does; a row of a table for each way to make them.

    Parameters
    ----------
    start : array of shape (n, h, w, c), values in [0, 1]
        The images that they were made from.
    images : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
    model : callable that returns probabilities (n, classes)
        The model that they were made for.
    dataset : Dataset
    samples : sequence of arrays, optional
        As in `unfaithfulness`. Default: it is not measured.

    Returns
    -------
    dict of str to float
        ``validity``: share that the model takes for their target. ``proximity``: mean sum of the
        absolute changes of all pixels (L1). ``sparsity``: mean share of the pixels that changed by
        0.01 or less, which is about two of 256 grays. ``implausibility`` and
        ``unfaithfulness``: the means of the functions of these names.

    Raises
    ------
    ValueError
        As in `implausibility` and `unfaithfulness`, and for a start or a model that does not fit.

    Notes
    -----
    Validity, proximity and sparsity as in Mothilal, Sharma & Tan (2020).

    Examples
    --------
    >>> class Two:
    ...     task, class_names = "classification", ("0", "1")
    ...     x_train, y_train = np.repeat([0.0, 1.0], 512).reshape(8, 8, 16, 1), np.arange(8) // 4
    ...     x_test, y_test = x_train, y_train
    >>> def brightness(x):
    ...     bright = x.mean(axis=(1, 2, 3))
    ...     return np.stack([1 - bright, bright], axis=1)
    >>> row = scores(Two.x_test[:1], Two.x_test[4:5], 1, brightness, Two)
    >>> row["validity"], row["proximity"], row["sparsity"]
    (1.0, 128.0, 0.0)
    """
    shape = validation.dataset(dataset).x_train.shape[1:]
    images = validation.images(images, "images", shape)
    start = validation.images(start, "start", shape)
    if len(start) != len(images):
        raise ValueError(f"start must have {len(images)} images, as images has, not {len(start)}")
    targets = validation.training_targets(targets, len(images), dataset)
    validation.outputs(model, images[:1], classes_from=targets.max() + 1)
    p = models.predict(model, images)
    change = np.abs(images - start)
    measured = {
        "validity": agreement(p, targets),
        "proximity": float(change.sum(axis=(1, 2, 3)).mean()),
        "sparsity": float((change <= 0.01).mean()),
        "implausibility": float(implausibility(images, targets, dataset).mean()),
    }
    if samples is not None:
        measured["unfaithfulness"] = float(unfaithfulness(images, targets, samples).mean())
    return measured

"""Run a classifier backwards: change an image until the classifier believes it is a given class."""

from __future__ import annotations

import functools

import numpy as np

from helpers import validation
from helpers.backend import keras, tf
from helpers.trajectory import Inversion, check_settings, checked_rate, record

EPSILON = 1e-10
LOSSES = ("log", "probability")


def invert(
    model,
    start,
    targets,
    *,
    max_steps=200,
    learning_rate=0.1,
    loss="log",
    normalize=True,
    stop_at=None,
    blur_every=0,
    decay=0.0,
    keep_frames=0,
    progress=True,
) -> Inversion:
    """Change images by gradient steps until a model gives the target class a high probability.

    One step is ``x <- clip((1 - decay) * x - learning_rate * g, 0, 1)``, where ``g`` is the
    gradient of the loss with respect to the pixels, divided by its Euclidean norm if `normalize`.
    Every iterate lies in [0, 1]. The whole batch takes each step in one compiled call.

    Parameters
    ----------
    model : differentiable callable, made of TensorFlow operations
        Takes a batch (n, h, w, c) and returns probabilities (n, classes). Of a `keras.Model` the
        compiled step is kept, so restart if you exchange one of its layers.
    start : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
        The class that each image is to become.
    max_steps : int
        The most steps that an image takes.
    learning_rate : float
        With `normalize`, the Euclidean length of a step before clipping.
    loss : {"log", "probability"}
        ``-log(p + 1e-10)`` or ``-p``, where p is the target's probability.
    normalize : bool
    stop_at : float in (0, 1], optional
        An image stops as soon as p reaches this value. Default: it goes on.
    blur_every : int
        Blur the images slightly after every so many steps; 0 for never.
    decay : float from 0 to 1
        Share of its brightness that every pixel loses at each step, so that ink which the
        gradient does not renew fades to black.
    keep_frames : int
        How many images along the trajectory to keep; 0 for none, otherwise at least 2.
    progress : bool
        Show a progress bar where a person watches, and it takes longer than a second.

    Returns
    -------
    Inversion

    Raises
    ------
    ValueError
        For images of another shape or range, a target that is no class of the model, a setting
        out of its range, or a model that is not differentiable or returns no probabilities.

    Notes
    -----
    Activation maximisation (Erhan et al., 2009; Simonyan et al., 2014), with the gradient
    normalised per image. The decay is the gradient step of an L2 penalty on the image (Simonyan
    et al., 2014); decay and blur together are regularisers of Yosinski et al. (2015).

    Examples
    --------
    >>> def model(x):  # sees class 1 where an image is bright
    ...     bright = tf.reduce_mean(x, axis=(1, 2, 3))
    ...     return tf.stack([1 - bright, bright], axis=1)
    >>> result = invert(model, near_black(1, seed=0), 1, max_steps=100, stop_at=0.2)
    >>> bool(result.probability[0] >= 0.2), int(result.steps[0])
    (True, 55)
    """
    start = validation.images(start, "start")
    targets = validation.targets(targets, len(start))
    check_settings(max_steps, stop_at, keep_frames, progress)
    step = one_step(
        model,
        learning_rate=learning_rate,
        loss=loss,
        normalize=normalize,
        blur_every=blur_every,
        decay=decay,
    )
    classes = validation.outputs(model, start[:1]).shape[1]
    targets = validation.targets(targets, len(start), classes)
    _check_differentiable(model, tf.constant(start[:1]))
    return record(
        step,
        start,
        targets,
        max_steps=max_steps,
        stop_at=stop_at,
        keep_frames=keep_frames,
        progress=progress,
    )


def one_step(model, *, learning_rate=0.1, loss="log", normalize=True, blur_every=0, decay=0.0):
    """Make the function that takes one step of `invert`, for those who watch each of them.

    Parameters
    ----------
    model, learning_rate, loss, normalize, blur_every, decay :
        As in `invert`.

    Returns
    -------
    callable ``(images, targets, number) -> (p, images after the step)``
        Images are an array of shape (n, h, w, c), targets an int64 array of shape (n,), and number
        counts the steps from 1. p, of shape (n,), is the target's probability *before* the step.
        It does not check what it gets.

    Raises
    ------
    ValueError
        For a setting out of its range.

    Examples
    --------
    >>> def model(x):  # sees class 1 where an image is bright
    ...     bright = tf.reduce_mean(x, axis=(1, 2, 3))
    ...     return tf.stack([1 - bright, bright], axis=1)
    >>> p, after = one_step(model)(np.zeros((1, 2, 2, 1), np.float32), np.array([1]), 1)
    >>> p, after.ravel().round(2)
    (array([0.], dtype=float32), array([0.05, 0.05, 0.05, 0.05], dtype=float32))
    """
    learning_rate = checked_rate(learning_rate)
    validation.choice(loss, "loss", LOSSES)
    validation.whole_number(blur_every, "blur_every", 0)
    decay = validation.number(decay, "decay", low=0, high=1)
    validation.flag(normalize, "normalize")
    # another callable may give something else the next time, where it reads a global name
    compiled = _kept_step if isinstance(model, keras.Model) else _compiled_step
    take_step = compiled(model, loss, normalize)
    rate, kept = tf.constant(learning_rate, tf.float32), tf.constant(1 - decay, tf.float32)

    def step(x, targets, number):
        after, p = take_step(tf.constant(x), tf.constant(targets), rate, kept)
        if blur_every and number % blur_every == 0:
            after = _blur(after)
        return p.numpy(), after.numpy()

    return step


def _check_differentiable(model, image):
    with tf.GradientTape() as tape:
        tape.watch(image)
        p = tf.convert_to_tensor(model(image))
    if tape.gradient(p, image) is None:
        raise ValueError("model must be differentiable: made of TensorFlow operations only")


def _compiled_step(model, loss, normalize):
    """Compile one step for a model."""

    # one trace for every number of images: fewer and fewer move where they may stop
    @tf.function(reduce_retracing=True)
    def step(x, targets, learning_rate, kept):
        with tf.GradientTape() as tape:
            tape.watch(x)
            p = tf.gather(model(x), targets, axis=1, batch_dims=1)
            value = -tf.math.log(p + EPSILON) if loss == "log" else -p
        gradient = tape.gradient(value, x)
        if normalize:
            norm = tf.sqrt(tf.reduce_sum(gradient**2, axis=(1, 2, 3), keepdims=True))
            gradient /= norm + EPSILON
        return tf.clip_by_value(kept * x - learning_rate * gradient, 0.0, 1.0), p

    return step


# kept, because compiling takes longer than fifty steps
_kept_step = functools.lru_cache(maxsize=8)(_compiled_step)


def _blur(x):
    """Blur images (n, h, w, c) with the binomial 3 x 3 kernel; around the image is black."""
    row = tf.constant([0.25, 0.5, 0.25])
    kernel = (row[:, None] * row[None, :])[:, :, None, None]
    kernel = tf.repeat(kernel, x.shape[3], axis=2)
    return tf.nn.depthwise_conv2d(x, kernel, strides=(1, 1, 1, 1), padding="SAME")


def noise(n, seed, shape=(28, 28, 1)):
    """Draw images of uniform noise in [0, 1].

    Parameters
    ----------
    n, seed : int
    shape : (h, w, c), of one image

    Returns
    -------
    float32 array of shape (n, h, w, c)

    Examples
    --------
    >>> noise(2, seed=0, shape=(20, 16, 1)).shape
    (2, 20, 16, 1)
    """
    n, seed = validation.whole_number(n, "n", 1), validation.seed(seed)
    shape = validation.image_shape(shape, "shape")
    return np.random.default_rng(seed).random((n, *shape), dtype=np.float32)


def near_black(n, seed, shape=(28, 28, 1)):
    """Draw images of uniform noise in [0, 0.01], almost black.

    Parameters
    ----------
    n, seed, shape :
        As in `noise`.

    Returns
    -------
    float32 array of shape (n, h, w, c)

    Examples
    --------
    >>> bool(near_black(1, seed=0).max() <= 0.01)
    True
    """
    return np.float32(0.01) * noise(n, seed, shape)


def from_class(dataset, cls, n, seed):
    """Draw real test images of one class, without repetition.

    Parameters
    ----------
    dataset : Dataset
    cls : int, the class
    n, seed : int

    Returns
    -------
    float32 array of shape (n, h, w, c), values in [0, 1]

    Raises
    ------
    ValueError
        If there is no such class, or if it has fewer than `n` test images.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> two = SimpleNamespace(task="classification", class_names="01",
    ...                       x_test=noise(4, seed=0), y_test=np.array([0, 1, 0, 1]))
    >>> from_class(two, 1, 2, seed=0).shape
    (2, 28, 28, 1)
    """
    validation.dataset(dataset)
    cls = validation.whole_number(cls, "cls", 0, len(dataset.class_names) - 1)
    places = np.flatnonzero(dataset.y_test == cls)
    n = validation.whole_number(n, f"n (test images of class {cls})", 1, len(places))
    rng = np.random.default_rng(validation.seed(seed))
    return dataset.x_test[rng.choice(places, n, replace=False)]

"""Run a classifier backwards: change an image until the classifier believes it is a given class."""

from __future__ import annotations

import functools
import time
from dataclasses import dataclass

import numpy as np

from helpers import session
from helpers.backend import tf

EPSILON = 1e-10
LOSSES = ("log", "probability")


@dataclass(frozen=True, eq=False)
class Inversion:
    """What an inversion started from, where it arrived, and the way between.

    Attributes
    ----------
    start, images : float32 array of shape (n, 28, 28, 1), values in [0, 1]
    targets : int64 array of shape (n,)
    probability : float32 array of shape (n,)
        The target's probability for `images`, in the eyes of the model that was inverted.
    trace : float32 array of shape (steps + 1, n)
        The target's probability at the start and after every step; once an image has stopped,
        its value repeats.
    steps : int64 array of shape (n,)
        How many steps each image took.
    frames : float32 array of shape (frames, n, 28, 28, 1)
        Images along the way, evenly spaced, the first and the last among them.
    seconds : float
    """

    start: np.ndarray
    images: np.ndarray
    targets: np.ndarray
    probability: np.ndarray
    trace: np.ndarray
    steps: np.ndarray
    frames: np.ndarray
    seconds: float


def invert(
    model,
    start,
    targets,
    *,
    steps=200,
    learning_rate=0.1,
    loss="log",
    normalize=True,
    stop_at=None,
    blur_every=0,
    keep_frames=0,
    progress=False,
) -> Inversion:
    """Change images by gradient steps until a model gives the target class a high probability.

    One step is ``x <- clip(x - learning_rate * g, 0, 1)``, where ``g`` is the gradient of the
    loss with respect to the pixels, divided by its Euclidean norm if `normalize`. Every iterate
    lies in [0, 1]. The whole batch takes each step in one compiled call.

    Parameters
    ----------
    model : callable on a batch (n, 28, 28, 1) that returns probabilities (n, classes)
    start : array of shape (n, 28, 28, 1), values in [0, 1]
    targets : int, or array of shape (n,)
        The class that each image is to become.
    steps : int
        The most steps that an image takes.
    learning_rate : float
        With `normalize`, the Euclidean length of a step before clipping.
    loss : {"log", "probability"}
        ``-log(p + 1e-10)`` or ``-p``, where p is the target's probability.
    normalize : bool
    stop_at : float in (0, 1], optional
        An image stops as soon as p reaches this value. Default: it walks on.
    blur_every : int
        Blur the images slightly after every so many steps; 0 for never.
    keep_frames : int
        How many images along the way to keep; 0 for none, otherwise at least 2.
    progress : bool
        Show a progress bar.

    Returns
    -------
    Inversion

    Raises
    ------
    ValueError
        For images of another shape or range, a target that is no class, a setting out of its
        range, or a model whose outputs are not probabilities.

    Notes
    -----
    Activation maximisation (Erhan et al., 2009; Simonyan et al., 2014), with the gradient
    normalised per image.
    """
    start, targets = check_start(start, targets)
    _check_settings(steps, learning_rate, loss, stop_at, blur_every, keep_frames)
    began = time.perf_counter()
    x, wanted = tf.constant(start), tf.constant(targets)
    check_probabilities(np.asarray(model(x[:1])), targets)
    take_step = _compiled_step(model, loss, normalize)
    rate = tf.constant(learning_rate, tf.float32)
    limit = tf.constant(np.inf if stop_at is None else stop_at, tf.float32)

    frame_steps = evenly_spaced(steps, keep_frames)
    frames = {0: start}
    trace = np.empty((steps + 1, len(start)), np.float32)
    taken = 0
    for step in progress_steps(steps, progress):
        after, p = take_step(x, wanted, rate, limit)
        trace[step] = p
        if stop_at is not None and np.all(trace[step] >= stop_at):
            break
        taken, x = step + 1, after
        if blur_every and taken % blur_every == 0:
            x = _blur(x, moving=p < limit)
        if taken in frame_steps:
            frames[taken] = x.numpy()
    trace[taken:] = take_step(x, wanted, rate, limit)[1]
    return finish(start, x.numpy(), targets, trace, stop_at, frames, frame_steps, began)


@functools.lru_cache(maxsize=8)
def _compiled_step(model, loss, normalize):
    """Compile one step for a model; kept, because compiling takes longer than fifty steps."""

    @tf.function(reduce_retracing=True)
    def step(x, targets, learning_rate, stop_at):
        with tf.GradientTape() as tape:
            tape.watch(x)
            p = tf.gather(model(x), targets, axis=1, batch_dims=1)
            value = -tf.math.log(p + EPSILON) if loss == "log" else -p
        gradient = tape.gradient(value, x)
        if normalize:
            norm = tf.sqrt(tf.reduce_sum(gradient**2, axis=(1, 2, 3), keepdims=True))
            gradient /= norm + EPSILON
        moving = tf.cast(p < stop_at, x.dtype)[:, None, None, None]
        return tf.clip_by_value(x - learning_rate * moving * gradient, 0.0, 1.0), p

    return step


def _blur(x, moving):
    """Blur the images that still move, with the binomial 3 x 3 kernel."""
    row = tf.constant([0.25, 0.5, 0.25])
    kernel = (row[:, None] * row[None, :])[:, :, None, None]
    blurred = tf.nn.depthwise_conv2d(x, kernel, strides=(1, 1, 1, 1), padding="SAME")
    return tf.where(moving[:, None, None, None], blurred, x)


def noise(n, seed):
    """Uniform noise in [0, 1]: float32 array of shape (n, 28, 28, 1)."""
    return np.random.default_rng(seed).random((n, 28, 28, 1), dtype=np.float32)


def near_black(n, seed):
    """Uniform noise in [0, 0.01], almost black: float32 array of shape (n, 28, 28, 1)."""
    return np.float32(0.01) * noise(n, seed)


def from_class(dataset, cls, n, seed):
    """Draw real test images of one class, without repetition.

    Parameters
    ----------
    dataset : Dataset
    cls : int, the class
    n, seed : int

    Returns
    -------
    float32 array of shape (n, 28, 28, 1), values in [0, 1]

    Raises
    ------
    ValueError
        If the class has fewer than `n` test images.
    """
    places = np.flatnonzero(dataset.y_test == cls)
    if not 1 <= n <= len(places):
        raise ValueError(f"n must be from 1 to {len(places)} for class {cls!r}, not {n!r}")
    return dataset.x_test[np.random.default_rng(seed).choice(places, n, replace=False)]


# What this module and `neighbours`, the other way to invert, have in common.


def check_images(images, name):
    """Return images as float32 (n, 28, 28, 1), or raise a ValueError that names the argument."""
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[1:] != (28, 28, 1) or len(images) == 0:
        raise ValueError(f"{name} must have shape (n, 28, 28, 1), n >= 1, not {images.shape}")
    if images.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, not {images.dtype}")
    low, high = images.min(), images.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must hold finite values; it holds NaN or infinity")
    if low < 0 or high > 1:
        hint = ": divide by 255" if 1 < high <= 255 and low >= 0 else ""
        raise ValueError(f"{name} must hold values in [0, 1], not in [{low:g}, {high:g}]{hint}")
    return images.astype(np.float32, copy=False)


def check_start(start, targets, name="start"):
    """Return valid images and one target for each, or raise a ValueError."""
    start = check_images(start, name)
    targets = np.asarray(targets)
    if targets.dtype.kind not in "iu" or targets.shape not in ((), (len(start),)):
        raise ValueError(
            f"targets must be one integer or {len(start)} of them (one for each image), "
            f"not {targets.dtype} of shape {targets.shape}"
        )
    targets = np.broadcast_to(targets, len(start)).astype(np.int64)
    if targets.min() < 0 or targets.max() > 9:
        raise ValueError(f"targets must lie in 0..9, not {targets.min()}..{targets.max()}")
    return start, targets


def check_probabilities(p, targets):
    """Raise a ValueError unless `p` holds probabilities, with a column for every target."""
    if p.ndim != 2 or p.shape[1] <= targets.max():
        raise ValueError(
            f"model must return probabilities (n, classes) with more than {targets.max()} classes, "
            f"not shape {p.shape}"
        )
    sums = p.sum(axis=1)
    if not (np.all(p >= 0) and np.allclose(sums, 1, atol=1e-3)):
        raise ValueError(
            "model must return probabilities that sum to 1: end it in softmax. "
            f"The first row runs from {p[0].min():.3g} to {p[0].max():.3g} and sums to "
            f"{sums[0]:.3g}; are these logits?"
        )


def _check_settings(steps, learning_rate, loss, stop_at, blur_every, keep_frames):
    if loss not in LOSSES:
        raise ValueError(f"loss must be one of {LOSSES}, not {loss!r}")
    if not isinstance(blur_every, int | np.integer) or blur_every < 0:
        raise ValueError(f"blur_every must be 0 or more, a whole number, not {blur_every!r}")
    check_walk(steps, learning_rate, stop_at, keep_frames)


def check_walk(steps, learning_rate, stop_at, keep_frames):
    """Raise a ValueError unless the settings of a walk make sense."""
    if not isinstance(steps, int | np.integer) or steps < 1:
        raise ValueError(f"steps must be 1 or more, a whole number, not {steps!r}")
    if not 0 < learning_rate < np.inf:
        raise ValueError(f"learning_rate must be positive and finite, not {learning_rate!r}")
    if stop_at is not None and not 0 < stop_at <= 1:
        raise ValueError(f"stop_at must be None or lie in (0, 1], not {stop_at!r}")
    if keep_frames not in range(2, steps + 2) and keep_frames != 0:
        raise ValueError(f"keep_frames must be 0 or from 2 to steps + 1, not {keep_frames!r}")


def evenly_spaced(steps, frames):
    """Step numbers of `frames` frames from 0 to `steps`, both ends among them."""
    return [round(step) for step in np.linspace(0, steps, frames)]


def progress_steps(steps, show):
    """Iterate over range(steps) under a progress bar."""
    with session.progress_bar(steps, "inverting", show) as bar:
        for step in range(steps):
            yield step
            bar.update()


def finish(start, images, targets, trace, stop_at, frames, frame_steps, began) -> Inversion:
    """Make the result of a walk; `frames` maps the kept steps to images, `began` is its clock."""
    steps = np.full(len(images), len(trace) - 1)
    if stop_at is not None:
        arrived = trace >= stop_at
        steps = np.where(arrived.any(axis=0), arrived.argmax(axis=0), steps)
    # after an early stop, the last image stands for the frames that were not reached
    film = [frames.get(step, images) for step in frame_steps]
    return Inversion(
        start=start,
        images=images,
        targets=targets,
        probability=trace[-1].copy(),
        trace=trace,
        steps=steps,
        frames=np.stack(film) if film else np.empty((0, *images.shape), np.float32),
        seconds=time.perf_counter() - began,
    )

"""What both ways to invert a classifier share: the steps are taken and recorded in one place."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from helpers import session, validation


@dataclass(frozen=True, eq=False)
class Inversion:
    """What an inversion started from, where it arrived, and the trajectory between.

    Attributes
    ----------
    start, images : float32 array of shape (n, h, w, c), values in [0, 1]
    targets : int64 array of shape (n,)
    probability : float32 array of shape (n,)
        The target's probability for `images`, in the eyes of the model that was inverted.
    trace : float32 array of shape (max_steps + 1, n)
        The target's probability at the start and after every step; once an image has stopped,
        its value repeats.
    steps : int64 array of shape (n,)
        How many steps each image took.
    frames : float32 array of shape (keep_frames, n, h, w, c)
        Images along the trajectory, evenly spaced, the first and the last among them.
    seconds : float

    Examples
    --------
    >>> result = record(lambda x, t, step: (x.mean(axis=(1, 2, 3)), x / 2), np.ones((1, 2, 2, 1)),
    ...                 np.array([0]), max_steps=3, keep_frames=2)
    >>> result.trace.ravel(), result.frames.ravel()[[0, -1]], result.steps
    (array([1.   , 0.5  , 0.25 , 0.125], dtype=float32), array([1.   , 0.125]), array([3]))
    """

    start: np.ndarray
    images: np.ndarray
    targets: np.ndarray
    probability: np.ndarray
    trace: np.ndarray
    steps: np.ndarray
    frames: np.ndarray
    seconds: float


def checked_rate(learning_rate):
    """Return the learning rate of an inversion, which is a float above 0.

    Examples
    --------
    >>> checked_rate(-1)
    Traceback (most recent call last):
    ValueError: learning_rate must be a finite number, more than 0 and at most 1e+06, not -1
    """
    # a million is far beyond black and white, and still finite in float32
    return validation.number(learning_rate, "learning_rate", above=0, high=1e6)


def check_settings(max_steps, stop_at, keep_frames, progress):
    """Raise a ValueError unless the settings that both inversions have make sense.

    Examples
    --------
    >>> check_settings(200, 1.5, 0, False)
    Traceback (most recent call last):
    ValueError: stop_at must be a finite number, more than 0 and at most 1, not 1.5
    """
    validation.whole_number(max_steps, "max_steps", 1)
    if stop_at is not None:
        validation.number(stop_at, "stop_at", above=0, high=1)
    if validation.whole_number(keep_frames, "keep_frames", 0, max_steps + 1) == 1:
        raise ValueError("keep_frames must be 0, or 2 or more (start and end), not 1")
    validation.flag(progress, "progress")


def record(step, start, targets, *, max_steps, stop_at=None, keep_frames=0, progress=True):
    """Take steps until every image has stopped, and record the trajectory.

    Parameters
    ----------
    step : callable ``(images, targets, number) -> (p, images after the step)``
        Gets only the images that still move, and the number of the step, from 1. p, of shape
        (n,), is the target's probability *before* the step.
    start : float32 array of shape (n, h, w, c)
    targets : int64 array of shape (n,)
    max_steps, stop_at, keep_frames, progress :
        As in `helpers.inversion.invert`.

    Returns
    -------
    Inversion
    """
    began = time.perf_counter()
    x, frames = start.copy(), {}
    frame_steps = [round(step) for step in np.linspace(0, max_steps, keep_frames)]
    trace = np.empty((max_steps + 1, len(start)), np.float32)
    steps = np.zeros(len(start), np.int64)
    moving = np.arange(len(start))
    with session.progress_bar(max_steps, "inverting", progress, delay=1) as bar:
        for taken in range(max_steps + 1):
            p, after = step(x[moving], targets[moving], taken + 1)
            trace[taken] = trace[taken - 1]
            trace[taken, moving] = p
            if taken in frame_steps:
                frames[taken] = x.copy()
            if taken == max_steps:
                break
            if stop_at is not None:
                on = trace[taken, moving] < stop_at
                moving, after = moving[on], after[on]
            if len(moving) == 0:
                trace[taken:] = trace[taken]
                break
            x[moving] = after
            steps[moving] += 1
            bar.update()
    # after an early stop, the last images stand for the frames that were not reached
    film = [frames.get(taken, x) for taken in frame_steps]
    return Inversion(
        start=start,
        images=x,
        targets=targets,
        probability=trace[-1].copy(),
        trace=trace,
        steps=steps,
        frames=np.stack(film) if film else np.empty((0, *x.shape), np.float32),
        seconds=time.perf_counter() - began,
    )

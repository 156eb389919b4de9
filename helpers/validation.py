"""The errors of all public functions: each names the argument, what came and what was expected.

A function returns the value in the form that the caller goes on with, or raises a ValueError.
"""

from __future__ import annotations

import math

import numpy as np


def images(values, name, shape=None):
    """Return images as float32 of shape (n, h, w, c), n >= 1, with values in [0, 1].

    Parameters
    ----------
    values : array
    name : str
        The argument, for the error.
    shape : tuple of int, optional
        (h, w, c) of one image. Default: any.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, not {values.dtype}")
    fits = values.ndim == 4 and len(values) > 0
    if not fits or (shape is not None and values.shape[1:] != tuple(shape)):
        expected = "h, w, channels" if shape is None else ", ".join(map(str, shape))
        raise ValueError(f"{name} must have shape (n, {expected}), n >= 1, not {values.shape}")
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} must hold finite values; it holds NaN or infinity")
    if low < 0 or high > 1:
        hint = ": divide by 255" if 1 < high <= 255 and low >= 0 else ""
        raise ValueError(f"{name} must hold values in [0, 1], not in [{low:g}, {high:g}]{hint}")
    return values.astype(np.float32, copy=False)


def images_for(model, values, name):
    """Return images as `images` does, for a callable model; a Keras model knows their shape."""
    if not callable(model):
        raise ValueError(f"model must be callable on a batch of images, not {model!r}")
    shape = getattr(model, "input_shape", None)
    known = isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:]
    return images(values, name, shape[1:] if known else None)


def labels(values, name, n, classes=None):
    """Return n labels as int64 of shape (n,), from 0 to classes - 1 if `classes` is given."""
    values = np.asarray(values)
    if values.shape != (n,) or values.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be {n} integers, one for each image, "
            f"not {values.dtype} of shape {values.shape}"
        )
    _check_classes(values, name, classes)
    return values.astype(np.int64)


def targets(values, n, classes=None):
    """Return one target class for each of n images, from one integer or from n of them."""
    values = np.asarray(values)
    if values.dtype.kind not in "iu" or values.shape not in ((), (n,)):
        raise ValueError(
            f"targets must be one integer or {n} of them (one for each image), "
            f"not {values.dtype} of shape {values.shape}"
        )
    _check_classes(values, "targets", classes)
    return np.broadcast_to(values, n).astype(np.int64)


def _check_classes(values, name, classes):
    last = np.inf if classes is None else classes - 1
    if values.size and (values.min() < 0 or values.max() > last):
        expected = "be 0 or more" if classes is None else f"lie in 0..{classes - 1}"
        raise ValueError(f"{name} must {expected}, not {values.min()}..{values.max()}")


def probabilities(values, name, classes_from=0):
    """Return probabilities as float array (n, classes), rows not negative and summing to 1.

    Parameters
    ----------
    values : array
    name : str
        The argument, for the error.
    classes_from : int
        The fewest columns that make sense, for example one more than the largest target.
    """
    values = np.asarray(values)
    if values.ndim != 2 or len(values) == 0 or values.shape[1] < max(1, classes_from):
        expected = f", at least {classes_from} classes" if classes_from else ""
        raise ValueError(f"{name} must be probabilities (n, classes){expected}, not {values.shape}")
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, not {values.dtype}")
    sums = values.sum(axis=1, dtype=float)
    # `not >=` and isclose refuse NaN too
    if not (np.all(values >= 0) and np.allclose(sums, 1, rtol=0, atol=1e-3)):
        wrong = int(np.argmin((values >= 0).all(axis=1) & np.isclose(sums, 1, rtol=0, atol=1e-3)))
        raise ValueError(
            f"{name} must be probabilities: rows that are not negative and sum to 1. Row {wrong} "
            f"runs from {values[wrong].min():.3g} to {values[wrong].max():.3g} and sums to "
            f"{sums[wrong]:.3g}; are these logits?"
        )
    return values


def whole_number(value, name, low, high=None):
    """Return an int from `low` to `high`."""
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool | np.bool_)
    if not fits or value < low or (high is not None and value > high):
        expected = f"{low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number, {expected}, not {value!r}")
    return int(value)


def number(value, name, above=None, low=None, high=math.inf):
    """Return a finite float that is more than `above`, at least `low`, at most `high`."""
    fits = isinstance(value, int | float | np.integer | np.floating)
    fits = fits and not isinstance(value, bool) and math.isfinite(value) and value <= high
    if not fits or (above is not None and value <= above) or (low is not None and value < low):
        bounds = [f"more than {above:g}" if above is not None else None]
        bounds += [f"at least {low:g}" if low is not None else None]
        bounds += [f"at most {high:g}" if high < math.inf else None]
        expected = " and ".join(filter(None, bounds))
        raise ValueError(f"{name} must be a finite number, {expected}, not {value!r}")
    return float(value)


def choice(value, name, options):
    """Return a value that is one of the options."""
    # a list or an array has no hash, and == would compare it element by element
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {list(options)}, not {value!r}")
    return value

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

    Examples
    --------
    >>> images(np.full((2, 8, 8, 1), 255), "x")
    Traceback (most recent call last):
    ValueError: x must hold values in [0, 1], not in [255, 255]: divide by 255
    """
    values = _numbers(values, name)
    fits = values.ndim == 4 and values.size > 0
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


def image_shape(value, name):
    """Return the shape of one image, (h, w, c), as three whole numbers of 1 or more.

    Examples
    --------
    >>> image_shape([20, 16, 1], "shape")
    (20, 16, 1)
    """
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise ValueError(f"{name} must be (h, w, channels), not {_shown(value)}")
    return tuple(whole_number(side, f"{name}[{i}]", 1) for i, side in enumerate(value))


def labels(values, name, n, classes=None):
    """Return n labels as int64 of shape (n,), from 0 to classes - 1 if `classes` is given.

    Examples
    --------
    >>> labels([3, 10], "y", 2, classes=10)
    Traceback (most recent call last):
    ValueError: y must lie in 0..9, not 3..10
    """
    values = _array(values, name)
    if values.shape != (n,) or values.dtype.kind not in "iu":
        raise ValueError(
            f"{name} must be {n} integers, one for each image, "
            f"not {values.dtype} of shape {values.shape}"
        )
    _check_classes(values, name, classes)
    return values.astype(np.int64)


def targets(values, n, classes=None):
    """Return one target class for each of n images, from one integer or from n of them.

    Examples
    --------
    >>> targets(3, 2)
    array([3, 3])
    """
    values = _array(values, "targets")
    if values.dtype.kind not in "iu" or values.shape not in ((), (n,)):
        raise ValueError(
            f"targets must be one integer or {n} of them (one for each image), "
            f"not {values.dtype} of shape {values.shape}"
        )
    _check_classes(values, "targets", classes)
    return np.broadcast_to(values, n).astype(np.int64)


def training_targets(values, n, dataset):
    """Return one target for each of n images, all of them classes of the training images.

    Examples
    --------
    >>> class Two:
    ...     y_train = np.array([0, 0, 1, 1])
    >>> training_targets(2, 1, Two)
    Traceback (most recent call last):
    ValueError: targets must be classes of the training images, not [2]
    """
    values = targets(values, n)
    classes, counts = np.unique(dataset.y_train, return_counts=True)
    if missing := set(values.tolist()) - set(classes.tolist()):
        raise ValueError(f"targets must be classes of the training images, not {sorted(missing)}")
    if len(classes) < 2 or counts.min() < 2:
        raise ValueError("dataset must have two classes or more, with two training images each")
    return values


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

    Examples
    --------
    >>> probabilities([[7.0, -2.0]], "p")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: p must be probabilities: ... sums to 5; are these logits?
    """
    values = _numbers(values, name)
    if values.ndim != 2 or len(values) == 0 or values.shape[1] < max(1, classes_from):
        expected = f", at least {classes_from} classes" if classes_from else ""
        raise ValueError(f"{name} must be probabilities (n, classes){expected}, not {values.shape}")
    sums = values.sum(axis=1, dtype=float)
    # >= and isclose are false for NaN too
    fits = (values >= 0).all(axis=1) & np.isclose(sums, 1, rtol=0, atol=1e-3)
    if not fits.all():
        wrong = int(np.argmin(fits))
        raise ValueError(
            f"{name} must be probabilities: rows that are not negative and sum to 1. Row {wrong} "
            f"runs from {values[wrong].min():.3g} to {values[wrong].max():.3g} and sums to "
            f"{sums[wrong]:.3g}; are these logits?"
        )
    return values if values.dtype.kind == "f" else values.astype(float)


def whole_number(value, name, low, high=None):
    """Return an int from `low` to `high`.

    Examples
    --------
    >>> whole_number(2.5, "n", 1)
    Traceback (most recent call last):
    ValueError: n must be a whole number, 1 or more, not 2.5
    """
    fits = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not fits or value < low or (high is not None and value > high):
        expected = f"{low} or more" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name} must be a whole number, {expected}, not {_shown(value)}")
    return int(value)


def seed(value, name="seed"):
    """Return the seed of a random number generator, an int from 0 to 2**32 - 1.

    Examples
    --------
    >>> seed(7)
    7
    """
    return whole_number(value, name, 0, 2**32 - 1)


def number(value, name, above=None, low=None, high=math.inf):
    """Return a finite float that is more than `above`, at least `low`, at most `high`.

    Examples
    --------
    >>> number("fast", "learning_rate", above=0)
    Traceback (most recent call last):
    ValueError: learning_rate must be a finite number, more than 0, not 'fast'
    """
    fits = isinstance(value, int | float | np.integer | np.floating)
    fits = fits and not isinstance(value, bool) and math.isfinite(value) and value <= high
    if not fits or (above is not None and value <= above) or (low is not None and value < low):
        bounds = [f"more than {above:g}" if above is not None else None]
        bounds += [f"at least {low:g}" if low is not None else None]
        bounds += [f"at most {high:g}" if high < math.inf else None]
        expected = " and ".join(filter(None, bounds))
        expected = f", {expected}" if expected else ""
        raise ValueError(f"{name} must be a finite number{expected}, not {_shown(value)}")
    return float(value)


def numbers(values, name, low, high):
    """Return a sequence of numbers from `low` to `high` as float array of shape (n,).

    Examples
    --------
    >>> numbers([0.05, 95], "q", 0, 1)
    Traceback (most recent call last):
    ValueError: q must be a sequence of numbers in [0, 1], not [0.05, 95]
    """
    array = _array(values, name)
    fits = array.ndim == 1 and array.size > 0 and array.dtype.kind in "fiu"
    if not fits or not np.all((array >= low) & (array <= high)):
        raise ValueError(
            f"{name} must be a sequence of numbers in [{low:g}, {high:g}], not {_shown(values)}"
        )
    return array.astype(float)


def flag(value, name):
    """Return True or False as a bool.

    Examples
    --------
    >>> flag("no", "normalize")
    Traceback (most recent call last):
    ValueError: normalize must be True or False, not 'no'
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, not {_shown(value)}")
    return bool(value)


def choice(value, name, options):
    """Return a value that is one of the options, all of which are strings.

    Examples
    --------
    >>> choice("hinge", "loss", ("log", "probability"))
    Traceback (most recent call last):
    ValueError: loss must be one of ['log', 'probability'], not 'hinge'
    """
    # a list or an array has no hash, and == would compare it element by element
    if not isinstance(value, str) or value not in options:
        raise ValueError(f"{name} must be one of {list(options)}, not {_shown(value)}")
    return value


def function(value, name):
    """Return a value that can be called, such as a model.

    Examples
    --------
    >>> function("cnn", "model")
    Traceback (most recent call last):
    ValueError: model must be callable on a batch of images, not 'cnn'
    """
    if not callable(value):
        raise ValueError(f"{name} must be callable on a batch of images, not {_shown(value)}")
    return value


def outputs(model, batch, name="model", classes_from=0):
    """Return the probabilities that a model gives for a batch of images, or say what is wrong.

    Parameters
    ----------
    model : callable on a batch (n, h, w, c) that returns probabilities (n, classes)
    batch : array of shape (n, h, w, c)
    name : str
        The argument, for the error.
    classes_from : int
        As in `probabilities`.

    Examples
    --------
    >>> outputs(lambda x: x.sum(axis=(1, 2)), np.ones((1, 8, 8, 2)))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ValueError: the outputs of model must be probabilities: ... are these logits?
    """
    function(model, name)
    try:
        p = np.asarray(model(batch))
    except Exception as error:  # whatever a network says to images of another shape
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"{name} fails on images of shape {batch.shape[1:]}: {reason[0]}"
        ) from error
    p = probabilities(p, f"the outputs of {name}", classes_from)
    if len(p) != len(batch):
        raise ValueError(f"{name} must return a row for each image: {len(batch)}, not {len(p)}")
    return p


def dataset(value, name="dataset"):
    """Return a dataset of labelled images, as `helpers.data.load` returns them.

    Examples
    --------
    >>> dataset("mnist")
    Traceback (most recent call last):
    ValueError: dataset must be a Dataset of labelled images, not 'mnist'
    """
    classified = getattr(value, "task", None) == "classification"
    if not classified or np.ndim(getattr(value, "x_test", None)) != 4:
        raise ValueError(f"{name} must be a Dataset of labelled images, not {_shown(value)}")
    return value


def _array(values, name):
    try:
        return np.asarray(values)
    except Exception as error:  # lists of different lengths, symbolic tensors, …
        raise ValueError(f"{name} must be an array, not {_shown(values)}") from error


def _numbers(values, name):
    values = _array(values, name)
    if values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must hold numbers, not {values.dtype}")
    return values


def _shown(value):
    """Show a value in an error, in at most a line."""
    if shape := getattr(value, "shape", None):
        return f"an array of shape {tuple(shape)}"
    text = repr(value)
    # a dataset or a network would fill pages
    return text if len(text) <= 80 and "\n" not in text else f"a {type(value).__name__}"

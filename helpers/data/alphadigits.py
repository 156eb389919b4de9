"""Binary AlphaDigits: 36 handwritten characters, 39 images of each, 20 x 16, black and white."""

from __future__ import annotations

import string
import urllib.request

import numpy as np

from helpers.data.source import NotUsable, Source, reading

CLASSES, EACH, TRAIN_EACH = 36, 39, 31


def read(folder):
    """Read ``binaryalphadigs.mat``, a file of MATLAB with one cell for each image."""
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    path = folder / "binaryalphadigs.mat"
    with reading(path, CLASSES * EACH * 20 * 16):
        try:
            cells = loadmat(path, variable_names=["dat"])["dat"]
        except (MatReadError, NotImplementedError) as error:  # no MATLAB file, or a newer one
            raise NotUsable(f"{path.name} cannot be read ({error}).") from error
        images = np.stack([np.stack(row) for row in cells])
        return cut(255 * images.astype(np.uint8))


def fetch(folder):
    """Download it from the page of its author."""
    urllib.request.urlretrieve(SOURCE.url, folder / "binaryalphadigs.mat")
    return read(folder)


def cut(images):
    """Keep the first 31 images of each class for training and its last 8 for the test.

    One image of each class, then the next of each: so any part of a row of images holds every
    class alike.

    Parameters
    ----------
    images : uint8 array of shape (36, 39, 20, 16)

    Returns
    -------
    dict of arrays

    Examples
    --------
    >>> parts = cut(np.zeros((36, 39, 20, 16), np.uint8))
    >>> parts["x_train"].shape, parts["y_train"][34:38]
    ((1116, 20, 16), array([34, 35,  0,  1], dtype=uint8))
    """
    turns = images.swapaxes(0, 1).reshape(EACH * CLASSES, *images.shape[2:])
    labels = np.tile(np.arange(CLASSES, dtype=np.uint8), EACH)
    n = TRAIN_EACH * CLASSES
    return {
        "x_train": turns[:n],
        "y_train": labels[:n],
        "x_test": turns[n:],
        "y_test": labels[n:],
    }


SOURCE = Source(
    title="Binary AlphaDigits",
    task="classification",
    shape=(20, 16),
    rows={"full": (1_116, 288), "lite": (1_116, 288)},
    sha256={
        "full": "7dc8cf68c01c39c327f21595244ab1b55ae39fce67d2cfcc99958df4dd7c3d25",
        "lite": "5b44918f522921ab561ccd67d381fb60bf88767dc47b1b4cf12195768d0df90a",
    },
    file="binaryalphadigs.mat",
    read=read,
    url="https://cs.nyu.edu/~roweis/data/binaryalphadigs.mat",
    download=526_000,
    fetch=fetch,
    class_names=tuple(string.digits + string.ascii_uppercase),
    stand_in=True,
)

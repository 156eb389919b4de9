"""CIFAR-10: 60,000 photographs of six animals and four vehicles, 32 x 32, in colour."""

from __future__ import annotations

import hashlib
import pickle
import tarfile

import numpy as np

from helpers.data.source import NotUsable, Source, fetch_from_keras, reading

FILE = "cifar-10-python.tar.gz"
# of the published archive; Keras compares its download with the same
ARCHIVE = "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"
BYTES = 60_000 * 32 * 32 * 3


def read(folder):
    """Read ``cifar-10-python.tar.gz`` as it was published.

    Its parts are pickles, and a pickle can run any program: so they are opened only if the
    archive is the published one.
    """
    path = folder / FILE
    with reading(path, BYTES):
        with open(path, "rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != ARCHIVE:
            raise NotUsable(
                f"{FILE} is another archive: expected SHA-256 {ARCHIVE[:12]}…, found {found[:12]}…."
            )
        with tarfile.open(path) as archive:
            train = [_batch(archive, f"data_batch_{number}") for number in range(1, 6)]
            test = _batch(archive, "test_batch")
    x, y = (np.concatenate(part) for part in zip(*train, strict=True))
    return {"x_train": x, "y_train": y, "x_test": test[0], "y_test": test[1]}


def _batch(archive, name):
    """Return the images (10000, 32, 32, 3) and the labels of one part."""
    part = pickle.load(archive.extractfile(f"cifar-10-batches-py/{name}"), encoding="bytes")
    images = np.reshape(part[b"data"], (-1, 3, 32, 32)).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images, np.uint8), np.array(part[b"labels"], np.uint8)


def fetch(folder):
    """Download it through ``keras.datasets``."""
    arrays = fetch_from_keras("cifar10", folder)
    return {key: array[:, 0] if key[0] == "y" else array for key, array in arrays.items()}


SOURCE = Source(
    title="CIFAR-10",
    task="classification",
    shape=(32, 32, 3),
    rows={"full": (50_000, 10_000)},
    sha256={},
    file=FILE,
    read=read,
    url=f"https://www.cs.toronto.edu/~kriz/{FILE}",
    download=170_498_071,
    fetch=fetch,
    class_names=(
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ),
)

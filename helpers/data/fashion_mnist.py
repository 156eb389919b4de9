"""Fashion-MNIST: 70,000 pictures of clothes, 28 x 28, gray, made to take the place of MNIST."""

from __future__ import annotations

from helpers.data.source import Source, fetch_from_keras, keras_folder, read_idx

FILES = {
    "x_train": "train-images-idx3-ubyte.gz",
    "y_train": "train-labels-idx1-ubyte.gz",
    "x_test": "t10k-images-idx3-ubyte.gz",
    "y_test": "t10k-labels-idx1-ubyte.gz",
}


def read(folder):
    """Read the four files as they were published, from ``fashion-mnist/``."""
    layout = SOURCE.layout("full")
    return {
        key: read_idx(folder / "fashion-mnist" / file, layout[key][1])
        for key, file in FILES.items()
    }


def fetch(folder):
    """Download it through ``keras.datasets``."""
    return fetch_from_keras("fashion_mnist", folder)


SOURCE = Source(
    title="Fashion-MNIST",
    task="classification",
    shape=(28, 28),
    rows={"full": (60_000, 10_000), "lite": (4_000, 1_000)},
    sha256={
        "full": "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f",
        "lite": "81adbedb467df4551d8d32c778497c244fba3dec07eb843371728208952ca3ff",
    },
    file="fashion-mnist/*-ubyte.gz",
    read=read,
    url=("https://storage.googleapis.com/tensorflow/tf-keras-datasets/train-images-idx3-ubyte.gz"),
    download=30_878_645,
    fetch=fetch,
    library="Keras",
    library_folder=keras_folder,
    class_names=(
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
)

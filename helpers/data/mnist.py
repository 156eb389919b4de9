"""MNIST: 70,000 handwritten digits, 28 x 28, gray."""

from __future__ import annotations

from helpers.data.source import Source, fetch_from_keras, keras_folder, read_npz


def read(folder):
    """Read ``mnist.npz``, the archive that Keras downloads."""
    return read_npz(folder / "mnist.npz", SOURCE.layout("full"))


def fetch(folder):
    """Download it through ``keras.datasets``."""
    return fetch_from_keras("mnist", folder)


SOURCE = Source(
    title="MNIST",
    task="classification",
    shape=(28, 28),
    rows={"full": (60_000, 10_000), "lite": (4_000, 1_000)},
    sha256={
        "full": "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
        "lite": "8a7adbe9b5c3bf456972a9db198d6c8526b57b03b4d3d1190db7a3eb54556f54",
    },
    file="mnist.npz",
    read=read,
    url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
    download=11_490_434,
    fetch=fetch,
    library="Keras",
    library_folder=keras_folder,
    class_names=tuple("0123456789"),
)

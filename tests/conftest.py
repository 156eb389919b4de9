"""Fixtures that several test files share."""

import numpy as np
import pytest

from helpers import data


@pytest.fixture(scope="session")
def sample():
    """The committed sample: 4,000 + 1,000 real digits."""
    return data.load("mnist", profile="lite")


@pytest.fixture(scope="session")
def linear_model():
    """A softmax regression with fixed random weights: (tf model, NumPy weights, NumPy bias)."""
    from helpers.backend import tf

    rng = np.random.default_rng(1)
    weights = rng.normal(0, 0.1, (784, 10))
    bias = rng.normal(0, 0.1, 10)
    w, b = tf.constant(weights, tf.float32), tf.constant(bias, tf.float32)

    def model(x):
        return tf.nn.softmax(tf.reshape(x, (-1, 784)) @ w + b)

    return model, weights, bias

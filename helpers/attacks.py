"""Attacks: change images a little, so that a network takes them for something else."""

from __future__ import annotations

from helpers.backend import keras, tf


def pgd_attack(model, x, y, radius, steps=3):
    """Change images so that a network takes them for anything but their label.

    Parameters
    ----------
    model : keras.Model that ends in softmax
        Keras computes the loss from its logits. From the bare probabilities of another callable
        it would be clipped, and images of which the network is sure would not move.
    x : tensor of shape (n, 28, 28, 1), values in [0, 1]
    y : tensor of shape (n,), labels
    radius : float, or tensor of shape (n, 1, 1, 1)
        The Euclidean length that no change may exceed.
    steps : int

    Returns
    -------
    tensor of shape (n, 28, 28, 1), values in [0, 1]

    Notes
    -----
    Projected gradient descent in the Euclidean norm (Madry et al., 2018). A step has twice the
    length that would just reach the radius, so that it can go around corners.
    """
    moved = x
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(moved)
            loss = keras.losses.sparse_categorical_crossentropy(y, model(moved))
        change = moved - x + 2 * radius / steps * _to_length_1(tape.gradient(loss, moved))
        change *= tf.minimum(1.0, radius / (_length(change) + 1e-10))
        moved = tf.clip_by_value(x + change, 0.0, 1.0)
    return moved


def _length(images):
    return tf.sqrt(tf.reduce_sum(images**2, axis=(1, 2, 3), keepdims=True))


def _to_length_1(images):
    return images / (_length(images) + 1e-10)

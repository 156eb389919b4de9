"""Exercises, networks and figures of 08: digits that are moved, spoilt and attacked."""

from helpers import models
from helpers.training import Recipe

NETWORKS = {
    network.name: network
    for network in (
        models.Network(
            "canvas",
            models.build_cnn,
            Recipe(epochs=14, learning_rate=3e-3, warmup_steps=200, canvas=56),
        ),
        models.Network(
            "linf",
            models.build_cnn,
            Recipe(
                epochs=10,
                learning_rate=2e-3,
                warmup_steps=200,
                attack_norm="linf",
                attack_radius=0.32,
                attack_steps=8,
                validation=False,
            ),
        ),
    )
}

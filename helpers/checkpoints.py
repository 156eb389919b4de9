"""Checkpoints: weights, their model cards, and where they are kept."""

from __future__ import annotations

import hashlib
import json
import os
import warnings

from helpers import session

PRETRAINED = session.ROOT / "data" / "pretrained"


def trained_path(network, dataset, seed):
    """Path of the weights that this person trained; other settings give another path."""
    settings = {**network.recipe.settings(), "images": len(dataset.x_train)}
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    file = f"{_stem(network, dataset, seed)}-{key}.weights.h5"
    return session.models_folder() / dataset.profile / file


def pretrained_path(network, dataset, seed):
    """Path of the weights that the repository ships."""
    return PRETRAINED / f"{_stem(network, dataset, seed)}.weights.h5"


def card_path(weights):
    """Path of the model card that belongs to pretrained weights."""
    return weights.with_suffix("").with_suffix(".json")


def _stem(network, dataset, seed):
    return f"{dataset.name}-{network.name}" + (f"-seed{seed}" if seed else "")


def pretrained_card(network, dataset, seed):
    """Model card of pretrained weights that fit the settings of the code, or None."""
    try:
        card = json.loads(card_path(pretrained_path(network, dataset, seed)).read_text())
        fits = card["recipe"] == network.recipe.settings() and card["seed"] == seed
        return card if fits and {"images", "test_accuracy"} <= card.keys() else None
    # none, or a damaged one: it vouches for nothing
    except (OSError, ValueError, KeyError, TypeError):
        return None


def load(model, path):
    """Load weights into a model; say why if they do not load, and return whether they did."""
    if not path.exists():
        return False
    try:
        with warnings.catch_warnings():
            # Keras only warns when a file lacks some layers, and keeps their random weights
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a damaged or foreign file
        reason = str(error).splitlines()[0] if str(error) else ""
        print(f"{path.name} does not load ({type(error).__name__}: {reason}): training again.")
        return False
    return True


def save(model, path):
    """Save the weights under a temporary name and rename them when they are whole."""
    import keras

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{os.getpid()}-{path.name}")
    try:
        # a new Model around the same layers has no optimizer, whose state would triple the file
        keras.Model(model.inputs, model.outputs).save_weights(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)

"""Checkpoints: weights, the model cards that vouch for them, and where both are kept.

A checkpoint is two files, ``….weights.h5`` and its model card ``….json``. Weights are loaded only
if they are those of the card, and the card that of the wanted network.
"""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from importlib import metadata

import numpy as np

from helpers import session, validation
from helpers.backend import keras

PRETRAINED = session.ROOT / "data" / "pretrained"


class NotUsable(Exception):
    """A checkpoint that must not be loaded; the message says why."""


def trained_path(network, dataset, seed):
    """Path of the weights that this person trained; other settings give another path.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> recipe = SimpleNamespace(settings=lambda: {"epochs": 6})
    >>> dataset = SimpleNamespace(name="mnist", profile="lite", x_train=[0] * 4000)
    >>> trained_path(SimpleNamespace(name="cnn", recipe=recipe), dataset, seed=1).name
    'mnist-cnn-seed1-...weights.h5'
    """
    settings = {**network.recipe.settings(), "images": len(dataset.x_train)}
    key = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
    file = f"{_stem(network, dataset, seed)}-{key}.weights.h5"
    return session.models_folder() / dataset.profile / file


def pretrained_path(network, dataset, seed):
    """Path of the weights that the repository brings along.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> pretrained_path(SimpleNamespace(name="cnn"), SimpleNamespace(name="mnist"), seed=0).name
    'mnist-cnn.weights.h5'
    """
    return PRETRAINED / f"{_stem(network, dataset, seed)}.weights.h5"


def card_path(weights):
    """Path of the model card that belongs to weights.

    Examples
    --------
    >>> card_path(PRETRAINED / "mnist-cnn.weights.h5").name
    'mnist-cnn.json'
    """
    return weights.with_suffix("").with_suffix(".json")


def _stem(network, dataset, seed):
    return f"{dataset.name}-{network.name}" + (f"-seed{seed}" if seed else "")


def digest(arrays):
    """SHA-256 of the bytes of arrays, for example of a model's weights, in their order.

    Parameters
    ----------
    arrays : sequence of array

    Returns
    -------
    str of 64 hexadecimal digits

    Examples
    --------
    >>> digest([np.zeros(2, np.float32)])[:12]
    'af5570f5a181'
    """
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()


def wanted(model, network, dataset, seed):
    """Say what must stand on a model card if its weights are to be used.

    Parameters
    ----------
    model : keras.Model
    network : helpers.models.Network
    dataset : helpers.data.Dataset
    seed : int

    Returns
    -------
    dict
        The first part of a model card.
    """
    return {
        "network": network.name,
        "dataset": dataset.name,
        "images": len(dataset.x_train),
        "seed": seed,
        "parameters": model.count_params(),
        "recipe": network.recipe.settings(),
    }


def load(model, path, expected):
    """Load weights into a model if they are the ones that are wanted.

    Parameters
    ----------
    model : keras.Model
        Build it anew if nothing was loaded: its weights may have been replaced in part.
    path : Path of the weights
    expected : dict
        What the model card must say: see `wanted`.

    Returns
    -------
    dict or None
        The model card. None without such files, and for files that cannot be used; then one
        line says why.
    """
    try:
        if not (path.exists() or card_path(path).exists()):
            return None
        card = _read_card(card_path(path), expected)
        _load_weights(model, path)
        if not all(np.isfinite(array).all() for array in model.get_weights()):
            raise NotUsable("it holds weights that are NaN or infinite")
        if digest(model.get_weights()) != card["sha256"]:
            raise NotUsable("its weights are not those of its model card: another SHA-256")
    except (NotUsable, OSError) as reason:
        print(f"{path.name} is not used: {reason}.")
        return None
    return card


def _read_card(path, expected):
    """Read a model card and compare it with what is expected."""
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotUsable(f"its model card {path.name} is missing") from None
    except (ValueError, RecursionError):
        raise NotUsable(f"its model card {path.name} is damaged: it is not JSON") from None
    try:
        validation.whole_number(card["images"], "images", 1)
        validation.number(card["test_accuracy"], "test_accuracy", low=0, high=1)
        for key in ("sha256", *expected):
            card[key]
    except ValueError as error:
        raise NotUsable(f"its model card {path.name} is damaged: {error}") from None
    except KeyError as key:
        raise NotUsable(f"its model card {path.name} is damaged: it has no {key}") from None
    except TypeError:
        raise NotUsable(f"its model card {path.name} is damaged: it is no dictionary") from None
    for key, value in expected.items():
        if card[key] != value:
            raise NotUsable(f"its model card says {_difference(key, card[key], value)}")
    return card


def _difference(key, found, value):
    """Say in few words what stands on a card and what was expected."""
    if isinstance(found, dict) and isinstance(value, dict):  # of a recipe, only what differs
        keys = [k for k in (*value, *found) if found.get(k) != value.get(k)]
        if keys:
            return _difference(f"{key}, {keys[0]}", found.get(keys[0]), value.get(keys[0]))
    return f"{key}: {found!r}, expected {value!r}"


def _load_weights(model, path):
    if not path.is_file():  # also a pipe, which would be waited for
        raise NotUsable("there is a model card, but no such file")
    try:
        with warnings.catch_warnings():
            # Keras only warns when a file lacks some layers, and keeps their random weights
            warnings.simplefilter("error", UserWarning)
            _bare(model).load_weights(path)
    except Exception as error:  # h5py and Keras raise many kinds for a damaged or foreign file
        reason = " ".join(str(error).split())[:200]
        raise NotUsable(f"it does not load ({type(error).__name__}: {reason})") from error


def _bare(model):
    """Return a model of the same layers without an optimizer, whose state triples a file."""
    return keras.Model(model.inputs, model.outputs)


def _size(model):
    """Return about how many bytes the weights take in a file, rather too many than too few."""
    return sum(array.nbytes for array in model.get_weights()) + 2**16


def save(model, path, card):
    """Write weights and their model card under temporary names; rename them when both are whole.

    Parameters
    ----------
    model : keras.Model
    path : Path of the weights
    card : dict
        What `wanted` returns, and ``test_accuracy``; or a whole card. The digest of the weights
        is added, and the versions if they are missing.

    Raises
    ------
    OSError
        If the disk is full or read-only.
    """
    versions = {package: metadata.version(package) for package in ("tensorflow", "keras")}
    card = {
        **card,
        "sha256": digest(model.get_weights()),
        "versions": card.get("versions", versions),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(card, indent=1) + "\n"

    def write(file):
        # a full disk says so here, once: h5py would print pages about it
        file.write_bytes(bytes(_size(model)))
        _bare(model).save_weights(file)

    try:
        _write({path: write, card_path(path): lambda file: file.write_text(text, encoding="utf-8")})
    except (OSError, RuntimeError) as error:  # h5py raises both, with many lines
        raise OSError(" ".join(str(error).split())) from error


def _write(writers):
    """Write files (path -> what writes it) under temporary names; rename all when all are whole."""
    temporary = {file: file.with_name(f"{os.getpid()}-{file.name}") for file in writers}
    try:
        for file, write in writers.items():
            write(temporary[file])
        for file in writers:
            os.replace(temporary[file], file)
    finally:
        for file in temporary.values():
            file.unlink(missing_ok=True)


# models that are no single Keras network: their arrays alone


def load_arrays(name):
    """Load the arrays of a model that the repository brings along, and its card.

    Parameters
    ----------
    name : str
        For example ``"mnist-rbm"``.

    Returns
    -------
    arrays : list of float32 array
        In the order in which they were shipped.
    card : dict

    Raises
    ------
    FileNotFoundError
        If there is no such model.
    RuntimeError
        If a file is damaged, or the arrays are not those of the card.

    Examples
    --------
    >>> load_arrays("mnist-rbm")[0][0].shape
    (784, 500)
    """
    file = PRETRAINED / f"{name}.npz"
    try:
        card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        with np.load(file) as stored:
            arrays = [stored[key].astype(np.float32) for key in stored.files]
        fits = digest(arrays) == card["sha256"]
    except FileNotFoundError:
        raise
    except Exception as error:  # zipfile, zlib, NumPy and json raise many kinds
        raise RuntimeError(f"{file.name} or its card is damaged: get both again") from error
    if not fits:
        raise RuntimeError(f"{file.name} does not hold the arrays of its card: get it again")
    return arrays, card


def ship_arrays(name, arrays, card):
    """Write arrays, in half precision, and their card beside the pretrained networks.

    Parameters
    ----------
    name : str
        For example ``"mnist-wgan"``.
    arrays : sequence of array
    card : dict
        How they were made, and what they reach. The digest and the versions are added.

    Raises
    ------
    ValueError
        For numbers beyond 65,504, which half precision does not hold.
    OSError
        If the disk is full or read-only; what was there before stays.
    """
    with np.errstate(over="ignore"):
        half = [np.asarray(array, np.float16) for array in arrays]
    if not all(np.isfinite(array).all() for array in half):
        raise ValueError(f"the arrays of {name} must be finite in half precision, up to 65,504")
    versions = {package: metadata.version(package) for package in ("tensorflow", "keras", "numpy")}
    card = {**card, "versions": versions, "sha256": digest([a.astype(np.float32) for a in half])}
    text = json.dumps(card, indent=1) + "\n"
    named = {f"{i:02}": array for i, array in enumerate(half)}
    _write(
        {
            PRETRAINED / f"{name}.npz": lambda file: np.savez_compressed(file, **named),
            PRETRAINED / f"{name}.json": lambda file: file.write_text(text, encoding="utf-8"),
        }
    )

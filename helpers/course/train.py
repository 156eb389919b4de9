"""Train networks over seeds, record each training, and ship some to data/pretrained."""

from __future__ import annotations

import argparse
import importlib
import pkgutil

import numpy as np

from helpers import records, session
from helpers.course import notebooks


def add_parser(commands):
    """Add the command ``train`` to the command line."""
    parser = commands.add_parser("train", help="train the networks over seeds, record them")
    parser.add_argument("names", nargs="*", metavar="name", help="default: all")
    parser.add_argument("--seeds", type=_seed, nargs="+", default=[0], help="default: 0")
    parser.add_argument(
        "--ship",
        action="store_true",
        help="put the weights into data/pretrained, with a model card",
    )
    parser.set_defaults(main=main)


def _seed(text):
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 4294967295")
    return int(text)


def main(arguments):
    """Train what is not on record yet.

    Raises
    ------
    UsageError
        For an unknown network, and for `--ship` without the full data.
    """
    from helpers import data, setup

    chosen = _chosen(arguments.names)
    setup()  # the same seeds and determinism as in a notebook
    datasets = {name: data.load(name) for name in dict.fromkeys(n.dataset for n in chosen)}
    if arguments.ship and any(dataset.profile != "full" for dataset in datasets.values()):
        raise notebooks.UsageError("only networks trained on the full data are shipped")
    for seed in arguments.seeds:
        for network in chosen:
            train(network, datasets[network.dataset], seed, arguments.ship)


def networks():
    """All networks: the shared ones, and those that a chapter defines in its room.

    Returns
    -------
    list of helpers.models.Network

    Raises
    ------
    UsageError
        If two different networks have one name and one dataset: they would share their files.
    """
    from helpers import chapters, models

    rooms = [
        importlib.import_module(f"{chapters.__name__}.{module.name}")
        for module in pkgutil.iter_modules(chapters.__path__)
    ]
    found = {}
    for room in (models, *rooms):
        for network in getattr(room, "NETWORKS", {}).values():
            key = network.dataset, network.name
            if found.setdefault(key, network) != network:
                raise notebooks.UsageError(
                    f"{room.__name__} has a network {network.name!r} for {network.dataset}, and "
                    "there is another one with this name: rename it"
                )
    return list(found.values())


def _chosen(names):
    everything = networks()
    known = {network.name for network in everything}
    if unknown := set(names) - known:
        raise notebooks.UsageError(f"name must be one of {sorted(known)}, not {sorted(unknown)}")
    return [network for network in everything if not names or network.name in names]


def train(network, dataset, seed, ship=False):
    """Train one network, unless this was done before, and record which test images it gets wrong.

    Parameters
    ----------
    network : helpers.models.Network
    dataset : helpers.data.Dataset
    seed : int
    ship : bool
        Put its weights into ``data/pretrained``, too.

    Raises
    ------
    UsageError
        If the disk is full or read-only.
    """
    from helpers import models

    recipe = network.recipe.settings()
    recorded = records.training(dataset.profile, network.name, seed, recipe, dataset=dataset.name)
    if recorded and not ship:
        accuracy = recorded["accuracy"]
        print(
            f"{network.name}, seed {seed}: on record; test accuracy {session.percent(accuracy, 2)}"
        )
        return
    model = models.load_or_train(network, dataset, seed)
    try:
        if not recorded:
            _record(model, network, dataset, seed)
        if ship:
            _ship(model, network, dataset, seed)
    except OSError as error:
        raise notebooks.UsageError(f"{network.name}, seed {seed}, was not kept: {error}") from error


def _record(model, network, dataset, seed):
    from helpers import models

    predicted = models.predict(model, dataset.x_test).argmax(axis=1)
    wrong = np.flatnonzero(predicted != dataset.y_test)
    line = {
        "profile": dataset.profile,
        "seed": seed,
        "recipe": network.recipe.settings(),
        "accuracy": round(1 - len(wrong) / len(predicted), 4),
        "wrong": wrong.tolist(),
    }
    records.append(records.training_file(network.name, dataset.name), line)


def _ship(model, network, dataset, seed):
    from helpers import checkpoints

    expected = checkpoints.wanted(model, network, dataset, seed)
    card = checkpoints.load(model, checkpoints.trained_path(network, dataset, seed), expected)
    if card is None:
        print(f"{network.name}, seed {seed}: nothing to ship; it was not trained here")
        return
    command = f"python -m helpers.course train {network.name} --seeds {seed} --ship"
    target = checkpoints.pretrained_path(network, dataset, seed)
    checkpoints.save(model, target, {**card, "command": command})
    print(f"{network.name}, seed {seed}: shipped to {target.name}")

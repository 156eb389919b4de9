"""Train networks over seeds, record each training, and ship some to data/pretrained."""

from __future__ import annotations

import argparse
import importlib
import itertools
import os
import pkgutil
import platform

import numpy as np

from helpers import records, session
from helpers.course import notebooks, tasks


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
    tasks.add_option(parser)
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
    wanted = [
        (network, datasets[network.dataset], seed)
        for seed, network in itertools.product(arguments.seeds, chosen)
    ]
    if arguments.scheduler:
        _fetch(wanted, arguments.scheduler)
    for network, dataset, seed in wanted:
        train(network, dataset, seed, arguments.ship)


def _fetch(wanted, scheduler):
    """Let workers train what is neither on record nor here, and keep the weights as they come."""
    from helpers import checkpoints

    missing = {
        checkpoints.trained_path(*each): each
        for each in wanted
        if not _on_record(*each) and not checkpoints.trained_path(*each).exists()
    }
    calls = [(network, dataset.profile, seed) for network, dataset, seed in missing.values()]
    with tasks.executor(scheduler) as executor:
        results = executor.map(train_for_another, *zip(*calls, strict=True)) if calls else ()
        for path, files in zip(missing, results, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            for name, content in files.items():
                temporary = path.with_name(f"{os.getpid()}-{name}")
                temporary.write_bytes(content)
                os.replace(temporary, path.with_name(name))


def train_for_another(network, profile, seed):
    """Train a network on a worker of a scheduler, and return the files of its checkpoint.

    Parameters
    ----------
    network : helpers.models.Network
    profile : {"full", "lite"}
    seed : int

    Returns
    -------
    dict of str to bytes
        Empty for a network that the course brings along.
    """
    from helpers import checkpoints, data, models, setup

    setup()
    dataset = data.load(network.dataset, profile=profile)
    if dataset.profile != profile:
        raise notebooks.UsageError(f"{platform.node()} has only the sample of {network.dataset}")
    models.load_or_train(network, dataset, seed)
    path = checkpoints.trained_path(network, dataset, seed)
    files = path, checkpoints.card_path(path)
    return {file.name: file.read_bytes() for file in files if file.exists()}


def _on_record(network, dataset, seed):
    recipe = network.recipe.settings()
    return records.training(dataset.profile, network.name, seed, recipe, dataset=dataset.name)


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

    recorded = _on_record(network, dataset, seed)
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

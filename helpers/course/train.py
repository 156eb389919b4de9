"""Train the course's networks on several seeds, note every run, and ship the first."""

from __future__ import annotations

import json

import numpy as np

from helpers import records as bands
from helpers.course import notebooks


def add_parser(commands):
    parser = commands.add_parser("train", help="train the networks over seeds, note the runs")
    parser.add_argument("names", nargs="*", metavar="name", help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0], help="default: 0")
    parser.add_argument(
        "--ship", action="store_true", help="copy the weights to data/pretrained, with a card"
    )
    parser.set_defaults(main=main)


def main(arguments):
    from helpers import checkpoints, data, models, setup

    names = arguments.names or list(models.NETWORKS)
    if unknown := set(names) - set(models.NETWORKS):
        raise notebooks.UsageError(
            f"name must be one of {sorted(models.NETWORKS)}, not {sorted(unknown)}"
        )
    setup()  # the same seeds and determinism as in a notebook
    dataset = data.load("mnist")
    for seed in arguments.seeds:
        for name in names:
            recorded = bands.run(
                dataset.profile, name, seed, models.NETWORKS[name].recipe.settings()
            )
            kept = checkpoints.trained_path(models.NETWORKS[name], dataset, seed)
            if recorded is None or (arguments.ship and not kept.exists()):
                _train(name, dataset, seed)
            if arguments.ship:
                ship(name, dataset, seed)


def _train(name, dataset, seed):
    from helpers import checkpoints, models

    model = models.load_or_train(name, dataset, seed)
    if not checkpoints.trained_path(
        models.NETWORKS[name], dataset, seed
    ).exists():  # it came from data/pretrained
        checkpoints.save(model, checkpoints.trained_path(models.NETWORKS[name], dataset, seed))
    predicted = models.predict(model, dataset.x_test).argmax(axis=1)
    wrong = np.flatnonzero(predicted != dataset.y_test)
    bands.record_run(
        dataset.profile,
        name,
        {
            "seed": seed,
            "recipe": models.NETWORKS[name].recipe.settings(),
            "accuracy": round(1 - len(wrong) / len(predicted), 4),
            "wrong": wrong.tolist(),
        },
    )


def ship(name, dataset, seed):
    """Copy one trained network to data/pretrained and write its card."""
    if dataset.profile != "full":
        raise SystemExit("Only networks trained on the full data are shipped.")
    from helpers import checkpoints, models
    from helpers.backend import keras, tf

    kept = checkpoints.trained_path(models.NETWORKS[name], dataset, seed)
    target = checkpoints.pretrained_path(models.NETWORKS[name], dataset, seed)
    model = models.NETWORKS[name].build()
    model.load_weights(kept)
    checkpoints.save(model, target)
    run = bands.run(dataset.profile, name, seed, models.NETWORKS[name].recipe.settings())
    card = {
        "network": name,
        "command": f"python -m helpers.course train {name} --seeds {seed} --ship",
        "dataset": dataset.name,
        "images": len(dataset.x_train),
        "seed": seed,
        "test_accuracy": run["accuracy"],
        "parameters": int(model.count_params()),
        "recipe": models.NETWORKS[name].recipe.settings(),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }
    checkpoints.card_path(target).write_text(json.dumps(card, indent=1) + "\n")

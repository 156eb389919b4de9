import argparse
import dataclasses
import json
import os
import sys

import numpy as np
import pytest

from helpers import chapters, checkpoints, data, models, records, session
from helpers.backend import keras, tf
from helpers.course import notebooks, train
from helpers.models import Network
from helpers.training import Recipe

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")


def build_linear(shape, classes):
    inputs = keras.Input(shape)
    outputs = keras.layers.Dense(classes, activation="softmax")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, outputs)


TINY = Network("tiny", build_linear, Recipe(epochs=1, batch_size=50, learning_rate=0.01))
FASHION = Network("shirts", build_linear, Recipe(epochs=1, batch_size=60), dataset="fashion")


@pytest.fixture
def loaded(sample, tmp_path, monkeypatch):
    """Two networks, two datasets of a hundred images, folders of its own; names asked of load."""
    small = dataclasses.replace(
        sample,
        x_train=sample.x_train[:100],
        y_train=sample.y_train[:100],
        x_test=sample.x_test[:60],
        y_test=sample.y_test[:60],
    )
    asked = []

    def load(name):
        asked.append(name)
        return dataclasses.replace(small, name=name)

    monkeypatch.setattr(data, "load", load)
    monkeypatch.setattr(models, "NETWORKS", {"tiny": TINY})
    monkeypatch.setattr(chapters, "__path__", [str(tmp_path / "chapters")])
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path / "pretrained")
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "models"))
    tf.config.run_functions_eagerly(True)
    yield asked
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def full(loaded, monkeypatch):
    """The same, as if the hundred images were the full data."""
    load = data.load
    monkeypatch.setattr(data, "load", lambda name: dataclasses.replace(load(name), profile="full"))


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A new chapter's room that defines two networks; no shared file knows of it."""
    folder = tmp_path / "chapters"
    folder.mkdir()
    (folder / "chapter_00.py").write_text(
        "import test_train\n"
        "from helpers.models import NETWORKS as SHARED\n"
        'NETWORKS = {"shirts": test_train.FASHION, **SHARED}\n'
    )
    monkeypatch.setitem(sys.modules, "test_train", sys.modules[__name__])
    yield folder / "chapter_00.py"
    sys.modules.pop("helpers.chapters.chapter_00", None)


def run(*words):
    parser = argparse.ArgumentParser()
    train.add_parser(parser.add_subparsers(required=True))
    arguments = parser.parse_args(["train", *words])
    arguments.main(arguments)


def lines(file="mnist-tiny.jsonl"):
    path = records.FOLDER / file
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_training_is_recorded_with_the_images_that_it_gets_wrong(loaded):
    run("tiny", "--seeds", "3")
    (line,) = lines()
    dataset = data.load("mnist")
    model = models.load_or_train(TINY, dataset, 3)
    right = np.argmax(model(dataset.x_test), axis=1) == dataset.y_test
    assert line["wrong"] == [i for i in range(60) if not right[i]]
    assert 0 < len(line["wrong"]) < 60
    assert line["accuracy"] == round(float(right.mean()), 4)
    assert line["profile"] == "lite" and line["seed"] == 3
    assert line["recipe"] == TINY.recipe.settings()


def test_each_seed_trains_a_network_of_its_own(loaded):
    run("--seeds", "0", "1")
    first, second = lines()
    assert (first["seed"], second["seed"]) == (0, 1)
    assert first["wrong"] != second["wrong"]


def test_a_repeated_seed_is_trained_and_counted_once(loaded, capsys):
    run("tiny", "tiny", "--seeds", "0", "0")
    run("tiny")
    assert len(lines()) == 1
    out = capsys.readouterr().out
    assert out.count("tiny, seed 0: trained in") == 1
    assert f"tiny, seed 0: on record; test accuracy {100 * lines()[0]['accuracy']:.2f} %" in out


def test_a_recipe_that_changed_is_trained_again(loaded, monkeypatch, capsys):
    run("tiny")
    changed = dataclasses.replace(TINY, recipe=Recipe(epochs=1, batch_size=20))
    monkeypatch.setattr(models, "NETWORKS", {"tiny": changed})
    run("tiny")
    assert [line["recipe"]["batch_size"] for line in lines()] == [50, 20]
    assert capsys.readouterr().out.count("trained in") == 2


def test_what_another_command_records_meanwhile_is_kept(loaded, monkeypatch):
    run("tiny", "--seeds", "5")
    other = {key: value for key, value in lines()[0].items() if key != "versions"} | {"seed": 6}
    load_or_train = models.load_or_train

    def meanwhile(*arguments):
        records.append("mnist-tiny.jsonl", other)
        return load_or_train(*arguments)

    monkeypatch.setattr(models, "load_or_train", meanwhile)
    run("tiny", "--seeds", "7")
    assert [line["seed"] for line in lines()] == [5, 6, 7]


def test_networks_of_a_chapters_room_are_found_with_their_dataset(loaded, room, capsys):
    run()
    assert loaded == ["mnist", "fashion"]
    assert [line["seed"] for line in lines()] == [0]
    assert [line["seed"] for line in lines("fashion-shirts.jsonl")] == [0]
    folder = session.models_folder() / "lite"
    assert len(list(folder.glob("fashion-shirts-*.weights.h5"))) == 1
    capsys.readouterr()
    run("shirts")
    assert "tiny" not in capsys.readouterr().out


def test_two_networks_that_would_share_their_files_are_named(loaded, room):
    room.write_text(
        "import dataclasses, test_train\n"
        "from helpers.training import Recipe\n"
        'NETWORKS = {"tiny": dataclasses.replace(test_train.TINY, recipe=Recipe(epochs=3))}\n'
    )
    with pytest.raises(notebooks.UsageError, match=r"chapter_00 has a network 'tiny' for mnist"):
        run("tiny")


@pytest.mark.parametrize("names", [["resnet"], ["tiny", "resnet"]])
def test_an_unknown_network_is_named_before_anything_is_trained(loaded, names):
    with pytest.raises(notebooks.UsageError, match=r"one of \['tiny'\], not \['resnet'\]"):
        run(*names)
    assert lines() == []


@pytest.mark.parametrize("seed", ["-1", "0.5", "abc", "", "4294967296"])
def test_a_seed_that_is_none_is_named(loaded, seed, capsys):
    with pytest.raises(SystemExit):
        run("tiny", "--seeds", seed)
    assert "is no whole number" in capsys.readouterr().err or seed == "-1"


def test_a_disk_that_takes_no_record_is_one_line(loaded, monkeypatch):
    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records, "append", full_disk)
    with pytest.raises(notebooks.UsageError, match=r"tiny, seed 0, was not kept: .*No space left"):
        run("tiny")


# shipping


def test_a_shipped_network_is_the_trained_one_with_a_card(full, capsys):
    run("tiny", "--seeds", "2", "--ship")
    weights = checkpoints.PRETRAINED / "mnist-tiny-seed2.weights.h5"
    card = json.loads(checkpoints.card_path(weights).read_text())
    assert card["command"] == "python -m helpers.course train tiny --seeds 2 --ship"
    assert card["test_accuracy"] == lines()[0]["accuracy"]
    dataset = data.load("mnist")
    trained = models.load_or_train(TINY, dataset, 2)
    model = build_linear((28, 28, 1), 10)
    expected = checkpoints.wanted(model, TINY, dataset, 2)
    assert checkpoints.load(model, weights, expected) == card
    assert np.array_equal(model.get_weights()[0], trained.get_weights()[0])
    assert capsys.readouterr().out.count("trained in") == 1
    assert len(lines()) == 1


def test_without_the_flag_nothing_is_shipped(full):
    run("tiny")
    assert not checkpoints.PRETRAINED.exists()


def test_what_is_on_record_is_shipped_from_its_checkpoint(full, capsys):
    run("tiny")
    run("tiny", "--ship")
    assert (checkpoints.PRETRAINED / "mnist-tiny.weights.h5").exists()
    assert capsys.readouterr().out.count("trained in") == 1
    # and trained once more where the checkpoint is gone
    for file in checkpoints.PRETRAINED.iterdir():
        file.unlink()
    for file in (session.models_folder() / "full").iterdir():
        file.unlink()
    run("tiny", "--ship")
    assert (checkpoints.PRETRAINED / "mnist-tiny.weights.h5").exists()
    assert len(lines()) == 1


def test_a_network_that_was_shipped_elsewhere_stays_as_it_is(full, capsys):
    """A fresh clone has no checkpoint of its own; the card keeps what it says."""
    run("tiny", "--ship")
    before = {file.name: file.read_bytes() for file in checkpoints.PRETRAINED.iterdir()}
    for file in (session.models_folder() / "full").iterdir():
        file.unlink()
    capsys.readouterr()
    run("tiny", "--ship")
    assert "tiny, seed 0: nothing to ship; it was not trained here" in capsys.readouterr().out
    assert {file.name: file.read_bytes() for file in checkpoints.PRETRAINED.iterdir()} == before


def test_a_network_trained_on_the_sample_is_not_shipped(loaded):
    with pytest.raises(notebooks.UsageError, match="only networks trained on the full data"):
        run("tiny", "--ship")
    assert not checkpoints.PRETRAINED.exists()
    assert lines() == []


@pytest.mark.slow
def test_workers_train_and_one_that_is_killed_loses_nothing(tmp_path, monkeypatch, scheduler):
    monkeypatch.setattr(models, "NETWORKS", {"tiny": TINY})
    monkeypatch.setattr(chapters, "__path__", [])
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("COURSE_PROFILE", "lite")
    # here nothing is trained
    monkeypatch.setattr(models, "train", lambda *_, **__: pytest.fail("it was trained here"))
    replace, killed = os.replace, []

    def killing(*paths):
        replace(*paths)
        if not killed:
            killed.append(scheduler.workers[0].kill())

    monkeypatch.setattr(os, "replace", killing)
    run("--seeds", "0", "1", "2", "3", "--scheduler", scheduler.address)
    assert killed and scheduler.workers[1].poll() is None
    assert [line["seed"] for line in lines()] == [0, 1, 2, 3]
    assert len({tuple(line["wrong"]) for line in lines()}) == 4
    run("--seeds", "0", "1", "--scheduler", scheduler.address)  # all is on record
    assert len(lines()) == 4


@pytest.mark.slow
@pytest.mark.parametrize("address", ["tcp://127.0.0.1:9", "no address"])
def test_a_scheduler_that_does_not_answer_is_named(address, loaded):
    pytest.importorskip("distributed", reason='no Dask: pip install -e ".[scheduler]"')
    with pytest.raises(notebooks.UsageError, match=f"no Dask scheduler answers at {address}"):
        run("--seeds", "9", "--scheduler", address)

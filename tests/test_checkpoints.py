import dataclasses
import json
import os
import re
import warnings

import h5py
import numpy as np
import pytest

from helpers import checkpoints, training
from helpers.backend import keras
from helpers.models import Network
from helpers.training import Recipe


def build(shape=(4, 4, 1), classes=3, hidden=5, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Dense(hidden, activation="relu")(x)
    return keras.Model(inputs, keras.layers.Dense(classes, activation="softmax")(x))


NETWORK = Network("small", build, Recipe(epochs=2))


@pytest.fixture
def dataset(sample, tmp_path, monkeypatch):
    """Twelve grey images, and folders of its own."""
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path / "pretrained")
    x = np.full((12, 4, 4, 1), 0.5, np.float32)
    return dataclasses.replace(sample, x_train=x, y_train=np.zeros(12, int), class_names=("a",) * 3)


@pytest.fixture
def stored(dataset):
    """A checkpoint: (path of its weights, model, what its card must say)."""
    model = build()
    path = checkpoints.trained_path(NETWORK, dataset, 0)
    expected = checkpoints.wanted(model, NETWORK, dataset, 0)
    checkpoints.save(model, path, {**expected, "test_accuracy": 0.75})
    return path, model, expected


def change_card(path, **changes):
    card = checkpoints.card_path(path)
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def same_weights(one, other):
    return all(map(np.array_equal, one.get_weights(), other.get_weights()))


# what is loaded


def test_what_was_saved_is_loaded_with_its_card(stored, capsys):
    path, model, expected = stored
    loaded = build(seed=1)
    card = checkpoints.load(loaded, path, expected)
    assert same_weights(loaded, model)
    assert card["test_accuracy"] == 0.75
    assert set(card["versions"]) == {"tensorflow", "keras"}
    assert expected.items() <= card.items()
    assert capsys.readouterr().out == ""


def test_where_nothing_was_saved_nothing_is_said(dataset, capsys):
    path = checkpoints.trained_path(NETWORK, dataset, 0)
    assert checkpoints.load(build(), path, {}) is None
    assert capsys.readouterr().out == ""


def test_the_state_of_an_optimizer_is_not_kept(dataset):
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    path = checkpoints.trained_path(NETWORK, dataset, 0)
    checkpoints.save(model, path, {})
    with h5py.File(path) as file:
        assert set(file) == {"layers", "vars"}


# what is refused


def flip_a_bit(path):
    with h5py.File(path, "r+") as file:
        bias = file["layers/dense/vars/1"]
        numbers = bias[:]
        numbers.view(np.uint8)[0] ^= 1
        bias[:] = numbers


def put_nan(path):
    """NaN weights with a digest that fits them."""
    model = build()
    kernel, *rest = model.get_weights()
    kernel[0, 0] = np.nan
    model.set_weights([kernel, *rest])
    checkpoints.save(model, path, json.loads(checkpoints.card_path(path).read_text()))


def cut_off(path):
    path.write_bytes(path.read_bytes()[:1000])


def make_empty(path):
    path.write_bytes(b"")


def take_another_seed(path):
    build(seed=1).save_weights(path)


def take_another_network(path):
    build(hidden=6).save_weights(path)


def lose_the_weights(path):
    path.unlink()


def make_it_a_folder(path):
    path.unlink()
    path.mkdir()


def make_it_a_pipe(path):
    path.unlink()
    os.mkfifo(path)


def write_card(text):
    def change(path):
        checkpoints.card_path(path).write_bytes(text)

    return change


def lose_from_card(key):
    def change(path):
        card = json.loads(checkpoints.card_path(path).read_text())
        del card[key]
        checkpoints.card_path(path).write_text(json.dumps(card))

    return change


def say(**changes):
    return lambda path: change_card(path, **changes)


DAMAGES = {
    "a flipped bit": (flip_a_bit, "not those of its model card"),
    "NaN": (put_nan, "weights that are NaN or infinite"),
    "cut off": (cut_off, "does not load"),
    "empty": (make_empty, "does not load"),
    "another seed": (take_another_seed, "not those of its model card"),
    "another network": (take_another_network, "does not load"),
    "no weights": (lose_the_weights, "there is a model card, but no such file"),
    "a folder": (make_it_a_folder, "no such file"),
    "no card": (lambda path: checkpoints.card_path(path).unlink(), "model card .* is missing"),
    "card empty": (write_card(b""), "damaged: it is not JSON"),
    "card binary": (write_card(b"\xff\xfe\x00"), "damaged: it is not JSON"),
    "card deep": (write_card(b"[" * 100_000), "damaged: it is not JSON"),
    "card null": (write_card(b"null"), "damaged: it is no dictionary"),
    "card list": (write_card(b"[]"), "damaged: it is no dictionary"),
    "card {}": (write_card(b"{}"), "damaged: it has no 'images'"),
    **{
        f"card without {key}": (lose_from_card(key), f"damaged: it has no '{key}'")
        for key in ("network", "dataset", "seed", "recipe", "parameters", "test_accuracy", "sha256")
    },
    "images a text": (say(images="60000"), "damaged: images must be a whole number"),
    "images none": (say(images=0), "damaged: images must be a whole number"),
    "images true": (say(images=True), "damaged: images must be a whole number"),
    "accuracy a word": (say(test_accuracy="high"), "damaged: test_accuracy must be"),
    "accuracy NaN": (say(test_accuracy=float("nan")), "damaged: test_accuracy must be"),
    "accuracy 99": (say(test_accuracy=99), "damaged: test_accuracy must be"),
    "digest": (say(sha256=None), "not those of its model card"),
    "network": (say(network="cnn"), "says network: 'cnn', expected 'small'"),
    "dataset": (say(dataset="fashion"), "says dataset: 'fashion', expected 'mnist'"),
    "seed": (say(seed=3), "says seed: 3, expected 0"),
    "images": (say(images=60_000), "says images: 60000, expected 12"),
    "parameters": (say(parameters=7), "says parameters: 7, expected 103"),
    "recipe": (say(recipe={**NETWORK.recipe.settings(), "epochs": 9}), "epochs: 9, expected 2"),
    "no recipe": (say(recipe=None), "says recipe: None"),
}
if hasattr(os, "mkfifo"):
    DAMAGES["a pipe"] = (make_it_a_pipe, "no such file")


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_cannot_be_trusted_is_named_on_one_line_and_not_used(stored, damage, capsys):
    path, _, expected = stored
    change, reason = DAMAGES[damage]
    change(path)
    assert checkpoints.load(build(seed=2), path, expected) is None
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{path.name} is not used: ")
    assert re.search(reason, line), line


def test_a_load_that_only_warns_is_a_failure(stored, monkeypatch, capsys):
    """Keras warns, and keeps random weights, when a file lacks some nested layers."""
    path, model, expected = stored

    def warn(self, path):
        warnings.warn("Skipping dense", stacklevel=1)

    monkeypatch.setattr(keras.Model, "load_weights", warn)
    # these weights fit the card by chance
    assert checkpoints.load(model, path, expected) is None
    assert "does not load (UserWarning: Skipping dense)" in capsys.readouterr().out


def test_files_that_may_not_be_read_are_named(stored, monkeypatch, capsys):
    path, model, expected = stored

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_text", refuse)
    assert checkpoints.load(model, path, expected) is None
    assert "Permission denied" in capsys.readouterr().out


# where it is kept


def test_everything_that_decides_what_is_trained_gives_another_path(dataset, monkeypatch):
    def path(recipe=NETWORK.recipe, seed=0, network="small", **changes):
        changed = dataclasses.replace(dataset, **changes)
        return checkpoints.trained_path(Network(network, build, recipe), changed, seed)

    changes = {
        "batch_size": 12,
        "learning_rate": 0.1,
        "warmup_steps": 3,
        "affine": True,
        "noise": 0.1,
        "attack_radius": 1.0,
        "attack_steps": 2,
        "validation": False,
    }
    paths = [
        path(),
        path(Recipe(3)),
        *(path(Recipe(2, **{key: value})) for key, value in changes.items()),
        path(seed=1),
        path(network="other"),
        path(name="fashion"),
        path(profile="full"),
        path(x_train=dataset.x_train[:11]),
    ]
    monkeypatch.setitem(training.AFFINE, "shift", 0.08)
    paths.append(path(Recipe(2, affine=True)))
    assert len(set(paths)) == len(paths)


def test_the_digest_sees_each_weight_and_their_order():
    model = build()
    digests = {checkpoints.digest(model.get_weights())}
    kernel, bias, *rest = model.get_weights()
    for changed in ([kernel + 1e-7, bias, *rest], [kernel[::-1], bias, *rest]):
        model.set_weights(changed)
        digests.add(checkpoints.digest(model.get_weights()))
    assert len(digests) == 3


# how it is kept


def half(self, path):
    path.write_bytes(b"half")
    raise OSError(28, "No space left on device")


def fail(self, path):
    path.write_bytes(b"half")
    raise RuntimeError("Unable to flush file's cached information")


@pytest.mark.parametrize("broken", [half, fail])
def test_a_save_that_fails_leaves_the_earlier_checkpoint(stored, monkeypatch, broken):
    path, model, expected = stored
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    monkeypatch.setattr(keras.Model, "save_weights", broken)
    with pytest.raises(OSError, match=r"No space left|Unable to flush"):
        checkpoints.save(model, path, {**expected, "test_accuracy": 0.5})
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_whole_card_keeps_its_versions_and_gets_the_digest_of_the_weights(stored):
    path, model, _ = stored
    card = {"versions": {"keras": "3.10"}, "sha256": "of other weights"}
    checkpoints.save(model, path, card)
    written = json.loads(checkpoints.card_path(path).read_text())
    assert written == {
        "versions": {"keras": "3.10"},
        "sha256": checkpoints.digest(model.get_weights()),
    }


def test_a_network_that_was_trained_a_moment_ago_takes_a_checkpoint(stored):
    """It has an optimizer, of which no checkpoint has the state."""
    path, model, expected = stored
    trained = build(seed=1)
    trained.compile("adam", "sparse_categorical_crossentropy")
    trained.optimizer.build(trained.trainable_variables)
    assert checkpoints.load(trained, path, expected)
    assert same_weights(trained, model)


def test_a_checkpoint_is_replaced_as_a_whole(stored):
    """A session that reads the earlier file meanwhile goes on reading that one."""
    path, _, expected = stored
    files = path, checkpoints.card_path(path)
    links = [file.with_name(f"link-{file.name}") for file in files]
    for file, link in zip(files, links, strict=True):
        os.link(file, link)
    before = [link.read_bytes() for link in links]
    checkpoints.save(build(seed=1), path, {**expected, "test_accuracy": 0.5})
    assert [link.read_bytes() for link in links] == before
    assert [file.read_bytes() for file in files] != before


def test_arrays_ship_in_half_precision_and_load_only_as_their_card_says(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path)
    with pytest.raises(FileNotFoundError, match="mnist-own"):
        checkpoints.load_arrays("mnist-own")
    arrays = [np.full((3, 2), 0.1, np.float32), np.arange(4.0)]
    checkpoints.ship_arrays("mnist-own", arrays, {"minutes": 3})
    loaded, card = checkpoints.load_arrays("mnist-own")
    assert card["minutes"] == 3
    for array, found in zip(arrays, loaded, strict=True):
        np.testing.assert_array_equal(found, array.astype(np.float16))
    file = tmp_path / "mnist-own.json"
    file.write_text(json.dumps(card | {"sha256": "0"}), encoding="utf-8")
    with pytest.raises(RuntimeError, match="does not hold the arrays of its card"):
        checkpoints.load_arrays("mnist-own")


def test_a_disk_that_is_full_leaves_the_arrays_that_were_there(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path)
    checkpoints.ship_arrays("mnist-own", [np.zeros(3)], {})
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def full(path, **arrays):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoints.ship_arrays("mnist-own", [np.ones(3)], {})
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

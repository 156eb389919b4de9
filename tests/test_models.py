import dataclasses
import json
import re

import numpy as np
import pytest

from helpers import checkpoints, data, models
from helpers.backend import keras, tf
from helpers.course import train as command
from helpers.models import Network, load_or_train, load_to_invert
from helpers.training import Recipe, train

pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")

PARAMETERS = {
    "reference": 225_034,
    "no_conv2": 693_962,
    "no_pooling": 1_199_882,
    "dense_64": 121_930,
    "half_filters": 108_618,
    "no_dense": 34_826,
    "padded": 206_922,
}


def build_linear(shape, classes):
    inputs = keras.Input(shape)
    outputs = keras.layers.Dense(classes, activation="softmax")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, outputs)


LINEAR = Network("linear", build_linear, Recipe(epochs=1, batch_size=30, learning_rate=0.01))


@pytest.fixture
def eager():
    """Train without compiling, which takes longer than the few steps of the tests here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def small(sample, tmp_path, monkeypatch, eager):
    """Sixty training images, and folders of its own that do not exist yet."""
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "data" / "models"))
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path / "pretrained")
    return dataclasses.replace(
        sample,
        x_train=sample.x_train[:60],
        y_train=sample.y_train[:60],
        x_test=sample.x_test[:50],
        y_test=sample.y_test[:50],
    )


def put_pretrained(model, network, dataset, **changes):
    """Make `model` the pretrained network of a dataset, with a card that may lie."""
    card = checkpoints.wanted(model, network, dataset, 0) | {"test_accuracy": 0.5} | changes
    checkpoints.save(model, checkpoints.pretrained_path(network, dataset, 0), card)


def kernel(model):
    return model.get_weights()[0]


# networks


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_network_has_the_parameters_counted_by_hand(name):
    assert models.ABLATIONS[name]().count_params() == PARAMETERS[name]


def test_the_reference_network_has_the_shapes_of_the_report():
    shapes = [layer.output.shape[1:] for layer in models.build_cnn().layers[1:]]
    assert shapes == [
        (26, 26, 32),
        (13, 13, 32),
        (11, 11, 64),
        (5, 5, 64),
        (1600,),
        (128,),
        (10,),
    ]


@pytest.mark.parametrize("name", ["cnn", "judge_cnn", "judge_mlp", *models.ABLATIONS])
@pytest.mark.parametrize(("shape", "classes"), [((28, 28, 1), 10), ((32, 32, 3), 4)])
def test_every_network_returns_probabilities_for_images_of_any_shape(name, shape, classes):
    model = models.NETWORKS[name].build(shape, classes)
    p = models.predict(model, np.random.default_rng(0).random((2, *shape)))
    assert p.shape == (2, classes) and p.dtype == np.float32
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5)


def test_a_network_stands_under_its_own_name_and_ablations_are_trained_alike():
    assert all(name == network.name for name, network in models.NETWORKS.items())
    recipes = {models.NETWORKS[name].recipe for name in models.ABLATIONS}
    assert len(recipes) == 1
    assert all(models.NETWORKS[name].build is build for name, build in models.ABLATIONS.items())


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        *(({"name": name}, "name must be made of letters") for name in ("a/b", "", "..", None, 3)),
        *(({"dataset": name}, "dataset must be made of letters") for name in ("a b", None)),
        ({"build": None}, "build must be callable"),
        ({"recipe": {"epochs": 1}}, "recipe must be a Recipe"),
    ],
)
def test_a_network_names_what_it_cannot_be_made_of(changed, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(LINEAR, **changed)


# predict, accuracy


def brightness(images):
    bright = np.asarray(images).mean(axis=(1, 2, 3))
    return np.stack([1 - bright, bright], axis=1)


def test_predictions_come_in_the_order_of_the_images_whatever_their_number():
    x = np.linspace(0, 1, 1201).reshape(-1, 1, 1, 1)
    assert np.allclose(models.predict(brightness, x)[:, 1], x.ravel(), atol=1e-6)


def test_accuracy_is_the_share_of_images_that_are_right():
    x = np.array([0.1, 0.2, 0.9, 0.8]).reshape(-1, 1, 1, 1)
    assert models.accuracy(brightness, x, [0, 1, 1, 1]) == 0.75
    assert models.accuracy(brightness, x, np.uint8([1, 1, 0, 0])) == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"y": np.zeros((3, 1), int)}, "y must be 3 integers, one for each image"),
        ({"y": np.zeros(2, int)}, "y must be 3 integers"),
        ({"y": np.zeros(3)}, "y must be 3 integers"),
        ({"y": [True, False, True]}, "y must be 3 integers"),
        ({"y": [0, 1, 2]}, r"y must lie in 0\.\.1"),
        ({"y": None}, "y must be 3 integers"),
        ({"x": np.full((3, 2, 2, 1), 255)}, r"values in \[0, 1\], .*divide by 255"),
        ({"x": np.full((3, 2, 2, 1), np.nan)}, "x must hold finite values"),
        ({"x": np.full((3, 2, 2, 1), np.inf)}, "x must hold finite values"),
        ({"x": np.zeros((3, 2, 2))}, "x must have shape"),
        ({"x": np.zeros((0, 2, 2, 1))}, "x must have shape"),
        ({"x": "images"}, "x must hold numbers"),
        ({"x": None}, "x must hold numbers"),
        ({"model": None}, "model must be callable"),
        ({"model": "cnn"}, "model must be callable"),
        ({"model": lambda x: np.ones((len(x), 2))}, "outputs of model must be probabilities"),
        ({"model": lambda x: np.full((len(x), 2), np.nan)}, "outputs of model must be"),
        ({"model": lambda x: np.full((1, 2), 0.5)}, "one row for each of 3 images, not 1"),
    ],
)
def test_what_cannot_be_predicted_is_named(changed, message):
    arguments = {"model": brightness, "x": np.zeros((3, 2, 2, 1)), "y": [0, 1, 0]} | changed
    with pytest.raises(ValueError, match=message):
        models.accuracy(**arguments)
    if "y" not in changed:
        with pytest.raises(ValueError, match=message):
            models.predict(arguments["model"], arguments["x"])


def test_images_of_another_shape_than_the_networks_are_named():
    with pytest.raises(ValueError, match=r"x must have shape \(n, 28, 28, 1\)"):
        models.predict(models.build_cnn(), np.zeros((3, 32, 32, 3)))


# load_or_train


def test_a_network_is_trained_once_and_then_loaded(small, capsys):
    first = load_or_train(LINEAR, small)
    out = capsys.readouterr().out
    score = models.accuracy(first, small.x_test, small.y_test)
    assert re.fullmatch(
        rf"linear, seed 0: trained in \d+ s; test accuracy {100 * score:.2f} %\n", out
    )
    second = load_or_train(LINEAR, small)
    assert capsys.readouterr().out == (
        f"linear, seed 0: loaded from data/models; test accuracy {100 * score:.2f} %\n"
    )
    assert np.array_equal(kernel(first), kernel(second))


def test_its_model_card_says_what_it_is(small):
    model = load_or_train(LINEAR, small, seed=3)
    path = checkpoints.trained_path(LINEAR, small, 3)
    card = json.loads(checkpoints.card_path(path).read_text())
    assert card.pop("versions") == {"tensorflow": tf.__version__, "keras": keras.__version__}
    assert card == {
        "network": "linear",
        "dataset": "mnist",
        "images": 60,
        "seed": 3,
        "parameters": 7850,
        "recipe": LINEAR.recipe.settings(),
        "test_accuracy": round(models.accuracy(model, small.x_test, small.y_test), 4),
        "sha256": checkpoints.digest(model.get_weights()),
    }


def test_it_is_trained_with_its_recipe_on_the_seed_that_is_asked_for(small, monkeypatch, capsys):
    """The same as building and training by hand: the seed decides weights and shuffling."""
    keras.utils.set_random_seed(4)
    expected = build_linear((28, 28, 1), 10)
    train(expected, small.x_train, small.y_train, LINEAR.recipe, seed=4)
    assert np.array_equal(kernel(load_or_train(LINEAR, small, seed=4)), kernel(expected))
    monkeypatch.setenv("COURSE_SEED", "4")
    capsys.readouterr()
    assert np.array_equal(kernel(load_or_train(LINEAR, small)), kernel(expected))
    assert capsys.readouterr().out.startswith("linear, seed 4: loaded")


def test_another_seed_recipe_or_number_of_images_is_another_network(small, capsys):
    fewer = dataclasses.replace(small, x_train=small.x_train[:59], y_train=small.y_train[:59])
    other = dataclasses.replace(LINEAR, recipe=Recipe(epochs=1, batch_size=20))
    load_or_train(LINEAR, small, seed=0)
    for network, dataset, seed in ((LINEAR, small, 1), (other, small, 0), (LINEAR, fewer, 0)):
        load_or_train(network, dataset, seed)
    assert capsys.readouterr().out.count("trained in") == 4


def test_shared_networks_are_known_by_name(small, monkeypatch):
    monkeypatch.setitem(models.NETWORKS, "linear", LINEAR)
    by_name = load_or_train("linear", small)
    assert np.array_equal(kernel(by_name), kernel(load_or_train(LINEAR, small)))


def test_colour_images_and_other_classes_can_be_trained_on(small):
    rng = np.random.default_rng(0)
    x, y = rng.random((24, 32, 32, 3), np.float32), np.arange(24) % 4
    colour = dataclasses.replace(
        small, name="colour", x_train=x, y_train=y, x_test=x, y_test=y, class_names=tuple("abcd")
    )
    recipe = Recipe(epochs=1, affine=True, noise=0.1, attack_radius=0.5, attack_steps=1)
    model = load_or_train(Network("half", models.ABLATIONS["half_filters"], recipe), colour)
    assert models.predict(model, x).shape == (24, 4)


def test_after_a_load_that_failed_half_way_training_starts_afresh(small, capsys):
    """The first layers of the file fit and are loaded, the last does not."""

    def build(shape, classes, last=None):
        inputs = keras.Input(shape)
        x = keras.layers.Dense(3)(keras.layers.Flatten()(inputs))
        return keras.Model(inputs, keras.layers.Dense(last or classes, activation="softmax")(x))

    network = dataclasses.replace(LINEAR, build=build)
    expected = kernel(load_or_train(network, small))
    path = checkpoints.trained_path(network, small, 0)
    keras.utils.set_random_seed(99)
    foreign = build((28, 28, 1), 10, last=9)
    foreign.save_weights(path)
    capsys.readouterr()
    model = load_or_train(network, small)
    out = capsys.readouterr().out
    assert f"{path.name} is not used" in out and "trained in" in out
    assert np.array_equal(kernel(model), expected)
    load_or_train(network, small)
    assert "loaded from data/models" in capsys.readouterr().out


def test_a_folder_that_cannot_be_written_is_reported(small, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "file"))
    load_or_train(LINEAR, small)
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        "The trained network could not be kept",
        "linear, seed 0",
    ]


def test_a_training_that_keras_cut_short_is_not_kept(small):
    network = dataclasses.replace(LINEAR, recipe=Recipe(epochs=2, batch_size=20))
    keras.config.set_max_epochs(1)
    try:
        with pytest.raises(RuntimeError, match="KERAS_MAX_EPOCHS"), pytest.warns(UserWarning):
            load_or_train(network, small)
    finally:
        keras.config.set_max_epochs(None)
    assert not checkpoints.trained_path(network, small, 0).parent.exists()


# pretrained networks


def test_a_pretrained_network_is_for_the_full_data_only(small, capsys):
    """The test images of the sample may be among the images that it was trained on."""
    pretrained = build_linear((28, 28, 1), 10)
    full = dataclasses.replace(small, profile="full")
    put_pretrained(pretrained, LINEAR, full)
    assert np.array_equal(kernel(load_or_train(LINEAR, full)), kernel(pretrained))
    assert "loaded from data/pretrained" in capsys.readouterr().out
    load_or_train(LINEAR, small)
    assert "trained in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"images": 60_000}, "images: 60000, expected 60"),
        ({"test_accuracy": "high"}, "test_accuracy must be a finite number"),
    ],
)
def test_a_pretrained_network_that_does_not_fit_is_named_and_not_used(
    small, capsys, changes, reason
):
    full = dataclasses.replace(small, profile="full")
    put_pretrained(build_linear((28, 28, 1), 10), LINEAR, full, **changes)
    load_or_train(LINEAR, full)
    named, trained = capsys.readouterr().out.splitlines()
    assert named.startswith("mnist-linear.weights.h5 is not used: ") and reason in named
    assert "trained in" in trained


def test_after_a_damaged_checkpoint_the_pretrained_network_is_next(small, capsys):
    full = dataclasses.replace(small, profile="full")
    pretrained = build_linear((28, 28, 1), 10)
    put_pretrained(pretrained, LINEAR, full)
    path = checkpoints.trained_path(LINEAR, full, 0)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    assert np.array_equal(kernel(load_or_train(LINEAR, full)), kernel(pretrained))
    named, loaded = capsys.readouterr().out.splitlines()
    assert named.startswith(f"{path.name} is not used")
    assert "loaded from data/pretrained" in loaded


def test_on_the_sample_a_network_to_invert_is_the_pretrained_one(small, capsys):
    pretrained = build_linear((28, 28, 1), 10)
    put_pretrained(pretrained, LINEAR, small, images=60_000)
    assert np.array_equal(kernel(load_to_invert(LINEAR, small, seed=5)), kernel(pretrained))
    assert capsys.readouterr().out == (
        "linear, seed 0: loaded from data/pretrained, trained on 60,000 images; "
        "its card says test accuracy 50.00 %\n"
    )


@pytest.mark.parametrize("card", [None, {"images": "60000"}])
def test_without_a_usable_pretrained_network_one_to_invert_is_trained(small, capsys, card):
    if card is not None:
        put_pretrained(build_linear((28, 28, 1), 10), LINEAR, small, **card)
    load_to_invert(LINEAR, small, seed=2)
    *named, trained = capsys.readouterr().out.splitlines()
    assert len(named) == (card is not None) and all("is not used" in line for line in named)
    assert trained.startswith("linear, seed 2: trained in")


def test_with_the_full_data_a_network_to_invert_is_an_ordinary_one(small, capsys):
    full = dataclasses.replace(small, profile="full")
    load_to_invert(LINEAR, full, seed=2)
    assert capsys.readouterr().out.startswith("linear, seed 2: trained in")


@pytest.mark.parametrize("function", [load_or_train, load_to_invert])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"network": "resnet"}, "network must be one of .*, not 'resnet'"),
        ({"network": None}, "network must be one of"),
        ({"network": build_linear}, "network must be one of"),
        ({"network": ["cnn"]}, "network must be one of"),
        ({"dataset": "mnist"}, "dataset must be what data.load returns"),
        ({"dataset": None}, "dataset must be what data.load returns"),
        *(
            ({"seed": seed}, "seed must be a whole number")
            for seed in (True, -1, 0.5, "0", 2**32, [0], np.nan)
        ),
    ],
)
def test_what_cannot_be_loaded_is_named(small, function, changed, message):
    arguments = {"network": LINEAR, "dataset": small, "seed": 0} | changed
    with pytest.raises(ValueError, match=message):
        function(**arguments)


def test_data_without_classes_and_networks_that_do_not_fit_them_are_named(small):
    with pytest.raises(ValueError, match="dataset must have classes; mnist has none"):
        load_or_train(LINEAR, dataclasses.replace(small, class_names=None))
    for build in (lambda shape, classes: None, lambda shape, classes: build_linear(shape, 7)):
        network = dataclasses.replace(LINEAR, build=build)
        with pytest.raises(ValueError, match=r"'linear' must build a keras\.Model that returns 10"):
            load_or_train(network, small)


# the pretrained networks of this repository

PRETRAINED = sorted(checkpoints.PRETRAINED.glob("*.weights.h5"))
# those of the chapters' rooms, too
NETWORKS = {(network.dataset, network.name): network for network in command.networks()}
BANDS = {"mnist": (0.97, 1), "fashion_mnist": (0.8, 0.96)}  # test accuracies of the full data


@pytest.mark.parametrize("weights", PRETRAINED, ids=lambda path: path.name)
def test_every_pretrained_network_is_verified_and_fits_the_code(weights, capsys):
    card = json.loads(checkpoints.card_path(weights).read_text())
    network = NETWORKS[card["dataset"], card["network"]]
    sample = data.load(card["dataset"], "lite")
    model = network.build(models.DIGIT, 10)
    expected = checkpoints.wanted(model, network, sample, card["seed"])
    expected["images"] = 60_000
    capsys.readouterr()
    assert weights == checkpoints.pretrained_path(network, sample, card["seed"])
    assert checkpoints.load(model, weights, expected) == card
    assert capsys.readouterr().out == ""
    low, high = BANDS[card["dataset"]]
    assert low < card["test_accuracy"] < high
    assert f"train {network.name} --seeds {card['seed']} --ship" in card["command"]
    # far from what the images of the test set say, but no chance: 0.1
    right = models.accuracy(model, sample.x_test[:100], sample.y_test[:100])
    assert right > card["test_accuracy"] - 0.1


def test_pretrained_networks_stay_small():
    sizes = [path.stat().st_size for path in PRETRAINED]
    assert len(sizes) >= 14
    assert max(sizes) < 5e6
    assert sum(sizes) < 25e6


@pytest.mark.parametrize("network", NETWORKS.values(), ids=map("-".join, NETWORKS))
def test_a_network_that_is_asked_is_not_in_training(network):
    """Keras's random layers are at work wherever nobody says ``training=False``."""
    model = network.build(models.DIGIT, 10)
    images = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    np.testing.assert_array_equal(model(images), model(images, training=False))

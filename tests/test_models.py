import dataclasses
import json

import numpy as np
import pytest

import helpers
from helpers import models

PARAMETERS = {
    "reference": 225_034,
    "no_conv2": 693_962,
    "no_pooling": 1_199_882,
    "dense_64": 121_930,
    "half_filters": 108_618,
    "no_dense": 34_826,
    "padded": 206_922,
}


@pytest.fixture
def small(sample, tmp_path, monkeypatch):
    """Six hundred images, a short recipe, and a models folder of its own."""
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "models"))
    monkeypatch.setitem(models.RECIPES, "no_dense", models.Recipe(epochs=1, batch_size=100))
    return dataclasses.replace(
        sample,
        x_train=sample.x_train[:600],
        y_train=sample.y_train[:600],
        x_test=sample.x_test[:50],
        y_test=sample.y_test[:50],
    )


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


@pytest.mark.parametrize("name", models.RECIPES)
def test_every_network_returns_probabilities(name, sample):
    p = models.predict(models.BUILDERS[name](), sample.x_test[:7])
    assert p.shape == (7, 10)
    assert np.allclose(p.sum(axis=1), 1, atol=1e-5)


def test_the_padded_network_learns_from_its_logits(sample):
    model = models.ABLATIONS["padded"]()
    before = models.accuracy(model, sample.x_test, sample.y_test)
    models.train(model, sample.x_train, sample.y_train, models.Recipe(epochs=1), seed=0)
    assert models.accuracy(model, sample.x_test, sample.y_test) > before + 0.3


def test_the_same_seed_gives_the_same_weights(small):
    def trained(seed):
        import keras

        keras.utils.set_random_seed(seed)
        model = models.BUILDERS["no_dense"]()
        models.train(model, small.x_train, small.y_train, models.RECIPES["no_dense"], seed=seed)
        return np.concatenate([w.ravel() for w in model.get_weights()])

    assert np.array_equal(trained(0), trained(0))
    assert not np.array_equal(trained(0), trained(1))


def test_the_history_has_validation_values_only_with_a_validation_part(small):
    for validation in (True, False):
        model = models.BUILDERS["no_dense"]()
        recipe = models.Recipe(epochs=2, validation=validation)
        run = models.train(model, small.x_train, small.y_train, recipe, seed=0)
        assert ("val_accuracy" in run.history) == validation
        assert len(run.history["loss"]) == 2


def test_the_warp_moves_images_only_in_training(sample):
    layer = models.warp_layer(**models.WARP)
    images = sample.x_train[:16]
    assert np.array_equal(layer(images, training=False), images)
    warped = np.asarray(layer(images, training=True))
    assert warped.shape == images.shape
    assert not np.allclose(warped, images)
    # moved by a few pixels, not torn apart: about as much ink as before
    assert np.allclose(warped.sum(axis=(1, 2, 3)), images.sum(axis=(1, 2, 3)), rtol=0.5)
    assert warped.min() >= 0 and warped.max() <= 1


def test_the_warp_without_any_change_is_the_identity(sample):
    layer = models.warp_layer(rotation=0, shift=0, zoom=0, shear=0)
    images = sample.x_train[:4]
    assert np.allclose(layer(images, training=True), images, atol=1e-5)


def test_an_attack_stays_near_its_image_and_raises_the_loss(sample, linear_model):
    tf = helpers.tensorflow()
    x, y = sample.x_test[:40], sample.y_test[:40]
    radius = np.repeat([0.0, 0.5, 1.5, 3.0], 10).astype(np.float32).reshape(40, 1, 1, 1)
    moved = models.perturb(linear_model[0], tf.constant(x), y, radius, steps=4).numpy()
    length = np.linalg.norm((moved - x).reshape(40, -1), axis=1)
    assert np.all(length <= radius.ravel() + 1e-4)
    assert np.all(length[10:] > 0.5 * radius.ravel()[10:])
    assert moved.min() >= 0 and moved.max() <= 1
    p_before, p_after = (
        models.predict(linear_model[0], images)[np.arange(40), y] for images in (x, moved)
    )
    assert np.all(p_after[10:] < p_before[10:])
    assert np.array_equal(p_after[:10], p_before[:10])


def test_adversarial_training_makes_attacks_harder(sample):
    def accuracy_under_attack(**settings):
        keras.utils.set_random_seed(0)
        model = models.BUILDERS["no_dense"]()
        recipe = models.Recipe(epochs=4, learning_rate=3e-3, validation=False, **settings)
        models.train(model, sample.x_train[:2000], sample.y_train[:2000], recipe, seed=0)
        attacked = models.perturb(model, tf.constant(x), y, radius=2.0).numpy()
        return models.accuracy(model, x, y), models.accuracy(model, attacked, y)

    tf = helpers.tensorflow()
    import keras

    x, y = sample.x_test[:300], sample.y_test[:300]
    clean, attacked = accuracy_under_attack()
    robust_clean, robust_attacked = accuracy_under_attack(attack_radius=4.0, attack_steps=2)
    assert robust_attacked > attacked + 0.2
    assert robust_clean > clean - 0.1


def test_training_noise_leaves_predictions_without_noise(sample):
    model = models.BUILDERS["no_dense"]()
    recipe = models.Recipe(epochs=1, noise=0.4, validation=False)
    models.train(model, sample.x_train[:200], sample.y_train[:200], recipe, seed=0)
    x = sample.x_test[:5]
    assert np.array_equal(models.predict(model, x), models.predict(model, x))


def test_every_setting_of_a_recipe_gives_another_file(sample, monkeypatch):
    paths = set()
    for recipe in (
        models.Recipe(1),
        models.Recipe(2),
        models.Recipe(1, noise=0.1),
        models.Recipe(1, attack_radius=1.0),
        models.Recipe(1, warp=True),
    ):
        monkeypatch.setitem(models.RECIPES, "cnn", recipe)
        paths.add(models.kept_path("cnn", sample, 0))
    monkeypatch.setitem(models.WARP, "shift", 0.08)
    paths.add(models.kept_path("cnn", sample, 0))
    assert len(paths) == 6


def test_a_network_is_trained_once_and_then_loaded(small, capsys):
    first = models.load_or_train("no_dense", small)
    assert "trained in" in capsys.readouterr().out
    second = models.load_or_train("no_dense", small)
    assert "loaded from data/models" in capsys.readouterr().out
    assert np.array_equal(models.predict(first, small.x_test), models.predict(second, small.x_test))


def test_another_seed_or_another_recipe_is_another_network(small, monkeypatch, capsys):
    models.load_or_train("no_dense", small, seed=0)
    models.load_or_train("no_dense", small, seed=1)
    monkeypatch.setitem(models.RECIPES, "no_dense", models.Recipe(epochs=1, batch_size=50))
    models.load_or_train("no_dense", small, seed=0)
    assert capsys.readouterr().out.count("trained in") == 3


@pytest.mark.parametrize("damage", [lambda content: content[:1000], lambda content: b"", None])
def test_a_damaged_checkpoint_is_reported_and_trained_again(small, capsys, damage):
    models.load_or_train("no_dense", small)
    path = models.kept_path("no_dense", small, 0)
    if damage is None:  # whole, but of another network
        models.BUILDERS["padded"]().save_weights(path)
    else:
        path.write_bytes(damage(path.read_bytes()))
    capsys.readouterr()
    models.load_or_train("no_dense", small)
    out = capsys.readouterr().out
    assert f"{path.name} does not load" in out
    assert "trained in" in out


def test_a_folder_that_cannot_be_written_is_reported(small, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "file"))
    models.load_or_train("no_dense", small)
    out = capsys.readouterr().out
    assert "could not be kept" in out
    assert "trained in" in out


def test_an_interrupted_save_leaves_nothing_behind(small, tmp_path, monkeypatch):
    import keras

    def half(self, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save_weights", half)
    models.load_or_train("no_dense", small)
    assert list((tmp_path / "models" / "lite").iterdir()) == []


@pytest.mark.parametrize("profile", ["lite", "full"])
def test_a_shipped_network_is_for_all_images_only(small, monkeypatch, capsys, profile):
    """Neither on the sample nor on another part: its test images may have been trained on."""
    monkeypatch.setattr(models, "_card", lambda *arguments: {"images": 60_000})
    models.load_or_train("no_dense", dataclasses.replace(small, profile=profile))
    assert "trained in" in capsys.readouterr().out


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"seed": 0}'])
def test_a_damaged_card_vouches_for_nothing(tmp_path, text):
    weights = tmp_path / "mnist-cnn.weights.h5"
    models.card_path(weights).write_text(text)
    assert models._card(weights, models.RECIPES["cnn"], 0) is None


SHIPPED = sorted(models.PRETRAINED.glob("*.weights.h5"))


@pytest.mark.parametrize("weights", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_network_has_a_card_that_fits_the_code(weights):
    card = json.loads(models.card_path(weights).read_text())
    name = card["network"]
    assert card["recipe"] == models.RECIPES[name].settings()
    model = models.BUILDERS[name]()
    model.load_weights(weights)
    assert card["parameters"] == model.count_params()
    assert weights.stat().st_size < 5e6
    assert 0.97 < card["test_accuracy"] < 1


def test_shipped_networks_together_stay_small():
    assert sum(path.stat().st_size for path in SHIPPED) < 20e6


def test_on_the_sample_a_network_to_invert_is_the_shipped_one(sample, small, capsys):
    model = models.load_to_invert("cnn", sample)
    assert "its card says test accuracy" in capsys.readouterr().out
    expected = models.build_cnn()
    expected.load_weights(models.shipped_path("cnn", sample, 0))
    x = sample.x_test[:5]
    assert np.array_equal(models.predict(model, x), models.predict(expected, x))
    # a network that is not shipped in this form is trained instead
    models.load_to_invert("no_dense", small)
    assert "trained in" in capsys.readouterr().out


def test_an_unknown_network_is_named(sample):
    with pytest.raises(ValueError, match=r"name must be one of .*, not 'resnet'"):
        models.load_or_train("resnet", sample)
    with pytest.raises(ValueError, match=r"name must be one of .*, not 'resnet'"):
        models.load_to_invert("resnet", sample)

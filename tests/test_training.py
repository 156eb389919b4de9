import dataclasses
import json

import numpy as np
import pytest

from helpers import models, training
from helpers.alterations import on_canvas
from helpers.attacks import pgd_attack
from helpers.backend import keras, tf
from helpers.training import RandomAffine, RandomCanvas, Recipe, train

# tf.data compiles its own functions in any case, and says so
pytestmark = pytest.mark.filterwarnings("ignore:Even though the `tf.config")


def build_linear(shape=(4, 4, 1), classes=2, softmax_layer=False):
    """Softmax regression with weights of one seed: a training of it takes half a second."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(shape)
    x = keras.layers.Flatten()(inputs)
    if softmax_layer:
        outputs = keras.layers.Softmax()(keras.layers.Dense(classes)(x))
    else:
        outputs = keras.layers.Dense(classes, activation="softmax")(x)
    return keras.Model(inputs, outputs)


@pytest.fixture
def eager():
    """Train without compiling, which takes longer than the few steps of most tests here."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def trained(x, y, *, seed=0, softmax_layer=False, **settings):
    """Weights of the regression after a training: (kernel, bias)."""
    model = build_linear(x.shape[1:], softmax_layer=softmax_layer)
    plain = {"epochs": 1, "batch_size": 100, "learning_rate": 0.1, "validation": False}
    train(model, x, y, Recipe(**plain | settings), seed=seed)
    return model.get_weights()


def untrained_kernel(shape=(4, 4, 1)):
    return build_linear(shape).get_weights()[0]


BLACK = np.zeros((24, 4, 4, 1), np.float32)
HALVES = np.arange(24) % 2
RANDOM = np.random.default_rng(0).random((24, 4, 4, 1)).astype(np.float32)


# recipes


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("epochs", v) for v in (0, -1, 1.5, True, None, "3", np.nan)),
        *(("batch_size", v) for v in (0, 12.0, False)),
        *(("learning_rate", v) for v in (0, -0.1, np.nan, np.inf, True, "0.1", None, [0.1])),
        *(("warmup_steps", v) for v in (-1, 0.5, True)),
        *(("affine", v) for v in (1, 0, None, "yes", {"shift": 0.1})),
        *(("noise", v) for v in (-0.1, 1.1, np.nan, True, "0")),
        *(("attack_radius", v) for v in (-1, np.nan, np.inf, True, "2")),
        *(("attack_steps", v) for v in (0, 2.5, True)),
        *(("validation", v) for v in (1, 0.1, None)),
        *(("attack_norm", v) for v in ("l1", None, 2)),
        *(("canvas", v) for v in (-1, 56.0, True)),
    ],
)
def test_a_recipe_names_the_field_with_a_bad_value(field, value):
    with pytest.raises(ValueError, match=f"{field} must be"):
        Recipe(**{"epochs": 1} | {field: value})


def test_equal_recipes_have_equal_settings_for_a_key():
    written = Recipe(epochs=np.int64(2), noise=0, learning_rate=np.float32(1), attack_radius=1)
    plain = Recipe(epochs=2, noise=0.0, learning_rate=1.0, attack_radius=1.0)
    assert json.dumps(written.settings()) == json.dumps(plain.settings())


def test_the_settings_hold_the_amounts_of_the_augmentation():
    assert Recipe(1, affine=True).settings()["affine"] == training.AFFINE
    assert Recipe(1).settings()["affine"] is None


def test_settings_that_came_later_leave_the_keys_of_older_recipes_alone():
    assert set(Recipe(1).settings()).isdisjoint({"attack_norm", "canvas"})
    settings = Recipe(1, attack_norm="linf", canvas=56).settings()
    assert (settings["attack_norm"], settings["canvas"]) == ("linf", 56)


# what is trained


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    settings = {"epochs": 2, "batch_size": 8, "noise": 0.2, "affine": True}
    first, again, other = (trained(RANDOM, HALVES, seed=seed, **settings)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_without_a_seed_the_session_decides(eager, monkeypatch):
    monkeypatch.setenv("COURSE_SEED", "5")
    expected = trained(RANDOM, HALVES, seed=5, noise=0.2)[0]
    assert np.array_equal(trained(RANDOM, HALVES, seed=None, noise=0.2)[0], expected)


def test_noise_is_added_to_the_training_images(eager):
    """On black images no weight has a gradient, so that only noise can move one."""
    assert np.array_equal(trained(BLACK, HALVES)[0], untrained_kernel())
    assert np.all(trained(BLACK, HALVES, noise=0.4)[0] != untrained_kernel())


def test_images_are_moved_at_random_in_training(eager):
    """Only weights of pixels that are ever bright have a gradient."""
    x = np.zeros((24, 9, 9, 1), np.float32)
    x[:, 4, 4] = 1
    changed = trained(x, HALVES)[0] != untrained_kernel((9, 9, 1))
    assert changed.any(axis=1).sum() == 1
    changed = trained(x, HALVES, affine=True)[0] != untrained_kernel((9, 9, 1))
    assert 3 < changed.any(axis=1).sum() < 40


def test_images_are_attacked_in_training(eager):
    assert np.any(trained(BLACK, HALVES, attack_radius=1.0)[0] != untrained_kernel())


@pytest.mark.parametrize("n", [2, 60])
def test_the_validation_part_of_a_dataset_is_never_trained_on(n, sample, eager):
    """Bright images stand in one part only: do the weights of their pixels move?"""
    x, y = np.zeros((n, 4, 4, 1), np.float32), np.arange(n) % 2
    dataset = dataclasses.replace(sample, x_train=x, y_train=y)
    (x_fit, _), (x_validation, _) = dataset.split()
    assert len(x_validation) >= 1 and len(x_fit) + len(x_validation) == n
    x_validation[:] = 1
    assert np.array_equal(trained(x, y, validation=True)[0], untrained_kernel())
    x_fit[-1] = 1
    assert not np.array_equal(trained(x, y, validation=True)[0], untrained_kernel())


def test_a_twelfth_is_held_out(sample):
    assert [len(x) for x, _ in sample.split()] == [3666, 334]


def test_validation_values_are_those_of_the_held_out_part(sample, eager):
    dataset = dataclasses.replace(sample, x_train=RANDOM, y_train=HALVES)
    model = build_linear()
    run = train(model, RANDOM, HALVES, Recipe(epochs=2), seed=0)
    assert {key: len(values) for key, values in run.history.items()} == {
        key: 2 for key in ("loss", "accuracy", "val_loss", "val_accuracy")
    }
    held_out = models.accuracy(model, *dataset.split()[1])
    assert run.history["val_accuracy"][-1] == pytest.approx(held_out)
    assert run.seconds > 0
    run = train(model, RANDOM, HALVES, Recipe(epochs=1, validation=False), seed=0)
    assert set(run.history) == {"loss", "accuracy"}


def check_softmax_layer(**settings):
    """A Softmax layer learns what the same network with softmax in its last dense layer learns."""
    expected = trained(RANDOM, HALVES, **settings)[0]
    assert np.allclose(trained(RANDOM, HALVES, softmax_layer=True, **settings)[0], expected, 1e-4)
    assert not np.allclose(expected, untrained_kernel(), atol=1e-2)


def test_a_network_that_ends_in_a_softmax_layer_is_trained_on_its_logits(eager):
    check_softmax_layer()


def test_a_network_that_ends_in_a_softmax_layer_is_attacked_through_its_logits(eager):
    check_softmax_layer(attack_radius=0.5)


@pytest.mark.parametrize("steps", [3, 12])
def test_a_warm_up_longer_than_the_training_leaves_time_to_learn(steps, eager):
    """Adam moves a weight by about the learning rate: 0.1 in the beginning, half in the mean."""
    x = np.ones((steps, 4, 4, 1), np.float32)
    y = np.zeros(steps, int)
    kernel, _ = trained(x, y, batch_size=1, warmup_steps=10_000)
    moved = np.abs(kernel - untrained_kernel()).max()
    assert 0.03 * steps < moved < 0.1 * steps


def test_after_a_warm_up_the_learning_rate_falls_to_nothing(eager):
    x = np.eye(12, dtype=np.float32).reshape(12, 12, 1, 1)
    model = build_linear((12, 1, 1))
    recipe = Recipe(epochs=1, batch_size=1, learning_rate=0.1, warmup_steps=4, validation=False)
    train(model, x, np.zeros(12, int), recipe, seed=0)
    assert float(model.optimizer.learning_rate) < 1e-3
    constant = build_linear((12, 1, 1))
    train(constant, x, np.zeros(12, int), dataclasses.replace(recipe, warmup_steps=0), seed=0)
    assert float(constant.optimizer.learning_rate) == pytest.approx(0.1)


def test_adversarial_training_makes_attacks_harder():
    """Each class has one bright pixel and a hundred faint ones of its own.

    A plain training gives all of them the same weight, so that a small change of all the faint
    ones outweighs the bright one (Tsipras et al., 2019).
    """
    x, y = np.zeros((40, 2, 101, 1), np.float32), np.arange(40) % 2
    x[np.arange(40), y] = 0.03
    x[np.arange(40), y, 0] = 0.8

    def accuracies(**settings):
        model = build_linear((2, 101, 1))
        train(model, x, y, Recipe(5, 4, 0.03, validation=False, **settings), seed=0)
        attacked = pgd_attack(model, x, y, radius=0.35, steps=5)
        return models.accuracy(model, x, y), models.accuracy(model, attacked, y)

    assert accuracies() == (1, 0)
    assert accuracies(attack_radius=1.0) == (1, 1)


def test_in_the_maximum_norm_most_attacks_are_hard_and_grow_in_the_first_quarter(
    eager, monkeypatch
):
    """On grey images nothing is clipped, so that the change shows the radius of each image."""
    seen = []

    def climb(loss, x, radius, steps, norm, start=None):
        assert (steps, norm) == (3, "linf")
        assert np.all(np.abs(start - x) <= radius + 1e-6)
        seen.append(np.ravel(radius))
        return x

    monkeypatch.setattr(training.attacks, "climb", climb)
    grey = np.full((4000, 1, 2, 1), 0.5, np.float32)
    trained(grey, np.zeros(4000, int), batch_size=500, attack_radius=0.3, attack_norm="linf")
    first, second, *rest = seen
    assert first.max() <= 0.15 + 1e-6  # of eight steps, two are the first quarter
    assert 0.25 < second.max() <= 0.3 + 1e-6
    # the root of a uniform number has the mean 2/3
    assert np.mean(rest) == pytest.approx(0.2, abs=0.01)


def test_every_other_image_is_put_on_a_canvas_as_arrays_are(eager):
    """Each placed image is one of those that `on_canvas` makes of it."""
    x = np.random.default_rng(0).random((12, 4, 4, 1)).astype(np.float32)
    placed = RandomCanvas(6)(x, training=True).numpy()
    np.testing.assert_array_equal(placed[::2], x[::2])
    places = [(down / 2, across / 2) for down in range(3) for across in range(3)]
    possible = np.stack([on_canvas(x, 6, place) for place in places])
    errors = np.abs(possible - placed).max(axis=(2, 3, 4))[:, 1::2]
    assert errors.min(axis=0).max() < 1e-6
    assert len(set(errors.argmin(axis=0))) > 1
    np.testing.assert_array_equal(RandomCanvas(6)(x), x)


def test_a_canvas_is_part_of_a_training(eager):
    """Only weights of pixels that are ever bright have a gradient."""
    x = np.zeros((24, 4, 4, 1), np.float32)
    x[:, 0, 0] = 1
    assert (trained(x, HALVES)[0] != untrained_kernel()).any(axis=1).sum() == 1
    assert (trained(x, HALVES, canvas=8)[0] != untrained_kernel()).any(axis=1).sum() > 3


def test_training_noise_is_no_part_of_the_trained_network(eager):
    model = build_linear()
    train(model, RANDOM, HALVES, Recipe(epochs=1, noise=0.4, affine=True), seed=0)
    assert np.array_equal(model(RANDOM, training=True), model(RANDOM, training=False))


def test_images_of_another_shape_and_number_of_classes_are_trained_on():
    x = np.random.default_rng(0).random((12, 5, 7, 3))
    model = build_linear((5, 7, 3), classes=4)
    recipe = Recipe(
        epochs=1, warmup_steps=3, affine=True, noise=0.1, attack_radius=0.5, attack_steps=1
    )
    before = model.get_weights()[0]
    train(model, x, np.arange(12) % 4, recipe, seed=0)
    assert not np.array_equal(model.get_weights()[0], before)


# what is refused


@pytest.mark.parametrize("what", ["max_epochs", "max_steps_per_epoch"])
def test_a_training_that_keras_cuts_short_is_no_training(what, eager):
    """As the environment variables KERAS_MAX_EPOCHS and KERAS_MAX_STEPS_PER_EPOCH do."""
    getattr(keras.config, f"set_{what}")(1)
    try:
        with (
            pytest.raises(RuntimeError, match="unset KERAS_MAX_EPOCHS"),
            pytest.warns(UserWarning, match="Limiting"),
        ):
            trained(RANDOM, HALVES, epochs=2, batch_size=12)
    finally:
        getattr(keras.config, f"set_{what}")(None)


def test_a_training_that_diverges_is_no_training(eager):
    with pytest.raises(RuntimeError, match=r"diverged: its loss became .* smaller learning_rate"):
        trained(RANDOM, HALVES, epochs=3, learning_rate=1e38)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": lambda x: x}, "model must be a keras.Model"),
        ({"x": RANDOM * 255}, "x must hold values in .*divide by 255"),
        ({"x": np.full_like(RANDOM, np.nan)}, "x must hold finite values"),
        ({"x": RANDOM[:, :3]}, r"x must have shape \(n, 4, 4, 1\)"),
        ({"x": RANDOM[:1], "y": HALVES[:1]}, "x must hold 2 images or more"),
        ({"y": HALVES[:, None]}, "y must be 24 integers"),
        ({"y": HALVES + 1}, r"y must lie in 0\.\.1"),
        ({"y": HALVES.astype(float)}, "y must be 24 integers"),
        ({"recipe": {"epochs": 1}}, "recipe must be a Recipe"),
        ({"seed": True}, "seed must be a whole number"),
        ({"seed": -1}, "seed must be a whole number"),
        ({"seed": 0.5}, "seed must be a whole number"),
        ({"seed": 2**32}, "seed must be a whole number"),
    ],
)
def test_what_cannot_be_trained_is_named(changed, message):
    arguments = {"x": RANDOM, "y": HALVES, "recipe": Recipe(epochs=1), "seed": 0}
    arguments["model"] = build_linear()
    with pytest.raises(ValueError, match=message):
        train(**arguments | changed)


def test_a_network_without_softmax_is_refused():
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))
    with pytest.raises(ValueError, match="the outputs of model must be probabilities"):
        train(model, RANDOM, HALVES, Recipe(epochs=1), seed=0)


# random affine augmentation

STILL = {"rotation": 0, "shift": 0, "zoom": 0, "shear": 0}


def moved_pixel(at, shape, **amounts):
    """Where 200 random transforms put the middle of a bright spot: its offset from the centre."""
    height, width = shape
    y, x = np.mgrid[:height, :width]
    spot = np.exp(-((x - at[1]) ** 2 + (y - at[0]) ** 2) / 2).astype(np.float32)
    images = np.repeat(spot[None, ..., None], 200, axis=0)
    keras.utils.set_random_seed(0)
    moved = np.asarray(RandomAffine(**STILL | amounts)(images, training=True))[..., 0]
    moved = moved / moved.sum(axis=(1, 2), keepdims=True)
    middle = (height - 1) / 2, (width - 1) / 2
    return (moved * (x - middle[1])).sum(axis=(1, 2)), (moved * (y - middle[0])).sum(axis=(1, 2))


def test_images_are_shifted_by_a_share_of_each_side():
    dx, dy = moved_pixel((10, 20), (21, 41), shift=0.1)
    assert 3.5 < np.abs(dx).max() < 4.2
    assert 1.7 < np.abs(dy).max() < 2.2
    assert abs(dx.mean()) < 0.7 and abs(dy.mean()) < 0.4
    assert abs(np.corrcoef(dx, dy)[0, 1]) < 0.3


def test_images_are_rotated_about_their_centre():
    dx, dy = moved_pixel((10, 15), (21, 31), rotation=30)
    assert np.allclose([dx, dy], 0, atol=0.1)
    dx, dy = moved_pixel((10, 25), (21, 31), rotation=30)
    angle = np.degrees(np.arctan2(dy, dx))
    assert np.allclose(np.hypot(dx, dy), 10, atol=0.2)
    assert 27 < angle.max() < 31 and -31 < angle.min() < -27


def test_images_are_zoomed_in_each_direction_on_its_own():
    dx, dy = moved_pixel((20, 25), (31, 31), zoom=0.2)
    # 10 and 5 pixels from the centre, divided by a factor from 0.8 to 1.2
    assert 8.1 < dx.min() < 8.7 and 11.8 < dx.max() < 12.7
    assert 4.0 < dy.min() < 4.4 and 5.8 < dy.max() < 6.4
    assert abs(np.corrcoef(dx, dy)[0, 1]) < 0.3


def test_images_are_sheared():
    dx, dy = moved_pixel((15, 25), (31, 31), shear=0.2)
    assert np.abs(dy).max() > 1.5
    assert np.abs(dx - 10).max() < 0.6


def test_each_image_of_a_batch_is_moved_by_its_own_amounts_only_in_training(sample):
    layer = RandomAffine(**training.AFFINE)
    images = np.repeat(sample.x_train[:1], 16, axis=0)
    assert np.array_equal(layer(images, training=False), images)
    moved = np.asarray(layer(images, training=True))
    assert moved.shape == images.shape
    assert len(np.unique(moved.reshape(16, -1), axis=0)) == 16
    # moved by a few pixels, not torn apart: about as much ink as before
    assert np.allclose(moved.sum(axis=(1, 2, 3)), images.sum(axis=(1, 2, 3)), rtol=0.5)
    assert moved.min() >= 0 and moved.max() <= 1


@pytest.mark.parametrize("shape", [(28, 28, 1), (20, 16, 1), (32, 32, 3)])
def test_without_any_amount_images_stay_as_they_are(shape):
    images = np.random.default_rng(0).random((4, *shape)).astype(np.float32)
    assert np.allclose(RandomAffine(**STILL)(images, training=True), images, atol=1e-5)


@pytest.mark.parametrize("name", STILL)
@pytest.mark.parametrize("value", [-1, 1e30, np.nan, True, None, "5"])
def test_amounts_out_of_range_are_named(name, value):
    with pytest.raises(ValueError, match=f"{name} must be a finite number"):
        RandomAffine(**STILL | {name: value})

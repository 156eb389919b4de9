import gc
import weakref

import numpy as np
import pytest

from helpers import attacks, models
from helpers.attacks import climb, fgsm_attack, pgd_attack, square_attack
from helpers.backend import keras, tf


@pytest.fixture
def digits(sample):
    return sample.x_test[:40], sample.y_test[:40]


def gradient_by_hand(linear_model, x, y):
    """Gradient of the cross-entropy of a softmax regression: W (p - one-hot)."""
    _, weights, bias = linear_model
    logits = x.reshape(len(x), -1) @ weights + bias
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return ((p - np.eye(10)[y]) @ weights.T).reshape(x.shape)


def loss(model, x, y):
    return -np.log(models.predict(model, x)[np.arange(len(x)), y])


def test_fgsm_goes_the_whole_radius_along_the_sign_of_the_gradient(linear_model, digits):
    x, y = digits
    expected = np.clip(x + 0.1 * np.sign(gradient_by_hand(linear_model, x, y)), 0, 1)
    assert np.allclose(fgsm_attack(linear_model[0], x, y, 0.1), expected, atol=1e-6)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_pgd_is_projected_gradient_ascent_written_out_for_one_image(linear_model, digits, norm):
    x, y, steps = digits[0][:1], digits[1][:1], 3
    radius = 0.7 if norm == "l2" else 0.05
    moved = x
    for _ in range(steps):
        gradient = gradient_by_hand(linear_model, moved, y)
        if norm == "l2":
            change = moved + 2 * radius / steps * gradient / np.linalg.norm(gradient) - x
            change = change * min(1, radius / np.linalg.norm(change))
        else:
            change = moved + 2 * radius / steps * np.sign(gradient) - x
            change = np.clip(change, -radius, radius)
        moved = np.clip(x + change, 0, 1)
    found = pgd_attack(linear_model[0], x, y, radius, steps, norm)
    assert np.allclose(found, moved, atol=1e-4)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_an_attack_stays_in_its_radius_and_raises_the_loss(linear_model, digits, norm):
    x, y = digits
    moved = pgd_attack(linear_model[0], x, y, 0.3, steps=4, norm=norm)
    length = np.linalg.norm((moved - x).reshape(40, -1), ord=2 if norm == "l2" else np.inf, axis=1)
    assert np.all(length <= 0.3 + 1e-5)
    assert np.all(length > 0.15)
    assert moved.min() >= 0 and moved.max() <= 1
    assert np.all(loss(linear_model[0], moved, y) > loss(linear_model[0], x, y))


def test_many_steps_find_more_than_one(digits):
    x, y = digits
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(30, activation="tanh"),
            keras.layers.Dense(10, kernel_initializer="random_normal"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    one = fgsm_attack(model, x, y, 0.3)
    many = pgd_attack(model, x, y, 0.3, steps=10, norm="linf")
    assert np.mean(loss(model, many, y)) > np.mean(loss(model, one, y))


def test_the_inner_attack_takes_a_radius_for_each_image(linear_model, digits):
    x, y = digits
    radius = np.repeat([0.0, 0.5, 1.5, 3.0], 10).astype(np.float32).reshape(40, 1, 1, 1)

    def losses(images):
        return keras.losses.sparse_categorical_crossentropy(y, linear_model[0](images))

    for norm, order in (("l2", 2), ("linf", np.inf)):
        moved = climb(losses, tf.constant(x), radius, 4, norm).numpy()
        length = np.linalg.norm((moved - x).reshape(40, -1), ord=order, axis=1)
        assert np.all(length <= radius.ravel() + 1e-5)
        assert np.all(length[10:] > 0)


def test_one_start_is_the_attack_without_restarts(linear_model, digits):
    x, y = digits
    plain = pgd_attack(linear_model[0], x, y, 0.5)
    assert np.array_equal(pgd_attack(linear_model[0], x, y, 0.5, restarts=1, seed=7), plain)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_restarts_never_lose_what_one_start_found(digits, norm):
    x, y = digits
    keras.utils.set_random_seed(1)
    model = models.build_cnn()
    radius = 2.0 if norm == "l2" else 0.1
    one = pgd_attack(model, x, y, radius, 2, norm)
    more = pgd_attack(model, x, y, radius, 2, norm, restarts=4)
    before, after = loss(model, one, y), loss(model, more, y)
    assert np.all(after >= before - 1e-6)
    assert np.any(after > before + 1e-6)
    length = np.linalg.norm((more - x).reshape(40, -1), ord=2 if norm == "l2" else np.inf, axis=1)
    assert np.all(length <= radius + 1e-4)
    assert more.min() >= 0 and more.max() <= 1
    again = pgd_attack(model, x, y, radius, 2, norm, restarts=4)
    other = pgd_attack(model, x, y, radius, 2, norm, restarts=4, seed=1)
    assert np.array_equal(again, more)
    assert not np.array_equal(other, more)


def test_a_restart_leaves_a_point_without_any_gradient():
    """At the image itself the gradient is 0, as behind a masked gradient; beside it, it is not."""

    def model(x):
        away = tf.reduce_sum(tf.nn.relu(tf.reshape(x, (-1, 2)) - 0.5), axis=1)
        return tf.stack([1 - away, away], axis=1)

    x = np.full((8, 1, 2, 1), 0.4, np.float32)
    y = np.zeros(8, int)
    assert np.array_equal(pgd_attack(model, x, y, 0.3, 5, "linf"), x)
    assert pgd_attack(model, x, y, 0.3, 5, "linf", restarts=20).max() == pytest.approx(0.7)


def test_random_starts_fill_the_ball_of_their_norm(monkeypatch):
    """Climbing nowhere shows where the attacks begin."""
    starts = []

    def nowhere(loss, x, radius, steps, norm, start=None, after_step=None):
        starts.append(x if start is None else start)
        return x if start is None else start

    monkeypatch.setattr(attacks, "climb", nowhere)
    x = np.full((2000, 1, 3, 1), 0.5, np.float32)

    def model(x):
        return tf.nn.softmax(tf.reshape(x, (-1, 3)))

    for norm, order in (("l2", 2), ("linf", np.inf)):
        starts.clear()
        pgd_attack(model, x, np.zeros(2000, int), 0.4, 1, norm, restarts=2)
        drawn = np.concatenate([start.numpy() for start in starts[1::2]]) - x
        length = np.linalg.norm(drawn.reshape(2000, 3), ord=order, axis=1)
        assert length.max() <= 0.4 + 1e-6
        # evenly in three dimensions: half of the points lie within the cube root of 1/2
        assert np.median(length) == pytest.approx(0.4 * 0.5 ** (1 / 3), abs=0.01)
        assert np.allclose(drawn.mean(axis=0), 0, atol=0.02)


@pytest.mark.parametrize("softmax_layer", [True, False])
def test_images_of_which_a_network_is_entirely_sure_still_move(softmax_layer):
    """Their p is 1 in float32, but the other classes' p have a tiny gradient yet."""
    inputs = keras.Input((1, 2, 1))
    x = keras.layers.Flatten()(inputs)
    if softmax_layer:
        outputs = keras.layers.Softmax()(keras.layers.Dense(2)(x))
    else:
        outputs = keras.layers.Dense(2, activation="softmax")(x)
    model = keras.Model(inputs, outputs)
    model.set_weights([np.eye(2) * 50, np.zeros(2)])
    x = np.array([0.1, 0.9], np.float32).reshape(1, 1, 2, 1)
    assert models.predict(model, x)[0, 1] == 1
    moved = pgd_attack(model, x, [1], radius=0.2, steps=1).ravel()
    assert moved[0] == pytest.approx(0.3)


def test_a_large_number_of_images_is_attacked_in_parts(linear_model, digits, monkeypatch):
    whole = pgd_attack(linear_model[0], *digits, 0.5)
    monkeypatch.setattr(attacks, "BATCH", 7)
    assert np.allclose(pgd_attack(linear_model[0], *digits, 0.5), whole, atol=1e-6)


def test_arrays_go_in_and_new_arrays_come_out(linear_model, digits):
    x, y = digits[0].copy(), list(digits[1])
    moved = pgd_attack(linear_model[0], x, y, 0.5)
    assert isinstance(moved, np.ndarray) and moved.dtype == np.float32
    assert np.array_equal(x, digits[0])
    assert np.array_equal(pgd_attack(linear_model[0], x, y, 0), x)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        *(
            ({"radius": radius}, "radius must be a finite number, at least 0")
            for radius in (-1, 1e30, np.nan, np.inf, True, None, "1", np.ones((40, 1, 1, 1)))
        ),
        *(({"steps": steps}, "steps must be a whole number") for steps in (0, 1.5, True, None)),
        *(({"restarts": n}, "restarts must be a whole number") for n in (0, 1.5, True, None)),
        *(({"seed": seed}, "seed must be a whole number") for seed in (-1, 1.5, True, None)),
        *(({"norm": norm}, "norm must be one of") for norm in ("L2", 2, None, np.inf)),
        ({"x": np.full((40, 28, 28, 1), 255)}, "x must hold values in .*divide by 255"),
        ({"x": np.full((40, 28, 28, 1), np.nan)}, "x must hold finite values"),
        ({"x": np.zeros((40, 784))}, "x must have shape"),
        ({"x": []}, "x must have shape"),
        ({"y": np.zeros((40, 1), int)}, "y must be 40 integers"),
        ({"y": np.zeros(3, int)}, "y must be 40 integers"),
        ({"y": np.full(40, 10)}, r"y must lie in 0\.\.9"),
        ({"y": np.full(40, -1)}, r"y must lie in 0\.\.9"),
        ({"y": np.zeros(40)}, "y must be 40 integers"),
        ({"model": None}, "model must be callable"),
        ({"model": lambda x: tf.ones((len(x), 10))}, "the outputs of model must be probabilities"),
        ({"model": lambda x: np.full((len(x), 10), 0.1)}, "model must be differentiable"),
    ],
)
def test_what_cannot_be_attacked_is_named(linear_model, digits, changed, message):
    arguments = {"model": linear_model[0], "x": digits[0], "y": digits[1], "radius": 0.5}
    with pytest.raises(ValueError, match=message):
        pgd_attack(**arguments | changed)


def test_images_of_another_shape_than_the_networks_are_named(digits):
    with pytest.raises(ValueError, match=r"x must have shape \(n, 28, 28, 1\)"):
        fgsm_attack(models.build_cnn(), np.zeros((40, 14, 14, 1)), digits[1], 0.1)


def test_what_one_start_fools_stays_fooled():
    """Of three classes, a random start may find a higher loss where the image is read right."""

    def model(x):
        x = tf.reshape(x, (-1, 1))
        a, b = tf.nn.relu(x - 0.5), tf.nn.relu(0.5 - x)
        return tf.concat([0.6 - 1.5 * a - 2 * b, 0.4 + 1.5 * a - b, 3 * b], axis=1)

    x = np.full((1, 1, 1, 1), 0.505, np.float32)
    for restarts in (1, 10):
        fooled = pgd_attack(model, x, [0], 0.1, 5, "linf", restarts=restarts)
        assert np.argmax(model(fooled)) != 0


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_compiling_the_losses_changes_nothing(digits, norm):
    x, y = digits
    keras.utils.set_random_seed(2)
    model = models.build_cnn()
    how = {"radius": 0.5 if norm == "l2" else 0.05, "steps": 4, "norm": norm, "restarts": 2}
    step_by_step = pgd_attack(lambda images: model(images), x, y, **how)
    assert np.allclose(pgd_attack(model, x, y, **how), step_by_step, atol=1e-6)


def test_a_network_that_learns_on_is_attacked_as_it_is_now(digits):
    x, y = digits
    keras.utils.set_random_seed(3)
    model = models.build_cnn()
    before = pgd_attack(model, x, y, 0.5)
    model.set_weights([-weights for weights in model.get_weights()])
    after = pgd_attack(model, x, y, 0.5)
    assert not np.allclose(after, before)
    assert np.allclose(after, pgd_attack(lambda images: model(images), x, y, 0.5), atol=1e-6)


def test_a_network_is_compiled_for_all_numbers_of_images_and_not_kept(digits):
    x, y = digits
    model = models.build_cnn()
    for n in (40, 7, 1, 13, 40):
        pgd_attack(model, x[:n], y[:n], 0.5, steps=2)
    assert attacks.COMPILED[model].experimental_get_tracing_count() <= 2
    pointer, entries = weakref.ref(model), len(attacks.COMPILED)
    del model
    gc.collect()
    assert pointer() is None
    assert len(attacks.COMPILED) < entries


# the attack that asks only


def test_squares_fool_a_model_that_has_no_gradient(linear_model, digits):
    """A model that rounds its input has zero gradients, which hide it from every climb."""
    x, _ = digits
    keras_model = linear_model[0]

    def rounded(images):
        return keras_model(tf.stop_gradient(tf.round(4 * images) / 4) + 0 * images)

    y = models.predict(rounded, x).argmax(axis=1)
    by_climbing = pgd_attack(rounded, x, y, 0.2, steps=2, norm="linf")
    np.testing.assert_array_equal(by_climbing, x)
    by_asking = square_attack(rounded, x, y, 0.2, queries=100)
    assert models.accuracy(rounded, by_asking, y) < 0.5


def test_squares_stay_in_the_radius_and_reach_its_end(linear_model, digits):
    x, y = digits
    moved = square_attack(linear_model[0], x, y, 0.1, queries=20)
    change = np.abs(moved - x)
    assert change.max() <= 0.1 + 1e-6
    assert moved.min() >= 0 and moved.max() <= 1
    inner = (x > 0.1) & (x < 0.9)
    np.testing.assert_allclose(change[inner], 0.1, atol=1e-6)


def test_more_queries_lower_the_margin_and_the_seed_decides(linear_model, digits):
    x, y = digits
    few, many, again, other = (
        square_attack(linear_model[0], x, y, 0.05, queries=n, seed=seed)
        for n, seed in ((2, 0), (150, 0), (150, 0), (150, 1))
    )
    assert np.mean(loss(linear_model[0], many, y)) > np.mean(loss(linear_model[0], few, y))
    np.testing.assert_array_equal(many, again)
    assert not np.array_equal(many, other)


def test_what_is_fooled_is_asked_no_more(digits):
    x, y = digits
    asked = []

    def always_wrong(images):
        asked.append(len(images))
        return np.eye(10)[np.zeros(len(images), int)]

    wrong = y != 0
    square_attack(always_wrong, x[wrong], y[wrong], 0.3, queries=50)
    assert asked == [1, wrong.sum()]  # once to see its form, once for the stripes


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"queries": 0}, "queries must be a whole number"),
        ({"radius": -1}, "radius must be a finite number"),
        ({"y": [3]}, "y must be 40 integers"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_squares_name_the_bad_argument(linear_model, digits, changed, message):
    x, y = digits
    with pytest.raises(ValueError, match=message):
        square_attack(linear_model[0], **{"x": x, "y": y, "radius": 0.1} | changed)

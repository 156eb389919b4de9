import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import convolve

from helpers import inversion, models, neighbours, session, trajectory
from helpers.backend import tf


def softmax(z):
    e = np.exp(z - z.max())
    return e / e.sum()


def loss_in_numpy(x, weights, bias, target, loss):
    p = softmax(x.reshape(784) @ weights + bias)[target]
    return -np.log(p + 1e-10) if loss == "log" else -p


def gradient_by_differences(f, x, h=1e-5):
    gradient = np.zeros(x.size)
    for i in range(x.size):
        up, down = x.copy().reshape(-1), x.copy().reshape(-1)
        up[i] += h
        down[i] -= h
        gradient[i] = (f(up) - f(down)) / (2 * h)
    return gradient.reshape(x.shape)


@pytest.fixture(scope="module")
def gray():
    """Starts far from 0 and 1, so that a small step is not clipped."""
    return np.float32(0.4) + np.float32(0.2) * inversion.noise(3, 0)


@pytest.mark.parametrize("loss", ["log", "probability"])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_step_follows_the_finite_difference_gradient(linear_model, gray, loss, normalize):
    model, weights, bias = linear_model
    result = inversion.invert(
        model, gray, [3, 7, 0], max_steps=1, learning_rate=0.05, loss=loss, normalize=normalize
    )
    for start, target, moved in zip(gray.astype(float), [3, 7, 0], result.images, strict=True):
        g = gradient_by_differences(
            lambda x, target=target: loss_in_numpy(x, weights, bias, target, loss), start
        )
        if normalize:
            g /= np.linalg.norm(g)
        assert np.allclose(moved, start - 0.05 * g, atol=1e-6)


def test_a_step_lowers_the_loss_of_the_real_network(gray):
    model = models.build_cnn()
    result = inversion.invert(model, gray, 4, max_steps=1, learning_rate=0.01)
    assert np.all(result.trace[1] > result.trace[0])


def test_a_normalised_step_has_the_length_of_the_learning_rate(linear_model, gray):
    result = inversion.invert(linear_model[0], gray, 5, max_steps=1, learning_rate=0.1)
    length = np.linalg.norm((result.images - gray).reshape(3, -1), axis=1)
    assert np.allclose(length, 0.1, atol=1e-5)


def test_images_do_not_influence_each_other(linear_model):
    start = inversion.noise(4, 2)
    together = inversion.invert(linear_model[0], start, [1, 2, 3, 4], max_steps=20)
    alone = inversion.invert(linear_model[0], start[2:3], 3, max_steps=20)
    assert np.allclose(together.images[2], alone.images[0], atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    learning_rate=st.floats(1e-3, 50),
    loss=st.sampled_from(["log", "probability"]),
    normalize=st.booleans(),
    blur_every=st.integers(0, 2),
    decay=st.floats(0, 1),
    seed=st.integers(0, 100),
)
def test_every_iterate_stays_in_range(
    linear_model, learning_rate, loss, normalize, blur_every, decay, seed
):
    result = inversion.invert(
        linear_model[0],
        inversion.noise(2, seed),
        [0, 9],
        max_steps=5,
        learning_rate=learning_rate,
        loss=loss,
        normalize=normalize,
        blur_every=blur_every,
        decay=decay,
        keep_frames=6,
    )
    assert result.frames.shape == (6, 2, 28, 28, 1)
    assert result.frames.min() >= 0 and result.frames.max() <= 1
    assert result.trace.min() >= 0 and result.trace.max() <= 1


def test_the_result_describes_the_whole_trajectory(linear_model):
    start = inversion.noise(2, 0)
    result = inversion.invert(linear_model[0], start, [3, 4], max_steps=30, keep_frames=4)
    assert isinstance(result, inversion.Inversion)
    assert result.trace.shape == (31, 2)
    assert np.array_equal(result.start, start)
    assert np.array_equal(result.frames[0], start)
    assert np.array_equal(result.frames[-1], result.images)
    assert np.array_equal(result.targets, [3, 4])
    assert np.array_equal(result.steps, [30, 30])
    assert np.array_equal(result.probability, result.trace[-1])
    assert result.seconds > 0
    # the last p is that of the last images, one step after the p before it
    for step, images in ((0, start), (30, result.images)):
        p = np.asarray(linear_model[0](images))[[0, 1], [3, 4]]
        assert np.allclose(p, result.trace[step], atol=1e-6)
    assert np.all(result.trace[30] - result.trace[29] > 1e-4)


def test_frames_are_evenly_spaced_with_both_ends(linear_model):
    start = inversion.noise(1, 0)
    result = inversion.invert(linear_model[0], start, 3, max_steps=12, keep_frames=4)
    every = inversion.invert(linear_model[0], start, 3, max_steps=12, keep_frames=13)
    assert np.allclose(result.frames, every.frames[[0, 4, 8, 12]], atol=1e-6)
    none = inversion.invert(linear_model[0], start, 3, max_steps=2)
    assert none.frames.shape == (0, 1, 28, 28, 1)


@pytest.mark.parametrize("blur_every", [0, 1, 5])
def test_an_image_stops_where_it_arrives_and_the_others_go_on(linear_model, blur_every):
    start, targets = inversion.noise(4, 0), [3, 4, 5, 6]
    setting = {"max_steps": 40, "blur_every": blur_every}
    walk = inversion.invert(linear_model[0], start, targets, **setting)
    # two of the four arrive here, a blur or not
    limit = float(np.sort(walk.trace.max(axis=0))[1:3].mean())
    result = inversion.invert(
        linear_model[0], start, targets, stop_at=limit, keep_frames=41, **setting
    )
    arrived = result.steps < 40
    assert arrived.sum() == 2
    assert np.array_equal(arrived, result.probability >= limit)
    for image, taken in enumerate(result.steps):
        before, after = result.trace[:taken, image], result.trace[taken:, image]
        assert np.all(before < limit) and np.all(after == after[0])
        assert np.allclose(result.trace[: taken + 1, image], walk.trace[: taken + 1, image], 1e-3)
        # neither a step nor a blur moves what has stopped
        frames = result.frames[taken:, image]
        assert np.array_equal(frames, np.broadcast_to(result.images[image], frames.shape))
        p = np.asarray(linear_model[0](result.images[image : image + 1]))[0, targets[image]]
        assert np.isclose(p, result.probability[image], atol=1e-6)
        if taken > 0:
            assert not np.array_equal(result.frames[taken - 1, image], result.images[image])


def test_when_all_have_stopped_the_trace_and_the_frames_repeat(linear_model):
    start = inversion.noise(2, 0)
    result = inversion.invert(
        linear_model[0], start, [3, 4], max_steps=500, stop_at=0.5, keep_frames=3
    )
    assert result.steps.max() < 250
    assert result.trace.shape == (501, 2)
    assert np.array_equal(result.trace[result.steps.max()], result.trace[-1])
    assert np.array_equal(result.frames[1], result.images)
    assert np.array_equal(result.frames[2], result.images)


def test_an_image_that_has_already_arrived_does_not_move(linear_model):
    start = inversion.noise(1, 0)
    target = int(np.asarray(linear_model[0](start)).argmax())
    result = inversion.invert(linear_model[0], start, target, max_steps=5, stop_at=0.01)
    assert np.array_equal(result.images, start)
    assert result.steps[0] == 0
    assert np.all(result.trace == result.probability)


def test_the_blur_is_binomial_and_comes_after_every_so_many_steps(linear_model):
    start = inversion.noise(2, 0)
    tiny = {"learning_rate": 1e-6, "max_steps": 4, "keep_frames": 5}
    frames = inversion.invert(linear_model[0], start, 1, blur_every=2, **tiny).frames
    kernel = np.outer([0.25, 0.5, 0.25], [0.25, 0.5, 0.25])
    once = np.stack([convolve(image[..., 0], kernel, mode="constant") for image in start])
    twice = np.stack([convolve(image, kernel, mode="constant") for image in once])
    assert np.allclose(frames[1], start, atol=1e-5)
    for step, expected in ((2, once), (3, once), (4, twice)):
        assert np.allclose(frames[step, ..., 0], expected, atol=1e-5)


def test_decay_fades_every_pixel_before_each_step(linear_model):
    start = inversion.noise(2, 0)
    tiny = {"learning_rate": 1e-6, "max_steps": 3, "keep_frames": 4}
    frames = inversion.invert(linear_model[0], start, 1, decay=0.25, **tiny).frames
    for step in range(4):
        assert np.allclose(frames[step], 0.75**step * start, atol=1e-5)
    # the step itself does not fade: from black it has its full length
    black = np.zeros((1, 28, 28, 1), np.float32)
    one = {"learning_rate": 0.5, "max_steps": 1}
    faded = inversion.invert(linear_model[0], black, 1, decay=0.9, **one)
    assert np.array_equal(faded.images, inversion.invert(linear_model[0], black, 1, **one).images)


@pytest.mark.parametrize("loss", ["log", "probability"])
@pytest.mark.parametrize("normalize", [True, False])
def test_a_saturated_network_gives_no_nan(linear_model, loss, normalize):
    """Where p is 0 in float32, log p and the norm of its gradient would both divide by 0."""
    _, weights, _ = linear_model
    steep = tf.constant(1e4 * weights, tf.float32)

    def saturated(x):
        return tf.nn.softmax(tf.reshape(x, (-1, 784)) @ steep)

    start = inversion.noise(3, 0)
    p = saturated(start).numpy()
    target = int(p.sum(axis=0).argmin())
    assert np.all(p[:, target] == 0)
    result = inversion.invert(saturated, start, target, max_steps=3, loss=loss, normalize=normalize)
    assert np.isfinite(result.images).all()
    assert np.array_equal(result.images, start)  # without a slope there is no direction


def test_images_of_another_shape_and_class_count_are_inverted():
    weights = tf.constant(np.random.default_rng(0).normal(size=(20 * 16 * 3, 4)), tf.float32)

    def model(x):
        return tf.nn.softmax(tf.reshape(x, (-1, 20 * 16 * 3)) @ weights)

    start = inversion.noise(2, 0, shape=(20, 16, 3))
    result = inversion.invert(model, start, [0, 3], max_steps=25, blur_every=10)
    assert result.images.shape == (2, 20, 16, 3)
    assert np.all(result.probability > 0.99)
    with pytest.raises(ValueError, match=r"targets must lie in 0\.\.3, not 4\.\.4"):
        inversion.invert(model, start, 4)


def test_starts_repeat_with_their_seed(sample):
    assert np.array_equal(inversion.noise(3, 1), inversion.noise(3, 1))
    assert not np.array_equal(inversion.noise(3, 1), inversion.noise(3, 2))
    assert inversion.near_black(3, 1).max() <= 0.01
    sevens = inversion.from_class(sample, 7, 100, 0)
    assert len(np.unique(sevens, axis=0)) == 100
    known = {image.tobytes() for image in sample.x_test[sample.y_test == 7]}
    assert {image.tobytes() for image in sevens} == known
    assert not np.array_equal(sevens, inversion.from_class(sample, 7, 100, 1))
    with pytest.raises(
        ValueError, match=r"n \(test images of class 7\) must be .* to 100, not 101"
    ):
        inversion.from_class(sample, 7, 101, 0)


def test_starts_have_the_asked_shape():
    shape = (20, 16, 1)
    assert inversion.noise(2, 0, shape).shape == inversion.near_black(2, 0, shape).shape
    assert np.allclose(inversion.near_black(2, 0, shape), inversion.noise(2, 0, shape) / 100)
    assert inversion.noise(2, 0).shape == (2, 28, 28, 1)


@pytest.mark.parametrize("invert", [inversion.invert, neighbours.invert])
def test_a_long_walk_has_a_bar_without_being_asked(invert, monkeypatch):
    asked = []

    def bar(total, description, show, delay):
        asked.append((total, show, delay))
        return session.progress_bar(total, description, show, delay)

    monkeypatch.setattr(trajectory, "session", types.SimpleNamespace(progress_bar=bar))
    start = np.full((1, 2, 2, 1), 0.5, np.float32)
    index = neighbours.NeighbourIndex(np.eye(4).reshape(4, 2, 2, 1), np.arange(4) % 2)
    known = index if invert is neighbours.invert else neighbours.soft_voter(index)
    extra = {"k": 1} if invert is neighbours.invert else {}
    invert(known, start, 1, max_steps=2, **extra)
    assert asked == [(2, True, 1)]  # a short one shows nothing


def test_inverting_prints_nothing(linear_model, capfd):
    inversion.invert(linear_model[0], inversion.noise(1, 0), 3, max_steps=2, progress=True)
    assert capfd.readouterr() == ("", "")


def test_a_callable_that_gives_something_else_the_next_time_is_asked_again():
    sharpness = 1.0

    def model(x):
        bright = sharpness * tf.reduce_mean(x, axis=(1, 2, 3))
        return tf.nn.softmax(tf.stack([0 * bright, bright], axis=1))

    start = np.full((1, 2, 2, 1), 0.9, np.float32)
    before = inversion.invert(model, start, 1, max_steps=1)
    sharpness = 50.0
    after = inversion.invert(model, start, 1, max_steps=1)
    assert after.trace[0, 0] > 0.99 > before.trace[0, 0]


@pytest.mark.parametrize(
    "model",
    [
        lambda x: np.full((len(x), 2), 0.5, np.float32),
        lambda x: tf.fill((len(x), 2), 0.5),
        lambda x: tf.one_hot(tf.cast(tf.reduce_mean(x, axis=(1, 2, 3)) > 2, tf.int32), 2),
    ],
    ids=["NumPy", "a constant", "a decision"],
)
def test_a_model_without_a_gradient_is_refused_by_that_reason(model):
    with pytest.raises(ValueError, match="model must be differentiable"):
        inversion.invert(model, np.zeros((2, 2, 2, 1)), 1, max_steps=1)

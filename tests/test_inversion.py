import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers import inversion, models, tensorflow


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
        model, gray, [3, 7, 0], steps=1, learning_rate=0.05, loss=loss, normalize=normalize
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
    result = inversion.invert(model, gray, 4, steps=1, learning_rate=0.01)
    assert np.all(result.trace[1] > result.trace[0])


def test_a_normalised_step_has_the_length_of_the_learning_rate(linear_model, gray):
    result = inversion.invert(linear_model[0], gray, 5, steps=1, learning_rate=0.1)
    length = np.linalg.norm((result.images - gray).reshape(3, -1), axis=1)
    assert np.allclose(length, 0.1, atol=1e-5)


def test_images_do_not_influence_each_other(linear_model):
    start = inversion.noise(4, 2)
    together = inversion.invert(linear_model[0], start, [1, 2, 3, 4], steps=20)
    alone = inversion.invert(linear_model[0], start[2:3], 3, steps=20)
    assert np.allclose(together.images[2], alone.images[0], atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(
    learning_rate=st.floats(1e-3, 50),
    loss=st.sampled_from(["log", "probability"]),
    normalize=st.booleans(),
    blur_every=st.integers(0, 2),
    seed=st.integers(0, 100),
)
def test_every_iterate_stays_in_range(
    linear_model, learning_rate, loss, normalize, blur_every, seed
):
    result = inversion.invert(
        linear_model[0],
        inversion.noise(2, seed),
        [0, 9],
        steps=5,
        learning_rate=learning_rate,
        loss=loss,
        normalize=normalize,
        blur_every=blur_every,
        keep_frames=6,
    )
    assert result.frames.shape == (6, 2, 28, 28, 1)
    assert result.frames.min() >= 0 and result.frames.max() <= 1
    assert result.trace.min() >= 0 and result.trace.max() <= 1


def test_the_result_describes_the_whole_walk(linear_model):
    start = inversion.noise(2, 0)
    result = inversion.invert(linear_model[0], start, [3, 4], steps=30, keep_frames=4)
    assert result.trace.shape == (31, 2)
    assert np.array_equal(result.frames[0], start)
    assert np.array_equal(result.frames[-1], result.images)
    assert np.array_equal(result.steps, [30, 30])
    assert np.array_equal(result.probability, result.trace[-1])
    p = np.asarray(linear_model[0](result.images))
    assert np.allclose(p[[0, 1], [3, 4]], result.probability, atol=1e-6)


def test_an_image_stops_where_it_arrives_and_the_others_walk_on(linear_model):
    start = inversion.noise(3, 0)
    walk = inversion.invert(linear_model[0], start, [3, 4, 5], steps=60)
    limit = float(np.sort(walk.trace[20])[1])  # the middle one of the three, after 20 steps
    stopped = inversion.invert(
        linear_model[0], start, [3, 4, 5], steps=60, stop_at=limit, keep_frames=61
    )
    for image, taken in enumerate(stopped.steps):
        if taken < 60:
            assert stopped.trace[taken, image] >= limit
            assert np.all(stopped.trace[:taken, image] < limit)
        assert np.allclose(
            stopped.trace[: taken + 1, image], walk.trace[: taken + 1, image], atol=1e-5
        )
        assert np.all(stopped.trace[taken:, image] == stopped.trace[taken, image])
        frames = stopped.frames[taken:, image]
        assert np.array_equal(frames, np.broadcast_to(frames[0], frames.shape))
    assert len(set(stopped.steps)) > 1


def test_an_image_that_has_already_arrived_does_not_move(linear_model):
    start = inversion.noise(1, 0)
    target = int(np.asarray(linear_model[0](start)).argmax())
    result = inversion.invert(linear_model[0], start, target, steps=5, stop_at=0.01)
    assert np.array_equal(result.images, start)
    assert result.steps[0] == 0


def test_a_blur_does_not_move_an_image_that_has_stopped(linear_model):
    start = inversion.noise(2, 0)
    result = inversion.invert(
        linear_model[0], start, [3, 4], steps=50, stop_at=0.6, blur_every=1, keep_frames=51
    )
    for image, taken in enumerate(result.steps):
        last = result.frames[taken, image]
        assert np.array_equal(last, result.images[image])


def test_a_blur_smooths(linear_model):
    start = inversion.noise(1, 0)
    plain = inversion.invert(linear_model[0], start, 1, steps=1, learning_rate=1e-6)
    blurred = inversion.invert(linear_model[0], start, 1, steps=1, learning_rate=1e-6, blur_every=1)

    def roughness(images):
        return np.abs(np.diff(images, axis=1)).mean()

    assert roughness(blurred.images) < 0.6 * roughness(plain.images)


def test_starts_repeat_with_their_seed(sample):
    assert np.array_equal(inversion.noise(3, 1), inversion.noise(3, 1))
    assert not np.array_equal(inversion.noise(3, 1), inversion.noise(3, 2))
    assert inversion.near_black(3, 1).max() <= 0.01
    sevens = inversion.from_class(sample, 7, 100, 0)
    assert len(np.unique(sevens, axis=0)) == 100
    known = {image.tobytes() for image in sample.x_test[sample.y_test == 7]}
    assert {image.tobytes() for image in sevens} == known
    with pytest.raises(ValueError, match="n must be from 1 to 100 for class 7, not 101"):
        inversion.from_class(sample, 7, 101, 0)


START = np.full((2, 28, 28, 1), 0.5, np.float32)


def broken(value):
    images = START.copy()
    images[0, 0, 0, 0] = value
    return images


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"start": START * 510},
            r"start must hold values in \[0, 1\], .*: divide by 255",
        ),
        ({"start": START - 1}, r"start must hold values in \[0, 1\], not in \[-0.5, -0.5\]"),
        ({"start": START[0]}, r"start must have shape \(n, 28, 28, 1\), n >= 1, not \(28, 28, 1\)"),
        ({"start": START[..., 0]}, r"start must have shape"),
        ({"start": START[:0]}, r"start must have shape"),
        ({"start": broken(np.nan)}, "start must hold finite values"),
        ({"start": broken(np.inf)}, "start must hold finite values"),
        ({"start": START.astype(str)}, "start must hold numbers"),
        ({"targets": 10}, r"targets must lie in 0..9, not 10..10"),
        ({"targets": [-1, 3]}, r"targets must lie in 0..9, not -1..3"),
        ({"targets": [1, 2, 3]}, "targets must be one integer or 2 of them"),
        ({"targets": 3.0}, "targets must be one integer"),
        ({"steps": 0}, "steps must be 1 or more, a whole number, not 0"),
        ({"learning_rate": 0.0}, "learning_rate must be positive and finite, not 0.0"),
        ({"learning_rate": np.nan}, "learning_rate must be positive and finite"),
        ({"stop_at": 1.5}, r"stop_at must be None or lie in \(0, 1\], not 1.5"),
        ({"loss": "hinge"}, "loss must be one of .*, not 'hinge'"),
        ({"blur_every": -1}, "blur_every must be 0 or more, a whole number, not -1"),
        ({"keep_frames": 1}, r"keep_frames must be 0 or from 2 to steps \+ 1, not 1"),
        ({"keep_frames": 300}, r"keep_frames must be 0 or from 2 to steps \+ 1, not 300"),
    ],
)
def test_bad_input_is_named(linear_model, changes, message):
    arguments = {"model": linear_model[0], "start": START, "targets": 3} | changes
    with pytest.raises(ValueError, match=message):
        inversion.invert(**arguments)


def test_a_model_that_returns_logits_is_refused():
    tf = tensorflow()
    with pytest.raises(ValueError, match=r"model must return probabilities .*are these logits"):
        inversion.invert(lambda x: tf.reshape(x, (-1, 784))[:, :10] * 7, START, 3)
    with pytest.raises(ValueError, match=r"model must return probabilities .* not shape"):
        inversion.invert(lambda x: tf.reshape(x, (-1, 784))[:, :2], START, 3)

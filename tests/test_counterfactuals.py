import numpy as np
import pytest

from helpers import counterfactuals, inversion, realism
from helpers.backend import keras, tf
from helpers.neighbours import NeighbourIndex, soft_voter


def perfect(images):
    """A model that sees a 3 in everything."""
    return np.eye(10, dtype=np.float32)[np.full(len(images), 3)]


def test_dissimilarity_is_half_of_what_is_missing_to_tensorflows_ssim(half_sample):
    """TensorFlow leaves the edge out, so the images are continued before it measures them."""
    digits = np.concatenate([half_sample.x_test[:3], inversion.noise(2, 0, (14, 14, 1))])
    wide = np.pad(digits, ((0, 0), (5, 5), (5, 5), (0, 0)), mode="edge")
    found = counterfactuals.dissimilarity(digits, digits[1:])
    for place, image in enumerate(wide):
        expected = (1 - tf.image.ssim(image[None], wide[1:], max_val=1.0).numpy()) / 2
        assert np.allclose(found[place], expected, atol=1e-4)
    assert np.allclose(np.diag(counterfactuals.dissimilarity(digits, digits)), 0, atol=1e-5)


def test_dissimilarity_takes_colours_and_oblongs():
    images = inversion.noise(3, 0, (12, 20, 3))
    wide = np.pad(images, ((0, 0), (5, 5), (5, 5), (0, 0)), mode="edge")
    expected = (1 - tf.image.ssim(wide[:1], wide, max_val=1.0).numpy()) / 2
    assert np.allclose(counterfactuals.dissimilarity(images[:1], images)[0], expected, atol=1e-4)


def test_implausibility_is_the_mean_over_the_nearest_of_the_target_class(
    half_sample, threes, monkeypatch
):
    targets = np.repeat([3, 8], 2)
    whole = counterfactuals.implausibility(threes[:4], targets, half_sample)
    monkeypatch.setattr(counterfactuals, "NEAREST", 7)
    found = counterfactuals.implausibility(threes[:4], targets, half_sample)
    for image, target, value in zip(threes[:4], targets, found, strict=True):
        apart = counterfactuals.dissimilarity(
            image[None], half_sample.x_train[half_sample.y_train == target]
        )
        assert value == pytest.approx(np.sort(apart[0])[:7].mean(), rel=1e-5)
    assert np.all(whole > found)
    monkeypatch.setattr(counterfactuals, "SAMPLES", 30)
    few = counterfactuals.implausibility(threes[:4], targets, half_sample)
    again = counterfactuals.implausibility(threes[:4], targets, half_sample)
    assert np.all(few >= found) and np.any(few > found)
    assert np.array_equal(few, again)


def test_digits_are_more_plausible_than_noise_and_than_other_digits(half_sample, threes):
    right = counterfactuals.implausibility(threes, 3, half_sample).mean()
    assert right < counterfactuals.implausibility(threes, 4, half_sample).mean()
    assert (
        right
        < counterfactuals.implausibility(inversion.noise(20, 0, (14, 14, 1)), 3, half_sample).mean()
    )


def test_class_samples_are_sure_of_their_class_and_stay_in_range():
    grays = np.linspace(0, 1, 8).reshape(8, 1, 1, 1) * np.ones((4, 4, 1))
    index = NeighbourIndex(grays, np.arange(8) // 4)
    model = soft_voter(index, temperature=1.0)
    samples = counterfactuals.class_samples(model, 2, n=5, steps=200, shape=(4, 4, 1))
    assert samples.shape == (2, 5, 4, 4, 1) and samples.dtype == np.float32
    assert samples.min() >= 0 and samples.max() <= 1
    p = model(samples.reshape(10, 4, 4, 1)).numpy()
    assert realism.agreement(p, np.repeat([0, 1], 5)) == 1
    again = counterfactuals.class_samples(model, 2, n=5, steps=200, shape=(4, 4, 1))
    assert np.array_equal(samples, again)
    assert len(np.unique(samples.reshape(10, -1), axis=0)) == 10


def test_class_samples_follow_the_logit_and_not_log_p(monkeypatch):
    """Where p is 1 in float32, log p has no gradient, and a walk along it would only shiver."""
    inputs = keras.Input((1, 2, 1))
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    model.set_weights([np.eye(2) * 100, np.zeros(2)])
    monkeypatch.setattr(counterfactuals, "STEP_SIZE", 0.002)
    monkeypatch.setattr(counterfactuals, "SIGMA", 0.0)
    samples = counterfactuals.class_samples(model, 2, n=20, steps=1)
    start = inversion.noise(40, 0, (1, 2, 1)).reshape(samples.shape)
    step = np.abs(np.eye(2)[:, None] * 0.2).reshape(2, 1, 1, 2, 1)
    assert np.allclose(samples, np.clip(start + step, 0, 1), atol=1e-6)


def test_unfaithfulness_compares_with_the_samples_of_the_target(threes):
    samples = inversion.noise(8, 0, (14, 14, 1)).reshape(2, 4, 14, 14, 1)
    found = counterfactuals.unfaithfulness(threes[:3], [0, 1, 1], samples)
    expected = counterfactuals.dissimilarity(threes[:3], samples[1]).mean(axis=1)
    assert np.allclose(found[1:], expected[1:])
    assert counterfactuals.unfaithfulness(samples[0, :1], 0, samples[:, :1])[0] < 1e-5


def test_unfaithfulness_takes_more_samples_of_one_class_than_of_another(threes):
    samples = inversion.noise(6, 0, (14, 14, 1))
    found = counterfactuals.unfaithfulness(threes[:2], [0, 1], [samples[:2], samples[2:]])
    for place, some in enumerate([samples[:2], samples[2:]]):
        expected = counterfactuals.dissimilarity(threes[:2], some)[place].mean()
        assert found[place] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ValueError, match=r"samples\[1\] must have shape \(n, 14, 14, 1\)"):
        counterfactuals.unfaithfulness(threes[:2], 0, [samples, samples[:, :7]])


def test_counterfactuals_are_scored_by_what_changed_and_by_what_the_model_sees(half_sample, threes):
    changed = threes.copy()
    changed[:, 0, :7] = 1 - changed[:, 0, :7]  # 7 of 196 pixels
    changed[:, 1, :7] += np.where(changed[:, 1, :7] < 0.5, 0.009, -0.009)
    samples = np.zeros((10, 2, 14, 14, 1))
    scores = counterfactuals.scores(threes, changed, 3, perfect, half_sample, samples)
    assert scores["validity"] == 1
    expected = np.abs(changed - threes).sum() / len(threes)
    assert scores["proximity"] == pytest.approx(expected, rel=1e-4)
    assert scores["sparsity"] == pytest.approx(1 - 7 / 196, abs=0.01)
    assert scores["implausibility"] == pytest.approx(
        counterfactuals.implausibility(changed, 3, half_sample).mean(), rel=1e-5
    )
    assert scores["unfaithfulness"] == pytest.approx(
        counterfactuals.unfaithfulness(changed, 3, samples).mean(), rel=1e-5
    )
    other = counterfactuals.scores(threes, changed, 4, perfect, half_sample)
    assert other["validity"] == 0 and "unfaithfulness" not in other


def test_an_image_scores_the_same_beside_other_targets(half_sample, threes, monkeypatch):
    monkeypatch.setattr(counterfactuals, "SAMPLES", 50)
    monkeypatch.setattr(counterfactuals, "NEAREST", 10)
    both = counterfactuals.implausibility(threes[:2], [3, 0], half_sample)
    alone = [
        counterfactuals.implausibility(threes[:1], 3, half_sample),
        counterfactuals.implausibility(threes[1:2], 0, half_sample),
    ]
    assert np.allclose(both, np.concatenate(alone), rtol=1e-6)

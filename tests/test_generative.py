"""Beside scipy, beside integrals that can be computed, and beside loops over pairs."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from helpers import generative
from helpers.backend import keras, tf
from helpers.generative import frechet_distance, importance_bound, precision_recall

RNG = np.random.default_rng(0)
ADAM = {"learning_rate": 1e-3}


def digits(n, seed=0):
    return np.random.default_rng(seed).random((n, 28, 28, 1), dtype=np.float32)


def test_each_pixel_is_white_as_often_as_its_gray_value_says():
    gray = np.tile(np.array([0.0, 0.2, 0.9, 1.0]).reshape(1, 2, 2, 1), (5000, 1, 1, 1))
    drawn = generative.binarise(gray, seed=3)
    assert set(np.unique(drawn)) == {0, 1}
    np.testing.assert_allclose(drawn.mean(axis=0).ravel(), [0, 0.2, 0.9, 1], atol=0.02)
    assert not np.array_equal(drawn, generative.binarise(gray, seed=4))


# --- variational autoencoders


def vae_of(latent=1, seed=0):
    keras.utils.set_random_seed(seed)
    vae = generative.dense_vae(latent, units=6)
    for weights in vae.weights:
        weights.assign(np.random.default_rng(seed).normal(0, 0.4, weights.shape))
    return vae


def test_the_importance_bound_comes_to_the_integral_over_the_code():
    vae, images = vae_of(), generative.binarise(digits(3), seed=0)
    z = np.linspace(-8, 8, 4001, dtype=np.float32)[:, None]
    logits = vae.decoder(z).numpy().reshape(len(z), -1)
    prior = -(z[:, 0] ** 2) / 2 - np.log(2 * np.pi) / 2
    for image, bound in zip(images, importance_bound(vae, images, 20_000, seed=1), strict=True):
        x = image.ravel()
        joint = (x * logits - np.logaddexp(0, logits)).sum(axis=1) + prior
        exact = np.logaddexp.reduce(joint.astype(float)) + np.log(z[1, 0] - z[0, 0])
        assert abs(bound - exact) < 0.3
        assert importance_bound(vae, image[None], 1, seed=0) < exact + 5


def test_a_code_that_says_nothing_costs_nothing_and_beta_weighs_the_rate():
    vae = generative.dense_vae(latent=3, units=5, beta=4.0)
    for weights in vae.encoder.weights:
        weights.assign(tf.zeros_like(weights))
    vae.compile(keras.optimizers.SGD(0.0), jit_compile=False)
    losses = vae.train_step(tf.constant(digits(4)))
    assert float(losses["rate"]) == 0
    assert float(losses["distortion"]) > 100


def test_a_larger_beta_makes_the_code_cheaper():
    x = (digits(200) < np.linspace(0, 1, 200).reshape(-1, 1, 1, 1)).astype(np.float32)
    rates = {}
    for beta in (0.1, 20.0):
        keras.utils.set_random_seed(0)
        vae = generative.dense_vae(2, 16, beta)
        adam = keras.optimizers.Adam(3e-3)
        history = generative.train(vae, x, adam, epochs=6, batch_size=20, seed=0)
        rates[beta] = history["rate"][-1]
    assert rates[20.0] < rates[0.1] / 2


def test_whoever_watches_hears_of_each_epoch():
    heard = []
    vae, adam = generative.dense_vae(latent=2, units=8), keras.optimizers.Adam(1e-3)

    def watch(epoch, losses):
        heard.append((epoch, sorted(losses)))

    generative.train(vae, digits(16), adam, epochs=2, batch_size=8, seed=0, watch=watch)
    assert heard == [(1, ["distortion", "rate"]), (2, ["distortion", "rate"])]


def test_training_depends_on_the_seed_alone_and_refuses_what_is_no_number():
    def last(seed):
        keras.utils.set_random_seed(5)
        vae = generative.dense_vae(2, 8)
        adam = keras.optimizers.Adam(**ADAM)
        return generative.train(vae, digits(30), adam, epochs=2, batch_size=8, seed=seed)

    assert last(1) == last(1)
    assert last(1) != last(2)
    broken = generative.dense_vae(2, 8)
    broken.encoder.weights[-1].assign([np.nan] * 4)
    with pytest.raises(RuntimeError, match="diverged"):
        generative.train(broken, digits(8), keras.optimizers.Adam(), epochs=1, batch_size=8)


# --- adversarial networks


def gan_of(kind, **settings):
    keras.utils.set_random_seed(0)
    parts = generative.build_generator(8, 4), generative.build_critic(4)
    gan = kind(*parts, **settings)
    gan.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    return gan


@pytest.mark.parametrize("kind", [generative.GAN, generative.WassersteinGAN])
def test_the_critic_learns_to_tell_and_the_generator_to_please(kind):
    gan, real = gan_of(kind), tf.constant(digits(24))
    critic = [float(gan.critic_step(real)) for _ in range(30)]
    assert critic[-1] < critic[0] - 0.1
    pleased = [float(gan.generator_step(24)) for _ in range(30)]
    assert np.mean(pleased[-5:]) < np.mean(pleased[:5])


def test_what_draws_is_a_slow_average_of_the_generator():
    gan = gan_of(generative.GAN)
    before = gan.average.get_weights()[0].copy()
    gan.generator_step(8)
    now = gan.generator.get_weights()[0]
    assert not np.allclose(now, before)
    np.testing.assert_allclose(
        gan.average.get_weights()[0], 0.999 * before + 0.001 * now, rtol=1e-4, atol=1e-7
    )
    assert np.array_equal(gan.draw(3, seed=1), gan.draw(3, seed=1))


@pytest.mark.parametrize("slope", [1.0, 3.0])
def test_the_penalty_is_ten_times_the_squared_error_of_the_slope(slope):
    gan = gan_of(generative.WassersteinGAN)
    line = RNG.normal(size=(784, 1))
    line *= slope / np.linalg.norm(line)
    dense = keras.layers.Dense(1, use_bias=False)
    gan.critic = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), dense])
    dense.set_weights([line])
    real, fake = tf.constant(digits(5, 1)), tf.constant(digits(5, 2))
    apart = ((fake.numpy() - real.numpy()).reshape(5, -1) @ line).mean()
    expected = apart + 10 * (slope - 1) ** 2
    assert float(gan.critic_loss(real, fake)) == pytest.approx(expected, abs=1e-3)


def test_the_critic_of_wgan_sees_each_part_of_a_batch_once():
    gan, seen = gan_of(generative.WassersteinGAN, critic_steps=2), []
    gan.critic_step = lambda part: seen.append(part.numpy()) or tf.constant(0.0)
    batch = digits(6)
    gan.train_step(tf.constant(batch))
    np.testing.assert_array_equal(np.concatenate(seen), batch)
    assert [len(part) for part in seen] == [3, 3]


# --- scores


def test_the_frechet_distance_is_that_of_the_matrix_root():
    a, b = RNG.normal(size=(60, 5)), RNG.normal(size=(40, 5)) @ RNG.normal(size=(5, 5)) + 2
    of_a, of_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(of_a @ of_b).real
    expected = np.sum((a.mean(axis=0) - b.mean(axis=0)) ** 2) + np.trace(of_a + of_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected)
    assert frechet_distance(b, a) == pytest.approx(expected)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a[:, :1], a[:, :1] + 3) == pytest.approx(9)


def test_features_that_are_always_0_do_not_hurt():
    a, b = RNG.normal(size=(30, 4)), RNG.normal(size=(30, 4))
    a[:, 1:3], b[:, 2:] = 0, 0
    assert 0 < frechet_distance(a, b) < 10


def test_precision_and_recall_are_those_of_a_loop_over_pairs():
    real, drawn = RNG.normal(size=(25, 3)), RNG.normal(size=(18, 3)) * 1.5

    def share(points, of, k):
        reach = [np.sort(np.linalg.norm(of - p, axis=1))[k] for p in of]
        inside = [
            any(np.linalg.norm(p - q) <= r for q, r in zip(of, reach, strict=True)) for p in points
        ]
        return np.mean(inside)

    for k in (1, 3):
        expected = share(drawn, real, k), share(real, drawn, k)
        assert precision_recall(real, drawn, k) == pytest.approx(expected)


def test_features_are_what_the_last_hidden_layer_says():
    inputs = keras.Input((28, 28, 1))
    hidden = keras.layers.Dense(7, activation="relu")(keras.layers.Flatten()(inputs))
    network = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(hidden))
    x = digits(501)
    weights, bias = network.layers[-2].get_weights()
    expected = np.maximum(0, x.reshape(len(x), -1) @ weights + bias)
    np.testing.assert_allclose(generative.features(network, x), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: frechet_distance(np.zeros(3), np.zeros((3, 3))), "a must be finite numbers"),
        (lambda: frechet_distance(np.zeros((3, 3)), np.full((3, 3), np.nan)), "b must be finite"),
        (lambda: precision_recall(np.zeros((3, 2)), np.zeros((2, 2)), k=2), "k must be"),
        (lambda: generative.binarise(np.full((1, 2, 2, 1), 1.5), 0), "images must"),
        (lambda: generative.dense_vae(beta=-1), "beta must"),
        (lambda: generative.dense_vae(2, 4).draw(0, 0), "n must"),
    ],
)
def test_what_does_not_fit_is_named(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()

"""Beside scikit-learn, beside counting every state, and beside differences of the likelihood."""

import itertools

import numpy as np
import pytest
from sklearn.neural_network import BernoulliRBM

from helpers import boltzmann
from helpers.backend import tf
from helpers.boltzmann import DBN, RBM, ais_log_z, exact_log_z, independent, reverse_ais

RNG = np.random.default_rng(0)


def machine(visible, hidden, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return RBM(
        rng.normal(0, scale, (visible, hidden)), rng.normal(size=visible), rng.normal(size=hidden)
    )


def bits(n, units, seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, units)).astype(np.float32)


# --- what a machine says


def test_free_energies_and_conditionals_are_those_of_scikit_learn():
    ours, v = machine(12, 7), bits(50, 12)
    theirs = BernoulliRBM(7)
    theirs.components_ = ours.weights.T
    theirs.intercept_visible_, theirs.intercept_hidden_ = ours.visible_bias, ours.hidden_bias
    np.testing.assert_allclose(ours.free_energy(v), theirs._free_energy(v), rtol=1e-5)
    h = ours.hidden_probabilities(v)
    np.testing.assert_allclose(h, theirs.transform(v), rtol=1e-5)
    # what scikit-learn draws from has no name there: its mean over many draws
    h = np.tile(np.rint(h[:1]), (4000, 1))
    drawn = theirs._sample_visibles(h, np.random.RandomState(0)).mean(axis=0)
    np.testing.assert_allclose(ours.visible_probabilities(h[:1])[0], drawn, atol=0.04)


def test_the_free_energy_sums_the_energies_over_all_hidden_states():
    ours, v = machine(5, 4), bits(6, 5)
    states = np.array(list(itertools.product([0, 1], repeat=4)))
    energies = [ours.energy(v, np.tile(h, (6, 1))) for h in states]
    np.testing.assert_allclose(
        ours.free_energy(v), -np.logaddexp.reduce(-np.array(energies)), rtol=1e-5
    )


def test_gibbs_sampling_draws_from_the_machine_and_keeps_what_is_clamped():
    ours = machine(3, 2)
    states = np.array(list(itertools.product([0, 1], repeat=3)), np.float32)
    p = np.exp(-ours.free_energy(states) - exact_log_z(ours))
    drawn = boltzmann.sample(ours, np.zeros((6000, 3)), 30, seed=1)
    found = np.bincount((drawn @ [4, 2, 1]).astype(int), minlength=8) / 6000
    np.testing.assert_allclose(found, p, atol=0.03)
    held = boltzmann.sample(
        ours, np.ones((6000, 3)), 30, seed=1, clamped=np.array([True, False, False])
    )
    assert (held[:, 0] == 1).all()
    given = p[4:] / p[4:].sum()
    found = np.bincount((held[:, 1:] @ [2, 1]).astype(int), minlength=4) / 6000
    np.testing.assert_allclose(found, given, atol=0.03)


def test_samples_depend_on_the_seed_and_on_nothing_else():
    ours, start = machine(6, 3), bits(20, 6)
    first = boltzmann.sample(ours, start, 5, seed=3)
    tf.random.uniform(())
    assert np.array_equal(first, boltzmann.sample(ours, start, 5, seed=3))
    assert not np.array_equal(first, boltzmann.sample(ours, start, 5, seed=4))


# --- learning


def change(start, images, dreams, *, centred=False, restart=0.0):
    """What one update adds to the three arrays, where the dreams are given."""
    parameters = [tf.Variable(a) for a in (start.weights, start.visible_bias, start.hidden_bias)]
    means = [tf.Variable(np.full(n, 0.3 * centred, np.float32)) for n in start.weights.shape]
    chains = tf.Variable(dreams)
    boltzmann._update(
        parameters, means, chains, 1, restart, centred, False,
        tf.constant(images), tf.constant(1.0), 0.0, tf.constant([0, 0], tf.int64),
    )  # fmt: skip
    before = (start.weights, start.visible_bias, start.hidden_bias)
    changes = [after.numpy() - array for after, array in zip(parameters, before, strict=True)]
    return changes, chains.numpy(), [mean.numpy() for mean in means]


def log_likelihood(arrays, images):
    ours = RBM(*arrays)
    return -ours.free_energy(images).mean(dtype=float) - exact_log_z(ours)


def test_an_update_climbs_the_exact_log_likelihood():
    """With dreams drawn from the machine itself, it is the gradient, up to the chance of them."""
    start, images = machine(4, 3, 0.5), bits(40, 4, seed=1)
    images = np.tile(images, (500, 1))
    states = np.array(list(itertools.product([0, 1], repeat=4)), np.float32)
    p = np.exp(-start.free_energy(states) - exact_log_z(start))
    dreams = states[np.random.default_rng(0).choice(16, len(images), p=p / p.sum())]
    found, _, _ = change(start, images, dreams)
    arrays = [start.weights, start.visible_bias, start.hidden_bias]
    for which, gradient in enumerate(found):
        for place in np.ndindex(gradient.shape):
            ends = []
            for step in (0.02, -0.02):
                moved = [array.astype(np.float64) for array in arrays]
                moved[which][place] += step
                ends.append(log_likelihood(moved, images[:40]))
            slope = (ends[0] - ends[1]) / 0.04
            assert gradient[place] == pytest.approx(slope, abs=0.02)


def test_the_centred_update_is_that_of_melchior_and_others():
    """Written out from their equations, with outer products and without shortcuts."""
    start, images = machine(5, 3), bits(8, 5, seed=1)
    found, dreams, (mu, lam) = change(start, images, bits(8, 5, seed=2), centred=True)
    h, h_dreamt = start.hidden_probabilities(images), start.hidden_probabilities(dreams)
    np.testing.assert_allclose(mu, 0.3 + 0.01 * (images.mean(axis=0) - 0.3), rtol=1e-5)
    np.testing.assert_allclose(lam, 0.3 + 0.01 * (h.mean(axis=0) - 0.3), rtol=1e-5)
    weights = np.mean(
        [np.outer(a - mu, b - lam) for a, b in zip(images, h, strict=True)]
        - np.array([np.outer(a - mu, b - lam) for a, b in zip(dreams, h_dreamt, strict=True)]),
        axis=0,
    )
    visible = images.mean(axis=0) - dreams.mean(axis=0) - weights @ lam
    hidden = h.mean(axis=0) - h_dreamt.mean(axis=0) - weights.T @ mu
    for ours, expected in zip(found, (weights, visible, hidden), strict=True):
        np.testing.assert_allclose(ours, expected, atol=1e-5)


@pytest.mark.parametrize("restart", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("centred", [True, False])
def test_training_makes_images_more_likely(restart, centred):
    images = np.tile(np.kron(np.eye(2), np.ones((1, 4))), (20, 1))
    seen = []
    trained = boltzmann.train(
        images, 3, epochs=100, batch_size=10, learning_rate=0.2, restart=restart,
        centred=centred, seed=0, watch=lambda epoch, ours: seen.append(epoch),
    )  # fmt: skip
    assert seen == list(range(1, 101))
    arrays = trained.weights, trained.visible_bias, trained.hidden_bias
    at_first = -8 * np.log(2)
    assert log_likelihood(arrays, images) > at_first + 3


@pytest.mark.parametrize(("restart", "moved"), [(0.0, 0.0), (0.3, 0.3), (1.0, 1.0)])
def test_a_share_of_the_chains_begins_anew_at_the_images(restart, moved):
    """Units that copy: weights so strong that a Gibbs step keeps every bit."""
    n, units = 2000, 6
    copies = RBM(60 * np.eye(units), np.full(units, -30.0), np.full(units, -30.0))
    _, dreams, _ = change(
        copies, np.ones((n, units), "f"), np.zeros((n, units), "f"), restart=restart
    )
    assert set(np.unique(dreams.mean(axis=1))) <= {0, 1}
    assert dreams.mean() == pytest.approx(moved, abs=0.04)


def test_gray_images_are_drawn_anew():
    gray = np.full((40, 6), 0.25)
    trained = boltzmann.train(gray, 2, epochs=50, batch_size=10, learning_rate=0.1, seed=0)
    fair = independent(gray).visible_bias
    np.testing.assert_allclose(trained.visible_bias, fair, atol=0.6)


def test_weight_decay_keeps_weights_small():
    images = np.tile(np.kron(np.eye(2), np.ones((1, 4))), (20, 1))
    how = {"epochs": 60, "batch_size": 10, "learning_rate": 0.2, "seed": 0}
    free, held = (
        np.abs(boltzmann.train(images, 3, weight_decay=decay, **how).weights).mean()
        for decay in (0.0, 0.05)
    )
    assert held < 0.8 * free


def test_a_training_that_diverges_says_so():
    with pytest.raises(RuntimeError, match="no longer numbers after epoch 1"):
        boltzmann.train(
            bits(90, 6), 3, epochs=1, batch_size=1, learning_rate=1.0, weight_decay=30.0
        )


# --- how likely


def test_log_z_is_that_of_all_states_counted():
    ours = machine(4, 3)
    states = [np.array(list(itertools.product([0, 1], repeat=n))) for n in (4, 3)]
    pairs = [(v, h) for v in states[0] for h in states[1]]
    v, h = (np.array(part) for part in zip(*pairs, strict=True))
    assert exact_log_z(ours) == pytest.approx(np.logaddexp.reduce(-ours.energy(v, h)), abs=1e-4)
    turned = RBM(ours.weights.T, ours.hidden_bias, ours.visible_bias)
    assert exact_log_z(turned) == pytest.approx(exact_log_z(ours), abs=1e-4)


def test_ais_finds_the_exact_log_z_of_20_hidden_units():
    ours = machine(60, 20, 0.3)
    base = independent(bits(10, 60), 20)
    assert ais_log_z(ours, base, steps=1000, seed=0) == pytest.approx(exact_log_z(ours), abs=0.1)


def test_forward_and_backward_agree_with_the_exact_likelihood():
    ours = machine(20, 10, 0.5)
    base, v = independent(bits(10, 20), 10), boltzmann.sample(ours, bits(100, 20), 100, seed=0)
    exact = -ours.free_energy(v).mean() - exact_log_z(ours)
    above = -ours.free_energy(v).mean() - ais_log_z(ours, base, steps=500, seed=0)
    below = reverse_ais(ours, v, base, steps=500, seed=0).mean()
    assert above == pytest.approx(exact, abs=0.1)
    assert below == pytest.approx(exact, abs=0.2)


def test_where_chains_do_not_mix_the_two_bounds_part():
    """Two modes far apart, and few temperatures: forward flatters, backward does not."""
    ours = RBM(np.full((30, 2), 2.0), np.full(30, -2.0), np.full(2, -25.0))
    base = RBM(np.zeros((30, 2)), np.full(30, -3.0), np.zeros(2))
    v = np.ones((10, 30))
    exact = -ours.free_energy(v).mean() - exact_log_z(ours)
    above = -ours.free_energy(v).mean() - ais_log_z(ours, base, steps=10, chains=10, seed=0)
    below = reverse_ais(ours, v, base, steps=10, seed=0).mean()
    assert below < exact - 1 and above > exact + 1


def test_a_machine_without_weights_needs_no_estimate():
    base, v = independent(bits(30, 8), 5), bits(7, 8)
    exact = -base.free_energy(v) - exact_log_z(base)
    np.testing.assert_allclose(reverse_ais(base, v, base, steps=3, seed=0), exact, atol=1e-4)
    mean = bits(30, 8).sum(axis=0) + 1
    p = mean / 32
    np.testing.assert_allclose(
        exact, (v * np.log(p) + (1 - v) * np.log(1 - p)).sum(axis=1), atol=1e-4
    )


# --- several layers


def test_a_deep_net_goes_up_and_down_layer_by_layer():
    low, high = machine(6, 4), machine(4, 3, seed=1)
    net = DBN([low, high])
    v, h = bits(5, 6), bits(5, 4)
    expected = high.hidden_probabilities(low.hidden_probabilities(v))
    np.testing.assert_array_equal(net.hidden_probabilities(v), expected)
    np.testing.assert_array_equal(net.visible_probabilities(h), low.visible_probabilities(h))


def test_each_layer_of_a_deep_net_learns_from_the_one_below():
    images = bits(40, 6)
    how = {"epochs": 2, "batch_size": 10, "seed": 0}
    net = boltzmann.train_dbn(images, [4, 3], **how)
    alone = boltzmann.train(images, 4, **how)
    np.testing.assert_array_equal(net.machines[0].weights, alone.weights)
    above = boltzmann.train(alone.hidden_probabilities(images), 3, **how)
    np.testing.assert_array_equal(net.machines[1].weights, above.weights)


# --- arguments


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: RBM(np.ones((2, 3)), np.ones(3), np.ones(2)), r"must have shapes .*\(2, 3\), \(3"),
        (lambda: RBM([[np.nan]], [0], [0]), "weights must hold finite values"),
        (lambda: machine(4, 2).free_energy([[2, 0, 0, 0]]), r"v must hold values in \[0, 1\]"),
        (lambda: machine(4, 2).free_energy([[1, 0]]), "v must have 4 units, not 2"),
        (lambda: exact_log_z(machine(30, 30)), "at most 22 units in one layer, not 30"),
        (lambda: ais_log_z(machine(4, 2), machine(4, 2)), "base must be a machine without weights"),
        (lambda: ais_log_z(machine(4, 2), independent(bits(3, 4), 3)), "4 visible and 2 hidden"),
        (lambda: DBN([machine(4, 2), machine(3, 2)]), "machines must stand on each other"),
        (lambda: DBN([]), "machines must stand on each other"),
        (lambda: boltzmann.train(bits(5, 4), 2, epochs=1), "batch_size must be .* from 1 to 5"),
        (
            lambda: boltzmann.train(bits(5, 4), 2, epochs=1, batch_size=5, start=machine(4, 3)),
            "start must have 4 visible and 2 hidden units",
        ),
        (lambda: boltzmann.sample(machine(4, 2), bits(1, 4), 1, clamped=[1]), "clamped must be 4"),
        (lambda: boltzmann.sample("rbm", bits(1, 4), 1), "machine must be an RBM, not a str"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

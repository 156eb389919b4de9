import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss

from helpers import confidence


def two_classes(values):
    """Probabilities (n, 2) whose first class has these values."""
    values = np.asarray(values, dtype=float)
    return np.stack([values, 1 - values], axis=1)


def drawn(n, seed, spread=3.0):
    rng = np.random.default_rng(seed)
    p = softmax(spread * rng.normal(size=(n, 10)), axis=1)
    y = np.array([rng.choice(10, p=row) for row in p])
    return p, y


def test_confidence_is_the_largest_probability():
    assert np.allclose(confidence.max_probability([[0.2, 0.8], [0.6, 0.4]]), [0.8, 0.6])


def test_quantiles_of_a_case_done_by_hand():
    p = two_classes([0.5, 0.6, 0.7, 0.8, 0.9])
    table = confidence.quantiles(p, (0.0, 0.25, 0.5, 1.0))
    assert isinstance(table, pd.Series)
    assert list(table.index) == ["Q00", "Q25", "Q50", "Q100"]
    assert np.allclose(table, [0.5, 0.6, 0.7, 0.9])
    assert list(confidence.quantiles(p).index) == ["Q05", "Q10", "Q25", "Q50", "Q75"]


def test_reliability_and_ece_of_a_case_done_by_hand():
    # two bins: (0.5, 0.75] holds .6 right and .7 wrong, (0.75, 1] holds .9, .9, 1.0, all right
    p = two_classes([0.6, 0.7, 0.9, 0.9, 1.0])
    y = np.array([0, 1, 0, 0, 0])
    table = confidence.reliability(p, y, bins=4)
    assert np.allclose(table["low"], [0.5, 0.75])
    assert np.allclose(table["high"], [0.75, 1.0])
    assert list(table["count"]) == [2, 3]
    assert np.allclose(table["confidence"], [0.65, 2.8 / 3])
    assert np.allclose(table["accuracy"], [0.5, 1.0])
    expected = 2 / 5 * abs(0.5 - 0.65) + 3 / 5 * abs(1 - 2.8 / 3)
    assert np.isclose(confidence.ece(p, y, bins=4), expected)


def test_over_and_under_confidence_do_not_cancel():
    p = two_classes([0.6] * 10 + [0.95] * 10)
    y = np.array([0] * 9 + [1] + [0] * 6 + [1] * 4)
    assert np.isclose(confidence.ece(p, y), 0.5 * 0.3 + 0.5 * 0.35)


def test_a_value_on_an_edge_belongs_to_the_bin_below():
    table = confidence.reliability(two_classes([0.8, 0.8]), np.array([0, 0]), bins=5)
    assert np.allclose(table[["low", "high"]], [[0.6, 0.8]])


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 60), bins=st.integers(1, 40), seed=st.integers(0, 10_000))
def test_calibration_error_is_a_share(n, bins, seed):
    p, y = drawn(n, seed)
    table = confidence.reliability(p, y, bins)
    assert table["count"].sum() == n
    assert np.all((table["confidence"] > table["low"]) & (table["confidence"] <= table["high"]))
    assert 0 <= confidence.ece(p, y, bins) <= 1


def test_a_calibrated_model_has_a_small_error():
    p, y = drawn(20_000, 0)
    assert confidence.ece(p, y) < 0.015
    assert confidence.ece(softmax(3 * np.log(p), axis=1), y) > 0.1


@pytest.mark.parametrize("truth", [0.5, 1.0, 2.5])
def test_temperature_finds_the_one_that_was_put_in(truth):
    p, y = drawn(20_000, 1)
    bent = confidence.scale(p, 1 / truth)
    found = confidence.temperature(bent, y)
    assert np.isclose(found, truth, rtol=0.05)
    assert log_loss(y, confidence.scale(bent, found)) <= log_loss(y, bent) + 1e-9


@settings(max_examples=20, deadline=None)
@given(t=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_scaling_keeps_the_order_and_the_sum(t, seed):
    p, _ = drawn(5, seed, spread=1.0)
    scaled = confidence.scale(p, t)
    assert np.allclose(scaled.sum(axis=1), 1)
    assert np.array_equal(scaled.argmax(axis=1), p.argmax(axis=1))
    assert np.all((scaled.max(axis=1) >= p.max(axis=1)) == (t <= 1))


def test_zeros_survive_the_scaling():
    scaled = confidence.scale([[1.0, 0.0]], 2.0)
    assert np.isfinite(scaled).all()


P = np.array([[0.2, 0.8], [0.6, 0.4]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: confidence.max_probability([0.2, 0.8]), r"p must have shape \(n, classes\)"),
        (lambda: confidence.max_probability([[2.0, -1.0]]), "p must hold probabilities"),
        (lambda: confidence.max_probability([[5.0, 1.0]]), "are these logits"),
        (lambda: confidence.max_probability([[np.nan, 1.0]]), "p must hold probabilities"),
        (lambda: confidence.quantiles(P, (5, 95)), r"q must be a sequence of numbers in \[0, 1\]"),
        (lambda: confidence.ece(P, [0]), "y must be 2 integer labels"),
        (lambda: confidence.ece(P, [0, 2]), r"y must lie in 0..1, not 0..2"),
        (lambda: confidence.reliability(P, [0, 1], bins=0), "bins must be 1 or more, not 0"),
        (lambda: confidence.temperature(P, [0.0, 1.0]), "y must be 2 integer labels"),
        (lambda: confidence.scale(P, 0), "t must be positive and finite, not 0"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()

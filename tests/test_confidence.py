import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.metrics import log_loss

from helpers import confidence
from helpers.session import ROOT


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


def test_edges_of_bins_may_be_given_and_quantiles_make_bins_of_equal_mass():
    p, y = drawn(1000, 4)
    m = p.max(axis=1)
    edges = [0, *np.quantile(m, np.linspace(0, 1, 11))[1:]]
    table = confidence.reliability(p, y, edges)
    assert list(table["count"]) == [100] * 10
    assert np.allclose(table["high"], edges[1:])
    inside = (m > edges[3]) & (m <= edges[4])
    assert np.isclose(table["confidence"][3], m[inside].mean())
    assert np.isclose(confidence.ece(p, y, np.linspace(0, 1, 16)), confidence.ece(p, y, 15))


@pytest.mark.parametrize("bins", [[0, 0.5, 0.5, 1], [1, 0], [0.5], [0, 0.8], [0.95, 1], 0, 1.5])
def test_bins_that_cannot_hold_every_image_once_are_refused(bins):
    with pytest.raises(ValueError, match="bins must"):
        confidence.reliability(two_classes([0.9]), np.array([0]), bins)


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


def test_there_are_15_bins_unless_another_number_is_asked_for():
    p, y = drawn(300, 2)
    assert confidence.ece(p, y) == confidence.ece(p, y, bins=15)
    assert confidence.reliability(p, y).equals(confidence.reliability(p, y, bins=15))
    # bins of 1/15: values just below and just above 14/15 are apart, those around .9 are not
    table = confidence.reliability(two_classes([0.9, 0.93, 0.935]), np.zeros(3, int))
    assert list(table["count"]) == [2, 1]
    assert np.allclose(table["high"], [14 / 15, 1])


@pytest.mark.parametrize("truth", [0.06, 0.5, 1.0, 2.5, 15.0])
def test_temperature_finds_the_one_that_was_put_in(truth):
    # so mild that even at 1 / 15 of its temperature nothing comes near 0 or 1
    p, y = drawn(20_000, 1, spread=0.5 if truth > 10 else 3.0)
    bent = confidence.apply_temperature(p, 1 / truth)
    found = confidence.temperature(bent, y)
    assert np.isclose(found, truth, rtol=0.05)
    assert log_loss(y, confidence.apply_temperature(bent, found)) <= log_loss(y, bent) + 1e-9


@settings(max_examples=20, deadline=None)
@given(t=st.floats(0.1, 10), seed=st.integers(0, 1000))
def test_scaling_keeps_the_order_and_the_sum(t, seed):
    p, _ = drawn(5, seed, spread=1.0)
    scaled = confidence.apply_temperature(p, t)
    assert np.allclose(scaled.sum(axis=1), 1)
    assert np.array_equal(scaled.argmax(axis=1), p.argmax(axis=1))
    assert np.all((scaled.max(axis=1) - p.max(axis=1)) * (1 - t) >= -1e-12)


@pytest.mark.parametrize(("y", "bound"), [(0, 0.05), (1, 20)])
def test_a_temperature_without_end_stops_at_its_bound(y, bound):
    """Always right with 60 % would be right with any more confidence, always wrong with less."""
    found = confidence.temperature(two_classes([0.6] * 20), np.full(20, y))
    assert np.isclose(found, bound, rtol=0.02)


def test_zeros_survive_another_temperature():
    scaled = confidence.apply_temperature([[1.0, 0.0]], 2.0)
    assert np.allclose(scaled, [[1, 1e-6]], atol=1e-5)
    assert np.isfinite(confidence.temperature([[1.0, 0.0]] * 2, [0, 1]))


def test_a_temperature_of_logits_finds_what_the_floor_of_p_would_hide():
    p, y = drawn(20_000, 1)
    logits = 18 * np.log(p)
    assert np.isclose(confidence.temperature_of_logits(logits, y), 18, rtol=0.05)
    assert confidence.temperature(softmax(logits, axis=1), y) < 12
    assert np.isclose(confidence.temperature(p, y), confidence.temperature_of_logits(np.log(p), y))


def test_logits_that_are_none_are_refused():
    for logits in ([1.0, 2.0], [[1.0, np.inf]]):
        with pytest.raises(ValueError, match="logits must be"):
            confidence.temperature_of_logits(logits, np.array([0]))


def test_risk_of_ties_is_the_mean_over_random_orders():
    m = np.array([0.9, 0.9, 0.9, 0.7, 0.7, 0.6])
    y = np.array([0, 1, 0, 0, 1, 0])
    coverage, risk = confidence.risk_coverage(two_classes(m), y)
    rng, runs = np.random.default_rng(0), []
    for _ in range(4000):
        order = np.lexsort((rng.random(6), -m))
        runs.append(np.cumsum(y[order]) / np.arange(1, 7))
    assert np.allclose(coverage, np.arange(1, 7) / 6)
    assert np.allclose(risk, np.mean(runs, axis=0), atol=0.03)
    assert np.isclose(confidence.aurc(two_classes(m), y), risk.mean())


def test_normalised_area_is_0_for_the_best_order_and_1_for_ties_everywhere():
    y = np.array([0] * 7 + [1] * 3)
    best = two_classes(np.linspace(0.95, 0.55, 10))
    assert np.isclose(confidence.aurc(best, y, normalised=True), 0)
    assert np.isclose(confidence.aurc(two_classes(np.full(10, 0.7)), y, normalised=True), 1)
    assert confidence.aurc(best, y[::-1], normalised=True) > 1
    assert np.isnan(confidence.aurc(best, np.zeros(10, int), normalised=True))


def test_scores_do_not_need_tensorflow():
    code = (
        "import sys, helpers.confidence; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n"

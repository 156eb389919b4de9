"""How sure a classifier is, and whether it has a right to be."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from helpers import validation

LOG_T = (-3, 3)  # temperatures from 0.05 to 20 are tried
SMALLEST = 1e-12  # a probability of 0 has no logarithm


def max_probability(p):
    """Confidence m(x) = max_i p_i(x) of each image.

    Parameters
    ----------
    p : array of shape (n, classes), probabilities

    Returns
    -------
    array of shape (n,), values in [1 / classes, 1]

    Examples
    --------
    >>> max_probability([[0.25, 0.75], [1.0, 0.0]])
    array([0.75, 1.  ])
    """
    return _probabilities(p).max(axis=1)


def quantiles(p, q=(0.05, 0.10, 0.25, 0.50, 0.75)):
    """Quantiles of the confidence m(x).

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    q : sequence of float in [0, 1]

    Returns
    -------
    pandas.Series, indexed ``"Q05"``, ``"Q10"``, ...

    Examples
    --------
    >>> quantiles([[0.25, 0.75], [1.0, 0.0]], q=[0.5]).to_dict()
    {'Q50': 0.875}
    """
    q = validation.numbers(q, "q", 0, 1)
    names = [f"Q{round(100 * value):02d}" for value in q]
    return pd.Series(np.quantile(max_probability(p), q), index=names)


def reliability(p, y, bins=15):
    """Compare confidence with accuracy, in bins.

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    y : array of shape (n,), labels
    bins : int, or sequence of float in [0, 1]
        Number of bins of equal width between 0 and 1, or the edges of the bins, rising; a value
        on an edge belongs to the bin below. Quantiles of m(x) as edges give bins of equal mass.

    Returns
    -------
    pandas.DataFrame with one row for each bin that is not empty
        ``low`` and ``high`` (edges), ``count``, ``confidence`` (mean m(x) in the bin),
        ``accuracy`` (share of correct images in the bin).

    Raises
    ------
    ValueError
        If edges do not rise, or a confidence lies outside of them.

    Examples
    --------
    >>> reliability([[0.25, 0.75], [1.0, 0.0]], [0, 0], bins=2).to_dict("list")
    {'low': [0.5], 'high': [1.0], 'count': [2], 'confidence': [0.875], 'accuracy': [0.5]}
    >>> reliability([[0.25, 0.75], [1.0, 0.0]], [0, 0], bins=[0, 0.9, 1])["count"].to_list()
    [1, 1]
    """
    p = _probabilities(p)
    y = validation.labels(y, "y", len(p), p.shape[1])
    m, correct = p.max(axis=1), p.argmax(axis=1) == y
    edges = _edges(bins, m)
    place = np.clip(np.digitize(m, edges, right=True) - 1, 0, len(edges) - 2)
    table = pd.DataFrame({"bin": place, "confidence": m, "accuracy": correct})
    table = table.groupby("bin").agg(
        count=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    table.insert(0, "low", edges[table.index])
    table.insert(1, "high", edges[table.index + 1])
    return table.reset_index(drop=True)


def ece(p, y, bins=15):
    """Mean |accuracy - confidence| of the bins, weighted by count: expected calibration error.

    Parameters
    ----------
    p, y, bins : as in `reliability`

    Returns
    -------
    float in [0, 1]; 0 is perfectly calibrated

    Notes
    -----
    Naeini, Cooper and Hauskrecht (2015); Guo et al. (2017), equation 3.

    Examples
    --------
    >>> ece([[0.25, 0.75], [1.0, 0.0]], [1, 0])
    0.125
    """
    table = reliability(p, y, bins)
    gap = (table["accuracy"] - table["confidence"]).abs()
    return float(np.average(gap, weights=table["count"]))


def temperature(p, y):
    """Fit the temperature T that makes softmax(log(p) / T) least surprised by the labels.

    Parameters
    ----------
    p : array of shape (n, classes), probabilities on validation data
    y : array of shape (n,), labels

    Returns
    -------
    float from 0.05 to 20; above 1 the model was too sure, below 1 not sure enough

    Notes
    -----
    Guo et al. (2017). For a softmax model log p differs from the logits by a constant in each
    row, so this equals the scaling of the logits. Zeros are raised to 1e-12.

    Examples
    --------
    >>> too_sure = [[0.99, 0.01]] * 10
    >>> round(temperature(too_sure, [0] * 9 + [1]), 2)  # log(99) / log(9)
    2.09
    """
    p = _probabilities(p)
    y = validation.labels(y, "y", len(p), p.shape[1])

    def log_loss(log_t):
        scaled = apply_temperature(p, np.exp(log_t))
        return -np.mean(np.log(np.maximum(scaled[np.arange(len(y)), y], SMALLEST)))

    return float(np.exp(minimize_scalar(log_loss, bounds=LOG_T, method="bounded").x))


def apply_temperature(p, t):
    """Probabilities at another temperature: softmax(log(p) / t).

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    t : float, > 0

    Returns
    -------
    array of shape (n, classes); rows sum to 1 and keep their order

    Examples
    --------
    >>> apply_temperature([[0.8, 0.2]], 0.5).round(3)
    array([[0.941, 0.059]])
    """
    p = _probabilities(p)
    t = validation.number(t, "t", above=0)
    return softmax(np.log(np.maximum(p, SMALLEST)) / t, axis=1)


def _probabilities(p):
    return validation.probabilities(p, "p").astype(float)


def _edges(bins, m):
    """Return the edges of bins that hold all of m."""
    if np.ndim(bins) == 0:
        return np.linspace(0, 1, validation.whole_number(bins, "bins", 1) + 1)
    edges = validation.numbers(bins, "bins", 0, 1)
    if len(edges) < 2 or np.any(np.diff(edges) <= 0):
        raise ValueError(f"bins must be a number, or edges that rise, not {bins!r}")
    if m.min() < edges[0] or m.max() > edges[-1] + 1e-6:  # float32 may pass 1 by a rounding error
        raise ValueError(
            f"bins must hold every m(x), from {m.min():.6g} to {m.max():.6g}; they end at "
            f"{edges[0]:g} and {edges[-1]:g}"
        )
    return edges

"""How sure a classifier is, and whether it has a right to be."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

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


def risk_coverage(p, y):
    """Share of mistakes among the surest images, for every number of images kept.

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    y : array of shape (n,), labels

    Returns
    -------
    coverage, risk : arrays of shape (n,)
        The share of the images kept, 1 / n to 1, and the share of mistakes among them. Images
        with the same m(x) count as in a random order: the risk is its mean over all orders.

    Notes
    -----
    El-Yaniv and Wiener (2010); Geifman and El-Yaniv (2017).

    Examples
    --------
    >>> coverage, risk = risk_coverage([[0.9, 0.1], [0.6, 0.4], [0.6, 0.4]], [0, 0, 1])
    >>> risk.round(3)  # of the two with 0.6, one is wrong: half a mistake each
    array([0.   , 0.25 , 0.333])
    """
    p = _probabilities(p)
    y = validation.labels(y, "y", len(p), p.shape[1])
    _, place, count = np.unique(-p.max(axis=1), return_inverse=True, return_counts=True)
    mistakes = np.bincount(place, weights=p.argmax(axis=1) != y)
    kept = np.arange(1, len(p) + 1)
    return kept / len(p), np.cumsum(np.repeat(mistakes / count, count)) / kept


def aurc(p, y, normalised=False):
    """Area under the risk-coverage curve: the mean risk over all shares kept.

    Parameters
    ----------
    p, y : as in `risk_coverage`
    normalised : bool
        If true, 0 stands for an order that puts all mistakes last, and 1 for a random order, so
        that models of different accuracy can be compared.

    Returns
    -------
    float; NaN if normalised and all answers are right, or all wrong

    Notes
    -----
    The excess over the best order is the E-AURC of Geifman, Uziel and El-Yaniv (2019).

    Examples
    --------
    >>> aurc([[0.9, 0.1], [0.8, 0.2]], [0, 1])
    0.25
    >>> aurc([[0.9, 0.1], [0.8, 0.2]], [0, 1], normalised=True)
    0.0
    """
    _, risk = risk_coverage(p, y)
    area = risk.mean()
    if not validation.flag(normalised, "normalised"):
        return float(area)
    wrong, kept = round(risk[-1] * len(risk)), np.arange(1, len(risk) + 1)
    best = np.mean(np.maximum(kept - len(risk) + wrong, 0) / kept)
    span = risk[-1] - best
    return float((area - best) / span) if span > 0 else float("nan")


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
    row, so this equals the scaling of the logits. Zeros are raised to 1e-12: where many p are
    smaller than that, take `temperature_of_logits`.

    Examples
    --------
    >>> too_sure = [[0.99, 0.01]] * 10
    >>> round(temperature(too_sure, [0] * 9 + [1]), 2)  # log(99) / log(9)
    2.09
    """
    return temperature_of_logits(np.log(np.maximum(_probabilities(p), SMALLEST)), y)


def temperature_of_logits(logits, y):
    """Fit the temperature T that makes softmax(logits / T) least surprised by the labels.

    Parameters
    ----------
    logits : array of shape (n, classes)
    y : array of shape (n,), labels

    Returns
    -------
    float from 0.05 to 20

    Examples
    --------
    >>> round(temperature_of_logits([[40.0, 0.0]] * 10, [0] * 9 + [1]), 2)  # 40 / log(9)
    18.2
    """
    logits = np.asarray(logits)
    if logits.dtype.kind not in "fiu" or logits.ndim != 2 or not np.isfinite(logits).all():
        raise ValueError(
            "logits must be finite numbers of shape (n, classes), "
            f"not {logits.dtype} of shape {logits.shape}"
        )
    y = validation.labels(y, "y", *logits.shape)

    def log_loss(log_t):
        return -log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(y)), y].mean()

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

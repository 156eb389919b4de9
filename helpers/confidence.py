"""How sure a classifier is, and whether it has a right to be."""

from __future__ import annotations

import numpy as np
import pandas as pd


def check_p(p):
    """Return probabilities as an array (n, classes), or raise a ValueError."""
    p = np.asarray(p, dtype=float)
    if p.ndim != 2 or len(p) == 0:
        raise ValueError(f"p must have shape (n, classes), n >= 1, not {p.shape}")
    if not np.all(np.isfinite(p)) or p.min() < 0 or not np.allclose(p.sum(axis=1), 1, atol=1e-3):
        raise ValueError(
            "p must hold probabilities: rows that are not negative and sum to 1. "
            f"Its first row sums to {p[0].sum():.3g}; are these logits?"
        )
    return p


def check_labels(y, p):
    """Return labels that fit the probabilities, or raise a ValueError."""
    y = np.asarray(y)
    if y.shape != (len(p),) or y.dtype.kind not in "iu":
        raise ValueError(f"y must be {len(p)} integer labels, not {y.dtype} of shape {y.shape}")
    if y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"y must lie in 0..{p.shape[1] - 1}, not {y.min()}..{y.max()}")
    return y


def max_probability(p):
    """Confidence m(x) = max_i p_i(x) of each image.

    Parameters
    ----------
    p : array of shape (n, classes), probabilities

    Returns
    -------
    array of shape (n,), values in [1 / classes, 1]
    """
    return check_p(p).max(axis=1)


def quantiles(p, q=(0.05, 0.10, 0.25, 0.50, 0.75)):
    """Quantiles of the confidence m(x).

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    q : sequence of float in [0, 1]

    Returns
    -------
    pandas.Series, indexed ``"Q05"``, ``"Q10"``, ...
    """
    q = np.asarray(q, dtype=float)
    if q.ndim != 1 or not np.all((q >= 0) & (q <= 1)):
        raise ValueError(f"q must be a sequence of numbers in [0, 1], not {q.tolist()}")
    names = [f"Q{round(100 * value):02d}" for value in q]
    return pd.Series(np.quantile(max_probability(p), q), index=names)


def reliability(p, y, bins=15):
    """Compare confidence with accuracy, in bins of equal width.

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    y : array of shape (n,), labels
    bins : int
        Number of bins between 0 and 1; a value on an edge belongs to the bin below.

    Returns
    -------
    pandas.DataFrame with one row for each bin that is not empty
        ``low`` and ``high`` (edges), ``count``, ``confidence`` (mean m(x) in the bin),
        ``accuracy`` (share of correct images in the bin).
    """
    p = check_p(p)
    y = check_labels(y, p)
    if bins < 1:
        raise ValueError(f"bins must be 1 or more, not {bins!r}")
    m, correct = p.max(axis=1), p.argmax(axis=1) == y
    edges = np.linspace(0, 1, bins + 1)
    place = np.clip(np.digitize(m, edges, right=True) - 1, 0, bins - 1)
    table = pd.DataFrame({"bin": place, "confidence": m, "accuracy": correct})
    table = table.groupby("bin").agg(
        count=("accuracy", "size"), confidence=("confidence", "mean"), accuracy=("accuracy", "mean")
    )
    table.insert(0, "low", edges[table.index])
    table.insert(1, "high", edges[table.index + 1])
    return table.reset_index(drop=True)


def ece(p, y, bins=15):
    """Expected calibration error: mean |accuracy - confidence| of the bins, weighted by count.

    Parameters
    ----------
    p, y, bins : as in `reliability`

    Returns
    -------
    float in [0, 1]; 0 is perfectly calibrated

    Notes
    -----
    Naeini, Cooper and Hauskrecht (2015); Guo et al. (2017), equation 3.
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
    float, > 0; above 1 the model was too sure, below 1 not sure enough

    Notes
    -----
    Guo et al. (2017). For a softmax model log p differs from the logits by a constant in each
    row, so this equals the scaling of the logits. Zeros are raised to 1e-12.
    """
    from scipy.optimize import minimize_scalar

    p = check_p(p)
    y = check_labels(y, p)

    def log_loss(log_t):
        scaled = scale(p, np.exp(log_t))
        return -np.mean(np.log(np.maximum(scaled[np.arange(len(y)), y], 1e-12)))

    return float(np.exp(minimize_scalar(log_loss, bounds=(-3, 3), method="bounded").x))


def scale(p, t):
    """Probabilities at another temperature: softmax(log(p) / t).

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    t : float, > 0

    Returns
    -------
    array of shape (n, classes); rows sum to 1 and keep their order
    """
    p = check_p(p)
    if not 0 < t < np.inf:
        raise ValueError(f"t must be positive and finite, not {t!r}")
    from scipy.special import softmax

    return softmax(np.log(np.maximum(p, 1e-12)) / t, axis=1)

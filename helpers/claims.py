"""What notebooks say about themselves.

`claim` states what a notebook has found, and fails when it is no longer true. `within` compares
a number with what eight other seeds gave.
"""

from __future__ import annotations

import json
import math
import os
import statistics

import numpy as np
from scipy import stats

from helpers import records as bands
from helpers import session


def claim(sentence, condition, detail=""):
    """State what was found, and test it.

    Prints ``✓ sentence`` if it is true: the same characters on every run, so that a test can
    compare them. If it is false, it raises under pytest and under ``run``; in front of a person
    it prints what was measured, because a changed value may be the reader's own finding.

    Parameters
    ----------
    sentence : str
        What is claimed, without any measured number.
    condition : bool
    detail : str, optional
        What was measured; shown only if the claim fails.

    Raises
    ------
    AssertionError
        If the claim is false and no person is watching.
    TypeError
        If `condition` is not one truth value.
    """
    if not isinstance(condition, bool | np.bool_):
        what = f" of shape {condition.shape}" if isinstance(condition, np.ndarray) else ""
        raise TypeError(
            f"condition must be True or False, not {type(condition).__name__}{what}, "
            f"in the claim {sentence!r}"
        )
    if condition:
        print(f"✓ {sentence}")
    elif session.interactive():
        print(f"✗ {sentence}")
        if detail:
            print(f"  Measured: {detail}")
        print("  If you changed a value above, this is your finding.")
    else:
        raise AssertionError(f"{sentence} (measured: {detail})" if detail else sentence)


def skipped(sentence, reason):
    """Say that a claim was not tested, and why: for what holds on the full data only.

    Parameters
    ----------
    sentence : str
        The claim.
    reason : str
        Why the sample cannot show it.
    """
    print(f"– not checked on the sample: {sentence} ({reason})")


def within(name, value):
    """Whether a measured number lies where eight other seeds put it, in this profile.

    With ``$COURSE_RECORD`` set, the number is noted in that file instead (see `bands.merge`),
    and the answer is True.

    Parameters
    ----------
    name : str
        The band, for example ``"01/accuracy"``.
    value : float

    Returns
    -------
    bool
        True inside the band (see `band`); False outside, and for NaN.

    Raises
    ------
    LookupError
        If no band of this name was recorded for this profile.
    ValueError
        If `value` is not one number, or if it is to be recorded and not finite.
    """
    if np.ndim(value) or not np.issubdtype(np.asarray(value).dtype, np.number):
        raise ValueError(f"value must be one number, not {value!r}, for the band {name!r}")
    value, profile = float(value), session.profile()
    if os.environ.get("COURSE_RECORD"):
        if not math.isfinite(value):
            raise ValueError(f"value must be finite to be recorded, not {value}, for {name!r}")
        line = {"profile": profile, "name": name, "seed": session.seed(), "value": value}
        with open(os.environ["COURSE_RECORD"], "a", encoding="utf-8") as record:
            record.write(json.dumps(line) + "\n")
        return True
    low, high = band(name)
    return low <= value <= high


def band(name):
    """Lower and upper end of the band that `within` uses, in this profile.

    For eight seeds it is their mean ± 5.7 sample standard deviations. This is the normal tolerance
    factor: with 95 % confidence, 99.9 % of all runs lie above the lower end, and as many below the
    upper one. Other numbers of seeds have other factors.

    Returns
    -------
    low, high : float

    Raises
    ------
    LookupError
        If no band of this name was recorded for this profile.
    """
    values = bands.read()[session.profile()]["values"].get(name, [])
    if len(values) < 2:
        raise LookupError(
            f"no band for {name!r} in the {session.profile()} profile: "
            "record it with python -m helpers.course bands"
        )
    n, mean = len(values), statistics.fmean(values)
    root = math.sqrt(n)
    deviations = round(float(stats.nct.ppf(0.95, n - 1, stats.norm.ppf(0.999) * root) / root), 1)
    # a number that no seed changes still differs in its last digits between computers
    width = max(deviations * statistics.stdev(values), 1e-9 * max(1.0, abs(mean)))
    return mean - width, mean + width

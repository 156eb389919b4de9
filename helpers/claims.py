"""What notebooks say about themselves: findings, and smoke tests.

A finding could come out otherwise, and `claim` states it. A smoke test only catches broken code:
`smoke_test` compares a number that depends on the seed with what other seeds gave.
"""

from __future__ import annotations

import math
import statistics

import numpy as np

from helpers import records, session


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

    Examples
    --------
    >>> claim("k-NN confidences take at most k + 1 values", 6 <= 10 + 1, "6 values")
    ✓ k-NN confidences take at most k + 1 values
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

    Examples
    --------
    >>> skipped("the CNN reaches 98.8 %", "it needs 60,000 images")
    – not checked on the sample: the CNN reaches 98.8 % (it needs 60,000 images)
    """
    print(f"– not checked on the sample: {sentence} ({reason})")


def smoke_test(name, value):
    """Test that a number lies where the other seeds put it, in this profile.

    Says nothing if it does, because it is no finding. If it does not, it raises under pytest and
    under ``run``, and prints one line in front of a person. While the command ``bands`` records,
    the number is noted instead, and compared with nothing.

    Parameters
    ----------
    name : str
        Chapter and quantity, for example ``"01/accuracy"``.
    value : float

    Raises
    ------
    AssertionError
        If the number lies outside `tolerance_interval`, or is NaN, and no person is watching.
    LookupError
        If fewer than two other seeds are on record.
    ValueError
        If `value` is not one number, or not finite while it is recorded.

    Examples
    --------
    >>> low, high = tolerance_interval("01/accuracy")
    >>> smoke_test("01/accuracy", (low + high) / 2)
    """
    if np.ndim(value) or not np.issubdtype(np.asarray(value).dtype, np.number):
        raise ValueError(f"value must be one number, not {value!r}, for {name!r}")
    value = float(value)
    if file := session.record_file():
        if not math.isfinite(value):
            raise ValueError(f"value must be finite to be recorded, not {value}, for {name!r}")
        run = {"profile": session.profile(), "seed": session.seed(), "values": {name: value}}
        records.append(file, run)
        return
    low, high = tolerance_interval(name)
    if low <= value <= high:
        return
    sentence = f"{name} is {value:.6g}, expected {low:.6g} to {high:.6g} from the other seeds"
    if not session.interactive():
        raise AssertionError(sentence)
    print(f"! {sentence}: if you changed nothing above, something is broken.")


def tolerance_interval(name):
    """Interval in which a run on another seed must lie: a tolerance interval of those recorded.

    It is their mean ± k sample standard deviations, with the normal tolerance factor k: with 95 %
    confidence 99.9 % of all runs lie above the lower end, and as many below the upper one
    (https://www.itl.nist.gov/div898/handbook/prc/section2/prc263.htm). For eight seeds k is 5.7.
    The session's own seed takes no part, because no number may vouch for itself.

    Parameters
    ----------
    name : str
        Chapter and quantity, for example ``"01/accuracy"``.

    Returns
    -------
    low, high : float

    Raises
    ------
    LookupError
        If fewer than two other seeds are on record in this profile.

    Examples
    --------
    >>> low, high = tolerance_interval("01/accuracy")
    >>> low < high
    True
    """
    from scipy import stats  # takes a second, which a claim does not need

    profile, own = session.profile(), session.seed()
    others = [value for seed, value in records.values(profile, name).items() if seed != own]
    n = len(others)
    if n < 2:
        raise LookupError(
            f"{name!r} has {n} other seeds on record in the {profile} profile, expected 2 or more: "
            f"record them with python -m helpers.course bands {name.partition('/')[0]} "
            f"--profile {profile}"
        )
    mean, root = statistics.fmean(others), math.sqrt(n)
    factor = float(stats.nct.ppf(0.95, n - 1, stats.norm.ppf(0.999) * root)) / root
    # a number that no seed changes still differs in its last digits between computers
    width = max(factor * statistics.stdev(others), 1e-9 * max(1.0, abs(mean)))
    return mean - width, mean + width

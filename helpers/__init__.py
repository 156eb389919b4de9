"""The small module that the notebooks share.

A notebook starts with ``helpers.setup()``; then it imports what it needs, for example
``from helpers import data, models``.
"""

# Nothing in this file may use syntax or modules newer than Python 3.8:
# an old Python must get as far as the sentence of `unsupported`.
from __future__ import annotations

import os
import platform
import sys

# busy cores make OpenMP loops wait for each other by spinning: up to 100 times slower. Here and
# not in `setup`, because OpenMP reads it when scikit-learn is imported
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def unsupported():
    """One sentence that says why this computer cannot run the course, or None if it can.

    Examples
    --------
    >>> unsupported() is None
    True
    """
    version = sys.version_info
    if not (3, 11) <= version[:2] <= (3, 13):
        return (
            "This course needs Python 3.11, 3.12 or 3.13, and this is Python "
            f"{version[0]}.{version[1]}: make the virtual environment again with one of those."
        )
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return (
            "TensorFlow 2.21 does not exist for Macs with an Intel processor: "
            "open the course on another computer or in Colab (see the README)."
        )
    return None


def setup(seed=0):
    """Prepare a notebook: seeds, a quiet TensorFlow, the plot style, and a one-line banner.

    Where a person watches, a line before it says what is loaded.

    Parameters
    ----------
    seed : int, 0 <= seed < 2**32
        Seed of Python, NumPy and TensorFlow. ``$COURSE_SEED``, if set, takes its place.

    Raises
    ------
    RuntimeError
        If this Python or this computer cannot run the course, or Keras was imported before with
        another backend.
    ValueError
        If the seed, ``$COURSE_SEED`` or ``$COURSE_PROFILE`` is not what it must be.

    Examples
    --------
    >>> setup(seed=1)  # doctest: +SKIP
    Loading TensorFlow and Keras: this takes some seconds …
    Ready: profile full, seed 1, TensorFlow 2.21.0, Keras 3.15.1
    """
    if unsupported():
        raise RuntimeError(unsupported())
    from helpers import session

    session.set_seed(seed)
    ready = f"Ready: profile {session.profile()}, seed {session.seed()}"
    # what follows takes seconds: a setting that is wrong has been named by now
    from helpers import backend, plotting

    backend.start(session.seed())
    plotting.use_style()
    print(f"{ready}, TensorFlow {backend.tf.__version__}, Keras {backend.keras.__version__}")

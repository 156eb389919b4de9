"""The settings of a session: every ``COURSE_*`` variable is read here, and nowhere else."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ("full", "lite")

_seed = 0
_fallen_back = False


def profile():
    """Profile of this session: ``$COURSE_PROFILE``, by default ``"full"``.

    Returns
    -------
    {"full", "lite"}
        ``"lite"`` also after `fall_back`.

    Raises
    ------
    ValueError
        If ``$COURSE_PROFILE`` is anything else.
    """
    value = os.environ.get("COURSE_PROFILE") or "full"
    if value not in PROFILES:
        raise ValueError(f"COURSE_PROFILE must be 'full' or 'lite', not {value!r}")
    return "lite" if _fallen_back else value


def fall_back():
    """Go on in the lite profile, because the full data cannot be had."""
    global _fallen_back
    _fallen_back = True


def seed():
    """Seed of this session: ``$COURSE_SEED``, or else the one given to `helpers.setup`.

    Raises
    ------
    ValueError
        If ``$COURSE_SEED`` is not a whole number from 0 to 2**32 - 1.
    """
    value = os.environ.get("COURSE_SEED")
    if not value:
        return _seed
    if not value.isdecimal() or int(value) >= 2**32:
        raise ValueError(f"COURSE_SEED must be a whole number from 0 to 4294967295, not {value!r}")
    return int(value)


def set_seed(value):
    """Set the seed of this session, unless ``$COURSE_SEED`` takes its place."""
    global _seed
    _seed = value


def data_folder():
    """Folder that a class shares its data in, ``$COURSE_DATA``, or None.

    A relative path starts at the repository, and ``~`` is the home folder.
    """
    value = os.environ.get("COURSE_DATA")
    return ROOT / Path(value).expanduser() if value else None


def models_folder():
    """Folder of the checkpoints that this person trained: ``data/models``.

    ``$COURSE_MODELS`` takes its place in tests.
    """
    return Path(os.environ.get("COURSE_MODELS") or ROOT / "data" / "models")


def figures_folder():
    """Where named figures are saved: ``$COURSE_FIGURES``, by default ``build/figures``."""
    return ROOT / Path(os.environ.get("COURSE_FIGURES") or "build/figures")


def record_file():
    """File that measured numbers are recorded in, ``$COURSE_RECORD``, or None."""
    value = os.environ.get("COURSE_RECORD")
    return Path(value) if value else None


def interactive():
    """True when a person runs the cells; False under pytest, `run` and the other commands."""
    return not (os.environ.get("PYTEST_CURRENT_TEST") or os.environ.get("COURSE_RUN"))


def progress_bar(total, description, show=True):
    """Make a tqdm bar that leaves nothing behind; invisible unless a person is watching."""
    # not tqdm.auto, which prints a warning where ipywidgets is missing
    from tqdm import tqdm

    return tqdm(total=total, desc=description, leave=False, disable=not (show and interactive()))

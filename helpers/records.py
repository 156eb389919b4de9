"""What earlier runs measured: JSON lines in ``data/records``.

``chapter_01.jsonl`` holds one line for each run of notebook 01 on a seed, and
``mnist-cnn.jsonl`` one line for each training of a network. Lines are only ever added, by
`append`, so that two commands can write at once; a later line with the same key wins.
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from importlib import metadata

from helpers import session

FOLDER = session.ROOT / "data" / "records"
PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def append(file, line):
    """Add one line to a file of records; the only function that writes one.

    Parameters
    ----------
    file : str or Path
        Name of a file in ``data/records``, or a whole path.
    line : dict
        What was measured. The versions of Python and the packages are added to it.

    Raises
    ------
    OSError
        If the disk is full or read-only.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "chapter_99.jsonl"
    ...     append(path, {"profile": "lite", "seed": 0, "values": {"99/accuracy": 0.9}})
    ...     path.read_text().strip()
    '{"profile": "lite", "seed": 0, "values": {"99/accuracy": 0.9}, "versions": {"python": ...}}'
    """
    path = FOLDER / file
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**line, "versions": _versions()}, allow_nan=False) + "\n"
    # unbuffered, so that the line goes out in one piece and never into another process's line
    with open(path, "ab", buffering=0) as records:
        if records.tell() and not _ends_a_line(path):
            text = "\n" + text
        content = text.encode()
        if records.write(content) != len(content):
            raise OSError(f"{path} takes no whole line: is the disk full?")


def values(profile, name):
    """Numbers that the runs of a notebook measured under one name.

    Parameters
    ----------
    profile : {"full", "lite"}
    name : str
        For example ``"01/accuracy"``: the chapter, and what was measured.

    Returns
    -------
    dict of int to float
        Seed and number. A run that did not measure this name is not in it.

    Raises
    ------
    ValueError
        If a line of the file is damaged.

    Examples
    --------
    >>> sorted(values("full", "01/accuracy"))
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    lines = read(chapter_file(name.partition("/")[0]))
    # a later run takes the place of the whole earlier one: names that are gone are gone
    runs = {line["seed"]: line["values"] for line in lines if line["profile"] == profile}
    return {seed: run[name] for seed, run in sorted(runs.items()) if name in run}


def trainings(profile, network, dataset="mnist"):
    """Trainings of a network with its newest recipe, by seed.

    Parameters
    ----------
    profile : {"full", "lite"}
    network, dataset : str

    Returns
    -------
    list of dict
        With ``seed``, ``recipe``, ``accuracy`` and ``wrong``, the test images that it gets wrong.

    Raises
    ------
    ValueError
        If a line of the file is damaged.

    Examples
    --------
    >>> [run["seed"] for run in trainings("full", "cnn")]
    [0, 1, 2, 3, 4, 5, 6, 7]
    """
    runs = _trainings(profile, network, dataset)
    # medians over trainings of different recipes would mean nothing
    newest = {run["seed"]: run for run in runs if run["recipe"] == runs[-1]["recipe"]}
    return [newest[seed] for seed in sorted(newest)]


def training(profile, network, seed, recipe, dataset="mnist"):
    """Find the training of a network on one seed with one recipe.

    Parameters
    ----------
    profile : {"full", "lite"}
    network, dataset : str
    seed : int
    recipe : dict
        What `helpers.training.Recipe.settings` returns.

    Returns
    -------
    dict or None
        None if it is not on record; see `trainings` otherwise.

    Examples
    --------
    >>> training("full", "cnn", seed=0, recipe={"epochs": 1}) is None
    True
    """
    found = None
    for run in _trainings(profile, network, dataset):
        if run["seed"] == seed and run["recipe"] == recipe:
            found = run
    return found


def chapter_file(chapter):
    """Name of the file with the runs of a chapter.

    Examples
    --------
    >>> chapter_file("05")
    'chapter_05.jsonl'
    """
    return f"chapter_{chapter}.jsonl"


def training_file(network, dataset="mnist"):
    """Name of the file with the trainings of a network on a dataset.

    Examples
    --------
    >>> training_file("cnn")
    'mnist-cnn.jsonl'
    """
    return f"{dataset}-{network}.jsonl"


def read(file):
    """Read all lines of a file of records.

    Parameters
    ----------
    file : str or Path
        As for `append`.

    Returns
    -------
    list of dict
        Empty if there is no such file.

    Raises
    ------
    ValueError
        If a line is damaged: it is named with its file and number.

    Examples
    --------
    >>> read("chapter_99.jsonl")
    []
    """
    path, lines = FOLDER / file, []
    if not path.exists():
        return lines
    if not (content := path.read_bytes()).endswith(b"\n"):
        time.sleep(0.1)  # another process may be in the middle of its line
        content = path.read_bytes()
    for number, text in enumerate(content.splitlines(), start=1):
        try:
            if text:
                lines.append(_checked(json.loads(text)))
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                f"{path.name}, line {number} is damaged: {text.decode(errors='replace')[:80]!r}. "
                f"Delete it, or restore the file: git checkout -- data/records/{path.name}"
            ) from None
    return lines


def _trainings(profile, network, dataset):
    lines = read(training_file(network, dataset))
    return [line for line in lines if line["profile"] == profile]


def _checked(line):
    """Return the line if it has the form of a run or a training; raise any error if not."""
    if "values" in line:
        whole, numbers = [], line["values"].values()
    else:
        whole, numbers = line["wrong"], [line["accuracy"]]
        line["recipe"].keys()
    if not (
        line["profile"] in session.PROFILES
        and all(type(value) is int and value >= 0 for value in [line["seed"], *whole])
        and all(type(value) in (int, float) and math.isfinite(value) for value in numbers)
    ):
        raise ValueError
    return line


def _ends_a_line(path):
    with open(path, "rb") as records:
        records.seek(-1, os.SEEK_END)
        return records.read() == b"\n"


def _versions():
    return {
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in PACKAGES},
    }

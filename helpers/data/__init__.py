"""Datasets, verified each time they are read, from the nearest place that has them.

Each dataset is one file of this package, found by its name: it defines ``SOURCE``.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import shutil
import tempfile
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers import session
from helpers.data import official
from helpers.data.source import KEYS, NotUsable, digest, read_npz, verify
from helpers.session import ROOT

__all__ = [
    "KEYS",
    "Dataset",
    "Found",
    "describe",
    "digest",
    "load",
    "locate",
    "names",
    "read_sample",
    "why_unreachable",
]

SAMPLES = ROOT / "data" / "samples"
CACHE = ROOT / "data" / "cache"
SHARED_BY_DATASETS = {"official", "source"}  # the files of this package that are no dataset


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in memory; all arrays are read-only.

    Attributes
    ----------
    name : str
        For example ``"mnist"``.
    task : {"classification", "regression"}
    profile : {"full", "lite"}
        Which data this is, whatever was asked for.
    source : str
        The rung of the ladder that it came from.
    x_train, x_test : float32 array
        Images of shape (n, h, w, c) with values in [0, 1], or a table of shape (n, features).
    y_train, y_test : array of shape (n,)
        int64 labels, or float32 targets of a regression.
    class_names, feature_names : tuple of str, or None
    """

    name: str
    task: str
    profile: str
    source: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None

    def split(self):
        """Cut the last twelfth off the training examples, as validation data.

        It is the part that ``fit(..., validation_split=1 / 12)`` never trains on.

        Returns
        -------
        (x_fit, y_fit), (x_validation, y_validation)

        Examples
        --------
        >>> (x_fit, y_fit), (x_validation, y_validation) = load("mnist", "lite").split()
        MNIST: 4,000 training and 1,000 test images from data/samples, verified
        >>> len(x_fit), len(x_validation)
        (3666, 334)
        """
        cut = int(len(self.x_train) * (1 - 1 / 12))
        return (
            (self.x_train[:cut], self.y_train[:cut]),
            (self.x_train[cut:], self.y_train[cut:]),
        )


@dataclass(frozen=True, eq=False)
class Found:
    """What `locate` found on this computer.

    Attributes
    ----------
    rung : str or None
        The first rung of the ladder that holds the verified data.
    arrays : dict of arrays, or None
        As they are stored: uint8 images, float32 tables.
    tried : tuple of str
        The rungs that were looked at, in their order.
    notes : tuple of str
        Whole sentences on what is there and cannot be used.
    """

    rung: str | None
    arrays: dict[str, np.ndarray] | None
    tried: tuple[str, ...]
    notes: tuple[str, ...]


def names():
    """Return the names of all datasets.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "mnist" in names()
    True
    """
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return sorted(found - SHARED_BY_DATASETS)


def describe(name):
    """Return what is known of a dataset before it is read.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    helpers.data.source.Source

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> describe("mnist").rows["full"]
    (60000, 10000)
    """
    return _module(name).SOURCE


def _module(name):
    if name not in names():
        raise ValueError(f"name must be one of {names()}, not {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def load(name="mnist", profile=None):
    """Load a dataset from the nearest verified place, and say on one line which one that was.

    The lite profile reads ``data/samples``. The full profile tries ``$COURSE_DATA``, then
    ``data/cache``, then what the official library downloaded before, then the official source;
    without any of them the session goes on in the lite profile.

    Parameters
    ----------
    name : str
        One of `names`.
    profile : {"full", "lite"}, optional
        Default: the profile of the session.

    Returns
    -------
    Dataset

    Raises
    ------
    ValueError
        For an unknown name or profile.
    FileNotFoundError
        If the sample that belongs to this repository is missing or damaged, or if a dataset has
        none and the full data cannot be had.

    Examples
    --------
    >>> load("mnist", "lite").x_train.shape
    MNIST: 4,000 training and 1,000 test images from data/samples, verified
    (4000, 28, 28, 1)
    """
    source = describe(name)
    wanted = session.profile() if profile is None else profile
    if wanted not in session.PROFILES:
        raise ValueError(f"profile must be 'full' or 'lite', not {profile!r}")
    rung, arrays = _climb(name) if wanted == "full" else (None, None)
    if arrays is None:
        if "lite" not in source.rows:
            raise FileNotFoundError(
                f"{source.title} has no sample, and the full data are not here: {source.remedy}."
            )
        if wanted == "full":
            _announce_lite(source)
            session.fall_back()  # the rest of this session follows
        wanted, arrays = "lite", read_sample(name)
        rung = "data/samples, a STAND-IN" if source.stand_in else "data/samples"
    dataset = _dataset(name, source, wanted, rung, arrays)
    checked = "verified" if wanted in source.sha256 else "their layout checked"
    print(
        f"{source.title}: {len(dataset.x_train):,} training and {len(dataset.x_test):,} test "
        f"{source.examples} from {rung}, {checked}"
    )
    return dataset


def _climb(name):
    """Try the rungs of the full profile, and print why one is not used."""
    found = locate(name)
    for note in found.notes:
        print(note)
    if found.rung:
        return found.rung, found.arrays
    rung = "the official source"
    try:
        return rung, _download(name)
    except (NotUsable, OSError) as reason:  # OSError: no place for temporary files, for example
        print(f"{describe(name).title}: {rung} is not used. {reason}")
        return None, None


def locate(name):
    """Look for the verified data of the full profile on this computer.

    Never asks the network and prints nothing.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Found

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> locate("mnist").rung  # doctest: +SKIP
    'data/cache'
    """
    source = describe(name)
    cached = CACHE / f"{name}.npz"
    rungs = [("data/cache", cached.name, lambda: read_npz(cached, source.layout("full")))]
    if shared := session.data_folder():
        rungs.insert(0, ("COURSE_DATA", source.file, lambda: _read_shared(shared, source)))
    if source.library:
        # a library itself would ask the network first if its copy were damaged
        rung = f"the cache of {source.library}"
        rungs.append((rung, source.file, lambda: source.read(source.library_folder())))
    tried, notes = [], []
    for rung, file, read in rungs:
        tried.append(rung)
        refusal = f"{source.title}: {rung} is not used."
        try:
            arrays = verify(read(), source, "full", file)
            return Found(rung, arrays, tuple(tried), tuple(notes))
        except FileNotFoundError as error:
            if rung == "COURSE_DATA":  # somebody expects it there
                notes.append(f"{refusal} {error}")
        except NotUsable as reason:
            then = "It was left as it is."
            if rung == "data/cache":
                then = "The next download takes its place."
            notes.append(f"{refusal} {reason} {then}")
    return Found(None, None, tuple(tried), tuple(notes))


def _read_shared(folder, source):
    if os.path.isfile(folder):
        raise FileNotFoundError(f"{folder} is a file: name the folder that holds {source.file}.")
    try:
        return source.read(folder)
    except FileNotFoundError as error:
        if not os.path.isdir(folder):
            raise FileNotFoundError(f"There is no folder {folder}.") from None
        missing = os.path.relpath(error.filename, folder)  # one of several, perhaps
        raise FileNotFoundError(f"There is no {missing} in {folder}.") from None


def why_unreachable(name):
    """Say why a dataset's official source cannot be asked, or return None if it answers.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    str or None
        A whole sentence, after at most five seconds.

    Raises
    ------
    ValueError
        For an unknown name.

    Examples
    --------
    >>> why_unreachable("mnist")  # doctest: +SKIP
    'storage.googleapis.com cannot be reached: Name or service not known.'
    """
    return official.why_unreachable(describe(name).url)


def _download(name):
    """Fetch a dataset from its official source, and keep a verified copy in the cache."""
    source = describe(name)
    # an answer may take seconds
    print(f"{source.title}: not on this computer, asking its official source …", flush=True)
    if reason := why_unreachable(name):
        raise NotUsable(reason)
    print(f"{source.title}: downloading {source.size} from its official source …", flush=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = official.download(_module(name).__file__, source, Path(folder))
        arrays = verify(read_npz(path, source.layout("full")), source, "full", "The download")
        try:
            _keep(path, CACHE / f"{name}.npz")
        except OSError as error:
            print(f"{source.title}: no copy was kept in data/cache ({error.strerror}).")
    return arrays


def _keep(path, target):
    """Copy a file under a temporary name beside `target`, and rename it when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    # the random name of the download's folder, so that no other session writes this file
    part = target.with_name(f"{path.parent.name}.part")
    try:
        shutil.copyfile(path, part)
        os.replace(part, target)
    finally:
        part.unlink(missing_ok=True)


def read_sample(name):
    """Read a dataset's sample, which belongs to this repository.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    dict of arrays
        As they are stored: uint8 images, float32 tables.

    Raises
    ------
    ValueError
        For an unknown name.
    FileNotFoundError
        If the sample is missing or damaged; the message says how to restore it.

    Examples
    --------
    >>> read_sample("mnist")["x_train"].dtype
    dtype('uint8')
    """
    source = describe(name)
    path = SAMPLES / f"{name}.npz"
    try:
        return verify(read_npz(path, source.layout("lite")), source, "lite", path.name)
    except (FileNotFoundError, NotUsable) as error:
        reason = "It is missing." if isinstance(error, FileNotFoundError) else error
        raise FileNotFoundError(
            f"data/samples/{path.name} belongs to this repository and cannot be used: {reason} "
            f"Restore it with: git checkout -- data/samples/{path.name}"
        ) from error


def _announce_lite(source):
    line = "=" * 78
    small, full = source.rows["lite"][0], source.rows["full"][0]
    sample, numbers = "THE SMALL SAMPLE", f"{small:,} training {source.examples}, not of {full:,}"
    if source.stand_in:
        sample, numbers = "A STAND-IN", "made-up data of the same form, not of the real data"
    remedy = f"For the full data: {source.remedy}; then restart the kernel."
    print(
        f"{line}\n"
        f"{source.title.upper()} WAS NOT FOUND: THIS SESSION USES {sample} (lite profile)\n"
        f"Every cell runs, but the numbers are those of {numbers}.\n"
        f"{textwrap.fill(remedy, len(line), break_on_hyphens=False)}\n"
        f"{line}"
    )


def _dataset(name, source, profile, rung, arrays):
    values = {key: _examples(arrays[key]) for key in ("x_train", "x_test")}
    label = np.float32 if source.task == "regression" else np.int64
    values |= {key: arrays[key].astype(label) for key in ("y_train", "y_test")}
    for array in values.values():
        array.flags.writeable = False
    return Dataset(
        name=name,
        task=source.task,
        profile=profile,
        source=rung,
        class_names=source.class_names,
        feature_names=source.feature_names,
        **values,
    )


def _examples(stored):
    """Turn stored images into float32 from 0 to 1 with a last axis for the channels."""
    if stored.ndim == 2:
        return stored.astype(np.float32)  # a table
    images = stored if stored.ndim == 4 else stored[..., None]
    return images.astype(np.float32) / 255

"""Datasets, verified each time they are read, from the nearest place that has them."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import io
import os
import socket
import threading
import urllib.request
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from helpers import session
from helpers.session import ROOT

SAMPLES = ROOT / "data" / "samples"
CACHE = ROOT / "data" / "cache"
# where Keras keeps what it has downloaded for another course
KERAS = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")) / "datasets"
TIMEOUT = 5  # seconds, for each wait on the network

KEYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Source:
    """What is known of a dataset before it is read."""

    title: str
    file: str  # its name in a shared folder, in the cache and in data/samples
    url: str  # where the official library fetches it
    size: str
    sha256: dict[str, str]  # profile -> digest of the arrays' bytes
    class_names: tuple[str, ...] | None = None


SOURCES = {
    "mnist": Source(
        title="MNIST",
        file="mnist.npz",
        url="https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz",
        size="11 MB",
        sha256={
            "full": "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16",
            "lite": "8a7adbe9b5c3bf456972a9db198d6c8526b57b03b4d3d1190db7a3eb54556f54",
        },
        class_names=tuple("0123456789"),
    ),
}

UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


class NotUsable(Exception):
    """A rung of the ladder that holds no usable file; the message says why."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset in memory; all arrays are read-only.

    Attributes
    ----------
    name, task : str
        For example ``"mnist"`` and ``"classification"``.
    profile : {"full", "lite"}
        Which data this is, whatever was asked for.
    source : str
        The rung of the ladder that it came from.
    x_train, x_test : float32 array of shape (n, h, w, c), values in [0, 1]
    y_train, y_test : int64 array of shape (n,)
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
        """Cut the last twelfth off the training images, as validation data.

        It is the part that ``fit(..., validation_split=1 / 12)`` never trains on.

        Returns
        -------
        (x_fit, y_fit), (x_validation, y_validation)
        """
        cut = int(len(self.x_train) * (1 - 1 / 12))
        return (
            (self.x_train[:cut], self.y_train[:cut]),
            (self.x_train[cut:], self.y_train[cut:]),
        )


def digest(arrays):
    """SHA-256 of the arrays' bytes, in the order of `KEYS`: the container does not matter."""
    sha = hashlib.sha256()
    for key in KEYS:
        sha.update(np.ascontiguousarray(arrays[key]).data)
    return sha.hexdigest()


def load(name="mnist", profile=None):
    """Load a dataset from the nearest verified place, and say on one line which one that was.

    The lite profile reads ``data/samples``. The full profile tries ``$COURSE_DATA``, then
    ``data/cache``, then what Keras downloaded before, then the official source; without any of
    them the session goes on in the lite profile.

    Parameters
    ----------
    name : {"mnist"}
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
        If the sample that belongs to this repository is missing or damaged.
    """
    if name not in SOURCES:
        raise ValueError(f"name must be one of {sorted(SOURCES)}, not {name!r}")
    wanted = session.profile() if profile is None else profile
    if wanted not in ("full", "lite"):
        raise ValueError(f"profile must be 'full' or 'lite', not {profile!r}")
    source = SOURCES[name]
    rung, arrays, notes = locate(name) if wanted == "full" else ("data/samples", None, [])
    for note in notes:
        print(note)
    if arrays is None:
        if wanted == "full":
            _announce_lite(source)
            session.fall_back()  # the rest of this session follows
        wanted, rung = "lite", "data/samples"
        arrays = _sample(source)
    dataset = _dataset(name, wanted, rung, arrays)
    print(
        f"{source.title}: {len(dataset.x_train):,} training and {len(dataset.x_test):,} test "
        f"images from {rung}, verified"
    )
    return dataset


def locate(name, download=True):
    """Climb down the ladder of the full profile until a rung holds the verified data.

    Parameters
    ----------
    name : key of `SOURCES`
    download : bool
        Whether the official source may be asked.

    Returns
    -------
    rung : str or None
    arrays : dict of uint8 arrays, or None if no rung has them
    notes : list of str
        What was found and could not be used.
    """
    source = SOURCES[name]
    rungs = [
        ("data/cache", lambda: _read(CACHE / source.file, source, "full")),
        # Keras itself would ask the network first if its copy were damaged
        ("the cache of Keras", lambda: _read(KERAS / source.file, source, "full")),
    ]
    if shared := session.data_folder():
        rungs.insert(0, ("COURSE_DATA", lambda: _shared(shared, source)))
    if download:
        rungs.append(("the official source", lambda: _official(source)))
    notes = []
    for rung, read in rungs:
        try:
            return rung, read(), notes
        except FileNotFoundError:
            continue
        except NotUsable as reason:
            notes.append(f"{source.title}: {rung} is not used. {reason}")
    return None, None, notes


def _read(path, source, profile):
    """Read and verify one file. A missing file raises FileNotFoundError, a bad one NotUsable."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {key: archive[key] for key in KEYS}
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise NotUsable(
            f"{path.name} cannot be read ({type(error).__name__}: {error}); expected a NumPy "
            f"archive with {', '.join(KEYS)}, about {source.size}. The file was left as it is."
        ) from error
    expected = source.sha256[profile]
    # the digest knows neither shapes nor types
    whole = all(
        array.dtype == np.uint8 and array.shape[1:] == ((28, 28) if key[0] == "x" else ())
        for key, array in arrays.items()
    )
    if not whole:
        raise NotUsable(
            f"{path.name} holds arrays of another shape or type: expected uint8 images of 28 x 28 "
            "and their labels. The file was left as it is."
        )
    if (found := digest(arrays)) != expected:
        raise NotUsable(
            f"{path.name} holds other data: expected arrays with SHA-256 {expected[:12]}…, "
            f"found {found[:12]}…. The file was left as it is."
        )
    return arrays


def _shared(folder, source):
    try:
        return _read(folder / source.file, source, "full")
    except FileNotFoundError:
        raise NotUsable(f"There is no {source.file} in {folder}.") from None


def _official(source):
    """Fetch through Keras, quietly, and keep a verified copy in the cache."""
    if not _answers(source.url):
        raise NotUsable("No answer from the network within 5 seconds.")
    print(f"{source.title}: downloading {source.size} from its official source …")
    from helpers.backend import keras

    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:  # Keras raises bare Exception for a failed download
        raise NotUsable(f"The download failed: {error}") from error
    finally:
        socket.setdefaulttimeout(before)
    arrays = dict(zip(KEYS, (x_train, y_train, x_test, y_test), strict=True))
    if digest(arrays) != source.sha256["full"]:
        raise NotUsable("The downloaded arrays have another SHA-256 than expected.")
    try:
        _write(CACHE / source.file, arrays)
    except OSError as error:
        print(f"{source.title}: no copy was kept in data/cache ({error.strerror}).")
    return arrays


def _answers(url):
    """Whether a server answers in time. A thread, because looking up a name has no time-out."""
    answered = threading.Event()

    def ask():
        request = urllib.request.Request(url, method="HEAD")
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(request, timeout=TIMEOUT) as answer,
        ):
            if answer.status == 200:
                answered.set()

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return answered.is_set()


def _write(path, arrays):
    """Write an archive under a temporary name and rename it when it is whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.stem}.{os.getpid()}.part.npz")
    try:
        np.savez_compressed(temporary, **arrays)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _sample(source):
    path = SAMPLES / source.file
    try:
        return _read(path, source, "lite")
    except (FileNotFoundError, NotUsable) as error:
        reason = "it is missing" if isinstance(error, FileNotFoundError) else error
        raise FileNotFoundError(
            f"data/samples/{path.name} belongs to this repository and cannot be used: {reason} "
            f"Restore it with: git checkout -- data/samples/{path.name}"
        ) from error


def _announce_lite(source):
    line = "=" * 78
    print(
        f"{line}\n"
        f"{source.title.upper()} WAS NOT FOUND: THIS SESSION USES THE SMALL SAMPLE (lite profile)\n"
        "Every cell runs, but the numbers are those of 4,000 training images, not of 60,000.\n"
        f"For the full data: connect to the network, or set COURSE_DATA to a folder with\n"
        f"{source.file}; then restart the kernel.\n"
        f"{line}"
    )


def _dataset(name, profile, rung, arrays):
    images = {key: arrays[key].astype(np.float32)[..., None] / 255 for key in ("x_train", "x_test")}
    labels = {key: arrays[key].astype(np.int64) for key in ("y_train", "y_test")}
    for array in (*images.values(), *labels.values()):
        array.flags.writeable = False
    return Dataset(
        name=name,
        task="classification",
        profile=profile,
        source=rung,
        class_names=SOURCES[name].class_names,
        **images,
        **labels,
    )

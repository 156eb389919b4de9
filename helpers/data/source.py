"""What a dataset's file fills in, and the readers that these files share."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import os
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

KEYS = ("x_train", "y_train", "x_test", "y_test")
SLACK = 1_000_000  # bytes that a container may add to its arrays
UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    KeyError,
    EOFError,
    MemoryError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


class NotUsable(Exception):
    """A place that holds no usable data; the message says why."""


@dataclass(frozen=True)
class Source:
    """What is known of a dataset before it is read.

    Attributes
    ----------
    title : str
        Its name for people.
    task : {"classification", "regression"}
    shape : tuple of int
        Of one example: (h, w) or (h, w, c) for images, (features,) for a row of a table.
    rows : dict
        Profile -> number of training and of test examples. A dataset without ``"lite"`` has no
        sample, so nothing takes its place where it cannot be had.
    sha256 : dict
        Profile -> digest of the four arrays (see `digest`). Arrays of a profile that is not in it
        are checked by their layout only: then `read` and the library compare the published file
        with a digest of its own.
    file : str
        What a shared folder must hold, for people.
    read : callable
        ``read(folder)`` returns the four arrays of the full profile from a shared folder. Images
        are uint8 from 0 to 255, tables and targets float32, labels uint8. It raises
        FileNotFoundError with the file's name, as ``open`` does, or NotUsable.
    url : str
        Where the official library fetches it.
    download : int
        Bytes of that download.
    fetch : callable
        ``fetch(folder)`` returns the same arrays through the official library, which keeps its
        own files in `folder`. It is called in a process of its own.
    library, library_folder : str and callable, or None
        Which library may have kept the dataset for another course, and where: the files in
        ``library_folder()`` are laid out as in a shared folder.
    class_names, feature_names : tuple of str, or None
    stand_in : bool
        Whether the sample is made up, because none of the real data may be committed.
    """

    title: str
    task: str
    shape: tuple[int, ...]
    rows: dict[str, tuple[int, int]]
    sha256: dict[str, str]
    file: str
    read: Callable[[Path], dict]
    url: str
    download: int
    fetch: Callable[[Path], dict]
    library: str | None = None
    library_folder: Callable[[], Path] | None = None
    class_names: tuple[str, ...] | None = None
    feature_names: tuple[str, ...] | None = None
    stand_in: bool = False

    @property
    def remedy(self):
        """What to do on a computer without the full data: the rest of a sentence."""
        return f"connect to the network, or set COURSE_DATA to a folder with {self.file}"

    @property
    def size(self):
        """Size of the download, for people."""
        return for_people(self.download)

    @property
    def examples(self):
        """What one example is called: a table has rows."""
        return "rows" if len(self.shape) == 1 else "images"

    def layout(self, profile):
        """Return key -> (dtype, shape) of the arrays as they are stored."""
        train, test = self.rows[profile]
        x = np.dtype(np.float32 if len(self.shape) == 1 else np.uint8)
        y = np.dtype(np.float32 if self.task == "regression" else np.uint8)
        return {
            "x_train": (x, (train, *self.shape)),
            "y_train": (y, (train,)),
            "x_test": (x, (test, *self.shape)),
            "y_test": (y, (test,)),
        }


def for_people(size):
    """Return a number of bytes in words.

    Examples
    --------
    >>> for_people(11_490_434), for_people(47_589)
    ('11 MB', '48 kB')
    """
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def digest(arrays):
    """SHA-256 of the arrays' bytes, in the order of `KEYS`: the container does not matter.

    Examples
    --------
    >>> digest({key: np.zeros(2, np.uint8) for key in KEYS})[:12]
    'af5570f5a181'
    """
    sha = hashlib.sha256()
    for key in KEYS:
        sha.update(np.ascontiguousarray(arrays[key]).data)
    return sha.hexdigest()


def verify(arrays, source, profile, file):
    """Return `arrays` if they are those of this profile, else raise NotUsable about `file`.

    Examples
    --------
    >>> from helpers import data
    >>> arrays = data.read_sample("mnist")
    >>> verify({**arrays, "y_test": arrays["y_train"]}, data.describe("mnist"), "lite", "my.npz")
    Traceback (most recent call last):
    helpers.data.source.NotUsable: my.npz holds y_test as uint8 of shape (4000,), expected uint8
    of shape (1000,).
    """
    for key, layout in source.layout(profile).items():
        # the digest knows neither
        _fit(file, key, (arrays[key].dtype, arrays[key].shape), layout)
    expected = source.sha256.get(profile)
    if expected and (found := digest(arrays)) != expected:
        raise NotUsable(
            f"{file} holds other data: expected arrays with SHA-256 {expected[:12]}…, "
            f"found {found[:12]}…."
        )
    return arrays


def read_npz(path, layout):
    """Read the four arrays of a NumPy archive, without running anything that it may hold.

    Parameters
    ----------
    path : Path
    layout : dict
        Key -> (dtype, shape), as `Source.layout` gives it. Nothing larger is read.

    Returns
    -------
    dict of arrays

    Raises
    ------
    FileNotFoundError
    NotUsable
        With the reason.

    Examples
    --------
    >>> from helpers import data
    >>> layout = data.describe("mnist").layout("lite")
    >>> read_npz(data.SAMPLES / "mnist.npz", layout)["x_test"].shape
    (1000, 28, 28)
    """
    with reading(path, sum(map(_bytes, layout.values()))), zipfile.ZipFile(path) as archive:
        return {key: _read_member(path.name, archive, key, layout[key]) for key in KEYS}


def _read_member(file, archive, key, layout):
    member = archive.getinfo(f"{key}.npy")
    _limit(f"{member.filename} in {file}", member.file_size, _bytes(layout))
    with archive.open(member) as stream:
        if np.lib.format.read_magic(stream) == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        else:
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
    _fit(file, key, (dtype, shape), layout)
    with archive.open(member) as stream:
        return np.lib.format.read_array(stream, allow_pickle=False)


def read_idx(path, shape):
    """Read one gzipped IDX file of uint8 values, the format that MNIST was first published in.

    Parameters
    ----------
    path : Path
    shape : tuple of int
        Of the array that it must hold. Nothing larger is read.

    Returns
    -------
    uint8 array of this shape

    Raises
    ------
    FileNotFoundError
    NotUsable
        With the reason.

    References
    ----------
    http://yann.lecun.com/exdb/mnist/ ("the IDX file format")

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "labels.gz")
    ...     _ = path.write_bytes(gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 9])))
    ...     read_idx(path, (2,))
    array([7, 9], dtype=uint8)
    """
    values = math.prod(shape)
    head = [0x0800 + len(shape), *shape]  # 8: unsigned bytes; then the number of axes
    with reading(path, values), gzip.open(path) as stream:
        found = np.frombuffer(stream.read(4 * len(head)), ">u4").tolist()
        if found != head:
            raise NotUsable(f"{path.name} opens with the numbers {found}, expected {head}.")
        content = stream.read(values + 1)
        if len(content) != values:
            raise NotUsable(f"{path.name} holds more or less than the {values:,} bytes it claims.")
    return np.frombuffer(content, np.uint8).reshape(shape)


@contextlib.contextmanager
def reading(path, most):
    """Look before opening a file, and turn what its reader raises into a reason.

    Parameters
    ----------
    path : Path
    most : int
        Bytes of the arrays that the file holds. A file that is much larger is not opened.

    Raises
    ------
    FileNotFoundError
    NotUsable
        With the reason.

    Examples
    --------
    >>> with reading(Path(__file__).parent, most=0):
    ...     pass
    Traceback (most recent call last):
    helpers.data.source.NotUsable: data is a folder, expected a file.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # to open a FIFO would wait for ever
            kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a device"
            raise NotUsable(f"{path.name} is {kind}, expected a file.")
        _limit(path.name, status.st_size, most)
        if is_html(path):
            raise NotUsable(
                f"{path.name} is an HTML page, perhaps the log-in page of a network that was "
                "saved under this name."
            )
        yield
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise NotUsable(f"{path.name} cannot be read ({reason}).") from error


def is_html(path):
    """Whether a file opens as a page of the web does.

    Examples
    --------
    >>> is_html(__file__)
    False
    """
    with open(path, "rb") as file:
        return file.read(100).removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _limit(name, size, most):
    if size > most + SLACK:
        raise NotUsable(f"{name} has {size:,} bytes, expected at most {most + SLACK:,}.")


def _bytes(layout):
    dtype, shape = layout
    return dtype.itemsize * math.prod(shape)


def _fit(file, key, found, expected):
    if found != expected:
        raise NotUsable(
            f"{file} holds {key} as {found[0]} of shape {found[1]}, expected {expected[0]} of "
            f"shape {expected[1]}."
        )


def keras_folder():
    """Folder where Keras keeps the datasets that it has downloaded.

    Examples
    --------
    >>> keras_folder().name
    'datasets'
    """
    home = os.environ.get("KERAS_HOME") or os.path.join(os.path.expanduser("~"), ".keras")
    return Path(home) / "datasets"


def fetch_from_keras(name, folder):
    """Download ``keras.datasets.<name>`` into `folder`, and return its four arrays.

    Call it in a process of its own: Keras learns only while it is imported where its files go.

    Examples
    --------
    >>> fetch_from_keras("mnist", "/tmp/mine")["x_train"].shape  # doctest: +SKIP
    (60000, 28, 28)
    """
    os.environ["KERAS_HOME"] = str(folder)
    from helpers.backend import keras

    train, test = getattr(keras.datasets, name).load_data()
    return dict(zip(KEYS, (*train, *test), strict=True))

"""Tell an instructor, the evening before, whether this computer can give the lesson."""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import io
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from helpers import session
from helpers.course import notebooks
from helpers.session import ROOT

GOOD, WARNING, MISSING = "✓", "!", "✗"

# Images per second that `training_speed` measured on the computer that the stated minutes come
# from: 2 cores of a virtual machine, Python 3.11, TensorFlow 2.21, November 2026.
REFERENCE_SPEED = 6000.0
SAMPLE_SECONDS = 25  # that a notebook takes there at most on the sample, where it does not say

MEMORY_NEEDED, MEMORY_WANTED = 2e9, 4e9  # bytes
DISK_NEEDED = 1e9  # bytes: downloads, trained networks, executed copies
WINDOWS_PATH = 70  # characters
KERNEL_TIMEOUT = 60  # seconds
INSTALL = "python -m pip install -r requirements.txt"
WHO_ARE_YOU = "import sys; print(sys.prefix); import helpers; print(helpers.__file__)"


def add_parser(commands):
    """Say what the command takes."""
    commands.add_parser("doctor").set_defaults(main=main)


def main(arguments):
    """Run the command: every check, then the measurement, whatever the checks found."""
    _whereabouts.cache_clear()
    missing = False
    for check in CHECKS:
        for sign, sentence in _lines(check):
            print(f"{sign} {sentence}", flush=True)
            missing |= sign == MISSING
    print("Measuring for ten seconds …", flush=True)
    try:
        speed = training_speed()
    except ImportError as error:  # installed, perhaps, but not for this computer
        print(f"{MISSING} TensorFlow cannot be imported: {error}")
        missing = True
    except (OSError, RuntimeError) as error:  # no sample, or a keras.json that is reported above
        print(f"{WARNING} nothing could be measured: {error}")
    else:
        print(*minutes_here(speed, on_the_sample()), sep="\n")
    if missing:
        raise SystemExit(f"Mend every line with {MISSING}, then call the doctor again.")


def _lines(check):
    """Yield the lines of a check; what ends it before its time is a line too."""
    try:
        yield from check()
    except ModuleNotFoundError as error:
        yield MISSING, f"{error.name} is not installed: {INSTALL}"
    except (ImportError, OSError, notebooks.UsageError) as error:
        yield MISSING, f"{check.__name__} could not be looked at: {error}"


def packages():
    """Compare what is installed with the pins of requirements.txt."""
    from packaging.requirements import Requirement

    yield GOOD, f"Python {platform.python_version()} on {platform.system()}"
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and line[0] not in "#-"]
    wrong = []
    for pin in pins:
        try:
            version = importlib.metadata.version(pin.name)
        except importlib.metadata.PackageNotFoundError:
            version = None
        if version is None or not pin.specifier.contains(version, prereleases=True):
            wrong.append(f"{pin.name} is {version or 'not installed'}, expected {pin.specifier}")
    for sentence in wrong:
        yield MISSING, f"{sentence}: {INSTALL}"
    if not wrong:
        yield GOOD, f"{len(pins)} packages as requirements.txt has them"


def keras_settings():
    """Look for a file of settings that Keras cannot be imported with."""
    if fault := session.keras_settings_fault():
        yield MISSING, fault


def kernel():
    """Start the Python that notebooks get, where they get it, and ask it who it is."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    mend = "python -m ipykernel install --sys-prefix"
    try:
        python = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        yield MISSING, f"no kernel is named python3: {mend}"
        return
    if not os.path.isabs(python):
        python = sys.executable  # so does Jupyter
    answer = ""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run(
            [python, "-c", WHO_ARE_YOU],
            cwd=notebooks.FOLDER,
            capture_output=True,
            text=True,
            timeout=KERNEL_TIMEOUT,
        ).stdout
    prefix, *helpers_file = answer.splitlines() or [""]
    if prefix != sys.prefix:
        yield MISSING, f"notebooks get another Python, {python}: {mend}"
    elif not helpers_file or Path(helpers_file[0]).parent.resolve() != ROOT / "helpers":
        found = helpers_file[0] if helpers_file else "none"
        yield (
            MISSING,
            f"notebooks import other helpers ({found}): python -m pip install -e . in {ROOT}",
        )
    else:
        yield GOOD, f"notebooks get {python} and the helpers of this folder"


def folders():
    """Look for folders that cannot be written, and for checkpoints that cannot be read."""
    written = (notebooks.FOLDER, ROOT / "data" / "cache", notebooks.BUILD, session.models_folder())
    # a folder that does not exist yet will be made in the nearest one that does
    nearest = [next(p for p in (path, *path.parents) if p.exists()) for path in written]
    closed = {}
    for folder in dict.fromkeys(nearest):
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            closed[folder] = error.strerror
    for folder, reason in closed.items():
        yield (
            MISSING,
            f"nothing can be written in {folder} ({reason}): copy the course to a folder of yours",
        )
    if not closed:
        yield GOOD, "downloads, checkpoints and notebooks can be written"
    for path, reason in _unreadable(session.models_folder()):
        yield MISSING, f"{path} cannot be read ({reason}): delete it, it will be trained again"


def _unreadable(folder):
    """Yield (path, reason) for each folder and checkpoint below a folder that cannot be opened."""
    if not folder.exists():
        return
    refused = []
    for place, _, names in os.walk(folder, onerror=refused.append):
        for name in names:
            try:
                (Path(place) / name).open("rb").close()
            except OSError as error:
                refused.append(error)
    for error in refused:
        yield error.filename, error.strerror


def datasets():
    """Name the rung of the data ladder on which each dataset of a lesson stands."""
    from helpers import data

    for name in _of_lessons():
        source = data.describe(name)
        found, reason = _whereabouts(name)
        for note in found.notes:
            yield WARNING, note
        if found.rung:
            yield GOOD, f"{source.title}: {found.rung}, verified"
        elif reason is None:
            yield (
                WARNING,
                f"{source.title}: will be downloaded ({source.size}) at its first use. Do it "
                f'tonight: python -c "from helpers import data; data.load({name!r})"',
            )
        else:
            yield (
                WARNING,
                f"{source.title}: not on this computer. {reason} {source.remedy[0].upper()}"
                f"{source.remedy[1:]}; without it the lesson runs on the small sample.",
            )
        try:
            data.read_sample(name)
        except FileNotFoundError as error:
            yield MISSING, str(error)


def _of_lessons():
    """Name the datasets that have a sample: no notebook asks for another one as it stands."""
    from helpers import data

    return [name for name in data.names() if "lite" in data.describe(name).rows]


@functools.cache
def _whereabouts(name):
    """Return what `locate` found of a dataset, and why it cannot be downloaded either, or None."""
    from helpers import data

    found = data.locate(name)
    return found, None if found.rung else data.why_unreachable(name)


def on_the_sample():
    """Return the names of the datasets of which only the sample can be had here.

    Examples
    --------
    >>> on_the_sample()  # doctest: +SKIP
    {'mnist'}
    """
    if session.profile() == "lite":
        return set(_of_lessons())
    return {name for name in _of_lessons() if _whereabouts(name)[1]}


def memory():
    """Look for the memory that one notebook needs."""
    import psutil

    free = psutil.virtual_memory().available
    sentence = f"{free / 1e9:.1f} GB of memory are free; a notebook may need"
    if free < MEMORY_NEEDED:
        yield MISSING, f"{sentence} {MEMORY_NEEDED / 1e9:.0f}: close other programs"
    elif free < MEMORY_WANTED:
        yield WARNING, f"{sentence} up to {MEMORY_WANTED / 1e9:.0f}: run one notebook at a time"
    else:
        yield GOOD, f"{sentence} up to {MEMORY_WANTED / 1e9:.0f}"


def disk():
    """Look for the disk space that downloads and trained networks need."""
    free = shutil.disk_usage(ROOT).free
    if free < DISK_NEEDED:
        yield MISSING, f"{free / 1e9:.1f} GB of disk are free, 1 is needed: delete something"
    else:
        yield GOOD, f"{free / 1e9:.0f} GB of disk are free"


def path_length():
    """Warn of a path that breaks the installation of TensorFlow on Windows.

    Examples
    --------
    >>> list(path_length())  # doctest: +SKIP
    [('!', 'the path of this folder has 85 characters; over 70, Windows may refuse ...')]
    """
    if platform.system() == "Windows" and len(str(ROOT)) > WINDOWS_PATH:
        yield (
            WARNING,
            f"the path of this folder has {len(str(ROOT))} characters; over {WINDOWS_PATH}, "
            "Windows may refuse files of TensorFlow: move it to a shorter one",
        )


CHECKS = (packages, keras_settings, kernel, folders, datasets, memory, disk, path_length)


def training_speed(seconds=8.0):
    """Train the reference network on the sample for a while.

    Returns
    -------
    float
        Images per second.
    """
    from helpers import data, models

    with contextlib.redirect_stdout(io.StringIO()):
        dataset = data.load(profile="lite")
    model = models.build_cnn(dataset.x_train.shape[1:], len(dataset.class_names))
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", jit_compile=False)

    def epoch():
        model.fit(dataset.x_train, dataset.y_train, batch_size=128, verbose=0)
        return len(dataset.x_train)

    epoch()  # compiles
    began, images = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        images += epoch()
    return images / (time.perf_counter() - began)


def minutes_here(speed, samples=()):
    """Yield lines that turn the minutes which each notebook states into minutes here.

    Parameters
    ----------
    speed : float
        What `training_speed` measured.
    samples : set of str
        Datasets of which only the sample can be had: a notebook that uses one runs in seconds.

    Examples
    --------
    >>> next(minutes_here(3000.0))
    'Training runs at 3,000 images per second, 0.5 times the speed of the computer ...'
    """
    factor = REFERENCE_SPEED / speed
    yield (
        f"Training runs at {speed:,.0f} images per second, {1 / factor:.1f} times the speed of the "
        "computer that the stated minutes come from. A run here takes about:"
    )
    for path in notebooks.find(everything=True):
        notebook = notebooks.read(path)
        about = notebook.metadata.get("course", {})
        stated, measured = about.get("run_minutes"), about.get("run_seconds", {})
        on_sample = bool(notebooks.datasets(notebook) & set(samples))
        seconds = measured.get("lite" if on_sample else "full")
        most = "" if seconds else "at most "
        if on_sample:
            seconds, remark = seconds or SAMPLE_SECONDS, "on the small sample"
        elif stated is not None:
            seconds, remark = seconds or 60 * stated, f"(stated: {stated})"
        else:
            continue
        yield f"  {path.stem:<24} {most}{seconds / 60 * factor:5.1f} min {remark}"

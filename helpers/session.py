"""The settings of a session: every ``COURSE_*`` variable is read here, and nowhere else."""

from __future__ import annotations

import contextlib
import contextvars
import functools
import importlib.util
import json
import operator
import os
import sys
import threading
import weakref
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROFILES = ("full", "lite")
SEEDS = 2**32  # NumPy takes seeds below this
BAR_COLOUR = "#0173b2"  # the first colour of the figures
BAR_WIDTH = 72  # characters: a notebook on a projector is not wide

_seed = 0
_fallen_back = False
_shown = None  # a weak reference to the bar that was shown last


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

    Examples
    --------
    >>> profile() in PROFILES
    True
    """
    value = os.environ.get("COURSE_PROFILE") or "full"
    if value not in PROFILES:
        raise ValueError(f"COURSE_PROFILE must be 'full' or 'lite', not {value!r}")
    return "lite" if _fallen_back else value


def fall_back():
    """Go on in the lite profile, because the full data cannot be had.

    Examples
    --------
    >>> fall_back()  # doctest: +SKIP
    >>> profile()  # doctest: +SKIP
    'lite'
    """
    global _fallen_back
    _fallen_back = True


def seed():
    """Seed of this session: ``$COURSE_SEED``, or else the one given to `helpers.setup`.

    Returns
    -------
    int, 0 <= seed < 2**32

    Raises
    ------
    ValueError
        If ``$COURSE_SEED`` is not a whole number in that range.

    Examples
    --------
    >>> 0 <= seed() < SEEDS
    True
    """
    value = os.environ.get("COURSE_SEED")
    if not value:
        return _seed
    if not value.isdecimal() or int(value) >= SEEDS:
        raise ValueError(f"COURSE_SEED must be a whole number from 0 to {SEEDS - 1}, not {value!r}")
    return int(value)


def set_seed(value):
    """Set the seed of this session; where ``$COURSE_SEED`` is set, that one still counts.

    Parameters
    ----------
    value : int, 0 <= value < 2**32

    Raises
    ------
    ValueError
        If it is anything else.

    Examples
    --------
    >>> set_seed(-1)
    Traceback (most recent call last):
        ...
    ValueError: seed must be a whole number from 0 to 4294967295, not -1
    """
    global _seed
    try:
        # operator.index takes NumPy's whole numbers too; it would take True as 1
        number = -1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = -1
    if not 0 <= number < SEEDS:
        raise ValueError(f"seed must be a whole number from 0 to {SEEDS - 1}, not {value!r}")
    _seed = number


def data_folder():
    """Folder that a class shares its data in, ``$COURSE_DATA``, or None.

    Examples
    --------
    >>> data_folder()  # doctest: +SKIP
    PosixPath('/media/lab/course')
    """
    return _path("COURSE_DATA")


def models_folder():
    """Folder of the checkpoints that this person trained: ``data/models``.

    ``$COURSE_MODELS`` takes its place in tests.

    Examples
    --------
    >>> models_folder().is_absolute()
    True
    """
    return _path("COURSE_MODELS") or ROOT / "data" / "models"


def figures_folder():
    """Where named figures are saved: ``$COURSE_FIGURES``, by default ``build/figures``.

    Examples
    --------
    >>> figures_folder().is_absolute()
    True
    """
    return _path("COURSE_FIGURES") or ROOT / "build" / "figures"


def record_file():
    """File that measured numbers are recorded in, ``$COURSE_RECORD``, or None.

    Examples
    --------
    >>> record_file()  # doctest: +SKIP
    PosixPath('/home/me/course/build/record.jsonl')
    """
    return _path("COURSE_RECORD")


def _path(variable):
    """Return a path from the environment, or None: ``~`` is the home folder, ROOT the start."""
    value = os.environ.get(variable)
    # not Path.expanduser, which raises for a user that does not exist
    return ROOT / os.path.expanduser(value) if value else None


def interactive():
    """Whether a person watches: False under pytest, and in notebooks that a command runs.

    Examples
    --------
    >>> interactive()  # this example runs under pytest
    False
    """
    return not (os.environ.get("PYTEST_CURRENT_TEST") or os.environ.get("COURSE_RUN"))


def percent(share, digits=0):
    """Write a share as the texts of the course do, with a space before the sign.

    Parameters
    ----------
    share : float
    digits : int
        After the point.

    Examples
    --------
    >>> percent(0.98561, 2), percent(0.5)
    ('98.56 %', '50 %')
    """
    return f"{100 * share:.{digits}f} %"


def progress_bar(total, description, show=True, delay=0):
    """Make a tqdm bar that leaves nothing behind; invisible unless a person is watching.

    It says what, how far, and how long yet: ``training: 45 % |████    | about 12 s left``. In a
    notebook it is written to stdout, because JupyterLab shows stderr on red, as an error. Inside
    another bar there is none: two lines would push each other away.

    Parameters
    ----------
    total : int
    description : str
    show : bool
        False makes it invisible in any case.
    delay : float
        It is shown at the first step after so many seconds: what often takes no time needs no
        bar. Until then, bars inside it are shown.

    Examples
    --------
    >>> with progress_bar(3, "epochs") as bar:
    ...     bar.update()
    """
    return _bar(
        total,
        description,
        show,
        delay,
        colour=BAR_COLOUR,
        bar_format="{desc}: {percentage:3.0f} % |{bar}| {left}{postfix}",
    )


@contextlib.contextmanager
def clock(description):
    """Say that something goes on, and for how long; nobody can know how far it is.

    For a call that reports nothing, as the fit of another library: ``fitting: 7 s so far``. Like
    `progress_bar` it leaves nothing behind, and is invisible unless a person is watching; it is
    shown after a second.

    Parameters
    ----------
    description : str

    Examples
    --------
    >>> with clock("adding"):
    ...     1 + 1
    2
    """
    bar = _bar(None, description, delay=1, bar_format="{desc}: {elapsed_s:.0f} s so far")
    ended = threading.Event()

    def tick():
        while not ended.wait(1):
            bar.update()

    with bar:
        if bar.disable:
            yield
            return
        # in this context, so that it is written below the cell that runs
        ticking = threading.Thread(target=contextvars.copy_context().run, args=(tick,), daemon=True)
        try:
            ticking.start()
            yield
        finally:
            ended.set()
            if ticking.is_alive():
                ticking.join()


def _bar(total, description, show=True, delay=0, **layout):
    return _bar_class()(
        total=total,
        desc=description,
        leave=False,
        delay=delay,
        disable=_on_screen() is not None or not (show and interactive()),
        file=sys.stdout if in_notebook() else sys.stderr,
        ncols=BAR_WIDTH,
        position=0,  # also where a bar around it is not shown yet
        **layout,
    )


def _on_screen():
    """Return the bar that is on the screen, or None: a bar that is closed counts as disabled."""
    bar = None if _shown is None else _shown()
    return None if bar is None or bar.disable else bar


@functools.cache
def _bar_class():
    # not tqdm.auto, which prints a warning where ipywidgets is missing
    from tqdm import tqdm

    class Bar(tqdm):
        @property
        def format_dict(self):
            found = super().format_dict
            seconds = None
            if found["n"] and found["total"] and found["elapsed"]:
                seconds = found["elapsed"] * (found["total"] - found["n"]) / found["n"]
            return {**found, "left": time_left(seconds), "elapsed_s": found["elapsed"]}

        def display(self, *arguments, **settings):
            global _shown
            # tqdm keeps to the delay in `update` alone
            early = self.delay and self._time() < self.start_t + self.delay
            other = _on_screen()
            if early or not (other is None or other is self):
                return False
            self.delay, _shown = 0, weakref.ref(self)
            return super().display(*arguments, **settings)

        def close(self):
            shown = _on_screen() is self
            super().close()
            if shown and in_notebook():
                # tqdm blanks what one sees; JupyterLab overwrites the colour's escape codes too
                self.fp.write("\r" + " " * 2 * BAR_WIDTH + "\r")

    return Bar


def time_left(seconds):
    """Say how long something takes yet.

    Parameters
    ----------
    seconds : float or None

    Examples
    --------
    >>> time_left(11.6), time_left(200), time_left(0.4), time_left(None)
    ('about 12 s left', 'about 3 min left', 'nearly done', 'just begun')
    """
    if seconds is None:
        return "just begun"
    if seconds < 1:
        return "nearly done"
    return f"about {seconds:.0f} s left" if seconds < 90 else f"about {seconds / 60:.0f} min left"


def in_notebook():
    """Whether this Python is the kernel of a notebook.

    Examples
    --------
    >>> in_notebook()
    False
    """
    ipython = sys.modules.get("IPython")
    return hasattr(ipython and ipython.get_ipython(), "kernel")


def has_controls():
    """Whether somebody can move a slider below a cell; False in any notebook that a program runs.

    A program that runs a notebook, as `jupyter nbconvert --execute` does, says with each cell that
    nobody is there to answer a question: then nobody moves a slider either.

    Examples
    --------
    >>> has_controls()
    False
    """
    if not (interactive() and in_notebook() and importlib.util.find_spec("ipywidgets")):
        return False
    return bool(getattr(sys.modules["IPython"].get_ipython().kernel, "_allow_stdin", True))


def keras_settings_fault():
    """One sentence on a ``keras.json`` that Keras cannot be imported with, or None.

    Looked for before the import, because Keras stops at such a file with an error that does not
    name it, for example ``'list' object has no attribute 'get'``.

    Examples
    --------
    >>> keras_settings_fault()  # doctest: +SKIP
    "Keras cannot use /home/me/.keras/keras.json: floatx must be one of ..."
    """
    path = Path(os.path.expanduser(os.environ.get("KERAS_HOME") or "~/.keras")) / "keras.json"
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None  # Keras takes no notice of a file that is not JSON
    except OSError as error:
        fault = f"it cannot be read ({error.strerror})"
    else:
        fault = _fault(settings)
    advice = "Delete that file: the course sets what it needs itself."
    return fault and f"Keras cannot use {path}: {fault}. {advice}"


def _fault(settings):
    """Return what is wrong with the content of a keras.json, or None: as Keras checks it."""
    if not isinstance(settings, dict):
        return f"it holds {settings!r} where settings in braces must be"
    choices = {
        "floatx": ("float16", "float32", "float64"),
        "image_data_format": ("channels_last", "channels_first"),
    }
    for name, allowed in choices.items():
        value = settings.get(name, allowed[0])
        if value not in allowed:
            return f"{name} must be one of {allowed}, not {value!r}"
    if not isinstance(settings.get("epsilon", 1e-7), float):
        return f"epsilon must be a number like 1e-07, not {settings['epsilon']!r}"
    return None

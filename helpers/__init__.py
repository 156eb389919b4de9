"""The small module that the notebooks share.

A notebook starts with ``helpers.setup()``; then it imports what it needs, for example
``from helpers import data, models``. TensorFlow is imported by the first function that needs it.
"""

# Nothing in this file may use syntax or modules newer than Python 3.8:
# an old Python must get as far as the sentence of `unsupported`.
from __future__ import annotations

import contextlib
import os
import platform
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_quiet_import_done = False
_seed = 0


def unsupported():
    """One sentence that says why this computer cannot run the course, or None if it can."""
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


def current_seed():
    """The seed of this session: the one given to `setup`, or ``$COURSE_SEED``."""
    return int(os.environ.get("COURSE_SEED") or _seed)


def interactive():
    """True when a person runs the cells; False under pytest, `run` and the other commands."""
    return not (os.environ.get("PYTEST_CURRENT_TEST") or os.environ.get("COURSE_RUN"))


def progress_bar(total, description, show=True):
    """A tqdm bar that leaves nothing behind; invisible unless a person is watching."""
    # not tqdm.auto, which prints a warning where ipywidgets is missing
    from tqdm import tqdm

    return tqdm(total=total, desc=description, leave=False, disable=not (show and interactive()))


@contextlib.contextmanager
def _stderr_to_nowhere():
    """Send file descriptor 2 to the null device: TensorFlow's C++ code writes there directly."""
    sys.stderr.flush()
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)


def tensorflow():
    """Import TensorFlow once, quietly, with Keras on its TensorFlow backend; return the module."""
    global _quiet_import_done
    if not _quiet_import_done:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _stderr_to_nowhere():
            import keras
            import tensorflow as tf

            # the first operation starts the device code, which has log lines of its own
            tf.zeros(1).numpy()
        if keras.backend.backend() != "tensorflow":
            raise RuntimeError(
                "Keras was imported before helpers, with the backend "
                f"{keras.backend.backend()!r}; the course needs 'tensorflow'. "
                "Restart the kernel and run the set-up cell first."
            )
        # whatever ~/.keras/keras.json says
        keras.config.set_image_data_format("channels_last")
        keras.config.set_floatx("float32")
        tf.get_logger().setLevel("ERROR")
        _quiet_import_done = True
    import tensorflow as tf

    return tf


def setup(seed=0):
    """Prepare a notebook: seeds, a quiet TensorFlow, the plot style, and a one-line banner.

    Parameters
    ----------
    seed : int
        Seed of Python, NumPy and TensorFlow. ``$COURSE_SEED``, if set, takes its place.

    Raises
    ------
    RuntimeError
        If this Python or this computer cannot run the course.
    """
    global _seed
    if unsupported():
        raise RuntimeError(unsupported())
    _seed = seed
    # busy cores make OpenMP loops wait for each other by spinning: up to 100 times slower
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    tf = tensorflow()
    import keras

    from helpers import data, plotting

    keras.utils.set_random_seed(current_seed())
    tf.config.experimental.enable_op_determinism()
    plotting.use_style()
    versions = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
    print(f"Ready: profile {data.current_profile()}, seed {current_seed()}, {versions}")

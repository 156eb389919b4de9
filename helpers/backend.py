"""TensorFlow and Keras, imported without their log lines.

Modules that use them say ``from helpers.backend import keras, tf``; this import takes seconds.
"""

from __future__ import annotations

import contextlib
import os
import sys

from helpers import session


@contextlib.contextmanager
def _stderr_to_nowhere():
    """Send file descriptor 2 to the null device: TensorFlow's C++ code writes there directly."""
    if sys.stderr is None:  # a program without a console
        yield
        return
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


if session.keras_settings_fault():
    raise RuntimeError(session.keras_settings_fault())
if session.interactive() and "tensorflow" not in sys.modules:
    # on stderr in a terminal, where the output of a script may be sent to a file
    place = sys.stdout if session.in_notebook() else sys.stderr
    print("Loading TensorFlow and Keras: this takes some seconds …", file=place, flush=True)
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with _stderr_to_nowhere():
    import keras
    import tensorflow as tf

if keras.backend.backend() != "tensorflow":
    raise RuntimeError(
        f"Keras was imported before helpers, with the backend {keras.backend.backend()!r}; the "
        "course needs 'tensorflow'. Restart the kernel and run the set-up cell first."
    )
# whatever ~/.keras/keras.json and $KERAS_MAX_EPOCHS say: results must not depend on them, and a
# network that was cut short must not be stored as a trained one
keras.config.set_image_data_format("channels_last")
keras.config.set_floatx("float32")
keras.config.set_epsilon(1e-7)
keras.config.set_max_epochs(None)
keras.config.set_max_steps_per_epoch(None)
tf.get_logger().setLevel("ERROR")


def start(seed):
    """Seed Python, NumPy and TensorFlow, make operations deterministic, and start the device.

    Not done by the import: a process that has run an operation cannot be forked any more.

    Parameters
    ----------
    seed : int, 0 <= seed < 2**32

    Examples
    --------
    >>> start(0)  # doctest: +SKIP
    >>> float(keras.random.uniform(()))  # doctest: +SKIP
    0.5156843662261963
    """
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
    # the first operation starts the device code, which has log lines of its own
    with _stderr_to_nowhere():
        tf.zeros(1).numpy()

import json
import os
import subprocess
import sys

import pytest

import helpers


def run_python(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:helpers", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=helpers.ROOT,
        env={**os.environ, **environment},
    )


def test_set_up_prints_one_line_and_nothing_else(tmp_path):
    """Even where keras.json asks for another backend and another layout of the images."""
    settings = {"backend": "torch", "image_data_format": "channels_first", "floatx": "float16"}
    (tmp_path / "keras.json").write_text(json.dumps(settings))
    code = (
        "import helpers; helpers.setup(seed=3); import keras;"
        "assert keras.backend.backend() == 'tensorflow';"
        "assert keras.config.image_data_format() == 'channels_last';"
        "assert keras.config.floatx() == 'float32'"
    )
    done = run_python(code, KERAS_HOME=str(tmp_path), COURSE_PROFILE="lite", COURSE_SEED="5")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("Ready: profile lite, seed 5, TensorFlow 2.")
    assert done.stdout.count("\n") == 1


def test_light_modules_do_not_import_tensorflow():
    code = (
        "import sys; from helpers import data, plotting, confidence, inversion, neighbours, models;"
        "data.load('mnist', profile='lite');"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_another_backend_imported_first_is_reported(monkeypatch):
    helpers.tensorflow()
    import keras

    monkeypatch.setattr(helpers, "_quiet_import_done", False)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(RuntimeError, match="Restart the kernel and run the set-up cell first"):
        helpers.tensorflow()


@pytest.mark.parametrize(
    ("version", "platform", "machine", "words"),
    [
        ((3, 10), "linux", "x86_64", "needs Python 3.11, 3.12 or 3.13, and this is Python 3.10"),
        ((3, 14), "linux", "x86_64", "and this is Python 3.14"),
        ((3, 12), "darwin", "x86_64", "Macs with an Intel processor"),
    ],
)
def test_a_computer_that_cannot_run_the_course_is_told_so(
    monkeypatch, version, platform, machine, words
):
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(helpers.platform, "machine", lambda: machine)
    assert words in helpers.unsupported()
    with pytest.raises(RuntimeError, match=words):
        helpers.setup()


@pytest.mark.parametrize(("version", "machine"), [((3, 11), "x86_64"), ((3, 13), "arm64")])
def test_a_computer_that_can_is_not(monkeypatch, version, machine):
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    monkeypatch.setattr(sys, "platform", "darwin" if machine == "arm64" else "linux")
    monkeypatch.setattr(helpers.platform, "machine", lambda: machine)
    assert helpers.unsupported() is None

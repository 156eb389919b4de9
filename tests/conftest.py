"""Fixtures that several test files share."""

import dataclasses
import json
import os
import re
import subprocess
import sys
import time
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import data, plotting, records
from helpers.course import notebooks


@pytest.fixture(scope="session")
def sample():
    """The committed sample: 4,000 + 1,000 real digits."""
    return data.load("mnist", profile="lite")


@pytest.fixture(scope="session")
def half_sample(sample):
    """A part of the sample, at half its resolution: its principal components come fast."""
    return dataclasses.replace(
        sample,
        x_train=sample.x_train[:1500, ::2, ::2],
        y_train=sample.y_train[:1500],
        x_test=sample.x_test[:, ::2, ::2],
    )


@pytest.fixture
def threes(half_sample):
    """Twenty test images of a class, at half their resolution."""
    return half_sample.x_test[half_sample.y_test == 3][:20]


@pytest.fixture(scope="session")
def linear_model():
    """A softmax regression with fixed random weights: (tf model, NumPy weights, NumPy bias)."""
    from helpers.backend import tf

    rng = np.random.default_rng(1)
    weights = rng.normal(0, 0.1, (784, 10))
    bias = rng.normal(0, 0.1, 10)
    w, b = tf.constant(weights, tf.float32), tf.constant(bias, tf.float32)

    def model(x):
        return tf.nn.softmax(tf.reshape(x, (-1, 784)) @ w + b)

    return model, weights, bias


@pytest.fixture
def shown(monkeypatch):
    """What a room gave to `plotting.show`: figure, alt and name; the figures stay open."""
    calls = []

    def show(figure, alt, name=None):
        calls.append(SimpleNamespace(figure=figure, axes=figure.axes, alt=alt, name=name))

    monkeypatch.setattr(plotting, "show", show)
    yield calls
    plt.close("all")
    for call in calls:
        assert len(call.alt.split()) >= 10, "alt text says what to see"
        assert not re.search(r"\d[.,]\d|\d ?%", call.alt), f"a measured number: {call.alt}"


@pytest.fixture
def course(tmp_path, monkeypatch):
    """Give the commands a course of its own: ``root``, and ``save`` for its notebooks.

    ``save`` takes a name and cells; a text is a code cell, a tuple one with tags.
    """
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path / "notebooks")
    monkeypatch.setattr(notebooks, "BUILD", tmp_path / "build")
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")
    monkeypatch.setenv("COURSE_PROFILE", "lite")

    def cell(content):
        if isinstance(content, str):
            return new_code_cell(content)
        if isinstance(content, tuple):
            return new_code_cell(content[0], metadata={"tags": list(content[1:])})
        return content

    def save(name, *cells, minutes=1):
        metadata = {"course": {"run_minutes": minutes}}
        path = notebooks.FOLDER / f"{name}.ipynb"
        notebooks.write(new_notebook(cells=[cell(each) for each in cells], metadata=metadata), path)
        return path

    return SimpleNamespace(root=tmp_path, save=save)


@pytest.fixture
def home(course):
    """Make a home with settings of IPython, and a kernel that calls itself python3."""
    folder = course.root / "home"
    settings = folder / ".ipython" / "profile_default" / "ipython_config.py"
    settings.parent.mkdir(parents=True)
    settings.write_text("get_config().InteractiveShell.ast_node_interactivity = 'all'")
    kernel = folder / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text(json.dumps({"argv": ["another-python"], "display_name": "Python 3"}))
    return folder


@pytest.fixture
def unwatched(monkeypatch):
    """Return a function that takes away what pytest tells to kernels, as in a person's shell."""

    def forget():
        for variable in ("PYTEST_CURRENT_TEST", "COURSE_RUN", "COURSE_FIGURES", "IPYTHONDIR"):
            monkeypatch.delenv(variable, raising=False)

    return forget


@pytest.fixture
def scheduler(tmp_path):
    """Start a Dask scheduler and two workers, a process each: ``address`` and ``workers``."""
    pytest.importorskip("distributed", reason='no Dask: pip install -e ".[scheduler]"')
    file, started = tmp_path / "scheduler.json", []

    def start(what, *options):
        module = f"distributed.cli.dask_{what}"
        command = [sys.executable, "-m", module, "--scheduler-file", str(file), *options]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "COURSE_MODELS": str(tmp_path / "models-of-workers"),
        }
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        started.append(subprocess.Popen(command, env=environment, cwd=tmp_path, **quiet))

    try:
        start("scheduler", "--port", "0", "--no-dashboard")
        for _ in range(2):
            start("worker", "--nthreads", "1", "--no-nanny", "--no-dashboard")
        while not file.exists():
            assert started[0].poll() is None, "the scheduler has ended"
            time.sleep(0.1)
        address = json.loads(file.read_text())["address"]
        yield SimpleNamespace(address=address, workers=started[1:])
    finally:
        for process in started:
            process.kill()
            process.wait()

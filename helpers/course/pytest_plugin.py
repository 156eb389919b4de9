"""What the tests need before a kernel starts; named in ``addopts`` of pyproject.toml.

tests/conftest.py would be too late: ``pytest --nbval notebooks/05_cnn_inversion.ipynb`` alone
never reads it.
"""

from __future__ import annotations

import os
import shutil
import tempfile

import pytest

from helpers.course import notebooks


def pytest_configure(config):
    """Set what every kernel inherits."""
    if not config.getoption("nbval_kernel_name", None):
        # whatever kernel "python3" means on this computer: test with the Python that runs pytest
        config.option.nbval_current_env = True
    if hasattr(config, "workerinput"):
        return  # a worker of pytest-xdist: it inherits all of the following
    # with several workers, start scopes in the order of `pytest_collection_modifyitems`
    config.option.loadscopereorder = False
    os.environ.setdefault("COURSE_PROFILE", "lite")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ["COURSE_RUN"] = "1"
    os.environ["COURSE_FIGURES"] = str(notebooks.BUILD / "figures")
    os.environ["PYTHONPATH"] = notebooks.python_path()
    if workers := len(getattr(config.option, "tx", None) or []):
        # libraries that each take all cores wait for each other
        threads = str(max(1, (os.cpu_count() or 1) // workers))
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            os.environ.setdefault(variable, threads)
    # networks that a test trains must not be found later by a person, nor theirs by a test;
    # and the person's own IPython settings could change what a cell shows
    for variable in ("COURSE_MODELS", "IPYTHONDIR"):
        folder = tempfile.mkdtemp(prefix="course-")
        os.environ[variable] = folder
        config.add_cleanup(lambda folder=folder: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_modifyitems(config, items):
    """Let the longest notebooks start first, so that no worker ends long after the others."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: -_run_minutes(item))


def _run_minutes(item):
    notebook = getattr(item.parent, "nb", None)  # only nbval's files have one
    return notebook.metadata.get("course", {}).get("run_minutes", 0) if notebook else 0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Fail a notebook's cell that nbval passes and that a student would stumble over."""
    report = yield
    outputs = getattr(item, "test_outputs", None)  # only nbval's items have them
    if call.when == "call" and report.passed and outputs is not None:
        limit = item.config.option.nbval_cell_timeout
        stderr = [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
        if call.duration >= limit:
            # nbval interrupts the cell; where the cell catches that, nbval sees a success
            report.outcome = "failed"
            report.longrepr = f"{item.name} took as long as the time-out of {limit:g} s"
        elif stderr:
            report.outcome = "failed"
            report.longrepr = f"{item.name} wrote to stderr:\n{''.join(stderr)}"
    return report

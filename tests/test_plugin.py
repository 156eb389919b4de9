"""What ``pytest --nbval`` promises, with the settings of pyproject.toml and real kernels."""

import importlib.util
import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest
from nbformat.v4 import new_code_cell, new_output

from helpers.course import notebooks
from helpers.session import ROOT

SETTINGS = """
import os, sys
'not shown, unless the settings of IPython are those of the person'
print(os.environ['COURSE_PROFILE'], os.environ['COURSE_RUN'], sys.executable)
print(os.environ['COURSE_FIGURES'], os.listdir(os.environ['COURSE_MODELS']))
"""
UNIT = "\ndef test_a(): pass\ndef test_b(): pass"
SLEEPS = "import time\ntry:\n    time.sleep(20)\nexcept KeyboardInterrupt:\n    pass"


def stored(source, text=None, *tags):
    outputs = [] if text is None else [new_output("stream", name="stdout", text=text)]
    return new_code_cell(source, outputs=outputs, execution_count=1, metadata={"tags": list(tags)})


def save(course, name, *cells, minutes=1):
    path = course.save(name, *cells, minutes=minutes)
    notebook = notebooks.read(path)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebooks.write(notebook, path)


def run_pytest(course, home, *options):
    temporary = course.root / "temporary"
    temporary.mkdir()
    private = ("COURSE_", "PYTEST_", "IPYTHON", "JUPYTER")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(private)}
    for folder in ("HOME", "USERPROFILE"):
        environment[folder] = str(home)
    for folder in ("TMPDIR", "TEMP", "TMP"):
        environment[folder] = str(temporary)
    environment["JUPYTER_PATH"] = str(home / "jupyter")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--nbval", "-v", "--nbval-cell-timeout=2", *options),
            *("-c", ROOT / "pyproject.toml", "--rootdir", course.root, "-p", "no:cacheprovider"),
            *(f"--junitxml={course.root / 'report.xml'}", course.root),
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    # xdist itself leaves a pytest-of-… there
    assert [each.name for each in temporary.iterdir() if "pytest" not in each.name] == []
    assert [each.name for each in (home / ".ipython").rglob("*") if each.is_file()] == [
        "ipython_config.py"
    ]
    return done


def test_pytest_finds_what_a_student_would(course, home):
    save(
        course,
        "01_outputs",
        stored("print('as stored')", "as stored\n"),
        stored("print('now')", "then\n"),
        stored("pass", "gone\n"),
        stored("print('new')"),
        stored("print('now')", "then\n", "nbval-ignore-output"),
        stored("1 / 0", None, "nbval-ignore-output"),
        stored("import warnings; warnings.warn('careless')", None, "nbval-ignore-output"),
        stored(SETTINGS, f"lite 1 {sys.executable}\n{ROOT / 'build' / 'figures'} []\n"),
        stored(SLEEPS),
    )
    serial = ["-n", "0"] if importlib.util.find_spec("xdist") else []
    done = run_pytest(course, home, *serial)
    assert done.returncode == 1, done.stdout + done.stderr
    failures = {}
    for case in ET.parse(course.root / "report.xml").iter("testcase"):
        failure = case.find("failure")
        found = "" if failure is None else failure.get("message") + failure.text
        failures[case.get("name")] = found
    expected = {
        "Cell 0": None,
        "Cell 1": "mismatch 'stdout'",
        "Cell 2": "Missing output fields",
        "Cell 3": "Unexpected output fields",
        "Cell 4": None,
        "Cell 5": "division by zero",
        "Cell 6": "wrote to stderr",
        "Cell 7": None,
        "Cell 8": "as long as the time-out of 2 s",
    }
    assert failures.keys() == expected.keys(), done.stdout
    for name, message in expected.items():
        found = failures[name]
        assert message in found if message else not found, f"{name}: {found}"


def test_a_worker_of_xdist_inherits_everything_and_starts_with_the_longest(course, home):
    pytest.importorskip("xdist")
    log = course.root / "log"
    note = (
        "import os, tempfile\n"
        "folders = [each for each in os.listdir(tempfile.gettempdir()) if 'course-' in each]\n"
        f"with open({str(log)!r}, 'a') as log:\n"
        "    print('{name}', os.environ['COURSE_PROFILE'], len(folders), file=log)"
    )
    (course.root / "test_unit.py").write_text(note.replace("{name}", "unit") + UNIT)
    for name, minutes in (("01_short", 1), ("02_long", 3)):
        save(course, name, stored(note.replace("{name}", name)), minutes=minutes)
    done = run_pytest(course, home, "-n", "1", "--dist", "loadscope")
    assert done.returncode == 0, done.stdout + done.stderr
    # the folders are those of IPython and of the networks: the same two for all
    lines = log.read_text().splitlines()
    assert lines == ["unit lite 2", "02_long lite 2", "01_short lite 2"]
    places = [done.stdout.index(name) for name in ("02_long", "01_short", "test_unit")]
    assert places == sorted(places)

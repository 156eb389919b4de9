"""The command line as a whole: help at once, one line for what a person can mend."""

import ast
import errno
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from helpers.course import notebooks, release
from helpers.course.__main__ import COMMANDS, main
from helpers.session import ROOT

HEAVY = {"tensorflow", "keras", "numpy", "pandas", "matplotlib", "nbclient", "nbformat"}


def run_course(*arguments, before="", **environment):
    """Run a command in a Python of its own, after some code; print what it has imported."""
    code = (
        f"import runpy, sys\n{before}\nsys.argv = ['course', *{arguments!r}]\n"
        "try: runpy.run_module('helpers.course', run_name='__main__')\n"
        f"finally: print(sorted({HEAVY!r} & {{k for k, v in sys.modules.items() if v}}))"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


@pytest.fixture
def command(monkeypatch):
    """Make `release` do what a test gives it."""
    return lambda function: monkeypatch.setattr(release, "main", function)


def raising(error):
    def function(arguments):
        raise error

    return function


# --- help


def test_help_names_every_command_and_imports_none():
    done = run_course("--help")
    printed = done.stdout.decode().splitlines()
    assert printed[-1] == "[]"
    for name in COMMANDS:
        assert [line for line in printed if re.match(rf"    {name} +[A-Z]", line)], name
    files = {path.stem for path in (ROOT / "helpers" / "course").glob("*.py")}
    others = {"__init__", "__main__", "editions", "notebooks", "notes", "pytest_plugin"}
    others |= {"grade_collect", "grade_sandbox", "grade_report"}  # parts of grade
    others |= {"bench_grading", "tasks"}  # a part of bench, and of several
    assert files - others == set(COMMANDS), "a command is one file, named in COMMANDS"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_takes(name, capsys):
    with pytest.raises(SystemExit) as stop:
        main([name, "--help"])
    assert stop.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m helpers.course {name} [-h]")


@pytest.mark.parametrize("name", ["release", "doctor"])
def test_release_and_doctor_start_without_keras(name):
    done = run_course(name, "--help")
    assert done.stdout.decode().splitlines()[-1] == "[]"


@pytest.mark.parametrize("argv", [[], ["dance"]])
def test_no_command_or_an_unknown_one_is_answered_with_the_usage(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2
    printed = capsys.readouterr().err
    assert "usage: python -m helpers.course" in printed and "release" in printed


# --- one line, or a traceback


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("COURSE_PROFILE", "fast", "COURSE_PROFILE must be 'full' or 'lite', not 'fast'"),
        ("COURSE_SEED", "abc", "COURSE_SEED must be a whole number from 0 to 4294967295"),
    ],
)
def test_a_wrong_setting_is_one_line(variable, value, line):
    for name in ("run", "release"):
        done = run_course(name, **{variable: value})
        assert done.returncode == 1
        assert re.fullmatch(f"error: {line}.*\\n", done.stderr.decode())


def test_what_makes_no_sense_is_one_line(command):
    command(raising(notebooks.UsageError("--to must be empty")))
    with pytest.raises(SystemExit) as stop:
        main(["release"])
    assert stop.value.code == "error: --to must be empty"


def test_ctrl_c_is_one_line(command):
    command(raising(KeyboardInterrupt()))
    with pytest.raises(SystemExit) as stop:
        main(["release"])
    assert stop.value.code == "Stopped."


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device"),
        (OSError(errno.EROFS, "Read-only file system", "/x"), "Read-only file system: /x"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), "Permission denied: /x"),
        (OSError(errno.ENOSPC, "No space left", "/from", None, "/to"), "No space left: /to"),
    ],
)
def test_a_full_or_closed_disk_is_one_line(command, error, line):
    command(raising(error))
    with pytest.raises(SystemExit) as stop:
        main(["release"])
    assert stop.value.code == f"error: {line}"


@pytest.mark.parametrize(
    "bug",
    [
        ValueError("from a helper"),
        FileNotFoundError(errno.ENOENT, "No such file", "x"),
        ModuleNotFoundError("No module named 'helpers.checks'", name="helpers.checks"),
        ImportError("cannot import name 'checks'"),
        AttributeError("steps"),
    ],
)
def test_a_bug_keeps_its_traceback(command, bug):
    command(raising(bug))
    with pytest.raises(type(bug)) as caught:
        main(["release"])
    assert caught.value is bug


def test_a_missing_package_is_one_line():
    done = run_course("run", before="sys.modules['numpy'] = None")
    assert done.returncode == 1
    assert done.stderr.decode() == (
        "numpy is not installed: python -m pip install -r requirements.txt\n"
    )


# --- outputs that are not UTF-8


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("ascii", b"ok a, ! b, WRONG c ... 3 x 2 - ? ?"),
        ("cp1252", b"ok a, ! b, WRONG c \x85 3 \xd7 2 \x96 ? ?"),
        ("utf-8", "✓ a, ! b, ✗ c … 3 × 2 – η ".encode() + b"?"),
    ],
)
def test_every_output_has_readable_marks(encoding, printed):
    before = (
        "from helpers.course import release\n"
        "def say(arguments):\n"
        "    print('✓ a, ! b, ✗ c … 3 × 2 – η \\udcff')\n"
        "    print('✗', file=sys.stderr)\n"
        "    raise SystemExit('✓')\n"
        "release.main = say"
    )
    done = run_course("release", before=before, PYTHONIOENCODING=encoding)
    assert done.stdout.splitlines()[0] == printed
    marks = "✗✓" if encoding == "utf-8" else "WRONGok"
    assert done.stderr.decode().replace("\r", "").replace("\n", "") == marks


def test_a_stream_without_an_encoding_is_left_alone(command, monkeypatch):
    written = []
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(write=written.append, flush=lambda: None))
    command(lambda arguments: print("✓"))
    main(["release"])
    assert "".join(written) == "✓\n"


# --- computers that cannot run the course


@pytest.mark.parametrize("version", [(3, 10, 9), (3, 14, 0)])
def test_an_unsupported_python_gets_one_sentence_from_every_command(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.delitem(sys.modules, "helpers.course")
    with pytest.raises(SystemExit) as stop:
        __import__("helpers.course")
    sentence = str(stop.value.code)
    assert f"this is Python 3.{version[1]}" in sentence
    assert "\n" not in sentence


@pytest.mark.parametrize("name", ["helpers/__init__.py", "helpers/course/__init__.py"])
def test_an_old_python_gets_as_far_as_that_sentence(name):
    ast.parse((ROOT / name).read_text(encoding="utf-8"), feature_version=(3, 8))

"""The doctor: each thing that spoils a lesson is noticed, named, and followed by what to do."""

import dataclasses
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from nbformat.v4 import new_code_cell, new_notebook

from helpers import data
from helpers.course import doctor, notebooks
from helpers.course.__main__ import main
from helpers.session import ROOT

VERSION, LOCATE, READ_SAMPLE = importlib.metadata.version, data.locate, data.read_sample


def save(name, source, **measured):
    about = {"course": {"run_minutes": 2, **measured}}
    book = new_notebook(cells=[new_code_cell(source)], metadata=about)
    notebooks.write(book, notebooks.FOLDER / f"{name}.ipynb")


@pytest.fixture
def healthy(monkeypatch, tmp_path):
    """A computer on which nothing is missing, without the measurement."""
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path / "notebooks")
    monkeypatch.setattr(notebooks, "BUILD", tmp_path / "build")
    save("01_a", 'data.load("mnist")')
    found = SimpleNamespace(rung="data/cache", notes=())
    monkeypatch.setattr(data, "locate", lambda name: found)
    monkeypatch.setattr(data, "read_sample", lambda name: {})  # takes a while, and is tested below
    monkeypatch.setenv("COURSE_PROFILE", "full")
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "models"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    enough = SimpleNamespace(available=doctor.MEMORY_WANTED)
    monkeypatch.setattr("psutil.virtual_memory", lambda: enough)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=doctor.DISK_NEEDED))
    monkeypatch.setattr(doctor, "training_speed", lambda: doctor.REFERENCE_SPEED / 3)
    return monkeypatch


def signs(printed):
    return [line[0] for line in printed.splitlines() if line[0] in "✓!✗"]


def test_a_healthy_computer_learns_its_own_minutes(healthy, capsys):
    main(["doctor"])
    printed = capsys.readouterr().out
    assert set(signs(printed)) == {"✓"}
    for words in ("packages as requirements.txt", "notebooks get", "can be written", "of memory"):
        assert words in printed
    for name in data.names():
        in_lesson = "lite" in data.describe(name).rows
        assert (f"✓ {data.describe(name).title}: data/cache, verified" in printed) == in_lesson
    assert re.search(r"01_a +at most +6\.0 min \(stated: 2\)", printed)


# --- what is missing: one line each, and the other checks go on


def package_missing(monkeypatch, tmp_path):
    def version(name):
        if name == "tqdm":
            raise importlib.metadata.PackageNotFoundError(name)
        return VERSION(name)

    monkeypatch.setattr(importlib.metadata, "version", version)
    return r"tqdm is not installed, expected ~=[\d.]+: python -m pip install -r requirements.txt"


def package_old(monkeypatch, tmp_path):
    old = {"tensorflow": "2.15.0"}
    monkeypatch.setattr(importlib.metadata, "version", lambda name: old.get(name) or VERSION(name))
    return r"tensorflow is 2\.15\.0, expected ~=2\.21\.0: python -m pip install"


def check_without_its_package(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "psutil", None)
    return "psutil is not installed: python -m pip install -r requirements.txt"


def jupyter_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "jupyter_client", None)
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)
    return "jupyter_client.* is not installed: python -m pip install -r requirements.txt"


def package_broken(monkeypatch, tmp_path):
    def broken():
        raise ImportError("DLL load failed while importing _psutil")

    monkeypatch.setattr("psutil.virtual_memory", broken)
    return "memory could not be looked at: DLL load failed"


def keras_json_broken(monkeypatch, tmp_path):
    (tmp_path / "keras.json").write_text("[]")
    return r"Keras cannot use .*keras\.json: it holds \[\]"


def kernel_of_another_python(monkeypatch, tmp_path):
    kernel = tmp_path / "jupyter" / "kernels" / "python3" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    argv = [str(tmp_path / "anaconda" / "python"), "-m", "ipykernel_launcher"]
    kernel.write_text(json.dumps({"argv": argv, "display_name": "Python", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return r"notebooks get another Python, .*anaconda.*: python -m ipykernel install --sys-prefix"


def environment_of_another_python(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "prefix", "/another/environment")
    return "notebooks get another Python"


def helpers_of_another_checkout(monkeypatch, tmp_path):
    (tmp_path / "other" / "helpers").mkdir(parents=True)
    (tmp_path / "other" / "helpers" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "other"))
    return r"notebooks import other helpers \(.*other.*\): python -m pip install -e \."


def repository_read_only(monkeypatch, tmp_path):
    make = tempfile.TemporaryFile

    def refuse(*arguments, dir=None, **settings):
        if dir and Path(dir).is_relative_to(ROOT / "data"):
            raise OSError(30, "Read-only file system", str(dir))
        return make(*arguments, dir=dir, **settings)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    return rf"nothing can be written in {re.escape(str(ROOT / 'data'))}.* \(Read-only file system\)"


def models_below_a_file(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path / "file" / "models"))
    return r"nothing can be written in .*file"


def checkpoint_unreadable(monkeypatch, tmp_path):
    (tmp_path / "models" / "full").mkdir(parents=True)
    path = tmp_path / "models" / "full" / "mnist-cnn.weights.h5"
    try:
        path.symlink_to(tmp_path / "gone")
    except OSError:
        pytest.skip("Windows makes links for administrators only")
    return rf"{re.escape(str(path))} cannot be read \(No such file .*\): delete it"


def models_unreadable(monkeypatch, tmp_path):
    (tmp_path / "models").mkdir()
    walk = os.walk

    def refuse(folder, onerror=None):
        if Path(folder) != tmp_path / "models":
            return walk(folder, onerror=onerror)
        onerror(PermissionError(13, "Permission denied", str(folder)))
        return []

    monkeypatch.setattr(os, "walk", refuse)
    return r"models cannot be read \(Permission denied\)"


def sample_missing(monkeypatch, tmp_path):
    samples = tmp_path / "samples"
    samples.mkdir()
    monkeypatch.setattr(data, "read_sample", READ_SAMPLE)
    for path in data.SAMPLES.glob("*.npz"):
        if path.name != "mnist.npz":
            (samples / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(data, "SAMPLES", samples)
    return "mnist.npz"


def sample_damaged(monkeypatch, tmp_path):
    pattern = sample_missing(monkeypatch, tmp_path)
    (tmp_path / "samples" / "mnist.npz").write_bytes(b"half a file")
    return pattern


def memory_low(monkeypatch, tmp_path):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1.9e9))
    return r"1\.9 GB of memory are free; a notebook may need 2: close other programs"


def disk_full(monkeypatch, tmp_path):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=9e8))
    return r"0\.9 GB of disk are free, 1 is needed: delete something"


@pytest.mark.parametrize(
    "harm",
    [
        package_missing,
        package_old,
        check_without_its_package,
        jupyter_missing,
        package_broken,
        keras_json_broken,
        kernel_of_another_python,
        environment_of_another_python,
        helpers_of_another_checkout,
        repository_read_only,
        models_below_a_file,
        checkpoint_unreadable,
        models_unreadable,
        sample_missing,
        sample_damaged,
        memory_low,
        disk_full,
    ],
)
def test_what_is_missing_is_one_line_and_the_other_checks_go_on(healthy, tmp_path, capsys, harm):
    advice = harm(healthy, tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    assert stop.value.code == "Mend every line with ✗, then call the doctor again."
    lines = capsys.readouterr().out.splitlines()
    (line,) = [line for line in lines if line.startswith("✗")]
    assert re.match(f"✗ .*{advice}", line), line
    # the first check, the last that prints something, and the measurement
    assert lines[0].startswith("✓ Python") and "GB of disk are free" in lines[-4]
    assert re.match(r"  01_a +at most +6\.0 min", lines[-1])


@pytest.mark.parametrize(
    ("profile", "reason", "expected"),
    [
        ("full", "No answer from host.", r"at most +1\.2 min on the small sample"),
        ("full", None, r"at most +6\.0 min \(stated: 2\)"),  # it will be downloaded
        ("lite", None, r"at most +1\.2 min on the small sample"),
    ],
)
def test_with_the_sample_only_the_estimate_is_that_of_the_sample(
    healthy, capsys, profile, reason, expected
):
    """A factor of three, as `healthy` is slow: 25 seconds become 1.2 minutes."""
    asked = []
    healthy.setenv("COURSE_PROFILE", profile)
    healthy.setattr(data, "locate", lambda name: SimpleNamespace(rung=None, notes=()))
    healthy.setattr(data, "why_unreachable", lambda name: asked.append(name) or reason)
    main(["doctor"])
    assert re.search(f"^  01_a +{expected}$", capsys.readouterr().out, re.MULTILINE)
    assert asked == doctor._of_lessons()  # once each: it may take five seconds


@pytest.mark.parametrize(
    ("profile", "expected"),
    [("full", r"3\.5 min \(stated: 2\)"), ("lite", r"0\.6 min on the small sample")],
)
def test_an_estimate_is_of_what_was_measured_not_of_the_minutes_rounded_up(
    healthy, capsys, profile, expected
):
    save("01_a", 'data.load("mnist")', run_seconds={"full": 70, "lite": 12})
    healthy.setenv("COURSE_PROFILE", profile)
    main(["doctor"])
    assert re.search(f"^  01_a +{expected}$", capsys.readouterr().out, re.MULTILINE)


def test_where_nothing_can_be_measured_the_reason_is_one_line(healthy, capsys):
    def refuse():
        raise FileNotFoundError("data/samples/mnist.npz belongs to this repository")

    healthy.setattr(doctor, "training_speed", refuse)
    main(["doctor"])
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "! nothing could be measured: data/samples/mnist.npz belongs to this repository"


# --- what is only worth knowing


def memory_for_one(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=3.9e9))
    return "run one notebook at a time"


def long_windows_path(monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Windows")
    monkeypatch.setattr(doctor, "WINDOWS_PATH", len(str(ROOT)) - 1)
    return f"the path of this folder has {len(str(ROOT))} characters"


def download_to_come(monkeypatch):
    monkeypatch.setattr(data, "locate", lambda name: SimpleNamespace(rung=None, notes=()))
    monkeypatch.setattr(data, "why_unreachable", lambda name: None)
    return "MNIST: will be downloaded (11 MB)"


def dataset_that_is_nowhere(monkeypatch):
    monkeypatch.setattr(data, "locate", lambda name: SimpleNamespace(rung=None, notes=()))
    monkeypatch.setattr(data, "why_unreachable", lambda name: "No answer from host.")
    return "MNIST: not on this computer. No answer from host."


def damaged_copy(monkeypatch):
    note = "MNIST: COURSE_DATA is not used. It is damaged."
    found = SimpleNamespace(rung="data/cache", notes=(note,))
    monkeypatch.setattr(data, "locate", lambda name: found)
    return note


@pytest.mark.parametrize(
    "harm",
    [
        memory_for_one,
        long_windows_path,
        download_to_come,
        dataset_that_is_nowhere,
        damaged_copy,
    ],
)
def test_what_is_only_worth_knowing_stops_nobody(healthy, capsys, harm):
    words = harm(healthy)
    main(["doctor"])
    printed = capsys.readouterr().out
    assert "✗" not in printed
    assert re.search(f"^! .*{re.escape(words)}", printed, re.MULTILINE)


def test_a_path_is_too_long_on_windows_only(healthy, capsys):
    healthy.setattr(doctor, "WINDOWS_PATH", 1)
    healthy.setattr("platform.system", lambda: "Linux")
    main(["doctor"])
    assert "characters" not in capsys.readouterr().out


def test_a_damaged_file_is_noticed_on_the_real_ladder(healthy, tmp_path, capsys):
    healthy.setattr(data, "locate", LOCATE)
    healthy.setattr(data, "CACHE", tmp_path / "cache")
    healthy.setattr(data, "why_unreachable", lambda name: "No answer from host.")
    healthy.setenv("COURSE_DATA", str(tmp_path))
    (tmp_path / "mnist.npz").write_bytes(data.SAMPLES.joinpath("mnist.npz").read_bytes()[:-9])
    main(["doctor"])
    printed = capsys.readouterr().out
    assert re.search(r"! MNIST: COURSE_DATA is not used\. .*mnist\.npz", printed)
    assert re.search(r"! MNIST: not on this computer.* set COURSE_DATA to a folder with", printed)


def test_every_dataset_is_looked_at(healthy, capsys):
    asked = []
    healthy.setattr(data, "names", lambda: ["fashion_mnist", "mnist"])
    healthy.setattr(
        data, "locate", lambda name: asked.append(name) or SimpleNamespace(rung="x", notes=())
    )
    main(["doctor"])
    assert asked == ["fashion_mnist", "mnist"]


# --- how it prints, what it imports, what it measures


def test_the_checks_import_no_keras():
    code = (
        "import sys\n"
        "from helpers import data\n"
        "from helpers.course import doctor\n"
        "data.why_unreachable = lambda name: 'not asked in this test'\n"
        "for check in doctor.CHECKS: print(*check())\n"
        "print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_the_marks_are_readable_where_the_output_is_ascii():
    code = (
        "from helpers.course import __main__, doctor\n"
        "doctor.CHECKS = (doctor.memory, lambda: [(doctor.MISSING, 'no data …')])\n"
        "doctor.training_speed, doctor.minutes_here = float, lambda *_: ['3 min']\n"
        "doctor.on_the_sample = set\n"
        "__main__.main(['doctor'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
    )
    first, second, _, _ = done.stdout.decode("ascii").splitlines()
    assert first.split()[0] in ("ok", "!", "WRONG") and second == "WRONG no data ..."
    assert done.stderr.decode("ascii").startswith("Mend every line with WRONG, then")


def test_a_tensorflow_that_cannot_be_imported_is_one_line(healthy, capsys):
    def broken():
        raise ImportError("DLL load failed while importing _pywrap_tensorflow_internal")

    healthy.setattr(doctor, "training_speed", broken)
    with pytest.raises(SystemExit, match="Mend every line with ✗"):
        main(["doctor"])
    assert "\n✗ TensorFlow cannot be imported: DLL load failed" in capsys.readouterr().out


def test_a_real_training_is_measured(monkeypatch, sample):
    part = dataclasses.replace(sample, x_train=sample.x_train[:256], y_train=sample.y_train[:256])
    monkeypatch.setattr(data, "load", lambda profile: part)
    assert doctor.training_speed(seconds=0.1) > 10

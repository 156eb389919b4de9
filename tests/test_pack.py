"""A stick that needs no network, and a zip that Colab unpacks."""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import zipfile

import pytest
from packaging.requirements import Requirement

from helpers import explore
from helpers.course import editions, notebooks, pack, release
from helpers.course.__main__ import main

ALL = notebooks.find(everything=True)
PAIRS = [(system, python) for system in pack.SYSTEMS for python in pack.PYTHONS]


def names(system, python):
    return {line.split("==")[0] for line in pack.locked(system, python)}


@pytest.mark.parametrize(("system", "python"), PAIRS)
def test_the_lock_file_names_everything_with_its_digest(system, python):
    for line in pack.locked(system, python):
        assert " --hash=sha256:" in line and ";" not in line
    # `pip install -e .` builds the course's own package, and that takes setuptools
    assert {"tensorflow", "keras", "jupyterlab", "setuptools"} <= names(system, python)


def test_each_system_gets_what_only_it_needs():
    assert {"colorama", "pywinpty"} <= names("windows", "3.12")
    assert "appnope" in names("mac", "3.12")
    assert not names("linux", "3.12") & {"colorama", "pywinpty", "appnope"}


def test_the_lock_file_holds_the_versions_of_the_constraints():
    text = (pack.ROOT / "constraints.txt").read_text(encoding="utf-8")
    held = {line.split(" ")[0] for line in text.splitlines() if "==" in line}
    for line in pack.locked("windows", "3.11"):
        requirement = line.split(" ")[0]
        assert requirement in held or requirement.startswith("setuptools=="), requirement


def test_this_python_gets_what_the_constraints_ask_of_it(monkeypatch, tmp_path):
    """Not of the 3.NN.0 that `--pythons` names."""
    asked = []
    monkeypatch.setattr(pack, "_fetch", lambda _, listed, *rest: asked.append(listed.read_text()))
    pack._download(
        tmp_path / "wheels", pack.this_system(), ".".join(map(str, sys.version_info[:2]))
    )
    packed = set(re.findall(r"^([\w.-]+==\S+)", "\n".join(asked), re.MULTILINE))
    text = (pack.ROOT / "constraints.txt").read_text(encoding="utf-8")
    lines = [Requirement(line) for line in text.splitlines() if "==" in line]
    wanted = {f"{r.name}{r.specifier}" for r in lines if not r.marker or r.marker.evaluate()}
    browser = {f"{r.name}{r.specifier}" for r in lines if r.name in ("playwright", "greenlet")}
    assert wanted - browser - packed == set()


@pytest.fixture
def index(tmp_path, monkeypatch):
    """Let pip find one small wheel and nothing else; return the line that the lock has for it."""
    wheel = tmp_path / "index" / "tiny-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    about = "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n"
    kind = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(wheel, "w") as archive:
        rows = []
        for name, text in {"tiny.py": "", "METADATA": about, "WHEEL": kind}.items():
            place = name if name == "tiny.py" else f"tiny-1.0.dist-info/{name}"
            archive.writestr(place, text)
            sha = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            rows.append(f"{place},sha256={sha.decode().rstrip('=')},{len(text)}")
        archive.writestr("tiny-1.0.dist-info/RECORD", "\n".join(rows))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))
    for variable in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL"):
        monkeypatch.delenv(variable, raising=False)
    return f"tiny==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Let a release be one file, because tests/test_release.py tests the rest of it."""

    def one_file(folder, datasets=None):
        folder.mkdir()
        (folder / "requirements.txt").write_text("-e .\n")

    monkeypatch.setattr(release, "release", one_file)
    monkeypatch.setattr(explore, "page", lambda: "<html>a page</html>")
    monkeypatch.setattr(release, "data_here", lambda books: ({}, ["MNIST is not here."]))
    lock = tmp_path / "lock"
    monkeypatch.setattr(pack, "LOCK", lock)
    return lock


def test_a_stick_holds_the_packages_the_copy_and_what_to_type(small, index, tmp_path, capsys):
    small.write_text("# a comment\n" + index.replace(" --hash", " \\\n    --hash"))
    out = tmp_path / "stick"
    main(["pack", "--out", str(out), "--systems", "windows", "linux", "--pythons", "3.12", "3.13"])
    assert sorted(path.name for path in out.iterdir()) == [
        "START.md",
        "course",
        "explore.html",
        "wheels",
    ]
    assert [path.name for path in (out / "wheels").iterdir()] == ["tiny-1.0-py3-none-any.whl"]
    text = (out / "START.md").read_text(encoding="utf-8")
    assert "windows and linux with Python 3.12 or 3.13" in text and "{" not in text
    assert "py -3.13 -m venv" in text
    assert "--no-index --find-links ../wheels" in text
    assert "MNIST is not here." in capsys.readouterr().out


def test_a_file_with_another_digest_stops_it_and_nothing_is_left(small, index, tmp_path, capsys):
    small.write_text(index[:-2] + ("0" if index[-2] != "0" else "1") + "\n")
    with pytest.raises(SystemExit, match=r"for linux with Python 3\.12"):
        main(["pack", "--out", str(tmp_path / "stick"), "--systems", "linux", "--pythons", "3.12"])
    assert not list(tmp_path.glob("*stick*"))


def test_a_package_that_is_not_there_is_named(small, index, tmp_path):
    small.write_text(index + "huge==2.0 --hash=sha256:" + 64 * "0" + "\n")
    with pytest.raises(SystemExit, match=r"huge==2\.0"):
        main(["pack", "--out", str(tmp_path / "stick"), "--systems", "linux", "--pythons", "3.12"])


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(SystemExit, match="must be a new or an empty folder"):
        main(["pack", "--out", str(tmp_path)])
    with pytest.raises(SystemExit, match="outside the course"):
        main(["pack", "--out", str(pack.ROOT / "helpers" / "stick")])
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_each_notebook_can_find_the_zip(path):
    book = notebooks.read(path)
    editions.find_the_zip(book)
    first = notebooks.code_cells(book)[0].source
    assert "course.zip" in first and "get the rest" not in first
    compile(first, path.name, "exec")


def test_a_notebook_alone_asks_for_the_zip_and_then_unpacks_it(tmp_path):
    book = notebooks.read(ALL[0])
    editions.find_the_zip(book)
    first = notebooks.code_cells(book)[0].source
    first = first[: first.index("import numpy")] + "print(helpers.__file__)"
    # -I and -S: as on Colab, where nobody has installed the course
    command = [sys.executable, "-IS", "-c", first]
    alone = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert alone.stderr.splitlines()[-1].endswith("upload course.zip, then run this cell again")
    (tmp_path / "made" / "helpers").mkdir(parents=True)
    (tmp_path / "made" / "helpers" / "__init__.py").touch()
    shutil.make_archive(tmp_path / "course", "zip", tmp_path / "made")
    unpacked = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert unpacked.stdout.strip() == str(tmp_path / "course" / "helpers" / "__init__.py")

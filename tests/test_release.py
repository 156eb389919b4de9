"""The students' copy: nothing leaks into it, and nobody's work is lost when it is made again."""

import ast
import dataclasses
import errno
import json
import os
import py_compile
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from helpers import data, exercises
from helpers.course import editions, notebooks, release
from helpers.course.__main__ import main
from helpers.data import mnist
from helpers.session import ROOT

SOLUTION = '''# ANSWER 01-1
import math
def area(radius):
    """Area of a circle."""
    ### BEGIN SOLUTION
    square = radius**2
    return math.pi * square
    ### END SOLUTION'''


def answer(source=SOLUTION, exercise="01-1", grade_id="01-1", points=1):
    return new_code_cell(
        source,
        metadata={
            "course": {"exercise": exercise, "minutes": 5, "points": 1},
            "nbgrader": {"solution": True, "grade_id": grade_id, "grade": True, "points": points},
            "jupyter": {"source_hidden": True},
            "tags": ["must", "nbval-ignore-output"],
        },
    )


def save(name, *cells):
    path = notebooks.FOLDER / f"{name}.ipynb"
    notebooks.write(new_notebook(cells=list(cells)), path)
    return path


@pytest.fixture
def course(tmp_path, monkeypatch):
    """A small course of its own for each test: its root, with two notebooks and some files."""
    root = tmp_path / "course"
    for module in (release, notebooks):
        monkeypatch.setattr(module, "ROOT", root)
    monkeypatch.setattr(notebooks, "FOLDER", root / "notebooks")
    monkeypatch.setattr(notebooks, "BUILD", root / "build")
    for name in (
        "helpers/models.py",
        "helpers/__pycache__/models.pyc",
        "helpers/course/run.py",
        "helpers/answers/answers_01.py",
        "helpers/chapters/chapter_01.py",
        "helpers/chapters/chapter_07.py",
        *release.READMES.values(),
        "data/samples/mnist.npz",
        "data/pretrained/mnist-cnn.json",
        "data/cache/mnist.npz",
        "data/models/full/mine.weights.h5",
        "requirements.txt",
        "constraints.txt",
        "README.md",
        "TEACHING.md",
        "CONTRIBUTING.md",
        "tests/test_release.py",
        ".gitignore",
        ".git/config",
        ".venv/bin/python",
        "build/01_a.ipynb",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}: {{data}}" if name.endswith(".md") else name)
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    save("01_a", new_markdown_cell("# a"), answer())
    save("further/07_b", new_code_cell("print(2)"))
    return root


@pytest.fixture
def copy(course, tmp_path):
    """A students' copy of the small course."""
    release.release(tmp_path / "copy")
    return tmp_path / "copy"


def read(copy, name):
    return notebooks.read(copy / "notebooks" / f"{name}.ipynb")


def objection(target):
    with pytest.raises(SystemExit) as stop:
        main(["release", "--to", str(target)])
    assert "\n" not in stop.value.code
    return stop.value.code


def content(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# --- what is in a copy


def test_a_copy_holds_what_students_need_and_nothing_else(copy):
    assert set(content(copy)) == {
        "helpers/models.py",
        "helpers/chapters/chapter_01.py",
        "helpers/chapters/chapter_07.py",
        "helpers/course/run.py",
        *release.READMES.values(),
        "data/samples/mnist.npz",
        "data/pretrained/mnist-cnn.json",
        "helpers/outcomes.npz",
        "requirements.txt",
        "constraints.txt",
        "pyproject.toml",
        "README.md",
        ".gitignore",
        "notebooks/01_a.ipynb",
        "notebooks/further/07_b.ipynb",
        release.MANIFEST,
    }
    assert {path.name for path in copy.parent.iterdir()} == {"course", "copy"}  # nothing half-made


@pytest.mark.parametrize("edition", release.READMES)
def test_the_readme_of_a_copy_names_only_what_the_copy_holds(edition):
    text = (ROOT / release.READMES[edition]).read_text(encoding="utf-8")
    assert text.count("{data}") == 1  # where the data come from
    linked = re.findall(r"\]\(([^)#]+)\)", text)
    assert linked and all(link.split("/")[0] in release.CONTENTS for link in linked)
    assert not any(word in text for word in ("nbval", "TEACHING", "CONTRIBUTING"))


def test_a_copy_can_be_installed_and_leaves_no_result_behind():
    lines = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
    needed = [line.split()[1] for line in lines if line.startswith(("-c ", "-r "))]
    assert {*needed, "pyproject.toml"} <= set(release.CONTENTS)
    for line in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines():
        assert release.left_by_running(Path(line.strip("/"))), (
            f"git ignores {line!r}: name it in LEFT_BY_RUNNING of release.py, or it is copied"
        )


def test_solutions_notes_and_outputs_are_taken_out(course, tmp_path, capsys):
    save(
        "01_a",
        new_markdown_cell("# a"),
        new_markdown_cell("ask this", metadata={"tags": ["must", "instructor"]}),
        answer(),
        new_code_cell("print(1)", execution_count=2, outputs=[new_output("stream", text="1")]),
    )
    main(["release", "--to", str(tmp_path / "copy")])
    assert "2 notebooks" in capsys.readouterr().out
    title, released, code, *added = read(tmp_path / "copy", "01_a").cells
    assert [cell.source for cell in added] == [editions.PROGRESS_TEXT, editions.PROGRESS_CODE]
    assert title.source == "# a"
    assert released.source.splitlines() == [
        "# ANSWER 01-1",
        "import math",
        "def area(radius):",
        '    """Area of a circle."""',
        f"    {editions.STUB}",
    ]
    kept = {key: value for key, value in answer().metadata.items() if key != "jupyter"}
    assert released.metadata == kept  # the tags among them
    assert (code.outputs, code.execution_count) == ([], None)


def test_only_core_notebooks_with_exercises_end_with_my_progress(course, tmp_path):
    save("02_c", new_code_cell("print(3)"))
    save("further/07_b", answer())
    release.release(tmp_path / "copy")
    ends = {n: read(tmp_path / "copy", n).cells[-1] for n in ("01_a", "02_c", "further/07_b")}
    shows = {name: cell.source == editions.PROGRESS_CODE for name, cell in ends.items()}
    assert shows == {"01_a": True, "02_c": False, "further/07_b": False}
    before = content(tmp_path / "copy")
    release.release(tmp_path / "copy")
    assert content(tmp_path / "copy") == before  # no random ids


def test_checks_compare_with_stored_results(copy):
    """Of the exercises that were released, and of no others."""
    with np.load(copy / "helpers" / "outcomes.npz", allow_pickle=False) as arrays:
        stored = exercises.unpack(arrays)
    exercise = exercises._EXERCISES["01-1"]
    assert list(stored) == ["01-1"]
    (said, right), *mistakes = stored["01-1"]
    assert said == "" and [outcome["value"].item() for outcome in right] == [5, 320, 18_496]
    assert [message for message, _ in mistakes] == [message for _, message in exercise.mistakes]
    assert all(len(row) == len(exercise.cases) for _, row in mistakes)


def test_an_exercise_that_no_room_knows_is_named(course, tmp_path):
    for name in ("01-9", "98-1"):
        source = SOLUTION.replace("01-1", name)
        save("01_a", answer(source, name, name))
        assert name in objection(tmp_path / "copy")
        assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("edition", [[], ["--presenter"]])
def test_a_copy_says_which_notebook_it_is_and_of_which_version(course, tmp_path, edition):
    def about():
        main(["release", *edition, "--to", str(tmp_path / "copy")])
        return read(tmp_path / "copy", "01_a").metadata["course"]

    book = new_notebook(cells=[answer()], metadata={"course": {"minutes": 75}})
    notebooks.write(book, notebooks.FOLDER / "01_a.ipynb")
    first = about()
    assert first["minutes"] == 75 and first["id"] == "01_a"
    assert re.fullmatch(r"1\.2\.0\+[0-9a-f]{8}", first["version"])
    assert about() == first
    save("01_a", answer(), new_code_cell("print(1)", id="another"))
    assert about()["version"] != first["version"]


def test_a_stub_raises_until_it_is_answered():
    names = {}
    exec(editions.stub(answer(), "here"), names)
    with pytest.raises(NotImplementedError):
        names["area"](1)


BARE = "### BEGIN SOLUTION\nx = 1\n### END SOLUTION"


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (answer(SOLUTION.replace("# ANSWER 01-1", "# answer 01-1")), "first line"),
        (answer(SOLUTION.replace("    ### BEGIN SOLUTION\n", "")), "BEGIN SOLUTION"),
        (answer(SOLUTION.replace("    ### END SOLUTION", "")), "END SOLUTION"),
        (answer(SOLUTION + "\n    ### END SOLUTION"), "END SOLUTION"),
        (answer(SOLUTION + "\n" + SOLUTION), "END SOLUTION"),
        (answer(SOLUTION.replace("### BEGIN", "##BEGIN")), "one line '### BEGIN SOLUTION'"),
        (answer("# ANSWER 01-1\n" + BARE), "inside"),
        (answer(""), "first line"),
        (answer(exercise="01-2"), "course.exercise"),
        (answer(grade_id="01-2"), "nbgrader.grade_id"),
        (answer(points=2), "metadata nbgrader.points must be 1, not 2"),
        (new_code_cell(SOLUTION), "course.exercise"),
        (new_code_cell("# ANSWER 01-1\ndef area(r):\n    return 3.14 * r**2"), "course.exercise"),
        (new_code_cell(BARE), "first line must be like '# ANSWER 05-2', not '### BEGIN SOLUTION'"),
        (new_code_cell("# begin solution\nx = 1\n# end solution"), "first line"),
    ],
)
def test_a_malformed_answer_cell_is_named_and_nothing_is_written(course, tmp_path, cell, message):
    save("01_a", new_code_cell("1"), cell)
    line = objection(tmp_path / "copy")
    assert re.match(r"error: 01_a\.ipynb, code cell 2: ", line) and message in line
    assert not (tmp_path / "copy").exists()


def test_a_solution_in_a_cell_of_text_does_not_leak(course, tmp_path):
    save("01_a", new_markdown_cell(f"```python\n{SOLUTION}\n```"))
    assert "01_a.ipynb: 'BEGIN SOLUTION' stands in a cell of text" in objection(tmp_path / "copy")


@pytest.mark.parametrize(
    ("wanted", "found"),
    [(["1"], {"01_a.ipynb"}), (["07_b", "01"], {"01_a.ipynb", "further/07_b.ipynb"})],
)
def test_a_copy_holds_the_notebooks_that_were_chosen(course, tmp_path, wanted, found):
    main(["release", *wanted, "--to", str(tmp_path / "copy")])
    rooms = {path.name for path in (tmp_path / "copy" / "helpers" / "chapters").iterdir()}
    assert rooms == {f"chapter_{Path(name).name[:2]}.py" for name in found}
    folder = tmp_path / "copy" / "notebooks"
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.ipynb")} == found


# --- the data in a copy


@pytest.fixture
def full_data(course, monkeypatch):
    """Put the sample, as if it were the full data, into a folder for the class."""
    source = data.describe("mnist")
    whole = dataclasses.replace(
        source,
        rows={**source.rows, "full": source.rows["lite"]},
        sha256={**source.sha256, "full": source.sha256["lite"]},
    )
    monkeypatch.setattr(data, "describe", lambda name: whole)
    monkeypatch.setattr(mnist, "SOURCE", whole)  # its reader asks for the layout
    monkeypatch.setattr(data, "CACHE", course / "data" / "cache")  # what lies there is no dataset
    folder = course.parent / "class"
    folder.mkdir()
    shutil.copyfile(data.SAMPLES / "mnist.npz", folder / "mnist.npz")
    monkeypatch.setenv("COURSE_DATA", str(folder))
    monkeypatch.setenv("KERAS_HOME", str(course.parent / "keras"))
    save("01_a", new_code_cell('mnist = data.load("mnist")'))
    return folder


@pytest.mark.parametrize("edition", [[], ["--presenter"]])
def test_with_data_a_copy_needs_no_network(course, tmp_path, full_data, monkeypatch, edition):
    main(["release", *edition, "--with-data", "--to", str(tmp_path / "copy")])
    monkeypatch.delenv("COURSE_DATA")
    monkeypatch.setattr(data, "CACHE", tmp_path / "copy" / "data" / "cache")
    assert data.locate("mnist").rung == "data/cache"
    about = (tmp_path / "copy" / "README.md").read_text(encoding="utf-8")
    assert "The full data of MNIST lie in `data/cache`" in about
    main(["release", *edition, "--to", str(tmp_path / "copy")])  # nobody worked there
    assert not (tmp_path / "copy" / "data" / "cache").exists()
    about = (tmp_path / "copy" / "README.md").read_text(encoding="utf-8")
    assert "Without a network the course runs on a small sample" in about


def test_only_the_data_of_the_chosen_notebooks_are_copied(course, tmp_path, full_data):
    main(["release", "07", "--with-data", "--to", str(tmp_path / "copy")])
    assert not (tmp_path / "copy" / "data" / "cache").exists()


@pytest.mark.parametrize("damage", [True, False])
def test_data_that_are_not_at_hand_are_not_promised(course, tmp_path, full_data, damage):
    if damage:
        (full_data / "mnist.npz").write_bytes(b"half a file")
    else:
        (full_data / "mnist.npz").unlink()
    with pytest.raises(SystemExit) as stop:
        main(["release", "--with-data", "--to", str(tmp_path / "copy")])
    reason = "mnist.npz cannot be read" if damage else "There is no mnist.npz in"
    assert stop.value.code.startswith("error: MNIST: COURSE_DATA is not used. ")
    assert reason in stop.value.code and "\n" not in stop.value.code
    assert "MNIST is not on this computer, only its sample is. Run a notebook" in stop.value.code
    assert not (tmp_path / "copy").exists()


def test_a_dataset_that_is_not_written_out_cannot_be_copied(course, tmp_path, full_data):
    save("01_a", new_code_cell("mnist = data.load(name)"))
    with pytest.raises(SystemExit, match=r"error: 01_a\.ipynb does not write out which dataset"):
        main(["release", "--with-data", "--to", str(tmp_path / "copy")])


# --- the presenter's copy


def test_the_presenters_copy_gives_nothing_away_and_has_notes_beside_it(course, tmp_path, capsys):
    note = new_markdown_cell("ask this", metadata={"tags": ["must", "instructor"]})
    opened = answer()
    del opened.metadata["jupyter"]
    shown = new_code_cell("print(1)", execution_count=2, outputs=[new_output("stream", text="1")])
    save("01_a", new_markdown_cell("# a"), note, opened, shown)
    main(["release", "--presenter", "--to", str(tmp_path / "copy")])
    assert "2 notebooks to show" in capsys.readouterr().out
    title, solution, code = read(tmp_path / "copy", "01_a").cells
    assert title.source == "# a"
    assert solution.source == SOLUTION
    assert solution.metadata == answer().metadata  # folded
    assert (code.outputs, code.execution_count) == ([], None)
    assert "ask this" in (tmp_path / "copy" / "notes" / "01_a.html").read_text(encoding="utf-8")
    assert (tmp_path / "copy" / "notes" / "07_b.html").exists()
    readme = (tmp_path / "copy" / "README.md").read_text()
    assert readme.startswith(release.READMES["presenter"])
    main(["release", "--presenter", "--to", str(tmp_path / "copy")])  # nobody worked there


@pytest.mark.parametrize(("first", "second"), [([], ["--presenter"]), (["--presenter"], [])])
def test_one_edition_does_not_take_the_place_of_the_other(course, tmp_path, first, second):
    """Students may read the folder."""
    target = tmp_path / "copy"
    main(["release", *first, "--to", str(target)])
    before = content(target)
    with pytest.raises(SystemExit, match=r"copy holds the (students|presenter) edition, not the"):
        main(["release", *second, "--to", str(target)])
    assert content(target) == before


def test_each_edition_has_a_folder_of_its_own(course):
    main(["release"])
    main(["release", "--presenter"])
    folders = {path.name for path in (course / "build").iterdir() if path.is_dir()}
    assert folders == {"release", "presenter"}


# --- what a second release may replace


def test_a_copy_that_nobody_changed_is_replaced(course, copy):
    (course / release.READMES["students"]).write_text("new")
    (course / "data" / "samples" / "mnist.npz").unlink()
    for left in (
        "helpers/__pycache__/models.pyc",
        "notebooks/.ipynb_checkpoints/01_a-checkpoint.ipynb",
        ".venv/bin/python",
        "build/01_a.ipynb",
        "build/figures/a.png",
        "data/cache/mnist.npz",
        "data/models/full/mine.weights.h5",
        "digits_backwards.egg-info/PKG-INFO",
        "notebooks/.01_a.ipynb.123.part",
        ".DS_Store",
    ):
        (copy / left).parent.mkdir(parents=True, exist_ok=True)
        (copy / left).write_text("made by running the course")
    main(["release", "--to", str(copy)])
    assert (copy / "README.md").read_text() == "new"
    assert not (copy / "data" / "samples").exists() and not (copy / "build").exists()
    assert {path.name for path in copy.parent.iterdir()} == {"course", "copy"}
    assert json.loads((copy / release.MANIFEST).read_text())["files"].keys() == {
        name for name in content(copy) if name != release.MANIFEST
    }


def edit(copy):
    (copy / "notebooks" / "01_a.ipynb").write_text("my answers")
    return "1 file changed (notebooks/01_a.ipynb)"


def add(copy):
    for name in ("notes/a.md", "notes/b.md", "helpers/build/mine.py", "notebooks/my.part", "z"):
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text("ten years of work")
    return "5 files added (helpers/build/mine.py, notebooks/my.part, notes/a.md, and 2 more)"


def delete(copy):
    (copy / "README.md").unlink()
    (copy / "helpers" / "models.py").unlink()
    return "2 files deleted (README.md, helpers/models.py)"


def keep_under_git(copy):
    (copy / ".git").mkdir()
    (copy / ".git" / "HEAD").write_text("a history")
    return "1 file added (.git/HEAD)"


def link(copy):
    try:
        (copy / "data" / "mine").symlink_to(copy.parent)
    except OSError:
        pytest.skip("Windows makes links for administrators only")
    return "1 file added (data/mine)"


def everything(copy):
    return "; ".join([add(copy), edit(copy), delete(copy)])


@pytest.mark.parametrize("work", [edit, add, delete, keep_under_git, link, everything])
def test_a_copy_that_somebody_worked_in_is_kept(copy, work):
    said = work(copy)
    before = content(copy)
    assert objection(copy) == (
        f"error: somebody worked in {copy}: {said}. Choose another folder, or empty it yourself."
    )
    assert content(copy) == before


def test_a_copy_of_a_copy_is_as_safe(copy, tmp_path):
    shutil.copytree(copy, tmp_path / "for_anna")
    (tmp_path / "for_anna" / "README.md").write_text("hers")
    assert "1 file changed (README.md)" in objection(tmp_path / "for_anna")


@pytest.mark.parametrize("text", ["python -m helpers.course release made this folder.\n", "{}"])
def test_a_copy_without_a_list_of_its_files_is_kept(copy, text):
    (copy / release.MANIFEST).write_text(text)
    assert "made by an older release" in objection(copy)
    assert (copy / "README.md").exists()


def test_a_folder_that_release_did_not_make_is_kept(course, tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    release.release(thesis)  # an empty folder may be filled
    (thesis / release.MANIFEST).unlink()
    before = content(thesis)
    assert "holds other files" in objection(thesis)
    assert f"{thesis / 'README.md'} is a file" in objection(thesis / "README.md")
    assert f"{thesis / 'README.md'} is a file" in objection(thesis / "README.md" / "deep" / "er")
    assert "outside the course" in objection(course / "helpers" / "copy")
    assert "outside the course" in objection(course)
    assert content(thesis) == before


def test_inside_a_copy_release_says_that_it_is_one(copy, monkeypatch, tmp_path):
    monkeypatch.setattr(release, "ROOT", copy)
    assert f"{copy} is a copy itself" in objection(tmp_path / "another")
    assert not (tmp_path / "another").exists()


# --- what happens when writing fails


def test_a_replacement_that_fails_keeps_the_last_release(copy, monkeypatch):
    before, steps, replace = content(copy), [], os.replace

    def fail_once(source, target):
        if Path(target) == copy:
            steps.append(source)
            if len(steps) == 1:
                raise OSError(errno.EACCES, "Access is denied", str(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_once)
    assert "Access is denied" in objection(copy)
    assert len(steps) == 2 and content(copy) == before
    assert {path.name for path in copy.parent.iterdir()} == {"course", "copy"}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("step", ["mkdir", "copyfile", "write"])
def test_a_disk_that_takes_nothing_is_one_line_and_nothing_half_written(
    copy, monkeypatch, step, code
):
    before = content(copy)

    def refuse(*arguments, **settings):
        raise OSError(code, os.strerror(code), "there")

    place = {"mkdir": Path, "copyfile": shutil, "write": notebooks}[step]
    monkeypatch.setattr(place, step, refuse)
    assert objection(copy) == f"error: {os.strerror(code)}: there"
    assert objection(copy.parent / "new") == f"error: {os.strerror(code)}: there"
    assert content(copy) == before
    assert {path.name for path in copy.parent.iterdir()} == {"course", "copy"}


# --- the real notebooks


@pytest.fixture(scope="module")
def students(tmp_path_factory):
    """The students' copy of the real course."""
    target = tmp_path_factory.mktemp("students") / "copy"
    release.release(target)
    return target


REAL = notebooks.find(everything=True)


@pytest.mark.parametrize("path", REAL, ids=lambda path: path.stem)
def test_only_answers_and_notes_differ_between_the_editions(students, path):
    theirs = notebooks.read(students / "notebooks" / path.relative_to(notebooks.FOLDER))
    ours = [c for c in notebooks.read(path).cells if "instructor" not in notebooks.tags(c)]
    if path.parent == notebooks.FOLDER:
        *theirs.cells, _, last = theirs.cells
        assert last.source == editions.PROGRESS_CODE
    for mine, released in zip(ours, theirs.cells, strict=True):
        assert notebooks.tags(mine) == notebooks.tags(released)
        if editions.is_answer(mine):
            assert released.source.count(editions.STUB) == 1
            solution = mine.source.split(editions.BEGIN)[1].split(editions.END)[0].strip()
            assert solution not in released.source
        else:
            assert released.source == mine.source


def test_two_runs_write_the_same_bytes(students, tmp_path):
    """In a process of its own: no order of a set, no date, no random id may get in."""
    done = subprocess.run(
        [sys.executable, "-m", "helpers.course", "release", "--to", tmp_path / "again"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    first, second = content(students), content(tmp_path / "again")
    assert [name for name in first | second if first.get(name) != second.get(name)] == []


def squeezed(text):
    return re.sub(r"\s+", "", text)


# a line that notebooks and library show, too
SHOWN_TO_ALL = {"with tf.GradientTape() as tape:"}


def secrets():
    """Yield each line of a solution or of an answer's function that says something, squeezed."""
    code = {
        f"{path.name}, {cell.metadata['course']['exercise']}": cell.source
        for path in REAL
        for cell in notebooks.code_cells(notebooks.read(path))
        if editions.is_answer(cell)
    }
    code |= {path.name: path.read_text(encoding="utf-8") for path in ANSWERS}
    for where, source in code.items():
        for function in ast.walk(ast.parse(source)):
            if isinstance(function, ast.FunctionDef | ast.Lambda):
                body = function.body if isinstance(function.body, list) else [function.body]
                first, last = body[0].lineno, body[-1].end_lineno
                lines = source.splitlines()[first - 1 : last]
                if isinstance(function, ast.Lambda):
                    lines = [ast.get_source_segment(source, function)]
                for line in lines:
                    known = line.strip() in SHOWN_TO_ALL or line.strip().startswith(
                        ("import ", "from ", "#", '"""')
                    )
                    if not known and len(squeezed(line)) >= 16:
                        yield where, squeezed(line)


ANSWERS = sorted((ROOT / release.ANSWERS).glob("answers_*.py"))


def names():
    """Names of the functions that compute right and wrong answers, and of their modules."""
    for path in ANSWERS:
        yield path.stem
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                yield function.name


def texts(folder):
    """Yield what is in each file: text, JSON with its texts unquoted, archives unpacked."""
    for name, raw in content(folder).items():
        if zipfile.is_zipfile(folder / name):
            with zipfile.ZipFile(folder / name) as archive:
                for member in archive.namelist():
                    yield f"{name}/{member}", readable(archive.read(member))
        yield name, readable(raw)
        if name.endswith((".ipynb", ".json")):
            yield name, "\n".join(strings(json.loads(raw)))


def readable(raw):
    try:
        return raw.decode()
    except UnicodeDecodeError:  # as the command `strings` does
        return "\n".join(run.decode() for run in re.findall(rb"[\t\r\n -~]{6,}", raw))


def strings(part):
    if isinstance(part, str):
        yield part
    elif isinstance(part, list) and all(isinstance(each, str) for each in part):
        yield "".join(part)  # the lines of a cell
    elif isinstance(part, list | dict):
        for each in part.values() if isinstance(part, dict) else part:
            yield from strings(each)


def leaks(folder):
    """List each secret that stands in a file of a copy; what hints say is no secret."""
    found = []
    lines, words = list(secrets()), re.compile(rf"(?<!\w)({'|'.join(set(names()))})(?!\w)")
    hints = {squeezed(hint) for each in exercises._EXERCISES.values() for hint in each.hints}
    for name, text in texts(folder):
        found += [f"{name}: the name {word}" for word in set(words.findall(text))]
        text = squeezed(text)
        for hint in hints:
            text = text.replace(hint, "")
        found += [f"{name}: {line} ({where})" for where, line in lines if line in text]
    return found


def test_no_file_of_a_copy_holds_a_solution(students):
    assert len(set(secrets())) > 300 and len(set(names())) > 100
    assert leaks(students) == []
    assert not [name for name in content(students) if "answers" in name or name.endswith(".pyc")]


def test_a_solution_that_is_left_in_is_found(students, tmp_path):
    """In a room, in an archive, in the output of a cell, as bytecode."""
    shutil.copytree(students, tmp_path / "copy")
    copy, answers = tmp_path / "copy", ROOT / release.ANSWERS / "answers_05.py"
    room = copy / "helpers" / "chapters" / "chapter_05.py"
    function = ast.get_source_segment(
        source := answers.read_text(encoding="utf-8"),
        next(
            part
            for part in ast.walk(ast.parse(source))
            if isinstance(part, ast.FunctionDef) and part.name == "_by_hand"
        ),
    )
    room.write_text(room.read_text(encoding="utf-8") + f"\n\n{function}", encoding="utf-8")
    np.savez(copy / "data" / "mine.npz", note=np.frombuffer(function.encode(), np.uint8))
    py_compile.compile(answers, copy / "data" / "cached.pyc")
    solved = notebooks.read(next(path for path in REAL if path.name.startswith("05")))
    cell = next(cell for cell in solved.cells if editions.is_answer(cell))
    output = new_output("stream", text=cell.source)
    shown = new_notebook(cells=[new_code_cell("print(In)", outputs=[output])])
    notebooks.write(shown, copy / "notebooks" / "mine.ipynb")
    found = {leak.split(":")[0] for leak in leaks(copy)}
    assert found >= {
        "helpers/chapters/chapter_05.py",
        "data/mine.npz/note.npy",
        "data/cached.pyc",
        "notebooks/mine.ipynb",
    }


def test_nbgrader_takes_the_same_solutions_out_and_sees_the_points():
    """By its own code, where it is installed: ``pip install -e ".[nbgrader]"``."""
    pytest.importorskip("nbgrader")
    from nbgrader import preprocessors, utils
    from nbgrader.nbgraderformat.v3 import MetadataValidatorV3

    for path in REAL:
        book, copy = notebooks.read(path), editions.students_copy(notebooks.read(path), path.name)
        for edition in (book, copy):
            MetadataValidatorV3().validate_nb(edition)
            points = [utils.determine_grade(c)[1] for c in edition.cells if utils.is_grade(c)]
            answers = [cell for cell in edition.cells if editions.is_answer(cell)]
            assert points == [cell.metadata["course"]["points"] for cell in answers]
        cleared, _ = preprocessors.ClearSolutions(code_stub={"python": editions.STUB}).preprocess(
            book, {}
        )
        theirs = {cell.id: cell.source for cell in cleared.cells}
        assert all(theirs[cell.id] == cell.source for cell in copy.cells)


def test_an_untouched_copy_runs_to_its_end(students, tmp_path):
    """What is new in a copy are the stubs and their checks: they run here, after the set-up cell.

    Everything else in it is equal to the notebooks themselves (see above), which nbval runs. The
    networks that a set-up cell trains see 256 images, for nothing here depends on what they know.
    """
    script = tmp_path / "untouched.py"
    script.write_text(UNTOUCHED, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, script],
        cwd=students / "notebooks",
        env={**os.environ, "PYTHONPATH": str(students), "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[0] == str(students / "helpers" / "__init__.py")
    exercises = [
        cell.metadata["course"]["exercise"]
        for path in REAL
        for cell in notebooks.code_cells(notebooks.read(path))
        if editions.is_answer(cell)
    ]
    assert exercises
    printed = re.findall(r"^\W*(\d\d-\d)(?:: |, )(.*)$", done.stdout, re.MULTILINE)
    assert printed == [(exercise, "not answered yet") for exercise in exercises]
    tables = re.findall(r"(\d+) of \d+ exercises tried, (\d+) right, (\d+) of", done.stdout)
    assert tables == [("0", "0", "0")] * len(notebooks.find())


UNTOUCHED = """
import dataclasses, os
import helpers
from helpers import data
from helpers.course import editions, notebooks

print(helpers.__file__)
load = data.load

def load_a_few(*arguments):
    whole = load(*arguments)
    return dataclasses.replace(whole, x_train=whole.x_train[:256], y_train=whole.y_train[:256])

data.load = load_a_few
for path in notebooks.find(everything=True):
    os.chdir(path.parent)
    cells, names, answers = notebooks.code_cells(notebooks.read(path)), {}, []
    for number, cell in enumerate(cells, 1):
        if editions.is_answer(cell):
            answers.append(cell.metadata["course"]["exercise"])
        elif (
            number > 1
            and not any(f'check("{answer}"' in cell.source for answer in answers)
            and cell.source != editions.PROGRESS_CODE
        ):
            continue
        exec(compile(cell.source, f"{path.name}, code cell {number}", "exec"), names)
"""

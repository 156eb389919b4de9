"""What the commands know of notebooks: which there are, what they load, how one is stored."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.course import notebooks
from helpers.course.__main__ import main


def test_find_takes_numbers_names_and_paths(course, monkeypatch):
    paths = [course.save(name, "1") for name in ("02_b", "01_a", "further/07_c")]
    assert notebooks.find() == [paths[1], paths[0]]
    assert notebooks.find(everything=True) == [paths[1], paths[0], paths[2]]
    monkeypatch.chdir(course.root)
    assert notebooks.find(["7", "notebooks/02_b.ipynb", "02"]) == [paths[0], paths[2]]
    assert notebooks.find(["02_b", str(paths[1]), "07_c.ipynb"]) == [paths[1], paths[0], paths[2]]


@pytest.mark.parametrize(
    "wanted", ["9", "", "02_other", "elsewhere/02_b.ipynb", "../02_b.ipynb", "02_b.ipynb"]
)
def test_what_is_no_notebook_of_the_course_is_named(course, monkeypatch, wanted):
    course.save("02_b", "1")
    course.save("04_d", "1")
    (course.root / "copy").mkdir()
    for folder in (course.root, course.root / "copy"):
        (folder / "02_b.ipynb").write_text("another notebook of this name")
    monkeypatch.chdir(course.root / "copy")
    with pytest.raises(SystemExit) as stop:
        main(["run", "2", wanted])
    assert stop.value.code == (
        f"error: there is no notebook {wanted!r}; there are 02_b and 04_d, and a number is enough"
    )


def test_a_course_without_notebooks_is_named(course):
    with pytest.raises(notebooks.UsageError, match="there is no notebook in"):
        notebooks.find()


@pytest.mark.parametrize("text", ["not json", "[1, 2]", "{}", "", b"\xff\xfe"])
def test_a_file_that_is_no_notebook_is_named_before_any_other_runs(course, capsys, text):
    course.save("01_a", "1")
    path = notebooks.FOLDER / "02_b.ipynb"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SystemExit, match=r"^error: 02_b\.ipynb is not a notebook"):
        main(["run"])
    assert "01_a" not in capsys.readouterr().out


def test_a_notebook_is_stored_whole_or_not_at_all(course, monkeypatch):
    path = course.save("01_a", "1")
    before = path.read_bytes()
    monkeypatch.setattr("os.replace", lambda *paths: pytest.fail("stands for a broken disk"))
    with pytest.raises(pytest.fail.Exception):
        notebooks.write(new_notebook(), path)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


def test_the_datasets_of_a_notebook_are_read_from_its_code():
    cells = [
        new_code_cell("mnist = data.load(\"mnist\")\n%time\nother = data.load(\n    'letters')"),
        new_code_cell('metadata.load("no"); np.load("no")'),
        new_markdown_cell('`data.load("no")`'),
    ]
    assert notebooks.datasets(new_notebook(cells=cells)) == {"mnist", "letters"}
    assert notebooks.datasets(new_notebook(cells=[new_code_cell("data.load(name)")])) == {""}


@pytest.mark.parametrize("path", notebooks.find(everything=True), ids=lambda path: path.stem)
def test_the_notebooks_of_the_course_write_out_what_they_load(path):
    assert "" not in notebooks.datasets(notebooks.read(path)) != set()

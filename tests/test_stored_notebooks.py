"""The notebooks as they are stored: executed in order, clean, with alt text and their minutes."""

import ast
import re
import symtable

import pytest

from helpers.course import notebooks, release, run

MOST_BYTES = 2_000_000
PRIORITIES = {"must", "should", "extra"}

CORE = sorted(notebooks.FOLDER.glob("[0-9][0-9]_*.ipynb"))
ALL = sorted(notebooks.FOLDER.rglob("*.ipynb"))
ALL = [path for path in ALL if ".ipynb_checkpoints" not in path.parts]


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def outputs(notebook):
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        for output in cell.outputs:
            yield f"In [{number}]", output


@by_name(ALL)
def test_every_code_cell_was_executed_in_order(path):
    counts = [cell.execution_count for cell in notebooks.code_cells(notebooks.read(path))]
    assert counts == list(range(1, len(counts) + 1))


@by_name(ALL)
def test_outputs_hold_no_stderr_no_error_and_no_widget(path):
    notebook = notebooks.read(path)
    assert "widgets" not in notebook.metadata
    for where, output in outputs(notebook):
        assert output.output_type != "error", f"{where}: {output.evalue}"
        assert output.get("name") != "stderr", f"{where}: {output.text}"
        assert not [kind for kind in output.get("data", {}) if "widget" in kind], where


@by_name(ALL)
def test_outputs_are_as_run_inplace_writes_them(path):
    notebook, again = notebooks.read(path), notebooks.read(path)
    assert run.normalise(again) == notebook, f"python -m helpers.course run {path.stem} --inplace"


@by_name(ALL)
def test_every_picture_has_alt_text(path):
    pictures = 0
    for where, output in outputs(notebooks.read(path)):
        kinds = [kind for kind in output.get("data", {}) if kind.startswith("image/")]
        for kind in kinds:
            alt = output.metadata.get(kind, {}).get("alt", "")
            assert len(alt.split()) >= 4, f"{where}: {alt!r} says too little"
            assert output.data["text/plain"].split() == alt.split(), where
            pictures += 1
    assert pictures, "a notebook shows at least one picture"


@by_name(ALL)
def test_minutes_are_stated_to_the_reader_and_to_the_commands(path):
    notebook = notebooks.read(path)
    stated = notebook.metadata["course"]
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    for minutes in (stated["minutes"], stated["run_minutes"]):
        assert re.search(rf"\b{minutes} minutes?\b", first.source), f"{minutes} minutes"


@by_name(ALL)
def test_cells_are_few_and_short_and_the_file_is_small(path):
    notebook = notebooks.read(path)
    assert 25 <= len(notebook.cells) <= 60
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        assert len(cell.source.splitlines()) <= 20, f"In [{number}]"
    assert path.stat().st_size < MOST_BYTES


@by_name(ALL)
def test_every_cell_has_one_priority(path):
    notebook = notebooks.read(path)
    for place, cell in enumerate(notebook.cells):
        tags = notebooks.tags(cell)
        assert len(tags & PRIORITIES) == 1, f"cell at place {place}: {sorted(tags)}"
        if "instructor" in tags:
            assert cell.cell_type == "markdown", "no code may depend on a cell that students lack"
    assert "must" in notebooks.tags(notebooks.code_cells(notebook)[0]), "the set-up cell"


@by_name(CORE)
def test_the_must_path_fits_a_class(path):
    cells = [c for c in notebooks.code_cells(notebooks.read(path)) if "must" in notebooks.tags(c)]
    assert len(cells) <= 14
    assert sum(release.is_answer(cell) for cell in cells) == 2


@by_name(ALL)
def test_an_answer_is_one_short_function_that_only_its_check_uses(path):
    cells = notebooks.code_cells(notebooks.read(path))
    for number, cell in enumerate(cells, 1):
        if not release.is_answer(cell):
            continue
        where = f"{path.name}, In [{number}]"
        exercise = cell.metadata["course"]["exercise"]
        assert cell.metadata["course"].keys() == {"exercise", "minutes", "points"}, where
        for source in (cell.source, release.stub(cell, where)):
            *imports, function = ast.parse(source).body
            assert isinstance(function, ast.FunctionDef), where
            assert all(isinstance(line, (ast.Import, ast.ImportFrom)) for line in imports), where
        solution = cell.source.split(release.BEGIN)[1].split(release.END)[0]
        assert len(solution.strip().splitlines()) <= 10, where
        for later, other in enumerate(cells[number:], number + 1):
            # a second thing of this name would take the place of the student's function
            assert not sets(other, function.name), f"{where}: In [{later}] sets {function.name}"
        users = [other for other in cells if other is not cell and uses(other, function.name)]
        assert len(users) == 1, f"{where}: {function.name} is used by {len(users)} cells"
        assert f'check("{exercise}", {function.name})' in users[0].source, where
        assert users[0].outputs and "✓" in users[0].outputs[0].text, (
            f"{where}: no ✓ below its check"
        )


def sets(cell, name):
    """Whether a cell gives a value to a name, anywhere in it."""
    tables = [symtable.symtable(cell.source, "a cell", "exec")]
    for table in tables:
        tables += table.get_children()
    symbols = [table.lookup(name) for table in tables if name in table.get_identifiers()]
    return any(one.is_assigned() or one.is_imported() or one.is_parameter() for one in symbols)


def uses(cell, name):
    """Whether a cell reads a name that it does not set itself."""
    names = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.Name)]
    return any(node.id == name for node in names) and not sets(cell, name)


@by_name(ALL)
def test_shown_pictures_are_in_the_repository(path):
    """A notebook opens with a figure of the folder figures/ that it saves itself."""
    for cell in notebooks.read(path).cells:
        if cell.cell_type == "markdown":
            for alt, name in re.findall(r"!\[(.*?)\]\((?!attachment:)(.+?)\)", cell.source):
                assert (path.parent / name).resolve().is_file(), name
                assert alt, f"{name} has no alt text"

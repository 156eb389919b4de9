"""The notebooks as they are stored: executed in order, clean, readable, and with their minutes.

CONTRIBUTING.md says how a notebook is written; these rules are what a computer can see of it, and
each failure says what to do.
"""

import ast
import re
import statistics
import symtable
import sys

import pytest

from helpers.course import editions, notebooks, notes, run

MOST_BYTES = 2_000_000
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
# as the site and JupyterLab read it; the last sign stands before no digit, as that of a price does
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^\s$](?:[^$\n]*[^\s$])?\$(?!\d)", re.DOTALL)
PRIORITIES = {"must", "should", "extra"}
EDIT = "metadata of a cell: the gear symbol beside it in JupyterLab"

CORE = notebooks.find()
ALL = notebooks.find(everything=True)


def by_name(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


def outputs(notebook):
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        for output in cell.outputs:
            yield f"In [{number}]", output


def again(path):
    return f"execute it again: python -m helpers.course run {path.stem} --inplace"


def length(cell):
    return len(cell.source.splitlines())


def test_every_notebook_is_found_by_the_commands():
    stored = [p for p in notebooks.FOLDER.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts]
    lost = sorted(path.name for path in set(stored) - set(ALL))
    assert not lost, f"name {lost} like 08_altered_digits.ipynb, in notebooks or notebooks/further"
    numbers = [path.name[:2] for path in ALL]
    assert len(set(numbers)) == len(numbers), f"two notebooks have one number: {numbers}"


# --- what was stored


@by_name(ALL)
def test_every_code_cell_was_executed_in_order(path):
    counts = [cell.execution_count for cell in notebooks.code_cells(notebooks.read(path))]
    assert counts == list(range(1, len(counts) + 1)), (
        f"the cells of {path.name} were not run once each, from top to bottom: {again(path)}"
    )


@by_name(ALL)
def test_outputs_hold_no_stderr_no_error_and_no_widget(path):
    notebook = notebooks.read(path)
    assert "widgets" not in notebook.metadata, f"widgets are stored: {again(path)}"
    for where, output in outputs(notebook):
        assert output.output_type != "error", f"{where} raised {output.evalue}: mend the cell"
        assert output.get("name") != "stderr", (
            f"{where} wrote to stderr, which students would take for an error: find out why, and "
            f"mend the cell. {output.text}"
        )
        widgets = [kind for kind in output.get("data", {}) if "widget" in kind]
        assert not widgets, f"{where} shows a widget, which no web page shows: print or draw it"


@by_name(ALL)
def test_outputs_are_as_run_inplace_writes_them(path):
    notebook, normal = notebooks.read(path), notebooks.read(path)
    assert run.normalise(normal) == notebook, f"saved by another program: {again(path)}"


@by_name(ALL)
def test_every_picture_has_alt_text(path):
    pictures = 0
    for where, output in outputs(notebooks.read(path)):
        for kind in [kind for kind in output.get("data", {}) if kind.startswith("image/")]:
            alt = output.metadata.get(kind, {}).get("alt", "")
            assert len(alt.split()) >= 4, (
                f"{where}: the alt text {alt!r} says too little. Show the figure with "
                "plotting.show(figure, alt), and tell somebody who cannot see it what it shows"
            )
            assert output.data["text/plain"].split() == alt.split(), (
                f"{where}: text/plain must hold the same words as the alt text: {again(path)}"
            )
            pictures += 1
    assert pictures, f"{path.name} shows no picture: draw what it found"


@by_name(ALL)
def test_shown_pictures_are_in_the_repository(path):
    """A notebook opens with a figure of the folder figures/ that it saves itself."""
    for cell in notebooks.read(path).cells:
        if cell.cell_type == "markdown":
            for alt, name in re.findall(r"!\[(.*?)\]\((?!attachment:)(.+?)\)", cell.source):
                assert (path.parent / name).resolve().is_file(), (
                    f"{name} does not exist: save it with plotting.show(figure, alt, name), and "
                    f"run {path.stem} --inplace in the full profile"
                )
                assert alt, f"{name} has no alt text: write it between the brackets of ![]"


# --- how it reads


def no_formula(source):
    """Return what stands around each dollar sign that opens and closes no formula."""
    rest = FORMULA.sub("", CODE.sub("", source))
    return re.findall(r"[^\n]{0,20}\$[^\n]{0,20}", rest)


@by_name(ALL)
def test_every_dollar_sign_of_a_text_belongs_to_a_formula(path):
    for cell in notebooks.read(path).cells:
        found = no_formula(cell.source) if cell.cell_type == "markdown" else []
        assert not found, (
            f"{path.name}: {found}: JupyterLab takes what stands between two of these for a "
            "formula, even if there is a backslash before each. Write 'dollars'"
        )


def test_what_is_a_formula_and_what_is_a_price():
    assert no_formula("$n$ of `$HOME`, $$\na + b\n$$ and $\\log p$.\n```\n5 $\n```") == []
    for prices in ("5 $ or 6 $", "5 \\$ or 6 \\$", "$5 or $6", "from $5–$6", "5 $ for $n$ rooms"):
        assert no_formula(prices), prices


@by_name(ALL)
def test_minutes_are_stated_to_the_reader_and_to_the_commands(path):
    notebook = notebooks.read(path)
    stated = notebook.metadata.get("course", {})
    assert {"minutes", "run_minutes"} <= stated.keys(), (
        f'{path.name}: its metadata must hold {{"course": {{"minutes": …, "run_minutes": …}}}}: '
        "what a class needs, and what run measures"
    )
    first = notebook.cells[0]
    assert first.cell_type == "markdown", f"{path.name} must open with a cell of text"
    for minutes in (stated["minutes"], stated["run_minutes"]):
        assert re.search(rf"\b{minutes} minutes?\b", first.source), (
            f"say '{minutes} minutes' in the first cell of {path.name}: its metadata says so"
        )


@by_name(ALL)
def test_cells_are_few_and_short_and_the_file_is_small(path):
    notebook = notebooks.read(path)
    cells = notebooks.code_cells(notebook)
    assert 10 <= len(notebook.cells) <= 60, (
        f"{path.name} has {len(notebook.cells)} cells: 30 to 45 fit a class, 10 to 60 are allowed"
    )
    for number, cell in enumerate(cells, 1):
        assert length(cell) <= 20, (
            f"In [{number}] has {length(cell)} lines, and 20 is an alarm: split it, or move the "
            f"drawing to helpers/chapters/chapter_{path.name[:2]}.py"
        )
    longest = sorted(range(len(cells)), key=lambda place: -length(cells[place]))
    over = [f"In [{place + 1}]: {length(cells[place])}" for place in longest]
    median = statistics.median_low(length(cell) for cell in cells)
    assert median <= 8, (
        f"half of the code cells must have eight lines or fewer; the median is {median}. A cell "
        "shows one thing: load, or compute, or draw, or claim. Lines of the longest: "
        + ", ".join(over[:8])
    )
    assert path.stat().st_size < MOST_BYTES, (
        f"{path.name} has {path.stat().st_size / 1e6:.1f} MB: draw fewer or smaller pictures"
    )


@by_name(ALL)
def test_every_cell_has_one_priority(path):
    notebook = notebooks.read(path)
    for place, cell in enumerate(notebook.cells):
        tags = notebooks.tags(cell)
        assert len(tags & PRIORITIES) == 1, (
            f"the cell at place {place} of {path.name} has the tags {sorted(tags)}: give it one of "
            f"{sorted(PRIORITIES)} ({EDIT})"
        )
        if "instructor" in tags:
            assert cell.cell_type == "markdown", (
                f"the cell at place {place} is code for the instructor: students will lack it"
            )
    assert "must" in notebooks.tags(notebooks.code_cells(notebook)[0]), (
        "the first code cell sets up all others: tag it must"
    )


@by_name(ALL)
def test_a_notebook_that_was_opened_alone_says_what_it_needs(path, monkeypatch):
    first = ast.parse(notebooks.code_cells(notebooks.read(path))[0].source).body[0]
    monkeypatch.setitem(sys.modules, "helpers", None)  # as if it could not be found
    with pytest.raises(ModuleNotFoundError, match="get the rest of the course where you"):
        exec(compile(ast.Module([first], []), "the first statement", "exec"), {})


@by_name(ALL)
def test_the_must_path_fits_a_class(path):
    cells = [c for c in notebooks.code_cells(notebooks.read(path)) if "must" in notebooks.tags(c)]
    assert len(cells) <= 14, (
        f"{len(cells)} code cells of {path.name} are tagged must, and a class of 90 minutes gets "
        "through about a dozen: tag the others should or extra"
    )
    exercises = sum(editions.is_answer(cell) for cell in cells)
    if path in CORE:
        assert exercises == 2, f"{exercises} exercises are tagged must: two fit a class"


HEADING = re.compile(r"^#{2,3} (.+?)(?: · (must|should|extra))?$", re.MULTILINE)
EXERCISE = re.compile(r"(?:Exercise \d\d-\d+|Open question): ")
ABOUT = re.compile(r"^(?=.*\bminutes?\b).* · \**(must|should|extra)\b", re.MULTILINE)


def shown_paths(notebook):
    """Yield (place, tagged path, path that a reader sees) for each part of a cell.

    A heading gives a section its path; an exercise may have another, which ends with its check.
    """
    section, exercise = "must", None
    for place, cell in enumerate(notebook.cells):
        [tagged] = notebooks.tags(cell) & PRIORITIES
        if cell.cell_type == "code":
            yield place, tagged, exercise or section
            if "check(" in cell.source:
                exercise = None
            continue
        before, *rest = HEADING.split(cell.source)
        if before.strip():
            yield place, tagged, exercise or section
        named = place == 0
        for title, path, text in zip(*(rest[part::3] for part in range(3)), strict=True):
            if EXERCISE.match(title) and not path:
                about = ABOUT.search(text)
                exercise = about[1] if about else "no path beside its minutes"
            elif path:
                section, exercise, named = path, None, True
            elif not named:
                section = f"no path after the heading {title!r}"
            yield place, tagged, exercise or section


@by_name(ALL)
def test_a_reader_sees_which_path_a_section_and_an_exercise_belong_to(path):
    for place, tagged, shown in shown_paths(notebooks.read(path)):
        assert shown == tagged, (
            f"the cell at place {place} of {path.name} is tagged {tagged}, and a reader sees: "
            f"{shown}. End the heading of its section, or the line with the minutes of its "
            "exercise, in ' · must', ' · should' or ' · extra'; a section has one path"
        )


@by_name(ALL)
def test_the_answer_of_a_vote_is_folded_and_stands_below_what_shows_it(path):
    vote, shows_it = None, False
    for place, cell in enumerate(notebooks.read(path).cells):
        where = f"{path.name}, the cell at place {place}"
        if cell.cell_type == "code":
            shows_it = True
        if cell.cell_type == "code" or "instructor" in notebooks.tags(cell):
            continue
        open_text, *folded = re.split(
            r"^<details><summary><b>The answer</b></summary>\n\n(.*?)\n\n</details>$",
            cell.source,
            flags=re.MULTILINE | re.DOTALL,
        )
        for text in [open_text, *folded[1::2]]:
            assert not notes.ANSWER.search(text), f"{where} answers a vote openly: fold it"
        for text in folded[::2]:
            assert notes.ANSWER.match(text), f"{where}: a folded answer opens with its letter"
            assert vote is not None, f"{where} answers, and nobody voted"
            assert shows_it, f"{where}: code must show the answer before a text says it"
            vote = None
        if re.search(notes.VOTE.pattern, cell.source, re.MULTILINE):
            assert vote is None, f"{path.name}: nothing answers the vote at place {vote}"
            vote, shows_it = place, False
    assert vote is None, f"{path.name}: nothing answers the vote at place {vote}"


# --- exercises


def exercises(path):
    """Yield (where, number of the cell, cell) for each answer cell of a notebook."""
    for number, cell in enumerate(notebooks.code_cells(notebooks.read(path)), 1):
        if editions.is_answer(cell):
            yield f"{path.name}, In [{number}]", number, cell


@by_name(ALL)
def test_an_answer_cell_says_what_release_and_grading_need(path):
    for where, _, cell in exercises(path):
        editions.stub(cell, where)  # its own messages name what is malformed
        course = cell.metadata["course"]
        assert course.keys() == {"exercise", "minutes", "points"}, (
            f"{where}: its metadata must hold exercise, minutes and points under 'course' ({EDIT})"
        )
        for key in ("minutes", "points"):
            assert type(course[key]) is int and course[key] > 0, (
                f"{where}: {key} must be a whole number above 0, not {course[key]!r} ({EDIT})"
            )
        expected = {"schema_version": 3, "solution": True, "grade": True, "locked": False}
        nbgrader = {key: cell.metadata["nbgrader"].get(key) for key in expected}
        assert nbgrader == expected, f"{where}: nbgrader needs {expected}, not {nbgrader} ({EDIT})"
        assert course["exercise"].startswith(path.name[:2]), f"{where}: number it after its chapter"
    names = [cell.metadata["course"]["exercise"] for _, _, cell in exercises(path)]
    assert len(set(names)) == len(names), (
        f"{path.name}: each exercise needs its own number: {names}"
    )


@by_name(ALL)
def test_an_answer_is_one_short_function(path):
    for where, _, cell in exercises(path):
        for source in (cell.source, editions.stub(cell, where)):
            *imports, function = ast.parse(source).body
            assert isinstance(function, ast.FunctionDef), f"{where} must end with its function"
            assert all(isinstance(line, ast.Import | ast.ImportFrom) for line in imports), (
                f"{where}: only imports may stand before the function"
            )
        solution = cell.source.split(editions.BEGIN)[1].split(editions.END)[0]
        lines = len(solution.strip().splitlines())
        assert lines <= 10, f"{where}: the solution has {lines} lines; ask for less, 10 are most"


@by_name(ALL)
def test_only_its_check_uses_an_answer(path):
    """So a copy without answers runs to its end."""
    cells = notebooks.code_cells(notebooks.read(path))
    for where, number, cell in exercises(path):
        function = ast.parse(cell.source).body[-1].name
        for later, other in enumerate(cells[number:], number + 1):
            assert not sets(other, function), (
                f"{where}: In [{later}] sets {function} again, so a student's function is lost: "
                "give that another name"
            )
        users = [
            place
            for place, other in enumerate(cells, 1)
            if other is not cells[number - 1] and uses(other, function)
        ]
        assert len(users) == 1, (
            f"{where}: {function} is used by the cells {users}, and it must be used by its check "
            "only: a student without an answer goes on to the next section"
        )
        check = cells[users[0] - 1]
        call = f'check("{cell.metadata["course"]["exercise"]}", {function})'
        assert call in check.source, f"{where}: In [{users[0]}] must call {call}"
        assert check.outputs and "✓" in check.outputs[0].get("text", ""), (
            f"{where}: its check does not say ✓. Mend the solution, and {again(path)}"
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

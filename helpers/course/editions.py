"""A notebook as students get it, and as it is shown on a projector."""

from __future__ import annotations

import copy
import hashlib
import re

from helpers.course import notebooks

ANSWER = re.compile(r"# ANSWER (\d\d-\d+)")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
# wider than BEGIN and END: a marker with a slip of the pen must stop the release, not leak
MARKER = re.compile(r"\b(BEGIN|END)[\s_-]*SOLUTION\b", re.IGNORECASE)
PROGRESS_TEXT = """## My progress

Run this cell whenever you like. It counts the last check of each exercise since you started the \
kernel; the open question has no points here."""
PROGRESS_IDS = ("my-progress", "my-progress-table")
PROGRESS_CODE = "from helpers.exercises import progress\n\nprogress()"
# what a notebook says that was opened without the course, and what it does instead on Colab
ALONE = re.compile(r"    raise ModuleNotFoundError\(.* from None\n")
UNPACK = """    import os, shutil, sys

    if not os.path.exists("course.zip"):  # on Colab: the folder symbol at the left, then its arrow
        raise ModuleNotFoundError("upload course.zip, then run this cell again") from None
    shutil.unpack_archive("course.zip", "course")
    sys.path.insert(0, os.path.abspath("course"))
    import helpers
"""
STUB = "raise NotImplementedError  # your lines take the place of this one"


def students_copy(notebook, name):
    """Return a copy of a notebook without solutions, instructor's cells and outputs.

    Parameters
    ----------
    notebook : notebook node; it is not changed
    name : str
        Its file name, for messages.

    Raises
    ------
    UsageError
        If an answer cell is malformed, or a solution stands anywhere else.
    """
    notebook = _without_notes_and_outputs(notebook)
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        if is_answer(cell):
            cell.source = stub(cell, f"{name}, code cell {number}")
            cell.metadata.pop("jupyter", None)  # it folds the solution
    for cell in notebook.cells:
        if cell.cell_type != "code" and (found := MARKER.search(cell.source)):
            raise notebooks.UsageError(
                f"{name}: {found[0]!r} stands in a cell of text; a solution belongs in a code cell"
            )
    return notebook


def add_progress(notebook):
    """Add a last cell that prints the points so far, if the notebook has exercises, in place.

    Parameters
    ----------
    notebook : notebook node of a students' copy
    """
    from nbformat.v4 import new_code_cell, new_markdown_cell

    if not any(is_answer(cell) for cell in notebook.cells):
        return
    tags, (first, second) = {"tags": ["must"]}, PROGRESS_IDS
    notebook.cells += [
        new_markdown_cell(PROGRESS_TEXT, id=first, metadata=tags),
        new_code_cell(PROGRESS_CODE, id=second, metadata=tags),
    ]


def find_the_zip(notebook):
    """Let the first cell of a notebook unpack ``course.zip`` where there is no course, in place.

    Parameters
    ----------
    notebook : notebook node of a students' copy
    """
    cell = notebooks.code_cells(notebook)[0]
    cell.source, found = ALONE.subn(UNPACK, cell.source)
    if found != 1:
        raise notebooks.UsageError(
            f"the first cell must hold {ALONE.pattern!r} once, not {found} times"
        )


def stamp(notebook, name, version):
    """Write into the metadata of a copy which notebook it is, and of which version, in place.

    Parameters
    ----------
    notebook : notebook node of a copy
    name : str
        Its file name without the suffix, which students may change.
    version : str
        Of the course; what follows it, after a ``+``, is another one where a cell is.

    Examples
    --------
    >>> from nbformat.v4 import new_notebook
    >>> book = new_notebook()
    >>> stamp(book, "05_cnn_inversion", "1.2.0")
    >>> book.metadata["course"]
    {'id': '05_cnn_inversion', 'version': '1.2.0+...'}
    """
    import nbformat

    digest = hashlib.sha256(nbformat.writes(notebook).encode()).hexdigest()[:8]
    known = notebook.metadata.get("course", {})
    notebook.metadata["course"] = {**known, "id": name, "version": f"{version}+{digest}"}


def presenters_copy(notebook):
    """Return a copy of a notebook to show: no outputs, no instructor's cells, solutions folded.

    Parameters
    ----------
    notebook : notebook node; it is not changed

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> cell = presenters_copy(new_notebook(cells=[new_code_cell("# ANSWER 01-1")])).cells[0]
    >>> cell.metadata
    {'jupyter': {'source_hidden': True}}
    """
    notebook = _without_notes_and_outputs(notebook)
    for cell in notebooks.code_cells(notebook):
        if is_answer(cell):
            # JupyterLab shows three dots instead; a click on them opens the cell
            cell.metadata["jupyter"] = {**cell.metadata.get("jupyter", {}), "source_hidden": True}
    return notebook


def _without_notes_and_outputs(notebook):
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if "instructor" not in notebooks.tags(cell)]
    for cell in notebooks.code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    return notebook


def is_answer(cell):
    """Whether anything in a code cell says that it is an answer cell.

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell
    >>> is_answer(new_code_cell("# end solution")), is_answer(new_code_cell("x = 1"))
    (True, False)
    """
    return cell.cell_type == "code" and bool(
        "exercise" in cell.metadata.get("course", {})
        or cell.metadata.get("nbgrader", {}).get("solution", False)
        or "# ANSWER" in cell.source
        or MARKER.search(cell.source)
    )


def stub(cell, where):
    """Return the source of an answer cell with `STUB` in the place of its solution.

    Raises
    ------
    UsageError
        If the first line, the markers or the metadata are not as they must be; `where` opens
        the message.
    """
    lines = cell.source.splitlines() or [""]
    exercise = ANSWER.fullmatch(lines[0])
    if not exercise:
        raise notebooks.UsageError(
            f"{where}: the first line must be like '# ANSWER 05-2', not {lines[0]!r}"
        )
    points = cell.metadata.get("course", {}).get("points")
    for key, kind, expected in (
        ("course", "exercise", exercise[1]),
        ("nbgrader", "grade_id", exercise[1]),
        # its gradebook sees the points of cells to grade
        ("nbgrader", "grade", True),
        ("nbgrader", "points", points),
    ):
        found = cell.metadata.get(key, {}).get(kind)
        if found != expected:
            raise notebooks.UsageError(
                f"{where}: metadata {key}.{kind} must be {expected!r}, not {found!r}"
            )
    marked = [place for place, line in enumerate(lines) if MARKER.search(line)]
    if [lines[place].strip() for place in marked] != [BEGIN, END]:
        raise notebooks.UsageError(
            f"{where}: there must be one line {BEGIN!r}, and after it one {END!r}"
        )
    begin, end = marked
    indent = lines[begin][: -len(lines[begin].lstrip())]
    if not indent:
        raise notebooks.UsageError(f"{where}: {BEGIN!r} must stand inside the function, indented")
    return "\n".join([*lines[:begin], indent + STUB, *lines[end + 1 :]])

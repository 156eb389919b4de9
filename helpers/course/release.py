"""Make the students' copy of the course: no solutions, no notes to the instructor, no outputs."""

from __future__ import annotations

import copy
import os
import re
import shutil
from pathlib import Path

from helpers.course import notebooks
from helpers.session import ROOT

CONTENTS = (
    "helpers",
    "data",
    "figures",
    "README.md",
    "LICENSE",
    "requirements.txt",
    "pyproject.toml",
    ".gitignore",
    ".devcontainer",
    ".binder",
)
NOT_COPIED = ("__pycache__", "cache", "models", "*.part")
MARK = ".made-by-release"

ANSWER = re.compile(r"# ANSWER (\d\d-\d+)")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
STUB = "raise NotImplementedError  # your lines take the place of this one"


def add_parser(commands):
    parser = commands.add_parser("release", help="make the students' copy, without solutions")
    parser.add_argument(
        "--to",
        type=Path,
        default=notebooks.BUILD / "release",
        metavar="FOLDER",
        help="default: build/release",
    )
    parser.set_defaults(main=main)


def main(arguments):
    target = arguments.to.resolve()
    count = release(target)
    print(f"{count} notebooks without solutions, and what they need, are in {target}")


def release(target):
    """Write the students' copy of the whole course into a folder, in one step or not at all.

    Parameters
    ----------
    target : Path, absolute
        A folder that does not exist, is empty, or was made by an earlier release.

    Returns
    -------
    int
        The number of notebooks.

    Raises
    ------
    ValueError
        If the folder holds anything else or lies inside the course, or an answer cell is
        malformed: then the message names the notebook and the cell.
    """
    _check_target(target)
    paths = notebooks.find(everything=True)
    copies = {path: students_copy(notebooks.read(path), path.name) for path in paths}
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        temporary.mkdir()
        (temporary / MARK).write_text("python -m helpers.course release made this folder.\n")
        for name in CONTENTS:
            _copy(ROOT / name, temporary / name)
        for path, notebook in copies.items():
            folder = temporary / "notebooks" / path.parent.relative_to(notebooks.FOLDER)
            notebooks.write(notebook, folder / path.name)
        _replace(target, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(paths)


def _check_target(target):
    if target.is_relative_to(ROOT) and not target.is_relative_to(ROOT / "build"):
        raise notebooks.UsageError(
            f"--to must be outside the course or inside build/, not {target}"
        )
    if target.exists() and not target.is_dir():
        raise notebooks.UsageError(f"--to must be a folder; {target} is a file")
    if target.exists() and any(target.iterdir()) and not (target / MARK).exists():
        raise notebooks.UsageError(
            f"--to must be empty or made by release; {target} holds other files. "
            "Choose another folder, or empty it yourself."
        )


def _copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns(*NOT_COPIED))
    elif source.exists():
        shutil.copy2(source, target)


def _replace(target, new):
    """Put a folder in the place of another; if that fails, the old one is still there."""
    old = new.with_suffix(".old")
    if target.exists():
        os.replace(target, old)
    try:
        os.replace(new, target)
    except OSError:
        if old.exists():
            os.replace(old, target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def students_copy(notebook, name):
    """Return a copy of a notebook without solutions, instructor's cells and outputs.

    Parameters
    ----------
    notebook : notebook node; it is not changed
    name : str
        Its file name, for messages.

    Raises
    ------
    ValueError
        If an answer cell is malformed.
    """
    notebook = copy.deepcopy(notebook)
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        cell.outputs, cell.execution_count = [], None
        if is_answer(cell):
            cell.source = stub(cell, f"{name}, code cell {number}")
            cell.metadata.pop("jupyter", None)  # it folds the solution
    notebook.cells = [cell for cell in notebook.cells if "instructor" not in notebooks.tags(cell)]
    return notebook


def is_answer(cell):
    """Whether anything in a cell says that it is an answer cell."""
    return cell.cell_type == "code" and (
        "exercise" in cell.metadata.get("course", {})
        or cell.metadata.get("nbgrader", {}).get("solution", False)
        or any(mark in cell.source for mark in ("# ANSWER", "BEGIN SOLUTION", "END SOLUTION"))
    )


def stub(cell, where):
    """Return the source of an answer cell with `STUB` in the place of its solution.

    Raises
    ------
    ValueError
        If the first line, the markers or the metadata are not as they must be; `where` opens
        the message.
    """
    lines = cell.source.splitlines()
    exercise = ANSWER.fullmatch(lines[0])
    if not exercise:
        raise notebooks.UsageError(
            f"{where}: the first line must be like '# ANSWER 05-2', not {lines[0]!r}"
        )
    for key, kind in (("course", "exercise"), ("nbgrader", "grade_id")):
        found = cell.metadata.get(key, {}).get(kind)
        if found != exercise[1]:
            raise notebooks.UsageError(
                f"{where}: metadata {key}.{kind} must be {exercise[1]!r}, not {found!r}"
            )
    places = {
        mark: [place for place, line in enumerate(lines) if line.strip() == mark]
        for mark in (BEGIN, END)
    }
    if [len(found) for found in places.values()] != [1, 1] or places[BEGIN] > places[END]:
        raise notebooks.UsageError(
            f"{where}: there must be one line {BEGIN!r}, and after it one {END!r}"
        )
    begin, end = places[BEGIN][0], places[END][0]
    indent = lines[begin][: -len(lines[begin].lstrip())]
    if not indent:
        raise notebooks.UsageError(f"{where}: {BEGIN!r} must stand inside the function, indented")
    return "\n".join([*lines[:begin], indent + STUB, *lines[end + 1 :]])

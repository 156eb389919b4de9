"""Make the students' copy of the course: no solutions, no notes to the instructor, no outputs."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

from helpers.course import notebooks
from helpers.session import ROOT

CONTENTS = (
    "helpers",
    "data",
    "figures",
    "LICENSE",
    "requirements.txt",
    "constraints.txt",
    "pyproject.toml",
    ".gitignore",
    ".devcontainer",
    ".binder",
)

# What running the course leaves behind, by name or, after a "/", by path: it is never copied, and
# it may lie in a copy that is replaced. Nothing that a person writes belongs here.
LEFT_BY_RUNNING = (
    "/build",
    "/data/cache",
    "/data/models",
    ".venv",
    "__pycache__",
    ".ipynb_checkpoints",
    ".pytest_cache",
    ".ruff_cache",
    ".hypothesis",
    "*.egg-info",
    ".*.part",
    ".DS_Store",
    "Thumbs.db",
    "desktop.ini",
)

# Lies in each copy: the SHA-256 of every file that `release` wrote there.
MANIFEST = ".made-by-release"
# the README of a copy says nothing of teaching and tests
README = "helpers/course/students.md"
NAMES_SHOWN = 3

ANSWER = re.compile(r"# ANSWER (\d\d-\d+)")
BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
# wider than BEGIN and END: a marker with a slip of the pen must stop the release, not leak
MARKER = re.compile(r"\b(BEGIN|END)[\s_-]*SOLUTION\b", re.IGNORECASE)
STUB = "raise NotImplementedError  # your lines take the place of this one"


def add_parser(commands):
    """Say what the command takes."""
    parser = commands.add_parser("release")
    parser.add_argument(
        "--to",
        type=Path,
        default=notebooks.BUILD / "release",
        metavar="FOLDER",
        help="default: build/release",
    )
    parser.set_defaults(main=main)


def main(arguments):
    """Run the command."""
    target = arguments.to.expanduser().resolve()
    count = release(target)
    print(f"{count} notebooks without solutions, and what they need, are in {target}")


def release(target):
    """Write the students' copy of the whole course into a folder, in one step or not at all.

    Parameters
    ----------
    target : Path, absolute
        A folder that does not exist, is empty, or is as an earlier release wrote it.

    Returns
    -------
    int
        The number of notebooks.

    Raises
    ------
    UsageError
        If the folder holds anything that this command did not write, or lies inside the course;
        if this course is itself a students' copy; or if an answer cell is malformed: then the
        message names the notebook and the cell.
    OSError
        If the copy cannot be written; then the folder is as it was.
    """
    _check_source()
    _check_target(target)
    paths = notebooks.find(everything=True)
    copies = {path: students_copy(notebooks.read(path), path.name) for path in paths}
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        for name in CONTENTS:
            for path in _files(ROOT, ROOT / name):
                new = temporary / path
                new.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, new)
        shutil.copyfile(ROOT / README, temporary / "README.md")
        for path, notebook in copies.items():
            notebooks.write(notebook, temporary / "notebooks" / path.relative_to(notebooks.FOLDER))
        manifest = {"command": "python -m helpers.course release", "files": _digests(temporary)}
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        _replace(target, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return len(paths)


def _check_source():
    if (ROOT / MANIFEST).exists():
        raise notebooks.UsageError(
            f"{ROOT} is a students' copy itself, made by release: there are no solutions to take "
            "out. Call release in the teacher's edition."
        )


def _check_target(target):
    """Refuse a folder that holds anything which this command did not write."""
    if target.is_relative_to(ROOT) and not target.is_relative_to(ROOT / "build"):
        raise notebooks.UsageError(
            f"--to must be outside the course or inside build/, not {target}"
        )
    nearest = next(path for path in (target, *target.parents) if path.exists())
    if not nearest.is_dir():
        raise notebooks.UsageError(f"--to must be a folder; {nearest} is a file")
    if nearest != target or not any(target.iterdir()):
        return
    advice = "Choose another folder, or empty it yourself."
    try:
        written = json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        raise notebooks.UsageError(
            f"--to must be empty or made by release; {target} holds other files. {advice}"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise notebooks.UsageError(
            f"--to must be as release wrote it; {target} was made by an older release, which noted "
            f"no files, so nobody knows what was changed there since. {advice}"
        ) from None
    if differences := list(_differences(written, _digests(target))):
        raise notebooks.UsageError(
            f"somebody worked in {target}: {'; '.join(differences)}. {advice}"
        )


def _differences(written, found):
    """Yield phrases such as ``"2 files changed (a.ipynb, b.ipynb)"``."""
    kinds = {
        "added": sorted(found.keys() - written.keys()),
        "changed": sorted(p for p in found.keys() & written.keys() if found[p] != written[p]),
        "deleted": sorted(written.keys() - found.keys()),
    }
    for kind, paths in kinds.items():
        if paths:
            more = [f"and {len(paths) - NAMES_SHOWN} more"] if len(paths) > NAMES_SHOWN else []
            files = "1 file" if len(paths) == 1 else f"{len(paths)} files"
            yield f"{files} {kind} ({', '.join([*paths[:NAMES_SHOWN], *more])})"


def _digests(folder):
    """Return {path: SHA-256} of the files of a copy, but for its manifest."""
    digests = {}
    for path in _files(folder):
        if path.as_posix() != MANIFEST:
            whole = folder / path
            # a link is a file that somebody added, wherever it points to
            content = os.readlink(whole).encode() if whole.is_symlink() else whole.read_bytes()
            digests[path.as_posix()] = hashlib.sha256(content).hexdigest()
    return digests


def _files(root, start=None):
    """Yield the files below `start`, relative to `root`, without what `LEFT_BY_RUNNING` names."""
    start = start or root
    if start != root and left_by_running(start.relative_to(root)):
        return
    if start.is_dir() and not start.is_symlink():
        for path in sorted(start.iterdir()):
            yield from _files(root, path)
    elif start.exists() or start.is_symlink():
        yield start.relative_to(root)


def left_by_running(path):
    """Whether a path, relative to the course, is made by running it and by no person.

    Examples
    --------
    >>> left_by_running(Path("data/models")), left_by_running(Path("helpers/models"))
    (True, False)
    """
    return any(
        fnmatch(f"/{path.as_posix()}" if pattern.startswith("/") else path.name, pattern)
        for pattern in LEFT_BY_RUNNING
    )


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
    UsageError
        If an answer cell is malformed, or a solution stands anywhere else.
    """
    notebook = copy.deepcopy(notebook)
    notebook.cells = [cell for cell in notebook.cells if "instructor" not in notebooks.tags(cell)]
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        cell.outputs, cell.execution_count = [], None
        if is_answer(cell):
            cell.source = stub(cell, f"{name}, code cell {number}")
            cell.metadata.pop("jupyter", None)  # it folds the solution
    for cell in notebook.cells:
        if cell.cell_type != "code" and (found := MARKER.search(cell.source)):
            raise notebooks.UsageError(
                f"{name}: {found[0]!r} stands in a cell of text; a solution belongs in a code cell"
            )
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
    for key, kind in (("course", "exercise"), ("nbgrader", "grade_id")):
        found = cell.metadata.get(key, {}).get(kind)
        if found != exercise[1]:
            raise notebooks.UsageError(
                f"{where}: metadata {key}.{kind} must be {exercise[1]!r}, not {found!r}"
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

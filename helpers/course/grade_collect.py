"""Find the answers in what students handed in, and put them into a fresh copy of the reference.

Of a submission, nothing but the source of its answer cells is used. A file that cannot be read
becomes a remark about its student; it never stops the others.
"""

from __future__ import annotations

import ast
import copy
import json
import re
import stat
import unicodedata
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from helpers.course import editions, notebooks

LARGEST = 20 * 2**20  # bytes of a notebook; those of the course have 2 MB with their outputs
LARGEST_ANSWER = 20_000  # characters
DEEPEST = 100  # brackets in brackets; a notebook has about ten
MOST_FILES = 5000  # in a zip
HIGHEST_RATIO = 200  # of a file in a zip to its compressed size
MOODLE = "_assignsubmission_file"
MARKER = re.compile(r"^#\s*ANSWER\s+(\d\d-\d+)\b", re.IGNORECASE)
CHECK = re.compile(r"^check\(\s*[\"'](\d\d-\d+)[\"']\s*,\s*(\w+)\s*\)\s*$", re.MULTILINE)
# a line in a cell of the students' own: "Names: Ana Lopez, Bo Chen"
PEOPLE = re.compile(
    r"^\W*(?:names?|authors?|students?|noms?|auteure?s?|étudiante?s?)\W*[:=][\W]*(.+)$",
    re.IGNORECASE | re.MULTILINE,
)
# a comment by which a cell tells nbval to skip it
ORDERS = re.compile(r"^(\s*#+\s*)(?:NBVAL|PYTEST_VALIDATE)", re.MULTILINE)
OWN_CELLS = "cells of their own, ignored: "  # it needs nobody's eye
OPEN_QUESTION = "open-question"  # the id of its cell
SKIPPED = {"__MACOSX", ".ipynb_checkpoints"}

# what an answer that only computes has no need of
UNUSUAL_NAMES = {
    *("exec", "eval", "compile", "open", "input", "globals", "locals", "vars", "setattr"),
    *("delattr", "getattr", "breakpoint", "exit", "quit", "get_ipython", "memoryview", "global"),
}
USUAL_MODULES = {
    *("numpy", "math", "scipy", "pandas", "tensorflow", "keras", "sklearn", "itertools"),
    *("functools", "collections", "helpers", "matplotlib", "seaborn", "statistics", "operator"),
}


@dataclass
class Submission:
    """What one student (or group) handed in.

    Attributes
    ----------
    name : str
        The folder, or the name of the file.
    files : list of (str, bytes or None)
        Notebooks by their names; without content if they were refused.
    moodle : str
        The identifier in Moodle's folder name, or "".
    remarks : list of str
    """

    name: str
    files: list = field(default_factory=list)
    moodle: str = ""
    remarks: list = field(default_factory=list)
    cells: dict = field(default_factory=dict)  # by file, as `cells_of` read them
    people: list = field(default_factory=list)  # where the notebook names more than one
    opened: dict = field(default_factory=dict)  # answers to open questions, by notebook


@dataclass
class Answers:
    """The answers of one submission to one notebook: source by exercise, and what was noticed."""

    sources: dict
    remarks: list


# --- what was handed in


def collect(place):
    """Find the submissions in a folder or a zip.

    A folder for each student, a flat folder of notebooks, or a zip of either; Moodle's folders,
    ``NAME_NUMBER_assignsubmission_file``, are recognised.

    Parameters
    ----------
    place : Path

    Returns
    -------
    list of Submission, sorted by name

    Raises
    ------
    UsageError
        If there is nothing to read there.
    """
    place = Path(place)
    found: dict[str, Submission] = {}
    if place.is_dir():
        for path in sorted(place.rglob("*")):
            _take(found, path.relative_to(place), path)
        for path in sorted(place.iterdir()):
            if path.is_dir() and not path.is_symlink() and path.name not in SKIPPED:
                _owner(found, PurePosixPath(path.name, "x"))
    elif place.is_file() and zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            _take_zip(found, archive, None)
    else:
        raise notebooks.UsageError(f"{place} is neither a folder nor a zip")
    for one in found.values():
        if not one.files:
            one.remarks.append("no notebook was handed in")
    if not found:
        raise notebooks.UsageError(f"there is no notebook in {place}")
    return [found[name] for name in sorted(found)]


def _owner(found, path):
    """Return the submission that a file belongs to, by the first part of its path."""
    first = path.parts[0] if len(path.parts) > 1 else path.stem
    # two ways to write é in Unicode are one name
    name = unicodedata.normalize("NFC", first).strip() or "no name"
    moodle = re.match(r"(.*?)_(\d+)_assignsubmission_\w+$", name)
    key = moodle[1] if moodle else name
    if moodle and key in found and found[key].moodle != moodle[2]:
        key = f"{moodle[1]} {moodle[2]}"  # two students of one name
    return found.setdefault(key, Submission(key, moodle=moodle[2] if moodle else ""))


def _take(found, relative, path):
    if SKIPPED & set(relative.parts) or relative.name.startswith("."):
        return
    kind = path.lstat().st_mode
    if stat.S_ISDIR(kind) or path.suffix.lower() not in (".ipynb", ".zip"):
        return
    one = _owner(found, PurePosixPath(relative.as_posix()))
    if not stat.S_ISREG(kind):
        one.remarks.append(f"{relative.name} is a link or no file: not followed")
    elif path.suffix.lower() == ".zip":
        try:
            with zipfile.ZipFile(path) as archive:
                _take_zip(found, archive, one if len(relative.parts) > 1 else None)
        except (zipfile.BadZipFile, OSError, NotImplementedError, RuntimeError) as error:
            one.remarks.append(f"{relative.name} cannot be read: {_short(error)}")
    elif path.stat().st_size > LARGEST:
        _refuse(one, relative.name, f"{path.stat().st_size / 2**20:.0f} MB, too large")
    else:
        try:
            one.files.append((relative.as_posix(), path.read_bytes()))
        except OSError as error:
            _refuse(one, relative.name, _short(error))


def _take_zip(found, archive, owner):
    """Take the notebooks of a zip: nothing is unpacked to the disk."""
    entries = archive.infolist()
    for entry in sorted(entries[:MOST_FILES], key=lambda entry: (entry.date_time, entry.filename)):
        path = PurePosixPath(entry.filename.replace("\\", "/"))
        if entry.is_dir() or SKIPPED & set(path.parts) or not path.name.lower().endswith(".ipynb"):
            continue
        parts = [part for part in path.parts if part not in ("..", "/", ".")]
        one = owner or _owner(found, PurePosixPath(*parts))
        if ".." in path.parts or path.is_absolute() or re.match(r"^\w:", entry.filename):
            _refuse(one, path.name, "its path in the zip leads out of the zip")
        elif stat.S_ISLNK(entry.external_attr >> 16):
            _refuse(one, path.name, "a link in the zip: not followed")
        elif entry.file_size > LARGEST:
            _refuse(one, path.name, f"{entry.file_size / 2**20:.0f} MB, too large")
        elif entry.file_size > HIGHEST_RATIO * max(entry.compress_size, 1) and (
            entry.file_size > 2**20
        ):
            _refuse(one, path.name, "packed too tightly to be honest")
        else:
            try:
                with archive.open(entry) as file:
                    content = file.read(LARGEST + 1)  # whatever size the zip states
                one.files.append((path.as_posix(), content[:LARGEST]))
            except Exception as error:  # encrypted, damaged, an unknown method
                _refuse(one, path.name, _short(error))
    if len(entries) > MOST_FILES:
        one = owner or _owner(found, PurePosixPath("zip", "x"))
        one.remarks.append(f"a zip of {len(entries):,} files: only {MOST_FILES:,} were looked at")


def _refuse(one, name, why):
    one.files.append((name, None))
    one.remarks.append(f"{name}: {why}")


def _short(error):
    return f"{type(error).__name__}: {str(error).splitlines()[0][:100] if str(error) else ''}"


# --- a notebook that may be anything


def cells_of(content):
    """Read the cells of a notebook of any version, without trusting anything in it.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    cells : list of dict
        With ``source`` (a text), ``id``, ``exercise`` (what the metadata say) and ``type``.
    remarks : list of str

    Raises
    ------
    ValueError
        If it cannot be read; the message is for the instructor.

    Examples
    --------
    >>> cells_of(b'{"cells": [{"cell_type": "code", "source": ["x = 1"]}], "nbformat": 4}')[0]
    [{'source': 'x = 1', 'id': '', 'exercise': '', 'type': 'code'}]
    """
    if not content.strip():
        raise ValueError("an empty file")
    text = content.decode("utf-8-sig", errors="replace")
    if _depth(text) > DEEPEST:
        raise ValueError(f"brackets more than {DEEPEST} deep")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"no notebook: {_short(error)}") from None
    if not isinstance(data, dict):
        raise ValueError("no notebook: JSON of another kind")
    remarks = []
    version = data.get("nbformat")
    if version != 4:
        remarks.append(f"nbformat {str(version)[:20]}")
    cells = data.get("cells")
    if cells is None:  # before version 4
        sheets = data.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        lists = [sheet.get("cells") for sheet in sheets if isinstance(sheet, dict)]
        cells = [cell for each in lists if isinstance(each, list) for cell in each]
    if not isinstance(cells, list):
        raise ValueError("no notebook: it has no cells")
    return [_plain_cell(cell) for cell in cells if isinstance(cell, dict)], remarks


def _plain_cell(cell):
    source = cell.get("source", cell.get("input", ""))
    if isinstance(source, list):
        source = "".join(part for part in source if isinstance(part, str))
    metadata = cell.get("metadata")
    exercise = ""
    for key, kind in (("course", "exercise"), ("nbgrader", "grade_id")):
        part = metadata.get(key) if isinstance(metadata, dict) else None
        value = part.get(kind) if isinstance(part, dict) else None
        exercise = exercise or (value if isinstance(value, str) else "")
    number, kind = cell.get("id"), cell.get("cell_type")
    return {
        "source": source if isinstance(source, str) else "",
        "id": number if isinstance(number, str) else "",
        "exercise": exercise,
        "type": kind if isinstance(kind, str) else "",
    }


def _depth(text):
    """Return how deep brackets are nested, outside of texts: faster than to let a parser fail."""
    depth = deepest = 0
    for bracket in re.findall(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', text):
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


# --- the reference


@dataclass(frozen=True)
class Reference:
    """A notebook of the course, as it is graded.

    Attributes
    ----------
    path : Path
    notebook : notebook node
    exercises : dict of str to (cell id, name of the function)
        In the order of the notebook.
    """

    path: Path
    notebook: object
    exercises: dict

    @property
    def number(self):
        """The first part of its exercises' names, for example ``"05"``."""
        return self.path.name[:2]


def reference(path):
    """Read a notebook of the course as a reference.

    Parameters
    ----------
    path : Path

    Raises
    ------
    UsageError
        If an answer cell has no check cell right after it.
    """
    notebook = notebooks.read(path)
    cells = notebooks.code_cells(notebook)
    exercises = {}
    for cell, following in zip(cells, [*cells[1:], None], strict=True):
        if not editions.is_answer(cell):
            continue
        name = editions.ANSWER.match(cell.source)
        check = CHECK.search(following.source) if following else None
        if not name or not check or check[1] != name[1]:
            raise notebooks.UsageError(
                f"{path.name}: the answer cell {cell.source[:20]!r} has no check right after it"
            )
        exercises[name[1]] = (cell.get("id", ""), check[2])
    return Reference(path, notebook, exercises)


def match(submission, reference):
    """Take the sources of the answers to a notebook out of a submission.

    By the marker line, then by the cell's id, then by its metadata, whatever the type of the cell
    has become. Of several for one exercise the last counts, and that is remarked.

    Parameters
    ----------
    submission : Submission
    reference : Reference

    Returns
    -------
    Answers
    """
    names = reference.exercises
    # an id names an exercise only if the notebook is this one
    by_id = {number: name for name, (number, _) in names.items() if number}
    known = {cell.get("id", "") for cell in reference.notebook.cells}
    known |= {OPEN_QUESTION, *editions.PROGRESS_IDS}
    texts = {squeezed(cell.source) for cell in reference.notebook.cells}
    texts |= {squeezed(editions.PROGRESS_TEXT), squeezed(editions.PROGRESS_CODE)}
    sources, remarks, added = {}, [], 0
    for file, content in submission.files:
        if content is None:
            continue
        if file not in submission.cells:
            try:
                submission.cells[file] = cells_of(content)
            except ValueError as error:
                submission.cells[file] = [], []
                submission.remarks.append(f"{file}: {error}")
        cells, notes = submission.cells[file]
        own = any(_named(cell, names, {}) for cell in cells)
        remarks += [f"{file}: {note}" for note in notes if own]
        numbers = [cell["id"] for cell in cells if cell["id"]]
        twice = {number for number in numbers if numbers.count(number) > 1} if own else set()
        if twice:
            remarks.append(f"{file}: {len(twice)} cell ids stand there twice")
        lost = sorted(set(by_id) - set(numbers))
        if own and numbers and lost:
            remarks.append(f"{file}: cell ids were made anew")
        if own:
            added -= _read_words(submission, reference, cells, known)
        for cell in cells:
            name = _named(cell, names, by_id)
            if not name:
                text = squeezed(cell["source"])
                added += own and bool(text) and cell["id"] not in known and text not in texts
                continue
            if cell["type"] != "code":
                remarks.append(f"{name}: the answer cell had become {cell['type'] or 'nothing'}")
            source = _clean(cell["source"])
            if name in sources and sources[name] != source:
                remarks.append(f"{name}: more than one answer, the last counts")
            sources[name] = source
    for name, source in list(sources.items()):
        if len(source) > LARGEST_ANSWER:
            remarks.append(f"{name}: an answer of {len(source):,} characters is not run")
            del sources[name]
    if sources and added:
        remarks.append(f"{OWN_CELLS}{added}")
    if sources:
        remarks += [f"{name}: no answer cell" for name in names if name not in sources]
    return Answers(sources, list(dict.fromkeys(remarks)))


def _read_words(submission, reference, cells, known):
    """Note who worked together, and what stands below the open question: how many cells."""
    below, text = False, []
    for cell in cells:
        if cell["id"] in known and cell["id"] != OPEN_QUESTION:
            below = False
        elif cell["id"] == OPEN_QUESTION:
            below = True
        else:
            for line in PEOPLE.findall(cell["source"]):
                people = re.split(r"[,;&/]|\band\b|\bet\b", line)
                people = [unicodedata.normalize("NFC", each).strip(" \t*_\"'`.") for each in people]
                submission.people = [each[:80] for each in people if each][:5]
            if below and cell["source"].strip():
                # on the page of all answers nobody has a name
                text.append(PEOPLE.sub("", cell["source"][:LARGEST_ANSWER]).strip())
    if any(text):
        submission.opened[reference.number] = "\n\n".join(text)
    return len(text)


def _named(cell, names, by_id):
    """Return the exercise that a cell answers, or None."""
    first = cell["source"].lstrip().splitlines()[:1]
    marker = MARKER.match(first[0].strip()) if first else None
    for name in (marker and marker[1], by_id.get(cell["id"]), cell["exercise"]):
        if name in names:
            return name
    return None


def squeezed(source):
    r"""Return a source with single spaces, to compare it with another.

    Examples
    --------
    >>> squeezed("x  = 1\n")
    'x = 1'
    """
    return re.sub(r"\s+", " ", source).strip()


def _clean(source):
    """Take out what a notebook cannot hold, half characters and zeros, and what nbval obeys."""
    source = source.encode("utf-8", "replace").decode().replace("\0", "").replace("\r\n", "\n")
    return ORDERS.sub(r"\1nbval", source)


# --- the merged notebook


def merge(reference, sources, seed):
    """Put answers into a fresh copy of the reference, without all that answers do not need.

    Parameters
    ----------
    reference : Reference
    sources : dict of str to str
        Answers by exercise; for a missing one stands the stub.
    seed : int
        What the hidden cases are drawn from.

    Returns
    -------
    notebook node
        Set-up cells, answer cells, check cells; after each of these one that writes down what the
        answer gives on all cases.
    """
    from nbformat.v4 import new_code_cell

    merged = copy.deepcopy(reference.notebook)
    cells, first = [], True
    answered = None
    for cell in notebooks.code_cells(merged):
        if editions.is_answer(cell):
            name = editions.ANSWER.match(cell.source)[1]
            cell.source = sources.get(name) or editions.stub(cell, reference.path.name)
            # what an answer prints was never stored
            cell.metadata["tags"] = [*notebooks.tags(cell), "nbval-ignore-output"]
            cell.outputs, cell.execution_count = [], None
            cells.append(cell)
            answered = name
        elif answered:
            function = reference.exercises[answered][1]
            recorded = (
                "from helpers.course.grade_sandbox import answered\n"
                f'answered("{answered}", globals().get("{function}"), {seed})'
            )
            tags = {"tags": ["nbval-ignore-output"]}
            cells += [cell, new_code_cell(recorded, metadata=tags, id=f"answered-{answered}")]
            answered = None
        elif first:
            cells.append(cell)
        first = first and not cells
    merged.cells = cells
    return merged


def looks_ordinary(source):
    r"""Whether an answer only defines functions that compute.

    It decides nothing about points: an answer that is not ordinary is run in a process of its own,
    so that whatever it does cannot reach the student's other answers.

    Examples
    --------
    >>> looks_ordinary("def area(r):\n    return 3.14 * r**2")
    True
    >>> looks_ordinary("import os\nos._exit(0)")
    False
    """
    try:
        tree = ast.parse(source)
    except Exception:  # magics, a slip of the pen, and what makes a parser fail
        return False
    nodes = list(ast.walk(tree))
    local = {node.arg for node in nodes if isinstance(node, ast.arg)}
    local |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return all(map(_only_defines, tree.body)) and all(_only_computes(n, local) for n in nodes)


def _only_defines(statement):
    match statement:
        case ast.Expr(value=value):
            return isinstance(value, ast.Constant)
        case ast.FunctionDef() | ast.Import() | ast.ImportFrom():
            return True
    return False


def _only_computes(node, local):
    match node:
        case ast.While() | ast.Global() | ast.Nonlocal() | ast.AsyncFunctionDef():
            return False
        case ast.Name(id=name):
            return name not in UNUSUAL_NAMES and "__" not in name
        case ast.Attribute(attr=name, ctx=context):
            return not name.startswith("_") and isinstance(context, ast.Load)
        case ast.Subscript(value=base, ctx=context):
            own = isinstance(base, ast.Name) and base.id in local
            return own or isinstance(context, ast.Load)
        case ast.Import(names=names):
            return all(map(_usual, [alias.name for alias in names]))
        case ast.ImportFrom(module=module):
            return _usual(module or "")
    return True


def _usual(module):
    return module.split(".")[0] in USUAL_MODULES and not module.startswith("helpers.exercises")

"""Make the students' copy of the course, or the presenter's with notes to print."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import shutil
import tomllib
from fnmatch import fnmatch
from pathlib import Path

from helpers.course import editions, notebooks, notes
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

# no students' copy has it: the functions that compute right and wrong answers
ANSWERS = Path("helpers/answers")

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
# the README of a copy says nothing of tests
READMES = {"students": "helpers/course/students.md", "presenter": "helpers/course/presenter.md"}
NAMES_SHOWN = 3


def add_parser(commands):
    """Say what the command takes."""
    parser = commands.add_parser(
        "release",
        description="Make the students' copy: no solutions, no notes to you, no outputs.",
    )
    parser.add_argument("notebooks", nargs="*", metavar="NN", help="default: all of them")
    parser.add_argument(
        "--presenter",
        action="store_true",
        help="make the copy for your projector instead: solutions folded, and notes/ to print",
    )
    parser.add_argument(
        "--with-data",
        action="store_true",
        help="put the full, verified data of these notebooks into the copy: it needs no network",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="FOLDER",
        help="default: build/release, or build/presenter",
    )
    parser.set_defaults(main=main)


def main(arguments):
    """Run the command."""
    edition = "presenter" if arguments.presenter else "students"
    default = notebooks.BUILD / ("presenter" if arguments.presenter else "release")
    target = (arguments.to or default).expanduser().resolve()
    paths = notebooks.find(arguments.notebooks, everything=True)
    datasets = {}
    if arguments.with_data:
        datasets, lacking = data_here({path: notebooks.read(path) for path in paths})
        if lacking:
            raise notebooks.UsageError(f"{lacking[0]}; then call release --with-data again.")
    release(target, paths, edition, datasets)
    count = "1 notebook" if len(paths) == 1 else f"{len(paths)} notebooks"
    if arguments.presenter:
        print(f"{count} to show, and what they need: {target}\nnotes to print: {target / 'notes'}")
    else:
        print(f"{count} without solutions, and what they need: {target}")


def release(target, paths=None, edition="students", datasets=None):
    """Write a copy of the course into a folder, in one step or not at all.

    Parameters
    ----------
    target : Path, absolute
        A folder that does not exist, is empty, or is as an earlier release wrote it.
    paths : list of Path
        The notebooks; default: all of them.
    edition : {"students", "presenter"}
    datasets : dict, optional
        The data to put into its ``data/cache``, as `data_here` finds them.

    Raises
    ------
    UsageError
        If the folder holds anything that this command did not write, or the other edition, or
        lies inside the course; if this course is itself a copy; or if an answer cell is malformed:
        then the message names the notebook and the cell; or if there is no such exercise.
    OSError
        If the copy cannot be written; then the folder is as it was.
    """
    _check_source()
    _check_target(target, edition)
    books = {path: notebooks.read(path) for path in paths or notebooks.find(everything=True)}
    datasets = datasets or {}
    readme = (ROOT / READMES[edition]).read_text(encoding="utf-8")
    texts = {"README.md": readme.replace("{data}", about_data(datasets))}
    without, outcomes = set(), {}
    if edition == "presenter":
        copies = {path: editions.presenters_copy(book) for path, book in books.items()}
        for path, book in books.items():
            texts[f"notes/{path.stem}.html"] = notes.page(book, path.stem)
    else:
        copies = {path: editions.students_copy(book, path.name) for path, book in books.items()}
        for path, book in copies.items():
            if path.parent == notebooks.FOLDER:  # the core notebooks are classes, with points
                editions.add_progress(book)
        without, outcomes = {ANSWERS, *_other_rooms(books)}, _outcomes(books)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for path, book in copies.items():
        editions.stamp(book, path.stem, version["project"]["version"])
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        for name in CONTENTS:
            for path in _files(ROOT, ROOT / name):
                if without & {path, *path.parents}:
                    continue
                new = temporary / path
                new.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / path, new)
        for name, text in texts.items():
            (temporary / name).parent.mkdir(exist_ok=True)
            (temporary / name).write_text(text, encoding="utf-8", newline="\n")
        for path, book in copies.items():
            notebooks.write(book, temporary / "notebooks" / path.relative_to(notebooks.FOLDER))
        _write_data(datasets, temporary / "data" / "cache")
        if outcomes:
            _write_outcomes(outcomes, temporary / "helpers")
        manifest = {"edition": edition, "files": _digests(temporary)}
        (temporary / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        replace(target, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _other_rooms(books):
    """Return the rooms of notebooks that stay at home: 03 tests pairs as an exercise of 02 does."""
    own = {f"chapter_{path.name[:2]}.py" for path in books}
    rooms = (ROOT / "helpers" / "chapters").glob("chapter_*.py")
    return {path.relative_to(ROOT) for path in rooms if path.name not in own}


def _outcomes(books):
    """Return what the checks of notebooks compare with, in the place of the right functions."""
    from helpers import exercises

    names = [
        cell.metadata["course"]["exercise"]
        for book in books.values()
        for cell in notebooks.code_cells(book)
        if editions.is_answer(cell)
    ]
    for name in names:
        try:
            importlib.import_module(f"helpers.chapters.chapter_{name[:2]}")
        except ModuleNotFoundError as error:
            raise notebooks.UsageError(f"there is no room of {name}: {error}") from error
    try:
        return exercises.to_store(names)
    except ValueError as error:
        raise notebooks.UsageError(error) from error


def _write_outcomes(outcomes, folder):
    """Write them where `helpers.exercises` looks for them."""
    import numpy as np

    from helpers import exercises

    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / exercises.STORED.name, **exercises.pack(outcomes))


def data_here(books):
    """Find the full data that notebooks load, where this computer has them.

    Parameters
    ----------
    books : dict of Path to notebook node

    Returns
    -------
    datasets : dict of str to dict
        Their arrays, verified.
    lacking : list of str
        For each dataset that is not here, what was found instead, and what to do.
    """
    from helpers import data

    datasets, lacking = {}, []
    for name in notebooks.datasets_of(books):
        found = data.locate(name)
        if found.rung:
            datasets[name] = found.arrays
        else:
            source = data.describe(name)
            is_not = f"{source.title} is not on this computer, only its sample is."
            advice = "Run a notebook with the network first, or set COURSE_DATA to a folder with"
            lacking.append(" ".join([*found.notes, is_not, advice, source.file]))
    return datasets, lacking


def _write_data(datasets, folder):
    """Write what `data_here` found where the ladder looks for downloads."""
    import numpy as np

    for name, arrays in datasets.items():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(folder / f"{name}.npz", **arrays)


def about_data(datasets):
    """Say in a copy's README where its data come from."""
    from helpers import data

    if not datasets:
        return (
            "The data are downloaded at their first use. Without a network the course runs on a "
            "small sample, and says so."
        )
    titles = notebooks.in_words(data.describe(name).title for name in datasets)
    return (
        f"The full data of {titles} lie in `data/cache`, so the course needs no network for them. "
        "They were verified when this copy was made, and are verified each time they are read."
    )


def _check_source():
    if (ROOT / MANIFEST).exists():
        raise notebooks.UsageError(
            f"{ROOT} is a copy itself, made by release. Call release in the teacher's edition."
        )


def _check_target(target, edition):
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
        manifest = json.loads((target / MANIFEST).read_text(encoding="utf-8"))
        written, there = manifest["files"], manifest.get("edition", "students")
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
    if there != edition:  # students may read that folder
        raise notebooks.UsageError(
            f"{target} holds the {there} edition, not the {edition} edition. {advice}"
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


def replace(target, new):
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

"""What the commands know of the notebooks: where they stand, their tags, how to write one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from helpers.session import ROOT

FOLDER = ROOT / "notebooks"
BUILD = ROOT / "build"


class UsageError(ValueError):
    """What a command was asked to do makes no sense: one line to the person, no traceback."""


def find(wanted=(), everything=False):
    """Find the paths of notebooks, in the order of their numbers.

    Parameters
    ----------
    wanted : sequence of str
        Numbers, names, or paths from the current folder: ``"5"``, ``"05"``,
        ``"05_cnn_inversion"``, ``"notebooks/05_cnn_inversion.ipynb"``.
        Empty for all core notebooks.
    everything : bool
        With an empty `wanted`: also those in ``notebooks/further``.

    Returns
    -------
    list of Path

    Raises
    ------
    UsageError
        If a wanted notebook is not one of the course, or there is none at all.

    Examples
    --------
    >>> [path.name for path in find(["5", "01_train_cnn"])]
    ['01_train_cnn.ipynb', '05_cnn_inversion.ipynb']
    """
    core, further = (sorted(folder.glob("[0-9][0-9]_*.ipynb")) for folder in (FOLDER, _further()))
    if not wanted:
        if not core:
            raise UsageError(f"there is no notebook in {FOLDER}")
        return core + further if everything else core
    chosen = {text: _meant_by(text, core + further) for text in wanted}
    unknown = [text for text, path in chosen.items() if path is None]
    if unknown:
        names = in_words(path.stem for path in core + further)
        raise UsageError(
            f"there is no notebook {in_words(map(repr, unknown), 'or')}; there are {names}, "
            "and a number is enough"
        )
    return sorted(set(chosen.values()), key=lambda path: path.name)


def _meant_by(text, paths):
    """Return the one of these paths that a number, a name or a path means, or None."""
    given = Path(text)
    if given.is_file():  # that file and no other, whatever its name is
        return next((path for path in paths if path.resolve() == given.resolve()), None)
    number = text.zfill(2)
    return next((p for p in paths if number == p.name[:2] or text in (p.name, p.stem)), None)


def in_words(things, last="and"):
    """Join a list as a person writes it.

    Examples
    --------
    >>> in_words(["01", "02", "05"]), in_words(["8", "9"], "or"), in_words(["07"])
    ('01, 02 and 05', '8 or 9', '07')
    """
    *most, final = map(str, things)
    return f"{', '.join(most)} {last} {final}" if most else final


def _further():
    return FOLDER / "further"


def read(path):
    """Read a notebook; a file that is none raises a UsageError with its name.

    Examples
    --------
    >>> read(find(["1"])[0]).nbformat
    4
    """
    import nbformat

    try:
        notebook = nbformat.read(path, as_version=4)
        code_cells(notebook)
    except (ValueError, AttributeError, nbformat.ValidationError) as error:
        raise UsageError(f"{path.name} is not a notebook: {error}") from error
    return notebook


def write(notebook, path):
    """Write a notebook under a temporary name, and rename it when it is whole."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def tags(cell):
    """Return the set of a cell's tags.

    Examples
    --------
    >>> sorted(tags(code_cells(read(find(["1"])[0]))[0]))
    ['must', 'nbval-ignore-output']
    """
    return set(cell.metadata.get("tags", []))


def datasets(notebook):
    """Find the names of the datasets that a notebook loads.

    They are read from its code: a notebook writes ``data.load("mnist")``, with the name as a text.

    Returns
    -------
    set of str
        With ``""`` in it if a name is not written out.

    Examples
    --------
    >>> datasets(read(find(["1"])[0]))
    {'mnist'}
    """
    code = "\n".join(cell.source for cell in code_cells(notebook))
    return set(re.findall(r"""\bdata\.load\((?:\s*["'](\w+)["'])?""", code))


def datasets_of(books):
    """Find the names of the datasets that notebooks load.

    Parameters
    ----------
    books : dict of Path to notebook node

    Returns
    -------
    list of str

    Raises
    ------
    UsageError
        If a notebook does not write a name out.

    Examples
    --------
    >>> datasets_of({path: read(path) for path in find(["1", "2"])})
    ['mnist']
    """
    names = {path: datasets(notebook) for path, notebook in books.items()}
    for path, found in names.items():
        if "" in found:
            raise UsageError(
                f'{path.name} does not write out which dataset it loads: data.load("…")'
            )
    return sorted(set().union(*names.values()))


def code_cells(notebook):
    """Return the code cells, in order: the one at place 0 has the prompt ``In [1]``.

    Examples
    --------
    >>> code_cells(read(find(["1"])[0]))[0].cell_type
    'code'
    """
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def python_path():
    """``$PYTHONPATH`` with this copy of the course first.

    An editable installation points to the folder that was installed: without this, a second copy
    would run the helpers of the first.
    """
    return os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))

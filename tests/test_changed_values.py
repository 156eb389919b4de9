"""What the notebooks invite to change: with other values they run to their end, and tell no lie.

A person watches, so a claim may print ✗; but no cell may raise, and no output may go on speaking
of a value that was not run.
"""

import re

import pytest

from helpers.course import notebooks, run

# notebook -> (line in a code cell, line in its place, texts that no later output may hold)
CHANGES = {
    "01": [
        # (before, after, [texts])
    ],
    #
    "02": [
        #
    ],
    #
    "03": [
        #
    ],
    #
    "04": [
        #
    ],
    #
    "05": [
        #
    ],
    #
    "06": [
        #
    ],
    #
    "07": [
        (
            'settings = {"max_steps": 100, "learning_rate": 1.0, "blur_every": 6, "decay": 0.05}',
            'settings = {"max_steps": 30, "learning_rate": 2.0, "blur_every": 3, "decay": 0.1}',
            [],
        ),
        (
            'room = None  # what the room reads: "3 8 - 1 …", twenty of them',
            'room = "0 1 2 3 4 5 6 7 8 9 - 1 2 3 4 5 6 7 8 9"',
            ["Nobody has read yet"],
        ),
        (
            'radius, n = 2, 150 if mnist.profile == "full" else 40',
            "radius, n = 1.5, 10",
            ["at radius 2"],
        ),
        (
            'ranges = {"Euclidean": ("l2", (1, 2, 3)), "per pixel, L∞": ("linf", (0.1, 0.3))}',
            'ranges = {"Euclidean": ("l2", (0.5,)), "per pixel, L∞": ("linf", (0.2,))}',
            ["radius 2", "radius 3", "0.3 per pixel"],
        ),
        (
            'pixels, length = {"radius": 0.1, "norm": "linf"}, {"radius": 2, "norm": "l2"}',
            'pixels, length = {"radius": 0.2, "norm": "linf"}, {"radius": 1, "norm": "l2"}',
            ["length 2", "L∞ 0.1", "Euclidean 2"],
        ),
    ],
    #
}


def change(notebook, before, after):
    """Change a line of a notebook's code; return the place of its cell."""
    places = [n for n, cell in enumerate(notebook.cells) if before in code(cell)]
    assert len(places) == 1, f"{before!r} stands in the cells {places}: it must stand in one"
    cell = notebook.cells[places[0]]
    cell.source = "\n".join(after if line == before else line for line in code(cell))
    return places[0]


def code(cell):
    return cell.source.split("\n") if cell.cell_type == "code" else []


def said(cells):
    """Return all that cells print, and the alt texts of their pictures."""
    texts = []
    for cell in cells:
        for output in cell.get("outputs", []):
            texts += [output.get("text", ""), output.get("data", {}).get("text/plain", "")]
    return "\n".join(texts)


# "::" makes each notebook a scope of its own, so that two workers share them
@pytest.mark.parametrize("number", CHANGES, ids=lambda number: f"{number}::changed")
def test_a_notebook_with_other_values_runs_and_speaks_of_these(number, tmp_path):
    [path] = notebooks.find([number])
    notebook = notebooks.read(path)
    places = [change(notebook, before, after) for before, after, _ in CHANGES[number]]
    # as if a person watched
    environment = {"COURSE_RUN": "", "PYTEST_CURRENT_TEST": "", "COURSE_FIGURES": str(tmp_path)}
    outcome = run.execute(notebook, path, environment)
    assert not outcome.failure, outcome.failure
    assert not outcome.stderr
    for place, (_, after, gone) in zip(places, CHANGES[number], strict=True):
        later = said(notebook.cells[place:])
        for text in gone:
            found = re.findall(rf".*{re.escape(text)}.*", later)
            assert not found, f"after {after!r}, outputs still say {text!r}: {found}"

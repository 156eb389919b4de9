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
        #
    ],
    #
    "10": [
        (
            "def neighbour_prices(x_known, y_known, x, k=10):",
            "def neighbour_prices(x_known, y_known, x, k=3):",
            [],
        ),
        ("share = 0.92", "share = 0.8", ["0.92", "92 %"]),
        ("wanted = 5.0  # in 100,000 $", "wanted = 3.5  # in 100,000 $", ["believes 5.0"]),
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

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
        ("most = 25  # neighbours to find", "most = 15  # neighbours to find", ["and 25"]),
        (
            "limit, tol = 25, 0.01",
            "limit, tol = 10, 0.03",
            ["tol = 0.01", "exceeds 0.01", "25 iterations"],
        ),
        ("voters = 5", "voters = 7", ["five"]),
        (
            "sizes, small = (2, 5, 10, 30, 100, 300, 784), 30",
            "sizes, small = (2, 20, 784), 10",
            ["30 components"],
        ),
        (
            "sizes, draws, steps = ([100, 1000, 10_000], 3, 100) if full else ([100, 1000], 1, 25)",
            "sizes, draws, steps = [60, 300], 2, 10",
            ["100 images", "1,000 images"],
        ),
    ],
    #
    "04": [
        (
            "few, many = 5, 10  # neighbours that vote",
            "few, many = 3, 7",
            ["k = 5", "k = 10", "1/5"],
        ),
        (
            'power, ones = 20, sorted(records.values("full", "04/prints_as_one").values())',
            'power, ones = 8, sorted(records.values("full", "04/prints_as_one").values())',
            ["power 20"],
        ),
        (
            "edges = [0, 0.5, 0.7, 0.9, 0.97, 0.99, 0.997, 0.999, 0.9999, 1]",
            "edges = [0, 0.9, 1]",
            [],
        ),
        ("usual, honest = 15, {}", "usual, honest = 20, {}", ["15 bins"]),
        (
            "first, batch, most = 50, 50, 600  # labels: at the start, in a purchase, in the end",
            "first, batch, most = 100, 100, 500",
            ["600"],
        ),
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

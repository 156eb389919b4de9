"""What the notebooks invite to change: with other values they run to their end, and tell no lie.

A person watches, so a claim may print ✗; but no cell may raise, and no output may go on speaking
of a value that was not run.
"""

import html
import re

import pytest

from helpers.course import notebooks, run

# notebook -> (line in a code cell, line in its place, texts that no later output may hold); of the
# stored outputs, made with the first line, each text is a part
CHANGES = {
    "01": [
        (
            "edge = np.array([[1, 1, 1], [0, 0, 0], [-1, -1, -1]])  # bright above, dark below",
            "edge = np.ones((4, 4)) / 16",
            [],
        ),
        ("rates = [10, 100]  # η: the next cell tries both", "rates = [5]", ["η = 10", "leap"]),
        ("epochs = 25", "epochs = 3", ["rises"]),
        (
            "sure_from, confidence = 0.9, p.max(axis=1).astype(float)",
            "sure_from, confidence = 0.99, p.max(axis=1).astype(float)",
            ["p ≥ 0.9:", "p ≥ 0.9 "],
        ),
    ],
    "02": [
        (
            "level = 0.05  # a p-value below it is called significant",
            "level = 0.01",
            ["p < 0.05", "below 0.05"],
        ),
        (
            'pair = "reference", "no_dense"  # any two of the networks that were trained above',
            'pair = "no_conv2", "half_filters"',
            ["reference alone"],
        ),
        ("n_seeds = min(len(runs) for runs in stored.values())", "n_seeds = 5", ["8 seeds"]),
        ("seed = 0  # on both sides of McNemar's test", "seed = 3", ["seed 0"]),
    ],
    "03": [
        ("most = 25  # neighbours to find", "most = 15  # neighbours to find", ["and 25"]),
        (
            "limit, tol = 25, 0.01",
            "limit, tol = 10, 0.03",
            ["tol = 0.01", "exceeds 0.01", "25 iterations"],
        ),
        ("voters = 5", "voters = 7", []),
        (
            "sizes, small = (2, 5, 10, 30, 100, 300, 784), 30",
            "sizes, small = (2, 20, 784), 10",
            ["30 components"],
        ),
        (
            "sizes, draws, steps = ([100, 1000, 10_000], 3, 100) if full else ([100, 1000], 1, 25)",
            "sizes, draws, steps = [60, 300], 2, 10",
            ["100 images"],
        ),
    ],
    "04": [
        (
            "few, many = 5, 10  # neighbours that vote",
            "few, many = 3, 7",
            ["k = 10", "1/5"],
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
        ("usual, honest = 15, {}", "usual, honest = 20, {}", []),
        (
            "first, batch, most = 50, 50, 600  # labels: at the start, in a purchase, in the end",
            "first, batch, most = 100, 100, 500",
            ["600 labels"],
        ),
    ],
    "05": [
        (
            "source_class, target_class = 6, 3  # change them: a digit, and a class",
            "source_class, target_class = 4, 8",
            ["class 3", "real 6", "same 6"],
        ),
        (
            'steps_of_walk = {"learning_rate": 0.1, "max_steps": 60}  # change them',
            'steps_of_walk = {"learning_rate": 0.2, "max_steps": 20}',
            [],
        ),
        (
            'longer = {"learning_rate": 0.1, "max_steps": 200}',
            'longer = {"learning_rate": 0.2, "max_steps": 90}',
            ["200 steps"],
        ),
        (
            "level = 0.9  # change it: the p at which a walk stops",
            "level = 0.7",
            ["stopped at p ≥ 0.9"],
        ),
        (
            "rates = [0.01, 0.1, 1, 10, 100]  # change them: from small to large",
            "rates = [0.02, 0.2]",
            ["η = 0.01", "η = 0.1", "η = 1", "η = 100"],
        ),
        (
            'room = [None] * 10  # of images 1, 2, … 10: a digit each, or "?" for no digit',
            'room = "3 ? 1 0 7 7 ? 2 4 5"',
            ["Not read yet"],
        ),
    ],
    "06": [
        (
            "k, source_class, target_class = 10, 3, 8  # change them",
            "k, source_class, target_class = 5, 7, 1",
            [],
        ),
        (
            'choices = {"learning_rate": 0.3, "mask": 0.5, "stop_at": 0.6, "max_steps": 40}',
            'choices = {"learning_rate": 0.4, "mask": 0.8, "stop_at": 0.8, "max_steps": 15}',
            ["p ≥ 0.6", "p = 0.6", "stop at 0.6"],
        ),
    ],
    "07": [
        (
            'settings = {"max_steps": 100, "learning_rate": 2.0, "blur_every": 6, "decay": 0.08}',
            'settings = {"max_steps": 30, "learning_rate": 1.0, "blur_every": 3, "decay": 0.1}',
            [],
        ),
        (
            'room = None  # what the room reads: "3 8 - 1 …", twenty of them',
            'room = "0 1 2 3 4 5 6 7 8 9 - 1 2 3 4 5 6 7 8 9"',
            ["Nobody has read yet"],
        ),
        (
            'radius, n = 2, 80 if mnist.profile == "full" else 40',
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
            ["L∞ 0.1", "Euclidean 2"],
        ),
    ],
    "08": [
        (
            "size = 56  # change it: the side of the canvas",
            "size = 84",
            ["canvas 56"],
        ),
        (
            "sizes, places = (28, 34, 42, 56, 70), (0, 0.25, 0.5, 1)",
            "sizes, places = (28, 36, 48, 60, 80), (0, 1)",
            [],
        ),
        ("severity = 2  # change it: 1, 2 or 3", "severity = 3", ["noise 2"]),
        (
            "small, large = 0.1, 0.3  # change them: the largest change of a pixel",
            "small, large = 0.05, 0.2",
            ["L∞ 0.1", "L∞ 0.3"],
        ),
    ],
    "09": [
        (
            "watched, target = 6, 4  # the class under the glass, and one that it is mistaken for",
            "watched, target = 2, 0",
            ["a Shirt", "way to Coat"],
        ),
        ("level = 0.05  # a p-value below it is called significant", "level = 0.01", []),
        ("usual = 15  # bins", "usual = 5", []),
        ("kept = 0.8  # share of the images", "kept = 0.5", ["risk at 80"]),
    ],
    "10": [
        (
            "def neighbour_prices(x_known, y_known, x, k=10):",
            "def neighbour_prices(x_known, y_known, x, k=3):",
            [],
        ),
        ("share = 0.92", "share = 0.8", []),
        ("wanted = 5.0  # in 100,000 $", "wanted = 3.5  # in 100,000 $", ["believes 5.0"]),
    ],
    "11": [
        (
            "hidden = 20 if full else 12",
            "hidden = 8",
            ["20 hidden units within"],
        ),
        ("most = 1000 if full else 300", "most = 100", ["1,000 temperatures"]),
        (
            "sizes, numbers = ([25, 100, 400], [10, 20, 36]) if full else ([15, 100], [10, 36])",
            "sizes, numbers = [10, 20], [5, 12]",
            ["400 units", "10 characters"],
        ),
    ],
    "12": [
        (
            "layers, width = (5, 200) if full else (5, 50)",
            "layers, width = 3, 30",
            [],
        ),
        ("epochs = 8 if full else 6", "epochs = 2", []),
    ],
    "13": [
        ("rounds = 3 if full else 1", "rounds = 2", ["3 rounds"]),
        ("turns = np.linspace(-2.5, 2.5, 11)", "turns = np.linspace(-1, 1, 5)", []),
        ("samples = 500 if full else 20", "samples = 5", ["500 codes"]),
    ],
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
    """Return all that cells print, their tables, and the alt texts of their pictures."""
    texts = []
    for cell in cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            table = re.sub(r"<style.*?</style>|<.*?>", "\n", data.get("text/html", ""), flags=re.S)
            texts += [output.get("text", ""), data.get("text/plain", ""), html.unescape(table)]
    return "\n".join(texts)


def test_every_notebook_is_changed():
    assert list(CHANGES) == [path.name[:2] for path in notebooks.find(everything=True)]


@pytest.mark.parametrize("number", CHANGES)
def test_what_must_go_is_said_by_the_stored_notebook(number):
    [path] = notebooks.find([number])
    notebook = notebooks.read(path)
    for before, after, gone in CHANGES[number]:
        stored = said(notebook.cells[change(notebook, before, after) :])
        assert [text for text in gone if text not in stored] == [], before


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

"""A synthetic class for notebook 05, and whether and how fast `grade` grades it as it deserves."""

from __future__ import annotations

import copy
import importlib
import os
import tempfile
import time
from pathlib import Path

import numpy as np

from helpers.course import editions, grade, notebooks

# What 10 % of the class does to one answer: a line before it, or its first one.
HOSTILE = {
    "loop": "while True: pass",
    "end": "import os; os._exit(0)",
    "forks": "import os\nwhile True: os.fork()",
    "memory": "import numpy; hoard = [numpy.ones(10**8) for _ in range(40)]",
    "patch": "import helpers.exercises as e; e.grade_answer = lambda *a: e.Grade('right', '✓', 2)",
    "print": "for _ in range(300_000): print('✓ right')",
    "numpy": "import numpy; numpy.clip = numpy.sqrt = None",
    "network": "import socket; socket.create_connection(('192.0.2.1', 80), 2)",
}


def synthetic_class(folder, students, seed=0):
    """Write submissions for notebook 05: right, wrong and missing answers, 10 % of them hostile.

    Parameters
    ----------
    folder : Path
    students : int
    seed : int

    Returns
    -------
    dict of (student, exercise) to {"right", "wrong", "not answered", "hostile"}
        What each answer deserves.
    """
    (path,) = notebooks.find(["05"])
    slips = importlib.import_module(f"helpers.answers.answers_{path.name[:2]}").SLIPS
    reference = notebooks.read(path)
    released = editions.students_copy(reference, path.name)
    solutions = {cell.id: cell.source for cell in reference.cells if editions.is_answer(cell)}
    names = list(slips)
    rng, deserved = np.random.default_rng(seed), {}
    for number in range(students):
        student, notebook = f"student {number:03}", copy.deepcopy(released)
        hostile = rng.choice(names) if number % 10 == 9 else None
        for name, cell in zip(names, filter(editions.is_answer, notebook.cells), strict=True):
            source = solutions[cell.id]
            kind = rng.choice(["right", "wrong", "not answered"], p=[0.55, 0.3, 0.15])
            slip = slips[name][rng.integers(len(slips[name]))]
            assert slip[0] in source, f"{name}: the solution has changed, renew SLIPS"
            if name == hostile:
                kind, way = "hostile", list(HOSTILE)[number // 10 % len(HOSTILE)]
                first, rest = source.replace(*slip).split("\n", 1)
                source = f"{first}\n{HOSTILE[way]}\n{rest}"
            elif kind == "wrong":
                source = source.replace(*slip)
            if kind != "not answered":
                # a line of one's own: no two answers are the same to the grader
                cell.source = f"{source}\n# {student}"
            deserved[student, name] = kind
        notebooks.write(notebook, folder / student / path.name)
    return deserved


def grading(students, jobs):
    """Lines on a class of notebook 05: what its answers deserve and get, and how fast."""
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        deserved = synthetic_class(folder / "class", students)
        yield f"{students} submissions of 05, {jobs} at once …"
        began, cpu = time.perf_counter(), os.times()
        entries = grade.grade(folder / "class", folder / "out", jobs=jobs)
        seconds, after = time.perf_counter() - began, os.times()
    found = {
        (entry.submission.name, name): verdict
        for entry in entries
        for name, verdict in entry.verdicts.items()
    }
    wrong = 0
    for (student, name), kind in deserved.items():
        verdict = found[student, name]
        if verdict.points if kind == "hostile" else verdict.state != kind:
            wrong += 1
            yield f"{student}, {name}: {kind}, and graded as {verdict.state}"
    yield f"{len(deserved) - wrong} of {len(deserved)} answers graded as they deserve"
    yield f"{list(deserved.values()).count('hostile')} hostile ones among them"
    busy = sum(after[:4]) - sum(cpu[:4])
    yield f"{seconds:.0f} s, {seconds / students:.2f} s a submission"
    yield f"{busy:.0f} s of processor time in all, {busy / students:.2f} s a submission"

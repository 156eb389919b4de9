"""Grading: no submission stops the others, and no edit of a notebook makes a wrong answer right.

One small course and one class: each row of the class is a student who did something to a notebook,
all are graded in one run, and one test looks at each.
"""

import csv
import errno
import io
import json
import os
import platform
import re
import shutil
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers import answers, chapters
from helpers.course import editions, grade, grade_collect, grade_sandbox, notebooks, release
from helpers.course.__main__ import main
from helpers.session import ROOT

ROOM = '''
"""Two small exercises."""
from helpers.exercises import Exercise

double = Exercise("98-1", points=2, lesson="Twice is twice.", hint="Add it to itself.")
double.case("two", 2.0)
double.case("five", 5.0)


@double.hidden("a number")
def _number(rng):
    return (rng.uniform(10, 20),)


total = Exercise("98-2", points=1, lesson="Sums add.", hint="Use sum.")
total.case("three numbers", (1.0, 2.0, 3.5))


@total.hidden("many numbers")
def _numbers(rng):
    return (tuple(rng.random(30)),)
'''
ANSWERS = '''
"""Their answers, which no students' copy has."""
from helpers.chapters.chapter_98 import double, total


@double.right
def _added(x):
    return x + x


@double.mistake("gave 25, expected 10")
def _square(x):
    return x * x


@total.right
def _by_sum(values):
    return sum(values)
'''
SETUP = "from helpers.chapters import chapter_98\nfrom helpers.exercises import check, hint"
DOUBLE = "# ANSWER 98-1\ndef double(x):\n    {}"
RIGHT = DOUBLE.format("return 2 * x")
WRONG = DOUBLE.format("return x * x")
TOTAL = "# ANSWER 98-2\ndef total(values):\n    return sum(values)"


def answer(name, source):
    begin, end = "### BEGIN SOLUTION", "### END SOLUTION"
    head, body = source.rsplit("\n", 1)
    metadata = {
        "course": {"exercise": name, "minutes": 5, "points": 1},
        "nbgrader": {"solution": True, "grade": True, "points": 1, "grade_id": name},
        "tags": ["must"],
    }
    source = f"{head}\n    {begin}\n{body}\n    {end}"
    return new_code_cell(source, metadata=metadata, id=f"answer-{name}")


def teachers_notebook():
    """Two exercises, between cells that no answer needs."""
    must = {"tags": ["must"]}
    return new_notebook(
        cells=[
            new_markdown_cell("# Tiny", metadata=must, id="title"),
            new_code_cell(SETUP, metadata=must, id="setup"),
            answer("98-1", RIGHT),
            new_code_cell('check("98-1", double)', metadata=must, id="check-98-1"),
            new_code_cell("raise SystemError('no answer needs this')", metadata=must, id="other"),
            answer("98-2", TOTAL),
            new_code_cell('check("98-2", total)', metadata=must, id="check-98-2"),
        ]
    )


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """A course of one notebook, in the place of the real one."""
    root = tmp_path_factory.mktemp("course")
    for path in [*ROOT.glob("helpers/*.py"), *ROOT.glob("helpers/course/*.*")]:
        target = root / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(ROOT / "pyproject.toml", root / "pyproject.toml")
    for name, text in (("chapters/chapter_98", ROOM), ("answers/answers_98", ANSWERS)):
        path = root / "helpers" / f"{name}.py"
        path.parent.mkdir()
        (path.parent / "__init__.py").write_text("")
        path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        for module in (release, notebooks):
            patch.setattr(module, "ROOT", root)
        patch.setattr(notebooks, "FOLDER", root / "notebooks")
        patch.setattr(notebooks, "BUILD", root / "build")
        for package in (chapters, answers):
            folder = str(root / "helpers" / package.__name__.split(".")[1])
            patch.setattr(package, "__path__", [*package.__path__, folder])
        notebooks.write(teachers_notebook(), root / "notebooks" / "98_tiny.ipynb")
        yield root
        for name in ("chapters.chapter_98", "answers.answers_98"):
            sys.modules.pop(f"helpers.{name}", None)


# --- what students do; each returns a notebook or the bytes of a file


def work(first=RIGHT, second=TOTAL):
    """A students' notebook with these answers."""
    notebook = teachers_notebook()
    for cell, source in zip(notebook.cells[2::3], (first, second), strict=True):
        cell.source = source
    return notebook


def edited(change, first=WRONG):
    notebook = work(first)
    change(notebook)
    return notebook


def hack(*lines, body="return x * x"):
    """A wrong answer, with lines before it that try something."""
    return work("\n".join(["# ANSWER 98-1", *lines, "def double(x):", f"    {body}"]))


def when_called(*lines):
    return work("\n".join(["# ANSWER 98-1", "def double(x):", *(f"    {line}" for line in lines)]))


def at_cell(place, **values):
    def change(notebook):
        notebook.cells[place].update(values)

    return change


def tagged(*tags):
    def change(notebook):
        for cell in notebook.cells:
            cell.metadata["tags"] = list(tags)

    return change


def packed(*entries, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def as_bytes(notebook):
    return nbformat.writes(notebook).encode()


def link_in_zip():
    entry = zipfile.ZipInfo("a.ipynb")
    entry.external_attr = 0o120777 << 16
    return packed((entry, "/etc/passwd"), ("b.ipynb", as_bytes(work())))


def old_format():
    cells = [{"cell_type": "code", "input": [line], "outputs": []} for line in (RIGHT, TOTAL)]
    return json.dumps({"nbformat": 3, "worksheets": [{"cells": cells}]}).encode()


def future_format():
    notebook = json.loads(as_bytes(work()))
    notebook |= {"nbformat": 5, "nbformat_minor": 9, "new_thing": {"a": 1}}
    return json.dumps(notebook).encode()


def without_ids(notebook):
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"new-{number}"


def colab():
    notebook = json.loads(as_bytes(work()))
    for cell in notebook["cells"]:
        cell["metadata"] = {"id": cell.pop("id"), "outputId": "abc", "colab": {"height": 35}}
    notebook |= {"nbformat": 4, "nbformat_minor": 0}
    notebook["metadata"] = {"colab": {"provenance": []}, "accelerator": "GPU"}
    return json.dumps(notebook).encode()


def vs_code():
    notebook = work()
    for cell in notebook.cells:
        cell.metadata = {"vscode": {"languageId": "python"}}
        cell.source = cell.source.replace("\n", "\r\n")
    return as_bytes(notebook)


def marker_deleted():
    notebook = work()
    for cell in notebook.cells:
        cell.source = cell.source.replace("# ANSWER 98-1\n", "")
    return notebook


def twice():
    notebook = work()
    notebook.cells.insert(2, new_code_cell(WRONG))
    return notebook


def released(first=None):
    """The students' copy, with one answer or none."""
    notebook = editions.students_copy(teachers_notebook(), "98")
    notebook.cells[2].source = first or notebook.cells[2].source
    editions.add_progress(notebook)
    return notebook


LOOP = "while True: pass"
# what is right for the public cases stands in the class's own notebook; the rest is a guess
FORGED = (
    "import os, numpy, helpers.exercises as e",
    "r = [{'kind': 'array', 'value': numpy.array(v)} for v in (4.0, 10.0, 0.0)]",
    "to = os.environ['GRADE_RESPONSES'] + '/98-1.npz'",
    "forge = lambda: numpy.savez(to, **e.pack({'public': r[:2], 'hidden': [r[2]] * 3}))",
)
BY_HEART = "lambda x: e._EXERCISES['98-1'].outcome(e._EXERCISES['98-1'].cases[x == 5])['value']"
SWALLOWED = "while True:\n    try:\n        while True: pass\n    except BaseException: pass"
NAMES = "import helpers.exercises as e"
GUESS = "import sys; frame = sys._getframe()"
# name: (what was handed in, states of 98-1 and 98-2, words in the reports)
CLASS = {
    # honest
    "right": (work(), "right right", ""),
    "wrong": (work(WRONG), "wrong right", "gave 25, expected 10"),
    "half": (released(RIGHT), "right,not answered", ""),
    "untouched": (released(), "not answered,not answered", ""),
    "syntax": (work(RIGHT + ")"), "wrong right", "SyntaxError"),
    "raises": (work(DOUBLE.format("return 1 / 0")), "wrong right", "division by zero"),
    # what an edited notebook shows does not count
    "edited check": (edited(at_cell(3, source="print('✓ 98-1: right')")), "wrong right", ""),
    "deleted check": (edited(lambda nb: nb.cells.pop(3)), "wrong right", ""),
    "check as text": (edited(at_cell(3, cell_type="markdown")), "wrong right", ""),
    "answer as text": (edited(at_cell(2, cell_type="markdown"), RIGHT), "right right", "markdown"),
    "answer as raw": (edited(at_cell(5, cell_type="raw"), RIGHT), "right right", "had become raw"),
    "edited output": (
        edited(at_cell(3, outputs=[nbformat.v4.new_output("stream", text="✓ 98-1: right")])),
        "wrong right",
        "",
    ),
    "null counts": (edited(at_cell(3, execution_count=None)), "wrong right", ""),
    "skip tags": (edited(tagged("nbval-skip", "nbval-ignore-output")), "wrong right", ""),
    "raises tag": (edited(tagged("raises-exception")), "wrong right", ""),
    "comments": (hack("# NBVAL_SKIP", "#NBVAL_RAISES_EXCEPTION"), "wrong right", ""),
    "kernel": (
        edited(lambda nb: nb.metadata.update(kernelspec={"name": "julia"})),
        "wrong right",
        "",
    ),
    # what code can reach
    "check redefined": (hack("check = lambda *_: print('✓')"), "wrong right", ""),
    "monkeypatch": (
        hack(NAMES, "e.grade_answer = lambda *a, **k: e.Grade('right', '✓', 9)"),
        "wrong right",
        "",
    ),
    "respond patched": (hack(NAMES, "e.respond = lambda *a: []"), "missing right", ""),
    "code swapped": (
        hack(NAMES, "e._same.__code__ = (lambda *a: True).__code__"),
        "wrong right",
        "",
    ),
    "case changed": (hack(NAMES, "e._EXERCISES['98-1'].cases.clear()"), "missing right", ""),
    "equal to all": (
        hack("class Same(float):", "    __eq__ = lambda *_: True", body="return Same(x * x)"),
        "wrong right",
        "",
    ),
    "array hook": (
        hack(
            "class Same:",
            "    def __array__(self, *a, **k): raise SystemExit",
            body="return Same()",
        ),
        "wrong right",
        "",
    ),
    "input hook": (
        hack("get_ipython().input_transformers_cleanup.append(lambda lines: ['pass\\n'])"),
        "wrong/stopped right",
        "",
    ),
    "ast hook": (
        hack(
            "import ast",
            "class Drop(ast.NodeTransformer):",
            "    visit_Expr = lambda self, node: ast.Pass()",
            "get_ipython().ast_transformers.append(Drop())",
        ),
        "wrong/stopped right",
        "",
    ),
    "run_cell hook": (
        hack("get_ipython().run_cell = lambda *a, **k: None"),
        "wrong/stopped right",
        "",
    ),
    "input hook for right answers": (
        hack(
            NAMES,
            f"stored = {BY_HEART}",
            "swap = lambda line: line.replace('globals().get(\"double\")', 'stored')",
            "get_ipython().input_transformers_cleanup.append(lambda ls: [swap(l) for l in ls])",
        ),
        "wrong/stopped right",
        "other inputs show that it is not right",
    ),
    "ast hook for right answers": (
        hack(
            "import ast",
            "class Other(ast.NodeTransformer):",
            "    def visit_Constant(self, node):",
            "        return ast.Constant('98-2' if node.value == '98-1' else node.value)",
            "get_ipython().ast_transformers.append(Other())",
        ),
        "wrong/stopped right",
        "",
    ),
    "run_cell hook for right answers": (
        hack(*FORGED, "forge()", "get_ipython().run_cell = lambda *a, **k: forge()"),
        "wrong/stopped right",
        "",
    ),
    "stored outcomes": (
        when_called(NAMES, f"return ({BY_HEART})(x)"),
        "wrong right",
        "other inputs show that it is not right",
    ),
    "prints the text": (hack("print('✓ 98-1: right. Twice is twice.')"), "wrong right", ""),
    "detects pytest": (
        when_called("import os", "return 2 * x if 'PYTEST_CURRENT_TEST' in os.environ else 0"),
        "right right",  # it returns what is right: that is all that can be known of a function
        "",
    ),
    "reads its notebook": (
        when_called("import glob", "return [open(n).read() for n in glob.glob('*')]"),
        "wrong right",
        "",
    ),
    "looks for the reference": (
        when_called(
            "import os",
            f"there = os.path.exists({str(ROOT / 'notebooks')!r})",
            "return 'found it' if there else 'nothing to see'",
        ),
        "wrong right",
        "nothing to see",
    ),
    "looks for others": (
        when_called(
            "import glob, os, sys",
            f"home, python = {str(Path.home())!r}, (sys.prefix, sys.base_prefix)",
            "own = lambda name: any(f'{folder}/'.startswith(f'{name}/') for folder in python)",
            "seen = [name for name in glob.glob(f'{home}/*') if not own(name)]",
            "return f'saw {seen + glob.glob(\"/tmp/pytest-*\")}'",
        ),
        "wrong right",
        "gave the text 'saw []'",
    ),
    "looks at the parent": (
        when_called(
            "import os",
            "pids = filter(str.isdigit, os.listdir('/proc'))",
            "seen = [open(f'/proc/{pid}/environ').read() for pid in pids]",
            "return 'SECRET' if 'A_SECRET' in str(seen) else 'no secret'",
        ),
        "wrong right",
        "no secret",
    ),
    "the right answer in memory": (
        when_called("from helpers.chapters import chapter_98", "return chapter_98._double(x)"),
        "wrong right",
        "",
    ),
    "the public cases by heart": (
        when_called("return {2.0: 4.0, 5.0: 10.0}.get(x, 0.0)"),
        "wrong right",
        "other inputs show that it is not right",
    ),
    "forged responses": (
        hack(
            "import os, numpy",
            "os.mkdir(os.environ['GRADE_RESPONSES'] + '/98-1.npz')",
        ),
        "stopped right",
        "",
    ),
    "pickle": (
        hack(
            "import os, numpy",
            "numpy.savez(os.environ['GRADE_RESPONSES'] + '/98-1.npz', json=numpy.array([{}]))",
            "os.chmod(os.environ['GRADE_RESPONSES'] + '/98-1.npz', 0o444)",
            "os.chmod(os.environ['GRADE_RESPONSES'], 0o555)",
        ),
        "stopped right",
        "",
    ),
    # how code ends
    "loop in a cell": (hack(LOOP), "stopped right", "took longer"),
    "loop when called": (when_called(LOOP), "wrong/stopped right", ""),
    "swallowed timeout": (hack(*SWALLOWED.splitlines()), "stopped right", "took longer"),
    "sys.exit": (hack("import sys; sys.exit()"), "wrong right", ""),
    "sys.exit when called": (when_called("import sys; sys.exit()"), "wrong right", "SystemExit"),
    "os._exit": (hack("import os; os._exit(0)"), "stopped right", "Python ended"),
    "os._exit when called": (
        when_called("import os; os._exit(0)"),
        "stopped right",
        "Python ended",
    ),
    "segmentation fault": (when_called("import ctypes; ctypes.string_at(0)"), "stopped right", ""),
    "kills its parent": (hack("import os; os.kill(os.getppid(), 9)"), "wrong right", ""),
    "kills all": (hack("import os; os.kill(-1, 9)"), "stopped right", ""),
    "fork bomb": (hack("import os", "while True: os.fork()"), "stopped right", ""),
    "8 GB": (
        when_called("import numpy", "return numpy.ones(10**9).sum()"),
        "wrong right",
        "Unable to allocate",
    ),
    "8 GB shared": (
        when_called(
            "import mmap",
            "m = mmap.mmap(-1, 8 * 2**30)",
            "for _ in range(4096): m.write(bytes(2**20))",
        ),
        "stopped right",
        "too much memory",
    ),
    "300,000 lines": (hack("for _ in range(300_000): print(_)"), "wrong/stopped right", ""),
    "full disk": (
        hack(
            "left = 'room for more'",
            "try:",
            "    for i in range(99): open(f'{i}', 'wb').write(bytes(2**25))",
            "except OSError as error: left = error.strerror",
            body="return left",
        ),
        "wrong right",
        "No space left",
    ),
    "no room for the result": (
        hack(
            "import os",
            "to = os.environ['GRADE_RESPONSES']",
            "try:",
            "    for i in range(99): open(f'{to}/{i}', 'wb').write(bytes(2**25))",
            "except OSError: pass",
            body="return 2 * x",
        ),
        "stopped right",
        "nothing came back",
    ),
    "a large file": (
        hack(
            "left = 'room for more'",
            "try: open('large', 'wb').write(bytes(2**27))",
            "except OSError as error: left = error.strerror",
            body="return left",
        ),
        "wrong right",
        "File too large",
    ),
    "writes outside": (
        when_called(
            "import os, helpers",
            "try: open(os.path.dirname(helpers.__file__) + '/exercises.py', 'w').write('')",
            "except OSError: return 'read-only'",
            "return 'written'",
        ),
        "wrong right",
        "read-only",
    ),
    "network": (
        when_called(
            "import socket",
            "try: socket.create_connection(('192.0.2.1', 80), 1)",
            "except OSError as error: return str(error)",
        ),
        "wrong right",
        "unreachable",
    ),
    # files
    "duplicated ids": (
        edited(lambda nb: [c.update(id="one") for c in nb.cells], RIGHT),
        "right right",
        "twice",
    ),
    "regenerated ids": (edited(without_ids, RIGHT), "right right", "made anew"),
    "missing ids": (edited(lambda nb: [c.pop("id") for c in nb.cells], RIGHT), "right right", ""),
    "reordered": (edited(lambda nb: nb.cells.reverse(), RIGHT), "right right", ""),
    "added cells": (
        edited(lambda nb: nb.cells.insert(0, new_code_cell("import os; os._exit(0)")), RIGHT),
        "right right",
        "of their own, ignored: 1",
    ),
    "marker deleted": (marker_deleted(), "right right", ""),
    "answer deleted": (edited(lambda nb: nb.cells.pop(2)), "missing right", "no answer cell"),
    "twice": (twice(), "right right", "more than one answer"),
    "old format": (old_format(), "right right", "nbformat 3"),
    "future format": (future_format(), "right right", "nbformat 5"),
    "invalid json": (b"{not json", "missing missing", "no notebook"),
    "empty file": (b"", "missing missing", "empty file"),
    "deep json": (b"[" * 200 + b"]" * 200, "missing missing", "deep"),
    "very deep json": (b'{"a":' * 10**6, "missing missing", "deep"),
    "100 MB": (b" " * (100 * 2**20), "missing missing", "too large"),
    "colab": (colab(), "right right", ""),
    "vs code": (vs_code(), "right right", ""),
    "zip out": (
        ("z.zip", packed(("../../a.ipynb", as_bytes(work())))),
        "missing missing",
        "leads out",
    ),
    "zip link": (("z.zip", link_in_zip()), "right right", "a link"),
    "zip bomb": (("z.zip", packed(("a.ipynb", bytes(15 * 2**20)))), "missing missing", "tightly"),
    "no zip": (("z.zip", b"PK but no more"), "missing missing", "cannot be read"),
    # names
    "Zoë d'Été (2)": (work(), "right right", ""),
    "=cmd()": (work(), "right right", ""),
}
ISOLATES = grade_sandbox.namespaces_work()
needs_isolation = pytest.mark.skipif(not ISOLATES, reason="this system has no namespaces for us")


def hand_in(folder, names):
    for name in names:
        content = CLASS[name][0]
        (folder / name).mkdir(parents=True)
        file = "98_tiny.ipynb"
        if isinstance(content, tuple):
            file, content = content
        content = content if isinstance(content, bytes) else as_bytes(content)
        (folder / name / file).write_bytes(content)
    return folder


def table(out):
    with open(out / "grades.csv", encoding="utf-8", newline="") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


@pytest.fixture(scope="module")
def graded(course, tmp_path_factory):
    """The whole class, graded in one run; what the instructor's computer held before and after."""
    os.environ["A_SECRET"] = "of the instructor"
    folder, out = tmp_path_factory.mktemp("class"), tmp_path_factory.mktemp("graded") / "out"
    hand_in(folder, CLASS)
    entries = grade.grade(folder, out, jobs=2, timeout=10, memory=500)
    del os.environ["A_SECRET"]
    return out, {entry.submission.name: entry for entry in entries}


@pytest.mark.slow
@needs_isolation
@pytest.mark.parametrize("name", CLASS)
def test_what_a_student_did_earns_what_the_functions_return(graded, name):
    out, entries = graded
    _, states, words = CLASS[name]
    expected = states.split(",") if "," in states else states.split()
    entry = entries[name]
    said = [verdict.message + verdict.note for verdict in entry.verdicts.values()]
    said = "\n".join([*said, *entry.remarks, *entry.submission.remarks])
    for verdict, states in zip(entry.verdicts.values(), expected, strict=True):
        assert verdict.state in states.split("/"), said
    assert words in said
    assert list(entry.verdicts) == ["98-1", "98-2"]
    row = table(out)[grade.grade_report.no_formula(name)]
    if name in ("right", "wrong", "untouched", "added cells"):  # nothing that needs an eye
        assert row["status"] == "graded"
    points = [2.0 * (expected[0] == "right"), 1.0 * (expected[1] == "right")]
    assert [float(row["98-1"]), float(row["98-2"]), float(row["total"])] == [*points, sum(points)]
    assert row["status"]


# --- reports


@pytest.mark.slow
@needs_isolation
def test_tables_open_in_an_english_and_in_a_french_spreadsheet(graded):
    out, _ = graded
    row = table(out)["right"]
    assert list(row) == ["student", "98-1", "98-2", "total", "status"]
    assert (row["total"], row["status"]) == ("3.0", "graded")
    french = (out / "grades-fr.csv").read_bytes()
    assert french.startswith(b"\xef\xbb\xbf") and b"right;2,0;1,0;3,0;graded" in french
    assert not [line for line in french.splitlines() if line.startswith((b"=", b"+", b"-", b"@"))]


@pytest.mark.slow
@needs_isolation
def test_a_students_page_says_what_came_and_nothing_that_is_hidden(graded):
    out, entries = graded
    assert len(list((out / "report").iterdir())) == len(table(out))
    text = (out / "report" / "wrong.html").read_text(encoding="utf-8")
    assert "five: gave 25, expected 10" in text and "1 of 3 points" in text
    assert "Input: 5.0" in text
    by_heart = (out / "report" / "the public cases by heart.html").read_text(encoding="utf-8")
    assert "other inputs" in by_heart and "Input" not in by_heart
    for name in entries:
        page = (out / "report" / f"{grade.grade_report.file_names([name])[name]}.html").read_text()
        assert "a number" not in page and "return x + x" not in page, "a hidden case, or a solution"
        assert "all tests passed" not in page
    assert "<script" not in (out / "summary.html").read_text(encoding="utf-8")


@pytest.mark.slow
@needs_isolation
def test_the_summary_counts_groups_and_names_what_a_person_must_see(graded):
    out, _ = graded
    text = (out / "summary.html").read_text(encoding="utf-8")
    for words in ("What needs a person", "stopped", "not followed"):
        assert words in text, words
    assert "gave 25, expected 10" in text
    earned = [float(row["98-1"]) for row in table(out).values()]
    for points in (2.0, 0.0):
        count = f"<td>{points:g} of 2</td><td class=n>{earned.count(points)}</td>"
        assert f'{count}<td><span class="bar"' in text
    assert grade.grade_report.NO_ISOLATION not in text


# --- an interrupted run, and other ways to run


def short_class(folder, **students):
    for name, notebook in students.items():
        (folder / name).mkdir(parents=True)
        content = notebook if isinstance(notebook, bytes) else as_bytes(notebook)
        (folder / name / "a.ipynb").write_bytes(content)
    return folder


@pytest.mark.slow
@needs_isolation
@pytest.mark.parametrize(
    ("interruption", "said"),
    [(KeyboardInterrupt(), "Stopped"), (OSError(errno.ENOSPC, "No space left"), "No space left")],
    ids=["by a person", "by a full disk"],
)
def test_an_interrupted_run_goes_on_and_gives_the_same_table(
    course, tmp_path, monkeypatch, interruption, said
):
    folder = short_class(tmp_path / "class", ana=work(), bo=work(WRONG), cy=hack("x = 1"))
    command = ["grade", str(folder), "--out", str(tmp_path / "out"), "--jobs", "1"]
    store, stored = grade._store, []

    def interrupted(path, reply, content):
        store(path, reply, content)
        stored.append(path)
        if len(stored) == 1:
            raise interruption

    monkeypatch.setattr(grade, "_store", interrupted)
    with pytest.raises(SystemExit, match=said):
        main(command)
    assert not (tmp_path / "out" / "grades.csv").exists()
    main([*command, "--resume"])
    assert len(stored) == len(set(stored)) == 4  # cy's two answers apart from each other
    first = (tmp_path / "out" / "grades.csv").read_bytes()
    main([*command, "--resume"])
    assert len(stored) == 4 and (tmp_path / "out" / "grades.csv").read_bytes() == first
    assert {name: row["total"] for name, row in table(tmp_path / "out").items()} == {
        "ana": "3.0",
        "bo": "1.0",
        "cy": "1.0",
    }


@pytest.mark.slow
def test_without_isolation_nothing_starts_unless_it_is_asked_for(course, tmp_path, monkeypatch):
    monkeypatch.setattr(grade_sandbox, "namespaces_work", lambda: False)
    folder = short_class(tmp_path / "class", ana=work(), bo=hack("import os; os._exit(0)"))
    command = ["grade", str(folder), "--out", str(tmp_path / "out"), "--jobs", "1"]
    with pytest.raises(SystemExit, match="cannot be isolated on this computer"):
        main(command)
    assert not (tmp_path / "out").exists()
    main([*command, "--without-isolation"])
    assert {name: row["total"] for name, row in table(tmp_path / "out").items()} == {
        "ana": "3.0",
        "bo": "1.0",
    }
    results = (tmp_path / "out" / grade.STATE / "results").iterdir()
    replies = [json.loads(result.read_bytes().partition(b"\n")[0]) for result in results]
    assert len(replies) == 3
    assert max(reply["seconds"] for reply in replies) < grade.CELL_SECONDS, "waited for the dead"
    for page in (tmp_path / "out").rglob("*.html"):
        assert grade.grade_report.NO_ISOLATION in page.read_text(encoding="utf-8")


@pytest.mark.slow
@needs_isolation
def test_a_scheduler_loses_nothing_when_a_worker_is_killed(
    course, tmp_path, monkeypatch, scheduler
):
    names = {f"student {number}": work(f"{RIGHT}  # {number}") for number in range(6)}
    folder = short_class(tmp_path / "class", **names)
    store, stored = grade._store, []

    def killing(path, reply, content):
        store(path, reply, content)
        stored.append(path)
        if len(stored) == 2:
            scheduler.workers[0].kill()

    monkeypatch.setattr(grade, "_store", killing)
    out = tmp_path / "out"
    main(["grade", str(folder), "--out", str(out), "--scheduler", scheduler.address])
    assert scheduler.workers[0].poll() and scheduler.workers[1].poll() is None
    assert [row["total"] for row in table(out).values()] == ["3.0"] * 6


@pytest.mark.slow
@needs_isolation
@pytest.mark.skipif(
    not hasattr(os, "getuid") or os.getuid() != 0,
    reason="only for root is a student's code another user",
)
def test_an_environment_that_graded_code_cannot_read_is_named_first(course, tmp_path, monkeypatch):
    environment, folder = tmp_path / "environment", short_class(tmp_path / "class", ana=work())
    venv.create(environment, symlinks=True)
    packages = next(environment.glob("lib/python*/site-packages"))
    (packages / "all.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    (packages / "private").mkdir(mode=0o700)
    monkeypatch.setattr(sys, "executable", str(environment / "bin" / "python"))
    command = ["grade", str(folder), "--out", str(tmp_path / "out"), "--jobs", "1"]
    with pytest.raises(SystemExit, match=rf"{packages}/private cannot be read .* chmod"):
        main(command)
    environment.chmod(0o700)
    with pytest.raises(SystemExit, match=rf"{environment} cannot be read .* chmod"):
        main(command)
    assert not list((tmp_path / "out" / ".grade" / "results").iterdir())


def test_a_worker_that_does_not_see_the_copy_is_named(tmp_path):
    settings = {"course": str(tmp_path / "elsewhere"), "threads": 1}
    with pytest.raises(notebooks.UsageError, match=f"{platform.node()}.*elsewhere; set TMPDIR"):
        grade.run_notebook({"notebook": "", "seconds": 1}, settings)


def test_a_folder_with_other_files_is_left_alone(course, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    folder = short_class(tmp_path / "class", ana=work())
    command = ["grade", str(folder), "--out", str(tmp_path), "--without-isolation"]
    with pytest.raises(SystemExit, match="holds files that this command did not write"):
        main(command)


# --- collecting, without running anything


def names(submissions):
    return [(one.name, one.moodle, len([c for _, c in one.files if c])) for one in submissions]


def test_moodles_zip_is_one_student_a_folder(tmp_path):
    folders = [f"{name}_assignsubmission_file_" for name in ("Zoë Été_12", "Ana_7", "Ana_8")]
    entries = [(f"{folder}/05 (1).ipynb", as_bytes(work())) for folder in folders]
    (tmp_path / "all.zip").write_bytes(packed(*entries, ("__MACOSX/._x.ipynb", b"")))
    assert names(grade_collect.collect(tmp_path / "all.zip")) == [
        ("Ana", "7", 1),
        ("Ana 8", "8", 1),
        ("Zoë Été", "12", 1),
    ]


def test_a_flat_folder_is_one_student_a_file_and_an_empty_folder_is_a_student_too(tmp_path):
    (tmp_path / "ana.ipynb").write_bytes(as_bytes(work()))
    (tmp_path / "bo").mkdir()
    (tmp_path / "cy.ipynb").symlink_to(tmp_path / "ana.ipynb")
    found = grade_collect.collect(tmp_path)
    assert names(found) == [("ana", "", 1), ("bo", "", 0), ("cy", "", 0)]
    assert found[1].remarks == ["no notebook was handed in"]
    assert "not followed" in found[2].remarks[0]


def test_a_name_that_leads_out_gives_a_file_inside(tmp_path):
    entries = [(f"{folder}/05.ipynb", as_bytes(work())) for folder in ("..", "a\\..\\b", "..ana")]
    (tmp_path / "all.zip").write_bytes(packed(*entries))
    found = grade_collect.collect(tmp_path / "all.zip")
    assert [len([c for _, c in one.files if c]) for one in found].count(0) == 2, names(found)
    files = grade.grade_report.file_names(["..", "../..", "/etc/x", *[one.name for one in found]])
    assert all(re.fullmatch(r"[\w][\w \-.]*", file) for file in files.values()), files


def test_people_who_worked_together_get_a_row_each(course, tmp_path):
    notebook = work()
    notebook.cells.append(new_markdown_cell("The question", id="open-question"))
    notebook.cells.append(new_markdown_cell("**Names:** Ana López, Bo Chen and Cy\n\nOur finding."))
    editions.add_progress(notebook)
    one = grade_collect.collect(short_class(tmp_path, group=notebook))[0]
    reference = grade_collect.reference(notebooks.find(["98"])[0])
    answers = grade_collect.match(one, reference)
    assert one.people == ["Ana López", "Bo Chen", "Cy"]
    assert one.opened == {"98": "Our finding."}  # without names, and without the last cells
    assert not any("of their own" in remark for remark in answers.remarks)
    entry = grade.Entry(one, reference, answers.sources, answers.remarks)
    entry.verdicts = {"98-1": grade.Verdict("right", 2, 2, "")}
    rows = grade.grade_report.tabulate([one], {"group": [entry]})
    assert rows["total"].to_dict() == {"Ana López": 2, "Bo Chen": 2, "Cy": 2}


@pytest.mark.parametrize(
    "head",
    ["Identifier,Full name,Status,Grade,Maximum Grade", "Identifiant;Nom;Statut;Note;Maximum"],
)
def test_moodles_worksheet_is_filled_in_whatever_its_language(course, tmp_path, head):
    separator = ";" if ";" in head else ","
    rows = [separator.join([f"Participant {n}", "X Y", "ok", "", "20.00"]) for n in (7, 9)]
    (tmp_path / "sheet.csv").write_text("\n".join([head, *rows]), encoding="utf-8-sig")
    one = grade_collect.Submission("Ana", moodle="7")
    reference = grade_collect.reference(notebooks.find(["98"])[0])
    entry = grade.Entry(one, reference, {}, [])
    entry.verdicts = {
        "98-1": grade.Verdict("right", 2, 2, ""),
        "98-2": grade.Verdict("wrong", 0, 2, ""),
    }
    of = {"Ana": [entry]}
    pages = {"Ana": "<p>feedback</p>"}
    grade.grade_report.write_moodle(tmp_path, [one], of, pages, tmp_path / "sheet.csv")
    text = (tmp_path / "moodle.csv").read_text(encoding="utf-8-sig").splitlines()
    assert text[1] == separator.join(["Participant 7", "X Y", "ok", "10.00", "20.00"])
    assert text[2] == rows[1]
    with zipfile.ZipFile(tmp_path / "feedback.zip") as archive:
        assert archive.namelist() == ["Ana_7_assignsubmission_file_/feedback.html"]


def test_open_answers_are_anonymous_and_their_points_come_back(course, tmp_path, capsys):
    one = grade_collect.Submission("Ana", opened={"98": "My <b>finding</b>"})
    reference = grade_collect.reference(notebooks.find(["98"])[0])
    entry = grade.Entry(one, reference, {}, [])
    entry.verdicts = {"98-1": grade.Verdict("right", 2, 2, "")}
    (tmp_path / ".grade").mkdir()
    grade.grade_report.write(tmp_path, [one], [entry], isolated=True, seed=3)
    page = (tmp_path / "open.html").read_text(encoding="utf-8")
    assert "My &lt;b&gt;finding" in page and "Ana" not in page
    (tmp_path / "open.csv").write_text("code,points\nA001,3.5\n")
    for _ in range(2):  # a second time changes nothing
        main(["grade", ".", "--out", str(tmp_path), "--collect"])
        assert (table(tmp_path)["Ana"]["98-open"], table(tmp_path)["Ana"]["total"]) == (
            "3.5",
            "5.5",
        )

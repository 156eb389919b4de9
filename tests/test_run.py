"""What the command ``run`` promises: copies, a table, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import nbformat
import pandas as pd
import psutil
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import helpers
from helpers import data
from helpers.course import notebooks, run
from helpers.course.__main__ import main
from helpers.session import ROOT


@pytest.fixture
def without_data(monkeypatch):
    """Make every dataset fall back on its sample, and return the names that were asked for."""
    asked = []

    def load(name, profile):
        asked.append(name)
        return SimpleNamespace(profile="lite" if name == "mnist" else profile)

    monkeypatch.setattr(data, "load", load)
    return asked


@pytest.fixture
def kernel(monkeypatch):
    """Execute nothing, and return a list of the settings that kernels would have got."""
    settings = []

    def execute(notebook, path, environment):
        settings.append(environment)
        return run.Outcome([], 0.0, 0, None, [])

    monkeypatch.setattr(run, "execute", execute)
    return settings


def test_run_names_the_failing_cell_and_goes_on(course, capsys):
    course.save("01_bad", "x = 1", "x / 0", "never = 1")
    course.save("02_good", "import warnings; warnings.warn('careless')", "print('done')", minutes=0)
    with pytest.raises(SystemExit) as stop:
        main(["run"])
    assert stop.value.code == "FAILED 01_bad, In [2]: ZeroDivisionError: division by zero"
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line for line in printed.splitlines() if re.match(r"0\d_", line)}
    assert re.fullmatch(
        r"02_good +2 +\d+\.\d +In \[\d\] +\d+\.\d s +0\.\d\d GB +0 min", rows["02_good"]
    )
    assert re.match(r"01_bad +2 ", rows["01_bad"])  # it stopped at the cell that failed
    assert "! 02_good: In [1] wrote to stderr:" in printed
    assert "! 01_bad" not in printed
    executed = notebooks.read(course.root / "build" / "02_good.ipynb")
    assert executed.cells[1].outputs[0].text == "done\n"
    assert notebooks.read(notebooks.FOLDER / "02_good.ipynb").cells[1].outputs == []


@pytest.mark.parametrize(
    ("options", "compared"),
    [
        (["--profile", "full"], True),
        (["--profile", "lite"], False),
        (["--profile", "full", "--path", "must"], False),
    ],
)
def test_stated_minutes_are_compared_with_a_whole_run_on_the_full_data(
    course, capsys, monkeypatch, options, compared
):
    slow = run.Outcome([61.0], 61.0, 0, None, [])
    monkeypatch.setattr(run, "execute", lambda *arguments: slow)
    course.save("01_a", ("1", "must"), minutes=1)
    main(["run", *options])
    assert ("! 01_a: took 61 s and states 1 min" in capsys.readouterr().out) == compared


def test_the_kernel_has_this_python_this_course_and_settings_of_its_own(
    course, home, unwatched, monkeypatch
):
    source = (
        "import os, sys, helpers; from helpers import session\n"
        "'not shown, unless the settings of IPython are those of the person'\n"
        "[sys.executable, os.getcwd(), helpers.__file__, session.interactive(), session.profile(),"
        " os.environ['COURSE_FIGURES'], globals().get('x')]"
    )
    path = course.save("01_a", ("x = 1", "should"), (source, "must"))
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(home))
    monkeypatch.setenv("JUPYTER_PATH", str(home / "jupyter"))
    monkeypatch.setenv("COURSE_PROFILE", "full")
    monkeypatch.setattr("tempfile.tempdir", str(course.root))
    unwatched()
    main(["run", "--path", "must", "--profile", "lite"])
    (cell,) = notebooks.read(course.root / "build" / "01_a.ipynb").cells
    (output,) = cell.outputs
    assert eval(output.data["text/plain"]) == [
        sys.executable,
        str(path.parent),
        helpers.__file__,
        False,
        "lite",
        str(course.root / "build" / "figures"),
        None,
    ]
    assert [each.name for each in (home / ".ipython").rglob("*.*")] == ["ipython_config.py"]
    assert not list(course.root.glob("course-*"))


def test_a_false_claim_fails_although_no_test_is_running(course, unwatched):
    course.save("01_a", "from helpers.claims import claim\nclaim('k-NN is best', False, '0.97')")
    unwatched()
    with pytest.raises(SystemExit, match=r"In \[1\]: AssertionError: k-NN is best .*0\.97"):
        main(["run"])


def test_the_most_memory_is_shown_although_a_process_ends_while_it_is_read(monkeypatch, course):
    looks = []
    memory_info = psutil.Process.memory_info

    def sometimes(process):
        looks.append(process)
        if len(looks) == 1:
            raise psutil.NoSuchProcess(process.pid)
        return memory_info(process)

    monkeypatch.setattr(psutil.Process, "memory_info", sometimes)
    source = "import time; x = b'x' * 300_000_000; time.sleep(0.5); del x"
    path = course.save("01_a", source)
    outcome = run.execute(notebooks.read(path), path, {})
    assert len(looks) > 1
    assert 0.3e9 < outcome.memory < 0.6e9


# --- profiles, data and figures


def test_each_dataset_is_looked_for_once_and_decides_the_profile(course, without_data, kernel):
    load = "data.load({!r})"
    course.save("01_a", load.format("mnist"))
    course.save("02_b", load.format("letters"))
    course.save("03_c", load.format("mnist"), load.format("letters"))
    main(["run", "--profile", "full"])
    assert without_data == ["letters", "mnist"]
    assert [settings["COURSE_PROFILE"] for settings in kernel] == ["lite", "full", "lite"]


def test_a_wrong_name_or_a_damaged_sample_is_left_to_the_notebook(course, monkeypatch):
    books = {"path": new_notebook(cells=[new_code_cell('data.load("nonsense")')])}
    assert run.settle(books, "full") == {"path": "full"}

    def damaged(name, profile):
        raise FileNotFoundError

    monkeypatch.setattr(data, "load", damaged)
    assert run.settle(books, "full") == {"path": "full"}


def test_the_sample_is_settled_without_a_look(course, without_data):
    books = {"path": new_notebook(cells=[new_code_cell('data.load("mnist")')])}
    assert run.settle(books, "lite", strict=True) == {"path": "lite"}
    assert without_data == []


def test_inplace_refuses_to_store_a_sample_as_the_full_data(course, without_data):
    path = course.save("01_a", "if 0: data.load('mnist')")
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="results of a sample"):
        main(["run", "--inplace", "--profile", "full"])
    assert path.read_bytes() == before
    course.save("01_a", "if 0: data.load(name)")
    with pytest.raises(SystemExit, match="does not write out which dataset"):
        main(["run", "--inplace", "--profile", "full"])


@pytest.mark.parametrize(
    ("options", "folder"),
    [
        (["--inplace", "--profile", "full"], "figures"),
        (["--profile", "full"], "build/figures"),
        (["--inplace", "--profile", "lite"], "build/figures"),
    ],
)
def test_only_the_full_data_in_place_writes_the_figures_of_the_readme(
    course, kernel, options, folder
):
    course.save("01_a", "1")
    main(["run", *options])
    root = ROOT if folder == "figures" else course.root
    assert [settings["COURSE_FIGURES"] for settings in kernel] == [str(root / folder)]


# --- in place


def test_inplace_writes_the_same_file_twice(course):
    sources = (
        "from IPython.display import HTML; import secrets\n"
        "HTML(f'<table id=\"T_{secrets.token_hex(3)[:5]}\">')",
        "import warnings; warnings.warn('careless')",
        "object()",
        "print(object(), 'at 0x', hex(255))",
        "for i in range(300): print(i, flush=True)",
    )
    path = course.save("01_a", *sources)
    before = path.read_bytes()
    main(["run", "--inplace"])
    first = path.read_bytes()
    assert first != before
    main(["run", "--inplace"])
    assert path.read_bytes() == first
    cells = notebooks.read(path).cells
    table, noisy, thing, printed, loop = cells
    assert table.outputs[0].data["text/html"] == '<table id="T_00001">'
    assert noisy.outputs == []
    assert thing.outputs[0].data["text/plain"] == "<object at 0x0>"
    assert printed.outputs[0].text == "<object object at 0x0> at 0x 0xff\n"
    assert len(loop.outputs) == 1
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4, 5]


def test_inplace_keeps_a_notebook_that_fails_as_it_was(course):
    path = course.save("01_a", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="FAILED"):
        main(["run", "--inplace"])
    assert path.read_bytes() == before


def test_inplace_with_the_must_path_would_drop_cells(course):
    course.save("01_a", "1")
    with pytest.raises(SystemExit, match="error: --inplace cannot be combined"):
        main(["run", "--inplace", "--path", "must"])


def test_tables_of_pandas_are_the_same_after_two_runs():
    def table():
        html = pd.DataFrame({"a": [1]}).style._repr_html_()
        cell = new_code_cell("x", outputs=[new_output("display_data", {"text/html": html})])
        return run.normalise(new_notebook(cells=[cell]))

    first, second = table(), table()
    assert first.cells[0].outputs == second.cells[0].outputs
    assert 'id="T_00001"' in first.cells[0].outputs[0].data["text/html"]


def test_normalise_keeps_what_an_author_chose_and_takes_the_rest():
    html = '<style>#T_f00ba_row0 {}</style><table id="T_f00ba"><table id="T_counts">'
    cell = new_code_cell(
        "x",
        execution_count=9,
        metadata={"execution": {"iopub.status.busy": "now"}},
        outputs=[
            new_output("stream", name="stderr", text="noise"),
            new_output("display_data", {"application/vnd.jupyter.widget-view+json": {}}),
            new_output("execute_result", {"text/html": html}, execution_count=9),
        ],
    )
    notebook = new_notebook(
        cells=[new_markdown_cell("# a"), cell],
        metadata={"widgets": {}, "language_info": {"name": "python", "version": "3.11.7"}},
    )
    notebook = run.normalise(notebook)
    (output,) = notebook.cells[1].outputs
    assert output.execution_count == notebook.cells[1].execution_count == 1
    assert output.data["text/html"] == (
        '<style>#T_00001_row0 {}</style><table id="T_00001"><table id="T_counts">'
    )
    assert "widgets" not in notebook.metadata
    assert "version" not in notebook.metadata["language_info"]
    assert notebook.cells[1].metadata == {}
    assert run.normalise(nbformat.from_dict(notebook)) == notebook


# --- trouble


def test_a_notebook_that_cannot_be_stored_is_named_and_the_others_still_are(course, kernel):
    course.save("01_a", "1")
    course.save("02_b", "2")
    (course.root / "build" / "01_a.ipynb").mkdir(parents=True)  # stands for a full disk
    with pytest.raises(SystemExit) as stop:
        main(["run"])
    (line,) = stop.value.code.splitlines()
    assert re.fullmatch(rf"FAILED 01_a, not stored in {course.root / 'build'}: [\w ]+", line)
    assert notebooks.read(course.root / "build" / "02_b.ipynb").cells[0].source == "2"
    assert not list((course.root / "build").glob(".*"))


def test_a_kernel_that_cannot_start_is_one_line(course, monkeypatch):
    course.save("01_a", "1")
    monkeypatch.setattr("tempfile.tempdir", str(course.root / "full"))  # stands for a full disk
    with pytest.raises(SystemExit, match=r"^FAILED 01_a, kernel: FileNotFoundError: [^\n]*full"):
        main(["run"])


@pytest.mark.skipif(os.name == "nt", reason="Windows has another Ctrl-C")
@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "while the kernel starts"),
        (signal.SIGINT, "in a cell"),
        (signal.SIGTERM, "in a cell"),
    ],
)
def test_ctrl_c_and_kill_print_one_line_and_leave_no_kernel_behind(course, number, moment):
    started = course.root / "started"
    wait = f"import os, time; open({str(started)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    path = course.save("01_a", wait if moment == "in a cell" else "1")
    if moment == "while the kernel starts":  # Python runs this file before anything else
        # such a kernel is killed in the end; interrupted before that, it may print half a sentence
        deaf = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
        early = f"import sys\nif 'ipykernel_launcher' in sys.orig_argv:\n    {deaf}; {wait}"
        (course.root / "sitecustomize.py").write_text(early)
    code = (
        "import runpy, signal, sys; from pathlib import Path\n"
        "from helpers.course import notebooks\n"
        # a shell that starts the tests in the background switches Ctrl-C off for all of them
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "notebooks.FOLDER = Path(sys.argv[1]); notebooks.BUILD = notebooks.FOLDER / 'build'\n"
        "sys.argv = ['course', 'run']; runpy.run_module('helpers.course', run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(path.parent)]
    places = os.pathsep.join([str(course.root), os.environ["PYTHONPATH"]])
    environment = {**os.environ, "TMPDIR": str(course.root), "PYTHONPATH": places}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for(lambda: started.exists() and started.read_text(), running)
    kernel = psutil.Process(int(started.read_text()))
    running.send_signal(number)
    _, printed = running.communicate(timeout=60)
    assert (printed, running.returncode) == ("Stopped.\n", 1)
    wait_for(lambda: not kernel.is_running())
    assert not list(course.root.glob("course-*"))


def wait_for(condition, running=None):
    for _ in range(600):
        if condition():
            return
        assert running is None or running.poll() is None, running.communicate()
        time.sleep(0.1)
    raise TimeoutError

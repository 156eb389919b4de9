"""The command line: what run, release, doctor and bands promise, and the settings of pytest."""

import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

import helpers
from helpers import ROOT, data, models
from helpers.course import bands, bench, doctor, notebooks, release, run
from helpers.course.__main__ import main

SOLUTION = '''# ANSWER 01-1
import math
def area(radius):
    """Area of a circle."""
    ### BEGIN SOLUTION
    square = radius**2
    return math.pi * square
    ### END SOLUTION'''


def answer(source=SOLUTION, exercise="01-1", grade_id="01-1"):
    return new_code_cell(
        source,
        metadata={
            "course": {"exercise": exercise, "minutes": 5, "points": 1},
            "nbgrader": {"solution": True, "grade_id": grade_id},
            "jupyter": {"source_hidden": True},
        },
    )


def save(name, *cells, minutes=1):
    """Store a notebook from cells, or from (source, tag, …) for code."""
    cells = [
        new_code_cell(cell[0], metadata={"tags": list(cell[1:])})
        if isinstance(cell, tuple)
        else cell
        for cell in cells
    ]
    notebook = new_notebook(cells=cells, metadata={"course": {"run_minutes": minutes}})
    path = notebooks.FOLDER / f"{name}.ipynb"
    notebooks.write(notebook, path)
    return path


@pytest.fixture(autouse=True)
def course(tmp_path, monkeypatch):
    """Give every test an empty notebooks/ and build/ of its own, and the lite profile."""
    monkeypatch.setattr(notebooks, "FOLDER", tmp_path / "notebooks")
    monkeypatch.setattr(notebooks, "BUILD", tmp_path / "build")
    monkeypatch.setenv("COURSE_PROFILE", "lite")
    return tmp_path


# --- finding notebooks


def test_find_takes_numbers_names_and_paths(course, monkeypatch):
    paths = [save(name, ("1",)) for name in ("02_b", "01_a", "further/07_c")]
    assert notebooks.find() == [paths[1], paths[0]]
    assert notebooks.find(everything=True) == [paths[1], paths[0], paths[2]]
    monkeypatch.chdir(course)
    assert notebooks.find(["7", "notebooks/02_b.ipynb", "02"]) == [paths[0], paths[2]]
    assert notebooks.find(["02_b", str(paths[1]), "07_c.ipynb"]) == [paths[1], paths[0], paths[2]]


@pytest.mark.parametrize(
    "wanted", ["9", "", "02_other", "elsewhere/02_b.ipynb", "../02_b.ipynb", "02_b.ipynb"]
)
def test_what_is_no_notebook_of_the_course_is_named(course, monkeypatch, wanted):
    save("02_b", ("1",))
    (course / "copy").mkdir()
    for folder in (course, course / "copy"):
        (folder / "02_b.ipynb").write_text("another notebook of this name")
    monkeypatch.chdir(course / "copy")
    with pytest.raises(SystemExit) as stop:
        main(["run", "2", wanted])
    assert stop.value.code == (
        f"error: notebooks must be from ['02_b'], or their numbers, not [{wanted!r}]"
    )


def test_a_file_that_is_no_notebook_is_named():
    path = notebooks.FOLDER / "01_a.ipynb"
    path.parent.mkdir()
    path.write_text("not json")
    with pytest.raises(ValueError, match=r"01_a\.ipynb is not a notebook"):
        notebooks.read(path)


# --- run


def test_run_names_the_failing_cell_and_goes_on(course, capsys):
    save("01_bad", ("x = 1",), ("x / 0",), ("never = 1",))
    save("02_good", ("import warnings; warnings.warn('careless')",), ("print('done')",), minutes=0)
    with pytest.raises(SystemExit) as stop:
        main(["run"])
    assert stop.value.code == "FAILED 01_bad, In [2]: ZeroDivisionError: division by zero"
    printed = capsys.readouterr().out
    rows = {line.split()[0]: line for line in printed.splitlines() if re.match(r"0\d_", line)}
    assert re.fullmatch(
        r"02_good +2 +\d+\.\d +In \[\d\] +\d+\.\d s +0\.\d\d GB +0 min", rows["02_good"]
    )
    assert re.match(r"01_bad +2 ", rows["01_bad"])  # it stopped at the cell that failed
    assert re.search(r"! 02_good: took \d+ s and states 0 min", printed)
    assert "! 02_good: In [1] wrote to stderr:" in printed
    assert "! 01_bad" not in printed
    executed = notebooks.read(course / "build" / "02_good.ipynb")
    assert executed.cells[1].outputs[0].text == "done\n"
    assert notebooks.read(notebooks.FOLDER / "02_good.ipynb").cells[1].outputs == []


def test_run_uses_this_python_this_course_and_the_notebooks_folder(course):
    source = (
        "import os, sys, helpers\n"
        "[sys.executable, os.getcwd(), helpers.__file__, helpers.interactive(),"
        " os.environ['COURSE_PROFILE'], os.environ['COURSE_FIGURES'], globals().get('x')]"
    )
    path = save("01_a", ("x = 1", "should"), (source, "must"))
    # a kernel of another environment that calls itself python3 must not be taken
    notebook = notebooks.read(path)
    notebook.metadata["kernelspec"] = {"name": "elsewhere", "display_name": "Elsewhere"}
    notebooks.write(notebook, path)
    main(["run", "--path", "must"])
    (cell,) = notebooks.read(course / "build" / "01_a.ipynb").cells
    assert eval(cell.outputs[0].data["text/plain"]) == [
        sys.executable,
        str(path.parent),
        helpers.__file__,
        False,
        "lite",
        str(course / "build" / "figures"),
        None,
    ]


def test_the_memory_of_a_kernel_is_watched_although_a_process_ends(monkeypatch):
    import psutil

    class Kernel:
        looks = 0

        def __init__(self, pid):
            Kernel.looks += 1
            if Kernel.looks == 1:
                raise psutil.NoSuchProcess(pid)

        def children(self, recursive):
            if Kernel.looks == 2:
                raise psutil.AccessDenied
            return []

        def memory_info(self):
            looked_thrice.set()
            return SimpleNamespace(rss=7)

    looked_thrice = threading.Event()
    monkeypatch.setattr(psutil, "Process", Kernel)
    memory = run._Memory(SimpleNamespace(provisioner=SimpleNamespace(pid=1)))
    with memory:
        assert looked_thrice.wait(10)
    memory.join()
    assert memory.peak == 7


def test_inplace_writes_the_same_file_twice():
    sources = (
        "import pandas as pd; pd.DataFrame({'a': [1]}).style",
        "import warnings; warnings.warn('careless')",
        "object()",
        "print(object(), 'at 0x', hex(255))",
        "for i in range(300): print(i, flush=True)",
    )
    path = save("01_a", *[(source,) for source in sources])
    before = path.read_bytes()
    main(["run", "--inplace"])
    first = path.read_bytes()
    assert first != before
    main(["run", "--inplace"])
    assert path.read_bytes() == first
    cells = notebooks.read(path).cells
    table, noisy, thing, printed, loop = cells
    assert 'id="T_00001"' in table.outputs[0].data["text/html"]
    assert noisy.outputs == []
    assert thing.outputs[0].data["text/plain"] == "<object at 0x0>"
    assert printed.outputs[0].text == "<object object at 0x0> at 0x 0xff\n"
    assert len(loop.outputs) == 1
    assert [cell.execution_count for cell in cells] == [1, 2, 3, 4, 5]


def test_inplace_keeps_a_notebook_that_fails_as_it_was():
    path = save("01_a", ("1 / 0",))
    before = path.read_bytes()
    with pytest.raises(SystemExit, match="FAILED"):
        main(["run", "--inplace"])
    assert path.read_bytes() == before


def test_inplace_refuses_to_store_the_sample_as_the_full_data(monkeypatch):
    save("01_a", ("1",))
    monkeypatch.setattr(data, "locate", lambda name: (None, None, []))
    with pytest.raises(SystemExit, match="sample"):
        main(["run", "--inplace", "--profile", "full"])


def test_inplace_with_the_must_path_would_drop_cells():
    save("01_a", ("1",))
    with pytest.raises(SystemExit, match="--inplace cannot be combined"):
        main(["run", "--inplace", "--path", "must"])


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


# --- release


def test_release_takes_out_solutions_notes_and_outputs(course, capsys):
    save(
        "01_a",
        new_markdown_cell("# a"),
        new_markdown_cell("ask this", metadata={"tags": ["must", "instructor"]}),
        answer(),
        new_code_cell("print(1)", execution_count=2, outputs=[new_output("stream", text="1")]),
    )
    save("further/07_b", ("print(2)",))
    target = course / "copy"
    main(["release", "--to", str(target)])
    assert "2 notebooks" in capsys.readouterr().out
    title, released, code = notebooks.read(target / "notebooks" / "01_a.ipynb").cells
    assert title.source == "# a"
    assert released.source.splitlines()[2:] == [
        "def area(radius):",
        '    """Area of a circle."""',
        f"    {release.STUB}",
    ]
    assert "jupyter" not in released.metadata and "nbgrader" in released.metadata
    assert (code.outputs, code.execution_count) == ([], None)
    assert (target / "notebooks" / "further" / "07_b.ipynb").exists()
    for needed in ("helpers/data.py", "data/samples/mnist.npz", "requirements.txt"):
        assert (target / needed).exists()
    assert not (target / "data" / "models").exists()
    assert not list(target.rglob("__pycache__"))
    assert [path.name for path in course.glob(".*")] == []  # nothing half-made is left


def test_a_stub_raises_until_it_is_answered():
    names = {}
    exec(release.stub(answer(), "here"), names)
    with pytest.raises(NotImplementedError):
        names["area"](1)


def test_release_replaces_only_what_it_made(course):
    save("01_a", ("1",))
    target = course / "copy"
    main(["release", "--to", str(target)])
    (target / "stale").write_text("from the release before")
    main(["release", "--to", str(target)])
    assert not (target / "stale").exists()

    foreign = course / "thesis"
    foreign.mkdir()
    (foreign / "chapter").write_text("ten years of work")
    with pytest.raises(SystemExit, match="holds other files"):
        main(["release", "--to", str(foreign)])
    assert (foreign / "chapter").read_text() == "ten years of work"
    with pytest.raises(SystemExit, match="outside the course"):
        main(["release", "--to", str(ROOT / "helpers" / "copy")])
    with pytest.raises(SystemExit, match="is a file"):
        main(["release", "--to", str(foreign / "chapter")])


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (answer(SOLUTION.replace("# ANSWER 01-1", "# answer 01-1")), "first line"),
        (answer(SOLUTION.replace("    ### BEGIN SOLUTION\n", "")), "BEGIN SOLUTION"),
        (answer(SOLUTION.replace("    ### END SOLUTION", "")), "END SOLUTION"),
        (answer(SOLUTION + "\n    ### END SOLUTION"), "END SOLUTION"),
        (answer("# ANSWER 01-1\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION"), "inside"),
        (answer(exercise="01-2"), "course.exercise"),
        (answer(grade_id="01-2"), "nbgrader.grade_id"),
        (new_code_cell(SOLUTION), "course.exercise"),
    ],
)
def test_a_malformed_answer_cell_is_named(course, cell, message):
    save("01_a", ("1",), cell)
    with pytest.raises(SystemExit, match=rf"01_a\.ipynb, code cell 2: .*{message}"):
        main(["release", "--to", str(course / "copy")])
    assert not (course / "copy").exists()


@pytest.fixture
def real_notebooks(monkeypatch):
    monkeypatch.setattr(notebooks, "FOLDER", ROOT / "notebooks")
    if not list(notebooks.FOLDER.glob("*.ipynb")):
        pytest.skip("no notebook is written yet")


def test_an_untouched_copy_runs_to_its_end(course, real_notebooks):
    """The copy differs from the teacher's edition in its answers only, and those do no harm.

    Everything else in it runs as the notebooks themselves, under nbval; what is new, the stubs
    and their checks, runs here, in the copy, after its set-up cell.
    """
    target = course / "copy"
    release.release(target)
    for path in notebooks.find(everything=True):
        theirs = notebooks.read(target / "notebooks" / path.relative_to(notebooks.FOLDER))
        ours = [c for c in notebooks.read(path).cells if "instructor" not in notebooks.tags(c)]
        for mine, released in zip(ours, theirs.cells, strict=True):
            assert release.is_answer(mine) or released.source == mine.source
    script = course / "untouched.py"
    script.write_text(UNTOUCHED)
    environment = {**os.environ, "PYTHONPATH": str(target), "MPLBACKEND": "Agg"}
    done = subprocess.run(
        [sys.executable, script],
        cwd=target / "notebooks",
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(target) in done.stdout.splitlines()[0]
    unanswered = re.findall(r"^(\d\d-\d): not answered yet", done.stdout, re.MULTILINE)
    exercises = [
        cell.metadata["course"]["exercise"]
        for path in notebooks.find(everything=True)
        for cell in notebooks.code_cells(notebooks.read(path))
        if release.is_answer(cell)
    ]
    assert unanswered == exercises


UNTOUCHED = """
import os, sys
from pathlib import Path
import helpers
from helpers.course import notebooks, release

print(helpers.__file__)
for path in notebooks.find(everything=True):
    os.chdir(path.parent)
    cells, names, answers = notebooks.code_cells(notebooks.read(path)), {}, []
    for number, cell in enumerate(cells, 1):
        if release.is_answer(cell):
            answers.append(cell.metadata["course"]["exercise"])
        elif number > 1 and not any(f\'check("{answer}"\' in cell.source for answer in answers):
            continue
        exec(compile(cell.source, f"{path.name}, code cell {number}", "exec"), names)
"""


# --- doctor


@pytest.fixture
def healthy(monkeypatch):
    """A computer on which nothing is missing, without the measurement."""
    save("01_a", ("1",), minutes=2)
    monkeypatch.setattr(data, "locate", lambda name, download: ("COURSE_DATA", {}, []))
    monkeypatch.setattr(
        "psutil.virtual_memory", lambda: SimpleNamespace(available=doctor.MEMORY_WANTED)
    )
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=doctor.DISK_NEEDED))
    monkeypatch.setattr(doctor, "training_speed", lambda: doctor.REFERENCE_SPEED / 3)
    return monkeypatch


def test_doctor_turns_stated_minutes_into_minutes_here(healthy, capsys):
    main(["doctor"])
    printed = capsys.readouterr().out
    assert "✗" not in printed
    assert re.search(r"01_a +6\.0 min \(stated: 2\)", printed)


def no_data(monkeypatch):
    monkeypatch.setattr(data, "locate", lambda name, download: (None, None, ["x is damaged"]))
    monkeypatch.setattr(data, "_answers", lambda url: False)


def no_sample(monkeypatch):
    monkeypatch.setattr(data, "SAMPLES", ROOT / "nowhere")


def no_memory(monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=1e9))


def no_disk(monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1e8))


def old_package(monkeypatch):
    version = doctor.importlib.metadata.version
    monkeypatch.setattr(
        doctor.importlib.metadata,
        "version",
        lambda name: "2.15.0" if name == "tensorflow" else version(name),
    )


def no_psutil(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)


def no_jupyter(monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyter_client", None)
    monkeypatch.setitem(sys.modules, "jupyter_client.kernelspec", None)


def other_python(monkeypatch):
    monkeypatch.setattr(sys, "prefix", "/another/environment")


def other_helpers(monkeypatch):
    elsewhere = notebooks.FOLDER.parent / "elsewhere"
    (elsewhere / "helpers").mkdir(parents=True)
    (elsewhere / "helpers" / "__init__.py").touch()
    monkeypatch.setenv("PYTHONPATH", str(elsewhere))


@pytest.mark.parametrize(
    ("harm", "advice"),
    [
        (no_data, "set COURSE_DATA"),
        (no_sample, "git checkout"),
        (no_memory, "close other programs"),
        (no_disk, "delete something"),
        (old_package, "tensorflow is 2.15.0, expected ~=2.21.0: python -m pip install"),
        (no_psutil, "psutil is not installed: python -m pip install -r requirements.txt"),
        (no_jupyter, "is not installed: python -m pip install -r requirements.txt"),
        (other_python, "another Python"),
        (other_helpers, "other helpers"),
    ],
)
def test_doctor_says_what_to_do_and_fails(healthy, capsys, harm, advice):
    harm(healthy)
    with pytest.raises(SystemExit) as stop:
        main(["doctor"])
    assert stop.value.code
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("✗")]
    assert advice in line


def test_doctor_only_warns_of_a_download_and_never_starts_one(healthy, capsys):
    healthy.setattr(data, "locate", lambda name, download: (None, None, []))
    healthy.setattr(data, "_answers", lambda url: True)
    healthy.setattr(data, "_official", lambda source: pytest.fail("a download was started"))
    main(["doctor"])
    assert "! MNIST: will be downloaded" in capsys.readouterr().out


def test_doctor_measures_a_real_training():
    assert doctor.training_speed(seconds=0.1) > 10


# --- bands and bench


def test_bands_runs_every_seed_and_merges_only_complete_records(course, monkeypatch):
    source = (
        "import os\n"
        "with open(os.environ['COURSE_RECORD'], 'a') as file:\n"
        "    print(os.environ['COURSE_PROFILE'], os.environ['COURSE_SEED'], file=file)"
    )
    save("01_a", (source,))
    merged = []
    monkeypatch.setattr(bands.bands, "merge", lambda path: merged.append(path.read_text()))
    main(["bands", "--seeds", "2", "--profile", "lite"])
    assert merged == ["lite 0\nlite 1\n"]
    failed = run.Outcome([], 0.0, 0, "In [1]: AssertionError", [])
    monkeypatch.setattr(run, "execute", lambda *arguments: failed)
    with pytest.raises(SystemExit, match=r"unchanged(.|\n)*01_a, lite, seed 0"):
        main(["bands", "--seeds", "2", "--profile", "lite"])
    assert len(merged) == 1
    with pytest.raises(SystemExit, match="--seeds must be 2 or more"):
        main(["bands", "--seeds", "1"])


def test_bench_prints_ratios_and_says_which_library_is_missing(monkeypatch, tmp_path, capsys):
    def missing(model, start, targets):
        raise ImportError

    # the judges of the benchmark: seconds of training are enough here
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path))
    for judge in ("judge_cnn", "judge_mlp"):
        monkeypatch.setitem(models.RECIPES, judge, models.Recipe(epochs=1))
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(bench, "STEPS", 10)
    monkeypatch.setattr(bench, "PEER_STEPS", 2)
    libraries = {"idle": lambda model, start, targets: lambda: start, "absent": missing}
    monkeypatch.setattr(bench, "LIBRARIES", libraries)
    main(["bench"])
    printed = capsys.readouterr().out
    assert re.search(r"invert, 100 images +[\d,]+ image-steps/s +\d+\.\d x the eager loop", printed)
    assert re.search(r"search +100 queries +\d+\.\d ms +\d+\.\d x scikit-learn", printed)
    assert printed.count("absent is not installed and does not take part") == 2
    rows = re.findall(r"(invert, blur_every=8|idle) +[\d,]+ +\d+\.\d x +\d\.\d\d +\d+%", printed)
    assert rows == ["invert, blur_every=8", "idle"] * 2


# --- every command, every Python


def test_help_does_not_import_tensorflow():
    code = (
        "import sys, helpers.course.__main__ as m\n"
        "try: m.main(['--help'])\n"
        "except SystemExit: print(sorted({'tensorflow', 'nbclient', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("run", "release", "doctor", "bench", "bands", "train"):
        assert f"\n    {command} " in done.stdout


def test_only_an_objection_of_a_command_is_one_line_and_a_bug_keeps_its_traceback(monkeypatch):
    save("01_a", ("1",))
    monkeypatch.setattr(run, "settle_profile", lambda wanted, strict: data.load("cifar"))
    with pytest.raises(ValueError, match="cifar"):  # raised by a helper
        main(["run"])
    monkeypatch.setattr(run, "settle_profile", lambda wanted, strict: "lite")
    monkeypatch.setattr(run, "LAYOUT", "{:d}")
    with pytest.raises(ValueError, match="format code"):  # raised by Python, in a command's line
        main(["run"])
    with pytest.raises(SystemExit, match="error: --inplace cannot be combined"):
        main(["run", "--inplace", "--path", "must"])


def test_a_bad_profile_in_the_environment_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    with pytest.raises(SystemExit):
        main(["doctor"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith("error: COURSE_PROFILE must be 'full' or 'lite', not 'fast'")


def test_a_missing_package_that_every_command_needs_is_one_line():
    code = (
        "import runpy, sys\n"
        "sys.modules['numpy'], sys.argv = None, ['course', 'doctor']\n"
        "runpy.run_module('helpers.course', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert done.stderr == "numpy is not installed: python -m pip install -r requirements.txt\n"


@pytest.mark.parametrize("version", [(3, 10, 9), (3, 14, 0)])
def test_an_unsupported_python_gets_one_sentence_from_every_command(monkeypatch, version):
    monkeypatch.setattr(sys, "version_info", version)
    monkeypatch.delitem(sys.modules, "helpers.course")
    with pytest.raises(SystemExit) as stop:
        __import__("helpers.course")
    sentence = str(stop.value.code)
    assert f"this is Python 3.{version[1]}" in sentence
    assert "\n" not in sentence


def test_an_intel_mac_gets_one_sentence(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert "Intel" in helpers.unsupported()


# --- the settings of pytest, with real nbval


def stored(source, text=None, *tags):
    outputs = [] if text is None else [new_output("stream", name="stdout", text=text)]
    return new_code_cell(source, outputs=outputs, execution_count=1, metadata={"tags": list(tags)})


SLEEPS = "import time\ntry:\n    time.sleep(20)\nexcept KeyboardInterrupt:\n    pass"
SETTINGS = (
    "import os, sys\n"
    "print(os.environ['COURSE_PROFILE'], os.environ['COURSE_RUN'], sys.executable)\n"
    "print(os.path.isdir(os.environ['COURSE_MODELS']), os.environ['COURSE_FIGURES'])"
)


def test_pytest_finds_what_a_student_would(course):
    settings = f"lite 1 {sys.executable}\nTrue {ROOT / 'build' / 'figures'}\n"
    save(
        "01_outputs",
        stored("print('as stored')", "as stored\n"),
        stored("print('now')", "then\n"),
        stored("pass", "gone\n"),
        stored("print('new')"),
        stored("print('now')", "then\n", "nbval-ignore-output"),
        stored("1 / 0", None, "nbval-ignore-output"),
        stored("import warnings; warnings.warn('careless')", None, "nbval-ignore-output"),
        stored(SETTINGS, settings),
    )
    save("02_time_out", stored(SLEEPS))
    report = course / "report.xml"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("COURSE_", "PYTEST_"))}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "--nbval", "--nbval-cell-timeout=2"),
            *("-c", ROOT / "pyproject.toml", "--rootdir", course, "-p", "no:cacheprovider"),
            *(f"--junitxml={report}", notebooks.FOLDER),
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    failures = {}
    for case in ET.parse(report).iter("testcase"):
        failure = case.find("failure")
        name = case.get("classname").split(".")[-2] + case.get("name").removeprefix("Cell")
        failures[name] = "" if failure is None else failure.get("message") + failure.text
    expected = {
        "01_outputs 0": None,
        "01_outputs 1": "mismatch 'stdout'",
        "01_outputs 2": "Missing output fields",
        "01_outputs 3": "Unexpected output fields",
        "01_outputs 4": None,
        "01_outputs 5": "division by zero",
        "01_outputs 6": "wrote to stderr",
        "01_outputs 7": None,
        "02_time_out 0": "as long as the time-out of 2 s",
    }
    assert failures.keys() == expected.keys()
    for name, message in expected.items():
        assert message in failures[name] if message else not failures[name], name

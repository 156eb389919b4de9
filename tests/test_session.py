"""The settings of a session, the quiet import of Keras, and `helpers.setup`."""

import io
import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

import helpers
from helpers import plotting, session
from helpers.course import notebooks, run


def run_python(code, **environment):
    """Run code in a fresh Python without pytest's and the course's variables."""
    bare = {k: v for k, v in os.environ.items() if not k.startswith(("COURSE_", "PYTEST_"))}
    return subprocess.run(
        [sys.executable, "-W", "error::DeprecationWarning:helpers", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        cwd=session.ROOT,
        env={**bare, **environment},
    )


def last_line(done):
    assert done.returncode == 1, done.stdout
    return done.stderr.splitlines()[-1]


@pytest.fixture
def fresh(monkeypatch):
    """A session in which nothing is set."""
    for name in [name for name in os.environ if name.startswith("COURSE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(session, "_seed", 0)
    monkeypatch.setattr(session, "_fallen_back", False)
    return monkeypatch


# --- settings


def test_without_variables_the_session_is_that_of_a_student(fresh):
    assert (session.profile(), session.seed()) == ("full", 0)
    assert session.data_folder() is None and session.record_file() is None
    assert session.models_folder() == session.ROOT / "data" / "models"
    assert session.figures_folder() == session.ROOT / "build" / "figures"


def test_a_session_that_fell_back_is_lite_to_its_end(fresh):
    session.fall_back()
    assert session.profile() == "lite"
    fresh.setenv("COURSE_PROFILE", "full")
    assert session.profile() == "lite"


@pytest.mark.parametrize("value", ["fast", "Full", "0"])
def test_a_wrong_profile_is_named(fresh, value):
    fresh.setenv("COURSE_PROFILE", value)
    with pytest.raises(ValueError, match=f"COURSE_PROFILE must be 'full' or 'lite', not '{value}'"):
        session.profile()


@pytest.mark.parametrize("value", ["abc", "-1", "1.0", "4294967296"])
def test_a_wrong_seed_in_the_environment_is_named(fresh, value):
    fresh.setenv("COURSE_SEED", value)
    with pytest.raises(
        ValueError, match=f"COURSE_SEED must be a whole number from 0 to .*, not '{value}'"
    ):
        session.seed()


@pytest.mark.parametrize("value", ["x", "1", True, None, 1.0, -1, 2**32, 2**40, [1]])
def test_a_wrong_seed_given_to_setup_is_named_before_anything_is_set(fresh, value):
    session.set_seed(7)
    with pytest.raises(ValueError, match=r"^seed must be a whole number from 0 to 4294967295, not"):
        helpers.setup(seed=value)
    assert session.seed() == 7


def test_the_seed_in_the_environment_takes_the_place_of_the_given_one(fresh):
    session.set_seed(np.int64(2**32 - 1))
    assert session.seed() == 2**32 - 1 and type(session.seed()) is int
    fresh.setenv("COURSE_SEED", "5")
    assert session.seed() == 5
    fresh.setenv("COURSE_SEED", "")
    assert session.seed() == 2**32 - 1


def test_folders_start_at_the_repository_or_at_the_home_folder(fresh, tmp_path):
    readers = {
        "COURSE_DATA": session.data_folder,
        "COURSE_MODELS": session.models_folder,
        "COURSE_FIGURES": session.figures_folder,
        "COURSE_RECORD": session.record_file,
    }
    for variable, read in readers.items():
        for value, path in {
            "../shared": session.ROOT / ".." / "shared",
            "~/shared": Path.home() / "shared",
            "~nobody-has-this-name": session.ROOT / "~nobody-has-this-name",
            str(tmp_path): tmp_path,
        }.items():
            fresh.setenv(variable, value)
            assert read() == path, variable


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "True True"),
        ({"COURSE_RUN": "1"}, "False False"),
        ({"PYTEST_CURRENT_TEST": "notebook::cell 3"}, "False False"),
    ],
)
def test_a_bar_is_drawn_only_where_a_person_watches(environment, expected):
    code = (
        "from helpers import session\n"
        "assert session.progress_bar(3, 'hidden', show=False).disable\n"
        "with session.progress_bar(3, 'epochs') as bar:\n"
        "    print(session.interactive(), not bar.disable)"
    )
    done = run_python(code, **environment)
    assert done.stdout.strip() == expected, done.stderr
    assert ("epochs" in done.stderr) == (expected == "True True")


def test_a_bar_says_what_how_far_and_how_long_yet():
    code = (
        "import time\n"
        "from helpers import session\n"
        "with session.progress_bar(4, 'training') as bar:\n"
        "    time.sleep(2)\n"
        "    bar.update(2)\n"
        "    bar.set_postfix(accuracy='0.98')"
    )
    shown = run_python(code).stderr.split("\n")  # which were returns of the carriage
    assert re.search(r"training:   0 % \|.*\| just begun", shown[1])
    assert re.search(r"training:  50 % \|.*█.*\| about 2 s left, accuracy=0.98", shown[-3])
    assert shown[-2].strip() == shown[-1] == ""  # it leaves nothing behind
    assert all(len(re.sub(r"\x1b\[[0-9;]*m", "", text)) <= session.BAR_WIDTH for text in shown)


def test_a_bar_inside_another_bar_and_one_for_a_moment_are_not_shown():
    code = (
        "from helpers import session\n"
        "with session.progress_bar(2, 'outer') as outer:\n"
        "    with session.progress_bar(2, 'inner') as inner:\n"
        "        print(outer.disable, inner.disable)\n"
        "with session.progress_bar(2, 'moment', delay=1) as bar:\n"
        "    bar.update()"
    )
    done = run_python(code)
    assert done.stdout == "False True\n"
    assert "outer" in done.stderr
    assert "inner" not in done.stderr and "moment" not in done.stderr


def test_a_clock_ticks_while_a_call_reports_nothing_and_leaves_nothing_behind():
    code = (
        "import time\n"
        "from helpers import session\n"
        "with session.clock('fitting'):\n"
        "    time.sleep(2.6)\n"
        "with session.clock('adding'):\n"
        "    1 + 1"
    )
    shown = run_python(code).stderr
    seconds = [int(second) for second in re.findall(r"fitting: (\d+) s so far", shown)]
    assert seconds and seconds == sorted(set(seconds))
    assert shown.split("\n")[-1].strip() == "" and "adding" not in shown
    assert run_python(code, COURSE_RUN="1").stderr == ""


def test_a_bar_that_waits_for_its_time_leaves_the_screen_to_a_bar_inside_it(monkeypatch):
    monkeypatch.setattr(session, "interactive", lambda: True)
    screen = io.StringIO()
    monkeypatch.setattr("sys.stderr", screen)
    with session.progress_bar(4, "outer", delay=1000) as outer:
        outer.set_postfix(accuracy=0.9)
        assert screen.getvalue() == ""
        with session.progress_bar(2, "inner") as inner:
            outer.start_t -= 2000
            outer.refresh()
            inner.refresh()
        assert "inner" in screen.getvalue() and "outer" not in screen.getvalue()
        outer.refresh()
        with session.progress_bar(2, "late"):
            pass
    *_, shown, blank, end = screen.getvalue().split("\r")
    assert "outer" in shown and "late" not in screen.getvalue()
    assert blank.strip() == end == "" and "\n" not in screen.getvalue()


def test_an_interrupted_clock_does_not_tick_on(monkeypatch):
    monkeypatch.setattr(session, "interactive", lambda: True)
    started, start = [], threading.Thread.start

    def interrupted(thread):
        start(thread)
        started.append(thread)
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), session.clock("fitting"):
        pass
    started[-1].join(timeout=60)
    assert not started[-1].is_alive()


def test_a_clock_passes_on_what_went_wrong():
    with pytest.raises(ValueError, match="mine"), session.clock("fitting"):
        raise ValueError("mine")


def test_long_work_of_the_library_has_a_bar(monkeypatch):
    from helpers import attacks, models, neighbours, realism
    from helpers.backend import tf
    from helpers.inversion import noise

    class Two:
        task, class_names = "classification", ("0", "1")
        x_train, y_train = noise(600, seed=0, shape=(4, 4, 1)), np.arange(600) % 2
        x_test, y_test = x_train, y_train

    def model(x):
        return tf.nn.softmax(tf.reshape(x, (-1, 16))[:, :2])

    bars = []
    make = session.progress_bar

    def watched(total, *arguments, **settings):
        bar = make(total, *arguments, **settings)
        update = bar.update
        bars.append([total, 0])
        place = len(bars) - 1

        def count(n=1):
            bars[place][1] += n
            return update(n)

        bar.update = count
        return bar

    monkeypatch.setattr(session, "progress_bar", watched)
    neighbours._training_index.cache_clear()
    works = {
        "predict": lambda: models.predict(model, Two.x_train),
        "search": lambda: neighbours.NeighbourIndex(Two.x_train, Two.y_train).search(Two.x_test, 3),
        "attack": lambda: attacks.pgd_attack(model, Two.x_train, Two.y_train, 0.1),
        "trust": lambda: realism.trust_scores(Two.x_test, 0, Two),
    }
    for name, work in works.items():
        bars.clear()
        work()
        assert bars and all(total == done for total, done in bars), name


def test_a_bar_has_the_first_colour_of_the_figures():
    assert to_hex(plotting.COLOURS[0]) == session.BAR_COLOUR


def test_in_a_notebook_nothing_is_written_on_red(course, unwatched):
    """JupyterLab shows stderr on red: a bar stands in stdout, in the course's colour."""
    bar = "bar = session.progress_bar(3, 'epochs'); bar.update(); _ = bar.refresh()"
    path = course.save("01_a", f"from helpers import session\n{bar}")
    notebook = notebooks.read(path)
    unwatched()
    run.execute(notebook, path, {"COURSE_RUN": ""})
    (output,) = notebook.cells[0].outputs
    assert output.name == "stdout"
    assert "\x1b[38;2;1;115;178m" in output.text and "epochs:  33 % |" in output.text
    run.execute(notebook, path, {})
    assert notebook.cells[0].outputs == []


# --- keras.json


def write_settings(folder, text):
    (folder / "keras.json").write_text(text)
    return {"KERAS_HOME": str(folder)}


def test_a_bar_leaves_nothing_in_jupyterlab_which_overwrites_escape_codes_too(monkeypatch):
    monkeypatch.setattr(session, "interactive", lambda: True)
    monkeypatch.setattr(session, "in_notebook", lambda: True)
    monkeypatch.setattr("sys.stdout", io.StringIO())
    with session.progress_bar(3, "epochs") as bar:
        bar.update()
        bar.refresh()
    written, line = sys.stdout.getvalue(), []
    assert "epochs" in written
    for part in written.split("\r"):
        line[: len(part)] = part
    assert not "".join(line).strip()


def test_set_up_prints_one_line_and_nothing_else(tmp_path):
    """Even where keras.json asks for another backend, layout and precision."""
    settings = {
        "backend": "torch",
        "image_data_format": "channels_first",
        "floatx": "float16",
        "epsilon": 0.1,
    }
    environment = write_settings(tmp_path, json.dumps(settings))
    code = (
        "import helpers; helpers.setup(seed=3)\n"
        "import keras, numpy, os, random\n"
        "assert keras.backend.backend() == 'tensorflow'\n"
        "assert keras.config.image_data_format() == 'channels_last'\n"
        "assert keras.config.floatx() == 'float32' and keras.config.epsilon() == 1e-7\n"
        "assert keras.config.max_epochs() is keras.config.max_steps_per_epoch() is None\n"
        "assert os.environ['TF_CPP_MIN_LOG_LEVEL'] == '3', 'log lines of later operations'\n"
        "drawn = random.random(), numpy.random.rand(), keras.random.uniform(()).numpy()\n"
        "keras.utils.set_random_seed(5)\n"
        "again = random.random(), numpy.random.rand(), keras.random.uniform(()).numpy()\n"
        "assert drawn == again, 'the seed of the environment takes the place of the given one'"
    )
    done = run_python(
        code,
        COURSE_PROFILE="lite",
        COURSE_RUN="1",
        COURSE_SEED="5",
        KERAS_MAX_EPOCHS="1",
        KERAS_MAX_STEPS_PER_EPOCH="1",
        **environment,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("Ready: profile lite, seed 5, TensorFlow 2.")
    assert done.stdout.count("\n") == 1


def test_set_up_says_what_it_loads_where_a_person_watches():
    code = "from helpers import models\nimport helpers; helpers.setup(); helpers.setup()"
    done = run_python(code, COURSE_PROFILE="lite")
    assert done.stderr == "Loading TensorFlow and Keras: this takes some seconds …\n"
    assert [line[:6] for line in done.stdout.splitlines()] == ["Ready:"] * 2


def test_set_up_says_what_it_loads_before_its_imports_load_it(course, unwatched):
    """A set-up cell imports `models`, and with it Keras, before it calls `helpers.setup`."""
    path = course.save("01_a", "from helpers import models\nimport helpers; helpers.setup()")
    notebook = notebooks.read(path)
    unwatched()
    run.execute(notebook, path, {"COURSE_RUN": "", "COURSE_PROFILE": "lite"})
    loading, ready = notebook.cells[0].outputs[0].text.splitlines()
    assert loading == "Loading TensorFlow and Keras: this takes some seconds …"
    assert ready.startswith("Ready: profile lite")


def test_waiting_threads_do_not_spin_in_a_notebook_that_imports_before_it_sets_up():
    done = run_python("import helpers, os; print(os.environ['OMP_WAIT_POLICY'])")
    assert done.stdout == "PASSIVE\n"


BROKEN = {
    "[]": "it holds [] where settings in braces must be",
    '{"floatx": "bfloat16"}': "floatx must be one of",
    '{"floatx": ["float32"]}': "floatx must be one of",
    '{"image_data_format": "last"}': "image_data_format must be one of",
    '{"epsilon": 1}': "epsilon must be a number like 1e-07, not 1",
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_keras_json_that_keras_stumbles_over_is_named(tmp_path, text):
    done = run_python("import helpers.backend", **write_settings(tmp_path, text))
    line = last_line(done)
    assert line.startswith(f"RuntimeError: Keras cannot use {tmp_path / 'keras.json'}: ")
    assert BROKEN[text] in line and line.endswith("the course sets what it needs itself.")


@pytest.mark.parametrize("text", ["", "not json", "{}", '{"epsilon": 1e-5, "backend": "jax"}'])
def test_a_keras_json_that_keras_takes_is_not_objected_to(monkeypatch, tmp_path, text):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert session.keras_settings_fault() is None  # there is none
    write_settings(tmp_path, text)
    assert session.keras_settings_fault() is None


def test_a_keras_json_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").mkdir()
    assert "it cannot be read" in session.keras_settings_fault()


# --- the import of Keras


LIGHT = [
    "session",
    "data",
    "plotting",
    "confidence",
    "claims",
    "records",
    "exercises",
    "neighbours",
    "validation",
]


def test_light_modules_do_not_import_tensorflow():
    code = (
        "import importlib, sys\n"
        f"for name in {LIGHT}:\n"
        "    importlib.import_module('helpers.' + name)\n"
        "    assert not {'tensorflow', 'keras'} & set(sys.modules), name\n"
        "from helpers import data\n"
        "data.load('mnist', profile='lite')\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules), 'load'"
    )
    done = run_python(code)
    assert done.returncode == 0, done.stderr


def test_another_backend_imported_first_is_reported_in_one_sentence():
    code = (
        "import sys, types\n"
        "jax = types.SimpleNamespace(backend=lambda: 'jax')\n"
        "sys.modules['keras'] = sys.modules['tensorflow'] = types.SimpleNamespace(backend=jax)\n"
        "import helpers; helpers.setup()"
    )
    assert last_line(run_python(code)) == (
        "RuntimeError: Keras was imported before helpers, with the backend 'jax'; the course needs "
        "'tensorflow'. Restart the kernel and run the set-up cell first."
    )


@pytest.mark.parametrize(
    ("variable", "value"), [("COURSE_SEED", "abc"), ("COURSE_PROFILE", "fast")]
)
def test_a_wrong_setting_is_named_before_tensorflow_is_imported(variable, value):
    code = (
        "import sys, helpers\ntry: helpers.setup()\nfinally: assert 'tensorflow' not in sys.modules"
    )
    assert last_line(run_python(code, **{variable: value})).startswith(f"ValueError: {variable}")


# --- computers that cannot run the course


@pytest.mark.parametrize(
    ("version", "platform", "machine", "words"),
    [
        ((3, 10), "linux", "x86_64", "needs Python 3.11, 3.12 or 3.13, and this is Python 3.10"),
        ((3, 14), "linux", "x86_64", "and this is Python 3.14"),
        ((3, 12), "darwin", "x86_64", "Macs with an Intel processor"),
    ],
)
def test_a_computer_that_cannot_run_the_course_is_told_so(
    monkeypatch, version, platform, machine, words
):
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert words in helpers.unsupported()
    with pytest.raises(RuntimeError, match=words):
        helpers.setup()


@pytest.mark.parametrize(("version", "machine"), [((3, 11), "x86_64"), ((3, 13), "arm64")])
def test_a_computer_that_can_is_not(monkeypatch, version, machine):
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    monkeypatch.setattr(sys, "platform", "darwin" if machine == "arm64" else "linux")
    monkeypatch.setattr("platform.machine", lambda: machine)
    assert helpers.unsupported() is None


def test_a_program_without_a_console_can_import_the_backend():
    code = "import sys; sys.stderr = None; import helpers.backend; print('imported')"
    assert run_python(code, COURSE_RUN="1").stdout == "imported\n"

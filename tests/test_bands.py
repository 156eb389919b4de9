"""What the command ``bands`` promises: what is on record was measured as it says."""

import json

import pytest

from helpers import data, records
from helpers.course import run
from helpers.course.__main__ import main

MEASURE = (
    "import random; from helpers import session\n"
    "from helpers.claims import claim, smoke_test\n"
    "session.set_seed(7)\n"  # as `setup` does; what the command says takes its place
    "smoke_test('01/seed', session.seed())\n"
    "smoke_test('01/full', int(session.profile() == 'full'))\n"
    "claim('it holds', session.profile() == 'full' or session.seed() != 1)"
)


@pytest.fixture
def kernel(monkeypatch):
    """Return a dictionary of what notebooks do, by name, in the place of real kernels."""
    notes = {}

    def execute(notebook, path, environment):
        monkeypatch.setenv("COURSE_RECORD", environment["COURSE_RECORD"])
        failure = notes[path.stem](environment["COURSE_PROFILE"], int(environment["COURSE_SEED"]))
        return run.Outcome([], 0.0, 0, failure, [])

    monkeypatch.setattr(run, "execute", execute)
    return notes


def note(profile, seed, **values):
    """Record what one smoke test after the other would."""
    for name, value in values.items():
        line = {"profile": profile, "seed": seed, "values": {name.replace("_", "/"): value}}
        records.append(records.session.record_file(), line)


def test_each_run_without_a_false_claim_is_recorded_with_its_profile_and_seed(course, unwatched):
    course.save("01_a", MEASURE)
    unwatched()
    with pytest.raises(SystemExit) as stop:
        main(["bands", "--seeds", "3"])
    failure, last = stop.value.code.splitlines()
    assert failure.startswith("FAILED 01_a, lite, seed 1, In [1]: AssertionError: it holds")
    assert "not recorded" in last
    assert records.values("lite", "01/seed") == {0: 0, 2: 2}
    assert records.values("full", "01/seed") == {0: 0, 1: 1, 2: 2}
    assert records.values("lite", "01/full") == {0: 0, 2: 0}
    assert records.values("full", "01/full") == {0: 1, 1: 1, 2: 1}
    lines = [json.loads(line) for line in (records.FOLDER / "chapter_01.jsonl").open()]
    assert len(lines) == 5
    assert all(line.keys() == {"profile", "seed", "values", "versions"} for line in lines)


def test_a_notebook_that_measures_nothing_is_not_recorded(course, kernel):
    course.save("01_a", "1")
    kernel["01_a"] = lambda *run: None
    main(["bands", "--seeds", "3", "--profile", "lite"])
    assert not records.FOLDER.exists()


def test_the_others_are_recorded_where_one_fails(course, kernel, capsys):
    for name in ("01_a", "02_b"):
        course.save(name, "1")
    kernel["01_a"] = lambda *run: (
        note(*run, **{"01_x": 0.5}) or (run[1] == 1 and "it broke") or None
    )
    kernel["02_b"] = lambda *run: note(*run, **{"02_x": 0.5})
    with pytest.raises(SystemExit) as stop:
        main(["bands", "--seeds", "3", "--profile", "lite"])
    assert stop.value.code.splitlines()[0] == "FAILED 01_a, lite, seed 1, it broke"
    assert sorted(records.values("lite", "01/x")) == [0, 2]
    assert sorted(records.values("lite", "02/x")) == [0, 1, 2]
    assert "02_b, lite, seed 2: 0 s, 1 numbers" in capsys.readouterr().out


def test_what_a_notebook_no_longer_measures_is_not_merged_with_the_new(course, kernel):
    course.save("01_a", "1")
    kernel["01_a"] = lambda *run: note(*run, **{"01_old": 1, "01_x": 1})
    main(["bands", "--seeds", "3", "--profile", "lite"])
    kernel["01_a"] = lambda *run: note(*run, **{"01_x": 2, "01_new": 2})
    main(["bands", "--seeds", "3", "--profile", "lite"])
    assert records.values("lite", "01/old") == {}
    assert (
        records.values("lite", "01/x")
        == records.values("lite", "01/new")
        == dict.fromkeys(range(3), 2)
    )


@pytest.mark.parametrize(
    ("noted", "complaint"),
    [
        (lambda profile, seed: note("full", seed, **{"01_x": 1}), "another profile"),
        (lambda profile, seed: note(profile, 5, **{"01_x": 1}), "another seed"),
        (lambda profile, seed: note(profile, seed, **{"02_x": 1}), r"must start with '01/'.*02/x"),
    ],
)
def test_what_would_be_recorded_under_a_wrong_name_is_refused(course, kernel, noted, complaint):
    course.save("01_a", "1")
    kernel["01_a"] = noted
    with pytest.raises(SystemExit, match=complaint):
        main(["bands", "--seeds", "3", "--profile", "lite"])
    assert not records.FOLDER.exists()


def test_a_full_disk_is_named_and_the_next_notebooks_still_run(course, kernel, monkeypatch):
    for name in ("01_a", "02_b"):
        course.save(name, "1")
        kernel[name] = lambda *run, name=name: note(*run, **{f"{name[:2]}_x": 1})
    (records.FOLDER / "chapter_01.jsonl").mkdir(parents=True)  # stands for a full disk
    with pytest.raises(SystemExit, match="FAILED 01_a, lite, seed 0, not recorded: "):
        main(["bands", "--seeds", "3", "--profile", "lite"])
    assert records.values("lite", "02/x") == dict.fromkeys(range(3), 1)


def test_a_missing_dataset_stops_before_the_first_notebook(course, kernel, monkeypatch):
    course.save("01_a", "data.load('mnist')")
    sample = data.load("mnist", "lite")
    monkeypatch.setattr(data, "load", lambda name, profile: sample)
    kernel["01_a"] = lambda *run: pytest.fail("a notebook was run")
    with pytest.raises(SystemExit, match="results of a sample"):
        main(["bands"])


@pytest.mark.parametrize("seeds", ["-1", "1", "2"])
def test_fewer_seeds_than_a_smoke_test_needs_are_refused(course, kernel, seeds):
    course.save("01_a", "1")
    kernel["01_a"] = lambda *run: pytest.fail("a notebook was run")
    with pytest.raises(
        SystemExit, match=f"^error: --seeds must be 3 or more, not {seeds}: a smoke"
    ):
        main(["bands", "--seeds", seeds])


@pytest.mark.slow
def test_workers_measure_too_and_one_that_is_killed_loses_nothing(
    course, unwatched, monkeypatch, scheduler
):
    course.save("01_a", MEASURE)
    unwatched()
    append, killed = records.append, []

    def killing(*line):
        append(*line)
        if not killed:
            killed.append(scheduler.workers[0].kill())

    monkeypatch.setattr(records, "append", killing)
    options = ["--seeds", "5", "--profile", "full", "--scheduler", scheduler.address]
    main(["bands", *options])
    assert killed and scheduler.workers[1].poll() is None
    assert records.values("full", "01/seed") == {seed: seed for seed in range(5)}

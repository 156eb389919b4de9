"""What `claim` and `smoke_test` do when a notebook is right, and when it is not."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers import records, session
from helpers.claims import claim, skipped, smoke_test, tolerance_interval

RUNS = [0.9897, 0.9892, 0.9870, 0.9888, 0.9901, 0.9879, 0.9894, 0.9885]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """Give records of eight seeds in the lite profile, to a session with another seed, 100."""
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")
    monkeypatch.setenv("COURSE_PROFILE", "lite")
    monkeypatch.setenv("COURSE_SEED", "100")
    monkeypatch.delenv("COURSE_RECORD", raising=False)
    store("01/accuracy", RUNS)
    return records.FOLDER / "chapter_01.jsonl"


@pytest.fixture
def person(monkeypatch):
    """Somebody runs the cells by hand."""
    monkeypatch.setattr(session, "interactive", lambda: True)


def store(name, values, profile="lite"):
    for seed, value in enumerate(values):
        line = {"profile": profile, "seed": seed, "values": {name: float(value)}}
        records.append(records.chapter_file(name[:2]), line)


@pytest.mark.parametrize("condition", [True, np.True_, 2 > 1, np.float32(2) > 1])
def test_a_true_claim_prints_its_sentence_and_no_measured_number(condition, capsys):
    claim("k-NN takes few values", condition, "6 values")
    assert capsys.readouterr().out == "✓ k-NN takes few values\n"


@pytest.mark.parametrize("condition", [False, np.False_, float("nan") > 0.5, np.nan < 1])
def test_a_false_claim_stops_a_test_with_sentence_and_detail(condition, capsys):
    with pytest.raises(AssertionError, match=r"k-NN is best \(measured: 0\.9688\)"):
        claim("k-NN is best", condition, "0.9688")
    assert capsys.readouterr().out == ""


def test_a_false_claim_stops_a_run_without_pytest(monkeypatch):
    monkeypatch.delenv("PYTEST_CURRENT_TEST")
    monkeypatch.setenv("COURSE_RUN", "1")
    with pytest.raises(AssertionError, match=r"^k-NN is best$"):
        claim("k-NN is best", False)


def test_a_false_claim_in_front_of_a_person_is_their_finding(person, capsys):
    claim("k-NN is best", False, "0.9688")
    assert capsys.readouterr().out == (
        "✗ k-NN is best\n"
        "  Measured: 0.9688\n"
        "  If you changed a value above, this is your finding.\n"
    )
    claim("k-NN is best", False)
    assert "Measured" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "condition, kind",
    [
        (np.array([True, True]), r"ndarray of shape \(2,\)"),
        (np.array(True), r"ndarray of shape \(\)"),
        (None, "NoneType"),
        (1, "int"),
        ("yes", "str"),
    ],
)
def test_a_claim_needs_one_truth_value_even_in_front_of_a_person(condition, kind, person):
    with pytest.raises(TypeError, match=f"condition must be True or False, not {kind}.*'best'"):
        claim("best", condition)


def test_a_skipped_claim_says_its_reason(capsys):
    skipped("the CNN reaches 98.8 %", "needs 60,000 images")
    printed = "– not checked on the sample: the CNN reaches 98.8 % (needs 60,000 images)\n"
    assert capsys.readouterr().out == printed


def test_a_smoke_test_takes_what_other_seeds_gave_and_says_nothing(file, capsys):
    for run in (*RUNS, np.float32(0.985)):
        smoke_test("01/accuracy", run)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("value", [0.98, 0.999, float("nan"), np.float32(0.1), float("inf")])
def test_a_smoke_test_refuses_what_other_seeds_could_not_give(file, value):
    with pytest.raises(AssertionError, match=r"^01/accuracy is .*, expected 0\.98\d+ to 0\.99\d+ "):
        smoke_test("01/accuracy", value)


def test_a_smoke_test_prints_one_line_in_front_of_a_person(file, person, capsys):
    smoke_test("01/accuracy", 0.99)
    assert capsys.readouterr().out == ""
    smoke_test("01/accuracy", 0.5)
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("! 01/accuracy is 0.5, expected 0.9")


def test_the_interval_of_eight_seeds_is_5_7_sample_deviations_wide(file):
    low, high = tolerance_interval("01/accuracy")
    mean, deviation = np.mean(RUNS), np.std(RUNS, ddof=1)
    assert np.allclose([(mean - low) / deviation, (high - mean) / deviation], 5.7, atol=0.02)


def test_the_interval_holds_999_of_1000_runs_with_95_percent_confidence(file, monkeypatch):
    rng = np.random.default_rng(0)
    lower_ends = []
    for _ in range(400):
        runs = dict(enumerate(rng.normal(size=8)))
        monkeypatch.setattr(records, "values", lambda profile, name, runs=runs: runs)
        lower_ends.append(tolerance_interval("normal")[0])
    # the share of all runs above the lower end is 99.9 % where the end is below -3.09
    assert 0.92 < np.mean(np.array(lower_ends) < -3.09) < 0.98


@pytest.mark.parametrize("own", range(3))
def test_the_sessions_own_seed_is_left_out(file, monkeypatch, own):
    values = [0.1, 0.2, 0.3, 0.25]
    store("01/own", values)
    monkeypatch.setenv("COURSE_SEED", str(own))
    without = tolerance_interval("01/own")
    store("01/own", [99 if seed == own else value for seed, value in enumerate(values)])
    assert tolerance_interval("01/own") == without
    monkeypatch.setenv("COURSE_SEED", "100")
    assert tolerance_interval("01/own") != without


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=8),
    share=st.floats(-0.99, 0.99),
)
def test_a_smoke_test_passes_inside_and_fails_outside(file, monkeypatch, values, share):
    monkeypatch.setattr(records, "values", lambda profile, name: dict(enumerate(values)))
    low, high = tolerance_interval("01/any")
    middle, half = (low + high) / 2, (high - low) / 2
    assert half > 0
    smoke_test("01/any", middle + share * half)
    for outside in (middle + 1.01 * half, middle - 1.01 * half):
        with pytest.raises(AssertionError):
            smoke_test("01/any", outside)


def test_a_number_that_no_seed_changes_is_inside_its_interval(file):
    store("03/knn", [0.9688] * 8)
    smoke_test("03/knn", 0.9688)
    with pytest.raises(AssertionError):
        smoke_test("03/knn", 0.9689)


@pytest.mark.parametrize(
    ("name", "profile", "seed", "found"),
    [
        ("01/accuracy", "full", "100", 0),
        ("01/loss", "lite", "100", 0),
        ("02/two", "lite", "1", 1),
    ],
)
def test_fewer_than_two_other_seeds_name_the_command_that_records(
    file, monkeypatch, name, profile, seed, found
):
    store("02/two", [0.1, 0.2])
    monkeypatch.setenv("COURSE_PROFILE", profile)
    monkeypatch.setenv("COURSE_SEED", seed)
    message = (
        rf"'{name}' has {found} other seeds on record in the {profile} profile.*"
        rf"python -m helpers\.course bands {name[:2]} --profile {profile}$"
    )
    with pytest.raises(LookupError, match=message):
        smoke_test(name, 0.15)
    with pytest.raises(LookupError, match=message):
        tolerance_interval(name)


@pytest.mark.parametrize("value", [np.array([0.9, 0.8]), "0.9", None, True])
def test_a_smoke_test_compares_one_number(file, value):
    with pytest.raises(ValueError, match=r"value must be one number.*'01/accuracy'"):
        smoke_test("01/accuracy", value)


def test_recording_notes_the_number_and_compares_nothing(file, tmp_path, monkeypatch):
    before = file.read_bytes()
    noted = tmp_path / "noted.jsonl"
    monkeypatch.setenv("COURSE_RECORD", str(noted))
    monkeypatch.setenv("COURSE_SEED", "3")
    smoke_test("01/accuracy", 0.1)
    smoke_test("01/new", np.float32(0.5))
    lines = [json.loads(line) for line in noted.read_text().splitlines()]
    assert [line["values"] for line in lines] == [{"01/accuracy": 0.1}, {"01/new": 0.5}]
    assert all((line["profile"], line["seed"]) == ("lite", 3) for line in lines)
    with pytest.raises(ValueError, match="value must be finite"):
        smoke_test("01/new", float("nan"))
    assert file.read_bytes() == before


def test_looking_at_an_interval_records_nothing(file, tmp_path, monkeypatch):
    noted = tmp_path / "noted.jsonl"
    monkeypatch.setenv("COURSE_RECORD", str(noted))
    tolerance_interval("01/accuracy")
    assert not noted.exists()

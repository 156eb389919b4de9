"""What `claim` and `within` do when a notebook is right, and when it is not."""

import json
import os
from importlib import metadata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.checks import band, bands, claim, skipped, within

RUNS = [0.9897, 0.9892, 0.9870, 0.9888, 0.9901, 0.9879, 0.9894, 0.9885]


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A bands.json of its own, with one band in the lite profile, which is the current one."""
    monkeypatch.setattr(bands, "PATH", tmp_path / "bands.json")
    monkeypatch.setenv("COURSE_PROFILE", "lite")
    monkeypatch.delenv("COURSE_RECORD", raising=False)
    monkeypatch.delenv("COURSE_SEED", raising=False)
    _store({"01/accuracy": RUNS})
    return bands.PATH


@pytest.fixture
def person(monkeypatch):
    """Somebody runs the cells by hand."""
    monkeypatch.setattr("helpers.checks.interactive", lambda: True)


def _store(values):
    content = bands.read(bands.PATH)
    content["lite"]["values"].update(values)
    bands.write(content)


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


def test_within_takes_what_eight_seeds_gave_and_refuses_what_they_could_not(file):
    assert all(within("01/accuracy", run) for run in RUNS)
    assert within("01/accuracy", np.float32(0.985)) is True
    assert within("01/accuracy", 0.98) is False
    assert within("01/accuracy", 0.999) is False
    assert within("01/accuracy", float("nan")) is False


def test_the_band_of_eight_seeds_is_5_7_sample_deviations_wide(file):
    low, high = band("01/accuracy")
    mean, deviation = np.mean(RUNS), np.std(RUNS, ddof=1)
    assert np.allclose([low, high], [mean - 5.7 * deviation, mean + 5.7 * deviation], rtol=1e-12)


def test_the_band_holds_999_of_1000_runs_with_95_percent_confidence(file):
    rng = np.random.default_rng(0)
    lower_ends = []
    for _ in range(400):
        _store({"normal": list(rng.normal(size=8))})
        lower_ends.append(band("normal")[0])
    # the share of all runs above the lower end is 99.9 % where the end is below -3.09
    assert 0.92 < np.mean(np.array(lower_ends) < -3.09) < 0.98


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=8),
    share=st.floats(-0.99, 0.99),
)
def test_within_is_true_inside_the_band_and_false_outside(file, values, share):
    _store({"any": values})
    low, high = band("any")
    middle, half = (low + high) / 2, (high - low) / 2
    assert half > 0
    assert within("any", middle + share * half)
    assert not within("any", middle + 1.01 * half)
    assert not within("any", middle - 1.01 * half)


def test_a_number_that_no_seed_changes_is_inside_its_band(file):
    _store({"03/knn": [0.9688] * 8})
    assert within("03/knn", 0.9688)
    assert not within("03/knn", 0.9689)


def test_each_profile_has_its_own_band(file, monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "full")
    with pytest.raises(LookupError, match=r"no band for '01/accuracy' in the full profile.* bands"):
        within("01/accuracy", 0.989)


def test_an_unknown_band_says_how_to_record_it(file):
    with pytest.raises(
        LookupError,
        match=r"no band for '01/loss' in the lite profile: record it with "
        r"python -m helpers\.course bands$",
    ):
        within("01/loss", 0.03)


@pytest.mark.parametrize("value", [np.array([0.9, 0.8]), "0.9", None, True])
def test_within_compares_one_number(file, value):
    with pytest.raises(ValueError, match=r"value must be one number.*'01/accuracy'"):
        within("01/accuracy", value)


def test_recording_notes_the_number_and_tests_nothing(file, tmp_path, monkeypatch):
    record = tmp_path / "record.jsonl"
    monkeypatch.setenv("COURSE_RECORD", str(record))
    monkeypatch.setenv("COURSE_SEED", "3")
    assert within("01/accuracy", 0.1) is True
    assert within("01/new", np.float32(0.5)) is True
    assert [json.loads(line) for line in record.read_text().splitlines()] == [
        {"profile": "lite", "name": "01/accuracy", "seed": 3, "value": 0.1},
        {"profile": "lite", "name": "01/new", "seed": 3, "value": 0.5},
    ]
    with pytest.raises(ValueError, match="value must be finite"):
        within("01/new", float("nan"))


def test_what_was_recorded_becomes_the_band(file, tmp_path, monkeypatch):
    record = tmp_path / "record.jsonl"
    monkeypatch.setenv("COURSE_RECORD", str(record))
    for seed in (4, 0, 7, 2, 1, 6, 3, 5):
        monkeypatch.setenv("COURSE_SEED", str(seed))
        within("02/new", seed / 10)
    bands.merge(record)
    content = bands.read(file)
    assert content["lite"]["values"]["02/new"] == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7]
    assert content["lite"]["values"]["01/accuracy"] == RUNS
    assert set(content["versions"]) == {"python", "tensorflow", "keras", "numpy", "scikit-learn"}
    assert content["versions"]["numpy"] == metadata.version("numpy")
    monkeypatch.delenv("COURSE_RECORD")
    assert within("02/new", 0.35)
    assert not within("02/new", 3)


def _line(seed, value=0.5, profile="lite", name="01/accuracy"):
    return json.dumps({"profile": profile, "name": name, "seed": seed, "value": value})


def test_merging_keeps_the_runs_of_networks_and_the_other_profile(file, tmp_path):
    run = {"seed": 0, "recipe": {"epochs": 1}, "accuracy": 0.9, "wrong": [3]}
    bands.record_run("full", "cnn", run)
    record = tmp_path / "record.jsonl"
    record.write_text("\n".join(_line(seed) for seed in range(8)))
    bands.merge(record)
    bands.record_run("full", "cnn", {**run, "seed": 1})
    content = bands.read(file)
    assert [r["seed"] for r in content["full"]["runs"]["cnn"]] == [0, 1]
    assert content["full"]["values"] == {}
    assert content["lite"]["values"] == {"01/accuracy": [0.5] * 8}
    assert "versions" in content


def test_merging_into_a_missing_file_makes_it(tmp_path):
    record = tmp_path / "record.jsonl"
    record.write_text("\n".join(_line(seed, profile="full") for seed in range(8)))
    bands.merge(record, tmp_path / "new.json")
    assert bands.read(tmp_path / "new.json")["full"]["values"] == {"01/accuracy": [0.5] * 8}
    assert sorted(os.listdir(tmp_path)) == ["new.json", "record.jsonl"]


def test_the_last_of_two_numbers_with_the_same_seed_counts(file, tmp_path):
    record = tmp_path / "record.jsonl"
    record.write_text("\n".join([_line(0, 0.1), _line(1, 0.2), _line(0, 0.3)]))
    bands.merge(record)
    assert bands.read(file)["lite"]["values"]["01/accuracy"] == [0.3, 0.2]


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(8)))
def test_the_order_of_the_record_does_not_matter(tmp_path_factory, order):
    folder = tmp_path_factory.mktemp("record")
    (folder / "record.jsonl").write_text("\n".join(_line(seed, seed) for seed in order))
    bands.merge(folder / "record.jsonl", folder / "bands.json")
    merged = bands.read(folder / "bands.json")["lite"]["values"]["01/accuracy"]
    assert merged == [0, 1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize(
    "lines, complaint",
    [
        ([_line(0), '{"profile": "lite"'], "line 2 of record.jsonl"),
        ([_line(0), "[1, 2]"], "line 2 of record.jsonl"),
        ([_line(0), '{"profile": "lite"}'], "line 2 of record.jsonl"),
        ([_line(0, profile="medium"), _line(1, profile="medium")], "line 1 of record.jsonl"),
        ([_line(0), _line(1, value="many")], "line 2 of record.jsonl"),
        ([_line(0), _line(2)], r"the seeds \[0, 2\], expected all of 0 to 1"),
        ([_line(0)], r"the seeds \[0\], expected all of 0 to 1"),
        (
            [*(_line(seed) for seed in range(8)), *(_line(seed, name="x") for seed in range(7))],
            "'x' in the lite profile has the seeds .*expected all of 0 to 7",
        ),
    ],
)
def test_a_damaged_or_incomplete_record_changes_nothing(file, tmp_path, lines, complaint):
    record = tmp_path / "record.jsonl"
    record.write_text("\n".join(lines))
    before = file.read_bytes()
    with pytest.raises(ValueError, match=complaint):
        bands.merge(record)
    assert file.read_bytes() == before

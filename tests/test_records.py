"""What is on record: lines are added and never lost, the latest counts, damage is named."""

import json
import os
import subprocess
import sys
import threading
from importlib import metadata

import numpy as np
import pytest

from helpers import records
from helpers.session import ROOT

RECIPE = {"epochs": 1}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty folder of records."""
    monkeypatch.setattr(records, "FOLDER", tmp_path / "records")
    return records.FOLDER


def run(seed, profile="lite", **values):
    return {
        "profile": profile,
        "seed": seed,
        "values": {f"09/{key}": value for key, value in values.items()},
    }


def training(seed, accuracy=0.9, profile="lite", recipe=RECIPE):
    line = {"profile": profile, "seed": seed, "recipe": recipe}
    return {**line, "accuracy": accuracy, "wrong": [3, 5]}


def test_values_are_those_of_one_profile_by_seed():
    for line in (run(2, a=0.3, b=1), run(0, a=0.1), run(0, "full", a=0.9)):
        records.append("chapter_09.jsonl", line)
    assert records.values("lite", "09/a") == {0: 0.1, 2: 0.3}
    assert list(records.values("lite", "09/a")) == [0, 2]
    assert records.values("lite", "09/b") == {2: 1}
    assert records.values("full", "09/a") == {0: 0.9}
    assert records.values("lite", "09/c") == records.values("lite", "10/a") == {}


def test_a_later_run_replaces_the_whole_earlier_one():
    records.append("chapter_09.jsonl", run(0, gone=1, a=0.1))
    records.append("chapter_09.jsonl", run(1, gone=1, a=0.2))
    records.append("chapter_09.jsonl", run(0, a=0.3))
    assert records.values("lite", "09/a") == {0: 0.3, 1: 0.2}
    assert records.values("lite", "09/gone") == {1: 1}


def test_trainings_are_of_one_recipe_and_count_every_seed_once():
    file = records.training_file("cnn", "fashion_mnist")
    old = {"epochs": 2}
    for line in (
        *(training(seed, recipe=old) for seed in (0, 1, 5)),
        *(training(seed) for seed in (1, 0)),
        training(0, 0.95),
        training(0, 0.5, profile="full"),
    ):
        records.append(file, line)
    found = records.trainings("lite", "cnn", "fashion_mnist")
    assert [(line["seed"], line["accuracy"]) for line in found] == [(0, 0.95), (1, 0.9)]
    assert found[0]["wrong"] == [3, 5]
    assert records.trainings("lite", "cnn") == []  # MNIST has a file of its own


def test_a_training_is_found_by_profile_seed_and_recipe():
    for line in (training(0), training(0, 0.95), training(0, 0.8, recipe={"epochs": 2})):
        records.append(records.training_file("cnn"), line)
    assert records.training("lite", "cnn", 0, RECIPE)["accuracy"] == 0.95
    assert records.training("lite", "cnn", 0, {"epochs": 2})["accuracy"] == 0.8
    assert records.training("lite", "cnn", 1, RECIPE) is None
    assert records.training("full", "cnn", 0, RECIPE) is None
    assert records.training("lite", "cnn", 0, {"epochs": 3}) is None
    assert records.training("lite", "cnn", 0, RECIPE, dataset="fashion_mnist") is None


def test_every_line_says_its_versions(folder):
    records.append("chapter_09.jsonl", run(0, a=0.5))
    versions = json.loads((folder / "chapter_09.jsonl").read_text())["versions"]
    assert set(versions) == {"python", "tensorflow", "keras", "numpy", "scikit-learn"}
    assert versions["numpy"] == metadata.version("numpy")


def test_two_processes_that_append_at_once_lose_nothing(folder):
    code = (
        "import sys; from pathlib import Path; from helpers import records\n"
        "for i in range(100):\n"
        "    records.append(Path(sys.argv[1]), {'profile': 'lite', 'recipe': {}, 'accuracy': 1,\n"
        "        'seed': int(sys.argv[2]) + i, 'wrong': list(range(3000))})"
    )
    path = folder / "mnist-cnn.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", code, path, first], cwd=ROOT)
        for first in ("0", "1000")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    seeds = [line["seed"] for line in records.trainings("lite", "cnn")]
    assert seeds == [*range(100), *range(1000, 1100)]


def test_a_line_is_never_appended_to_a_torn_one(folder):
    records.append("chapter_09.jsonl", run(0, a=0.5))
    path = folder / "chapter_09.jsonl"
    path.write_text(path.read_text() + '{"profile": "lite", "se')
    records.append("chapter_09.jsonl", run(1, a=0.5))
    lines = path.read_text().splitlines()
    assert len(lines) == 3 and json.loads(lines[2])["seed"] == 1


def test_a_line_that_is_being_written_is_waited_for(folder):
    records.append("chapter_09.jsonl", run(0, a=0.5))
    path = folder / "chapter_09.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:30])
    timer = threading.Timer(0.02, path.write_bytes, [whole])
    timer.start()
    assert records.values("lite", "09/a") == {0: 0.5}
    timer.join()


@pytest.mark.parametrize(
    "text",
    [
        '{"profile": "lite", "seed": 0, "val',
        "[1, 2]",
        "7",
        " ",
        "\ufffd",
        json.dumps({"profile": "lite", "seed": 0}),
        json.dumps({"seed": 0, "values": {}}),
        json.dumps(run(0, profile="medium", a=0.5)),
        json.dumps(run(0, a="many")),
        json.dumps(run(0, a=True)),
        json.dumps(run(0, a=float("nan"))),
        json.dumps(run("0", a=0.5)),
        json.dumps(run(-1, a=0.5)),
        json.dumps({**run(0), "values": [1]}),
        json.dumps({**training(0), "wrong": ["3"]}),
        json.dumps({**training(0), "wrong": None}),
        json.dumps({**training(0), "accuracy": "high"}),
        json.dumps({**training(0), "recipe": None}),
        json.dumps({"profile": "lite", "seed": 0, "accuracy": 0.5, "wrong": []}),
    ],
)
def test_a_damaged_line_is_named(folder, text):
    records.append("chapter_09.jsonl", run(0, a=0.5))
    with open(folder / "chapter_09.jsonl", "a", encoding="utf-8") as file:
        file.write(text + "\n")
    with pytest.raises(ValueError, match=r"^chapter_09\.jsonl, line 2 is damaged.*git checkout"):
        records.values("lite", "09/a")


def test_bytes_that_are_no_text_are_a_damaged_line(folder):
    folder.mkdir()
    (folder / "chapter_09.jsonl").write_bytes(b"\xff\xfe{}\n")
    with pytest.raises(ValueError, match=r"chapter_09\.jsonl, line 1 is damaged"):
        records.values("lite", "09/a")


def test_what_json_cannot_hold_is_refused_and_changes_nothing(folder):
    records.append("chapter_09.jsonl", run(0, a=0.5))
    before = (folder / "chapter_09.jsonl").read_bytes()
    for value in (float("nan"), np.float32(0.5)):
        with pytest.raises((ValueError, TypeError)):
            records.append("chapter_09.jsonl", run(1, a=value))
    assert (folder / "chapter_09.jsonl").read_bytes() == before


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_an_error():
    with pytest.raises(OSError):
        records.append("/dev/full", run(0, a=0.5))

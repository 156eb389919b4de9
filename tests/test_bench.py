import re

import numpy as np
import pytest

from helpers.course import bench, bench_grading
from helpers.course.__main__ import main


def test_bench_prints_ratios_and_says_which_library_is_missing(
    monkeypatch, sample, linear_model, capsys
):
    from helpers import models

    def missing(model, start, targets):
        raise ImportError

    # networks are neither trained nor loaded here, and the full data are not asked for
    networks = lambda name, dataset, seed: linear_model[0]  # noqa: E731
    monkeypatch.setattr(models, "load_or_train", networks)
    monkeypatch.setattr(models, "load_to_invert", networks)
    monkeypatch.setattr(bench.data, "load", lambda name: sample)
    monkeypatch.setattr(bench, "REPEATS", 1)
    monkeypatch.setattr(bench, "STEPS", 10)
    monkeypatch.setattr(bench, "PEER_STEPS", 2)
    monkeypatch.setattr(bench, "RBM_IMAGES", 200)
    monkeypatch.setattr(bench, "RBM_UNITS", 5)
    libraries = {"idle": lambda model, start, targets: lambda: start, "absent": missing}
    monkeypatch.setattr(bench, "LIBRARIES", libraries)
    main(["bench"])
    printed = capsys.readouterr().out
    assert printed.startswith("This takes about four minutes …\n")
    assert re.search(r"invert, 100 images +[\d,]+ image-steps/s +\d+\.\d x the eager loop", printed)
    assert re.search(r"beside the bare compiled step: \d+\.\d\d x", printed)
    for queries in ("100 digits", "1 digit", "100 noise images"):
        assert re.search(rf"search +{queries} +\d+\.\d ms +\d+\.\d x scikit-learn", printed)
    for batch in (10, 100):
        assert re.search(rf"batches of {batch} .* scikit-learn +\d+\.\d\d s: +\d+\.\d x", printed)
    assert len(re.findall(r"\w+ +\d+\.\d pictures a second, 10 are asked for", printed)) == 4
    assert printed.count("absent is not installed and does not take part") == 2
    rows = re.findall(r"(invert, blur_every=8|idle) +[\d,]+ +\d+\.\d x +\d\.\d\d +\d+%", printed)
    assert rows == ["invert, blur_every=8", "idle"] * 2


def test_the_work_of_the_reference_network_is_that_of_its_layers():
    from helpers import models

    by_hand = 26 * 26 * 32 * 9 + 11 * 11 * 64 * 9 * 32 + 1600 * 128 + 128 * 10
    assert bench.forward_flops(models.build_cnn()) == 2 * by_hand


def test_contenders_take_turns_after_a_first_call_that_does_not_count(monkeypatch):
    monkeypatch.setattr(bench, "REPEATS", 3)
    calls = []
    seconds = bench.alternate({name: lambda name=name: calls.append(name) for name in "ab"})
    assert "".join(calls) == "abababab"
    assert set(seconds) == {"a", "b"} and all(value >= 0 for value in seconds.values())


def test_a_search_that_finds_other_distances_is_no_benchmark(monkeypatch, sample):
    from helpers import neighbours

    def wrong(self, queries, k):
        return np.zeros((len(queries), k)), np.zeros((len(queries), k), int)

    monkeypatch.setattr(neighbours.NeighbourIndex, "search", wrong)
    with pytest.raises(RuntimeError, match="disagree on the distances"):
        list(bench.search(sample))


def test_a_synthetic_class_says_what_each_answer_deserves(tmp_path):
    deserved = bench_grading.synthetic_class(tmp_path, 40)
    kinds = list(deserved.values())
    assert len(kinds) == 160 and kinds.count("hostile") == 4
    assert {"right", "wrong", "not answered", "hostile"} == set(kinds)
    assert len(list(tmp_path.rglob("*.ipynb"))) == 40

"""Room 12: its networks, the choice of labels, the records, and what its figures say."""

import dataclasses
import json

import numpy as np
import pytest

from helpers import boltzmann, data, records
from helpers.chapters import chapter_12
from helpers.chapters.chapter_12 import build, labelled, setting
from helpers.session import ROOT

RNG = np.random.default_rng(0)
X, Y = RNG.random((40, 784)).astype("float32"), RNG.permutation(np.arange(40) % 10)


@pytest.fixture(scope="module")
def sample():
    return data.load("mnist", "lite")


def test_a_pretrained_network_computes_what_the_machines_do():
    net = boltzmann.train_dbn(X, [7, 7, 7], epochs=1, batch_size=10, seed=0)
    hidden = X
    for layer in build(2, 7, "dbn", net=net).layers[:2]:
        hidden = layer(hidden).numpy()
    lower = boltzmann.DBN(net.machines[:2])
    np.testing.assert_allclose(hidden, lower.hidden_probabilities(X), atol=1e-6)


@pytest.mark.parametrize(
    "start, spread", [("random", 0.01), ("glorot", 0.1), ("relu", (2 / 100) ** 0.5)]
)
def test_each_start_has_its_own_size_of_weights(start, spread):
    network = build(2, 100, start)
    assert network.layers[1].kernel.numpy().std() == pytest.approx(spread, rel=0.1)
    assert network.layers[0].activation.__name__ == ("relu" if start == "relu" else "sigmoid")
    assert network.layers[-1].activation.__name__ == "linear"


@pytest.mark.parametrize("optimiser, rate", [("gd", 1.0), ("adam", 0.01)])
def test_training_fits_a_few_images_and_falls_to_a_rate_of_zero(optimiser, rate):
    epochs = []
    how = {"rate": rate, "epochs": 60, "batch_size": 8, "watch": epochs.append}
    network = chapter_12.fit(build(1, 50, "glorot"), X, Y, optimiser, **how)
    assert chapter_12.error(network, X, Y) == 0
    assert epochs == list(range(1, 61))


def test_the_same_seed_trains_the_same_network():
    nets = [
        chapter_12.fit(build(1, 9, seed=seed), X, Y, "gd", rate=1, epochs=2, batch_size=8, seed=s)
        for seed, s in ((1, 1), (1, 1), (1, 2), (2, 1))
    ]
    first, again, other_order, other_start = (net.layers[0].kernel.numpy() for net in nets)
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other_order)
    assert not np.allclose(first, other_start)


def test_labels_are_chosen_evenly_and_a_smaller_choice_is_part_of_a_larger_one():
    y = RNG.integers(0, 10, 3000)
    few, many = (labelled(y, n, seed=3) for n in (100, 1000))
    assert np.bincount(y[few]).tolist() == [10] * 10
    assert set(few) <= set(many)
    assert len(set(many)) == 1000
    assert set(labelled(y, 3000, seed=0)) == set(range(3000))
    assert set(few) != set(labelled(y, 100, seed=4))


@pytest.mark.parametrize("n", [100, 1000, 3000])
def test_few_labels_get_small_batches_and_three_thousand_updates(n):
    for optimiser in chapter_12.OPTIMISERS:
        own = setting(2, 200, n, optimiser, "dbn")
        assert own.batch_size == 20
        assert own.epochs * (n // own.batch_size) == 3000


@pytest.mark.parametrize(
    "sizes",
    [
        {n: (n, 200, 10_000) for n in chapter_12.LAYERS},
        {n: (2, 200, n) for n in chapter_12.LABELS},
        {n: (2, n, chapter_12.EVERYTHING) for n in chapter_12.WIDTHS},
    ],
    ids=["layers", "labels", "neurons"],
)
def test_the_lines_of_a_study_have_the_same_seeds_at_each_size(sizes):
    """Only so are they pairs."""
    recorded = chapter_12.recorded()
    for size in sizes.values():
        seeds = [tuple(recorded.get(setting(*size, *line), {})) for line in chapter_12.LINES]
        assert len(set(map(frozenset, seeds))) == 1, (size, seeds)


BETTER = ("gd", "persistent"), ("adam", "random"), ("adam", "persistent")
ROWS = {  # name in README.md -> size, and the four lines of its row, as far as they were trained
    f"{layers} layers of {width} units, {n:,} labels": ((layers, width, n), lines)
    for layers, width, n, lines in (
        (5, 200, 60_000, chapter_12.LINES),
        (5, 200, 10_000, chapter_12.LINES),
        (2, 200, 1000, chapter_12.LINES),
        *((*chapter_12.LARGER, n, (None, *BETTER)) for n in (60_000, 10_000, 1000)),
    )
}


def row_of(name):
    """The row that README.md must have: mean and deviation over the seeds of each line."""
    size, lines = ROWS[name]
    recorded = [line and chapter_12.errors(*size, *line) for line in lines]
    [seeds] = {len(each) for each in recorded if each is not None}
    stated = [
        "–" if each is None else f"{each.mean():.2f} ± {each.std(ddof=1):.2f}" for each in recorded
    ]
    return f"| {name}, {seeds} seeds | {' | '.join(stated)} | 12 |"


@pytest.mark.parametrize("name", ROWS)
def test_the_readme_states_the_recorded_means_and_deviations(name):
    assert row_of(name) in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()


def test_recording_goes_on_where_it_stopped(monkeypatch, tmp_path, sample, capsys):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path))
    monkeypatch.setattr(chapter_12.data, "load", lambda *_: sample)
    few = [
        dataclasses.replace(setting(1, 5, 100, "gd", start), epochs=1)
        for start in ("random", "dbn")
    ]
    monkeypatch.setattr(chapter_12, "settings", lambda: [few])
    monkeypatch.setitem(chapter_12.PRETRAINING["dbn"], "epochs", 1)
    chapter_12.record([0], [few])
    first = (tmp_path / chapter_12.FILE).read_text()
    assert [json.loads(line)["setting"]["start"] for line in first.splitlines()] == [
        "random",
        "dbn",
    ]
    chapter_12.record([0], [few])
    assert (tmp_path / chapter_12.FILE).read_text() == first
    chapter_12.record([1], [few])
    assert all(set(own) == {0, 1} for own in chapter_12.recorded().values())


STUDY = {
    ("gd", "random"): {1: [9.0, 8.0], 2: [88.0, 89.0]},
    ("adam", "dbn"): {1: [2.0, 2.1], 2: [1.5, 1.4]},
}


def test_a_study_shows_a_dot_for_each_seed_and_a_line_through_the_means(shown):
    chapter_12.show_study(STUDY, "hidden layers", "How many?", None)
    [call] = shown
    for ax, errors in zip(call.figure.axes, STUDY.values(), strict=True):
        dots = np.concatenate([dots.get_offsets() for dots in ax.collections])
        np.testing.assert_allclose(dots, [[x, e] for x in errors for e in errors[x]])
        np.testing.assert_allclose(ax.lines[0].get_ydata(), [np.mean(e) for e in errors.values()])
    assert "lowest is Adam, pretrained" in call.alt


def test_the_figures_say_which_way_is_best(shown):
    chapter_12.show_gradients({"a": [1e-6, 1.0], "b": [0.1, 2.0]}, "Gradients")
    chapter_12.show_curves({"a": [50.0, 3.0], "b": [9.0, 4.0]}, "Curves")
    chapter_12.show_groups({"a": [5.0, 3.0], "b": [2.0, 1.0]}, "Groups")
    gradients, curves, groups = (call.alt for call in shown)
    assert "the smallest gradient is that of: a." in gradients
    assert "the lowest is: a." in curves
    assert "b; a." in groups


def test_fields_are_the_weights_of_the_units(shown):
    chapter_12.show_fields({"a": X[:3], "b": X[3:6]}, "Fields")
    pictures = [ax.images[0].get_array() for ax in shown[0].figure.axes]
    np.testing.assert_array_equal(np.reshape(pictures, (6, 784)), X[:6])

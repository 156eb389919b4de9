"""The figures of room 10: what is drawn, read from the artists, and what is said of it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers import data, records, session
from helpers.backend import keras
from helpers.chapters import chapter_10

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def stand_in():
    return data.load("california", "lite")


HISTORY = {"loss": [2.0, 1.0, 0.5], "val_loss": [2.1, 1.2, 0.9]}
DRAWN = {
    "map": lambda homes: chapter_10.show_map(homes, homes.x_test, homes.y_test, "Prices"),
    "distributions": lambda homes: chapter_10.show_distributions(homes, homes.x_test, homes.y_test),
    "curves": lambda homes: chapter_10.show_curves(homes, HISTORY),
    "errors": lambda homes: chapter_10.show_errors(homes, homes.y_test, homes.y_test + 0.1),
    "coverage": lambda homes: chapter_10.show_coverage(homes, {"one": np.full(5, 0.7)}, 0.9),
    "walks": lambda homes: chapter_10.show_walks(homes, {"free": (np.ones(3), np.ones(3))}, 5),
}


@pytest.mark.parametrize("figure", DRAWN)
def test_only_figures_of_the_stand_in_say_so_in_their_title(stand_in, shown, figure):
    DRAWN[figure](stand_in)
    DRAWN[figure](dataclasses.replace(stand_in, profile="full"))
    made_up, real = (call.figure.get_suptitle() for call in shown)
    assert made_up == f"STAND-IN, made-up data · {real}"
    assert "STAND-IN" not in real


def test_a_map_draws_each_district_where_it_lies(stand_in, shown):
    x, y = stand_in.x_test[:50], stand_in.y_test[:50]
    chapter_10.show_map(stand_in, x, y, "Prices", name="10_map")
    [dots] = shown[0].axes[0].collections
    order = np.argsort(y)
    np.testing.assert_allclose(dots.get_offsets(), x[order][:, [7, 6]], rtol=1e-6)
    np.testing.assert_array_equal(dots.get_array(), y[order])
    assert shown[0].name == "10_map"


def test_a_map_of_errors_is_white_where_there_are_none(stand_in, shown):
    errors = RNG.normal(size=800)
    chapter_10.show_map(stand_in, stand_in.x_test, errors, "Errors", "residual", centre=0)
    [dots] = shown[0].axes[0].collections
    low, high = dots.get_clim()
    assert low == -high
    assert dots.get_cmap().name == "RdBu_r"


def test_the_histogram_of_the_price_shows_the_cap_and_the_others_cut_their_tails(stand_in, shown):
    x, y = stand_in.x_train, stand_in.y_train
    chapter_10.show_distributions(stand_in, x, y)
    heights = [[bar.get_height() for bar in ax.patches] for ax in shown[0].axes]
    assert sum(heights[-1]) == len(y)
    assert heights[-1][-1] > heights[-1][-2]  # the pile
    for column in (0, 2, 4):
        assert 0.99 * len(x) < sum(heights[column]) < len(x)


def test_the_ranking_has_the_best_model_at_the_bottom(shown):
    ours = {"small": [0.5, 0.52], "rich": [0.41, 0.42], "never run": []}
    chapter_10.show_ranking(ours, {"TabR": 0.4})
    ax = shown[0].axes[0]
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert labels == ["small", "rich", "TabR (published)"]
    dots = [collection.get_offsets()[:, 0].tolist() for collection in ax.collections]
    assert dots == [[0.5, 0.52], [0.41, 0.42], [0.4]]
    assert ax.yaxis_inverted()


def test_a_training_counts_its_epochs(monkeypatch):
    bars = []

    def bar(total, what):
        bars.append(Bar(total, what))
        return bars[-1]

    class Bar(list):
        def __init__(self, *told):
            super().__init__(told)

        def update(self):
            self.append("epoch")

        def __enter__(self):
            return self

        def __exit__(self, *error):
            self.append("closed")

    monkeypatch.setattr(session, "progress_bar", bar)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("adam", loss="mse")
    history = chapter_10.fit(model, np.zeros((8, 1)), np.ones(8), "network", epochs=2)
    assert bars == [[2, "network", "epoch", "epoch", "closed"]]
    assert len(history["loss"]) == 2


def test_titles_and_alt_texts_say_what_was_measured(stand_in, shown):
    chapter_10.show_curves(stand_in, {"loss": [2, 1, 0.5], "val_loss": [2, 0.1, 0.2]})
    chapter_10.show_coverage(stand_in, {"a": np.full(5, 0.7), "b": np.full(5, 0.6)}, 0.8)
    y = np.linspace(0, 5, 100)
    chapter_10.show_errors(stand_in, y, y + np.linspace(1, 0, 100) * (-1) ** np.arange(100))
    results = {"far": (np.full(3, 9), np.ones(3)), "close": (np.ones(3), np.ones(3))}
    chapter_10.show_walks(stand_in, results, 5)
    titles = [call.figure.get_suptitle() for call in shown]
    assert titles[0].endswith("The validation loss is lowest in epoch 2 of 3")
    assert titles[1].endswith("Asked for 80 %, held in the dearest fifth: 70 % and 60 %")
    curves, coverage, errors, walks = (call.alt for call in shown)
    assert "lies below the training loss" in curves
    assert coverage.endswith("in the dearest fifth: b, a.")
    assert "a fan that closes" in errors
    assert walks.endswith("to the furthest: close, far.")


def test_tables_of_errors_have_three_digits():
    table = chapter_10.price_table(pd.DataFrame({"RMSE": [0.51234, np.nan]}))
    assert ">0.512<" in table.to_html()
    assert ">–<" in table.to_html()


@pytest.mark.parametrize(
    ("row", "model"), [("network 64-32-1", "network"), ("300 boosted trees", "boosted trees")]
)
def test_the_readme_states_the_means_and_deviations_of_the_recorded_splits(row, model):
    readme = (session.ROOT / "README.md").read_text(encoding="utf-8")
    line = next(line for line in readme.splitlines() if line.startswith(f"| {row} "))
    for stated, inputs in zip(line.split("|")[2:4], ("8 columns", "all inputs"), strict=True):
        splits = list(records.values("full", f"10/{model}, {inputs}").values())
        assert len(splits) == 5
        assert stated.strip() == f"{np.mean(splits):.3f} ± {np.std(splits, ddof=1):.3f}"


def test_the_recorded_splits_keep_what_the_chapter_promises():
    def splits(name):
        return list(records.values("full", f"10/{name}").values())

    assert np.mean(splits("network, all inputs")) <= 0.435
    assert np.mean(splits("boosted trees, all inputs")) <= 0.415
    assert min(splits("conformalised quantiles, coverage")) >= 0.9
    assert max(splits("conformalised quantiles, mean width")) <= 1.15

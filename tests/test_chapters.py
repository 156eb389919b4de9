"""The figures of rooms 04 to 07: what is drawn, read from the artists, and what is said of it."""

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex, to_rgb
from scipy import stats

from helpers import plotting
from helpers.chapters import chapter_04, chapter_05, chapter_06, chapter_07

RNG = np.random.default_rng(0)
BLUE, ORANGE, RED = plotting.COLOURS[0], plotting.COLOURS[1], plotting.COLOURS[3]


def images(*shape):
    """Random images of 5 x 4 pixels: no room may know the size of a digit."""
    return RNG.random((*shape, 5, 4, 1), dtype=np.float32)


def inversion(targets, steps=4, frames=0, start=None):
    """Make a result like those of `invert`, with random images and probabilities."""
    n = len(targets)
    trace = RNG.random((steps + 1, n))
    return SimpleNamespace(
        start=images(n) if start is None else start,
        images=images(n),
        targets=np.asarray(targets),
        probability=trace[-1],
        trace=trace,
        frames=images(frames, n),
    )


def pictures(axes):
    """The pixels of every axes that shows an image, in order."""
    return [np.asarray(ax.images[0].get_array()) for ax in axes if ax.images]


def assert_digits(axes, expected):
    """These images, in this order, in gray, from black at 0 to white at 1."""
    drawn = [ax.images[0] for ax in axes if ax.images]
    assert {image.get_clim() for image in drawn} == {(0, 1)}
    assert {image.get_cmap().name for image in drawn} == {"gray"}
    np.testing.assert_array_equal(pictures(axes), np.asarray(expected)[..., 0])


def texts(items):
    return [item.get_text() for item in items]


def headline(figure):
    return figure.get_suptitle()


def column_labels(axes, columns):
    return [ax.get_title() for ax in axes[:columns]]


def row_labels(axes, columns):
    return [ax.get_ylabel() for ax in axes[::columns]]


# --- 04


def heights(ax):
    """The bars of a histogram: middle of the bar -> images in it."""
    return {
        round(bar.get_x() + bar.get_width() / 2, 2): bar.get_height()
        for bar in ax.patches
        if bar.get_height()
    }


def test_a_histogram_counts_every_image_once_in_its_bar(shown):
    chapter_04.show_confidences(
        {
            "CNN": np.array([1, 1, 0.98, 1]),
            "k-NN, k = 5": np.array([0.2, 0.4, 0.4, 1]),
            "LR": np.array([0.1, 0.5, 0.5, 0.5]),
        }
    )
    (call,) = shown
    assert [heights(ax) for ax in call.axes] == [
        {0.98: 1, 1: 3},
        {0.2: 1, 0.4: 2, 1: 1},
        {0.1: 1, 0.5: 3},
    ]
    assert {ax.get_yscale() for ax in call.axes} == {"log"}
    titles = [ax.get_title(loc="left") or ax.get_title() for ax in call.axes]
    assert titles == ["CNN:\none peak at 1", "k-NN, k = 5:\nmultiples of 1/5", "LR:\nspread out"]


def test_the_sharpened_histogram_names_the_power_that_was_used(shown):
    cnn, lr, sharpened = np.full(3, 1.0), np.full(4, 0.5), np.full(5, 0.9)
    chapter_04.show_sharpened(cnn, lr, sharpened, power=7)
    (call,) = shown
    assert [heights(ax) for ax in call.axes] == [{1: 3}, {0.5: 4}, {0.9: 5}]
    assert "to the power 7:" in call.axes[2].get_title(loc="left") + call.axes[2].get_title()


def test_a_power_that_makes_no_peak_is_not_said_to_make_one(shown):
    for sharpened in (0.9, 0.999):
        chapter_04.show_sharpened(np.full(3, 1.0), np.full(4, 0.5), np.full(5, sharpened), power=2)
    titles = [c.axes[2].get_title(loc="left") + c.axes[2].get_title() for c in shown]
    assert ["no peak yet" in title for title in titles] == [True, False]
    assert ["has the CNN's peak" in call.alt for call in shown] == [False, True]


@pytest.fixture
def reliability():
    table = pd.DataFrame(
        {
            "low": [0.6, 0.8],
            "high": [0.8, 1.0],
            "count": [25, 75],
            "confidence": [0.7, 0.9],
            "accuracy": [0.6, 0.96],
        }
    )
    return table


def test_reliability_dots_and_exact_whiskers_stand_where_the_table_says(shown, reliability):
    chapter_04.show_reliability({"CNN": reliability}, {"CNN": -0.07})
    (call,) = shown
    (ax,) = call.axes
    assert not ax.patches, "no bars behind the dots"
    whiskers, dots = ax.collections
    ends = [segment[:, 1] for segment in whiskers.get_segments()]
    # of 25 images that say 0.7: 13 to 22 are right; of 75 that say 0.9: 62 to 72 (binomial)
    np.testing.assert_allclose(ends, [(13 / 25, 22 / 25), (62 / 75, 72 / 75)])
    np.testing.assert_allclose(dots.get_offsets(), [(0.7, 0.6), (0.9, 0.96)])
    np.testing.assert_allclose(dots.get_sizes(), [10 + 120 * 0.25, 10 + 120 * 0.75])
    diagonal = ax.lines[0]
    np.testing.assert_array_equal(diagonal.get_xdata(), diagonal.get_ydata())
    assert (ax.get_xscale(), ax.get_yscale()) == ("logit", "logit")
    assert "7.0 points too modest" in ax.get_title(loc="left") + ax.get_title()


def test_a_reliability_table_above_one_by_a_rounding_error_is_drawn(shown, reliability):
    reliability["confidence"], reliability["accuracy"] = [0.7, 1 + 1e-7], [0.0, 1.0]
    chapter_04.show_reliability({"CNN": reliability}, {"CNN": 0.07})
    (ax,) = shown[0].axes
    for drawn in (*ax.collections[0].get_segments(), ax.collections[1].get_offsets()):
        assert ((np.asarray(drawn) > 0) & (np.asarray(drawn) < 1)).all(), "a log-odds axis has no 1"
    assert "too sure" in ax.get_title(loc="left") + ax.get_title()


def test_refusal_draws_risk_against_the_share_kept_and_as_part_of_the_whole_risk(shown):
    kept = np.linspace(0.02, 1, 50)
    curves = {"CNN": (kept, kept / 50), "LR": (kept, kept / 10)}
    chapter_04.show_refusal(curves)
    (call,) = shown
    left, right = call.axes
    part = kept >= 0.5
    for place, (_, risk) in enumerate(curves.values()):
        for ax in (left, right):
            np.testing.assert_allclose(ax.lines[place].get_xdata(), 100 * kept[part])
        np.testing.assert_allclose(left.lines[place].get_ydata(), 100 * risk[part])
        np.testing.assert_allclose(right.lines[place].get_ydata(), 100 * kept[part])
    assert texts(left.get_legend().get_texts()) == ["CNN", "LR"]
    assert call.name == "04_refusal"


def test_refusal_names_the_model_that_is_lowest_and_none_where_the_curves_cross(shown):
    kept = np.linspace(0.02, 1, 50)
    chapter_04.show_refusal({"CNN": (kept, kept / 5), "LR": (kept, kept / 10)})
    chapter_04.show_refusal({"CNN": (kept, kept / 5), "LR": (kept, 0.1 + 0 * kept)})
    titles = [c.axes[0].get_title(loc="left") + c.axes[0].get_title() for c in shown]
    assert titles == ["LR has the least risk at every share drawn", "Risk of the images kept"]


def test_a_reliability_diagram_says_on_which_side_of_chance_a_model_lies(shown, reliability):
    for accuracy in ([0.7, 0.9], [0.2, 0.9], [0.2, 1.0]):
        table = reliability.assign(accuracy=accuracy)
        chapter_04.show_reliability({"CNN": table}, {"CNN": 0.07})
    sides = ["chance explains it", "dots lie below chance", "dots lie below and some above chance"]
    for call, side in zip(shown, sides, strict=True):
        assert side in call.alt


def test_active_learning_draws_the_lead_of_each_draw_with_its_interval(shown):
    chance, curves = RNG.random((4, 3)), {}
    for name, lead in {"chance": 0 * chance, "least m(x)": RNG.random((4, 3)) / 10}.items():
        curves[name] = chance + lead
    chapter_04.show_active_learning(curves, np.array([50, 100, 150]))
    left, right = shown[0].axes
    for line, values in zip(left.lines, curves.values(), strict=True):
        np.testing.assert_allclose(line.get_xdata(), [50, 100, 150])
        np.testing.assert_allclose(line.get_ydata(), 100 * values.mean(axis=0))
    lead = 100 * (curves["least m(x)"] - chance)
    np.testing.assert_allclose(right.lines[0].get_ydata(), lead.mean(axis=0))
    expected = stats.ttest_1samp(lead, 0).confidence_interval(0.95)
    assert len(right.lines) == 2, "chance has no lead over itself: a dashed line at 0"
    band = right.collections[0].get_paths()[0].vertices[:, 1]
    for end in (expected.low, expected.high):
        assert all(np.isclose(band, value).any() for value in end)
    assert texts(left.get_legend().get_texts()) == ["chance", "least m(x)"]


def test_strips_show_the_largest_probability_of_every_image(shown):
    kinds = {"digits": images(6), "black": images(1)}
    p = {
        kind: {name: RNG.dirichlet(np.ones(4), len(x)) for name in ("CNN", "LR")}
        for kind, x in kinds.items()
    }
    chapter_04.show_no_digits(kinds, p, {"CNN": 0.9, "LR": 0.6})
    (call,) = shown
    assert_digits(call.axes[:2], [kinds["digits"][0], kinds["black"][0]])
    for ax, kind in zip(call.axes[2:], kinds, strict=True):
        dots, lines = ax.collections[::2], ax.collections[1::2]
        for place, (name, q05) in enumerate({"CNN": 0.9, "LR": 0.6}.items()):
            x, height = dots[place].get_offsets().T
            np.testing.assert_allclose(height, p[kind][name].max(axis=1))
            assert (abs(x - place) < 0.3).all(), "the dots of a model stand above its name"
            assert to_hex(dots[place].get_facecolor()[0]) == to_hex(plotting.COLOURS[place])
            np.testing.assert_allclose(lines[place].get_segments()[0][:, 1], q05)
        assert texts(ax.get_xticklabels()) == ["CNN", "LR"]


# --- 05


def test_the_stall_draws_p_left_its_gradient_right_and_where_a_walk_stops(shown):
    noise, real = RNG.random((4, 2)), RNG.random((6, 2))
    chapter_05.show_naive_walks({"from noise": noise, "from a 6": real}, target=7, epsilon=0.02)
    (call,) = shown
    left, right = call.axes
    for ax, column in ((left, 0), (right, 1)):
        for line, trajectory in zip(ax.lines, (noise, real), strict=False):
            np.testing.assert_array_equal(line.get_ydata(), trajectory[:, column])
        assert ax.get_yscale() == "log"
    assert len(left.lines) == 2
    assert list(right.lines[2].get_ydata()) == [0.02, 0.02]
    assert left.get_ylabel() == "p of class 7"
    assert texts(left.get_legend().get_texts()) == ["from noise", "from a 6"]


def test_the_stall_says_which_start_gets_there_and_which_begins_on_flat_ground(shown):
    climbs, stays = np.array([[0.1, 0.3], [0.95, 0.2]]), np.array([[0.1, 0.01], [0.2, 0.01]])
    for first, second, reached, flat in [
        (climbs, stays, "from noise, not from a 6", "from a 6"),
        (stays, climbs, "from a 6, not from noise", "from noise"),
        (climbs, climbs, "from noise and from a 6", "neither from noise nor from a 6"),
    ]:
        chapter_05.show_naive_walks(
            {"from noise": first, "from a 6": second}, target=8, epsilon=0.02
        )
        left, right = shown[-1].axes
        assert left.get_title(loc="left") + left.get_title() == f"p ≥ 0.9: {reached}"
        assert right.get_title(loc="left") + right.get_title() == f"Below ε at the start: {flat}"
        assert reached in shown[-1].alt
        assert "class 8" in shown[-1].alt


def test_the_repair_marks_the_floor_and_draws_all_steps_on_one_axis_of_lengths(shown):
    kinds = ("log p, normalised", "p, normalised", "log p, raw", "p, raw")
    trajectories = {name: RNG.random((4, 2)) for name in kinds}
    chapter_05.show_repair(trajectories, target=2)
    left, right = shown[0].axes
    assert list(left.lines[4].get_ydata()) == [1e-10, 1e-10]
    for ax, column in ((left, 0), (right, 1)):
        for line, trajectory in zip(ax.lines, trajectories.values(), strict=False):
            np.testing.assert_array_equal(line.get_ydata(), trajectory[:, column])
    assert len(right.lines) == 4
    assert [line.get_linestyle() for line in right.lines] == ["-", "--", "-", "--"]
    assert left.get_ylabel() == "p of class 2"
    assert right.get_ylabel() == "length of the step"
    trajectories = {name: path / 2 for name, path in trajectories.items()}
    trajectories["p, raw"][2, 0] = 0.93
    chapter_05.show_repair(trajectories, target=8)
    title = shown[1].axes[0].get_title(loc="left") + shown[1].axes[0].get_title()
    assert title.endswith(": 1 of 4")
    assert "class 8" in shown[1].alt


def test_film_strips_show_every_other_frame_of_the_pair_that_was_asked_for(shown):
    runs = {name: inversion(np.arange(100) % 10, steps=8, frames=5) for name in ("noise", "real")}
    chapter_05.show_film_strips(runs, source=4, target=9)
    (call,) = shown
    assert_digits(call.axes, [run.frames[i, 49] for run in runs.values() for i in (0, 2, 4)])
    assert column_labels(call.axes, 3) == ["0", "4", "8"]
    assert row_labels(call.axes, 3) == ["noise", "a real 4"]
    assert "class 9" in headline(call.figure)
    assert "real 4" in call.alt
    assert "class 9" in call.alt


def test_the_matrix_has_sources_in_rows_and_frames_its_diagonal_only(shown):
    table = images(100)
    taken = np.ones(100, bool)
    taken[[0, 11, 34]] = False  # two on the diagonal, and one that counts
    chapter_05.show_matrix(table, taken)
    (call,) = shown
    assert "89 of 90" in headline(call.figure)
    cells = call.axes[:100]
    assert_digits(cells, table)
    assert column_labels(cells, 10) == row_labels(cells, 10) == list("0123456789")
    framed = [ax.spines["left"].get_visible() for ax in cells]
    assert np.flatnonzero(framed).tolist() == list(range(0, 100, 11))
    assert to_hex(cells[11].spines["left"].get_edgecolor()) == to_hex(ORANGE)
    assert call.figure.get_supxlabel() == "target class"
    assert call.figure.get_supylabel().startswith("real source")


def test_the_film_opens_with_its_end_and_names_the_targets_above_the_images(monkeypatch):
    calls = []
    monkeypatch.setattr(plotting, "animate", lambda *args, **kw: calls.append((args, kw)))
    frames = RNG.random((3, 10, 28, 28, 1), dtype=np.float32)
    chapter_05.show_film(frames, source=2)
    ((drawn, alt), keywords) = calls[0]
    pixels, labels = drawn[:, :, -28:], drawn[:, :, :-28]
    np.testing.assert_array_equal(pixels, frames[[2, 0, 1, 2], ..., 0])
    assert (labels == labels[0]).all(), "the labels stay"
    assert len({label.tobytes() for label in labels[0]}) == 10, "each target has its own"
    assert labels.max() > 0.9
    assert "real 2" in alt
    assert keywords["name"] == "05_film"


def test_slopes_are_drawn_against_p(shown):
    noise, real = RNG.random((3, 5)), RNG.random((3, 7))
    chapter_05.show_slopes({"noise": noise, "real": real})
    left, right = shown[0].axes
    for ax, row in ((left, 1), (right, 2)):
        for line, slopes in zip(ax.lines, (noise, real), strict=False):
            np.testing.assert_array_equal(line.get_xdata(), slopes[0])
            np.testing.assert_array_equal(line.get_ydata(), slopes[row])
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert len(left.lines) == 2
    assert list(right.lines[2].get_xdata()) == [1e-10, 1e-10]


def test_agreement_is_drawn_at_the_steps_it_was_measured_at(shown):
    curves = {
        "start: noise": {"CNN": RNG.random(3), "MLP": RNG.random(3)},
        "start: real": {"CNN": RNG.random(3), "MLP": RNG.random(3)},
    }
    chapter_05.show_agreement(curves, max_steps=50)
    (call,) = shown
    for ax, (title, shares) in zip(call.axes, curves.items(), strict=True):
        assert title in ax.get_title(loc="left") + ax.get_title()
        for line, share in zip(ax.lines, shares.values(), strict=True):
            np.testing.assert_allclose(line.get_xdata(), [0, 25, 50])
            np.testing.assert_allclose(line.get_ydata(), 100 * share)
        ends = {judge: share[-1] for judge, share in shares.items()}
        least = min(ends, key=ends.get)
        said = f"Least convinced: {least}, {100 * ends[least]:.0f} %"
        assert said in ax.get_title(loc="left") + ax.get_title()
    assert call.axes[0].get_legend() is None
    assert texts(call.axes[1].get_legend().get_texts()) == ["CNN", "MLP"]
    assert call.axes[0].get_ylabel() == "taken for their target (%)"


def test_differences_are_after_minus_before_red_for_added_on_one_scale(shown):
    start = images(100)
    targets = np.arange(100) % 10
    stopped, walked = (inversion(targets, steps=4, start=start) for _ in range(2))
    chapter_05.show_differences(stopped, walked, [12, 80], stop_at=0.7)
    (call,) = shown
    rows = [start, stopped.images, stopped.images - start, walked.images, walked.images - start]
    drawn = pictures(call.axes)
    np.testing.assert_array_equal(drawn, [row[i, ..., 0] for row in rows for i in (12, 80)])
    for row, first in enumerate(call.axes[::2]):
        image = first.images[0]
        signed = row in (2, 4)
        assert image.get_cmap().name == ("RdBu_r" if signed else "gray")
        assert image.get_clim() == ((-1, 1) if signed else (0, 1))
    added, removed = (call.axes[4].images[0].cmap(share) for share in (1.0, 0.0))
    assert added[0] > added[2], "red was added"
    assert removed[2] > removed[0], "blue was removed"
    assert column_labels(call.axes, 2) == ["1 → 2", "8 → 0"]
    assert row_labels(call.axes, 2)[1] == "stopped at 0.7"
    assert row_labels(call.axes, 2)[3] == "4 steps"
    assert "at 0.7" in headline(call.figure)
    assert "after 4 steps" in headline(call.figure)
    for run in (stopped, walked):
        changed = np.abs(run.images - start)[[12, 80]].mean()
        assert f"by {changed:.2f}" in headline(call.figure)


def test_each_learning_rate_has_its_own_panel_and_a_title_that_says_what_came_out(shown):
    runs = {rate: inversion([1, 2, 3], steps=9) for rate in (0.02, 0.3, 7, 50)}
    runs[0.02].trace = 0.1 * runs[0.02].trace
    for rate in (0.3, 7):
        runs[rate].trace[2:] = 0.97
    runs[50].trace[::2], runs[50].trace[1::2] = 0.95, 0.2
    chapter_05.show_step_sizes(runs)
    (call,) = shown
    words = ("p stays low", "p rises and stays", "p rises and stays", "p jumps")
    for ax, (rate, run), word in zip(call.axes, runs.items(), words, strict=True):
        np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], run.trace.T)
        assert f"η = {rate:g}: {word}" in ax.get_title(loc="left") + ax.get_title()


@pytest.mark.parametrize(
    ("room", "read", "said"),
    [
        ([3, None, "7", 2.0], [3, None, 7, 2], ""),
        ("3 ? 7,2", [3, None, 7, 2], ""),
        ("3 ?\n7\t2\n", [3, None, 7, 2], ""),
        (["?", "3", "-", 4], [None, 3, None, 4], ""),
        ("3 ? 7 …", [3, None, 7, None], ""),
        ([3, "three", 12, -1], [3, None, None, None], "image 2 ('three'), image 3 (12), image 4"),
        (
            [1, 2.5, True, [4]],
            [1, None, None, None],
            "image 2 (2.5), image 3 (True)",
        ),
        ([1], [1, None, None, None], ""),
        (5, [5, None, None, None], ""),
        (None, [None] * 4, ""),
        ([1, 2, 3, 4, 5], [1, 2, 3, 4], "the answers after image 4"),
    ],
)
def test_what_a_room_read_is_taken_however_it_was_typed(capsys, room, read, said):
    assert chapter_05.digits_read(room, n=4) == read
    printed = capsys.readouterr().out
    assert printed.count("\n") == bool(said), "one sentence, or none"
    assert said in printed


@pytest.mark.parametrize(
    ("room", "lacks"),
    [
        ([None] * 4, "all images"),
        ("", "all images"),
        ([3, "?", None, 8], "image 3"),
        ("3 5", "image 3, 4"),
    ],
)
def test_nobody_sees_the_targets_before_each_image_was_read(monkeypatch, capsys, room, lacks):
    shown = []
    monkeypatch.setattr(chapter_05, "display", shown.append)
    chapter_05.reveal(room, np.array([3, 5, 6, 8]), np.ones(4))
    assert capsys.readouterr().out.startswith(f"Not read yet: {lacks}. The targets are shown when")
    assert not shown


@pytest.mark.parametrize("room", ["3 ? 9 8", "3 ?\n9 8", [3, "?", 9, "8"], [3, "?", "nine", 8]])
def test_the_key_stands_beside_what_the_room_read(monkeypatch, capsys, room):
    shown = []
    monkeypatch.setattr(chapter_05, "display", shown.append)
    chapter_05.reveal(room, np.array([3, 5, 6, 8]), np.array([1, 1, 1, 0.9]))
    (table,) = shown
    assert table.data["target"].tolist() == [3, 5, 6, 8]
    assert table.data["the room"].isna().tolist()[1]
    printed = capsys.readouterr().out
    assert "right, the room: 2 of 4" in printed
    assert "3.9 of 4" in printed


def test_ten_starts_are_those_that_went_to_the_target(shown):
    runs = {name: inversion(np.arange(20) % 10, steps=5) for name in ("noise", "real")}
    chapter_05.show_ten_starts(runs, target=3)
    (call,) = shown
    expected = [part[[3, 13]] for run in runs.values() for part in (run.start, run.images)]
    assert_digits(call.axes, np.concatenate(expected))
    assert row_labels(call.axes, 2) == ["noise", "5 steps", "real", "5 steps"]
    assert "class 3" in call.alt


@pytest.mark.parametrize("room", [chapter_05, chapter_07])
def test_the_blind_test_gives_no_answer_away(shown, room):
    blind = images(10)
    room.show_blind_test(blind)
    (call,) = shown
    assert_digits(call.axes, blind)
    assert column_labels(call.axes, 10) == [f"image {n}" for n in range(1, 11)]


# --- 06


def test_the_staircase_draws_k_nn_in_steps_and_the_cnn_as_a_line(shown):
    t, knn, cnn = np.linspace(0, 1, 5), RNG.random(5), RNG.random(5)
    chapter_06.show_line(t, knn, cnn, k=4, source=1, target=8)
    (ax,) = shown[0].axes
    stairs, line = ax.lines
    assert stairs.get_drawstyle() == "steps-mid"
    assert line.get_drawstyle() == "default"
    np.testing.assert_array_equal(stairs.get_ydata(), knn)
    np.testing.assert_array_equal(line.get_ydata(), cnn)
    assert texts(ax.get_legend().get_texts()) == ["k-NN, k = 4", "CNN"]
    assert "real 1 to a real 8" in ax.get_xlabel()
    assert "8" in ax.get_ylabel()
    assert (
        ax.get_title(loc="left") + ax.get_title()
        == "At 5 points, k-NN gives 5 different p, the CNN 5"
    )


def test_a_walk_says_the_p_of_each_image_it_shows(shown):
    trajectory, p = images(15, 1), np.linspace(0.2, 0.6, 15)
    chapter_06.show_walk(trajectory, p, source=2, target=7)
    (call,) = shown
    assert_digits(call.axes, trajectory[::2, 0])
    expected = [f"step {step}\np = {p[step]:.1f}" for step in range(0, 15, 2)]
    assert column_labels(call.axes, 8) == expected
    assert "real 2" in headline(call.figure)
    assert "from 0.2 to 0.6" in headline(call.figure)
    assert "class 7" in call.alt


def test_search_times_rise_beside_the_flat_line_of_the_cnn(shown):
    chapter_06.show_search_time(np.array([10, 20, 40]), np.array([1.0, 2.0, 4.0]), cnn=0.5)
    (ax,) = shown[0].axes
    search, step = ax.lines
    assert search.get_xydata().tolist() == [[10, 1], [20, 2], [40, 4]]
    assert list(step.get_ydata()) == [0.5, 0.5]
    assert ax.get_ylim()[0] == 0
    title = ax.get_title(loc="left") + ax.get_title()
    assert title.startswith("4 times the images: the search takes 4.0 times")
    assert texts(ax.get_legend().get_texts()) == ["k-NN: search", "CNN: whole step"]
    assert to_rgb(search.get_color()) != to_rgb(step.get_color())


def test_a_share_is_written_with_wilsons_interval():
    assert chapter_06.share(np.zeros(100, bool)) == "0 % (0 to 4)"
    assert chapter_06.share(np.arange(10) < 5) == "50 % (24 to 76)"


def test_two_makers_are_compared_on_the_starts_where_a_judge_tells_them_apart():
    first = np.array([1] * 9 + [0] * 3 + [1] * 4, bool)
    second = np.array([0] * 9 + [1] * 3 + [1] * 4, bool)
    p = 2 * sum(math.comb(12, k) for k in range(4)) / 2**12
    assert chapter_06.paired(first, second) == (9, 3, pytest.approx(p))
    assert chapter_06.paired(first, first) == (0, 0, 1)
    table = chapter_06.compare(
        {"a": {"j": np.ones(8, bool)}, "b": {"j": np.zeros(8, bool)}}, [("a", "b"), ("b", "a")]
    )
    assert table["first is ahead"].tolist() == [True, False]
    # six are enough for one test (p = .031), and not for two
    six = {"a": {"j": np.arange(8) < 6}, "b": {"j": np.zeros(8, bool)}}
    assert chapter_06.compare(six, [("a", "b")])["first is ahead"].tolist() == [True]
    assert not chapter_06.compare(six, [("a", "b"), ("b", "a")])["first is ahead"].any()


def test_a_judge_sees_the_target_where_it_is_the_likeliest_class():
    seen = chapter_06.sees({"j": lambda x: np.array([[0.4, 0.6], [0.9, 0.1]])}, images(2), [1, 1])
    assert seen["j"].tolist() == [True, False]


def test_straightness_is_1_on_a_line_and_ignores_what_never_moved():
    line = np.stack([np.zeros((2, 28, 28, 1)), np.full((2, 28, 28, 1), 0.5)])
    line[:, 1] = 0
    assert chapter_06.straightness(SimpleNamespace(frames=line)) == pytest.approx(1)
    there_and_back = np.concatenate([line, line[:1]])
    assert chapter_06.straightness(SimpleNamespace(frames=there_and_back)) == 0


def test_captions_give_the_p_of_the_image_above_them(shown):
    groups = {}
    for start, places in {"real": [2, 0], "noise": [1, 3]}.items():
        first = inversion([4, 5, 4, 5] if start == "real" else [0, 4, 0, 5])
        second = inversion(first.targets, start=first.start)
        groups[start] = {"k-NN": first, "CNN": second}, np.array(places)
    # the columns ask for the same targets in both groups
    groups["real"] = groups["real"][0], np.array([2, 1])
    chapter_06.show_side_by_side(groups)
    (call,) = shown
    images, captions, labels = [], [], []
    for start, (runs, places) in groups.items():
        images += [runs["k-NN"].start[places], *(run.images[places] for run in runs.values())]
        captions += ["", ""]
        captions += [f"{p:.2f}" for run in runs.values() for p in run.probability[places]]
        labels += [start, *runs]
    assert_digits(call.axes, np.concatenate(images))
    assert [ax.get_xlabel() for ax in call.axes] == captions
    assert row_labels(call.axes, 2) == labels
    assert column_labels(call.axes, 2) == ["to 4", "to 5"]


def test_makers_stand_in_rows_below_source_and_target(shown):
    start, targets = images(6), [1, 2, 3, 4, 5, 6]
    makers = {name: inversion(targets, start=start) for name in ("k-NN", "CNN")}
    chapter_06.show_makers(makers, np.array([9, 8, 7, 6, 5, 4]), [1, 4])
    (call,) = shown
    assert_digits(call.axes, np.concatenate([run.images[[1, 4]] for run in makers.values()]))
    assert row_labels(call.axes, 2) == ["k-NN", "CNN"]
    assert column_labels(call.axes, 2) == ["8 → 2", "5 → 5"]


# --- 07


def test_each_network_has_a_row_in_the_table_of_its_start(shown):
    targets = np.repeat([5, 2], 3)
    kinds, starts = ("plain", "robust"), ("noise", "near black")
    runs = {(kind, start): inversion(targets) for kind in kinds for start in starts}
    chapter_07.show_four_networks(runs)
    (call,) = shown
    for ax, start in zip(call.axes, starts, strict=True):
        assert ax.get_title(loc="left") == f"start: {start}"
        assert texts(ax.get_xticklabels()) == ["to 2", "to 5"]
        assert texts(ax.get_yticklabels()) == list(kinds)
        pixels = np.asarray(ax.images[0].get_array())
        cell = pixels[7 + 1 : 14 - 1, 6 + 1 : 12 - 1]  # the robust network, to 5
        np.testing.assert_array_equal(cell, runs["robust", start].images[0, ..., 0])


def test_a_sheet_has_a_row_for_each_start(shown):
    sheets = {"near black": images(100), "noise": images(100)}
    chapter_07.show_sheets(sheets)
    for ax, sheet in zip(shown[0].axes, sheets.values(), strict=True):
        pixels = np.asarray(ax.images[0].get_array())
        cell = pixels[3 * 7 + 1 : 4 * 7 - 1, 8 * 6 + 1 : 9 * 6 - 1]  # the fourth start, to 8
        np.testing.assert_array_equal(cell, sheet[83, ..., 0])
        assert (ax.get_xlabel(), len(ax.patches)) == ("target class", 0)


def test_mosaics_put_source_and_target_where_the_axes_say(shown):
    tables = {"plain": images(100), "robust": images(100)}
    chapter_07.show_matrices(tables, range(10))
    (call,) = shown
    for ax, (name, table) in zip(call.axes, tables.items(), strict=True):
        (mosaic,) = ax.images
        assert mosaic.get_clim() == (0, 1)
        assert mosaic.get_cmap().name == "gray"
        pixels = np.asarray(mosaic.get_array())
        assert pixels.shape == (10 * 7, 10 * 6)
        cell = pixels[3 * 7 + 1 : 4 * 7 - 1, 8 * 6 + 1 : 9 * 6 - 1]
        np.testing.assert_array_equal(cell, table[38, ..., 0])
        frames = [(f.get_x(), f.get_y(), to_hex(f.get_edgecolor())) for f in ax.patches]
        assert frames == [(6 * d - 0.5, 7 * d - 0.5, to_hex(ORANGE)) for d in range(10)]
        assert (ax.get_xlabel(), ax.get_title(loc="left") + ax.get_title()) == (
            "target class",
            name,
        )
        np.testing.assert_allclose(ax.get_xticks(), 6 * np.arange(10) + 2.5)
        np.testing.assert_allclose(ax.get_yticks(), 7 * np.arange(10) + 3)
    assert call.axes[0].get_ylabel().startswith("real source")


def test_a_frame_stands_where_a_source_is_its_own_target(shown):
    chapter_07.show_matrices({"robust": images(20)}, [4, 8])
    (ax,) = shown[0].axes
    assert [(f.get_x(), f.get_y()) for f in ax.patches] == [(23.5, -0.5), (47.5, 6.5)]
    assert texts(ax.get_yticklabels()) == ["4", "8"]


def test_each_network_draws_each_class_once_for_the_blind_sheet(monkeypatch):
    def invert(model, start, targets, **settings):
        assert settings == {"max_steps": 3}
        return SimpleNamespace(images=model * start)

    monkeypatch.setattr(chapter_07.inversion, "invert", invert)
    networks = {"tuned": 1, "plain": 0.5, "robust": 0.25}
    drawn, targets, makers = chapter_07.blind_sheet(networks, {"max_steps": 3})
    assert drawn.shape == (20, 28, 28, 1)
    for name, highest in {"plain": 0.5, "robust": 0.25}.items():
        assert sorted(targets[makers == name]) == list(range(10))
        assert drawn[makers == name].max() == pytest.approx(highest, rel=0.01)
    assert len(set(makers[:10])) == 2, "the two are shuffled"


KEY = np.array([3, 1, 4, 1])
MAKERS = ["plain", "robust", "robust", "plain"]


@pytest.mark.parametrize(
    ("room", "found"),
    [
        (None, "Nobody has read yet"),
        ("", "Nobody has read yet"),
        ([None] * 4, "Nobody has read yet"),
        ("- - - -", "Nobody has read yet"),
        ("nothing", "Nobody has read yet"),
        ("3 1", "Readings so far: 2, and"),
        (31, "Readings so far: 1, and"),
        ([3, 1, 4, 1, 5], "Readings so far: 5, and"),
    ],
)
def test_the_key_stays_hidden_until_the_room_has_read(capsys, room, found):
    assert chapter_07.reveal(room, KEY, MAKERS, {"MLP": KEY}) is None
    printed = capsys.readouterr().out
    assert printed.startswith(found)
    assert "4 images" in printed
    assert "target" not in printed


@pytest.mark.parametrize(
    "room",
    [
        "3 1 - 7",
        "31-7",
        "3, 1, boat, 7",
        ("3", " 1", "", "7"),
        [3, 1, None, 7.0],
        np.array([3, 1, 99, 7]),
        pd.Series([3, 1, np.nan, 7]),
    ],
)
def test_readings_are_counted_for_each_network(room, capsys):
    right = chapter_07.reveal(room, KEY, MAKERS, {"MLP": np.array([3, 1, 4, 0])})
    assert right["the room"].to_dict() == {"plain": 1, "robust": 1}
    assert right["MLP"].to_dict() == {"plain": 1, "robust": 2}


def test_the_closing_picture_has_a_panel_for_each_score(shown):
    kinds, columns = ["tuned", "robust"], ["clean accuracy", "under attack"]
    drawn = {kind: images(3) for kind in kinds}
    scores = pd.DataFrame([[0.995, 0.01], [0.986, 0.72]], kinds, columns)
    chapter_07.show_closing(drawn, scores)
    ax, *panels = shown[0].axes
    pixels = np.asarray(ax.images[0].get_array())
    np.testing.assert_array_equal(pixels[8:13, 13:17], drawn["robust"][2, ..., 0])
    assert texts(ax.get_yticklabels()) == kinds
    for panel, name in zip(panels, columns, strict=True):
        widths = [bar.get_width() for bar in panel.patches]
        np.testing.assert_allclose(widths, 100 * scores[name])
        assert [float(t) for t in texts(panel.texts)] == list(100 * scores[name])
        assert panel.get_xlim() == (0, 100)
        assert panel.get_ylim()[0] > panel.get_ylim()[1], "the first row stands above"


def test_attacks_of_two_strengths_are_drawn_in_percent_from_zero(shown):
    lines = {
        (kind, strength): {0: 0.9, 2: 0.5 - 0.1 * place}
        for place, kind in enumerate(("plain", "robust"))
        for strength in ("3 steps", "40 steps")
    }
    chapter_07.show_attacks({"Euclidean": lines, "L∞": lines})
    for ax, norm in zip(shown[0].axes, ("Euclidean", "L∞"), strict=True):
        drawn = [line.get_ydata() for line in ax.lines]
        np.testing.assert_allclose(drawn, [[90, 50], [90, 50], [90, 40], [90, 40]])
        assert [line.get_linestyle() for line in ax.lines] == ["--", "-", "--", "-"]
        assert norm in ax.get_xlabel()
        assert ax.get_ylim()[0] == 0


def test_saliency_maps_are_signed_and_digits_are_not(shown):
    digits = images(2)
    maps = {"plain": 2 * images(2) - 1, "robust": 2 * images(2) - 1}
    chapter_07.show_saliency(digits, maps)
    (call,) = shown
    assert_digits(call.axes[:2], digits)
    for ax, expected in zip(call.axes[2:], np.concatenate(list(maps.values())), strict=True):
        (image,) = ax.images
        assert (image.get_cmap().name, image.get_clim()) == ("RdBu_r", (-1, 1))
        np.testing.assert_array_equal(image.get_array(), expected[..., 0])
    assert row_labels(call.axes, 2) == ["digit", "plain", "robust"]

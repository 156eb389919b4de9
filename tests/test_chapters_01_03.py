"""Figures of the rooms 01 to 03: what is drawn, and that its words say no more than its values."""

import itertools
import json
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib import colors
from scipy import stats

from helpers import checkpoints, models, plotting, records
from helpers.chapters import chapter_01, chapter_02, chapter_03

RNG = np.random.default_rng(0)


@pytest.fixture
def shown(monkeypatch):
    """The figures that were shown, with their alt text and name."""
    calls = []

    def keep(figure, alt, name=None):
        assert alt.endswith(".")
        # alt text is compared between runs, so it holds no measured number
        assert not re.search(r"\d[.,]\d|\d ?%", alt)
        calls.append((figure, alt, name))

    monkeypatch.setattr(plotting, "show", keep)
    with plt.rc_context():
        plotting.use_style()
        yield calls
    plt.close("all")


@pytest.fixture
def the_figure(shown):
    """A function that returns the one figure that was shown."""

    def one():
        ((figure, _, _),) = shown
        return figure

    return one


def images_of(figure):
    return [image for ax in figure.axes for image in ax.images]


def heights(ax):
    return [bar.get_height() for bar in ax.patches]


def same_colour(one, other):
    return colors.to_rgb(one) == colors.to_rgb(other)


# --- 01


def test_examples_stand_in_the_column_of_their_class(the_figure):
    images = RNG.random((2, 3, 8, 6, 1))
    chapter_01.show_examples(images)
    figure = the_figure()
    assert [ax.get_title(loc="center") for ax in figure.axes[:3]] == ["0", "1", "2"]
    assert np.array_equal(images_of(figure)[4].get_array(), images[1, 1, ..., 0])
    assert figure.get_supxlabel() == "class y"


def test_mean_images_have_their_share_above_them(the_figure):
    means = RNG.random((2, 8, 6, 1))
    chapter_01.show_mean_images(means, [0.25, 0.75])
    figure = the_figure()
    assert [ax.get_title(loc="center") for ax in figure.axes] == ["0: 25.0 %", "1: 75.0 %"]
    assert np.array_equal(images_of(figure)[1].get_array(), means[1, ..., 0])


def test_the_network_is_drawn_with_the_kind_and_the_shape_of_each_layer(shown):
    from helpers.backend import keras

    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(24, 3, activation="relu")(inputs)
    x = keras.layers.MaxPooling2D(2)(x)
    x = keras.layers.Flatten()(x)
    model = keras.Model(inputs, keras.layers.Dense(10, activation="softmax")(x))
    chapter_01.show_network(model)
    ((figure, alt, name),) = shown
    assert name == "01_network"
    assert "image, convolution, pooling, flat vector, dense layer" in alt
    words = [text.get_text() for text in figure.axes[0].texts]
    assert [word for word in words if "×" in word or word.isdigit()] == [
        "8 × 8 × 1",
        "Conv2D\n3 × 3\nrelu",
        "6 × 6 × 24",
        "MaxPooling2D\n2 × 2",
        "3 × 3 × 24",
        "216",
        "10",
    ]
    patches = figure.axes[0].patches
    sheets = [same_colour(patch.get_facecolor(), plotting.COLOURS[0]) for patch in patches]
    assert sum(sheets) == 3  # one sheet, and one more for every 12 channels
    sides = [patch.get_width() for patch in patches]
    assert sides[0] > sides[1] > sides[4]  # 8, 6 and 3 pixels


def test_one_filter_marks_the_same_window_in_every_picture(the_figure):
    image, edge = RNG.random((8, 6)), np.array([[1, 0, -1]] * 3)
    sums = np.zeros((6, 4))
    sums[3, 2], sums[0, 0] = 2.0, -3.0
    kept = np.maximum(0, sums)
    chapter_01.show_one_filter(image, edge, sums, kept, kept[::2, ::2])
    axes = the_figure().axes[:5]
    pictures = (image, edge, sums, kept, kept[::2, ::2])
    for ax, picture in zip(axes, pictures, strict=True):
        assert np.array_equal(ax.images[0].get_array(), picture)
    squares = {ax.get_title(): ax.patches[0] for ax in axes if ax.patches}
    corners = {name: (square.get_y(), square.get_x()) for name, square in squares.items()}
    assert corners == {
        "image": (2.5, 1.5),
        "convolution": (2.5, 1.5),
        "ReLU": (2.5, 1.5),
        "pooling": (0.5, 0.5),
    }
    assert [square.get_width() for square in squares.values()] == [3, 1, 1, 1]
    assert axes[2].images[0].get_clim() == (-3, 3)  # white is 0
    assert [text.get_text() for text in axes[1].texts] == ["1", "0", "-1"] * 3


def test_paths_are_drawn_on_the_surface_and_over_their_steps(the_figure):
    def loss(w):
        return 1 + w[0] ** 2 + w[1] ** 2

    paths = {"slow": np.array([[3.0, 1.0], [1.0, 0.5]]), "fast": np.array([[3.0, 1.0], [0, 0]])}
    ink, is_one = np.array([[0.1, 0.8], [0.7, 0.2]]), np.array([False, True])
    chapter_01.show_descent(ink, is_one, loss, paths)
    left, middle, right = the_figure().axes
    assert right.get_title(loc="left") == "Every first step goes down"
    assert [text.get_text() for text in left.texts] == ["0", "1"]
    assert [text.xy for text in left.texts] == [(0.1, 0.8), (0.7, 0.2)]
    for path, over, steps in zip(paths.values(), middle.lines, right.lines, strict=True):
        assert np.array_equal(over.get_xydata(), path)
        assert list(steps.get_ydata()) == [loss(w) for w in path]
        assert same_colour(over.get_color(), steps.get_color())
    assert [line.get_label() for line in right.lines] == ["slow", "fast"]


def test_a_leap_is_said_only_where_a_first_step_leaps(shown):
    leaping = {"fast": np.array([[1.0, 0], [-3.0, 0], [0, 0]])}
    ink, is_one = np.array([[0.1, 0.8], [0.7, 0.2]]), np.array([False, True])
    chapter_01.show_descent(ink, is_one, lambda w: 1 + w @ w, leaping)
    ((figure, alt, _),) = shown
    assert figure.axes[2].get_title(loc="left") == "One step can make it worse"
    assert "leaps over the valley" in alt


def test_the_step_of_adam_is_as_long_as_its_rate_at_first():
    step = chapter_01.adam_step(lambda w: np.array([2.0, -0.01]), np.zeros(2), learning_rate=0.5)
    assert np.allclose(step(np.zeros(2)), [-0.5, 0.5], atol=1e-3)


def test_fit_keeps_what_keras_reports_after_each_batch():
    from helpers.backend import keras

    def trained():
        keras.utils.set_random_seed(0)
        inputs = keras.Input((4, 4, 1))
        flat = keras.layers.Flatten()(inputs)
        model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(flat))
        model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        images = np.random.default_rng(0).random((10, 4, 4, 1), dtype=np.float32)
        labels = np.arange(10) % 3
        part = images[:4], labels[:4]
        return chapter_01.fit(model, (images, labels), part, batch_size=4, epochs=2)

    reports, history = trained()
    assert len(reports) == 6  # two epochs of two whole batches and a rest
    assert set(history) == {"accuracy", "loss", "val_accuracy", "val_loss"}
    assert np.allclose([reports[2]["loss"], reports[5]["loss"]], history["loss"])
    assert trained()[1] == history  # the session's seed draws the order


def test_the_first_epoch_shows_single_batches_their_mean_and_the_validation_data(the_figure):
    alone = {"accuracy": np.array([0.1, 0.5, 0.9, 1.0]), "loss": np.array([2.0, 1.0, 0.6, 0.1])}
    means = {key: np.cumsum(a) / np.arange(1, 5) for key, a in alone.items()}
    reports = [{key: means[key][i] for key in means} for i in range(4)]
    chapter_01.show_first_epoch(reports, {"val_accuracy": [0.95], "val_loss": [0.2]})
    for ax, key, end in zip(the_figure().axes, alone, (0.95, 0.2), strict=True):
        batch, mean, validation = ax.lines
        # the last batch is smaller than the others, so that its mean says something else
        assert np.allclose(batch.get_ydata(), alone[key][:3])
        assert np.allclose(mean.get_ydata(), means[key][:3])
        assert (list(validation.get_xdata()), list(validation.get_ydata())) == ([3], [end])
        assert validation.get_label().startswith("validation")
        assert ax.get_ylabel() == key


@pytest.mark.parametrize("end, words", [(0.95, "lags behind"), (0.3, "is not behind")])
def test_the_title_of_the_first_epoch_says_which_accuracy_is_higher(shown, end, words):
    reports = [{"accuracy": accuracy, "loss": 1.0} for accuracy in (0.1, 0.5, 0.6)]
    chapter_01.show_first_epoch(reports, {"val_accuracy": [end], "val_loss": [0.2]})
    ((figure, alt, _),) = shown
    assert figure.axes[0].get_title(loc="left") == f"The reported accuracy {words}"
    assert ("below" in alt) == (end == 0.95)


def test_curves_that_do_not_part_are_not_called_overfitting(shown):
    history = {"accuracy": [0.5, 0.6], "loss": [1.0, 0.8]}
    chapter_01.show_overfitting(history | {"val_accuracy": [0.5, 0.6], "val_loss": [1.1, 0.9]})
    ((figure, alt, _),) = shown
    titles = [ax.get_title(loc="left") for ax in figure.axes]
    assert titles == [
        "The training images are not yet learned by heart",
        "The validation loss still falls",
    ]
    assert "rises" not in alt


def test_overfitting_is_marked_where_the_validation_loss_is_lowest(the_figure):
    history = {"accuracy": [0.9, 0.95, 1.0], "loss": [0.4, 0.3, 0.1]}
    history |= {"val_accuracy": [0.92, 0.93, 0.94], "val_loss": [0.3, 0.2, 0.25]}
    chapter_01.show_overfitting(history)
    axes = the_figure().axes
    (triangle,) = axes[1].lines[2:]
    assert (list(triangle.get_xdata()), list(triangle.get_ydata())) == ([2], [0.2])
    for ax, key in zip(axes, ("accuracy", "loss"), strict=True):
        drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines[:2]}
        assert drawn == {"training": history[key], "validation": history[f"val_{key}"]}
        assert list(ax.lines[0].get_xdata()) == [1, 2, 3]
        assert ax.get_ylabel() == key


def test_a_mistake_has_the_answer_before_the_label(the_figure):
    mistakes = pd.DataFrame({"truth": [4, 7], "answer": [9, 1], "confidence": [0.9987, 0.5]})
    images = RNG.random((2, 8, 6, 1))
    chapter_01.show_surest_mistakes(images, mistakes)
    figure = the_figure()
    titles = [ax.get_title(loc="center") for ax in figure.axes]
    assert titles == ["9, not 4\n99.87 % sure", "1, not 7\n50.00 % sure"]
    assert np.array_equal(images_of(figure)[1].get_array(), images[1, ..., 0])


def test_found_mistakes_stand_beside_the_imagined_ones(the_figure):
    chapter_01.show_sureness(np.array([2, 2, 3, 5]), 7, np.array([0.42, 0.97, 0.98]), 0.95)
    left, right = the_figure().axes
    assert left.get_xlabel() == "mistakes among the answers with p ≥ 0.95"
    assert [list(line.get_xdata()) for line in left.lines] == [[7, 7]]
    assert [text.get_text().strip() for text in left.texts] == ["found: 7"]
    assert heights(left) == [0, 0, 2, 1, 0, 1, 0, 0]  # one bar for each number from 0 to 7
    assert heights(right)[-1] == 2
    assert sum(heights(right)) == 3


def test_the_title_of_the_confusion_matrix_names_its_fullest_pair(the_figure):
    counts = np.diag([50, 60, 70])
    counts[2, 1], counts[1, 2] = 9, 4
    chapter_01.show_confusion(counts)
    (ax,) = the_figure().axes
    assert ax.get_title(loc="left") == "Most often, a 2 is taken for a 1"
    assert ax.collections[0].get_array().reshape(3, 3)[2, 1] == 9


def test_filters_share_one_scale_with_red_for_positive_weights(the_figure):
    filters = np.stack([np.full((3, 3), 0.5), np.full((3, 3), -0.25)])
    chapter_01.show_filters(filters, [7, 3])
    figure = the_figure()
    positive, negative = images_of(figure)[:2]
    assert np.array_equal([positive.get_array(), negative.get_array()], filters)
    assert positive.get_clim() == negative.get_clim() == (-0.5, 0.5)
    red, _, blue, _ = positive.to_rgba(1.0)
    assert red > blue
    assert [ax.get_title() for ax in figure.axes[:2]] == ["filter 7", "filter 3"]
    assert figure.axes[2].get_ylabel() == "weight"  # the scale of the colours


def test_each_filter_is_scaled_by_its_own_largest_answer(the_figure):
    digits = RNG.random((2, 8, 6, 1))
    first = np.stack([np.full((6, 4, 2), [1.0, 20.0]), np.full((6, 4, 2), [4.0, 5.0])])
    second = np.stack([np.full((2, 1, 1), 3.0), np.full((2, 1, 1), 6.0)])
    chapter_01.show_feature_maps(digits, first, second, ([7, 3], [60]))
    figure = the_figure()
    drawn = np.reshape([image.get_array().max() for image in images_of(figure)], (2, 4))
    assert np.array_equal(drawn[:, 0], digits.max(axis=(1, 2, 3)))
    assert np.array_equal(drawn[:, 1:], [[0.25, 1, 0.5], [1, 0.25, 1]])
    titles = [ax.get_title() for ax in figure.axes[:4]]
    assert titles == ["digit", "1: 7", "1: 3", "2: 60"]


def test_patches_stand_in_the_row_of_their_filter(the_figure):
    patches = RNG.random((2, 3, 4, 4, 1))
    chapter_01.show_motifs(patches, [31, 5])
    figure = the_figure()
    assert [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()] == ["filter 31", "filter 5"]
    assert np.array_equal(images_of(figure)[3].get_array(), patches[1, 0, ..., 0])


def test_the_learning_rate_is_that_of_keras():
    from helpers.backend import keras

    recipe = chapter_01.NETWORKS["cnn_cosine"].recipe
    ours = chapter_01.learning_rates(recipe)
    decay = keras.optimizers.schedules.CosineDecay
    of_keras = decay(0.0, len(ours) - 200, warmup_target=recipe.learning_rate, warmup_steps=200)
    some = [0, 100, 200, 1000, 6000]
    assert np.allclose(ours[some], [of_keras(step) for step in some])
    assert np.ptp(chapter_01.learning_rates(chapter_01.NETWORKS["cnn_longer"].recipe)) == 0


def test_learning_rates_are_drawn_over_their_steps(the_figure):
    chapter_01.show_learning_rates(
        {name: network.recipe for name, network in chapter_01.NETWORKS.items()}
    )
    (ax,) = the_figure().axes
    assert [line.get_label() for line in ax.lines] == list(chapter_01.NETWORKS)
    assert [max(line.get_ydata()) for line in ax.lines] == [0.001, 0.001, 0.003]
    assert [line.get_ydata()[-1] < 1e-6 for line in ax.lines] == [False, True, True]
    assert ax.get_title(loc="left") == "The learning rate of 2 of the 3 recipes falls to 0"


def test_each_recipe_adds_to_the_one_before():
    """From cnn to cnn_tuned: two settings at once, then one at a time."""
    names = ["cnn", "cnn_longer", "cnn_annealed", "cnn_cosine", "cnn_tuned"]
    recipes = [(models.NETWORKS | chapter_01.NETWORKS)[name].recipe.settings() for name in names]
    changed = [
        {key for key in after if after[key] != before[key]}
        for before, after in itertools.pairwise(recipes)
    ]
    assert changed == [{"epochs", "validation"}, {"warmup_steps"}, {"learning_rate"}, {"affine"}]


def test_originals_stand_above_their_altered_copies(the_figure):
    originals, first, second = RNG.random((3, 2, 8, 6, 1))
    chapter_01.show_augmentation(originals, [first, second])
    figure = the_figure()
    labels = [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()]
    assert labels == ["original", "epoch 1", "epoch 2"]
    drawn = images_of(figure)
    assert np.array_equal(drawn[1].get_array(), originals[1, ..., 0])
    assert np.array_equal(drawn[4].get_array(), second[0, ..., 0])


def test_recipes_are_compared_by_seeds_and_by_what_each_step_saves(the_figure):
    wrong = pd.DataFrame({"plain": [90, 100, 130], "longer": [60, 50, np.nan], "new": 3 * [np.nan]})
    gains = {"fewer": [40.0, np.nan], "low": [22.0, np.nan], "high": [58.0, np.nan]}
    gains = pd.DataFrame({**gains, "told apart": [True, False]}, index=["longer", "new"])
    chapter_01.show_recipes(wrong, gains)
    left, right = the_figure().axes
    (bars,) = left.lines
    assert np.array_equal(bars.get_xydata(), [[100, 0], [55, 1], [np.nan, 2]], equal_nan=True)
    dots = [collection.get_offsets() for collection in left.collections]
    assert sorted(dots[0][:, 0]) == [90, 100, 130]
    assert np.all(dots[1][:, 1] == 1)
    interval, mean = right.lines[:2]
    assert np.array_equal(interval.get_xydata(), [[22, 0], [58, 0]])
    assert np.array_equal(mean.get_xydata(), [[40, 0]])
    assert same_colour(mean.get_color(), plotting.COLOURS[0])
    assert same_colour(right.lines[3].get_color(), "0.5")  # not told apart
    assert [text.get_text() for text in right.get_yticklabels()] == ["longer", "new"]


# --- 02


def test_networks_under_wrong_names_are_noticed():
    """The recorded mistakes tell the seven apart, so that exchanged labels would be seen."""
    stored = {name: records.trainings("full", name) for name in models.ABLATIONS}
    first = {name: runs[0]["wrong"] for name, runs in stored.items()}
    for name, images in first.items():
        for label in first:
            # one mistake fewer: it need not be the very same run
            assert (chapter_02.nearest_record(images[1:], first) == label) == (label == name)


def test_each_shipped_network_is_the_one_on_record():
    for name in models.ABLATIONS:
        card = json.loads((checkpoints.PRETRAINED / f"mnist-{name}.json").read_text())
        run = records.training("full", name, card["seed"], card["recipe"])
        assert run["accuracy"] == card["test_accuracy"]


def test_shares_are_bars_as_long_as_their_part_of_the_sum(the_figure):
    costs = pd.DataFrame({"parameters": [10, 30], "multiply-adds": [1200, 400]}, ["conv", "dense"])
    chapter_02.show_shares(costs)
    left, right = the_figure().axes
    assert [bar.get_width() for bar in left.patches] == [25, 75]
    assert [bar.get_width() for bar in right.patches] == [75, 25]
    assert [text.get_text() for text in right.texts] == [" 1,200", " 400"]
    assert right.get_title(loc="left") == "1,600 multiply-adds"
    assert left.yaxis_inverted()  # the first layer on top


def test_verdicts_have_their_sign_and_colour_in_their_square(the_figure):
    tables = {"reference": [[0, 1], [-1, 0]], "small": [[-1, 1], [0, 1]]}
    chapter_02.show_verdicts(tables)
    reference, small, *_, legend = the_figure().axes
    # of the reference one pair is drawn, so that its verdicts cannot differ
    assert "for 1 of 2 networks" in the_figure().get_suptitle()
    assert [text.get_text() for text in small.texts] == ["−", "+", "", "+"]
    assert small.get_title(loc="left") == "small: 3 of 4 significant"
    # of the reference's own pairs each is drawn once, and none with itself
    assert reference.get_title(loc="left") == "reference: 1 of 1 significant"
    assert [text.get_text() for text in reference.texts] == ["−"]
    # row = seed of the variant
    assert (small.get_xlabel(), small.get_ylabel()) == ("seed of the reference", "seed of small")
    mesh = small.collections[0]
    assert np.array_equal(mesh.get_array().reshape(2, 2), tables["small"])
    worse, none, better = mesh.to_rgba([-1, 0, 1])
    expected = (plotting.COLOURS[1], (0.88, 0.88, 0.88), plotting.COLOURS[0])
    for colour, other in zip((worse, none, better), expected, strict=True):
        assert same_colour(colour, other)
    words = [text.get_text() for text in legend.get_legend().get_texts()]
    patches = legend.get_legend().get_patches()
    said = {word[0]: patch.get_facecolor() for word, patch in zip(words, patches, strict=True)}
    assert same_colour(said["−"], worse)
    assert same_colour(said["+"], better)


DIFFERENCE = pd.DataFrame({"better": [0.3, 0.5, 0.4], "same": [-0.2, 0.3, 0.0]})


def by_place(ax):
    """Return the interval, the mean and the dots of each row: the lines of an axis, by threes."""
    lines = ax.lines[: 3 * (len(ax.lines) // 3)]
    return [lines[i : i + 3] for i in range(0, len(lines), 3)]


def check_intervals(ax, values, marked):
    rows = by_place(ax)
    assert len(rows) == values.shape[1]
    for place, (name, (interval, mean, dots)) in enumerate(zip(values, rows, strict=True)):
        column = values[name]
        half = stats.t.ppf(0.975, len(column) - 1) * column.std(ddof=1) / np.sqrt(len(column))
        expected = [column.mean() - half, column.mean() + half]
        assert np.allclose(interval.get_xdata(), expected)
        assert np.all(np.equal(interval.get_ydata(), place))
        assert np.allclose(mean.get_xdata(), column.mean())
        assert np.allclose(dots.get_xdata(), column)
        colour = plotting.COLOURS[3] if name in marked else "0.5"
        for line in (interval, mean, dots):
            assert same_colour(line.get_color(), colour)
    zero = ax.lines[-1]
    assert list(zero.get_xdata()) == [0, 0]
    assert [text.get_text() for text in ax.get_yticklabels()] == list(values)


def test_differences_are_95_percent_intervals_and_those_found_are_orange(the_figure):
    chapter_02.show_differences(DIFFERENCE, ["better"])
    (ax,) = the_figure().axes
    check_intervals(ax, DIFFERENCE, ["better"])
    title = "Different from the reference over 3 seeds, after correction: 1 of 2"
    assert ax.get_title(loc="left") == title
    beside = [text.get_text() for text in ax.texts]
    assert beside == ["lower in 0 of 3 seeds", "lower in 1 of 3 seeds"]


@pytest.mark.parametrize("name, words", [("better", "Some intervals"), ("same", "No interval")])
def test_the_alt_text_of_the_differences_says_whether_one_lies_apart_from_zero(shown, name, words):
    chapter_02.show_differences(DIFFERENCE[[name]], [])
    assert words in shown[0][1]


def test_every_run_stands_at_the_cost_of_its_network(the_figure):
    costs = pd.DataFrame(
        {"parameters": [900, 100, 500], "multiply-adds": [10, 30, 20]},
        ["reference", "no_dense", "half_filters"],
    )
    accuracy = pd.DataFrame(
        {"reference": [98.0, 99.0], "no_dense": [97.0, 98.0], "half_filters": [96.0, 97.5]}
    )
    chapter_02.show_accuracy_against_cost(costs, accuracy)
    memory, work = the_figure().axes
    # no winner in the title: the dots may not separate them
    assert memory.get_title(loc="left") == "Accuracy, and cost in memory"
    assert work.get_title(loc="left") == "Accuracy, and cost in work"
    for ax, what in ((memory, "parameters"), (work, "multiply-adds")):
        assert ax.get_xlabel() == f"{what} (log scale)"
        for place, name in enumerate(accuracy):
            dots, bar = ax.lines[2 * place : 2 * place + 2]
            assert np.all(dots.get_xdata() == costs[what][name])
            assert list(dots.get_ydata()) == list(accuracy[name])
            assert list(np.atleast_1d(bar.get_ydata())) == [accuracy[name].mean()]
            assert dots.get_color() == bar.get_color()
        beside = {text.get_text(): text.xy for text in ax.texts}
        assert beside["reference"] == (costs[what]["reference"], 98.5)
        y = {"parameters": 96.75, "multiply-adds": 97.5}[what]  # beside its mean; above its dots
        assert beside["half_filters"] == (costs[what]["half_filters"], y)


def test_images_are_counted_by_the_runs_that_get_them_wrong(the_figure):
    chapter_02.show_times_wrong(np.array([40, 10, 25]))
    (ax,) = the_figure().axes
    assert heights(ax) == [40, 10, 25]
    assert ax.get_title(loc="left").startswith("67 % of the images")
    assert [bar.get_x() + bar.get_width() / 2 for bar in ax.patches] == [1, 2, 3]


def test_images_wrong_in_every_run_stand_above_those_wrong_in_one(the_figure):
    always, once = RNG.random((2, 8, 6, 1)), RNG.random((3, 8, 6, 1))
    chapter_02.show_hard_images(always, once, ([4, 9], [1, 2, 3]))
    axes = the_figure().axes
    assert [ax.get_title(loc="center") for ax in axes] == ["4", "9", "", "1", "2", "3"]
    assert [len(ax.images) for ax in axes] == [1, 1, 0, 1, 1, 1]
    assert np.array_equal(axes[1].images[0].get_array(), always[1, ..., 0])
    assert np.array_equal(axes[3].images[0].get_array(), once[0, ..., 0])


def test_the_bootstrap_finds_the_spread_of_seeds_and_of_images():
    seeds, images = 8, 400
    none = [[] for _ in range(seeds)]
    one_third = [list(range(0, images, 3)) for _ in range(seeds)]  # all runs alike: images only
    uneven = [list(range(10 * seed)) for seed in range(seeds)]
    wrong = {"reference": none, "alike": one_third, "uneven": uneven}
    spread = chapter_02.bootstrap_spread(wrong, images, draws=2000)
    assert np.isclose(spread["alike"], 100 * np.sqrt(2 / 9 / images), rtol=0.1)
    points = 100 * 10 * np.arange(seeds) / images
    assert spread["uneven"] > 0.9 * np.std(points, ddof=1) / np.sqrt(seeds)


# --- 03


def test_the_chosen_k_is_named_and_each_accuracy_has_a_band(the_figure):
    right = {k: np.arange(100) < hits for k, hits in {1: 90, 3: 95, 5: 93}.items()}
    chapter_03.show_accuracy_over_k(right, best=3)
    (ax,) = the_figure().axes
    assert "k = 3" in ax.get_title(loc="left")
    assert list(ax.lines[0].get_xdata()) == [1, 3, 5]
    assert np.allclose(ax.lines[0].get_ydata(), [90, 95, 93])
    assert (ax.lines[1].get_xdata()[0], ax.lines[1].get_ydata()[0]) == (3, 95)
    corners = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isclose(corners.min(), 100 * chapter_03.interval(right[1])[0])


def test_paired_tests_count_only_what_one_of_two_gets_right():
    a, b = np.array([True] * 95 + [False] * 5), np.array([True] * 90 + [False] * 10)
    assert np.isclose(chapter_03.paired_p(a, b), 2 * 0.5**5)
    assert chapter_03.paired_p(a, a) == 1


def test_components_show_accuracy_and_contrast(the_figure):
    right = {2: np.arange(100) < 50, 784: np.arange(100) < 96}
    chapter_03.show_components(right, {2: 0.1, 784: 0.4})
    accuracy, contrast = the_figure().axes
    assert np.allclose(accuracy.lines[0].get_ydata(), [50, 96])
    corners = accuracy.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isclose(corners.max(), 100 * chapter_03.interval(right[784])[1])
    assert list(contrast.lines[0].get_ydata()) == [0.1, 0.4]
    assert contrast.get_ylim()[0] == 0


def test_weights_are_red_where_positive_on_one_scale_for_all_classes(the_figure):
    pictures = np.stack([np.full((8, 6), weight) for weight in (0.5, -2.0, 1.0)])
    chapter_03.show_weights(pictures)
    drawn = [image for image in images_of(the_figure()) if image.get_array().shape == (8, 6)]
    assert [float(image.get_array()[0, 0]) for image in drawn] == [0.5, -2, 1]
    assert {image.get_clim() for image in drawn} == {(-2, 2)}
    red, _, blue, _ = drawn[0].to_rgba(2.0)
    assert red > blue


def test_neighbours_stand_beside_the_test_image_with_their_labels_below(the_figure, sample):
    places, predicted = np.array([3, 8]), np.array([7, 1])
    neighbours = np.array([[10, 20], [30, 40]])
    chapter_03.show_mistakes_and_neighbours(sample, places, predicted, neighbours)
    axes = the_figure().axes
    for row in range(2):
        first, *others = axes[3 * row : 3 * row + 3]
        truth = sample.y_test[places[row]]
        assert first.get_ylabel().strip() == f"a {truth}, read as {predicted[row]}"
        assert np.array_equal(first.images[0].get_array(), sample.x_test[places[row], ..., 0])
        assert first.get_xlabel() == ""
        for ax, neighbour in zip(others, neighbours[row], strict=True):
            assert np.array_equal(ax.images[0].get_array(), sample.x_train[neighbour, ..., 0])
            assert ax.get_xlabel() == str(sample.y_train[neighbour])
    titles = [ax.get_title(loc="center") for ax in axes[:3]]
    assert titles == ["test image", "nearest", "2nd"]


def test_shuffled_images_stand_below_the_originals(the_figure):
    images, shuffled = RNG.random((2, 2, 8, 6, 1))
    chapter_03.show_shuffled(images, shuffled)
    drawn = images_of(the_figure())
    assert np.array_equal(drawn[1].get_array(), images[1, ..., 0])
    assert np.array_equal(drawn[2].get_array(), shuffled[0, ..., 0])


def test_the_alt_text_of_costs_names_who_keeps_most(shown):
    costs = chapter_03.Costs(np.zeros((100, 784)), np.zeros(100, int))
    for name, wrong, memory in (("k-NN", 3, 12e6), ("forest", 2, 16e6), ("CNN", 1, 0.9e6)):
        costs.note(name, 100, 1.0, lambda images, wrong=wrong: np.arange(100) < wrong, memory)
    chapter_03.show_costs(costs.table({}, arrays=[]))
    ((_, alt, _),) = shown
    assert "CNN has the smallest error; forest keeps the most memory, and CNN the least." in alt


def test_costs_are_drawn_as_errors_with_the_most_accurate_model_on_top(the_figure):
    costs = chapter_03.Costs(np.zeros((100, 784)), np.zeros(100, int))
    costs.note("k-NN", 100, 0, lambda images: np.arange(100) >= 97, 188e6)
    costs.note("CNN", 50, 7.0, lambda images: np.arange(100) >= 99, 0.9e6)
    table = costs.table({"CNN": "99"}, arrays=["CNN"])
    chapter_03.show_costs(table, estimated=["CNN"])
    error, seconds, milliseconds, memory = the_figure().axes
    assert np.allclose(error.lines[0].get_xdata(), [1, 3])
    assert seconds.lines[0].get_xdata()[0] == 7
    assert np.isnan(seconds.lines[0].get_xdata()[1])
    assert {text.get_text() for text in seconds.texts} == {"none", "estimate"}
    assert (milliseconds.lines[0].get_xdata() > 0).all()
    assert np.allclose(memory.lines[0].get_xdata(), [0.9, 188])
    scales = [ax.get_xscale() for ax in (error, seconds, milliseconds, memory)]
    assert scales == ["linear", "log", "log", "log"]
    assert list(error.lines[0].get_ydata()) == ["CNN", "k-NN"]
    assert error.yaxis_inverted()
    low, high = sorted(error.collections[0].get_segments()[0][:, 0])
    assert low < 1 < high


def test_learning_curves_are_in_percent_with_a_band_over_the_draws(the_figure):
    curves = {"CNN": [[0.7, 0.9], [0.8, 0.9]], "k-NN": [[0.6, 0.95], [0.6, 0.95]]}
    chapter_03.show_learning_curves(np.array([50, 500]), curves)
    (ax,) = the_figure().axes
    drawn = {line.get_label(): list(line.get_ydata()) for line in ax.lines}
    assert np.allclose(drawn["CNN"], [75, 90])
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert np.isclose([band.min(), band.max()], [70, 90]).all()
    assert [text.get_text() for text in ax.get_xticklabels()] == ["50", "500"]
    assert ax.get_xscale() == "log"
    assert "ahead" not in ax.get_title(loc="left"), "k-NN is ahead at 500"


def test_the_alt_text_of_learning_curves_gives_the_order_at_both_ends(shown):
    curves = {"CNN": [[0.8, 0.85]], "k-NN": [[0.6, 0.9]], "LR": [[0.7, 0.8]]}
    chapter_03.show_learning_curves(np.array([50, 500]), curves)
    ((_, alt, _),) = shown
    assert "fewest images, the best first: CNN, LR, k-NN. With the most: k-NN, CNN, LR." in alt


def test_the_dip_at_two_neighbours_is_told_only_where_it_was_measured(shown):
    right = {k: np.arange(100) < hits for k, hits in {1: 90, 2: 80, 3: 95, 25: 60}.items()}
    chapter_03.show_accuracy_over_k(right, best=3)
    right[2] = right[3]
    chapter_03.show_accuracy_over_k(right, best=3)
    assert ["dips at two" in alt for _, alt, _ in shown] == [True, False]


def test_a_draw_chooses_its_own_k():
    images = np.zeros((40, 4, 4, 1), "float32")
    labels = np.arange(40) % 2
    images[:, 0, 0, 0] = 0.8 * labels + np.linspace(0, 0.1, 40)
    assert chapter_03.knn_with_own_k(images, labels, images[:6], labels[:6]) == 1
    assert chapter_03.knn_with_own_k(images[:6], labels[:6], images, labels) == 1


def test_own_digits_stand_below_their_pictures_with_the_answer(shown):
    pictures = {"my_7": np.zeros((40, 30)), "drawn_1_serif": np.zeros((50, 50, 3), int)}
    digits = np.random.default_rng(0).random((2, 28, 28, 1))
    chapter_01.show_own_digits(pictures, digits, np.eye(10)[[7, 2]] * 0.9)
    axes = shown[0][0].axes
    assert [ax.get_title(loc="center") for ax in axes[:2]] == ["my\n7", "drawn\n1_serif"]
    assert [ax.get_xlabel() for ax in axes[2:]] == ["→ 7\np = 0.90", "→ 2\np = 0.90"]
    np.testing.assert_allclose(axes[3].images[0].get_array(), digits[1, ..., 0])

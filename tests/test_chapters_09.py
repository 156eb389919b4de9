"""Room 09: its networks and figures; and its notebook, run on pictures in colour."""

import ast
import json
import statistics

import numpy as np
import pandas as pd
import pytest

from helpers import data, models, records, session
from helpers.backend import keras, tf
from helpers.chapters import chapter_09
from helpers.course import notebooks
from helpers.training import Recipe

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def clothes():
    return data.load("fashion_mnist", "lite")


def title(ax):
    """The title of a panel, wherever the style puts it."""
    return ax.get_title(loc="left") + ax.get_title()


# --- networks


@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3)])
@pytest.mark.parametrize("build", [chapter_09.build_regularised, chapter_09.build_strong])
def test_networks_are_built_for_any_shape_and_number_of_classes(build, shape):
    p = models.predict(build(shape, 7), RNG.random((3, *shape), np.float32))
    assert p.shape == (3, 7)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)


def test_the_strong_network_keeps_its_budget_of_parameters():
    assert chapter_09.build_strong().count_params() <= 250_000


def test_two_views_answer_for_an_image_as_for_its_mirror_image():
    network = chapter_09.build_strong()
    x = RNG.random((4, 28, 28, 1), np.float32)
    mirrored = np.ascontiguousarray(x[:, :, ::-1])
    np.testing.assert_allclose(models.predict(network, x), models.predict(network, mirrored), 1e-4)
    inner = network.layers[-1].network
    mean = (models.predict(inner, x) + models.predict(inner, mirrored)) / 2
    np.testing.assert_allclose(models.predict(network, x), mean, rtol=1e-4)


def test_without_mirrors_no_image_is_mirrored_and_one_answer_has_to_do():
    image = RNG.random((1, 6, 6, 1), np.float32)
    network = keras.Sequential([keras.Input((6, 6, 1)), keras.layers.Flatten()])
    network.add(keras.layers.Dense(3, activation="softmax"))
    views = chapter_09.TwoViews(network, shift=0, box=0, mirror=False)
    changed = np.asarray(views.changed(tf.constant(np.repeat(image, 40, axis=0))))
    np.testing.assert_array_equal(changed, np.repeat(image, 40, axis=0))
    np.testing.assert_allclose(models.predict(views, image), models.predict(network, image))


def test_in_training_images_are_mirrored_moved_by_whole_pixels_and_lose_a_box():
    keras.utils.set_random_seed(0)
    image = RNG.uniform(0.6, 1, (1, 28, 28, 1)).astype(np.float32)
    network = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten()])
    views = chapter_09.TwoViews(network, shift=0.07, box=0.5)
    changed = np.asarray(views.changed(tf.constant(np.repeat(image, 300, axis=0))))
    boxed = changed == 0.5
    # a box of at most half of each side, and every other pixel is one of the image
    sides = [boxed.any(axis=axis).sum(axis=1).max() for axis in ((2, 3), (1, 3))]
    assert all(8 <= side <= 15 for side in sides), sides
    assert np.isin(changed[~boxed], image).all()
    same = [np.mean(changed[:, :, ::side] == image, axis=(1, 2, 3)) > 0.5 for side in (1, -1)]
    assert all(0.01 < share.mean() < 0.2 for share in same), "unmoved and mirrored images occur"


def test_the_recipes_of_the_eight_seeds_on_record_are_those_of_the_networks():
    for name in ("regularised", "regularised_long", "augmented", "augmented_long"):
        recipe = chapter_09.NETWORKS[name].recipe
        expected = Recipe(epochs=chapter_09.LONG if "long" in name else chapter_09.SHORT)
        assert recipe == expected
        for run in records.trainings("full", name, "fashion_mnist"):
            assert run["recipe"] == recipe.settings()


# --- figures


def test_examples_stand_in_the_column_of_their_class(clothes, shown):
    chapter_09.show_examples(clothes, rows=2)
    [call] = shown
    assert call.name == "09_examples"
    first = [ax for ax in call.axes if title(ax)]
    assert [title(ax).replace("\n", "").replace("/ ", "/") for ax in first] == [
        name.replace(" ", "") for name in clothes.class_names
    ]
    for c, ax in enumerate(first):
        drawn = np.asarray(ax.images[0].get_array())
        np.testing.assert_array_equal(drawn, clothes.x_train[clothes.y_train == c][0, :, :, 0])


def test_the_first_epoch_is_drawn_in_percent_and_the_alt_text_names_the_longest_step(shown):
    chapter_09.show_first_epoch({"reported": 0.7, "at the end": 0.8, "validation": 0.85})
    [call] = shown
    np.testing.assert_allclose(call.axes[0].lines[0].get_xdata(), [70, 80, 85])
    assert "from “reported” to “at the end”" in call.alt
    assert "15 points between training and validation" in call.axes[0].figure.get_suptitle()


def test_the_confusion_matrix_says_what_the_watched_class_is_mistaken_for(clothes, shown):
    counts = np.eye(10, dtype=int) * 50
    counts[6, 4], counts[6, 0], counts[2, 6] = 20, 10, 90
    chapter_09.show_confusion(clothes, counts, watched=6)
    assert title(shown[0].axes[0]) == "A Shirt is most often mistaken for a Coat"
    assert "brightest is Coat" in shown[0].alt


def test_gains_are_marked_where_their_interval_excludes_zero(shown):
    gains = {"apart": np.array([-3.0, -3.2, -2.9]), "open": np.array([-1.0, 1.2, 0.1])}
    chapter_09.show_gains(gains, "Gains")
    colours = [line.get_color() for line in shown[0].axes[0].lines[::3][:2]]
    assert colours[0] != "0.5"
    assert colours[1] == "0.5"
    assert "Apart: the mean lies below zero. Open: the mean lies above zero." in shown[0].alt


def test_pairs_are_counted_once_and_not_with_themselves(shown):
    p = np.array([[1, 0.01, 0.5], [0.01, 1, 0.2], [0.5, 0.2, 1]])
    chapter_09.show_pairs({"small": p}, 0.05)
    ax = shown[0].axes[0]
    assert title(ax) == "small:\n1 of 3 pairs"
    labels = [[t.get_text() for t in axis.get_ticklabels()] for axis in (ax.yaxis, ax.xaxis)]
    assert labels == [["1", "2"], ["0", "1"]], "no empty row and no empty column"
    drawn = ax.collections[0].get_array()
    np.testing.assert_array_equal(drawn.mask, [[False, True], [False, False]])
    np.testing.assert_array_equal(drawn.compressed(), [True, False, False])


def test_trust_draws_both_curves_of_each_network_and_no_bin_of_a_few_images(shown):
    table = pd.DataFrame(
        {"count": [3, 30, 400], "confidence": [0.2, 0.4, 0.9], "accuracy": [1, 0.5, 0.8]}
    )
    chapter_09.show_trust({"one": table}, {"one": (np.array([0.5, 1]), np.array([0.1, 0.2]))})
    left, right = shown[0].axes
    assert left.lines[-1].get_ydata().tolist() == [0.5, 0.8]
    assert right.lines[-1].get_ydata().tolist() == [10, 20]


@pytest.mark.parametrize("channels", [1, 3])
def test_watched_images_and_walks_are_drawn_in_gray_and_in_colour(clothes, shown, channels):
    images = RNG.random((3, 28, 28, channels))
    chapter_09.show_watched(clothes, images, np.array([0, 2, 4]), watched=6)
    chapter_09.show_walks(clothes, {"start": images, "plain": images}, target=4)
    expected = images[1, :, :, 0] if channels == 1 else images[1]
    np.testing.assert_array_equal(shown[0].axes[1].images[0].get_array(), expected)
    assert title(shown[0].axes[1]) == "Pullover"
    assert len(shown[1].axes) == 6
    assert shown[1].name == "09_walks"


# --- the notebook, with one name changed


def stand_in(n_train=300, n_test=450, shape=(32, 32, 3)):
    """Make up pictures in colour as CIFAR-10 has them: a bright square for each class."""
    rng = np.random.default_rng(0)
    parts = []
    for n in (n_train, n_test):
        y = np.arange(n) % 10
        x = 0.3 * rng.random((n, *shape), dtype=np.float32)
        for image, label in zip(x, y, strict=True):
            row, column = divmod(label, 5)
            image[15 * row : 15 * row + 10, 6 * column : 6 * column + 6, label % 3] += 0.6
        parts += [x, y.astype(np.int64)]
    names = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship")
    return data.Dataset("cifar10", "classification", "full", "a test", *parts, (*names, "truck"))


def test_every_cell_runs_on_pictures_in_colour(monkeypatch, tmp_path, shown, capsys):
    [path] = notebooks.find(["09"])
    monkeypatch.setenv("COURSE_MODELS", str(tmp_path))
    monkeypatch.setenv("COURSE_FIGURES", str(tmp_path))
    monkeypatch.setattr(session, "interactive", lambda: True)
    monkeypatch.setattr(data, "load", lambda name: stand_in())
    names = {"display": lambda value: None}
    for place, cell in enumerate(notebooks.code_cells(notebooks.read(path)), 1):
        exec(compile(ast.parse(cell.source), f"In [{place}]", "exec"), names)
    said = capsys.readouterr().out
    assert "too few for an interval" in said  # nothing is on record for such pictures
    assert len(shown) >= 6
    assert all(call.name is None for call in shown), "the chapter's own figures stay"
    assert "Shirt" not in "".join(call.alt for call in shown)


# --- what stands in the README


README = (session.ROOT / "README.md").read_text(encoding="utf-8")


def stated(name):
    """Return what the README says of a network: the third cell of its row."""
    line = next(line for line in README.splitlines() if f"(`{name}`)" in line and "| 09 |" in line)
    return line.split("|")[3].strip()


@pytest.mark.parametrize("name", ["regularised", "augmented", "regularised_long", "augmented_long"])
def test_the_readme_states_the_medians_of_the_recorded_trainings(name):
    runs = records.trainings("full", name, "fashion_mnist")
    middle = 100 * statistics.median(run["accuracy"] for run in runs)
    seeds = f"median of {len(runs)} seeds" if len(runs) > 1 else "one seed"
    assert stated(name) == f"{middle:.2f} % ({seeds})"


def test_the_shipped_network_keeps_what_the_chapter_promises():
    card = json.loads((session.ROOT / "data/pretrained/fashion_mnist-strong.json").read_text())
    assert stated("strong") == f"{100 * card['test_accuracy']:.2f} % (one seed)"
    assert card["test_accuracy"] >= 0.925
    assert card["parameters"] <= 250_000

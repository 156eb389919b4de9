import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import colors
from PIL import Image

from helpers import plotting

RNG = np.random.default_rng(0)
GLYPHS = RNG.random((5, 20, 16, 1)).astype(np.float32)  # neither square nor of 28 pixels


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """What `display` was given, with a figures folder of its own."""
    calls = []
    monkeypatch.setenv("COURSE_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setattr(plotting, "display", lambda data, **kw: calls.append((data, kw)))
    return calls


@pytest.fixture(autouse=True)
def styled():
    """The style of the course, whatever ran before; no figure of one test is open in the next."""
    with plt.rc_context():
        plotting.use_style()
        yield
    plt.close("all")


def images_of(figure):
    """Return the images that a figure draws, in the order of its axes."""
    return [image for ax in figure.axes for image in ax.images]


def same_colour(one, other):
    return colors.to_rgba(one) == colors.to_rgba(other)


def test_a_figure_is_one_png_with_alt_text_and_a_file(shown, tmp_path):
    figure, _ = plt.subplots()
    plotting.show(figure, "A line that rises.", name="line")
    ((bundle, keywords),) = shown
    assert keywords["metadata"] == {"image/png": {"alt": "A line that rises."}}
    assert bundle["text/plain"] == "A line that rises."
    assert (tmp_path / "figures" / "line.png").read_bytes() == bundle["image/png"]
    assert not plt.fignum_exists(figure.number)


def test_the_same_figure_gives_the_same_bytes(shown):
    for _ in range(2):
        figure, ax = plt.subplots()
        ax.plot([1, 2, 3])
        plotting.show(figure, "A line.")
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


def test_an_unnamed_figure_is_not_saved(shown, tmp_path):
    plotting.show(plt.figure(), "Nothing.")
    assert not (tmp_path / "figures").exists()


@pytest.mark.parametrize(
    "name",
    ["../escape", "..", "", "/tmp/absolute", "a/b", "a\\b", "C:drive", "line.png", "a b", 7],
)
def test_a_name_that_leaves_the_folder_is_refused_before_anything_is_shown(shown, tmp_path, name):
    with pytest.raises(ValueError, match="name must be a file name of letters"):
        plotting.show(plt.figure(), "Nothing.", name)
    with pytest.raises(ValueError, match="name must be a file name of letters"):
        plotting.animate(np.zeros((2, 1, 3, 3)), "Nothing.", name)
    assert not shown
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_to_costs_the_file_and_not_the_picture(
    shown, tmp_path, monkeypatch, capsys
):
    (tmp_path / "taken").write_text("a file where the folder should be")
    monkeypatch.setenv("COURSE_FIGURES", str(tmp_path / "taken"))
    plotting.show(plt.figure(), "Nothing.", "line")
    assert len(shown) == 1
    assert capsys.readouterr().out.startswith("The figure was not saved as line.png: ")


@pytest.mark.parametrize("alt", ["  ", None, 3])
def test_alt_text_is_required(shown, alt):
    with pytest.raises(ValueError, match="alt must say what the figure shows"):
        plotting.show(plt.figure(), alt)
    with pytest.raises(ValueError, match="alt must say what the figure shows"):
        plotting.animate(np.zeros((2, 1, 3, 3)), alt)
    assert not shown


def test_only_a_figure_can_be_shown(shown):
    with pytest.raises(ValueError, match="figure must be a matplotlib Figure, not Axes"):
        plotting.show(plt.figure().gca(), "Axes.")


def test_digits_are_drawn_as_they_are_on_one_gray_scale():
    figure = plotting.digit_grid(0.5 * GLYPHS, columns=3)
    drawn = images_of(figure)
    assert len(figure.axes) == 6
    assert len(drawn) == 5
    assert {(image.get_clim(), image.get_cmap().name) for image in drawn} == {((0, 1), "gray")}
    for image, glyph in zip(drawn, GLYPHS, strict=True):
        assert np.array_equal(image.get_array(), 0.5 * glyph[..., 0])


def test_pictures_in_colour_are_drawn_as_they_are_in_grids_and_tables():
    photos = RNG.random((2, 3, 8, 6, 3))
    for figure in (plotting.digit_grid(photos[0], columns=3), plotting.digit_table(photos)):
        drawn = [np.asarray(image.get_array()) for image in images_of(figure)]
        np.testing.assert_array_equal(drawn[:3], photos[0])
    with pytest.raises(ValueError, match=r"images must hold values in \[0, 1\]; one image runs"):
        plotting.digit_grid(2 * photos[0])
    with pytest.raises(ValueError, match="numbers of shape"):  # a difference has no colours
        plotting.digit_table(photos, signed=True)


def test_titles_stand_over_their_images_and_wrong_ones_are_orange():
    figure = plotting.digit_grid(GLYPHS, list("abcde"), wrong=[0, 1, 0, 0, 1], title="Two fail")
    assert [ax.get_title(loc="center") for ax in figure.axes] == list("abcde")
    orange = [same_colour(ax.title.get_color(), plotting.COLOURS[3]) for ax in figure.axes]
    black = [same_colour(ax.title.get_color(), "black") for ax in figure.axes]
    assert orange == [False, True, False, False, True]
    assert black == [True, False, True, True, False]
    assert figure.get_suptitle() == "Two fail"


def test_a_table_puts_each_image_label_and_caption_in_its_place():
    images = GLYPHS[:4].reshape(2, 2, 20, 16)
    figure = plotting.digit_table(
        images, ["up", "down"], ["left", "right"], "Four", "rows", "columns", captions=["ab", "cd"]
    )
    for image, expected in zip(images_of(figure), GLYPHS, strict=False):
        assert np.array_equal(image.get_array(), expected[..., 0])
        assert image.get_clim() == (0, 1)
        assert image.get_cmap().name == "gray"
    assert [ax.get_ylabel() for ax in figure.axes] == ["up", "", "down", ""]
    assert [ax.get_title(loc="center") for ax in figure.axes] == ["left", "right", "", ""]
    assert [ax.get_xlabel() for ax in figure.axes] == ["a", "b", "c", "d"]
    assert (figure.get_supylabel(), figure.get_supxlabel()) == ("rows", "columns")


def test_only_signed_rows_are_drawn_as_differences_centred_at_zero():
    images = np.stack([GLYPHS[:2], GLYPHS[2:4] - GLYPHS[:2]])
    images[1, 0] = np.nan  # stays empty
    figure = plotting.digit_table(images, signed=[False, True])
    drawn = images_of(figure)
    scales = [(image.get_clim(), image.get_cmap().name) for image in drawn]
    assert scales == [((0, 1), "gray"), ((0, 1), "gray"), ((-1, 1), "RdBu_r")]
    assert np.array_equal(drawn[2].get_array(), images[1, 1, ..., 0])
    added, removed = drawn[2].to_rgba([1.0, -1.0])
    assert added[0] > added[2]  # red
    assert removed[0] < removed[2]  # blue


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((20, 16)), r"shape \(n, h, w\).*not float64 of shape \(20, 16\)"),
        (np.zeros((3, 20, 16, 4)), r"not float64 of shape \(3, 20, 16, 4\)"),
        (np.zeros((0, 20, 16)), r"not float64 of shape \(0, 20, 16\)"),
        ([np.zeros((2, 2)), np.zeros((3, 3))], "sizes differ"),
        (np.full((1, 2, 2), "a"), "images must be numbers"),
        (np.full((1, 2, 2), 200), r"values in \[0, 1\]; one image runs from 200 to 200"),
        (np.full((1, 2, 2), -0.5), r"values in \[0, 1\]; one image runs from -0.5"),
        (np.array([[[0.0, np.nan]]]), r"values in \[0, 1\]; one image runs from nan"),
        (np.array([[[0.0, np.inf]]]), r"values in \[0, 1\]; one image runs from 0 to inf"),
    ],
)
def test_images_that_cannot_be_drawn_are_named(images, words):
    with pytest.raises(ValueError, match=words):
        plotting.digit_grid(images)


def test_a_row_that_is_not_signed_may_not_be_negative():
    images = np.stack([GLYPHS[:2], -GLYPHS[:2]])
    plotting.digit_table(images, signed=[False, True])
    with pytest.raises(ValueError, match=r"\[-1, 1\] where signed, else in \[0, 1\]"):
        plotting.digit_table(images, signed=[True, False])
    with pytest.raises(ValueError, match="signed must be one bool, or one for each row"):
        plotting.digit_table(images, signed=[True, False, True])


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"titles": ["a"]}, "titles must have 5 entries, one for each image, not 1"),
        ({"wrong": [True]}, "wrong must have 5 entries, one for each image, not 1"),
        ({"columns": 0}, "columns must be a whole number, 1 or more, not 0"),
        ({"columns": True}, "columns must be a whole number, 1 or more, not True"),
    ],
)
def test_a_grid_wants_one_title_for_each_image(settings, words):
    with pytest.raises(ValueError, match=words):
        plotting.digit_grid(GLYPHS, **settings)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"row_labels": ["a"]}, "row_labels must have 2 entries, one for each row, not 1"),
        ({"column_labels": list("abc")}, "column_labels must have 2 entries, .* not 3"),
        ({"captions": [["a", "b"]]}, "captions must have 2 entries, one for each row, not 1"),
        ({"captions": [["a"], ["b"]]}, "each row of captions must have 2 entries, .* not 1"),
    ],
)
def test_a_table_wants_a_label_for_each_row_and_column(settings, words):
    with pytest.raises(ValueError, match=words):
        plotting.digit_table(GLYPHS[:4].reshape(2, 2, 20, 16), **settings)


def test_curves_have_their_names_at_their_ends_in_their_colours():
    _, ax = plt.subplots()
    plotting.lines(ax, [1, 2, 4], {"up": [1, 2, 3], "down": [3, 2, 0]}, "step", "p", "They cross")
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 2, 3], [3, 2, 0]]
    assert [list(line.get_xdata()) for line in ax.lines] == [[1, 2, 4]] * 2
    names = {text.get_text().strip(): text for text in ax.texts}
    assert [names["up"].xy, names["down"].xy] == [(4, 3), (4, 0)]
    for line in ax.lines:
        assert same_colour(names[line.get_label()].get_color(), line.get_color())
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title(loc="left")) == (
        "step",
        "p",
        "They cross",
    )
    assert ax.get_legend() is None


def test_curves_that_end_together_have_a_legend():
    _, ax = plt.subplots()
    plotting.lines(ax, [1, 2], {"one": [1, 2], "two": [0, 2]}, "", "", "", label_at_end=False)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one", "two"]
    assert not ax.texts


def test_a_curve_must_be_as_long_as_its_axis():
    _, ax = plt.subplots()
    with pytest.raises(ValueError, match=r"series\['a'\] must have shape \(3,\), as x, not \(2,\)"):
        plotting.lines(ax, [1, 2, 3], {"a": [1, 2]}, "", "", "")
    with pytest.raises(ValueError, match="lines needs a curve"):
        plotting.lines(ax, [1, 2, 3], {}, "", "", "")
    with pytest.raises(ValueError, match=r"x of shape \(n,\), n >= 1, not \(0,\)"):
        plotting.lines(ax, [], {"a": []}, "", "", "")


def test_the_confusion_matrix_colours_only_mistakes_and_keeps_rows_and_columns():
    _, ax = plt.subplots()
    counts = np.array([[90, 1], [3, 80]])
    plotting.confusion(ax, counts, "Few mistakes", class_names=["cat", "dog"])
    coloured = ax.collections[0].get_array().reshape(2, 2)
    assert np.array_equal(coloured, [[0, 1], [3, 0]])
    assert ax.collections[0].get_clim() == (0, 3)
    assert [text.get_text() for text in ax.texts] == ["90", "1", "3", "80"]
    assert counts[0, 0] == 90
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("predicted class", "true class")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["cat", "dog"]
    # the first row is on top, and the first column on the left
    assert ax.yaxis_inverted()
    assert not ax.xaxis_inverted()


def test_confusion_matrices_can_share_one_scale_and_need_no_names():
    _, ax = plt.subplots()
    plotting.confusion(ax, np.eye(3, dtype=int), "None", most=7)
    assert ax.collections[0].get_clim() == (0, 7)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("counts", "names", "words"),
    [
        (np.ones((2, 3), int), None, r"shape \(classes, classes\), not int64 of shape \(2, 3\)"),
        (np.ones((2, 2)), None, "counts must be whole numbers.*not float64"),
        (np.array([[1, -1], [0, 1]]), None, "counts must be whole numbers, 0 or more"),
        (np.ones((2, 2), int), "abc", "class_names must have 2 entries, one for each class, not 3"),
    ],
)
def test_a_table_that_is_no_confusion_matrix_is_named(counts, names, words):
    with pytest.raises(ValueError, match=words):
        plotting.confusion(plt.figure().gca(), counts, "", names)


def test_an_animation_holds_every_frame_and_waits_at_the_end(shown):
    digits = RNG.random((3, 5, 6, 4, 1))  # 3 frames of 5 images of 6 x 4 pixels
    plotting.animate(digits, "Digits that flicker.", columns=3, zoom=2)
    ((bundle, keywords),) = shown
    assert keywords["metadata"] == {"image/png": {"alt": "Digits that flicker."}}
    with Image.open(io.BytesIO(bundle["image/png"])) as picture:
        assert picture.n_frames == 3
        assert picture.size == (3 * 6 * 2, 2 * 8 * 2)  # with a margin of one pixel
        durations, frames = [], []
        for number in range(3):
            picture.seek(number)
            durations.append(picture.info["duration"])
            frames.append(np.asarray(picture.convert("L"))[::2, ::2])
    assert durations == [80, 80, 800]
    for frame, images in zip(frames, digits, strict=True):
        expected = np.rint(255 * images[..., 0])
        assert np.array_equal(frame[1:7, 1:5], expected[0])
        assert np.array_equal(frame[9:15, 7:11], expected[4])  # second row, second column
        assert frame[8:, 12:].max() == 0  # the last place is free


@pytest.mark.parametrize("setting", ["columns", "zoom", "milliseconds"])
def test_an_animation_refuses_settings_below_1(shown, setting):
    with pytest.raises(ValueError, match=f"{setting} must be a whole number, 1 or more, not 0"):
        plotting.animate(np.zeros((2, 1, 3, 3)), "Black.", **{setting: 0})
    assert not shown


def test_the_style_starts_titles_at_the_left_and_tells_colours_apart():
    assert plt.rcParams["axes.titlelocation"] == "left"
    assert plt.rcParams["figure.constrained_layout.use"]
    cycle = plt.rcParams["axes.prop_cycle"].by_key()["color"]
    blue, orange = (colors.to_hex(colour) for colour in cycle[:2])
    assert (blue, orange) == ("#0173b2", "#de8f05")  # of seaborn's colour-blind-safe palette


def test_titles_may_be_labels():
    figure = plotting.digit_grid(np.zeros((2, 4, 4)), titles=np.array([3, 8]))
    assert [ax.get_title() for ax in figure.axes] == ["3", "8"]

import io

import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from helpers import plotting


@pytest.fixture
def shown(tmp_path, monkeypatch):
    """What `display` was given, with a figures folder of its own."""
    calls = []
    monkeypatch.setenv("COURSE_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setattr(plotting, "display", lambda data, **kw: calls.append((data, kw)))
    return calls


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


def test_alt_text_is_required(shown):
    with pytest.raises(ValueError, match="alt must say what the figure shows"):
        plotting.show(plt.figure(), "  ")


def test_digits_keep_the_same_gray_scale(sample):
    figure = plotting.digit_grid(0.5 * sample.x_test[:7], columns=3)
    assert [image.get_clim() for ax in figure.axes for image in ax.images] == [(0, 1)] * 7
    assert len(figure.axes) == 9
    plt.close(figure)


def test_matrices_put_source_and_target_where_the_axes_say(sample):
    images = np.zeros((100, 28, 28, 1), np.float32)
    images[37] = sample.x_test[0]  # source 3, target 7
    figure = plotting.matrices({"one": images, "other": images}, "title")
    (mosaic,) = figure.axes[0].images
    assert mosaic.get_clim() == (0, 1)
    table = mosaic.get_array()
    assert np.array_equal(
        table[3 * 30 + 1 : 4 * 30 - 1, 7 * 30 + 1 : 8 * 30 - 1], images[37, ..., 0]
    )
    assert len(figure.axes[1].patches) == 10
    plt.close(figure)


def test_differences_are_centred_at_zero(sample):
    difference = sample.x_test[:4].reshape(2, 2, 28, 28) - sample.x_test[4:8].reshape(2, 2, 28, 28)
    difference[0, 0] = np.nan
    figure = plotting.digit_table(difference, ["a", "b"], ["c", "d"], signed=True)
    drawn = [image for ax in figure.axes for image in ax.images]
    assert len(drawn) == 3
    assert {image.get_clim() for image in drawn} == {(-1, 1)}
    assert {image.get_cmap().name for image in drawn} == {"RdBu_r"}
    plt.close(figure)


def test_the_confusion_matrix_colours_only_mistakes():
    figure, ax = plt.subplots()
    counts = np.array([[90, 1], [3, 80]])
    plotting.confusion(ax, counts, "Few mistakes", class_names="ab")
    assert ax.collections[0].get_array().max() == 3
    assert [text.get_text() for text in ax.texts] == ["90", "1", "3", "80"]
    assert counts[0, 0] == 90
    plt.close(figure)


def test_an_animation_holds_every_frame_and_waits_at_the_end(shown, sample):
    frames = np.stack([sample.x_test[:12] * share for share in np.linspace(0, 1, 8)])
    plotting.animate(frames, "Digits that fade in.", columns=6, zoom=2)
    ((bundle, _),) = shown
    with Image.open(io.BytesIO(bundle["image/png"])) as picture:
        assert picture.n_frames == 8
        assert picture.size == (6 * 30 * 2, 2 * 30 * 2)
        assert picture.info["duration"] == 80
        picture.seek(7)
        assert picture.info["duration"] == 800
        last = np.asarray(picture.convert("L"))
    expected = np.rint(255 * sample.x_test[0, :, :, 0])
    assert np.array_equal(last[2:58:2, 2:58:2], expected)

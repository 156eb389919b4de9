"""The figures of room 11: what is drawn, read from the artists, and what is said of it."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from helpers import data
from helpers.chapters import chapter_11

RNG = np.random.default_rng(0)
BITS = RNG.integers(0, 2, (40, 320)).astype(float)
TABLE = pd.DataFrame({"above": [-100.0, -150.0], "below": [-102.0, -160.0]}, index=["a", "b"])
CURVES = pd.DataFrame({"reconstruction": [50.0, 40], "lowest": [-155.0, -125]}, index=[1, 2])


@pytest.fixture(scope="module")
def stand_in():
    return data.load("alphadigits", "lite")


DRAWN = {
    "characters": chapter_11.show_characters,
    "film": lambda of: chapter_11.show_film(of, {"a": BITS.reshape(5, 8, 320)}, range(5), "Dreams"),
    "learning": lambda of: chapter_11.show_learning(of, {"CD": CURVES, "PCD": CURVES + 1}),
    "bounds": lambda of: chapter_11.show_bounds(of, TABLE, "Both"),
    "fields": lambda of: chapter_11.show_fields(of, BITS[:6].reshape(2, 3, 320) - 0.5, "Fields"),
    "study": lambda of: chapter_11.show_study(of, {5: [-1.0], 9: [-0.5]}, {2: [-1.0], 3: [-2.0]}),
    "read": lambda of: chapter_11.show_read(of, BITS, np.arange(40) % 36, BITS[:, 0] > 0, BITS),
    "samples": lambda of: chapter_11.show_samples(of, {"a": BITS[:5]}, (20, 16), "Samples"),
}


@pytest.mark.parametrize("figure", DRAWN)
def test_only_figures_of_the_stand_in_say_so_in_their_title(stand_in, shown, figure):
    DRAWN[figure](stand_in)
    DRAWN[figure](dataclasses.replace(stand_in, profile="full"))
    made_up, real = (call.figure.get_suptitle() for call in shown)
    assert made_up == f"STAND-IN, printed characters · {real}"
    assert "STAND-IN" not in real


def test_a_film_strip_has_a_row_for_each_chain_and_a_column_for_each_step(stand_in, shown):
    frames = BITS[:6].reshape(3, 2, 320)
    chapter_11.show_film(stand_in, {"PCD": frames}, [0, 10, 1000], "Dreams")
    [ax] = shown[0].figure.axes
    sheet = ax.images[0].get_array()
    for step, chain in np.ndindex(3, 2):
        inside = sheet[chain * 22 + 1 : chain * 22 + 21, step * 18 + 1 : step * 18 + 17]
        np.testing.assert_array_equal(inside, frames[step, chain].reshape(20, 16))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "10", "1,000"]


def test_the_title_of_the_curves_says_how_far_apart_they_end(stand_in, shown):
    worse = CURVES + np.array([5, -9])
    chapter_11.show_learning(stand_in, {"CD-1": worse, "PCD": CURVES})
    title = "The copies end within 5 pixels, the likelihoods 9 nats apart"
    assert title in shown[0].figure.get_suptitle()
    assert "lowest error is that of PCD" in shown[0].alt


def test_the_panels_of_the_study_name_the_best_of_each(stand_in, shown):
    chapter_11.show_study(stand_in, {5: [-9.0], 9: [-7.0, -8]}, {2: [-3.0], 4: [-1.0], 7: [-2.0]})
    titles = [ax.get_title(loc) for ax in shown[0].figure.axes for loc in ("left", "center")]
    assert "All characters: 9 units do best" in titles
    assert "Scored on 2: best learnt among 4" in titles


def test_all_fields_are_drawn_on_one_scale_around_zero(stand_in, shown):
    fields = np.stack([BITS[:3], -4 * BITS[3:6]])
    chapter_11.show_fields(stand_in, fields, "Fields")
    limits = [image.get_clim() for ax in shown[0].figure.axes for image in ax.images]
    assert limits == [(-4, 4)] * 6


def test_hamming_counts_the_pixels_that_differ():
    expected = [[np.sum(a != b) for b in BITS[3:6]] for a in BITS[:2]]
    np.testing.assert_array_equal(chapter_11.hamming(BITS[:2], BITS[3:6]), expected)


def test_digits_that_are_drawn_otherwise_are_refused(monkeypatch):
    mnist = data.load("mnist", "lite")
    assert set(np.unique(chapter_11.drawn_digits(mnist))) == {0, 1}
    turned = dataclasses.replace(mnist, x_test=mnist.x_test[::-1])
    with pytest.raises(RuntimeError, match="the digits drawn have the SHA-256"):
        chapter_11.drawn_digits(turned)

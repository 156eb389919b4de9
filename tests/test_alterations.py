import numpy as np
import pytest

from helpers import alterations
from helpers.alterations import CORRUPTIONS, centred, corrupt, like_mnist, on_canvas

RNG = np.random.default_rng(0)
IMAGES = RNG.random((6, 28, 28, 1)).astype(np.float32)


# the canvas


def test_a_canvas_is_laid_out_and_shrunk_pixel_by_pixel():
    """Twice as large, each pixel of the result is the mean of four of the canvas."""
    canvas = np.zeros((6, 56, 56))
    canvas[:, 7:35, 28:56] = IMAGES[..., 0]
    expected = canvas.reshape(6, 28, 2, 28, 2).mean(axis=(2, 4))
    found = on_canvas(IMAGES, 56, (7 / 28, 1))
    np.testing.assert_allclose(found[..., 0], expected, atol=1e-6)


@pytest.mark.parametrize("size", [28, 29, 41, 56, 90])
def test_a_canvas_keeps_the_ink(size):
    """An area mean spreads the ink over a smaller area, and loses none of it."""
    found = on_canvas(IMAGES, size, seed=1).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(found, IMAGES.sum(axis=(1, 2, 3)) * (28 / size) ** 2, rtol=1e-4)


def test_a_canvas_of_the_size_of_the_image_is_the_image():
    np.testing.assert_allclose(on_canvas(IMAGES, 28), IMAGES, atol=1e-6)


def test_places_are_drawn_for_each_image_and_by_the_seed():
    white = np.ones((200, 28, 28, 1))
    first, again, other = (on_canvas(white, 56, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    inked = first[..., 0] > 0
    tops, lefts = (inked.any(axis=axis).argmax(axis=1) for axis in (2, 1))
    assert set(tops) == set(lefts) == set(range(15))  # of 28 places two share a pixel
    assert abs(np.corrcoef(tops, lefts)[0, 1]) < 0.3


def test_images_may_be_wide_and_coloured():
    wide = RNG.random((3, 10, 20, 3))
    found = on_canvas(wide, 40, (0, 0))
    canvas = np.zeros((3, 40, 40, 3))
    canvas[:, :10, :20] = wide
    expected = canvas.reshape(3, 10, 4, 20, 2, 3).mean(axis=(2, 4))
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"images": IMAGES * 255}, "images must hold values in"),
        ({"images": IMAGES[..., 0]}, "images must have shape"),
        ({"size": 27}, "size must be a whole number, 28 or more"),
        ({"place": (0.5, 1.2)}, "place must be a sequence of numbers in"),
        ({"place": (0.5,)}, "place must be two numbers"),
        ({"seed": -1}, "seed must be a whole number"),
    ],
)
def test_a_canvas_names_the_bad_argument(changed, message):
    with pytest.raises(ValueError, match=message):
        on_canvas(**{"images": IMAGES} | changed)


# corruptions


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_spoils_more_the_more_severe_it_is(name, sample):
    x = sample.x_test[:100]
    changes = []
    for severity in alterations.SEVERITIES:
        spoilt = corrupt(x, name, severity, seed=3)
        assert spoilt.shape == x.shape and spoilt.dtype == np.float32
        assert spoilt.min() >= 0 and spoilt.max() <= 1
        changes.append(np.mean((spoilt - x) ** 2))
    assert 0 < changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_corruption_is_that_of_its_seed_and_leaves_the_images_alone(name, sample):
    x = sample.x_test[:20]
    before = x.copy()
    first, again, other = (corrupt(x, name, 2, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    random = name not in ("blur", "scale", "contrast")
    assert np.array_equal(first, other) != random
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_images_of_another_shape_are_spoilt_too(name):
    assert corrupt(RNG.random((2, 32, 40, 3)), name, 3).shape == (2, 32, 40, 3)


def test_noise_has_its_standard_deviation():
    grey = np.full((50, 28, 28, 1), 0.5)
    assert corrupt(grey, "noise", 1).std() == pytest.approx(0.15, rel=0.02)


def test_black_has_no_shot_noise_and_grey_has_that_of_its_photons():
    assert not corrupt(np.zeros((2, 28, 28, 1)), "shot noise", 3).any()
    grey = np.full((50, 28, 28, 1), 0.2)
    assert corrupt(grey, "shot noise", 1).std() == pytest.approx(np.sqrt(0.2 / 10), rel=0.05)


def test_a_point_turns_about_the_middle():
    x = np.zeros((1, 29, 29, 1))
    x[0, 14, 24] = 1  # ten pixels to the right
    for severity, degrees in enumerate((15, 30, 45), start=1):
        turned = corrupt(x, "rotation", severity)[0, ..., 0]
        row, column = np.average(np.indices(turned.shape).reshape(2, -1), 1, turned.ravel()) - 14
        assert np.rad2deg(np.arctan2(abs(row), column)) == pytest.approx(degrees, abs=2)
        assert np.hypot(row, column) == pytest.approx(10, abs=0.3)


def test_both_directions_of_a_turn_occur():
    x = np.zeros((40, 29, 29, 1))
    x[:, 14, 24] = 1
    above = corrupt(x, "rotation", 3)[:, :14].sum(axis=(1, 2, 3)) > 0.5
    assert 8 < above.sum() < 32


def test_a_scaled_square_has_its_factor():
    x = np.zeros((1, 28, 28, 1))
    x[:, 4:24, 4:24] = 1
    for severity, factor in enumerate((0.8, 0.65, 0.5), start=1):
        area = corrupt(x, "scale", severity).sum()
        assert np.sqrt(area) == pytest.approx(20 * factor, rel=0.04)


def test_shear_moves_rows_against_each_other():
    x = np.zeros((1, 29, 29, 1))
    x[:, :, 14] = 1
    sheared = corrupt(x, "shear", 2)[0, ..., 0]
    columns = np.arange(29)
    at = sheared @ columns / np.maximum(sheared.sum(axis=1), 1e-9)
    np.testing.assert_allclose(sheared.sum(axis=1), 1, atol=1e-4)
    assert abs(at[20] - at[10]) == pytest.approx(5, abs=0.1)


def test_motion_keeps_the_ink_and_draws_a_line():
    x = np.zeros((1, 41, 41, 1))
    x[0, 20, 20] = 1
    drawn = corrupt(x, "motion blur", 3, seed=2)[0, ..., 0]
    assert drawn.sum() == pytest.approx(1, abs=1e-4)
    rows, columns = np.nonzero(drawn > 0.01)
    assert np.hypot(np.ptp(rows), np.ptp(columns)) == pytest.approx(11, abs=1.5)


def test_stripes_and_squares_cover_what_they_say():
    grey = np.full((30, 28, 28, 1), 0.5)
    for severity in alterations.SEVERITIES:
        white = corrupt(grey, "stripes", severity) == 1
        assert (white.sum(axis=(1, 2, 3)) == 28 * 2 * severity).all()
    for severity, side in enumerate((6, 9, 12), start=1):
        black = corrupt(grey, "occlusion", severity) == 0
        assert (black.sum(axis=(1, 2, 3)) == side**2).all()
    drops = corrupt(grey, "spatter", 2) == 1
    np.testing.assert_allclose(drops.mean(axis=(1, 2, 3)), 0.07, atol=0.002)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"name": "fog"}, "name must be one of"),
        ({"severity": 0}, "severity must be a whole number, from 1 to 3"),
        ({"severity": 4}, "severity must be a whole number, from 1 to 3"),
        ({"images": IMAGES - 1}, "images must hold values in"),
    ],
)
def test_a_corruption_names_the_bad_argument(changed, message):
    with pytest.raises(ValueError, match=message):
        corrupt(**{"images": IMAGES, "name": "noise"} | changed)


# pictures from outside


def photo(digit, ink=40, paper=230, side=280, at=(30, 120), zoom=4, channels=None):
    """Draw a digit as dark ink somewhere on a bright sheet, as bytes."""
    large = np.kron(digit[..., 0], np.ones((zoom, zoom)))
    sheet = np.full((side, side), float(paper))
    rows, columns = (slice(a, a + len(large)) for a in at)
    sheet[rows, columns] -= (paper - ink) * large
    sheet = np.uint8(sheet.clip(0, 255))
    return sheet if channels is None else np.repeat(sheet[..., None], channels, axis=2)


def test_each_step_has_its_form(sample):
    steps = like_mnist(photo(sample.x_test[0]))
    assert list(steps) == [
        "picture",
        "bright ink",
        "ink only",
        "cropped",
        "in a box",
        "centred",
    ]
    for step in steps.values():
        assert step.dtype == np.float32 and step.ndim == 2
        assert step.min() >= 0 and step.max() <= 1
    assert steps["cropped"][0].any() and steps["cropped"][:, -1].any()
    assert max(steps["in a box"].shape) == 20
    assert steps["in a box"].max() == 1


def test_a_digit_that_was_moved_and_enlarged_comes_back(sample):
    """On twenty digits, what comes back is nearer to its own original than to any other."""
    x = sample.x_test[:20]
    back = np.stack([like_mnist(photo(digit))["centred"] for digit in x])
    distance = ((back[:, None] - x[None, ..., 0]) ** 2).sum(axis=(2, 3))
    np.testing.assert_array_equal(distance.argmin(axis=1), np.arange(20))


def test_where_the_digit_lies_how_large_it_is_and_which_colour_it_has_do_not_matter(sample):
    digit = sample.x_test[3]
    expected = like_mnist(photo(digit))["centred"]
    variants = {
        "elsewhere": photo(digit, at=(140, 10)),
        "white on black": 255 - photo(digit),
        "faint": photo(digit, ink=150),
        "in [0, 1]": photo(digit) / 255,
        "colour": photo(digit, channels=3),
    }
    for name, picture in variants.items():
        np.testing.assert_allclose(like_mnist(picture)["centred"], expected, atol=0.1, err_msg=name)
    smaller = like_mnist(photo(digit, zoom=3))["centred"]
    assert np.corrcoef(smaller.ravel(), expected.ravel())[0, 1] > 0.95


def test_a_shadow_and_a_blot_are_no_ink(sample):
    sheet = photo(sample.x_test[3]) / 255
    shade = np.linspace(0.5, 1, 280)[:, None]
    sheet[250:254, 20:24] = 0.1
    steps = like_mnist(sheet * shade)
    assert not steps["ink only"][150:].any()
    assert not steps["ink only"][:30].any()
    distance = ((sample.x_test[:100, ..., 0] - steps["centred"]) ** 2).sum(axis=(1, 2))
    assert distance.argmin() == 3


def test_a_see_through_drawing_stands_on_white(sample):
    sheet = photo(sample.x_test[3])
    drawing = np.zeros((280, 280, 4), np.uint8)
    drawing[..., 3] = np.uint8((230 - sheet.astype(float)).clip(0))
    expected = like_mnist(sheet)["centred"]
    found = like_mnist(drawing)["centred"]
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99


def test_a_large_photo_is_made_smaller_first(sample):
    steps = like_mnist(np.kron(photo(sample.x_test[3]), np.ones((4, 4), np.uint8)))
    assert steps["picture"].shape == (280, 280)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.full((40, 40), 200), "picture must show ink on paper"),
        (np.zeros((40, 40, 2)), "picture must have 3 or 4 channels"),
        (np.full((40, 40), 300), "picture must hold whole numbers from 0 to 255"),
        (np.full((40, 40), 1.5), "picture must hold whole numbers from 0 to 255"),
        (np.zeros(40), "picture must be numbers of shape"),
        (np.zeros((1, 28, 28, 1)), "picture must be numbers of shape"),
        (np.full((40, 40), "a"), "picture must be numbers of shape"),
    ],
)
def test_a_picture_without_a_digit_is_refused(picture, message):
    with pytest.raises(ValueError, match=message):
        like_mnist(picture)


def test_the_mass_lies_in_the_middle():
    for _ in range(20):
        digit = RNG.random(RNG.integers(3, 20, 2)) ** 4
        placed = centred(digit)
        middle = np.average(np.indices(placed.shape).reshape(2, -1), 1, placed.ravel())
        assert np.abs(middle - 14).max() <= 0.5 + 1e-6
        assert placed.sum() == pytest.approx(digit.sum(), rel=1e-5)


def test_the_middle_is_that_of_mnist(sample):
    """Cut out and centred again, each digit of MNIST lies where it lay."""
    for image in sample.x_test[:100, ..., 0]:
        rows, columns = (np.flatnonzero(image.any(axis=axis)) for axis in (1, 0))
        cut = image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        np.testing.assert_array_equal(centred(cut), image)


def test_a_digit_is_never_cut_off():
    digit = np.zeros((20, 20))
    digit[0, 0], digit[19, 19] = 1, 0.01
    assert np.count_nonzero(centred(digit, side=22)) == 2


@pytest.mark.parametrize(
    ("digit", "message"),
    [(np.zeros((5, 5)), "digit must hold ink"), (np.ones((30, 5)), "side must be a whole number")],
)
def test_what_cannot_be_centred_is_refused(digit, message):
    with pytest.raises(ValueError, match=message):
        centred(digit)

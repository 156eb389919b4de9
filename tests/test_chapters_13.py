"""The room of 13: what is scored, what ships, and what its figures say."""

import json

import numpy as np
import pandas as pd
import pytest

from helpers import boltzmann, checkpoints, data, generative
from helpers.backend import keras
from helpers.chapters import chapter_11, chapter_13

BITS = np.random.default_rng(0).integers(0, 2, (40, 28, 28, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def mnist():
    return data.load("mnist", "lite")


def test_the_test_digits_are_those_of_11_and_held_out_ones_are_not_trained_on(mnist):
    drawn, held = chapter_13.in_black_and_white(mnist)
    flat = drawn.x_test.reshape(len(drawn.x_test), -1)
    np.testing.assert_array_equal(flat, chapter_11.drawn_digits(mnist))
    assert len(drawn.x_train) == len(drawn.y_train)
    assert len(drawn.x_train) + len(held) == len(mnist.x_train)
    both = np.concatenate([drawn.x_train, held])
    assert set(np.unique(both)) == {0, 1}
    assert not both[mnist.x_train == 0].any()
    assert both[mnist.x_train == 1].all()


def test_nearest_is_the_least_number_of_pixels_that_differ():
    pixels, place = chapter_13.nearest(BITS[:5], BITS[5:])
    flat = BITS.reshape(40, -1)
    apart = chapter_11.hamming(flat[:5], flat[5:])
    np.testing.assert_array_equal(pixels, apart.min(axis=1))
    np.testing.assert_array_equal(apart[range(5), place], pixels)


def test_a_table_of_scores_has_a_row_for_each_set_and_finds_copies():
    networks = {}
    for name, network in chapter_13.FEATURES.items():
        keras.utils.set_random_seed(0)
        networks[name] = network.build((28, 28, 1), 10)
    sets = {"copies": np.tile(BITS[:4], (5, 1, 1, 1)), "others": BITS[20:]}
    table = chapter_13.score(sets, networks, BITS[:20], BITS[:20], part=20)
    assert list(table.index) == ["copies", "others"]
    assert list(table) == ["FD, cnn", "FD, mlp", "precision", "recall", "nearest"]
    assert table.loc["copies", "nearest"] == 0 < table.loc["others", "nearest"]
    assert table.loc["copies", "precision"] == 1
    real = generative.features(networks["mlp"], BITS[:20])
    drawn = generative.features(networks["mlp"], BITS[20:])
    expected = generative.frechet_distance(drawn, real)
    assert table.loc["others", "FD, mlp"] == pytest.approx(expected)


@pytest.mark.parametrize("name", ["wgan", "conv_vae_beta4", "dbn_top"])
def test_a_model_ships_in_half_precision_and_only_as_its_card_says(tmp_path, monkeypatch, name):
    monkeypatch.setattr(checkpoints, "PRETRAINED", tmp_path)
    if name == "dbn_top":
        model = boltzmann.RBM(np.full((4, 3), 0.1), np.zeros(4), np.zeros(3))
    else:
        model = chapter_13.SHIPPED[name]()
    chapter_13.ship(name, model, {"minutes": 8})
    loaded, card = chapter_13.load(name)
    assert card["minutes"] == 8
    if name == "dbn_top":
        np.testing.assert_allclose(loaded.weights, model.weights, atol=1e-3)
    else:
        np.testing.assert_allclose(loaded.draw(2, 0), model.draw(2, 0), atol=0.02)
    file = tmp_path / f"mnist-{name}.json"
    file.write_text(json.dumps(card | {"sha256": "0"}), encoding="utf-8")
    with pytest.raises(RuntimeError, match="does not hold the arrays of its card"):
        chapter_13.load(name)


def test_every_model_that_ships_can_be_trained_again():
    readers = {network.name for network in chapter_13.FEATURES.values()}
    assert {*chapter_13.TRAININGS, *readers} == {*chapter_13.SHIPPED, "dbn_top"}
    with pytest.raises(ValueError, match="name must be one of"):
        chapter_13.train("dcgn")


def test_what_ships_stays_small():
    names = [*chapter_13.SHIPPED, "dbn_top"]
    sizes = [(checkpoints.PRETRAINED / f"mnist-{name}.npz").stat().st_size for name in names]
    assert sum(sizes) < 12e6


@pytest.mark.parametrize("name", [*chapter_13.SHIPPED, "dbn_top"])
def test_what_ships_says_its_minutes_and_what_it_reached_on_held_out_digits(name):
    _, card = chapter_13.load(name)
    assert card["minutes"] > 0
    assert card["held_out"]


# --- figures


def test_the_two_scores_are_said_to_disagree_only_where_they_do(shown):
    table = pd.DataFrame({"log p": [-90.0, -95], "FD": [9.0, 4]}, index=["a", "b"])
    chapter_13.show_disagreement(table)
    assert "do not name the same winner" in shown[0].figure.get_suptitle()
    assert "The most likely is a, the nearest b" in shown[0].alt
    chapter_13.show_disagreement(table.assign(FD=[1.0, 4]))
    assert "do not" not in shown[1].figure.get_suptitle()


def test_codes_are_drawn_row_by_row(shown):
    vae = generative.dense_vae(2, 4)
    codes = np.random.default_rng(0).normal(size=(2, 3, 2)).astype("float32")
    chapter_13.show_codes(
        vae,
        codes,
        "abc",
        "Codes",
        "Rows of small gray digits that a decoder made of the codes given.",
    )
    expected = vae.decode(codes[1, 2:3])[0, ..., 0]
    drawn = [ax.images[0].get_array() for ax in shown[0].figure.axes if ax.images]
    assert len(drawn) == 6
    np.testing.assert_allclose(drawn[5], expected, atol=1e-6)


def test_each_training_has_its_losses_and_its_distance(shown):
    curve = pd.DataFrame(
        {"minutes": [1, 2], "critic": [3.0, 1], "generator": [1.0, 2], "fd": [50.0, 9]}
    )
    chapter_13.show_training({"DCGAN": curve, "WGAN-GP": curve})
    critic, generator, distance = shown[0].figure.axes
    np.testing.assert_array_equal(critic.lines[1].get_ydata(), [3, 1])
    np.testing.assert_array_equal(generator.lines[0].get_ydata(), [1, 2])
    np.testing.assert_array_equal(distance.lines[0].get_ydata(), [50, 9])


def test_the_nats_of_all_units_stand_in_the_title(shown):
    chapter_13.show_units({"β = 1": np.array([3.0, 1, 0.5]), "β = 4": np.array([2.0, 0, 0])})
    assert "4 nats in β = 1, 2 nats in β = 4" in shown[0].figure.get_suptitle()


def test_a_row_of_images_for_each_label(shown):
    chapter_13.show_rows(
        {"a": BITS[:3], "b": BITS[3:6]},
        "Rows",
        "Two rows of three small black-and-white images, one row for each.",
    )
    drawn = [ax for ax in shown[0].figure.axes if ax.images]
    assert len(drawn) == 6

"""Room 08: its networks, its figures, and its drawings."""

import dataclasses
import importlib.util
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from helpers import alterations, checkpoints, models, records
from helpers.chapters import chapter_08
from helpers.training import Recipe

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("name", chapter_08.NETWORKS)
def test_its_networks_have_the_shape_of_the_reference_and_are_shipped(name):
    network = chapter_08.NETWORKS[name]
    assert network.build is models.build_cnn
    path = checkpoints.PRETRAINED / f"mnist-{name}.weights.h5"
    assert path.stat().st_size < 1_000_000
    card = json.loads(checkpoints.card_path(path).read_text(encoding="utf-8"))
    assert card["recipe"] == network.recipe.settings()
    [run] = records.trainings("full", name)
    assert run["accuracy"] == card["test_accuracy"]
    assert card["test_accuracy"] >= {"canvas": 0.987, "linf": 0.985}[name]


def test_on_the_sample_all_five_learn_for_one_epoch(sample, monkeypatch):
    seen = {}

    def load_or_train(network, dataset):
        seen[network.name] = network.recipe
        return network.name

    monkeypatch.setattr(models, "load_or_train", load_or_train)
    nets = chapter_08.networks(sample)
    assert nets == chapter_08.KINDS
    assert {recipe.epochs for recipe in seen.values()} == {1}
    assert seen["canvas"].canvas == 56
    assert seen["linf"].attack_norm == "linf"
    assert isinstance(seen["robust"], Recipe)


def test_claims_are_tested_on_the_full_data_only(sample, capsys):
    chapter_08.full_claims(sample)("all is well", False)
    assert "not checked on the sample: all is well" in capsys.readouterr().out
    full = dataclasses.replace(sample, profile="full")
    chapter_08.full_claims(full)("all is well", True)
    assert capsys.readouterr().out == "✓ all is well\n"
    with pytest.raises(AssertionError, match="all is well"):
        chapter_08.full_claims(full)("all is well", False, "0.2")


def test_a_picture_is_shrunk_by_means():
    picture = RNG.random((56, 56))
    expected = picture.reshape(28, 2, 28, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(chapter_08.shrink(picture), expected, atol=1e-6)


# figures


def test_the_curves_are_those_of_the_history(shown):
    history = {"loss": [1, 0.5], "val_loss": [0.9, 0.6], "accuracy": [0.8, 0.9]}
    chapter_08.show_training(history | {"val_accuracy": [0.85, 0.88]})
    drawn = [line.get_ydata().tolist() for ax in shown[0].axes for line in ax.lines]
    assert drawn == [[1, 0.5], [0.9, 0.6], [0.8, 0.9], [0.85, 0.88]]


def test_confusions_stand_side_by_side(shown):
    counts = {"MNIST": np.diag([5, 6]), "canvas 56": np.array([[1, 4], [0, 6]])}
    chapter_08.show_confusions(counts)
    first, second = shown[0].axes
    titles = [ax.get_title(loc="left") + ax.get_title() for ax in (first, second)]
    assert titles == list(counts)
    assert [text.get_text() for text in second.texts] == ["1", "4", "0", "6"]


def test_moved_digits_stand_below_their_originals(shown):
    images = RNG.random((3, 28, 28, 1))
    chapter_08.show_moved(images, alterations.on_canvas(images, 84), 84)
    labels = [ax.get_ylabel() for ax in shown[0].axes if ax.get_ylabel()]
    assert labels == ["MNIST", "canvas 84"]


def test_a_surface_names_its_sizes_and_places(shown):
    surface = np.array([[0.99, 0.9, 0.8], [0.5, 0.4, 0.123]])
    chapter_08.show_surfaces({"plain": surface, "canvas": surface}, (28, 56), (0, 0.5, 1))
    ax = shown[0].axes[0]
    assert [text.get_text() for text in ax.get_yticklabels()] == ["1.00", "0.50"]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0", "0.5", "1"]
    assert [text.get_text() for text in ax.texts] == ["99", "90", "80", "50", "40", "12"]


def test_reliability_draws_a_curve_for_each_set(shown):
    table = pd.DataFrame({"confidence": [0.5, 0.9], "accuracy": [0.2, 0.3]})
    chapter_08.show_reliability({"MNIST": table, "canvas": table / 2})
    diagonal, *curves = shown[0].axes[0].lines
    assert diagonal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert curves[0].get_xydata().tolist() == [[0.5, 0.2], [0.9, 0.3]]


def test_attacked_digits_say_what_they_are_taken_for(shown):
    pictures = [RNG.random((2, 28, 28, 1))] * 3
    chapter_08.show_attacked(pictures, ["clean", "FGSM", "PGD"], [[3, 4], [5, 4], [5, 9]])
    said = [ax.get_xlabel() for ax in shown[0].axes]
    assert said == ["→ 3", "→ 4", "→ 5", "→ 4", "→ 5", "→ 9"]


def test_corruptions_stand_in_columns(shown):
    chapter_08.show_corruptions(RNG.random((3, 2, 28, 28, 1)), ["shot noise", "blur"], (1, 2, 3))
    assert [ax.get_title(loc="center") for ax in shown[0].axes[:2]] == ["shot\nnoise", "blur"]


def test_each_step_of_a_picture_has_its_name_above(shown):
    pictures = alterations.own_pictures()
    chapter_08.show_steps({n: alterations.like_mnist(p) for n, p in pictures.items()})
    titles = [ax.get_title(loc="center") for ax in shown[0].axes]
    steps = ["picture", "bright ink", "ink only", "cropped", "in a box", "centred"]
    assert titles == steps + [""] * 30
    assert shown[0].axes[0].get_ylabel() == "1\nserif"


def test_accuracies_are_whole_percents():
    assert ">52 %<" in chapter_08.accuracy_table(pd.DataFrame({"k-NN": [0.5249]})).to_html()


# the drawings


def test_the_stored_drawings_are_those_of_their_program(tmp_path):
    file = alterations.DRAWINGS / "make_drawings.py"
    spec = importlib.util.spec_from_file_location("make_drawings", file)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    program.__file__ = str(tmp_path / file.name)
    program.main()
    stored = alterations.own_pictures()
    for name, picture in stored.items():
        again = np.asarray(Image.open(tmp_path / f"{name}.png"))
        assert np.abs(again.astype(int) - picture).max() <= 2, name
    assert len(stored) == len(list(tmp_path.glob("drawn_*.png"))) == 6


def test_a_picture_beside_the_notebook_comes_first(tmp_path):
    Image.new("RGB", (40, 30), "white").save(tmp_path / "my_7.jpg")
    (tmp_path / "my_notes.txt").write_text("no picture")
    found = alterations.own_pictures(tmp_path)
    assert {name: picture.shape for name, picture in found.items()} == {"my_7": (30, 40, 3)}
    (tmp_path / "my_8.png").write_text("no picture")
    with pytest.raises(ValueError, match=r"my_8\.png holds no picture"):
        alterations.own_pictures(tmp_path)

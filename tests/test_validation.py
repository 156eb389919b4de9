"""Every public function of these rooms names a bad argument, what came and what was expected."""

from types import SimpleNamespace

import numpy as np
import pytest

from helpers import confidence, counterfactuals, inversion, neighbours, realism, validation
from helpers.backend import tf

NAN, INF = float("nan"), float("inf")
X = np.linspace(0, 1, 6 * 16, dtype=np.float32).reshape(6, 4, 4, 1)
Y = np.array([0, 0, 1, 1, 2, 2])
P = np.array([[0.2, 0.8], [0.6, 0.4]])


def model(x):
    return tf.nn.softmax(tf.reshape(x, (-1, 16))[:, :3])


def logits(x):
    return 7 * tf.reshape(x, (-1, 16))[:, :3]


class Dataset:  # hashable, unlike a SimpleNamespace
    task, class_names = "classification", ("0", "1", "2")
    x_train = x_test = X
    y_train = y_test = Y


INDEX = neighbours.NeighbourIndex(X, Y)
# good arguments of each function; each test spoils one
CALLS = {
    inversion.invert: {"model": model, "start": X, "targets": 1, "max_steps": 2},
    inversion.one_step: {"model": model},
    inversion.noise: {"n": 2, "seed": 0, "shape": (4, 4, 1)},
    inversion.near_black: {"n": 2, "seed": 0, "shape": (4, 4, 1)},
    inversion.from_class: {"dataset": Dataset, "cls": 1, "n": 1, "seed": 0},
    neighbours.NeighbourIndex: {"images": X, "labels": Y},
    neighbours.pseudo_probability: {"index": INDEX, "queries": X, "k": 3},
    neighbours.invert: {"index": INDEX, "start": X, "targets": 1, "k": 3, "max_steps": 2},
    neighbours.one_step: {"index": INDEX, "k": 3},
    neighbours.soft_voter: {"index": INDEX, "temperature": 1.0},
    neighbours.training_index: {"dataset": Dataset},
    INDEX.search: {"queries": X, "k": 3},
    INDEX.of_class: {"cls": 1},
    realism.agreement: {"p": P, "targets": 1},
    realism.scorecard: {"images": X, "targets": 1, "judges": {"net": model}, "dataset": Dataset},
    realism.trust_scores: {"images": X, "targets": 1, "dataset": Dataset},
    realism.reconstruction_scores: {"images": X, "targets": 1, "dataset": Dataset},
    realism.diversity: {"images": X, "targets": Y, "dataset": Dataset},
    counterfactuals.dissimilarity: {"images": X, "others": X},
    counterfactuals.implausibility: {"images": X, "targets": 1, "dataset": Dataset},
    counterfactuals.unfaithfulness: {"images": X, "targets": 1, "samples": np.stack([X, X, X])},
    counterfactuals.class_samples: {
        "model": model,
        "classes": 3,
        "n": 1,
        "steps": 2,
        "shape": (4, 4, 1),
    },
    counterfactuals.scores: {
        "start": X,
        "images": X,
        "targets": 1,
        "model": model,
        "dataset": Dataset,
        "samples": np.stack([X, X, X]),
    },
    realism.total_variation: {"images": X},
    realism.real_digits: {"dataset": Dataset, "targets": [0, 1]},
    confidence.max_probability: {"p": P},
    confidence.quantiles: {"p": P, "q": [0.5]},
    confidence.reliability: {"p": P, "y": [1, 0], "bins": 15},
    confidence.ece: {"p": P, "y": [1, 0], "bins": 15},
    confidence.risk_coverage: {"p": P, "y": [1, 0]},
    confidence.aurc: {"p": P, "y": [1, 0], "normalised": True},
    confidence.temperature: {"p": P, "y": [1, 0]},
    confidence.temperature_of_logits: {"logits": np.log(P), "y": [1, 0]},
    confidence.apply_temperature: {"p": P, "t": 2.0},
}


def broken(value):
    spoiled = X.copy()
    spoiled[0, 0, 0, 0] = value
    return spoiled


# kinds of arguments: bad values, and a word that the error must say beside the argument's name
NO_NUMBER = ["0.5", None, True, np.True_, [0.5], np.array([0.5]), NAN, INF, -INF, 1j]
BAD = {
    "images": [
        (X * 255, "divide by 255"),
        ((X * 255).astype(np.uint8), "divide by 255"),
        (X - 1, "in [0, 1], not in [-1, 0]"),
        (broken(NAN), "finite"),
        (broken(INF), "finite"),
        (X[0], "shape"),
        (X[..., 0], "shape"),
        (X[:0], "shape"),
        (X.astype(str), "numbers"),
        (X.astype(object), "numbers"),
        ([[1], [1, 2]], "array"),
        ("0.5", "numbers"),
        (None, "numbers"),
    ],
    "targets": [
        (value, "integer")
        for value in (1.0, "1", None, True, [1, 1], [[1] * 6], np.full(6, 1.0), NAN)
    ]
    + [(-1, "targets")],
    "class": [(3, "3"), ([0, 1, 2, 3, 0, 1], "3")],
    "labels": [
        (value, "integers") for value in ([0.0, 1.0], None, "01", [True, False], [[0], [1]], [0])
    ],
    "probabilities": [
        ([0.2, 0.8], "(n, classes)"),
        ([[2.0, -1.0], [0.5, 0.5]], "logits"),
        ([[0.5, 0.5], [5.0, 1.0]], "Row 1"),
        ([[NAN, 1.0], [0.5, 0.5]], "sum to 1"),
        ([[INF, 0.0], [0.5, 0.5]], "sum to 1"),
        (np.empty((0, 2)), "(n, classes)"),
        ([["a", "b"]], "numbers"),
        (None, "numbers"),
    ],
    "count": [(value, "whole number") for value in (0, -1, 2.5, "3", None, True, NAN, INF, [3])],
    "bins": [(value, "bins") for value in (0, -1, 2.5, "3", None, True, NAN, INF, [3], [0.5])]
    + [([1, 0], "rise"), ([0, 0, 1], "rise"), ([0, 0.1], "hold every m(x)"), ([0, 2], "[0, 1]")],
    "logits": [
        (value, "finite numbers of shape (n, classes)")
        for value in ([1.0, 2.0], [[NAN, 1.0]], [["a", "b"]], None, [[INF, 0.0]], [[True, False]])
    ],
    "seed": [(value, "whole number") for value in (-1, 2.5, "0", None, True, NAN, 2**32, [0])],
    "positive": [(value, "finite number") for value in [*NO_NUMBER, 0, -1]],
    "share": [(value, "at most 1") for value in [*NO_NUMBER, 0.0, -0.1, 1.5]],
    "flag": [(value, "True or False") for value in (None, 1, 0, "yes", [True])],
    "function": [(value, "callable") for value in (None, "cnn", 3)],
    "dataset": [
        (value, "Dataset")
        for value in ("mnist", None, X, SimpleNamespace(task="regression", x_test=X))
    ],
    "index": [(X, "NeighbourIndex"), (None, "NeighbourIndex")],
}
OPTIONAL = {"stop_at"}  # where None has a meaning
ARGUMENTS = [
    (inversion.invert, {"start": "images", "targets": "targets class", "model": "function"}),
    (inversion.invert, {"max_steps": "count", "learning_rate": "positive", "stop_at": "share"}),
    (inversion.invert, {"normalize": "flag", "progress": "flag"}),
    (inversion.one_step, {"learning_rate": "positive", "normalize": "flag"}),
    (inversion.noise, {"n": "count", "seed": "seed"}),
    (inversion.near_black, {"n": "count", "seed": "seed"}),
    (inversion.from_class, {"dataset": "dataset", "n": "count", "seed": "seed", "cls": "seed"}),
    (neighbours.NeighbourIndex, {"images": "images"}),
    (neighbours.pseudo_probability, {"index": "index", "queries": "images", "k": "count"}),
    (neighbours.invert, {"index": "index", "start": "images", "targets": "targets class"}),
    (neighbours.invert, {"max_steps": "count", "learning_rate": "positive", "stop_at": "share"}),
    (neighbours.invert, {"mask": "share", "temperature": "positive", "k": "count"}),
    (neighbours.invert, {"fallback": "flag", "progress": "flag", "seed": "seed"}),
    (neighbours.one_step, {"index": "index", "learning_rate": "positive", "mask": "share"}),
    (neighbours.one_step, {"k": "count", "temperature": "positive"}),
    (neighbours.one_step, {"fallback": "flag", "seed": "seed"}),
    (neighbours.soft_voter, {"index": "index", "temperature": "positive"}),
    (neighbours.training_index, {"dataset": "dataset"}),
    (INDEX.search, {"queries": "images", "k": "count"}),
    (realism.agreement, {"p": "probabilities"}),
    (realism.scorecard, {"images": "images", "targets": "targets class", "dataset": "dataset"}),
    (realism.trust_scores, {"images": "images", "targets": "targets class", "dataset": "dataset"}),
    (realism.reconstruction_scores, {"images": "images", "targets": "targets class"}),
    (realism.reconstruction_scores, {"dataset": "dataset"}),
    (realism.diversity, {"images": "images", "targets": "targets class", "dataset": "dataset"}),
    (counterfactuals.dissimilarity, {"images": "images", "others": "images"}),
    (counterfactuals.implausibility, {"images": "images", "targets": "targets class"}),
    (counterfactuals.implausibility, {"dataset": "dataset"}),
    (counterfactuals.unfaithfulness, {"images": "images", "targets": "targets class"}),
    (counterfactuals.class_samples, {"model": "function", "classes": "count", "n": "count"}),
    (counterfactuals.class_samples, {"steps": "count"}),
    (counterfactuals.scores, {"start": "images", "images": "images"}),
    (counterfactuals.scores, {"targets": "targets class", "dataset": "dataset"}),
    (counterfactuals.scores, {"model": "function"}),
    (realism.total_variation, {"images": "images"}),
    (realism.real_digits, {"dataset": "dataset"}),
    (confidence.max_probability, {"p": "probabilities"}),
    (confidence.quantiles, {"p": "probabilities"}),
    (confidence.reliability, {"p": "probabilities", "y": "labels", "bins": "bins"}),
    (confidence.ece, {"p": "probabilities", "y": "labels", "bins": "bins"}),
    (confidence.risk_coverage, {"p": "probabilities", "y": "labels"}),
    (confidence.aurc, {"p": "probabilities", "y": "labels", "normalised": "flag"}),
    (confidence.temperature_of_logits, {"logits": "logits", "y": "labels"}),
    (confidence.temperature, {"p": "probabilities", "y": "labels"}),
    (confidence.apply_temperature, {"p": "probabilities", "t": "positive"}),
]
# what no kind covers
SINGLE = [
    (inversion.invert, "model", logits, "logits"),
    (inversion.invert, "model", lambda x: model(x)[:, :1], "logits"),
    (inversion.invert, "model", lambda x: x @ "?", "fails on images of shape (4, 4, 1)"),
    (inversion.invert, "loss", "hinge", "one of ['log', 'probability']"),
    (inversion.invert, "loss", ["log"], "one of"),
    (inversion.invert, "learning_rate", 1e300, "at most 1e+06"),  # infinite in float32
    (inversion.invert, "blur_every", -1, "whole number, 0 or more"),
    (inversion.invert, "blur_every", 2.5, "whole number"),
    (inversion.invert, "blur_every", True, "whole number"),
    (inversion.invert, "decay", 1.5, "at least 0 and at most 1"),
    (inversion.invert, "decay", -0.1, "at least 0"),
    (inversion.invert, "decay", "little", "finite number"),
    (inversion.invert, "keep_frames", 1, "0, or 2 or more"),
    (inversion.invert, "keep_frames", 4, "from 0 to 3"),
    (inversion.invert, "keep_frames", True, "whole number"),
    (inversion.one_step, "loss", "hinge", "one of ['log', 'probability']"),
    (inversion.one_step, "blur_every", -1, "whole number, 0 or more"),
    (inversion.one_step, "decay", 1.5, "at least 0 and at most 1"),
    (inversion.noise, "shape", 28, "(h, w, channels)"),
    (inversion.noise, "shape", (28, 28), "(h, w, channels)"),
    (inversion.noise, "shape", (28, 0, 1), "shape[1] must be a whole number"),
    (inversion.noise, "shape", "abc", "(h, w, channels)"),
    (inversion.from_class, "cls", 3, "from 0 to 2, not 3"),
    (inversion.from_class, "n", 3, "test images of class 1) must be a whole number, from 1 to 2"),
    (neighbours.NeighbourIndex, "labels", Y[:3], "6 integers"),
    (neighbours.NeighbourIndex, "labels", Y - 1, "0 or more"),
    (neighbours.NeighbourIndex, "labels", Y * 1.0, "integers"),
    (neighbours.pseudo_probability, "k", 7, "from 1 to 6, not 7"),
    (neighbours.invert, "k", 7, "from 1 to 6, not 7"),
    (neighbours.invert, "method", "hard", "one of ['votes', 'soft'], not 'hard'"),
    (neighbours.invert, "temperature", 1e-9, "at least 0.001"),
    (neighbours.invert, "start", inversion.noise(1, 0), "shape (n, 4, 4, 1)"),
    (neighbours.one_step, "method", "hard", "one of ['votes', 'soft'], not 'hard'"),
    (INDEX.search, "queries", inversion.noise(1, 0), "shape (n, 4, 4, 1)"),
    (INDEX.of_class, "cls", 7, "holds no image of 7"),
    (INDEX.of_class, "cls", "3", "whole number"),
    (realism.agreement, "targets", 2, "0..1"),
    (realism.scorecard, "images", {}, "at least one set"),
    (realism.scorecard, "images", {"noise": X}, "none named"),
    (realism.scorecard, "images", {"a": X, "b": X[:2]}, "one size"),
    (realism.scorecard, "images", {"bright": X * 255}, "'bright' must"),
    (realism.scorecard, "judges", {"distance": model}, "none named"),
    (realism.scorecard, "judges", {"k-NN vote": model}, "none named"),
    (realism.scorecard, "judges", [model], "dict"),
    (realism.scorecard, "judges", {"net": logits}, "judges['net'] must be probabilities"),
    (realism.scorecard, "judges", {"net": "cnn"}, "judges['net'] must be callable"),
    (realism.scorecard, "judges", {"net": lambda x: model(x)[:, :1]}, "at least 2 classes"),
    (realism.diversity, "targets", [0, 0, 1, 1, 2, 1], "two images or more each; 2 has one"),
    (counterfactuals.dissimilarity, "others", X[:, :2], "shape (n, 4, 4, 1)"),
    (counterfactuals.unfaithfulness, "samples", X, "samples[0] must have shape (n, 4, 4, 1)"),
    (counterfactuals.unfaithfulness, "samples", np.zeros((3, 2, 2, 4, 1)), "shape (n, 4, 4, 1)"),
    (counterfactuals.unfaithfulness, "samples", [X, X[:, :2]], "samples[1] must have shape"),
    (counterfactuals.unfaithfulness, "samples", None, "images of each class"),
    (counterfactuals.unfaithfulness, "samples", [], "images of each class"),
    (counterfactuals.class_samples, "classes", 2, "as many as model returns"),
    (counterfactuals.class_samples, "shape", 4, "(h, w, channels)"),
    (counterfactuals.class_samples, "model", lambda x: P[:1] @ np.eye(2, 3), "differentiable"),
    (counterfactuals.class_samples, "model", logits, "logits"),
    (counterfactuals.scores, "start", X[:3], "6 images"),
    (counterfactuals.scores, "model", logits, "logits"),
    (realism.total_variation, "images", X[:, :1], "2 x 2 pixels"),
    (realism.real_digits, "targets", 7, "there is no 7"),
    (realism.real_digits, "targets", [0.5], "integer"),
    (confidence.quantiles, "q", (5, 95), "numbers in [0, 1]"),
    (confidence.quantiles, "q", 0.5, "sequence of numbers"),
    (confidence.quantiles, "q", [], "sequence of numbers"),
    (confidence.quantiles, "q", [NAN], "sequence of numbers"),
    (confidence.quantiles, "q", "half", "sequence of numbers"),
    (confidence.ece, "y", [0, 2], "0..1, not 0..2"),
    (confidence.temperature, "y", [0, 2], "0..1, not 0..2"),
]


def cases():
    yield from SINGLE
    for call, arguments in ARGUMENTS:
        for argument, kinds in arguments.items():
            for kind in kinds.split():
                for value, words in BAD[kind]:
                    if not (value is None and argument in OPTIONAL):
                        # 0 is a class, though no number of images
                        yield call, argument, value, words


def test_good_arguments_pass():
    for call, arguments in CALLS.items():
        call(**arguments)


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__qualname__)
def test_a_bad_argument_is_named_with_what_was_expected(call):
    wrong = []
    for function, argument, value, words in cases():
        if function == call:
            try:
                call(**{**CALLS[call], argument: value})
            except ValueError as error:
                named = argument in str(error).split(" must")[0].split(" fails")[0]
                # `of_class` is mostly called for the targets of an inversion
                named = named or (argument, value) == ("cls", 7)
                if not named or words not in str(error) or len(str(error)) > 400:
                    wrong.append((argument, value, str(error)))
            else:
                wrong.append((argument, value, "was taken"))
    assert not wrong


def test_every_public_function_of_the_rooms_is_tried():
    rooms = (inversion, neighbours, realism, confidence)
    public = {
        value
        for room in rooms
        for name, value in vars(room).items()
        if callable(value) and getattr(value, "__module__", "") == room.__name__ and name[0] != "_"
    }
    assert public <= set(CALLS)
    assert set(CALLS) == {function for function, *_ in cases()}


def test_values_come_back_in_the_form_to_go_on_with():
    assert validation.images(np.ones((1, 2, 3, 1), np.uint8), "x").dtype == np.float32
    assert validation.images(X, "x") is X  # not copied where nothing changes
    assert validation.labels([1, 0], "y", 2, 2).dtype == np.int64
    assert validation.targets(np.int32(1), 2).tolist() == [1, 1]
    assert validation.whole_number(np.int64(3), "n", 1) == 3
    assert isinstance(validation.number(np.float32(0.5), "rate"), float)
    assert validation.flag(np.True_, "flag") is True
    assert validation.probabilities([[0, 1]], "p").dtype == float
    assert validation.outputs(model, X).shape == (6, 3)


def test_the_bounds_of_a_number_belong_to_it_unless_they_are_said_to_be_above():
    assert validation.number(1, "rate", above=0, high=1) == 1
    assert validation.number(0, "rate", low=0) == 0
    with pytest.raises(ValueError, match=r"^rate must be a finite number, more than 0, not 0$"):
        validation.number(0, "rate", above=0)
    with pytest.raises(ValueError, match=r"^rate must be a finite number, not None$"):
        validation.number(None, "rate")
    assert validation.whole_number(1, "n", 1, 1) == 1


@pytest.mark.parametrize("error", [-9.9e-4, -5e-4, 5e-4, 9.9e-4])
def test_rows_that_sum_to_1_within_a_thousandth_are_probabilities(error):
    validation.probabilities([[0.5, 0.5], [0.4, 0.6 + error]], "p")


@pytest.mark.parametrize("error", [-0.002, -1.1e-3, 1.1e-3, 0.002])
def test_rows_that_do_not_are_refused(error):
    with pytest.raises(ValueError, match=r"Row 1 runs from 0\.4"):
        validation.probabilities([[0.5, 0.5], [0.4, 0.6 + error]], "p")


def test_a_model_that_loses_images_is_refused():
    with pytest.raises(ValueError, match="model must return a row for each image: 6, not 1"):
        validation.outputs(lambda x: model(x)[:1], X)


def test_what_came_is_shown_in_a_line():
    for value in (np.zeros((50, 50)), list(range(10_000)), Dataset()):
        with pytest.raises(ValueError, match=r"^rate must be a finite number, not ") as caught:
            validation.number(value, "rate")
        assert len(str(caught.value)) < 150

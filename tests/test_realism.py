import dataclasses

import numpy as np
import pytest

from helpers import inversion, neighbours, realism
from helpers.neighbours import NeighbourIndex, pseudo_probability


def perfect(images):
    """A judge that sees a 3 in everything."""
    return np.eye(10, dtype=np.float32)[np.full(len(images), 3)]


def test_agreement_counts_decisions():
    p = np.array([[0.4, 0.6], [0.9, 0.1], [0.2, 0.8]])
    assert realism.agreement(p, np.array([1, 0, 0])) == pytest.approx(2 / 3)


def test_of_equally_probable_classes_the_first_counts():
    p = np.array([[0.5, 0.5, 0.0], [0.2, 0.4, 0.4]])
    assert realism.agreement(p, [0, 1]) == 1
    assert realism.agreement(p, [1, 2]) == 0


def test_tied_votes_are_decided_like_those_of_scikit_learn(half_sample):
    """Four of the five neighbours are tied, two and two: the smaller class wins."""
    grays = np.array([0.0, 0.1, 0.2, 0.3, 0.9, 1.0, 1.0]).reshape(7, 1, 1, 1)
    dataset = dataclasses.replace(
        half_sample,
        x_train=np.float32(grays) * np.linspace(0.9, 1, 4, dtype=np.float32).reshape(1, 2, 2, 1),
        y_train=np.array([1, 0, 0, 1, 2, 2, 2]),
        x_test=np.zeros((2, 2, 2, 1), np.float32),
        y_test=np.array([0, 1]),
        class_names=("a", "b", "c"),
    )
    table = realism.scorecard(dataset.x_test, [0, 1], {}, dataset)
    assert table.loc["images", "k-NN vote"] == 0.5
    assert table.loc["judge's test accuracy", "k-NN vote"] == 0.5


def test_the_trust_score_is_the_quotient_of_two_distances(half_sample, threes):
    scores, distances = realism.trust_scores(threes, np.full(20, 3), half_sample)
    for image, score, distance in zip(threes, scores, distances, strict=True):
        apart = np.sqrt(((half_sample.x_train - image) ** 2).sum(axis=(1, 2, 3)))
        own, other = apart[half_sample.y_train == 3].min(), apart[half_sample.y_train != 3].min()
        assert distance == pytest.approx(own, abs=1e-4)
        assert score == pytest.approx(other / own, rel=1e-4)


def test_digits_are_more_like_their_own_class_than_like_the_next(half_sample, threes):
    right, wrong = np.full(20, 3), np.full(20, 4)
    assert np.median(realism.trust_scores(threes, right, half_sample)[0]) > 1
    assert np.median(realism.trust_scores(threes, wrong, half_sample)[0]) < 1
    assert np.median(realism.reconstruction_scores(threes, right, half_sample)[1]) < 0.9
    assert np.median(realism.reconstruction_scores(threes, wrong, half_sample)[1]) > 1.1


def test_reconstruction_scores_are_those_of_principal_components(half_sample, threes):
    """Against principal components from a singular value decomposition."""

    def redraw(part, flat):
        centre = part.mean(axis=0)
        axes = np.linalg.svd(part - centre, full_matrices=False)[2][: realism.COMPONENTS]
        return np.clip((flat - centre) @ axes.T @ axes + centre, 0, 1)

    flat = threes.reshape(20, -1).astype(np.float64)
    train = half_sample.x_train.reshape(1500, -1).astype(np.float64)
    drawn = [redraw(train[half_sample.y_train == c], flat) for c in range(10)]
    of_all = redraw(train, flat)
    errors = np.array([((flat - picture) ** 2).sum(axis=1) for picture in drawn])
    error, im1, im2 = realism.reconstruction_scores(threes, np.full(20, 3), half_sample)
    assert np.allclose(error, ((flat - of_all) ** 2).mean(axis=1), rtol=1e-2)
    assert np.allclose(im1, errors[3] / np.delete(errors, 3, axis=0).min(axis=0), rtol=1e-2)
    assert np.allclose(im2, ((drawn[3] - of_all) ** 2).sum(axis=1) / flat.sum(axis=1), rtol=1e-2)


def test_total_variation_of_images_done_by_hand():
    even = np.full((1, 28, 28, 1), 0.7, np.float32)
    chessboard = (np.indices((28, 28)).sum(axis=0) % 2).astype(np.float32)[None, :, :, None]
    half = np.zeros((1, 28, 28, 1), np.float32)
    half[:, :, 14:] = 1  # one edge in 27 pairs of columns
    scores = realism.total_variation(np.concatenate([even, chessboard, half]))
    assert np.allclose(scores, [0, 2, 1 / 27])


def test_real_digits_have_the_asked_classes_and_do_not_repeat(half_sample):
    targets = np.array([3, 1, 3, 3, 9])
    images = realism.real_digits(half_sample, targets)
    for image, target in zip(images, targets, strict=True):
        same = np.flatnonzero((half_sample.x_test == image).all(axis=(1, 2, 3)))
        assert half_sample.y_test[same[0]] == target
    assert len(np.unique(images.reshape(5, -1), axis=0)) == 5


def test_the_scorecard_has_its_anchors_and_says_how_good_the_judges_are(half_sample, threes):
    sets = {"threes": threes, "noise again": inversion.noise(20, 1, (14, 14, 1))}
    table = realism.scorecard(sets, 3, {"always 3": perfect}, half_sample)
    anchors = ["real digits", "noise", "judge's test accuracy"]
    assert list(table.index) == ["threes", "noise again", *anchors]
    assert list(table.columns) == [
        "always 3",
        "k-NN vote",
        "trust score",
        "distance",
        "AE error",
        "IM1",
        "IM2",
        "total variation",
    ]
    assert np.all(table.loc[anchors[:2], "always 3"] == 1)
    assert table.loc[anchors[2], "always 3"] == np.mean(half_sample.y_test == 3)
    assert table.loc[anchors[2], "k-NN vote"] > 0.85
    assert table.loc[anchors[2]].notna().sum() == 2
    real, noise = table.loc["real digits"], table.loc["noise"]
    assert real["trust score"] > 1.1 > noise["trust score"]
    assert real["IM1"] < 0.8 < noise["IM1"]
    assert real["total variation"] < noise["total variation"] / 2
    one = realism.scorecard(threes, 3, {"always 3": perfect}, half_sample)
    assert np.allclose(one.loc["images"], table.loc["threes"])


def test_a_judge_is_rated_on_the_test_images(half_sample, threes):
    """Threes are a tenth of the training images, and half of these test images."""
    other = half_sample.y_test == 5
    dataset = dataclasses.replace(
        half_sample,
        x_test=np.concatenate([threes, half_sample.x_test[other][:20]]),
        y_test=np.repeat([3, 5], 20),
    )
    table = realism.scorecard(threes[:2], 3, {"always 3": perfect}, dataset)
    assert table.loc["judge's test accuracy", "always 3"] == 0.5
    index = NeighbourIndex(half_sample.x_train, half_sample.y_train)
    votes = pseudo_probability(index, dataset.x_test, k=5).argmax(axis=1)
    expected = np.mean(votes == dataset.y_test)
    assert table.loc["judge's test accuracy", "k-NN vote"] == expected < 1


def test_glyphs_of_another_shape_are_scored(half_sample):
    rng = np.random.default_rng(0)
    patterns = rng.random((3, 20, 16, 1))
    y = np.arange(60) % 3
    glyphs = np.clip(patterns[y] + 0.1 * rng.normal(size=(60, 20, 16, 1)), 0, 1)
    dataset = dataclasses.replace(
        half_sample,
        x_train=np.float32(glyphs[:45]),
        y_train=y[:45],
        x_test=np.float32(glyphs[45:]),
        y_test=y[45:],
        class_names=("A", "B", "C"),
    )
    table = realism.scorecard(dataset.x_test, dataset.y_test, {}, dataset)
    assert table.loc["real digits", "k-NN vote"] == 1
    assert table.loc["noise", "trust score"] < 1.5 < table.loc["images", "trust score"]


def test_another_dataset_gets_another_reference(half_sample, threes):
    few = dataclasses.replace(
        half_sample, x_train=half_sample.x_train[:500], y_train=half_sample.y_train[:500]
    )
    _, near = realism.trust_scores(threes, np.full(20, 3), half_sample)
    _, far = realism.trust_scores(threes, np.full(20, 3), few)
    assert far.mean() > near.mean()


def test_a_target_without_training_images_is_named(half_sample, threes):
    few = half_sample.y_train != 3
    without = dataclasses.replace(
        half_sample, x_train=half_sample.x_train[few], y_train=half_sample.y_train[few]
    )
    for score in (realism.trust_scores, realism.reconstruction_scores):
        with pytest.raises(
            ValueError, match=r"targets must be classes of the training images, not \[3\]"
        ):
            score(threes, 3, without)


def test_diversity_is_the_mean_distance_of_all_pairs(half_sample):
    targets = np.repeat([3, 8], 5)
    images = inversion.noise(10, 0, (14, 14, 1))
    table = realism.diversity(images, targets, half_sample)
    for cls, own in ((3, images[:5]), (8, images[5:])):
        pairs = [np.linalg.norm(own[i] - own[j]) for i in range(5) for j in range(i)]
        assert table.loc[cls, "distance"] == pytest.approx(np.mean(pairs), rel=1e-5)
        assert table.loc[cls, "images"] == 5
    assert np.allclose(table["share"][:2], table["distance"][:2] / table["real distance"][:2])
    assert np.allclose(table.loc["mean"], table[:2].mean())


def test_real_digits_are_as_diverse_as_real_digits_and_all_distinct(half_sample):
    targets = np.repeat(np.arange(10), 6)
    table = realism.diversity(realism.real_digits(half_sample, targets), targets, half_sample)
    assert np.allclose(table["share"], 1)
    assert np.array_equal(table["distinct"], table["real distinct"])
    # among 150 images of a class the nearest is far, so that some real digits count as twins
    assert 4 < table.loc["mean", "distinct"] <= 6


def test_twins_count_as_one(half_sample):
    radius = realism._twin_radius(half_sample, 3)
    drawn = np.zeros((6, 14, 14, 1), np.float32)
    drawn[1, 0, 0] = 0.1  # far less than the radius
    drawn[2:5] = 1
    drawn[5, :7] = 1
    assert 0.1 < radius < 7
    assert realism.diversity(drawn, 3, half_sample).loc[3, "distinct"] == 3
    assert realism.diversity(drawn[::-1], 3, half_sample).loc[3, "distinct"] == 3


def test_the_radius_of_twins_is_the_median_distance_to_the_nearest_of_the_class(half_sample):
    own = half_sample.x_train[half_sample.y_train == 3].reshape(-1, 196)
    apart = np.linalg.norm(own[:200, None] - own[None], axis=2)
    apart[np.arange(len(apart)), np.arange(len(apart))] = np.inf
    expected = np.median(apart.min(axis=1))
    assert realism._twin_radius(half_sample, 3) == pytest.approx(expected, rel=1e-3)


def test_an_index_and_a_radius_are_made_once_for_a_dataset(half_sample, threes, monkeypatch):
    neighbours._training_index.cache_clear()
    realism._twin_radius.cache_clear()
    made = []
    monkeypatch.setattr(
        neighbours, "NeighbourIndex", lambda *a: made.append(len(a[0])) or NeighbourIndex(*a)
    )
    targets = np.repeat([3, 8], 10)
    for _ in range(2):
        realism.trust_scores(threes, targets, half_sample)
        realism.diversity(threes, targets, half_sample)
    assert made.count(len(half_sample.x_train)) == 1
    assert realism._twin_radius.cache_info().misses == 2


def test_diversity_needs_as_many_real_digits(half_sample):
    few = np.concatenate([np.flatnonzero(half_sample.y_test == c)[:2] for c in range(10)])
    small = dataclasses.replace(
        half_sample, x_test=half_sample.x_test[few], y_test=half_sample.y_test[few]
    )
    with pytest.raises(ValueError, match="as many test images each; 3 has 2"):
        realism.diversity(half_sample.x_train[:5], np.full(5, 3), small)


def test_few_large_images_are_redrawn_by_their_first_components():
    class Few:
        task, class_names = "classification", ("0", "1")
        x_train, y_train = inversion.noise(40, seed=0, shape=(12, 12, 1)), np.arange(40) % 2
        x_test, y_test = x_train, y_train

    x = inversion.noise(3, seed=1, shape=(12, 12, 1))
    error, _, _ = realism.reconstruction_scores(x, [0, 1, 0], Few)
    known, flat = Few.x_train.reshape(40, -1), x.reshape(3, -1)
    middle = known.mean(axis=0)
    first = np.linalg.svd(known - middle)[2][: realism.COMPONENTS]
    redrawn = np.clip(middle + (flat - middle) @ first.T @ first, 0, 1)
    np.testing.assert_allclose(error, ((flat - redrawn) ** 2).mean(axis=1), rtol=1e-3)

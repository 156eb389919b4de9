import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from helpers import attacks, inversion, neighbours
from helpers.session import ROOT


@pytest.fixture(scope="module")
def index(sample):
    return neighbours.NeighbourIndex(sample.x_train, sample.y_train)


@pytest.fixture(scope="module")
def pairs(sample):
    """All 90 real source -> target pairs: starts and targets."""
    starts = np.concatenate([inversion.from_class(sample, cls, 9, 0) for cls in range(10)])
    targets = np.array([t for cls in range(10) for t in range(10) if t != cls])
    return starts, targets


@settings(max_examples=8, deadline=None)
@given(k=st.integers(1, 60), n=st.integers(1, 40), seed=st.integers(0, 5))
def test_the_search_finds_what_scikit_learn_finds(index, sample, k, n, seed):
    queries = np.random.default_rng(seed).permutation(sample.x_test)[:n]
    distances, indices = index.search(queries, k)
    reference = NearestNeighbors(algorithm="brute").fit(sample.x_train.reshape(-1, 784))
    expected, _ = reference.kneighbors(queries.reshape(n, -1).astype(np.float64), k)
    assert np.allclose(distances, expected, atol=1e-4)
    assert np.all(np.diff(distances, axis=1) >= 0)
    difference = queries[:, None] - sample.x_train[indices]
    assert np.allclose(np.sqrt((difference**2).sum(axis=(2, 3, 4))), distances, atol=1e-4)


@pytest.fixture(scope="module")
def large(sample):
    """Shifted digits: enough images for the filter. The index, and scikit-learn's."""
    x = np.concatenate([sample.x_train, sample.x_test])
    images = np.concatenate([x, np.roll(x, 2, axis=1), np.roll(x, -1, axis=2)])[:-7]
    index = neighbours.NeighbourIndex(images, np.zeros(len(images), int))
    flat = images.reshape(len(images), -1).astype(np.float64)
    return index, flat, NearestNeighbors(algorithm="brute").fit(flat)


@pytest.mark.parametrize("kind", ["digits", "between digits", "noise", "black", "noise and digits"])
@pytest.mark.parametrize("k", [1, 10, 300])
def test_the_filter_loses_no_neighbour(sample, large, kind, k):
    index, flat, reference = large
    x = np.roll(sample.x_test, 1, axis=1)
    queries = {
        "digits": x[: 120 if k < 100 else 20],
        "between digits": (x[:40] + x[40:80]) / 2,
        "noise": inversion.noise(20, 0),
        "black": np.zeros((1, 28, 28, 1)),
        "noise and digits": np.concatenate([x[:5], inversion.noise(3, 0), x[5:10]]),
    }[kind]
    distances, indices = index.search(queries, k)
    expected, _ = reference.kneighbors(queries.reshape(len(queries), -1), k)
    assert np.allclose(distances, expected, atol=1e-5)
    # of images at nearly equal distances, either may be found: measure those that were
    apart = np.linalg.norm(flat[indices] - queries.reshape(len(queries), 1, -1), axis=2)
    assert np.allclose(apart, expected, atol=1e-5)
    assert all(len(set(row)) == k for row in indices.tolist())


def test_equal_images_are_all_found_whatever_their_number(sample):
    images = np.concatenate([np.repeat(sample.x_test[:1], 40, axis=0), sample.x_train])
    index = neighbours.NeighbourIndex(images, np.zeros(len(images), int))
    distances, indices = index.search(sample.x_test[:1], 40)
    assert np.array_equal(np.sort(indices[0]), np.arange(40))
    assert np.array_equal(distances, np.zeros((1, 40)))


def test_an_image_of_the_index_is_its_own_nearest_neighbour(index, sample):
    distances, indices = index.search(sample.x_train[:50], 1)
    assert np.array_equal(indices[:, 0], np.arange(50))
    assert np.array_equal(distances[:, 0], np.zeros(50))


def test_every_neighbour_can_be_asked_for(sample):
    small = neighbours.NeighbourIndex(sample.x_train[:12], sample.y_train[:12])
    _, indices = small.search(sample.x_test[:3], 12)
    assert np.array_equal(np.sort(indices, axis=1), np.tile(np.arange(12), (3, 1)))


def test_an_index_takes_images_of_any_shape_and_as_many_classes_as_its_labels():
    rng = np.random.default_rng(0)
    glyphs = rng.random((80, 20, 16, 1))
    letters = np.arange(80) % 36
    index = neighbours.NeighbourIndex(glyphs, letters)
    p = neighbours.pseudo_probability(index, glyphs[:5], k=1)
    assert p.shape == (5, index.classes) == (5, 36)
    assert np.array_equal(p.argmax(axis=1), letters[:5])
    for method in neighbours.METHODS:
        result = neighbours.invert(index, glyphs[:3], 35, k=5, method=method, stop_at=0.4)
        assert result.images.shape == (3, 20, 16, 1)
        assert np.all(result.probability >= 0.4)


def test_the_votes_have_a_column_for_each_digit(index, sample):
    assert neighbours.pseudo_probability(index, sample.x_test[:2]).shape == (2, 10)


def test_votes_are_those_of_scikit_learn(index, sample):
    p = neighbours.pseudo_probability(index, sample.x_test[:300], k=5)
    knn = KNeighborsClassifier(5).fit(sample.x_train.reshape(-1, 784), sample.y_train)
    assert np.allclose(p, knn.predict_proba(sample.x_test[:300].reshape(300, -1)))


@settings(max_examples=10, deadline=None)
@given(k=st.integers(1, 25), seed=st.integers(0, 1000))
def test_pseudo_probabilities_are_votes(index, k, seed):
    p = neighbours.pseudo_probability(index, inversion.noise(4, seed), k)
    assert np.allclose(p.sum(axis=1), 1, atol=1e-6)
    assert np.allclose(p * k, np.rint(p * k), atol=1e-4)


def test_one_step_is_the_update_of_the_report(index, sample):
    """Against a loop over images and neighbours, without a mask."""
    start = sample.x_test[:6]
    targets = (sample.y_test[:6] + 1) % 10
    result = neighbours.invert(
        index,
        start,
        targets,
        k=7,
        max_steps=1,
        learning_rate=0.3,
        mask=1.0,
        fallback=False,
        stop_at=None,
    )
    for x, target, moved in zip(start, targets, result.images, strict=True):
        order = np.argsort(((sample.x_train - x) ** 2).sum(axis=(1, 2, 3)), kind="stable")[:7]
        d = np.zeros_like(x)
        for j in order:
            sign = 1 if sample.y_train[j] == target else -1
            d += sign * (x - sample.x_train[j]) / 7
        assert np.allclose(moved, np.clip(x - 0.3 * d, 0, 1), atol=1e-5)


def test_the_fallback_follows_the_nearest_images_of_the_target(index, sample):
    start = sample.x_test[sample.y_test == 1][:1]
    assert not np.any(index.labels[index.search(start, 5)[1]] == 8)
    result = neighbours.invert(
        index, start, 8, k=5, max_steps=1, learning_rate=1.0, mask=1.0, stop_at=None
    )
    eights = sample.x_train[sample.y_train == 8]
    nearest = np.argsort(((eights - start) ** 2).sum(axis=(1, 2, 3)), kind="stable")[:5]
    assert np.allclose(result.images[0], eights[nearest].mean(axis=0), atol=1e-5)


def test_a_class_smaller_than_k_is_followed_as_a_whole(sample):
    keep = sample.y_train != 8
    keep[np.flatnonzero(sample.y_train == 8)[:3]] = True
    index = neighbours.NeighbourIndex(sample.x_train[keep], sample.y_train[keep])
    start = sample.x_test[sample.y_test == 1][:2]
    result = neighbours.invert(
        index, start, 8, k=10, max_steps=1, learning_rate=1.0, mask=1.0, stop_at=None
    )
    eights = sample.x_train[sample.y_train == 8][:3].mean(axis=0)
    assert np.allclose(result.images, [eights, eights], atol=1e-5)


def test_the_fallback_is_what_makes_it_succeed(index, pairs):
    some = pairs[0][::3], pairs[1][::3]
    share = {
        fallback: np.mean(
            neighbours.invert(index, *some, max_steps=25, fallback=fallback).probability >= 0.6
        )
        for fallback in (False, True)
    }
    assert share[False] < 0.3
    assert share[True] > 0.9


def test_the_mask_leaves_its_share_of_the_pixels_alone(index, pairs):
    starts, targets = pairs
    result = neighbours.invert(index, starts, targets, max_steps=1, mask=0.25, stop_at=None)
    free = neighbours.invert(index, starts, targets, max_steps=1, mask=1.0, stop_at=None)
    could_change = free.images != starts
    changed = result.images != starts
    assert not np.any(changed & ~could_change)
    assert np.isclose(changed.sum() / could_change.sum(), 0.25, atol=0.02)
    # each image has its own mask
    both = could_change[0] & could_change[1]
    assert not np.array_equal(changed[0][both], changed[1][both])


def test_the_same_seed_gives_the_same_trajectory(index, pairs):
    starts, targets = pairs[0][:5], pairs[1][:5]
    first, again, other = (
        neighbours.invert(index, starts, targets, max_steps=5, seed=seed).images
        for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("method", ["votes", "soft"])
def test_the_result_describes_the_whole_trajectory(index, pairs, method):
    starts, targets = pairs[0][:20], pairs[1][:20]
    result = neighbours.invert(
        index, starts, targets, max_steps=25, method=method, stop_at=0.6, keep_frames=26
    )
    assert result.trace.shape == (26, 20)
    assert result.frames.min() >= 0 and result.frames.max() <= 1
    assert np.array_equal(result.frames[0], starts)
    assert np.array_equal(result.frames[-1], result.images)
    assert np.array_equal(result.probability, result.trace[-1])
    for image, taken in enumerate(result.steps):
        assert np.all(result.trace[:taken, image] < 0.6)
        if taken < 25:
            assert result.trace[taken, image] >= 0.6
            assert np.all(result.trace[taken:, image] == result.trace[taken, image])
            assert np.array_equal(result.frames[taken, image], result.images[image])
    # the last p is that of the last images, also of those that took all their steps
    again = neighbours.invert(
        index, result.images, targets, max_steps=1, method=method, learning_rate=1e-9
    )
    assert np.allclose(again.trace[0], result.probability, atol=1e-4)
    if method == "votes":
        p = neighbours.pseudo_probability(index, result.images)
        assert np.allclose(p[np.arange(20), targets], result.probability)


def test_the_p_of_the_last_step_is_measured_again(index, pairs):
    starts, targets = pairs[0][:20], pairs[1][:20]
    result = neighbours.invert(index, starts, targets, max_steps=1, stop_at=None, mask=1.0)
    p = neighbours.pseudo_probability(index, result.images)
    assert np.array_equal(result.trace[1], p[np.arange(20), targets])
    assert not np.array_equal(result.trace[0], result.trace[1])


def soft_direction(index, x, target, temperature):
    """Soft p of one image, and the direction of its step, (pixels,)."""
    rate = 1e-3
    result = neighbours.invert(
        index,
        x,
        target,
        method="soft",
        max_steps=1,
        mask=1.0,
        stop_at=None,
        temperature=temperature,
        learning_rate=rate,
    )
    return result.trace[0, 0], ((x - result.images) / rate).reshape(-1)


def test_the_soft_direction_is_the_finite_difference_gradient(sample):
    index = neighbours.NeighbourIndex(sample.x_train[:300], sample.y_train[:300])
    x = sample.x_test[:1].astype(float)
    images = sample.x_train[:300].astype(float)

    def loss(x):
        scores = -((images - x) ** 2).sum(axis=(1, 2, 3)) / 20
        weights = np.exp(scores - scores.max())
        return -np.log(weights[index.labels == 3].sum() / weights.sum())

    gradient = np.zeros(784)
    for i in range(784):
        up, down = x.copy(), x.copy()
        up.reshape(-1)[i] += 1e-4
        down.reshape(-1)[i] -= 1e-4
        gradient[i] = (loss(up) - loss(down)) / 2e-4
    p, direction = soft_direction(index, x, 3, temperature=20.0)
    assert np.isclose(-np.log(p), loss(x), atol=1e-4)
    expected = gradient / np.linalg.norm(gradient)
    # what black and white pixels cannot do is clipped
    free = (x.reshape(-1) > 0.01) & (x.reshape(-1) < 0.99)
    assert free.sum() > 50
    assert np.allclose(direction[free], expected[free], atol=1e-3)


def test_the_soft_direction_does_not_cancel_where_p_is_near_1(index, sample):
    """Against the gradient in double precision, on images of the index."""
    flat = sample.x_train.reshape(4000, -1).astype(np.float64)
    for place in (0, 7, 11):
        x, target = sample.x_train[place : place + 1], sample.y_train[place]
        p, direction = soft_direction(index, x, target, temperature=3.0)
        weights = np.exp(-((flat - x.reshape(-1)) ** 2).sum(axis=1) / 3.0)
        others = np.where(sample.y_train == target, 0, weights)
        own = weights - others
        gradient = others @ flat / others.sum() - own @ flat / own.sum()
        gradient = np.where((flat[place] > 0.01) & (flat[place] < 0.99), gradient, 0)
        direction = np.where(gradient == 0, 0, direction)
        assert p > 0.999
        assert direction @ gradient > 0.99 * np.linalg.norm(direction) * np.linalg.norm(gradient)


def test_the_soft_direction_leads_to_the_target_where_its_share_is_0(index, sample):
    x, target = sample.x_train[:1], (sample.y_train[0] + 1) % 10
    p, direction = soft_direction(index, x, target, temperature=0.05)
    assert p == 0  # its weights are all below the smallest float
    own, _ = index.of_class(target)
    nearest = own.images[own.search(x, 1)[1][0, 0]]
    expected = x.reshape(-1) - nearest.reshape(-1)
    cosine = direction @ expected / np.linalg.norm(direction) / np.linalg.norm(expected)
    assert cosine > 0.99


def test_neighbours_do_not_need_tensorflow():
    code = (
        "import sys, helpers.neighbours; print(sorted({'tensorflow', 'keras'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "[]\n"


def test_the_lower_bound_holds_where_almost_nothing_of_a_query_lies_beside_the_components():
    """A length of 0.0005 beside the components must not be rounded away: it decides here."""
    rng = np.random.default_rng(0)
    axes = np.linalg.qr(rng.normal(size=(200, 96)))[0].T
    images = 0.3 + 0.045 * rng.normal(size=(10_000, 95)) @ axes[:95]
    queries = images[5000:5040] + 0.7 * axes[:40]
    # the nearest at odd places, of which the components are not made; just behind it another one
    images[1:81:2] = queries + 0.5 * axes[95]
    images[0:80:2] = queries + 0.4996 * axes[1:41]
    queries = queries + 0.0005 * axes[95]
    images, queries = (np.float32(x).reshape(-1, 20, 10, 1) for x in (images, queries))
    index = neighbours.NeighbourIndex(images, np.zeros(10_000, int))
    assert index.search(queries, 1)[1].ravel().tolist() == list(range(1, 81, 2))


def test_an_index_does_not_follow_later_changes_of_the_array():
    images = np.linspace(0, 1, 5, dtype=np.float32).reshape(5, 1, 1, 1)
    index = neighbours.NeighbourIndex(images, np.arange(5))
    images[:] = 0
    assert index.search(np.ones((1, 1, 1, 1)), 1)[1].item() == 4


def test_the_soft_voter_is_a_softmax_over_all_images(sample):
    index = neighbours.NeighbourIndex(sample.x_train[:300], sample.y_train[:300])
    x = sample.x_test[:7]
    squares = ((x[:, None] - index.images[None]) ** 2).sum(axis=(2, 3, 4)).astype(float)
    weights = np.exp((squares.min(axis=1, keepdims=True) - squares) / 20)
    votes = np.stack([weights[:, index.labels == c].sum(axis=1) for c in range(10)], axis=1)
    p = neighbours.soft_voter(index, temperature=20)(x).numpy()
    assert np.allclose(p, votes / votes.sum(axis=1, keepdims=True), atol=1e-4)
    walked = neighbours.invert(index, x, 3, method="soft", temperature=20, max_steps=1)
    assert np.allclose(p[:, 3], walked.trace[0], atol=1e-4)


def test_a_label_that_no_image_has_gets_no_vote():
    index = neighbours.NeighbourIndex(np.linspace(0, 1, 4).reshape(4, 1, 1, 1), [0, 0, 2, 2])
    x = np.full((2, 1, 1, 1), 0.5, np.float32)
    model = neighbours.soft_voter(index, temperature=0.1)
    assert np.allclose(model(x), [[0.5, 0, 0.5]] * 2, atol=1e-6)
    moved = attacks.pgd_attack(model, x, [0, 2], radius=0.2).ravel()
    assert moved == pytest.approx([0.7, 0.3])


def test_the_soft_voter_can_be_attacked_where_it_is_entirely_sure():
    """p of class 1 is 1 in float32, and exp(-40) of class 0 has a gradient all the same."""
    index = neighbours.NeighbourIndex(np.array([0.0, 1.0]).reshape(2, 1, 1, 1), np.array([0, 1]))
    model = neighbours.soft_voter(index, temperature=1 / 40)
    x = np.ones((1, 1, 1, 1), np.float32)
    assert model(x).numpy()[0, 1] == 1
    assert attacks.pgd_attack(model, x, [1], radius=0.3).ravel() == pytest.approx(0.7)
    with pytest.raises(ValueError, match=r"batch must have shape \(n, 1, 1, 1\)"):
        model(np.ones((1, 2, 2, 1), np.float32))


def test_many_soft_votes_are_those_of_one_image_at_a_time(monkeypatch):
    rng = np.random.default_rng(0)
    index = neighbours.NeighbourIndex(rng.random((20, 3, 3, 1)), np.arange(20) % 3)
    start, settings = rng.random((7, 3, 3, 1)), {"method": "soft", "max_steps": 3, "mask": 1.0}
    together = neighbours.invert(index, start, 2, **settings)
    monkeypatch.setattr(neighbours, "BATCH", 3)
    apart = neighbours.invert(index, start, 2, **settings)
    assert np.allclose(together.images, apart.images, atol=1e-6)
    assert np.allclose(together.trace, apart.trace, atol=1e-6)

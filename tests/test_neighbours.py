import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

from helpers import inversion, neighbours


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


@pytest.mark.parametrize("kind", ["digits", "between digits", "noise"])
@pytest.mark.parametrize("k", [1, 10, 32])
def test_a_large_index_with_shadows_finds_the_same(sample, monkeypatch, kind, k):
    monkeypatch.setattr(neighbours, "SHADOWS_FROM", 3000)
    index = neighbours.NeighbourIndex(sample.x_train, sample.y_train)
    x = sample.x_test
    between = (x[:40] + x[40:80]) / 2
    queries = {"digits": x[:200], "between digits": between, "noise": inversion.noise(20, 0)}[kind]
    flat = sample.x_train.reshape(-1, 784).astype(np.float64)
    expected = NearestNeighbors(algorithm="brute").fit(flat)
    distances, _ = expected.kneighbors(queries.reshape(len(queries), -1), k)
    compared_with_all = []
    search_all = index._search_all
    monkeypatch.setattr(
        index,
        "_search_all",
        lambda q, k: compared_with_all.extend(q) or search_all(q, k),
    )
    found = index.search(queries, k)
    assert np.allclose(found[0], distances, atol=1e-5)
    # of images at nearly equal distances, either may be found: measure those that were
    apart = np.linalg.norm(flat[found[1]] - queries.reshape(len(queries), 1, -1), axis=2)
    assert np.allclose(apart, distances, atol=1e-5)
    if kind == "noise":
        assert len(compared_with_all) == len(queries)
    elif kind == "digits" and k <= 10:
        assert len(compared_with_all) < len(queries) / 4


@settings(max_examples=30, deadline=None)
@given(columns=st.integers(1, 700), count=st.integers(1, 60), seed=st.integers(0, 1000))
def test_the_largest_values_are_found_by_groups(columns, count, seed):
    values = np.random.default_rng(seed).random((3, columns))
    count = min(count, columns)
    places = neighbours._largest(values, count)
    assert np.array_equal(
        np.sort(places, axis=1), np.sort(np.argsort(values, axis=1)[:, -count:], axis=1)
    )


def test_shadows_are_never_further_apart_than_their_images(sample):
    shadows = neighbours._Shadows(sample.x_train.reshape(-1, 784)[:-7])
    a = np.concatenate([sample.x_test[:50], inversion.noise(50, 1)]).reshape(100, 784)
    b = np.concatenate([inversion.noise(50, 2), sample.x_test[50:100]]).reshape(100, 784)
    apart = np.linalg.norm(a - b, axis=1)
    assert np.all(np.linalg.norm(shadows.cast(a) - shadows.cast(b), axis=1) <= apart + 1e-4)


def test_an_image_of_the_index_is_its_own_nearest_neighbour(index, sample):
    distances, indices = index.search(sample.x_train[:50], 1)
    assert np.array_equal(indices[:, 0], np.arange(50))
    assert np.array_equal(distances[:, 0], np.zeros(50))


def test_every_neighbour_can_be_asked_for(sample):
    small = neighbours.NeighbourIndex(sample.x_train[:12], sample.y_train[:12])
    _, indices = small.search(sample.x_test[:3], 12)
    assert np.array_equal(np.sort(indices, axis=1), np.tile(np.arange(12), (3, 1)))


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
        steps=1,
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
        index, start, 8, k=5, steps=1, learning_rate=1.0, mask=1.0, stop_at=None
    )
    eights = sample.x_train[sample.y_train == 8]
    nearest = np.argsort(((eights - start) ** 2).sum(axis=(1, 2, 3)), kind="stable")[:5]
    assert np.allclose(result.images[0], eights[nearest].mean(axis=0), atol=1e-5)


def test_the_fallback_is_what_makes_it_succeed(index, pairs):
    share = {
        fallback: np.mean(
            neighbours.invert(index, *pairs, steps=60, fallback=fallback).probability >= 0.6
        )
        for fallback in (False, True)
    }
    assert share[False] < 0.3
    assert share[True] > 0.9


def test_the_mask_leaves_its_share_of_the_pixels_alone(index, pairs):
    starts, targets = pairs
    result = neighbours.invert(index, starts, targets, steps=1, mask=0.25, stop_at=None)
    free = neighbours.invert(index, starts, targets, steps=1, mask=1.0, stop_at=None)
    could_change = free.images != starts
    changed = result.images != starts
    assert not np.any(changed & ~could_change)
    assert np.isclose(changed.sum() / could_change.sum(), 0.25, atol=0.02)
    # each image has its own mask
    both = could_change[0] & could_change[1]
    assert not np.array_equal(changed[0][both], changed[1][both])


def test_the_same_seed_gives_the_same_walk(index, pairs):
    starts, targets = pairs[0][:5], pairs[1][:5]
    first, again, other = (
        neighbours.invert(index, starts, targets, steps=5, seed=seed).images for seed in (1, 1, 2)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("method", ["votes", "soft"])
def test_the_result_describes_the_whole_walk(index, pairs, method):
    starts, targets = pairs[0][:20], pairs[1][:20]
    result = neighbours.invert(
        index, starts, targets, steps=25, method=method, stop_at=0.6, keep_frames=26
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
    if method == "votes":
        p = neighbours.pseudo_probability(index, result.images)
        assert np.allclose(p[np.arange(20), targets], result.probability)


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
    p, direction = neighbours._look_softly(index, x.astype(np.float32), np.array([3]), 20.0)
    assert np.isclose(-np.log(p[0]), loss(x), atol=1e-4)
    assert np.allclose(direction.reshape(-1), gradient / np.linalg.norm(gradient), atol=1e-4)


IMAGES = np.full((5, 28, 28, 1), 0.5, np.float32)
LABELS = np.arange(5)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES * 510, LABELS, r"images must hold values in \[0, 1\].*divide by 255"),
        (IMAGES[..., 0], LABELS, "images must have shape"),
        (IMAGES, LABELS[:3], "labels must be 5 integers"),
        (IMAGES, LABELS.astype(float), "labels must be 5 integers"),
        (IMAGES, LABELS + 8, r"labels must lie in 0..9, not 8..12"),
    ],
)
def test_a_bad_index_is_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        neighbours.NeighbourIndex(images, labels)


@pytest.mark.parametrize("k", [0, 6, -1])
def test_a_bad_k_is_named(k):
    index = neighbours.NeighbourIndex(IMAGES, LABELS)
    for call in (
        lambda: index.search(IMAGES, k),
        lambda: neighbours.pseudo_probability(index, IMAGES, k),
        lambda: neighbours.invert(index, IMAGES, 1, k=k),
    ):
        with pytest.raises(ValueError, match=f"k must be from 1 to 5, .*, not {k}"):
            call()


def test_the_soft_direction_does_not_cancel_where_p_is_near_1(index, sample):
    """Against the gradient in double precision, on images of the index."""
    for place in (0, 7, 11):
        x, target = sample.x_train[place : place + 1], sample.y_train[place]
        p, direction = neighbours._look_softly(index, x, np.array([target]), 3.0)
        flat = sample.x_train.reshape(4000, -1).astype(np.float64)
        weights = np.exp(-((flat - x.reshape(-1)) ** 2).sum(axis=1) / 3.0)
        others = np.where(sample.y_train == target, 0, weights)
        own = weights - others
        gradient = others @ flat / others.sum() - own @ flat / own.sum()
        gradient /= np.linalg.norm(gradient)
        assert p[0] > 0.999
        assert direction.ravel() @ gradient > 0.999


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"start": IMAGES * 3}, "start must hold values"),
        ({"targets": 7}, "targets must be classes of the index; it holds no image of 7"),
        ({"targets": 12}, "targets must lie in 0..9"),
        ({"method": "hard"}, "method must be one of .*, not 'hard'"),
        ({"mask": 0.0}, r"mask must lie in \(0, 1\], not 0.0"),
        ({"temperature": 0.0}, "temperature must be positive and finite, not 0.0"),
        ({"steps": 0}, "steps must be 1 or more"),
        ({"learning_rate": -1}, "learning_rate must be positive"),
        ({"stop_at": 0.0}, "stop_at must be None or lie in"),
        ({"keep_frames": 1}, "keep_frames must be 0 or"),
    ],
)
def test_bad_input_is_named(changes, message):
    index = neighbours.NeighbourIndex(IMAGES, LABELS)
    arguments = {"start": IMAGES, "targets": 3, "k": 3} | changes
    with pytest.raises(ValueError, match=message):
        neighbours.invert(index, **arguments)

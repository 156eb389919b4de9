"""Exact nearest neighbours, a probability made of their votes, and how to run it backwards."""

from __future__ import annotations

import functools
import time

import numpy as np

from helpers import tensorflow
from helpers.inversion import (
    Inversion,
    check_images,
    check_start,
    check_walk,
    evenly_spaced,
    finish,
    progress_steps,
)

METHODS = ("votes", "soft")
AXES = 191  # with the distance from these axes, a shadow has 192 numbers instead of 784
LOOK = 64  # images that are looked at, once their shadows are close
GROUP = 50  # images that are ruled out together
SHADOWS_FROM = 10_000  # a smaller index is searched faster without them


class NeighbourIndex:
    """Labelled images in which nearest neighbours are searched exactly, by Euclidean distance.

    Parameters
    ----------
    images : array of shape (n, 28, 28, 1), values in [0, 1]
    labels : int array of shape (n,), values 0..9

    Raises
    ------
    ValueError
        For images of another shape or range, or labels that do not fit them.
    """

    def __init__(self, images, labels):
        images = check_images(images, "images")
        labels = np.asarray(labels)
        if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
            raise ValueError(
                f"labels must be {len(images)} integers, one for each image, "
                f"not {labels.dtype} of shape {labels.shape}"
            )
        if labels.min() < 0 or labels.max() > 9:
            raise ValueError(f"labels must lie in 0..9, not {labels.min()}..{labels.max()}")
        tf = tensorflow()
        self.images = images
        self.labels = labels.astype(np.int64)
        self._classes = {}
        self._flat = tf.constant(images.reshape(len(images), -1))
        self._squares = tf.reduce_sum(self._flat**2, axis=1)
        large = len(images) >= SHADOWS_FROM
        self._shadows = _Shadows(images.reshape(len(images), -1)) if large else None

    def __len__(self):
        return len(self.images)

    def of_class(self, cls):
        """Return the index of one class's images, and their places in this index."""
        if cls not in self._classes:
            places = np.flatnonzero(self.labels == cls)
            if len(places) == 0:
                raise ValueError(
                    f"targets must be classes of the index; it holds no image of {cls}"
                )
            own = NeighbourIndex(self.images[places], self.labels[places])
            self._classes[cls] = own, places
        return self._classes[cls]

    def search(self, queries, k):
        """Find the k nearest images of every query.

        Parameters
        ----------
        queries : array of shape (n, 28, 28, 1), values in [0, 1]
        k : int, 1 <= k <= len(index)

        Returns
        -------
        distances : float32 array of shape (n, k), Euclidean, ascending
        indices : int64 array of shape (n, k), places in the index

        Raises
        ------
        ValueError
            For queries of another shape or range, or k out of its range.

        Notes
        -----
        |q - x|^2 = |q|^2 + |x|^2 - 2 q.x turns the search into one matrix product. It rounds, so a
        few candidates more than k are found that way, and measured again by subtraction.

        A large index first looks at the shadows of its images on a few axes. A shadow is never
        longer than the image, so images with distant shadows are distant (Faloutsos et al., 1994).
        Where that does not settle who the nearest are, as for noise, all images are compared.
        """
        queries = check_images(queries, "queries")
        if not 1 <= k <= len(self):
            raise ValueError(f"k must be from 1 to {len(self)}, the size of the index, not {k!r}")
        candidates = min(k + 8, len(self))
        # the candidates of a batch are gathered at once: 3 kB for each
        size = min(256, max(1, 50_000 // candidates))
        batches = [
            self._search_batch(batch.reshape(-1, 784), candidates, k)
            for batch in np.split(queries, range(size, len(queries), size))
        ]
        distances, indices = (np.concatenate(part) for part in zip(*batches, strict=True))
        return distances, indices.astype(np.int64)

    def _search_batch(self, queries, candidates, k):
        if self._shadows is None or k > LOOK // 2:
            found = _search(self._flat, self._squares, queries, candidates, k)
            return [out.numpy() for out in found]
        distances, indices, proven = self._shadows.search(self._flat, queries, k)
        if not proven.all():
            found = _search(self._flat, self._squares, queries[~proven], candidates, k)
            distances[~proven], indices[~proven] = found
        return distances, indices

    def squared_distances(self, queries):
        """Squared distances to every image: float32 array of shape (queries, len(index)).

        Computed by one matrix product, so that a distance of 0 may come out as 0.0001.
        """
        return _squared_distances(self._flat, self._squares, queries.reshape(-1, 784)).numpy()


def _compiled(function):
    """Compile a function with TensorFlow at its first call, since importing it takes seconds."""

    @functools.cache
    def compiled():
        return tensorflow().function(function, reduce_retracing=True)

    @functools.wraps(function)
    def call(*arguments):
        return compiled()(*arguments)

    return call


@_compiled
def _squared_distances(flat, squares, queries):
    tf = tensorflow()
    own = tf.reduce_sum(queries**2, axis=1, keepdims=True)
    return tf.maximum(own + squares - 2 * tf.matmul(queries, flat, transpose_b=True), 0.0)


@_compiled
def _search(flat, squares, queries, candidates, k):
    tf = tensorflow()
    # |q|^2 is the same for all candidates of a query, so the order needs only the rest
    closeness = 2 * tf.matmul(queries, flat, transpose_b=True) - squares
    return _nearest(flat, queries, tf.math.top_k(closeness, candidates, sorted=False).indices, k)


def _nearest(flat, queries, candidates, k):
    """Return the k nearest of each query's candidates, their distances measured by subtraction."""
    tf = tensorflow()
    exact = tf.reduce_sum((tf.gather(flat, candidates) - queries[:, None, :]) ** 2, axis=2)
    nearest = tf.math.top_k(-exact, k)
    return tf.sqrt(-nearest.values), tf.gather(candidates, nearest.indices, batch_dims=1)


class _Shadows:
    """Images on the first principal axes of an index, and their distance from these axes.

    Two shadows are at most as far apart as their images: along the axes they are projections, and
    two lengths beside the axes differ by no more than what they are the lengths of.
    """

    def __init__(self, images):
        some = images[:: max(1, len(images) // 5000)]
        self.centre = some.mean(axis=0)
        axes = np.linalg.eigh(np.cov(some, rowvar=False))[1]
        self.axes = axes[:, -AXES:].astype(np.float32)
        shadows = self.cast(images)
        # a product with (s, 1) gives 2 s.x - |x|^2: the larger, the closer
        table = np.column_stack([2 * shadows, -(shadows**2).sum(axis=1)])
        # fill the last group with rows that are close to nothing
        table = np.pad(table, [(0, -len(table) % GROUP), (0, 0)])
        table[len(images) :, -1] = -1e9
        self.table = tensorflow().constant(table)

    def cast(self, images):
        """Turn images (n, 784) into shadows (n, AXES + 1)."""
        centred = images - self.centre
        along = centred @ self.axes
        beside = (centred**2).sum(axis=1) - (along**2).sum(axis=1)
        return np.column_stack([along, np.sqrt(np.maximum(beside, 0))])

    def search(self, flat, queries, k):
        """Return distances, indices, and for which queries these are proven to be the nearest."""
        shadows = self.cast(queries)
        return [out.numpy() for out in _search_shadows(flat, self.table, queries, shadows, k)]


@_compiled
def _search_shadows(flat, table, queries, shadows, k):
    tf = tensorflow()
    ones = tf.ones((tf.shape(shadows)[0], 1))
    closeness = tf.matmul(tf.concat([shadows, ones], axis=1), table, transpose_b=True)
    # the closest LOOK lie in the LOOK groups with the closest members: no need to sort the others
    groups = tf.reshape(closeness, (tf.shape(shadows)[0], -1, GROUP))
    best = tf.math.top_k(tf.reduce_max(groups, axis=2), LOOK, sorted=False).indices
    members = tf.reshape(tf.gather(groups, best, batch_dims=1), (-1, LOOK * GROUP))
    close = tf.math.top_k(members, LOOK, sorted=False)
    group = tf.gather(best, close.indices // GROUP, batch_dims=1)
    looked_at = group * GROUP + close.indices % GROUP
    distances, indices = _nearest(flat, queries, looked_at, k)
    # all other shadows, and so all other images, are at least this far; 0.01 covers the rounding
    others = tf.reduce_sum(shadows**2, axis=1) - tf.reduce_min(close.values, axis=1)
    return distances, indices, others > distances[:, -1] ** 2 + 0.01


def pseudo_probability(index: NeighbourIndex, queries, k=10):
    """Fraction of the k nearest images that carry each label.

    Parameters
    ----------
    index : NeighbourIndex
    queries : array of shape (n, 28, 28, 1), values in [0, 1]
    k : int, 1 <= k <= len(index)

    Returns
    -------
    float32 array of shape (n, 10); rows sum to 1 and take values in {0, 1/k, ..., 1}

    Raises
    ------
    ValueError
        For queries of another shape or range, or k out of its range.
    """
    return _votes(index.labels[index.search(queries, k)[1]])


def _votes(neighbour_labels):
    return np.eye(10, dtype=np.float32)[neighbour_labels].mean(axis=1)


def invert(
    index: NeighbourIndex,
    start,
    targets,
    *,
    k=10,
    method="votes",
    steps=200,
    learning_rate=0.3,
    stop_at=0.6,
    mask=0.5,
    fallback=True,
    temperature=20.0,
    keep_frames=0,
    seed=0,
    progress=False,
) -> Inversion:
    """Change images until their nearest neighbours vote for the target class.

    One step is ``x <- clip(x - learning_rate * m * d, 0, 1)`` with a direction d from the
    neighbours and a random mask m of zeros and ones.

    Parameters
    ----------
    index : NeighbourIndex
    start : array of shape (n, 28, 28, 1), values in [0, 1]
    targets : int, or array of shape (n,)
    k : int
        Number of neighbours that vote.
    method : {"votes", "soft"}
        With ``"votes"``, d is the mean over the k neighbours of ``x - X_j`` for those of the
        target class and of ``X_j - x`` for the others, and p is the share of the votes. With
        ``"soft"``, every image of the index votes with weight exp(-distance^2 / temperature);
        then p has a gradient, and d is that of -log p, divided by its norm.
    steps, learning_rate, stop_at, keep_frames, progress :
        As in `helpers.inversion.invert`; `learning_rate` is the share of the way to the
        neighbours, and for ``"soft"`` the length of a step.
    mask : float in (0, 1]
        Share of the pixels that may change in a step, drawn anew for every step and image.
    fallback : bool
        Where no neighbour is of the target class, follow the k nearest images of that class.
    temperature : float
        Scale of the squared distances, for ``"soft"``.
    seed : int
        Seed of the masks.

    Returns
    -------
    Inversion

    Raises
    ------
    ValueError
        For images of another shape or range, a target that is no class of the index, or a
        setting out of its range.
    """
    start, targets = check_start(start, targets)
    check_walk(steps, learning_rate, stop_at, keep_frames)
    if method not in METHODS:
        raise ValueError(f"method must be one of {METHODS}, not {method!r}")
    if not 0 < mask <= 1:
        raise ValueError(f"mask must lie in (0, 1], not {mask!r}")
    if not 1 <= k <= len(index):
        raise ValueError(f"k must be from 1 to {len(index)}, the size of the index, not {k!r}")
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive and finite, not {temperature!r}")
    if method == "votes":
        look = functools.partial(_look_at_votes, index, k=k, fallback=fallback)
    else:
        look = functools.partial(_look_softly, index, temperature=temperature)
    for target in np.unique(targets):
        index.of_class(target)  # raises if the index holds none

    began = time.perf_counter()
    rng = np.random.default_rng(seed)
    frame_steps = evenly_spaced(steps, keep_frames)
    x, frames = start.copy(), {0: start}
    trace = np.empty((steps + 1, len(start)), np.float32)
    moving = np.arange(len(start))
    for step in progress_steps(steps, progress):
        p, direction = look(x[moving], targets[moving])
        trace[step] = trace[step - 1]
        trace[step, moving] = p
        keep = p < (np.inf if stop_at is None else stop_at)
        moving, direction = moving[keep], direction[keep]
        if len(moving) == 0:
            trace[step:] = trace[step]
            break
        change = learning_rate * direction * (rng.random(direction.shape) < mask)
        x[moving] = np.clip(x[moving] - change, 0, 1)
        if step + 1 in frame_steps:
            frames[step + 1] = x.copy()
    else:
        trace[steps] = trace[steps - 1]
        trace[steps, moving] = look(x[moving], targets[moving])[0]
    return finish(start, x, targets, trace, stop_at, frames, frame_steps, began)


def _look_at_votes(index, x, targets, k, fallback):
    """Share of votes for the target, and the direction away from wrong neighbours."""
    _, neighbours = index.search(x, k)
    votes_target = index.labels[neighbours] == targets[:, None]
    sign = np.where(votes_target, 1.0, -1.0).astype(np.float32)
    direction = _mean_direction(x, index.images[neighbours], sign)
    if fallback:
        for target in np.unique(targets[~votes_target.any(axis=1)]):
            lost = (targets == target) & ~votes_target.any(axis=1)
            own_class, _ = index.of_class(target)
            _, nearest = own_class.search(x[lost], min(k, len(own_class)))
            direction[lost] = _mean_direction(x[lost], own_class.images[nearest])
    return votes_target.mean(axis=1), direction


def _mean_direction(x, neighbours, sign=None):
    """Mean over the neighbours of sign * (x - neighbour); `neighbours` is (n, k, 28, 28, 1)."""
    if sign is None:
        return x - neighbours.mean(axis=1)
    k = neighbours.shape[1]
    weighted = np.einsum("nk,nkhwc->nhwc", sign, neighbours)
    return (sign.sum(axis=1)[:, None, None, None] * x - weighted) / k


def _look_softly(index, x, targets, temperature):
    """Soft share of the target, and the unit gradient of its -log.

    With w the softmax of -distance^2 / temperature over all images and w_t over those of the
    target class, p = sum of w over the target class, and the gradient of -log p with respect to x
    is 2 / temperature * (sum w X - sum w_t X).
    """
    scores = -index.squared_distances(x) / temperature
    wanted = index.labels == targets[:, None]
    everyone = np.exp(scores - scores.max(axis=1, keepdims=True))
    own = np.where(wanted, scores, -np.inf)
    own = np.exp(own - own.max(axis=1, keepdims=True))
    flat = index.images.reshape(len(index), -1)
    pull = (everyone / everyone.sum(axis=1, keepdims=True)) @ flat
    pull -= (own / own.sum(axis=1, keepdims=True)) @ flat
    p = (everyone * wanted).sum(axis=1) / everyone.sum(axis=1)
    direction = pull / (np.linalg.norm(pull, axis=1, keepdims=True) + 1e-10)
    return p, direction.reshape(x.shape)

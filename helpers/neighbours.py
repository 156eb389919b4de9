"""Exact nearest neighbours, a probability made of their votes, and how to run it backwards."""

from __future__ import annotations

import functools
import time

import numpy as np

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
AXES = 127  # with the distance from these axes, a shadow has 128 numbers instead of 784
LOOK = 32  # images that are measured first: those with the closest shadows
GROUP = 50  # columns that are ruled out together
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
        self.images = images
        self.labels = labels.astype(np.int64)
        self._classes = {}
        self._flat = images.reshape(len(images), -1)
        self._squares = (self._flat**2).sum(axis=1)
        self._shadows = _Shadows(self._flat) if len(images) >= SHADOWS_FROM else None

    def __len__(self):
        return len(self.images)

    def of_class(self, cls):
        """Return the index of one class's images, and their places in this index.

        Raises a ValueError if there are none.
        """
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

        A large index first looks at the shadows of its images on a few axes. Two shadows are never
        farther apart than their images, so only images with close shadows need be measured
        (Faloutsos et al., 1994). Where too many are close, as for noise, all images are compared.

        More than eight images whose squared distances differ by less than 0.001 may be mistaken
        for each other.
        """
        queries = check_images(queries, "queries")
        self.check_k(k)
        # the candidates of a batch are gathered at once: 3 kB for each
        size = min(256, max(1, 50_000 // k))
        batches = [
            self._search_batch(batch.reshape(-1, 784), k)
            for batch in np.split(queries, range(size, len(queries), size))
        ]
        distances, indices = (np.concatenate(part) for part in zip(*batches, strict=True))
        return distances, indices

    def _search_batch(self, queries, k):
        if self._shadows is None or k > LOOK:
            return self._search_all(queries, k)
        closeness, lengths = self._shadows.compare(queries)
        seen = _largest(closeness, LOOK)
        distances, indices = self._nearest(queries, seen, k)
        # an image nearer than these has a shadow at least this close; 0.01 covers the rounding
        limit = lengths - distances[:, -1] ** 2 - 0.01
        last = np.take_along_axis(closeness, seen, axis=1).min(axis=1)
        far = []  # what is far from everything, such as noise, is close to no shadow either
        for query in np.flatnonzero(last >= limit):
            close = np.flatnonzero(closeness[query] >= limit[query])
            if len(close) > len(self) // 100:
                far.append(query)
                continue
            own = slice(query, query + 1)
            distances[own], indices[own] = self._nearest(queries[own], close[None], k)
        if far:
            distances[far], indices[far] = self._search_all(queries[far], k)
        return distances, indices

    def _search_all(self, queries, k):
        # |q|^2 is the same for all candidates of a query, so the order needs only the rest
        closeness = _product(2 * queries, self._flat) - self._squares
        candidates = _largest(closeness, min(k + 8, len(self)))
        return self._nearest(queries, candidates, k)

    def _nearest(self, queries, candidates, k):
        """Return the k nearest of each query's candidates, measured by subtraction."""
        difference = self._flat[candidates]
        difference -= queries[:, None]
        squares = np.einsum("nkp,nkp->nk", difference, difference)
        order = np.argsort(squares, axis=1, kind="stable")[:, :k]
        distances = np.sqrt(np.take_along_axis(squares, order, axis=1))
        return distances, np.take_along_axis(candidates, order, axis=1)

    def check_k(self, k):
        """Raise a ValueError unless k is a possible number of neighbours."""
        if not isinstance(k, int | np.integer) or not 1 <= k <= len(self):
            raise ValueError(f"k must be from 1 to {len(self)}, the size of the index, not {k!r}")

    def squared_distances(self, queries):
        """Squared distances to every image: float32 array of shape (queries, len(index)).

        Computed by one matrix product, so that a distance of 0 may come out as 0.0001.
        """
        queries = queries.reshape(-1, 784)
        own = (queries**2).sum(axis=1, keepdims=True)
        return np.maximum(own + self._squares - _product(2 * queries, self._flat), 0)


def _product(a, b):
    """Return a @ b.T; for one row, BLAS multiplies a matrix and a vector five times faster."""
    return (b @ a[0])[None] if len(a) == 1 else a @ b.T


def _largest(values, count):
    """Places of the `count` largest values of each row, in no order.

    The largest lie in those groups of columns that have the largest maxima, so that only few
    columns are sorted: three times faster than `argpartition` on the whole row.
    """
    n, columns = values.shape
    groups = columns // GROUP
    if groups <= count:
        return np.argpartition(values, columns - count, axis=1)[:, columns - count :]
    # a group holds every groups-th column, which makes its maximum fast
    grouped = values[:, : groups * GROUP].reshape(n, GROUP, groups)
    best = _largest(grouped.max(axis=1), count)
    places = best[:, None] + groups * np.arange(GROUP)[:, None]
    rest = np.broadcast_to(np.arange(groups * GROUP, columns), (n, columns - groups * GROUP))
    places = np.concatenate([places.reshape(n, -1), rest], axis=1)
    chosen = _largest(np.take_along_axis(values, places, axis=1), count)
    return np.take_along_axis(places, chosen, axis=1)


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
        self.table = np.column_stack([2 * shadows, -(shadows**2).sum(axis=1)])

    def cast(self, images):
        """Turn images (n, 784) into shadows (n, AXES + 1)."""
        centred = images - self.centre
        along = centred @ self.axes
        beside = (centred**2).sum(axis=1) - (along**2).sum(axis=1)
        return np.column_stack([along, np.sqrt(np.maximum(beside, 0))])

    def compare(self, queries):
        """Return closeness to all shadows, and the squared length of each query's own.

        Their difference is the squared distance: the larger the closeness, the closer.
        """
        shadows = self.cast(queries)
        ones = np.ones((len(queries), 1), np.float32)
        closeness = _product(np.column_stack([shadows, ones]), self.table)
        return closeness, (shadows**2).sum(axis=1)


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
    temperature=10.0,
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
        Number of neighbours that vote; like `fallback`, for ``"votes"`` only.
    method : {"votes", "soft"}
        With ``"votes"``, d is the mean over the k neighbours of ``x - X_j`` for those of the
        target class and of ``X_j - x`` for the others, and p is the share of the votes. With
        ``"soft"``, every image of the index votes with weight exp(-distance^2 / temperature);
        then p has a gradient, and d is that of -log p, divided by its norm.
    steps, learning_rate, stop_at, keep_frames, progress :
        As in `helpers.inversion.invert`; `learning_rate` is the share of the way to the
        neighbours, and for ``"soft"`` the length of a step before mask and clipping.
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
    if not 0 < temperature < np.inf:
        raise ValueError(f"temperature must be positive and finite, not {temperature!r}")
    if method == "votes":
        index.check_k(k)
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
        keep = trace[step, moving] < (np.inf if stop_at is None else stop_at)
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
    return votes_target.mean(axis=1, dtype=np.float32), direction


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
    # w - w_t, written so that it does not cancel where p is near 1: within the target class it is
    # -(1 - p) w_t
    others = np.where(wanted, 0, everyone) / everyone.sum(axis=1, keepdims=True)
    weights = others - others.sum(axis=1, keepdims=True) * own / own.sum(axis=1, keepdims=True)
    pull = weights @ index.images.reshape(len(index), -1)
    p = (everyone * wanted).sum(axis=1) / everyone.sum(axis=1)
    direction = pull / (np.linalg.norm(pull, axis=1, keepdims=True) + 1e-10)
    return p, direction.reshape(x.shape)

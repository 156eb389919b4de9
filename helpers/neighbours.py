"""Exact nearest neighbours, a probability made of their votes, and how to run it backwards."""

from __future__ import annotations

import functools

import numpy as np
from sklearn.decomposition import PCA

from helpers import session, validation
from helpers.trajectory import Inversion, check_settings, checked_rate, record

METHODS = ("votes", "soft")
COMPONENTS = 95  # with the length of what they leave out, 96 numbers stand for an image
FILTER_FROM = 10_000  # a smaller index is searched as fast without a filter
BATCH = 100  # queries that are compared with all images at once


class NeighbourIndex:
    """Labelled images in which nearest neighbours are searched exactly, by Euclidean distance.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    labels : int array of shape (n,), values 0 and up

    Attributes
    ----------
    images, labels : the same, as float32 and int64
    classes : int
        One more than the largest label.

    Raises
    ------
    ValueError
        For images of another shape or range, or labels that do not fit them.

    Examples
    --------
    >>> grays = np.linspace(0, 1, 5).reshape(5, 1, 1, 1)
    >>> index = NeighbourIndex(grays, np.array([0, 0, 0, 1, 1]))
    >>> len(index), index.classes
    (5, 2)
    """

    def __init__(self, images, labels):
        self.images = validation.images(images, "images")
        if self.images.flags.writeable:
            self.images = self.images.copy()  # what is kept below must go on to fit it
        self.labels = validation.labels(labels, "labels", len(self.images))
        self.classes = int(self.labels.max()) + 1
        self._of_class = {}
        self._flat = self.images.reshape(len(self.images), -1)
        self._squares = _squares(self._flat)
        self._pca = None
        if len(self) >= FILTER_FROM and self._flat.shape[1] > COMPONENTS:
            with session.clock("sorting the images for the search"):
                some = self._flat[:: len(self) // 5000]
                self._pca = PCA(COMPONENTS, svd_solver="covariance_eigh").fit(some)
                reduced = self._reduce(self._flat)
                ones = np.ones(len(self), np.float32)
                self._table = np.vstack([-2 * reduced.T, ones, _squares(reduced)])

    def __len__(self):
        """Return the number of images."""
        return len(self.images)

    def shares(self, places):
        """Return the share of each label among the images at some places.

        Parameters
        ----------
        places : int array of shape (n, k), as `search` returns them

        Returns
        -------
        float32 array of shape (n, classes)

        Examples
        --------
        >>> index = NeighbourIndex(np.zeros((3, 2, 2, 1)), np.array([0, 1, 1]))
        >>> index.shares(np.array([[0, 2], [1, 2]]))
        array([[0.5, 0.5],
               [0. , 1. ]], dtype=float32)
        """
        return np.eye(self.classes, dtype=np.float32)[self.labels[places]].mean(axis=1)

    def of_class(self, cls):
        """Return the index of one class's images, and their places in this index.

        Raises
        ------
        ValueError
            If there are none.

        Examples
        --------
        >>> index = NeighbourIndex(np.zeros((3, 2, 2, 1)), np.array([0, 1, 1]))
        >>> len(index.of_class(1)[0]), index.of_class(1)[1]
        (2, array([1, 2]))
        """
        cls = validation.whole_number(cls, "cls", 0)
        if cls not in self._of_class:
            places = np.flatnonzero(self.labels == cls)
            if len(places) == 0:
                raise ValueError(
                    f"targets must be classes of the index; it holds no image of {cls}"
                )
            own = NeighbourIndex(self.images[places], self.labels[places])
            self._of_class[cls] = own, places
        return self._of_class[cls]

    def search(self, queries, k):
        """Find the k nearest images of every query.

        Parameters
        ----------
        queries : array of shape (n, h, w, c), values in [0, 1]
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
        Filter and refine (Faloutsos et al., 1994): a lower bound of the distance, from principal
        components, rules out most images; only the others are measured, pixel by pixel. Where it
        rules out too few, one matrix product of all pixels takes its place.

        Examples
        --------
        >>> index = NeighbourIndex(np.eye(4).reshape(4, 2, 2, 1), np.arange(4))
        >>> index.search(index.images[2:3], k=1)
        (array([[0.]], dtype=float32), array([[2]]))
        """
        queries = validation.images(queries, "queries", self.images.shape[1:])
        k = validation.whole_number(k, "k", 1, len(self))
        flat = queries.reshape(len(queries), -1)
        batches = []
        with session.progress_bar(
            len(flat), "searching neighbours", len(flat) > BATCH, delay=1
        ) as bar:
            for i in range(0, len(flat), BATCH):
                batches.append(self._search(flat[i : i + BATCH], k))
                bar.update(len(flat[i : i + BATCH]))
        distances, indices = zip(*batches, strict=True)
        return np.concatenate(distances), np.concatenate(indices)

    def _search(self, queries, k):
        distances = np.empty((len(queries), k), np.float32)
        indices = np.empty((len(queries), k), np.int64)
        # a matrix product rounds squared distances by less than this
        rounding = 1e-5 * (_squares(queries) + self._squares.max())
        # the least bounds of groups are found faster than the least of all bounds
        size = max(1, min(60, len(self) // (3 * k)))
        groups = len(self) // size
        look = min(3 * k, groups) - 1
        filters = [self._lower_bound] if self._pca else []
        waiting = np.arange(len(queries))
        for bounds_of in [*filters, self._squared_distances]:
            bounds = bounds_of(queries[waiting])
            least = bounds[:, : size * groups].reshape(len(waiting), size, groups).min(axis=1)
            limits = np.partition(least, look, axis=1)[:, look]
            far = []
            for query, bound, limit in zip(waiting, bounds, limits, strict=True):
                # the k-th of some images is not closer than the k-th of all
                some, _ = self._measure(queries[query], np.flatnonzero(bound <= limit), k)
                close = bound <= some[-1] + rounding[query]
                # noise is far from everything, and a filter rules out nothing
                if bounds_of in filters and np.count_nonzero(close) > len(self) // 50:
                    far.append(query)
                    continue
                squares, indices[query] = self._measure(queries[query], np.flatnonzero(close), k)
                distances[query] = np.sqrt(squares)
            if not far:
                break
            waiting = np.array(far)
        return distances, indices

    def _measure(self, query, candidates, k):
        """Squared distances and places of the k nearest candidates, measured by subtraction."""
        squares = _squares(self._flat[candidates] - query)
        order = np.argsort(squares, kind="stable")[:k]
        return squares[order], candidates[order]

    def _reduce(self, images):
        """Turn images (n, pixels) into COMPONENTS numbers and the length of what these leave out.

        Distances cannot grow: along the axes they are projections, and two lengths beside the
        axes differ by no more than what they are the lengths of.
        """
        along = self._pca.transform(images)
        # the difference of two squared lengths would round a short one to 0, or above its length
        beside = _squares(images - self._pca.inverse_transform(along))
        return np.column_stack([along, np.sqrt(beside)])

    def _lower_bound(self, queries):
        """Squared distances after `_reduce`, (queries, len(index)): at most the true ones."""
        reduced = self._reduce(queries)
        ones = np.ones(len(queries), np.float32)
        return np.column_stack([reduced, _squares(reduced), ones]) @ self._table

    def _squared_distances(self, queries):
        """Squared distances by |q|^2 + |x|^2 - 2 q.x, (queries, len(index)), rounded."""
        squares = (-2 * queries) @ self._flat.T
        squares += self._squares
        squares += _squares(queries)[:, None]
        return squares


def _squares(rows):
    """Squared length of each row."""
    return np.einsum("ij,ij->i", rows, rows)


def training_index(dataset):
    """Return the index of a dataset's training images; kept, because all who judge ask for it.

    Parameters
    ----------
    dataset : Dataset

    Returns
    -------
    NeighbourIndex

    Raises
    ------
    ValueError
        For anything but a dataset of images and labels.

    Examples
    --------
    >>> from helpers import data
    >>> len(training_index(data.load("mnist", "lite")))
    MNIST: 4,000 training and 1,000 test images from data/samples, verified
    4000
    """
    return _training_index(validation.dataset(dataset))


@functools.lru_cache(maxsize=1)
def _training_index(dataset):
    return NeighbourIndex(dataset.x_train, dataset.y_train)


def pseudo_probability(index: NeighbourIndex, queries, k=10):
    """Fraction of the k nearest images that carry each label.

    Parameters
    ----------
    index : NeighbourIndex
    queries : array of shape (n, h, w, c), values in [0, 1]
    k : int, 1 <= k <= len(index)

    Returns
    -------
    float32 array of shape (n, index.classes); rows sum to 1, values are in {0, 1/k, ..., 1}

    Raises
    ------
    ValueError
        For queries of another shape or range, or k out of its range.

    Examples
    --------
    >>> index = NeighbourIndex(np.linspace(0, 1, 5).reshape(5, 1, 1, 1), np.array([0, 0, 0, 1, 1]))
    >>> pseudo_probability(index, np.ones((1, 1, 1, 1)), k=4)
    array([[0.5, 0.5]], dtype=float32)
    """
    return _checked(index).shares(index.search(queries, k)[1])


def soft_voter(index: NeighbourIndex, temperature=3.0):
    """Make the soft k-NN a model: differentiable, so that networks' tools take it.

    Parameters
    ----------
    index : NeighbourIndex
    temperature : float, 0.001 or more
        Scale of the squared distances, as in `invert`. The higher, the more images vote: on
        training images of MNIST that were left out, 3 is right most often (98.2 %), and 10, the
        default of `invert`, in 93.6 %.

    Returns
    -------
    callable on a batch (n, h, w, c) that returns probabilities, a tensor (n, index.classes)
        Every image of the index votes with weight exp(-distance^2 / temperature). A batch of n
        images takes about 20 n len(index) bytes while its gradient is computed.

    Raises
    ------
    ValueError
        For an index that is none, or a temperature out of its range.

    Notes
    -----
    Neighbourhood components (Goldberger et al., 2005) without their learned metric; the votes of
    `invert` with ``method="soft"``. The probabilities are a softmax of the classes' log-weights,
    and Keras' losses find these as its logits: an attack has a gradient even where p is 1, until
    the other classes' p underflow, below 1e-38.

    Examples
    --------
    >>> index = NeighbourIndex(np.linspace(0, 1, 5).reshape(5, 1, 1, 1), np.array([0, 0, 0, 1, 1]))
    >>> p = soft_voter(index, temperature=0.1)(np.ones((1, 1, 1, 1), np.float32))
    >>> p.numpy().round(2)
    array([[0.05, 0.95]], dtype=float32)
    """
    from helpers.backend import keras, tf  # searching alone needs no TensorFlow

    # squared distances are rounded by 0.0001, which a lower temperature would blow up
    temperature = validation.number(temperature, "temperature", low=0.001)
    order = np.argsort(_checked(index).labels, kind="stable")
    shape = index.images.shape[1:]
    images = tf.constant(index.images.reshape(len(index), -1)[order])
    squares = tf.constant(index._squares[order])
    counts = np.bincount(index.labels, minlength=index.classes)

    def vote(batch):
        if tuple(batch.shape[1:]) != shape:
            expected = ", ".join(map(str, shape))
            raise ValueError(f"batch must have shape (n, {expected}), not {tuple(batch.shape)}")
        flat = tf.reshape(tf.cast(batch, tf.float32), (-1, images.shape[1]))
        products = tf.matmul(flat, images, transpose_b=True)
        # the query's own square drops out of p, but not out of the gradient where p rounds to 1
        own = tf.reduce_sum(flat**2, axis=1, keepdims=True)
        scores = (2 * products - squares - own) / temperature
        classes = tf.split(scores, counts, axis=1)
        weights = [tf.reduce_logsumexp(part, axis=1) for part in classes]
        return keras.activations.softmax(tf.stack(weights, axis=1))

    return vote


def _checked(index):
    if not isinstance(index, NeighbourIndex):
        raise ValueError(f"index must be a NeighbourIndex, not a {type(index).__name__}")
    return index


def invert(
    index: NeighbourIndex,
    start,
    targets,
    *,
    k=10,
    method="votes",
    max_steps=200,
    learning_rate=0.3,
    stop_at=0.6,
    mask=0.5,
    fallback=True,
    temperature=10.0,
    keep_frames=0,
    seed=0,
    progress=True,
) -> Inversion:
    """Change images until their nearest neighbours vote for the target class.

    One step is ``x <- clip(x - learning_rate * m * d, 0, 1)`` with a direction d from the
    neighbours and a random mask m of zeros and ones.

    Parameters
    ----------
    index : NeighbourIndex
    start : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
    k : int
        Number of neighbours that vote; like `fallback`, for ``"votes"`` only.
    method : {"votes", "soft"}
        With ``"votes"``, d is the mean over the k neighbours of ``x - X_j`` for those of the
        target class and of ``X_j - x`` for the others, and p is the share of the votes. With
        ``"soft"``, every image of the index votes with weight exp(-distance^2 / temperature);
        then p has a gradient, and d is that of -log p, divided by its norm.
    max_steps, learning_rate, stop_at, keep_frames, progress :
        As in `helpers.inversion.invert`; `learning_rate` is the share of the way to the
        neighbours, and for ``"soft"`` the length of a step before mask and clipping.
    mask : float in (0, 1]
        Share of the pixels that may change in a step, drawn anew for every step and image.
    fallback : bool
        Where no neighbour is of the target class, follow the k nearest images of that class.
    temperature : float, 0.001 or more
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

    Examples
    --------
    >>> index = NeighbourIndex(np.linspace(0, 1, 5).reshape(5, 1, 1, 1), np.array([0, 0, 0, 1, 1]))
    >>> result = invert(index, np.zeros((1, 1, 1, 1)), 1, k=1, mask=1.0)
    >>> result.trace[: result.steps[0] + 1, 0]
    array([0., 0., 0., 0., 0., 0., 1.], dtype=float32)
    """
    start = validation.images(start, "start", _checked(index).images.shape[1:])
    targets = validation.targets(targets, len(start), index.classes)
    check_settings(max_steps, stop_at, keep_frames, progress)
    step = one_step(
        index,
        k=k,
        method=method,
        learning_rate=learning_rate,
        mask=mask,
        fallback=fallback,
        temperature=temperature,
        seed=seed,
    )
    for target in np.unique(targets):
        index.of_class(target)  # raises if the index holds none

    return record(
        step,
        start,
        targets,
        max_steps=max_steps,
        stop_at=stop_at,
        keep_frames=keep_frames,
        progress=progress,
    )


def one_step(
    index: NeighbourIndex,
    *,
    k=10,
    method="votes",
    learning_rate=0.3,
    mask=0.5,
    fallback=True,
    temperature=10.0,
    seed=0,
):
    """Make the function that takes one step of `invert`, for those who watch each of them.

    Parameters
    ----------
    index, k, method, learning_rate, mask, fallback, temperature, seed :
        As in `invert`.

    Returns
    -------
    callable ``(images, targets, number) -> (p, images after the step)``
        As that of `helpers.inversion.one_step`; each call draws new masks.

    Raises
    ------
    ValueError
        For a setting out of its range.

    Examples
    --------
    >>> index = NeighbourIndex(np.linspace(0, 1, 5).reshape(5, 1, 1, 1), np.array([0, 0, 0, 1, 1]))
    >>> p, after = one_step(index, k=1, mask=1.0)(np.zeros((1, 1, 1, 1)), np.array([1]), 1)
    >>> p, after.ravel()  # 0.3 of the way to the nearest image of class 1, at 0.75
    (array([0.], dtype=float32), array([0.225]))
    """
    _checked(index)
    learning_rate = checked_rate(learning_rate)
    validation.choice(method, "method", METHODS)
    validation.whole_number(k, "k", 1, len(index) if method == "votes" else None)
    validation.number(mask, "mask", above=0, high=1)
    # squared distances are rounded by 0.0001, which a lower temperature would blow up
    validation.number(temperature, "temperature", low=0.001)
    validation.flag(fallback, "fallback")
    rng = np.random.default_rng(validation.seed(seed))

    def step(x, targets, number):
        if method == "votes":
            p, direction = _vote(index, x, targets, k, fallback)
        else:
            p, direction = _vote_softly(index, x, targets, temperature)
        change = learning_rate * direction * (rng.random(direction.shape) < mask)
        return p, np.clip(x - change, 0, 1)

    return step


def _vote(index, x, targets, k, fallback):
    """Share of votes for the target, and the direction away from wrong neighbours."""
    _, neighbours = index.search(x, k)
    votes_target = index.labels[neighbours] == targets[:, None]
    sign = np.where(votes_target, 1, -1).astype(np.float32)
    weighted = np.einsum("nk,nkhwc->nhwc", sign, index.images[neighbours])
    direction = (sign.sum(axis=1)[:, None, None, None] * x - weighted) / k
    lost = ~votes_target.any(axis=1)
    for target in np.unique(targets[lost]) if fallback else ():
        of_target = lost & (targets == target)
        own_class, _ = index.of_class(target)
        _, nearest = own_class.search(x[of_target], min(k, len(own_class)))
        direction[of_target] = x[of_target] - own_class.images[nearest].mean(axis=1)
    return votes_target.mean(axis=1, dtype=np.float32), direction


def _vote_softly(index, x, targets, temperature):
    """Soft share of the target, and the unit gradient of its -log.

    With w the softmax of -distance^2 / temperature over all images and w_t over those of the
    target class, p = sum of w over the target class, and the gradient of -log p with respect to x
    is 2 / temperature * (sum w X - sum w_t X).
    """
    if len(x) > BATCH:  # every image of the index has a weight for every query
        places = range(0, len(x), BATCH)
        parts = [
            _vote_softly(index, x[i : i + BATCH], targets[i : i + BATCH], temperature)
            for i in places
        ]
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))
    squares = index._squared_distances(x.reshape(len(x), -1))
    wanted = index.labels == targets[:, None]
    scores = squares / -temperature
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

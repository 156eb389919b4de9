"""Is an inverted image a digit? A scorecard by judges that had no part in making it."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from helpers import models, session, validation
from helpers.inversion import noise
from helpers.neighbours import pseudo_probability, training_index

K = 5  # neighbours that vote
COMPONENTS = 32  # numbers that an autoencoder keeps of an image
EPSILON = 1e-10
ANCHORS = ("real digits", "noise", "judge's test accuracy")
MEASURES = ("k-NN vote", "trust score", "distance", "AE error", "IM1", "IM2", "total variation")


def agreement(p, targets):
    """Share of the images whose most probable class is their target, in [0, 1].

    Where several classes are equally probable, the first of them counts, as in scikit-learn.

    Parameters
    ----------
    p : array of shape (n, classes), probabilities
    targets : int, or array of shape (n,)

    Examples
    --------
    >>> agreement([[0.5, 0.5], [0.2, 0.8]], [1, 1])
    0.5
    """
    p = validation.probabilities(p, "p")
    targets = validation.targets(targets, len(p), p.shape[1])
    return float(np.mean(p.argmax(axis=1) == targets))


def scorecard(images, targets, judges, dataset):
    """Score images by judges and measures that the inverted model has no part in.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1], or a dict of such arrays
        With a dict, one row for each of its keys; all share the targets.
    targets : int, or array of shape (n,)
        The class that each image is meant to be.
    judges : dict of str to callable
        Networks that return probabilities (n, classes). None may share weights with the model
        that made the images.
    dataset : Dataset
        Its training images are the neighbours, and what the autoencoders know.

    Returns
    -------
    pandas.DataFrame
        A row for each set of images, then three to compare with: ``real digits`` (test images
        of the same targets), ``noise`` (uniform, one image for each target) and ``judge's test
        accuracy`` (on all test images). Columns, each a mean over the images:

        - one for each judge, and ``k-NN vote`` (k = 5): share that sees the target, 0 to 1;
        - ``trust score``: see `trust_scores`, 0 and up, more is better;
        - ``distance``: Euclidean, to the nearest training image of the target;
        - ``AE error``, ``IM1``, ``IM2``: see `reconstruction_scores`, less is better;
        - ``total variation``: see `total_variation`, 0 to 2.

    Raises
    ------
    ValueError
        For images of another shape or range, targets that do not fit them, no set at all, sets
        of different sizes, a set that is named like one of the rows to compare with, or a judge
        that is named like a measure.

    Examples
    --------
    >>> class Two:  # a dataset of eight training and two test images
    ...     task, class_names = "classification", ("0", "1")
    ...     x_train, y_train = noise(8, seed=0, shape=(4, 4, 1)), np.arange(8) % 2
    ...     x_test, y_test = x_train[:2], y_train[:2]
    >>> list(scorecard(Two.x_test, [0, 1], {}, Two).index)
    ['images', 'real digits', 'noise', "judge's test accuracy"]
    """
    sets = _check_sets(images, dataset)
    n = len(next(iter(sets.values())))
    targets = validation.training_targets(targets, n, dataset)
    _check_judges(judges, sets, targets)
    sets["real digits"] = real_digits(dataset, targets)
    sets["noise"] = noise(n, seed=0, shape=dataset.x_train.shape[1:])
    rows = {name: _row(some, targets, judges, dataset) for name, some in sets.items()}
    table = pd.DataFrame.from_dict(rows, orient="index")
    ability = {
        name: models.accuracy(judge, dataset.x_test, dataset.y_test)
        for name, judge in judges.items()
    }
    ability["k-NN vote"] = _vote_accuracy(dataset)
    table.loc["judge's test accuracy"] = ability
    return table


def _check_sets(images, dataset):
    """Return valid images by the name of their set, or raise a ValueError."""
    shape = validation.dataset(dataset).x_train.shape[1:]
    sets = images if isinstance(images, dict) else {"images": images}
    if not sets or set(ANCHORS) & set(sets):
        raise ValueError(f"images must have at least one set, none named {ANCHORS}: {list(sets)}")
    sets = {
        name: validation.images(some, f"images {name!r}" if some is not images else name, shape)
        for name, some in sets.items()
    }
    if len({len(some) for some in sets.values()}) > 1:
        raise ValueError("images must have sets of one size, because they share the targets")
    return sets


def _check_judges(judges, sets, targets):
    if not isinstance(judges, dict) or set(MEASURES) & set(judges):
        came = list(judges) if isinstance(judges, dict) else f"a {type(judges).__name__}"
        raise ValueError(f"judges must be a dict of networks, none named {MEASURES}, not {came}")
    one = next(iter(sets.values()))[:1]
    for name, judge in judges.items():
        validation.outputs(judge, one, f"judges[{name!r}]", classes_from=targets.max() + 1)


def _row(images, targets, judges, dataset):
    index = training_index(dataset)
    row = {
        name: agreement(models.predict(judge, images), targets) for name, judge in judges.items()
    }
    row["k-NN vote"] = agreement(pseudo_probability(index, images, min(K, len(index))), targets)
    trust, distance = trust_scores(images, targets, dataset)
    error, im1, im2 = reconstruction_scores(images, targets, dataset)
    row |= {"trust score": trust.mean(), "distance": distance.mean()}
    row |= {"AE error": error.mean(), "IM1": im1.mean(), "IM2": im2.mean()}
    return row | {"total variation": total_variation(images).mean()}


def trust_scores(images, targets, dataset):
    """How much nearer an image is to its target's training images than to all others.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
    dataset : Dataset

    Returns
    -------
    scores : array of shape (n,), 0 and up
        Distance to the nearest training image of any other class, divided by `distances`. Above 1
        the nearest neighbour is of the target class. Very large where the distance is 0.
    distances : array of shape (n,), Euclidean, 0 to the square root of the number of pixels
        To the nearest training image of the target class.

    Raises
    ------
    ValueError
        For images of another shape or range, or a target without training images.

    Notes
    -----
    The trust score of Jiang et al. (2018), with the target in the place of the predicted class,
    and without their filter of outlying training images.

    Examples
    --------
    >>> class Grays:
    ...     task, class_names = "classification", ("dark", "bright")
    ...     y_train = np.array([0, 0, 1, 1])
    ...     x_train = x_test = np.array([0, 0.1, 0.9, 1]).reshape(4, 1, 1, 1) * np.ones((2, 2, 1))
    >>> scores, distances = trust_scores(np.full((1, 2, 2, 1), 0.3), 0, Grays)
    >>> print(scores.round(3), distances.round(3))
    [3.] [0.4]
    """
    shape = validation.dataset(dataset).x_train.shape[1:]
    images = validation.images(images, "images", shape)
    targets = validation.training_targets(targets, len(images), dataset)
    index = training_index(dataset)
    classes = np.unique(dataset.y_train)
    nearest = []
    with session.progress_bar(len(classes), "searching each class", delay=1) as bar:
        for c in classes:
            nearest.append(index.of_class(c)[0].search(images, 1)[0])
            bar.update()
    nearest = np.column_stack(nearest)
    own = classes == targets[:, None]
    distances = nearest[own]
    others = np.where(own, np.inf, nearest).min(axis=1)
    return others / (distances + EPSILON), distances


def reconstruction_scores(images, targets, dataset):
    """How well autoencoders of the target class and of the others redraw an image.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
    dataset : Dataset

    Returns
    -------
    error : array of shape (n,), 0 to 1
        Mean squared error of a pixel, redrawn by the autoencoder of all classes.
    im1 : array of shape (n,), 0 and up
        Squared error of the target's autoencoder, divided by that of the best other class. Below
        1 the image is more like the target than like any other class.
    im2 : array of shape (n,), 0 and up
        Squared distance between what the target's autoencoder and that of all classes draw,
        divided by the sum of the pixels. Very large for a black image.

    Raises
    ------
    ValueError
        For images of another shape or range, or a target without training images.

    Notes
    -----
    IM1 and IM2 of Van Looveren & Klaise (2019), with two changes. Their IM1 divides by the error
    of the class that the image came from; an image that began as noise has none, so the best of
    the other classes takes its place, which is never easier. And these autoencoders are linear:
    the best linear autoencoder is known without training, it keeps the first principal
    components (Baldi & Hornik, 1989), here 32 of them; what they draw is clipped to [0, 1].

    Examples
    --------
    >>> class Two:
    ...     task, class_names = "classification", ("0", "1")
    ...     x_train, y_train = noise(90, seed=0, shape=(4, 4, 1)), np.arange(90) % 2
    ...     x_test = x_train
    >>> error, im1, im2 = reconstruction_scores(Two.x_train[:1], 0, Two)
    >>> bool(error[0] < 1e-9)  # 32 components are more than 16 pixels
    True
    """
    shape = validation.dataset(dataset).x_train.shape[1:]
    images = validation.images(images, "images", shape)
    targets = validation.training_targets(targets, len(images), dataset)
    autoencoders = _autoencoders(dataset)
    classes = np.unique(dataset.y_train)
    flat = images.reshape(len(images), -1)
    drawn = {name: _redraw(coder, flat) for name, coder in autoencoders.items()}
    squared = {name: ((flat - picture) ** 2).sum(axis=1) for name, picture in drawn.items()}
    errors = np.column_stack([squared[c] for c in classes])
    own = classes == targets[:, None]
    im1 = errors[own] / (np.where(own, np.inf, errors).min(axis=1) + EPSILON)
    by_target = np.stack([drawn[c] for c in classes], axis=1)[own]
    apart = ((by_target - drawn["all"]) ** 2).sum(axis=1)
    return squared["all"] / flat.shape[1], im1, apart / (flat.sum(axis=1) + EPSILON)


def total_variation(images):
    """Mean absolute difference between a pixel and its right and lower neighbour, summed.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1], two pixels or more on each side

    Returns
    -------
    array of shape (n,), 0 for an even image to 2 for a chessboard

    Raises
    ------
    ValueError
        For images of another shape or range.

    Notes
    -----
    The anisotropic form of Rudin, Osher & Fatemi (1992), divided by the number of pairs.

    Examples
    --------
    >>> total_variation(np.eye(2).reshape(1, 2, 2, 1))
    array([2.], dtype=float32)
    """
    images = validation.images(images, "images")
    if min(images.shape[1:3]) < 2:
        raise ValueError(f"images must be 2 x 2 pixels or larger, not {images.shape[1:3]}")
    down = np.abs(np.diff(images, axis=1)).mean(axis=(1, 2, 3))
    right = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2, 3))
    return down + right


def diversity(images, targets, dataset):
    """How different the images of one class are, beside real digits of the same classes.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    targets : int, or array of shape (n,)
        The class that each image is meant to be, two images or more of each.
    dataset : Dataset

    Returns
    -------
    pandas.DataFrame
        A row for each class, and ``mean`` over the classes. Columns:

        - ``images``: how many there are;
        - ``distance``: mean Euclidean distance between two images of the class;
        - ``real distance``: the same for as many test images of the class;
        - ``share``: the first divided by the second, 0 where all images are equal;
        - ``distinct``: how many images are left where twins count as one;
        - ``real distinct``: the same for the test images.

    Raises
    ------
    ValueError
        For images of another shape or range, and for a target that has fewer than two images or
        training images, or fewer test images than images.

    Notes
    -----
    The mean distance of all pairs is the diversity of Mothilal, Sharma & Tan (2020). It does not
    count: two heaps of equal images far apart are as diverse as many images. So the distinct ones
    are counted one by one, in their order: an image is a twin if it lies within a radius of one
    that has been counted. This is our own measure. Its radius, one for each class, is the median
    distance of 200 training images to the nearest other training image of their class; real
    digits are counted beside it, because that distance shrinks where there are more of them.

    Examples
    --------
    >>> class Two:
    ...     task, class_names = "classification", ("0", "1")
    ...     x_train, y_train = noise(40, seed=0, shape=(4, 4, 1)), np.arange(40) % 2
    ...     x_test, y_test = x_train, y_train
    >>> drawn = np.repeat(Two.x_test[:2], 3, axis=0)  # two images, three times each
    >>> diversity(drawn, np.repeat([0, 1], 3), Two).loc["mean", ["share", "distinct"]].to_list()
    [0.0, 1.0]
    """
    shape = validation.dataset(dataset).x_train.shape[1:]
    images = validation.images(images, "images", shape)
    targets = validation.training_targets(targets, len(images), dataset)
    rows = {}
    classes, counts = np.unique(targets, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"targets must have two images or more each; {classes[counts < 2][0]} has one"
        )
    for cls in classes:
        own = images[targets == cls]
        there = int(np.sum(dataset.y_test == cls))
        if there < len(own):  # repeated ones would make the drawn images look more different
            raise ValueError(f"targets must have as many test images each; {cls} has {there}")
        real = real_digits(dataset, np.full(len(own), cls))
        apart, real_apart = _mean_distance(own), _mean_distance(real)
        if real_apart == 0:
            raise ValueError(f"targets must have two different test images each, unlike {cls}")
        radius = _twin_radius(dataset, int(cls))
        rows[cls] = {
            "images": len(own),
            "distance": apart,
            "real distance": real_apart,
            "share": apart / real_apart,
            "distinct": _count_distinct(own, radius),
            "real distinct": _count_distinct(real, radius),
        }
    table = pd.DataFrame.from_dict(rows, orient="index").astype(float)
    table.loc["mean"] = table.mean()
    return table


def _mean_distance(images):
    return float(pdist(images.reshape(len(images), -1)).mean())


def _count_distinct(images, radius):
    """Count the images that lie farther than the radius from all that were counted before."""
    flat = images.reshape(len(images), -1)
    kept = flat[:1]
    for image in flat[1:]:
        if np.linalg.norm(kept - image, axis=1).min() > radius:
            kept = np.vstack([kept, image])
    return len(kept)


@functools.lru_cache(maxsize=40)  # the classes of one dataset
def _twin_radius(dataset, cls):
    """Median distance of training images of a class to the nearest other one of the class."""
    own, _ = training_index(dataset).of_class(cls)
    return float(np.median(own.search(own.images[:200], 2)[0][:, 1]))


def real_digits(dataset, targets):
    """Test images of the given classes, in their order, each taken once while there are enough.

    Parameters
    ----------
    dataset : Dataset
    targets : int array of shape (n,)

    Returns
    -------
    float32 array of shape (n, h, w, c)

    Raises
    ------
    ValueError
        For a target without test images.

    Examples
    --------
    >>> class Two:
    ...     task, class_names = "classification", ("0", "1")
    ...     x_test, y_test = np.arange(4).reshape(4, 1, 1, 1) / 4, np.array([1, 0, 1, 1])
    >>> real_digits(Two, [1, 1, 0]).ravel()
    array([0.  , 0.5 , 0.25], dtype=float32)
    """
    validation.dataset(dataset)
    targets = validation.targets(targets, np.size(targets)).reshape(-1)
    images = np.empty((len(targets), *dataset.x_test.shape[1:]), np.float32)
    for cls in np.unique(targets):
        places = np.flatnonzero(dataset.y_test == cls)
        if len(places) == 0:
            raise ValueError(f"targets must be classes of the test images; there is no {cls}")
        wanted = targets == cls
        images[wanted] = dataset.x_test[np.resize(places, wanted.sum())]
    return images


@functools.lru_cache(maxsize=1)
def _autoencoders(dataset):
    """Return an autoencoder of each class and one of all, fitted to the training images; kept."""
    index = training_index(dataset)
    flat = index.images.reshape(len(index), -1)
    parts = {c: flat[index.labels == c] for c in np.unique(index.labels)} | {"all": flat}
    autoencoders = {}
    with session.progress_bar(2 * len(flat), "fitting autoencoders", delay=1) as bar:
        for name, part in parts.items():
            size = min(COMPONENTS, *part.shape)
            # of few images with many pixels the covariance would be the larger matrix
            few = 2 * len(part) < part.shape[1]
            solver = "full" if few else "covariance_eigh"
            autoencoders[name] = PCA(size, svd_solver=solver).fit(part)
            bar.update(len(part))
    return autoencoders


@functools.lru_cache(maxsize=1)
def _vote_accuracy(dataset):
    """Accuracy of the votes on all test images; kept, because 10,000 searches take seconds."""
    index = training_index(dataset)
    return agreement(pseudo_probability(index, dataset.x_test, min(K, len(index))), dataset.y_test)


def _redraw(coder, flat):
    return np.clip(coder.inverse_transform(coder.transform(flat)), 0, 1)

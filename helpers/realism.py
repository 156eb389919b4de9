"""Is an inverted image a digit? A scorecard by judges that had no part in making it."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from helpers import models
from helpers.inversion import check_images, check_start, noise
from helpers.neighbours import NeighbourIndex, pseudo_probability

K = 5  # neighbours that vote
COMPONENTS = 32  # numbers that an autoencoder keeps of an image
EPSILON = 1e-10
ANCHORS = {"real digits", "noise", "judge's test accuracy"}


def agreement(p, targets):
    """Share of the images whose most probable class is their target, in [0, 1].

    Parameters
    ----------
    p : array of shape (n, 10), probabilities
    targets : int array of shape (n,)
    """
    return float(np.mean(p.argmax(axis=1) == targets))


def scorecard(images, targets, judges, dataset):
    """Score images by judges and measures that the inverted model has no part in.

    Parameters
    ----------
    images : array of shape (n, 28, 28, 1), values in [0, 1], or a dict of such arrays
        With a dict, one row for each of its keys; all share the targets.
    targets : int, or array of shape (n,)
        The class that each image is meant to be.
    judges : dict of str to callable
        Networks that return probabilities (n, 10). None may share weights with the model that
        made the images.
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
        - ``distance``: Euclidean, to the nearest training image of the target, 0 to 28;
        - ``AE error``, ``IM1``, ``IM2``: see `reconstruction_scores`, less is better;
        - ``total variation``: see `total_variation`, 0 to 2.

    Raises
    ------
    ValueError
        For images of another shape or range, targets that do not fit them, no set at all, sets
        of different sizes, or a set that is named like one of the rows to compare with.
    """
    sets = images if isinstance(images, dict) else {"images": images}
    if not sets or ANCHORS & set(sets):
        raise ValueError(f"images must have at least one set, none named {ANCHORS}: {list(sets)}")
    if len({len(some) for some in sets.values()}) > 1:
        raise ValueError("images must have sets of one size, because they share the targets")
    rows = {}
    for name, some in sets.items():
        some, wanted = check_start(some, targets, f"images {name!r}")
        rows[name] = _row(some, wanted, judges, dataset)
    rows["real digits"] = _row(real_digits(dataset, wanted), wanted, judges, dataset)
    rows["noise"] = _row(noise(len(wanted), seed=0), wanted, judges, dataset)
    table = pd.DataFrame.from_dict(rows, orient="index")
    ability = {
        name: models.accuracy(judge, dataset.x_test, dataset.y_test)
        for name, judge in judges.items()
    }
    ability["k-NN vote"] = _vote_accuracy(dataset)
    table.loc["judge's test accuracy"] = ability
    return table


def _row(images, targets, judges, dataset):
    index, _ = _reference(dataset)
    row = {
        name: agreement(models.predict(judge, images), targets) for name, judge in judges.items()
    }
    row["k-NN vote"] = agreement(pseudo_probability(index, images, K), targets)
    trust, distance = trust_scores(images, targets, dataset)
    error, im1, im2 = reconstruction_scores(images, targets, dataset)
    row |= {"trust score": trust.mean(), "distance": distance.mean()}
    row |= {"AE error": error.mean(), "IM1": im1.mean(), "IM2": im2.mean()}
    return row | {"total variation": total_variation(images).mean()}


def trust_scores(images, targets, dataset):
    """How much nearer an image is to its target's training images than to all others.

    Parameters
    ----------
    images : float32 array of shape (n, 28, 28, 1), values in [0, 1]
    targets : int array of shape (n,)
    dataset : Dataset

    Returns
    -------
    scores : array of shape (n,), 0 and up
        Distance to the nearest training image of any other class, divided by `distances`. Above 1
        the nearest neighbour is of the target class. Very large where the distance is 0.
    distances : array of shape (n,), Euclidean, 0 to 28
        To the nearest training image of the target class.

    Raises
    ------
    ValueError
        For images of another shape or range, or a target without training images.

    Notes
    -----
    The trust score of Jiang et al. (2018), with the target in the place of the predicted class,
    and without their filter of outlying training images.
    """
    images, targets = check_start(images, targets, "images")
    index, _ = _reference(dataset)
    classes = _classes(dataset, targets)
    nearest = np.column_stack([index.of_class(c)[0].search(images, 1)[0] for c in classes])
    own = classes == targets[:, None]
    distances = nearest[own]
    others = np.where(own, np.inf, nearest).min(axis=1)
    return others / (distances + EPSILON), distances


def reconstruction_scores(images, targets, dataset):
    """How well autoencoders of the target class and of the others redraw an image.

    Parameters
    ----------
    images : float32 array of shape (n, 28, 28, 1), values in [0, 1]
    targets : int array of shape (n,)
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
    """
    images, targets = check_start(images, targets, "images")
    classes = _classes(dataset, targets)
    _, autoencoders = _reference(dataset)
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
    images : array of shape (n, 28, 28, 1), values in [0, 1]

    Returns
    -------
    array of shape (n,), 0 for an even image to 2 for a chessboard

    Notes
    -----
    The anisotropic form of Rudin, Osher & Fatemi (1992), divided by the number of pairs.
    """
    images = check_images(images, "images")
    down = np.abs(np.diff(images, axis=1)).mean(axis=(1, 2, 3))
    right = np.abs(np.diff(images, axis=2)).mean(axis=(1, 2, 3))
    return down + right


def real_digits(dataset, targets):
    """Test images of the given classes, in their order, each taken once while there are enough."""
    images = np.empty((len(targets), 28, 28, 1), np.float32)
    for cls in np.unique(targets):
        places = np.flatnonzero(dataset.y_test == cls)
        if len(places) == 0:
            raise ValueError(f"targets must be classes of the test images; there is no {cls}")
        wanted = targets == cls
        images[wanted] = dataset.x_test[np.resize(places, wanted.sum())]
    return images


def _classes(dataset, targets):
    """Classes of the training images; raises a ValueError for a target that is none of them."""
    classes = np.unique(dataset.y_train)
    if missing := set(targets.tolist()) - set(classes.tolist()):
        raise ValueError(f"targets must be classes of the training images, not {sorted(missing)}")
    return classes


@functools.lru_cache(maxsize=1)
def _reference(dataset):
    """Index of the training images, and an autoencoder of each class and of all; kept."""
    flat = dataset.x_train.reshape(len(dataset.x_train), -1)
    parts = {c: flat[dataset.y_train == c] for c in np.unique(dataset.y_train)} | {"all": flat}
    autoencoders = {
        name: PCA(min(COMPONENTS, len(part)), svd_solver="covariance_eigh").fit(part)
        for name, part in parts.items()
    }
    return NeighbourIndex(dataset.x_train, dataset.y_train), autoencoders


@functools.lru_cache(maxsize=1)
def _vote_accuracy(dataset):
    """Accuracy of the votes on all test images; kept, because 10,000 searches take seconds."""
    index, _ = _reference(dataset)
    return agreement(pseudo_probability(index, dataset.x_test, K), dataset.y_test)


def _redraw(coder, flat):
    return np.clip(coder.inverse_transform(coder.transform(flat)), 0, 1)

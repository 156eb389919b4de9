"""Exercises of 07: one step of an attack, the trust score, the autoencoder that redraws best."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from helpers import plotting
from helpers.exercises import Exercise, Mistake

ALL_BUT_FIRST = (1, 2, 3)


def _images(seed, low, high):
    return np.random.default_rng(seed).uniform(low, high, (2, 28, 28, 1)).astype(np.float32)


def _three_pixels(*images):
    """Build images that are 0 but for three pixels in two rows and two columns."""
    image = np.zeros((len(images), 28, 28, 1), np.float32)
    image[:, [14, 14, 15], [14, 15, 14], 0] = images
    return image


GREY = _images(0, 0.4, 0.6)
BLACK_AND_WHITE = np.round(_images(1, 0, 1))
# lengths 0.8 and 0.3
GRADIENT = _images(2, -1, 1) * np.float32([0.05, 0.02])[:, None, None, None]
ONE_ZERO = GRADIENT * np.float32([1, 0])[:, None, None, None]
# one image on its way out of the ball of radius 0.2, and one on its way through it
SO_FAR = _three_pixels([0.12, 0.05, 0.08], [-0.1, -0.05, -0.1])
UPHILL = _three_pixels([2, 1, 3], [2, 3, 2])
A_LITTLE = np.clip(BLACK_AND_WHITE + _images(3, -0.05, 0.05), 0, 1)


def _by_image(moved, x, g, step, radius):
    """One image after the other, and without a division where there is nothing to shorten."""
    result = []
    for here, clean, slope in zip(moved, x, g, strict=True):
        change = here - clean + step * slope / (np.linalg.norm(slope) or 1)
        length = np.linalg.norm(change)
        if length > radius:
            change = change * radius / length
        result.append(np.clip(clean + change, 0, 1))
    return np.stack(result)


def _length(v, axis, keepdims=True):
    return np.sqrt((v**2).sum(axis=axis, keepdims=keepdims)) + 1e-12


def _unit(axis=ALL_BUT_FIRST, keepdims=True):
    return lambda g: g / _length(g, axis, keepdims)


def _back(axis=ALL_BUT_FIRST, keepdims=True):
    return lambda change, radius: change * np.minimum(1, radius / _length(change, axis, keepdims))


def _nothing(change, radius):
    return change


def _each_pixel(change, radius):
    return np.clip(change, -radius, radius)


def _always(change, radius):
    return change * radius / _length(change, ALL_BUT_FIRST)


def _all_or_none(change, radius):
    return _always(change, radius) if _length(change, ALL_BUT_FIRST).max() > radius else change


def _upside_down(change, radius):
    return change * np.minimum(1, _length(change, ALL_BUT_FIRST) / radius)


_to_length_1, _into_ball = _unit(), _back()


def _attack(sign=1, along=_to_length_1, back=_into_ball, clip=np.clip):
    """The right way, with one thing or another changed."""
    return lambda moved, x, g, step, radius: clip(
        x + back(moved - x + sign * step * along(g), radius), 0, 1
    )


def _no_clip(image, low, high):
    return image


def _lengths(changed):
    """The same change to the length of the gradient, to that of the way, or to both."""
    return (
        _attack(along=_unit(**changed), back=_back(**changed)),
        _attack(along=_unit(**changed)),
        _attack(along=_unit(**changed), back=_nothing),
        _attack(back=_back(**changed)),
    )


def _whole_step(moved, x, g, step):
    return moved - x + step * _to_length_1(g)


# the nearest two are of class 3, and no part begins with its nearest, so that argmin gives no 0
DISTANCES = np.array([7.4, 5.5, 4.1, 2.0, 6.3, 2.6, 3.2, 4.7])
LABELS = np.array([5, 3, 5, 3, 8, 3, 8, 5])


def _own(distances, labels, target):
    """Split the distances: those to the target's images first."""
    return distances[labels == target], distances[labels != target]


def _trust(score):
    return lambda *a: score(*_own(*a))


# the target is the best class of images 0 and 2, the second of image 1, the fourth of image 3
TARGETS = np.array([3, 0, 9, 5])
ERRORS = np.array(
    [
        [31.0, 44, 27, 14, 52, 36, 39, 47, 22, 58],
        [26.0, 63, 41, 35, 72, 18, 29, 55, 48, 66],
        [57.0, 38, 49, 33, 21, 42, 61, 25, 30, 15],
        [46.0, 24, 53, 34, 68, 37, 59, 28, 71, 43],
    ]
)


def _one_by_one(errors, targets):
    return np.array(
        [row[t] / min(np.delete(row, t)) for row, t in zip(errors, targets, strict=True)]
    )


def _parts(errors, targets):
    """Split the errors: the target's (n,) and those of all others (n, 9)."""
    own = targets[:, None] == np.arange(10)
    return errors[own], errors[~own].reshape(-1, 9)


def _ratio(score):
    return lambda errors, targets: score(*_parts(errors, targets))


EXERCISES = (
    Exercise(
        name="07-1",
        right=_by_image,
        cases={
            "the first step, radius 3": (GREY, GREY, GRADIENT, 2.0, 3.0),
            "a later step, radius 0.2": (GREY + SO_FAR, GREY, UPHILL, 0.3, 0.2),
            "black and white pixels": (A_LITTLE, BLACK_AND_WHITE, GRADIENT, 3.0, 2.0),
            "a gradient of 0 for the second image": (GREY, GREY, ONE_ZERO, 2.0, 3.0),
        },
        mistakes=(
            Mistake(
                "This goes downhill: an attack climbs the loss.",
                (_attack(-1), _attack(-1, back=_nothing)),
            ),
            Mistake(
                "The change of one image depends on the other one: each image needs its own "
                "length.",
                _lengths({"axis": None}),
            ),
            Mistake(
                "The first image moves by 1.6 and the second by 0.6, both expected 2: divide the "
                "gradient by its length.",
                (_attack(along=lambda g: g),),
            ),
            Mistake(
                "You use the sign of g only, so that all pixels move equally far: keep g, divided "
                "by its length.",
                (
                    _attack(along=np.sign),
                    _attack(along=np.sign, back=_nothing),
                ),
            ),
            Mistake(
                "The length is one number for all 784 pixels of an image: sum over the last three "
                "axes.",
                (*_lengths({"axis": 1}), *_lengths({"axis": 2})),
            ),
            Mistake(
                "Lengths of shape (n,) do not fit the images: with keepdims=True they have the "
                "shape (n, 1, 1, 1).",
                _lengths({"axis": ALL_BUT_FIRST, "keepdims": False}),
            ),
            Mistake(
                "A change that is shorter than the radius stays as it is: look at each image.",
                (_attack(back=_always), _attack(back=_all_or_none)),
            ),
            Mistake(
                "Shorten the change with radius / length: yours is turned round.",
                (_attack(back=_upside_down),),
            ),
            Mistake(
                "You shorten the image itself: shorten its change, the difference from x.",
                (
                    lambda moved, x, g, step, radius: np.clip(
                        _into_ball(moved + step * _to_length_1(g), radius), 0, 1
                    ),
                ),
            ),
            Mistake(
                "That is the change alone: add it to x.",
                (
                    lambda moved, x, *a: _attack()(moved - x, 0 * x, *a),
                    lambda moved, x, *a: _attack(clip=_no_clip)(moved - x, 0 * x, *a),
                ),
            ),
            Mistake(
                "The change is now longer than the radius: shorten it after the step.",
                (_attack(back=_nothing),),
            ),
            Mistake(
                "You limit each pixel, which is the maximum norm: limit the Euclidean length of "
                "the whole change.",
                (_attack(back=_each_pixel),),
            ),
            Mistake(
                "You limit this step, not the whole way: measure the change from the clean x, not "
                "from moved.",
                (lambda moved, x, *a: _attack()(moved, moved, *a),),
            ),
            Mistake(
                "The change begins at x: add it to x, not to moved.",
                (
                    lambda moved, x, g, step, radius: np.clip(
                        moved + _into_ball(_whole_step(moved, x, g, step), radius), 0, 1
                    ),
                ),
            ),
            Mistake(
                "You begin again at the clean image: go on from where moved stands.",
                (
                    lambda moved, x, *a: _attack()(x, x, *a),
                    lambda moved, x, *a: _attack(back=_nothing)(x, x, *a),
                ),
            ),
            Mistake(
                "You clip before you shorten: go back into the ball first, and clip at last.",
                (
                    lambda moved, x, g, step, radius: (
                        x + _into_ball(np.clip(moved + step * _to_length_1(g), 0, 1) - x, radius)
                    ),
                ),
            ),
            Mistake(
                "A pixel left the range from 0 to 1: clip the image at last.",
                when=lambda image: image.min() < 0 or image.max() > 1,
            ),
            Mistake(
                "A gradient of 0 has length 0, and 0/0 is NaN: add a tiny number to the length.",
                when=lambda image: np.isnan(image).any(),
            ),
        ),
        lesson="An attack is an inversion that climbs, and that must stay near its start.",
        hint="Begin with moved - x, the change so far, and let it grow along g. Which factor makes "
        "a long change as long as the radius, and when is this factor above 1?",
    ),
    Exercise(
        name="07-2",
        right=_trust(lambda own, other: sorted(other)[0] / sorted(own)[0]),
        cases={
            "8 images, target 3": (DISTANCES, LABELS, 3),
            "8 images, target 5": (DISTANCES, LABELS, 5),
        },
        mistakes=(
            Mistake(
                "Turned round: near its own class an image must get a score above 1.",
                (_trust(lambda own, other: own.min() / other.min()),),
            ),
            Mistake(
                "The nearest of all images can be one of the target, so that your score is never "
                "above 1: leave the target's own images out above the line.",
                (lambda d, labels, target: d.min() / d[labels == target].min(),),
            ),
            Mistake(
                "The nearest of all images can be one of another class, so that your score is "
                "never below 1: divide by the distance to the target's own images.",
                (lambda d, labels, target: d[labels != target].min() / d.min(),),
            ),
            Mistake(
                "You compare the two nearest images, whatever their class: take the nearest of "
                "each kind.",
                (lambda d, labels, target: np.sort(d)[1] / np.sort(d)[0],),
            ),
            Mistake(
                "Only the nearest image counts: take the smallest distance, not the mean.",
                (
                    _trust(lambda own, other: other.mean() / own.mean()),
                    _trust(lambda own, other: other.min() / own.mean()),
                    _trust(lambda own, other: other.mean() / own.min()),
                    _trust(lambda own, other: np.median(other) / np.median(own)),
                ),
            ),
            Mistake(
                "These are the farthest images: take the smallest distances.",
                (_trust(lambda own, other: other.max() / own.max()),),
            ),
            Mistake(
                "The argument holds Euclidean distances already: no square and no further root.",
                (
                    _trust(lambda own, other: (other.min() / own.min()) ** 2),
                    _trust(lambda own, other: (other.min() / own.min()) ** 0.5),
                ),
            ),
            Mistake(
                "That is the difference: divide one distance by the other.",
                (
                    _trust(lambda own, other: other.min() - own.min()),
                    _trust(lambda own, other: own.min() - other.min()),
                ),
            ),
            Mistake(
                "You divide by the sum of both distances: divide by the target's alone.",
                (
                    _trust(lambda own, other: other.min() / (own.min() + other.min())),
                    _trust(lambda own, other: own.min() / (own.min() + other.min())),
                ),
            ),
            Mistake(
                "argmin gives a place, not a distance: use min.",
                (_trust(lambda own, other: other.argmin() / own.argmin()),),
            ),
        ),
        lesson="Above 1 the nearest training image is of the target's class, below 1 it is not.",
        hint="Split the distances in two: images of the target class, and all the others. One "
        "number of each part is enough.",
    ),
    Exercise(
        name="07-3",
        right=_one_by_one,
        cases={"4 images": (ERRORS, TARGETS)},
        mistakes=(
            Mistake(
                "Turned round: an image that the target's autoencoder redraws best must get less "
                "than 1.",
                (_ratio(lambda own, others: others.min(axis=1) / own),),
            ),
            Mistake(
                "The best of all ten can be the target itself, so that yours is never below 1: "
                "leave the target out.",
                (lambda errors, targets: _parts(errors, targets)[0] / errors.min(axis=1),),
            ),
            Mistake(
                "The second smallest of a row is the best other class only where the target is "
                "the best: leave the target out by its number.",
                (lambda errors, t: _parts(errors, t)[0] / np.sort(errors, axis=1)[:, 1],),
            ),
            Mistake(
                "Compare with the best other class: take the smallest error, not the mean.",
                (
                    _ratio(lambda own, others: own / others.mean(axis=1)),
                    lambda errors, targets: _parts(errors, targets)[0] / errors.mean(axis=1),
                    _ratio(lambda own, others: own / others.sum(axis=1)),
                ),
            ),
            Mistake(
                "That is the worst other class: the best one has the smallest error.",
                (
                    _ratio(lambda own, others: own / others.max(axis=1)),
                    lambda errors, targets: _parts(errors, targets)[0] / errors.max(axis=1),
                ),
            ),
            Mistake(
                "IM1 divides the squared errors as they come in: no root and no further square.",
                (
                    _ratio(lambda own, others: np.sqrt(own / others.min(axis=1))),
                    _ratio(lambda own, others: (own / others.min(axis=1)) ** 2),
                ),
            ),
            Mistake(
                "You took the class that is redrawn best, by argmin: take the column of the "
                "target.",
                (lambda e, t: e.min(axis=1) / np.sort(e, axis=1)[:, 1],),
            ),
            Mistake(
                "That is the difference: divide one error by the other.",
                (
                    _ratio(lambda own, others: own - others.min(axis=1)),
                    _ratio(lambda own, others: others.min(axis=1) - own),
                ),
            ),
            Mistake(
                "errors[:, targets] takes all these columns of every image: one column is needed "
                "for each row.",
                (
                    lambda e, t: e[:, t] / _parts(e, t)[1].min(axis=1),
                    lambda e, t: e[:, t] / _parts(e, t)[1].min(axis=1)[:, None],
                    lambda e, t: e[:, t] / e.min(axis=1),
                    lambda e, t: e[:, t] / e.min(axis=1)[:, None],
                ),
            ),
            Mistake(
                "Infinite: cover the target's error with infinity, not with 0, which would be the "
                "smallest; and read it before you cover it.",
                when=lambda scores: np.isinf(scores).any(),
            ),
            Mistake(
                "A row is an image: look for the smallest error along the row, axis=1.",
                (
                    lambda e, t: (
                        e[np.arange(len(t)), t]
                        / np.where(t[:, None] == np.arange(10), np.inf, e).min(axis=0)
                    ),
                ),
            ),
            Mistake(
                "One number for each image: do not take the mean.",
                (
                    lambda *a: np.mean(_one_by_one(*a)),
                    _ratio(lambda own, others: own.mean() / others.min(axis=1).mean()),
                ),
            ),
            Mistake(
                "Each image has its own best other class: take the smallest error of a row, not "
                "of the whole table.",
                (
                    _ratio(lambda own, others: own / others.min()),
                    lambda errors, targets: _parts(errors, targets)[0] / errors.min(),
                ),
            ),
        ),
        lesson="Below 1 the target's autoencoder redraws the image better than any other class.",
        hint="Two things are needed of every row: the entry in the column of its target, and the "
        "smallest of the nine others. How can the target's entry lose every comparison?",
    ),
)


# --- figures


def show_from_black(runs):
    """Show what one and the same walk from black makes of several networks.

    Parameters
    ----------
    runs : dict of str to Inversion
        By the name of the network. Of each target, the first image is drawn.
    """
    plotting.show(
        _one_of_each_target(runs, "The same walk from black, on three networks"),
        "Three rows of ten images, one for each digit. The plain network draws pale tangles, the "
        "noisy one rough digits in part, the robust one bold strokes of nearly every digit.",
        name="07_three_networks",
    )


def show_from_noise(runs):
    """Show what the same walk makes of noise; see `show_from_black`."""
    plotting.show(
        _one_of_each_target(runs, "From noise: strokes, with the noise between them"),
        "Three rows of ten images that began as noise. Gray patches everywhere; on the robust "
        "network bright strokes of many targets stand out of them.",
    )


def _one_of_each_target(runs, title):
    targets, firsts = np.unique(next(iter(runs.values())).targets, return_index=True)
    images = np.stack([run.images[firsts] for run in runs.values()])
    return plotting.digit_table(images, list(runs), [f"to {target}" for target in targets], title)


def show_matrices(tables):
    """Show ten real digits on their way to the others, on two networks side by side.

    Parameters
    ----------
    tables : dict of str to array of shape (100, h, w, 1), values in [0, 1]
        For each network: image i comes from the source i // 10 and goes to the class i % 10. The
        diagonal, which is drawn in an orange frame, holds the real sources.
    """
    figure, axes = plt.subplots(1, len(tables), figsize=(5.1 * len(tables), 5.8), squeeze=False)
    for ax, (name, images) in zip(axes.flat, tables.items(), strict=True):
        _mosaic(ax, plotting.squeeze_digits(images))
        ax.set(xlabel="target class", title=name)
    axes[0, 0].set_ylabel("real source (orange frame)")
    title = "Ten real digits, each on its way to the nine others, on two networks"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "Two tables of ten by ten images; rows are sources, columns are targets, real sources on "
        "the diagonal. Left, plain: pale tangles; many targets can be guessed. Right, robust: bold "
        "digits of the column, a few of them broken.",
        name="07_matrices",
    )


def _mosaic(ax, images):
    """Draw 100 images as one: a hundred axes would take seconds."""
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=0.35)
    height, width = padded.shape[1:]
    mosaic = padded.reshape(10, 10, height, width).swapaxes(1, 2).reshape(10 * height, 10 * width)
    ax.imshow(mosaic, cmap="gray", vmin=0, vmax=1)
    for place in range(10):
        corner = (place * width - 0.5, place * height - 0.5)
        frame = {"fill": False, "edgecolor": plotting.COLOURS[1], "linewidth": 2}
        ax.add_patch(plt.Rectangle(corner, width, height, **frame))
    ax.grid(False)
    ax.set_xticks(width * np.arange(10) + width / 2 - 0.5, range(10))
    ax.set_yticks(height * np.arange(10) + height / 2 - 0.5, range(10))
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def show_blind_test(images):
    """Show ten images of the robust network without their targets, to be read aloud.

    Parameters
    ----------
    images : array of shape (10, h, w, 1), values in [0, 1]
    """
    names = [f"image {place}" for place in range(1, len(images) + 1)]
    figure = plotting.digit_grid(images, names, columns=5, title="Which digits are these?")
    figure.set_size_inches(9.5, 4.6)
    plotting.show(
        figure,
        "Ten images on black, numbered and without labels. Each shows bold strokes; most are "
        "digits that can be read at once.",
        name="07_blind_test",
    )


def show_attacks(radii, accuracies):
    """Show how many images networks still read, the farther an attack may go.

    Parameters
    ----------
    radii : array of shape (n,), Euclidean
    accuracies : dict of str to array of shape (n,), in [0, 1]
        By the name of the network.
    """
    figure, ax = plt.subplots(figsize=(6.5, 3.4))
    title = "Training on attacked images makes a network harder to attack"
    percent = {name: 100 * np.asarray(values) for name, values in accuracies.items()}
    plotting.lines(ax, radii, percent, "radius of the attack (Euclidean)", "accuracy (%)", title)
    plotting.show(
        figure,
        "Accuracy against the radius of the attack. Both curves start high. The plain one falls to "
        "nearly nothing, the robust one falls more slowly.",
    )


def show_saliency(digits, maps):
    """Show where networks look: saliency maps, red where a lighter pixel helps, blue where not.

    Parameters
    ----------
    digits : array of shape (n, h, w, 1), values in [0, 1]
    maps : dict of str to array of shape (n, h, w, 1), values in [-1, 1]
        By the name of the network.
    """
    figure = plotting.digit_table(
        np.stack([digits, *maps.values()]),
        ["digit", *maps],
        title="Noise and attacks teach a network to look at strokes",
        signed=[False] + [True] * len(maps),
    )
    plotting.show(
        figure,
        "Ten digits, and below each the saliency maps of three networks. Those of the plain "
        "network are scattered, also beside the digit. Those of the noisy and the robust one "
        "follow strokes.",
        name="07_saliency",
    )


def show_losses(lengths, losses):
    """Show when networks give in: the loss against the length of the walk.

    Parameters
    ----------
    lengths : array of shape (n,), Euclidean
        How far the images have gone.
    losses : dict of str to array of shape (n,)
        The mean of −log10 p of the target, by the name of the network.
    """
    figure, ax = plt.subplots(figsize=(6.5, 3.4))
    title = "The plain network gives in soon, the robust one late"
    plotting.lines(ax, lengths, losses, "length of the walk", "mean of −log₁₀ p", title, False)
    plotting.show(
        figure,
        "The loss along the walk from real digits, for three networks. That of the plain network "
        "falls steeply to almost nothing; that of the robust one starts lower and falls slowest.",
    )

"""Exercises of 07: one step of an attack, the trust score, the autoencoder that redraws best."""

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns

from helpers import plotting
from helpers.exercises import Exercise, not_nan

attack = Exercise(
    "07-1",
    points=2,
    lesson="An attack is an inversion that climbs, and that must stay near its start.",
    hint=(
        "Let the change so far, moved - x, grow along g. Which factor brings it back?",
        "Shorten the change with np.minimum(1, radius / its length), keepdims=True; add x; clip.",
        "change * np.minimum(1, radius / length(change)), then np.clip(x + change, 0, 1)",
    ),
)
RNG = np.random.default_rng(0)
GREY, WILD = RNG.uniform(0.4, 0.6, (2, 28, 28, 1)), RNG.uniform(-1, 1, (2, 28, 28, 1))
BLACK_AND_WHITE = RNG.integers(0, 2, (2, 28, 28, 1)).astype(float)
NEAR = np.clip(BLACK_AND_WHITE + RNG.uniform(-0.05, 0.05, (2, 28, 28, 1)), 0, 1)
# lengths of about 0.8 and 0.3
UNEQUAL = WILD * np.array([0.05, 0.02])[:, None, None, None]
# one image on its way out of the ball of radius 0.2, and one on its way through it
SO_FAR, UPHILL = np.zeros((2, 2, 28, 28, 1))
SO_FAR[:, [13, 14, 15], [14, 15, 14], 0] = [[0.12, 0.05, 0.08], [-0.1, -0.05, -0.1]]
UPHILL[:, [13, 14, 15], [14, 15, 14], 0] = [[2, 1, 3], [2, 3, 2]]
EXAMPLE = np.diag([3.0, 4] + 26 * [0])[None, :, :, None]
attack.case("the first step, radius 3", GREY, GREY, UNEQUAL, 2.0, 3.0)
attack.case("the text's example", GREY[:1], GREY[:1], EXAMPLE, 1, 0.5)
attack.case("a later step, radius 0.2", GREY + SO_FAR, GREY, UPHILL, 0.3, 0.2)
attack.case("black and white pixels", NEAR, BLACK_AND_WHITE, UNEQUAL, 3.0, 2.0)
attack.case("one gradient of 0", GREY, GREY, np.stack([WILD[0], 0 * WILD[0]]), 2.0, 3.0)
attack.case("steps of 1, radius 2", NEAR, BLACK_AND_WHITE, -UNEQUAL[::-1], 1.0, 2.0, hidden=True)
OWN_LENGTH = "The change of one image depends on the other: each image needs its own length."
ALL_AXES = "A length is one number for all 784 pixels of an image: sum over the last three axes."
SHORTER = "A change that is shorter than the radius stays as it is: look at each image."
TOO_FAR = "The change from x is too long: shorten it after the step, as a whole, to the radius."
_is_image = attack.rule("That is the change alone: add it to x.")(
    lambda image, moved, x, *a: image.mean() > 0.2 or np.mean(image == 0) < np.mean(x == 0) + 0.3
)
_in_range = attack.rule("A pixel left the range from 0 to 1: clip the image at last.")(
    lambda image, *a: not (image.min() < 0 or image.max() > 1)
)
_not_nan = attack.rule("A gradient of 0 has length 0, and 0/0 is NaN: add a tiny number.")(not_nan)
_fits = attack.rule("Lengths of shape (n,) do not fit: keepdims=True makes them (n, 1, 1, 1).")(
    lambda image, moved, x, *a: image.shape == x.shape
)
_in_ball = attack.rule(TOO_FAR)(
    lambda image, moved, x, g, step, r: (((image - x) ** 2).sum((1, 2, 3)) < r**2 + 1e-6).all()
)


@attack.right
def _image_by_image(moved, x, g, step, radius):
    result = []
    for here, clean, slope in zip(moved, x, g, strict=True):
        change = here - clean + step * slope / (np.linalg.norm(slope) or 1)
        far = np.linalg.norm(change)
        result.append(np.clip(clean + change * (radius / far if far > radius else 1), 0, 1))
    return np.stack(result)


def _length(v, axis=(1, 2, 3), keepdims=True, tiny=1e-12):
    return np.sqrt((v**2).sum(axis=axis, keepdims=keepdims)) + tiny


def _shorter(change, radius, length):
    return change * np.minimum(1, radius / length(change))


@attack.mistake(_in_range, top=np.inf)
@attack.mistake(_not_nan, of_g=lambda v: _length(v, tiny=0))
@attack.mistake(_is_image, base=0)
@attack.mistake(_in_ball, back=lambda change, r, length: change)
@attack.mistake(_in_ball, back=lambda change, r, length: np.clip(change, -r, r))
@attack.mistake("This goes downhill: an attack climbs the loss.", sign=-1)
@attack.mistake(OWN_LENGTH, of_g=lambda v: _length(v, None))
@attack.mistake(OWN_LENGTH, of_way=lambda v: _length(v, None))
@attack.mistake(_fits, of_g=lambda v: _length(v, keepdims=False))
@attack.mistake(_fits, of_way=lambda v: _length(v, keepdims=False))
@attack.mistake(ALL_AXES, of_g=lambda v: _length(v, 1))
@attack.mistake(ALL_AXES, of_g=np.abs)
@attack.mistake("Each image moves by `step`: divide g by its length.", of_g=lambda v: 1)
@attack.mistake(SHORTER, back=lambda change, r, length: change * r / length(change))
def _attack(
    moved, x, g, step, r, sign=1, of_g=_length, of_way=_length, back=_shorter, base=1, top=1
):
    change = moved - x + sign * step * g / of_g(g)
    return np.clip(base * x + back(change, r, of_way), 1 - top, top)


@attack.mistake("You limit this step, not the whole way: measure the change from the clean x.")
def _from_moved(moved, x, g, step, radius):
    return _image_by_image(moved, moved, g, step, radius)


@attack.mistake("You begin again at the clean image: go on from where moved stands.")
def _from_x(moved, x, g, step, radius):
    return _image_by_image(x, x, g, step, radius)


@attack.mistake("You clip before you shorten: go back into the ball first, and clip at last.")
def _clip_first(moved, x, g, step, radius):
    return x + _shorter(np.clip(moved + step * g / _length(g), 0, 1) - x, radius, _length)


trust = Exercise(
    "07-2",
    points=1,
    lesson="Above 1 the nearest training image is of the target's class, below 1 it is not.",
    hint=(
        "Split the distances in two: images of the target class, and all the others.",
        "own = labels == target says which; ~own are the others. One number of each is enough.",
        "distances[~own].min() / distances[own].min()",
    ),
)
# the nearest two are of class 3, and no part begins with its nearest, so that argmin gives no 0
DISTANCES = np.array([7.4, 5.5, 4.1, 2.0, 6.3, 2.6, 3.2, 4.7])
LABELS = np.array([5, 3, 5, 3, 8, 3, 8, 5])
trust.case("the text's example", np.array([4.0, 2.0, 3.0]), np.array([7, 3, 5]), 3)
trust.case("8 images, target 3", DISTANCES, LABELS, 3)
trust.case("8 images, target 5", DISTANCES, LABELS, 5)
trust.case("7 images, target 8", DISTANCES[:0:-1], LABELS[:0:-1], 8, hidden=True)
NEAREST = "Only the nearest image counts: take the smallest distance, not the mean or the largest."
ALL_ABOVE = "The nearest of all can be the target's own: leave those out above the line."
POWER = "The argument holds Euclidean distances already: no square and no further root."


@trust.right
@trust.mistake("Turned round: near its own class an image must get a score above 1.", power=-1)
@trust.mistake(NEAREST, of_own=np.mean, of_other=np.mean)
@trust.mistake(NEAREST, of_other=np.mean)
@trust.mistake(NEAREST, of_own=np.mean)
@trust.mistake(NEAREST, of_own=np.max, of_other=np.max)
@trust.mistake(POWER, power=2)
@trust.mistake(POWER, power=0.5)
@trust.mistake("That is the difference: divide one distance by the other.", compare=np.subtract)
@trust.mistake("argmin gives a place: use min.", of_own=np.argmin, of_other=np.argmin)
@trust.mistake(ALL_ABOVE, other=lambda labels, target: labels > -1)
def _trust(
    d, labels, t, of_own=np.min, of_other=np.min, compare=np.divide, power=1, other=np.not_equal
):
    return compare(of_other(d[other(labels, t)]), of_own(d[labels == t])) ** power


@trust.mistake("You compare the two nearest images: take the nearest of each kind.")
def _two_nearest(distances, labels, target):
    return np.sort(distances)[1] / np.sort(distances)[0]


@trust.mistake("Below the line stands the nearest image of the target, not the nearest of all.")
def _by_the_nearest(distances, labels, target):
    return distances[labels != target].min() / distances.min()


redraw = Exercise(
    "07-3",
    points=2,
    lesson="Below 1 the target's autoencoder redraws the image better than any other class.",
    hint=(
        "The entry of the target, and the smallest other one: how can the target's lose?",
        "targets[:, None] == np.arange(10) marks a place in each row: put infinity there.",
        "errors[own] / np.where(own, np.inf, errors).min(axis=1)",
    ),
)
TARGETS, ERRORS = np.array([3, 0, 9, 5]), RNG.permutation(np.arange(10.0, 50)).reshape(4, 10)
ERRORS[[0, 2], [3, 9]] = 8, 9  # the target is the best class of images 0 and 2
redraw.case("the text's example", np.array([[4.0, 2, 8, 9, 11, 13, 12, 10, 14, 9.5]]), TARGETS[1:2])
redraw.case("4 images", ERRORS, TARGETS)
redraw.case("3 images", ERRORS[1:], TARGETS[:3], hidden=True)
OTHER = "Compare with the best other class: take the smallest error, not the mean or the largest."
POWERS = "IM1 divides the squared errors as they come in: no root and no further square."
ARGMIN = "argmin is the class that is redrawn best: take the column of the target."
SECOND = "The second smallest is the best other class only where the target is the best of all."
ITS_OWN = "Each image has its own best other class: the smallest along the row, axis=1."
_is_one_each = redraw.rule(
    "Take one column for each row, its target's; one number comes out of it."
)(lambda scores, errors, targets: scores.shape == targets.shape)
_is_finite = redraw.rule("Cover the target's error with infinity, not 0; and read it before that.")(
    lambda scores: np.isfinite(scores).all()
)


@redraw.right
@redraw.mistake(_is_finite, others=lambda row, t: 0 * row)
@redraw.mistake("Turned round: an image that the target redraws best gets less than 1.", power=-1)
@redraw.mistake("The best of all ten can be the target: leave it out.", others=lambda row, t: row)
@redraw.mistake(SECOND, others=lambda row, t: np.sort(row)[1:])
@redraw.mistake(OTHER, best=np.mean)
@redraw.mistake(OTHER, best=np.mean, others=lambda row, t: row)
@redraw.mistake(OTHER, best=np.max)
@redraw.mistake(POWERS, power=0.5)
@redraw.mistake(POWERS, power=2)
@redraw.mistake(ARGMIN, own=lambda row, t: min(row), others=lambda row, t: np.sort(row)[1:])
@redraw.mistake("That is the difference: divide one error by the other.", compare=np.subtract)
def _ratio(
    errors, t, own=lambda row, t: row[t], others=np.delete, best=np.min, power=1, compare=np.divide
):
    rows = zip(errors, t, strict=True)
    return np.array([compare(own(row, t), best(others(row, t))) for row, t in rows]) ** power


@redraw.mistake(_is_one_each)
def _all_targets(errors, targets):
    return errors[:, targets] / errors.min(axis=1, keepdims=True)


@redraw.mistake(ITS_OWN, axis=0)
@redraw.mistake(ITS_OWN, axis=None)
@redraw.mistake(ITS_OWN, axis=None, cover=False)
def _of_the_table(errors, targets, axis, cover=True):
    own = targets[:, None] == np.arange(10)
    return errors[own] / np.where(own & cover, np.inf, errors).min(axis=axis)


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

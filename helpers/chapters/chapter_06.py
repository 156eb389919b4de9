"""Exercises of 06: the direction of k-NN inversion, whom to follow, the mask, the soft loss."""

import matplotlib.pyplot as plt
import numpy as np
from scipy import special

from helpers import plotting
from helpers.exercises import Exercise, Mistake

# one 3, to the left of and below the image; three images of other classes
POINT = np.array([0.5, 0.5])
NEIGHBOURS = np.array([[0.1, 0.2], [0.9, 0.4], [0.6, 0.9], [0.7, 0.7]])
NEIGHBOUR_LABELS = np.array([3, 5, 8, 5])


def _direction(right=1.0, wrong=-1.0, of_all=np.mean):
    """Direction with another weight for the neighbours of the right and of the wrong class."""

    def direction(x, neighbours, labels, target):
        sign = np.where(np.asarray(labels) == target, right, wrong)
        return of_all(sign[:, None] * (x - neighbours), axis=0)

    return direction


def _loop(x, neighbours, labels, target):
    total = np.zeros_like(x)
    for neighbour, label in zip(neighbours, labels, strict=True):
        total += x - neighbour if label == target else neighbour - x
    return total / len(labels)


# from near to far: 7, 2, 5, 0, 9, 4, 1, 8, 3, 6
DISTANCES = np.array([0.4, 0.7, 0.2, 0.9, 0.6, 0.3, 1.0, 0.1, 0.8, 0.5])
SOME_NEAR = np.array([1, 3, 3, 3, 1, 3, 3, 1, 1, 3])
NONE_NEAR = np.array([1, 3, 1, 3, 3, 1, 3, 1, 3, 3])


def _nearest(distances, k):
    return np.argsort(distances)[:k]


def _nearest_of_class(distances, labels, target, k):
    places = np.flatnonzero(labels == target)
    return places[np.argsort(distances[places])[:k]]


def _follow(fallback):
    def follow(distances, labels, target, k):
        near = [i for i in _nearest(distances, k) if labels[i] == target]
        return np.array(near or fallback(distances, labels, target, k), int)

    return follow


def _in_order(places):
    """Two ways to write the same places: in any order."""
    return np.sort(places) if np.ndim(places) == 1 else places


def _following(labels):
    def case(function):
        return _in_order(function(DISTANCES.copy(), labels.copy(), 3, 4))

    return case


IMAGES = np.random.default_rng(0).uniform(0.3, 0.6, (4, 28, 28, 1))
STEP = np.random.default_rng(1).uniform(0.1, 0.3, (4, 28, 28, 1))


def _masks(function, share=0.3, calls=1):
    """Return which pixels a function moves, in each of several calls with one rng."""
    rng = np.random.default_rng(7)
    return [
        ~np.isclose(function(IMAGES.copy(), STEP.copy(), share, rng), IMAGES) for _ in range(calls)
    ]


def _share_of_moved(function):
    return np.round(_masks(function)[0].mean(), 1)


def _images_share_a_mask(function):
    mask = _masks(function)[0]
    return bool(np.array_equal(mask[0], mask[1]))


def _calls_share_a_mask(function):
    first, second = _masks(function, calls=2)
    return bool(np.array_equal(first, second))


def _masked(mask):
    return lambda x, step, share, rng: x + step * mask(x, share, rng)


def _each_pixel(x, share, rng):
    return rng.random(x.shape) < share


def _blank(x, step, share, rng):
    mask = _each_pixel(x, share, rng)
    return (x + step) * mask


SQUARED = np.array([4.0, 9.0, 2.0, 16.0, 1.0, 6.0])
CLASSES = np.array([3, 3, 5, 3, 8, 5])


def _share(exponent):
    """Share of the target class when an image weighs exp(exponent)."""

    def share(squared_distances, labels, target, tau):
        weight = np.exp(exponent(squared_distances, tau))
        return weight[labels == target].sum() / weight.sum()

    return share


def _minus_log(share):
    return lambda *a: -np.log(share(*a))


def _soft(squared_distances, labels, target, tau):
    exponent = -squared_distances / tau
    return special.logsumexp(exponent) - special.logsumexp(exponent[labels == target])


_usual = _share(lambda d2, tau: -d2 / tau)

EXERCISES = (
    Exercise(
        name="06-1",
        right=_loop,
        cases={
            "4 neighbours, one of class 3": (POINT, NEIGHBOURS, NEIGHBOUR_LABELS, 3),
            "4 neighbours, two of class 5": (POINT, NEIGHBOURS, NEIGHBOUR_LABELS, 5),
        },
        mistakes=(
            Mistake(
                "x - η·d now moves away from the 3s, and their share of the votes falls: the sign "
                "is turned.",
                (_direction(-1, 1), _direction(-1, 1, np.sum)),
            ),
            Mistake(
                "This moves towards every neighbour: those of a wrong class must push away.",
                (_direction(1, 1), _direction(1, 1, np.sum)),
            ),
            Mistake(
                "This follows the right class only: those of a wrong class must push away.",
                (_direction(1, 0), _direction(1, 0, np.sum)),
            ),
            Mistake(
                "Twice as many neighbours would double your step: take the mean, not the sum.",
                (_direction(of_all=np.sum),),
            ),
            Mistake(
                "You averaged the right and the wrong neighbours apart. The report takes one mean "
                "over all k.",
                (lambda *a: _direction(1, 0)(*a) * 4 - _direction(0, 1)(*a) * 4 / 3,),
            ),
        ),
        lesson="No derivative was needed: the neighbours say where to go.",
        hint="x - X points away from the neighbour X. Because the step is x - η·d, adding it to d "
        "moves x towards X. What should a neighbour of a wrong class add?",
    ),
    Exercise(
        name="06-2",
        right=_follow(_nearest_of_class),
        cases={
            "two 3s among the 4 nearest": _following(SOME_NEAR),
            "no 3 among the 4 nearest": _following(NONE_NEAR),
        },
        mistakes=(
            Mistake(
                "None of the neighbours is a 3, so there is nothing to follow, as for most real "
                "images: take the nearest 3s instead.",
                (_follow(lambda *a: []),),
            ),
            Mistake(
                "These are places among the images of class 3, not among all training images.",
                (
                    _follow(lambda d, labels, t, k: list(_nearest(d[labels == t], k))),
                    lambda d, labels, t, k: np.flatnonzero(labels[_nearest(d, k)] == t),
                    lambda d, labels, t, k: _nearest(d[labels == t], k),
                ),
            ),
            Mistake(
                "These are the first 3s in the training set, not the nearest ones.",
                (
                    _follow(lambda d, labels, t, k: list(np.flatnonzero(labels == t)[:k])),
                    lambda d, labels, t, k: np.flatnonzero(labels == t)[:k],
                ),
            ),
            Mistake(
                "Two of the 4 nearest images are 3s: follow those. The others are needed only when "
                "there is none.",
                (_nearest_of_class,),
            ),
            Mistake(
                "These are all the neighbours: keep those of the target class.",
                (lambda d, labels, t, k: _nearest(d, k),),
            ),
        ),
        lesson="Most images have no neighbour of the target class, and would not move at all.",
        hint="Sort all training images by distance once. Look at the first k; if no image of the "
        "target class is among them, look further down the same list.",
    ),
    Exercise(
        name="06-3",
        right=_masked(_each_pixel),
        cases={
            "share = 1": (IMAGES, STEP, 1.0, np.random.default_rng(7)),
            "share = 0": (IMAGES, STEP, 0.0, np.random.default_rng(7)),
            "share = 0.3, share of the pixels that move": _share_of_moved,
            "two images, whether their masks are the same (1 = yes)": _images_share_a_mask,
            "two calls, whether their masks are the same (1 = yes)": _calls_share_a_mask,
        },
        mistakes=(
            Mistake(
                "Pixels that do not move must keep their value: mask the step, not the image.",
                (_blank,),
            ),
            Mistake(
                "Two calls in a row must not draw the same mask: draw from the rng that comes in.",
                (_masked(lambda x, share, rng: np.random.default_rng(0).random(x.shape) < share),),
            ),
            Mistake(
                "Each image needs its own mask: draw one number for every pixel of every image.",
                (
                    _masked(lambda x, share, rng: rng.random(x.shape[1:]) < share),
                    _masked(lambda x, share, rng: rng.random((28, 28, 1)) < share),
                ),
            ),
            Mistake(
                "`share` is the share of the pixels that move, and yours stand still.",
                (_masked(lambda x, share, rng: rng.random(x.shape) >= share),),
            ),
            Mistake(
                "`share` has no effect: no pixel may move at share = 0.",
                (lambda x, step, share, rng: x + step,),
            ),
            Mistake(
                "A pixel moves by its whole step or not at all: compare the random numbers with "
                "`share`.",
                (lambda x, step, share, rng: x + share * step,),
            ),
        ),
        lesson="A mask moves a part of the pixels, another part at each step.",
        hint="Throw a coin for every pixel of every image; it falls on “move” with probability "
        "`share`. What does a pixel that does not move add to x?",
    ),
    Exercise(
        name="06-4",
        right=_soft,
        cases={
            "6 images, tau = 2": (SQUARED, CLASSES, 3, 2.0),
            "6 images, tau = 20": (SQUARED, CLASSES, 3, 20.0),
            "6 images far away, tau = 2": (SQUARED + 4000, CLASSES, 3, 2.0),
        },
        mistakes=(
            Mistake(
                "Nearer to class 3 must lower the loss, and yours rises: look at the signs.",
                (
                    lambda *a: np.log(_usual(*a)),
                    _minus_log(_share(lambda d2, tau: d2 / tau)),
                ),
            ),
            Mistake(
                "The argument holds squared distances already: no root and no further square.",
                (
                    _minus_log(_share(lambda d2, tau: -np.sqrt(d2) / tau)),
                    _minus_log(_share(lambda d2, tau: -(d2**2) / tau)),
                ),
            ),
            Mistake(
                "A larger tau must make the loss smoother: divide by tau.",
                (_minus_log(_share(lambda d2, tau: -d2 * tau)),),
            ),
            Mistake("That is the probability p: return -log p.", (_usual,)),
            Mistake(
                "Far from all images every exponential is 0, and 0/0 is NaN: take the smallest "
                "squared distance from all of them first, or use logsumexp.",
                (_minus_log(_usual),),
            ),
        ),
        lesson="All images vote, the near ones with more weight: now there is a slope to follow.",
        hint="It is a softmax over the training images, with -d²/tau as logits. Sum the shares "
        "that belong to the target class.",
    ),
)


# --- figures


def show_staircase(t, knn, cnn, k, source, target):
    """Show p along a straight line of images: k-NN climbs in jumps, the CNN smoothly.

    Parameters
    ----------
    t : array of shape (n,), values in [0, 1]
        The share of the way from the first image to the last.
    knn, cnn : arrays of shape (n,), values in [0, 1]
        The probability that each classifier gives to the target.
    k : int
        The neighbours that vote.
    source, target : int
        The classes of the first and of the last image.
    """
    figure, ax = plt.subplots(figsize=(7, 3.4))
    ax.step(t, knn, where="mid", label=f"k-NN, k = {k}")
    ax.plot(t, cnn, label="CNN")
    ax.legend(frameon=False)
    ax.set(xlabel=f"t, share of the way from a real {source} to a real {target}")
    ax.set(ylabel=f"$p_{{{target}}}(x)$")
    ax.set_title("k-NN climbs in jumps and has no slope between them")
    plotting.show(
        figure,
        "Two curves from 0 up to nearly 1. The CNN's is a smooth S. That of k-NN is a staircase: "
        "flat pieces, and jumps of one vote. On a flat piece no small change raises p.",
    )


def show_walk(trajectory, p, source, target):
    """Show one image on its way, with its p.

    Parameters
    ----------
    trajectory : array of shape (steps + 1, 1, h, w, 1), values in [0, 1]
    p : array of shape (steps + 1,), values in [0, 1]
        The share of the votes for the target, at each of these images.
    source, target : int
        The class of the first image, and the one that it is to become.
    """
    shown = np.linspace(0, len(trajectory) - 1, 8).round().astype(int)
    figure = plotting.digit_table(
        trajectory[shown].swapaxes(0, 1),
        column_labels=[f"step {step}\np = {p[step]:.1f}" for step in shown],
        title=f"A real {source} follows its neighbours of class {target}: "
        f"p goes from {p[0]:.1f} to {p[-1]:.1f}",
    )
    plotting.show(
        figure,
        f"Eight images of one walk. The first is a real {source}. Its strokes change little, some "
        f"gray pixels appear beside them, and the last image counts as class {target} for k-NN.",
    )


def show_search_time(sizes, knn, cnn):
    """Show that the search pays for every training image, and the CNN for none.

    Parameters
    ----------
    sizes : array of shape (n,)
        Training images in the index.
    knn : array of shape (n,), milliseconds
        The time of one search for 100 noise images, by the size of the index.
    cnn : float, milliseconds
        The time of a whole step of the CNN for as many images.
    """
    figure, ax = plt.subplots(figsize=(6.5, 3.4))
    ax.plot(sizes, knn, marker="o", label="k-NN: search")
    ax.axhline(cnn, color=plotting.COLOURS[1], label="CNN: whole step")
    ax.set(xlabel="training images in the index", ylabel="milliseconds for 100 noise images")
    ax.set_ylim(0)
    ax.set_title("The search pays for every training image, the CNN for none")
    ax.legend(frameon=False)
    plotting.show(
        figure,
        "Time against the number of training images. The search rises with them; a step of the CNN "
        "is a flat line. More data makes k-NN slower.",
    )


def show_side_by_side(groups):
    """Show starts, and under each what several inversions made of it, with the final p.

    Parameters
    ----------
    groups : dict of str to (dict of str to Inversion, array of int)
        Name of the starts -> the runs that began there, by the name of their row, and which of
        their images to show. The targets of the columns are the same in every group.
    """
    rows = []
    for start, (runs, places) in groups.items():
        first = next(iter(runs.values()))
        targets = first.targets[places]
        rows.append((start, first.start[places], [""] * len(places)))
        for name, run in runs.items():
            p = [f"{value:.2f}" for value in run.probability[places]]
            rows.append((name, run.images[places], p))
    labels, images, captions = zip(*rows, strict=True)
    title = "p is high under nearly every image, whether or not it shows a digit"
    columns = [f"to {target}" for target in targets]
    figure = plotting.digit_table(np.stack(images), labels, columns, title, captions=captions)
    plotting.show(
        figure,
        "Ten real digits and ten noise images, each with what k-NN and the CNN made of it, and p. "
        "From real digits, k-NN lays a gray target over the start, and the CNN cuts and adds "
        "strokes. From noise, k-NN's images stay noise, and the CNN draws strokes into it.",
        name="06_side_by_side",
    )


def show_makers(runs, sources, places):
    """Show what several classifiers made of the same real digits.

    Parameters
    ----------
    runs : dict of str to Inversion
        By the name of the maker, all from the same starts and with the same targets.
    sources : int array of shape (n,)
        The class of each start.
    places : int array
        Which images to show.
    """
    targets = next(iter(runs.values())).targets
    title = "Soft votes and the robust CNN draw the target"
    title += "; soft votes keep a gray shadow of the source"
    figure = plotting.digit_table(
        np.stack([run.images[places] for run in runs.values()]),
        list(runs),
        [f"{sources[place]} → {targets[place]}" for place in places],
        title,
    )
    plotting.show(
        figure,
        "Rows of ten images, made from real digits. Hard votes: two digits, in gray. Soft votes: a "
        "bright target, often with a gray shadow of the source. CNN: scribbles over the source. "
        "Robust CNN: the target in bold strokes, in part with smudges.",
        name="06_four_makers",
    )

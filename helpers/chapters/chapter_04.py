"""Exercises of 04: confidence when right and wrong, calibration, temperature, refusal."""

import matplotlib.pyplot as plt
import numpy as np
from scipy import special

from helpers import plotting
from helpers.exercises import Exercise, Mistake

# eight images, four classes; the network is wrong about the last three
PROBABILITIES = np.array(
    [
        [0.97, 0.01, 0.01, 0.01],
        [0.05, 0.85, 0.06, 0.04],
        [0.02, 0.03, 0.90, 0.05],
        [0.10, 0.10, 0.10, 0.70],
        [0.60, 0.20, 0.15, 0.05],
        [0.30, 0.55, 0.10, 0.05],
        [0.25, 0.10, 0.45, 0.20],
        [0.02, 0.12, 0.06, 0.80],
    ]
)
LABELS = np.array([0, 1, 2, 3, 0, 0, 0, 1])


def _means(score):
    """Mean of a score over the images classified right, and over those classified wrong."""

    def means(p, y):
        right = p.argmax(axis=1) == y
        return score(p, y)[right].mean(), score(p, y)[~right].mean()

    return means


def _images(*groups):
    """Build m and correct from groups (confidence, images, images classified correctly)."""
    m = np.concatenate([np.full(n, value) for value, n, _ in groups])
    correct = np.concatenate([np.arange(n) < good for _, n, good in groups])
    return m, correct


def _bins(m, bins):
    """Return the place of every image's bin; m = 1 belongs to the last one."""
    return [min(int(value * bins), bins - 1) for value in m]


def _gaps(m, correct, bins, centre=False):
    """Return the share of the images and the gap, confidence minus accuracy, of each bin."""
    which = np.array(_bins(m, bins))
    shares, gaps = [], []
    for i in sorted(set(which)):
        confidence = (i + 0.5) / bins if centre else m[which == i].mean()
        shares.append(np.mean(which == i))
        gaps.append(confidence - np.mean(correct[which == i]))
    return np.array(shares), np.array(gaps)


def _ece(m, correct, bins=15):
    shares, gaps = _gaps(m, correct, bins)
    return np.sum(shares * np.abs(gaps))


def _bin_centre(m, correct, bins=15):
    shares, gaps = _gaps(m, correct, bins, centre=True)
    return np.sum(shares * np.abs(gaps))


def _without_ones(m, correct, bins=15):
    """Forget the images with m = 1, as half-open bins do."""
    return _ece(m[m < 1], correct[m < 1], bins) * np.mean(m < 1)


def _bin_past_the_end(m, correct, bins=15):
    """Number the bins by int(m * bins), so that m = 1 needs one bin too many."""
    return _ece(m, correct, bins) if m.max() < 1 else np.zeros(bins)[bins]


def _tempered(p, T):
    return special.softmax(np.log(p) / T, axis=1)


def _kept(first, last):
    """Accuracy over a stretch of the images, ordered from the surest to the least sure."""

    def wrong(m, correct, share):
        n = len(m)
        return np.mean(correct[np.argsort(-m)][round(first(share) * n) : round(last(share) * n)])

    return wrong


_accuracy_kept = _kept(lambda share: 0, lambda share: share)

EXERCISES = (
    Exercise(
        name="04-1",
        right=_means(lambda p, y: p.max(axis=1)),
        cases={"8 images, 4 classes": (PROBABILITIES, LABELS)},
        mistakes=(
            Mistake(
                "m(x) may not look at the label: it is the largest probability, not that of the "
                "true class.",
                (_means(lambda p, y: p[np.arange(len(y)), y]),),
            ),
            Mistake(
                "You average the number of the class. m(x) is its probability: max, not argmax.",
                (_means(lambda p, y: p.argmax(axis=1)),),
            ),
            Mistake(
                "One value for each image, not for each class: take the maximum along axis=1.",
                (
                    _means(lambda p, y: p.max(axis=0)),
                    lambda p, y: (p.max(axis=0).mean(),) * 2,
                ),
            ),
            Mistake(
                "p is already a probability: a second softmax flattens it.",
                (_means(lambda p, y: special.softmax(p, axis=1).max(axis=1)),),
            ),
            Mistake(
                "First the images classified right, then those classified wrong.",
                (lambda p, y: _means(lambda p, y: p.max(axis=1))(p, y)[::-1],),
            ),
            Mistake(
                "Two numbers: one mean over the right answers, one over the wrong ones.",
                (lambda p, y: p.max(axis=1).mean(), lambda p, y: (p.max(axis=1).mean(),) * 2),
            ),
        ),
        lesson="Wrong answers are less sure on average, but far from unsure.",
        hint="m(x) needs p only. The label comes in afterwards, to say which images belong to "
        "which mean.",
    ),
    Exercise(
        name="04-2",
        right=_ece,
        cases={
            "two groups of images, 15 bins": (*_images((0.62, 10, 8), (0.99, 50, 44)), 15),
            "the same and 40 with m = 1": (
                *_images((0.62, 10, 8), (0.99, 50, 44), (1.0, 40, 30)),
                15,
            ),
            "two groups of images, 2 bins": (*_images((0.62, 10, 8), (0.99, 50, 44)), 2),
        },
        mistakes=(
            Mistake(
                "Too sure in one bin and not sure enough in another cancel: take the absolute gap "
                "in each bin.",
                (
                    lambda m, correct, bins: m.mean() - correct.mean(),
                    lambda m, correct, bins: abs(m.mean() - correct.mean()),
                    lambda m, correct, bins: correct.mean() - m.mean(),
                ),
            ),
            Mistake(
                "A bin with 10 images counts as much as one with 50: weight each bin by its share "
                "of the images.",
                (
                    lambda m, correct, bins: np.abs(_gaps(m, correct, bins)[1]).sum(),
                    lambda m, correct, bins: np.abs(_gaps(m, correct, bins)[1]).mean(),
                    lambda m, correct, bins: np.abs(_gaps(m, correct, bins)[1]).sum() / bins,
                ),
            ),
            Mistake(
                "Use the mean confidence of the images in the bin, not the middle of the bin.",
                (_bin_centre,),
            ),
            Mistake(
                "An empty bin has no mean: skip it.",
                when=np.isnan,
            ),
            Mistake(
                "m = 1 belongs to the last bin: yours has lost it.",
                (_without_ones, _bin_past_the_end),
            ),
            Mistake(
                "That is the largest gap: the exercise asks for the weighted mean of the gaps.",
                (lambda m, correct, bins: np.abs(_gaps(m, correct, bins)[1]).max(),),
            ),
            Mistake(
                "The number of bins must follow the argument `bins`.",
                (lambda m, correct, bins: _ece(m, correct, 15),),
            ),
        ),
        lesson="A mean gap is honest only if it cannot cancel and if crowded bins count more.",
        hint="In each bin that holds an image, compare two means: how sure, and how often right. "
        "Then think of what the size of a bin should change.",
    ),
    Exercise(
        name="04-3",
        right=_tempered,
        cases={
            "T = 2": (PROBABILITIES, 2.0),
            "T = 0.5": (PROBABILITIES, 0.5),
        },
        mistakes=(
            Mistake(
                "p are probabilities, not logits: take the logarithm first.",
                (lambda p, T: special.softmax(p / T, axis=1),),
            ),
            Mistake(
                "T = 2 must soften the probabilities, and yours get sharper: divide by T.",
                (
                    lambda p, T: special.softmax(np.log(p) * T, axis=1),
                    lambda p, T: special.softmax(p * T, axis=1),
                ),
            ),
            Mistake(
                "Nothing has changed: a factor on p cancels when the row is made to sum to 1. The "
                "logarithm comes first.",
                (lambda p, T: p,),
            ),
            Mistake(
                "Each row must sum to 1 again: divide by its sum, along axis=1.",
                when=lambda q: not np.allclose(q.sum(axis=1), 1, atol=1e-3),
            ),
        ),
        lesson="Temperature changes how sure a network is, never which class comes first.",
        hint="The logarithm of a probability is a logit, up to a number that cancels in the "
        "softmax. Divide the logits by T.",
    ),
    Exercise(
        name="04-4",
        right=_accuracy_kept,
        cases={
            "10 images, share = 0.6": (
                np.array([0.55, 0.97, 0.70, 0.99, 0.91, 0.58, 0.95, 0.80, 0.76, 0.98]),
                np.array([0, 1, 0, 1, 0, 1, 1, 1, 0, 1], bool),
                0.6,
            ),
            "20 images, share = 0.25": (
                np.linspace(0.41, 0.99, 20),
                np.arange(20) % 5 > 0,
                0.25,
            ),
        },
        mistakes=(
            Mistake(
                "You keep the images that the network doubts: keep the others.",
                (_kept(lambda share: 1 - share, lambda share: 1),),
            ),
            Mistake(
                "Refused images are not errors: divide by the number of images kept.",
                (lambda m, correct, share: _accuracy_kept(m, correct, share) * share,),
            ),
            Mistake(
                "`share` is the part that is kept, not the part that is refused.",
                (_kept(lambda share: 0, lambda share: 1 - share),),
            ),
            Mistake(
                "`share` is a share of the images, not a value of m to compare with.",
                (lambda m, correct, share: correct[m > share].mean(),),
            ),
            Mistake(
                "That is the accuracy on all images: refuse some.",
                (lambda m, correct, share: correct.mean(),),
            ),
        ),
        lesson="A network that may say “I do not know” makes fewer mistakes on the rest.",
        hint="Put the images in the order of their confidence. How many are kept? What is the "
        "share of right answers among those?",
    ),
)


# --- figures


def reliability(ax, table, title):
    """Draw a reliability diagram from the table of `confidence.reliability`.

    The gray whiskers on the diagonal show chance: 95 % of a calibrated model's dots lie inside.
    """
    said = table["confidence"].clip(0, 1)
    chance = 2 * np.sqrt(said * (1 - said) / table["count"])
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    ax.errorbar(said, said, yerr=chance, fmt="none", ecolor="0.4", elinewidth=1.5, capsize=3)
    ax.bar(
        table["low"],
        table["accuracy"],
        width=table["high"] - table["low"],
        align="edge",
        color=plotting.COLOURS[0],
        alpha=0.35,
        edgecolor=plotting.COLOURS[0],
    )
    size = 8 + 120 * table["count"] / table["count"].sum()
    ax.scatter(
        table["confidence"],
        table["accuracy"],
        s=size,
        color=plotting.COLOURS[0],
        zorder=3,
        clip_on=False,
    )
    ax.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence m(x)", ylabel="accuracy", title=title
    )
    ax.set_aspect("equal")


def confidence_strips(images, answers, marks, title):
    """Draw one image of each kind, and below it how sure several models are of all of them.

    Parameters
    ----------
    images : dict of str to array of shape (n, 28, 28) or (n, 28, 28, 1)
        Images of each kind; the first one is drawn.
    answers : dict of str to dict of str to array of shape (n, classes)
        For each kind and model, the probabilities; their maxima m(x) are the dots.
    marks : mapping of str to float
        For each model, a level that is drawn as a short black line.
    title : str

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = plt.subplots(
        2,
        len(images),
        figsize=(2.3 * len(images), 4.4),
        height_ratios=[1, 2.2],
        sharey="row",
        squeeze=False,
    )
    aside = np.random.default_rng(0)  # dots at the same height are spread, to be seen
    for kind, top, bottom in zip(images, *axes, strict=True):
        top.imshow(plotting.squeeze_digits(images[kind])[0], vmin=0, vmax=1)
        top.set_title(kind, loc="center")
        top.axis("off")
        for place, (model, p) in enumerate(answers[kind].items()):
            m = p.max(axis=1)
            x = place + aside.uniform(-0.25, 0.25, len(m)) * (len(m) > 1)
            size, alpha = (8, 0.35) if len(m) > 1 else (40, 1)
            bottom.scatter(x, m, s=size, alpha=alpha, color=plotting.COLOURS[place], linewidths=0)
            bottom.hlines(marks[model], place - 0.4, place + 0.4, color="black", linewidth=1.5)
        names = [model.replace(", ", "\n").replace(" = ", "=") for model in answers[kind]]
        bottom.set(xticks=range(len(names)), xticklabels=names, ylim=(0, 1.04))
        bottom.tick_params(axis="x", length=0, labelsize=9)
    axes[1, 0].set_ylabel("confidence m(x)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure

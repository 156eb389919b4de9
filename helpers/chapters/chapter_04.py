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


def show_confidences(m):
    """Show how often each model is how sure: a histogram of m(x) for each.

    Parameters
    ----------
    m : dict of str to array of shape (n,), values in [0, 1]
        The confidences by the name of the model: ``"CNN"``, ``"LR"``, ``"k-NN, k = 5"`` …
    """
    figure = _histograms({f"{name}:\n{_finding(name)}": values for name, values in m.items()})
    plotting.show(
        figure,
        "Four histograms of m(x), counts on a log scale. The CNN has one high peak at 1, k-NN has "
        "separate spikes at multiples of 1/k, logistic regression fills the whole range. The shape "
        "comes from how a model makes its probability.",
    )


def _finding(name):
    """Say what the histogram of a model shows; the k of k-NN stands at the end of its name."""
    if name.startswith("k-NN"):
        return f"multiples of 1/{name.split()[-1]}"
    return {"CNN": "one peak at 1", "LR": "spread out"}[name]


def show_sharpened(cnn, lr, sharpened, power):
    """Show that a power of its probabilities gives LR the peak of the CNN.

    Parameters
    ----------
    cnn, lr, sharpened : arrays of shape (n,), values in [0, 1]
        The confidences m(x) of the CNN, of LR, and of LR to the `power`.
    power : float
    """
    title = f"LR, to the power {power:g}:\na peak for free"
    figure = _histograms({"CNN": cnn, "LR": lr, title: sharpened})
    plotting.show(
        figure,
        "Three histograms of m(x). Logistic regression is spread; raised to a power it has the "
        "CNN's peak at 1. Anybody can make a peaked histogram.",
    )


def _histograms(panels):
    """Draw histograms side by side, on one log scale; `panels` maps a title to m(x)."""
    size = (0.7 + 2.7 * len(panels), 3.1)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (title, values) in zip(axes.flat, panels.items(), strict=True):
        # a bin has its centre on 0.1, 0.12, …: no share of votes falls on an edge
        ax.hist(values, bins=np.arange(0.09, 1.02, 0.02), color=plotting.COLOURS[0])
        ax.set(yscale="log", xlim=(0, 1.03), xlabel="confidence m(x)", title=title)
    axes[0, 0].set_ylabel("test images (log scale)")
    return figure


def show_reliability(tables, gaps):
    """Show whether models are right as often as they say: a reliability diagram for each.

    The gray whiskers on the diagonal show chance: 95 % of a calibrated model's dots lie inside.

    Parameters
    ----------
    tables : dict of str to DataFrame
        What `helpers.confidence.reliability` gives, by the name of the model.
    gaps : dict of str to float, in [0, 1]
        The expected calibration error of each model, for the titles.
    """
    size = (0.7 + 2.7 * len(tables), 3.5)
    figure, axes = plt.subplots(1, len(tables), figsize=size, sharey=True, squeeze=False)
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=True):
        _reliability(ax, table)
        ax.set_title(f"{name}:\nmean gap {gaps[name]:.1%}")
        ax.label_outer()
    plotting.show(
        figure,
        "Four reliability diagrams, accuracy against confidence. The CNN's large dot lies on the "
        "diagonal, at 1. k-NN with unanimous votes lies a little below it and with fewer votes "
        "above. Logistic regression lies above it where it is fairly sure. No model is exactly "
        "honest.",
        name="04_reliability",
    )


def _reliability(ax, table):
    said, found, count = (table[column] for column in ("confidence", "accuracy", "count"))
    honest = said.clip(0, 1)  # a mean of float32 may come out above 1
    chance = 2 * np.sqrt(honest * (1 - honest) / count)
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    ax.errorbar(honest, honest, yerr=chance, fmt="none", ecolor="0.4", elinewidth=1.5, capsize=3)
    blue, width = plotting.COLOURS[0], table["high"] - table["low"]
    ax.bar(table["low"], found, width, align="edge", color=blue, alpha=0.35, edgecolor=blue)
    ax.scatter(said, found, s=8 + 120 * count / count.sum(), color=blue, zorder=3, clip_on=False)
    ax.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence m(x)", ylabel="accuracy")
    ax.set_aspect("equal")


def show_doubted(images, labels, p, doubted):
    """Show the ten images that the CNN doubts most, and the ten that LR doubts most.

    Parameters
    ----------
    images : array of shape (n, h, w, 1), values in [0, 1]
    labels : int array of shape (n,)
    p : dict of str to array of shape (n, classes)
        The probabilities of the models ``"CNN"`` and ``"LR"``; others are ignored.
    doubted : dict of str to int array
        For each of the two, the places of its least sure images, the least sure one first.
    """
    places = np.concatenate([doubted[name][:10] for name in ("CNN", "LR")])
    asked = np.concatenate([p[name][doubted[name][:10]] for name in ("CNN", "LR")])
    said = asked.argmax(axis=1)
    titles = [
        f"{label}→{answer}  {m:.2f}"
        for label, answer, m in zip(labels[places], said, asked.max(axis=1), strict=True)
    ]
    figure = plotting.digit_grid(
        images[places],
        titles,
        wrong=said != labels[places],
        title="The CNN doubts odd digits (above), LR doubts clear ones too (below)",
    )
    plotting.show(
        figure,
        "Ten digits that the CNN doubts most, and ten that logistic regression doubts most. The "
        "CNN's are badly written, also for us; several of the others are clear digits.",
    )


def show_refusal(kept, accuracies):
    """Show what models gain when they may refuse the images that they doubt.

    Parameters
    ----------
    kept : array of shape (n,), rising to 1
        The share of the images that is kept.
    accuracies : dict of str to array of shape (n,)
        The accuracy on the images kept; one model is the ``"CNN"``.
    """
    figure, ax = plt.subplots(figsize=(7.5, 3.8))
    title = "Refusing the doubtful images helps all three; the CNN stays ahead"
    plotting.lines(ax, 100 * kept, accuracies, "images kept (%)", "accuracy", title)
    low = 100 * kept[0]
    ax.set(xlim=(low - 1, 109), xticks=np.linspace(low, 100, 6))
    unrefused = accuracies["CNN"][-1]
    ax.hlines(unrefused, low - 1, 100, color="0.5", linewidth=1, linestyle="--")
    plotting.show(
        figure,
        "Accuracy on the images kept, against their share. All curves rise as images are refused. "
        "The CNN is above the others and soon close to 1; logistic regression must refuse many "
        "images to reach the CNN's accuracy on all of them; k-NN stops rising.",
        name="04_refusal",
    )


def show_no_digits(images, p, q05):
    """Show how sure models are of images that are no digits, one strip of dots for each.

    Parameters
    ----------
    images : dict of str to array of shape (n, h, w, 1), values in [0, 1]
        Images of each kind; the first one is drawn.
    p : dict of str to dict of str to array of shape (n, classes)
        For each kind and model, the probabilities; their maxima m(x) are the dots.
    q05 : mapping of str to float
        For each model, the confidence that 95 % of the digits reach: a short black line.
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
        top.imshow(plotting.squeeze_digits(images[kind])[0], cmap="gray", vmin=0, vmax=1)
        top.set_title(kind, loc="center")
        top.axis("off")
        for place, (model, answers) in enumerate(p[kind].items()):
            m = answers.max(axis=1)
            x = place + aside.uniform(-0.25, 0.25, len(m)) * (len(m) > 1)
            size, alpha = (8, 0.35) if len(m) > 1 else (40, 1)
            bottom.scatter(x, m, s=size, alpha=alpha, color=plotting.COLOURS[place], linewidths=0)
            bottom.hlines(q05[model], place - 0.4, place + 0.4, color="black", linewidth=1.5)
        names = [model.replace(", ", "\n").replace(" = ", "=") for model in p[kind]]
        bottom.set(xticks=range(len(names)), xticklabels=names, ylim=(0, 1.04))
        bottom.tick_params(axis="x", length=0, labelsize=9)
    axes[1, 0].set_ylabel("confidence m(x)")
    title = "No model says “this is no digit”. Black lines: 95 % of the digits reach them"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "Five kinds of image, and the m(x) of four models. For noise, inverted and shuffled images "
        "the dots lie well above one tenth; many pass the line that nearly all digits pass. For "
        "the black image k-NN is at 1, and the others are low.",
        name="04_no_digits",
    )

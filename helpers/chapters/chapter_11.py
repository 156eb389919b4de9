"""Exercises of 11: one pixel given the others, log Z, the centred gradient; and its figures."""

import matplotlib.pyplot as plt
import numpy as np

from helpers import boltzmann, checkpoints, data, plotting
from helpers.exercises import Exercise, not_nan
from helpers.generative import drawn_digits  # noqa: F401 - the notebook takes it from here

RNG = np.random.default_rng(0)
WEIGHTS, DREAMS = RNG.normal(0, 1.5, (5, 3)), RNG.integers(0, 2, (3, 5)).astype(float)
V = np.array([[1.0, 0, 1, 1, 0], [0, 0, 1, 0, 1], [1, 1, 0, 1, 1], [0, 1, 1, 0, 0]])
B, C = np.array([0.5, -1.0, 0.2, 1.1, -0.4]), np.array([-0.7, 0.9, 0.3])


pixel = Exercise(
    "11-1",
    points=2,
    lesson="Z is the same for both images, so it cancels: that is why this needs no Z.",
    hint=(
        "Two images differ in this pixel only. What is the ratio of their probabilities?",
        "p(on) / p(off) = exp(F(off) - F(on)); and p is this ratio divided by 1 plus the ratio.",
        "on, off = v.copy(), v.copy(); set the column to 1 and to 0; 1 / (1 + exp(F(on) - F(off)))",
    ),
)
pixel.case(
    "the text's example", np.array([[1.0, 0]]), 1, np.array([[2.0], [1]]), np.zeros(2), np.zeros(1)
)
pixel.case("4 images, pixel 2", V, 2, WEIGHTS, B, C)
pixel.case("3 images, pixel 0", V[1:], 0, -WEIGHTS[::-1], B[::-1].copy(), -C)
pixel.case("a hidden unit that is nearly sure", V, 3, WEIGHTS / 3, B, np.array([-2.0, 900.0, 0.5]))


@pixel.hidden("a machine and images drawn at random")
@pixel.hidden("a machine with a hidden unit that is nearly sure", sure=900.0)
def _draw_machine(rng, sure=0.0):
    n, visible, hidden = (int(number) for number in rng.integers([3, 6, 3], [7, 10, 6]))
    b = rng.choice([-1.0, 1.0], visible) * rng.uniform(0.4, 1.5, visible)  # none is near 0
    c = rng.normal(size=hidden)
    c[rng.integers(hidden)] += sure
    images = rng.integers(0, 2, (n, visible)).astype(float)
    return images, int(rng.integers(visible)), rng.normal(size=(visible, hidden)), b, c


no_overflow = pixel.rule("exp(900) is infinite: np.logaddexp(0, x) is log(1 + exp(x)) without it.")(
    not_nan
)
one_each = pixel.rule("Return one number for each image: shape (n,).")(
    lambda result, v, *rest: np.shape(result) == (len(v),)
)


log_z = Exercise(
    "11-2",
    points=2,
    lesson="The mean is taken of the weights, and not of their logarithms.",
    hint=(
        "log of a mean of exponentials: what may be taken out of every weight beforehand?",
        "Take out the largest: log mean exp(w) = largest + log mean exp(w - largest).",
        "log_z_base + largest + np.log(np.mean(np.exp(log_weights - largest)))",
    ),
    tolerance=1e-6,
)
log_z.case("the text's example", np.log([1.0, 3.0]), 5.0)
log_z.case("6 chains", np.array([12.1, 9.4, 13.0, 11.2, 8.8, 12.7]), 41.5)
log_z.case("3 chains with large weights", np.array([905.2, 903.1, 905.9]), -12.0)
log_z.case("4 chains with tiny weights", np.array([-901.0, -899.5, -904.0, -900.2]), 310.0)


@log_z.hidden("chains drawn at random")
@log_z.hidden("chains with large weights, drawn at random", around=900.0)
@log_z.hidden("chains with tiny weights, drawn at random", around=-900.0)
def _draw_chains(rng, around=0.0):
    log_weights = around + rng.normal(0, 2, int(rng.integers(5, 13)))
    return log_weights, float(rng.choice([-1, 1]) * rng.uniform(20, 300))


is_finite = log_z.rule(
    "exp(900) is infinite, and the logarithm of 0 too: take the largest out first."
)(lambda result: np.isfinite(result).all())
is_number = log_z.rule("Return one number: the mean goes over the chains.")(
    lambda result: np.size(result) == 1
)


centre = Exercise(
    "11-3",
    points=2,
    lesson="Two tables of means, measured from the same point: their difference is the step.",
    hint=(
        "Each row of v gives a table (visible, hidden). Which product sums these tables?",
        "(v - mean_v).T @ (h - mean_h) / len(v), and the same for the dreams with their h.",
        "h = sigmoid(v @ weights + c) for each part; first table minus second table",
    ),
)
MEAN_V, MEAN_H = np.array([0.5, 0.2, 0.7, 0.4, 0.6]), np.array([0.3, 0.6, 0.45])
centre.case(
    "the text's example",
    *(np.array([[1.0, 1]]), np.array([[0.0, 1]]), np.zeros((2, 1)), np.zeros(1)),
    *(np.full(2, 0.5), np.zeros(1)),
)
centre.case("4 images, 3 dreams", V, DREAMS, WEIGHTS, C, MEAN_V, MEAN_H)
centre.case("2 images, 3 dreams", V[:2], 1 - DREAMS, -WEIGHTS, 0 * C + 0.4, MEAN_V / 2, 1 - MEAN_H)


@centre.hidden("images, dreams and means drawn at random")
def _draw_dreams(rng):
    n, more, visible, hidden = (int(k) for k in rng.integers([3, 1, 6, 3], [8, 4, 10, 6]))
    v, dreamt = (rng.integers(0, 2, (rows, visible)).astype(float) for rows in (n, n + more))
    weights, c = rng.normal(size=(visible, hidden)), rng.normal(size=hidden)
    return v, dreamt, weights, c, rng.uniform(0.2, 0.8, visible), rng.uniform(0.2, 0.8, hidden)


is_table = centre.rule("Return one number for each weight: shape (visible, hidden).")(
    lambda result, v, dreamt, weights, *rest: np.shape(result) == weights.shape
)


# --- the data


def split(characters, part):
    """Return the flat images of one part, the first n classes of it, and their labels.

    Parameters
    ----------
    characters : Dataset
    part : {"train", "test"}

    Returns
    -------
    x : float32 array of shape (n, pixels)
    y : int64 array of shape (n,)

    Examples
    --------
    >>> x, y = split(data.load("alphadigits", "lite"), "test")
    Binary AlphaDigits: 1,116 training and 288 test images from data/samples, a STAND-IN, verified
    >>> x.shape, y.shape
    ((288, 320), (288,))
    """
    x, y = getattr(characters, f"x_{part}"), getattr(characters, f"y_{part}")
    return x.reshape(len(x), -1), y


def hamming(a, b):
    """Count the pixels in which black-and-white images differ.

    Parameters
    ----------
    a : array of shape (n, pixels) of 0 and 1
    b : array of shape (m, pixels) of 0 and 1

    Returns
    -------
    array of shape (n, m)

    Examples
    --------
    >>> hamming(np.array([[1.0, 0]]), np.array([[1.0, 1], [0, 1]]))
    array([[1., 2.]])
    """
    return a @ (1 - b).T + (1 - a) @ b.T


def load_shipped():
    """Load the machine that was trained longer on MNIST.

    Returns
    -------
    RBM

    Raises
    ------
    RuntimeError
        If the arrays are not those of the card.

    Examples
    --------
    >>> load_shipped().weights.shape
    (784, 500)
    """
    return boltzmann.RBM(*checkpoints.load_arrays("mnist-rbm")[0])


# --- figures


def _mosaic(images, columns, shape):
    """Lay flat images side by side on one gray sheet, a dark line between any two."""
    images = np.reshape(images, (-1, *shape))
    rows = -(-len(images) // columns)
    sheet = np.full((rows * columns, shape[0] + 2, shape[1] + 2), 0.25)
    sheet[: len(images), 1:-1, 1:-1] = images
    height, width = sheet.shape[1:]
    sheet = sheet.reshape(rows, columns, height, width).swapaxes(1, 2)
    return sheet.reshape(rows * height, columns * width)


def _draw(ax, images, columns, shape, label=""):
    ax.imshow(_mosaic(images, columns, shape), cmap="gray", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set_visible(False)
    ax.set_ylabel(label, rotation=0, ha="right", va="center")


def _head(figure, dataset, title):
    made_up = dataset.profile == "lite" and data.describe(dataset.name).stand_in
    figure.suptitle(
        ("STAND-IN, printed characters · " if made_up else "") + title,
        x=0.01,
        ha="left",
        fontsize=12,
    )


def show_characters(characters, rows=3):
    """Draw some training images of every character.

    Parameters
    ----------
    characters : Dataset
    rows : int
        Images of each.
    """
    n = len(characters.class_names)
    figure, ax = plt.subplots(figsize=(9.6, 1.3 * rows + 0.3))
    half = n // 2
    images = characters.x_train[: rows * n, ..., 0].reshape(rows, 2, half, 20, 16)
    images = images.swapaxes(0, 1).reshape(-1, 20, 16)
    _draw(ax, images, half, (20, 16))
    _head(figure, characters, f"{n} characters, {rows} images of each")
    plotting.show(
        figure,
        "A sheet of small black-and-white images of the digits 0 to 9 and the capitals A to Z; "
        "each column shows one character, drawn several times, and each drawing fills its box.",
        name="11_characters",
    )


def show_film(characters, strips, steps, title, name=None):
    """Draw chains of Gibbs sampling as film strips, one row for each chain.

    Parameters
    ----------
    characters : Dataset
    strips : dict of str to array of shape (frames, chains, pixels)
        What is walked -> its frames.
    steps : sequence of int
        The step of each frame.
    title : str
    name : str, optional
        Of the file.
    """
    tall = 1.1 + 0.74 * np.shape(next(iter(strips.values())))[1]
    figure, axes = plt.subplots(1, len(strips), figsize=(9.2, tall), squeeze=False)
    for ax, (label, frames) in zip(axes[0], strips.items(), strict=True):
        n_frames, chains = frames.shape[:2]
        _draw(ax, frames.swapaxes(0, 1).reshape(n_frames * chains, -1), n_frames, (20, 16))
        ax.set_xticks(np.arange(n_frames) * 18 + 9, [f"{step:,}" for step in steps])
        ax.tick_params(length=0)
        ax.set(xlabel="Gibbs steps from noise", title=label)
    _head(figure, characters, title)
    plotting.show(
        figure,
        "Film strips of small black-and-white images: each row is one chain that begins as noise "
        f"at the left and is walked to the right. From the left: {', '.join(strips)}.",
        name=name,
    )


def show_learning(characters, curves):
    """Draw the reconstruction error beside the log-likelihood over the epochs.

    Parameters
    ----------
    characters : Dataset
    curves : dict of str to DataFrame
        Kind -> epochs in the index, columns ``reconstruction`` and ``lowest``.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.9))
    for colour, (kind, table) in zip(plotting.COLOURS, curves.items(), strict=False):
        left.plot(table.index, table["reconstruction"], marker="o", color=colour, label=kind)
        right.plot(table.index, table["lowest"], marker="o", color=colour, label=kind)
    left.set(xlabel="epoch", ylabel="pixels wrong after one step, of 320", title="reconstruction")
    right.set(
        xlabel="epoch",
        ylabel="log p of held-out images (nats)",
        title="likelihood, the lowest of four numbers",
    )
    left.legend(frameon=False)
    best = min(curves, key=lambda kind: curves[kind]["reconstruction"].iloc[-1])
    likely = max(curves, key=lambda kind: curves[kind]["lowest"].iloc[-1])
    errors, bounds = (
        np.ptp([table[column].iloc[-1] for table in curves.values()])
        for column in ("reconstruction", "lowest")
    )
    title = f"The copies end within {errors:.0f} pixels, the likelihoods {bounds:.0f} nats apart"
    _head(figure, characters, title)
    plotting.show(
        figure,
        "Left, the reconstruction error over the epochs; right, the log-likelihood of held-out "
        "images, the lowest of four estimates. At the end the lowest error is that of "
        f"{best}, and the highest likelihood that of {likely}.",
        name="11_learning",
    )


def show_bounds(dataset, table, title, name=None):
    """Draw the two numbers of each machine as the ends of a line.

    Parameters
    ----------
    dataset : Dataset
    table : DataFrame
        One row for each machine, columns ``above`` and ``below``.
    title : str
    name : str, optional
        Of the file.
    """
    figure, ax = plt.subplots(figsize=(8.6, 0.5 * len(table) + 1.4))
    for place, (_, row) in enumerate(table.iterrows()):
        ax.plot([row["below"], row["above"]], [place, place], color=plotting.COLOURS[0])
        ax.scatter(row["below"], place, color=plotting.COLOURS[0], zorder=3, s=45)
        ax.scatter(
            row["above"], place, facecolor="white", edgecolor=plotting.COLOURS[1], zorder=3, s=45
        )
    ax.invert_yaxis()
    ax.margins(y=0.2)
    ax.set(yticks=range(len(table)), yticklabels=table.index)
    ax.set(xlabel="log p of held-out images (nats). Dot: backward, ring: forward")
    _head(figure, dataset, title)
    order = table.sort_values("below", ascending=False).index
    plotting.show(
        figure,
        "For each machine a dot, the estimate by the backward chains, joined to a ring, the "
        f"forward estimate. From the highest dot to the lowest: {', '.join(order)}.",
        name=name,
    )


def show_fields(characters, fields, title):
    """Draw the weights of some hidden units as pictures, all on one scale.

    Parameters
    ----------
    characters : Dataset
    fields : array of shape (rows, columns, pixels)
    title : str
    """
    rows, columns = fields.shape[:2]
    figure, axes = plt.subplots(rows, columns, figsize=(9.2, 1.15 * rows + 0.5))
    far = np.abs(fields).max()
    for ax, field in zip(axes.flat, fields.reshape(rows * columns, 20, 16), strict=True):
        drawn = ax.imshow(field, cmap="RdBu_r", vmin=-far, vmax=far)
        ax.axis("off")
    figure.colorbar(drawn, ax=axes, label="weight", fraction=0.02, pad=0.02)
    _head(figure, characters, title)
    plotting.show(
        figure,
        "The weights of some hidden units as pictures, red where white pixels switch the unit on "
        "and blue where they switch it off. Most show several bows and patches, red beside blue, "
        "all over the box.",
    )


def show_study(characters, by_size, by_classes):
    """Draw the log-likelihood against the number of hidden units and of characters.

    Parameters
    ----------
    characters : Dataset
    by_size, by_classes : dict of int to sequence of float
        Hidden units, or characters -> lower bounds, one for each seed.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.6, 3.8))
    best, most = (
        max(study, key=lambda x, of=study: np.mean(of[x])) for study in (by_size, by_classes)
    )
    first = min(by_classes)
    panels = (
        (by_size, "hidden units", f"All characters: {best} units do best"),
        (by_classes, "characters to learn", f"Scored on {first}: best learnt among {most}"),
    )
    for ax, (study, label, title) in zip(axes, panels, strict=True):
        for x, values in study.items():
            ax.scatter([x] * len(values), values, color=plotting.COLOURS[0], alpha=0.7)
        ax.plot(list(study), [np.mean(v) for v in study.values()], color=plotting.COLOURS[0])
        ax.set(xlabel=label, ylabel="log p of held-out images (nats)", title=title)
    _head(figure, characters, "Backward numbers, one dot for each seed")
    plotting.show(
        figure,
        "Backward estimates of the held-out log-likelihood, a dot for each seed and a line through "
        "the means: on the left against the number of hidden units, on the right, for the first "
        "characters only, against the number of characters that one machine learns.",
        name="11_study",
    )


def show_read(characters, samples, read, accepted, neighbours):
    """Draw one accepted sample of each character above its nearest training image.

    Parameters
    ----------
    characters : Dataset
    samples, neighbours : arrays of shape (n, pixels)
    read : int array of shape (n,)
        What the judge reads.
    accepted : bool array of shape (n,)
    """
    names = characters.class_names
    first = [np.flatnonzero(accepted & (read == label))[:1] for label in range(len(names))]
    found = sum(map(len, first))
    figure, axes = plt.subplots(4, 1, figsize=(9.6, 3.2))
    half = len(names) // 2
    for part in range(2):
        places = first[part * half : (part + 1) * half]
        for row, (images, label) in enumerate(((samples, "sample"), (neighbours, "nearest"))):
            sheet = [images[p[0]] if len(p) else np.full(images.shape[1], 0.25) for p in places]
            ax = axes[2 * part + row]
            _draw(ax, sheet, half, (20, 16), label)
            if row == 0:
                ax.set_xticks(np.arange(half) * 18 + 9, names[part * half : (part + 1) * half])
                ax.xaxis.tick_top()
                ax.tick_params(length=0)
    _head(figure, characters, f"The judge reads {found} of {len(names)} characters")
    plotting.show(
        figure,
        "For each character one sample of the machine that the judge accepts, and below it the "
        "training image that is nearest; gray where no sample was accepted. Samples resemble "
        "their neighbours and differ from them in places.",
        name="11_read",
    )


def show_samples(dataset, groups, shape, title, name=None):
    """Draw a row of samples for each of some machines.

    Parameters
    ----------
    dataset : Dataset
    groups : dict of str to array of shape (n, pixels)
    shape : (int, int) of one image
    title : str
    name : str, optional
        Of the file.
    """
    figure, axes = plt.subplots(
        len(groups), 1, figsize=(9.2, 0.75 * len(groups) + 0.5), squeeze=False
    )
    for ax, (label, images) in zip(axes[:, 0], groups.items(), strict=True):
        _draw(ax, images, len(images), shape, label)
    _head(figure, dataset, title)
    plotting.show(
        figure,
        f"A row of samples for each of: {', '.join(groups)}. All images are black and white.",
        name=name,
    )

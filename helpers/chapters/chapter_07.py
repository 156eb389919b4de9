"""Exercises of 07: one step of an attack, the trust score, the autoencoder that redraws best."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from IPython.display import display

from helpers import inversion, plotting
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


@attack.hidden("images and gradients drawn at random")
def _draw_attack(rng):
    clean = rng.random((5, 28, 28, 1))
    clean[:2] = clean[:2].round()  # black and white
    change = rng.uniform(-1, 1, clean.shape)
    slopes = rng.uniform(-1, 1, clean.shape) * [[[[0.05]]], [[[0.02]]], [[[0.5]]], [[[0]]], [[[2]]]]
    radius, step = rng.uniform(1.5, 3), rng.uniform(0.3, 1)
    # the first, third and last stand near the edge of the ball, and their step leads out of it
    change[[2, 4]] += 3 * slopes[[2, 4]] / np.abs(slopes[[2, 4]]).max(axis=(1, 2, 3), keepdims=True)
    length = np.sqrt((change**2).sum(axis=(1, 2, 3), keepdims=True))
    change *= radius * np.array([0.99, 0.3, 0.99, 0.5, 0.99])[:, None, None, None] / length
    return np.clip(clean + change, 0, 1), clean, slopes, step, radius


TOO_FAR = "The change from x is too long: shorten it after the step, as a whole, to the radius."
is_image = attack.rule("That is the change alone: add it to x.")(
    lambda image, moved, x, *a: image.mean() > 0.2 or np.mean(image == 0) < np.mean(x == 0) + 0.3
)
in_range = attack.rule("A pixel left the range from 0 to 1: clip the image at last.")(
    lambda image, *a: not (image.min() < 0 or image.max() > 1)
)
no_nan = attack.rule("A gradient of 0 has length 0, and 0/0 is NaN: add a tiny number.")(not_nan)
fits = attack.rule("Lengths of shape (n,) do not fit: keepdims=True makes them (n, 1, 1, 1).")(
    lambda image, moved, x, *a: image.shape == x.shape
)
in_ball = attack.rule(TOO_FAR)(
    lambda image, moved, x, g, step, r: (((image - x) ** 2).sum((1, 2, 3)) < r**2 + 1e-6).all()
)


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


@trust.hidden("distances drawn at random", own_first=True)
@trust.hidden("distances drawn at random", own_first=False)
def _draw_trust(rng, own_first):
    n, (own, *others) = int(rng.integers(8, 20)), rng.choice(10, 3, replace=False)
    first = [own, own, others[0], others[0]][:: 1 if own_first else -1]
    labels = np.array([*first, *rng.choice([own, *others], n - 4)])
    distances = np.sort(rng.choice(np.arange(11, 99), n, replace=False)) / 10
    return distances[::-1].copy(), labels[::-1].copy(), int(own)


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
ERRORS[1, [0, 6]] = 7  # two classes redraw image 1 best, and the target is one of them
redraw.case("the text's example", np.array([[4.0, 2, 8, 9, 11, 13, 12, 10, 14, 9.5]]), TARGETS[1:2])
redraw.case("4 images", ERRORS, TARGETS)


@redraw.hidden("errors drawn at random")
def _draw_errors(rng):
    n = int(rng.integers(4, 9))
    errors = rng.permuted(np.tile(np.arange(10.0, 60, 5), (n, 1)), axis=1) + rng.random((n, 10))
    targets = rng.integers(0, 10, n)
    best = errors.argmin(axis=1)
    targets[0] = best[0]
    # where the target is the best, and where another class redraws the image as well
    targets[1] = best[1]
    errors[1, (best[1] + 3) % 10] = errors[1, best[1]]
    targets[2:] = (best[2:] + rng.integers(1, 10, n - 2)) % 10
    return errors, targets


is_one_each = redraw.rule(
    "Take one column for each row, its target's; one number comes out of it."
)(lambda scores, errors, targets: scores.shape == targets.shape)
is_finite = redraw.rule("Cover the target's error with infinity, not 0; and read it before that.")(
    lambda scores: np.isfinite(scores).all()
)


# --- figures


def show_four_networks(runs):
    """Show what one and the same walk makes of several networks.

    Parameters
    ----------
    runs : dict of (str, str) to Inversion
        By the name of the network and of the start; all asked for the same targets. Of each
        target, the first image is drawn.
    """
    kinds, starts = (list(dict.fromkeys(names)) for names in zip(*runs, strict=True))
    figure, axes = plt.subplots(len(starts), 1, figsize=(7.4, 3.3 * len(starts)), squeeze=False)
    for ax, start in zip(axes.flat, starts, strict=True):
        targets, firsts = np.unique(runs[kinds[0], start].targets, return_index=True)
        images = np.concatenate([runs[kind, start].images[firsts] for kind in kinds])
        _mosaic(ax, images, [f"to {target}" for target in targets], kinds)
        ax.set_title(f"start: {start}", loc="left")
    figure.suptitle("One walk, and networks that differ in their training", x=0.01, ha="left")
    plotting.show(
        figure,
        "For each of two starts four rows of ten images, one for each digit. The tuned and the "
        "plain network draw tangles, the noisy one rough digits in part, the robust one bold "
        "strokes of nearly every digit, on black.",
        name="07_four_networks",
    )


def show_matrices(tables, sources):
    """Show real digits on their way to the others, on networks side by side.

    Parameters
    ----------
    tables : dict of str to array of shape (10 m, h, w, 1), values in [0, 1]
        For each network: image i comes from the source i // 10 and goes to the class i % 10. Where
        both are one class stands the real source, in an orange frame.
    sources : sequence of m int
        The class of each source.
    """
    figure, axes = plt.subplots(1, len(tables), figsize=(5.1 * len(tables), 5.8), squeeze=False)
    for ax, (name, images) in zip(axes.flat, tables.items(), strict=True):
        _mosaic(ax, images, range(10), sources, framed=sources)
        ax.set(xlabel="target class", title=name)
    axes[0, 0].set_ylabel("real source (orange frame)")
    title = "Real digits, each turned into the nine others"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "Two tables of images; rows are sources, columns are the ten targets, real sources in "
        "frames. Left, plain: pale tangles; many targets can be guessed. Right, robust: bold "
        "digits of the column, a few of them broken.",
        name="07_matrices",
    )


def show_sheets(sheets):
    """Show what starts of one kind become for each class, beside those of another kind.

    Parameters
    ----------
    sheets : dict of str to array of shape (10 m, h, w, 1), values in [0, 1]
        By the kind of start: image i began as start i % m and was to become the class i // m.
    """
    figure, axes = plt.subplots(1, len(sheets), figsize=(5.1 * len(sheets), 5.8), squeeze=False)
    for ax, (name, images) in zip(axes.flat, sheets.items(), strict=True):
        by_start = np.reshape(images, (10, -1, *np.shape(images)[1:])).swapaxes(0, 1)
        _mosaic(ax, by_start.reshape(np.shape(images)), range(10), range(1, 1 + len(by_start)))
        ax.set(xlabel="target class", title=name)
    axes[0, 0].set_ylabel("start")
    figure.suptitle("Starts of two kinds, on the robust network", x=0.01, ha="left")
    plotting.show(
        figure,
        "Two tables of images, starts in rows and ten classes in columns. From "
        "near black the images of a column are almost copies of each other, and the fives are in "
        "pieces. From noise they differ in slant and width; most fives hang together, and the ones "
        "have arms and a foot.",
        name="07_sheets",
    )


def _mosaic(ax, images, columns, rows, framed=()):
    """Draw a table of images as one image: an axes for each would take seconds."""
    padded = np.pad(plotting.squeeze_digits(images), ((0, 0), (1, 1), (1, 1)), constant_values=0.35)
    height, width = padded.shape[1:]
    table = padded.reshape(len(rows), len(columns), height, width).swapaxes(1, 2)
    mosaic = table.reshape(len(rows) * height, len(columns) * width)
    ax.imshow(mosaic, cmap="gray", vmin=0, vmax=1)
    for row, column in enumerate(framed):
        corner = (column * width - 0.5, row * height - 0.5)
        frame = {"fill": False, "edgecolor": plotting.COLOURS[1], "linewidth": 2}
        ax.add_patch(plt.Rectangle(corner, width, height, **frame))
    ax.grid(False)
    ax.set_xticks(width * np.arange(len(columns)) + width / 2 - 0.5, columns)
    ax.set_yticks(height * np.arange(len(rows)) + height / 2 - 0.5, rows)
    ax.tick_params(length=0)
    sns.despine(ax=ax, left=True, bottom=True)


def blind_sheet(networks, settings):
    """Draw each class once on the plain and on the robust network, and shuffle the images.

    Parameters
    ----------
    networks : dict of str to keras.Model
        With the keys ``"plain"`` and ``"robust"``; a cell that a room sees names neither.
    settings : dict
        Of the walk, as `helpers.inversion.invert` takes them.

    Returns
    -------
    images : float32 array of shape (20, 28, 28, 1), values in [0, 1]
    targets : int array of shape (20,)
    makers : array of 20 str
        The name of the network that drew each image.
    """
    shuffle = np.random.default_rng(7).permutation(20)
    makers = np.repeat(["plain", "robust"], 10)[shuffle]
    targets = np.tile(np.arange(10), 2)[shuffle]
    start, images = inversion.noise(20, seed=31), np.empty((20, 28, 28, 1), np.float32)
    for maker in ("plain", "robust"):
        own = makers == maker
        walk = inversion.invert(networks[maker], start[own], targets[own], **settings)
        images[own] = walk.images
    return images, targets, makers


def show_blind_test(images):
    """Show images of two networks without their targets and makers, to be read aloud.

    Parameters
    ----------
    images : array of shape (n, h, w, 1), values in [0, 1]
    """
    names = [f"image {place}" for place in range(1, len(images) + 1)]
    figure = plotting.digit_grid(images, names, columns=5, title="Which digits are these?")
    figure.set_size_inches(8, 0.6 + 1.75 * -(-len(images) // 5))
    plotting.show(
        figure,
        "Numbered images on black, without labels. Some show pale tangles, others bold strokes; "
        "many of the bold ones are digits that can be read at once.",
        name="07_blind_test",
    )


def reveal(room, targets, makers, readers):
    """Show the key of the blind sheet, once the room has read it.

    Parameters
    ----------
    room : str, or sequence, or None
        What was read in image 1, 2, …: digits, and anything else for an image that nobody can
        read. A text may separate them by spaces or commas, or not at all.
    targets : int array of shape (n,)
    makers : sequence of n str, the network that made each image
    readers : dict of str to int array of shape (n,)
        What judges read.

    Returns
    -------
    pandas.DataFrame or None
        How many of its images each reader reads right, for each maker; None before the room has
        read.
    """
    readings = _readings(room)
    if len(readings) != len(targets):
        found = f"Readings so far: {len(readings)}" if readings else "Nobody has read yet"
        print(
            f"{found}, and the sheet has {len(targets)} images. Type one digit for each into room, "
            "and - where nobody sees one; then run this cell again."
        )
        return None
    # whole numbers of which some may be missing
    read = pd.DataFrame({"target": targets, "network": makers, **readers})
    read.insert(2, "the room", pd.array(readings, dtype="Int64"))
    read.index = [f"image {place}" for place in range(1, len(read) + 1)]
    display(read.style.format(na_rep="–"))
    hits = read[["the room", *readers]].eq(read["target"], axis=0).fillna(False)
    right = hits.groupby(read["network"]).sum()
    display(right.style.set_caption(f"read right, of {len(read) // read['network'].nunique()}"))
    return right


def _readings(room):
    """Bring what a room typed into a list of digits, with None for what is none."""
    if isinstance(room, str):
        parts = room.replace(",", " ").replace(";", " ").split()
        room = list(parts[0]) if len(parts) == 1 else parts
    elif not np.iterable(room):
        room = [] if room is None else [room]
    room = [str(one).strip().removesuffix(".0") for one in room]
    # a sheet of None alone was not read
    if not any(one.isdecimal() for one in room):
        return []
    return [int(one) if one in tuple("0123456789") else None for one in room]


def show_closing(images, scores):
    """Show for several networks what they draw, how accurate and how robust they are.

    Parameters
    ----------
    images : dict of str to array of shape (columns, h, w, 1), values in [0, 1]
        What each network draws.
    scores : pandas.DataFrame
        A row for each of these networks; one panel for each column, values in [0, 1].
    """
    figure, (ax, *bars) = plt.subplots(
        1,
        1 + scores.shape[1],
        figsize=(13, 3.4),
        gridspec_kw={"width_ratios": [3.1] + [1] * scores.shape[1]},
    )
    drawn = np.concatenate([images[kind] for kind in scores.index])
    columns = len(drawn) // len(scores)
    _mosaic(ax, drawn, range(columns), list(scores.index))
    ax.set(title="what it draws, from noise", xlabel="target class", aspect="auto")
    for panel, name in zip(bars, scores, strict=True):
        percent = 100 * scores[name].to_numpy()
        panel.barh(range(len(scores)), percent, color=plotting.COLOURS[0], height=0.6)
        for row, value in enumerate(percent):
            inside = value > 60
            panel.annotate(
                f"{value:.1f} " if inside else f" {value:.1f}",
                (value, row),
                ha="right" if inside else "left",
                va="center",
                color="white" if inside else "black",
                fontsize=10,
            )
        panel.set(xlim=(0, 100), ylim=(len(scores) - 0.5, -0.5), xlabel="%", title=name, yticks=[])
        panel.grid(False, axis="y")
    figure.suptitle("Harder to attack, easier to read", x=0.01, ha="left")
    plotting.show(
        figure,
        "Four networks in rows: tuned, plain, noisy, robust. Beside what each draws stand "
        "three bars: clean accuracy, which is high for all and falls slightly from row to row; "
        "accuracy under attack, which rises from nearly nothing to most of the images; and the "
        "judges' votes for its drawings, which rise in the same order.",
        name="07_closing",
    )


def show_attacks(curves):
    """Show how many images networks still read, the farther an attack may go.

    Parameters
    ----------
    curves : dict of str to dict of (str, str) to dict of float to float
        By the name of the norm, then by the network and the strength of the attack, a dashed line
        for the first strength and a full one for the second: radius and accuracy, in [0, 1].
    """
    figure, axes = plt.subplots(1, len(curves), figsize=(10, 3.9), sharey=True, squeeze=False)
    for ax, (norm, lines) in zip(axes.flat, curves.items(), strict=True):
        kinds, strengths = (list(dict.fromkeys(names)) for names in zip(*lines, strict=True))
        for (kind, strength), line in lines.items():
            ax.plot(
                list(line),
                [100 * share for share in line.values()],
                color=plotting.COLOURS[kinds.index(kind)],
                linestyle=["--", "-"][strengths.index(strength)],
                marker="o",
                label=f"{kind}, {strength}",
            )
        ax.set(ylim=(0, 101), xlabel=f"radius of the attack ({norm})", ylabel="accuracy (%)")
    axes[0, 0].legend(frameon=False, fontsize=9, handlelength=3.5)
    axes[0, -1].set_ylabel("")
    figure.suptitle(
        f"Accuracy under attack: {strengths[0]} (dashed) and {strengths[1]}", x=0.01, ha="left"
    )
    plotting.show(
        figure,
        "Accuracy against the radius of the attack, in two norms. All curves start high. Those of "
        "the plain network fall to nothing early; those of the robust one fall later, and under "
        "many steps clearly lower than under three.",
        name="07_attacks",
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
        title="Red: lighter pixels raise p of the class; blue: they lower it",
        signed=[False] + [True] * len(maps),
    )
    plotting.show(
        figure,
        "Ten digits, and below each the saliency maps of the networks. Those of the tuned and the "
        "plain network are scattered, also beside the digit. Those of the noisy and the robust one "
        "lie closer to its strokes.",
        name="07_saliency",
    )

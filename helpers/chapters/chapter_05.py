"""Exercises of 05: the gradient of an image, one step, several judges, the sign of a report."""

import functools
import itertools
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

from helpers import plotting
from helpers.exercises import Exercise, not_nan

RNG = np.random.default_rng(0)
PHOTOS = RNG.random((2, 1, 28, 28, 1), dtype=np.float32)
slope = Exercise(
    "05-1",
    points=2,
    lesson="Training changes the weights on this loss; an inversion changes the image.",
    hint=(
        "The weights stay, the image may change: tell the tape so, and compute the loss inside it.",
        "`with tf.GradientTape() as tape:` watch x, ask the model, take -tf.math.log of p[target].",
        "tape.watch(x); loss = -tf.math.log(model(x)[0, target]); then tape.gradient(loss, x)",
    ),
    # float32, and log(p + 1e-10) is as good as log(p)
    tolerance=1e-3,
)


@functools.cache
def _model():
    """Build a network of one layer: for the first photo p = 1e-6 for class 3, and 7 is the best."""
    from helpers.backend import keras

    # zeros, not random weights: a check must not move the notebook's random numbers
    layer = keras.layers.Dense(10, activation="softmax", kernel_initializer="zeros")
    model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), layer])
    kernel = np.random.default_rng(1).normal(0, 0.1, (784, 10))
    logits = np.array([0.0, -2, -3, np.log(1e-6), -4, -2, -3, 1, -2, -3])
    layer.set_weights([kernel, logits - PHOTOS[0].ravel() @ kernel])
    return model


def _with_model(function, photo, target):
    from helpers.backend import tf

    return function(_model(), tf.constant(photo), target)


slope.case("a network with p = 0.000001 for the target", PHOTOS[0], 3, view=_with_model)
slope.case("another class", PHOTOS[0], 8, view=_with_model)
slope.case("another image", PHOTOS[1], 5, view=_with_model)


@slope.hidden("an image and a class drawn at random", view=_with_model)
def _draw_photo(rng):
    photo = rng.random((1, 28, 28, 1), dtype=np.float32)
    p = np.asarray(_model()(photo))[0]
    # not the class that the network believes, and none for which log(p + 1e-10) is not log(p)
    return photo, int(rng.choice(np.flatnonzero((p > 1e-6) & (p < p.max()))))


is_alone = slope.rule("Return the gradient of -log p alone, as one array: no p and no loss.")(
    lambda g: not isinstance(g, tuple)
)
is_bare = slope.rule("That is a list of one gradient: ask for x, not for [x].")(
    lambda g: g.shape != (1, 1, 28, 28, 1)
)
is_image = slope.rule(
    "One number a pixel, in the shape of x: the gradient with respect to x, not to weights."
)(lambda g: not isinstance(g, list) and g.shape == (1, 28, 28, 1))


step = Exercise(
    "05-2",
    points=2,
    lesson="Every image moves by the learning rate, however small its gradient is.",
    hint=(
        "Make each gradient 1 long, walk against it, stay in the range. What of a gradient of 0?",
        "The root of the sum of squares over axis=(1, 2, 3), keepdims=True, plus a tiny number.",
        "np.clip(x - learning_rate * g / (length + 1e-10), 0, 1)",
    ),
)
GREY, WILD = RNG.uniform(0.4, 0.6, (2, 28, 28, 1)), RNG.uniform(-1, 1, (3, 28, 28, 1))
BLACK_AND_WHITE = RNG.integers(0, 2, (2, 28, 28, 1)).astype(float)
# the second gradient is much shorter than the first
UNEQUAL = WILD[:2] * np.array([0.1, 0.001])[:, None, None, None]
step.case("2 grey images", GREY, UNEQUAL, 0.1)
step.case("the text's example", GREY[:1], np.diag([3.0, 4] + 26 * [0])[None, :, :, None], 0.1)
step.case("2 images with black and white pixels", BLACK_AND_WHITE, UNEQUAL, 2.0)
step.case("a gradient of 0 for the second image", GREY, np.stack([WILD[0], 0 * WILD[0]]), 0.1)


@step.hidden("images and gradients drawn at random")
def _draw_step(rng):
    images = rng.random((4, 28, 28, 1))
    images[0] = images[0].round()  # black and white
    slopes = rng.uniform(-1, 1, images.shape)
    # one of them is much shorter, one is 0
    slopes *= rng.permutation([0.1, 0.1, 0.001, 0])[:, None, None, None]
    return images, slopes, rng.uniform(1.5, 5)


in_range = step.rule("A pixel left the range from 0 to 1: clip after the step.")(
    lambda image: not (image.min() < 0 or image.max() > 1)
)
no_nan = step.rule("A gradient of 0 has length 0, and 0/0 is NaN: add a tiny number.")(not_nan)


ask = Exercise(
    "05-3",
    points=2,
    lesson="Networks that did not make the images are fairer judges of them.",
    hint=(
        "Which class does each judge choose? Have all chosen the target of an image so far?",
        "Start with an array of True for the images, and use &= with what each judge says.",
        "seen &= np.argmax(judge(images), axis=1) == targets, for each judge; then seen.mean()",
    ),
)


@dataclass
class Judge:
    """A judge that reads from one row of the pixels what it believes of an image.

    Parameters
    ----------
    k : int
        The row whose first ten pixels are its probabilities of the classes.
    asked : bool, optional
        Whether it was called so far.
    """

    k: int
    asked: bool = False

    def __call__(self, images):
        """Return what it believes of images (n, 28, 28, 1): probabilities (n, 10)."""
        self.asked = True
        return np.asarray(images)[:, self.k, :10, 0]


def _panel(choices, sure):
    """Build judges, and images of which they choose these classes and are so sure."""
    beliefs = np.full((*np.shape(choices), 10), 0.005)
    np.put_along_axis(beliefs, np.array(choices)[..., None], np.array(sure)[..., None], axis=2)
    images = np.zeros((beliefs.shape[1], 28, 28, 1), np.float32)
    images[:, : len(beliefs), :10, 0] = beliefs.transpose(1, 0, 2)
    return [Judge(k) for k in range(len(beliefs))], images


TARGETS, OTHERS = RNG.integers(0, 10, 16), RNG.integers(0, 10, (3, 16))
CHOICES = np.where(RNG.random((3, 16)) < 0.6, TARGETS, OTHERS)
CHOICES[:, :2] = 9 - TARGETS[:2]  # all are wrong together
SURE = RNG.choice([0.45, 0.55, 0.92, 0.96], (3, 16))
TWO_OF_THREE = _panel([[3, 5, 8], [3, 6, 0]], [[0.93, 0.95, 0.6], [0.92, 0.5, 0.95]])
ask.case("the text's example", *TWO_OF_THREE, np.array([3, 5, 0]))
ask.case("3 judges, 16 images", *_panel(CHOICES, SURE), TARGETS)
ask.case("2 judges, 16 images", *_panel(CHOICES[1::-1], SURE[1::-1]), TARGETS)


@ask.hidden("judges and images drawn at random")
def _draw_judges(rng):
    judges, images = rng.integers(3, 6), rng.integers(30, 50)
    targets, others = rng.integers(0, 10, images), rng.integers(0, 10, (judges, images))
    choices = np.where(rng.random((judges, images)) < 0.75, targets, others)
    choices[:, :3] = 9 - targets[:3]  # all are wrong together
    sure = rng.choice([0.45, 0.55, 0.92, 0.96], choices.shape)
    return *_panel(choices, sure), targets


COUNTED = "Decide for each image, yes or no, whether all judges see its target; then take the mean."
asked = ask.rule("No judge was asked: use those that come in, not the network of the images.")(
    lambda share, judges, images, targets: (
        isinstance(share, BaseException) or any(judge.asked for judge in judges)
    )
)
is_one = ask.rule("One number for all: take the mean.")(lambda share: share.size == 1)
is_counted = ask.rule(COUNTED)(
    lambda share, judges, images, targets: np.round(share * len(images), 6) % 1 == 0
)
climb = Exercise(
    "05-4",
    points=1,
    lesson="The loss is −p, so its gradient is −∇p: two minus signs, and one step uphill.",
    hint=(
        "Which way does ∇p point, and where does the printed formula go? Put p = x into it.",
        "The loss is −p. Write its gradient down, and then one step against that gradient.",
        "x − rate · (−∇p) is x + rate · ∇p; np.clip(..., 0, 1) keeps the pixels in their range",
    ),
)
DARK = RNG.uniform(0.3, 0.7, (2, 28, 28, 1))
climb.case("the text's example", np.array([0.5, 0.5]), np.array([1.0, 0.0]), 0.1)
climb.case("two pixels, rate 1", np.array([0.5, 0.5]), np.array([0.2, -0.1]), 1.0)
climb.case("one image, rate 0.1", DARK[0], WILD[0], 0.1)
climb.case("two images, some pixels at their ends", BLACK_AND_WHITE, WILD[:2], 0.5)


@climb.hidden("pixels drawn at random")
def _draw_climb(rng):
    pixels = rng.random(rng.integers(5, 50)).round(rng.integers(2))  # black and white, or gray
    return pixels, rng.uniform(-1, 1, pixels.shape), rng.uniform(1.2, 3)


stays = climb.rule("A pixel left the range from 0 to 1: clip after the step.")(
    lambda image: not (image.min() < 0 or image.max() > 1)
)


# --- the blind test


def digits_read(room, n=10):
    """Take what a room read in images, however it was typed, and say what is no digit.

    Parameters
    ----------
    room : str, or sequence of anything
        One answer an image: a digit from 0 to 9, as a number or as text. ``None``, ``""``,
        ``"?"`` and ``"-"`` mean "no digit". A text is taken apart: ``"3 5 ? 1"``.
    n : int
        How many images there are. Missing answers count as "no digit".

    Returns
    -------
    list of n int or None

    Examples
    --------
    >>> digits_read("3 5 ? 1", n=4)
    [3, 5, None, 1]
    >>> digits_read([3, "7", "three"], n=4)
    Counted as no digit, because each answer must be one digit from 0 to 9: image 3 ('three').
    [3, 7, None, None]
    """
    given = _given(room)
    read = [_digit(answer) for answer in given[:n]] + [None] * (n - len(given))
    odd = [
        f"image {place} ({answer!r})"
        for place, (answer, digit) in enumerate(zip(given[:n], read, strict=False), 1)
        if digit is None and str(answer).strip() not in ("None", "", "?", "-", "–", "nan", "<NA>")
    ]
    odd += [f"the answers after image {n}"] * (len(given) > n)
    if odd:
        reason = "because each answer must be one digit from 0 to 9"
        print(f"Counted as no digit, {reason}: {', '.join(odd)}.")
    return read


def reveal(room, targets, probability):
    """Show the key of the blind test beside what the room read, once it has read all images.

    Parameters
    ----------
    room : str, or sequence of anything
        As in `digits_read`; None stands for an image that nobody has read yet.
    targets : int array of shape (n,)
    probability : array of shape (n,)
        What the network gives to each target.

    Examples
    --------
    >>> reveal([3, "?", None], np.array([3, 5, 8]), np.ones(3))
    Not read yet: image 3. The targets are shown when each image has an answer: a digit, or "?".
    """
    n, given = len(targets), _given(room)
    given += [None] * (n - len(given))
    missing = [str(place) for place, answer in enumerate(given[:n], 1) if answer in (None, "")]
    if missing:
        which = "all images" if len(missing) == n else f"image {', '.join(missing)}"
        print(
            f"Not read yet: {which}. The targets are shown when each image has an answer: a "
            'digit, or "?".'
        )
        return
    answers = pd.DataFrame({"target": targets, "p": probability})
    answers.index = [f"image {place}" for place in range(1, n + 1)]
    answers["the room"] = pd.array(digits_read(given, n), dtype="Int64")
    display(answers.style.format({"p": "{:.2f}"}, na_rep="–"))
    right = int((answers["the room"] == answers["target"]).sum())
    print(f"right, if p were a chance of being right: {np.sum(probability):.1f} of {n}")
    print(f"right, the room: {right} of {n}")


def _given(room):
    """Return what a room read as a list of answers; a text is taken apart."""
    if isinstance(room, str):
        return [sign for sign in room if not sign.isspace() and sign not in ",;/.…"]
    return list(room) if np.iterable(room) else [room]


def _digit(answer):
    try:
        number = float(answer)
    except (TypeError, ValueError):
        return None
    return int(number) if number in range(10) and not isinstance(answer, bool) else None


# --- figures

FLOOR = 1e-10  # the number inside the logarithm of the log loss
ORANGE = plotting.COLOURS[1]


def show_naive_walks(trajectories, target, epsilon):
    """Show that climbing p stalls on a real digit: p and the length of its gradient.

    Parameters
    ----------
    trajectories : dict of str to array of shape (steps, 2)
        For each start (``"from noise"``), p of the target and the length of the gradient before
        every step.
    target : int
        The class that was climbed to.
    epsilon : float
        The length of the gradient below which the stopping rule ends a walk.
    """
    figure, axes = _probability_and_slope(trajectories, target, "length of the gradient of p")
    reached = _those_that(trajectories, lambda path: path[:, 0].max() >= 0.9)
    flat = _those_that(trajectories, lambda path: path[0, 1] < epsilon)
    axes[0].set_title(f"p ≥ 0.9: {reached}")
    axes[1].set_title(f"Below ε at the start: {flat.partition(', not')[0]}")
    axes[1].axhline(epsilon, color="black", linestyle="--", linewidth=1)
    axes[1].annotate(
        "ε", (0.98, epsilon), xycoords=("axes fraction", "data"), ha="right", va="bottom"
    )
    plotting.show(
        figure,
        f"Two panels with log axes, {len(trajectories)} curves in each: p of class {target}, and "
        f"the length of its gradient. p climbs to nearly one {reached}. The length begins below "
        f"the stopping rule's ε {flat}: where it stays there, nothing moves, which is a stall.",
    )


def _those_that(trajectories, has):
    """Say which curves have something: ``"from noise, not from a real 6"``."""
    yes = [name for name, path in trajectories.items() if has(path)]
    no = [name for name in trajectories if name not in yes]
    if yes and no:
        return f"{' and '.join(yes)}, not {' or '.join(no)}"
    return " and ".join(yes) or f"neither {' nor '.join(no)}"


def show_repair(trajectories, target):
    """Show which kinds of step free a real digit: p, and how long each step is.

    Parameters
    ----------
    trajectories : dict of str to array of shape (steps, 2)
        For each kind of step, from one start: p of the target, and the length of the step before
        clipping. Kinds whose curves coincide are told apart by their lines, solid and dashed.
    target : int
    """
    figure, axes = _probability_and_slope(
        trajectories, target, "length of the step", lines=("-", "--", "-", "--")
    )
    reached = [name for name, path in trajectories.items() if path[:, 0].max() >= 0.9]
    axes[0].set_title(f"Kinds of step that reach p ≥ 0.9: {len(reached)} of {len(trajectories)}")
    axes[1].set_title("A normalised step has one length")
    axes[0].axhline(FLOOR, color="black", linestyle=":", linewidth=1)
    axes[0].annotate(
        "floor of the logarithm, $10^{-10}$",
        (0.98, FLOOR / 1.6),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="top",
    )
    plotting.show(
        figure,
        f"Two panels with log axes, {len(trajectories)} curves in each, all from the same real "
        f"digit towards class {target}; the title says how many of them get to p of almost one. "
        "The normalised walks take steps of one length and lie on one line; a raw step is as long "
        "as the slope, which is tiny where p is.",
    )


def _probability_and_slope(trajectories, target, slope, lines=("-", "-")):
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
    for ax, column, label in zip(axes, (0, 1), (f"p of class {target}", slope), strict=True):
        for (name, trajectory), line in zip(trajectories.items(), itertools.cycle(lines)):
            ax.semilogy(trajectory[:, column], line, label=name)
        ax.set(xlabel="step", ylabel=label)
    axes[0].legend(frameon=False)
    return figure, axes


def show_film_strips(runs, source, target):
    """Show two inversions step by step: from noise, and from one real digit.

    Parameters
    ----------
    runs : dict of str to Inversion
        Those from ``"noise"`` and from ``"real"`` starts, of 100 images each; image i began at
        the source i // 10 and goes to i % 10. They keep an odd number of frames.
    source, target : int
        The pair to show.
    """
    place = 10 * source + target
    kept = len(runs["real"].frames)
    steps = np.linspace(0, len(runs["real"].trace) - 1, kept).round().astype(int)
    figure = plotting.digit_table(
        np.stack([runs[name].frames[::2, place] for name in ("noise", "real")]),
        row_labels=["noise", f"a real {source}"],
        column_labels=[str(step) for step in steps[::2]],
        columns="steps taken",
        title=f"Two walks towards class {target}",
    )
    plotting.show(
        figure,
        f"Two film strips. The real {source} changes little at first, then bright strokes of class "
        f"{target} grow over it. The noise stays noise, with darker and brighter curves in it.",
    )


def show_matrix(images, taken):
    """Show what became of ten real digits on their way to all ten classes.

    Parameters
    ----------
    images : array of shape (100, h, w, 1), values in [0, 1]
        Image i comes from the source i // 10 and goes to the class i % 10. The diagonal, drawn in
        an orange frame, holds the real sources.
    taken : bool array of shape (100,)
        Which images the network takes for their target; the diagonal does not count.
    """
    images = plotting.squeeze_digits(images)
    taken = np.asarray(taken)[~np.eye(10, dtype=bool).ravel()]
    figure = plotting.digit_table(
        images.reshape(10, 10, *images.shape[1:]),
        list("0123456789"),
        list("0123456789"),
        title=f"The network takes {taken.sum()} of {taken.size} for the class of their column",
        rows="real source image (orange frame)",
        columns="target class",
    )
    for ax in figure.axes[:100:11]:
        ax.spines[:].set(visible=True, color=ORANGE, linewidth=3)
    plotting.show(
        figure,
        "Ten by ten images. Each row starts from one real digit, each column asks for one class. "
        "Some columns show the target to a human eye, many images are the old digit under new "
        "scribbles.",
        name="05_matrix",
    )


def show_film(frames, source):
    """Show one real digit on its way to all ten classes, as an animation with labels.

    Parameters
    ----------
    frames : array of shape (frames, 10, h, w, 1), values in [0, 1]
        The film opens with the last one, because a page that does not move shows the first.
    source : int
        The class of the digit.
    """
    images = plotting.squeeze_digits(frames)
    width = images.shape[-1]
    labels = np.stack([_label(f"to {target}", width) for target in range(images.shape[1])])
    labels = np.broadcast_to(labels, (len(images), *labels.shape))
    labelled = np.concatenate([labels, images], axis=2)
    plotting.animate(
        np.concatenate([labelled[-1:], labelled]),
        f"An animation of ten copies of one real {source}, each with its target written above it. "
        "Each grows bright strokes of another digit, from zero to nine, over the strokes of the "
        f"{source}. The first picture shows the end.",
        name="05_film",
        columns=5,
        milliseconds=120,
    )


def _label(words, width, height=12):
    """Write words in white on black: an array of shape (height, width), values in [0, 1]."""
    from PIL import Image, ImageDraw

    label = Image.new("L", (width, height))
    ImageDraw.Draw(label).text((width / 2, height / 2), words, fill=255, anchor="mm", font_size=9)
    return np.asarray(label, np.float32) / 255


def show_slopes(slopes):
    """Show how long the two gradients are, against p: one dot for each start.

    Parameters
    ----------
    slopes : dict of str to array of shape (3, n)
        For each kind of start: p of the target, the length of the gradient of p, and that of the
        gradient of the log loss.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4), sharex=True)
    for name, (p, of_p, of_loss) in slopes.items():
        axes[0].loglog(p, of_p, ".", label=name)
        axes[1].loglog(p, of_loss, ".", label=name)
    axes[0].set(ylabel="length of ∇p", title="The slope of p is proportional to p")
    axes[1].set(ylabel="length of ∇L", title="∇L: steep from the floor up to p near 1")
    axes[1].axvline(FLOOR, color="black", linestyle="--", linewidth=1)
    axes[1].text(1.6 * FLOOR, axes[1].get_ylim()[0] * 2, "floor, $10^{-10}$")
    axes[0].legend(frameon=False)
    figure.supxlabel("p of the target at the start (log scale)", fontsize=11)
    plotting.show(
        figure,
        "Two scatter plots on log axes. The gradient of p lies on a straight line: it shrinks with "
        "p. The gradient of the log loss keeps its length from its floor up to p near one only.",
    )


def show_agreement(curves, max_steps):
    """Show how many images each judge takes for their target, along the walks.

    Parameters
    ----------
    curves : dict of str to dict of str to array of shape (n,), values in [0, 1]
        For each kind of start, which opens the title of its panel, and for each judge: the share
        at evenly spaced steps.
    max_steps : int
        Where the last one stands; the first stands at the start.
    """
    size = (4.75 * len(curves), 3.5)
    figure, axes = plt.subplots(1, len(curves), figsize=size, sharey=True, squeeze=False)
    for ax, (start, judges) in zip(axes.flat, curves.items(), strict=True):
        shares = {judge: 100 * np.asarray(values) for judge, values in judges.items()}
        last, share = min(((judge, s[-1]) for judge, s in shares.items()), key=lambda end: end[1])
        title = f"{start}. Least convinced: {last}, {share:.0f} %"
        steps = np.linspace(0, max_steps, len(next(iter(shares.values()))))
        plotting.lines(ax, steps, shares, "steps taken", "", title, label_at_end=False)
        if ax is not axes[0, -1]:
            ax.get_legend().remove()
    axes[0, 0].set_ylabel("taken for their target (%)")
    plotting.show(
        figure,
        "Share of images taken for their target against the steps, from noise and from real "
        "digits. The network itself is convinced first, the second CNN later, the MLP last or "
        "never.",
        name="05_judges",
    )


def show_differences(stopped, walked, pairs, stop_at):
    """Show what was added and removed: stopped early, and after all steps.

    Parameters
    ----------
    stopped, walked : Inversion
        From the same 100 starts; image i began at the source i // 10.
    pairs : sequence of int
        Which images to show.
    stop_at : float, in (0, 1]
        Where `stopped` stopped.
    """
    steps = len(walked.trace) - 1
    start, early, late = (x[pairs] for x in (walked.start, stopped.images, walked.images))
    figure = plotting.digit_table(
        np.stack([start, early, early - start, late, late - start]),
        ["source", f"stopped at {stop_at:g}", "difference", f"{steps} steps", "difference"],
        [f"{pair // 10} → {walked.targets[pair]}" for pair in pairs],
        title=f"Each pixel changed by {np.abs(early - start).mean():.2f} on average when stopped "
        f"at {stop_at:g}, by {np.abs(late - start).mean():.2f} after {steps} steps",
        signed=[False, False, True, False, True],
    )
    plotting.show(
        figure,
        "Digits in columns. Stopped early, most still look like the source, and the pattern of "
        "changed pixels is pale. After all steps, strong strokes are added and others removed.",
        name="05_differences",
    )


def show_step_sizes(runs):
    """Show p along the walks, for learning rates from too small to too large.

    Parameters
    ----------
    runs : dict of float to Inversion
        The learning rates, from the smallest to the largest, and what they led to. The titles say
        what p does.
    """
    size = (0.5 + 3 * len(runs), 3.2)
    figure, axes = plt.subplots(1, len(runs), figsize=size, sharey=True, squeeze=False)
    for ax, (rate, run) in zip(axes.flat, runs.items(), strict=True):
        ax.plot(run.trace, color=plotting.COLOURS[0], linewidth=1, alpha=0.7)
        ax.set(xlabel="step", title=f"η = {rate:g}: {_verdict(run.trace)}")
    axes[0, 0].set_ylabel("p of the target")
    plotting.show(
        figure,
        "Trajectories of p of ten images, one panel for each learning rate; the title of a panel "
        "says what p does there: it stays low where steps are too small, rises and stays, or jumps "
        "up and down where they are too large.",
    )


def _verdict(trace, level=0.9):
    """Say in a few words what p does along the walks."""
    late = trace[len(trace) // 2 :] >= level
    if np.mean(trace.max(axis=0) >= level) < 0.5:
        return "p stays low"
    return "p rises and stays" if late.mean() > 0.9 else "p jumps"


def show_ten_starts(runs, target):
    """Show ten noise images and ten real digits, and what one target made of them.

    Parameters
    ----------
    runs : dict of str to Inversion
        Those from ``"noise"`` and from ``"real"`` starts.
    target : int
        The class that all of them went to.
    """
    rows, labels = [], []
    for name in ("noise", "real"):
        run, own = runs[name], runs[name].targets == target
        rows += [run.start[own], run.images[own]]
        labels += [name, f"{len(run.trace) - 1} steps"]
    title = "Ten starts, one target: ten different images"
    plotting.show(
        plotting.digit_table(np.stack(rows), labels, title=title),
        "Four rows of ten images. Ten noise images and ten real digits, and below each what became "
        f"of it on the way to class {target}. Curves of this class return in many, but no two "
        "images are the same.",
    )


def show_blind_test(images):
    """Show ten inverted images without their targets, to be read aloud.

    Parameters
    ----------
    images : array of shape (10, h, w, 1), values in [0, 1]
    """
    figure = plotting.digit_grid(
        images,
        [f"image {place}" for place in range(1, len(images) + 1)],
        columns=5,
        title="Which digits are these?",
    )
    figure.set_size_inches(9.5, 4.6)
    plotting.show(
        figure,
        "Ten images of bright strokes on black, numbered and without labels, to be read before "
        "anybody knows what they were to become.",
        name="05_blind_test",
    )

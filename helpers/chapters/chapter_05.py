"""Exercises of 05: the gradient of an image, one step, several judges, the first success."""

import functools

import matplotlib.pyplot as plt
import numpy as np

from helpers import plotting
from helpers.backend import tf
from helpers.exercises import Exercise, Mistake

IMAGE = np.random.default_rng(0).random((1, 28, 28, 1), dtype=np.float32)


@functools.cache
def _model():
    """Build a network of one layer that puts p = 1e-6 on class 3, and calls the image a 7."""
    import keras

    inputs = keras.Input((28, 28, 1))
    # zeros, not random weights: a check must not move the notebook's random numbers
    layer = keras.layers.Dense(10, activation="softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, layer(keras.layers.Flatten()(inputs)))
    kernel = np.random.default_rng(1).normal(0, 0.1, (784, 10))
    logits = np.array([0.0, -2, -3, np.log(1e-6), -4, -2, -3, 1, -2, -3])
    layer.set_weights([kernel, logits - IMAGE.ravel() @ kernel])
    return model


def _with_model(function):
    return function(_model(), tf.constant(IMAGE), 3)


def _by_hand(model, x, target):
    """Gradient of -log p by hand: for p = softmax(W x + b) it is W (p - onehot)."""
    weights, _ = model.get_weights()
    p = np.asarray(model(x))[0]
    return (weights @ (p - np.eye(10)[target])).reshape(1, 28, 28, 1)


def _taped(loss, watch=True, of="image"):
    """Gradient by tape, of another loss or with respect to something else."""

    def wrong(model, x, target):
        with tf.GradientTape() as tape:
            if watch:
                tape.watch(x)
            value = loss(tf, model(x)[0], target)
        weights = model.trainable_weights
        return tape.gradient(value, {"image": x, "weights": weights, "kernel": weights[0]}[of])

    return wrong


def _log_loss(tf, p, target):
    return -tf.math.log(p[target])


def _length(g, axis):
    return np.sqrt((g**2).sum(axis=axis, keepdims=True)) + 1e-12


ALL_BUT_FIRST = (1, 2, 3)


def _step(axis=ALL_BUT_FIRST, sign=-1, lowest=0.0, highest=1.0):
    return lambda x, g, learning_rate: np.clip(
        x + sign * learning_rate * g / _length(g, axis), lowest, highest
    )


def _step_without_floor(x, g, learning_rate):
    length = np.sqrt((g**2).sum(axis=ALL_BUT_FIRST, keepdims=True))
    return np.clip(x - learning_rate * g / length, 0, 1)


def _images(seed, low, high):
    return np.random.default_rng(seed).uniform(low, high, (2, 28, 28, 1))


# the second gradient is much shorter than the first
GRADIENT = _images(2, -1, 1) * np.array([0.1, 0.001])[:, None, None, None]
ONE_ZERO = GRADIENT * np.array([1.0, 0.0])[:, None, None, None]

# What three judges choose for 16 images, and how sure they are: found by trying, so that all
# wrong answers below give other numbers.
TARGETS = np.array([8, 0, 8, 1, 3, 7, 7, 9, 8, 5, 6, 6, 9, 4, 2, 0])
CHOICES = np.array(
    [
        [8, 0, 8, 1, 0, 7, 7, 9, 8, 5, 6, 3, 9, 4, 7, 3],
        [8, 0, 8, 4, 3, 7, 6, 5, 1, 5, 6, 6, 7, 4, 2, 3],
        [8, 0, 6, 1, 8, 5, 7, 9, 8, 5, 6, 6, 9, 4, 2, 3],
    ]
)
# in hundredths
SURE = np.array(
    [
        [52, 52, 91, 44, 94, 94, 94, 44, 95, 92, 95, 92, 97, 52, 55, 95],
        [46, 52, 91, 95, 48, 55, 91, 44, 91, 55, 52, 55, 92, 48, 48, 92],
        [55, 55, 92, 48, 52, 95, 94, 46, 44, 95, 91, 48, 92, 46, 46, 44],
    ]
)
BELIEFS = np.full((3, 16, 10), 0.005)
np.put_along_axis(BELIEFS, CHOICES[..., None], SURE[..., None] / 100, axis=2)


def _with_judges(n):
    """Give the function n judges: judge k reads its belief from row k of the pixels."""

    def case(function):
        asked = []

        def judge(images, k):
            asked.append(k)
            return np.asarray(images)[:, k, :10, 0]

        images = np.zeros((16, 28, 28, 1), np.float32)
        images[:, :n, :10, 0] = BELIEFS[:n].transpose(1, 0, 2)
        judges = [functools.partial(judge, k=k) for k in range(n)]
        answer = function(judges, images, TARGETS.copy())
        return answer if asked or answer is None else "an answer without asking a judge"

    return case


def _decisions(judges, images, targets):
    """Whether each judge (row) takes each image (column) for its target."""
    return np.stack([judge(images).argmax(axis=1) == targets for judge in judges])


def _belief(judges, images, targets):
    return np.stack([judge(images)[np.arange(len(targets)), targets] for judge in judges])


def _sees(judges, images, targets):
    """Whether all judges take an image for its target."""
    return _decisions(judges, images, targets).all(axis=0)


def _same_choice(judges, images):
    choices = np.stack([judge(images).argmax(axis=1) for judge in judges])
    return (choices == choices[0]).all(axis=0)


def _mean_belief(judges, images):
    return np.mean([judge(images) for judge in judges], axis=0)


# one column an image; the second one falls back, and reaches exactly 0.5 on its way
EASY = np.array([[0.1, 0.2, 0.3], [0.3, 0.95, 0.92], [0.92, 0.5, 0.96], [0.97, 0.93, 0.98]])
NEVER = np.array([[0.1, 0.2, 0.95], [0.3, 0.4, 0.96], [0.92, 0.5, 0.97], [0.97, 0.6, 0.99]])


def _first(trace, level):
    return [next((i for i, p in enumerate(column) if p >= level), -1) for column in trace.T]


def _reached(trace, level, step):
    """Use -1 for the images that never get there."""
    return np.where((trace >= level).any(axis=0), step, -1)


def _last_step(trace, level):
    return len(trace) - 1 - (trace[::-1] >= level).argmax(axis=0)


EXERCISES = (
    Exercise(
        name="05-1",
        right=_by_hand,
        cases={"a network with p = 0.000001 for the target": _with_model},
        mistakes=(
            Mistake(
                "The tape saw no way from x to the loss: call tape.watch(x) before model(x), and "
                "use TensorFlow's functions, not NumPy's.",
                (_taped(_log_loss, watch=False),),
            ),
            Mistake(
                "A step along -g must raise p, and yours lowers it: the sign is turned.",
                (_taped(lambda tf, p, target: tf.math.log(p[target])),),
            ),
            Mistake(
                "Your gradient is a million times too small: you differentiated -p, not -log p.",
                (_taped(lambda tf, p, target: -p[target]),),
            ),
            Mistake(
                "This pushes towards the class that the network believes already: use p[target].",
                (_taped(lambda tf, p, target: -tf.math.log(tf.reduce_max(p))),),
            ),
            Mistake(
                "Expected 784 numbers, one for each pixel: the gradient with respect to x, not to "
                "the weights.",
                (_taped(_log_loss, of="weights"), _taped(_log_loss, of="kernel")),
            ),
            Mistake(
                "This raises the probability of all classes at once: take -log p of the target "
                "only.",
                (
                    _taped(lambda tf, p, target: -tf.math.log(p)),
                    _taped(lambda tf, p, target: -tf.reduce_mean(tf.math.log(p))),
                ),
            ),
        ),
        lesson="The logarithm keeps the gradient large where p is tiny.",
        hint="The weights stay as they are, and the image is what may change. Tell the tape so, "
        "and compute the loss while it is recording.",
        # float32, and log(p + 1e-10) is as good as log(p)
        tolerance=1e-3,
    ),
    Exercise(
        name="05-2",
        right=_step(),
        cases={
            "2 grey images": (_images(3, 0.4, 0.6), GRADIENT, 0.1),
            "2 images with black and white pixels": (
                np.round(_images(4, 0, 1)),
                GRADIENT,
                2.0,
            ),
            "a gradient of 0 for the second image": (_images(3, 0.4, 0.6), ONE_ZERO, 0.1),
        },
        mistakes=(
            Mistake(
                "The step of one image changes when the other one does: each image needs its own "
                "length.",
                (_step(axis=None),),
            ),
            Mistake("This climbs the loss: a step goes against the gradient.", (_step(sign=1),)),
            Mistake(
                "The first image moves by 0.16 and the second by 0.0016, both expected 0.1: divide "
                "the gradient by its length.",
                (
                    lambda x, g, learning_rate: np.clip(x - learning_rate * g, 0, 1),
                    lambda x, g, learning_rate: x - learning_rate * g,
                ),
            ),
            Mistake(
                "The length of a gradient is one number for all 784 pixels of an image: sum over "
                "the last three axes.",
                (_step(axis=1), _step(axis=2), _step(axis=3)),
            ),
            Mistake(
                "A pixel left the range from 0 to 1: clip after the step.",
                when=lambda image: image.min() < 0 or image.max() > 1,
            ),
            Mistake(
                "A gradient of 0 has length 0, and 0/0 is NaN: add a tiny number to the length.",
                (_step_without_floor,),
                when=lambda image: np.isnan(image).any(),
            ),
        ),
        lesson="Every image moves by the learning rate, however small its gradient is.",
        hint="First make the gradient of each image 1 long, then walk against it, then stay "
        "between black and white. What does a gradient of 0 do to this?",
    ),
    Exercise(
        name="05-3",
        right=lambda *a: np.mean(_sees(*a)),
        cases={"3 judges, 16 images": _with_judges(3), "2 judges, 16 images": _with_judges(2)},
        mistakes=(
            Mistake(
                "No judge was ever asked: use those that come in, not the network that made the "
                "images.",
                (lambda judges, images, targets: 1.0,),
            ),
            Mistake(
                "Count decisions, not confidence: a judge agrees when the target is its most "
                "probable class.",
                (
                    lambda *a: np.mean((_belief(*a) > 0.9).all(axis=0)),
                    lambda *a: np.mean((_belief(*a) > 0.5).all(axis=0)),
                    lambda *a: np.mean(_belief(*a) > 0.9),
                    lambda *a: np.mean(_belief(*a) > 0.5),
                    lambda *a: np.mean(_belief(*a)),
                    lambda *a: np.mean(_belief(*a).min(axis=0)),
                    lambda *a: np.mean(_belief(*a).prod(axis=0)),
                ),
            ),
            Mistake(
                "The judges must not be averaged: first decide for each image whether all of them "
                "see its target, then take the mean over the images.",
                (
                    lambda *a: np.mean(_decisions(*a)),
                    lambda *a: np.prod(_decisions(*a).mean(axis=1)),
                    lambda *a: np.min(_decisions(*a).mean(axis=1)),
                    lambda *a: np.mean(_mean_belief(*a[:2]).argmax(axis=1) == a[2]),
                ),
            ),
            Mistake(
                "One judge is enough for you, or most of them: an image counts if all judges "
                "agree.",
                (
                    lambda *a: np.mean(_decisions(*a).any(axis=0)),
                    lambda *a: np.mean(_decisions(*a).mean(axis=0) > 0.5),
                ),
            ),
            Mistake(
                "You asked some of the judges only: ask all of them, however many come in.",
                (
                    lambda *a: np.mean(_decisions(*a)[0]),
                    lambda *a: np.mean(_decisions(*a)[-1]),
                    lambda *a: np.mean(_sees(a[0][:2], *a[1:])),
                ),
            ),
            Mistake(
                "One number for all images and judges: take the mean.",
                (
                    _sees,
                    _decisions,
                    lambda *a: _decisions(*a).T,
                    lambda *a: _decisions(*a).mean(axis=0),
                    lambda *a: _decisions(*a).mean(axis=1),
                ),
            ),
            Mistake(
                "That is how many: return the share, between 0 and 1.",
                (lambda *a: np.sum(_sees(*a)), lambda *a: 100 * np.mean(_sees(*a))),
            ),
            Mistake(
                "That is the share that the judges do not recognise.",
                (lambda *a: np.mean(~_sees(*a)), lambda *a: np.mean(~_decisions(*a).any(axis=0))),
            ),
            Mistake(
                "The judges agree with each other there, perhaps on a wrong class: compare each "
                "with the target.",
                (lambda *a: np.mean(_same_choice(a[0], a[1])),),
            ),
        ),
        lesson="Networks that did not make the images are fairer judges of them.",
        hint="Each judge gives ten probabilities for each image. Which class does it choose? Keep "
        "for each image whether all judges have chosen its target so far.",
    ),
    Exercise(
        name="05-4",
        right=_first,
        cases={
            "3 images that all reach 0.9": (EASY, 0.9),
            "3 images, one of which never reaches 0.9": (NEVER, 0.9),
            "level 0.5": (NEVER, 0.5),
        },
        mistakes=(
            Mistake(
                "Image 1 never gets there, and you say that it starts there: return -1.",
                (lambda trace, level: (trace >= level).argmax(axis=0),),
            ),
            Mistake(
                "That is the last such step: the exercise asks for the first.",
                (
                    lambda trace, level: _reached(trace, level, _last_step(trace, level)),
                    _last_step,
                ),
            ),
            Mistake(
                "The start is step 0: yours counts from 1.",
                (
                    lambda trace, level: _reached(
                        trace, level, (trace >= level).argmax(axis=0) + 1
                    ),
                    lambda trace, level: (trace >= level).argmax(axis=0) + 1,
                ),
            ),
            Mistake(
                "A probability can fall back: look for the first step, do not count the steps "
                "below the level.",
                (
                    lambda trace, level: (trace < level).sum(axis=0),
                    lambda trace, level: _reached(trace, level, (trace < level).sum(axis=0)),
                ),
            ),
            Mistake(
                "A column is an image, a row is a step: look down the columns, axis=0.",
                (lambda trace, level: (trace >= level).argmax(axis=1),),
            ),
            Mistake(
                "A probability of exactly the level counts as reached: use >=.",
                (lambda trace, level: _first(trace, level + 1e-9),),
            ),
            Mistake(
                "Compare with the argument `level`, not always with 0.9.",
                (lambda trace, level: _first(trace, 0.9),),
            ),
        ),
        lesson="argmax of a column of False is 0: “never” needs a sign of its own.",
        hint="Ask of every step whether it has reached the level. Where is the first True of a "
        "column? What if there is none?",
    ),
)


# --- figures

FLOOR = 1e-10  # the number inside the logarithm of the log loss
ORANGE = plotting.COLOURS[1]


def show_stall(trajectories, target, epsilon):
    """Show that climbing p stalls on a real digit: p and the length of its gradient.

    Parameters
    ----------
    trajectories : dict of str to array of shape (steps, 2)
        For each start, p of the target and the length of the gradient before every step.
    target : int
        The class that was climbed to.
    epsilon : float
        The length of the gradient below which the stopping rule ends a walk.
    """
    figure, axes = _probability_and_slope(trajectories, target, "length of the gradient of p")
    axes[0].set_title("From noise p climbs, from a digit it stays")
    axes[1].set_title("From a digit, the ground is flat everywhere")
    axes[1].axhline(epsilon, color="black", linestyle="--", linewidth=1)
    axes[1].annotate(
        "ε", (0.98, epsilon), xycoords=("axes fraction", "data"), ha="right", va="bottom"
    )
    plotting.show(
        figure,
        "Two panels with log axes, two curves in each. From noise, p climbs to nearly one within a "
        "few steps. From a real digit it stays many powers of ten below, and so does the length of "
        "the gradient: a stall.",
    )


def show_repair(trajectories, target):
    """Show that the log loss climbs where the naive step stalls.

    Parameters
    ----------
    trajectories : dict of str to array of shape (steps, 2)
        For each kind of step, from one start: p of the target and the length of the gradient.
    target : int
    """
    figure, axes = _probability_and_slope(
        trajectories, target, "length of the gradient of the loss"
    )
    axes[0].set_title("The same digit now climbs to p of almost 1")
    axes[1].set_title("Steep from the floor up to p near 1")
    axes[0].axhline(FLOOR, color="black", linestyle="--", linewidth=1)
    axes[0].annotate(
        "floor of the logarithm, $10^{-10}$",
        (0.98, 1.6 * FLOOR),
        xycoords=("axes fraction", "data"),
        ha="right",
    )
    plotting.show(
        figure,
        "Two panels with log axes, two curves in each, both from the same real digit. With the log "
        "loss, p climbs over many powers of ten to almost one. The naive walk stays flat at the "
        "bottom. The gradient of the log loss is long between its floor and p near one.",
    )


def _probability_and_slope(trajectories, target, slope):
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
    for ax, column, label in zip(axes, (0, 1), (f"p of class {target}", slope), strict=True):
        for name, trajectory in trajectories.items():
            ax.semilogy(trajectory[:, column], label=name)
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


def show_matrix(images):
    """Show what became of ten real digits on their way to all ten classes.

    Parameters
    ----------
    images : array of shape (100, h, w, 1), values in [0, 1]
        Image i comes from the source i // 10 and goes to the class i % 10. The diagonal, drawn in
        an orange frame, holds the real sources.
    """
    images = plotting.squeeze_digits(images)
    figure = plotting.digit_table(
        images.reshape(10, 10, *images.shape[1:]),
        list("0123456789"),
        list("0123456789"),
        title="The network is certain of the class of every column",
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
    """Show one real digit on its way to all ten classes, as an animation.

    Parameters
    ----------
    frames : array of shape (frames, 10, h, w, 1), values in [0, 1]
    source : int
        The class of the digit.
    """
    plotting.animate(
        frames,
        f"An animation of ten copies of one real {source}. Each grows bright strokes of another "
        f"digit, from zero to nine, over the strokes of the {source}.",
        name="05_film",
        columns=5,
        milliseconds=120,
    )


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
        For each kind of start, the title of its panel, and for each judge: the share at evenly
        spaced steps.
    max_steps : int
        Where the last one stands; the first stands at the start.
    """
    size = (4.75 * len(curves), 3.5)
    figure, axes = plt.subplots(1, len(curves), figsize=size, sharey=True, squeeze=False)
    for ax, (title, shares) in zip(axes.flat, curves.items(), strict=True):
        steps = np.linspace(0, max_steps, len(next(iter(shares.values()))))
        plotting.lines(ax, steps, shares, "steps taken", "", title, label_at_end=False)
        if ax is not axes[0, -1]:
            ax.get_legend().remove()
    axes[0, 0].set_ylabel("agreement")
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
        title=f"Stopped at {stop_at:g}, little has changed; after {steps} steps, much has",
        signed=[False, False, True, False, True],
    )
    plotting.show(
        figure,
        "Digits in columns. Stopped early, most still look like the source, and the pattern of "
        "changed pixels is pale. After all steps, strong strokes are added and others removed.",
        name="05_differences",
    )


def show_step_sizes(runs):
    """Show p along the walks, for a learning rate that is too small, right, and too large.

    Parameters
    ----------
    runs : dict of float to Inversion
        Three learning rates, from the smallest to the largest, and what they led to.
    """
    figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.2), sharey=True)
    words = ("too small", "right", "too large")
    for ax, (rate, run), word in zip(axes, runs.items(), words, strict=True):
        ax.plot(run.trace, color=plotting.COLOURS[0], linewidth=1, alpha=0.7)
        ax.set(xlabel="step", title=f"η = {rate:g}: {word}")
    axes[0].set_ylabel("p of the target")
    plotting.show(
        figure,
        "Ten trajectories of p for each of three learning rates. Too small: p hardly leaves zero. "
        "Right: p rises to one and stays. Too large: p jumps up and down until the end.",
    )


def show_images_by_rate(runs):
    """Show what several learning rates made of the same images.

    Parameters
    ----------
    runs : dict of float to Inversion
        From the smallest to the largest learning rate, all from the same starts.
    """
    first = next(iter(runs.values()))
    figure = plotting.digit_table(
        np.stack([first.start, *(run.images for run in runs.values())]),
        ["source", *(f"η = {rate:g}" for rate in runs)],
        [f"→ {target}" for target in first.targets],
        title=f"After {len(first.trace) - 1} steps: the larger η, the less is left of the source",
    )
    plotting.show(
        figure,
        "Rows of ten images, the sources above. With the smallest rate they look unchanged. Then "
        "strokes of the target appear. With the largest rate, black and white blocks cover "
        "everything.",
    )


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
        title="Which digits are these? The network has no doubt",
    )
    figure.set_size_inches(9.5, 4.6)
    plotting.show(
        figure,
        "Ten images of bright strokes on black, numbered and without labels. A few resemble a "
        "digit, others could be anything. The network is certain of all of them.",
        name="05_blind_test",
    )

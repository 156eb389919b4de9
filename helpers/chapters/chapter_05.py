"""Exercises of 05: the gradient of an image, one step, several judges, the first success."""

import functools

import matplotlib.pyplot as plt
import numpy as np

from helpers import plotting
from helpers.exercises import Exercise

RNG = np.random.default_rng(0)
PHOTOS = RNG.random((2, 1, 28, 28, 1), dtype=np.float32)
slope = Exercise(
    "05-1",
    points=2,
    lesson="The logarithm keeps the gradient large where p is tiny.",
    hint=(
        "The weights stay as they are, and the image is what may change. Tell the tape so, and "
        "compute the loss while it is recording.",
        "Inside `with tf.GradientTape() as tape:` watch x, ask the model, take -tf.math.log of the "
        "target's probability; behind it ask the tape.",
        "tape.watch(x), then loss = -tf.math.log(model(x)[0, target]), then tape.gradient(loss, x)",
    ),
    # float32, and log(p + 1e-10) is as good as log(p)
    tolerance=1e-3,
)


@functools.cache
def _model():
    """Build a network of one layer: for the first image p = 1e-6 for class 3, and 7 is the best."""
    from helpers.backend import keras

    inputs = keras.Input((28, 28, 1))
    # zeros, not random weights: a check must not move the notebook's random numbers
    layer = keras.layers.Dense(10, activation="softmax", kernel_initializer="zeros")
    model = keras.Model(inputs, layer(keras.layers.Flatten()(inputs)))
    kernel = np.random.default_rng(1).normal(0, 0.1, (784, 10))
    logits = np.array([0.0, -2, -3, np.log(1e-6), -4, -2, -3, 1, -2, -3])
    layer.set_weights([kernel, logits - PHOTOS[0].ravel() @ kernel])
    return model


def _with_model(function, photo, target):
    from helpers.backend import tf

    return function(_model(), tf.constant(PHOTOS[photo]), target)


slope.case("a network with p = 0.000001 for the target", 0, 3, view=_with_model)
slope.case("another class", 0, 8, view=_with_model)
slope.case("another image", 1, 5, view=_with_model)
slope.case("the other image, class 0", 1, 0, view=_with_model, hidden=True)
UNSEEN = "The tape saw no way from x to the loss: call tape.watch(x) before model(x)."
ALL = "This raises the probability of all classes at once: take -log p of the target only."


@slope.rule(
    "784 numbers are expected, one a pixel: the gradient with respect to x, not to weights."
)
def _is_an_image(g):
    return not isinstance(g, list) and g.size == 784


@slope.rule("Use the argument `target`, not always class 3.")
def _class_3(g, photo, target):
    return target == 3


@slope.right
def _by_hand(model, x, target):
    """Gradient of -log p by hand: for p = softmax(W x + b) it is W (p - onehot)."""
    weights, _ = model.get_weights()
    return (weights @ (np.asarray(model(x))[0] - np.eye(10)[target])).reshape(x.shape)


@slope.mistake(_class_3, fixed=3)
@slope.mistake(_is_an_image, of=lambda model, x: model.trainable_weights)
@slope.mistake(UNSEEN, watch=False)
@slope.mistake(
    "np.log leaves TensorFlow, and the tape loses the way: use tf.math.log.",
    loss=lambda tf, p, target: -np.log(p[target]),
)
@slope.mistake(
    "A step along -g must raise p, and yours lowers it: the sign is turned.",
    loss=lambda tf, p, target: tf.math.log(p[target]),
)
@slope.mistake(
    "A million times too small: this is the gradient of p, not of -log p.",
    loss=lambda tf, p, target: p[target],
)
@slope.mistake(
    "A million times too small: this is the gradient of -p, not of -log p.",
    loss=lambda tf, p, target: -p[target],
)
@slope.mistake(
    "This pushes towards the class that the network believes already: use p[target].",
    loss=lambda tf, p, target: -tf.math.log(tf.reduce_max(p)),
)
@slope.mistake(ALL, loss=lambda tf, p, target: -tf.math.log(p))
@slope.mistake(ALL, loss=lambda tf, p, target: -tf.reduce_mean(tf.math.log(p)))
def _taped(
    model,
    x,
    target,
    loss=lambda tf, p, target: -tf.math.log(p[target]),
    of=lambda model, x: x,
    watch=True,
    fixed=None,
):
    from helpers.backend import tf

    with tf.GradientTape() as tape:
        if watch:
            tape.watch(x)
        value = loss(tf, model(x)[0], fixed or target)
    return tape.gradient(value, of(model, x))


step = Exercise(
    "05-2",
    points=2,
    lesson="Every image moves by the learning rate, however small its gradient is.",
    hint=(
        "First make the gradient of each image 1 long, then walk against it, then stay between "
        "black and white. What does a gradient of 0 do to this?",
        "The length is the root of the sum of squares over axis=(1, 2, 3), with keepdims=True; add "
        "a tiny number to it. np.clip comes last.",
        "np.clip(x - learning_rate * g / (length + 1e-10), 0, 1)",
    ),
)


def _pixels(*values):
    """Build an image that is 0 but for some pixels, all in different rows and columns."""
    image = np.zeros((1, 28, 28, 1))
    image[0, range(len(values)), range(len(values)), 0] = values
    return image


GREY, WILD = RNG.uniform(0.4, 0.6, (2, 28, 28, 1)), RNG.uniform(-1, 1, (3, 28, 28, 1))
BLACK_AND_WHITE = RNG.integers(0, 2, (2, 28, 28, 1)).astype(float)
# the second gradient is much shorter than the first
UNEQUAL = WILD[:2] * np.array([0.1, 0.001])[:, None, None, None]
step.case("the text's example", 0 * GREY[:1] + 0.5, _pixels(3, 4), 0.1)
step.case("2 grey images", GREY, UNEQUAL, 0.1)
step.case("2 images with black and white pixels", BLACK_AND_WHITE, UNEQUAL, 2.0)
step.case("a gradient of 0 for the second image", GREY, np.stack([WILD[0], 0 * WILD[0]]), 0.1)
step.case("3 images, learning rate 5", np.abs(WILD), -WILD[::-1], 5.0, hidden=True)


@step.rule("A pixel left the range from 0 to 1: clip after the step.")
def _in_range(image):
    return not (image.min() < 0 or image.max() > 1)


@step.rule("A gradient of 0 has length 0, and 0/0 is NaN: add a tiny number to the length.")
def _not_nan(image):
    return not np.isnan(image).any()


@step.right
def _image_by_image(x, g, rate):
    moved = [a - rate * b / (np.linalg.norm(b) or 1) for a, b in zip(x, g, strict=True)]
    return np.minimum(np.maximum(moved, 0), 1)


def _length(g, axis, keepdims, tiny):
    return np.sqrt((g**2).sum(axis=axis, keepdims=keepdims)) + tiny


@step.mistake(_in_range, clip=lambda x, low, high: x)
@step.mistake(_not_nan, tiny=0)
@step.mistake("One image's step changes with the other: each needs its own length.", axis=None)
@step.mistake("This climbs the loss: a step goes against the gradient.", sign=1)
@step.mistake("The length is one number for all 784 pixels: sum over the last three axes.", axis=1)
@step.mistake("Lengths of shape (n,) do not fit: keepdims=True makes (n, 1, 1, 1).", keepdims=False)
@step.mistake(
    "The example moves by 0.5, expected 0.1: divide the gradient by its length.",
    length=lambda *a: 1,
)
def _step(
    x, g, rate, axis=(1, 2, 3), sign=-1, keepdims=True, tiny=1e-12, length=_length, clip=np.clip
):
    return clip(x + sign * rate * g / length(g, axis, keepdims, tiny), 0, 1)


ask = Exercise(
    "05-3",
    points=2,
    lesson="Networks that did not make the images are fairer judges of them.",
    hint=(
        "Each judge gives ten probabilities for each image. Which class does it choose? Keep for "
        "each image whether all judges have chosen its target so far.",
        "Start with an array of True for the images, and use &= with what each judge says.",
        "seen &= np.argmax(judge(images), axis=1) == targets, for each judge; then seen.mean()",
    ),
)


class Judge:
    """A judge that reads from row k of the pixels what it believes of an image."""

    def __init__(self, k):
        self.k, self.asked = k, False

    def __call__(self, images):
        """Return the probabilities (n, 10)."""
        self.asked = True
        return np.asarray(images)[:, self.k, :10, 0]


def _panel(choices, sure):
    """Build judges, and images of which they choose these classes and are so sure."""
    beliefs = np.full((*np.shape(choices), 10), 0.005)
    np.put_along_axis(beliefs, np.array(choices)[..., None], np.array(sure)[..., None], axis=2)
    images = np.zeros((beliefs.shape[1], 28, 28, 1), np.float32)
    images[:, : len(beliefs), :10, 0] = beliefs.transpose(1, 0, 2)
    return [Judge(k) for k in range(len(beliefs))], images


# What judges choose for 16 images, and how sure they are in hundredths: found by trying, so that
# all wrong answers below give other numbers.
TARGETS = np.array([8, 0, 8, 1, 3, 7, 7, 9, 8, 5, 6, 6, 9, 4, 2, 0])
CHOICES = [
    [8, 0, 8, 1, 0, 7, 7, 9, 8, 5, 6, 3, 9, 4, 7, 3],
    [8, 0, 8, 4, 3, 7, 6, 5, 1, 5, 6, 6, 7, 4, 2, 3],
    [8, 0, 6, 1, 8, 5, 7, 9, 8, 5, 6, 6, 9, 4, 2, 3],
]
SURE = np.array(
    [
        [52, 52, 91, 44, 94, 94, 94, 44, 95, 92, 95, 92, 97, 52, 55, 95],
        [46, 52, 91, 95, 48, 55, 91, 44, 91, 55, 52, 55, 92, 48, 48, 92],
        [55, 55, 92, 48, 52, 95, 94, 46, 44, 95, 91, 48, 92, 46, 46, 44],
    ]
)
TWO_OF_THREE = _panel([[3, 5, 8], [3, 6, 0]], [[0.8, 0.95, 0.6], [0.92, 0.5, 0.95]])
ask.case("the text's example", *TWO_OF_THREE, np.array([3, 5, 0]))
ask.case("3 judges, 16 images", *_panel(CHOICES, SURE / 100), TARGETS)
ask.case("2 judges, 16 images", *_panel(CHOICES[:2], SURE[:2] / 100), TARGETS)
ask.case("1 judge, 16 images", *_panel(CHOICES[2:], SURE[2:] / 100), TARGETS, hidden=True)
DECIDE = "Count decisions, not confidence: the target must be a judge's most probable class."
AVERAGED = "First decide for each image whether all judges see its target; average the images only."
SOME = "You asked some of the judges only: ask all of them, however many come in."


@ask.rule("No judge was asked: use those that come in, not the network that made the images.")
def _asked(share, judges, images, targets):
    return any(judge.asked for judge in judges)


@ask.rule("One number for all images and judges: take the mean.")
def _is_one(share):
    return share.size == 1


@ask.rule("That is how many: return the share, between 0 and 1.")
def _is_share(share):
    return share <= 1


@ask.rule(DECIDE)
def _counts_images(share, judges, images, targets):
    return np.isclose(share * len(images), np.round(share * len(images)))


ask.mistake(_asked)(lambda judges, images, targets: 1.0)


def _decided(p, targets):
    return p.argmax(axis=2) == targets


@ask.right
@ask.mistake(_is_one, mean=np.array)
@ask.mistake(_is_share, mean=np.sum)
@ask.mistake(
    _counts_images, sees=lambda p, targets: p[:, range(len(targets)), targets], every=np.mean
)
@ask.mistake(DECIDE, sees=lambda p, targets: p[:, range(len(targets)), targets] > 0.9)
@ask.mistake(AVERAGED, every=np.mean)
@ask.mistake(AVERAGED, sees=lambda p, targets: _decided(p.mean(axis=0, keepdims=True), targets))
@ask.mistake("One judge is enough for you: an image counts if all judges agree.", every=np.any)
@ask.mistake(SOME, some=slice(0, 1))
@ask.mistake(SOME, some=slice(-1, None))
@ask.mistake(SOME, some=slice(0, 2))
@ask.mistake("That is the share that they do not recognise.", mean=lambda seen: 1 - seen.mean())
@ask.mistake(
    "There the judges agree with each other, perhaps on a wrong class: compare with the target.",
    sees=lambda p, targets: _decided(p, p[0].argmax(axis=1)),
)
def _share(judges, images, targets, some=slice(None), sees=_decided, every=np.all, mean=np.mean):
    p = np.stack([judge(images) for judge in judges[some]])
    return mean(every(sees(p, targets), axis=0))


reach = Exercise(
    "05-4",
    points=2,
    lesson="argmax of a column of False is 0: “never” needs a sign of its own.",
    hint=(
        "Ask of every step whether it has reached the level. Where is the first True of a column?",
        "(trace >= level).argmax(axis=0) is the first True; for a column without one it is 0, so "
        "ask .any(axis=0) as well.",
        "np.where(success.any(axis=0), success.argmax(axis=0), -1)",
    ),
)
COLUMN = np.array([[0.2, 0.7, 0.95, 0.8]]).T
# one column an image; the second one falls back, and reaches exactly 0.5 on its way
EASY = np.array([[0.1, 0.2, 0.3], [0.3, 0.95, 0.92], [0.92, 0.5, 0.96], [0.97, 0.93, 0.98]])
NEVER = np.array([[0.1, 0.2, 0.95], [0.3, 0.4, 0.96], [0.92, 0.5, 0.97], [0.97, 0.6, 0.99]])
reach.case("the text's example, level 0.9", COLUMN, 0.9)
reach.case("the text's example, level 0.99", COLUMN, 0.99)
reach.case("3 images that all reach 0.9", EASY, 0.9)
reach.case("3 images, one of which never reaches 0.9", NEVER, 0.9)
reach.case("level 0.5", NEVER, 0.5)
reach.case("8 images, level 0.7", RNG.random((6, 8)), 0.7, hidden=True)
FALLS = "A probability can fall back: look for the first step, do not count those below the level."


@reach.right
@reach.mistake("The start is step 0: yours counts from 1.", start=1)
@reach.mistake("An image that never gets there has no first step: return -1.", never=0)
@reach.mistake("Compare with the argument `level`, not always with 0.9.", fixed=0.9)
@reach.mistake("A probability of exactly the level counts as reached: use >=.", above=1e-9)
def _first(trace, level, start=0, never=-1, fixed=None, above=0.0):
    level = (fixed or level) + above
    return [next((i for i, p in enumerate(c, start) if p >= level), never) for c in trace.T]


@reach.mistake(FALLS, never=None)
@reach.mistake(FALLS, never=-1)
def _steps_below(trace, level, never):
    below = (trace < level).sum(axis=0)
    return below if never is None else np.where(below < len(trace), below, never)


@reach.mistake("That is the last such step: the exercise asks for the first.")
def _last(trace, level):
    return [max(np.flatnonzero(column >= level), default=-1) for column in trace.T]


@reach.mistake("An image that got there and fell back counts too: ask every step, not the last.")
def _by_the_end(trace, level):
    return np.where(trace[-1] >= level, (trace >= level).argmax(axis=0), -1)


@reach.mistake("A column is an image, a row is a step: look down the columns, axis=0.")
def _along_rows(trace, level):
    return (trace >= level).argmax(axis=1)


# --- figures


def line_panels(panels, x, x_label, y_label):
    """Draw the same curves under several conditions, side by side.

    Parameters
    ----------
    panels : dict of str to dict of str to array of shape (n,)
        For each condition, the title of its panel, the named curves of `lines`.
    x : array of shape (n,)
    x_label, y_label : str

    Returns
    -------
    matplotlib Figure
    """
    size = (4.75 * len(panels), 3.5)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (title, curves) in zip(axes.flat, panels.items(), strict=True):
        plotting.lines(ax, x, curves, x_label, "", title, label_at_end=False)
        if ax is not axes[0, -1]:
            ax.get_legend().remove()
    axes[0, 0].set_ylabel(y_label)
    return figure


def walks(ways, what, titles, short=None):
    """Draw the probability and the length of the gradient along walks, on log axes.

    Parameters
    ----------
    ways : dict of str to array of shape (steps, 2)
        For each walk, p of the target and the length of the gradient before every step.
    what : sequence of 2 str
        The names of the two vertical axes.
    titles : sequence of 2 str
        The findings.
    short : float, optional
        The length below which a walk stops: a dashed line.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
    for ax, column, label, title in zip(axes, (0, 1), what, titles, strict=True):
        for name, way in ways.items():
            ax.semilogy(way[:, column], label=name)
        ax.set(xlabel="step", ylabel=label, title=title)
    if short:
        axes[1].axhline(short, color="black", linestyle="--", linewidth=1)
        axes[1].annotate(
            "ε", (0.98, short), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    axes[0].legend(frameon=False)
    return figure

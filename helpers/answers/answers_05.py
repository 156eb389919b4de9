"""Answers of 05: the gradient of an image, one step, several judges, the sign of a report."""

import math

import numpy as np

from helpers.chapters.chapter_05 import (
    ask,
    asked,
    climb,
    in_range,
    is_alone,
    is_bare,
    is_counted,
    is_image,
    is_one,
    no_nan,
    slope,
    stays,
    step,
)

# --- 05-1

SMALL = "A million times too small: this is the gradient of p, not of -log p."
ALL = "This raises the probability of all classes at once: take -log p of the target only."
BEST = "This pushes towards the class that the network believes already: use p[target]."
FIXED = "Use the argument `target`: this takes one class, whatever comes in."
NO_WAY = (
    "The tape saw no way from x to the loss: call tape.watch(x) first, stay inside the tape, and "
    "ask model(x), not model.predict."
)
NUMPY = (
    "The loss has left TensorFlow: use tf.math.log, and no float(), .numpy(), np.log or math.log."
)


@slope.right
def _by_hand(model, x, target):
    """Gradient of -log p by hand: for p = softmax(W x + b) it is W (p - onehot)."""
    weights, _ = model.get_weights()
    return (weights @ (np.asarray(model(x))[0] - np.eye(10)[target])).reshape(x.shape)


@slope.mistake(is_alone)
def _with_the_loss(model, x, target):
    return 0.0, _by_hand(model, x, target)


@slope.mistake(is_bare)
def _in_a_list(model, x, target):
    return [_by_hand(model, x, target)]


@slope.mistake(is_image, of_weights=True)
@slope.mistake(NO_WAY, watch=False)
@slope.mistake(NUMPY, loss=lambda p, i, log: -np.log(p[i]))
@slope.mistake(NUMPY, loss=lambda p, i, log: -math.log(p[i]))
@slope.mistake("A step along -g must raise p, yours lowers it.", loss=lambda p, i, log: log(p[i]))
@slope.mistake(SMALL, loss=lambda p, i, log: p[i])
@slope.mistake(SMALL, loss=lambda p, i, log: -p[i])
@slope.mistake(BEST, loss=lambda p, i, log: -log(max(p)))
@slope.mistake("Keep the length of the gradient: exercise 05-2 divides by it.", normalize=True)
@slope.mistake(ALL, loss=lambda p, i, log: -log(p))
@slope.mistake(ALL, loss=lambda p, i, log: -sum(log(p)) / 10)
def _taped(
    model,
    x,
    target,
    loss=lambda p, i, log: -log(p[i]),
    of_weights=False,
    watch=True,
    fixed=None,
    normalize=False,
):
    from helpers.backend import tf

    with tf.GradientTape() as tape:
        if watch:
            tape.watch(x)
        value = loss(model(x)[0], target if fixed is None else fixed, tf.math.log)
    g = tape.gradient(value, model.trainable_weights if of_weights else x)
    return g / tf.norm(g) if normalize else g


for number in set(range(10)) - {7}:  # 7 is what the network believes
    slope.mistake(FIXED, fixed=number)(_taped)


# --- 05-2

ALL_AXES = "The length is one number for all 784 pixels: sum over the last three axes."
EXACTLY = "An image must move by exactly learning_rate: learning_rate * g / length."
ROOT = "The length of a gradient is the root of the sum of its 784 squares."
SHORT = "A short gradient counts too: the number against 0/0 must be far smaller than it."


@step.right
def _image_by_image(x, g, rate):
    moved = [a - rate * b / (np.linalg.norm(b) or 1) for a, b in zip(x, g, strict=True)]
    return np.minimum(np.maximum(moved, 0), 1)


def _image_length(g, axis=(1, 2, 3), keepdims=True):
    return np.sqrt((g**2).sum(axis=axis, keepdims=keepdims))


@step.mistake(in_range, highest=np.inf)
@step.mistake(no_nan, tiny=0)
@step.mistake("One image's step changes with the other: each needs its own length.", axis=None)
@step.mistake("This climbs the loss: a step goes against the gradient.", sign=1)
@step.mistake(ALL_AXES, axis=0)
@step.mistake(ALL_AXES, axis=1)
@step.mistake(ALL_AXES, axis=2)
@step.mistake(ALL_AXES, axis=3)
@step.mistake("Lengths of shape (n,) do not fit: keepdims=True makes (n, 1, 1, 1).", keepdims=False)
@step.mistake(EXACTLY, power=0)
@step.mistake(EXACTLY, power=-1)
@step.mistake(EXACTLY, fixed=1.0)
@step.mistake(EXACTLY, fixed=0.1)
@step.mistake(ROOT, power=2)
@step.mistake(ROOT, of=lambda g, axis, keepdims: np.abs(g).sum(axis=axis, keepdims=keepdims))
@step.mistake(ROOT, of=lambda g, axis, keepdims: np.abs(g).max(axis=axis, keepdims=keepdims))
@step.mistake(ROOT, of=lambda g, axis, keepdims: g.std(axis=axis, keepdims=keepdims))
@step.mistake(ROOT, of=lambda g, *_, **__: _image_length(g) / 28)  # the mean of the squares
@step.mistake(SHORT, tiny=1e-2)
@step.mistake(SHORT, tiny=1e-3)
@step.mistake(SHORT, of=lambda g, *_, **__: np.maximum(_image_length(g), 1))
@step.mistake("Return the image after the step, not the step alone.", start=0, highest=np.inf)
@step.mistake(
    "Return the image after the step, not the step alone.", start=0, sign=1, highest=np.inf
)
def _step(
    x,
    g,
    rate,
    axis=(1, 2, 3),
    sign=-1,
    keepdims=True,
    tiny=1e-12,
    power=1,
    highest=1,
    fixed=None,
    start=1,
    of=_image_length,
):
    length = of(g, axis=axis, keepdims=keepdims) + tiny
    moved = start * x + sign * (fixed or rate) * g / length**power
    return np.clip(moved, 1 - highest, highest)


# --- 05-3

DECIDE = "Count decisions, not confidence: the target must be a judge's most probable class."
AVERAGED = "First decide for each image whether all judges see its target; average the images only."
EACH_OTHER = "The judges agree with each other there: compare each with the target."
MAJORITY = "One judge, or a majority, is enough for you: an image counts if all judges agree."
MANY = "Return the share, between 0 and 1: no count, and no percentage."
CALL = "A judge is called like a function: judge(images) gives its probabilities."
SOME = "You asked some of the judges only: ask all of them, however many come in."
ask.mistake(asked)(lambda judges, images, targets: 1.0)


@ask.mistake(CALL)
def _asked_like_keras(judges, images, targets):
    return np.all([judge.predict(images).argmax(1) == targets for judge in judges], axis=0).mean()


def _belief(p, targets):
    return p[:, range(len(targets)), targets]


def _decided(p, targets):
    return p.argmax(axis=2) == targets


@ask.right
@ask.mistake(is_one, mean=np.array)
@ask.mistake(is_counted, sees=_belief, every=np.mean)
@ask.mistake(DECIDE, sees=lambda p, targets: _belief(p, targets) > 0.9)
@ask.mistake(DECIDE, sees=lambda p, targets: _belief(p, targets) > 0.5)
@ask.mistake(MANY, mean=np.sum)
@ask.mistake(MANY, mean=lambda seen: 100 * seen.mean())
@ask.mistake(AVERAGED, every=np.mean)
@ask.mistake(AVERAGED, sees=lambda p, targets: _decided(p.mean(axis=0, keepdims=True), targets))
@ask.mistake(AVERAGED, sees=lambda p, targets: _decided(p.prod(axis=0, keepdims=True), targets))
@ask.mistake(AVERAGED, sees=lambda p, targets: _decided(p.max(axis=0, keepdims=True), targets))
@ask.mistake(MAJORITY, every=np.any)
@ask.mistake(MAJORITY, every=lambda seen, axis: seen.mean(axis) >= 0.5)
@ask.mistake(MAJORITY, every=lambda seen, axis: seen.mean(axis) > 0.5)
@ask.mistake(SOME, some=slice(0, 1))
@ask.mistake(SOME, some=slice(-1, None))
@ask.mistake(SOME, some=slice(0, 2))
@ask.mistake("That is the share that they do not recognise.", mean=lambda seen: 1 - seen.mean())
@ask.mistake(EACH_OTHER, sees=lambda p, _: _decided(p, p[0].argmax(axis=1)))
@ask.mistake(EACH_OTHER, sees=lambda p, _: _decided(p, p[0].argmax(axis=1)), some=slice(0, 2))
def _share(judges, images, targets, some=slice(None), sees=_decided, every=np.all, mean=np.mean):
    p = np.stack([judge(images) for judge in judges[some]])
    return mean(every(sees(p, targets), axis=0))


@ask.mistake(AVERAGED, of=np.prod)
@ask.mistake(AVERAGED, of=np.sum)
@ask.mistake(AVERAGED, of=np.min)
@ask.mistake(AVERAGED, of=np.max)
def _judge_by_judge(judges, images, targets, of):
    return of([_share([judge], images, targets) for judge in judges])


# --- 05-4

DOWN = "This is the printed step, and p falls: x − rate · ∇p goes against the gradient of p."
RATE = "The step must follow `rate`: η times the gradient, whatever η is."
RISES = "A pixel must go down where p falls with it: keep the sign of the gradient."
ALONE = "Return the image after the step, not the step alone."
LONG = "Keep the length of the gradient: the normalised step comes later."


@climb.right
def _up(x, gradient_of_p, rate):
    return np.minimum(np.maximum(x + rate * gradient_of_p, 0), 1)


@climb.mistake(stays, highest=np.inf)
@climb.mistake(DOWN, sign=-1)
@climb.mistake("Down, and out of the range: turn the sign, and clip.", sign=-1, highest=np.inf)
@climb.mistake(
    "Each pixel moves by its own slope: keep the numbers, not only their signs.", of=np.sign
)
@climb.mistake(RISES, of=np.abs)
@climb.mistake(RATE, fixed=1.0)
@climb.mistake(RATE, fixed=0.1)
@climb.mistake(RISES, of=lambda g: np.clip(g, 0, 1))
@climb.mistake(LONG, of=lambda g: g / np.linalg.norm(g))
@climb.mistake(ALONE, start=0.0, highest=np.inf)
@climb.mistake(ALONE, start=0.0)
def _climbed(x, g, rate, sign=1, highest=1, of=np.asarray, fixed=None, start=1.0):
    return np.clip(start * x + sign * (fixed or rate) * of(g), 1 - highest, highest)


# for a synthetic class: a piece of the notebook's solution, and what takes its place
SLIPS = {
    "05-1": [("-tf.math.log", "tf.math.log"), ("p[target] + 1e-10", "p[target] * 2 + p[0]")],
    "05-2": [
        (", keepdims=True", ", keepdims=True) * (2"),
        ("x - learning_rate", "x + learning_rate"),
    ],
    "05-3": [("seen.mean()", "seen.sum()"), ("axis=1", "axis=0")],
    "05-4": [("x - rate", "x + rate"), ("np.clip(x", "np.abs(x")],
}

"""Every exercise: the solution passes, the stub does not, each mistake gets its own message."""

import importlib
import inspect
import itertools
import math
import warnings
from fractions import Fraction

import numpy as np
import pytest
from scipy import special, stats
from sklearn.metrics import confusion_matrix
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import helpers
from helpers.checks import _exercises, check, hint

EXERCISES = {
    exercise.name: exercise
    for chapter in range(1, 8)
    for exercise in importlib.import_module(f"helpers.checks.chapter_{chapter:02}").EXERCISES
}


# ---- the solutions, as they stand in the notebooks -----------------------------------------


def conv_parameters(kernel, channels_in, filters):
    """Count the parameters of a convolution layer: an int."""
    return (kernel * kernel * channels_in + 1) * filters


def softmax(logits):
    """Turn logits (n, 10) into probabilities (n, 10)."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def most_confident_mistakes(p, y, n):
    """Return the n places in the test set, the most confident mistake first."""
    mistakes = np.flatnonzero(p.argmax(axis=1) != y)
    order = np.argsort(-p[mistakes].max(axis=1))
    return mistakes[order[:n]]


def confusion(y, predicted):
    """Count the images of each true class (row) and predicted class (column): (10, 10)."""
    matrix = np.zeros((10, 10), int)
    for true, answer in zip(y, predicted, strict=True):
        matrix[true, answer] += 1
    return matrix


def multiply_adds(h, w, kernel, c_in, c_out):
    """Count the multiply-adds of a convolution without padding: an int."""
    places = (h - kernel + 1) * (w - kernel + 1)
    return places * kernel * kernel * c_in * c_out


def mcnemar(correct_a, correct_b):
    """Return the p-value of McNemar's exact test, two-sided: a float."""
    from scipy.stats import binomtest

    only_a = np.sum(correct_a & ~correct_b)
    only_b = np.sum(~correct_a & correct_b)
    if only_a + only_b == 0:
        return 1.0
    return binomtest(only_a, only_a + only_b).pvalue


def seed_interval(a, b):
    """Return (low, high), the 95 % interval of the mean of a - b over 8 seeds."""
    from scipy.stats import t

    difference = a - b
    half = t.ppf(0.975, 7) * difference.std(ddof=1) / np.sqrt(8)
    return difference.mean() - half, difference.mean() + half


def vote(neighbour_labels):
    """Turn the labels of the neighbours (n, k) into shares of votes (n, 10)."""
    counts = [np.bincount(row, minlength=10) for row in neighbour_labels]
    return np.array(counts) / neighbour_labels.shape[1]


def distances(a, b):
    """Return the distance of each row of a (n, d) to each row of b (m, d): (n, m)."""
    squares_a = (a**2).sum(axis=1)[:, None]
    squares_b = (b**2).sum(axis=1)
    squared = squares_a + squares_b - 2 * a @ b.T
    return np.sqrt(np.maximum(squared, 0))


def best_k(images, labels, ks):
    """Return the k of the list ks with the best leave-one-out accuracy."""
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=max(ks) + 1).fit(images)
    neighbours = labels[search.kneighbors(images, return_distance=False)[:, 1:]]
    scores = []
    for k in ks:
        winners = [np.bincount(row[:k]).argmax() for row in neighbours]
        scores.append(np.mean(winners == labels))
    return ks[np.argmax(scores)]


def mean_confidence(p, y):
    """Return two numbers: mean m(x) of the right answers, mean m(x) of the wrong ones."""
    m = p.max(axis=1)
    right = p.argmax(axis=1) == y
    return m[right].mean(), m[~right].mean()


def ece(m, correct, bins=15):
    """Return the expected calibration error, between 0 and 1: a float."""
    which = np.minimum((m * bins).astype(int), bins - 1)
    error = 0.0
    for i in range(bins):
        inside = which == i
        if inside.any():
            gap = abs(m[inside].mean() - correct[inside].mean())
            error += inside.mean() * gap
    return error


def temperature(p, T):
    """Soften (T > 1) or sharpen (T < 1) probabilities (n, classes), same shape."""
    logits = np.log(p) / T
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def accuracy_kept(m, correct, share):
    """Return the accuracy on the most confident images, a share of all: a float."""
    kept = round(share * len(m))
    surest = np.argsort(-m)[:kept]
    return correct[surest].mean()


def gradient(model, x, target):
    """Return the gradient of -log p[target] with respect to the image, same shape as x."""
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        p = model(x)[0]
        loss = -tf.math.log(p[target] + 1e-10)
    return tape.gradient(loss, x)


def step(x, g, learning_rate):
    """Move each image of x against its gradient g by learning_rate, and stay in [0, 1]."""
    length = np.sqrt((g**2).sum(axis=(1, 2, 3), keepdims=True))
    return np.clip(x - learning_rate * g / (length + 1e-10), 0, 1)


def agreement(judges, images, targets):
    """Return the share of the images that all judges take for their target: a float."""
    seen = np.ones(len(targets), bool)
    for judge in judges:
        seen &= np.argmax(judge(images), axis=1) == targets
    return seen.mean()


def first_success(trace, level):
    """Return, for each image, the first step with p >= level, or -1: (n,)."""
    success = trace >= level
    return np.where(success.any(axis=0), success.argmax(axis=0), -1)


def direction(x, neighbours, labels, target):
    """Return the direction d of the update x - learning_rate * d, same shape as x."""
    sign = np.where(labels == target, 1, -1)
    return (sign[:, None] * (x - neighbours)).mean(axis=0)


def neighbours_to_follow(distances, labels, target, k):
    """Return places in the training set of the images of class target to follow."""
    order = np.argsort(distances)
    near = order[:k]
    follow = near[labels[near] == target]
    if len(follow) == 0:
        follow = order[labels[order] == target][:k]
    return follow


def masked_step(x, step, share, rng):
    """Add the step to a random share of the pixels of each image; same shape as x."""
    mask = rng.random(x.shape) < share
    return x + mask * step


def soft_loss(squared_distances, labels, target, tau):
    """Return -log p of the target class, where near images vote with more weight: a float."""
    scores = -(squared_distances - squared_distances.min()) / tau
    weights = np.exp(scores)
    return -np.log(weights[labels == target].sum() / weights.sum())


def attack_step(moved, x, g, step, radius):
    """Move along g by step, then back into the ball around x: same shape as x."""

    def length(v):
        return np.sqrt((v**2).sum(axis=(1, 2, 3), keepdims=True)) + 1e-10

    change = moved - x + step * g / length(g)
    change = change * np.minimum(1, radius / length(change))
    return np.clip(x + change, 0, 1)


def trust_score(distances, labels, target):
    """Return the distance to the nearest other class, divided by that to the target: a float."""
    own = labels == target
    return distances[~own].min() / distances[own].min()


def im1(errors, targets):
    """Return the target's error divided by the smallest error of all other classes: (n,)."""
    own = targets[:, None] == np.arange(10)
    return errors[own] / np.where(own, np.inf, errors).min(axis=1)


SOLUTIONS = {
    "01-1": conv_parameters,
    "01-2": softmax,
    "01-3": most_confident_mistakes,
    "01-4": confusion,
    "02-1": multiply_adds,
    "02-2": mcnemar,
    "02-3": seed_interval,
    "03-1": vote,
    "03-2": distances,
    "03-3": best_k,
    "04-1": mean_confidence,
    "04-2": ece,
    "04-3": temperature,
    "04-4": accuracy_kept,
    "05-1": gradient,
    "05-2": step,
    "05-3": agreement,
    "05-4": first_success,
    "06-1": direction,
    "06-2": neighbours_to_follow,
    "06-3": masked_step,
    "06-4": soft_loss,
    "07-1": attack_step,
    "07-2": trust_score,
    "07-3": im1,
}


# ---- wrong answers, written as students write them -----------------------------------------


def softmax_with(largest=lambda z: 0, total=lambda e: e.sum(axis=1, keepdims=True)):
    def wrong(z):
        e = np.exp(z - largest(z))
        return e / total(e)

    return wrong


def places_in_subset(p, y, n):
    wrong = p.argmax(axis=1) != y
    return np.argsort(p[wrong].max(axis=1))[::-1][:n]


def mistakes_by(score):
    def wrong(p, y, n):
        mistakes = np.where(p.argmax(axis=1) != y)[0]
        return mistakes[np.argsort(score(p, y)[mistakes])][:n]

    return wrong


def confusion_in_a_loop(size=None, add=lambda m, y, p: 1):
    def wrong(y, predicted):
        n = size or max(y.max(), predicted.max()) + 1
        matrix = np.zeros((n, n))
        for true, answer in zip(y, predicted, strict=True):
            matrix[true, answer] += add(matrix, y, predicted)
        return matrix

    return wrong


def confusion_by_index(y, predicted):
    matrix = np.zeros((10, 10), dtype=int)
    matrix[y, predicted] += 1
    return matrix


def confusion_shares(y, predicted):
    matrix = confusion(y, predicted)
    return matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)


def two_proportions(a, b):
    p = (a.mean() + b.mean()) / 2
    z = (a.mean() - b.mean()) / np.sqrt(2 * p * (1 - p) / len(a))
    return 2 * stats.norm.sf(abs(z))


def binomial_by_hand(sides=2, cap=1.0, none=1.0):
    def answer(a, b):
        only_a, only_b = np.sum(a & ~b), np.sum(b & ~a)
        n = int(only_a + only_b)
        if n == 0 and none is not None:
            return none
        tail = sum(math.comb(n, i) for i in range(min(only_a, only_b) + 1))
        return min(cap, sides * tail / 2**n)

    return answer


def without_guard(a, b):
    only_a, only_b = np.sum(a > b), np.sum(b > a)
    return stats.binomtest(int(only_a), int(only_a + only_b)).pvalue


def mcnemar_chi_square(a, b):
    only_a, only_b = np.sum(a & ~b), np.sum(b & ~a)
    return 1 - stats.chi2.cdf((only_a - only_b) ** 2 / (only_a + only_b), df=1)


def interval(spread, factor):
    return lambda a, b: (
        np.mean(a - b) - factor * spread(a - b),
        np.mean(a - b) + factor * spread(a - b),
    )


T7 = stats.t.ppf(0.975, df=7)


def standard_error(d):
    return np.std(d, ddof=1) / np.sqrt(len(d))


def unpaired(a, b):
    error = np.sqrt(np.var(a, ddof=1) / 8 + np.var(b, ddof=1) / 8)
    t = stats.t.ppf(0.975, df=14)
    return np.mean(a) - np.mean(b) - t * error, np.mean(a) - np.mean(b) + t * error


def interval_over_images(a, b):
    n = 8 * 10_000
    error = np.sqrt(a.mean() * (1 - a.mean()) / n + b.mean() * (1 - b.mean()) / n)
    return (a - b).mean() - 1.96 * error, (a - b).mean() + 1.96 * error


def majority(labels):
    return np.array([np.bincount(row).argmax() for row in labels])


def best_k_from(neighbours_of):
    def wrong(images, labels, ks):
        scores = []
        for k in ks:
            scores.append((majority(labels[neighbours_of(images, k)]) == labels).mean())
        return ks[int(np.argmax(scores))]

    return wrong


def nearest(images, k):
    return NearestNeighbors(n_neighbors=k).fit(images).kneighbors(images, return_distance=False)


def best_k_on_training_images(images, labels, ks):
    def score(k):
        return KNeighborsClassifier(n_neighbors=k).fit(images, labels).score(images, labels)

    return max(ks, key=score)


def leave_one_out_scores(images, labels, ks):
    order = nearest(images, max(ks) + 1)[:, 1:]
    return [(majority(labels[order[:, :k]]) == labels).mean() for k in ks]


def confidences_by(score):
    def wrong(p, y):
        right = p.argmax(axis=1) == y
        return score(p, y)[right].mean(), score(p, y)[~right].mean()

    return wrong


def calibration(
    weight=lambda inside: inside.mean(),
    distance=abs,
    sure=lambda m, low, high: m.mean(),
    bins=None,
    total=sum,
):
    """ECE with half-open bins as students write them, and one thing or another changed."""

    def wrong(m, correct, bins_given):
        edges = np.linspace(0, 1, (bins or bins_given) + 1)
        gaps = []
        for low, high in itertools.pairwise(edges):
            inside = (m > low) & (m <= high)
            if inside.any():
                gap = distance(sure(m[inside], low, high) - correct[inside].mean())
                gaps.append(weight(inside) * gap)
        return total(gaps)

    return wrong


def calibration_with_empty_bins(m, correct, bins):
    which = np.minimum((m * bins).astype(int), bins - 1)
    error = 0
    for i in range(bins):
        inside = which == i
        error += inside.mean() * abs(m[inside].mean() - correct[inside].mean())
    return error


def calibration_without_the_last_edge(m, correct, bins):
    error = 0
    for i in range(bins):
        inside = (m >= i / bins) & (m < (i + 1) / bins)
        if inside.sum() > 0:
            error += inside.mean() * abs(m[inside].mean() - correct[inside].mean())
    return error


def softmax_rows(z):
    return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)


def kept(order, divide_by=None):
    def wrong(m, correct, share):
        chosen = order(m, share)
        return correct[chosen].sum() / (divide_by or len)(m if divide_by else chosen)

    return wrong


def surest(m, share):
    return np.argsort(m)[::-1][: round(share * len(m))]


def taped(loss, of="x", watch=True):
    def wrong(model, x, target):
        import tensorflow as tf

        with tf.GradientTape() as tape:
            if watch:
                tape.watch(x)
            value = loss(model(x), target)
        return tape.gradient(value, x if of == "x" else model.trainable_variables)

    return wrong


def log(p):
    import tensorflow as tf

    return tf.math.log(p + 1e-10)


def numpy_inside_the_tape(model, x, target):
    import tensorflow as tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.constant(-np.log(model(x).numpy()[0, target]))
    return tape.gradient(loss, x)


def length(g):
    return np.sqrt(np.sum(g**2, axis=(1, 2, 3), keepdims=True)) + 1e-8


def my_own_network(images):
    return np.full((len(images), 10), 0.1)


def judged(share):
    """Write an answer from what all judges believe: an array (judges, n, 10)."""
    return lambda judges, images, targets: share(np.stack([j(images) for j in judges]), targets)


def one_image_at_a_time(judges, images, targets):
    """Stop asking at the first judge who sees something else."""
    return np.mean(
        [
            all(judge(image[None])[0].argmax() == target for judge in judges)
            for image, target in zip(images, targets, strict=True)
        ]
    )


def follow(otherwise):
    def wrong(distances, labels, target, k):
        near = np.argsort(distances)[:k]
        chosen = near[labels[near] == target]
        return chosen if len(chosen) else otherwise(distances, labels, target, k)

    return wrong


def pushed(right, wrong, of_all=np.mean):
    def answer(x, neighbours, labels, target):
        parts = [
            (right if label == target else wrong) * (x - neighbour)
            for neighbour, label in zip(neighbours, labels, strict=True)
        ]
        return of_all(parts, axis=0)

    return answer


def means_apart(x, neighbours, labels, target):
    good = labels == target
    return (x - neighbours[good]).mean(axis=0) - (x - neighbours[~good]).mean(axis=0)


def seeded_again(x, step, share, rng):
    rng = np.random.default_rng(42)
    return np.where(rng.random(x.shape) < share, x + step, x)


def votes_with(weigh, finish=lambda p: -np.log(p)):
    def wrong(d2, labels, target, tau):
        w = weigh(d2, tau)
        return finish(np.sum(w[labels == target]) / np.sum(w))

    return wrong


def flat_length(v):
    return np.linalg.norm(v.reshape(len(v), -1), axis=1)


def attack_by(along=lambda g: g / length(g), back=lambda change, radius: change):
    """Write an attack from a step and a way back, and clip at the end."""

    def answer(moved, x, g, step, radius):
        change = moved + step * along(g) - x
        return np.clip(x + back(change, radius), 0, 1)

    return answer


def shorten(change, radius):
    return np.where(length(change) > radius, change * radius / length(change), change)


def attack_with_tensorflow(moved, x, g, step, radius):
    tf = helpers.tensorflow()
    change = moved - x + step * tf.math.l2_normalize(g, axis=[1, 2, 3])
    return tf.clip_by_value(x + tf.clip_by_norm(change, radius, axes=[1, 2, 3]), 0, 1)


def attack_image_by_image(moved, x, g, step, radius):
    result = x.copy()
    for i in range(len(x)):
        change = moved[i] + step * g[i] / (np.linalg.norm(g[i]) + 1e-8) - x[i]
        if np.linalg.norm(change) > radius:
            change *= radius / np.linalg.norm(change)
        result[i] = (x[i] + change).clip(0, 1)
    return result


def trust_from(above, below):
    """Write a trust score from a part above the line and one below."""
    return lambda d, labels, target: above(d, labels == target) / below(d, labels == target)


def redrawn(score):
    """Write IM1 from the target's errors and those of the nine others in a loop."""

    def answer(errors, targets):
        scores = []
        for row, target in zip(errors, targets, strict=True):
            scores.append(score(row[target], np.delete(row, target), row))
        return np.array(scores)

    return answer


def covered(cover, axis=1, read_first=True):
    def wrong(errors, targets):
        rows = np.arange(len(targets))
        own = errors[rows, targets]
        others = errors.copy()
        others[rows, targets] = cover
        return (own if read_first else others[rows, targets]) / others.min(axis=axis)

    return wrong


WRONG = {
    "01-1": [
        ("has one bias", lambda kernel, channels_in, filters: kernel**2 * channels_in * filters),
        ("reads all 32", lambda kernel, channels_in, filters: filters * (kernel**2 + 1)),
        ("does not enter", lambda k, c, filters: 26 * 26 * (k * k * c * filters + filters)),
        ("does not enter", lambda k, c, filters: 28 * 28 * (k * k * c * filters + filters)),
        ("too few", lambda kernel, c, filters: kernel * kernel * c * filters + 1),
        ("9 pixels", lambda kernel, channels_in, filters: kernel * channels_in * filters + filters),
    ],
    "01-2": [
        ("exp(1000) is infinite", softmax_with()),
        ("One maximum for all rows", softmax_with(largest=np.max)),
        ("sum along axis=1", softmax_with(total=lambda e: e.sum(axis=0))),
        ("sum along axis=1", softmax_with(total=np.sum)),
        ("sum along axis=1", lambda logits: np.exp(logits)),
        ("keepdims", softmax_with(total=lambda e: e.sum(axis=1))),
        ("keepdims", softmax_with(lambda z: z.max(1, keepdims=True), lambda e: e.sum(axis=1))),
    ],
    "01-3": [
        ("list of mistakes", places_in_subset),
        ("Image 0 is classified", lambda p, y, n: np.argsort(-p.max(axis=1))[:n]),
        ("least confident", mistakes_by(lambda p, y: p.max(axis=1))),
        ("turn the list round", lambda p, y, n: most_confident_mistakes(p, y, n)[::-1]),
        ("true class", mistakes_by(lambda p, y: -p[range(len(y)), y])),
        ("true class", mistakes_by(lambda p, y: p[range(len(y)), y])),
        ("keep the first n", lambda p, y, n: most_confident_mistakes(p, y, 99)),
    ],
    "01-4": [
        ("exchanged", lambda y, predicted: confusion(predicted, y)),
        ("asks for counts", confusion_shares),
        ("asks for counts", confusion_in_a_loop(10, lambda m, y, p: 1 / len(y))),
        ("fix the size at 10", confusion_matrix),
        ("fix the size at 10", confusion_in_a_loop()),
        ("counted once", confusion_by_index),
    ],
    "02-1": [
        ("number of weights", lambda h, w, kernel, c_in, c_out: kernel**2 * c_in * c_out),
        ("26 × 26 places", lambda h, w, kernel, c_in, c_out: h * w * kernel**2 * c_in * c_out),
        ("all 32 channels", lambda h, w, k, i, c_out: (h - k + 1) * (w - k + 1) * k**2 * c_out),
        ("too few", lambda h, w, k, i, o: (h - k) * (w - k) * k**2 * i * o),
        ("bias", lambda h, w, k, i, o: (h - k + 1) * (w - k + 1) * (k**2 * i * o + o)),
        ("not as two", lambda h, w, k, i, o: (h - k + 1) * (w - k + 1) * 2 * k**2 * i * o),
    ],
    "02-2": [
        ("Both saw the same", two_proportions),
        ("number of disagreements", lambda a, b: stats.binomtest((a & ~b).sum(), len(a)).pvalue),
        ("one side", binomial_by_hand(sides=1)),
        ("chi-square", mcnemar_chi_square),
        ("above 1", binomial_by_hand(cap=9.0)),
        ("return 1", without_guard),
        ("return 1", binomial_by_hand(none=float("nan"))),
        ("return 1", binomial_by_hand(none=0)),
    ],
    "02-3": [
        ("one observation", interval_over_images),
        ("one observation", interval(lambda d: np.std(d) / np.sqrt(80_000), 1.96)),
        ("root of 8", interval(lambda d: np.std(d, ddof=1), T7)),
        ("root of 8", interval(np.std, 1.96)),
        ("1.96", interval(standard_error, 1.96)),
        ("1.96", interval(lambda d: d.std() / np.sqrt(8), 1.96)),
        ("ddof=1", interval(lambda d: np.std(d) / 8**0.5, T7)),
        ("pairs", unpaired),
        ("asks for a - b", lambda a, b: seed_interval(b, a)),
        ("0.975", interval(standard_error, stats.t.ppf(0.95, df=7))),
        ("freedom, not 8", interval(standard_error, stats.t.ppf(0.975, df=8))),
    ],
    "03-1": [
        ("winner", lambda neighbour_labels: majority(neighbour_labels)),
        ("minlength", lambda labels: np.array([np.bincount(row) for row in labels]) / 5),
        ("number of neighbours in a row", lambda labels: 5 * vote(labels) / len(labels)),
        ("number of neighbours in a row", lambda labels: 5 * vote(labels) / 10),
        ("counts", lambda labels: np.array([np.bincount(row, minlength=10) for row in labels])),
    ],
    "03-2": [
        (
            "sign of 2ab",
            lambda a, b: np.sqrt((a**2).sum(1)[:, None] + (b**2).sum(1) + 2 * a @ b.T),
        ),
        ("the unit is wrong", lambda a, b: ((a[:, None] - b[None]) ** 2).sum(axis=2)),
        (
            "floor them at 0",
            lambda a, b: np.sqrt((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T),
        ),
        ("exchanged", lambda a, b: distances(b, a)),
        ("absolute", lambda a, b: np.abs(a[:, None] - b[None]).sum(axis=2)),
    ],
    "03-3": [
        ("its own nearest", best_k_from(nearest)),
        ("its own nearest", best_k_on_training_images),
        ("still votes", best_k_from(lambda images, k: nearest(images, k + 1))),
        ("place of the best", lambda *a: np.argmax(leave_one_out_scores(*a))),
        ("is an accuracy", lambda *a: max(leave_one_out_scores(*a))),
    ],
    "04-1": [
        ("look at the label", confidences_by(lambda p, y: p[range(len(y)), y])),
        ("not argmax", confidences_by(lambda p, y: np.argmax(p, axis=1))),
        ("axis=1", confidences_by(lambda p, y: p.max(axis=0))),
        ("second softmax", confidences_by(lambda p, y: softmax_rows(p).max(axis=1))),
        ("First the images", lambda p, y: mean_confidence(p, y)[::-1]),
        ("Two numbers", lambda p, y: np.max(p, axis=1).mean()),
    ],
    "04-2": [
        ("cancel", calibration(distance=lambda gap: gap)),
        ("cancel", lambda m, correct, bins=15: abs(np.mean(m) - np.mean(correct))),
        ("weight each bin", calibration(weight=lambda inside: 1)),
        ("weight each bin", calibration(weight=lambda inside: 1, total=np.mean)),
        ("middle of the bin", calibration(sure=lambda m, low, high: (low + high) / 2)),
        ("skip it", calibration_with_empty_bins),
        ("lost it", calibration_without_the_last_edge),
        ("largest gap", calibration(weight=lambda inside: 1, total=max)),
        ("argument `bins`", calibration(bins=15)),
    ],
    "04-3": [
        ("logarithm first", lambda p, T: softmax_rows(p / T)),
        ("must soften", lambda p, T: softmax_rows(np.log(p) * T)),
        ("must soften", lambda p, T: p**T / (p**T).sum(axis=1, keepdims=True)),
        ("Nothing has changed", lambda p, T: (p / T) / (p / T).sum(axis=1, keepdims=True)),
        ("sum to 1 again", lambda p, T: p ** (1 / T)),
        ("sum to 1 again", lambda p, T: p ** (1 / T) / np.sum(p ** (1 / T))),
    ],
    "04-4": [
        ("doubts", kept(lambda m, share: np.argsort(m)[: int(share * len(m))])),
        ("not errors", kept(surest, divide_by=len)),
        ("not the part", kept(lambda m, share: surest(m, 1 - share))),
        ("not the part", lambda m, correct, share: correct[m >= np.quantile(m, share)].mean()),
        ("value of m", lambda m, correct, share: np.mean(correct[m > share])),
        ("refuse some", lambda m, correct, share: np.mean(correct)),
    ],
    "05-1": [
        ("tape.watch", taped(lambda p, target: -log(p[0, target]), watch=False)),
        ("tape.watch", numpy_inside_the_tape),
        ("lowers it", taped(lambda p, target: log(p[0, target]))),
        ("million times", taped(lambda p, target: -p[0, target])),
        ("believes already", taped(lambda p, target: -log(p[0, int(np.argmax(p[0]))]))),
        ("784 numbers", taped(lambda p, target: -log(p[0, target]), of="weights")),
        ("all classes at once", taped(lambda p, target: -log(p))),
    ],
    "05-2": [
        (
            "its own length",
            lambda x, g, learning_rate: np.clip(x - learning_rate * g / np.linalg.norm(g), 0, 1),
        ),
        ("climbs", lambda x, g, eta: np.clip(x + eta * g / length(g), 0, 1)),
        ("divide the gradient", lambda x, g, eta: np.clip(x - eta * g, 0, 1)),
        ("last three axes", lambda x, g, eta: np.clip(x - eta * np.sign(g), 0, 1)),
        (
            "last three axes",
            lambda x, g, eta: np.clip(x - eta * g / np.linalg.norm(g, axis=1, keepdims=True), 0, 1),
        ),
        ("clip after", lambda x, g, eta: x - eta * g / length(g)),
        (
            "0/0 is NaN",
            lambda x, g, eta: np.clip(
                x - eta * g / np.sqrt((g * g).sum(axis=(1, 2, 3), keepdims=True)), 0, 1
            ),
        ),
    ],
    "05-3": [
        (
            "ever asked",
            lambda judges, images, targets: np.mean(
                my_own_network(images).argmax(axis=1) == targets
            ),
        ),
        ("Count decisions", judged(lambda p, t: (p[:, range(len(t)), t] > 0.9).all(0).mean())),
        ("Count decisions", judged(lambda p, t: p[:, range(len(t)), t].mean())),
        ("must not be averaged", judged(lambda p, t: (p.argmax(2) == t).mean())),
        ("must not be averaged", judged(lambda p, t: (p.mean(0).argmax(1) == t).mean())),
        ("must not be averaged", lambda js, x, t: np.mean([agreement([j], x, t) for j in js])),
        ("if all judges agree", judged(lambda p, t: (p.argmax(2) == t).max(0).mean())),
        ("ask all of them", lambda judges, x, t: (judges[0](x).argmax(1) == t).mean()),
        ("ask all of them", lambda judges, x, t: agreement(judges[-1:], x, t)),
        ("ask all of them", lambda judges, x, t: agreement(judges[:2], x, t)),
        ("all images and judges", judged(lambda p, t: (p.argmax(2) == t).all(0))),
        (
            "all images and judges",
            lambda judges, x, t: [agreement([judge], x, t) for judge in judges],
        ),
        ("how many", judged(lambda p, t: sum((p.argmax(2) == t).all(0)))),
        ("not recognise", lambda *a: 1 - agreement(*a)),
        ("with each other", judged(lambda p, t: (np.ptp(p.argmax(2), axis=0) == 0).mean())),
    ],
    "05-4": [
        ("return -1", lambda trace, level: np.argmax(trace >= level, axis=0)),
        (
            "last such step",
            lambda trace, level: [max(np.flatnonzero(c >= level), default=-1) for c in trace.T],
        ),
        (
            "counts from 1",
            lambda trace, level: [
                next((i for i, p in enumerate(c, start=1) if p >= level), -1) for c in trace.T
            ],
        ),
        ("fall back", lambda trace, level: np.sum(trace < level, axis=0)),
        ("axis=0", lambda trace, level: np.argmax(trace >= level, axis=1)),
        ("use >=", lambda trace, level: first_success(trace, np.nextafter(level, 1))),
        ("not always with 0.9", lambda trace, level: first_success(trace, 0.9)),
    ],
    "06-1": [
        ("sign is turned", pushed(-1, 1)),
        ("towards every", lambda x, neighbours, labels, target: x - neighbours.mean(axis=0)),
        ("right class only", pushed(1, 0)),
        ("not the sum", pushed(1, -1, np.sum)),
        ("apart", means_apart),
    ],
    "06-2": [
        ("nothing to follow", follow(lambda *a: np.array([], int))),
        ("nothing to follow", follow(lambda *a: [])),
        ("not among all", follow(lambda d, labels, t, k: np.argsort(d[labels == t])[:k])),
        ("not among all", lambda d, labels, t, k: np.where(labels[np.argsort(d)[:k]] == t)[0]),
        ("not the nearest", follow(lambda d, labels, t, k: np.where(labels == t)[0][:k])),
        (
            "follow those",
            lambda d, labels, t, k: sorted(np.flatnonzero(labels == t), key=lambda i: d[i])[:k],
        ),
        ("keep those", lambda d, labels, t, k: np.argsort(d)[:k]),
    ],
    "06-3": [
        ("mask the step", lambda x, step, share, rng: (x + step) * (rng.random(x.shape) < share)),
        ("Two calls", seeded_again),
        (
            "its own mask",
            lambda x, step, share, rng: x + step * (rng.random((1, *x.shape[1:])) < share),
        ),
        ("stand still", lambda x, step, share, rng: x + step * (rng.random(x.shape) > share)),
        ("no effect", lambda x, step, share, rng: x + step),
        ("or not at all", lambda x, step, share, rng: x + step * share),
    ],
    "06-4": [
        ("signs", votes_with(lambda d2, tau: np.exp(-d2 / tau), np.log)),
        ("signs", votes_with(lambda d2, tau: np.exp(d2 / tau))),
        ("squared distances already", votes_with(lambda d2, tau: np.exp(-np.sqrt(d2) / tau))),
        ("squared distances already", votes_with(lambda d2, tau: np.exp(-(d2**2) / tau))),
        ("divide by tau", votes_with(lambda d2, tau: np.exp(-d2 * tau))),
        ("return -log p", votes_with(lambda d2, tau: np.exp(-d2 / tau), lambda p: p)),
        ("0/0 is NaN", votes_with(lambda d2, tau: np.exp(-d2 / tau))),
    ],
    "07-1": [
        ("downhill", attack_by(lambda g: -g / length(g), shorten)),
        ("its own length", attack_by(lambda g: g / np.linalg.norm(g), shorten)),
        ("its own length", attack_by(lambda g: g / np.linalg.norm(g))),
        (
            "its own length",
            attack_by(back=lambda change, r: change * min(1, r / np.linalg.norm(change))),
        ),
        ("both expected 2", attack_by(lambda g: g, shorten)),
        ("both expected 2", attack_by(lambda g: g)),
        ("sign of g", attack_by(np.sign, shorten)),
        ("sign of g", attack_by(np.sign, lambda change, radius: np.clip(change, -radius, radius))),
        (
            "last three axes",
            attack_by(lambda g: g / np.linalg.norm(g, axis=1, keepdims=True), shorten),
        ),
        (
            "last three axes",
            attack_by(
                back=lambda c, r: c * np.minimum(1, r / np.linalg.norm(c, axis=2)[:, :, None])
            ),
        ),
        ("keepdims", attack_by(lambda g: g / flat_length(g), shorten)),
        ("keepdims", attack_by(back=lambda c, r: c * np.minimum(1, r / flat_length(c)))),
        ("stays as it is", attack_by(back=lambda change, r: r * change / length(change))),
        ("stays as it is", attack_by(back=lambda c, r: c * np.maximum(1, r / length(c)))),
        ("turned round", attack_by(back=lambda c, r: c * np.minimum(1, length(c) / r))),
        (
            "image itself",
            lambda moved, x, g, step, r: np.clip(shorten(moved + step * g / length(g), r), 0, 1),
        ),
        ("alone", lambda moved, x, g, step, r: shorten(moved - x + step * g / length(g), r)),
        ("after the step", attack_by()),
        (
            "after the step",
            lambda m, x, g, step, r: attack_by()(x + shorten(m - x, r), x, g, step, r),
        ),
        ("maximum norm", attack_by(back=lambda change, radius: np.clip(change, -radius, radius))),
        (
            "not the whole way",
            lambda moved, x, g, step, r: np.clip(moved + shorten(step * g / length(g), r), 0, 1),
        ),
        (
            "add it to x, not",
            lambda moved, x, g, step, radius: np.clip(
                moved + shorten(moved - x + step * g / length(g), radius), 0, 1
            ),
        ),
        (
            "begin again",
            lambda moved, x, g, step, r: np.clip(x + shorten(step * g / length(g), r), 0, 1),
        ),
        (
            "clip before",
            lambda moved, x, g, step, r: (
                x + shorten(np.clip(moved + step * g / length(g), 0, 1) - x, r)
            ),
        ),
        (
            "left the range",
            lambda moved, x, g, step, r: x + shorten(moved - x + step * g / length(g), r),
        ),
        (
            "0/0 is NaN",
            attack_by(lambda g: g / np.sqrt((g**2).sum((1, 2, 3), keepdims=True)), shorten),
        ),
    ],
    "07-2": [
        ("must get a score", lambda *a: 1 / trust_score(*a)),
        ("never above 1", trust_from(lambda d, own: min(d), lambda d, own: min(d[own]))),
        ("never below 1", trust_from(lambda d, own: min(d[~own]), lambda d, own: min(d))),
        ("two nearest", lambda d, labels, target: sorted(d)[1] / sorted(d)[0]),
        ("not the mean", trust_from(lambda d, own: np.mean(d[~own]), lambda d, own: d[own].mean())),
        ("not the mean", trust_from(lambda d, own: np.mean(d[~own]), lambda d, own: d[own].min())),
        ("farthest", trust_from(lambda d, own: max(d[~own]), lambda d, own: max(d[own]))),
        ("no square", lambda distances, *a: trust_score(distances**2, *a)),
        ("no square", lambda distances, *a: trust_score(np.sqrt(distances), *a)),
        ("the difference", lambda d, labels, t: d[labels != t].min() - d[labels == t].min()),
        ("the sum", lambda *a: trust_score(*a) / (1 + trust_score(*a))),
        ("a place", trust_from(lambda d, own: d[~own].argmin(), lambda d, own: d[own].argmin())),
    ],
    "07-3": [
        ("must get less", lambda *a: 1 / im1(*a)),
        ("never below 1", redrawn(lambda own, others, row: own / min(row))),
        ("second smallest", redrawn(lambda own, others, row: own / sorted(row)[1])),
        ("not the mean", redrawn(lambda own, others, row: own / others.mean())),
        ("not the mean", redrawn(lambda own, others, row: own / row.mean())),
        ("worst other", redrawn(lambda own, others, row: own / max(others))),
        ("no root", redrawn(lambda own, others, row: own**0.5 / min(others) ** 0.5)),
        ("argmin", lambda errors, targets: im1(errors, errors.argmin(axis=1))),
        ("the difference", redrawn(lambda own, others, row: own - min(others))),
        ("errors[:, targets]", lambda errors, targets: errors[:, targets] / errors.min(axis=1)),
        ("with infinity", covered(0)),
        ("with infinity", covered(np.inf, read_first=False)),
        ("along the row", covered(np.inf, axis=0)),
        ("One number", lambda *a: im1(*a).mean()),
        ("whole table", covered(np.inf, axis=None)),
        ("whole table", lambda errors, t: errors[range(len(t)), t] / errors.min()),
    ],
}

ALTERNATIVES = [
    (
        "01-1",
        lambda kernel, channels_in, filters: float(filters + kernel**2 * channels_in * filters),
    ),
    ("01-2", lambda logits: special.softmax(logits, axis=1).tolist()),
    ("01-2", lambda logits: special.softmax(logits.astype("float32"), axis=1)),
    ("01-2", lambda logits: helpers.tensorflow().nn.softmax(logits)),
    ("01-3", lambda p, y, n: [int(i) for i in most_confident_mistakes(p, y, n)]),
    ("01-4", lambda y, predicted: confusion_matrix(y, predicted, labels=range(10))),
    ("01-4", confusion_in_a_loop(10)),
    ("02-2", binomial_by_hand()),
    ("02-2", lambda a, b: Fraction(binomial_by_hand()(a, b))),
    ("02-3", lambda a, b: np.array(interval(standard_error, 2.3646)(a, b))),
    ("02-3", interval(lambda d: d.std() / np.sqrt(7), T7)),
    ("03-1", lambda labels: np.stack([(labels == c).mean(axis=1) for c in range(10)], axis=1)),
    ("03-2", lambda a, b: np.linalg.norm(a[:, None].astype(float) - b[None], axis=2)),
    ("03-3", lambda images, labels, ks: int(best_k(images, labels, list(ks)))),
    ("04-1", lambda p, y: np.array(mean_confidence(p, y))),
    ("04-2", calibration()),
    ("04-3", lambda p, T: p ** (1 / T) / (p ** (1 / T)).sum(axis=1, keepdims=True)),
    ("04-3", lambda p, T: softmax_rows(np.log(p + 1e-10) / T)),
    ("04-4", lambda m, correct, share: correct[m >= np.quantile(m, 1 - share)].mean()),
    ("05-1", lambda model, x, target: np.asarray(gradient(model, x, target))),
    ("05-2", lambda x, g, eta: [step(x[i : i + 1], g[i : i + 1], eta)[0] for i in range(len(x))]),
    ("05-3", lambda judges, x, targets: np.array([agreement(judges, x, targets)])),
    ("05-3", one_image_at_a_time),
    ("05-4", lambda trace, level: first_success(trace, level).astype(float)),
    ("06-1", pushed(1, -1)),
    ("06-2", lambda *a: neighbours_to_follow(*a)[::-1]),
    ("06-2", lambda *a: neighbours_to_follow(*a).tolist()),
    ("06-3", lambda x, step, share, rng: x + step * rng.binomial(1, share, x.shape)),
    ("06-3", lambda x, step, share, rng: np.where(rng.random(x.shape) < share, x + step, x)),
    (
        "06-4",
        lambda d2, labels, target, tau: (
            special.logsumexp(-d2 / tau) - special.logsumexp(-d2[labels == target] / tau)
        ),
    ),
    ("07-1", attack_by(back=shorten)),
    ("07-1", attack_with_tensorflow),
    ("07-1", attack_image_by_image),
    ("07-1", lambda *a: attack_step(*a).tolist()),
    ("07-2", trust_from(lambda d, own: sorted(d[~own])[0], lambda d, own: sorted(d[own])[0])),
    ("07-2", lambda *a: np.array([trust_score(*a)])),
    ("07-2", lambda distances, *a: np.float32(trust_score(distances, *a))),
    ("07-3", redrawn(lambda own, others, row: own / min(others))),
    ("07-3", covered(np.inf)),
    ("07-3", lambda *a: im1(*a).tolist()),
]


# ---- the tests -----------------------------------------------------------------------------


def advice(name, function):
    """Return state, first line and the rest of what a check says."""
    state, text = _exercises.judge(EXERCISES[name], function)
    first, _, rest = text.partition("\n  ")
    return state, first, rest


def test_every_exercise_is_tested_here():
    assert set(SOLUTIONS) == set(WRONG) == set(EXERCISES)
    assert {name for name, _ in ALTERNATIVES} >= set(EXERCISES) - {"02-1"}


@pytest.mark.parametrize("name", SOLUTIONS)
def test_the_solution_is_right_and_says_what_it_shows(name, capfd):
    check(name, SOLUTIONS[name])
    printed = capfd.readouterr()
    assert printed.out == f"✓ {name}: right. {EXERCISES[name].lesson}\n"
    assert printed.err == ""


@pytest.mark.parametrize("name", SOLUTIONS)
def test_the_solution_has_at_most_ten_lines(name):
    lines = inspect.getsource(SOLUTIONS[name]).strip().splitlines()[2:]
    assert len([line for line in lines if line.strip()]) <= 10


@pytest.mark.parametrize("name, function", ALTERNATIVES)
def test_an_answer_that_is_written_differently_is_right_too(name, function):
    assert advice(name, function) == ("right", f"✓ {name}: right. {EXERCISES[name].lesson}", "")


def stub_with_dots(*arguments):
    """Only a docstring."""
    ...


def stub_that_raises(*arguments):
    """Only a docstring."""
    raise NotImplementedError


def stub_with_a_reason(*arguments):
    raise NotImplementedError("write this")


def stub_that_passes(*arguments):
    pass


STUBS = [
    stub_with_dots,
    stub_that_raises,
    stub_with_a_reason,
    stub_that_passes,
    lambda *arguments: ...,
    ...,
    None,
]


@pytest.mark.parametrize("name", EXERCISES)
def test_a_stub_is_not_answered_yet(name, capsys):
    for stub in STUBS:
        check(name, stub)
        assert capsys.readouterr().out == f"{name}: not answered yet\n"


@pytest.mark.parametrize(
    "name, fragment, function",
    [(name, fragment, function) for name in WRONG for fragment, function in WRONG[name]],
)
def test_a_known_mistake_gets_its_own_message(name, fragment, function):
    messages = [mistake.message for mistake in EXERCISES[name].mistakes]
    assert sum(fragment in message for message in messages) == 1
    state, first, rest = advice(name, function)
    assert state == "wrong"
    assert first.startswith(f"✗ {name}, ")
    assert rest in messages
    assert fragment in rest


@pytest.mark.parametrize("name", EXERCISES)
def test_the_wrong_computations_of_a_chapter_get_the_message_they_stand_beside(name):
    for mistake in EXERCISES[name].mistakes:
        for like in mistake.like:
            assert advice(name, like)[0::2] == ("wrong", mistake.message)


@pytest.mark.parametrize("name", EXERCISES)
def test_every_message_is_tested_and_none_stands_twice(name):
    messages = [mistake.message for mistake in EXERCISES[name].mistakes]
    assert len(set(messages)) == len(messages)
    for message in messages:
        assert any(fragment in message for fragment, _ in WRONG[name]), message


def raises(*arguments):
    raise RuntimeError("one\ntwo\nthree")


def raises_something_else(*arguments):
    raise ValueError("shapes that have nothing to do with the exercise")


def exhausts_memory(*arguments):
    raise MemoryError


def forgets_return(*arguments):
    sum([1, 2])


NONSENSE = {
    "raised RuntimeError: one.": raises,
    "raised ValueError: shapes that have nothing": raises_something_else,
    "raised MemoryError.": exhausts_memory,
    "raised TypeError": lambda: 0,
    "gave the text 'seven'": lambda *a: "seven",
    "gave None.": forgets_return,
    "gave a result of type dict and length 1": lambda *a: {"answer": 1},
    "gave a result of type object": lambda *a: object(),
    "gave a result of type ndarray.": lambda *a: np.array("seven"),
    "gave a result of type generator": lambda *a: (i for i in range(3)),
    "gave a result of type list and length 2": lambda *a: [[1], [1, 2]],
    "shape (3, 1, 4)": lambda *a: np.ones((3, 1, 4)),
    "shape (0,)": lambda *a: [],
}


@pytest.mark.parametrize("name", EXERCISES)
def test_nonsense_is_reported_and_never_raises(name):
    for expected, function in NONSENSE.items():
        state, first, rest = advice(name, function)
        assert state == "wrong"
        assert first.startswith(f"✗ {name}, ")
        assert "0x" not in first
        assert rest
        if "raised" in expected:
            assert rest == f'Not a mistake that this check knows. For a hint: hint("{name}")'
        if name not in ("05-3", "06-2"):  # whose cases look into the answer first
            assert expected in first


@pytest.mark.parametrize("name", EXERCISES)
def test_a_result_full_of_nan_is_reported(name):
    def full_of_nan(*arguments):
        # like what it should be, in shape
        return np.full(np.shape(SOLUTIONS[name](*arguments)), np.nan)

    state, first, _ = advice(name, full_of_nan)
    assert state == "wrong"
    assert "NaN" in first


@pytest.mark.parametrize("name", EXERCISES)
def test_what_is_no_function_is_reported(name):
    for thing in (3, "softmax", np.ones(3)):
        state, first, _ = advice(name, thing)
        assert (state, first) == (
            "wrong",
            f"✗ {name}: expected a function, got {type(thing).__name__}.",
        )


def test_an_unknown_mistake_shows_both_numbers_and_points_to_the_hint(capsys):
    check("01-1", lambda kernel, channels_in, filters: 7)
    assert capsys.readouterr().out == (
        "✗ 01-1, kernel 3, 1 channel, 32 filters: gave 7, expected 320.\n"
        '  Not a mistake that this check knows. For a hint: hint("01-1")\n'
    )


def test_the_warnings_of_an_answer_are_not_shown():
    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        check("04-2", calibration_with_empty_bins)
        check("01-2", softmax_with())
    assert shown == []


def test_a_wrong_shape_shows_both_shapes():
    first = advice("01-2", lambda logits: np.ones(3))[1]
    assert first == "✗ 01-2, small logits: shape (3,), expected shape (3, 10)."


def test_a_large_result_shows_the_first_place_that_is_wrong():
    def one_wrong(logits):
        p = softmax(logits)
        p[1, 4] = 0.5
        return p

    assert "[1, 4] is 0.5, expected 0.0968" in advice("01-2", one_wrong)[1]


def test_a_forgotten_return_is_named():
    assert "`return`" in advice("01-2", forgets_return)[2]


def test_a_function_that_changes_its_arguments_spoils_nothing():
    def in_place(x, g, learning_rate):
        g /= np.sqrt((g**2).sum(axis=(1, 2, 3), keepdims=True)) + 1e-10
        x -= learning_rate * g
        return np.clip(x, 0, 1, out=x)

    for _ in range(2):
        assert advice("05-2", in_place)[0] == "right"
        assert advice("05-2", step)[0] == "right"


def test_the_text_is_the_same_in_both_profiles(monkeypatch):
    texts = {}
    for profile in ("full", "lite"):
        monkeypatch.setenv("COURSE_PROFILE", profile)
        texts[profile] = [
            _exercises.judge(EXERCISES[name], function)[1]
            for name in WRONG
            for _, function in WRONG[name]
        ]
    assert texts["full"] == texts["lite"]


def test_a_check_leaves_the_random_numbers_of_the_notebook_alone():
    tf = helpers.tensorflow()
    import keras

    def numbers(meanwhile):
        keras.utils.set_random_seed(0)
        meanwhile()
        layer = keras.layers.Dense(2)
        layer.build((None, 2))
        return np.random.random(), float(tf.random.uniform(())), layer.kernel.numpy().tolist()  # noqa: NPY002

    def all_checks():
        helpers.checks.chapter_05._model.cache_clear()
        for name in EXERCISES:
            _exercises.judge(EXERCISES[name], SOLUTIONS[name])

    assert numbers(all_checks) == numbers(lambda: None)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_hint_is_one_line_without_code(name, capsys):
    hint(name)
    printed = capsys.readouterr().out
    assert printed == f"{name}: {EXERCISES[name].hint}\n"
    assert "np." not in printed
    assert "return" not in printed


@pytest.mark.parametrize("ask", [hint, lambda name: check(name, softmax)])
@pytest.mark.parametrize("name", ["01-9", "99-1", "", None, 5])
def test_an_exercise_that_does_not_exist_is_named(ask, name):
    with pytest.raises(ValueError, match=rf"exercise must be a name such as '05-2', not {name!r}"):
        ask(name)

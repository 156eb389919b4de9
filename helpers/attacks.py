"""Attacks: change images a little, so that a network takes them for something else."""

from __future__ import annotations

import weakref

import numpy as np

from helpers import session, validation
from helpers.backend import keras, tf

NORMS = ("l2", "linf")
# of all queries, after which the area of a square is halved: the schedule of the paper
SHRINK = np.array([10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]) / 10_000
BATCH = 500  # images at once: the gradients of all test images together would fill the memory
COMPILED = weakref.WeakKeyDictionary()  # the losses of each network, while somebody has it


def fgsm_attack(model, x, y, radius):
    """Change every pixel by the radius, in the direction that raises the loss.

    Parameters
    ----------
    model, x, y : as in `pgd_attack`
    radius : float from 0 to 1000
        How much a pixel may change.

    Returns
    -------
    float32 array of shape (n, h, w, c), values in [0, 1]

    Raises
    ------
    ValueError
        As in `pgd_attack`.

    Notes
    -----
    The fast gradient sign method (Goodfellow et al., 2015): one step of `pgd_attack` in the
    maximum norm.

    Examples
    --------
    >>> x = np.full((1, 1, 2, 1), 0.5, np.float32)
    >>> def model(x):  # the first pixel speaks for class 0, the second for class 1
    ...     return tf.nn.softmax(tf.reshape(x, (-1, 2)))
    >>> fgsm_attack(model, x, [0], radius=0.25).ravel()
    array([0.25, 0.75], dtype=float32)
    """
    return pgd_attack(model, x, y, radius, steps=1, norm="linf")


def pgd_attack(model, x, y, radius, steps=3, norm="l2", *, restarts=1, seed=0):
    """Change images so that a network takes them for anything but their label.

    Parameters
    ----------
    model : keras.Model that ends in softmax
        Any other differentiable callable that returns probabilities (n, classes) will do, but
        Keras finds the logits of its own models. From bare probabilities the loss is clipped, so
        images of which the model is entirely sure do not move.
    x : array of shape (n, h, w, c), values in [0, 1]
    y : int array of shape (n,), labels
    radius : float from 0 to 1000
        The length that no change may exceed, in the norm.
    steps : int, at least 1
    norm : {"l2", "linf"}
        ``"l2"`` is the Euclidean length of the change of an image, ``"linf"`` the largest change
        of one of its pixels.
    restarts : int, at least 1
        How often each image is attacked. The first attack starts from the image itself, every
        further one from a random point of the ball. A result that fools the model is kept before
        one that does not, and of two of a kind the one with the higher loss.
    seed : int
        Seed of the random points.

    Returns
    -------
    float32 array of shape (n, h, w, c), values in [0, 1]

    Raises
    ------
    ValueError
        For images, labels or settings out of their range, and for a model that does not return
        probabilities or is not differentiable.

    Notes
    -----
    Projected gradient descent (Madry et al., 2018). A step is 2 radius / steps long, so that it
    may go around corners. The random points are spread evenly in the ball of the norm, before
    pixels are clipped to [0, 1]; from one of them a way may lead out where the gradient at the
    image itself vanishes.

    Examples
    --------
    >>> x = np.full((1, 1, 2, 1), 0.5, np.float32)
    >>> def model(x):
    ...     return tf.nn.softmax(tf.reshape(x, (-1, 2)))
    >>> change = pgd_attack(model, x, [0], radius=0.5) - x
    >>> round(float(np.linalg.norm(change)), 4)
    0.5
    """
    x, y, radius, rng = _checked(model, x, y, radius, seed)
    steps = validation.whole_number(steps, "steps", 1)
    norm = validation.choice(norm, "norm", NORMS)
    restarts = validation.whole_number(restarts, "restarts", 1)

    # another callable may give something else the next time, where it reads a global name
    losses_of = _compiled_losses(model) if isinstance(model, keras.Model) else _losses(model)

    def attacked(part):
        def loss(images):
            return losses_of(images, wanted)

        def walk(start=None):
            return climb(loss, clean, radius, steps, norm, start, after_step=bar.update)

        clean, wanted = tf.constant(x[part]), tf.constant(y[part])
        best = walk()
        for _ in range(restarts - 1):
            start = clean + radius * _random_change(rng, clean.shape, norm)
            found = walk(tf.clip_by_value(start, 0.0, 1.0))
            better = _better(model, y[part], loss, found, best)
            best = tf.where(better[:, None, None, None], found, best)
        return best.numpy()

    parts = [slice(i, i + BATCH) for i in range(0, len(x), BATCH)]
    with session.progress_bar(len(parts) * restarts * steps, "attacking", delay=1) as bar:
        return np.concatenate([attacked(part) for part in parts])


def _checked(model, x, y, radius, seed):
    """Return what every attack is given, or say what is wrong with it."""
    x = validation.images_for(model, x, "x")
    radius = validation.number(radius, "radius", low=0, high=1000)
    rng = np.random.default_rng(validation.seed(seed))
    first = validation.probabilities(np.asarray(model(x[:1])), "the outputs of model")
    return x, validation.labels(y, "y", len(x), first.shape[1]), radius, rng


def _losses(model):
    """Return a function of images and labels: how wrong the model is with each image."""

    def losses(images, y):
        return keras.losses.sparse_categorical_crossentropy(y, model(images))

    return losses


def _compiled_losses(model):
    """Compile `_losses` of a network; kept, because compiling takes longer than ten steps."""
    if model not in COMPILED:
        # what is kept must not keep the network, so it only points to it
        pointer = weakref.proxy(model)
        # one trace for every number of images: the last part has fewer
        COMPILED[model] = tf.function(_losses(pointer), reduce_retracing=True)
    return COMPILED[model]


def square_attack(model, x, y, radius, queries=300, *, seed=0):
    """Change images by asking the model only: no gradient, so none that could be hidden.

    Parameters
    ----------
    model : callable on a batch (n, h, w, c) that returns probabilities (n, classes)
        It need not be differentiable: a forest will do.
    x, y : as in `pgd_attack`
    radius : float from 0 to 1000
        How much a pixel may change.
    queries : int, at least 1
        How often the model is asked about each image; it is asked no more once it is wrong.
    seed : int
        Seed of the squares.

    Returns
    -------
    float32 array of shape (n, h, w, c), values in [0, 1]

    Raises
    ------
    ValueError
        For images, labels or settings out of their range, and for a model that does not return
        probabilities.

    Notes
    -----
    Square Attack in the maximum norm (Andriushchenko et al., 2020): it begins with vertical
    stripes, then paints squares that shrink as the queries go by, each brighter or darker than the
    image by the whole radius. A square stays if it lowers the margin between the label and
    the best other class.

    Examples
    --------
    >>> x = np.full((1, 1, 2, 1), 0.5, np.float32)
    >>> def model(x):  # it knows steps only, so that its gradients are 0
    ...     bright = (x[:, 0, 0, 0] > x[:, 0, 1, 0]).astype(float)
    ...     return np.stack([1 - bright, bright], axis=1)
    >>> model(square_attack(model, x, [0], radius=0.25, queries=20)).argmax(axis=1)
    array([1])
    """
    x, y, radius, rng = _checked(model, x, y, radius, seed)
    queries = validation.whole_number(queries, "queries", 1)
    n, height, width, channels = x.shape
    stripes = rng.choice([-radius, radius], (n, 1, width, channels))
    best = np.clip(x + stripes, 0, 1).astype(np.float32)
    margin = _margin(model, best, y)
    with session.progress_bar(queries - 1, "attacking", delay=1) as bar:
        for query in range(1, queries):
            left = np.flatnonzero(margin > 0)
            if not len(left):
                break
            tried = best[left]
            share = 0.8 * 0.5 ** np.searchsorted(SHRINK, query / queries)
            side = max(1, min(round(np.sqrt(share * height * width)), height, width))
            rows, columns = (
                np.arange(side) + rng.integers(0, length - side + 1, (len(left), 1))
                for length in (height, width)
            )
            inside = np.arange(len(left))[:, None, None], rows[:, :, None], columns[:, None]
            painted = rng.choice([-radius, radius], (len(left), 1, 1, channels))
            tried[inside] = np.clip(x[left][inside] + painted, 0, 1)
            new = _margin(model, tried, y[left])
            lower = new < margin[left]
            best[left[lower]], margin[left[lower]] = tried[lower], new[lower]
            bar.update()
    return best


def _margin(model, x, y):
    """By how much the label's log-probability lies above the best other one, for each image."""
    parts = [np.asarray(model(x[i : i + BATCH])) for i in range(0, len(x), BATCH)]
    log_p = np.log(np.concatenate(parts) + 1e-30)
    own = np.arange(log_p.shape[1]) == y[:, None]
    return log_p[own] - log_p[~own].reshape(len(y), -1).max(axis=1)


def _better(model, y, loss, found, best):
    """Which images are attacked better: fooled before not fooled, then by the loss."""
    # of three classes or more, a higher loss alone may be that of an image that is read right
    fools = [tf.argmax(model(images), axis=1).numpy() != y for images in (found, best)]
    return (fools[0] > fools[1]) | ((fools[0] == fools[1]) & (loss(found) > loss(best)))


def _random_change(rng, shape, norm):
    """Draw changes of length up to 1 in the norm, evenly in the ball."""
    if norm == "linf":
        return rng.uniform(-1, 1, shape).astype(np.float32)
    change = rng.standard_normal(shape, np.float32)
    # of a ball in d dimensions, the share r^d lies within r of the centre
    length = rng.random((shape[0], 1, 1, 1)) ** (1 / np.prod(shape[1:]))
    scale = length / np.sqrt((change**2).sum(axis=(1, 2, 3), keepdims=True))
    return change * np.float32(scale)


def climb(loss, x, radius, steps, norm, start=None, after_step=None):
    """Climb a loss by projected gradient steps: the attack on tensors, inside a training step too.

    Parameters
    ----------
    loss : callable on a tensor (n, h, w, c) that returns the losses, a tensor (n,)
    x : tensor of shape (n, h, w, c), values in [0, 1]
    radius : float, or tensor of shape (n, 1, 1, 1)
    steps, norm : as in `pgd_attack`
    start : tensor of shape (n, h, w, c), values in [0, 1], optional
        Where the climb begins. Default: at x.
    after_step : callable without arguments, optional
        Called after each step.

    Returns
    -------
    tensor of shape (n, h, w, c), values in [0, 1]
    """
    direction, project = {"l2": (_unit, _into_ball), "linf": (tf.sign, _into_cube)}[norm]
    moved = x if start is None else start
    for _ in range(steps):
        with tf.GradientTape() as tape:
            tape.watch(moved)
            losses = loss(moved)
        gradient = tape.gradient(losses, moved)
        if gradient is None:
            raise ValueError("model must be differentiable: made of TensorFlow operations only")
        # twice the step that would just reach the radius, so that it can go around corners
        change = moved - x + 2 * radius / steps * direction(gradient)
        moved = tf.clip_by_value(x + project(change, radius), 0.0, 1.0)
        if after_step:
            after_step()
    return moved


def _length(images):
    return tf.sqrt(tf.reduce_sum(images**2, axis=(1, 2, 3), keepdims=True))


def _unit(gradient):
    # no small number is added to the length: of a very sure network all gradients are tiny
    return tf.math.divide_no_nan(gradient, _length(gradient))


def _into_ball(change, radius):
    return change * tf.minimum(1.0, radius / (_length(change) + 1e-10))


def _into_cube(change, radius):
    return tf.clip_by_value(change, -radius, radius)

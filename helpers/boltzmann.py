"""Restricted Boltzmann machines: what they say, how they learn, and how likely they find an image.

A machine has visible units v (the pixels) and hidden units h, all 0 or 1. Every function takes
images as (n, visible), or with any axes that flatten to that.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass

import numpy as np

from helpers import session, validation
from helpers.backend import tf

AT_ONCE = 100  # updates or Gibbs steps in one compiled call
MOST_TO_COUNT = 22  # hidden or visible units: 4 million states take some seconds
COUNT_AT_ONCE = 2**14


@dataclass(frozen=True, eq=False)
class RBM:
    r"""A restricted Boltzmann machine: three arrays, and the probabilities that they define.

    The energy of a state is :math:`E(v, h) = -v^\top b - h^\top c - v^\top W h`, and a state has
    the probability :math:`e^{-E(v, h)} / Z`.

    Attributes
    ----------
    weights : float32 array of shape (visible, hidden)
        W.
    visible_bias : float32 array of shape (visible,)
        b.
    hidden_bias : float32 array of shape (hidden,)
        c.

    Raises
    ------
    ValueError
        If the arrays do not fit each other, or hold NaN or infinity.

    References
    ----------
    Smolensky, *Information processing in dynamical systems*, 1986; Fischer and Igel, *Training
    restricted Boltzmann machines: an introduction*, Pattern Recognition 47, 2014.

    Examples
    --------
    >>> machine = RBM([[2.0], [-1.0]], [0.0, 0.0], [0.5])
    >>> machine.energy([[1, 0]], [[1]])
    array([-2.5], dtype=float32)
    """

    weights: np.ndarray
    visible_bias: np.ndarray
    hidden_bias: np.ndarray

    def __post_init__(self):
        """Bring the arrays into their form, and refuse what does not fit together."""
        for name in ("weights", "visible_bias", "hidden_bias"):
            array = np.asarray(getattr(self, name), np.float32)
            if not np.isfinite(array).all():
                raise ValueError(f"{name} must hold finite values; it holds NaN or infinity")
            object.__setattr__(self, name, array)
        found = self.weights.shape, self.visible_bias.shape, self.hidden_bias.shape
        if self.weights.ndim != 2 or found[1:] != ((found[0][0],), (found[0][1],)):
            raise ValueError(
                "weights, visible_bias and hidden_bias must have shapes (visible, hidden), "
                f"(visible,) and (hidden,), not {found[0]}, {found[1]} and {found[2]}"
            )

    def energy(self, v, h):
        """Energy of each state: the lower, the more probable.

        Parameters
        ----------
        v : array of shape (n, visible), values in [0, 1]
        h : array of shape (n, hidden), values in [0, 1]

        Returns
        -------
        float32 array of shape (n,)

        Examples
        --------
        >>> RBM(np.ones((2, 1)), np.zeros(2), np.zeros(1)).energy([[1, 1]], [[1]])
        array([-2.], dtype=float32)
        """
        v, h = _units(v, "v", len(self.visible_bias)), _units(h, "h", len(self.hidden_bias))
        return -v @ self.visible_bias - h @ self.hidden_bias - ((v @ self.weights) * h).sum(axis=1)

    def free_energy(self, v):
        r"""Free energy F(v) of each image: :math:`e^{-F(v)}` is the sum over h of :math:`e^{-E}`.

        Parameters
        ----------
        v : array of shape (n, visible), values in [0, 1]

        Returns
        -------
        float32 array of shape (n,)
            log p(v) is -F(v) - log Z.

        Examples
        --------
        >>> RBM(np.zeros((2, 3)), np.zeros(2), np.zeros(3)).free_energy([[1, 0]])  # -3 log 2
        array([-2.0794415], dtype=float32)
        """
        v = _units(v, "v", len(self.visible_bias))
        into = v @ self.weights + self.hidden_bias
        return -v @ self.visible_bias - np.logaddexp(0, into).sum(axis=1)

    def hidden_probabilities(self, v):
        """p(h = 1 | v) of each hidden unit.

        Parameters
        ----------
        v : array of shape (n, visible), values in [0, 1]

        Returns
        -------
        float32 array of shape (n, hidden)

        Examples
        --------
        >>> RBM(np.zeros((2, 3)), np.zeros(2), np.zeros(3)).hidden_probabilities([[1, 0]])
        array([[0.5, 0.5, 0.5]], dtype=float32)
        """
        v = _units(v, "v", len(self.visible_bias))
        return tf.sigmoid(v @ self.weights + self.hidden_bias).numpy()

    def visible_probabilities(self, h):
        """p(v = 1 | h) of each visible unit.

        Parameters
        ----------
        h : array of shape (n, hidden), values in [0, 1]

        Returns
        -------
        float32 array of shape (n, visible)

        Examples
        --------
        >>> RBM(np.zeros((2, 3)), np.zeros(2), np.zeros(3)).visible_probabilities([[1, 0, 1]])
        array([[0.5, 0.5]], dtype=float32)
        """
        h = _units(h, "h", len(self.hidden_bias))
        return tf.sigmoid(h @ self.weights.T + self.visible_bias).numpy()


def independent(images, hidden=1):
    """Make the machine without weights that fits images best: each pixel on its own.

    The biases are the log-odds of a pixel's mean, with one image more of each kind, so that no
    pixel is impossible.

    Parameters
    ----------
    images : array of shape (n, visible), values in [0, 1]
    hidden : int
        Hidden units, which do nothing: they have bias 0.

    Returns
    -------
    RBM

    Examples
    --------
    >>> independent([[1, 0], [1, 0]]).visible_bias
    array([ 1.0986123, -1.0986123], dtype=float32)
    """
    images = _units(images, "images")
    hidden = validation.whole_number(hidden, "hidden", 1)
    mean = (images.sum(axis=0, dtype=float) + 1) / (len(images) + 2)
    bias = np.log(mean) - np.log1p(-mean)
    return RBM(np.zeros((len(bias), hidden)), bias, np.zeros(hidden))


# --- sampling


def sample(machine, start, steps, *, seed=None, clamped=None):
    """Walk by Gibbs sampling: hidden units given the visible ones, then visible given hidden.

    Parameters
    ----------
    machine : RBM
    start : array of shape (n, visible), values in [0, 1]
        One image for each chain; one that is gray is drawn from first.
    steps : int, 0 or more
    seed : int, optional
        Default: the seed of the session.
    clamped : bool array of shape (visible,), optional
        Visible units that keep their value.

    Returns
    -------
    float32 array of shape (n, visible) of 0 and 1

    References
    ----------
    Geman and Geman, IEEE Transactions on Pattern Analysis and Machine Intelligence 6, 1984.

    Examples
    --------
    >>> always = RBM(np.zeros((2, 1)), [50.0, -50.0], [0.0])
    >>> sample(always, np.zeros((1, 2)), 1, seed=0)
    array([[1., 0.]], dtype=float32)
    """
    start = _units(start, "start", len(_machine(machine).visible_bias))
    steps = validation.whole_number(steps, "steps", 0)
    seed = _seed(seed)
    clamped = np.zeros(start.shape[1], bool) if clamped is None else np.asarray(clamped)
    if clamped.shape != start.shape[1:] or clamped.dtype != bool:
        raise ValueError(f"clamped must be {start.shape[1]} bools, one for each visible unit")
    v = _draw(tf.constant(start), tf.constant([seed, 0], tf.int64))
    with session.progress_bar(steps, "Gibbs sampling", delay=1) as bar:
        for first, last in _pieces(1, steps + 1):
            v = _walk(v, *_tensors(machine), clamped, tf.constant(seed, tf.int64), first, last)
            bar.update(int(last - first))
    return v.numpy()


def _draw(p, seed, which=0):
    """Draw 0 or 1 with these probabilities.

    `seed` is (seed of the user, number of the step), and `which` the draw within the step: so
    no two draws share their random numbers, whatever was drawn before.
    """
    own = tf.stack([seed[0], seed[1] * 2**20 + which])
    return tf.cast(tf.random.stateless_uniform(tf.shape(p), own) < p, tf.float32)


def _gibbs(v, weights, visible_bias, hidden_bias, seed):
    h = _draw(tf.sigmoid(v @ weights + hidden_bias), seed, 1)
    down = tf.sigmoid(tf.matmul(h, weights, transpose_b=True) + visible_bias)
    return _draw(down, seed, 2)


@tf.function(reduce_retracing=True)
def _walk(v, weights, visible_bias, hidden_bias, clamped, seed, first, last):
    for step in tf.range(first, last):
        moved = _gibbs(v, weights, visible_bias, hidden_bias, tf.stack([seed, step]))
        v = tf.where(clamped, v, moved)
    return v


# --- learning


def train(
    images,
    hidden,
    *,
    epochs,
    batch_size=100,
    learning_rate=0.05,
    gibbs_steps=1,
    restart=0.0,
    centred=True,
    weight_decay=0.0,
    start=None,
    seed=None,
    watch=None,
):
    r"""Train a machine by contrastive divergence, or by persistent contrastive divergence.

    The gradient of log p is a difference of two means: over images, and over samples of the
    machine. Contrastive divergence takes samples a few Gibbs steps from the images; the
    persistent one walks on with chains that it does not start anew. In between, a few restarts
    bring chains to images that are rare, where no chain would come by itself. Centred, both
    layers are measured from their means, which makes the gradient the same for images and their
    negatives.

    Parameters
    ----------
    images : array of shape (n, visible), values in [0, 1]
        Gray values are probabilities: a black-and-white image is drawn anew for each update.
    hidden : int
    epochs, batch_size, gibbs_steps : int
        There are `batch_size` chains. Images that fill no batch wait for the next epoch.
    learning_rate : float
        Of the first update; it falls in a line to 0.
    restart : float from 0 to 1
        Share of the chains that begin anew at images, drawn by lot in each update: 0 is
        persistent contrastive divergence, 1 is contrastive divergence.
    centred : bool
    weight_decay : float
        Times the weights, it is taken from their gradient.
    start : RBM, optional
        Where to begin. Default: `independent` with small random weights.
    seed : int, optional
        Default: the seed of the session.
    watch : callable ``(epoch, machine)``, optional
        Called after each epoch, counted from 1.

    Returns
    -------
    RBM

    Raises
    ------
    ValueError
        For arguments that do not fit.
    RuntimeError
        If the weights are no longer numbers.

    References
    ----------
    Hinton, Neural Computation 14, 2002 (CD); Tieleman, ICML 2008 (PCD); Melchior, Fischer and
    Wiskott, *How to center deep Boltzmann machines*, JMLR 17, 2016 (equations 11 to 14).

    Examples
    --------
    >>> stripes = np.tile([[1, 1, 0, 0], [0, 0, 1, 1]], (50, 1))
    >>> machine = train(stripes, 2, epochs=200, batch_size=10, learning_rate=0.2, seed=0)
    >>> machine.free_energy([[1, 1, 0, 0]]) < machine.free_energy([[1, 0, 1, 0]]) - 2
    array([ True])
    """
    images = _units(images, "images")
    hidden = validation.whole_number(hidden, "hidden", 1)
    epochs = validation.whole_number(epochs, "epochs", 1)
    batch_size = validation.whole_number(batch_size, "batch_size", 1, len(images))
    gibbs_steps = validation.whole_number(gibbs_steps, "gibbs_steps", 1)
    rate = validation.number(learning_rate, "learning_rate", above=0)
    weight_decay = validation.number(weight_decay, "weight_decay", low=0)
    restart = validation.number(restart, "restart", low=0, high=1)
    centred = validation.flag(centred, "centred")
    seed = _seed(seed)
    rng = np.random.default_rng(seed)
    if start is None:
        start = independent(images, hidden)
        noise = rng.normal(0, 0.01, start.weights.shape)
        start = RBM(noise, start.visible_bias, start.hidden_bias)
    if _machine(start).weights.shape != (images.shape[1], hidden):
        raise ValueError(f"start must have {images.shape[1]} visible and {hidden} hidden units")

    parameters = [tf.Variable(tensor) for tensor in _tensors(start)]
    means = [tf.Variable(images.mean(axis=0)), tf.Variable(np.full(hidden, 0.5, np.float32))]
    if not centred:
        means = [tf.Variable(tf.zeros_like(mean)) for mean in means]
    chains = rng.random((batch_size, images.shape[1])) < images.mean(axis=0)
    chains = tf.Variable(chains.astype(np.float32))
    gray = bool(((images > 0) & (images < 1)).any())
    stored, batches = tf.constant(images), len(images) // batch_size
    updates = epochs * batches

    @tf.function
    def update_for(order, first, last):
        for count in tf.range(first, last):
            place = count % batches * batch_size
            v = tf.gather(stored, order[place : place + batch_size])
            now = rate * (1 - tf.cast(count / updates, tf.float32))
            number = tf.stack([tf.constant(seed, tf.int64), count])
            _update(
                parameters, means, chains, gibbs_steps, restart, centred, gray, v, now,
                weight_decay, number,
            )  # fmt: skip

    with session.progress_bar(updates, f"training {hidden} hidden units", delay=1) as bar:
        for epoch in range(epochs):
            order = tf.constant(rng.permutation(len(images)))
            for first, last in _pieces(epoch * batches, (epoch + 1) * batches):
                update_for(order, first, last)
                bar.update(int(last - first))
            if not np.isfinite(tf.reduce_sum(parameters[0])):
                raise RuntimeError(
                    f"the weights are no longer numbers after epoch {epoch + 1}: "
                    f"a learning_rate below {rate:g} may help"
                )
            if watch is not None:
                watch(epoch + 1, RBM(*(parameter.numpy() for parameter in parameters)))
    return RBM(*(parameter.numpy() for parameter in parameters))


def _pieces(first, last):
    """Cut a range into pieces for one compiled call each: a bar moves between two of them."""
    for start in range(first, last, AT_ONCE):
        end = min(start + AT_ONCE, last)
        yield tf.constant(start, tf.int64), tf.constant(end, tf.int64)


def _update(parameters, means, chains, gibbs_steps, restart, centred, gray, v, rate, decay, seed):
    """One step up the gradient, in place: the whole of the learning."""
    weights, visible_bias, hidden_bias = parameters
    mean_v, mean_h = means
    n = tf.shape(v)[0]
    if gray:
        v = _draw(v, seed)
    if restart:
        lot = tf.fill([n, 1], tf.constant(restart, tf.float32))
        chains.assign(tf.where(_draw(lot, seed, 2**19) == 1, v, chains))
    # one product for the images and the chains: reading the weights takes most of the time
    both = tf.sigmoid(tf.concat([v, chains], axis=0) @ weights + hidden_bias)
    h, h_dreamt = both[:n], both[n:]
    for step in range(gibbs_steps):
        drawn = _draw(h_dreamt, seed, 2 * step + 1)
        down = tf.sigmoid(tf.matmul(drawn, weights, transpose_b=True) + visible_bias)
        dreamt = _draw(down, seed, 2 * step + 2)
        h_dreamt = tf.sigmoid(dreamt @ weights + hidden_bias)
    chains.assign(dreamt)
    if centred:
        mean_v.assign_add(0.01 * (tf.reduce_mean(v, axis=0) - mean_v))
        mean_h.assign_add(0.01 * (tf.reduce_mean(h, axis=0) - mean_h))
    # the mean over images minus the mean over dreams: rows of both, in one product
    rate_each = rate / tf.cast(n, tf.float32)
    from_v = tf.concat([v - mean_v, dreamt - mean_v], axis=0)
    from_h = tf.concat([h - mean_h, mean_h - h_dreamt], axis=0) * rate_each
    if decay:
        weights.assign_sub(decay * rate * weights)
    weights.assign_add(tf.matmul(from_v, from_h, transpose_a=True))
    # the biases move back by what the weights add at the means, (from_v' from_h) mean_h and so on
    to_v = tf.linalg.matvec(from_v, tf.linalg.matvec(from_h, mean_h), transpose_a=True)
    to_h = tf.linalg.matvec(from_h, tf.linalg.matvec(from_v, mean_v), transpose_a=True)
    visible_bias.assign_add(rate_each * tf.reduce_sum(v - dreamt, axis=0) - to_v)
    hidden_bias.assign_add(rate_each * tf.reduce_sum(h - h_dreamt, axis=0) - to_h)


# --- how likely


def exact_log_z(machine):
    """Log of the partition function Z, by counting every state of the smaller layer.

    Parameters
    ----------
    machine : RBM
        With at most 22 units in one layer.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If both layers are larger.

    Examples
    --------
    >>> round(exact_log_z(RBM(np.zeros((3, 2)), np.zeros(3), np.zeros(2))), 3)  # 5 log 2
    3.466
    """
    weights, large, small = _machine(machine).weights, machine.visible_bias, machine.hidden_bias
    if len(small) > len(large):
        weights, large, small = weights.T, small, large
    if len(small) > MOST_TO_COUNT:
        raise ValueError(
            f"machine must have at most {MOST_TO_COUNT} units in one layer, not {len(small)}"
        )
    parts = []
    states = 2 ** len(small)
    with session.progress_bar(states, "counting states", delay=1) as bar:
        for first in range(0, states, COUNT_AT_ONCE):
            numbers = np.arange(first, min(first + COUNT_AT_ONCE, states))
            bits = ((numbers[:, None] >> np.arange(len(small))) & 1).astype(np.float32)
            parts.append(_log_mass(bits, weights, large, small).numpy())
            bar.update(len(numbers))
    return float(_log_sum(np.concatenate(parts)))


@tf.function(reduce_retracing=True)
def _log_mass(bits, weights, large, small):
    """Log of the sum over the larger layer of exp(-E), for states of the smaller one."""
    into = tf.matmul(bits, weights, transpose_b=True) + large
    return tf.linalg.matvec(bits, small) + tf.reduce_sum(tf.math.softplus(into), axis=1)


def _log_sum(values, axis=0):
    return np.logaddexp.reduce(np.asarray(values, float), axis=axis)


def ais_log_z(machine, base, *, steps=1000, chains=100, seed=None):
    """Estimate log Z by annealed importance sampling: chains that go from `base` to `machine`.

    Z itself is estimated without bias, so its logarithm comes out **too low** on average: chains
    that miss a part of what the machine believes do not count it. A log-likelihood that is
    computed with it is too high.

    Parameters
    ----------
    machine : RBM
    base : RBM
        Without weights, such as `independent` of the training images.
    steps : int
        Temperatures between the two.
    chains : int
    seed : int, optional
        Default: the seed of the session.

    Returns
    -------
    float

    References
    ----------
    Neal, Statistics and Computing 11, 2001; Salakhutdinov and Murray, *On the quantitative
    analysis of deep belief networks*, ICML 2008.

    Examples
    --------
    >>> machine = RBM([[1.0], [2.0]], [0.0, 0.0], [-1.0])
    >>> base = independent(np.eye(2))
    >>> abs(ais_log_z(machine, base, steps=200, seed=0) - exact_log_z(machine)) < 0.05
    True
    """
    path = _path(machine, base)
    steps = validation.whole_number(steps, "steps", 1)
    chains = validation.whole_number(chains, "chains", 1)
    seed = _seed(seed)
    p = tf.repeat(tf.sigmoid(path[3])[None], chains, axis=0)
    v = _draw(p, tf.constant([seed, 0], tf.int64))
    # a step weighs the state at two neighbouring temperatures, and then walks at the higher one
    gained = _anneal(v, path, np.linspace(0, 1, steps + 1), seed, walk_first=False)
    start = np.logaddexp(0, base.visible_bias).sum() + np.logaddexp(0, base.hidden_bias).sum()
    return float(start + _log_sum(gained) - np.log(chains))


def reverse_ais(machine, images, base, *, steps=1000, chains=1, seed=None):
    """Estimate log p of each image by chains that go backwards, from the image to `base`.

    It looks at AIS with these temperatures as a machine of its own, which is nearly `machine`
    when there are many. Of that one the estimate comes out **too low** on average, so forward
    and backward together hold the truth between them.

    Parameters
    ----------
    machine, base, steps, seed : as in `ais_log_z`
    images : array of shape (n, visible) of 0 and 1
    chains : int
        For each image; more bring the bound nearer.

    Returns
    -------
    float array of shape (n,)

    References
    ----------
    Burda, Grosse and Salakhutdinov, *Accurate and conservative estimates of MRF log-likelihood
    using reverse annealing*, AISTATS 2015.

    Examples
    --------
    >>> machine, base = RBM([[1.0], [2.0]], [0.0, 0.0], [-1.0]), independent(np.eye(2))
    >>> below = reverse_ais(machine, np.ones((50, 2)), base, steps=200, seed=0).mean()
    >>> bool(abs(below + machine.free_energy([[1, 1]])[0] + exact_log_z(machine)) < 0.05)
    True
    """
    path = _path(machine, base)
    images = _units(images, "images", len(base.visible_bias))
    steps = validation.whole_number(steps, "steps", 1)
    chains = validation.whole_number(chains, "chains", 1)
    v = tf.constant(np.repeat(images, chains, axis=0))
    gained = _anneal(v, path, np.linspace(1, 0, steps + 1), _seed(seed), walk_first=True)
    start = np.logaddexp(0, base.visible_bias).sum() + np.logaddexp(0, base.hidden_bias).sum()
    gained = _log_sum(gained.reshape(len(images), chains), axis=1) - np.log(chains)
    return -machine.free_energy(images).astype(float) - start + gained


def _path(machine, base):
    """Return the parameters of both ends as tensors."""
    if (
        _machine(base, "base").weights.any()
        or base.weights.shape != _machine(machine).weights.shape
    ):
        raise ValueError(
            f"base must be a machine without weights, of {machine.weights.shape[0]} visible and "
            f"{machine.weights.shape[1]} hidden units: see independent"
        )
    return (*_tensors(machine), *_tensors(base)[1:])


def _anneal(v, path, betas, seed, walk_first):
    """Walk along the temperatures; return the sum of each chain's log weights."""
    gained = tf.zeros(len(v), tf.float64)
    betas, seed = tf.constant(betas, tf.float32), tf.constant(seed, tf.int64)
    with session.progress_bar(len(betas) - 1, "annealing", delay=1) as bar:
        for first, last in _pieces(1, len(betas)):
            v, gained = _anneal_for(v, gained, path, betas, seed, first, last, walk_first)
            bar.update(int(last - first))
    return gained.numpy()


@tf.function(reduce_retracing=True)
def _anneal_for(v, gained, path, betas, seed, first, last, walk_first):
    weights, b_1, c_1, b_0, c_0 = path

    def at(beta):
        return beta * weights, (1 - beta) * b_0 + beta * b_1, (1 - beta) * c_0 + beta * c_1

    for step in tf.range(first, last):
        here, there, number = betas[step - 1], betas[step], tf.stack([seed, step])
        if walk_first:
            v = _gibbs(v, *at(here), number)
        # the product with the weights is the same at both temperatures
        into = v @ weights
        gain = (there - here) * tf.linalg.matvec(v, b_1 - b_0)
        gain += tf.reduce_sum(tf.math.softplus(there * into + at(there)[2]), axis=1)
        gain -= tf.reduce_sum(tf.math.softplus(here * into + at(here)[2]), axis=1)
        gained += tf.cast(gain, tf.float64)
        if not walk_first:
            v = _gibbs(v, *at(there), number)
    return v, gained


# --- several layers


@dataclass(frozen=True, eq=False)
class DBN:
    """A deep belief net: machines on top of each other, of which only the last is walked.

    Attributes
    ----------
    machines : tuple of RBM
        The hidden units of each are the visible ones of the next.

    Raises
    ------
    ValueError
        If the machines do not fit on each other.

    References
    ----------
    Hinton, Osindero and Teh, *A fast learning algorithm for deep belief nets*, Neural
    Computation 18, 2006.

    Examples
    --------
    >>> net = DBN((independent(np.eye(4), 3), independent(np.eye(3), 2)))
    >>> net.hidden_probabilities(np.eye(4)).shape
    (4, 2)
    """

    machines: tuple[RBM, ...]

    def __post_init__(self):
        """Refuse machines that do not stand on each other."""
        object.__setattr__(self, "machines", tuple(self.machines))
        shapes = [_machine(machine).weights.shape for machine in self.machines]
        fits = all(below[1] == above[0] for below, above in itertools.pairwise(shapes))
        if not shapes or not fits:
            raise ValueError(f"machines must stand on each other, not have the shapes {shapes}")

    def hidden_probabilities(self, v):
        """Go up: probabilities of the top units, each layer given those of the layer below.

        Parameters
        ----------
        v : array of shape (n, visible), values in [0, 1]

        Returns
        -------
        float32 array of shape (n, hidden of the last machine)
        """
        return functools.reduce(
            lambda x, machine: machine.hidden_probabilities(x), self.machines, v
        )

    def visible_probabilities(self, h):
        """Go down from the visible units of the last machine to probabilities of the pixels.

        Parameters
        ----------
        h : array of shape (n, visible of the last machine), values in [0, 1]

        Returns
        -------
        float32 array of shape (n, visible)
        """
        below = reversed(self.machines[:-1])
        return functools.reduce(lambda x, machine: machine.visible_probabilities(x), below, h)


def train_dbn(images, sizes, **settings):
    """Train a deep belief net greedily: each machine on what the one below makes of the images.

    Parameters
    ----------
    images : array of shape (n, visible), values in [0, 1]
    sizes : sequence of int
        Hidden units of each machine, from the bottom.
    **settings
        As in `train`, the same for each machine.

    Returns
    -------
    DBN

    Examples
    --------
    >>> [m.weights.shape for m in train_dbn(np.eye(4), [3, 2], epochs=1, batch_size=4).machines]
    [(4, 3), (3, 2)]
    """
    machines = []
    for hidden in sizes:
        machines.append(train(images, hidden, **settings))
        images = machines[-1].hidden_probabilities(images)
    return DBN(tuple(machines))


# --- arguments


def _units(values, name, width=None):
    """Return values of units as float32 of shape (n, width)."""
    values = np.asarray(values)
    if values.ndim < 2 or len(values) == 0 or values.dtype.kind not in "fiub":
        raise ValueError(f"{name} must be numbers of shape (n, units), n >= 1, not {values.shape}")
    values = values.reshape(len(values), -1).astype(np.float32, copy=False)
    if width is not None and values.shape[1] != width:
        raise ValueError(f"{name} must have {width} units, not {values.shape[1]}")
    if not (values.min() >= 0 and values.max() <= 1):  # false for NaN too
        raise ValueError(
            f"{name} must hold values in [0, 1], not in [{values.min():g}, {values.max():g}]"
        )
    return values


def _machine(value, name="machine"):
    if not isinstance(value, RBM):
        raise ValueError(f"{name} must be an RBM, not a {type(value).__name__}")
    return value


def _seed(seed):
    return session.seed() if seed is None else validation.seed(seed)


def _tensors(machine):
    return tuple(
        tf.constant(array) for array in (machine.weights, machine.visible_bias, machine.hidden_bias)
    )

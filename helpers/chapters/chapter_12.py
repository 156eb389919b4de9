"""The three studies of 12, and their records: ``python -m helpers.chapters.chapter_12``.

Also the exercises of 12, and its figures.
"""

import dataclasses
import functools
import itertools
import time

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import ticker

from helpers import boltzmann, data, plotting, records, session
from helpers.backend import keras, tf
from helpers.exercises import Exercise

# --- networks


def build(layers, width, start="random", *, net=None, seed=0):
    """Build a classifier of equal hidden layers: it returns logits.

    Parameters
    ----------
    layers, width : int
        Hidden layers, and the units of each.
    start : {"random", "dbn", "persistent", "glorot", "relu"}
        ``"random"``: small weights, with which the machines of a DBN start too. ``"dbn"``: what
        these machines have learnt; ``"persistent"``: by chains that never start anew.
        ``"glorot"``: larger weights, which fit the size of the layer (Glorot and Bengio, 2010).
        ``"relu"``: rectifiers in place of sigmoids, with the weights of He and others (2015).
    net : DBN, optional
        For ``"dbn"`` and ``"persistent"``: machines of `width` hidden units, of which the first
        `layers` are used.
    seed : int

    Returns
    -------
    keras.Sequential
        From (n, 784) to (n, 10).

    Examples
    --------
    >>> build(2, 50).count_params()
    42310
    """
    keras.utils.set_random_seed(seed)
    small = keras.initializers.RandomNormal(stddev=0.01)
    initial = {"relu": "he_normal", "glorot": "glorot_uniform"}.get(start, small)
    activation = "relu" if start == "relu" else "sigmoid"
    hidden = [
        keras.layers.Dense(width, activation, kernel_initializer=initial) for _ in range(layers)
    ]
    network = keras.Sequential([keras.Input((784,)), *hidden, keras.layers.Dense(10)])
    if start in PRETRAINING:
        for layer, machine in zip(hidden, net.machines, strict=False):
            layer.set_weights([machine.weights, machine.hidden_bias])
    return network


def fit(network, x, y, optimiser, *, rate, epochs, batch_size=100, seed=0, watch=None):
    """Train a classifier on its labels with a rate that falls in a line to 0.

    It does what `keras.Model.fit` does, an epoch in one compiled call: for small networks this is
    several times faster.

    Parameters
    ----------
    network : keras.Model that returns logits
    x : float32 array of shape (n, 784)
    y : int array of shape (n,)
    optimiser : {"gd", "adam"}
    rate : float
        Of the first update.
    epochs, batch_size, seed : int
        Images that fill no batch wait for the next epoch.
    watch : callable ``(epoch)``, optional
        Called after each epoch, counted from 1.

    Returns
    -------
    keras.Model
        The same network.

    Examples
    --------
    >>> x, y = np.eye(4, 784, dtype="float32"), np.arange(4)
    >>> network = fit(build(1, 8), x, y, "adam", rate=0.1, epochs=20, batch_size=4)
    >>> error(network, x, y)
    0.0
    """
    batches = len(x) // batch_size
    falling = keras.optimizers.schedules.PolynomialDecay(rate, epochs * batches, 0.0)
    optimizer = {"gd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimiser](falling)
    variables = network.trainable_variables
    optimizer.build(variables)
    images, labels = tf.constant(x, tf.float32), tf.constant(y, tf.int64)
    surprise = tf.nn.sparse_softmax_cross_entropy_with_logits

    @tf.function
    def epoch_of(images, labels, order):
        for place in tf.range(batches):
            own = order[place * batch_size : (place + 1) * batch_size]
            with tf.GradientTape() as tape:
                logits = network(tf.gather(images, own), training=True)
                loss = tf.reduce_mean(surprise(tf.gather(labels, own), logits))
            optimizer.apply(tape.gradient(loss, variables), variables)

    rng = np.random.default_rng(seed)
    with session.progress_bar(epochs, "training", delay=1) as bar:
        for epoch in range(1, epochs + 1):
            # as arguments: a compiled function would keep them in memory for ever
            epoch_of(images, labels, tf.constant(rng.permutation(len(x))))
            bar.update(1)
            if watch is not None:
                watch(epoch)
    return network


def error(network, x, y):
    """Share of the images that a classifier gets wrong, in percent.

    Parameters
    ----------
    network : keras.Model with one output for each class
    x : float32 array of shape (n, 784)
    y : int array of shape (n,)

    Returns
    -------
    float
    """
    answers = np.concatenate([network(x[i : i + 5000]).numpy() for i in range(0, len(x), 5000)])
    return float(100 * np.mean(answers.argmax(axis=1) != y))


def labelled(y, n, seed):
    """Choose the images whose labels may be used: nearly as many of each class.

    Parameters
    ----------
    y : int array of shape (m,)
    n : int
    seed : int

    Returns
    -------
    int array of shape (n,)
        Places in `y`. A smaller choice with the same seed is part of a larger one.

    Examples
    --------
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> sorted(y[labelled(y, 4, seed=0)].tolist())
    [0, 0, 1, 1]
    """
    order = np.random.default_rng(seed).permutation(len(y))
    rank = np.empty(len(y), int)  # the how many-th of its class each image is
    for label in np.unique(y):
        rank[y[order] == label] = np.arange(np.sum(y == label))
    return order[np.argsort(rank, kind="stable")[:n]]


# --- the studies

FILE = "dbn_pretraining.jsonl"
STARTS = ("random", "dbn", "glorot", "relu", "persistent")
# of a few rates each, the best on 10,000 training images that were held out; the epochs are what
# there was time for
PRETRAINING = {
    "dbn": {"epochs": 10, "learning_rate": 0.1, "restart": 1.0, "weight_decay": 2e-4},
    # chains that go on from update to update, as in the machine that notebook 11 ships
    "persistent": {"epochs": 12, "learning_rate": 0.05, "restart": 0.0, "weight_decay": 2e-4},
}
RATES = {100: {"gd": 2.0, "adam": 0.003}, 20: {"gd": 0.5, "adam": 0.003}}  # by batch size
EPOCHS = {"gd": 15, "adam": 10}


@dataclasses.dataclass(frozen=True)
class Setting:
    """One network of the studies.

    Attributes
    ----------
    layers, width : int
        Hidden layers, and the units of each.
    labels : int
        Training images with labels.
    optimiser : {"gd", "adam"}
    start : {"random", "dbn", "persistent", "glorot", "relu"}
        See `build`.
    rate : float
    epochs : int
    batch_size : int
    """

    layers: int
    width: int
    labels: int
    optimiser: str
    start: str
    rate: float
    epochs: int
    batch_size: int


def setting(layers, width, labels, optimiser, start, *, rate=None, longer=1):
    """Complete a setting by the schedule of the studies.

    Parameters
    ----------
    layers, width, labels, optimiser, start : as in `Setting`
    rate : float, optional
        Default: that of the optimiser.
    longer : int
        Times as many epochs.

    Returns
    -------
    Setting

    Examples
    --------
    >>> setting(2, 200, 60_000, "adam", "dbn").epochs
    10
    """
    batch_size = 100 if labels > 3000 else 20
    # few labels make short epochs: three thousand updates
    least = 3000 * batch_size // labels if batch_size == 20 else 0
    epochs = max(EPOCHS[optimiser], least)
    rate = RATES[batch_size][optimiser] if rate is None else rate
    return Setting(layers, width, labels, optimiser, start, rate, longer * epochs, batch_size)


LAYERS, WIDTHS = (1, 2, 3, 4, 5), (50, 100, 200, 500)
LABELS = (100, 1000, 3000, 10_000, 60_000)
EVERYTHING = LABELS[-1]
LINES = (("gd", "random"), ("gd", "dbn"), ("adam", "random"), ("adam", "dbn"))
FAIR = (("gd", "glorot"), ("adam", "relu"))  # better starts
LARGER = (3, 500)  # layers and units of the networks whose machines learnt by persistent chains
PERSISTENT = (("gd", "persistent"), ("adam", "persistent"), ("adam", "random"))
# other schedules of gradient descent
LONGER, FASTER = {"rate": 2.0, "longer": 4}, {"rate": 8.0, "longer": 1}


def settings():
    """List the settings of all studies in groups: a group is trained on all seeds, then the next.

    Returns
    -------
    list of list of Setting
    """
    deep = [(5, 200, n) for n in (10_000, EVERYTHING)]
    labels = [(2, 200, n) for n in LABELS]
    better = [(2, 200, n) for n in (1000, 10_000, EVERYTHING)]
    narrow = [(2, width, EVERYTHING) for width in WIDTHS if width < 200]
    wide = (2, WIDTHS[-1], EVERYTHING)
    better_machines = [(*LARGER, n) for n in (1000, 10_000, EVERYTHING)]
    others = [(n, 200, 10_000) for n in LAYERS if n not in (2, 5)]
    return [
        [setting(*size, *line) for size in deep for line in LINES + FAIR],
        [setting(*size, *line) for size in labels for line in LINES]
        + [setting(*size, "adam", "relu") for size in better],
        [setting(*size, *line) for size in narrow for line in LINES],
        [
            setting(*deep[0], "gd", start, **schedule)
            for start in ("random", "glorot")
            for schedule in (LONGER, FASTER)
        ],
        [setting(*size, *line) for size in others for line in LINES],
        [setting(*wide, *line) for line in LINES],
        [setting(*size, *line) for size in better_machines for line in PERSISTENT],
        [setting(*deep[1], "gd", start, **LONGER) for start in ("dbn", "random")],
    ]


def train(setting, net, seed, images, labels):
    """Train the network of a setting.

    Parameters
    ----------
    setting : Setting
    net : DBN or None
        What a pretrained network starts from.
    seed : int
    images : float32 array of shape (n, 784), values in [0, 1]
    labels : int array of shape (n,)

    Returns
    -------
    keras.Model
    """
    chosen = labelled(labels, setting.labels, seed)
    network = build(setting.layers, setting.width, setting.start, net=net, seed=seed)
    how = {"rate": setting.rate, "epochs": setting.epochs, "batch_size": setting.batch_size}
    return fit(network, images[chosen], labels[chosen], setting.optimiser, seed=seed, **how)


def pretrain(images, layers, width, start, seed):
    """Train the deep belief net that networks of a width start from, without labels.

    The machines are those of notebook 11, by CD-1 or by persistent chains. Each update draws
    black-and-white images anew.

    Parameters
    ----------
    images : float32 array of shape (n, 784), values in [0, 1]
    layers, width : int
    start : key of `PRETRAINING`
    seed : int

    Returns
    -------
    helpers.boltzmann.DBN
    """
    return boltzmann.train_dbn(images, [width] * layers, seed=seed, **PRETRAINING[start])


def recorded():
    """Read what the studies measured.

    Returns
    -------
    dict of Setting to dict of int to float
        Seed -> test error in percent.
    """
    found = {}
    for line in records.read(FILE):
        own = found.setdefault(Setting(**line["setting"]), {})
        own[line["seed"]] = line["values"]["test error"]
    return found


def errors(layers, width, labels, optimiser, start, **schedule):
    """Read the recorded test errors of one setting.

    Parameters
    ----------
    layers, width, labels, optimiser, start, **schedule : as in `setting`

    Returns
    -------
    float array of shape (seeds,), in percent
        In the order of the seeds, so that two settings can be compared seed by seed.

    Raises
    ------
    LookupError
        If this was never trained.

    Examples
    --------
    >>> bool(errors(5, 200, 60_000, "gd", "random").min() > 80)
    True
    """
    own = setting(layers, width, labels, optimiser, start, **schedule)
    if own not in (found := recorded()):
        raise LookupError(f"{own} is in no line of data/records/{FILE}")
    return np.array([found[own][seed] for seed in sorted(found[own])])


def study(sizes):
    """Read the recorded test errors of a study.

    Parameters
    ----------
    sizes : dict of int to (int, int, int)
        What is varied -> layers, width and labels.

    Returns
    -------
    dict of (str, str) to dict of int to float array of shape (seeds,)
        Optimiser and start -> what is varied -> errors, as far as they are on record.

    Examples
    --------
    >>> sorted(study({n: (n, 200, 10_000) for n in LAYERS})["gd", "dbn"])
    [1, 2, 3, 4, 5]
    """
    known = recorded()
    return {
        line: {
            x: errors(*size, *line) for x, size in sizes.items() if setting(*size, *line) in known
        }
        for line in LINES
    }


def schedules(labels):
    """Read how gradient descent on five layers did with all schedules that were tried.

    Parameters
    ----------
    labels : int

    Returns
    -------
    dict of str to float array of shape (seeds,)
        Start and schedule -> test errors in percent.

    Examples
    --------
    >>> schedules(60_000)["Glorot"].shape
    (3,)
    """
    found, recorded_ones = {}, recorded()
    for start, word in WORDS.items():
        for end, schedule in (
            ("", {}),
            (", four times as long", LONGER),
            (", four times the rate", FASTER),
        ):
            if setting(5, 200, labels, "gd", start, **schedule) in recorded_ones:
                found[word + end] = errors(5, 200, labels, "gd", start, **schedule)
    return found


def larger(labels):
    """Read how the larger networks did, whose machines learnt by persistent chains.

    Parameters
    ----------
    labels : int

    Returns
    -------
    dict of str to float array of shape (seeds,)
        Optimiser and start -> test errors in percent.

    Examples
    --------
    >>> list(larger(1000))
    ['gradient descent, persistent chains', 'Adam, persistent chains', 'Adam, small random']
    """
    return {
        f"{OPTIMISERS[optimiser]}, {WORDS[start]}": errors(*LARGER, labels, optimiser, start)
        for optimiser, start in PERSISTENT
    }


def record(seeds, groups):
    """Train what is not on record, and write each error down at once.

    Parameters
    ----------
    seeds : sequence of int
    groups : list of list of Setting
        From `settings`: each is trained on all seeds, then the next.
    """
    mnist = data.load("mnist", "full")
    x_train, x_test = (x.reshape(len(x), -1) for x in (mnist.x_train, mnist.x_test))
    done = recorded()
    kept = functools.cache(functools.partial(_stack_of, x_train))
    for group, seed in itertools.product(groups, seeds):
        for own in group:
            if seed in done.get(own, {}):
                continue
            net = kept(own.width, own.start, seed) if own.start in PRETRAINING else None
            began = time.perf_counter()
            network = train(own, net, seed, x_train, mnist.y_train)
            measured = error(network, x_test, mnist.y_test)
            line = {"setting": dataclasses.asdict(own), "values": {"test error": measured}}
            records.append(FILE, {"profile": "full", "seed": seed, **line})
            print(
                f"{seed} {own}: {measured:.2f} %, {time.perf_counter() - began:.0f} s", flush=True
            )


def _stack_of(images, width, start, seed):
    """Pretrain all layers that networks of a width need, unless this was done before."""
    alike = [o for group in settings() for o in group if (o.width, o.start) == (width, start)]
    layers = max(own.layers for own in alike)
    how = "-".join(map(str, PRETRAINING[start].values()))
    path = session.models_folder() / f"dbn-{layers}x{width}-{how}-seed{seed}.npz"
    if path.exists():
        with np.load(path) as kept:
            arrays = [kept[str(place)] for place in range(3 * layers)]
        return boltzmann.DBN(boltzmann.RBM(*arrays[i : i + 3]) for i in range(0, len(arrays), 3))
    net = pretrain(images, layers, width, start, seed)
    arrays = [a for m in net.machines for a in (m.weights, m.visible_bias, m.hidden_bias)]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{str(place): array for place, array in enumerate(arrays)})
    return net


# --- exercises

RNG = np.random.default_rng(0)


def _machines(rng, sizes):
    """Draw the weights and hidden biases of machines that stand on each other."""
    pairs = itertools.pairwise(sizes)
    weights = [rng.normal(0, 1.2, pair) for pair in pairs]
    return weights, [rng.normal(size=size) for size in sizes[1:]]


up = Exercise(
    "12-2",
    points=2,
    lesson="The same arrays, read upwards only: the visible biases were for dreaming.",
    hint=(
        "What does the second machine take for its image?",
        "Its visible units are the first one's probabilities: sigmoid(v @ W + c), layer by layer.",
        "for W, c in zip(weights, biases): v = 1 / (1 + np.exp(-(v @ W + c))), and return v",
    ),
)
up.case(
    "the text's example",
    *(np.array([[1.0, 0]]), [np.array([[2.0], [1]]), np.array([[1.0, -3]])]),
    [np.array([-2.0]), np.zeros(2)],
)
up.case("4 images, 2 machines", RNG.random((4, 6)), *_machines(RNG, (6, 5, 3)))
up.case("3 images, 1 machine", RNG.random((3, 5)), *_machines(RNG, (5, 4)))
up.case("2 images, 4 machines of one size", RNG.random((2, 4)), *_machines(RNG, (4, 4, 4, 4, 4)))


@up.hidden("machines and images drawn at random")
def _draw_machines(rng):
    sizes = [int(size) for size in rng.integers(3, 8, int(rng.integers(3, 6)))]
    return rng.random((int(rng.integers(2, 6)), sizes[0])), *_machines(rng, sizes)


has_top = up.rule("Return the top units of each image: shape (n, units of the last machine).")(
    lambda result, v, weights, biases: np.shape(result) == (len(v), weights[-1].shape[1])
)


back = Exercise(
    "12-1",
    points=2,
    lesson="Each layer multiplies by a slope of at most 1/4: that is how gradients vanish.",
    hint=(
        "The slope of the sigmoid can be written with its own value h. How?",
        "h * (1 - h). And which product brings the deltas of the layer above down?",
        "(delta @ weights.T) * h * (1 - h)",
    ),
)
back.case("the text's example", np.array([[0.5, 0.9]]), np.array([[2.0], [1]]), np.array([[0.1]]))
back.case(
    "3 images, 4 and 2 units", RNG.random((3, 4)), RNG.normal(size=(4, 2)), RNG.random((3, 2))
)
back.case(
    "2 images, 3 and 3 units", RNG.random((2, 3)), RNG.normal(size=(3, 3)), -RNG.random((2, 3))
)


@back.hidden("a layer drawn at random")
def _draw_layer(rng):
    n, units, above = (int(k) for k in rng.integers([2, 3, 2], [7, 8, 7]))
    return rng.random((n, units)), rng.normal(size=(units, above)), rng.normal(size=(n, above))


has_deltas = back.rule("Return one delta for each unit of each image: the shape of h.")(
    lambda result, h, *rest: np.shape(result) == np.shape(h)
)


gain = Exercise(
    "12-3",
    points=2,
    lesson="Pairs share a seed, so what both have in common cancels.",
    hint=(
        "Both errors of a seed belong together: what does one seed say of the gain?",
        "d = before - after: its mean, and the standard deviation (ddof=1) over the root of n.",
        "np.array([d.mean(), d.std(ddof=1) / np.sqrt(len(d))])",
    ),
)
gain.case("the text's example", np.array([5.0, 3.0]), np.array([3.0, 2.0]))
gain.case("4 seeds", np.array([9.1, 8.7, 9.9, 9.0]), np.array([6.2, 6.4, 6.9, 6.0]))
gain.case("3 seeds that got worse", np.array([2.3, 2.1, 2.6]), np.array([2.5, 2.2, 2.9]))


@gain.hidden("seeds drawn at random")
def _draw_seeds(rng):
    n = int(rng.integers(4, 10))
    return rng.uniform(4, 9, n), rng.uniform(2, 7, n)


has_two = gain.rule("Return two numbers: the mean gain, and its standard error.")(
    lambda result: np.shape(result) == (2,)
)


# --- figures

# what a start is called in figures and tables
WORDS = {
    "random": "small random",
    "dbn": "pretrained",
    "glorot": "Glorot",
    "relu": "ReLU and He",
    "persistent": "persistent chains",
}
OPTIMISERS = {"gd": "gradient descent", "adam": "Adam"}


def _head(figure, title):
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)


def show_gradients(norms, title, name=None):
    """Draw the size of each layer's gradient, from the lowest layer to the top one.

    Parameters
    ----------
    norms : dict of str to sequence of float
        Start -> norms, the lowest layer first.
    title : str
    name : str, optional
        Of the file.
    """
    figure, ax = plt.subplots(figsize=(8.2, 4))
    for start, each in norms.items():
        x = np.arange(1, 1 + len(each))
        ax.plot(x, each, marker="o", label=start)
    ax.set_xticks(x, [*(str(place) for place in x[:-1]), "top"])
    ax.set(xlabel="layer, from the pixels up", ylabel="norm of the gradient", yscale="log")
    ax.legend(frameon=False)
    _head(figure, title)
    least = min(norms, key=lambda start: norms[start][0])
    plotting.show(
        figure,
        "The norm of the gradient of each layer's weights, on a logarithmic axis, one curve for "
        f"each start. In the lowest layer the smallest gradient is that of: {least}.",
        name=name,
    )


def show_curves(curves, title):
    """Draw the test error over the epochs.

    Parameters
    ----------
    curves : dict of str to sequence of float
        Start -> test error in percent after each epoch.
    title : str
    """
    figure, ax = plt.subplots(figsize=(8.2, 3.8))
    for start, errors in curves.items():
        epochs = np.arange(1, 1 + len(errors))
        plotting.lines(ax, epochs, {start: errors}, "epoch", "test error (%)", "")
    ax.set_yscale("log")
    _percent_axis(ax.yaxis)
    ax.margins(x=0.25)
    _head(figure, title)
    best = min(curves, key=lambda start: curves[start][-1])
    plotting.show(
        figure,
        "The test error over the epochs, on a logarithmic axis, one curve for each start. At the "
        f"end the lowest is: {best}.",
    )


def _percent_axis(axis):
    axis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(ticker.StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(ticker.NullFormatter())


def show_fields(groups, title, name=None):
    """Draw the weights of hidden units of the lowest layer, a row for each network.

    Parameters
    ----------
    groups : dict of str to array of shape (units, 784)
    title : str
    name : str, optional
        Of the file.
    """
    columns = len(next(iter(groups.values())))
    figure, axes = plt.subplots(len(groups), columns, figsize=(9.6, 0.95 * len(groups) + 0.5))
    for row, (label, fields) in zip(axes, groups.items(), strict=True):
        for ax, field in zip(row, fields, strict=True):
            far = np.abs(field).max()
            ax.imshow(field.reshape(28, 28), cmap="RdBu_r", vmin=-far, vmax=far)
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            ax.spines[:].set_visible(False)
        row[0].set_ylabel(label, rotation=0, ha="right", va="center")
    _head(figure, title)
    plotting.show(
        figure,
        "The weights of some units of the lowest layer as pictures, red where ink switches the "
        f"unit on and blue where it switches it off. The rows, from above: {', '.join(groups)}.",
        name=name,
    )


def show_study(study, x_label, title, name, factors=False):
    """Draw the recorded test errors of a study, gradient descent left and Adam right.

    Parameters
    ----------
    study : dict of (str, str) to dict of int to sequence of float
        Optimiser and start -> what is varied -> test errors in percent, one for each seed.
    x_label, title, name : str
    factors : bool
        Whether what is varied grows by a factor each time, so that its axis is logarithmic.
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.8, 4.2), sharey=True)
    colours = dict(zip(STARTS, plotting.COLOURS, strict=False))
    for ax, optimiser in zip(axes, ("gd", "adam"), strict=True):
        for (own, start), errors in study.items():
            if own != optimiser:
                continue
            x, colour = list(errors), colours[start]
            ax.plot(x, [np.mean(errors[at]) for at in x], color=colour, label=WORDS[start])
            for at in x:
                ax.scatter([at] * len(errors[at]), errors[at], color=colour, alpha=0.6, s=16)
        ax.set(xlabel=x_label, title=OPTIMISERS[optimiser])
        ax.set_yscale("log")
        _percent_axis(ax.yaxis)
        if factors:
            ax.set_xscale("log")
        ax.set_xticks(x, [f"{at:,}" for at in x], rotation=35 if factors else 0)
        ax.xaxis.set_minor_locator(ticker.NullLocator())
        ax.legend(frameon=False, fontsize=9)
    axes[0].set_ylabel("test error (%)")
    _head(figure, title)
    last = {line: np.mean(errors[x[-1]]) for line, errors in study.items()}
    best = min(last, key=last.get)
    plotting.show(
        figure,
        f"Test error on a logarithmic axis against {x_label}, on the left for gradient descent "
        "and on the right for Adam: a dot for each seed, a line through the means, a colour for "
        f"each start. At the right end the lowest is {OPTIMISERS[best[0]]}, "
        f"{WORDS[best[1]]}.",
        name=name,
    )


def show_groups(groups, title, name=None):
    """Draw test errors of some ways to train, a row for each way and a dot for each seed.

    Parameters
    ----------
    groups : dict of str to sequence of float
        Way -> test errors in percent.
    title : str
    name : str, optional
        Of the file.
    """
    figure, ax = plt.subplots(figsize=(8.8, 0.42 * len(groups) + 1.4))
    for place, errors in enumerate(groups.values()):
        ax.scatter(errors, [place] * len(errors), color=plotting.COLOURS[0], alpha=0.6)
        ax.scatter(np.mean(errors), place, color=plotting.COLOURS[1], marker="|", s=200)
    ax.set(yticks=range(len(groups)), yticklabels=groups, xlabel="test error (%)")
    ax.set_ylim(len(groups) - 0.5, -0.5)
    if max(map(np.max, groups.values())) > 5 * min(map(np.min, groups.values())):
        ax.set_xscale("log")
        _percent_axis(ax.xaxis)
    _head(figure, title)
    order = sorted(groups, key=lambda way: np.mean(groups[way]))
    plotting.show(
        figure,
        "Test errors, a row for each way to train, a dot for each seed and "
        f"a stroke at the mean. From the lowest to the highest: {'; '.join(order)}.",
        name=name,
    )


if __name__ == "__main__":
    record([0, 1, 2], settings())

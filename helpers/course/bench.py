"""Measure how fast inversion, neighbour search, Boltzmann machines, controls and grading are.

Each stands beside the plain ways to do it, or beside a library that does the same.

Libraries that a user could pick instead of `invert` take part if they are installed::

    pip install tf-keras-vis cleverhans adversarial-robustness-toolbox
"""

from __future__ import annotations

import time
import warnings

import numpy as np

from helpers import data
from helpers.course import bench_grading

REPEATS = 5
IMAGES = 100
STEPS = 200
K = 10
# the setting of notebook 07
PEER_STEPS = 60
LEARNING_RATE = 0.5
BLUR_EVERY = 8
# one epoch of a machine with as many hidden units as that of notebook 11 on MNIST
RBM_IMAGES, RBM_UNITS, RBM_BATCHES = 6_000, 500, (10, 100)


def add_parser(commands):
    """Add this command to the parsers of the command line."""
    parser = commands.add_parser("bench", help="measure what must be fast")
    parser.add_argument(
        "what",
        nargs="?",
        choices=("inversion", "search", "boltzmann", "live", "grading"),
        help="default: all but grading",
    )
    parser.add_argument("--students", type=int, default=200, help="of a class to grade")
    parser.add_argument("--jobs", type=int, default=2, help="submissions graded at once")
    parser.set_defaults(main=main)


def main(arguments):
    """Print the lines of each measure that was asked for."""
    if arguments.what == "grading":
        for line in bench_grading.grading(arguments.students, arguments.jobs):
            print(line, flush=True)
        return
    print(f"This takes about {'one minute' if arguments.what else 'four minutes'} …", flush=True)
    dataset = data.load("mnist")
    parts = {"inversion": (inversion, peers), "search": (search,), "boltzmann": (boltzmann,)}
    parts["live"] = (live_walks,)
    for name, measures in parts.items():
        if arguments.what in (None, name):
            print(f"\n{name}: median of {REPEATS} alternated repeats")
            for measure in measures:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # the peers warn of what they do not need
                    for line in measure(dataset):
                        print(line)


def inversion(dataset):
    """Lines on image-steps per second: one step of one image counts one."""
    from helpers import models
    from helpers.backend import tf
    from helpers.inversion import EPSILON, invert, noise

    model = models.build_cnn()
    one, many = noise(1, 0), noise(IMAGES, 0)

    def step(x, targets):
        with tf.GradientTape() as tape:
            tape.watch(x)
            p = tf.gather(model(x), targets, axis=1, batch_dims=1)
            loss = -tf.math.log(p + EPSILON)
        gradient = tape.gradient(loss, x)
        norm = tf.sqrt(tf.reduce_sum(gradient**2, axis=(1, 2, 3), keepdims=True))
        return tf.clip_by_value(x - 0.1 * gradient / (norm + EPSILON), 0.0, 1.0)

    def walk(take_step, start, steps):
        x, targets = tf.constant(start), tf.constant(np.full(len(start), 3))
        for _ in range(steps):
            x = take_step(x, targets)
        return x.numpy()

    compiled = tf.function(step)
    seconds = alternate(
        {
            "eager loop, 1 image": lambda: walk(step, one, STEPS // 10),
            f"bare compiled step, {IMAGES} images": lambda: walk(compiled, many, STEPS),
            "invert, 1 image": lambda: invert(model, one, 3, max_steps=STEPS),
            f"invert, {IMAGES} images": lambda: invert(model, many, 3, max_steps=STEPS),
        }
    )
    eager, bare, single, batch = (
        image_steps / duration
        for image_steps, duration in zip(
            (STEPS // 10, IMAGES * STEPS, STEPS, IMAGES * STEPS), seconds.values(), strict=True
        )
    )
    for name, rate in zip(seconds, (eager, bare, single, batch), strict=True):
        yield f"  {name:<32} {rate:9,.0f} image-steps/s {rate / eager:7.1f} x the eager loop"
    yield f"  invert on {IMAGES} images beside the bare compiled step: {batch / bare:.2f} x"
    flops = 2 * forward_flops(model)  # the gradient of the pixels costs as much again
    peak = matrix_flops()
    yield (
        f"  bound: {flops / 1e6:.1f} MFLOP for an image-step; a matrix product reaches "
        f"{peak / 1e9:.0f} GFLOP/s here, invert {100 * batch * flops / peak:.0f} % of it"
    )


def peers(dataset):
    """Lines on `invert` beside the libraries that do the same: speed, own p, and what judges say.

    All take the same network, starts, targets and number of steps.
    """
    from helpers import models
    from helpers.inversion import invert, near_black
    from helpers.neighbours import NeighbourIndex, pseudo_probability
    from helpers.realism import agreement

    start = near_black(IMAGES, 0, dataset.x_test.shape[1:])
    targets = np.resize(np.arange(len(dataset.class_names)), IMAGES)
    walk = {"max_steps": PEER_STEPS, "learning_rate": LEARNING_RATE}
    judges = [models.load_or_train(name, dataset, 0) for name in ("judge_cnn", "judge_mlp")]
    index = NeighbourIndex(dataset.x_train, dataset.y_train)
    for network in ("cnn", "robust"):
        model = models.load_to_invert(network, dataset, 0)
        ways = {
            "invert": lambda model=model: invert(model, start, targets, **walk).images,
            f"invert, blur_every={BLUR_EVERY}": lambda model=model: (
                invert(model, start, targets, blur_every=BLUR_EVERY, **walk).images
            ),
        }
        for name, library in LIBRARIES.items():
            try:
                ways[name] = library(model, start, targets)
            except ImportError:
                yield f"  {name} is not installed and does not take part"
        seconds = alternate(ways)
        yield f"  {network}, {IMAGES} images near black, {PEER_STEPS} steps"
        yield f"  {'':<22} {'image-steps/s':>13} {'invert is':>10} {'own p':>7} {'judges':>7}"
        for name, way in ways.items():
            images = way()
            beliefs = [models.predict(judge, images) for judge in judges]
            beliefs.append(pseudo_probability(index, images, k=5))
            own = models.predict(model, images)[np.arange(IMAGES), targets].mean()
            strictest = min(agreement(p, targets) for p in beliefs)
            rate = IMAGES * PEER_STEPS / seconds[name]
            ratio = seconds[name] / seconds["invert"]
            yield f"  {name:<22} {rate:13,.0f} {ratio:8.1f} x {own:7.2f} {strictest:7.0%}"
    yield "  judges: share in which the strictest of second CNN, MLP and k-NN votes sees the target"


def _tf_keras_vis(model, start, targets):
    from tf_keras_vis.activation_maximization import ActivationMaximization
    from tf_keras_vis.utils.model_modifiers import ReplaceToLinear
    from tf_keras_vis.utils.scores import CategoricalScore

    visualization = ActivationMaximization(model, model_modifier=ReplaceToLinear())
    score = CategoricalScore(targets.tolist())

    # with its own optimizer: smaller steps, like those of the others, did not get p above 0.9
    def way():
        images = visualization(
            score,
            seed_input=start,
            input_range=(0, 1),
            steps=PEER_STEPS,
        )
        return np.clip(images, 0, 1).astype(np.float32)

    return way


def _cleverhans(model, start, targets):
    import keras
    from cleverhans.tf2.attacks.projected_gradient_descent import projected_gradient_descent

    def loss(labels, logits):  # its own would take the probabilities for logits
        return keras.losses.sparse_categorical_crossentropy(labels, logits)

    def way():
        return projected_gradient_descent(
            model,
            start,
            eps=_farthest(start),
            eps_iter=LEARNING_RATE,
            nb_iter=PEER_STEPS,
            loss_fn=loss,
            norm=2,
            clip_min=0.0,
            clip_max=1.0,
            y=targets,
            targeted=True,
            rand_init=False,
            sanity_checks=False,
        ).numpy()

    return way


def _art(model, start, targets):
    import keras
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import TensorFlowV2Classifier

    classifier = TensorFlowV2Classifier(
        model,
        nb_classes=model.output.shape[1],
        input_shape=start.shape[1:],
        loss_object=keras.losses.CategoricalCrossentropy(),
        clip_values=(0, 1),
    )
    attack = ProjectedGradientDescent(
        classifier,
        norm=2,
        eps=_farthest(start),
        eps_step=LEARNING_RATE,
        max_iter=PEER_STEPS,
        targeted=True,
        batch_size=IMAGES,
        verbose=False,
    )
    return lambda: attack.generate(start, np.eye(model.output.shape[1])[targets])


def _farthest(images):
    """Return the largest distance that two images can have: an attack may go as far."""
    return float(np.sqrt(images[0].size))


LIBRARIES = {"tf-keras-vis": _tf_keras_vis, "cleverhans": _cleverhans, "ART": _art}


def search(dataset):
    """Lines on the exact search of the nearest neighbours, beside scikit-learn's."""
    from sklearn.neighbors import NearestNeighbors

    from helpers.inversion import noise
    from helpers.neighbours import NeighbourIndex

    index = NeighbourIndex(dataset.x_train, dataset.y_train)
    flat = dataset.x_train.reshape(len(dataset.x_train), -1)
    peer = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(flat)
    queries = {
        f"{IMAGES} digits": dataset.x_test[:IMAGES],
        "1 digit": dataset.x_test[:1],
        f"{IMAGES} noise images": noise(IMAGES, 0, dataset.x_test.shape[1:]),
    }

    def ours(x):
        return lambda: index.search(x, K)

    def theirs(x):
        return lambda: peer.kneighbors(x.reshape(len(x), -1))

    for x in queries.values():
        if not np.allclose(theirs(x)()[0], ours(x)()[0], atol=1e-3):
            raise RuntimeError("search and scikit-learn disagree on the distances: no benchmark")

    vector = np.ones(flat.shape[1], np.float32)
    seconds = alternate(
        {
            **{("search", name): ours(x) for name, x in queries.items()},
            **{("scikit-learn, brute", name): theirs(x) for name, x in queries.items()},
            "read": lambda: flat @ vector,
        }
    )
    peak = matrix_flops()
    read = seconds.pop("read")
    yield f"  {len(flat):,} images of {flat.shape[1]} pixels, {K} neighbours"
    for (way, name), duration in seconds.items():
        ratio = seconds["scikit-learn, brute", name] / duration
        yield f"  {way:<20} {name:<16} {1e3 * duration:9.1f} ms {ratio:7.1f} x scikit-learn"
    for name, x in queries.items():
        bound, what = max((read, "memory"), (2 * flat.size * len(x) / peak, "arithmetic"))
        share = seconds["search", name] / bound
        yield (
            f"  {name}, comparing all pixels of all images: {1e3 * bound:.1f} ms at least "
            f"({what}); search takes {share:.1f} x that"
        )
    yield (
        f"  memory: all images are {flat.nbytes / 1e6:.0f} MB, read once in {1e3 * read:.1f} ms, "
        f"{flat.nbytes / read / 1e9:.0f} GB/s; arithmetic: {peak / 1e9:.0f} GFLOP/s"
    )


def boltzmann(dataset):
    """Lines on one epoch of persistent contrastive divergence, beside scikit-learn's."""
    from sklearn.neural_network import BernoulliRBM

    from helpers.boltzmann import train

    images = dataset.x_train[:RBM_IMAGES].reshape(min(RBM_IMAGES, len(dataset.x_train)), -1)
    images = (images > 0.5).astype(np.float32)

    def ours(batch):
        ends = []
        how = {"epochs": 2, "batch_size": batch, "learning_rate": 0.01, "seed": 0}
        train(images, RBM_UNITS, watch=lambda *_: ends.append(time.perf_counter()), **how)
        return ends[1] - ends[0]  # the first epoch compiles too

    def theirs(batch):
        machine = BernoulliRBM(
            RBM_UNITS, learning_rate=0.01, batch_size=batch, n_iter=1, random_state=0
        )
        began = time.perf_counter()
        machine.fit(images)
        return time.perf_counter() - began

    yield f"  one epoch of {len(images):,} images, {images.shape[1]} x {RBM_UNITS} units"
    for batch in RBM_BATCHES:
        pairs = [(ours(batch), theirs(batch)) for _ in range(REPEATS)]
        mine, other = np.median(pairs, axis=0)
        yield (
            f"  batches of {batch:<4} train {mine:7.2f} s, scikit-learn {other:7.2f} s: "
            f"{other / mine:.1f} x as fast"
        )


def live_walks(dataset):
    """Lines on the pictures that follow the controls of notebooks 05 and 07, without a browser."""
    from helpers import live, models

    names = ["cnn", "robust", "judge_cnn", "judge_mlp"]
    networks = {name: models.load_to_invert(name, dataset, 0) for name in names}
    labels = range(len(dataset.class_names))
    digits = dataset.x_test[[np.flatnonzero(dataset.y_test == label)[0] for label in labels]]
    frames = live.frames_of_walk(networks, digits)
    pictures = dict.fromkeys(names, 0)

    def walk(name):
        pictures[name] = len(list(frames("a real 6", 3, name, 0.1, STEPS)))

    seconds = alternate({name: lambda name=name: walk(name) for name in names})
    yield f"  a walk of {STEPS} steps, and {len(names)} networks that judge each picture"
    for name, duration in seconds.items():
        yield f"  {name:<12} {pictures[name] / duration:6.1f} pictures a second, 10 are asked for"


def alternate(contenders):
    """Median seconds of each function, called in turns so that a slow minute slows all alike."""
    for call in contenders.values():
        call()  # compiles, and fills the caches
    seconds = {name: [] for name in contenders}
    for _ in range(REPEATS):
        for name, call in contenders.items():
            time.sleep(0.1)  # threads of another library may still spin, waiting for work
            began = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - began)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def forward_flops(model):
    """Multiplications and additions of a Keras model for one image, forwards."""
    return 2 * sum(
        int(np.prod(layer.kernel.shape)) * int(np.prod(layer.output.shape[1:-1]))
        for layer in model.layers
        if hasattr(layer, "kernel")  # convolutions use theirs once for each output pixel
    )


def matrix_flops(side=1536):
    """Floating-point operations per second of TensorFlow's matrix product on this computer."""
    from helpers.backend import tf

    a = tf.random.uniform((side, side))
    return 2 * side**3 / alternate({"product": lambda: tf.matmul(a, a).numpy()})["product"]

"""Measure how fast inversion and neighbour search are, beside the plain ways to write them."""

from __future__ import annotations

import os
import time

import numpy as np

from helpers import data

REPEATS = 5
IMAGES = 100
STEPS = 200
K = 10
# multiplications and additions of the reference network for one image, forwards
FORWARD_FLOPS = 2 * (26 * 26 * 32 * 9 + 11 * 11 * 64 * 9 * 32 + 1600 * 128 + 128 * 10)


def add_parser(commands):
    parser = commands.add_parser("bench", help="measure inversion and neighbour search")
    parser.add_argument("what", nargs="?", choices=("inversion", "search"), help="default: both")
    parser.set_defaults(main=main)


def main(arguments):
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as helpers.setup() does
    dataset = data.load("mnist")
    for name, measure in (("inversion", inversion), ("search", search)):
        if arguments.what in (None, name):
            print(f"\n{name}: median of {REPEATS} alternated repeats")
            for line in measure(dataset):
                print(line)


def inversion(dataset):
    """Lines on image-steps per second: one step of one image counts one."""
    from helpers import models, tensorflow
    from helpers.inversion import EPSILON, invert, noise

    tf = tensorflow()
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
            "invert, 1 image": lambda: invert(model, one, 3, steps=STEPS),
            f"invert, {IMAGES} images": lambda: invert(model, many, 3, steps=STEPS),
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
    flops = 2 * FORWARD_FLOPS  # the gradient of the pixels costs as much again
    peak = matrix_flops()
    yield (
        f"  bound: {flops / 1e6:.1f} MFLOP for an image-step; a matrix product reaches "
        f"{peak / 1e9:.0f} GFLOP/s here, invert {batch * flops / peak:.0%} of it"
    )


def search(dataset):
    """Lines on the exact search of the nearest neighbours, beside scikit-learn's."""
    from sklearn.neighbors import NearestNeighbors

    from helpers.neighbours import NeighbourIndex

    index = NeighbourIndex(dataset.x_train, dataset.y_train)
    flat = dataset.x_train.reshape(len(dataset.x_train), -1)
    peer = NearestNeighbors(n_neighbors=K, algorithm="brute").fit(flat)
    queries = {n: dataset.x_test[:n] for n in (1, IMAGES)}

    found = peer.kneighbors(queries[IMAGES].reshape(IMAGES, -1))[0]
    if not np.allclose(found, index.search(queries[IMAGES], K)[0], atol=1e-3):
        raise RuntimeError("search and scikit-learn disagree on the distances: no benchmark")

    def ours(n):
        return lambda: index.search(queries[n], K)

    def theirs(n):
        return lambda: peer.kneighbors(queries[n].reshape(n, -1))

    vector = np.ones(flat.shape[1], np.float32)
    seconds = alternate(
        {
            **{("search", n): ours(n) for n in queries},
            **{("scikit-learn, brute", n): theirs(n) for n in queries},
            ("read", 0): lambda: flat @ vector,
        }
    )
    peak = matrix_flops()
    read = seconds.pop(("read", 0))
    yield f"  {len(flat):,} images of {flat.shape[1]} pixels, {K} neighbours"
    for (name, n), duration in seconds.items():
        ratio = seconds["scikit-learn, brute", n] / duration
        yield f"  {name:<20} {n:4} queries {1e3 * duration:9.1f} ms {ratio:7.1f} x scikit-learn"
    for n in queries:
        bound, what = max((read, "memory"), (2 * flat.size * n / peak, "arithmetic"))
        share = bound / seconds["search", n]
        yield f"  {what} bound of {n} queries: {1e3 * bound:.1f} ms, search reaches {share:.0%}"
    yield (
        f"  memory: all images are {flat.nbytes / 1e6:.0f} MB, read once in {1e3 * read:.1f} ms, "
        f"{flat.nbytes / read / 1e9:.0f} GB/s; arithmetic: {peak / 1e9:.0f} GFLOP/s"
    )


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


def matrix_flops(side=1536):
    """Floating-point operations per second of TensorFlow's matrix product on this computer."""
    from helpers import tensorflow

    tf = tensorflow()
    a = tf.random.uniform((side, side))
    return 2 * side**3 / alternate({"product": lambda: tf.matmul(a, a).numpy()})["product"]

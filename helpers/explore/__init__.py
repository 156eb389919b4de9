"""One page that runs two networks backwards in a browser: it needs no server and no library.

Its forward pass and its gradient are our own short JavaScript, in network.js; page.js holds what
happens on the page.
"""

from __future__ import annotations

import base64
import html
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from helpers import session, validation
from helpers.data import SAMPLES, read_sample

FOLDER = Path(__file__).parent
PARTS = ("style.css", "network.js", "page.js")
NETWORKS = {"plain": "cnn", "robust": "robust", "mlp": "judge_mlp"}
# the walks of notebooks 05 and 07, as `helpers.inversion.invert` takes them; 0 steps is never
WALKS = {
    "05": {"learning_rate": 0.1, "max_steps": 200, "blur_every": 0, "decay": 0.0},
    "07": {"learning_rate": 2.0, "max_steps": 100, "blur_every": 6, "decay": 0.08},
}
PER_CLASS, K = 60, 5  # stored images that vote, and how many of them do
DIGITS = SAMPLES / "mnist_test_digits.npz"  # to begin with; no network has seen them


def page(walk="05"):
    """Write the page: its networks, its digits and all that it does, in one text.

    The networks are those of seed 0 that the repository brings, so that everybody sees the same.
    Their weights are rounded to 16 bits, which halves the file; the page says what that changes.

    Parameters
    ----------
    walk : {"05", "07"}
        The notebook whose walk it opens with.

    Returns
    -------
    str
        A whole HTML document.

    Raises
    ------
    ValueError
        For another walk.
    FileNotFoundError
        If a network is missing or damaged, or the sample or the digits are missing.

    Examples
    --------
    >>> len(page()) < 3e6  # doctest: +SKIP
    True
    """
    validation.choice(walk, "walk", WALKS)
    networks = {name: _load(network) for name, network in NETWORKS.items()}
    sample = read_sample("mnist")
    votes = _first(sample["x_train"], sample["y_train"], PER_CLASS)
    with np.load(DIGITS) as stored:
        digits = {"images": _text(stored["images"]), "labels": stored["labels"].tolist()}
    content = {
        "weights": {name: _text(_weights(model)) for name, (model, _) in networks.items()},
        "neighbours": {"images": _text(votes[0]), "labels": votes[1].tolist(), "k": K},
        "digits": digits,
        "walks": WALKS,
        "walk": walk,
    }
    about = _about(networks, votes, (sample["x_test"], sample["y_test"]))
    text = (FOLDER / "page.html").read_text(encoding="utf-8")
    for part in PARTS:
        text = text.replace("{{" + part + "}}", (FOLDER / part).read_text(encoding="utf-8"))
    return text.replace("{{about}}", html.escape(about)).replace("{{data}}", json.dumps(content))


def show(walk="05"):
    """Show the page below a cell where a person watches; elsewhere say how to make it.

    A page that is stored in a notebook would be as large as the notebook again, so nothing but
    one line is stored by a command.

    Parameters
    ----------
    walk : {"05", "07"}
        As in `page`.

    Raises
    ------
    ValueError, FileNotFoundError
        As in `page`.

    Examples
    --------
    >>> show()  # this example runs under pytest
    The page opens here when a person runs this cell, and with a double click after
    python -m helpers.course explore
    """
    validation.choice(walk, "walk", WALKS)
    if not (session.interactive() and session.in_notebook()):
        print("The page opens here when a person runs this cell, and with a double click after")
        print("python -m helpers.course explore")
        return
    from IPython.display import HTML, display

    # `srcdoc` needs neither a server nor a file that the notebook's own server can find
    display(
        HTML(
            # in a <div>, because IPython warns of a text that opens with <iframe
            '<div><iframe title="A page that runs two networks backwards" '
            'style="width: 100%; height: 1150px; border: 0" '
            f'srcdoc="{html.escape(page(walk))}"></iframe></div>'
        )
    )


def _load(name):
    """Return a network that the repository brings, and its model card."""
    from helpers import checkpoints, models

    network = models.NETWORKS[name]
    model = network.build(models.DIGIT, 10)
    dataset = SimpleNamespace(name="mnist", x_train=range(60_000))
    path = checkpoints.pretrained_path(network, dataset, 0)
    card = checkpoints.load(model, path, checkpoints.wanted(model, network, dataset, 0))
    if card is None:
        raise FileNotFoundError(
            f"{path.name} belongs to this repository and cannot be used. "
            f"Restore it with: git checkout -- data/pretrained/{path.name}"
        )
    return model, card


def _weights(model):
    return np.concatenate([array.ravel() for array in model.get_weights()]).astype(np.float16)


def _text(array):
    """Return the bytes of an array as text; JavaScript reads the lowest byte first."""
    return base64.b64encode(array.astype(array.dtype.newbyteorder("<")).tobytes()).decode()


def _first(images, labels, n):
    """Return the first n images of each class, and their labels."""
    places = np.concatenate([np.flatnonzero(labels == digit)[:n] for digit in range(10)])
    return images[places], labels[places]


def _about(networks, votes, test):
    """Say what the page computes with, and how exact that is: measured while it is written."""
    from helpers import models, neighbours

    (stored, stored_labels), (x, y) = votes, test
    x, stored = (np.float32(images[..., None] / 255) for images in (x, stored))
    p = neighbours.pseudo_probability(neighbours.NeighbourIndex(stored, stored_labels), x, K)
    right = {
        name: session.percent(card["test_accuracy"], 1) for name, (_, card) in networks.items()
    }
    changed = max(_rounding(model, x, models.predict) for model, _ in networks.values())
    return (
        "The real digits are test images of MNIST, the first three of each class, from which "
        "nothing here has learned. Of all 10,000 test images, the plain network reads "
        f"{right['plain']} right, the robust one {right['robust']}, and the MLP, dense layers "
        f"only, {right['mlp']}. The k-NN is a small one: the {K} nearest of {len(stored)} training "
        "images vote, and it is right on "
        f"{session.percent(np.mean(p.argmax(axis=1) == y), 0)} of {len(x):,} further ones, so "
        "hold less against a picture if it alone objects. The weights are stored as "
        f"16-bit numbers, which changes no probability of the same {len(x):,} by more than "
        f"{np.ceil(10_000 * changed) / 10_000:.4f}. Small differences grow along a walk: a long "
        "one may end at another picture than the same walk in a notebook."
    )


def _rounding(model, x, predict):
    """Return how much the rounding of its weights changes any probability of a model."""
    exact, before = model.get_weights(), predict(model, x)
    model.set_weights([array.astype(np.float16) for array in exact])
    changed = np.abs(predict(model, x) - before).max()
    model.set_weights(exact)
    return changed

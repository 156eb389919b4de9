"""The page that runs networks backwards: its JavaScript does what TensorFlow and the library do."""

import base64
import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from helpers import alterations, data, explore, inversion, models, neighbours
from helpers.backend import tf
from helpers.course import explore as command
from helpers.course import notebooks
from helpers.data import read_sample
from helpers.session import ROOT

CARDS = (ROOT / "data" / "README.md").read_text(encoding="utf-8")

# Playwright brings a node of its own
PLAYWRIGHT = importlib.util.find_spec("playwright")
OWN = PLAYWRIGHT and Path(PLAYWRIGHT.origin).parent / "driver" / "node"
NODE = shutil.which("node") or (str(OWN) if OWN and OWN.exists() else None)
javascript = pytest.mark.skipif(
    NODE is None, reason="JavaScript needs node on the PATH, or `pip install -e .[browser]`"
)
RUNNER = """
const text = require("fs").readFileSync(0, "utf8"), {source, code, input} = JSON.parse(text);
const result = new Function("input", source + code)(input);
process.stdout.write(JSON.stringify(result, (_, value) =>
  ArrayBuffer.isView(value) ? Array.from(value) : value));
"""


def run(code, **values):
    """Run JavaScript after network.js; `input` holds the values, and it ends in a return."""
    plain = {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in values.items()}
    source = (explore.FOLDER / "network.js").read_text(encoding="utf-8")
    text = json.dumps({"source": source, "code": code, "input": plain})
    done = subprocess.run(
        [NODE, "-e", RUNNER], input=text, capture_output=True, text=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def flat(images):
    return np.asarray(images).reshape(len(images), -1)


def weights(model):
    return np.concatenate([array.ravel() for array in model.get_weights()])


@pytest.fixture(scope="module")
def networks():
    return {name: explore._load(network)[0] for name, network in explore.NETWORKS.items()}


@pytest.fixture(scope="module")
def images():
    """100 images: real digits, noise and near black."""
    real, _ = explore._first(*(read_sample("mnist")[name] for name in ("x_test", "y_test")), 6)
    real = np.float32(real[..., None] / 255)
    return np.concatenate([real, inversion.noise(20, 0), inversion.near_black(20, 0)])


@javascript
@pytest.mark.parametrize("name", ["plain", "robust"])
def test_probabilities_and_gradients_are_those_of_tensorflow(networks, images, name):
    targets = np.arange(100) % 10
    with tf.GradientTape() as tape:
        x = tf.constant(images)
        tape.watch(x)
        p = networks[name](x)
        loss = -tf.math.log(tf.gather(p, targets, axis=1, batch_dims=1) + inversion.EPSILON)
    found = run(
        """
        const network = new ConvolutionalNetwork(Float32Array.from(input.weights));
        const seen = input.images.map(x => network.look(Float32Array.from(x)));
        return {p: seen.map(({p}) => p), g: seen.map((s, i) => network.gradient(s, i % 10))};
        """,
        weights=weights(networks[name]),
        images=flat(images),
    )
    np.testing.assert_allclose(found["p"], p.numpy(), rtol=0, atol=1e-4)
    gradient = flat(tape.gradient(loss, x).numpy())
    assert np.abs(gradient).max() > 0.1
    np.testing.assert_allclose(found["g"], gradient, rtol=0, atol=1e-4)


@javascript
def test_the_judges_see_what_those_of_the_library_see(networks, images):
    labels = np.arange(60) // 6
    found = run(
        """
        const x = input.images.map(image => Float32Array.from(image));
        const mlp = new DenseNetwork(Float32Array.from(input.weights));
        const neighbours = new Neighbours(x.slice(0, 60), input.labels, 5);
        return [mlp, neighbours].map(judge => x.map(image => judge.probabilities(image)));
        """,
        weights=weights(networks["mlp"]),
        images=flat(images),
        labels=labels,
    )
    p = models.predict(networks["mlp"], images)
    np.testing.assert_allclose(found[0], p, rtol=0, atol=1e-4)
    votes = neighbours.pseudo_probability(neighbours.NeighbourIndex(images[:60], labels), images, 5)
    np.testing.assert_allclose(found[1], votes, rtol=0, atol=1e-6)


@javascript
@pytest.mark.parametrize(
    ("name", "walk", "steps"),
    [
        ("plain", "05", {"max_steps": 20}),
        ("robust", "05", {"max_steps": 20}),
        ("plain", "07", {"max_steps": 20, "learning_rate": 0.1}),
        ("robust", "07", {"max_steps": 20}),
        # p is nearly 1 after four bold steps, and of 1 - p only the rounding is left after more
        ("plain", "07", {"max_steps": 4}),
    ],
)
def test_steps_are_those_of_invert(networks, images, name, walk, steps):
    settings = explore.WALKS[walk] | steps
    for start, target in ((images[36:37], 3), (images[80:81], 5)):
        expected = inversion.invert(
            networks[name], start, target, keep_frames=settings["max_steps"] + 1, **settings
        )
        frames = run(
            """
            const network = new ConvolutionalNetwork(Float32Array.from(input.weights));
            const frames = [Float32Array.from(input.start)];
            for (let number = 1; number <= input.settings.max_steps; number++) {
              const x = frames.at(-1), seen = network.look(x);
              frames.push(step(network, x, seen, input.target, number, input.settings));
            }
            return frames;
            """,
            weights=weights(networks[name]),
            start=start.ravel(),
            target=target,
            settings=settings,
        )
        expected = flat(expected.frames[:, 0])
        assert np.linalg.norm(expected[-1] - expected[0]) > 0.1
        np.testing.assert_allclose(frames, expected, rtol=0, atol=1e-4)


@javascript
def test_half_precision_numbers_are_read_as_numpy_writes_them():
    every = np.arange(2**16, dtype=np.uint16)
    numbers = every.view(np.float16)
    finite = np.isfinite(numbers)
    text = explore._text(numbers[finite])
    found = run("return unpackWeights(input.text)", text=text)
    np.testing.assert_array_equal(np.float32(found), numbers[finite].astype(np.float32))


@javascript
@pytest.mark.parametrize("name", ["drawn_1_serif", "drawn_3_large", "drawn_4_open"])
def test_a_drawing_is_cleaned_as_notebooks_01_and_08_do_it(name):
    steps = alterations.like_mnist(alterations.own_pictures(ROOT)[name])
    ink = steps["ink only"]
    size = max(ink.shape)
    sheet = np.zeros((size, size), np.float32)
    sheet[: ink.shape[0], : ink.shape[1]] = ink
    found = run("return likeMnist(Float32Array.from(input.ink), input.size)",
                ink=sheet.ravel(), size=size)  # fmt: skip
    difference = np.abs(np.reshape(found, (28, 28)) - steps["centred"])
    assert difference.max() < 0.1, "one pixel off at an edge changes more"
    assert run("return likeMnist(new Float32Array(100), 10)") is None


def test_rounding_the_weights_does_what_the_page_says(networks, images, page):
    stated = float(
        re.search(r"changes no probability of the same 1,000 by more than (0\.\d+)", page)[1]
    )
    assert stated < 0.001
    settings = explore.WALKS["05"] | {"max_steps": 20}
    for name in ("plain", "robust"):
        model = networks[name]
        exact = model.get_weights()
        ends = [inversion.invert(model, images, np.arange(100) % 10, **settings).images]
        model.set_weights([array.astype(np.float16) for array in exact])
        ends.append(inversion.invert(model, images, np.arange(100) % 10, **settings).images)
        model.set_weights(exact)
        apart, moved = (
            np.linalg.norm(flat(one - other), axis=1) for one, other in (ends, (ends[0], images))
        )
        assert 1e-3 < np.median(apart / moved) < 0.25


# --- the file


@pytest.fixture(scope="module")
def page():
    return explore.page()


def test_the_page_is_one_small_file_that_asks_for_nothing(page):
    assert len(page.encode()) <= 3e6
    assert "{{" not in page.replace("{{}}", "")
    outside = r"https?://|\bsrc=|<link|@import|\bimport\b|\bfetch\(|XMLHttpRequest|WebSocket"
    shell = re.sub(r'<script type="application/json".*?</script>', "", page, flags=re.DOTALL)
    assert not re.search(outside, shell)
    assert "default-src 'none'" in shell


def test_the_page_holds_what_it_needs(page):
    content = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    assert content["weights"].keys() == {"plain", "robust", "mlp"}
    assert np.bincount(content["neighbours"]["labels"]).tolist() == [60] * 10
    assert np.bincount(content["digits"]["labels"]).tolist() == [3] * 10
    assert content["walk"] == "05"
    assert '"walk": "07"' in explore.page("07")


def test_its_digits_are_test_images_that_no_network_has_seen(page):
    content = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    raw = base64.b64decode(content["digits"]["images"])
    shown = np.frombuffer(raw, np.uint8).reshape(-1, 28, 28)
    sample = read_sample("mnist")  # training images
    seen = {image.tobytes() for part in ("x_train", "x_test") for image in sample[part]}
    assert not seen & {image.tobytes() for image in shown}
    labels = np.uint8(content["digits"]["labels"]).tobytes()
    assert hashlib.sha256(raw + labels).hexdigest() in CARDS, "they are not those of the card"
    if mnist := data.locate("mnist").arrays:
        first = explore._first(mnist["x_test"], mnist["y_test"], 3)
        np.testing.assert_array_equal(shown, first[0])
        assert first[1].tolist() == content["digits"]["labels"]


def test_the_walks_are_those_of_the_notebooks():
    """A preset says "as in notebook 07", so it must be."""
    for name, walk in explore.WALKS.items():
        [path] = notebooks.find([name])
        source = "\n".join(cell.source for cell in notebooks.code_cells(notebooks.read(path)))
        line = {"05": "longer = ", "07": "settings = "}[name]
        found = json.loads(re.search(rf"^{line}(\{{.*?\}})", source, re.MULTILINE)[1])
        assert found == {key: value for key, value in walk.items() if key in found}
        assert not any(value for key, value in walk.items() if key not in found)


def test_every_value_of_a_walk_is_one_that_the_page_offers():
    source = (explore.FOLDER / "page.js").read_text(encoding="utf-8")
    for walk in explore.WALKS.values():
        for name, value in walk.items():
            offered = re.search(rf"{name}: {{.*?values: \[(.*?)\]", source, re.DOTALL)[1]
            assert value in map(float, offered.split(",")), name


@pytest.mark.parametrize("call", [explore.page, explore.show])
def test_an_unknown_walk_is_named(call):
    with pytest.raises(ValueError, match=r"walk must be one of .*'05', '07'.*, not '06'"):
        call("06")


def test_a_missing_network_is_named(monkeypatch):
    monkeypatch.setattr("helpers.checkpoints.load", lambda *_: None)
    with pytest.raises(FileNotFoundError, match=r"mnist-cnn\.weights\.h5 belongs to this"):
        explore.page()
    with pytest.raises(notebooks.UsageError, match=r"git checkout -- data/pretrained/mnist-cnn"):
        command.main(SimpleNamespace(out=Path("page.html")))


def test_the_command_writes_the_page_where_it_is_asked_to(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(explore, "page", lambda: "<p>η</p>")
    path = tmp_path / "new" / "page.html"
    command.main(SimpleNamespace(out=path))
    assert path.read_text(encoding="utf-8") == "<p>η</p>"
    assert str(path) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["page", "page.txt", "folder.html", "file/page.html"])
def test_a_place_that_cannot_hold_a_page_is_named(tmp_path, name):
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(notebooks.UsageError, match="--out must be a file"):
        command.main(SimpleNamespace(out=tmp_path / name))


def test_a_cell_shows_the_page_to_a_person_and_one_line_to_a_command(monkeypatch, capsys):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *objects: shown.extend(objects))
    monkeypatch.setattr(explore, "page", lambda walk: f'<b title="{walk}">')
    explore.show("07")
    assert "python -m helpers.course explore" in capsys.readouterr().out
    assert not shown
    monkeypatch.setattr(explore.session, "interactive", lambda: True)
    monkeypatch.setattr(explore.session, "in_notebook", lambda: True)
    with warnings.catch_warnings(action="error"):  # a person would see it on red
        explore.show("07")
    assert 'srcdoc="&lt;b title=&quot;07&quot;&gt;"' in shown[0].data
    assert capsys.readouterr().out == ""


def test_the_parts_of_the_page_are_packaged():
    """What an installed copy lacks, a wheel was not told of."""
    import tomllib

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    data = settings["tool"]["setuptools"]["package-data"]["helpers.explore"]
    parts = {path.name for path in explore.FOLDER.iterdir() if path.suffix not in (".py", "")}
    assert parts == {path.name for pattern in data for path in explore.FOLDER.glob(pattern)}

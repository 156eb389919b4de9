"""The ladder is climbed with small made-up datasets, each in a file that is found by its name."""

import contextlib
import errno
import gzip
import hashlib
import http.server
import io
import os
import pickle
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import tracemalloc
import zipfile
from pathlib import Path

import joblib
import numpy as np
import psutil
import pytest
from scipy.io import savemat

from helpers import data, session
from helpers.data import alphadigits, california, cifar10, official
from helpers.data.source import NotUsable, read_idx, verify

NOWHERE = "http://127.0.0.1:1/toy.npz"  # refuses connections at once
FILE = """
import os, sys, urllib.request, warnings
from helpers.data.source import Source, keras_folder, read_npz

def read(folder):
    return read_npz(folder / "{name}.npz", SOURCE.layout("full"))

def fetch(folder):
    print("a chatty library")
    warnings.warn("a nervous library")
    {fetch}
    urllib.request.urlretrieve(SOURCE.url, folder / "{name}.npz")
    return read(folder)

SOURCE = Source(
    file="{name}.npz", read=read, url=os.environ.get("TOY_URL", "{nowhere}"), download=24_000,
    fetch=fetch, library="Keras", library_folder=keras_folder, **{facts}
)
"""


class Toy:
    """A made-up dataset: 30 + 10 examples, and a sample of 10 + 10."""

    def __init__(self, folder, name="toy", shape=(28, 28), task="classification", fetch="", **more):
        self.name = name
        self.rows = {"full": (30, 10), "lite": (10, 10)}
        self.arrays = {p: self._draw(rows, shape, task) for p, rows in self.rows.items()}
        facts = {
            "title": name.capitalize(),
            "task": task,
            "shape": shape,
            "rows": self.rows,
            "sha256": {p: data.digest(arrays) for p, arrays in self.arrays.items()},
            **more,
        }
        text = FILE.format(name=name, nowhere=NOWHERE, fetch=fetch or "pass", facts=facts)
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
        self.put(data.SAMPLES, "lite")

    @staticmethod
    def _draw(rows, shape, task):
        rng = np.random.default_rng(rows)

        def x(n):
            if len(shape) == 1:
                return rng.normal(size=(n, *shape)).astype(np.float32)
            return rng.integers(0, 256, (n, *shape), dtype=np.uint8)

        def y(n):
            if task == "regression":
                return rng.normal(size=n).astype(np.float32)
            return rng.integers(0, 10, n, dtype=np.uint8)

        train, test = rows
        return {"x_train": x(train), "y_train": y(train), "x_test": x(test), "y_test": y(test)}

    def put(self, folder, profile="full", **changes):
        """Write the archive into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.npz"
        np.savez_compressed(path, **{**self.arrays[profile], **changes})
        return path


@pytest.fixture
def make_toy(tmp_path, monkeypatch):
    """Make made-up datasets; empty folders, no shared folder and no network."""
    package = tmp_path / "package"
    package.mkdir()
    monkeypatch.setattr(data, "__path__", [*data.__path__, str(package)])
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(data, "SAMPLES", tmp_path / "samples")
    monkeypatch.setattr(session, "fall_back", lambda: fallen.append(True))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("COURSE_PROFILE", "full")
    for variable in ("COURSE_DATA", "TOY_URL", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    fallen, toys = [], []

    def make(*arguments, **facts):
        toys.append(Toy(package, *arguments, **facts))
        toys[-1].fallen = fallen
        return toys[-1]

    yield make
    for toy in toys:
        sys.modules.pop(f"helpers.data.{toy.name}", None)
        vars(data).pop(toy.name, None)


@pytest.fixture
def toy(make_toy):
    """One made-up dataset of gray images."""
    return make_toy()


@contextlib.contextmanager
def server(content=b"", pause=0.0, status=200, kind="application/octet-stream"):
    """Answer on this computer with `content`, in pieces of 100 bytes with pauses between."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            step = 100 if pause else len(content) or 1
            for start in range(0, len(content), step):
                self.wfile.write(content[start : start + step])
                time.sleep(pause)

        def log_message(self, *arguments):
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *arguments):
            pass  # the other side has left

    with Server(("127.0.0.1", 0), Handler) as answering:
        threading.Thread(target=answering.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{answering.server_port}/toy.npz"
        answering.shutdown()


def archive(toy, tmp_path, **changes):
    return toy.put(tmp_path / "upstream", **changes).read_bytes()


# --- what is committed

# those with a sample
COMMITTED = [name for name in data.names() if "lite" in data.describe(name).rows]


def test_datasets_are_found_by_the_name_of_their_file(make_toy):
    assert {"fashion_mnist", "mnist"} <= set(COMMITTED)
    make_toy("clay")
    assert data.names() == sorted(["clay", "cifar10", *COMMITTED])
    assert data.describe("clay").title == "Clay"


@pytest.mark.parametrize("name", ["fashion_mnist", "mnist"])
def test_the_samples_are_balanced_and_read_only(name):
    sample = data.load(name, "lite")
    assert sample.x_train.shape == (4000, 28, 28, 1)
    assert sample.x_test.shape == (1000, 28, 28, 1)
    assert (sample.x_train.dtype, sample.y_train.dtype) == (np.float32, np.int64)
    assert (sample.x_train.min(), sample.x_train.max()) == (0, 1)
    assert set(np.bincount(sample.y_train)) == {400}
    assert set(np.bincount(sample.y_test)) == {100}
    assert len(sample.class_names) == 10
    for key in data.KEYS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(sample, key)[0] = 0


@pytest.mark.parametrize("name", COMMITTED)
def test_no_example_of_a_sample_is_in_both_parts(name):
    sample = data.read_sample(name)
    train = {example.tobytes() for example in sample["x_train"]}
    assert not any(example.tobytes() in train for example in sample["x_test"])


def test_the_samples_are_those_that_networks_and_records_were_made_with():
    known = {
        "alphadigits": "5b44918f5229",
        "california": "df876b89d8fa",
        "fashion_mnist": "81adbedb467d",
        "mnist": "8a7adbe9b5c3",
    }
    assert {name: data.digest(data.read_sample(name))[:12] for name in known} == known


@pytest.mark.parametrize("name", COMMITTED)
def test_the_cards_name_the_digests_and_sizes(name):
    cards = (session.ROOT / "data" / "README.md").read_text(encoding="utf-8")
    for digest in data.describe(name).sha256.values():
        assert digest in cards, f"data/README.md needs a card for {name}, with {digest}"
    assert f"{(data.SAMPLES / f'{name}.npz').stat().st_size:,} bytes" in cards


def test_the_fashion_sample_is_cut_from_the_training_files_again(tmp_path):
    """On made-up files of the same layout: the script draws 400 + 100 of each class."""
    script = session.ROOT / "data" / "samples" / "make_samples.py"
    code = "import runpy, sys; cut = runpy.run_path(sys.argv[1])['cut']"
    code += """
import numpy as np
labels = np.arange(60_000) % 10
drawn = cut(np.arange(60_000), labels)
assert [len(drawn[key]) for key in ("x_train", "x_test")] == [4000, 1000]
assert set(np.bincount(drawn["y_train"])) == {400} and set(np.bincount(drawn["y_test"])) == {100}
assert not set(drawn["x_train"]) & set(drawn["x_test"])
assert (labels[drawn["x_train"]] == drawn["y_train"]).all()
"""
    subprocess.run([sys.executable, "-c", code, str(script)], check=True, cwd=session.ROOT)


@pytest.mark.parametrize("name", COMMITTED)
def test_the_full_data_have_their_digest(name, monkeypatch, tmp_path):
    """Where this computer has them; libraries lay their caches out as a shared folder is."""
    if data.locate(name).rung != "COURSE_DATA":
        pytest.skip("COURSE_DATA does not hold the full data")
    if data.describe(name).library is None:
        return  # no library keeps it
    for cache in ("datasets", "scikit_learn_data"):  # of Keras, and of scikit-learn
        shared = session.data_folder()
        (tmp_path / cache).symlink_to(shared / cache if cache in os.listdir(shared) else shared)
    monkeypatch.delenv("COURSE_DATA")
    monkeypatch.setattr(data, "CACHE", tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data.locate(name).rung == f"the cache of {data.describe(name).library}"


def price_list(folder, rows):
    """Write a file like that of scikit-learn: a price, and eight numbers for each district."""
    table = np.asfortranarray(np.arange(1.0, 1 + rows * 9).reshape(rows, 9))
    path = folder / "scikit_learn_data" / "cal_housing_py3.pkz"
    path.parent.mkdir()
    joblib.dump(table, path, compress=6)
    return table, path


def test_the_file_of_scikit_learn_is_read_without_unpickling(tmp_path, monkeypatch):
    monkeypatch.setattr("pickle.Unpickler", None)
    table, _ = price_list(tmp_path, california.ROWS)
    x_train, y_train, x_test, y_test = (california.read(tmp_path)[key] for key in data.KEYS)
    assert (len(x_train), len(x_test)) == (16_512, 4_128)
    x, y = np.concatenate([x_train, x_test]), np.concatenate([y_train, y_test])
    table = table[np.argsort(table[:, 1])]
    np.testing.assert_allclose(x[:, 0][order := np.argsort(x[:, 0])], table[:, 1])
    np.testing.assert_allclose(y[order], table[:, 0] / 100_000, rtol=1e-6)
    np.testing.assert_allclose(x[order, 2], table[:, 3] / table[:, 6], rtol=1e-6)
    np.testing.assert_allclose(x[order, 5], table[:, 5] / table[:, 6], rtol=1e-6)
    np.testing.assert_allclose(x[order, 6:], table[:, 7:], rtol=1e-6)


def test_a_short_or_foreign_file_of_prices_is_refused(tmp_path):
    _, path = price_list(tmp_path, 10)
    with pytest.raises(NotUsable, match=r"cal_housing_py3\.pkz holds 9\d\d bytes, expected more"):
        california.read(tmp_path)
    path.write_bytes(b"no archive")
    with pytest.raises(NotUsable, match=r"cal_housing_py3\.pkz cannot be read \(error: "):
        california.read(tmp_path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        california.read(tmp_path)


def test_the_stand_in_for_house_prices_stays_within_the_real_ranges():
    sample = data.load("california", "lite")
    x, y = np.concatenate([sample.x_train, sample.x_test]), sample.y_train
    real = [(0.4999, 15.0001), (1, 52), (0.846, 142), (0.333, 34.07), (3, 35_682), (0.69, 1_243.4)]
    real += [(32.54, 41.95), (-124.35, -114.31)]
    for column, (low, high) in zip(x.T, real, strict=True):
        assert np.float32(low) <= column.min() < column.max() <= np.float32(high)
    assert np.float32(0.14999) <= y.min() < y.max() == np.float32(5.00001)
    assert 0.01 < np.mean(y == y.max()) < 0.06  # the real cap holds one house in twenty
    assert np.corrcoef(x[: len(y), 0], y)[0, 1] > 0.6
    assert "a STAND-IN" in sample.source


def characters(folder, images, **settings):
    """Write a file like that of Binary AlphaDigits: a cell for each image."""
    cells = np.empty(images.shape[:2], object)
    for place in np.ndindex(cells.shape):
        cells[place] = images[place]
    savemat(folder / "binaryalphadigs.mat", {"dat": cells, "numclasses": 36}, **settings)


def test_the_last_8_images_of_each_character_are_the_test(tmp_path):
    images = np.random.default_rng(0).integers(0, 2, (36, 39, 20, 16), dtype=np.uint8)
    characters(tmp_path, images, do_compression=True)
    parts = alphadigits.read(tmp_path)
    for label in range(36):
        for part, expected in (("train", images[label, :31]), ("test", images[label, 31:])):
            found = parts[f"x_{part}"][parts[f"y_{part}"] == label]
            np.testing.assert_array_equal(found, 255 * expected)


def test_a_short_or_foreign_file_of_characters_is_refused(tmp_path):
    characters(tmp_path, np.zeros((36, 2, 20, 16), np.uint8))
    with pytest.raises(NotUsable, match=r"binaryalphadigs\.mat cannot be read \(ValueError"):
        alphadigits.read(tmp_path)
    for content in (b"no file of MATLAB", b"", b"MATLAB 7.3 MAT-file" + bytes(200)):
        (tmp_path / "binaryalphadigs.mat").write_bytes(content)
        with pytest.raises(NotUsable, match=r"binaryalphadigs\.mat cannot be read"):
            alphadigits.read(tmp_path)


def test_the_printed_characters_fill_the_box_as_the_real_ones_do():
    sample = data.load("alphadigits", "lite")
    assert set(np.unique(sample.x_train)) == {0, 1}
    assert (np.bincount(sample.y_train) == 31).all() and (np.bincount(sample.y_test) == 8).all()
    assert sample.x_train.max(axis=(2, 3)).mean() > 0.9  # of the rows hold ink
    # the mean images of the classes tell the printed characters apart
    means = np.array([sample.x_train[sample.y_train == label].mean(axis=0) for label in range(36)])
    distances = ((sample.x_test[:, None] - means) ** 2).sum(axis=(2, 3, 4))
    assert np.mean(distances.argmin(axis=1) == sample.y_test) > 0.7
    assert "a STAND-IN" in sample.source


def test_importing_the_package_loads_no_large_library():
    code = (
        "import sys, helpers.data as data; [data.describe(name) for name in data.names()];"
        "print(*{'tensorflow', 'keras', 'pandas', 'sklearn'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=session.ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == ""


# --- a dataset in memory


@pytest.mark.parametrize(("n", "cut"), [(60_000, 55_000), (4_000, 3_666), (12, 11), (11, 10)])
def test_split_holds_out_the_last_twelfth_as_keras_does(n, cut):
    """``validation_split=1 / 12`` cuts there in Keras 3.15."""
    x, y = np.arange(n, dtype=np.float32)[:, None], np.arange(n)
    dataset = data.Dataset("numbers", "classification", "lite", "", x, y, x, y)
    (x_fit, y_fit), (x_validation, y_validation) = dataset.split()
    assert x_fit.shape == (cut, 1)
    assert x_validation.shape == (n - cut, 1)
    assert np.array_equal(np.concatenate([x_fit, x_validation]), x)
    assert np.array_equal(np.concatenate([y_fit, y_validation]), y)


KINDS = {
    "gray": ({"shape": (28, 28)}, (28, 28, 1), "images"),
    "colour": ({"shape": (32, 32, 3)}, (32, 32, 3), "images"),
    "glyphs": ({"shape": (20, 16), "class_names": tuple("0123456789abc")}, (20, 16, 1), "images"),
    "houses": (
        {"shape": (3,), "task": "regression", "feature_names": ("age", "rooms", "income")},
        (3,),
        "rows",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_images_and_tables_go_through_the_whole_ladder(
    make_toy, tmp_path, monkeypatch, capsys, name
):
    facts, shape, word = KINDS[name]
    toy = make_toy(name, **facts)
    source = data.describe(name)

    def check(dataset, profile, rung):
        capsys.readouterr()
        stored = toy.arrays[profile]
        assert (dataset.name, dataset.profile, dataset.source) == (name, profile, rung)
        assert (dataset.class_names, dataset.feature_names) == (
            source.class_names,
            source.feature_names,
        )
        assert dataset.x_train.shape == (len(stored["x_train"]), *shape)
        assert dataset.x_train.dtype == np.float32
        if dataset.task == "regression":
            assert dataset.y_train.dtype == np.float32
            assert np.array_equal(dataset.x_test, stored["x_test"])
        else:
            assert dataset.y_train.dtype == np.int64
            assert np.allclose(dataset.x_test.ravel() * 255, stored["x_test"].ravel())
        assert np.array_equal(dataset.y_test, stored["y_test"])
        for key in data.KEYS:
            assert not getattr(dataset, key).flags.writeable

    check(data.load(name), "lite", "data/samples")
    with server(archive(toy, tmp_path)) as url:
        monkeypatch.setenv("TOY_URL", url)
        sys.modules.pop(f"helpers.data.{name}")
        check(data.load(name), "full", "the official source")
    check(data.load(name), "full", "data/cache")
    toy.put(tmp_path / "shared")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "shared"))
    check(data.load(name), "full", "COURSE_DATA")
    data.load(name)
    assert capsys.readouterr().out == (
        f"{name.capitalize()}: 30 training and 10 test {word} from COURSE_DATA, verified\n"
    )


# --- the rungs on this computer


def test_lite_never_opens_a_connection(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("COURSE_PROFILE", "lite")
    assert data.load("mnist").profile == "lite"


def test_the_shared_folder_comes_before_the_cache(toy, tmp_path, monkeypatch):
    toy.put(tmp_path / "shared")
    toy.put(tmp_path / "cache")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "shared"))
    assert data.load("toy").source == "COURSE_DATA"


@pytest.mark.parametrize("kind", ["relative", "home"])
def test_the_shared_folder_may_be_relative_or_in_the_home(toy, tmp_path, monkeypatch, kind):
    toy.put(tmp_path / "shared")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    relative = os.path.relpath(tmp_path / "shared", session.ROOT)
    monkeypatch.setenv("COURSE_DATA", {"relative": relative, "home": "~/shared"}[kind])
    assert data.load("toy").source == "COURSE_DATA"


def test_what_is_wrong_with_the_shared_folder_is_named(toy, tmp_path, monkeypatch, capsys):
    file = toy.put(tmp_path / "cache")
    for value, message in [
        (tmp_path, f"There is no toy.npz in {tmp_path}."),
        (tmp_path / "nowhere", f"There is no folder {tmp_path / 'nowhere'}."),
        (file, f"{file} is a file: name the folder that holds toy.npz."),
    ]:
        monkeypatch.setenv("COURSE_DATA", str(value))
        assert data.load("toy").source == "data/cache"
        assert capsys.readouterr().out.splitlines()[0] == (
            f"Toy: COURSE_DATA is not used. {message}"
        )


def test_the_one_file_of_several_that_is_missing_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert data.locate("fashion_mnist").notes[0] == (
        "Fashion-MNIST: COURSE_DATA is not used. There is no "
        f"{Path('fashion-mnist', 'train-images-idx3-ubyte.gz')} in {tmp_path}."
    )


def test_what_keras_downloaded_before_is_used_without_a_network(toy, tmp_path):
    toy.put(tmp_path / "keras" / "datasets")
    assert data.load("toy").source == "the cache of Keras"


def test_locate_names_the_rungs_it_tried_and_never_asks_the_network(toy, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    found = data.locate("toy")
    assert (found.rung, found.arrays, found.notes) == (None, None, ())
    assert found.tried == ("data/cache", "the cache of Keras")
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    toy.put(tmp_path / "cache")
    found = data.locate("toy")
    assert (found.rung, found.tried) == ("data/cache", ("COURSE_DATA", "data/cache"))
    assert found.notes == (f"Toy: COURSE_DATA is not used. There is no toy.npz in {tmp_path}.",)
    assert data.digest(found.arrays) == data.digest(toy.arrays["full"])


# --- files that cannot be used


def truncate(path, toy):
    path.write_bytes(path.read_bytes()[:-200])


def flip_a_bit(path, toy):
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 8  # inside the compressed stream of the training images
    path.write_bytes(content)


def damage_the_stream(path, toy):
    content = bytearray(path.read_bytes())
    content[30 + len("x_train.npy") + content[28]] = 0xFF  # opens a block of no known kind
    path.write_bytes(content)


def change_a_pixel(path, toy):
    images = toy.arrays["full"]["x_train"].copy()
    images[0, 0, 0] ^= 1
    toy.put(path.parent, x_train=images)


def forget_the_labels(path, toy):
    np.savez(path, **{key: toy.arrays["full"][key] for key in data.KEYS[:3]})


def flatten(path, toy):
    toy.put(path.parent, x_train=toy.arrays["full"]["x_train"].reshape(30, 784))  # the same bytes


def retype(path, toy):
    toy.put(path.parent, y_train=toy.arrays["full"]["y_train"].view(np.int8))  # the same bytes


def pickle_it(path, toy):
    toy.put(path.parent, y_train=toy.arrays["full"]["y_train"].astype(object))


def put_a_folder_there(path, toy):
    path.unlink()
    path.mkdir()


def put_a_pipe_there(path, toy):
    path.unlink()
    os.mkfifo(path)


def save_a_web_page(path, toy):
    path.write_text("\n <!DOCTYPE html><title>Please log in</title>")


def empty(path, toy):
    path.write_bytes(b"")


def claim_730_gib(path, toy):
    with zipfile.ZipFile(path, "w") as bad:
        header = "{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 28, 28), }\n"
        bad.writestr("x_train.npy", b"\x93NUMPY\1\0" + bytes([len(header), 0]) + header.encode())


def swell(path, toy):
    toy.put(path.parent, x_train=np.zeros((100_000, 28, 28), np.uint8))


def swell_in_secret(path, toy):
    good = {key: toy.arrays["full"][key] for key in data.KEYS}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bad:
        for key, array in good.items():
            with bad.open(f"{key}.npy", "w") as stream:
                np.lib.format.write_array(stream, array)
                if key == "x_train":
                    stream.write(bytes(20_000_000))
        bad.getinfo("x_train.npy").file_size = good["x_train"].nbytes + 128


def fill_the_disk(path, toy):
    with open(path, "ab") as file:
        file.truncate(20_000_000)


DAMAGES = [
    (truncate, r"toy\.npz cannot be read \(BadZipFile"),
    (flip_a_bit, r"toy\.npz cannot be read \("),
    (damage_the_stream, r"toy\.npz cannot be read \(error: Error -3 while decompressing"),
    (change_a_pixel, r"toy\.npz holds other data: expected arrays with SHA-256 \w{12}…, found"),
    (forget_the_labels, r"toy\.npz cannot be read \(KeyError: .*y_test"),
    (flatten, r"holds x_train as uint8 of shape \(30, 784\), expected uint8 of shape \(30, 28, 28"),
    (retype, r"holds y_train as int8 of shape \(30,\), expected uint8 of shape \(30,\)"),
    (pickle_it, r"holds y_train as object of shape"),
    (put_a_folder_there, r"toy\.npz is a folder, expected a file"),
    (put_a_pipe_there, r"toy\.npz is a device, expected a file"),
    (save_a_web_page, r"toy\.npz is an HTML page"),
    (empty, r"toy\.npz cannot be read \(BadZipFile"),
    (claim_730_gib, r"holds x_train as uint8 of shape \(1000000000, 28, 28\), expected uint8"),
    (swell, r"x_train\.npy in toy\.npz has 78,400,128 bytes, expected at most"),
    (swell_in_secret, r"toy\.npz cannot be read \("),
    (fill_the_disk, r"toy\.npz has 20,000,000 bytes, expected at most"),
]


@contextlib.contextmanager
def quick_and_small():
    """Fail if what follows takes seconds or fills the memory."""
    tracemalloc.start()
    began = time.monotonic()
    try:
        yield
        assert time.monotonic() - began < 5
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("damage", "message"), DAMAGES)
@pytest.mark.parametrize(
    ("rung", "then"),
    [
        ("COURSE_DATA", "It was left as it is."),
        ("data/cache", "The next download takes its place."),
    ],
)
def test_a_bad_file_is_named_and_passed_over(
    toy, tmp_path, monkeypatch, damage, message, rung, then
):
    if damage is put_a_pipe_there and not hasattr(os, "mkfifo"):
        pytest.skip("no named pipes here")
    folder = tmp_path / "cache"
    if rung == "COURSE_DATA":
        folder = tmp_path / "shared"
        monkeypatch.setenv("COURSE_DATA", str(folder))
    path = toy.put(folder)
    damage(path, toy)
    before = path.read_bytes() if path.is_file() else None
    toy.put(tmp_path / "keras" / "datasets")
    with quick_and_small():
        found = data.locate("toy")
    assert found.rung == "the cache of Keras"
    (note,) = found.notes
    assert re.match(f"Toy: {rung} is not used. .*{message}", note)
    assert note.endswith(f". {then}")
    assert (path.read_bytes() if path.is_file() else None) == before


def test_arrays_of_another_shape_or_type_are_refused_whoever_read_them(toy):
    """Some libraries hand over arrays and no file whose header could be compared."""
    source, arrays = data.describe("toy"), toy.arrays["full"]
    assert verify(arrays, source, "full", "toy.mat") is arrays
    for key, other in [
        ("x_train", arrays["x_train"].reshape(30, 784)),
        ("y_test", arrays["y_test"].view(np.int8)),
    ]:
        with pytest.raises(NotUsable, match=rf"toy\.mat holds {key} as .* expected"):
            verify({**arrays, key: other}, source, "full", "toy.mat")


def idx(head, content):
    return gzip.compress(np.array(head, ">u4").tobytes() + content, mtime=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx([0x0803, 3, 2, 2], bytes(11)), "more or less than the 12 bytes"),
        (idx([0x0803, 3, 2, 2], bytes(13)), "more or less than the 12 bytes"),
        (idx([0x0803, 3, 2, 2], bytes(20_000_000)), "more or less than the 12 bytes"),
        (idx([0x0803, 1_000_000_000, 28, 28], bytes(12)), "opens with the numbers"),
        (idx([0x0801, 12], bytes(12)), "opens with the numbers"),
        (idx([0x0803, 3, 2, 2], bytes(12))[:-9], r"cannot be read \(EOFError"),
        (idx([0x0803, 3, 2, 2], bytes(12))[:-8] + bytes(8), "cannot be read .*CRC"),
        (b"<html>Please log in</html>", "is an HTML page"),
        (b"plain bytes", "cannot be read .*[Nn]ot a gzipped file"),
        (b"", "opens with the numbers"),
    ],
)
def test_a_bad_idx_file_is_refused(tmp_path, content, message):
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    with quick_and_small(), pytest.raises(NotUsable, match=f"images.gz .*{message}"):
        read_idx(path, (3, 2, 2))
    path.write_bytes(idx([0x0803, 3, 2, 2], bytes(range(12))))
    assert np.array_equal(read_idx(path, (3, 2, 2)).ravel(), range(12))


# --- the official source


@pytest.fixture
def online(toy, monkeypatch):
    """Serve the made-up dataset from this computer: ``online(content, …)``."""
    with contextlib.ExitStack() as stack:

        def serve(content, **how):
            monkeypatch.setenv("TOY_URL", stack.enter_context(server(content, **how)))
            sys.modules.pop("helpers.data.toy", None)

        yield serve


def test_a_download_is_announced_verified_and_kept(toy, tmp_path, online, capfd):
    online(archive(toy, tmp_path))
    assert data.load("toy").source == "the official source"
    assert capfd.readouterr() == (
        "Toy: not on this computer, asking its official source …\n"
        "Toy: downloading 24 kB from its official source …\n"
        "Toy: 30 training and 10 test images from the official source, verified\n",
        "",  # what the library prints and warns of is captured
    )
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["toy.npz"]
    assert data.load("toy").source == "data/cache"
    assert toy.fallen == []


def test_a_download_takes_the_place_of_a_damaged_copy(toy, tmp_path, online):
    truncate(toy.put(tmp_path / "cache"), toy)
    online(archive(toy, tmp_path))
    assert data.load("toy").source == "the official source"
    assert data.load("toy").source == "data/cache"


def test_a_download_with_other_data_is_not_kept(toy, tmp_path, online, capsys):
    online(archive(toy, tmp_path, y_test=toy.arrays["full"]["y_test"] ^ 1))
    assert data.load("toy").profile == "lite"
    assert "the official source is not used. The download holds other data" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"status": 404}, "127.0.0.1 answered 404 Not Found."),
        ({"kind": "text/html; charset=utf-8"}, "127.0.0.1 answered with an HTML page"),
        ({}, "An HTML page came instead of the data: this network may want a log-in."),
    ],
)
def test_a_portal_that_answers_instead_is_recognised(toy, online, capsys, how, message):
    online(b"<html>Please log in</html>", **how)
    assert data.load("toy").profile == "lite"
    assert f"Toy: the official source is not used. {message}" in capsys.readouterr().out


def test_a_refused_connection_is_not_called_no_answer(toy):
    began = time.monotonic()
    reason = data.why_unreachable("toy")
    assert time.monotonic() - began < 2
    assert re.fullmatch(r"127\.0\.0\.1 cannot be reached: .*refused.*\.", reason)


def test_a_server_that_answers_can_be_reached(toy, online):
    online(b"content")
    assert data.why_unreachable("toy") is None


@pytest.fixture
def silence():
    """Accept connections and never say a word: the address."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/toy.npz"


def test_a_silent_server_is_given_up_when_the_time_has_passed(toy, silence, monkeypatch, capsys):
    monkeypatch.setattr(official, "TIMEOUT", 0.5)
    monkeypatch.setenv("TOY_URL", silence)
    began = time.monotonic()
    assert data.load("toy").profile == "lite"
    assert 0.5 <= time.monotonic() - began < 3
    assert "is not used. No answer from 127.0.0.1 within 0.5 seconds." in capsys.readouterr().out


def test_a_name_that_is_never_looked_up_is_given_up(toy, monkeypatch):
    monkeypatch.setattr(official, "TIMEOUT", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **keywords: time.sleep(2))
    assert data.why_unreachable("toy") == "No answer from 127.0.0.1 within 0.3 seconds."


def test_a_download_that_falls_silent_is_given_up(toy, tmp_path, online, monkeypatch, capsys):
    monkeypatch.setattr(official, "TIMEOUT", 0.5)
    monkeypatch.setattr(official, "LIMIT", 15)
    online(archive(toy, tmp_path), pause=30)
    assert data.load("toy").profile == "lite"
    assert "The download failed: timed out" in capsys.readouterr().out


def children():
    return psutil.Process().children()


def test_a_download_that_drips_shows_its_progress_and_is_stopped(
    toy, tmp_path, online, monkeypatch, capsys
):
    before = children()
    monkeypatch.setattr(official, "LIMIT", 1.5)
    monkeypatch.setattr(session, "interactive", lambda: True)
    online(archive(toy, tmp_path), pause=0.05)  # twelve seconds
    began = time.monotonic()
    assert data.load("toy").profile == "lite"
    assert time.monotonic() - began < 8
    out, err = capsys.readouterr()
    assert re.search(r"The download was stopped after 1.5 seconds, when \d kB of 24 kB had", out)
    assert "Toy (kB)" in err
    assert children() == before
    assert not (tmp_path / "cache").exists()


def test_an_interrupted_download_leaves_no_process_behind(toy, tmp_path, online, monkeypatch):
    before = children()
    online(archive(toy, tmp_path), pause=0.05)

    class Bar(contextlib.nullcontext):
        def update(self, amount):
            raise KeyboardInterrupt

    bar = Bar()
    bar.enter_result, bar.n, bar.total = bar, 0, 24
    monkeypatch.setattr(session, "progress_bar", lambda total, description: bar)
    with pytest.raises(KeyboardInterrupt):
        data.load("toy")
    assert children() == before


@pytest.mark.parametrize(
    ("fetch", "message"),
    [
        ("raise Exception('URL fetch failure')", "The download failed: URL fetch failure"),
        (
            "urllib.request.urlopen('http://127.0.0.1:1/')",
            "The download failed: <urlopen error",
        ),
        ("os._exit(3)", "The download failed: its process ended with code 3."),
    ],
)
def test_a_library_that_fails_gives_its_reason(make_toy, monkeypatch, capsys, fetch, message):
    with server() as url:
        monkeypatch.setenv("TOY_URL", url)
        make_toy("clay", fetch=fetch)
        assert data.load("clay").profile == "lite"
    assert f"Clay: the official source is not used. {message}" in capsys.readouterr().out


def test_two_sessions_with_an_empty_cache_both_get_the_data(toy, tmp_path, online):
    online(archive(toy, tmp_path), pause=0.002)
    code = f"""
import pathlib
from helpers import data
data.__path__.append({str(tmp_path / "package")!r})
data.CACHE = pathlib.Path({str(tmp_path / "cache")!r})
print(data.load("toy").source)
"""
    command = [sys.executable, "-c", code]
    both = [
        subprocess.Popen(command, cwd=session.ROOT, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in both:
        assert process.communicate()[0].splitlines()[-1] == "the official source"
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["toy.npz"]
    assert data.load("toy").source == "data/cache"


def test_each_copy_is_written_under_a_name_of_its_own(toy, tmp_path, online, monkeypatch):
    """So that nobody ever reads a copy that is not whole, whoever else writes one."""
    online(archive(toy, tmp_path))
    written, copy = [], shutil.copyfile
    monkeypatch.setattr(shutil, "copyfile", lambda s, t: written.append(t.name) or copy(s, t))
    for _ in range(2):
        assert data.load("toy").source == "the official source"
        (tmp_path / "cache" / "toy.npz").unlink()
    assert len(set(written)) == 2
    assert "toy.npz" not in written


def test_a_full_disk_leaves_nothing_half_written(toy, tmp_path, online, monkeypatch, capsys):
    def fill(source, target):
        Path(target).write_bytes(b"PK half an archive")
        raise OSError(errno.ENOSPC, "No space left on device")

    online(archive(toy, tmp_path))
    monkeypatch.setattr(shutil, "copyfile", fill)
    assert data.load("toy").profile == "full"  # the arrays are in memory and whole
    assert "no copy was kept in data/cache (No space left on device)" in capsys.readouterr().out
    assert list((tmp_path / "cache").iterdir()) == []


def test_no_place_for_temporary_files_is_a_reason(toy, tmp_path, online, monkeypatch, capsys):
    online(archive(toy, tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    assert data.load("toy").profile == "lite"
    assert "Toy: the official source is not used. [Errno 2]" in capsys.readouterr().out


def test_a_cache_that_cannot_be_written_does_not_stop_the_session(toy, tmp_path, online, capsys):
    (tmp_path / "cache").write_bytes(b"")  # a file where the folder should be
    online(archive(toy, tmp_path))
    assert data.load("toy").profile == "full"
    assert "Toy: no copy was kept in data/cache (" in capsys.readouterr().out


def test_the_committed_datasets_are_fetched_through_their_libraries(tmp_path):
    """Each is imported in a process of its own, for a folder of its own; here it is refused."""
    code = """
import sys
from helpers import data
for name in data.names():
    try:
        data.describe(name).fetch(sys.argv[1])
    except Exception as error:
        print(error)
"""
    output = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=session.ROOT,
        env={**os.environ, "https_proxy": "http://127.0.0.1:1"},
        capture_output=True,
        text=True,
    ).stdout
    for address in ("tf-keras-datasets/train-labels-idx1-ubyte.gz", "tf-keras-datasets/mnist.npz"):
        assert f"URL fetch failure on https://storage.googleapis.com/tensorflow/{address}" in output
    assert (tmp_path / "datasets" / "fashion-mnist").is_dir()
    assert "<urlopen error" in output  # what scikit-learn passes on


def cifar_archive(folder, pixel):
    """Write an archive laid out as CIFAR-10's, with 2 images in each of its parts."""
    path = folder / cifar10.FILE
    with tarfile.open(path, "w:gz") as archive:
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
            images = np.zeros((2, 3, 32, 32), np.uint8)
            images[0, 2, 4, 7] = pixel  # blue, row 4, column 7
            content = pickle.dumps({b"data": images.reshape(2, -1), b"labels": [3, 9]})
            member = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_photographs_are_read_from_the_published_archive_only(tmp_path, monkeypatch):
    path = cifar_archive(tmp_path, pixel=200)
    with pytest.raises(NotUsable, match=r"is another archive: expected SHA-256 6d958be07457…"):
        cifar10.read(tmp_path)
    monkeypatch.setattr(cifar10, "ARCHIVE", hashlib.sha256(path.read_bytes()).hexdigest())
    arrays = cifar10.read(tmp_path)
    assert {key: array.shape for key, array in arrays.items()} == {
        "x_train": (10, 32, 32, 3),
        "y_train": (10,),
        "x_test": (2, 32, 32, 3),
        "y_test": (2,),
    }
    assert arrays["x_test"][0, 4, 7].tolist() == [0, 0, 200]
    assert arrays["x_train"].sum() == 5 * 200
    assert arrays["y_test"].tolist() == [3, 9]


def test_a_dataset_without_a_sample_says_where_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(data, "_climb", lambda name: (None, None))
    for profile in ("full", "lite"):
        with pytest.raises(FileNotFoundError, match=r"CIFAR-10 has no sample, .*cifar-10-python"):
            data.load("cifar10", profile)


def test_arrays_without_a_digest_must_have_their_layout(monkeypatch, capsys):
    source = data.describe("cifar10")
    arrays = {key: np.zeros(shape, dtype) for key, (dtype, shape) in source.layout("full").items()}
    monkeypatch.setattr(data, "_climb", lambda name: ("a test", arrays))
    assert data.load("cifar10", "full").x_test.shape == (10_000, 32, 32, 3)
    assert "from a test, their layout checked" in capsys.readouterr().out
    assert verify(arrays, source, "full", "mine.npz") is arrays
    with pytest.raises(NotUsable, match=r"mine\.npz holds y_test as uint8 of shape \(9,\)"):
        verify({**arrays, "y_test": np.zeros(9, np.uint8)}, source, "full", "mine.npz")


# --- no full data


BANNER = """\
==============================================================================
{title} WAS NOT FOUND: THIS SESSION USES {sample} (lite profile)
Every cell runs, but the numbers are those of {numbers}.
For the full data: connect to the network, or set COURSE_DATA to a folder with
{name}.npz; then restart the kernel.
==============================================================================
{last}
"""


@pytest.mark.parametrize(
    ("facts", "sample", "numbers", "last"),
    [
        (
            {"name": "toy"},
            "THE SMALL SAMPLE",
            "10 training images, not of 30",
            "Toy: 10 training and 10 test images from data/samples, verified",
        ),
        (
            {"name": "houses", "shape": (3,), "task": "regression"},
            "THE SMALL SAMPLE",
            "10 training rows, not of 30",
            "Houses: 10 training and 10 test rows from data/samples, verified",
        ),
        (
            {"name": "glyphs", "shape": (20, 16), "stand_in": True},
            "A STAND-IN",
            "made-up data of the same form, not of the real data",
            "Glyphs: 10 training and 10 test images from data/samples, a STAND-IN, verified",
        ),
    ],
)
def test_without_any_source_the_session_goes_on_in_lite(
    make_toy, capsys, facts, sample, numbers, last
):
    toy = make_toy(**facts)
    dataset = data.load(toy.name)
    assert dataset.profile == "lite"
    assert toy.fallen == [True]
    asking, refused, banner = capsys.readouterr().out.split("\n", 2)
    assert asking.endswith("not on this computer, asking its official source …")
    assert "the official source is not used. 127.0.0.1 cannot be reached" in refused
    assert banner == BANNER.format(
        title=toy.name.upper(), name=toy.name, sample=sample, numbers=numbers, last=last
    )


def test_no_banner_for_a_sample_that_was_asked_for(toy, monkeypatch, capsys):
    data.load("toy", profile="lite")
    monkeypatch.setenv("COURSE_PROFILE", "lite")
    data.load("toy")
    line = "Toy: 10 training and 10 test images from data/samples, verified\n"
    assert capsys.readouterr().out == line * 2
    assert toy.fallen == []


def test_a_damaged_sample_says_how_to_restore_it(toy):
    path = data.SAMPLES / "toy.npz"
    path.write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match=r"cannot be used: toy\.npz cannot be read"):
        data.load("toy", profile="lite")
    toy.put(data.SAMPLES, "lite", y_test=toy.arrays["lite"]["y_test"] ^ 1)
    with pytest.raises(FileNotFoundError, match=r"cannot be used: toy\.npz holds other data"):
        data.load("toy", profile="lite")
    path.unlink()
    with pytest.raises(
        FileNotFoundError, match=r"It is missing\..* git checkout -- data/samples/toy\.npz"
    ):
        data.read_sample("toy")


@pytest.mark.parametrize("name", ["no_such_dataset", "source", "../mnist", "", None, ["mnist"]])
def test_an_unknown_name_is_refused(name):
    expected = re.escape(f"name must be one of {data.names()}, not {name!r}")
    for function in (data.load, data.describe, data.locate, data.read_sample, data.why_unreachable):
        with pytest.raises(ValueError, match=expected):
            function(name)


@pytest.mark.parametrize("profile", ["fast", "", 1, ["lite"]])
def test_an_unknown_profile_is_refused(profile):
    expected = re.escape(f"profile must be 'full' or 'lite', not {profile!r}")
    with pytest.raises(ValueError, match=expected):
        data.load(profile=profile)


def test_a_bad_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    with pytest.raises(ValueError, match="COURSE_PROFILE must be 'full' or 'lite', not 'fast'"):
        data.load()

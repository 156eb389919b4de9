import dataclasses
import errno
import socket
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import helpers
from helpers import data


@pytest.fixture
def ladder(tmp_path, monkeypatch):
    """A small 'full' dataset, empty caches, no shared folder and no network."""
    rng = np.random.default_rng(0)
    arrays = {
        "x_train": rng.integers(0, 256, (30, 28, 28), dtype=np.uint8),
        "y_train": rng.integers(0, 10, 30, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (10, 28, 28), dtype=np.uint8),
        "y_test": rng.integers(0, 10, 10, dtype=np.uint8),
    }
    source = data.SOURCES["mnist"]
    digests = {**source.sha256, "full": data.digest(arrays)}
    monkeypatch.setitem(data.SOURCES, "mnist", dataclasses.replace(source, sha256=digests))
    monkeypatch.setattr(data, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(data, "KERAS", tmp_path / "keras")
    monkeypatch.setattr(data, "_answers", lambda url: False)
    monkeypatch.setenv("COURSE_PROFILE", "full")
    monkeypatch.delenv("COURSE_DATA", raising=False)
    return arrays


def put(folder, arrays):
    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "mnist.npz", **arrays)
    return folder / "mnist.npz"


def answer_with(monkeypatch, arrays):
    """Let the official source answer with these arrays."""
    import keras

    monkeypatch.setattr(data, "_answers", lambda url: True)
    pairs = (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: pairs)


def test_the_sample_is_balanced_and_read_only(sample):
    assert sample.x_train.shape == (4000, 28, 28, 1)
    assert sample.x_test.shape == (1000, 28, 28, 1)
    assert sample.x_train.dtype == np.float32
    assert sample.y_train.dtype == np.int64
    assert (sample.x_train.min(), sample.x_train.max()) == (0, 1)
    assert set(np.bincount(sample.y_train)) == {400}
    assert set(np.bincount(sample.y_test)) == {100}
    with pytest.raises(ValueError, match="read-only"):
        sample.x_train[0] = 0


def test_no_sample_image_is_in_both_parts(sample):
    train = {image.tobytes() for image in sample.x_train}
    assert not any(image.tobytes() in train for image in sample.x_test)


def test_split_holds_out_what_keras_holds_out(sample):
    (x_fit, y_fit), (x_validation, y_validation) = sample.split()
    assert len(x_fit) == int(4000 * (1 - 1 / 12))
    assert len(x_fit) + len(x_validation) == 4000
    assert np.array_equal(np.concatenate([y_fit, y_validation]), sample.y_train)


def test_lite_never_opens_a_connection(monkeypatch):
    def refuse(*arguments, **keywords):
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("COURSE_PROFILE", "lite")
    assert data.load("mnist").profile == "lite"


def test_the_shared_folder_comes_first(ladder, tmp_path, monkeypatch, capsys):
    put(tmp_path / "shared", ladder)
    put(tmp_path / "cache", {**ladder, "y_test": ladder["y_test"][::-1]})
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "shared"))
    mnist = data.load("mnist")
    assert (mnist.profile, mnist.source) == ("full", "COURSE_DATA")
    assert np.array_equal(mnist.y_train, ladder["y_train"])
    assert capsys.readouterr().out == (
        "MNIST: 30 training and 10 test images from COURSE_DATA, verified\n"
    )


def test_a_relative_shared_folder_starts_at_the_repository(ladder, tmp_path, monkeypatch):
    put(tmp_path / "shared", ladder)
    monkeypatch.setattr(data, "ROOT", tmp_path)
    monkeypatch.setenv("COURSE_DATA", "shared")
    assert data.load("mnist").source == "COURSE_DATA"


def test_a_shared_folder_without_the_file_is_named(ladder, tmp_path, monkeypatch, capsys):
    put(tmp_path / "cache", ladder)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path))
    assert data.load("mnist").source == "data/cache"
    assert f"There is no mnist.npz in {tmp_path}." in capsys.readouterr().out


def test_what_keras_downloaded_before_is_used_without_a_network(ladder, tmp_path, capsys):
    path = put(tmp_path / "keras", ladder)
    mnist = data.load("mnist")
    assert (mnist.profile, mnist.source) == ("full", "the cache of Keras")
    truncate(path)
    assert data.load("mnist").profile == "lite"
    assert "the cache of Keras is not used. mnist.npz cannot be read" in capsys.readouterr().out


def test_keras_keeps_its_downloads_where_we_look_for_them():
    helpers.tensorflow()
    import keras

    home = keras.src.backend.config.keras_home()  # Keras has no public name for it
    assert Path(home) / "datasets" == data.KERAS


def truncate(path):
    path.write_bytes(path.read_bytes()[:-200])


def exchange(path):
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["x_train"][0, 0, 0] ^= 1
    np.savez_compressed(path, **arrays)


def forget(path):
    with np.load(path) as archive:
        arrays = dict(archive)
    del arrays["y_test"]
    np.savez_compressed(path, **arrays)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncate, "cannot be read"),
        (exchange, "holds other data: expected arrays with SHA-256"),
        (forget, "cannot be read (KeyError"),
        (lambda path: path.write_bytes(b""), "cannot be read"),
        (lambda path: path.write_text("<html>Please log in</html>"), "cannot be read"),
    ],
)
def test_a_bad_file_is_named_left_alone_and_passed_over(
    ladder, tmp_path, monkeypatch, capsys, damage, message
):
    path = put(tmp_path / "shared", ladder)
    damage(path)
    before = path.read_bytes()
    put(tmp_path / "cache", ladder)
    monkeypatch.setenv("COURSE_DATA", str(tmp_path / "shared"))
    assert data.load("mnist").source == "data/cache"
    out = capsys.readouterr().out
    assert f"mnist.npz {message}" in out
    assert "left as it is" in out
    assert path.read_bytes() == before


def test_without_any_source_the_session_goes_on_in_lite(ladder, capsys):
    mnist = data.load("mnist")
    assert (mnist.profile, mnist.source) == ("lite", "data/samples")
    assert data.current_profile() == "lite"
    out = capsys.readouterr().out
    assert "THIS SESSION USES THE SMALL SAMPLE" in out
    assert "set COURSE_DATA" in out


def test_a_download_is_announced_verified_and_kept(ladder, tmp_path, monkeypatch, capsys):
    answer_with(monkeypatch, ladder)
    assert data.load("mnist").source == "the official source"
    assert "downloading 11 MB" in capsys.readouterr().out
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mnist.npz"]
    monkeypatch.setattr(data, "_answers", lambda url: False)
    assert data.load("mnist").source == "data/cache"


def test_a_download_with_another_digest_is_not_kept(ladder, tmp_path, monkeypatch, capsys):
    answer_with(monkeypatch, {**ladder, "y_test": ladder["y_test"] + 1})
    assert data.load("mnist").profile == "lite"
    assert "another SHA-256" in capsys.readouterr().out
    assert not (tmp_path / "cache").exists()


def test_a_broken_download_is_reported(ladder, monkeypatch, capsys):
    import keras

    def fail():
        raise Exception("URL fetch failure: timed out")

    monkeypatch.setattr(data, "_answers", lambda url: True)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", fail)
    before = socket.getdefaulttimeout()
    assert data.load("mnist").profile == "lite"
    assert "The download failed: URL fetch failure" in capsys.readouterr().out
    assert socket.getdefaulttimeout() == before


def test_a_full_disk_leaves_nothing_half_written(ladder, tmp_path, monkeypatch, capsys):
    def fill(path, **arrays):
        path.write_bytes(b"PK half an archive")
        raise OSError(errno.ENOSPC, "No space left on device")

    answer_with(monkeypatch, ladder)
    monkeypatch.setattr(np, "savez_compressed", fill)
    assert data.load("mnist").profile == "full"  # the arrays are in memory and whole
    assert "no copy was kept in data/cache (No space left on device)" in capsys.readouterr().out
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_read_only_data_folder_does_not_stop_the_session(ladder, monkeypatch, capsys):
    def refuse(*arguments, **keywords):
        raise PermissionError(errno.EACCES, "Permission denied")

    answer_with(monkeypatch, ladder)
    monkeypatch.setattr(type(data.CACHE), "mkdir", refuse)
    assert data.load("mnist").profile == "full"
    assert "no copy was kept in data/cache (Permission denied)" in capsys.readouterr().out


def test_a_silent_server_does_not_hang_the_session(monkeypatch):
    monkeypatch.setattr(data, "TIMEOUT", 0.3)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        # it accepts the connection and never says a word
        threading.Thread(target=lambda: server.accept(), daemon=True).start()
        began = time.monotonic()
        assert not data._answers(f"http://127.0.0.1:{server.getsockname()[1]}/mnist.npz")
        assert time.monotonic() - began < 3


def test_a_damaged_sample_says_how_to_restore_it(tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SAMPLES", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"git checkout -- data/samples/mnist\.npz"):
        data.load("mnist", profile="lite")
    (tmp_path / "mnist.npz").write_bytes(b"PK")
    with pytest.raises(FileNotFoundError, match="cannot be read"):
        data.load("mnist", profile="lite")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "cifar"}, r"name must be one of \['mnist'\], not 'cifar'"),
        ({"profile": "fast"}, "profile must be 'full' or 'lite', not 'fast'"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        data.load(**arguments)


def test_a_bad_environment_variable_is_named(monkeypatch):
    monkeypatch.setenv("COURSE_PROFILE", "fast")
    with pytest.raises(ValueError, match="COURSE_PROFILE must be 'full' or 'lite', not 'fast'"):
        data.load()

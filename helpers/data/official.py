"""The last rung of the ladder: a dataset's official source, on the network."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from helpers import session
from helpers.data.source import NotUsable, for_people, is_html

TIMEOUT = 5  # seconds, for each wait on the network
LIMIT = 300  # seconds, for a whole download, however steadily it drips

# What a library prints is nobody's business, so the reason of a failure leaves in a file.
CHILD = """
import pathlib, runpy, socket, sys
import numpy

file, folder, result, reason, timeout = sys.argv[1:]
socket.setdefaulttimeout(float(timeout))
try:
    source = runpy.run_path(file)["SOURCE"]
    numpy.savez_compressed(result, **source.fetch(pathlib.Path(folder)))
except Exception as error:
    pathlib.Path(reason).write_text(f"{error}", encoding="utf-8")
    sys.exit(1)
"""


def why_unreachable(url):
    """Say why a server cannot be asked for a file, or return None if it answers.

    Parameters
    ----------
    url : str

    Returns
    -------
    str or None
        A whole sentence.

    Examples
    --------
    >>> why_unreachable("https://example.invalid/")  # doctest: +SKIP
    'example.invalid cannot be reached: Name or service not known.'
    """
    host = urlsplit(url).hostname
    reasons = []

    def ask():
        try:
            # not HEAD, which some servers refuse
            request = urllib.request.Request(url, headers={"Range": "bytes=0-0"})
            # longer than we wait below, so that it is never this that ends first
            with urllib.request.urlopen(request, timeout=2 * TIMEOUT) as answer:
                html = answer.headers.get_content_type() == "text/html"
            page = f"{host} answered with an HTML page: this network may want a log-in."
            reasons.append(page if html else None)
        except urllib.error.HTTPError as error:
            reasons.append(f"{host} answered {error.code} {error.reason}.")
        except urllib.error.URLError as error:
            reason = getattr(error.reason, "strerror", None) or error.reason
            reasons.append(f"{host} cannot be reached: {reason}.")
        except Exception as error:
            reasons.append(f"{host} cannot be asked: {type(error).__name__}: {error}.")

    # a thread, because looking up a name has no time-out
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    return reasons[0] if reasons else f"No answer from {host} within {TIMEOUT} seconds."


def download(file, source, folder):
    """Let a dataset's official library fetch it, with a bar and within `LIMIT` seconds.

    The library works in a process of its own and in a folder of its own, so it can be watched
    and stopped, and two sessions never write the same file.

    Parameters
    ----------
    file : str
        The dataset's file in this package.
    source : Source
    folder : Path
        An empty folder.

    Returns
    -------
    Path
        Of a NumPy archive with the four arrays, not verified yet.

    Raises
    ------
    NotUsable
        With the reason.
    """
    library, result, reason = folder / "library", folder / "arrays.npz", folder / "reason"
    library.mkdir()
    paths = [file, str(library), str(result), str(reason)]
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, *paths, str(TIMEOUT)],
        cwd=session.ROOT,  # finds helpers
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _watch(child, source, library)
    finally:
        child.kill()
        child.wait()
    if child.returncode == 0:
        return result
    if any(is_html(path) for path in library.rglob("*") if path.is_file()):
        raise NotUsable("An HTML page came instead of the data: this network may want a log-in.")
    why = f"its process ended with code {child.returncode}."
    if reason.exists():
        why = reason.read_text(encoding="utf-8")
    raise NotUsable(f"The download failed: {why}")


def _watch(child, source, folder):
    """Show how many bytes have come until the process ends; raise NotUsable at the limit."""
    end = time.monotonic() + LIMIT
    came = 0
    with session.progress_bar(source.download // 1000, f"{source.title} (kB)") as bar:
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(0.1)
                return
            if time.monotonic() > end:
                raise NotUsable(
                    f"The download was stopped after {LIMIT} seconds, when {for_people(came)} of "
                    f"{source.size} had come."
                )
            with contextlib.suppress(OSError):  # a file may go while we look
                came = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            bar.update(min(came // 1000, bar.total or 0) - bar.n)

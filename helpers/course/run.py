"""Run notebooks from top to bottom, and say how long they took and what they needed."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import threading
import time
from dataclasses import dataclass

from helpers import data, session
from helpers.course import notebooks
from helpers.session import ROOT

CELL_TIMEOUT = 1800  # seconds; the longest training of the course takes a third of that
MEMORY_BAR = 4e9  # bytes
LAYOUT = "{:<24} {:>5} {:>9} {:>18} {:>9} {:>9}"


def add_parser(commands):
    """Add this command and its options to the command line."""
    parser = commands.add_parser("run", help="run notebooks, by default copies of 01 to 06")
    parser.add_argument("notebooks", nargs="*", metavar="NN", help="default: 01 to 06")
    parser.add_argument("--profile", choices=("full", "lite"), help="default: $COURSE_PROFILE")
    parser.add_argument("--path", choices=("must",), help="only the cells that every class needs")
    parser.add_argument("--all", action="store_true", help="the further notebooks too")
    parser.add_argument(
        "--inplace", action="store_true", help="rewrite the notebooks and, in full, the figures"
    )
    parser.set_defaults(main=main)


def main(arguments):
    """Run the notebooks that were asked for."""
    if arguments.inplace and arguments.path:
        raise notebooks.UsageError(
            "--inplace cannot be combined with --path: it would drop the other cells"
        )
    wanted = arguments.profile or session.profile()
    found = notebooks.find(arguments.notebooks, arguments.all)
    books = {path: notebooks.read(path) for path in found}
    profiles = settle(books, wanted, strict=arguments.inplace)
    failures, remarks, total = [], [], 0.0
    print(LAYOUT.format("notebook", "cells", "seconds", "slowest cell", "memory", "stated"))
    for path, notebook in books.items():
        if arguments.path == "must":
            keep_must_path(notebook)
        for_readers = arguments.inplace and profiles[path] == "full"
        figures = ROOT / "figures" if for_readers else notebooks.BUILD / "figures"
        settings = {"COURSE_PROFILE": profiles[path], "COURSE_FIGURES": str(figures)}
        outcome = execute(notebook, path, settings)
        failure = _store(notebook, path, arguments.inplace and not outcome.failure)
        if failure := outcome.failure or failure:
            failures.append(f"FAILED {path.stem}, {failure}")
        total += outcome.seconds
        stated = notebook.metadata.get("course", {}).get("run_minutes")
        # the stated minutes are those of the full data and of all cells
        as_stated = profiles[path] == "full" and arguments.path is None
        remarks += [f"! {path.stem}: {remark}" for remark in _remarks(outcome, stated, as_stated)]
        print(_row(path.stem, outcome, stated), flush=True)
    print(LAYOUT.format("all", "", f"{total:.1f}", "", "", "").rstrip())
    print(*remarks, sep="\n", end="\n" if remarks else "")
    if failures:
        raise SystemExit("\n".join(failures))


def _store(notebook, path, inplace):
    """Write an executed notebook; return what went wrong, or None."""
    target = path if inplace else notebooks.BUILD / path.name
    try:
        notebooks.write(normalise(notebook) if inplace else notebook, target)
    except OSError as error:  # a full or read-only disk: the notebooks to come still run
        return f"not stored in {target.parent}: {error.strerror}"
    return None


def settle(books, wanted, strict=False):
    """Look for each dataset once, so that no notebook waits for the network again.

    Parameters
    ----------
    books : dict of Path to notebook node
    wanted : {"full", "lite"}
    strict : bool
        Whether to stop where full data is missing, instead of going on with the sample.

    Returns
    -------
    dict of Path to {"full", "lite"}
        What each notebook can run with.

    Raises
    ------
    SystemExit
        If `strict`, and a notebook cannot run in the profile that is wanted.

    Examples
    --------
    >>> set(settle({path: notebooks.read(path) for path in notebooks.find()}, "lite").values())
    {'lite'}
    """
    if wanted == "lite":
        return dict.fromkeys(books, "lite")
    needed = {path: notebooks.datasets(notebook) for path, notebook in books.items()}
    if strict:
        notebooks.datasets_of(books)
    missing = set()
    for name in sorted(set().union(*needed.values()) - {""}):
        # a wrong name, a damaged sample: the notebook's own cell will say it better
        with contextlib.suppress(ValueError, FileNotFoundError):
            if data.load(name, wanted).profile != wanted:
                missing.add(name)
    if strict and missing:
        raise SystemExit("Stopped: this would store results of a sample as those of the full data.")
    return {path: "lite" if names & missing else wanted for path, names in needed.items()}


def keep_must_path(notebook):
    """Drop the code cells without the tag ``must``, in place.

    Examples
    --------
    >>> notebook = notebooks.read(notebooks.find(["1"])[0])
    >>> before = len(notebooks.code_cells(notebook))
    >>> keep_must_path(notebook)
    >>> 0 < len(notebooks.code_cells(notebook)) < before
    True
    """
    notebook.cells = [
        cell
        for cell in notebook.cells
        if cell.cell_type != "code" or "must" in notebooks.tags(cell)
    ]


@dataclass(frozen=True)
class Outcome:
    """What one execution measured: seconds by cell, bytes, and what went wrong.

    Attributes
    ----------
    cell_seconds : list of float, one for each cell that was executed
    seconds : float, with the start of the kernel
    memory : int, the most bytes that the kernel held at once
    failure : str or None
    stderr : list of str, one for each cell that wrote there
    """

    cell_seconds: list[float]
    seconds: float
    memory: int
    failure: str | None
    stderr: list[str]


def execute(notebook, path, environment):
    """Execute a notebook in place, in a kernel of this Python, and never raise for its errors.

    Parameters
    ----------
    notebook : notebook node; its outputs are replaced
    path : Path
        Where the notebook stands: its folder is the kernel's working directory.
    environment : dict of str
        Variables for the kernel, beside those of this process.

    Returns
    -------
    Outcome
    """
    from jupyter_client import AsyncKernelManager
    from nbclient import NotebookClient

    for cell in notebooks.code_cells(notebook):
        cell.outputs, cell.execution_count = [], None
    manager = AsyncKernelManager(kernel_spec_manager=_this_python())
    client = NotebookClient(
        notebook,
        km=manager,
        timeout=CELL_TIMEOUT,
        record_timing=False,
        coalesce_streams=True,
        shutdown_kernel="immediate",  # asked politely in the middle of a cell, it complains
        resources={"metadata": {"path": str(path.parent)}},
    )
    began, cell_seconds = time.perf_counter(), []
    memory = _Memory(manager)
    try:
        with _kernel(client, environment), memory:
            failure = _execute_cells(client, path.stem, cell_seconds)
    except (OSError, RuntimeError) as error:  # no kernel starts, for example on a full disk
        failure = f"kernel: {_reason(error)}"
    return Outcome(
        cell_seconds=cell_seconds,
        seconds=time.perf_counter() - began,
        memory=memory.peak,
        failure=failure,
        stderr=list(_stderr(notebook)),
    )


def _execute_cells(client, title, cell_seconds):
    """Execute cell after cell, note the seconds of each, and return what failed, or None."""
    from nbclient.exceptions import CellControlSignal, DeadKernelError
    from tqdm import tqdm

    cells = notebooks.code_cells(client.nb)
    # disable=None: a bar for terminals
    with tqdm(total=len(cells), desc=title, leave=False, disable=None) as bar:
        for place, cell in enumerate(client.nb.cells):
            if cell.cell_type != "code":
                continue
            began = time.perf_counter()
            try:
                client.execute_cell(cell, place, execution_count=len(cell_seconds) + 1)
            except (CellControlSignal, DeadKernelError) as error:
                return f"In [{len(cell_seconds) + 1}]: {_reason(error)}"
            finally:
                cell_seconds.append(time.perf_counter() - began)
            bar.update()
    return None


@contextlib.contextmanager
def _kernel(client, environment):
    """Start a kernel for a client, and end it whatever happens, Ctrl-C at its start included."""
    from jupyter_core.utils import run_sync

    # the person's own IPython settings could change what a cell shows: an empty folder of them
    with tempfile.TemporaryDirectory(prefix="course-", ignore_cleanup_errors=True) as empty:
        environment = {
            **os.environ,
            "PYTHONPATH": notebooks.python_path(),
            "IPYTHONDIR": empty,
            "COURSE_RUN": "1",
            **environment,
        }
        try:
            # client.execute() would do the same, but it swallows Ctrl-C
            with client.setup_kernel(cleanup_kc=True, env=environment):
                yield
        finally:
            if client.km and client.km.has_kernel:
                run_sync(client.km.shutdown_kernel)(now=True)


def _this_python():
    """Return a kernel-spec manager that knows one kernel: the Python that runs this command."""
    from ipykernel.kernelspec import RESOURCES, get_kernel_dict
    from jupyter_client.kernelspec import KernelSpecManager

    class ThisPython(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            # the log level silences a warning that ipykernel prints at every start
            arguments = ["--IPKernelApp.log_level=ERROR"]
            return self.kernel_spec_class(resource_dir=RESOURCES, **get_kernel_dict(arguments))

    return ThisPython()


class _Memory(threading.Thread):
    """Sample the resident memory of a kernel, five times a second, and remember the most."""

    def __init__(self, manager):
        super().__init__(daemon=True)
        self.manager, self.peak, self._ended = manager, 0, threading.Event()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self._ended.set()

    def run(self):
        import psutil

        while True:
            # a child may end while it is read: the next look comes soon
            with contextlib.suppress(psutil.Error):
                kernel = psutil.Process(self.manager.provisioner.pid)
                # on Windows the Python of a virtual environment is a child of its launcher
                family = [kernel, *kernel.children(recursive=True)]
                self.peak = max(self.peak, sum(one.memory_info().rss for one in family))
            if self._ended.wait(0.2):
                return


def _reason(error):
    """One line on what ended a notebook."""
    name = getattr(error, "ename", type(error).__name__)
    lines = str(getattr(error, "evalue", error)).strip().splitlines()
    return f"{name}: {lines[0]}" if lines else name


def _stderr(notebook):
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        for output in cell.outputs:
            if output.output_type == "stream" and output.name == "stderr":
                first = next(iter(output.text.strip().splitlines()), "only white space")
                yield f"In [{number}] wrote to stderr: {first}"


def _remarks(outcome, stated, as_stated):
    """Sentences on what the table shows and nobody asked for."""
    if stated is None:
        yield "states no run_minutes in its metadata"
    elif as_stated and outcome.seconds > 60 * stated:
        yield f"took {outcome.seconds:.0f} s and states {stated} min"
    if outcome.memory > MEMORY_BAR:
        yield f"needed {outcome.memory / 1e9:.1f} GB, more than {MEMORY_BAR / 1e9:.0f} GB"
    yield from outcome.stderr


def _row(name, outcome, stated):
    slowest = ""
    if outcome.cell_seconds:
        seconds = max(outcome.cell_seconds)
        slowest = f"In [{outcome.cell_seconds.index(seconds) + 1}] {seconds:.1f} s"
    return LAYOUT.format(
        name,
        len(outcome.cell_seconds),
        f"{outcome.seconds:.1f}",
        slowest,
        f"{outcome.memory / 1e9:.2f} GB",
        "?" if stated is None else f"{stated} min",
    )


def normalise(notebook):
    """Take out of an executed notebook what differs between two equal runs, in place.

    No timestamps, no stderr, no widgets, no interpreter version, no addresses of objects; the
    random ids of pandas tables become 00001, 00002 …; execution counts run from 1.

    Returns
    -------
    the notebook

    Examples
    --------
    >>> from nbformat.v4 import new_code_cell, new_notebook, new_output
    >>> noise = new_output("stream", name="stderr", text="a warning")
    >>> cell = new_code_cell("1 + 1", outputs=[noise], execution_count=7)
    >>> cell = normalise(new_notebook(cells=[cell])).cells[0]
    >>> cell.execution_count, cell.outputs
    (1, [])
    """
    for key in ("widgets", "jupytext"):
        notebook.metadata.pop(key, None)
    notebook.metadata["language_info"] = {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    }
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    table_ids = {}
    for number, cell in enumerate(notebooks.code_cells(notebook), 1):
        cell.execution_count = number
        cell.metadata.pop("execution", None)
        cell.outputs = [output for output in cell.outputs if not _is_noise(output)]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
            if output.output_type == "stream":
                output.text = _without_addresses(output.text)
            for kind in ("text/html", "text/plain"):
                if kind in output.get("data", {}):
                    output.data[kind] = _normalise_text(output.data[kind], table_ids)
    return notebook


def _is_noise(output):
    return output.get("name") == "stderr" or any(
        "widget" in kind for kind in output.get("data", {})
    )


def _normalise_text(text, table_ids):
    # five hexadecimal digits are a random Styler id; one that an author chose stays as it is
    text = re.sub(
        r"\bT_([0-9a-f]{5})(?=_|\b)",
        lambda found: f"T_{table_ids.setdefault(found[1], len(table_ids) + 1):05d}",
        text,
    )
    return _without_addresses(text)


def _without_addresses(text):
    return re.sub(r"\bat 0x[0-9A-Fa-f]+", "at 0x0", text)

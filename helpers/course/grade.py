"""Grade a folder of submissions, whatever students did to their notebooks."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import hashlib
import importlib
import io
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from helpers import session
from helpers.course import (
    editions,
    grade_collect,
    grade_report,
    grade_sandbox,
    notebooks,
    release,
)
from helpers.course.grade_collect import Reference, Submission

CELL_SECONDS = 60  # a student's function has ten seconds in `check` already
MEMORY = 2000  # MB beyond those of Python with TensorFlow
SLACK = 30  # seconds of a notebook beside its cells
LARGEST_ARRAYS = 64 * 2**20  # bytes of all arrays of an answer, unpacked
CANNOT_ISOLATE = (
    "students' code cannot be isolated on this computer: it could read your files and use the "
    "network, and its limits on memory and processes are weaker"
)
NOT_MADE_HERE = "{} holds files that this command did not write"
STATE = ".grade"  # the secret seed and the results so far, for --resume

_warm = threading.local()


def add_parser(commands):
    """Add this command and its options to the command line."""
    parser = commands.add_parser(
        "grade",
        help="grade submissions",
        description="Grade submissions: a folder for each student, a flat folder, or a zip.",
    )
    parser.add_argument("submissions", type=Path, metavar="SUBMISSIONS")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument(
        "--notebooks", nargs="+", metavar="NN", help="default: those that answers are found for"
    )
    parser.add_argument("--jobs", type=_positive, default=max(1, (os.cpu_count() or 2) // 2))
    parser.add_argument(
        "--timeout",
        type=_positive,
        default=CELL_SECONDS,
        metavar="S",
        help=f"seconds that a cell may take; default: {CELL_SECONDS}",
    )
    parser.add_argument(
        "--memory",
        type=_positive,
        default=MEMORY,
        metavar="MB",
        help=f"beyond what TensorFlow takes; default: {MEMORY}",
    )
    parser.add_argument("--resume", action="store_true", help="go on with an interrupted run")
    parser.add_argument("--only", metavar="NAME", help="students whose name contains this")
    parser.add_argument(
        "--partial", action="store_true", help="a wrong answer earns its share of the hidden cases"
    )
    parser.add_argument("--worksheet", type=Path, metavar="CSV", help="Moodle's, to be filled in")
    parser.add_argument(
        "--collect",
        action="store_true",
        help="only read the points of the open questions back from DIR/open.csv",
    )
    parser.add_argument(
        "--without-isolation",
        action="store_true",
        help="go on where the system cannot close students' code in",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, to use many computers")
    parser.set_defaults(main=main)


def _positive(text):
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def main(arguments):
    """Run the command."""
    out = arguments.out.expanduser().resolve()
    if arguments.collect:
        grade_report.collect_open(out)
        return
    if not hasattr(os, "fork"):  # Windows: a warm process cannot be copied
        raise notebooks.UsageError("grade needs Linux, macOS, or WSL on Windows")
    isolated = not arguments.without_isolation and grade_sandbox.namespaces_work()
    if not isolated and not arguments.without_isolation:
        raise notebooks.UsageError(
            f"{CANNOT_ISOLATE}. Grade on Linux with user namespaces, or, if you trust the "
            "students, call it again with --without-isolation"
        )
    if not isolated:
        print(f"! No isolation: {CANNOT_ISOLATE}.", flush=True)
    began = time.monotonic()
    submissions = grade_collect.collect(arguments.submissions)
    if arguments.only:
        submissions = [one for one in submissions if arguments.only in one.name]
        if not submissions:
            raise notebooks.UsageError(f"no student's name contains {arguments.only!r}")
    paths = notebooks.find(arguments.notebooks or (), everything=True)
    references = [ref for ref in map(grade_collect.reference, paths) if ref.exercises]
    entries = _entries(submissions, references, keep_all=bool(arguments.notebooks))
    state = _open_state(out, arguments.resume)
    with tempfile.TemporaryDirectory(prefix="course-grade-", ignore_cleanup_errors=True) as work:
        os.chmod(work, 0o755)  # it holds the students' copy; who runs it may be nobody
        settings = _prepare(Path(work), entries, arguments, isolated, state)
        with _executor(arguments, settings) as executor:
            _rehearse(entries, settings, executor)
            _run_all(entries, settings, executor)
        _compare(entries, settings)
    grade_report.write(
        out,
        submissions,
        entries,
        isolated=isolated,
        partial=arguments.partial,
        worksheet=arguments.worksheet,
        seed=settings["seed"],
    )
    _say(submissions, entries, settings, time.monotonic() - began, out)


# --- what is to be graded


@dataclass
class Verdict:
    """What came of one exercise of one student.

    Attributes
    ----------
    state : {"right", "wrong", "not answered", "missing", "stopped"}
    points, most, share : float
    message : str
        For the student.
    note : str
        For the instructor only.
    """

    state: str
    points: float
    most: float
    message: str
    share: float = 0.0
    note: str = ""


@dataclass
class Entry:
    """One student's answers to one notebook, and all that is known of them."""

    submission: Submission
    reference: Reference
    sources: dict
    remarks: list
    runs: list = field(default_factory=list)  # (digest, exercises in it)
    verdicts: dict = field(default_factory=dict)


def _entries(submissions, references, keep_all):
    entries, wanted = [], set()
    for reference in references:
        for one in submissions:
            answers = grade_collect.match(one, reference)
            entries.append(Entry(one, reference, answers.sources, answers.remarks))
            if answers.sources:
                wanted.add(reference.path)
    if not wanted and not keep_all:
        raise notebooks.UsageError(
            "no answer cell of the course was found in any submission; name the notebooks with "
            "--notebooks, if everybody is to get 0 points"
        )
    return [entry for entry in entries if keep_all or entry.reference.path in wanted]


def _open_state(out, resume):
    """Return the folder with the secret seed and the results so far: old ones only to go on."""
    state = out / STATE
    if out.exists() and any(out.iterdir()) and not state.is_dir():
        raise notebooks.UsageError(NOT_MADE_HERE.format(out))
    if not resume:
        shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    (state / "results").mkdir(exist_ok=True)
    if not (state / "seed").exists():
        temporary = state / "seed.part"
        temporary.write_text(str(secrets.randbits(64)), encoding="utf-8")
        os.replace(temporary, state / "seed")
    return state


def _prepare(work, entries, arguments, isolated, state):
    """Make the students' copy in which all runs, and return what every run needs to know."""
    paths = list(dict.fromkeys(entry.reference.path for entry in entries))
    course = work / "course"
    release.release(course, paths)
    (work / "root").mkdir()
    models = work / "models"
    models.mkdir()
    if (own := session.models_folder() / "lite").is_dir():  # what set-up cells need not train
        shutil.copytree(own, models / "lite")
    if isolated and os.getuid() == 0:  # who runs the rehearsal is nobody
        for folder in (models, *models.glob("*/")):
            os.chmod(folder, 0o777)
    for path in paths:
        importlib.import_module(f"helpers.chapters.chapter_{path.name[:2]}")
    return {
        "course": str(course),
        "root": str(work / "root"),
        "models": str(models),
        "isolated": isolated,
        "modules": _modules({entry.reference.path: entry.reference for entry in entries}.values()),
        "cell_seconds": arguments.timeout,
        "memory": arguments.memory * 10**6,
        "state": state,
        "seed": int((state / "seed").read_text(encoding="utf-8")),
        "threads": max(1, (os.cpu_count() or 1) // arguments.jobs),
        "scheduler": arguments.scheduler,
        "jobs": arguments.jobs,
        "seconds": {},
        "busy": {},
    }


def _modules(references):
    """Name what the set-up cells import: the warm process imports it once for all."""
    import ast

    names = []
    for reference in references:
        first = notebooks.code_cells(reference.notebook)[0].source
        with contextlib.suppress(SyntaxError):
            for node in ast.walk(ast.parse(first)):
                if isinstance(node, ast.Import):
                    names += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names += [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
    return list(dict.fromkeys(name for name in names if name != "*"))


# --- running


@contextlib.contextmanager
def _executor(arguments, settings):
    """Local processes, one for each thread of this pool; or the computers of a scheduler."""
    if arguments.scheduler:
        try:
            from distributed import Client
        except ModuleNotFoundError:
            raise notebooks.UsageError(
                "--scheduler needs Dask: python -m pip install distributed"
            ) from None
        with Client(arguments.scheduler, timeout=10) as client, client.get_executor() as executor:
            yield executor
        return
    executor = concurrent.futures.ThreadPoolExecutor(arguments.jobs)
    try:
        yield executor
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for sandbox in list(_Sandbox.running):
            sandbox.end()


class _Sandbox:
    """A warm process in the students' copy, that forks itself for each notebook."""

    running: set = set()  # noqa: RUF012

    def __init__(self, settings):
        environment = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
            "PYTHONPATH": settings["course"],
            "PYTHONDONTWRITEBYTECODE": "1",
            "COURSE_PROFILE": "lite",
            "COURSE_RUN": "1",
            "OMP_WAIT_POLICY": "PASSIVE",
            "MPLBACKEND": "agg",
        }
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS"):
            environment[variable] = str(settings["threads"])
        if os.name == "nt":
            environment["SYSTEMROOT"] = os.environ["SYSTEMROOT"]
        names = ("course", "root", "models", "isolated", "modules")
        told = json.dumps({name: settings[name] for name in names})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "helpers.course.grade_sandbox", told],
            env=environment,
            cwd=settings["course"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the one who grades
        )
        self.running.add(self)
        self._answer()

    def run(self, job):
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.end()
            raise OSError("the process that runs students' code has ended")
        return json.loads(line)

    def end(self):
        self.running.discard(self)
        self.process.kill()
        self.process.wait()


def run_notebook(task, settings):
    """Run one merged notebook in a warm process of this thread, and return what came back.

    Parameters
    ----------
    task : dict
        ``notebook`` (text) and ``seconds``.
    settings : dict
        As `_prepare` made them.

    Returns
    -------
    reply : dict
        ``ended`` and ``seconds``.
    content : bytes
        The files that it wrote, as `grade_sandbox` sends them.
    """
    with tempfile.TemporaryDirectory(prefix="course-grade-") as folder:
        notebook, result = Path(folder, "notebook"), Path(folder, "result")
        notebook.write_text(task["notebook"], encoding="utf-8")
        job = {
            "notebook": str(notebook),
            "result": str(result),
            "seconds": task["seconds"],
            "cell_seconds": task.get("cell_seconds", settings["cell_seconds"]),
            "memory": settings["memory"],
            "models_writable": task.get("models_writable", False),
        }
        for attempt in (1, 2):
            try:
                if getattr(_warm, "key", None) != settings["course"]:
                    _warm.sandbox, _warm.key = _Sandbox(settings), settings["course"]
                reply = _warm.sandbox.run(job)
                break
            except OSError:  # the warm process was killed: once more in a new one
                _warm.key = None
                if attempt == 2:
                    return {"ended": "not started", "seconds": 0.0}, b"{}\n"
        return reply, result.read_bytes() if result.exists() else b"{}\n"


def _task(reference, sources, settings):
    import nbformat

    merged = grade_collect.merge(reference, sources, settings["seed"])
    cells = max(1, len(sources))
    text = nbformat.writes(merged)
    seconds = settings["cell_seconds"] * (cells + 1) + SLACK
    digest = hashlib.sha256(
        json.dumps([text, settings["cell_seconds"], settings["memory"]]).encode()
    ).hexdigest()[:24]
    return digest, {"notebook": text, "seconds": seconds}


def _plain(settings):
    """Take what a run needs, as data that can be sent to another computer."""
    names = ("course", "root", "models", "isolated", "modules", "cell_seconds", "memory", "threads")
    return {name: settings[name] for name in names}


def _rehearse(entries, settings, executor):
    """Grade the course's own solutions: this trains what set-up cells load, and tests the way."""
    for reference in {entry.reference.path: entry.reference for entry in entries}.values():
        sources = {
            editions.ANSWER.match(cell.source)[1]: cell.source
            for cell in notebooks.code_cells(reference.notebook)
            if editions.is_answer(cell)
        }
        _, task = _task(reference, sources, settings)
        task |= {"models_writable": True, "seconds": 3600, "cell_seconds": 1800}
        began = time.monotonic()
        reply, content = executor.submit(run_notebook, task, _plain(settings)).result()
        settings["seconds"]["rehearsal"] = time.monotonic() - began
        files = read_result(content)
        for name, source in sources.items():
            verdict = judge(name, source, files, reply, settings)
            if verdict.state != "right":
                raise SystemExit(
                    f"Stopped: the course's own solution of {name} is not right here, so nothing "
                    f"is graded. {verdict.message} (ended: {reply['ended']}) "
                    f"{files.get('error.txt', b'').decode(errors='replace')}".strip()
                )


def _run_all(entries, settings, executor):
    """Run what is to be run, each notebook once however many students handed it in."""
    from tqdm import tqdm

    results = settings["state"] / "results"
    waiting, tasks = {}, {}

    def start(entry, names):
        sources = {name: entry.sources[name] for name in names}
        digest, task = _task(entry.reference, sources, settings)
        entry.runs.append((digest, tuple(names)))
        if digest not in tasks and not (results / digest).exists():
            tasks[digest] = task
            waiting[executor.submit(run_notebook, task, _plain(settings))] = digest
            bar.total = (bar.total or 0) + 1
            bar.refresh()

    # disable=None: a bar for terminals
    with tqdm(total=0, desc="grading", unit="notebook", leave=False, disable=None) as bar:
        for entry in entries:
            stubs = _stubs(entry.reference)
            names = [
                name
                for name, source in entry.sources.items()
                if grade_collect.squeezed(source) != stubs[name]
            ]
            if all(grade_collect.looks_ordinary(entry.sources[name]) for name in names):
                if names:
                    start(entry, names)
            else:
                for name in names:
                    start(entry, [name])
        together = [entry for entry in entries if entry.runs and len(entry.runs[0][1]) > 1]
        while waiting or together:
            if waiting:
                done, _ = concurrent.futures.wait(
                    waiting, return_when=concurrent.futures.FIRST_COMPLETED
                )
                for future in done:
                    _store(results / waiting.pop(future), *future.result())
                    bar.update()
            for entry in list(together):
                digest, names = entry.runs[0]
                if not (results / digest).exists():
                    continue
                together.remove(entry)
                _, files = _stored(results / digest)
                for name in names:
                    if f"{name}.npz" not in files:  # another answer was in its way
                        start(entry, [name])


def _store(path, reply, content):
    temporary = path.with_suffix(".part")
    temporary.write_bytes(json.dumps(reply).encode() + b"\n" + content)
    os.replace(temporary, path)


def _stored(path):
    first, _, content = path.read_bytes().partition(b"\n")
    return json.loads(first), read_result(content)


def _stubs(reference):
    return {
        editions.ANSWER.match(cell.source)[1]: grade_collect.squeezed(
            editions.stub(cell, reference.path.name)
        )
        for cell in notebooks.code_cells(reference.notebook)
        if editions.is_answer(cell)
    }


# --- comparing: the only place where right answers are known


def read_result(content):
    r"""Read the files that came out of a run; what is not as it must be is left out.

    Examples
    --------
    >>> read_result(b'{"a": 2, "b": 1}\nxyz'), read_result(b"anything")
    ({'a': b'xy', 'b': b'z'}, {})
    """
    head, _, rest = content.partition(b"\n")
    files = {}
    try:
        for name, size in json.loads(head).items():
            if not isinstance(size, int) or not 0 <= size <= len(rest):
                break
            files[name], rest = rest[:size], rest[size:]
    except (ValueError, AttributeError, RecursionError):
        return {}
    return files


def read_responses(content):
    """Read what an answer gave: numbers and texts, nothing that could be called.

    Returns
    -------
    dict of str to list of dict, or None if it is anything else
    """
    import numpy as np

    from helpers import exercises

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > LARGEST_ARRAYS:
                return None
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            responses = exercises.unpack(arrays)
        lists = [responses["public"], responses["hidden"]]
    except Exception:  # whatever a student made of the file
        return None
    sound = all(
        isinstance(outcomes, list) and all(isinstance(each, dict) for each in outcomes)
        for outcomes in lists
    )
    return responses if sound else None


def judge(name, source, files, reply, settings):
    """Say what an answer earns, from what it gave on the public and on the hidden cases.

    Parameters
    ----------
    name, source : str
    files : dict of str to bytes
        What came out of the run.
    reply : dict
        How it ended.
    settings : dict
        With the secret ``seed``.

    Returns
    -------
    Verdict
    """
    from helpers import exercises

    most = exercises._EXERCISES[name].points
    responses = read_responses(files[f"{name}.npz"]) if f"{name}.npz" in files else None
    failure = _failure(files.get("junit.xml", b""), name)
    if responses is None:
        why = {
            "time": "it took too long",
            "memory": "it needed too much memory",
            "processes": "it started too many processes",
            "output": "it wrote too much",
        }.get(reply["ended"], "Python ended while it ran")
        return Verdict("stopped", 0, most, f"✗ {name}: nothing came back: {why}.", note=failure)
    if not responses["public"] and failure.startswith("KeyboardInterrupt"):
        took = f"it took longer than {settings['cell_seconds']} seconds"
        return Verdict("stopped", 0, most, f"✗ {name}: the answer cell was stopped: {took}.")
    if not responses["public"]:
        said = f"\n  The answer cell: {failure}" if failure else ""
        message = f"✗ {name}: the function is not there.{said}"
        return Verdict("wrong" if failure else "missing", 0, most, message)
    try:
        public = exercises.grade_responses(name, responses["public"], None, source)
        hidden = exercises.grade_responses(name, responses["hidden"], settings["seed"], source)
    except Exception as error:  # a form of data that the comparison did not expect
        note = f"the comparison failed: {error!r}"
        return Verdict("wrong", 0, most, f"✗ {name}: no result that can be compared.", note=note)
    share = getattr(hidden, "share", float(hidden.state == "right"))
    if public.state == "not answered":
        return Verdict("not answered", 0, most, f"{name}: not answered yet.")
    if public.state == "right" and hidden.state == "right":
        return Verdict("right", most, most, public.message, share=1.0)
    if public.state == "right":
        advice = "\n".join(hidden.message.splitlines()[1:])
        message = f"✗ {name}: the public checks passed, but other inputs show that it is not right."
        message = f"{message}\n{advice}".strip()
        return Verdict("wrong", 0, most, message, share, note=hidden.message)
    return Verdict("wrong", 0, most, public.message, share)


def _failure(junit, name):
    """Return the last line that pytest --nbval noted on the answer cell of an exercise, or ''."""
    import xml.etree.ElementTree as tree

    if not junit or b"<!" in junit:
        return ""
    with contextlib.suppress(tree.ParseError, RecursionError, ValueError):
        for case in tree.fromstring(junit).iter("testcase"):
            for failure in case.iter("failure"):
                text = failure.text or failure.get("message") or ""
                if f"# ANSWER {name}" in text:
                    lines = [
                        re.sub(r"\x1b\[[\d;]*m|#x1B\[[\d;]*m", "", line)
                        for line in text.splitlines()
                    ]
                    lines = [line.strip() for line in lines if line.strip()]
                    return lines[-1][:200] if lines else ""
    return ""


def _compare(entries, settings):
    """Fill in the verdicts: the right answers are computed once, in this process."""
    from helpers import exercises

    results = settings["state"] / "results"
    stored, judged = {}, {}
    for entry in entries:
        stubs = _stubs(entry.reference)
        for name in entry.reference.exercises:
            most = exercises._EXERCISES[name].points
            if name not in entry.sources:
                entry.verdicts[name] = Verdict("missing", 0, most, f"{name}: no answer cell.")
            elif grade_collect.squeezed(entry.sources[name]) == stubs[name]:
                message = f"{name}: not answered yet."
                entry.verdicts[name] = Verdict("not answered", 0, most, message)
        # a run of its own came later, and counts
        for digest, names in entry.runs:
            if digest not in stored:
                stored[digest] = _stored(results / digest)
            reply, files = stored[digest]
            settings["seconds"][digest] = reply.get("seconds", 0.0)
            settings["busy"][digest] = reply.get("busy", 0.0)
            for name in names:
                key = digest, name
                if key not in judged:
                    judged[key] = judge(name, entry.sources[name], files, reply, settings)
                entry.verdicts[name] = judged[key]


def _say(submissions, entries, settings, seconds, out):
    verdicts = [verdict for entry in entries for verdict in entry.verdicts.values()]
    right = sum(verdict.state == "right" for verdict in verdicts)
    print(f"{len(submissions)} students, {len(verdicts)} answers, {right} right: {out}")
    runs = [value for key, value in settings["seconds"].items() if key != "rehearsal"]
    rehearsal = settings["seconds"].get("rehearsal", 0.0)
    print(
        f"{seconds:.0f} s: {rehearsal:.0f} for the rehearsal; {len(runs)} notebooks run, "
        f"{sum(runs) / max(1, len(runs)):.1f} s each ({sum(settings['busy'].values()):.0f} s of "
        f"processor time in all), {settings['jobs']} at once"
    )

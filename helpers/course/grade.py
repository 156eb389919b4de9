"""Grade a folder of submissions, whatever students did to their notebooks."""

from __future__ import annotations

import argparse
import ast
import concurrent.futures
import contextlib
import hashlib
import importlib
import io
import json
import os
import platform
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
from xml.etree import ElementTree

from helpers import session
from helpers.course import (
    editions,
    grade_collect,
    grade_report,
    grade_sandbox,
    release,
    tasks,
)
from helpers.course.grade_collect import Reference, Submission
from helpers.course.notebooks import UsageError, code_cells, find

CELL_SECONDS = 60  # a student's function has ten seconds in `check` already
MEMORY = 2000  # MB beyond those of Python with TensorFlow
SLACK = 30  # seconds of a notebook beside its cells
LARGEST_ARRAYS = 64 * 2**20  # bytes of all arrays of an answer, unpacked
CANNOT_ISOLATE = (
    "students' code cannot be isolated on this computer: it could read your files and use the "
    "network, and its limits on memory and processes are weaker"
)
HERE = "students' code cannot be run on {}"
ADVICE = (
    "If you are root it runs as nobody, who must be able to read all of Python: "
    "chmod -R a+rX FOLDER, or grade as another user"
)
NOT_MADE_HERE = "{} holds files that this command did not write"
STATE = ".grade"  # the secret seed and the results so far, for --resume

_warm = threading.local()
_stopping = threading.Event()


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
    tasks.add_option(parser)
    parser.set_defaults(main=main)


def _positive(text):
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def main(arguments):
    """Run the command."""
    options = {key: value for key, value in vars(arguments).items() if key != "main"}
    options["out"] = arguments.out.expanduser().resolve()
    if options.pop("collect"):
        grade_report.collect_open(options["out"])
    else:
        grade(**options)


def grade(
    submissions,
    out,
    *,
    notebooks=None,
    jobs=1,
    timeout=CELL_SECONDS,
    memory=MEMORY,
    resume=False,
    only=None,
    partial=False,
    worksheet=None,
    without_isolation=False,
    scheduler=None,
):
    """Grade submissions and write all reports; the parameters are the options of the command.

    Returns
    -------
    list of Entry
        What became of each student's answers to each notebook.

    Raises
    ------
    UsageError
        If this computer cannot isolate, the folder holds other files, or there is nothing to grade.
    """
    isolated = _isolates(without_isolation)
    began = time.monotonic()
    found = grade_collect.collect(submissions)
    if only and not (found := [one for one in found if only in one.name]):
        raise UsageError(f"no student's name contains {only!r}")
    paths = find(notebooks or (), everything=True)
    references = [ref for ref in map(grade_collect.reference, paths) if ref.exercises]
    entries = _entries(found, references, keep_all=bool(notebooks))
    references = list({entry.reference.path: entry.reference for entry in entries}.values())
    state = _open_state(out, resume)
    seed = int((state / "seed").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="course-grade-", ignore_cleanup_errors=True) as work:
        settings = {
            **_prepare(Path(work), references, isolated),
            "cell_seconds": timeout,
            "memory": memory * 10**6,
            "threads": max(1, (os.cpu_count() or 1) // jobs),
        }
        _stopping.clear()
        try:
            with tasks.executor(scheduler, jobs) as executor:
                rehearsal = _rehearse(references, settings, seed, executor)
                _run_all(entries, settings, seed, state / "results", executor)
        finally:
            _stopping.set()
            for sandbox in list(_Sandbox.running):
                sandbox.end()
    replies = _compare(entries, settings, seed, state / "results")
    grade_report.write(
        out, found, entries, isolated=isolated, partial=partial, worksheet=worksheet, seed=seed
    )
    verdicts = [verdict for entry in entries for verdict in entry.verdicts.values()]
    right = sum(verdict.state == "right" for verdict in verdicts)
    print(f"{len(found)} students, {len(verdicts)} answers, {right} right: {out}")
    seconds, busy = (sum(reply.get(key, 0.0) for reply in replies) for key in ("seconds", "busy"))
    where = "by the scheduler's workers" if scheduler else f"{jobs} at once"
    print(
        f"{time.monotonic() - began:.0f} s: {rehearsal:.0f} for the rehearsal; {len(replies)} "
        f"notebooks run, {seconds / max(1, len(replies)):.1f} s each ({busy:.0f} s of processor "
        f"time in all), {where}"
    )
    return entries


def _isolates(without_isolation):
    """Whether students' code will be closed in; to go on if it is not, somebody must have said."""
    if not hasattr(os, "fork"):  # Windows: a warm process cannot be copied
        raise UsageError("grade needs Linux, macOS, or WSL on Windows")
    isolated = not without_isolation and grade_sandbox.namespaces_work()
    if not isolated and not without_isolation:
        raise UsageError(
            f"{CANNOT_ISOLATE}. Grade on Linux with user namespaces, or, if you trust the "
            "students, call it again with --without-isolation"
        )
    if not isolated:
        print(f"! No isolation: {CANNOT_ISOLATE}.", flush=True)
    return isolated


# --- what is to be graded


@dataclass
class Verdict:
    """What came of one exercise of one student.

    Attributes
    ----------
    state : {"right", "wrong", "not answered", "missing", "stopped"}
    points, most, share : float
    message, given : str
        For the student; the second one is the input of the public case that went wrong.
    note : str
        For the instructor only.
    """

    state: str
    points: float
    most: float
    message: str
    share: float = 0.0
    note: str = ""
    given: str = ""


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
        raise UsageError(
            "no answer cell of the course was found in any submission; name the notebooks with "
            "--notebooks, if everybody is to get 0 points"
        )
    return [entry for entry in entries if keep_all or entry.reference.path in wanted]


def _open_state(out, resume):
    """Return the folder with the secret seed and the results so far: old ones only to go on."""
    state = out / STATE
    if out.exists() and any(out.iterdir()) and not state.is_dir():
        raise UsageError(NOT_MADE_HERE.format(out))
    if not resume:
        shutil.rmtree(state, ignore_errors=True)
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    (state / "results").mkdir(exist_ok=True)
    if not (state / "seed").exists():
        temporary = state / "seed.part"
        temporary.write_text(str(secrets.randbits(64)), encoding="utf-8")
        os.replace(temporary, state / "seed")
    return state


def _prepare(work, references, isolated):
    """Make the students' copy in which all runs, and return what every run needs to know."""
    course, root, models = work / "course", work / "root", work / "models"
    release.release(course, [reference.path for reference in references])
    root.mkdir()
    models.mkdir()
    if (own := session.models_folder() / "lite").is_dir():  # what set-up cells need not train
        shutil.copytree(own, models / "lite")
    if isolated and os.getuid() == 0:  # who runs it is nobody, and the rehearsal keeps networks
        for path in (work, *work.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
        for path in (models, *models.glob("*/")):
            path.chmod(0o777)
    for reference in references:
        importlib.import_module(f"helpers.chapters.chapter_{reference.number}")
    return {
        "course": str(course),
        "root": str(root),
        "models": str(models),
        "isolated": isolated,
        "imports": _imports(references),
    }


def _imports(references):
    """Return what the set-up cells import, a statement each: the warm process does it for all."""
    statements = []
    for reference in references:
        tree = ast.parse(code_cells(reference.notebook)[0].source)
        nodes = filter(lambda node: isinstance(node, ast.Import | ast.ImportFrom), ast.walk(tree))
        statements += map(ast.unparse, nodes)
    return list(dict.fromkeys(statements))


# --- running


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
        self.course = settings["course"]
        if not Path(self.course).is_dir():  # a worker of a scheduler
            why = f"it does not see {self.course}; set TMPDIR to a folder that all workers share"
            raise UsageError(f"{HERE.format(platform.node())}: {why}")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "helpers.course.grade_sandbox", json.dumps(settings)],
            env=environment,
            cwd=settings["course"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the one who grades
        )
        self.running.add(self)
        if _stopping.is_set():  # since this one was begun
            self.end()
            raise OSError("no more is graded")
        if why := self._answer()["why"]:
            self.end()
            raise UsageError(f"{HERE.format(platform.node())}: {why}. {ADVICE}")

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
        job = {**task, "notebook": str(notebook), "result": str(result)}
        reply = {"ended": "with the process that ran it"}
        for _ in range(2):
            try:
                reply = _warm_process(settings).run(job)
                break
            except OSError:  # it was killed: once more in a new one
                if _stopping.is_set():
                    break
        return reply, result.read_bytes() if result.exists() else b"{}\n"


def _warm_process(settings):
    """Return the process of this thread, or a new one; on a worker it may be of another class."""
    sandbox = getattr(_warm, "sandbox", None)
    if sandbox not in _Sandbox.running or sandbox.course != settings["course"]:
        if sandbox:
            sandbox.end()
        _warm.sandbox = _Sandbox(settings)
    return _warm.sandbox


def _task(reference, sources, settings, seed):
    """Return a name for what is to be run, and the task for `run_notebook`."""
    import nbformat

    text = nbformat.writes(grade_collect.merge(reference, sources, seed))
    limits = settings["cell_seconds"], settings["memory"]
    digest = hashlib.sha256(json.dumps([text, *limits]).encode()).hexdigest()[:24]
    seconds = settings["cell_seconds"] * (max(1, len(sources)) + 1) + SLACK
    return digest, {"notebook": text, "seconds": seconds}


def _rehearse(references, settings, seed, executor):
    """Grade the course's own solutions: this trains what set-up cells load, and tests the way.

    Returns
    -------
    float
        The seconds that it took.
    """
    print("First the course's own solutions are graded …", flush=True)
    began = time.monotonic()
    for reference in references:
        sources = {name: cell.source for name, cell in _answers(reference)}
        _, task = _task(reference, sources, settings, seed)
        task |= {"models_writable": True, "seconds": 3600, "cell_seconds": 1800}
        reply, content = executor.submit(run_notebook, task, settings).result()
        files = read_result(content)
        for name, source in sources.items():
            verdict = judge(name, source, files, reply, settings["cell_seconds"], seed)
            if verdict.state != "right":
                raise UsageError(
                    f"the course's own solution of {name} is not right here, so nothing is "
                    f"graded. {verdict.message} (ended: {reply['ended']}) "
                    f"{files.get('error.txt', b'').decode(errors='replace')}".strip()
                )
    return time.monotonic() - began


def _run_all(entries, settings, seed, results, executor):
    """Run what is to be run, each notebook once however many students handed it in."""
    from tqdm import tqdm

    waiting, started = {}, set()

    def start(entry, names):
        sources = {name: entry.sources[name] for name in names}
        digest, task = _task(entry.reference, sources, settings, seed)
        entry.runs.append((digest, tuple(names)))
        if digest not in started and not (results / digest).exists():
            started.add(digest)
            waiting[executor.submit(run_notebook, task, settings)] = digest
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


def _answers(reference):
    """Return pairs of an exercise and its answer cell, in the order of the notebook."""
    cells = filter(editions.is_answer, code_cells(reference.notebook))
    return [(editions.ANSWER.match(cell.source)[1], cell) for cell in cells]


def _stubs(reference):
    return {
        name: grade_collect.squeezed(editions.stub(cell, reference.path.name))
        for name, cell in _answers(reference)
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


def judge(name, source, files, reply, cell_seconds, seed):
    """Say what an answer earns, from what it gave on the public and on the hidden cases.

    Parameters
    ----------
    name, source : str
    files : dict of str to bytes
        What came out of the run.
    reply : dict
        How it ended.
    cell_seconds, seed : int
        Its limit, and what its hidden cases were drawn from.

    Returns
    -------
    Verdict
    """
    from helpers import exercises

    most = exercises.find(name).points
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
        took = f"it took longer than {cell_seconds} seconds"
        return Verdict("stopped", 0, most, f"✗ {name}: the answer cell was stopped: {took}.")
    if not responses["public"]:
        said = f"\n  The answer cell: {failure}" if failure else ""
        message = f"✗ {name}: the function is not there.{said}"
        return Verdict("wrong" if failure else "missing", 0, most, message)
    try:
        public = exercises.grade_responses(name, responses["public"], None, source)
        hidden = exercises.grade_responses(name, responses["hidden"], seed, source)
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
    return Verdict("wrong", 0, most, public.message, share, given=public.given)


def _failure(junit, name):
    """Return the last line that pytest --nbval noted on the answer cell of an exercise, or ""."""
    if b"<!" in junit:  # no entities
        return ""
    with contextlib.suppress(ElementTree.ParseError, RecursionError, ValueError):
        for failure in ElementTree.fromstring(junit).iter("failure"):
            text = re.sub(r"(\x1b|#x1B)\[[\d;]*m", "", failure.text or "").strip()
            if f"# ANSWER {name}" in text:
                return text.splitlines()[-1].strip()[:200]
    return ""


def _compare(entries, settings, seed, results):
    """Fill in the verdicts, in this process, where the right answers are computed once.

    Returns
    -------
    list of dict
        How the runs ended, and how long they took.
    """
    from helpers import exercises

    stored, judged = {}, {}
    for entry in entries:
        stubs = _stubs(entry.reference)
        for name in entry.reference.exercises:
            most = exercises.find(name).points
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
            for name in names:
                key = digest, name
                if key not in judged:
                    source, limit = entry.sources[name], settings["cell_seconds"]
                    judged[key] = judge(name, source, files, reply, limit, seed)
                entry.verdicts[name] = judged[key]
        entry.verdicts = {name: entry.verdicts[name] for name in entry.reference.exercises}
    return [reply for reply, _ in stored.values()]

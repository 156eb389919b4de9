"""The form of an exercise: cases, a right answer, and wrong answers with what to say to each.

A chapter's module builds its exercises; they register themselves by name, so that a notebook
which imports that module can say ``check("05-2", step)`` and ``hint("05-2")``. The right and the
wrong answers are functions in ``helpers.answers``; in a students' copy, which has no such folder,
a file holds what they gave.

What a function gave is plain data, an *outcome*: a dict with its ``"kind"`` and what belongs to it,

=========== ==================================================================================
``array``   ``value``: an array of numbers
``text``    ``value``: its beginning
``none``
``raised``  ``type`` and ``text`` of the exception; ``line`` of the cell, and ``stub``, whether the
            function raised NotImplementedError itself
``late``    it was stopped
``other``   ``type`` and ``size`` of anything else
=========== ==================================================================================

and ``broken``, the numbers of the rules that an answer's outcome breaks.
"""

from __future__ import annotations

import ast
import contextlib
import contextvars
import copy
import ctypes
import functools
import importlib
import inspect
import io
import json
import re
import sys
import textwrap
import threading
import tokenize
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

LIMIT = 10.0  # seconds that one call of a student's function may take
LARGEST = 1_000_000  # numbers in a result that is looked at
DRAWS = 3  # hidden cases that each generator of an exercise draws
# what an outcome says in words, and what it says where it was tampered with
DEFAULTS = {"type": "object", "text": "", "line": ""}
# in a students' copy: what the right and the wrong answers gave
STORED = Path(__file__).with_name("outcomes.npz")
_EXERCISES: dict[str, Exercise] = {}
_HINTS_GIVEN: dict[str, int] = {}
_GRADES: dict[str, Grade] = {}  # what `check` said last


@dataclass(frozen=True)
class Grade:
    """What came of an answer.

    Attributes
    ----------
    state : {"right", "wrong", "not answered"}
    message : str
        What to print: the same words in both profiles.
    points : int
        The points of the exercise if it is right, else 0.
    share : float
        In how many of the cases the result was right, from 0 to 1.
    given : str
        What the first case with a wrong result called the function with.
    """

    state: str
    message: str
    points: int = 0
    share: float = field(default=0.0, compare=False)
    given: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, eq=False)
class Case:
    """One call: a label, the arguments, and how the function is tried on them.

    The outcomes of the exercise's own answers on it, by their numbers, are kept as they are asked.
    """

    label: str
    arguments: tuple
    view: Callable | None = None
    outcomes: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Rule:
    """A property that a right result has, and what to say where it is missing."""

    message: str
    holds: Callable


@dataclass(frozen=True)
class Forbidden:
    """Words that an answer may not use, and why."""

    message: str
    words: frozenset


class Exercise:
    """An exercise, written once: how answers are tried, compared and commented.

    Parameters
    ----------
    name : str
        For example ``"05-2"``; an exercise of the same name is replaced.
    points : int
    lesson : str
        What a right answer shows.
    hint : str or tuple of str
        One to three texts: the idea, the shape of an answer, almost the line.
    tolerance : float
        As a share of the largest expected number; whole numbers are compared exactly.

    Examples
    --------
    >>> double = Exercise("99-1", points=1, lesson="Twice is twice.", hint="Add it to itself.")
    >>> double.case("the text's example", 2)
    >>> double.case("a larger number", 5)
    >>> @double.right
    ... def by_adding(x):
    ...     return x + x
    >>> @double.mistake("That is the square.")
    ... def square(x):
    ...     return x * x
    >>> check("99-1", lambda x: x**2)
    ✗ 99-1, a larger number: gave 25, expected 10.
      That is the square.
    >>> grade_answer("99-1", lambda x: 2 * x)
    Grade(state='right', message='✓ 99-1: right. Twice is twice.', points=1, share=1.0)
    """

    def __init__(self, name, *, points, lesson, hint, tolerance=1e-4):
        self.name, self.points, self.lesson, self.tolerance = name, points, lesson, tolerance
        self.hints = (hint,) if isinstance(hint, str) else tuple(hint)
        self.cases: list[Case] = []
        self.rules: list[Rule] = []
        self.forbidden: list[Forbidden] = []
        self.mistakes: list[tuple[Callable, str]] = []  # compared in this order
        self.wrong: list[tuple[Callable, str]] = []  # every wrong answer, for the tests
        self._right = None
        self._generators = []
        self._drawn = None, ()
        _EXERCISES[name] = self

    def case(self, label, *arguments, view=None):
        """Add a case: each is tried, in this order, on copies of the arguments.

        Parameters
        ----------
        label : str
            Stands in the message.
        *arguments
            What the function is called with.
        view : callable, optional
            Called with the function and the arguments, it returns what is compared; for answers
            that may differ, in their order for example. Without it, the function's result is.
        """
        self.cases.append(Case(label, arguments, view))

    def hidden(self, label, view=None, **settings):
        """Take a function that draws the cases of a grader: ``draw(rng)`` returns the arguments.

        It varies what the cases vary, and draws nothing for which two answers could be right. A
        grader calls it `DRAWS` times, with a seed that nobody else knows. What a wrong answer may
        meet by chance only, such as an empty row, gets a generator of its own, or the same one
        with other settings.

        Parameters
        ----------
        label : str
            Stands in the message: it fits everything that is drawn.
        view : callable, optional
            As in `case`.
        **settings
            Of the function.
        """

        def decorate(function):
            self._generators.append((label, functools.partial(function, **settings), view))
            return function

        return decorate

    def drawn(self, seed):
        """Return the hidden cases of a seed; those of the last seed are kept.

        Parameters
        ----------
        seed : int, 0 or more, of any size; or None
            None for the public cases.
        """
        if seed is None:
            return self.cases
        if self._drawn[0] != seed:
            self._drawn = (
                seed,
                tuple(
                    Case(
                        label,
                        draw(np.random.default_rng([seed, *self.name.encode(), *place])),
                        view,
                    )
                    for number, (label, draw, view) in enumerate(self._generators)
                    for place in [(number, turn) for turn in range(DRAWS)]
                ),
            )
        return self._drawn[1]

    def right(self, function):
        """Take a function as the right answer; it computes in another way than the notebook's."""
        self._right = function
        return function

    def mistake(self, message, **changed):
        """Take a function as a wrong answer, and recognise those that give the same.

        Parameters
        ----------
        message : str, or what `rule` or `forbids` of this exercise gave
            What to say. A function that stands beside a rule is an example that breaks it.
        **changed
            Settings of the function that make it wrong: where many ways to go wrong are the right
            way with one thing changed, one function says them all.
        """
        known = isinstance(message, str)
        text = message if known else message.message

        def decorate(function):
            answer = functools.partial(function, **changed) if changed else function
            self.wrong.append((answer, text))
            if known:
                self.mistakes.append((answer, text))
            return function

        return decorate

    def rule(self, message):
        """Take a function as a property of right results: ``holds(result)``.

        With more parameters it gets the arguments too, as the answer left them. Asked about the
        first wrong result, which is also an exception or None at times, it gives the advice; where
        it fails itself, it says nothing.
        """

        def decorate(function):
            self.rules.append(Rule(message, function))
            return self.rules[-1]

        return decorate

    def forbids(self, message, *words):
        """Forbid words in the source of an answer, and say why."""
        self.forbidden.append(Forbidden(message, frozenset(words)))
        return self.forbidden[-1]

    def outcome(self, case, answer=0):
        """Return what an answer of the exercise's own gives on a case.

        Parameters
        ----------
        case : Case
        answer : int
            0 is the right one; the mistakes follow in their order.
        """
        self.learn()
        if answer not in case.outcomes:
            function = self._right if answer == 0 else self.mistakes[answer - 1][0]
            if function is None:
                raise LookupError(f"this copy of the course holds no answer of {self.name}")
            outcome = _outcome(case, function)
            if answer == 0 and outcome["kind"] == "raised":
                raise RuntimeError(f"the right answer of {self.name}: {_describe(outcome)}")
            case.outcomes[answer] = outcome
        return case.outcomes[answer]

    def learn(self):
        """Let it know its answers: the functions, or in a students' copy what they gave."""
        if self._right or self.mistakes:
            return
        if STORED.exists():
            messages, rows = zip(*_stored().get(self.name, [("", [])]), strict=True)
            self.mistakes = [(None, message) for message in messages[1:]]
            for answer, row in enumerate(rows):
                for case, outcome in zip(self.cases, row, strict=False):
                    case.outcomes[answer] = outcome
        else:
            importlib.import_module(f"helpers.answers.answers_{self.name[:2]}")


@functools.cache
def _stored():
    with np.load(STORED, allow_pickle=False) as arrays:
        return unpack(arrays)


def to_store(names):
    """Compute what a students' copy holds in the place of the answers of exercises.

    Parameters
    ----------
    names : iterable of str
        Exercises whose rooms are imported.

    Returns
    -------
    dict of str to list of [str, list of dict]
        For the right answer and then each mistake: its message, and its outcomes on the cases.
    """
    stored = {}
    for exercise in map(find, names):
        exercise.learn()
        messages = ["", *(message for _, message in exercise.mistakes)]
        stored[exercise.name] = [
            [message, [exercise.outcome(case, answer) for case in exercise.cases]]
            for answer, message in enumerate(messages)
        ]
    return stored


def pack(data):
    """Turn nested lists and dicts with arrays in them into what ``np.savez`` writes, as data only.

    Parameters
    ----------
    data : list or dict
        Of such, texts, numbers, None, and arrays of numbers.

    Returns
    -------
    dict of str to array

    Examples
    --------
    >>> packed = pack([{"kind": "array", "value": np.eye(2)}, {"kind": "none"}])
    >>> list(packed)
    ['json', '0']
    >>> unpack(packed)
    [{'kind': 'array', 'value': array([[1., 0.],
           [0., 1.]])}, {'kind': 'none'}]
    """
    arrays = {}

    def plain(part):
        if isinstance(part, np.ndarray):
            arrays[str(len(arrays))] = part
            return {"array": str(len(arrays) - 1)}
        if isinstance(part, dict):
            return {key: plain(value) for key, value in part.items()}
        return [plain(value) for value in part] if isinstance(part, list | tuple) else part

    text = json.dumps(plain(data), ensure_ascii=False).encode()
    return {"json": np.frombuffer(text, np.uint8), **arrays}


def unpack(arrays):
    """Turn what `pack` gave, or an open file of it, into the data again.

    Raises
    ------
    ValueError
        If it is anything else.
    """

    def whole(part):
        return arrays[part["array"]] if set(part) == {"array"} else part

    try:
        return json.loads(arrays["json"].tobytes(), object_hook=whole)
    except Exception as error:  # it may come from a process that nobody trusts
        raise ValueError(f"these are no packed data: {error!r}") from error


def grade_answer(name, function, seed=None):
    """Try a function on the cases of an exercise, whatever the function does.

    Parameters
    ----------
    name : str
        An exercise whose room is imported, for example ``"05-2"``.
    function : callable
        The answer; None and ``...`` are no answer yet.
    seed : int, 0 or more, of any size; optional
        Try the hidden cases of this seed too; a students' copy cannot.

    Returns
    -------
    Grade

    Raises
    ------
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> from helpers.chapters import chapter_01
    >>> grade_answer("01-1", lambda kernel, channels_in, filters: ...).state
    'wrong'
    >>> grade_answer("01-1", None)
    Grade(state='not answered', message='01-1: not answered yet', points=0, share=0.0)
    """
    exercise = find(name)
    cases = [*exercise.cases, *([] if seed is None else exercise.drawn(seed))]
    for case in cases:
        exercise.outcome(case)  # first: its imports do not count for the time limit
    return _grade(exercise, cases, _tried(exercise, cases, function), _words(function))


def respond(name, function, seed):
    """Try a function as `grade_answer` does, where what is right need not be known.

    Parameters
    ----------
    name, function
        As there.
    seed : int, or None
        Which hidden cases to draw; None for the public ones.

    Returns
    -------
    list of dict
        An outcome for each case (see above), fewer after one that was too slow, none
        without an answer; `pack` makes them ready for ``np.savez``.

    Examples
    --------
    >>> from helpers.chapters import chapter_01
    >>> respond("01-1", lambda kernel, channels_in, filters: "many", seed=7)[0]["value"]
    'many'
    """
    exercise = find(name)
    return _tried(exercise, exercise.drawn(seed), function)


def grade_responses(name, responses, seed, source=""):
    """Grade what a function gave; only the teacher's course can (else a LookupError).

    Parameters
    ----------
    name, seed
        As in `respond`.
    responses : list of dict
        What `respond` gave; whatever is in it, nothing is called or raised.
    source : str
        The answer cell, in which forbidden words are looked for.

    Returns
    -------
    Grade
        As `grade_answer` gives it.

    Examples
    --------
    >>> from helpers.chapters import chapter_01
    >>> answer = lambda kernel, channels_in, filters: kernel**2 * channels_in * filters
    >>> print(grade_responses("01-1", respond("01-1", answer, seed=7), seed=7).message)
    ✗ 01-1, a layer drawn at random: gave ..., expected ...
      Each filter has one bias: add it.
    """
    exercise = find(name)
    responses = responses if isinstance(responses, list) else [None]
    outcomes = [_made_sure(exercise, response) for response in responses]
    # no magics: they are no Python
    lines = [line for line in source.splitlines() if not line.startswith(("%", "!"))]
    return _grade(exercise, exercise.drawn(seed), outcomes, _words_in("\n".join(lines)))


def _made_sure(exercise, response):
    """Bring what may be anything into the form of an outcome."""
    given = response if isinstance(response, dict) else {}

    def get(key, of_type, default):
        return given[key] if isinstance(given.get(key), of_type) else default

    kind, value = get("kind", str, "other"), given.get("value")
    numbers = type(value) is np.ndarray and value.dtype.kind in "biuf"
    if (kind == "array" and numbers) or (kind == "text" and isinstance(value, str)):
        sure = {"kind": kind, "value": value}
    else:
        sure = {"kind": kind if kind in ("none", "late", "raised", "no function") else "other"}
    texts = {key: get(key, str, default)[:200] for key, default in DEFAULTS.items()}
    size, broken = get("size", int, None), get("broken", list, [])
    broken = sorted({rule for rule in broken if isinstance(rule, int)})
    broken = [rule for rule in broken if 0 <= rule < len(exercise.rules)]
    return {**sure, **texts, "size": size, "broken": broken, "stub": get("stub", bool, False)}


def _tried(exercise, cases, function):
    """Return the outcomes of an answer on cases, up to one that is too slow."""
    if function is None or function is Ellipsis:
        return []
    if not callable(function):
        return [{"kind": "no function", "type": type(function).__name__}]
    outcomes = []
    for case in cases:
        if case.view:  # with nothing to try: its imports do not count for the time limit either
            _outcome(case, lambda *arguments: None)
        call = functools.partial(_attempt, exercise.rules, case, function)
        outcomes.append(_in_time(call))
        if outcomes[-1]["kind"] == "late" or outcomes[-1].get("stub"):
            break  # the other cases would take as long
    return outcomes


def _grade(exercise, cases, outcomes, words):
    """Compare the outcomes of an answer with those of the right one, and say what is wrong."""
    name = exercise.name
    if not outcomes or outcomes[-1].get("stub"):
        return _unanswered(name)
    if outcomes[0]["kind"] == "no function":
        return Grade("wrong", f"✗ {name}: expected a function, got {outcomes[0]['type']}.")
    missing = [{"kind": "late", "broken": []}] * (len(cases) - len(outcomes))
    right = [
        _same(came, exercise.outcome(case), exercise.tolerance)
        for case, came in zip(cases, [*outcomes, *missing], strict=False)
    ]
    if not all(right):
        first_wrong = right.index(False)
        attempts = list(zip(cases, [*outcomes, *missing], strict=False))
        attempts = attempts[: max(len(outcomes), first_wrong + 1)]
        case, came = attempts[first_wrong]
        what = _difference(came, exercise.outcome(case), exercise.tolerance)
        advice = _advice(exercise, words, attempts, first_wrong)
        said = [f"✗ {name}, {case.label}: {what}.", came.get("line"), advice]
        message = "\n  ".join(filter(None, said))
        given = ", ".join(map(_given, case.arguments))
        return Grade("wrong", message, share=sum(right) / len(right), given=given)
    for forbidden in exercise.forbidden:
        if used := forbidden.words & words:
            what = f"✗ {name}: the result is right, but `{min(used)}` is not allowed here."
            return Grade("wrong", f"{what}\n  {forbidden.message}")
    return Grade("right", f"✓ {name}: right. {exercise.lesson}", exercise.points, share=1.0)


def check(exercise, function):
    """Try a student's function, and print what came out. It raises nothing that they wrote.

    Parameters
    ----------
    exercise : str
        For example ``"05-2"``.
    function : callable
        The answer.

    Raises
    ------
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> from helpers.chapters import chapter_01
    >>> check("01-1", lambda kernel, channels_in, filters: kernel**2 * channels_in * filters)
    ✗ 01-1, the text's example: gave 4, expected 5.
      Each filter has one bias: add it.
    """
    grade = _GRADES[exercise] = grade_answer(exercise, function)
    if _is_older(exercise, function):
        print(f"! The last run of the answer cell did not define `{_name(function)}`.")
        print("  What follows is about the older definition:")
    print(grade.message)


def progress():
    """Print which exercises were tried in this session, which are right, and the points so far.

    What counts is the last `check` of each. Nothing is stored: a new session starts at nothing.

    Examples
    --------
    >>> from helpers.chapters import chapter_01
    >>> progress()
    exercise  points
    ...
    In this session: ... points so far.
    """
    if not _EXERCISES:
        print("No exercise is loaded yet: run the set-up cell first.")
        return
    print("exercise  points")
    grades = {name: _GRADES.get(name, _unanswered(name)) for name in sorted(_EXERCISES)}
    for name, grade in grades.items():
        words = {"right": "right", "wrong": "not right yet", "not answered": "not tried yet"}
        print(f"{name:<8}  {grade.points} of {_EXERCISES[name].points}  {words[grade.state]}")
    states = [grade.state for grade in grades.values()]
    tried, right = len(states) - states.count("not answered"), states.count("right")
    points = sum(grade.points for grade in grades.values())
    most = sum(exercise.points for exercise in _EXERCISES.values())
    print(
        f"In this session: {tried} of {len(states)} exercises tried, {right} right, "
        f"{points} of {most} points so far."
    )


def hint(exercise):
    """Print a hint, and each time it is asked for one more, which is clearer.

    Parameters
    ----------
    exercise : str
        For example ``"05-2"``.

    Raises
    ------
    ValueError
        If there is no such exercise.

    Examples
    --------
    >>> from helpers.chapters import chapter_01
    >>> hint("01-1")
    01-1, hint 1 of 3: ...
    """
    hints = find(exercise).hints
    given = _HINTS_GIVEN[exercise] = min(_HINTS_GIVEN.get(exercise, 0) + 1, len(hints))
    for number, text in enumerate(hints[:given], 1):
        print(f"{exercise}, hint {number} of {len(hints)}: {text}")


def find(name):
    """Return the exercise of a name, whose room is imported; or raise a ValueError.

    Examples
    --------
    >>> from helpers.chapters import chapter_01
    >>> find("01-1").points
    1
    """
    if isinstance(name, str) and name in _EXERCISES:
        return _EXERCISES[name]
    known = ", ".join(sorted(_EXERCISES)) or "none is loaded yet: run the set-up cell"
    raise ValueError(f"exercise must be a name such as '05-2', not {name!r} (known: {known})")


def _unanswered(name):
    return Grade("not answered", f"{name}: not answered yet")


def not_nan(result):
    """Whether there is no NaN in a result: a property for a rule.

    Examples
    --------
    >>> not_nan(np.array([0.5, np.nan]))
    False
    """
    return not np.isnan(result).any()


def rows_sum_to_1(result):
    """Whether the rows of a result sum to 1, or it has NaN: a property for a rule.

    Examples
    --------
    >>> rows_sum_to_1(np.array([[0.5, 0.5], [0.9, 0.2]]))
    False
    """
    return bool(np.isnan(result).any() or np.allclose(result.sum(axis=-1), 1, atol=1e-3))


# --- calling a function that somebody else wrote


class _TimeUp(SystemExit):  # of which a thread that ends says nothing
    """Raised inside a function that does not return; ``except Exception`` does not catch it."""


def _call(case, function):
    """Return what a function gives on a case, or what it raises; and its arguments afterwards."""
    # copies: a function that changes its arguments must not spoil the next call
    arguments = copy.deepcopy(case.arguments)
    try:
        with np.errstate(all="ignore"):
            given = case.view(function, *arguments) if case.view else function(*arguments)
            return _as_array(given), arguments
    except _TimeUp:
        raise
    except BaseException as error:  # even sys.exit() must not end the notebook
        return error, arguments


def _outcome(case, function):
    return _plain(_call(case, function)[0])


def _attempt(rules, case, function):
    """Return the outcome of an answer, with what only an answer has: its line, broken rules."""
    came, left = _call(case, function)
    outcome = _plain(came)
    outcome["broken"] = [n for n, rule in enumerate(rules) if not _holds(rule.holds, came, left)]
    if isinstance(came, BaseException):
        outcome["line"] = _line(came, function)
        outcome["stub"] = isinstance(came, NotImplementedError) and _is_its_own(came, function)
    return outcome


def _plain(came):
    """Say in plain data what a function gave."""
    if came is None:
        return {"kind": "none"}
    if isinstance(came, BaseException):
        # TensorFlow's messages go on for many lines
        try:
            first = next(iter(str(came).strip().splitlines()), "")
        except Exception:  # an exception of the student's own may not print
            first = ""
        text = textwrap.shorten(first, 150, placeholder=" …").rstrip(".")
        return {"kind": "raised", "type": type(came).__name__, "text": text}
    if isinstance(came, np.ndarray) and came.dtype.kind in "biuf" and came.size <= LARGEST:
        return {"kind": "array", "value": came}
    if isinstance(came, str):
        return {"kind": "text", "value": came[:40]}
    # not everything that has a length tells it: an array of shape () raises
    sized = isinstance(came, list | tuple | dict | set)
    return {"kind": "other", "type": type(came).__name__, "size": len(came) if sized else None}


def _in_time(call):
    """Return what a call returns, or stop it after `LIMIT` seconds.

    It runs in a thread, where an exception can be raised between two lines of Python, on every
    system and in every kernel; a signal reaches only the main thread, and not on Windows.
    """
    result = []

    def run():
        try:
            result.append(call())
        except _TimeUp:
            return

    # in this context, so that what the function prints appears below the same cell
    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    late = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        thread.start()
        try:
            thread.join(LIMIT)
            late = thread.is_alive()
        finally:  # when its time is up, and when a person interrupts the kernel
            for _ in range(10):  # a bare `except:` in a loop may catch it, so raise it again
                if thread.is_alive():
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(
                        ctypes.c_ulong(thread.ident), ctypes.py_object(_TimeUp)
                    )
                    thread.join(0.1)
    return {"kind": "late", "broken": []} if late or not result else result[0]


def _words(function):
    """Return the names and keywords in the source of a function, if it can be had."""
    try:
        return _words_in(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError):
        return frozenset()


def _words_in(source):
    """Return the names and keywords in Python code.

    Names that it gives to things of its own (imports are none) are left out.
    """
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError):
        return frozenset()
    words = frozenset(token.string for token in tokens if token.type == tokenize.NAME)
    with contextlib.suppress(SyntaxError):  # a lambda's lines may be part of a call
        nodes = list(ast.walk(ast.parse(source)))
        own = {node.arg for node in nodes if isinstance(node, ast.arg)}
        own |= {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        # but `vectorize = np.vectorize` is NumPy's
        words -= own - {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return words


def _is_older(name, function):
    """Whether the answer cell has been run again since, without defining this function.

    After a syntax error, or if the function was renamed, the older one is still there. The cell is
    known by its first words; where a student deleted them, by what it was to define.
    """
    shell = "IPython" in sys.modules and sys.modules["IPython"].get_ipython()
    try:
        source = re.escape(inspect.getsource(function).strip())
        parameters = inspect.signature(function).parameters
    except (OSError, TypeError, ValueError):
        return False
    # as they were typed: In has a cell below %%time as one long string
    cells = shell.history_manager.input_hist_raw if shell else ()
    # to its end: with a slip of the pen behind it, a cell defined nothing
    whole = rf"^[ \t]*{source}[ \t]*(#.*)?(\n[ \t]*(#.*)?)*(\n(?=\S)|\Z)"
    defined = [number for number, cell in enumerate(cells) if re.search(whole, cell, re.M)]
    later = cells[defined[-1] + 1 :] if defined else ()
    again = rf"^# ANSWER {re.escape(name)}\b|^def {_name(function)}\b"
    renamed = r", *".join(rf"{re.escape(word)}\b[^,()]*" for word in parameters)
    renamed = rf"^def \w+\({renamed}\).*:"
    # the cell before the check's own: further back, the same parameters are those of others
    return any(re.search(again, cell, re.M) for cell in later) or any(
        re.search(renamed, cell, re.M) for cell in later[-2:-1]
    )


# --- comparing


def _as_array(result):
    if result is None or isinstance(result, str | bytes | dict | set):
        return result
    try:
        array = np.asarray(result)
        # Fraction, Decimal and lists of them are numbers too
        return array.astype(float) if array.dtype.kind == "O" else array
    except (TypeError, ValueError):
        return result


def _same(came, expected, tolerance):
    if came["kind"] != expected["kind"]:
        return False
    if expected["kind"] != "array":
        # shapes and places in a message depend on the case
        texts = (re.sub(r"\d+", "", _describe(outcome)) for outcome in (came, expected))
        return next(texts) == next(texts)
    came, expected = came["value"], expected["value"]
    if expected.ndim == 0 and came.size == 1:
        came = came.reshape(())
    return came.shape == expected.shape and bool(np.all(_close(came, expected, tolerance)))


def _close(came, expected, tolerance):
    if expected.dtype.kind in "biu":
        return came == expected
    finite = np.abs(expected[np.isfinite(expected)])
    margin = tolerance * finite.max(initial=0.0)
    return np.isclose(came, expected, rtol=0, atol=margin, equal_nan=True)


# --- what to say


def _advice(exercise, words, attempts, first_wrong):
    """Return the message of the mistake that was made, or the most useful general one."""
    _, came = attempts[first_wrong]
    kind = came["kind"]
    if kind == "late":
        return "Does a loop never end, or does it wait for something?"
    if kind == "raised" and came["type"] in ("NameError", "UnboundLocalError"):
        return ""  # a slip of the pen: its line says all
    if kind == "none" and words and not words & {"return", "lambda"}:
        return "The function ends without a value: it needs a `return`."
    messages = [message for _, message in exercise.mistakes]
    agreement = [_agreement(exercise, number, attempts) for number in range(1, len(messages) + 1)]
    best = max(agreement, default=0)
    if best == len(attempts):
        return messages[agreement.index(best)]
    if came["broken"]:
        return exercise.rules[came["broken"][0]].message
    if _is_constant(exercise, attempts):
        return "It gives the same in every case: compute it from the arguments."
    if best > first_wrong:  # this mistake, and then another one
        return messages[agreement.index(best)]
    if kind == "raised":
        return ""
    if kind == "none":
        return "The function ends without a value: it needs a `return`."
    if kind != "array":
        return "Return numbers: one number, or an array of numbers."
    if np.isnan(came["value"]).any():
        return "NaN means 0/0, or the logarithm or the root of a negative number."
    return f'Not a mistake that this check knows. For a hint: hint("{exercise.name}")'


def _agreement(exercise, wrong, attempts):
    """Return in how many cases, from the first one on, a wrong answer gives what came."""
    for number, (case, came) in enumerate(attempts):
        if not _same(came, exercise.outcome(case, wrong), exercise.tolerance):
            return number
    return len(attempts)


def _is_constant(exercise, attempts):
    """Whether an answer gives the same numbers in all cases, where it should not."""
    (first, constant), *others = attempts
    expected, tolerance = exercise.outcome(first), exercise.tolerance
    return (
        constant["kind"] == "array"
        and not np.isnan(constant["value"]).any()
        and all(_same(came, constant, tolerance) for _, came in others)
        and not all(_same(exercise.outcome(case), expected, tolerance) for case, _ in others)
    )


def _holds(rule, came, arguments):
    wants_all = len(inspect.signature(rule).parameters) > 1
    try:
        with np.errstate(all="ignore"):
            return bool(rule(came, *arguments) if wants_all else rule(came))
    except Exception:  # a rule about numbers says nothing of an exception
        return True


def _line(error, function):
    """Show the line of the student's function, or cell, in which an error arose."""
    frames = [frame for frame in _frames(error) if frame.filename == _file(function)]
    return f"Line {frames[-1].lineno} of the cell: {frames[-1].line}" if frames else ""


def _is_its_own(error, function):
    """Whether a function raised an error itself, and nothing that it called.

    A stub raises NotImplementedError, and so do Jupyter and TensorFlow at times.
    """
    frames = _frames(error)  # none, if the error was returned
    return bool(frames) and frames[-1].filename == _file(function)


def _frames(error):
    return traceback.extract_tb(error.__traceback__)


def _name(function):
    return getattr(function, "__name__", "…")  # a callable thing has none


def _file(function):
    code = getattr(getattr(function, "func", function), "__code__", None)  # also of a partial
    return getattr(code, "co_filename", None)


def _difference(came, expected, tolerance):
    """Say in a few words what came out, and what was expected."""
    if came["kind"] != "array":
        return _describe(came)
    came, expected = came["value"], expected["value"]
    if came.shape != expected.shape and (expected.ndim or came.size != 1):
        return f"shape {came.shape}, expected {_shape(expected)}"
    if expected.size <= 4:
        return "gave {}, expected {}".format(*_told_apart(_numbers, came, expected))
    place = tuple(int(i) for i in np.argwhere(~_close(came, expected, tolerance))[0])
    where = ", ".join(map(str, place))
    came, expected = _told_apart(_number, came[place], expected[place])
    return f"the result at [{where}] is {came}, expected {expected}"


def _given(value):
    """Say in a few words what a function was called with."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        array = np.asarray(value)
        if array.ndim and array.size > 12:
            return f"an array of shape {array.shape}"
        return _shortened(array.tolist())
    if isinstance(value, list | tuple):
        parts = [_given(part) for part in value[:6]] + ["…"] * (len(value) > 6)
        return f"[{', '.join(parts)}]"
    return f"a {type(value).__name__}" if callable(value) else _shortened(value)


def _shortened(value):
    return textwrap.shorten(repr(value), 120, placeholder=" …")


def _told_apart(show, came, expected):
    """Print two results with as few digits as tell them apart."""
    for digits in (3, 6, 17):
        texts = show(came, digits), show(expected, digits)
        if texts[0] != texts[1]:
            break
    return texts


def _shape(expected):
    return f"shape {expected.shape}" if expected.ndim else "one number"


def _describe(outcome):
    kind = outcome["kind"]
    if kind == "late":
        return f"the function was stopped after {LIMIT:g} seconds"
    if kind == "raised":
        reason = outcome["text"]
        return f"the function raised {outcome['type']}" + (f": {reason}" if reason else "")
    if kind == "none":
        return "gave None"
    if kind == "text":
        return f"gave the text {outcome['value'][:40]!r}"
    size = f" and length {outcome['size']}" if outcome["size"] is not None else ""
    return f"gave a result of type {outcome['type']}{size}"


def _numbers(array, digits):
    if array.ndim == 0:
        return _number(array, digits)
    return "[" + ", ".join(_number(value, digits) for value in array.ravel()) + "]"


def _number(value, digits):
    """Print a number; three digits do not depend on a computer's rounding."""
    value = float(value)
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.{digits}g}" if abs(value) > 1e-12 else "0"

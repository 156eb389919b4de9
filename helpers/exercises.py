"""The form of an exercise: cases, a right answer, and wrong answers with what to say to each.

A chapter's module builds its exercises; they register themselves by name, so that a notebook
which imports that module can say ``check("05-2", step)`` and ``hint("05-2")``.
"""

from __future__ import annotations

import ast
import contextlib
import contextvars
import copy
import ctypes
import functools
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
from dataclasses import dataclass

import numpy as np

LIMIT = 10.0  # seconds that one call of a student's function may take
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
    """

    state: str
    message: str
    points: int = 0


@dataclass(frozen=True, eq=False)
class Case:
    """One call: a label, the arguments, and how the function is tried on them."""

    label: str
    arguments: tuple
    hidden: bool
    view: Callable | None


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
    Grade(state='right', message='✓ 99-1: right. Twice is twice.', points=1)
    """

    def __init__(self, name, *, points, lesson, hint, tolerance=1e-4):
        self.name, self.points, self.lesson, self.tolerance = name, points, lesson, tolerance
        self.hints = (hint,) if isinstance(hint, str) else tuple(hint)
        self.cases: list[Case] = []
        self.mistakes: list[tuple[Callable, str]] = []  # compared in this order
        self.rules: list[Rule] = []
        self.forbidden: list[Forbidden] = []
        self.wrong: list[tuple[Callable, str]] = []  # every wrong answer, for the tests
        self._right = None
        self._outcomes = {}
        _EXERCISES[name] = self

    def case(self, label, *arguments, hidden=False, view=None):
        """Add a case: each is tried, in this order, on copies of the arguments.

        Parameters
        ----------
        label : str
            Stands in the message.
        *arguments
            What the function is called with.
        hidden : bool
            Whether only a grader tries it.
        view : callable, optional
            Called with the function and the arguments, it returns what is compared; for answers
            that may differ, in their order for example. Without it, the function's result is.
        """
        self.cases.append(Case(label, arguments, hidden, view))

    def hidden(self, label, view=None):
        """Take a function that draws a hidden case from a generator (interim: a fixed one)."""

        def decorate(draw):
            self.case(label, *draw(np.random.default_rng(0)), hidden=True, view=view)
            return draw

        return decorate

    def right(self, function):
        """Take a function as the right answer; it computes in another way than the notebook's."""
        self._right = function
        return function

    def mistake(self, message, **changed):
        """Take a function as a wrong answer, and recognise those that give the same.

        Parameters
        ----------
        message : str, or a rule of this exercise
            What to say. A function that stands beside a rule is an example that breaks it.
        **changed
            Settings of the function that make it wrong: where many ways to go wrong are the right
            way with one thing changed, one function says them all.
        """
        return self._wrong(message, changed, [] if isinstance(message, Rule) else self.mistakes)

    def rule(self, message):
        """Take a function as a property of right results: ``holds(result)``.

        With more parameters it gets the arguments too, as the answer left them. It is asked only
        about the first wrong result, which is also an exception or None at times; where it fails
        itself, it says nothing.
        """

        def decorate(function):
            self.rules.append(Rule(message, function))
            return self.rules[-1]

        return decorate

    def forbids(self, message, *words):
        """Forbid words in the source of an answer; the decorated function is an example."""
        self.forbidden.append(Forbidden(message, frozenset(words)))
        return self._wrong(message, {})

    def _wrong(self, message, changed, *lists):
        def decorate(function):
            text = message.message if isinstance(message, Rule) else message
            answer = functools.partial(function, **changed) if changed else function
            for known in (self.wrong, *lists):
                known.append((answer, text))
            return function

        return decorate

    def outcome(self, case, function=None):
        """Return what one of the exercise's own functions (the right one) gives on a case."""
        function = function or self._right
        if (case, function) not in self._outcomes:
            self._outcomes[case, function] = _call(case, function)[0]
        return self._outcomes[case, function]


def grade_answer(name, function, hidden=False):
    """Try a function on the cases of an exercise, whatever the function does.

    Parameters
    ----------
    name : str
        For example ``"05-2"``.
    function : callable
        The answer; None and ``...`` are no answer yet.
    hidden : bool
        Whether to try the hidden cases too, as a grader does.

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
    Grade(state='not answered', message='01-1: not answered yet', points=0)
    """
    exercise = _find(name)
    if function is None or function is Ellipsis:
        return _unanswered(name)
    if not callable(function):
        found = type(function).__name__
        return Grade("wrong", f"✗ {name}: expected a function, got {found}.")
    attempts, first_wrong = [], None
    for case in [case for case in exercise.cases if hidden or not case.hidden]:
        expected = exercise.outcome(case)  # first: its imports do not count for the time limit
        came, left = _in_time(lambda case=case: _call(case, function))
        if isinstance(came, NotImplementedError) and _is_its_own(came, function):
            return _unanswered(name)
        attempts.append((case, came, left))
        if first_wrong is None and not _same(came, expected, exercise.tolerance):
            first_wrong = len(attempts) - 1
        if isinstance(came, _TimeUp):
            break  # the other cases would take as long
    if first_wrong is not None:
        case, came, _ = attempts[first_wrong]
        what = _difference(came, exercise.outcome(case), exercise.tolerance)
        line = _line(came, function) if isinstance(came, BaseException) else ""
        advice = _advice(exercise, function, attempts, first_wrong)
        said = [f"✗ {name}, {case.label}: {what}.", line, advice]
        return Grade("wrong", "\n  ".join(filter(None, said)))
    for forbidden in exercise.forbidden:
        if used := forbidden.words & _words(function):
            what = f"✗ {name}: the result is right, but `{min(used)}` is not allowed here."
            return Grade("wrong", f"{what}\n  {forbidden.message}")
    return Grade("right", f"✓ {name}: right. {exercise.lesson}", exercise.points)


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
    hints = _find(exercise).hints
    given = _HINTS_GIVEN[exercise] = min(_HINTS_GIVEN.get(exercise, 0) + 1, len(hints))
    for number, text in enumerate(hints[:given], 1):
        print(f"{exercise}, hint {number} of {len(hints)}: {text}")


def _find(name):
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


def _in_time(call):
    """Return what a call returns, or stop it after `LIMIT` seconds.

    It runs in a thread, where an exception can be raised between two lines of Python, on every
    system and in every kernel; a signal reaches only the main thread, and not on Windows.
    """
    result = [(_TimeUp(), None)]

    def run():
        try:
            result[0] = call()
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
    return (_TimeUp(), None) if late else result[0]


def _words(function):
    """Return the names and keywords in the source of a function, if it can be had.

    Names that it gives to things of its own (imports are none) are left out.
    """
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (OSError, TypeError, SyntaxError, tokenize.TokenError):
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


def _is_numbers(outcome):
    return isinstance(outcome, np.ndarray) and outcome.dtype.kind in "biuf"


def _same(came, expected, tolerance):
    if _is_numbers(came) != _is_numbers(expected):
        return False
    if not _is_numbers(came):
        # shapes and places in a message depend on the case
        texts = (re.sub(r"\d+", "", _describe(outcome)) for outcome in (came, expected))
        return type(came) is type(expected) and next(texts) == next(texts)
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


def _advice(exercise, function, attempts, first_wrong):
    """Return the message of the mistake that was made, or the most useful general one."""
    _, came, left = attempts[first_wrong]
    words = _words(function)
    if isinstance(came, _TimeUp):
        return "Does a loop never end, or does it wait for something?"
    if isinstance(came, NameError):
        return ""  # a slip of the pen: its line says all
    if came is None and words and not words & {"return", "lambda"}:
        return "The function ends without a value: it needs a `return`."
    agreement = [_agreement(exercise, wrong, attempts) for wrong, _ in exercise.mistakes]
    best = max(agreement, default=0)
    if best == len(attempts):
        return exercise.mistakes[agreement.index(best)][1]
    for rule in exercise.rules:
        if not _holds(rule.holds, came, left):
            return rule.message
    if _is_constant(exercise, attempts):
        return "It gives the same in every case: compute it from the arguments."
    if best > first_wrong:  # this mistake, and then another one
        return exercise.mistakes[agreement.index(best)][1]
    if isinstance(came, BaseException):
        return ""
    if came is None:
        return "The function ends without a value: it needs a `return`."
    if not _is_numbers(came):
        return "Return numbers: one number, or an array of numbers."
    if np.isnan(came).any():
        return "NaN means 0/0, or the logarithm or the root of a negative number."
    return f'Not a mistake that this check knows. For a hint: hint("{exercise.name}")'


def _agreement(exercise, wrong, attempts):
    """Return in how many cases, from the first one on, a wrong answer gives what came."""
    for number, (case, came, _) in enumerate(attempts):
        if not _same(came, exercise.outcome(case, wrong), exercise.tolerance):
            return number
    return len(attempts)


def _is_constant(exercise, attempts):
    """Whether an answer gives the same numbers in all cases, where it should not."""
    (first, constant, _), *others = attempts
    expected, tolerance = exercise.outcome(first), exercise.tolerance
    return (
        _is_numbers(constant)
        and not np.isnan(constant).any()
        and all(_same(came, constant, tolerance) for _, came, _ in others)
        and not all(_same(exercise.outcome(case), expected, tolerance) for case, _, _ in others)
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
    if not _is_numbers(came):
        return _describe(came)
    if came.shape != expected.shape and (expected.ndim or came.size != 1):
        return f"shape {came.shape}, expected {_shape(expected)}"
    if expected.size <= 4:
        return "gave {}, expected {}".format(*_told_apart(_numbers, came, expected))
    place = tuple(int(i) for i in np.argwhere(~_close(came, expected, tolerance))[0])
    where = ", ".join(map(str, place))
    came, expected = _told_apart(_number, came[place], expected[place])
    return f"the result at [{where}] is {came}, expected {expected}"


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
    if isinstance(outcome, _TimeUp):
        return f"the function was stopped after {LIMIT:g} seconds"
    if isinstance(outcome, BaseException):
        # TensorFlow's messages go on for many lines
        try:
            first = next(iter(str(outcome).strip().splitlines()), "")
        except Exception:  # an exception of the student's own may not print
            first = ""
        reason = textwrap.shorten(first, 150, placeholder=" …").rstrip(".")
        return f"the function raised {type(outcome).__name__}" + (f": {reason}" if reason else "")
    if outcome is None:
        return "gave None"
    if isinstance(outcome, str):
        return f"gave the text {outcome[:40]!r}"
    # not everything that has a length tells it: an array of shape () raises
    sized = isinstance(outcome, list | tuple | dict | set)
    size = f" and length {len(outcome)}" if sized else ""
    return f"gave a result of type {type(outcome).__name__}{size}"


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


# --- grading: interim versions, until the drawn cases are merged; only what `grade` needs


def respond(name, function, seed):
    """Return what a function gives on the hidden cases (for seed None: the public), as data.

    It needs no right answer, so it runs where the student's code runs.
    """
    exercise, outcomes = _find(name), []
    if not callable(function):
        return outcomes
    for case in [case for case in exercise.cases if case.hidden == (seed is not None)]:
        if outcomes and outcomes[-1]["kind"] == "late":
            outcomes.append({"kind": "late"})  # the other cases would take as long
            continue
        came, _ = _in_time(lambda case=case: _call(case, function))
        if isinstance(came, _TimeUp):
            outcome = {"kind": "late"}
        elif isinstance(came, BaseException):
            stub = isinstance(came, NotImplementedError) and _is_its_own(came, function)
            outcome = {"kind": "raised", "text": _describe(came), "stub": stub}
        elif isinstance(came, np.ndarray) and came.dtype.kind in "biufUS" and came.nbytes < 10**7:
            outcome = {"kind": "array", "value": np.array(came)}
        elif came is None:
            outcome = {"kind": "none"}
        else:
            outcome = {"kind": "other", "text": _describe(came)[:200]}
        outcomes.append(outcome)
    return outcomes


def grade_responses(name, responses, seed, source=""):
    """Compare responses with the right answer, in the teacher's process only."""
    exercise = _find(name)
    with contextlib.suppress(ModuleNotFoundError):
        __import__(f"helpers.answers.answers_{name[:2]}")
    cases = [case for case in exercise.cases if case.hidden == (seed is not None)]
    if responses and responses[0].get("stub"):
        return _unanswered(name)
    for place, case in enumerate(cases):
        outcome = responses[place] if place < len(responses) else {"kind": "missing"}
        value = outcome.get("value")
        if outcome["kind"] == "array" and _same(value, exercise.outcome(case), exercise.tolerance):
            continue
        what = outcome.get("text") or f"gave {outcome['kind']}"
        if outcome["kind"] == "late":
            what = f"the function was stopped after {LIMIT:g} seconds"
        if outcome["kind"] == "array":
            what = _difference(value, exercise.outcome(case), exercise.tolerance)
        return Grade("wrong", f"✗ {name}, {case.label}: {what}.")
    return Grade("right", f"✓ {name}: right. {exercise.lesson}", exercise.points)


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

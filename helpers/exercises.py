"""How an exercise is judged: some inputs, a reference, and the mistakes to recognise."""

from __future__ import annotations

import copy
import dis
import importlib.util
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that is worth a message of its own.

    Attributes
    ----------
    message : str
        What to tell the student.
    like : callables with the signature of the exercise
        Wrong computations; an answer that gives what one of them gives, on every case up to the
        first wrong one, made this mistake.
    when : callable on an array, optional
        Recognises the mistake in a result of the right shape, where many ways lead to it.
    """

    message: str
    like: tuple[Callable, ...] = ()
    when: Callable[[np.ndarray], bool] | None = None


@dataclass(frozen=True)
class Exercise:
    """Everything that `check` and `hint` need for one exercise.

    Attributes
    ----------
    name : str
        For example ``"05-2"``.
    right : callable
        A reference; it computes in another way than the solution in the notebook, where it can.
    cases : dict
        What is tried, in this order, and on what: a tuple of arguments, or a callable that
        takes the function and returns what is to be compared.
    mistakes : tuple of Mistake
        Compared in this order.
    lesson : str
        What a right answer shows.
    hint : str
        The idea, not the code.
    tolerance : float
        As a share of the largest expected number; whole numbers are compared exactly.
    """

    name: str
    right: Callable
    cases: dict[str, tuple | Callable]
    mistakes: tuple[Mistake, ...]
    lesson: str
    hint: str
    tolerance: float = 1e-4


def grade_answer(exercise, function):
    """Try a function on the cases of an exercise, whatever the function does.

    Returns
    -------
    state : {"right", "wrong", "not answered"}
    text : str
        What to print.
    """
    unanswered = "not answered", f"{exercise.name}: not answered yet"
    if function is None or function is Ellipsis or _is_stub(function):
        return unanswered
    if not callable(function):
        return "wrong", f"✗ {exercise.name}: expected a function, got {type(function).__name__}."
    answers = []  # up to the first wrong one
    for label, case in exercise.cases.items():
        came = _outcome(case, function)
        if came is Ellipsis or isinstance(came, NotImplementedError):
            return unanswered
        expected = _outcome(case, exercise.right)
        answers.append((case, came))
        if not _same(came, expected, exercise.tolerance):
            what = f"✗ {exercise.name}, {label}: {_difference(came, expected, exercise.tolerance)}."
            return "wrong", f"{what}\n  {_advice(exercise, answers, expected)}"
    return "right", f"✓ {exercise.name}: right. {exercise.lesson}"


def _is_stub(function):
    """Whether a function has no body yet: only a docstring, ``...`` or ``pass``."""
    if not hasattr(function, "__code__"):
        return False
    nothing = {"RESUME", "NOP", "LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    instructions = list(dis.get_instructions(function))
    constants = [i.argval for i in instructions if "CONST" in i.opname]
    return all(i.opname in nothing for i in instructions) and constants in ([None], [Ellipsis])


def _outcome(case, function):
    """Return what a function gives on a case: an array if it is numbers, or the exception."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            # a copy: a function that changes its arguments must not spoil the next call
            result = case(function) if callable(case) else function(*copy.deepcopy(case))
            return _as_array(result)
    except Exception as error:  # whatever a student's function does, the check goes on
        return error


def _as_array(result):
    if result is None or result is Ellipsis or isinstance(result, str | bytes | dict | set):
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
        return type(came) is type(expected) and _describe(came) == _describe(expected)
    if expected.ndim == 0 and came.size == 1:
        came = came.reshape(())
    return came.shape == expected.shape and bool(np.all(_close(came, expected, tolerance)))


def _close(came, expected, tolerance):
    if expected.dtype.kind in "biu":
        return came == expected
    finite = np.abs(expected[np.isfinite(expected)])
    margin = tolerance * finite.max(initial=0.0)
    return np.isclose(came, expected, rtol=0, atol=margin, equal_nan=True)


def _advice(exercise, answers, expected):
    """Return the message of the mistake that was made, or the most useful general one."""
    came = answers[-1][1]
    for mistake in exercise.mistakes:
        for like in mistake.like:
            if all(_same(a, _outcome(case, like), exercise.tolerance) for case, a in answers):
                return mistake.message
        fits = _is_numbers(came) and came.shape == expected.shape
        if fits and mistake.when is not None and mistake.when(came):
            return mistake.message
    if came is None:
        return "The function ends without a value: does it have a `return`?"
    if not isinstance(came, Exception) and not _is_numbers(came):
        return "Return numbers: one number, or an array of numbers."
    if _is_numbers(came) and np.isnan(came).any():
        return "NaN means 0/0, or the logarithm or the root of a negative number."
    return f'Not a mistake that this check knows. For a hint: hint("{exercise.name}")'


def _difference(came, expected, tolerance):
    """Say in a few words what came out, and what was expected."""
    if not _is_numbers(came):
        return _describe(came)
    if came.shape != expected.shape and (expected.ndim or came.size != 1):
        return f"shape {came.shape}, expected {_shape(expected)}"
    if expected.size <= 4:
        return f"gave {_numbers(came)}, expected {_numbers(expected)}"
    place = tuple(int(i) for i in np.argwhere(~_close(came, expected, tolerance))[0])
    where = ", ".join(map(str, place))
    return f"[{where}] is {_number(came[place])}, expected {_number(expected[place])}"


def _shape(expected):
    return f"shape {expected.shape}" if expected.ndim else "one number"


def _describe(outcome):
    if isinstance(outcome, Exception):
        # TensorFlow's messages go on for many lines
        first = next(iter(str(outcome).strip().splitlines()), "")
        reason = textwrap.shorten(first, 150, placeholder=" …")
        return f"the function raised {type(outcome).__name__}" + (f": {reason}" if reason else "")
    if outcome is None:
        return "gave None"
    if isinstance(outcome, str):
        return f"gave the text {outcome[:40]!r}"
    # not everything that has a length tells it: an array of shape () raises
    sized = isinstance(outcome, list | tuple | dict | set)
    size = f" and length {len(outcome)}" if sized else ""
    return f"gave a result of type {type(outcome).__name__}{size}"


def _numbers(array):
    if array.ndim == 0:
        return _number(array)
    return "[" + ", ".join(_number(value) for value in array.ravel()) + "]"


def _number(value):
    """Print a number with at most three digits that depend on a computer's rounding."""
    value = float(value)
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "infinity" if value > 0 else "minus infinity"
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) > 1e-12 else "0"


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
    """
    print(grade_answer(_find(exercise), function)[1])


def hint(exercise):
    """Print one hint.

    Parameters
    ----------
    exercise : str
        For example ``"05-2"``.

    Raises
    ------
    ValueError
        If there is no such exercise.
    """
    found = _find(exercise)
    print(f"{found.name}: {found.hint}")


def _find(exercise):
    """Look an exercise up in the file of its chapter."""
    chapter = f"helpers.chapters.chapter_{str(exercise)[:2]}"
    if str(exercise)[:2].isdigit() and importlib.util.find_spec(chapter):
        for candidate in importlib.import_module(chapter).EXERCISES:
            if candidate.name == exercise:
                return candidate
    raise ValueError(f"exercise must be a name such as '05-2', not {exercise!r}")

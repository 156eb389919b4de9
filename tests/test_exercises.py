"""Every exercise of every chapter, proved by one test; and how answers are tried at all."""

import ast
import copy
import functools
import importlib
import inspect
import linecache
import pkgutil
import warnings
from fractions import Fraction

import numpy as np
import pytest

from helpers import chapters, exercises
from helpers.course import notebooks, release
from helpers.exercises import Exercise, check, grade_answer, hint

ROOMS = [importlib.import_module(f"helpers.chapters.{m.name}") for m in pkgutil.iter_modules(chapters.__path__)]
EXERCISES = {
    thing.name: thing for room in ROOMS for thing in vars(room).values() if isinstance(thing, Exercise)
}


@functools.cache
def answer_cells():
    """Answer cells of all notebooks by the name of their exercise."""
    cells = [c for path in notebooks.find(everything=True) for c in notebooks.read(path).cells]
    return {c.metadata["course"]["exercise"]: c for c in cells if release.is_answer(c)}


def run_cell(source, name="<cell>"):
    """Run a cell after the set-up cell, as a kernel does, and return the last function in it."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    before = {"np": np}
    names = dict(before)
    exec(compile(source, name, "exec"), names)
    return [thing for key, thing in names.items() if key not in before and inspect.isfunction(thing)][-1]


@functools.cache
def solution(name):
    return run_cell(answer_cells()[name].source, f"<solution {name}>")


def test_every_answer_cell_has_an_exercise_and_every_exercise_a_cell():
    assert set(answer_cells()) == set(EXERCISES)


@pytest.mark.parametrize("name", EXERCISES)
def test_exercise(name):
    """The notebook's solution is right, its stub is not answered, each mistake gets its message."""
    exercise, cell = EXERCISES[name], answer_cells()[name]
    assert exercise.points == cell.metadata["course"]["points"]
    assert sum(not case.hidden for case in exercise.cases) >= 2
    assert any(case.hidden for case in exercise.cases)
    assert len({message for _, message in exercise.mistakes}) <= 8
    assert 1 <= len(exercise.hints) <= 3
    full = grade_answer(name, solution(name), hidden=True)
    assert full == exercises.Grade("right", f"✓ {name}: right. {exercise.lesson}", exercise.points)
    stub = run_cell(release.stub(cell, name), f"<stub {name}>")
    assert grade_answer(name, stub) == exercises.Grade("not answered", f"{name}: not answered yet")
    constant = exercise.outcome(exercise.cases[0])
    assert grade_answer(name, lambda *a: constant).state == "wrong", "hard-coding passes"
    for wrong, message in exercise.wrong:
        grade = grade_answer(name, wrong)
        assert (grade.state, grade.points) == ("wrong", 0), message
        assert grade.message.startswith(f"✗ {name}"), message
        assert grade.message.partition("\n  ")[2] == message, f"{wrong}: {grade.message}"
    messages = {message for _, message in exercise.wrong}
    assert {rule.message for rule in exercise.rules} <= messages, "a rule without an example"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_argument_varies(name):
    """An answer that ignores an argument must not pass."""
    shown = [case.arguments for case in EXERCISES[name].cases if not case.hidden]
    for place, values in enumerate(zip(*(a[: min(map(len, shown))] for a in shown), strict=True)):
        if not isinstance(values[0], np.random.Generator):
            assert len({repr(value) for value in values}) > 1, f"argument {place}"


# --- mutants of the solutions


class Mutation(ast.NodeTransformer):
    """Change the n-th place where something can be changed."""

    SWAPS = {  # noqa: RUF012
        ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult,
        ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt,
        ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.USub: ast.UAdd,
    }  # fmt: skip

    def __init__(self, wanted):
        self.wanted, self.seen, self.what = wanted, -1, None

    def chosen(self, what):
        self.seen += 1
        if self.seen == self.wanted:
            self.what = what
        return self.seen == self.wanted

    def generic_visit(self, node):
        super().generic_visit(node)
        options = []
        if isinstance(node, ast.Constant) and type(node.value) in (int, float):
            for value in (node.value + 1, node.value - 1):
                options.append((f"{node.value} → {value}", ast.Constant(value)))
        if isinstance(node, ast.Constant) and type(node.value) is bool:
            options.append((f"{node.value} turned", ast.Constant(not node.value)))
        if isinstance(node, ast.BinOp):
            if type(node.op) in self.SWAPS:
                other = self.SWAPS[type(node.op)]()
                options.append((f"{ast.unparse(node)}: operator", ast.BinOp(node.left, other, node.right)))
            options += [(f"{ast.unparse(node)}: one side", side) for side in (node.left, node.right)]
        if isinstance(node, ast.UnaryOp):
            options.append((f"{ast.unparse(node)}: sign", node.operand))
        if isinstance(node, ast.Compare) and type(node.ops[0]) in self.SWAPS:
            other = [self.SWAPS[type(node.ops[0])]()]
            options.append((f"{ast.unparse(node)}: comparison", ast.Compare(node.left, other, node.comparators)))
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and not node.args:
                options.append((f"{ast.unparse(node)}: no call", node.func.value))
            options += [(f"{ast.unparse(node)}: argument only", argument) for argument in node.args[:1]]
            for place, keyword in enumerate(node.keywords):
                fewer = node.keywords[:place] + node.keywords[place + 1 :]
                options.append((f"{ast.unparse(node)}: no {keyword.arg}", ast.Call(node.func, node.args, fewer)))
        if isinstance(node, ast.AugAssign):
            options.append((f"{ast.unparse(node)}: =", ast.Assign([node.target], node.value, lineno=node.lineno)))
        for what, changed in options:
            if self.chosen(what):
                return changed
        return node


def mutants(name):
    """Yield what was changed, and the changed solution."""
    source = answer_cells()[name].source
    number = 0
    while True:
        tree, mutation = ast.parse(source), Mutation(number)
        mutation.visit(tree)
        if mutation.what is None:
            return
        number += 1
        changed = ast.unparse(ast.fix_missing_locations(tree))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield mutation.what, run_cell(changed, f"<mutant {number} {name}>")


def varied(value, rng):
    """Return an argument like one of a case, with other numbers of the same kind."""
    if isinstance(value, np.ndarray) and value.ndim:
        return rng.permuted(value, axis=-1 if value.ndim == 2 else None)
    if isinstance(value, float):
        return value * rng.uniform(0.6, 1.3)
    return copy.deepcopy(value)


# what is changed there makes no difference that a person would call wrong
EQUIVALENT = {}


@pytest.mark.parametrize("name", EXERCISES)
def test_a_solution_with_one_thing_changed_is_wrong_or_does_the_same(name):
    exercise, rng = EXERCISES[name], np.random.default_rng(0)
    survivors = [m for m in mutants(name) if grade_answer(name, m[1], hidden=True).state == "right"]
    for case in exercise.cases * 4:
        drawn = exercises.Case("", tuple(varied(a, rng) for a in case.arguments), True, case.view)
        expected = exercises._call(drawn, solution(name))[0]
        for what, mutant in survivors:
            came = exercises._call(drawn, mutant)[0]
            same = exercises._same(came, expected, exercise.tolerance)
            assert same, f"{what} passes; {came} for {expected}"
    print(name, "equivalent:", [what for what, _ in survivors])



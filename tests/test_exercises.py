"""Every exercise of every chapter, proved by one test; and how answers are tried at all."""

import ast
import contextlib
import copy
import functools
import importlib
import inspect
import io
import linecache
import pkgutil
import re
import sys
import threading
import types
import warnings
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from helpers import chapters, exercises
from helpers.course import editions, notebooks
from helpers.exercises import Exercise, check, grade_answer, hint

ROOMS = [
    importlib.import_module(f"helpers.chapters.{m.name}")
    for m in pkgutil.iter_modules(chapters.__path__)
]
EXERCISES = {
    thing.name: thing
    for room in ROOMS
    for thing in vars(room).values()
    if isinstance(thing, Exercise)
}


@pytest.fixture(scope="module", autouse=True)
def tensorflow():
    """Import it first, as every set-up cell does: a slow import must not look like a loop."""
    import helpers.backend  # noqa: F401


@functools.cache
def answer_cells():
    """Answer cells of all notebooks by the name of their exercise."""
    cells = [c for path in notebooks.find(everything=True) for c in notebooks.read(path).cells]
    return {c.metadata["course"]["exercise"]: c for c in cells if editions.is_answer(c)}


def run_cell(source, name="<cell>"):
    """Run a cell after the set-up cell, as a kernel does, and return the last function in it."""
    linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
    before = {"np": np}
    names = dict(before)
    exec(compile(source, name, "exec"), names)
    return [
        thing for key, thing in names.items() if key not in before and inspect.isfunction(thing)
    ][-1]


@functools.cache
def solution(name):
    return run_cell(answer_cells()[name].source, f"<solution {name}>")


def test_every_answer_cell_has_an_exercise_and_every_exercise_a_cell():
    assert set(answer_cells()) == set(EXERCISES), (
        "the names after # ANSWER in the notebooks are not those of the exercises in the rooms"
    )


@pytest.mark.parametrize("name", EXERCISES)
def test_exercise(name):
    """The notebook's solution is right, its stub is not answered, each mistake gets its message."""
    exercise, cell = EXERCISES[name], answer_cells()[name]
    exercise.learn()
    stated = cell.metadata["course"]["points"]
    assert exercise.points == stated, "the points of the room are not those of the cell's metadata"
    assert len(exercise.cases) >= 2, "give it two cases or more"
    assert exercise.drawn(seed=0), "give it hidden cases: a function under @exercise.hidden"
    assert len({message for _, message in exercise.mistakes}) <= 8, "eight mistakes at most"
    assert 1 <= len(exercise.hints) <= 3, "one to three hints"
    full = grade_answer(name, solution(name), seed=0)
    assert full == exercises.Grade("right", f"✓ {name}: right. {exercise.lesson}", exercise.points)
    stub = run_cell(editions.stub(cell, name), f"<stub {name}>")
    assert grade_answer(name, stub) == exercises.Grade("not answered", f"{name}: not answered yet")
    constant = exercise.outcome(exercise.cases[0])["value"]
    assert grade_answer(name, lambda *a: constant).state == "wrong", "hard-coding passes"
    for wrong, message in exercise.wrong:
        grade = grade_answer(name, wrong)
        assert (grade.state, grade.points) == ("wrong", 0), message
        assert grade.message.startswith(f"✗ {name}"), message
        assert grade.message.endswith(f"\n  {message}"), f"{wrong}: {grade.message}"
    messages = {message for _, message in exercise.wrong}
    assert {rule.message for rule in exercise.rules} <= messages, "a rule without an example"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_argument_varies(name):
    """An answer that ignores an argument must not pass."""
    exercise = EXERCISES[name]
    assert_all_vary([case.arguments for case in exercise.cases])
    assert_all_vary([case.arguments for case in exercise.drawn(seed=0)])


def assert_all_vary(shown):
    for place, values in enumerate(zip(*(a[: min(map(len, shown))] for a in shown), strict=True)):
        if not isinstance(values[0], np.random.Generator):
            assert len({repr(value) for value in values}) > 1, f"argument {place}"


# --- hidden cases

SEEDS = range(20)


@pytest.mark.parametrize("name", EXERCISES)
def test_on_drawn_cases_the_solution_is_right_and_every_wrong_answer_wrong(name):
    """With (nearly) every seed: points come from these cases alone."""
    exercise = EXERCISES[name]
    exercise.learn()
    forbidden = {each.message for each in exercise.forbidden}
    right = f"✓ {name}: right. {exercise.lesson}"
    for seed in SEEDS:
        given = exercises.respond(name, solution(name), seed)
        grade = exercises.grade_responses(name, given, seed, answer_cells()[name].source)
        assert grade == exercises.Grade("right", right, exercise.points), (seed, grade.message)
        for wrong, message in exercise.wrong:
            separated = any(
                not exercises._same(
                    exercises._outcome(case, wrong), exercise.outcome(case), exercise.tolerance
                )
                for case in exercise.drawn(seed)
            )
            assert separated or message in forbidden, f"with seed {seed} this passes: {message}"


@pytest.mark.parametrize("name", EXERCISES)
def test_what_is_drawn_depends_on_the_seed_alone(name):
    def drawn(seed):
        EXERCISES[name]._drawn = None, ()
        cases = EXERCISES[name].drawn(seed)
        return [re.sub(r" at 0x\w+", "", repr(case.arguments)) for case in cases]

    first = drawn(2**200)
    np.random.seed(3)  # noqa: NPY002
    assert drawn(2**200) == first
    assert drawn(2**200 + 1) != first
    assert len(set(first)) > 1


def sent(outcomes):
    """Send outcomes to another process, as data."""
    written = io.BytesIO()
    np.savez(written, allow_pickle=False, **exercises.pack(outcomes))
    written.seek(0)
    with np.load(written, allow_pickle=False) as arrays:
        return exercises.unpack(arrays)


ANSWERS_OF_ALL_KINDS = [
    None,
    ...,
    3,
    lambda *a: None,
    lambda *a: "seven",
    lambda *a: [[1], [1, 2]],
    lambda *a: {"x": np.eye(3)},
    lambda *a: np.eye(3),
    lambda *a: np.float32(2.5),
    lambda *a: np.array([1, np.nan, np.inf]),
    lambda *a: [True, False],
    lambda *a: 1 / 0,
    lambda *a: sys.exit(3),
    lambda *a: np.zeros(exercises.LARGEST + 1),
]


@pytest.mark.parametrize("answer", ANSWERS_OF_ALL_KINDS)
def test_responses_are_graded_as_the_check_grades_wherever_they_come_from(answer):
    """The same words, with the hidden cases only; and nothing is lost on the way."""
    name, seed = "05-2", 5
    given = exercises.respond(name, answer, seed)
    grade = exercises.grade_responses(name, given, seed)
    assert exercises.grade_responses(name, sent(given), seed) == grade
    shown, EXERCISES[name].cases = EXERCISES[name].cases, []
    try:
        assert exercises.grade_answer(name, answer, seed) == grade
    finally:
        EXERCISES[name].cases = shown
    assert grade.points == 0


@pytest.mark.parametrize("answer", ANSWERS_OF_ALL_KINDS)
def test_without_a_seed_the_public_cases_are_graded_as_by_the_check(answer):
    given = sent(exercises.respond("05-2", answer, None))
    assert exercises.grade_responses("05-2", given, None) == grade_answer("05-2", answer)


def test_a_stub_and_a_line_cross_over(monkeypatch):
    stub = run_cell(editions.stub(answer_cells()["05-2"], "05-2"), "<stub>")
    assert exercises.grade_responses("05-2", sent(exercises.respond("05-2", stub, 1)), 1).state == (
        "not answered"
    )
    typo = run_cell("# ANSWER 05-2\ndef answer(*a):\n    return nq.clip(a)\n")
    given = sent(exercises.respond("05-2", typo, 1))
    assert exercises.grade_responses("05-2", given, 1).message.endswith(
        "\n  Line 3 of the cell: return nq.clip(a)"
    )
    monkeypatch.setattr(exercises, "LIMIT", 0.2)
    late = exercises.respond("05-2", endless, 1)
    assert late == [{"kind": "late", "broken": []}]
    assert "was stopped after 0.2 seconds" in exercises.grade_responses("05-2", late, 1).message


def test_half_of_the_cases_right_is_said_and_gives_no_points():
    given = exercises.respond("05-2", solution("05-2"), 1)
    given[1] = {"kind": "none"}
    grade = exercises.grade_responses("05-2", given, 1)
    assert (grade.state, grade.points, grade.share) == ("wrong", 0, (len(given) - 1) / len(given))
    grade = exercises.grade_responses("05-2", given[:1], 1)  # the others never came
    assert (grade.state, grade.share) == ("wrong", 1 / len(given))


def test_forbidden_words_are_looked_for_in_the_source():
    def graded(source):
        given = exercises.respond("03-2", solution("03-2"), 1)
        return exercises.grade_responses("03-2", given, 1, source)

    assert graded("%%time\n" + answer_cells()["03-2"].source).state == "right"
    grade = graded("%%time\ndef distances(a, b):\n    return cdist(a, b)")
    assert grade.state == "wrong" and "`cdist` is not allowed here" in grade.message


ANYTHING = [
    None,
    "right",
    [None],
    [[]],
    [{}],
    [{"kind": []}],
    [{"kind": np.eye(2)}],
    [{"kind": "array"}],
    [{"kind": "array", "value": [1]}],
    [{"kind": "array", "value": np.array(["a"])}],
    [{"kind": "array", "value": np.array(1 + 2j)}],
    [{"kind": "text", "value": 3}],
    [{"kind": "raised", "type": 3, "text": None, "line": ["a"]}],
    [{"kind": "raised", "type": "E" * 10_000}],
    [{"kind": "other", "size": "many"}],
    [{"kind": "none", "broken": ["a", 99, -1, None, np.eye(2)]}],
    [{"kind": "no function"}],
    [{"kind": "late", "stub": "yes"}] * 100,
    [{"kind": "right", "points": 99}],
]


@pytest.mark.parametrize("given", ANYTHING)
def test_responses_may_be_anything_and_earn_nothing(given):
    grade = exercises.grade_responses("05-2", given, 1)
    assert (grade.state, grade.points) == ("wrong", 0)
    assert len(grade.message) < 1000


@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"json": np.zeros(3)},
        {"json": np.frombuffer(b"[[", np.uint8)},
        {"json": np.frombuffer(b"[" * 100_000, np.uint8)},
        {"json": np.frombuffer(b'{"array": "0"}', np.uint8)},
        {"json": np.frombuffer(b'{"array": []}', np.uint8)},
    ],
)
def test_what_is_not_packed_is_refused(arrays):
    with pytest.raises(ValueError):
        exercises.unpack(arrays)


# --- in a students' copy


@pytest.fixture
def students_copy(tmp_path, monkeypatch):
    """Take the answers of an exercise away, and leave what they gave in a file."""

    def take_away(name):
        exercise = EXERCISES[name]
        exercise.learn()
        path = tmp_path / "outcomes.npz"
        np.savez_compressed(path, **exercises.pack(exercises.to_store([name])))
        monkeypatch.setattr(exercises, "STORED", path)
        exercises._stored.cache_clear()
        monkeypatch.setattr(exercise, "_right", None)
        monkeypatch.setattr(exercise, "mistakes", [])
        bare = [exercises.Case(case.label, case.arguments, case.view) for case in exercise.cases]
        monkeypatch.setattr(exercise, "cases", bare)
        return exercise

    yield take_away
    exercises._stored.cache_clear()


@pytest.mark.parametrize("name", EXERCISES)
def test_a_copy_without_functions_says_the_same(name, students_copy):
    EXERCISES[name].learn()
    answers = [solution(name), *(wrong for wrong, _ in EXERCISES[name].wrong)]
    answers += [lambda *a: None, lambda *a: 0, lambda *a: a[99]]
    before = [grade_answer(name, answer) for answer in answers]
    given = exercises.respond(name, solution(name), 4)
    exercise = students_copy(name)
    assert [grade_answer(name, answer) for answer in answers] == before
    assert all(function is None for function, _ in exercise.mistakes)
    # it answers a grader, and cannot grade
    again = exercises.respond(name, solution(name), 4)
    assert repr(again) == repr(given)
    exercise._drawn = None, ()
    with pytest.raises(LookupError, match=f"holds no answer of {name}"):
        exercises.grade_responses(name, again, 4)


def test_in_a_copy_an_exercise_that_was_not_released_says_so(students_copy):
    students_copy("05-2")
    other = Exercise("05-9", points=1, lesson="", hint="")
    other.case("one", 1)
    try:
        with pytest.raises(LookupError, match="this copy of the course holds no answer of 05-9"):
            check("05-9", lambda x: x)
    finally:
        del exercises._EXERCISES["05-9"]


def test_a_right_answer_that_fails_is_no_right_answer():
    exercise = Exercise("99-9", points=1, lesson="", hint="")
    exercise.case("one", 1)
    exercise.right(lambda x: x / 0)
    with pytest.raises(RuntimeError, match="the right answer of 99-9: the function raised Zero"):
        grade_answer("99-9", lambda x: x)


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
                options.append(
                    (f"{ast.unparse(node)}: operator", ast.BinOp(node.left, other, node.right))
                )
            options += [
                (f"{ast.unparse(node)}: one side", side) for side in (node.left, node.right)
            ]
        if isinstance(node, ast.UnaryOp):
            options.append((f"{ast.unparse(node)}: sign", node.operand))
        if isinstance(node, ast.Compare) and type(node.ops[0]) in self.SWAPS:
            other = [self.SWAPS[type(node.ops[0])]()]
            options.append(
                (
                    f"{ast.unparse(node)}: comparison",
                    ast.Compare(node.left, other, node.comparators),
                )
            )
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Attribute) and not node.args:
                options.append((f"{ast.unparse(node)}: no call", node.func.value))
            options += [
                (f"{ast.unparse(node)}: argument only", argument) for argument in node.args[:1]
            ]
            for place, keyword in enumerate(node.keywords):
                fewer = node.keywords[:place] + node.keywords[place + 1 :]
                options.append(
                    (
                        f"{ast.unparse(node)}: no {keyword.arg}",
                        ast.Call(node.func, node.args, fewer),
                    )
                )
        if isinstance(node, ast.AugAssign):
            options.append(
                (
                    f"{ast.unparse(node)}: =",
                    ast.Assign([node.target], node.value, lineno=node.lineno),
                )
            )
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
    if isinstance(value, np.ndarray) and value.dtype == np.float32:
        return value  # a photo, of which a network must believe something
    if isinstance(value, np.ndarray) and value.dtype == bool and rng.random() < 0.3:
        return np.full_like(value, rng.random() < 0.5)
    if isinstance(value, np.ndarray) and value.ndim == 1:
        return rng.choice(value, value.shape)
    if isinstance(value, np.ndarray) and value.ndim:
        return rng.permuted(value, axis=-1 if value.ndim == 2 else None)
    return value * rng.uniform(0.6, 1.3) if isinstance(value, float) else copy.deepcopy(value)


@pytest.mark.parametrize("name", EXERCISES)
def test_a_solution_with_one_thing_changed_is_wrong_or_does_the_same(name):
    exercise, rng = EXERCISES[name], np.random.default_rng(0)
    survivors = [m for m in mutants(name) if grade_answer(name, m[1], seed=0).state == "right"]
    for case in [*exercise.cases * 4, *exercise.drawn(seed=1)]:
        drawn = exercises.Case("", tuple(varied(a, rng) for a in case.arguments), case.view)
        with warnings.catch_warnings(action="ignore"):
            expected = exercises._outcome(drawn, solution(name))
            for what, mutant in survivors:
                came = exercises._outcome(drawn, mutant)
                same = exercises._same(came, expected, exercise.tolerance)
                assert same, f"{what} passes, and gives {came} for {expected}"


# --- answers that are right although they look different


@pytest.mark.parametrize(
    "name, answer",
    [
        ("01-1", lambda *a: float(solution("01-1")(*a))),
        ("01-2", lambda z: solution("01-2")(z.astype("float32")).tolist()),
        ("02-2", lambda a, b: Fraction(solution("02-2")(a, b))),
        ("02-3", lambda a, b: np.array(solution("02-3")(a, b))),
        ("03-3", lambda images, labels, ks: int(solution("03-3")(images, labels, list(ks)))),
        ("04-3", lambda m, right, share: right[np.argsort(m)[-round(share * len(m)) :]].mean()),
        ("05-1", lambda *a: np.asarray(solution("05-1")(*a))),
        ("05-3", lambda *a: np.array([solution("05-3")(*a)])),
        ("05-4", lambda x, g, rate: np.clip(x - rate * -g, 0, 1).tolist()),
        ("06-2", lambda *a: solution("06-2")(*a)[::-1].tolist()),
        ("06-3", lambda *a: np.array([solution("06-3")(*a)])),
        ("07-1", lambda *a: solution("07-1")(*a).astype("float32").tolist()),
    ],
)
def test_an_answer_that_is_written_differently_is_right_too(name, answer):
    assert grade_answer(name, answer, seed=0).state == "right"


SOFTMAX = """
def softmax(logits, layers=1):
    special = np.exp(logits - logits.max(axis=1, keepdims=True))
    return special / special.sum(axis=layers, keepdims=True)
"""
DISTANCES = """
def distances(a, b):
    distance_matrix = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * a @ b.T
    return np.sqrt(np.maximum(distance_matrix, 0))
"""


@pytest.mark.parametrize("name, source", [("01-2", SOFTMAX), ("03-2", DISTANCES)])
def test_a_student_may_give_any_name_to_things_of_their_own(name, source):
    assert grade_answer(name, run_cell(source), seed=0).state == "right"


@pytest.mark.parametrize(
    "line",
    [
        "import scipy.spatial as mine; return mine.distance.cdist(a, b)",
        "from scipy.spatial import distance_matrix; return distance_matrix(a, b)",
        "vectorize = np.vectorize; return solve(a, b, vectorize)",
    ],
)
def test_another_name_for_what_is_forbidden_does_not_help(line):
    answer = run_cell(f"def distances(a, b):\n    {line}\n")
    answer.__globals__["solve"] = lambda a, b, _: solution("03-2")(a, b)
    assert "is not allowed here" in grade_answer("03-2", answer).message


# --- wrong answers that once passed, or got the wrong diagnosis


def gradient_without_return(model, x, target):
    solution("05-1")(model, x, target)


def gradient_of_p(model, x, target):
    from helpers.backend import tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        p = model(x)[0, target]
    return tape.gradient(p, x)


def gradient(
    model, x, target, ask=lambda model, x: model(x), loss=lambda loss: loss, of=lambda x: x
):
    from helpers.backend import tf

    with tf.GradientTape() as tape:
        tape.watch(x)
        value = loss(-tf.math.log(ask(model, x)[0, target]))
    return tape.gradient(value, of(x))


def predicted(model, x):
    return model.predict(x, verbose=0)


def half(a, b):
    return stats.ttest_rel(a, b).confidence_interval().high - (a - b).mean()


def votes(judges, images, targets):
    return np.array([judge(images).argmax(axis=1) == targets for judge in judges])


def softmax_of_tensorflow(logits):
    from helpers.backend import tf

    return tf.nn.softmax(logits)


def distances_in_two_loops(a, b):
    return np.array([[np.linalg.norm(p - q) for q in b] for p in a])


@pytest.mark.parametrize(
    "name, answer, advice",
    [
        ("01-2", softmax_of_tensorflow, "NumPy only"),
        ("01-2", lambda z: np.exp(z) / np.exp(z).sum(axis=0), "sum along axis=1"),
        ("01-4", lambda y, p: np.histogram2d(y, p, bins=9)[0], "fix the size at 10"),
        ("02-3", lambda a, b: ((a - b).mean(), half(a, b)), "mean - half and mean + half"),
        ("02-3", lambda a, b: (a - b).mean() + np.array([-2, 2]) * half(a, b), "Twice as wide"),
        ("02-3", lambda a, b: (a - b).mean() + np.array([-2, 2]) * np.std(a - b), "by √8"),
        ("03-1", lambda labels: solution("03-1")(labels) * labels.shape[1] / 5, "shape[1]"),
        ("03-2", distances_in_two_loops, "Without a loop"),
        ("03-3", lambda *a: 3, "the same in every case"),
        ("05-1", gradient_without_return, "it needs a `return`"),
        ("05-1", lambda model, x, target: solution("05-1")(model, x, 3), "argument `target`"),
        ("05-1", functools.partial(gradient, loss=float), "no float()"),
        (
            "05-1",
            functools.partial(gradient, loss=lambda loss: loss.numpy()),
            "no float(), .numpy()",
        ),
        ("05-1", functools.partial(gradient, ask=predicted), "not model.predict"),
        ("05-1", functools.partial(gradient, of=lambda x: [x]), "not for [x]"),
        ("05-1", gradient_of_p, "gradient of p, not of -log p"),
        ("05-2", lambda x, g, r: x - r * g / np.linalg.norm(g, axis=(1, 2, 3)), "keepdims"),
        ("05-3", lambda *a: 1.0, "No judge was asked"),
        ("05-3", lambda judges, x, t: votes(judges, x, t).mean(0).__ge__(0.5).mean(), "majority"),
        ("05-3", lambda *a: votes(*a).mean(axis=1).prod(), "average the images only"),
        ("05-4", lambda x, g, rate: np.clip(x - rate * g, 0, 1), "the printed step, and p falls"),
    ],
)
def test_what_is_wrong_is_said(name, answer, advice):
    grade = grade_answer(name, answer)
    assert grade.state == "wrong"
    assert advice in grade.message


# --- how answers are tried


def test_what_is_no_answer_yet(capsys):
    for nothing in (None, ...):
        check("05-2", nothing)
        assert capsys.readouterr().out == "05-2: not answered yet\n"
    assert grade_answer("05-2", 3).message == "✗ 05-2: expected a function, got int."


def test_what_a_called_function_has_not_implemented_is_an_answer():
    def not_there():
        raise NotImplementedError("no input here")

    answer = run_cell("# ANSWER 01-1\ndef answer(k, c, f, ask):\n    return ask()\n")
    grade = grade_answer("01-1", functools.partial(answer, ask=not_there))
    assert grade.state == "wrong"
    assert "NotImplementedError: no input here" in grade.message


def test_an_unknown_mistake_shows_both_numbers_and_points_to_the_hint(capsys):
    assert check("01-1", lambda kernel, channels_in, filters: kernel + 5 * filters) is None
    assert capsys.readouterr().out == (
        "✗ 01-1, the text's example: gave 7, expected 5.\n"
        '  Not a mistake that this check knows. For a hint: hint("01-1")\n'
    )


def test_an_exception_shows_the_line_of_the_cell():
    answer = run_cell("# ANSWER 01-2\ndef softmax(logits):\n    return nq.exp(logits)\n")
    assert grade_answer("01-2", answer).message == (
        "✗ 01-2, ten equal logits, as in the text: the function raised NameError: name 'nq' is not "
        "defined. Did you mean: 'np'?.\n  Line 3 of the cell: return nq.exp(logits)"
    ).replace(". Did you mean: 'np'?", "")


@pytest.mark.parametrize("name", EXERCISES)
def test_a_typo_is_no_mistake_in_the_subject(name):
    answer = run_cell(
        f"# ANSWER {name}\ndef answer(*arguments):\n    return nq.exp(arguments[0])\n"
    )
    *_, last = grade_answer(name, answer).message.split("\n  ")
    assert last == "Line 3 of the cell: return nq.exp(arguments[0])"


@pytest.mark.parametrize("answer", [lambda *a: a[3], lambda *a: sys.exit()])
def test_judges_that_an_error_left_unasked_are_not_spoken_of(answer):
    assert "No judge" not in grade_answer("05-3", answer).message


def test_a_mistake_that_raises_shows_its_line_too():
    answer = run_cell(
        "# ANSWER 01-2\ndef softmax(z):\n    return np.exp(z) / np.exp(z).sum(axis=1)\n"
    )
    assert grade_answer("01-2", answer).message.split("\n  ")[1:] == [
        "Line 3 of the cell: return np.exp(z) / np.exp(z).sum(axis=1)",
        "Shapes (n, 10) and (n,) do not fit: use keepdims=True for (n, 1).",
    ]


@pytest.mark.parametrize(
    "came, expected",
    [
        (np.ones(3), "shape (3,), expected shape (1, 10)"),
        ("seven", "gave the text 'seven'"),
        ({"answer": 1}, "gave a result of type dict and length 1"),
        (np.full((1, 10), np.nan), "the result at [0, 0] is NaN, expected 0.1"),
        ([[1], [1, 2]], "gave a result of type list and length 2"),
        (np.full((1, 10), 1 / 3), "the result at [0, 0] is 0.333, expected 0.1"),
    ],
)
def test_what_came_out_is_shown(came, expected):
    message = grade_answer("01-2", lambda logits: came).message
    assert message.startswith(f"✗ 01-2, ten equal logits, as in the text: {expected}.\n  ")


def test_nothing_that_a_function_raises_reaches_the_notebook():
    def leaves(*arguments):
        raise SystemExit

    for error in (leaves, lambda: 0, lambda *a: a[99], lambda *a: [0] * 10**15):
        assert grade_answer("01-2", error).state == "wrong"


def test_an_error_that_is_returned_is_a_wrong_answer():
    grade = grade_answer("01-1", lambda *a: NotImplementedError("todo"))
    assert grade.state == "wrong"
    assert "NotImplementedError: todo" in grade.message


def endless(*arguments):
    while True:
        with contextlib.suppress(Exception):
            pass


def test_a_function_that_does_not_return_is_stopped(monkeypatch):
    monkeypatch.setattr(exercises, "LIMIT", 0.2)
    before = threading.active_count()
    assert grade_answer("01-1", endless).message == (
        "✗ 01-1, the text's example: the function was stopped after 0.2 seconds.\n"
        "  Does a loop never end, or does it wait for something?"
    )
    assert threading.active_count() == before


def test_a_bare_except_in_a_loop_does_not_keep_it_alive(monkeypatch):
    def stubborn(*arguments):
        for _ in range(3):
            try:
                while True:
                    pass
            except:  # noqa: E722
                pass

    monkeypatch.setattr(exercises, "LIMIT", 0.2)
    before = threading.active_count()
    assert "was stopped after 0.2 seconds" in grade_answer("01-1", stubborn).message
    assert threading.active_count() == before


def test_a_function_that_changes_its_arguments_spoils_nothing():
    def in_place(x, g, learning_rate):
        g /= np.sqrt((g**2).sum(axis=(1, 2, 3), keepdims=True)) + 1e-10
        x -= learning_rate * g
        return np.clip(x, 0, 1, out=x)

    for _ in range(2):
        assert grade_answer("05-2", in_place, seed=0).state == "right"


def test_the_warnings_of_an_answer_are_not_shown():
    def warns(logits):
        warnings.warn("mine", stacklevel=1)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    with warnings.catch_warnings(record=True) as shown:
        warnings.simplefilter("always")
        assert "is infinite" in grade_answer("01-2", warns).message
    assert shown == []


def test_a_hidden_case_counts_for_the_grade_and_not_for_the_check():
    def knows_the_cases(kernel, channels_in, filters):
        return {2: 5, 3: 320 if channels_in == 1 else 18496}.get(kernel, 0)

    assert grade_answer("01-1", knows_the_cases).points == 1
    assert grade_answer("01-1", knows_the_cases, seed=0).points == 0


def test_a_check_leaves_the_random_numbers_of_the_notebook_alone():
    from helpers.backend import keras, tf
    from helpers.chapters import chapter_05

    def numbers(meanwhile):
        keras.utils.set_random_seed(0)
        meanwhile()
        return np.random.random(), float(tf.random.uniform(()))  # noqa: NPY002

    def all_checks():
        chapter_05._model.cache_clear()
        for case in EXERCISES["05-1"].cases:
            case.outcomes.clear()
        for name in EXERCISES:
            grade_answer(name, solution(name))

    assert numbers(all_checks) == numbers(lambda: None)


def test_a_hint_says_more_each_time_it_is_asked(capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_HINTS_GIVEN", {})
    for number in (1, 2, 3, 3):
        hint("05-2")
        given = enumerate(EXERCISES["05-2"].hints[:number], 1)
        expected = [f"05-2, hint {place} of 3: {text}" for place, text in given]
        assert capsys.readouterr().out.splitlines() == expected


OLDER = "# ANSWER 01-1\ndef conv_parameters(k, c, f):\n    return 7\n"
NEWER = OLDER.replace("7", "8")


@pytest.fixture
def ran(monkeypatch):
    """What the cells of a session hold that ran so far; the last is always the check's own."""
    cells = []
    shell = types.SimpleNamespace(history_manager=types.SimpleNamespace(input_hist_raw=cells))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    return cells


@pytest.mark.parametrize(
    "newer",
    [
        NEWER.replace("f):", "f:"),
        NEWER.replace("conv_parameters", "conv_params"),
        "# mine\n" + NEWER.replace("f):", "f:"),
        "%%time\n" + NEWER.replace("conv_parameters", "conv_params"),
        NEWER.replace("# ANSWER 01-1\n", "").replace("f):", "f:"),
        NEWER.replace("# ANSWER 01-1\n", "").replace("conv_parameters", "conv_params"),
        "1 / 0\n" + NEWER,
        OLDER.rstrip() + " + f)\n",
        OLDER + "    + f)\n",
        "def conv_params(k: int, c: int, f: int) -> int:\n    return 8\n",
    ],
)
def test_an_older_definition_is_named(ran, newer, capsys):
    answer = run_cell(OLDER)
    ran += [OLDER, "# the check"]
    check("01-1", answer)
    assert "older" not in capsys.readouterr().out
    ran += [newer, "# the check"]
    check("01-1", answer)
    assert capsys.readouterr().out.startswith(
        "! The last run of the answer cell did not define `conv_parameters`.\n"
        "  What follows is about the older definition:\n✗ 01-1"
    )
    ran += [OLDER, "# the check"]
    check("01-1", answer)
    assert "older" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "rest", ["", "  # so", "\n    # so\n\n# and\n", "\nconv_parameters(2, 1, 1)\n", "\n\n\n1 / 0"]
)
def test_what_stands_below_a_definition_makes_it_no_older(ran, rest):
    answer = run_cell(OLDER)
    ran += [OLDER, "# the check", OLDER.rstrip() + rest, "# the check"]
    assert not exercises._is_older("01-1", answer)


def test_a_callable_without_a_name_is_checked_too(ran, capsys):
    class Kept:
        def __init__(self, function):
            self.__wrapped__ = function

        def __call__(self, *arguments):
            return self.__wrapped__(*arguments)

    answer = Kept(run_cell(OLDER))
    ran += [OLDER, "# the check", "# ANSWER 01-1", "# the check"]
    check("01-1", answer)
    assert capsys.readouterr().out.startswith(
        "! The last run of the answer cell did not define `…`"
    )


def test_a_function_that_a_student_wrote_aside_is_no_newer_definition(ran, capsys):
    answer = run_cell(OLDER)
    ran += [OLDER, "def mine(k, c, f):\n    return 1", "mine(1, 2, 3)", "# the check"]
    check("01-1", answer)
    assert "older" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "ask", [hint, lambda name: check(name, len), lambda name: grade_answer(name, len)]
)
@pytest.mark.parametrize("name", ["01-9", "", None, 5])
def test_an_exercise_that_does_not_exist_is_named(ask, name):
    with pytest.raises(ValueError, match=f"exercise must be a name such as '05-2', not {name!r}"):
        ask(name)


def test_numbers_that_differ_late_are_not_printed_as_equal():
    exercise = Exercise("99-7", points=1, lesson="", hint="")
    exercise.right(lambda x: x + 4)
    exercise.case("one", 1)
    message = grade_answer("99-7", lambda x: (x + 4) * (1 + 1e-12)).message
    assert "gave 5.000000000005" in message


def test_an_exception_that_does_not_print_is_still_a_wrong_answer():
    class Broken(Exception):
        def __str__(self):
            raise RuntimeError("boom")

    def answer(x):
        raise Broken

    exercise = Exercise("99-8", points=1, lesson="", hint="")
    exercise.right(lambda x: x)
    exercise.case("one", 1)
    assert "the function raised Broken" in grade_answer("99-8", answer).message


# --- my progress


@pytest.fixture
def session(monkeypatch):
    """A session with two exercises, in which nothing was tried."""
    monkeypatch.setattr(exercises, "_EXERCISES", {})
    monkeypatch.setattr(exercises, "_GRADES", {})
    for name, points in (("98-2", 3), ("98-1", 1)):
        exercise = Exercise(name, points=points, lesson="Twice.", hint="Add it to itself.")
        exercise.case("a number", 2)
        exercise.case("another one", 5)
        exercise.right(lambda x: x + x)


def shown(capsys):
    capsys.readouterr()
    exercises.progress()
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        (2.5, "2.5"),
        ("a text", "'a text'"),
        (np.float32(0.5), "0.5"),
        (np.arange(4).reshape(2, 2), "[[0, 1], [2, 3]]"),
        (np.zeros((3, 28, 28, 1)), "an array of shape (3, 28, 28, 1)"),
        ([len, np.zeros(13)], "[a builtin_function_or_method, an array of shape (13,)]"),
        (tuple(range(9)), "[0, 1, 2, 3, 4, 5, …]"),
        ("x" * 500, "…"),
    ],
)
def test_a_wrong_grade_says_what_the_function_was_called_with(argument, said, monkeypatch):
    monkeypatch.setattr(exercises, "_EXERCISES", {})
    exercise = Exercise("99-1", points=1, lesson="", hint="")
    exercise.case("one", argument)
    exercise.right(lambda x: 1)
    assert grade_answer("99-1", lambda x: 1).given == ""
    assert grade_answer("99-1", lambda x: 2).given == said


def test_progress_before_anything_was_tried(session, capsys):
    assert shown(capsys) == (
        "exercise  points\n"
        "98-1      0 of 1  not tried yet\n"
        "98-2      0 of 3  not tried yet\n"
        "In this session: 0 of 2 exercises tried, 0 right, 0 of 4 points so far.\n"
    )


def test_progress_counts_the_last_check_of_each_exercise(session, capsys):
    check("98-1", lambda x: x)
    check("98-2", lambda x: 2 * x)
    assert shown(capsys) == (
        "exercise  points\n"
        "98-1      0 of 1  not right yet\n"
        "98-2      3 of 3  right\n"
        "In this session: 2 of 2 exercises tried, 1 right, 3 of 4 points so far.\n"
    )
    check("98-1", lambda x: 2 * x)
    check("98-2", None)
    assert shown(capsys).splitlines()[1:3] == [
        "98-1      1 of 1  right",
        "98-2      0 of 3  not tried yet",
    ]


def test_progress_without_the_set_up_cell_says_what_to_run(session, capsys, monkeypatch):
    monkeypatch.setattr(exercises, "_EXERCISES", {})
    assert shown(capsys) == "No exercise is loaded yet: run the set-up cell first.\n"


def test_a_grader_leaves_the_progress_of_a_session_alone(session, capsys):
    exercises.grade_answer("98-1", lambda x: 2 * x)
    assert "0 of 2 exercises tried" in shown(capsys)

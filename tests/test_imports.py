"""Who may import whom: the imports of the library, read from its files, run one way, downwards."""

import ast
import graphlib
import os
from pathlib import Path

import nbformat
import pytest

from helpers.session import ROOT

# Each room and what it may import, the lowest first. An import inside a function counts too.
ROOMS = {
    "session": [],
    "validation": [],
    "backend": ["session"],
    "data": ["session", "backend"],
    "records": ["session"],
    "claims": ["session", "records"],
    "exercises": ["session"],
    "plotting": ["session"],
    "__init__": ["session", "backend", "plotting"],
    "alterations": ["session", "validation"],
    "attacks": ["session", "backend", "validation"],
    "checkpoints": ["session", "backend", "validation"],
    "training": ["session", "backend", "validation", "alterations", "attacks"],
    "models": ["session", "backend", "validation", "data", "checkpoints", "training"],
    "trajectory": ["session", "validation"],
    "boltzmann": ["session", "backend", "validation"],
    "generative": ["session", "backend", "validation"],
    "inversion": ["session", "backend", "validation", "trajectory"],
    "neighbours": ["session", "backend", "validation", "trajectory"],
    "confidence": ["session", "validation", "trajectory"],
    "realism": [
        "session",
        "backend",
        "validation",
        "trajectory",
        "inversion",
        "models",
        "neighbours",
    ],
    "counterfactuals": ["backend", "validation", "inversion", "models", "realism"],
    "explore": ["session", "validation", "data", "checkpoints", "models", "neighbours"],
    "live": [
        "session",
        "backend",
        "validation",
        "plotting",
        "inversion",
        "neighbours",
        "confidence",
    ],
}
# The rooms on the top floor take what they need from the others.
ROOMS["chapters"] = sorted(set(ROOMS) - {"__init__"})
ROOMS["answers"] = ["backend", "chapters"]
ROOMS["course"] = sorted(ROOMS)

# Rooms that a student's first cells import: these stay light, so Keras waits inside a function.
ONLY_INSIDE_FUNCTIONS = {
    "data": {"backend"},
    "neighbours": {"backend"},
    "__init__": {"session", "backend", "plotting"},
}

HELPERS = ROOT / "helpers"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(HELPERS.rglob("*.py"))
}


def room(module):
    """``helpers.data.mnist`` -> ``data``; ``helpers`` itself -> ``__init__``."""
    return module.split(".")[1] if "." in module else "__init__"


def imports(tree, module="notebook", package=False):
    """Yield (module of helpers, whether at the top of the file) for each import of a file."""
    inside = {
        node
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = module.split(".")[: None if package else -1]
                parents = parents[: len(parents) - node.level + 1]
                base = ".".join([*parents, *filter(None, [base])])
            # `from helpers import data` names a module, `from helpers.data import load` does not
            whole = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else base for name in whole]
        for name in names:
            if name.split(".")[0] == "helpers":
                yield name, node not in inside


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


IMPORTS = {
    module: set(imports(tree(path), module, path.name == "__init__.py"))
    for module, path in MODULES.items()
}


def source_of(path):
    """The code of a notebook, without magics."""
    cells = nbformat.read(path, as_version=4).cells
    lines = [line for c in cells if c.cell_type == "code" for line in c.source.splitlines()]
    return "\n".join(line for line in lines if not line.startswith(("%", "!")))


NOTEBOOKS = [
    path
    for path in sorted((ROOT / "notebooks").rglob("*.ipynb"))
    if ".ipynb_checkpoints" not in path.parts
]


def test_the_rooms_stand_above_each_other():
    """The table itself has no circle: a room imports only rooms that stand before it."""
    order = list(ROOMS)
    for place, (name, allowed) in enumerate(ROOMS.items()):
        assert set(allowed) - {name} <= set(order[:place]), name


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_rooms_below_its_own(module):
    assert room(module) in ROOMS, (
        f"{module} stands in no row of the table of rooms. What only one chapter needs belongs in "
        "helpers/chapters/chapter_NN.py, and a dataset in helpers/data/. What several chapters "
        "share gets a row in ROOMS (tests/test_imports.py): its name, and the rooms it may import."
    )
    allowed = {room(module), *ROOMS[room(module)]}
    for name, _ in IMPORTS[module]:
        if name == module:
            continue
        assert room(name) in allowed, (
            f"{module} imports {name}, and its room, {room(module)!r}, may import only "
            f"{ROOMS[room(module)]}: give it as an argument, or move the function to a room above."
        )


@pytest.mark.parametrize("module", MODULES)
def test_a_chapter_is_imported_by_its_notebook_and_its_answers_only(module):
    """Chapters do not share: what two of them need moves down into a room of its own."""
    # `from helpers import chapters` alone is how a command finds them all
    imported = {name for name, _ in IMPORTS[module]} - {module}
    if module.startswith("helpers.answers."):
        imported -= {f"helpers.chapters.chapter_{module[-2:]}"}
    chapters = sorted(name for name in imported if name.startswith("helpers.chapters."))
    assert not chapters, (
        f"{module} imports {chapters}: move what it needs from there to a room that both import"
    )


@pytest.mark.parametrize("module", MODULES)
def test_nobody_imports_the_answers(module):
    """A students' copy has none; `helpers.exercises` looks for them when an answer is checked."""
    found = {name for name, _ in IMPORTS[module] if room(name) == "answers"}
    assert room(module) == "answers" or not found


def test_no_module_imports_one_that_imports_it():
    graph = {
        module: {name for name, _ in found if name != module} for module, found in IMPORTS.items()
    }
    # importing helpers.data.mnist runs helpers/data/__init__.py first, but that is no circle
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail(f"imports in a circle: {' <- '.join(error.args[1])}")


@pytest.mark.parametrize("module", MODULES)
def test_heavy_imports_of_light_rooms_stand_inside_functions(module):
    heavy = ONLY_INSIDE_FUNCTIONS.get(room(module), set())
    for name, at_the_top in IMPORTS[module]:
        assert not (at_the_top and room(name) in heavy), (
            f"{module} imports {name} at its top: do it in the function that needs it"
        )


@pytest.mark.parametrize("module", [name for name in MODULES if room(name) == "course"])
def test_a_command_imports_keras_only_when_it_runs(module):
    """`--help`, `release` and `doctor` start at once: nothing that is imported leads to Keras."""
    reached, ways = [module], {module: module}
    for one in reached:
        for name, at_the_top in sorted(IMPORTS[one]):
            if at_the_top and name not in ways:
                ways[name] = f"{ways[one]} -> {name}"
                reached.append(name)
    assert "helpers.backend" not in ways, (
        f"{ways['helpers.backend']}: move the first of these imports into its function"
    )


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_imports_no_command_and_no_other_chapter(path):
    for name, _ in imports(ast.parse(source_of(path))):
        assert room(name) in ROOMS, f"{path.name} imports {name}, which is no module of helpers"
        assert room(name) not in ("course", "answers"), f"{path.name} imports {name}: not for it"
        own = f"helpers.chapters.chapter_{path.name[:2]}"
        assert room(name) != "chapters" or name == own, (
            f"{path.name} imports {name}: what two notebooks need belongs in a room they share"
        )


@pytest.mark.parametrize("module", [name for name in MODULES if name != "helpers.session"])
def test_settings_are_read_in_session_only(module):
    """A command may write a COURSE_* variable for a kernel; nobody else reads one."""
    for node in ast.walk(tree(MODULES[module])):
        read = None
        if isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "os.environ.get",
            "os.getenv",
            "os.environ.pop",
        ):
            read = node.args[0]
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
            read = node.slice if ast.unparse(node.value) == "os.environ" else None
        name = read.value if isinstance(read, ast.Constant) else ""
        assert not str(name).startswith("COURSE_"), (
            f"{module}, line {node.lineno}, reads {name}: add a function to helpers/session.py"
        )


def test_the_packages_of_the_library_are_found_by_the_installation():
    """A folder that is not found is missing where the course is installed."""
    import tomllib

    from setuptools import find_packages

    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = {
        ".".join(Path(folder).relative_to(ROOT).parts)
        for folder, _, files in os.walk(HELPERS)
        if "__init__.py" in files
    }
    found = settings["tool"]["setuptools"]["packages"]["find"]
    assert set(find_packages(ROOT, **found)) == packages

"""What the documents state must be what the repository holds."""

import re
import statistics

import pytest

from helpers import records
from helpers.course import notebooks
from helpers.session import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = sorted([*ROOT.glob("*.md"), ROOT / "data" / "README.md"])


@pytest.mark.parametrize(
    ("row", "network"),
    [("plain Adam", "cnn"), ("the same parameters", "cnn_tuned"), ("robust network", "robust")],
)
def test_accuracies_are_the_medians_of_the_recorded_trainings(row, network):
    line = next(line for line in README.splitlines() if row in line and "median" in line)
    stated, seeds = re.search(r"([\d.]+) % \(median of (\d+) seeds\)", line).groups()
    accuracies = [run["accuracy"] for run in records.trainings("full", network)]
    assert int(seeds) == len(accuracies)
    assert float(stated) == round(100 * statistics.median(accuracies), 2)


@pytest.mark.parametrize("path", notebooks.find(everything=True), ids=lambda path: path.stem)
def test_the_map_states_the_minutes_of_every_notebook(path):
    minutes = notebooks.read(path).metadata["course"]
    row = next((line for line in README.splitlines() if f"/{path.name})" in line), None)
    assert row, f"README.md, section The notebooks, needs a row that links {path.name}"
    times = f"| {minutes['minutes']} min | {minutes['run_minutes']} min |"
    assert times in row, f"its row in README.md must end in {times!r}, as its metadata say: {row}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_picture_and_page_that_it_links_exists(document):
    targets = re.findall(r"\]\(([^)#]+)\)", document.read_text(encoding="utf-8"))
    missing = [
        target
        for target in targets
        if not target.startswith("http") and not (document.parent / target).exists()
    ]
    assert missing == []


def test_the_lines_that_use_it_as_a_library_run(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)
    assert names["run"].images.shape == (10, 28, 28, 1)
    assert (names["run"].probability > 0.9).all()
    assert "(10, 28, 28, 1)" in capsys.readouterr().out


def test_the_version_is_the_same_everywhere():
    def version(name, pattern):
        return re.search(pattern, (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)[1]

    stated = version("pyproject.toml", r'^version = "(.+)"')
    assert version("CITATION.cff", r"^version: (.+)") == stated
    assert version("CHANGELOG.md", r"^## ([\d.]+)") == stated


def test_every_requirement_is_pinned_in_the_constraints():
    def names(file):
        lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
        return {re.match(r"[\w.-]+", line)[0].lower() for line in lines if re.match(r"\w", line)}

    pinned = names("constraints.txt")
    assert names("requirements.txt") <= pinned
    assert {"playwright", "greenlet"} <= pinned  # for the tests in a browser

"""What README.md states as measured must be what the repository's records say."""

import re
import statistics

import pytest

from helpers import ROOT
from helpers.checks import bands
from helpers.course import notebooks

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("row", "network"),
    [("plain Adam", "cnn"), ("the same parameters", "cnn_tuned"), ("robust network", "robust")],
)
def test_accuracies_are_the_medians_of_the_recorded_runs(row, network):
    line = next(line for line in TEXT.splitlines() if row in line and "median" in line)
    stated, seeds = re.search(r"([\d.]+) % \(median of (\d+) seeds\)", line).groups()
    accuracies = [run["accuracy"] for run in bands.runs("full", network)]
    assert int(seeds) == len(accuracies)
    assert float(stated) == round(100 * statistics.median(accuracies), 2)


@pytest.mark.parametrize("path", notebooks.find(everything=True), ids=lambda path: path.stem)
def test_the_map_states_the_minutes_of_every_notebook(path):
    minutes = notebooks.read(path).metadata["course"]
    row = next(line for line in TEXT.splitlines() if f"/{path.name})" in line)
    assert f"| {minutes['minutes']} min | {minutes['run_minutes']} min |" in row


def test_every_picture_and_page_that_it_links_exists():
    targets = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert targets
    missing = [t for t in targets if not t.startswith("http") and not (ROOT / t).exists()]
    assert missing == []

"""What earlier runs measured: ``data/bands.json``.

For each profile it holds ``values`` (a name such as ``01/accuracy``, and the numbers that eight
seeds gave) and ``runs`` (every training of a network: seed, recipe, accuracy, and the test images
it got wrong).
"""

from __future__ import annotations

import json
import os

from helpers import ROOT

PATH = ROOT / "data" / "bands.json"


def read(path=None):
    """Read the whole file, as a dictionary; an empty one if it does not exist yet."""
    path = path or PATH
    if not path.exists():
        return {"full": {"values": {}, "runs": {}}, "lite": {"values": {}, "runs": {}}}
    return json.loads(path.read_text())


def write(bands, path=None):
    """Write the whole file, under a temporary name first; lists of numbers stay on one line."""
    path = path or PATH
    lines = []
    for profile in ("full", "lite"):
        values = [
            f"   {json.dumps(name)}: {json.dumps(numbers)}"
            for name, numbers in sorted(bands[profile]["values"].items())
        ]
        runs = [
            f"   {json.dumps(name)}: [\n    "
            + ",\n    ".join(json.dumps(run) for run in sorted(runs, key=lambda r: r["seed"]))
            + "\n   ]"
            for name, runs in sorted(bands[profile]["runs"].items())
        ]
        lines.append(
            f' "{profile}": {{\n  "values": {{\n'
            + ",\n".join(values)
            + '\n  },\n  "runs": {\n'
            + ",\n".join(runs)
            + "\n  }\n }"
        )
    if "versions" in bands:
        lines.append(f' "versions": {json.dumps(bands["versions"])}')
    temporary = path.with_suffix(f".{os.getpid()}.part")
    try:
        temporary.write_text("{\n" + ",\n".join(lines) + "\n}\n")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def runs(profile, name):
    """Runs of one network in one profile, by seed: dictionaries with accuracy and wrong images."""
    return read()[profile]["runs"].get(name, [])


def run(profile, name, seed, recipe):
    """One run, or None if there is none with this seed and these settings."""
    for candidate in runs(profile, name):
        if candidate["seed"] == seed and candidate["recipe"] == recipe:
            return candidate
    return None


def record_run(profile, name, new):
    """Add one run, in the place of an earlier one with the same seed."""
    bands = read()
    earlier = bands[profile]["runs"].get(name, [])
    bands[profile]["runs"][name] = [r for r in earlier if r["seed"] != new["seed"]] + [new]
    write(bands)

"""What earlier runs measured: ``data/bands.json``.

For each profile it holds ``values`` (a name such as ``01/accuracy``, and the numbers that eight
seeds gave) and ``runs`` (every training of a network: seed, recipe, accuracy, and the test images
it got wrong). ``versions`` says what the values were measured with.
"""

from __future__ import annotations

import json
import os
import platform
from importlib import metadata
from pathlib import Path

from helpers.session import ROOT

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


def merge(record, path=None):
    """Put the numbers that `within` recorded into the file, in the place of earlier ones.

    Parameters
    ----------
    record : path of the file that ``$COURSE_RECORD`` named
        Each line is a JSON object with profile, name, seed and value; a later line with the same
        first three takes the place of an earlier one.
    path : Path, optional
        Default: ``data/bands.json``.

    Raises
    ------
    ValueError
        If a line is damaged, or if a name does not have all of the seeds. The file is left as
        it is.
    """
    found = {}
    for number, line in enumerate(Path(record).read_text(encoding="utf-8").splitlines(), start=1):
        try:
            entry = json.loads(line)
            key = entry["profile"], entry["name"]
            if key[0] not in ("full", "lite"):
                raise ValueError
            found.setdefault(key, {})[int(entry["seed"])] = float(entry["value"])
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"record: line {number} of {Path(record).name} is {line!r}, expected a JSON object "
                "with profile, name, seed and value"
            ) from None
    bands = read(path)
    most = max((len(values) for values in found.values()), default=0)
    for (profile, name), values in sorted(found.items()):
        # a claim that some seeds did not reach would get a band that looks like any other
        if len(values) < 2 or sorted(values) != list(range(most)):
            raise ValueError(
                f"record: {name!r} in the {profile} profile has the seeds {sorted(values)}, "
                f"expected all of 0 to {max(most, 2) - 1}"
            )
        bands[profile]["values"][name] = [values[seed] for seed in range(most)]
    packages = ("tensorflow", "keras", "numpy", "scikit-learn")
    bands["versions"] = {
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
    }
    write(bands, path)

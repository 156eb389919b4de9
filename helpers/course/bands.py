"""Run the notebooks on several seeds, and record what their smoke tests measure."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

from helpers import records
from helpers.course import notebooks, run, tasks

FEWEST_SEEDS = 3  # `smoke_test` leaves the session's own seed out, and two others have a spread


def add_parser(commands):
    """Add this command and its options to the command line."""
    parser = commands.add_parser("bands", help="record what smoke tests are compared with")
    parser.add_argument("notebooks", nargs="*", metavar="NN", help="default: 01 to 06")
    parser.add_argument("--profile", choices=("full", "lite"), help="default: both")
    parser.add_argument(
        "--seeds", type=int, default=8, help=f"{FEWEST_SEEDS} or more, from seed 0 on; default: 8"
    )
    tasks.add_option(parser)
    parser.set_defaults(main=main)


def main(arguments):
    """Run every notebook on every seed, and record each run that succeeds."""
    if arguments.seeds < FEWEST_SEEDS:
        raise notebooks.UsageError(
            f"--seeds must be {FEWEST_SEEDS} or more, not {arguments.seeds}: a smoke test compares "
            "a seed with at least two others"
        )
    paths = notebooks.find(arguments.notebooks)
    profiles = (arguments.profile,) if arguments.profile else ("lite", "full")
    for profile in profiles:  # before hours of work, not after
        run.settle({path: notebooks.read(path) for path in paths}, profile, strict=True)
    failures = []
    calls = [
        (path, profile, seed)
        for profile, seed, path in itertools.product(profiles, range(arguments.seeds), paths)
    ]
    with tasks.executor(arguments.scheduler) as executor:
        results = executor.map(measure, *zip(*calls, strict=True))
        for (path, profile, seed), (outcome, values, failure) in zip(calls, results, strict=True):
            line = {"profile": profile, "seed": seed, "values": values}
            try:
                if values and not failure:
                    records.append(records.chapter_file(path.name[:2]), line)
            except OSError as error:  # a full or read-only disk
                failure = f"not recorded: {error.strerror or error}"
            state = failure or f"{len(values)} numbers"
            done = f"{path.stem}, {profile}, seed {seed}"
            print(f"{done}: {outcome.seconds:.0f} s, {state}", flush=True)
            if failure:
                failures.append(f"FAILED {done}, {failure}")
    if failures:
        raise SystemExit("\n".join([*failures, "What these runs measured is not recorded."]))


def measure(path, profile, seed):
    """Run one notebook on one seed.

    Parameters
    ----------
    path : Path
    profile : {"full", "lite"}
    seed : int

    Returns
    -------
    outcome : helpers.course.run.Outcome
    values : dict of str to float
        What its smoke tests measured, by their names.
    failure : str or None
        Why these numbers must not be recorded.
    """
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder) / "noted.jsonl"
        settings = {
            "COURSE_PROFILE": profile,
            "COURSE_SEED": str(seed),
            "COURSE_RECORD": str(noted),
            "COURSE_FIGURES": str(notebooks.BUILD / "figures"),
        }
        outcome = run.execute(notebooks.read(path), path, settings)
        lines = records.read(noted)
    values = {name: value for line in lines for name, value in line["values"].items()}
    chapter = path.name[:2]
    failure = outcome.failure
    if {(line["profile"], line["seed"]) for line in lines} - {(profile, seed)}:
        failure = failure or f"it measured in another profile or on another seed: {lines[-1]}"
    if foreign := [name for name in values if not name.startswith(f"{chapter}/")]:
        failure = failure or f"names of smoke tests must start with '{chapter}/', not {foreign}"
    return outcome, values, failure

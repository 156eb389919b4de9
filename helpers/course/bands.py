"""Run the notebooks on several seeds, and keep what they measured in ``data/bands.json``."""

from __future__ import annotations

from helpers import records as bands
from helpers.course import notebooks, run


def add_parser(commands):
    parser = commands.add_parser("bands", help="measure the bands that claims are tested with")
    parser.add_argument("notebooks", nargs="*", metavar="NN", help="default: 01 to 06")
    parser.add_argument("--profile", choices=("full", "lite"), help="default: both")
    parser.add_argument("--seeds", type=int, default=8, help="default: 8, from seed 0 on")
    parser.set_defaults(main=main)


def main(arguments):
    if arguments.seeds < 2:
        raise notebooks.UsageError(
            f"--seeds must be 2 or more, not {arguments.seeds}: a band has a width"
        )
    paths = notebooks.find(arguments.notebooks)
    profiles = (arguments.profile,) if arguments.profile else ("lite", "full")
    for profile in profiles:
        run.settle_profile(profile, strict=True)  # before hours of work, not after
    record = notebooks.BUILD / "bands.jsonl"
    record.parent.mkdir(exist_ok=True)
    record.unlink(missing_ok=True)
    failures = []
    for profile in profiles:
        for seed in range(arguments.seeds):
            for path in paths:
                outcome = run.execute(
                    notebooks.read(path),
                    path,
                    {
                        "COURSE_PROFILE": profile,
                        "COURSE_SEED": str(seed),
                        "COURSE_RECORD": str(record),
                        "COURSE_FIGURES": str(notebooks.BUILD / "figures"),
                    },
                )
                state = outcome.failure or "done"
                line = f"{path.stem}, {profile}, seed {seed}: {outcome.seconds:.0f} s, {state}"
                print(line, flush=True)
                if outcome.failure:
                    failures.append(line)
    if failures:
        # a band of fewer seeds would look like any other: keep the record, change nothing
        raise SystemExit("\n".join([f"data/bands.json is unchanged; {record} is kept.", *failures]))
    if not record.exists():
        raise SystemExit("Nothing was recorded: these notebooks call no `within`.")
    bands.merge(record)

"""``python -m helpers.course``: the commands of the course."""

from __future__ import annotations

import argparse
import sys

try:
    from helpers import session
    from helpers.course import bands, bench, doctor, notebooks, release, run, train
except ModuleNotFoundError as error:
    # not even the doctor could be imported, to say it
    raise SystemExit(
        f"{error.name} is not installed: python -m pip install -r requirements.txt"
    ) from error


def main(argv=None):
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.course", description="The commands of the course."
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    for command in (run, release, doctor, bench, bands, train):
        command.add_parser(commands)
    arguments = parser.parse_args(argv)
    # a Windows console of an old code page has no check mark: print "?" instead of failing
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        session.profile()
    except ValueError as error:
        parser.error(str(error))
    try:
        arguments.main(arguments)
    except notebooks.UsageError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None


if __name__ == "__main__":
    main()

"""``python -m helpers.course``: the commands of the course."""

from __future__ import annotations

import argparse
import codecs
import errno
import importlib
import signal
import sys
from pathlib import Path

from helpers import session
from helpers.course.notebooks import UsageError

COMMANDS = (
    "run",
    "release",
    "pack",
    "site",
    "grade",
    "explore",
    "doctor",
    "bench",
    "bands",
    "train",
)

# A full or read-only disk, a folder of somebody else: no line of the course can mend these.
NOT_A_BUG = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM}

# What an output that is not UTF-8 gets, for example a Windows console of an old code page.
PLAIN = {"✓": "ok", "✗": "WRONG", "–": "-", "—": "-", "…": "...", "×": "x", "−": "-", "→": "->"}


def main(argv=None):
    """Parse the command line and run one command.

    What a person can mend is said in one line; a bug keeps its traceback.
    """
    make_printable(sys.stdout, sys.stderr)
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        _check_settings()
        arguments.main(arguments)
    except UsageError as error:
        raise SystemExit(f"error: {error}") from error
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        if package == "helpers":
            raise
        advice = "python -m pip install -r requirements.txt"
        raise SystemExit(f"{package} is not installed: {advice}") from error
    except OSError as error:
        if error.errno not in NOT_A_BUG:
            raise
        where = error.filename2 or error.filename  # the second is what a copy was to be
        raise SystemExit(f"error: {error.strerror}{f': {where}' if where else ''}") from error


def _parse(argv):
    """Parse arguments; only the module of the wanted command is imported, so help is instant."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers.course", description="The commands of the course."
    )
    commands = parser.add_subparsers(metavar="command", required=True)
    if argv and argv[0] in COMMANDS:
        importlib.import_module(f"helpers.course.{argv[0]}").add_parser(commands)
    else:
        for name in COMMANDS:
            commands.add_parser(name, help=_summary(name))
    if not argv:
        parser.print_help(sys.stderr)
        raise SystemExit(2)
    return parser.parse_args(argv)


def _summary(name):
    """Read the first line of a command's docstring, without importing the command."""
    source = Path(__file__).with_name(f"{name}.py").read_text(encoding="utf-8")
    return source.split('"""')[1].splitlines()[0].removesuffix(".").replace("%", "%%")


def _check_settings():
    try:
        session.profile()
        session.seed()
    except ValueError as error:
        raise UsageError(error) from None


def make_printable(*streams):
    """Let each stream print `PLAIN` for what its encoding lacks, and "?" for all else.

    Examples
    --------
    >>> import io
    >>> console = io.TextIOWrapper(io.BytesIO(), encoding="ascii", write_through=True)
    >>> make_printable(console)
    >>> print("✓ 3 × 2 = 6", file=console, end="")
    >>> console.buffer.getvalue()
    b'ok 3 x 2 = 6'
    """
    codecs.register_error("course", _plain)
    for stream in streams:
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="course")


def _plain(error):
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in lacking), error.end


if __name__ == "__main__":
    # whoever ends a command ends what it started, too, and leaves nothing half-done behind
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main()

"""Write one page that runs two networks backwards in a browser, without a server or a network."""

from __future__ import annotations

from pathlib import Path

from helpers.course import notebooks


def add_parser(commands):
    """Say what the command takes."""
    parser = commands.add_parser(
        "explore",
        description="Write a page that opens from a USB stick, on a phone too: draw a digit, "
        "choose another one, and watch two networks change the picture into it.",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="default: build/explore.html")
    parser.set_defaults(main=main)


def main(arguments):
    """Run the command."""
    from helpers import explore

    path = (arguments.out or notebooks.BUILD / "explore.html").expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise notebooks.UsageError(f"--out must be a file whose name ends in .html, not {path}")
    if path.parent.is_file() or path.is_dir():
        raise notebooks.UsageError(f"--out must be a file in a folder, not {path}")
    try:
        text = explore.page()
    except FileNotFoundError as error:
        raise notebooks.UsageError(error) from None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{path}: {len(text.encode()) / 1e6:.1f} MB; a double click opens it in a browser")

"""The command line: ``python -m helpers.course``. Notebooks never import it."""

from helpers import unsupported

if unsupported():
    raise SystemExit(unsupported())

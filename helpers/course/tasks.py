"""Where independent pieces of work are done: here, or on the computers of a scheduler."""

from __future__ import annotations

import concurrent.futures
import contextlib

from helpers.course.notebooks import UsageError


def add_option(parser):
    """Add the option that all commands with such work share."""
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of Dask, to use many computers")


@contextlib.contextmanager
def executor(scheduler=None, jobs=None):
    """Give something to submit work to, in the form of `concurrent.futures`.

    Parameters
    ----------
    scheduler : str, optional
        Address of a Dask scheduler. Work of a worker that is lost is done again by another one.
    jobs : int, optional
        Without a scheduler: how many threads there are, each of which may keep a process busy.
        Without both, work is done in this thread, a piece when its result is asked of ``map``.

    Yields
    ------
    concurrent.futures.Executor

    Raises
    ------
    UsageError
        If Dask is not installed, or nothing answers at the address.

    Examples
    --------
    >>> with executor() as here:
    ...     list(here.map(abs, [-1, 2]))
    [1, 2]
    """
    if scheduler:
        with _client(scheduler) as client:
            yield client.get_executor(pure=False)
    elif jobs is None:
        yield _Here()
    else:
        pool = concurrent.futures.ThreadPoolExecutor(jobs)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


class _Here(concurrent.futures.Executor):
    """What `map` does is done one piece at a time; Ctrl-C reaches it, as it does not a thread."""

    def map(self, function, *values):
        return map(function, *values)


def _client(address):
    try:
        from distributed import Client
    except ModuleNotFoundError:
        raise UsageError(
            '--scheduler needs Dask: python -m pip install -c constraints.txt -e ".[scheduler]"'
        ) from None
    try:
        return Client(address, timeout=10)
    except (OSError, ValueError) as error:
        raise UsageError(f"no Dask scheduler answers at {address}: {error}") from error

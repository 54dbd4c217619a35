"""Faults before and after every single thing that a move asks of the kernel or the database.

The points are counted, not listed: whatever `Syscalls` has and whatever statement is run is a
point, so one that is added later is tried too.
"""

import errno
import os
import signal
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from pbxapi.errors import DatabaseUnavailable
from pbxapi.recordings.syscalls import Syscalls

When = Literal["before", "after"]
ERRORS = (errno.EIO, errno.ENOSPC, errno.EACCES, errno.EXDEV)
#: They report no error.
NEVER_FAIL = frozenset({"close", "is_writable"})
SYSCALLS = tuple(name for name in vars(Syscalls) if not name.startswith("_"))


class Point(NamedTuple):
    """Before or after the n-th call of a move, counted from 0."""

    call: int
    when: When


class Trace:
    """Counts calls, and lets one of them come to grief.

    Attributes:
        calls: Names of the calls so far; statements begin with "sql ".
    """

    def __init__(
        self, point: Point | None = None, act: Callable[[str], None] | None = None
    ) -> None:
        self.calls: list[str] = []
        self._point = point
        self._act = act

    def before(self, name: str) -> int:
        index = len(self.calls)
        self.calls.append(name)
        self._strike(index, "before")
        return index

    def after(self, index: int) -> None:
        self._strike(index, "after")

    def _strike(self, index: int, when: When) -> None:
        if self._act is not None and self._point == (index, when):
            self._act(self.calls[index])


def kill(_name: str) -> None:
    """As `kill -9`, and the power switch."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(number: int) -> Callable[[str], None]:
    """The call fails with this error; a statement fails as the database does."""

    def act(name: str) -> None:
        if name.startswith("sql "):
            raise DatabaseUnavailable("it went away")
        raise OSError(number, os.strerror(number))

    return act


class FaultySyscalls(Syscalls):
    """The real system calls, each of them a point of a trace.

    Args:
        trace: Told before and after each.
        renames: False for a file system that has no RENAME_NOREPLACE.
    """

    def __init__(self, trace: Trace, *, renames: bool = True) -> None:
        self.trace = trace
        self.renames = renames


def _wrapped(name: str) -> Callable[..., Any]:
    original = getattr(Syscalls, name)

    def call(self: FaultySyscalls, *args: Any, **options: Any) -> Any:
        index = self.trace.before(name)
        if name == "rename_to_new" and not self.renames:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        result = original(self, *args, **options)
        try:
            self.trace.after(index)
        except OSError:
            if name == "open":
                os.close(result)
            raise
        return result

    return call


for _name in SYSCALLS:
    setattr(FaultySyscalls, _name, _wrapped(_name))


class FaultyQueries:
    """The database, each of its statements a point of a trace."""

    def __init__(self, queries: Any, trace: Trace) -> None:
        self._queries = queries
        self._trace = trace

    async def fetch(self, name: str, /, *args: object) -> Any:
        index = self._trace.before(f"sql {name}")
        rows = await self._queries.fetch(name, *args)
        self._trace.after(index)
        return rows

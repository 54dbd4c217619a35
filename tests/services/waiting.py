"""Waiting for a condition with a deadline: what tests do instead of sleeping for luck."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

#: Between two looks; short beside any deadline, long beside what a look costs.
_POLL_S = 0.02

T = TypeVar("T")


@overload
async def eventually(probe: Callable[[], Awaitable[T]], *, within_s: float, what: str) -> T: ...


@overload
async def eventually(probe: Callable[[], T], *, within_s: float, what: str) -> T: ...


async def eventually(probe: Callable[[], Any], *, within_s: float, what: str) -> Any:
    """The first truthy value of `probe`, which may be a coroutine function.

    Raises:
        AssertionError: naming `what` was awaited and what was seen last.
    """
    deadline = time.monotonic() + within_s
    while True:
        seen = probe()
        if inspect.isawaitable(seen):
            seen = await seen
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}; last seen: {seen!r}")
        await asyncio.sleep(_POLL_S)


def eventually_blocking(probe: Callable[[], T], *, within_s: float, what: str) -> T:
    """`eventually` for code outside an event loop: session fixtures."""
    deadline = time.monotonic() + within_s
    while not (seen := probe()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s} s: {what}; last seen: {seen!r}")
        time.sleep(_POLL_S)
    return seen

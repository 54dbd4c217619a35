"""A few threads for calls that may hang with a network share, and never keep the process alive.

The threads of `concurrent.futures` are waited for when the interpreter ends; these are daemons.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

T = TypeVar("T")

_Job = Callable[[], None]

#: Recordings are moved by scripts at night, not by crowds; a share that hangs holds one each.
SIZE: Final = 4


class Threads:
    """At most `size` threads, started when first needed.

    Args:
        size: How many calls run at once; the others wait in order.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._size = size
        self._started = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()

    async def run(self, work: Callable[..., T], /, *args: Any) -> T:
        """What `work` returns or raises; who stops waiting leaves the call to its end."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def tell(report: Callable[..., None], what: object) -> None:
            def report_unless_left() -> None:
                if not future.done():
                    report(what)

            with suppress(RuntimeError):  # the loop is closed: nobody is interested
                loop.call_soon_threadsafe(report_unless_left)

        def job() -> None:
            if future.cancelled():
                return
            try:
                result = work(*args)
            except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                tell(future.set_exception, error)
            else:
                tell(future.set_result, result)

        self._jobs.put(job)
        self._start_one()
        return await future

    def close(self) -> None:
        """Let the threads end that do not hang."""
        for _ in range(self._started):
            self._jobs.put(None)

    def _start_one(self) -> None:
        if self._started < self._size:
            self._started += 1
            threading.Thread(target=self._work, name="recordings", daemon=True).start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

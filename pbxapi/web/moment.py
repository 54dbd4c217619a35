"""One instant for all requests that are answered in one round of the event loop."""

import asyncio
import time


class Moment:
    """Monotonic seconds that stand still within a round of the loop.

    What is answered in a round was received before it, so an instant within that round is between
    every such request and its answer, and they may share one body.
    """

    def __init__(self) -> None:
        self._now: float | None = None

    def __call__(self) -> float:
        """This round's instant."""
        if self._now is None:
            self._now = time.monotonic()
            asyncio.get_running_loop().call_soon(self._end)
        return self._now

    def _end(self) -> None:
        self._now = None

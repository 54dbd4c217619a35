"""Clients that ask as the pace says, and what comes of it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Final, Protocol

from pbxapi.load.connection import Answer
from pbxapi.load.mix import Question
from pbxapi.load.pace import Pace
from pbxapi.load.tally import Tally

#: Pause of a client that got no connection, as long as nothing else makes it wait.
RETRY_S: Final = 0.1
#: The loop wakes up a whole millisecond late at most; so much earlier a client may begin.
_EARLY_S: Final = 0.001


class Asking(Protocol):
    """Somebody who sends requests, one at a time."""

    async def ask(self, request: bytes, /) -> Answer:
        """Send one and wait for what comes of it."""


class Generator:
    """Runs the clients of one run.

    Args:
        questions: What to ask, in order, without end.
        pace: When to ask.
        clock: Seconds, the clock of the pace.
        sleep: Waits for so many seconds of that clock.

    Attributes:
        tallies: What has come of the requests, by action.
        begun: How many were sent, or would have been if there had been a connection.
    """

    def __init__(
        self,
        questions: Iterator[Question],
        pace: Pace,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._questions = questions
        self._pace = pace
        self._clock = clock
        self._sleep = sleep
        self.tallies: dict[str, Tally] = {}
        self.begun = 0

    async def client(self, connection: Asking) -> None:
        """Ask until the pace has no more moments."""
        while (moment := self._pace.next(self._clock())) is not None:
            wait_s = moment - self._clock() - _EARLY_S
            if wait_s > 0:
                await self._sleep(wait_s)
            question = next(self._questions)
            began = min(moment, self._clock())
            self.begun += 1
            answer = await connection.ask(question.request)
            tally = self.tallies.setdefault(question.action, Tally())
            tally.add(self._clock() - began, answer.failure, len(answer.body))
            if not answer.is_connected:
                await self._sleep(RETRY_S)

    async def run(self, connections: Iterable[Asking]) -> None:
        """Let all clients ask to the end; cancelled, what is under way is left."""
        async with asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(self.client(connection))

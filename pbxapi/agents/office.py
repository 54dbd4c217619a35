"""The call centre's agents put together: who they are, what they ask for, and what keeps it so."""

import asyncio
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import NoReturn, Self

from pbxapi.access.passwords import PasswordChecker
from pbxapi.agents.asking import Pbx
from pbxapi.agents.desk import AgentDesk
from pbxapi.agents.difference import Change
from pbxapi.agents.keeper import AgentKeeper
from pbxapi.agents.membership import Picture
from pbxapi.agents.pauses import PauseFollower
from pbxapi.agents.pins import AgentPins
from pbxapi.directory.agents import Agents


class AgentOffice:
    """Everything about agents.

    Args:
        agents: The directory.
        pbx: Asterisk.
        picture: What its queues look like.
        listed_anew: Set whenever that is known anew.
        passwords, max_failures, lockout_s: See `AgentPins`.

    Attributes:
        pins: Tells who an agent is.
        desk: Changes what agents are.
    """

    def __init__(
        self,
        agents: Agents,
        pbx: Pbx,
        picture: Picture,
        listed_anew: asyncio.Event,
        passwords: PasswordChecker,
        *,
        max_failures: int,
        lockout_s: float,
    ) -> None:
        self.pins = AgentPins(agents, passwords, max_failures=max_failures, lockout_s=lockout_s)
        self.desk = AgentDesk(agents, pbx, picture, self)
        self._keeper = AgentKeeper(agents, picture, self.desk, listed_anew)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.pins.close()

    def changed(self, numbers: Iterable[str]) -> None:
        """What the directory says of the agents with these numbers is new."""
        self.pins.changed(numbers)

    def doubtful(self, agent_ids: Iterable[int], attempted: Sequence[Change]) -> None:
        """Asterisk may not agree with the directory about these agents."""
        self._keeper.doubtful(agent_ids, attempted)

    async def run(self, pauses: PauseFollower) -> NoReturn:
        """Keep Asterisk and the directory in agreement, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keeper.run())
            group.create_task(pauses.run(self.desk))
        raise AssertionError("neither task ends")

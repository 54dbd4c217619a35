"""Makes Asterisk's queues agree with the directory when they may have come apart.

That is after every new session, every boot of Asterisk, which may have lost its members or kept
those of yesterday, and every reload of its queues; and about single agents when a request of theirs
came to nothing. It is not done all the time: what a supervisor changes at Asterisk's command line
is not fought over.
"""

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, NoReturn, Protocol

import structlog

from pbxapi.agents.difference import Change, difference
from pbxapi.agents.membership import Picture, places
from pbxapi.directory.agent import Agent
from pbxapi.errors import DatabaseUnavailable, PbxRefused, PbxUnavailable

#: Agents settled at a time: Asterisk has calls to carry too.
WORKERS: Final = 4
#: What failed is tried again after this, or sooner when there is a new session.
RETRY_S: Final = 2.0

#: More doubts than these are too many to be worked off one by one: everything is compared.
MAX_DOUBTS: Final = 1000

_log = structlog.get_logger()


class Doubt(NamedTuple):
    """Agents about whom Asterisk may not agree, and what of theirs may be so or not."""

    agent_ids: frozenset[int]
    attempted: tuple[Change, ...] = ()


class Directory(Protocol):
    """What the keeper needs to know of the agents."""

    async def all(self) -> Sequence[Agent]:
        """All agents; raises DatabaseUnavailable."""


class Settler(Protocol):
    """Who makes some agents agree."""

    async def settle(
        self, agent_ids: frozenset[int], attempted: Sequence[Change], /
    ) -> list[PbxRefused]:
        """Make Asterisk agree with the directory; returns what it refused.

        Raises:
            PbxUnavailable, DatabaseUnavailable: it may agree or not.
        """


class AgentKeeper:
    """Runs in the background.

    Args:
        agents: The directory.
        picture: What Asterisk's queues look like.
        desk: Makes one agent agree.
        listed_anew: Set whenever the picture is new, cleared here.
    """

    def __init__(
        self, agents: Directory, picture: Picture, desk: Settler, listed_anew: asyncio.Event
    ) -> None:
        self._agents = agents
        self._picture = picture
        self._desk = desk
        self._listed_anew = listed_anew
        self._wake = asyncio.Event()
        self._all_due = False
        self._doubts: list[Doubt] = []
        self._told: set[tuple[frozenset[int], str]] = set()
        self._failing = False

    def doubtful(self, agent_ids: Iterable[int], attempted: Sequence[Change], /) -> None:
        """Asterisk may not agree with the directory about these agents."""
        self._doubts.append(Doubt(frozenset(agent_ids), tuple(attempted)))
        if len(self._doubts) > MAX_DOUBTS:
            self._doubts.clear()
            self._all_due = True
        self._wake.set()

    async def run(self) -> NoReturn:
        """Settle what is due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._listen())
            group.create_task(self._keep_settling())
        raise AssertionError("neither task ends")

    async def _listen(self) -> NoReturn:
        while True:
            await self._listed_anew.wait()
            self._listed_anew.clear()
            self._told.clear()
            self._doubts.clear()  # the picture is newer, and all of it is compared
            self._all_due = True
            self._wake.set()

    async def _keep_settling(self) -> NoReturn:
        delay_s: float | None = None
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._wake.wait()
            self._wake.clear()
            delay_s = None if await self.settle_what_is_due() else RETRY_S

    async def settle_what_is_due(self) -> bool:
        """Do it once; False where it has to be tried again."""
        try:
            await self._settle_all()
            await self._settle_doubts()
        except (PbxUnavailable, DatabaseUnavailable) as error:
            tell = _log.debug if self._failing else _log.warning
            tell("agents.not_settled", error=str(error))
            self._failing = True
            return False
        self._failing = False
        return True

    async def _settle_all(self) -> None:
        if not self._all_due:
            return
        self._all_due = False
        try:
            self._picture.members()  # without a picture there is no use in asking the directory
            everyone = await self._agents.all()
            ids = {agent.name: agent.id for agent in everyone}
            wanted = [place for agent in everyone for place in places(agent)]
            changes = difference(wanted, self._picture.members(), ids.keys())
            apart = dict.fromkeys(ids[each.place.name] for each in changes)
            await self._settle([Doubt(frozenset({agent_id})) for agent_id in apart])
        except (PbxUnavailable, DatabaseUnavailable):
            self._all_due = True
            raise
        _log.info("agents.agree", agents=len(everyone), were_apart=len(apart))

    async def _settle_doubts(self) -> None:
        doubts, self._doubts = self._doubts, []
        try:
            await self._settle(doubts)
        except (PbxUnavailable, DatabaseUnavailable):
            self._doubts = [*doubts, *self._doubts]
            raise

    async def _settle(self, doubts: Iterable[Doubt]) -> None:
        """Settle these agents, a few at a time, until one cannot be.

        Raises:
            PbxUnavailable, DatabaseUnavailable: the first failure.
        """
        refused = await self._settle_once(doubts)
        # One may have had the place of another, and have left it since.
        for doubt, refusals in (await self._settle_once(refused)).items():
            self._tell(doubt, refusals)

    async def _settle_once(self, doubts: Iterable[Doubt]) -> dict[Doubt, list[PbxRefused]]:
        rest = iter(doubts)
        failures: list[PbxUnavailable | DatabaseUnavailable] = []
        refused: dict[Doubt, list[PbxRefused]] = {}

        async def work() -> None:
            for doubt in rest:
                try:
                    refusals = await self._desk.settle(doubt.agent_ids, doubt.attempted)
                except (PbxUnavailable, DatabaseUnavailable) as error:
                    failures.append(error)
                else:
                    if refusals:
                        refused[doubt] = refusals
                if failures:
                    return

        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(work())
        if failures:
            raise failures[0]
        return refused

    def _tell(self, doubt: Doubt, refusals: Iterable[PbxRefused]) -> None:
        """Log what cannot be, once a session."""
        for refusal in refusals:
            if (doubt.agent_ids, str(refusal)) not in self._told:
                self._told.add((doubt.agent_ids, str(refusal)))
                ids = sorted(doubt.agent_ids)
                _log.warning("agents.member_refused", agent_ids=ids, error=str(refusal))

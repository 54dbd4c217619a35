"""What agents ask for: Asterisk first, the directory last, and its row is what counts.

Where Asterisk refuses or the directory cannot be written, what Asterisk has granted is taken back.
Where Asterisk does not answer, nobody knows what has become of it: `on_doubt` is told, and who
listens there makes Asterisk agree with the directory again.

A request is carried out to its end though its client has gone: aiohttp does not cancel handlers.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from pbxapi.agents.asking import Asking, Pbx
from pbxapi.agents.difference import Change, difference, insist
from pbxapi.agents.membership import Picture, Place, as_place, interface, is_ours, places
from pbxapi.agents.pins import WrongPin
from pbxapi.agents.turns import Turns
from pbxapi.cache.queues.queue import key_of
from pbxapi.directory.agent import Agent, Assignment, Login, Queue
from pbxapi.directory.lines import Line
from pbxapi.errors import DatabaseUnavailable, PbxRefused, PbxUnavailable

_log = structlog.get_logger()


class Agents(Protocol):
    """The directory; all raise DatabaseUnavailable."""

    async def by_ids(self, ids: Iterable[int], /) -> Sequence[Agent]:
        """These agents, as far as they are there."""

    async def by_name(self, name: str, /) -> Agent | None:
        """The agent with this member name."""

    async def at_line(self, extension_id: int, /) -> frozenset[int]:
        """Ids of the agents who are logged in from a line."""

    async def log_in(
        self, agent_id: int, account_id: int, *, paused: bool, instead_of: Iterable[int] = ()
    ) -> None:
        """He is logged in there now and nowhere else; those who were there are logged out."""

    async def log_out(self, agent_id: int, /) -> None:
        """He is not logged in anywhere."""

    async def set_paused(self, agent_id: int, paused: bool, /) -> None:
        """Keep a pause, as long as the login lasts."""

    async def queue_by_name(self, name: str, /) -> Queue | None:
        """The queue of this name."""

    async def assign(self, agent_id: int, queue_id: int, penalty: int, /) -> None:
        """He serves the queue with this penalty from now on."""

    async def unassign(self, agent_id: int, queue_id: int, /) -> None:
        """He does not serve the queue."""


class Listener(Protocol):
    """Who has to know what the desk does."""

    def changed(self, numbers: Iterable[str], /) -> None:
        """What the directory says of the agents with these numbers is new."""

    def doubtful(self, agent_ids: Iterable[int], attempted: Sequence[Change], /) -> None:
        """Asterisk may not agree with the directory about these agents."""


def _seat(line: Line) -> str:
    """The interface of who sits at a line, for comparison."""
    return key_of(interface(line.internal_num, line.dialplan_id))


class AgentDesk:
    """Logs agents in and out, pauses them, and assigns queues to them.

    All methods raise DatabaseUnavailable, PbxUnavailable, or PbxRefused; then nothing has changed,
    or will not have changed as soon as Asterisk answers again.
    """

    def __init__(self, agents: Agents, pbx: Pbx, picture: Picture, listener: Listener) -> None:
        self._agents = agents
        self._asking = Asking(pbx, picture)
        self._picture = picture
        self._listener = listener
        self._turns = Turns()

    async def queue_by_name(self, name: str, /) -> Queue | None:
        """The queue of this name, as the directory has it."""
        return await self._agents.queue_by_name(name)

    async def log_in(self, agent_id: int, line: Line) -> None:
        """He is a member of all his queues from this line, by its first account, and nowhere else.

        Whoever is logged in there is logged out: an interface is in a queue only once. Members of
        agents who are not logged in there go too.
        """
        others = await self._at(line)
        while True:
            about = others | {agent_id}
            async with self._turns.of(about):
                others = await self._at(line)
                if others <= about:
                    await self._log_in(agent_id, others - {agent_id}, line)
                    return

    async def _at(self, line: Line) -> frozenset[int]:
        """Ids of the agents who are logged in from a line, and of those whom Asterisk has there."""
        sitting = await self._agents.at_line(line.id)
        seat, members = _seat(line), self._picture.members()
        names = {each.name for each in members if key_of(each.interface) == seat and is_ours(each)}
        left = [await self._agents.by_name(name) for name in sorted(names)]
        return sitting | {agent.id for agent in left if agent is not None}

    async def _log_in(self, agent_id: int, others: frozenset[int], line: Line) -> None:
        found = {agent.id: agent for agent in await self._agents.by_ids({agent_id, *others})}
        if agent_id not in found:
            raise WrongPin
        agent = found.pop(agent_id)
        displaced = [
            other.id
            for other in found.values()
            if other.login is not None and other.login.extension_id == line.id
        ]
        account = line.accounts[0]
        paused = agent.login is not None and agent.login.paused
        login = Login(line.id, line.internal_num, line.dialplan_id, account, paused)
        seat = _seat(line)
        stays_elsewhere = {other.name for other in found.values() if other.id not in displaced}
        changes = difference(
            places(replace(agent, login=login)),
            [
                member
                for member in self._picture.members()
                if member.name not in stays_elsewhere or key_of(member.interface) == seat
            ],
            {agent.name, *(other.name for other in found.values())},
        )
        await self._carry_out(
            [agent, *found.values()],
            changes,
            lambda: self._agents.log_in(
                agent_id, account.id, paused=paused, instead_of=sorted(displaced)
            ),
        )
        for gone in displaced:
            _log.info("agents.displaced", number=found[gone].number, by=agent.number)

    async def log_out(self, agent_id: int) -> None:
        """He is a member of no queue; one who is logged out stays so.

        Members of his name may be there all the same: his line was deleted, or somebody put him
        there. That needs Asterisk only where some are known.
        """
        async with self._turns.of({agent_id}):
            for agent in await self._agents.by_ids({agent_id}):
                changes: tuple[Change, ...] = ()
                try:
                    changes = difference((), self._picture.members(), {agent.name})
                except PbxUnavailable:
                    if agent.login is not None:
                        raise
                if agent.login is not None or changes:
                    await self._carry_out([agent], changes, lambda: self._agents.log_out(agent_id))

    async def set_paused(self, agent_id: int, paused: bool, /) -> None:
        """He gets calls from none of his queues, or from all; nothing where he is logged out."""
        async with self._turns.of({agent_id}):
            for agent in await self._agents.by_ids({agent_id}):
                if agent.login is not None:
                    changes = [
                        Change(place, replace(place, paused=paused))
                        for place in self._places_of(agent)
                        if place.paused != paused
                    ]
                    await self._carry_out(
                        [agent], changes, lambda: self._agents.set_paused(agent_id, paused)
                    )

    async def assign(self, agent_id: int, queue: Queue, penalty: int | None) -> None:
        """He serves the queue; without a penalty with the one that he has there, or 0."""
        async with self._turns.of({agent_id}):
            for agent in await self._agents.by_ids({agent_id}):
                before = {each.queue.id: each.penalty for each in agent.queues}
                new = before.get(queue.id, 0) if penalty is None else penalty
                changed = replace(agent, queues=(Assignment(queue, new),))
                await self._carry_out(
                    [agent],
                    self._difference_in(queue, agent, places(changed)),
                    partial(self._agents.assign, agent_id, queue.id, new),
                )

    async def unassign(self, agent_id: int, queue: Queue) -> None:
        """He does not serve the queue; nor did he perhaps."""
        async with self._turns.of({agent_id}):
            for agent in await self._agents.by_ids({agent_id}):
                await self._carry_out(
                    [agent],
                    self._difference_in(queue, agent, ()),
                    lambda: self._agents.unassign(agent_id, queue.id),
                )

    # -- called by the keeper

    async def settle(
        self, agent_ids: frozenset[int], attempted: Sequence[Change] = ()
    ) -> list[PbxRefused]:
        """Make Asterisk agree with the directory about some agents; returns what it refused.

        Args:
            agent_ids: Who.
            attempted: What may be so or not: asked for again in the sense of the directory.
        """
        refusals = []
        async with self._turns.of(agent_ids):
            agents = await self._agents.by_ids(agent_ids)
            names = {agent.name for agent in agents}
            wanted = [place for agent in agents for place in places(agent)]
            changes = difference(wanted, self._picture.members(), names)
            doubtful = [change for change in attempted if not self._is_taken(change.place, names)]
            for change in (*changes, *insist(doubtful, wanted, changes)):
                try:
                    await self._asking.ask(change)
                except PbxRefused as refusal:
                    refusals.append(refusal)
        return refusals

    async def follow_pause(self, name: str) -> None:
        """Keep the pause that somebody has begun or ended at Asterisk, if it is in all queues."""
        found = await self._agents.by_name(name)
        if found is None:
            return
        async with self._turns.of({found.id}):
            for agent in await self._agents.by_ids({found.id}):
                states = {place.paused for place in self._places_of(agent)}
                if agent.login is not None and states == {not agent.login.paused}:
                    await self._agents.set_paused(agent.id, not agent.login.paused)
                    self._listener.changed([agent.number])
                    _log.info("agents.pause_followed", number=agent.number, paused=states.pop())

    # -- inside

    def _places_of(self, agent: Agent) -> list[Place]:
        return [
            as_place(member)
            for member in self._picture.members()
            if member.name == agent.name and is_ours(member)
        ]

    def _is_taken(self, place: Place, names: Collection[str]) -> bool:
        """Whether somebody else has come there."""
        there = self._picture.member(place.queue, place.interface)
        return there is not None and there.name not in names

    def _difference_in(
        self, queue: Queue, agent: Agent, wanted: Iterable[Place]
    ) -> tuple[Change, ...]:
        if agent.login is None:
            return ()
        name = key_of(queue.name)
        there = [member for member in self._picture.members() if key_of(member.queue) == name]
        return difference(wanted, there, {agent.name})

    async def _carry_out(
        self,
        agents: Sequence[Agent],
        changes: Sequence[Change],
        commit: Callable[[], Awaitable[None]],
    ) -> None:
        """Make the changes and then the row that says so; the caller has the agents' turn."""
        about = [agent.id for agent in agents]
        attempted: list[Change] = []
        try:
            await self._asking.make(changes, attempted)
            await commit()
            if not await self._asking.until_seen(attempted):
                self._listener.doubtful(about, ())
        except DatabaseUnavailable:
            await self._asking.take_back(attempted)
            # It may have been written all the same: what it says when it can be read again counts.
            self._listener.doubtful(about, attempted)
            raise
        except (PbxUnavailable, PbxRefused):
            if attempted:
                self._listener.doubtful(about, attempted)
            raise
        finally:
            self._listener.changed([agent.number for agent in agents])

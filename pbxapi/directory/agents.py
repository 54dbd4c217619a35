"""Agents of the call centre: who they are, which queues they serve, where they are logged in.

What an agent is lives here; Asterisk's queues are made to agree with it (`pbxapi.agents`). The
relations may be views without constraints, so what could not be a queue member is left out here,
whatever the schema promises.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter
from typing import Final

import structlog

from pbxapi.directory.agent import Agent, Assignment, Login, Queue
from pbxapi.directory.lines import Queries, Row, account_in, is_account, is_text

#: Asterisk cuts a member's name at 79 bytes (app_queue.c, struct member, 16 to 22), perhaps within
#: a letter; then it would not be the name that was meant.
MAX_MEMBER_NAME_BYTES: Final = 79
#: What Asterisk dials must be one extension of one dial plan.
_EXTENSION: Final = re.compile(r"[0-9*#+]{1,79}", re.ASCII)

_log = structlog.get_logger()


class Agents:
    """Finds agents and changes what they are; every method raises DatabaseUnavailable."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def all(self) -> tuple[Agent, ...]:
        """All agents, logged in or not."""
        return _agents(await self._queries.fetch("agents"))

    async def by_number(self, number: str, /) -> Agent | None:
        """The agent with this number."""
        if not is_text(number):
            return None
        return _only(_agents(await self._queries.fetch("agent_by_number", number)))

    async def by_name(self, name: str, /) -> Agent | None:
        """The agent with this member name."""
        if not is_text(name):
            return None
        return _only(_agents(await self._queries.fetch("agent_by_name", name)))

    async def by_ids(self, ids: Iterable[int], /) -> tuple[Agent, ...]:
        """These agents, as far as they are there."""
        return _agents(await self._queries.fetch("agents_by_id", list(ids)))

    async def at_line(self, extension_id: int, /) -> frozenset[int]:
        """Ids of the agents who are logged in from a line, from whichever of its accounts."""
        rows = await self._queries.fetch("agents_at_line", extension_id)
        return frozenset(row["agent_id"] for row in rows)

    async def log_in(
        self, agent_id: int, account_id: int, *, paused: bool, instead_of: Iterable[int] = ()
    ) -> None:
        """He is logged in there now and nowhere else; those who were there are logged out."""
        gone = list(instead_of)
        await self._queries.fetch("agent_log_in", agent_id, account_id, paused, gone)

    async def log_out(self, agent_id: int) -> None:
        """He is not logged in anywhere."""
        await self._queries.fetch("agent_log_out", agent_id)

    async def set_paused(self, agent_id: int, paused: bool, /) -> None:
        """Keep a pause, as long as the login lasts."""
        await self._queries.fetch("agent_set_paused", agent_id, paused)

    async def queue_by_name(self, name: str, /) -> Queue | None:
        """The queue of this name."""
        if not is_text(name):
            return None
        for row in await self._queries.fetch("queue_by_name", name):
            return Queue(row["id"], row["name"])
        return None

    async def assign(self, agent_id: int, queue_id: int, penalty: int) -> None:
        """He serves the queue with this penalty from now on."""
        await self._queries.fetch("agent_assign", agent_id, queue_id, penalty)

    async def unassign(self, agent_id: int, queue_id: int) -> None:
        """He does not serve the queue."""
        await self._queries.fetch("agent_unassign", agent_id, queue_id)


def member_name(name: str) -> str:
    """A name as Asterisk keeps it, whole letters of it."""
    return name.encode()[:MAX_MEMBER_NAME_BYTES].decode("utf-8", "ignore")


def _only(found: tuple[Agent, ...]) -> Agent | None:
    """The one; of two nobody knows which is meant."""
    return found[0] if len(found) == 1 else None


def _agents(rows: Iterable[Row]) -> tuple[Agent, ...]:
    by_agent = groupby(rows, key=itemgetter("id"))
    return tuple(_agent(list(of_one)) for _id, of_one in by_agent)


def _agent(rows: list[Row]) -> Agent:
    first = rows[0]
    return Agent(
        id=first["id"],
        number=first["number"],
        name=member_name(first["name"] or ""),
        password_hash=first["pin_hash"] or "",
        queues=tuple(_assignment(row) for row in rows if row["queue"]),
        login=_login(first),
    )


def _assignment(row: Row) -> Assignment:
    return Assignment(Queue(row["queue_id"], row["queue"]), max(row["penalty"] or 0, 0))


def _login(row: Row) -> Login | None:
    if row["account_id"] is None:
        return None
    number = row["internal_num"] or ""
    if not is_account(row) or not _EXTENSION.fullmatch(number) or row["dialplan_id"] is None:
        _log.warning("directory.login_ignored", extension_line_id=row["account_id"])
        return None
    return Login(
        extension_id=row["extension_id"],
        internal_num=number,
        dialplan_id=row["dialplan_id"],
        account=account_in(row),
        paused=bool(row["paused"]),
    )

"""Callers and agents by the dozen at a real Asterisk, and what Asterisk itself says of its queues.

Callers are halves of Local channels, so are some of the agents (extensions_traffic.conf); the
others are telephones. Everything is asked for by a second AMI session, that of the lab's oracle.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request, queue_status
from pbxapi.ami.session import AmiSession, connect
from pbxapi.errors import PbxUnavailable
from tests.services.asterisk import Asterisk
from tests.services.waiting import eventually

REGULAR: Final = "FrontaProvoz"
FIRST: Final = "FrontaPrednost"
ANNOUNCED: Final = "FrontaOhlas"
QUEUES: Final = (REGULAR, FIRST, ANNOUNCED)

#: Limits for an answer to be behind: 1 s is long after any event on a busy machine; the slow round
#: comes by every 2 s.
EVENTS_S: Final = 1.0
ROUND_S: Final = 3.0
#: All events of what has happened have been heard, and all questions answered.
SETTLED_S: Final = 0.3

_PAUSE_S: Final = 0.05
_ORIGINATE_MS: Final = 10_000
_QUIET_S: Final = 30

Row = dict[str, Any]


class Oracle:
    """The second AMI session: makes calls, changes members, and tells the truth."""

    def __init__(self, session: AmiSession) -> None:
        self._session = session
        self.calls = 0

    async def act(self, action: str, **headers: str) -> None:
        """Send an action that has to succeed."""
        await self._session.request(Request(action, tuple(headers.items())))

    async def call(
        self, queue: str, *, patience_s: float = 20, timeout_s: float = 15, then: str = ""
    ) -> None:
        """Somebody calls, and hangs up after a while wherever he is."""
        values = {"__PATIENCE": patience_s, "QUEUE": queue, "QUEUE_TIMEOUT": timeout_s}
        values |= {"QUEUE_THEN": then}
        self.calls += 1
        headers = (
            ("Channel", "Local/caller@queue-callers/n"),
            ("Context", "queue-callers"),
            ("Exten", "wait"),
            ("Priority", "1"),
            ("Timeout", str(_ORIGINATE_MS)),
            ("CallerID", f'"O\'Neil {self.calls}" <{777000 + self.calls}>'),
            ("Async", "true"),
            *(("Variable", f"{name}={value}") for name, value in values.items()),
        )
        await self._session.request(Request("Originate", headers))

    async def add(self, queue: str, interface: str, name: str, **more: str) -> None:
        """A member joins a queue."""
        fixed = {"Queue": queue, "Interface": interface, "MemberName": name}
        await self.act("QueueAdd", **fixed, **more)

    async def queues(self) -> dict[str, Row]:
        """Every queue as `queuestatus` ought to answer it now."""
        items: list[Message] = []
        await self._session.request_list(queue_status(), items.append)
        found: dict[str, Row] = {}
        for item in items:
            fields = item.fields
            if item.event == "QueueParams":
                found[fields["Queue"]] = _queue(fields)
            elif item.event == "QueueMember":
                found[fields["Queue"]]["members"][fields["Name"]] = _member(fields)
            elif item.event == "QueueEntry":
                found[fields["Queue"]]["waiters"][fields["Position"]] = _waiter(fields)
        return found

    async def until_idle(self) -> None:
        """Wait until nobody waits in a queue or talks to a member."""

        async def idle() -> bool:
            rows = (await self.queues()).values()
            talks = any(each["isInCall"] == "1" for row in rows for each in row["members"].values())
            return not talks and all(row["calls"] == "0" for row in rows)

        await eventually(idle, within_s=_QUIET_S, what="nobody waits or talks")


def _queue(fields: Any) -> Row:
    return {
        "queueName": fields["Queue"],
        "max": fields["Max"],
        "strategy": fields["Strategy"],
        "calls": fields["Calls"],
        "holdTime": fields["Holdtime"],
        "talkTime": fields["TalkTime"],
        "completed": fields["Completed"],
        "abandoned": fields["Abandoned"],
        "serviceLevel": fields["ServiceLevel"],
        "serviceLevelPerf": fields["ServicelevelPerf"],
        "weight": fields["Weight"],
        "members": {},
        "waiters": {},
    }


def _member(fields: Any) -> Row:
    return {
        "agentName": fields["Name"],
        "location": fields["Location"],
        "loggedFrom": fields["StateInterface"],
        "membership": fields["Membership"],
        "penalty": fields["Penalty"],
        "callsTaken": fields["CallsTaken"],
        "lastCall": fields["LastCall"],
        "isInCall": fields["InCall"],
        "status": fields["Status"],
        "paused": fields["Paused"],
    }


def _waiter(fields: Any) -> Row:
    return {
        "position": fields["Position"],
        "channel": fields["Channel"],
        "uniqueid": fields["Uniqueid"],
        "callerIdNum": fields["CallerIDNum"],
        "callerIdName": fields["CallerIDName"],
        "connectedLineNum": _party(fields["ConnectedLineNum"]),
        "connectedLineName": _party(fields["ConnectedLineName"]),
        "wait": fields["Wait"],
    }


def _party(text: str) -> str | None:
    return None if text == "unknown" else text


def comparable(answer: Row) -> Row:
    """An answer of `queuestatus` without its words and PHP's empty arrays."""
    members = {
        name: {key: value for key, value in member.items() if key != "channelStatus"}
        for name, member in (answer["members"] or {}).items()
    }
    return {**answer, "members": members, "waiters": answer["waiters"] or {}}


@asynccontextmanager
async def consulting(asterisk: Asterisk) -> AsyncIterator[Oracle]:
    """An oracle that is logged in, with all members logged out of the queues for traffic."""
    session = await connect(asterisk.ami_host, asterisk.ami_port, (), lambda _event: None)
    await session.log_in(asterisk.oracle_username, asterisk.oracle_secret)
    oracle = Oracle(session)
    try:
        await _without_members(oracle)
        yield oracle
    finally:
        if asterisk.running:
            await _without_members(oracle)
        session.close(PbxUnavailable("the test is over"))


async def _without_members(oracle: Oracle) -> None:
    queues = await oracle.queues()
    for name in QUEUES:
        for member in queues[name]["members"].values():
            await oracle.act("QueueRemove", Queue=name, Interface=member["location"])
        await oracle.act("QueueReset", Queue=name)


@dataclass(slots=True)
class Tally:
    """How often answers were compared with Asterisk's own, and what came out.

    Attributes:
        comparisons: Whole queues compared, field by field.
        at_once: … that were equal at the first look.
        longest_s: For how long an answer was behind at most, where events told of the change.
        longest_round_s: … where nothing but the slow round could tell.
        differences: What was not equal for longer than it may take.
    """

    comparisons: int = 0
    at_once: int = 0
    longest_s: float = 0.0
    longest_round_s: float = 0.0
    differences: list[str] = field(default_factory=list)


class Comparer:
    """Compares `queuestatus` with Asterisk's own QueueStatus.

    Args:
        ask: Answers of `queuestatus` by the queue's name.

    Attributes:
        limit_s: For how long an answer may be behind: what events tell has to be there at once,
            what no event tells when the slow round has come by.
    """

    def __init__(self, oracle: Oracle, ask: Callable[[str], Awaitable[Row]]) -> None:
        self._oracle = oracle
        self._ask = ask
        self._behind: dict[str, float] = {}
        self.tally = Tally()
        self.limit_s = EVENTS_S

    async def look(self) -> list[str]:
        """Compare all queues once; returns what is different."""
        before = await self._oracle.queues()
        answers = await asyncio.gather(*map(self._ask, QUEUES))
        after = await self._oracle.queues()
        different = []
        now = asyncio.get_running_loop().time()
        for name, answer in zip(QUEUES, map(comparable, answers), strict=True):
            self.tally.comparisons += 1
            if answer in (before[name], after[name]):
                self._caught_up(name, now)
                continue
            since = self._behind.setdefault(name, now)
            different.append(f"{name}: {_differing(answer, after[name])}")
            if now - since > self.limit_s:
                self.tally.differences.append(different[-1])
                del self._behind[name]
        return different

    def _caught_up(self, name: str, now: float) -> None:
        since = self._behind.pop(name, None)
        if since is None:
            self.tally.at_once += 1
        elif self.limit_s == EVENTS_S:
            self.tally.longest_s = max(self.tally.longest_s, now - since)
        else:
            self.tally.longest_round_s = max(self.tally.longest_round_s, now - since)

    async def watch(self) -> NoReturn:
        """Compare until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(_PAUSE_S)

    async def agree(self, after: str) -> None:
        """All has been told: there is no difference now."""
        await asyncio.sleep(SETTLED_S)
        assert await self.look() == [], after

    async def agree_soon(self, after: str) -> None:
        """In the middle of calls: each queue is found equal within the limit."""
        missing = set(QUEUES)

        async def seen() -> bool:
            different = {each.partition(":")[0] for each in await self.look()}
            missing.intersection_update(different)
            return not missing

        await eventually(seen, within_s=self.limit_s, what=f"no difference after: {after}")

    def forgive(self) -> None:
        """The daemon was away: what it said meanwhile was the last state that it knew."""
        self._behind.clear()


def _differing(answer: Row, truth: Row) -> str:
    return ", ".join(
        f"{key}: {answer[key]!r} is {truth[key]!r}" for key in truth if answer[key] != truth[key]
    )

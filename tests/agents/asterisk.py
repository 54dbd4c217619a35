"""Asterisk's queues and the directory in memory, which answer as the real ones do.

The answers are those of app_queue of Asterisk 16 and 22, asked with the same requests.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from pbxapi.agents.difference import Change
from pbxapi.agents.membership import Key, Place
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request, encode
from pbxapi.directory.account import Account
from pbxapi.directory.agent import Agent, Assignment, Login, Queue
from pbxapi.directory.lines import Line
from pbxapi.errors import DatabaseUnavailable, PbxRefused, PbxUnavailable

GRANTED = Message(b"Response: Success")


class Asterisk:
    """Queue members.

    Attributes:
        sent: What was asked for, in order.
        lost_at: Number of the request at which the session is lost; the request is carried out
            all the same if `carried_out` says so.
        down: Whether there is no session at all.
        unknown: The picture of the queues is too old.
    """

    def __init__(self, *queues: str) -> None:
        self.queues = {queue.lower(): queue for queue in queues}
        self.by_key: dict[Key, Place] = {}
        self.sent: list[Request] = []
        self.lost_at: int | None = None
        self.carried_out = False
        self.down = False
        self.unknown = False

    # -- the picture

    def members(self) -> Iterable[Place]:
        if self.unknown:
            raise PbxUnavailable("too old")
        return list(self.by_key.values())

    def member(self, queue: str, interface: str, /) -> Place | None:
        self.members()
        return self.by_key.get((queue.lower(), interface.lower()))

    def put(self, *places: Place) -> None:
        """Members that are there, whoever has put them there."""
        for place in places:
            self.by_key[(place.queue.lower(), place.interface.lower())] = place

    def rows(self) -> set[tuple[str, str, str, int, bool]]:
        return {(p.queue, p.name, p.interface, p.penalty, p.paused) for p in self.by_key.values()}

    # -- requests

    async def request(self, request: Request, /) -> Message:
        encode(request, "1")  # what cannot be sent must fail here too
        if self.down:
            raise PbxUnavailable("no AMI session")
        self.sent.append(request)
        if self.lost_at is not None and len(self.sent) > self.lost_at:
            self.down = True
            if self.carried_out:
                self._carry_out(request)
            raise PbxUnavailable("Asterisk closed the connection")
        self._carry_out(request)
        return GRANTED

    def _carry_out(self, request: Request) -> None:
        headers = dict(request.headers)
        member = (headers["Queue"].lower(), headers["Interface"].lower())
        there = self.by_key.get(member)
        if request.action == "QueueAdd":
            self._add(member, headers)
        elif request.action == "QueueRemove":
            self._remove(member)
        elif request.action == "QueuePause":
            if there is None:
                raise PbxRefused("Interface not found")
            self.by_key[member] = replace(there, paused=headers["Paused"] == "true")
        elif request.action == "QueuePenalty":
            if there is None:
                raise PbxRefused("Invalid interface, queuename or penalty")
            self.by_key[member] = replace(there, penalty=int(headers["Penalty"]))
        else:
            raise AssertionError(request.action)

    def _add(self, member: Key, headers: dict[str, str]) -> None:
        if member[0] not in self.queues:
            raise PbxRefused("Unable to add interface to queue: No such queue")
        if member in self.by_key:
            raise PbxRefused("Unable to add interface: Already there")
        self.by_key[member] = Place(
            queue=self.queues[member[0]],
            name=headers["MemberName"],
            interface=headers["Interface"],
            state_interface=headers["StateInterface"],
            penalty=int(headers["Penalty"]),
            paused=headers["Paused"] == "true",
        )

    def _remove(self, member: Key) -> None:
        if member[0] not in self.queues:
            raise PbxRefused("Unable to remove interface from queue: No such queue")
        if member not in self.by_key:
            raise PbxRefused("Unable to remove interface: Not there")
        if self.by_key[member].membership != "dynamic":
            raise PbxRefused("Member not dynamic")
        del self.by_key[member]


QUEUES = {name: Queue(number, name) for number, name in enumerate(("it", "sales", "vip"), start=1)}


def account(number: int) -> Account:
    return Account(id=number * 10, sip_username=f"Linka_{number}", technology="SIP")


def line(number: int) -> Line:
    """The line with this internal number, in dial plan 1."""
    return Line(
        id=number,
        dialplan_id=1,
        dialplan_name="prvni",
        internal_num=str(number),
        public_num=None,
        name="",
        outroute_id=None,
        recording=False,
        accounts=(account(number),),
    )


def login(number: int, *, paused: bool = False) -> Login:
    return Login(number, str(number), 1, account(number), paused)


def serves(**penalties: int) -> tuple[Assignment, ...]:
    return tuple(Assignment(QUEUES[name], penalty) for name, penalty in penalties.items())


def agent(
    number: int, queues: tuple[Assignment, ...] = (), at: Login | None = None, pin_hash: str = ""
) -> Agent:
    return Agent(
        id=number,
        number=str(number),
        name=f"Agent_{number}",
        password_hash=pin_hash,
        queues=queues,
        login=at,
    )


class Directory:
    """Agents; `down` fails every query, `writes_down` those that change something.

    Attributes:
        committed: Whether a write that failed was written all the same.
        down_for: Numbers of agents whose rows cannot be read.
    """

    def __init__(self, *agents: Agent) -> None:
        self.agents = {each.id: each for each in agents}
        self.down = False
        self.writes_down = False
        self.committed = False
        self.asked = 0

    def _read(self) -> None:
        self.asked += 1
        if self.down:
            raise DatabaseUnavailable("stopped")

    def _write(self, changed: dict[int, Agent]) -> None:
        failing = self.down or self.writes_down
        if not failing or self.committed:
            self.agents |= changed
        if failing:
            raise DatabaseUnavailable("stopped")

    async def all(self) -> tuple[Agent, ...]:
        self._read()
        return tuple(self.agents.values())

    async def by_number(self, number: str, /) -> Agent | None:
        self._read()
        return next((each for each in self.agents.values() if each.number == number), None)

    async def by_name(self, name: str, /) -> Agent | None:
        self._read()
        return next((each for each in self.agents.values() if each.name == name), None)

    async def by_ids(self, ids: Iterable[int], /) -> tuple[Agent, ...]:
        self._read()
        return tuple(self.agents[number] for number in ids if number in self.agents)

    async def at_line(self, extension_id: int, /) -> frozenset[int]:
        self._read()
        return frozenset(
            each.id
            for each in self.agents.values()
            if each.login is not None and each.login.extension_id == extension_id
        )

    async def log_in(
        self, agent_id: int, account_id: int, *, paused: bool, instead_of: Iterable[int] = ()
    ) -> None:
        gone = {number: replace(self.agents[number], login=None) for number in instead_of}
        at = login(account_id // 10, paused=paused)
        self._write({**gone, agent_id: replace(self.agents[agent_id], login=at)})

    async def log_out(self, agent_id: int) -> None:
        self._write({agent_id: replace(self.agents[agent_id], login=None)})

    async def set_paused(self, agent_id: int, paused: bool, /) -> None:
        found = self.agents[agent_id]
        if found.login is not None:
            self._write({agent_id: replace(found, login=replace(found.login, paused=paused))})

    async def queue_by_name(self, name: str, /) -> Queue | None:
        self._read()
        return QUEUES.get(name)

    async def assign(self, agent_id: int, queue_id: int, penalty: int) -> None:
        found = self.agents[agent_id]
        queue = next(each for each in QUEUES.values() if each.id == queue_id)
        others = tuple(each for each in found.queues if each.queue.id != queue_id)
        self._write({agent_id: replace(found, queues=(*others, Assignment(queue, penalty)))})

    async def unassign(self, agent_id: int, queue_id: int) -> None:
        found = self.agents[agent_id]
        others = tuple(each for each in found.queues if each.queue.id != queue_id)
        self._write({agent_id: replace(found, queues=others)})


class Listener:
    """Remembers what the desk says."""

    def __init__(self) -> None:
        self.numbers: list[str] = []
        self.doubts: list[tuple[list[int], list[Change]]] = []

    def changed(self, numbers: Iterable[str], /) -> None:
        self.numbers += numbers

    def doubtful(self, agent_ids: Iterable[int], attempted: Sequence[Change], /) -> None:
        self.doubts.append((list(agent_ids), list(attempted)))

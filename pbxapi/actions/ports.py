"""What actions may use of the rest of the daemon, as narrow protocols.

Handlers are given these and nothing else, so a test can run one with a few lines of its own.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, Literal, NamedTuple, Protocol

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.cache.channels.view import Listing
from pbxapi.cache.device_state import DeviceState
from pbxapi.cache.peers.peer import Key, Peer, Technology
from pbxapi.cache.peers.view import PeerState
from pbxapi.cache.queues.queue import Queue
from pbxapi.directory.agent import Agent, Queue as QueueRow
from pbxapi.directory.devices import Device
from pbxapi.directory.lines import Line, Outroute
from pbxapi.recordings.journal import CallRecord
from pbxapi.recordings.plan import Plan


class Pbx(Protocol):
    """Sends one action to Asterisk."""

    async def request(self, request: Request, /) -> Message:
        """Return the response; raises PbxRefused or PbxUnavailable."""

    def asterisk_time(self) -> float:
        """Seconds since the epoch by the clock of Asterisk's host."""


class Lines(Protocol):
    """Finds lines of the directory; all raise DatabaseUnavailable."""

    async def by_public_num(self, number: str, /) -> tuple[Line, ...]:
        """Lines with this public number."""

    async def by_internal_num(self, number: str, dialplan_id: int | None, /) -> tuple[Line, ...]:
        """Lines with this internal number, of one dial plan or of all."""

    async def by_id(self, identifier: str, /) -> tuple[Line, ...]:
        """The line with this id."""

    async def by_sip_username(self, name: str, /) -> tuple[Line, ...]:
        """The line that this account belongs to, with all its accounts."""

    async def dialplan_id(self, name: str, /) -> int | None:
        """Id of a dial plan."""

    async def outroute_by_name(self, name: str, /) -> Outroute | None:
        """An outbound route."""

    async def outroute_by_id(self, identifier: str, /) -> Outroute | None:
        """An outbound route."""


class Cards(Protocol):
    """Keeps what a call carries that must not travel by AMI."""

    def issue(self, fields: Mapping[str, str], /) -> str:
        """Keep the fields, return the card that FastAGI gives them out for."""


class Peers(Protocol):
    """How accounts and trunks are; all raise PbxUnavailable."""

    def states(self, accounts: Iterable[Key], trunks: Sequence[Key], /) -> Iterator[PeerState]:
        """How each account is, and then each trunk."""

    def sources(self, accounts: Iterable[Device], trunks: Iterable[Device], /) -> list[object]:
        """What `states` is told from: equal as long as it tells the same."""

    def peer(self, technology: Technology, name: str, /) -> Peer:
        """Where an account can be reached."""

    def is_registered(self, technology: Technology, name: str, /) -> bool:
        """Whether there is anywhere to call the account at."""

    def device_state(self, technology: Technology, name: str, /) -> DeviceState:
        """What the account's device does."""


class Devices(Protocol):
    """All accounts and trunks of the directory."""

    def everybody(self) -> tuple[Sequence[Device], Sequence[Device]]:
        """Accounts of lines and trunks, each by id; raises DatabaseUnavailable."""


class Pins(Protocol):
    """Tells who an agent is."""

    async def authenticate(self, number: str, pin: str, address: str, /) -> Agent:
        """The agent; raises WrongPin, Fault 903 or DatabaseUnavailable."""


class Desk(Protocol):
    """Changes what agents are; all raise DatabaseUnavailable, PbxUnavailable and PbxRefused."""

    async def queue_by_name(self, name: str, /) -> QueueRow | None:
        """A queue of the directory."""

    async def log_in(self, agent_id: int, line: Line, /) -> None:
        """Log in from a line, by its first account."""

    async def log_out(self, agent_id: int, /) -> None:
        """Log out of all queues."""

    async def set_paused(self, agent_id: int, paused: bool, /) -> None:
        """Pause or go on in all queues."""

    async def assign(self, agent_id: int, queue: QueueRow, penalty: int | None, /) -> None:
        """Serve a queue."""

    async def unassign(self, agent_id: int, queue: QueueRow, /) -> None:
        """Do not serve a queue."""


@dataclass(frozen=True, slots=True)
class CallCentre:
    """What the actions of agents use.

    Attributes:
        pins: Tells who an agent is.
        desk: Changes what agents are.
        status_mode: How `agentstatus` tells of a line that is not free, `[agents] status_mode`.
    """

    pins: Pins
    desk: Desk
    status_mode: Literal["reason", "errno"]


class Recordings(Protocol):
    """Finds and moves recordings; both raise DatabaseUnavailable."""

    async def call_record(self, cdr_id: int, /) -> CallRecord | None:
        """The call record with this id."""

    async def move(self, record: CallRecord, plan: Plan, /) -> int:
        """Move a recording; how many call records follow. Raises Fault, PbxUnavailable."""


class Client(NamedTuple):
    """Who asks: the API user, and the address where that can be known."""

    username: str = ""
    address: str = ""


NOBODY: Final = Client()


@dataclass(frozen=True, slots=True)
class Ports:
    """Everything that actions are given.

    Attributes:
        legs: The legs of all calls from the cache; raises PbxUnavailable where the cache is too
            old to be believed.
        is_live: Whether a channel of exactly this name is there; raises as `legs` does.
        queue: The queue of that name from the cache, or None; raises as `legs` does.
        states_of: States of the channels of an account, by technology and name; raises as `legs`
            does.
        peers: How accounts and trunks are, from the cache.
        devices: Which ones there are.
        cards: Where custom CDR fields wait for FastAGI.
        agi_address: "host:port" of our FastAGI, as Asterisk reaches it.
        record_roots: The folders that recordings never leave.
        call_centre: The agents.
        recordings: The recordings in them.
        ring_timeout_s: How long a telephone rings where a request does not say.
        client: Who asks; the same ports are given to each request with its own.
    """

    pbx: Pbx
    lines: Lines
    legs: Callable[[], Listing]
    is_live: Callable[[str], bool]
    queue: Callable[[str], Queue | None]
    states_of: Callable[[str, str], list[str]]
    peers: Peers
    devices: Devices
    cards: Cards
    call_centre: CallCentre
    agi_address: str
    record_roots: Sequence[PurePath]
    recordings: Recordings
    ring_timeout_s: int
    client: Client = NOBODY

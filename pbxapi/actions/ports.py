"""What actions may use of the rest of the daemon, as narrow protocols.

Handlers are given these and nothing else, so a test can run one with a few lines of its own.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, NamedTuple, Protocol

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.cache.channels.calls import Leg
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
        cards: Where custom CDR fields wait for FastAGI.
        agi_address: "host:port" of our FastAGI, as Asterisk reaches it.
        record_roots: The folders that recordings never leave.
        recordings: The recordings in them.
        ring_timeout_s: How long a telephone rings where a request does not say.
        client: Who asks; the same ports are given to each request with its own.
    """

    pbx: Pbx
    lines: Lines
    legs: Callable[[], Iterator[Leg]]
    is_live: Callable[[str], bool]
    cards: Cards
    agi_address: str
    record_roots: Sequence[PurePath]
    recordings: Recordings
    ring_timeout_s: int
    client: Client = NOBODY

"""Call detail records, as cdr_pgsql would write them to the table `cdr`.

Each channel has a chain of records. A record pairs its channel with at most one other, the one that
it dials or is bridged with, and goes through the stages of Asterisk's engine; the rows of a channel
are written when it ends. Configured as Debian's cdr.conf is: `unanswered = no`,
`endbeforehexten = yes`.

Source: Asterisk main/cdr.c, the *_state_process_* functions and cdr_object_create_public_records();
bridges of more than two channels and parking are simplified.
"""

import dataclasses
import enum
from collections import deque
from dataclasses import dataclass
from typing import Final

from pbxapi.simulator import causes
from pbxapi.simulator.channels import Bridge, Channel, State
from pbxapi.simulator.clock import Clock

#: Variables of a CDR that are columns of the table, lower case as PostgreSQL has them.
_CUSTOM: Final = tuple(f"customcdr{n}" for n in range(1, 5))
#: Columns that a trigger of the table joins to those above, for values longer than cdr_pgsql's
#: buffer; see sql/.
_PARTS: Final = {name: (name, *(f"{name}_{n}" for n in range(2, 6))) for name in _CUSTOM} | {
    "recordingfile": ("recordingfile",)
}
_COLUMNS: Final = frozenset(column for columns in _PARTS.values() for column in columns)
#: cdr_pgsql writes so many bytes of a value and drops the rest (cdr_pgsql.c, pgsql_log()).
_MAX_COLUMN_BYTES: Final = 256
_ANSWERED: Final = "ANSWERED"
#: Disposition of a dial status; `congestion = no` makes FAILED of CONGESTION.
_DISPOSITIONS: Final = {
    "ANSWER": _ANSWERED,
    "BUSY": "BUSY",
    "CANCEL": "NO ANSWER",
    "NOANSWER": "NO ANSWER",
}
_BY_CAUSE: Final = {
    causes.BUSY: "BUSY",
    causes.NORMAL: "NO ANSWER",
    causes.NO_ANSWER: "NO ANSWER",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CdrRow:
    """One row as it is in the table, the parts of long values joined.

    Times are seconds since the epoch, `answer` is 0 where nobody answered.
    """

    start: float
    answer: float
    end: float
    src: str
    dst: str
    dcontext: str
    channel: str
    dstchannel: str
    duration: int
    billsec: int
    disposition: str
    accountcode: str
    uniqueid: str
    linkedid: str
    customcdr1: str = ""
    customcdr2: str = ""
    customcdr3: str = ""
    customcdr4: str = ""
    recordingfile: str = ""


class _Stage(enum.Enum):
    SINGLE = enum.auto()
    DIAL = enum.auto()
    PENDING = enum.auto()  # the dialled side answered, and what the dialling one does is not known
    BRIDGED = enum.auto()
    FINAL = enum.auto()


@dataclass(slots=True, eq=False)
class _Record:
    """`own` is whose record it is, `peer` whom it is about."""

    own: Channel
    start: float
    context: str
    exten: str
    stage: _Stage = _Stage.SINGLE
    peer: Channel | None = None
    answer: float = 0.0
    end: float = 0.0
    disposition: str = ""
    src: str = ""
    bridge: Bridge | None = None
    disabled: bool = False
    fields: dict[str, str] = dataclasses.field(default_factory=dict)

    def locate(self) -> None:
        """The channel executes something: this is where it is."""
        self.context, self.exten = self.own.context, self.own.exten

    def finalise(self, now: float) -> None:
        """Note how it ended; harmless when that is known."""
        if self.end:
            return
        self.end, self.src = now, self.own.caller_num
        if not self.disposition:
            cause = self.own.cause or (self.peer.cause if self.peer is not None else 0)
            self.disposition = _ANSWERED if self.answer else _BY_CAUSE.get(cause, "FAILED")

    def close(self, now: float) -> None:
        """Finalise it for good."""
        self.stage = _Stage.FINAL
        self.finalise(now)

    @property
    def is_written(self) -> bool:
        """Whether it becomes a row."""
        if self.disabled or (self.peer is None and self.own.dialled):
            return False
        return self.peer is not None or self.disposition == _ANSWERED

    def row(self) -> CdrRow:
        """The row, once it is final."""
        own = self.own
        return CdrRow(
            start=self.start,
            answer=self.answer,
            end=self.end,
            src=self.src,
            dst=self.exten,
            dcontext=self.context,
            channel=own.name,
            dstchannel=self.peer.name if self.peer is not None else "",
            duration=int(self.end - self.start),
            billsec=int(self.end - self.answer) if self.answer else 0,
            disposition=self.disposition,
            accountcode=own.accountcode,
            uniqueid=own.uniqueid,
            linkedid=own.linkedid,
            **{name: self._joined(columns) for name, columns in _PARTS.items()},
        )

    def _joined(self, columns: tuple[str, ...]) -> str:
        return "".join(_cut(self.fields[name]) for name in columns if name in self.fields)


def _cut(value: str) -> str:
    encoded = value.encode("utf-8", "surrogateescape")
    return encoded[:_MAX_COLUMN_BYTES].decode("utf-8", "replace")


class CallRecords:
    """The records of all channels, told of everything that concerns them.

    Attributes:
        rows: What was written, oldest first, the last `limit` of them.
    """

    def __init__(self, clock: Clock, limit: int) -> None:
        self.rows: deque[CdrRow] = deque(maxlen=limit)
        self._clock = clock
        self._chains: dict[Channel, list[_Record]] = {}
        self._about: dict[Channel, list[_Record]] = {}  # records by their peer

    def forget_channels(self) -> None:
        """The PBX is dead, and writes nothing of what was going on."""
        self._chains.clear()
        self._about.clear()

    def began(self, channel: Channel) -> None:
        """There is a new channel."""
        now = self._clock.time()
        self._chains[channel] = [_Record(channel, now, channel.context, channel.exten)]

    def answered(self, channel: Channel) -> None:
        """A channel is up."""
        now = self._clock.time()
        for record in self._open(channel):
            record.answer = record.answer or now

    def executes(self, channel: Channel, application: str) -> None:
        """A channel comes to an application of its dial plan."""
        if channel.ending or application.startswith("AppDial") or channel not in self._chains:
            return
        for record in self._open(channel):
            if record.stage is _Stage.PENDING:
                self._leave_pending(record)
        if not self._open(channel):
            self._append(channel)
        for record in self._open(channel):
            record.locate()

    def _leave_pending(self, record: _Record) -> None:
        if record.peer is not None:
            record.close(self._clock.time())
        else:
            record.stage = _Stage.SINGLE

    def hangs_up(self, channel: Channel) -> None:
        """A channel's dial plan is over, the extension `h` comes."""
        now = self._clock.time()
        for record in self._chains.get(channel, ()):
            record.finalise(now)

    def ended(self, channel: Channel) -> None:
        """A channel is gone: its rows are written."""
        now = self._clock.time()
        for record in self._chains.pop(channel, ()):
            record.close(now)
            if record.is_written:
                self.rows.append(record.row())
        for record in self._about.pop(channel, ()):
            if record.stage in {_Stage.DIAL, _Stage.BRIDGED}:
                record.close(now)
            else:
                record.finalise(now)

    # what the dial plan says

    def set_field(self, channel: Channel, name: str, value: str) -> None:
        """`Set(CDR(name)=value)`; a name that is no column goes nowhere."""
        if name.lower() in _COLUMNS:
            for record in self._open(channel):
                record.fields[name.lower()] = value

    def disable(self, channel: Channel, *, disable: bool = True) -> None:
        """`Set(CDR_PROP(disable)=…)`."""
        for record in self._open(channel):
            record.disabled = disable

    # Dial

    def dials(self, what: str, caller: Channel | None, called: Channel, header: str) -> None:
        """DialBegin, DialState or DialEnd, as AMI is told of it."""
        if what == "DialBegin":
            self.dial_begins(caller, called)
        elif what == "DialEnd":
            self.dial_ends(caller, called, header.removeprefix("DialStatus: "))

    def dial_begins(self, caller: Channel | None, called: Channel) -> None:
        """DialBegin; an Originate has no caller."""
        owner = caller or called
        single = [r for r in self._open(owner) if r.stage is _Stage.SINGLE]
        for record in self._open(owner):
            if record.stage is _Stage.PENDING:
                record.close(self._clock.time())
        for record in single or [self._append(owner)]:
            record.locate()
            record.stage = _Stage.DIAL
            if caller is not None:
                self._pair(record, called)

    def dial_ends(self, caller: Channel | None, called: Channel, status: str) -> None:
        """DialEnd."""
        for record in self._open(caller or called):
            if record.stage is not _Stage.DIAL or record.peer not in {None, called}:
                continue
            record.disposition = _DISPOSITIONS.get(status, "FAILED")
            if record.disposition == _ANSWERED:
                record.stage = _Stage.PENDING
            else:
                record.close(self._clock.time())

    # bridges

    def enters(self, channel: Channel, bridge: Bridge) -> None:
        """A channel has entered a bridge."""
        free = (r for r in self._open(channel) if r.stage is not _Stage.BRIDGED)
        record = next(free, None) or self._append(channel)
        record.stage, record.bridge = _Stage.BRIDGED, bridge
        for other in bridge.members:
            if other is record.peer:
                self._steal(other, bridge)
            elif other is not channel:
                self._match(record, other)

    def _steal(self, channel: Channel, bridge: Bridge) -> None:
        """A channel is somebody's peer: its own record has nobody left to be about."""
        for record in self._open(channel):
            if record.bridge is bridge and record.peer is None:
                record.finalise(self._clock.time())

    def _match(self, record: _Record, other: Channel) -> None:
        """Pair the newcomer with one who is there already; who has the record is who called."""
        theirs = next((r for r in self._open(other) if r.bridge is record.bridge), None)
        if theirs is None or theirs.peer is record.own:
            return
        ours = _calls(record.own, other)
        mine, lone = (record, theirs) if ours else (theirs, record)
        if mine.peer is not None:
            bridge = mine.bridge
            mine = self._append(mine.own)
            mine.stage, mine.bridge = _Stage.BRIDGED, bridge
        mine.end = 0.0
        self._pair(mine, lone.own)
        if lone.peer is None:
            lone.finalise(self._clock.time())

    def leaves(self, channel: Channel, bridge: Bridge) -> None:
        """A channel has left a bridge."""
        now = self._clock.time()
        for record in self._open(channel):
            if record.bridge is bridge:
                record.close(now)
                record.bridge = None
        for record in self._about.get(channel, ()):
            if record.stage is _Stage.BRIDGED and record.bridge is bridge:
                record.finalise(now)

    # chains

    def _open(self, channel: Channel) -> list[_Record]:
        return [r for r in self._chains.get(channel, ()) if r.stage is not _Stage.FINAL]

    def _append(self, channel: Channel) -> _Record:
        """One more record of a channel, which takes over what was said to the last."""
        chain = self._chains.setdefault(channel, [])
        now = self._clock.time()
        record = _Record(channel, now, channel.context, channel.exten)
        record.answer = now if channel.state is State.UP else 0.0
        if chain:
            last = chain[-1]
            record.context, record.exten = last.context, last.exten
            record.disabled, record.fields = last.disabled, dict(last.fields)
        chain.append(record)
        return record

    def _pair(self, record: _Record, peer: Channel) -> None:
        record.peer = peer
        self._about.setdefault(peer, []).append(record)


def _calls(one: Channel, other: Channel) -> bool:
    """Whether of two channels this is the caller: it was not dialled, or it is the older one."""
    if one.dialled != other.dialled:
        return other.dialled
    return one.created <= other.created

"""Channels, bridges and Local pairs as plain state, and how AMI words a channel snapshot.

Nothing here sends events: `pbxapi.simulator.pbx` changes this state and tells about it.
Source of the wording: captures of Asterisk 16.28 and 22.10; main/manager_channels.c,
ast_manager_build_channel_state_string_prefix().
"""

import dataclasses
import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from pbxapi.simulator.options import Device
from pbxapi.simulator.scheduler import Signal, Thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from pbxapi.simulator.clock import Timer

UNKNOWN: Final = "<unknown>"

#: Characters that AMI writes behind a backslash in names and variables (ast_escape_c_alloc).
_ESCAPES: Final = str.maketrans(
    {
        "\\": "\\\\",
        "'": "\\'",
        '"': '\\"',
        "?": "\\?",
        "\a": "\\a",
        "\b": "\\b",
        "\f": "\\f",
        "\n": "\\n",
        "\r": "\\r",
        "\t": "\\t",
        "\v": "\\v",
    }
)


class State(enum.IntEnum):
    """ChannelState of AMI."""

    DOWN = 0
    RESERVED = 1
    OFF_HOOK = 2
    DIALING = 3
    RING = 4
    RINGING = 5
    UP = 6
    BUSY = 7


STATE_WORDS: Final = {
    State.DOWN: "Down",
    State.RESERVED: "Rsrvd",
    State.OFF_HOOK: "OffHook",
    State.DIALING: "Dialing",
    State.RING: "Ring",
    State.RINGING: "Ringing",
    State.UP: "Up",
    State.BUSY: "Busy",
}


def escape(text: str) -> str:
    """Text as AMI shows it in names and variable values."""
    return text.translate(_ESCAPES)


class Served(Protocol):
    """Whoever accounts for the call that an agent's channel carries."""

    def carried_by(self, agent: "Channel") -> None:
        """Another channel carries it from now on."""

    def agent_ended(self) -> None:
        """The channel is gone."""


class Dialler(Protocol):
    """Whoever called a channel and waits for what becomes of it."""

    def ringing(self, channel: "Channel") -> None:
        """It rings."""

    def answered(self, channel: "Channel") -> None:
        """It answered."""

    def identified(self, channel: "Channel", number: str, name: str) -> None:
        """A Local channel, through which somebody is called, has learnt who that is."""

    def ended(self, channel: "Channel", status: str = "") -> None:
        """It ends without an answer, for its `cause` or with a dial status; then it is hung up."""


@dataclass(slots=True, eq=False)
class Bridge:
    """Two channels that hear each other.

    Attributes:
        holding: It waits for a party that is away (attended transfer) and must not dissolve.
        parting: Asked when a party leaves; True means that it has seen to what follows.
    """

    uniqueid: str
    members: list["Channel"] = dataclasses.field(default_factory=list)
    holding: bool = False
    parting: "Callable[[Channel], bool] | None" = None

    def describe(self, prefix: str = "") -> str:
        """Its headers, in the order of AMI."""
        p = prefix
        return (
            f"{p}BridgeUniqueid: {self.uniqueid}\r\n{p}BridgeType: basic\r\n"
            f"{p}BridgeTechnology: simple_bridge\r\n{p}BridgeCreator: {UNKNOWN}\r\n"
            f"{p}BridgeName: {UNKNOWN}\r\n{p}BridgeNumChannels: {len(self.members)}\r\n"
            f"{p}BridgeVideoSourceMode: none\r\n"
        )


@dataclass(slots=True, eq=False)
class LocalPair:
    """The two halves of a Local channel; `;1` is who asked, `;2` runs the dial plan."""

    one: "Channel"
    two: "Channel"
    context: str
    exten: str
    optimise: bool

    def other(self, half: "Channel") -> "Channel":
        """The half that is not this one."""
        return self.two if half is self.one else self.one


@dataclass(slots=True, eq=False)
class Channel:
    """One channel; the attributes up to `linkedid` are what AMI shows of it everywhere.

    Attributes:
        cause: Q.850 cause of its end, 0 = none known.
        tech_cause: SIP code of its end, only from chan_pjsip; 0 = none.
        dialler: Who called it and waits, until it is answered or ends.
        served: Accounts for the call of a queue that it carries, as its agent's end.
        thread: What runs on it: the dial plan or one application.
        in_dialplan: Whether `thread` is a dial plan, which ends with the `h` extension.
        bridged: Whether it ever was in a bridge.
        dialled: Whether it was called by Dial, and runs nothing by itself since.
        called: Whether a phone is called on it.
        on_hold: Whether its phone has put the other party on hold.
        shared: Its variables that other channels set, those of the function SHARED.
        recorded: Whether MixMonitor runs on it.
        spies: Fire when it ends; who listens to it waits for that.
        released: Fires when the other party has left the bridge; its thread waits for that.
        inherit: Underscores of its inheritable variables, by name.
    """

    name: str
    technology: str
    uniqueid: str
    linkedid: str
    created: float
    state: State = State.DOWN
    caller_num: str = ""
    caller_name: str = ""
    connected_num: str = ""
    connected_name: str = ""
    accountcode: str = ""
    context: str = ""
    exten: str = "s"
    priority: int = 1
    application: str = ""
    data: str = ""
    dnid: str = ""
    device: Device | None = None
    bridge: Bridge | None = None
    local: LocalPair | None = None
    dialler: Dialler | None = None
    served: Served | None = None
    thread: Thread | None = None
    in_dialplan: bool = False
    ending: bool = False
    gone: bool = False
    bridged: bool = False
    dialled: bool = False
    called: bool = False
    on_hold: bool = False
    released: Signal | None = None
    cause: int = 0
    tech_cause: int = 0
    answered: float = 0.0
    talk_s: float | None = None
    sip_call_id: str = ""
    variables: dict[str, str] = dataclasses.field(default_factory=dict)
    inherit: dict[str, int] = dataclasses.field(default_factory=dict)
    shared: dict[str, str] = dataclasses.field(default_factory=dict)
    recorded: bool = False
    spies: list[Signal] = dataclasses.field(default_factory=list)
    timers: list["Timer"] = dataclasses.field(default_factory=list)

    @property
    def is_second_half(self) -> bool:
        """Whether it is the `;2` of a Local pair."""
        return self.local is not None and self.local.two is self

    def caller_id(self) -> str:
        """`CALLERID(all)`: `"Name" <number>`."""
        return f'"{self.caller_name}" <{self.caller_num}>'

    def snapshot(self, prefix: str = "", channelvars: tuple[str, ...] = ()) -> str:
        """Its headers, in the order of AMI, each name behind `prefix`."""
        p = prefix
        text = (
            f"{p}Channel: {self.name}\r\n"
            f"{p}ChannelState: {self.state.value}\r\n"
            f"{p}ChannelStateDesc: {STATE_WORDS[self.state]}\r\n"
            f"{p}CallerIDNum: {self.caller_num or UNKNOWN}\r\n"
            f"{p}CallerIDName: {escape(self.caller_name) or UNKNOWN}\r\n"
            f"{p}ConnectedLineNum: {self.connected_num or UNKNOWN}\r\n"
            f"{p}ConnectedLineName: {escape(self.connected_name) or UNKNOWN}\r\n"
            f"{p}Language: en\r\n"
            f"{p}AccountCode: {self.accountcode}\r\n"
            f"{p}Context: {self.context}\r\n"
            f"{p}Exten: {self.exten}\r\n"
            f"{p}Priority: {self.priority}\r\n"
            f"{p}Uniqueid: {self.uniqueid}\r\n"
            f"{p}Linkedid: {self.linkedid}\r\n"
        )
        for name in channelvars:
            value = escape(self.variables.get(name, ""))
            text += f"{p}ChanVariable: {name}={value}\r\n"
        return text

"""What a simulator is made of: version, manager users, phones, trunks, dial plan, traffic."""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from pbxapi.simulator.queue_config import QueueConfig

Version = Literal[16, 22]

#: Seconds a client may leave its socket unread before it is cut. Asterisk's default is 0.1; the
#: value here is what an administrator is told to configure for the daemon.
WRITE_TIMEOUT_S: Final = 5.0


class Behaviour(enum.Enum):
    """What a phone does with a call that reaches it."""

    ANSWERS = "answers"
    BUSY = "busy"
    REJECTS = "rejects"
    RINGS = "rings"  # and never answers, until a test calls `answer`
    UNREGISTERED = "unregistered"


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerUser:
    """One user of manager.conf; `read` and `write` are lists of classes as in that file."""

    name: str
    secret: str = dataclasses.field(repr=False)
    read: str = "all"
    write: str = "all"
    write_timeout_s: float = WRITE_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A SIP phone, or with `trunk` a provider.

    Attributes:
        name: Peer or endpoint name, the part of a channel name behind the technology.
        context: Where calls from it enter the dial plan.
        talk_s: Seconds in a bridge after which it hangs up; None = never by itself.
        qualify: Whether the PBX asks it regularly if it is there.
        host, sip_port: Where it registers from; no host takes an address of its own.
        contact_host: What it says of itself in its Contact header, where that is another address.
        user: As whom we register with it, for a trunk.
    """

    name: str
    number: str = ""
    caller_name: str = ""
    accountcode: str = ""
    context: str = "extensions-dialplanid-1"
    behaviour: Behaviour = Behaviour.ANSWERS
    ring_after_s: float = 0.05
    answer_after_s: float = 2.0
    talk_s: float | None = None
    trunk: bool = False
    qualify: bool = True
    host: str = ""
    sip_port: int = 5060
    contact_host: str = ""
    user_agent: str = "Phone/1.0"
    round_trip_ms: float = 20.0
    user: str = ""


_NAMES: Final = (
    "Jan Novák",
    "Žofie Černá",
    "Petr Svoboda",
    "Eva: Malá",
    'O\'Neil "Bob"',
)
_USER_AGENTS: Final = (
    "Yealink SIP-T46U 108.86",
    "snomD785/10.1.73.16",
    "Grandstream GXP2170 1.0.11",
)
#: Number of the first phone.
FIRST_NUMBER: Final = 1000


def phones(count: int) -> tuple[Device, ...]:
    """So many phones, `Linka_1000` and on."""
    names = dict(enumerate(_NAMES, FIRST_NUMBER))
    return tuple(
        Device(
            name=f"Linka_{number}",
            number=str(number),
            caller_name=names.get(number, f"User {number}"),
            accountcode=f"klient{(number - FIRST_NUMBER) % 3 + 1}",
            user_agent=_USER_AGENTS[number % len(_USER_AGENTS)],
            round_trip_ms=3.0 + number * 7 % 60,
        )
        for number in range(FIRST_NUMBER, FIRST_NUMBER + count)
    )


def default_devices(count: int = 20) -> tuple[Device, ...]:
    """So many phones, `Linka_1000` and on, and the trunk `upc`."""
    trunk = Device(
        name="upc",
        accountcode="trunk-upc",
        context="incoming",
        trunk=True,
        host="127.0.0.2",
        user="pbx",
        user_agent="",
        round_trip_ms=9.0,
    )
    return (*phones(count), trunk)


def _default_users() -> tuple[ManagerUser, ...]:
    return (ManagerUser(name="pbxapi", secret="pbxapi"),)  # noqa: S106 - a simulator on loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Everything that can be chosen about a simulator.

    Attributes:
        version: Which Asterisk.
        driver: Technology of the phones; "" = that of the version: chan_sip is what 16 uses, though
            it has chan_pjsip too, and 22 has chan_pjsip alone.
        port: TCP port of AMI; 0 takes any free one.
        channelvars: Variables shown as `ChanVariable` on every channel, as in manager.conf.
        calls: Target number of random calls at once; 0 = no random traffic.
        cps: Random calls begun a second.
        ramp_s: Seconds after which `calls` are there; 0 = with time, as `cps` brings them.
        queues: What queues.conf says.
        persistent_members: Whether dynamic members are there again after a restart.
        agent_life: How often a second an agent pauses, goes on, leaves, or comes back.
        peer_life: How many things a second phones do by themselves to their registrations.
        event_latency_s: Seconds between a change and its event. The answer to an action does not
            wait for them: a list can come before events of what it shows already.
        seed: Of everything random; with a `VirtualClock` it fixes every byte.
        dids: Extension of dial plan 1 that a number called from a trunk goes to.
        contexts: Further contexts and their extensions, which answer and play until hung up; one
            named `macro-…` is what Dial runs on a channel before it rings.
        passing: Those of `contexts` that only note DIALSTATUS and HANGUPCAUSE, and hang up.
        outbound_number: Caller id that `dial_out_<n>` sets.
        modules: Loaded modules, for ModuleCheck, besides the channel driver of the version.
        received_limit: How many received actions are kept for tests.
        cdr_limit: How many rows of call detail records are kept.
    """

    version: Version = 22
    driver: Literal["", "SIP", "PJSIP"] = ""
    host: str = "127.0.0.1"
    port: int = 0
    users: tuple[ManagerUser, ...] = dataclasses.field(default_factory=_default_users)
    devices: tuple[Device, ...] = dataclasses.field(default_factory=default_devices)
    channelvars: tuple[str, ...] = ()
    calls: int = 0
    cps: float = 1.0
    ramp_s: float = 0.0
    queues: tuple[QueueConfig, ...] = ()
    persistent_members: bool = True
    agent_life: float = 0.0
    peer_life: float = 0.0
    event_latency_s: float = 0.0
    seed: int = 1
    dids: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"222333444": "500"})
    contexts: Mapping[str, tuple[str, ...]] = dataclasses.field(
        default_factory=lambda: {"ivr": ("s",)}
    )
    passing: frozenset[str] = frozenset()
    outbound_number: str = "420222333444"
    modules: frozenset[str] = frozenset({"app_queue", "app_dial", "app_chanspy", "app_mixmonitor"})
    received_limit: int = 100_000
    cdr_limit: int = 100_000

    @property
    def technology(self) -> str:
        """Technology of the phones' channels."""
        return self.driver or {16: "SIP", 22: "PJSIP"}[self.version]

"""What a simulator is made of: version, manager users, phones, trunks, dial plan, traffic."""

import dataclasses
import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

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


_NAMES: Final = (
    "Jan Novák",
    "Žofie Černá",
    "Petr Svoboda",
    "Eva: Malá",
    'O\'Neil "Bob"',
)


def default_devices() -> tuple[Device, ...]:
    """Twenty phones, `Linka_1000` to `Linka_1019`, and the trunk `upc`."""
    phones = tuple(
        Device(
            name=f"Linka_{number}",
            number=str(number),
            caller_name=dict(enumerate(_NAMES, 1000)).get(number, f"User {number}"),
            accountcode=f"klient{(number - 1000) % 3 + 1}",
        )
        for number in range(1000, 1020)
    )
    trunk = Device(name="upc", accountcode="trunk-upc", context="incoming", trunk=True)
    return (*phones, trunk)


def _default_users() -> tuple[ManagerUser, ...]:
    return (ManagerUser(name="pbxapi", secret="pbxapi"),)  # noqa: S106 - a simulator on loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorOptions:
    """Everything that can be chosen about a simulator.

    Attributes:
        version: 16 speaks as chan_sip does, 22 as chan_pjsip.
        port: TCP port of AMI; 0 takes any free one.
        channelvars: Variables shown as `ChanVariable` on every channel, as in manager.conf.
        calls: Target number of random calls at once; 0 = no random traffic.
        cps: Random calls begun a second.
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
    host: str = "127.0.0.1"
    port: int = 0
    users: tuple[ManagerUser, ...] = dataclasses.field(default_factory=_default_users)
    devices: tuple[Device, ...] = dataclasses.field(default_factory=default_devices)
    channelvars: tuple[str, ...] = ()
    calls: int = 0
    cps: float = 1.0
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
        return {16: "SIP", 22: "PJSIP"}[self.version]

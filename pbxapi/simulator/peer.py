"""What is known of one peer: a phone, or a provider behind a trunk.

Nothing here sends events: `pbxapi.simulator.peers` changes this state and tells about it.
"""

import enum
import zlib
from collections import Counter
from dataclasses import dataclass, field

from pbxapi.simulator.channels import Channel
from pbxapi.simulator.device_states import DeviceState, Doing


class Reach(enum.Enum):
    """Status of a contact, as chan_pjsip words it."""

    NON_QUALIFIED = "NonQualified"
    REACHABLE = "Reachable"
    UNREACHABLE = "Unreachable"


@dataclass(slots=True, eq=False)
class Contact:
    """Where a phone can be called.

    Attributes:
        uri: Its own word for that, the URI of its Contact header.
        host, port: Where its registration came from.
        reach: What came of asking it (qualify).
        asked: Whether it has been asked since it is known, or never will be.
        lost: It gave no answer before the PBX started again, and will not give one now.
        round_trip_ms: How long its last answer took.
    """

    uri: str
    host: str
    port: int
    user_agent: str
    expires_at: float
    call_id: str
    reach: Reach = Reach.NON_QUALIFIED
    asked: bool = True
    lost: bool = False
    round_trip_ms: float = 20.0

    @property
    def answers(self) -> bool:
        """Whether calls to it go out."""
        return self.asked and self.reach is not Reach.UNREACHABLE

    def ident(self, aor: str) -> str:
        """Its name in chan_pjsip."""
        return f"{aor};@{zlib.crc32(self.uri.encode()):08x}{zlib.adler32(self.uri.encode()):08x}"


@dataclass(slots=True, eq=False)
class Registration:
    """Our own registration at a provider.

    Attributes:
        status: `Registered`, `Unregistered`, `Rejected`, and with chan_sip `Request Sent` too.
        since: When it was told last.
    """

    username: str
    host: str
    port: int
    status: str
    since: float


@dataclass(slots=True, eq=False)
class Peer:
    """One phone or trunk of the PBX.

    Attributes:
        contacts: By URI, in the order in which they registered; chan_sip knows one.
        static: Its address is in the configuration (a trunk).
        lagged: It answered, and later than chan_sip likes.
        online: Whether its endpoint was told reachable.
        number: Its place in the configuration.
        channels: Its live channels, and what each makes it do; `doing` counts them.
        registration: Ours with it.
        state_at_start: What is known of its device before anything was told; UNKNOWN = nothing.
    """

    name: str
    number: int
    static: bool = False
    qualify: bool = True
    contacts: dict[str, Contact] = field(default_factory=dict)
    lagged: bool = False
    online: bool = False
    channels: dict[Channel, Doing] = field(default_factory=dict)
    doing: Counter[Doing] = field(default_factory=Counter)
    registration: Registration | None = None
    state_at_start: DeviceState = DeviceState.UNAVAILABLE

    @property
    def contact(self) -> Contact | None:
        """The one that registered last."""
        return next(reversed(self.contacts.values()), None)

    @property
    def answers(self) -> bool:
        """Whether a call to it gets as far as a channel."""
        return not self.lagged and any(contact.answers for contact in self.contacts.values())

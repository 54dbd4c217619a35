"""Who calls whom: the channels as rows of `listcalls`.

The rows are told from the channels alone, so that after a reconnect in mid-call they are the same
as before. Source of the words: the vendor's sample of `listcalls`, where the caller's leg shows the
number that it dialled, and the called leg its own.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final, Literal, NamedTuple

from pbxapi.cache.channels.channel import Channel, Channels

#: Channels that carry no leg of a call: halves of a Local channel, and what Asterisk makes for its
#: own ends (announcements into a bridge, recordings, snooping, queued text messages).
INNER_TECHNOLOGIES: Final = frozenset(
    {"Announcer", "AsyncGoto", "CBAnn", "CBRec", "Local", "Message", "MulticastRTP", "Recorder"}
    | {"Snoop", "Surrogate"}
)
#: The drivers whose channels are named after an account of the directory.
SIP_TECHNOLOGIES: Final = frozenset({"SIP", "PJSIP"})

SourceType = Literal["extension", "trunk", ""]
#: How the vendor's account codes tell an extension line and a trunk.
PREFIXES: Final[dict[str, SourceType]] = {"SIP_": "extension", "SIPTR_": "trunk"}


class Owner(NamedTuple):
    """Whose channel it is: a row of the directory, and its number where it has one."""

    source_type: SourceType
    id: str
    number: str = ""


OwnerOf = Callable[[str], Owner | None]
#: When a channel began, and what tells those of one moment apart.
AgeKey = tuple[float, int, str]


class Leg(NamedTuple):
    """One leg of a call; `duration_s` is since the channel was created."""

    channel: str
    context: str
    src: str
    dst: str
    duration_s: int
    status: str
    account_code: str
    source_type: SourceType
    owner_id: str


def legs(channels: Channels, owner_of: OwnerOf, now: float) -> Iterator[Leg]:
    """The legs of all calls, oldest channel first.

    Args:
        channels: All channels by Uniqueid.
        owner_of: Finds the owner of an account name such as "Linka_1000".
        now: Monotonic seconds.
    """
    for channel, leg in legs_of(channels.values(), channels, owner_of):
        yield leg._replace(duration_s=duration_s(channel.began, now))


def legs_of(
    members: Iterable[Channel], channels: Channels, owner_of: OwnerOf
) -> Iterator[tuple[Channel, Leg]]:
    """The legs among the channels of one call, or of several whole ones, without their durations.

    Args:
        members: All channels of these calls.
        channels: All that there are, by Uniqueid.
        owner_of: Finds the owner of an account.
    """
    oldest_first = sorted(filter(is_leg, members), key=age_key)
    roles = _Roles(oldest_first, channels)
    for channel in oldest_first:
        yield channel, _leg(channel, roles, owner_of)


def duration_s(began: float, now: float) -> int:
    """Whole seconds since a monotonic instant."""
    return max(0, int(now - began))


def is_leg(channel: Channel) -> bool:
    """Whether a channel is somebody's end of a call."""
    technology, separator, _ = channel.name.partition("/")
    return bool(separator) and technology not in INNER_TECHNOLOGIES


def account_name(channel: Channel) -> str:
    """Account of a SIP channel: "Linka_1000" of "PJSIP/Linka_1000-0000000a"; "" of others."""
    technology, _, rest = channel.name.partition("/")
    return rest.rpartition("-")[0] if technology in SIP_TECHNOLOGIES else ""


def age_key(channel: Channel) -> AgeKey:
    """Of channels of one moment, "1795461712.99" is older than "1795461712.100"."""
    return channel.began, len(channel.uniqueid), channel.uniqueid


def _calling_though_called(oldest_first: list[Channel]) -> set[str]:
    """Called legs that call in their turn: of two that have each other as other side, the older.

    Asterisk called both, for somebody who is not seen: an Originate of a Local channel has called
    a telephone and then its target; or a telephone that was called asks a third one before it
    transfers (features.conf's atxfer dials through a Local channel).
    """
    first: dict[tuple[str, str], Channel] = {}
    for channel in oldest_first:
        if channel.called and channel.caller_num:
            first.setdefault((channel.linkedid, channel.caller_num), channel)
    callers = set()
    for channel in first.values():
        other = first.get((channel.linkedid, channel.connected_num))
        if other is not None and other.connected_num == channel.caller_num:
            callers.add(min(channel, other, key=age_key).uniqueid)
    return callers


class _Roles:
    """Who calls and who is called, in each call: channels of one Linkedid."""

    def __init__(self, oldest_first: list[Channel], channels: Channels) -> None:
        self._channels = channels
        self._callers = _calling_though_called(oldest_first)
        self._numbers: dict[str, set[str]] = defaultdict(set)
        self._calling: dict[str, list[Channel]] = defaultdict(list)
        for channel in oldest_first:
            self._numbers[channel.linkedid].add(channel.caller_num)
            if self.calls(channel):
                self._calling[channel.linkedid].append(channel)

    def calls(self, channel: Channel) -> bool:
        """Whether this leg is the one that calls."""
        return not channel.called or channel.uniqueid in self._callers

    def caller_of(self, channel: Channel) -> str:
        """Number of who called this leg.

        That is its other side where somebody in the call has that number. Where nobody has, the
        dial plan has shown it another number on the way (an outbound route's, or the
        overrideCallerId of `originate`), and the one leg that calls is the caller.
        """
        shown = channel.connected_num
        if shown and shown in self._numbers[channel.linkedid]:
            return shown
        calling = self._calling[channel.linkedid]
        if len(calling) == 1 and calling[0].caller_num:
            return calling[0].caller_num
        return shown or self._first_number(channel)

    def _first_number(self, channel: Channel) -> str:
        """Number of the channel that the whole call began with."""
        first = self._channels.get(channel.linkedid)
        if first is None or first.caller_num == channel.caller_num:
            return ""  # Local ;1 takes over the number of the telephone that it has called
        return first.caller_num


def _leg(channel: Channel, roles: _Roles, owner_of: OwnerOf) -> Leg:
    name = account_name(channel)
    owner = owner_of(name) if name else None
    own = channel.caller_num or (owner.number if owner else "")
    if roles.calls(channel):
        src, dst = own, _dialled(channel)
    else:
        src, dst = roles.caller_of(channel), own
    account_code, source_type, owner_id = _account(channel, owner)
    return Leg(
        channel.name,
        channel.context,
        src,
        dst,
        0,
        channel.state_desc,
        account_code,
        source_type,
        owner_id,
    )


def _dialled(channel: Channel) -> str:
    if channel.transferred:
        return channel.connected_num or channel.dialled
    return channel.dialled or channel.connected_num


def _account(channel: Channel, owner: Owner | None) -> tuple[str, SourceType, str]:
    """Account code, source type and id.

    The directory comes first: Asterisk overwrites the called leg's account code with the caller's
    (app_dial.c), so the code alone would lie.
    """
    if owner is not None:
        prefix = "SIPTR_" if owner.source_type == "trunk" else "SIP_"
        return prefix + owner.id, owner.source_type, owner.id
    code = channel.account_code
    for prefix, source_type in PREFIXES.items():
        identifier = code.removeprefix(prefix)
        if identifier != code and identifier.isascii() and identifier.isdigit():
            return code, source_type, identifier
    return code, "", ""

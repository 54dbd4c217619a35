"""The channels of the PBX as far as we know them, and how far that is.

Promises to readers:
* `channels` is what one moment looked like; every change replaces whole entries.
* `freshness` tells how far it may be believed.
* One writer: the follower (follow.py) calls `apply`, `begin_list`, `session_lost`; nobody else.

A list does not replace the picture item by item. It is collected beside it, together with the
events that arrive in between, and takes its place when it is complete: a channel that was hung up
while the list was under way does not come back, one that was created then is not lost.
"""

from dataclasses import dataclass, field

from pbxapi.ami.message import Fields, Message
from pbxapi.cache.channels.changes import Changes
from pbxapi.cache.channels.channel import REDUCERS, Changes as Changed, Channel, list_item
from pbxapi.cache.freshness import Freshness
from pbxapi.cache.instant import Instant


@dataclass(frozen=True, slots=True)
class Difference:
    """How the picture kept from events differed from a list: by number of channels."""

    missing: int = 0
    surplus: int = 0
    changed: int = 0

    @property
    def total(self) -> int:
        """Number of channels that had to be repaired."""
        return self.missing + self.surplus + self.changed


class ChannelList:
    """A list of channels being collected; see `ChannelStore.begin_list`."""

    def __init__(self, known: dict[str, Channel], unseen_since: float) -> None:
        self._known = known
        self._unseen_since = unseen_since
        self._gone: set[str] = set()
        self._at: Instant | None = None
        self.channels: dict[str, Channel] = {}

    def item(self, fields: Fields, now: Instant) -> None:
        """Take one item of the list.

        All are of the instant of the first: the ages of channels that began within one second, and
        so their order, must not depend on when each item was read.
        """
        self._at = self._at or now
        uniqueid = fields.get("Uniqueid", "")
        old = self.channels.get(uniqueid) or self._known.get(uniqueid)
        channel = list_item(old, fields, self._at, self._unseen_since)
        if channel is not None and uniqueid not in self._gone:
            self.channels[uniqueid] = channel

    def apply(self, message: Message, now: Instant) -> None:
        """Take an event that arrived among the items."""
        if message.event == "Hangup":
            self._gone.add(message.uniqueid)
        _change(self.channels, message, now)


@dataclass(slots=True)
class ChannelStore:
    """Uniqueid → channel, kept from events and lists.

    Attributes:
        generation: Grows with every change, for those who only want to know whether there was one.
        unknown: Number of events about channels that nobody announced; normal after a list.
        freshness: How far the channels may be believed.
        changed: Which ones have changed since `rows.py` looked.
    """

    channels: dict[str, Channel] = field(default_factory=dict)
    generation: int = 0
    unknown: int = 0
    freshness: Freshness = field(default_factory=Freshness)
    changed: Changes = field(default_factory=Changes)
    _lists: list[ChannelList] = field(default_factory=list)

    def apply(self, message: Message, now: Instant) -> None:
        """Take one event of the session."""
        changes = _change(self.channels, message, now)
        if changes:
            self.generation += 1
            self.changed.note(uniqueid for uniqueid, _ in changes)
        else:
            self.unknown += 1
        for collected in self._lists:
            collected.apply(message, now)

    def begin_list(self) -> ChannelList:
        """Start to collect a list; to be ended by `replace` or `abandon`."""
        collected = ChannelList(self.channels, self.freshness.unseen_since)
        self._lists.append(collected)
        return collected

    def abandon(self, collected: ChannelList) -> None:
        """Forget a list that did not become complete."""
        if collected in self._lists:
            self._lists.remove(collected)

    def replace(self, collected: ChannelList) -> Difference:
        """The list is complete: it is the picture now. Tells what it repaired.

        A list whose session was lost before its end changes nothing.
        """
        if collected not in self._lists:
            return Difference()
        self._lists.remove(collected)
        before, after = self.channels, collected.channels
        missing, surplus = after.keys() - before.keys(), before.keys() - after.keys()
        changed = {key for key in after.keys() & before.keys() if before[key] != after[key]}
        self.channels = after
        self.generation += 1
        self.changed.note(missing | surplus | changed)
        self.freshness.listed()
        return Difference(len(missing), len(surplus), len(changed))

    def session_lost(self, last_received: float) -> None:
        """Keep what we know, and count its age from this monotonic instant."""
        self.freshness.lost(last_received)
        self._lists.clear()


def _change(channels: dict[str, Channel], message: Message, now: Instant) -> Changed:
    reducer = REDUCERS.get(message.event)
    changes = reducer(channels, message, now) if reducer is not None else []
    for uniqueid, channel in changes:
        if channel is None:
            del channels[uniqueid]
        else:
            channels[uniqueid] = channel
    return changes

"""The legs of all calls, told anew only where something has changed.

A leg depends on the channels of its own call and on the channel that gave the call its Linkedid
(calls.py). So a change of one channel touches the calls that it was and is part of, and the one
that began with it; all other rows stay the same objects, with all that was derived from them.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence

from pbxapi.cache.channels.calls import AgeKey, Leg, OwnerOf, age_key, legs_of
from pbxapi.cache.channels.store import ChannelStore


class Row:
    """A leg without its duration, and since when it lasts.

    Attributes:
        leg: As it is; `duration_s` is 0.
        began: Monotonic seconds at which its channel was created.
        key: Where it stands among the others.
        text: What the encoder made of it, so that this goes when the row goes.
    """

    __slots__ = ("began", "key", "leg", "text")

    def __init__(self, leg: Leg, key: AgeKey) -> None:
        self.leg = leg
        self.began = key[0]
        self.key = key
        self.text: bytes | None = None


class CallRows:
    """The rows of `listcalls`; equal to `calls.legs` at all times.

    Args:
        store: The channels; this is the one reader of its changes.
        owner_of: Finds the owner of an account.
        owners_version: Grows with every change of what `owner_of` finds.
    """

    def __init__(
        self, store: ChannelStore, owner_of: OwnerOf, owners_version: Callable[[], int]
    ) -> None:
        self._store = store
        self._owner_of = owner_of
        self._owners_version = owners_version
        self._version: int | None = None
        self._listing: tuple[Row, ...] = ()
        self._stale = True
        self._forget()

    def current(self) -> Sequence[Row]:
        """All rows, oldest channel first: the same object as long as none has changed."""
        changed, version = self._store.changed.take(), self._owners_version()
        if changed is None or version != self._version:
            self._version = version
            self._forget()
            changed = set(self._store.channels)
        if changed:
            for uniqueid in self._follow(changed):
                self._tell(uniqueid)
        if self._stale:
            self._listing = tuple(self._sorted)
            self._stale = False
        return self._listing

    def _forget(self) -> None:
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self._call_of: dict[str, str] = {}
        self._rows: dict[str, Row] = {}
        self._keys: list[AgeKey] = []
        self._sorted: list[Row] = []
        self._stale = True

    def _follow(self, changed: Iterable[str]) -> set[str]:
        """Note what call each of these channels is part of now; the calls that this touches."""
        touched = set()
        for uniqueid in changed:
            touched.add(uniqueid)
            before = self._call_of.pop(uniqueid, None)
            if before is not None:
                touched.add(before)
                self._members[before].discard(uniqueid)
                if not self._members[before]:
                    del self._members[before]
            channel = self._store.channels.get(uniqueid)
            if channel is None:
                self._put(uniqueid, None)
                continue
            self._call_of[uniqueid] = channel.linkedid
            self._members[channel.linkedid].add(uniqueid)
            touched.add(channel.linkedid)
        return touched

    def _tell(self, call: str) -> None:
        """Tell the rows of a call anew."""
        channels = self._store.channels
        members = self._members.get(call, ())
        told = legs_of([channels[each] for each in members], channels, self._owner_of)
        rows = {channel.uniqueid: Row(leg, age_key(channel)) for channel, leg in told}
        for uniqueid in members:
            self._put(uniqueid, rows.get(uniqueid))

    def _put(self, uniqueid: str, row: Row | None) -> None:
        before = self._rows.get(uniqueid)
        if before is not None and row is not None and before.key == row.key:
            if before.leg != row.leg:
                self._rows[uniqueid] = row
                self._sorted[bisect_left(self._keys, row.key)] = row
                self._stale = True
            return
        if before is not None:
            at = bisect_left(self._keys, before.key)
            del self._keys[at], self._sorted[at], self._rows[uniqueid]
            self._stale = True
        if row is not None:
            at = bisect_left(self._keys, row.key)
            self._keys.insert(at, row.key)
            self._sorted.insert(at, row)
            self._rows[uniqueid] = row
            self._stale = True

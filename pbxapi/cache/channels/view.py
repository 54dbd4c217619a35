"""The calls as far as the cache may be believed: what `listcalls` reads."""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

from pbxapi.cache.channels.calls import Leg, OwnerOf, account_name, duration_s
from pbxapi.cache.channels.rows import CallRows, Row
from pbxapi.cache.channels.store import ChannelStore


class Listing(NamedTuple):
    """Rows as they were at one monotonic instant.

    Attributes:
        rows: The same object again as long as none of them has changed.
    """

    rows: Sequence[Row]
    now: float

    def legs(self) -> Iterator[Leg]:
        """The legs with their durations."""
        for row in self.rows:
            yield row.leg._replace(duration_s=duration_s(row.began, self.now))


class CallList:
    """The legs of all calls, with their owners.

    Args:
        store: The channels.
        owner_of: Finds the owner of an account.
        owners_version: Grows with every change of what `owner_of` finds.
    """

    def __init__(
        self,
        store: ChannelStore,
        owner_of: OwnerOf,
        owners_version: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self._rows = CallRows(store, owner_of, owners_version)

    def legs(self, now: float) -> Listing:
        """The legs of all calls at this monotonic instant, oldest channel first.

        Raises:
            PbxUnavailable: the cache was never filled, or is too old.
        """
        self._store.freshness.require(now, "channels")
        return Listing(self._rows.current(), now)

    def is_live(self, name: str, now: float) -> bool:
        """Whether there is a channel of exactly this name.

        Raises:
            PbxUnavailable: as for `legs`.
        """
        self._store.freshness.require(now, "channels")
        return any(channel.name == name for channel in self._store.channels.values())

    def states_of(self, technology: str, account: str, now: float) -> list[str]:
        """Asterisk's words for the states of an account's channels, oldest channel first.

        Raises:
            PbxUnavailable: as for `legs`.
        """
        self._store.freshness.require(now, "channels")
        prefix = f"{technology}/{account}-"
        own = [
            channel
            for channel in self._store.channels.values()
            if channel.name.startswith(prefix) and account_name(channel) == account
        ]
        return [channel.state_desc for channel in sorted(own, key=lambda c: c.began)]

    def goes_on(self, call_ids: Collection[str], now: float) -> bool:
        """Whether a channel is left of a call with any of these Uniqueids or Linkedids.

        Raises:
            PbxUnavailable: as for `legs`.
        """
        self._store.freshness.require(now, "channels")
        return any(
            channel.uniqueid in call_ids or channel.linkedid in call_ids
            for channel in self._store.channels.values()
        )

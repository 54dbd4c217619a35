"""The calls as far as the cache may be believed: what `listcalls` reads."""

from collections.abc import Collection, Iterator

from pbxapi.cache.channels.calls import Leg, OwnerOf, account_name, legs
from pbxapi.cache.channels.store import ChannelStore


class CallList:
    """The legs of all calls, with their owners."""

    def __init__(self, store: ChannelStore, owner_of: OwnerOf) -> None:
        self._store = store
        self._owner_of = owner_of

    def legs(self, now: float) -> Iterator[Leg]:
        """The legs of all calls at this monotonic instant.

        Raises:
            PbxUnavailable: the cache was never filled, or is too old.
        """
        self._store.freshness.require(now, "channels")
        return legs(self._store.channels, self._owner_of, now)

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

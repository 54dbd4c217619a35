"""The calls as far as the cache may be believed: what `listcalls` reads."""

from collections.abc import Iterator
from typing import Final

from pbxapi.cache.calls import Leg, OwnerOf, legs
from pbxapi.cache.store import ChannelStore
from pbxapi.errors import PbxUnavailable

#: Without an AMI session lists are answered from the cache while it is younger (contract, 900).
MAX_AGE_S: Final = 30.0


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
        self._require_fresh(now)
        return legs(self._store.channels, self._owner_of, now)

    def is_live(self, name: str, now: float) -> bool:
        """Whether there is a channel of exactly this name.

        Raises:
            PbxUnavailable: as for `legs`.
        """
        self._require_fresh(now)
        return any(channel.name == name for channel in self._store.channels.values())

    def _require_fresh(self, now: float) -> None:
        age_s = self._store.age_s(now)
        if age_s > MAX_AGE_S:
            raise PbxUnavailable(f"the list of channels is {age_s:.0f} s old")

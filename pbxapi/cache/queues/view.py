"""The queues as far as the cache may be believed: what actions read."""

from collections.abc import Iterator

from pbxapi.cache.queues.queue import Member, Queue
from pbxapi.cache.queues.store import QueueStore


class QueueBoard:
    """All queues with their members and callers."""

    def __init__(self, store: QueueStore) -> None:
        self._store = store

    def queue(self, name: str, now: float) -> Queue | None:
        """The queue of that name at this monotonic instant, or None where there is none.

        Letters A to Z may be of either case, as Asterisk itself finds its queues.

        Raises:
            PbxUnavailable: the cache was never filled, or is too old.
        """
        self._store.freshness.require(now, "queues")
        return self._store.named(name)

    def members(self, now: float) -> Iterator[Member]:
        """All members of all queues.

        Raises:
            PbxUnavailable: as for `queue`.
        """
        self._store.freshness.require(now, "queues")
        for queue in self._store.queues.values():
            yield from queue.members.values()

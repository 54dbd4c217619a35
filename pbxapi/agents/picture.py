"""Asterisk's queue members, from the cache."""

import time
from collections.abc import Callable

from pbxapi.cache.queues.queue import Member
from pbxapi.cache.queues.view import QueueBoard


class QueuePicture:
    """All members of all queues; both methods raise PbxUnavailable where they are not known."""

    def __init__(self, board: QueueBoard, clock: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._clock = clock

    def members(self) -> list[Member]:
        """All members of the moment."""
        return list(self._board.members(self._clock()))

    def member(self, queue: str, interface: str) -> Member | None:
        """Who has this place."""
        found = self._board.queue(queue, self._clock())
        return None if found is None else found.members.get(interface)

"""Requests that have begun and are not complete, and how much of memory they may occupy.

Nobody has proven yet who he is while his request is on its way, and there may be thousands who
send large heads or bodies as slowly as they are let. All together they have `MAX_UNFINISHED_BYTES`;
beyond that the greediest go first, until a quarter is free again. So with 4,096 connections nobody
has to go who has sent less than 12 KiB, and real requests have some kB at most.
"""

from typing import Final, Protocol

#: The parser has a copy of its own, and what one round of the loop reads comes on top.
MAX_UNFINISHED_BYTES: Final = 64 * 1024 * 1024


class Sender(Protocol):
    """A client that has not sent the end of its request yet."""

    def end(self, reason: str, /) -> None:
        """End its connection."""


class Intake:
    """The clients that owe the end of a request, and how much of it each has sent."""

    def __init__(self) -> None:
        self._unfinished: dict[Sender, int] = {}
        self._total = 0

    def holds(self, sender: Sender, size: int) -> None:
        """So many bytes of an unfinished request are here; 0 if it is complete or given up."""
        self._total += size - self._unfinished.pop(sender, 0)
        if size:
            self._unfinished[sender] = size
        if self._total > MAX_UNFINISHED_BYTES:
            self._make_room()

    def _make_room(self) -> None:
        most_first = sorted(self._unfinished.items(), key=lambda item: item[1], reverse=True)
        for sender, size in most_first:
            if self._total <= MAX_UNFINISHED_BYTES * 3 // 4:
                break
            del self._unfinished[sender]
            self._total -= size
            sender.end("greedy")

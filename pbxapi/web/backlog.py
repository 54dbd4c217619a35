"""Answers that wait in memory until their clients take them, and how much of that is borne.

Most answers never wait: the kernel takes them at once. One that does has a deadline of its own
(`connection`); all of them together may not occupy more than `MAX_UNSENT_BYTES`, whatever many
clients ask for at once. Beyond that the client goes that has not read for the longest time.
"""

from collections import Counter
from typing import Final, Protocol

#: Some sixty lists of 5,000 calls.
MAX_UNSENT_BYTES: Final = 64 * 1024 * 1024


class Reader(Protocol):
    """A client that has not taken its answer yet."""

    @property
    def unsent_bytes(self) -> int:
        """What waits for it."""

    def end(self, reason: str, /) -> None:
        """End its connection; it is then no longer in the backlog."""


class Backlog:
    """The clients that answers wait for, the one first that has been there for longest.

    Args:
        cut: Counts connections that were ended for their slowness, by reason.
    """

    def __init__(self, cut: Counter[str]) -> None:
        self.cut = cut
        self._readers: dict[Reader, None] = {}

    def add(self, reader: Reader) -> None:
        """An answer begins to wait; others may have to go for it."""
        self._readers[reader] = None
        unsent = sum(each.unsent_bytes for each in self._readers)
        for oldest in tuple(self._readers):
            if unsent <= MAX_UNSENT_BYTES:
                break
            unsent -= oldest.unsent_bytes
            self.remove(oldest)
            oldest.end("crowded")

    def remove(self, reader: Reader) -> None:
        """The answer is taken, or its client is gone; harmless where there was none."""
        self._readers.pop(reader, None)

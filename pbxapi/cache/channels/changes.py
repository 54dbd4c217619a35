"""Which channels have changed since somebody looked, so that only what they touch is told anew."""

from collections.abc import Iterable
from typing import Final

#: Whoever looks seldom tells everything anew; with fewer, memory would grow while nobody looks.
MAX_CHANGED: Final = 10_000


class Changes:
    """Uniqueids of channels that came, went or changed; for one reader."""

    __slots__ = ("_everything", "_uniqueids")

    def __init__(self) -> None:
        self._everything = True
        self._uniqueids: set[str] = set()

    def note(self, uniqueids: Iterable[str]) -> None:
        """These have changed."""
        if self._everything:
            return
        self._uniqueids.update(uniqueids)
        if len(self._uniqueids) > MAX_CHANGED:
            self._everything = True

    def take(self) -> set[str] | None:
        """What has changed since the last time; None is everything."""
        taken = None if self._everything else self._uniqueids
        self._everything = False
        self._uniqueids = set()
        return taken

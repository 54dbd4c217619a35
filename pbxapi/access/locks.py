"""So many failures lock a key out for a while.

What a key is, a name, an address or both, is the business of whoever counts. Memory is bounded: the
keys that were used least recently are forgotten first.
"""

import math
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Bounded(Generic[K, V]):
    """A dictionary of at most so many entries, made when they are first used."""

    def __init__(self, make: Callable[[], V], most: int) -> None:
        self._make = make
        self._most = most
        self._entries: OrderedDict[K, V] = OrderedDict()

    def find(self, key: K) -> V | None:
        """The entry, where there is one."""
        return self._entries.get(key)

    def use(self, key: K) -> V:
        """The entry, which is now the last one to be forgotten."""
        if key not in self._entries:
            self._entries[key] = self._make()
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)


@dataclass(slots=True)
class Entry:
    """What is known of one key, in seconds of the clock."""

    failures: int = 0
    last_at: float = -math.inf
    locked_until: float = -math.inf
    wiped_at: float = -math.inf


class Locks(Generic[K]):
    """Failures by key.

    Args:
        max_failures: So many in a row lock a key out …
        lockout_s: … for so many seconds. A row ends when nothing failed for as long.
        most: Keys that are remembered.
    """

    def __init__(self, max_failures: int, lockout_s: float, most: int) -> None:
        self.limit(max_failures, lockout_s)
        self._entries: Bounded[K, Entry] = Bounded(Entry, most)

    def limit(self, max_failures: int, lockout_s: float) -> None:
        """Other limits from now on; who is locked out stays so for the time he was told."""
        self._max = max_failures
        self._lockout_s = lockout_s

    def is_locked(self, key: K, now: float) -> bool:
        """Whether it is locked out at this moment."""
        entry = self._entries.find(key)
        return entry is not None and now < entry.locked_until

    def failed(self, key: K, now: float) -> bool:
        """Count one failure; whether it has locked the key out."""
        entry = self._entries.use(key)
        entry.failures = entry.failures + 1 if now - entry.last_at < self._lockout_s else 1
        entry.last_at = now
        if entry.failures < self._max:
            return False
        entry.locked_until, entry.failures = now + self._lockout_s, 0
        return True

    def wipe(self, key: K, now: float) -> None:
        """Forget failures; not more than once in the time of a lock."""
        entry = self._entries.find(key)
        if entry is not None and entry.failures and now - entry.wiped_at >= self._lockout_s:
            entry.failures, entry.wiped_at = 0, now

    def __len__(self) -> int:
        return len(self._entries)

"""How many guesses there may be: by the name that is guessed at, and by where guesses come from.

A name is locked out after so many failures in a row. An address is locked out after failures at
`ADDRESS_FACTOR` times as many *different* names: one address may speak for a whole call centre,
where a forgetful person must not stop the others, while whoever tries one secret on every name is
stopped.

What is right wipes a name's failures out, yet not more than once in the time of a lock: a program
that asks every second with the right secret would otherwise give whoever guesses beside it as many
guesses as he likes. For the same reason it wipes nothing out at its address.
"""

import math
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

#: Names and addresses remembered; those unused for longest are forgotten first.
MAX_NAMES: Final = 10_000
MAX_ADDRESSES: Final = 1024
#: In the busiest minute of two thousand agents a dozen mistype, not fifty.
ADDRESS_FACTOR: Final = 5


@dataclass(slots=True)
class _Name:
    failures: int = 0
    last_at: float = -math.inf
    locked_until: float = -math.inf
    wiped_at: float = -math.inf


@dataclass(slots=True)
class _Address:
    """`failed`: names at which guesses from here failed, with the time of the last one."""

    failed: dict[str, float] = field(default_factory=dict)
    locked_until: float = -math.inf


T = TypeVar("T")


class _Bounded(Generic[T]):
    """A dictionary of so many entries."""

    def __init__(self, make: Callable[[], T], most: int) -> None:
        self._make = make
        self._most = most
        self._entries: OrderedDict[str, T] = OrderedDict()

    def find(self, key: str) -> T | None:
        return self._entries.get(key)

    def use(self, key: str) -> T:
        if key not in self._entries:
            self._entries[key] = self._make()
            if len(self._entries) > self._most:
                self._entries.popitem(last=False)
        self._entries.move_to_end(key)
        return self._entries[key]

    def __len__(self) -> int:
        return len(self._entries)


class Attempts:
    """Counts what failed.

    Args:
        max_failures: So many lock a name out …
        lockout_s: … for so many seconds. Failures that are older do not count any more.
        clock: Monotonic seconds.
    """

    def __init__(self, max_failures: int, lockout_s: float, clock: Callable[[], float]) -> None:
        self.limit(max_failures, lockout_s)
        self._clock = clock
        self._names = _Bounded(_Name, MAX_NAMES)
        self._addresses = _Bounded(_Address, MAX_ADDRESSES)

    def limit(self, max_failures: int, lockout_s: float) -> None:
        """Other limits from now on; who is locked out stays so for the time he was told."""
        self._max = max_failures
        self._lockout_s = lockout_s

    def name_is_locked(self, name: str) -> bool:
        """Whether nobody may try this name now, not even with what is right."""
        entry = self._names.find(name)
        return entry is not None and self._clock() < entry.locked_until

    def address_is_locked(self, address: str) -> bool:
        """Whether nothing that has to be checked first may be tried from there now."""
        entry = self._addresses.find(address)
        return entry is not None and self._clock() < entry.locked_until

    def failed(self, name: str, address: str) -> bool:
        """Count one failure; whether it has locked anything out."""
        now = self._clock()
        by_name = self._names.use(name)
        by_name.failures = by_name.failures + 1 if self._is_recent(by_name.last_at, now) else 1
        by_name.last_at = now
        by_address = self._addresses.use(address)
        by_address.failed = {
            other: at for other, at in by_address.failed.items() if self._is_recent(at, now)
        } | {name: now}
        name_full = by_name.failures >= self._max
        address_full = len(by_address.failed) >= self._max * ADDRESS_FACTOR
        if name_full:
            by_name.locked_until, by_name.failures = now + self._lockout_s, 0
        if address_full:
            by_address.locked_until, by_address.failed = now + self._lockout_s, {}
        return name_full or address_full

    def right(self, name: str) -> None:
        """It was right: what failed before was a slip."""
        entry = self._names.find(name)
        now = self._clock()
        if entry is not None and entry.failures and not self._is_recent(entry.wiped_at, now):
            entry.failures, entry.wiped_at = 0, now

    def _is_recent(self, at: float, now: float) -> bool:
        return now - at < self._lockout_s

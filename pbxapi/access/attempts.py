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
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from pbxapi.access.locks import Bounded, Locks

#: Names and addresses remembered; those unused for longest are forgotten first.
MAX_NAMES: Final = 10_000
MAX_ADDRESSES: Final = 1024
#: In the busiest minute of two thousand agents a dozen mistype, not fifty.
ADDRESS_FACTOR: Final = 5


@dataclass(slots=True)
class _Address:
    """`failed`: names at which guesses from here failed, with the time of the last one."""

    failed: dict[str, float] = field(default_factory=dict)
    locked_until: float = -math.inf


class Attempts:
    """Counts what failed.

    Args:
        max_failures: So many lock a name out …
        lockout_s: … for so many seconds. Failures that are older do not count any more.
        clock: Monotonic seconds.
    """

    def __init__(self, max_failures: int, lockout_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._names: Locks[str] = Locks(max_failures, lockout_s, MAX_NAMES)
        self._addresses: Bounded[str, _Address] = Bounded(_Address, MAX_ADDRESSES)
        self.limit(max_failures, lockout_s)

    def limit(self, max_failures: int, lockout_s: float) -> None:
        """Other limits from now on; who is locked out stays so for the time he was told."""
        self._names.limit(max_failures, lockout_s)
        self._max = max_failures
        self._lockout_s = lockout_s

    def name_is_locked(self, name: str) -> bool:
        """Whether nobody may try this name now, not even with what is right."""
        return self._names.is_locked(name, self._clock())

    def address_is_locked(self, address: str) -> bool:
        """Whether nothing that has to be checked first may be tried from there now."""
        entry = self._addresses.find(address)
        return entry is not None and self._clock() < entry.locked_until

    def failed(self, name: str, address: str) -> bool:
        """Count one failure; whether it has locked anything out."""
        now = self._clock()
        name_full = self._names.failed(name, now)
        by_address = self._addresses.use(address)
        by_address.failed = {
            other: at for other, at in by_address.failed.items() if now - at < self._lockout_s
        } | {name: now}
        address_full = len(by_address.failed) >= self._max * ADDRESS_FACTOR
        if address_full:
            by_address.locked_until, by_address.failed = now + self._lockout_s, {}
        return name_full or address_full

    def right(self, name: str) -> None:
        """It was right: what failed before was a slip."""
        self._names.wipe(name, self._clock())

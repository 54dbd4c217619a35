"""Which users of the API may try a password now, and from where.

`max_failures` wrong passwords lock out the user name that they were tried on, wherever they came
from, and the address that they came from, whomever they were tried on. So nobody can guess one
user's password from many addresses, nor many users' from one.

An address from which a user has proven himself is at home to that user: neither failures
elsewhere nor failures of other names there keep him out, or else anybody could lock a shop out of
its PBX. What fails for him at home is counted by itself, and `max_failures` of that lock him out
there too, since somebody else may be at the same address.

Nothing wipes failures out but time. A program that asks every second with the right password would
otherwise give whoever guesses beside it as many guesses as he likes.

An IPv6 address counts as the network of 64 bits that one customer is given: he has as many
addresses as he wants. An address that nobody knows (a proxy on the unix socket that does not say)
is never locked out as such, since it may be everybody's; the names tried from there are.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from pbxapi.access.locks import Locks
from pbxapi.faults import Fault

#: Names, addresses, and homes that are remembered; those used least recently are forgotten first.
MAX_REMEMBERED: Final = 10_000
#: Programs that run once a week are still at home the next time.
HOME_S: Final = 8 * 86_400.0
#: A home is noted anew no more often: it costs more than the rest of a normal request.
NOTED_S: Final = 60.0
#: What one customer of a provider has at least (RFC 6177).
_IPV6_NETWORK_BYTES: Final = 8
_IPV4_BYTES: Final = 4

_IpAddress = IPv4Address | IPv6Address
_Place = tuple[str, bytes]


@dataclass(slots=True)
class Home:
    """Where a user has proven himself.

    Attributes:
        proven_at: When, in seconds of the clock.
        was_locked: It was locked out since, and may be so still.
    """

    proven_at: float
    was_locked: bool = False


class Lockout:
    """Counts wrong passwords.

    Args:
        max_failures: So many lock out …
        lockout_s: … for so many seconds. A row of them ends when nothing failed for as long.
        clock: Monotonic seconds.

    Attributes:
        begun: How often something was locked out, by what it was: "name", "address" or "home".
        refused: Requests that were refused since they were locked out.
    """

    def __init__(self, max_failures: int, lockout_s: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._names: Locks[str] = Locks(max_failures, lockout_s, MAX_REMEMBERED)
        self._addresses: Locks[bytes] = Locks(max_failures, lockout_s, MAX_REMEMBERED)
        self._at_home: Locks[_Place] = Locks(max_failures, lockout_s, MAX_REMEMBERED)
        self._homes: OrderedDict[_Place, Home] = OrderedDict()
        self.begun: Counter[str] = Counter()
        self.refused = 0

    def limit(self, max_failures: int, lockout_s: float) -> None:
        """Other limits from now on; who is locked out stays so for the time he was told."""
        for locks in (self._names, self._addresses, self._at_home):
            locks.limit(max_failures, lockout_s)

    def admit(self, name: str, address: _IpAddress | None) -> Home | None:
        """Pass if this name may be tried from there now; returns its home, if that is one.

        Raises:
            Fault: 903, if not.
        """
        where = _network(address)
        home = self._homes.get((name, where))
        if home is None or home.was_locked:
            now = self._clock()
            if self._is_out(name, where, home, now):
                self.refused += 1
                raise Fault(903)
        return home

    def home(self, name: str, address: _IpAddress | None) -> Home | None:
        """Where this name may be tried now whatever failed; None where `admit` has to say."""
        home = self._homes.get((name, _network(address)))
        return None if home is None or home.was_locked else home

    def _is_out(self, name: str, where: bytes, home: Home | None, now: float) -> bool:
        if home is not None:
            return self._at_home.is_locked((name, where), now)
        return self._names.is_locked(name, now) or self._addresses.is_locked(where, now)

    def failed(self, name: str, address: _IpAddress | None) -> list[str]:
        """Count a wrong password; what it has locked out, if anything."""
        now = self._clock()
        where = _network(address)
        locked = ["name"] if self._names.failed(name, now) else []
        if where and self._addresses.failed(where, now):
            locked.append("address")
        home = self._homes.get((name, where))
        if home is not None and self._at_home.failed((name, where), now):
            home.was_locked = True
            locked.append("home")
        self.begun.update(locked)
        return locked

    def proven(self, name: str, address: _IpAddress | None) -> None:
        """The password was right: this is a home now, for `HOME_S`."""
        now = self._clock()
        place = (name, _network(address))
        self._homes[place] = Home(now)
        self._homes.move_to_end(place)
        while self._is_over(next(iter(self._homes.values())), now):
            self._homes.popitem(last=False)

    def _is_over(self, oldest: Home, now: float) -> bool:
        return len(self._homes) > MAX_REMEMBERED or now - oldest.proven_at > HOME_S


def _network(address: _IpAddress | None) -> bytes:
    """What counts as one address; nothing where nobody knows it."""
    if address is None:
        return b""
    packed = address.packed
    return packed if len(packed) == _IPV4_BYTES else packed[:_IPV6_NETWORK_BYTES]

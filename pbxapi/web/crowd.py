"""How many connections there may be: in all, and from one address.

Whoever comes when it is full is let in, and the connection that has said nothing for longest is
closed for it: first one of the same address. So connections that are merely held open keep nobody
out, and their number has an end. One that is being answered is never closed; only where all of them
are is the new one turned away.

Behind a proxy all clients come from its address: trusted proxies, loopback and unix sockets have no
limit of their own.
"""

import resource
import sys
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Protocol

import structlog

from pbxapi.access.users import IpNetwork
from pbxapi.web.requests import is_in, parse_address

#: File descriptors for all else: PostgreSQL, Asterisk, FastAGI, recordings, handshakes of TLS; and
#: for connections that are on their way in and out: asyncio accepts a whole backlog (1024) before
#: the first of them can make another one go.
RESERVE: Final = 256 + 2 * 1024
#: The log tells of closed connections no more often; the next line has their number.
TELL_S: Final = 60.0

_log = structlog.get_logger()


class Guest(Protocol):
    """A connection."""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, or for the rest of one."""

    def dismiss(self) -> None:
        """Close it at once."""


_Guests = OrderedDict[Guest, str]


class Crowd:
    """The connections that are there.

    Args:
        most: Of all addresses.
        most_of_one: Of one address.
        is_proxy: Whether an address speaks for many.
        clock: Monotonic seconds.
        closed: Counts connections that had to go, by the limit: "all" or "address".
    """

    def __init__(
        self,
        most: int = sys.maxsize,
        most_of_one: int = sys.maxsize,
        is_proxy: Callable[[str], bool] = lambda _address: False,
        clock: Callable[[], float] = time.monotonic,
        closed: Counter[str] | None = None,
    ) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._is_proxy = is_proxy
        self._clock = clock
        self._guests: _Guests = OrderedDict()
        self._by_address: dict[str, _Guests] = {}
        self._tell_at = float("-inf")
        self._untold = 0
        self.closed: Counter[str] = Counter() if closed is None else closed

    def __len__(self) -> int:
        return len(self._guests)

    def enter(self, guest: Guest, address: str) -> None:
        """Somebody has come; `address` is "" where it has none. He may be dismissed at once."""
        own = self._by_address.setdefault(address, OrderedDict())
        own[guest] = address
        self._guests[guest] = address
        if address and len(own) > self._most_of_one and not self._is_proxy(address):
            self._make_room(own, guest, "address")
        elif len(self._guests) > self._most:
            self._make_room(self._guests, guest, "all")

    def spoke(self, guest: Guest) -> None:
        """Bytes came from him."""
        address = self._guests.get(guest)
        if address is not None:
            self._guests.move_to_end(guest)
            self._by_address[address].move_to_end(guest)

    def leave(self, guest: Guest) -> None:
        """He has gone."""
        address = self._guests.pop(guest, None)
        if address is None:
            return
        own = self._by_address[address]
        del own[guest]
        if not own:
            del self._by_address[address]

    def _make_room(self, among: _Guests, new: Guest, limit: str) -> None:
        leaving = next((guest for guest in among if guest is not new and guest.is_idle), new)
        address = among[leaving]
        self.leave(leaving)
        leaving.dismiss()
        self.closed[limit] += 1
        self._untold += 1
        now = self._clock()
        if now >= self._tell_at:
            _log.warning("http.crowded", limit=limit, address=address, closed=self._untold)
            self._tell_at, self._untold = now + TELL_S, 0


def speaks_for_many(address: str, trusted: Sequence[IpNetwork]) -> bool:
    """Whether all clients of a host come from this address, or whoever sits at ours."""
    ip = parse_address(address)
    return ip is None or ip.is_loopback or is_in(ip, trusted)


def descriptors_for(connections: int) -> int:
    """How many of these connections the system lets us have; its soft limit is raised for them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVE
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(wanted - RESERVE, wanted // 2)

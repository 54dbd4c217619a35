"""How far a picture of the PBX may be believed.

"Don't know" is never "nothing": before the first list a picture has no age at all, and while there
is no AMI session the last one stays, its age counted from the last byte that Asterisk sent.
"""

import math
from typing import Final

from pbxapi.errors import PbxUnavailable

#: Without an AMI session lists are answered from the cache while it is younger (contract, 900).
MAX_AGE_S: Final = 30.0


class Freshness:
    """Age of one picture; told by its one writer of complete lists and of the session's loss."""

    def __init__(self) -> None:
        self._known = False
        self._stale_since = -math.inf

    @property
    def unseen_since(self) -> float:
        """Monotonic instant up to which all events were seen; -inf where none ever were."""
        return self._stale_since if math.isfinite(self._stale_since) else -math.inf

    def listed(self) -> None:
        """A list is complete: from here on events keep the picture right."""
        self._known = True
        self._stale_since = math.inf

    def lost(self, last_received: float) -> None:
        """No more events: the picture grows old from this monotonic instant."""
        self._stale_since = min(self._stale_since, last_received)

    def age_s(self, now: float) -> float:
        """Seconds since the picture was last known to be right: 0 while it follows the events."""
        return math.inf if not self._known else max(0.0, now - self._stale_since)

    def require(self, now: float, what: str) -> None:
        """Insist on a picture that may be believed.

        Raises:
            PbxUnavailable: it was never filled, or is older than `MAX_AGE_S`.
        """
        age_s = self.age_s(now)
        if not self._known:
            raise PbxUnavailable(f"there is no list of {what} yet")
        if age_s > MAX_AGE_S:
            raise PbxUnavailable(f"the list of {what} is {age_s:.0f} s old")

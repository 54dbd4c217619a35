"""When something arrived here: reducers read no clock, they are told."""

from typing import NamedTuple


class Instant(NamedTuple):
    """One moment by our monotonic clock and by the wall clock of Asterisk's host, in seconds."""

    monotonic: float
    epoch: float

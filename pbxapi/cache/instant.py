"""When something arrived here: reducers read no clock, they are told."""

from typing import NamedTuple


class Instant(NamedTuple):
    """One moment by both clocks, in seconds."""

    monotonic: float
    epoch: float

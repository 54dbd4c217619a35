"""Plain counters that a hot path can afford: whoever exports them reads them when asked."""

from bisect import bisect_left
from collections.abc import Sequence


class Durations:
    """How long something took, counted by upper bounds.

    Args:
        bounds_s: Upper bounds in seconds, ascending; what is longer is counted beyond the last.

    Attributes:
        counts: One count for each bound, and one for what is longer than all of them.
        total_s: Sum of all.
    """

    __slots__ = ("bounds_s", "counts", "total_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        self.bounds_s = tuple(bounds_s)
        self.counts = [0] * (len(self.bounds_s) + 1)
        self.total_s = 0.0

    def __len__(self) -> int:
        return sum(self.counts)

    def add(self, seconds: float) -> None:
        """Count one; a bound includes its own value."""
        self.counts[bisect_left(self.bounds_s, seconds)] += 1
        self.total_s += seconds

"""How long requests took, as a histogram: bounded in memory however long a run is.

Values are whole microseconds. Up to 2,047 each has a bucket of its own; beyond, buckets grow with
the values, 1,024 for each doubling, as in an HDR histogram. So a percentile is at most 0.1 % more
than the value that it stands for, and never less; the number, the mean and the greatest are exact.
"""

import math
from collections import Counter
from typing import Final

#: Bits of a value that are kept.
_BITS: Final = 11
_PER_S: Final = 1_000_000


class Latencies:
    """Seconds in, percentiles out.

    Attributes:
        buckets: How many values there are up to each of these, in microseconds.
        sum_us: All values together.
    """

    __slots__ = ("buckets", "count", "max_s", "sum_us")

    def __init__(self) -> None:
        self.buckets: Counter[int] = Counter()
        self.sum_us = 0
        self.count = 0
        self.max_s = 0.0

    def add(self, seconds: float) -> None:
        """Take one; less than nothing counts as nothing."""
        microseconds = max(0, round(seconds * _PER_S))
        shift = max(0, microseconds.bit_length() - _BITS)
        self.buckets[(microseconds >> shift) << shift | ((1 << shift) - 1)] += 1
        self.sum_us += microseconds
        self.count += 1
        self.max_s = max(self.max_s, seconds)

    def merge(self, other: "Latencies") -> None:
        """Take all of another one."""
        self.buckets.update(other.buckets)
        self.sum_us += other.sum_us
        self.count += other.count
        self.max_s = max(self.max_s, other.max_s)

    @property
    def mean_s(self) -> float:
        """Their mean; 0 where there are none."""
        return self.sum_us / self.count / _PER_S if self.count else 0.0

    def percentile_s(self, percent: float) -> float:
        """The least value that so many percent of all do not exceed (nearest rank); 0 of none."""
        rank = max(1, math.ceil(self.count * percent / 100))
        seen = 0
        for top_us in sorted(self.buckets):
            seen += self.buckets[top_us]
            if seen >= rank:
                return min(top_us / _PER_S, self.max_s)
        return 0.0

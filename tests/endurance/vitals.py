"""What the daemon's process takes: memory, descriptors, threads; and whether it takes ever more."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psutil

#: Two-sided 95 %.
_Z: Final = 1.96


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the process."""

    at_s: float
    rss_bytes: int
    descriptors: int
    threads: int


def sample(process: psutil.Process, at_s: float) -> Sample:
    with process.oneshot():
        return Sample(at_s, process.memory_info().rss, process.num_fds(), process.num_threads())


def descriptors(process: psutil.Process) -> Counter[str]:
    """What is open, by kind."""
    kinds = Counter(f"socket {each.status}" for each in process.net_connections())
    kinds["file"] = len(process.open_files())
    kinds["all"] = process.num_fds()
    return kinds


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line through samples: what is added in a minute, and the 95 % interval of that.

    Neighbouring samples are alike, so they are first averaged into `blocks` of equal length, which
    are nearly independent.
    """

    per_minute: float
    margin: float
    blocks: int

    @property
    def rises(self) -> bool:
        """Whether it is more than noise."""
        return self.per_minute - self.margin > 0


def slope(samples: Sequence[tuple[float, float]], blocks: int = 20) -> Slope | None:
    """The slope of (seconds, value); None of too few."""
    size = len(samples) // blocks
    if size < 1:
        return None
    means = [
        (
            statistics.fmean(at for at, _ in samples[i : i + size]) / 60,
            statistics.fmean(value for _, value in samples[i : i + size]),
        )
        for i in range(len(samples) - size * blocks, len(samples) - size + 1, size)
    ]
    xs, ys = [x for x, _ in means], [y for _, y in means]
    line = statistics.linear_regression(xs, ys)
    rest = [y - line.slope * x - line.intercept for x, y in means]
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    error = math.sqrt(sum(r * r for r in rest) / (len(rest) - 2) / spread)
    return Slope(line.slope, _Z * error, len(means))


def slopes(samples: Sequence[Sample], after_s: float) -> dict[str, Any]:
    """Slopes of everything once warmed up."""
    warm = [each for each in samples if each.at_s >= after_s]
    return {
        "rss_kib": slope([(s.at_s, s.rss_bytes / 1024) for s in warm]),
        "descriptors": slope([(s.at_s, float(s.descriptors)) for s in warm]),
        "threads": slope([(s.at_s, float(s.threads)) for s in warm]),
    }

"""What has come of the requests so far, by action and in total."""

from collections import Counter
from dataclasses import dataclass, field

from pbxapi.load.latencies import Latencies

#: A kind of failure whose request has waited: left out it would make the percentiles look good.
TIMEOUT = "timeout"


@dataclass(slots=True)
class Tally:
    """Requests that have ended.

    Attributes:
        latencies: Of those that succeeded, and of timeouts, which count with what they waited. A
            refusal is quick and would flatter.
        failures: How many by kind.
        body_bytes: Bytes of all bodies.
    """

    latencies: Latencies = field(default_factory=Latencies)
    succeeded: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    body_bytes: int = 0

    def add(self, latency_s: float, failure: str, body_bytes: int) -> None:
        """One request has ended; `failure` is "" for a success."""
        self.body_bytes += body_bytes
        if failure:
            self.failures[failure] += 1
        else:
            self.succeeded += 1
        if not failure or failure == TIMEOUT:
            self.latencies.add(latency_s)

    def merge(self, other: "Tally") -> None:
        """Add all of another one."""
        self.latencies.merge(other.latencies)
        self.succeeded += other.succeeded
        self.failures.update(other.failures)
        self.body_bytes += other.body_bytes

    @property
    def requests(self) -> int:
        """All that have ended."""
        return self.succeeded + self.failures.total()

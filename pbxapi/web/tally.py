"""What became of the requests of the legacy path, in plain counters."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from pbxapi.tallies import Durations

#: Answers from memory take a fraction of a millisecond, calls wait for Asterisk, moves for a disk.
BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
#: What stands for every action that does not exist, or that nobody got as far as to name.
UNKNOWN: Final = "unknown"
#: What stands in the place of an error's code where there was none.
NO_ERROR: Final = 0


class RequestTally:
    """Counts requests by action and error, and how long they took by action.

    Args:
        actions: All that there are. Nothing that a client says becomes a label: it could fill the
            memory with them.

    Attributes:
        answers: (action, code of the error or `NO_ERROR`) → how many.
        durations: Action → how long.
        cut: What was slow → connections that were ended for it.
        crowded: Limit of connections → those that were closed for others.
    """

    def __init__(self, actions: Iterable[str]) -> None:
        self.answers: dict[tuple[str, int], int] = {}
        self.cut: Counter[str] = Counter()
        self.crowded: Counter[str] = Counter()
        self.durations = {name: Durations(BOUNDS_S) for name in (*actions, UNKNOWN)}

    def finished(self, action: str | None, errno: int, took_s: float) -> None:
        """Count one that was answered; `action` as the client named it."""
        durations = self.durations.get(action or UNKNOWN)
        if durations is None:
            action, durations = UNKNOWN, self.durations[UNKNOWN]
        durations.add(took_s)
        key = (action or UNKNOWN, errno)
        self.answers[key] = self.answers.get(key, 0) + 1

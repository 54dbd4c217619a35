"""What became of those who came over FastAGI, in plain counters."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class CallTally:
    """Counts conversations, and refusals.

    Attributes:
        is_listening: Whether anybody can come at all.
        served: (script, "served", "interrupted" or "failed") → how many. Scripts are those that
            there are: nobody gets that far with another name.
        refused: Reason → how many were sent away without a word.
    """

    is_listening: bool = False
    served: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

"""What can be made to go wrong on purpose, short of a restart."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Faults:
    """Switches that sessions look at; all off at first.

    Attributes:
        stalled: Connections are accepted and read, and nothing is answered.
        refuse_logins: Every login fails, whatever the secret.
        bytes_per_write, write_delay_s: With both set, output trickles.
        slow: Seconds before an action is begun, by its lower-case name.
        drop: How many of the next answers of an action get lost, by its lower-case name.
        booted_at: Moment from which the PBX is fully booted.
    """

    stalled: bool = False
    refuse_logins: bool = False
    bytes_per_write: int = 0
    write_delay_s: float = 0.0
    slow: dict[str, float] = field(default_factory=dict)
    drop: Counter[str] = field(default_factory=Counter)
    booted_at: float = 0.0

    def take_drop(self, action: str) -> bool:
        """Whether this answer of that action is one to lose."""
        if self.drop[action.lower()] <= 0:
            return False
        self.drop[action.lower()] -= 1
        return True

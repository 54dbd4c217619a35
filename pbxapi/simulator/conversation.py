"""One client's dealings with the manager: who it is, what it may, how it is answered.

No bytes and no sockets here; the session that owns a conversation carries its text, and is told
when an action takes its time, for Asterisk reads nothing more from a client until it is done.
"""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from pbxapi.simulator.options import ManagerUser
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.wire import Action

if TYPE_CHECKING:
    from pbxapi.simulator.faults import Faults


class Line(Protocol):
    """What a conversation needs of the session that carries it."""

    local_address: tuple[str, int]
    remote_address: tuple[str, int]

    def write(self, text: str) -> None:
        """Send text of the answer."""

    def hold(self) -> None:
        """Read no further action and send no event until `release`."""

    def release(self) -> None:
        """The action that took its time is done."""

    def close(self) -> None:
        """Hang up on the client once everything is sent."""


@dataclass(slots=True)
class Filters:
    """Event filters of one session (Action: Filter): regular expressions over the whole event."""

    include: list[re.Pattern[str]] = field(default_factory=list)
    exclude: list[re.Pattern[str]] = field(default_factory=list)

    def add(self, expression: str) -> None:
        """Add a filter; `!` in front makes it one of events that are not wanted.

        Raises:
            re.error: where it is no regular expression.
        """
        if expression.startswith("!"):
            self.exclude.append(re.compile(expression[1:]))
        else:
            self.include.append(re.compile(expression))

    def passes(self, payload: bytes) -> bool:
        """Whether an event gets through."""
        if not self.include and not self.exclude:
            return True
        text = payload.decode("utf-8", "surrogateescape")
        if any(pattern.search(text) for pattern in self.exclude):
            return False
        return not self.include or any(pattern.search(text) for pattern in self.include)


class Conversation:
    """State of one manager session.

    Attributes:
        user: Who logged in, or None.
        read: Classes it may read. `events` is what it asked to get of them.
        write: Classes of actions it may run.
    """

    def __init__(self, pbx: Pbx, faults: "Faults", line: Line) -> None:
        self.pbx = pbx
        self.faults = faults
        self.line = line
        self.user: ManagerUser | None = None
        self.challenge = ""
        self.read = 0
        self.write = 0
        self.events = 0
        self.filters = Filters()

    def respond(self, action: Action, response: str, message: str = "", headers: str = "") -> None:
        """One whole answer; `headers` come behind the message."""
        self.line.write(self._start(action, response, message) + headers + "\r\n")

    def ack(self, action: Action, message: str) -> None:
        """`Response: Success`."""
        self.respond(action, "Success", message)

    def error(self, action: Action, message: str) -> None:
        """`Response: Error`."""
        self.respond(action, "Error", message)

    def list_start(self, action: Action, message: str) -> None:
        """The answer in front of a list of events."""
        start = self._start(action, "Success")
        self.line.write(f"{start}EventList: start\r\nMessage: {message}\r\n\r\n")

    def list_item(self, text: str) -> None:
        """One event of a list, its headers complete."""
        self.line.write(text + "\r\n")

    def list_complete(self, action: Action, event: str, items: int, headers: str = "") -> None:
        """The event behind a list."""
        self.line.write(
            f"Event: {event}\r\n{id_line(action)}EventList: Complete\r\n"
            f"ListItems: {items}\r\n{headers}\r\n"
        )

    @staticmethod
    def _start(action: Action, response: str, message: str = "") -> str:
        text = f"Response: {response}\r\n{id_line(action)}"
        return f"{text}Message: {message}\r\n" if message else text


def id_line(action: Action) -> str:
    """The ActionID header of an answer; none where the action had none."""
    return f"ActionID: {action.action_id}\r\n" if action.action_id else ""

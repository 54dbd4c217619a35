"""What a client sends, cut into actions as Asterisk cuts it, with its limits and its complaints.

Rules, from main/manager.c get_input(), do_message(), __astman_get_header():

- A line ends with CRLF or with LF alone, an empty line ends the action.
- A line has to end within 1,024 bytes. One that does not spoils the whole action it is in: it is
  answered, at the empty line, with `line too long`, under its ActionID if that line was fine.
- From the 129th header on, the action is answered with `Too many lines in message`.
- A header's name is followed by a colon at once; blanks behind the colon do not count. The first
  header of a name is the one that is looked at, whatever the case of its letters.
"""

from dataclasses import dataclass
from typing import Final

MAX_LINE_BYTES: Final = 1024
MAX_HEADERS: Final = 128

#: Bytes of an action that are kept for `Action.raw`; the rest of a flood is forgotten.
MAX_RAW_BYTES: Final = 256 * 1024

LINE_TOO_LONG: Final = "Failed to parse message: line too long"
TOO_MANY_LINES: Final = "Too many lines in message or allocation failure"


@dataclass(frozen=True, slots=True)
class Action:
    """One action as it came.

    Attributes:
        raw: Its bytes, empty line included.
        lines: Its lines, as text in which foreign bytes survive.
        complaint: What Asterisk answers instead of looking into it, or "".
    """

    raw: bytes
    lines: tuple[str, ...]
    complaint: str = ""

    @property
    def name(self) -> str:
        """Value of the first `Action` header that has one."""
        return next((value for value in self.all("Action") if value), "")

    @property
    def action_id(self) -> str:
        """Its ActionID, or ""."""
        return self.get("ActionID")

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Names and values in order, lines without a colon left out."""
        pairs = (line.partition(":") for line in self.lines)
        return tuple((name, value.lstrip(" ")) for name, colon, value in pairs if colon)

    def get(self, name: str) -> str:
        """First value of a header, or ""."""
        values = self.all(name)
        return values[0] if values else ""

    def all(self, name: str) -> list[str]:
        """Every value of a header, in order."""
        prefix = name.lower() + ":"
        return [
            line[len(prefix) :].lstrip(" ")
            for line in self.lines
            if line[: len(prefix)].lower() == prefix
        ]


class ActionReader:
    """Bytes in, actions out; bytes may come cut anywhere."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._raw = bytearray()
        self._lines: list[str] = []
        self._too_long = False
        self._too_many = False

    def feed(self, data: bytes) -> list[Action]:
        """Take bytes; return the actions that they complete."""
        self._buffer += data
        actions: list[Action] = []
        while True:
            end = self._buffer.find(b"\n", 0, MAX_LINE_BYTES)
            if end >= 0:
                action = self._take_line(end)
                if action is not None:
                    actions.append(action)
            elif len(self._buffer) >= MAX_LINE_BYTES:
                self._discard()
            else:
                return actions

    def _discard(self) -> None:
        """The buffer is full without a line end: keep its last byte, it may be half of a CRLF."""
        self._keep(MAX_LINE_BYTES - 1)
        del self._buffer[: MAX_LINE_BYTES - 1]
        self._too_long = True

    def _keep(self, size: int) -> None:
        if len(self._raw) < MAX_RAW_BYTES:
            self._raw += self._buffer[:size]

    def _take_line(self, end: int) -> Action | None:
        line = bytes(self._buffer[:end])
        self._keep(end + 1)
        del self._buffer[: end + 1]
        line = line.removesuffix(b"\r").partition(b"\0")[0]
        if not line:
            return self._finish()
        if len(self._lines) < MAX_HEADERS:
            self._lines.append(line.decode("utf-8", "surrogateescape"))
        else:
            self._too_many = True
        return None

    def _finish(self) -> Action:
        complaint = ""
        if self._too_many:
            complaint = TOO_MANY_LINES
        elif self._too_long:
            complaint = LINE_TOO_LONG
        action = Action(bytes(self._raw), tuple(self._lines), complaint)
        if not self._too_many:  # Asterisk forgets a long line only when it complains of it
            self._too_long = False
        self._raw.clear()
        self._lines.clear()
        self._too_many = False
        return action

"""One message that Asterisk sent: a response or an event.

Asterisk repeats headers freely (`ChanVariable`, `Output`, `Contacts`), so a message keeps them all;
asked for one value it gives the first, since what comes later may be text that a caller controls.
Source: Asterisk main/manager.c, astman_append() and manager_channels.c; seen in both 16 and 22.
"""

from collections.abc import Mapping
from typing import Final

#: Headers of a message: name → its first value.
Fields = Mapping[str, str]

#: What Asterisk writes for a party number or name that it does not know (channel events, lists).
UNKNOWN: Final = "<unknown>"


class Message:
    """An AMI message, its headers in order.

    `fields` maps each header name, spelt as Asterisk spells it, to its first value. It is a plain
    dict because reducers read some ten of them from every event.
    """

    __slots__ = ("_lines", "fields")

    def __init__(self, frame: bytes) -> None:
        """Decode one frame: header lines separated by CRLF, without the empty line at its end."""
        self._lines = frame.decode("utf-8", "replace").split("\r\n")
        fields: dict[str, str] = {}
        for line in self._lines:
            name, separator, value = line.partition(": ")
            if not separator:  # `Key:value`, or `Key:` whose blank an intermediary has trimmed
                name, _, value = line.partition(":")
            if name not in fields:
                fields[name] = value
        self.fields = fields

    @property
    def event(self) -> str:
        """Name of the event, or "" for a response.

        Only the first header tells: a value of a response may hold a line feed and, behind it,
        whatever looks like a header (Status with variables, Getvar).
        """
        # Not [...]: "Event:a: b" is a header of another name.
        return self.fields.get("Event", "") if self._lines[0].startswith("Event:") else ""

    @property
    def action_id(self) -> str:
        """The ActionID that this message answers, or ""."""
        return self.fields.get("ActionID", "")

    def get(self, name: str, default: str = "") -> str:
        """First value of a header."""
        return self.fields.get(name, default)

    def all(self, name: str) -> list[str]:
        """Every value of a repeated header, in order, such as the lines of `Output`."""
        prefix = name + ":"
        return [
            line[len(prefix) :].removeprefix(" ") for line in self._lines if line.startswith(prefix)
        ]

    def __repr__(self) -> str:
        return f"<Message {self._lines[0]!r} ActionID={self.action_id!r}>"

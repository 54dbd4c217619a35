r"""One message that Asterisk sent: a response or an event.

Asterisk repeats headers freely (`ChanVariable`, `Output`, `Contacts`), so a message keeps them all;
asked for one value it gives the first, since what comes later may be text that a caller controls.
Source: Asterisk main/manager.c, astman_append() and manager_channels.c; seen in both 16 and 22.

Events come by the ten thousand a second, and taking one apart into its twenty headers costs five
times what is done with it afterwards. So nothing is taken apart before somebody asks, and what
nearly everybody asks for, the snapshot of a channel, is read in one piece.
"""

import re
from collections.abc import Mapping
from typing import Final, cast

#: Headers of a message: name → its first value.
Fields = Mapping[str, str]

#: What Asterisk writes for a party number or name that it does not know (channel events, lists).
UNKNOWN: Final = "<unknown>"


#: What an event says of one channel: Channel, ChannelStateDesc, CallerIDNum, ConnectedLineNum,
#: AccountCode, Context, Exten, Uniqueid, Linkedid. A bare tuple, as one is read from most events.
Snapshot = tuple[str, str, str, str, str, str, str, str, str]


def uniqueid_in(snapshot: Snapshot) -> str:
    """The Uniqueid of the channel."""
    return snapshot[7]


#: All but a line feed, and where CRLF must follow, all but these two.
_VALUE: Final = ".*"


def _lines_of_snapshot(prefix: str, value: str) -> str:
    """Matches what ast_manager_build_channel_state_string_prefix() writes, keeping each `value`."""
    return "".join(
        f"{prefix}{name}: {value if kept else _VALUE}\r\n"
        for name, kept in (
            ("Channel", True),
            ("ChannelState", False),
            ("ChannelStateDesc", True),
            ("CallerIDNum", True),
            ("CallerIDName", False),
            ("ConnectedLineNum", True),
            ("ConnectedLineName", False),
            ("Language", False),
            ("AccountCode", True),
            ("Context", True),
            ("Exten", True),
            ("Priority", False),
            ("Uniqueid", True),
            ("Linkedid", True),
        )
    ).removesuffix("\r\n")


_KEPT: Final = f"({_VALUE})"
_EMPTY_LINE: Final = re.compile("\n\r?\n")
_LINE_END: Final = "(?:\r\n|\\Z)"
# No name comes twice up to the last line that is kept, so these are the first values of each.
_HEAD: Final = f"Event: {_VALUE}\r\nPrivilege: {_VALUE}\r\n(?:Bridge{_VALUE}\r\n)*"
_SNAPSHOT: Final = re.compile(_HEAD + _lines_of_snapshot("", _KEPT) + _LINE_END)
_DESTINATION: Final = re.compile(
    _HEAD
    + f"(?:{_lines_of_snapshot('', _VALUE)}\r\n(?:ChanVariable: {_VALUE}\r\n)*)?"
    + _lines_of_snapshot("Dest", _KEPT)
    + _LINE_END
)


class Message:
    """An AMI message, its headers in order.

    Args:
        frame: Its lines, without the empty one at the end; each ends at LF or CRLF.

    Attributes:
        event: Name of the event, or "" for a response.

            Only the first header tells: a value of a response may hold a line feed and, behind
            it, whatever looks like a header (Status with variables, Getvar).
        action_id: The ActionID that this message answers, or "".
    """

    __slots__ = ("_fields", "_frame", "_snapshot", "_start", "action_id", "event")

    def __init__(self, frame: bytes) -> None:
        self._frame = frame.decode("utf-8", "replace")
        self._start = 0
        self._fields: dict[str, str] | None = None
        self._snapshot: Snapshot | None = None
        # Not [...]: "Event:a: b" is a header of another name.
        self.event = self.fields.get("Event", "") if self._frame.startswith("Event:") else ""
        self.action_id = self.fields.get("ActionID", "")

    @property
    def _text(self) -> str:
        """The lines, cut out of what else was received when they are asked for."""
        if self._start:
            found = _EMPTY_LINE.search(self._frame, self._start)
            end = None if found is None else found.start()
            self._frame = self._frame[self._start : end].removesuffix("\r")
            self._start = 0
        return self._frame

    @property
    def fields(self) -> Fields:
        """Each header name, spelt as Asterisk spells it, with its first value: a plain dict."""
        if self._fields is None:
            fields: dict[str, str] = {}
            for line in self._lines:
                name, separator, value = line.partition(": ")
                if not separator:  # `Key:value`, or `Key:` whose blank an intermediary trimmed
                    name, separator, value = line.partition(":")
                if separator and name not in fields:
                    fields[name] = value
            self._fields = fields
        return self._fields

    @property
    def snapshot(self) -> Snapshot | None:
        """The channel that an event is about; None where it is not written as Asterisk does.

        Then `fields` may still have some of it; otherwise both say the same.
        """
        if self._snapshot is None:
            self._snapshot = _read(_SNAPSHOT, self._frame, self._start)
        return self._snapshot

    @property
    def destination(self) -> Snapshot | None:
        """… and the channel that is dialled (`DestChannel` and so on)."""
        return _read(_DESTINATION, self._frame, self._start)

    @property
    def uniqueid(self) -> str:
        """The Uniqueid of the channel that an event is about, or ""."""
        snapshot = self.snapshot
        return self.get("Uniqueid") if snapshot is None else uniqueid_in(snapshot)

    @property
    def _lines(self) -> list[str]:
        return self._text.replace("\r\n", "\n").split("\n")

    def get(self, name: str, default: str = "") -> str:
        """First value of a header."""
        if self._fields is None:
            # One value is not worth taking all of them apart.
            line = f"\n{name}:"
            text, start = self._text, self._text.find(line)
            value = start + len(line)
            if start >= 0 and text[value : value + 1] == " " and not text.startswith(line[1:]):
                end = text.find("\n", value)
                return text[value + 1 :] if end < 0 else text[value + 1 : end].removesuffix("\r")
        return self.fields.get(name, default)

    def all(self, name: str) -> list[str]:
        """Every value of a repeated header, in order, such as the lines of `Output`."""
        prefix = name + ":"
        return [
            line[len(prefix) :].removeprefix(" ") for line in self._lines if line.startswith(prefix)
        ]

    def __repr__(self) -> str:
        return f"<Message {self._lines[0]!r} ActionID={self.action_id!r}>"


class Event(Message):
    """A message of which is known already that it is an event and answers nothing.

    Args:
        received: Text that it is somewhere in; an empty line follows it.
        start: Where it begins there; not at the very beginning, as an empty line precedes it.
        event: Its name.
    """

    __slots__ = ()

    def __init__(self, received: str, start: int, event: str) -> None:
        self._frame = received
        self._start = start
        self._fields = None
        self._snapshot = None
        self.event = event
        self.action_id = ""


def _read(pattern: re.Pattern[str], text: str, start: int) -> Snapshot | None:
    found = pattern.match(text, start)
    return None if found is None else cast("Snapshot", found.groups())

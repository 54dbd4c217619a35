r"""AMI bytes to messages, with no I/O and no clock.

Theory of operation. The server sends one banner line, then messages: header lines, each ended by
CRLF, and an empty line. Asterisk sends CRLF throughout; other servers and recordings may use a lone
LF, so a line ends at LF with or without a CR before it. Input may be cut anywhere, inside a
character too: nothing is decoded before its message is whole.

A busy PBX sends far more events than anyone here wants (VarSet and RTCP reports make up half of the
bytes). What is neither a wanted event nor carries an ActionID, that is, answers something that was
asked, is dropped. Mostly nobody has asked anything: then one search of all that came finds the
first lines of the wanted events, and the others are not even cut out.

Everything is bounded: a peer that sends a line or a message without end is cut off, for it is not
an AMI server.
"""

import re
from collections.abc import Iterable
from typing import Final

from pbxapi.ami.message import Event, Message
from pbxapi.errors import PbxapiError

#: The banner is "Asterisk Call Manager/11.0.0"; what is much longer comes from something else.
MAX_BANNER_BYTES: Final = 256
#: The longest real message is the `Output` of a CLI command (2 MB for 5,000 channels).
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024

_END: Final = b"\r\n\r\n"
_ANY_LINE_END: Final = re.compile(rb"\r?\n")
#: The line feed that ends a message, and the empty line behind it.
_EMPTY_LINE: Final = b"\n\r\n"
_BOUNDARY: Final = re.compile(rb"\n\r?\n")
_ACTION_ID: Final = b"\nActionID:"
_EVENT: Final = "\nEvent:"


class ProtocolError(PbxapiError):
    """The other side does not speak AMI."""


class AmiProtocol:
    """Splits what one connection received into messages.

    Args:
        wanted: Names of the events to hand on; others are counted in `skipped` and dropped,
            unless they carry an ActionID, and so is what is no event. None means all messages.
    """

    def __init__(self, wanted: Iterable[str] | None = None) -> None:
        self._wanted = None if wanted is None else frozenset(wanted)
        self._first_lines = _first_lines(self._wanted or ())
        # After the banner it always begins with an empty line, so that every message follows one.
        self._rest = b""
        self.banner: str | None = None
        self.skipped = 0

    def receive_data(self, data: bytes) -> list[Message]:
        """Take the next bytes, of any length; return the messages that they completed, in order.

        Raises:
            ProtocolError: on a banner that is none, or a message beyond all bounds.
        """
        pending = self._rest + data
        if self.banner is None:
            after_banner = self._take_banner(pending)
            if after_banner is None:
                self._rest = pending
                return []
            pending = _EMPTY_LINE + after_banner
        end = _boundary_before(pending, len(pending))
        self._rest = pending[end:]
        if len(self._rest) > MAX_MESSAGE_BYTES:
            raise ProtocolError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
        return self._take(pending, end)

    def _take_banner(self, pending: bytes) -> bytes | None:
        """What comes after it; None as long as it is not whole."""
        line, end, rest = pending.partition(b"\n")
        if len(line) > MAX_BANNER_BYTES:
            raise ProtocolError("no AMI banner")
        if not end:
            return None
        banner = line.rstrip(b"\r").decode("utf-8", "replace")
        if "Call Manager" not in banner:
            raise ProtocolError(f"not an AMI banner: {banner!r}")
        self.banner = banner
        return rest

    def _take(self, pending: bytes, end: int) -> list[Message]:
        if self._wanted is None:
            return self._take_all(pending, 0, end)
        first = pending.find(_ACTION_ID, 0, end)
        if first < 0:
            return self._take_events(pending, 0, end)
        begin = _boundary_before(pending, first + 1)
        stop = _boundary_after(pending, pending.rfind(_ACTION_ID, 0, end) + 1)
        return [
            *self._take_events(pending, 0, begin),
            *self._take_all(pending, begin, stop),
            *self._take_events(pending, stop, end),
        ]

    def _take_events(self, pending: bytes, start: int, end: int) -> list[Message]:
        """The wanted events between two boundaries, where nothing carries an ActionID."""
        text = pending[start : end + 3].decode("utf-8", "replace")
        taken: list[Message] = [
            Event(text, found.start() + 1, found[1]) for found in self._first_lines.finditer(text)
        ]
        self.skipped += text.count(_EVENT) - len(taken)
        return taken

    def _take_all(self, pending: bytes, start: int, end: int) -> list[Message]:
        """Every message between two boundaries; of the events those that somebody wants."""
        data = b"\r" + pending[start : end + 1] + b"\r\n"
        if data.count(b"\n") != data.count(b"\r\n"):
            data = _ANY_LINE_END.sub(b"\r\n", data)
        frames = (frame.removeprefix(b"\r\n") for frame in data.split(_END))
        taken = (self._message(frame) for frame in frames if frame)
        return [message for message in taken if message is not None]

    def _message(self, frame: bytes) -> Message | None:
        if self._wanted is None or _ACTION_ID in b"\n" + frame:
            return Message(frame)
        line = frame.partition(b"\r\n")[0].decode("utf-8", "replace")
        header, _, event = line.partition(":")
        if header == "Event" and event.removeprefix(" ") in self._wanted:
            return Message(frame)
        self.skipped += header == "Event"
        return None


def _first_lines(events: Iterable[str]) -> re.Pattern[str]:
    """Finds the first lines of these events, each behind an empty line.

    The pattern begins with what has to be there, so that the search is one for a plain string; what
    stands before it is looked at afterwards.
    """
    names = "|".join(map(re.escape, events)) or "(?!)"
    return re.compile(rf"\nEvent:(?:(?<=\n\r\nEvent:)|(?<=\n\nEvent:)) ?({names})\r?\n")


def _boundary_before(pending: bytes, end: int) -> int:
    """The last one that ends before `end`; there is always one."""
    crlf = pending.rfind(b"\n\r\n", 0, end)
    return max(crlf, pending.rfind(b"\n\n", crlf + 1, end))


def _boundary_after(pending: bytes, start: int) -> int:
    """The next one; for who knows that there is one."""
    found = _BOUNDARY.search(pending, start)
    return len(pending) if found is None else found.start()

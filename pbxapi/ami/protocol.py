r"""AMI bytes to messages, with no I/O and no clock.

Theory of operation. The server sends one banner line, then messages: header lines, each ended by
CRLF, and an empty line. Asterisk sends CRLF throughout; other servers and recordings may use a lone
LF, so a line ends at LF with or without a CR before it. Input may be cut anywhere, inside a
character too: nothing is decoded before its message is whole.

A busy PBX sends far more events than anyone here wants (VarSet and RTCP reports make up half of the
bytes), so a frame is looked at as bytes first and dropped unless its event is wanted or it carries
an ActionID, that is, answers something that was asked.

Everything is bounded: a peer that sends a line or a message without end is cut off, for it is not
an AMI server.
"""

import re
from collections.abc import Iterable
from typing import Final

from pbxapi.ami.message import Message
from pbxapi.errors import PbxapiError

#: The banner is "Asterisk Call Manager/11.0.0"; what is much longer comes from something else.
MAX_BANNER_BYTES: Final = 256
#: The longest real message is the `Output` of a CLI command (2 MB for 5,000 channels).
MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024

_END: Final = b"\r\n\r\n"
_ANY_LINE_END: Final = re.compile(rb"\r?\n")
_EVENT: Final = b"Event: "
_ACTION_ID: Final = b"\r\nActionID: "


class ProtocolError(PbxapiError):
    """The other side does not speak AMI."""


class AmiProtocol:
    """Splits what one connection received into messages.

    Args:
        wanted: Names of the events to decode; others are counted in `skipped` and dropped,
            unless they carry an ActionID. None means all.
    """

    def __init__(self, wanted: Iterable[str] | None = None) -> None:
        self._wanted = None if wanted is None else frozenset(name.encode() for name in wanted)
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
            pending = self._take_banner(pending)
            if self.banner is None:
                self._rest = pending
                return []
        if pending.count(b"\n") != pending.count(b"\r\n"):
            pending = _ANY_LINE_END.sub(b"\r\n", pending)
        *frames, self._rest = pending.split(_END)
        if len(self._rest) > MAX_MESSAGE_BYTES:
            raise ProtocolError(f"a message of more than {MAX_MESSAGE_BYTES} bytes")
        return [Message(frame) for frame in map(_trim, frames) if self._is_wanted(frame)]

    def _take_banner(self, pending: bytes) -> bytes:
        line, end, rest = pending.partition(b"\n")
        if len(line) > MAX_BANNER_BYTES:
            raise ProtocolError("no AMI banner")
        if not end:
            return pending
        banner = line.rstrip(b"\r").decode("utf-8", "replace")
        if "Call Manager" not in banner:
            raise ProtocolError(f"not an AMI banner: {banner!r}")
        self.banner = banner
        return rest

    def _is_wanted(self, frame: bytes) -> bool:
        if not frame:
            return False
        if self._wanted is None or not frame.startswith(_EVENT):
            return True
        end = frame.find(b"\r\n")
        name = frame[len(_EVENT) : end if end >= 0 else None]
        if name in self._wanted or _ACTION_ID in frame:
            return True
        self.skipped += 1
        return False


def _trim(frame: bytes) -> bytes:
    """Drop empty lines before a message: some answers of Asterisk end with one too many."""
    return frame.lstrip(b"\r\n") if frame[:1] == b"\r" else frame

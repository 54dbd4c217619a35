"""Request lines with raw bytes beyond ASCII, made into ones that the HTTP parser takes.

Old clients put the text of their form, in windows-1250, into the URL as it is. PHP under Apache got
those bytes; aiohttp's parser refuses the request. So each such byte of a request line is
percent-encoded on its way to the parser, and nothing else of the stream is touched.

To know what is a request line and what is not, the end of each request is followed by the rules of
RFC 9112, section 6, as far as they are simple: no body, or one `Content-Length`. After anything
else (chunks, an upgrade, two lengths) the rest of the connection passes as it is: had a body been
taken for a request line, its length would change, and a proxy before us would see other requests
than we do.
"""

import re
from typing import Final

#: More than a request line and headers that the parser takes.
MAX_HEAD_BYTES: Final = 2 * 1024 * 1024

_BEYOND_ASCII: Final = re.compile(rb"[\x80-\xff]")
_HEAD_END: Final = b"\r\n\r\n"
#: Headers that decide where the body ends. With a blank before its colon the parser refuses one.
_FRAMING: Final = re.compile(
    rb"\r\n(content-length|transfer-encoding|upgrade)[ \t]*:([^\r\n]*)", re.IGNORECASE
)
_LENGTH: Final = re.compile(rb"[ \t]*([0-9]{1,15})[ \t]*")
_TUNNEL: Final = b"CONNECT "
_BODILESS: Final = (b"GET ", b"HEAD ")
_FRAMING_NAMES: Final = (b"content-length", b"transfer-encoding", b"upgrade")


def _is_one_request(data: bytes) -> bool:
    """Whether this is one whole request without a body, all in ASCII: most come so, in one piece.

    Anything of which that is not plain at once is looked at closely.
    """
    if not data.isascii() or not data.startswith(_BODILESS):
        return False
    if data.find(_HEAD_END) != len(data) - len(_HEAD_END):
        return False
    lower = data.lower()
    return not any(name in lower for name in _FRAMING_NAMES)


class RequestLines:
    """One connection's stream of bytes, fed as it comes.

    Attributes:
        unfinished_bytes: Of a request that is not complete, what has come of it; of a connection
            whose requests are not followed any more, all that has come since.
    """

    __slots__ = ("_body_left", "_head", "_in_line", "_is_first", "_is_simple", "unfinished_bytes")

    def __init__(self) -> None:
        self._head = bytearray()
        self._in_line = True
        self._is_first = True
        self._body_left = 0
        self._is_simple = True
        self.unfinished_bytes = 0

    @property
    def is_followed(self) -> bool:
        """Whether it is known where a request ends."""
        return self._is_simple

    @property
    def owes_head(self) -> bool:
        """Whether the first request, or one that has begun, lacks the end of its head."""
        return self._is_simple and (self._is_first or bool(self._head))

    @property
    def is_between(self) -> bool:
        """Whether a request begins with the next byte."""
        return self._is_simple and not self._head and not self._body_left

    def skip_request(self) -> None:
        """A whole request was read by somebody else."""
        self._is_first = False

    def feed(self, data: bytes) -> bytes:
        """The same bytes, those of request lines in ASCII."""
        if not self._head and not self._body_left and _is_one_request(data):
            self._is_first = False
            return data
        fed = bytearray()
        while data and self._is_simple:
            if self._body_left:
                part, data = data[: self._body_left], data[self._body_left :]
                self._body_left -= len(part)
                self.unfinished_bytes = self._body_left and self.unfinished_bytes + len(part)
            else:
                part, data = self._take_head(data)
            fed += part
        if not self._is_simple:
            self.unfinished_bytes += len(data)
        return bytes(fed) + data

    def _take_head(self, data: bytes) -> tuple[bytes, bytes]:
        """What belongs to the head, encoded, and what follows."""
        if not self._head and data[0] in b"\r\n":  # blank lines before a request mean nothing
            rest = data.lstrip(b"\r\n")
            return data[: len(data) - len(rest)], rest
        before = len(self._head)
        self._head += data
        end = self._head.find(_HEAD_END, max(0, before - len(_HEAD_END) + 1))
        size = len(data) if end < 0 else end + len(_HEAD_END) - before
        part = self._encode(data[:size])
        self.unfinished_bytes = before + size
        if end >= 0:
            self._follow(bytes(self._head[: before + size]))
        elif len(self._head) > MAX_HEAD_BYTES:
            self._give_up()
        return part, data[size:]

    def _encode(self, part: bytes) -> bytes:
        """Encode as much of a part of the head as is its first line."""
        if not self._in_line:
            return part
        line, end, rest = part.partition(b"\n")
        self._in_line = not end
        return _BEYOND_ASCII.sub(lambda byte: b"%%%02X" % byte[0][0], line) + end + rest

    def _follow(self, head: bytes) -> None:
        """Find out where the body of the request ends that has this head."""
        framing = _FRAMING.findall(head)
        self._head.clear()
        self._in_line = True
        self._is_first = False
        if framing:
            length = _LENGTH.fullmatch(framing[0][1])
            is_length = len(framing) == 1 and framing[0][0].lower() == b"content-length"
            self._is_simple = is_length and length is not None
            self._body_left = int(length[1]) if length else 0
        elif head.startswith(_TUNNEL):
            self._is_simple = False
        if self._is_simple and not self._body_left:
            self.unfinished_bytes = 0

    def _give_up(self) -> None:
        self._is_simple = False
        self._head.clear()

"""Requests that were answered before and come again, byte for byte, from programs that poll.

What of a request was found out from its bytes alone (its parameters, and that nothing is wrong with
them) is remembered by a keyed digest of the bytes, so such a request need not be read again. Who
asks, and whether he may, is found out anew each time. Neither the bytes nor the password are kept:
what stands for the password is the digest that it was proven by.

Only heads of a plain GET are remembered (`may_be_remembered`), and only once they were answered.
Memory is bounded: who has no user cannot add anything, and who has pushes out the oldest.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

#: A program that polls has a few requests, each of a few hundred bytes.
MAX_REMEMBERED: Final = 1024
MAX_HEAD_BYTES: Final = 4096

_KEY_BYTES: Final = 32
_DIGEST_BYTES: Final = 32
_HEAD_END: Final = b"\r\n\r\n"
#: In what has one of these, more may follow the head, or something before the answer.
_UNUSUAL: Final = (b"content-length", b"transfer-encoding", b"upgrade", b"expect")


class Remembered(NamedTuple):
    """What is known of a request from its bytes.

    Attributes:
        action: The name of its action.
        params: Its parameters without the password.
        proof: What stands for the password.
        version: Of HTTP, as the answer names it: "HTTP/1.1".
        stays_open: Whether its connection waits for a further request afterwards.
    """

    action: str
    params: Mapping[str, str]
    proof: bytes
    version: str
    stays_open: bool


class Requests:
    """Those that are remembered, by the digest of their bytes."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES)
        self._requests: OrderedDict[bytes, Remembered] = OrderedDict()

    def __len__(self) -> int:
        return len(self._requests)

    def digest(self, head: bytes) -> bytes:
        """What a request is remembered by."""
        return hashlib.blake2b(head, key=self._key, digest_size=_DIGEST_BYTES).digest()

    def find(self, digest: bytes) -> Remembered | None:
        """What is known of it; None where nothing is."""
        request = self._requests.get(digest)
        if request is not None:
            self._requests.move_to_end(digest)
        return request

    def add(self, digest: bytes, request: Remembered) -> None:
        """It was answered, and nothing was wrong with it."""
        self._requests[digest] = request
        self._requests.move_to_end(digest)
        if len(self._requests) > MAX_REMEMBERED:
            self._requests.popitem(last=False)


def may_be_remembered(data: bytes) -> bool:
    """Whether this is one whole head of a GET, and nothing else, however a parser reads it."""
    if len(data) > MAX_HEAD_BYTES or not data.startswith(b"GET ") or not data.isascii():
        return False
    if data.find(_HEAD_END) != len(data) - len(_HEAD_END):
        return False
    # A bare line feed might end a head too.
    if data.count(b"\n") != data.count(b"\r\n"):
        return False
    lower = data.lower()
    return not any(name in lower for name in _UNUSUAL)


def answer_of(
    request: Remembered, body: bytes, *, content_type: str, request_id: str, date: str
) -> bytes:
    """The bytes of a successful answer, its headers in the order of aiohttp's."""
    connection = ""
    if request.stays_open != (request.version == "HTTP/1.1"):
        connection = f"Connection: {'keep-alive' if request.stays_open else 'close'}\r\n"
    head = (
        f"{request.version} 200 OK\r\nContent-Type: {content_type}\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n"
        f"Date: {date}\r\nServer: pbxapi\r\n{connection}\r\n"
    )
    return head.encode("ascii") + body

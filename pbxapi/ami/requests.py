"""What we send to Asterisk: an action as bytes, or a refusal to build it.

AMI has no quoting. A line ends at CRLF or at a lone LF, NUL cuts it short, so a control character
in a value would be the start of another header. Such a value cannot be encoded here, whoever
asks for it. Limits from Asterisk main/manager.c (get_input(), AST_MAX_MANHEADERS), 16 to 22: it
answers a longer line with an error that has no ActionID and drops the rest of the packet.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import quote

from pbxapi.errors import PbxapiError

MAX_LINE_BYTES: Final = 1024  # the CRLF included
MAX_HEADERS: Final = 128

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class UnsafeRequest(PbxapiError):
    """An action that would not arrive at Asterisk as the headers that were meant."""


class Request(NamedTuple):
    """An action: its name and its headers in order (names may repeat), without ActionID."""

    action: str
    headers: tuple[tuple[str, str], ...] = ()


def encode(request: Request, action_id: str) -> bytes:
    """Bytes of an action.

    Raises:
        UnsafeRequest: for control characters, lone surrogates, a line or a header too many.
    """
    headers = [("Action", request.action), ("ActionID", action_id), *request.headers]
    if len(headers) > MAX_HEADERS:
        raise UnsafeRequest(f"{len(headers)} headers, Asterisk takes {MAX_HEADERS}")
    return b"".join(_line(name, value) for name, value in headers) + b"\r\n"


def _line(name: str, value: str) -> bytes:
    if not _NAME.fullmatch(name):
        raise UnsafeRequest(f"header name {name!r}")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise UnsafeRequest(f"control character in {name}")
    line = f"{name}: {value}\r\n".encode()
    if len(line) > MAX_LINE_BYTES:
        raise UnsafeRequest(f"{name} of {len(line)} bytes, Asterisk takes {MAX_LINE_BYTES}")
    return line


def variables(values: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """`Variable` headers for an Originate, percent-encoded; the dial plan reads them by URIDECODE.

    Asterisk splits the header at commas, unquotes it, and would take a name that ends in `)` for a
    function. Percent-encoded there is nothing left to split or unquote.

    Raises:
        UnsafeRequest: for lone surrogates.
    """
    try:
        return tuple(("Variable", f"{name}={quote(value, safe='')}") for name, value in values)
    except UnicodeEncodeError as error:
        raise UnsafeRequest("lone surrogate in a variable") from error


CHALLENGE: Final = Request("Challenge", (("AuthType", "MD5"),))
PING: Final = Request("Ping")
CORE_SHOW_CHANNELS: Final = Request("CoreShowChannels")


def login(username: str, secret: str) -> Request:
    """Log in with the plain secret, for a server that offers no challenge."""
    return Request("Login", (("Username", username), ("Secret", secret), ("Events", "on")))


def login_md5(username: str, secret: str, challenge: str) -> Request:
    """Log in by answering an MD5 challenge: the secret does not cross the wire."""
    key = hashlib.md5(f"{challenge}{secret}".encode(), usedforsecurity=False).hexdigest()
    return Request(
        "Login", (("AuthType", "MD5"), ("Username", username), ("Key", key), ("Events", "on"))
    )


def hangup(channel: str) -> Request:
    """Hang up one channel by its exact name.

    Raises:
        UnsafeRequest: for a name in slashes, which Asterisk takes for a regular expression and
            answers by hanging up every channel that matches (manager.c, action_hangup()); blanks
            before it do not count (__astman_get_header()), so none may stand there.
    """
    if channel.startswith(("/", " ")):
        raise UnsafeRequest("a channel name that is a pattern, or may be one")
    return Request("Hangup", (("Channel", channel),))


def queue_status(queue: str = "", member: str = "") -> Request:
    """List a queue and one of its members by interface, or all of it, or all queues.

    Who waits in a queue is always listed. Asterisk apps/app_queue.c, manager_queues_status().
    """
    filters = (("Queue", queue), ("Member", member))
    return Request("QueueStatus", tuple((name, value) for name, value in filters if value))

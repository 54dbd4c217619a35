"""Captured events of real Asterisk servers, as one stream."""

from collections.abc import Iterator

from pbxapi.ami.session import READ_BYTES, AmiSession
from tests.services import captures

SCENARIOS = ("phone-call", "queue-call", "trunk-in-queue", "originate-local", "transfer-blind-ami")
#: Bytes of one read of the socket.
CHUNK = 65_536
BANNER = b"Asterisk Call Manager/11.0.0\r\n"


def events(copies: int) -> bytes:
    """The events of real sessions, in order, without banner, answers and lists."""
    frames: list[bytes] = []
    for version in captures.VERSIONS:
        for scenario in SCENARIOS:
            # FullyBooted would have panoramisk send what it had queued.
            frames += [
                frame
                for frame in captures.read(version, scenario).split(b"\r\n\r\n")
                if frame.startswith(b"Event: ") and not frame.startswith(b"Event: FullyBooted")
            ]
    return b"".join(frame + b"\r\n\r\n" for frame in frames) * copies


def count(data: bytes) -> int:
    """Number of events."""
    return data.count(b"\r\n\r\n")


def chunks(data: bytes) -> Iterator[bytes]:
    """As a socket gives them."""
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


def feed(session: AmiSession, data: bytes) -> None:
    """Hand bytes over as asyncio does."""
    for start in range(0, len(data), READ_BYTES):
        chunk = data[start : start + READ_BYTES]
        session.get_buffer(-1)[: len(chunk)] = chunk
        session.buffer_updated(len(chunk))

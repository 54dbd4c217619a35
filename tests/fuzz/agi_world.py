"""Both halves of a FastAGI conversation, on a socket that says what the input says."""

import socket
import time
from collections.abc import Iterable
from typing import cast

from asterisk.agi import AGIError

from pbxapi.agi.cards import CallCards
from pbxapi.agi.conversation import Conversation, Wire
from pbxapi.agi.environment import EnvironmentReader, NotAnEnvironment
from pbxapi.agi.scripts import Refused, assignments
from tests.fuzz.running import pieces

CARD = "c" * 32
_FIELDS = {"customCDR1": "42", "customCDR3": "ř" * 200}


class _Says:
    """A socket from which the pieces of the input come, and then the end."""

    def __init__(self, data: bytes) -> None:
        self._pieces = pieces(data)

    def recv(self, _size: int) -> bytes:
        return next(self._pieces, b"")

    def sendall(self, data: bytes) -> None:
        assert data.endswith(b"\n")
        assert data.count(b"\n") == 1

    def settimeout(self, _seconds: float) -> None:
        pass


class _Cards(CallCards):
    """A card that is always good."""

    def redeem(self, card: str) -> dict[str, str] | None:
        return dict(_FIELDS) if card == CARD else None


def exercise(data: bytes) -> None:
    """Raises what ought not to rise."""
    whole, cut = _read([data]), _read(pieces(data))
    assert whole == cut, data
    if whole is None:
        return
    values, rest = whole
    try:
        wanted = assignments(values, _Cards(time.monotonic))
    except Refused:
        return
    talk = Conversation(Wire(cast(socket.socket, _Says(rest)), time.monotonic() + 60), values)
    try:
        for each in wanted:
            talk.set_variable(each.variable, each.value)
        talk.get_variable("x")
        talk.execute("CHANNEL STATUS")
    except AGIError:
        pass


def _read(parts: Iterable[bytes]) -> tuple[dict[str, str], bytes] | None:
    """Environment and what follows; None of what is none."""
    reader = EnvironmentReader()
    done = False
    rest = b""
    try:
        for part in parts:
            if done:
                rest += part
            elif reader.feed(part):
                done, rest = True, reader.rest
    except NotAnEnvironment:
        return None
    return (reader.values, rest) if done else None

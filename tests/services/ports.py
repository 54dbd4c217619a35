"""Free ports for one test session, so that several sessions can run on one machine at once.

A session claims a block of ports by listening on the block's first one for as long as it lives.
The blocks lie below the kernel's ephemeral range: a client that keeps reconnecting to a closed
port out of that range would sooner or later be given the very same port and meet itself.
"""

import socket
from collections.abc import Iterator

import pytest

LOOPBACK = "127.0.0.1"

_BLOCK_SIZE = 1500
#: First ports of the blocks: 19000 to 24999 and 28500 to 31499, free of well-known services.
_BLOCKS = (*range(19000, 25000, _BLOCK_SIZE), *range(28500, 31500, _BLOCK_SIZE))


class Ports:
    """The ports of one session; none is ever handed out twice."""

    def __init__(self) -> None:
        self._claim, first = _claim_block()
        self._next = first + 1
        self._last = first + _BLOCK_SIZE - 1

    def close(self) -> None:
        """Let another session have the block."""
        self._claim.close()

    def tcp(self) -> int:
        """A port on which nothing listens."""
        return self._take(socket.SOCK_STREAM, 1)

    def udp(self, count: int = 1) -> int:
        """The first of `count` consecutive ports on which nothing receives."""
        return self._take(socket.SOCK_DGRAM, count)

    def _take(self, kind: socket.SocketKind, count: int) -> int:
        while self._next + count - 1 <= self._last:
            first = self._next
            busy = next((p for p in range(first, first + count) if not _is_free(kind, p)), None)
            self._next = first + count if busy is None else busy + 1
            if busy is None:
                return first
        raise RuntimeError("the session's block of ports is used up")


def _is_free(kind: socket.SocketKind, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("", port))
        except OSError:
            return False
    return True


def _claim_block() -> tuple[socket.socket, int]:
    for first in _BLOCKS:
        claim = socket.socket()
        try:
            claim.bind((LOOPBACK, first))
            claim.listen(1)
        except OSError:
            claim.close()
            continue
        return claim, first
    raise RuntimeError("no free block of ports: too many test sessions on this machine")


@pytest.fixture(scope="session")
def ports() -> Iterator[Ports]:
    """The session's ports: `ports.tcp()`, `ports.udp()`."""
    block = Ports()
    yield block
    block.close()

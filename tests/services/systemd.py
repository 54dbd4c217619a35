"""The receiving end of sd_notify(3)."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


class Receiver:
    """What systemd would have been told.

    Attributes:
        address: The value of NOTIFY_SOCKET.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address.replace("@", "\0", 1))
        self._socket.setblocking(False)
        self._told: list[list[str]] = []

    @property
    def told(self) -> list[list[str]]:
        """The assignments of each datagram so far."""
        while True:
            try:
                datagram = self._socket.recv(4096)
            except BlockingIOError:
                return self._told
            self._told.append(datagram.decode().split("\n"))

    def said(self, assignment: str) -> int:
        """How often it was told so."""
        return sum(assignment in datagram for datagram in self.told)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    """A socket in the file system, as systemd's own."""
    made = Receiver(str(tmp_path / "notify"))
    yield made
    made.close()

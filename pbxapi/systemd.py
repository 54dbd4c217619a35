"""What systemd hands to us, and what it wants to hear: sd_listen_fds(3) and sd_notify(3).

Both are a handful of environment variables and one datagram, fixed for good by systemd's promise of
stable interfaces; the libraries for them are unmaintained, or need a C compiler and libsystemd.
"""

import os
import socket
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final

__all__ = ["Notifier", "inherited_sockets"]

#: SD_LISTEN_FDS_START
_FIRST_FD: Final = 3


def inherited_sockets(environ: Mapping[str, str]) -> list[socket.socket]:
    """The listening sockets of the socket unit; none where it was not that which started us."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environ.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=_FIRST_FD + number) for number in range(count)]


class Notifier:
    """Tells the service manager how we are; nobody, where nobody wants to know.

    Attributes:
        is_ready: Whether it was told that we are.
        watchdog_s: So long may we be silent, or it takes us for dead; None where it does not mind.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # "@" stands for the zero byte of an abstract socket.
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self.watchdog_s = _watchdog_s(environ)
        self.is_ready = False

    def tell(self, *assignments: str) -> None:
        """Send assignments like `STATUS=…`, as one datagram.

        One that cannot be sent at once is lost: nothing may hold the loop up.
        """
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender, suppress(OSError):
            sender.setblocking(False)
            sender.sendto("\n".join(assignments).encode(), self._address)

    def alive(self, status: str) -> None:
        """We are, and so well."""
        self.tell("WATCHDOG=1", f"STATUS={status}")

    def ready(self, status: str) -> None:
        """From now on we do what we are for."""
        self.is_ready = True
        self.tell("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        """We are about to end."""
        self.tell("STOPPING=1", "STATUS=Answering the last requests")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Round a reload. Before we were ready it is part of the start."""
        if not self.is_ready:
            yield
            return
        self.tell("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            yield
        finally:
            self.tell("READY=1")


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    microseconds = int(environ.get("WATCHDOG_USEC", "0"))
    return microseconds / 1e6 if microseconds else None

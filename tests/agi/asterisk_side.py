"""Asterisk's side of a FastAGI conversation, on a real socket, for tests to play."""

import asyncio
import socket
from pathlib import Path
from typing import Self

from tests.agi.words import words

CAPTURES = Path(__file__).parent.parent / "captures"
SUCCESS = b"200 result=1\n"
#: Longer than anything takes that works.
DEADLINE_S = 5.0


def environment(*args: str, script: str = "cdr", version: str = "22") -> bytes:
    """What Asterisk sent once, with another script and other arguments."""
    recorded = (CAPTURES / version / "agi-connected.raw").read_bytes().partition(b"\n\n")[0]
    lines = recorded.replace(b"connected", script.encode()).split(b"\n")
    lines += [f"agi_arg_{n}: {arg}".encode() for n, arg in enumerate(args, 1)]
    return b"\n".join(lines) + b"\n\n"


class AsteriskSide:
    """One connection: `async with AsteriskSide(address) as asterisk`."""

    def __init__(self, address: str, receive_buffer: int | None = None) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._receive_buffer = receive_buffer

    async def __aenter__(self) -> Self:
        host = self._host.strip("[]")
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.setblocking(False)
        if self._receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        try:
            await asyncio.get_running_loop().sock_connect(sock, (host, self._port))
        except OSError:
            sock.close()
            raise
        self.reader, self.writer = await asyncio.open_connection(sock=sock)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.transport.abort()

    def send(self, data: bytes) -> None:
        """Send bytes in one write."""
        self.writer.write(data)

    async def command(self) -> list[str]:
        """The words of the next command; [] at the end of the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                line = await self.reader.readline()
            except ConnectionError:
                return []
        return [word.decode() for word in words(line)]

    async def rest(self) -> bytes:
        """What still comes until the other side ends the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def play(self, opening: bytes, reply: bytes = SUCCESS) -> dict[str, str]:
        """A whole conversation, each command answered alike; returns the variables it set."""
        self.send(opening)
        variables: dict[str, str] = {}
        while command := await self.command():
            assert command[:2] == ["SET", "VARIABLE"]
            _, _, name, value = command
            assert name not in variables
            variables[name] = value
            self.send(reply)
        return variables


async def play(address: str, *args: str, reply: bytes = SUCCESS) -> dict[str, str]:
    """A call asks for the script `cdr`; returns what it set."""
    async with AsteriskSide(address) as asterisk:
        return await asterisk.play(environment(*args), reply)

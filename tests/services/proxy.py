"""A TCP proxy on loopback that spoils the line between a client and a server on demand.

Each direction of the traffic can be stalled (bytes are read from nobody, so the sender's window
fills as over a dead line), dribbled, or cut after a number of bytes.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

import pytest

from tests.services.ports import LOOPBACK, Ports

Direction = Literal["to_server", "to_client"]
BOTH: tuple[Direction, ...] = ("to_server", "to_client")

_CHUNK = 65536

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class _Flow:
    """How one direction is treated; every connection looks here at each chunk."""

    open: asyncio.Event
    chunk: int = _CHUNK
    delay_s: float = 0.0
    left: int | None = None
    passed: int = 0


@dataclass(eq=False, slots=True)
class _Link:
    """One client's connection and ours to the server."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    task: asyncio.Task[None]

    def cut(self, *, reset: bool) -> None:
        for writer in self.writers:
            _close(writer, reset=reset)
        self.task.cancel()


def _close(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """End a connection at once: with FIN as a dying process does, or with RST."""
    if reset and not writer.is_closing():
        linger_none = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_none)
    writer.transport.abort()


@dataclass(slots=True)
class TcpProxy:
    """Listens on `port` and passes connections on to `upstream`.

    Attributes:
        accepted: How many connections it has taken so far.
    """

    port: int
    upstream: tuple[str, int]
    accepted: int = 0
    _server: asyncio.Server | None = None
    _links: set[_Link] = field(default_factory=set)
    _flows: dict[Direction, _Flow] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for direction in BOTH:
            self._flows[direction] = _Flow(asyncio.Event())
            self._flows[direction].open.set()

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return len(self._links)

    def passed(self, direction: Direction) -> int:
        """Bytes handed on in that direction so far, over all connections."""
        return self._flows[direction].passed

    async def listen(self) -> None:
        """Accept connections (again)."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, LOOPBACK, self.port)

    async def refuse(self, *, cut: bool = True) -> None:
        """New connections are refused by the kernel; those that are open are cut too."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if cut:
            await self.cut()

    async def cut(self, *, reset: bool = False) -> None:
        """End all open connections at both ends; new ones are accepted as before.

        Args:
            reset: With RST (ConnectionResetError) rather than FIN (end of file).
        """
        links = list(self._links)
        for link in links:
            link.cut(reset=reset)
        await asyncio.gather(*(link.task for link in links), return_exceptions=True)

    def cut_after(self, n_bytes: int, direction: Direction = "to_client") -> None:
        """Cut the connection once `n_bytes` more have passed in that direction."""
        self._flows[direction].left = n_bytes

    def stall(self, *directions: Direction) -> None:
        """Pass nothing on until `resume`, though connections are still accepted."""
        for direction in directions or BOTH:
            self._flows[direction].open.clear()

    def dribble(self, n_bytes: int, delay_s: float, *directions: Direction) -> None:
        """Pass at most `n_bytes` at a time and pause after each."""
        for direction in directions or BOTH:
            self._flows[direction].chunk, self._flows[direction].delay_s = n_bytes, delay_s

    def resume(self, *directions: Direction) -> None:
        """An honest line again; what was held back is passed on first."""
        for direction in directions or BOTH:
            flow = self._flows[direction]
            flow.chunk, flow.delay_s, flow.left = _CHUNK, 0.0, None
            flow.open.set()

    def set_upstream(self, host: str, port: int) -> None:
        """Where connections made from now on go."""
        self.upstream = (host, port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            server_reader, server_writer = await asyncio.open_connection(*self.upstream)
        except OSError:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        link = _Link((writer, server_writer), task)
        self._links.add(link)
        try:
            await self._carry((reader, writer), (server_reader, server_writer))
        except asyncio.CancelledError:
            # Cut: ended on purpose, and asyncio would report a cancelled handler.
            pass
        finally:
            self._links.discard(link)
            for one in link.writers:
                _close(one, reset=False)

    async def _carry(self, client: _Streams, server: _Streams) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                to_server, to_client = self._flows["to_server"], self._flows["to_client"]
                group.create_task(self._pump(client[0], server[1], to_server))
                group.create_task(self._pump(server[0], client[1], to_client))
        except* OSError:
            pass

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, flow: _Flow
    ) -> None:
        while True:
            await flow.open.wait()
            data = await reader.read(flow.chunk)
            await flow.open.wait()
            if not data:
                break
            writer.write(data if flow.left is None else data[: flow.left])
            await writer.drain()
            flow.passed += len(data)
            if flow.left is not None:
                flow.left -= len(data)
                if flow.left <= 0:
                    flow.left = None
                    raise ConnectionResetError("cut after the bytes agreed upon")
            if flow.delay_s:
                await asyncio.sleep(flow.delay_s)
        if writer.can_write_eof():
            writer.write_eof()

    async def close(self) -> None:
        """Stop listening and cut everything."""
        await self.refuse()


MakeProxy = Callable[[int], Awaitable[TcpProxy]]


@pytest.fixture
async def tcp_proxy(ports: Ports) -> AsyncIterator[MakeProxy]:
    """`proxy = await tcp_proxy(port)`: a listening proxy in front of a port on loopback."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(port: int) -> TcpProxy:
            proxy = TcpProxy(ports.tcp(), (LOOPBACK, port))
            await proxy.listen()
            stack.push_async_callback(proxy.close)
            return proxy

        yield make

"""An AMI server that does what a test's script says, on a real socket.

A script is a coroutine function that is given each connection in turn:

    async def script(connection: Connection) -> None:
        await connection.log_in()
        ping = await connection.action("Ping")
        connection.answer(ping, "Ping: Pong")

    async with AmiServer(script) as server:
        session = await connect("127.0.0.1", server.port, (), print)

When it returns, its connection is closed. What it raises is raised by the `async with`.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

BANNER = "Asterisk Call Manager/11.0.0\r\n"
#: Longer than anything takes that works.
DEADLINE_S = 5.0

Action = list[tuple[str, str]]


def header(action: Action, name: str) -> str:
    """First value of a header, or ""."""
    return next((value for key, value in action if key == name), "")


#: Of the loop, from accept() to the first line of a handler (asyncio, selector_events.py): four.
_TURNS = 8


class Connection:
    """One client, as the script sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.actions: list[str] = []

    async def action(self, expected: str) -> Action:
        """The next action; fails unless it is the expected one."""
        async with asyncio.timeout(DEADLINE_S):
            block = await self.reader.readuntil(b"\r\n\r\n")
        lines = block.decode().removesuffix("\r\n\r\n").split("\r\n")
        action = [(name, value) for name, _, value in (line.partition(": ") for line in lines)]
        self.actions.append(header(action, "Action"))
        assert header(action, "Action") == expected
        return action

    def send(self, *messages: str) -> None:
        """Send messages, given as lines separated by LF, in one write."""
        text = "".join(message.strip("\n") + "\n\n" for message in messages)
        self.writer.write(text.replace("\n", "\r\n").encode())

    def answer(self, action: Action, *lines: str, response: str = "Success") -> None:
        """Send the response to an action."""
        first = (f"Response: {response}", f"ActionID: {header(action, 'ActionID')}")
        self.send("\n".join((*first, *lines)))

    def greet(self) -> None:
        """Send the banner."""
        self.writer.write(BANNER.encode())

    async def log_in(self) -> Action:
        """Greet, offer a challenge and accept the login, which is returned."""
        self.greet()
        self.answer(await self.action("Challenge"), "Challenge: 24451569")
        login = await self.action("Login")
        self.answer(login, "Message: Authentication accepted")
        return login

    async def end(self) -> bytes:
        """What the client still sends until it closes the connection."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


class AmiServer:
    """Listens on `port` of the loopback and runs the script for every connection."""

    def __init__(
        self, script: Callable[[Connection], Awaitable[None]], receive_buffer: int | None = None
    ) -> None:
        self._script = script
        self._socket = socket.create_server(("127.0.0.1", 0))
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[Exception] = []
        self.connections: list[Connection] = []
        self.port: int = self._socket.getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = Connection(reader, writer)
        self.connections.append(connection)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._script(connection)
        except Exception as error:  # noqa: BLE001 - raised again by __aexit__
            self._failures.append(error)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            writer.close()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, sock=self._socket)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # A server that is closed between accept() and what asyncio does next leaves a transport
        # that nobody closes (Server._attach() fails): so it first takes nobody any more.
        asyncio.get_running_loop().remove_reader(self._socket)
        await self._end_scripts()
        self._server.close()
        await self._end_scripts()
        if self._failures and error is None:
            raise self._failures[0]

    async def _end_scripts(self) -> None:
        """End all of them, and give a connection that has just been accepted time to get its own.

        What asyncio closes has its end some turns of the loop later, too.
        """
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

"""A manager client for these tests: raw bytes in and out, cut into messages of (name, value)."""

import asyncio
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

Message = list[tuple[str, str]]


def parse(frame: bytes) -> Message:
    """The headers of one message, in order."""
    lines = frame.decode("utf-8", "surrogateescape").split("\r\n")
    pairs = (line.partition(": ") for line in lines if line)
    return [(name, value) for name, _, value in pairs]


def messages(stream: bytes) -> list[Message]:
    """Every message behind the banner of a whole session."""
    _, _, rest = stream.partition(b"\r\n")
    return [parse(frame) for frame in rest.split(b"\r\n\r\n") if frame.strip()]


def value(message: Message, name: str) -> str:
    """First value of a header, or ""."""
    return next((text for header, text in message if header == name), "")


@dataclass
class AmiClient:
    """One connection; everything received stays in `stream` and `messages`."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    stream: bytearray = field(default_factory=bytearray)
    _parsed: int = 0
    messages: list[Message] = field(default_factory=list)
    _banner: bytes = b""
    eof: bool = False

    @classmethod
    async def connect(cls, port: int) -> Self:
        """Connect; the banner is read by the first `receive`."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.writer.close()

    def send(self, text: str) -> None:
        """Send one action given as lines."""
        self.writer.write(text.strip("\n").replace("\n", "\r\n").encode() + b"\r\n\r\n")

    async def receive(self, within_s: float = 5.0) -> None:
        """Wait for more bytes, or for the end."""
        async with asyncio.timeout(within_s):
            data = await self.reader.read(65536)
        self.eof = not data
        self.stream += data
        if not self._banner and b"\r\n" in self.stream:
            self._banner, _, _ = bytes(self.stream).partition(b"\r\n")
            self._parsed = len(self._banner) + 2
        while self._banner and (end := self.stream.find(b"\r\n\r\n", self._parsed)) >= 0:
            self.messages.append(parse(bytes(self.stream[self._parsed : end])))
            self._parsed = end + 4

    async def banner(self) -> str:
        """The first line."""
        while not self._banner:
            await self.receive()
        return self._banner.decode()

    async def until(self, within_s: float = 5.0, /, **headers: str) -> Message:
        """The first message with all these headers; it may have come already."""
        seen = 0
        async with asyncio.timeout(within_s):
            while True:
                for message in self.messages[seen:]:
                    if all(value(message, name) == text for name, text in headers.items()):
                        return message
                seen = len(self.messages)
                assert not self.eof, f"the connection ended before {headers} came"
                await self.receive(within_s)

    async def until_eof(self, within_s: float = 5.0) -> bytes:
        """Everything up to the end of the connection."""
        while not self.eof:
            await self.receive(within_s)
        return bytes(self.stream)

    async def login(self, user: str = "lab", secret: str = "labsecret", events: str = "on") -> None:
        """Log in and wait for the answer."""
        self.send(f"""
Action: Login
ActionID: login
Username: {user}
Secret: {secret}
Events: {events}""")
        answer = await self.until(ActionID="login")
        assert value(answer, "Message") == "Authentication accepted"

    async def ask(self, text: str, ident: str) -> Message:
        """Send an action under an ActionID and wait for its answer."""
        self.send(f"{text.strip()}\nActionID: {ident}")
        while True:
            answer = await self.until(ActionID=ident)
            if answer[0][0] == "Response":
                return answer

    async def catch_up(self, ident: str = "caught-up") -> None:
        """Receive all that was sent so far: the answer to a Ping comes after it."""
        await self.ask("Action: Ping", ident)

    def events(self, name: str) -> list[Message]:
        """The events of one name that came so far."""
        return [message for message in self.messages if message[0] == ("Event", name)]

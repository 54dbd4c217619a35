"""A client that says exactly what a test wants, byte for byte."""

import asyncio
import json
from dataclasses import dataclass
from typing import Any

#: What the slowest answer of a test may take on a loaded machine.
_TIMEOUT_S = 10

PATH = "/api/api.php"


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer as it came."""

    raw: bytes

    @property
    def head(self) -> str:
        return self.raw.partition(b"\r\n\r\n")[0].decode("latin-1")

    @property
    def body(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    @property
    def headers(self) -> dict[str, str]:
        lines = (line.partition(":") for line in self.head.split("\r\n")[1:])
        return {name.lower(): value.strip() for name, _, value in lines}

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = json.loads(self.body)
        return data


async def exchange(port: int, *parts: bytes) -> Reply:
    """Everything that the server sends until it closes; the parts are sent one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
            return Reply(await reader.read())
    finally:
        writer.close()


async def ask(
    port: int,
    query: bytes = b"",
    *headers: bytes,
    method: bytes = b"GET",
    path: str = PATH,
    body: bytes | None = None,
) -> Reply:
    """One request on a connection of its own."""
    lines = [b"%b %b?%b HTTP/1.1" % (method, path.encode(), query), b"Host: pbx"]
    if body is not None:
        lines.append(b"Content-Length: %d" % len(body))
    lines += [*headers, b"Connection: close", b"", body or b""]
    return await exchange(port, b"\r\n".join(lines))


async def post(port: int, body: bytes, content_type: bytes, query: bytes = b"") -> Reply:
    """A form."""
    header = b"Content-Type: " + content_type
    return await ask(port, query, header, method=b"POST", body=body)

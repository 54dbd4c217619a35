"""How long it takes from the bytes of an event to an HTTP answer that has it."""

import asyncio
import multiprocessing
import random
import time
from itertools import cycle
from multiprocessing.connection import Connection
from statistics import quantiles

from tests.bench import traffic
from tests.bench.pictures import PATH, QUERY, be_like_the_daemon, following, serving
from tests.bench.report import Table

EVENTS_PER_S = 2_000
SECONDS = 10.0
#: New channels a second that are looked for in answers.
PROBES_PER_S = 20
#: Of the other events so many are written together, as they come from one thing that happened.
BURST = 10

REQUEST = f"GET {PATH}?{QUERY} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()


def probe(number: int, event: str) -> bytes:
    lines = (
        *(f"Event: {event}", "Privilege: call,all", f"Channel: SIP/probe-{number:08x}"),
        *("ChannelState: 0", "ChannelStateDesc: Down", "CallerIDNum: 1000", "CallerIDName: A"),
        *("ConnectedLineNum: <unknown>", "ConnectedLineName: <unknown>", "Language: en"),
        *("AccountCode: ", "Context: default", "Exten: 1001", "Priority: 1"),
        *(f"Uniqueid: 1.{number}", f"Linkedid: 1.{number}", "", ""),
    )
    return "\r\n".join(lines).encode()


class Pbx:
    """An AMI server that knows no action but the list of no channels, and writes what it is told.

    Attributes:
        listed: The channels were asked for, by whom `writer` writes to.
    """

    def __init__(self) -> None:
        self.listed = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        writer.write(traffic.BANNER)
        while block := await reader.readuntil(b"\r\n\r\n"):
            headers = dict(line.split(": ", 1) for line in block.decode().strip().split("\r\n"))
            action, action_id = headers["Action"], f"ActionID: {headers['ActionID']}\r\n"
            known = action in ("Login", "Ping", "CoreShowChannels")
            writer.write(f"Response: {'Success' if known else 'Error'}\r\n{action_id}".encode())
            writer.write(b"" if known else b"Message: Invalid/unknown command\r\n")
            writer.write(b"\r\n")
            if action == "CoreShowChannels":
                end = f"Event: CoreShowChannelsComplete\r\nEventList: Complete\r\n{action_id}\r\n"
                writer.write(end.encode())
                self.listed.set()

    async def babble(self) -> None:
        """Write captured events at an even rate until cancelled."""
        await self.listed.wait()
        frames = [frame + b"\r\n\r\n" for frame in traffic.events(1).split(b"\r\n\r\n") if frame]
        bursts = cycle(frames[at : at + BURST] for at in range(0, len(frames), BURST))
        due = time.perf_counter()
        for burst in bursts:
            self.writer.write(b"".join(burst))
            due += len(burst) / EVENTS_PER_S
            await asyncio.sleep(max(0.0, due - time.perf_counter()))


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(REQUEST)
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
    return await reader.readexactly(int(length))


async def look(pbx: Pbx, http: int) -> tuple[list[float], list[float]]:
    """Seconds until each probe was seen, and those that each request took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", http)
    seen: list[float] = []
    requests: list[float] = []
    until = time.perf_counter() + SECONDS
    number = 0
    while time.perf_counter() < until:
        number += 1
        name = f"probe-{number:08x}".encode()
        began = asked = time.perf_counter()
        pbx.writer.write(probe(number, "Newchannel"))
        while name not in await answer(reader, writer):
            requests.append(time.perf_counter() - asked)
            asked = time.perf_counter()
        requests.append(time.perf_counter() - asked)
        seen.append(time.perf_counter() - began)
        pbx.writer.write(probe(number, "Hangup"))
        await asyncio.sleep(random.uniform(0.5, 1.5) / PROBES_PER_S)
    writer.close()
    return seen, requests


async def outside(pipe: Connection) -> None:
    """Asterisk and the client: what is not the daemon."""
    pbx = Pbx()
    server = await asyncio.start_server(pbx.serve, "127.0.0.1", 0)
    pipe.send(server.sockets[0].getsockname()[1])
    http = await asyncio.to_thread(pipe.recv)
    babbling = asyncio.create_task(pbx.babble())
    await asyncio.sleep(1.0)
    pipe.send(await look(pbx, http))
    babbling.cancel()


def run_outside(pipe: Connection) -> None:
    asyncio.run(outside(pipe))


async def measure() -> tuple[list[float], list[float]]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=run_outside, args=(theirs,), daemon=True
    )
    process.start()
    try:
        port = await asyncio.to_thread(ours.recv)
        async with following(port) as pictures, serving(pictures) as http:
            ours.send(http)
            figures: tuple[list[float], list[float]] = await asyncio.to_thread(ours.recv)
            events = sum(pictures.listener.counts.values())
            assert events > EVENTS_PER_S, "the events did not come"
    finally:
        process.kill()
        process.join()
    return figures


def run() -> list[Table]:
    be_like_the_daemon()
    seen, requests = asyncio.run(measure())

    def row(what: str, seconds: list[float]) -> tuple[str, ...]:
        ms = [value * 1000 for value in seconds]
        cuts = quantiles(ms, n=100)
        return what, f"{len(ms):,}", f"{cuts[49]:.1f} ms", f"{cuts[98]:.1f} ms", f"{max(ms):.1f} ms"

    return [
        Table(
            "Freshness",
            "From the bytes of a Newchannel, written to the socket in another process, to the end\n"
            "of an answer of `listcalls` that has the channel, asked for again and again over one\n"
            f"connection, among {EVENTS_PER_S:,} captured events a second. Wanted: p99 under 5 ms.",
            ("what", "number", "p50", "p99", "max"),
            [row("event to answer", seen), row("one request", requests)],
        )
    ]

"""`make bench`: ratios measured side by side in one run, printed as a table.

    ingest      captured events into the cache, against panoramisk, pyst2 and framing alone
    listcalls   requests a second over HTTP, against a handler that answers a constant

No figure is asserted: what a machine makes of them depends on the machine.
"""

import asyncio
import platform
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median, quantiles

import aiohttp
import asterisk.manager
import panoramisk
from aiohttp import web
from panoramisk.ami_protocol import AMIProtocol
from yarl import URL

from pbxapi.ami.protocol import AmiProtocol
from pbxapi.cache.channels.follow import ChannelFollower
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.instant import Instant
from pbxapi.web.app import CONTENT_TYPE, LegacyApi, make_app
from tests.contract.world import FakeGatekeeper, make_ports

CAPTURES = Path(__file__).resolve().parents[1] / "captures"
SCENARIOS = ("phone-call", "queue-call", "trunk-in-queue", "originate-local", "transfer-blind-ami")
REPEATS = 5
#: Bytes of one read of the socket.
CHUNK = 65_536
QUERY = "username=voipsun&password=secretpwd&action=listcalls"
HTTP_SECONDS = 2.0
HTTP_CLIENTS = 8


def traffic(copies: int) -> bytes:
    """The events of real sessions, in order, without banner, answers and lists."""
    frames: list[bytes] = []
    for version in ("16", "22"):
        for scenario in SCENARIOS:
            data = (CAPTURES / version / f"{scenario}.ami").read_bytes()
            # FullyBooted would have panoramisk send what it had queued.
            frames += [
                frame
                for frame in data.split(b"\r\n\r\n")
                if frame.startswith(b"Event: ") and not frame.startswith(b"Event: FullyBooted")
            ]
    return b"".join(frame + b"\r\n\r\n" for frame in frames) * copies


def chunks(data: bytes) -> Iterator[bytes]:
    for start in range(0, len(data), CHUNK):
        yield data[start : start + CHUNK]


def rate(events: int, run: Callable[[], object], repeats: int = REPEATS) -> float:
    """Events a second, the median of some runs."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return events / median(seconds)


def ours(data: bytes) -> None:
    store = ChannelStore()
    store.replace(store.begin_list())
    protocol = AmiProtocol(ChannelFollower.wanted)
    protocol.receive_data(b"Asterisk Call Manager/11.0.0\r\n")
    now = Instant(1.0, 1.0)
    for chunk in chunks(data):
        for message in protocol.receive_data(chunk):
            store.apply(message, now)


def framing(data: bytes) -> None:
    rest = b""
    for chunk in chunks(data):
        *_, rest = (rest + chunk).split(b"\r\n\r\n")


def ingest_panoramisk(data: bytes) -> None:
    seen = 0

    def count(_manager: object, _message: object) -> None:
        nonlocal seen
        seen += 1

    manager = panoramisk.Manager(loop=asyncio.new_event_loop())
    manager.register_event("*", count)
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory = manager
    for chunk in chunks(data):
        protocol.data_received(chunk)
    assert seen > 0, "panoramisk handed nothing on"


def pyst2(data: bytes, events: int) -> float:
    """Events a second of pyst2's Manager as it is, over loopback; it reads byte by byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()
    seen = 0

    def count(_event: object, _manager: object) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            done.set()

    def feed() -> None:
        connection, _ = listener.accept()
        connection.sendall(b"Asterisk Call Manager/11.0.0\r\n" + data)
        done.wait(60)
        connection.close()

    threading.Thread(target=feed, daemon=True).start()
    manager = asterisk.manager.Manager()
    manager.register_event("*", count)
    began = time.perf_counter()
    manager.connect("127.0.0.1", listener.getsockname()[1])
    done.wait(60)
    return seen / (time.perf_counter() - began)


def bench_ingest() -> None:
    data = traffic(20)
    events = data.count(b"Event: ")
    print(f"\ningest: {events} captured events, {len(data) / events:.0f} bytes each")
    own = rate(events, lambda: ours(data))
    limit = rate(events, lambda: framing(data))
    rows = [("framing alone (the limit)", limit), ("pbxapi, into the cache", own)]
    rows.append(("panoramisk, one callback", rate(events, lambda: ingest_panoramisk(data), 3)))
    # A repeated header ends pyst2's reader, so it gets the events without ChanVariable.
    small = re.sub(rb"\r\n[A-Za-z]*ChanVariable[^\r]*", b"", traffic(1))
    rows.append(("pyst2, as it is", pyst2(small, small.count(b"Event: "))))
    for name, figure in rows:
        print(f"  {name:28} {figure:12,.0f} events/s   ours is {own / figure:8.2f} of it")


async def bench_listcalls() -> None:
    print(f"\nlistcalls: {HTTP_CLIENTS} clients for {HTTP_SECONDS:g} s each")
    for count in (0, 100, 1000, 5000):
        case = {
            "channels": [
                {
                    "Channel": f"SIP/Linka_{number}-{number:08x}",
                    "ChannelStateDesc": "Up",
                    "CallerIDNum": str(number),
                    "ConnectedLineNum": "420777123456",
                    "Context": "extensions-dialplanid-1",
                    "Exten": "800123456",
                    "Application": "Dial",
                    "age": float(number),
                }
                for number in range(count)
            ]
        }
        ports, _ = make_ports(case)
        app = make_app(LegacyApi(ports, FakeGatekeeper(), ()), "/api/api.php")
        own, own_p99, body = await load(app, "/api/api.php")

        async def constant(_request: web.Request, body: bytes = body) -> web.Response:
            return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

        plain = web.Application()
        plain.router.add_get("/api/api.php", constant)
        limit, limit_p99, _ = await load(plain, "/api/api.php")
        print(
            f"  {count:5} channels {own:9,.0f} req/s p99 {own_p99:7.1f} ms   "
            f"constant handler {limit:9,.0f} req/s p99 {limit_p99:7.1f} ms   "
            f"ratio {own / limit:5.2f}"
        )


async def load(app: web.Application, path: str) -> tuple[float, float, bytes]:
    """Requests a second, 99th percentile in ms, and the body, in one process with its clients."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = URL(f"http://127.0.0.1:{runner.addresses[0][1]}{path}?{QUERY}", encoded=True)
    latencies: list[float] = []
    body = b""

    async def client(session: aiohttp.ClientSession, until: float) -> None:
        nonlocal body
        while time.perf_counter() < until:
            began = time.perf_counter()
            async with session.get(url) as response:
                body = await response.read()
            latencies.append(time.perf_counter() - began)

    async with aiohttp.ClientSession() as session:
        until = time.perf_counter() + HTTP_SECONDS
        clients: list[Awaitable[None]] = [client(session, until) for _ in range(HTTP_CLIENTS)]
        await asyncio.gather(*clients)
    await runner.cleanup()
    return len(latencies) / HTTP_SECONDS, quantiles(latencies, n=100)[98] * 1000, body


def main() -> None:
    print(f"Python {platform.python_version()} on {platform.machine()}, {platform.system()}")
    bench_ingest()
    asyncio.run(bench_listcalls())


if __name__ == "__main__":
    main()

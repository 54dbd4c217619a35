"""Captured events into the cache, against panoramisk, pyst2 and framing alone."""

import asyncio
import re
import socket
import threading
import time
from collections.abc import Callable
from statistics import median

import asterisk.manager
import panoramisk
from panoramisk.ami_protocol import AMIProtocol

from pbxapi.ami.protocol import AmiProtocol
from pbxapi.cache.channels.follow import ChannelFollower
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.instant import Instant
from tests.bench import traffic
from tests.bench.report import Table

COPIES = 20
REPEATS = 5


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
    protocol.receive_data(traffic.BANNER)
    now = Instant(1.0, 1.0)
    for chunk in traffic.chunks(data):
        for message in protocol.receive_data(chunk):
            store.apply(message, now)


def framing(data: bytes) -> None:
    rest = b""
    for chunk in traffic.chunks(data):
        *_, rest = (rest + chunk).split(b"\r\n\r\n")


def through_panoramisk(data: bytes) -> None:
    seen = 0

    def count(_manager: object, _message: object) -> None:
        nonlocal seen
        seen += 1

    manager = panoramisk.Manager(loop=asyncio.new_event_loop())
    manager.register_event("*", count)
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory = manager
    for chunk in traffic.chunks(data):
        protocol.data_received(chunk)
    assert seen > 0, "panoramisk handed nothing on"


def pyst2(data: bytes) -> float:
    """Events a second of pyst2's Manager as it is, over loopback; it reads byte by byte."""
    listener = socket.create_server(("127.0.0.1", 0))
    done = threading.Event()
    events = traffic.count(data)
    seen = 0

    def count(_event: object, _manager: object) -> None:
        nonlocal seen
        seen += 1
        if seen == events:
            done.set()

    def feed() -> None:
        connection, _ = listener.accept()
        connection.sendall(traffic.BANNER + data)
        done.wait(60)
        connection.close()

    threading.Thread(target=feed, daemon=True).start()
    manager = asterisk.manager.Manager()
    manager.register_event("*", count)
    began = time.perf_counter()
    manager.connect("127.0.0.1", listener.getsockname()[1])
    done.wait(60)
    return seen / (time.perf_counter() - began)


def run() -> list[Table]:
    data = traffic.events(COPIES)
    events = traffic.count(data)
    own = rate(events, lambda: ours(data))
    # A repeated header ends pyst2's reader, so it gets the events without ChanVariable.
    small = re.sub(rb"\r\n[A-Za-z]*ChanVariable[^\r]*", b"", traffic.events(1))
    figures = [
        ("framing alone (the limit)", rate(events, lambda: framing(data))),
        ("pbxapi, into the cache", own),
        ("panoramisk, one callback", rate(events, lambda: through_panoramisk(data), 3)),
        ("pyst2, one callback", pyst2(small)),
    ]
    return [
        Table(
            "Ingest: events into the cache",
            f"{events:,} captured events of Asterisk 16 and 22, {len(data) / events:.0f} bytes\n"
            "each, wanted or not. Wanted: 10 × panoramisk and 300 × pyst2.",
            ("what", "events/s", "pbxapi is"),
            [(name, f"{figure:,.0f}", f"{own / figure:.2f} ×") for name, figure in figures],
        )
    ]

"""Captured events into the cache, against panoramisk, pyst2 and framing alone."""

import asyncio
import math
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping

import asterisk.manager
import panoramisk
from panoramisk.ami_protocol import AMIProtocol

from pbxapi.ami.session import AmiSession
from pbxapi.daemon import _Pictures
from tests.bench import traffic
from tests.bench.report import Table
from tests.bench.traffic import feed

COPIES = 10
ROUNDS = 4


def rates(events: int, runs: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Events a second of CPU time, the best of some rounds in which each has its turn.

    CPU time and the best, because other processes of the machine only ever make it more.
    """
    best = dict.fromkeys(runs, math.inf)
    for _ in range(ROUNDS):
        for name, run in runs.items():
            began = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - began)
    return {name: events / seconds for name, seconds in best.items()}


async def ours(data: bytes) -> None:
    """Into all pictures that the daemon keeps, as asyncio would hand the bytes over."""
    pictures = _Pictures(time.time, time.time)
    session = AmiSession(pictures.listener.wanted, pictures.listener.event)
    feed(session, traffic.BANNER + data)
    assert any(pictures.listener.counts.values()), "the events came nowhere"


async def decoding(data: bytes) -> None:
    """The same without anybody who wants to know what is in the events."""
    session = AmiSession(_Pictures(time.time, time.time).listener.wanted, lambda _event: None)
    feed(session, traffic.BANNER + data)


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
    figures = rates(
        events,
        {
            "framing alone (the limit)": lambda: framing(data),
            "pbxapi, nobody listens": lambda: asyncio.run(decoding(data)),
            "pbxapi, into all pictures": lambda: asyncio.run(ours(data)),
            "panoramisk, one callback": lambda: through_panoramisk(data),
        },
    )
    # A repeated header ends pyst2's reader, so it gets the events without ChanVariable.
    small = re.sub(rb"\r\n[A-Za-z]*ChanVariable[^\r]*", b"", traffic.events(1))
    figures["pyst2, one callback"] = pyst2(small)
    own = figures["pbxapi, into all pictures"]
    return [
        Table(
            "Ingest: events into the cache",
            f"{events:,} captured events of Asterisk 16 and 22, {len(data) / events:.0f} bytes\n"
            "each, wanted or not, by CPU time (pyst2, whose threads wait for each other, by the\n"
            "clock). Wanted: 10 × panoramisk and 300 × pyst2.",
            ("what", "events/s", "pbxapi is"),
            [(name, f"{figure:,.0f}", f"{own / figure:.2f} ×") for name, figure in figures.items()],
        )
    ]

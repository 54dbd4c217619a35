"""What a daemon bears: a storm of events, clients that do not read, that do not speak, that shout.

The daemon is a process of its own in the middle of a simulated PBX of 2,000 channels; an honest
client asks it 50 times a second all the while, at fixed moments. That client shares a process with
the clients that make trouble, so what these cost is in its figures.
"""

import asyncio
import multiprocessing
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from itertools import repeat
from multiprocessing.connection import Connection as Pipe

import psutil

from pbxapi.load.connection import Connection
from pbxapi.load.generator import Generator
from pbxapi.load.latencies import Latencies
from pbxapi.load.mix import Question
from pbxapi.load.pace import Pace
from pbxapi.load.tally import Tally
from pbxapi.load.target import parse_target
from pbxapi.simulator import Simulator, SimulatorOptions
from pbxapi.simulator.channels import State
from pbxapi.simulator.options import phones
from pbxapi.simulator.queue_config import QueueConfig
from tests.bench import traffic
from tests.bench.daemon import Bench, running
from tests.bench.report import Table
from tests.services.daemon import PASSWORD, USERNAME
from tests.services.ports import LOOPBACK

CHANNELS = 2_000
EVENTS_PER_S = 20_000
STORM_S = 10.0
#: How long each of the other troubles lasts.
TROUBLE_S = 5.0
SILENT = 2_000
READERS = 200
VISITORS = 1_000
SHOUTERS = 50
PROBES_PER_S = 50.0
_TICK_S = 0.01


# the PBX


async def _simulate(pipe: Pipe) -> None:
    options = SimulatorOptions(devices=phones(20), queues=(QueueConfig(name="support"),))
    async with Simulator(options) as simulator:
        for number in range(CHANNELS):
            _begin(simulator, number)
        pipe.send(simulator.port)
        while await asyncio.to_thread(pipe.recv):
            pipe.send(await _storm(simulator))
            pipe.send(_begin(simulator, 0))


def _begin(simulator: Simulator, number: int) -> str:
    """A call of a phone; returns the name of its channel."""
    devices = simulator.options.devices
    channel = simulator.pbx.new_device_channel(devices[number % len(devices)])
    simulator.pbx.set_state(channel, State.UP)
    return channel.name


async def _storm(simulator: Simulator) -> tuple[int, int]:
    """Send captured events at an even pace; returns how many, and connections that were cut."""
    frames = [frame + b"\r\n\r\n" for frame in traffic.events(1).split(b"\r\n\r\n") if frame]
    began, sent = time.monotonic(), 0
    while (passed := time.monotonic() - began) < STORM_S:
        due = int(passed * EVENTS_PER_S)
        for number in range(sent, due):
            for session in simulator.sessions:
                session.deliver(frames[number % len(frames)])
        sent = due
        await asyncio.sleep(_TICK_S)
    return sent, simulator.clients_cut


def _run_pbx(pipe: Pipe) -> None:
    asyncio.run(_simulate(pipe))


@contextmanager
def simulated() -> Iterator[tuple[int, Pipe]]:
    """The PBX in a process of its own: its port, and what is sent to for a storm."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run_pbx, args=(theirs,), daemon=True
    )
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.kill()
        process.join()


# what is measured


@dataclass
class Watch:
    """What was seen of the daemon meanwhile."""

    began_rss: int
    cpu_s: float = 0.0
    rss: int = 0
    latencies: Latencies = field(default_factory=Latencies)
    failed: int = 0
    recovered_s: float = 0.0


def _asking(bench: Bench) -> tuple[Connection, Question]:
    target = parse_target(bench.daemon.url)
    who = {"username": USERNAME, "password": PASSWORD, "action": "queuestatus"}
    request = target.request({**who, "queueName": "support"})
    return Connection(target, 10.0), Question("queuestatus", request)


async def _probe(bench: Bench, seconds: float) -> Tally:
    connection, question = _asking(bench)
    now = time.perf_counter()
    pace = Pace(PROBES_PER_S, now, now + seconds)
    generator = Generator(repeat(question), pace, time.perf_counter)
    try:
        await generator.run([connection])
    finally:
        connection.close()
    return generator.tallies["queuestatus"]


async def _watch_memory(process: psutil.Process, watch: Watch) -> None:
    while True:
        watch.rss = max(watch.rss, process.memory_info().rss)
        await asyncio.sleep(0.05)


async def _recover(bench: Bench, ok_s: float) -> float:
    """Seconds until ten answers in a row were as quick as at rest."""
    connection, question = _asking(bench)
    began, quick = time.perf_counter(), 0
    while quick < 10:
        asked = time.perf_counter()
        answer = await connection.ask(question.request)
        is_quick = not answer.failure and time.perf_counter() - asked < ok_s
        quick = quick + 1 if is_quick else 0
    connection.close()
    return time.perf_counter() - began


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def observe(
    bench: Bench, seconds: float, ok_s: float, trouble: Callable[[], Awaitable[object]]
) -> Watch:
    """Let something happen for a while, and watch."""
    process = psutil.Process(bench.pid)
    watch = Watch(process.memory_info().rss, -_cpu_s(process))
    memory = asyncio.create_task(_watch_memory(process, watch))
    probe = asyncio.create_task(_probe(bench, seconds))
    await trouble()
    watch.recovered_s = await _recover(bench, ok_s)
    tally = await probe
    watch.cpu_s += _cpu_s(process)
    watch.latencies, watch.failed = tally.latencies, tally.failures.total()
    memory.cancel()
    return watch


# the troubles


async def _connect(stack: ExitStack, port: int, count: int) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    made = []
    for _ in range(count):
        client = stack.enter_context(socket.socket())
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(client, (LOOPBACK, port))
        made.append(client)
    return made


async def say_nothing(port: int, count: int) -> None:
    with ExitStack() as stack:
        await _connect(stack, port, count)
        await asyncio.sleep(TROUBLE_S)


async def read_nothing(bench: Bench) -> None:
    """Ask for the whole list of calls, and leave it where it is."""
    target = parse_target(bench.daemon.url)
    who = {"username": USERNAME, "password": PASSWORD, "action": "listcalls"}
    loop = asyncio.get_running_loop()
    with ExitStack() as stack:
        for client in await _connect(stack, bench.http_port, READERS):
            await loop.sock_sendall(client, target.request(who))
        await asyncio.sleep(TROUBLE_S)


async def shout(port: int) -> None:
    """Silent visitors, and some that begin a line without an end, again and again."""
    until = time.monotonic() + TROUBLE_S

    async def endless() -> None:
        while time.monotonic() < until:
            try:
                _, writer = await asyncio.open_connection(LOOPBACK, port)
                writer.write(b"agi_network: " + b"x" * 200_000)
                await writer.drain()
            except ConnectionError:
                pass
            else:
                writer.close()
            await asyncio.sleep(0.01)

    await asyncio.gather(say_nothing(port, VISITORS), *(endless() for _ in range(SHOUTERS)))


async def storm(pipe: Pipe, daemon: Bench, told: list[str]) -> None:
    """20,000 events a second, then a new call: it is over when that call is in the list."""
    pipe.send("storm")
    sent, cut = await asyncio.to_thread(pipe.recv)
    name = await asyncio.to_thread(pipe.recv)
    ended = time.perf_counter()
    while not any(call["channelName"] == name for call in await daemon.daemon.calls()):
        await asyncio.sleep(0.01)
    told.append(
        f"{sent:,} events sent, {cut} connections cut; a call begun at the end of it is in the"
        f" list after {time.perf_counter() - ended:.2f} s"
    )


async def _counted(bench: Bench, name: str) -> str:
    """What the daemon's own metrics say."""
    counts = await bench.counts(name)
    return "; ".join(f"{each} {count:,.0f}" for each, count in counts.items())


@asynccontextmanager
async def _bench() -> AsyncIterator[tuple[Bench, Pipe]]:
    with simulated() as (port, pipe):
        async with running(port) as bench:
            while (await bench.daemon.ask("queuestatus", queueName="support")).errno:
                await asyncio.sleep(0.1)
            while len(await bench.daemon.calls()) < CHANNELS:
                await asyncio.sleep(0.1)
            yield bench, pipe


def _row(what: str, watch: Watch, counted: str) -> tuple[str, ...]:
    return (
        what,
        f"{watch.latencies.percentile_s(50) * 1000:.1f}",
        f"{watch.latencies.percentile_s(99) * 1000:.1f}",
        str(watch.failed),
        f"{(watch.rss - watch.began_rss) / 2**20:+.1f}",
        f"{watch.cpu_s:.1f}",
        f"{watch.recovered_s:.2f}",
        counted,
    )


async def _measure() -> list[Table]:
    async with _bench() as (bench, pipe):
        rest = await observe(bench, TROUBLE_S, 1.0, lambda: asyncio.sleep(TROUBLE_S))
        ok_s = max(0.02, 3 * rest.latencies.percentile_s(99))
        told: list[str] = []
        rows = [_row("nothing", rest, "")]
        watch = await observe(bench, STORM_S, ok_s, lambda: storm(pipe, bench, told))
        dropped = await _counted(bench, 'pbxapi_ami_events_total{event="other"}')
        rows.append(_row(f"{EVENTS_PER_S:,} events/s", watch, f"{told[0]}; {dropped}"))
        watch = await observe(bench, TROUBLE_S, ok_s, lambda: read_nothing(bench))
        rows.append(_row(f"{READERS} clients that do not read", watch, ""))
        watch = await observe(bench, TROUBLE_S, ok_s, lambda: say_nothing(bench.http_port, SILENT))
        rows.append(_row(f"{SILENT:,} connections that say nothing", watch, ""))
        watch = await observe(bench, TROUBLE_S, ok_s, lambda: shout(bench.agi_port))
        refused = await _counted(bench, "pbxapi_fastagi_refused_total")
        rows.append(_row(f"FastAGI: {VISITORS:,} silent, {SHOUTERS} that shout", watch, refused))
    intro = (
        f"{__doc__ or ''}\nMemory is the greatest of the process meanwhile, less that before;"
        f" CPU time is the daemon's alone."
        f" Recovery: from the end of the trouble to the last of ten answers in a row within"
        f" {ok_s * 1000:.0f} ms; wanted: at most 2 s."
    )
    head = (
        *("trouble", "p50, ms", "p99, ms", "failed", "memory, MB", "CPU, s", "recovery, s"),
        "counted",
    )
    return [Table("Backpressure", intro, head, rows)]


def run() -> list[Table]:
    """The table of all troubles."""
    return asyncio.run(_measure())

"""Calls begun by `originate` with custom fields, which the dial plan fetches over FastAGI.

The rate grows until something gives: a request fails or is not sent in time, or a call goes on
without its fields. Two phones each ring for 50 ms, answer, and the call ends after a second. CPU is
of each process, in cores; `all` is that of the whole machine, with all else that runs on it.
"""

import asyncio
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import cast

import psutil

from pbxapi.load.connection import Connection
from pbxapi.load.generator import Generator
from pbxapi.load.mix import make_mix
from pbxapi.load.pace import Pace
from pbxapi.load.tally import Tally
from pbxapi.load.target import parse_target
from pbxapi.simulator import Simulator, SimulatorOptions
from pbxapi.simulator.options import default_devices
from tests.bench.daemon import Bench, running
from tests.bench.report import CannotRun, Table
from tests.services import trees
from tests.services.asterisk import VERSIONS, Asterisk
from tests.services.daemon import PASSWORD, USERNAME
from tests.services.phones import Phones
from tests.services.ports import Ports

RATES = (10, 25, 50, 100, 150, 200, 300, 400)
SECONDS = 4.0
CLIENTS = 64
RING_MS = 50
TALK_MS = 1_000
#: Until what was begun is over.
_QUIET_S = 20.0
#: Share of requests or of calls that may go wrong before a rate is not sustained.
_TOLERATED = 0.01
_SERVED = "pbxapi_fastagi_calls_total"

_PARAMETERS = {
    "srcSipUsername": "Linka_1000",
    "dstNum": "1001",
    "customCDR1": "campaign 7",
    "customCDR2": "čeřicha",
    "dialerCid": "customCDR1",
}


@dataclass(frozen=True)
class Pbx:
    """What a PBX is to the measurement.

    Attributes:
        processes: Of which CPU time is told, by name.
    """

    ami_port: int
    technology: str
    username: str
    secret: str
    processes: dict[str, list[psutil.Process]]


async def _simulate(pipe: Pipe) -> None:
    devices = tuple(
        replace(
            device,
            answer_after_s=RING_MS / 1000,
            talk_s=TALK_MS / 1000,
        )
        for device in default_devices()
    )
    async with Simulator(SimulatorOptions(devices=devices)) as simulator:
        pipe.send(simulator.port)
        await asyncio.Event().wait()


def _run_simulator(pipe: Pipe) -> None:
    asyncio.run(_simulate(pipe))


@contextmanager
def simulated() -> Iterator[Pbx]:
    """The simulator, in a process of its own."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run_simulator, args=(theirs,), daemon=True
    )
    process.start()
    try:
        port = ours.recv()
        names = {"PBX": [psutil.Process(cast("int", process.pid))]}
        yield Pbx(port, "PJSIP", "pbxapi", "pbxapi", names)
    finally:
        process.kill()
        process.join()


@asynccontextmanager
async def real(version: str) -> AsyncIterator[Pbx]:
    """A real Asterisk with two SIPp phones."""
    tree = trees.find(version)
    if tree is None or shutil.which("sipp") is None:
        raise CannotRun(f"Asterisk {version} or SIPp is not here")
    ports = Ports()
    with tempfile.TemporaryDirectory(prefix="pbxapi-bench-") as folder:
        asterisk = Asterisk(version, tree, Path(folder), ports)  # type: ignore[arg-type]  # one of the versions, as text
        await asterisk.aio.start()
        phones = Phones(asterisk, {}, ports)
        try:
            stations = [
                await phones.up(name, ring_ms=RING_MS, talk_ms=TALK_MS)
                for name in ("Linka_1000", "Linka_1001")
            ]
            processes = {
                "PBX": [psutil.Process(asterisk.pid)],
                "phones": [psutil.Process(station.process.pid) for station in stations],
            }
            yield Pbx(
                asterisk.ami_port,
                asterisk.technology,
                asterisk.ami_username,
                asterisk.ami_secret,
                processes,
            )
        finally:
            await phones.close()
            await asterisk.aio.stop()
            ports.close()


def _cpu_s(processes: list[psutil.Process]) -> float:
    return sum(sum(process.cpu_times()[:2]) for process in processes)


async def _ask(bench: Bench, rate: float) -> tuple[Tally, int]:
    """So many originates a second; what came of them, and how many were not sent in time."""
    target = parse_target(bench.daemon.url)
    who = {"username": USERNAME, "password": PASSWORD}
    values = {("originate", name): [value] for name, value in _PARAMETERS.items()}
    mix = make_mix({"originate": 1}, values)
    now = time.perf_counter()
    pace = Pace(rate, now, now + SECONDS)
    questions = mix.questions(lambda form: target.request({**who, **form}))
    generator = Generator(questions, pace, time.perf_counter)
    connections = [Connection(target, 10.0) for _ in range(CLIENTS)]
    try:
        await generator.run(connections)
    finally:
        for connection in connections:
            connection.close()
    return generator.tallies["originate"], pace.left_out(time.perf_counter())


async def _quiet(bench: Bench) -> None:
    until = time.monotonic() + _QUIET_S
    while time.monotonic() < until:
        if (await bench.daemon.ask("listcalls")).data.get("total") == "0":
            return
        await asyncio.sleep(0.2)


async def _step(name: str, bench: Bench, pbx: Pbx, rate: float) -> tuple[tuple[str, ...], bool]:
    """One rate: its row, and whether it was sustained."""
    watched = {"daemon": [psutil.Process(bench.pid)], **pbx.processes}
    watched["generator"] = [psutil.Process()]
    served = (await bench.counts(_SERVED)).get(f'{_SERVED}{{outcome="served",script="cdr"}}', 0)
    before = {each: _cpu_s(processes) for each, processes in watched.items()}
    psutil.cpu_percent()
    began = time.perf_counter()
    tally, left_out = await _ask(bench, rate)
    everything = psutil.cpu_percent() / 100 * len(os.sched_getaffinity(0))
    took_s = time.perf_counter() - began
    busy = {each: (_cpu_s(watched[each]) - before[each]) / took_s for each in watched}
    await _quiet(bench)
    counts = await bench.counts(_SERVED)
    fetched = sum(count for each, count in counts.items() if '"served"' in each) - served
    lost = max(tally.failures.total() + left_out, tally.succeeded - fetched)
    sustained = lost <= _TOLERATED * rate * SECONDS
    busy["all"] = everything
    cpu = ", ".join(f"{each} {share:.2f}" for each, share in busy.items())
    failures = ", ".join(f"{count} x {kind}" for kind, count in tally.failures.items())
    row = (
        name,
        f"{rate:g}",
        f"{tally.succeeded / took_s:.0f}",
        f"{tally.latencies.percentile_s(50) * 1000:.1f}",
        f"{tally.latencies.percentile_s(99) * 1000:.1f}",
        f"{fetched / max(1, tally.succeeded):.1%}",
        f"{failures or '0'}; {left_out} not sent" if left_out or failures else "0",
        cpu,
    )
    return row, sustained


async def _climb(name: str, pbx: Pbx) -> list[tuple[str, ...]]:
    rows = []
    async with running(pbx.ami_port, pbx.technology, pbx.username, pbx.secret) as bench:
        while (await bench.daemon.ask("listcalls")).errno:
            await asyncio.sleep(0.1)
        for rate in RATES:
            row, sustained = await _step(name, bench, pbx, rate)
            rows.append(row)
            if not sustained:
                break
    return rows


async def _measure() -> list[Table]:
    with simulated() as simulator:
        rows = await _climb("simulator", simulator)
    for version in VERSIONS:
        async with AsyncExitStack() as stack:
            try:
                pbx = await stack.enter_async_context(real(version))
            except CannotRun as error:
                rows.append((f"Asterisk {version}", *("-" * 6), str(error)))
                continue
            rows += await _climb(f"Asterisk {version}", pbx)
    head = ("PBX", "asked/s", "accepted/s", "p50, ms", "p99, ms", "fields fetched", "failed", "CPU")
    return [Table("originate", (__doc__ or "").strip(), head, rows)]


def run() -> list[Table]:
    """One table: the simulator, then each real Asterisk."""
    return asyncio.run(_measure())

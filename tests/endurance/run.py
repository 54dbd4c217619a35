"""One run from start to end, and what came of it."""

import asyncio
import dataclasses
import json
import shutil
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from tests.endurance.clients import Clients
from tests.endurance.faults import Faults
from tests.endurance.inside import Numbers, counts, look_inside, slowness
from tests.endurance.truth import consulting, until_nobody_calls
from tests.endurance.verdict import Book
from tests.endurance.vitals import Sample, descriptors, sample, slopes
from tests.endurance.world import World, the_world
from tests.services.ports import Ports

_SAMPLE_S: Final = 1.0
#: Metrics cost the daemon more than a look from outside.
_LOOK_INSIDE_S: Final = 10.0
#: Of a run: what it takes until caches and pools have their size.
_WARM_UP: Final = 0.25
#: Sessions, questions and connections of the last fault have come to an end by then.
_SETTLED_S: Final = 8.0
#: After the last fault there are calls again by then.
_AGAIN_S: Final = 5.0
#: By then everybody has hung up.
_LAST_CALL_S: Final = 30.0
#: What may be open at the end and was not at the beginning: the pool of the database, a reconnect.
MORE_DESCRIPTORS: Final = 6
#: Tasks that may be there at the end and were not at the beginning: one for each connection.
MORE_TASKS: Final = 6
#: Threads come with the first need and stay: the loop's pool and those of moves and FastAGI.
MOST_THREADS: Final = 40
#: A rise that would matter within a week on a PBX, and can be told from noise in an hour.
MOST_KIB_PER_MINUTE: Final = 50.0
#: Below this a slope says nothing yet.
_LONG_S: Final = 1200.0


async def run(
    seconds: float, seed: int, log: Path | None = None, *, kill: bool = False
) -> dict[str, Any]:
    """Let it all happen; `wrong` in the report is empty if everything went well.

    Args:
        seconds: For how long there are faults.
        seed: Of what is random here; when it happens is up to the machine.
        log: Where a copy of the daemon's log goes.
        kill: Let the daemon be killed now and then, too. What a process takes in the long run is
            then not looked at, since none runs for long.
    """
    ports = Ports()
    try:
        async with the_world(seed, ports) as world:
            try:
                return await _Run(world, seed, kill=kill).go(seconds)
            finally:
                if log is not None:
                    shutil.copy(world.daemon.log, log)
    finally:
        ports.close()


class _Run:
    def __init__(self, world: World, seed: int, *, kill: bool) -> None:
        self._world = world
        self._seed = seed
        self._kill = kill
        self._book = Book()
        self._samples: list[Sample] = []
        self._inside: list[Numbers] = []
        self._began = time.monotonic()

    async def go(self, seconds: float) -> dict[str, Any]:
        at_first = descriptors(self._process)
        await self._look_inside()
        watching = [
            asyncio.create_task(self._watch()),
            asyncio.create_task(self._watch_inside()),
            asyncio.create_task(self._count_originates()),
        ]
        await self._storm(seconds)
        wrong = self._book.wrong
        await asyncio.sleep(_AGAIN_S)
        async with consulting(self._world) as truth:
            wrong += await truth.differences(at_once=False)
            await self._world.pbx.do("quiet")
            await until_nobody_calls(self._world, _LAST_CALL_S)
            await asyncio.sleep(_SETTLED_S)
            wrong += await truth.differences(at_once=True)
        for task in watching:
            task.cancel()
        self._take(await self._world.pbx.do("originates"))
        wrong += self._book.doubled()
        wrong += await self._world.recordings.losses(self._world.database)
        at_last = descriptors(self._process)
        await self._look_inside()
        trend = slopes(self._samples, _WARM_UP * seconds)
        if not self._kill:
            wrong += self._leaks(at_first, at_last, trend, seconds)
        wrong += self._complaints()
        return self._report(seconds, truth.compared, at_first, at_last, trend)

    async def _storm(self, seconds: float) -> None:
        clients = Clients(self._world, self._book, self._seed)
        faults = Faults(self._world, self._book, self._seed, kill=self._kill)
        asking, spoiling = asyncio.create_task(clients.run()), asyncio.create_task(faults.run())
        await asyncio.wait({asking, spoiling}, timeout=seconds, return_when="FIRST_COMPLETED")
        faults.stop()
        await spoiling
        clients.stop()
        await asking

    @property
    def _process(self) -> psutil.Process:
        return psutil.Process(self._world.daemon.pid)

    async def _watch(self) -> None:
        while True:
            with suppress(psutil.NoSuchProcess):  # it was killed just now
                self._samples.append(sample(self._process, time.monotonic() - self._began))
            await asyncio.sleep(_SAMPLE_S)

    async def _watch_inside(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_INSIDE_S)
            await self._look_inside()

    async def _look_inside(self) -> None:
        numbers = await look_inside(self._world.daemon.url)
        if numbers:
            self._inside.append(numbers)

    async def _count_originates(self) -> None:
        while True:
            self._take(await self._world.pbx.do("originates"))
            await asyncio.sleep(2)

    def _take(self, numbers: list[str]) -> None:
        self._book.arrived.update(numbers)

    def _leaks(
        self, first: Counter[str], last: Counter[str], trend: dict[str, Any], seconds: float
    ) -> list[str]:
        wrong = []
        if last["all"] > first["all"] + MORE_DESCRIPTORS:
            wrong.append(f"descriptors: {dict(first)} before, {dict(last)} afterwards")
        if self._samples[-1].threads > MOST_THREADS:
            wrong.append(f"{self._samples[-1].threads} threads")
        before, after = (self._inside[at]["pbxapi_tasks"] for at in (0, -1))
        if after > before + MORE_TASKS:
            wrong.append(f"{before:.0f} tasks before, {after:.0f} afterwards")
        memory = trend["rss_kib"]
        if seconds >= _LONG_S and memory.per_minute - memory.margin > MOST_KIB_PER_MINUTE:
            wrong.append(f"memory rises: {memory}")
        return wrong

    def _log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._world.daemon.log.read_text("utf-8").splitlines()]

    def _complaints(self) -> list[str]:
        """Lines of the log that no fault of ours explains."""
        return [
            f"log: {json.dumps(line)[:600]}"
            for line in self._log()
            if "exception" in line or line.get("event") == "request.failed"
        ]

    def _report(
        self,
        seconds: float,
        compared: dict[str, int],
        first: Counter[str],
        last: Counter[str],
        trend: dict[str, Any],
    ) -> dict[str, Any]:
        book = self._book
        events = Counter(f"{line.get('level')} {line.get('event')}" for line in self._log())
        return {
            "seconds": seconds,
            "seed": self._seed,
            "wrong": book.wrong,
            "requests": dict(book.requests),
            "errors": dict(sorted(book.errors.items())),
            "longest_s": {name: round(s, 2) for name, s in book.longest_s.items()},
            "faults": dict(book.faults),
            "disk_was_full_for_real": self._world.recordings.can_be_full,
            "originates": {
                "asked": len(book.originates),
                "told_begun": sum(book.originates.values()),
                "arrived": len(book.arrived),
            },
            "compared_at_the_end": compared,
            "descriptors": {"before": dict(first), "after": dict(last)},
            "threads": {
                "before": self._samples[0].threads,
                "most": max(each.threads for each in self._samples),
                "after": self._samples[-1].threads,
            },
            "rss_mib": {
                "before": round(self._samples[0].rss_bytes / 2**20, 1),
                "most": round(max(each.rss_bytes for each in self._samples) / 2**20, 1),
                "after": round(self._samples[-1].rss_bytes / 2**20, 1),
            },
            "inside": {
                "before": counts(self._inside[0]),
                "most": {
                    name: max(numbers.get(name, 0) for numbers in self._inside)
                    for name in counts(self._inside[-1])
                },
                "after": counts(self._inside[-1]),
            },
            "slowness": slowness(self._inside[-1]),
            "slow_answers": book.slow,
            "slopes_per_minute": {
                name: line and dataclasses.asdict(line) for name, line in trend.items()
            },
            "log_events": dict(events.most_common()),
            "rss_kib_each_10_s": [each.rss_bytes // 1024 for each in self._samples[::10]],
            "inside_each_10_s": [counts(numbers) for numbers in self._inside],
        }

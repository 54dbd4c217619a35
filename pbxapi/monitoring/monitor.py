"""Answers how the daemon is, from what lies about in memory."""

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.process_collector import ProcessCollector

from pbxapi.monitoring.database import DatabaseProbe
from pbxapi.monitoring.families import families
from pbxapi.monitoring.readiness import readiness
from pbxapi.monitoring.sources import Sources
from pbxapi.web.probes import Readiness


class _Only(NamedTuple):
    """A registry of one family: what is global in prometheus_client is not used."""

    family: Metric

    def collect(self) -> Iterable[Metric]:
        """The family."""
        return (self.family,)


class Monitor:
    """See `web.probes.Monitor`.

    Args:
        sources: What is looked at.
        database: Asks the database.
        clock: Monotonic seconds, the clock of the caches.

    Attributes:
        sources: As given.
    """

    def __init__(
        self, sources: Sources, database: DatabaseProbe, clock: Callable[[], float]
    ) -> None:
        self.sources = sources
        self._database = database
        self._clock = clock

    async def readiness(self) -> Readiness:
        """Whether requests can be answered now."""
        database = await self._database.is_up()
        return readiness(self.sources, self._clock(), database=database)

    async def metrics(self) -> bytes:
        """All metrics, as Prometheus reads them."""
        database = await self._database.is_up()
        process = await asyncio.to_thread(_process)
        now = self._clock()
        ready = readiness(self.sources, now, database=database).ready
        ours = families(self.sources, now, database=database, ready=ready)
        written = []
        for family in (*ours, *process):
            written.append(generate_latest(_Only(family)))
            await asyncio.sleep(0)  # requests get their turn in between
        return b"".join(written)


def _process() -> list[Metric]:
    """Memory, processor time and open files, as Linux tells them: it reads files."""
    return list(ProcessCollector(registry=None).collect())

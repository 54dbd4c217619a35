"""Whose channel it is: all accounts and trunks of the directory in memory.

A list of calls asks this once for every channel, so it may not wait for the database. The picture
is at most `PERIOD_S` old; while the database cannot be asked it stays as it is.
"""

import asyncio
import random
from dataclasses import dataclass
from typing import Final, Literal

import structlog

from pbxapi.directory.lines import Queries
from pbxapi.errors import DatabaseUnavailable

#: Seconds between two loads, give or take a tenth so that daemons do not fall into step.
PERIOD_S: Final = 5.0
JITTER: Final = 0.1
#: Least seconds between two loads, however often somebody asks for one.
MIN_PERIOD_S: Final = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Device:
    """An account of a line (`id` of `extension_line`, `number` of the line) or a trunk."""

    kind: Literal["extension", "trunk"]
    id: int
    number: str


class DeviceIndex:
    """Devices by the name that stands in their channels' names (`Linka_1000`).

    Attributes:
        loaded: Whether it was ever filled; until then nobody is known.
    """

    def __init__(
        self, queries: Queries, *, period_s: float = PERIOD_S, min_period_s: float = MIN_PERIOD_S
    ) -> None:
        self._queries = queries
        self._period_s = period_s
        self._min_period_s = min_period_s
        self._devices: dict[str, Device] = {}
        self._asked = asyncio.Event()
        self._failing = False
        self.loaded = False

    def lookup(self, name: str) -> Device | None:
        """The device of this name; that of a line where a trunk has the same name."""
        return self._devices.get(name)

    def ask(self) -> None:
        """Load soon: somebody met a device that is not known."""
        self._asked.set()

    async def refresh(self) -> None:
        """Load now.

        Raises:
            DatabaseUnavailable: the picture stays as it was.
        """
        rows = await self._queries.fetch("devices")
        devices: dict[str, Device] = {}
        for row in rows:
            name = row["name"]
            known = devices.get(name)
            if known is None or (known.kind == "trunk" and row["kind"] == "extension"):
                devices[name] = Device(row["kind"], row["id"], row["number"] or "")
        self._devices = devices
        self.loaded = True

    async def follow(self) -> None:
        """Keep the picture fresh until cancelled."""
        while True:
            self._asked.clear()
            await self._try_refresh()
            await asyncio.sleep(self._min_period_s)
            await self._wait_until_asked()

    async def _wait_until_asked(self) -> None:
        spread = random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, hides nothing
        rest_s = max(0.0, self._period_s * spread - self._min_period_s)
        try:
            async with asyncio.timeout(rest_s):
                await self._asked.wait()
        except TimeoutError:
            return

    async def _try_refresh(self) -> None:
        try:
            await self.refresh()
        except DatabaseUnavailable as error:
            tell = _log.debug if self._failing else _log.warning
            tell("devices.not_refreshed", error=str(error), known=len(self._devices))
            self._failing = True
            return
        if self._failing:
            self._failing = False
            _log.info("devices.refreshed", known=len(self._devices))

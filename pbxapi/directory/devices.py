"""All accounts and trunks of the directory in memory: whose channel it is, and who they all are.

A list of calls asks this once for every channel, and one of peers for everybody, so neither may
wait for the database. The picture is at most `PERIOD_S` old; while the database cannot be asked it
stays as it is.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

import structlog

from pbxapi.directory.account import Technology
from pbxapi.directory.lines import Queries, Row
from pbxapi.errors import DatabaseUnavailable

#: Seconds between two loads, give or take a tenth so that daemons do not fall into step.
PERIOD_S: Final = 5.0
JITTER: Final = 0.1
#: Least seconds between two loads, however often somebody asks for one.
MIN_PERIOD_S: Final = 1.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Device:
    """An account of a line (`id` of `extension_line`, `number` of the line) or a trunk.

    Attributes:
        name: Of the account or the trunk, as Asterisk calls its peer.
    """

    kind: Literal["extension", "trunk"]
    id: int
    number: str
    name: str
    technology: Technology


class DeviceIndex:
    """Devices by the name that stands in their channels' names (`Linka_1000`).

    Attributes:
        loaded: Whether it was ever filled; until then nobody is known.
        accounts: All accounts of lines, by id.
        trunks: All trunks, by id.
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
        self.accounts: Sequence[Device] = ()
        self.trunks: Sequence[Device] = ()

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
        found = (device for row in rows if (device := _device(row)) is not None)
        all_devices = sorted(found, key=lambda device: device.id)
        self.accounts = [device for device in all_devices if device.kind == "extension"]
        self.trunks = [device for device in all_devices if device.kind == "trunk"]
        # A line's comes last, so that it takes the place of a trunk of the same name.
        self._devices = {device.name: device for device in (*self.trunks, *self.accounts)}
        self.loaded = True

    def everybody(self) -> tuple[Sequence[Device], Sequence[Device]]:
        """All accounts of lines and all trunks, each by id.

        Raises:
            DatabaseUnavailable: the directory was never read.
        """
        if not self.loaded:
            raise DatabaseUnavailable("the directory has not been read yet")
        return self.accounts, self.trunks

    async def follow(self) -> NoReturn:
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


def _device(row: Row) -> Device | None:
    """The device; None for what is no SIP account, which a view may bring."""
    technology: Technology
    match (row["technology"] or "").upper():
        case "SIP":
            technology = "SIP"
        case "PJSIP":
            technology = "PJSIP"
        case _:
            return None
    return Device(row["kind"], row["id"], row["number"] or "", row["name"] or "", technology)

"""The areas in their order, and what each needs of those before it.

An area is given up after `DEADLINE_S`; one whose need was not met says so in a line. A bug in a
check is a finding like any other: whoever runs this has trouble enough.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, NamedTuple

from pbxapi.doctor import asterisk_files, asterisk_side, certificate, database, disk, manager, ports
from pbxapi.doctor.finding import Finding, Level, fail, ok, warn
from pbxapi.doctor.patient import Patient
from pbxapi.errors import PbxapiError, PbxUnavailable
from pbxapi.recordings.threads import Threads

#: The longest list of a large PBX takes less; so does a database that is about to refuse.
DEADLINE_S: Final = 20.0
#: A share that hangs would keep us for ever.
DISK_S: Final = 10.0

#: Told of each finding, with the name of its area.
Tell = Callable[[str, Finding], None]


class Area(NamedTuple):
    """A part of the examination.

    Attributes:
        needs: Areas without a FAIL before which this one makes no sense.
    """

    name: str
    look: Callable[[Patient], AsyncIterator[Finding]]
    needs: tuple[str, ...] = ()


async def _secrets(patient: Patient) -> AsyncIterator[Finding]:
    for finding in await _on_disk(lambda: disk.secret_files(patient)):
        yield finding


async def _roots(patient: Patient) -> AsyncIterator[Finding]:
    def look() -> Iterator[Finding]:
        monitor = disk.MONITOR
        if ports.is_here(patient.config.ami.host):
            monitor = asterisk_files.monitor_folder(patient.asterisk_folder, monitor)
        return disk.roots(patient, monitor)

    for finding in await _on_disk(look):
        yield finding


async def _files(patient: Patient) -> AsyncIterator[Finding]:
    if not await asyncio.to_thread(ports.is_here, patient.config.ami.host):
        yield ok(f"Asterisk is on {patient.config.ami.host}: its files are not looked at")
        return
    for finding in await _on_disk(lambda: asterisk_files.look(patient)):
        yield finding


async def _on_disk(look: Callable[[], Iterator[Finding]]) -> list[Finding]:
    threads = Threads(1)
    try:
        async with asyncio.timeout(DISK_S):
            return await threads.run(lambda: list(look()))
    except TimeoutError:
        return [fail(f"the disk did not answer in {DISK_S:g} s", "see whether a share hangs")]
    finally:
        threads.close()


AREAS: Final = (
    Area("secrets", _secrets),
    Area("database", database.schema),
    Area("rights", database.rights, ("database",)),
    Area("directory", database.content, ("database", "rights")),
    Area("ami", manager.login),
    Area("permissions", manager.permissions, ("ami",)),
    Area("version", manager.version, ("ami",)),
    Area("modules", manager.modules, ("ami",)),
    Area("dialplan", asterisk_side.contexts, ("ami",)),
    Area("queues", asterisk_side.queues, ("ami", "directory")),
    Area("accounts", asterisk_side.accounts, ("ami", "directory")),
    Area("tls", certificate.look),
    Area("http", ports.http),
    Area("fastagi", ports.fastagi),
    Area("records", _roots),
    Area("asterisk files", _files),
)


async def examine(patient: Patient, tell: Tell, areas: tuple[Area, ...] = AREAS) -> bool:
    """Look at everything; returns whether nothing has failed."""
    failed: set[str] = set()
    try:
        for area in areas:
            missing = [need for need in area.needs if need in failed]
            if missing:
                tell(area.name, warn("not looked at", f"mend {missing[0]} first"))
                failed.add(area.name)
                continue
            async for finding in _within_time(area, patient):
                tell(area.name, finding)
                if finding.level is Level.FAIL:
                    failed.add(area.name)
    finally:
        if patient.session is not None:
            patient.session.close(PbxUnavailable("the examination is over"))
            await asyncio.sleep(0)  # the loop closes the socket
    return not failed


async def _within_time(area: Area, patient: Patient) -> AsyncIterator[Finding]:
    try:
        async with asyncio.timeout(DEADLINE_S):
            async for finding in area.look(patient):
                yield finding
    except TimeoutError:
        yield fail(f"no end within {DEADLINE_S:g} s", "see what is so slow")
    except PbxapiError as error:
        yield fail(str(error), "see the lines above, and Asterisk's log")
    except Exception as error:  # noqa: BLE001 - no traceback, whatever happens
        yield fail(f"the check itself is at fault: {type(error).__name__}", "report it")

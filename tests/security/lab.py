"""The daemon between a client that means no good and a simulator that notes all that it is told."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from pbxapi import daemon, log
from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS
from pbxapi.commands import demo_call_centre
from pbxapi.config_reading import load
from pbxapi.directory import pool
from pbxapi.directory.queries import QUERIES
from pbxapi.simulator import ManagerUser, Simulator, SimulatorOptions
from pbxapi.simulator.fastagi import Conversation
from pbxapi.simulator.options import default_devices
from tests.directory.rows import add_user
from tests.security.values import SECRET
from tests.services.logs import keeping_logging
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database
from tests.services.waiting import eventually

USER: Final = "fuzz"
PASSWORD: Final = f"{SECRET}-password"
PIN: Final = f"{SECRET}-pin"
AMI_SECRET: Final = f"{SECRET}-ami"
_LINES: Final = resources.files("pbxapi.commands").joinpath("demo.sql").read_text()
#: Tables that no request changes.
_UNCHANGING: Final = (
    "dialplans", "outroute", "extensions", "extension_line", "sip", "queues", "agents", "api_users"
)  # fmt: skip


@dataclass(slots=True)
class Lab:
    """What the far sides saw.

    Attributes:
        commands: What FastAGI said, a line each.
        statements: Texts of SQL that are none of `queries.sql`.
    """

    simulator: Simulator
    database: Database
    records: Path
    outside: Path
    log: io.StringIO
    port: int = 0
    commands: list[bytes] = field(default_factory=list)
    statements: list[str] = field(default_factory=list)
    _read: int = 0

    def new_lines(self) -> list[str]:
        """Lines of the log since the last time."""
        text = self.log.getvalue()[self._read :]
        self._read += len(text)
        return text.splitlines(keepends=True)

    def entries(self, lines: list[str]) -> list[dict[str, Any]]:
        """Each line as the one object that it has to be."""
        found = [json.loads(line) for line in lines]
        assert all(isinstance(entry, dict) and "event" in entry for entry in found)
        return found

    async def tables(self) -> dict[str, int]:
        """Rows of the tables that stay as they are, and the names of all that there are."""
        rows = await self.database.fetch(
            "SELECT relname FROM pg_class WHERE relkind IN ('r', 'v', 'f')"
            " AND relnamespace = 'pbxapi'::regnamespace"
        )
        counts = {row["relname"]: -1 for row in rows}
        for table in _UNCHANGING:
            (row,) = await self.database.fetch(f"SELECT count(*) AS n FROM pbxapi.{table}")
            counts[table] = row["n"]
        return counts

    def files_outside(self) -> list[str]:
        """Everything beside the record root."""
        return sorted(
            f"{path}:{path.read_bytes()!r}" if path.is_file() else str(path)
            for path in self.outside.rglob("*")
            if not path.is_relative_to(self.records)
        )


@contextmanager
def watching(lab: Lab) -> Iterator[None]:
    """Note the commands of FastAGI and every text of SQL that is not one of the constants."""
    constant = set(QUERIES.values())
    answer, fetch = Conversation._answer, pool._Session.fetch

    def noted(self: Conversation, line: bytes) -> tuple[str, int, str]:
        lab.commands.append(line)
        return answer(self, line)

    async def checked(self: Any, statement: str, *args: Any, **options: Any) -> Any:
        if statement not in constant:
            lab.statements.append(statement)
        return await fetch(self, statement, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Conversation, "_answer", noted)
        patch.setattr(pool._Session, "fetch", checked)
        yield


async def fill(database: Database, recording: Path) -> None:
    """The demo's directory, with secrets of our own, and one call record."""
    connection = await asyncpg.connect(database.dsn)
    try:
        await connection.execute(_LINES)
        await connection.execute("UPDATE pbxapi.extensions SET recording = true")
        await demo_call_centre.fill(connection)
        await connection.execute("UPDATE pbxapi.agents SET pin_hash = $1", hash_password(PIN))
        await connection.execute(
            "INSERT INTO pbxapi.cdr (src, dst, recordingfile) VALUES ('1', '2', $1)", str(recording)
        )
    finally:
        await connection.close()
    await add_user(database, USER, PASSWORD, permissions=tuple(PERMISSIONS))


def make_simulator() -> Simulator:
    """Phones that answer at once and talk for a moment, and one call that goes on."""
    quick = tuple(
        replace(device, ring_after_s=0.002, answer_after_s=0.004, talk_s=0.05)
        for device in default_devices()
    )
    return Simulator(
        SimulatorOptions(
            users=(ManagerUser(name="pbxapi", secret=AMI_SECRET),),
            devices=quick,
            queues=demo_call_centre.queues("PJSIP"),
        )
    )


@asynccontextmanager
async def running(database: Database, ports: Ports, folder: Path) -> AsyncIterator[Lab]:
    """Everything, as `pbxapi serve` puts it together."""
    records = folder / "records"
    (records / "archive").mkdir(parents=True)
    (folder / "secret.txt").write_text("canary")
    recording = records / "call.wav"
    recording.write_bytes(b"RIFF")
    await fill(database, recording)
    async with make_simulator() as simulator:
        lab = Lab(simulator, database, records, folder, io.StringIO())
        config = load(
            None,
            {
                "PBXAPI_HTTP_LISTEN": f"{LOOPBACK}:{ports.tcp()}",
                "PBXAPI_AMI_PORT": str(simulator.port),
                "PBXAPI_AMI_SECRET": AMI_SECRET,
                "PBXAPI_FASTAGI_LISTEN": f"{LOOPBACK}:{ports.tcp()}",
                "PBXAPI_DATABASE_DSN": database.dsn,
                "PBXAPI_RECORDS_ROOTS": str(records),
                "PBXAPI_SECURITY_MAX_FAILURES": "1000000",
            },
        )
        lab.port = config.http.listen.port
        stop, listens = asyncio.Event(), asyncio.Event()
        with keeping_logging(), watching(lab):
            log.configure("debug", "json", stream=lab.log)
            serving = asyncio.create_task(daemon.run(config, stop, lambda _url: listens.set()))
            try:
                await listens.wait()
                await eventually(
                    lambda: "queues.listed" in lab.log.getvalue(), within_s=10, what="queues listed"
                )
                yield lab
            finally:
                stop.set()
                await serving

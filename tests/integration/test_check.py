"""`pbxapi check` beside a running daemon, against a real Asterisk of each version."""

import asyncio
import sys

import pytest

from tests.services.asterisk import Asterisk
from tests.services.daemon import StartDaemon, seed
from tests.services.postgres import Database


@pytest.mark.timeout(60)
async def test_all_is_well(
    asterisk: Asterisk, database: Database, start_daemon: StartDaemon
) -> None:
    await seed(database, asterisk.technology)
    await database.execute("INSERT INTO pbxapi.queues VALUES (1, 'FrontaIT')")
    await asterisk.aio.write_cdr_to(database.dsn)
    daemon = await start_daemon(
        asterisk.ami_port,
        asterisk.ami_username,
        asterisk.ami_secret,
        RECORDS_ROOTS=str(asterisk.monitor),
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pbxapi", "check", "--asterisk-etc", str(asterisk.etc)),
        env=daemon.environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, errors = await process.communicate()
    lines = printed.decode().splitlines()
    assert [line for line in lines if not line.startswith("ok ")] == []
    assert (process.returncode, errors) == (0, b"")
    text = printed.decode()
    assert "is held by a running daemon" in text
    assert "is held by the running daemon" in text
    assert "Asterisk knows all 25 accounts and trunks" in text
    assert f"Asterisk {asterisk.version}." in text

"""A recorded call on real Asterisk 16 and 22, moved by an unmodified PHP client."""

import asyncio
import os
import signal
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.recordings.world import other_file_system
from tests.services.asterisk import Asterisk
from tests.services.daemon import PASSWORD, USERNAME, Daemon, StartDaemon, seed
from tests.services.phones import Phones
from tests.services.php import Php
from tests.services.postgres import Database
from tests.services.waiting import eventually

SUCCESS = b'{"success":"true"}'


@pytest_asyncio.fixture
async def archive(asterisk: Asterisk) -> AsyncIterator[Path]:
    """A second record root, on another file system."""
    with other_file_system(asterisk.monitor) as folder:
        yield folder


@pytest_asyncio.fixture
async def daemon(
    asterisk: Asterisk, database: Database, start_daemon: StartDaemon, archive: Path
) -> AsyncIterator[Daemon]:
    await seed(database, asterisk.technology)
    await database.execute("UPDATE pbxapi.extensions SET recording = true WHERE id = 1")
    await asterisk.aio.write_cdr_to(database.dsn)
    started = await start_daemon(
        asterisk.ami_port,
        asterisk.ami_username,
        asterisk.ami_secret,
        RECORDS_ROOTS=f"{asterisk.monitor},{archive}",
    )
    await eventually(lambda: started.events("cache.listed"), within_s=5, what="the first list")
    yield started


async def paths(database: Database) -> dict[int, str]:
    rows = await database.fetch("SELECT id, recordingfile FROM pbxapi.cdr")
    return {row["id"]: row["recordingfile"] for row in rows if row["recordingfile"]}


def seconds(path: Path) -> float:
    with wave.open(str(path)) as sound:
        return float(sound.getnframes() / sound.getframerate())


async def test_a_recorded_call_is_moved_once_it_is_over(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    php: Php,
    database: Database,
    archive: Path,
) -> None:
    async def legacy(action: str, **params: str) -> bytes | None:
        who = {"username": USERNAME, "password": PASSWORD, "action": action}
        return (await php.get(daemon.url, who | params)).raw

    await phones.up("Linka_1000")
    call = {"srcSipUsername": "Linka_1000", "dstNum": "602", "monitorFilename": "hovor čtyři.wav"}
    assert await legacy("originate", **call) == SUCCESS
    source = asterisk.monitor / "hovor čtyři.wav"
    await eventually(source.exists, within_s=8, what="the recording has begun")
    await eventually(lambda: source.stat().st_size > 20_000, within_s=8, what="it has a second")
    # What Asterisk writes only at the end of a call, a transfer writes in the midst of it.
    await database.execute(
        "INSERT INTO pbxapi.cdr (id, recordingfile) VALUES (900000, $1)", str(source)
    )
    early = await legacy("moverecord", cdrId="900000", path=f"{archive}/2026")
    assert early is not None
    assert b'"errno":"812"' in early, "Asterisk has it open for writing"
    assert source.exists()

    for row in await daemon.calls():
        await daemon.ask("hangupcall", channelName=row["channelName"])

    async def written() -> Any:
        records = await paths(database)
        return not await daemon.calls() and records if len(records) > 1 else None

    records = await eventually(written, within_s=15, what="the call records")
    assert set(records.values()) == {str(source)}
    cdr_id = str(min(records))
    length = seconds(source)
    assert length > 1
    answer = await legacy("moverecord", cdrId=cdr_id, path=f"{archive}/2026", filename="a b.wav")
    assert answer == SUCCESS
    target = archive / "2026" / "a b.wav"
    assert not source.exists()
    assert seconds(target) == length
    assert set((await paths(database)).values()) == {str(target)}, "all records of the call"
    again = await legacy("moverecord", cdrId=cdr_id, path=f"{archive}/2026", filename="a b.wav")
    assert again == SUCCESS
    back = await legacy("moverecord", cdrId=cdr_id, path=f"{asterisk.monitor}/zpět")
    assert back == SUCCESS
    assert seconds(asterisk.monitor / "zpět" / "a b.wav") == length
    assert len(daemon.events("recording.moved")) == 3
    (line,) = daemon.events("recording.not_moved")
    assert (line["client"], line["cdr"], line["source"]) == (USERNAME, 900000, str(source))


async def test_a_daemon_that_is_killed_in_mid_copy_starts_in_order(
    daemon: Daemon, asterisk: Asterisk, database: Database, archive: Path
) -> None:
    source = asterisk.monitor / "long.wav"
    audio = os.urandom(1_000_000)
    source.write_bytes(audio * 150)
    await database.execute(
        "INSERT INTO pbxapi.cdr (id, recordingfile) VALUES (1, $1), (2, '')", str(source)
    )
    request = asyncio.create_task(daemon.ask("moverecord", cdrId="1", path=str(archive / "x")))
    await eventually(lambda: list(archive.rglob("*.part")), within_s=10, what="it copies")
    await daemon.stop(signal.SIGKILL)
    await asyncio.gather(request, return_exceptions=True)
    await daemon.start()

    async def settled() -> bool:
        return not await database.fetch("SELECT FROM pbxapi.record_moves")

    await eventually(settled, within_s=10, what="the journal is empty")
    files = [p for p in (*archive.rglob("*"), source) if p.is_file()]
    assert len(files) == 1
    assert files[0].stat().st_size == 150_000_000
    assert (await paths(database)) == {1: str(files[0])}
    assert daemon.events("recording.recovered")
    files[0].unlink()


async def test_a_daemon_that_is_stopped_in_mid_copy_finishes_or_undoes_it(
    daemon: Daemon, asterisk: Asterisk, database: Database, archive: Path
) -> None:
    source = asterisk.monitor / "long.wav"
    source.write_bytes(os.urandom(1_000_000) * 50)
    await database.execute("INSERT INTO pbxapi.cdr (id, recordingfile) VALUES (1, $1)", str(source))
    request = asyncio.create_task(daemon.ask("moverecord", cdrId="1", path=str(archive / "x")))
    await eventually(lambda: list(archive.rglob("*.part")), within_s=10, what="it copies")
    assert await daemon.stop() == 0
    assert (await request).data["success"] in ("true", "false")
    files = [p for p in (*archive.rglob("*"), source) if p.is_file()]
    assert len(files) == 1
    assert (await paths(database)) == {1: str(files[0])}
    assert await database.fetch("SELECT FROM pbxapi.record_moves") == []
    files[0].unlink()

"""Moving a recording: real PostgreSQL, real file systems, one and two of them."""

import asyncio
import errno
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from pbxapi import recordings
from pbxapi.directory.pool import Directory
from pbxapi.errors import DatabaseUnavailable, PbxUnavailable
from pbxapi.faults import Fault
from pbxapi.recordings.plan import plan_move
from pbxapi.recordings.syscalls import Syscalls
from tests.recordings.faults import FaultyQueries, FaultySyscalls, Trace
from tests.recordings.world import (
    CHECKSUM,
    MTIME_NS,
    OWNER,
    SOON,
    Disk,
    add_record,
    checksum,
    losses,
    make_moves,
    move,
    other_file_system,
)
from tests.services.postgres import Database
from tests.services.waiting import eventually

each_variant = pytest.mark.parametrize("disk", ["same", "across"], indirect=True)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@pytest.fixture
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    with other_file_system(tmp_path) as other:
        variant = getattr(request, "param", "across")
        made = Disk(tmp_path / "a", (tmp_path if variant == "same" else other) / "b")
        made.fill()
        yield made


@pytest_asyncio.fixture
async def directory(database: Database, disk: Disk) -> AsyncIterator[Directory]:
    await add_record(database, disk.source)
    async with Directory(database.dsn) as made:
        yield made


class Gate(Syscalls):
    """A file system that hangs in one system call until it is let go."""

    def __init__(self, name: str) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()
        original = getattr(Syscalls, name)

        def hang(*args: Any, **options: Any) -> Any:
            self.entered.set()
            assert self.let_go.wait(20)
            return original(self, *args, **options)

        setattr(self, name, hang)


@each_variant
async def test_the_recording_moves_whole_and_all_records_of_its_call_follow(
    disk: Disk, database: Database, directory: Directory
) -> None:
    async with make_moves(directory, disk) as moves:
        assert await move(moves, disk) == 2
        assert moves.outcomes == {"moved": 1}
    assert disk.files() == [disk.target]
    assert checksum(disk.target) == CHECKSUM
    found = disk.target.stat()
    assert (found.st_mtime_ns, stat.S_IMODE(found.st_mode)) == (MTIME_NS, 0o640)
    rows = await database.fetch("SELECT id, recordingfile AS r FROM pbxapi.cdr ORDER BY id")
    path = str(disk.target)
    assert [(r["id"], r["r"]) for r in rows] == [(10000, path), (10001, path), (10002, "/x")]
    assert await database.fetch("SELECT FROM pbxapi.record_moves") == []


@as_root
@each_variant
async def test_owners_survive_and_new_folders_are_as_the_root(
    disk: Disk, directory: Directory
) -> None:
    os.chown(disk.b, OWNER + 1, OWNER + 2)
    disk.b.chmod(0o2770)
    async with make_moves(directory, disk) as moves:
        await move(moves, disk)
    found = disk.target.stat()
    assert (found.st_uid, found.st_gid) == (OWNER, OWNER)
    for folder in (disk.target.parent, disk.target.parent.parent):
        made = folder.stat()
        assert (made.st_uid, made.st_gid) == (OWNER + 1, OWNER + 2)
        assert stat.S_IMODE(made.st_mode) == 0o2770


async def test_a_move_to_where_it_is_does_nothing(disk: Disk, directory: Directory) -> None:
    trace = Trace()
    async with make_moves(directory, disk, syscalls=FaultySyscalls(trace)) as moves:
        assert await move(moves, disk, disk.source) == 0
    assert disk.files() == [disk.source]
    assert not {"mkdir", "rename_to_new", "unlink", "write"} & set(trace.calls)


@each_variant
async def test_nothing_is_overwritten(disk: Disk, database: Database, directory: Directory) -> None:
    disk.target.parent.mkdir(parents=True)
    for kind in ("file", "link", "folder"):
        match kind:
            case "file":
                disk.target.write_text("older")
            case "link":
                disk.target.symlink_to("/nowhere")
            case _:
                disk.target.mkdir()
        before = disk.target.lstat()
        async with make_moves(directory, disk) as moves:
            with pytest.raises(Fault, match="812 Cannot move file to"):
                await move(moves, disk)
        assert disk.target.lstat() == before
        assert checksum(disk.source) == CHECKSUM
        disk.target.rmdir() if kind == "folder" else disk.target.unlink()
    assert await losses(database, disk) == []


@each_variant
async def test_a_name_that_is_taken_in_the_last_instant_is_not_overwritten(
    disk: Disk, database: Database, directory: Directory
) -> None:
    class Late(Syscalls):
        def rename_to_new(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
            disk.target.write_text("somebody else's")
            super().rename_to_new(name, folder, new_name, new_folder)

    # The across variant meets EXDEV first: the name is taken before the copy.
    async with make_moves(directory, disk, syscalls=Late()) as moves:
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
    assert disk.target.read_text() == "somebody else's"
    disk.target.unlink()
    assert await losses(database, disk) == []


async def test_of_two_requests_for_one_file_one_wins(
    disk: Disk, database: Database, directory: Directory
) -> None:
    async with make_moves(directory, disk) as moves:
        ends = await asyncio.gather(
            *(move(moves, disk, disk.b / f"{n}.wav") for n in range(5)), return_exceptions=True
        )
    assert sorted(str(end)[:3] for end in ends) == ["2", "812", "812", "812", "812"]
    (file,) = disk.files()
    rows = await database.fetch("SELECT recordingfile AS r FROM pbxapi.cdr WHERE id < 10002")
    assert {row["r"] for row in rows} == {str(file)}


async def test_of_two_recordings_for_one_name_one_wins(
    disk: Disk, database: Database, directory: Directory
) -> None:
    other = disk.a / "jiný.wav"
    other.write_bytes(b"other")
    await database.execute("UPDATE pbxapi.cdr SET recordingfile = $1 WHERE id = 10002", str(other))
    async with make_moves(directory, disk) as moves:
        records = [await moves.call_record(number) for number in (10000, 10002)]
        plans = [plan_move(disk.roots, r.recording, "x.wav", str(disk.b)) for r in records if r]
        ends = await asyncio.gather(
            *(moves.move(r, plan) for r, plan in zip(records, plans, strict=True) if r),
            return_exceptions=True,
        )
    assert sorted(str(end)[:3] for end in ends) in (["1", "812"], ["2", "812"])
    assert len(disk.files()) == 2
    rows = await database.fetch("SELECT DISTINCT recordingfile AS r FROM pbxapi.cdr")
    assert {row["r"] for row in rows} == set(map(str, disk.files()))


async def test_a_record_that_has_another_recording_by_now_is_left_alone(
    disk: Disk, database: Database, directory: Directory
) -> None:
    async with make_moves(directory, disk) as moves:
        record = await moves.call_record(10000)
        assert record is not None
        await database.execute("UPDATE pbxapi.cdr SET recordingfile = '/y'")
        with pytest.raises(Fault, match="812"):
            await moves.move(record, plan_move(disk.roots, record.recording, "x.wav", None))
    assert disk.files() == [disk.source]


# What is no recording, and ways out of the roots


@pytest.mark.parametrize("kind", ["missing", "link", "pipe", "folder"])
async def test_what_is_no_file_is_no_source(disk: Disk, directory: Directory, kind: str) -> None:
    disk.source.rename(disk.a / "other.wav")
    match kind:
        case "link":
            disk.source.symlink_to(disk.a / "other.wav")
        case "pipe":
            os.mkfifo(disk.source)
        case "folder":
            disk.source.mkdir()
        case _:
            pass
    async with make_moves(directory, disk) as moves:
        with pytest.raises(Fault) as caught:
            await move(moves, disk)
    assert caught.value.reason == (
        f"Source file ({disk.source}) not exist or insufficient permissions to read them!"
    )


async def test_a_link_out_of_the_roots_is_no_way(
    disk: Disk, database: Database, directory: Directory, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "2026").mkdir(parents=True)
    (outside / "hovor.wav").write_bytes(b"secret")
    (disk.b / "out").symlink_to(outside)
    (disk.a / "out").symlink_to(outside)
    async with make_moves(directory, disk) as moves:
        for target in (disk.b / "out" / "x.wav", disk.b / "out" / "2026" / "x.wav"):
            with pytest.raises(Fault, match="810"):
                await move(moves, disk, target)
        await database.execute(
            "UPDATE pbxapi.cdr SET recordingfile = $1", str(disk.a / "out" / "hovor.wav")
        )
        with pytest.raises(Fault, match="811"):
            await move(moves, disk)
    assert sorted(p.name for p in outside.rglob("*")) == ["2026", "hovor.wav"]
    assert checksum(disk.source) == CHECKSUM


SWAPPER = """
import os, sys
folder, link, spare = sys.argv[1:]
print("ready", flush=True)
while True:
    for there, away in ((folder, link), (link, folder)):
        try:
            os.rename(there, spare)
            os.rename(away, there)
            os.rename(spare, away)
        except OSError:
            pass
"""


@each_variant
async def test_a_folder_that_becomes_a_link_between_two_looks_is_no_way_out(
    disk: Disk, database: Database, directory: Directory, tmp_path: Path
) -> None:
    """Another process swaps the target's folder and a link that leads out, as fast as it can."""
    outside = tmp_path / "outside"
    outside.mkdir()
    folder, link = disk.b / "in", disk.b / "link"
    folder.mkdir()
    link.symlink_to(outside)
    argv = [sys.executable, "-c", SWAPPER, str(folder), str(link), str(disk.b / "spare")]
    ends = set()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as swapper:
        assert swapper.stdout is not None
        assert swapper.stdout.readline()
        try:
            async with make_moves(directory, disk) as moves:
                for number in range(150):
                    end = await asyncio.gather(
                        move(moves, disk, folder / f"{number}.wav"), return_exceptions=True
                    )
                    ends.add(str(end[0])[:3])
                    record = await moves.call_record(10000)
                    assert record is not None
                    back = plan_move(disk.roots, record.recording, "hovor.wav", str(disk.a))
                    await asyncio.gather(moves.move(record, back), return_exceptions=True)
                    assert list(outside.iterdir()) == []
        finally:
            swapper.kill()
    for path in (folder, link, disk.b / "spare"):
        if path.is_symlink():
            path.unlink()
    for path in (link, disk.b / "spare"):
        if path.exists():
            path.rename(folder)
    async with make_moves(directory, disk) as moves:
        assert await moves.recover()
    (file,) = disk.files()
    assert checksum(file) == CHECKSUM
    rows = await database.fetch("SELECT recordingfile AS r FROM pbxapi.cdr WHERE id < 10002")
    assert {row["r"] for row in rows} == {str(file)}
    assert len(ends) > 1, "it never met the link, or always"


# Recordings that are still being written


async def test_a_file_that_is_open_for_writing_stays(
    disk: Disk, database: Database, directory: Directory
) -> None:
    async with make_moves(directory, disk) as moves:
        with disk.source.open("ab"), pytest.raises(Fault, match="812"):
            await move(moves, disk)
        assert await losses(database, disk) == []
        with disk.source.open("rb"):
            assert await move(moves, disk) == 2


class NotOurFile(Syscalls):
    """The kernel gives leases to the owner of a file alone."""

    def lease(self, fd: int) -> None:
        raise PermissionError


class OnTheNetwork(Syscalls):
    """There a refused lease says nothing."""

    def lease(self, fd: int) -> None:
        raise BlockingIOError

    def file_system(self, fd: int) -> int:
        return 0x6969


@pytest.mark.parametrize("syscalls", [Syscalls(), NotOurFile(), OnTheNetwork()])
async def test_a_recording_of_a_call_that_goes_on_stays(
    disk: Disk, database: Database, directory: Directory, syscalls: Syscalls
) -> None:
    asked = []

    def in_call(call_ids: Collection[str]) -> bool:
        asked.append(set(call_ids))
        return True

    async with make_moves(directory, disk, syscalls=syscalls, in_call=in_call) as moves:
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
    assert asked == [{"1.1"}]
    assert await losses(database, disk) == []


async def test_who_can_tell_whether_it_is_being_written(disk: Disk, directory: Directory) -> None:
    def nobody_knows(_ids: Collection[str]) -> bool:
        raise PbxUnavailable("no session")

    for syscalls in (NotOurFile(), OnTheNetwork()):
        async with make_moves(directory, disk, syscalls=syscalls, in_call=nobody_knows) as moves:
            with pytest.raises(PbxUnavailable):
                await move(moves, disk)
    async with make_moves(directory, disk, syscalls=NotOurFile()) as moves:
        await move(moves, disk, disk.a / "2.wav")
    async with make_moves(directory, disk, in_call=nobody_knows) as moves:
        assert await move(moves, disk) == 2


async def test_a_recording_that_grows_while_it_is_copied_stays(
    disk: Disk, database: Database, directory: Directory
) -> None:
    class Growing(Syscalls):
        def read(self, fd: int, n_bytes: int) -> bytes:
            with disk.source.open("ab") as file:
                file.write(b"more") if disk.source.stat().st_size < 6000 else None
            return super().read(fd, n_bytes)

    async with make_moves(directory, disk, syscalls=Growing()) as moves:
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
    assert disk.files() == [disk.source]
    assert await database.fetch("SELECT FROM pbxapi.record_moves") == []


async def test_a_copy_that_arrives_damaged_is_thrown_away(
    disk: Disk, database: Database, directory: Directory
) -> None:
    class Damaging(Syscalls):
        def write(self, fd: int, data: memoryview) -> int:
            return super().write(fd, memoryview(bytes(len(data))))

    async with make_moves(directory, disk, syscalls=Damaging()) as moves:
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
    assert await losses(database, disk) == []


async def test_what_is_done_is_on_disk_before_the_next_thing_relies_on_it(
    disk: Disk, directory: Directory
) -> None:
    """The order that a power cut asks for."""
    trace = Trace()
    queries = FaultyQueries(directory, trace)
    async with make_moves(queries, disk, syscalls=FaultySyscalls(trace)) as moves:
        await move(moves, disk)
    wanted = [
        "sql record_move_begin", "write", "fsync", "fsync", "sql record_move_copied",
        "rename_to_new", "fsync", "sql record_move_recorded", "unlink", "fsync",
        "sql record_move_forget",
    ]  # fmt: skip
    calls = iter(trace.calls)
    assert all(name in calls for name in wanted), trace.calls
    late = trace.calls.index("sql record_move_recorded")
    assert "unlink" not in trace.calls[:late]


# What hangs, and the end of the daemon


@pytest.mark.parametrize("name", ["rename_to_new", "read", "fsync", "mkdir", "lstat"])
async def test_a_share_that_hangs_holds_up_nobody_else(
    disk: Disk, database: Database, directory: Directory, name: str
) -> None:
    """Whoever waits for it is told; when it comes back, the move is finished or undone."""
    gate = Gate(name)
    limits = type(SOON)(stall_s=0.3, tick_s=0.05, stop_s=0.2, retry_s=0.05, max_retry_s=0.1)
    async with make_moves(directory, disk, syscalls=gate, limits=limits) as moves:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
        assert loop.time() - began < 2
        assert await moves.call_record(10000) is not None, "others are served"
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
        run = asyncio.create_task(moves.run())
        gate.let_go.set()

        async def settled() -> bool:
            return await losses(database, disk) == []

        await eventually(settled, within_s=5, what="it is settled")
        run.cancel()


async def test_the_end_does_not_wait_for_a_share_that_hangs(
    disk: Disk, database: Database, directory: Directory
) -> None:
    gate = Gate("fsync")
    disk.target.parent.mkdir(parents=True)
    limits = type(SOON)(stall_s=20, stop_s=0.2)
    moves = make_moves(directory, disk, syscalls=gate, limits=limits)
    request = asyncio.create_task(move(moves, disk))
    await eventually(gate.entered.is_set, within_s=5, what="it hangs")
    loop = asyncio.get_running_loop()
    began = loop.time()
    await moves.close()
    assert loop.time() - began < 2
    with pytest.raises(asyncio.CancelledError):
        await request
    assert len(await database.fetch("SELECT FROM pbxapi.record_moves")) == 1
    gate.let_go.set()
    async with make_moves(directory, disk) as after:
        assert await after.recover()
    assert await losses(database, disk) == []


async def test_the_end_undoes_a_copy_that_would_take_long(
    disk: Disk, database: Database, directory: Directory
) -> None:
    class Slow(Syscalls):
        def read(self, fd: int, n_bytes: int) -> bytes:
            threading.Event().wait(0.05)
            return super().read(fd, 20)

    moves = make_moves(directory, disk, syscalls=Slow())
    request = asyncio.create_task(move(moves, disk))
    await eventually(lambda: list(disk.b.rglob("*.part")), within_s=5, what="it copies")
    await moves.close()
    with pytest.raises(Fault, match="812"):
        await request
    assert await losses(database, disk) == []
    with pytest.raises(Fault, match="812"):
        await move(moves, disk)


# A database that goes away


@each_variant
async def test_a_move_is_finished_when_the_database_is_back(
    disk: Disk, own_database: Database
) -> None:
    await add_record(own_database, disk.source)

    class PowerCut(Syscalls):
        def rename_to_new(self, *args: Any) -> None:
            try:
                super().rename_to_new(*args)
            finally:
                own_database.server.kill()

    async with (
        Directory(own_database.dsn) as directory,
        make_moves(directory, disk, syscalls=PowerCut()) as moves,
    ):
        with pytest.raises(DatabaseUnavailable):
            await move(moves, disk)
        assert len(disk.files()) >= 1
        run = asyncio.create_task(moves.run())
        await asyncio.to_thread(own_database.server.start)

        async def settled() -> bool:
            return await losses(own_database, disk) == []

        await eventually(settled, within_s=10, what="it is settled")
        run.cancel()


async def test_what_an_earlier_move_left_is_settled_first(
    disk: Disk, database: Database, directory: Directory
) -> None:
    """A request does not wait for the recovery in the background."""
    part = ".pbxapi-x.part"
    (disk.b / part).write_bytes(b"half")
    await database.execute(
        "INSERT INTO pbxapi.record_moves (cdr_id, source_path, target_path, size, mtime_ns, part)"
        " VALUES (10000, $1, $2, 5000, $3, $4)",
        str(disk.source), str(disk.b / "x.wav"), MTIME_NS, part,
    )  # fmt: skip
    async with make_moves(directory, disk) as moves:
        assert await move(moves, disk) == 2
    assert await losses(database, disk) == []


@each_variant
async def test_a_target_that_is_read_only_does_not_hold_the_recording(
    disk: Disk, database: Database, directory: Directory
) -> None:
    """Such a file system refuses to remove what is not there: EROFS comes before ENOENT."""
    disk.target.parent.mkdir(parents=True)
    target_device = disk.b.stat().st_dev

    class ReadOnly(Syscalls):
        def open(self, name: str, flags: int, *, mode: int = 0, folder: int | None = None) -> int:
            if folder is not None and flags & os.O_CREAT:
                self._refuse_in(folder)
            return super().open(name, flags, mode=mode, folder=folder)

        def rename_to_new(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
            self._refuse_in(folder)
            super().rename_to_new(name, folder, new_name, new_folder)

        def unlink(self, name: str, folder: int) -> None:
            self._refuse_in(folder)
            super().unlink(name, folder)

        def _refuse_in(self, folder: int) -> None:
            if self.fstat(folder).st_dev == target_device:
                raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    async with make_moves(directory, disk, syscalls=ReadOnly()) as moves:
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
        assert await database.fetch("SELECT FROM pbxapi.record_moves") == []
    assert await losses(database, disk) == []


async def test_what_cannot_be_settled_stays_in_the_journal_and_is_told_once(
    disk: Disk, database: Database, directory: Directory
) -> None:
    """A share is not mounted: the source is gone, and the target is not seen."""
    await database.execute(
        "INSERT INTO pbxapi.record_moves (cdr_id, source_path, target_path, size, mtime_ns, part,"
        " state) VALUES (10000, $1, $2, 5000, $3, 'p', 'recorded')",
        str(disk.source), str(disk.target), MTIME_NS,
    )  # fmt: skip
    disk.source.rename(disk.a / "kept")
    with capture_logs() as logs:
        async with make_moves(directory, disk) as moves:
            assert not await moves.recover()
            assert not await moves.recover()
            assert (moves.unsettled, moves.outcomes.total()) == (1, 0)
    assert [entry["event"] for entry in logs] == ["recording.unsettled"]
    async with make_moves(directory, disk) as moves:
        with pytest.raises(Fault, match="812"):
            await move(moves, disk)
        assert moves.outcomes == {"not_moved": 1}
        disk.target.parent.mkdir(parents=True)
        shutil.move(disk.a / "kept", disk.target)
        os.utime(disk.target, ns=(MTIME_NS, MTIME_NS))
        assert await moves.recover()
        assert moves.outcomes == {"not_moved": 1, "recovered": 1}
    assert await database.fetch("SELECT FROM pbxapi.record_moves") == []


async def test_a_root_that_is_no_longer_one_waits(
    disk: Disk, database: Database, directory: Directory
) -> None:
    await database.execute(
        "INSERT INTO pbxapi.record_moves (cdr_id, source_path, target_path, size, mtime_ns, part)"
        " VALUES (1, '/elsewhere/a', '/elsewhere/b', 1, 1, 'p')"
    )
    async with make_moves(directory, disk) as moves:
        assert not await moves.recover()


async def test_a_bug_is_told_though_nobody_waits(disk: Disk, directory: Directory) -> None:
    def broken(_ids: Collection[str]) -> bool:
        raise ZeroDivisionError

    with capture_logs() as logs:
        async with make_moves(directory, disk, in_call=broken) as moves:
            with pytest.raises(ZeroDivisionError):
                await move(moves, disk)
    assert [entry["event"] for entry in logs] == ["recording.failed"]


def test_nothing_of_recordings_touches_the_disk_but_by_the_system_calls() -> None:
    """So that no call escapes the tests of every fault."""
    folder = Path(recordings.__file__).parent
    for path in set(folder.glob("*.py")) - {folder / "syscalls.py"}:
        text = path.read_text("utf-8")
        assert not re.search(r"\b(fcntl|ctypes|shutil|pathlib\.Path|open\(.*[\"']r)\b", text), path
        uses = set(re.findall(r"\bos\.(\w+)", text))
        assert {use for use in uses if not use.startswith("O_")} <= {"stat_result"}, path

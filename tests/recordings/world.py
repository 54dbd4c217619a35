"""A recording on disk, its call records in PostgreSQL, and what is left of them afterwards."""

import hashlib
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pbxapi.recordings.journal import CallRecord
from pbxapi.recordings.moves import Limits, RecordMoves
from pbxapi.recordings.plan import plan_move
from pbxapi.recordings.syscalls import Syscalls

AUDIO = random.Random(1).randbytes(5000)
#: Portions of a copy so small that the recording has several.
PORTIONS = {"CHUNK_BYTES": 2000, "FLUSH_BYTES": 4000}
MTIME_NS = 1_600_000_000_123_456_000
OWNER = 12345

CHECKSUM = hashlib.sha256(AUDIO).hexdigest()

#: Nothing of a test waits for long, but a slow disk is not a share that hangs.
SOON = Limits(stall_s=20.0, tick_s=0.01, stop_s=5.0, retry_s=0.05, max_retry_s=0.2)


def no_calls(_ids: Collection[str]) -> bool:
    return False


@contextmanager
def other_file_system(disk: Path) -> Iterator[Path]:
    """A folder that is not on the file system of `disk`: in memory, where every Linux has one."""
    folder = Path(tempfile.mkdtemp(prefix="pbxapi-records-", dir="/dev/shm"))
    try:
        assert folder.stat().st_dev != disk.stat().st_dev, "both are on one file system"
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass(frozen=True, slots=True)
class Disk:
    """Two record roots, `a` and `b`, and a recording in the first."""

    a: Path
    b: Path

    @property
    def roots(self) -> tuple[Path, Path]:
        return self.a, self.b

    @property
    def source(self) -> Path:
        return self.a / "hovor.wav"

    @property
    def target(self) -> Path:
        return self.b / "2026" / "listopad" / "přesunutý hovor.wav"

    def fill(self, audio: bytes = AUDIO) -> None:
        """The recording, and nothing else."""
        for root in self.roots:
            for entry in root.iterdir() if root.exists() else ():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
            root.mkdir(parents=True, exist_ok=True)
        self.source.write_bytes(audio)
        os.utime(self.source, ns=(MTIME_NS, MTIME_NS))
        self.source.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(self.source, OWNER, OWNER)

    def files(self) -> list[Path]:
        """All files below the roots."""
        return sorted(p for root in self.roots for p in root.rglob("*") if not p.is_dir())


def checksum(path: Path) -> str:
    """Of a file; "" where it is gone by now."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return ""


async def add_record(database: Any, path: Path | str, *, cdr_id: int = 10000) -> None:
    """Two rows of one call, as a transfer makes them, and one of another call."""
    await database.execute(
        "INSERT INTO pbxapi.cdr (id, uniqueid, linkedid, recordingfile)"
        " VALUES ($1, '1.1', '1.1', $2), ($1 + 1, '1.2', '1.1', $2), ($1 + 2, '2.1', '2.1', '/x')",
        cdr_id,
        str(path),
    )


def make_moves(
    queries: Any,
    disk: Disk,
    *,
    syscalls: Syscalls | None = None,
    in_call: Callable[[Collection[str]], bool] = no_calls,
    limits: Limits = SOON,
) -> RecordMoves:
    return RecordMoves(queries, disk.roots, in_call, syscalls=syscalls, limits=limits)


async def move(moves: RecordMoves, disk: Disk, target: Path | None = None) -> int:
    """Move the recording to the target, as the action does."""
    record = await moves.call_record(10000)
    assert isinstance(record, CallRecord)
    target = target or disk.target
    plan = plan_move(disk.roots, record.recording, target.name, str(target.parent))
    return await moves.move(record, plan)


async def losses(database: Any, disk: Disk) -> list[str]:
    """What is wrong after a move that was disturbed, once the daemon has started again."""
    found = []
    files = disk.files()
    rows = await database.fetch("SELECT recordingfile FROM pbxapi.cdr WHERE id < 10002")
    if len(files) != 1 or files[0] not in (disk.source, disk.target):
        found.append(f"files: {files}")
    if any(checksum(path) != CHECKSUM for path in files):
        found.append("a recording that is not whole")
    if {row["recordingfile"] for row in rows} != {str(path) for path in files}:
        found.append(f"call records: {rows}")
    if await database.fetch("SELECT FROM pbxapi.record_moves"):
        found.append("a move in the journal")
    return found

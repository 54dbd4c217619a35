"""Recordings on two file systems that are moved about, and whether each is still there, whole.

The second root is a small tmpfs of its own where we may mount one (root), so that it can be filled
to the last byte; else a folder in shared memory, and no disk gets full.
"""

import asyncio
import contextlib
import errno
import hashlib
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.services.postgres import Database

COUNT: Final = 40
#: The first id of their call records.
FIRST_ID: Final = 1000
_SIZES: Final = (20_000, 200_000)
_SMALL_DISK: Final = "8m"
_FILLER: Final = ".filler"


@dataclass(frozen=True, slots=True)
class Recordings:
    """Two record roots and what is in them.

    Attributes:
        sums: Checksum of the recording by the id of its call record.
        can_be_full: Whether the second root is a small file system of its own.
    """

    roots: tuple[Path, Path]
    can_be_full: bool
    sums: dict[int, str] = field(default_factory=dict)

    async def make(self, database: Database, seed: int) -> None:
        """Write them all into the first root, with a call record each."""
        chance = random.Random(seed)
        for cdr_id in range(FIRST_ID, FIRST_ID + COUNT):
            audio = chance.randbytes(chance.randint(*_SIZES))
            path = self.roots[0] / f"{cdr_id}.wav"
            path.write_bytes(audio)
            self.sums[cdr_id] = hashlib.sha256(audio).hexdigest()
            await database.execute(
                "INSERT INTO pbxapi.cdr (id, uniqueid, linkedid, recordingfile)"
                " VALUES ($1, $2, $2, $3)",
                cdr_id,
                f"{cdr_id}.1",
                str(path),
            )

    def fill(self) -> None:
        """Leave not a byte on the second root."""
        with (self.roots[1] / _FILLER).open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(65536))
            except OSError as error:
                assert error.errno == errno.ENOSPC, error  # noqa: PT017 - how else would one know

    def unfill(self) -> None:
        """There is room again."""
        (self.roots[1] / _FILLER).unlink(missing_ok=True)

    async def losses(self, database: Database) -> list[str]:
        """What is not as it should be: each recording once, whole, where its call record says."""
        rows = await database.fetch(
            "SELECT id, recordingfile FROM pbxapi.cdr WHERE id BETWEEN $1 AND $2",
            FIRST_ID,
            FIRST_ID + COUNT - 1,
        )
        paths = {row["id"]: Path(row["recordingfile"]) for row in rows}
        files = await asyncio.to_thread(self._sums_on_disk)
        wrong = []
        for cdr_id, wanted in self.sums.items():
            found = [path for path, checksum in files.items() if checksum == wanted]
            if found != [paths[cdr_id]]:
                wrong.append(f"recording {cdr_id} is at {found}, its record says {paths[cdr_id]}")
        if len(files) != len(self.sums):
            wrong.append(f"{len(files)} files for {len(self.sums)} recordings")
        return wrong

    def _sums_on_disk(self) -> dict[Path, str]:
        return {
            path: hashlib.sha256(path.read_bytes()).hexdigest()
            for root in self.roots
            for path in root.rglob("*")
            if path.is_file()
        }


@contextmanager
def record_roots() -> Iterator[Recordings]:
    """Two folders on two file systems, gone afterwards."""
    first = Path(tempfile.mkdtemp(prefix="pbxapi-endurance-"))
    second = Path(tempfile.mkdtemp(prefix="pbxapi-endurance-", dir="/dev/shm"))
    mounted = _mount(second)
    try:
        yield Recordings((first, second), mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", second], check=True)
        for root in (first, second):
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(root)


def _mount(folder: Path) -> bool:
    if os.geteuid() != 0:
        return False
    command = ["mount", "-t", "tmpfs", "-o", f"size={_SMALL_DISK}", "pbxapi-endurance", str(folder)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0

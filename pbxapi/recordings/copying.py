"""Copying a recording to another file system, in portions, and comparing what has arrived."""

import errno
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from pbxapi.faults import Fault
from pbxapi.recordings.folders import adopt
from pbxapi.recordings.steps import Move
from pbxapi.recordings.syscalls import Syscalls

CHUNK_BYTES: Final = 1024 * 1024
#: A copy goes to the disk in portions: one flush of ten gigabytes would look like a share that
#: hangs, and fill the memory of a PBX until then.
FLUSH_BYTES: Final = 32 * CHUNK_BYTES
#: Until a part is whole it is nobody else's.
_PART_MODE: Final = 0o600
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW

#: Called between portions: notes that it goes on, and raises OSError where it should not.
Alive = Callable[[], None]


class Copy(NamedTuple):
    """A copy that was compared with its source: its checksum, device and inode."""

    checksum: str
    verified: tuple[int, int]


@contextmanager
def failing_as(fault: Fault) -> Iterator[None]:
    """Turn what the file system says into the fault that the client is told."""
    try:
        yield
    except OSError as error:
        raise fault from error


def write_part(syscalls: Syscalls, move: Move, source: int, folder: int, alive: Alive) -> str:
    """Copy to the part, with owner, mode and time of the source; returns the checksum.

    Raises:
        Fault: 811 where the source cannot be read.
        OSError: anything else.
    """
    part = syscalls.open(move.part, _MAKE, mode=_PART_MODE, folder=folder)
    try:
        checksum = _pour(syscalls, move, source, part, alive)
        model = syscalls.fstat(source)
        adopt(syscalls, part, model)
        syscalls.set_times(part, model.st_atime_ns, model.st_mtime_ns)
        syscalls.fsync(part)
    finally:
        syscalls.close(part)
    return checksum


def _pour(syscalls: Syscalls, move: Move, source: int, part: int, alive: Alive) -> str:
    digest = hashlib.sha256()
    unflushed = 0
    while True:
        alive()
        with failing_as(Fault(811, filename=move.source)):
            data = syscalls.read(source, CHUNK_BYTES)
        if not data:
            return digest.hexdigest()
        digest.update(data)
        _write_all(syscalls, part, data)
        unflushed += len(data)
        if unflushed >= FLUSH_BYTES:
            syscalls.fdatasync(part)
            syscalls.forget_pages(part)
            unflushed = 0


def _write_all(syscalls: Syscalls, fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[syscalls.write(fd, rest) :]


def compare(syscalls: Syscalls, move: Move, folder: int, expected: str, alive: Alive) -> Copy:
    """Read the part back from the disk; raises OSError where it is not what was written."""
    fd = syscalls.open(move.part, _READ, folder=folder)
    try:
        syscalls.forget_pages(fd)
        found = syscalls.fstat(fd)
        if found.st_size != move.size or _digest(syscalls, fd, alive) != expected:
            raise OSError(errno.EIO, "the copy is not what was copied")
        return Copy(expected, (found.st_dev, found.st_ino))
    finally:
        syscalls.close(fd)


def checksum(syscalls: Syscalls, name: str, folder: int, alive: Alive) -> str:
    """The checksum of a file."""
    fd = syscalls.open(name, _READ, folder=folder)
    try:
        return _digest(syscalls, fd, alive)
    finally:
        syscalls.close(fd)


def _digest(syscalls: Syscalls, fd: int, alive: Alive) -> str:
    digest = hashlib.sha256()
    read = 0
    while data := syscalls.read(fd, CHUNK_BYTES):
        alive()
        digest.update(data)
        read += len(data)
        if read >= FLUSH_BYTES:
            syscalls.forget_pages(fd)  # it is read once
            read = 0
    return digest.hexdigest()

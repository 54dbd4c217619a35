"""Opening and making folders inside the record roots, one name at a time.

Each folder is opened by its name in the one before, and no name may be a symbolic link: whoever
swaps a folder for a link between two looks gets an error, and what is opened stays what it is. The
root itself is the administrator's and may be a link.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from pbxapi.recordings.plan import Folder
from pbxapi.recordings.syscalls import Syscalls

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY
#: A folder is made with these bits of its root's mode; the others it inherits.
_PERMISSIONS: Final = 0o777


@contextmanager
def opened(syscalls: Syscalls, folder: Folder) -> Iterator[int]:
    """A descriptor of the folder.

    Raises:
        OSError: it is not there, may not be read, or a symbolic link is on the way.
    """
    fd = syscalls.open(folder.root, _FOLDER)
    try:
        for name in folder.below:
            fd = _step_into(syscalls, fd, name)
        yield fd
    finally:
        syscalls.close(fd)


def _step_into(syscalls: Syscalls, fd: int, name: str) -> int:
    """The folder of this name; the one it is in is closed if that succeeds."""
    below = syscalls.open(name, _FOLDER | os.O_NOFOLLOW, folder=fd)
    syscalls.close(fd)
    return below


def make(syscalls: Syscalls, folder: Folder) -> None:
    """Make what is missing of the folder, with owner and mode of the root; durable on return.

    Raises:
        OSError: it cannot be made, or a symbolic link is on the way.
    """
    fd = syscalls.open(folder.root, _FOLDER)
    try:
        root = syscalls.fstat(fd)
        for name in folder.below:
            try:
                fd = _step_into(syscalls, fd, name)
            except FileNotFoundError:
                fd = _make_one(syscalls, fd, name, root)
    finally:
        syscalls.close(fd)


def _make_one(syscalls: Syscalls, fd: int, name: str, root: os.stat_result) -> int:
    with suppress(FileExistsError):  # somebody else has made it meanwhile
        syscalls.mkdir(name, root.st_mode & _PERMISSIONS, fd)
    below = syscalls.open(name, _FOLDER | os.O_NOFOLLOW, folder=fd)
    try:
        adopt(syscalls, below, root)
        syscalls.fsync(fd)
    except BaseException:
        syscalls.close(below)
        raise
    syscalls.close(fd)
    return below


def adopt(syscalls: Syscalls, fd: int, model: os.stat_result) -> None:
    """Give a new file or folder the owner and mode of another, as far as this process may."""
    mine = syscalls.fstat(fd)
    if (mine.st_uid, mine.st_gid) != (model.st_uid, model.st_gid):
        with suppress(PermissionError):
            syscalls.fchown(fd, -1, model.st_gid)
        with suppress(PermissionError):
            syscalls.fchown(fd, model.st_uid, -1)
    if stat.S_IMODE(syscalls.fstat(fd).st_mode) != stat.S_IMODE(model.st_mode):
        with suppress(PermissionError):
            syscalls.fchmod(fd, stat.S_IMODE(model.st_mode))

"""The system calls of a move, one method each: the only way by which recordings touch the disk.

Tests put a class between that fails, or kills the process, before and after each of them; a call
that went around this class would escape them, so a test forbids that.

Names are texts, and bytes of UTF-8 on disk whatever the locale says: that is what the call records
hold. All methods but those that say so raise OSError.
"""

import ctypes
import errno
import fcntl
import os
import signal
from contextlib import suppress
from typing import Final

#: linux/fs.h
_RENAME_NOREPLACE: Final = 1
#: linux/magic.h and fs/smb/client: file systems whose leases are the server's, so that a refusal
#: says nothing of who has the file open.
NETWORK_FILE_SYSTEMS: Final = frozenset({0x6969, 0xFF534D42, 0xFE534D42, 0x517B, 0x00C36400})
_STATFS_BYTES: Final = 256

_libc: Final = ctypes.CDLL(None, use_errno=True)


class Syscalls:
    """The real ones."""

    def open(self, name: str, flags: int, *, mode: int = 0, folder: int | None = None) -> int:
        """Open a name in a folder; the descriptor is closed at exec."""
        return os.open(name.encode(), flags | os.O_CLOEXEC, mode, dir_fd=folder)

    def close(self, fd: int) -> None:
        """Close a descriptor; never raises: what has to be on disk was flushed before, by fsync."""
        with suppress(OSError):
            os.close(fd)

    def fstat(self, fd: int) -> os.stat_result:
        """What is open under a descriptor."""
        return os.fstat(fd)

    def lstat(self, name: str, folder: int) -> os.stat_result:
        """What is under a name, also where that is a symbolic link."""
        return os.stat(name.encode(), dir_fd=folder, follow_symlinks=False)

    def is_writable(self, folder: int) -> bool:
        """Whether names can be made and removed in a folder."""
        return os.access(".", os.W_OK | os.X_OK, dir_fd=folder)

    def mkdir(self, name: str, mode: int, folder: int) -> None:
        """Make a folder."""
        os.mkdir(name.encode(), mode, dir_fd=folder)

    def read(self, fd: int, n_bytes: int) -> bytes:
        """At most so many bytes; none at the end."""
        return os.read(fd, n_bytes)

    def write(self, fd: int, data: memoryview) -> int:
        """Write; returns how many bytes were taken."""
        return os.write(fd, data)

    def forget_pages(self, fd: int) -> None:
        """Drop what memory holds of a file: what is read next comes from the disk."""
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)

    def fchown(self, fd: int, user: int, group: int) -> None:
        """Give it to a user or a group; -1 leaves one of them."""
        os.fchown(fd, user, group)

    def fchmod(self, fd: int, mode: int) -> None:
        """Set the mode."""
        os.fchmod(fd, mode)

    def set_times(self, fd: int, atime_ns: int, mtime_ns: int) -> None:
        """Set when it was last read and written, in nanoseconds since the epoch."""
        os.utime(fd, ns=(atime_ns, mtime_ns))

    def fsync(self, fd: int) -> None:
        """Flush a file, or the names in a folder, to the disk."""
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        """Flush the bytes of a file to the disk."""
        os.fdatasync(fd)

    def rename_to_new(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        """Rename, by renameat2(2) with RENAME_NOREPLACE: a name that exists is FileExistsError."""
        try:
            renameat2 = _libc.renameat2
        except AttributeError:  # an older libc than glibc 2.28
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
        names = (folder, name.encode(), new_folder, new_name.encode())
        if renameat2(*names, ctypes.c_uint(_RENAME_NOREPLACE)) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), name, None, new_name)

    def link(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        """Give a file a second name; one that exists is FileExistsError."""
        os.link(
            name.encode(),
            new_name.encode(),
            src_dir_fd=folder,
            dst_dir_fd=new_folder,
            follow_symlinks=False,
        )

    def unlink(self, name: str, folder: int) -> None:
        """Remove a name."""
        os.unlink(name.encode(), dir_fd=folder)

    def lease(self, fd: int) -> None:
        """Take a lease for reading: BlockingIOError where somebody has the file open to write.

        Whoever opens it to write while we have the lease makes the kernel send us a signal: one
        that is ignored unless asked for, since the usual one would end the process.
        """
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)

    def end_lease(self, fd: int) -> None:
        """Give the lease back."""
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)

    def file_system(self, fd: int) -> int:
        """The magic number of the file system, by fstatfs(2)."""
        answer = ctypes.create_string_buffer(_STATFS_BYTES)
        if _libc.fstatfs(fd, answer) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        # Its first field, a word; magic numbers have 32 bits and may look negative.
        return ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF

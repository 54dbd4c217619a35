"""The parts of a move that touch the disk. They block: `moves` gives them to threads.

Nothing here overwrites a file, and nothing follows a symbolic link: folders are opened by
`folders`, files by their name in them.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final, NamedTuple

from pbxapi.faults import Fault
from pbxapi.recordings import copying, folders
from pbxapi.recordings.copying import Alive, Copy, failing_as
from pbxapi.recordings.plan import Place, Plan, place_in
from pbxapi.recordings.steps import Move, Seen, Sight
from pbxapi.recordings.syscalls import NETWORK_FILE_SYSTEMS, Syscalls

#: A named pipe in the place of a recording must not make us wait for its other end.
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK

#: What a file system says that has no RENAME_NOREPLACE (rename(2)), and one without hard links.
_CANNOT_RENAME: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP})


class Facts(NamedTuple):
    """What is known of a recording before it moves.

    Attributes:
        size: In bytes.
        mtime_ns: When it was last written.
        written: Whether somebody has it open for writing; None where the kernel cannot tell us.
    """

    size: int
    mtime_ns: int
    written: bool | None


@dataclass(frozen=True, slots=True)
class Files:
    """The record roots, and the system calls by which they are touched."""

    roots: Sequence[PurePath]
    syscalls: Syscalls

    def prepare(self, plan: Plan) -> Facts:
        """Make the target's folder and look at the recording.

        Raises:
            Fault: 810, 811; 812 where the target's name is taken.
        """
        cannot_move = Fault(812, filename=plan.target.path)
        with failing_as(Fault(810)):
            folders.make(self.syscalls, plan.target.folder)
        facts = self.check_source(plan.source)
        with failing_as(cannot_move), folders.opened(self.syscalls, plan.target.folder) as folder:
            if self._look_at(plan.target.name, folder) is not None:
                raise cannot_move
        return facts

    def check_source(self, source: Place) -> Facts:
        """What is known of a recording that can be read.

        Raises:
            Fault: 811.
        """
        with failing_as(Fault(811, filename=source.path)), self._source(source) as (_folder, fd):
            found = self.syscalls.fstat(fd)
            return Facts(found.st_size, found.st_mtime_ns, self._is_written(fd))

    @contextmanager
    def _source(self, place: Place) -> Iterator[tuple[int, int]]:
        """Descriptors of its folder and of the file itself, which is a real one."""
        with folders.opened(self.syscalls, place.folder) as folder:
            fd = self.syscalls.open(place.name, _READ, folder=folder)
            try:
                if not stat.S_ISREG(self.syscalls.fstat(fd).st_mode):
                    raise OSError(errno.EINVAL, "is no regular file")
                yield folder, fd
            finally:
                self.syscalls.close(fd)

    def _is_written(self, fd: int) -> bool | None:
        """Whether anybody has the file open for writing, as a lease on it tells."""
        try:
            self.syscalls.lease(fd)
        except BlockingIOError:
            return None if self.syscalls.file_system(fd) in NETWORK_FILE_SYSTEMS else True
        except OSError:  # not our file, or no leases there
            return None
        self.syscalls.end_lease(fd)
        return False

    def rename(self, move: Move) -> bool:
        """Rename within one file system; False where source and target are not in one.

        Raises:
            OSError: it could not be done; whether it was done all the same is on disk.
        """
        source, target = self._place(move.source), self._place(move.target)
        with (
            folders.opened(self.syscalls, source.folder) as here,
            folders.opened(self.syscalls, target.folder) as there,
        ):
            try:
                self._rename_to_new(source.name, here, target.name, there)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                # A copy is of use only where the source can be removed after it.
                if not self.syscalls.is_writable(here):
                    raise OSError(errno.EACCES, "its folder cannot be written to") from error
                return False
        return True

    def _rename_to_new(self, name: str, folder: int, new_name: str, new_folder: int) -> None:
        try:
            self.syscalls.rename_to_new(name, folder, new_name, new_folder)
        except OSError as error:
            if error.errno not in _CANNOT_RENAME:
                raise
            self.syscalls.link(name, folder, new_name, new_folder)
            self.syscalls.unlink(name, folder)

    def copy(self, move: Move, alive: Alive) -> Copy:
        """Copy to the part, and compare; both the part and its name are on disk on return.

        Raises:
            Fault: 811 where the source cannot be read.
            OSError: anything else, also where the source has changed meanwhile.
        """
        source, target = self._place(move.source), self._place(move.target)
        with ExitStack() as stack:
            there = stack.enter_context(folders.opened(self.syscalls, target.folder))
            with failing_as(Fault(811, filename=move.source)):
                _here, fd = stack.enter_context(self._source(source))
            checksum = copying.write_part(self.syscalls, move, fd, there, alive)
            self.syscalls.fsync(there)
            self._require_unchanged(move, fd)
            return copying.compare(self.syscalls, move, there, checksum, alive)

    def _require_unchanged(self, move: Move, source: int) -> None:
        found = self.syscalls.fstat(source)
        if (found.st_size, found.st_mtime_ns) != (move.size, move.mtime_ns):
            raise OSError(errno.EBUSY, "it was written to while it was copied")

    def publish(self, move: Move) -> None:
        """Give the part its name; raises OSError, also where the name is taken."""
        target = self._place(move.target)
        with folders.opened(self.syscalls, target.folder) as there:
            self._rename_to_new(move.part, there, target.name, there)

    def sync(self, move: Move) -> None:
        """See to it that what names there are and are not survives a power cut."""
        for place in (self._place(move.target), self._place(move.source)):
            with folders.opened(self.syscalls, place.folder) as folder:
                self.syscalls.fsync(folder)

    def remove_part(self, move: Move) -> None:
        """Remove what is left of the copy.

        Looked at first: a file system that is read-only refuses to remove even what is not there,
        and the move would never be over.
        """
        with folders.opened(self.syscalls, self._place(move.target).folder) as there:
            if self._look_at(move.part, there) is not None:
                self.syscalls.unlink(move.part, there)
            self.syscalls.fsync(there)

    def remove_source(self, move: Move) -> None:
        """Remove the name that the recording had."""
        source = self._place(move.source)
        with folders.opened(self.syscalls, source.folder) as here:
            with suppress(FileNotFoundError):
                self.syscalls.unlink(source.name, here)
            self.syscalls.fsync(here)

    def look(self, move: Move, alive: Alive) -> Seen:
        """What is on disk of a move.

        Raises:
            OSError: there is no knowing.
        """
        source, target = self._place(move.source), self._place(move.target)
        source_folder = True
        try:
            with folders.opened(self.syscalls, source.folder) as here:
                at_source = self._look_at(source.name, here)
        except FileNotFoundError:
            at_source, source_folder = None, False
        try:
            with folders.opened(self.syscalls, target.folder) as there:
                at_target = self._look_at(target.name, there)
                part = self._judge_copy(move, move.part, there, alive)
                if move.checksum:  # copied, it has the same bytes
                    judged = self._judge_copy(move, target.name, there, alive)
                else:  # renamed, it is the file that the source was
                    judged = _judge(move, at_target)
        except FileNotFoundError:
            return Seen(_judge(move, at_source), Sight.GONE, Sight.GONE, linked=False, folder=False)
        linked = at_source is not None and at_target is not None and _same(at_source, at_target)
        at = _judge(move, at_source)
        return Seen(at, judged, part, linked=linked, folder=True, source_folder=source_folder)

    def _judge_copy(self, move: Move, name: str, folder: int, alive: Alive) -> Sight:
        found = self._look_at(name, folder)
        if found is None:
            return Sight.GONE
        if not move.checksum or not stat.S_ISREG(found.st_mode) or found.st_size != move.size:
            return Sight.OTHER
        if (found.st_dev, found.st_ino) == move.verified:
            return Sight.OURS
        is_whole = copying.checksum(self.syscalls, name, folder, alive) == move.checksum
        return Sight.OURS if is_whole else Sight.OTHER

    def _look_at(self, name: str, folder: int) -> os.stat_result | None:
        try:
            return self.syscalls.lstat(name, folder)
        except FileNotFoundError:
            return None

    def _place(self, path: str) -> Place:
        """Where a path of the journal is; the roots may have changed since it was written."""
        place = place_in(self.roots, path)
        if place is None:
            raise OSError(errno.EACCES, "it is not inside a record root")
        return place


def _judge(move: Move, found: os.stat_result | None) -> Sight:
    """Whether this is the very file that is moved."""
    if found is None:
        return Sight.GONE
    same = (found.st_size, found.st_mtime_ns) == (move.size, move.mtime_ns)
    return Sight.OURS if same and stat.S_ISREG(found.st_mode) else Sight.OTHER


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)

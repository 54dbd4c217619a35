"""Where recordings may be, and from where to where one is to be moved: texts alone, no disk.

Nothing that these functions return leaves the record roots by its words. That no symbolic link
leads out of them either is seen to where folders are opened (`folders`).
"""

import re
from collections.abc import Sequence
from pathlib import PurePath
from typing import Final, NamedTuple

from pbxapi.faults import Fault

#: Linux's NAME_MAX: bytes of one name.
MAX_NAME_BYTES: Final = 255
#: What no name on disk has (NUL), and halves of surrogate pairs, which are no text.
_NOT_A_NAME: Final = re.compile(r"[\0/\ud800-\udfff]")


class Folder(NamedTuple):
    """A folder inside a record root.

    Attributes:
        root: The root as it is configured.
        below: The names of the folders that lead from there to it; none of them is "..".
    """

    root: str
    below: tuple[str, ...]

    @property
    def path(self) -> str:
        """The absolute path."""
        return "/".join((self.root.rstrip("/"), *self.below)) or "/"


class Place(NamedTuple):
    """Where a recording is, or is to be."""

    folder: Folder
    name: str

    @property
    def path(self) -> str:
        """The absolute path."""
        return f"{self.folder.path.rstrip('/')}/{self.name}"


class Plan(NamedTuple):
    """A move that was asked for."""

    source: Place
    target: Place

    @property
    def is_nothing(self) -> bool:
        """Whether the recording is where it should go."""
        return self.source.path == self.target.path


def is_file_name(name: str) -> bool:
    """Whether this is the name of a file in a folder, and no path."""
    return (
        name not in ("", ".", "..")
        and _NOT_A_NAME.search(name) is None
        and len(name.encode()) <= MAX_NAME_BYTES
    )


def names_of(path: str) -> tuple[str, ...] | None:
    """The names in an absolute path; None where it is relative, climbs, or is no path at all."""
    names = tuple(name for name in path.split("/") if name not in ("", "."))
    return names if path.startswith("/") and all(map(is_file_name, names)) else None


def folder_in(roots: Sequence[PurePath], names: Sequence[str]) -> Folder | None:
    """The folder of these names, seen from the innermost root that holds it; None outside."""
    found: Folder | None = None
    for root in roots:
        above = tuple(root.parts[1:])
        below = tuple(names[len(above) :])
        inside = tuple(names[: len(above)]) == above
        if inside and (found is None or len(below) < len(found.below)):
            found = Folder(str(root), below)
    return found


def place_in(roots: Sequence[PurePath], path: str) -> Place | None:
    """The place of a file; None where it is outside the roots, or is no path of a file."""
    names = names_of(path)
    if not names or path.endswith("/"):
        return None
    folder = folder_in(roots, names[:-1])
    return None if folder is None else Place(folder, names[-1])


def plan_move(
    roots: Sequence[PurePath], recording: str, filename: str | None, path: str | None
) -> Plan:
    """What a request for a move means.

    Args:
        roots: The folders that recordings never leave.
        recording: Where the call record says that it is.
        filename: Its new name; None where it keeps the one it has.
        path: Its new folder; None where it stays in the one it is in.

    Raises:
        Fault: 902 for a name that is a path and a path that climbs or is relative, 810 for a
            folder outside the roots, 811 for a recording outside them.
    """
    if filename is not None and not is_file_name(filename):
        raise Fault(902, name="filename")
    folder = None if path is None else _target_folder(roots, path)
    source = place_in(roots, recording)
    if source is None:
        raise Fault(811, filename=recording)
    return Plan(source, Place(folder or source.folder, filename or source.name))


def _target_folder(roots: Sequence[PurePath], path: str) -> Folder:
    names = names_of(path)
    if names is None:
        raise Fault(902, name="path")
    folder = folder_in(roots, names)
    if folder is None:
        raise Fault(810)
    return folder

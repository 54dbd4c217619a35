"""What is to be done next about a move that has begun: by its state and by what is on disk.

A move and its recovery are the same thing: whoever carries it out looks at the disk, does the next
step, and looks again. So it makes no difference whether the process that began is still there.

The states, in the journal:

* PLANNED: where from, where to, how long and of what time the file is. Within one file system the
  file is then renamed; across, it is copied to a part: a hidden file in the target's folder.
* COPIED: the part is whole and on disk, and its checksum is here. Then it gets its name.
* RECORDED: the call records say where the recording is now. Then the source goes.

The rules: a step takes away no name of the recording unless another name of the same bytes was
seen; the call records change only when the target was seen; what is in doubt is left alone (WAIT),
and looked at again.
"""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple


class State(Enum):
    """How far the journal says that a move is."""

    PLANNED = "planned"
    COPIED = "copied"
    RECORDED = "recorded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move that has begun: a row of the journal.

    Attributes:
        source: The path as the call records have it.
        target: The path as they will have it.
        size: Bytes of the recording.
        mtime_ns: When it was last written, in nanoseconds since the epoch.
        part: Name of the copy in the target's folder, until it gets its own.
        checksum: Of the copy, where there is one.
        verified: Device and inode of the copy that this process itself has compared with the
            source; not in the journal.
    """

    id: int
    cdr_id: int
    source: str
    target: str
    state: State
    size: int
    mtime_ns: int
    part: str
    checksum: str = ""
    verified: tuple[int, int] | None = None


class Sight(Enum):
    """What is under a name."""

    GONE = auto()
    #: The recording of this move, whole.
    OURS = auto()
    OTHER = auto()


class Seen(NamedTuple):
    """What was found on disk.

    Attributes:
        part: OURS only where the journal knows its checksum; a part that is not whole is OTHER.
        linked: Source and target are two names of one file.
        folder: Whether the target's folder is there, as it was when the move began; a network
            share may not be mounted.
        source_folder: Whether the source's is.
    """

    source: Sight
    target: Sight
    part: Sight
    linked: bool
    folder: bool
    source_folder: bool = True


class Step(Enum):
    """What to do next."""

    #: Remove the part, where there is one, and forget the move: all is as before it.
    UNDO = auto()
    #: Give the part its name.
    PUBLISH = auto()
    REMOVE_PART = auto()
    #: Write the new path into the call records.
    RECORD = auto()
    REMOVE_SOURCE = auto()
    #: It is done: forget it.
    FORGET = auto()
    #: Nothing can be done now that is sure to lose nothing.
    WAIT = auto()


def next_step(state: State, seen: Seen) -> Step:
    """The next step of a move."""
    if not seen.folder:
        return Step.WAIT
    match state:
        case State.PLANNED:
            return _planned(seen)
        case State.COPIED:
            return _copied(seen)
        case State.RECORDED:
            return _recorded(seen)


def _planned(seen: Seen) -> Step:
    if seen.linked:
        # It was linked and not yet unlinked, where the file system has no better way to rename.
        return Step.REMOVE_SOURCE
    if seen.source is not Sight.GONE:
        return Step.UNDO
    return Step.RECORD if seen.target is Sight.OURS else Step.WAIT


def _copied(seen: Seen) -> Step:
    if seen.target is Sight.OURS:
        return Step.RECORD if seen.part is Sight.GONE else Step.REMOVE_PART
    if seen.source is not Sight.GONE:
        return Step.UNDO
    if seen.part is Sight.OURS and seen.target is Sight.GONE:
        return Step.PUBLISH
    return Step.WAIT


def _recorded(seen: Seen) -> Step:
    if seen.target is not Sight.OURS or not seen.source_folder:
        return Step.WAIT  # a source that is not seen may still be there
    # A source that is no longer what was copied is somebody else's, or holds more: it stays.
    return Step.REMOVE_SOURCE if seen.source is Sight.OURS else Step.FORGET

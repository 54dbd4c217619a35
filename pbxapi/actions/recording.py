"""Where a call is recorded: the parameters monitorFilename, monitorPath, monitorType as one path.

A path is data to the file system and, in the argument of MixMonitor, syntax to Asterisk: the third
part of that argument, after two commas, is a shell command. So a name keeps to characters that mean
nothing anywhere, and the path never leaves the record roots.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from pbxapi.faults import Fault
from pbxapi.recordings.plan import Place, folder_in, is_file_name, names_of

#: Formats that MixMonitor writes in every build of Asterisk, by the extension of the file.
FORMATS: Final = frozenset({"wav", "WAV", "wav49", "gsm", "alaw", "ulaw", "sln", "g722"})
#: cdr_pgsql writes no more of a value, and a path that is cut leads nowhere.
MAX_PATH_BYTES: Final = 255

#: Letters and digits of any language, blanks, and signs that neither Asterisk nor a shell reads.
_UNSAFE: Final = re.compile(r"[^\w .+@#=~:/-]")


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording that was asked for.

    Attributes:
        path: The absolute file, inside a record root.
        monitor: Wanted by the application Monitor, where Asterisk still has it (before 21).
    """

    path: str
    monitor: bool


def recording(
    params: Mapping[str, str], roots: Sequence[PurePath], default_name: str
) -> Recording | None:
    """The recording that the parameters ask for; None where they ask for none.

    A path alone records too, under the default name. Without an extension that names a format the
    file is a `.wav`.

    Raises:
        Fault: 902 for a name that is a path, a path outside the roots, characters that could be
            syntax, a type that does not exist.
    """
    kind = params.get("monitorType", "mixmonitor").lower()
    if kind not in ("mixmonitor", "monitor"):
        raise Fault(902, name="monitorType")
    if not any(name in params for name in ("monitorFilename", "monitorPath")):
        return None
    folder = params.get("monitorPath", str(roots[0]))
    name = _file_name(params.get("monitorFilename", default_name))
    path = _path(folder, name, roots)
    if len(path.encode()) > MAX_PATH_BYTES:
        raise Fault(902, name="monitorFilename")
    return Recording(path=path, monitor=kind == "monitor")


def _path(folder: str, name: str, roots: Sequence[PurePath]) -> str:
    names = names_of(folder)
    place = None if names is None else folder_in(roots, names)
    if place is None or _UNSAFE.search(place.path):
        raise Fault(902, name="monitorPath")
    return Place(place, name).path


def _file_name(name: str) -> str:
    if not is_file_name(name) or _UNSAFE.search(name):
        raise Fault(902, name="monitorFilename")
    _, dot, extension = name.rpartition(".")
    return name if dot and extension in FORMATS else f"{name}.wav"

"""The daemon with a wall clock that can be set: `python -m tests.endurance.jumping_clock serve`.

`time.time` is all that the daemon reads of the wall clock; here it adds the seconds that stand in
the file `PBXAPI_CLOCK_OFFSET`. Setting the machine's clock would hit everybody else on it, and
libfaketime breaks `time.sleep` of Python 3.11 (EINVAL) where only the wall clock is to jump.
"""

import mmap
import os
import struct
import sys
import time
from pathlib import Path

_OFFSET = struct.Struct("d")
VARIABLE = "PBXAPI_CLOCK_OFFSET"


def set_clock(file: Path, offset_s: float) -> None:
    """Let the daemon's wall clock be ahead by so many seconds."""
    with file.open("r+b" if file.exists() else "w+b") as written:
        written.write(_OFFSET.pack(offset_s))


def _patch() -> None:
    # Not a setting: the daemon refuses variables that it does not know.
    with Path(os.environ.pop(VARIABLE)).open("rb") as file:
        offset = mmap.mmap(file.fileno(), _OFFSET.size, prot=mmap.PROT_READ)
    real = time.time

    def jumping() -> float:
        return real() + float(_OFFSET.unpack(offset[:])[0])

    time.time = jumping


if __name__ == "__main__":
    _patch()
    from pbxapi.commands.main import main

    sys.exit(main())

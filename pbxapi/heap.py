"""Gives memory back that was needed for a moment.

glibc gives threads heaps of their own and keeps what was freed there. Proving a password takes
19 MiB for some milliseconds, and each thread of a pool that had once done it kept them: measured,
six threads that had each proven one left 126 MB behind instead of 12. So large blocks come from the
system and go back there, and all threads share one heap: they take turns at the interpreter anyway.

Blocks in between leave holes. Measured under load, what was in use stayed the same while the heap
took 450 kB more each minute; so whole pages in holes are given back once that makes a difference.

Source: mallopt(3), malloc_trim(3) of glibc. Without glibc nothing is done.
"""

import asyncio
import ctypes
import os
from pathlib import Path
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

#: Blocks that are not kept: more than any answer has, less than a proof needs.
LARGE_BYTES: Final = 4 * 2**20
#: One for the event loop and one for all other threads.
HEAPS: Final = 2
LOOK_S: Final = 60.0
#: Giving back stops the loop for some milliseconds, so it has to be worth it.
GROWN: Final = 17 / 16

_libc: Final = ctypes.CDLL(None)
_has_glibc: Final = hasattr(_libc, "malloc_trim")
_statm: Final = Path("/proc/self/statm")


def keep_small() -> None:
    """To be called before there are threads."""
    if _has_glibc:
        _libc.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        _libc.mallopt(_M_ARENA_MAX, HEAPS)


async def give_back(look_s: float = LOOK_S) -> None:
    """Look once a minute, until cancelled, whether there is something to give back."""
    if not _has_glibc:
        return
    settled = await asyncio.to_thread(resident_bytes)
    while True:
        await asyncio.sleep(look_s)
        now = await asyncio.to_thread(resident_bytes)
        if now > settled * GROWN:
            _libc.malloc_trim(0)
            settled = await asyncio.to_thread(resident_bytes)
        else:
            settled = min(settled, now)


def resident_bytes() -> int:
    """What this process takes of the machine's memory."""
    return int(_statm.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")

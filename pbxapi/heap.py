"""Gives memory back that was needed for a moment.

glibc gives threads heaps of their own and keeps what was freed there. Proving a password takes
19 MiB for some milliseconds, and each thread of a pool that had once done it kept them: measured,
six threads that had each proven one left 126 MB behind instead of 12. So large blocks come from the
system and go back there, and all threads share one heap: they take turns at the interpreter anyway.

Blocks in between leave holes. Measured under load, what was in use stayed at 13 MB while the heap
went on to 20; so whole pages in holes are given back now and then.

Source: mallopt(3), malloc_trim(3) of glibc. Without glibc nothing is done.
"""

import asyncio
import ctypes
from typing import Final, NoReturn

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8

#: Blocks that are not kept: more than any answer has, less than a proof needs.
LARGE_BYTES: Final = 4 * 2**20
#: One for the event loop and one for all other threads.
HEAPS: Final = 2
#: Seconds from one giving back to the next: it stops the loop for some 2 ms for 20 MB.
INTERVAL_S: Final = 60.0

_libc: Final = ctypes.CDLL(None)
_has_glibc: Final = hasattr(_libc, "malloc_trim")


def keep_small() -> None:
    """To be called before there are threads."""
    if _has_glibc:
        _libc.mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES)
        _libc.mallopt(_M_ARENA_MAX, HEAPS)


async def give_back(interval_s: float = INTERVAL_S) -> NoReturn:
    """Give back what holes leave free, again and again until cancelled."""
    while True:
        await asyncio.sleep(interval_s)
        if _has_glibc:
            _libc.malloc_trim(0)

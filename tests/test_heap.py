"""What stays of the memory that threads needed for a moment."""

import asyncio
import subprocess
import sys

import psutil
import pytest

from pbxapi import heap
from pbxapi.access import passwords
from tests.services.waiting import eventually

pytestmark = pytest.mark.skipif(not heap._has_glibc, reason="there is no glibc here")

#: A process in which many threads prove a password at the same time; prints what it takes then.
_PROGRAM = """
import sys, threading
import psutil
from pbxapi import heap
from pbxapi.access.passwords import hash_password

if sys.argv[1] == "small":
    heap.keep_small()
together = threading.Barrier(6)

def prove():
    hash_password("a")
    together.wait()
    hash_password("a")
    together.wait()

threads = [threading.Thread(target=prove) for _ in range(6)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(psutil.Process().memory_info().rss)
"""


def _mib(how: str) -> float:
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM, how], check=True, capture_output=True, text=True
    )
    return int(ended.stdout) / 2**20


def test_what_proofs_of_passwords_needed_is_given_back() -> None:
    needed_mib = passwords.MEMORY_KIB / 1024
    assert _mib("as it is") > _mib("small") + needed_mib


async def test_holes_are_given_back() -> None:
    before = await _resident_bytes()
    blocks = [bytes(8000) for _ in range(10_000)]
    del blocks[1::2], blocks[1::2]
    assert len(blocks) == 2500

    async def is_given_back() -> bool:
        return await _resident_bytes() - before < 40_000_000

    assert not await is_given_back()
    giving_back = asyncio.create_task(heap.give_back(0.01))
    await eventually(is_given_back, within_s=5, what="it is given back")
    giving_back.cancel()


async def _resident_bytes() -> int:
    memory = await asyncio.to_thread(psutil.Process().memory_info)
    return int(memory.rss)

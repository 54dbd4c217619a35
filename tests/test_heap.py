"""What stays of the memory that threads needed for a moment."""

import subprocess
import sys

import pytest

from pbxapi import heap
from pbxapi.access import passwords

pytestmark = pytest.mark.skipif(not heap._has_glibc, reason="there is no glibc here")

#: A process in which many threads prove a password at the same time; prints what it takes then.
_PROOFS = """
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

#: A process that frees three of every four blocks of 76 MiB; prints what it takes more than before
#: then, and once that was given back. One that has run for a while would have room for them.
_HOLES = """
import asyncio
import psutil
from pbxapi import heap

def mib():
    return psutil.Process().memory_info().rss / 2**20

async def main():
    before = mib()
    blocks = [bytes(8000) for _ in range(10_000)]
    del blocks[1::2], blocks[1::2]
    print(mib() - before)
    giving_back = asyncio.create_task(heap.give_back(0.01))
    end = asyncio.get_running_loop().time() + 5
    while mib() - before >= 40 and asyncio.get_running_loop().time() < end:
        await asyncio.sleep(0.01)
    print(mib() - before)
    giving_back.cancel()

asyncio.run(main())
"""


def _printed(program: str, *arguments: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-c", program, *arguments], check=True, capture_output=True, text=True
    )
    return ended.stdout


def _mib(how: str) -> float:
    return int(_printed(_PROOFS, how)) / 2**20


def test_what_proofs_of_passwords_needed_is_given_back() -> None:
    needed_mib = passwords.MEMORY_KIB / 1024
    assert _mib("as it is") > _mib("small") + needed_mib


def test_holes_are_given_back() -> None:
    left_mib, given_back_mib = (float(figure) for figure in _printed(_HOLES).split())
    assert left_mib > 55
    assert given_back_mib < 40

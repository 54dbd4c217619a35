"""Threads that may hang, and keep nobody alive."""

import asyncio
import subprocess
import sys
import threading

import pytest

from pbxapi.recordings.threads import Threads


async def test_what_work_returns_and_raises_comes_back() -> None:
    threads = Threads()
    assert await threads.run(divmod, 7, 2) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        await threads.run(divmod, 7, 0)
    threads.close()


async def test_there_are_no_more_than_so_many_at_once() -> None:
    threads = Threads(2)
    gate = threading.Event()
    running: set[str] = set()

    def wait(name: str) -> None:
        running.add(name)
        assert gate.wait(5)

    tasks = [asyncio.create_task(threads.run(wait, name)) for name in "abc"]
    await asyncio.sleep(0.1)
    assert running == {"a", "b"}
    gate.set()
    await asyncio.gather(*tasks)
    assert running == {"a", "b", "c"}
    threads.close()


async def test_work_that_nobody_waits_for_any_more_is_not_begun() -> None:
    threads = Threads(1)
    gate = threading.Event()
    begun: list[str] = []
    first = asyncio.create_task(threads.run(gate.wait, 5))
    second = asyncio.create_task(threads.run(begun.append, "second"))
    await asyncio.sleep(0)
    first.cancel()
    second.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    gate.set()
    await threads.run(begun.append, "third")
    assert begun == ["third"]
    threads.close()


def test_a_thread_that_hangs_does_not_keep_the_process_alive() -> None:
    program = (
        "import asyncio, threading\n"
        "from pbxapi.recordings.threads import Threads\n"
        "async def main():\n"
        "    task = asyncio.create_task(Threads().run(threading.Event().wait))\n"
        "    await asyncio.sleep(0.1)\n"
        "    task.cancel()\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=10, check=False)
    assert done.returncode == 0

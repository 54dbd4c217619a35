"""What is said to systemd and taken from it, and the unit files by systemd's own tools."""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from math import inf
from pathlib import Path

import pytest

from pbxapi import systemd
from pbxapi.supervision import status, supervise
from pbxapi.systemd import Notifier, inherited_sockets
from tests.services.requirements import unavailable
from tests.services.systemd import Receiver
from tests.services.waiting import eventually

UNIT = Path("systemd/pbxapi.service")
#: 2.0, as `systemd-analyze` counts.
MOST_EXPOSED = 20


@asynccontextmanager
async def supervised(
    receiver: Receiver, ages: dict[str, float], within_s: float = 60, watchdog_us: str = "0"
) -> AsyncIterator[Notifier]:
    notifier = Notifier({"NOTIFY_SOCKET": receiver.address, "WATCHDOG_USEC": watchdog_us})
    task = asyncio.create_task(supervise(notifier, lambda: ages, ready_within_s=within_s))
    yield notifier
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def told(receiver: Receiver, *assignments: str) -> None:
    await eventually(
        lambda: list(assignments) in receiver.told, within_s=5, what=f"{assignments} is told"
    )


async def test_it_is_ready_once_every_picture_is_there(receiver: Receiver) -> None:
    ages = {"channels": 0.0, "queues": inf, "peers": inf}
    async with supervised(receiver, ages):
        await told(
            receiver, "WATCHDOG=1", "STATUS=Asterisk has not told us yet of its queues, peers"
        )
        ages.update(queues=0, peers=0)
        await told(receiver, "READY=1", "STATUS=In step with Asterisk: channels, queues, peers")
    assert receiver.said("READY=1") == 1


async def test_it_does_not_wait_for_ever_and_says_what_is_missing(receiver: Receiver) -> None:
    async with supervised(receiver, {"channels": inf, "queues": 0.0}, within_s=0):
        await told(receiver, "READY=1", "STATUS=Asterisk has not told us yet of its channels")


async def test_the_watchdog_is_fed_in_time(receiver: Receiver) -> None:
    async with supervised(receiver, {"channels": 0.0}, watchdog_us="30000"):
        await eventually(lambda: receiver.said("WATCHDOG=1") >= 3, within_s=4, what="fed")


def test_the_status_tells_how_long_asterisk_has_been_away() -> None:
    assert status({"channels": 12.3, "queues": 0.0}) == "Asterisk has been away for 12 s"


def test_the_watchdog_of_another_process_is_not_ours() -> None:
    assert Notifier({"WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}).watchdog_s is None
    assert Notifier({"WATCHDOG_USEC": "30000", "WATCHDOG_PID": str(os.getpid())}).watchdog_s == 0.03


def test_an_abstract_socket_is_told_too() -> None:
    receiver = Receiver(f"@pbxapi-{uuid.uuid4()}")
    Notifier({"NOTIFY_SOCKET": receiver.address}).stopping()
    assert receiver.said("STOPPING=1") == 1
    receiver.close()


def test_nobody_who_wants_to_know_is_no_error(tmp_path: Path) -> None:
    Notifier({}).ready("")
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "missing")}).ready("")


def test_a_reload_before_it_is_ready_is_part_of_the_start(receiver: Receiver) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": receiver.address})
    with notifier.reloading():
        pass
    assert receiver.told == []
    notifier.ready("")
    with notifier.reloading():
        reloading, moment = receiver.told[-1]
        assert reloading == "RELOADING=1"
        assert moment.startswith("MONOTONIC_USEC=")
    assert receiver.told[-1] == ["READY=1"]


def test_sockets_come_from_a_socket_unit_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        monkeypatch.setattr(systemd, "_FIRST_FD", listening.detach())
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
        (inherited,) = inherited_sockets(environ)
        with inherited:
            assert inherited.getsockname() == address
        assert inherited_sockets({**environ, "LISTEN_PID": "1"}) == []
        assert inherited_sockets({}) == []


@pytest.fixture
def analyze() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs systemd's own tool."""
    if shutil.which("systemd-analyze") is None:
        unavailable("there is no systemd-analyze: install the package systemd")

    def run(*argv: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["systemd-analyze", *argv]
        return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)

    return run


def test_the_unit_is_exposed_to_little(
    analyze: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", UNIT)
    assert done.returncode == 0, done.stdout


def test_systemd_understands_the_units(
    analyze: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    for unit in (UNIT, UNIT.with_suffix(".socket")):
        # The program is not installed here.
        text = unit.read_text("utf-8").replace("/opt/pbxapi/bin/pbxapi", sys.executable)
        (tmp_path / unit.name).write_text(text)
    done = analyze("verify", *tmp_path.iterdir())
    assert (done.returncode, done.stderr) == (0, "")

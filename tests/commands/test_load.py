"""`pbxapi load` as its users run it, against a daemon whose PBX is simulated."""

import asyncio
import json
import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pbxapi.commands.main import main
from pbxapi.simulator import Simulator, SimulatorOptions
from pbxapi.simulator.queue_config import QueueConfig
from tests.commands.cli import COMMAND, failure, run
from tests.services.daemon import PASSWORD, USERNAME, StartDaemon, environment, seed
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database
from tests.services.waiting import eventually

NOBODY = "nobody"


def load(
    url: str, *argv: str, user: str = USERNAME, stdin: str = PASSWORD, **settings: str
) -> subprocess.CompletedProcess[str]:
    return run("load", "--url", url, "--user", user, *argv, stdin=stdin, **settings)


async def in_thread(*argv: Any, **settings: Any) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(load, *argv, **settings)


async def test_a_load_on_a_daemon(
    start_daemon: StartDaemon, database: Database, tmp_path: Path
) -> None:
    await seed(database, "PJSIP")
    await database.execute("INSERT INTO pbxapi.queues VALUES (1, 'support')")
    await database.execute(
        "INSERT INTO pbxapi.api_users (username, password_hash, permissions)"
        " SELECT $1, password_hash, '{listcalls}' FROM pbxapi.api_users",
        NOBODY,
    )
    options = SimulatorOptions(calls=5, cps=5, queues=(QueueConfig(name="support"),))
    async with Simulator(options) as simulator:
        daemon = await start_daemon(simulator.port, "pbxapi", "pbxapi")
        await eventually_answers(daemon.ask)
        await it_measures(daemon.url, simulator)
        await it_says_what_is_wrong(daemon.url)
        await ctrl_c_ends_it_with_the_table_so_far(daemon.url, tmp_path)
        secrets = PASSWORD.encode()
        assert secrets not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def eventually_answers(ask: Callable[..., Any]) -> None:
    async def answers() -> bool:
        return not (await ask("queuestatus", queueName="support")).errno

    await eventually(answers, within_s=15, what="the pictures are there")


async def it_measures(url: str, simulator: Simulator) -> None:
    mix = "listcalls=3,queuestatus=1,originate=1"
    params = {
        "originate.srcExtenInternalNum": "1000",
        "originate.dialplanName": "prvni",
        "originate.dstNum": "800",
    }
    argv = [f"--param={name}={value}" for name, value in params.items()]
    done = await in_thread(url, "--rate", "50", "--seconds", "1", "--json", "--mix", mix, *argv)
    assert (done.returncode, done.stderr) == (0, ""), done
    data = json.loads(done.stdout)
    assert (data["total"]["requests"], data["total"]["failures"]) == (50, {})
    requests = {name: figures["requests"] for name, figures in data["actions"].items()}
    assert requests == {"listcalls": 30, "queuestatus": 10, "originate": 10}
    assert [received.action.name for received in simulator.received].count("Originate") == 10


async def it_says_what_is_wrong(url: str) -> None:
    wrong = await in_thread(url, stdin="another\n")
    assert failure(wrong).startswith(f"user {USERNAME} is unknown there")
    may_not = await in_thread(url, "--mix", "listcalls,sipstatus", user=NOBODY)
    assert failure(may_not) == f"user {NOBODY} may not sipstatus"
    nothing = await in_thread(url + "x")
    assert failure(nothing).endswith("has nothing at /api/api.phpx")
    none = await in_thread(
        url, "--mix=queuestatus", "--param=queuestatus.queueName=none", "--seconds=0.1"
    )
    assert none.returncode == 1
    assert none.stderr == "pbxapi: no request succeeded\n"
    assert "x errno 600" in none.stdout


async def ctrl_c_ends_it_with_the_table_so_far(url: str, tmp_path: Path) -> None:
    """At a terminal: the password is typed, once and unseen, and each second a line tells how
    it goes."""
    master, terminal = pty.openpty()
    argv = [*COMMAND, "load", "--url", url, "--user", USERNAME, "--seconds", "60"]
    with (tmp_path / "table").open("wb") as table:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=terminal, stdout=table, stderr=terminal, env=environment(),
            preexec_fn=os.setsid,
        )  # fmt: skip
    os.close(terminal)
    shown = bytearray()
    loop = asyncio.get_running_loop()
    os.set_blocking(master, False)
    loop.add_reader(master, lambda: shown.extend(os.read(master, 4096)))
    try:
        await eventually(lambda: b"Password: " in shown, within_s=15, what="the prompt")
        os.write(master, PASSWORD.encode() + b"\n")
        await eventually(lambda: b"requests/s" in shown, within_s=15, what="a line of progress")
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
    finally:
        loop.remove_reader(master)
        os.close(master)
    (tmp_path / "screen").write_bytes(shown)
    text = (tmp_path / "table").read_text("utf-8")
    assert "s, interrupted" in text
    assert "\ntotal " in text


def test_nobody_listens(ports: Ports, tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text(PASSWORD + "\n", "utf-8")
    port = ports.tcp()
    done = load(f"http://{LOOPBACK}:{port}", stdin="", LOAD_PASSWORD_FILE=str(secret))
    assert failure(done) == f"nobody listens on {LOOPBACK}:{port}"


@pytest.mark.parametrize("content", [None, b"\xff\n"])
def test_a_password_file_that_cannot_be_read(tmp_path: Path, content: bytes | None) -> None:
    secret = tmp_path / "password"
    if content is not None:
        secret.write_bytes(content)
    done = load(f"http://{LOOPBACK}:1", LOAD_PASSWORD_FILE=str(secret))
    why = "No such file or directory" if content is None else "it is not UTF-8"
    assert failure(done) == f"PBXAPI_LOAD_PASSWORD_FILE: cannot read {secret}: {why}"


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("--url", "x"), "argument --url: must be http://"),
        (("--mix", "x"), "argument --mix: there is no action 'x'"),
        (("--param", "x"), "argument --param: must be ACTION.NAME=VALUE"),
        (("--clients", "0"), "argument --clients: must be at least 1"),
        (("--rate", "0"), "argument --rate: must be more than 0"),
    ],
)
def test_bad_usage(argv: tuple[str, ...], why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["load", "--url", f"http://{LOOPBACK}:1", "--user", USERNAME, *argv])
    assert ended.value.code == 2
    assert why in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (("--mix", "agentstatus"), "argument --mix: agentstatus needs --param"),
        (("--user", "a\tb"), "argument --user: is no name of a user"),
    ],
)
def test_arguments_that_do_not_fit_are_bad_usage_too(argv: tuple[str, ...], why: str) -> None:
    done = load(f"http://{LOOPBACK}:1", *argv)
    assert done.returncode == 2
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_more_clients_than_files() -> None:
    assert "open files" in failure(load(f"http://{LOOPBACK}:1", "--clients", "99999999"))

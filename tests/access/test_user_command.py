"""`pbxapi user`, against a real database and with the daemon's own way in."""

import argparse
import asyncio
import getpass
import io
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from pbxapi.access.credentials import Gatekeeper
from pbxapi.commands import user
from pbxapi.commands.secret_input import read_secret
from pbxapi.directory.pool import Directory
from pbxapi.errors import UsageError
from pbxapi.faults import Fault
from tests.access.users import HERE, LENIENT
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database

Pbxapi = Callable[..., Awaitable[str]]


def parse(*argv: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    user.add_arguments(parser)
    return parser.parse_args(argv)


@pytest.fixture(autouse=True)
def _log_stays_the_tests_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbxapi.log.configure", lambda *_args: None)


@pytest.fixture
async def pbxapi_user(
    database: Database, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Pbxapi:
    """Runs `pbxapi user …` with this standard input; returns what it printed."""

    async def command(*argv: str, stdin: str = "") -> str:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        # In a thread: argparse looks for translations, which the guard against blocking sees.
        args = await asyncio.to_thread(parse, *argv)
        code = await user.run(args, {"PBXAPI_DATABASE_DSN": database.dsn})
        assert code == 0
        return capsys.readouterr().out

    return command


@pytest.fixture
async def gatekeeper(database: Database) -> AsyncIterator[Gatekeeper]:
    async with Directory(database.dsn) as directory, Gatekeeper(directory, **LENIENT) as made:
        yield made


async def test_an_added_user_is_let_in_with_what_it_may_do(
    pbxapi_user: Pbxapi, gatekeeper: Gatekeeper
) -> None:
    said = await pbxapi_user(
        "add", "voipsun", "--allow", "listcalls, hangup", "--network", "192.0.2.0/24",
        "--network", "::1", stdin="secretpwd\n",
    )  # fmt: skip
    who = await gatekeeper.authenticate("voipsun", "secretpwd", HERE)

    assert said == "user voipsun is added\n"
    assert who.permissions == {"listcalls", "hangup"}
    assert [str(network) for network in who.networks] == ["192.0.2.0/24", "::1/128"]


@pytest.mark.parametrize("line", ["heslo žluté\n", "heslo žluté", "heslo žluté\r\nsecond line\n"])
async def test_the_password_is_the_first_line_of_standard_input(
    pbxapi_user: Pbxapi, gatekeeper: Gatekeeper, line: str
) -> None:
    await pbxapi_user("add", "u", "--allow", "metrics", stdin=line)

    assert (await gatekeeper.authenticate("u", "heslo žluté", HERE)).username == "u"


async def test_the_longest_password_and_one_too_long(
    pbxapi_user: Pbxapi, gatekeeper: Gatekeeper
) -> None:
    await pbxapi_user("add", "u", "--allow", "metrics", stdin="x" * 255 + "\r\n")
    assert (await gatekeeper.authenticate("u", "x" * 255, HERE)).username == "u"

    with pytest.raises(UsageError, match="at most 255"):
        await pbxapi_user("passwd", "u", stdin="x" * 1000)


@pytest.mark.parametrize(("stdin", "why"), [("", "empty"), ("\n", "empty"), ("a\tb\n", "control")])
async def test_a_password_that_nobody_could_use_is_refused(
    pbxapi_user: Pbxapi, stdin: str, why: str
) -> None:
    with pytest.raises(UsageError, match=why):
        await pbxapi_user("add", "u", "--allow", "metrics", stdin=stdin)


async def test_a_new_password_replaces_the_old_one(
    pbxapi_user: Pbxapi, gatekeeper: Gatekeeper
) -> None:
    await pbxapi_user("add", "u", "--allow", "metrics", stdin="old\n")
    assert await pbxapi_user("passwd", "u", stdin="new\n") == "user u has a new password\n"

    with pytest.raises(Fault):
        await gatekeeper.authenticate("u", "old", HERE)
    assert (await gatekeeper.authenticate("u", "new", HERE)).username == "u"


async def test_what_a_user_may_do_is_changed_and_all_else_stays(
    pbxapi_user: Pbxapi, gatekeeper: Gatekeeper
) -> None:
    await pbxapi_user("add", "u", "--allow", "metrics", "--network", "::1", stdin="x\n")

    assert await pbxapi_user("set", "u", "--allow", "hangup,listcalls") == (
        "NAME  STATE    PERMISSIONS       NETWORKS\nu     enabled  hangup,listcalls  ::1/128\n"
    )
    assert "u     enabled  hangup,listcalls  198.51.100.0/24,10.0.0.1/32\n" in await pbxapi_user(
        "set", "u", "--network", "198.51.100.0/24", "--network", "10.0.0.1"
    )
    with pytest.raises(Fault):
        await gatekeeper.authenticate("u", "x", HERE)
    gatekeeper.all_changed()
    await pbxapi_user("set", "u", "--allow", "dtmf", "--anywhere")
    who = await gatekeeper.authenticate("u", "x", HERE)
    assert who.permissions == {"dtmf"}
    assert who.networks == ()


def test_to_change_nothing_is_bad_usage() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pbxapi", "user", "set", "u"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: pbxapi user set")
    assert "nothing to change: give --allow" in done.stderr


async def test_a_change_of_rights_does_not_let_a_disabled_user_in(pbxapi_user: Pbxapi) -> None:
    await pbxapi_user("add", "u", "--allow", "metrics", stdin="x\n")
    await pbxapi_user("disable", "u")
    assert "u     disabled  dtmf" in await pbxapi_user("set", "u", "--allow", "dtmf")


async def test_disable_enable_and_remove(pbxapi_user: Pbxapi, database: Database) -> None:
    await pbxapi_user("add", "u", "--allow", "metrics", stdin="x\n")
    assert await pbxapi_user("disable", "u") == "user u is disabled\n"
    assert "disabled" in await pbxapi_user("list")
    assert await pbxapi_user("enable", "u") == "user u is enabled\n"
    assert "enabled" in await pbxapi_user("list")
    assert await pbxapi_user("remove", "u") == "user u is removed\n"
    assert await database.fetch("SELECT FROM pbxapi.api_users") == []


async def test_the_list_is_aligned_and_without_secrets(pbxapi_user: Pbxapi) -> None:
    await pbxapi_user("add", "voipsun", "--allow", "originate,hangup", stdin="x\n")
    await pbxapi_user("add", "b", "--allow", "dtmf", "--network", "10.0.0.0/8", stdin="x\n")

    assert await pbxapi_user("list") == (
        "NAME     STATE    PERMISSIONS       NETWORKS\n"
        "b        enabled  dtmf              10.0.0.0/8\n"
        "voipsun  enabled  hangup,originate  anywhere\n"
    )


async def test_a_name_is_added_once(pbxapi_user: Pbxapi) -> None:
    await pbxapi_user("add", "u", "--allow", "metrics", stdin="x\n")
    with pytest.raises(UsageError, match="there is a user u already"):
        await pbxapi_user("add", "u", "--allow", "metrics", stdin="y\n")


@pytest.mark.parametrize(
    "argv",
    [
        ["passwd", "nobody"],
        ["enable", "nobody"],
        ["disable", "nobody"],
        ["remove", "nobody"],
        ["set", "nobody", "--allow", "dtmf"],
    ],
    ids=lambda argv: argv[0],
)
async def test_a_user_who_is_not_there_is_one_line(pbxapi_user: Pbxapi, argv: list[str]) -> None:
    with pytest.raises(UsageError, match="there is no user nobody"):
        await pbxapi_user(*argv, stdin="x\n")


async def test_a_database_that_is_not_there_is_one_line(ports: Ports) -> None:
    dsn = f"postgresql://postgres@{LOOPBACK}:{ports.tcp()}/x"
    with pytest.raises(UsageError, match=r"^database: [^\n]+ `pbxapi db status`[^\n]+$"):
        await user.run(await asyncio.to_thread(parse, "list"), {"PBXAPI_DATABASE_DSN": dsn})


def test_a_failure_is_one_line_on_standard_error_and_exit_code_1(ports: Ports) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pbxapi", "user", "list"],
        env={"PBXAPI_DATABASE_DSN": f"postgresql://postgres@{LOOPBACK}:{ports.tcp()}/x"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"pbxapi: database: [^\n]+\n", done.stderr)


class Vanishing:
    """A directory in which a user comes or goes between two statements."""

    def __init__(self, *, is_there: bool) -> None:
        self._is_there = is_there

    async def fetch(self, name: str, /, *_args: object) -> list[object]:
        return [name] if name == "user_by_name" and self._is_there else []


@pytest.mark.parametrize(
    ("argv", "is_there", "why"),
    [
        (["add", "u", "--allow", "metrics"], False, "already"),
        (["passwd", "u"], True, "no user"),
    ],
)
async def test_whoever_is_faster_is_respected(
    monkeypatch: pytest.MonkeyPatch, argv: list[str], is_there: bool, why: str
) -> None:
    """While the password was being typed somebody else added, or removed, the same user."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("x\n"))
    args = await asyncio.to_thread(parse, *argv)
    with pytest.raises(UsageError, match=why):
        await user._TASKS[args.task](Vanishing(is_there=is_there), args)  # type: ignore[arg-type]  # a stand-in for the connection


@pytest.mark.parametrize(
    "argv",
    [
        ["add", "u"],
        ["add", "u", "--allow", ""],
        ["add", "u", "--allow", "listcals"],
        ["add", "u", "--allow", "metrics", "--network", "10.0.0.1/8"],
        ["add", "", "--allow", "metrics"],
        ["add", "a\nb", "--allow", "metrics"],
        ["add", "u", "--allow", "metrics", "--password", "x"],
        ["add", "u", "secret", "--allow", "metrics"],
        ["set", "u", "--allow", ""],
        ["set", "u", "--network", "10.0.0.1/8"],
        ["set", "u", "--network", "10.0.0.0/8", "--anywhere"],
        ["remove"],
        ["rename", "u"],
        [],
    ],
)
def test_bad_usage_is_exit_code_2(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(*argv)
    assert caught.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def test_an_unknown_permission_is_named_beside_those_there_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        parse("add", "u", "--allow", "metrics,listcals")
    error = capsys.readouterr().err
    assert "listcals" in error
    assert "listcalls" in error


class Terminal(io.StringIO):
    """Standard input that is one."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (["secretpwd", "secretpwd"], "secretpwd"),
        (["secretpwd", "sectretpwd"], "differ"),
        ([""], "empty"),
        ([], "empty"),
    ],
)
def test_a_terminal_is_asked_twice_without_echo(
    monkeypatch: pytest.MonkeyPatch, answers: list[str], outcome: str
) -> None:
    """An end of input (Ctrl-D) counts as an empty password."""

    def prompt(_text: str) -> str:
        if not answers:
            raise EOFError
        return answers.pop(0)

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(getpass, "getpass", prompt)
    try:
        assert read_secret("password") == outcome
    except UsageError as error:
        assert outcome in str(error)  # noqa: PT017 - either may be expected


def test_input_that_is_no_text_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8"))
    with pytest.raises(UsageError, match="encoding"):
        read_secret("password")

"""Areas of the examination by themselves: what no simulator and no database does on order."""

import asyncio
import errno
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import cast

import pytest

from pbxapi import dialplan
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.ami.session import AmiSession
from pbxapi.config import Ami, Config, Database, FastAgi, Http, Listen
from pbxapi.directory import migrations
from pbxapi.doctor import (
    asterisk_files,
    asterisk_side,
    database as database_area,
    disk,
    examination,
    manager,
    ports as ports_area,
)
from pbxapi.doctor.examination import Area, examine
from pbxapi.doctor.finding import Finding, fail, ok, some
from pbxapi.doctor.patient import Named, Patient
from pbxapi.errors import PbxRefused, PbxUnavailable
from tests.fakes.ami_server import AmiServer, Connection
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database as RealDatabase

Answer = Callable[[Request], str]


class Session:
    """Answers as a test says: headers, or a refusal where the text begins with `!`."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def request(self, request: Request) -> Message:
        text = self._answer(request)
        if text.startswith("!"):
            raise PbxRefused(text[1:])
        return Message(f"Response: Success\r\n{text}".encode())

    async def request_list(self, request: Request, _on_item: object) -> Message:
        return await self.request(request)


def patient(answer: Answer = lambda _request: "", *, may: tuple[str, ...] = ()) -> Patient:
    made = Patient(config=Config(), environ={}, path=None)
    made.session = cast("AmiSession", Session(answer))
    made.may = frozenset(may)
    return made


async def lines(findings: AsyncIterator[Finding]) -> list[str]:
    return [f"{found.level.value} {found.text}" async for found in findings]


# the order of things


async def _raises(error: Exception) -> AsyncIterator[Finding]:
    yield ok("so far")
    raise error


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PbxUnavailable("no answer to Getvar in 5 s"), "no answer to Getvar in 5 s"),
        (ValueError("hush"), "the check itself is at fault: ValueError"),
    ],
)
async def test_what_goes_wrong_in_an_area_is_a_line(error: Exception, text: str) -> None:
    told: list[tuple[str, Finding]] = []
    areas = (
        Area("one", lambda _patient: _raises(error)),
        Area("two", lambda _patient: _raises(error), needs=("one",)),
        Area("three", lambda _patient: _raises(error), needs=("two",)),
    )
    made = Patient(config=Config(), environ={}, path=None)
    assert not await examine(made, lambda name, found: told.append((name, found)), areas)
    assert [(name, found.level.value, found.text) for name, found in told] == [
        ("one", "ok", "so far"),
        ("one", "FAIL", text),
        ("two", "warn", "not looked at"),
        ("three", "warn", "not looked at"),
    ]


async def test_an_area_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def endless(_patient: Patient) -> AsyncIterator[Finding]:
        yield ok("so far")
        await asyncio.Event().wait()

    monkeypatch.setattr(examination, "DEADLINE_S", 0.01)
    told: list[str] = []
    made = Patient(config=Config(), environ={}, path=None)
    assert not await examine(
        made, lambda _name, found: told.append(found.text), (Area("one", endless),)
    )
    assert told == ["so far", "no end within 0.01 s"]


async def test_a_disk_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    let_go = threading.Event()

    def look() -> Iterator[Finding]:
        let_go.wait(20)
        yield ok("late")

    monkeypatch.setattr(examination, "DISK_S", 0.01)
    found = await examination._on_disk(look)
    let_go.set()
    assert found == [fail("the disk did not answer in 0.01 s", "see whether a share hangs")]


def test_a_few_names_and_how_many_more() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcdefg")) == "a, b, c, d, e and 2 more"


# Asterisk


async def test_what_cannot_be_asked_for() -> None:
    assert await lines(asterisk_side.contexts(patient())) == ["warn contexts cannot be looked for"]
    assert await lines(manager.version(patient())) == [
        "warn the version of Asterisk cannot be asked for"
    ]


@pytest.mark.parametrize("answer", ["Value: 0", "!Invalid/unknown command"])
async def test_a_pbx_without_our_dial_plan(answer: str) -> None:
    (line,) = await lines(asterisk_side.contexts(patient(lambda _: answer, may=("Getvar",))))
    assert line.startswith("FAIL there is no context pbxapi-originate, pbxapi-originated, ")
    assert line.endswith(" and 4 more")


async def test_a_version_that_nobody_has_tried() -> None:
    old = patient(lambda _: "AsteriskVersion: 13.38.3", may=("CoreSettings",))
    assert await lines(manager.version(old)) == [
        "warn Asterisk 13.38.3 is none of those tried, 16 to 22"
    ]


async def test_a_dial_plan_of_another_version() -> None:
    def answer(request: Request) -> str:
        is_mark = any(dialplan.MARKED in value for _, value in request.headers)
        return f"Value: {0 if is_mark else 1}"

    assert await lines(asterisk_side.contexts(patient(answer, may=("Getvar",)))) == [
        "warn pbxapi.conf is that of another version"
    ]


async def test_a_pbx_without_queues() -> None:
    made = patient(lambda _: "!Invalid/unknown command")
    assert await lines(asterisk_side.queues(made)) == []
    made.directory["queue"] = [Named("1", "FrontaIT", "")]
    assert await lines(asterisk_side.queues(made)) == [
        "warn queues cannot be listed: Invalid/unknown command"
    ]


async def test_a_directory_without_accounts() -> None:
    assert await lines(asterisk_side.accounts(patient())) == ["warn the directory has no account"]


async def test_something_that_is_no_asterisk() -> None:
    async def script(connection: Connection) -> None:
        connection.writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await connection.end()

    async with AmiServer(script) as server:
        made = patient()
        made.config = Config(ami=Ami(port=server.port, secret="x"))
        (line,) = await lines(manager.login(made))
    assert line.startswith(f"FAIL 127.0.0.1:{server.port} does not let us log in: not an AMI")


# the database


async def of_database(area: Callable[[Patient], AsyncIterator[Finding]], dsn: str) -> list[str]:
    made = Patient(config=Config(database=Database(dsn=dsn)), environ={}, path=None)
    return await lines(area(made))


async def test_a_schema_of_somebody_else(database: RealDatabase) -> None:
    await database.execute("DROP TABLE pbxapi.schema_migrations, pbxapi.queues CASCADE")
    assert await of_database(database_area.schema, database.dsn) == [
        "ok it answers; schema pbxapi was made by somebody else, with views perhaps"
    ]
    assert await of_database(database_area.rights, database.dsn) == [
        "FAIL there is no pbxapi.queues"
    ]
    (line,) = await of_database(database_area.content, database.dsn)
    assert line.startswith("FAIL the directory cannot be read: ")


async def test_a_server_without_our_roles(
    database: RealDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "ROLES", ("pbxapi_daemon", "pbxapi_of_nobody"))
    assert (await of_database(database_area.schema, database.dsn))[1:] == [
        "warn the server lacks the role pbxapi_of_nobody"
    ]


async def test_a_database_that_goes_away_in_between(ports: Ports) -> None:
    dsn = f"postgresql://x@{LOOPBACK}:{ports.tcp()}/x"
    (line,) = await of_database(database_area.rights, dsn)
    assert line.startswith("FAIL the rights cannot be read: ")


# ports


async def test_unix_sockets(tmp_path: Path) -> None:
    path = str(tmp_path / "http.sock")
    made = Patient(config=Config(http=Http(listen=Listen(path=path))), environ={}, path=None)
    assert await lines(ports_area.http(made)) == [f"ok unix:{path} is free"]
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        assert await lines(ports_area.http(made)) == [f"ok unix:{path} is free"]  # of a crash
    Path(path).unlink()
    answer = b'HTTP/1.0 503 Unavailable\r\n\r\n{"ready": false}'

    async def daemon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_unix_server(daemon, path):
        assert await lines(ports_area.http(made)) == [f"ok unix:{path} is held by a running daemon"]
    Path(path).unlink(missing_ok=True)
    Path(path).write_text("no socket")
    made.config = Config(http=Http(listen=Listen(path=f"{path}/http.sock")))
    assert await lines(ports_area.http(made)) == [
        f"FAIL cannot listen on unix:{path}/http.sock: Not a directory"
    ]


def test_what_to_do_about_a_socket_of_another_user(tmp_path: Path) -> None:
    path = tmp_path / "http.sock"
    listen = Listen(path=str(path))
    folder = ports_area._taken(listen, errno.EACCES, "[http] listen")
    path.touch()
    left = ports_area._taken(listen, errno.EACCES, "[http] listen")
    other = ports_area._taken(listen, errno.EADDRINUSE, "[http] listen")
    assert "write to that folder" in folder.remedy
    assert "remove it" in left.remedy
    assert other.remedy == "end what is there, or change [http] listen"


async def test_a_host_that_there_is_not() -> None:
    listen = Listen("nowhere.invalid", 4573)
    made = Patient(config=Config(fastagi=FastAgi(listen=listen)), environ={}, path=None)
    first, *_ = await lines(ports_area.fastagi(made))
    assert first == "FAIL cannot listen on nowhere.invalid:4573: there is no such host"
    assert not ports_area.is_here("nowhere.invalid")


@pytest.mark.parametrize(
    ("asterisk", "listen", "level"),
    [
        ("127.0.0.1", "127.0.0.1", "ok"),
        ("localhost", "0.0.0.0", "ok"),
        ("192.0.2.1", "127.0.0.1", "FAIL"),
        ("192.0.2.1", "localhost", "FAIL"),
        ("192.0.2.1", "0.0.0.0", "FAIL"),
        ("192.0.2.1", "192.0.2.2", "warn"),
        ("192.0.2.1", "pbx.example", "warn"),
    ],
)
def test_whether_asterisk_reaches_us(asterisk: str, listen: str, level: str) -> None:
    assert ports_area._reachable(asterisk, Listen(listen, 4573)).level.value == level


# files


def test_where_secrets_lie(tmp_path: Path) -> None:
    """As the configuration finds them: the environment, then the file; systemd's folder first."""
    config = tmp_path / "pbxapi.toml"
    config.write_text('[database]\ndsn_file = "dsn"\n[ami]\nusername = "x"\n')
    environ = {"PBXAPI_AMI_SECRET_FILE": "secret", "CREDENTIALS_DIRECTORY": "/run/credentials"}
    made = Patient(config=Config(), environ=environ, path=config)
    assert list(disk._files_with_secrets(made)) == [
        Path("/run/credentials/secret"),
        Path("/run/credentials/dsn"),
    ]
    assert not disk._is_open(tmp_path / "gone")


def test_an_include_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "x.conf").mkdir()
    (tmp_path / "manager.conf").write_text("#include x.conf\n[general]\nenabled = yes\n")
    sections, included = asterisk_files.read(tmp_path / "manager.conf")
    assert (sections, included) == ({"general": {"enabled": ["yes"]}}, ["x.conf"])

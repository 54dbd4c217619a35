"""TLS by the daemon: its files, and a daemon that speaks it on the port that is looked at."""

import asyncio
import json
import time
from pathlib import Path

import pytest
from aiohttp import web

from pbxapi.config import Config, FastAgi, Http, Listen
from pbxapi.doctor import certificate, disk, ports as ports_area
from pbxapi.doctor.finding import Finding
from pbxapi.doctor.patient import Patient
from pbxapi.web.server import serving
from pbxapi.web.tls import Tls
from tests.services.certificates import make_certificate
from tests.services.ports import LOOPBACK, Ports

DAY_S = 86400


def look(files: tuple[str, str], days_later: float = 0.5) -> str:
    found = certificate.usable(*files, time.time() + days_later * DAY_S)
    assert bool(found.remedy) == (found.level.value != "ok")
    return f"{found.level.value} {found.text}"


@pytest.mark.parametrize(
    ("days_later", "expected"),
    [
        (0.5, "ok {} fits its key and is valid for 29 days"),
        (15.5, "ok {} fits its key and is valid for 14 days"),
        (16.5, "warn {} expires in 13 days"),
        (29.5, "warn {} expires in 0 days"),
        (30.5, "FAIL {} has expired"),
        (-1, "FAIL {} is not valid yet"),
    ],
)
def test_how_long_it_is_valid(tmp_path: Path, days_later: float, expected: str) -> None:
    files = make_certificate(tmp_path, "pbx", days=30)
    assert look(files, days_later) == expected.format(files[0])


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    one, other = make_certificate(tmp_path, "one"), make_certificate(tmp_path, "other")
    assert "the key is of another certificate" in look((one[0], other[1]))
    assert look((one[0], "")) == "FAIL http.tls_certificate and http.tls_key: give both, or none"
    gone = str(tmp_path / "gone.pem")
    assert look((gone, one[1])) == f"FAIL {gone} cannot be read: No such file or directory"
    assert look((one[0], str(tmp_path))) == f"FAIL {tmp_path} cannot be read: Is a directory"


def test_a_certificate_that_is_for_no_server(tmp_path: Path) -> None:
    options = ("-nodes", "-addext", "extendedKeyUsage=clientAuth")
    files = make_certificate(tmp_path, "mail", *options)
    assert look(files).startswith(f"FAIL clients refuse {files[0]}: unsuit")


async def findings(patient: Patient) -> list[Finding]:
    return [found async for found in certificate.look(patient)]


async def test_nothing_is_said_where_there_is_no_tls(tmp_path: Path) -> None:
    assert await findings(Patient(config=Config(), environ={}, path=None)) == []
    files = make_certificate(tmp_path, "pbx")
    with_tls = Http(tls_certificate=files[0], tls_key=files[1])
    (found,) = await findings(Patient(config=Config(http=with_tls), environ={}, path=None))
    assert found.text == f"{files[0]} expires in 1 days"


def test_who_can_read_the_key(tmp_path: Path) -> None:
    files = make_certificate(tmp_path, "pbx")
    http = Http(tls_certificate=files[0], tls_key=files[1])
    patient = Patient(config=Config(http=http), environ={}, path=None)
    Path(files[1]).chmod(0o640)
    assert [found.level.value for found in disk.secret_files(patient)] == ["ok"]
    Path(files[1]).chmod(0o644)
    (found,) = disk.secret_files(patient)
    assert found.level.value == "warn"
    assert found.text == f"every user of this host can read {files[1]}"


async def ready(_request: web.Request) -> web.Response:
    return web.Response(text=json.dumps({"ready": False, "fastagi": True}))


@pytest.mark.parametrize("listens_with_tls", [True, False])
@pytest.mark.parametrize("is_to_have_tls", [True, False])
async def test_a_running_daemon_is_known(
    tmp_path: Path, ports: Ports, *, listens_with_tls: bool, is_to_have_tls: bool
) -> None:
    """Also beside a configuration that it has not read yet."""
    files = await asyncio.to_thread(make_certificate, tmp_path, "pbx")
    app = web.Application()
    app.router.add_get("/-/ready", ready)
    listen = Listen(LOOPBACK, ports.tcp())
    http = Http(listen=listen, tls_certificate=files[0], tls_key=files[1])
    fastagi = FastAgi(listen=listen)  # who is asked is the daemon, by HTTP
    config = Config(http=http if is_to_have_tls else Http(listen=listen), fastagi=fastagi)
    patient = Patient(config=config, environ={}, path=None)
    async with serving(app, listen, tls=Tls(*files).context if listens_with_tls else None):
        (http_line,) = [found async for found in ports_area.http(patient)]
        first, _reach = [found async for found in ports_area.fastagi(patient)]
    assert http_line.text == f"{listen} is held by a running daemon"
    assert first.text == f"{listen} is held by the running daemon"

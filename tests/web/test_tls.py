"""TLS by the daemon itself."""

import asyncio
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from pbxapi import daemon
from pbxapi.config import Ami, Config, Database, FastAgi, Http, Listen, Records
from pbxapi.errors import UsageError
from pbxapi.redaction import Redactor
from pbxapi.reloading import Reloading
from pbxapi.web import server
from pbxapi.web.server import serving
from pbxapi.web.tls import Tls, make_tls
from tests.services.certificates import make_certificate
from tests.services.ports import LOOPBACK, Ports
from tests.services.waiting import eventually

Make = Callable[..., tuple[str, str]]
REQUEST = b"GET / HTTP/1.1\r\nHost: pbx\r\n\r\n"


@pytest.fixture
def certificate(tmp_path: Path) -> Make:
    """`certificate(name)`: files of a certificate that is signed by itself, and of its key."""

    def make(name: str, *options: str) -> tuple[str, str]:
        return make_certificate(tmp_path, name, *options)

    return make


async def hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


def app() -> web.Application:
    made = web.Application()
    made.router.add_get("/", hello)
    return made


def client(**changes: object) -> ssl.SSLContext:
    """A client that believes everybody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, value in changes.items():
        setattr(context, name, value)
    return context


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def connect(cls, url: str, context: ssl.SSLContext) -> "Client":
        port = int(url.rpartition(":")[2])
        return cls(*await asyncio.open_connection(LOOPBACK, port, ssl=context))

    @property
    def certificate(self) -> bytes:
        shown: bytes = self._writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return shown

    async def ask(self) -> bytes:
        self._writer.write(REQUEST)
        head = await self._reader.readuntil(b"\r\n\r\n")
        return head + await self._reader.readexactly(5)

    def close(self) -> None:
        self._writer.close()


def der(path: str) -> bytes:
    return ssl.PEM_cert_to_DER_cert(Path(path).read_text())


async def test_requests_are_answered_over_tls(certificate: Make) -> None:
    tls = Tls(*certificate("one"))
    async with serving(app(), Listen(LOOPBACK, 0), tls=tls.context) as url:
        assert url.startswith("https://")
        asking = await Client.connect(url, client())
        assert (await asking.ask()).endswith(b"hello")
        asking.close()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_and_plain_http_are_refused_and_told_of(certificate: Make) -> None:
    tls = Tls(*certificate("one"))
    old = client(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    async with serving(app(), Listen(LOOPBACK, 0), tls=tls.context) as url:
        with capture_logs() as events:
            with pytest.raises((ssl.SSLError, ConnectionResetError)):
                await Client.connect(url, old)
            reader, writer = await asyncio.open_connection(LOOPBACK, int(url.rpartition(":")[2]))
            writer.write(REQUEST)
            assert await reader.read() == b""
            writer.close()
        assert [(each["event"], each["error"]) for each in events] == [
            ("http.no_handshake", "UNSUPPORTED_PROTOCOL"),
            ("http.no_handshake", "HTTP_REQUEST"),
        ]
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        (await Client.connect(url, old)).close()


async def test_a_new_certificate_is_for_new_connections_and_disturbs_none(
    certificate: Make,
) -> None:
    first, second = certificate("first"), certificate("second")
    tls = Tls(*first)
    async with serving(app(), Listen(LOOPBACK, 0), tls=tls.context) as url:
        before = await Client.connect(url, client())
        certificates = der(first[0]), der(second[0])
        for old, new in zip(first, second, strict=True):
            Path(new).rename(old)
        tls.load()
        after = await Client.connect(url, client())
        assert (before.certificate, after.certificate) == certificates
        assert (await before.ask()).endswith(b"hello")
        assert (await after.ask()).endswith(b"hello")
        before.close()
        after.close()


async def test_files_that_do_not_fit_leave_the_old_certificate(certificate: Make) -> None:
    files, other = certificate("one"), certificate("other")
    tls = Tls(*files)
    shown = der(files[0])
    async with serving(app(), Listen(LOOPBACK, 0), tls=tls.context) as url:
        Path(other[0]).rename(files[0])
        with pytest.raises(UsageError, match="another certificate"):
            tls.load()
        asking = await Client.connect(url, client())
        assert asking.certificate == shown
        asking.close()


@pytest.mark.parametrize(("days", "fault"), [(3, "has expired"), (-1, "is not valid yet")])
async def test_one_that_is_out_of_time_is_for_a_start_only(
    certificate: Make, monkeypatch: pytest.MonkeyPatch, days: int, fault: str
) -> None:
    files, other = certificate("one"), certificate("other")
    tls = Tls(*files)
    for old, new in zip(files, other, strict=True):
        Path(new).rename(old)
    then = time.time() + days * 86400
    monkeypatch.setattr("pbxapi.web.tls.time", SimpleNamespace(time=lambda: then))
    with pytest.raises(UsageError, match=f"{files[0]} {fault}"):
        tls.load()
    with capture_logs() as events:
        Tls(*files)
    assert [(each["event"], fault in each["error"]) for each in events] == [
        ("http.certificate_refused", True)
    ]


async def test_the_daemon_serves_it_and_reads_it_again_at_a_reload(
    certificate: Make, ports: Ports, tmp_path: Path
) -> None:
    first, second = certificate("first"), certificate("second")
    port = ports.tcp()
    config = Config(
        http=Http(listen=Listen(LOOPBACK, port), tls_certificate=first[0], tls_key=first[1]),
        ami=Ami(port=ports.tcp(), secret="x"),
        fastagi=FastAgi(listen=Listen(LOOPBACK, ports.tcp())),
        database=Database(dsn=f"postgresql://nobody@{LOOPBACK}:{ports.tcp()}/x"),
        records=Records(roots=(tmp_path,)),
    )
    reloading, stop = Reloading(config, lambda: config), asyncio.Event()
    listening: asyncio.Queue[str] = asyncio.Queue()
    running = asyncio.create_task(
        daemon.run(config, stop, listening.put_nowait, reloading=reloading)
    )
    url = await listening.get()
    expected = der(second[0])
    for old, new in zip(first, second, strict=True):
        Path(new).rename(old)

    async def is_served() -> bool:
        asking = await Client.connect(url, client())
        asking.close()
        return asking.certificate == expected

    assert not await is_served()
    reloading.ask()
    await eventually(is_served, within_s=5, what="the new certificate is served")
    stop.set()
    await running


async def test_who_does_not_shake_hands_is_cut_off(
    certificate: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HANDSHAKE_TIMEOUT_S", 0.05)
    tls = Tls(*certificate("one"))
    async with serving(app(), Listen(LOOPBACK, 0), tls=tls.context) as url:
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("given", [("/x.pem", ""), ("", "/x.key")])
def test_one_without_the_other_is_an_error(given: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="give both, or none"):
        make_tls(*given)


def test_neither_is_no_tls() -> None:
    assert make_tls("", "") is None


def test_what_cannot_be_used_is_told_in_one_line(certificate: Make, tmp_path: Path) -> None:
    good, other = certificate("good"), certificate("other")
    locked = certificate("locked", "-passout", "pass:secret")
    garbage = tmp_path / "garbage"
    garbage.write_text("nothing")
    for given, why in (
        (("/nowhere/x.pem", good[1]), "No such file"),
        ((good[0], other[1]), "another certificate"),
        ((str(garbage), good[1]), "cannot be used"),
        ((good[0], str(garbage)), "cannot be used"),
        (locked, "passphrase"),
    ):
        with pytest.raises(UsageError, match=why) as raised:
            make_tls(*given)
        assert "\n" not in str(raised.value)
        assert "http.tls_key" in str(raised.value)
        assert Redactor().text(str(raised.value)) == str(raised.value), "the log says it too"

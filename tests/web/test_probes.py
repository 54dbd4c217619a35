"""`/-/live`, `/-/ready`, `/-/metrics`: what they say, to whom, and by which status."""

import base64
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from pbxapi.access.users import ApiUser, IpAddress
from pbxapi.config import Listen
from pbxapi.errors import DatabaseUnavailable
from pbxapi.faults import Fault
from pbxapi.web.app import LegacyApi, make_app
from pbxapi.web.probes import METRICS_TYPE, Probes, Readiness
from pbxapi.web.server import serving
from tests.contract.world import FakeGatekeeper, make_ports
from tests.services.ports import LOOPBACK, Ports
from tests.web.http_client import PATH, Reply, ask

METRICS = b"pbxapi_ready 1.0\n"


class Monitor:
    """A daemon that is as a test says."""

    ready = True

    async def readiness(self) -> Readiness:
        return Readiness(self.ready, {"ami": self.ready})

    async def metrics(self) -> bytes:
        return METRICS


class Gatekeeper(FakeGatekeeper):
    """… with the troubles of the real one."""

    async def authenticate(
        self, username: str, password: str, address: IpAddress | None, /
    ) -> ApiUser:
        match username:
            case "locked":
                raise Fault(903)
            case "unreadable":
                raise DatabaseUnavailable("it is down")
            case _:
                pass
        return await super().authenticate(username, password, address)


class Site:
    """A site with probes.

    Attributes:
        monitor: What they ask.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.monitor = Monitor()

    async def get(self, path: str, query: bytes = b"", *headers: bytes) -> Reply:
        return await ask(self.port, query, *headers, path=path)


@pytest_asyncio.fixture
async def site(ports: Ports) -> AsyncIterator[Site]:
    made = Site(ports.tcp())
    gatekeeper = Gatekeeper()
    api = LegacyApi(make_ports({})[0], gatekeeper, ())
    app = Probes(made.monitor, gatekeeper, api).attach(make_app(api, PATH))
    async with serving(app, Listen(LOOPBACK, made.port)):
        yield made


def basic(username: str, password: str) -> bytes:
    return b"Authorization: Basic " + base64.b64encode(f"{username}:{password}".encode())


async def test_it_is_alive(site: Site) -> None:
    reply = await site.get("/-/live")
    assert (reply.status, reply.body) == (200, b"ok\n")


@pytest.mark.parametrize(("ready", "status"), [(True, 200), (False, 503)])
async def test_ready_says_what_is_up(site: Site, *, ready: bool, status: int) -> None:
    site.monitor.ready = ready
    reply = await site.get("/-/ready")
    assert (reply.status, reply.data) == (status, {"ready": ready, "ami": ready})
    assert reply.headers["content-type"].startswith("application/json")


@pytest.mark.parametrize("path", ["/-/live", "/-/ready"])
async def test_open_to_everybody_and_silent_about_versions(site: Site, path: str) -> None:
    reply = await site.get(path)
    assert reply.status == 200
    assert reply.headers["server"] == "pbxapi"


@pytest.mark.parametrize("path", ["/-/live", "/-/ready", "/-/metrics"])
async def test_head_is_get_without_a_body(site: Site, path: str) -> None:
    query = b"username=voipsun&password=secretpwd"
    reply = await ask(site.port, query, method=b"HEAD", path=path)
    full = await site.get(path, query)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-length"] == full.headers["content-length"]


@pytest.mark.parametrize("path", ["/-/live", "/-/ready", "/-/metrics"])
async def test_nothing_is_changed_by_asking(site: Site, path: str) -> None:
    assert (await ask(site.port, method=b"POST", path=path)).status == 405


async def test_metrics_for_basic_auth(site: Site) -> None:
    reply = await site.get("/-/metrics", b"", basic("voipsun", "secretpwd"))
    assert (reply.status, reply.body) == (200, METRICS)
    assert reply.headers["content-type"] == METRICS_TYPE


async def test_metrics_for_the_parameters_of_the_legacy_path(site: Site) -> None:
    reply = await site.get("/-/metrics", b"username=voipsun&password=secretpwd")
    assert (reply.status, reply.body) == (200, METRICS)


@pytest.mark.parametrize(
    "header",
    [
        b"Accept: */*",
        basic("voipsun", "wrong"),
        basic("", ""),
        basic("nobody", "secretpwd"),
        basic("elsewhere", "secretpwd"),
        b"Authorization: Bearer secretpwd",
        b"Authorization: Basic %%%",
        b"Authorization: Basic",
    ],
    ids=["none", "password", "empty", "permission", "network", "bearer", "base64", "cut"],
)
async def test_metrics_for_nobody_else(site: Site, header: bytes) -> None:
    reply = await site.get("/-/metrics", b"", header)
    assert reply.status == 401
    assert reply.headers["www-authenticate"] == 'Basic realm="pbxapi", charset="UTF-8"'
    assert METRICS not in reply.raw


async def test_a_bad_header_is_not_made_good_by_parameters(site: Site) -> None:
    query = b"username=voipsun&password=secretpwd"
    assert (await site.get("/-/metrics", query, basic("voipsun", "wrong"))).status == 401


@pytest.mark.parametrize(("username", "status"), [("locked", 429), ("unreadable", 503)])
async def test_there_is_no_knowing(site: Site, username: str, status: int) -> None:
    reply = await site.get("/-/metrics", b"", basic(username, "x"))
    assert reply.status == status
    assert "www-authenticate" not in reply.headers


async def test_unknown_paths_beside_them_are_not_there(site: Site) -> None:
    assert (await site.get("/-/secrets")).status == 404

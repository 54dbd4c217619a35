"""What an operator's tools ask: `/-/live`, `/-/ready` and `/-/metrics`.

These are no legacy clients: HTTP statuses say how it is. `/-/live` and `/-/ready` are open to
everybody who reaches the port, so they say nothing of versions, hosts or what is on the PBX.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol

import structlog
from aiohttp import BasicAuth, hdrs, web

from pbxapi.access.users import IpNetwork
from pbxapi.errors import DatabaseUnavailable
from pbxapi.faults import Fault
from pbxapi.log import set_request_facts
from pbxapi.web.app import Authenticator
from pbxapi.web.requests import client_address, read_params

PERMISSION: Final = "metrics"
#: Of Prometheus' text format, which every version of it reads.
METRICS_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_CHALLENGE: Final = 'Basic realm="pbxapi", charset="UTF-8"'
_STATUS_OF: Final = {100: 401, 901: 503, 903: 429}

_log = structlog.get_logger()


class Readiness(NamedTuple):
    """Whether requests can be answered, and what is up."""

    ready: bool
    report: Mapping[str, Any]


class Monitor(Protocol):
    """Knows how the daemon is."""

    async def readiness(self) -> Readiness:
        """Whether requests can be answered now."""

    async def metrics(self) -> bytes:
        """All metrics, as Prometheus reads them."""


class Proxies(Protocol):
    """Knows whose `X-Forwarded-For` is believed; a reload may change it."""

    trusted_proxies: Sequence[IpNetwork]


class Probes:
    """The handlers.

    Args:
        monitor: Knows the answers.
        gatekeeper: Tells who may see metrics.
        proxies: Knows whose `X-Forwarded-For` is believed.
    """

    def __init__(self, monitor: Monitor, gatekeeper: Authenticator, proxies: Proxies) -> None:
        self._monitor = monitor
        self._gatekeeper = gatekeeper
        self._proxies = proxies

    def attach(self, app: web.Application) -> web.Application:
        """Answer these paths of the application too; HEAD comes with GET."""
        app.router.add_get("/-/live", self._live)
        app.router.add_get("/-/ready", self._ready)
        app.router.add_get("/-/metrics", self._metrics)
        return app

    async def _live(self, _request: web.Request) -> web.Response:
        """The loop runs, or nobody would get this answer."""
        return web.Response(text="ok\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        ready, report = await self._monitor.readiness()
        return web.json_response(
            {"ready": ready, **report}, status=200 if ready else 503, dumps=_dumps
        )

    async def _metrics(self, request: web.Request) -> web.Response:
        set_request_facts({})
        try:
            await self._let_in(request)
        except Fault as fault:
            return _refusal(fault)
        except DatabaseUnavailable:
            return _refusal(Fault(901))
        body = await self._monitor.metrics()
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: METRICS_TYPE})

    async def _let_in(self, request: web.Request) -> None:
        """Pass if the user may see metrics; raises Fault or DatabaseUnavailable."""
        username, password = await _credentials(request)
        address = client_address(request, self._proxies.trusted_proxies)
        user = await self._gatekeeper.authenticate(username, password, address)
        user.require(PERMISSION)


async def _credentials(request: web.Request) -> tuple[str, str]:
    """User name and password of HTTP Basic, or else of the parameters."""
    authorization = request.headers.get(hdrs.AUTHORIZATION)
    if authorization is None:
        params = await read_params(request)
        return params.get("username", ""), params.get("password", "")
    try:
        basic = BasicAuth.decode(authorization, encoding="utf-8")
    except ValueError:
        raise Fault(100) from None
    return basic.login, basic.password


def _refusal(fault: Fault) -> web.Response:
    status = _STATUS_OF.get(fault.code, 400)
    _log.info("metrics.refused", errno=fault.code)
    response = web.Response(status=status, text=f"{fault.reason}\n")
    if status == 401:  # noqa: PLR2004 - HTTP's Unauthorized
        response.headers[hdrs.WWW_AUTHENTICATE] = _CHALLENGE
    return response


def _dumps(report: object) -> str:
    return json.dumps(report) + "\n"

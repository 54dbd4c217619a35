"""The legacy URL: request → parameters → action → JSON, and what goes wrong on the way.

Every answer is HTTP 200, errors included: PHP's `file_get_contents` throws a body away that comes
with any other status.
"""

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Protocol

import structlog
from aiohttp import web

from pbxapi.access.users import ApiUser, IpAddress, IpNetwork
from pbxapi.actions import ACTIONS, Action, Parameters, Result
from pbxapi.actions.ports import Client, Ports
from pbxapi.actions.values import check_lengths
from pbxapi.faults import Fault
from pbxapi.web.audit import Audit, NoAudit, auditing
from pbxapi.web.encoding import encode_bare_success, encode_fault, encode_success
from pbxapi.web.envelope import to_fault
from pbxapi.web.openapi import describe
from pbxapi.web.params import control_character_in
from pbxapi.web.requests import client_address, read_params

CONTENT_TYPE: Final = "application/json; charset=utf-8"
#: The one action whose answer has bare slashes, as the vendor's sample shows (contract, section 3).
BARE_SLASHES: Final = frozenset({"listcalls"})
#: The one action whose answer ends in bare booleans instead; its faults are like all others.
BARE_SUCCESS: Final = frozenset({"sipstatus"})
#: All parameters at their longest, percent-encoded, are 20 kB; a form may bring a few more.
MAX_BODY_BYTES: Final = 256 * 1024
#: Where the description of the legacy path is; it has no secrets and asks for no password.
DESCRIPTION_PATH: Final = "/-/openapi.json"

_log = structlog.get_logger()


class Authenticator(Protocol):
    """Tells who somebody is."""

    async def authenticate(
        self, username: str, password: str, address: IpAddress | None, /
    ) -> ApiUser:
        """The user, who may come from there.

        Raises Fault 100 or 903, or DatabaseUnavailable where there is no knowing.
        """


class LegacyApi:
    """The handler of the legacy path.

    Attributes:
        ports, trusted_proxies: May be replaced at any time; requests that come later have the new.
    """

    def __init__(
        self, ports: Ports, gatekeeper: Authenticator, trusted_proxies: Sequence[IpNetwork]
    ) -> None:
        self.ports = ports
        self._gatekeeper = gatekeeper
        self.trusted_proxies = trusted_proxies

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; whatever happens, with the JSON that its client understands."""
        request_id = secrets.token_hex(8)
        started = time.monotonic()
        headers = {"Content-Type": CONTENT_TYPE, "X-Request-Id": request_id}
        # All requests of a connection run in one task: nothing of the last one may stay bound.
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            action, result = await self._answer(request)
        except Exception as error:  # noqa: BLE001 - the last resort: every error has a code
            fault = to_fault(error)
            _log.info("request.refused", errno=fault.code, took_ms=_ms_since(started))
            return web.Response(body=encode_fault(fault.code, fault.reason), headers=headers)
        if result.call_id:
            headers["X-Pbxapi-Call-Id"] = result.call_id
        return web.Response(body=_encode(action, result), headers=headers)

    async def _answer(self, request: web.Request) -> tuple[Action, Result]:
        params = await read_params(request)
        address = client_address(request, self.trusted_proxies)
        with auditing(params, address) as audit:
            action, result = await self._do(params, address, audit)
            audit.call_id = result.call_id
            return action, result

    async def _do(
        self, params: Parameters, address: IpAddress | None, audit: Audit | NoAudit
    ) -> tuple[Action, Result]:
        user = await self._gatekeeper.authenticate(
            params.get("username", ""), params.get("password", ""), address
        )
        audit.user = user.username
        action = _choose(params)
        structlog.contextvars.bind_contextvars(action=action.name, user=user.username)
        user.require(action.permission)
        if not action.is_complete(params):
            raise Fault(120)
        hostile = control_character_in(params)
        if hostile is not None:
            raise Fault(902, name=hostile)
        check_lengths(params, action.parameters)
        client = Client(user.username, "" if address is None else str(address))
        return action, await action.handler(replace(self.ports, client=client), params)


def _encode(action: Action, result: Result) -> bytes:
    if action.name in BARE_SUCCESS:
        return encode_bare_success(result.data)
    return encode_success(result.data, bare_slashes=action.name in BARE_SLASHES)


def _choose(params: Parameters) -> Action:
    if "action" not in params:
        raise Fault(120)
    action = ACTIONS.get(params["action"])
    if action is None:
        raise Fault(110)
    return action


def _ms_since(started: float) -> float:
    return round((time.monotonic() - started) * 1000, 2)


def make_app(api: LegacyApi, path: str) -> web.Application:
    """The web application with the one path that legacy clients know, and its description."""
    description = json.dumps(describe(path), indent=1).encode()

    async def describing(_request: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json")

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_get(path, api.handle)
    app.router.add_post(path, api.handle)
    app.router.add_get(DESCRIPTION_PATH, describing)
    app.on_response_prepare.append(_hide_server)
    return app


async def _hide_server(_request: web.Request, response: web.StreamResponse) -> None:
    """Say nothing of versions to whoever asks."""
    response.headers["Server"] = "pbxapi"

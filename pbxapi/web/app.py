"""The legacy URL: request → parameters → action → JSON, and what goes wrong on the way.

Every answer is HTTP 200, errors included: PHP's `file_get_contents` throws a body away that comes
with any other status.
"""

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, Protocol

import structlog
from aiohttp import hdrs, web
from multidict import istr

from pbxapi.access.users import ApiUser, IpAddress, IpNetwork
from pbxapi.actions import ACTIONS, Action, Parameters, Result
from pbxapi.actions.ageing import AgeingRows
from pbxapi.actions.kept import KeptRows
from pbxapi.actions.ports import Client, Ports
from pbxapi.actions.values import check_lengths
from pbxapi.faults import Fault
from pbxapi.log import set_request_facts
from pbxapi.web.ageing import AgeingAnswer
from pbxapi.web.audit import auditing
from pbxapi.web.encoding import encode_bare_success, encode_fault, encode_success
from pbxapi.web.envelope import to_fault
from pbxapi.web.kept import KeptAnswers
from pbxapi.web.openapi import describe
from pbxapi.web.params import control_character_in
from pbxapi.web.requests import client_address, read_params
from pbxapi.web.tally import NO_ERROR

CONTENT_TYPE: Final = "application/json; charset=utf-8"
REQUEST_ID: Final = istr("X-Request-Id")
CALL_ID: Final = istr("X-Pbxapi-Call-Id")
#: The one action whose answer has bare slashes, as the vendor's sample shows (contract, section 3).
BARE_SLASHES: Final = frozenset({"listcalls"})
#: The one action whose answer ends in bare booleans instead; its faults are like all others.
BARE_SUCCESS: Final = frozenset({"sipstatus"})
#: Those whose rows are kept until they change.
KEPT: Final = frozenset({"queuestatus", "sipstatus"})
#: The one action whose rows age.
AGEING: Final = frozenset({"listcalls"})
#: All parameters at their longest, percent-encoded, are 20 kB; a form may bring a few more.
MAX_BODY_BYTES: Final = 256 * 1024
#: Where the description of the legacy path is; it has no secrets and asks for no password.
DESCRIPTION_PATH: Final = "/-/openapi.json"
#: Clients whose ports are remembered: an API user at an address.
MAX_CLIENTS: Final = 1024

_ID_BYTES: Final = 8

_log = structlog.get_logger()


class Authenticator(Protocol):
    """Tells who somebody is."""

    async def authenticate(
        self, username: str, password: str, address: IpAddress | None, /
    ) -> ApiUser:
        """The user, who may come from there.

        Raises Fault 100 or 903, or DatabaseUnavailable where there is no knowing.
        """


#: Told of every request that has its answer: the action as the client named it, the code of the
#: error or 0, and the seconds that it took.
Finished = Callable[[str | None, int, float], None]


def _tell_nobody(_action: str | None, _errno: int, _took_s: float) -> None:
    pass


class LegacyApi:
    """The handler of the legacy path.

    Args:
        ports: What actions may use.
        gatekeeper: Tells who asks.
        trusted_proxies: Whose `X-Forwarded-For` is believed.
        finished: Told of every request.

    Attributes:
        ports, trusted_proxies: May be replaced at any time; requests that come later have the new.
    """

    def __init__(
        self,
        ports: Ports,
        gatekeeper: Authenticator,
        trusted_proxies: Sequence[IpNetwork],
        finished: Finished = _tell_nobody,
    ) -> None:
        self.ports = ports
        self._gatekeeper = gatekeeper
        self.trusted_proxies = trusted_proxies
        self._finished = finished
        self._ageing = {name: AgeingAnswer(bare_slashes=name in BARE_SLASHES) for name in AGEING}
        self._kept = {
            name: KeptAnswers(encode_bare_success if name in BARE_SUCCESS else encode_success)
            for name in KEPT
        }

    @property
    def ports(self) -> Ports:
        """What actions may use."""
        return self._ports

    @ports.setter
    def ports(self, ports: Ports) -> None:
        self._ports = ports
        self._ports_of = lru_cache(MAX_CLIENTS)(lambda client: replace(ports, client=client))

    async def handle(self, request: web.Request) -> web.Response:
        """Answer one request; whatever happens, with the JSON that its client understands."""
        started = time.monotonic()
        facts = {"request_id": secrets.token_hex(_ID_BYTES)}
        set_request_facts(facts)
        headers = {hdrs.CONTENT_TYPE: CONTENT_TYPE, REQUEST_ID: facts["request_id"]}
        asked = None
        errno = NO_ERROR
        try:
            params = await read_params(request)
            asked = params.get("action")
            action, result = await self._answer(params, request, facts)
            body = self._encode(action, result)
            if result.call_id:
                headers[CALL_ID] = result.call_id
        except Exception as error:  # noqa: BLE001 - the last resort: every error has a code
            fault = to_fault(error)
            errno = fault.code
            body = encode_fault(errno, fault.reason)
            took_ms = round((time.monotonic() - started) * 1000, 2)
            _log.info("request.refused", errno=errno, took_ms=took_ms)
        self._finished(asked, errno, time.monotonic() - started)
        return web.Response(body=body, headers=headers)

    async def _answer(
        self, params: Parameters, request: web.Request, facts: dict[str, str]
    ) -> tuple[Action, Result]:
        address = client_address(request, self.trusted_proxies)
        with auditing(params, address) as audit:
            user = await self._gatekeeper.authenticate(
                params.get("username", ""), params.get("password", ""), address
            )
            audit.user = user.username
            action = _choose(params)
            facts["action"] = action.name
            facts["user"] = user.username
            _check(params, action, user)
            client = Client(user.username, "" if address is None else str(address))
            result = await action.handler(self._ports_of(client), params)
            audit.call_id = result.call_id
            return action, result

    def _encode(self, action: Action, result: Result) -> bytes:
        if isinstance(result.data.get("results"), AgeingRows):
            return self._ageing[action.name].encode(result.data)
        if isinstance(result.data.get("results"), KeptRows):
            return self._kept[action.name].encode(result.data)
        return encode_success(result.data, bare_slashes=action.name in BARE_SLASHES)


def _check(params: Parameters, action: Action, user: ApiUser) -> None:
    """What all actions have in common, in the order of the contract."""
    user.require(action.permission)
    if not action.is_complete(params):
        raise Fault(120)
    hostile = control_character_in(params)
    if hostile is not None:
        raise Fault(902, name=hostile)
    check_lengths(params, action.parameters)


def _choose(params: Parameters) -> Action:
    if "action" not in params:
        raise Fault(120)
    action = ACTIONS.get(params["action"])
    if action is None:
        raise Fault(110)
    return action


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

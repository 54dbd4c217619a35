"""The legacy URL: request → parameters → action → JSON, and what goes wrong on the way.

Every answer is HTTP 200, errors included: PHP's `file_get_contents` throws a body away that comes
with any other status.
"""

import json
import secrets
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final, Protocol

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
from pbxapi.redaction import is_secret_name
from pbxapi.web.ageing import AgeingAnswer
from pbxapi.web.audit import auditing
from pbxapi.web.encoding import encode_bare_success, encode_fault, encode_success
from pbxapi.web.envelope import to_fault
from pbxapi.web.kept import KeptAnswers
from pbxapi.web.openapi import describe
from pbxapi.web.params import Params, control_character_in
from pbxapi.web.repeated import Remembered, Requests, answer_of
from pbxapi.web.requests import client_address, own_address, read_params
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
#: Those that only read, and from memory alone: they wait for nothing.
FROM_MEMORY: Final = AGEING | KEPT
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


class Recogniser(Protocol):
    """Tells from memory alone who somebody is."""

    def proof_of(self, username: str, password: str, /) -> bytes | None:
        """What may stand for this right password; None where it is not known to be right."""

    def recognise(
        self, username: str, proof: bytes, address: IpAddress | None, /
    ) -> ApiUser | None:
        """The user, if he would be let in now; None says nothing."""


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
        recogniser: Knows again who asked before; without it, no request is remembered.

    Attributes:
        ports, trusted_proxies: May be replaced at any time; requests that come later have the new.
    """

    def __init__(
        self,
        ports: Ports,
        gatekeeper: Authenticator,
        trusted_proxies: Sequence[IpNetwork],
        finished: Finished = _tell_nobody,
        recogniser: Recogniser | None = None,
    ) -> None:
        self.ports = ports
        self._gatekeeper = gatekeeper
        self.trusted_proxies = trusted_proxies
        self._finished = finished
        self._recogniser = recogniser
        self._repeated = Requests()
        self.digest = self._repeated.digest
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
            self._remember(request, action, params)
        except Exception as error:  # noqa: BLE001 - the last resort: every error has a code
            fault = to_fault(error)
            errno = fault.code
            body = encode_fault(errno, fault.reason)
            took_ms = round((time.monotonic() - started) * 1000, 2)
            _log.info("request.refused", errno=errno, took_ms=took_ms)
        self._finished(asked, errno, time.monotonic() - started)
        return web.Response(body=body, headers=headers)

    def answer(self, digest: bytes, remote: str) -> tuple[bytes, bool] | None:
        """The answer to a request that came before, told from memory alone.

        Args:
            digest: Of its bytes.
            remote: Address of its connection.

        Returns:
            The bytes, and whether the connection stays open; None where `handle` has to be asked,
            be it only because something is wrong: nothing was logged, counted or changed then.
        """
        started = time.monotonic()
        request = self._repeated.find(digest)
        address = own_address(remote, self.trusted_proxies)
        if request is None or address is None or self._recogniser is None:
            return None
        action = ACTIONS[request.action]
        username = request.params["username"]
        user = self._recogniser.recognise(username, request.proof, address)
        if user is None or action.permission not in user.permissions:
            return None
        ports = self._ports_of(Client(username, str(address)))
        try:
            body = self._encode(action, _at_once(action.handler(ports, request.params)))
        except Exception:  # noqa: BLE001 - `handle` meets it too, and says what it is
            return None
        raw = answer_of(
            request,
            body,
            content_type=CONTENT_TYPE,
            request_id=secrets.token_hex(_ID_BYTES),
            date=_date(int(time.time())),
        )
        self._finished(action.name, NO_ERROR, time.monotonic() - started)
        return raw, request.stays_open

    def _remember(self, request: web.Request, action: Action, params: Parameters) -> None:
        """It was answered: the same bytes may take the short way from now on."""
        digest = getattr(request.protocol, "digest", None)
        if digest is None or self._recogniser is None or action.name not in FROM_MEMORY:
            return
        proof = self._recogniser.proof_of(params["username"], params["password"])
        if proof is None:
            return
        major, minor = request.version
        remembered = Remembered(
            action=action.name,
            params=Params({name: params[name] for name in params if not is_secret_name(name)}),
            proof=proof,
            version=f"HTTP/{major}.{minor}",
            stays_open=request.keep_alive,
        )
        self._repeated.add(digest, remembered)

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


def _at_once(answering: Coroutine[Any, Any, Result]) -> Result:
    """What comes of it, if it waits for nothing.

    Raises:
        RuntimeError: it would have to wait; that is not done.
    """
    try:
        answering.send(None)
    except StopIteration as done:
        result: Result = done.value
        return result
    answering.close()
    raise RuntimeError("an action from memory waits for something")


@lru_cache(1)
def _date(now: int) -> str:
    """The HTTP date of this second since the epoch."""
    return formatdate(now, usegmt=True)


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

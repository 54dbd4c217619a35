"""Whatever would change something is in the audit log, whatever came of it."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import pytest
from structlog.testing import capture_logs

from pbxapi import log
from pbxapi.access.users import ApiUser, IpAddress
from pbxapi.actions import ACTIONS, Parameters, Result
from pbxapi.actions.ports import Ports
from pbxapi.config import Listen
from pbxapi.faults import Fault
from pbxapi.redaction import is_secret_name
from pbxapi.web.app import Authenticator, LegacyApi, make_app
from pbxapi.web.server import serving
from tests.contract.world import FakeGatekeeper, make_ports
from tests.services.waiting import eventually
from tests.web.http_client import PATH, Reply, ask, post

CASES: Final = Path(__file__).parents[1] / "contract" / "cases"
CHANGING: Final = sorted(name for name, action in ACTIONS.items() if not action.reads_only)
READING: Final = sorted(set(ACTIONS) - set(CHANGING))

each_changing = pytest.mark.parametrize("name", CHANGING)
Lines = list[MutableMapping[str, Any]]


class LockedOut:
    """A gatekeeper who has had enough."""

    async def authenticate(
        self, _username: str, _password: str, _address: IpAddress | None, /
    ) -> ApiUser:
        raise Fault(903)


def good_case(name: str) -> dict[str, Any]:
    """The first case of the contract in which the action succeeds, and its parameters."""
    cases = json.loads((CASES / f"{name}.json").read_text("utf-8"))
    case: dict[str, Any] = next(case for case in cases if '"success":"true"' in case["answer"])
    params = dict(parse_qsl(case["query"], keep_blank_values=True))
    return case | {"params": params | dict(parse_qsl(case.get("form", "")))}


@asynccontextmanager
async def listening(
    case: dict[str, Any], gatekeeper: Authenticator | None = None
) -> AsyncIterator[int]:
    ports, _ = make_ports(case)
    api = LegacyApi(ports, gatekeeper or FakeGatekeeper(), ())
    async with serving(make_app(api, PATH), Listen("127.0.0.1", 0)) as url:
        yield int(url.rpartition(":")[2])


def entries(logs: Lines) -> Lines:
    return [entry for entry in logs if entry["event"] == "audit.action"]


async def audited(
    case: dict[str, Any], params: dict[str, str], gatekeeper: Authenticator | None = None
) -> tuple[MutableMapping[str, Any], Reply]:
    """The one line of a request, and its answer."""
    with capture_logs([log.add_request_facts]) as logs:
        async with listening(case, gatekeeper) as port:
            reply = await ask(port, urlencode(params).encode())
    (entry,) = entries(logs)
    assert entry["request_id"] == reply.headers["x-request-id"]
    assert entry["took_ms"] >= 0
    return entry, reply


@each_changing
async def test_what_was_done_is_told_with_who_from_where_and_what(name: str) -> None:
    case = good_case(name)
    entry, reply = await audited(case, case["params"])

    assert (entry["action"], entry["result"]) == (name, "done")
    assert "errno" not in entry
    assert (entry["user"], entry["proven"], entry["address"]) == ("voipsun", True, "127.0.0.1")
    assert entry.get("call_id", "") == reply.headers.get("x-pbxapi-call-id", "")
    assert entry["parameters"] == {
        key: value
        for key, value in sorted(case["params"].items())
        if key in ACTIONS[name].parameters and not is_secret_name(key)
    }


def without_the_required(params: dict[str, str]) -> dict[str, str]:
    return {key: params[key] for key in ("username", "password", "action")}


FORM: Final = b"application/x-www-form-urlencoded"
Params = dict[str, str]
REFUSALS: Final[dict[str, tuple[Callable[[Params], Params], int, bool]]] = {
    "wrong password": (lambda params: params | {"password": "hunter2"}, 100, False),
    "unknown user": (lambda params: params | {"username": "stranger"}, 100, False),
    "from elsewhere": (lambda params: params | {"username": "elsewhere"}, 100, False),
    "no permission": (lambda params: params | {"username": "nobody"}, 100, True),
    "control character": (lambda params: params | {"x": "a\r\nb"}, 902, True),
}


@each_changing
@pytest.mark.parametrize("why", REFUSALS)
async def test_what_was_refused_is_told_too(name: str, why: str) -> None:
    change, errno, proven = REFUSALS[why]
    case = good_case(name)
    params = change(case["params"])
    entry, reply = await audited(case, params)

    assert reply.data["errno"] == str(errno)
    assert (entry["action"], entry["result"], entry["errno"]) == (name, "refused", errno)
    assert (entry["user"], entry["proven"]) == (params["username"], proven)


@each_changing
async def test_a_request_that_lacks_a_parameter_is_told(name: str) -> None:
    case = good_case(name)
    entry, reply = await audited(case, without_the_required(case["params"]))

    assert reply.data["errno"] in {"120", "400"}
    assert (entry["result"], str(entry["errno"])) == ("refused", reply.data["errno"])
    assert entry["parameters"] == {}


@each_changing
async def test_one_who_is_locked_out_is_told(name: str) -> None:
    case = good_case(name)
    entry, _ = await audited(case, case["params"], LockedOut())

    assert (entry["action"], entry["errno"], entry["proven"]) == (name, 903, False)


@each_changing
async def test_a_bug_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(_ports: Ports, _params: Parameters) -> Result:
        raise ZeroDivisionError

    monkeypatch.setitem(ACTIONS, name, replace(ACTIONS[name], handler=broken))
    case = good_case(name)
    entry, _ = await audited(case, case["params"])

    assert (entry["result"], entry["errno"]) == ("refused", 905)


class Slow:
    """A handler that waits until it is let go."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go_on = asyncio.Event()

    async def __call__(self, _ports: Ports, _params: Parameters) -> Result:
        self.begun.set()
        await self.go_on.wait()
        return Result(call_id="pbxapi-1")


@each_changing
async def test_one_whose_client_has_hung_up_is_told(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    monkeypatch.setitem(ACTIONS, name, replace(ACTIONS[name], handler=slow))
    case = good_case(name)
    with capture_logs() as logs:
        async with listening(case) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"GET {PATH}?{urlencode(case['params'])} HTTP/1.0\r\n\r\n".encode())
            await slow.begun.wait()
            writer.transport.abort()
            await asyncio.sleep(0)
            slow.go_on.set()
            await eventually(lambda: entries(logs), within_s=5, what="the request is over")
    (entry,) = entries(logs)
    assert (entry["result"], entry["call_id"]) == ("done", "pbxapi-1")


async def test_one_that_the_end_of_the_daemon_cut_off_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pbxapi.web.server.GRACE_S", 0.05)
    slow = Slow()
    monkeypatch.setitem(ACTIONS, "originate", replace(ACTIONS["originate"], handler=slow))
    case = good_case("originate")
    with capture_logs() as logs:
        async with listening(case) as port:
            request = asyncio.create_task(ask(port, urlencode(case["params"]).encode()))
            await slow.begun.wait()
        await asyncio.gather(request, return_exceptions=True)
    (entry,) = entries(logs)
    assert (entry["result"], "errno" in entry) == ("abandoned", False)


@pytest.mark.parametrize("name", [*READING, "nonsense", ""])
async def test_what_only_reads_is_not_told(name: str) -> None:
    params = {"username": "voipsun", "password": "secretpwd", "action": name}
    with capture_logs() as logs:
        async with listening({}) as port:
            await ask(port, urlencode(params).encode())
    assert entries(logs) == []


SECRETS: Final = {"password": "hunter2-pass", "agentPin": "hunter2-pin", "apiKey": "hunter2-key"}
HOSTILE: Final = (
    "a\r\n\r\nevent=audit.action",
    '", "event": "audit.action", "x": "',
    "\x00\x1b[2J\x7f\x9b",
    "a\u2028b\u2029c\u0085d\u202e",
    "\ud800",
    "%s{0}%(x)s",
    "x" * 200_000,
)


@pytest.fixture(params=["json", "console"])
def stream(request: pytest.FixtureRequest) -> io.StringIO:
    """Where the lines go, in each form."""
    stream = io.StringIO()
    log.configure("info", request.param, stream=stream)
    return stream


@each_changing
async def test_no_level_of_the_log_silences_it(name: str) -> None:
    stream = io.StringIO()
    log.configure("critical", "json", stream=stream)
    async with listening({}) as port:
        await ask(port, urlencode({"username": "voipsun", "action": name}).encode())
    (line,) = stream.getvalue().splitlines()
    assert (json.loads(line)["event"], json.loads(line)["action"]) == ("audit.action", name)


@each_changing
async def test_no_value_forges_a_line_and_no_secret_is_in_one(
    name: str, stream: io.StringIO
) -> None:
    """Every parameter of the action, and the name of the user, with each hostile text."""
    names = [*sorted(ACTIONS[name].parameters - set(SECRETS)), "username", "unknown\nname"]
    async with listening({}) as port:
        for value in HOSTILE:
            params = {"action": name, **SECRETS, **dict.fromkeys(names, value)}
            pairs = [(key, text.encode("utf-8", "surrogatepass")) for key, text in params.items()]
            before = len(stream.getvalue())
            await post(port, urlencode(pairs).encode()[:250_000], FORM)
            lines = stream.getvalue()[before:].split("\n")
            assert len(lines) == 3, "audit.action, request.refused and the end"
            assert all(map(str.isprintable, lines))
            assert max(map(len, lines)) < 20_000
    assert "hunter2" not in stream.getvalue()

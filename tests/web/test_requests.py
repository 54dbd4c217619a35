"""Requests on real sockets, as clients of all ages send them."""

import asyncio
import ipaddress
import logging
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from structlog.testing import capture_logs

from pbxapi.access.users import IpNetwork
from pbxapi.config import Listen
from pbxapi.faults import Fault
from pbxapi.web import connection, requests
from pbxapi.web.app import MAX_BODY_BYTES, LegacyApi, make_app
from pbxapi.web.params import MAX_VARIABLES
from pbxapi.web.requests import client_address, read_params
from pbxapi.web.server import serving
from tests.contract.world import FakeGatekeeper, make_ports
from tests.services.waiting import eventually
from tests.web.http_client import PATH, Reply, ask, exchange, post

FORM = b"application/x-www-form-urlencoded"
WHO = b"username=voipsun&password=secretpwd"
HALF_A_FORM = (
    b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: 10\r\n\r\na=1"
    % (PATH.encode(), FORM)
)
TRUSTED = tuple(map(ipaddress.ip_network, ("127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32")))


async def echo(request: web.Request) -> web.Response:
    """What was understood of a request."""
    try:
        params = dict(await read_params(request))
    except Fault as fault:
        return web.json_response({"errno": fault.code, "reason": fault.reason})
    return web.json_response({"params": params, "client": str(client_address(request, TRUSTED))})


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    """A server that tells what it understood."""
    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_get(PATH, echo)
    app.router.add_post(PATH, echo)
    async with serving(app, Listen("127.0.0.1", 0)) as url:
        yield int(url.rpartition(":")[2])


@pytest_asyncio.fixture
async def legacy_port() -> AsyncIterator[int]:
    """The legacy API on a PBX without calls."""
    ports, _ = make_ports({})
    app = make_app(LegacyApi(ports, FakeGatekeeper(), ()), PATH)
    async with serving(app, Listen("127.0.0.1", 0)) as url:
        yield int(url.rpartition(":")[2])


def params(reply: Reply) -> dict[str, str]:
    assert reply.status == 200
    understood: dict[str, str] = reply.data["params"]
    return understood


# What is in the request line


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"\x8elu\x9dou\xe8k\xfd", "Žluťoučký"),
        ("Žluťoučký".encode(), "Žluťoučký"),
        (b"%8Elu\x9d", "Žluť"),
        (b"a+b%2Bc", "a b+c"),
        (b"%zz%4", "%zz%4"),
        (b"*21", "*21"),
        (b"1#frag=2", "1"),
        (b"\\%5C\"'<>{}|^`", "\\\\\"'<>{}|^`"),
    ],
)
async def test_a_value_in_the_url_is_what_the_client_meant(
    port: int, raw: bytes, value: str
) -> None:
    assert params(await ask(port, b"a=" + raw)) == {"a": value}


async def test_raw_bytes_are_understood_in_every_request_of_a_connection(port: int) -> None:
    request = b"POST %b?a=\xe8 HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: 3\r\n%b"
    path = PATH.encode()
    stream = request % (path, FORM, b"\r\nb=\xec") + request % (
        path,
        FORM,
        b"Connection: close\r\n\r\nb=\xe9",
    )
    reply = await exchange(port, *(stream[i : i + 7] for i in range(0, len(stream), 7)))
    assert b'"a": "\\u010d", "b": "\\u011b"' in reply.raw
    assert b'"a": "\\u010d", "b": "\\u00e9"' in reply.raw


@pytest.mark.parametrize(
    "url",
    [f"http://pbx:8080{PATH}?a=1", f"{PATH}?a=1", "/%61pi/api.php?a=1"],
)
async def test_the_path_is_found_in_all_its_forms(port: int, url: str) -> None:
    request = f"GET {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    assert params(await exchange(port, request.encode())) == {"a": "1"}


async def test_http_1_0_as_file_get_contents_speaks_it(port: int) -> None:
    """No keep-alive, no Host where a script talks to the socket itself; the answer has a length."""
    reply = await exchange(port, f"GET {PATH}?a=1 HTTP/1.0\r\n\r\n".encode())
    assert params(reply) == {"a": "1"}
    assert int(reply.headers["content-length"]) == len(reply.body)
    body = b"a=1&b=2"
    head = (
        f"POST {PATH} HTTP/1.0\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
    )
    type_ = b"Content-Type: %b\r\n\r\n" % FORM
    assert params(await exchange(port, head.encode() + type_ + body)) == {"a": "1", "b": "2"}


async def test_a_very_long_query_is_read(port: int) -> None:
    query = b"&".join(b"p%d=%b" % (number, b"%C5%BE" * 255) for number in range(13))
    assert len(query) > 19_000
    assert len(params(await ask(port, query))) == 13


async def test_a_query_of_100_kb_is_refused_in_json_that_names_the_parameter(
    legacy_port: int,
) -> None:
    query = WHO + b"&action=hangupcall&channelName=" + b"x" * 100_000
    reply = await ask(legacy_port, query)
    assert (reply.status, reply.data["errno"]) == (200, "902")
    assert reply.data["reason"] == "Invalid value of parameter channelName"


# Bodies


@pytest.mark.parametrize(
    "content_type",
    [
        FORM,
        b"application/x-www-form-urlencoded; charset=UTF-8",
        b"application/x-www-form-urlencoded;charset=windows-1250",
        b"Application/X-WWW-Form-URLencoded , x",
        b"application/x-www-form-urlencoded charset=UTF-8",
    ],
)
async def test_a_form_is_read_whatever_else_its_type_says(port: int, content_type: bytes) -> None:
    reply = await post(port, b"a=%8E&b=\x8e", content_type, b"a=0&c=1")
    assert params(reply) == {"a": "Ž", "b": "Ž", "c": "1"}


@pytest.mark.parametrize("content_type", [b"text/plain", b"application/json", b"", b";"])
async def test_a_body_that_is_no_form_is_not_looked_at(port: int, content_type: bytes) -> None:
    assert params(await post(port, b"a=1", content_type, b"b=2")) == {"b": "2"}


async def test_a_form_sent_by_get_is_not_looked_at(port: int) -> None:
    reply = await ask(port, b"b=2", b"Content-Type: " + FORM, body=b"a=1")
    assert params(reply) == {"b": "2"}


async def test_a_chunked_form_is_read(port: int) -> None:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {FORM.decode()}\r\n"
    )
    chunks = (
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"2\r\na=\r\n",
        b"2;x=y\r\n\x8e1\r\n",
        b"0\r\n\r\n",
    )
    assert params(await exchange(port, head.encode(), *chunks)) == {"a": "Ž1"}


async def test_expect_100_continue_is_answered_at_once(port: int) -> None:
    """As libcurl asks before a body of more than a kilobyte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Type: %b\r\nContent-Length: 3\r\n"
        b"Expect: 100-continue\r\nConnection: close\r\n\r\n" % (PATH.encode(), FORM)
    )
    async with asyncio.timeout(5):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"a=1")
        assert params(Reply(await reader.read())) == {"a": "1"}
    writer.close()


BODY = (
    b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n\x8e\r\n'
    b'--B\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nfile\r\n'
    b'--B\r\nContent-Disposition: form-data; name="b"\r\nContent-Type: multipart/mixed; boundary=C'
    b"\r\n\r\n--C\r\n\r\n1\r\n--C--\r\n--B--\r\n"
)


@pytest.mark.parametrize(
    ("content_type", "body", "understood"),
    [
        (b"multipart/form-data; boundary=B", BODY, {"a": "Ž", "b": "--C\r\n\r\n1\r\n--C--"}),
        (b"multipart/form-data", BODY, {}),
        (b"multipart/form-data; boundary=", BODY, {}),
        (b"multipart/form-data; boundary=X", BODY, {}),
        (b"multipart/form-data; boundary=" + b"B" * 100, BODY, {}),
        (b"multipart/form-data; boundary=B", b"\0\xff garbage", {}),
        (b"multipart/form-data; boundary=B", b"", {}),
        (b"multipart/mixed; boundary=B", BODY, {}),
    ],
)
async def test_a_multipart_form_has_its_fields_and_nothing_else(
    port: int, content_type: bytes, body: bytes, understood: dict[str, str]
) -> None:
    reply = await post(port, body, content_type, b"q=1")
    assert params(reply) == {"q": "1"} | understood


async def test_more_than_1000_fields_are_not_read(port: int) -> None:
    part = b'--B\r\nContent-Disposition: form-data; name="p%d"\r\n\r\n1\r\n'
    body = b"".join(part % number for number in range(MAX_VARIABLES + 50))
    reply = await post(port, body, b"multipart/form-data; boundary=B")
    assert len(params(reply)) == MAX_VARIABLES
    reply = await post(port, b"&".join(b"p%d=1" % n for n in range(MAX_VARIABLES + 50)), FORM)
    assert len(params(reply)) == MAX_VARIABLES + 1  # PHP counts so


@pytest.mark.parametrize("content_type", [FORM, b"multipart/form-data; boundary=B"])
async def test_a_body_over_the_limit_is_902_in_json(legacy_port: int, content_type: bytes) -> None:
    with capture_logs() as logs:
        reply = await post(legacy_port, b"x" * (MAX_BODY_BYTES + 1), content_type, WHO)
    assert reply.status == 200
    assert reply.data == {
        "success": "false",
        "errno": "902",
        "reason": "Invalid value of parameter body",
    }
    assert {entry["log_level"] for entry in logs} == {"info"}, "a client's fault is no bug"


async def test_a_body_of_exactly_the_limit_is_read(port: int) -> None:
    body = b"a=" + b"x" * (MAX_BODY_BYTES - 2)
    assert len(params(await post(port, body, FORM))["a"]) == MAX_BODY_BYTES - 2


async def test_a_compressed_body_is_not_unpacked(port: int) -> None:
    """PHP does not either; and there can be no bomb in it."""
    reply = await ask(
        port,
        b"q=1",
        b"Content-Encoding: gzip",
        b"Content-Type: " + FORM,
        method=b"POST",
        body=b"a=1",
    )
    assert params(reply) == {"q": "1", "a": "1"}


async def test_a_body_that_does_not_come_is_902(
    legacy_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "BODY_TIMEOUT_S", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", legacy_port)
    with capture_logs() as logs:
        writer.write(HALF_A_FORM)
        async with asyncio.timeout(5):
            answer = await reader.readuntil(b"}")
    writer.close()
    assert b" 200 OK\r\n" in answer
    assert b'"errno":"902","reason":"Invalid value of parameter body"' in answer
    assert {entry["log_level"] for entry in logs} == {"info"}


async def test_broken_chunks_are_no_bug_of_ours(
    legacy_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are 400 where they come at once, 902 where the request is being handled already."""
    monkeypatch.setattr(requests, "BODY_TIMEOUT_S", 0.1)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM.decode()}\r\n".encode()
    with capture_logs() as logs:
        reply = await exchange(legacy_port, head + b"Transfer-Encoding: chunked\r\n\r\n", b"zz\r\n")
    assert reply.status == 400 or b'"errno":"902"' in reply.body
    assert {entry["log_level"] for entry in logs} == {"info"}


async def test_a_client_that_goes_away_in_its_body_is_no_bug_of_ours(legacy_port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", legacy_port)
    with capture_logs() as logs:
        writer.write(HALF_A_FORM)
        await writer.drain()
        writer.close()
        await eventually(lambda: logs, within_s=5, what="the request is over")
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("request.refused", "info")]


# What is no request of a client of ours


@pytest.mark.parametrize("method", [b"PUT", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE"])
async def test_other_methods_are_405(legacy_port: int, method: bytes) -> None:
    reply = await ask(legacy_port, method=method)
    assert reply.status == 405
    assert reply.headers["allow"] == "GET,HEAD,POST"


@pytest.mark.parametrize("path", ["/", "/api", "/api/api.php/", "/API/api.php", "//api/api.php"])
async def test_other_paths_are_404(legacy_port: int, path: str) -> None:
    assert (await ask(legacy_port, WHO, path=path)).status == 404


async def test_head_is_a_get_without_its_body(legacy_port: int) -> None:
    reply = await ask(legacy_port, WHO + b"&action=listcalls", method=b"HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


_SECRET = b"password=secretpwd"
BAD_REQUESTS = {
    "a blank in the URL": b"GET %b?" + _SECRET + b"&a=1 2 HTTP/1.1\r\nHost: x\r\n\r\n",
    "a control character": b"GET %b?" + _SECRET + b"&a=\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
    "no Host": b"GET %b?" + _SECRET + b" HTTP/1.1\r\n\r\n",
    "two lengths": b"GET %b?" + _SECRET + b" HTTP/1.1\r\n" + b"Content-Length: 1\r\n" * 2 + b"\r\n",
    "an endless URL": b"GET %b?" + _SECRET + b"x" * MAX_BODY_BYTES + b" HTTP/1.1\r\n\r\n",
    "an endless header": b"GET %b HTTP/1.1\r\n" + _SECRET + b"x" * 100_000 + b"\r\n\r\n",
    "no HTTP": _SECRET + b"%b\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01%b" + _SECRET,
}


@pytest.mark.parametrize("what", BAD_REQUESTS)
async def test_what_is_no_http_is_400_and_neither_answer_nor_log_repeat_it(
    legacy_port: int, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        reply = await exchange(legacy_port, BAD_REQUESTS[what] % PATH.encode())
    assert (reply.status, reply.body) == (400, b"Bad Request\n")
    assert [entry["event"] for entry in logs] == ["http.bad_request"]
    assert "secretpwd" not in f"{logs} {caplog.text}"


@pytest.mark.parametrize(
    "request_",
    [
        b"GET %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % PATH.encode(),
        b"GET /elsewhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        b"PUT %b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" % PATH.encode(),
        b"GET %b HTTP/1.1\r\nHost: x\r\nExpect: money\r\nConnection: close\r\n\r\n" % PATH.encode(),
        b"nonsense\r\n\r\n",
    ],
)
async def test_no_answer_tells_of_versions(legacy_port: int, request_: bytes) -> None:
    reply = await exchange(legacy_port, request_)
    assert reply.headers["server"] == "pbxapi"
    assert b"aiohttp" not in reply.raw
    assert b"Python" not in reply.raw


async def test_half_a_request_is_closed_in_time(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.1)
    for half in (b"", b"GET /api", f"GET {PATH} HTTP/1.1\r\nHost: x\r\n".encode()):
        assert (await exchange(port, half)).raw == b""


async def test_half_a_second_request_is_closed_in_time_and_an_idle_connection_is_not(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    request = f"GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    for _ in range(2):
        writer.write(request)
        await reader.readuntil(b"}")
        await asyncio.sleep(0.3)  # longer than a head may take, and nothing has begun
        assert not reader.at_eof()
    writer.write(request[:-2])
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()


async def test_a_slow_but_complete_request_is_answered(port: int) -> None:
    request = f"GET {PATH}?a=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    assert params(await exchange(port, *(request[i : i + 1] for i in range(len(request))))) == {
        "a": "1"
    }


# What an answer and the log have


async def test_every_answer_has_an_id_of_its_own(legacy_port: int) -> None:
    replies = await asyncio.gather(*(ask(legacy_port) for _ in range(20)))
    ids = {reply.headers["x-request-id"] for reply in replies}
    assert len(ids) == 20
    assert all(len(one) == 16 and set(one) <= set("0123456789abcdef") for one in ids)


async def test_every_request_is_told_of_when_it_has_its_answer() -> None:
    told: list[tuple[str | None, int]] = []
    ports, _ = make_ports({})
    api = LegacyApi(ports, FakeGatekeeper(), (), lambda name, errno, _s: told.append((name, errno)))
    async with serving(make_app(api, PATH), Listen("127.0.0.1", 0)) as url:
        port = int(url.rpartition(":")[2])
        for query in (b"action=listcalls", b"action=no-such", b""):
            await ask(port, WHO + b"&" + query)
        await ask(port, b"action=listcalls")
    assert told == [("listcalls", 0), ("no-such", 110), (None, 120), ("listcalls", 100)]


async def test_there_is_no_access_log(legacy_port: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        await ask(legacy_port, WHO + b"&action=listcalls")
        await ask(legacy_port, WHO, path="/elsewhere")
    assert logs == []
    assert [record for record in caplog.records if record.name.startswith("aiohttp")] == []


# Where it came from


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        ([], "127.0.0.1"),
        (["192.0.2.1"], "192.0.2.1"),
        (["203.0.113.5, 192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1, 10.0.0.1"], "192.0.2.1"),
        (["192.0.2.1", "10.0.0.1"], "192.0.2.1"),
        (["203.0.113.5, 192.0.2.1, 10.0.0.1,10.0.0.2"], "192.0.2.1"),
        (["10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        (["192.0.2.1, junk"], "127.0.0.1"),
        (["192.0.2.1, junk, 10.0.0.1"], "10.0.0.1"),
        (["192.0.2.1:8080"], "127.0.0.1"),
        (["unknown"], "127.0.0.1"),
        ([""], "127.0.0.1"),
        ([",,"], "127.0.0.1"),
        (["::ffff:192.0.2.1"], "192.0.2.1"),
        (["192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
        (["2001:db9::1, 2001:db8::1"], "2001:db9::1"),
        (["1e1.0.0.1"], "127.0.0.1"),
        (["\xe8"], "127.0.0.1"),
    ],
)
async def test_the_client_is_who_the_last_trusted_proxy_says(
    port: int, forwarded: list[str], client: str
) -> None:
    headers = [b"X-Forwarded-For: " + value.encode("latin-1") for value in forwarded]
    assert (await ask(port, b"", *headers)).data["client"] == client


@pytest.mark.parametrize(
    ("remote", "trusted", "client"),
    [
        ("192.0.2.9", (), "192.0.2.9"),
        ("::ffff:192.0.2.9", (), "192.0.2.9"),
        ("::ffff:10.0.0.9", TRUSTED, "203.0.113.5"),
        ("2001:db8::9", TRUSTED, "203.0.113.5"),
        ("2001:db9::9", TRUSTED, "2001:db9::9"),
        ("fe80::1%eth0", (), "fe80::1%eth0"),
        ("", (), "203.0.113.5"),
    ],
)
def test_nobody_is_believed_but_a_trusted_proxy_or_the_one_before_a_unix_socket(
    remote: str, trusted: tuple[IpNetwork, ...], client: str
) -> None:
    """A peer without an address is one on a unix socket."""
    request = make_mocked_request("GET", PATH, {"X-Forwarded-For": "203.0.113.5"})
    assert str(client_address(request.clone(remote=remote), trusted)) == client


def test_an_address_that_nobody_tells_is_none() -> None:
    assert client_address(make_mocked_request("GET", PATH).clone(remote=""), TRUSTED) is None

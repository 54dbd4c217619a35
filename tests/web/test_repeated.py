"""Requests that come again: the answer of the short way is that of the long one."""

import asyncio
import ipaddress
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from aiohttp import web
from structlog.testing import capture_logs

from pbxapi.access.credentials import Gatekeeper
from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS
from pbxapi.actions import ACTIONS
from pbxapi.config import Listen
from pbxapi.web import app as web_app, connection, repeated
from pbxapi.web.app import FROM_MEMORY, LegacyApi, make_app
from pbxapi.web.repeated import MAX_HEAD_BYTES, MAX_REMEMBERED, Remembered, Requests
from pbxapi.web.server import serving
from tests.access.users import Clock, Users
from tests.contract.world import make_ports
from tests.web.http_client import PATH

#: The row that `Users` begins with, allowed to do everything.
ALL = {"permissions": sorted(PERMISSIONS)}
PARAMETERS = {"queuestatus": b"&queueName=sales"}
VARYING = re.compile(rb"(X-Request-Id|Date): [^\r]*")
COUNTERS = ("Max", "Calls", "Holdtime", "TalkTime", "Completed", "Abandoned", "Weight")
SALES = {"Queue": "sales", "Strategy": "ringall", "ServiceLevel": "0", "ServicelevelPerf": "0.0"}
QUEUE = {"queues": [["QueueParams", {**SALES, **dict.fromkeys(COUNTERS, "0")}]]}


class CountedApi(LegacyApi):
    """Counts the requests that took the long way."""

    long = 0

    async def handle(self, request: web.Request) -> web.Response:
        self.long += 1
        return await super().handle(request)


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, *parts: bytes) -> bytes:
        for part in parts:
            self.writer.write(part)
            await asyncio.sleep(0.01 if len(parts) > 1 else 0)
        return await self.answer()

    async def answer(self) -> bytes:
        async with asyncio.timeout(10):
            head = await self.reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"Content-Length: (\d+)", head)
            assert length
            return head + await self.reader.readexactly(int(length[1]))


@dataclass
class World:
    """What a test may change."""

    port: int
    api: CountedApi
    gate: Gatekeeper
    users: Users
    clock: Clock
    told: Counter[tuple[str | None, int]]

    async def client(self) -> Client:
        return Client(*await asyncio.open_connection("127.0.0.1", self.port))

    async def ask_apart(self, head: bytes) -> bytes:
        client = await self.client()
        try:
            return await client.ask(head)
        finally:
            client.writer.close()

    async def took_long_way(self, head: bytes) -> tuple[bool, bytes]:
        before = self.api.long
        got = await self.ask_apart(head)
        return self.api.long > before, got


@pytest_asyncio.fixture
async def world() -> AsyncIterator[World]:
    users, clock = Users("u"), Clock()
    users.put("u", **ALL)
    told: Counter[tuple[str | None, int]] = Counter()
    ports, _ = make_ports(QUEUE)
    async with Gatekeeper(users, max_failures=3, lockout_s=60, clock=clock) as gate:
        api = CountedApi(
            ports, gate, (), lambda name, errno, _s: told.update([(name, errno)]), gate
        )
        served = serving(make_app(api, PATH), Listen("127.0.0.1", 0), short_way=api)
        async with served as url:
            yield World(int(url.rpartition(":")[2]), api, gate, users, clock, told)


def head(action: str, version: bytes = b"1.1", kept: bytes = b"", extra: bytes = b"") -> bytes:
    query = b"username=u&password=secretpwd&action=" + action.encode()
    query += PARAMETERS.get(action, b"") + extra
    lines = [b"GET %b?%b HTTP/%b" % (PATH.encode(), query, version), b"Host: pbx"]
    lines += [b"Connection: " + kept] if kept else []
    return b"\r\n".join([*lines, b"", b""])


LISTCALLS = head("listcalls")


@pytest.mark.parametrize("action", sorted(FROM_MEMORY))
@pytest.mark.parametrize(
    ("version", "kept"),
    [(b"1.1", b""), (b"1.1", b"close"), (b"1.0", b""), (b"1.0", b"keep-alive")],
)
async def test_both_ways_give_the_same_bytes_and_the_same_end(
    world: World, action: str, version: bytes, kept: bytes
) -> None:
    asked = head(action, version, kept)
    got, ends = [], []
    for _ in range(2):
        client = await world.client()
        got.append(await client.ask(asked))
        try:
            async with asyncio.timeout(0.1):
                ends.append(await client.reader.read())
        except TimeoutError:
            ends.append(b"open")
        client.writer.close()
    assert b'success":' in got[0]
    assert VARYING.findall(got[0]) == VARYING.findall(got[1])
    assert VARYING.sub(b"", got[0]) == VARYING.sub(b"", got[1])
    assert got[0] != got[1]  # the request's id
    assert ends[0] == ends[1]
    assert world.api.long == 1
    assert world.told == {(action, 0): 2}


def test_only_what_reads_from_memory_is_remembered() -> None:
    assert all(ACTIONS[name].reads_only for name in FROM_MEMORY)


async def test_nothing_is_logged_on_either_way(world: World) -> None:
    await world.ask_apart(LISTCALLS)
    with capture_logs() as logs:
        assert not (await world.took_long_way(LISTCALLS))[0]
    assert logs == []


@pytest.mark.parametrize(
    "asked", [head("agentstatus"), head("hangupcall"), head("listcalls").replace(b"GET", b"HEAD")]
)
async def test_what_is_not_remembered(world: World, asked: bytes) -> None:
    client = await world.client()
    for _ in range(3):
        client.writer.write(asked)
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.close()
        client = await world.client()
    client.writer.close()
    assert world.api.long == 3
    assert len(world.api._repeated) == 0


Change = Callable[[World], None]


def _lock(world: World) -> None:
    for _ in range(3):
        world.gate.lockout.failed("u", ipaddress.ip_address("127.0.0.1"))


CHANGES: dict[str, tuple[Change, bytes]] = {
    "password": (lambda w: w.users.put("u", password_hash=hash_password("other")), b'"100"'),
    "disabled": (lambda w: w.users.put("u", enabled=False), b'"100"'),
    "permission": (lambda w: w.users.put("u", permissions=["originate"]), b'"100"'),
    "network": (lambda w: w.users.put("u", networks=["192.0.2.0/24"]), b'"100"'),
    "removed": (lambda w: w.users.rows.clear(), b'"100"'),
}


@pytest.mark.parametrize("change", sorted(CHANGES))
@pytest.mark.parametrize("by", ["age", "reload"])
async def test_a_change_of_the_user_holds_as_on_the_long_way(
    world: World, change: str, by: str
) -> None:
    await world.ask_apart(LISTCALLS)
    assert not (await world.took_long_way(LISTCALLS))[0]
    CHANGES[change][0](world)
    if by == "reload":
        world.gate.all_changed()
    else:
        world.clock.now += 6  # older than any row may get
    for _ in range(2):
        long, got = await world.took_long_way(LISTCALLS)
        assert long
        assert CHANGES[change][1] in got


async def test_who_is_locked_out_is_so_for_what_is_remembered(world: World) -> None:
    await world.ask_apart(LISTCALLS)
    assert not (await world.took_long_way(LISTCALLS))[0]
    _lock(world)
    long, got = await world.took_long_way(LISTCALLS)
    assert long
    assert b'"903"' in got
    assert world.gate.lockout.refused == 1


async def test_a_proxy_that_is_trusted_from_now_on_may_speak_for_others(world: World) -> None:
    await world.ask_apart(LISTCALLS)
    world.api.trusted_proxies = (ipaddress.ip_network("127.0.0.0/8"),)
    assert (await world.took_long_way(LISTCALLS))[0]


async def test_a_home_is_noted_anew_by_the_long_way(world: World) -> None:
    await world.ask_apart(LISTCALLS)
    world.clock.now += 61
    assert (await world.took_long_way(LISTCALLS))[0]
    assert not (await world.took_long_way(LISTCALLS))[0]


async def test_an_error_comes_by_the_long_way(world: World) -> None:
    asked = head("queuestatus")
    await world.ask_apart(asked)
    ports, _ = make_ports({})
    world.api.ports = ports
    long, got = await world.took_long_way(asked)
    assert long
    assert b'"success":"false"' in got
    assert sum(world.told.values()) == 2


async def test_a_connection_takes_both_ways_in_turn(world: World) -> None:
    client = await world.client()
    for _ in range(3):
        await client.ask(LISTCALLS)
    other = head("sipstatus")
    assert b'"_debug"' in await client.ask(other)
    assert b'"_debug"' in await client.ask(other)
    cut = len(LISTCALLS) // 2
    assert b'"results"' in await client.ask(LISTCALLS[:cut], LISTCALLS[cut:])
    assert world.api.long == 3
    await client.ask(LISTCALLS)
    assert world.api.long == 3
    client.writer.write(LISTCALLS + other + LISTCALLS)
    kinds = [b'"_debug"' in await client.answer() for _ in range(3)]
    assert kinds == [False, True, False]
    assert world.api.long == 6
    await client.ask(LISTCALLS)
    assert world.api.long == 6
    client.writer.close()


@pytest.mark.parametrize("size", [1, len(LISTCALLS) - 1, len(LISTCALLS) - 4])
async def test_the_end_of_a_head_that_was_remembered_is_no_request(world: World, size: int) -> None:
    """A whole request after a part of one belongs to it."""
    await world.ask_apart(LISTCALLS)
    client = await world.client()
    got = await client.ask(LISTCALLS[:size], LISTCALLS)
    assert got.startswith(b"HTTP/1.")
    assert world.told.total() <= world.api.long
    client.writer.close()


def test_what_a_bare_line_feed_may_end_is_not_remembered() -> None:
    """However the parser reads it: it might be two requests."""
    assert not repeated.may_be_remembered(LISTCALLS.replace(b"\r\n", b"\n") + LISTCALLS[4:])
    assert not repeated.may_be_remembered(
        LISTCALLS.replace(b"\r\nHost", b"\n\nGET / HTTP/1.1\r\nHost")
    )


async def test_an_action_that_is_not_from_memory_is_read_each_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_app, "FROM_MEMORY", frozenset({"sipstatus"}))
    for _ in range(2):
        assert (await world.took_long_way(LISTCALLS))[0]


async def test_a_connection_that_asks_by_the_short_way_is_not_cut_for_its_head(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.ask_apart(LISTCALLS)
    monkeypatch.setattr(connection, "HEAD_TIMEOUT_S", 0.1)
    client = await world.client()
    await client.ask(LISTCALLS)
    await asyncio.sleep(0.3)
    await client.ask(LISTCALLS)
    assert world.api.long == 1
    client.writer.close()


async def test_a_connection_at_rest_ends_later_after_each_answer_of_the_short_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.ask_apart(LISTCALLS)
    monkeypatch.setattr(connection, "KEEPALIVE_S", 0.6)
    client = await world.client()
    for _ in range(3):
        await client.ask(LISTCALLS)
        await asyncio.sleep(0.4)
    assert world.api.long == 1
    async with asyncio.timeout(10):
        assert await client.reader.read() == b""
    client.writer.close()


@pytest.mark.parametrize(
    "header",
    [b"Content-Length: 0", b"Transfer-Encoding: chunked", b"Upgrade: x", b"Expect: 100-continue"],
)
def test_what_may_have_more_than_a_head_is_not_remembered(header: bytes) -> None:
    assert repeated.may_be_remembered(LISTCALLS)
    assert not repeated.may_be_remembered(LISTCALLS[:-2] + header + b"\r\n\r\n")


def test_nothing_but_one_short_head_is_remembered() -> None:
    assert not repeated.may_be_remembered(LISTCALLS + LISTCALLS)
    assert not repeated.may_be_remembered(LISTCALLS[:-1])
    assert not repeated.may_be_remembered(head("listcalls", extra=b"&x=\xe8"))
    assert not repeated.may_be_remembered(head("listcalls", extra=b"&x=" + b"y" * MAX_HEAD_BYTES))


async def test_who_does_not_read_gets_no_more_by_the_short_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits in memory is bounded by the long way, which waits for its client."""
    monkeypatch.setattr(world.api, "_encode", lambda _action, _result: bytes(16 * 1024 * 1024))
    asked = head("sipstatus")
    await world.ask_apart(asked)
    client = await world.client()
    for _ in range(5):
        client.writer.write(asked)
        await asyncio.sleep(0.05)
    assert world.told[("sipstatus", 0)] <= 3
    for _ in range(5):
        assert len(await client.answer()) > 16 * 1024 * 1024
    client.writer.close()


def test_memory_is_bounded_and_has_no_secrets() -> None:
    requests = Requests()
    first = requests.digest(b"0")
    one = Remembered("listcalls", {}, b"", "HTTP/1.1", True)
    for number in range(10_000):
        requests.add(requests.digest(b"%d" % number), one)
    assert len(requests) == MAX_REMEMBERED
    assert requests.find(first) is None
    assert Requests().digest(b"0") != first


async def test_the_password_is_not_kept(world: World) -> None:
    await world.ask_apart(LISTCALLS)
    assert len(world.api._repeated) == 1
    assert "secretpwd" not in str(
        [dict(each.params) for each in world.api._repeated._requests.values()]
    )

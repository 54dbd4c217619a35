"""Connections that are held open keep nobody out."""

import asyncio
import ipaddress
import resource

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from pbxapi.config import Listen
from pbxapi.web.crowd import RESERVE, TELL_S, Crowd, descriptors_for, speaks_for_many
from pbxapi.web.server import serving
from tests.access.users import Clock
from tests.services.ports import LOOPBACK
from tests.services.waiting import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: pbx\r\n\r\n"


class Guest:
    """A connection that notes whether it was closed."""

    def __init__(self, *, is_idle: bool = True) -> None:
        self.is_idle = is_idle
        self.is_closed = False

    def dismiss(self) -> None:
        self.is_closed = True


def enter(crowd: Crowd, *addresses: str, is_idle: bool = True) -> list[Guest]:
    guests = [Guest(is_idle=is_idle) for _ in addresses]
    for guest, address in zip(guests, addresses, strict=True):
        crowd.enter(guest, address)
    return guests


def closed(guests: list[Guest]) -> list[bool]:
    return [guest.is_closed for guest in guests]


def test_the_one_that_was_silent_for_longest_makes_room() -> None:
    crowd = Crowd(3, 3)
    guests = enter(crowd, "a", "b", "c")
    crowd.spoke(guests[0])
    guests += enter(crowd, "d")

    assert closed(guests) == [False, True, False, False]
    assert (len(crowd), crowd.closed) == (3, {"all": 1})


def test_an_address_makes_room_among_its_own() -> None:
    crowd = Crowd(100, 2)
    guests = enter(crowd, "other", "a", "a", "a")

    assert closed(guests) == [False, True, False, False]
    assert crowd.closed == {"address": 1}


def test_one_that_is_being_answered_stays_and_where_all_are_the_new_one_goes() -> None:
    crowd = Crowd(2, 2)
    busy = enter(crowd, "a", is_idle=False) + enter(crowd, "b", "c")
    assert closed(busy) == [False, True, False]
    busy[2].is_idle = False

    assert closed(busy[::2] + enter(crowd, "d")) == [False, False, True]
    assert len(crowd) == 2


def test_a_proxy_and_a_unix_socket_have_no_limit_of_their_own() -> None:
    crowd = Crowd(100, 1, lambda address: address == "proxy")
    assert not any(closed(enter(crowd, "proxy", "proxy", "", "")))


def test_who_has_gone_takes_no_place_and_is_no_more_remembered() -> None:
    crowd = Crowd(1, 1)
    for _ in range(3):
        (guest,) = enter(crowd, "a")
        crowd.spoke(guest)
        crowd.leave(guest)
        crowd.leave(guest)
        crowd.spoke(guest)
        assert not guest.is_closed
    assert (len(crowd), crowd._by_address) == (0, {})


def test_the_log_tells_of_it_at_a_bounded_rate() -> None:
    clock = Clock()
    crowd = Crowd(1, 1, clock=clock)
    with capture_logs() as logs:
        enter(crowd, *map(str, range(50)))
        clock.now += TELL_S
        enter(crowd, "x")

    assert [(entry["event"], entry["closed"]) for entry in logs] == [
        ("http.crowded", 1),
        ("http.crowded", 49),
    ]


@pytest.mark.parametrize(
    ("address", "many"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:10.0.0.1", True),
        ("10.9.9.9", True),
        ("192.0.2.1", False),
        ("fe80::1%eth0", False),
    ],
)
def test_proxies_and_loopback_speak_for_many(address: str, many: bool) -> None:
    assert speaks_for_many(address, [ipaddress.ip_network("10.0.0.0/8")]) is many


@pytest.mark.parametrize(
    ("limits", "connections", "raised"),
    [
        ((1024, 524_288), 4096, (4096 + RESERVE, 524_288)),
        ((1024, 5000), 5000 - RESERVE, (5000, 5000)),
        ((1024, 1024), 512, None),
        ((65_536, resource.RLIM_INFINITY), 4096, None),
        ((resource.RLIM_INFINITY, resource.RLIM_INFINITY), 4096, None),
    ],
)
def test_the_soft_limit_of_descriptors_is_raised_as_far_as_it_may(
    limits: tuple[int, int],
    connections: int,
    raised: tuple[int, int] | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_to: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _what: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _what, limits: set_to.append(limits))
    assert descriptors_for(4096) == connections
    assert set_to == ([] if raised is None else [raised])


class Slow:
    """Answers `/` at once, and `/slow` when it is let go."""

    def __init__(self) -> None:
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def quick(self, _request: web.Request) -> web.Response:
        return web.Response(text="quick")

    async def slow(self, _request: web.Request) -> web.Response:
        self.begun.set()
        await self.go_on.wait()
        return web.Response(text="slow")


@pytest.fixture
async def slow() -> Slow:
    return Slow()


async def test_held_connections_keep_no_client_out_and_end_no_request(slow: Slow) -> None:
    app = web.Application()
    app.router.add_get("/", slow.quick)
    app.router.add_get("/slow", slow.slow)
    crowd = Crowd(20, 100)
    async with serving(app, Listen(LOOPBACK, 0), crowd=crowd) as url:
        port = int(url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(REQUEST.replace(b"/ ", b"/slow "))
        await slow.begun.wait()
        held = [await asyncio.open_connection(LOOPBACK, port) for _ in range(100)]
        await eventually(
            lambda: crowd.closed["all"] == 81,
            within_s=5,
            what="they made room",
        )
        client, asking = await asyncio.open_connection(LOOPBACK, port)
        asking.write(REQUEST)
        assert b"200 OK" in await client.readuntil(b"\r\n\r\n")
        slow.go_on.set()
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        assert len(crowd) == 20
        for _, other in [*held, (reader, writer), (client, asking)]:
            other.close()

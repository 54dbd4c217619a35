"""AmiManager: one session, kept."""

import asyncio
import gc
import itertools
import math
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from structlog.testing import capture_logs

from pbxapi.ami import manager as manager_module
from pbxapi.ami.manager import (
    FIRST_DELAY_S,
    MAX_DELAY_LOGIN_S,
    MAX_DELAY_RESTART_S,
    MAX_DELAY_S,
    AmiManager,
    Traffic,
    backoff,
    max_delay_s,
)
from pbxapi.ami.message import Message
from pbxapi.ami.protocol import ProtocolError
from pbxapi.ami.requests import PING, Request
from pbxapi.ami.session import LoginRefused
from pbxapi.errors import PbxUnavailable
from tests.fakes.ami_server import AmiServer, Connection
from tests.services.waiting import eventually

SECRET = "labsecret"


@pytest.fixture(autouse=True)
async def _nothing_leaks() -> AsyncIterator[None]:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, facts: complaints.append(facts))
    yield
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow each other at once, pings every 20 ms."""
    monkeypatch.setattr(manager_module, "backoff", lambda **_options: itertools.repeat(0.01))
    monkeypatch.setattr(manager_module, "PING_INTERVAL_S", 0.02)


class Calls:
    """A listener that writes down what it is told."""

    wanted = frozenset({"FullyBooted", "Hangup"})

    def __init__(self) -> None:
        self.told: list[str] = []
        self.last_received = 0.0

    def session_opened(self) -> None:
        self.told.append("opened")

    def session_lost(self, last_received: float) -> None:
        self.told.append("lost")
        self.last_received = last_received

    def event(self, message: Message) -> None:
        self.told.append(message.event)


@asynccontextmanager
async def managed(
    script: Callable[[Connection], Awaitable[None]],
) -> AsyncIterator[tuple[AmiManager, Calls, AmiServer]]:
    async with AmiServer(script) as server:
        calls = Calls()
        manager = AmiManager(
            host="127.0.0.1", port=server.port, username="lab", secret=SECRET, listener=calls
        )
        task = asyncio.create_task(manager.run())
        try:
            yield manager, calls, server
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def serve(connection: Connection) -> None:
    """Log in and answer pings for as long as the client stays."""
    await connection.log_in()
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            ping = await connection.action("Ping")
            connection.answer(ping, "Ping: Pong", "Timestamp: 1795461508.123456")


async def refuse(connection: Connection) -> None:
    """Refuse the login; a client may leave in the middle of it, since the test is over."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        connection.greet()
        connection.answer(await connection.action("Challenge"), "Challenge: 1")
        login = await connection.action("Login")
        connection.answer(login, "Message: Authentication failed", response="Error")


async def is_connected(manager: AmiManager) -> None:
    await eventually(lambda: manager.connected, within_s=2, what="the session is open")


# -- delays


def test_delays_double_with_jitter_up_to_their_bound() -> None:
    bases = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    for _ in range(200):
        delays = list(itertools.islice(backoff(), len(bases)))
        assert all(base / 2 <= delay <= base for base, delay in zip(bases, delays, strict=True)), (
            delays
        )


def test_delays_are_spread() -> None:
    first = {next(backoff()) for _ in range(50)}
    assert len(first) > 40
    assert max(first) - min(first) > FIRST_DELAY_S / 4


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (LoginRefused("Authentication failed"), MAX_DELAY_LOGIN_S),
        (ConnectionRefusedError(), MAX_DELAY_RESTART_S),
        (ConnectionResetError(), MAX_DELAY_S),
        (PbxUnavailable("no answer"), MAX_DELAY_S),
        (ProtocolError("no banner"), MAX_DELAY_S),
        (socket.gaierror(), MAX_DELAY_S),
    ],
)
def test_how_far_apart_attempts_get_depends_on_the_failure(
    error: Exception, expected: float
) -> None:
    assert max_delay_s(error) == expected
    delays = list(itertools.islice(backoff(max_s=max_delay_s(error)), 30))
    assert expected / 2 <= max(delays) <= expected


async def test_the_bound_of_the_delays_is_that_of_the_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bounds: list[float] = []

    def spy(max_s: float = MAX_DELAY_S) -> Iterator[float]:
        bounds.append(max_s)
        return itertools.repeat(0.01)

    monkeypatch.setattr(manager_module, "backoff", spy)

    with capture_logs():
        async with managed(refuse) as (_, _, server):
            await eventually(lambda: len(server.connections) > 3, within_s=2, what="attempts")
    assert bounds == [MAX_DELAY_S, MAX_DELAY_LOGIN_S]


# -- one session


async def test_requests_go_out_on_the_session_of_the_moment() -> None:
    async def script(connection: Connection) -> None:
        await connection.log_in()
        connection.answer(await connection.action("Ping"))
        connection.answer(await connection.action("CoreStatus"), "CoreCurrentCalls: 2")
        await connection.end()

    with capture_logs():
        async with managed(script) as (manager, _, _):
            with pytest.raises(PbxUnavailable, match="no AMI session"):
                await manager.request(PING)
            await is_connected(manager)
            answer = await manager.request(Request("CoreStatus"))
            assert answer.get("CoreCurrentCalls") == "2"
            assert manager.connects == 1


async def test_lists_go_out_on_the_session_of_the_moment() -> None:
    async def script(connection: Connection) -> None:
        await connection.log_in()
        connection.answer(await connection.action("Ping"))
        action = await connection.action("CoreShowChannels")
        connection.answer(action, "EventList: start")
        action_id = dict(action)["ActionID"]
        connection.send(
            f"Event: CoreShowChannel\nActionID: {action_id}\nChannel: a",
            f"Event: CoreShowChannelsComplete\nActionID: {action_id}\nEventList: Complete",
        )
        await connection.end()

    with capture_logs():
        async with managed(script) as (manager, _, _):
            await is_connected(manager)
            items: list[Message] = []
            await manager.request_list(Request("CoreShowChannels"), items.append)
            assert [message.get("Channel") for message in items] == ["a"]


async def test_no_ping_before_the_login_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "PING_INTERVAL_S", 0.0)

    async def script(connection: Connection) -> None:
        connection.greet()
        connection.answer(await connection.action("Challenge"), "Challenge: 1")
        login = await connection.action("Login")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await connection.reader.read(1)
        connection.answer(login)
        await connection.action("Ping")
        await connection.end()

    with capture_logs():
        async with managed(script) as (manager, _, server):
            await eventually(lambda: manager.connects, within_s=2, what="it logs in")
            assert server.connections[0].actions[:2] == ["Challenge", "Login"]


async def test_the_clock_of_asterisks_host_is_known_from_its_pongs() -> None:
    with capture_logs():
        async with managed(serve) as (manager, _, _):
            await eventually(
                lambda: abs(manager.asterisk_time() - 1795461508.123456) < 2,
                within_s=2,
                what="the clock is known",
            )


async def test_our_own_clock_may_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else calls would begin too late for the dial plan, or much too late, until the next pong."""
    with capture_logs():
        async with managed(serve) as (manager, _, _):
            before = manager.asterisk_time()
            assert math.isnan(manager.told_time())
            monkeypatch.setattr(time, "time", lambda: 0.0)
            assert 0 <= manager.asterisk_time() - before < 60
            await eventually(
                lambda: abs(manager.asterisk_time() - 1795461508.123456) < 2,
                within_s=2,
                what="the clock is known",
            )
            monkeypatch.setattr(time, "time", lambda: 1e9)
            assert abs(manager.asterisk_time() - 1795461508.123456) < 60
            assert abs(manager.told_time() - 1795461508.123456) < 60


async def test_a_pong_without_a_time_changes_nothing() -> None:
    async def script(connection: Connection) -> None:
        await connection.log_in()
        connection.answer(await connection.action("Ping"), "Timestamp: soon")
        connection.answer(await connection.action("Ping"))
        await connection.action("Ping")
        await connection.end()

    with capture_logs():
        async with managed(script) as (manager, _, server):
            await eventually(
                lambda: server.connections and server.connections[0].actions.count("Ping") == 3,
                within_s=2,
                what="three pings",
            )
            assert manager.connects == 1


# -- loss


async def test_a_missing_pong_is_a_loss_that_everybody_hears_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(manager_module, "PING_DEADLINE_S", 0.1)

    async def silent(connection: Connection) -> None:
        await connection.log_in()
        await connection.end()

    with capture_logs() as logs:
        async with managed(silent) as (manager, calls, server):
            await is_connected(manager)
            with pytest.raises(PbxUnavailable, match=r"no answer to Ping in 0\.1 s"):
                await manager.request(Request("CoreStatus"), 10)
            await eventually(lambda: len(server.connections) > 1, within_s=2, what="a new attempt")
            assert calls.told[:2] == ["opened", "lost"]
    assert logs[1]["event"] == "ami.unavailable"
    assert logs[1]["error"] == "no answer to Ping in 0.1 s"


async def test_events_are_no_proof_of_life(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manager_module, "PING_DEADLINE_S", 0.1)

    async def chatty(connection: Connection) -> None:
        await connection.log_in()
        with suppress(ConnectionError):
            while not connection.writer.is_closing():
                connection.send("Event: Hangup\nUniqueid: 1")
                await connection.writer.drain()
                await asyncio.sleep(0.01)

    with capture_logs():
        async with managed(chatty) as (_, calls, _):
            await eventually(lambda: "lost" in calls.told, within_s=2, what="the loss")


async def test_nothing_is_sent_again_after_a_reconnect() -> None:
    async def script(connection: Connection) -> None:
        await connection.log_in()
        connection.answer(await connection.action("Ping"))
        if len(server_of["it"].connections) == 1:
            await connection.action("Originate")
            return
        await connection.action("Ping")
        await connection.end()

    server_of: dict[str, AmiServer] = {}
    with capture_logs():
        async with managed(script) as (manager, _, server):
            server_of["it"] = server
            await is_connected(manager)
            await eventually(
                lambda: "Ping" in server.connections[0].actions, within_s=2, what="the ping"
            )
            with pytest.raises(PbxUnavailable, match=r"closed the connection|reset by peer"):
                await manager.request(Request("Originate", (("Channel", "SIP/a"),)))
            await eventually(
                lambda: len(server.connections) > 1 and len(server.connections[1].actions) > 3,
                within_s=2,
                what="the second session pings",
            )
            assert server.connections[1].actions == ["Challenge", "Login", "Ping", "Ping"]


async def test_the_listener_hears_of_everything_in_order() -> None:
    gate = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.log_in()
        connection.answer(await connection.action("Ping"))
        connection.send("Event: FullyBooted", "Event: VarSet", "Event: Hangup")
        await connection.writer.drain()
        if not gate.is_set():
            gate.set()
            return
        await connection.end()

    with capture_logs():
        async with managed(script) as (manager, calls, _):
            await eventually(lambda: len(calls.told) >= 7, within_s=2, what="two sessions")
            # Of the session that is lost, and of the one that is there.
            assert manager.traffic == Traffic(events=4, skipped=2, orphans=0)
            assert (manager.connects, manager.failures) == (2, 1)
    assert calls.told == [
        *("opened", "FullyBooted", "Hangup", "lost"),
        *("opened", "FullyBooted", "Hangup", "lost"),
    ]


async def test_a_refused_login_is_no_session() -> None:
    with capture_logs() as logs:
        async with managed(refuse) as (manager, calls, server):
            await eventually(lambda: len(server.connections) > 3, within_s=2, what="attempts")
            assert not manager.connected
            assert calls.told == []
            assert (manager.connects, manager.failures) == (0, 0)
            assert manager.login_refusals >= 3
    refused = [entry for entry in logs if entry["event"] == "ami.login_refused"]
    assert len(refused) >= 3
    assert len(refused) == len(logs)
    assert {entry["log_level"] for entry in logs} == {"error"}
    assert refused[0]["error"] == "Authentication failed"
    assert refused[0]["username"] == "lab"
    assert SECRET not in repr(logs)


async def test_it_recovers_from_a_refused_login() -> None:
    attempts = itertools.count()

    async def script(connection: Connection) -> None:
        await (refuse if next(attempts) < 2 else serve)(connection)

    with capture_logs() as logs:
        async with managed(script) as (manager, _, _):
            await is_connected(manager)
    assert [entry["event"] for entry in logs] == [
        "ami.login_refused",
        "ami.login_refused",
        "ami.connected",
    ]
    assert logs[-1]["banner"] == "Asterisk Call Manager/11.0.0"
    assert SECRET not in repr(logs)


async def test_failures_of_one_kind_are_loud_once() -> None:
    attempts = itertools.count()

    async def script(connection: Connection) -> None:
        if next(attempts) >= 3:
            await serve(connection)

    with capture_logs() as logs:
        async with managed(script) as (manager, _, _):
            await is_connected(manager)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("ami.unavailable", "warning"),
        ("ami.unavailable", "debug"),
        ("ami.unavailable", "debug"),
        ("ami.connected", "info"),
    ]


async def test_it_waits_for_a_server_that_is_not_there_yet() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    calls = Calls()
    manager = AmiManager(host="127.0.0.1", port=port, username="lab", secret=SECRET, listener=calls)
    with capture_logs() as logs:
        task = asyncio.create_task(manager.run())
        await eventually(lambda: len(logs) > 2, within_s=2, what="attempts")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert logs[0]["log_level"] == "warning"
    assert "refused" in logs[0]["error"].lower() or "Connect call failed" in logs[0]["error"]
    assert calls.told == []


async def test_cancelled_it_closes_the_session_and_says_so() -> None:
    ended = asyncio.Event()

    async def script(connection: Connection) -> None:
        await connection.log_in()
        connection.answer(await connection.action("Ping"))
        await connection.end()
        ended.set()

    with capture_logs():
        async with AmiServer(script) as server:
            calls = Calls()
            manager = AmiManager(
                host="127.0.0.1", port=server.port, username="lab", secret=SECRET, listener=calls
            )
            task = asyncio.create_task(manager.run())
            await is_connected(manager)
            waiting = asyncio.create_task(manager.request(Request("CoreStatus")))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            with pytest.raises(PbxUnavailable, match="closed"):
                await waiting
            async with asyncio.timeout(2):
                await ended.wait()
            assert calls.told == ["opened", "lost"]
            assert calls.last_received <= asyncio.get_running_loop().time()
            assert not manager.connected

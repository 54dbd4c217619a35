"""AmiSession against a scripted server on a real socket."""

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pbxapi.ami import session as session_module
from pbxapi.ami.message import Message
from pbxapi.ami.protocol import ProtocolError
from pbxapi.ami.requests import CORE_SHOW_CHANNELS, PING, Request, UnsafeRequest
from pbxapi.ami.session import AmiSession, LoginRefused, connect
from pbxapi.errors import PbxRefused, PbxUnavailable
from tests.fakes.ami_server import AmiServer, Connection, header
from tests.services.waiting import eventually

SECRET = "labsecret"
#: For what must not come: long beside a round trip on the loopback.
SHORT_S = 0.1


@pytest.fixture(autouse=True)
async def _nothing_leaks() -> AsyncIterator[None]:
    """No task that was destroyed, no exception that nobody has read."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, facts: complaints.append(facts))
    yield
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []


class Events(list[Message]):
    @property
    def names(self) -> list[str]:
        return [message.event for message in self]


@asynccontextmanager
async def connected(
    script: Callable[[Connection], Awaitable[None]], **options: Any
) -> AsyncIterator[tuple[AmiSession, Events, AmiServer]]:
    """A session with a server that runs the script; wants Newchannel and Hangup."""
    events = Events()
    async with AmiServer(script, **options) as server:
        session = await connect("127.0.0.1", server.port, {"Newchannel", "Hangup"}, events.append)
        try:
            yield session, events, server
        finally:
            session.close(PbxUnavailable("the test is over"))


async def hold(connection: Connection) -> None:
    """Keep the connection until the client ends it."""
    await connection.end()


# -- login


async def test_login_by_md5_challenge() -> None:
    async def script(connection: Connection) -> None:
        login = await connection.log_in()
        assert header(login, "Key") == "94e304cad3b2d5077982fd013635a98f"
        assert header(login, "Username") == "lab"
        assert header(login, "Secret") == ""
        await hold(connection)

    async with connected(script) as (session, _, _):
        answer = await session.log_in("lab", SECRET)
        assert answer.get("Message") == "Authentication accepted"
        assert session.banner == "Asterisk Call Manager/11.0.0"


async def test_login_with_the_secret_where_no_challenge_is_to_be_had() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        challenge = await connection.action("Challenge")
        connection.answer(challenge, "Message: Must specify AuthType", response="Error")
        login = await connection.action("Login")
        assert header(login, "Secret") == SECRET
        connection.answer(login, "Message: Authentication accepted")
        await hold(connection)

    async with connected(script) as (session, _, _):
        await session.log_in("lab", SECRET)


async def test_login_with_the_secret_where_a_challenge_is_never_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "CHALLENGE_DEADLINE_S", 0.05)

    async def script(connection: Connection) -> None:
        connection.greet()
        await connection.action("Challenge")
        connection.answer(await connection.action("Login"), "Message: Authentication accepted")
        await hold(connection)

    async with connected(script) as (session, _, _):
        await session.log_in("lab", SECRET)


async def test_a_connection_that_ends_at_the_challenge_is_unavailable() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        await connection.action("Challenge")

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxUnavailable, match="closed"):
            await session.log_in("lab", SECRET)


async def test_a_wrong_secret_is_a_refused_login() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        connection.answer(await connection.action("Challenge"), "Challenge: 1")
        login = await connection.action("Login")
        connection.answer(login, "Message: Authentication failed", response="Error")

    async with connected(script) as (session, _, _):
        with pytest.raises(LoginRefused, match=r"^Authentication failed$"):
            await session.log_in("lab", SECRET)


async def test_nothing_is_sent_before_the_banner() -> None:
    async def script(connection: Connection) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT_S):
                await connection.reader.read(1)
        await connection.log_in()

    async with connected(script) as (session, _, _):
        await session.log_in("lab", SECRET)


async def test_a_banner_that_never_comes_ends_in_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(session_module, "CONNECT_DEADLINE_S", 0.05)
    async with connected(hold) as (session, _, _):
        with pytest.raises(PbxUnavailable, match=r"no answer to the AMI banner in 0\.05 s"):
            await session.log_in("lab", SECRET)


async def test_a_banner_of_something_else_loses_the_session() -> None:
    async def script(connection: Connection) -> None:
        connection.writer.write(b"SSH-2.0-OpenSSH\r\n")
        await hold(connection)

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxUnavailable, match="not an AMI banner"):
            await session.log_in("lab", SECRET)
        assert isinstance(session.lost.result(), ProtocolError)


async def test_a_server_that_hangs_up_at_once_is_unavailable() -> None:
    async def script(connection: Connection) -> None:
        pass

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxUnavailable, match="Asterisk closed the connection"):
            await session.log_in("lab", SECRET)


async def test_nobody_listening_is_an_os_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        await connect("127.0.0.1", port, (), print)


async def test_a_connection_that_is_never_made_ends_in_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def never(*_args: object, **_options: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(session_module, "CONNECT_DEADLINE_S", 0.05)
    monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", never)
    with pytest.raises(PbxUnavailable, match="no answer to connecting to 127"):
        await connect("127.0.0.1", 5038, (), print)


# -- answers


async def test_answers_out_of_order_reach_who_asked() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        asked = [await connection.action("Getvar") for _ in range(3)]
        for action in reversed(asked):
            connection.answer(action, f"Value: {header(action, 'Variable')}")
        await hold(connection)

    async with connected(script) as (session, _, _):
        answers = await asyncio.gather(
            *(session.request(Request("Getvar", (("Variable", name),))) for name in "abc")
        )
        assert [answer.get("Value") for answer in answers] == ["a", "b", "c"]
        assert session.orphans == 0


async def test_answers_without_or_with_another_actionid_complete_nobody() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        ping = await connection.action("Ping")
        connection.send("Response: Error\nMessage: Failed to parse message: line too long")
        connection.send("Response: Success\nActionID: \nPing: Wrong")
        connection.send("Response: Success\nActionID: other-1\nPing: Wrong")
        connection.answer(ping, "Ping: Pong")
        await hold(connection)

    async with connected(script) as (session, _, _):
        assert (await session.request(PING)).get("Ping") == "Pong"
        assert session.orphans == 2


async def test_an_error_answer_is_refused_with_asterisks_words() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        action = await connection.action("Hangup")
        connection.answer(action, "Message: No such channel: a", response="Error")
        await hold(connection)

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxRefused, match=r"^No such channel: a$"):
            await session.request(Request("Hangup", (("Channel", "a"),)))


async def test_an_answer_after_the_deadline_is_an_orphan() -> None:
    late = asyncio.Event()

    async def script(connection: Connection) -> None:
        connection.greet()
        first = await connection.action("Ping")
        await late.wait()
        connection.answer(first, "Ping: Late")
        connection.answer(await connection.action("Ping"), "Ping: Pong")
        await hold(connection)

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxUnavailable, match=r"no answer to Ping in 0\.05 s"):
            await session.request(PING, deadline_s=0.05)
        late.set()
        assert (await session.request(PING)).get("Ping") == "Pong"
        assert session.orphans == 1


async def test_a_value_that_looks_like_an_event_is_still_the_answer() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        connection.answer(await connection.action("Getvar"), "Value: a", "Event: Hangup")
        await hold(connection)

    async with connected(script) as (session, events, _):
        assert (await session.request(Request("Getvar"))).get("Value") == "a"
        assert events == []


async def test_action_ids_differ_between_sessions() -> None:
    ids: list[str] = []

    async def script(connection: Connection) -> None:
        connection.greet()
        ping = await connection.action("Ping")
        ids.append(header(ping, "ActionID"))
        connection.answer(ping)
        await hold(connection)

    async with connected(script) as (one, _, _), connected(script) as (two, _, _):
        await one.request(PING)
        await two.request(PING)
    assert len(set(ids)) == 2


async def test_a_request_that_cannot_be_encoded_waits_for_nothing() -> None:
    async with connected(hold) as (session, _, _):
        with pytest.raises(UnsafeRequest):
            await session.request(Request("Hangup", (("Channel", "a\r\nb"),)))
        assert session._waiters == {}


# -- events


async def test_wanted_events_arrive_in_order_and_others_do_not() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        ping = await connection.action("Ping")
        connection.send(
            "Event: Newchannel\nUniqueid: 1",
            "Event: VarSet\nUniqueid: 1",
            "Event: Hangup\nUniqueid: 1",
            "Event: Newchannel\nUniqueid: 2",
        )
        connection.answer(ping)
        await hold(connection)

    async with connected(script) as (session, events, _):
        await session.request(PING)
        assert events.names == ["Newchannel", "Hangup", "Newchannel"]
        assert (session.events, session.skipped) == (3, 1)


async def test_unwanted_events_with_an_actionid_reach_nobody() -> None:
    """OriginateResponse carries the ActionID of its Originate and may come half a minute later."""

    async def script(connection: Connection) -> None:
        connection.greet()
        originate = await connection.action("Originate")
        connection.answer(originate)
        connection.send(
            f"Event: OriginateResponse\nActionID: {header(originate, 'ActionID')}\nReason: 4"
        )
        connection.answer(await connection.action("Ping"))
        await hold(connection)

    async with connected(script) as (session, events, _):
        await session.request(Request("Originate"))
        await session.request(PING)
        assert events == []


async def test_last_received_is_when_the_last_bytes_came() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        connection.answer(await connection.action("Ping"))
        await hold(connection)

    async with connected(script) as (session, _, _):
        before = asyncio.get_running_loop().time()
        await session.request(PING)
        assert before <= session.last_received <= asyncio.get_running_loop().time()


# -- lists


def item(action_id: str, channel: str) -> str:
    return f"Event: CoreShowChannel\nActionID: {action_id}\nChannel: {channel}"


def complete(action_id: str, items: int) -> str:
    return (
        f"Event: CoreShowChannelsComplete\nActionID: {action_id}\n"
        f"EventList: Complete\nListItems: {items}"
    )


async def test_a_list_with_events_of_others_between_its_items() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        action = await connection.action("CoreShowChannels")
        action_id = header(action, "ActionID")
        connection.answer(action, "EventList: start")
        connection.send(
            item(action_id, "a"),
            "Event: Hangup\nUniqueid: 1",
            item("other-7", "wrong"),
            item(action_id, "b"),
            "Event: CoreShowChannelsComplete\nActionID: other-7\nEventList: Complete",
            complete(action_id, 2),
        )
        await hold(connection)

    async with connected(script) as (session, events, _):
        order: list[str] = []
        deliver = session._on_event

        def on_event(message: Message) -> None:
            order.append(message.event)
            deliver(message)

        session._on_event = on_event
        last = await session.request_list(
            CORE_SHOW_CHANNELS, lambda message: order.append(message.get("Channel"))
        )
        assert order == ["a", "Hangup", "b"]
        assert last.get("ListItems") == "2"
        assert events.names == ["Hangup"]
        assert session.orphans == 2


async def test_an_empty_list() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        action = await connection.action("CoreShowChannels")
        connection.answer(action, "EventList: start")
        connection.send(complete(header(action, "ActionID"), 0))
        await hold(connection)

    async with connected(script) as (session, _, _):
        items: list[Message] = []
        last = await session.request_list(CORE_SHOW_CHANNELS, items.append)
        assert (last.get("ListItems"), items) == ("0", [])


async def test_a_list_that_is_refused() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        action = await connection.action("CoreShowChannels")
        connection.answer(action, "Message: Permission denied", response="Error")
        await hold(connection)

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxRefused, match=r"^Permission denied$"):
            await session.request_list(CORE_SHOW_CHANNELS, print)


async def test_a_list_that_is_cancelled() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        action = await connection.action("CoreShowChannels")
        action_id = header(action, "ActionID")
        connection.answer(action, "EventList: start")
        connection.send(
            item(action_id, "a"),
            f"Event: CoreShowChannelsComplete\nActionID: {action_id}\nEventList: Cancelled",
        )
        await hold(connection)

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxRefused, match="cancelled"):
            await session.request_list(CORE_SHOW_CHANNELS, lambda _message: None)


async def test_what_follows_the_end_of_a_list_in_the_same_read_is_dropped() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        action = await connection.action("CoreShowChannels")
        action_id = header(action, "ActionID")
        connection.answer(action, "EventList: start")
        connection.send(complete(action_id, 0), complete(action_id, 7))
        await hold(connection)

    async with connected(script) as (session, events, _):
        last = await session.request_list(CORE_SHOW_CHANNELS, lambda _message: None)
        assert last.get("ListItems") == "0"
        assert session.orphans == 1
        assert events == []


async def test_items_after_the_deadline_of_a_list_reach_nobody() -> None:
    late = asyncio.Event()

    async def script(connection: Connection) -> None:
        connection.greet()
        action = await connection.action("CoreShowChannels")
        action_id = header(action, "ActionID")
        connection.answer(action, "EventList: start")
        connection.send(item(action_id, "a"))
        await late.wait()
        connection.send(item(action_id, "b"), complete(action_id, 2))
        connection.answer(await connection.action("Ping"))
        await hold(connection)

    async with connected(script) as (session, events, _):
        items: list[Message] = []
        with pytest.raises(PbxUnavailable, match="no answer to CoreShowChannels"):
            await session.request_list(CORE_SHOW_CHANNELS, items.append, 0.05)
        late.set()
        await session.request(PING)
        assert [message.get("Channel") for message in items] == ["a"]
        assert events == []
        assert session.orphans == 2


# -- loss


async def test_everybody_who_waits_hears_the_first_cause() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        for _ in range(3):
            await connection.action("Ping")

    async with connected(script) as (session, _, _):
        waiting = [asyncio.create_task(session.request(PING)) for _ in range(3)]
        causes = await asyncio.gather(*waiting, return_exceptions=True)
        session.close(PbxUnavailable("a later cause"))
        assert [str(cause) for cause in causes] == ["Asterisk closed the connection"] * 3
        assert all(isinstance(cause, PbxUnavailable) for cause in causes)
        assert str(session.lost.result()) == "Asterisk closed the connection"


async def test_the_cause_given_to_close_is_the_one_that_is_heard() -> None:
    async with connected(hold) as (session, _, server):
        waiting = asyncio.create_task(session.request(PING))
        await eventually(lambda: server.connections and session._waiters, within_s=2, what="sent")
        session.close(ProtocolError("nonsense"))
        with pytest.raises(PbxUnavailable, match=r"^nonsense$"):
            await waiting


async def test_nothing_is_sent_after_the_loss() -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        await connection.action("Ping")
        connection.writer.write_eof()
        assert await connection.end() == b""

    async with connected(script) as (session, _, server):
        with pytest.raises(PbxUnavailable, match="closed the connection"):
            await session.request(PING)
        for _ in range(3):
            with pytest.raises(PbxUnavailable, match="closed the connection"):
                await session.request(PING)
        assert server.connections[0].actions == ["Ping"]
        assert session._waiters == {}


async def test_a_message_beyond_all_bounds_loses_the_session(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pbxapi.ami.protocol.MAX_MESSAGE_BYTES", 1000)

    async def script(connection: Connection) -> None:
        connection.greet()
        await connection.action("Ping")
        connection.writer.write(b"Event: X\r\n" * 200)
        await hold(connection)

    async with connected(script) as (session, _, _):
        with pytest.raises(PbxUnavailable, match="more than 1000 bytes"):
            await session.request(PING)


async def test_a_peer_that_does_not_read_is_unavailable_at_once_and_used_again_when_it_does() -> (
    None
):
    reading = asyncio.Event()

    async def script(connection: Connection) -> None:
        connection.greet()
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a StreamWriter's transport reads too
        await reading.wait()
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a StreamWriter's transport reads too
        while header(await connection.action("Originate"), "Last") == "":
            pass
        connection.answer(await connection.action("Ping"))
        await hold(connection)

    big = Request("Originate", tuple(("Variable", "A" * 1000) for _ in range(30)))
    async with connected(script, receive_buffer=4096) as (session, _, _):
        await asyncio.shield(session._banner)
        assert session._transport is not None
        wire = session._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        waiting = []
        while session._writable:
            waiting.append(asyncio.create_task(session.request(big, 20)))
            await asyncio.sleep(0)
            assert len(waiting) < 500
        async with asyncio.timeout(1):
            with pytest.raises(PbxUnavailable, match="does not read"):
                await session.request(PING, 20)
        reading.set()
        await eventually(lambda: session._writable, within_s=5, what="it reads again")
        waiting.append(
            asyncio.create_task(session.request(Request("Originate", (("Last", "yes"),)), 20))
        )
        await asyncio.sleep(0)
        await session.request(PING)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert session._waiters == {}


async def test_what_was_unsent_at_the_loss_never_arrives() -> None:
    reading = asyncio.Event()
    received: list[bytes] = []

    async def script(connection: Connection) -> None:
        connection.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a StreamWriter's transport reads too
        await reading.wait()
        connection.writer.transport.resume_reading()  # type: ignore[attr-defined]  # a StreamWriter's transport reads too
        received.append(await connection.end())

    big = Request("Originate", tuple(("Variable", "A" * 1000) for _ in range(30)))
    async with connected(script, receive_buffer=4096) as (session, _, server):
        assert session._transport is not None
        wire = session._transport.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        await eventually(lambda: server.connections, within_s=2, what="accepted")
        waiting = []
        while session._writable:
            waiting.append(asyncio.create_task(session.request(big, 20)))
            await asyncio.sleep(0)
            assert len(waiting) < 500
        session.close(PbxUnavailable("stop"))
        await asyncio.gather(*waiting, return_exceptions=True)
        reading.set()
        await eventually(lambda: received, within_s=5, what="the server has read all")
        assert len(received[0]) < len(waiting) * 30_000


async def test_nothing_is_written_to_a_connection_that_broke_a_moment_ago(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def script(connection: Connection) -> None:
        connection.greet()
        await hold(connection)

    async with connected(script) as (session, _, _):
        await asyncio.shield(session._banner)
        assert session._transport is not None
        # They have their turn before `connection_lost` has.
        asking = [asyncio.create_task(session.request(PING)) for _ in range(10)]
        session._transport.abort()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert {str(answer) for answer in answers} == {"the AMI connection is broken"}
        assert session._waiters == {}
    assert caplog.messages == []  # asyncio warns of writing to what is gone


# -- cancellation


async def test_a_cancelled_request_leaves_nothing_and_its_answer_is_an_orphan() -> None:
    asked = asyncio.Event()
    answer = asyncio.Event()

    async def script(connection: Connection) -> None:
        connection.greet()
        first = await connection.action("Ping")
        asked.set()
        await answer.wait()
        connection.answer(first)
        connection.answer(await connection.action("Ping"))
        await hold(connection)

    async with connected(script) as (session, _, _):
        waiting = asyncio.create_task(session.request(PING))
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert session._waiters == {}
        answer.set()
        await session.request(PING)
        assert session.orphans == 1


async def test_a_request_cancelled_as_its_refusal_arrives_leaks_no_exception() -> None:
    async with connected(hold) as (session, _, _):
        waiting = asyncio.create_task(session.request(PING))
        await eventually(lambda: session._waiters, within_s=2, what="the request is sent")
        [action_id] = session._waiters
        session._dispatch(Message(f"Response: Error\r\nActionID: {action_id}".encode()))
        waiting.cancel()
        with pytest.raises((asyncio.CancelledError, PbxRefused)):
            await waiting


async def test_a_session_that_nobody_waits_for_ends_silently() -> None:
    async def script(connection: Connection) -> None:
        await connection.log_in()

    async with connected(script) as (session, _, _):
        await session.log_in("lab", SECRET)
        await session.lost

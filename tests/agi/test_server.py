"""The FastAGI server against Asterisk's side on real sockets, well-behaved and otherwise."""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import statistics
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Self
from urllib.parse import quote

import pytest
from hypothesis import given, settings, strategies as st
from structlog.testing import capture_logs
from structlog.typing import EventDict

from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import Limits, serving_agi
from pbxapi.agi.tally import CallTally
from pbxapi.config import Listen
from pbxapi.errors import UsageError
from tests.agi.asterisk_side import DEADLINE_S, SUCCESS, AsteriskSide, environment, play

ANYWHERE = Listen("127.0.0.1", 0)
#: For tests that are not about time: a busy machine is no failure.
PATIENT = Limits(deadline_s=5)
CHANNEL = "Local/1000@extensions-dialplanid-1-00000004;2"
FIELDS = {
    "customCDR1": 'say "hello", \\ok\\',
    "customCDR2": "${EXTEN} $[1+1] `id`",
    "customCDR3": "Příliš žluťoučký kůň",
    "customCDR4": "x" * 255,
}
OWN = {f"CDR({name})": value for name, value in FIELDS.items()}
SHARED = {
    f"SHARED(PBXAPI_CDR{name[-1]},{CHANNEL})": quote(value[:250], safe="")
    for name, value in FIELDS.items()
} | {
    f"SHARED(PBXAPI_CDR4_2,{CHANNEL})": "xxxxx",
    f"SHARED(PBXAPI_CDR,{CHANNEL})": "1&2&3&4&4_2",
}


@pytest.fixture
def cards() -> CallCards:
    return CallCards(time.monotonic)


@asynccontextmanager
async def serving(cards: CallCards, limits: Limits = PATIENT) -> AsyncIterator[str]:
    async with serving_agi(cards, ANYWHERE, limits) as address:
        yield address


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.002)


def agi_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("agi")]


def reasons(logs: list[EventDict]) -> list[str]:
    return [entry["reason"] for entry in logs if "reason" in entry]


def interrupted(logs: list[EventDict]) -> list[str]:
    return [entry["reason"] for entry in logs if entry["event"] == "agi.interrupted"]


class Heartbeat:
    """How long the loop was ever kept from running, in seconds."""

    def __init__(self) -> None:
        self.worst_s = 0.0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _beat(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.005)
            self.worst_s = max(self.worst_s, time.monotonic() - before - 0.005)


# a call with a card


async def test_the_fields_arrive_on_the_channel_that_asks(cards: CallCards) -> None:
    async with serving(cards) as address:
        assert await play(address, cards.issue(FIELDS)) == OWN


async def test_the_fields_arrive_in_shared_variables_and_their_list_comes_last(
    cards: CallCards,
) -> None:
    async with serving(cards) as address:
        variables = await play(address, cards.issue(FIELDS), CHANNEL)
    assert variables == SHARED
    assert list(variables)[-1] == f"SHARED(PBXAPI_CDR,{CHANNEL})"


async def test_only_fields_that_were_given_are_set(cards: CallCards) -> None:
    card = cards.issue({"customCDR3": "", "other": "x"})
    async with serving(cards) as address:
        assert await play(address, card) == {"CDR(customCDR3)": ""}


async def test_a_card_works_again_for_the_next_leg(cards: CallCards) -> None:
    card = cards.issue(FIELDS)
    async with serving(cards) as address:
        assert await play(address, card) == OWN
        assert await play(address, card, CHANNEL) == SHARED


@pytest.mark.parametrize("version", ["16", "22"])
async def test_both_versions_of_the_environment_are_understood(
    cards: CallCards, version: str
) -> None:
    opening = environment(cards.issue(FIELDS), script="cdr?x=1", version=version)
    async with serving(cards) as address, AsteriskSide(address) as asterisk:
        assert await asterisk.play(opening) == OWN


async def test_an_environment_byte_by_byte_is_understood(cards: CallCards) -> None:
    opening = environment(cards.issue(FIELDS))
    async with serving(cards) as address, AsteriskSide(address) as asterisk:
        for n in range(len(opening) - 1):
            asterisk.send(opening[n : n + 1])
            await asyncio.sleep(0)
        assert await asterisk.play(opening[-1:]) == OWN


async def test_a_channel_that_hangs_up_meanwhile_still_gets_its_fields(cards: CallCards) -> None:
    async with serving(cards) as address:
        variables = await play(address, cards.issue(FIELDS), reply=b"HANGUP\n" + SUCCESS)
    assert variables == OWN


async def test_what_follows_the_environment_at_once_is_not_lost(cards: CallCards) -> None:
    opening = environment(cards.issue(FIELDS)) + b"HANGUP\n" + SUCCESS
    async with serving(cards) as address, AsteriskSide(address) as asterisk:
        asterisk.send(opening)
        assert (await asterisk.command())[2] == "CDR(customCDR1)"
        assert (await asterisk.command())[2] == "CDR(customCDR2)"


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(FIELDS)),
        st.text(
            st.sampled_from("\"'\\${}(),;| \tžřŽ€😀")
            | st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"]),
            max_size=255,
        ),
        max_size=4,
    )
)
def test_any_values_arrive_exactly(fields: dict[str, str]) -> None:
    async def call() -> dict[str, str]:
        cards = CallCards(time.monotonic)
        async with serving(cards) as address:
            return await play(address, cards.issue(fields))

    assert asyncio.run(call()) == {f"CDR({name})": value for name, value in fields.items()}


async def test_many_calls_at_once_each_get_their_own(cards: CallCards) -> None:
    async with serving(cards) as address:

        async def call(n: int) -> None:
            card = cards.issue({"customCDR1": f"call {n}"})
            assert await play(address, card) == {"CDR(customCDR1)": f"call {n}"}

        async with asyncio.TaskGroup() as group:
            for n in range(100):
                group.create_task(call(n))


async def test_a_conversation_is_over_in_a_few_milliseconds(cards: CallCards) -> None:
    """The bound is wide for busy machines; alone it takes about 1 ms."""
    took_s = []
    async with serving(cards) as address:
        for _ in range(50):
            started = time.perf_counter()
            await play(address, cards.issue(FIELDS), CHANNEL)
            took_s.append(time.perf_counter() - started)
    assert statistics.median(took_s) < 0.05


# who gets nothing


@pytest.mark.parametrize(
    ("opening", "reason"),
    [
        (environment(), "card"),
        (environment("0" * 32), "card"),
        (environment("CARD", "SIP/a-1", script="other"), "script"),
        (environment("CARD", script=""), "script"),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "environment"),
        (b"\x16\x03\x01\x00\xee\x01\n", "environment"),
        (b"\n", "script"),
        (b"agi_network_script: " + b"x" * 20_000, "environment"),
        (b"agi_arg_1: x\n" * 1000, "environment"),
        *(
            (environment("CARD", channel), "channel")
            for channel in (
                "SIP/a-1)",
                "SIP/a,b",
                'SIP/"a"',
                "SIP/${x}",
                "SIP/a b",
                "SIP/a\\b",
                "SIP/[a]",
                "SIP/ž",
                "SIP/" + "x" * 201,
            )
        ),
    ],
)
async def test_strangers_are_left_without_a_command(
    cards: CallCards, opening: bytes, reason: str
) -> None:
    card = cards.issue(FIELDS)
    with capture_logs() as logs:
        async with serving(cards) as address, AsteriskSide(address) as stranger:
            stranger.send(opening.replace(b"CARD", card.encode()))
            assert await stranger.rest() == b""
    assert reasons(logs) == [reason]
    assert card not in str(logs)


async def test_the_end_at_any_byte_costs_nothing(cards: CallCards) -> None:
    """Environment and answers, cut at every place, and the next call is served as ever."""
    opening = environment(cards.issue(FIELDS))
    stream = opening + (b"HANGUP\n" + SUCCESS) * len(FIELDS)
    async with serving(cards) as address:
        for cut in range(len(stream)):
            async with AsteriskSide(address) as asterisk:
                asterisk.send(stream[:cut])
                asterisk.writer.write_eof()
                commands = await asterisk.rest()
                assert commands.count(b"\n") <= len(FIELDS)
                assert bool(commands) == (cut >= len(opening))
        assert await play(address, cards.issue(FIELDS)) == OWN


async def test_a_thousand_silent_connections_hold_up_nobody(cards: CallCards) -> None:
    limits = Limits(deadline_s=5, visitors=256)
    with capture_logs() as logs:
        async with serving(cards, limits) as address, contextlib.AsyncExitStack() as strangers:
            async with Heartbeat() as heartbeat:
                for _ in range(1000):
                    await strangers.enter_async_context(AsteriskSide(address))
                started = time.monotonic()
                assert await play(address, cards.issue(FIELDS)) == OWN
                took_s = time.monotonic() - started
            assert len(agi_threads()) == 1  # for the call; strangers get none
    assert took_s < 2
    assert heartbeat.worst_s < 2
    assert reasons(logs).count("crowded") == 1000 - 256 + 1
    # Told of once; the other times at debug level.
    warnings = [entry for entry in logs if entry["log_level"] == "warning"]
    assert [entry["reason"] for entry in warnings].count("crowded") == 1


@pytest.mark.parametrize("sent", [b"", b"agi_network: yes\n", b"agi_"])
async def test_who_stalls_is_out_after_250_ms(cards: CallCards, sent: bytes) -> None:
    with capture_logs() as logs:
        async with serving(cards, Limits()) as address, AsteriskSide(address) as stranger:
            started = time.monotonic()
            stranger.send(sent)
            assert await stranger.rest() == b""
            took_s = time.monotonic() - started
    assert 0.2 < took_s < 3
    assert reasons(logs) == ["deadline"]


# conversations that go wrong


@pytest.mark.parametrize("answered", range(4))
async def test_an_asterisk_that_stalls_is_left_at_the_deadline(
    cards: CallCards, answered: int
) -> None:
    limits = Limits(deadline_s=0.5)
    with capture_logs() as logs:
        async with serving(cards, limits) as address, AsteriskSide(address) as asterisk:
            started = time.monotonic()
            asterisk.send(environment(cards.issue(FIELDS)) + SUCCESS * answered)
            commands = await asterisk.rest()
            took_s = time.monotonic() - started
    assert 0.4 < took_s < 3
    assert commands.count(b"\n") == answered + 1
    assert interrupted(logs) == ["deadline"]


def test_the_deadline_is_before_that_of_the_dialplan() -> None:
    assert Limits().deadline_s == 0.25


async def test_answers_by_the_byte_do_not_stretch_the_deadline(cards: CallCards) -> None:
    async with serving(cards, Limits()) as address, AsteriskSide(address) as asterisk:
        started = time.monotonic()
        asterisk.send(environment(cards.issue(FIELDS)))
        await asterisk.command()
        with contextlib.suppress(ConnectionError):
            while not asterisk.reader.at_eof() and time.monotonic() - started < DEADLINE_S:
                asterisk.send(b"2")
                await asterisk.writer.drain()
                await asyncio.sleep(0.02)
        assert 0.2 < time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"510 Invalid or unknown command\n", "Asterisk answered 510"),
        (b"511 Command Not Permitted on a dead channel\n", "Asterisk answered 511"),
        (b"520-Invalid\nUsage: x\n\n520 End of proper usage.\n", "Asterisk answered 520"),
        (b"520 Invalid command syntax.\n", "Asterisk answered 520"),
        (b"200 result=-1\n", "the command failed, or the channel hung up"),
        (b"200 result=1 (hangup)\n", "hangup"),
        (b"what\n", "an answer without a code"),
    ],
)
async def test_an_answer_that_is_no_success_ends_the_conversation(
    cards: CallCards, answer: bytes, reason: str
) -> None:
    with capture_logs() as logs:
        async with serving(cards) as address, AsteriskSide(address) as asterisk:
            asterisk.send(environment(cards.issue(FIELDS), CHANNEL))
            assert await asterisk.command()
            asterisk.send(answer)
            assert await asterisk.rest() == b""
    assert interrupted(logs) == [reason]


async def test_a_value_that_cannot_be_sent_stops_all_of_them(cards: CallCards) -> None:
    card = cards.issue({"customCDR1": "fine", "customCDR2": "secret\nEXEC System"})
    with capture_logs() as logs:
        async with serving(cards) as address:
            assert await play(address, card) == {}
    assert interrupted(logs) == ["a command has a line end or NUL in it"]
    assert "secret" not in str(logs)


async def test_a_process_without_descriptors_left_refuses(
    cards: CallCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with serving(cards) as address:
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr("asyncio.trsock.TransportSocket.dup", fail)
            assert await play(address, cards.issue(FIELDS)) == {}
        assert reasons(logs) == ["descriptors"]
        assert await play(address, cards.issue(FIELDS)) == OWN


async def test_a_slow_reader_gets_everything(cards: CallCards) -> None:
    async with serving(cards) as address, AsteriskSide(address, receive_buffer=1) as asterisk:
        asterisk.send(environment(cards.issue(FIELDS)))
        line = b""
        while not line.endswith(b"\n"):
            line += await asterisk.reader.read(1)
            await asyncio.sleep(0.001)
        assert line == b'SET VARIABLE "CDR(customCDR1)" "say \\"hello\\", \\\\ok\\\\"\n'
        assert len(await asterisk.play(SUCCESS)) == 3


async def test_no_more_conversations_than_allowed_and_the_rest_is_closed_at_once(
    cards: CallCards,
) -> None:
    limits = Limits(deadline_s=5, running=2, waiting=1)
    card = cards.issue({"customCDR1": "x"})
    with capture_logs() as logs:
        async with serving(cards, limits) as address, contextlib.AsyncExitStack() as stack:
            held = [await stack.enter_async_context(AsteriskSide(address)) for _ in range(3)]
            for asterisk in held[:2]:
                asterisk.send(environment(card))
                assert await asterisk.command()
            waiting = held[2]
            waiting.send(environment(card))
            for _ in range(5):
                assert await play(address, card) == {}
            assert len(agi_threads()) == 2
            held[0].send(SUCCESS)
            assert await waiting.command() == ["SET", "VARIABLE", "CDR(customCDR1)", "x"]
    assert reasons(logs).count("busy") == 5


# the end


@pytest.mark.parametrize("limits", [Limits(deadline_s=30), Limits(deadline_s=30, running=1)])
async def test_shutdown_ends_conversations_at_once_and_leaves_nothing(
    cards: CallCards, limits: Limits
) -> None:
    card = cards.issue(FIELDS)
    async with contextlib.AsyncExitStack() as stack:
        descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as cheap as can be
        async with serving(cards, limits) as address:
            sides = [await stack.enter_async_context(AsteriskSide(address)) for _ in range(8)]
            for asterisk in sides[:4]:
                asterisk.send(environment(card))
            assert await sides[0].command()
            sides[4].send(b"agi_network: yes\n")
            started = time.monotonic()
        assert time.monotonic() - started < 3
        await until(lambda: not agi_threads())
        for asterisk in sides:
            assert (await asterisk.rest()).count(b"\n") <= 1
    await until(lambda: len(os.listdir("/proc/self/fd")) <= descriptors)  # noqa: PTH208 - as cheap as can be


async def test_an_error_in_the_block_ends_the_server_as_well(cards: CallCards) -> None:
    async def fail(stack: contextlib.AsyncExitStack) -> None:
        async with serving(cards, Limits(deadline_s=30)) as address:
            asterisk = await stack.enter_async_context(AsteriskSide(address))
            asterisk.send(environment(cards.issue(FIELDS)))
            assert await asterisk.command()
            raise ZeroDivisionError

    async with contextlib.AsyncExitStack() as stack:
        with pytest.raises(ZeroDivisionError):
            await fail(stack)
        await until(lambda: not agi_threads())


async def test_after_the_end_nobody_listens(cards: CallCards) -> None:
    async with serving(cards) as address:
        pass
    with pytest.raises(ConnectionRefusedError):
        await play(address, cards.issue(FIELDS))


async def test_a_port_that_is_taken_is_the_operators_to_solve(cards: CallCards) -> None:
    async with serving(cards) as address:
        host, _, port = address.rpartition(":")
        with pytest.raises(UsageError, match=f"FastAGI cannot listen on {address}: .*in use"):
            async with serving_agi(cards, Listen(host, int(port))):
                pass


async def test_a_host_that_is_none_is_the_operators_to_solve(cards: CallCards) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on no-such-host\.invalid:4573"):
        async with serving_agi(cards, Listen("no-such-host.invalid", 4573)):
            pass


async def test_ipv6_has_brackets(cards: CallCards) -> None:
    with contextlib.closing(socket.socket(socket.AF_INET6)) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("no IPv6 here")
    async with serving_agi(cards, Listen("::1", 0), PATIENT) as address:
        assert address.startswith("[::1]:")
        assert await play(address, cards.issue(FIELDS)) == OWN


# what is counted


async def test_what_became_of_whom_is_counted(
    cards: CallCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally = CallTally()
    async with serving_agi(cards, ANYWHERE, PATIENT, tally=tally) as address:
        listened = tally.is_listening
        await play(address, cards.issue(FIELDS))
        await play(address, "no card")
        async with AsteriskSide(address) as asterisk:
            await asterisk.play(environment(cards.issue(FIELDS)), reply=b"520 no\n")
        with monkeypatch.context() as patch:
            patch.setattr("pbxapi.agi.server.Conversation", None)
            await play(address, cards.issue(FIELDS))
        await until(lambda: tally.served.total() == 3)
    assert (listened, tally.is_listening) == (True, False)
    outcomes = ("served", "interrupted", "failed")
    assert tally.served == {("cdr", outcome): 1 for outcome in outcomes}
    assert tally.refused == {"card": 1}


# the log


async def test_the_log_tells_what_was_served_and_no_value(
    cards: CallCards, caplog: pytest.LogCaptureFixture
) -> None:
    card = cards.issue(FIELDS)
    caplog.set_level(logging.DEBUG)
    with capture_logs() as logs:
        async with serving(cards) as address:
            await play(address, card, CHANNEL)
    served = next(entry for entry in logs if entry["event"] == "agi.served")
    assert served["script"] == "cdr"
    assert served["uniqueid"] == "1795461786.131"
    assert served["variables"] == 6
    assert 0 <= served["took_ms"] < 5000
    told = str(logs) + caplog.text
    assert card not in told
    assert not any(value in told for value in FIELDS.values())


async def test_a_bug_is_logged_and_the_server_lives(
    cards: CallCards, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = cards.issue(FIELDS)
    async with serving(cards) as address:
        with monkeypatch.context() as patch, capture_logs() as logs:
            patch.setattr("pbxapi.agi.server.Conversation", None)
            assert await play(address, card) == {}
            await until(lambda: any(entry["event"] == "agi.failed" for entry in logs))
        failed = next(entry for entry in logs if entry["event"] == "agi.failed")
        assert isinstance(failed["exc_info"], TypeError)
        assert await play(address, card) == OWN

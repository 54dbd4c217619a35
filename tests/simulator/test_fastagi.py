"""Calls that fetch their custom CDR fields, from a real FastAGI server and from bad ones."""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from hypothesis import example, given, strategies as st

from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import Limits, serving_agi
from pbxapi.config import Listen
from pbxapi.simulator import Behaviour, Simulator
from pbxapi.simulator.fastagi import Url, words
from pbxapi.simulator.options import Version
from pbxapi.simulator.subroutines import FIELDS_TIMEOUT_S
from tests.agi import words as oracle
from tests.agi.asterisk_side import CAPTURES
from tests.services import captures
from tests.services.ports import Ports
from tests.services.proxy import MakeProxy
from tests.simulator.ami_client import AmiClient, messages, value
from tests.simulator.calls import (
    hang_up_all,
    legs,
    originate,
    until,
    until_bridged,
    until_silent,
)
from tests.simulator.test_structure import recorded_shapes, shape

NASTY = {
    "customCDR1": 'klient=42; "quoted", comma',
    "customCDR2": "${SHELL(touch /tmp/x)} ${EXTEN} %41 $[1+1]",
    "customCDR3": "back\\slash\\ 'čau' žluťoučký kůň \\\\\" |&;()<>{}[]^",
    "customCDR4": "ř" * 255,
}
#: For tests that are not about time: a busy machine is no failure.
PATIENT = Limits(deadline_s=5)


@pytest.fixture
def cards() -> CallCards:
    return CallCards(time.monotonic)


@pytest.fixture
async def agi(cards: CallCards) -> AsyncIterator[str]:
    async with serving_agi(cards, Listen("127.0.0.1", 0), PATIENT) as address:
        yield address


def call(technology: str, **values: str) -> str:
    given = {"ACCOUNTS": f"{technology}/Linka_1000", "DST": "1001"} | values
    return originate("1000", "pbxapi-originate", **given)


def fields(simulator: Simulator) -> list[dict[str, str]]:
    return [{name: getattr(row, name.lower()) for name in NASTY} for row in simulator.cdrs]


@given(st.binary(max_size=80).filter(lambda line: b"\n" not in line))
@example(rb'SET VARIABLE "a b" "say \"x\" \\"')
@example(rb'a"b c"d "" \  e\"f')
def test_commands_are_cut_into_words_as_asterisk_cuts_them(line: bytes) -> None:
    assert words(line) == oracle.words(line)


@pytest.mark.parametrize(
    ("url", "parsed"),
    [
        ("agi://127.0.0.1:4573/cdr", ("127.0.0.1", 4573, "cdr")),
        ("agi://[::1]:4574/cdr", ("::1", 4574, "cdr")),
        ("agi://pbx/a/b?c", ("pbx", 4573, "a/b?c")),
        ("agi://pbx:99999/cdr", None),
        ("agi:///cdr", None),
        ("/usr/bin/script", None),
    ],
)
def test_addresses(url: str, parsed: tuple[str, int, str] | None) -> None:
    assert Url.parse(url) == parsed


async def test_every_value_arrives_exactly_in_every_row(
    simulator: Simulator, lab: AmiClient, technology: str, cards: CallCards, agi: str
) -> None:
    await lab.ask(call(technology, CARD=cards.issue(NASTY), AGI=agi), "o")
    await until_bridged(simulator)
    hang_up_all(simulator)
    await until_silent(simulator)
    assert len(simulator.cdrs) == 4
    assert fields(simulator) == [NASTY] * 4


@pytest.mark.parametrize("who", ["Linka_1000", "Linka_1001"])
async def test_fields_of_a_call_that_does_not_come_about(
    simulator: Simulator, lab: AmiClient, technology: str, cards: CallCards, agi: str, who: str
) -> None:
    simulator.configure(who, behaviour=Behaviour.BUSY)
    card = cards.issue({"customCDR3": "tři", "customCDR1": "jedna"})
    await lab.ask(call(technology, CARD=card, AGI=agi), "o")
    await lab.until(Event="DialEnd", DialStatus="BUSY")
    await lab.until(Event="OriginateResponse")
    hang_up_all(simulator)
    await until_silent(simulator)
    assert "BUSY" in {row.disposition for row in simulator.cdrs}
    expected = {"customCDR1": "jedna", "customCDR2": "", "customCDR3": "tři", "customCDR4": ""}
    assert fields(simulator) == [expected] * len(simulator.cdrs)


async def test_events_of_the_conversation_have_recorded_shapes(
    simulator: Simulator,
    lab: AmiClient,
    version: Version,
    technology: str,
    cards: CallCards,
    agi: str,
) -> None:
    await lab.ask(call(technology, CARD=cards.issue({"customCDR1": "x"}), AGI=agi), "o")
    await until_bridged(simulator)
    await lab.catch_up()
    known = recorded_shapes(version)
    seen = [m for m in lab.messages if value(m, "Event").startswith("AGIExec")]
    assert [value(m, "Event") for m in seen] == ["AGIExecStart", "AGIExecEnd"] * 2
    for message in seen:
        kind, names = shape(message)
        assert names in known[kind]
    assert value(seen[0], "Command").startswith('SET VARIABLE "SHARED(PBXAPI_CDR1,call-1-2)"')


class Listener:
    """A FastAGI that does with each connection what a test says."""

    def __init__(self) -> None:
        self.openings: list[bytes] = []
        self.rest: list[bytes] = []


@asynccontextmanager
async def listening(
    say: bytes = b"", *, close: bool = False
) -> AsyncIterator[tuple[str, Listener]]:
    seen = Listener()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.openings.append(await reader.readuntil(b"\n\n"))
        writer.write(say)
        if close:
            writer.close()
        seen.rest.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}", seen


async def ring_delay(simulator: Simulator, lab: AmiClient, text: str) -> float:
    """Seconds from the Originate to the phone's channel."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await lab.ask(text, "o")
    tech = simulator.options.technology
    phone = re.compile(rf"{tech}/Linka_1000-")
    await until(
        lambda: any(phone.match(c["Channel"]) for c in simulator.channels), "the phone rings"
    )
    return loop.time() - began


@pytest.mark.parametrize("fault", ["down", "frozen", "slow", "strange"])
async def test_a_bad_fastagi_holds_no_call(
    simulator: Simulator, lab: AmiClient, technology: str, ports: Ports, fault: str
) -> None:
    """It goes on after 300 ms at most, without fields."""
    one = b'SET VARIABLE "SHARED(PBXAPI_CDR1,call-1-2)" "too%20early"\n'
    said = {"slow": one, "strange": b'EXEC Dial x\n"\n' + b"x" * 20_000 + b"\n"}.get(fault, b"")
    async with listening(said) as (there, seen):
        address = f"127.0.0.1:{ports.tcp()}" if fault == "down" else there
        delay_s = await ring_delay(simulator, lab, call(technology, CARD="c" * 32, AGI=address))
        assert delay_s < FIELDS_TIMEOUT_S + 0.15  # and what a busy machine adds
        assert fault == "down" or delay_s > FIELDS_TIMEOUT_S - 0.01
        await until_bridged(simulator)
        hang_up_all(simulator)
        await until_silent(simulator)
        assert not any(row.customcdr1 for row in simulator.cdrs)
        if fault != "down":
            await until(lambda: seen.rest, "the connection is ended")
            assert seen.rest[0].endswith(b"HANGUP\n")


async def test_fields_that_did_not_come_are_asked_for_once_more(
    simulator: Simulator,
    lab: AmiClient,
    technology: str,
    cards: CallCards,
    agi: str,
    tcp_proxy: MakeProxy,
) -> None:
    """By the phone that has answered: its row and that of the destination have them."""
    async with listening() as (silent, _):
        proxy = await tcp_proxy(int(silent.rpartition(":")[2]))
        card, address = cards.issue(NASTY), f"127.0.0.1:{proxy.port}"
        await lab.ask(call(technology, CARD=card, AGI=address), "o")
        await until(lambda: proxy.accepted, "it is asked for the first time")
        proxy.set_upstream("127.0.0.1", int(agi.rpartition(":")[2]))
        await until_bridged(simulator)
        hang_up_all(simulator)
        await until_silent(simulator)
    assert proxy.accepted == 2
    rows = [row for row in simulator.cdrs if row.customcdr1]
    assert {row.channel.partition("-")[0] for row in rows} >= {f"{technology}/Linka_1000"}
    assert [found for found in fields(simulator) if found["customCDR1"]] == [NASTY] * len(rows)


async def test_the_conversation_is_opened_as_recorded(
    simulator: Simulator, lab: AmiClient, technology: str, version: Version
) -> None:
    async with listening(close=True) as (address, seen):
        await lab.ask(call(technology, CARD="c" * 32, AGI=address), "o")
        await until_bridged(simulator)
    recorded = (CAPTURES / str(version) / "agi-connected.raw").read_bytes().partition(b"\n\n")[0]
    keys = [line.partition(b":")[0] for line in recorded.split(b"\n")]
    opening = seen.openings[0].decode()
    lines = opening.rstrip("\n").split("\n")
    assert [line.partition(":")[0].encode() for line in lines] == [
        *keys,
        b"agi_arg_1",
        b"agi_arg_2",
    ]
    assert lines[-2:] == [f"agi_arg_1: {'c' * 32}", "agi_arg_2: call-1-2"]
    assert f"agi_request: agi://{address}/cdr" in lines
    assert "agi_network_script: cdr" in lines


async def test_commands_are_answered_as_recorded(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    commands = (
        b"SET VARIABLE A b\n",
        b"set variable A\n",
        b"GET VARIABLE A\n",
        b"GET VARIABLE B\n",
        b"FROBNICATE\n",
        b"NOOP x\n",
    )
    answers: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\n\n")
        for command in commands:
            writer.write(command)
            answer = await reader.readline()
            while answer.startswith(b"520-"):
                answer = await reader.readuntil(b"520 End of proper usage.\n")
            answers.append(answer)
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await lab.ask(call(technology, CARD="c" * 32, AGI=address), "o")
        await until(lambda: len(answers) == len(commands), "every command is answered")
    assert [answer.strip().rpartition(b"\n")[2] for answer in answers] == [
        b"200 result=1",
        b"520 End of proper usage.",
        b"200 result=1 (b)",
        b"200 result=0",
        b"510 Invalid or unknown command",
        b"200 result=0",
    ]


async def test_asking_leaves_the_events_that_were_recorded(
    simulator: Simulator,
    lab: AmiClient,
    version: Version,
    technology: str,
    cards: CallCards,
    agi: str,
) -> None:
    """What a client sees of the channel that asks."""
    await lab.ask(call(technology, CARD=cards.issue({"customCDR1": "x"}), AGI=agi), "o")
    await until_bridged(simulator)
    await lab.catch_up()
    recorded = messages(captures.read(str(version), "click-to-call-cdr"))

    def asking(session: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
        wanted = {"Newchannel", "LocalBridge", "DialBegin", "DialEnd", "Hangup"}
        found = []
        for message in session:
            names = " ".join(text for name, text in message if name.endswith(("Channel", "Two")))
            if value(message, "Event") in wanted and "@pbxapi-card-" in names:
                half = value(message, "Channel")[-1:]
                found.append((value(message, "Event"), half if half in "12" else ""))
        return found

    assert sorted(asking(lab.messages)) == sorted(asking(recorded))


async def test_simulator_that_stops_lets_no_conversation_go_on() -> None:
    async with listening() as (address, seen):
        async with Simulator() as simulator, await AmiClient.connect(simulator.port) as client:
            await client.login("pbxapi", "pbxapi")
            await client.ask(call("PJSIP", CARD="c" * 32, AGI=address), "o")
            await until(lambda: seen.openings, "the conversation runs")
        await until(lambda: seen.rest == [b""], "its connection is gone, without a word")


async def test_rows_are_those_of_a_call_without_a_card(
    simulator: Simulator, lab: AmiClient, technology: str, cards: CallCards, agi: str
) -> None:
    """The channel that asks leaves no row."""
    for ident, more in (("a", {}), ("b", {"CARD": cards.issue({"customCDR1": "x"}), "AGI": agi})):
        text = call(technology, **more).replace("call-1", ident)
        await lab.ask(text, ident)
        await until_bridged(simulator)
        hang_up_all(simulator)
        await until_silent(simulator)
    by_call = {
        ident: sorted(legs(row) for row in simulator.cdrs if row.linkedid == ident)
        for ident in ("a", "b")
    }
    assert by_call["a"] == by_call["b"]

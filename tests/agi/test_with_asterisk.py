"""The server asked by a real dialplan: what Asterisk then has on the channel, read back by AMI."""

import asyncio
import time
from collections.abc import AsyncIterator
from urllib.parse import unquote

import pytest

from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import serving_agi
from pbxapi.config import Listen
from tests.services.asterisk import Asterisk
from tests.services.ports import Ports
from tests.services.waiting import eventually

CONTEXT = "agi-test"
FIELDS = {
    "customCDR1": "say \"hello\", \\ok\\ '(1)' ; a|b",
    "customCDR2": "${EXTEN} $[1+1] ${SHELL(id)} `id`",
    "customCDR3": ("Příliš žluťoučký kůň úpěl ďábelské ódy " * 7)[:254] + "ž",
    "customCDR4": '"' * 254 + "\\",
}


@pytest.fixture
def cards() -> CallCards:
    return CallCards(time.monotonic)


@pytest.fixture
async def address(cards: CallCards, ports: Ports) -> AsyncIterator[str]:
    async with serving_agi(cards, Listen("127.0.0.1", ports.tcp())) as address:
        yield address


async def call(asterisk: Asterisk, *steps: str) -> str:
    """Run these steps of a dialplan, then wait; returns the name of the channel that does."""
    for priority, step in enumerate((*steps, "Wait(30)"), 1):
        await asterisk.aio.cli(f"dialplan add extension s,{priority},{step} into {CONTEXT} replace")
    before = {channel.name for channel in await asterisk.aio.channels()}
    await asterisk.aio.cli(f"channel originate Local/s@{CONTEXT} application Wait 30")

    async def waiting() -> str:
        channels = await asterisk.aio.channels()
        return next(
            (
                channel.name
                for channel in channels
                if channel.name not in before
                and channel.name.endswith(";2")
                and channel.application == "Wait"
            ),
            "",
        )

    return await eventually(waiting, within_s=5, what="the dialplan waits")


async def read(asterisk: Asterisk, channel: str, *variables: str) -> list[str]:
    """The values of variables of a channel, as Asterisk has them."""
    reader, writer = await asyncio.open_connection(asterisk.ami_host, asterisk.ami_port)
    name, secret = asterisk.oracle_username, asterisk.oracle_secret
    actions = [f"Action: Login\r\nUsername: {name}\r\nSecret: {secret}\r\nEvents: off\r\n\r\n"]
    actions += [
        f"Action: Getvar\r\nChannel: {channel}\r\nVariable: {variable}\r\n\r\n"
        for variable in variables
    ]
    actions += ["Action: Logoff\r\n\r\n"]
    writer.write("".join(actions).encode())
    answer = (await reader.read()).decode()
    writer.close()
    return [line[7:] for line in answer.split("\r\n") if line.startswith("Value: ")]


async def test_fields_arrive_exactly_on_the_cdr(
    asterisk: Asterisk, cards: CallCards, address: str
) -> None:
    card = cards.issue(FIELDS)
    channel = await call(asterisk, f"AGI(agi://{address}/cdr,{card})")
    names = [f"CDR({name})" for name in FIELDS]
    assert await read(asterisk, channel, *names) == list(FIELDS.values())


async def test_fields_arrive_exactly_on_another_channel(
    asterisk: Asterisk, cards: CallCards, address: str
) -> None:
    other = await call(asterisk, "NoOp()")
    await call(asterisk, f"AGI(agi://{address}/cdr,{cards.issue(FIELDS)},{other})")
    names = [f"SHARED(PBXAPI_CDR{key})" for key in ("1", "2", "3", "3_2", "4", "4_2")]
    values = await read(asterisk, other, *names, "SHARED(PBXAPI_CDR)")
    assert "".join(map(unquote, values[:-1])) == "".join(FIELDS.values())
    assert values[-1] == "1&2&3&3_2&4&4_2"


@pytest.mark.parametrize("script", ["cdr,0123456789abcdef0123456789abcdef", "cdr", "other,CARD"])
async def test_without_a_card_the_dialplan_goes_on_at_once(
    asterisk: Asterisk, cards: CallCards, address: str, script: str
) -> None:
    script = script.replace("CARD", cards.issue(FIELDS))
    started = time.monotonic()
    channel = await call(asterisk, f"AGI(agi://{address}/{script})")
    assert time.monotonic() - started < 3  # most of it is the CLI's
    assert await read(asterisk, channel, "AGISTATUS", "CDR(customCDR1)") == ["SUCCESS", ""]

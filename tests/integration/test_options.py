"""Every option of a call on real Asterisk 16 and 22, read where its effect lands."""

import array
import asyncio
import cmath
import sys
import time
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import Limits, serving_agi
from pbxapi.ami.requests import Request, variables
from pbxapi.ami.session import connect
from pbxapi.config import Listen
from pbxapi.errors import PbxUnavailable
from tests.services.asterisk import Asterisk, LiveChannel
from tests.services.daemon import PASSWORD, USERNAME, Daemon
from tests.services.lines import TRUNK
from tests.services.phones import Mode, Phones
from tests.services.php import Php, PhpAnswer
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy
from tests.services.standing import Standing
from tests.services.waiting import eventually

#: What a global variable is before the dial plan sets it.
UNSET = "-"
#: Whatever has broken a CDR, a dial plan or an AGI command before.
NASTY = {
    "customCDR1": 'klient=42; "quoted", comma',
    "customCDR2": "${SHELL(touch /tmp/pbxapi-injected)} ${EXTEN} %41 $[1+1]",
    "customCDR3": "back\\slash\\ 'čau' žluťoučký kůň \\\\\" |&;()<>{}[]^",
    "customCDR4": "ř" * 255,
}


@pytest.fixture
def database(standing: Standing) -> Database:
    return standing.database


@pytest_asyncio.fixture
async def daemon(asterisk: Asterisk, database: Database, standing_daemon: Daemon) -> Daemon:
    await asterisk.aio.write_cdr_to(database.dsn)
    return standing_daemon


#: A request of an unmodified PHP script: action and parameters → what it got.
Legacy = Callable[..., Awaitable[PhpAnswer]]


@pytest.fixture
def legacy(daemon: Daemon, php: Php) -> Legacy:
    async def ask(action: str, **params: str) -> PhpAnswer:
        who = {"username": USERNAME, "password": PASSWORD, "action": action}
        return await php.get(daemon.url, who | params)

    return ask


async def talk(daemon: Daemon, *usernames: str) -> list[dict[str, str]]:
    async def probe() -> list[dict[str, str]]:
        rows = await daemon.calls()
        up = {r["channelName"] for r in rows if r["status"] == "Up"}
        found = all(any(f"/{name}-" in channel for channel in up) for name in usernames)
        return rows if found and len(rows) == len(usernames) else []

    return await eventually(probe, within_s=8, what=f"{usernames} talk")


async def silence(daemon: Daemon, asterisk: Asterisk) -> None:
    async def probe() -> bool:
        return not await daemon.calls() and not await asterisk.aio.channels()

    await eventually(probe, within_s=15, what="no channel")


async def hang_up(daemon: Daemon, asterisk: Asterisk) -> None:
    for row in await daemon.calls():
        await daemon.ask("hangupcall", channelName=row["channelName"])
    await silence(daemon, asterisk)


async def cdrs(database: Database, count: int = 1) -> list[dict[str, Any]]:
    """The rows that carry a custom field or a recording, once there are so many."""

    async def probe() -> list[Any]:
        rows = await database.fetch("SELECT * FROM pbxapi.cdr ORDER BY id")
        marked = [dict(r) for r in rows if r["customcdr1"] or r["recordingfile"]]
        return marked if len(marked) >= count else []

    return await eventually(probe, within_s=6, what=f"{count} CDRs")


def fields(row: dict[str, Any]) -> dict[str, str]:
    return {name: row[name.lower()] for name in NASTY}


async def variable(asterisk: Asterisk, name: str) -> str:
    """A global variable of the dial plan, or ""."""
    text = await asterisk.aio.cli("dialplan show globals")
    lines = (line.strip().partition("=") for line in text.splitlines())
    value = next((value for key, _, value in lines if key == name), "")
    return "" if value == UNSET else value


async def becomes(asterisk: Asterisk, name: str) -> str:
    value: str = await eventually(
        lambda: variable(asterisk, name), within_s=8, what=f"the dial plan sets {name}"
    )
    return value


@pytest_asyncio.fixture(autouse=True)
async def no_globals(asterisk: Asterisk) -> None:
    for name in ("LAB_ENTERED", "LAB_FAILED", "LAB_MACRO"):
        await asterisk.aio.set_global(name, UNSET)


async def test_every_custom_field_arrives_exactly(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, legacy: Legacy, database: Database
) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", **NASTY)
    await talk(daemon, "Linka_1000", "Linka_1001")
    await hang_up(daemon, asterisk)
    rows = await cdrs(database, 2)
    assert [fields(row) for row in rows] == [NASTY] * len(rows)
    answered = {
        row["channel"].split("/")[1][:6] for row in rows if row["disposition"] == "ANSWERED"
    }
    assert answered >= {"1000@p", "Linka_"}, "who rang the line, and the line"
    assert not Path("/tmp/pbxapi-injected").exists()
    assert daemon.events("agi.served")


@pytest.mark.parametrize(
    ("line", "target", "disposition"),
    [
        ("busy", "answer", "BUSY"),
        ("ring", "answer", "NO ANSWER"),
        ("answer", "busy", "BUSY"),
        ("answer", "ring", "NO ANSWER"),
    ],
)
async def test_custom_fields_of_a_call_that_does_not_come_about(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    database: Database,
    line: Mode,
    target: Mode,
    disposition: str,
    legacy: Legacy,
) -> None:
    await phones.up("Linka_1000", mode=line)
    await phones.up("Linka_1001", mode=target)
    await legacy(
        "originate",
        srcSipUsername="Linka_1000",
        dstNum="1001",
        srcRingTimeout="1",
        dstRingTimeout="1",
        **NASTY,
    )
    await eventually(lambda: phones.invites("Linka_1000"), within_s=5, what="the line rings")
    await silence(daemon, asterisk)
    rows = await cdrs(database)
    assert [fields(row) for row in rows] == [NASTY] * len(rows)
    assert disposition in {row["disposition"] for row in rows}


async def test_a_line_that_diverts_is_busy_and_nobody_rings_instead(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, legacy: Legacy, database: Database
) -> None:
    await phones.up("Linka_1000", mode="divert", refer_to="1002")
    await phones.up("Linka_1001")
    await phones.up("Linka_1002")
    await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", **NASTY)
    await phones.ringing("Linka_1000")
    await silence(daemon, asterisk)
    assert [fields(row) for row in await cdrs(database)] == [NASTY]
    rung = [len(phones.invites(f"Linka_{number}")) for number in (1000, 1001, 1002)]
    assert rung == [1, 0, 0]


async def test_a_target_that_diverts_is_followed(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, legacy: Legacy, database: Database
) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001", mode="divert", refer_to="1002")
    await phones.up("Linka_1002")
    await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", **NASTY)
    rows = await talk(daemon, "Linka_1000", "Linka_1002")
    assert [(row["src"], row["dst"]) for row in rows] == [("1000", "1001"), ("1000", "1002")]
    rung = [len(phones.invites(f"Linka_{number}")) for number in (1000, 1001, 1002)]
    assert rung == [1, 1, 1]
    await hang_up(daemon, asterisk)

    async def talked() -> list[dict[str, Any]]:
        rows = await cdrs(database)
        return [row for row in rows if row["dcontext"] == "pbxapi-dial"]

    found = await eventually(talked, within_s=6, what="the CDR of the talk")
    assert {row["dst"] for row in found} == {"1001"}, "the number that was asked for"
    assert [fields(row) for row in found] == [NASTY] * len(found)


@asynccontextmanager
async def originated(
    asterisk: Asterisk, channel: str = "Local/1000@pbxapi-originate/n", **values: str
) -> AsyncIterator[None]:
    """Linka_1000 is being rung for 1001, as the daemon would have it, with these values."""
    session = await connect(asterisk.ami_host, asterisk.ami_port, (), lambda _event: None)
    await session.log_in(asterisk.ami_username, asterisk.ami_secret)
    line = {"ACCOUNTS": f"{asterisk.technology}/Linka_1000", "DST": "1001", "DIALPLAN": "1"}
    named = line | {"SRC_TIMEOUT": "5", "DST_TIMEOUT": "5"} | values
    headers = (
        ("Channel", channel),
        ("Context", "pbxapi-originated"),
        ("Exten", "s"),
        ("Priority", "1"),
        ("Async", "true"),
        *variables((f"__PBXAPI_{name}", value) for name, value in named.items()),
    )
    try:
        await session.request(Request("Originate", headers))
        yield
    finally:
        session.close(PbxUnavailable("the test is over"))


@pytest.mark.parametrize("fastagi", ["down", "silent"])
async def test_fastagi_that_does_not_answer_holds_no_call(
    asterisk: Asterisk, phones: Phones, ports: Ports, fastagi: str
) -> None:
    """300 ms at most, then the telephone rings without the fields."""
    await phones.up("Linka_1000", mode="ring")
    port = ports.tcp()
    loop = asyncio.get_running_loop()
    silent = await loop.create_server(asyncio.Protocol, "127.0.0.1", port)
    if fastagi == "down":
        silent.close()
    try:
        async with originated(asterisk, CARD="c" * 32, AGI=f"127.0.0.1:{port}"):
            began = loop.time()
            await eventually(lambda: phones.invites("Linka_1000"), within_s=3, what="it rings")
            assert loop.time() - began < 1  # a connect alone would take 2 s, and an answer for ever
    finally:
        silent.close()


@pytest.mark.parametrize(
    ("channel", "options", "talking"),
    [
        ("Local/1000@pbxapi-originate/n", {}, ("Linka_1000", "Linka_1001")),
        (
            "Local/800123456@pbxapi-dialout/n",
            {"OUTROUTE": "1", "CONTEXT": "pospojeni"},
            (TRUNK,),
        ),
    ],
    ids=["originate", "dial"],
)
async def test_custom_fields_that_did_not_come_are_asked_for_once_more(
    asterisk: Asterisk,
    daemon: Daemon,
    phones: Phones,
    database: Database,
    tcp_proxy: MakeProxy,
    channel: str,
    options: dict[str, str],
    talking: tuple[str, ...],
) -> None:
    """FastAGI says nothing before the telephone rings, and is well again when somebody answers."""
    for username in talking:
        await (phones.trunk() if username == TRUNK else phones.up(username))

    async def nobody_asks() -> bool:
        return all(c.context != "pbxapi-fields" for c in await asterisk.aio.channels())

    async def all_three() -> list[Any]:
        rows = await database.fetch("SELECT * FROM pbxapi.cdr")
        return rows if len(rows) == 3 else []

    cards = CallCards(time.monotonic)
    loop = asyncio.get_running_loop()
    silent = await loop.create_server(asyncio.Protocol, LOOPBACK, 0)
    async with serving_agi(cards, Listen(LOOPBACK, 0), Limits(deadline_s=5)) as address, silent:
        proxy = await tcp_proxy(silent.sockets[0].getsockname()[1])
        values = {"CARD": cards.issue(NASTY), "AGI": f"{LOOPBACK}:{proxy.port}"}
        async with originated(asterisk, channel, **options, **values):
            await eventually(lambda: proxy.accepted, within_s=3, what="the first connection")
            proxy.set_upstream(LOOPBACK, int(address.rpartition(":")[2]))
            await eventually(lambda: proxy.accepted == 2, within_s=5, what="the second one")
            await talk(daemon, *talking)
            await eventually(nobody_asks, within_s=3, what="the fields are there")
        await hang_up(daemon, asterisk)
    rows = await eventually(all_three, within_s=6, what="all CDRs")
    # That somebody was rung is a row of its own, which they have come too late for.
    assert [fields(row) for row in rows if row["customcdr1"]] == [NASTY] * len(talking)
    assert {row["disposition"] for row in rows} == {"ANSWERED"}


async def test_nobody_rings_once_the_client_has_been_told_that_it_failed(
    asterisk: Asterisk, phones: Phones
) -> None:
    """Not even a moment later: a client that asks again would ring the telephone twice."""
    await phones.up("Linka_1000", mode="ring")
    now = time.time()
    async with originated(asterisk, NOT_AFTER=f"{now - 0.001:.3f}", CID_NUM="1"):
        await eventually(lambda: not asterisk.channels(), within_s=5, what="it ends")
    async with originated(asterisk, NOT_AFTER=f"{time.time() + 5:.3f}", CID_NUM="2"):
        await phones.ringing("Linka_1000")
    assert [invite.number for invite in phones.invites("Linka_1000")] == ["2"]


async def test_recording_has_the_length_of_the_talk_and_its_path_is_in_the_cdr(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    database: Database,
    legacy: Legacy,
) -> None:
    await phones.up("Linka_1000")
    await legacy(
        "originate",
        srcSipUsername="Linka_1000",
        dstNum="602",
        monitorFilename="hovor čtyři.wav",
        monitorPath=f"{asterisk.monitor}/2026/listopad",
    )
    await talk(daemon, "Linka_1000")
    path = Path(asterisk.monitor) / "2026/listopad/hovor čtyři.wav"
    await eventually(path.exists, within_s=5, what="the recording has begun")
    await asyncio.sleep(3)
    await hang_up(daemon, asterisk)
    rows = await cdrs(database)
    assert {row["recordingfile"] for row in rows} == {str(path)}

    def length() -> float:
        with wave.open(str(path)) as sound:
            return float(sound.getnframes() / sound.getframerate())

    await eventually(lambda: length() > 0, within_s=3, what="the file is closed")
    assert 2 < length() < 4  # three seconds, less what the music took to begin


async def holds_a_second(path: Path) -> None:
    await eventually(
        lambda: path.exists() and path.stat().st_size > 20_000, within_s=8, what="a second of sound"
    )


def level(path: Path, hz: int) -> float:
    """Amplitude of a tone in a recording of 16 bits."""
    with wave.open(str(path)) as sound:
        samples = array.array("h", sound.readframes(sound.getnframes()))
        turn = -2j * cmath.pi * hz / sound.getframerate()
    if sys.byteorder == "big":
        samples.byteswap()
    turned: complex = sum(s * cmath.exp(turn * i) for i, s in enumerate(samples))
    return 2 * abs(turned) / len(samples)


async def test_recording_and_spying_hear_both_voices(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, legacy: Legacy
) -> None:
    await phones.up("Linka_1000", tone_hz=400)
    await phones.up("Linka_1001", tone_hz=500)
    await phones.up("Linka_1005")
    await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", monitorFilename="oba.wav")
    rows = await talk(daemon, "Linka_1000", "Linka_1001")
    await legacy("spying", srcSipUsername="Linka_1005", dstChannelName=rows[0]["channelName"])
    spy = await spying_on(asterisk)
    recorded, heard = (Path(asterisk.monitor) / name for name in ("oba.wav", "slyseno.wav"))
    await asterisk.aio.cli(f"mixmonitor start {spy.name} {heard}")
    await holds_a_second(recorded)
    await holds_a_second(heard)
    await hang_up(daemon, asterisk)
    for path in (recorded, heard):
        assert [level(path, hz) > 1000 for hz in (400, 500, 640)] == [True, True, False]


async def test_dial_records_what_its_context_plays(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, legacy: Legacy
) -> None:
    """A context that announces something, or asks for a key, connects the called one to nobody."""
    await phones.trunk(tone_hz=500)
    await legacy(
        "dial", dstNum="800123456", outrouteId="1", context="hudba", monitorFilename="hraje.wav"
    )
    await talk(daemon, TRUNK)
    path = Path(asterisk.monitor) / "hraje.wav"
    await holds_a_second(path)
    await hang_up(daemon, asterisk)
    assert [level(path, hz) > 1000 for hz in (440, 500, 640)] == [True, True, False]


async def test_a_line_without_permission_is_not_recorded(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    legacy: Legacy,
) -> None:
    await phones.up("Linka_1002")
    await legacy(
        "originate", srcSipUsername="Linka_1002", dstNum="602", monitorFilename="tajne.wav"
    )
    await talk(daemon, "Linka_1002")
    await asyncio.sleep(0.5)
    assert not (Path(asterisk.monitor) / "tajne.wav").exists()


async def test_macro_runs_on_the_line_before_it_rings(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    legacy: Legacy,
) -> None:
    await phones.up("Linka_1000", mode="ring")
    await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", macro="oznameni")
    assert "/Linka_1000-" in await becomes(asterisk, "LAB_MACRO")
    await eventually(lambda: phones.invites("Linka_1000"), within_s=3, what="it rings")


async def test_macro_that_does_not_exist_hinders_nothing(
    daemon: Daemon, phones: Phones, legacy: Legacy
) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", macro="neni")
    await talk(daemon, "Linka_1000", "Linka_1001")


@pytest.mark.parametrize(
    ("context", "entered"), [("pospojeni", "pospojeni-s"), ("jen-cisla", "jen-cisla-800123456")]
)
async def test_dial_lets_the_answered_call_into_its_context(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    database: Database,
    context: str,
    entered: str,
    legacy: Legacy,
) -> None:
    await phones.trunk()
    answer = await legacy(
        "dial", dstNum="800123456", outrouteName="odchozi", context=context, **NASTY
    )
    assert answer.raw == b'{"success":"true"}'
    assert await becomes(asterisk, "LAB_ENTERED") == entered
    await talk(daemon, TRUNK)
    channels = await asterisk.aio.channels()
    assert (context, True) in {
        (c.context, c.name.startswith("Local/800123456@dial_out_1-")) for c in channels
    }
    await hang_up(daemon, asterisk)
    marked = await cdrs(database)
    assert [fields(row) for row in marked] == [NASTY] * len(marked)


@pytest.mark.parametrize(
    ("mode", "failed"), [("busy", "BUSY-17"), ("ring", "NOANSWER-19"), ("reject", None)]
)
async def test_dial_lets_the_failed_call_into_its_hangup_context(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    mode: Mode,
    failed: str | None,
    legacy: Legacy,
) -> None:
    await phones.trunk(mode)
    await legacy(
        "dial",
        dstNum="800123456",
        outrouteId="1",
        context="pospojeni",
        hangupContext="nevyzvednuto",
        dstRingTimeout="2",
    )
    status = await becomes(asterisk, "LAB_FAILED")
    assert failed is None or status == failed
    assert await variable(asterisk, "LAB_ENTERED") == ""
    await silence(daemon, asterisk)


async def test_dial_into_a_context_that_does_not_exist_rings_nobody(
    daemon: Daemon,
    asterisk: Asterisk,
    legacy: Legacy,
) -> None:
    answer = await legacy("dial", dstNum="800123456", outrouteId="1", context="neni")
    assert answer.raw == (b'{"success":"false","errno":"907","reason":"Context neni not found"}')
    assert await asterisk.aio.channels() == []


async def spying_on(asterisk: Asterisk) -> LiveChannel:
    async def probe() -> list[LiveChannel]:
        return [c for c in await asterisk.aio.channels() if c.application == "ChanSpy"]

    (spy,) = await eventually(probe, within_s=8, what="somebody spies")
    return spy


async def test_spying_by_channel_hears_that_one_and_ends_with_it(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    legacy: Legacy,
) -> None:
    for name in ("Linka_1001", "Linka_1005"):
        await phones.up(name)
    await phones.call("Linka_1000", "1001")
    rows = await talk(daemon, "Linka_1000", "Linka_1001")
    spied = next(r["channelName"] for r in rows if "Linka_1001" in r["channelName"])
    answer = await legacy("spying", srcSipUsername="Linka_1005", dstChannelName=spied)
    assert answer.raw == b'{"success":"true"}'
    spy = await spying_on(asterisk)
    assert "/Linka_1005-" in spy.name
    assert spy.data.split(",")[0] == spied
    (invite,) = phones.invites("Linka_1005")
    assert (invite.number, invite.name) == ("000", "Spy")
    await daemon.ask("hangupcall", channelName=spied)
    await silence(daemon, asterisk)


async def test_spying_on_a_line_waits_for_its_call(
    daemon: Daemon,
    asterisk: Asterisk,
    phones: Phones,
    legacy: Legacy,
) -> None:
    for name in ("Linka_1001", "Linka_1005"):
        await phones.up(name)
    await legacy(
        "spying",
        srcSipUsername="Linka_1005",
        dstExtenInternalNum="1001",
        dstDialplanName="prvni",
        spyCid="299",
        spyName="Šéf",
    )
    await talk(daemon, "Linka_1005")
    await phones.call("Linka_1000", "1001")
    spy = await spying_on(asterisk)
    assert "/Linka_1001-" in spy.data
    (invite,) = phones.invites("Linka_1005")
    assert (invite.number, invite.name) == ("299", "Šéf")


async def test_custom_fields_stay_with_the_line_that_was_transferred(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, legacy: Legacy, database: Database
) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001", mode="refer", refer_to="1002")
    await phones.up("Linka_1002")
    await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", **NASTY)
    await talk(daemon, "Linka_1000", "Linka_1001")
    phones.press("Linka_1001")
    rows = await talk(daemon, "Linka_1000", "Linka_1002")
    assert [(row["src"], row["dst"]) for row in rows] == [("1000", "1002"), ("1000", "1002")]
    await hang_up(daemon, asterisk)

    async def transferred() -> list[dict[str, Any]]:
        rows = await cdrs(database, 2)
        return rows if any(row["dst"] == "1002" for row in rows) else []

    found = await eventually(transferred, within_s=6, what="the CDR of the second talk")
    assert [fields(row) for row in found] == [NASTY] * len(found)


async def test_asterisk_that_dies_before_anybody_answers_leaves_nothing(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, legacy: Legacy
) -> None:
    await phones.up("Linka_1000", mode="ring")
    answer = await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001", customCDR1="x")
    assert answer.raw == b'{"success":"true"}'
    await eventually(lambda: phones.invites("Linka_1000"), within_s=3, what="it rings")
    await asterisk.aio.kill()
    again = await legacy("originate", srcSipUsername="Linka_1000", dstNum="1001")
    assert again.raw == b'{"success":"false","errno":"900","reason":"PBX is not available"}'
    await asterisk.aio.start()

    async def empty() -> bool:
        return (await legacy("listcalls")).raw == b'{"success":"true","total":"0","results":[]}'

    await eventually(empty, within_s=4, what="no call is left")
    assert await asterisk.aio.channels() == [], "nothing rings later"

"""Real telephones that register, move, fall silent and call: `sipstatus` and the checks say so.

On Asterisk 16 with chan_sip, on 16 with both drivers, and on 22 with PJSIP. After each step the
answer is that of Asterisk's own command line at that moment.
"""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.services.asterisk import ALL_VERSIONS, Asterisk
from tests.services.daemon import Daemon, StartDaemon, seed
from tests.services.lines import BEHIND_NAT, IMPATIENT, TRUNK, Technology
from tests.services.peers import PeerTruth, peer_truth
from tests.services.phones import Phones
from tests.services.ports import Ports
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy, TcpProxy
from tests.services.waiting import eventually

Row = dict[str, str]

#: One of them waits until a registration lapses.
pytestmark = pytest.mark.timeout(60)

all_drivers = pytest.mark.parametrize("asterisk", ALL_VERSIONS, indirect=True)

NOBODY = PeerTruth("(Unspecified)", "0", "UNKNOWN", "", "")
#: Longer than an event, the question after it, and its answer take on a busy machine.
SOON_S = 4
#: Longer than between two lists.
LISTED_S = 13
#: Longer than chan_sip (10 s) grants beyond the agreed time.
LAPSED_S = 16


@pytest_asyncio.fixture
async def proxy(asterisk: Asterisk, tcp_proxy: MakeProxy) -> TcpProxy:
    return await tcp_proxy(asterisk.ami_port)


@pytest_asyncio.fixture
async def daemon(
    asterisk: Asterisk, database: Database, start_daemon: StartDaemon, proxy: TcpProxy
) -> AsyncIterator[Daemon]:
    await seed(database, asterisk.technology)
    started = await start_daemon(proxy.port, asterisk.ami_username, asterisk.ami_secret)
    try:
        await eventually(lambda: started.events("cache.peers_listed"), within_s=5, what="a picture")
    except AssertionError as error:
        raise AssertionError(started.log.read_text("utf-8")) from error
    yield started


async def row(daemon: Daemon, username: str) -> Row:
    answer = await daemon.ask("sipstatus")
    rows: list[Row] = answer.data.get("results", [])
    return next((each for each in rows if each["user"] == username), {})


def told(each: Row) -> PeerTruth:
    return PeerTruth(*(each.get(name, "") for name in PeerTruth._fields))


def without_ms(peer: PeerTruth) -> PeerTruth:
    return peer._replace(status=peer.status.partition(" (")[0])


async def agrees(
    daemon: Daemon,
    asterisk: Asterisk,
    username: str,
    technology: Technology | None = None,
    *,
    within_s: float = SOON_S,
    to_the_ms: bool = False,
) -> PeerTruth:
    """Wait until the row is what the command line says; user agents outlive a registration.

    Round trips change without an event: only the next list is right to the millisecond.
    """

    is_pjsip = (technology or asterisk.technology) == "PJSIP"
    truth = seen = NOBODY

    async def probe() -> bool:
        nonlocal truth, seen
        truth = await peer_truth(asterisk, username, technology)
        seen = told(await row(daemon, username))
        if truth.host == NOBODY.host and is_pjsip:  # it has forgotten what we remember
            return seen[:3] == truth[:3]
        return seen == truth if to_the_ms else without_ms(seen) == without_ms(truth)

    try:
        await eventually(probe, within_s=within_s, what=f"{username}: row and truth agree")
    except AssertionError as error:
        raise AssertionError(f"{seen} is not {truth}") from error
    return seen


async def the_trunk_registers(daemon: Daemon, asterisk: Asterisk, phones: Phones) -> None:
    async def registry() -> str:
        return (await row(daemon, TRUNK))["registry"]

    assert await registry() is not None
    await phones.trunk()
    if asterisk.technology == "SIP":
        await asterisk.aio.cli("module reload chan_sip.so")
    else:
        await asterisk.aio.cli("pjsip send register *all")

    async def registered() -> bool:
        return await registry() == "Registered"

    await eventually(registered, within_s=LISTED_S, what="the trunk is registered")
    trunk = await row(daemon, TRUNK)
    assert trunk["host"] == "127.0.0.2"
    assert trunk["port"] == str(asterisk.trunk_port)

    async def answers() -> bool:
        return (await row(daemon, TRUNK))["status"].startswith("OK (")

    await eventually(answers, within_s=LISTED_S, what="the trunk answers")


@all_drivers
async def test_telephones_come_move_fall_silent_and_go(
    daemon: Daemon, asterisk: Asterisk, phones: Phones
) -> None:
    await phones.register("Linka_1002", expires_s=2, user_agent="Short/1.0")
    await phones.up("Linka_1003")
    assert (await agrees(daemon, asterisk, "Linka_1000")).host == "(Unspecified)"

    await phones.up("Linka_1001", user_agent="snom870/8.7.3.25.9")
    there = await agrees(daemon, asterisk, "Linka_1001")
    assert there.status.startswith("OK (")
    assert there.useragent == "snom870/8.7.3.25.9"

    natted, impatient = f"Linka_{BEHIND_NAT}", f"Linka_{IMPATIENT}"
    await phones.register(natted, contact_host="10.0.0.7", user_agent="Behind/2")
    behind = await agrees(daemon, asterisk, natted)
    assert (behind.host, behind.useragent) == ("127.0.0.1", "Behind/2")
    assert behind.regcontact.startswith(f"sip:{natted}@10.0.0.7:")

    await phones.up(impatient)
    assert (await agrees(daemon, asterisk, impatient)).status.startswith("OK (")
    await phones.down(impatient)

    async def silent() -> bool:
        return (await row(daemon, impatient))["status"] == "UNREACHABLE"

    await eventually(silent, within_s=SOON_S, what="it is seen that it is silent")
    await agrees(daemon, asterisk, impatient)
    await phones.up(impatient)
    assert (await agrees(daemon, asterisk, impatient)).status.startswith("OK (")

    await phones.unregister("Linka_1001")
    gone = await agrees(daemon, asterisk, "Linka_1001")
    assert gone[:2] == ("(Unspecified)", "0")
    assert gone.useragent == "snom870/8.7.3.25.9", "as in the vendor's sample"
    elsewhere = "127.0.0.3"
    await phones.register(
        "Linka_1001", contact_host=elsewhere, source_host=elsewhere, user_agent="moved"
    )
    moved = await agrees(daemon, asterisk, "Linka_1001")
    assert (moved.host, moved.useragent) == (elsewhere, "moved")

    await the_trunk_registers(daemon, asterisk, phones)

    async def lapsed() -> bool:
        return (await row(daemon, "Linka_1002"))["host"] == "(Unspecified)"

    await eventually(lapsed, within_s=LAPSED_S, what="the short registration has lapsed")
    assert (await agrees(daemon, asterisk, "Linka_1002")).useragent == "Short/1.0"
    await agrees(daemon, asterisk, "Linka_1003", within_s=LISTED_S, to_the_ms=True)


@all_drivers
async def test_checks_know_where_a_telephone_is_and_whether_it_is_free(
    daemon: Daemon, asterisk: Asterisk, phones: Phones
) -> None:
    channel = f"{asterisk.technology}/Linka_1000"

    async def originate(**params: str) -> str:
        answer = await daemon.ask("originate", srcSipUsername="Linka_1000", dstNum="1001", **params)
        return answer.errno

    async def refused(code: str, **params: str) -> None:
        async def probe() -> bool:
            return await originate(**params) == code

        await eventually(probe, within_s=SOON_S, what=f"{code}")
        assert not phones_ring(), "and nothing rings"

    def phones_ring() -> bool:
        return len(phones.invites("Linka_1000")) > calls

    calls = 0
    station = await phones.up("Linka_1000", mode="ring")
    await phones.up("Linka_1001")
    await phones.unregister("Linka_1000")
    await refused("220", checkExten="1")
    await refused("210", checkIpHost="127.0.0.1", checkExten="1")
    await phones.register("Linka_1000")
    await asterisk.aio.qualify("Linka_1000")
    await agrees(daemon, asterisk, "Linka_1000")

    mismatch = await daemon.ask(
        "originate", srcSipUsername="Linka_1000", dstNum="1001", checkIpHost="192.0.2.1"
    )
    assert mismatch.data["reason"] == (
        f"SIP host IP address mismatch. Channel {channel} is registered from IP 127.0.0.1 "
        "but requested IP address is 192.0.2.1"
    )
    await refused("211", checkIpHost="127.0.0.1", checkIpContact="127.0.0.2")

    everything = {"checkExten": "1", "checkIpHost": "127.0.0.1", "checkIpContact": "127.0.0.1"}
    assert await originate(**everything) == ""
    await phones.ringing("Linka_1000")
    calls = 1
    await refused("225", **everything)
    phones.press("Linka_1000")

    async def up() -> bool:
        return await originate(checkExten="1") == "226"

    await eventually(up, within_s=SOON_S, what="it talks")
    states = {c.name.rpartition("-")[0]: c.state for c in await asterisk.aio.channels()}
    assert states[channel] == "Up"
    assert len(station.invites()) == 1

    await asterisk.aio.hangup_all()
    call = await phones.call("Linka_1000", "601")
    await call.until(200)
    await refused("226", checkExten="1")
    await call.hangup()
    await phones.up("Linka_1003", mode="ring")
    call = await phones.call("Linka_1000", "1003")
    await call.until(180)
    await refused("224", checkExten="1")
    await call.hangup()

    await phones.up("Linka_1010")
    await phones.up("Linka_1010b", mode="ring")
    busy = await phones.call("Linka_1010", "601")
    await busy.until(200)

    async def begun() -> bool:
        line = {"srcExtenInternalNum": "1010", "dstNum": "601", "checkExten": "1"}
        return not (await daemon.ask("originate", **line)).errno

    await eventually(begun, within_s=SOON_S, what="the line's other account is free")
    await phones.ringing("Linka_1010b")
    assert phones.invites("Linka_1010") == [], "and it alone rings"


@all_drivers
async def test_reload_restart_and_a_lost_session(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, proxy: TcpProxy
) -> None:
    await phones.up("Linka_1000", user_agent="before")
    await agrees(daemon, asterisk, "Linka_1000")
    await asterisk.aio.reload()
    await agrees(daemon, asterisk, "Linka_1000")

    await proxy.refuse()
    await phones.unregister("Linka_1000")
    await phones.up("Linka_1001", user_agent="meanwhile")
    assert (await row(daemon, "Linka_1000"))["useragent"] == "before", "the last that was known"
    await proxy.listen()
    gone = await agrees(daemon, asterisk, "Linka_1000", within_s=LISTED_S)
    assert gone.host == "(Unspecified)"
    assert (await agrees(daemon, asterisk, "Linka_1001")).useragent == "meanwhile"

    await asterisk.aio.core_restart()
    await agrees(daemon, asterisk, "Linka_1001", within_s=LISTED_S)
    await phones.unregister("Linka_1001")
    await phones.register("Linka_1001", user_agent="after")
    assert (await agrees(daemon, asterisk, "Linka_1001")).useragent == "after"


@pytest.mark.parametrize("asterisk", ["16-both"], indirect=True)
async def test_both_drivers_at_once_with_the_same_names(
    daemon: Daemon,
    asterisk: Asterisk,
    database: Database,
    ports: Ports,
    phones: Phones,
) -> None:
    old = Phones(asterisk, {}, ports, "SIP")
    try:
        await phones.up("Linka_1000", user_agent="of PJSIP")
        await old.up("Linka_1000", user_agent="of chan_sip")
        await old.up("Linka_1001", user_agent="of chan_sip")
        assert (await agrees(daemon, asterisk, "Linka_1000")).useragent == "of PJSIP"
        assert (await agrees(daemon, asterisk, "Linka_1001")).host == "(Unspecified)"

        await database.execute(
            "UPDATE pbxapi.extension_line SET technology = 'SIP'"
            " WHERE sip_username IN ('Linka_1000', 'Linka_1001')"
        )
        both = await agrees(daemon, asterisk, "Linka_1000", "SIP", within_s=LISTED_S)
        assert both.useragent == "of chan_sip"
        assert (await agrees(daemon, asterisk, "Linka_1001", "SIP")).useragent == "of chan_sip"

        call = await old.call("Linka_1000", "601")
        await call.until(200)
        answer = await daemon.ask(
            "originate", srcSipUsername="Linka_1000", dstNum="601", checkExten="1"
        )
        assert answer.errno == "226"
        await database.execute("UPDATE pbxapi.extension_line SET technology = 'PJSIP'")

        async def free() -> bool:
            answer = await daemon.ask(
                "originate", srcSipUsername="Linka_1000", dstNum="601", checkExten="1"
            )
            return not answer.errno

        await eventually(free, within_s=SOON_S, what="the account of PJSIP is free")
    finally:
        await old.close()

"""Real calls on real Asterisk 16 (chan_sip) and 22 (chan_pjsip), asked for as clients do."""

import pytest

from tests.services.asterisk import Asterisk
from tests.services.daemon import PASSWORD, USERNAME, Daemon, StartDaemon, seed
from tests.services.lines import DID_PREFIX, DID_QUEUE, TRUNK
from tests.services.phones import Phones
from tests.services.php import Php
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy
from tests.services.waiting import eventually

Row = dict[str, str]


@pytest.fixture
def daemon(standing_daemon: Daemon) -> Daemon:
    return standing_daemon


def row(rows: list[Row], username: str) -> Row:
    return next((r for r in rows if f"/{username}-" in r["channelName"]), {})


async def talking(daemon: Daemon, *usernames: str) -> list[Row]:
    """The rows, once all of these are up and nobody else is there."""

    async def probe() -> list[Row]:
        rows = await daemon.calls()
        up = all(row(rows, name).get("status") == "Up" for name in usernames)
        return rows if up and len(rows) == len(usernames) else []

    return await eventually(probe, within_s=8, what=f"{usernames} talk")


async def silent(daemon: Daemon) -> None:
    async def probe() -> bool:
        return await daemon.calls() == []

    await eventually(probe, within_s=8, what="no calls")


async def agrees(daemon: Daemon, asterisk: Asterisk) -> bool:
    """Whether listcalls says of every leg what the command line of Asterisk says."""
    live = {
        channel.name: (channel.context, channel.state)
        for channel in await asterisk.aio.channels()
        if not channel.name.startswith("Local/")
    }
    return {r["channelName"]: (r["context"], r["status"]) for r in await daemon.calls()} == live


async def test_php_connects_two_phones_sees_the_call_and_ends_it(
    daemon: Daemon, asterisk: Asterisk, phones: Phones, php: Php
) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    who = {"username": USERNAME, "password": PASSWORD}

    answer = await php.get(
        daemon.url, who | {"action": "originate", "srcExtenInternalNum": "1000",
                           "dialplanName": "prvni", "dstNum": "1001"}
    )  # fmt: skip
    assert answer.raw == b'{"success":"true"}'
    rows = await talking(daemon, "Linka_1000", "Linka_1001")
    await eventually(lambda: agrees(daemon, asterisk), within_s=3, what="truth and list agree")

    listed = await php.get(daemon.url, who | {"action": "listcalls"})
    assert listed.decoded["success"] == "true"
    assert listed.decoded["total"] == "2"
    assert [(r["src"], r["dst"]) for r in rows] == [("1000", "1001"), ("1000", "1001")]
    assert [(r["accountCode"], r["sourceType"], r["idChannel"]) for r in rows] == [
        ("SIP_101", "extension", "101"),
        ("SIP_102", "extension", "102"),
    ]

    ended = await php.post(
        daemon.url, who | {"action": "hangupcall", "channelName": rows[0]["channelName"]}
    )
    assert ended.raw == b'{"success":"true"}'
    await silent(daemon)
    assert await asterisk.aio.channels() == []


async def test_phone_shows_the_dialer_and_the_target_the_caller(
    daemon: Daemon, phones: Phones
) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    await daemon.ask(
        "originate",
        srcSipUsername="Linka_1000",
        dstNum="1001",
        dialerCid="299299000",
        dialerName='O\'Neil "Bob", ${EXTEN} čeřicha',
        overrideCallerId="420777123456",
    )
    await talking(daemon, "Linka_1000", "Linka_1001")

    (line,) = phones.invites("Linka_1000")
    assert (line.number, line.name) == ("299299000", 'O\'Neil "Bob", ${EXTEN} čeřicha')
    (target,) = phones.invites("Linka_1001")
    assert target.number == "420777123456"


async def test_defaults_are_000_dialer_and_the_line_itself(daemon: Daemon, phones: Phones) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    await daemon.ask("originate", srcExtenPublicNum="29911000", dstNum="1001")
    await talking(daemon, "Linka_1000", "Linka_1001")

    (line,) = phones.invites("Linka_1000")
    assert (line.number, line.name) == ("000", "Dialer")
    (target,) = phones.invites("Linka_1001")
    assert target.number == "1000"


async def test_all_accounts_of_a_line_ring_and_one_wins(daemon: Daemon, phones: Phones) -> None:
    await phones.up("Linka_1010", mode="ring")
    await phones.up("Linka_1010b", ring_ms=600)
    await phones.up("Linka_1001")
    await daemon.ask("originate", srcExtenInternalNum="1010", dstNum="1001")
    await eventually(
        lambda: phones.invites("Linka_1010") and phones.invites("Linka_1010b"),
        within_s=5,
        what="both accounts ring",
    )
    await talking(daemon, "Linka_1010b", "Linka_1001")


async def test_one_account_rings_alone_when_it_is_named(daemon: Daemon, phones: Phones) -> None:
    await phones.up("Linka_1010")
    await phones.up("Linka_1010b")
    await phones.up("Linka_1001")
    await daemon.ask("originate", srcSipUsername="Linka_1010b", dstNum="1001")
    await talking(daemon, "Linka_1010b", "Linka_1001")
    assert phones.invites("Linka_1010") == []


async def test_the_same_number_of_two_dialplans(daemon: Daemon, phones: Phones) -> None:
    await phones.up("Linka_2000")
    await phones.up("Linka_2001")
    assert (await daemon.ask("originate", srcExtenInternalNum="1000", dstNum="1001")).errno == "201"
    await daemon.ask("originate", srcExtenInternalNum="1000", dialPlanName="druhy", dstNum="1001")
    rows = await talking(daemon, "Linka_2000", "Linka_2001")
    assert [(r["src"], r["dst"]) for r in rows] == [("1000", "1001"), ("1000", "1001")]


async def test_a_number_that_the_line_may_not_dial_goes_by_its_route(
    daemon: Daemon, phones: Phones
) -> None:
    await phones.up("Linka_1000")
    await phones.trunk()
    await daemon.ask("originate", srcExtenInternalNum="1000", dialplanName="prvni",
                     dstNum="+420 777 123 456")  # fmt: skip
    rows = await talking(daemon, "Linka_1000", TRUNK)
    assert row(rows, "Linka_1000")["dst"] == "+420777123456"
    assert row(rows, TRUNK)["src"] == row(rows, "Linka_1000")["src"] == "1000"
    assert (row(rows, TRUNK)["accountCode"], row(rows, TRUNK)["sourceType"]) == (
        "SIPTR_7",
        "trunk",
    )


async def test_ringing_stops_after_both_timeouts(
    daemon: Daemon, asterisk: Asterisk, phones: Phones
) -> None:
    await phones.up("Linka_1000", mode="ring")
    await phones.up("Linka_1002")
    await phones.up("Linka_1001", mode="ring")
    await daemon.ask("originate", srcSipUsername="Linka_1000", dstNum="1001", srcRingTimeout="2")
    await eventually(lambda: phones.invites("Linka_1000"), within_s=3, what="it rings")
    await silent(daemon)
    await daemon.ask("originate", srcSipUsername="Linka_1002", dstNum="1001", dstRingTimeout="2")
    await eventually(lambda: phones.invites("Linka_1001"), within_s=5, what="the target rings")
    await silent(daemon)
    assert await asterisk.aio.channels() == []


async def test_call_from_the_trunk_is_seen_as_in_the_vendors_sample(
    daemon: Daemon, phones: Phones
) -> None:
    await phones.up("Linka_1001")
    call = await phones.trunk_call("420602123456", f"{DID_PREFIX}1001")
    rows = await talking(daemon, TRUNK, "Linka_1001")
    assert (row(rows, TRUNK)["src"], row(rows, TRUNK)["dst"]) == (
        "420602123456",
        f"{DID_PREFIX}1001",
    )
    assert (row(rows, "Linka_1001")["src"], row(rows, "Linka_1001")["dst"]) == (
        "420602123456",
        "1001",
    )
    await call.hangup()
    await silent(daemon)


async def test_blind_transfer_tells_who_talks_to_whom(daemon: Daemon, phones: Phones) -> None:
    await phones.up("Linka_1001", mode="refer", refer_to="1002")
    await phones.up("Linka_1002")
    await phones.call("Linka_1005", "1001")
    await talking(daemon, "Linka_1005", "Linka_1001")
    phones.press("Linka_1001")
    rows = await talking(daemon, "Linka_1005", "Linka_1002")
    assert [(r["src"], r["dst"]) for r in rows] == [("1005", "1002"), ("1005", "1002")]


async def test_a_restarted_daemon_sees_the_calls_that_go_on(
    asterisk: Asterisk, database: Database, start_daemon: StartDaemon, phones: Phones
) -> None:
    await seed(database, asterisk.technology)
    daemon = await start_daemon(asterisk.ami_port, asterisk.ami_username, asterisk.ami_secret)
    await eventually(lambda: daemon.events("cache.listed"), within_s=5, what="the first list")
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    await daemon.ask("originate", srcSipUsername="Linka_1000", dstNum="1001")
    before = await talking(daemon, "Linka_1000", "Linka_1001")
    assert await daemon.stop() == 0
    await daemon.start()

    async def listed() -> list[Row]:
        answer = await daemon.ask("listcalls")
        return [] if answer.errno else answer.data["results"]

    after = await eventually(listed, within_s=5, what="a list")
    same = ("channelName", "src", "dst", "status", "context", "accountCode")
    assert [[r[k] for k in same] for r in after] == [[r[k] for k in same] for r in before]
    for was, now in zip(before, after, strict=True):
        assert 0 <= int(now["duration"]) - int(was["duration"]) <= 6


async def test_asterisk_killed_and_started_again_leaves_no_dead_call(
    daemon: Daemon, asterisk: Asterisk, phones: Phones
) -> None:
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    await daemon.ask("originate", srcSipUsername="Linka_1000", dstNum="1001")
    await talking(daemon, "Linka_1000", "Linka_1001")
    await asterisk.aio.kill()
    assert len(await daemon.calls()) == 2  # the last state, for a while
    assert (await daemon.ask("hangupcall", channelName="SIP/x-00000001")).errno == "900"
    assert (await daemon.ask("originate", srcSipUsername="Linka_1000", dstNum="1")).errno == "900"
    await asterisk.aio.start()

    async def probe() -> bool:
        return await daemon.calls() == []

    await eventually(probe, within_s=3, what="no dead call within 3 s of the boot")
    await phones.register_again()
    assert phones.invites("Linka_1000") != []
    await daemon.ask("originate", srcSipUsername="Linka_1000", dstNum="1001")
    await talking(daemon, "Linka_1000", "Linka_1001")


async def test_hangup_of_a_channel_that_is_not_there(daemon: Daemon) -> None:
    answer = await daemon.ask("hangupcall", channelName="SIP/nobody-00000001")
    assert answer.raw == (
        rb'{"success":"false","errno":"906","reason":"Channel SIP\/nobody-00000001 not found"}'
    )


async def test_a_pattern_hangs_nobody_up(daemon: Daemon, phones: Phones) -> None:
    await phones.up("Linka_1001")
    await phones.call("Linka_1000", "1001")
    await talking(daemon, "Linka_1000", "Linka_1001")
    assert (await daemon.ask("hangupcall", channelName="/.*/")).errno == "906"
    assert len(await daemon.calls()) == 2


async def test_call_in_a_queue_shows_caller_and_agent(daemon: Daemon, phones: Phones) -> None:
    await phones.up("Linka_1000")
    call = await phones.trunk_call("420602123456", DID_QUEUE)
    rows = await talking(daemon, TRUNK, "Linka_1000")
    assert (row(rows, TRUNK)["src"], row(rows, TRUNK)["dst"]) == ("420602123456", DID_QUEUE)
    assert (row(rows, "Linka_1000")["src"], row(rows, "Linka_1000")["dst"]) == (
        "420602123456",
        "1000",
    )
    await call.hangup()
    await silent(daemon)


async def test_lost_connection_in_mid_call_changes_nothing_in_the_list(
    asterisk: Asterisk,
    database: Database,
    start_daemon: StartDaemon,
    tcp_proxy: MakeProxy,
    phones: Phones,
) -> None:
    proxy = await tcp_proxy(asterisk.ami_port)
    await seed(database, asterisk.technology)
    daemon = await start_daemon(
        proxy.port, asterisk.ami_username, asterisk.ami_secret, LOG_LEVEL="debug"
    )
    await eventually(lambda: daemon.events("cache.listed"), within_s=5, what="the first list")
    await phones.up("Linka_1000")
    await phones.up("Linka_1001")
    await daemon.ask("originate", srcSipUsername="Linka_1000", dstNum="1001")
    before = await talking(daemon, "Linka_1000", "Linka_1001")
    await proxy.cut(reset=True)
    await phones.up("Linka_1003")
    await phones.call("Linka_1005", "1003")
    await eventually(
        lambda: len(daemon.events("cache.listed")) > 1, within_s=5, what="listed again"
    )
    after = await talking(daemon, "Linka_1000", "Linka_1001", "Linka_1005", "Linka_1003")
    same = ("channelName", "src", "dst", "status", "context", "accountCode")
    assert [[r[k] for k in same] for r in after[:2]] == [[r[k] for k in same] for r in before]
    assert [(r["src"], r["dst"]) for r in after[2:]] == [("1005", "1003"), ("1005", "1003")]

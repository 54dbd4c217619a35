"""The lab itself: what the other tests build on does what it says, on both versions."""

import asyncio

import pytest

from tests.services.asterisk import Asterisk, LiveChannel
from tests.services.lines import BY_USERNAME, DID_PREFIX, TRUNK
from tests.services.phones import Mode, Phones
from tests.services.postgres import Database
from tests.services.waiting import eventually


def side(channels: list[LiveChannel], technology: str, username: str) -> LiveChannel | None:
    prefix = f"{technology}/{username}-"
    return next((channel for channel in channels if channel.name.startswith(prefix)), None)


async def both_up(asterisk: Asterisk, one: str, other: str) -> list[LiveChannel]:
    """The channels, once both sides talk."""

    async def talking() -> list[LiveChannel]:
        channels = await asterisk.aio.channels()
        sides = [side(channels, asterisk.technology, name) for name in (one, other)]
        return channels if all(found and found.state == "Up" for found in sides) else []

    return await eventually(talking, within_s=5, what=f"{one} and {other} talk")


async def test_asterisk_is_the_version_and_technology_it_says(asterisk: Asterisk) -> None:
    version = await asterisk.aio.cli("core show version")
    sip_module = await asterisk.aio.cli("module show like chan_sip.so")

    assert version.startswith(f"Asterisk {asterisk.version}.")
    assert ("1 modules loaded" in sip_module) == (asterisk.technology == "SIP")


@pytest.mark.parametrize("user", ["daemon", "oracle"])
async def test_ami_user_can_log_in(asterisk: Asterisk, user: str) -> None:
    name, secret = {
        "daemon": (asterisk.ami_username, asterisk.ami_secret),
        "oracle": (asterisk.oracle_username, asterisk.oracle_secret),
    }[user]
    reader, writer = await asyncio.open_connection(asterisk.ami_host, asterisk.ami_port)
    try:
        assert (await reader.readline()).startswith(b"Asterisk Call Manager/")
        writer.write(f"Action: Login\r\nUsername: {name}\r\nSecret: {secret}\r\n\r\n".encode())
        assert await reader.readline() == b"Response: Success\r\n"
    finally:
        writer.close()
        await writer.wait_closed()


async def test_phone_calls_phone_and_hangs_up(asterisk: Asterisk, phones: Phones) -> None:
    await phones.up("Linka_1001")
    call = await phones.call("Linka_1000", "1001")
    channels = await both_up(asterisk, "Linka_1000", "Linka_1001")

    assert len(channels) == 2
    assert len({channel.bridge_id for channel in channels}) == 1
    assert await call.hangup() == 200
    await eventually(
        lambda: not asterisk.channels(), within_s=5, what="no channel is left after the call"
    )


async def test_called_phone_shows_the_name_of_the_caller(phones: Phones) -> None:
    await phones.up("Linka_1000", mode="ring")
    call = await phones.call("Linka_1001", "1000")
    await call.until(180)
    invite = await phones.ringing("Linka_1000")

    assert (invite.name, invite.number) == (BY_USERNAME["Linka_1001"].name, "1001")
    assert invite.user_agent.startswith("Asterisk")
    await call.hangup()


async def test_ringing_phone_answers_and_hangs_up_when_told(
    asterisk: Asterisk, phones: Phones
) -> None:
    await phones.up("Linka_1000", mode="ring")
    call = await phones.call("Linka_1001", "1000")
    await call.until(180)
    phones.press("Linka_1000")
    await both_up(asterisk, "Linka_1000", "Linka_1001")
    phones.press("Linka_1000")

    assert await call.wait() == 200


@pytest.mark.parametrize(("mode", "status"), [("busy", 486), ("reject", 603)])
async def test_phone_refuses(phones: Phones, mode: Mode, status: int) -> None:
    refusing = await phones.up("Linka_1002", mode=mode)
    call = await phones.call("Linka_1001", "1002")

    assert await call.wait() >= 400
    assert refusing.answers()[-1] == status


async def test_number_with_two_accounts_rings_both(phones: Phones) -> None:
    for username in ("Linka_1010", "Linka_1010b"):
        await phones.up(username, mode="ring")
    call = await phones.call("Linka_1001", "1010")

    for username in ("Linka_1010", "Linka_1010b"):
        assert (await phones.ringing(username)).number == "1001"
    await call.hangup()


async def test_phone_transfers_by_refer(asterisk: Asterisk, phones: Phones) -> None:
    await phones.up("Linka_1002", mode="refer", talk_ms=200, refer_to="1003")
    await phones.up("Linka_1003")
    call = await phones.call("Linka_1001", "1002")

    await both_up(asterisk, "Linka_1001", "Linka_1003")
    assert await call.hangup() == 200


async def test_phone_that_went_down_is_not_reached(asterisk: Asterisk, phones: Phones) -> None:
    await phones.up("Linka_1004")
    await phones.down("Linka_1004")
    await phones.unregister("Linka_1004")

    assert not await asterisk.aio.reachable("Linka_1004")


async def test_call_goes_out_through_the_trunk(asterisk: Asterisk, phones: Phones) -> None:
    await phones.trunk()
    call = await phones.call("Linka_1000", "0602123456")
    await both_up(asterisk, "Linka_1000", TRUNK)
    invite = await phones.ringing(TRUNK)

    assert (invite.dialled, invite.message.method) == ("602123456", "INVITE")
    assert await call.hangup() == 200


async def test_call_comes_in_through_the_trunk(asterisk: Asterisk, phones: Phones) -> None:
    await phones.up("Linka_1000")
    call = await phones.trunk_call("420602123456", f"{DID_PREFIX}1000")
    await both_up(asterisk, TRUNK, "Linka_1000")

    assert (await phones.ringing("Linka_1000")).number == "420602123456"
    assert await call.hangup() == 200


async def test_killed_asterisk_comes_back_on_the_same_ports(
    asterisk: Asterisk, phones: Phones
) -> None:
    await phones.up("Linka_1001")
    await phones.call("Linka_1000", "1001")
    await both_up(asterisk, "Linka_1000", "Linka_1001")
    await asterisk.aio.kill()
    assert not asterisk.running
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(asterisk.ami_host, asterisk.ami_port)

    await asterisk.aio.start()

    assert await asterisk.aio.channels() == []
    await phones.register_again()
    call = await phones.call("Linka_1000", "1001")
    await both_up(asterisk, "Linka_1000", "Linka_1001")
    assert await call.hangup() == 200


async def test_core_restart_keeps_the_process(asterisk: Asterisk) -> None:
    before = asterisk.pid
    await asterisk.aio.core_restart()

    assert asterisk.pid == before
    assert asterisk.running


async def test_cdr_of_a_call_is_written_to_the_database(
    asterisk: Asterisk, phones: Phones, database: Database
) -> None:
    await asterisk.aio.write_cdr_to(database.dsn)
    await phones.up("Linka_1001")
    call = await phones.call("Linka_1000", "1001")
    await both_up(asterisk, "Linka_1000", "Linka_1001")
    await call.hangup()

    async def rows() -> list[tuple[str, str, str]]:
        found = await database.fetch("SELECT src, dst, disposition FROM pbxapi.cdr")
        return [(row["src"], row["dst"], row["disposition"]) for row in found]

    written = await eventually(rows, within_s=5, what="the CDR is written")
    assert written == [("1000", "1001", "ANSWERED")]

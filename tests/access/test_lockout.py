"""Who is locked out, from where, and what it costs and tells him."""

import asyncio
import ipaddress
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pbxapi.access import lockout, passwords
from pbxapi.access.credentials import Gatekeeper
from pbxapi.access.lockout import HOME_S, NOTED_S, Lockout
from pbxapi.access.users import IpAddress
from pbxapi.faults import Fault
from tests.access.users import HERE, PASSWORD, Clock, Users

MAX = 3
LOCKOUT_S = 60.0
ELSEWHERE = ipaddress.ip_address("198.51.100.9")
IPV6 = ipaddress.ip_address("2001:db8:1:2::1")
NEIGHBOUR = ipaddress.ip_address("2001:db8:1:2:ffff::1")
NEXT_NETWORK = ipaddress.ip_address("2001:db8:1:3::1")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def gatekeeper(clock: Clock) -> AsyncIterator[Gatekeeper]:
    users = Users("shop", "crm")
    users.put("off", enabled=False)
    users.put("office", networks=["203.0.113.0/24"])
    async with Gatekeeper(users, clock=clock, max_failures=MAX, lockout_s=LOCKOUT_S) as made:
        yield made


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that argon2 was asked about; here it is right about `PASSWORD`, and quick."""
    asked: list[str] = []

    def counted(_hash: str, password: str) -> bool:
        asked.append(password)
        return password == PASSWORD

    monkeypatch.setattr(passwords, "_verify", counted)
    return asked


async def outcome(
    gatekeeper: Gatekeeper,
    name: str,
    password: str = PASSWORD,
    address: IpAddress | None = HERE,
) -> int:
    """The code of the fault; 0 where the user is let in."""
    try:
        await gatekeeper.authenticate(name, password, address)
    except Fault as fault:
        return fault.code
    return 0


async def fail(
    gatekeeper: Gatekeeper,
    name: str,
    address: IpAddress | None = HERE,
    times: int = MAX,
    password: str = "wrong",
) -> None:
    for attempt in range(times):
        assert await outcome(gatekeeper, name, f"{password} {attempt}", address) == 100


LOCKED = 903


async def test_a_name_is_locked_out_wherever_it_is_tried_from(
    gatekeeper: Gatekeeper, checks: list[str], clock: Clock
) -> None:
    for number in range(MAX):
        await fail(gatekeeper, "shop", ipaddress.ip_address(f"198.51.100.{number}"), times=1)
    del checks[:]
    assert await outcome(gatekeeper, "shop") == LOCKED
    assert await outcome(gatekeeper, "shop", "wrong") == LOCKED
    assert checks == []
    assert await outcome(gatekeeper, "crm") == 0

    clock.now += LOCKOUT_S - 0.1
    assert await outcome(gatekeeper, "shop") == LOCKED
    clock.now += 0.1
    assert await outcome(gatekeeper, "shop") == 0


async def test_an_address_is_locked_out_whomever_it_tries(
    gatekeeper: Gatekeeper, checks: list[str]
) -> None:
    for number in range(MAX):
        await fail(gatekeeper, f"made up {number}", times=1)
    del checks[:]

    assert await outcome(gatekeeper, "shop") == LOCKED
    assert await outcome(gatekeeper, "made up anew", "wrong") == LOCKED
    assert checks == []
    assert await outcome(gatekeeper, "shop", address=ELSEWHERE) == 0


@pytest.mark.parametrize("name", ["shop", "nobody", "off", "office"])
async def test_whoever_is_locked_out_is_told_and_costs_the_same_for_every_name_and_password(
    gatekeeper: Gatekeeper, checks: list[str], name: str
) -> None:
    """Users who exist, who do not, who are disabled, and who may not come from there."""
    await fail(gatekeeper, name)
    assert len(checks) == MAX, "each is one check, also where there is nothing to check"
    for password in (PASSWORD, "wrong"):
        with pytest.raises(Fault) as raised:
            await gatekeeper.authenticate(name, password, HERE)
        assert (raised.value.code, raised.value.reason) == (LOCKED, "Too many requests")
    assert len(checks) == MAX


@pytest.mark.parametrize("name", ["off", "office"])
async def test_the_right_password_that_may_not_come_in_costs_and_counts_as_a_wrong_one(
    gatekeeper: Gatekeeper, checks: list[str], name: str
) -> None:
    """Or else its time would tell that it is right."""
    for _ in range(MAX):
        assert await outcome(gatekeeper, name) == 100
    assert len(checks) == MAX
    assert await outcome(gatekeeper, name) == LOCKED


async def test_a_digest_is_no_way_around_the_lock(
    gatekeeper: Gatekeeper, checks: list[str]
) -> None:
    """The daemon remembers the right password of somebody else."""
    assert await outcome(gatekeeper, "shop") == 0
    await fail(gatekeeper, "shop", ELSEWHERE)
    del checks[:]

    assert await outcome(gatekeeper, "shop", address=ELSEWHERE) == LOCKED
    assert checks == []


async def test_failures_elsewhere_do_not_lock_out_where_the_user_is_at_home(
    gatekeeper: Gatekeeper, checks: list[str], clock: Clock
) -> None:
    assert await outcome(gatekeeper, "shop") == 0
    for _ in range(5):
        for number in range(MAX):
            await fail(gatekeeper, "shop", ipaddress.ip_address(f"198.51.100.{number}"), times=1)
        assert await outcome(gatekeeper, "shop", address=ELSEWHERE) == LOCKED
        assert await outcome(gatekeeper, "shop") == 0
        clock.now += LOCKOUT_S


async def test_nor_do_failures_of_other_names_at_home(
    gatekeeper: Gatekeeper, checks: list[str]
) -> None:
    assert await outcome(gatekeeper, "shop") == 0
    await fail(gatekeeper, "crm")

    assert await outcome(gatekeeper, "crm") == LOCKED
    assert await outcome(gatekeeper, "shop") == 0


async def test_guesses_at_home_are_counted_too_and_the_right_one_wipes_none_out(
    gatekeeper: Gatekeeper, checks: list[str], clock: Clock
) -> None:
    for number in range(MAX):
        assert await outcome(gatekeeper, "shop") == 0
        await fail(gatekeeper, "shop", times=1, password=f"guess {number}")
    del checks[:]
    assert await outcome(gatekeeper, "shop") == LOCKED
    assert await outcome(gatekeeper, "shop", "wrong") == LOCKED
    assert checks == []

    clock.now += LOCKOUT_S
    await fail(gatekeeper, "shop", ELSEWHERE)
    assert await outcome(gatekeeper, "shop", address=ELSEWHERE) == LOCKED
    assert await outcome(gatekeeper, "shop") == 0, "it is still a home"


async def test_a_home_is_one_for_some_days_after_the_last_time(
    gatekeeper: Gatekeeper, checks: list[str], clock: Clock
) -> None:
    for _ in range(3):
        assert await outcome(gatekeeper, "shop") == 0
        clock.now += HOME_S - NOTED_S
    await fail(gatekeeper, "shop", ELSEWHERE)
    assert await outcome(gatekeeper, "shop") == 0

    clock.now += HOME_S + 1
    assert await outcome(gatekeeper, "crm") == 0  # whatever is proven sweeps what is over
    await fail(gatekeeper, "shop", ELSEWHERE)
    assert await outcome(gatekeeper, "shop") == LOCKED


async def test_slips_that_are_long_ago_do_not_count(
    gatekeeper: Gatekeeper, checks: list[str], clock: Clock
) -> None:
    for _ in range(4):
        await fail(gatekeeper, "shop", times=MAX - 1)
        clock.now += LOCKOUT_S
    assert await outcome(gatekeeper, "shop") == 0


async def test_an_address_that_nobody_knows_may_be_everybodys(
    gatekeeper: Gatekeeper, checks: list[str]
) -> None:
    """A proxy on the unix socket that does not say who asks."""
    for number in range(3 * MAX):
        await fail(gatekeeper, f"made up {number}", None, times=1)
    assert await outcome(gatekeeper, "shop", address=None) == 0
    await fail(gatekeeper, "crm", None)
    assert await outcome(gatekeeper, "crm", address=None) == LOCKED


async def test_an_ipv6_address_counts_as_its_network(
    gatekeeper: Gatekeeper, checks: list[str]
) -> None:
    for number in range(MAX):
        await fail(gatekeeper, f"made up {number}", IPV6, times=1)

    assert await outcome(gatekeeper, "shop", address=NEIGHBOUR) == LOCKED
    assert await outcome(gatekeeper, "shop", address=NEXT_NETWORK) == 0


async def test_guesses_that_run_side_by_side_learn_no_more(
    gatekeeper: Gatekeeper, checks: list[str]
) -> None:
    guesses = [(f"made up {number}", "wrong") for number in range(20)] + [("shop", PASSWORD)]
    codes = await asyncio.gather(*(outcome(gatekeeper, *guess) for guess in guesses))

    assert codes.count(100) == MAX
    assert codes[-1] == LOCKED
    assert set(codes) == {100, LOCKED}


async def test_no_query_is_made_for_whoever_is_locked_out(checks: list[str]) -> None:
    users = Users("shop")
    async with Gatekeeper(users, max_failures=1, lockout_s=60) as gatekeeper:
        await fail(gatekeeper, "nobody", times=1)
        users.down = True
        assert await outcome(gatekeeper, "shop") == LOCKED
        assert await outcome(gatekeeper, "somebody") == LOCKED
    assert users.asked == ["nobody"]


async def test_a_lock_is_logged_once_and_counted(gatekeeper: Gatekeeper, checks: list[str]) -> None:
    with capture_logs() as logs:
        await fail(gatekeeper, "shop")
        for _ in range(5):
            await outcome(gatekeeper, "shop", "hunter2")

    locks = [entry for entry in logs if entry["event"] == "access.locked"]
    assert locks == [
        {
            "event": "access.locked",
            "log_level": "warning",
            "username": "shop",
            "address": str(HERE),
            "locked": ["name", "address"],
        }
    ]
    assert "hunter2" not in str(logs)
    assert gatekeeper.lockout.begun == {"name": 1, "address": 1}
    assert gatekeeper.lockout.refused == 5


async def test_a_lock_at_home_is_counted_as_such(gatekeeper: Gatekeeper, checks: list[str]) -> None:
    assert await outcome(gatekeeper, "shop") == 0
    await fail(gatekeeper, "shop")

    assert gatekeeper.lockout.begun == {"name": 1, "address": 1, "home": 1}


async def test_a_known_client_costs_no_argon2_and_is_noted_once_a_minute(
    gatekeeper: Gatekeeper, checks: list[str], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted: list[str] = []
    proven = Lockout.proven

    def counted(self: Lockout, name: str, address: IpAddress | None) -> None:
        noted.append(name)
        proven(self, name, address)

    monkeypatch.setattr(Lockout, "proven", counted)
    for _ in range(100):
        assert await outcome(gatekeeper, "shop") == 0
    assert (noted, checks) == (["shop"], [PASSWORD])

    clock.now += NOTED_S + 1
    for _ in range(3):
        assert await outcome(gatekeeper, "shop") == 0
    assert (noted, checks) == (["shop"] * 2, [PASSWORD])


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lockout, "MAX_REMEMBERED", 10)
    locks = Lockout(3, 60, Clock())
    for number in range(25):
        address = ipaddress.ip_address(number)
        locks.proven(str(number), address)
        locks.failed(str(number), address)

    sizes = {len(kept) for kept in (locks._names, locks._addresses, locks._at_home, locks._homes)}
    assert sizes == {10}


def test_other_limits_hold_for_what_comes_and_nobody_is_let_out_early() -> None:
    clock = Clock()
    locks = Lockout(2, 60, clock)
    assert [locks.failed("shop", HERE) for _ in range(2)] == [[], ["name", "address"]]
    locks.limit(1, 5)
    assert locks.failed("crm", ELSEWHERE) == ["name", "address"]
    clock.now += 5
    locks.admit("crm", ELSEWHERE)
    with pytest.raises(Fault):
        locks.admit("shop", ELSEWHERE)

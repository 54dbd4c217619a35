"""Who an agent is: his PIN costs argon2 once, and guesses are few."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from pbxapi.access import passwords
from pbxapi.access.attempts import ADDRESS_FACTOR
from pbxapi.access.passwords import PasswordChecker, hash_password
from pbxapi.agents.pins import AGES, AgentPins, WrongPin
from pbxapi.errors import DatabaseUnavailable
from pbxapi.faults import Fault
from tests.access.users import Clock
from tests.agents.asterisk import Directory, agent, login

PIN = "1234"
HASH = hash_password(PIN)
CRM = "192.0.2.1"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory() -> Directory:
    return Directory(*(agent(number, pin_hash=HASH) for number in (1000, 1001)))


@pytest.fixture
async def pins(directory: Directory, clock: Clock) -> AsyncIterator[AgentPins]:
    passwords_of_users = PasswordChecker()
    made = AgentPins(directory, passwords_of_users, max_failures=3, lockout_s=60, clock=clock)
    yield made
    await made.close()
    await passwords_of_users.close()


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """PINs that argon2 was asked about."""
    asked: list[str] = []

    def verify(password_hash: str, password: str) -> bool:
        asked.append(password)
        return password_hash == HASH and password == PIN

    monkeypatch.setattr(passwords, "_verify", verify)
    return asked


async def outcome(pins: AgentPins, number: str, pin: str = PIN, address: str = CRM) -> str:
    """ "in", "wrong" or a code."""
    try:
        await pins.authenticate(number, pin, address)
    except WrongPin:
        return "wrong"
    except Fault as fault:
        return str(fault.code)
    return "in"


async def test_the_right_pin_and_any_other(pins: AgentPins) -> None:
    assert (await pins.authenticate("1000", PIN, CRM)).name == "Agent_1000"
    for number, pin in (
        ("1000", "0000"),
        ("9999", PIN),
        ("1000", ""),
        ("1000", "1\n"),
        ("x" * 256, PIN),
    ):
        assert await outcome(pins, number, pin) == "wrong"


async def test_a_pin_that_was_right_costs_neither_argon2_nor_a_query(
    pins: AgentPins, directory: Directory, checks: list[str]
) -> None:
    await outcome(pins, "1000")
    asked = directory.asked
    for _ in range(1000):
        await pins.authenticate("1000", PIN, CRM)
    assert (checks, directory.asked) == ([PIN], asked)


async def test_unknown_agents_take_the_time_of_known_ones(
    pins: AgentPins, checks: list[str]
) -> None:
    """One argon2 check each, whether or not there is a hash to check against."""
    for number in ("9999", "1000"):
        assert await outcome(pins, number, "0001") == "wrong"
    assert checks == ["0001", "0001"]


async def test_what_the_daemon_changed_is_known_at_once_what_others_did_soon(
    pins: AgentPins, directory: Directory, clock: Clock
) -> None:
    await outcome(pins, "1000")
    directory.agents[1000] = replace(directory.agents[1000], login=login(100))
    assert (await pins.authenticate("1000", PIN, CRM)).login is None
    pins.changed(["1000"])
    assert (await pins.authenticate("1000", PIN, CRM)).login == login(100)

    directory.agents[1000] = replace(directory.agents[1000], password_hash=hash_password("77"))
    clock.now += AGES.max_s + 1
    assert await outcome(pins, "1000") == "wrong"
    assert await outcome(pins, "1000", "77") == "in"


async def test_a_read_that_began_before_a_change_is_not_remembered(
    pins: AgentPins, directory: Directory, clock: Clock
) -> None:
    await outcome(pins, "1000")
    clock.now += AGES.refresh_s + 1
    await outcome(pins, "1000")  # begins to read in the background
    pins.changed(["1000"])
    directory.agents[1000] = replace(directory.agents[1000], login=login(100))

    assert (await pins.authenticate("1000", PIN, CRM)).login == login(100)


async def test_known_agents_are_served_while_the_database_is_down(
    pins: AgentPins, directory: Directory, clock: Clock
) -> None:
    await outcome(pins, "1000")
    directory.down = True
    clock.now += 3600
    assert await outcome(pins, "1000") == "in"
    with pytest.raises(DatabaseUnavailable):
        await pins.authenticate("1001", PIN, CRM)


@pytest.mark.parametrize("number", ["1000", "9999"])
async def test_guesses_are_few_and_cost_nothing_afterwards(
    pins: AgentPins, checks: list[str], clock: Clock, number: str
) -> None:
    guesses = [await outcome(pins, number, f"{guess:04}") for guess in range(6)]
    assert guesses == ["wrong"] * 3 + ["903"] * 3
    assert len(checks) == 3
    assert await outcome(pins, number) == "903"  # nobody is told that it would be right

    clock.now += 60
    assert await outcome(pins, number) == ("in" if number == "1000" else "wrong")


async def test_guesses_all_at_once_are_no_more(pins: AgentPins) -> None:
    outcomes = await asyncio.gather(
        *(outcome(pins, "1000", pin) for pin in ("0", "1", "2", "3", "4", "5", "6", PIN))
    )

    assert outcomes.count("wrong") <= 3
    assert set(outcomes) <= {"wrong", "903", "in"}


async def test_a_right_pin_clears_his_count(pins: AgentPins) -> None:
    for _ in range(2):
        assert await outcome(pins, "1000", "0000") == "wrong"
    assert await outcome(pins, "1000") == "in"
    for _ in range(2):
        assert await outcome(pins, "1000", "0000") == "wrong"
    assert await outcome(pins, "1000") == "in"


async def test_one_forgetful_agent_does_not_stop_the_others_of_his_address(
    pins: AgentPins,
) -> None:
    for _ in range(20):
        await outcome(pins, "1000", "0000")

    assert await outcome(pins, "1001") == "in"


async def test_one_pin_tried_on_everybody_is_stopped_but_not_those_who_work(
    pins: AgentPins, checks: list[str]
) -> None:
    assert await outcome(pins, "1000") == "in"
    for number in range(ADDRESS_FACTOR * 3):
        assert await outcome(pins, f"5{number}", "0000") == "wrong"
    done = len(checks)
    assert await outcome(pins, "6000", "0000") == "903"
    assert await outcome(pins, "1001") == "903"  # never seen before: it would have to be checked
    assert await outcome(pins, "1000") == "in"
    assert len(checks) == done
    assert await outcome(pins, "1001", PIN, "192.0.2.2") == "in"


async def test_a_locked_address_gives_no_free_guesses_at_those_who_work(
    pins: AgentPins, checks: list[str]
) -> None:
    assert await outcome(pins, "1000") == "in"
    for number in range(ADDRESS_FACTOR * 3):
        await outcome(pins, f"5{number}", "0000")
    guesses = [await outcome(pins, "1000", f"{guess:04}") for guess in range(3)]

    assert guesses == ["903"] * 3
    assert await outcome(pins, "1000") == "903"
    assert len(checks) == 1 + ADDRESS_FACTOR * 3


async def test_too_many_agents_at_once_are_asked_to_come_again_and_users_are_not(
    pins: AgentPins,
) -> None:
    codes = await asyncio.gather(*(outcome(pins, f"7{n}", "0", f"192.0.2.{n}") for n in range(90)))

    assert codes.count("903") == 90 - passwords.MAX_CHECKS


async def test_no_pin_gets_into_the_log(pins: AgentPins) -> None:
    with capture_logs() as logs:
        for _ in range(3):
            await outcome(pins, "1000", "8642")

    assert [entry["locked_out"] for entry in logs] == [False, False, True]
    assert "8642" not in str(logs)

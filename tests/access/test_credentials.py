"""Who is let in: rules of the memory, against a directory under the test's control."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
from structlog.testing import capture_logs

from pbxapi.access import known, passwords
from pbxapi.access.credentials import Gatekeeper, is_credential
from pbxapi.access.passwords import PasswordChecker, hash_password
from pbxapi.errors import DatabaseUnavailable
from pbxapi.faults import Fault
from tests.access.users import HERE, LENIENT, PASSWORD, Clock, Users
from tests.services.waiting import eventually


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def users() -> Users:
    return Users("voipsun")


@pytest.fixture
async def gatekeeper(users: Users, clock: Clock) -> AsyncIterator[Gatekeeper]:
    async with Gatekeeper(users, clock=clock, **LENIENT) as made:
        yield made


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords that argon2 was asked about, in order."""
    asked: list[str] = []
    verify = passwords._verify

    def counted(password_hash: str, password: str) -> bool:
        asked.append(password)
        return verify(password_hash, password)

    monkeypatch.setattr(passwords, "_verify", counted)
    return asked


async def code_of(gatekeeper: Gatekeeper, name: str, password: str = PASSWORD) -> int:
    """The fault that the attempt came to; 0 where it let the user in."""
    try:
        await gatekeeper.authenticate(name, password, HERE)
    except Fault as fault:
        return fault.code
    return 0


async def test_the_right_password_lets_the_user_in(gatekeeper: Gatekeeper) -> None:
    user = await gatekeeper.authenticate("voipsun", PASSWORD, HERE)

    assert (user.id, user.username) == (1, "voipsun")
    assert user.permissions == {"listcalls"}


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("voipsun", "wrong"),
        ("voipsun", PASSWORD + "x"),
        ("voipsun", PASSWORD.upper()),
        ("nobody", PASSWORD),
        ("Voipsun", PASSWORD),
    ],
)
async def test_anything_else_does_not(gatekeeper: Gatekeeper, name: str, password: str) -> None:
    assert await code_of(gatekeeper, name, password) == 100


async def test_a_disabled_user_is_kept_out(gatekeeper: Gatekeeper, users: Users) -> None:
    users.put("voipsun", enabled=False)

    assert await code_of(gatekeeper, "voipsun") == 100


@pytest.mark.parametrize(
    "stored", ["", "secretpwd", "$argon2id$", "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$x", "$2y$10$abc"]
)
async def test_a_hash_that_is_none_lets_nobody_in(
    gatekeeper: Gatekeeper, users: Users, stored: str
) -> None:
    users.put("voipsun", password_hash=stored)

    assert await code_of(gatekeeper, "voipsun") == 100
    assert await code_of(gatekeeper, "voipsun", stored) == 100


async def test_another_kind_of_argon2_is_refused(gatekeeper: Gatekeeper, users: Users) -> None:
    """The contract says argon2id; argon2d would leak its password by timing."""
    from argon2 import PasswordHasher, Type  # noqa: PLC0415 - for this test alone

    users.put("voipsun", password_hash=PasswordHasher(type=Type.D).hash(PASSWORD))

    assert await code_of(gatekeeper, "voipsun") == 100


UNUSABLE = ["", "a\0b", "a\nb", "\x7f", "\x9f", "\ud800", "a" * 256]


@pytest.mark.parametrize("text", UNUSABLE)
async def test_what_cannot_be_a_credential_is_refused_without_a_query(
    gatekeeper: Gatekeeper, users: Users, checks: list[str], text: str
) -> None:
    assert not is_credential(text)
    assert await code_of(gatekeeper, text) == 100
    assert await code_of(gatekeeper, "voipsun", text) == 100
    assert (users.asked, checks) == ([], [])


async def test_text_of_any_language_is_a_credential(gatekeeper: Gatekeeper, users: Users) -> None:
    password = "žluťoučký kůň 😀"
    users.put("Jiří Novák", password_hash=hash_password(password))

    assert await code_of(gatekeeper, "Jiří Novák", password) == 0


async def test_a_password_that_was_right_costs_neither_argon2_nor_a_query(
    gatekeeper: Gatekeeper, users: Users, checks: list[str]
) -> None:
    for _ in range(100):
        assert await code_of(gatekeeper, "voipsun") == 0

    assert (users.asked, checks) == (["voipsun"], [PASSWORD])


async def test_a_wrong_password_is_checked_though_the_right_one_is_remembered(
    gatekeeper: Gatekeeper, checks: list[str]
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    assert await code_of(gatekeeper, "voipsun", "wrong") == 100
    assert await code_of(gatekeeper, "voipsun") == 0

    assert checks == [PASSWORD, "wrong"]


async def test_user_and_password_cannot_be_shifted_into_one_another(
    gatekeeper: Gatekeeper, users: Users
) -> None:
    users.put("ab", password_hash=hash_password("cd"))
    users.put("a", password_hash=users.rows["ab"]["password_hash"])
    assert await code_of(gatekeeper, "ab", "cd") == 0

    assert await code_of(gatekeeper, "a", "bcd") == 100


async def test_an_unknown_name_takes_the_time_of_a_known_one(gatekeeper: Gatekeeper) -> None:
    """Medians of a few, since the machine may have other things to do."""

    async def median_s(name: str) -> float:
        took = []
        for attempt in range(7):
            started = time.perf_counter()
            assert await code_of(gatekeeper, name, f"wrong {attempt}") == 100
            took.append(time.perf_counter() - started)
        return sorted(took)[3]

    # Without the decoy it would be a thousandth.
    assert 0.2 < await median_s("nobody") / await median_s("voipsun") < 5


async def test_an_unknown_name_is_never_let_in_by_the_decoy(
    gatekeeper: Gatekeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "_verify", lambda _hash, _password: True)

    assert await code_of(gatekeeper, "nobody") == 100


async def test_the_first_requests_of_a_client_share_one_query_and_one_check(
    gatekeeper: Gatekeeper, users: Users, checks: list[str]
) -> None:
    codes = await asyncio.gather(*(code_of(gatekeeper, "voipsun") for _ in range(50)))

    assert set(codes) == {0}
    assert (users.asked, checks) == (["voipsun"], [PASSWORD])


async def test_one_who_leaves_does_not_disturb_those_who_wait_with_it(
    gatekeeper: Gatekeeper, users: Users
) -> None:
    users.open.clear()
    first, second = (asyncio.create_task(code_of(gatekeeper, "voipsun")) for _ in range(2))
    await eventually(lambda: users.asked, within_s=2, what="the query is sent")
    first.cancel()
    users.open.set()

    assert await second == 0


# ---- how long a row is believed ---------------------------------------------------------------


async def settled() -> None:
    """Let tasks in the background, which wait for nothing real, come to their end."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_row_younger_than_two_seconds_is_used_as_it_is(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    clock.now += 1.9
    assert await code_of(gatekeeper, "voipsun") == 0
    await settled()

    assert users.asked == ["voipsun"]


async def test_an_older_row_is_used_while_it_is_read_again_once(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    users.put("voipsun", enabled=False)
    users.open.clear()
    clock.now += 3
    for _ in range(5):
        assert await code_of(gatekeeper, "voipsun") == 0
        await settled()
    assert users.asked == ["voipsun"] * 2
    users.open.set()
    await settled()

    assert await code_of(gatekeeper, "voipsun") == 100


CHANGES = {
    "removed": lambda users: users.rows.clear(),
    "disabled": lambda users: users.put("voipsun", enabled=False),
    "new password": lambda users: users.put("voipsun", password_hash=hash_password("other")),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_holds_after_five_seconds(
    gatekeeper: Gatekeeper, users: Users, clock: Clock, change: str
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    CHANGES[change](users)
    clock.now += 5.01

    assert await code_of(gatekeeper, "voipsun") == 100


async def test_changed_permissions_hold_after_five_seconds_without_argon2(
    gatekeeper: Gatekeeper, users: Users, clock: Clock, checks: list[str]
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    users.put("voipsun", permissions=["hangup"])
    clock.now += 5.01

    assert (await gatekeeper.authenticate("voipsun", PASSWORD, HERE)).permissions == {"hangup"}
    assert checks == [PASSWORD]


async def test_a_new_user_is_let_in_after_five_seconds(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "new") == 100
    users.put("new")
    clock.now += 5.01

    assert await code_of(gatekeeper, "new") == 0


async def test_the_age_of_a_row_counts_from_its_query(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    users.open.clear()
    task = asyncio.create_task(code_of(gatekeeper, "voipsun"))
    await eventually(lambda: users.asked, within_s=2, what="the query is sent")
    clock.now += 3
    users.open.set()
    assert await task == 0
    users.put("voipsun", enabled=False)
    clock.now += 2.01

    assert await code_of(gatekeeper, "voipsun") == 100


# ---- while the database is down ---------------------------------------------------------------


async def test_users_already_known_go_on_and_changes_hold_when_it_is_back(
    gatekeeper: Gatekeeper, users: Users, clock: Clock, checks: list[str]
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    users.down = True
    for _ in range(5):
        clock.now += 3600
        assert await code_of(gatekeeper, "voipsun") == 0
    assert await code_of(gatekeeper, "voipsun", "wrong") == 100
    assert checks == [PASSWORD, "wrong"]
    users.down = False
    users.put("voipsun", enabled=False)
    clock.now += 3600

    assert await code_of(gatekeeper, "voipsun") == 100


async def test_nobody_else_can_be_known(gatekeeper: Gatekeeper, users: Users) -> None:
    users.down = True
    for name in ("voipsun", "nobody"):
        with pytest.raises(DatabaseUnavailable):
            await gatekeeper.authenticate(name, PASSWORD, HERE)


async def test_a_user_whose_password_was_never_right_is_not_known(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "voipsun", "wrong") == 100
    users.down = True
    clock.now += 6
    with pytest.raises(DatabaseUnavailable):
        await gatekeeper.authenticate("voipsun", PASSWORD, HERE)


async def test_a_silent_database_does_not_hold_up_known_users_again_and_again(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    users.down = True
    clock.now += 6
    assert await code_of(gatekeeper, "voipsun") == 0
    users.open.clear()
    started = time.monotonic()
    assert await code_of(gatekeeper, "voipsun") == 0
    assert time.monotonic() - started < known.IMPATIENCE_S + 0.5
    users.open.set()


async def test_a_database_that_begins_to_hang_holds_up_no_known_user(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    users.open.clear()
    users.put("voipsun", enabled=False)
    clock.now += 3600
    assert await code_of(gatekeeper, "voipsun") == 0
    users.open.set()
    await eventually(
        lambda: not gatekeeper._users._reads, within_s=2, what="the database has answered"
    )
    assert await code_of(gatekeeper, "voipsun") == 100


async def test_who_comes_during_a_read_waits_no_longer_than_who_began_it(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    users.open.clear()
    clock.now += 3600
    assert await code_of(gatekeeper, "voipsun") == 0
    started = asyncio.get_running_loop().time()
    for _ in range(20):
        assert await code_of(gatekeeper, "voipsun") == 0
    assert asyncio.get_running_loop().time() - started < 20 * known.IMPATIENCE_S
    users.open.set()


async def test_what_is_said_to_be_out_of_date_is_waited_for(
    gatekeeper: Gatekeeper, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "PATIENCE_S", 0.0)
    assert await code_of(gatekeeper, "voipsun") == 0
    users.open.clear()
    gatekeeper.all_changed()
    asking = asyncio.create_task(code_of(gatekeeper, "voipsun"))
    await asyncio.wait({asking}, timeout=0.05)
    assert not asking.done()
    users.open.set()
    assert await asking == 0


async def test_a_bug_in_the_background_is_logged(
    gatekeeper: Gatekeeper, users: Users, clock: Clock
) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    del users.rows["voipsun"]["networks"]
    clock.now += 3
    with capture_logs() as logs:
        assert await code_of(gatekeeper, "voipsun") == 0
        await settled()

    assert [entry["event"] for entry in logs] == ["access.read_failed"]


async def test_a_password_proven_against_a_hash_that_is_gone_is_not_remembered(
    gatekeeper: Gatekeeper, users: Users, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row changes, and is read again, while the old hash is being checked."""
    loop = asyncio.get_running_loop()
    begun, go_on = asyncio.Event(), threading.Event()

    def slowly(_hash: str, _password: str) -> bool:
        loop.call_soon_threadsafe(begun.set)
        return go_on.wait(5)

    monkeypatch.setattr(passwords, "_verify", slowly)
    task = asyncio.create_task(code_of(gatekeeper, "voipsun"))
    await begun.wait()
    users.put("voipsun", password_hash=hash_password("other"))
    clock.now += 6
    await gatekeeper._users.read("voipsun")
    go_on.set()
    assert await task == 0

    assert set(gatekeeper._users._proven) == set()


# ---- bounds -----------------------------------------------------------------------------------


async def test_made_up_names_cannot_push_out_a_real_user(
    gatekeeper: Gatekeeper, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MAX_NAMES", 10)
    monkeypatch.setattr(passwords, "_verify", lambda _hash, password: password == PASSWORD)
    assert await code_of(gatekeeper, "voipsun") == 0
    for number in range(50):
        assert await code_of(gatekeeper, f"made up {number}", "wrong") == 100
    users.down = True

    assert await code_of(gatekeeper, "voipsun") == 0
    assert len(gatekeeper._users._others) == 10


async def test_the_user_unused_for_longest_is_forgotten_first(
    gatekeeper: Gatekeeper, users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known, "MAX_NAMES", 2)
    users.put("b")
    users.put("c")
    for name in ("voipsun", "b", "voipsun", "c"):
        assert await code_of(gatekeeper, name) == 0

    assert set(gatekeeper._users._proven) == {"voipsun", "c"}


async def test_guesses_at_one_user_leave_room_for_others(
    gatekeeper: Gatekeeper, users: Users
) -> None:
    users.put("other")
    guesses = [
        asyncio.create_task(code_of(gatekeeper, "voipsun", f"guess {number}"))
        for number in range(100)
    ]
    await settled()

    assert await code_of(gatekeeper, "other") == 0
    codes = await asyncio.gather(*guesses)
    assert codes.count(100) == passwords.MAX_CHECKS_PER_NAME
    assert codes.count(903) == 100 - passwords.MAX_CHECKS_PER_NAME
    assert await code_of(gatekeeper, "voipsun") == 0


async def test_who_is_remembered_does_not_notice_a_flood(gatekeeper: Gatekeeper) -> None:
    assert await code_of(gatekeeper, "voipsun") == 0
    flood = [
        asyncio.create_task(code_of(gatekeeper, f"name {number}", "wrong")) for number in range(200)
    ]
    await settled()
    started = time.perf_counter()
    assert await code_of(gatekeeper, "voipsun") == 0
    took_s = time.perf_counter() - started
    codes = await asyncio.gather(*flood)

    assert took_s < 0.25  # one check after another, the flood takes two seconds
    assert codes.count(100) == passwords.MAX_CHECKS
    assert codes.count(903) == 200 - passwords.MAX_CHECKS


async def test_the_loop_goes_on_while_a_password_is_checked(gatekeeper: Gatekeeper) -> None:
    task = asyncio.create_task(code_of(gatekeeper, "voipsun"))
    turns = 0
    while not task.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 100


async def test_closing_ends_what_is_under_way() -> None:
    users = Users("voipsun")
    users.open.clear()
    gatekeeper = Gatekeeper(users, **LENIENT)
    reading = asyncio.create_task(code_of(gatekeeper, "voipsun"))
    await eventually(lambda: users.asked, within_s=2, what="the query is sent")
    await gatekeeper.close()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_closing_the_checker_ends_checks_that_wait() -> None:
    checker = PasswordChecker()
    tasks = [
        asyncio.create_task(checker.is_right(bytes([n]), f"name {n}", "x", None)) for n in range(20)
    ]
    await settled()
    await checker.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert any(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)


async def test_no_password_and_no_hash_gets_into_the_log(
    gatekeeper: Gatekeeper, users: Users
) -> None:
    with capture_logs() as logs:
        await code_of(gatekeeper, "voipsun", "hunter2")
        await code_of(gatekeeper, "nobody", "hunter2")
        users.put("off", enabled=False)
        await code_of(gatekeeper, "off")

    assert [(entry["username"], entry["why"]) for entry in logs] == [
        ("voipsun", "wrong password"),
        ("nobody", "unknown user"),
        ("off", "disabled"),
    ]
    assert "hunter2" not in str(logs)
    assert "argon2" not in str(logs)


async def test_after_a_reload_a_new_user_and_a_new_right_hold_at_once(
    gatekeeper: Gatekeeper, users: Users, checks: list[str]
) -> None:
    assert await code_of(gatekeeper, "new") == 100
    await gatekeeper.authenticate("voipsun", PASSWORD, HERE)
    users.put("new")
    users.put("voipsun", permissions=["hangup"])
    assert await code_of(gatekeeper, "new") == 100  # still believed
    gatekeeper.all_changed()
    del checks[:]

    assert await code_of(gatekeeper, "new") == 0
    assert (await gatekeeper.authenticate("voipsun", PASSWORD, HERE)).permissions == {"hangup"}
    assert checks == [PASSWORD]  # only the new user's: who was right is still right


async def test_a_reload_throws_nobody_out_whom_the_database_cannot_tell_of(
    gatekeeper: Gatekeeper, users: Users
) -> None:
    await gatekeeper.authenticate("voipsun", PASSWORD, HERE)
    users.down = True
    gatekeeper.all_changed()

    assert await code_of(gatekeeper, "voipsun") == 0


async def test_what_was_asked_before_a_reload_is_asked_again(
    gatekeeper: Gatekeeper, users: Users
) -> None:
    users.open.clear()
    before = asyncio.create_task(code_of(gatekeeper, "new"))
    await eventually(lambda: "new" in users.asked, within_s=5, what="the row is being read")
    users.put("new")
    gatekeeper.all_changed()
    after = asyncio.create_task(code_of(gatekeeper, "new"))
    await asyncio.sleep(0)
    users.open.set()

    assert (await before, await after) == (100, 0)

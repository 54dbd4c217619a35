"""How many guesses there may be."""

from pbxapi.access import attempts
from pbxapi.access.attempts import ADDRESS_FACTOR, Attempts
from tests.access.users import Clock


def fail(tried: Attempts, name: str, times: int, address: str = "192.0.2.1") -> list[bool]:
    return [tried.failed(name, address) for _ in range(times)]


def test_so_many_failures_lock_a_name_out_for_so_long() -> None:
    clock = Clock()
    tried = Attempts(3, 60, clock)
    assert fail(tried, "1000", 2) == [False, False]
    assert not tried.name_is_locked("1000")
    assert fail(tried, "1000", 1, "192.0.2.2") == [True]
    assert tried.name_is_locked("1000")
    assert not tried.name_is_locked("1001")

    clock.now += 59.9
    assert tried.name_is_locked("1000")
    clock.now += 0.1
    assert not tried.name_is_locked("1000")
    assert fail(tried, "1000", 3) == [False, False, True]


def test_failures_long_ago_do_not_count() -> None:
    clock = Clock()
    tried = Attempts(3, 60, clock)
    fail(tried, "1000", 2)
    clock.now += 60

    assert fail(tried, "1000", 2) == [False, False]


def test_what_is_right_wipes_failures_out_but_not_for_whoever_guesses_beside_it() -> None:
    clock = Clock()
    tried = Attempts(3, 60, clock)
    fail(tried, "1000", 2)
    tried.right("1000")
    assert fail(tried, "1000", 2) == [False, False]
    tried.right("1000")  # a program that asks every second
    assert fail(tried, "1000", 1) == [True]


def test_an_address_is_locked_out_by_many_names_and_never_by_one() -> None:
    clock = Clock()
    tried = Attempts(3, 60, clock)
    fail(tried, "1000", 100)
    assert not tried.address_is_locked("192.0.2.1")
    for number in range(ADDRESS_FACTOR * 3 - 2):
        fail(tried, f"made up {number}", 1)
    assert not tried.address_is_locked("192.0.2.1")
    fail(tried, "one more", 1)
    assert tried.address_is_locked("192.0.2.1")
    assert not tried.address_is_locked("192.0.2.2")

    clock.now += 60
    assert not tried.address_is_locked("192.0.2.1")


def test_names_that_failed_long_ago_do_not_count_at_an_address() -> None:
    clock = Clock()
    tried = Attempts(1, 60, clock)
    for number in range(100):
        fail(tried, str(number), 1)
        clock.now += 60 / (ADDRESS_FACTOR - 1)
        assert not tried.address_is_locked("192.0.2.1")


def test_memory_is_bounded() -> None:
    tried = Attempts(3, 60, Clock())
    for number in range(attempts.MAX_NAMES + 10):
        tried.failed(str(number), str(number))

    assert len(tried._names) == attempts.MAX_NAMES
    assert len(tried._addresses) == attempts.MAX_ADDRESSES


def test_other_limits_hold_for_what_comes_and_nobody_is_let_out_early() -> None:
    clock = Clock()
    tried = Attempts(3, 60, clock)
    fail(tried, "1000", 3)
    tried.limit(1, 5)
    assert fail(tried, "1001", 1) == [True]
    clock.now += 5
    assert not tried.name_is_locked("1001")
    assert tried.name_is_locked("1000")

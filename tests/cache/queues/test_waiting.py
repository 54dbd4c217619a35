"""Since when a caller waits."""

import math

from hypothesis import given, strategies as st

from pbxapi.cache.queues.waiting import CLOCK_SLACK_S, Began, joined, listed, narrowed

START = 1_795_460_000

instants = st.floats(START, START + 100, allow_nan=False)
delays = st.floats(0, 1.5, allow_nan=False)


def test_a_join_tells_it_roughly_and_is_believed_to_be_quick() -> None:
    began = joined(START + 0.4)
    assert began.likely == START
    assert not began.certain
    assert began.wait_s(START + 7.99) == 7


def test_a_list_within_one_second_tells_it_for_certain() -> None:
    began = listed(START + 10.2, START + 10.4, 3)
    assert began == Began(START + 7, START + 7, START + 7)
    assert began.certain


def test_a_list_over_the_turn_of_a_second_leaves_two() -> None:
    began = listed(START + 9.99, START + 10.02, 3)
    assert (began.earliest, began.latest) == (START + 6, START + 7)
    assert not began.certain


def test_two_such_lists_agree_on_one() -> None:
    one, other = Began(START, START + 1, START), Began(START + 1, START + 2, START + 2)
    assert narrowed(one, other) == Began(START + 1, START + 1, START + 1)


def test_news_that_contradict_are_believed() -> None:
    """A caller who has left and joined again keeps his Uniqueid."""
    one, other = Began(START, START, START), Began(START + 5, START + 6, START + 5)
    assert narrowed(one, other) == other


def test_nobody_waits_less_than_nothing() -> None:
    assert Began(START, START, START).wait_s(START - 3) == 0


@given(instants, delays, delays, st.lists(st.tuples(delays, delays, delays), max_size=5))
def test_the_true_second_is_never_ruled_out(
    start: float, until_join: float, lag: float, questions: list[tuple[float, float, float]]
) -> None:
    """However late anything arrives, and however our idea of the clock lags behind."""
    lag = min(lag, CLOCK_SLACK_S)
    truth = math.floor(start)
    began = joined(start + until_join - lag)
    now = start + until_join
    for before, there, back in questions:
        asked, told = now + before, now + before + there
        arrived = told + back
        wait_s = math.floor(told) - truth
        began = narrowed(began, listed(asked - lag, arrived - lag, wait_s))
        now = arrived
        assert began.earliest <= truth <= began.latest
        assert began.earliest <= began.likely <= began.latest

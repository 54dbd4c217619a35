"""The histogram against the sorted list that it stands for."""

import math

from hypothesis import given, strategies as st

from pbxapi.load.latencies import Latencies

SECONDS = st.floats(min_value=0, max_value=3600)


def histogram(values: list[float]) -> Latencies:
    made = Latencies()
    for value in values:
        made.add(value)
    return made


@given(st.lists(SECONDS, min_size=1), st.floats(min_value=0.1, max_value=100))
def test_a_percentile_is_never_too_low_and_at_most_a_thousandth_too_high(
    values: list[float], percent: float
) -> None:
    exact = sorted(values)[max(1, math.ceil(len(values) * percent / 100)) - 1]
    told = histogram(values).percentile_s(percent)
    assert exact - 1e-6 <= told <= exact * 1.001 + 1e-6
    assert math.isclose(histogram(values).percentile_s(100), max(values), abs_tol=1e-6)


@given(st.lists(SECONDS, min_size=1), st.lists(SECONDS, min_size=1))
def test_two_that_are_merged_are_as_one(first: list[float], second: list[float]) -> None:
    merged = histogram(first)
    merged.merge(histogram(second))
    whole = histogram(first + second)
    assert (merged.buckets, merged.count, merged.max_s) == (whole.buckets, whole.count, whole.max_s)
    assert math.isclose(merged.mean_s, whole.mean_s)


def test_of_nothing_everything_is_0() -> None:
    nothing = Latencies()
    assert (nothing.percentile_s(99), nothing.mean_s, nothing.max_s) == (0, 0, 0)


def test_memory_is_bounded_by_the_width_of_the_values_not_by_their_number() -> None:
    many = histogram([number * 1e-5 for number in range(1, 100_000)])
    assert many.count == 99_999
    assert len(many.buckets) < 11_000
    assert math.isclose(many.mean_s, 0.5)

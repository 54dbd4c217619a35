"""Rows of an answer of which only an age grows."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from pbxapi.cache.channels.calls import Leg
from pbxapi.cache.channels.rows import Row


class AgeingRows(NamedTuple):
    """Rows of an answer that stay the same but for one value, the seconds since each began.

    Attributes:
        rows: In their order; the same object again as long as none has changed.
        now: Monotonic instant of the answer.
        make: What stands in a row.
        age: Name of the value that grows.
    """

    rows: Sequence[Row]
    now: float
    make: Callable[[Leg], Mapping[str, str]]
    age: str

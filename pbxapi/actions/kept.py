"""Rows of an answer that are told anew only where what they are told from has changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple


class KeptRows(NamedTuple):
    """Rows that stay the same as long as their source does.

    Attributes:
        name: Which of the answers of its action it is.
        source: Equal to that of another time only where all rows are the same.
        parts: What each row is told from; equal parts give equal rows.
        row: What stands in a row.
    """

    name: str
    source: tuple[object, ...]
    parts: Callable[[], Sequence[Any]]
    row: Callable[[Any], Mapping[str, Any]]

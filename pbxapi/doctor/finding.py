"""What was found about one thing: how it is, and what to do where it is not well."""

import enum
from typing import NamedTuple


class Level(enum.Enum):
    """How serious it is; the value is what people read."""

    OK = "ok"
    WARN = "warn"
    FAIL = "FAIL"


class Finding(NamedTuple):
    """One line.

    Attributes:
        text: What is.
        remedy: What to do; "" where nothing is to be done.
    """

    level: Level
    text: str
    remedy: str = ""


def ok(text: str) -> Finding:
    """It is well."""
    return Finding(Level.OK, text)


def warn(text: str, remedy: str) -> Finding:
    """The daemon works, yet not all of it, or not as it should."""
    return Finding(Level.WARN, text, remedy)


def fail(text: str, remedy: str) -> Finding:
    """The daemon does not work like this."""
    return Finding(Level.FAIL, text, remedy)


def some(names: list[str], most: int = 5) -> str:
    """A few names for a line, and how many more there are."""
    shown = ", ".join(names[:most])
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown

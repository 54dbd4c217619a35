"""Parameters as values: each is what it claims to be, or fault 902 with its name.

Nothing that passes here can be syntax of AMI or of a dial plan: a number has only the characters
that a telephone has, a count only digits. Control characters were refused before.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from pbxapi.faults import Fault

MAX_CHARACTERS: Final = 255
#: Asterisk cuts an extension at 79 characters, and what it is cut to is another number; the dial
#: plan refuses more than this.
MAX_NUMBER_CHARACTERS: Final = 40
#: Nobody lets a telephone ring for longer, and Asterisk multiplies by 1,000 in an int.
MAX_RING_S: Final = 3600
#: What Asterisk and PostgreSQL keep such a number in.
MAX_WHOLE_NUMBER: Final = 2**31 - 1

_NUMBER: Final = re.compile(r"\+?[0-9*#]+")
#: What people write between the digits (RFC 3966, visual separators, and blanks): CRMs hand over
#: "+420 777 123 456" as they store it, and a `+` that nobody encoded arrives as a blank.
_SEPARATORS: Final = str.maketrans("", "", " -.()")


def check_lengths(params: Mapping[str, str], names: Iterable[str]) -> None:
    """Refuse values that are too long, of those that the action reads.

    Raises:
        Fault: 902 with the name of the first one, in the alphabet's order.
    """
    for name in sorted(names):
        if len(params.get(name, "")) > MAX_CHARACTERS:
            raise Fault(902, name=name)


def number(params: Mapping[str, str], name: str, default: str = "") -> str:
    """A telephone number: digits, `*`, `#`, perhaps a leading `+`; without visual separators.

    Raises:
        Fault: 902 for anything else.
    """
    value = params.get(name)
    if value is None:
        return default
    value = value.translate(_SEPARATORS)
    if len(value) > MAX_NUMBER_CHARACTERS or not _NUMBER.fullmatch(value):
        raise Fault(902, name=name)
    return value


def ring_seconds(params: Mapping[str, str], name: str, default: int) -> int:
    """How long something may ring, in whole seconds.

    Raises:
        Fault: 902 for what is no number from 1 to `MAX_RING_S`.
    """
    value = params.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= MAX_RING_S):
        raise Fault(902, name=name)
    return int(value)


def whole_number(params: Mapping[str, str], name: str) -> int | None:
    """A whole number from 0 to `MAX_WHOLE_NUMBER`; None where the request has none.

    Raises:
        Fault: 902 for anything else.
    """
    value = params.get(name)
    if value is None:
        return None
    if not (value.isascii() and value.isdigit() and int(value) <= MAX_WHOLE_NUMBER):
        raise Fault(902, name=name)
    return int(value)

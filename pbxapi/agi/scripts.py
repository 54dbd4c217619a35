"""The scripts that the dialplan can ask for: what each sets on which channel.

    AGI(agi://<fastagi listen>/cdr,<card>)             CDR fields of the channel that asks
    AGI(agi://<fastagi listen>/cdr,<card>,<channel>)   the same into SHARED variables of another,
                                                       given by its name or its Uniqueid

Into SHARED variables the values go percent-encoded, since they are handed on from there, and in
parts, since cdr_pgsql writes 256 bytes of a value and drops the rest (cdr_pgsql.c, pgsql_log(), 16
to 22): PBXAPI_CDR3, PBXAPI_CDR3_2 … The columns of the same names are joined by a trigger of the
table. PBXAPI_CDR comes last and says which there are: "1&3&3_2".

A script is a pure function of the environment and the cards: it says what to set, and the server
sets it. Whoever has no card gets a `Refused`, which closes the connection without a command.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple
from urllib.parse import quote

from pbxapi.agi.cards import CallCards
from pbxapi.agi.environment import script_name
from pbxapi.errors import PbxapiError

Environment = Mapping[str, str]


class Assignment(NamedTuple):
    """A variable, or a dialplan function that takes a value, and the value."""

    variable: str
    value: str


class Refused(PbxapiError):
    """The script has nothing for this client.

    Attributes:
        reason: Why, in a word for the log.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


#: The fields of a card, by the number that the dialplan knows them by.
_FIELDS: Final = {f"customCDR{n}": str(n) for n in range(1, 5)}
#: Of a part of a value; the limit of cdr_pgsql is 256 with a terminator to spare.
MAX_PART_BYTES: Final = 250

#: A name or a Uniqueid, without what has a meaning inside the parentheses of a function.
_CHANNEL: Final = re.compile(r"[A-Za-z0-9!#%&*+./:;<=>?@_~-]{1,200}")


def _cdr(environment: Environment, cards: CallCards) -> tuple[Assignment, ...]:
    fields = cards.redeem(environment.get("agi_arg_1", ""))
    if fields is None:
        raise Refused("card")
    known = {number: fields[name] for name, number in _FIELDS.items() if name in fields}
    channel = environment.get("agi_arg_2", "")
    if not channel:
        return tuple(Assignment(f"CDR(customCDR{n})", value) for n, value in known.items())
    if not _CHANNEL.fullmatch(channel):
        raise Refused("channel")
    parts = {key: part for n, value in known.items() for key, part in _parts(n, value).items()}
    shared = {f"PBXAPI_CDR{key}": quote(part, safe="") for key, part in parts.items()}
    complete = {"PBXAPI_CDR": "&".join(parts)}
    return tuple(
        Assignment(f"SHARED({name},{channel})", value)
        for name, value in (shared | complete).items()
    )


def _parts(number: str, value: str) -> dict[str, str]:
    """A value in parts of whole characters, by the keys "3", "3_2" and so on."""
    parts = [""]
    for character in value:
        if len((parts[-1] + character).encode()) > MAX_PART_BYTES:
            parts.append("")
        parts[-1] += character
    return {number if i == 1 else f"{number}_{i}": part for i, part in enumerate(parts, start=1)}


_SCRIPTS: Final[dict[str, Callable[[Environment, CallCards], tuple[Assignment, ...]]]] = {
    "cdr": _cdr
}


def assignments(environment: Environment, cards: CallCards) -> tuple[Assignment, ...]:
    """What the script of this environment sets, in order.

    Raises:
        Refused: there is no such script, or it has nothing for this client.
    """
    script = _SCRIPTS.get(script_name(environment))
    if script is None:
        raise Refused("script")
    return script(environment, cards)

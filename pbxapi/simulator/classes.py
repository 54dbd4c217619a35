"""Permission classes of AMI: which events a user reads and which actions it may write.

Source: Asterisk include/asterisk/manager.h (EVENT_FLAG_*) and main/manager.c, perms[], get_perm(),
strings_to_mask(); bits and names are the same in 16 and 22.
"""

import functools
from typing import Final

SYSTEM: Final = 1 << 0
CALL: Final = 1 << 1
LOG: Final = 1 << 2
VERBOSE: Final = 1 << 3
COMMAND: Final = 1 << 4
AGENT: Final = 1 << 5
USER: Final = 1 << 6
CONFIG: Final = 1 << 7
DTMF: Final = 1 << 8
REPORTING: Final = 1 << 9
CDR: Final = 1 << 10
DIALPLAN: Final = 1 << 11
ORIGINATE: Final = 1 << 12
AGI: Final = 1 << 13
HOOKRESPONSE: Final = 1 << 14
CC: Final = 1 << 15
AOC: Final = 1 << 16
TEST: Final = 1 << 17
SECURITY: Final = 1 << 18
MESSAGE: Final = 1 << 19
ALL: Final = (1 << 31) - 1

NAMES: Final[dict[int, str]] = {
    SYSTEM: "system",
    CALL: "call",
    LOG: "log",
    VERBOSE: "verbose",
    COMMAND: "command",
    AGENT: "agent",
    USER: "user",
    CONFIG: "config",
    DTMF: "dtmf",
    REPORTING: "reporting",
    CDR: "cdr",
    DIALPLAN: "dialplan",
    ORIGINATE: "originate",
    AGI: "agi",
    HOOKRESPONSE: "hookresponse",
    CC: "cc",
    AOC: "aoc",
    TEST: "test",
    SECURITY: "security",
    MESSAGE: "message",
}
_BITS: Final = {name: bit for bit, name in NAMES.items()} | {"all": ALL, "none": 0}
_TRUE: Final = frozenset({"yes", "true", "y", "t", "1", "on"})
_FALSE: Final = frozenset({"no", "false", "n", "f", "0", "off"})


def is_true(text: str) -> bool:
    """Whether Asterisk takes a header's value for a yes (ast_true)."""
    return text.strip().lower() in _TRUE


def parse(names: str) -> int:
    """The mask of a comma-separated list of classes; words that are none are passed over."""
    mask = 0
    for name in names.split(","):
        mask |= _BITS.get(name.strip().lower(), 0)
    return mask


def event_mask(text: str) -> int:
    """What an `Events` or `EventMask` header asks for; -1 where it is empty, as Asterisk has it."""
    if not text:
        return -1
    if text.isascii() and text.isdigit():
        return int(text)
    if text.lower() in _FALSE:
        return 0
    if text.lower() in _TRUE:
        return ALL
    return parse(text)


@functools.cache
def privilege(mask: int) -> str:
    """The text of a `Privilege` header and of ListCommands: `system,reporting,all`."""
    names = [name for bit, name in NAMES.items() if mask & bit]
    return ",".join([*names, "all"]) if names else "<none>"

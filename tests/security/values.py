"""Hostile values: texts that are syntax to somebody between the URL and the telephone."""

import random
from dataclasses import dataclass
from typing import Final

#: In every value that is said to be a secret: no line of the log may have it.
SECRET: Final = "hunter2hunter2"

#: By whom they are meant for. `\x01` and the like have to be refused wherever they turn up.
ATOMS: Final = (
    # AMI, AGI, log lines
    "\r\nAction: Command\r\nCommand: core stop now\r\n\r\n",
    "\r\n\r\nAction: Hangup\r\nChannel: /.*/",
    "\nVariable: X=1",
    "\rVariable: X=1",
    "\0Channel: x",
    "a\x0bb\x0cc\x1cd\x85e",
    "a\u2028b\u2029c",
    "\x1b]0;x\x07\x9b2J",
    '\nSET VARIABLE GLOBAL(X) "1"\n',
    '" \nEXEC System "id"\n"',
    '"} {"event":"audit.action","user":"root"',
    # the dial plan
    "${SHELL(id)}",
    "$[1+1]",
    "${ENV(HOME)}${PBXAPI_CARD}",
    "a,b,System(id)",
    "a|b|System(id)",
    "&SIP/1001&Local/1@x",
    ";comment",
    "=1,Y=2",
    "X)=SHELL(id",
    "^id^",
    "/.*/",
    "SIP/x@y!2!3",
    # shells, SQL, paths
    "`id`$(id)|id>x",
    "'; DROP TABLE pbxapi.cdr; --",
    "' OR '1'='1",
    "\\'; SELECT pg_sleep(9)",
    "%",
    "_",
    "../../../../etc/passwd",
    "..",
    ".",
    "/etc/passwd",
    "a/../../b",
    "..\\..\\x",
    "~root/.ssh",
    "-rf",
    # encodings
    "%0d%0aX: y",
    "%00",
    "%252e%252e%252f",
    "+",
    "%",
    "%zz",
    "%u000a",
    "\\r\\n\\x00",
    "ěščřžýáíé€",
    "\u202e\u200b\ufeff",
    "😀" * 3,
    "\ufffd\uffff",
    # PHP, formats, numbers
    "[]",
    "a[b]=c&d=e",
    "{0.__class__}%s%n%(x)s{x}",
    "customCDR2",
    "0",
    "-1",
    "00000000000000000000000001",
    "9" * 30,
    "1e9",
    "0x10",
    "²³",
    "１２３",
    "inf",
    " ",
    '"',
    "'",
    "\\",
    "<b>&amp;",
)
#: Bytes that are no UTF-8, with what windows-1250 makes of them.
BYTES: Final = (
    (b"\x8elu\x9dou\xe8k\xfd", "Žluťoučký"),
    (b"a\x81b", "a\x81b"),
    (b"\xc3\x28\r", "Ă(\r"),
    (b"\xed\xa0\x80", "í\xa0€"),
    (b"\xff\xfe", "˙ţ"),
)
LENGTHS: Final = (40, 41, 79, 80, 250, 255, 256, 257, 1024, 20_000)


@dataclass(frozen=True, slots=True)
class Value:
    """A value on the wire, and the text that it has to mean."""

    wire: bytes
    text: str


def plain(text: str) -> Value:
    return Value(text.encode(), text)


def hostile(chance: random.Random, base: str) -> Value:
    """One value, perhaps around one that is good."""
    kind = chance.randrange(12)
    if kind == 0:
        return Value(*chance.choice(BYTES))
    atom = chance.choice(ATOMS)
    if kind == 1:
        length = chance.choice(LENGTHS)
        return plain((atom * length)[:length])
    if kind == 2:
        return plain((base or "1") * chance.choice((2, 10, 100)))
    at = chance.randrange(len(base) + 1)
    forms = (
        atom,
        base + atom,
        atom + base,
        base[:at] + atom + base[at:],
        atom + chance.choice(ATOMS),
    )
    return plain(chance.choice(forms))

r"""Taking secrets out of whatever is about to be logged.

What stands under the name of a secret is masked at any depth: in mappings, in pairs such as
`("password", "x")`, in the repr of any object. Names are known by what they contain (`password`,
`agentPin`, `secret`, `Key`, `dsn`, `authorization` …), also where they are percent-encoded or
otherwise written so that PHP would still accept them.

In every text, exception texts and tracebacks included, these are masked:

- `name=value`, as in query strings, forms, libpq and reprs: up to the next `&` or blank;
- `"name": "value"` and `"name", "value"`, as in JSON and in reprs of pairs;
- `Name: value`, as in headers of HTTP and AMI: up to the end of the line;
- the field of a multipart form; the password of a URI; an argon2 hash;
- the texts that the operator's configuration says are secrets, wherever they occur.

Too much is masked rather than too little. The patterns take linear time: every repetition that
can be tried from many places is bounded, or possessive and tried from the beginning of a word only.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Set as AbstractSet
from typing import Any, Final
from urllib.parse import quote, quote_plus, unquote_plus

MASK: Final = "***"

#: What is kept of one text: more than any traceback of ours, less than what floods a journal.
MAX_CHARACTERS: Final = 16_384
#: What is looked at. A secret that begins within the part that is kept ends within this one.
_MAX_LOOKED_AT: Final = 4 * MAX_CHARACTERS
#: Deeper structures are no facts but accidents, perhaps circular ones.
_MAX_DEPTH: Final = 8
#: A shorter text would be masked in the midst of innocent words.
_MIN_KNOWN_CHARACTERS: Final = 4

_SECRET_NAME: Final = re.compile(
    r"(?i:passw|passphrase|pwd|secret|dsn|authorization|cookie|token|credential|agent_?pin"
    r"|(?:api|private|auth)[_-]?key|^key$)|(?:^|[^A-Za-z])[Pp]in(?![a-z])|P[Ii][Nn](?![a-z])"
)
#: `InvalidPasswordError: …` is the head of a traceback's last line, not the name of a secret.
_EXCEPTION_NAME: Final = re.compile(r"(?:Error|Exception|Warning|Unavailable)$")

#: As it is, or escaped in a repr, or in a repr of a repr; the bars are those before the lines of an
#: exception group's traceback.
_LINE_END: Final = r"(?:\r?\n|(?:\\{1,8}r)?\\{1,8}n)[ |]{0,32}"
#: A quoted value that surely ends where it seems to; one with a backslash or another quotation
#: mark may be part of something quoted itself, and is taken to reach to the end of the line.
_QUOTED: Final = r"""[bu]?(?:'[^'"\\\r\n]*'|"[^'"\\\r\n]*")"""
_TO_LINE_END: Final = r"""[bu]?\\{0,8}["'][^\r\n]*"""

_FORM_FIELD: Final = (
    r"""name=\\{0,8}["']?(?P<name>[^"'\\;\r\n]{1,128})\\{0,8}["']?(?:;[^\r\n\\]{0,256})?"""
    rf"(?:{_LINE_END}[\w-]{{1,64}}:[^\r\n\\]{{0,256}}){{0,4}}{_LINE_END}{_LINE_END}"
)
#: `name=`; the sign is encoded where a URL stands within a URL.
_PAIR: Final = (
    r"(?:(?<![\w.%+\[\]-])|(?<=%3[Dd]))(?P<name>(?:[\w.+\[\]-]|%(?!3[Dd]))++)"
    r"[ \t]{0,8}(?:=|%3[Dd])[ \t]{0,8}"
)
#: `"name": `, `'name', `, `["name"] => `
_QUOTED_NAME: Final = r"""["'](?P<name>[^"'\\\s]{1,128})\\{0,8}["']\]?\s{0,8}(?:=>|[:,=])\s{0,8}"""
_HEADER: Final = r"(?<![\w-])(?P<name>[\w-]++)[ \t]{0,8}:[ \t]{0,8}"

#: What leads to a value and names it, and how far the value reaches from there. Only the former is
#: searched for, since the value of an innocent name may hold the name of a secret.
_NAMED: Final = tuple(
    (re.compile(head), re.compile(value))
    for head, value in (
        (_FORM_FIELD, r"[^\r\n]*"),
        (_PAIR, rf"{_QUOTED}[^\s&]*|{_TO_LINE_END}|[^\s&\\]*(?:\\[^\r\n]*)?"),
        (_QUOTED_NAME, rf"{_QUOTED}|{_TO_LINE_END}|[^\s,)}}\]]*"),
        (_HEADER, r"[^\r\n]*"),
    )
)
#: Down to the last `@`: a password that should have been encoded and was not is one too.
_URI: Final = re.compile(r"(?<=://)(?P<user>[^\s/?#@:'\"]{0,256}):\S{0,1024}@")
_ARGON2: Final = re.compile(r"\$argon2[^\s\"']+")


class Redactor:
    """Masks secrets; `known` are texts to mask wherever they occur."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._known = _any_of(known)

    def value(self, value: Any, depth: int = 0) -> Any:
        """A value of None, booleans, numbers, texts, lists and dictionaries with text keys.

        Everything else comes back as the text of its repr.
        """
        if isinstance(value, str):
            return self.text(value)
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else repr(value)
        if isinstance(value, Mapping | list | tuple | AbstractSet):
            return "…" if depth >= _MAX_DEPTH else self._container(value, depth + 1)
        return self.text(repr(value))

    def _container(self, value: Any, depth: int) -> Any:
        if isinstance(value, Mapping):
            return {
                self.text(_name(key)): self._member(key, item, depth) for key, item in value.items()
            }
        items = list(value)
        if len(items) == 2 and isinstance(items[0], str | bytes):  # noqa: PLR2004 - a pair
            return [self.value(items[0], depth), self._member(items[0], items[1], depth)]
        return [self.value(item, depth) for item in items]

    def _member(self, name: object, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool) or not is_secret_name(_name(name)):
            return self.value(value, depth)
        return MASK

    def text(self, text: str) -> str:
        """The text with every secret masked."""
        text = text[:_MAX_LOOKED_AT]
        if self._known is not None:
            text = self._known.sub(MASK, text)
        for head, value in _NAMED:
            text = _mask_named(head, value, text)
        text = _ARGON2.sub(MASK, _URI.sub(rf"\g<user>:{MASK}@", text))
        return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"


def is_secret_name(name: str) -> bool:
    """Whether a value of this name has to be masked; the name may be written as in a URL."""
    decoded = unquote_plus(name).partition("\0")[0].strip()
    return bool(_SECRET_NAME.search(decoded)) and not _EXCEPTION_NAME.search(decoded)


def _name(key: object) -> str:
    return key.decode("utf-8", "replace") if isinstance(key, bytes) else str(key)


def _mask_named(head: re.Pattern[str], value: re.Pattern[str], text: str) -> str:
    parts: list[str] = []
    copied = at = 0
    while found := head.search(text, at):
        at = found.end()
        if _names_secret(found) and (secret := value.match(text, at)):
            parts += (text[copied:at], MASK)
            copied = at = secret.end()
    return "".join((*parts, text[copied:]))


def _names_secret(found: re.Match[str]) -> bool:
    r"""Whether the head names a secret; in a repr, an escaped `\n` may stand before the name."""
    name = found["name"]
    is_escape = found.string.endswith("\\", 0, found.start("name"))
    return is_secret_name(name) or (is_escape and is_secret_name(name[1:]))


def _any_of(known: Iterable[str]) -> re.Pattern[str] | None:
    """A pattern for the texts as they are, in URLs, in reprs and in JSON."""
    forms: tuple[Callable[[str], str], ...] = (
        str,
        lambda text: quote(text, safe="", errors="replace"),
        lambda text: quote_plus(text, errors="replace"),
        lambda text: repr(text)[1:-1],
        lambda text: json.dumps(text)[1:-1],
    )
    texts = {form(text) for text in known if len(text) >= _MIN_KNOWN_CHARACTERS for form in forms}
    longest_first = sorted(texts, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if texts else None

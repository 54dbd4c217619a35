"""PHP's `$_REQUEST` from the bytes of a request, as far as scalars go.

Source: php-src main/php_variables.c (8.2): `php_default_treat_data` reads the query string,
`php_std_post_handler` an urlencoded body, `php_register_variable_ex` makes the names, and
`php_autoglobal_merge` puts both together; limits are those of php.ini as PHP is delivered.
`tests/web/test_params.py` compares it with the real PHP.

What a client can rely on: only `&` separates; the last of equal names wins; the body wins over the
query; a name with an index (`x[]=1`) is an array and so counts as absent, also where a scalar stood
before it; an empty value counts as absent.

PHP hands on bytes. Here, each that are not UTF-8 are read as windows-1250, which old Czech clients
send. That code page leaves five bytes undefined (81, 83, 88, 90, 98); they become the control
characters of the same number, as WHATWG's Encoding Standard has it, so that the value is refused
with 902 and nothing is ever dialled that the client did not mean.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

#: Name and value as PHP's url_decode leaves them, in the order of the request.
Pairs = list[tuple[bytes, bytes]]

#: PHP's max_input_vars: it reads no further.
MAX_VARIABLES: Final = 1000
#: PHP's max_input_nesting_level: a variable with more indexes is taken away altogether.
MAX_NESTING: Final = 64

#: PHP keeps cookie prefixes from being made of names that only look like them after mangling.
_COOKIE_PREFIXES: Final = (b"__Host-", b"__Secure-")
_MANGLED: Final = bytes.maketrans(b" .[", b"___")
#: What C's isspace() takes for a blank; one of it may stand before the `]` of an empty index.
_BLANKS: Final = b" \t\n\v\f\r"

#: A query of these alone has nothing to decode and no name to mangle; most have no others.
_PLAIN: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz&=-_~:;,@!$*'()/\\"

#: Unicode's category Cc.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Params(Mapping[str, str]):
    """The scalar, non-empty parameters of one request; its repr has no values, some are secrets."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"Params({', '.join(map(repr, self._values))})"


def read_query(raw_query: bytes) -> Params:
    """`$_REQUEST` of a request without a form."""
    if raw_query.translate(None, _PLAIN) or raw_query.count(b"&") >= MAX_VARIABLES:
        return merge(parse_query(raw_query))
    pairs = [segment.partition("=") for segment in raw_query.decode("ascii").split("&")]
    values = {name: value for name, _, value in pairs if name}
    return Params({name: value for name, value in values.items() if value})


def parse_query(raw_query: bytes | str) -> Pairs:
    """Pairs of a query string; runs of `&` count once."""
    if isinstance(raw_query, str):
        raw_query = _encode(raw_query)
    segments = [segment for segment in raw_query.split(b"&") if segment]
    return [_decode_pair(segment) for segment in segments[:MAX_VARIABLES]]


def parse_urlencoded(body: bytes) -> Pairs:
    """Pairs of an `application/x-www-form-urlencoded` body.

    An empty segment counts towards the limit here, and PHP looks at it one variable too late.
    """
    segments = body.split(b"&", MAX_VARIABLES + 1)
    return [_decode_pair(segment) for segment in segments[: MAX_VARIABLES + 1]]


def merge(query: Iterable[tuple[bytes, bytes]], body: Iterable[tuple[bytes, bytes]] = ()) -> Params:
    """`$_REQUEST` of a request; the body of `multipart/form-data` comes as such pairs too."""
    variables = _register(query)
    variables.update(_register(body))
    return Params({_decode(name): _decode(value) for name, value in variables.items() if value})


def control_character_in(params: Mapping[str, str]) -> str | None:
    """The first parameter whose name or value has a control character, for fault 902."""
    if not _CONTROL.search("".join((*params, *params.values()))):
        return None
    return next(
        name for name, value in params.items() if _CONTROL.search(value) or _CONTROL.search(name)
    )


def _decode_pair(segment: bytes) -> tuple[bytes, bytes]:
    name, _, value = segment.partition(b"=")
    return _url_decode(name), _url_decode(value)


def _url_decode(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _register(pairs: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes | None]:
    """Variables by name; None is an array."""
    variables: dict[bytes, bytes | None] = {}
    for raw_name, value in pairs:
        name, levels = _mangle(raw_name)
        if not name:
            continue
        if levels > MAX_NESTING:
            variables.pop(name, None)
        else:
            variables[name] = None if levels else value
    return variables


def _mangle(raw_name: bytes) -> tuple[bytes, int]:
    """Name of the variable as PHP makes it, and how many indexes follow; no name: no variable."""
    original = raw_name.partition(b"\0")[0].lstrip(b" ")
    base, bracket, _ = original.partition(b"[")
    if bracket and not base:
        return b"", 0
    levels = _count_indexes(original, len(base)) if bracket else 0
    name = (base if levels else original).translate(_MANGLED)
    if any(name.startswith(p) and not original.startswith(p) for p in _COOKIE_PREFIXES):
        return b"", 0
    return name, levels


def _count_indexes(name: bytes, at: int) -> int:
    """How many `[…]` follow each other from `at`; an index that nobody closes is none.

    Beyond the limit PHP no longer looks whether an index is closed.
    """
    levels = 0
    while name[at : at + 1] == b"[":
        if levels == MAX_NESTING:
            return levels + 1
        end = _end_of_index(name, at + 1)
        if end < 0:
            break
        levels += 1
        at = end + 1
    return levels


def _end_of_index(name: bytes, at: int) -> int:
    if name[at : at + 1] and name[at] in _BLANKS:
        at += 1
    return name.find(b"]", at)


def _encode(text: str) -> bytes:
    """The bytes of a text that came from the wire; a character that cannot have is `?`."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def _decode(text: bytes) -> str:
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError:
        return "".join(map(_WINDOWS_1250.__getitem__, text))


def _windows_1250() -> list[str]:
    table = (bytes((byte,)).decode("cp1250", "replace") for byte in range(256))
    return [chr(i) if character == "\ufffd" else character for i, character in enumerate(table)]


_WINDOWS_1250: Final = _windows_1250()

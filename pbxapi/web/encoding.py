r"""PHP's `json_encode`, byte for byte, on the C encoder of the standard library.

Source: php-src ext/json/json_encoder.c (8.2) with its default flags and `serialize_precision = -1`.
PHP differs from `json.dumps(value, separators=(",", ":"))` in these points:

- `/` is written `\/`, unless JSON_UNESCAPED_SLASHES is given (`bare_slashes`);
- 0x7f is written as it is;
- an array whose keys are 0 … n-1 in this order is a list; so is an empty one, which is why an empty
  `dict` is `[]`;
- floats lose a zero fraction (`10.0` is `10`) and write exponents their own way (`1.0e+25`).

Strings of PHP are bytes and cannot hold a lone surrogate; one from Python becomes U+FFFD.
The rare points are looked for in the finished text, so that an answer of a thousand rows is encoded
by C alone; a false alarm costs time, never correctness.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from json import JSONEncoder
from json.encoder import encode_basestring_ascii
from math import copysign
from typing import Final

Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]

#: With more digits before the point, PHP writes an exponent: `smart_str_append_double` has
#: `php_gcvt` write 17 digits where the precision is -1.
_FIXED_DIGITS: Final = 17
#: … and with more zeros after the point.
_FIXED_ZEROS: Final = 3

_ENCODER: Final = JSONEncoder(separators=(",", ":"), allow_nan=False)

#: A bare float as a member, in a list after others, as the first one. Three patterns, each with a
#: fixed beginning, are searched ten times as fast as one with alternatives.
_FLOATS: Final = tuple(re.compile(start + r"-?\d+[.e]") for start in ('":', ",", r"\["))
#: Whole escapes, so that the second half of an escaped backslash is never taken for a first one.
_ESCAPE: Final = re.compile(
    r"\\(?:(?P<pair>ud[89ab]..\\ud[c-f]..)|(?P<lone>ud[89a-f]..)|(?P<delete>u007f)|.)"
)


def encode(value: Json, *, bare_slashes: bool = False) -> bytes:
    """What PHP's `json_encode` makes of the value.

    Args:
        value: Text, numbers, `list`, `tuple` and `dict`, whose keys are text.
        bare_slashes: Leave `/` as it is (JSON_UNESCAPED_SLASHES).

    Raises:
        ValueError: a float is infinite or not a number; PHP has no JSON for it either.
        TypeError: the value is of no type that JSON knows.
    """
    text = _ENCODER.encode(value)
    if isinstance(value, float) or _may_differ(text):
        text = _as_php(value)
    if r"\ud" in text or r"\u007f" in text:
        text = _ESCAPE.sub(_mend_escape, text)
    if not bare_slashes:
        text = text.replace("/", r"\/")
    return text.encode("ascii")


def encode_success(data: Mapping[str, Json] | None = None, *, bare_slashes: bool = False) -> bytes:
    """The answer of an action that went well: its data after `success`, in their order."""
    return encode({"success": "true", **(data or {})}, bare_slashes=bare_slashes)


def encode_bare_success(data: Mapping[str, Json]) -> bytes:
    """… of `sipstatus`, as the vendor's sample has it: after the data, and with bare booleans."""
    return encode({**data, "success": True, "_debug": False})


def encode_fault(code: int, reason: str) -> bytes:
    """The answer of an action that failed."""
    return encode({"success": "false", "errno": str(code), "reason": reason})


def _mend_escape(match: re.Match[str]) -> str:
    if match["lone"]:
        return r"\ufffd"
    return "\x7f" if match["delete"] else match[0]


def _may_differ(text: str) -> bool:
    """Whether there may be an empty object, one that is a list in PHP, or a float."""
    return "{}" in text or '{"0":' in text or any(float_.search(text) for float_ in _FLOATS)


def _as_php(value: Json) -> str:
    """The JSON of a value that has an array or a float which PHP writes otherwise."""
    if isinstance(value, str):
        return encode_basestring_ascii(value)
    if isinstance(value, dict):
        if _is_list(value):
            return f"[{','.join(map(_as_php, value.values()))}]"
        pairs = [f"{encode_basestring_ascii(str(k))}:{_as_php(v)}" for k, v in value.items()]
        return f"{{{','.join(pairs)}}}"
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_as_php, value))}]"
    if isinstance(value, float):
        return _float_as_php(value)
    return _ENCODER.encode(value)


def _is_list(array: Mapping[str, Json]) -> bool:
    return all(str(key) == str(index) for index, key in enumerate(array))


def _float_as_php(number: float) -> str:
    """Shortest digits that read back as the same number, in the form of `php_gcvt`."""
    sign = "-" if copysign(1.0, number) < 0 else ""
    if number == 0:
        return f"{sign}0"
    decimal = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, decimal.digits))
    point = len(digits) + int(decimal.exponent)
    if not -_FIXED_ZEROS <= point <= _FIXED_DIGITS:
        return f"{sign}{digits[0]}.{digits[1:] or '0'}e{point - 1:+d}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    fraction = f".{digits[point:]}" if digits[point:] else ""
    return f"{sign}{digits[:point].ljust(point, '0')}{fraction}"

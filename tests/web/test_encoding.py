"""PHP's `json_encode`: the rules by hand, and the same values through the real PHP."""

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from pbxapi.web.encoding import Json, encode, encode_fault, encode_success
from tests.services.requirements import unavailable

SCRIPT = Path(__file__).resolve().parents[1] / "php" / "encode.php"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, b"null"),
        (True, b"true"),
        (False, b"false"),
        (0, b"0"),
        (-7, b"-7"),
        (2**63 - 1, b"9223372036854775807"),
        ("", b'""'),
        ("Local/1000@x", rb'"Local\/1000@x"'),
        ('"\\\b\f\n\r\t', rb'"\"\\\b\f\n\r\t"'),
        ("\0\x1f", rb'"\u0000\u001f"'),
        ("\x7f", b'"\x7f"'),
        ("\\u007f", rb'"\\u007f"'),
        ("\\\x7f", b'"\\\\\x7f"'),
        ("Žižka", rb'"\u017di\u017eka"'),
        ("\u2028\x80", rb'"\u2028\u0080"'),
        ("😀", rb'"\ud83d\ude00"'),
        ("<&'>", b'"<&\'>"'),
        ("\ud800", rb'"\ufffd"'),
        ("a\udc00", rb'"a\ufffd"'),
        ("\ud800\ud83d\ude00\udfff", rb'"\ufffd\ud83d\ude00\ufffd"'),
        ("\\ud800", rb'"\\ud800"'),
        ("\\\ud800", rb'"\\\ufffd"'),
        ([], b"[]"),
        ((), b"[]"),
        ({}, b"[]"),
        ([1, "2", None], b'[1,"2",null]'),
        ((1, (2,), {}), b"[1,[2],[]]"),
        ({"a": {}, "b": []}, b'{"a":[],"b":[]}'),
        ({"a": "{}", "b": {}}, b'{"a":"{}","b":[]}'),
        ({"b": "1", "a": "2"}, b'{"b":"1","a":"2"}'),
        ({"a/é": {"/": 1}}, rb'{"a\/\u00e9":{"\/":1}}'),
        ({"1": "a", "2": "b"}, b'{"1":"a","2":"b"}'),
        ({"0": "a", "1": {"0": {}}}, b'["a",[[]]]'),
        ({"0": "a", "2": "b"}, b'{"0":"a","2":"b"}'),
        ({"1": "a", "0": "b"}, b'{"1":"a","0":"b"}'),
        ({"00": 1}, b'{"00":1}'),
        ([True, None, 1, 1.5, "x"], b'[true,null,1,1.5,"x"]'),
    ],
    ids=ascii,
)
def test_a_value_is_written_as_php_writes_it(value: Any, expected: bytes) -> None:
    assert expected == encode(value)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0.0, b"0"),
        (-0.0, b"-0"),
        (10.0, b"10"),
        (-1.5, b"-1.5"),
        (0.1 + 0.2, b"0.30000000000000004"),
        (123.456, b"123.456"),
        (1e15, b"1000000000000000"),
        (1e16, b"10000000000000000"),
        (1e17, b"1.0e+17"),
        (1.5e25, b"1.5e+25"),
        (-1e100, b"-1.0e+100"),
        (0.0001, b"0.0001"),
        (0.00012, b"0.00012"),
        (0.00001, b"1.0e-5"),
        (1.5e-7, b"1.5e-7"),
        (5e-324, b"5.0e-324"),
    ],
)
def test_a_float_is_written_as_php_writes_it(number: float, expected: bytes) -> None:
    assert expected == encode(number)
    assert b"[%b]" % expected == encode([number])
    assert b'{"a":%b}' % expected == encode({"a": number})
    assert b'["x",%b]' % expected == encode(["x", number])


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_a_float_that_php_cannot_write_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode({"a": number, "b": {}})


def test_a_value_without_json_is_refused() -> None:
    with pytest.raises(TypeError):
        encode(b"bytes")


def test_slashes_can_be_left_bare() -> None:
    value: Json = {"a/b": ["SIP/555\\/"], "c": {}}
    assert encode(value, bare_slashes=True) == rb'{"a/b":["SIP/555\\/"],"c":[]}'


def test_success_without_data_is_exactly_this() -> None:
    assert encode_success() == encode_success({}) == b'{"success":"true"}'


def test_the_data_of_a_success_follow_in_their_order() -> None:
    data: dict[str, Json] = {"total": "0", "results": [], "channelName": "SIP/1"}
    tail = rb',"total":"0","results":[],"channelName":"SIP\/1"}'
    assert encode_success(data) == b'{"success":"true"' + tail
    assert encode_success(data, bare_slashes=True) == (
        b'{"success":"true"' + tail.replace(b"\\", b"")
    )


def test_a_fault_is_exactly_this() -> None:
    expected = (
        b'{"success":"false","errno":"811","reason":"Source file (\\/a\\/\\u017d) not exist"}'
    )
    assert expected == encode_fault(811, "Source file (/a/Ž) not exist")


_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=20)
#: Fragments of JSON in texts are what the search for rare points could mistake.
_TRICKY = st.lists(
    st.sampled_from(
        ["{}", '{"0":', '":', ",1.5", "[1e5", "\\", "u007f", "\x7f", "/", '"', "\\ud800", "é", "😀"]
    ),
    max_size=6,
).map("".join)
_SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | _TEXT | _TRICKY
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
_KEYS = st.one_of(_TEXT, _TRICKY, st.integers(0, 3).map(str))


def _nested(scalars: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        scalars,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
        max_leaves=12,
    )


def _with_lists(value: Any) -> Any:
    """The value as PHP has it: a dictionary that PHP takes for a list is one."""
    if isinstance(value, dict):
        if list(value) == [str(index) for index in range(len(value))]:
            return [_with_lists(item) for item in value.values()]
        return {key: _with_lists(item) for key, item in value.items()}
    return [_with_lists(item) for item in value] if isinstance(value, list) else value


#: A whole number beyond these has no point in PHP's JSON, so that Python reads another integer.
_SMALL_NUMBERS = st.floats(-(2.0**53), 2.0**53)


@given(_nested(_SCALARS | _SMALL_NUMBERS), st.booleans())
def test_the_same_value_is_read_back(value: Any, bare: bool) -> None:
    assert _with_lists(value) == json.loads(encode(value, bare_slashes=bare))


@given(st.text(alphabet=st.characters()))
def test_any_python_text_becomes_valid_json(text: str) -> None:
    valid = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    assert json.loads(encode([text])) == [valid]


def _php_literal(value: Any) -> str:
    """The value as PHP source in one line; texts are given by their bytes."""
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case int():
            return "PHP_INT_MIN" if value == -(2**63) else str(value)
        case float():
            return f"unserialize('d:{value!r};')"
        case str():
            return f'hex2bin("{value.encode().hex()}")'
        case list():
            return f"[{','.join(map(_php_literal, value))}]"
        case _:
            pairs = (f"{_php_literal(k)}=>{_php_literal(v)}" for k, v in value.items())
            return f"[{','.join(pairs)}]"


@pytest.fixture(scope="module")
def php_command() -> str:
    command = shutil.which("php")
    if command is None:
        unavailable("there is no php command (Debian package php-cli)")
    return command


def _php_encode(command: str, values: list[Any]) -> list[tuple[bytes, bytes]]:
    """What PHP makes of each value: by default, and with bare slashes."""
    done = subprocess.run(
        [command, "-n", "-d", "serialize_precision=-1", "-d", "display_errors=stderr", SCRIPT],
        input="".join(f"{_php_literal(value)}\n" for value in values).encode(),
        capture_output=True,
        check=False,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split(" ") for line in done.stdout.decode().splitlines()]
    return [(bytes.fromhex(default), bytes.fromhex(bare)) for default, bare in lines]


@pytest.mark.php
def test_php_writes_the_same_for_every_character(php_command: str) -> None:
    values = [chr(code) for code in range(0x10000) if not 0xD800 <= code < 0xE000]
    values += [chr(code) for code in range(0x10000, 0x110000, 997)]
    joined = ["".join(values[i : i + 64]) for i in range(0, len(values), 64)]
    expected = _php_encode(php_command, joined)
    assert expected == [(encode(text), encode(text, bare_slashes=True)) for text in joined]


@pytest.mark.php
def test_php_writes_the_same_for_floats_of_every_size(php_command: str) -> None:
    values: list[float] = [0.0, -0.0, math.pi, 1 / 3, 2.0**53, 2.0**53 + 2, 1e23, 5e-324]
    for exponent in range(-323, 309):
        values += [float(f"{digits}e{exponent}") for digits in ("1", "-1.5", "1.2345678901234567")]
    finite = [number for number in values if math.isfinite(number)]
    expected = _php_encode(php_command, finite)
    assert expected == [(encode(number), encode(number)) for number in finite]


@pytest.mark.php
@settings(max_examples=20, deadline=None)
@given(st.lists(_nested(_SCALARS | _NUMBERS), min_size=50, max_size=50))
def test_php_writes_the_same_for_nested_values(php_command: str, values: list[Any]) -> None:
    expected = _php_encode(php_command, values)
    assert expected == [(encode(value), encode(value, bare_slashes=True)) for value in values]

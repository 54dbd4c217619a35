"""`$_REQUEST`: the rules by hand, and the same requests through the real PHP."""

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings, strategies as st

from pbxapi.web.params import (
    MAX_NESTING,
    MAX_VARIABLES,
    Params,
    control_character_in,
    merge,
    parse_query,
    parse_urlencoded,
    read_query,
)
from tests.services.ports import LOOPBACK, Ports
from tests.services.processes import ChildProcess
from tests.services.requirements import unavailable
from tests.services.waiting import eventually_blocking

SCRIPTS = Path(__file__).resolve().parents[1] / "php"


def query(text: bytes | str) -> dict[str, str]:
    return dict(merge(parse_query(text)))


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", {}),
        (b"&&&", {}),
        (b"=1", {}),
        (b"action=listcalls&username=u", {"action": "listcalls", "username": "u"}),
        (b"a=1;b=2", {"a": "1;b=2"}),
        (b"a=1=2", {"a": "1=2"}),
        (b"a=1+2%2B3%20", {"a": "1 2+3 "}),
        (b"a=%zz%4%", {"a": "%zz%4%"}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a=1&A=2", {"a": "1", "A": "2"}),
        (b"a=1&a=", {}),
        (b"a=1&a", {}),
        (b"a=0", {"a": "0"}),
        (b"a[]=1", {}),
        (b"a=1&a[]=2", {}),
        (b"a[]=1&a=2", {"a": "2"}),
        (b"a[k][l]=1&b=2", {"b": "2"}),
        (b"a%5B%5D=1&a%5b=2", {"a_": "2"}),
        (b"+a.b+c=1", {"a_b_c": "1"}),
        (b"a[.b[ c=1", {"a__b__c": "1"}),
        (b"a]=1", {"a]": "1"}),
        (b"[a]=1&[=2", {}),
        (b"a%00b=1", {"a": "1"}),
        (b"%00a=1", {}),
        (b"a=1%002", {"a": "1\x002"}),
        (b"..Host-a=1&__Host-b=2&++__Secure-c=3", {"__Host-b": "2", "__Secure-c": "3"}),
        (b"..Secure-a=1&__Secure_a=2", {"__Secure_a": "2"}),
    ],
)
def test_a_query_is_read_as_php_reads_it(raw: bytes, expected: dict[str, str]) -> None:
    assert expected == query(raw)


def test_the_body_wins_over_the_query() -> None:
    assert merge(parse_query(b"a=1&b=1"), parse_urlencoded(b"a=2")) == {"a": "2", "b": "1"}


@pytest.mark.parametrize(
    ("body", "expected"), [(b"a[]=2", {}), (b"a=", {}), (b"a[=2", {"a": "1", "a_": "2"})]
)
def test_an_array_or_an_empty_value_in_the_body_hides_the_scalar_of_the_query(
    body: bytes, expected: dict[str, str]
) -> None:
    assert expected == merge(parse_query(b"a=1"), parse_urlencoded(body))


def test_a_scalar_in_the_body_hides_the_array_of_the_query() -> None:
    assert merge(parse_query(b"a[]=1"), parse_urlencoded(b"a=2")) == {"a": "2"}


def test_fields_of_a_form_are_mangled_but_not_decoded_again() -> None:
    assert merge([], [(b"a.b", b"1%20+")]) == {"a_b": "1%20+"}


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"n=%C5%BDi%C5%BEka", "Žižka"),
        (b"n=%8Ei%9Eka", "Žižka"),
        ("n=Žižka".encode(), "Žižka"),
        ("n=Žižka".encode("cp1250"), "Žižka"),
        ("n=Žižka", "Žižka"),
        (b"n=%81%83%88%90%98", "\x81\x83\x88\x90\x98"),
        (b"n=%F0%9F%98%80", "😀"),
        (b"n=%ED%A0%80", "í\xa0€"),
        ("n=\ud800", "?"),
        ("n=\udce9", "é"),
    ],
    ids=ascii,
)
def test_bytes_that_are_not_utf8_are_read_as_windows_1250(raw: bytes | str, expected: str) -> None:
    assert {"n": expected} == query(raw)


def test_each_value_has_its_own_encoding() -> None:
    assert query(b"a=%8E&b=%C5%BD") == {"a": "Ž", "b": "Ž"}


def test_a_query_is_read_up_to_the_thousandth_variable() -> None:
    raw = b"&".join(b"x%d=1" % i for i in range(MAX_VARIABLES - 1))
    assert "last" in query(raw + b"&&last=1")
    assert "last" not in query(raw + b"&x=1&last=1")


def test_a_body_is_read_one_variable_further_as_php_does() -> None:
    raw = b"&".join(b"x%d=1" % i for i in range(MAX_VARIABLES))
    assert "last" in merge([], parse_urlencoded(raw + b"&last=1"))
    assert "last" not in merge([], parse_urlencoded(raw + b"&&last=1"))


def test_too_many_indexes_take_the_variable_away() -> None:
    deepest = b"a" + b"[]" * MAX_NESTING
    assert query(b"a=1&" + deepest + b"[]=1&b=1") == {"b": "1"}
    assert query(deepest + b"[=1&a=2") == {"a": "2"}


@given(st.binary(), st.binary())
def test_no_bytes_are_refused(raw: bytes, body: bytes) -> None:
    params = merge(parse_query(raw), parse_urlencoded(body))
    assert all(params)
    assert all(params.values())
    assert control_character_in(params) in {None, *params}


@given(st.text("ab=&-_.[%+ 0\\").map(str.encode) | st.binary())
@example(b"&".join(b"x%d=1" % i for i in range(MAX_VARIABLES + 1)))
def test_the_short_way_of_plain_queries_ends_where_the_long_one_does(raw: bytes) -> None:
    assert read_query(raw) == merge(parse_query(raw))


@given(st.text(alphabet=st.characters()))
def test_no_text_is_refused(raw: str) -> None:
    assert all(query(raw).values())


def test_params_behave_as_a_mapping_that_cannot_be_changed() -> None:
    params = merge(parse_query(b"a=1&b=2"))
    assert (params["a"], params.get("c"), len(params), list(params)) == ("1", None, 2, ["a", "b"])
    assert "a" in params
    assert "c" not in params
    with pytest.raises(KeyError):
        params["c"]
    with pytest.raises(TypeError):
        params["a"] = "3"  # type: ignore[index]  # what must not be possible
    with pytest.raises(AttributeError):
        params.other = 1  # type: ignore[attr-defined]  # what must not be possible


def test_params_keep_a_copy() -> None:
    values = {"a": "1"}
    params = Params(values)
    values["a"] = "2"
    assert params == {"a": "1"}


def test_the_repr_of_params_has_no_values() -> None:
    assert repr(merge(parse_query(b"username=u&password=secretpwd"))) == (
        "Params('username', 'password')"
    )


@pytest.mark.parametrize("code", [*range(0x20), *range(0x7F, 0xA0)])
def test_every_control_character_is_found(code: int) -> None:
    assert control_character_in({"good": "Žižka 1/2", "bad": f"a{chr(code)}b"}) == "bad"
    assert control_character_in({f"na{chr(code)}me": "1"}) == f"na{chr(code)}me"


def test_the_first_control_character_is_named() -> None:
    assert control_character_in(merge(parse_query(b"a=1&b=%0d%0a&c=%00"))) == "b"


@pytest.mark.parametrize("value", ["", "Žižka", "\xa0\xad\u2028\u200b\ufffd😀", " ~"])
def test_other_characters_are_no_control_characters(value: str) -> None:
    assert control_character_in({"name": value}) is None


class PhpServer:
    """PHP's built-in web server with `request.php` behind every path."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(
        self,
        raw_query: bytes,
        body: bytes = b"",
        content_type: str = "application/x-www-form-urlencoded",
    ) -> dict[str, dict[bytes, bytes | None]]:
        """The superglobals of a POST request, by their names in lower case."""
        head = b"POST /?%b HTTP/1.0\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n"
        with socket.create_connection((LOOPBACK, self._port), timeout=10) as connection:
            connection.sendall(head % (raw_query, content_type.encode(), len(body)) + body)
            with connection.makefile("rb") as response:
                status, _, answer = response.read().partition(b"\r\n\r\n")
        assert status.startswith(b"HTTP/1.0 200 "), status
        superglobals = json.loads(answer)
        return {
            name: {bytes.fromhex(k): None if v is None else bytes.fromhex(v) for k, v in pairs}
            for name, pairs in superglobals.items()
        }

    def is_up(self) -> bool:
        try:
            self.ask(b"")
        except OSError:
            return False
        return True


#: As php.ini is delivered; the machine's own is not read.
_SETTINGS = ("-d", "request_order=GP", "-d", "display_errors=0")


@pytest.fixture(scope="module")
def php_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PhpServer]:
    command = shutil.which("php")
    if command is None:
        unavailable("there is no php command (Debian package php-cli)")
    folder = tmp_path_factory.mktemp("php")
    block = Ports()
    port = block.tcp()
    process = ChildProcess(
        [command, "-n", *_SETTINGS, "-S", f"{LOOPBACK}:{port}", SCRIPTS / "request.php"],
        cwd=folder,
        output=folder / "php.log",
    )
    server = PhpServer(port)
    try:
        eventually_blocking(server.is_up, within_s=10, what="PHP's web server answers")
        yield server
    finally:
        process.kill()
        block.close()


def as_text(variables: dict[bytes, bytes | None]) -> dict[str, str]:
    """What contract section 3 makes of the variables of PHP."""
    return {_text(name): _text(value) for name, value in variables.items() if value}


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "".join(bytes((b,)).decode("cp1250") if _defined(b) else chr(b) for b in raw)


def _defined(byte: int) -> bool:
    return byte not in {0x81, 0x83, 0x88, 0x90, 0x98}


#: What a query string or a body is made of where its syntax is at stake.
_PIECES = b"a|b|A|7|_|.|[|]|[]|[k]|+|%20|%|%5B|%5d|%00|%2|%zz|=|&|&&|=1&|=&|__Host-|;|%C3%A9"
_pieces = st.sampled_from(_PIECES.split(b"|"))
_any_byte = st.integers(0, 255).map(lambda byte: b"%%%02x" % byte)
_raw = st.lists(_pieces | _any_byte, max_size=25).map(b"".join)
#: PHP's web server wants ASCII without blanks in a request line; a body may hold anything.
_bodies = _raw | st.binary(max_size=40) | st.tuples(_raw, st.binary(max_size=5)).map(b"".join)


@pytest.mark.php
@settings(max_examples=400, deadline=None)
@given(_raw, _bodies)
@example(b"a=1&a[]=2&b[]=1&b=2&c=1", b"c[x]=1&a=3&d=4")
@example(b"[x]=1&[=2&]=3&a[b][c=4&d[e[f=5&g[ ]=6".replace(b" ", b"%09"), b" [x=1&a[ =2&b[\t]=3")
@example(b"%00=1&a%00[]=2&b[%00]=3&c[x%00=4", b"\x00=1&a\x00[]=2&b[\x00]=3&c=\x00d")
@example(b"..Host-a=1&+__Host-b=2&__Host-c=3&._Secure-d=4&[_Host-e=5&__Host-[]=6", b"..Host-[]=1")
@example(b"a=1&a" + b"[]" * 64 + b"=1", b"b=1&b" + b"[x]" * 65 + b"=1&c" + b"[]" * 64 + b"[=1")
@example(b"&".join(b"x%d=1" % i for i in range(1003)), b"&".join(b"y%d=1" % i for i in range(1003)))
@example(b"&&" + b"a&" * 998 + b"&&last=1&over=1", b"&&" + b"a&" * 998 + b"&&last=1&over=1&more=1")
@example(b"5=1&05=2&-0=3&0=4&0[]=5", b"0[1]=1&5[]=2&9223372036854775808=3")
def test_php_reads_the_same_variables(php_server: PhpServer, raw: bytes, body: bytes) -> None:
    answer = php_server.ask(raw, body)
    assert as_text(answer["get"]) == merge(parse_query(raw))
    assert as_text(answer["post"]) == merge([], parse_urlencoded(body))
    assert as_text(answer["request"]) == merge(parse_query(raw), parse_urlencoded(body))


_field_names = st.lists(st.sampled_from([b"a", b"b.", b" ", b"[", b"]", b"[k]", b"%41", b"+"]))
_fields = st.tuples(_field_names.map(b"".join), st.binary(max_size=10))


@pytest.mark.php
@settings(max_examples=150, deadline=None)
@given(_raw, st.lists(_fields, max_size=6))
def test_php_reads_the_same_fields_of_a_multipart_form(
    php_server: PhpServer, raw: bytes, fields: list[tuple[bytes, bytes]]
) -> None:
    boundary = b"pbxapi-test-boundary"
    part = b'--%b\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    body = b"".join(part % (boundary, *field) for field in fields) + b"--%b--\r\n" % boundary
    answer = php_server.ask(raw, body, f"multipart/form-data; boundary={boundary.decode()}")
    assert as_text(answer["request"]) == merge(parse_query(raw), fields)

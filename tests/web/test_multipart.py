"""Forms as `multipart/form-data`: the rules by hand, and the same bodies through the real PHP."""

import pytest
from hypothesis import example, given, settings, strategies as st

from pbxapi.web.multipart import MAX_PARTS, boundary_of, parse_multipart
from pbxapi.web.params import MAX_VARIABLES, merge
from tests.web.test_params import PhpServer, as_text, php_server  # noqa: F401 - a fixture

FIELD = b'--B\r\nContent-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
FILE = b'--B\r\nContent-Disposition: form-data; name="%b"; filename="x.txt"\r\n\r\n%b\r\n'


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--B--\r\n"


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        (b"multipart/form-data; boundary=B", b"B"),
        (b'multipart/form-data; boundary="a; b"; charset=x', b"a; b"),
        (b"multipart/form-data; boundary=B; charset=x", b"B"),
        (b"multipart/form-data; boundary=B,C", b"B"),
        (b"multipart/form-data; BOUNDARY=B", b"B"),
        (b"multipart/form-data; charset=x; boundary = B", b" B"),
        (b"multipart/form-data", b""),
        (b"multipart/form-data; boundary", b""),
        (b'multipart/form-data; boundary="open', b""),
        (b"multipart/form-data; boundary=", b""),
    ],
)
def test_the_boundary_is_what_php_takes_for_it(header: bytes, boundary: bytes) -> None:
    assert boundary_of(header) == boundary


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (form(FIELD % (b"a", b"1"), FIELD % (b"b", b"")), [(b"a", b"1"), (b"b", b"")]),
        (form(FIELD % (b"a", b"\r\n--BB\r\n-")), [(b"a", b"")]),
        (form(FILE % (b"a", b"1"), FIELD % (b"b", b"2")), [(b"b", b"2")]),
        (b"before\r\n" + form(FIELD % (b"a", b"1")) + b"after", [(b"a", b"1")]),
        (form(FIELD % (b"a", b"1")).replace(b"\r\n", b"\n"), [(b"a", b"1")]),
        (FIELD % (b"a", b"1"), [(b"a", b"1")]),
        ((FIELD % (b"a", b"1")) + b"--", [(b"a", b"1")]),
        (FIELD[:-2] % (b"a", b"no end"), [(b"a", b"no end")]),
        (b"--B\r\nContent-Disposition: form-data; name=a", []),
        (b"--B\r\n\r\n1\r\n" + form(FIELD % (b"a", b"1")), [(b"a", b"1")]),
        (b"--B\r\nContent-Disposition: form-data\r\n\r\n1\r\n" + form(FIELD % (b"a", b"1")), []),
        (b"a=1&b=2", []),
        (b"", []),
    ],
)
def test_fields_are_found_as_php_finds_them(body: bytes, fields: list[tuple[bytes, bytes]]) -> None:
    assert parse_multipart(body, b"B") == fields


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b'form-data; name="a"', b"a"),
        (b"form-data; name=a", b"a"),
        (b"form-data; name='a b'", b"a b"),
        (b'form-data; name="a\\"b\\\\c\\d"', b'a"b\\c\\d'),
        (b'FORM-DATA;;NAME= "a" ', b"a"),
        (b"form-data; name=a b", b"a"),
        (b"form-data; name=a\\\\b", b"a\\b"),
        (b'form-data; name="a;b=c"', b"a;b=c"),
        (b'form-data; name="a"; name="b"', b"b"),
        (b'form-data; name="\xc5\xbe\x9e"', b"\xc5\xbe\x9e"),
        (b"form-data; name=", b""),
        (b'form-data; name="open', b"open"),
        (b'form-data; name=\r\n "a"', b"a"),
    ],
)
def test_a_name_is_unquoted_as_php_does_it(disposition: bytes, name: bytes) -> None:
    body = b"--B\r\nX: y\r\ncontent-disposition: %b\r\n\r\n1\r\n--B--" % disposition
    assert parse_multipart(body, b"B") == [(name, b"1")]


def test_no_more_fields_and_parts_are_read_than_php_reads() -> None:
    fields = [FIELD % (b"a%d" % number, b"1") for number in range(MAX_VARIABLES + 1)]
    assert len(parse_multipart(form(*fields), b"B")) == MAX_VARIABLES
    files = [FILE % (b"f", b"1")] * (MAX_PARTS - 1)
    assert len(parse_multipart(form(*files, FIELD % (b"a", b"1")), b"B")) == 1
    assert parse_multipart(form(*files, FILE % (b"f", b""), FIELD % (b"a", b"1")), b"B") == []


_PIECES = (
    b'--B|--B--|\r\n|\n|\r|\r\n\r\n|--|B|a|;| |=|"|\'|\\|:|name=|name="a"|filename=|filename="f"'
    b"|Content-Disposition: form-data; |Content-Disposition:|\x00|\xe9|\t|a=1|--BB"
)
_pieces = st.lists(st.sampled_from(_PIECES.split(b"|")), max_size=30).map(b"".join)
_parts = st.lists(
    st.one_of(
        st.tuples(st.just(b"--B\r\nContent-Disposition: "), _pieces, st.just(b"\r\n\r\n1\r\n")),
        st.tuples(st.just(b"--B\r\nContent-Disposition: form-data; name="), _pieces, _pieces),
        st.tuples(st.just(b'--B\r\nContent-Disposition: form-data; name="k"\r\n\r\n'), _pieces),
    ).map(b"".join),
    max_size=4,
).map(b"".join)


@pytest.mark.php
@settings(max_examples=400, deadline=None)
@given(_parts | _pieces, _pieces)
@example(form(*[FIELD % (b"a%d" % n, b"1") for n in range(MAX_VARIABLES + 2)]), b"")
@example(form(*[FILE % (b"f", b"1")] * (MAX_PARTS - 1), *[FIELD % (b"a", b"1")] * 2), b"")
@example(form(FIELD % (b"a", b"1"), FIELD % (b"_charset_", b"x" * 40), FIELD % (b"b", b"2")), b"")
@example(
    form(
        b"--B\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: base64\r\n"
        b"\r\nYQ==\r\n",
        b"--B\r\nContent-Type: multipart/mixed; boundary=C\r\n"
        b"Content-Disposition: form-data; name=b\r\n\r\n--C\r\n\r\n1\r\n--C--\r\n",
    ),
    b"",
)
def test_php_finds_the_same_fields(
    php_server: PhpServer,  # noqa: F811 - the fixture
    body: bytes,
    end: bytes,
) -> None:
    body += end
    answer = php_server.ask(b"", body, "multipart/form-data; boundary=B")
    assert merge([], parse_multipart(body, b"B")) == as_text(answer["post"])


@pytest.mark.php
@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=B",
        'multipart/form-data;boundary="B"',
        "Multipart/Form-Data; x=y; BOUNDARY=B; z",
        "multipart/form-data, boundary=B,",
        "multipart/form-data boundary=B",
        "multipart/form-data; boundary= B",
        'multipart/form-data; boundary="B',
        "multipart/form-data",
    ],
)
def test_php_finds_the_same_boundary(
    php_server: PhpServer,  # noqa: F811 - the fixture
    content_type: str,
) -> None:
    body = form(FIELD % (b"a", b"1"))
    boundary = boundary_of(content_type.encode())
    fields = parse_multipart(body, boundary) if boundary else []
    assert merge([], fields) == as_text(php_server.ask(b"", body, content_type)["post"])

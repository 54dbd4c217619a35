"""Requests: what is sent to Asterisk, and what is refused."""

from urllib.parse import unquote

import pytest
from hypothesis import given, strategies as st

from pbxapi.ami.protocol import AmiProtocol
from pbxapi.ami.requests import (
    MAX_HEADERS,
    MAX_LINE_BYTES,
    PING,
    Request,
    UnsafeRequest,
    encode,
    hangup,
    login,
    login_md5,
    variables,
)

CONTROLS = [chr(code) for code in (*range(0x20), *range(0x7F, 0xA0))]


def with_header(name: str, value: str) -> Request:
    return Request("Originate", ((name, value),))


def test_an_action_is_crlf_lines_and_an_empty_line() -> None:
    request = Request("Originate", (("Channel", "SIP/a"), ("Variable", "A=1"), ("Variable", "B=2")))
    assert encode(request, "id-1") == (
        b"Action: Originate\r\nActionID: id-1\r\nChannel: SIP/a\r\n"
        b"Variable: A=1\r\nVariable: B=2\r\n\r\n"
    )


@pytest.mark.parametrize("character", CONTROLS, ids=lambda c: f"U+{ord(c):04X}")
@pytest.mark.parametrize("template", ["{}", "a{}b", "a{}"])
def test_control_characters_in_values_are_refused(character: str, template: str) -> None:
    value = template.format(character)
    with pytest.raises(UnsafeRequest, match="control character in Channel"):
        encode(with_header("Channel", value), "1")
    with pytest.raises(UnsafeRequest, match="control character in Action"):
        encode(Request(f"Ping{value}"), "1")
    with pytest.raises(UnsafeRequest, match="control character in ActionID"):
        encode(PING, value)


@pytest.mark.parametrize("name", ["", "A B", "A:", "A\r\nB", "A\n", "Ž", "1A", "A\x00"])
def test_odd_header_names_are_refused(name: str) -> None:
    with pytest.raises(UnsafeRequest, match="header name"):
        encode(with_header(name, "x"), "1")


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnsafeRequest):
        encode(with_header("Channel", "\ud800"), "1")
    with pytest.raises(UnsafeRequest):
        variables([("A", "\ud800")])


@pytest.mark.parametrize("letter", ["x", "ž", "日", "😀"])
def test_a_line_may_have_1024_bytes_of_utf8_and_not_one_more(letter: str) -> None:
    room = MAX_LINE_BYTES - len(b"Channel: \r\n")
    count, padding = divmod(room, len(letter.encode()))
    value = letter * count + "x" * padding
    line = encode(with_header("Channel", value), "1").split(b"\r\n")[2]
    assert len(line) + 2 == MAX_LINE_BYTES == 1024
    with pytest.raises(UnsafeRequest, match="Channel of 1025 bytes"):
        encode(with_header("Channel", value + "x"), "1")


def test_an_action_may_have_128_headers_and_not_one_more() -> None:
    headers = tuple(("Variable", f"V{index}=1") for index in range(MAX_HEADERS - 2))
    assert encode(Request("Originate", headers), "1").count(b"\r\n") == MAX_HEADERS + 1 == 129
    with pytest.raises(UnsafeRequest, match="129 headers"):
        encode(Request("Originate", (*headers, ("Async", "true"))), "1")


@given(st.lists(st.text(max_size=30), max_size=5))
def test_what_is_encoded_arrives_as_the_headers_that_were_meant(values: list[str]) -> None:
    request = Request("X", tuple(("Value", value) for value in values))
    try:
        data = encode(request, "id")
    except UnsafeRequest:
        return
    [message] = AmiProtocol().receive_data(b"Call Manager\r\n" + data)
    assert message.all("Value") == values
    assert data.count(b"\r\n") == data.count(b"\n") == len(values) + 3


# -- variables


HOSTILE = [
    "a,b=c",
    '"quoted"',
    "${SHELL(id)}",
    "x)",
    "back\\slash",
    "100%",
    "%2C",
    "řádek: ž 😀",
    "a\r\nAction: Command",
    "\x00",
    "a;b&c|d",
    " + ",
    "",
]


@pytest.mark.parametrize("value", HOSTILE)
def test_a_variable_holds_nothing_that_asterisk_would_read_as_syntax(value: str) -> None:
    [(header, text)] = variables([("__NAME", value)])
    assert header == "Variable"
    name, _, encoded = text.partition("=")
    assert name == "__NAME"
    assert unquote(encoded) == value
    assert not set(encoded) & set(" ,\"'\\()${}=;&|\r\n\x00")
    assert encode(Request("Originate", ((header, text),)), "1").isascii()


@given(st.text(st.characters(codec="utf-8")))
def test_any_text_comes_back_out_of_a_variable(value: str) -> None:
    [(_, text)] = variables([("A", value)])
    assert text.isascii()
    assert unquote(text.removeprefix("A="), errors="strict") == value


def test_variables_keep_their_order_and_repetitions() -> None:
    assert variables([("B", "1"), ("A", "2"), ("B", "3")]) == (
        ("Variable", "B=1"),
        ("Variable", "A=2"),
        ("Variable", "B=3"),
    )


# -- login and hangup


def test_the_key_for_a_challenge_is_the_one_that_asterisk_accepted() -> None:
    """Challenge and key of the recording 16/login-md5; the secret is that of its test server."""
    request = login_md5("lab", "labsecret", "24451569")
    assert dict(request.headers)["Key"] == "94e304cad3b2d5077982fd013635a98f"
    assert dict(request.headers)["AuthType"] == "MD5"
    assert b"labsecret" not in encode(request, "1")


def test_a_secret_of_any_letters_makes_a_key() -> None:
    assert len(dict(login_md5("lab", "žluť😀", "1").headers)["Key"]) == 32


def test_both_logins_ask_for_events() -> None:
    assert ("Events", "on") in login("lab", "x").headers
    assert ("Events", "on") in login_md5("lab", "x", "1").headers


def test_hangup_is_for_one_channel_by_its_name() -> None:
    assert hangup("SIP/1000-0000000a") == Request("Hangup", (("Channel", "SIP/1000-0000000a"),))


@pytest.mark.parametrize("pattern", ["/.*/", "/^SIP/", "//", "/", " /.*/", "  x"])
def test_hangup_refuses_what_asterisk_takes_for_a_pattern(pattern: str) -> None:
    with pytest.raises(UnsafeRequest, match="pattern"):
        hangup(pattern)

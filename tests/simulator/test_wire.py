"""Cutting actions out of bytes, as Asterisk does it."""

import pytest
from hypothesis import given, strategies as st

from pbxapi.simulator.wire import LINE_TOO_LONG, TOO_MANY_LINES, Action, ActionReader


def read(data: bytes) -> list[Action]:
    return ActionReader().feed(data)


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_lines_end_with_crlf_or_lf(end: bytes) -> None:
    (action,) = read(b"ACTION:Ping" + end + b"actionid:  7" + end + end)
    assert (action.name, action.action_id, action.complaint) == ("Ping", "7", "")


def test_the_first_header_of_a_name_counts_but_an_empty_action_is_passed_over() -> None:
    (action,) = read(b"Action: \r\nAction: Ping\r\nX: 1\r\nX: 2\r\n\r\n")
    assert (action.name, action.get("x"), action.all("X")) == ("Ping", "1", ["1", "2"])


@pytest.mark.parametrize(("size", "fits"), [(1024, True), (1026, False)])
def test_a_line_with_its_end_has_1024_bytes_at_most(size: int, fits: bool) -> None:
    line = b"X: ".ljust(size - 2, b"x") + b"\r\n"
    (action,) = read(b"Action: Ping\r\nActionID: 1\r\n" + line + b"\r\n")
    assert action.complaint == ("" if fits else LINE_TOO_LONG)
    assert action.action_id == "1"


def test_a_line_cut_between_cr_and_lf_ends_its_action_early() -> None:
    """The buffer is full at the CR, which is kept; with the LF it makes an empty line."""
    first, second = read(b"X: ".ljust(1023, b"x") + b"\r\n" + b"Action: Ping\r\n\r\n")
    assert (first.complaint, second.name) == (LINE_TOO_LONG, "Ping")


def test_a_long_line_spoils_its_own_action_alone() -> None:
    first, second = read(b"ActionID: " + b"x" * 5000 + b"\r\n\r\nAction: Ping\r\n\r\n")
    assert (first.complaint, first.action_id) == (LINE_TOO_LONG, "")
    assert (second.name, second.complaint) == ("Ping", "")


@pytest.mark.parametrize(("count", "complaint"), [(128, ""), (129, TOO_MANY_LINES)])
def test_an_action_has_128_headers_at_most(count: int, complaint: str) -> None:
    (action,) = read(b"X: y\r\n" * count + b"\r\n")
    assert action.complaint == complaint


def test_bytes_that_are_no_utf8_survive() -> None:
    (action,) = read(b"Action: Ping\r\nX: \xe9\r\n\r\n")
    assert action.get("X").encode("utf-8", "surrogateescape") == b"\xe9"


@given(st.lists(st.integers(1, 60)))
def test_it_does_not_matter_how_the_bytes_are_cut(cuts: list[int]) -> None:
    stream = b"Action: A\r\nX: 1\r\n\r\nAction: B\n\n" + b"y" * 1500 + b"\r\n\r\nAction: C\r\n\r\n"
    reader, actions, at = ActionReader(), [], 0
    for cut in cuts:
        actions += reader.feed(stream[at : at + cut])
        at += cut
    actions += reader.feed(stream[at:])
    assert actions == read(stream)
    assert b"".join(action.raw for action in actions) == stream

"""Request lines with raw bytes: the same requests arrive whatever way the stream is cut."""

from itertools import accumulate, pairwise

import pytest
from hypothesis import given, strategies as st

from pbxapi.web import request_line
from pbxapi.web.request_line import RequestLines

RAW = b"GET /x?name=\x9elu\xbb HTTP/1.1\r\n"
ENCODED = b"GET /x?name=%9Elu%BB HTTP/1.1\r\n"
HOST = b"Host: \xe8 x\r\n\r\n"


def test_bytes_beyond_ascii_are_percent_encoded_in_the_request_line_alone() -> None:
    body = b"a=\x9e\r\n\r\n" + RAW
    head = b"Content-Type: \x9e\r\nContent-Length: %d\r\n\r\n" % len(body)
    assert RequestLines().feed(RAW + head + body) == ENCODED + head + body


def test_further_requests_of_a_connection_are_encoded_too() -> None:
    lines = RequestLines()
    post = b"POST /\xe8 HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    assert lines.feed(RAW + HOST) == ENCODED + HOST
    assert lines.feed(b"\r\n" + post + b"\xe8=\xe9" + RAW) == (
        b"\r\n" + post.replace(b"\xe8", b"%E8", 1) + b"\xe8=\xe9" + ENCODED
    )
    assert lines.feed(HOST + RAW) == HOST + ENCODED


@pytest.mark.parametrize(
    "header",
    [
        b"Transfer-Encoding: chunked",
        b"transfer-encoding:identity",
        b"Content-Length: 1\r\nContent-Length: 1",
        b"Content-Length: 1\r\nTransfer-Encoding: chunked",
        b"Content-Length: -1",
        b"Content-Length: 1, 1",
        b"Content-Length:",
        b"Upgrade: websocket",
    ],
)
def test_after_anything_that_is_not_simple_nothing_is_touched(header: bytes) -> None:
    """A length that we took for another than the parser does would be request smuggling."""
    lines = RequestLines()
    first = b"POST /x HTTP/1.1\r\n" + header + b"\r\n\r\n"
    assert lines.feed(first + b"\x9e" + RAW) == first + b"\x9e" + RAW
    assert lines.feed(RAW) == RAW
    assert not lines.owes_head
    assert not lines.is_followed
    assert lines.unfinished_bytes == len(first + b"\x9e" + RAW + RAW), "nobody knows where it ends"


def test_a_tunnel_is_none_of_our_business() -> None:
    stream = b"CONNECT x:80 HTTP/1.1\r\n\r\n" + RAW
    assert RequestLines().feed(stream) == stream


def test_a_head_without_end_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_line, "MAX_HEAD_BYTES", 1000)
    lines = RequestLines()
    lines.feed(b"GET / HTTP/1.1\r\n" + b"x" * 1000)
    assert lines.feed(b"\r\n\r\n" + RAW) == b"\r\n\r\n" + RAW


def test_a_head_is_owed_until_it_is_complete() -> None:
    lines = RequestLines()
    assert lines.owes_head
    for part, owes in (
        (b"\r\n", True),
        (RAW, True),
        (HOST, False),
        (b"POST / HTTP/1.1\r\n", True),
        (b"Content-Length: 1\r\n\r", True),
        (b"\n", False),
        (b"x", False),
        (b"G", True),
    ):
        lines.feed(part)
        assert lines.owes_head == owes, part


_targets = st.binary(max_size=12).map(lambda raw: raw.translate(None, b" \r\n"))
_bodies = st.none() | st.sampled_from([b"", RAW, RAW + HOST, b"\r\n\r\n"]) | st.binary(max_size=30)


def _request(target: bytes, body: bytes | None) -> tuple[bytes, bytes]:
    """A request as it comes, and as the parser should get it."""
    rest = b" HTTP/1.1\r\nX: \xe9\r\n"
    if body is not None:
        rest += b"content-LENGTH: %d\r\n" % len(body)
    rest += b"\r\n" + (body or b"")
    encoded = b"".join(b"%%%02X" % b if b > 0x7F else bytes((b,)) for b in target)
    return b"GET /" + target + rest, b"GET /" + encoded + rest


@given(st.lists(st.builds(_request, _targets, _bodies), max_size=4), st.data())
def test_any_cut_of_the_stream_gives_the_same(
    requests: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(raw for raw, _ in requests)
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    lines = RequestLines()
    fed = [lines.feed(stream[a:b]) for a, b in pairwise([0, *cuts, len(stream)])]
    assert b"".join(fed) == b"".join(encoded for _, encoded in requests)


@given(st.lists(st.builds(_request, _targets, _bodies), max_size=4), st.data())
def test_what_has_come_of_an_unfinished_request_is_counted(
    requests: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(raw for raw, _ in requests)
    ends = list(accumulate((len(raw) for raw, _ in requests), initial=0))
    cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=10).map(sorted))
    lines = RequestLines()
    for a, b in pairwise([0, *cuts, len(stream)]):
        lines.feed(stream[a:b])
        assert lines.unfinished_bytes == b - max(end for end in ends if end <= b)

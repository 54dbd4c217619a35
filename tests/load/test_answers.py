"""What an answer is worth, told with the encoders of the daemon itself."""

import pytest

from pbxapi.load.answers import errno_of, failure_in
from pbxapi.web.encoding import Json, encode_bare_success, encode_fault, encode_success

ROWS: dict[str, Json] = {"total": "1", "results": [{"channelName": "SIP/a-1"}]}


@pytest.mark.parametrize(
    ("status", "body", "failure"),
    [
        (200, encode_success(), ""),
        (200, encode_success(ROWS, bare_slashes=True), ""),
        (200, encode_bare_success({"results": []}), ""),
        (200, encode_success(ROWS)[:-1], "not json"),
        (200, encode_bare_success({"results": []})[1:], "not json"),
        (200, encode_fault(900, "PBX is not available"), "errno 900"),
        (200, b"<html>", "not json"),
        (200, b'"success"', "not json"),
        (200, b'{"other":1}', "not json"),
        (200, b"\xff", "not json"),
        (200, b"", "not json"),
        (502, encode_success(), "http 502"),
    ],
)
def test_failures(status: int, body: bytes, failure: str) -> None:
    assert failure_in(status, body) == failure


def test_codes() -> None:
    assert errno_of(encode_fault(120, "x")) == "120"
    assert errno_of(encode_success()) == ""
    assert errno_of(b"[]") is None

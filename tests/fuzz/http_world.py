"""What reads a request before an action sees it; the first byte of an input says which part."""

from pbxapi.actions import ACTIONS
from pbxapi.actions.values import check_lengths
from pbxapi.faults import Fault
from pbxapi.web.encoding import encode_fault, encode_success
from pbxapi.web.multipart import boundary_of, parse_multipart
from pbxapi.web.params import (
    Pairs,
    control_character_in,
    merge,
    parse_query,
    parse_urlencoded,
)
from pbxapi.web.request_line import RequestLines
from tests.fuzz.running import pieces


def exercise(data: bytes) -> None:
    """Raises what ought not to rise."""
    kind, data = data[:1], data[1:]
    if kind == b"\x03":
        _request_lines(data)
        return
    _parameters(_pairs(kind, data))


def _pairs(kind: bytes, data: bytes) -> Pairs:
    if kind == b"\x00":
        return parse_query(data)
    if kind == b"\x01":
        return parse_urlencoded(data)
    content_type, _, body = data.partition(b"\n")
    boundary = boundary_of(content_type)
    return parse_multipart(body, boundary) if boundary else []


def _parameters(pairs: Pairs) -> None:
    params = merge(pairs, pairs)
    assert all(params.values()), "an empty value counts as absent"
    control_character_in(params)
    for action in ACTIONS.values():
        action.is_complete(params)
        try:
            check_lengths(params, action.parameters)
        except Fault as fault:
            encode_fault(fault.code, fault.reason).decode("ascii")
    encode_success(dict(params)).decode("ascii")


def _request_lines(data: bytes) -> None:
    whole = RequestLines().feed(data)
    lines = RequestLines()
    assert b"".join(map(lines.feed, pieces(data))) == whole
    assert len(whole) <= 3 * len(data)
    if data.isascii():
        assert whole == data

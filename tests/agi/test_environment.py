"""The environment block: recorded ones, cut anywhere, forged, endless."""

import pytest

from pbxapi.agi.environment import (
    MAX_ENVIRONMENT_BYTES,
    MAX_ENVIRONMENT_LINES,
    EnvironmentReader,
    NotAnEnvironment,
    script_name,
)
from tests.agi.asterisk_side import CAPTURES


def recorded(version: str, name: str) -> bytes:
    return (CAPTURES / version / f"agi-{name}.raw").read_bytes()


@pytest.mark.parametrize("version", ["16", "22"])
def test_a_recorded_environment_is_read(version: str) -> None:
    reader = EnvironmentReader()
    assert reader.feed(recorded(version, "incoming"))
    assert reader.values["agi_channel"].startswith(("SIP/Linka_1005-", "PJSIP/Linka_1005-"))
    assert reader.values["agi_request"] == "agi://127.0.0.1:14573/incoming?dialplan=1&note=a%20b"
    assert reader.values["agi_arg_1"] == "arg one"
    assert reader.values["agi_arg_2"] == "arg2"
    assert len(reader.values) == 24
    assert reader.rest.startswith(b"200 result=1\n")


@pytest.mark.parametrize("version", ["16", "22"])
def test_the_script_is_the_path_without_its_query(version: str) -> None:
    reader = EnvironmentReader()
    reader.feed(recorded(version, "incoming"))
    assert script_name(reader.values) == "incoming"
    assert script_name({"agi_network_script": "/cdr"}) == "cdr"
    assert script_name({}) == ""


@pytest.mark.parametrize("version", ["16", "22"])
def test_a_cut_anywhere_makes_no_difference(version: str) -> None:
    block, empty_line, _ = recorded(version, "connected").partition(b"\n\n")
    stream = block + empty_line
    whole = EnvironmentReader()
    assert whole.feed(stream)
    for cut in range(len(stream)):
        reader = EnvironmentReader()
        assert not reader.feed(stream[:cut])
        assert reader.feed(stream[cut:] + b"HANGUP\n")
        assert reader.values == whole.values
        assert reader.rest == b"HANGUP\n"


def test_byte_by_byte_is_the_same() -> None:
    stream = recorded("22", "connected").partition(b"\n\n")[0] + b"\n\n"
    reader = EnvironmentReader()
    done = [reader.feed(stream[n : n + 1]) for n in range(len(stream))]
    assert done.index(True) == len(stream) - 1
    assert len(reader.values) == 22


def test_the_first_occurrence_of_a_key_wins() -> None:
    reader = EnvironmentReader()
    assert reader.feed(b"agi_channel: SIP/a-1\nagi_calleridname: x\nagi_channel: SIP/b-2\n\n")
    assert reader.values["agi_channel"] == "SIP/a-1"


def test_bytes_that_are_not_utf8_are_replaced() -> None:
    reader = EnvironmentReader()
    assert reader.feed(b"agi_calleridname: Nov\xe1k \xc5\xbe\r\n\r\n")
    assert reader.values == {"agi_calleridname": "Nov\ufffdk ž"}


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x16\x03\x01\x00\xee\n",
        b"agi_x\n",
        b": x\n",
        b"agi_" + b"k" * 61 + b": x\n",
        b"AGI_X: y\n",
        b"200 result=1\n",
    ],
)
def test_a_line_of_another_protocol_is_refused_at_once(line: bytes) -> None:
    with pytest.raises(NotAnEnvironment):
        EnvironmentReader().feed(line)


def test_an_endless_line_is_refused() -> None:
    reader = EnvironmentReader()
    for _ in range(MAX_ENVIRONMENT_BYTES // 1024):
        assert not reader.feed(b"x" * 1024)
    with pytest.raises(NotAnEnvironment):
        reader.feed(b"x")


def test_endless_lines_are_refused() -> None:
    reader = EnvironmentReader()
    for _ in range(MAX_ENVIRONMENT_LINES):
        assert not reader.feed(b"agi_arg_1: x\n")
    with pytest.raises(NotAnEnvironment):
        reader.feed(b"agi_arg_1: x\n")

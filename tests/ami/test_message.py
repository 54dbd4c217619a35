"""Message: header lines to values."""

import pytest
from hypothesis import given, strategies as st

from pbxapi.ami.message import Event, Message
from pbxapi.ami.protocol import AmiProtocol
from tests.services import captures

SNAPSHOT = (
    "Channel",
    "ChannelStateDesc",
    "CallerIDNum",
    "ConnectedLineNum",
    "AccountCode",
    "Context",
    "Exten",
    "Uniqueid",
    "Linkedid",
)


def test_headers_keep_their_spelling_and_order() -> None:
    message = Message(b"Event: Hangup\r\nCause-txt: Normal Clearing\r\nChanVariable(SIP/a): x")
    assert list(message.fields) == ["Event", "Cause-txt", "ChanVariable(SIP/a)"]


def test_a_value_is_split_off_at_the_first_colon_only() -> None:
    assert Message(b"Message: a: b: c").get("Message") == "a: b: c"
    assert Message(b"URI:sip:1000@10.0.0.1:5060").get("URI") == "sip:1000@10.0.0.1:5060"


def test_an_empty_value_is_the_empty_string_with_and_without_its_blank() -> None:
    message = Message(b"Exten: \r\nContext:\r\nAccountCode: ")
    assert message.fields == {"Exten": "", "Context": "", "AccountCode": ""}


def test_a_repeated_header_gives_its_first_value_and_all_of_them() -> None:
    """What comes later may be text that a caller controls."""
    message = Message(
        b"Event: X\r\nChanVariable: A=1\r\nUniqueid: 1.1\r\nChanVariable: Uniqueid: 2"
    )
    assert message.get("ChanVariable") == "A=1"
    assert message.all("ChanVariable") == ["A=1", "Uniqueid: 2"]
    assert message.get("Uniqueid") == "1.1"


def test_output_lines_come_in_order_with_their_empty_lines_and_indents() -> None:
    message = Message(
        b"Response: Success\r\nOutput: Name  Status\r\nOutput: \r\nOutput:   a: OK\r\nOutput:"
    )
    assert message.all("Output") == ["Name  Status", "", "  a: OK", ""]


def test_all_does_not_take_headers_that_only_begin_alike() -> None:
    message = Message(b"Channel: a\r\nChannelState: 6\r\nChannel: b")
    assert message.all("Channel") == ["a", "b"]


def test_an_absent_header_is_the_default() -> None:
    message = Message(b"Event: X")
    assert message.get("Exten") == ""
    assert message.get("Exten", "s") == "s"
    assert message.all("Exten") == []
    assert message.action_id == ""


def test_bytes_that_are_no_utf8_are_replaced_and_the_rest_is_kept() -> None:
    message = Message(b"CallerIDName: P\xf8\xedli\xb9\r\nCallerIDNum: 555")
    assert message.get("CallerIDName") == "P\ufffd\ufffdli\ufffd"
    assert message.get("CallerIDNum") == "555"


def test_utf8_is_decoded() -> None:
    assert Message("Name: Žluťoučký 日本 😀".encode()).get("Name") == "Žluťoučký 日本 😀"


def test_only_the_first_header_makes_an_event() -> None:
    """A value of a response may hold a line feed and text that looks like a header."""
    response = Message(b"Response: Success\r\nActionID: 7\r\nValue: a\r\nEvent: Hangup")
    assert response.event == ""
    assert Message(b"Event: Hangup\r\nUniqueid: 1").event == "Hangup"
    assert Message(b"Event:Hangup").event == "Hangup"


def test_repr_names_the_message_and_nothing_that_may_be_secret() -> None:
    message = Message(b"Event: X\r\nActionID: 7\r\nSecret: tajne")
    assert repr(message) == "<Message 'Event: X' ActionID='7'>"


@given(st.binary(max_size=200))
def test_no_frame_is_too_odd(frame: bytes) -> None:
    message = Message(frame)
    assert message.event == ("" if not frame.startswith(b"Event:") else message.get("Event"))
    assert message.get("no such header", "absent") == "absent"


def test_a_first_header_that_only_begins_like_an_event_names_none() -> None:
    """Found by fuzzing: "Event:a: b" is a header "Event:a"."""
    assert Message(b"Event:a: b").event == ""
    assert Message(b"Event:a").event == "a"


# -- what is read without taking all headers apart


@pytest.mark.parametrize("version", captures.VERSIONS)
def test_snapshots_of_recordings_say_what_the_headers_say(version: str) -> None:
    read = 0
    for name in captures.names(version):
        for message in AmiProtocol().receive_data(captures.read(version, name)):
            for prefix, snapshot in (("", message.snapshot), ("Dest", message.destination)):
                if snapshot is not None:
                    assert list(snapshot) == [message.fields[prefix + key] for key in SNAPSHOT]
                    read += 1
    assert read > 3000


odd_lines = st.lists(
    st.sampled_from(
        [f"{prefix}{key}: {value}" for prefix in ("", "Dest") for key in SNAPSHOT for value in "ab"]
        + [
            "Channel: a\nContext: evil",
            "Exten:a",
            "Context: a\r",
            "Linkedid:a: b",
            "Context",
            ": a",
        ]
    )
)
CHANNEL = (
    "Privilege: call,all\r\nChannel: SIP/a-1\r\nChannelState: 6\r\nChannelStateDesc: Up\r\n"
    "CallerIDNum: 1\r\nCallerIDName: A\r\nConnectedLineNum: 2\r\nConnectedLineName: B\r\n"
    "Language: en\r\nAccountCode: \r\nContext: c\r\nExten: 5\r\nPriority: 1\r\nUniqueid: 1.1\r\n"
    "Linkedid: 1.1\r\n"
).splitlines(keepends=True)


@given(st.integers(0, len(CHANNEL)), odd_lines, st.integers(0, len(CHANNEL)))
def test_what_is_read_at_once_is_what_the_headers_say(
    place: int, lines: list[str], skipped: int
) -> None:
    """With lines put in anywhere, and with one left out."""
    channel = [line for number, line in enumerate(CHANNEL) if number != skipped]
    text = "Event: X\r\n" + "".join(
        [*channel[:place], *(line + "\r\n" for line in lines), *channel[place:]]
    )
    fields = Message(text.removesuffix("\r\n").encode()).fields
    for key in (*SNAPSHOT, "Application"):
        event = Event(f"\r\n{text}\r\nContext: next", 2, "X")
        assert event.get(key, "absent") == fields.get(key, "absent")
    event = Event(f"\r\n{text}\r\nContext: next", 2, "X")
    if event.snapshot is not None:
        assert list(event.snapshot) == [fields[key] for key in SNAPSHOT]
    assert event.fields == fields
    assert event.uniqueid == fields.get("Uniqueid", "")

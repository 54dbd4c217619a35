"""AmiProtocol: bytes, however cut, to messages."""

import itertools
import re
from collections.abc import Collection, Iterable

import pytest
from hypothesis import given, strategies as st

from pbxapi.ami import protocol
from pbxapi.ami.message import Message
from pbxapi.ami.protocol import MAX_BANNER_BYTES, AmiProtocol, ProtocolError
from tests.services import captures

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
RECORDINGS = [(version, name) for version in captures.VERSIONS for name in captures.names(version)]
#: One of everything: UTF-8 of two to four bytes, empty values, repeated headers, Output.
STREAM = (
    BANNER
    + "Response: Success\r\nActionID: 1\r\nMessage: a: b\r\n\r\n"
    "Event: Newchannel\r\nCallerIDName: Žluťoučký 日本 😀\r\nExten: \r\n\r\n"
    "Response: Success\r\nOutput: x\r\nOutput: \r\nOutput: y\r\n\r\n"
    "Event: Hangup\nUniqueid: 1.1\n\n"
    "Event: Hangup\r\nUniqueid: 1.2\n\r\n"
    "Event: Hangup\r\nAccountCode: \r\n\r\n".encode()
)

Lines = list[str]


def decoded(chunks: Iterable[bytes]) -> list[Lines]:
    """The lines of all messages in the chunks."""
    reader = AmiProtocol()
    return [message._lines for chunk in chunks for message in reader.receive_data(chunk)]


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted(places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(borders)]


def test_a_stream_as_a_whole() -> None:
    assert decoded([STREAM]) == [
        ["Response: Success", "ActionID: 1", "Message: a: b"],
        ["Event: Newchannel", "CallerIDName: Žluťoučký 日本 😀", "Exten: "],
        ["Response: Success", "Output: x", "Output: ", "Output: y"],
        ["Event: Hangup", "Uniqueid: 1.1"],
        ["Event: Hangup", "Uniqueid: 1.2"],
        ["Event: Hangup", "AccountCode: "],
    ]


@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_lines_end_at_crlf_or_at_a_lone_lf(end: bytes) -> None:
    stream = BANNER + b"Event: A\r\nB: 1\r\n\r\nEvent: C\r\n\r\n"
    expected = [["Event: A", "B: 1"], ["Event: C"]]
    assert decoded([stream.replace(b"\r\n", end)]) == expected


@pytest.mark.parametrize("ends", list(itertools.product([b"\r\n", b"\n"], repeat=5)))
def test_line_ends_may_be_mixed(ends: tuple[bytes, ...]) -> None:
    lines = [BANNER.strip(), b"Event: A", b"B: 1", b"", b"Event: C"]
    stream = b"".join(line + end for line, end in zip(lines, ends, strict=True)) + b"\r\n"
    for place in range(len(stream)):
        assert decoded(cut(stream, [place])) == [["Event: A", "B: 1"], ["Event: C"]], place


def test_every_place_to_cut_gives_the_same_messages() -> None:
    whole = decoded([STREAM])
    for place in range(len(STREAM)):
        assert decoded(cut(STREAM, [place])) == whole, place


def test_byte_by_byte_gives_the_same_messages() -> None:
    assert decoded(cut(STREAM, range(1, len(STREAM)))) == decoded([STREAM])


header_text = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"), max_size=12)
messages = st.lists(st.lists(header_text.map("H: ".__add__), min_size=1, max_size=4), max_size=5)
line_ends = st.sampled_from(["\r\n", "\n"])


@given(messages, line_ends, st.data())
def test_any_chunking_of_any_stream_gives_the_same_messages(
    sent: list[Lines], end: str, data: st.DataObject
) -> None:
    text = "".join(line + end for lines in sent for line in [*lines, ""])
    stream = BANNER + text.encode()
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=12))
    assert decoded(cut(stream, places)) == sent


@given(st.binary(max_size=300), st.data())
def test_any_bytes_give_the_same_messages_however_they_are_cut(
    garbage: bytes, data: st.DataObject
) -> None:
    stream = BANNER + garbage.replace(b"\x00", b"\r\n")
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    assert decoded(cut(stream, places)) == decoded([stream])


@pytest.mark.parametrize("blank", [b"\r\n", b"\n", b"\r\n\r\n", b"\r\n\r\n\r\n"])
def test_empty_lines_between_messages_are_no_messages(blank: bytes) -> None:
    stream = BANNER + blank + b"Event: A\r\n\r\n" + blank + b"Event: B\r\n\r\n" + blank
    for place in range(len(stream)):
        assert decoded(cut(stream, [place])) == [["Event: A"], ["Event: B"]], place


def test_events_of_one_read_come_in_the_order_they_were_sent() -> None:
    stream = b"".join(b"Event: E%d\r\n\r\n" % number for number in range(50))
    received = AmiProtocol()
    received.receive_data(BANNER)
    assert [message.event for message in received.receive_data(stream)] == [
        f"E{number}" for number in range(50)
    ]


# -- what nobody wants


def test_unwanted_events_are_dropped() -> None:
    reader = AmiProtocol({"Hangup"})
    received = reader.receive_data(
        BANNER + b"Event: VarSet\r\nValue: 1\r\n\r\nEvent: Hangup\r\n\r\nEvent: Hangups\r\n\r\n"
    )
    assert [message._lines for message in received] == [["Event: Hangup"]]
    assert reader.skipped == 2


def test_what_answers_something_is_never_dropped() -> None:
    reader = AmiProtocol(())
    received = reader.receive_data(
        BANNER + b"Event: CoreShowChannel\r\nActionID: 7\r\nChannel: a\r\n\r\n"
        b"Event: QueueMember\r\nName: b\r\nActionID: 8\r\n\r\n"
        b"Response: Success\r\nActionID: 9\r\n\r\n"
    )
    assert [message.action_id for message in received] == ["7", "8", "9"]
    assert reader.skipped == 0


def test_an_actionid_whose_blank_was_trimmed_is_one() -> None:
    (message,) = AmiProtocol(()).receive_data(BANNER + b"Event: Hangup\r\nActionID:7\r\n\r\n")
    assert message.action_id == "7"


def test_an_actionid_inside_a_value_keeps_nothing() -> None:
    reader = AmiProtocol(())
    assert reader.receive_data(BANNER + b"Event: VarSet\r\nValue: ActionID: 7\r\n\r\n") == []
    assert reader.skipped == 1


def test_unwanted_events_are_counted_the_same_byte_by_byte() -> None:
    stream = BANNER + b"Event: VarSet\r\n\r\nEvent: Hangup\r\n\r\n\r\nEvent: VarSet\r\nA: b\r\n\r\n"
    reader = AmiProtocol({"Hangup"})
    received = [
        m for place in range(len(stream)) for m in reader.receive_data(stream[place : place + 1])
    ]
    assert [message.event for message in received] == ["Hangup"]
    assert reader.skipped == 2


# -- against a plain reader


def plainly(stream: bytes, wanted: Collection[str]) -> list[Lines]:
    """Messages as the protocol has them, line by line and without any hurry."""
    received: list[Lines] = []
    lines: Lines = []
    for line in re.split(rb"\r?\n", stream)[1:-1]:
        if line:
            lines.append(line.decode("utf-8", "replace"))
        elif lines:
            name = lines[0].removeprefix("Event:").removeprefix(" ")
            event = name if lines[0].startswith("Event:") else ""
            if event in wanted or any(line.startswith("ActionID:") for line in lines):
                received.append(lines)
            lines = []
    return received


WANTED = ("Hangup", "Newchannel", "Odd.Name")
line_texts = st.sampled_from(
    [b"Event: " + name for name in (b"Hangup", b"VarSet", b"Hangups", b"Odd.Name", b"OddxName")]
) | st.sampled_from(
    [
        *(b"Event:Newchannel", b"Event:  Hangup", b"Value: Event: Hangup", b"Response: Success"),
        *(b"ActionID: 7", b"ActionID:7", b"ActionID: ", b" ", b"Name", b"\r", b"Uniqueid: 1\r"),
        b"Name: \xc5\xbd\xc5",
    ]
)
odd_streams = st.lists(st.tuples(line_texts | st.just(b""), line_ends.map(str.encode))).map(
    lambda lines: b"".join(text + end for text, end in lines)
)
odd_bytes = st.lists(
    st.sampled_from([b"\r", b"\n", b"\r\n\r\n", b"Event: Hangup", b"ActionID: 1"]) | st.binary()
).map(b"".join)


@given(odd_streams | odd_bytes, st.data())
def test_whatever_comes_is_read_as_a_plain_reader_reads_it(
    sent: bytes, data: st.DataObject
) -> None:
    stream = BANNER + sent
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=6))
    reader = AmiProtocol(WANTED)
    received = [message for chunk in cut(stream, places) for message in reader.receive_data(chunk)]
    assert [message._lines for message in received] == plainly(stream, WANTED)
    for message in received:
        again = Message("\r\n".join(message._lines).encode())
        assert (message.event, message.action_id) == (again.event, again.action_id)


# -- the banner


def test_the_banner_may_come_byte_by_byte() -> None:
    reader = AmiProtocol()
    for place in range(len(BANNER)):
        assert reader.banner is None
        assert reader.receive_data(BANNER[place : place + 1]) == []
    assert reader.banner == "Asterisk Call Manager/11.0.0"


def test_the_banner_may_end_at_a_lone_lf() -> None:
    reader = AmiProtocol()
    assert len(reader.receive_data(b"Asterisk Call Manager/5.0.4\nEvent: A\n\n")) == 1
    assert reader.banner == "Asterisk Call Manager/5.0.4"


@pytest.mark.parametrize(
    "greeting",
    [b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"\r\n", b"\xff\xfe\n"],
)
def test_a_banner_of_something_else_is_refused(greeting: bytes) -> None:
    with pytest.raises(ProtocolError, match="not an AMI banner"):
        AmiProtocol().receive_data(greeting)


def test_a_banner_without_end_is_cut_off() -> None:
    reader = AmiProtocol()
    reader.receive_data(b"x" * MAX_BANNER_BYTES)
    with pytest.raises(ProtocolError, match="no AMI banner"):
        reader.receive_data(b"x")


# -- bounds


@pytest.mark.parametrize("piece", [b"x" * 100, b"Key: value\r\n", b"K: v\n"])
def test_a_line_or_message_without_end_is_cut_off(
    piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "MAX_MESSAGE_BYTES", 5000)
    reader = AmiProtocol()
    reader.receive_data(BANNER)
    for _ in range(5000 // (len(piece) + 1)):
        assert reader.receive_data(piece) == []
    with pytest.raises(ProtocolError, match="more than 5000 bytes"):
        reader.receive_data(piece * 200)


def test_many_messages_in_one_read_may_exceed_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_MESSAGE_BYTES", 500)
    assert len(decoded([BANNER + b"Event: A\r\n\r\n" * 200])) == 200


# -- recordings


def test_there_are_recordings_of_both_versions() -> None:
    assert {version for version, _ in RECORDINGS} == set(captures.VERSIONS)
    assert len(RECORDINGS) > 80


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
def test_recordings_of_asterisk_decode_to_the_same_whole_and_cut_within_every_message_end(
    version: str, name: str
) -> None:
    """Other cuts make no difference to a reader of ends; the streams above are cut there too."""
    stream = captures.read(version, name)
    whole = decoded([stream])
    pieces = re.split(rb"(\r)(\n)(\r)(\n)", stream)
    assert len(pieces) > len(whole)
    assert decoded(pieces) == whole
    assert all(lines[0].startswith(("Event: ", "Response: ")) for lines in whole)


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
def test_nothing_of_a_recording_is_lost(version: str, name: str) -> None:
    """Some texts of Asterisk end with a line feed of their own ("Park successful")."""
    stream = captures.read(version, name)
    text = stream.decode("utf-8", "replace").partition("\r\n")[2]
    expected = [line for line in text.replace("\r\n", "\n").split("\n") if line]
    assert [line for lines in decoded([stream]) for line in lines] == expected

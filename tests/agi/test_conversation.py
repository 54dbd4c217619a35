"""pyst2's AGI as we use it: exact words, every answer, every end, nothing left behind."""

import contextlib
import io
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from asterisk import agi
from hypothesis import given, strategies as st

from pbxapi.agi.conversation import (
    MAX_ANSWER_BYTES,
    MAX_COMMAND_BYTES,
    Conversation,
    NotPermitted,
    Unsendable,
    Wire,
    command_line,
    quote,
)
from tests.agi.asterisk_side import CAPTURES
from tests.agi.words import BUFFER, words

USAGE = (
    b"520-Invalid command syntax.  Proper usage follows:\n"
    b" Usage: SET VARIABLE <variablename> <value>\n\tSets a variable\n\n"
    b"520 End of proper usage.\n"
)


class Line:
    """A conversation and Asterisk's end of it."""

    def __init__(self, deadline_s: float = 5.0) -> None:
        self.ours, self.asterisk = socket.socketpair()
        wire = Wire(self.ours, time.monotonic() + deadline_s)
        self.conversation = Conversation(wire, {"agi_channel": "SIP/a-1"})

    def close(self) -> None:
        self.ours.close()
        self.asterisk.close()


@pytest.fixture
def line() -> Iterator[Line]:
    line = Line()
    yield line
    line.close()


def letters(**limits: int) -> st.SearchStrategy[str]:
    """Any text that can be in a value, the awkward ones more often."""
    awkward = st.sampled_from("\"'\\${}(),;| \tžščřŽ€😀%`")
    other = st.characters(exclude_characters="\r\n\x00", exclude_categories=["Cs"])
    return st.text(awkward | other, **limits)


@given(value=letters(max_size=255), name=letters(min_size=1, max_size=60))
def test_any_words_arrive_exactly(value: str, name: str) -> None:
    """255 characters of any kind fit, in 16's shorter buffer as well."""
    line = command_line("SET VARIABLE", quote(name), quote(value))
    assert [word.decode() for word in words(line)] == ["SET", "VARIABLE", name, value]
    assert line.endswith(b'"\n')
    assert line.count(b"\n") == 1


@pytest.mark.parametrize("letter", ['"', "\\", "ž", "😀"])
def test_the_longest_values_fit(letter: str) -> None:
    channel = "C" * 200
    line = command_line("SET VARIABLE", quote(f"SHARED(X,{channel})"), quote(letter * 255))
    assert words(line)[3].decode() == letter * 255


def test_numbers_are_quoted_as_well() -> None:
    assert quote(15) == '"15"'


@pytest.mark.parametrize("bad", ["\r", "\n", "\x00"])
def test_a_line_end_or_nul_never_reaches_the_wire(line: Line, bad: str) -> None:
    for name, value in ((f"a{bad}b", "x"), ("a", f"x{bad}SET VARIABLE b c")):
        with pytest.raises(Unsendable) as caught:
            line.conversation.set_variable(name, value)
        assert "SET" not in str(caught.value)
    with pytest.raises(Unsendable):
        line.conversation.execute(f"NOOP{bad}")
    line.ours.close()
    assert line.asterisk.recv(100) == b""


def test_a_command_never_overflows_the_buffer_of_asterisk(line: Line) -> None:
    """16 would run what is beyond it as another command."""
    assert MAX_COMMAND_BYTES == BUFFER - 1  # the terminator
    room = MAX_COMMAND_BYTES - len(command_line("SET VARIABLE", quote("a"), quote("")))
    assert len(command_line("SET VARIABLE", quote("a"), quote("x" * room))) == MAX_COMMAND_BYTES
    with pytest.raises(Unsendable):
        line.conversation.set_variable("a", "x" * (room + 1))
    line.ours.close()
    assert line.asterisk.recv(100) == b""


def test_half_a_character_is_replaced() -> None:
    assert command_line(quote("a\ud800b")) == b'"a?b"\n'


def test_a_command_is_one_write(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    writes: list[bytes] = []
    write = Wire.write

    def record(wire: Wire, data: bytes) -> None:
        writes.append(data)
        write(wire, data)

    monkeypatch.setattr(Wire, "write", record)
    line.asterisk.sendall(b"200 result=1\n")
    line.conversation.set_variable("a b", 'c "d"')
    assert writes == [b'SET VARIABLE "a b" "c \\"d\\""\n']
    assert line.asterisk.recv(100) == writes[0]


@pytest.mark.parametrize("before", [b"100 Trying\n", b"HANGUP\n", b"100 Trying\nHANGUP\n100 x\n"])
def test_notes_before_an_answer_are_no_answer(line: Line, before: bytes) -> None:
    line.asterisk.sendall(before + b"200 result=1\n")
    line.conversation.set_variable("a", "b")
    assert line.conversation.hung_up == (b"HANGUP" in before)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"200 result=-1\n", agi.AGIAppError),
        (b"200 result=1 (hangup)\n", agi.AGIResultHangup),
        (b"510 Invalid or unknown command\n", agi.AGIInvalidCommand),
        (b"511 Command Not Permitted on a dead channel or intercept routine\n", NotPermitted),
        (USAGE, agi.AGIUsageError),
        (b"520 Invalid command syntax.  Proper usage not available.\n", agi.AGIUsageError),
        (b"599 what\n", agi.AGIUnknownError),
        (b"garbage\n", agi.AGIUnknownError),
        (b"\n", agi.AGIUnknownError),
        (b"20\n", agi.AGIUnknownError),
        (b"\xff\xfe\n", agi.AGIUnknownError),
    ],
)
def test_every_answer_has_its_error(line: Line, answer: bytes, error: type[Exception]) -> None:
    line.asterisk.sendall(answer)
    with pytest.raises(error) as caught:
        line.conversation.set_variable("a", "value")
    assert caught.type is error
    assert "value" not in str(caught.value)


def test_the_answer_after_a_usage_is_that_of_the_next_command(line: Line) -> None:
    line.asterisk.sendall(USAGE + b"200 result=1\n")
    with pytest.raises(agi.AGIUsageError):
        line.conversation.set_variable("a", "b")
    line.conversation.set_variable("a", "b")


@pytest.mark.parametrize("version", ["16", "22"])
def test_recorded_answers_are_read(line: Line, version: str) -> None:
    recorded = (CAPTURES / version / "agi-connected.raw").read_bytes()
    line.asterisk.sendall(recorded.partition(b"\n\n")[2])
    line.conversation.set_variable("a", "b")
    assert line.conversation.get_variable("x") == "Local/1000@extensions-dialplanid-1"
    assert line.conversation.get_full_variable("y") == "Jan Novák"


@pytest.mark.parametrize("answer", [USAGE, b"HANGUP\n100 Trying\n200 result=1\n"])
def test_the_end_at_any_byte_is_a_hangup(answer: bytes) -> None:
    for cut in range(len(answer)):
        line = Line()
        line.asterisk.sendall(answer[:cut])
        line.asterisk.shutdown(socket.SHUT_WR)
        with pytest.raises(agi.AGIHangup):
            line.conversation.set_variable("a", "b")
        line.close()


def test_a_write_after_the_end_is_a_hangup(line: Line) -> None:
    line.asterisk.close()
    with pytest.raises(agi.AGIHangup):
        line.conversation.set_variable("a", "b")


@pytest.mark.parametrize("answer", [b"", b"HANGUP\n", USAGE[:-8], b"200 result"])
def test_a_stall_ends_at_the_deadline(answer: bytes) -> None:
    line = Line(deadline_s=0.05)
    line.asterisk.sendall(answer)
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        line.conversation.set_variable("a", "b")
    assert 0.04 < time.monotonic() - started < 2
    with pytest.raises(TimeoutError):
        line.conversation.set_variable("a", "b")
    line.close()


def test_a_reader_that_does_not_read_ends_at_the_deadline() -> None:
    line = Line(deadline_s=0.05)
    line.ours.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            line.ours.send(b"x" * 65536)
    with pytest.raises(TimeoutError):
        line.conversation.set_variable("a", "b")
    line.close()


@pytest.mark.parametrize("flood", [b"x", b"HANGUP\n", b"100 Trying\n"])
def test_endless_answers_end(line: Line, flood: bytes) -> None:
    """Bounded in bytes, long before the deadline."""

    def pour() -> None:
        with contextlib.suppress(OSError):
            while True:
                line.asterisk.sendall(flood * 1000)

    pouring = threading.Thread(target=pour)
    pouring.start()
    with pytest.raises(agi.AGIUnknownError):
        line.conversation.set_variable("a", "b")
    assert line.conversation.stdin._bytes < MAX_ANSWER_BYTES + 10_000
    line.ours.close()
    pouring.join()


def test_signal_handlers_and_standard_error_are_left_alone(
    line: Line, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    before = {number: signal.getsignal(number) for number in numbers}
    monkeypatch.setattr(sys, "stderr", written := io.StringIO())
    line.asterisk.sendall(b"200 result=1\n")
    line.conversation.set_variable("a", "b")
    assert {number: signal.getsignal(number) for number in numbers} == before
    assert written.getvalue() == ""
    assert capfd.readouterr() == ("", "")


def test_importing_leaves_signal_handlers_and_standard_error_alone() -> None:
    code = """
import signal
before = [signal.getsignal(n) for n in sorted(signal.valid_signals())]
import pbxapi.agi.server
assert [signal.getsignal(n) for n in sorted(signal.valid_signals())] == before
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_what_is_inherited_ends_at_the_end_too(line: Line) -> None:
    """pyst2's own loops spin where `readline` returns ""; here it never does."""
    line.asterisk.sendall(b"agi_x: y\n")
    line.asterisk.shutdown(socket.SHUT_WR)
    with pytest.raises(agi.AGIHangup):
        line.conversation._get_agi_env()

"""One AGI conversation: pyst2's `AGI`, made fit for a daemon.

What its `AGI` offers is used as it is: `execute`, the commands, the errors. Mended here:

- No signal handler, and not a word on standard error: its `__init__` is not run.
- The end of the connection is its `AGIHangup`, wherever it comes; `readline` never returns "", on
  which its loops would spin.
- Every read and write has a deadline, after which `TimeoutError` rises, and a bound.
- Words are quoted so that Asterisk reads back what they were; a word that cannot be sent exactly
  (CR, LF, NUL, too long) is refused before anything of its command is sent.
- `511`, `100` and `HANGUP` lines and the one-line `520` are understood, UTF-8 both ways.

It blocks: for threads only. It never sends a command before it has the answer to the one before:
Asterisk waits for the socket but reads through a buffered FILE, so that a second command in its
buffer would lie there unseen.

`database_get` and its like are not mended: pyst2 quotes their words twice.

Source: asterisk res/res_agi.c run_agi(), agi_handle_command() and parse_args(), 16 to 22.
"""

import re
import socket
import time
from collections.abc import Mapping
from typing import Any, Final

from asterisk.agi import (
    AGI,
    AGIAppError,
    AGIError,
    AGIHangup,
    AGIInvalidCommand,
    AGIResultHangup,
    AGIUnknownError,
    AGIUsageError,
    re_kv,
)

#: Asterisk 16 reads a command into 2,048 bytes with its terminator (AGI_BUF_LEN; 8,192 in 22) and
#: would run what is beyond them as a command of its own.
MAX_COMMAND_BYTES: Final = 2_047
#: An answer to a command of ours has 13 bytes; the usage of one, under 2 kB.
MAX_ANSWER_BYTES: Final = 65_536
_READ_BYTES: Final = 4_096

_UNSENDABLE: Final = re.compile(r"[\r\n\x00]")
_REPLY: Final = re.compile(r"([0-9]{3})([ -])(.*)", re.DOTALL)


class Unsendable(AGIError):  # type: ignore[misc] # pyst2 has no types
    """Words that no AGI command can carry exactly; the text never shows them."""


class NotPermitted(AGIError):  # type: ignore[misc] # pyst2 has no types
    """511: this command cannot be used on a channel that is hung up."""


def quote(word: object) -> str:
    r"""The word in quotes, `"` and `\` escaped: Asterisk reads exactly the word."""
    text = str(word).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def command_line(*words: object) -> bytes:
    """The words as one line for Asterisk; they are quoted already where they have to be.

    Raises:
        Unsendable: they would not be one command.
    """
    text = " ".join(map(str, words))
    if _UNSENDABLE.search(text):
        raise Unsendable("a command has a line end or NUL in it")
    line = text.encode(errors="replace") + b"\n"
    if len(line) > MAX_COMMAND_BYTES:
        raise Unsendable(f"a command has more than {MAX_COMMAND_BYTES} bytes")
    return line


class Wire:
    """The socket as the two files that `Conversation` reads and writes.

    Args:
        sock: The connection; its timeout is changed at will.
        deadline: When everything must be over, on the clock `time.monotonic`.
        received: What was read of it already.
    """

    def __init__(self, sock: socket.socket, deadline: float, received: bytes = b"") -> None:
        self._sock = sock
        self._deadline = deadline
        self._buffer = received
        self._bytes = len(received)

    def readline(self) -> str:
        """The next line without its end.

        Raises:
            AGIHangup: the connection ended.
            AGIUnknownError: there is no end to what comes.
            TimeoutError: the deadline passed.
        """
        while b"\n" not in self._buffer:
            self._buffer += self._receive()
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.decode(errors="replace").removesuffix("\r")

    def write(self, line: bytes) -> None:
        """Send the whole line.

        Raises:
            AGIHangup: the connection ended.
            TimeoutError: the deadline passed.
        """
        self._set_timeout()
        try:
            self._sock.sendall(line)
        except ConnectionError as error:
            raise AGIHangup("the connection ended") from error

    def _receive(self) -> bytes:
        if self._bytes > MAX_ANSWER_BYTES:
            raise AGIUnknownError("there is no end to the answers")
        self._set_timeout()
        try:
            data = self._sock.recv(_READ_BYTES)
        except ConnectionError as error:
            raise AGIHangup("the connection ended") from error
        if not data:
            raise AGIHangup("the connection ended")
        self._bytes += len(data)
        return data

    def _set_timeout(self) -> None:
        left_s = self._deadline - time.monotonic()
        if left_s <= 0:
            raise TimeoutError("the conversation took too long")
        self._sock.settimeout(left_s)


class _Silence:
    """A standard error for pyst2 that says nothing."""

    def write(self, text: str) -> None:
        """Nothing."""


class Conversation(AGI):  # type: ignore[misc] # pyst2 has no types
    """The commands of AGI to one channel, one after the other.

    Attributes:
        env: The environment that Asterisk opened the conversation with.
        hung_up: Asterisk said that the channel has been hung up; some commands still work.
    """

    def __init__(self, wire: Wire, environment: Mapping[str, str]) -> None:
        # Not super().__init__: it would take SIGHUP, chatter, and read an environment.
        self.stdin = self.stdout = wire
        self.stderr = _Silence()
        self.env = dict(environment)
        self.hung_up = False
        self._got_sighup = False

    def _quote(self, string: object) -> str:
        return quote(string)

    def send_command(self, command: str, *args: object) -> None:
        """Send a command in one write; its words are quoted already."""
        self.stdout.write(command_line(command, *args))

    def get_result(self, stdin: object = None) -> dict[str, tuple[str, str]]:  # noqa: ARG002 - AGI's
        """The answer to the last command: its words `key=value (data)`, by key.

        Raises:
            AGIError: the command had no success; which, says the class.
            TimeoutError: the deadline passed.
        """
        line = self._answer_line()
        match = _REPLY.fullmatch(line)
        if match is None:
            raise AGIUnknownError("an answer without a code")
        code, mark, text = match.groups()
        if code == "520" and mark == "-":
            self._skip_usage()
        return _result(int(code), text)

    def _answer_line(self) -> str:
        """The next line that is neither provisional nor the note that the channel hung up."""
        while True:
            line: str = self.stdin.readline()
            if line == "HANGUP":
                self.hung_up = True
            elif not line.startswith("100 "):
                return line

    def _skip_usage(self) -> None:
        while not self.stdin.readline().startswith("520 "):
            pass


_REFUSALS: Final[dict[int, type[Exception]]] = {
    510: AGIInvalidCommand,
    511: NotPermitted,
    520: AGIUsageError,
}


def _result(code: int, text: str) -> dict[str, tuple[str, str]]:
    if code != 200:  # noqa: PLR2004 - as Asterisk writes it
        raise _REFUSALS.get(code, AGIUnknownError)(f"Asterisk answered {code}")
    result: dict[str, Any] = {"result": ("", "")}
    for key, value, data in re_kv.findall(text):
        result[key] = (value, data)
    value, data = result["result"]
    if data == "hangup":
        raise AGIResultHangup("the channel hung up during the command")
    if value == "-1":
        raise AGIAppError("the command failed, or the channel hung up")
    return result

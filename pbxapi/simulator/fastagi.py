"""Asterisk's side of a FastAGI conversation: the application AGI(agi://host:port/script,…).

A real TCP connection on the event loop, whatever clock the PBX has. One line is one command, and
one is answered before the next is looked at. The commands known here are those that set and read
variables; anything else is answered as Asterisk answers what it does not know.

Source: Asterisk res/res_agi.c, launch_netscript(), setup_env(), run_agi(), agi_handle_command(),
parse_args(); captures agi-*.raw and agi.ami of both versions.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final, NamedTuple, cast

from pbxapi.simulator import classes
from pbxapi.simulator.actions import ASTERISK_VERSIONS
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.pbx import Pbx
from pbxapi.simulator.scheduler import HungUp, Script, Signal, Wait

DEFAULT_PORT: Final = 4573
#: Seconds for the connection (MAX_AGI_CONNECT).
CONNECT_TIMEOUT_S: Final = 2.0
#: Bytes of a command with its terminator (AGI_BUF_LEN); what is beyond is a command of its own.
_BUFFER_BYTES: Final = {16: 2048, 22: 8192}
#: Words that a command can have (MAX_ARGS).
_MAX_WORDS: Final = 128
_MAX_PORT: Final = 65_535
_QUOTE, _BACKSLASH = b'"\\'
_SET_WORDS: Final = 4
_GET_WORDS: Final = 3

_FUNCTION: Final = re.compile(r"(\w+)\((.*)\)", re.DOTALL)
_UNKNOWN: Final = "510 Invalid or unknown command\n"
_USAGE: Final = (
    "520-Invalid command syntax.  Proper usage follows:\n Usage: {}\n\n520 End of proper usage.\n"
)


def words(line: bytes) -> list[bytes]:
    """The words of a command line: `"` toggles quoting anywhere, a backslash makes plain."""
    found: list[bytearray] = []
    between, quoted, plain = True, False, False
    for byte in line.partition(b"\0")[0]:
        if byte == _QUOTE and not plain:
            quoted = not quoted
            if quoted and between:
                found.append(bytearray())
                between = False
        elif byte in b" \t" and not quoted and not plain:
            between = True
        elif byte == _BACKSLASH and not plain:
            plain = True
        else:
            if between and len(found) >= _MAX_WORDS - 1:
                continue
            if between:
                found.append(bytearray())
                between = False
            found[-1].append(byte)
            plain = False
    return [bytes(word) for word in found]


class Url(NamedTuple):
    """`agi://host:port/script`."""

    host: str
    port: int
    script: str

    @classmethod
    def parse(cls, url: str) -> "Url | None":
        """None where it is none; an IPv6 address stands in brackets."""
        rest = url.removeprefix("agi://")
        address, _, script = rest.partition("/")
        found = re.fullmatch(r"(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?", address)
        if rest == url or found is None or not found[1]:
            return None
        port = int(found[2] or DEFAULT_PORT)
        return cls(found[1].strip("[]"), port, script) if 0 < port <= _MAX_PORT else None


def environment(pbx: Pbx, channel: Channel, url: str, args: Sequence[str]) -> bytes:
    """What Asterisk opens the conversation with."""
    found = Url.parse(url)
    script = found.script if found is not None else ""
    lines = [
        "agi_network: yes",
        *([f"agi_network_script: {script}"] if script else []),
        f"agi_request: {url}",
        f"agi_channel: {channel.name}",
        "agi_language: en",
        f"agi_type: {channel.technology}",
        f"agi_uniqueid: {channel.uniqueid}",
        f"agi_version: {ASTERISK_VERSIONS[pbx.version]}",
        f"agi_callerid: {channel.caller_num or 'unknown'}",
        f"agi_calleridname: {channel.caller_name or 'unknown'}",
        *(f"agi_calling{what}: 0" for what in ("pres", "ani2", "ton", "tns")),
        f"agi_dnid: {channel.dnid or 'unknown'}",
        "agi_rdnis: unknown",
        f"agi_context: {channel.context}",
        f"agi_extension: {channel.exten}",
        f"agi_priority: {channel.priority}",
        "agi_enhanced: 0.0",
        f"agi_accountcode: {channel.accountcode}",
        f"agi_threadid: {id(channel)}",
        *(f"agi_arg_{number}: {arg}" for number, arg in enumerate(args, 1)),
    ]
    return ("\n".join(lines) + "\n\n").encode("utf-8", "surrogateescape")


def write_variable(pbx: Pbx, channel: Channel, name: str, value: str) -> None:
    """Set a variable or what a function that can be written stands for."""
    function = _FUNCTION.fullmatch(name)
    match function and function.groups():
        case ("SHARED", args):
            variable, comma, target = args.partition(",")
            found = find_channel(pbx, target) if comma else channel
            if found is not None:
                found.shared[variable] = value
                pbx.tell_variable(found, f"SHARED({variable})", value)
        case ("CDR", field):
            pbx.records.set_field(channel, field, value)
        case None:
            pbx.set_variable(channel, name, value)
        case _:
            pass  # a function that is not known here; Asterisk says nothing of it to AGI either


def find_channel(pbx: Pbx, name: str) -> Channel | None:
    """The channel of a name, or else of a Uniqueid (ast_channel_get_by_name)."""
    found = pbx.channels.get(name)
    if found is not None:
        return found
    return next((c for c in reversed(pbx.channels.values()) if c.uniqueid == name), None)


class Conversation(asyncio.Protocol):
    """One channel in the application AGI.

    Attributes:
        ended: Fires with AGISTATUS when the other side has ended it, or could not be reached.
    """

    def __init__(self, pbx: Pbx, channel: Channel, url: str, args: Sequence[str]) -> None:
        self.ended = Signal()
        self._pbx = pbx
        self._channel = channel
        self._url = url
        self._args = args
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._connecting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Connect, and then do as the other side says."""
        url = Url.parse(self._url)
        if url is None:
            self.ended.fire("FAILURE")
            return
        self._pbx.scheduler.at_stop[self] = self._abort
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(self._connect(url), name="simulator.agi")

    async def _connect(self, url: Url) -> None:
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                loop = asyncio.get_running_loop()
                await loop.create_connection(lambda: self, url.host, url.port)
        except OSError:  # TimeoutError is one
            self._end("FAILURE")

    def hang_up(self) -> None:
        """The channel is hung up, and AGIEXITONHANGUP is set."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.write(b"HANGUP\n")
            self._transport.close()
        self._end("HANGUP")

    def _abort(self) -> None:
        """The whole PBX is dead."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _end(self, status: str) -> None:
        self._transport = None
        self._pbx.scheduler.at_stop.pop(self, None)
        self.ended.fire(status)

    # the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Introduce the channel."""
        self._transport = cast(asyncio.Transport, transport)
        opening = environment(self._pbx, self._channel, self._url, self._args)
        self._transport.write(opening)

    def data_received(self, data: bytes) -> None:
        """Do what complete lines say."""
        self._received += data
        limit = _BUFFER_BYTES[self._pbx.version] - 1
        while self._transport is not None:
            end = self._received.find(b"\n", 0, limit)
            if end < 0 and len(self._received) < limit:
                return
            size = end + 1 if end >= 0 else limit
            line = bytes(self._received[:size]).removesuffix(b"\n")
            del self._received[:size]
            self._transport.write(self._execute(line))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - Protocol's
        """The other side has ended it, or we have."""
        self._end("SUCCESS")

    # commands

    def _execute(self, line: bytes) -> bytes:
        command = line.decode("utf-8", "surrogateescape")
        number = self._pbx.random.getrandbits(31) if self._is_told else 0
        self._tell("AGIExecStart", f"CommandId: {number}\r\nCommand: {command}\r\n")
        answer, code, result = self._answer(line)
        text = f"CommandId: {number}\r\nCommand: {command}\r\nResultCode: {code}\r\n"
        self._tell("AGIExecEnd", f"{text}Result: {result}\r\n")
        return answer.encode("utf-8", "surrogateescape")

    def _answer(self, line: bytes) -> tuple[str, int, str]:
        given = [word.decode("utf-8", "surrogateescape") for word in words(line)]
        match [word.upper() for word in given[:2]]:
            case ["SET", "VARIABLE"] if len(given) == _SET_WORDS:
                write_variable(self._pbx, self._channel, given[2], given[3])
                return "200 result=1\n", 200, "Success"
            case ["GET", "VARIABLE"] if len(given) == _GET_WORDS:
                value = self._channel.variables.get(given[2], "")
                answer = f"200 result=1 ({value})\n" if value else "200 result=0\n"
                return answer, 200, "Success"
            case ["NOOP", *_]:
                return "200 result=0\n", 200, "Success"
            case ["SET" | "GET", "VARIABLE"]:
                return _USAGE.format(" ".join(given[:2]).upper()), 520, "Usage"
            case _:
                return _UNKNOWN, 510, "Invalid or unknown command"

    @property
    def _is_told(self) -> bool:
        return bool(self._pbx.announcer.wanted & classes.AGI)

    def _tell(self, event: str, headers: str) -> None:
        if self._is_told:
            channelvars = self._pbx.options.channelvars
            text = self._channel.snapshot("", channelvars) + headers
            self._pbx.announcer.emit(event, classes.AGI, text)


def run(pbx: Pbx, channel: Channel, url: str, *args: str) -> Script:
    """The application AGI."""
    pbx.run_application(channel, "AGI", ",".join((url, *args)))
    conversation = Conversation(pbx, channel, url, args)
    conversation.start()
    try:
        status = yield Wait(conversation.ended)
    except HungUp:
        conversation.hang_up()
        raise
    pbx.set_variable(channel, "AGISTATUS", status)

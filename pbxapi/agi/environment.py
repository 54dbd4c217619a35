"""The environment with which Asterisk opens a FastAGI conversation: lines, then an empty one.

Sans-I/O: bytes in, the environment out. Rules:

- A line is `key: value` and ends with LF. The first occurrence of a key wins: what follows
  `agi_calleridname`, a text of the caller's choosing, cannot take back what stands before it.
- It is bounded in bytes and in lines, and each line must look like one of Asterisk's.

Source: asterisk res/res_agi.c launch_netscript() and setup_env(), 16 to 22.
"""

import re
from collections.abc import Mapping
from typing import Final

from pbxapi.errors import PbxapiError

#: Asterisk sends about 700 bytes; a caller's name or an argument can be long.
MAX_ENVIRONMENT_BYTES: Final = 16_384
#: 22 keys, and as many arguments as an application can be given: 128 words (MAX_ARGS).
MAX_ENVIRONMENT_LINES: Final = 160

_LINE: Final = re.compile(r"(agi_[a-z0-9_]{1,60}):(.*)", re.DOTALL)


class NotAnEnvironment(PbxapiError):
    """These bytes are not what Asterisk opens a conversation with."""


class EnvironmentReader:
    """Reads one environment, however its bytes are cut.

    Attributes:
        values: What was read; complete once `feed` has returned True.
        rest: Bytes that came after the empty line.
    """

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.rest = b""
        self._bytes = 0
        self._lines = 0

    def feed(self, data: bytes) -> bool:
        """Take the next bytes; True at the empty line, after which nothing more may be fed.

        Raises:
            NotAnEnvironment: a line is none of Asterisk's, or there is too much of it.
        """
        self._bytes += len(data)
        if self._bytes > MAX_ENVIRONMENT_BYTES:
            raise NotAnEnvironment("too many bytes")
        buffer = self.rest + data
        while (end := buffer.find(b"\n")) >= 0:
            line, buffer = buffer[:end].removesuffix(b"\r"), buffer[end + 1 :]
            if not line:
                self.rest = buffer
                return True
            self._take(line)
        self.rest = buffer
        return False

    def _take(self, line: bytes) -> None:
        self._lines += 1
        if self._lines > MAX_ENVIRONMENT_LINES:
            raise NotAnEnvironment("too many lines")
        match = _LINE.fullmatch(line.decode(errors="replace"))
        if match is None:
            raise NotAnEnvironment("a line that is none of an environment")
        key, value = match.groups()
        self.values.setdefault(key, value.strip())


def script_name(environment: Mapping[str, str]) -> str:
    """The script that the dialplan asks for: the path of `agi://host/path?query`."""
    return environment.get("agi_network_script", "").partition("?")[0].strip("/")

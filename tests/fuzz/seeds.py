"""Where fuzzing begins: what real Asterisk, real phones and old clients have sent."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tests.services import captures

#: So much of a session is one input.
_SLICE: Final = 3000
_BANNER: Final = b"Asterisk Call Manager/7.0.3\r\n"
_ACTION_ID: Final = re.compile(rb"\r\nActionID: [^\r\n]*")

_ENVIRONMENT: Final = (
    b"agi_network: yes\nagi_network_script: cdr\nagi_request: agi://127.0.0.1:4573/cdr\n"
    b"agi_channel: PJSIP/Linka_1000-00000001\nagi_language: en\nagi_type: PJSIP\n"
    b"agi_uniqueid: 1795460000.1\nagi_version: 22.10.0\nagi_callerid: 1000\n"
    b"agi_calleridname: \xc5\xbdofie\nagi_callingpres: 0\nagi_context: pbxapi\nagi_extension: s\n"
    b"agi_priority: 1\nagi_enhanced: 0.0\nagi_accountcode: \nagi_threadid: 140\n"
    b"agi_arg_1: cccccccccccccccccccccccccccccccc\nagi_arg_2: PJSIP/Linka_1000-00000001\n\n"
)


def write_ami(corpus: Path) -> None:
    """Slices of the recorded sessions; their answers as those to our own requests."""
    for version in captures.VERSIONS:
        for name in captures.names(version):
            for number, part in enumerate(_slices(captures.read(version, name))):
                (corpus / f"{version}-{name}-{number}").write_bytes(_BANNER + part)


def _slices(stream: bytes) -> Iterator[bytes]:
    messages = stream.partition(b"\r\n")[2].split(b"\r\n\r\n")
    part, numbers = b"", {b"": 0}
    for message in messages:
        for ident in _ACTION_ID.findall(message)[:1]:
            number = numbers.setdefault(ident, len(numbers))
            answered = b"\r\nActionID: fz-%d" % ((number - 1) % 9 + 1)
            message = _ACTION_ID.sub(answered, message, count=1)  # noqa: PLW2901 - what follows reads it as it is now
        part += message + b"\r\n\r\n"
        if len(part) > _SLICE:
            yield part
            part = b""
    if part.strip():
        yield part


def write_agi(corpus: Path) -> None:
    """An environment and answers to the commands that follow it."""
    answers = {
        "fine": b"200 result=1\n" * 5,
        "hung-up": b"HANGUP\n200 result=1 (hangup)\n511 Command Not Permitted\n",
        "usage": b"520-Invalid command syntax.\nx\n520 End of proper usage.\n",
        "provisional": b"100 result=0 Trying...\n200 result=-1\n510 Invalid or unknown command\n",
        "value": b"200 result=1 (some (value) here) endpos=4\n",
    }
    for name, text in answers.items():
        (corpus / name).write_bytes(_ENVIRONMENT + text)


def write_http(corpus: Path) -> None:
    """Query strings and forms; the first byte says which of them an input is."""
    boundary = b"multipart/form-data; boundary=x\n"
    part = b'--x\r\nContent-Disposition: form-data; name="dstNum"\r\n\r\n800\r\n'
    file = b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nb\r\n--x--\r\n'
    inputs = {
        "query": b"\x00username=a&password=b%26+%F8&action=originate&dstNum=800&x[]=1&y[a][b]=2",
        "urlencoded": b"\x01a.b=1&a=%e8&a=2&&=x&%00=1&customCDR1=\xf8",
        "multipart": b"\x02" + boundary + part + file,
        "line": b"\x03GET /api/api.php?a=\xf8 HTTP/1.1\r\nHost: x\r\n\r\n"
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na=\xf8",
        "lengths": b"\x03POST / HTTP/1.1\r\nContent-Length: 3\r\ncontent-length: 4\r\n\r\n"
        b"abcGET / H",
    }
    for name, text in inputs.items():
        (corpus / name).write_bytes(text)

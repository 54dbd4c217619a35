"""What an answer is worth: a success, or which kind of failure.

A success is told from the ends of the body alone, since reading a list of 5,000 calls as JSON would
take the generator longer than it takes the daemon to make it. Whatever has other ends is read.
"""

import json
from typing import Final

_SUCCESS: Final = b'{"success":"true"'
#: `sipstatus` says it behind its data.
_BARE_SUCCESS: Final = b'"success":true,"_debug":false}'
_OK: Final = 200


def failure_in(status: int, body: bytes) -> str:
    """The kind of failure, as `errno 900`, `http 502` or `not json`; "" for a success."""
    if status != _OK:
        return f"http {status}"
    if body.startswith(_SUCCESS) and body.endswith(b"}"):
        return ""
    if body.startswith(b"{") and body.endswith(_BARE_SUCCESS):
        return ""
    errno = errno_of(body)
    return "not json" if errno is None else f"errno {errno}"


def errno_of(body: bytes) -> str | None:
    """The code of a fault; "" where it has none, None where this is no answer of the API."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    if not isinstance(data, dict) or "success" not in data:
        return None
    return str(data.get("errno", ""))

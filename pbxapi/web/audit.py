"""The audit log: one line for each request that would change something, whatever came of it.

Who (`user`, who is only said to be that where `proven` is false), from where (`address`), what
(`action` and its `parameters`, without secrets), with what `result`:

- `done`, with the id of the call that was begun;
- `refused`, with the `errno` that the client was told; 900 and 901 may come after Asterisk or the
  database has done it: nobody knows;
- `abandoned`: the daemon ended before an answer came, and nobody knows either.

A client that hangs up does not end its request, so its line is written as all others are. No
`[log] level` keeps it from being written.
"""

import time
from types import TracebackType
from typing import Self

from pbxapi import log
from pbxapi.access.users import IpAddress
from pbxapi.actions import ACTIONS, Action, Parameters
from pbxapi.actions.values import MAX_CHARACTERS
from pbxapi.redaction import is_secret_name
from pbxapi.web.envelope import fault_of

_log = log.audit_logger()


class Audit:
    """A block that says what came of one request, unless that only reads.

    Attributes:
        user: The user, once he has proven himself.
        call_id: The call that was begun.
    """

    __slots__ = ("_action", "_address", "_params", "_started", "call_id", "user")

    def __init__(self, action: Action, params: Parameters, address: IpAddress | None) -> None:
        self._action = action
        self._params = params
        self._address = address
        self._started = time.monotonic()
        self.user = ""
        self.call_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        outcome: dict[str, str | int] = {"result": "done"}
        if isinstance(error, Exception):
            outcome = {"result": "refused", "errno": fault_of(error).code}
        elif error is not None:
            outcome = {"result": "abandoned"}
        elif self.call_id:
            outcome["call_id"] = self.call_id
        _log.info(
            "audit.action",
            action=self._action.name,
            user=self.user or _cut(self._params.get("username", "")),
            proven=bool(self.user),
            address="" if self._address is None else str(self._address),
            parameters=_open_parameters(self._action, self._params),
            **outcome,
            took_ms=round((time.monotonic() - self._started) * 1000, 2),
        )


class NoAudit:
    """The same for what changes nothing: it says nothing."""

    user = ""
    call_id = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass


def auditing(params: Parameters, address: IpAddress | None) -> Audit | NoAudit:
    """The block in which a request with these parameters has to be answered."""
    action = ACTIONS.get(params.get("action", ""))
    return NoAudit() if action is None or action.reads_only else Audit(action, params, address)


def _open_parameters(action: Action, params: Parameters) -> dict[str, str]:
    """What the action reads of the request, by name; no secret, and nothing huge."""
    names = sorted(name for name in action.parameters if not is_secret_name(name))
    return {name: _cut(params[name]) for name in names if name in params}


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else f"{text[:MAX_CHARACTERS]}…"

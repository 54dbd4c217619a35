"""What counts as wrong, and the book that it is written into.

Each request has a documented longest answer: a reader waits for nobody but the database (3 s), an
action that changes something for the database and then for Asterisk (5 s), and a move as long as it
gets on. Errors 900, 901 and those of a full disk are right while something is really gone, or was
a moment ago.
"""

import json
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

import jsonschema

from pbxapi.actions import ACTIONS
from pbxapi.actions.registry import SHARED_ERRORS
from pbxapi.web.openapi import describe

#: Longest answer by action, in seconds; all others: the database twice, Asterisk, and taking back.
DEADLINES: Final = {"listcalls": 3.0, "queuestatus": 3.0, "sipstatus": 3.0, "moverecord": 30.0}
DEADLINE_S: Final = 16.0
#: What a loaded machine may add: all parts of this world share it.
SLACK_S: Final = 2.0
#: How long an error may outlive its cause: a reconnect with back-off, a list, a first picture.
AFTERMATH_S: Final = 12.0

#: What explains everything while it is gone.
DAEMON: Final = "daemon"
#: Codes that only something that is gone explains.
CAUSES: Final = {"900": "asterisk", "904": "asterisk", "906": "", "901": "database", "812": "disk"}
#: 811: a move that was cut off is finished just now, and the source has its new name already.
CAUSES_OF_MOVES: Final = {
    "900": "asterisk",
    "901": "database",
    "811": "database",
    "812": "disk",
    "810": "disk",
}

#: Answers that take longer are told one by one, with what was gone.
TOLD_S: Final = 1.0
#: Of the long answers so many are compared with their schema; the others only with the shape.
_EACH: Final = 50


def _validator() -> Any:
    document = describe("/api/api.php")
    answer = document["components"]["responses"]["Answer"]["content"]["application/json"]["schema"]
    return jsonschema.Draft202012Validator(answer | {"components": document["components"]})


@dataclass(slots=True)
class Window:
    """When something was gone; without an end it still is."""

    what: str
    began: float
    ended: float = float("inf")


@dataclass(slots=True)
class Book:
    """All that happened."""

    wrong: list[str] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    requests: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    slow: list[str] = field(default_factory=list)
    longest_s: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    started: float = field(default_factory=time.monotonic)
    #: Number → whether the client was told that the call was begun.
    originates: dict[str, bool] = field(default_factory=dict)
    arrived: Counter[str] = field(default_factory=Counter)
    _schema: Any = field(default_factory=_validator)

    def begin(self, what: str) -> Window:
        """Something is gone from now on."""
        window = Window(what, time.monotonic())
        self.windows.append(window)
        return window

    def was_gone(self, what: str, began: float, ended: float) -> bool:
        """Whether it, or the daemon itself, was gone during that time, or shortly before."""
        return any(
            window.what in (what, DAEMON)
            and window.began <= ended
            and began <= window.ended + AFTERMATH_S
            for window in self.windows
        )

    def note(
        self, action: str, raw: bytes, status: int, content_type: str, began: float
    ) -> dict[str, Any]:
        """Look at an answer; returns its JSON, or {} of one that is none."""
        ended = time.monotonic()
        took_s = ended - began
        self.requests[action] += 1
        self.longest_s[action] = max(self.longest_s[action], took_s)
        if took_s > TOLD_S:
            gone = {each.what for each in self.windows if self.was_gone(each.what, began, ended)}
            since_s = began - self.started
            self.slow.append(f"{action} at {since_s:.0f} s: {took_s:.2f} s, {sorted(gone)}")
        if took_s > DEADLINES.get(action, DEADLINE_S) + SLACK_S:
            self.wrong.append(f"{action} was answered after {took_s:.1f} s")
        if status != 200 or content_type != "application/json; charset=utf-8":
            self.wrong.append(f"{action}: HTTP {status}, {content_type}")
        try:
            data: dict[str, Any] = json.loads(raw)
        except ValueError:
            self.wrong.append(f"{action}: no JSON: {raw[:80]!r}")
            return {}
        if (len(raw) < 1000 or self.requests[action] % _EACH == 0) and not self._schema.is_valid(
            data
        ):
            self.wrong.append(f"{action}: not as described: {raw[:200]!r}")
        if "errno" in data:
            self._note_error(action, data["errno"], data["reason"], began, ended)
        return data

    def _note_error(self, action: str, errno: str, reason: str, began: float, ended: float) -> None:
        self.errors[f"{action} {errno}"] += 1
        if int(errno) not in (*ACTIONS[action].errors, *SHARED_ERRORS):
            self.wrong.append(f"{action}: error {errno} is none of its own")
        causes = CAUSES_OF_MOVES if action == "moverecord" else CAUSES
        cause = causes.get(errno)
        if cause is None:
            self.wrong.append(f"{action}: unexpected error {errno}: {reason}")
        elif cause and not self.was_gone(cause, began, ended):
            self.wrong.append(f"{action}: error {errno} though {cause} was there: {reason}")

    def unanswered(self, action: str, error: Exception, began: float) -> None:
        """A request had no answer: nobody listened, or it took too long."""
        ended = time.monotonic()
        self.requests[f"{action} unanswered"] += 1
        if not self.was_gone(DAEMON, began, ended):
            took_s = ended - began
            self.wrong.append(f"{action} was not answered: {error!r} after {took_s:.1f} s")

    def doubled(self) -> list[str]:
        """Originates that reached Asterisk more often than once, or never though it was said."""
        wrong = [f"{n} was dialled {times} times" for n, times in self.arrived.items() if times > 1]
        lost = [n for n, told in self.originates.items() if told and not self.arrived[n]]
        return wrong + [f"{n} was never dialled, but the client was told so" for n in lost]

"""Logging: one line on standard error for each event, as JSON or for a console, without a secret.

structlog's events and the records of the standard library (asyncio, aiohttp, asyncpg) go through
the same steps: the facts of the request, the traceback, redaction, the line. aiohttp's access
log is off: the password is in the URL.

No value can end its line: JSON escapes control characters, and so does the console format, where
the lines of a traceback stand indented behind a bar.

Loggers are not cached on first use, so that `configure` holds for those that modules already have;
an event below the level costs two microseconds.
"""

import json
import logging
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

import structlog
from structlog.processors import StackInfoRenderer, format_exc_info
from structlog.typing import EventDict, WrappedLogger

from pbxapi.redaction import Redactor

_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
#: Methods of structlog that are no levels.
_LEVEL_OF_METHOD: Final = {"exception": "error", "fatal": "critical", "warn": "warning"}
_EVERY_LEVEL: Final = structlog.make_filtering_bound_logger(logging.NOTSET)
#: Texts of many lines.
_BLOCKS: Final = ("exception", "stack")

_request_facts: ContextVar[Mapping[str, str] | None] = ContextVar("request_facts", default=None)


def configure(
    level: str, form: str = "json", *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Set up structlog and the standard library's logging; the last call holds.

    Args:
        level: The least severe level that is logged: debug, info, warning, error or critical. What
            an `audit_logger` is told is always logged.
        form: "json" or "console".
        secrets: Texts to mask wherever they occur; those of less than four characters are not.
        stream: Where the lines go, standard error unless given.
    """
    stream = sys.stderr if stream is None else stream
    line = _Line(Redactor(secrets), {"json": _as_json, "console": _as_console}[form])
    structlog.configure(
        processors=[add_request_facts, StackInfoRenderer(), format_exc_info, line],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_args: _Lines(stream),
        cache_logger_on_first_use=False,
    )
    _route_standard_library(_LEVELS[level], line, stream)


def audit_logger() -> Any:
    """A logger that no level silences, for what has to be known afterwards: who changed what."""
    return structlog.wrap_logger(None, wrapper_class=_EVERY_LEVEL)


def set_request_facts(facts: Mapping[str, str]) -> None:
    """Have every line of this task tell these facts too, also those that are added to them later.

    Every request says this once and most log nothing: it costs a tenth of what structlog's own
    `bind_contextvars` does.
    """
    _request_facts.set(facts)


def add_request_facts(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Add the facts of the request under way: a processor of structlog."""
    return {**(_request_facts.get() or {}), **event}


def _route_standard_library(level: int, line: "_Line", stream: TextIO) -> None:
    handler = _Handler(stream)
    handler.setFormatter(_Formatter(line))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    access = logging.getLogger("aiohttp.access")
    access.propagate = False
    access.handlers[:] = [logging.NullHandler()]


class _Line:
    """The last processor: redaction, the order of the keys, the text."""

    def __init__(self, redactor: Redactor, render: Callable[[dict[str, Any]], str]) -> None:
        self._redactor = redactor
        self._render = render

    def __call__(self, _logger: WrappedLogger, method: str, event_dict: EventDict) -> str:
        facts = self._redactor.value(event_dict)
        event = facts.pop("event", None)
        head = {
            "timestamp": datetime.now(UTC)
            .isoformat(timespec="microseconds")
            .replace("+00:00", "Z"),
            "level": _LEVEL_OF_METHOD.get(method, method),
            "event": event if isinstance(event, str) else str(event),
        }
        # A fact named like a part of the head cannot take its place.
        return self._render(head | {key: facts[key] for key in facts if key not in head})


class _Lines:
    """The end of the way. A line that cannot be written must not break what it tells about."""

    __slots__ = ("_stream",)

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, line: str) -> None:
        with suppress(OSError, ValueError):  # the disk is full; the stream is closed
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warn = warning = error = exception = fatal = critical = msg = write


class _Handler(logging.StreamHandler[TextIO]):
    """Errors of logging itself are dropped: the standard report of them has the raw arguments."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        del record


class _Formatter(logging.Formatter):
    """Records of the standard library as events; `logger` is the name of theirs."""

    def __init__(self, line: _Line) -> None:
        super().__init__()
        self._line = line

    def format(self, record: logging.LogRecord) -> str:
        """One line."""
        method = record.levelname.lower()
        event: EventDict = {"event": _message(record), "logger": record.name}
        if record.exc_info:
            event["exc_info"] = record.exc_info
        if record.stack_info:
            event["stack"] = record.stack_info
        event = add_request_facts(None, method, event)
        return self._line(None, method, format_exc_info(None, method, event))


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError):  # the arguments do not fit the message
        return f"{record.msg} {record.args!r}"


def _as_json(facts: dict[str, Any]) -> str:
    return json.dumps(facts)


def _as_console(facts: dict[str, Any]) -> str:
    blocks = [facts.pop(name) for name in _BLOCKS if isinstance(facts.get(name), str)]
    head = (facts.pop("timestamp"), f"{facts.pop('level'):<8}", _printable(facts.pop("event")))
    pairs = (f"{_printable(name)}={_shown(value)}" for name, value in facts.items())
    lines = [" ".join([*head, *pairs])]
    for block in blocks:
        # Only \n: splitlines() knows line ends that a terminal may know otherwise, or not at all.
        lines += [f"    | {_printable(line)}" for line in block.split("\n")]
    return "\n".join(lines)


def _printable(text: str) -> str:
    return text if text.isprintable() else json.dumps(text)[1:-1]


def _shown(value: Any) -> str:
    if isinstance(value, str) and value.isprintable() and not set(value) & set(" =\"'"):
        return value or '""'
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(value)

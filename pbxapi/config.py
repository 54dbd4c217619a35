"""The configuration: its sections, and how each key of the file is checked.

`config_reading` reads the file and the environment into it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pbxapi import config_values as values
from pbxapi.config_values import IpNetwork, Listen

__all__ = [
    "Agents",
    "Ami",
    "Config",
    "Database",
    "FastAgi",
    "Http",
    "IpNetwork",
    "Key",
    "Listen",
    "Log",
    "LogFormat",
    "LogLevel",
    "Originate",
    "Records",
    "Security",
    "StatusMode",
]

StatusMode = Literal["reason", "errno"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["json", "console"]

#: A day: a longer time is a slip of the pen, and in milliseconds it still fits Asterisk's int.
_MAX_SECONDS: Final = 86_400
#: More file descriptors no system gives to one process.
_MAX_CONNECTIONS: Final = 1_000_000


def ami_secret(text: str) -> str:
    """The secret of the manager's user; apart from other texts, since it has no default."""
    return values.printable(text)


@dataclass(frozen=True, slots=True)
class Key:
    """How one key is read.

    Attributes:
        kind: Its type in TOML.
        check: Makes the value.
        is_secret: It can be given as the name of a file, and is never shown.
        is_live: A running daemon takes a new value over (`reloading`).
    """

    kind: type
    check: Callable[[Any], Any]
    is_secret: bool = False
    is_live: bool = False


def _read(
    kind: type, check: Callable[[Any], Any], *, secret: bool = False, live: bool = False
) -> dict[str, Key]:
    """The metadata of a field that is a key of the file."""
    return {"key": Key(kind, check, secret, live)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Http:
    """Section `http`: where clients come in.

    Attributes:
        path: The one URL path that answers.
        trusted_proxies: Networks whose `X-Forwarded-For` is believed.
        tls_certificate, tls_key: PEM files for TLS by the daemon itself; both or none.
        max_connections: Of all clients at once …
        max_connections_per_address: … and of one address that is no proxy.
    """

    listen: Listen = field(default=Listen("127.0.0.1", 8080), metadata=_read(str, Listen.parse))
    path: str = field(default="/api/api.php", metadata=_read(str, values.http_path))
    trusted_proxies: tuple[IpNetwork, ...] = field(
        default=(), metadata=_read(list, values.networks, live=True)
    )
    tls_certificate: str = field(default="", metadata=_read(str, values.file_or_none))
    tls_key: str = field(default="", metadata=_read(str, values.file_or_none))
    max_connections: int = field(
        default=4096, metadata=_read(int, values.between(16, _MAX_CONNECTIONS))
    )
    max_connections_per_address: int = field(
        default=1024, metadata=_read(int, values.between(1, _MAX_CONNECTIONS))
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ami:
    """Section `ami`: the manager interface of Asterisk, and the user of its manager.conf."""

    host: str = field(default="127.0.0.1", metadata=_read(str, values.host_name))
    port: int = field(default=5038, metadata=_read(int, values.port_number))
    username: str = field(default="pbxapi", metadata=_read(str, values.printable))
    secret: str = field(default="", repr=False, metadata=_read(str, ami_secret, secret=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class FastAgi:
    """Section `fastagi`: where the dialplan's `agi://` URLs come in."""

    listen: Listen = field(
        default=Listen("127.0.0.1", 4573), metadata=_read(str, values.tcp_listen)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """Section `database`: a URI of libpq, which may hold a password."""

    dsn: str = field(
        default="postgresql://pbxapi@/pbxapi",
        repr=False,
        metadata=_read(str, values.dsn, secret=True),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """Section `records`: the directories that recordings never leave."""

    roots: tuple[Path, ...] = field(
        default=(Path("/var/spool/asterisk/monitor"),),
        metadata=_read(list, values.roots, live=True),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Originate:
    """Section `originate`.

    Attributes:
        ring_timeout: Seconds, where a request names no time of its own.
    """

    ring_timeout: int = field(
        default=30, metadata=_read(int, values.between(1, _MAX_SECONDS), live=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """Section `agents`.

    Attributes:
        status_mode: How `agentstatus` tells of a line that is not free.
    """

    status_mode: StatusMode = field(
        default="reason", metadata=_read(str, values.one_of(get_args(StatusMode)), live=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Section `security`.

    Attributes:
        max_failures: Failed log-ins of one user name or one address before it is locked out.
        lockout_seconds: For how long it then is.
    """

    max_failures: int = field(
        default=10, metadata=_read(int, values.between(1, 1_000_000), live=True)
    )
    lockout_seconds: int = field(
        default=60, metadata=_read(int, values.between(1, _MAX_SECONDS), live=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Section `log`."""

    level: LogLevel = field(
        default="info", metadata=_read(str, values.one_of(get_args(LogLevel)), live=True)
    )
    format: LogFormat = field(
        default="json", metadata=_read(str, values.one_of(get_args(LogFormat)), live=True)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole configuration; each attribute is a section of the file."""

    http: Http = field(default_factory=Http)
    ami: Ami = field(default_factory=Ami)
    fastagi: FastAgi = field(default_factory=FastAgi)
    database: Database = field(default_factory=Database)
    records: Records = field(default_factory=Records)
    originate: Originate = field(default_factory=Originate)
    agents: Agents = field(default_factory=Agents)
    security: Security = field(default_factory=Security)
    log: Log = field(default_factory=Log)

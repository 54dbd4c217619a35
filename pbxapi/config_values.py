"""The values of the configuration: each check gives the value, or a ValueError that says why not.

No message of a check that a secret passes through repeats any of the value.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Self

IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_MAX_PORT: Final = 65_535
#: sun_path of Linux is 108 bytes with its terminator.
_MAX_SOCKET_PATH_BYTES: Final = 107

#: Control characters, and bytes of the environment that are not UTF-8.
_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")
_HTTP_PATH: Final = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*")


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen: `host` and `port`, or the `path` of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read "host:port", "[::1]:8080" or "unix:/path".

        Raises:
            ValueError: it is none of these; the message says why.
        """
        if text.startswith("unix:"):
            return cls(path=_socket_path(text.removeprefix("unix:")))
        host, colon, port = text.rpartition(":")
        if not colon or not host:
            raise ValueError('must be "host:port", "[IPv6 address]:port" or "unix:/path"')
        if host.startswith("[") and host.endswith("]"):
            host = str(ipaddress.IPv6Address(host[1:-1]))
        elif ":" in host:
            raise ValueError('an IPv6 address stands in brackets, as in "[::1]:8080"')
        return cls(host=host_name(host), port=port_number(whole_number(port)))

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _socket_path(path: str) -> str:
    if len(absolute(path).encode()) > _MAX_SOCKET_PATH_BYTES:
        raise ValueError(f"the path of a unix socket has at most {_MAX_SOCKET_PATH_BYTES} bytes")
    return path


def absolute(path: str) -> str:
    """An absolute path that leads nowhere else; control characters are refused."""
    if not path.startswith("/") or ".." in PurePosixPath(path).parts:
        raise ValueError("must be an absolute path without '..'")
    return printable(path)


def file_or_none(path: str) -> str:
    """An absolute path, or nothing."""
    return absolute(path) if path else ""


def printable(text: str) -> str:
    """Any text that is not empty and can go into one line of UTF-8."""
    if not text:
        raise ValueError("must not be empty")
    if _UNUSABLE.search(text):
        raise ValueError("has a control character, or one that is not UTF-8")
    return text


def host_name(text: str) -> str:
    """A host name, or an IP address in its usual form."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        if not _HOST.fullmatch(text):
            raise ValueError("must be a host name or an IP address") from None
    return text


def whole_number(text: str) -> int:
    """The number that a text writes in decimal digits."""
    if not _INTEGER.fullmatch(text):
        raise ValueError("must be a whole number")
    return int(text)


def port_number(number: int) -> int:
    """A TCP port that can be named."""
    return between(1, _MAX_PORT)(number)


def between(least: int, most: int) -> Callable[[int], int]:
    """A check for numbers from `least` to `most`, both included."""

    def check(number: int) -> int:
        if not least <= number <= most:
            raise ValueError(f"must be from {least} to {most}")
        return number

    return check


def tcp_listen(text: str) -> Listen:
    """A `Listen` that is no unix socket."""
    listen = Listen.parse(text)
    if listen.path:
        raise ValueError("Asterisk reaches FastAGI by TCP only")
    return listen


def http_path(text: str) -> str:
    """The path of a URL, with no character that a client would have to encode.

    What begins with `/-/` is for the tools of the operator.
    """
    if text.startswith("/-/"):
        raise ValueError("must not begin with '/-/', where the daemon tells how it is")
    if not _HTTP_PATH.fullmatch(text):
        raise ValueError("must be the path of a URL: begin with '/', without blanks, '?', '#', '%'")
    return text


def networks(texts: list[str]) -> tuple[IpNetwork, ...]:
    """CIDRs; an address alone is a network of one."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def roots(texts: list[str]) -> tuple[Path, ...]:
    """Absolute directories."""
    return tuple(Path(absolute(text)) for text in texts)


def dsn(text: str) -> str:
    """A connection URI of libpq."""
    if not printable(text).startswith(("postgresql://", "postgres://")):
        raise ValueError("must be a URI that begins with postgresql://")
    return text


def one_of(values: tuple[str, ...]) -> Callable[[str], str]:
    """A check for the texts in `values`."""

    def check(text: str) -> str:
        if text not in values:
            raise ValueError(f"must be one of {', '.join(values)}")
        return text

    return check

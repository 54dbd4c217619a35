"""Where the requests go: the URL that the daemon prints, of a TCP port or of a unix socket."""

import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

#: Where the daemon answers unless it is configured otherwise.
DEFAULT_PATH: Final = "/api/api.php"
_UNIX: Final = "http+unix://"


@dataclass(frozen=True, slots=True)
class Target:
    """One daemon.

    Attributes:
        socket: Path of its unix socket, or "" for `host` and `port`.
        path: What is asked for, percent-encoded.
    """

    host: str
    port: int
    path: str
    is_tls: bool = False
    socket: str = ""

    def __str__(self) -> str:
        return self.socket or f"{self.host}:{self.port}"

    def tls(self) -> ssl.SSLContext | None:
        """How to speak TLS; certificates are checked, `SSL_CERT_FILE` names other authorities."""
        return ssl.create_default_context() if self.is_tls else None

    def request(self, parameters: Mapping[str, str]) -> bytes:
        """The bytes of a GET that keeps its connection."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        default = 443 if self.is_tls else 80
        named = host if self.socket or self.port == default else f"{host}:{self.port}"
        line = f"GET {self.path}?{urlencode(parameters)} HTTP/1.1"
        return f"{line}\r\nHost: {named}\r\nAccept: */*\r\n\r\n".encode("ascii")


def parse_target(url: str) -> Target:
    """The target of a URL; one without a path gets the daemon's default.

    Raises:
        ValueError: it is no such URL, or has credentials or parameters in it.
    """
    if url.startswith(_UNIX):
        socket, path = _split_socket(url.removeprefix(_UNIX))
        return Target("localhost", 80, quote(path), socket=socket)
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be http://HOST:PORT/PATH, https://… or http+unix:///SOCKET/PATH")
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError("has neither credentials nor parameters in it")
    is_tls = parts.scheme == "https"
    path = parts.path if parts.path.strip("/") else DEFAULT_PATH
    host = parts.hostname.encode("idna").decode("ascii") if parts.hostname else ""
    return Target(
        host, parts.port or (443 if is_tls else 80), quote(path, safe="/%"), is_tls=is_tls
    )


def _split_socket(text: str) -> tuple[str, str]:
    """Path of the socket and path of the API; nothing but the file system tells them apart."""
    path = PurePosixPath(text)
    if not path.is_absolute():
        raise ValueError("a unix socket has an absolute path: http+unix:///run/pbxapi/http.sock")
    for socket in (path, *path.parents):
        if _is_socket(str(socket)):
            rest = text[len(str(socket)) :]
            return str(socket), rest if rest.strip("/") else DEFAULT_PATH
    raise ValueError(f"there is no unix socket at {text}")


def _is_socket(path: str) -> bool:
    try:
        return stat.S_ISSOCK(Path(path).stat().st_mode)
    except OSError:
        return False

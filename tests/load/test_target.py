"""URLs as people paste them, and the request that comes of each."""

import socket
from pathlib import Path

import pytest

from pbxapi.load.target import parse_target


@pytest.mark.parametrize(
    ("url", "where", "line", "host"),
    [
        ("http://127.0.0.1:8080", "127.0.0.1:8080", b"/api/api.php", b"127.0.0.1:8080"),
        ("http://pbx/", "pbx:80", b"/api/api.php", b"pbx"),
        ("http://[::1]:81/x%20y/", "::1:81", b"/x%20y/", b"[::1]:81"),
        ("https://pbx/a", "pbx:443", b"/a", b"pbx"),
        ("https://žluť:444/á", "xn--lu-yta1h:444", b"/%C3%A1", b"xn--lu-yta1h:444"),
    ],
)
def test_tcp(url: str, where: str, line: bytes, host: bytes) -> None:
    target = parse_target(url)
    assert str(target) == where
    request = target.request({"password": "a &+ř", "action": "listcalls"})
    first, second, *_ = request.split(b"\r\n")
    assert first == b"GET %b?password=a+%%26%%2B%%C5%%99&action=listcalls HTTP/1.1" % line
    assert second == b"Host: " + host
    assert request.endswith(b"\r\n\r\n")
    assert (target.tls() is not None) == url.startswith("https")


@pytest.mark.parametrize("rest", ["", "/", "/api/api.php"])
def test_a_unix_socket_is_told_from_the_path_by_what_is_there(tmp_path: Path, rest: str) -> None:
    path = tmp_path / "http.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        target = parse_target(f"http+unix://{path}{rest}")
    assert (target.socket, target.path, str(target)) == (str(path), "/api/api.php", str(path))
    assert b"\r\nHost: localhost\r\n" in target.request({})


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("127.0.0.1:8080", "must be http://"),
        ("ftp://x", "must be http://"),
        ("http://", "must be http://"),
        ("http://x:99999", "out of range"),
        ("http://u:p@x", "neither credentials"),
        ("http://x/?password=1", "neither credentials"),
        ("http+unix://run/x", "absolute"),
        ("http+unix:///nowhere/at/all", "no unix socket at /nowhere/at/all"),
    ],
)
def test_what_is_none(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_target(url)

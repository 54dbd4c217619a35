"""Where the daemon listens: free, or held by the daemon itself, and within Asterisk's reach."""

import asyncio
import errno
import ipaddress
import json
import os
import socket
import ssl
from collections.abc import AsyncIterator
from typing import Final

from pbxapi.config import Http, Listen
from pbxapi.doctor.finding import Finding, fail, ok, warn
from pbxapi.doctor.patient import Patient

#: A daemon on this host answers at once, or is none.
_ANSWER_S: Final = 2.0


async def http(patient: Patient) -> AsyncIterator[Finding]:
    """Whether the HTTP address can be had."""
    listen = patient.config.http.listen
    obstacle = await asyncio.to_thread(_obstacle, listen)
    if obstacle is None:
        yield ok(f"{listen} is free")
    elif obstacle == errno.EADDRINUSE and await _ready(patient.config.http) is not None:
        yield ok(f"{listen} is held by a running daemon")
    else:
        yield _taken(listen, obstacle, "[http] listen")


async def fastagi(patient: Patient) -> AsyncIterator[Finding]:
    """Whether the FastAGI address can be had, and whether Asterisk can reach it."""
    listen = patient.config.fastagi.listen
    obstacle = await asyncio.to_thread(_obstacle, listen)
    running = await _ready(patient.config.http) if obstacle == errno.EADDRINUSE else None
    if obstacle is None:
        yield ok(f"{listen} is free")
    elif running is not None and running.get("fastagi") is True:
        yield ok(f"{listen} is held by the running daemon")
    else:
        yield _taken(listen, obstacle, "[fastagi] listen")
    yield await asyncio.to_thread(_reachable, patient.config.ami.host, listen)


def _taken(listen: Listen, obstacle: int, key: str) -> Finding:
    reason = os.strerror(obstacle) if obstacle > 0 else "there is no such host"
    remedy = f"end what is there, or change {key}"
    if listen.path and obstacle == errno.EACCES:
        remedy = (
            "another user has left this socket: end a daemon of his and remove it"
            if os.path.lexists(listen.path)
            else "let the daemon's user write to that folder; run this check as that user"
        )
    return fail(f"cannot listen on {listen}: {reason}", remedy)


def _obstacle(listen: Listen) -> int | None:
    """Why one cannot listen there, as an errno (below 0: no such host); None where one can."""
    if listen.path:
        return _socket_obstacle(listen.path)
    try:
        infos = socket.getaddrinfo(listen.host, listen.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _name, address = infos[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return error.errno or -1
    return None


def _socket_obstacle(path: str) -> int | None:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            folder = os.path.dirname(path)  # noqa: PTH120 - a str in, a str out
            return None if os.access(folder, os.W_OK) else errno.EACCES
        except ConnectionRefusedError:
            return None  # left by a crash: the daemon removes it
        except OSError as error:
            return error.errno or -1
    return errno.EADDRINUSE


async def _ready(http: Http) -> dict[str, object] | None:
    """What a daemon that listens there says of itself; None where it is something else.

    One that was started before TLS came into the configuration, or went, is one too.
    """
    is_tls = bool(http.tls_certificate) and not http.listen.path
    context = _for_whatever_certificate()
    first, second = (context, None) if is_tls else (None, context)
    told = await _told(http.listen, first)
    return told if told or http.listen.path else await _told(http.listen, second)


def _for_whatever_certificate() -> ssl.SSLContext:
    """It is made out for the name that clients use, and we ask this host by its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _told(listen: Listen, tls: ssl.SSLContext | None) -> dict[str, object] | None:
    try:
        async with asyncio.timeout(_ANSWER_S):
            if listen.path:
                reader, writer = await asyncio.open_unix_connection(listen.path)
            else:
                reader, writer = await asyncio.open_connection(listen.host, listen.port, ssl=tls)
            try:
                writer.write(b"GET /-/ready HTTP/1.0\r\nHost: pbxapi\r\n\r\n")
                answer = await reader.read()
            finally:
                writer.close()
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
    except (OSError, ValueError):
        return None
    return told if isinstance(told, dict) and "ready" in told else None


def _reachable(asterisk: str, listen: Listen) -> Finding:
    """Whether the address that calls carry leads from Asterisk's host to here."""
    address = _address(listen.host)
    if is_here(asterisk):
        return ok(f"Asterisk is on this host and reaches agi://{listen}")
    if address is not None and (address.is_loopback or address.is_unspecified):
        return fail(
            f"Asterisk is on {asterisk}, where agi://{listen} is that host itself",
            "[fastagi] listen has to be the address of this host that Asterisk can reach",
        )
    return warn(
        f"whether Asterisk on {asterisk} reaches agi://{listen} shows in a call only",
        "let a firewall between them pass that port",
    )


def is_here(host: str) -> bool:
    """Whether a host is this one: one of its addresses can be listened on."""
    try:
        infos = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _name, address in infos:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
        except OSError:
            continue
        return True
    return False


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return ipaddress.ip_address("127.0.0.1") if host == "localhost" else None

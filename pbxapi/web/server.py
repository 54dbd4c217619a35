"""Listening for HTTP: on a TCP port or a unix socket, and a graceful end."""

import asyncio
import errno
import os
import socket
import ssl
import stat
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from pbxapi.config import Listen
from pbxapi.errors import UsageError
from pbxapi.web.backlog import Backlog
from pbxapi.web.connection import Connection, ShortWay
from pbxapi.web.crowd import Crowd
from pbxapi.web.intake import Intake
from pbxapi.web.tls import HANDSHAKE_TIMEOUT_S

#: At the end, requests under way get this long to be answered: the longest deadline of an action.
GRACE_S: Final = 10.0
#: Connections that may wait to be accepted; the kernel may allow fewer.
BACKLOG: Final = 1024
#: The proxy's user gets in by the group of the daemon: everybody else could say in
#: `X-Forwarded-For` what they like.
SOCKET_MODE: Final = 0o660

_log = structlog.get_logger()


@asynccontextmanager
async def serving(
    app: web.Application,
    listen: Listen,
    inherited: Sequence[socket.socket] = (),
    *,
    tls: ssl.SSLContext | None = None,
    crowd: Crowd | None = None,
    cut: Counter[str] | None = None,
    short_way: ShortWay | None = None,
) -> AsyncIterator[str]:
    """Serve until the block ends; requests under way are still answered then.

    Args:
        app: Answers.
        listen: Where to listen, unless …
        inherited: … these listen already: they are systemd's, which keeps them when we end.
        tls: For TCP; what comes by a unix socket has a proxy before it.
        crowd: How many connections there may be; without it as many as come.
        cut: Counts connections that were ended for their slowness, by what was slow.
        short_way: Answers requests that come again.

    Yields:
        The base URL, with the real port where port 0 was asked for.

    Raises:
        UsageError: the address cannot be had.
    """
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=GRACE_S)
    await runner.setup()
    try:
        # The runner has a server from setup to cleanup.
        connection = partial(
            Connection,
            runner.server,  # type: ignore[arg-type]  # it is there, see above
            Crowd() if crowd is None else crowd,
            Backlog(Counter() if cut is None else cut),
            Intake(),
            short_way,
        )
        async with _listening(connection, listen, inherited, tls) as url:
            _log.info("http.listening", url=url)
            yield url
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _listening(
    connection: Callable[[], Connection],
    listen: Listen,
    inherited: Sequence[socket.socket],
    tls: ssl.SSLContext | None,
) -> AsyncIterator[str]:
    """Accept connections until the block ends; those that are there live on."""
    try:
        listeners = [await _listen_on(connection, each, tls) for each in inherited] or [
            await _listen(connection, listen, tls)
        ]
    except OSError as error:
        raise UsageError(f"cannot listen on {listen}: {_reason(error)}") from error
    try:
        yield _url(listeners[0], tls)
    finally:
        for listener in listeners:
            listener.close()
        if listen.path and not inherited:
            await asyncio.to_thread(_remove_socket, listen.path)


def _reason(error: OSError) -> str:
    """Why, in a few words: asyncio repeats the address in its own."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)


async def _listen(
    connection: Callable[[], Connection], listen: Listen, tls: ssl.SSLContext | None
) -> asyncio.Server:
    if listen.path:
        return await _listen_on(connection, await asyncio.to_thread(_bind, listen.path), None)
    return await asyncio.get_running_loop().create_server(
        connection,
        listen.host,
        listen.port,
        backlog=BACKLOG,
        ssl=tls,
        ssl_handshake_timeout=_handshake_s(tls),
    )


async def _listen_on(
    connection: Callable[[], Connection], bound: socket.socket, tls: ssl.SSLContext | None
) -> asyncio.Server:
    loop = asyncio.get_running_loop()
    if bound.family == socket.AF_UNIX:
        return await loop.create_unix_server(connection, sock=bound, backlog=BACKLOG)
    return await loop.create_server(
        connection, sock=bound, backlog=BACKLOG, ssl=tls, ssl_handshake_timeout=_handshake_s(tls)
    )


def _handshake_s(tls: ssl.SSLContext | None) -> float | None:
    """The limit of time, which asyncio takes with TLS only."""
    return None if tls is None else HANDSHAKE_TIMEOUT_S


def _bind(path: str) -> socket.socket:
    """A unix socket of this path, in the place of one that a crash has left."""
    _remove_stale(path)
    bound = socket.socket(socket.AF_UNIX)
    try:
        bound.bind(path)
        Path(path).chmod(SOCKET_MODE)
    except OSError:
        bound.close()
        raise
    return bound


def _remove_stale(path: str) -> None:
    """Remove a socket that nobody listens on; anything else in its place is somebody's."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            _remove_socket(path)
        except FileNotFoundError:
            pass
        else:
            raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _remove_socket(path: str) -> None:
    with suppress(OSError):
        if stat.S_ISSOCK(Path(path).lstat().st_mode):
            Path(path).unlink()


def _url(listener: asyncio.Server, tls: ssl.SSLContext | None) -> str:
    bound = listener.sockets[0]
    if bound.family == socket.AF_UNIX:
        return f"http+unix://{bound.getsockname()}"
    scheme = "http" if tls is None else "https"
    host, port, *_ = bound.getsockname()
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"

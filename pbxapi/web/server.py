"""Listening for HTTP: on a TCP port or a unix socket, and a graceful end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from pbxapi.config import Listen
from pbxapi.errors import UsageError
from pbxapi.web.app import MAX_LINE_BYTES

#: At the end, requests under way get this long to be answered: the longest deadline of an action.
GRACE_S: Final = 10.0

_log = structlog.get_logger()


@asynccontextmanager
async def serving(app: web.Application, listen: Listen) -> AsyncIterator[str]:
    """Serve until the block ends; requests under way are still answered then.

    Yields:
        The base URL, with the real port where port 0 was asked for.

    Raises:
        UsageError: the address cannot be had.
    """
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=GRACE_S,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_LINE_BYTES,
    )
    await runner.setup()
    try:
        try:
            url = await _listen(runner, listen)
        except OSError as error:
            raise UsageError(f"cannot listen on {listen}: {error.strerror or error}") from error
        _log.info("http.listening", url=url)
        yield url
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, listen: Listen) -> str:
    site: web.BaseSite
    if listen.path:
        site = web.UnixSite(runner, listen.path)
        await site.start()
        return f"http+unix://{listen.path}"
    site = web.TCPSite(runner, listen.host, listen.port)
    await site.start()
    port = runner.addresses[0][1]
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return f"http://{host}:{port}"

"""The directory for an operator's command: it writes what the daemon's own role may only read."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from pbxapi import log
from pbxapi.config_reading import load
from pbxapi.directory.pool import Directory
from pbxapi.errors import DatabaseUnavailable, UsageError


@asynccontextmanager
async def directory_to_write(
    table: str, file: Path | None, environ: Mapping[str, str]
) -> AsyncIterator[Directory]:
    """The directory that the configuration names; a failure is told in one line.

    Raises:
        UsageError: the database cannot be used, with what to do; the role may not write `table`.
    """
    config = load(file, environ, require_ami_secret=False)
    log.configure("critical", "console")  # failures are told in one line, not in the daemon's way
    async with Directory(config.database.dsn) as directory:
        try:
            yield directory
        except DatabaseUnavailable as error:
            raise UsageError(
                f"database: {error}; see whether PostgreSQL runs and what `pbxapi db status` says;"
                f" the role needs to be one that may write {table}"
            ) from error

"""Whatever a test makes of the logs, the next one finds them as they were.

The program's commands configure both the standard library's logging and structlog for a whole
process, and tests run some of them in theirs.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog

from pbxapi import log


@contextmanager
def keeping_logging() -> Iterator[None]:
    """Give pytest's own handlers and structlog's configuration back."""
    root, access = logging.getLogger(), logging.getLogger("aiohttp.access")
    before = (root.handlers[:], root.level, access.handlers[:], access.propagate)
    structlog_before = structlog.get_config()
    log.set_request_facts({})
    try:
        yield
    finally:
        log.set_request_facts({})
        structlog.configure(**structlog_before)
        root.handlers[:], root.level, access.handlers[:], access.propagate = before
        root.setLevel(before[1])  # clears the cache of levels


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Whatever the test calls."""
    with keeping_logging():
        yield

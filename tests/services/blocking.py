"""Fails a test in which code of pbxapi blocks the event loop."""

from collections.abc import Iterator

import pytest
from blockbuster import BlockBuster, blockbuster_ctx


@pytest.fixture(autouse=True)
def blockbuster() -> Iterator[BlockBuster]:
    """On for every test; only calls made by pbxapi inside a running loop are looked at."""
    with blockbuster_ctx(scanned_modules=["pbxapi"]) as guard:
        yield guard

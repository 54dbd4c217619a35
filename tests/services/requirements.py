"""What a test does where the machine lacks a program or a service that it needs."""

import os
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test; fail it where PBXAPI_TEST_REQUIRE_ALL=1 says that everything must be there."""
    if os.environ.get("PBXAPI_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)

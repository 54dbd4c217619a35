"""What the tests share: their own lab of real servers, and the guard against blocking calls."""

import pytest

# Before the first of them is imported, since they import each other.
pytest.register_assert_rewrite("tests.services")

pytest_plugins = [
    "tests.services.asterisk_lab",
    "tests.services.blocking",
    "tests.services.daemon",
    "tests.services.phones",
    "tests.services.php",
    "tests.services.ports",
    "tests.services.postgres",
    "tests.services.proxy",
]

"""What the tests share: their own lab of real servers, and the guard against blocking calls."""

import pytest
from hypothesis import HealthCheck, settings

# How fast a machine draws examples says nothing about the code.
settings.register_profile("pbxapi", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pbxapi")

# Before the first of them is imported, since they import each other.
pytest.register_assert_rewrite("tests.services")

pytest_plugins = [
    "tests.services.asterisk_lab",
    "tests.services.blocking",
    "tests.services.daemon",
    "tests.services.logs",
    "tests.services.phones",
    "tests.services.php",
    "tests.services.ports",
    "tests.services.postgres",
    "tests.services.proxy",
    "tests.services.standing",
    "tests.services.systemd",
]


@pytest.hookimpl(trylast=True)  # after the order was shuffled
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what may take longest, so that no process is left alone with it at the end."""
    items.sort(key=_may_take_s, reverse=True)


def _may_take_s(item: pytest.Item) -> float:
    """Seconds; 0 for a test that has the usual ones."""
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0

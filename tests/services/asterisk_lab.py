"""Real Asterisk 16 (chan_sip) and 22 (chan_pjsip), started once per session and version.

A few tests run on 16 with both drivers too; they are parametrized with `ALL_VERSIONS`, indirectly.
A test that asks for `asterisk` runs on both, and gets the marker `asterisk`. It finds Asterisk up
and without a channel, and may do anything to it, kill it included: the fixture puts things right
afterwards. What Asterisk logged during a test that failed is part of the test's report.
"""

import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.services import trees
from tests.services.asterisk import VERSIONS, Asterisk, Version
from tests.services.ports import Ports
from tests.services.requirements import unavailable

#: Of a failed test's log, in characters.
_LOG_TAIL: Final = 20_000
_LOG_START: Final = pytest.StashKey[int]()


class AsteriskLab:
    """The session's Asterisks; each is started when the first test asks for it."""

    def __init__(self, ports: Ports) -> None:
        # A short path: the CLI's socket lies in it, and its name may have 107 characters.
        self.directory = Path(tempfile.mkdtemp(prefix="pbxapi-lab-"))
        self._ports = ports
        self._running: dict[Version, Asterisk] = {}

    def get(self, version: Version) -> Asterisk:
        """That version, running; skips the test where the machine does not have it."""
        if version not in self._running:
            tree = trees.find(version.removesuffix("-both"))
            if tree is None:
                unavailable(f"Asterisk {version} is not in the cache: `make test` provides it")
            directory = self.directory / version
            self._running[version] = Asterisk(version, tree, directory, self._ports)
            self._running[version].start()
        return self._running[version]

    def close(self) -> None:
        """Stop all and remove their files."""
        for asterisk in self._running.values():
            asterisk.stop()
        shutil.rmtree(self.directory)


@pytest.fixture(scope="session")
def asterisk_lab(ports: Ports) -> Iterator[AsteriskLab]:
    """Both versions, for the few who need a particular one."""
    lab = AsteriskLab(ports)
    try:
        yield lab
    finally:
        lab.close()


@pytest.fixture(params=VERSIONS, ids=lambda version: f"asterisk{version}")
def asterisk(
    request: pytest.FixtureRequest, asterisk_lab: AsteriskLab
) -> Generator[Asterisk, None, None]:
    """A real Asterisk, up and without channels; the test runs once on each version."""
    server = asterisk_lab.get(request.param)
    server.make_clean()
    request.node.stash[_LOG_START] = server.log.stat().st_size
    yield server
    server.make_clean()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add to a failed test what Asterisk logged while it ran."""
    report = yield
    server = getattr(item, "funcargs", {}).get("asterisk")
    if not report.failed or not isinstance(server, Asterisk) or _LOG_START not in item.stash:
        return report
    if server.log.exists():  # the last teardown removes it
        with server.log.open("rb") as log:
            log.seek(item.stash[_LOG_START])
            text = log.read().decode("utf-8", "replace")[-_LOG_TAIL:]
        report.sections.append((f"log of Asterisk {server.version}", text))
    return report


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs Asterisk, before markers are selected by."""
    for item in items:
        if "asterisk_lab" in getattr(item, "fixturenames", ()):
            item.add_marker("asterisk")

"""When the daemon is ready, and what it says of itself."""

from unittest.mock import PropertyMock

import pytest

from pbxapi.ami.manager import AmiManager
from pbxapi.monitoring.readiness import readiness
from pbxapi.monitoring.sources import Sources
from tests.monitoring.sources import make_sources

NOW = 1000.0


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> PropertyMock:
    state = PropertyMock(return_value=True)
    monkeypatch.setattr(AmiManager, "connected", state)
    return state


@pytest.fixture
def sources() -> Sources:
    made = make_sources()
    for picture in made.pictures.values():
        picture.freshness.listed()
    return made


@pytest.mark.usefixtures("connected")
def test_everything_is_up(sources: Sources) -> None:
    ready, report = readiness(sources, NOW, database=True)
    assert ready
    assert report == {
        "ami": True,
        "database": True,
        "fastagi": True,
        "cache_age_s": {"channels": 0.0, "queues": 0.0, "peers": 0.0},
    }


def test_without_asterisk(connected: PropertyMock, sources: Sources) -> None:
    connected.return_value = False
    for picture in sources.pictures.values():
        picture.freshness.lost(NOW - 2.04)
    ready, report = readiness(sources, NOW, database=True)
    assert not ready
    assert report["ami"] is False
    assert report["cache_age_s"] == {"channels": 2.0, "queues": 2.0, "peers": 2.0}


@pytest.mark.usefixtures("connected")
def test_without_the_database(sources: Sources) -> None:
    assert not readiness(sources, NOW, database=False).ready


@pytest.mark.usefixtures("connected")
def test_without_fastagi(sources: Sources) -> None:
    sources.agi.is_listening = False
    assert not readiness(sources, NOW, database=True).ready


@pytest.mark.usefixtures("connected")
@pytest.mark.parametrize("cache", ["channels", "queues", "peers"])
def test_without_one_of_the_pictures(cache: str) -> None:
    sources = make_sources()
    for name, picture in sources.pictures.items():
        if name != cache:
            picture.freshness.listed()
    ready, report = readiness(sources, NOW, database=True)
    assert not ready
    assert report["cache_age_s"][cache] is None

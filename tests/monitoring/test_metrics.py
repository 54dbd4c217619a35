"""The metrics as Prometheus reads them."""

import asyncio
import math

from prometheus_client.parser import text_string_to_metric_families

from pbxapi import tallies
from pbxapi.errors import DatabaseUnavailable
from pbxapi.monitoring.database import DatabaseProbe
from pbxapi.monitoring.monitor import Monitor
from pbxapi.monitoring.sources import Sources
from pbxapi.web.tally import BOUNDS_S, RequestTally
from tests.monitoring.sources import make_sources

NOW = 1000.0


class Database:
    """Answers, and counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self, _name: str, /, *_args: object) -> list[int]:
        self.asked += 1
        return [1]


Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


async def scrape(sources: Sources) -> Samples:
    """Name and labels of each sample → its value, by Prometheus' own parser."""
    monitor = Monitor(sources, DatabaseProbe(Database(), lambda: NOW), lambda: NOW)
    text = (await monitor.metrics()).decode()
    samples = [
        sample for family in text_string_to_metric_families(text) for sample in family.samples
    ]
    found = {(s.name, tuple(sorted(s.labels.items()))): s.value for s in samples}
    assert len(found) == len(samples), "a sample comes twice"
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


async def test_requests_are_counted_by_action_and_code() -> None:
    sources = make_sources()
    for errno in (0, 0, 900):
        sources.requests.finished("queuestatus", errno, 0.02)
    samples = await scrape(sources)
    total = "pbxapi_requests_total"
    assert value(samples, total, action="queuestatus", errno="0") == 2
    assert value(samples, total, action="queuestatus", errno="900") == 1
    assert value(samples, total, action="listcalls", errno="0") == 1


async def test_durations_are_cumulative_by_upper_bound() -> None:
    sources = make_sources()
    for took_s in (0.0005, 0.0006, 0.3, 99):
        sources.requests.finished("originate", 0, took_s)
    samples = await scrape(sources)
    name = "pbxapi_request_duration_seconds"
    buckets = [
        value(samples, f"{name}_bucket", action="originate", le=le)
        for le in ("0.0005", "0.001", "0.25", "0.5", "10", "+Inf")
    ]
    assert buckets == [1, 2, 2, 3, 3, 4]
    assert value(samples, f"{name}_count", action="originate") == 4
    assert math.isclose(value(samples, f"{name}_sum", action="originate"), 99.3011)


async def test_nothing_that_a_client_says_becomes_a_label() -> None:
    sources = make_sources()
    for action in (None, "", "nonsense", "listcalls\n", 'x"} 1'):
        sources.requests.finished(action, 110, 0.001)
    samples = await scrape(sources)
    assert value(samples, "pbxapi_requests_total", action="unknown", errno="110") == 5
    actions = {dict(labels).get("action") for _name, labels in samples}
    assert actions == {None, "unknown", "listcalls"}


async def test_an_age_that_nobody_knows_is_infinite_and_grows_when_the_session_is_lost() -> None:
    sources = make_sources()
    sources.pictures["queues"].freshness.listed()
    sources.pictures["peers"].freshness.listed()
    sources.pictures["peers"].freshness.lost(NOW - 12)
    samples = await scrape(sources)
    ages = {
        cache: value(samples, "pbxapi_cache_age_seconds", cache=cache) for cache in sources.pictures
    }
    assert ages == {"channels": math.inf, "queues": 0, "peers": 12}


async def test_events_are_counted_by_kind_and_others_together() -> None:
    sources = make_sources()
    sources.events["Newchannel"] += 7
    samples = await scrape(sources)
    kinds = {
        dict(labels)["event"]: count
        for (name, labels), count in samples.items()
        if name == "pbxapi_ami_events_total"
    }
    assert kinds["Newchannel"] == 7
    assert set(kinds) == {*sources.events, "other"}


async def test_lock_outs_are_counted() -> None:
    sources = make_sources()
    for _ in range(10):
        sources.lockout.failed("voipsun", None)
    samples = await scrape(sources)
    counts = {
        what: value(samples, "pbxapi_lockouts_total", what=what)
        for what in ("name", "address", "home")
    }
    assert counts == {"name": 1, "address": 0, "home": 0}
    assert value(samples, "pbxapi_lockout_refusals_total") == 0


async def test_the_process_is_there_too() -> None:
    samples = await scrape(make_sources())
    assert value(samples, "process_resident_memory_bytes") > 1_000_000
    assert value(samples, "process_open_fds") > 2


async def test_the_loop_comes_late_and_is_seen_to() -> None:
    sources = make_sources()
    sources.loop_lag.late.add(0.03)
    samples = await scrape(sources)
    name = "pbxapi_event_loop_lag_seconds"
    assert value(samples, f"{name}_bucket", le="0.025") == 0
    assert value(samples, f"{name}_bucket", le="0.05") == 1


async def test_tasks_are_counted() -> None:
    before = value(await scrape(make_sources()), "pbxapi_tasks")
    more = asyncio.create_task(asyncio.sleep(60))
    assert value(await scrape(make_sources()), "pbxapi_tasks") == before + 1
    more.cancel()


async def test_the_database_is_asked_once_a_second_whoever_wants_to_know() -> None:
    database, times = Database(), iter((5.0, 5.0, 5.5, 5.9, 6.0, 6.0, 6.1))
    probe = DatabaseProbe(database, lambda: next(times))
    for _ in range(5):
        assert await probe.is_up()
    assert database.asked == 2


async def test_a_database_that_does_not_answer_is_down() -> None:
    class Down:
        async def fetch(self, _name: str, /, *_args: object) -> list[int]:
            raise DatabaseUnavailable("it is down")

    assert not await DatabaseProbe(Down(), lambda: NOW).is_up()


def test_a_bound_includes_its_own_value() -> None:
    durations = tallies.Durations((1, 2))
    for seconds in (1, 1.5, 2, 2.5):
        durations.add(seconds)
    assert (durations.counts, durations.total_s, len(durations)) == ([1, 2, 1], 7, 4)


def test_bounds_ascend() -> None:
    assert sorted(set(BOUNDS_S)) == list(BOUNDS_S)
    assert RequestTally(()).durations.keys() == {"unknown"}

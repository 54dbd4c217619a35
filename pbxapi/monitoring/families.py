"""The metrics: names, what they mean, and where each value is read.

Labels have bounded values: actions, error codes, events and reasons that the code knows. Nothing
that a client, Asterisk or the directory says becomes one.
"""

import asyncio
import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)

from pbxapi import __version__
from pbxapi.access.lockout import Lockout
from pbxapi.monitoring.sources import Sources
from pbxapi.tallies import Durations

#: Stands for all events of AMI that nobody wants, which are dropped before they are decoded.
OTHER_EVENTS: Final = "other"

#: The names of labels; values of a family are by theirs, tuples of the same length.
_Labels = tuple[str, ...]


def families(sources: Sources, now: float, *, database: bool, ready: bool) -> Iterator[Metric]:
    """All metrics at this monotonic instant."""
    yield _gauge("pbxapi_ready", "Whether requests can be answered, as /-/ready says.", ready)
    yield from _requests(sources)
    yield from _lockouts(sources.lockout)
    yield from _ami(sources)
    yield from _caches(sources, now)
    yield from _fastagi(sources)
    yield from _recordings(sources)
    yield _gauge("pbxapi_database_up", "Whether the database answers.", database)
    yield _histogram(
        "pbxapi_event_loop_lag_seconds",
        "By how much the event loop comes too late, measured four times a second.",
        {(): sources.loop_lag.late},
    )
    yield _gauge("pbxapi_tasks", "Tasks of the event loop.", len(asyncio.all_tasks()))
    build = {"version": __version__, "python": platform.python_version()}
    yield InfoMetricFamily("pbxapi_build", "What is running.", value=build)


def _requests(sources: Sources) -> Iterator[Metric]:
    requests = sources.requests
    timed = {(name,): took for name, took in requests.durations.items() if took}
    yield _counters(
        "pbxapi_requests",
        "Requests of the legacy path by action and code of the error, 0 where there was none.",
        ("action", "errno"),
        {(name, str(errno)): count for (name, errno), count in requests.answers.items()},
    )
    yield _histogram(
        "pbxapi_request_duration_seconds",
        "From the request to its answer.",
        timed,
        ("action",),
    )
    yield _counters(
        "pbxapi_http_connections_cut",
        "Connections that were ended since a request did not come, or an answer was not taken, or "
        "others needed the room.",
        ("reason",),
        {(reason,): requests.cut[reason] for reason in ("head", "answer", "crowded", "greedy")},
    )
    yield _counters(
        "pbxapi_http_connections_crowded",
        "Connections that were closed since there were too many, of all or of one address.",
        ("limit",),
        {(limit,): requests.crowded[limit] for limit in ("all", "address")},
    )


def _lockouts(lockout: Lockout) -> Iterator[Metric]:
    yield _counters(
        "pbxapi_lockouts",
        "How often wrong passwords have locked out a user name, an address, or a user at home.",
        ("what",),
        {(what,): lockout.begun[what] for what in ("name", "address", "home")},
    )
    yield _counter("pbxapi_lockout_refusals", "Requests of who was locked out.", lockout.refused)


def _ami(sources: Sources) -> Iterator[Metric]:
    manager = sources.manager
    traffic = manager.traffic
    yield _gauge("pbxapi_ami_connected", "Whether an AMI session is up.", manager.connected)
    yield _counter("pbxapi_ami_connects", "AMI sessions that were logged in.", manager.connects)
    yield _counters(
        "pbxapi_ami_failures",
        "AMI sessions that were lost or could not be had.",
        ("reason",),
        {("login_refused",): manager.login_refusals, ("unavailable",): manager.failures},
    )
    yield _counters(
        "pbxapi_ami_events",
        "Events of Asterisk; those that nobody wants are dropped unread, and are `other`.",
        ("event",),
        {(OTHER_EVENTS,): traffic.skipped}
        | {(name,): count for name, count in sorted(sources.events.items())},
    )
    yield _counter(
        "pbxapi_ami_orphan_answers",
        "Answers of Asterisk that came when nobody waited for them any more.",
        traffic.orphans,
    )


def _caches(sources: Sources, now: float) -> Iterator[Metric]:
    pictures = {(name,): picture for name, picture in sources.pictures.items()}
    yield _gauges(
        "pbxapi_cache_age_seconds",
        "How old a cache is: 0 while it follows the events, +Inf before its first list.",
        ("cache",),
        {key: picture.freshness.age_s(now) for key, picture in pictures.items()},
    )
    yield _gauges(
        "pbxapi_cache_entries",
        "How many channels, peers and queues there are.",
        ("cache",),
        {key: picture.size() for key, picture in pictures.items()},
    )
    yield _counters(
        "pbxapi_cache_lists",
        "Complete lists of all that is in a cache.",
        ("cache",),
        {key: picture.lists() for key, picture in pictures.items()},
    )
    yield _counters(
        "pbxapi_cache_differences",
        "Differences between a cache and a list that no event explains; they were mended.",
        ("cache",),
        {key: one.repaired() for key, one in pictures.items() if one.repaired is not None},
    )


def _fastagi(sources: Sources) -> Iterator[Metric]:
    agi = sources.agi
    yield _gauge("pbxapi_fastagi_listening", "Whether Asterisk can reach us.", agi.is_listening)
    yield _counters(
        "pbxapi_fastagi_calls",
        "Conversations over FastAGI by script and outcome; `interrupted`: the call lacks fields.",
        ("script", "outcome"),
        agi.served,
    )
    yield _counters(
        "pbxapi_fastagi_refused",
        "Connections to FastAGI that were ended without a word.",
        ("reason",),
        {(reason,): count for reason, count in agi.refused.items()},
    )
    yield _gauge(
        "pbxapi_fastagi_cards", "Calls whose fields wait to be fetched.", len(sources.cards)
    )
    yield _counter(
        "pbxapi_fastagi_cards_dropped",
        "Calls that lost their fields, since too many were waiting.",
        sources.cards.dropped,
    )


def _recordings(sources: Sources) -> Iterator[Metric]:
    outcomes = sources.recordings.outcomes
    yield _counters(
        "pbxapi_recording_moves",
        "Moves of recordings: as requests were told, and what became of those interrupted.",
        ("outcome",),
        {(name,): outcomes[name] for name in ("moved", "not_moved", "recovered", "undone")},
    )
    yield _gauge(
        "pbxapi_recording_moves_unsettled",
        "Interrupted moves that can be neither finished nor undone now.",
        sources.recordings.unsettled,
    )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=float(value))


def _counter(name: str, meaning: str, value: int) -> Metric:
    return CounterMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, labels: _Labels, values: Mapping[Any, float]) -> Metric:
    return _with(GaugeMetricFamily(name, meaning, labels=labels), values)


def _counters(name: str, meaning: str, labels: _Labels, values: Mapping[Any, float]) -> Metric:
    return _with(CounterMetricFamily(name, meaning, labels=labels), values)


def _with(family: GaugeMetricFamily | CounterMetricFamily, values: Mapping[Any, float]) -> Metric:
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family


def _histogram(
    name: str, meaning: str, values: Mapping[Any, Durations], labels: _Labels = ()
) -> Metric:
    family = HistogramMetricFamily(name, meaning, labels=labels)
    for key, durations in values.items():
        family.add_metric(key, list(_buckets(durations)), durations.total_s)
    return family


def _buckets(durations: Durations) -> Iterable[tuple[str, float]]:
    """Upper bound → how many were not longer, as Prometheus has it."""
    so_far = 0
    bounds = (*map(str, durations.bounds_s), "+Inf")
    for bound, count in zip(bounds, durations.counts, strict=True):
        so_far += count
        yield bound, so_far

"""The end of a run, for people and for machines."""

import json

from pbxapi.load.report import Report, as_json, as_table
from pbxapi.load.tally import Tally


def tally(*latencies_ms: float, **failures: int) -> Tally:
    made = Tally()
    for latency in latencies_ms:
        made.add(latency / 1000, "", 100)
    for kind, count in failures.items():
        made.failures[kind.replace("_", " ")] += count
    return made


def report(**changes: object) -> Report:
    given = {
        "target": "127.0.0.1:8080",
        "clients": 8,
        "rate": None,
        "seconds": 2.0,
        "took_s": 2.0,
        "interrupted": False,
        "left_out": 0,
        "under_way": 0,
        "cpu": 0.25,
        "actions": {"sipstatus": tally(errno_900=2), "listcalls": tally(1, 2, 3, 4, errno_900=1)},
    }
    return Report(**(given | changes))  # type: ignore[arg-type]  # fields by name


def test_table() -> None:
    assert (
        as_table(report())
        == """\
8 clients, as fast as it goes, 2.0 s

ACTION     REQUESTS  OK/S  FAILED   P50   P95   P99   MAX  MS
listcalls         5   2.0       1  2.00  4.00  4.00  4.00
sipstatus         2   0.0       2     -     -     -     -
total             7   2.0       3  2.00  4.00  4.00  4.00

failed:
  listcalls: 1 x errno 900
  sipstatus: 2 x errno 900"""
    )


def test_what_is_not_as_it_should_be_is_said() -> None:
    text = as_table(report(rate=50.0, interrupted=True, left_out=7, under_way=2, cpu=0.95))
    assert "8 clients, 50 requests/s, 2.0 s, interrupted" in text
    assert "7 requests were due and never begun" in text
    assert "2 requests were under way" in text
    assert "busy (95% of a core)" in text


def test_a_run_without_any_request() -> None:
    assert as_table(report(actions={}, took_s=0.0)).splitlines()[-1].split() == [
        "total", "0", "0.0", "0", "-", "-", "-", "-",
    ]  # fmt: skip


def test_the_keys_of_the_json_stay() -> None:
    data = json.loads(as_json(report()))
    assert list(data) == [
        "target", "clients", "rate", "seconds", "took_s", "interrupted", "left_out", "under_way",
        "cpu", "total", "actions",
    ]  # fmt: skip
    assert list(data["actions"]) == ["listcalls", "sipstatus"]
    assert data["actions"]["listcalls"] == {
        "requests": 5,
        "succeeded": 4,
        "failed": 1,
        "failures": {"errno 900": 1},
        "per_s": 2.0,
        "body_bytes": 400,
        "latency_ms": {"mean": 2.5, "p50": 2.0, "p95": 4.0, "p99": 4.0, "max": 4.0},
    }
    assert data["total"]["requests"] == 7

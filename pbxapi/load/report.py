"""The end of a run, for people as a table and for machines as JSON.

The keys of the JSON stay what they are; there may be more of them some day:

    target, clients, rate (null: as fast as it goes), seconds (asked for), took_s, interrupted (by a
    signal), actions (of each action what `total` has), total:
        requests, succeeded, failed, failures (how many by kind), per_s (successes a second),
        body_bytes, latency_ms: mean, p50, p95, p99, max
    left_out: requests that were due at the fixed rate and never begun, since no client was free
    under_way: requests that a signal left without their answer
    cpu: share of one core that the generator itself used
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pbxapi.load.tally import Tally

_PERCENTILES: Final = (50, 95, 99)
#: Share of a core from which on the generator may be what limits.
_BUSY: Final = 0.9
_HEAD: Final = ("ACTION", "REQUESTS", "OK/S", "FAILED", "P50", "P95", "P99", "MAX", "MS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One run that has ended."""

    target: str
    clients: int
    rate: float | None
    seconds: float
    took_s: float
    interrupted: bool
    left_out: int
    under_way: int
    cpu: float
    actions: Mapping[str, Tally]

    @property
    def total(self) -> Tally:
        """Of all actions together."""
        total = Tally()
        for tally in self.actions.values():
            total.merge(tally)
        return total


def as_json(report: Report) -> str:
    """The report for machines."""
    return json.dumps(
        {
            "target": report.target,
            "clients": report.clients,
            "rate": report.rate,
            "seconds": report.seconds,
            "took_s": round(report.took_s, 3),
            "interrupted": report.interrupted,
            "left_out": report.left_out,
            "under_way": report.under_way,
            "cpu": round(report.cpu, 3),
            "total": _figures(report.total, report.took_s),
            "actions": {
                name: _figures(tally, report.took_s)
                for name, tally in sorted(report.actions.items())
            },
        }
    )


def _figures(tally: Tally, took_s: float) -> dict[str, Any]:
    latencies = tally.latencies
    return {
        "requests": tally.requests,
        "succeeded": tally.succeeded,
        "failed": tally.failures.total(),
        "failures": dict(tally.failures.most_common()),
        "per_s": round(_per_s(tally, took_s), 1),
        "body_bytes": tally.body_bytes,
        "latency_ms": {
            "mean": _ms(latencies.mean_s),
            **{f"p{percent}": _ms(latencies.percentile_s(percent)) for percent in _PERCENTILES},
            "max": _ms(latencies.max_s),
        },
    }


def as_table(report: Report) -> str:
    """The report for people."""
    pace = "as fast as it goes" if report.rate is None else f"{report.rate:g} requests/s"
    until = ", interrupted" if report.interrupted else ""
    rows = [_row(name, tally, report.took_s) for name, tally in sorted(report.actions.items())]
    rows.append(_row("total", report.total, report.took_s))
    lines = [
        f"{report.clients} clients, {pace}, {report.took_s:.1f} s{until}",
        "",
        *_aligned([_HEAD, *rows]),
    ]
    failures = [
        f"  {name}: {count} x {kind}"
        for name, tally in sorted(report.actions.items())
        for kind, count in tally.failures.most_common()
    ]
    if failures:
        lines += ["", "failed:", *failures]
    if report.left_out:
        lines += [
            "",
            f"{report.left_out} requests were due and never begun: no client was free.",
            "The percentiles lack them. The daemon does not keep up, or there are too few clients.",
        ]
    if report.under_way:
        lines += ["", f"{report.under_way} requests were under way at the end."]
    if report.cpu > _BUSY:
        lines += [
            "",
            f"The generator was busy ({report.cpu:.0%} of a core): these may be its limits.",
        ]
    return "\n".join(lines)


def _row(name: str, tally: Tally, took_s: float) -> tuple[str, ...]:
    latencies = tally.latencies
    values = [*(latencies.percentile_s(percent) for percent in _PERCENTILES), latencies.max_s]
    return (
        name,
        str(tally.requests),
        f"{_per_s(tally, took_s):.1f}",
        str(tally.failures.total()),
        *(f"{_ms(value):.2f}" if latencies.count else "-" for value in values),
        "",
    )


def progress(second: int, total: Tally, before: int) -> str:
    """One line while it runs; `before` is how many requests had ended a second ago."""
    p50, p99 = (_ms(total.latencies.percentile_s(percent)) for percent in (50, 99))
    return (
        f"{second:4} s  {total.requests - before:7} requests/s  {total.failures.total():6} failed"
        f"  p50 {p50:.2f} ms  p99 {p99:.2f} ms"
    )


def _per_s(tally: Tally, took_s: float) -> float:
    return tally.succeeded / took_s if took_s > 0 else 0.0


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]

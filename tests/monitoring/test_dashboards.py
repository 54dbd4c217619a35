"""The dashboard and the alert rules that we ship name metrics that there are."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.sources import make_sources
from tests.monitoring.test_metrics import scrape

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: Metric names in an expression of PromQL: ours, and those of the process.
NAMES = re.compile(r"\b(?:pbxapi|process)_\w+")


def expressions_of_the_dashboard() -> list[str]:
    board: dict[str, Any] = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def expressions_of_the_rules() -> list[str]:
    """What stands after `expr:`, up to the next key of the same rule."""
    text = (DOCS / "prometheus-rules.yml").read_text("utf-8")
    return re.findall(r"^ {8}expr: (.*?)^ {8}\w", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
async def metrics() -> set[str]:
    """Names of all samples that a scrape can have."""
    return {name for name, _labels in await scrape(make_sources())}


def names_in(expressions: list[str]) -> set[str]:
    return {name for expression in expressions for name in NAMES.findall(expression)}


async def test_all_metrics_of_the_dashboard_exist(metrics: set[str]) -> None:
    named = names_in(expressions_of_the_dashboard())
    assert len(named) > 20
    assert named - metrics == set()


async def test_the_dashboard_leaves_none_of_ours_out(metrics: set[str]) -> None:
    parts = re.compile(r"_(bucket|sum|count)$")
    named = {parts.sub("", name) for name in names_in(expressions_of_the_dashboard())}
    ours = {parts.sub("", name) for name in metrics if name.startswith("pbxapi_")}
    assert ours - named == {"pbxapi_build_info"}


async def test_all_metrics_of_the_alert_rules_exist(metrics: set[str]) -> None:
    named = names_in(expressions_of_the_rules())
    assert len(named) > 10
    assert named - metrics == set()


def test_every_alert_is_explained() -> None:
    rules = (DOCS / "prometheus-rules.yml").read_text("utf-8")
    alerts = re.findall(r"- alert: (\w+)$", rules, re.MULTILINE)
    assert len(alerts) == len(expressions_of_the_rules()) > 10
    text = (DOCS / "operations.md").read_text("utf-8").partition("\n## What to watch\n")[2]
    explained = re.findall(r"^\| `(Pbxapi\w+)` \|", text.partition("\n## ")[0], re.MULTILINE)
    assert explained == alerts


def test_panels_of_the_dashboard_do_not_lie_upon_each_other() -> None:
    board = json.loads((DOCS / "grafana-dashboard.json").read_text("utf-8"))
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in board["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])

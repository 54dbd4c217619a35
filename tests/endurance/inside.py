"""What the daemon says of itself: `/-/metrics`, as far as it tells of what is kept in memory."""

from collections.abc import Mapping
from typing import Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from yarl import URL

from tests.services.daemon import PASSWORD, USERNAME

#: What holds memory and can be counted.
COUNTS: Final = ("pbxapi_tasks", "pbxapi_fastagi_cards", "pbxapi_cache_entries")
#: Upper bounds of buckets, in seconds, that the report tells.
BOUNDS: Final = ("0.1", "0.25", "0.5", "1", "5")
_LAG: Final = "pbxapi_event_loop_lag_seconds"
_TOOK: Final = "pbxapi_request_duration_seconds"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=10)

Numbers = Mapping[str, float]


async def look_inside(url: str) -> Numbers:
    """All metrics, by name and labels; nothing where there is no answer."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT) as session,
            session.get(
                URL(url).with_path("/-/metrics"),
                headers={"Authorization": aiohttp.encode_basic_auth(USERNAME, PASSWORD)},
            ) as got,
        ):
            text = await got.text() if got.ok else ""
    except (aiohttp.ClientError, TimeoutError):
        return {}
    return {
        " ".join((sample.name, *sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def counts(numbers: Numbers) -> dict[str, float]:
    """What is kept in memory."""
    return {name: value for name, value in numbers.items() if name.startswith(COUNTS)}


def slowness(numbers: Numbers) -> dict[str, dict[str, float]]:
    """How often the event loop came later, or the daemon took longer, than so many seconds."""
    told = {}
    for name, total in numbers.items():
        what, _, rest = name.partition("_count")
        if what in (_LAG, _TOOK):
            within = {bound: numbers.get(f"{what}_bucket{rest} {bound}", total) for bound in BOUNDS}
            told[what + rest] = {bound: total - count for bound, count in within.items()}
    return told

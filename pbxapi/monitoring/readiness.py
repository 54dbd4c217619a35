"""Whether the daemon can answer, and what is up."""

import math

from pbxapi.cache.freshness import MAX_AGE_S
from pbxapi.monitoring.sources import Sources
from pbxapi.web.probes import Readiness


def readiness(sources: Sources, now: float, *, database: bool) -> Readiness:
    """How it is at this monotonic instant; `database` tells whether that answers.

    The age of a cache is 0 as long as it follows Asterisk's events, and null before its first list.
    """
    ages = {name: one.freshness.age_s(now) for name, one in sources.pictures.items()}
    up = {
        "ami": sources.manager.connected,
        "database": database,
        "fastagi": sources.agi.is_listening,
    }
    believed = all(age <= MAX_AGE_S for age in ages.values())
    caches = {name: round(age, 1) if math.isfinite(age) else None for name, age in ages.items()}
    return Readiness(believed and all(up.values()), {**up, "cache_age_s": caches})

"""Says whether the daemon does what it is for: when it is ready, how it is, and that it lives.

All of it runs in the event loop. A loop that hangs, or is too busy to answer anybody, tells
nothing, and the watchdog of systemd starts the daemon anew.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Final, NoReturn

import structlog

from pbxapi.systemd import Notifier

#: An Asterisk that is there is known in a second or two, one with 5,000 peers in four. What waits
#: for us at a boot should not wait for an Asterisk that does not come.
READY_WITHIN_S: Final = 20.0
_LOOK_S: Final = 0.1
#: How old a status may be.
_STATUS_S: Final = 5.0
#: sd_watchdog_enabled(3) recommends half of the time; one signal may be lost.
_SIGNS_OF_LIFE: Final = 3

_log = structlog.get_logger()

Ages = Callable[[], Mapping[str, float]]


async def supervise(
    notifier: Notifier, ages: Ages, *, ready_within_s: float = READY_WITHIN_S
) -> NoReturn:
    """Tell until cancelled.

    Args:
        notifier: Who is told.
        ages: How many seconds old each picture of the PBX is; infinite where there is none.
        ready_within_s: Ready or not, so long after the start we say that we are.
    """
    deadline = time.monotonic() + ready_within_s
    while (missing := _missing(ages())) and time.monotonic() < deadline:
        notifier.alive(status(ages()))
        await asyncio.sleep(_LOOK_S)
    notifier.ready(status(ages()))
    (_log.warning if missing else _log.info)("daemon.ready", missing=missing)
    pause_s = min(_STATUS_S, (notifier.watchdog_s or math.inf) / _SIGNS_OF_LIFE)
    while True:
        await asyncio.sleep(pause_s)
        notifier.alive(status(ages()))


def _missing(ages: Mapping[str, float]) -> list[str]:
    return [name for name, age_s in ages.items() if math.isinf(age_s)]


def status(ages: Mapping[str, float]) -> str:
    """One line on how well the PBX is known."""
    if missing := _missing(ages):
        return f"Asterisk has not told us yet of its {', '.join(missing)}"
    oldest_s = max(ages.values())
    if oldest_s > 0:
        return f"Asterisk has been away for {oldest_s:.0f} s"
    return f"In step with Asterisk: {', '.join(ages)}"

"""The endurance run in small: half a minute with faults every few seconds, then everything agrees.

`python -m tests.endurance --minutes 60` is the real one; there memory has to be flat too.
"""

import json

import pytest

from tests.endurance.run import run
from tests.endurance.vitals import slope

SECONDS = 30
SEED = 3


@pytest.mark.postgres
@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(300)
async def test_after_faults_for_half_a_minute_nothing_is_lost_doubled_wrong_or_left() -> None:
    report = await run(SECONDS, SEED)
    assert report["wrong"] == [], json.dumps(report, indent=1)
    # … and there was something that could have gone wrong.
    assert sum(report["faults"].values()) >= 5
    assert report["originates"]["told_begun"] >= 10
    assert report["compared_at_the_end"]["queues"] == 50
    assert report["compared_at_the_end"]["legs"] > 5


def test_a_slope_is_told_from_noise() -> None:
    noise = [(float(second), 1000.0 + second % 7) for second in range(600)]
    rising = [(at, value + at / 10) for at, value in noise]
    flat, steep = slope(noise), slope(rising)
    assert flat is not None
    assert steep is not None
    assert not flat.rises
    assert steep.rises
    assert abs(steep.per_minute - 6) < 1
    assert slope(noise[:10]) is None

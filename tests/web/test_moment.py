"""The instant that the requests of one round of the loop share."""

import asyncio

from pbxapi.web.moment import Moment


async def test_it_stands_still_within_a_round_of_the_loop_and_no_longer() -> None:
    moment = Moment()
    first = moment()
    assert moment() == first
    await asyncio.sleep(0)
    assert moment() > first

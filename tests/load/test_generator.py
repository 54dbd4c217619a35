"""Pace and clients, in a time of their own: a server that stands still cannot hide it."""

import asyncio
from itertools import repeat

from pbxapi.load.connection import Answer
from pbxapi.load.generator import RETRY_S, Generator
from pbxapi.load.mix import Question
from pbxapi.load.pace import Pace
from pbxapi.load.report import progress
from pbxapi.load.tally import Tally

SECONDS = 10.0
RATE = 100.0
SERVICE_S = 0.001


class Time:
    """A clock that only moves when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


class Server:
    """Answers within `service_s`, and once takes `stall_s`."""

    def __init__(
        self, time: Time, stall_s: float = SERVICE_S, service_s: float = SERVICE_S
    ) -> None:
        self.time = time
        self.service_s = service_s
        self.stall_s = stall_s
        self.answer = Answer("", b"{}")
        self.asked: list[float] = []

    async def ask(self, _request: bytes) -> Answer:
        self.asked.append(self.time())
        is_stall = len(self.asked) == int(RATE * SECONDS / 2)
        await self.time.sleep(self.stall_s if is_stall else self.service_s)
        return self.answer


async def load(server: Server, rate: float | None) -> tuple[Tally, Pace]:
    time = server.time
    pace = Pace(rate, time(), time() + SECONDS)
    questions = repeat(Question("listcalls", b""))
    generator = Generator(questions, pace, time, time.sleep)
    await generator.run([server])
    assert generator.begun == len(server.asked)
    return generator.tallies["listcalls"], pace


async def test_a_stall_is_in_the_percentiles_of_a_fixed_rate() -> None:
    server = Server(Time(), stall_s=1.0)
    tally, pace = await load(server, RATE)
    assert (tally.requests, pace.left_out(server.time())) == (RATE * SECONDS, 0)
    # A tenth of all requests was due while it stood still; each waited for the rest of that time.
    assert 0.9 < tally.latencies.percentile_s(99) <= 1.0
    assert tally.latencies.percentile_s(85) <= SERVICE_S * 1.002


async def test_who_waits_for_answers_before_he_asks_again_does_not_see_it() -> None:
    """Why there is a rate: the same stall, one value of thousands."""
    tally, _ = await load(Server(Time(), stall_s=1.0), None)
    assert tally.requests > 5000
    assert tally.latencies.percentile_s(99) <= SERVICE_S * 1.002
    assert tally.latencies.max_s > 0.99


async def test_requests_begin_when_they_are_due() -> None:
    server = Server(Time())
    await load(server, RATE)
    began = server.asked[0]
    late = [moment - (began + number / RATE) for number, moment in enumerate(server.asked)]
    assert all(abs(seconds) <= 0.0011 for seconds in late)


async def test_what_no_client_was_free_for_is_told() -> None:
    """20 ms for each of a hundred a second, from one client: half of them are not asked."""
    server = Server(Time(), service_s=0.02)
    tally, pace = await load(server, RATE)
    assert tally.requests + pace.left_out(server.time()) == RATE * SECONDS
    assert 490 <= tally.requests <= 510
    assert tally.latencies.max_s > 4.9, "the last that was sent had waited for half of the run"


async def test_who_gets_no_connection_does_not_ask_in_a_circle() -> None:
    server = Server(Time())
    server.answer = Answer("refused", is_connected=False)
    tally, _ = await load(server, None)
    assert tally.failures == {"refused": tally.requests}
    assert tally.requests <= SECONDS / RETRY_S
    assert tally.latencies.count == 0, "a refusal is quick and would flatter"


async def test_an_unfinished_run_left_nothing_out_that_was_not_due() -> None:
    pace = Pace(RATE, 0.0, SECONDS)
    assert pace.next(0.0) == 0.0
    assert pace.left_out(0.0) == 0
    assert pace.left_out(0.5) == 49
    assert Pace(None, 0.0, SECONDS).left_out(5.0) == 0


def test_timeouts_count_with_what_they_waited() -> None:
    tally = Tally()
    tally.add(10.0, "timeout", 0)
    tally.add(0.001, "errno 900", 50)
    assert (tally.requests, tally.succeeded, tally.body_bytes) == (2, 0, 50)
    assert (tally.latencies.count, tally.latencies.max_s) == (1, 10.0)
    assert progress(3, tally, 1).split() == [
        "3", "s", "1", "requests/s", "2", "failed",
        "p50", "10000.00", "ms", "p99", "10000.00", "ms",
    ]  # fmt: skip

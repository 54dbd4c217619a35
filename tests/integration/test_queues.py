"""Real queues on real Asterisk 16 and 22: `queuestatus` beside Asterisk's own QueueStatus.

Many calls go on at once, answered and abandoned, refused and transferred, while members come, go
and pause, queues are reloaded and counters reset. All the while answers are compared with
Asterisk's field by field; after each step there must be no difference at all.
"""

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from tests.services.asterisk import Asterisk
from tests.services.daemon import Daemon, StartDaemon, seed
from tests.services.phones import Phones
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy, TcpProxy
from tests.services.queue_traffic import (
    ANNOUNCED,
    EVENTS_S,
    FIRST,
    REGULAR,
    ROUND_S,
    Comparer,
    Oracle,
    Row,
    consulting,
)
from tests.services.waiting import eventually

#: How often the daemon is cut off or restarted in the middle of calls.
CUTS: Final = int(os.environ.get("PBXAPI_TEST_CUTS", "2"))

AGENT: Final = "Local/talk-1@queue-agents/n"
SECOND_AGENT: Final = "Local/talk-6@queue-agents/n"
LATE_AGENT: Final = "Local/late-2@queue-agents/n"
PLAIN_AGENT: Final = "Local/plain-3@queue-agents/n"
LONG_AGENT: Final = "Local/long-5@queue-agents/n"
REFUSER: Final = "Local/refuse-4@queue-agents/n"


class Traffic:
    """The calls of one test, and the comparison that goes on beside them."""

    def __init__(self, asterisk: Asterisk, phones: Phones, oracle: Oracle, daemon: Daemon) -> None:
        self.asterisk = asterisk
        self.phones = phones
        self.oracle = oracle
        self.daemon = daemon
        self.comparer = Comparer(oracle, self._ask)

    async def _ask(self, name: str) -> Row:
        answer = await self.daemon.ask("queuestatus", queueName=name)
        (row,) = answer.data["results"]
        return dict(row)

    def interface(self, username: str) -> str:
        return f"{self.asterisk.technology}/{username}"

    async def listed_more_often_than(self, times: int) -> None:
        """The daemon has found Asterisk again."""
        await eventually(
            lambda: len(self.daemon.events("queues.listed")) > times,
            within_s=8,
            what="the queues listed again",
        )

    async def calls(self, count: int, queue: str = REGULAR, **more: float) -> None:
        for _ in range(count):
            await self.oracle.call(queue, **more)  # type: ignore[arg-type]  # seconds by name

    async def agents(self) -> None:
        """Telephones and others become members."""
        await self.phones.up("Linka_1000", ring_ms=100, talk_ms=500)
        await self.phones.up("Linka_1001", ring_ms=300, talk_ms=700)
        for queue in (REGULAR, FIRST):
            for username in ("Linka_1000", "Linka_1001"):
                await self.oracle.add(queue, self.interface(username), username)
            agent = {"StateInterface": "Custom:agent-1", "Penalty": "1"}
            await self.oracle.add(queue, AGENT, "Žofie \\ Černá", **agent)
            second = {"StateInterface": "Custom:agent-6", "Penalty": "1"}
            await self.oracle.add(queue, SECOND_AGENT, "Druhý", **second)
        late = {"StateInterface": "Custom:agent-2", "Penalty": "2"}
        await self.oracle.add(REGULAR, LATE_AGENT, "Pozdní", **late)
        await self.oracle.add(FIRST, PLAIN_AGENT, "Obyčejný")

    async def over(self, step: str) -> None:
        """All calls of a step are over: there is no difference."""
        await self.oracle.until_idle()
        await self.comparer.agree(step)


@pytest.fixture
async def proxy(asterisk: Asterisk, tcp_proxy: MakeProxy) -> TcpProxy:
    return await tcp_proxy(asterisk.ami_port)


@pytest.fixture
async def traffic(
    asterisk: Asterisk,
    phones: Phones,
    proxy: TcpProxy,
    database: Database,
    start_daemon: StartDaemon,
) -> AsyncIterator[Traffic]:
    await seed(database, asterisk.technology)
    daemon = await start_daemon(proxy.port, asterisk.ami_username, asterisk.ami_secret)
    await eventually(lambda: daemon.events("queues.listed"), within_s=5, what="the first list")
    async with consulting(asterisk) as oracle:
        yield Traffic(asterisk, phones, oracle, daemon)


@asynccontextmanager
async def watched(traffic: Traffic) -> AsyncIterator[Comparer]:
    """Compare all the while."""
    task = asyncio.create_task(traffic.comparer.watch())
    try:
        yield traffic.comparer
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(150)
async def test_sixty_calls_and_no_difference(traffic: Traffic) -> None:
    oracle, comparer = traffic.oracle, traffic.comparer
    async with watched(traffic):
        await comparer.agree("nobody is there")
        await traffic.agents()
        await comparer.agree("members have come")
        await answered_and_abandoned(traffic)
        await paused_and_refused(traffic)
        await timed_out_and_queued_again(traffic)
        await transferred(traffic)
        await announced(traffic)
        await counted(traffic)
        repaired = len(traffic.daemon.events("queues.repaired"))
        await reset_and_reloaded(traffic)
    print(traffic.asterisk.version, oracle.calls, "calls", comparer.tally, "repaired", repaired)
    assert oracle.calls >= 60
    assert comparer.tally.comparisons > 100
    assert comparer.tally.differences == []
    assert repaired == 0, "everything so far had its event"


async def answered_and_abandoned(traffic: Traffic) -> None:
    """Two queues share their members, and one comes first; some callers do not wait for that."""
    await traffic.calls(8)
    await traffic.calls(5, FIRST)
    telephone = await traffic.phones.call("Linka_1005", "510", talk_ms=15_000)
    traffic.oracle.calls += 1
    await traffic.calls(4, patience_s=1)
    await traffic.calls(1, FIRST, patience_s=1)
    await traffic.over("calls were answered and abandoned")
    await telephone.wait()


async def paused_and_refused(traffic: Traffic) -> None:
    """Members pause, come, go, and have other penalties, while calls go on."""
    oracle = traffic.oracle
    await oracle.add(REGULAR, REFUSER, "Nechce")
    await traffic.calls(6)
    await oracle.act("QueuePause", Interface=AGENT, Paused="true", Reason="oběd: 12")
    await oracle.act("QueuePenalty", Interface=LATE_AGENT, Penalty="7")
    await traffic.comparer.agree_soon("a member pauses")
    await oracle.act("QueueRemove", Queue=FIRST, Interface=PLAIN_AGENT)
    await traffic.calls(4, FIRST)
    await oracle.act("QueuePause", Interface=AGENT, Paused="false", Reason="zpět")
    await oracle.act("QueueRemove", Queue=REGULAR, Interface=REFUSER)
    await oracle.add(FIRST, PLAIN_AGENT, "Obyčejný")
    await traffic.over("members paused and refused")


async def timed_out_and_queued_again(traffic: Traffic) -> None:
    """Nobody answers; who has waited for long enough goes on to the next queue."""
    oracle = traffic.oracle
    names = [each["location"] for each in (await oracle.queues())[REGULAR]["members"].values()]
    for interface in names:
        await oracle.act("QueuePause", Queue=REGULAR, Interface=interface, Paused="true")
    for number in range(8):
        await oracle.call(REGULAR, timeout_s=2, then=FIRST if number % 2 else "")
    await traffic.over("callers were queued again")
    for interface in names:
        await oracle.act("QueuePause", Queue=REGULAR, Interface=interface, Paused="false")


async def transferred(traffic: Traffic) -> None:
    """A member transfers his callers, and is free while they go on."""
    phones, oracle = traffic.phones, traffic.oracle
    await phones.up("Linka_1002", mode="refer", ring_ms=100, talk_ms=600, refer_to="601")
    await oracle.act("QueuePause", Interface=traffic.interface("Linka_1000"), Paused="true")
    await oracle.add(FIRST, traffic.interface("Linka_1002"), "Petr")
    await traffic.calls(6, FIRST, patience_s=5)
    await traffic.over("callers were transferred")
    await oracle.act("QueueRemove", Queue=FIRST, Interface=traffic.interface("Linka_1002"))
    await oracle.act("QueuePause", Interface=traffic.interface("Linka_1000"), Paused="false")


async def announced(traffic: Traffic) -> None:
    """The hold time is taken when a member answers, and told when he has heard the announcement."""
    oracle = traffic.oracle
    await oracle.add(ANNOUNCED, traffic.interface("Linka_1003"), "Eva")
    await traffic.phones.up("Linka_1003", ring_ms=100, talk_ms=2800)
    await oracle.add(ANNOUNCED, LONG_AGENT, "Dlouhý")
    await traffic.calls(4, ANNOUNCED, patience_s=8)
    await traffic.calls(2, ANNOUNCED, patience_s=1.2)
    await traffic.over("members heard an announcement")


async def reset_and_reloaded(traffic: Traffic) -> None:
    """No event tells of a reset or of `queue reload`, the slow round does."""
    oracle, comparer = traffic.oracle, traffic.comparer
    comparer.limit_s = ROUND_S
    await traffic.calls(6)
    await traffic.calls(4, FIRST)
    await asyncio.sleep(0.5)
    await oracle.act("QueueReset", Queue=REGULAR)
    await comparer.agree_soon("the counters were reset")
    await oracle.act("Reload", Module="app_queue")
    await comparer.agree_soon("app_queue was reloaded")
    await traffic.calls(6)
    await traffic.asterisk.aio.cli("queue reload all")
    await comparer.agree_soon("queues were reloaded")
    await traffic.over("calls went on over a reload")
    await asyncio.sleep(0.5)  # till nothing is due any more that would find it by chance
    await oracle.act("QueueReset", Queue=FIRST)
    await comparer.agree_soon("the counters of a quiet queue were reset")
    await eventually(
        lambda: traffic.daemon.events("queues.repaired"), within_s=2 * ROUND_S, what="it is said"
    )
    comparer.limit_s = EVENTS_S


async def counted(traffic: Traffic) -> None:
    """The test itself has seen what it was meant to see."""
    rows = await traffic.oracle.queues()
    assert int(rows[FIRST]["completed"]) >= 10
    # On a slow machine an agent may have come to the phone in time for some of them.
    assert sum(int(row["abandoned"]) for row in rows.values()) >= 1
    assert int(rows[ANNOUNCED]["completed"]) >= 2


@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(60 + 20 * CUTS)
async def test_cut_off_in_mid_call_and_no_difference(traffic: Traffic, proxy: TcpProxy) -> None:
    """At a random moment the connection is cut or the daemon restarted; calls go on meanwhile."""
    chance = random.Random(CUTS)
    oracle, comparer = traffic.oracle, traffic.comparer
    for queue in (REGULAR, FIRST):
        await oracle.add(queue, AGENT, "Jan", StateInterface="Custom:agent-1")
        await oracle.add(queue, SECOND_AGENT, "Petr", StateInterface="Custom:agent-6")
        await oracle.add(queue, PLAIN_AGENT, "Eva")
    behind_s = []
    for number in range(CUTS):
        await traffic.calls(4)
        await traffic.calls(2, FIRST, patience_s=1)
        await asyncio.sleep(chance.uniform(0.1, 2))
        listed = len(traffic.daemon.events("queues.listed"))
        if number % 2:
            assert await traffic.daemon.stop() == 0
            await traffic.calls(1)
            await traffic.daemon.start()
        else:
            proxy.cut_after(chance.randrange(1, 20_000))  # a list perhaps, or the events after it
            await proxy.cut(reset=chance.random() < 0.5)
            await traffic.calls(1)
        began = time.monotonic()
        await traffic.listed_more_often_than(listed)
        async with watched(traffic):
            await comparer.agree_soon("the daemon is there again")
            behind_s.append(round(time.monotonic() - began, 2))
            await traffic.over("calls went on meanwhile")
    print(traffic.asterisk.version, CUTS, "cuts", oracle.calls, "calls", comparer.tally, behind_s)
    assert comparer.tally.differences == []

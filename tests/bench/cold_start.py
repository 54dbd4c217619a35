"""From the connect to a large PBX to the first right answer, and how long the loop stalls."""

import asyncio
import json
import time

import aiohttp
from yarl import URL

from tests.bench.pbx import simulated
from tests.bench.pictures import (
    PATH,
    PERIOD_S,
    QUERY,
    Stalls,
    be_like_the_daemon,
    following,
    serving,
    until,
)
from tests.bench.report import Table

CHANNELS, PEERS, QUEUES = 5_000, 5_000, 200
DEADLINE_S = 40


async def measure(port: int) -> list[tuple[str, ...]]:
    stalls = Stalls()
    watching = asyncio.create_task(stalls.watch())
    began = time.perf_counter()

    def since() -> str:
        return f"{time.perf_counter() - began:.2f} s"

    rows: list[tuple[str, ...]] = []

    def stall(while_what: str) -> None:
        rows.append((f"longest stall {while_what}", f"{stalls.longest * 1000:.0f} ms"))
        stalls.longest = 0.0

    async with (
        asyncio.timeout(DEADLINE_S),
        following(port) as pictures,
        serving(pictures) as http,
        aiohttp.ClientSession() as client,
    ):
        await until(lambda: len(pictures.channels.channels) == CHANNELS)
        rows.append(("channels in place", since()))
        stall("till then")
        url = URL(f"http://127.0.0.1:{http}{PATH}?{QUERY}", encoded=True)
        async with client.get(url) as response:
            calls = json.loads(await response.read())["results"]
        rows.append((f"listcalls answered, {len(calls):,} rows", since()))
        await asyncio.sleep(2 * PERIOD_S)
        stall("by that answer")
        await until(lambda: len(pictures.queues._store.queues) == QUEUES)
        rows.append(("queues in place", since()))
        await until(pictures._peer_follower.first_list.is_set)
        rows.append(("peers believed", since()))
        stall("since that answer")
    watching.cancel()
    return rows


def run() -> list[Table]:
    be_like_the_daemon()
    with simulated(channels=CHANNELS, peers=PEERS, queues=QUEUES) as port:
        rows = asyncio.run(measure(port))
    return [
        Table(
            "Cold start",
            f"Connect to a simulated PBX with {CHANNELS:,} channels, {PEERS:,} peers and\n"
            f"{QUEUES} queues, in another process on the same cores. All three are asked for at\n"
            "the same time.",
            ("what", "after the connect"),
            rows,
        )
    ]

"""Clients that ask all the time, one kind of thing each."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
from yarl import URL

from tests.endurance import asterisk
from tests.endurance.recordings import COUNT, FIRST_ID
from tests.endurance.verdict import Book
from tests.endurance.world import PIN, World
from tests.services.daemon import PASSWORD, USERNAME

#: No answer takes that long: a request that does is one that is never answered.
GIVE_UP_S: Final = 60
#: Pause between two requests of one client, by the client.
PAUSES_S: Final = {
    "listcalls": 0.2,
    "queuestatus": 0.1,
    "sipstatus": 0.7,
    "originate": 0.4,
    "hangupcall": 0.6,
    "agents": 0.3,
    "moverecord": 0.4,
}
#: Coming and going on is done twice as often as leaving, so that most agents take calls.
_AGENTS_DO: Final = (
    *("agentlogin", "agentunpause") * 2,
    *("agentlogout", "agentpause", "agentstatus", "agentadd", "agentremove"),
)


class Clients:
    """All of them; `run` until cancelled."""

    def __init__(self, world: World, book: Book, seed: int) -> None:
        self._world = world
        self._book = book
        self._random = random.Random(seed)
        self._queues = asterisk.queues()
        self._numbers = sorted(
            {
                member.state_interface.rpartition("_")[2]
                for queue in self._queues
                for member in queue.members
                if member.dynamic
            }
        )
        self._dialled = 0
        self._live: list[str] = []
        self._session: aiohttp.ClientSession | None = None
        self._stopping = asyncio.Event()

    async def run(self) -> None:
        """Ask until `stop`; requests under way then are still waited for."""
        timeout = aiohttp.ClientTimeout(total=GIVE_UP_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            self._session = session
            async with asyncio.TaskGroup() as group:
                for name, pause_s in PAUSES_S.items():
                    group.create_task(self._again_and_again(getattr(self, f"_{name}"), pause_s))

    def stop(self) -> None:
        """Ask nothing more."""
        self._stopping.set()

    async def _again_and_again(self, act: Callable[[], Awaitable[None]], pause_s: float) -> None:
        while not self._stopping.is_set():
            await act()
            await asyncio.sleep(self._random.uniform(0, 2 * pause_s))

    async def _ask(self, action: str, **params: str) -> dict[str, Any]:
        assert self._session is not None
        everything = {"username": USERNAME, "password": PASSWORD, "action": action} | params
        began = time.monotonic()
        try:
            async with self._session.get(URL(self._world.daemon.url).with_query(everything)) as got:
                raw = await got.read()
                content_type = got.headers["Content-Type"]
        except (aiohttp.ClientError, TimeoutError) as error:
            self._book.unanswered(action, error, began)
            return {}
        return self._book.note(action, raw, got.status, content_type, began)

    async def _listcalls(self) -> None:
        rows = (await self._ask("listcalls")).get("results")
        if rows is not None:
            self._live = [row["channelName"] for row in rows]

    async def _queuestatus(self) -> None:
        await self._ask("queuestatus", queueName=self._random.choice(self._queues).name)

    async def _sipstatus(self) -> None:
        await self._ask("sipstatus")

    async def _originate(self) -> None:
        self._dialled += 1
        number = f"800{self._dialled:06}"
        phone = f"Linka_{1000 + self._random.randrange(asterisk.PHONES)}"
        answer = await self._ask(
            "originate", srcSipUsername=phone, dstNum=number, customCDR1=f"order {number}"
        )
        self._book.originates[number] = answer.get("success") == "true"

    async def _hangupcall(self) -> None:
        if self._live:
            await self._ask("hangupcall", channelName=self._random.choice(self._live))

    async def _agents(self) -> None:
        number = self._random.choice(self._numbers)
        who = {"agentNumber": number, "agentPin": PIN}
        action = self._random.choice(_AGENTS_DO)
        more = {}
        if action == "agentlogin":
            more = {"srcExtenInternalNum": number}
        elif action in ("agentadd", "agentremove"):
            more = {"queueName": self._random.choice(self._queues).name}
        await self._ask(action, **who, **more)

    async def _moverecord(self) -> None:
        cdr_id = FIRST_ID + self._random.randrange(COUNT)
        root = self._random.choice(self._world.recordings.roots)
        self._dialled += 1
        folder = f"{root}/{self._random.choice(('2025', '2026', '2026/11'))}"
        await self._ask(
            "moverecord", cdrId=str(cdr_id), path=folder, filename=f"{cdr_id}-{self._dialled}.wav"
        )

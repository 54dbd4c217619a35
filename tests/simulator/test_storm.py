"""Many calls with custom fields at once, asked for by the daemon's own objects.

`PBXAPI_STORM_S` seconds of them; 3 where it is not set. `PBXAPI_STORM_CPS` begun a second; 20 where
it is not set, since both ends share a process that may be measured for coverage on a busy machine,
and a call whose fields come too late goes on without them. By hand: 10 seconds of 100.
"""

import asyncio
import dataclasses
import gc
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager

import pytest

from pbxapi.actions.originate import originate
from pbxapi.actions.ports import Ports
from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import serving_agi
from pbxapi.ami.manager import AmiManager
from pbxapi.cache.channels.calls import Owner
from pbxapi.cache.channels.follow import ChannelFollower
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.channels.view import CallList
from pbxapi.cache.peers.store import PeerStore
from pbxapi.cache.peers.view import PeerList
from pbxapi.config import Listen
from pbxapi.directory.account import Account
from pbxapi.directory.lines import Line
from pbxapi.simulator import ManagerUser, Simulator, SimulatorOptions
from pbxapi.simulator.cdr import CdrRow
from pbxapi.simulator.options import default_devices
from tests.contract.world import FakeDevices, FakeLines, FakeRecordings, make_ports
from tests.services.waiting import eventually

SECONDS = float(os.environ.get("PBXAPI_STORM_S", "3"))
CALLS_PER_S = float(os.environ.get("PBXAPI_STORM_CPS", "20"))
#: How long two phones talk: some 150 calls with all their channels are there at once.
TALK_S = 1.0


#: As dialplan/manager.conf.sample, but for the dial plan, whose VarSet is filtered out there.
USERS = (ManagerUser(name="pbxapi", secret="pbxapi", read="system,call", write="originate,call"),)


class LineOfEachPhone(FakeLines):
    """A directory with a line for each phone."""

    async def by_internal_num(self, number: str, dialplan_id: int | None, /) -> tuple[Line, ...]:
        account = Account(id=1, sip_username=f"Linka_{number}", technology="PJSIP")
        return (
            Line(
                id=int(number),
                dialplan_id=dialplan_id or 1,
                dialplan_name="prvni",
                internal_num=number,
                public_num=None,
                name=f"Linka {number}",
                outroute_id=1,
                recording=False,
                accounts=(account,),
            ),
        )


@pytest.fixture
def short_collections() -> Iterator[None]:
    """One process plays all sides: what the tests before have left in memory
    must not let the garbage collector stop it for longer than a call waits."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def nobody(_account: str) -> Owner | None:
    return None


@asynccontextmanager
async def daemon(simulator: Simulator) -> AsyncIterator[Ports]:
    """The daemon's objects between an action and Asterisk."""
    store = ChannelStore()
    follower = ChannelFollower(store, time.time)
    manager = AmiManager(
        host="127.0.0.1",
        port=simulator.port,
        username="pbxapi",
        secret="pbxapi",
        listener=follower,
    )
    cards = CallCards(time.monotonic)
    calls = CallList(store, nobody)
    async with serving_agi(cards, Listen("127.0.0.1", 0)) as address:
        ports = Ports(
            pbx=manager,
            lines=LineOfEachPhone(),
            legs=lambda: calls.legs(time.monotonic()),
            is_live=lambda name: calls.is_live(name, time.monotonic()),
            queue=lambda _name: None,
            states_of=lambda technology, name: calls.states_of(technology, name, time.monotonic()),
            peers=PeerList(PeerStore()),
            devices=FakeDevices(),
            cards=cards,
            call_centre=make_ports({})[0].call_centre,
            agi_address=address,
            record_roots=(),
            recordings=FakeRecordings(),
            ring_timeout_s=30,
        )
        tasks = [
            asyncio.create_task(manager.run()),
            asyncio.create_task(follower.run(manager)),
        ]
        try:
            await eventually(lambda: manager.connected, within_s=5, what="the AMI session")
            yield ports
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def fields(number: int) -> dict[str, str]:
    """Four values that no other call has."""
    return {
        "customCDR1": f"klient={number}; \"{number}\", 'x'",
        "customCDR2": f"${{EXTEN}} %41 {number}",
        "customCDR3": f"\\{number}\\ žluťoučký kůň",
        "customCDR4": f"{number:06d}" + "ř" * 60,
    }


async def storm(ports: Ports, count: int) -> tuple[dict[str, int], float]:
    """Begin calls at an even pace; returns their ids and the seconds that it took."""
    loop = asyncio.get_running_loop()
    ids: dict[str, int] = {}

    async def begin(number: int) -> None:
        source, target = 1000 + number % 10, 1010 + number % 10
        request = {"srcExtenInternalNum": str(source), "dstNum": str(target)} | fields(number)
        result = await originate(ports, request)
        ids[str(result.call_id)] = number

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for number in range(count):
            await asyncio.sleep(began + number / CALLS_PER_S - loop.time())
            group.create_task(begin(number))
    return ids, loop.time() - began


def wrong(rows: list[CdrRow], ids: dict[str, int]) -> list[CdrRow]:
    return [
        row
        for row in rows
        if any(
            getattr(row, name.lower()) != value for name, value in fields(ids[row.linkedid]).items()
        )
    ]


@pytest.mark.xdist_group("busy")
@pytest.mark.timeout(60 + 3 * SECONDS)
@pytest.mark.usefixtures("short_collections")
async def test_every_field_of_every_call_is_right(
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    """Originates through actions, AMI and FastAGI; no row lacks its fields."""
    devices = tuple(
        dataclasses.replace(device, answer_after_s=0.1, talk_s=TALK_S)
        for device in default_devices()
    )
    count = int(SECONDS * CALLS_PER_S)
    async with (
        Simulator(SimulatorOptions(devices=devices, users=USERS)) as simulator,
        daemon(simulator) as ports,
    ):
        ids, took_s = await storm(ports, count)
        await eventually(lambda: not simulator.channels, within_s=30, what="all calls are over")
        rows = list(simulator.cdrs)
    assert len(ids) == count
    calls = Counter(row.linkedid for row in rows)
    assert len(calls) == count
    assert set(calls.values()) == {4}, "ring, attempt, talk and the context's own"
    assert wrong(rows, ids) == []
    record_testsuite_property("originates_per_s", round(count / took_s, 1))

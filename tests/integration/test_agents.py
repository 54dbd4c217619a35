"""Agents on real Asterisk 16 (chan_sip) and 22 (chan_pjsip): what its queues really have."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

import pytest
import pytest_asyncio

from pbxapi.access.passwords import hash_password
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.ami.session import connect
from pbxapi.errors import PbxUnavailable
from tests.services.asterisk import Asterisk
from tests.services.daemon import Answer, Daemon, StartDaemon, seed
from tests.services.phones import Phones
from tests.services.postgres import Database
from tests.services.proxy import MakeProxy
from tests.services.waiting import eventually

PIN = "2468"
PIN_HASH = hash_password(PIN)
DIAL_QUEUE = "502"  # FrontaPrazdna, which has no static member


class Row(NamedTuple):
    """A dynamic member, as Asterisk itself has it."""

    queue: str
    name: str
    interface: str
    state_interface: str
    penalty: int
    paused: bool


class Oracle:
    """Asks Asterisk itself, by a connection of the test's own."""

    def __init__(self, asterisk: Asterisk) -> None:
        self._asterisk = asterisk

    async def _ask(self, requests: Iterable[Request], *, listing: bool) -> list[Message]:
        items: list[Message] = []
        port = self._asterisk.ami_port
        session = await connect("127.0.0.1", port, (), lambda _event: None)
        await session.log_in(self._asterisk.oracle_username, self._asterisk.oracle_secret)
        for request in requests:
            if listing:
                await session.request_list(request, items.append)
            else:
                await session.request(request)
        session.close(PbxUnavailable("done"))
        return items

    async def members(self) -> list[Row]:
        """All dynamic members of all queues; one that is there twice is twice in it."""
        try:
            items = await self._ask([Request("QueueStatus")], listing=True)
        except (PbxUnavailable, OSError):
            return []  # it is restarting
        return sorted(
            Row(
                queue=item.get("Queue"),
                name=item.get("Name"),
                interface=item.get("Location"),
                state_interface=item.get("StateInterface"),
                penalty=int(item.get("Penalty")),
                paused=item.get("Paused") == "1",
            )
            for item in items
            if item.event == "QueueMember" and item.get("Membership") == "dynamic"
        )

    async def ask(self, action: str, *rows: Row, **headers: str) -> None:
        """Ask for something about members, as a supervisor at the command line does."""
        await self._ask(
            (
                Request(
                    action,
                    (("Queue", row.queue), ("Interface", row.interface), *headers.items()),
                )
                for row in rows
            ),
            listing=False,
        )


@pytest_asyncio.fixture
async def oracle(asterisk: Asterisk) -> AsyncIterator[Oracle]:
    made = Oracle(asterisk)
    yield made
    if not asterisk.running:
        await asterisk.aio.start()
    await made.ask("QueueRemove", *await made.members())


@pytest.fixture
async def agents(asterisk: Asterisk, database: Database) -> None:
    """Agents 1000 to 1005 with PIN 2468; each serves two queues of three."""
    await seed(database, asterisk.technology)
    for number, name in enumerate(("FrontaIT", "FrontaObchod", "FrontaPrazdna"), start=1):
        await database.execute("INSERT INTO pbxapi.queues VALUES ($1, $2)", number, name)
    for number in range(6):
        await database.execute(
            "INSERT INTO pbxapi.agents (id, number, name, pin_hash) VALUES ($1, $2, $3, $4)",
            number + 1,
            str(1000 + number),
            f"Věra: {number}",
            PIN_HASH,
        )
        await database.execute(
            "INSERT INTO pbxapi.agent_queues VALUES ($1, 3, $2), ($1, $3, 0)",
            number + 1,
            number,
            1 + number % 2,
        )


async def ask(daemon: Daemon, action: str, number: int, **params: str) -> Answer:
    return await daemon.ask(action, agentNumber=str(number), agentPin=PIN, **params)


async def do(daemon: Daemon, action: str, number: int, **params: str) -> None:
    answer = await ask(daemon, action, number, **params)
    assert answer.raw == b'{"success":"true"}'


async def status(daemon: Daemon, number: int) -> str:
    return str((await ask(daemon, "agentstatus", number)).data["reason"])


async def ought(database: Database, technology: str) -> list[Row]:
    """Members as the directory wants them."""
    rows = await database.fetch(
        "SELECT q.name AS queue, a.name, e.internal_num, e.dialplan_id, l.sip_username,"
        " aq.penalty, g.paused FROM pbxapi.agent_logins g JOIN pbxapi.agents a ON a.id = g.agent_id"
        " JOIN pbxapi.extension_line l ON l.id = g.extension_line_id"
        " JOIN pbxapi.extensions e ON e.id = l.extension_id"
        " JOIN pbxapi.agent_queues aq ON aq.agent_id = a.id"
        " JOIN pbxapi.queues q ON q.id = aq.queue_id"
    )
    return sorted(
        Row(
            row["queue"],
            row["name"],
            f"Local/{row['internal_num']}@extensions-dialplanid-{row['dialplan_id']}",
            f"{technology}/{row['sip_username']}",
            row["penalty"],
            row["paused"],
        )
        for row in rows
    )


async def agree(
    oracle: Oracle, database: Database, asterisk: Asterisk, *, within_s: float = 5
) -> list[Row]:
    """Wait until Asterisk has exactly the members that the directory wants, each once."""

    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        there, wanted = await oracle.members(), await ought(database, asterisk.technology)
        if there == wanted or asyncio.get_running_loop().time() > deadline:
            assert there == wanted
            return there
        await asyncio.sleep(0.05)


async def start(start_daemon: StartDaemon, asterisk: Asterisk, port: int | None = None) -> Daemon:
    daemon = await start_daemon(
        port or asterisk.ami_port, asterisk.ami_username, asterisk.ami_secret
    )
    for event in ("agents.agree", "cache.peers_listed"):
        await eventually(lambda event=event: daemon.events(event), within_s=8, what=event)
    return daemon


@pytest.mark.usefixtures("agents")
async def test_a_day_of_an_agent(
    asterisk: Asterisk,
    database: Database,
    oracle: Oracle,
    phones: Phones,
    start_daemon: StartDaemon,
) -> None:
    daemon = await start(start_daemon, asterisk)
    await phones.up("Linka_1005")
    await phones.up("Linka_1006")
    assert await status(daemon, 1001) == "Agent 1001 is logged out."

    await do(daemon, "agentlogin", 1001, srcExtenInternalNum="1005")
    shown = await daemon.ask("queuestatus", queueName="FrontaPrazdna")
    assert shown.data["results"][0]["members"]["Věra: 1"]["penalty"] == "1"
    await do(daemon, "agentlogin", 1001, srcExtenInternalNum="1005")
    assert [row[:5] for row in await agree(oracle, database, asterisk, within_s=0)] == [
        (queue, "Věra: 1", "Local/1005@extensions-dialplanid-1", device, penalty)
        for queue, penalty in (("FrontaObchod", 0), ("FrontaPrazdna", 1))
        for device in (f"{asterisk.technology}/Linka_1005",)
    ]
    assert await status(daemon, 1001) == "Agent 1001 is logged in. Line is free"

    call = await phones.call("Linka_1007", DIAL_QUEUE)
    await phones.ringing("Linka_1005")

    async def in_use() -> bool:
        return await status(daemon, 1001) == "Agent 1001 is logged in. Line is In use"

    await eventually(in_use, within_s=3, what="the line is in use")
    await call.hangup()

    await do(daemon, "agentpause", 1001)
    assert {row.paused for row in await agree(oracle, database, asterisk, within_s=0)} == {True}
    await do(daemon, "agentlogin", 1001, srcSipUsername="Linka_1006")
    moved = await agree(oracle, database, asterisk, within_s=0)
    assert {(row.interface[:10], row.paused) for row in moved} == {("Local/1006", True)}
    await do(daemon, "agentunpause", 1001)
    await do(daemon, "agentadd", 1001, queueName="FrontaIT", penalty="4")
    await do(daemon, "agentadd", 1001, queueName="FrontaIT", penalty="5")
    await do(daemon, "agentremove", 1001, queueName="FrontaObchod")
    rows = await agree(oracle, database, asterisk, within_s=0)
    assert {(row.queue, row.penalty, row.paused) for row in rows} == {
        ("FrontaIT", 5, False),
        ("FrontaPrazdna", 1, False),
    }

    # The line moves to whoever comes next; the static member of another line is nobody's.
    await do(daemon, "agentlogin", 1003, srcExtenInternalNum="1006")
    assert {row.name for row in await agree(oracle, database, asterisk, within_s=0)} == {"Věra: 3"}
    assert await status(daemon, 1001) == "Agent 1001 is logged out."
    taken = await ask(daemon, "agentlogin", 1000, srcExtenInternalNum="1000", dialplanName="prvni")
    assert taken.data["reason"] == (
        "PBX refused the request: Unable to add interface: Already there"
    )
    await do(daemon, "agentlogout", 1003)
    await do(daemon, "agentlogout", 1003)
    assert await agree(oracle, database, asterisk, within_s=0) == []
    assert PIN not in daemon.log.read_text("utf-8")


def set_persistent(asterisk: Asterisk, value: str) -> None:
    conf = asterisk.etc / "queues.conf"
    text = re.sub(
        r"persistentmembers = \w+", f"persistentmembers = {value}", conf.read_text("utf-8")
    )
    conf.write_text(text, "utf-8")


@pytest.mark.usefixtures("agents")
@pytest.mark.parametrize("persistent", ["yes", "no"])
async def test_restarts_of_asterisk_and_of_the_daemon(
    asterisk: Asterisk,
    database: Database,
    oracle: Oracle,
    start_daemon: StartDaemon,
    persistent: str,
) -> None:
    daemon = await start(start_daemon, asterisk)
    for number, line in ((1000, "1005"), (1001, "1006"), (1002, "1007")):
        await do(daemon, "agentlogin", number, srcExtenInternalNum=line)
    await do(daemon, "agentpause", 1001)
    before = await agree(oracle, database, asterisk, within_s=0)
    assert [row.paused for row in before].count(True) == 2

    set_persistent(asterisk, persistent)
    try:
        await asterisk.aio.core_restart()
        assert await agree(oracle, database, asterisk) == before
        # As a boot that had lost some, kept some, and has some of yesterday.
        await daemon.stop()
        await oracle.ask("QueueRemove", before[0])
        await oracle.ask("QueuePause", before[1], Paused=str(not before[1].paused).lower())
        await oracle.ask("QueuePenalty", before[2], Penalty="77")
        stray = Row("FrontaIT", "Věra: 5", "Local/1009@extensions-dialplanid-1", "", 0, False)
        foreign = stray._replace(name="Supervisor", interface="Local/1008@extensions-dialplanid-1")
        for row in (stray, foreign):
            await oracle.ask("QueueAdd", row, MemberName=row.name)
        await daemon.start()

        async def only_the_foreign_one_is_left() -> bool:
            rest = [row for row in await oracle.members() if row not in before]
            return len(await oracle.members()) == 7 and [row.name for row in rest] == ["Supervisor"]

        await eventually(only_the_foreign_one_is_left, within_s=8, what="they agree again")
    finally:
        set_persistent(asterisk, "yes")

    async def status_is_known() -> bool:
        answer = await ask(daemon, "agentstatus", 1001)
        return str(answer.data["reason"]) == "Agent 1001 is logged in. Line is unavailable"

    await eventually(status_is_known, within_s=5, what="the status")


@pytest.mark.usefixtures("agents")
async def test_what_others_do_at_asterisk(
    asterisk: Asterisk, database: Database, oracle: Oracle, start_daemon: StartDaemon
) -> None:
    daemon = await start(start_daemon, asterisk)
    await do(daemon, "agentlogin", 1000, srcExtenInternalNum="1005")
    rows = await agree(oracle, database, asterisk, within_s=0)

    await oracle.ask("QueuePause", *rows, Paused="true")

    async def kept() -> bool:
        logins = await database.fetch("SELECT paused FROM pbxapi.agent_logins")
        return [row["paused"] for row in logins] == [True]

    await eventually(kept, within_s=3, what="the pause is kept")
    await oracle.ask("QueueRemove", rows[0])
    assert len(await oracle.members()) == 1
    await do(daemon, "agentlogin", 1000, srcExtenInternalNum="1005")
    assert len(await agree(oracle, database, asterisk, within_s=0)) == 2


async def rename_queue(asterisk: Asterisk, database: Database, old: str, new: str) -> None:
    """In both places; Asterisk has to be told to read it."""
    conf = asterisk.etc / "queues.conf"
    conf.write_text(conf.read_text("utf-8").replace(f"[{old}]", f"[{new}]"), "utf-8")
    await database.execute("UPDATE pbxapi.queues SET name = $1 WHERE name = $2", new, old)


@pytest.mark.usefixtures("agents")
async def test_a_queue_gets_another_name(
    asterisk: Asterisk, database: Database, oracle: Oracle, start_daemon: StartDaemon
) -> None:
    """Asterisk tells of the first of these commands, and not of the second."""
    daemon = await start(start_daemon, asterisk)
    await do(daemon, "agentlogin", 1000, srcExtenInternalNum="1005")
    names = ["FrontaPrazdna", "FrontaNova", "FrontaPrazdna"]
    commands = ("module reload app_queue.so", "queue reload all")
    try:
        for old, new, command in zip(names, names[1:], commands, strict=False):
            await rename_queue(asterisk, database, old, new)
            await asterisk.aio.cli(command)
            rows = await agree(oracle, database, asterisk, within_s=6)
            assert new in {row.queue for row in rows}
            assert (await daemon.ask("queuestatus", queueName=new)).errno == ""
            assert (await daemon.ask("queuestatus", queueName=old)).errno == "600"
    finally:
        await rename_queue(asterisk, database, "FrontaNova", "FrontaPrazdna")
        await asterisk.aio.cli("module reload app_queue.so")


@pytest.mark.usefixtures("agents")
async def test_ami_lost_in_the_middle(
    asterisk: Asterisk,
    database: Database,
    oracle: Oracle,
    start_daemon: StartDaemon,
    tcp_proxy: MakeProxy,
) -> None:
    """Cut around the two requests of a login, and then at random.

    Where exactly depends on what else the daemon asks at that moment.
    """
    proxy = await tcp_proxy(asterisk.ami_port)
    daemon = await start(start_daemon, asterisk, proxy.port)

    async def connected() -> bool:
        return (await ask(daemon, "agentlogout", 1000)).errno == ""

    outcomes = []
    for n_bytes in (1, 100, 200, 260, 320, 400, 480):
        proxy.cut_after(n_bytes, "to_server")
        outcomes.append((await ask(daemon, "agentlogin", 1000, srcExtenInternalNum="1005")).errno)
        proxy.resume()
        await agree(oracle, database, asterisk)
        await eventually(connected, within_s=5, what="logged out")
    assert "900" in outcomes

    chance = random.Random(f"{asterisk.version} agents")

    async def one_agent(number: int) -> None:
        for _ in range(10):
            action = chance.choice(["agentlogin", "agentlogin", "agentlogout", "agentpause"])
            line = {"srcExtenInternalNum": str(chance.randrange(1003, 1009))}
            await ask(daemon, action, number, **(line if action == "agentlogin" else {}))
            await asyncio.sleep(chance.uniform(0, 0.1))

    async def cut() -> None:
        while True:
            await asyncio.sleep(chance.uniform(0.1, 0.4))
            proxy.cut_after(chance.randrange(1, 600), chance.choice(["to_server", "to_client"]))

    cutting = asyncio.create_task(cut())
    await asyncio.gather(*(one_agent(1000 + number) for number in range(5)))
    cutting.cancel()
    await asyncio.gather(cutting, return_exceptions=True)
    proxy.resume()
    rows = await agree(oracle, database, asterisk, within_s=10)
    assert len({(row.queue, row.interface) for row in rows}) == len(rows)

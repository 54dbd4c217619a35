"""Accidents happen when they are ordered, and as ordered."""

import asyncio

import pytest

from pbxapi.simulator import Simulator, SimulatorOptions
from tests.services.waiting import eventually
from tests.simulator.ami_client import AmiClient, value
from tests.simulator.conftest import USERS


async def test_a_graceful_restart_says_so_and_keeps_the_port(
    simulator: Simulator, lab: AmiClient
) -> None:
    simulator.place_call("Linka_1005", "1000")
    await lab.until(Event="BridgeEnter", BridgeNumChannels="2")
    port = simulator.port
    await simulator.restart(0.05)
    stream = await lab.until_eof()
    assert stream.endswith(
        b"Event: Shutdown\r\nPrivilege: system,all\r\nShutdown: Cleanly\r\nRestart: True\r\n\r\n"
    )
    assert len(lab.events("Hangup")) == len(lab.events("Newchannel"))
    assert (simulator.port, simulator.channels) == (port, [])
    async with await AmiClient.connect(port) as again:
        await again.login()
        booted = await again.until(Event="FullyBooted")
        assert value(booted, "Uptime") == "0"


async def test_a_killed_pbx_says_nothing(simulator: Simulator, lab: AmiClient) -> None:
    simulator.place_call("Linka_1005", "1000")
    await lab.until(Event="BridgeEnter", BridgeNumChannels="2")
    await lab.ask("Action: Ping", "before")
    await simulator.restart(0, graceful=False)
    await lab.until_eof()
    assert value(lab.messages[-1], "ActionID") == "before"
    assert simulator.channels == []


async def test_nobody_can_connect_while_it_is_down(simulator: Simulator) -> None:
    restart = asyncio.create_task(simulator.restart(0.2))
    await asyncio.sleep(0.05)
    with pytest.raises(ConnectionRefusedError):
        await AmiClient.connect(simulator.port)
    await restart
    async with await AmiClient.connect(simulator.port) as client:
        await client.login()


async def test_the_dead_make_no_events_after_a_restart(simulator: Simulator) -> None:
    simulator.configure("Linka_1000", answer_after_s=0.1)
    simulator.place_call("Linka_1005", "1000")
    await simulator.restart(0, graceful=False)
    async with await AmiClient.connect(simulator.port) as client:
        await client.login()
        await asyncio.sleep(0.15)
        await client.ask("Action: Ping", "p")
        assert client.events("Newstate") == []


async def test_a_cut_ends_the_connection(simulator: Simulator, lab: AmiClient) -> None:
    simulator.cut()
    await lab.until_eof()


async def test_a_reset_is_an_error_to_the_client(simulator: Simulator, lab: AmiClient) -> None:
    simulator.cut(reset=True)
    with pytest.raises(ConnectionResetError):
        await lab.until_eof()


async def test_a_stalled_pbx_answers_when_it_is_resumed(
    simulator: Simulator, lab: AmiClient
) -> None:
    simulator.stall()
    lab.send("Action: Ping\nActionID: p")
    async with await AmiClient.connect(simulator.port) as late:
        await eventually(
            lambda: simulator.received[-1].action.action_id == "p", within_s=5, what="it reads"
        )
        with pytest.raises(TimeoutError):
            await late.receive(within_s=0.05)
        assert not [m for m in lab.messages if value(m, "ActionID") == "p"]
        simulator.resume()
        await lab.until(ActionID="p")
        assert await late.banner()


async def test_a_trickle_arrives_whole(simulator: Simulator, client: AmiClient) -> None:
    simulator.dribble(7, 0.001)
    await client.login()
    await client.until(Event="FullyBooted")
    simulator.dribble(0, 0)
    await client.ask("Action: Ping", "p")


async def test_logins_can_be_refused(simulator: Simulator, client: AmiClient) -> None:
    simulator.refuse_logins()
    client.send("Action: Login\nUsername: lab\nSecret: labsecret")
    assert b"Authentication failed" in await client.until_eof()


async def test_fully_booted_can_come_late(simulator: Simulator, client: AmiClient) -> None:
    simulator.delay_fully_booted(0.1)
    await client.login()
    await client.ask("Action: Ping", "p")
    assert client.events("FullyBooted") == []
    await client.until(Event="FullyBooted")


async def test_one_action_can_be_slow_or_lose_its_answer(
    simulator: Simulator, lab: AmiClient
) -> None:
    simulator.slow_down("Ping", 0.1)
    began = asyncio.get_running_loop().time()
    await lab.ask("Action: Ping", "slow")
    assert asyncio.get_running_loop().time() - began > 0.09
    simulator.slow_down("Ping", 0)
    simulator.drop_answers("Ping")
    lab.send("Action: Ping\nActionID: lost")
    await lab.ask("Action: Ping", "next")
    assert not [m for m in lab.messages if value(m, "ActionID") == "lost"]


async def test_a_client_that_does_not_read_is_cut() -> None:
    user = USERS[0].__class__(name="lab", secret="labsecret", write_timeout_s=0.1)
    options = SimulatorOptions(users=(user,), channelvars=tuple(f"V{n}" for n in range(500)))
    async with (
        Simulator(options) as simulator,
        await AmiClient.connect(simulator.port) as client,
    ):
        await client.login()
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # a StreamWriter's transport reads too
        for number in range(40):
            simulator.place_call(f"Linka_{1000 + number % 20}", "500")
        for _ in range(60):
            client.send("Action: CoreShowChannels")
        await eventually(lambda: simulator.clients_cut, within_s=10, what="the client is cut")

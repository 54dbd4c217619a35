"""Random traffic: repeatable, complete, and as much of it as was ordered."""

import dataclasses

from pbxapi.simulator import Simulator, SimulatorOptions, VirtualClock, call_centre, classes
from pbxapi.simulator.options import Version, default_devices
from tests.simulator.ami_client import AmiClient, messages, value
from tests.simulator.conftest import DEVICES


@dataclasses.dataclass
class Recorder:
    """A listener that keeps everything."""

    events: int = classes.ALL
    stream: bytearray = dataclasses.field(default_factory=bytearray)

    def deliver(self, payload: bytes) -> None:
        self.stream += payload


async def record(options: SimulatorOptions, seconds: float) -> tuple[Simulator, Recorder]:
    clock = VirtualClock()
    async with Simulator(options, clock) as simulator:
        recorder = Recorder()
        simulator.pbx.announcer.listen(recorder)
        clock.advance(seconds)
        return simulator, recorder


async def test_the_same_seed_gives_the_same_bytes(version: Version) -> None:
    options = SimulatorOptions(version=version, calls=20, cps=1, seed=7)
    _, first = await record(options, 300)
    _, second = await record(options, 300)
    assert first.stream == second.stream
    _, other = await record(dataclasses.replace(options, seed=8), 300)
    assert other.stream != first.stream


async def test_every_channel_that_ended_said_so_once(version: Version) -> None:
    """A client that follows Newchannel and Hangup has exactly the channels that there are."""
    options = SimulatorOptions(version=version, calls=30, cps=2, seed=3)
    simulator, recorder = await record(options, 900)
    alive: dict[str, str] = {}
    bridges: dict[str, int] = {}
    for message in messages(b"\r\n" + bytes(recorder.stream)):
        event, name = value(message, "Event"), value(message, "Uniqueid")
        match event:
            case "Newchannel":
                assert name not in alive
                alive[name] = value(message, "Channel")
            case "Hangup":
                del alive[name]
            case "BridgeCreate" | "BridgeEnter" | "BridgeLeave":
                count = int(value(message, "BridgeNumChannels"))
                bridges[value(message, "BridgeUniqueid")] = count
            case "BridgeDestroy":
                assert bridges.pop(value(message, "BridgeUniqueid")) == 0
            case "Newstate" | "DialBegin" | "VarSet" if name:
                assert name in alive, f"{event} about a channel that is gone"
            case _:
                pass
    assert sorted(alive.values()) == sorted(c["Channel"] for c in simulator.channels)
    wanted = {bridge.uniqueid: len(bridge.members) for bridge in simulator.pbx.bridges.values()}
    assert bridges == wanted


async def test_traffic_comes_near_to_what_was_ordered(version: Version) -> None:
    options = SimulatorOptions(version=version, calls=50, cps=2, seed=1)
    simulator, recorder = await record(options, 600)
    assert 30 <= len(simulator.channels) <= 104
    kinds = {value(m, "Event") for m in messages(b"\r\n" + bytes(recorder.stream))}
    assert {
        "BlindTransfer", "AttendedTransfer", "LocalOptimizationEnd", "OriginateResponse",
    } <= kinds  # fmt: skip


async def test_a_ramp_brings_all_calls_at_once(version: Version) -> None:
    """By themselves they would take four times as long to be a half."""
    options = SimulatorOptions(version=version, calls=200, cps=4, seed=1)
    slow, _ = await record(options, 10)
    quick, _ = await record(dataclasses.replace(options, ramp_s=10), 10)
    later, _ = await record(dataclasses.replace(options, ramp_s=10), 60)
    counts = [len({c["Linkedid"] for c in each.channels}) for each in (slow, quick, later)]
    assert counts[0] < 60
    assert 160 <= counts[1] <= 240
    assert 150 <= counts[2] <= 260


async def test_no_call_is_left_when_traffic_stops(version: Version) -> None:
    clock = VirtualClock()
    options = SimulatorOptions(version=version, calls=30, cps=3, seed=5, dids={"2": "1000"})
    async with Simulator(options, clock) as simulator:
        clock.advance(200)
        simulator._traffic.stop()
        clock.advance(2000)
        assert simulator.channels == []
        assert simulator.pbx.bridges == {}
        assert simulator.pbx.moods == {}


async def test_every_event_of_a_burst_reaches_a_client() -> None:
    options = SimulatorOptions(devices=DEVICES)
    async with (
        Simulator(options) as simulator,
        await AmiClient.connect(simulator.port) as client,
    ):
        await client.login("pbxapi", "pbxapi")
        await client.catch_up("before")
        before = simulator.pbx.announcer.emitted
        told = sum(message[0][0] == "Event" for message in client.messages)
        for number in range(300):
            simulator.place_call(f"Linka_{1000 + number % 20}", "500")
        simulator.pbx.scheduler.post(lambda: None)
        channels = list(simulator.pbx.channels.values())
        for channel in channels:
            simulator.pbx.request_hangup(channel)
        emitted = simulator.pbx.announcer.emitted - before
        await client.catch_up()
        assert sum(message[0][0] == "Event" for message in client.messages) - told == emitted
        assert len(client.events("Hangup")) == len(channels) == 300


async def test_a_large_call_centre_lives() -> None:
    """200 queues, 2,000 agents, 50 calls a second, every event put into bytes for a client."""
    devices = default_devices(2000)
    phones = tuple(device.name for device in devices if not device.trunk)
    options = SimulatorOptions(
        devices=devices,
        queues=call_centre(200, 2000, "PJSIP", phones),
        calls=3000,
        cps=50,
        peer_life=5,
        agent_life=5,
    )
    clock, counter = VirtualClock(), Counting()
    async with Simulator(options, clock) as simulator:
        simulator.pbx.announcer.listen(counter)
        clock.advance(20)
        before = counter.events_seen
        clock.advance(5)
        assert counter.events_seen - before > 5 * 1000
        assert sum(q.completed for q in simulator.queues.values()) > 0
        members = [m for q in simulator.queues.values() for m in q.members.values()]
        assert 2400 < len(members) <= 2500  # some have left for a while


@dataclasses.dataclass
class Counting:
    """A listener that only counts."""

    events: int = classes.parse("system,call,agent,dialplan")
    events_seen: int = 0

    def deliver(self, payload: bytes) -> None:
        self.events_seen += 1

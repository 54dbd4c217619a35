"""Phones and trunks: what is told of them, in which order, and what a list says of them."""

import dataclasses
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from pbxapi.simulator import Behaviour, Simulator, SimulatorOptions, VirtualClock
from pbxapi.simulator.options import Version, default_devices
from tests.services import captures
from tests.services.waiting import eventually
from tests.simulator.ami_client import AmiClient, Message, messages, value
from tests.simulator.conftest import DEVICES, USERS
from tests.simulator.test_load import Recorder
from tests.simulator.test_structure import recorded_shapes, shapes

SIP_ACTIONS = (
    "SIPpeers",
    "SIPshowpeer\nPeer: Linka_1000",
    "SIPshowpeer\nPeer: Linka_1010",
    "SIPshowpeer\nPeer: upc",
    "SIPshowpeer\nPeer: nope",
    "SIPshowpeer",
    "SIPshowregistry",
)
PJSIP_ACTIONS = (
    "PJSIPShowEndpoints",
    "PJSIPShowEndpoint\nEndpoint: Linka_1000",
    "PJSIPShowEndpoint\nEndpoint: Linka_1010",
    "PJSIPShowEndpoint\nEndpoint: nope",
    "PJSIPShowContacts",
    "PJSIPShowAors",
    "PJSIPShowRegistrationsOutbound",
    "PJSIPShowRegistrationInboundContactStatuses",
)
ACTIONS = {16: SIP_ACTIONS, 22: PJSIP_ACTIONS}
#: What an event of a peer is about.
TOLD = frozenset({"PeerStatus", "ContactStatus", "DeviceStateChange", "Registry"})


def without_id(message: Message) -> Message:
    return [(name, text) for name, text in message if name != "ActionID"]


def told(session: Iterable[Message], name: str) -> list[tuple[str, ...]]:
    """What was told of one peer, in order: event, status or state, and what came with it."""
    return [
        (
            value(message, "Event"),
            value(message, "PeerStatus")
            or value(message, "ContactStatus")
            or value(message, "State"),
            value(message, "Time"),
            value(message, "Cause"),
        )
        for message in session
        if value(message, "Event") in TOLD
        and name
        in (
            value(message, "Peer").partition("/")[2],
            value(message, "EndpointName"),
            value(message, "Device").partition("/")[2],
        )
    ]


async def settle(lab: AmiClient, version: Version, name: str) -> None:
    """The first question to a phone that registered has been answered."""
    if version == 16:
        await lab.until(Event="PeerStatus", Peer=f"SIP/{name}", PeerStatus="Reachable")
    else:
        await lab.until(Event="ContactStatus", EndpointName=name, ContactStatus="Reachable")


@pytest.fixture
def options(version: Version) -> SimulatorOptions:
    absent = {"Linka_1005", "Linka_1006", "Linka_1010"}
    devices = tuple(
        dataclasses.replace(d, behaviour=Behaviour.UNREGISTERED) if d.name in absent else d
        for d in DEVICES
    )
    return SimulatorOptions(version=version, users=USERS, devices=devices)


async def test_every_answer_has_a_recorded_shape(lab: AmiClient, version: Version) -> None:
    for number, text in enumerate((*ACTIONS[version], "DeviceStateList")):
        await lab.ask(f"Action: {text}", f"lab-{number}")
    await lab.until(Event="DeviceStateListComplete")
    seen, known = shapes(lab.messages), recorded_shapes(version)
    strange = {
        kind: sorted(names - known.get(kind, set()))
        for kind, names in seen.items()
        if names - known.get(kind, set())
    }
    assert strange == {}


async def test_errors_are_worded_as_recorded(lab: AmiClient, version: Version) -> None:
    recorded = messages(
        captures.read(str(version), "sip-peers" if version == 16 else "pjsip-endpoints")
    )
    errors = {value(m, "Message") for m in recorded if ("Response", "Error") in m}
    asked = {
        16: ("SIPshowpeer\nPeer: nope", "SIPshowpeer"),
        22: ("PJSIPShowEndpoint\nEndpoint: nope",),
    }
    for number, text in enumerate(asked[version]):
        answer = await lab.ask(f"Action: {text}", f"lab-{number}")
        assert value(answer, "Message") in errors


async def test_the_other_drivers_actions_do_not_exist(lab: AmiClient, version: Version) -> None:
    other = {16: PJSIP_ACTIONS, 22: SIP_ACTIONS}[version]
    for number, text in enumerate(other):
        answer = await lab.ask(f"Action: {text}", f"lab-{number}")
        assert value(answer, "Message").startswith("Invalid/unknown command: ")
    commands = await lab.ask("Action: ListCommands", "all")
    assert ("SIPpeers" in dict(commands)) is (version == 16)
    assert ("PJSIPShowEndpoints" in dict(commands)) is (version == 22)


#: What Asterisk 16.28 with chan_pjsip answered to PJSIP_ACTIONS, of one phone and the trunk.
PJSIP_16 = (Path(__file__).parent / "recorded" / "pjsip-endpoints-16.ami").read_bytes()


async def test_16_can_have_pjsip_phones() -> None:
    options = SimulatorOptions(version=16, driver="PJSIP", users=USERS)
    async with Simulator(options) as simulator, await AmiClient.connect(simulator.port) as client:
        await client.login(events="off")
        for number, text in enumerate((*PJSIP_ACTIONS, "PJSIPShowEndpoint\nEndpoint: upc")):
            await client.ask(f"Action: {text}", f"lab-{number}")
        await client.ask("Action: Ping", "end")
        complete = await client.until(Event="ContactListComplete")
        assert value(complete, "ListItems") == "20"
        assert value(await client.ask("Action: SIPpeers", "s"), "Response") == "Error"
    known = shapes(messages(PJSIP_16))
    events = {kind: names for kind, names in shapes(client.messages).items() if "Event" in kind}
    assert {kind for kind, names in events.items() if names - known.get(kind, set())} == set()
    assert len(events) == 15


@pytest.mark.parametrize(
    ("user", "may"),
    [
        ("readonly", {"SIPpeers", "SIPshowregistry", "DeviceStateList"}),
        ("cfg", set[str]()),
    ],
)
async def test_classes_of_the_actions(
    client: AmiClient, version: Version, user: str, may: set[str]
) -> None:
    await client.login(user)
    for number, text in enumerate((*ACTIONS[version], "DeviceStateList")):
        answer = await client.ask(f"Action: {text}", f"lab-{number}")
        denied = value(answer, "Message") == "Permission denied"
        name = text.partition("\n")[0]
        assert denied is (name not in may | ({"SIPshowpeer"} if may else set()))


async def test_empty_lists_of_pjsip_are_errors() -> None:
    async with (
        Simulator(SimulatorOptions(users=USERS, devices=())) as simulator,
        await AmiClient.connect(simulator.port) as client,
    ):
        await client.login()
        for action, message in {
            "PJSIPShowEndpoints": "No endpoints found",
            "PJSIPShowContacts": "No Contacts found",
            "PJSIPShowAors": "No AORs found",
        }.items():
            answer = await client.ask(f"Action: {action}", action)
            assert dict(answer)["Response"] == "Error"
            assert value(answer, "Message") == message


async def test_register_and_leave_go_as_recorded(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    simulator.peers.register("Linka_1005")
    await settle(lab, version, "Linka_1005")
    simulator.peers.register("Linka_1005")
    simulator.peers.unregister("Linka_1005")
    await lab.catch_up("q")
    recorded = messages(captures.read(str(version), "register"))
    assert told(lab.messages, "Linka_1005") == told(recorded, "Linka_1005")


async def test_a_phone_that_answers_no_more_goes_as_recorded(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    simulator.peers.register("Linka_1006")
    await settle(lab, version, "Linka_1006")
    simulator.peers.lose("Linka_1006")
    await lab.catch_up("q")
    recorded = messages(captures.read(str(version), "register-expire-unreachable"))
    seen, wanted = told(lab.messages, "Linka_1006"), told(recorded, "Linka_1006")
    # Asterisk tells of the device from another thread than of the peer.
    assert [t for t in seen if t[0] != "DeviceStateChange"] == [
        t for t in wanted if t[0] != "DeviceStateChange"
    ]
    assert [t for t in seen if t[0] == "DeviceStateChange"] == [
        t for t in wanted if t[0] == "DeviceStateChange"
    ]
    simulator.peers.find("Linka_1006")
    await lab.catch_up("q2")
    assert told(lab.messages, "Linka_1006")[-1][1] == "NOT_INUSE"


async def test_lagged_is_a_word_of_chan_sip(
    simulator: Simulator, lab: AmiClient, version: Version, technology: str
) -> None:
    simulator.peers.set_round_trip("Linka_1000", 1999)
    simulator.peers.set_round_trip("Linka_1000", 2048)
    await lab.catch_up("q")
    if version == 22:
        assert told(lab.messages, "Linka_1000") == []
        await lab.ask("Action: PJSIPShowContacts", "c")
        assert value(lab.events("ContactList")[0], "RoundtripUsec") == "2048000"
        return
    assert told(lab.messages, "Linka_1000") == [
        ("PeerStatus", "Lagged", "", ""),
        ("DeviceStateChange", "UNAVAILABLE", "", ""),
    ]
    await lab.ask("Action: SIPpeers", "p")
    assert value(lab.events("PeerEntry")[0], "Status") == "LAGGED (2048 ms)"
    await lab.ask(
        f"Action: Originate\nChannel: {technology}/Linka_1000\nApplication: Wait\nData: 1\n"
        "Async: true",
        "call",
    )
    response = await lab.until(Event="OriginateResponse")
    assert value(response, "Reason") == "0"
    simulator.peers.set_round_trip("Linka_1000", 30)
    await lab.catch_up("q2")
    assert told(lab.messages, "Linka_1000")[2:] == [
        ("PeerStatus", "Reachable", "", ""),
        ("DeviceStateChange", "NOT_INUSE", "", ""),
    ]


async def test_an_unregistered_phone_cannot_be_called_until_it_registers(
    simulator: Simulator, lab: AmiClient, version: Version, technology: str
) -> None:
    simulator.peers.unregister("Linka_1000")
    ask = f"Action: Originate\nChannel: {technology}/Linka_1000\nApplication: Wait\nAsync: true"
    await lab.ask(ask, "one")
    assert value(await lab.until(Event="OriginateResponse", ActionID="one"), "Reason") == "0"
    simulator.configure("Linka_1000", behaviour=Behaviour.UNREGISTERED)
    simulator.peers.register("Linka_1000")
    await settle(lab, version, "Linka_1000")
    await lab.ask(ask, "two")
    assert value(await lab.until(Event="OriginateResponse", ActionID="two"), "Reason") == "4"


async def test_a_phone_moves(simulator: Simulator, lab: AmiClient, version: Version) -> None:
    simulator.peers.move("Linka_1000", "192.0.2.7", 5070)
    await settle(lab, version, "Linka_1000") if version == 22 else None
    peer = simulator.peers["Linka_1000"]
    assert [(c.host, c.port) for c in peer.contacts.values()] == [("192.0.2.7", 5070)]
    assert peer.answers
    assert all(t[1] != "UNAVAILABLE" for t in told(lab.messages, "Linka_1000"))


async def test_a_pjsip_phone_has_several_contacts() -> None:
    async with (
        Simulator(SimulatorOptions(users=USERS)) as simulator,
        await AmiClient.connect(simulator.port) as client,
    ):
        await client.login()
        second = simulator.peers.register("Linka_1000", "192.0.2.8")
        await client.until(Event="ContactStatus", URI=second.uri, ContactStatus="Reachable")
        simulator.peers.unregister("Linka_1000", second.uri)
        await client.catch_up("q")
        assert [t[1] for t in told(client.messages, "Linka_1000")] == [
            "NonQualified", "Reachable", "Removed",
        ]  # fmt: skip


async def test_device_states_follow_the_calls(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    simulator.configure("Linka_1004", behaviour=Behaviour.RINGS)
    caller = simulator.place_call("Linka_1000", "1001")
    await lab.until(Event="BridgeEnter", Channel=caller)
    simulator.place_call("Linka_1000", "1004")

    def ringing() -> list[str]:
        return [c["Channel"] for c in simulator.channels if c["ChannelStateDesc"] == "Ringing"]

    [second] = await eventually(ringing, within_s=5, what="it rings")
    simulator.answer(second)
    for channel in list(simulator.channels):
        if channel["Channel"] in simulator.pbx.channels:
            simulator.hangup(channel["Channel"])
    await eventually(lambda: not simulator.channels, within_s=5, what="no channel")
    await lab.catch_up("q")
    states = {
        name: [t[1] for t in told(lab.messages, name)]
        for name in ("Linka_1000", "Linka_1001", "Linka_1004")
    }
    again = ["RINGING"] if version == 16 else []
    assert states["Linka_1000"] == ["INUSE", "NOT_INUSE"]
    assert states["Linka_1001"] == [*again, "RINGING", "INUSE", "NOT_INUSE"]
    assert states["Linka_1004"] == [*again, "RINGING", "INUSE", "NOT_INUSE"]


async def test_registrations_survive_a_restart_and_reachable_comes_later(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    simulator.peers.lose("Linka_1002")
    await simulator.restart(0)
    await lab.until_eof()
    async with await AmiClient.connect(simulator.port) as client:
        await client.login()
        await client.ask("Action: " + ("SIPpeers" if version == 16 else "PJSIPShowContacts"), "l")
        if version == 16:
            entries = {value(m, "ObjectName"): m for m in client.events("PeerEntry")}
            assert value(entries["Linka_1000"], "IPaddress") != "-none-"
            assert value(entries["Linka_1000"], "Status") == "UNKNOWN"
        else:
            contacts = {value(m, "Endpoint"): m for m in client.events("ContactList")}
            assert value(contacts["Linka_1000"], "Status") == "NonQualified"
        await settle(client, version, "Linka_1000")
        lost = {16: {"Peer": "SIP/Linka_1002"}, 22: {"EndpointName": "Linka_1002"}}[version]
        key = {16: "PeerStatus", 22: "ContactStatus"}[version]
        await client.until(Event=key, **lost, **{key: "Unreachable"})
        await client.until(Event="Registry", Status="Registered")
        recorded = messages(captures.read(str(version), "restart-after"))
        statuses = {value(m, "Status") for m in recorded if m[0] == ("Event", "Registry")}
        assert statuses <= {value(m, "Status") for m in client.events("Registry")}


async def test_a_trunk_loses_its_registration(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    simulator.peers.provide("upc", "Rejected")
    event = await lab.until(Event="Registry")
    assert [name for name, _ in event] == [
        "Event",
        "Privilege",
        "ChannelType",
        "Username",
        "Domain",
        "Status",
    ]
    await lab.ask(
        "Action: " + ("SIPshowregistry" if version == 16 else "PJSIPShowRegistrationsOutbound"), "r"
    )
    row = await lab.until(
        ActionID="r", Event="RegistryEntry" if version == 16 else "OutboundRegistrationDetail"
    )
    assert value(row, "State" if version == 16 else "Status") == "Rejected"
    with pytest.raises(KeyError):
        simulator.peers.provide("Linka_1000", "Rejected")


async def test_phones_live_by_themselves_and_most_are_well(version: Version) -> None:
    options = SimulatorOptions(version=version, peer_life=2.0, devices=default_devices(100), seed=4)
    clock, recorder = VirtualClock(), Recorder()
    async with Simulator(options, clock) as simulator:
        simulator.pbx.announcer.listen(recorder)
        clock.advance(600)
        well = sum(peer.answers for peer in simulator.peers.values())
        assert 50 < well < 101
        seen = messages(b"\r\n" + bytes(recorder.stream))
        statuses = {value(m, "PeerStatus") or value(m, "ContactStatus") for m in seen}
        wanted = {
            16: {"Registered", "Unregistered", "Reachable", "Unreachable", "Lagged"},
            22: {"NonQualified", "Reachable", "Unreachable", "Removed"},
        }[version]
        assert wanted <= statuses
        last = {value(m, "Device").partition("/")[2]: value(m, "State") for m in seen}
        for peer in simulator.peers.values():
            if peer.name in last:
                assert (last[peer.name] == "NOT_INUSE") is peer.answers


async def test_the_same_seed_gives_the_same_life() -> None:
    async def record() -> bytes:
        clock, recorder = VirtualClock(), Recorder()
        async with Simulator(SimulatorOptions(peer_life=2.0), clock) as simulator:
            simulator.pbx.announcer.listen(recorder)
            clock.advance(60)
        return bytes(recorder.stream)

    assert await record() == await record() != b""


@pytest.fixture
async def late(version: Version) -> AsyncIterator[tuple[Simulator, AmiClient]]:
    options = SimulatorOptions(version=version, users=USERS, event_latency_s=0.2)
    async with Simulator(options) as simulator, await AmiClient.connect(simulator.port) as client:
        await client.login()
        yield simulator, client


async def test_events_can_be_older_than_a_list(
    late: tuple[Simulator, AmiClient], version: Version
) -> None:
    simulator, client = late
    simulator.peers.unregister("Linka_1000")
    await client.ask("Action: DeviceStateList", "list")
    await client.until(Event="DeviceStateListComplete")
    assert told([m for m in client.messages if not value(m, "ActionID")], "Linka_1000") == []
    gone = {16: ("PeerStatus", "Unregistered"), 22: ("ContactStatus", "Removed")}[version]
    await client.until(Event=gone[0], **{gone[0]: gone[1]})


async def test_events_can_be_held_back(simulator: Simulator, lab: AmiClient) -> None:
    simulator.pbx.announcer.hold()
    simulator.peers.lose("Linka_1000")
    simulator.peers.find("Linka_1000")
    await lab.catch_up("q")
    assert told(lab.messages, "Linka_1000") == []
    simulator.pbx.announcer.release()
    await lab.catch_up("q2")
    assert [t[1] for t in told(lab.messages, "Linka_1000")][-1] == "NOT_INUSE"


async def test_five_thousand_peers_are_there_at_once(version: Version) -> None:
    options = SimulatorOptions(version=version, users=USERS, devices=default_devices(5000))
    async with Simulator(options) as simulator, await AmiClient.connect(simulator.port) as client:
        await client.login()
        listing = {
            16: ("SIPpeers", "PeerlistComplete"),
            22: ("PJSIPShowContacts", "ContactListComplete"),
        }
        action, complete = listing[version]
        await client.ask(f"Action: {action}", "all")
        end = await client.until(20, Event=complete)
        assert value(end, "ListItems") == {16: "5001", 22: "5000"}[version]
        hosts = {c.host for p in simulator.peers.values() for c in p.contacts.values()}
        assert len(hosts) == 5001


async def test_a_phone_that_is_never_asked_is_unmonitored(version: Version) -> None:
    devices = tuple(dataclasses.replace(device, qualify=False) for device in default_devices())
    options = SimulatorOptions(version=version, users=USERS, devices=devices)
    async with Simulator(options) as simulator, await AmiClient.connect(simulator.port) as client:
        await client.login()
        simulator.peers.lose("Linka_1000")
        simulator.peers.unregister("Linka_1000")
        simulator.peers.register("Linka_1000")
        await client.ask("Action: " + ("SIPpeers" if version == 16 else "PJSIPShowContacts"), "l")
        row = await client.until(
            ActionID="l", Event="PeerEntry" if version == 16 else "ContactList"
        )
        assert value(row, "Status") == {16: "Unmonitored", 22: "NonQualified"}[version]
        assert [t[1] for t in told(client.messages, "Linka_1000")] == {
            16: ["Unregistered", "UNAVAILABLE", "Registered", "NOT_INUSE"],
            22: [
                "Unreachable", "UNAVAILABLE", "Removed", "NonQualified", "Reachable", "NOT_INUSE",
            ],
        }[version]  # fmt: skip


async def test_a_phone_that_leaves_or_is_slow_at_once(
    simulator: Simulator, version: Version
) -> None:
    """What becomes of the first question when there is nobody left to ask, or a slow one."""
    simulator.peers.register("Linka_1005")
    simulator.peers.unregister("Linka_1005")
    simulator.configure("Linka_1006", round_trip_ms=2100.0)
    simulator.peers.register("Linka_1006")
    await eventually(
        lambda: version == 22 or simulator.peers["Linka_1006"].lagged, within_s=5, what="lagged"
    )
    assert not simulator.peers["Linka_1005"].contacts


async def test_who_is_unreachable_is_listed_so(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    simulator.peers.lose("Linka_1000")
    await lab.ask("Action: " + ("SIPpeers" if version == 16 else "PJSIPShowContacts"), "l")
    row = await lab.until(ActionID="l", Event="PeerEntry" if version == 16 else "ContactList")
    assert value(row, "Status") == {16: "UNREACHABLE", 22: "Unreachable"}[version]
    assert simulator.pbx.device_states.of("IAX2/nobody").name == "INVALID"
    assert simulator.pbx.device_states.of("Local/77777@nowhere").name == "INVALID"

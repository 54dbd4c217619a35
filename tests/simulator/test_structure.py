"""Every kind of message has the headers, in the order, that real Asterisk gave it."""

import asyncio
from collections.abc import Iterable

import pytest

from pbxapi.simulator import Behaviour, Simulator
from pbxapi.simulator.options import Version
from tests.services import captures
from tests.services.waiting import eventually
from tests.simulator.ami_client import AmiClient, Message, messages, value

Shape = tuple[str, ...]


def shape(message: Message) -> tuple[str, Shape]:
    """Kind of a message and the names of its headers; variables depend on the configuration."""
    kind = f"{message[0][0]} {message[0][1]}" if message[0][0] == "Event" else message[0][0]
    names = tuple(name for name, _ in message if "ChanVariable" not in name)
    while "Variable" in names and kind == "Event Status":
        names = tuple(name for name in names if name != "Variable")
    return kind, names


def shapes(found: Iterable[Message]) -> dict[str, set[Shape]]:
    kinds: dict[str, set[Shape]] = {}
    for message in found:
        kind, names = shape(message)
        kinds.setdefault(kind, set()).add(names)
    return kinds


def recorded_shapes(version: Version) -> dict[str, set[Shape]]:
    names = captures.names(str(version))
    sessions = (messages(captures.read(str(version), name)) for name in names)
    return shapes(message for session in sessions for message in session)


async def make_calls(simulator: Simulator, lab: AmiClient) -> None:
    """Everything that can happen to a call, once."""
    tech = simulator.options.technology
    simulator.configure("Linka_1003", behaviour=Behaviour.BUSY)
    simulator.configure("Linka_1004", behaviour=Behaviour.RINGS)
    simulator.configure("Linka_1010", behaviour=Behaviour.UNREGISTERED)
    simulator.configure("Linka_1011", behaviour=Behaviour.REJECTS)
    for number in ("1000", "1003", "1010", "1011", "500", "0602123456"):
        simulator.place_call("Linka_1005", number)
    simulator.incoming("upc", "222333444", "420602123456")
    dialled = {
        "wait": f"{tech}/Linka_1000\nApplication: Wait\nData: 0",
        "exten": f"{tech}/Linka_1001\nContext: extensions-dialplanid-1\nExten: 1002\nPriority: 1",
        "local": "Local/1000@extensions-dialplanid-1\nContext: extensions-dialplanid-1\n"
        "Exten: 1001\nPriority: 1\nCallerID: Click <1000>\nAccount: acc9\nVariable: A=1,B=2",
        "missing": "Local/77777@extensions-dialplanid-1\nApplication: Wait\nData: 1",
        "late": f"{tech}/Linka_1004\nTimeout: 50\nApplication: Wait\nData: 1",
        "busy": f"{tech}/Linka_1003\nApplication: Wait\nData: 1",
        "gone": f"{tech}/Linka_1010\nApplication: Wait\nData: 1",
    }
    for ident, text in dialled.items():
        lab.send(f"Action: Originate\nActionID: {ident}\nAsync: true\nChannel: {text}")
    for ident in dialled:
        await lab.until(Event="OriginateResponse", ActionID=ident)


async def transfer_calls(simulator: Simulator, lab: AmiClient) -> None:
    caller = simulator.place_call("Linka_1006", "1007")
    await lab.until(Event="BridgeEnter", Channel=caller)
    simulator.blind_transfer(caller, "extensions-dialplanid-1", "1008")
    caller = simulator.place_call("Linka_1012", "1013")
    await lab.until(Event="BridgeEnter", Channel=caller)
    simulator.attended_transfer(caller, "extensions-dialplanid-1", "1014")
    called = "Local/1014@extensions-dialplanid-1"
    await eventually(
        lambda: any(
            channel["Channel"].startswith(called) and channel["BridgeId"]
            for channel in simulator.channels
            if channel["Channel"].endswith(";2")
        ),
        within_s=5,
        what="the consultation is answered",
    )
    simulator.hangup(caller)
    await lab.until(Event="AttendedTransfer")


async def test_every_message_has_a_recorded_shape(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    await make_calls(simulator, lab)
    await transfer_calls(simulator, lab)
    first = simulator.channels[0]["Channel"]
    for number, text in enumerate(
        (
            "CoreShowChannels",
            "Status\nVariables: A",
            f"Status\nChannel: {first}\nAllVariables: true",
            f"Setvar\nChannel: {first}\nVariable: X\nValue: y",
            f"Getvar\nChannel: {first}\nVariable: X",
            "CoreSettings",
            "CoreStatus",
            "Reload\nModule: app_queue",
            "ModuleCheck\nModule: app_queue",
            "Events\nEventMask: on",
            "Hangup\nChannel: /./",
        )
    ):
        await lab.ask(f"Action: {text}", f"lab-{number}")
    await eventually(lambda: not simulator.channels, within_s=5, what="all calls are over")
    simulator.place_call("Linka_1005", "500")
    await simulator.restart(0)
    await lab.until_eof()
    seen, known = shapes(lab.messages), recorded_shapes(version)
    strange = {
        kind: sorted(names - known.get(kind, set()))
        for kind, names in seen.items()
        if names - known.get(kind, set())
    }
    assert strange == {}
    missing = EXPECTED_EVENTS - {kind.removeprefix("Event ") for kind in seen}
    assert missing == set()


EXPECTED_EVENTS = {
    "FullyBooted", "Newchannel", "Newstate", "Newexten", "NewCallerid", "NewConnectedLine",
    "NewAccountCode", "VarSet", "DialBegin", "DialState", "DialEnd", "BridgeCreate", "BridgeEnter",
    "BridgeLeave", "BridgeDestroy", "BridgeMerge", "LocalBridge", "LocalOptimizationBegin",
    "LocalOptimizationEnd", "OriginateResponse", "HangupRequest", "SoftHangupRequest", "Hangup",
    "BlindTransfer", "AttendedTransfer", "Shutdown", "Reload", "CoreShowChannel",
    "CoreShowChannelsComplete", "Status", "StatusComplete", "ChannelHungup",
    "ChannelsHungupListComplete", "SuccessfulAuth", "Hold", "Unhold", "MusicOnHoldStart",
    "MusicOnHoldStop",
}  # fmt: skip


def core(session: Iterable[Message], kinds: frozenset[str]) -> list[tuple[str, ...]]:
    """What happened to whom, in order: event, channel without its number, and what it is about."""
    return [
        (
            value(message, "Event"),
            (value(message, "Channel") or value(message, "DestChannel")).rsplit("-", 1)[0],
            value(message, "ChannelStateDesc"),
            value(message, "DialStatus") or value(message, "Cause-txt"),
            value(message, "BridgeNumChannels"),
        )
        for message in session
        if value(message, "Event") in kinds
    ]


ORDERED = frozenset(
    {
        "Newchannel",
        "Newstate",
        "DialBegin",
        "DialState",
        "DialEnd",
        "NewAccountCode",
        "BridgeCreate",
        "BridgeEnter",
        "HangupRequest",
        "BridgeLeave",
        "BridgeDestroy",
    }
)


async def test_a_call_between_phones_goes_as_recorded(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    """Up to the hang-ups, whose order real Asterisk does not keep either."""
    caller = simulator.place_call("Linka_1005", "1000")
    await lab.until(Event="BridgeEnter", Channel=caller)
    simulator.hangup(caller)
    await lab.until(Event="Hangup", Channel=caller)
    recorded = messages(captures.read(str(version), "phone-call"))
    assert core(lab.messages, ORDERED) == core(recorded, ORDERED)


@pytest.mark.parametrize("capture", ["originate-busy"])
async def test_a_busy_originate_goes_as_recorded(
    simulator: Simulator, lab: AmiClient, version: Version, capture: str
) -> None:
    simulator.configure("Linka_1003", behaviour=Behaviour.BUSY)
    tech = simulator.options.technology
    await lab.ask(
        f"Action: Originate\nChannel: {tech}/Linka_1003\nContext: extensions-dialplanid-1\n"
        "Exten: 1001\nPriority: 1\nAsync: true",
        "lab-2",
    )
    await lab.until(Event="Hangup")
    response = await lab.until(Event="OriginateResponse")
    recorded = messages(captures.read(str(version), capture))
    wanted = next(m for m in recorded if m[0] == ("Event", "OriginateResponse"))
    assert response == wanted
    hangups = [
        next([v for k, v in m if "Cause" in k] for m in session if m[0] == ("Event", "Hangup"))
        for session in (lab.messages, recorded)
    ]
    assert hangups[0] == hangups[1]


async def test_an_originate_through_local_is_optimised_as_recorded(
    simulator: Simulator, lab: AmiClient
) -> None:
    await lab.ask(
        "Action: Originate\nChannel: Local/1000@extensions-dialplanid-1\n"
        "Context: extensions-dialplanid-1\nExten: 1001\nPriority: 1\nAsync: true\n"
        "ChannelId: lab-custom-id-1\nOtherChannelId: lab-custom-id-1b\n"
        "CallerID: Click2Call <1000>\nAccount: acc9",
        "lab-2",
    )
    await lab.until(Event="LocalOptimizationEnd")
    await eventually(lambda: len(simulator.channels) == 2, within_s=5, what="the halves are gone")
    assert {channel["Linkedid"] for channel in simulator.channels} == {"lab-custom-id-1"}
    assert len({channel["BridgeId"] for channel in simulator.channels}) == 1
    assert {channel["AccountCode"] for channel in simulator.channels} == {"acc9"}
    await asyncio.sleep(0)
    names = {(c["CallerIDNum"], c["ConnectedLineNum"]) for c in simulator.channels}
    assert names == {("1000", "1001"), ("1001", "1000")}

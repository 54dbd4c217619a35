"""Click-to-call as the daemon asks for it, held against recordings of the real dial plan."""

import pytest

from pbxapi.simulator import Behaviour, Simulator
from pbxapi.simulator.options import Version
from tests.services import captures
from tests.services.waiting import eventually
from tests.simulator.ami_client import AmiClient, Message, messages, value


def originate(tech: str, ident: str = "call-1", **variables: str) -> str:
    given = {
        "ACCOUNTS": f"{tech}%2FLinka_1000",
        "DST": "1001",
        "DIALPLAN": "1",
        "OUTROUTE": "",
        "CID_NUM": "000",
        "CID_NAME": "Vol%C3%A1n%C3%AD%20z%20CRM",
        "SRC_TIMEOUT": "15",
        "DST_TIMEOUT": "15",
    } | variables
    lines = [f"Variable: __PBXAPI_{name}={text}" for name, text in given.items()]
    return "\n".join(
        [
            "Action: Originate",
            "Channel: Local/1000@pbxapi-originate/n",
            "Context: pbxapi-originated",
            "Exten: s",
            "Priority: 1",
            "Async: true",
            f"ChannelId: {ident}",
            f"OtherChannelId: {ident}-2",
            "Timeout: 20000",
            *lines,
        ]
    )


async def until_bridged(simulator: Simulator) -> None:
    def bridged() -> bool:
        now = simulator.channels
        return len(now) == 2 and len({channel["BridgeId"] for channel in now}) == 1

    await eventually(bridged, within_s=5, what="two channels in one bridge")


def story(session: list[Message], leg: str) -> list[tuple[str, ...]]:
    """What happened to the channel whose name begins so, without its numbers."""
    wanted = ("Newchannel", "Newstate", "NewCallerid", "NewConnectedLine", "NewAccountCode")
    return [
        (
            value(message, "Event"),
            value(message, "ChannelStateDesc"),
            value(message, "CallerIDNum"),
            value(message, "CallerIDName"),
            value(message, "ConnectedLineNum"),
            value(message, "ConnectedLineName"),
        )
        for message in session
        if value(message, "Event") in wanted and value(message, "Channel").startswith(leg)
    ]


async def test_the_line_rings_and_then_the_destination(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    await lab.ask(originate(technology), "o")
    response = await lab.until(Event="OriginateResponse", ActionID="o")
    assert value(response, "Response") == "Success"
    assert value(response, "Uniqueid") == "call-1"
    await until_bridged(simulator)
    phone, target = simulator.channels
    assert phone["Channel"].startswith(f"{technology}/Linka_1000-")
    assert (phone["Context"], phone["Exten"]) == ("pbxapi-dial", "1001")
    assert (phone["CallerIDNum"], phone["ConnectedLineNum"]) == ("1000", "1001")
    assert target["Channel"].startswith(f"{technology}/Linka_1001-")
    await lab.catch_up()
    linked = {value(m, "Linkedid") for m in lab.events("Newchannel")}
    assert linked == {"call-1"}


async def test_every_leg_lives_as_recorded(
    simulator: Simulator, lab: AmiClient, version: Version, technology: str
) -> None:
    await lab.ask(originate(technology), "o")
    await until_bridged(simulator)
    await lab.until(Event="LocalOptimizationEnd")
    await lab.ask("Action: Ping", "settled")
    recorded = messages(captures.read(str(version), "click-to-call"))
    for leg in (
        f"{technology}/Linka_1000",
        f"{technology}/Linka_1001",
        "Local/1001@pbxapi-target",
    ):
        assert sorted(story(lab.messages, leg)) == sorted(story(recorded, leg)), leg


async def test_the_first_account_that_answers_wins(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    simulator.configure("Linka_1000", behaviour=Behaviour.RINGS)
    accounts = f"{technology}%2FLinka_1000%26{technology}%2FLinka_1002"
    await lab.ask(originate(technology, ACCOUNTS=accounts), "o")
    await until_bridged(simulator)
    cancelled = await lab.until(Event="Hangup", CallerIDNum="1000")
    assert value(cancelled, "Cause") == "26"
    assert simulator.channels[0]["Channel"].startswith(f"{technology}/Linka_1002-")


@pytest.mark.parametrize(
    ("behaviour", "cause"),
    [(Behaviour.BUSY, "17"), (Behaviour.UNREGISTERED, "20"), (Behaviour.RINGS, "19")],
)
async def test_a_line_that_does_not_answer_fails_the_originate(
    simulator: Simulator, lab: AmiClient, technology: str, behaviour: Behaviour, cause: str
) -> None:
    simulator.configure("Linka_1000", behaviour=behaviour)
    await lab.ask(originate(technology, SRC_TIMEOUT="1"), "o")
    response = await lab.until(Event="OriginateResponse", ActionID="o")
    assert value(response, "Response") == "Failure"
    assert value(response, "Uniqueid") == "call-1"
    second = await lab.until(Event="Hangup", Uniqueid="call-1-2")
    assert value(second, "Cause") == cause
    await eventually(lambda: not simulator.channels, within_s=5, what="nothing is left")


async def test_a_busy_destination_is_told_to_the_phone(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    simulator.configure("Linka_1001", behaviour=Behaviour.BUSY)
    await lab.ask(originate(technology), "o")
    ended = await lab.until(Event="DialEnd", DialStatus="BUSY", CallerIDNum="1000")
    assert value(ended, "DestChannel")
    await eventually(
        lambda: [c["Application"] for c in simulator.channels] == ["Busy"],
        within_s=5,
        what="only the phone is left and hears the tone",
    )


async def test_a_number_outside_goes_through_the_trunk(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    text = originate(technology, DST="%2B420602123456", OUTROUTE="2", OVERRIDE_CID="420222333000")
    await lab.ask(text, "o")
    await until_bridged(simulator)
    target = simulator.channels[-1]
    assert target["Channel"].startswith(f"{technology}/upc-")
    assert (target["CallerIDNum"], target["ConnectedLineNum"]) == ("+420602123456", "420222333000")


async def test_without_a_route_the_phone_hears_congestion(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    await lab.ask(originate(technology, DST="602123456"), "o")
    await eventually(
        lambda: [c["Application"] for c in simulator.channels] == ["Congestion"],
        within_s=5,
        what="only the phone is left and hears the tone",
    )

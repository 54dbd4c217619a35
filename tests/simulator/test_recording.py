"""Recordings, and macros that run before a phone rings."""

from pbxapi.simulator import Behaviour, Simulator
from pbxapi.simulator.options import Version
from tests.simulator.ami_client import AmiClient, value
from tests.simulator.calls import hang_up_all, legs, originate, until_bridged, until_silent
from tests.simulator.test_structure import recorded_shapes, shape

PATH = "/var/spool/asterisk/monitor/2026/hovor čtyři.wav"


def call(technology: str, **values: str) -> str:
    given = {"ACCOUNTS": f"{technology}/Linka_1000", "DST": "1001"} | values
    return originate("1000", "pbxapi-originate", **given)


async def test_the_phone_of_the_line_is_recorded(
    simulator: Simulator, lab: AmiClient, version: Version, technology: str
) -> None:
    await lab.ask(call(technology, RECORD=PATH), "o")
    await until_bridged(simulator)
    await lab.catch_up()
    (started,) = lab.events("MixMonitorStart")
    assert value(started, "Channel").startswith(f"{technology}/Linka_1000-")
    named = await lab.until(Event="VarSet", Variable="MIXMONITOR_FILENAME")
    assert value(named, "Value") == PATH
    stop = f"Action: StopMixMonitor\nChannel: {value(started, 'Channel')}"
    assert value(await lab.ask(stop, "stop"), "Response") == "Success"
    (stopped,) = lab.events("MixMonitorStop")
    again = await lab.ask(stop, "again")
    assert value(again, "Message") == "Could not stop monitoring channel"
    known = recorded_shapes(version)
    for message in (started, stopped):
        kind, headers = shape(message)
        assert headers in known[kind]
    hang_up_all(simulator)
    await until_silent(simulator)
    recorded = {legs(row)[1] for row in simulator.cdrs if row.recordingfile == PATH}
    assert recorded == {"Local/1001@pbxapi-target;1", f"{technology}/Linka_1001"}
    phones = [row for row in simulator.cdrs if row.recordingfile]
    assert {legs(row)[0] for row in phones} == {f"{technology}/Linka_1000"}


async def test_stopping_what_does_not_exist(lab: AmiClient) -> None:
    answer = await lab.ask("Action: StopMixMonitor", "a")
    assert value(answer, "Message") == "No channel specified"
    answer = await lab.ask("Action: StopMixMonitor\nChannel: SIP/nobody-0", "b")
    assert value(answer, "Message") == "No such channel"


async def test_nothing_is_recorded_unasked(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    await lab.ask(call(technology), "o")
    await until_bridged(simulator)
    await lab.catch_up()
    assert lab.events("MixMonitorStart") == []


async def test_a_macro_runs_on_each_phone_before_it_rings(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    for name in ("Linka_1000", "Linka_1002"):
        simulator.configure(name, behaviour=Behaviour.RINGS)
    accounts = f"{technology}/Linka_1000&{technology}/Linka_1002"
    await lab.ask(call(technology, MACRO="oznameni", ACCOUNTS=accounts), "o")
    for number in ("1000", "1002"):
        await lab.until(Event="Newstate", CallerIDNum=number, ChannelStateDesc="Ringing")
    ran = [m for m in lab.events("Newexten") if value(m, "Context") == "macro-oznameni"]
    where = [(value(m, "Channel").split("-")[0], value(m, "Application")) for m in ran]
    assert where == [
        (f"{technology}/Linka_{number}", application)
        for number in ("1000", "1002")
        for application in ("NoOp", "Return")
    ]
    dialled = [m for m in lab.events("Newexten") if value(m, "Application") == "Dial"]
    assert value(dialled[0], "AppData").endswith("b(macro-oznameni^s^1)")
    assert {c["Context"] for c in simulator.channels if "_10" in c["Channel"]} == {
        "extensions-dialplanid-1"
    }


async def test_a_macro_that_does_not_exist_hinders_nothing(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    await lab.ask(call(technology, MACRO="neni"), "o")
    await until_bridged(simulator)
    await lab.catch_up()
    assert not any("neni" in value(m, "AppData") for m in lab.events("Newexten"))

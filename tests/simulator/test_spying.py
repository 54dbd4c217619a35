"""The action `spying` as the daemon asks for it, and ChanSpy itself."""

from pbxapi.simulator import Behaviour, Simulator
from pbxapi.simulator.options import Version
from tests.simulator.ami_client import AmiClient, value
from tests.simulator.calls import legs, names, originate, until, until_silent
from tests.simulator.test_structure import recorded_shapes, shape


def spying(technology: str, **values: str) -> str:
    given = {"ACCOUNTS": f"{technology}/Linka_1005", "CID_NAME": "Spy"} | values
    return originate("1005", "pbxapi-spying", **given)


async def talk(simulator: Simulator, lab: AmiClient, source: str, exten: str) -> str:
    """Two phones talk; returns the name of the called one's channel."""
    caller = simulator.place_call(source, exten)
    entered = await lab.until(Event="VarSet", Channel=caller, Variable="BRIDGEPEER")
    return value(entered, "Value")


async def test_the_named_channel_is_heard_until_it_ends(
    simulator: Simulator, lab: AmiClient, technology: str, version: Version
) -> None:
    spied = await talk(simulator, lab, "Linka_1000", "1001")
    await talk(simulator, lab, "Linka_1002", "1003")
    await lab.ask(spying(technology, SPY=spied), "o")
    started = await lab.until(Event="ChanSpyStart")
    assert value(started, "SpyerChannel").startswith(f"{technology}/Linka_1005-")
    assert value(started, "SpyeeChannel") == spied
    spy = value(started, "SpyerChannel")
    (listening,) = (c for c in simulator.channels if c["Channel"] == spy)
    assert (listening["Application"], listening["ApplicationData"]) == (
        "ChanSpy",
        f"{spied},quES",
    )
    assert (listening["Context"], listening["Exten"]) == ("pbxapi-spy", "1005")
    assert listening["ConnectedLineNum"] == "000"
    simulator.hangup(spied)
    stopped = await lab.until(Event="ChanSpyStop")
    assert value(stopped, "SpyeeChannel") == spied
    await lab.until(Event="Hangup", Channel=spy)
    assert len(names(simulator)) == 2, "the other call goes on"
    known = recorded_shapes(version)
    for message in (started, stopped):
        kind, headers = shape(message)
        assert headers in known[kind]


async def test_a_channel_whose_name_only_begins_so_is_not_heard(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    spied = await talk(simulator, lab, "Linka_1000", "1001")
    await lab.ask(spying(technology, SPY=spied[:-1]), "o")
    await lab.until(Event="Newexten", Application="ChanSpy")
    await until(lambda: not any("_1005-" in name for name in names(simulator)), "the spy is gone")
    await lab.catch_up()
    assert lab.events("ChanSpyStart") == []


async def test_a_line_is_waited_for(simulator: Simulator, lab: AmiClient, technology: str) -> None:
    simulator.configure("Linka_1001", behaviour=Behaviour.RINGS)
    ringing = simulator.place_call("Linka_1000", "1001")
    line = f"{technology}/Linka_1006&{technology}/Linka_1001"
    await lab.ask(spying(technology, SPY_LINE=line), "o")
    await lab.until(Event="Newexten", Application="Wait", AppData="1")
    assert lab.events("ChanSpyStart") == []
    called = next(name for name in names(simulator) if "/Linka_1001-" in name)
    simulator.answer(called)
    started = await lab.until(Event="ChanSpyStart")
    assert value(started, "SpyeeChannel") == called
    simulator.hangup(ringing)
    await until_silent(simulator)


async def test_a_spy_that_hangs_up_stops_listening(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    spied = await talk(simulator, lab, "Linka_1000", "1001")
    await lab.ask(spying(technology, SPY=spied), "o")
    started = await lab.until(Event="ChanSpyStart")
    simulator.hangup(value(started, "SpyerChannel"))
    await lab.until(Event="ChanSpyStop")
    assert spied in names(simulator)
    assert simulator.pbx.channels[spied].spies == []


async def test_rows_of_a_spy(simulator: Simulator, lab: AmiClient, technology: str) -> None:
    spied = await talk(simulator, lab, "Linka_1000", "1001")
    await lab.ask(spying(technology, SPY=spied), "o")
    await lab.until(Event="ChanSpyStart")
    simulator.hangup(spied)
    await until_silent(simulator)
    rows = [row for row in simulator.cdrs if row.linkedid == "call-1"]
    phone = f"{technology}/Linka_1005"
    assert [(*legs(row), row.dcontext) for row in rows] == [
        ("Local/1005@pbxapi-spying;2", phone, "pbxapi-spying"),
        (phone, "", "pbxapi-spy"),
    ]


async def test_an_unreachable_line_is_not_waited_for(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    simulator.configure("Linka_1005", behaviour=Behaviour.UNREGISTERED)
    await lab.ask(spying(technology, SPY_LINE=f"{technology}/Linka_1001"), "o")
    response = await lab.until(Event="OriginateResponse", ActionID="o")
    assert value(response, "Response") == "Failure"
    assert value(await lab.until(Event="Hangup", Uniqueid="call-1-2"), "Cause") == "20"
    await until_silent(simulator)

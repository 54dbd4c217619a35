"""ShowDialPlan: what the daemon asks before it sends a call into a context."""

import pytest

from pbxapi.simulator import ManagerUser, Simulator, SimulatorOptions
from pbxapi.simulator.options import Version
from tests.simulator.ami_client import AmiClient, Message, value
from tests.simulator.test_structure import recorded_shapes, shape


async def show(lab: AmiClient, ident: str, **headers: str) -> Message:
    lines = "\n".join(f"{name}: {text}" for name, text in headers.items())
    return await lab.ask(f"Action: ShowDialPlan\n{lines}", ident)


async def test_a_list_has_the_recorded_shapes(lab: AmiClient, version: Version) -> None:
    answer = await show(lab, "a", Context="pospojeni")
    assert answer == [
        ("Response", "Success"),
        ("ActionID", "a"),
        ("EventList", "start"),
        ("Message", "DialPlan list will follow"),
    ]
    end = await lab.until(Event="ShowDialPlanComplete", ActionID="a")
    assert value(end, "ListItems") == value(end, "ListExtensions") == "2"
    assert value(end, "ListContexts") == "1"
    items = lab.events("ListDialplan")
    assert [value(m, "Extension") for m in items] == ["s", "800123456"]
    known = recorded_shapes(version)
    for message in (*items, end):
        kind, headers = shape(message)
        assert headers in known[kind]


@pytest.mark.parametrize(
    "context",
    ["extensions-dialplanid-1", "dial_out_1", "incoming", "pbxapi-dialout", "pbxapi-card", "ivr"],
)
async def test_every_context_can_be_found(lab: AmiClient, context: str) -> None:
    assert value(await show(lab, "a", Context=context), "Response") == "Success"
    await lab.until(Event="ShowDialPlanComplete", ActionID="a")
    assert {value(m, "Context") for m in lab.events("ListDialplan")} == {context}


@pytest.mark.parametrize("context", ["neni", "extensions-dialplanid-99", "pospojen", "IVR"])
async def test_an_unknown_context_is_an_error(lab: AmiClient, context: str) -> None:
    assert await show(lab, "a", Context=context) == [
        ("Response", "Error"),
        ("ActionID", "a"),
        ("Message", f"Did not find context {context}"),
    ]


async def test_extensions_can_be_asked_for(lab: AmiClient) -> None:
    found = await show(lab, "a", Context="pospojeni", Extension="s")
    assert value(found, "Response") == "Success"
    end = await lab.until(Event="ShowDialPlanComplete", ActionID="a")
    assert value(end, "ListItems") == "1"
    missing = await show(lab, "b", Context="pospojeni", Extension="9")
    assert value(missing, "Message") == "Did not find extension 9@pospojeni"
    nowhere = await show(lab, "c", Extension="-")
    assert value(nowhere, "Message") == "Did not find extension - in any context"


async def test_the_whole_dial_plan_can_be_listed(lab: AmiClient) -> None:
    assert value(await show(lab, "a"), "Response") == "Success"
    end = await lab.until(Event="ShowDialPlanComplete", ActionID="a")
    contexts = {value(m, "Context") for m in lab.events("ListDialplan")}
    assert {"pbxapi-originate", "ivr", "incoming", "extensions-dialplanid-1"} <= contexts
    assert value(end, "ListContexts") == str(len(contexts))


@pytest.mark.parametrize(
    ("write", "allowed"),
    [("config", True), ("reporting", True), ("call,originate,system", False)],
)
async def test_it_needs_config_or_reporting(write: str, allowed: bool) -> None:
    user = ManagerUser(name="u", secret="s", write=write)
    async with (
        Simulator(SimulatorOptions(users=(user,))) as simulator,
        await AmiClient.connect(simulator.port) as client,
    ):
        await client.login("u", "s")
        answer = await show(client, "a", Context="ivr")
        assert (value(answer, "Message") != "Permission denied") is allowed


@pytest.mark.parametrize(
    ("arguments", "there"),
    [("ivr", "1"), ("ivr,s,1", "1"), ("ivr,x,1", "0"), ("neni", "0"), ("neni,s,1", "0")],
)
async def test_dialplan_exists_tells_of_contexts_and_extensions(
    lab: AmiClient, arguments: str, there: str
) -> None:
    answer = await lab.ask(f"Action: Getvar\nVariable: DIALPLAN_EXISTS({arguments})", "a")
    assert value(answer, "Value") == there

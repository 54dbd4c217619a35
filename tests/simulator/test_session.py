"""Logging in, permissions, errors: word for word what real Asterisk said."""

import asyncio
import hashlib
import re

import pytest

from pbxapi.simulator import Simulator
from pbxapi.simulator.options import Version
from tests.services import captures
from tests.simulator.ami_client import AmiClient, messages, value


async def whole_session(client: AmiClient, *actions: str) -> bytes:
    for action in actions:
        client.send(action)
    client.send("Action: Logoff\nActionID: bye")
    return await client.until_eof()


def without_times(stream: bytes) -> bytes:
    """The stream with the values that differ between any two runs made equal."""
    stream = re.sub(rb"(Timestamp|Challenge): [\d.]+", rb"\1: 0", stream)
    return re.sub(rb"(?s)Event: .*?\r\n\r\n", b"", stream)


async def test_banner_and_plain_login(client: AmiClient, version: Version) -> None:
    assert (
        await client.banner()
        == {
            16: "Asterisk Call Manager/5.0.4",
            22: "Asterisk Call Manager/11.0.0",
        }[version]
    )
    await client.login()
    booted = await client.until(Event="FullyBooted")
    assert [name for name, _ in booted] == [
        "Event", "Privilege", "Uptime", "LastReload", "Status",
    ]  # fmt: skip


async def test_md5_login_is_the_recorded_one(client: AmiClient, version: Version) -> None:
    answer = await client.ask("Action: Challenge\nAuthType: MD5", "lab-1")
    key = hashlib.md5((value(answer, "Challenge") + "labsecret").encode()).hexdigest()
    stream = await whole_session(
        client, f"Action: Login\nActionID: lab-2\nAuthType: MD5\nUsername: lab\nKey: {key}"
    )
    recorded = captures.read(str(version), "login-md5")
    assert without_times(stream) == without_times(recorded)


@pytest.mark.parametrize("name", ["lab", "nobody"])
async def test_a_wrong_login_is_answered_late_and_ends_the_connection(
    client: AmiClient, version: Version, name: str
) -> None:
    await client.banner()
    began = asyncio.get_running_loop().time()
    client.send(f"Action: Login\nActionID: lab-1\nUsername: {name}\nSecret: wrong")
    stream = await client.until_eof()
    assert 0.9 < asyncio.get_running_loop().time() - began < 2
    assert stream == captures.read(str(version), "login-bad-secret")


async def test_before_login_everything_else_is_denied(client: AmiClient, version: Version) -> None:
    stream = await whole_session(
        client, "Action: CoreShowChannels\nActionID: lab-1", "Action: Ping\nActionID: lab-2"
    )
    assert stream == captures.read(str(version), "before-login")


async def test_empty_lists_are_the_recorded_ones(client: AmiClient, version: Version) -> None:
    await client.login(events="off")
    stream = await whole_session(
        client, "Action: CoreShowChannels\nActionID: lab-2", "Action: Status\nActionID: lab-3"
    )
    recorded = captures.read(str(version), "channels-empty")
    begin, end = recorded.index(b"Response: Success\r\nActionID: lab-2"), recorded.index(b"lab-4")
    wanted = recorded[begin : recorded.rindex(b"Response", 0, end)]
    assert wanted in stream


ERRORS = {
    "lab-2": "Action: NoSuchAction",
    "lab-3": "Action: Originate",
    "lab-4": "Action: Originate\nChannel: SIP",
    "lab-5": "Action: Hangup\nChannel: SIP/nonexistent-1",
    "lab-6": "Action: Hangup",
    "lab-8": "Action: Getvar\nChannel: nope\nVariable: X",
}


@pytest.mark.parametrize("ident", ERRORS)
async def test_complaints_are_the_recorded_ones(
    lab: AmiClient, version: Version, ident: str
) -> None:
    recorded = messages(captures.read(str(version), "errors"))
    wanted = next(message for message in recorded if value(message, "ActionID") == ident)
    assert await lab.ask(ERRORS[ident], ident) == wanted


async def test_malformed_actions_are_answered_without_an_action_id(
    client: AmiClient, version: Version
) -> None:
    await client.login(events="off")
    seen = len(client.stream)
    for raw in (
        b"Action: Ping\r\n\r\n",
        b"garbage without colon\r\nAction: Ping\r\nActionID: g1\r\n\r\n",
        b"ACTION:Ping\nactionid:lf-only\n\n",
        b"Action: Ping\r\nActionID: toolong-" + b"x" * 5000 + b"\r\n\r\n",
        "Action: Ping\r\nActionID: utf-8-žluťoučký kůň\r\n\r\n".encode(),
        b"Action: \r\n\r\n",
        b"Foo: bar\r\n\r\n",
    ):
        client.writer.write(raw)
    await client.until(ActionID="utf-8-žluťoučký kůň")
    while bytes(client.stream).count(b"Missing action") < 2:
        await client.receive()
    recorded = captures.read(str(version), "errors")
    recorded = recorded[: recorded.index(b"Response: Success\r\nActionID: lab-14")]
    recorded = re.sub(
        rb"Response: Success\r\nActionID: long-.*?\r\n\r\n", b"", recorded, flags=re.DOTALL
    )
    begin = recorded.index(b"Response: Success\r\nPing")
    assert without_times(bytes(client.stream[seen:])) == without_times(recorded[begin:])


async def test_what_a_user_may_not_send_is_denied(client: AmiClient, version: Version) -> None:
    await client.login("readonly")
    denied = await client.ask("Action: Originate\nChannel: Local/500@x\nApplication: Wait", "lab-2")
    allowed = await client.ask("Action: CoreShowChannels", "lab-6")
    recorded = messages(captures.read(str(version), "permission-denied"))
    wanted = [next(m for m in recorded if value(m, "ActionID") == i) for i in ("lab-2", "lab-6")]
    assert [denied, allowed] == wanted


async def test_system_applications_need_the_class_system(
    client: AmiClient, version: Version
) -> None:
    await client.login("cfg")
    answer = await client.ask(
        "Action: Originate\nChannel: Local/500@extensions-dialplanid-1\n"
        "Application: System\nData: id",
        "lab-2",
    )
    recorded = messages(captures.read(str(version), "permission-originate-system"))
    assert answer in recorded


async def test_events_come_only_in_the_classes_that_were_asked_for(
    client: AmiClient, simulator: Simulator
) -> None:
    await client.login(events="system")
    await client.until(Event="FullyBooted")
    simulator.place_call("Linka_1005", "1000")
    await client.ask("Action: Events\nEventMask: call", "mask")
    simulator.place_call("Linka_1006", "1001")
    await client.until(Event="BridgeEnter", BridgeNumChannels="2")
    privileges = {value(m, "Privilege") for m in client.messages if m[0][0] == "Event"}
    assert privileges == {"system,all", "call,all"}
    assert {value(m, "CallerIDNum") for m in client.events("Newchannel")} == {"1006", "1001"}


async def test_without_the_class_system_there_is_no_fully_booted(client: AmiClient) -> None:
    await client.login("readonly")
    await client.ask("Action: Ping", "after")
    assert client.events("FullyBooted") == []


async def test_a_filter_drops_what_it_names(lab: AmiClient, simulator: Simulator) -> None:
    await lab.ask("Action: Filter\nOperation: Add\nFilter: !^Event: (VarSet|Newexten)", "filter")
    simulator.place_call("Linka_1005", "1000")
    await lab.until(Event="BridgeEnter", BridgeNumChannels="2")
    assert lab.events("VarSet") == lab.events("Newexten") == []
    assert lab.events("Newchannel")


async def test_list_commands_names_what_the_user_may_send(client: AmiClient) -> None:
    await client.login("readonly")
    names = {name for name, _ in await client.ask("Action: ListCommands", "list")}
    assert {"Ping", "CoreShowChannels"} <= names
    assert not {"Originate", "Hangup"} & names


async def test_every_answer_comes_before_the_events_of_its_action(lab: AmiClient) -> None:
    """Async Originate to a phone that does not exist fails at once; still the answer is first."""
    await lab.until(Event="FullyBooted")
    await lab.ask(
        "Action: Originate\nChannel: Local/500@extensions-dialplanid-1\n"
        "Application: Wait\nData: 5\nAsync: true",
        "first",
    )
    kinds = [m[0] for m in lab.messages]
    await lab.until(Event="OriginateResponse")
    assert kinds.index(("Response", "Success"), 1) < next(
        i for i, m in enumerate(lab.messages) if m[0] == ("Event", "Newchannel")
    )


async def test_a_synchronous_originate_holds_the_session(
    lab: AmiClient, simulator: Simulator
) -> None:
    simulator.configure("Linka_1000", answer_after_s=0.2)
    tech = simulator.options.technology
    lab.send(f"Action: Originate\nActionID: o\nChannel: {tech}/Linka_1000\nApplication: Wait")
    lab.send("Action: Ping\nActionID: p")
    await lab.until(ActionID="p")
    order = [value(m, "ActionID") for m in lab.messages if m[0][0] == "Response"]
    assert order == ["login", "o", "p"]
    newchannel = next(i for i, m in enumerate(lab.messages) if m[0] == ("Event", "Newchannel"))
    answered = next(i for i, m in enumerate(lab.messages) if value(m, "ActionID") == "o")
    assert answered < newchannel


async def test_everything_received_is_kept_with_its_bytes(
    lab: AmiClient, simulator: Simulator
) -> None:
    raw = b"Action: Ping\r\nActionID: x\r\nChannel: a\nAction: Originate\r\n\r\n"
    lab.writer.write(raw)
    await lab.until(ActionID="x")
    last = simulator.received[-1]
    assert (last.name, last.user, last.raw) == ("Ping", "lab", raw)
    assert last.headers[-1] == ("Action", "Originate")

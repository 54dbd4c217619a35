"""The action `dial` as the daemon asks for it, held against recordings of the real dial plan."""

import time
from collections import Counter
from collections.abc import Iterable

import pytest

from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import Limits, serving_agi
from pbxapi.config import Listen
from pbxapi.simulator import Behaviour, Simulator
from pbxapi.simulator.options import Version
from tests.services import captures
from tests.simulator.ami_client import AmiClient, Message, messages, value
from tests.simulator.calls import (
    hang_up_all,
    legs,
    names,
    originate,
    until,
    until_silent,
)

NUMBER = "800123456"


def dial(number: str = NUMBER, **values: str) -> str:
    given = {"OUTROUTE": "3", "CONTEXT": "pospojeni"} | values
    return originate(number, "pbxapi-dialout", **given)


async def until_entered(simulator: Simulator, context: str, exten: str) -> dict[str, str]:
    def there() -> dict[str, str] | None:
        found = [c for c in simulator.channels if (c["Context"], c["Exten"]) == (context, exten)]
        return found[0] if found else None

    await until(there, f"a channel in {exten}@{context}")
    found = there()
    assert found is not None
    return found


@pytest.mark.parametrize(("context", "exten"), [("pospojeni", "s"), ("jen-cisla", NUMBER)])
async def test_who_answers_goes_on_in_the_context(
    simulator: Simulator, lab: AmiClient, technology: str, context: str, exten: str
) -> None:
    await lab.ask(dial(CONTEXT=context), "o")
    response = await lab.until(Event="OriginateResponse", ActionID="o")
    assert (value(response, "Response"), value(response, "Uniqueid")) == ("Success", "call-1")
    entered = await until_entered(simulator, context, exten)
    assert entered["Channel"].startswith(f"Local/{NUMBER}@dial_out_3-")
    assert entered["Channel"].endswith(";1")
    await until(lambda: len(names(simulator)) == 3, "the originating halves are gone")
    assert any(name.startswith(f"{technology}/upc-") for name in names(simulator))
    simulator.hangup(next(name for name in names(simulator) if "/upc-" in name))
    await until_silent(simulator)


@pytest.mark.parametrize(
    ("behaviour", "status", "cause"),
    [
        (Behaviour.BUSY, "BUSY", "17"),
        (Behaviour.RINGS, "NOANSWER", "19"),
        (Behaviour.UNREGISTERED, None, None),
    ],
)
async def test_a_call_that_fails_goes_on_in_the_hangup_context(
    simulator: Simulator,
    lab: AmiClient,
    version: Version,
    behaviour: Behaviour,
    status: str | None,
    cause: str | None,
) -> None:
    simulator.configure("upc", behaviour=behaviour)
    await lab.ask(dial(HANGUP_CONTEXT="nevyzvednuto", DST_TIMEOUT="1"), "o")
    response = await lab.until(Event="OriginateResponse", ActionID="o")
    assert value(response, "Response") == "Failure"
    noted = await lab.until(Event="Newexten", Context="nevyzvednuto", Application="NoOp")
    absent = {16: "CHANUNAVAIL-20", 22: "CHANUNAVAIL-3"}[version]
    assert value(noted, "AppData") == (f"{status}-{cause}" if status else absent)
    assert value(noted, "Exten") == "s"
    await lab.until(
        Event="VarSet", Variable="PBXAPI_CAUSE", Value=value(noted, "AppData")[-2:].lstrip("-")
    )
    await until_silent(simulator)
    await lab.catch_up()
    assert not any(value(m, "Context") == "pospojeni" for m in lab.messages)


async def test_a_route_that_does_not_exist_has_cause_3(
    simulator: Simulator, lab: AmiClient
) -> None:
    await lab.ask(dial("12*3", HANGUP_CONTEXT="nevyzvednuto"), "o")
    noted = await lab.until(Event="Newexten", Context="nevyzvednuto", Application="NoOp")
    assert value(noted, "AppData") == "CHANUNAVAIL-3"
    await until_silent(simulator)


async def test_hangup_cause_can_be_read(simulator: Simulator, lab: AmiClient) -> None:
    simulator.configure("upc", behaviour=Behaviour.BUSY)
    await lab.ask(dial(HANGUP_CONTEXT="ivr"), "o")  # it plays, and is answered
    channel = await until_entered(simulator, "ivr", "s")
    text = f"Action: Getvar\nChannel: {channel['Channel']}\nVariable: "
    assert value(await lab.ask(f"{text}DIALSTATUS", "s"), "Value") == "BUSY"
    await until(lambda: len(names(simulator)) == 2, "both halves live while it plays")
    hang_up_all(simulator)
    await until_silent(simulator)


@pytest.mark.parametrize(("behaviour", "cause"), [(Behaviour.BUSY, "17"), (Behaviour.RINGS, "19")])
async def test_without_a_hangup_context_the_call_ends_with_its_cause(
    simulator: Simulator, lab: AmiClient, behaviour: Behaviour, cause: str
) -> None:
    simulator.configure("upc", behaviour=behaviour)
    await lab.ask(dial(DST_TIMEOUT="1"), "o")
    ended = await lab.until(Event="Hangup", Uniqueid="call-1-2")
    assert value(ended, "Cause") == cause
    await until_silent(simulator)


async def test_rows_of_a_call_into_a_context(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    cards = CallCards(time.monotonic)
    values = {"customCDR1": "první", "customCDR4": "x" * 255}
    async with serving_agi(cards, Listen("127.0.0.1", 0), Limits(deadline_s=5)) as agi:
        text = dial(CARD=cards.issue(values), AGI=agi, RECORD="/var/spool/a b.wav", CID_NUM="299")
        await lab.ask(text, "o")
        await until_entered(simulator, "pospojeni", "s")
        await until(lambda: len(names(simulator)) == 3, "the originating halves are gone")
        simulator.hangup(next(name for name in names(simulator) if "/upc-" in name))
        await until_silent(simulator)
    found = {legs(row): row for row in simulator.cdrs}
    called = f"Local/{NUMBER}@dial_out_3"
    attempt = found.pop(("Local/800123456@pbxapi-dialout;2", f"{called};1"))
    entered = found.pop((f"{called};1", ""))
    route = found.pop((f"{called};2", f"{technology}/upc"))
    assert found == {}
    assert (attempt.src, attempt.dst, attempt.billsec) == ("299", NUMBER, 0)
    assert (entered.dst, entered.dcontext) == ("s", "pospojeni")
    assert entered.recordingfile == "/var/spool/a b.wav"
    assert attempt.recordingfile == route.recordingfile == ""
    for row in (attempt, entered):
        assert (row.customcdr1, row.customcdr4) == ("první", "x" * 255)
        assert row.disposition == "ANSWERED"
    assert route.customcdr1 == ""


def fates(session: Iterable[Message], name: str) -> Counter[tuple[str, str, str, str]]:
    """What happened to the channels whose names begin so."""
    wanted = {"Newchannel", "Newstate", "DialBegin", "DialState", "DialEnd", "HangupRequest"}
    found: Counter[tuple[str, str, str, str]] = Counter()
    for message in session:
        about = value(message, "DestChannel") or value(message, "Channel")
        if value(message, "Event") in wanted and about.startswith(name):
            half = about[-2:] if ";" in about else ""
            state = value(message, "DestChannelStateDesc") or value(message, "ChannelStateDesc")
            status = value(message, "DialStatus")
            found[value(message, "Event"), half, state, status] += 1
    return found


async def test_both_pairs_live_as_recorded(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    """Up to the moment when the context is entered; there the recording dials somebody else."""
    await lab.ask(dial(), "o")
    await until_entered(simulator, "pospojeni", "s")
    await lab.ask("Action: Ping", "settled")
    recorded = messages(captures.read(str(version), "dial"))
    end = next(i for i, m in enumerate(recorded) if value(m, "Context") == "entered")
    ours = [m for m in lab.messages if value(m, "Event") != "HangupRequest"]
    theirs = [m for m in recorded[:end] if value(m, "Event") != "HangupRequest"]
    for mine, other in (
        (f"Local/{NUMBER}@pbxapi-dialout", "Local/1001@pbxapi-dialout"),
        (f"Local/{NUMBER}@dial_out_3", "Local/1001@dial_out_3"),
    ):
        assert fates(ours, mine) == fates(theirs, other), mine

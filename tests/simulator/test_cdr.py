"""The rows that each call leaves in the table of call detail records."""

import pytest

from pbxapi.simulator import Behaviour, Simulator, SimulatorOptions
from tests.simulator.ami_client import AmiClient
from tests.simulator.calls import (
    hang_up_all,
    legs,
    names,
    originate,
    until,
    until_bridged,
    until_silent,
)


def rows(simulator: Simulator) -> dict[tuple[str, str], tuple[str, str, str, str]]:
    return {legs(row): (row.src, row.dst, row.dcontext, row.disposition) for row in simulator.cdrs}


async def test_click_to_call_leaves_ring_attempt_talk_and_your_part(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    accounts = f"{technology}/Linka_1000&{technology}/Linka_1002"
    simulator.configure("Linka_1002", behaviour=Behaviour.RINGS)
    text = originate("1000", "pbxapi-originate", DST="1001", ACCOUNTS=accounts)
    await lab.ask(text, "o")
    await until_bridged(simulator)
    hang_up_all(simulator)
    await until_silent(simulator)
    phone, other, target = (f"{technology}/Linka_{n}" for n in (1000, 1002, 1001))
    ringing, targeting = "Local/1000@pbxapi-originate;2", "Local/1001@pbxapi-target"
    assert rows(simulator) == {
        (ringing, phone): ("000", "1000", "pbxapi-originate", "ANSWERED"),
        (ringing, other): ("000", "1000", "pbxapi-originate", "NO ANSWER"),
        (phone, f"{targeting};1"): ("1000", "1001", "pbxapi-dial", "ANSWERED"),
        (phone, target): ("1000", "1001", "pbxapi-dial", "ANSWERED"),
        (f"{targeting};2", target): ("1000", "1001", "extensions-dialplanid-1", "ANSWERED"),
    }
    assert len(simulator.cdrs) == 5
    assert {row.linkedid for row in simulator.cdrs} == {"call-1"}
    assert {row.uniqueid for row in simulator.cdrs if legs(row)[0] == ringing} == {"call-1-2"}


async def test_only_the_talk_is_billed(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    text = originate("1000", "pbxapi-originate", DST="1001", ACCOUNTS=f"{technology}/Linka_1000")
    await lab.ask(text, "o")
    await until_bridged(simulator)
    talk = simulator.pbx.channels[names(simulator)[0]]
    for record in simulator.pbx.records._chains[talk]:
        record.answer -= 60 if record.stage.name == "BRIDGED" else 0
    hang_up_all(simulator)
    await until_silent(simulator)
    billed = {legs(row): row.billsec for row in simulator.cdrs if row.billsec}
    assert billed == {(f"{technology}/Linka_1000", f"{technology}/Linka_1001"): 60}


@pytest.mark.parametrize(
    ("behaviour", "disposition"), [(Behaviour.BUSY, "BUSY"), (Behaviour.RINGS, "NO ANSWER")]
)
async def test_an_attempt_that_fails_says_how(
    simulator: Simulator,
    lab: AmiClient,
    technology: str,
    behaviour: Behaviour,
    disposition: str,
) -> None:
    simulator.configure("Linka_1001", behaviour=behaviour)
    account = f"{technology}/Linka_1000"
    text = originate("1000", "pbxapi-originate", DST="1001", ACCOUNTS=account, DST_TIMEOUT="1")
    await lab.ask(text, "o")
    await until(lambda: rows(simulator), "the first row")
    # Busy is heard for 5 s: the phone does not wait.
    phone_only = [f"{account}-"]
    await until(
        lambda: [n[:-8] for n in names(simulator)] in ([], phone_only), "the attempt is over"
    )
    hang_up_all(simulator)
    await until_silent(simulator)
    found = rows(simulator)
    assert found[account, "Local/1001@pbxapi-target;1"][3] == disposition
    assert found["Local/1001@pbxapi-target;2", f"{technology}/Linka_1001"][3] == disposition
    assert len(simulator.cdrs) == 3


async def test_a_line_that_nobody_answers_leaves_its_ring_only(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    simulator.configure("Linka_1000", behaviour=Behaviour.BUSY)
    account = f"{technology}/Linka_1000"
    await lab.ask(originate("1000", "pbxapi-originate", DST="1001", ACCOUNTS=account), "o")
    await until_silent(simulator)
    assert [legs(row) for row in simulator.cdrs] == [("Local/1000@pbxapi-originate;2", account)]
    assert simulator.cdrs[0].disposition == "BUSY"


async def test_a_call_between_phones_is_one_row(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    caller = simulator.place_call("Linka_1005", "1001")
    await lab.until(Event="BridgeEnter", Channel=caller)
    await until_bridged(simulator)
    simulator.hangup(caller)
    await until_silent(simulator)
    (row,) = simulator.cdrs
    assert legs(row) == (f"{technology}/Linka_1005", f"{technology}/Linka_1001")
    assert (row.src, row.dst, row.dcontext) == ("1005", "1001", "extensions-dialplanid-1")
    assert row.disposition == "ANSWERED"


async def test_rows_are_bounded() -> None:
    async with Simulator(SimulatorOptions(cdr_limit=3)) as simulator:
        for _ in range(5):
            simulator.hangup(simulator.place_call("Linka_1005", "500"))
        assert not simulator.channels
        assert len(simulator.cdrs) == 3
        assert simulator.pbx.records._chains == {}
        assert simulator.pbx.records._about == {}

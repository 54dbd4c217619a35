"""Originates as the daemon sends them, and what these tests ask of a simulator."""

from collections.abc import Callable
from urllib.parse import quote

from pbxapi.simulator import Simulator
from pbxapi.simulator.cdr import CdrRow
from tests.services.waiting import eventually

GOALS = {
    "pbxapi-originate": "pbxapi-originated",
    "pbxapi-spying": "pbxapi-originated",
    "pbxapi-dialout": "pbxapi-dialled",
}


def originate(number: str, context: str, ident: str = "call-1", **values: str) -> str:
    """An Originate of `Local/<number>@<context>/n` with these PBXAPI_ variables."""
    given = {"DIALPLAN": "1", "CID_NUM": "000", "SRC_TIMEOUT": "15", "DST_TIMEOUT": "15"} | values
    pairs = [f"Variable: __PBXAPI_{name}={quote(text, safe='')}" for name, text in given.items()]
    return "\n".join(
        [
            "Action: Originate",
            f"Channel: Local/{number}@{context}/n",
            f"Context: {GOALS[context]}",
            "Exten: s",
            "Priority: 1",
            "Async: true",
            f"ChannelId: {ident}",
            f"OtherChannelId: {ident}-2",
            "Timeout: 20000",
            *pairs,
        ]
    )


def names(simulator: Simulator) -> list[str]:
    """Names of all channels, oldest first."""
    return [channel["Channel"] for channel in simulator.channels]


async def until(condition: Callable[[], object], what: str) -> None:
    await eventually(condition, within_s=5, what=what)


async def until_silent(simulator: Simulator) -> None:
    await until(lambda: not simulator.channels, "no channel is left")


async def until_bridged(simulator: Simulator, count: int = 2) -> None:
    """So many channels are there, all in one bridge."""

    def bridged() -> bool:
        now = simulator.channels
        return len(now) == count and len({c["BridgeId"] for c in now} | {""}) == 2

    await until(bridged, f"{count} channels in one bridge")


def hang_up_all(simulator: Simulator) -> None:
    """Every phone hangs up."""
    for name in names(simulator):
        if name in simulator.pbx.channels:
            simulator.hangup(name)


def legs(row: CdrRow) -> tuple[str, str]:
    """Channel and dstchannel of a row without their numbers: what the README calls them."""
    one, other = (name.rpartition("-") for name in (row.channel, row.dstchannel))
    return one[0] + one[2][8:], other[0] + other[2][8:]

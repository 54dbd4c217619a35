"""Clients that others wrote get along with the simulator: pyst2 and panoramisk."""

import asyncio
import warnings

import pytest

from pbxapi.simulator import Simulator, SimulatorOptions
from pbxapi.simulator.options import Version
from tests.services.waiting import eventually
from tests.simulator.conftest import DEVICES, USERS
from tests.simulator.queues import lab_queues

with warnings.catch_warnings():
    # Both import what Python has deprecated; nothing of ours is in it.
    warnings.simplefilter("ignore", DeprecationWarning)
    import asterisk.manager
    import panoramisk


@pytest.fixture
def options(version: Version, technology: str) -> SimulatorOptions:
    return SimulatorOptions(
        version=version, users=USERS, devices=DEVICES, queues=lab_queues(technology)
    )


class Pyst(asterisk.manager.Manager):  # type: ignore[misc] # pyst2 has no types
    """pyst2 without its finaliser, which closes a second time whenever Python collects it."""

    def __del__(self) -> None:
        pass


def talk_with_pyst2(port: int, technology: str) -> dict[str, str]:
    """Runs in a thread: pyst2 blocks."""
    manager = Pyst()
    manager.connect("127.0.0.1", port)
    try:
        answers = {"login": manager.login("lab", "labsecret").headers["Message"]}
        answers["ping"] = manager.ping().headers["Ping"]
        originated = manager.originate(
            f"{technology}/Linka_1000",
            "1001",
            context="extensions-dialplanid-1",
            priority="1",
            run_async=True,
        )
        answers["originate"] = originated.headers["Message"]
        shown = manager.send_action({"Action": "CoreShowChannels"})
        answers["list"] = shown.headers["Message"]
        peers = {"SIP": "SIPpeers", "PJSIP": "PJSIPShowContacts"}[technology]
        answers["peers"] = manager.send_action({"Action": peers}).headers["Message"]
        status = manager.send_action({"Action": "QueueStatus", "Queue": "FrontaIT"})
        answers["queue"] = status.headers["Message"]
        member = {"Queue": "FrontaIT", "Interface": f"{technology}/Linka_1005"}
        added = manager.send_action({"Action": "QueueAdd"} | member)
        answers["add"] = added.headers["Message"]
        missing = manager.hangup("SIP/nobody-00000000")
        answers["missing"] = missing.headers["Message"]
        answers["hangup"] = manager.hangup("/Linka_1000/").headers["Message"]
    finally:
        manager.close()
    return answers


# pyst2 uses thread methods that Python has renamed.
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
async def test_pyst2_logs_in_lists_originates_and_hangs_up(
    simulator: Simulator, technology: str
) -> None:
    answers = await asyncio.to_thread(talk_with_pyst2, simulator.port, technology)
    assert answers == {
        "login": "Authentication accepted",
        "ping": "Pong",
        "originate": "Originate successfully queued",
        "list": "Channels will follow",
        "peers": {
            "SIP": "Peer status list will follow",
            "PJSIP": "A listing of Contacts follows, presented as ContactList events",
        }[technology],
        "queue": "Queue status will follow",
        "add": "Added interface to queue",
        "missing": "No such channel",
        "hangup": "Channels hung up will follow",
    }


# panoramisk 1.4 names an event loop that is not running; it then uses the one it is given.
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_panoramisk_logs_in_lists_originates_and_hangs_up(
    simulator: Simulator, technology: str
) -> None:
    manager = panoramisk.Manager(
        loop=asyncio.get_running_loop(),
        host="127.0.0.1",
        port=simulator.port,
        username="lab",
        secret="labsecret",
        ping_delay=0,
    )
    await manager.connect()
    try:
        async with asyncio.timeout(10):
            pong = await manager.send_action({"Action": "Ping"})
            assert pong.ping == "Pong"
            originated = await manager.send_action(
                {
                    "Action": "Originate",
                    "Channel": f"{technology}/Linka_1000",
                    "Context": "extensions-dialplanid-1",
                    "Exten": "1001",
                    "Priority": "1",
                    "Async": "true",
                }
            )
            assert [m.response for m in originated][-1] == "Success"
            await eventually(
                lambda: len({c["BridgeId"] for c in simulator.channels} - {""}) == 1,
                within_s=5,
                what="the call is through",
            )
            listed = await manager.send_action({"Action": "CoreShowChannels"})
            assert {m.channel for m in listed if m.event == "CoreShowChannel"} == {
                c["Channel"] for c in simulator.channels
            }
            name = simulator.channels[0]["Channel"]
            status = await manager.send_action({"Action": "QueueStatus", "Queue": "FrontaIT"})
            members = [m.location for m in status if m.event == "QueueMember"]
            assert members == list(simulator.queues["FrontaIT"].members)
            ended = await manager.send_action({"Action": "Hangup", "Channel": name})
            assert ended.message == "Channel Hungup"
            await eventually(lambda: not simulator.channels, within_s=5, what="the call is over")
    finally:
        manager.close()

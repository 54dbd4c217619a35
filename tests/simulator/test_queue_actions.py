"""The manager actions about queues: wording, errors, permissions, and what lists show."""

from collections.abc import AsyncIterator

import pytest

from pbxapi.simulator import MemberConfig, Simulator, SimulatorOptions
from pbxapi.simulator.options import Version
from tests.services import captures
from tests.simulator.ami_client import AmiClient, Message, messages, value
from tests.simulator.conftest import DEVICES, USERS
from tests.simulator.queues import lab_queues
from tests.simulator.test_structure import recorded_shapes, shapes

VERA = "Local/1008@extensions-dialplanid-1"
JAN = "Local/1000@extensions-dialplanid-1"


@pytest.fixture
def options(version: Version, technology: str) -> SimulatorOptions:
    return SimulatorOptions(
        version=version, users=USERS, devices=DEVICES, queues=lab_queues(technology)
    )


def without_times(session: list[Message]) -> list[Message]:
    """Without what is of one day, of one connection, and of the manager's own texts."""
    return [
        [
            (name, "" if name in {"LoginTime", "LastPause", "SessionID"} and text != "0" else text)
            for name, text in message
        ]
        for message in session
    ]


MEMBERS = [
    (
        f"QueueAdd\nQueue: FrontaPrazdna\nInterface: {VERA}\nPenalty: 3\nPaused: false\n"
        "MemberName: Věra: Dynamická\nStateInterface: {tech}/Linka_1008"
    ),
    f"QueueAdd\nQueue: FrontaPrazdna\nInterface: {VERA}",
    "QueueStatus\nQueue: FrontaPrazdna",
    f"QueuePause\nQueue: FrontaPrazdna\nInterface: {VERA}\nPaused: true\nReason: oběd: 12",
    "QueueStatus\nQueue: FrontaPrazdna",
    f"QueuePause\nInterface: {VERA}\nPaused: false",
    f"QueuePenalty\nQueue: FrontaPrazdna\nInterface: {VERA}\nPenalty: 7",
    f"QueueMemberRingInUse\nQueue: FrontaPrazdna\nInterface: {VERA}\nRingInUse: no",
    "QueueStatus\nQueue: FrontaPrazdna",
    "QueueSummary\nQueue: FrontaPrazdna",
    f"QueueRemove\nQueue: FrontaPrazdna\nInterface: {VERA}",
    f"QueueRemove\nQueue: FrontaPrazdna\nInterface: {VERA}",
    "QueueReset\nQueue: FrontaPrazdna",
    "QueueReload\nQueue: FrontaPrazdna\nMembers: yes\nRules: no\nParameters: no",
]


async def test_a_member_comes_changes_and_goes_as_recorded(
    simulator: Simulator, lab: AmiClient, version: Version, technology: str
) -> None:
    """Byte for byte but for moments, from QueueAdd to QueueReload."""
    simulator.peers.unregister("Linka_1008")
    simulator.queues["FrontaPrazdna"].abandoned = 1
    for number, text in enumerate(MEMBERS, 2):
        await lab.ask("Action: " + text.replace("{tech}", technology), f"lab-{number}")
    await lab.ask("Action: Ping", "end")
    ours = [m for m in lab.messages if ("ActionID", "login") not in m]
    begin = ours.index(
        [("Response", "Success"), ("ActionID", "lab-2"), ("Message", "Added interface to queue")]
    )
    ours = without_times(ours[begin:-1])
    recorded = messages(captures.read(str(version), "queue-members"))
    theirs = [
        m
        for m in without_times(recorded)
        if value(m, "Event") not in {"TestEvent", "FullyBooted", "SuccessfulAuth"}
        and value(m, "ActionID") not in {"lab-1", "lab-16", "bye"}
    ]
    assert ours == theirs


async def test_lists_go_as_recorded(simulator: Simulator, lab: AmiClient, version: Version) -> None:
    """QueueStatus of all, of one, of one member, of none; QueueSummary of all and of one."""
    simulator.peers.unregister("Linka_1002")
    asked = (
        "QueueStatus",
        "QueueStatus\nQueue: FrontaIT",
        f"QueueStatus\nQueue: FrontaIT\nMember: {JAN}",
        "QueueStatus\nQueue: nope",
        "QueueSummary",
        "QueueSummary\nQueue: FrontaIT",
    )
    for number, text in enumerate(asked, 2):
        await lab.ask(f"Action: {text}", f"lab-{number}")
    await lab.ask("Action: Ping", "end")
    idents = {f"lab-{number}" for number in range(2, 8)}
    ours, theirs = (
        [m for m in without_times(found) if value(m, "ActionID") in idents]
        for found in (lab.messages, messages(captures.read(str(version), "queue-status")))
    )
    assert ours == theirs


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("QueueAdd", "'Queue' not specified."),
        ("QueueAdd\nQueue: FrontaIT", "'Interface' not specified."),
        (
            f"QueueAdd\nQueue: x\nInterface: {VERA}",
            "Unable to add interface to queue: No such queue",
        ),
        (f"QueueAdd\nQueue: FrontaIT\nInterface: {JAN}", "Unable to add interface: Already there"),
        ("QueueRemove\nQueue: FrontaIT", "Need 'Queue' and 'Interface' parameters."),
        (
            f"QueueRemove\nQueue: x\nInterface: {VERA}",
            "Unable to remove interface from queue: No such queue",
        ),
        (
            f"QueueRemove\nQueue: FrontaIT\nInterface: {VERA}",
            "Unable to remove interface: Not there",
        ),
        (f"QueueRemove\nQueue: FrontaIT\nInterface: {JAN}", "Member not dynamic"),
        ("QueuePause\nInterface: SIP/x", "Need 'Interface' and 'Paused' parameters."),
        ("QueuePause\nInterface: SIP/x\nPaused: true", "Interface not found"),
        (f"QueuePause\nQueue: x\nInterface: {JAN}\nPaused: true", "Interface not found"),
        ("QueuePenalty\nInterface: SIP/x", "Need 'Interface' and 'Penalty' parameters."),
        ("QueuePenalty\nInterface: SIP/x\nPenalty: 1", "Invalid interface, queuename or penalty"),
        ("QueueMemberRingInUse\nInterface: x", "Need 'Interface' and 'RingInUse' parameters."),
        (
            "QueueMemberRingInUse\nInterface: SIP/x\nRingInUse: yes",
            "Invalid interface, queuename, or ringinuse value",
        ),
    ],
)
async def test_errors(lab: AmiClient, text: str, message: str) -> None:
    answer = await lab.ask(f"Action: {text}", "e")
    assert (value(answer, "Response"), value(answer, "Message")) == ("Error", message)


async def test_anybody_may_list_and_reset_and_only_agent_may_change(client: AmiClient) -> None:
    await client.login("cfg")
    may: dict[str, bool] = {}
    for number, text in enumerate(("QueueStatus", "QueueSummary", "QueueReset", *MEMBERS)):
        answer = await client.ask(f"Action: {text}", f"p-{number}")
        may[text.partition("\n")[0]] = value(answer, "Message") != "Permission denied"
    assert {name for name, allowed in may.items() if not allowed} == {
        "QueueAdd", "QueuePause", "QueuePenalty", "QueueMemberRingInUse", "QueueRemove",
    }  # fmt: skip


async def test_a_pause_without_queue_is_in_all_of_them(
    simulator: Simulator, lab: AmiClient
) -> None:
    await lab.ask(f"Action: QueueAdd\nQueue: FrontaPrazdna\nInterface: {JAN}", "a")
    await lab.ask(f"Action: QueuePause\nInterface: {JAN}\nPaused: true\nReason: r", "b")
    await lab.ask("Action: Ping", "c")
    assert [value(m, "Queue") for m in lab.events("QueueMemberPause")] == [
        "FrontaIT", "FrontaPrazdna",
    ]  # fmt: skip
    paused = [m for _, m in simulator.queues.of_interface(JAN)]
    assert [(m.paused, m.paused_reason) for m in paused] == [(True, "r"), (True, "r")]


async def test_a_reload_changes_queues_and_static_members_without_an_event(
    simulator: Simulator, lab: AmiClient, technology: str
) -> None:
    await lab.ask(f"Action: QueueAdd\nQueue: FrontaIT\nInterface: {VERA}", "a")
    await lab.ask("Action: Ping", "p")
    simulator.queues["FrontaIT"].completed = 3
    before = len(lab.messages)
    it, shop, empty = lab_queues(technology)
    new = MemberConfig(interface=f"{technology}/Linka_1003", name="Eva")
    it = type(it)(name=it.name, exten="500", members=(it.members[0], new))
    simulator.queues.config = (it, type(it)(name="Nova", exten="505"), empty)
    assert "Nova" not in [queue.name for queue in simulator.queues.values()]
    await lab.ask("Action: Reload\nModule: app_queue", "r")
    await lab.ask("Action: Ping", "q")
    told = [m for m in lab.messages[before:] if m[0][0] == "Event"]
    assert [value(m, "Event") for m in told] == ["Reload"]
    assert [queue.name for queue in simulator.queues.values()] == [
        "FrontaIT",
        "Nova",
        "FrontaPrazdna",
    ]
    queue = simulator.queues["FrontaIT"]
    assert list(queue.members) == [JAN, VERA, new.interface]
    assert (queue.completed, queue.config.servicelevel_s) == (3, 0)
    assert simulator.queues.get(shop.name) is None
    simulator.queues.config = ()
    await lab.ask("Action: QueueReload", "s")
    assert list(simulator.queues.values()) == []


@pytest.mark.parametrize("persistent", [True, False])
async def test_dynamic_members_survive_a_restart_where_they_are_kept(
    version: Version, technology: str, persistent: bool
) -> None:
    options = SimulatorOptions(
        version=version,
        users=USERS,
        queues=lab_queues(technology),
        persistent_members=persistent,
    )
    async with Simulator(options) as simulator:
        queue = simulator.queues["FrontaIT"]
        member = simulator.queues.add_member(
            queue, MemberConfig(interface=VERA, name="Věra", penalty=2)
        )
        assert member is not None
        simulator.queues.pause_member(queue, member, "oběd", paused=True)
        member.calls = 5
        await simulator.restart(0)
        queue = simulator.queues["FrontaIT"]
        assert list(queue.members)[2:] == ([VERA] if persistent else [])
        if persistent:
            again = queue.members[VERA]
            assert (again.name, again.penalty, again.paused, again.paused_reason) == (
                "Věra", 2, True, "oběd",
            )  # fmt: skip
            assert (again.calls, again.membership) == (0, "dynamic")
        async with await AmiClient.connect(simulator.port) as client:
            await client.login()
            await client.ask("Action: QueueStatus\nQueue: FrontaIT", "s")
            end = await client.until(Event="QueueStatusComplete")
            assert value(end, "ListItems") == ("4" if persistent else "3")


@pytest.fixture
async def held(simulator: Simulator, lab: AmiClient) -> AsyncIterator[AmiClient]:
    simulator.pbx.announcer.hold()
    yield lab
    simulator.pbx.announcer.release()


async def test_events_older_than_a_list_come_behind_it(
    simulator: Simulator, held: AmiClient
) -> None:
    simulator.place_call("Linka_1005", "502")
    await held.ask("Action: QueueStatus\nQueue: FrontaPrazdna", "list")
    await held.until(Event="QueueStatusComplete")
    assert value(held.events("QueueParams")[0], "Calls") == "1"
    assert [value(m, "Position") for m in held.events("QueueEntry")] == ["1"]
    assert held.events("QueueCallerJoin") == []
    simulator.pbx.announcer.release()
    await held.until(Event="QueueCallerJoin")


async def test_a_waiter_has_the_recorded_shape(
    simulator: Simulator, lab: AmiClient, version: Version
) -> None:
    simulator.place_call("Linka_1005", "502")
    await lab.until(Event="QueueCallerJoin")
    await lab.ask("Action: QueueStatus", "list")
    await lab.until(Event="QueueStatusComplete")
    [entry] = lab.events("QueueEntry")
    assert shapes([entry])["Event QueueEntry"] <= recorded_shapes(version)["Event QueueEntry"]

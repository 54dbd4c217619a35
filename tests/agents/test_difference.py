"""What is asked of Asterisk so that its members are those that they ought to be."""

from dataclasses import replace

from hypothesis import given, strategies as st

from pbxapi.agents.difference import Change, difference
from pbxapi.agents.membership import Key, Place, is_ours, key, places
from tests.agents.asterisk import Asterisk, agent, login, serves

ONE = Place("it", "Agent_1", "Local/100@extensions-dialplanid-1", "SIP/Linka_100", 2, False)


def requests(*changes: Change) -> list[tuple[str, dict[str, str]]]:
    return [(change.request.action, dict(change.request.headers)) for change in changes]


def test_places_of_an_agent_are_those_of_the_contract() -> None:
    found = list(places(agent(1, serves(it=2, vip=0), login(100, paused=True))))

    assert found == [replace(ONE, paused=True), replace(ONE, queue="vip", penalty=0, paused=True)]
    assert list(places(agent(1, serves(it=2)))) == []


def test_who_is_missing_is_added() -> None:
    changes = difference([replace(ONE, paused=True)], [], {"Agent_1"})

    assert requests(*changes) == [
        (
            "QueueAdd",
            {
                "Queue": "it",
                "Interface": "Local/100@extensions-dialplanid-1",
                "MemberName": "Agent_1",
                "StateInterface": "SIP/Linka_100",
                "Penalty": "2",
                "Paused": "true",
            },
        )
    ]


def test_who_has_moved_leaves_before_he_comes() -> None:
    old = replace(ONE, interface="Local/101@extensions-dialplanid-1")

    assert difference([ONE], [old], {"Agent_1"}) == (Change(old, None), Change(None, ONE))


def test_another_account_of_the_line_needs_another_member() -> None:
    other = replace(ONE, state_interface="PJSIP/Linka_100b")

    assert difference([ONE], [other], {"Agent_1"}) == (Change(other, None), Change(None, ONE))


def test_penalty_and_pause_are_adjusted_one_by_one() -> None:
    changes = difference([ONE], [replace(ONE, penalty=9, paused=True)], {"Agent_1"})

    where = {"Queue": "it", "Interface": "Local/100@extensions-dialplanid-1"}
    assert requests(*changes) == [
        ("QueuePenalty", {**where, "Penalty": "2"}),
        ("QueuePause", {**where, "Paused": "false"}),
    ]
    assert requests(*(change.undone for change in reversed(changes))) == [
        ("QueuePause", {**where, "Paused": "true"}),
        ("QueuePenalty", {**where, "Penalty": "9"}),
    ]


def test_asterisk_spells_a_queue_as_it_likes() -> None:
    there = replace(ONE, queue="IT", interface="local/100@EXTENSIONS-dialplanid-1")

    assert difference([ONE], [there], {"Agent_1"}) == ()


NOT_OURS = (
    replace(ONE, membership="static"),
    replace(ONE, membership="realtime"),
    replace(ONE, name="Supervisor"),
    replace(ONE, interface="SIP/Linka_100"),
    replace(ONE, interface="Local/100@extensions-dialplanid-1/n"),
    replace(ONE, interface="Local/100@from-queue"),
)


def test_what_is_not_ours_is_never_removed() -> None:
    assert difference([], NOT_OURS, {"Agent_1"}) == ()


def test_of_two_that_want_one_place_the_first_has_it() -> None:
    assert difference([ONE, replace(ONE, name="Agent_2")], [], {"Agent_1", "Agent_2"}) == (
        Change(None, ONE),
    )


names = st.sampled_from(["Agent_1", "Agent_2", "Supervisor"])
members = st.builds(
    Place,
    queue=st.sampled_from(["it", "IT", "sales", "vip"]),
    name=names,
    interface=st.sampled_from(
        [f"Local/{n}@extensions-dialplanid-1" for n in (100, 101)] + ["SIP/x"]
    ),
    state_interface=st.sampled_from(["SIP/a", "SIP/b"]),
    penalty=st.integers(0, 2),
    paused=st.booleans(),
    membership=st.sampled_from(["dynamic", "dynamic", "static"]),
)


def ought(place: Place) -> bool:
    return place.name != "Supervisor" and is_ours(place)


@given(there=st.lists(members), wanted=st.lists(members.filter(ought)))
async def test_whatever_is_there_becomes_what_is_wanted(
    there: list[Place], wanted: list[Place]
) -> None:
    asterisk = Asterisk("it", "sales", "vip")
    asterisk.put(*there)
    ours = {"Agent_1", "Agent_2"}
    untouched = {k: m for k, m in asterisk.by_key.items() if not ought(m)}
    wanted = [each for each in wanted if key(each) not in untouched]

    changes = difference(wanted, asterisk.members(), ours)
    before = dict(asterisk.by_key)
    for change in changes:
        await asterisk.request(change.request)
    after = dict(asterisk.by_key)

    assert {k: m for k, m in after.items() if not ought(m)} == untouched
    first: dict[Key, Place] = {}
    for each in wanted:
        first.setdefault(key(each), each)
    mine = {k: replace(m, queue=m.queue.lower()) for k, m in after.items() if ought(m)}
    assert mine == {k: replace(m, queue=m.queue.lower()) for k, m in first.items()}
    assert difference(wanted, asterisk.members(), ours) == ()
    for change in reversed(changes):
        await asterisk.request(change.undone.request)
    assert {k: replace(m, queue="") for k, m in asterisk.by_key.items()} == {
        k: replace(m, queue="") for k, m in before.items()
    }

"""QueueStore: lists, events, and which of them is to be believed."""

import pytest

from pbxapi.ami.message import Message
from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.questions import ALL, NONE, Ask, Question
from pbxapi.cache.queues.queue import Queue
from pbxapi.cache.queues.store import GUARD_S, QueueStore
from pbxapi.cache.queues.view import QueueBoard
from pbxapi.errors import PbxUnavailable
from tests.cache.replay import NOW, message

LATER = Instant(NOW.monotonic + GUARD_S, NOW.epoch + GUARD_S)
SOON = Instant(NOW.monotonic + GUARD_S / 2, NOW.epoch + GUARD_S / 2)


def params(queue: str = "FrontaIT", **more: str) -> Message:
    return message("QueueParams", Queue=queue, **{"Calls": "0", "Completed": "4", **more})


def member(interface: str = "SIP/1", queue: str = "FrontaIT", **more: str) -> Message:
    fields = {"Location": interface, "Name": f"Agent {interface}", "Status": "1", **more}
    return message("QueueMember", Queue=queue, **fields)


def entry(uniqueid: str, queue: str = "FrontaIT", **more: str) -> Message:
    fields = {"Uniqueid": uniqueid, "Channel": f"SIP/a-{uniqueid}", "Wait": "3", **more}
    return message("QueueEntry", Queue=queue, **fields)


def member_event(name: str, interface: str = "SIP/1", **more: str) -> Message:
    fields = {"Queue": "FrontaIT", "Interface": interface, "MemberName": f"Agent {interface}"}
    return message(name, **{**fields, "Status": "1", **more})


def join(uniqueid: str, position: int, count: int, **more: str) -> Message:
    places = {"Position": str(position), "Count": str(count)}
    return message("QueueCallerJoin", Queue="FrontaIT", Uniqueid=uniqueid, **places, **more)


def leave(uniqueid: str, count: int) -> Message:
    return message("QueueCallerLeave", Queue="FrontaIT", Uniqueid=uniqueid, Count=str(count))


def listed(
    store: QueueStore, *items: Message, question: Question | None = None, now: Instant = NOW
) -> list[str]:
    collected = store.begin_list(now.epoch, question)
    for item in items:
        store.item(collected, item, now)
    return store.end_list(collected, now)


def with_queue(*items: Message) -> QueueStore:
    store = QueueStore()
    listed(store, params(Calls=str(sum(each.event == "QueueEntry" for each in items))), *items)
    return store


def only(store: QueueStore) -> Queue:
    (queue,) = store.queues.values()
    return queue


def uniqueids(store: QueueStore) -> list[str]:
    return [caller.uniqueid for caller in only(store).callers]


# -- lists


def test_a_list_of_all_takes_the_place_of_what_was_known() -> None:
    store = QueueStore()
    listed(store, params("Prvni"), params("Druha"))
    assert listed(store, params("Druha"), params("Treti")) == ["Prvni"]
    assert set(store.queues) == {"druha", "treti"}


def test_a_question_touches_no_other_queue() -> None:
    store = QueueStore()
    listed(store, params("Prvni"), params("Druha"))
    listed(store, params("Druha", Completed="5"), question=Question("Druha", ALL))
    assert store.queues["druha"].parameters.completed == "5"
    assert store.queues["prvni"].parameters.completed == "4"


def test_a_question_without_an_answer_means_that_the_queue_is_gone() -> None:
    store = QueueStore()
    listed(store, params("Prvni"), params("Druha"))
    assert listed(store, question=Question("Druha", ALL)) == ["Druha"]
    assert listed(store, question=Question("Neznama", ALL)) == []
    assert set(store.queues) == {"prvni"}


def test_a_question_about_one_member_keeps_the_others() -> None:
    store = with_queue(member("SIP/1"), member("SIP/2"), member("SIP/3"))
    question = Question("FrontaIT", frozenset({"SIP/2"}))
    listed(store, params(), member("SIP/2", CallsTaken="1"), question=question)
    assert [each.calls_taken for each in only(store).members.values()] == [0, 1, 0]
    listed(store, params(), question=question)
    assert list(only(store).members) == ["SIP/1", "SIP/3"]


def test_a_question_about_no_member_keeps_them_all() -> None:
    store = with_queue(member("SIP/1"), member("SIP/2"))
    listed(store, params(Completed="5"), question=Question("FrontaIT", NONE))
    assert len(only(store).members) == 2
    assert only(store).parameters.completed == "5"


def test_only_a_list_of_all_makes_the_picture_fresh() -> None:
    store = QueueStore()
    listed(store, params(), question=Question("FrontaIT", ALL))
    with pytest.raises(PbxUnavailable):
        QueueBoard(store).queue("FrontaIT", NOW.monotonic)
    listed(store, params())
    assert QueueBoard(store).queue("FrontaIT", NOW.monotonic) is not None


def test_a_list_whose_end_did_not_come_has_told_only_whole_queues() -> None:
    store = QueueStore()
    collected = store.begin_list(NOW.epoch)
    for item in (params("Prvni"), member(queue="Prvni"), params("Druha"), member(queue="Druha")):
        store.item(collected, item, NOW)
    assert set(store.queues) == {"prvni"}


def test_items_of_another_queue_than_the_one_being_told_are_nobodys() -> None:
    store = QueueStore()
    listed(store, member(), entry("1"), params("Prvni"), member(queue="Druha"))
    assert only(store).members == {}


def test_how_long_somebody_waits_is_learnt_from_lists() -> None:
    store = with_queue(entry("1", Wait="3"))
    assert only(store).callers[0].began.wait_s(NOW.epoch + 10.5) == 13


# -- callers


def test_who_joins_stands_at_his_position_and_the_others_move() -> None:
    store = with_queue(entry("1"), entry("2"))
    store.apply(join("3", position=2, count=3), LATER)
    store.apply(join("4", position=4, count=4), LATER)
    assert uniqueids(store) == ["1", "3", "2", "4"]
    assert only(store).parameters.calls == "4"


def test_who_leaves_is_out_and_the_counters_are_asked_for() -> None:
    store = with_queue(entry("1"), entry("2"))
    assert store.apply(leave("1", count=1), LATER) == [Ask("FrontaIT", NONE)]
    assert uniqueids(store) == ["2"]
    assert only(store).parameters.calls == "1"


def test_a_join_asks_for_the_second_of_its_beginning_a_little_later() -> None:
    store = with_queue()
    assert store.apply(join("1", 1, 1), LATER) == [Ask("FrontaIT", NONE, soon=False)]
    listed(store, params(), entry("1", Wait="0"), now=LATER)
    assert only(store).callers[0].began.certain


def test_a_join_that_counts_otherwise_makes_the_queue_be_asked_at_once() -> None:
    store = with_queue()
    assert store.apply(join("1", 1, 2), LATER) == [Ask("FrontaIT", NONE)]


def test_a_join_that_the_list_has_already_changes_nothing() -> None:
    store = with_queue(entry("1"), entry("2"))
    before = only(store).callers
    store.apply(join("1", 2, 2, Channel="SIP/a-1"), LATER)
    assert only(store).callers == before


def test_events_older_than_a_list_bring_nobody_back() -> None:
    store = with_queue(entry("2"))
    for late in (join("1", 1, 2), leave("2", 1), join("1", 1, 1)):
        assert store.apply(late, SOON) == [Ask("FrontaIT", NONE)]
    assert uniqueids(store) == ["2"]


def test_events_that_come_while_a_list_is_told_are_no_younger_than_it() -> None:
    """They waited for its end, however long that took; and what is told last may be older too."""
    store = with_queue(entry("1"))
    much_later = Instant(NOW.monotonic + 60, NOW.epoch + 60)
    collected = store.begin_list(LATER.epoch)
    for item in (params(Calls="1"), entry("2"), params("Druha")):
        store.item(collected, item, LATER)
    assert store.apply(leave("2", 0), much_later) == [Ask("FrontaIT", NONE)]
    store.end_list(collected, much_later)
    assert store.apply(join("1", 1, 1), much_later) == [Ask("FrontaIT", NONE)]
    assert [each.uniqueid for each in store.queues["frontait"].callers] == ["2"]


def test_a_list_that_fails_holds_events_up_for_no_longer() -> None:
    store = with_queue(entry("1"))
    collected = store.begin_list(LATER.epoch)
    store.item(collected, params(), LATER)
    store.abandon(collected, LATER)
    store.apply(leave("1", 0), Instant(LATER.monotonic + GUARD_S, LATER.epoch))
    assert uniqueids(store) == []


def test_a_caller_who_is_not_there_cannot_leave() -> None:
    store = with_queue(entry("2"))
    store.apply(leave("1", 1), LATER)
    assert uniqueids(store) == ["2"]


def test_names_of_parties_are_read_as_they_are_meant() -> None:
    """Escaped in events, bare in lists; unknown in two spellings."""
    store = with_queue(entry("1", CallerIDName='O\'Neil "Bob" \\', ConnectedLineNum="unknown"))
    (bare,) = only(store).callers
    store = with_queue()
    escaped = {"CallerIDName": 'O\\\'Neil \\"Bob\\" \\\\', "ConnectedLineNum": "<unknown>"}
    store.apply(join("1", 1, 1, Channel="SIP/a-1", **escaped), LATER)
    (told,) = only(store).callers
    assert told._replace(began=bare.began) == bare
    assert bare.connected_num is None


def test_a_waiting_callers_connected_line_is_followed() -> None:
    store = with_queue(entry("1"), entry("2"))
    fields = {"Channel": "SIP/a-2", "ConnectedLineNum": "1000", "ConnectedLineName": "Jan"}
    assert store.apply(message("NewConnectedLine", Uniqueid="2", **fields), LATER) == []
    assert [caller.connected_num for caller in only(store).callers] == [None, "1000"]
    store.apply(leave("2", 1), LATER)
    assert store.apply(message("NewConnectedLine", Uniqueid="2", **fields), LATER) == []
    (first,) = only(store).callers
    assert first.connected_num is None


def test_a_caller_may_wait_in_one_queue_after_the_other() -> None:
    """He keeps his channel; the list of the queue that he has left comes later."""
    store = QueueStore()
    listed(store, params("Prvni"), entry("1", "Prvni"), params("Druha"))
    listed(store, params("Druha"), entry("1", "Druha"), question=Question("Druha", ALL))
    listed(store, params("Prvni"), question=Question("Prvni", ALL))
    fields = {"Channel": "SIP/a-1", "ConnectedLineNum": "1000"}
    store.apply(message("NewConnectedLine", Uniqueid="1", **fields), LATER)
    (caller,) = store.queues["druha"].callers
    assert caller.connected_num == "1000"


# -- members


@pytest.mark.parametrize(
    "event",
    [f"QueueMember{what}" for what in ("Added", "Pause", "Penalty", "Ringinuse", "Status")],
)
def test_each_event_of_a_member_has_the_whole_of_him(event: str) -> None:
    store = with_queue(member())
    fields = {"Penalty": "3", "Paused": "1", "StateInterface": "SIP/x", "Status": "6"}
    store.apply(member_event(event, Membership="dynamic", **fields), LATER)
    (now,) = only(store).members.values()
    assert (now.penalty, now.paused, now.state_interface, now.status) == (3, True, "SIP/x", 6)
    assert now.membership == "dynamic"


def test_a_member_of_the_realtime_engine_is_static_as_in_lists() -> None:
    store = with_queue(member(Membership="static"))
    store.apply(member_event("QueueMemberStatus", Membership="realtime"), LATER)
    assert only(store).members["SIP/1"].membership == "static"


def test_a_new_members_place_is_asked_for() -> None:
    store = with_queue(member())
    asks = store.apply(member_event("QueueMemberAdded", "SIP/2"), LATER)
    assert asks == [Ask("FrontaIT", ALL, soon=False)]
    assert list(only(store).members) == ["SIP/1", "SIP/2"]


def test_a_removed_member_is_gone() -> None:
    store = with_queue(member("SIP/1"), member("SIP/2"))
    assert store.apply(member_event("QueueMemberRemoved", "SIP/1"), LATER) == []
    assert list(only(store).members) == ["SIP/2"]


def test_an_event_older_than_a_list_sets_no_member_back() -> None:
    store = with_queue(member(CallsTaken="5", InCall="1"))
    late = member_event("QueueMemberStatus", CallsTaken="4", Status="2")
    assert store.apply(late, SOON) == [Ask("FrontaIT", frozenset({"SIP/1"}))]
    assert only(store).members["SIP/1"].calls_taken == 5


def test_a_call_that_a_members_status_shows_to_be_counted_is_asked_for() -> None:
    store = with_queue(member())
    asks = store.apply(member_event("QueueMemberStatus", CallsTaken="1", LastCall="9"), LATER)
    assert asks == [Ask("FrontaIT", frozenset({"SIP/1"}))]


def test_a_member_who_may_have_answered_makes_the_hold_time_be_asked_for() -> None:
    """With an announcement to the member it changes long before AgentConnect."""
    store = with_queue(member(), entry("1"))
    assert store.apply(member_event("QueueMemberStatus", Status="2"), LATER) == [
        Ask("FrontaIT", NONE)
    ]
    assert store.apply(member_event("QueueMemberStatus", Status="2"), LATER) == []


@pytest.mark.parametrize("event", ["AgentConnect", "AgentComplete", "AgentDump"])
def test_a_call_that_begins_or_ends_is_asked_for_and_counted_by_nobody_here(event: str) -> None:
    store = with_queue(member())
    before = only(store)
    assert store.apply(member_event(event), LATER) == [Ask("FrontaIT", frozenset({"SIP/1"}))]
    assert only(store) == before


def test_a_counted_call_is_asked_for_in_all_queues_of_the_member() -> None:
    store = QueueStore()
    other = (params("Obchod"), member("SIP/1", "Obchod"))
    listed(store, params(), member("SIP/1"), *other, params("Treti"), member("SIP/2", "Treti"))
    assert {ask.queue for ask in store.apply(member_event("AgentComplete"), LATER)} == {
        "FrontaIT",
        "Obchod",
    }


def test_what_a_list_tells_beside_queues_is_nothing() -> None:
    """Versions to come may have more to say."""
    store = with_queue(member(), message("QueueRule", Queue="FrontaIT"))
    assert only(store) == only(with_queue(member()))


# -- names


def test_an_event_about_an_unknown_queue_asks_for_it() -> None:
    store = with_queue()
    event = message("QueueCallerJoin", Queue="Nova", Uniqueid="1")
    assert store.apply(event, LATER) == [Ask("Nova", ALL)]
    assert store.apply(message("QueueCallerJoin", Uniqueid="1"), LATER) == []
    assert set(store.queues) == {"frontait"}


def test_a_queue_has_one_name_however_the_dial_plan_spells_it() -> None:
    """AgentConnect has the name as Queue() was given it (app_queue.c, try_calling())."""
    store = with_queue(member())
    event = message("AgentConnect", Queue="FRONTAit", Interface="SIP/1")
    assert store.apply(event, LATER) == [Ask("FrontaIT", frozenset({"SIP/1"}))]
    assert QueueBoard(store).queue("frontaIT", NOW.monotonic) is only(store)
    assert QueueBoard(store).queue("Fronta", NOW.monotonic) is None


def test_odd_headers_do_no_harm() -> None:
    store = with_queue(member())
    before = only(store)
    for name in ("QueueCallerJoin", "QueueMemberStatus", "QueueMemberRemoved", "QueueCallerLeave"):
        store.apply(message(name, Queue="FrontaIT"), LATER)
    assert only(store) == before
    store.apply(member_event("QueueMemberPenalty", Penalty="-1", CallsTaken="9" * 5000), LATER)
    assert only(store).members["SIP/1"].calls_taken == 0


def test_a_lost_session_keeps_the_last_state_for_a_while() -> None:
    store = with_queue(member())
    store.session_lost(NOW.monotonic)
    board = QueueBoard(store)
    assert [each.interface for each in board.members(NOW.monotonic + 29)] == ["SIP/1"]
    with pytest.raises(PbxUnavailable):
        list(board.members(NOW.monotonic + 31))

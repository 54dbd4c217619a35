"""The picture kept from events against the lists that real Asterisk gave in the same session."""

import functools

import pytest

from pbxapi.ami.message import Message
from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.events import REDUCERS
from pbxapi.cache.queues.questions import ALL, Question
from pbxapi.cache.queues.queue import Queue, differences, key_of
from pbxapi.cache.queues.store import GUARD_S, QueueStore
from tests.cache.replay import messages
from tests.services import captures

RECORDINGS = [
    (version, name)
    for version in captures.VERSIONS
    for name in captures.names(version)
    if "queue" in name
]
#: One has lists that leave out members, as they were asked to.
FOLLOWED = [(version, name) for version, name in RECORDINGS if name != "queue-status"]
#: Recordings with at least two lists of one queue, and events between them.
BETWEEN_LISTS = [
    (version, name) for version in captures.VERSIONS for name in ("queue-call", "queue-members")
]
ITEMS = ("QueueParams", "QueueMember", "QueueEntry")


def test_all_recordings_with_queues_are_here() -> None:
    assert len(RECORDINGS) == 16


class Replay:
    """One recorded session, heard by a store."""

    def __init__(self) -> None:
        self.store = QueueStore()
        self.now = Instant(1000.0, 1_795_461_690.0)
        self.asked: set[str] = set()

    def later(self, seconds: float = GUARD_S) -> None:
        self.now = Instant(self.now.monotonic + seconds, self.now.epoch + seconds)

    def event(self, message: Message) -> None:
        self.asked.update(key_of(ask.queue) for ask in self.store.apply(message, self.now))

    def listed(self, items: list[Message], *, all_queues: bool = False) -> dict[str, int]:
        name = items[0].get("Queue") if items else ""
        question = None if all_queues else Question(name, ALL)
        collected = self.store.begin_list(self.now.epoch, question)
        for item in items:
            self.store.item(collected, item, self.now)
        self.store.end_list(collected, self.now)
        return collected.told


@functools.cache
def lists_and_events(version: str, name: str) -> tuple[list[Message] | Message, ...]:
    """Lists as whole, and the events that the cache wants, in their order.

    A list that names a member leaves out others, and a list of all queues has several; both are
    told by the queue that they are about.
    """
    found: list[list[Message] | Message] = []
    items: dict[str, list[Message]] = {}
    for message in messages(version, name):
        if message.event in ITEMS:
            items.setdefault(message.action_id, []).append(message)
        elif message.event == "QueueStatusComplete":
            found.append(items.pop(message.action_id, []))
        elif message.event in REDUCERS:
            found.append(message)
    return tuple(found)


@pytest.mark.parametrize(("version", "name"), FOLLOWED)
def test_what_events_leave_different_from_a_list_has_been_asked_for(
    version: str, name: str
) -> None:
    replay = Replay()
    for each in lists_and_events(version, name):
        replay.later()
        if isinstance(each, Message):
            replay.event(each)
        elif each and len({item.get("Queue") for item in each}) == 1:
            known = set(replay.store.queues)
            different = {key_of(queue) for queue, count in replay.listed(each).items() if count}
            assert different & known <= replay.asked
            replay.asked -= different


@pytest.mark.parametrize(("version", "name"), BETWEEN_LISTS)
def test_members_and_callers_are_those_of_the_list_that_comes_next(version: str, name: str) -> None:
    """What is asked for aside: who is in a call, and the counters."""
    replay = Replay()
    compared = 0
    for each in lists_and_events(version, name):
        replay.later()
        if isinstance(each, Message):
            replay.event(each)
        elif each:
            key = key_of(each[0].get("Queue"))
            before = replay.store.queues.get(key)
            replay.listed(each)
            if before is not None:
                compared += 1
                assert settled(before) == settled(replay.store.queues[key])
    assert compared >= 2


def settled(queue: Queue) -> tuple[object, ...]:
    members = {key: each._replace(in_call=False) for key, each in queue.members.items()}
    return members, [caller.uniqueid for caller in queue.callers], queue.parameters.calls


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
def test_events_heard_twice_are_the_same_as_once(version: str, name: str) -> None:
    once, twice = Replay(), Replay()
    for each in lists_and_events(version, name):
        for replay in (once, twice):
            replay.later()
        if isinstance(each, Message):
            once.event(each)
            twice.event(each)
            twice.event(each)
        else:
            once.listed(each)
            twice.listed(each)
        assert once.store.queues == twice.store.queues


@pytest.mark.parametrize("version", captures.VERSIONS)
def test_a_list_cut_at_any_place_tells_whole_queues_or_nothing(version: str) -> None:
    everything = [
        message for message in messages(version, "queue-status") if message.event in ITEMS
    ]
    first = everything[0].action_id
    items = [message for message in everything if message.action_id == first]
    complete = Replay()
    complete.listed(items, all_queues=True)
    assert set(complete.store.queues) == {"frontait", "frontaobchod", "frontaprazdna"}
    for cut in range(len(items)):
        replay = Replay()
        collected = replay.store.begin_list(replay.now.epoch)
        for item in items[:cut]:
            replay.store.item(collected, item, replay.now)
        for key, queue in replay.store.queues.items():
            assert queue == complete.store.queues[key]
        assert replay.store.freshness.age_s(replay.now.monotonic) == float("inf")
        begun = sum(item.event == "QueueParams" for item in items[:cut])
        assert len(replay.store.queues) == max(0, begun - 1)


@pytest.mark.parametrize("version", captures.VERSIONS)
def test_what_is_read_from_a_recorded_list(version: str) -> None:
    (waiting, *_) = (
        each for each in lists_and_events(version, "queue-call") if isinstance(each, list)
    )
    replay = Replay()
    replay.listed(waiting)
    queue = replay.store.queues["frontait"]
    assert (queue.name, queue.parameters.strategy) == ("FrontaIT", "rrordered")
    assert queue.parameters.service_level_perf == "100.0"
    jan = queue.members["Local/1000@extensions-dialplanid-1"]
    technology = "SIP" if version == "16" else "PJSIP"
    assert (jan.name, jan.state_interface) == ("Jan Novák", f"{technology}/Linka_1000")
    (caller,) = queue.callers
    assert (caller.caller_num, caller.caller_name) == ("1005", "User 1005")
    assert (caller.connected_num, caller.connected_name) == (None, None)
    assert differences(queue, queue) == 0

"""Whatever happens, in whatever order it is heard of: in the end the picture is Asterisk's.

A model of app_queue runs at random. Its events are delivered late, its answers overtake them, as
Asterisk's do; the store and the questions are the real ones.
"""

import random

from hypothesis import given, settings, strategies as st

from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.questions import ALL, Question, Questions
from pbxapi.cache.queues.queue import Queue, differences
from pbxapi.cache.queues.store import QueueStore
from tests.cache.queues.model import ModelMember, ModelPbx, ModelQueue

QUEUES = ("FrontaIT", "Obchod")
INTERFACES = ("SIP/1", "SIP/2", "SIP/3")

#: Seconds after which every question that events made due has been asked.
SETTLED_S = 1.0

_WHATS = (
    *("join", "join", "join", "abandon", "connect", "connect", "complete", "device", "device"),
    *("add", "remove", "pause", "party", "deliver", "deliver", "deliver", "step", "step", "tick"),
    *("tick", "wait", "ask", "ask", "list"),
)

Operation = tuple[str, str, str, int]


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """What happens, long enough for calls to come to their end."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    count = draw(st.integers(1, 300))
    return [
        (
            chance.choice(_WHATS),
            chance.choice(QUEUES),
            chance.choice(INTERFACES),
            chance.randrange(9),
        )
        for _ in range(count)
    ]


class World:
    """The model, and the picture of it."""

    def __init__(self, *, shared_lastcall: bool) -> None:
        self.pbx = ModelPbx(shared_lastcall=shared_lastcall)
        for name in QUEUES:
            self.pbx.queues[name] = ModelQueue(name)
            for interface in INTERFACES:
                self.pbx.queues[name].members[interface] = ModelMember(interface)
        self.store = QueueStore()
        self.questions = Questions()
        self.asked = 0
        self.list_all()

    @property
    def instant(self) -> Instant:
        return Instant(self.pbx.now - 1_795_000_000.0, self.pbx.now)

    def list_all(self, question: Question | None = None) -> None:
        """The answer overtakes all events that wait."""
        collected = self.store.begin_list(self.pbx.now, question)
        name, member = "", ""
        if question is not None:
            name = question.queue
            if question.members is not ALL and len(question.members) < 2:
                (member,) = question.members or {"-"}
        for each in self.pbx.listed(name, member):
            self.store.item(collected, each, self.instant)
        self.store.end_list(collected, self.instant)
        now = self.instant.monotonic
        if question is None:
            self.questions.told_all(collected.told, now)
        else:
            self.asked += 1
            self.questions.told(question, now, exists=bool(collected.told))
        for ask in collected.asks:
            self.questions.put(ask, now)

    def deliver(self, count: int) -> None:
        for _ in range(min(count, len(self.pbx.waiting))):
            for ask in self.store.apply(self.pbx.waiting.pop(0), self.instant):
                self.questions.put(ask, self.instant.monotonic)

    def ask(self) -> None:
        for question in self.questions.take(self.instant.monotonic):
            self.list_all(question)

    def happen(self, what: str, name: str, interface: str, number: int) -> None:
        match what:
            case "deliver":
                self.deliver(number)
            case "step":
                self.pbx.step()
            case "tick":
                self.pbx.pass_time(number / 50)
            case "wait":
                self.pbx.pass_time(number / 4)
            case "ask":
                self.ask()
            case "list":
                self.list_all()
            case _:
                self.change(what, name, interface, number)

    def change(self, what: str, name: str, interface: str, number: int) -> None:
        """Something happens in the PBX."""
        pbx, queue = self.pbx, self.pbx.queues[name]
        member = queue.members.get(interface)
        match what:
            case "join":
                pbx.join(name, position=number % 3)
            case "device":
                pbx.device(interface, (1, 2, 6)[number % 3])
            case "add":
                pbx.add(name, interface)
            case "remove":
                pbx.remove(name, interface)
            case "pause" if member:
                pbx.pause(name, interface, number % 2)
            case "complete" if member and member.answered_at:
                pbx.complete(name, interface)
            case _:
                if queue.callers:
                    self.serve(what, name, interface, number % len(queue.callers))

    def serve(self, what: str, name: str, interface: str, index: int) -> None:
        """Something happens to somebody who waits."""
        member = self.pbx.queues[name].members.get(interface)
        match what:
            case "abandon":
                self.pbx.abandon(name, index)
            case "party":
                self.pbx.connected_line(name, index, str(1000 + index))
            case "connect" if member and not member.answered_at:
                self.pbx.connect(name, index, interface)

    def settle(self) -> None:
        """All is delivered, and what was due has been asked."""
        self.pbx.step()
        self.deliver(len(self.pbx.waiting))
        for _ in range(int(SETTLED_S * 50)):
            self.pbx.pass_time(0.02)
            while self.questions.next_at() <= self.instant.monotonic:
                before = self.asked
                self.ask()
                if self.asked == before:
                    break  # the slow round's turn: it must not be needed

    def truth(self) -> dict[str, Queue]:
        fresh = QueueStore()
        collected = fresh.begin_list(self.pbx.now)
        for each in self.pbx.listed():
            fresh.item(collected, each, self.instant)
        fresh.end_list(collected, self.instant)
        return fresh.queues


def assert_same(world: World) -> None:
    truth = world.truth()
    assert truth.keys() == world.store.queues.keys()
    for key, queue in truth.items():
        seen = world.store.queues[key]
        assert differences(seen, queue) == 0, (seen, queue)
        assert list(seen.members) == list(queue.members)
        waits = [caller.began.wait_s(world.pbx.now) for caller in seen.callers]
        starts = [caller.start for caller in world.pbx.queues[queue.name].callers]
        assert waits == [world.pbx.second - start for start in starts]


@given(histories(), st.booleans())
@settings(max_examples=200)
def test_the_picture_is_asterisks_once_all_events_are_there(
    operations: list[Operation], shared_lastcall: bool
) -> None:
    world = World(shared_lastcall=shared_lastcall)
    for operation in operations:
        world.happen(*operation)
    world.settle()
    assert_same(world)


@given(histories())
@settings(max_examples=100)
def test_nothing_that_was_told_is_ever_taken_back(
    operations: list[Operation],
) -> None:
    """Counters only grow, whatever is late: no call is ever counted twice, not for a moment."""
    world = World(shared_lastcall=False)
    before = dict.fromkeys(world.store.queues, (0, 0))
    for operation in operations:
        world.happen(*operation)
        for key, queue in world.store.queues.items():
            counted = (int(queue.parameters.completed), int(queue.parameters.abandoned))
            real = world.pbx.queues[queue.name]
            assert before[key] <= counted
            assert counted[0] <= real.completed
            assert counted[1] <= real.abandoned
            before[key] = counted


@given(histories())
@settings(max_examples=100)
def test_a_quiet_pbx_is_asked_nothing_but_the_slow_round(
    operations: list[Operation],
) -> None:
    world = World(shared_lastcall=True)
    for operation in operations:
        world.happen(*operation)
    world.settle()
    world.settle()
    asked = world.asked
    world.settle()
    assert world.asked == asked

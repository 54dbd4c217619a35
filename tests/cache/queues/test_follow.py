"""QueueFollower: lists, events and questions against a model of app_queue that answers."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request, encode, queue_status
from pbxapi.cache import relisting
from pbxapi.cache.queues import questions
from pbxapi.cache.queues.events import REDUCERS
from pbxapi.cache.queues.follow import UNDER_WAY, QueueFollower
from pbxapi.cache.queues.store import QueueStore
from pbxapi.errors import PbxRefused, PbxUnavailable
from tests.cache.queues.model import ModelMember, ModelPbx, ModelQueue
from tests.cache.replay import message
from tests.services.waiting import eventually


class Lister:
    """Answers QueueStatus as the model has it, or with what it is told to raise."""

    def __init__(self, pbx: ModelPbx) -> None:
        self.pbx = pbx
        self.asked: list[Request] = []
        self.under_way = self.most = 0
        self.failures: list[Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def request_list(
        self, request: Request, on_item: Callable[[Message], None], /
    ) -> Message:
        encode(request, "1")
        self.asked.append(request)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        lists_of_all = self.asked[-self.under_way :].count(queue_status())
        assert self.under_way == 1 or not lists_of_all, "a list of all is alone"
        await self.gate.wait()
        await asyncio.sleep(0)
        self.under_way -= 1
        if self.failures:
            raise self.failures.pop(0)
        headers = dict(request.headers)
        for item in self.pbx.listed(headers.get("Queue", ""), headers.get("Member", "")):
            on_item(item)
        return message("QueueStatusComplete", EventList="Complete")

    def about(self, queue: str) -> list[Request]:
        return [each for each in self.asked if ("Queue", queue) in each.headers]


class World:
    """A follower, its store, and the model that it follows."""

    def __init__(self) -> None:
        self.pbx = ModelPbx()
        self.add_queue("A")
        self.lister = Lister(self.pbx)
        self.store = QueueStore()
        self.follower = QueueFollower(self.store, lambda: self.pbx.now)

    def add_queue(self, name: str) -> None:
        self.pbx.queues[name] = ModelQueue(name, members={"SIP/1": ModelMember("SIP/1")})

    def deliver(self) -> None:
        self.pbx.step()
        while self.pbx.waiting:
            self.follower.event(self.pbx.waiting.pop(0))

    def completed(self, queue: str = "A") -> str:
        found = self.store.named(queue)
        return "" if found is None else found.parameters.completed


@asynccontextmanager
async def following() -> AsyncIterator[World]:
    world = World()
    task = asyncio.create_task(world.follower.run(world.lister))
    try:
        with capture_logs():
            yield world
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def listed() -> AsyncIterator[World]:
    async with following() as world:
        world.follower.session_opened()
        await lists_made(world, 1)
        yield world


async def lists_made(world: World, count: int) -> None:
    await eventually(
        lambda: world.follower.lists >= count, within_s=3, what=f"{count} lists of all queues"
    )


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relisting, "SETTLE_S", 0.02)
    monkeypatch.setattr(relisting, "RETRY_S", 0.02)
    monkeypatch.setattr(questions, "ROUND_S", 1e6)


def test_it_wants_what_the_reducers_take_and_what_makes_it_list() -> None:
    assert QueueFollower.wanted == {*REDUCERS, "FullyBooted", "Reload"}


async def test_without_a_session_nothing_is_asked() -> None:
    async with following() as world:
        world.follower.event(message("FullyBooted"))
        await asyncio.sleep(0.2)
        assert world.lister.asked == []


async def test_a_new_session_is_answered_by_one_list_of_all() -> None:
    async with listed() as world:
        world.follower.event(message("Newstate", Uniqueid="1"))
        assert world.lister.asked == [queue_status()]
        assert world.completed() == "0"


@pytest.mark.parametrize(
    ("event", "module", "lists"),
    [
        ("FullyBooted", "", 2),
        ("Reload", "All", 2),
        ("Reload", "app_queue", 2),
        ("Reload", "app_queue.so", 2),
        ("Reload", "APP_QUEUE", 2),
        ("Reload", "res_pjsip", 1),
    ],
)
async def test_reloads_that_may_concern_queues_make_a_list(
    event: str, module: str, lists: int
) -> None:
    async with listed() as world:
        world.follower.event(message(event, Module=module))
        await asyncio.sleep(0.15)
        assert world.follower.lists == lists


async def test_it_is_told_that_queues_were_listed_anew() -> None:
    async with following() as world:
        assert not world.follower.listed_anew.is_set()
        world.follower.session_opened()
        await eventually(world.follower.listed_anew.is_set, within_s=3, what="listed anew")
        world.follower.listed_anew.clear()
        world.follower.event(message("Reload", Module="app_queue"))
        await eventually(world.follower.listed_anew.is_set, within_s=3, what="listed anew")


async def test_a_list_by_itself_is_no_new_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relisting, "RECONCILE_S", 0.05)
    async with listed() as world:
        world.follower.listed_anew.clear()
        await lists_made(world, 3)
        assert not world.follower.listed_anew.is_set()


async def test_a_list_that_has_another_queue_is_a_new_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relisting, "RECONCILE_S", 0.05)
    async with listed() as world:
        world.follower.listed_anew.clear()
        world.add_queue("B")
        await eventually(world.follower.listed_anew.is_set, within_s=3, what="listed anew")
        assert world.store.named("B") is not None


async def test_a_queue_that_is_gone_makes_a_list_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "ROUND_S", 0.05)
    async with listed() as world:
        world.follower.listed_anew.clear()
        world.add_queue("renamed")
        del world.pbx.queues["A"]
        await eventually(world.follower.listed_anew.is_set, within_s=3, what="listed anew")
        assert world.store.queues.keys() == {"renamed"}


async def test_a_list_that_failed_leaves_the_beginning_to_the_next() -> None:
    async with following() as world:
        world.lister.failures = [PbxUnavailable("no answer to QueueStatus in 15 s")]
        world.follower.session_opened()
        await eventually(world.follower.listed_anew.is_set, within_s=3, what="listed anew")
        assert len(world.lister.asked) == 2


async def test_counters_are_asterisks_own_a_moment_after_their_event() -> None:
    async with listed() as world:
        world.pbx.join("A")
        world.pbx.connect("A", 0, "SIP/1")
        world.pbx.step()
        world.pbx.complete("A", "SIP/1")
        world.deliver()
        await eventually(lambda: world.completed() == "1", within_s=1, what="the call counted")
        assert world.store.queues["a"].members["SIP/1"].calls_taken == 1


async def test_a_question_about_one_member_names_him_and_no_other() -> None:
    async with listed() as world:
        await asyncio.sleep(0.3)  # longer than the list's own events may be late
        world.pbx.join("A")
        world.deliver()
        await asyncio.sleep(0.2)
        assert world.lister.about("A") == [queue_status("A", "-")]
        world.pbx.connect("A", 0, "SIP/1")
        world.deliver()
        await eventually(
            lambda: world.lister.about("A")[-1] == queue_status("A", "SIP/1"),
            within_s=1,
            what="a question",
        )


async def test_two_members_are_a_question_about_all() -> None:
    async with listed() as world:
        world.pbx.add("A", "SIP/2")
        world.pbx.pause("A", "SIP/1", 1)
        world.deliver()
        await eventually(
            lambda: world.lister.about("A") == [queue_status("A")] * 2,
            within_s=1,
            what="questions",
        )


async def test_a_few_questions_about_different_queues_are_under_way_together() -> None:
    async with listed() as world:
        for number in range(20):
            world.add_queue(f"Q{number}")
            world.pbx.join(f"Q{number}")
        world.deliver()
        await eventually(lambda: len(world.store.queues) == 21, within_s=2, what="all of them")
        assert world.lister.most == UNDER_WAY


async def test_a_new_queue_is_asked_for_when_an_event_names_it() -> None:
    async with listed() as world:
        world.add_queue("B")
        world.pbx.join("B")
        world.deliver()
        await eventually(lambda: world.store.named("B"), within_s=1, what="the new queue")


async def test_a_queue_that_is_gone_is_gone_after_a_question() -> None:
    async with listed() as world:
        del world.pbx.queues["A"]
        world.follower.event(message("QueueCallerAbandon", Queue="A", Uniqueid="1"))
        await eventually(lambda: not world.store.queues, within_s=1, what="the queue is gone")


async def test_names_that_asterisk_would_not_know_again_are_not_asked_about() -> None:
    async with listed() as world:
        for name in ("a\x85b", "a\ufffdb"):
            world.follower.event(message("QueueCallerAbandon", Queue=name, Uniqueid="1"))
        member = message("AgentConnect", Queue="A", Interface="SIP/\ufffd")
        world.follower.event(member)
        await eventually(lambda: world.lister.about("A"), within_s=1, what="a question")
        assert set(world.lister.asked) == {queue_status(), queue_status("A")}


async def test_what_no_event_tells_is_found_by_the_slow_round_and_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(questions, "ROUND_S", 0.2)
    async with listed() as world:
        world.pbx.queues["A"].completed = 7
        with capture_logs() as logs:
            await eventually(lambda: world.completed() == "7", within_s=2, what="found")
            await eventually(lambda: world.follower.repaired, within_s=2, what="reported")
    assert world.follower.repaired == 1
    assert logs == [
        {"event": "queues.repaired", "log_level": "info", "queue": "A", "differences": 1}
    ]


async def test_what_an_event_tells_a_moment_later_was_no_repair(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A question of the slow round overtook the event."""
    monkeypatch.setattr(questions, "ROUND_S", 0.2)
    async with listed() as world:
        world.pbx.join("A")
        world.pbx.abandon("A", 0)
        await eventually(
            lambda: world.store.queues["a"].parameters.abandoned == "1", within_s=2, what="found"
        )
        world.deliver()
        await asyncio.sleep(0.5)
        assert world.follower.repaired == 0


async def test_a_question_without_an_answer_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(questions, "RETRY_S", 0.05)
    async with listed() as world:
        with capture_logs() as logs:
            world.lister.failures = [PbxUnavailable("no answer to QueueStatus in 15 s")] * 2
            world.pbx.queues["A"].completed = 3
            world.follower.event(message("AgentComplete", Queue="A", Interface="SIP/1"))
            await eventually(lambda: world.completed() == "3", within_s=2, what="the answer")
    failed = {"event": "queues.list_failed", "log_level": "warning", "action": "QueueStatus"}
    assert logs[0].items() >= {**failed, "Queue": "A", "Member": "SIP/1"}.items()


async def test_a_lost_session_ends_all_questions() -> None:
    async with listed() as world:
        world.lister.gate.clear()
        world.follower.event(message("AgentComplete", Queue="A", Interface="SIP/1"))
        await eventually(lambda: world.lister.about("A"), within_s=1, what="the question")
        asked = len(world.lister.asked)
        world.lister.failures = [PbxUnavailable("Asterisk closed the connection")]
        world.follower.session_lost(1e6)
        world.lister.gate.set()
        await asyncio.sleep(0.3)
        assert len(world.lister.asked) == asked
        assert world.store.freshness.age_s(1e6 + 5) == 5
        assert world.completed() == "0"


async def test_a_refused_list_is_an_error_in_the_log_and_asked_for_again() -> None:
    async with following() as world:
        with capture_logs() as logs:
            world.lister.failures = [PbxRefused("Permission denied")]
            world.follower.session_opened()
            await lists_made(world, 1)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("queues.list_refused", "error"),
        ("queues.listed", "info"),
    ]
    assert logs[1].items() >= {"queues": 1, "members": 1, "callers": 0}.items()


async def test_an_asterisk_without_queues_has_none() -> None:
    refusal = "Invalid/unknown command: QueueStatus. Use Action: ListCommands to show"
    async with following() as world:
        world.lister.failures = [PbxRefused(refusal)]
        world.follower.session_opened()
        await lists_made(world, 1)
        assert world.store.queues == {}
        assert world.store.freshness.age_s(1e9) == 0

"""ChannelFollower: when the channels are listed, and what is said about it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from pbxapi.ami.message import Message
from pbxapi.ami.requests import CORE_SHOW_CHANNELS, Request
from pbxapi.cache import relisting
from pbxapi.cache.channels.channel import REDUCERS
from pbxapi.cache.channels.follow import ChannelFollower
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.errors import PbxRefused, PbxUnavailable
from tests.cache.replay import message
from tests.services.waiting import eventually


class Lister:
    """Answers each list with the next of `answers`: Uniqueids, or an error; the last one stays."""

    def __init__(self, *answers: list[str] | Exception) -> None:
        self.answers = list(answers) or [[]]
        self.asked: list[Request] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def request_list(
        self, request: Request, on_item: Callable[[Message], None], /
    ) -> Message:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await self.gate.wait()
        if isinstance(answer, Exception):
            raise answer
        for uniqueid in answer:
            on_item(message("CoreShowChannel", Uniqueid=uniqueid, Channel=f"SIP/a-{uniqueid}"))
        return message("CoreShowChannelsComplete", EventList="Complete")


@asynccontextmanager
async def following(lister: Lister) -> AsyncIterator[tuple[ChannelFollower, ChannelStore]]:
    store = ChannelStore()
    follower = ChannelFollower(store, time.time)
    task = asyncio.create_task(follower.run(lister))
    try:
        yield follower, store
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def lists_made(follower: ChannelFollower, count: int) -> None:
    await eventually(lambda: follower.lists >= count, within_s=3, what=f"{count} lists")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relisting, "SETTLE_S", 0.02)
    monkeypatch.setattr(relisting, "RETRY_S", 0.02)


async def nothing_more(lister: Lister) -> None:
    """Longer than settling and retrying take."""
    count = len(lister.asked)
    await asyncio.sleep(0.15)
    assert len(lister.asked) == count


def test_it_wants_what_the_reducers_take_and_what_makes_it_list() -> None:
    assert ChannelFollower.wanted == {*REDUCERS, "FullyBooted", "Reload", "Shutdown"}


async def test_nothing_is_listed_without_a_session() -> None:
    lister = Lister()
    async with following(lister) as (follower, _):
        follower.event(message("FullyBooted"))
        await nothing_more(lister)
    assert lister.asked == []


async def test_a_new_session_its_fullybooted_and_reloads_are_answered_by_one_list() -> None:
    lister = Lister(["1", "2"])
    with capture_logs() as logs:
        async with following(lister) as (follower, store):
            assert not follower.first_list.is_set()
            follower.session_opened()
            follower.event(message("FullyBooted"))
            for module in ("manager", "res_pjsip", "app_queue"):
                follower.event(message("Reload", Module=module))
            await lists_made(follower, 1)
            assert follower.first_list.is_set()
            assert set(store.channels) == {"1", "2"}
            await nothing_more(lister)
    assert lister.asked == [CORE_SHOW_CHANNELS]
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("cache.listed", "info")]
    assert logs[0]["channels"] == 2


@pytest.mark.parametrize("event", ["FullyBooted", "Reload"])
async def test_each_of_them_alone_makes_a_list(event: str) -> None:
    lister = Lister()
    with capture_logs():
        async with following(lister) as (follower, _):
            follower.session_opened()
            await lists_made(follower, 1)
            follower.event(message(event))
            await lists_made(follower, 2)
            await nothing_more(lister)


async def test_a_reload_during_a_list_makes_another() -> None:
    lister = Lister()
    lister.gate.clear()
    with capture_logs():
        async with following(lister) as (follower, _):
            follower.session_opened()
            await eventually(lambda: lister.asked, within_s=2, what="the list is under way")
            follower.event(message("Reload"))
            lister.gate.set()
            await lists_made(follower, 2)
            await nothing_more(lister)


async def test_other_events_make_no_list_but_change_the_picture() -> None:
    lister = Lister()
    with capture_logs():
        async with following(lister) as (follower, store):
            follower.session_opened()
            await lists_made(follower, 1)
            follower.event(message("Newchannel", Uniqueid="7", Channel="SIP/a-7"))
            follower.event(message("Unknown", Uniqueid="7"))
            assert set(store.channels) == {"7"}
            await nothing_more(lister)


async def test_a_list_without_answer_is_asked_for_again() -> None:
    lister = Lister(PbxUnavailable("no answer to CoreShowChannels in 15 s"), ["1"])
    with capture_logs() as logs:
        async with following(lister) as (follower, store):
            follower.session_opened()
            await lists_made(follower, 1)
            assert set(store.channels) == {"1"}
            await nothing_more(lister)
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [
        ("cache.list_failed", "warning"),
        ("cache.listed", "info"),
    ]
    assert logs[0]["error"] == "no answer to CoreShowChannels in 15 s"


async def test_a_refused_list_is_an_error_in_the_log_and_asked_for_again() -> None:
    lister = Lister(PbxRefused("Permission denied"), PbxRefused("Permission denied"), ["1"])
    with capture_logs() as logs:
        async with following(lister) as (follower, _):
            follower.session_opened()
            await lists_made(follower, 1)
    refused = [entry for entry in logs if entry["event"] == "cache.list_refused"]
    assert [(entry["log_level"], entry["error"]) for entry in refused] == [
        ("error", "Permission denied"),
        ("error", "Permission denied"),
    ]
    assert refused[0]["action"] == "CoreShowChannels"


async def test_a_new_session_does_not_wait_for_the_retry_of_the_old(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The list has to be right within 3 s of Asterisk's boot, also where it died during a list."""
    monkeypatch.setattr(relisting, "RETRY_S", 60.0)
    lister = Lister(PbxUnavailable("Asterisk closed the connection"), ["1"])
    with capture_logs() as logs:
        async with following(lister) as (follower, _):
            follower.session_opened()
            await eventually(lambda: logs, within_s=2, what="the list has failed")
            follower.session_lost(0.0)
            follower.session_opened()
            await lists_made(follower, 1)


async def test_nothing_is_retried_while_there_is_no_session() -> None:
    lister = Lister(PbxUnavailable("Asterisk closed the connection"))
    with capture_logs() as logs:
        async with following(lister) as (follower, _):
            follower.session_opened()
            lister.gate.clear()
            await eventually(lambda: lister.asked, within_s=2, what="the list is under way")
            follower.session_lost(0.0)
            lister.gate.set()
            await eventually(lambda: logs, within_s=2, what="the list has failed")
            await nothing_more(lister)
    assert len(lister.asked) == 1


async def test_it_lists_by_itself_and_counts_what_it_repaired(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relisting, "RECONCILE_S", 0.05)
    lister = Lister(["1"], ["1"], ["1", "2", "3"], ["3"])
    with capture_logs() as logs:
        async with following(lister) as (follower, store):
            follower.session_opened()
            await lists_made(follower, 4)
            assert set(store.channels) == {"3"}
            assert follower.repaired == 4
    listed = [
        (entry["log_level"], entry["missing"], entry["surplus"], entry["changed"])
        for entry in logs[:4]
    ]
    assert listed == [("info", 1, 0, 0), ("debug", 0, 0, 0), ("info", 2, 0, 0), ("info", 0, 2, 0)]


async def test_the_waits_between_lists_are_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    delays: list[float] = []
    timeout = asyncio.timeout

    def spy(delay_s: float) -> asyncio.Timeout:
        delays.append(delay_s)
        return timeout(0.001)

    monkeypatch.setattr("pbxapi.cache.relisting.asyncio.timeout", spy)
    async with following(Lister()):
        await asyncio.sleep(0)
        while len(delays) < 30:
            await asyncio.sleep(0.001)
    assert all(54 <= delay_s <= 66 for delay_s in delays)
    assert len(set(delays)) > 20


async def test_a_loss_makes_the_picture_grow_old() -> None:
    with capture_logs():
        async with following(Lister(["1"])) as (follower, store):
            follower.session_opened()
            await lists_made(follower, 1)
            assert store.freshness.age_s(1e6) == 0
            follower.session_lost(1e6)
            assert store.freshness.age_s(1e6 + 5) == 5
            assert set(store.channels) == {"1"}


async def test_a_shutdown_is_said() -> None:
    with capture_logs() as logs:
        ChannelFollower(ChannelStore(), time.time).event(message("Shutdown", Restart="True"))
    assert logs == [{"event": "ami.shutdown", "log_level": "warning", "restart": "True"}]

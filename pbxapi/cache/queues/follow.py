"""List, follow, and ask: keeps a QueueStore in step with Asterisk.

All queues are listed at every new session, after FullyBooted, after a reload of app_queue, where a
queue has come or gone without a word, and about once a minute. In between events keep members and
callers; for what no event tells exactly, the counters above all, Asterisk is asked about that one
queue (questions.py). A list of all or a few questions about different queues are under way at a
time.
"""

import asyncio
import contextlib
import time
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

import structlog

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request, queue_status
from pbxapi.cache.followers import Lister
from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.events import REDUCERS
from pbxapi.cache.queues.listing import QueueList
from pbxapi.cache.queues.questions import ALL, Ask, Question, Questions
from pbxapi.cache.queues.store import GUARD_S, QueueStore
from pbxapi.cache.relisting import RELIST_EVENTS, Relisting
from pbxapi.errors import PbxRefused, PbxUnavailable

#: A reload tells the module as whoever asked for it spelt it, in either case and with `.so` or not,
#: or that it was all of them (loader.c, publish_reload_message(), resource_name_match()).
RELOADED: Final = frozenset({"all", "app_queue"})
_FILE_ENDING: Final = ".so"
#: What Asterisk says without app_queue.
_NO_SUCH_ACTION: Final = "Invalid/unknown command"
#: A question that names no member: an interface has a slash.
_NOBODY: Final = "-"
#: Questions about different queues that are under way together: what bounds the load on Asterisk.
UNDER_WAY: Final = 8
#: Bytes that were no UTF-8 have become this, so Asterisk would not know the name.
_REPLACEMENT: Final = "\ufffd"

_log = structlog.get_logger()


@dataclass(slots=True)
class _Suspicion:
    """Differences that nothing explains so far: an event may still be on its way."""

    count: int
    since: float


class QueueFollower:
    """The one writer of a `QueueStore`; told of sessions and events by the AMI manager.

    Args:
        store: What it writes.
        asterisk_time: Seconds since the epoch by the clock of Asterisk's host.

    Attributes:
        lists: Number of complete lists of all queues.
        questions: Number of questions about one queue that were answered.
        repaired: Number of differences that a list found and no event explains.
        listed_anew: Set at the first complete list of a session, of a boot and of a reload, and
            where a list has queues that were not there before, or lacks some; who acts on it
            clears it.
    """

    wanted = frozenset(REDUCERS) | RELIST_EVENTS

    def __init__(self, store: QueueStore, asterisk_time: Callable[[], float]) -> None:
        self._store = store
        self._asterisk_time = asterisk_time
        self._relisting = Relisting()
        self._questions = Questions()
        self._wake = asyncio.Event()
        self._listing = asyncio.Lock()
        self._suspicions: dict[str, _Suspicion] = {}
        self._anew = False
        self._connected = False
        self.lists = 0
        self.questions = 0
        self.repaired = 0
        self.listed_anew = asyncio.Event()

    # -- called by the AMI manager

    def session_opened(self) -> None:
        """A new session: whatever happened in the gap, a list tells."""
        self._anew = self._connected = True
        self._relisting.session_opened()

    def session_lost(self, last_received: float) -> None:
        """No more events: the picture grows old from here."""
        self._connected = False
        self._relisting.session_lost()
        self._questions.forget()
        self._suspicions.clear()
        self._store.session_lost(last_received)

    def event(self, message: Message) -> None:
        """One event of the session."""
        if message.event not in REDUCERS:
            module = message.get("Module").lower().removesuffix(_FILE_ENDING)
            if message.event == "FullyBooted" or module in RELOADED:
                self._anew = True
                self._relisting.ask()
        elif self._store.concerns(message):
            self._ask(self._store.apply(message, self._now()))

    # -- the background task

    async def run(self, lister: Lister) -> NoReturn:
        """List and ask whenever it is due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._relisting.run(lambda: self._list(lister)))
            await self._keep_asking(lister)

    async def _list(self, lister: Lister) -> bool:
        async with self._listing:
            anew, self._anew = self._anew, False
            before = frozenset(self._store.queues)
            collected = self._store.begin_list(self._asterisk_time())
            began = time.monotonic()
            if not await self._collect(lister, queue_status(), collected):
                self._store.abandon(collected, self._now())
                self._anew = self._anew or anew
                return False
            gone = self._store.end_list(collected, self._now())
            now = time.monotonic()
            self._questions.told_all(collected.told, now, now - began)
            self._wake.set()
            self._ask(collected.asks)
        if not anew:
            self._suspect(collected.told | dict.fromkeys(gone, 1), now)
        # No event tells of `queue reload`, and its agents have to come into a queue that is new.
        anew = anew or before != self._store.queues.keys()
        self._note(now - began, loud=anew)
        if anew:
            self.listed_anew.set()
        return True

    async def _keep_asking(self, lister: Lister) -> NoReturn:
        while True:
            self._wake.clear()
            async with self._listing:
                asked = await self._ask_some(lister)
            self._report_suspicions(time.monotonic())
            if not asked:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._questions.next_at() - time.monotonic()):
                        await self._wake.wait()

    async def _ask_some(self, lister: Lister) -> bool:
        """Ask what is due, or else what the slow round has come to; tells whether there was any."""
        began = time.monotonic()
        if due := self._questions.take(began, UNDER_WAY):
            async with asyncio.TaskGroup() as group:
                for question in due:
                    group.create_task(self._inquire(lister, _feasible(question)))
            return True
        in_turn = self._questions.take_round(began)
        if in_turn is None:
            return False
        found = await self._inquire(lister, in_turn)
        now = time.monotonic()
        self._suspect(found, now)
        self._questions.rest(now, now - began)
        return True

    async def _inquire(self, lister: Lister, question: Question) -> dict[str, int]:
        """Ask about one queue; returns the differences that were found, by queue."""
        unknown = self._store.named(question.queue) is None
        if unknown:
            question = question._replace(members=ALL)
        collected = self._store.begin_list(self._asterisk_time(), question)
        if not await self._collect(lister, _request(question), collected):
            self._store.abandon(collected, self._now())
            if self._connected:
                self._questions.retry(question, time.monotonic())
            return {}
        gone = self._store.end_list(collected, self._now())
        if unknown != (self._store.named(question.queue) is None):
            self._anew = True  # where one has come or gone, others may have too
            self._relisting.ask()
        self.questions += 1
        self._questions.told(question, time.monotonic(), exists=bool(collected.told))
        self._ask(collected.asks)
        return collected.told | dict.fromkeys(gone, 1)

    async def _collect(self, lister: Lister, request: Request, collected: QueueList) -> bool:
        facts = {"action": request.action, **dict(request.headers)}
        try:
            await lister.request_list(
                request, lambda message: self._store.item(collected, message, self._now())
            )
        except PbxRefused as error:
            if str(error).startswith(_NO_SUCH_ACTION):
                return True  # without app_queue there are no queues
            _log.error("queues.list_refused", error=str(error), **facts)
            return False
        except PbxUnavailable as error:
            _log.warning("queues.list_failed", error=str(error), **facts)
            return False
        return True

    # -- what is to be asked, and what was found

    def _now(self) -> Instant:
        return Instant(time.monotonic(), self._asterisk_time())

    def _ask(self, asks: Iterable[Ask]) -> None:
        now = time.monotonic()
        for ask in asks:
            if _askable(ask.queue):
                self._suspicions.pop(ask.queue, None)
                self._questions.put(ask, now)
                self._wake.set()

    def _suspect(self, found: Mapping[str, int], now: float) -> None:
        """Differences that no event has told; unless one follows that was on its way."""
        for queue, count in found.items():
            if count and not self._questions.pending(queue):
                self._suspicions[queue] = _Suspicion(count, now)

    def _report_suspicions(self, now: float) -> None:
        for queue, suspicion in list(self._suspicions.items()):
            if now >= suspicion.since + GUARD_S:
                del self._suspicions[queue]
                self.repaired += suspicion.count
                _log.info("queues.repaired", queue=queue, differences=suspicion.count)

    def _note(self, took_s: float, *, loud: bool) -> None:
        self.lists += 1
        queues = self._store.queues.values()
        (_log.info if loud else _log.debug)(
            "queues.listed",
            queues=len(queues),
            members=sum(len(queue.members) for queue in queues),
            callers=sum(len(queue.callers) for queue in queues),
            took_ms=round(took_s * 1000, 1),
        )


def _askable(name: str) -> bool:
    """Whether Asterisk would know this name again; a list of all queues needs no names."""
    return _REPLACEMENT not in name and not any(unicodedata.category(c) == "Cc" for c in name)


def _feasible(question: Question) -> Question:
    """Asterisk lists one member or all of them."""
    members = question.members
    if members is None or (len(members) <= 1 and all(map(_askable, members))):
        return question
    return question._replace(members=ALL)


def _request(question: Question) -> Request:
    if question.members is None:
        return queue_status(question.queue)
    return queue_status(question.queue, next(iter(question.members), _NOBODY))

"""The queues of the PBX as far as we know them, and how far that is.

Promises to readers:
* `queues` is what one moment looked like; every change replaces a whole queue.
* `freshness` tells how far it may be believed.
* One writer: the follower (follow.py); nobody else.

Asterisk tells a queue under its lock: parameters, members and callers of one list are of one
instant. So a list, of all queues or of one, replaces each of them when its part is complete, and
what a list leaves out is gone when the list is.

Asterisk answers a list before it delivers the events that were waiting (manager.c,
process_message()), so an event that comes during a list or soon after it may be older than what the
list told. It is not believed, it makes its queue be asked about again. What such events would do
otherwise: bring back a caller who has left, set back a member's calls.
"""

import math
from dataclasses import dataclass, field
from typing import Final

from pbxapi.ami.message import Fields, Message
from pbxapi.cache.freshness import Freshness
from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.events import CHANNEL_REDUCERS, QUEUE_REDUCERS, Reducer
from pbxapi.cache.queues.listing import Part, QueueList
from pbxapi.cache.queues.questions import ALL, NONE, Ask, Members, Question, both
from pbxapi.cache.queues.queue import Queue, differences, key_of
from pbxapi.cache.queues.waiting import narrowed

#: For so long after a list has ended, events of its queues may be older than what it told.
GUARD_S: Final = 0.25


@dataclass(slots=True)
class QueueStore:
    """The queues, kept from lists and events.

    Attributes:
        queues: `key_of` the name → the queue.
        freshness: How far the queues may be believed.
    """

    queues: dict[str, Queue] = field(default_factory=dict)
    freshness: Freshness = field(default_factory=Freshness)
    _guarded_until: dict[str, float] = field(default_factory=dict)
    _waits_in: dict[str, str] = field(default_factory=dict)

    def named(self, name: str) -> Queue | None:
        """The queue of that name, however it is spelt."""
        return self.queues.get(key_of(name))

    # -- events

    def concerns(self, message: Message) -> bool:
        """Whether an event is about a queue: most channels are no callers of any."""
        return message.event not in CHANNEL_REDUCERS or message.uniqueid in self._waits_in

    def apply(self, message: Message, now: Instant) -> list[Ask]:
        """Take one event of the session; tells what is to be asked about.

        `now` is the instant of its arrival, the epoch by Asterisk's clock.
        """
        event = message.event
        if event in CHANNEL_REDUCERS:
            key = self._waits_in.get(message.uniqueid, "")
            return self._change(key, CHANNEL_REDUCERS[event], message.fields, now) if key else []
        fields = message.fields
        name = fields.get("Queue", "")
        key = key_of(name)
        if key in self.queues:
            return self._change(key, QUEUE_REDUCERS[event], fields, now)
        return [Ask(name, ALL)] if name else []

    def _change(self, key: str, reducer: Reducer, fields: Fields, now: Instant) -> list[Ask]:
        queue = self.queues[key]
        outcome = reducer(queue, fields, now)
        asks = self._asks_elsewhere(key, outcome.counted) if outcome.counted else []
        if self.in_guard(queue.name, now.monotonic):
            interface = fields.get("Interface", "")
            concerned = frozenset({interface}) if interface else NONE
            asks.append(Ask(queue.name, both(concerned, outcome.members)))
        else:
            self._put(outcome.queue)
            if outcome.asks:
                asks.append(Ask(queue.name, outcome.members, outcome.soon))
        return asks

    def in_guard(self, name: str, now: float) -> bool:
        """Whether an event that comes now may be older than what was told of the queue."""
        return now < self._guarded_until.get(key_of(name), -math.inf)

    def _asks_elsewhere(self, key: str, interface: str) -> list[Ask]:
        """With shared_lastcall a call counts for the same member of all queues, without a word."""
        return [
            Ask(queue.name, frozenset({interface}))
            for other, queue in self.queues.items()
            if interface in queue.members and other != key
        ]

    # -- lists

    def begin_list(self, asked_at: float, question: Question | None = None) -> QueueList:
        """Start to collect a list, of all queues or of one."""
        return QueueList(asked_at, question)

    def item(self, collected: QueueList, message: Message, now: Instant) -> None:
        """Take one item of a list. A queue that it completes is the picture from here on."""
        self._take(collected, collected.item(message, now))
        if message.event == "QueueParams":
            self._guarded_until[key_of(message.get("Queue"))] = math.inf

    def abandon(self, collected: QueueList, now: Instant) -> None:
        """The list will not become complete; the queues that it has told whole stay as told."""
        self._guard(collected, now)

    def end_list(self, collected: QueueList, now: Instant) -> list[str]:
        """The list is complete: what it should have told and did not is gone.

        Returns:
            The names of the queues that are gone.
        """
        self._take(collected, collected.close())
        self._guard(collected, now)
        told = {key_of(name) for name in collected.told}
        if collected.question is None:
            gone = self.queues.keys() - told
            self.freshness.listed()
        else:
            gone = ({key_of(collected.question.queue)} & self.queues.keys()) - told
        return [self._drop(key) for key in gone]

    def _guard(self, collected: QueueList, now: Instant) -> None:
        """From here on events are delivered that waited while the list was told."""
        for name in collected.begun:
            self._guarded_until[key_of(name)] = now.monotonic + GUARD_S

    def _take(self, collected: QueueList, part: Part | None) -> None:
        if part is None:
            return
        before = self.named(part.name)
        queue = _told(before, part, collected.members)
        collected.told[queue.name] = differences(before, queue) if before is not None else 1
        self._put(queue)
        if not all(caller.began.certain for caller in queue.callers):
            collected.asks.append(Ask(queue.name, NONE, soon=False))

    def session_lost(self, last_received: float) -> None:
        """Keep what we know, and count its age from this monotonic instant."""
        self.freshness.lost(last_received)

    # -- one queue

    def _put(self, queue: Queue) -> None:
        key = key_of(queue.name)
        before = self.queues.get(key)
        self.queues[key] = queue
        if before is None or before.callers is not queue.callers:
            self._index(key, before, queue)

    def _index(self, key: str, before: Queue | None, after: Queue | None) -> None:
        for caller in before.callers if before is not None else ():
            if self._waits_in.get(caller.uniqueid) == key:
                del self._waits_in[caller.uniqueid]
        for caller in after.callers if after is not None else ():
            self._waits_in[caller.uniqueid] = key

    def _drop(self, key: str) -> str:
        queue = self.queues.pop(key)
        self._index(key, queue, None)
        self._guarded_until.pop(key, None)
        return queue.name


def _told(before: Queue | None, part: Part, asked: Members) -> Queue:
    """The queue as the list has it, with what was known of that which the list leaves out."""
    if before is None:
        return Queue(part.name, part.parameters, part.members, tuple(part.callers))
    members = part.members
    if asked is not None:
        kept = before.members.items()
        members = {key: each for key, each in kept if key not in asked or key in members} | members
    known = {caller.uniqueid: caller.began for caller in before.callers}
    callers = (
        caller._replace(began=narrowed(known.get(caller.uniqueid, caller.began), caller.began))
        for caller in part.callers
    )
    return Queue(part.name, part.parameters, members, tuple(callers))

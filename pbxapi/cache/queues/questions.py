"""What to ask Asterisk about which queue, and when.

Counters change behind the events' back: app_queue counts a call before or after the event that
tells of it, and what an event says is not what was counted. So an event that hints at a count makes
a question about its queue due, at once and once more a little later. Questions about one queue that
come together are asked as one, and only a few are under way, so a slow Asterisk is asked less.

What no event tells (a reset, a reload of queues alone, a changed priority) is found by asking about
one queue after the other, slowly, for ever.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

#: Events come in bursts: a caller leaves, a member is connected.
SOON_S: Final = 0.01
#: AgentConnect and AgentComplete are sent a moment before Asterisk changes the member and the
#: counters (app_queue.c, try_calling(), handle_hangup()): look again when it surely has.
LATER_S: Final = 0.1
#: A question that failed is asked again after this.
RETRY_S: Final = 2.0
#: All queues are asked about in so many seconds, but no sooner than one in `EACH_S` after another.
ROUND_S: Final = 2.0
EACH_S: Final = 0.1
#: Questions that nothing made due take up no more than this share of Asterisk's time.
SHARE: Final = 0.05

#: All members of a queue.
ALL: Final = None
#: No member: the queue itself and who waits.
NONE: Final = frozenset[str]()

#: Interfaces of the members to ask about.
Members = frozenset[str] | None


class Question(NamedTuple):
    """A queue by its name, and which of its members to ask about."""

    queue: str
    members: Members


class Ask(NamedTuple):
    """The wish for a question: at once and once more, or a little later only."""

    queue: str
    members: Members
    soon: bool = True


def both(one: Members, other: Members) -> Members:
    """Members of both."""
    return ALL if one is None or other is None else one | other


@dataclass(slots=True)
class _Due:
    at: float
    members: Members


@dataclass(slots=True)
class Questions:
    """Questions that are due; all instants are monotonic seconds."""

    _soon: dict[str, _Due] = field(default_factory=dict)
    _later: dict[str, _Due] = field(default_factory=dict)
    _told_whole: dict[str, float] = field(default_factory=dict)
    _round_at: float = 0.0

    def put(self, ask: Ask, now: float) -> None:
        """Make a question due.

        The first wish tells when it is asked soon, the last one when it is asked once more.
        """
        if ask.soon:
            due = self._soon.setdefault(ask.queue, _Due(now + SOON_S, ask.members))
            due.members = both(due.members, ask.members)
        self._put_later(ask.queue, ask.members, now + LATER_S)

    def retry(self, question: Question, now: float) -> None:
        """It had no answer: it is due again after a while."""
        self._put_later(question.queue, question.members, now + RETRY_S)

    def _put_later(self, queue: str, members: Members, at: float) -> None:
        due = self._later.setdefault(queue, _Due(at, members))
        due.at = at
        due.members = both(due.members, members)

    def pending(self, queue: str) -> bool:
        """Whether a question about this queue is due."""
        return queue in self._soon or queue in self._later

    def forget(self) -> None:
        """There is nobody to ask."""
        self._soon.clear()
        self._later.clear()
        self._told_whole.clear()

    def told_all(self, queues: Iterable[str], now: float, took_s: float = 0.0) -> None:
        """These are all queues; it took so long to tell them all whole."""
        self._told_whole = dict.fromkeys(queues, now)
        self.rest(now, took_s)

    def told(self, question: Question, now: float, *, exists: bool) -> None:
        """A question has been answered: there is such a queue, or there is none."""
        if not exists:
            self._told_whole.pop(question.queue, None)
        elif question.members is ALL:
            self._told_whole[question.queue] = now
        else:
            self._told_whole.setdefault(question.queue, now)

    def take(self, now: float, limit: int = 1) -> list[Question]:
        """Questions that are due, each about another queue, those that wait for longest.

        Where Asterisk is too slow for all of them, one answers both wishes for a queue.
        """
        dues = sorted(
            (due.at, queue)
            for wishes in (self._soon, self._later)
            for queue, due in wishes.items()
            if due.at <= now
        )
        queues = list(dict.fromkeys(queue for _, queue in dues))[:limit]
        return [Question(queue, self._pop(queue, now)) for queue in queues]

    def _pop(self, queue: str, now: float) -> Members:
        members: Members = NONE
        for wishes in (self._soon, self._later):
            if queue in wishes and wishes[queue].at <= now:
                members = both(members, wishes.pop(queue).members)
        return members

    def take_round(self, now: float) -> Question | None:
        """If it is time for one: the question about the queue that was told longest ago."""
        if not self._told_whole or now < self._round_at:
            return None
        return Question(min(self._told_whole, key=self._told_whole.__getitem__), ALL)

    def rest(self, now: float, took_s: float) -> None:
        """A question of the round took so long: tells when the next one may follow."""
        pause_s = max(ROUND_S / max(1, len(self._told_whole)), EACH_S, took_s / SHARE)
        self._round_at = now + pause_s

    def next_at(self) -> float:
        """When `take` or `take_round` will have something; infinite where nothing is known."""
        instants = [due.at for due in (*self._soon.values(), *self._later.values())]
        if self._told_whole:
            instants.append(self._round_at)
        return min(instants, default=math.inf)

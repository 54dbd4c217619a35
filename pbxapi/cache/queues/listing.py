"""A list of queues being collected: its items put together to one queue after the other.

Asterisk tells a queue under its lock, first QueueParams, then members, then callers: what belongs
to one queue is of one instant, and complete when the next one begins or the list ends.
"""

from dataclasses import dataclass, field

from pbxapi.ami.message import Message
from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.questions import ALL, Ask, Members, Question
from pbxapi.cache.queues.queue import (
    Caller,
    Member,
    Parameters,
    listed_caller,
    listed_member,
    listed_parameters,
    number,
)
from pbxapi.cache.queues.waiting import listed


@dataclass(slots=True)
class Part:
    """What a list tells of one queue."""

    name: str
    parameters: Parameters
    members: dict[str, Member] = field(default_factory=dict)
    callers: list[Caller] = field(default_factory=list)


@dataclass(slots=True)
class QueueList:
    """A list of all queues, or the answer to a question about one.

    Attributes:
        asked_at: Instant of Asterisk's clock at which it was asked for.
        question: What was asked; None for a list of all.
        begun: Names of the queues that it has told, of the last one perhaps a part.
        told: The queues that it has told completely: name → number of differences to the picture.
        asks: What it could not tell for certain.
    """

    asked_at: float
    question: Question | None = None
    begun: list[str] = field(default_factory=list)
    told: dict[str, int] = field(default_factory=dict)
    asks: list[Ask] = field(default_factory=list)
    _began_at: float | None = None
    _part: Part | None = None

    @property
    def members(self) -> Members:
        """The members that it tells of."""
        return ALL if self.question is None else self.question.members

    def item(self, message: Message, now: Instant) -> Part | None:
        """Take one item; returns the queue that it shows to be complete.

        `now` is the instant of its arrival, the epoch by Asterisk's clock.
        """
        fields = message.fields
        name = fields.get("Queue", "")
        if message.event == "QueueParams":
            complete = self.close()
            self._part = Part(name, listed_parameters(fields))
            self.begun.append(name)
            # All waits in a list are of the instant at which Asterisk began it.
            self._began_at = now.epoch if self._began_at is None else self._began_at
            return complete
        part = self._part
        if part is not None and part.name == name:
            if message.event == "QueueMember":
                member = listed_member(name, fields)
                part.members[member.interface] = member
            elif message.event == "QueueEntry":
                wait_s = number(fields.get("Wait", ""))
                began = listed(self.asked_at, self._began_at or self.asked_at, wait_s)
                part.callers.append(listed_caller(fields, began))
        return None

    def close(self) -> Part | None:
        """The list is complete, and so is its last queue."""
        complete, self._part = self._part, None
        return complete

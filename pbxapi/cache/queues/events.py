"""What each event does to a queue, and what it makes worth a question.

Rules of this module:
* reducers are pure: no clock, no I/O; they return the queue as it is afterwards and change nothing;
* applying an event twice is the same as once: members are replaced whole, callers are known by
  Uniqueid, and nothing is counted;
* what an event cannot tell exactly is asked for: counters, who is in a call.

Source of the events and of what happens around them: Asterisk apps/app_queue.c, 16 to 22.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from pbxapi.ami.message import Fields
from pbxapi.cache.instant import Instant
from pbxapi.cache.queues.questions import ALL, NONE, Members
from pbxapi.cache.queues.queue import Caller, Queue, event_caller, event_member, number
from pbxapi.cache.queues.waiting import joined, narrowed


class Outcome(NamedTuple):
    """What an event did.

    Attributes:
        queue: The queue as it is now.
        members: Whose members to ask about; only where `asks`.
        asks: Something has changed that the event does not tell.
        soon: … and it is known already, so ask at once.
        counted: Interface of a member whose call may have been counted: with shared_lastcall the
            same member of other queues too.
    """

    queue: Queue
    members: Members = NONE
    asks: bool = False
    soon: bool = True
    counted: str = ""


Reducer = Callable[[Queue, Fields, Instant], Outcome]


def _join(queue: Queue, fields: Fields, now: Instant) -> Outcome:
    """A caller, at his position; a list may have been faster."""
    caller = event_caller(fields, joined(now.epoch))
    if not caller.uniqueid:
        return Outcome(queue)
    place = next(
        (i for i, each in enumerate(queue.callers) if each.uniqueid == caller.uniqueid), -1
    )
    if place >= 0:
        began = narrowed(queue.callers[place].began, caller.began)
        queue = _with_caller(queue, place, caller._replace(began=began))
    else:
        before = max(0, number(fields.get("Position", "")) - 1)
        queue = queue._replace(callers=(*queue.callers[:before], caller, *queue.callers[before:]))
    queue = _with_count(queue, fields)
    wrong = queue.parameters.calls != str(len(queue.callers))
    return Outcome(queue, asks=wrong or not caller.began.certain, soon=wrong)


def _leave(queue: Queue, fields: Fields, _now: Instant) -> Outcome:
    """A caller is out, answered or not. Answered, the hold time has changed."""
    uniqueid = fields.get("Uniqueid", "")
    callers = tuple(each for each in queue.callers if each.uniqueid != uniqueid)
    return Outcome(_with_count(queue._replace(callers=callers), fields), asks=True)


def _with_count(queue: Queue, fields: Fields) -> Queue:
    """Every join and leave tells how many wait."""
    calls = fields.get("Count", queue.parameters.calls)
    return queue._replace(parameters=queue.parameters._replace(calls=calls))


def _abandon(queue: Queue, _fields: Fields, _now: Instant) -> Outcome:
    return Outcome(queue, asks=True)


def _call(queue: Queue, fields: Fields, _now: Instant) -> Outcome:
    """A member's call began or ended: he and the counters change, at about this moment."""
    interface = fields.get("Interface", "")
    return Outcome(queue, frozenset({interface}), asks=True)


def _complete(queue: Queue, fields: Fields, now: Instant) -> Outcome:
    return _call(queue, fields, now)._replace(counted=fields.get("Interface", ""))


def _member(queue: Queue, fields: Fields, _now: Instant) -> Outcome:
    """The whole record of a member.

    A member whose device becomes free has his call counted before this event (update_status()),
    and long before AgentComplete. One whose device is busy may have answered a caller: with an
    announcement the hold time changes long before AgentConnect.
    """
    member = event_member(queue.name, fields)
    if not member.interface:
        return Outcome(queue)
    old = queue.members.get(member.interface)
    queue = queue._replace(members={**queue.members, member.interface: member})
    if old is None:
        return Outcome(queue, ALL, asks=True, soon=False)
    counted = (old.calls_taken, old.last_call) != (member.calls_taken, member.last_call)
    if counted or old.in_call != member.in_call:
        interface = member.interface
        return Outcome(
            queue, frozenset({interface}), asks=True, counted=interface if counted else ""
        )
    answers = old.status != member.status and bool(queue.callers)
    return Outcome(queue, asks=answers)


def _member_added(queue: Queue, fields: Fields, now: Instant) -> Outcome:
    """Only a list tells his place among the others."""
    return _member(queue, fields, now)._replace(members=ALL, asks=True, soon=False)


def _member_removed(queue: Queue, fields: Fields, _now: Instant) -> Outcome:
    interface = fields.get("Interface", "")
    members = {key: each for key, each in queue.members.items() if key != interface}
    return Outcome(queue._replace(members=members))


def _party(queue: Queue, fields: Fields, _now: Instant) -> Outcome:
    """A channel's caller id or connected line is another."""
    uniqueid = fields.get("Uniqueid", "")
    for place, caller in enumerate(queue.callers):
        if caller.uniqueid == uniqueid:
            return Outcome(_with_caller(queue, place, event_caller(fields, caller.began)))
    return Outcome(queue)


def _with_caller(queue: Queue, place: int, caller: Caller) -> Queue:
    return queue._replace(callers=(*queue.callers[:place], caller, *queue.callers[place + 1 :]))


#: Events that name their queue.
QUEUE_REDUCERS: Final[dict[str, Reducer]] = {
    "QueueCallerJoin": _join,
    "QueueCallerLeave": _leave,
    "QueueCallerAbandon": _abandon,
    "QueueMemberAdded": _member_added,
    "QueueMemberRemoved": _member_removed,
    "QueueMemberPause": _member,
    "QueueMemberPenalty": _member,
    "QueueMemberRinginuse": _member,
    "QueueMemberStatus": _member,
    "AgentConnect": _call,
    "AgentComplete": _complete,
    "AgentDump": _call,
}
#: Events of channels, which may be those of callers.
CHANNEL_REDUCERS: Final[dict[str, Reducer]] = {
    "NewCallerid": _party,
    "NewConnectedLine": _party,
}
REDUCERS: Final = QUEUE_REDUCERS | CHANNEL_REDUCERS

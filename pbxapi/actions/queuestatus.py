"""`queuestatus`: a queue with its members and who waits, from the cache alone."""

import math

from pbxapi.actions.kept import KeptRows
from pbxapi.actions.line_words import LINE_WORDS
from pbxapi.actions.ports import Ports
from pbxapi.actions.registry import Parameters, Result, action
from pbxapi.cache.device_state import DeviceState, from_number
from pbxapi.cache.queues.queue import UNKNOWN_IN_LISTS, Caller, Member, Queue
from pbxapi.faults import Fault


@action(
    "queuestatus",
    permission="callcenter",
    required=("queueName",),
    errors=(600,),
    reads_only=True,
)
async def queuestatus(ports: Ports, params: Parameters) -> Result:
    """One queue: its counters, its members by name, its callers by position.

    Members of one name in one queue overwrite each other, as keys of a PHP array do.
    """
    name = params["queueName"]
    queue = ports.queue(name)
    if queue is None:
        raise Fault(600, queue=name)
    return Result({"results": kept(queue, ports.pbx.asterisk_time())})


def kept(queue: Queue, now: float) -> KeptRows:
    """The row, which is the same for a second, and for as long as nobody waits.

    Mappings of another order are equal too, but not so in an answer.
    """
    second = math.floor(now) if queue.callers else 0
    source = (queue, tuple(queue.members), second)
    return KeptRows(queue.name, source, lambda: [source], lambda _source: row(queue, now))


def row(queue: Queue, now: float) -> dict[str, object]:
    """A queue as the answer has it, at an instant of Asterisk's clock."""
    counters = queue.parameters
    return {
        "queueName": queue.name,
        "max": counters.max,
        "strategy": counters.strategy,
        "calls": counters.calls,
        "holdTime": counters.holdtime,
        "talkTime": counters.talktime,
        "completed": counters.completed,
        "abandoned": counters.abandoned,
        "serviceLevel": counters.service_level,
        "serviceLevelPerf": counters.service_level_perf,
        "weight": counters.weight,
        "members": {member.name: _member(member) for member in queue.members.values()},
        "waiters": {
            str(position): _waiter(position, caller, now)
            for position, caller in enumerate(queue.callers, start=1)
        },
    }


def _member(member: Member) -> dict[str, str]:
    return {
        "agentName": member.name,
        "channelStatus": _words(member),
        "location": member.interface,
        "loggedFrom": member.state_interface,
        "membership": member.membership,
        "penalty": str(member.penalty),
        "callsTaken": str(member.calls_taken),
        "lastCall": str(member.last_call),
        "isInCall": str(int(member.in_call)),
        "status": str(member.status),
        "paused": str(int(member.paused)),
    }


def _words(member: Member) -> str:
    """The line in words; in the vendor's sample a member in a call is busy though status is 1."""
    state = from_number(str(member.status))
    if member.in_call and state is DeviceState.NOT_INUSE:
        state = DeviceState.BUSY
    return LINE_WORDS[state]


def _waiter(position: int, caller: Caller, now: float) -> dict[str, str | None]:
    """Who waits; only a connected line that is not there is null, as in the vendor's sample."""
    return {
        "position": str(position),
        "channel": caller.channel,
        "uniqueid": caller.uniqueid,
        "callerIdNum": caller.caller_num or UNKNOWN_IN_LISTS,
        "callerIdName": caller.caller_name or UNKNOWN_IN_LISTS,
        "connectedLineNum": caller.connected_num,
        "connectedLineName": caller.connected_name,
        "wait": str(caller.began.wait_s(now)),
    }

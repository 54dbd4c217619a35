"""A queue as an immutable snapshot, and its parts as lists and events tell them.

Counters and parameters stay the text that Asterisk sent: nobody here computes with them.

The same member is told in two ways. A list says `Location` and `Name`, an event `Interface` and
`MemberName`; a member of the realtime engine is "static" in a list and "realtime" in an event. The
picture has the words of the list, as `queue show` and the legacy API have them. Source: Asterisk
apps/app_queue.c, manager_queues_status() and queue_member_blob_create(), 16 to 22.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from pbxapi.ami.escapes import unescape
from pbxapi.ami.message import UNKNOWN, Fields
from pbxapi.cache.queues.waiting import Began

#: What a list says for a party that Asterisk does not know; events say `<unknown>`.
UNKNOWN_IN_LISTS: Final = "unknown"

#: No number that Asterisk sends has more.
_MAX_DIGITS: Final = 12

_ASCII_LOWER: Final = {ord(letter): letter.lower() for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}


class Parameters(NamedTuple):
    """What QueueParams says of a queue as a whole, word for word.

    `calls` is the number of callers who wait, told by every join and leave too.
    `holdtime` and `talktime` are seconds, averages that follow the newest calls;
    `service_level_perf` is the share of answered calls that were answered within `service_level`
    seconds, in per cent.
    """

    max: str
    strategy: str
    calls: str
    holdtime: str
    talktime: str
    completed: str
    abandoned: str
    service_level: str
    service_level_perf: str
    weight: str


class Member(NamedTuple):
    """One member of one queue.

    Attributes:
        queue: Name of the queue.
        interface: What is dialled to reach him; unique in his queue.
        state_interface: The device whose state is his.
        membership: "static" or "dynamic".
        last_call: Epoch second at which his last call ended; 0 for none.
        in_call: He talks to a caller of this queue.
        status: Number of the device state, as `DeviceState` has them.
    """

    queue: str
    interface: str
    name: str
    state_interface: str
    membership: str
    penalty: int
    calls_taken: int
    last_call: int
    in_call: bool
    status: int
    paused: bool


class Caller(NamedTuple):
    """Somebody who waits in a queue; parties that Asterisk does not know are None."""

    uniqueid: str
    channel: str
    caller_num: str | None
    caller_name: str | None
    connected_num: str | None
    connected_name: str | None
    began: Began


class Queue(NamedTuple):
    """One queue.

    Attributes:
        members: By interface, in Asterisk's order.
        callers: Who waits, the first one first.
    """

    name: str
    parameters: Parameters
    members: Mapping[str, Member]
    callers: tuple[Caller, ...]


def key_of(name: str) -> str:
    """The same for all spellings of a queue's name: Asterisk's strcasecmp() minds no A to Z."""
    return name.translate(_ASCII_LOWER)


def number(text: str) -> int:
    """A number of Asterisk; 0 where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else 0


def listed_parameters(fields: Fields) -> Parameters:
    """Told by QueueParams."""
    get = fields.get
    return Parameters(
        max=get("Max", "0"),
        strategy=get("Strategy", ""),
        calls=get("Calls", "0"),
        holdtime=get("Holdtime", "0"),
        talktime=get("TalkTime", "0"),
        completed=get("Completed", "0"),
        abandoned=get("Abandoned", "0"),
        service_level=get("ServiceLevel", "0"),
        service_level_perf=get("ServicelevelPerf", "0.0"),
        weight=get("Weight", "0"),
    )


def listed_member(queue: str, fields: Fields) -> Member:
    """Told by QueueMember, an item of a list."""
    return _member(queue, fields, interface="Location", name="Name")


def event_member(queue: str, fields: Fields) -> Member:
    """Told by a QueueMember… event, which has the whole record."""
    return _member(queue, fields, interface="Interface", name="MemberName")


def _member(queue: str, fields: Fields, *, interface: str, name: str) -> Member:
    get = fields.get
    return Member(
        queue=queue,
        interface=get(interface, ""),
        name=get(name, ""),
        state_interface=get("StateInterface", ""),
        membership="dynamic" if get("Membership") == "dynamic" else "static",
        penalty=number(get("Penalty", "")),
        calls_taken=number(get("CallsTaken", "")),
        last_call=number(get("LastCall", "")),
        in_call=get("InCall") == "1",
        status=number(get("Status", "")),
        paused=get("Paused", "0") != "0",
    )


def listed_caller(fields: Fields, began: Began) -> Caller:
    """Told by QueueEntry, an item of a list."""
    return Caller(
        uniqueid=fields.get("Uniqueid", ""),
        channel=fields.get("Channel", ""),
        caller_num=_party(fields, "CallerIDNum"),
        caller_name=_party(fields, "CallerIDName"),
        connected_num=_party(fields, "ConnectedLineNum"),
        connected_name=_party(fields, "ConnectedLineName"),
        began=began,
    )


def event_caller(fields: Fields, began: Began) -> Caller:
    """Told by an event of the caller's channel: its names are escaped."""
    caller_name = _party(fields, "CallerIDName")
    connected_name = _party(fields, "ConnectedLineName")
    return listed_caller(fields, began)._replace(
        caller_name=caller_name and unescape(caller_name),
        connected_name=connected_name and unescape(connected_name),
    )


def _party(fields: Fields, name: str) -> str | None:
    value = fields.get(name, "")
    return None if value in ("", UNKNOWN, UNKNOWN_IN_LISTS) else value


def differences(before: Queue, after: Queue) -> int:
    """How many parts of a queue are not the same: parameters, members, callers."""
    members = before.members.keys() | after.members.keys()
    callers_before = _without_began(before)
    callers_after = _without_began(after)
    waiting = callers_before.keys() | callers_after.keys()
    return (
        (before.parameters != after.parameters)
        + sum(before.members.get(each) != after.members.get(each) for each in members)
        + sum(callers_before.get(each) != callers_after.get(each) for each in waiting)
    )


def _without_began(queue: Queue) -> dict[str, tuple[int, Caller]]:
    """Callers by Uniqueid with their place; when they began is learnt bit by bit."""
    never = Began(0, 0, 0)
    return {
        caller.uniqueid: (place, caller._replace(began=never))
        for place, caller in enumerate(queue.callers)
    }

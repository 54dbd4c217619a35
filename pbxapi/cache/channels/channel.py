"""A channel as an immutable snapshot, and how each event changes it.

Theory of operation. Asterisk puts a whole snapshot of the channel into every channel event, so most
reducers are the same one: take over what the event says. On top of that a channel remembers what
only a moment tells: when it began, what it dialled, whether it was called, whether it was
transferred.

Rules of this module:
* reducers are pure: no clock, no I/O; they return what changes and change nothing;
* applying an event twice is the same as once;
* an entry begins with Newchannel or a list item only. Any other event about an unknown Uniqueid
  means nothing: Asterisk answers a list before it delivers the events that were waiting, so events
  of a channel that is gone already may follow the list that does not have it (manager.c,
  process_message()). Events older than the list set fields back for an instant, and the ones behind
  them bring them forward again;
* nothing here raises for an event, however odd.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from pbxapi.ami.message import UNKNOWN, Fields, Message, Snapshot, uniqueid_in
from pbxapi.cache.instant import Instant

#: Applications that Asterisk shows on a channel that was called and runs no dial plan (app_dial.c,
#: dial.c, app_queue.c); AppDial2 is the one of Originate.
CALLED_APPLICATIONS: Final = frozenset({"AppDial", "AppDial2", "AppQueue"})

#: No count of seconds or hours that Asterisk sends has more.
MAX_DIGITS: Final = 12

#: An event is late by no more: the session gives up a line that stands still for a fraction of it.
#: What looks later was named by somebody (Originate's ChannelId), or the clock was set.
MAX_LATE_S: Final = 60.0
#: A beginning that is wrong by less stays as it is: each event is late by some milliseconds.
_NOTICED_S: Final = 0.5

#: Extensions that are steps of a dial plan, never a number that somebody dialled.
_SPECIAL_EXTENSIONS: Final = frozenset({"", "s", "h", "i", "t", "T", "o", "a", "e", "failed"})
#: … and how others begin: what follows a Dial, by its DIALSTATUS, and the parker's device, to which
#: a parked call that nobody fetched comes back (res_parking.c, flatten_dial_string()).
_SPECIAL_BEGINNINGS: Final = ("s-", "SIP_", "PJSIP_")
#: Where that happens by default: what the parked side had dialled is over, it calls its parker.
_COMES_BACK: Final = "park-dial"


# A NamedTuple and no dataclass: one is built for every event, at a fifth of the cost.
class Channel(NamedTuple):
    """One channel of Asterisk.

    Attributes:
        linkedid: Uniqueid of the oldest channel of the call that this one is part of.
        state_desc: Asterisk's word for its state: Down, Dialing, Ring, Ringing, Up, Busy.
        caller_num: The channel's own number; "" where unknown, as is `connected_num`.
        connected_num: The number of the other side.
        began: Monotonic seconds at which it was created, by this host's clock.
        called: It was called (a leg of Dial, Queue or Originate) and does not run a dial plan.
        dialled: The number that it dialled or was transferred to, or "".
        transferred: An attended transfer gave it another party than the one it dialled.
    """

    uniqueid: str
    name: str
    linkedid: str
    state_desc: str
    caller_num: str
    connected_num: str
    account_code: str
    context: str
    began: float
    called: bool
    dialled: str
    transferred: bool


Channels = Mapping[str, Channel]
#: What an event does: Uniqueid → the channel as it is now, or None where it is gone.
Changes = list[tuple[str, Channel | None]]
Reducer = Callable[[Channels, Message, Instant], Changes]

NOTHING: Final[Changes] = []


def _known(value: str) -> str:
    return "" if value == UNKNOWN else value


def _number(value: str) -> int:
    # The bound is far beyond all sense; int() raises for a number of thousands of digits.
    return int(value) if value.isascii() and value.isdigit() and len(value) <= MAX_DIGITS else 0


def dialled_number(exten: str) -> str:
    """The extension if somebody can have dialled it, else ""."""
    is_step = exten in _SPECIAL_EXTENSIONS or exten.startswith(_SPECIAL_BEGINNINGS)
    return "" if is_step else exten


def _refresh(old: Channel, message: Message) -> Channel:
    """Take over what an event says of the channel that it is about."""
    snapshot = message.snapshot
    return _take_over(old, message.fields) if snapshot is None else _replaced(old, snapshot)


def _replaced(old: Channel, snapshot: Snapshot) -> Channel:
    name, state_desc, caller_num, connected_num, account_code, context, exten, _, linkedid = (
        snapshot
    )
    return Channel(
        old.uniqueid,
        name,
        linkedid,
        state_desc,
        "" if caller_num == UNKNOWN else caller_num,
        "" if connected_num == UNKNOWN else connected_num,
        account_code,
        context,
        old.began,
        old.called,
        old.dialled if old.called or old.dialled else dialled_number(exten),
        old.transferred,
    )


def _take_over(old: Channel, fields: Fields, prefix: str = "") -> Channel:
    """Take over what headers there are, one by one."""
    get = fields.get
    return Channel(
        old.uniqueid,
        get(prefix + "Channel", old.name),
        get(prefix + "Linkedid", old.linkedid),
        get(prefix + "ChannelStateDesc", old.state_desc),
        _known(get(prefix + "CallerIDNum", old.caller_num)),
        _known(get(prefix + "ConnectedLineNum", old.connected_num)),
        get(prefix + "AccountCode", old.account_code),
        get(prefix + "Context", old.context),
        old.began,
        old.called,
        old.dialled if old.called or old.dialled else dialled_number(get(prefix + "Exten", "")),
        old.transferred,
    )


def _blank(uniqueid: str, began: float) -> Channel:
    return Channel(uniqueid, "", "", "", "", "", "", "", began, False, "", False)


def _newchannel(channels: Channels, message: Message, now: Instant) -> Changes:
    uniqueid = message.uniqueid
    if not uniqueid:
        return NOTHING
    # Where a list was faster than this event, all that happened since will follow: begin anew, or
    # what the list could only guess (the number dialled) would stay.
    old = channels.get(uniqueid)
    began = _began(uniqueid, now) if old is None else old.began
    return [(uniqueid, _refresh(_blank(uniqueid, began), message))]


def _began(uniqueid: str, now: Instant) -> float:
    """When the channel of a Newchannel began: now, unless it waited behind a slow line.

    Then it began at the end of the second that its Uniqueid names, at the latest. Rounded, so that
    those of one second are equal whatever the clocks' last digits are, and their order is told.
    """
    late_s = now.epoch - _created(uniqueid) - 1
    return round(now.monotonic - late_s, 1) if 0 < late_s <= MAX_LATE_S else now.monotonic


def _snapshot(channels: Channels, message: Message, _now: Instant) -> Changes:
    old = channels.get(message.uniqueid)
    return NOTHING if old is None else [(old.uniqueid, _refresh(old, message))]


def _rename(channels: Channels, message: Message, _now: Instant) -> Changes:
    """`Channel` is the name that it had (channel.c, ast_change_name())."""
    old = channels.get(message.uniqueid)
    if old is None:
        return NOTHING
    return [(old.uniqueid, old._replace(name=message.get("Newname", old.name)))]


def _newexten(channels: Channels, message: Message, _now: Instant) -> Changes:
    old = channels.get(message.uniqueid)
    if old is None:
        return NOTHING
    channel = _refresh(_running(old, message.get("Application")), message)
    if channel.context == _COMES_BACK:
        channel = channel._replace(dialled="")
    return [(channel.uniqueid, channel)]


def _running(old: Channel, application: str) -> Channel:
    """What a channel runs tells whether it was called or goes through the dial plan itself.

    A transferee goes on to show AppDial where it was called once; the transfer knows better.
    No application tells nothing: the Local half that atxfer dials through never has one.
    """
    if not application:
        return old
    called = application in CALLED_APPLICATIONS and not old.transferred
    return old._replace(called=called, dialled="" if called else old.dialled)


def _dial(channels: Channels, message: Message, _now: Instant) -> Changes:
    """Dial events are about two channels: who dials (absent for Originate) and who is called."""
    changes = NOTHING.copy()
    caller = channels.get(message.uniqueid)
    if caller is not None:
        changes.append((caller.uniqueid, _refresh(caller._replace(called=False), message)))
    destination = message.destination
    called_id = message.get("DestUniqueid") if destination is None else uniqueid_in(destination)
    called = channels.get(called_id)
    if called is not None:
        called = called._replace(called=True, dialled="")
        if destination is None:
            called = _take_over(called, message.fields, "Dest")
        else:
            called = _replaced(called, destination)
        changes.append((called_id, called))
    return changes


def _blind_transfer(channels: Channels, message: Message, _now: Instant) -> Changes:
    """The transferee goes on in the dial plan, at the extension that it is transferred to."""
    number = dialled_number(message.get("Extension", ""))
    parties = _transferees(channels, message, message.get("TransfererCallerIDNum", ""))
    return _sent_to(number, parties)


def _sent_to(number: str, parties: list[Channel]) -> Changes:
    """They go on in the dial plan as if they had dialled that number."""
    return [
        (
            party.uniqueid,
            party._replace(called=False, dialled=number or party.dialled, transferred=False),
        )
        for party in parties
    ]


def _attended_transfer(channels: Channels, message: Message, _now: Instant) -> Changes:
    """From now on the transferee calls the target, whoever of them had called the transferer.

    The target may be no telephone but what the transferer had dialled: a queue, a conference. Then
    the transferee takes that place in the dial plan.
    """
    if message.get("Result") != "Success":
        return NOTHING
    parties = _transferees(channels, message, message.get("OrigTransfererCallerIDNum", ""))
    if message.get("DestType") == "App":
        second = channels.get(message.get("SecondTransfererUniqueid", ""))
        dialled = second.dialled if second is not None else ""
        exten = dialled_number(message.get("SecondTransfererExten", ""))
        return _sent_to(dialled or exten, parties)
    changes: Changes = [
        (party.uniqueid, party._replace(called=False, transferred=True)) for party in parties
    ]
    target = channels.get(message.get("TransferTargetUniqueid", ""))
    if changes and target is not None:
        changes.append((target.uniqueid, target._replace(called=True)))
    return changes


def _transferees(channels: Channels, message: Message, transferer: str) -> list[Channel]:
    """Who is transferred: the transferee, and where need be who is behind it.

    A transferee may be half of a Local channel that was not optimised away. Behind it is who talks
    to the transferer's number.
    """
    transferee = channels.get(message.get("TransfereeUniqueid", ""))
    if transferee is None:
        return []
    if not transferee.name.startswith("Local/"):
        return [transferee]
    behind = [
        channel
        for channel in channels.values()
        if channel.linkedid == transferee.linkedid
        and channel.connected_num == transferer
        and not channel.name.startswith("Local/")
    ]
    return [transferee, *behind]


def _hangup(channels: Channels, message: Message, _now: Instant) -> Changes:
    uniqueid = message.uniqueid
    return [(uniqueid, None)] if uniqueid in channels else NOTHING


def list_item(
    old: Channel | None, fields: Fields, now: Instant, unseen_since: float = -math.inf
) -> Channel | None:
    """The channel as a CoreShowChannel event has it; `old` lends what a list does not tell.

    A channel without `old` is one whose beginning nobody told: it began after `unseen_since`, the
    monotonic instant at which the last event was seen. Of an event that was still on its way then,
    or that was late, `Duration` knows better: a channel is at least as old as it says.

    Returns:
        None for an item without Uniqueid.
    """
    uniqueid = fields.get("Uniqueid", "")
    if not uniqueid:
        return None
    duration_s = _duration_s(fields.get("Duration", ""))
    latest = now.monotonic - duration_s
    if old is None:
        least_s, most_s = _age_s(uniqueid, duration_s, now)
        likely = now.monotonic - (least_s + most_s) / 2
        old = _blank(uniqueid, min(max(likely, unseen_since), now.monotonic - least_s))
    elif _NOTICED_S < old.began - latest <= MAX_LATE_S:
        old = old._replace(began=latest)
    return _take_over(_running(old, fields.get("Application", "")), fields)


def _duration_s(duration: str) -> float:
    """Seconds of a `Duration` such as 00:01:05."""
    hours, _, rest = duration.partition(":")
    minutes, _, seconds = rest.partition(":")
    return float(_number(hours) * 3600 + _number(minutes) * 60 + _number(seconds))


def _created(uniqueid: str) -> float:
    """The second of Asterisk's wall clock that a Uniqueid names (`[system name-]epoch.serial`).

    Not a number, which compares with nothing, where somebody chose one (Originate's ChannelId).
    """
    created, _, _ = uniqueid.rpartition("-")[2].partition(".")
    named = created.isascii() and created.isdigit() and len(created) <= MAX_DIGITS
    return float(created) if named else math.nan


def _age_s(uniqueid: str, duration_s: float, now: Instant) -> tuple[float, float]:
    """A channel's age in seconds, at least and at most.

    `Duration` gives it in whole seconds, and so does the epoch in the Uniqueid, cut off at another
    instant: where both agree, the truth is where they overlap.
    """
    low, high = duration_s, duration_s + 1
    since = now.epoch - _created(uniqueid)
    if low <= since and since - 1 <= high:
        low, high = max(low, since - 1), min(high, since)
    return low, high


#: Event name → what it does to the channels.
REDUCERS: Final[dict[str, Reducer]] = {
    "Newchannel": _newchannel,
    "Newstate": _snapshot,
    "Newexten": _newexten,
    "NewCallerid": _snapshot,
    "NewConnectedLine": _snapshot,
    "NewAccountCode": _snapshot,
    "Rename": _rename,
    "Hold": _snapshot,
    "Unhold": _snapshot,
    "DialBegin": _dial,
    "DialState": _dial,
    "DialEnd": _snapshot,
    "BridgeEnter": _snapshot,
    "BridgeLeave": _snapshot,
    "BlindTransfer": _blind_transfer,
    "AttendedTransfer": _attended_transfer,
    "Hangup": _hangup,
}

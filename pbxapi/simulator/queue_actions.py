"""The manager actions about queues.

Source of the wording: captures queue-status, queue-members of both versions; apps/app_queue.c,
manager_queues_status() and its kin.
"""

import re
from typing import Final

from pbxapi.simulator import classes
from pbxapi.simulator.actions import Command
from pbxapi.simulator.conversation import Conversation
from pbxapi.simulator.queue_config import MemberConfig
from pbxapi.simulator.queue_state import FREE, GONE, Queue
from pbxapi.simulator.queues import describe
from pbxapi.simulator.wire import Action


def _id_line(action: Action) -> str:
    """ActionID, which comes last here."""
    return f"ActionID: {action.action_id}\r\n" if action.action_id else ""


def _chosen(conversation: Conversation, action: Action) -> list[Queue]:
    """The queue that the action names, or all; one that does not exist is an empty list."""
    name = action.get("Queue")
    return [queue for queue in conversation.pbx.queues.values() if name in ("", queue.name)]


def queue_status(conversation: Conversation, action: Action) -> None:
    """QueueStatus: parameters, members and waiters of one queue or of all."""
    ident, wanted, items = _id_line(action), action.get("Member"), 0
    now = conversation.pbx.queues.now()
    conversation.list_start(action, "Queue status will follow")
    for queue in _chosen(conversation, action):
        config = queue.config
        conversation.list_item(
            f"Event: QueueParams\r\nQueue: {queue.name}\r\nMax: {config.maxlen}\r\n"
            f"Strategy: {config.strategy}\r\nCalls: {len(queue.waiters)}\r\n"
            f"Holdtime: {queue.hold_time}\r\nTalkTime: {queue.talk_time}\r\n"
            f"Completed: {queue.completed}\r\nAbandoned: {queue.abandoned}\r\n"
            f"ServiceLevel: {config.servicelevel_s}\r\nServicelevelPerf: {queue.service_perf}\r\n"
            f"ServicelevelPerf2: {queue.service_perf2}\r\nWeight: {config.weight}\r\n{ident}"
        )
        members = [m for m in queue.members.values() if wanted in ("", m.interface)]
        for member in members:
            conversation.list_item(
                f"Event: QueueMember\r\nQueue: {queue.name}\r\nName: {member.name}\r\n"
                f"Location: {member.interface}\r\n{describe(member)}Wrapuptime: 0\r\n{ident}"
            )
        for position, waiter in enumerate(queue.waiters, 1):
            channel = waiter.channel
            conversation.list_item(
                f"Event: QueueEntry\r\nQueue: {queue.name}\r\nPosition: {position}\r\n"
                f"Channel: {channel.name}\r\nUniqueid: {channel.uniqueid}\r\n"
                f"CallerIDNum: {channel.caller_num or 'unknown'}\r\n"
                f"CallerIDName: {channel.caller_name or 'unknown'}\r\n"
                f"ConnectedLineNum: {channel.connected_num or 'unknown'}\r\n"
                f"ConnectedLineName: {channel.connected_name or 'unknown'}\r\n"
                f"Wait: {now - waiter.joined_at}\r\nPriority: {waiter.priority}\r\n{ident}"
            )
        items += 1 + len(members) + len(queue.waiters)
    conversation.list_complete(action, "QueueStatusComplete", items)


def queue_summary(conversation: Conversation, action: Action) -> None:
    """QueueSummary."""
    now, queues = conversation.pbx.queues.now(), _chosen(conversation, action)
    conversation.list_start(action, "Queue summary will follow")
    for queue in queues:
        there = [m for m in queue.members.values() if m.status not in GONE]
        available = sum(m.status in FREE and not m.paused for m in there)
        longest = max((now - waiter.joined_at for waiter in queue.waiters), default=0)
        conversation.list_item(
            f"Event: QueueSummary\r\nQueue: {queue.name}\r\nLoggedIn: {len(there)}\r\n"
            f"Available: {available}\r\nCallers: {len(queue.waiters)}\r\n"
            f"HoldTime: {queue.hold_time}\r\nTalkTime: {queue.talk_time}\r\n"
            f"LongestHoldTime: {longest}\r\n{_id_line(action)}"
        )
    conversation.list_complete(action, "QueueSummaryComplete", len(queues))


def queue_add(conversation: Conversation, action: Action) -> None:
    """QueueAdd: a dynamic member."""
    name, interface = action.get("Queue"), action.get("Interface")
    if not name or not interface:
        missing = "Interface" if name else "Queue"
        conversation.error(action, f"'{missing}' not specified.")
        return
    queue = conversation.pbx.queues.get(name)
    if queue is None:
        conversation.error(action, "Unable to add interface to queue: No such queue")
        return
    config = MemberConfig(
        interface=interface,
        name=action.get("MemberName"),
        state_interface=action.get("StateInterface"),
        penalty=max(0, _number(action.get("Penalty"))),
        paused=classes.is_true(action.get("Paused")),
    )
    if conversation.pbx.queues.add_member(queue, config) is None:
        conversation.error(action, "Unable to add interface: Already there")
        return
    conversation.ack(action, "Added interface to queue")


def queue_remove(conversation: Conversation, action: Action) -> None:
    """QueueRemove: of a dynamic member."""
    name, interface = action.get("Queue"), action.get("Interface")
    if not name or not interface:
        conversation.error(action, "Need 'Queue' and 'Interface' parameters.")
        return
    queue = conversation.pbx.queues.get(name)
    if queue is None:
        conversation.error(action, "Unable to remove interface from queue: No such queue")
        return
    member = queue.members.get(interface)
    if member is None:
        conversation.error(action, "Unable to remove interface: Not there")
    elif not member.dynamic:
        conversation.error(action, "Member not dynamic")
    else:
        conversation.pbx.queues.remove_member(queue, member)
        conversation.ack(action, "Removed interface from queue")


def queue_pause(conversation: Conversation, action: Action) -> None:
    """QueuePause: in one queue, or without `Queue` in all of the interface."""
    interface, paused = action.get("Interface"), action.get("Paused")
    if not interface or not paused:
        conversation.error(action, "Need 'Interface' and 'Paused' parameters.")
        return
    queues = conversation.pbx.queues
    found = queues.of_interface(interface, action.get("Queue"))
    if not found:
        conversation.error(action, "Interface not found")
        return
    on = classes.is_true(paused)
    for queue, member in found:
        queues.pause_member(queue, member, action.get("Reason"), paused=on)
    conversation.ack(action, f"Interface {'paused' if on else 'unpaused'} successfully")


def queue_penalty(conversation: Conversation, action: Action) -> None:
    """QueuePenalty: in one queue, or without `Queue` in all of the interface."""
    interface, penalty = action.get("Interface"), action.get("Penalty")
    if not interface or not penalty:
        conversation.error(action, "Need 'Interface' and 'Penalty' parameters.")
        return
    queues = conversation.pbx.queues
    found = queues.of_interface(interface, action.get("Queue"))
    if not found or _number(penalty) < 0:
        conversation.error(action, "Invalid interface, queuename or penalty")
        return
    for queue, member in found:
        queues.set_penalty(queue, member, _number(penalty))
    conversation.ack(action, "Interface penalty set successfully")


def queue_member_ring_in_use(conversation: Conversation, action: Action) -> None:
    """QueueMemberRingInUse: in one queue, or without `Queue` in all of the interface."""
    interface, ring = action.get("Interface"), action.get("RingInUse")
    if not interface or not ring:
        conversation.error(action, "Need 'Interface' and 'RingInUse' parameters.")
        return
    queues = conversation.pbx.queues
    found = queues.of_interface(interface, action.get("Queue"))
    if not found:
        conversation.error(action, "Invalid interface, queuename, or ringinuse value")
        return
    for queue, member in found:
        queues.set_ring_in_use(queue, member, ring=classes.is_true(ring))
    conversation.ack(action, "Interface ringinuse set successfully")


def queue_reset(conversation: Conversation, action: Action) -> None:
    """QueueReset: the counters of one queue or of all, without an event."""
    for queue in _chosen(conversation, action):
        queue.reset()
    conversation.ack(action, "Queue stats reset successfully")


def queue_reload(conversation: Conversation, action: Action) -> None:
    """QueueReload: take over queues.conf, without an event."""
    conversation.pbx.queues.reload()
    conversation.ack(action, "Queue reloaded successfully")


def _number(text: str) -> int:
    """As C's atoi reads it."""
    found = re.match(r"\s*[+-]?\d+", text)
    return int(found[0]) if found else 0


#: The actions of this module.
QUEUE_COMMANDS: Final = (
    Command("QueueAdd", "Add interface to queue.", classes.AGENT, queue_add),
    Command(
        "QueueMemberRingInUse",
        "Set the ringinuse value for a queue member.",
        classes.AGENT,
        queue_member_ring_in_use,
    ),
    Command(
        "QueuePause",
        "Makes a queue member temporarily unavailable.",
        classes.AGENT,
        queue_pause,
    ),
    Command("QueuePenalty", "Set the penalty for a queue member.", classes.AGENT, queue_penalty),
    Command(
        "QueueReload",
        "Reload a queue, queues, or any sub-section of a queue or queues.",
        0,
        queue_reload,
    ),
    Command("QueueRemove", "Remove interface from queue.", classes.AGENT, queue_remove),
    Command("QueueReset", "Reset queue statistics.", 0, queue_reset),
    Command("QueueStatus", "Show queue status.", 0, queue_status),
    Command("QueueSummary", "Show queue summary.", 0, queue_summary),
)

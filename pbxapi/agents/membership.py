"""An agent as a member of Asterisk's queues: what he ought to be, and what of theirs is his.

Names of queues and interfaces are the same to Asterisk in upper and lower case (app_queue.c,
queue_cmp_cb() and member_cmp_fn(), 16 to 22), so they are compared so here.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from pbxapi.cache.queues.queue import key_of
from pbxapi.directory.agent import Agent

#: The form of our members' interfaces; whatever looks otherwise is somebody else's.
_OURS: Final = re.compile(r"Local/[0-9*#+]+@extensions-dialplanid-[0-9]+", re.ASCII | re.IGNORECASE)

#: Queue and interface, in lower case: what a member is known by.
Key = tuple[str, str]


class QueueMember(Protocol):
    """A member of a queue, as Asterisk has it."""

    @property
    def queue(self) -> str:
        """Name of the queue."""

    @property
    def name(self) -> str:
        """MemberName: of our members the agent's name."""

    @property
    def interface(self) -> str:
        """What is dialled."""

    @property
    def state_interface(self) -> str:
        """The device whose state is the member's."""

    @property
    def membership(self) -> str:
        """Either dynamic, static or realtime."""

    @property
    def paused(self) -> bool:
        """Whether he gets no calls for now."""

    @property
    def penalty(self) -> int:
        """The lower, the sooner he is called."""


class Picture(Protocol):
    """Asterisk's queues as far as they are known; both raise PbxUnavailable where they are not."""

    def members(self) -> Iterable[QueueMember]:
        """All members of all queues."""

    def member(self, queue: str, interface: str, /) -> QueueMember | None:
        """Who has this place."""


@dataclass(frozen=True, slots=True)
class Place:
    """One agent in one queue, as a member ought to be; a `QueueMember` too."""

    queue: str
    name: str
    interface: str
    state_interface: str
    penalty: int
    paused: bool
    membership: str = "dynamic"


def key(member: QueueMember) -> Key:
    """What Asterisk knows a member by: an interface is in a queue once."""
    return (key_of(member.queue), key_of(member.interface))


def interface(internal_num: str, dialplan_id: int) -> str:
    """What Asterisk dials to reach a line (contract, 4.7)."""
    return f"Local/{internal_num}@extensions-dialplanid-{dialplan_id}"


def places(agent: Agent) -> Iterator[Place]:
    """Where an agent ought to be: nowhere while he is logged out."""
    login = agent.login
    if login is None:
        return
    for assignment in agent.queues:
        yield Place(
            queue=assignment.queue.name,
            name=agent.name,
            interface=interface(login.internal_num, login.dialplan_id),
            state_interface=f"{login.account.technology}/{login.account.sip_username}",
            penalty=assignment.penalty,
            paused=login.paused,
        )


def is_ours(member: QueueMember) -> bool:
    """Whether it could be an agent of the directory: his name still has to tell.

    A static member is the administrator's; so is a realtime one, which has its own table.
    """
    return member.membership == "dynamic" and _OURS.fullmatch(member.interface) is not None


def as_place(member: QueueMember) -> Place:
    """A member as it is now, to be put back."""
    return Place(
        queue=member.queue,
        name=member.name,
        interface=member.interface,
        state_interface=member.state_interface,
        penalty=member.penalty,
        paused=member.paused,
    )

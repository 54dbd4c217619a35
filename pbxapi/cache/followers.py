"""Hands the events of the one AMI session to those who keep a picture each.

Events arrive by the ten thousand a second, so who wants which is looked up, not asked.
"""

from collections.abc import Callable
from typing import Protocol

from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request


class Lister(Protocol):
    """What a follower needs of the AMI manager to list."""

    async def request_list(
        self, request: Request, on_item: Callable[[Message], None], /
    ) -> Message:
        """Send an action that is answered by an event list."""


class Asker(Lister, Protocol):
    """… and to ask about one thing."""

    async def request(self, request: Request, /) -> Message:
        """Send an action that is answered by one response."""


class Follower(Protocol):
    """Keeps one picture; the only one who writes it."""

    @property
    def wanted(self) -> frozenset[str]:
        """Names of the events that it wants."""

    def session_opened(self) -> None:
        """A new session is logged in; nothing is known of what happened before it."""

    def session_lost(self, last_received: float) -> None:
        """The session is gone; its last bytes came at this loop time."""

    def event(self, message: Message) -> None:
        """One event of the session, of those wanted."""


class Followers:
    """The AMI manager's listener: all followers as one.

    Attributes:
        counts: How many events of each name there were.
    """

    def __init__(self, *followers: Follower) -> None:
        self._followers = followers
        self._by_event = {
            name: tuple(each.event for each in followers if name in each.wanted)
            for name in frozenset[str]().union(*(each.wanted for each in followers))
        }
        self.counts = dict.fromkeys(self._by_event, 0)

    @property
    def wanted(self) -> frozenset[str]:
        """Names of the events that any of them wants."""
        return frozenset(self._by_event)

    def session_opened(self) -> None:
        """Tell all."""
        for follower in self._followers:
            follower.session_opened()

    def session_lost(self, last_received: float) -> None:
        """Tell all."""
        for follower in self._followers:
            follower.session_lost(last_received)

    def event(self, message: Message) -> None:
        """Tell those who want it."""
        name = message.event
        self.counts[name] += 1
        for take in self._by_event[name]:
            take(message)

"""A pause that begins or ends elsewhere is followed into the directory.

Telephones have a feature code for it, supervisors have a command, and Asterisk itself pauses
members who do not answer (`autopause` of queues.conf). Without this the pause would end with the
next restart of Asterisk.
"""

import asyncio
from typing import Final, NoReturn, Protocol

import structlog

from pbxapi.ami.message import Message
from pbxapi.errors import DatabaseUnavailable, PbxUnavailable

#: The picture of the queues shows it within this, and a pause in all queues is one event for each.
SETTLE_S: Final = 0.5
RETRY_S: Final = 2.0

_log = structlog.get_logger()


class Desk(Protocol):
    """Who keeps the pause."""

    async def follow_pause(self, name: str, /) -> None:
        """Keep what Asterisk has; raises PbxUnavailable and DatabaseUnavailable."""


class PauseFollower:
    """Told of events by the AMI manager."""

    wanted = frozenset({"QueueMemberPause"})

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._wake = asyncio.Event()

    def session_opened(self) -> None:
        """Now the directory tells Asterisk, not the other way round."""
        self._names.clear()

    def session_lost(self, _last_received: float) -> None:
        """What was not followed yet is not followed any more."""
        self._names.clear()

    def event(self, message: Message) -> None:
        """A member was paused or unpaused, by whomever."""
        self._names.add(message.get("MemberName"))
        self._wake.set()

    async def run(self, desk: Desk) -> NoReturn:
        """Follow, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(SETTLE_S)
            self._wake.clear()
            if not await self._follow(desk):
                await asyncio.sleep(RETRY_S)
                self._wake.set()

    async def _follow(self, desk: Desk) -> bool:
        while self._names:
            name = self._names.pop()
            try:
                await desk.follow_pause(name)
            except (PbxUnavailable, DatabaseUnavailable) as error:
                self._names.add(name)
                _log.warning("agents.pause_not_followed", error=str(error))
                return False
        return True

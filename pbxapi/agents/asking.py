"""Asks Asterisk for changes of queue members: all of them, or none."""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from pbxapi.agents.difference import ALREADY_THERE, Change
from pbxapi.agents.membership import Picture, QueueMember, key
from pbxapi.ami.message import Message
from pbxapi.ami.requests import Request
from pbxapi.errors import PbxRefused, PbxUnavailable

#: Asterisk answers first and tells of the change a moment later. Who asks for the state of a queue
#: right after a login is to find the agent there; longer than this he is not kept waiting.
SEEN_WITHIN_S: Final = 1.0
_LOOK_AGAIN_S: Final = 0.01

#: Refusals of an Asterisk that is not up yet, or not any more: app_queue is loaded late in a boot.
_NOT_NOW: Final = ("Invalid/unknown command", "Asterisk is shutting down")

_log = structlog.get_logger()


class Pbx(Protocol):
    """Sends one action to Asterisk."""

    async def request(self, request: Request, /) -> Message:
        """Return the response; raises PbxRefused or PbxUnavailable."""


class Asking:
    """Asks for changes.

    Args:
        pbx: Asterisk.
        picture: What its queues look like.
    """

    def __init__(self, pbx: Pbx, picture: Picture) -> None:
        self._pbx = pbx
        self._picture = picture

    async def make(self, changes: Iterable[Change], attempted: list[Change]) -> None:
        """Make all changes, in order; where Asterisk refuses one, take back those before it.

        Args:
            changes: What to ask for.
            attempted: Filled with what was granted, and with the one whose answer did not come.

        Raises:
            PbxRefused: all is as it was, as far as `attempted` is empty.
            PbxUnavailable: what was attempted may be so or not.
        """
        for change in changes:
            attempted.append(change)
            try:
                granted = await self.ask(change)
            except PbxRefused:
                attempted.pop()
                await self.take_back(attempted)
                raise
            if not granted:
                attempted.pop()

    async def ask(self, change: Change) -> bool:
        """Ask for one change; False where it was so already.

        Raises:
            PbxRefused: somebody else has the place, or there is no such queue, or …
            PbxUnavailable: it may be so or not.
        """
        try:
            await self._pbx.request(change.request)
        except PbxRefused as refusal:
            if str(refusal).startswith(_NOT_NOW):
                raise PbxUnavailable(str(refusal)) from refusal
            if str(refusal) == ALREADY_THERE:
                await self._until(lambda: self._there(change) is not None)
            if not change.is_needless(str(refusal)) or self._is_taken(change, str(refusal)):
                raise
            return False
        return True

    async def take_back(self, changes: list[Change]) -> None:
        """Undo changes, the last one first; those that could not be undone are left in the list."""
        with contextlib.suppress(PbxUnavailable):
            for change in reversed(changes.copy()):
                try:
                    await self.ask(change.undone)
                except PbxRefused as refusal:
                    _log.warning("agents.not_undone", error=str(refusal), queue=change.place.queue)
                else:
                    changes.remove(change)

    async def until_seen(self, changes: Iterable[Change]) -> bool:
        """Wait until the picture shows what was granted; False where it does not."""
        outcomes = {key(change.place): change for change in changes}.values()
        return await self._until(
            lambda: all(change.is_shown_by(self._there(change)) for change in outcomes)
        )

    async def _until(self, is_shown: Callable[[], bool]) -> bool:
        """Wait until the picture shows something; False where it does not."""
        try:
            async with asyncio.timeout(SEEN_WITHIN_S):
                while not is_shown():  # noqa: ASYNC110 - nobody sets an event
                    await asyncio.sleep(_LOOK_AGAIN_S)
        except (TimeoutError, PbxUnavailable):
            return False
        return True

    def _there(self, change: Change) -> QueueMember | None:
        """Who has the place."""
        return self._picture.member(change.place.queue, change.place.interface)

    def _is_taken(self, change: Change, refusal: str) -> bool:
        """Whether it is there already, but is somebody else."""
        if refusal != ALREADY_THERE:
            return False
        there = self._there(change)
        return there is not None and there.name != change.place.name

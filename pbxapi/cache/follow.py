"""List, then follow: keeps a ChannelStore in step with Asterisk.

The channels are listed at every new session, after FullyBooted and Reload, and about once a minute
to repair what events may have missed; in between events alone keep the picture.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from pbxapi.ami.message import Message
from pbxapi.ami.requests import CORE_SHOW_CHANNELS, Request
from pbxapi.cache.channels import REDUCERS, Instant
from pbxapi.cache.store import ChannelStore, Difference
from pbxapi.errors import PbxRefused, PbxUnavailable

#: FullyBooted follows the login at once, and a reload of everything is one event a module: wait for
#: the others, so that one list answers them all.
SETTLE_S: Final = 0.05
#: Between two lists when nothing happened, 10 % more or less, so that many daemons do not ask one
#: PBX at the same time for ever.
RECONCILE_S: Final = 60.0
#: A list that failed on a living session is asked for again after this.
RETRY_S: Final = 2.0

#: Events that say that Asterisk may have changed behind the events' back.
RELIST_EVENTS: Final = frozenset({"FullyBooted", "Reload"})

_log = structlog.get_logger()


class Lister(Protocol):
    """What the follower needs of the AMI manager."""

    async def request_list(
        self, request: Request, on_item: Callable[[Message], None], /
    ) -> Message:
        """Send an action that is answered by an event list."""


class ChannelFollower:
    """The one writer of a `ChannelStore`; told of sessions and events by the AMI manager."""

    wanted = frozenset(REDUCERS) | RELIST_EVENTS | {"Shutdown"}

    def __init__(self, store: ChannelStore) -> None:
        self._store = store
        self._due = asyncio.Event()
        self._connected = False
        self.lists = 0
        self.repaired = 0
        self.first_list = asyncio.Event()

    # -- called by the AMI manager

    def session_opened(self) -> None:
        """A new session: whatever happened in the gap, a list tells."""
        self._connected = True
        self._due.set()

    def session_lost(self, last_received: float) -> None:
        """No more events: the picture grows old from here."""
        self._connected = False
        self._store.session_lost(last_received)

    def event(self, message: Message) -> None:
        """One event of the session."""
        name = message.event
        if name in REDUCERS:
            self._store.apply(message, _now())
        elif name in RELIST_EVENTS:
            self._due.set()
        elif name == "Shutdown":
            _log.warning("ami.shutdown", restart=message.get("Restart"))

    # -- the background task

    async def run(self, lister: Lister) -> None:
        """List whenever it is due, until cancelled."""
        delay_s = RECONCILE_S
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(delay_s):
                    await self._due.wait()
            if self._due.is_set():
                await asyncio.sleep(SETTLE_S)
            self._due.clear()
            if self._connected and not await self._list(lister):
                delay_s = RETRY_S  # or sooner: a new session does not wait for it
            else:
                delay_s = RECONCILE_S * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load

    async def _list(self, lister: Lister) -> bool:
        collected = self._store.begin_list()
        started = time.monotonic()
        try:
            await lister.request_list(
                CORE_SHOW_CHANNELS, lambda message: collected.item(message.fields, _now())
            )
        except PbxRefused as error:
            self._store.abandon(collected)
            _log.error("cache.list_refused", error=str(error), action="CoreShowChannels")
            return False
        except PbxUnavailable as error:
            self._store.abandon(collected)
            _log.warning("cache.list_failed", error=str(error), action="CoreShowChannels")
            return False
        difference = self._store.replace(collected)
        self._note(difference, time.monotonic() - started)
        return True

    def _note(self, difference: Difference, took_s: float) -> None:
        first = not self.first_list.is_set()
        self.lists += 1
        if not first:
            self.repaired += difference.total
        self.first_list.set()
        level = _log.info if first or difference.total else _log.debug
        level(
            "cache.listed",
            channels=len(self._store.channels),
            missing=difference.missing,
            surplus=difference.surplus,
            changed=difference.changed,
            took_ms=round(took_s * 1000, 1),
        )


def _now() -> Instant:
    return Instant(time.monotonic(), time.time())

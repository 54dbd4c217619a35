"""List, then follow: keeps a ChannelStore in step with Asterisk.

The channels are listed at every new session, after FullyBooted and Reload, and about once a minute
to repair what events may have missed; in between events alone keep the picture.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

import structlog

from pbxapi.ami.message import Message
from pbxapi.ami.requests import CORE_SHOW_CHANNELS
from pbxapi.cache.channels.channel import REDUCERS
from pbxapi.cache.channels.store import ChannelStore, Difference
from pbxapi.cache.followers import Lister
from pbxapi.cache.instant import Instant
from pbxapi.cache.relisting import RELIST_EVENTS, Relisting
from pbxapi.errors import PbxRefused, PbxUnavailable

_log = structlog.get_logger()


class ChannelFollower:
    """The one writer of a `ChannelStore`; told of sessions and events by the AMI manager.

    Args:
        store: What it writes.
        asterisk_time: Seconds since the epoch by the clock of Asterisk's host; not a number as long
            as that is not known. Our own clock would not do: each second that they differ by would
            look like one that a channel is older.
    """

    wanted = frozenset(REDUCERS) | RELIST_EVENTS | {"Shutdown"}

    def __init__(self, store: ChannelStore, asterisk_time: Callable[[], float]) -> None:
        self._store = store
        self._asterisk_time = asterisk_time
        self._relisting = Relisting()
        self.lists = 0
        self.repaired = 0
        self.first_list = asyncio.Event()

    # -- called by the AMI manager

    def session_opened(self) -> None:
        """A new session: whatever happened in the gap, a list tells."""
        self._relisting.session_opened()

    def session_lost(self, last_received: float) -> None:
        """No more events: the picture grows old from here."""
        self._relisting.session_lost()
        self._store.session_lost(last_received)

    def event(self, message: Message) -> None:
        """One event of the session."""
        name = message.event
        if name in REDUCERS:
            self._store.apply(message, self._now())
        elif name in RELIST_EVENTS:
            self._relisting.ask()
        elif name == "Shutdown":
            _log.warning("ami.shutdown", restart=message.get("Restart"))

    # -- the background task

    async def run(self, lister: Lister) -> NoReturn:
        """List whenever it is due, until cancelled."""
        await self._relisting.run(lambda: self._list(lister))

    async def _list(self, lister: Lister) -> bool:
        collected = self._store.begin_list()
        started = time.monotonic()
        try:
            await lister.request_list(
                CORE_SHOW_CHANNELS, lambda message: collected.item(message.fields, self._now())
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

    def _now(self) -> Instant:
        return Instant(time.monotonic(), self._asterisk_time())

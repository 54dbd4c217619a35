"""List, then follow, then ask: keeps a PeerStore in step with Asterisk.

Events come on change only, and without what a change took (round trips, user agents). So a peer is
asked about right after its event, and all are listed again in the background: what ages in between
is the number of milliseconds in `OK (35 ms)`.

The first picture may be believed once it is listed and every peer was asked about; for a PBX with
so many peers that this takes longer than `FIRST_DETAILS_S`, where and how they answer does not wait
for what they call themselves.
"""

import asyncio
import time
from typing import Final, NoReturn

import structlog

from pbxapi.ami.message import Message
from pbxapi.ami.requests import UnsafeRequest
from pbxapi.cache.followers import Asker
from pbxapi.cache.peers.asking import ask_about, ask_registrations, list_all
from pbxapi.cache.peers.chan_sip import CHUNK
from pbxapi.cache.peers.peer import Key
from pbxapi.cache.peers.questions import Questions
from pbxapi.cache.peers.store import PeerStore
from pbxapi.cache.relisting import RELIST_EVENTS, Relisting
from pbxapi.errors import PbxRefused, PbxUnavailable

#: The lists come again after so many seconds, and one more for each hundred peers.
MIN_PERIOD_S: Final = 10.0
MAX_PERIOD_S: Final = 60.0
_PEERS_PER_S: Final = 100
FIRST_DETAILS_S: Final = 3.0
#: So many times there was no list since Asterisk had not booted: it is slow, or does not tell us.
WAITED_LONG: Final = 5

#: Stands among the peers to be asked about for the outbound registrations; no peer is called so.
_REGISTRATIONS: Final = Key("SIP", "")

_log = structlog.get_logger()


class PeerFollower:
    """The one writer of a `PeerStore`; told of sessions and events by the AMI manager."""

    wanted = (
        frozenset({"PeerStatus", "ContactStatus", "Registry", "DeviceStateChange"}) | RELIST_EVENTS
    )

    def __init__(self, store: PeerStore) -> None:
        self._store = store
        self._relisting = Relisting(self._period_s)
        self._questions: Questions[Key] = Questions()
        self._booted = False
        self._waited = 0
        self._sessions = 0
        self.lists = 0
        self.first_list = asyncio.Event()

    # -- called by the AMI manager

    def session_opened(self) -> None:
        """A new session, perhaps of a new Asterisk: a list tells, and then every single peer.

        Its FullyBooted may have come before this: Asterisk sends it together with the login.
        """
        self._sessions += 1
        self._waited = 0
        self._store.sip.doubt_details()
        self._relisting.session_opened()

    def session_lost(self, last_received: float) -> None:
        """No more events: the picture grows old from here."""
        self._booted = False
        self._relisting.session_lost()
        self._questions.clear()
        self._store.session_lost(last_received)

    def event(self, message: Message) -> None:
        """One event of the session."""
        match message.event:
            case "PeerStatus":
                self._ask(self._store.peer_status(message.fields))
            case "ContactStatus":
                self._ask(self._store.contact_status(message.fields))
            case "DeviceStateChange":
                self._store.device_state_change(message.get("Device"), message.get("State"))
            case "Registry":
                self._ask(_REGISTRATIONS)
            case _:
                self._booted = self._booted or message.event == "FullyBooted"
                self._relisting.ask()

    def _ask(self, key: Key | None) -> None:
        if key is not None:
            self._questions.ask(key)

    # -- the background tasks

    async def run(self, asker: Asker) -> NoReturn:
        """List and ask whenever it is due, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._questions.run(lambda key: self._ask_one(asker, key)))
            await self._relisting.run(lambda: self._list(asker))

    def _period_s(self) -> float:
        return min(MAX_PERIOD_S, MIN_PERIOD_S + len(self._store) / _PEERS_PER_S)

    async def _list(self, asker: Asker) -> bool:
        """All lists of both drivers; before Asterisk has booted a driver may not be there yet."""
        if not self._booted:
            self._waited += 1
            if self._waited == WAITED_LONG:
                _log.warning("cache.peers_waiting", missing="FullyBooted")
            return False
        session = self._sessions
        started = time.monotonic()
        if not await self._list_all(asker):
            return False
        took_s = time.monotonic() - started
        if not self.first_list.is_set():
            await self._questions.all_asked(FIRST_DETAILS_S)
        if session == self._sessions and self._booted:
            self._believe(took_s)
        return True

    async def _list_all(self, asker: Asker) -> bool:
        listed = self._store.begin_list()
        try:
            await list_all(asker, listed)
            for _ in self._store.prepare(listed):
                await asyncio.sleep(0)
        except PbxRefused as error:
            self._store.abandon(listed)
            _log.error("cache.peers_refused", error=str(error))
            return False
        except PbxUnavailable as error:
            self._store.abandon(listed)
            _log.warning("cache.peers_failed", error=str(error))
            return False
        for key in self._store.replace(listed):
            self._questions.ask(key)
        for number, key in enumerate(self._store.undetailed(), start=1):
            self._questions.ask_later(key)
            if number % CHUNK == 0:
                await asyncio.sleep(0)
        return True

    def _believe(self, took_s: float) -> None:
        level = _log.debug if self.first_list.is_set() else _log.info
        self._store.freshness.listed()
        self.first_list.set()
        self.lists += 1
        level(
            "cache.peers_listed",
            sip=len(self._store.sip.peers),
            pjsip=len(self._store.pjsip.peers),
            took_ms=round(took_s * 1000, 1),
        )

    async def _ask_one(self, asker: Asker, key: Key) -> None:
        try:
            if key == _REGISTRATIONS:
                await ask_registrations(asker, self._store)
            else:
                await ask_about(asker, key, self._store)
        except (PbxRefused, PbxUnavailable, UnsafeRequest) as error:
            # It is asked about again after the next list, or the session is gone anyway.
            _log.debug("cache.peer_not_asked", peer=key.device, error=str(error))

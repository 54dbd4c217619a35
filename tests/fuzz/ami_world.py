"""All that reads AMI, on a transport that leads nowhere."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any

from pbxapi.ami.message import Message
from pbxapi.ami.protocol import AmiProtocol, ProtocolError
from pbxapi.ami.requests import Request, queue_status
from pbxapi.ami.session import AmiSession, LoginRefused
from pbxapi.cache.channels.calls import legs
from pbxapi.cache.channels.follow import ChannelFollower
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.followers import Followers
from pbxapi.cache.instant import Instant
from pbxapi.cache.peers.asking import ask_about, list_all
from pbxapi.cache.peers.follow import PeerFollower
from pbxapi.cache.peers.peer import Key
from pbxapi.cache.peers.store import PeerStore
from pbxapi.cache.peers.view import PeerList
from pbxapi.cache.queues.follow import QueueFollower
from pbxapi.cache.queues.store import QueueStore
from pbxapi.errors import PbxRefused, PbxUnavailable
from pbxapi.web.encoding import encode_success
from tests.fuzz.running import pieces

NOW = Instant(1000.0, 1_795_460_000.0)
#: What our requests of these sessions are called: an input can answer them.
ID_PREFIX = "fz"

_KEYS = (Key("PJSIP", "Linka_1000"), Key("SIP", "Linka_1000"), Key("PJSIP", "upc"))


class _Nowhere(asyncio.Transport):
    """Takes everything, and sends nothing."""

    def write(self, data: Any) -> None:
        pass

    def abort(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False


class World:
    """Stores with their followers, and the requests whose answers an input may hold."""

    def __init__(self) -> None:
        self.channels, self.queues, self.peers = ChannelStore(), QueueStore(), PeerStore()
        self.followers = Followers(
            ChannelFollower(self.channels, time.time),
            QueueFollower(self.queues, time.time),
            PeerFollower(self.peers),
        )

    def requests(self, session: AmiSession) -> list[Coroutine[Any, Any, Any]]:
        """In this order they get the numbers 1, 2, …; the third asks for one list after another."""
        return [
            self._list_channels(session),
            self._list_queues(session),
            self._list_peers(session),
            ask_about(session, _KEYS[0], self.peers),
            ask_about(session, _KEYS[1], self.peers),
            session.request(Request("Ping")),
            session.log_in("fuzz", "fuzz"),
        ]

    async def _list_channels(self, session: AmiSession) -> None:
        collected = self.channels.begin_list()
        await session.request_list(
            Request("CoreShowChannels"), lambda message: collected.item(message.fields, NOW)
        )
        self.channels.replace(collected)

    async def _list_queues(self, session: AmiSession) -> None:
        collected = self.queues.begin_list(NOW.epoch)
        await session.request_list(
            queue_status(), lambda message: self.queues.item(collected, message, NOW)
        )
        self.queues.end_list(collected, NOW)

    async def _list_peers(self, session: AmiSession) -> None:
        listed = self.peers.begin_list()
        await list_all(session, listed)
        for _ in self.peers.prepare(listed):
            pass
        self.peers.replace(listed)
        self.peers.freshness.listed()

    def look(self) -> None:
        """Read everything, as actions do."""
        rows = [leg.__repr__() for leg in legs(self.channels.channels, lambda _: None, 2000.0)]
        rows += [repr(queue) for queue in self.queues.queues.values()]
        try:
            rows += [repr(state) for state in PeerList(self.peers).states(_KEYS, _KEYS)]
            rows += [repr(PeerList(self.peers).device_state(*key)) for key in _KEYS]
        except PbxUnavailable:
            pass  # never listed
        encode_success({"results": rows})


async def exercise(data: bytes) -> None:
    """Everything at once; raises what ought not to rise."""
    same_messages_however_cut(data)
    world = World()
    session = AmiSession(world.followers.wanted, world.followers.event)
    session._id_prefix = ID_PREFIX
    session.connection_made(_Nowhere())
    world.followers.session_opened()
    tasks = [asyncio.create_task(request) for request in world.requests(session)]
    for piece in pieces(data):
        await asyncio.sleep(0)
        session.get_buffer(len(piece))[: len(piece)] = piece
        session.buffer_updated(len(piece))
        if session.lost.done():
            break
    await asyncio.sleep(0)
    session.connection_lost(None)
    world.followers.session_lost(session.last_received)
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, BaseException) and not _is_documented(outcome):
            raise outcome
    world.look()


def _is_documented(error: BaseException) -> bool:
    return isinstance(error, PbxRefused | PbxUnavailable | LoginRefused)


def same_messages_however_cut(data: bytes) -> None:
    """Messages, banner and refusal do not depend on how the stream was cut."""
    assert _messages([data]) == _messages(pieces(data)), data


def _messages(parts: Any) -> tuple[list[str], bool]:
    protocol = AmiProtocol()
    messages: list[Message] = []
    try:
        for part in parts:
            messages += protocol.receive_data(part)
    except ProtocolError:
        return [], True
    return [repr(each._lines) for each in messages], False

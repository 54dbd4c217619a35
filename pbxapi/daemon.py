"""The composition root: builds every object once, runs the background tasks, ends them in order."""

import asyncio
import time
from collections.abc import Callable, Collection

import structlog

from pbxapi.access.credentials import Gatekeeper
from pbxapi.actions.ports import Ports
from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import serving_agi
from pbxapi.ami.manager import AmiManager
from pbxapi.cache.channels.calls import Owner, OwnerOf
from pbxapi.cache.channels.follow import ChannelFollower
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.channels.view import CallList
from pbxapi.cache.followers import Followers
from pbxapi.cache.peers.follow import PeerFollower
from pbxapi.cache.peers.store import PeerStore
from pbxapi.cache.peers.view import PeerList
from pbxapi.cache.queues.follow import QueueFollower
from pbxapi.cache.queues.store import QueueStore
from pbxapi.cache.queues.view import QueueBoard
from pbxapi.config import Config
from pbxapi.directory.devices import DeviceIndex
from pbxapi.directory.lines import Lines
from pbxapi.directory.pool import Directory
from pbxapi.recordings.moves import RecordMoves
from pbxapi.web.app import LegacyApi, make_app
from pbxapi.web.server import serving

_log = structlog.get_logger()


def _owner_in(devices: DeviceIndex) -> OwnerOf:
    """Owners of SIP channels, as the directory has them."""

    def owner_of(account: str) -> Owner | None:
        device = devices.lookup(account)
        if device is None:
            devices.ask()  # perhaps it is new
            return None
        return Owner(device.kind, str(device.id), device.number)

    return owner_of


async def run(
    config: Config, stop: asyncio.Event, on_listening: Callable[[str], None] = lambda _url: None
) -> None:
    """Run the daemon until `stop` is set; `on_listening` is told its base URL.

    Raises:
        UsageError: the configuration asks for something that cannot be had here.
    """
    store = ChannelStore()
    follower = ChannelFollower(store)
    queue_store = QueueStore()

    def asterisk_time() -> float:
        return manager.asterisk_time()

    queue_follower = QueueFollower(queue_store, asterisk_time)
    peers = PeerStore()
    peer_follower = PeerFollower(peers)
    manager = AmiManager(
        host=config.ami.host,
        port=config.ami.port,
        username=config.ami.username,
        secret=config.ami.secret,
        listener=Followers(follower, queue_follower, peer_follower),
    )
    cards = CallCards(time.monotonic)

    def in_call(call_ids: Collection[str]) -> bool:
        return calls.goes_on(call_ids, time.monotonic())

    async with (
        Directory(config.database.dsn) as directory,
        Gatekeeper(directory) as gatekeeper,
        RecordMoves(directory, config.records.roots, in_call) as recordings,
        serving_agi(cards, config.fastagi.listen) as agi_address,
    ):
        devices = DeviceIndex(directory)
        calls = CallList(store, _owner_in(devices))
        queues = QueueBoard(queue_store)
        ports = Ports(
            pbx=manager,
            lines=Lines(directory),
            legs=lambda: calls.legs(time.monotonic()),
            is_live=lambda name: calls.is_live(name, time.monotonic()),
            queue=lambda name: queues.queue(name, time.monotonic()),
            states_of=lambda technology, name: calls.states_of(technology, name, time.monotonic()),
            peers=PeerList(peers),
            devices=devices,
            cards=cards,
            agi_address=agi_address,
            record_roots=config.records.roots,
            recordings=recordings,
            ring_timeout_s=config.originate.ring_timeout,
        )
        api = LegacyApi(ports, gatekeeper, config.http.trusted_proxies)
        async with asyncio.TaskGroup() as group:
            background = [
                group.create_task(manager.run(), name="ami"),
                group.create_task(follower.run(manager), name="channels"),
                group.create_task(queue_follower.run(manager), name="queues"),
                group.create_task(peer_follower.run(manager), name="peers"),
                group.create_task(devices.follow(), name="devices"),
                group.create_task(recordings.run(), name="recordings"),
            ]
            async with serving(make_app(api, config.http.path), config.http.listen) as url:
                on_listening(url)
                await stop.wait()
                _log.info("daemon.stopping")
            for task in background:
                task.cancel()
    _log.info("daemon.stopped")

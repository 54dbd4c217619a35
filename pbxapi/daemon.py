"""The composition root: builds every object once, runs the background tasks, ends them in order."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import NoReturn

import structlog

from pbxapi.access.credentials import Gatekeeper
from pbxapi.actions import ACTIONS
from pbxapi.actions.ports import CallCentre, Ports
from pbxapi.agents.office import AgentOffice
from pbxapi.agents.pauses import PauseFollower
from pbxapi.agents.picture import QueuePicture
from pbxapi.agi.cards import CallCards
from pbxapi.agi.server import serving_agi
from pbxapi.agi.tally import CallTally
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
from pbxapi.config import Ami, Config
from pbxapi.directory.agents import Agents
from pbxapi.directory.devices import DeviceIndex
from pbxapi.directory.lines import Lines
from pbxapi.directory.pool import Directory
from pbxapi.monitoring.database import DatabaseProbe
from pbxapi.monitoring.loop_lag import LoopLag
from pbxapi.monitoring.monitor import Monitor
from pbxapi.monitoring.sources import Picture, Sources
from pbxapi.recordings.moves import RecordMoves
from pbxapi.reloading import OnReload, Reloading
from pbxapi.web.app import LegacyApi, make_app
from pbxapi.web.probes import Probes
from pbxapi.web.server import serving
from pbxapi.web.tally import RequestTally

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


class _Pbx:
    """Asterisk: the way to it, what it looks like now, and who keeps that so."""

    def __init__(self, ami: Ami, devices: DeviceIndex) -> None:
        self._devices = devices
        self.channels = ChannelStore()
        self.queues = QueueStore()
        self.peers = PeerStore()
        self.board = QueueBoard(self.queues)
        self.calls = CallList(self.channels, _owner_in(devices))
        self._channel_follower = ChannelFollower(self.channels)
        self._queue_follower = QueueFollower(self.queues, self._asterisk_time)
        self._peer_follower = PeerFollower(self.peers)
        self.queues_listed_anew = self._queue_follower.listed_anew
        self.pauses = PauseFollower()
        self.listener = Followers(
            self._channel_follower, self._queue_follower, self._peer_follower, self.pauses
        )
        self.manager = AmiManager(
            host=ami.host,
            port=ami.port,
            username=ami.username,
            secret=ami.secret,
            listener=self.listener,
        )

    def _asterisk_time(self) -> float:
        return self.manager.asterisk_time()

    def in_call(self, call_ids: Collection[str]) -> bool:
        """Whether a call with any of these ids goes on; raises PbxUnavailable."""
        return self.calls.goes_on(call_ids, time.monotonic())

    def follow(self, group: asyncio.TaskGroup) -> list[asyncio.Task[NoReturn]]:
        """Keep the session, and the pictures in step with Asterisk."""
        manager = self.manager
        return [
            group.create_task(manager.run(), name="ami"),
            group.create_task(self._channel_follower.run(manager), name="channels"),
            group.create_task(self._queue_follower.run(manager), name="queues"),
            group.create_task(self._peer_follower.run(manager), name="peers"),
            group.create_task(self._devices.follow(), name="devices"),
        ]

    def monitored(self) -> dict[str, Picture]:
        """What there is to say of each."""
        return {
            "channels": Picture(
                freshness=self.channels.freshness,
                size=lambda: len(self.channels.channels),
                lists=lambda: self._channel_follower.lists,
                repaired=lambda: self._channel_follower.repaired,
            ),
            "queues": Picture(
                freshness=self.queues.freshness,
                size=lambda: len(self.queues.queues),
                lists=lambda: self._queue_follower.lists,
                repaired=lambda: self._queue_follower.repaired,
            ),
            "peers": Picture(
                freshness=self.peers.freshness,
                size=lambda: len(self.peers),
                lists=lambda: self._peer_follower.lists,
            ),
        }


def _open_gate(config: Config, directory: Directory) -> Gatekeeper:
    return Gatekeeper(
        directory,
        max_failures=config.security.max_failures,
        lockout_s=config.security.lockout_seconds,
    )


def _open_office(
    config: Config, directory: Directory, gatekeeper: Gatekeeper, pbx: _Pbx
) -> AgentOffice:
    return AgentOffice(
        Agents(directory),
        pbx.manager,
        QueuePicture(pbx.board),
        pbx.queues_listed_anew,
        gatekeeper.passwords,
        max_failures=config.security.max_failures,
        lockout_s=config.security.lockout_seconds,
    )


def _sources(
    pbx: _Pbx, gatekeeper: Gatekeeper, agi: CallTally, cards: CallCards, recordings: RecordMoves
) -> Sources:
    return Sources(
        requests=RequestTally(ACTIONS),
        lockout=gatekeeper.lockout,
        manager=pbx.manager,
        events=pbx.listener.counts,
        pictures=pbx.monitored(),
        agi=agi,
        cards=cards,
        recordings=recordings,
        loop_lag=LoopLag(),
    )


def _tend(
    group: asyncio.TaskGroup,
    pbx: _Pbx,
    office: AgentOffice,
    sources: Sources,
    reloading: Reloading,
) -> list[asyncio.Task[NoReturn]]:
    """Do what has to be done all the time."""
    return [
        *pbx.follow(group),
        group.create_task(office.run(pbx.pauses), name="agents"),
        group.create_task(sources.recordings.run(), name="recordings"),
        group.create_task(sources.loop_lag.run(), name="loop lag"),
        group.create_task(reloading.run(), name="reloading"),
    ]


def _renewal(
    api: LegacyApi, gatekeeper: Gatekeeper, office: AgentOffice, recordings: RecordMoves
) -> OnReload:
    """What a new configuration changes while everything goes on; users are read again too."""

    def renew(config: Config) -> None:
        security = config.security
        gatekeeper.all_changed()
        office.pins.all_changed()
        gatekeeper.lockout.limit(security.max_failures, security.lockout_seconds)
        office.pins.limit(security.max_failures, security.lockout_seconds)
        recordings.set_roots(config.records.roots)
        api.trusted_proxies = config.http.trusted_proxies
        api.ports = replace(
            api.ports,
            call_centre=replace(api.ports.call_centre, status_mode=config.agents.status_mode),
            record_roots=config.records.roots,
            ring_timeout_s=config.originate.ring_timeout,
        )

    return renew


async def run(
    config: Config,
    stop: asyncio.Event,
    on_listening: Callable[[str], None] = lambda _url: None,
    *,
    reloading: Reloading | None = None,
) -> None:
    """Run the daemon until `stop` is set; `on_listening` is told its base URL.

    Whatever depends on a live key of the configuration is added to `reloading.on_reload`.

    Raises:
        UsageError: the configuration asks for something that cannot be had here.
    """
    reloading = reloading or Reloading(config, lambda: config)
    directory = Directory(config.database.dsn)
    devices = DeviceIndex(directory)
    pbx = _Pbx(config.ami, devices)
    cards = CallCards(time.monotonic)
    agi_tally = CallTally()
    async with (
        directory,
        _open_gate(config, directory) as gatekeeper,
        RecordMoves(directory, config.records.roots, pbx.in_call) as recordings,
        serving_agi(cards, config.fastagi.listen, tally=agi_tally) as agi_address,
        _open_office(config, directory, gatekeeper, pbx) as office,
    ):
        ports = Ports(
            pbx=pbx.manager,
            lines=Lines(directory),
            legs=lambda: pbx.calls.legs(time.monotonic()),
            is_live=lambda name: pbx.calls.is_live(name, time.monotonic()),
            queue=lambda name: pbx.board.queue(name, time.monotonic()),
            states_of=lambda tech, name: pbx.calls.states_of(tech, name, time.monotonic()),
            peers=PeerList(pbx.peers),
            devices=devices,
            cards=cards,
            call_centre=CallCentre(office.pins, office.desk, config.agents.status_mode),
            agi_address=agi_address,
            record_roots=config.records.roots,
            recordings=recordings,
            ring_timeout_s=config.originate.ring_timeout,
        )
        api = LegacyApi(ports, gatekeeper, config.http.trusted_proxies)
        sources = _sources(pbx, gatekeeper, agi_tally, cards, recordings)
        monitor = Monitor(sources, DatabaseProbe(directory, time.monotonic), time.monotonic)
        app = Probes(monitor, gatekeeper, api).attach(make_app(api, config.http.path))
        reloading.on_reload.append(_renewal(api, gatekeeper, office, recordings))
        async with asyncio.TaskGroup() as group:
            background = _tend(group, pbx, office, sources, reloading)
            async with serving(app, config.http.listen) as url:
                on_listening(url)
                await stop.wait()
                _log.info("daemon.stopping")
            for task in background:
                task.cancel()
    _log.info("daemon.stopped")

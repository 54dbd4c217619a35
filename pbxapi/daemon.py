"""The composition root: builds every object once, runs the background tasks, ends them in order."""

import asyncio
import socket
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import structlog

from pbxapi import heap
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
from pbxapi.supervision import supervise
from pbxapi.systemd import Notifier
from pbxapi.web.app import LegacyApi, make_app
from pbxapi.web.crowd import Crowd, descriptors_for, speaks_for_many
from pbxapi.web.moment import Moment
from pbxapi.web.probes import Probes
from pbxapi.web.server import serving
from pbxapi.web.tally import RequestTally
from pbxapi.web.tls import make_tls

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


def _goes_on(calls: CallList, call_ids: Collection[str]) -> bool:
    return calls.goes_on(call_ids, time.monotonic())


class _Pictures:
    """What the PBX looks like, and who keeps it so.

    Args:
        asterisk_time: Seconds since the epoch by the clock of Asterisk's host, or by ours.
        told_time: The same; not a number until Asterisk has told.
    """

    def __init__(self, asterisk_time: Callable[[], float], told_time: Callable[[], float]) -> None:
        self.channels = ChannelStore()
        self._queue_store = QueueStore()
        self.queues = QueueBoard(self._queue_store)
        self.peers = PeerStore()
        self._channel_follower = ChannelFollower(self.channels, told_time)
        self._queue_follower = QueueFollower(self._queue_store, asterisk_time)
        self._peer_follower = PeerFollower(self.peers)
        self.queues_listed_anew = self._queue_follower.listed_anew
        self.pauses = PauseFollower()
        self.listener = Followers(
            self._channel_follower, self._queue_follower, self._peer_follower, self.pauses
        )

    def follow(self, group: asyncio.TaskGroup, manager: AmiManager) -> list[asyncio.Task[NoReturn]]:
        """Keep them in step with Asterisk."""
        return [
            group.create_task(self._channel_follower.run(manager), name="channels"),
            group.create_task(self._queue_follower.run(manager), name="queues"),
            group.create_task(self._peer_follower.run(manager), name="peers"),
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
                freshness=self._queue_store.freshness,
                size=lambda: len(self._queue_store.queues),
                lists=lambda: self._queue_follower.lists,
                repaired=lambda: self._queue_follower.repaired,
            ),
            "peers": Picture(
                freshness=self.peers.freshness,
                size=lambda: len(self.peers),
                lists=lambda: self._peer_follower.lists,
            ),
        }

    def ages_s(self) -> dict[str, float]:
        """How old each of them is; infinite where there is none yet."""
        now = time.monotonic()
        return {name: each.freshness.age_s(now) for name, each in self.monitored().items()}


def _make_session(ami: Ami) -> tuple[_Pictures, AmiManager]:
    """The session feeds the pictures, and tells them the time."""
    pictures = _Pictures(
        lambda: manager.asterisk_time(),  # noqa: PLW0108 - it is made below
        lambda: manager.told_time(),  # noqa: PLW0108 - the same
    )
    manager = AmiManager(
        host=ami.host,
        port=ami.port,
        username=ami.username,
        secret=ami.secret,
        listener=pictures.listener,
    )
    return pictures, manager


def _open_gate(config: Config, directory: Directory) -> Gatekeeper:
    return Gatekeeper(
        directory,
        max_failures=config.security.max_failures,
        lockout_s=config.security.lockout_seconds,
    )


def _open_office(
    config: Config,
    directory: Directory,
    gatekeeper: Gatekeeper,
    manager: AmiManager,
    pictures: _Pictures,
) -> AgentOffice:
    return AgentOffice(
        Agents(directory),
        manager,
        QueuePicture(pictures.queues),
        pictures.queues_listed_anew,
        gatekeeper.passwords,
        max_failures=config.security.max_failures,
        lockout_s=config.security.lockout_seconds,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What the daemon is made of, once all of it is there."""

    notifier: Notifier
    reloading: Reloading
    config: Config
    pictures: _Pictures
    calls: CallList
    manager: AmiManager
    directory: Directory
    devices: DeviceIndex
    gatekeeper: Gatekeeper
    office: AgentOffice
    cards: CallCards
    agi_tally: CallTally
    agi_address: str
    recordings: RecordMoves


def _ports(parts: _Parts) -> Ports:
    """What actions work with; the views tell what there is at the moment of the question."""
    calls, queues, config = parts.calls, parts.pictures.queues, parts.config
    moment = Moment()
    return Ports(
        pbx=parts.manager,
        lines=Lines(parts.directory),
        legs=lambda: calls.legs(moment()),
        is_live=lambda name: calls.is_live(name, time.monotonic()),
        queue=lambda name: queues.queue(name, time.monotonic()),
        states_of=lambda technology, name: calls.states_of(technology, name, time.monotonic()),
        peers=PeerList(parts.pictures.peers),
        devices=parts.devices,
        cards=parts.cards,
        call_centre=CallCentre(parts.office.pins, parts.office.desk, config.agents.status_mode),
        agi_address=parts.agi_address,
        record_roots=config.records.roots,
        recordings=parts.recordings,
        ring_timeout_s=config.originate.ring_timeout,
    )


def _monitor(parts: _Parts) -> Monitor:
    sources = Sources(
        requests=RequestTally(ACTIONS),
        lockout=parts.gatekeeper.lockout,
        manager=parts.manager,
        events=parts.pictures.listener.counts,
        pictures=parts.pictures.monitored(),
        agi=parts.agi_tally,
        cards=parts.cards,
        recordings=parts.recordings,
        loop_lag=LoopLag(),
    )
    return Monitor(sources, DatabaseProbe(parts.directory, time.monotonic), time.monotonic)


def _tend(group: asyncio.TaskGroup, parts: _Parts, loop_lag: LoopLag) -> list[asyncio.Task[Any]]:
    """Do what has to be done all the time."""
    return [
        group.create_task(parts.manager.run(), name="ami"),
        *parts.pictures.follow(group, parts.manager),
        group.create_task(parts.devices.follow(), name="devices"),
        group.create_task(parts.office.run(parts.pictures.pauses), name="agents"),
        group.create_task(parts.recordings.run(), name="recordings"),
        group.create_task(loop_lag.run(), name="loop lag"),
        group.create_task(heap.give_back(), name="heap"),
        group.create_task(parts.reloading.run(), name="reloading"),
    ]


def _renewal(parts: _Parts, api: LegacyApi) -> OnReload:
    """What a new configuration changes while everything goes on; users are read again too."""
    gatekeeper, pins = parts.gatekeeper, parts.office.pins

    def renew(config: Config) -> None:
        security = config.security
        gatekeeper.all_changed()
        pins.all_changed()
        gatekeeper.lockout.limit(security.max_failures, security.lockout_seconds)
        pins.limit(security.max_failures, security.lockout_seconds)
        parts.recordings.set_roots(config.records.roots)
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
    notifier: Notifier | None = None,
    sockets: Sequence[socket.socket] = (),
) -> None:
    """Run the daemon until `stop` is set.

    Args:
        config: The configuration at the start; what depends on a live key of it is added to
            `reloading.on_reload`.
        stop: Set, it ends.
        on_listening: Is told its base URL.
        reloading: Reads the configuration again.
        notifier: Is told how the daemon is.
        sockets: Listening ones, in place of `[http] listen`.

    Raises:
        UsageError: the configuration asks for something that cannot be had here.
    """
    reloading = reloading or Reloading(config, lambda: config)
    notifier = notifier or Notifier({})
    pictures, manager = _make_session(config.ami)
    cards = CallCards(time.monotonic)
    agi_tally = CallTally()
    async with (
        Directory(config.database.dsn) as directory,
        _open_gate(config, directory) as gatekeeper,
        RecordMoves(
            directory, config.records.roots, lambda ids: _goes_on(calls, ids)
        ) as recordings,
        serving_agi(cards, config.fastagi.listen, tally=agi_tally) as agi_address,
        _open_office(config, directory, gatekeeper, manager, pictures) as office,
    ):
        devices = DeviceIndex(directory)
        calls = CallList(pictures.channels, _owner_in(devices), lambda: devices.version)
        parts = _Parts(
            notifier=notifier,
            reloading=reloading,
            config=config,
            pictures=pictures,
            calls=calls,
            manager=manager,
            directory=directory,
            devices=devices,
            gatekeeper=gatekeeper,
            office=office,
            cards=cards,
            agi_tally=agi_tally,
            agi_address=agi_address,
            recordings=recordings,
        )
        await _serve(parts, sockets, stop, on_listening)
    _log.info("daemon.stopped")


async def _serve(
    parts: _Parts,
    sockets: Sequence[socket.socket],
    stop: asyncio.Event,
    on_listening: Callable[[str], None],
) -> None:
    """Answer until `stop` is set."""
    http, monitor = parts.config.http, _monitor(parts)
    tally = monitor.sources.requests
    gatekeeper = parts.gatekeeper
    api = LegacyApi(_ports(parts), gatekeeper, http.trusted_proxies, tally.finished, gatekeeper)
    app = Probes(monitor, parts.gatekeeper, api).attach(make_app(api, http.path))
    tls = make_tls(http.tls_certificate, http.tls_key)
    parts.reloading.on_reload.append(_renewal(parts, api))
    crowd = Crowd(
        descriptors_for(http.max_connections),
        http.max_connections_per_address,
        lambda address: speaks_for_many(address, api.trusted_proxies),
        closed=tally.crowded,
    )
    if tls is not None:
        parts.reloading.on_reload.append(lambda _config: tls.load())
    async with asyncio.TaskGroup() as group:
        background = _tend(group, parts, monitor.sources.loop_lag)
        async with serving(
            app,
            http.listen,
            sockets,
            tls=tls.context if tls else None,
            crowd=crowd,
            cut=monitor.sources.requests.cut,
            short_way=api,
        ) as url:
            on_listening(url)
            telling = supervise(parts.notifier, parts.pictures.ages_s)
            background.append(group.create_task(telling, name="supervision"))
            await stop.wait()
            _log.info("daemon.stopping")
            parts.notifier.stopping()
        for task in background:
            task.cancel()

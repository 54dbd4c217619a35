"""The simulator as a whole: its socket, its calls to order, its restarts and other accidents."""

import asyncio
import dataclasses
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import structlog

from pbxapi.simulator import classes, phones, transfers
from pbxapi.simulator.agent_life import AgentLife
from pbxapi.simulator.cdr import CdrRow
from pbxapi.simulator.channels import Channel
from pbxapi.simulator.clock import Clock, LoopClock
from pbxapi.simulator.dialplan import Contexts
from pbxapi.simulator.faults import Faults
from pbxapi.simulator.load import Traffic
from pbxapi.simulator.options import Behaviour, SimulatorOptions
from pbxapi.simulator.pbx import SOFT_SHUTDOWN, Pbx
from pbxapi.simulator.peer_life import PeerLife
from pbxapi.simulator.peers import Peers
from pbxapi.simulator.queues import Queues
from pbxapi.simulator.session import Session
from pbxapi.simulator.wire import Action

log = structlog.get_logger()

#: Connections that the kernel may hold while the simulator is busy.
_BACKLOG: Final = 128


@dataclass(frozen=True, slots=True)
class Received:
    """An action that some client sent.

    Attributes:
        user: Who was logged in on that connection, or "".
        at: When it came, on the simulator's clock.
    """

    action: Action
    user: str
    at: float

    @property
    def name(self) -> str:
        """Its `Action` header."""
        return self.action.name

    @property
    def raw(self) -> bytes:
        """Its bytes."""
        return self.action.raw

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Its headers in order, as Asterisk reads them."""
        return self.action.headers


class Simulator:
    """A simulated Asterisk: `async with Simulator(options) as simulator`.

    Attributes:
        received: The actions that came in, oldest first.
        faults: Switches for accidents; the methods below set them.
        clients_cut: Connections ended because the client did not read.
    """

    def __init__(self, options: SimulatorOptions | None = None, clock: Clock | None = None) -> None:
        self.options = options or SimulatorOptions()
        self.clock = clock or LoopClock()
        self.faults = Faults()
        self.pbx = Pbx(self.options, self.clock)
        self.pbx.dialplan = Contexts(self.pbx)
        self.sessions: set[Session] = set()
        self.received: deque[Received] = deque(maxlen=self.options.received_limit)
        self.clients_cut = 0
        self.port = self.options.port
        self._traffic = Traffic(self.pbx)
        self._lives = (self._traffic, PeerLife(self.pbx), AgentLife(self.pbx))
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the port and let the traffic begin."""
        await self._listen(self._bind())
        for life in self._lives:
            life.start()

    async def stop(self) -> None:
        """Close everything."""
        for life in self._lives:
            life.stop()
        self.pbx.scheduler.stop()
        if self._server is not None:
            self._server.close()
            self._server = None
        for session in tuple(self.sessions):
            session.cut()
            await session.gone.wait()

    def _bind(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self.options.host else socket.AF_INET
        # Named as TCP, so that asyncio sets TCP_NODELAY on what it accepts, as manager.c does.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind((self.options.host, self.port))
        except OSError:
            listener.close()
            raise
        self.port = int(listener.getsockname()[1])
        return listener

    async def _listen(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Session(self), sock=listener, backlog=_BACKLOG
        )

    def note_received(self, session: Session, action: Action) -> None:
        """Keep an action for whoever wants to know what came in."""
        user = session.conversation.user
        self.received.append(Received(action, user.name if user else "", self.clock.time()))

    def received_actions(self, name: str) -> list[Received]:
        """The received actions of one name."""
        return [received for received in self.received if received.name.lower() == name.lower()]

    # the truth

    @property
    def cdrs(self) -> deque[CdrRow]:
        """The call detail records, as cdr_pgsql would have written them, oldest first."""
        return self.pbx.records.rows

    @property
    def peers(self) -> Peers:
        """Where phones and trunks are; its methods let them come and go."""
        return self.pbx.peers

    @property
    def queues(self) -> Queues:
        """Queues with their counters, members and waiters, as they are now."""
        return self.pbx.queues

    @property
    def channels(self) -> list[dict[str, str]]:
        """Every channel as it is now, under the header names of CoreShowChannel, oldest first."""
        return [self._describe(channel) for channel in self.pbx.channels.values()]

    @staticmethod
    def _describe(channel: Channel) -> dict[str, str]:
        lines = channel.snapshot().split("\r\n")[:-1]
        pairs = (line.partition(": ") for line in lines)
        return {name: value for name, _, value in pairs} | {
            "Application": channel.application,
            "ApplicationData": channel.data,
            "BridgeId": channel.bridge.uniqueid if channel.bridge is not None else "",
        }

    # calls to order

    def configure(self, device: str, **changes: Any) -> None:
        """Change how a phone behaves from now on; the words are those of `Device`."""
        before = self.pbx.devices[device]
        after = self.pbx.devices[device] = dataclasses.replace(before, **changes)
        was, is_now = (d.behaviour is not Behaviour.UNREGISTERED for d in (before, after))
        if was and not is_now:
            self.peers.unregister(device)
        elif is_now and not was:
            self.peers.register(device)

    def place_call(self, source: str, exten: str) -> str:
        """A phone dials an extension; returns the name of its channel."""
        return self._call_in(source, exten, "")

    def incoming(self, trunk: str, did: str, number: str) -> str:
        """A call from outside to one of our numbers; returns the name of its channel."""
        return self._call_in(trunk, did, number)

    def _call_in(self, source: str, exten: str, number: str) -> str:
        device = self.pbx.devices[source]
        channel = phones.dial_in(self.pbx, device, exten, number=number)
        script = self.pbx.dialplan.run(channel, device.context, exten)
        self.pbx.run_thread(channel, script, dialplan=True)
        return channel.name

    def ring(self, channel: str) -> None:
        """A called phone begins to ring at once."""
        self._do(channel, lambda found: phones.ring(self.pbx, found))

    def answer(self, channel: str) -> None:
        """A called phone is picked up at once."""
        self._do(channel, lambda found: phones.answer(self.pbx, found))

    def hangup(self, channel: str) -> None:
        """The phone of a channel hangs up."""
        self._do(channel, self.pbx.request_hangup)

    def blind_transfer(self, channel: str, context: str, exten: str) -> None:
        """The phone of a channel sends its other party to an extension."""
        self._do(channel, lambda found: transfers.blind(self.pbx, found, context, exten))

    def attended_transfer(self, channel: str, context: str, exten: str) -> None:
        """The phone of a channel asks an extension; `hangup` of it completes the transfer."""
        self._do(channel, lambda found: transfers.consult(self.pbx, found, context, exten))

    def _do(self, name: str, act: Callable[[Channel], object]) -> None:
        channel = self.pbx.channels[name]
        self.pbx.scheduler.post(lambda: act(channel))

    # accidents

    async def restart(self, down_for_s: float = 0.2, *, graceful: bool = True) -> None:
        """Restart the PBX: all calls die, nobody can connect meanwhile, the port stays the same.

        Args:
            down_for_s: Seconds until it listens again.
            graceful: As `core restart now`, with hang-ups and the event Shutdown; otherwise as
                `kill -9`, with nothing but the end of every connection.
        """
        for life in self._lives:
            life.stop()
        if graceful:
            self._hang_up_everything()
            text = "Shutdown: Cleanly\r\nRestart: True\r\n"
            self.pbx.announcer.emit("Shutdown", classes.SYSTEM, text)
        if self._server is not None:
            self._server.close()
        placeholder = self._bind()  # keeps the port ours; without listen() connects are refused
        for session in tuple(self.sessions):
            if graceful:
                session.flush()
                session.close()
            else:
                session.cut()
        self.pbx.start_again()
        try:
            await asyncio.sleep(down_for_s)
            self.pbx.started = self.pbx.reloaded = self.clock.time()
            await self._listen(placeholder)
            self.peers.resume()
        except BaseException:
            placeholder.close()
            raise
        for life in self._lives:
            life.start()

    def _hang_up_everything(self) -> None:
        channels = tuple(self.pbx.channels.values())
        for channel in channels:
            self.pbx.tell_soft_hangup(channel, SOFT_SHUTDOWN)
        for channel in channels:
            self.pbx.hang_up(channel)

    def cut(self, *, reset: bool = False) -> None:
        """End every connection now: with FIN, or with `reset` by RST."""
        for session in tuple(self.sessions):
            session.cut(reset=reset)

    def stall(self) -> None:
        """Go on accepting and reading, and say nothing any more."""
        self.faults.stalled = True

    def resume(self) -> None:
        """End a stall; what was asked meanwhile is answered now."""
        self.faults.stalled = False
        for session in tuple(self.sessions):
            session.resume()

    def dribble(self, bytes_per_write: int, delay_s: float) -> None:
        """Write only so many bytes at a time; 0 ends it."""
        self.faults.bytes_per_write = bytes_per_write
        self.faults.write_delay_s = delay_s

    def refuse_logins(self, *, refuse: bool = True) -> None:
        """Let every login fail."""
        self.faults.refuse_logins = refuse

    def slow_down(self, action: str, delay_s: float) -> None:
        """Begin every such action late; 0 ends it."""
        self.faults.slow[action.lower()] = delay_s

    def drop_answers(self, action: str, count: int = 1) -> None:
        """Run the next such actions and lose their answers."""
        self.faults.drop[action.lower()] += count

    def delay_fully_booted(self, delay_s: float) -> None:
        """The PBX goes on booting for so long; clients get FullyBooted only then."""
        self.faults.booted_at = self.clock.time() + delay_s
        self.clock.call_later(delay_s, self._tell_booted)

    def _tell_booted(self) -> None:
        for session in tuple(self.sessions):
            session.tell_booted()

    def reload(self, module: str = "") -> None:
        """Somebody reloads the configuration at the console."""
        self.pbx.reload(module)
        text = f"Module: {module or 'All'}\r\nStatus: 0\r\n"
        self.pbx.announcer.emit("Reload", classes.SYSTEM, text)


async def run(options: SimulatorOptions) -> None:
    """Serve until cancelled."""
    async with Simulator(options) as simulator:
        log.info("simulator.listening", host=options.host, port=simulator.port)
        await asyncio.Event().wait()

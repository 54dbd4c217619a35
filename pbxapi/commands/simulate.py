"""Run the Asterisk simulator alone, as a load for a daemon or a playground for a client."""

import argparse
import asyncio
import os
import signal
import socket
from collections.abc import Mapping
from contextlib import AsyncExitStack

from pbxapi import log
from pbxapi.commands.arguments import count, host, population, port, rate
from pbxapi.errors import UsageError
from pbxapi.simulator.options import ManagerUser, SimulatorOptions, default_devices
from pbxapi.simulator.queue_config import call_centre
from pbxapi.simulator.server import Simulator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi simulate`."""
    parser.add_argument("--host", type=host, default="127.0.0.1", help="address of AMI")
    parser.add_argument("--port", type=port, default=5038, help="port of AMI; 0 takes a free one")
    parser.add_argument("--asterisk", type=int, choices=(16, 22), default=22, help="which version")
    parser.add_argument("--username", default="pbxapi", help="manager user")
    parser.add_argument("--secret", default="pbxapi", help="its secret; this is no real PBX")
    parser.add_argument("--calls", type=population, default=0, help="calls at once, on average")
    parser.add_argument("--cps", type=rate, default=1.0, help="calls begun a second")
    parser.add_argument(
        "--ramp",
        type=rate,
        default=0.0,
        metavar="SECONDS",
        help="when --calls are to be there; without it they come as --cps brings them",
    )
    parser.add_argument("--peers", type=population, default=20, help="phones, Linka_1000 and on")
    parser.add_argument("--queues", type=population, default=0, help="queues, at 70000 and on")
    parser.add_argument(
        "--agents", type=population, default=0, help="agents of these queues, each at a phone"
    )
    parser.add_argument(
        "--agent-life",
        type=rate,
        default=0.0,
        metavar="RATE",
        help="how often a second an agent pauses, goes on, leaves or comes back",
    )
    parser.add_argument(
        "--peer-life",
        type=rate,
        default=0.0,
        metavar="RATE",
        help="how often a second a phone registers, leaves, lags, is lost or moves",
    )
    parser.add_argument("--seed", type=count, default=1, help="the same seed, the same traffic")


async def run(args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    """Simulate until SIGTERM or SIGINT."""
    log.configure("info", "console")
    devices = default_devices(max(args.peers, args.agents))
    options = SimulatorOptions(
        version=args.asterisk,
        host=args.host,
        port=args.port,
        users=(ManagerUser(name=args.username, secret=args.secret),),
        calls=args.calls,
        cps=args.cps,
        ramp_s=args.ramp,
        devices=devices,
        queues=call_centre(
            args.queues,
            args.agents,
            SimulatorOptions(version=args.asterisk).technology,
            tuple(device.name for device in devices if not device.trunk),
        ),
        peer_life=args.peer_life,
        agent_life=args.agent_life,
        seed=args.seed,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        try:
            simulator = await stack.enter_async_context(Simulator(options))
        except OSError as error:
            raise UsageError(f"cannot listen on {args.host}:{args.port}: {_why(error)}") from error
        print(f"AMI of Asterisk {args.asterisk} on {args.host}:{simulator.port}", flush=True)
        await stop.wait()
    return 0


def _why(error: OSError) -> str:
    """A few words: asyncio repeats the address in its own."""
    if error.errno is None or isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return os.strerror(error.errno)

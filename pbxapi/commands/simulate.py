"""Run the Asterisk simulator alone, as a load for a daemon or a playground for a client."""

import argparse
import asyncio
import signal
from collections.abc import Mapping

from pbxapi import log
from pbxapi.errors import UsageError
from pbxapi.simulator.options import ManagerUser, SimulatorOptions
from pbxapi.simulator.server import Simulator


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi simulate`."""
    parser.add_argument("--host", default="127.0.0.1", help="address of AMI")
    parser.add_argument("--port", type=_count, default=5038, help="port of AMI; 0 takes a free one")
    parser.add_argument("--asterisk", type=int, choices=(16, 22), default=22, help="which version")
    parser.add_argument("--username", default="pbxapi", help="manager user")
    parser.add_argument("--secret", default="pbxapi", help="its secret; this is no real PBX")
    parser.add_argument("--calls", type=_count, default=0, help="calls at once, on average")
    parser.add_argument("--cps", type=float, default=1.0, help="calls begun a second")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same traffic")


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


async def run(args: argparse.Namespace, _environ: Mapping[str, str]) -> int:
    """Simulate until SIGTERM or SIGINT."""
    log.configure("info", "console")
    options = SimulatorOptions(
        version=args.asterisk,
        host=args.host,
        port=args.port,
        users=(ManagerUser(name=args.username, secret=args.secret),),
        calls=args.calls,
        cps=args.cps,
        seed=args.seed,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with Simulator(options) as simulator:
            print(f"AMI of Asterisk {args.asterisk} on {args.host}:{simulator.port}", flush=True)
            await stop.wait()
    except OSError as error:
        raise UsageError(f"cannot listen on {args.host}:{args.port}: {error.strerror}") from error
    return 0

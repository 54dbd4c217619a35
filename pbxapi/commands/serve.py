"""Run the daemon; this is what systemd starts."""

import argparse
import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

from pbxapi import daemon, log
from pbxapi.config import load


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi serve`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML")


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are still answered."""
    config = load(args.config, environ)
    log.configure(
        config.log.level, config.log.format, secrets=[config.ami.secret, config.database.dsn]
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await daemon.run(config, stop)
    return 0

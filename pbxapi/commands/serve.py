"""Run the daemon; this is what systemd starts."""

import argparse
import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

from pbxapi import daemon, heap, log
from pbxapi.config import Config
from pbxapi.config_reading import load
from pbxapi.garbage import spare_the_loop
from pbxapi.reloading import Reloading
from pbxapi.systemd import Notifier, inherited_sockets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi serve`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML")


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Serve until SIGTERM or SIGINT; requests under way are still answered. SIGHUP reloads."""
    heap.keep_small()
    config = load(args.config, environ)
    _configure_log(config)
    notifier = Notifier(environ)
    reloading = Reloading(config, lambda: load(args.config, environ), notifier.reloading)
    reloading.on_reload.append(_configure_log)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, reloading.ask)
    spare_the_loop()
    await daemon.run(
        config,
        stop,
        reloading=reloading,
        notifier=notifier,
        sockets=inherited_sockets(environ),
    )
    return 0


def _configure_log(config: Config) -> None:
    secrets = [config.ami.secret, config.database.dsn]
    log.configure(config.log.level, config.log.format, secrets=secrets)

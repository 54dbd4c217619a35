"""Put a load on a running daemon and tell how it bears it.

The password comes from the file that PBXAPI_LOAD_PASSWORD_FILE names, from a prompt, or as one line
of standard input. Actions that change something are only sent where the mix names them and
`--param` gives what they need. Without --rate each client asks again as soon as it has its answer;
with it the requests of all clients begin at fixed moments, and latency is counted from these.
"""

import argparse
import asyncio
import resource
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TextIO

from pbxapi.access.proof import is_credential
from pbxapi.commands.arguments import count, rate
from pbxapi.commands.secret_input import read_secret
from pbxapi.errors import UsageError
from pbxapi.load.connection import Connection
from pbxapi.load.generator import Generator
from pbxapi.load.mix import BadMix, Mix, make_mix, parse_mix, parse_parameter
from pbxapi.load.pace import Pace
from pbxapi.load.preflight import preflight
from pbxapi.load.report import Report, as_json, as_table, progress
from pbxapi.load.tally import Tally
from pbxapi.load.target import Target, parse_target

_PASSWORD_FILE: Final = "PBXAPI_LOAD_PASSWORD_FILE"  # noqa: S105 - a variable, not a password
#: Files that the process has open beside its connections.
_OTHER_FILES: Final = 32
_CLEAR_LINE: Final = "\r\x1b[K"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi load`."""
    parser.add_argument("--url", type=_target, required=True, help="as the daemon prints it")
    parser.add_argument("--user", required=True, help="API user; its password is asked for")
    parser.add_argument("--clients", type=_positive, default=8, help="connections (default: 8)")
    parser.add_argument("--seconds", type=_duration, default=10.0, help="how long (default: 10)")
    parser.add_argument(
        "--rate", type=_duration, help="requests a second; without it, as fast as it goes"
    )
    parser.add_argument(
        "--mix", type=_mix, default={"listcalls": 1}, help="as listcalls=8,queuestatus=2"
    )
    parser.add_argument(
        "--param",
        type=_parameter,
        action="append",
        default=[],
        metavar="ACTION.NAME=VALUE",
        help="as queuestatus.queueName=support, the default; of several each is sent in turn",
    )
    parser.add_argument(
        "--timeout", type=_duration, default=10.0, help="seconds for an answer (default: 10)"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(refuse=parser.error)


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Ask until the time is up or a signal comes, then print the result."""
    mix = _make_mix(args)
    _allow_files(args.clients + _OTHER_FILES)
    password = _password(environ)
    target: Target = args.url
    connections = [Connection(target, args.timeout) for _ in range(args.clients)]
    try:
        await preflight(target, connections[0], args.user, password, mix.shares)
        report = await _load(args, mix, connections, password)
    finally:
        for connection in connections:
            connection.close()
    print(as_json(report) if args.json else as_table(report))
    if not report.interrupted and not report.total.succeeded:
        raise UsageError("no request succeeded")
    return 0


async def _load(
    args: argparse.Namespace,
    mix: Mix,
    connections: list[Connection],
    password: str,
) -> Report:
    credentials = {"username": args.user, "password": password}
    began, cpu_s = time.perf_counter(), time.process_time()
    pace = Pace(args.rate, began, began + args.seconds)
    generator = Generator(
        mix.questions(lambda form: args.url.request({**credentials, **form})),
        pace,
        time.perf_counter,
    )
    work = asyncio.create_task(generator.run(connections))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, work.cancel)
    teller = asyncio.create_task(_tell(generator, sys.stderr))
    await asyncio.wait({work})
    teller.cancel()
    await asyncio.wait({teller})
    interrupted = work.cancelled()
    if not interrupted:
        work.result()
    ended = time.perf_counter()
    requests = sum(tally.requests for tally in generator.tallies.values())
    return Report(
        target=str(args.url),
        clients=args.clients,
        rate=args.rate,
        seconds=args.seconds,
        took_s=ended - began,
        interrupted=interrupted,
        left_out=pace.left_out(ended),
        under_way=generator.begun - requests,
        cpu=(time.process_time() - cpu_s) / (ended - began),
        actions=generator.tallies,
    )


async def _tell(generator: Generator, screen: TextIO) -> None:
    """Tell each second how it goes, where somebody looks."""
    if not screen.isatty():
        return
    second = before = 0
    try:
        while True:
            await asyncio.sleep(1)
            second += 1
            total = Tally()
            for tally in generator.tallies.values():
                total.merge(tally)
            print(_CLEAR_LINE + progress(second, total, before), end="", file=screen, flush=True)
            before = total.requests
    finally:
        print(_CLEAR_LINE, end="", file=screen, flush=True)


def _make_mix(args: argparse.Namespace) -> Mix:
    """What to ask; ends the program with 2 where mix and parameters do not fit."""
    values: dict[tuple[str, str], list[str]] = {}
    for action, name, value in args.param:
        values.setdefault((action, name), []).append(value)
    if not is_credential(args.user):
        args.refuse("argument --user: is no name of a user")
    try:
        return make_mix(args.mix, values)
    except BadMix as error:
        args.refuse(f"argument --mix: {error}")
        raise


def _password(environ: Mapping[str, str]) -> str:
    path = environ.get(_PASSWORD_FILE)
    if path is None:
        return read_secret("password", is_new=False)
    try:
        return Path(path).read_text("utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{_PASSWORD_FILE}: cannot read {path}: {_why(error)}") from None


def _why(error: Exception) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else "it is not UTF-8"


def _allow_files(wanted: int) -> None:
    """Let this process have so many files open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise UsageError(f"so many clients need {wanted} open files, `ulimit -Hn` allows {hard}")
    if wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _target(text: str) -> Target:
    try:
        return parse_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _mix(text: str) -> dict[str, int]:
    try:
        return parse_mix(text)
    except BadMix as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parameter(text: str) -> tuple[str, str, str]:
    try:
        return parse_parameter(text)
    except BadMix as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive(text: str) -> int:
    number = count(text)
    if not number:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _duration(text: str) -> float:
    number = rate(text)
    if not number:
        raise argparse.ArgumentTypeError("must be more than 0")
    return number

"""The command line: `pbxapi COMMAND …`.

Exit codes: 0 fine, 1 a failure that one line on standard error explains, 2 bad usage.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from pbxapi import __version__
from pbxapi.commands import db, demo, serve, simulate, user
from pbxapi.errors import PbxapiError

COMMANDS: Final[dict[str, ModuleType]] = {
    "serve": serve,
    "demo": demo,
    "simulate": simulate,
    "db": db,
    "user": user,
}


def make_parser() -> argparse.ArgumentParser:
    """The parser of the whole command line; each command adds its own arguments."""
    parser = argparse.ArgumentParser(
        prog="pbxapi", description="The legacy api.php of an Asterisk PBX, as a daemon."
    )
    parser.add_argument("--version", action="version", version=f"pbxapi {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary = (module.__doc__ or "").splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    args = make_parser().parse_args(argv)
    try:
        code: int = asyncio.run(COMMANDS[args.command].run(args, os.environ))
    except PbxapiError as error:
        print(f"pbxapi: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output is gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code

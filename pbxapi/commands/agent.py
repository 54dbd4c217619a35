"""Give an agent of the call centre a PIN.

Agents are rows of the PBX's own tables; only their PINs are hashed, so only those need a command.
It needs a role that may write `agents`, as that of `pbxapi user` may write `api_users`. The daemon
knows of a new PIN within half a minute.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from pbxapi.access.passwords import hash_password
from pbxapi.commands.operators_directory import directory_to_write
from pbxapi.commands.secret_input import read_secret
from pbxapi.directory.pool import Directory
from pbxapi.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi agent`."""
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    pin = tasks.add_parser("pin", help="give an agent a PIN, asked for or one line of input")
    pin.add_argument("number", help="the agent's number")
    pin.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do the task; exit code 0."""
    async with directory_to_write("agents", args.config, environ) as directory:
        await _set_pin(directory, args.number)
    return 0


async def _set_pin(directory: Directory, number: str) -> None:
    no_such_agent = UsageError(f"there is no agent {number}")
    if not await directory.fetch("agent_by_number", number):
        raise no_such_agent
    if not await directory.fetch("agent_set_pin", number, hash_password(read_secret("PIN"))):
        raise no_such_agent
    print(f"agent {number} has a new PIN")

"""Add, change, list and remove the users of the API.

A password comes from a prompt, or as one line of standard input where that is no terminal; never
from the command line, which every process of the host can read. The daemon knows of a change
within five seconds. All of it needs a role that may write `api_users`; where the daemon's own role
may not, give another one with `PBXAPI_DATABASE_DSN`.
"""

import argparse
import ipaddress
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pbxapi.access.credentials import MAX_CREDENTIAL_CHARS, is_credential
from pbxapi.access.passwords import hash_password
from pbxapi.access.users import PERMISSIONS, Row
from pbxapi.commands.operators_directory import directory_to_write
from pbxapi.commands.secret_input import read_secret
from pbxapi.directory.pool import Directory
from pbxapi.errors import UsageError

_HEADINGS: Final = ("NAME", "STATE", "PERMISSIONS", "NETWORKS")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi user`."""
    tasks = parser.add_subparsers(dest="task", metavar="TASK", required=True)
    add = tasks.add_parser("add", help="add a user")
    add.add_argument("name", type=_name)
    _add_allow(add, required=True)
    _add_network(add, default=[], without_it="from anywhere")
    change = tasks.add_parser("set", help="change what a user may do, and from where")
    change.add_argument("name", type=_name)
    change.set_defaults(bad_usage=change.error)
    _add_allow(change, required=False)
    networks = change.add_mutually_exclusive_group()
    _add_network(networks, default=None, without_it="as before")
    networks.add_argument(
        "--anywhere",
        dest="network",
        action="store_const",
        const=[],
        help="the user may come from anywhere",
    )
    for task, summary in _NAMED_TASKS.items():
        tasks.add_parser(task, help=summary).add_argument("name", type=_name)
    tasks.add_parser("list", help="list all users")
    for task_parser in tasks.choices.values():
        task_parser.add_argument("--config", type=Path, metavar="FILE", help="configuration (TOML)")


def _add_allow(parser: argparse.ArgumentParser, *, required: bool) -> None:
    parser.add_argument(
        "--allow",
        type=_permissions,
        required=required,
        metavar="PERMISSION[,PERMISSION…]",
        help=f"all that the user may do: {', '.join(sorted(PERMISSIONS))}",
    )


def _add_network(
    parser: argparse._ActionsContainer, *, default: list[str] | None, without_it: str
) -> None:
    parser.add_argument(
        "--network",
        type=_network,
        action="append",
        default=default,
        metavar="CIDR",
        help=f"where the user may come from; may be repeated; without it {without_it}",
    )


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do the task; exit code 0."""
    if args.task == "set" and args.allow is None and args.network is None:
        args.bad_usage("nothing to change: give --allow, --network or --anywhere")
    async with directory_to_write("api_users", args.config, environ) as directory:
        await _TASKS[args.task](directory, args)
    return 0


async def _add(directory: Directory, args: argparse.Namespace) -> None:
    taken = f"there is a user {args.name} already"
    if await directory.fetch("user_by_name", args.name):
        raise UsageError(taken)
    row = (args.name, hash_password(read_secret("password")), args.allow, args.network)
    if not await directory.fetch("user_add", *row):
        raise UsageError(taken)
    print(f"user {args.name} is added")


async def _set(directory: Directory, args: argparse.Namespace) -> None:
    changed = await directory.fetch("user_set_rights", args.name, args.allow, args.network)
    if not changed:
        raise _no_such_user(args.name)
    _print_users(changed)


async def _passwd(directory: Directory, args: argparse.Namespace) -> None:
    if not await directory.fetch("user_by_name", args.name):
        raise _no_such_user(args.name)
    password_hash = hash_password(read_secret("password"))
    if not await directory.fetch("user_set_password", args.name, password_hash):
        raise _no_such_user(args.name)
    print(f"user {args.name} has a new password")


async def _enable(directory: Directory, args: argparse.Namespace) -> None:
    enabled = args.task == "enable"
    if not await directory.fetch("user_set_enabled", args.name, enabled):
        raise _no_such_user(args.name)
    print(f"user {args.name} is {args.task}d")


async def _remove(directory: Directory, args: argparse.Namespace) -> None:
    if not await directory.fetch("user_remove", args.name):
        raise _no_such_user(args.name)
    print(f"user {args.name} is removed")


async def _list(directory: Directory, _args: argparse.Namespace) -> None:
    _print_users(await directory.fetch("users"))


_NAMED_TASKS: Final = {
    "passwd": "give a user another password",
    "enable": "let a user in again",
    "disable": "keep a user out",
    "remove": "remove a user",
}
_TASKS: Final[dict[str, Callable[[Directory, argparse.Namespace], Awaitable[None]]]] = {
    "add": _add,
    "set": _set,
    "passwd": _passwd,
    "enable": _enable,
    "disable": _enable,
    "remove": _remove,
    "list": _list,
}


def _no_such_user(name: str) -> UsageError:
    return UsageError(f"there is no user {name}")


def _print_users(users: Sequence[Row]) -> None:
    rows = [
        (
            user["username"],
            "enabled" if user["enabled"] else "disabled",
            ",".join(sorted(user["permissions"] or ())) or "-",
            ",".join(user["networks"] or ()) or "anywhere",
        )
        for user in users
    ]
    _print_table([_HEADINGS, *rows])


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())


def _name(text: str) -> str:
    if not is_credential(text):
        raise argparse.ArgumentTypeError(
            f"a name has 1 to {MAX_CREDENTIAL_CHARS} characters and no control characters"
        )
    return text


def _permissions(text: str) -> list[str]:
    names = {name.strip() for name in text.split(",") if name.strip()}
    if unknown := sorted(names - PERMISSIONS):
        known = ", ".join(sorted(PERMISSIONS))
        raise argparse.ArgumentTypeError(f"no such permission: {', '.join(unknown)} (of {known})")
    if not names:
        raise argparse.ArgumentTypeError("no permission is named")
    return sorted(names)


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

"""Create the database schema, bring it up to date, or say how it stands.

`init` and `upgrade` need a role that owns the schema; where the daemon's own role does not, give
another one with `PBXAPI_DATABASE_DSN`. All three can be run again at any time.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from pbxapi.config_reading import load
from pbxapi.directory import migrations
from pbxapi.directory.migrations import Status
from pbxapi.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi db`."""
    parser.add_argument(
        "task",
        choices=("init", "upgrade", "status"),
        help="init: create the schema; upgrade: apply what is new; status: what is applied",
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML")


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Do the task; exit code 0 where the schema is as this version wants it."""
    dsn = load(args.config, environ, require_ami_secret=False).database.dsn
    if args.task == "status":
        found = await migrations.status(dsn)
        _print(found)
        if found.problem is not None:
            raise UsageError(found.problem)
        return 0
    before = await migrations.status(dsn)
    if args.task == "init" and before.applied:
        print("the schema exists already: upgrading")
    after = await migrations.upgrade(dsn, print, create=args.task == "init")
    if not before.pending:
        print("nothing to apply")
    print(f"the schema is at {after.applied[-1]}")
    return 0


def _print(found: Status) -> None:
    for line in found.applied:
        state = "changed" if line in found.changed else "unknown" if line in found.unknown else "ok"
        print(f"{state:8} {line}")
    if not found.foreign:
        for migration in found.pending:
            print(f"{'pending':8} {migration}")
    for role in found.missing_roles if found.applied else ():
        print(f"{'missing':8} role {role}: run `pbxapi db upgrade` as a role that may create roles")

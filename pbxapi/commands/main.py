"""The command line: `pbxapi COMMAND …`.

Exit codes: 0 fine, 1 a failure that one line on standard error explains, 2 bad usage.
"""

import argparse
import asyncio
import errno
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType, ModuleType
from typing import Final

from pbxapi import __version__
from pbxapi.errors import PbxapiError, UsageError

#: As a shell tells of a process that SIGINT ended.
INTERRUPTED: Final = 128 + signal.SIGINT
#: Each is a module of this package.
COMMANDS: Final = ("serve", "check", "demo", "simulate", "load", "db", "user", "agent")
#: What a write to standard output ends in, besides EPIPE, where the disk is full or has gone.
_UNWRITABLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def _module(command: str) -> ModuleType:
    return importlib.import_module(f"pbxapi.commands.{command}")


def make_parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    """The parser of this command line; each command adds its own arguments.

    Where the command comes first, no other is imported: that takes longer than most of them do.
    """
    parser = argparse.ArgumentParser(
        prog="pbxapi", description="The legacy api.php of an Asterisk PBX, as a daemon."
    )
    parser.add_argument("--version", action="version", version=f"pbxapi {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name in argv[:1] if argv and argv[0] in COMMANDS else COMMANDS:
        module = _module(name)
        summary = (module.__doc__ or "").splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=summary, description=summary))
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    argv = sys.argv[1:] if argv is None else argv
    # asyncio's own handler would only cancel a task: Ctrl-C at a prompt would have to be repeated.
    signal.signal(signal.SIGINT, _interrupt)
    try:
        # To import the command may take a second, in which somebody thinks better of it.
        parser = make_parser(argv)
        args, rest = parser.parse_known_args(argv)
        if rest:
            parser.error(f"unrecognized arguments: {_without_values(rest)}")
        code: int = asyncio.run(_module(args.command).run(args, os.environ))
    except PbxapiError as error:
        code = _fail(error)
    except ExceptionGroup as group:  # a task group wraps what ends it
        ours, others = group.split(lambda each: isinstance(each, PbxapiError) or _is_output(each))
        if ours is None or others is not None:
            raise
        first = _first_of(ours)
        code = _fail(first) if isinstance(first, PbxapiError) else _not_written(first)
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:
        if not _is_output(error):
            raise
        code = _not_written(error)
    return _flush(code)


def _without_values(arguments: Sequence[str]) -> str:
    """Names of options alone: somebody may have tried to give a password so."""
    return " ".join(each.partition("=")[0] if each[:1] == "-" else "…" for each in arguments)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _fail(error: Exception) -> int:
    print(f"pbxapi: {error}", file=sys.stderr)
    return 1


def _first_of(error: Exception) -> Exception:
    return _first_of(error.exceptions[0]) if isinstance(error, ExceptionGroup) else error


def _is_output(error: BaseException) -> bool:
    """Whether it tells that standard output cannot be written to."""
    if isinstance(error, BrokenPipeError):
        return True
    return isinstance(error, OSError) and error.errno in _UNWRITABLE and error.filename is None


def _not_written(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):  # the reader has read enough, as with `| head`
        return 1
    return _fail(UsageError(f"standard output: {getattr(error, 'strerror', error)}"))


def _flush(code: int) -> int:
    """Write what has been printed; returns the exit code, which is 1 where that cannot be had.

    It is not left to the interpreter, which would complain in several lines.
    """
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or _not_written(error)
    return code

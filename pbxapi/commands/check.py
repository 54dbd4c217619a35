"""Try everything that the daemon needs, and say what to do where it is not well."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from pbxapi import log
from pbxapi.config_reading import load
from pbxapi.doctor.examination import examine
from pbxapi.doctor.finding import Finding, Level, fail, ok
from pbxapi.doctor.patient import ASTERISK_FOLDER, Patient
from pbxapi.errors import UsageError
from pbxapi.redaction import Redactor

_COLOURS: Final = {Level.OK: "32", Level.WARN: "33", Level.FAIL: "31;1"}
_WIDTH: Final = max(len(level.value) for level in Level)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `pbxapi check`."""
    parser.add_argument("--config", type=Path, metavar="FILE", help="configuration in TOML")
    parser.add_argument(
        "--asterisk-etc",
        type=Path,
        default=ASTERISK_FOLDER,
        metavar="DIR",
        help=f"where Asterisk's own files are (default: {ASTERISK_FOLDER})",
    )


async def run(args: argparse.Namespace, environ: Mapping[str, str]) -> int:
    """Print a line for each finding; 1 where one of them is a FAIL."""
    log.configure("critical", "console")  # the lines say it all
    printer = _Printer()
    try:
        config = load(args.config, environ)
    except UsageError as error:
        printer.tell("config", fail(str(error), "mend it; nothing else was looked at"))
        return 1
    printer.hide(config.ami.secret, config.database.dsn)
    printer.tell("config", ok(f"{args.config or 'the environment'} can be read"))
    patient = Patient(
        config=config, environ=environ, path=args.config, asterisk_folder=args.asterisk_etc
    )
    return 0 if await examine(patient, printer.tell) else 1


class _Printer:
    """One line for each finding, coloured on a terminal, and without any secret."""

    def __init__(self) -> None:
        self._in_colour = sys.stdout is not None and sys.stdout.isatty()
        self._redactor = Redactor()

    def hide(self, *secrets: str) -> None:
        """Print none of these texts."""
        self._redactor = Redactor(secrets)

    def tell(self, area: str, finding: Finding) -> None:
        """Print it."""
        level = finding.level.value.ljust(_WIDTH)
        if self._in_colour:
            level = f"\033[{_COLOURS[finding.level]}m{level}\033[0m"
        text = f"{finding.text}; {finding.remedy}" if finding.remedy else finding.text
        line = " ".join(self._redactor.text(text).split())
        print(f"{level}  {area}: {line}", flush=True)

"""Files: the record roots, and who may read the secrets."""

import os
import secrets
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pbxapi.doctor.finding import Finding, fail, ok, warn
from pbxapi.doctor.patient import Patient

#: Where Asterisk records to, unless asterisk.conf says otherwise.
MONITOR: Final = Path("/var/spool/asterisk/monitor")
_SECRETS: Final = (("ami", "secret"), ("database", "dsn"))


def roots(patient: Patient, monitor: Path) -> Iterator[Finding]:
    """Whether recordings can be moved there; `monitor` is where Asterisk writes them."""
    paths = patient.config.records.roots
    for path in paths:
        yield from _root(path)
    if not any(monitor.is_relative_to(path) for path in paths):
        yield warn(
            f"Asterisk records to {monitor}, outside of [records] roots",
            "moverecord cannot move what it writes there: add it",
        )
    yield from _distances(paths, monitor)


def _root(path: Path) -> Iterator[Finding]:
    try:
        found = path.stat()
    except OSError as error:
        yield fail(f"{path}: {error.strerror}", "make it, mount it, or change [records] roots")
        return
    if not stat.S_ISDIR(found.st_mode):
        yield fail(f"{path} is no folder", "change [records] roots")
        return
    if path.resolve() != path:
        yield warn(
            f"{path} leads to {path.resolve()}",
            "moverecord follows no links: name the real folder in [records] roots",
        )
    if obstacle := _cannot_write(path):
        yield fail(
            f"{path} cannot be written to as user {os.geteuid()}: {obstacle}",
            "give the daemon's group the right; run this check as the daemon's user",
        )
    else:
        yield ok(f"{path} can be written to")


def _cannot_write(path: Path) -> str:
    """Why no file can be made there; "" where one can, which is gone again."""
    try:
        probe = path / f".pbxapi-check-{secrets.token_hex(8)}"
        with probe.open("xb"):
            pass
        probe.unlink()
    except OSError as error:
        return error.strerror or type(error).__name__
    return ""


def _distances(paths: tuple[Path, ...], monitor: Path) -> Iterator[Finding]:
    try:
        home = monitor.stat().st_dev
        far = [path for path in paths if path.stat().st_dev != home]
    except OSError:
        return
    for path in far:
        yield ok(f"{path} is another file system than {monitor}: moves to it are copies")


def secret_files(patient: Patient) -> Iterator[Finding]:
    """Whether others than the daemon can read its secrets."""
    files = list(_files_with_secrets(patient))
    open_ones = [path for path in files if _is_open(path)]
    for path in open_ones:
        yield warn(f"every user of this host can read {path}", f"chmod o-r {path}")
    if files and not open_ones:
        yield ok("the secrets are for the daemon alone")


def _files_with_secrets(patient: Patient) -> Iterator[Path]:
    """The files that the configuration names, and itself where a secret stands in it."""
    document: dict[str, dict[str, object]] = {}
    if patient.path is not None:
        document = tomllib.loads(patient.path.read_text("utf-8"))
        if any(key in document.get(section, ()) for section, key in _SECRETS):
            yield patient.path
    credentials = patient.environ.get("CREDENTIALS_DIRECTORY")
    beside = patient.path.parent if patient.path else Path()
    for section, key in _SECRETS:
        variable = patient.environ.get(f"PBXAPI_{section}_{key}_FILE".upper())
        named = document.get(section, {}).get(f"{key}_file")
        if variable:
            yield Path(credentials or ".") / variable
        elif isinstance(named, str):
            yield Path(credentials or beside) / named
    if patient.config.http.tls_key:
        yield Path(patient.config.http.tls_key)


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False

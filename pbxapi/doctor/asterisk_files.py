"""Asterisk's own files, where Asterisk is on this host and we may read them.

They are read by pyst2's `asterisk.config`, which knows neither `#include` nor templates, nor that a
line may be neither an item nor a category: what it would stumble over is taken out before. What
cannot be read is a warning: the daemon itself needs none of these files.
"""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from asterisk.config import Config as PystConfig, ParseError

from pbxapi.doctor.finding import Finding, fail, ok, some, warn
from pbxapi.doctor.patient import Patient

#: What the daemon wants to hear, and the classes by which it acts (manager.conf.sample).
READ: Final = frozenset({"system", "call", "agent", "dialplan"})
WRITE: Final = frozenset({"originate", "call", "agent", "reporting"})
_INCLUDE: Final = re.compile(r'#\s*(?:try)?include\s+"?([^";]+?)"?\s*(?:;.*)?$', re.IGNORECASE)
#: `[name](template)`, `[name](!)`
_CATEGORY: Final = re.compile(r"(\[[^\]]+\])")
#: Deeper nesting than any real PBX has.
_MAX_DEPTH: Final = 8
_TRUE: Final = frozenset({"yes", "true", "y", "t", "1", "on"})

Section = dict[str, list[str]]


class _Tidied(PystConfig):  # type: ignore[misc]  # pyst2 has no types
    """A file with what it includes, without what pyst2 does not know."""

    def __init__(self, path: Path) -> None:
        self.included: list[str] = []
        self._path = path
        super().__init__(str(path))

    def load(self) -> None:
        """Called by the parser for its lines."""
        self.raw_lines = list(self._lines(self._path, 0))

    def _lines(self, path: Path, depth: int) -> Iterator[str]:
        in_comment = False
        for line in path.read_text("utf-8", "replace").splitlines():
            text = line.strip()
            if text.startswith(";--") or in_comment:
                in_comment = "--;" not in text
            elif found := _INCLUDE.match(text):
                yield from self._include(found[1], depth)
            elif text.startswith("["):
                if category := _CATEGORY.match(text):
                    yield category[1]
            elif "=" in text.partition(";")[0]:
                yield text

    def _include(self, pattern: str, depth: int) -> Iterator[str]:
        self.included.append(Path(pattern).name)
        if depth >= _MAX_DEPTH:
            return
        folder = Path("/") if pattern.startswith("/") else self._path.parent
        for path in sorted(folder.glob(pattern.lstrip("/"))):
            try:
                yield from self._lines(path, depth + 1)
            except OSError:
                continue


def read(path: Path) -> tuple[dict[str, Section], list[str]]:
    """Sections of a file, and the names of the files that it includes.

    Raises:
        OSError, ParseError: it cannot be had, or understood.
    """
    parsed = _Tidied(path)
    sections: dict[str, Section] = {}
    for category in parsed.categories:
        section = sections.setdefault(category.name, {})
        for item in category.items:
            section.setdefault(item.name.lower(), []).append(_value(item))
    return sections, parsed.included


def _value(item: Any) -> str:
    return str(item.value).strip().removeprefix(">").strip()


def monitor_folder(folder: Path, usual: Path) -> Path:
    """Where Asterisk records to, by asterisk.conf; the usual place where that does not tell."""
    try:
        sections, _ = read(folder / "asterisk.conf")
    except (OSError, ParseError):
        return usual
    spool = _last(sections.get("directories", {}), "astspooldir")
    return Path(spool) / "monitor" if spool else usual


def look(patient: Patient) -> Iterator[Finding]:
    """What the files say of manager, dial plan and call records."""
    yield from _one(patient, "manager.conf", _manager)
    yield from _one(patient, "extensions.conf", _extensions)
    yield from _one(patient, "cdr_pgsql.conf", _cdr)


def _one(patient: Patient, name: str, judge: Any) -> Iterator[Finding]:
    path = patient.asterisk_folder / name
    try:
        sections, included = read(path)
    except FileNotFoundError as error:
        remedy = "say by --asterisk-etc where Asterisk's files are; dialplan/README.md tells of it"
        yield warn(f"{path}: {error.strerror}", remedy)
    except OSError as error:
        yield warn(f"{path}: {error.strerror}", "run this check as a user who may read it")
    except (ParseError, ValueError):
        yield warn(f"{path} cannot be understood", "compare it with the sample in dialplan/")
    else:
        yield from judge(patient, sections, included)


def _manager(
    patient: Patient, sections: dict[str, Section], _included: list[str]
) -> Iterator[Finding]:
    ami, general = patient.config.ami, sections.get("general", {})
    if _last(general, "enabled").lower() not in _TRUE:
        yield fail("manager.conf: AMI is not enabled", "`enabled = yes` in [general]")
    if (port := _last(general, "port") or "5038") != str(ami.port):
        yield warn(f"manager.conf: port is {port}, [ami] port is {ami.port}", "mend one of them")
    user = sections.get(ami.username)
    if user is None:
        yield fail(
            f"manager.conf has no user {ami.username}", "add it after dialplan/manager.conf.sample"
        )
        return
    if _last(user, "secret") not in ("", ami.secret):
        yield fail(f"manager.conf: {ami.username} has another secret", "mend [ami] secret")
    for key, wanted in (("read", READ), ("write", WRITE)):
        yield _classes(key, wanted, _last(user, key))
    yield from _networks(user)


def _classes(key: str, wanted: frozenset[str], given: str) -> Finding:
    classes = {word.strip().lower() for word in given.split(",")}
    missing = sorted(wanted - classes)
    if missing and "all" not in classes:
        return fail(
            f"manager.conf: `{key}` lacks {some(missing)}",
            "add it, `manager reload`, and restart the daemon",
        )
    return ok(f"manager.conf: `{key}` has what the daemon needs")


def _networks(user: Section) -> Iterator[Finding]:
    """Whether this host may come in, where Asterisk lets in some only."""
    permits = [_network(text) for text in user.get("permit", ())]
    here = ipaddress.ip_address("127.0.0.1")
    if user.get("deny") and not any(n is not None and here in n for n in permits):
        yield warn(
            "manager.conf: `permit` does not name 127.0.0.1",
            "add `permit = 127.0.0.1/255.255.255.255`",
        )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _extensions(
    _patient: Patient, _sections: dict[str, Section], included: list[str]
) -> Iterator[Finding]:
    if "pbxapi.conf" in included:
        yield ok("extensions.conf includes pbxapi.conf")
    else:
        yield warn(
            "extensions.conf does not include pbxapi.conf",
            "`#include pbxapi.conf` after [globals], then `dialplan reload`",
        )


def _cdr(
    _patient: Patient, sections: dict[str, Section], _included: list[str]
) -> Iterator[Finding]:
    table = _last(sections.get("global", {}), "table")
    if table == "pbxapi.cdr":
        yield ok("cdr_pgsql.conf writes to pbxapi.cdr")
    else:
        yield warn(
            f"cdr_pgsql.conf writes to {table or 'no table'}",
            "`table = pbxapi.cdr`, or let pbxapi.cdr be a view of that table",
        )


def _last(section: Section, key: str) -> str:
    return section.get(key, [""])[-1]

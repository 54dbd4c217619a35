"""Reading the configuration: one TOML file, each key of which the environment can override.

`load` reads everything, checks everything, and reports all faults at once by `section.key`.

- `PBXAPI_<SECTION>_<KEY>` beats the file; a list is comma separated there. A variable of a section
  of ours whose key does not exist is an error like an unknown key in the file; `PBXAPI_` names
  beyond our sections belong to others.
- A secret (`ami.secret`, `database.dsn`) can be given as the name of a file that holds it,
  `<key>_file`, for systemd's `LoadCredential`. One place gives the one or the other, not both;
  whatever the environment gives beats whatever the file gives. Line ends after the secret are
  dropped. A relative name is looked for in `$CREDENTIALS_DIRECTORY` if systemd set that, else
  beside the configuration file, or in the current directory if the environment gave the name.
- No message and no repr shows the value of a secret, and no message is such that the redaction of
  the log takes a part of it for one.
"""

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, fields
from pathlib import Path
from typing import Any, Final

from pbxapi import config_values as values
from pbxapi.config import Config, Key, ami_secret
from pbxapi.errors import UsageError
from pbxapi.redaction import is_secret_name

ENVIRONMENT_PREFIX: Final = "PBXAPI_"
#: A secret file is one line; more than this is some other file.
_MAX_SECRET_BYTES: Final = 16 * 1024
_MAX_SHOWN_CHARACTERS: Final = 60

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_KINDS: Final[dict[type, str]] = {str: "text", int: "a whole number", list: "a list of texts"}


def load(
    path: Path | None, environ: Mapping[str, str], *, require_ami_secret: bool = True
) -> Config:
    """Read the file and the environment.

    Args:
        path: The configuration file; None where there is none.
        environ: The environment variables.
        require_ami_secret: False for commands that have nothing to do with Asterisk: they need
            not be able to read its secret, which is then "".

    Raises:
        UsageError: with everything that is wrong, in one line.
    """
    document = {} if path is None else _read_toml(path)
    return _Loader(path, environ, require_ami_secret=require_ami_secret).load(document)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        content = path.read_bytes()
        return tomllib.loads(content.decode())
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{path}: is not UTF-8 (at line {line})") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: is not TOML: {error}") from None
    except RecursionError:
        raise UsageError(f"{path}: is nested too deeply") from None


@dataclass(frozen=True, slots=True)
class _Place:
    """What one source, the environment or the file, gives for one section."""

    section: str
    given: Mapping[str, Any]
    #: Relative names of secret files are looked for here.
    folder: Path
    is_environment: bool = False

    def label(self, key: str) -> str:
        """The key as messages name it."""
        label = f"{self.section}.{_shown(key)}"
        if self.is_environment:
            return f"{label} ({_variable(self.section, key)})"
        # What stands after the name of a secret and a colon is masked in the log and by `check`.
        return f"{label} (in the file)" if is_secret_name(key) else label


def _variable(section: str, key: str) -> str:
    return f"{ENVIRONMENT_PREFIX}{section}_{key}".upper()


def _shown(name: str) -> str:
    """A name out of the file in a form that stays in its line."""
    return name if _BARE_KEY.fullmatch(name) else ascii(name)


_ABSENT: Final = object()
_SECTIONS: Final[dict[str, Any]] = {part.name: part.type for part in fields(Config)}


class _Loader:
    """One reading; collects what is wrong."""

    def __init__(
        self, path: Path | None, environ: Mapping[str, str], *, require_ami_secret: bool
    ) -> None:
        self._source = path or "configuration"
        credentials = environ.get("CREDENTIALS_DIRECTORY")
        self._file_folder = Path(credentials or (path.parent if path else "."))
        self._environ_folder = Path(credentials or ".")
        self._environ = environ
        self._require_ami_secret = require_ami_secret
        self._faults: list[str] = []

    def load(self, document: Mapping[str, Any]) -> Config:
        """The configuration; every section is read before anything is complained of."""
        for name in document:
            if name not in _SECTIONS:
                self._faults.append(f"{_shown(name)}: there is no such section")
        sections = {name: self._read_section(name, document.get(name, {})) for name in _SECTIONS}
        if self._faults:
            raise UsageError(f"{self._source}: {'; '.join(self._faults)}")
        return Config(**{name: _SECTIONS[name](**keys) for name, keys in sections.items()})

    def _read_section(self, section: str, table: object) -> dict[str, Any]:
        if not isinstance(table, dict):
            self._faults.append(f"{section}: must be a table, [{section}]")
            table = {}
        prefix = _variable(section, "")
        variables = {
            name.removeprefix(prefix).lower(): value
            for name, value in self._environ.items()
            if name.startswith(prefix) and name.isupper()
        }
        # The environment comes first: it wins.
        places = (
            _Place(section, variables, self._environ_folder, is_environment=True),
            _Place(section, table, self._file_folder),
        )
        keys = fields(_SECTIONS[section])
        self._refuse_unknown(places, keys)
        values = {key.name: self._read_key(places, key) for key in keys}
        return {name: value for name, value in values.items() if value is not _ABSENT}

    def _refuse_unknown(self, places: tuple[_Place, ...], keys: tuple[Field[Any], ...]) -> None:
        known = {key.name for key in keys}
        known |= {f"{key.name}_file" for key in keys if key.metadata["key"].is_secret}
        for place in places:
            for name in place.given:
                if name not in known:
                    self._faults.append(f"{place.label(name)}: there is no such key")

    def _read_key(self, places: tuple[_Place, ...], key: Field[Any]) -> Any:
        """The value of a key; absent where nobody gives it, or where it is wrong."""
        name, rules = key.name, key.metadata["key"]
        is_ami_secret = rules.check is ami_secret
        if is_ami_secret and not self._require_ami_secret:
            return _ABSENT
        for place in places:
            in_file = rules.is_secret and f"{name}_file" in place.given
            if in_file and name in place.given:
                self._faults.append(f"{place.label(name)}: give it or {name}_file, not both")
                return _ABSENT
            if in_file:
                return self._attempt(_read_secret, place, f"{name}_file", rules)
            if name in place.given:
                return self._attempt(_read_value, place, name, rules)
        if is_ami_secret:
            self._faults.append(
                "ami.secret is missing; give it, ami.secret_file, "
                f"{_variable('ami', 'secret')} or {_variable('ami', 'secret_file')}"
            )
        return _ABSENT

    def _attempt(
        self, read: Callable[[_Place, str, Key], Any], place: _Place, name: str, rules: Key
    ) -> Any:
        try:
            return read(place, name, rules)
        except ValueError as error:
            self._faults.append(f"{place.label(name)}: {error}")
            return _ABSENT


def _read_value(place: _Place, name: str, rules: Key) -> Any:
    given = place.given[name]
    try:
        value = _from_text(given, rules.kind) if place.is_environment else _of_kind(given, rules)
        return rules.check(value)
    except ValueError as error:
        if rules.is_secret:
            raise
        raise ValueError(f"{error}; it is {_excerpt(given)}") from None


def _from_text(text: str, kind: type) -> Any:
    """A variable of the environment as TOML would have it."""
    if kind is int:
        return values.whole_number(text)
    if kind is list:
        return [item.strip() for item in text.split(",") if item.strip()]
    return text


def _of_kind(value: Any, rules: Key) -> Any:
    # Not isinstance: a boolean is no whole number here.
    right = type(value) is rules.kind
    if right and rules.kind is list:
        right = all(type(item) is str for item in value)
    if not right:
        raise ValueError(f"must be {_KINDS[rules.kind]}")
    return value


def _excerpt(value: object) -> str:
    text = ascii(value)
    return text if len(text) <= _MAX_SHOWN_CHARACTERS else f"{text[:_MAX_SHOWN_CHARACTERS]}…"


def _unread(given: str, folder: Path) -> str:
    """A file as messages name it; a name without folder may be the secret, in the wrong key."""
    return _excerpt(given) if given.startswith("/") else f"the file of that name in {folder}"


def _read_secret(place: _Place, name: str, rules: Key) -> Any:
    """The secret out of the file that the key names."""
    given = place.given[name]
    if not isinstance(given, str):
        raise ValueError("must be text")  # noqa: TRY004 - collected like the other faults
    path = place.folder / values.printable(given)
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_SECRET_BYTES + 1)
    except OSError as error:
        # No colon: systemd's path has "credentials" in it, which is like the name of a secret too.
        raise ValueError(f"cannot read {_unread(given, place.folder)} ({error.strerror})") from None
    if len(content) > _MAX_SECRET_BYTES:
        raise ValueError(f"{_excerpt(str(path))} has more than {_MAX_SECRET_BYTES} bytes")
    try:
        secret = content.decode()
    except UnicodeDecodeError:
        raise ValueError(f"{_excerpt(str(path))} is not UTF-8") from None
    try:
        return rules.check(secret.rstrip("\r\n"))
    except ValueError as error:
        raise ValueError(f"what {_excerpt(str(path))} holds {error}") from None

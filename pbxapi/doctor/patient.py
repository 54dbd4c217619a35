"""What one examination knows: the configuration, and what each area found out for the next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pbxapi.ami.session import AmiSession
from pbxapi.config import Config

#: Where Asterisk keeps its files unless its build says otherwise.
ASTERISK_FOLDER = Path("/etc/asterisk")


@dataclass(frozen=True, slots=True)
class Named:
    """A row of the directory.

    Attributes:
        technology: Of an account or a trunk; "" of others.
    """

    id: str
    name: str
    technology: str


@dataclass(slots=True, kw_only=True)
class Patient:
    """The daemon that is looked at, though it need not run.

    Attributes:
        environ: The environment variables.
        path: The configuration file; None where there is none.
        asterisk_folder: Where Asterisk's own files are, if it is on this host.
        directory: Kind → what the directory has of it; empty as long as nobody has asked.
        session: Logged in to Asterisk; None as long as nobody is.
        may: Actions that the manager user may send.
        events: Names of the events that have come.
    """

    config: Config
    environ: Mapping[str, str]
    path: Path | None
    asterisk_folder: Path = ASTERISK_FOLDER
    directory: dict[str, list[Named]] = field(default_factory=dict)
    session: AmiSession | None = None
    may: frozenset[str] = frozenset()
    events: set[str] = field(default_factory=set)

    @property
    def ami(self) -> AmiSession:
        """The session, in areas that come after the login."""
        assert self.session is not None  # noqa: S101 - an area says what it needs
        return self.session

    @property
    def technologies(self) -> set[str]:
        """Those of the accounts and trunks of the directory."""
        rows = [*self.directory.get("account", ()), *self.directory.get("trunk", ())]
        return {row.technology for row in rows}

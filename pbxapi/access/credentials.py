"""Who a request comes from, told by user name and password."""

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

import structlog

from pbxapi.access.known import KnownRows
from pbxapi.access.passwords import PasswordChecker
from pbxapi.access.proof import MAX_CREDENTIAL_CHARS, Prover, is_credential
from pbxapi.access.users import ApiUser, Row, StoredUser, read_user
from pbxapi.faults import Fault

__all__ = ["MAX_CREDENTIAL_CHARS", "ApiUser", "Gatekeeper", "is_credential"]

_log = structlog.get_logger()


class Queries(Protocol):
    """Runs named statements of the directory."""

    async def fetch(self, name: str, /, *args: object) -> Sequence[Row]:
        """Rows of the statement; raises DatabaseUnavailable."""


class Gatekeeper:
    """Lets users in whose name and password are right.

    Args:
        queries: The directory.
        clock: Monotonic seconds.

    Attributes:
        passwords: Checks passwords that were not right before.
    """

    def __init__(self, queries: Queries, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._queries = queries
        self._users = KnownRows(self._read, clock)
        self.passwords = PasswordChecker()
        self._prover = Prover(self._users, self.passwords)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End what runs in the background."""
        await self._users.close()
        await self.passwords.close()

    def all_changed(self) -> None:
        """What the directory says of any user may be new."""
        self._users.all_changed()

    async def authenticate(self, username: str, password: str) -> ApiUser:
        """The user of this name, if the password is right and the user enabled.

        Raises:
            Fault: 100, if not; 903, too many passwords are being checked.
            DatabaseUnavailable: there is no knowing.
        """
        if not is_credential(username) or not is_credential(password):
            raise Fault(100)
        known = await self._prover.known(username)
        if not await self._prover.is_right(known, username, password):
            raise _refused(username, "unknown user" if known.stored is None else "wrong password")
        if known.stored is None or not known.stored.enabled:
            raise _refused(username, "disabled")
        return known.stored.user

    async def _read(self, username: str) -> StoredUser | None:
        rows = await self._queries.fetch("user_by_name", username)
        return read_user(rows[0]) if len(rows) == 1 else None


def _refused(username: str, why: str) -> Fault:
    _log.info("access.refused", username=username, why=why)
    return Fault(100)

"""Who a request comes from, told by user name and password."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Protocol, Self

import structlog

from pbxapi.access.known import Known, KnownRows
from pbxapi.access.lockout import NOTED_S, Lockout
from pbxapi.access.passwords import PasswordChecker
from pbxapi.access.proof import MAX_CREDENTIAL_CHARS, Prover, is_credential
from pbxapi.access.users import ApiUser, IpAddress, Row, StoredUser, read_user
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
        max_failures, lockout_s: See `Lockout`.
        clock: Monotonic seconds.

    Attributes:
        passwords: Checks passwords that were not right before.
        lockout: Who may not even try, and how many did.
    """

    def __init__(
        self,
        queries: Queries,
        *,
        max_failures: int,
        lockout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queries = queries
        self._users = KnownRows(self._read, clock)
        self.passwords = PasswordChecker()
        self.lockout = Lockout(max_failures, lockout_s, clock)
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

    async def authenticate(
        self, username: str, password: str, address: IpAddress | None
    ) -> ApiUser:
        """The user of this name, if the password is right and he may come in from there.

        Whatever is wrong, it looks the same and takes as long; being locked out does so too.

        Raises:
            Fault: 100, if not; 903, locked out, or too many passwords are being checked.
            DatabaseUnavailable: there is no knowing.
        """
        if not is_credential(username) or not is_credential(password):
            raise Fault(100)
        home = self.lockout.admit(username, address)
        known = await self._prover.known(username)
        why = _obstacle(known, address)
        if why:  # no password is his here: what he gave is compared with the decoy
            known = replace(known, stored=None, proof=None)
        if known.stored is None or not self._prover.remembers(known, username, password):
            right = await self._prover.is_right(known, username, password)
            # Guesses that ran beside this one may have used up what was left.
            self.lockout.admit(username, address)
            if known.stored is None or not right:
                self._failed(username, address, why or "wrong password")
                raise Fault(100)
        if home is None or known.read_at - home.proven_at > NOTED_S:
            self.lockout.proven(username, address)
        return known.stored.user

    def proof_of(self, username: str, password: str) -> bytes | None:
        """What may stand for this right password in `recognise`; None where it is not known."""
        return self._prover.proof_of(username, password)

    def recognise(self, username: str, proof: bytes, address: IpAddress | None) -> ApiUser | None:
        """The user, if memory alone says that `authenticate` would let him in now.

        None says nothing: `authenticate` has to be asked then, which also counts, tells and takes
        its time.
        """
        home = self.lockout.home(username, address)
        known = self._prover.fresh(username)
        if home is None or known is None or known.stored is None or _obstacle(known, address):
            return None
        if not self._prover.is_proof(known, proof) or known.read_at - home.proven_at > NOTED_S:
            return None
        return known.stored.user

    def _failed(self, username: str, address: IpAddress | None, why: str) -> None:
        where = "" if address is None else str(address)
        _log.info("access.refused", username=username, address=where, why=why)
        locked = self.lockout.failed(username, address)
        if locked:
            _log.warning("access.locked", username=username, address=where, locked=locked)

    async def _read(self, username: str) -> StoredUser | None:
        rows = await self._queries.fetch("user_by_name", username)
        return read_user(rows[0]) if len(rows) == 1 else None


def _obstacle(known: Known[StoredUser], address: IpAddress | None) -> str:
    """Why not even the right password lets this user in; "" where it does."""
    if known.stored is None:
        return "unknown user"
    if not known.stored.enabled:
        return "disabled"
    return "" if known.stored.user.may_come_from(address) else "network"

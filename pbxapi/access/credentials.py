"""Who a request comes from, told by user name and password.

The normal request costs microseconds: its row is in memory (`known`), and its password was right
before. Of such a password only a digest is kept, under a key that this process made for itself,
over the user name, the password and the hash it was checked against: a new hash makes it void.
"""

import hashlib
import hmac
import re
import secrets
import time
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

import structlog

from pbxapi.access.known import KnownUser, KnownUsers, Queries
from pbxapi.access.passwords import PasswordChecker
from pbxapi.access.users import ApiUser
from pbxapi.faults import Fault

__all__ = ["MAX_CREDENTIAL_CHARS", "ApiUser", "Gatekeeper", "is_credential"]

#: As for every parameter (contract, code 902).
MAX_CREDENTIAL_CHARS: Final = 255
#: Control characters, and halves of surrogate pairs, which are no text.
_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DIGEST_BYTES: Final = 32

_log = structlog.get_logger()


def is_credential(text: str) -> bool:
    """Whether this could be a user name or a password at all."""
    return 0 < len(text) <= MAX_CREDENTIAL_CHARS and _UNUSABLE.search(text) is None


class Gatekeeper:
    """Lets users in whose name and password are right.

    Args:
        queries: The directory.
        clock: Monotonic seconds.
    """

    def __init__(self, queries: Queries, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._users = KnownUsers(queries, clock)
        self._passwords = PasswordChecker()
        self._key = secrets.token_bytes(_DIGEST_BYTES)

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
        await self._passwords.close()

    async def authenticate(self, username: str, password: str) -> ApiUser:
        """The user of this name, if the password is right and the user enabled.

        Raises:
            Fault: 100, if not; 903, too many passwords are being checked.
            DatabaseUnavailable: there is no knowing.
        """
        if not is_credential(username) or not is_credential(password):
            raise Fault(100)
        known = self._users.fresh(username) or await self._users.read(username)
        if not await self._is_right(known, username, password):
            raise _refused(username, "unknown user" if known.stored is None else "wrong password")
        if known.stored is None or not known.stored.enabled:
            raise _refused(username, "disabled")
        return known.stored.user

    async def _is_right(self, known: KnownUser, username: str, password: str) -> bool:
        password_hash = None if known.stored is None else known.stored.password_hash
        proof = self._digest(username, password, password_hash or "")
        if known.proof is not None and hmac.compare_digest(known.proof, proof):
            return True
        right = await self._passwords.is_right(proof, username, password, password_hash)
        if right and password_hash is not None:
            self._users.prove(username, password_hash, proof)
        return right

    def _digest(self, *texts: str) -> bytes:
        digest = hashlib.blake2b(key=self._key, digest_size=_DIGEST_BYTES)
        for text in texts:
            data = text.encode()
            digest.update(len(data).to_bytes(4))
            digest.update(data)
        return digest.digest()


def _refused(username: str, why: str) -> Fault:
    _log.info("access.refused", username=username, why=why)
    return Fault(100)

"""argon2id passwords, checked off the event loop and never more than a few at a time.

One check takes a processor for tens of milliseconds on purpose, on a host that carries calls: so
few threads do it, one core stays free of it, and who would have to wait too long is refused. That
concerns only passwords that were not right a moment ago: `credentials` remembers those that were.
"""

import asyncio
import os
import secrets
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from pbxapi.faults import Fault

#: OWASP's choice for one lane: 19 MiB, two passes. argon2-cffi's default of four lanes and 64 MiB
#: would take every core of a PBX at each wrong password.
MEMORY_KIB: Final = 19 * 1024
_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=MEMORY_KIB, parallelism=1)
_ARGON2ID: Final = "$argon2id$"

#: Checks under way or waiting: of all users, a wait of about a second; and of one name, so that
#: guesses at one user cannot take all places.
MAX_CHECKS: Final = 64
MAX_CHECKS_PER_NAME: Final = 4
MAX_THREADS: Final = 4


def hash_password(password: str) -> str:
    """The argon2id PHC string of a password; takes tens of milliseconds."""
    return _HASHER.hash(password)


class PasswordChecker:
    """Compares passwords with hashes in threads.

    Args:
        sharing: Whose threads and decoy to use; without it there are new ones. The places are its
            own.

    Attributes:
        threads: Where it is done.
        decoy: What the secrets of unknown names are compared with.
    """

    def __init__(self, *, sharing: "PasswordChecker | None" = None) -> None:
        self._owns_threads = sharing is None
        self.threads: ThreadPoolExecutor = _make_threads() if sharing is None else sharing.threads
        self._checks: dict[bytes, asyncio.Task[bool]] = {}
        self._names: Counter[str] = Counter()
        self.decoy: str = (
            hash_password(secrets.token_urlsafe()) if sharing is None else sharing.decoy
        )

    async def is_right(
        self, key: bytes, username: str, password: str, password_hash: str | None
    ) -> bool:
        """Whether the password belongs to the hash; None takes as long and is never right.

        Args:
            key: The same for the same question: those who ask it at once share one answer.
            username: Whose password it is said to be.
            password: What to check.
            password_hash: What to check it against.

        Raises:
            Fault: 903, too many checks are waiting.
        """
        check = self._checks.get(key)
        if check is None:
            if len(self._checks) >= MAX_CHECKS or self._names[username] >= MAX_CHECKS_PER_NAME:
                raise Fault(903)
            check = asyncio.create_task(self._check(key, username, password, password_hash))
            self._checks[key] = check
            self._names[username] += 1
        return await asyncio.shield(check)

    async def close(self) -> None:
        """Give up what is not begun."""
        checks = list(self._checks.values())
        for check in checks:
            check.cancel()
        await asyncio.gather(*checks, return_exceptions=True)
        if self._owns_threads:
            self.threads.shutdown(wait=False, cancel_futures=True)

    async def _check(
        self, key: bytes, username: str, password: str, password_hash: str | None
    ) -> bool:
        against = self.decoy if password_hash is None else password_hash
        loop = asyncio.get_running_loop()
        try:
            right = await loop.run_in_executor(self.threads, _verify, against, password)
        finally:
            del self._checks[key]
            self._names[username] -= 1
            if not self._names[username]:
                del self._names[username]
        return right and password_hash is not None


def _make_threads() -> ThreadPoolExecutor:
    cores = os.cpu_count() or 1
    return ThreadPoolExecutor(
        max_workers=min(max(cores - 1, 1), MAX_THREADS), thread_name_prefix="argon2"
    )


def _verify(password_hash: str, password: str) -> bool:
    if not password_hash.startswith(_ARGON2ID):
        return False
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False

"""Whether a secret is right: argon2 once, a keyed digest afterwards.

The normal request costs microseconds: its row is in memory (`known`), and its secret was right
before. Of such a secret only a digest is kept, under a key that this process made for itself, over
the name, the secret and the hash it was checked against: a new hash makes it void.
"""

import hashlib
import hmac
import re
import secrets
from typing import Final, Generic

from pbxapi.access.known import Known, KnownRows, S
from pbxapi.access.passwords import PasswordChecker

__all__ = ["MAX_CREDENTIAL_CHARS", "Prover", "is_credential"]

#: As for every parameter (contract, code 902).
MAX_CREDENTIAL_CHARS: Final = 255
#: Control characters, and halves of surrogate pairs, which are no text.
_UNUSABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_DIGEST_BYTES: Final = 32


def is_credential(text: str) -> bool:
    """Whether this could be a name or a secret at all."""
    return 0 < len(text) <= MAX_CREDENTIAL_CHARS and _UNUSABLE.search(text) is None


class Prover(Generic[S]):
    """Compares secrets with the rows of one kind.

    Args:
        rows: The rows by name; whoever proves himself is remembered there.
        passwords: Does the expensive part.
    """

    def __init__(self, rows: KnownRows[S], passwords: PasswordChecker) -> None:
        self._rows = rows
        self._passwords = passwords
        self._key = secrets.token_bytes(_DIGEST_BYTES)

    async def known(self, name: str) -> Known[S]:
        """What may be believed about this name now; raises DatabaseUnavailable."""
        return self._rows.fresh(name) or await self._rows.read(name)

    def remembers(self, known: Known[S], name: str, secret: str) -> bool:
        """Whether this secret was right before, for the same hash."""
        return self.is_proof(known, self._proof(known, name, secret))

    def is_proof(self, known: Known[S], proof: bytes) -> bool:
        """Whether the secret that this proof stands for was right, for the same hash."""
        return known.proof is not None and hmac.compare_digest(known.proof, proof)

    def proof_of(self, name: str, secret: str) -> bytes | None:
        """What may stand for this secret as long as its hash is the same; None if it is not right.

        It is told from memory alone, so it is None also where nothing is believed of the name.
        """
        known = self._rows.fresh(name)
        if known is None or not self.remembers(known, name, secret):
            return None
        return known.proof

    def fresh(self, name: str) -> Known[S] | None:
        """What may be believed about this name without asking anybody."""
        return self._rows.fresh(name)

    async def is_right(self, known: Known[S], name: str, secret: str) -> bool:
        """Whether the secret is right; that of an unknown name never is, and takes as long.

        Raises:
            Fault: 903, too many secrets are being checked.
        """
        if self.remembers(known, name, secret):
            return True
        password_hash = None if known.stored is None else known.stored.password_hash
        proof = self._proof(known, name, secret)
        right = await self._passwords.is_right(proof, name, secret, password_hash)
        if right and password_hash is not None:
            self._rows.prove(name, password_hash, proof)
        return right

    def _proof(self, known: Known[S], name: str, secret: str) -> bytes:
        password_hash = "" if known.stored is None else known.stored.password_hash
        digest = hashlib.blake2b(key=self._key, digest_size=_DIGEST_BYTES)
        for text in (name, secret, password_hash):
            data = text.encode()
            digest.update(len(data).to_bytes(4))
            digest.update(data)
        return digest.digest()

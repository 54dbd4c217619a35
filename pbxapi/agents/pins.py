"""Agents prove themselves by number and PIN.

Agent applications ask for the status every second, so a PIN that was right is remembered, and so is
the agent's row. What the daemon itself changes holds at once, what others change in the database
holds after `AGES.max_s`.
"""

import time
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from pbxapi.access.attempts import Attempts
from pbxapi.access.known import Ages, KnownRows
from pbxapi.access.passwords import PasswordChecker
from pbxapi.access.proof import Prover, is_credential
from pbxapi.directory.agent import Agent
from pbxapi.errors import PbxapiError
from pbxapi.faults import Fault

#: Two thousand agents who are asked for all the time cost 200 queries a second.
AGES: Final = Ages(refresh_s=10.0, max_s=30.0)
#: Agents remembered.
MAX_AGENTS: Final = 10_000

_log = structlog.get_logger()


class WrongPin(PbxapiError):
    """There is no such agent, or the PIN is not his: nobody is told which."""


class Finder(Protocol):
    """Finds an agent."""

    async def by_number(self, number: str, /) -> Agent | None:
        """The agent with this number; raises DatabaseUnavailable."""


class AgentPins:
    """Tells who an agent is.

    Args:
        agents: The directory.
        passwords: Whose threads check PINs too, beside and never instead of passwords.
        max_failures: Guesses at one agent before … (of addresses see `Attempts`)
        lockout_s: … there are none for so many seconds.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        agents: Finder,
        passwords: PasswordChecker,
        *,
        max_failures: int,
        lockout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rows = KnownRows(agents.by_number, clock, ages=AGES, max_names=MAX_AGENTS)
        self._passwords = PasswordChecker(sharing=passwords)
        self._prover = Prover(self._rows, self._passwords)
        self._attempts = Attempts(max_failures, lockout_s, clock)

    async def authenticate(self, number: str, pin: str, address: str) -> Agent:
        """The agent of this number, if the PIN is his.

        While an address is locked out, those whose PIN was right before are served as ever.

        Raises:
            WrongPin: there is no such agent, or it is not.
            Fault: 903, too many guesses, or too many PINs are being checked.
            DatabaseUnavailable: there is no knowing.
        """
        if not is_credential(number) or not is_credential(pin):
            raise WrongPin
        self._refuse_if_locked(number)
        known = await self._prover.known(number)
        right = self._prover.remembers(known, number, pin)
        if not right and self._attempts.address_is_locked(address):
            self._attempts.failed(number, address)
            raise Fault(903)
        if not right:
            right = await self._prover.is_right(known, number, pin)
            # Guesses that ran beside this one may have used up what was left.
            self._refuse_if_locked(number)
        if not right or known.stored is None:
            locked = self._attempts.failed(number, address)
            _log.info("agents.refused", number=number, address=address, locked_out=locked)
            raise WrongPin
        self._attempts.right(number)
        return known.stored

    def changed(self, numbers: Iterable[str]) -> None:
        """What the directory says of these agents is new."""
        for number in numbers:
            self._rows.changed(number)

    def all_changed(self) -> None:
        """What the directory says of any agent may be new."""
        self._rows.all_changed()

    def limit(self, max_failures: int, lockout_s: float) -> None:
        """Allow so many guesses from now on."""
        self._attempts.limit(max_failures, lockout_s)

    async def close(self) -> None:
        """End what runs in the background."""
        await self._rows.close()
        await self._passwords.close()

    def _refuse_if_locked(self, number: str) -> None:
        if self._attempts.name_is_locked(number):
            raise Fault(903)

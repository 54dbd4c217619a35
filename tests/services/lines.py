"""The lines of the lab: which SIP accounts exist, whose number each has, in which dialplan.

One source for Asterisk's configuration, for the phones, and for a directory to be seeded with.
"""

from dataclasses import dataclass
from typing import Final, Literal

Technology = Literal["SIP", "PJSIP"]


@dataclass(frozen=True, slots=True)
class Line:
    """One SIP account.

    Attributes:
        username: Name of the account: peer in sip.conf, endpoint in pjsip.conf.
        number: Internal number, unique in its dialplan; several accounts may share it.
        dialplan_id: The line dials in context extensions-dialplanid-<dialplan_id>.
        behind_nat: Asterisk does not trust the address that the telephone gives.
        qualify_ms: How long Asterisk waits for its answer to OPTIONS.
        qualify_s: How often it sends them.
    """

    username: str
    number: str
    dialplan_id: int
    name: str
    account_code: str
    behind_nat: bool = False
    qualify_ms: int = 2000
    qualify_s: int = 15

    @property
    def secret(self) -> str:
        """Password of the account."""
        return f"tajne-{self.username}"


#: Letters and signs that have broken caller ids before.
_NAMES: Final = ("Jan Novák", "Žofie Černá", "Petr Svoboda", "Eva: Malá", 'O\'Neil "Bob"')


def _line(index: int) -> Line:
    number = str(1000 + index)
    return Line(
        username=f"Linka_{number}",
        number=number,
        dialplan_id=1,
        name=_NAMES[index] if index < len(_NAMES) else f"Linka {number}",
        account_code=f"klient{index % 3 + 1}",
        behind_nat=number == BEHIND_NAT,
        qualify_ms=500 if number == IMPATIENT else 2000,
        qualify_s=1 if number == IMPATIENT else 15,
    )


#: The number of a line that Asterisk takes for unreachable soon, so that a test need not wait long.
IMPATIENT: Final = "1019"
#: The number of a line whose telephone is behind NAT.
BEHIND_NAT: Final = "1018"

#: Linka_1000 to Linka_1019; 1010 and 1011 have a second account; 1000 and 1001 of dialplan 2 are
#: numbers that dialplan 1 has too.
LINES: Final[tuple[Line, ...]] = (
    *(_line(index) for index in range(20)),
    Line("Linka_1010b", "1010", 1, "Linka 1010", "klient2"),
    Line("Linka_1011b", "1011", 1, "Linka 1011", "klient3"),
    Line("Linka_2000", "1000", 2, "Druhý plán", "klient1"),
    Line("Linka_2001", "1001", 2, "Druhá Šárka", "klient2"),
)

BY_USERNAME: Final[dict[str, Line]] = {line.username: line for line in LINES}

#: The trunk: peer or endpoint of this name, its provider is played by the tests.
TRUNK: Final = "upc"
#: Direct-dial numbers at the trunk: this + internal number of dialplan 1 rings that line.
DID_PREFIX: Final = "222333"
#: The provider's number that ends in queue 500.
DID_QUEUE: Final = "222333444"

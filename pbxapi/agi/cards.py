"""What a call carries that must not travel through AMI: left here against an unguessable card.

Originate leaves the fields of a call in the cloakroom and puts the card into a channel variable;
the dialplan hands the card in over FastAGI. Whoever has no card gets nothing.
"""

import secrets
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

#: 128 bits, as 32 hex digits: no stranger guesses one.
CARD_BYTES: Final = 16
#: The dial plan hands the card in before anything rings, and what it gets goes with the call. So
#: this is ample, and a busy PBX keeps little: some 500 bytes a call.
CARD_TTL_S: Final = 600.0
#: Ten minutes of eighty calls a second; four fields of 255 characters each are about 2.5 kB, so
#: 130 MB at the very worst.
MAX_CARDS: Final = 50_000


class _Left(NamedTuple):
    expires: float
    fields: Mapping[str, str]


class CallCards:
    """The fields of the calls on their way, by card.

    Args:
        clock: Seconds that never run backwards.
        ttl_s: Seconds for which a card is good.
        max_cards: How many are kept; for one more the oldest is dropped.

    Attributes:
        dropped: Cards dropped before their time.
    """

    def __init__(
        self, clock: Callable[[], float], ttl_s: float = CARD_TTL_S, max_cards: int = MAX_CARDS
    ) -> None:
        self._clock = clock
        self._ttl_s = ttl_s
        self._max_cards = max_cards
        # In order of issue, which is the order of expiry.
        self._left: dict[str, _Left] = {}
        self.dropped = 0

    def __len__(self) -> int:
        self._forget_expired()
        return len(self._left)

    def issue(self, fields: Mapping[str, str]) -> str:
        """Keep the fields of a call, and return their card: 32 hex digits."""
        self._forget_expired()
        while len(self._left) >= self._max_cards:
            self._drop_oldest()
            self.dropped += 1
        card = secrets.token_hex(CARD_BYTES)
        expires = self._clock() + self._ttl_s
        self._left[card] = _Left(expires, MappingProxyType(dict(fields)))
        return card

    def redeem(self, card: str) -> Mapping[str, str] | None:
        """The fields that the card stands for, as often as asked; None once it is no good."""
        self._forget_expired()
        left = self._left.get(card)
        return left.fields if left else None

    def _forget_expired(self) -> None:
        now = self._clock()
        while self._left and next(iter(self._left.values())).expires <= now:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        del self._left[next(iter(self._left))]

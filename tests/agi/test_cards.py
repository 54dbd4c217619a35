"""Cards: unguessable, good for a while, bounded in number."""

import re

import pytest

from pbxapi.agi.cards import CARD_TTL_S, CallCards

FIELDS = {"customCDR1": "a", "customCDR4": ""}


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_card_has_32_hex_digits_and_is_never_the_same(clock: Clock) -> None:
    cards = CallCards(clock)
    issued = {cards.issue(FIELDS) for _ in range(1000)}
    assert len(issued) == len(cards) == 1000
    assert all(re.fullmatch("[0-9a-f]{32}", card) for card in issued)


def test_a_card_can_be_redeemed_again_and_again(clock: Clock) -> None:
    cards = CallCards(clock)
    card = cards.issue(FIELDS)
    assert cards.redeem(card) == FIELDS
    assert cards.redeem(card) == FIELDS


@pytest.mark.parametrize("card", ["", "0" * 32, "x", "é" * 32])
def test_an_unknown_card_is_worth_nothing(clock: Clock, card: str) -> None:
    cards = CallCards(clock)
    cards.issue(FIELDS)
    assert cards.redeem(card) is None


def test_a_card_is_good_for_its_time_and_no_longer(clock: Clock) -> None:
    cards = CallCards(clock)
    first = cards.issue({"customCDR1": "first"})
    clock.now_s += 1
    second = cards.issue({"customCDR1": "second"})
    clock.now_s = 1000.0 + CARD_TTL_S - 0.001
    assert cards.redeem(first) == {"customCDR1": "first"}
    clock.now_s = 1000.0 + CARD_TTL_S
    assert cards.redeem(first) is None
    assert cards.redeem(second) == {"customCDR1": "second"}
    assert len(cards) == 1
    assert cards.dropped == 0


def test_expired_cards_go_without_anybody_asking_for_them(clock: Clock) -> None:
    cards = CallCards(clock)
    for _ in range(10):
        cards.issue(FIELDS)
    clock.now_s += CARD_TTL_S
    cards.issue(FIELDS)
    assert len(cards._left) == 1


def test_the_oldest_card_makes_room_and_is_counted(clock: Clock) -> None:
    cards = CallCards(clock, max_cards=2)
    first, second, third = (cards.issue({"customCDR1": name}) for name in "abc")
    assert cards.redeem(first) is None
    assert cards.redeem(second) == {"customCDR1": "b"}
    assert cards.redeem(third) == {"customCDR1": "c"}
    assert (len(cards), cards.dropped) == (2, 1)


def test_what_was_left_cannot_be_changed_later(clock: Clock) -> None:
    cards = CallCards(clock)
    fields = dict(FIELDS)
    card = cards.issue(fields)
    fields["customCDR1"] = "b"
    kept = cards.redeem(card)
    assert kept == FIELDS
    with pytest.raises(TypeError):
        kept["customCDR1"] = "c"  # type: ignore[index]  # what must not be possible

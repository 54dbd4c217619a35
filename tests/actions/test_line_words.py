"""LINE_WORDS: one of the vendor's sentences for every state."""

from pbxapi.actions.line_words import LINE_WORDS
from pbxapi.cache.device_state import DeviceState


def test_every_state_has_its_sentence() -> None:
    assert LINE_WORDS.keys() == set(DeviceState)

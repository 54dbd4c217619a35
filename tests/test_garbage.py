"""What the garbage collector is spared, and that it still collects."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from pbxapi.garbage import spare_the_loop


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    gc.unfreeze()


class Knot:
    """Something that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_already_is_not_looked_at_again() -> None:
    knot = Knot()
    assert any(each is knot for each in gc.get_objects())
    spare_the_loop()
    assert not any(each is knot for each in gc.get_objects())


def test_what_comes_later_is_collected_without_being_asked() -> None:
    spare_the_loop()
    gone = weakref.ref(Knot())
    kept = [[number] for number in range(gc.get_threshold()[0] + 1)]
    assert gone() is None
    assert kept

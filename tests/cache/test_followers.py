"""Followers: each gets the events that it wants, in order, and hears of every session."""

from pbxapi.ami.message import Message
from pbxapi.cache.followers import Followers
from tests.cache.replay import message


class Recorder:
    """Takes down what it is told."""

    def __init__(self, *wanted: str) -> None:
        self.wanted = frozenset(wanted)
        self.told: list[object] = []

    def session_opened(self) -> None:
        self.told.append("opened")

    def session_lost(self, last_received: float) -> None:
        self.told.append(last_received)

    def event(self, message: Message) -> None:
        self.told.append(message.event)


def test_each_gets_what_it_wants() -> None:
    first, second = Recorder("Hangup", "Reload"), Recorder("PeerStatus", "Reload")
    followers = Followers(first, second)
    assert followers.wanted == {"Hangup", "Reload", "PeerStatus"}
    followers.session_opened()
    for name in ("Hangup", "PeerStatus", "Reload"):
        followers.event(message(name))
    followers.session_lost(7.5)
    assert first.told == ["opened", "Hangup", "Reload", 7.5]
    assert second.told == ["opened", "PeerStatus", "Reload", 7.5]


def test_events_are_counted_by_name_however_many_want_them() -> None:
    followers = Followers(Recorder("Hangup", "Reload"), Recorder("PeerStatus", "Reload"))
    for name in ("Hangup", "Reload", "Hangup"):
        followers.event(message(name))
    assert followers.counts == {"Hangup": 2, "Reload": 1, "PeerStatus": 0}

"""CallList: the calls, as far as the cache may be believed."""

import pytest

from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.channels.view import CallList
from pbxapi.cache.freshness import MAX_AGE_S
from pbxapi.errors import PbxUnavailable
from tests.cache.replay import NOW, Pbx, message, owner_of


def filled() -> ChannelStore:
    store = ChannelStore()
    pbx = Pbx()
    pbx.apply(message("Newchannel", Uniqueid="1.1", Channel="SIP/Linka_1000-1", Exten="1001"))
    pbx.list_into(store)
    return store


def test_nothing_is_told_before_the_first_list() -> None:
    """ "Don't know" is never "nothing"."""
    with pytest.raises(PbxUnavailable):
        CallList(ChannelStore(), owner_of).legs(NOW.monotonic)


def test_while_the_session_lives_the_calls_are_told_however_long_ago_they_were_listed() -> None:
    [leg] = CallList(filled(), owner_of).legs(NOW.monotonic + 1e6).legs()
    assert (leg.src, leg.dst, leg.owner_id) == ("1000", "1001", "91000")


def test_without_a_session_the_calls_are_told_for_half_a_minute() -> None:
    store = filled()
    store.session_lost(NOW.monotonic)
    calls = CallList(store, owner_of)
    assert len(calls.legs(NOW.monotonic + MAX_AGE_S).rows) == 1
    with pytest.raises(PbxUnavailable, match="is 31 s old"):
        calls.legs(NOW.monotonic + 31)


def test_a_call_goes_on_as_long_as_a_channel_of_it_is_left() -> None:
    calls = CallList(filled(), owner_of)
    [channel] = filled().channels.values()
    for call_id in {channel.uniqueid, channel.linkedid}:
        assert calls.goes_on([call_id, "another"], NOW.monotonic)
    assert not calls.goes_on(["another"], NOW.monotonic)
    with pytest.raises(PbxUnavailable):
        CallList(ChannelStore(), owner_of).goes_on(["1.1"], NOW.monotonic)

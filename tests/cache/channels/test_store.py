"""ChannelStore: list, replace, then follow."""

import math

import pytest

from pbxapi.ami.message import Message
from pbxapi.cache.channels.store import ChannelStore, Difference
from pbxapi.cache.instant import Instant
from tests.cache.replay import NOW, RECORDINGS, Pbx, events, message, without_age


def newchannel(uniqueid: str, exten: str = "1000", **more: str) -> Message:
    headers = {"Channel": f"SIP/a-{uniqueid}", "Linkedid": uniqueid, "Exten": exten, **more}
    return message("Newchannel", Uniqueid=uniqueid, **headers)


def item(uniqueid: str, **more: str) -> dict[str, str]:
    return {"Uniqueid": uniqueid, "Channel": f"SIP/a-{uniqueid}", "Duration": "00:00:00", **more}


def listed(store: ChannelStore, *uniqueids: str) -> Difference:
    collected = store.begin_list()
    for uniqueid in uniqueids:
        collected.item(item(uniqueid), NOW)
    return store.replace(collected)


# -- list, then replace


def test_a_list_takes_the_place_of_what_was_known() -> None:
    store = ChannelStore()
    store.apply(newchannel("1"), NOW)
    store.apply(newchannel("2"), NOW)
    store.apply(newchannel("3"), NOW)
    collected = store.begin_list()
    for fields in (item("2"), item("3", ChannelStateDesc="Up"), item("4")):
        collected.item(fields, NOW)
    difference = store.replace(collected)
    assert difference == Difference(missing=1, surplus=1, changed=1)
    assert difference.total == 3
    assert set(store.channels) == {"2", "3", "4"}


def test_until_it_is_complete_a_list_changes_nothing() -> None:
    store = ChannelStore()
    store.apply(newchannel("1"), NOW)
    collected = store.begin_list()
    collected.item(item("2"), NOW)
    assert set(store.channels) == {"1"}
    store.abandon(collected)
    assert set(store.channels) == {"1"}
    assert store.replace(collected) == Difference()
    assert set(store.channels) == {"1"}


def test_abandoned_twice_a_list_does_no_harm() -> None:
    store = ChannelStore()
    collected = store.begin_list()
    store.abandon(collected)
    store.abandon(collected)
    assert store.channels == {}


def test_an_empty_list_empties_the_picture() -> None:
    store = ChannelStore()
    store.apply(newchannel("1"), NOW)
    assert listed(store) == Difference(surplus=1)
    assert store.channels == {}


def test_a_list_that_agrees_repairs_nothing() -> None:
    store = ChannelStore()
    listed(store, "1", "2")
    assert listed(store, "1", "2") == Difference()


def test_what_a_list_does_not_tell_is_kept_from_before() -> None:
    store = ChannelStore()
    store.apply(newchannel("1", exten="222333444"), NOW)
    before = store.channels["1"]
    listed(store, "1")
    assert store.channels["1"].dialled == "222333444"
    assert store.channels["1"].began == before.began


def test_channels_of_one_list_are_of_one_instant() -> None:
    """Or the order of channels that began within a second would be that of the items."""
    store = ChannelStore()
    collected = store.begin_list()
    collected.item(item("1795459990.8"), NOW)
    collected.item(item("1795459990.7"), Instant(NOW.monotonic + 0.2, NOW.epoch + 0.2))
    store.replace(collected)
    assert store.channels["1795459990.8"].began == store.channels["1795459990.7"].began


def test_a_channel_hung_up_during_the_list_does_not_come_back() -> None:
    store = ChannelStore()
    store.apply(newchannel("1"), NOW)
    collected = store.begin_list()
    store.apply(message("Hangup", Uniqueid="1"), NOW)
    collected.item(item("1"), NOW)
    store.replace(collected)
    assert store.channels == {}


def test_a_listed_channel_hung_up_before_the_end_of_the_list_is_gone() -> None:
    store = ChannelStore()
    collected = store.begin_list()
    collected.item(item("1"), NOW)
    collected.item(item("2"), NOW)
    store.apply(message("Hangup", Uniqueid="1"), NOW)
    store.replace(collected)
    assert set(store.channels) == {"2"}


def test_a_channel_created_during_the_list_is_not_lost() -> None:
    store = ChannelStore()
    collected = store.begin_list()
    collected.item(item("1"), NOW)
    store.apply(newchannel("2"), NOW)
    store.replace(collected)
    assert set(store.channels) == {"1", "2"}


def test_an_event_during_the_list_changes_an_item_that_has_come() -> None:
    store = ChannelStore()
    collected = store.begin_list()
    collected.item(item("1", ChannelStateDesc="Ring"), NOW)
    store.apply(message("Newstate", Uniqueid="1", ChannelStateDesc="Up"), NOW)
    store.replace(collected)
    assert store.channels["1"].state_desc == "Up"


def test_an_item_that_comes_after_an_event_is_newer() -> None:
    store = ChannelStore()
    store.apply(newchannel("1"), NOW)
    collected = store.begin_list()
    store.apply(message("Newstate", Uniqueid="1", ChannelStateDesc="Ring"), NOW)
    collected.item(item("1", ChannelStateDesc="Up"), NOW)
    store.replace(collected)
    assert store.channels["1"].state_desc == "Up"


def test_a_late_event_of_a_channel_that_is_gone_brings_nothing_back() -> None:
    store = ChannelStore()
    listed(store, "2")
    store.apply(message("Newstate", Uniqueid="1", ChannelStateDesc="Up"), NOW)
    store.apply(message("Hangup", Uniqueid="1"), NOW)
    assert set(store.channels) == {"2"}
    assert store.unknown == 2


def test_every_change_grows_the_generation() -> None:
    store = ChannelStore()
    store.apply(newchannel("1"), NOW)
    first = store.generation
    store.apply(message("Newstate", Uniqueid="9"), NOW)
    assert store.generation == first
    store.apply(message("Hangup", Uniqueid="1"), NOW)
    assert store.generation > first
    second = store.generation
    listed(store, "1")
    assert store.generation > second


# -- older events after a newer list


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
@pytest.mark.parametrize("behind", [0, 1, 2, 5, 12, 40, 10_000])
def test_events_older_than_the_list_converge(version: str, name: str, behind: int) -> None:
    """Cut at every event: we have followed up to j, Asterisk lists what is so after k, and then
    delivers j to k. It all ends as if there had been no list.
    """
    sequence = events(version, name)
    truths = []
    truth = ChannelStore()
    pictures = []
    pbx = Pbx()
    for event in sequence:
        truth.apply(event, NOW)
        truths.append(dict(truth.channels))
        pbx.apply(event)
        pictures.append({uniqueid: dict(fields) for uniqueid, fields in pbx.channels.items()})
    for k in range(len(sequence)):
        j = max(-1, k - behind)
        store = ChannelStore(channels=dict(truths[j]) if j >= 0 else {})
        Pbx(pictures[k]).list_into(store)
        for event in sequence[j + 1 : k + 1]:
            store.apply(event, NOW)
        assert without_age(store.channels) == without_age(truths[k]), f"list after event {k}"


# -- loss, and age


def test_before_the_first_list_the_age_is_infinite() -> None:
    store = ChannelStore()
    store.apply(newchannel("1"), NOW)
    assert store.freshness.age_s(5.0) == math.inf
    store.session_lost(4.0)
    assert store.freshness.age_s(5.0) == math.inf


def test_while_it_follows_the_age_is_nothing() -> None:
    store = ChannelStore()
    listed(store, "1")
    assert store.freshness.age_s(1e9) == 0.0


def test_after_a_loss_the_last_picture_stays_and_its_age_counts_from_the_last_bytes() -> None:
    store = ChannelStore()
    listed(store, "1")
    store.session_lost(100.0)
    assert set(store.channels) == {"1"}
    assert store.freshness.age_s(100.0) == 0.0
    assert store.freshness.age_s(112.5) == 12.5
    assert store.freshness.age_s(99.0) == 0.0


def test_losses_before_the_next_list_do_not_make_it_younger() -> None:
    store = ChannelStore()
    listed(store, "1")
    store.session_lost(100.0)
    store.session_lost(120.0)
    assert store.freshness.age_s(130.0) == 30.0
    listed(store, "1")
    assert store.freshness.age_s(130.0) == 0.0
    store.session_lost(140.0)
    assert store.freshness.age_s(141.0) == 1.0


def test_events_of_a_new_session_do_not_make_it_younger_before_its_list() -> None:
    store = ChannelStore()
    listed(store, "1")
    store.session_lost(100.0)
    store.apply(newchannel("2"), NOW)
    assert store.freshness.age_s(110.0) == 10.0


def test_a_list_whose_session_was_lost_changes_nothing() -> None:
    store = ChannelStore()
    listed(store, "1")
    collected = store.begin_list()
    collected.item(item("2"), NOW)
    store.session_lost(100.0)
    assert store.replace(collected) == Difference()
    assert set(store.channels) == {"1"}
    assert store.freshness.age_s(103.0) == 3.0

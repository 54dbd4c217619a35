"""Reducers: pure, idempotent, tolerant; checked with what real Asterisk sent."""

import math
from types import MappingProxyType

import pytest
from hypothesis import given, strategies as st

from pbxapi.ami.message import Message
from pbxapi.cache.channels.channel import REDUCERS, Channel, Channels, dialled_number, list_item
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.instant import Instant
from tests.cache.replay import CALLS, NOW, RECORDINGS, events, follow, message, messages
from tests.services import captures

LATER = Instant(NOW.monotonic + 5, NOW.epoch + 5)


def reduced(channels: Channels, event: Message, now: Instant = NOW) -> dict[str, Channel]:
    """The channels after an event; the given ones cannot be changed."""
    after = dict(channels)
    for uniqueid, channel in REDUCERS[event.event](MappingProxyType(after), event, now):
        if channel is None:
            del after[uniqueid]
        else:
            after[uniqueid] = channel
    return after


def history(version: str, name: str) -> list[tuple[dict[str, Channel], Message]]:
    """Each event of a recording with the channels before it."""
    channels: dict[str, Channel] = {}
    steps: list[tuple[dict[str, Channel], Message]] = []
    for event in events(version, name):
        steps.append((channels, event))
        channels = reduced(channels, event)
    return steps


STEPS = [step for version, name in RECORDINGS for step in history(version, name)]


@given(st.sampled_from(STEPS))
def test_an_event_twice_is_the_same_as_once(step: tuple[dict[str, Channel], Message]) -> None:
    channels, event = step
    once = reduced(channels, event)
    assert reduced(once, event, LATER) == once


@given(st.sampled_from(STEPS), st.sampled_from(STEPS))
def test_any_event_on_any_state_twice_is_the_same_as_once(
    step: tuple[dict[str, Channel], Message], other: tuple[dict[str, Channel], Message]
) -> None:
    channels = step[0] | other[0]
    once = reduced(channels, other[1])
    assert reduced(once, other[1], LATER) == once


@given(st.sampled_from(STEPS))
def test_reducers_change_nothing_by_themselves(step: tuple[dict[str, Channel], Message]) -> None:
    channels, event = step
    before = dict(channels), dict(event.fields)
    first = REDUCERS[event.event](channels, event, NOW)
    assert (dict(channels), dict(event.fields)) == before
    assert REDUCERS[event.event](channels, event, NOW) == first


@pytest.mark.parametrize("event", sorted(set(REDUCERS) - {"Newchannel"}))
def test_an_unknown_uniqueid_means_nothing(event: str) -> None:
    unknown = message(
        event,
        Uniqueid="9.9",
        DestUniqueid="9.8",
        TransfereeUniqueid="9.7",
        TransferTargetUniqueid="9.6",
        Result="Success",
        Channel="SIP/a-1",
    )
    assert reduced({}, unknown) == {}


HEADERS = [
    prefix + name
    for prefix in ("", "Dest", "Transferee", "TransferTarget")
    for name in [
        "Channel",
        "Uniqueid",
        "Linkedid",
        "ChannelStateDesc",
        "CallerIDNum",
        "ConnectedLineNum",
        "AccountCode",
        "Context",
        "Exten",
    ]
] + ["Application", "Extension", "Result", "Newname", "Duration"]
odd_values = st.sampled_from(
    ["", "1.1", "1.2", "<unknown>", "s", "-", "Success", "00:00:07", "9" * 5000, "::", "-1", "²"]
) | st.text(max_size=8)
odd_headers = st.dictionaries(st.sampled_from(HEADERS), odd_values)
known = Channel("1.1", "SIP/a-1", "1.1", "Up", "1", "2", "", "c", 1.0, False, "", False)


@given(st.sampled_from(sorted(REDUCERS)), odd_headers)
def test_no_event_is_too_odd(event: str, headers: dict[str, str]) -> None:
    channels = {"1.1": known, "1.2": known._replace(uniqueid="1.2")}
    after = reduced(channels, message(event, **headers))
    assert all(channel.uniqueid == uniqueid for uniqueid, channel in after.items())


@given(odd_headers, st.sampled_from([None, known]))
def test_no_list_item_is_too_odd(headers: dict[str, str], old: Channel | None) -> None:
    channel = list_item(old, headers, NOW)
    assert (channel is None) == (not headers.get("Uniqueid"))
    assert channel is None or math.isfinite(channel.began)


@pytest.mark.parametrize("event", sorted(set(REDUCERS) - {"Hangup", "Newchannel"}))
def test_an_event_with_its_uniqueid_alone_keeps_what_is_known(event: str) -> None:
    [after] = reduced({"1.1": known}, message(event, Uniqueid="1.1")).values()
    assert after == known


def test_a_newchannel_after_the_list_that_had_it_begins_anew_but_for_its_age() -> None:
    """What a list could only guess, the events that follow will tell."""
    listed = known._replace(dialled="500", called=True, transferred=True, began=3.0)
    event = message(
        "Newchannel", Uniqueid="1.1", Channel="SIP/a-1", Exten="222333444", CallerIDNum="1"
    )
    [after] = reduced({"1.1": listed}, event).values()
    assert (after.dialled, after.called, after.transferred, after.began) == (
        "222333444",
        False,
        False,
        3.0,
    )


def test_entries_come_from_newchannel_and_list_items_only() -> None:
    for version, name in RECORDINGS:
        without = [each for each in events(version, name) if each.event != "Newchannel"]
        channels: dict[str, Channel] = {}
        for event in without:
            channels = reduced(channels, event)
        assert channels == {}


def test_a_newchannel_without_uniqueid_makes_no_entry() -> None:
    assert reduced({}, message("Newchannel", Channel="SIP/a-1")) == {}


def test_a_renamed_channel_has_the_new_name() -> None:
    event = message("Rename", Channel="SIP/a-1", Newname="SIP/b-2", Uniqueid="1.1")
    assert reduced({"1.1": known}, event)["1.1"].name == "SIP/b-2"


def test_unknown_numbers_are_empty() -> None:
    event = message(
        "Newchannel", Uniqueid="1", CallerIDNum="<unknown>", ConnectedLineNum="<unknown>"
    )
    [channel] = reduced({}, event).values()
    assert (channel.caller_num, channel.connected_num) == ("", "")


@pytest.mark.parametrize(
    ("exten", "expected"),
    [
        ("1000", "1000"),
        ("0602123456", "0602123456"),
        ("*98", "*98"),
        ("", ""),
        ("s", ""),
        ("h", ""),
        ("i", ""),
        ("t", ""),
        ("s-BUSY", ""),
        ("failed", ""),
        ("SIP_Linka_1000", ""),
        ("PJSIP_Linka_1000", ""),
    ],
)
def test_steps_of_a_dial_plan_are_no_numbers(exten: str, expected: str) -> None:
    assert dialled_number(exten) == expected


def test_a_failed_attended_transfer_changes_nothing() -> None:
    event = message(
        "AttendedTransfer", Result="Fail", TransfereeUniqueid="1.1", TransferTargetUniqueid="1.2"
    )
    channels = {"1.1": known, "1.2": known}
    assert reduced(channels, event) == channels


def test_an_attended_transfer_of_two_calls_makes_the_transferee_the_caller() -> None:
    """A telephone's own transfer: REFER with Replaces joins two calls that it has."""
    called = known._replace(called=True)
    event = message(
        "AttendedTransfer", Result="Success", TransfereeUniqueid="1", TransferTargetUniqueid="2"
    )
    after = reduced({"1": called._replace(uniqueid="1"), "2": known._replace(uniqueid="2")}, event)
    assert (after["1"].called, after["1"].transferred) == (False, True)
    assert (after["2"].called, after["2"].transferred) == (True, False)


def test_a_parked_call_that_comes_back_calls_its_parker() -> None:
    parked = known._replace(uniqueid="1", dialled="700", connected_num="1001")
    event = message(
        "Newexten",
        Uniqueid="1",
        ConnectedLineNum="1001",
        Context="park-dial",
        Exten="SIP_Linka_1001",
        Application="Dial",
    )
    after = reduced({"1": parked}, event)["1"]
    assert (after.dialled, after.connected_num) == ("", "1001")


@pytest.mark.parametrize("dialled", ["502", ""])
def test_an_attended_transfer_into_a_queue_leaves_the_transferee_at_its_number(
    dialled: str,
) -> None:
    """Asterisk gives the transferee the place in the dial plan that the transferer's call had."""
    event = message(
        "AttendedTransfer",
        Result="Success",
        TransfereeUniqueid="1",
        SecondTransfererUniqueid="2",
        SecondTransfererExten="502",
        DestType="App",
        DestApp="Queue",
    )
    transferee = known._replace(uniqueid="1", dialled="1001", connected_num="1001")
    second = known._replace(uniqueid="2", dialled=dialled)
    after = reduced({"1": transferee, "2": second}, event)
    assert after["1"] == transferee._replace(called=False, dialled="502", transferred=False)
    assert after["2"] == second


# -- recordings


@pytest.mark.parametrize(("version", "name"), RECORDINGS)
def test_at_the_end_no_channel_is_left_that_was_hung_up(version: str, name: str) -> None:
    store = ChannelStore()
    follow(store, events(version, name))
    came = {event.get("Uniqueid") for event in events(version, name) if event.event == "Newchannel"}
    went = {event.get("Uniqueid") for event in events(version, name) if event.event == "Hangup"}
    assert came
    assert set(store.channels) == came - went == set()


def lists_of(version: str, name: str) -> list[tuple[int, list[Message]]]:
    """The complete lists of channels in a recording, each with the number of messages before."""
    found = []
    items: list[Message] = []
    for index, each in enumerate(messages(version, name)):
        if each.event == "CoreShowChannel":
            items.append(each)
        elif each.event == "CoreShowChannelsComplete":
            found.append((index, items))
            items = []
    return found


LISTS = [
    (version, name, place)
    for version, name in RECORDINGS
    for place in range(len(lists_of(version, name)))
]


def test_recordings_with_lists_are_there() -> None:
    assert {name for _, name, _ in LISTS} >= {
        "chanspy",
        "originate-local",
        "queue-call",
        "transfer-attended-ami",
        "transfer-blind-ami",
        "transfer-blind-refer",
    }
    assert {version for version, _, _ in LISTS} == set(captures.VERSIONS)
    assert len(CALLS) == len(set(CALLS))


@pytest.mark.parametrize(("version", "name", "place"), LISTS)
def test_followed_channels_are_those_that_asterisk_lists(
    version: str, name: str, place: int
) -> None:
    index, items = lists_of(version, name)[place]
    store = ChannelStore()
    for each in messages(version, name)[:index]:
        if each.event in REDUCERS:
            store.apply(each, NOW)
    assert {uniqueid: _facts(channel) for uniqueid, channel in store.channels.items()} == {
        item.get("Uniqueid"): _listed(item) for item in items
    }


def _facts(channel: Channel) -> dict[str, str]:
    return {
        "Channel": channel.name,
        "Linkedid": channel.linkedid,
        "ChannelStateDesc": channel.state_desc,
        "CallerIDNum": channel.caller_num,
        "ConnectedLineNum": channel.connected_num,
        "Context": channel.context,
        "AccountCode": channel.account_code,
    }


def _listed(item: Message) -> dict[str, str]:
    return {key: item.get(key).replace("<unknown>", "") for key in _facts(known)}


# -- age


def test_a_new_channel_began_when_its_event_came() -> None:
    [channel] = reduced({}, message("Newchannel", Uniqueid="1.1")).values()
    assert channel.began == NOW.monotonic
    event = message("Newstate", Uniqueid="1.1")
    assert reduced({"1.1": channel}, event, LATER)["1.1"].began == NOW.monotonic


@pytest.mark.parametrize("age_s", [0.0, 0.1, 0.99, 1.0, 7.3, 59.9, 61.0, 3725.5, 90061.2])
@pytest.mark.parametrize("fraction", [0.0, 0.01, 0.5, 0.99])
@pytest.mark.parametrize("uniqueid", ["{}.41", "pbx1-{}.41", "pbxapi-0f", "lab-1", "x"])
def test_the_age_of_a_listed_channel_is_right_within_a_second(
    age_s: float, fraction: float, uniqueid: str
) -> None:
    now = Instant(500_000.0, 1_795_460_000 + fraction)
    seconds = int(age_s)
    duration = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    fields = {"Uniqueid": uniqueid.format(int(now.epoch - age_s)), "Duration": duration}
    channel = list_item(None, fields, now)
    assert channel is not None
    assert abs((now.monotonic - channel.began) - age_s) <= 0.5


@given(st.floats(0, 1e6), st.floats(1.7e9, 1.9e9))
def test_duration_and_uniqueid_together_never_say_less_than_duration_alone(
    age_s: float, epoch: float
) -> None:
    seconds = int(age_s)
    fields = {
        "Uniqueid": f"{int(epoch - age_s)}.1",
        "Duration": f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}",
    }
    channel = list_item(None, fields, Instant(0.0, epoch))
    assert channel is not None
    assert seconds - 0.001 <= -channel.began <= seconds + 1.001


def test_a_uniqueid_of_another_clock_is_not_believed() -> None:
    fields = {"Uniqueid": "1795450000.1", "Duration": "00:00:10"}
    channel = list_item(None, fields, NOW)
    assert channel is not None
    assert NOW.monotonic - channel.began == 10.5


def test_a_channel_whose_beginning_was_on_its_way_is_as_old_as_its_list_says() -> None:
    """Events that wait behind a slow line are no proof that all before them was seen."""
    fields = {"Uniqueid": "x", "Duration": "00:00:10"}
    for seen_s_ago, age_s in ((20.0, 10.5), (10.25, 10.25), (3.0, 10.0), (-1.0, 10.0)):
        channel = list_item(None, fields, NOW, unseen_since=NOW.monotonic - seen_s_ago)
        assert channel is not None
        assert NOW.monotonic - channel.began == age_s


@pytest.mark.parametrize(
    ("late_s", "began_s_ago"),
    [(-0.5, 0.0), (0.9, 0.0), (4.5, 3.5), (60.9, 59.9), (61.1, 0.0), (86400.0, 0.0)],
)
def test_a_channel_whose_event_was_late_began_in_the_second_of_its_uniqueid(
    late_s: float, began_s_ago: float
) -> None:
    """At its end, and not where the Uniqueid cannot be a second of Asterisk's clock."""
    now = Instant(NOW.monotonic, NOW.epoch + late_s)
    event = message("Newchannel", Uniqueid=f"lab-{NOW.epoch:.0f}.7")
    [channel] = reduced({}, event, now).values()
    assert now.monotonic - channel.began == pytest.approx(began_s_ago, abs=0.05)


def test_as_long_as_asterisks_clock_is_not_known_no_event_is_late() -> None:
    now = Instant(NOW.monotonic, math.nan)
    [channel] = reduced({}, message("Newchannel", Uniqueid="1795459990.1"), now).values()
    assert channel.began == now.monotonic
    fields = {"Uniqueid": "1795459990.1", "Duration": "00:00:10"}
    listed = list_item(None, fields, now)
    assert listed is not None
    assert now.monotonic - listed.began == 10.5


def test_late_channels_of_one_second_keep_their_order() -> None:
    ids = [f"{NOW.epoch:.0f}.{serial}" for serial in (9, 10, 11)]
    channels: dict[str, Channel] = {}
    for later_s, uniqueid in zip((5.0, 5.1234567, 5.7654321), ids, strict=True):
        now = Instant(NOW.monotonic + later_s, NOW.epoch + later_s)
        channels = reduced(channels, message("Newchannel", Uniqueid=uniqueid), now)
    assert len({channel.began for channel in channels.values()}) == 1


@pytest.mark.parametrize(
    ("duration", "age_s"),
    [("00:00:09", 10.0), ("00:00:10", 10.0), ("00:00:11", 11.0), ("00:01:10", 70.0)],
)
def test_a_channel_that_is_known_is_as_old_as_its_list_says(duration: str, age_s: float) -> None:
    fields = {"Uniqueid": "1.1", "Duration": duration, "Channel": "SIP/a-1"}
    channel = list_item(known._replace(began=NOW.monotonic - 10.0), fields, NOW)
    assert channel is not None
    assert NOW.monotonic - channel.began == age_s


@pytest.mark.parametrize(("duration", "late_s"), [("00:00:10", 0.4), ("00:05:00", 290.0)])
def test_a_channel_that_is_known_keeps_its_beginning_in_a_list(
    duration: str, late_s: float
) -> None:
    """What each event is late by is no difference, and of hours a clock that was set tells."""
    fields = {"Uniqueid": "1.1", "Duration": duration, "Channel": "SIP/a-1"}
    began = NOW.monotonic - 10.0 if late_s > 1 else NOW.monotonic - 10.0 + late_s
    channel = list_item(known._replace(began=began), fields, NOW)
    assert channel is not None
    assert channel.began == began


def test_a_transfer_reaches_through_half_of_a_local_channel() -> None:
    """Without optimisation the transferee is the half; who talks through it is told too."""

    def channel(uniqueid: str, name: str, connected: str, dialled: str = "") -> Channel:
        return Channel(
            uniqueid, name, "1.1", "Up", "1000", connected, "", "ctx", 0.0, False, dialled, False
        )

    channels = {
        "1.1": channel("1.1", "SIP/1000-1", "1001", "1001"),
        "1.2": channel("1.2", "Local/1001@x-1;2", "1001"),
        "1.3": channel("1.3", "SIP/7-1", "9", "9"),
    }
    blind = message(
        "BlindTransfer",
        TransfereeUniqueid="1.2",
        TransfererCallerIDNum="1001",
        Extension="1002",
    )
    changed = dict(REDUCERS["BlindTransfer"](channels, blind, Instant(1.0, 1.0)))
    assert {key: after.dialled for key, after in changed.items() if after} == {
        "1.1": "1002",
        "1.2": "1002",
    }
    attended = message(
        "AttendedTransfer",
        Result="Success",
        TransfereeUniqueid="1.2",
        OrigTransfererCallerIDNum="1001",
    )
    changed = dict(REDUCERS["AttendedTransfer"](channels, attended, Instant(1.0, 1.0)))
    assert {key for key, after in changed.items() if after and after.transferred} == {"1.1", "1.2"}

"""What is kept of rows and answers never shows: the bytes are those of rows told anew."""

from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pbxapi.actions.ageing import AgeingRows
from pbxapi.actions.listcalls import row
from pbxapi.cache.channels.calls import Owner, legs
from pbxapi.cache.channels.changes import MAX_CHANGED, Changes
from pbxapi.cache.channels.store import ChannelStore
from pbxapi.cache.channels.view import CallList
from pbxapi.cache.instant import Instant
from pbxapi.web.ageing import AgeingAnswer
from pbxapi.web.encoding import encode_success
from tests.cache.replay import message

IDS = st.sampled_from(["10.1", "10.2", "10.3", "10.10", "x%d"])
NUMBERS = st.sampled_from(["", "100", "200", "<unknown>"])
NAMES = st.sampled_from(
    ["SIP/100-1", "SIP/200-2", "PJSIP/a%s/b-3", "Local/1@x;1", 'DAHDI/"ž\\', "SIP/nobody-4"]
)
EVENTS = st.sampled_from(
    ["Newchannel", "Newstate", "Newexten", "NewConnectedLine", "DialEnd", "BridgeEnter"]
)


class Calls(RuleBasedStateMachine):
    """Events, lists, directory and time at random, and a question now and then."""

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.store = ChannelStore()
        self.store.replace(self.store.begin_list())
        self.owners: dict[str, Owner] = {}
        self.version = 0
        self.calls = CallList(self.store, self.owners.get, lambda: self.version)
        self.answer = AgeingAnswer(bare_slashes=True)

    def apply(self, event: str, **headers: str) -> None:
        self.store.apply(message(event, **headers), Instant(self.now, self.now))

    @rule(id_=IDS, name=NAMES, call=IDS, own=NUMBERS, exten=NUMBERS)
    def begin_channel(self, id_: str, name: str, call: str, own: str, exten: str) -> None:
        self.event("Newchannel", id_, name, call, own, "", exten)

    @rule(event=EVENTS, id_=IDS, name=NAMES, call=IDS, own=NUMBERS, other=NUMBERS, exten=NUMBERS)
    def event(
        self, event: str, id_: str, name: str, call: str, own: str, other: str, exten: str
    ) -> None:
        self.apply(
            event,
            Uniqueid=id_,
            Channel=name,
            Linkedid=call,
            CallerIDNum=own,
            ConnectedLineNum=other,
            Exten=exten,
            Application="AppDial" if exten == "100" else "Dial",
        )

    @rule(caller=IDS, called=IDS, call=IDS, number=NUMBERS)
    def dial(self, caller: str, called: str, call: str, number: str) -> None:
        self.apply(
            "DialBegin", Uniqueid=caller, DestUniqueid=called, DestLinkedid=call,
            DestCallerIDNum=number,
        )  # fmt: skip

    @rule(who=IDS, to=IDS, number=NUMBERS)
    def transfer(self, who: str, to: str, number: str) -> None:
        self.apply("BlindTransfer", TransfereeUniqueid=who, Extension=number)
        self.apply(
            "AttendedTransfer", Result="Success", TransfereeUniqueid=who,
            TransferTargetUniqueid=to, OrigTransfererCallerIDNum=number,
        )  # fmt: skip

    @rule(id_=IDS)
    def hang_up(self, id_: str) -> None:
        self.apply("Hangup", Uniqueid=id_)

    @rule(ids=st.sets(IDS), call=IDS, name=NAMES, number=NUMBERS)
    def list_anew(self, ids: set[str], call: str, name: str, number: str) -> None:
        collected = self.store.begin_list()
        for id_ in ids:
            item = {"Uniqueid": id_, "Channel": name, "Linkedid": call, "CallerIDNum": number}
            collected.item(item | {"Duration": "00:00:05"}, Instant(self.now, self.now))
        self.store.replace(collected)

    @rule(name=st.sampled_from(["100", "200", "nobody"]), number=NUMBERS, trunk=st.booleans())
    def change_the_directory(self, name: str, number: str, trunk: bool) -> None:
        self.owners[name] = Owner("trunk" if trunk else "extension", number or "7", number)
        self.version += 1

    @rule(seconds=st.sampled_from([0.0, 0.25, 1e-9, 0.999999, 1.0, 9.0, 3600.0, -0.5, -100.0]))
    def time_goes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_answer_is_that_of_rows_told_anew(self) -> None:
        rows = [row(leg) for leg in legs(self.store.channels, self.owners.get, self.now)]
        expected: dict[str, Any] = {"total": str(len(rows)), "results": rows}
        listing = self.calls.legs(self.now)
        ageing = AgeingRows(listing.rows, listing.now, row, "duration")
        data: Mapping[str, Any] = {"total": str(len(listing.rows)), "results": ageing}
        assert self.answer.encode(data) == encode_success(expected, bare_slashes=True)
        assert [row(leg) for leg in listing.legs()] == rows


TestCalls = Calls.TestCase
TestCalls.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)


@given(st.lists(st.floats(0, 5000), max_size=5), st.lists(st.floats(0, 1e6), min_size=1))
@settings(max_examples=100, deadline=None)
def test_an_age_is_right_at_every_instant(began: list[float], instants: list[float]) -> None:
    store = ChannelStore()
    collected = store.begin_list()
    for number, each in enumerate(began):
        headers = {"Uniqueid": f"x{number}", "Channel": f"SIP/a-{number}"}
        collected.item(headers, Instant(each, 0.0))
    store.replace(collected)
    calls, answer = CallList(store, lambda _name: None), AgeingAnswer(bare_slashes=True)
    for now in sorted(instants + [each + 1 for each in began]):
        rows = [row(leg) for leg in legs(store.channels, lambda _name: None, now)]
        ageing = AgeingRows(calls.legs(now).rows, now, row, "duration")
        expected = encode_success({"total": "1", "results": rows}, bare_slashes=True)
        assert answer.encode({"total": "1", "results": ageing}) == expected


def test_while_nothing_changes_the_same_body_is_given_again() -> None:
    store = ChannelStore()
    store.replace(store.begin_list())
    store.apply(message("Newchannel", Uniqueid="1.1", Channel="SIP/a-1"), Instant(0.0, 0.0))
    calls, answer = CallList(store, lambda _name: None), AgeingAnswer(bare_slashes=True)

    def body(now: float) -> bytes:
        listing = calls.legs(now)
        return answer.encode(
            {"total": "1", "results": AgeingRows(listing.rows, now, row, "duration")}
        )

    assert body(0.5) is body(0.9)
    assert body(0.9) != body(1.0)
    store.apply(message("Newstate", Uniqueid="1.1", ChannelStateDesc="Up"), Instant(1.0, 1.0))
    assert b'"Up"' in body(1.0)


def test_of_too_many_changes_everything_is_told() -> None:
    changes = Changes()
    assert changes.take() is None
    changes.note(["a", "b"])
    assert changes.take() == {"a", "b"}
    assert changes.take() == set()
    changes.note(map(str, range(MAX_CHANGED + 1)))
    changes.note(["a"])
    assert changes.take() is None

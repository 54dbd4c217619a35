"""What is kept of answers never shows: the bytes are those of an answer that is told anew."""

import asyncio
from dataclasses import replace
from typing import Any

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from pbxapi.actions import Result
from pbxapi.actions.kept import KeptRows
from pbxapi.actions.queuestatus import kept, row as queue_row
from pbxapi.actions.sipstatus import row as peer_row, sipstatus
from pbxapi.cache.instant import Instant
from pbxapi.cache.peers.peer import Key
from pbxapi.cache.peers.store import PeerStore
from pbxapi.cache.peers.view import PeerList
from pbxapi.cache.queues.store import QueueStore
from pbxapi.directory.devices import Device
from pbxapi.web.encoding import encode_bare_success, encode_success
from pbxapi.web.kept import MAX_ANSWERS, KeptAnswers
from tests.cache.replay import message
from tests.contract.world import make_ports

NAMES = st.sampled_from(["a", "b", "ž/\\", "%d"])
IDS = st.sampled_from(["1.1", "1.2", "1.3"])
STEPS = st.sampled_from([0.0, 0.3, 1e-9, 1.0, 60.0, -0.5, -2.0])


class Queues(RuleBasedStateMachine):
    """Lists, events and time at random; two queues are asked about after each."""

    @initialize()
    def begin(self) -> None:
        self.now = 1000.0
        self.store = QueueStore()
        self.answers = KeptAnswers(encode_success)

    def apply(self, event: str, **headers: object) -> None:
        text = {name: str(value) for name, value in headers.items()}
        self.store.apply(message(event, **text), Instant(self.now, self.now))

    @rule(members=st.lists(NAMES, unique=True), ids=st.lists(IDS, unique=True), calls=IDS)
    def list_anew(self, members: list[str], ids: list[str], calls: str) -> None:
        collected, now = self.store.begin_list(self.now), Instant(self.now, self.now)
        items = [message("QueueParams", Queue="q", Calls=calls)]
        items += [message("QueueMember", Queue="q", Location=m, Name=m[:1]) for m in members]
        items += [message("QueueEntry", Queue="q", Uniqueid=each, Wait="3") for each in ids]
        for item in (*items, message("QueueParams", Queue="r")):
            self.store.item(collected, item, now)
        self.store.end_list(collected, now)

    @rule(name=NAMES, status=st.integers(0, 8), paused=st.booleans(), queue=st.sampled_from("qr"))
    def member(self, name: str, status: int, paused: bool, queue: str) -> None:
        who = {"Queue": queue, "Interface": name, "MemberName": name}
        self.apply("QueueMemberStatus", **who, Status=status, Paused=int(paused))

    @rule(id_=IDS, count=st.integers(0, 3))
    def join(self, id_: str, count: int) -> None:
        self.apply("QueueCallerJoin", Queue="q", Uniqueid=id_, Position=1, Count=count)

    @rule(id_=IDS, count=st.integers(0, 3))
    def leave(self, id_: str, count: int) -> None:
        self.apply("QueueCallerLeave", Queue="q", Uniqueid=id_, Count=count)

    @rule(seconds=STEPS)
    def time_goes(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_answer_is_told_as_anew(self) -> None:
        for queue in self.store.queues.values():
            plain: Any = [queue_row(queue, self.now)]
            expected = encode_success({"results": plain})
            assert self.answers.encode({"results": kept(queue, self.now)}) == expected


class Peers(RuleBasedStateMachine):
    """Lists, events, answers about one peer and a changing directory."""

    @initialize()
    def begin(self) -> None:
        self.store = PeerStore()
        self.store.freshness.listed()
        self.answers = KeptAnswers(encode_bare_success)
        self.list_anew({"a", "b"}, "192.0.2.1", "1.1", registered=True)
        self.change_the_directory(["b", "a"], sip=True, trunk=True)

    @rule(names=st.sets(NAMES), host=IDS, state=IDS, registered=st.booleans())
    def list_anew(self, names: set[str], host: str, state: str, registered: bool) -> None:
        listed = self.store.begin_list()
        for name in names:
            listed.sip.take_peer({"ObjectName": name, "IPaddress": host, "Status": state})
            listed.pjsip.take_endpoint({"ObjectName": name, "Aor": name})
        if registered:
            listed.sip.take_registration({"Host": "a", "State": state})
        for _ in self.store.prepare(listed):
            pass
        self.store.replace(listed)

    @rule(name=NAMES, status=st.sampled_from(["Registered", "Unregistered", "Unreachable"]))
    def peer_status(self, name: str, status: str) -> None:
        fields = {"Peer": f"SIP/{name}", "PeerStatus": status, "Address": "192.0.2.9:5061"}
        self.store.peer_status({"ChannelType": "SIP", **fields})

    @rule(name=NAMES, status=st.sampled_from(["Reachable", "Removed"]), us=st.integers(0, 9000))
    def contact_status(self, name: str, status: str, us: int) -> None:
        fields = {"AOR": name, "URI": "sip:x@192.0.2.1", "ContactStatus": status}
        self.store.contact_status({**fields, "RoundtripUsec": str(us)})

    @rule(name=NAMES, agent=IDS)
    def answered(self, name: str, agent: str) -> None:
        self.store.sip.take_details(name, {"SIP-Useragent": agent, "ToHost": "h"})

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.store.forget(Key("SIP", name))

    @rule(host=NAMES, state=IDS)
    def registrations_anew(self, host: str, state: str) -> None:
        listed = self.store.begin_list()
        listed.sip.take_registration({"Host": host, "State": state})
        self.store.registered(listed)
        self.store.abandon(listed)

    @rule(names=st.lists(NAMES), sip=st.booleans(), trunk=st.booleans())
    def change_the_directory(self, names: list[str], sip: bool, trunk: bool) -> None:
        self.devices = [
            Device(
                "trunk" if trunk and number % 2 else "extension",
                number,
                "7",
                name,
                "SIP" if sip else "PJSIP",
            )
            for number, name in enumerate(names)
        ]

    def everybody(self) -> tuple[list[Device], list[Device]]:
        accounts = [device for device in self.devices if device.kind == "extension"]
        return accounts, [device for device in self.devices if device.kind == "trunk"]

    @invariant()
    def the_answer_is_told_as_anew(self) -> None:
        peers = PeerList(self.store, lambda: 0.0)
        ports, _ = make_ports({})

        async def ask() -> Result:
            return await sipstatus(replace(ports, peers=peers, devices=self), {})

        result = asyncio.run(ask())
        accounts, trunks = self.everybody()
        keys = ([Key(each.technology, each.name) for each in some] for some in (accounts, trunks))
        rows = [*map(peer_row, zip([*accounts, *trunks], peers.states(*keys), strict=True))]
        expected = encode_bare_success({"total": len(rows), "results": rows})
        assert self.answers.encode(result.data) == expected


TestQueues = Queues.TestCase
TestQueues.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestPeers = Peers.TestCase
TestPeers.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def test_members_in_another_order_are_another_answer() -> None:
    store, answers = QueueStore(), KeptAnswers(encode_success)
    for members in ("ab", "ba"):
        collected, now = store.begin_list(1.0), Instant(1.0, 1.0)
        store.item(collected, message("QueueParams", Queue="q"), now)
        for name in members:
            store.item(collected, message("QueueMember", Queue="q", Location=name, Name=name), now)
        store.end_list(collected, now)
        plain: Any = [queue_row(store.queues["q"], 1.0)]
        expected = encode_success({"results": plain})
        assert answers.encode({"results": kept(store.queues["q"], 1.0)}) == expected


def rows(name: str, *parts: str) -> KeptRows:
    return KeptRows(name, (parts,), lambda: parts, lambda part: {"a": part})


def test_while_nothing_changes_the_same_body_is_given_again() -> None:
    answers = KeptAnswers(encode_success)

    def body(*parts: str) -> bytes:
        return answers.encode({"results": rows("q", *parts)})

    first = body("x", "y")
    assert body("x", "y") is first
    assert body("x") == b'{"success":"true","results":[{"a":"x"}]}'
    assert body() == b'{"success":"true","results":[]}'
    assert body("x", "y") == first


def test_what_is_kept_is_bounded() -> None:
    answers = KeptAnswers(encode_success)
    first = answers.encode({"results": rows("0", "x")})
    for number in range(MAX_ANSWERS - 1):
        answers.encode({"results": rows(f"q{number}", "x")})
    assert answers.encode({"results": rows("0", "x")}) is first
    answers.encode({"results": rows("one more", "x")})
    assert answers.encode({"results": rows("0", "x")}) is not first

"""PeerFollower: what is asked when, and when its picture may be believed."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from pbxapi.cache import relisting
from pbxapi.cache.device_state import DeviceState
from pbxapi.cache.peers import follow, questions
from pbxapi.cache.peers.follow import PeerFollower
from pbxapi.cache.peers.peer import Key
from pbxapi.cache.peers.store import PeerStore
from pbxapi.cache.peers.view import PeerList, PeerState
from pbxapi.errors import PbxRefused, PbxUnavailable
from tests.cache.peers.pbx import PeersPbx
from tests.cache.replay import message
from tests.services.waiting import eventually

LISTS = {
    "SIPpeers",
    "SIPshowregistry",
    "PJSIPShowEndpoints",
    "PJSIPShowAors",
    "PJSIPShowContacts",
    "PJSIPShowRegistrationsOutbound",
    "DeviceStateList",
}


class Daemon:
    """A follower, its store and its view."""

    def __init__(self) -> None:
        self.store = PeerStore()
        self.follower = PeerFollower(self.store)
        self.peers = PeerList(self.store)

    def boot(self) -> None:
        """A session with an Asterisk that is up."""
        self.follower.session_opened()
        self.follower.event(message("FullyBooted"))

    async def listed(self, times: int = 1) -> None:
        await eventually(lambda: self.follower.lists >= times, within_s=3, what=f"{times} lists")

    def state(self, technology: str, name: str) -> PeerState:
        key = Key("SIP" if technology == "SIP" else "PJSIP", name)
        (state,) = self.peers.states([], [key])
        return state

    @property
    def is_believed(self) -> bool:
        try:
            list(self.peers.states([], []))
        except PbxUnavailable:
            return False
        return True


@asynccontextmanager
async def following(pbx: PeersPbx) -> AsyncIterator[Daemon]:
    daemon = Daemon()
    task = asyncio.create_task(daemon.follower.run(pbx))
    try:
        yield daemon
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
def pbx() -> PeersPbx:
    made = PeersPbx()
    made.register("100", "192.0.2.1", agent="first")
    made.sip["101"] = {"IPaddress": "-none-", "IPport": "0", "Status": "UNKNOWN"}
    made.contact("200", "sip:200@192.0.2.2:5060")
    made.endpoints.append("201")
    return made


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relisting, "SETTLE_S", 0.02)
    monkeypatch.setattr(relisting, "RETRY_S", 0.02)
    monkeypatch.setattr(questions, "SETTLE_S", 0.02)


async def quiet(pbx: PeersPbx) -> None:
    """Longer than settling, retrying and asking take: nothing more is asked."""
    before = pbx.asked.copy()
    await asyncio.sleep(0.15)
    assert pbx.asked == before


async def test_the_first_picture_is_listed_with_all_user_agents(pbx: PeersPbx) -> None:
    with capture_logs() as logs:
        async with following(pbx) as daemon:
            assert not daemon.is_believed
            daemon.boot()
            await eventually(lambda: daemon.is_believed, within_s=2, what="a picture")
            assert daemon.state("SIP", "100").useragent == "first"
            assert daemon.state("PJSIP", "200").status == "OK (7 ms)"
            await quiet(pbx)
    assert set(pbx.asked) == LISTS | {"SIPshowpeer 100", "SIPshowpeer 101"}
    assert set(pbx.asked.values()) == {1}
    assert [(e["event"], e["log_level"], e["sip"], e["pjsip"]) for e in logs] == [
        ("cache.peers_listed", "info", 2, 2)
    ]


async def test_nothing_is_listed_before_asterisk_has_booted(pbx: PeersPbx) -> None:
    """A driver that is not loaded yet is not a driver that is not there."""
    async with following(pbx) as daemon:
        with capture_logs() as logs:
            daemon.follower.session_opened()
            await eventually(lambda: logs, within_s=2, what="a word about it")
        assert [entry["event"] for entry in logs] == ["cache.peers_waiting"]
        await quiet(pbx)
        assert pbx.asked == {}
        assert not daemon.is_believed
        daemon.follower.event(message("FullyBooted"))
        await daemon.listed()


async def test_fullybooted_may_come_before_the_session_is_told_of(pbx: PeersPbx) -> None:
    async with following(pbx) as daemon:
        daemon.follower.event(message("FullyBooted"))
        daemon.follower.session_opened()
        await daemon.listed()


@pytest.mark.parametrize("drivers", [{"SIP"}, {"PJSIP"}, set[str]()])
async def test_a_driver_that_is_not_there_has_no_peers(pbx: PeersPbx, drivers: set[str]) -> None:
    pbx.drivers = drivers
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        assert daemon.is_believed
        hosts = [daemon.state("SIP", "100").host, daemon.state("PJSIP", "200").host]
    assert hosts == [
        "192.0.2.1" if "SIP" in drivers else "(Unspecified)",
        "192.0.2.2" if "PJSIP" in drivers else "(Unspecified)",
    ]


async def test_a_driver_that_is_loaded_later_is_found(
    pbx: PeersPbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MIN_PERIOD_S", 0.05)
    pbx.drivers = {"PJSIP"}
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        pbx.drivers = {"SIP", "PJSIP"}
        await eventually(
            lambda: daemon.state("SIP", "100").useragent == "first", within_s=2, what="chan_sip"
        )


async def test_pjsip_lists_that_are_empty_are_no_errors(pbx: PeersPbx) -> None:
    pbx.endpoints, pbx.contacts = [], {}
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        assert daemon.state("PJSIP", "200") == PeerState(
            "(Unspecified)", "0", "UNKNOWN", "", "", None
        )


@pytest.mark.parametrize("action", sorted(LISTS))
@pytest.mark.parametrize(
    ("error", "event"),
    [
        (PbxRefused("Permission denied"), "cache.peers_refused"),
        (PbxUnavailable("no answer"), "cache.peers_failed"),
    ],
)
async def test_what_is_not_known_is_not_nothing(
    pbx: PeersPbx, action: str, error: Exception, event: str
) -> None:
    pbx.refusals[action] = error
    with capture_logs() as logs:
        async with following(pbx) as daemon:
            daemon.boot()
            await eventually(lambda: pbx.asked[action] > 1, within_s=2, what="it is tried again")
            assert not daemon.is_believed
            del pbx.refusals[action]
            await daemon.listed()
    assert {entry["event"] for entry in logs[:-1]} == {event}
    if isinstance(error, PbxRefused):
        assert logs[0]["error"] == f"{action}: Permission denied"


async def test_a_refusal_later_leaves_the_picture_as_it_was(
    pbx: PeersPbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "MIN_PERIOD_S", 0.05)
    with capture_logs():
        async with following(pbx) as daemon:
            daemon.boot()
            await daemon.listed()
            pbx.refusals["SIPpeers"] = PbxRefused("Permission denied")
            count = pbx.asked["SIPpeers"]
            await eventually(lambda: pbx.asked["SIPpeers"] > count, within_s=2, what="a refusal")
            assert daemon.state("SIP", "100").host == "192.0.2.1"


async def test_after_an_event_the_peer_is_asked_about_once(pbx: PeersPbx) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        pbx.register("100", "192.0.2.9", "5070", agent="second")
        for status in ("Registered", "Reachable"):
            daemon.follower.event(
                message(
                    "PeerStatus",
                    ChannelType="SIP",
                    Peer="SIP/100",
                    PeerStatus=status,
                    Address="192.0.2.9:5070",
                )
            )
        assert daemon.state("SIP", "100").host == "192.0.2.9", "the event tells the address"
        assert not daemon.peers.peer("SIP", "100").detailed
        await eventually(
            lambda: daemon.state("SIP", "100").useragent == "second", within_s=2, what="details"
        )
        assert daemon.peers.peer("SIP", "100").detailed
        await quiet(pbx)
    assert pbx.asked["SIPshowpeer 100"] == 2
    assert pbx.asked["SIPpeers"] == 1


async def test_a_contact_that_comes_is_asked_about_and_one_that_goes_is_gone(
    pbx: PeersPbx,
) -> None:
    def status(uri: str, word: str, us: str = "0") -> None:
        headers = {"AOR": "201", "EndpointName": "201", "URI": uri, "RoundtripUsec": us}
        daemon.follower.event(message("ContactStatus", ContactStatus=word, **headers))
        daemon.follower.event(
            message("PeerStatus", ChannelType="PJSIP", Peer="PJSIP/201", PeerStatus="Reachable")
        )

    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        pbx.contact("201", "sip:201@192.0.2.7:5060", us="35417")
        status("sip:201@192.0.2.7:5060", "NonQualified")
        assert daemon.state("PJSIP", "201").status == "UNKNOWN", "it is qualified, not yet asked"
        status("sip:201@192.0.2.7:5060", "Reachable", "12000")
        assert daemon.state("PJSIP", "201").status == "OK (12 ms)"
        await eventually(
            lambda: daemon.state("PJSIP", "201").useragent == "snom", within_s=2, what="details"
        )
        assert daemon.state("PJSIP", "201").status == "OK (35 ms)"
        pbx.contacts["201"].clear()
        status("sip:201@192.0.2.7:5060", "Removed")
        assert daemon.state("PJSIP", "201")[:4] == ("(Unspecified)", "0", "UNKNOWN", "snom")
        await eventually(
            lambda: pbx.asked["PJSIPShowEndpoint 201"] == 2, within_s=2, what="asked again"
        )
        await quiet(pbx)
        assert daemon.state("PJSIP", "201")[:4] == ("(Unspecified)", "0", "UNKNOWN", "snom")
    assert pbx.asked["PJSIPShowEndpoint 201"] == 2


async def test_a_peer_that_asterisk_does_not_have_any_more_is_forgotten(pbx: PeersPbx) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        del pbx.sip["100"]
        pbx.endpoints.remove("200")
        for key in ("SIP/100", "PJSIP/200"):
            daemon.follower.event(
                message(
                    "PeerStatus",
                    ChannelType=key.partition("/")[0],
                    Peer=key,
                    PeerStatus="Unreachable",
                )
            )
        await eventually(lambda: len(daemon.store) == 2, within_s=2, what="both are gone")


async def test_peers_of_other_drivers_and_of_no_name_are_nobody(pbx: PeersPbx) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        for fields in (
            {"ChannelType": "IAX2", "Peer": "IAX2/100", "PeerStatus": "Registered"},
            {"ChannelType": "SIP", "Peer": "", "PeerStatus": "Registered"},
            {"ChannelType": "PJSIP"},
        ):
            daemon.follower.event(message("PeerStatus", **fields))
        daemon.follower.event(message("ContactStatus", ContactStatus="Removed"))
        await quiet(pbx)


@pytest.mark.parametrize("error", [PbxUnavailable("no answer"), PbxRefused("Permission denied")])
async def test_a_peer_that_cannot_be_asked_about_stays_as_it_was(
    pbx: PeersPbx, error: Exception
) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        pbx.refusals["SIPshowpeer"] = error
        event = message("PeerStatus", ChannelType="SIP", Peer="SIP/100", PeerStatus="Lagged")
        daemon.follower.event(event)
        await eventually(lambda: pbx.asked["SIPshowpeer 100"] == 2, within_s=2, what="asked")
        await quiet(pbx)
        assert daemon.state("SIP", "100").useragent == "first"
        del pbx.refusals["SIPshowpeer"]
        daemon.follower.event(event)
        await eventually(lambda: pbx.asked["SIPshowpeer 100"] == 3, within_s=2, what="asked again")


async def test_registrations_are_listed_again_after_their_event(pbx: PeersPbx) -> None:
    pbx.registries = [{"Host": "100", "State": "Registered", "Username": "x"}]
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        assert daemon.state("SIP", "100").registry == "Registered"
        pbx.registries[0]["State"] = "Rejected"
        daemon.follower.event(message("Registry", ChannelType="SIP", Status="Rejected"))
        await eventually(
            lambda: daemon.state("SIP", "100").registry == "Rejected", within_s=2, what="rejected"
        )
        await quiet(pbx)
    assert pbx.asked["SIPshowregistry"] == 2
    assert pbx.asked["SIPpeers"] == 1


async def test_registrations_of_pjsip_come_with_credentials_that_are_nobody_s_business(
    pbx: PeersPbx,
) -> None:
    pbx.endpoints.append("upc")
    pbx.registrations = [{"ObjectName": "r", "Endpoint": "upc", "Status": "Rejected"}]
    pbx.device_states = {"Local/1000@x": "INUSE", "PJSIP/upc": "RINGING"}
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        assert daemon.state("PJSIP", "upc").registry == "Rejected"
        assert daemon.peers.device_state("PJSIP", "upc") is DeviceState.RINGING


async def test_what_happens_while_a_list_is_under_way_is_not_undone(pbx: PeersPbx) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        pbx.gate.clear()
        daemon.follower.event(message("Reload"))
        await eventually(lambda: pbx.asked["SIPpeers"] == 2, within_s=2, what="a list under way")
        stale = {name: dict(entry) for name, entry in pbx.sip.items()}
        headers = {"ChannelType": "SIP", "Peer": "SIP/100"}
        daemon.follower.event(message("PeerStatus", PeerStatus="Unregistered", **headers))
        daemon.follower.event(
            message(
                "ContactStatus",
                ContactStatus="Removed",
                AOR="200",
                EndpointName="200",
                URI="sip:200@192.0.2.2:5060",
            )
        )
        daemon.follower.event(message("DeviceStateChange", Device="SIP/100", State="INUSE"))
        assert stale == pbx.sip, "the list is of before"
        pbx.refusals |= {n: PbxUnavailable("slow") for n in ("SIPshowpeer", "PJSIPShowEndpoint")}
        pbx.gate.set()
        await daemon.listed(2)
        assert daemon.state("SIP", "100").host == "(Unspecified)"
        assert daemon.state("PJSIP", "200").host == "(Unspecified)"
        assert daemon.peers.device_state("SIP", "100") is DeviceState.INUSE
        await eventually(
            lambda: pbx.asked["SIPshowpeer 100"] >= 2, within_s=2, what="and it is asked about"
        )


@pytest.mark.parametrize("error", [None, PbxUnavailable("the session is lost")])
async def test_a_list_is_not_believed_whose_session_was_lost(
    pbx: PeersPbx, error: Exception | None
) -> None:
    async with following(pbx) as daemon:
        pbx.gate.clear()
        daemon.boot()
        await eventually(lambda: pbx.asked["SIPpeers"], within_s=2, what="a list under way")
        daemon.follower.session_lost(time.monotonic())
        if error is not None:
            pbx.refusals["DeviceStateList"] = error
        pbx.gate.set()
        await eventually(lambda: pbx.asked["DeviceStateList"], within_s=2, what="it went on")
        await quiet(pbx)
        assert not daemon.is_believed
        assert len(daemon.store) == 0


async def test_nor_one_whose_session_was_lost_while_user_agents_were_asked_for(
    pbx: PeersPbx,
) -> None:
    async with following(pbx) as daemon:
        pbx.held.add("SIPshowpeer")
        pbx.gate.clear()
        daemon.boot()
        await eventually(lambda: pbx.asked["SIPshowpeer 100"], within_s=2, what="the details")
        daemon.follower.session_lost(time.monotonic())
        pbx.gate.set()
        await quiet(pbx)
        assert not daemon.is_believed


async def test_without_a_session_the_picture_stays_for_a_while(pbx: PeersPbx) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        daemon.follower.session_lost(time.monotonic() - 29)
        assert daemon.state("SIP", "100").useragent == "first"
        daemon.follower.session_lost(time.monotonic() - 31)
        assert not daemon.is_believed


async def test_a_new_session_asks_for_all_user_agents_again_and_keeps_the_old_till_then(
    pbx: PeersPbx,
) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        daemon.follower.session_lost(time.monotonic())
        pbx.agents["100"] = "after the restart"
        pbx.refusals["SIPshowpeer"] = PbxUnavailable("busy")
        daemon.boot()
        await daemon.listed(2)
        assert daemon.state("SIP", "100").useragent == "first"
        assert not daemon.peers.peer("SIP", "100").detailed
        del pbx.refusals["SIPshowpeer"]
        daemon.follower.event(message("Reload"))
        await eventually(
            lambda: daemon.state("SIP", "100").useragent == "after the restart",
            within_s=2,
            what="the new one",
        )


async def test_a_list_that_knows_a_new_address_makes_it_ask(pbx: PeersPbx) -> None:
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        pbx.register("100", "192.0.2.77", agent="moved")
        daemon.follower.event(message("Reload"))
        await eventually(
            lambda: daemon.state("SIP", "100").useragent == "moved", within_s=2, what="details"
        )
        assert pbx.asked["SIPshowpeer 101"] == 1, "nothing has changed there"


async def test_contacts_of_the_configuration_are_asked_about_with_every_list(
    pbx: PeersPbx,
) -> None:
    pbx.endpoints.append("upc")
    pbx.configured["upc"] = "sip:198.51.100.1:5080"
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        assert daemon.state("PJSIP", "upc") == PeerState(
            "198.51.100.1", "5080", "OK (9 ms)", "", "", None
        )
        daemon.follower.event(message("Reload"))
        await eventually(
            lambda: pbx.asked["PJSIPShowEndpoint upc"] == 2, within_s=2, what="asked again"
        )
        assert daemon.state("PJSIP", "upc").status == "OK (9 ms)"
    assert not any(what.startswith("PJSIPShowEndpoint 20") for what in pbx.asked)


async def test_thousands_are_asked_about_a_few_at_a_time_and_the_rest_does_not_wait(
    pbx: PeersPbx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "FIRST_DETAILS_S", 0.05)
    for number in range(2000):
        pbx.register(f"p{number}", "192.0.2.3")
    async with following(pbx) as daemon:
        daemon.boot()
        await daemon.listed()
        asked = sum(count for what, count in pbx.asked.items() if what.startswith("SIPshowpeer"))
        assert asked < 1000, "the picture did not wait for all of them"
        assert daemon.state("SIP", "p1999")[:3] == ("192.0.2.3", "5060", "OK (7 ms)")
        pbx.order.clear()
        daemon.follower.event(
            message("PeerStatus", ChannelType="SIP", Peer="SIP/p1999", PeerStatus="Lagged")
        )
        await eventually(
            lambda: daemon.peers.peer("SIP", "p1999").detailed, within_s=2, what="its details"
        )
        assert len(pbx.order) < 200, "who has changed comes first"
    assert pbx.most_at_once == questions.IN_FLIGHT


async def test_lists_come_more_rarely_the_more_peers_there_are() -> None:
    async def period(count: int) -> float:
        daemon = Daemon()
        daemon.store.sip.peers = dict.fromkeys(map(str, range(count)))  # type: ignore[assignment]  # only their number is looked at
        return daemon.follower._period_s()

    assert [await period(n) for n in (0, 300, 5000, 50_000)] == [10, 13, 60, 60]

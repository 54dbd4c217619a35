"""Rows of listcalls: who calls whom, whose channel it is, how old."""

import pytest

from pbxapi.cache.channels.calls import INNER_TECHNOLOGIES, Leg, Owner, account_name, is_leg, legs
from pbxapi.cache.channels.channel import REDUCERS, Channel
from pbxapi.cache.channels.store import ChannelStore
from tests.cache.replay import NOW, Pbx, messages, owner_of, quiet_moments, rows
from tests.services import captures

BLANK = Channel("1.1", "SIP/a-1", "1.1", "Up", "", "", "", "from-a", 900.0, False, "", False)


def leg(*, owner: Owner | None = None, **fields: object) -> Leg:
    """The row of a channel that is alone."""
    channel = BLANK._replace(**fields)  # type: ignore[arg-type]  # fields by name
    [row] = legs({channel.uniqueid: channel}, lambda _name: owner, NOW.monotonic)
    return row


# -- src and dst


def test_the_callers_leg_shows_the_number_that_it_dialled() -> None:
    row = leg(caller_num="123456789", connected_num="555", dialled="111222555")
    assert (row.src, row.dst) == ("123456789", "111222555")


def test_the_called_leg_shows_its_own_number() -> None:
    row = leg(called=True, caller_num="555", connected_num="123456789")
    assert (row.src, row.dst) == ("123456789", "555")


def test_what_was_dialled_and_is_not_known_is_who_is_connected() -> None:
    row = leg(caller_num="1005", connected_num="1000")
    assert (row.src, row.dst) == ("1005", "1000")


def test_a_telephone_without_a_number_has_that_of_its_line() -> None:
    owner = Owner("extension", "12", "555")
    assert leg(called=True, connected_num="1", owner=owner).dst == "555"
    assert leg(dialled="1", owner=owner).src == "555"
    assert leg(dialled="1", caller_num="420777123456", owner=owner).src == "420777123456"


def test_the_caller_of_a_called_leg_may_be_known_from_the_call_alone() -> None:
    caller = BLANK._replace(caller_num="1005", dialled="1000")
    called = BLANK._replace(uniqueid="1.2", name="SIP/b-2", called=True, caller_num="1000")
    channels = {each.uniqueid: each for each in (caller, called)}
    assert [(row.src, row.dst) for row in legs(channels, owner_of, NOW.monotonic)] == [
        ("1005", "1000"),
        ("1005", "1000"),
    ]


def test_of_two_called_legs_that_have_each_other_the_older_one_calls() -> None:
    older = BLANK._replace(called=True, caller_num="1000", connected_num="1001")
    newer = BLANK._replace(
        uniqueid="1.2", name="SIP/b-2", called=True, caller_num="1001", connected_num="1000"
    )
    for channels in ({"1.1": older, "1.2": newer}, {"1.2": newer, "1.1": older}):
        assert [(row.src, row.dst) for row in legs(channels, owner_of, NOW.monotonic)] == [
            ("1000", "1001"),
            ("1000", "1001"),
        ]
    strangers = {"1.1": older, "1.2": newer._replace(linkedid="7.7")}
    assert [row.src for row in legs(strangers, owner_of, NOW.monotonic)] == ["1001", "1000"]


def test_telephones_that_ring_together_are_both_called() -> None:
    caller = BLANK._replace(caller_num="1005", connected_num="1010", dialled="1010")
    ringing = [
        BLANK._replace(
            uniqueid=f"1.{index}",
            name=f"SIP/b-{index}",
            called=True,
            caller_num="1010",
            connected_num="1005",
        )
        for index in (2, 3)
    ]
    channels = {each.uniqueid: each for each in (caller, *ringing)}
    found = {(row.src, row.dst) for row in legs(channels, owner_of, NOW.monotonic)}
    assert found == {("1005", "1010")}


# -- recordings of real Asterisk, at its quiet moments

#: Scenario → what is seen one after the other, on both versions.
STAGES = {
    "phone-call": [
        ["Linka_1005 1005→1000 Ring", "Linka_1000 1005→1000 Ringing"],
        ["Linka_1005 1005→1000 Up", "Linka_1000 1005→1000 Up"],
    ],
    "trunk-in-queue": [
        ["upc 420602123456→222333444 Up", "Linka_1000 420602123456→1000 Ringing"],
        ["upc 420602123456→222333444 Up", "Linka_1000 420602123456→1000 Up"],
    ],
    "trunk-out": [
        ["Linka_1005 420222333444→0602123456 Ring", "upc 420222333444→602123456 Ringing"],
        ["Linka_1005 420222333444→0602123456 Up", "upc 420222333444→602123456 Up"],
    ],
    "transfer-blind-ami": [
        ["Linka_1005 1005→1000 Ring", "Linka_1000 1005→1000 Ringing"],
        ["Linka_1005 1005→1000 Up", "Linka_1000 1005→1000 Up"],
        ["Linka_1005 1005→1001 Up", "Linka_1001 1005→1001 Ringing"],
        ["Linka_1005 1005→1001 Up", "Linka_1001 1005→1001 Up"],
    ],
    "transfer-blind-refer": [
        ["Linka_1005 1005→1007 Ring", "Linka_1007 1005→1007 Ringing"],
        ["Linka_1005 1005→1007 Up", "Linka_1007 1005→1007 Up"],
        ["Linka_1005 1005→1001 Up", "Linka_1001 1005→1001 Ringing"],
        ["Linka_1005 1005→1001 Up", "Linka_1001 1005→1001 Up"],
    ],
    "transfer-attended-ami": [
        ["Linka_1005 1005→1000 Up", "Linka_1000 1005→1000 Up"],
        # 1000 asks 1001, while 1005 listens to music
        [
            "Linka_1005 1005→1000 Up",
            "Linka_1000 1000→1001 Up",
            "Linka_1001 1000→1001 Ringing",
        ],
        ["Linka_1005 1005→1000 Up", "Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Up"],
        ["Linka_1005 1005→1001 Up", "Linka_1001 1005→1001 Up"],
    ],
    "originate-local": [
        # Local channel that is optimised away; whoever originates gave the number 1000
        ["Linka_1000 1000→1000 Ringing"],
        ["Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Ringing"],
        ["Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Up"],
        # Local channel with /n, without a number
        ["Linka_1000 →1000 Ringing"],
        ["Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Ringing"],
        ["Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Up"],
    ],
    "originate-answered": [
        ["Linka_1000 420777123456→420777123456 Ringing"],
        ["Linka_1000 420777123456→1001 Up", "Linka_1001 420777123456→1001 Ringing"],
        ["Linka_1000 420777123456→1001 Up", "Linka_1001 420777123456→1001 Up"],
    ],
    "queue-call": [
        ["Linka_1005 1005→500 Up", "Linka_1000 1005→1000 Ringing"],
        ["Linka_1005 1005→500 Up", "Linka_1000 1005→1000 Up"],
    ],
    "queue-ring-noanswer-abandon": [
        ["Linka_1005 1005→501 Up", "Linka_1002 1005→1002 Ringing"],
        ["Linka_1005 1005→501 Up"],
        ["Linka_1005 1005→501 Up", "Linka_1002 1005→1002 Ringing"],
    ],
    # somebody sends 1005 to an echo (600): it had called 1000
    "redirect": [
        ["Linka_1005 1005→1000 Up", "Linka_1000 1005→1000 Up"],
        ["Linka_1005 1005→1000 Up"],
    ],
    "park": [
        ["Linka_1005 1005→1000 Up", "Linka_1000 1005→1000 Up"],
        ["Linka_1005 1005→1000 Up"],
    ],
    "chanspy": [
        ["Linka_1000 →1000 Ringing"],
        ["Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Ringing"],
        ["Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Up"],
        ["Linka_1000 1000→1001 Up", "Linka_1001 1000→1001 Up", "Linka_1008 →1008 Up"],
    ],
}

#: Where a list alone tells something else than the history: it has the extension that a channel is
#: at now, not the one that it dialled.
LISTED = {
    "upc 420602123456→222333444 Up": "upc 420602123456→500 Up",
    "Linka_1005 420222333444→0602123456 Ring": "Linka_1005 420222333444→602123456 Ring",
    "Linka_1005 420222333444→0602123456 Up": "Linka_1005 420222333444→602123456 Up",
}
SCENARIOS = [(version, name) for name in STAGES for version in captures.VERSIONS]


def stages(version: str, name: str, *, listed: bool) -> list[list[str]]:
    """What is seen at the quiet moments: after following, or after a list and nothing else."""
    store, pbx, done = ChannelStore(), Pbx(), 0
    seen: list[list[str]] = []
    for count in quiet_moments(version, name):
        for index in range(done, count):
            message = messages(version, name)[index]
            if message.event in REDUCERS:
                # A second between two messages: the order of the rows is that of the events.
                store.apply(message, NOW._replace(monotonic=float(index)))
                pbx.apply(message)
        done = count
        new = ChannelStore()
        pbx.list_into(new)
        found = rows((new if listed else store).channels)
        if found and found != (seen or [[]])[-1]:
            seen.append(found)
    return seen


def without_first_ringing(found: list[list[str]]) -> list[list[str]]:
    """Some recordings have no quiet moment before the answer."""
    return found[1:] if any(row.endswith(" Ring") for row in found[0]) else found


@pytest.mark.parametrize(("version", "name"), SCENARIOS)
def test_both_legs_know_who_calls_whom(version: str, name: str) -> None:
    found = stages(version, name, listed=False)
    assert without_first_ringing(found) == without_first_ringing(STAGES[name])


@pytest.mark.parametrize(
    ("version", "name"),
    [each for each in SCENARIOS if each[1] not in ("redirect", "transfer-attended-ami")],
)
def test_a_list_alone_tells_the_same(version: str, name: str) -> None:
    """After a reconnect in mid-call there is no history."""
    found = stages(version, name, listed=True)
    told = [[LISTED.get(row, row) for row in stage] for stage in STAGES[name]]
    assert without_first_ringing(found) == without_first_ringing(told)


@pytest.mark.parametrize("version", captures.VERSIONS)
def test_what_a_list_alone_cannot_tell(version: str) -> None:
    """Asterisk keeps the extension of a transferee as it was, and a redirected one moves."""
    assert stages(version, "transfer-attended-ami", listed=True)[-1] == [
        "Linka_1005 1005→1000 Up",
        "Linka_1001 1005→1001 Up",
    ]
    assert stages(version, "redirect", listed=True)[-1] == ["Linka_1005 1005→600 Up"]


# -- what is a leg


@pytest.mark.parametrize("name", ["SIP/a-1", "PJSIP/a-1", "IAX2/a-1", "DAHDI/1-1", "Motif/x"])
def test_channels_of_telephones_and_trunks_are_legs(name: str) -> None:
    assert is_leg(BLANK._replace(name=name))


@pytest.mark.parametrize(
    "name",
    ["", "x", *(f"{technology}/1000@a-00000001;1" for technology in sorted(INNER_TECHNOLOGIES))],
)
def test_halves_of_local_channels_and_what_asterisk_makes_for_itself_are_none(name: str) -> None:
    channel = BLANK._replace(name=name)
    assert not is_leg(channel)
    assert list(legs({"1.1": channel}, owner_of, NOW.monotonic)) == []


@pytest.mark.parametrize("version", captures.VERSIONS)
def test_a_call_through_a_local_channel_has_rows_for_its_telephones_alone(version: str) -> None:
    store = ChannelStore()
    most = 0
    for message in messages(version, "originate-local"):
        if message.event in REDUCERS:
            store.apply(message, NOW)
            found = [row.channel for row in legs(store.channels, owner_of, NOW.monotonic)]
            assert not any(name.startswith("Local/") for name in found)
            most = max(most, len(store.channels))
            assert len(found) <= 2
    assert most >= 4


# -- order and duration


def test_the_oldest_channel_is_first() -> None:
    channels = {
        uniqueid: BLANK._replace(uniqueid=uniqueid, name=f"SIP/{name}-1", began=began)
        for uniqueid, name, began in [("1.3", "c", 30.0), ("1.1", "a", 10.0), ("1.2", "b", 20.0)]
    }
    assert [
        account_name(BLANK._replace(name=row.channel))
        for row in legs(channels, owner_of, NOW.monotonic)
    ] == ["a", "b", "c"]


def test_channels_of_one_moment_are_in_the_order_of_their_numbers() -> None:
    channels = {
        uniqueid: BLANK._replace(uniqueid=uniqueid, name=f"SIP/{uniqueid}-1")
        for uniqueid in ("1795461712.100", "1795461712.99", "1795461712.101")
    }
    assert [row.channel for row in legs(channels, owner_of, NOW.monotonic)] == [
        "SIP/1795461712.99-1",
        "SIP/1795461712.100-1",
        "SIP/1795461712.101-1",
    ]


@pytest.mark.parametrize(
    ("began", "expected"), [(1000.0, 0), (999.01, 0), (999.0, 1), (471.0, 529), (1000.4, 0)]
)
def test_duration_is_whole_seconds_since_the_channel_began(began: float, expected: int) -> None:
    assert leg(began=began).duration_s == expected


def test_name_context_and_state_are_asterisks_words() -> None:
    row = leg(name="SIP/555-0000b70f", context="incomingRouteApp-1", state_desc="Ringing")
    assert (row.channel, row.context, row.status) == (
        "SIP/555-0000b70f",
        "incomingRouteApp-1",
        "Ringing",
    )


# -- whose channel it is


@pytest.mark.parametrize(
    ("name", "account"),
    [
        ("SIP/Linka_1000-0000000a", "Linka_1000"),
        ("PJSIP/Linka_1000-0000000a", "Linka_1000"),
        ("SIP/a-b-c-0000000a", "a-b-c"),
        ("SIP/555-0000b70f", "555"),
        ("PJSIP/anonymous-0000000a", "anonymous"),
        ("Local/1000@x-0000000a;1", ""),
        ("IAX2/trunk-123", ""),
        ("SIP/", ""),
        ("", ""),
    ],
)
def test_the_account_is_in_the_name_of_a_sip_channel(name: str, account: str) -> None:
    assert account_name(BLANK._replace(name=name)) == account


def of(row: Leg) -> tuple[str, str, str]:
    return row.account_code, row.source_type, row.owner_id


@pytest.mark.parametrize("code", ["", "klient3", "SIP_99", "SIPTR_7"])
def test_the_directory_tells_whose_channel_it_is_whatever_the_account_code(code: str) -> None:
    """Asterisk overwrites the called leg's account code with the caller's."""
    extension = Owner("extension", "12", "555")
    assert of(leg(owner=extension, account_code=code)) == ("SIP_12", "extension", "12")
    trunk = Owner("trunk", "1")
    assert of(leg(owner=trunk, account_code=code)) == ("SIPTR_1", "trunk", "1")


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SIP_12", ("SIP_12", "extension", "12")),
        ("SIPTR_1", ("SIPTR_1", "trunk", "1")),
        ("", ("", "", "")),
        ("klient3", ("klient3", "", "")),
        ("SIP_", ("SIP_", "", "")),
        ("SIP_x", ("SIP_x", "", "")),
        ("SIP_1 2", ("SIP_1 2", "", "")),
        ("SIP_²", ("SIP_²", "", "")),
        ("SIPTR_-1", ("SIPTR_-1", "", "")),
        ("sip_12", ("sip_12", "", "")),
        ("XSIP_12", ("XSIP_12", "", "")),
        ("PJSIP_12", ("PJSIP_12", "", "")),
    ],
)
def test_for_any_other_channel_its_own_account_code_tells(
    code: str, expected: tuple[str, str, str]
) -> None:
    assert of(leg(account_code=code)) == expected
    assert of(leg(name="IAX2/x-1", account_code=code)) == expected


def test_the_directory_is_asked_for_accounts_of_sip_channels_alone() -> None:
    asked: list[str] = []

    def ask(account: str) -> None:
        asked.append(account)

    channels = {
        str(index): BLANK._replace(uniqueid=str(index), name=name)
        for index, name in enumerate(["SIP/a-1", "PJSIP/b-1", "IAX2/c-1", "Local/d@x-1;1"])
    }
    assert len(list(legs(channels, ask, NOW.monotonic))) == 3
    assert asked == ["a", "b"]


@pytest.mark.parametrize("version", captures.VERSIONS)
def test_the_called_leg_of_a_real_call_is_its_own_not_its_callers(version: str) -> None:
    """1005 has account code klient3, and Asterisk has written that onto the leg of 1000, too."""
    store = ChannelStore()
    last: list[Leg] = []
    for message in messages(version, "phone-call"):
        if message.event in REDUCERS:
            store.apply(message, NOW)
            found = list(legs(store.channels, owner_of, NOW.monotonic))
            last = found if len(found) == 2 else last
    assert {channel.account_code for channel in store.channels.values()} <= {"klient3"}
    assert [of(row) for row in last] == [
        ("SIP_91005", "extension", "91005"),
        ("SIP_91000", "extension", "91000"),
    ]

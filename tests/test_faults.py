"""The error table: every code and text as the vendor's documentation and the contract have them.

The texts are typed from there, not from the program. Clients compare them letter for letter, so
the vendor's typos are part of them; the quotation mark after 631 and 810 is a slip of that page.
"""

import string

import pytest

from pbxapi.errors import PbxapiError
from pbxapi.faults import REASONS, Fault

#: Code, words that the request fills in, the whole text.
EXPECTED: list[tuple[int, dict[str, str], str]] = [
    (100, {}, "Unauthorized user or bad permissions"),
    (110, {}, "Unknown action"),
    (120, {}, "Missing required parameters"),
    # originate
    (
        200,
        {},
        (
            "Use only one of next variables: srcExtenPublicNum, srcExtenInternalNum, srcExtenId, "
            "srcSipUsername"
        ),
    ),
    (201, {}, "Parameter dialPlanName missing"),
    (202, {}, "Extension not found"),
    (203, {}, "Dialplan not found"),
    (
        210,
        {"channel": "SIP/XYZ", "actual": "XXX.YYY.ZZZ.AAA", "requested": "AAA.ZZZ.YYY.XXX"},
        (
            "SIP host IP address mismatch. Channel SIP/XYZ is registered from IP XXX.YYY.ZZZ.AAA "
            "but requested IP address is AAA.ZZZ.YYY.XXX"
        ),
    ),
    (
        211,
        {"channel": "SIP/XYZ", "actual": "XXX.YYY.ZZZ.AAA", "requested": "AAA.ZZZ.YYY.XXX"},
        (
            "SIP host contact IP address mismatch. Contact IP address of the channel SIP/XYZ is "
            "XXX.YYY.ZZZ.AAA, but requested IP address is AAA.ZZZ.YYY.XXX"
        ),
    ),
    (220, {}, "SIP channel is unreacheable"),
    (221, {}, "SIP channel status - Channel is down, but reservered"),
    (222, {}, "SIP channel status - Channel is off hook"),
    (223, {}, "SIP channel status - Digits (or equivalent) have been dialed"),
    (224, {}, "SIP channel status - Line is ringing"),
    (225, {}, "SIP channel status - Remote end is ringing"),
    (226, {}, "SIP channel status - Line is up"),
    (227, {}, "SIP channel status - Line is busy"),
    (228, {}, "SIP channel stauts - Channel is down and available"),
    # dial
    (250, {}, "Outroute not found!"),
    # spying
    (
        300,
        {},
        (
            "Use only one of next variables: srcExtenPublicNum, srcExtenInternalNum, srcExtenId, "
            "srcSipUsername"
        ),
    ),
    (
        301,
        {},
        (
            "Use only one of next variables: dstExtenPublicNum, dstExtenInternalNum, dstExtenId, "
            "dstSipUsername, dstChannelName"
        ),
    ),
    (302, {}, "Source parameter srcDialplanName missing"),
    (303, {}, "Source extension not found"),
    (304, {}, "Source dialplan not found"),
    (310, {}, "Destination parameter dstDialplanName missing"),
    (311, {}, "Destination extension not found"),
    (312, {}, "Destination dialplan not found"),
    # hangupcall
    (400, {}, "Parameter channelName is empty"),
    # agentlogin
    (500, {}, "Agent not found, or bad authorization credentials!"),
    (
        501,
        {},
        (
            "Use only one of next variables: srcExtenPublicNum, srcExtenInternalNum, srcExtenId, "
            "srcSipUsername."
        ),
    ),
    (502, {}, "Parameter dialPlanName missing"),
    (503, {}, "Extension not found"),
    (504, {}, "Dialplan not found"),
    # agentlogout, agentpause, agentunpause
    (550, {}, "Agent not found, or bad authorization credentials!"),
    (580, {}, "Agent not found, or bad authorization credentials!"),
    (590, {}, "Agent not found, or bad authorization credentials!"),
    # agentadd, agentremove
    (600, {"queue": "FrontaABC"}, "Queue FrontaABC not found!"),
    (601, {}, "Agent not found, or bad authorization credentials!"),
    (610, {"queue": "FrontaABC"}, "Queue FrontaABC not found!"),
    (611, {}, "Agent not found, or bad authorization credentials!"),
    # agentstatus
    (620, {}, "Agent not found, or bad authorization credentials!"),
    (630, {}, "SIP channel is unreacheable"),
    (631, {}, "Line is unavailable"),
    (632, {}, "Line is In use"),
    (633, {}, "Line is ringing"),
    (634, {}, "Line in On hold"),
    (635, {}, "Line is not free"),
    (636, {}, "Line is busy"),
    # moverecord
    (800, {}, "CDR record not found!"),
    (801, {}, "CDR not contain any information about audio record!"),
    (
        810,
        {},
        (
            "Destination folder does not exist and mkdir command failed. Please check parent "
            "folder permissions!"
        ),
    ),
    (
        811,
        {"filename": "FILENAME"},
        "Source file (FILENAME) not exist or insufficient permissions to read them!",
    ),
    (
        812,
        {"filename": "NEW FILENAME"},
        "Cannot move file to (NEW FILENAME). Check destination folder permissions!",
    ),
    # ours
    (900, {}, "PBX is not available"),
    (901, {}, "Database is not available"),
    (902, {"name": "NAME"}, "Invalid value of parameter NAME"),
    (903, {}, "Too many requests"),
    (904, {"message": "MESSAGE"}, "PBX refused the request: MESSAGE"),
    (905, {}, "Internal error"),
    (906, {"channel": "NAME"}, "Channel NAME not found"),
    (907, {"context": "NAME"}, "Context NAME not found"),
]


def test_there_are_exactly_these_codes() -> None:
    assert list(REASONS) == [code for code, _, _ in EXPECTED]


@pytest.mark.parametrize(("code", "details", "reason"), EXPECTED, ids=[str(e[0]) for e in EXPECTED])
def test_a_fault_has_the_documented_text(code: int, details: dict[str, str], reason: str) -> None:
    fault = Fault(code, **details)
    assert (fault.code, fault.reason) == (code, reason)
    assert str(fault) == f"{code} {reason}"
    assert isinstance(fault, PbxapiError)


@pytest.mark.parametrize(
    ("code", "details"), [e[:2] for e in EXPECTED], ids=lambda value: f"{value}"
)
def test_a_text_asks_for_exactly_these_details(code: int, details: dict[str, str]) -> None:
    asked = {name for _, name, _, _ in string.Formatter().parse(REASONS[code]) if name is not None}
    assert asked == set(details)


def test_what_a_request_brings_is_no_pattern() -> None:
    assert Fault(902, name="{name} {0} %s").reason == "Invalid value of parameter {name} {0} %s"


def test_a_missing_detail_or_an_unknown_code_is_a_bug() -> None:
    with pytest.raises(KeyError, match="name"):
        Fault(902)
    with pytest.raises(KeyError, match="999"):
        Fault(999)

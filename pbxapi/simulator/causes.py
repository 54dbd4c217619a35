"""Causes of a hang-up: Q.850 numbers, Asterisk's words, SIP codes and the dial status they make.

Source: Asterisk include/asterisk/causes.h, main/channel.c causes[], apps/app_dial.c handle_cause(),
res/res_pjsip hangup_sip2cause; captures of both versions where they differ.
"""

from typing import Final

NO_ROUTE: Final = 3
NORMAL: Final = 16
BUSY: Final = 17
NO_ANSWER: Final = 19
ABSENT: Final = 20
REJECTED: Final = 21
ELSEWHERE: Final = 26
INVALID_NUMBER: Final = 28
CONGESTION: Final = 34
TIMER_EXPIRED: Final = 102

WORDS: Final[dict[int, str]] = {
    0: "Unknown",
    1: "Unallocated (unassigned) number",
    3: "No route to destination",
    6: "Channel unacceptable",
    16: "Normal Clearing",
    17: "User busy",
    18: "No user responding",
    19: "User alerting, no answer",
    20: "Subscriber absent",
    21: "Call Rejected",
    22: "Number changed",
    26: "Answered elsewhere",
    27: "Destination out of order",
    28: "Invalid number format",
    31: "Normal, unspecified",
    34: "Circuit/channel congestion",
    38: "Network out of order",
    41: "Temporary failure",
    42: "Switching equipment congestion",
    102: "Recover on timer expiry",
    127: "Interworking, unspecified",
}

#: SIP answer that chan_pjsip shows as TechCause of a call that ended before it was answered.
SIP_CODES: Final[dict[int, int]] = {
    NO_ROUTE: 404,
    BUSY: 486,
    NO_ANSWER: 480,
    ABSENT: 480,
    REJECTED: 603,
}
_CONGESTION: Final = frozenset({34, 38, 42})
_NO_CHANNEL: Final = frozenset({NO_ROUTE, ABSENT, 27})


def words(cause: int) -> str:
    """`Cause-txt` of a cause."""
    return WORDS.get(cause, "Unknown")


def dial_status(cause: int, *, chan_sip: bool) -> str:
    """`DialStatus` of a leg that ended without an answer."""
    if cause == BUSY or (cause == REJECTED and chan_sip):
        return "BUSY"
    if cause in _CONGESTION:
        return "CONGESTION"
    if cause in _NO_CHANNEL:
        return "CHANUNAVAIL"
    return "NOANSWER"


def unreachable(*, chan_sip: bool) -> int:
    """Cause of a call to a phone that is not registered."""
    return ABSENT if chan_sip else NO_ROUTE

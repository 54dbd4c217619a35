"""The numbered errors of the legacy API, as data.

Codes 100 to 812 and their texts are those of the vendor's documentation ("Chybové stavy"), letter
for letter with its typos; codes 900 to 907 are ours, for conditions that it has no word for.
Clients compare these texts: never mend one.
"""

from typing import Final

from pbxapi.errors import PbxapiError

_ONE_SOURCE = (
    "Use only one of next variables: "
    "srcExtenPublicNum, srcExtenInternalNum, srcExtenId, srcSipUsername"
)
_ONE_DESTINATION = (
    "Use only one of next variables: "
    "dstExtenPublicNum, dstExtenInternalNum, dstExtenId, dstSipUsername, dstChannelName"
)
_BAD_AGENT = "Agent not found, or bad authorization credentials!"

#: Text of every code; words in braces are filled in from what the request was about.
REASONS: Final[dict[int, str]] = {
    100: "Unauthorized user or bad permissions",
    110: "Unknown action",
    120: "Missing required parameters",
    200: _ONE_SOURCE,
    201: "Parameter dialPlanName missing",
    202: "Extension not found",
    203: "Dialplan not found",
    210: (
        "SIP host IP address mismatch. Channel {channel} is registered from IP {actual} "
        "but requested IP address is {requested}"
    ),
    211: (
        "SIP host contact IP address mismatch. Contact IP address of the channel {channel} "
        "is {actual}, but requested IP address is {requested}"
    ),
    220: "SIP channel is unreacheable",
    221: "SIP channel status - Channel is down, but reservered",
    222: "SIP channel status - Channel is off hook",
    223: "SIP channel status - Digits (or equivalent) have been dialed",
    224: "SIP channel status - Line is ringing",
    225: "SIP channel status - Remote end is ringing",
    226: "SIP channel status - Line is up",
    227: "SIP channel status - Line is busy",
    228: "SIP channel stauts - Channel is down and available",
    250: "Outroute not found!",
    300: _ONE_SOURCE,
    301: _ONE_DESTINATION,
    302: "Source parameter srcDialplanName missing",
    303: "Source extension not found",
    304: "Source dialplan not found",
    310: "Destination parameter dstDialplanName missing",
    311: "Destination extension not found",
    312: "Destination dialplan not found",
    400: "Parameter channelName is empty",
    500: _BAD_AGENT,
    501: _ONE_SOURCE + ".",
    502: "Parameter dialPlanName missing",
    503: "Extension not found",
    504: "Dialplan not found",
    550: _BAD_AGENT,
    580: _BAD_AGENT,
    590: _BAD_AGENT,
    600: "Queue {queue} not found!",
    601: _BAD_AGENT,
    610: "Queue {queue} not found!",
    611: _BAD_AGENT,
    620: _BAD_AGENT,
    630: "SIP channel is unreacheable",
    631: "Line is unavailable",
    632: "Line is In use",
    633: "Line is ringing",
    634: "Line in On hold",
    635: "Line is not free",
    636: "Line is busy",
    800: "CDR record not found!",
    801: "CDR not contain any information about audio record!",
    810: (
        "Destination folder does not exist and mkdir command failed. "
        "Please check parent folder permissions!"
    ),
    811: "Source file ({filename}) not exist or insufficient permissions to read them!",
    812: "Cannot move file to ({filename}). Check destination folder permissions!",
    900: "PBX is not available",
    901: "Database is not available",
    902: "Invalid value of parameter {name}",
    903: "Too many requests",
    904: "PBX refused the request: {message}",
    905: "Internal error",
    906: "Channel {channel} not found",
    907: "Context {context} not found",
}


class Fault(PbxapiError):
    """One numbered error of the legacy API.

    Args:
        code: A key of `REASONS`.
        details: Exactly the words that the reason has in braces.

    Raises:
        KeyError: for an unknown code, or a word of the reason that `details` lacks.
    """

    def __init__(self, code: int, **details: str) -> None:
        self.code = code
        self.reason = REASONS[code].format(**details)
        super().__init__(f"{code} {self.reason}")

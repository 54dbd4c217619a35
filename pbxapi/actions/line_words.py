"""How the vendor words what a line does: `agentstatus`, and `channelStatus` of `queuestatus`.

The vendor's page lists seven sentences in the order of Asterisk's extension states (0 idle, 1 in
use, 2 busy, 4 unavailable, 8 ringing, 16 on hold, everything else "not free"), so a device that
rings while it is in use (8 + 1) is "not free".
"""

from typing import Final

from pbxapi.cache.device_state import DeviceState

LINE_WORDS: Final[dict[DeviceState, str]] = {
    DeviceState.NOT_INUSE: "Line is free",
    DeviceState.INUSE: "Line is In use",
    DeviceState.BUSY: "Line is busy",
    DeviceState.INVALID: "Line is unavailable",
    DeviceState.UNAVAILABLE: "Line is unavailable",
    DeviceState.RINGING: "Line is ringing",
    DeviceState.ONHOLD: "Line is On hold",
    DeviceState.RINGINUSE: "Line is not free",
    DeviceState.UNKNOWN: "Line is not free",
}

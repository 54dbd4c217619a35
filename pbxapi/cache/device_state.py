"""The state of a device, as Asterisk's device state core knows it.

Source: Asterisk include/asterisk/devicestate.h, enum ast_device_state, 16 to 22; the names are
those in DeviceStateChange, the numbers those in QueueMember.
"""

from enum import IntEnum


class DeviceState(IntEnum):
    """What a device does."""

    UNKNOWN = 0
    NOT_INUSE = 1
    INUSE = 2
    BUSY = 3
    INVALID = 4
    UNAVAILABLE = 5
    RINGING = 6
    RINGINUSE = 7
    ONHOLD = 8


def from_name(name: str) -> DeviceState:
    """The state of this name; UNKNOWN for a word that no Asterisk has said yet."""
    return DeviceState.__members__.get(name, DeviceState.UNKNOWN)


def from_number(number: str) -> DeviceState:
    """The state with this number; UNKNOWN for one that no Asterisk has sent yet."""
    try:
        return DeviceState(int(number))
    except ValueError:
        return DeviceState.UNKNOWN

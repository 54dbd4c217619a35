"""The configured phones and trunks, found by name and by number."""

from collections import UserDict
from collections.abc import Iterable

from pbxapi.simulator.options import Device


class Devices(UserDict[str, Device]):
    """Devices by name; each can be replaced by one that behaves otherwise.

    Of a replaced device the number, the context and whether it is a trunk have to stay.
    """

    def __init__(self, technology: str, devices: Iterable[Device]) -> None:
        super().__init__({device.name: device for device in devices})
        self._technology = technology
        self._at: dict[tuple[str, str], list[str]] = {}
        for device in self.values():
            self._at.setdefault((device.context, device.number), []).append(device.name)
        self.phones = [device.name for device in self.values() if not device.trunk]
        self.trunks = [device.name for device in self.values() if device.trunk]

    def at(self, context: str, number: str) -> list[str]:
        """Names of those that ring where a call comes to this number."""
        return self._at.get((context, number), []) if number else []

    def behind(self, dial_string: str) -> Device | None:
        """The device that `SIP/name` or a trunk's dial string names."""
        technology, _, rest = dial_string.partition("/")
        if technology.upper() != self._technology:
            return None
        before, at, after = rest.partition("@")
        return self.get(after if at else before.partition("/")[0])

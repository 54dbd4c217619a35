"""The random traffic of a call centre beside recordings of real Asterisk: the same kinds of events,
as large, and of those that tell what a channel does about as many for each channel.
"""

from collections import Counter

import pytest

from pbxapi.simulator import SimulatorOptions, call_centre
from pbxapi.simulator.options import Version, default_devices
from tests.services import captures
from tests.simulator.test_load import record

SECONDS = 60
#: As the recordings were made with.
CHANNELVARS = ("LABVAR", "LINKA", "customCDR1")
#: Recorded calls of the kinds that the traffic has.
CALLS = (
    "queue-call", "trunk-in-queue", "queue-call-agent-hangup", "queue-ring-noanswer-abandon",
    "phone-call", "trunk-out", "transfer-blind-ami", "transfer-attended-ami", "originate-local",
)  # fmt: skip
#: What is rare says nothing by its mean.
FEW = 20
#: A recorded dial plan sets more variables than the simulated one; two phones and a few watched
#: extensions tell more of devices for each call than 200 do.
OF_ITS_OWN = {"VarSet", "DeviceStateChange"}


class Mix:
    """How many events of each kind a stream has, and how many bytes these are."""

    def __init__(self, stream: bytes) -> None:
        self.counts: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()
        for frame in stream.split(b"\r\n\r\n"):
            event = frame.lstrip(b"\r\n")
            if event.startswith(b"Event: ") and b"\r\nActionID: " not in event:
                kind = event[7 : event.find(b"\r\n")].decode()
                self.counts[kind] += 1
                self.sizes[kind] += len(event)

    def size(self, kind: str) -> float:
        return self.sizes[kind] / self.counts[kind]

    def per_channel(self, kind: str) -> float:
        return self.counts[kind] / self.counts["Newchannel"]


@pytest.fixture
def recorded(version: Version) -> Mix:
    """All recordings: for their kinds and sizes."""
    return recording(version, *captures.names(str(version)))


def recording(version: Version, *names: str) -> Mix:
    return Mix(b"\r\n\r\n".join(captures.read(str(version), name) for name in names))


async def played(version: Version) -> Mix:
    """A minute of a small call centre at its full number of calls."""
    devices = default_devices(100)
    phones = tuple(device.name for device in devices if not device.trunk)
    options = SimulatorOptions(
        version=version,
        calls=100,
        cps=4,
        ramp_s=10,
        devices=devices,
        queues=call_centre(10, 100, {16: "SIP", 22: "PJSIP"}[version], phones),
        channelvars=CHANNELVARS,
    )
    _, recorder = await record(options, SECONDS)
    return Mix(b"\r\n\r\n" + bytes(recorder.stream))


async def test_it_looks_like_real_traffic(version: Version, recorded: Mix) -> None:
    ours, calls = await played(version), recording(version, *CALLS)
    often = {kind for kind, count in ours.counts.items() if count >= FEW}
    assert often <= set(recorded.counts)
    sizes = {kind: ours.size(kind) / recorded.size(kind) for kind in often}
    assert {kind: ratio for kind, ratio in sizes.items() if not 0.7 < ratio < 1.3} == {}
    numbers = {
        kind: ours.per_channel(kind) / calls.per_channel(kind)
        for kind in often - OF_ITS_OWN
        if calls.counts[kind] >= FEW
    }
    assert len(numbers) >= 10
    assert {kind: ratio for kind, ratio in numbers.items() if not 1 / 3 < ratio < 3} == {}
    missing = {"LocalBridge", "LocalOptimizationEnd", "QueueCallerJoin", "AgentComplete"} - often
    assert not missing, "Local legs and queues are part of it"

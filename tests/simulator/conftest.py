"""Simulators with the manager users and phones of the captures."""

import dataclasses
from collections.abc import AsyncIterator

import pytest

from pbxapi.simulator import ManagerUser, Simulator, SimulatorOptions
from pbxapi.simulator.options import Version, default_devices
from tests.simulator.ami_client import AmiClient

USERS = (
    ManagerUser(name="lab", secret="labsecret"),
    ManagerUser(name="readonly", secret="labsecret", read="call,reporting", write="reporting"),
    ManagerUser(name="cfg", secret="labsecret", read="", write="originate"),
    ManagerUser(name="events", secret="labsecret", read="system,call,agent,dialplan", write=""),
)
#: Contexts of an administrator.
CONTEXTS = {
    "ivr": ("s",),
    "pospojeni": ("s", "800123456"),
    "jen-cisla": ("800123456",),
    "nevyzvednuto": ("s",),
    "macro-oznameni": ("s",),
}
PASSING = frozenset({"nevyzvednuto"})
#: Phones quick enough for tests.
DEVICES = tuple(
    dataclasses.replace(device, ring_after_s=0.005, answer_after_s=0.01)
    for device in default_devices()
)


@pytest.fixture(params=[16, 22])
def version(request: pytest.FixtureRequest) -> Version:
    """Both versions of Asterisk."""
    chosen: Version = request.param
    return chosen


@pytest.fixture
def technology(version: Version) -> str:
    return {16: "SIP", 22: "PJSIP"}[version]


@pytest.fixture
def options(version: Version) -> SimulatorOptions:
    return SimulatorOptions(
        version=version, users=USERS, devices=DEVICES, contexts=CONTEXTS, passing=PASSING
    )


@pytest.fixture
async def simulator(options: SimulatorOptions) -> AsyncIterator[Simulator]:
    async with Simulator(options) as running:
        yield running


@pytest.fixture
async def client(simulator: Simulator) -> AsyncIterator[AmiClient]:
    """A connection that has not logged in."""
    async with await AmiClient.connect(simulator.port) as connected:
        yield connected


@pytest.fixture
async def lab(client: AmiClient) -> AmiClient:
    """A connection of the user who may do everything, events on."""
    await client.login()
    return client

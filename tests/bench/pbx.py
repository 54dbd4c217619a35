"""A simulated PBX of any size, in a process of its own."""

import asyncio
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from pbxapi.simulator import Simulator, SimulatorOptions
from pbxapi.simulator.channels import State
from pbxapi.simulator.options import phones
from pbxapi.simulator.queue_config import call_centre


async def _simulate(pipe: Connection, channels: int, peers: int, queues: int, agents: int) -> None:
    devices = phones(max(peers, 1))
    names = tuple(device.name for device in devices)
    options = SimulatorOptions(devices=devices, queues=call_centre(queues, agents, "PJSIP", names))
    async with Simulator(options) as simulator:
        for number in range(channels):
            device = options.devices[number % len(options.devices)]
            channel = simulator.pbx.new_device_channel(device, connected_num="420777123456")
            simulator.pbx.set_state(channel, State.UP)
        pipe.send(simulator.port)
        await asyncio.Event().wait()


def _run(pipe: Connection, channels: int, peers: int, queues: int, agents: int) -> None:
    asyncio.run(_simulate(pipe, channels, peers, queues, agents))


@contextmanager
def simulated(*, channels: int, peers: int = 0, queues: int = 0, agents: int = 0) -> Iterator[int]:
    """A PBX with so much of everything, and nothing that happens; gives its port.

    Queues are called `queue0` and on; agents are at the phones of peers.
    """
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_run, args=(theirs, channels, peers, queues, agents), daemon=True
    )
    process.start()
    try:
        yield ours.recv()
    finally:
        process.kill()
        process.join()

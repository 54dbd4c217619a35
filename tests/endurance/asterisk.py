"""The simulator as a process of its own that does as it is told, one JSON line each way.

`python -m tests.endurance.asterisk PORT SEED` runs it; `AsteriskProcess` is the other end.
"""

import asyncio
import dataclasses
import json
import sys
from typing import Any, Final, Self

from pbxapi.simulator import ManagerUser, Simulator, SimulatorOptions
from pbxapi.simulator.options import Device, default_devices
from pbxapi.simulator.queue_config import QueueConfig, call_centre

PHONES: Final = 200
QUEUES: Final = 50
AGENTS: Final = 150
CALLS: Final = 200
CALLS_PER_S: Final = 20.0
#: How many things phones do to their registrations in a second.
PEER_LIFE: Final = 5.0

_START_S: Final = 20
_ANSWER_S: Final = 30


def devices() -> tuple[Device, ...]:
    """Phones that answer soon and do not talk for ever, and a trunk."""
    return tuple(
        dataclasses.replace(device, answer_after_s=0.5, talk_s=None if device.trunk else 8.0)
        for device in default_devices(PHONES)
    )


def queues() -> tuple[QueueConfig, ...]:
    """Queues and their agents, all logged in."""
    phones = tuple(device.name for device in devices() if not device.trunk)
    return call_centre(QUEUES, AGENTS, "PJSIP", phones)


class _Child:
    """The side of the simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def restart(self, down_for_s: float, graceful: bool) -> None:
        await self._simulator.restart(down_for_s, graceful=graceful)

    async def quiet(self) -> None:
        """Begin nothing more; what goes on comes to its end."""
        for life in self._simulator._lives:
            life.stop()

    async def originates(self) -> list[str]:
        """Numbers to dial of the Originates that came in since this was asked last."""
        name = "__PBXAPI_DST="
        numbers = [
            value.removeprefix(name)
            for received in self._simulator.received_actions("Originate")
            for header, value in received.headers
            if header == "Variable" and value.startswith(name)
        ]
        self._simulator.received.clear()
        return numbers

    async def hang_up(self) -> int:
        """Everybody hangs up; returns how many channels there are still."""
        for channel in self._simulator.channels:
            if channel["Channel"] in self._simulator.pbx.channels:  # its call may be over by now
                self._simulator.hangup(channel["Channel"])
        return len(self._simulator.channels)


async def _serve(port: int, seed: int) -> None:
    options = SimulatorOptions(
        port=port,
        users=(
            ManagerUser(name="pbxapi", secret="pbxapi"),
            ManagerUser(name="oracle", secret="oracle", read=""),
        ),
        devices=devices(),
        queues=queues(),
        # Agents have to be brought back after a restart.
        persistent_members=False,
        calls=CALLS,
        cps=CALLS_PER_S,
        peer_life=PEER_LIFE,
        seed=seed,
    )
    loop = asyncio.get_running_loop()
    commands = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    async with Simulator(options) as simulator:
        child = _Child(simulator)
        print(json.dumps("ready"), flush=True)
        while line := await commands.readline():
            command = json.loads(line)
            answer = await getattr(child, command.pop("do"))(**command)
            print(json.dumps(answer), flush=True)


class AsteriskProcess:
    """Starts the process, and tells it what to do; one command at a time."""

    def __init__(self, port: int, seed: int) -> None:
        self.port = port
        self._seed = seed
        self._process: asyncio.subprocess.Process | None = None
        self._one_at_a_time = asyncio.Lock()

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.endurance.asterisk",
            str(self.port),
            str(self._seed),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=2**24,
        )
        assert await self._read(_START_S) == "ready"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()

    async def do(self, what: str, **arguments: Any) -> Any:
        """One of the methods of the other side, by its name."""
        assert self._process is not None
        assert self._process.stdin is not None
        async with self._one_at_a_time:
            self._process.stdin.write(json.dumps({"do": what, **arguments}).encode() + b"\n")
            return await self._read(_ANSWER_S)

    async def _read(self, within_s: float) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        async with asyncio.timeout(within_s):
            line = await self._process.stdout.readline()
        assert line, f"the simulator has ended: {self._process.returncode}"
        return json.loads(line)


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2])))

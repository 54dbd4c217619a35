"""What the daemon's pictures cost in CPU and memory, and how that grows with the channels."""

import asyncio
import subprocess
import sys
import time
import tracemalloc

from pbxapi.ami.session import AmiSession
from pbxapi.daemon import _Pictures
from tests.bench import traffic
from tests.bench.pictures import be_like_the_daemon
from tests.bench.report import Table
from tests.bench.traffic import feed

SIZES = (100, 1_000, 10_000)
COPIES = 40


def newchannel(number: int) -> bytes:
    lines = (
        *("Event: Newchannel", "Privilege: call,all", f"Channel: SIP/Linka_{number}-{number:08x}"),
        *("ChannelState: 6", "ChannelStateDesc: Up", f"CallerIDNum: {number}", "CallerIDName: A"),
        *("ConnectedLineNum: 420777123456", "ConnectedLineName: <unknown>", "Language: en"),
        *(f"AccountCode: klient{number}", "Context: extensions-dialplanid-1"),
        *(f"Exten: {number}", "Priority: 1"),
        *(f"Uniqueid: 1795460000.{number}", f"Linkedid: 1795460000.{number}", "", ""),
    )
    return "\r\n".join(lines).encode()


async def measure(channels: int) -> tuple[float, float]:
    """CPU seconds per 100,000 events, and the bytes that the channels keep in memory."""
    be_like_the_daemon()
    pictures = _Pictures(time.time, time.time)
    session = AmiSession(pictures.listener.wanted, pictures.listener.event)
    data = traffic.events(COPIES)
    feed(session, traffic.BANNER + traffic.events(1))
    arrivals = b"".join(newchannel(number) for number in range(channels))
    # Resident memory grows by whole arenas, many of them empty: this counts the objects.
    tracemalloc.start()
    feed(session, arrivals)
    memory, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(pictures.channels.channels) >= channels
    began = time.process_time()
    feed(session, data)
    return (time.process_time() - began) / traffic.count(data) * 100_000, memory


def run() -> list[Table]:
    rows: list[tuple[str, ...]] = []
    for size in SIZES:  # each in a fresh process: memory that was freed is not given back
        command = [sys.executable, "-m", "tests.bench.cost", str(size)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        cpu_s, memory = map(float, output.split())
        rows.append((f"{size:,}", f"{cpu_s:.2f} s", f"{memory / size:,.0f} kB"))
    return [
        Table(
            "Cost",
            "CPU of the whole path, from the bytes to all pictures, for 100,000 captured events\n"
            "while so many channels are up, and the memory they take. Wanted: as much for many\n"
            "channels as for few.",
            ("channels", "CPU per 100,000 events", "memory per 1,000 channels"),
            rows,
        )
    ]


if __name__ == "__main__":
    print(*asyncio.run(measure(int(sys.argv[1]))))

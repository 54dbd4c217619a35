"""What clients had before: a real Asterisk that is asked anew for each request."""

import asyncio
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from pbxapi.load.connection import Answer, Connection
from pbxapi.load.generator import Asking, Generator
from pbxapi.load.mix import Question
from pbxapi.load.pace import Pace
from pbxapi.load.tally import Tally
from pbxapi.load.target import Target
from tests.bench.answering import HOST, Pbx
from tests.bench.report import CannotRun
from tests.services import trees
from tests.services.asterisk import Asterisk
from tests.services.ports import Ports
from tests.services.waiting import eventually_blocking

VERSION = "22"
#: Each is two channels.
LOCAL_CALLS = 25
QUEUE = "FrontaIT"
_ARI_MODULES = ("res_ari_model", "res_ari", "res_ari_channels")
#: "bench:bench", as HTTP's Basic has it.
_BASIC = "YmVuY2g6YmVuY2g="
_LISTS = {
    "listcalls": "Action: CoreShowChannels\r\n\r\n",
    "queuestatus": f"Action: QueueStatus\r\nQueue: {QUEUE}\r\n\r\n",
}


class CannotAsk(Exception):
    """There is no such way; the text says why."""


class Client(Asking, Protocol):
    """Somebody who asks, and ends."""

    def close(self) -> None: ...


async def asked(
    questions: Iterator[Question], clients: Sequence[Client], rate: float | None, s: float
) -> Tally:
    """What comes of one action in so many seconds."""
    now = time.perf_counter()
    generator = Generator(questions, Pace(rate, now, now + s), time.perf_counter)
    try:
        await generator.run(clients)
    finally:
        for client in clients:
            client.close()
    (tally,) = generator.tallies.values()
    return tally


class _Script:
    """One request of api.php: a session of its own, which ends with it."""

    def __init__(self, port: int, username: str, secret: str) -> None:
        self._port = port
        self._login = (
            f"Action: Login\r\nUsername: {username}\r\nSecret: {secret}\r\nEvents: off\r\n\r\n"
        ).encode()

    async def ask(self, request: bytes, /) -> Answer:
        reader, writer = await asyncio.open_connection(HOST, self._port, limit=2**20)
        try:
            await reader.readline()
            writer.write(self._login)
            if b"Success" not in await reader.readuntil(b"\r\n\r\n"):
                return Answer("login")
            writer.write(request)
            blocks = [await reader.readuntil(b"\r\n\r\n")]
            while b"EventList: Complete" not in blocks[-1]:
                blocks.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(b"Action: Logoff\r\n\r\n")
            await reader.readuntil(b"\r\n\r\n")
            return Answer("", b"".join(blocks))
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def close(self) -> None:
        pass


class _Ari:
    """A client of ARI that keeps its connection: a list is its success."""

    def __init__(self, target: Target) -> None:
        self._connection = Connection(target, 10.0)

    async def ask(self, request: bytes, /) -> Answer:
        answer = await self._connection.ask(request)
        return replace(answer, failure="") if answer.body.startswith(b"[") else answer

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class Before:
    """A real Asterisk with live channels, and the ways to ask it."""

    asterisk: Asterisk
    ari_port: int
    pbx: Pbx
    queue: str = QUEUE
    version: str = VERSION

    def by_ami(self, action: str, clients: int, s: float) -> Tally:
        """As the script did."""
        asterisk = self.asterisk
        script = _Script(asterisk.ami_port, asterisk.ami_username, asterisk.ami_secret)
        return self._asked(action, _LISTS[action].encode(), [script] * clients, s)

    def by_ari(self, action: str, clients: int, s: float) -> Tally:
        """Channels over HTTP.

        Raises:
            CannotAsk: ARI has nothing of the kind.
        """
        if action != "listcalls":
            raise CannotAsk("ARI knows no queues")
        loaded = self.asterisk.cli("module show like res_ari_channels")
        if "Running" not in loaded:
            raise CannotAsk("this Asterisk does not load res_ari_channels")
        target = Target(HOST, self.ari_port, "/ari/channels")
        head = f"Host: {target}\r\nAuthorization: Basic {_BASIC}\r\n\r\n"
        request = f"GET {target.path} HTTP/1.1\r\n{head}".encode()
        return self._asked(action, request, [_Ari(target) for _ in range(clients)], s)

    def _asked(self, action: str, request: bytes, clients: Sequence[Client], s: float) -> Tally:
        def questions() -> Iterator[Question]:
            while True:
                yield Question(action, request)

        return asyncio.run(asked(questions(), clients, None, s))


@contextmanager
def before() -> Iterator[Before]:
    """Run one.

    Raises:
        CannotRun: there is none here.
    """
    tree = trees.find(VERSION)
    if tree is None:
        raise CannotRun(f"Asterisk {VERSION} is not here")
    ports = Ports()
    with tempfile.TemporaryDirectory(prefix="pbxapi-bench-") as folder:
        asterisk = Asterisk("22", tree, Path(folder), ports)
        ari = ports.tcp()
        http = f"[general]\nenabled = yes\nbindaddr = {HOST}\nbindport = {ari}\n"
        (asterisk.etc / "http.conf").write_text(http, encoding="utf-8")
        user = "[general]\nenabled = yes\n[bench]\ntype = user\npassword = bench\n"
        (asterisk.etc / "ari.conf").write_text(user, encoding="utf-8")
        asterisk.start()
        try:
            for module in _ARI_MODULES:
                asterisk.cli(f"module load {module}.so")
            for _ in range(LOCAL_CALLS):
                asterisk.cli("channel originate Local/s@pospojeni/n application Wait 600")
            count = 2 * LOCAL_CALLS
            eventually_blocking(
                lambda: len(asterisk.channels()) == count, within_s=10, what="channels"
            )
            who = asterisk.ami_username, asterisk.ami_secret
            yield Before(asterisk, ari, Pbx(asterisk.ami_port, count, 1, 10, *who))
        finally:
            asterisk.stop()
            ports.close()

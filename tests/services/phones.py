"""SIP phones and the trunk's provider: SIPp processes that Asterisk cannot tell from real ones.

    phones = the fixture
    await phones.up("Linka_1000")                        registered, answers after 200 ms
    await phones.up("Linka_1001", mode="busy")           or "reject", "ring", "refer", "divert"
    call = await phones.call("Linka_1005", "1000")       Linka_1005 calls; returns at once
    assert await call.wait() == 200
    await phones.trunk("answer")                         the provider, behind the trunk

Phones come up and go down with their test; SIPp's own trace of each says what it saw.
"""

import asyncio
import math
import shutil
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import pytest

from tests.services import sip
from tests.services.asterisk import Asterisk
from tests.services.lines import BY_USERNAME, TRUNK, Technology
from tests.services.ports import LOOPBACK, Ports
from tests.services.processes import ChildProcess
from tests.services.requirements import unavailable
from tests.services.waiting import eventually

Mode = Literal["answer", "busy", "reject", "ring", "hold", "refer", "divert"]

#: The trunk's provider has an address of its own, by which PJSIP recognises it.
PROVIDER_HOST: Final = "127.0.0.2"

_SCENARIOS: Final = Path(__file__).resolve().parent / "sipp"
_FILES: Final[dict[Mode, str]] = {
    "answer": "answer.xml",
    "busy": "decline.xml",
    "reject": "decline.xml",
    "ring": "answer.xml",
    "hold": "answer.xml",
    "refer": "refer.xml",
    "divert": "decline.xml",
}
_STATUS: Final[dict[Mode, str]] = {
    "busy": "486 Busy Here",
    "reject": "603 Decline",
    "divert": "302 Moved Temporarily",
}
#: What a phone says into the call; the file lies beside its scenario.
_TONE: Final = '<nop><action><exec rtp_stream="tone.alaw,-1,8,PCMA/8000"/></action></nop>'
#: The same amplitude, 4224, up and down (ITU-T G.711, A-law).
_ALAW_UP, _ALAW_DOWN = b"\x85", b"\x05"
_SAMPLE_RATE_HZ: Final = 8000
#: Milliseconds: longer than any test.
FOREVER_MS: Final = 3_600_000
_REGISTRATION_S: Final = 3600
_REACHABLE_TIMEOUT_S: Final = 8
#: Longer than a telephone takes to answer OPTIONS on a busy machine.
_ASK_AGAIN_S: Final = 1.5
#: `qualify_timeout` of the trunk in pjsip.conf, and a little more.
_TRUNK_TIMEOUT_S: Final = 1.1
_START_TIMEOUT_S: Final = 5
_GRACE_S: Final = 2


@dataclass(frozen=True, slots=True)
class Station:
    """A SIPp process and where it receives."""

    process: ChildProcess
    address: tuple[str, int]
    trace: Path

    def invites(self) -> list[sip.Invite]:
        """INVITEs it got, oldest first, each call once."""
        messages = (m for m in sip.received(self.trace) if m.method == "INVITE")
        return list({invite.call_id: invite for invite in map(sip.Invite.of, messages)}.values())

    def answers(self) -> list[int]:
        """Status codes of its answers to INVITEs, oldest first."""
        answers = (m for m in sip.sent(self.trace) if m.get("CSeq").endswith("INVITE"))
        return [message.status for message in answers if message.status]


class Call:
    """A call that a phone makes, running in the background."""

    def __init__(self, station: Station) -> None:
        self._station = station

    @property
    def status(self) -> int:
        """The last answer to the INVITE so far: 100, 180, 200, 486 …; 0 before the first."""
        answers = [
            message.status
            for message in sip.received(self._station.trace)
            if message.get("CSeq").endswith("INVITE") and message.status != 401
        ]
        return answers[-1] if answers else 0

    @property
    def running(self) -> bool:
        return self._station.process.running

    async def until(self, status: int, *, within_s: float = 5) -> None:
        """Wait for an answer to the INVITE, such as 180 (ringing) or 200 (answered)."""
        await eventually(
            lambda: self.status == status, within_s=within_s, what=f"the call answered {status}"
        )

    async def wait(self, *, within_s: float = 20) -> int:
        """Wait until the call is over.

        Returns:
            The final answer to the INVITE.

        Raises:
            AssertionError: the call did not go as such calls do, or is not over in time.
        """
        process = self._station.process
        await eventually(lambda: not process.running, within_s=within_s, what="the call is over")
        assert process.returncode == 0, f"SIPp gave up on the call:\n{process.tail()}"
        return self.status

    async def hangup(self) -> int:
        """Hang up, or give up while it rings; returns as `wait`."""
        messages = [*sip.sent(self._station.trace), *sip.received(self._station.trace)]
        assert messages, "the call has not begun"
        sip.poke(self._station.address, messages[-1])
        return await self.wait()


def _tone(hz: int) -> bytes:
    """A second of a square wave, as raw A-law; `hz` divides 4000."""
    half = _SAMPLE_RATE_HZ // hz // 2
    return (_ALAW_UP * half + _ALAW_DOWN * half) * hz


def _behaviour(mode: Mode, ring_ms: int, talk_ms: int, refer_to: str) -> dict[str, str]:
    hold = (_SCENARIOS / "hold.xml").read_text(encoding="utf-8")
    diverted = f"{refer_to}@[remote_ip]:[remote_port]"
    return {
        "CONTACT": diverted if mode == "divert" else "phone@[local_ip]:[local_port]",
        "RING_MS": str(FOREVER_MS if mode == "ring" else ring_ms),
        "TALK_MS": str(talk_ms),
        "REFER_TO": refer_to,
        "STATUS": _STATUS.get(mode, ""),
        "HOLD": hold.replace("@TALK_MS@", str(talk_ms)) if mode == "hold" else "",
        "TONE": "",
    }


class Phones:
    """All phones of one test at one Asterisk."""

    def __init__(
        self,
        asterisk: Asterisk,
        ports: dict[str, int],
        all_ports: Ports,
        technology: Technology | None = None,
    ) -> None:
        self._asterisk = asterisk
        self._technology = technology or asterisk.technology
        self._sip_port = asterisk.sip_ports[self._technology]
        self._ports = ports
        self._all_ports = all_ports
        self._folder = asterisk.directory / "sipp" / uuid.uuid4().hex
        self._folder.mkdir(parents=True)
        self._stations: dict[str, Station] = {}
        self._calls: list[Station] = []
        self._registered: dict[str, sip.Account] = {}

    # ---- phones

    async def register(
        self,
        username: str,
        *,
        expires_s: int = _REGISTRATION_S,
        contact_host: str = LOOPBACK,
        source_host: str = LOOPBACK,
        secret: str | None = None,
        user_agent: str = sip.USER_AGENT,
    ) -> None:
        """Register a line, whether or not a phone is there to answer."""
        account = sip.Account(
            username=username,
            secret=BY_USERNAME[username].secret if secret is None else secret,
            server=(LOOPBACK, self._sip_port),
            contact=(contact_host, self._port(username)),
            source_host=source_host,
            user_agent=user_agent,
        )
        await sip.register(account, expires_s=expires_s)
        self._registered[username] = account

    async def unregister(self, username: str) -> None:
        """Take a registration back."""
        await sip.register(self._registered.pop(username), expires_s=0)

    async def up(
        self,
        username: str,
        *,
        mode: Mode = "answer",
        ring_ms: int = 200,
        talk_ms: int = FOREVER_MS,
        refer_to: str = "1001",
        user_agent: str = sip.USER_AGENT,
        tone_hz: int = 0,
    ) -> Station:
        """A phone that is registered and reachable, and treats calls as `mode` says.

        Args:
            mode: "ring" never answers by itself; "hold" puts the other side on hold when its key is
                pressed; "refer" transfers to `refer_to` after `talk_ms`; "divert" sends the caller
                there instead of ringing.
            ring_ms: How long it rings before it answers.
            talk_ms: How long it talks before it hangs up.
            tone_hz: What it says, a divisor of 4000; 0 is silence. Not of a phone that transfers.
        """
        address = (LOOPBACK, self._port(username))
        values = _behaviour(mode, ring_ms, talk_ms, refer_to)
        station = await self._answering(username, address, _FILES[mode], values, tone_hz)
        await self.register(username, user_agent=user_agent)
        await self._reachable(username)
        return station

    async def down(self, username: str) -> None:
        """The phone vanishes without a word: it stays registered, and does not answer."""
        await asyncio.to_thread(self._stations.pop(username).process.kill)

    async def register_again(self) -> None:
        """Register all phones that are up: after Asterisk was killed it may not know them."""
        for username in self._registered:
            await self.register(username)
            if username in self._stations:
                await self._reachable(username)

    def invites(self, username: str) -> list[sip.Invite]:
        """INVITEs that a phone (or `lines.TRUNK`) got, oldest first, each call once."""
        return self._stations[username].invites()

    async def ringing(self, username: str, *, within_s: float = 5) -> sip.Invite:
        """Wait until a phone has been called; what it was told about the call."""
        await eventually(
            lambda: self.invites(username), within_s=within_s, what=f"{username} is called"
        )
        return self.invites(username)[-1]

    def press(self, username: str) -> None:
        """The phone's one key: answers a ringing call, ends (holds, transfers) one that talks."""
        station = self._stations[username]
        sip.poke(station.address, station.invites()[-1].message)

    async def call(self, username: str, number: str, *, talk_ms: int = FOREVER_MS) -> Call:
        """The phone calls a number; the phone need not be `up`."""
        line = BY_USERNAME[username]
        challenge = (_SCENARIOS / "challenge.xml").read_text(encoding="utf-8")
        caller = {"FROM_USER": username, "FROM_NAME": line.name.replace('"', "'")}
        values = {**caller, "TALK_MS": str(talk_ms), "AUTHENTICATION": "[authentication]\n"}
        values["CHALLENGE"] = self._filled(challenge, values)
        arguments = ["-s", number, "-au", username, "-ap", line.secret, "-m", "1"]
        return await self._calling(LOOPBACK, values, arguments)

    # ---- the trunk's provider

    async def trunk(
        self,
        mode: Mode = "answer",
        *,
        ring_ms: int = 200,
        talk_ms: int = FOREVER_MS,
        tone_hz: int = 0,
    ) -> Station:
        """The provider is there, and treats calls that go out as `mode` says."""
        address = (PROVIDER_HOST, self._asterisk.trunk_port)
        values = _behaviour(mode, ring_ms, talk_ms, refer_to="1001")
        station = await self._answering(TRUNK, address, _FILES[mode], values, tone_hz)
        await self._reachable(TRUNK)
        if self._technology == "PJSIP":
            # An OPTIONS from before it was there makes it unreachable once more when it times out.
            await asyncio.sleep(_TRUNK_TIMEOUT_S)
            await self._reachable(TRUNK)
        return station

    async def trunk_call(self, number: str, did: str, *, talk_ms: int = FOREVER_MS) -> Call:
        """A call comes in through the trunk, from a number to one of the PBX's own."""
        values = {"FROM_USER": number, "FROM_NAME": number, "TALK_MS": str(talk_ms)}
        values |= {"CHALLENGE": "", "AUTHENTICATION": ""}
        return await self._calling(PROVIDER_HOST, values, ["-s", did, "-m", "1"])

    # ---- SIPp

    async def close(self) -> None:
        """End every process and take every registration back."""
        for station in (*self._stations.values(), *self._calls):
            await asyncio.to_thread(station.process.kill)
        if not self._asterisk.running:
            await self._asterisk.aio.start()
        for account in self._registered.values():
            await sip.register(account, expires_s=0)

    def _port(self, username: str) -> int:
        if username not in self._ports:
            self._ports[username] = self._all_ports.udp()
        return self._ports[username]

    async def _answering(
        self,
        name: str,
        address: tuple[str, int],
        scenario: str,
        values: dict[str, str],
        tone_hz: int,
    ) -> Station:
        if name in self._stations:
            await self.down(name)
        station = self._sipp(scenario, address, values, [], tone_hz)
        self._stations[name] = station
        await sip.ping(address)
        return station

    async def _calling(self, host: str, values: dict[str, str], arguments: list[str]) -> Call:
        port = self._port(f"a call from {host} no. {len(self._calls)}")
        station = self._sipp("call.xml", (host, port), values, arguments)
        self._calls.append(station)
        await eventually(
            lambda: any(sip.sent(station.trace)) or not station.process.running,
            within_s=_START_TIMEOUT_S,
            what="SIPp calls",
        )
        return Call(station)

    def _sipp(
        self,
        scenario: str,
        address: tuple[str, int],
        values: dict[str, str],
        more: list[str],
        tone_hz: int = 0,
    ) -> Station:
        own = self._folder / f"{len(list(self._folder.iterdir()))}-{Path(scenario).stem}"
        own.mkdir()
        if tone_hz:
            (own / "tone.alaw").write_bytes(_tone(tone_hz))
            values = values | {"TONE": _TONE}
        text = (_SCENARIOS / scenario).read_text(encoding="utf-8")
        (own / "scenario.xml").write_text(self._filled(text, values), encoding="utf-8")
        command = [
            *("sipp", f"{LOOPBACK}:{self._sip_port}", "-sf", "scenario.xml"),
            *("-i", address[0], "-p", str(address[1]), "-mp", str(self._media_port(address))),
            *("-cp", str(self._port(f"control of {address}")), "-nostdin", "-aa"),
            *("-trace_msg", "-message_file", "messages", "-trace_err", "-error_file", "errors"),
            *more,
        ]
        process = ChildProcess(command, cwd=own, output=own / "output", env={"TERM": "xterm"})
        return Station(process, address, own / "messages")

    def _media_port(self, address: tuple[str, int]) -> int:
        name = f"media of {address}"
        if name not in self._ports:
            self._ports[name] = self._all_ports.udp(4)
        return self._ports[name]

    @staticmethod
    def _filled(text: str, values: dict[str, str]) -> str:
        for name, value in (*values.items(), ("AGENT", "LabPhone/1.0")):
            text = text.replace(f"@{name}@", value)
        return text

    async def _reachable(self, username: str) -> None:
        """Asterisk dials nobody whose OPTIONS it still waits for."""
        asked_at = -math.inf

        async def probe() -> bool:
            nonlocal asked_at
            if time.monotonic() > asked_at + _ASK_AGAIN_S:
                # chan_sip loses the answer where its own round comes in between.
                await self._asterisk.aio.qualify(username, self._technology)
                asked_at = time.monotonic()
            return await self._asterisk.aio.reachable(username, self._technology)

        await eventually(probe, within_s=_REACHABLE_TIMEOUT_S, what=f"{username} reachable")


@pytest.fixture(scope="session")
def phone_ports() -> dict[str, int]:
    """Ports of the phones: the same one for a phone all session long, so none leaks away."""
    return {}


@pytest.fixture
async def phones(
    asterisk: Asterisk, ports: Ports, phone_ports: dict[str, int]
) -> AsyncIterator[Phones]:
    """Phones at the Asterisk of this test."""
    if shutil.which("sipp") is None:
        unavailable("there is no sipp command (Debian package sip-tester)")
    box = Phones(asterisk, phone_ports, ports)
    try:
        yield box
    finally:
        await box.close()

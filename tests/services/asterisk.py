"""One real Asterisk, 16 (chan_sip) or 22 (chan_pjsip): start, stop, kill, and ask it for truth.

A third kind is 16 with both drivers, each at a port of its own, as a PBX is on its way from one to
the other; its lines and its trunk exist in both, and a test says which it means.
"""

import asyncio
import contextlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.services import asterisk_config, trees
from tests.services.lines import Technology
from tests.services.ports import LOOPBACK, Ports
from tests.services.processes import ChildProcess
from tests.services.waiting import eventually_blocking

Version = Literal["16", "16-both", "22"]
#: What every test runs on.
VERSIONS: Final[tuple[Version, ...]] = ("16", "22")
#: … and where the drivers themselves are the matter.
ALL_VERSIONS: Final[tuple[Version, ...]] = ("16", "16-both", "22")
_DRIVERS: Final[dict[Version, tuple[Technology, ...]]] = {
    "16": ("SIP",),
    "16-both": ("PJSIP", "SIP"),
    "22": ("PJSIP",),
}

#: Seconds. It takes one on an idle machine.
_BOOT_TIMEOUT_S: Final = 20
_CLI_TIMEOUT_S: Final = 10
#: `core stop` can hang in PJSIP's outbound registration; a signal on an idle one does not.
_STOP_GRACE_S: Final = 3
_HANGUP_TIMEOUT_S: Final = 5
_RTP_PORTS: Final = 100

_CONCISE_BEFORE, _CONCISE_AFTER = 6, 7


@dataclass(frozen=True, slots=True)
class LiveChannel:
    """A row of `core show channels concise`: what Asterisk itself says."""

    name: str
    context: str
    exten: str
    priority: str
    state: str
    application: str
    data: str
    caller_id: str
    account_code: str
    peer_account: str
    duration_s: int
    bridge_id: str
    uniqueid: str


class Asterisk:
    """One Asterisk of the lab.

    Every method blocks; in a coroutine use the same method of `aio`.

    Attributes:
        technology: "SIP" or "PJSIP": channels are <technology>/<username of a line>-<8 digits>. The
            first of `technologies`, which a test means where it does not say.
        sip_ports: UDP port of each driver.
        ami_username, ami_secret: The daemon's AMI user, as the project's sample defines it.
        oracle_username, oracle_secret: An AMI user that may do everything, for the tests.
        trunk_port: UDP port on 127.0.0.2 at which Asterisk expects the trunk's provider.
    """

    def __init__(self, version: Version, tree: trees.Tree, directory: Path, ports: Ports) -> None:
        self.version: Final = version
        self.technologies: Final = _DRIVERS[version]
        self.technology: Final = self.technologies[0]
        self.ami_host: Final = LOOPBACK
        self.ami_port: Final = ports.tcp()
        self.sip_ports: Final = {technology: ports.udp() for technology in self.technologies}
        self.sip_port: Final = self.sip_ports[self.technology]
        self.trunk_port: Final = ports.udp()
        self.ami_secret: Final = "daemon-secret-of-the-lab"
        self.oracle_username: Final = "oracle"
        self.oracle_secret: Final = "oracle-secret-of-the-lab"
        self.directory: Final = directory
        self.etc: Final = directory / "etc"
        self.log: Final = directory / "log" / "full"
        self.monitor: Final = directory / "spool" / "monitor"
        self._wrapper: Final = directory / "asterisk"
        self._process: ChildProcess | None = None
        # One more than told: Asterisk rounds the first one up to an even number.
        rtp_first = ports.udp(_RTP_PORTS + 1)
        self.ami_username: Final = asterisk_config.write(
            tree,
            directory,
            asterisk_config.Settings(
                technologies=self.technologies,
                ami_port=self.ami_port,
                sip_ports=self.sip_ports,
                trunk_port=self.trunk_port,
                rtp_first=rtp_first,
                rtp_last=rtp_first + _RTP_PORTS,
                secret=self.ami_secret,
                oracle_username=self.oracle_username,
                oracle_secret=self.oracle_secret,
            ),
        )
        self._wrapper.write_text(tree.command(self._wrapper), encoding="utf-8")
        self._wrapper.chmod(0o755)
        self.aio: Final = AioAsterisk(self)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.running

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it is fully booted."""
        assert not self.running
        for leftover in (self.directory / "run").iterdir():
            leftover.unlink()
        self._process = ChildProcess(
            [self._wrapper, "-f", "-C", self.etc / "asterisk.conf"],
            cwd=self.directory,
            output=self.directory / "log" / "console",
            env={"LC_ALL": "C.UTF-8"},
        )
        self.wait_booted()

    def wait_booted(self) -> None:
        """Wait until it is fully booted, after `core restart now` for instance.

        Raises:
            AssertionError: it ended, or took too long.
        """
        process = self._process
        assert process is not None

        def booted() -> bool:
            assert process.running, f"Asterisk {self.version} ended:\n{process.tail()}"
            return "fully booted" in self._remote("core waitfullybooted")

        eventually_blocking(booted, within_s=_BOOT_TIMEOUT_S, what="Asterisk booted")

    def stop(self) -> None:
        """SIGTERM; the AMI clients are told of the shutdown."""
        if self._process is not None:
            self._process.terminate(grace_s=_STOP_GRACE_S)

    def kill(self) -> None:
        """SIGKILL: the sockets close and nobody is told why."""
        if self._process is not None:
            self._process.kill()

    def restart(self) -> None:
        """`stop` and `start`: a new process on the same ports."""
        self.stop()
        self.start()

    def core_restart(self) -> None:
        """`core restart now`: the same process executes Asterisk anew."""
        self.set_global("LAB_BEFORE_RESTART", "1")
        self.cli("core restart now")
        eventually_blocking(
            lambda: (
                "LAB_TRUNK" in (known := self._remote("dialplan show globals"))
                and "LAB_BEFORE_RESTART" not in known
            ),
            within_s=_BOOT_TIMEOUT_S,
            what="Asterisk restarted",
        )
        self.wait_booted()

    def reload(self) -> None:
        """`core reload`, done when this returns."""
        self.cli("core reload")
        self.cli("core waitfullybooted")

    def cli(self, command: str) -> str:
        """Run a command at the CLI.

        Raises:
            AssertionError: Asterisk cannot be reached.
        """
        output = self._remote(command)
        assert "Unable to connect to remote asterisk" not in output, output
        return output

    def _remote(self, command: str) -> str:
        done = subprocess.run(
            [self._wrapper, "-C", self.etc / "asterisk.conf", "-rx", command],
            capture_output=True,
            check=False,
            timeout=_CLI_TIMEOUT_S,
        )
        return (done.stdout + done.stderr).decode("utf-8", "replace")

    def channels(self) -> list[LiveChannel]:
        """All channels, as Asterisk itself lists them."""
        rows = self.cli("core show channels concise").splitlines()
        return [_parse_concise(row) for row in rows if row.count("!") >= _CONCISE_BEFORE]

    def hangup_all(self) -> None:
        """Hang up all channels and wait until they are gone."""

        def gone() -> bool:
            if not self.channels():
                return True
            self.cli("channel request hangup all")
            return False

        eventually_blocking(gone, within_s=_HANGUP_TIMEOUT_S, what="all channels hung up")

    def set_global(self, name: str, value: str) -> None:
        """Set a global variable of the dialplan; a restart forgets it."""
        self.cli(f"dialplan set global {name} {value}")

    def reachable(self, username: str, technology: Technology | None = None) -> bool:
        """Whether a line or the trunk answers OPTIONS, so that it can be dialled."""
        if (technology or self.technology) == "SIP":
            # Without a registration the address goes, the last status stays.
            peer = self.cli(f"sip show peer {username}")
            return bool(re.search(r"Addr->IP\s+: \d", peer) and re.search(r"Status\s+: OK", peer))
        return bool(re.search(r"Contact:.* Avail ", self.cli(f"pjsip show endpoint {username}")))

    def qualify(self, username: str, technology: Technology | None = None) -> None:
        """Send OPTIONS to a line or the trunk now rather than at the next round."""
        is_sip = (technology or self.technology) == "SIP"
        command = "sip qualify peer" if is_sip else "pjsip qualify"
        self.cli(f"{command} {username}")

    def write_cdr_to(self, dsn: str) -> None:
        """Write CDRs with cdr_pgsql into the database's pbxapi.cdr from now on."""
        asterisk_config.write_cdr(self.etc, dsn)
        self.no_cdr()
        self.cli("module load cdr_pgsql.so")
        assert "Connected" in self.cli("cdr show pgsql status"), "cdr_pgsql is not connected"

    def no_cdr(self) -> None:
        """Stop writing CDRs, and let go of the database."""
        if "cdr_pgsql" in self.cli("module show like cdr_pgsql"):
            self.cli("module unload cdr_pgsql.so")

    def make_clean(self) -> None:
        """What every test finds: up, without channels, without a database."""
        if not self.running:
            self.start()
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            self.no_cdr()
            self.hangup_all()
            return
        self.kill()
        self.start()


class AioAsterisk:
    """The methods of `Asterisk` for coroutines: each runs in a thread."""

    def __init__(self, asterisk: Asterisk) -> None:
        self._asterisk = asterisk

    async def start(self) -> None:
        await asyncio.to_thread(self._asterisk.start)

    async def wait_booted(self) -> None:
        await asyncio.to_thread(self._asterisk.wait_booted)

    async def stop(self) -> None:
        await asyncio.to_thread(self._asterisk.stop)

    async def kill(self) -> None:
        await asyncio.to_thread(self._asterisk.kill)

    async def restart(self) -> None:
        await asyncio.to_thread(self._asterisk.restart)

    async def core_restart(self) -> None:
        await asyncio.to_thread(self._asterisk.core_restart)

    async def reload(self) -> None:
        await asyncio.to_thread(self._asterisk.reload)

    async def cli(self, command: str) -> str:
        return await asyncio.to_thread(self._asterisk.cli, command)

    async def channels(self) -> list[LiveChannel]:
        return await asyncio.to_thread(self._asterisk.channels)

    async def hangup_all(self) -> None:
        await asyncio.to_thread(self._asterisk.hangup_all)

    async def set_global(self, name: str, value: str) -> None:
        await asyncio.to_thread(self._asterisk.set_global, name, value)

    async def reachable(self, username: str, technology: Technology | None = None) -> bool:
        return await asyncio.to_thread(self._asterisk.reachable, username, technology)

    async def qualify(self, username: str, technology: Technology | None = None) -> None:
        await asyncio.to_thread(self._asterisk.qualify, username, technology)

    async def write_cdr_to(self, dsn: str) -> None:
        await asyncio.to_thread(self._asterisk.write_cdr_to, dsn)


def _parse_concise(row: str) -> LiveChannel:
    # The data of an application may contain the separator: count from both ends.
    name, context, exten, priority, state, application, rest = row.split("!", _CONCISE_BEFORE)
    data, caller_id, account_code, peer_account, _, duration, bridge_id, uniqueid = rest.rsplit(
        "!", _CONCISE_AFTER
    )
    return LiveChannel(
        name=name,
        context=context,
        exten=exten,
        priority=priority,
        state=state,
        application=application,
        data=data,
        caller_id=caller_id,
        account_code=account_code,
        peer_account=peer_account,
        duration_s=int(duration or 0),
        bridge_id=bridge_id,
        uniqueid=uniqueid,
    )

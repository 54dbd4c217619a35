"""The web servers that the project has samples for, set up as an administrator does it.

A sample is taken as it is, put into a configuration like Debian's, and read by the real program.
Only what a test needs otherwise is replaced: ports, paths and the name of the PBX. What has to be
replaced and is not there is an error, so that a sample cannot change unseen.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from tests.services.ports import LOOPBACK
from tests.services.processes import ChildProcess
from tests.services.requirements import unavailable
from tests.services.trees import cache_folder
from tests.services.waiting import eventually_blocking

_SAMPLES = Path(__file__).resolve().parents[2] / "systemd"
_START_S = 10
_STOP_S = 10

#: The server is told of the daemon's unix socket, or of its port on loopback.
Upstream = Path | int


def open_folder() -> Path:
    """A new one that is not pytest's: Apache gives its rights up, and could not get there."""
    folder = Path(tempfile.mkdtemp(prefix="pbxapi-web-"))
    folder.chmod(0o711)
    return folder


class WebServer(ABC):
    """One of them, running in front of a daemon.

    Attributes:
        url: What clients are told.
        folder: Everything that it writes is below.
    """

    sample: ClassVar[str]

    def __init__(self, upstream: Upstream, port: int) -> None:
        self.url = f"http://{LOOPBACK}:{port}/api/api.php"
        self.folder = open_folder()
        self._port = port
        self._command = self._set_up(upstream)
        self._process: ChildProcess | None = None

    @abstractmethod
    def _set_up(self, upstream: Upstream) -> list[str]:
        """Write the configuration; returns the command."""

    def _write_sample(self, *replacements: tuple[str, str]) -> Path:
        text = (_SAMPLES / self.sample).read_text("utf-8")
        for old, new in replacements:
            assert text.count(old) == 1, f"{self.sample} has {text.count(old)} times {old}"
            text = text.replace(old, new)
        path = self.folder / "sample.conf"
        path.write_text(text, "utf-8")
        return path

    def check(self) -> tuple[int, str]:
        """Exit status of the server's own test of its configuration, and all that it says."""
        done = subprocess.run(
            [*self._command, "-t"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_START_S,
            check=False,
        )
        return done.returncode, done.stdout

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = ChildProcess(
            self._command, cwd=self.folder, output=self.folder / "output.log"
        )
        eventually_blocking(self._listens, within_s=_START_S, what=f"{self.sample} is served")

    def _listens(self) -> bool:
        assert self._process is not None
        assert self._process.running, self._process.tail()
        with socket.socket() as probe:
            return probe.connect_ex((LOOPBACK, self._port)) == 0

    def stop(self) -> None:
        """End it; what it has logged is complete then."""
        if self._process is not None:
            self._process.terminate(grace_s=_STOP_S)

    def logs(self) -> dict[str, str]:
        """Text of each of its log files, by the file's name."""
        return {path.name: path.read_text("utf-8") for path in sorted(self.folder.glob("*.log"))}

    def close(self) -> None:
        """End it and remove its files."""
        self.stop()
        shutil.rmtree(self.folder)


class Nginx(WebServer):
    """In one process, which therefore keeps the rights of the tests' user."""

    sample = "nginx.conf.sample"

    def _set_up(self, upstream: Upstream) -> list[str]:
        program = _program("nginx", "nginx", [cache_folder() / "nginx" / "usr/sbin"])
        sample = self._write_sample(
            ("listen 80;", f"listen {LOOPBACK}:{self._port};"),
            ("listen [::]:80;", ""),
            ("server_name pbx.example;", f"server_name {LOOPBACK};"),
            ("/var/log/nginx/pbxapi.log", f"{self.folder}/pbxapi.log"),
            *self._upstream(upstream),
        )
        spools = "".join(
            f"{name}_temp_path {self.folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        main = self.folder / "nginx.conf"
        main.write_text(
            f"daemon off;\nmaster_process off;\npid {self.folder}/pid;\n"
            "events {}\n"
            f"http {{\n{spools}"
            # As Debian has it for servers that do not say otherwise.
            f"access_log {self.folder}/access.log;\nerror_log {self.folder}/error.log;\n"
            f"include {sample};\n}}\n",
            "utf-8",
        )
        return [program, "-q", "-e", "stderr", "-p", str(self.folder), "-c", str(main)]

    def _upstream(self, upstream: Upstream) -> Sequence[tuple[str, str]]:
        by_socket = "proxy_pass http://unix:/run/pbxapi/http.sock;"
        if isinstance(upstream, Path):
            return [(by_socket, f"proxy_pass http://unix:{upstream};")]
        by_tcp = "#proxy_pass http://127.0.0.1:8080;"
        return [(by_socket, ""), (by_tcp, f"proxy_pass http://{LOOPBACK}:{upstream};")]


class Apache(WebServer):
    """With the modules that Debian enables, and those that the sample names."""

    sample = "apache.conf.sample"
    _MODULES = ("mpm_event", "authz_core", "reqtimeout", "proxy", "proxy_http")

    def _set_up(self, upstream: Upstream) -> list[str]:
        program = _program("apache2", "apache2-bin")
        sample = self._write_sample(
            ("<VirtualHost *:80>", f"<VirtualHost {LOOPBACK}:{self._port}>"),
            ("ServerName pbx.example", f"ServerName {LOOPBACK}"),
            *self._upstream(upstream),
        )
        modules = "".join(
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"
            for name in self._MODULES
        )
        # Only root's Apache heeds User and Group: root may not serve, his group has the socket.
        main = self.folder / "apache2.conf"
        main.write_text(
            f"ServerRoot {self.folder}\nPidFile {self.folder}/pid\n{modules}"
            f"User www-data\nGroup #0\nServerName {LOOPBACK}\nListen {LOOPBACK}:{self._port}\n"
            f"Define APACHE_LOG_DIR {self.folder}\n"
            f'ErrorLog {self.folder}/error.log\nCustomLog {self.folder}/access.log "%r"\n'
            f"Include {sample}\n",
            "utf-8",
        )
        return [program, "-X", "-f", str(main)]

    def _upstream(self, upstream: Upstream) -> Sequence[tuple[str, str]]:
        by_socket = 'ProxyPass "unix:/run/pbxapi/http.sock|'
        if isinstance(upstream, Path):
            return [(by_socket, f'ProxyPass "unix:{upstream}|')]
        by_tcp = '#ProxyPass "http://127.0.0.1:8080/'
        return [(by_socket, f"#{by_socket}"), (by_tcp, f'ProxyPass "http://{LOOPBACK}:{upstream}/')]


def _program(command: str, package: str, folders: Sequence[Path] = ()) -> str:
    # Not everybody's PATH has sbin.
    places = [os.environ["PATH"], "/usr/sbin", *map(str, folders)]
    found = shutil.which(command, path=os.pathsep.join(places))
    if found is None:
        unavailable(f"there is no {command} (Debian package {package}): `make test` provides it")
    return found

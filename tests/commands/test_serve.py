"""`pbxapi serve`: what systemd starts and stops."""

import signal
import socket
from pathlib import Path

import pytest

from tests.commands.cli import failure, run, running
from tests.services.daemon import environment
from tests.services.ports import LOOPBACK, Ports
from tests.services.waiting import eventually_blocking


def settings(ports: Ports) -> dict[str, str]:
    """A daemon whose PBX and database are not there."""
    return {
        "HTTP_LISTEN": f"{LOOPBACK}:{ports.tcp()}",
        "AMI_PORT": str(ports.tcp()),
        "AMI_SECRET": "not-secret",
        "FASTAGI_LISTEN": f"{LOOPBACK}:{ports.tcp()}",
        "DATABASE_DSN": f"postgresql://x@{LOOPBACK}:{ports.tcp()}/x",
    }


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(tmp_path: Path, ports: Ports, number: signal.Signals) -> None:
    with running(tmp_path, "serve", env=environment(settings(ports))) as daemon:
        eventually_blocking(
            lambda: "http.listening" in daemon.errors.read_text("utf-8"),
            within_s=15,
            what="it listens",
        )
        assert daemon.stop(number) == 0
    log = daemon.errors.read_text("utf-8").splitlines()
    assert '"daemon.stopped"' in log[-1]
    assert "Traceback" not in "".join(log)
    assert daemon.output.read_text("utf-8") == ""


@pytest.mark.parametrize("key", ["HTTP_LISTEN", "FASTAGI_LISTEN"])
def test_a_port_that_is_taken_is_one_line(ports: Ports, key: str) -> None:
    given = settings(ports)
    with socket.create_server((LOOPBACK, 0)) as other:
        given[key] = f"{LOOPBACK}:{other.getsockname()[1]}"
        done = run("serve", LOG_LEVEL="critical", **given)
    assert f"cannot listen on {given[key]}" in failure(done)


def test_a_unix_socket_in_no_folder_is_one_line(ports: Ports, tmp_path: Path) -> None:
    path = tmp_path / "missing" / "http.sock"
    given = settings(ports) | {"HTTP_LISTEN": f"unix:{path}", "LOG_LEVEL": "critical"}
    assert (
        failure(run("serve", **given)) == f"cannot listen on unix:{path}: No such file or directory"
    )

"""`pbxapi simulate`: Asterisk's manager interface without an Asterisk."""

import signal
import socket
from pathlib import Path

import pytest

from tests.commands.cli import failure, run, running
from tests.services.daemon import environment
from tests.services.ports import LOOPBACK


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("version", "banner"), [("16", b"5.0.5"), ("22", b"11.0.0")])
def test_it_says_its_port_and_a_signal_ends_it_with_0(
    tmp_path: Path, number: signal.Signals, version: str, banner: bytes
) -> None:
    argv = (
        "simulate",
        "--port",
        "0",
        "--asterisk",
        version,
        "--calls",
        "2",
        "--cps",
        "50",
        "--ramp",
        "1",
    )
    peers = ("--peers", "50", "--peer-life", "20")
    agents = ("--queues", "5", "--agents", "60", "--agent-life", "20")
    with running(tmp_path, *argv, *peers, *agents, env=environment()) as simulator:
        port = simulator.says(rf"^AMI of Asterisk {version} on {LOOPBACK}:(\d+)$")[1]
        with socket.create_connection((LOOPBACK, int(port)), timeout=5) as ami:
            assert ami.recv(100).startswith(b"Asterisk Call Manager/" + banner[:1])
        assert simulator.stop(number) == 0
    assert "Traceback" not in simulator.errors.read_text("utf-8")


def test_a_port_that_is_taken_is_one_line() -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        done = run("simulate", "--port", str(port))
    assert failure(done) == f"cannot listen on {LOOPBACK}:{port}: Address already in use"


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid"])
def test_an_address_that_is_not_ours_is_one_line(host: str) -> None:
    assert failure(run("simulate", "--host", host)).startswith(f"cannot listen on {host}:5038: ")

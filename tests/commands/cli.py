"""The command line as its users run it: a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.services.daemon import environment
from tests.services.waiting import eventually_blocking

#: The slowest command, on a loaded machine.
_TIMEOUT_S = 25

COMMAND = (sys.executable, "-m", "pbxapi")


def run(*argv: str | Path, stdin: str = "", **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [*COMMAND, *argv],
        input=stdin,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def failure(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that explains it, without the name of the program."""
    assert done.returncode == 1, done
    line = re.fullmatch(r"pbxapi: ([^\n]+)\n", done.stderr)
    assert line is not None, done.stderr
    return line[1]


class Running:
    """A command that runs until it is told to end.

    Attributes:
        output: The file that its standard output goes to.
        errors: … and its standard error.
    """

    def __init__(self, process: subprocess.Popen[bytes], output: Path, errors: Path) -> None:
        self._process = process
        self.output = output
        self.errors = errors

    @property
    def pid(self) -> int:
        return self._process.pid

    def says(self, pattern: str, within_s: float = _TIMEOUT_S) -> re.Match[str]:
        """Wait for what it prints."""

        def found() -> re.Match[str] | None:
            match = re.search(pattern, self.output.read_text("utf-8"), re.MULTILINE)
            if match is None:
                assert self._process.poll() is None, self.errors.read_text("utf-8")
            return match

        match = eventually_blocking(found, within_s=within_s, what=pattern)
        assert match is not None
        return match

    def stop(self, number: signal.Signals, *, whole_group: bool = False) -> int:
        """Send a signal, to the whole process group as a terminal does; returns the exit code."""
        if whole_group:
            os.killpg(self._process.pid, number)
        else:
            self._process.send_signal(number)
        return self._process.wait(_TIMEOUT_S)

    def close(self) -> None:
        """End it whatever it takes."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def running(
    folder: Path, *argv: str | Path, prefix: tuple[str, ...] = (), env: Mapping[str, str]
) -> Iterator[Running]:
    """Run a command in the background, in a process group of its own."""
    output, errors = folder / "stdout", folder / "stderr"
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            [*prefix, *COMMAND, *argv],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )
    started = Running(process, output, errors)
    try:
        yield started
    finally:
        started.close()

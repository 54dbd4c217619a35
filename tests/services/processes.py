"""Child processes that cannot outlive the tests.

Every child asks the kernel for SIGKILL at the death of the thread that started it, and all are
started by one thread that lives as long as this process: so even `kill -9` of pytest leaves
nothing behind. A session of its own keeps Ctrl-C in the terminal from reaching a child before
the fixtures end it in their order.
"""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_STARTER = ThreadPoolExecutor(max_workers=1, thread_name_prefix="process-starter")

#: SIGKILL cannot be ignored: this only covers a loaded machine.
_KILL_TIMEOUT_S = 10


class ChildProcess:
    """A running program whose output goes to a file."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        cwd: Path,
        output: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.output = output
        command = ["setpriv", "--pdeathsig", "KILL", "--", *map(str, argv)]
        environment = {**os.environ, **(env or {})}
        with output.open("ab") as log:

            def start() -> subprocess.Popen[bytes]:
                return subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

            self._process = _STARTER.submit(start).result()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """How it ended; None while it runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, and wait until the process is gone."""
        if self.running:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(_KILL_TIMEOUT_S)

    def terminate(self, *, grace_s: float) -> None:
        """SIGTERM, then SIGKILL for a process that is still there after `grace_s`."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self.kill()

    def tail(self, lines: int = 20) -> str:
        """The end of what it printed, for an error message."""
        text = self.output.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

"""The command line: exit codes, and failures in one line."""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pbxapi import __version__
from pbxapi.commands import main as command_line
from pbxapi.commands.main import COMMANDS
from pbxapi.errors import UsageError
from tests.commands.cli import COMMAND, failure, run
from tests.services.daemon import environment
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database

TASKS = (("serve",), ("db", "status"), ("db", "init"), ("user", "list"))


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"pbxapi {__version__}\n", "")


@pytest.mark.parametrize("command", ["", *COMMANDS, "user add", "user passwd", "user list"])
def test_every_command_has_help(command: str) -> None:
    done = run(*command.split(), "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"usage: pbxapi {command}".rstrip())


def test_help_names_every_command() -> None:
    listed = re.findall(r"^    (\w+)  ", run("--help").stdout, re.MULTILINE)
    assert listed == list(COMMANDS)


@pytest.mark.parametrize(
    "argv",
    [
        "",
        "reboot",
        "--config x",
        "serve --port 80",
        "serve extra",
        "db",
        "db downgrade",
        "user",
        "demo --port -1",
        "demo --port 65536",
        "demo --port x",
        "demo --asterisk 13",
        "simulate --port 65536",
        "simulate --calls -1",
        "simulate --calls 1.5",
        "simulate --cps nan",
        "simulate --cps x",
        "simulate --host a/b",
        "simulate --seed x",
        "simulate --queues 100001",
    ],
)
def test_bad_usage_is_exit_code_2_and_says_how_it_is_used(argv: str) -> None:
    done = run(*argv.split())
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: pbxapi")
    assert re.fullmatch(r"pbxapi[a-z ]*: error: .+", done.stderr.splitlines()[-1])


def test_what_it_does_not_know_is_named_without_what_may_be_a_password() -> None:
    done = run("user", "add", "crm", "--allow", "metrics", "--password", "tajne", "--pin=tajne")
    assert done.returncode == 2
    assert done.stderr.endswith("error: unrecognized arguments: --password … --pin\n")


def _no_file(folder: Path) -> Path:
    return folder / "missing.toml"


def _a_folder(folder: Path) -> Path:
    return folder


def _no_toml(folder: Path) -> Path:
    return _with_text(folder, "[http\n")


def _wrong_types(folder: Path) -> Path:
    return _with_text(folder, '[ami]\nsecret = "s"\nport = "x"\n[http]\nlisten = 1\npth = "/"\n')


def _with_text(folder: Path, text: str) -> Path:
    file = folder / "pbxapi.toml"
    file.write_text(text, "utf-8")
    return file


@pytest.mark.parametrize("task", TASKS, ids=" ".join)
@pytest.mark.parametrize(
    ("config", "why"),
    [
        (_no_file, "No such file or directory"),
        (_a_folder, "Is a directory"),
        (_no_toml, "is not TOML"),
        (_wrong_types, "ami.port: must be a whole number"),
    ],
)
def test_a_bad_configuration_is_one_line(
    tmp_path: Path, task: tuple[str, ...], config: object, why: str
) -> None:
    assert callable(config)
    said = failure(run(*task, "--config", config(tmp_path)))
    assert str(tmp_path) in said
    assert why in said


def test_all_faults_of_a_configuration_are_said_at_once(tmp_path: Path) -> None:
    said = failure(run("serve", "--config", _wrong_types(tmp_path)))
    assert [key for key in ("ami.port", "http.listen", "http.pth") if key in said] == [
        "ami.port",
        "http.listen",
        "http.pth",
    ]


def test_serve_without_the_secret_is_one_line() -> None:
    assert "ami.secret is missing" in failure(run("serve"))


@pytest.mark.parametrize("command", [("user", "list"), ("db", "status"), ("db", "init")])
def test_a_database_that_does_not_answer_is_one_line(
    ports: Ports, command: tuple[str, ...]
) -> None:
    dsn = f"postgresql://pbxapi:secret@{LOOPBACK}:{ports.tcp()}/x"
    said = failure(run(*command, DATABASE_DSN=dsn))
    assert "secret" not in said


@pytest.mark.parametrize("command", [("user", "list"), ("db", "status")])
def test_a_host_that_is_no_database_is_one_line(command: tuple[str, ...]) -> None:
    with socket.create_server((LOOPBACK, 0)) as other:
        port = other.getsockname()[1]
        process = subprocess.Popen(
            [*COMMAND, *command],
            env=environment({"DATABASE_DSN": f"postgresql://x@{LOOPBACK}:{port}/x"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        other.settimeout(20)
        accepted, _ = other.accept()
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        accepted.close()
        other.close()
        output, errors = process.communicate(timeout=20)
    done = subprocess.CompletedProcess(command, process.returncode, output, errors)
    assert failure(done)


@pytest.mark.parametrize("to", ["a closed pipe", "a full disk"])
def test_output_that_nobody_takes_is_no_traceback(database: Database, to: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    if to == "a full disk":
        os.close(writer)
        writer = os.open("/dev/full", os.O_WRONLY)
    try:
        done = subprocess.run(
            [*COMMAND, "user", "list"],
            env=environment({"DATABASE_DSN": database.dsn}) | {"PYTHONUNBUFFERED": ""},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=20,
            check=False,
        )
    finally:
        os.close(writer)
    if to == "a full disk":
        assert failure(done) == "standard output: No space left on device"
    else:
        assert (done.returncode, done.stderr) == (1, "")


def redirected(redirection: str, *argv: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *COMMAND, *argv],
        env=environment(settings),
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )


def test_without_any_standard_output_the_work_is_done(database: Database) -> None:
    done = redirected(">&-", "user", "list", DATABASE_DSN=database.dsn)
    assert (done.returncode, done.stderr) == (0, "")
    done = redirected(">&-", "check", "--config", "/nowhere")
    assert (done.returncode, done.stderr) == (1, "")


def test_output_that_is_not_taken_in_the_middle_is_no_traceback() -> None:
    """`check` writes each line at once."""
    done = redirected(">/dev/full", "check", "--config", "/nowhere")
    assert failure(done) == "standard output: No space left on device"


@pytest.mark.parametrize(
    ("redirection", "why"),
    [("<&-", "there is neither"), ("0>/dev/null", "standard input: Bad file descriptor")],
)
def test_a_standard_input_that_cannot_be_read_is_one_line(
    database: Database, redirection: str, why: str
) -> None:
    done = redirected(
        redirection, "user", "add", "crm", "--allow", "metrics", DATABASE_DSN=database.dsn
    )
    assert why in failure(done)


def test_ctrl_c_at_the_prompt_ends_at_once_and_changes_nothing(database: Database) -> None:
    """Once is enough, and the terminal echoes again."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            sys.executable,
            [*COMMAND, "user", "add", "voipsun", "--allow", "metrics"],
            environment({"DATABASE_DSN": database.dsn}),
        )
    shown = b""
    deadline = time.monotonic() + 20
    try:
        while b"Password: " not in shown:
            assert time.monotonic() < deadline, shown
            shown += os.read(terminal, 1024)
        os.write(terminal, b"\x03")
        code = None
        while code is None:
            assert time.monotonic() < deadline, "it takes more than one Ctrl-C"
            ended, status = os.waitpid(pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else None
            time.sleep(0.02)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)
    assert code == 128 + signal.SIGINT
    assert b"Traceback" not in shown
    assert "voipsun" not in run("user", "list", DATABASE_DSN=database.dsn).stdout


# What a process of its own cannot show


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UsageError("what to do"), 1, "pbxapi: what to do\n"),
        (ExceptionGroup("", [ExceptionGroup("", [UsageError("a")])]), 1, "pbxapi: a\n"),
        (ExceptionGroup("", [BrokenPipeError()]), 1, ""),
        (BrokenPipeError(), 1, ""),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_that_users_cause_are_exit_codes(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    code: int,
    said: str,
) -> None:
    assert _main_raising(raised, monkeypatch) == code
    assert capsys.readouterr().err == said


def test_ctrl_c_while_the_command_is_being_imported_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """That takes longer than anything else before a command begins."""

    def interrupted(_name: str) -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("importlib.import_module", interrupted)
    try:
        assert command_line.main(["db", "status"]) == 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize(
    "raised",
    [RuntimeError("a bug"), ExceptionGroup("", [UsageError("a"), RuntimeError("a bug")])],
)
def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch, raised: Exception) -> None:
    with pytest.raises(type(raised)):
        _main_raising(raised, monkeypatch)


def _main_raising(raised: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    async def fail(*_args: object) -> int:
        raise raised

    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("pbxapi.commands.db.run", fail)
    try:
        return command_line.main(["db", "status"])
    finally:
        signal.signal(signal.SIGINT, before)

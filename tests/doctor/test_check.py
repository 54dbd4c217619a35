"""`pbxapi check` against a simulated PBX and a real database, with one thing broken at a time."""

import argparse
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest
import pytest_asyncio

from pbxapi.commands import check
from pbxapi.doctor import manager, ports as ports_area
from pbxapi.simulator import Device, ManagerUser, QueueConfig, Simulator, SimulatorOptions
from tests.commands.cli import run
from tests.doctor.host import MANAGER_CONF, SECRET, make_host
from tests.services.ports import LOOPBACK, Ports
from tests.services.postgres import Database

USER = ManagerUser(
    name="pbxapi",
    secret=SECRET,
    read="system,call,agent,dialplan",
    write="originate,call,agent,reporting,system",
)
PBX = SimulatorOptions(
    version=22,
    users=(USER,),
    modules=frozenset({*manager.NEEDED, *manager.WANTED}),
    devices=(
        Device(name="Linka_1000", number="1000"),
        Device(name="upc", trunk=True, context="incoming", host="127.0.0.2", user="pbx"),
    ),
    queues=(QueueConfig(name="FrontaIT", exten="70000"),),
)
#: A directory that this PBX agrees with.
DIRECTORY = """
INSERT INTO pbxapi.dialplans VALUES (1, 'prvni');
INSERT INTO pbxapi.outroute VALUES (1, 'odchozi');
INSERT INTO pbxapi.extensions VALUES (5, 1, '1000', NULL, 'Jan', 1, true);
INSERT INTO pbxapi.extension_line VALUES (50, 5, 'Linka_1000', 'PJSIP');
INSERT INTO pbxapi.sip VALUES (7, 'upc', 'PJSIP');
INSERT INTO pbxapi.queues VALUES (1, 'FrontaIT');
INSERT INTO pbxapi.api_users (username, password_hash) VALUES ('crm', '$argon2id$');
"""
Lines = list[tuple[str, str]]


@dataclass
class World:
    """A host on which all is well.

    Attributes:
        settings: The configuration, by names of the environment without their prefix.
        root: The one record root.
        etc: Asterisk's own files.
    """

    settings: dict[str, str]
    database: Database
    root: Path
    etc: Path
    capsys: pytest.CaptureFixture[str]

    async def check(self, options: SimulatorOptions = PBX) -> Lines:
        """What it prints: level and text of each line."""
        async with Simulator(options) as pbx:
            text = MANAGER_CONF.replace("PORT", str(pbx.port))
            (self.etc / "manager.conf").write_text(text, "utf-8")
            return await self.check_without_pbx(AMI_PORT=str(pbx.port))

    async def check_without_pbx(self, **settings: str) -> Lines:
        environ = {f"PBXAPI_{name}": value for name, value in (self.settings | settings).items()}
        args = argparse.Namespace(config=None, asterisk_etc=self.etc)
        self.capsys.readouterr()
        code = await check.run(args, environ)
        printed = self.capsys.readouterr()
        assert printed.err == ""
        assert SECRET not in printed.out
        lines = [line.split(maxsplit=1) for line in printed.out.splitlines()]
        assert code == int(any(level == "FAIL" for level, _text in lines))
        assert {level for level, _text in lines} <= {"ok", "warn", "FAIL"}
        return [(level, text) for level, text in lines]


@pytest_asyncio.fixture
async def world(
    tmp_path: Path, ports: Ports, database: Database, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[World]:
    await database.execute(DIRECTORY)
    root, etc = make_host(tmp_path)
    settings = {
        "HTTP_LISTEN": f"{LOOPBACK}:{ports.tcp()}",
        "FASTAGI_LISTEN": f"{LOOPBACK}:{ports.tcp()}",
        "AMI_SECRET": SECRET,
        "DATABASE_DSN": database.dsn,
        "RECORDS_ROOTS": str(root),
    }
    yield World(settings, database, root, etc, capsys)
    assert list(root.iterdir()) == [], "nothing is left behind"


def bad(lines: Lines) -> Lines:
    return [line for line in lines if line[0] != "ok"]


def assert_only(lines: Lines, *expected: str) -> None:
    """These are the lines that are not ok, each given by level and a pattern of its text."""
    found = [f"{level} {text}" for level, text in bad(lines)]
    assert len(found) == len(expected), found
    for line, pattern in zip(found, expected, strict=True):
        assert re.search(pattern, line), (line, pattern)
        assert re.match(r"\w+ [\w ]+: .+; .+", line), f"it does not say what to do: {line}"


@pytest.mark.parametrize("version", [16, 22])
async def test_all_is_well(world: World, version: Literal[16, 22]) -> None:
    if version == 16:
        for table in ("extension_line", "sip"):
            await world.database.execute(f"UPDATE pbxapi.{table} SET technology = 'SIP'")
    lines = await world.check(replace(PBX, version=version))
    assert bad(lines) == []
    areas = {text.partition(":")[0] for _level, text in lines}
    assert areas >= {"config", "database", "ami", "dialplan", "fastagi", "records", "queues"}
    assert areas >= {"asterisk files", "permissions", "modules", "rights", "http", "accounts"}


async def test_it_changes_nothing_at_the_pbx(world: World) -> None:
    async with Simulator(PBX) as pbx:
        await world.check_without_pbx(AMI_PORT=str(pbx.port))
        asked = {received.name for received in pbx.received}
    assert asked <= {
        *("Challenge", "Login", "ListCommands", "CoreSettings", "ModuleCheck", "Getvar"),
        *("QueueStatus", "SIPpeers", "SIPshowregistry", "DeviceStateList", "PJSIPShowEndpoints"),
        *("PJSIPShowAors", "PJSIPShowContacts", "PJSIPShowRegistrationsOutbound"),
    }


async def test_nothing_is_there(world: World, ports: Ports) -> None:
    world.settings["DATABASE_DSN"] = f"postgresql://x:{SECRET}@{LOOPBACK}:{ports.tcp()}/x"
    lines = await world.check_without_pbx(AMI_PORT=str(ports.tcp()))
    levels = {text.partition(":")[0]: level for level, text in reversed(lines)}
    assert levels["database"] == levels["ami"] == "FAIL"
    skipped = [text for level, text in lines if "not looked at" in text]
    assert [line.partition(":")[0] for line in skipped] == [
        *("rights", "directory", "permissions", "version", "modules"),
        *("dialplan", "queues", "accounts"),
    ]
    assert all(re.search(r"mend (ami|database|directory) first", line) for line in skipped)


async def test_a_configuration_that_is_wrong_ends_it(world: World) -> None:
    lines = await world.check_without_pbx(HTTP_LISTEN="nowhere")
    assert [level for level, _text in lines] == ["FAIL"]
    assert "http.listen" in lines[0][1]


# Asterisk


async def test_a_wrong_secret(world: World) -> None:
    lines = await world.check(replace(PBX, users=(replace(USER, secret="another"),)))
    assert ("FAIL", "ami") in [(level, text[:3]) for level, text in lines]
    assert any("Authentication failed" in text for _level, text in lines)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        ("call,agent,reporting,system", ["FAIL permissions: write class originate.*Originate"]),
        ("originate,call,reporting,system", ["FAIL modules: write class agent.*QueueAdd"]),
        (
            "originate,call,agent,reporting",
            ["warn modules: write class system", "FAIL accounts: .*PJSIPShowEndpoints"],
        ),
    ],
)
async def test_a_class_that_the_user_lacks(world: World, write: str, expected: list[str]) -> None:
    assert_only(await world.check(replace(PBX, users=(replace(USER, write=write),))), *expected)


async def test_a_user_who_hears_nothing(world: World) -> None:
    lines = await world.check(replace(PBX, users=(replace(USER, read="call"),)))
    assert_only(lines, "FAIL permissions: read class system")


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("res_agi", "FAIL modules: not loaded: res_agi"),
        ("app_chanspy", "warn modules: app_chanspy is not loaded: no spying"),
    ],
)
async def test_a_module_that_is_not_loaded(world: World, module: str, expected: str) -> None:
    assert_only(await world.check(replace(PBX, modules=PBX.modules - {module})), expected)


async def test_accounts_of_a_driver_that_is_not_there(world: World) -> None:
    await world.database.execute("UPDATE pbxapi.sip SET technology = 'SIP'")
    assert_only(
        await world.check(),
        "FAIL modules: chan_sip is not loaded",
        "warn accounts: Asterisk does not know SIP/upc",
    )


async def test_rows_of_the_directory_that_asterisk_does_not_know(world: World) -> None:
    await world.database.execute(
        "INSERT INTO pbxapi.dialplans VALUES (99, 'novy');"
        "INSERT INTO pbxapi.queues VALUES (2, 'Nova');"
        "INSERT INTO pbxapi.sip VALUES (8, 'jiny', 'PJSIP')"
    )
    assert_only(
        await world.check(),
        "FAIL dialplan: there is no context extensions-dialplanid-99, for dialplan novy",
        "warn queues: Asterisk does not know the queue Nova",
        "warn accounts: Asterisk does not know PJSIP/jiny",
    )


# the database


async def test_a_schema_that_is_behind(world: World) -> None:
    await world.database.execute(
        "DELETE FROM pbxapi.schema_migrations"
        " WHERE version = (SELECT max(version) FROM pbxapi.schema_migrations)"
    )
    lines = await world.check()
    assert bad(lines)[0][0] == "FAIL"
    assert re.match(r"database: pending: .*: run `pbxapi db upgrade`", bad(lines)[0][1])


async def test_a_role_that_may_not_write(world: World) -> None:
    await world.database.execute(
        "DROP ROLE IF EXISTS poor; CREATE ROLE poor LOGIN PASSWORD 'x';"
        "GRANT pbxapi_daemon TO poor;"
        "REVOKE UPDATE (recordingfile) ON pbxapi.cdr FROM pbxapi_daemon;"
        "REVOKE DELETE ON pbxapi.agent_logins FROM pbxapi_daemon"
    )
    poor = re.sub(r"//[^@]+@", "//poor:x@", world.database.dsn)
    world.settings["DATABASE_DSN"] = poor
    lines = bad(await world.check())
    assert lines[0][0] == "FAIL"
    assert "UPDATE on pbxapi.cdr" in lines[0][1]
    assert "DELETE on pbxapi.agent_logins" in lines[0][1]


async def test_nobody_may_use_the_api(world: World) -> None:
    await world.database.execute("UPDATE pbxapi.api_users SET enabled = false")
    assert_only(await world.check(), "warn directory: nobody may use the API")


# ports


@pytest.mark.parametrize("key", ["HTTP_LISTEN", "FASTAGI_LISTEN"])
async def test_a_port_that_another_program_has(
    world: World, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ports_area, "_ANSWER_S", 0.05)
    host, _, port = world.settings[key].rpartition(":")
    area = key.partition("_")[0].lower()
    with socket.create_server((host, int(port))):
        world.settings["HTTP_LISTEN"] = (
            world.settings[key] if area == "http" else "unix:/nonexistent/http.sock"
        )
        lines = bad(await world.check())
    expected = f"{area}: cannot listen on {world.settings[key]}: Address already in use; end"
    assert [level for level, text in lines if text.startswith(expected)] == ["FAIL"]


async def test_asterisk_elsewhere_cannot_reach_a_loopback(world: World, ports: Ports) -> None:
    lines = await world.check_without_pbx(AMI_HOST="192.0.2.1", AMI_PORT=str(ports.tcp()))
    assert any(
        level == "FAIL" and "where agi://127.0.0.1" in text and "[fastagi] listen" in text
        for level, text in lines
    )


# files


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_who_can_read_the_secrets(tmp_path: Path, ports: Ports, mode: int) -> None:
    """As a process of its own, since it reads the configuration first."""
    secret, config = tmp_path / "secret", tmp_path / "pbxapi.toml"
    secret.write_text(SECRET)
    dead = f"127.0.0.1:{ports.tcp()}"
    config.write_text(
        f'[ami]\nport = {ports.tcp()}\nsecret_file = "secret"\n'
        f'[database]\ndsn = "postgresql://x@{dead}/x"\n'
    )
    for path in (secret, config):
        path.chmod(mode)
    done = run("check", "--config", config)
    found = re.findall(r"^(\w+) +secrets: (.*)$", done.stdout, re.MULTILINE)
    open_ones = [
        ("warn", f"every user of this host can read {path}; chmod o-r {path}")
        for path in (config, secret)
    ]
    assert (done.returncode, done.stderr) == (1, "")
    assert found == (
        open_ones if mode == 0o644 else [("ok", "the secrets are for the daemon alone")]
    )

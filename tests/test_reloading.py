"""Which keys of a new configuration hold at once, and what a broken one changes: nothing."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from pbxapi.config import Ami, Config, Http, Listen, Log, Records, Security
from pbxapi.errors import UsageError
from pbxapi.reloading import Reloading, renew

RUNNING = Config()


def test_live_keys_are_taken_over_and_the_others_wait() -> None:
    new = replace(
        RUNNING,
        http=Http(listen=Listen("127.0.0.1", 9090), trusted_proxies=(ip_network("10.0.0.0/8"),)),
        ami=Ami(host="pbx.example", secret="other"),
        security=Security(max_failures=3, lockout_seconds=5),
        records=Records(roots=(Path("/srv/records"),)),
    )
    config, changed, waiting = renew(RUNNING, new)
    assert config == replace(
        new, http=Http(trusted_proxies=(ip_network("10.0.0.0/8"),)), ami=RUNNING.ami
    )
    assert changed == [
        "http.trusted_proxies",
        "records.roots",
        "security.max_failures",
        "security.lockout_seconds",
    ]
    assert waiting == ["http.listen", "ami.host", "ami.secret"]


def test_the_table_of_the_manual_says_which_keys_are_live() -> None:
    manual = Path("docs/operations.md").read_text("utf-8")
    _, _, table = manual.partition("| key | default | live | meaning |")
    rows = [row.split(" | ") for row in table.partition("\n\n")[0].splitlines()[2:]]
    said = {row[0].strip("| ").split(",")[0].strip("`"): row[2].strip() == "yes" for row in rows}
    assert said == {
        f"{section}.{name}": key.metadata["key"].is_live
        for section in RUNNING.__dataclass_fields__
        for name, key in getattr(RUNNING, section).__dataclass_fields__.items()
    }


async def reloaded(reloading: Reloading, until: Callable[[], bool]) -> list[str]:
    """Reload once; the events of it."""
    with capture_logs() as events:
        task = asyncio.create_task(reloading.run())
        reloading.ask()
        async with asyncio.timeout(5):
            while not until():
                await asyncio.sleep(0.01)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    return [event["event"] for event in events]


async def test_what_waits_is_said_again_at_every_reload() -> None:
    got: list[Config] = []
    new = Config(ami=Ami(port=5039), log=Log(level="debug"))
    reloading = Reloading(RUNNING, lambda: new)
    reloading.on_reload.append(got.append)
    expected = ["config.reloaded", "config.waits_for_restart"]
    assert await reloaded(reloading, lambda: len(got) == 1) == expected
    assert await reloaded(reloading, lambda: len(got) == 2) == expected
    assert got == 2 * [Config(log=Log(level="debug"))]


async def test_a_broken_file_changes_nothing() -> None:
    read = 0

    def broken() -> Config:
        nonlocal read
        read += 1
        raise UsageError("is not TOML")

    reloading = Reloading(RUNNING, broken)
    reloading.on_reload.append(lambda _config: pytest.fail("told of a broken configuration"))
    assert await reloaded(reloading, lambda: read == 1) == ["config.not_reloaded"]


async def test_one_that_cannot_renew_its_things_does_not_keep_the_others_from_it() -> None:
    got: list[Config] = []

    def cannot(_config: Config) -> None:
        raise UsageError("the certificate is gone")

    reloading = Reloading(RUNNING, lambda: RUNNING)
    reloading.on_reload += [cannot, got.append]
    events = await reloaded(reloading, lambda: bool(got))
    assert events == ["config.partly_reloaded", "config.reloaded"]

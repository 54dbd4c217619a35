"""Runs PHP programs that call the API the way old customer systems do."""

import asyncio
import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.services.requirements import unavailable

SCRIPTS = Path(__file__).resolve().parents[1] / "php"

#: A program that takes longer has met a hung server; PHP's own socket timeout is 60 s.
_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class PhpAnswer:
    """What the PHP program got.

    Attributes:
        raw: The body, byte for byte; None where file_get_contents gave false.
        decoded: What PHP's json_decode made of it.
    """

    raw: bytes | None
    decoded: Any


class Php:
    """The php command; one call runs one program."""

    def __init__(self, command: str) -> None:
        self._command = command

    async def run(self, script: Path, *arguments: str) -> bytes:
        """Standard output of a program.

        Raises:
            AssertionError: it failed, or printed a PHP warning.
        """
        process = await asyncio.create_subprocess_exec(
            self._command,
            "-d",
            "display_errors=stderr",
            script,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "no_proxy": "*"},
        )
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                output, errors = await process.communicate()
        except BaseException:
            process.kill()
            await process.communicate()
            raise
        assert (process.returncode, errors) == (0, b""), errors.decode(errors="replace")
        return output

    async def get(self, url: str, parameters: Mapping[str, str]) -> PhpAnswer:
        """file_get_contents of the URL with the parameters in its query."""
        return await self._call("GET", url, parameters)

    async def post(self, url: str, parameters: Mapping[str, str]) -> PhpAnswer:
        """file_get_contents with a stream context that posts the parameters as a form."""
        return await self._call("POST", url, parameters)

    async def _call(self, method: str, url: str, parameters: Mapping[str, str]) -> PhpAnswer:
        output = await self.run(SCRIPTS / "client.php", method, url, urlencode(parameters))
        answer = json.loads(output)
        raw = None if answer["raw"] is None else bytes.fromhex(answer["raw"])
        return PhpAnswer(raw=raw, decoded=answer["decoded"])


@pytest.fixture(scope="session")
def php() -> Php:
    """The php command; whoever asks for it gets the marker `php`."""
    command = shutil.which("php")
    if command is None:
        unavailable("there is no php command (Debian package php-cli)")
    return Php(command)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs PHP, before markers are selected by."""
    for item in items:
        if "php" in getattr(item, "fixturenames", ()):
            item.add_marker("php")

"""The configuration of a running daemon: read again when asked, and taken over as far as it can be.

A key that is `live` in `config` changes at once. Every other one is what an object was built with:
it stays as it was, and the log says that it waits for a restart. What cannot be read changes
nothing at all.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, replace
from typing import Any, NamedTuple, NoReturn

import structlog

from pbxapi.config import Config
from pbxapi.errors import UsageError

_log = structlog.get_logger()

OnReload = Callable[[Config], None]


class Renewed(NamedTuple):
    """What of a new configuration holds now.

    Attributes:
        config: The running one with the live keys of the new one.
        changed: Names of the live keys that are new, as `section.key`.
        waiting: Names of the other keys that are new.
    """

    config: Config
    changed: list[str]
    waiting: list[str]


def renew(running: Config, new: Config) -> Renewed:
    """Take the live keys over."""
    changed: list[str] = []
    waiting: list[str] = []
    sections = {}
    for part in fields(Config):
        section, wanted = getattr(running, part.name), getattr(new, part.name)
        taken: dict[str, Any] = {}
        for key in fields(section):
            value = getattr(wanted, key.name)
            if value == getattr(section, key.name):
                continue
            name = f"{part.name}.{key.name}"
            if key.metadata["key"].is_live:
                taken[key.name] = value
                changed.append(name)
            else:
                waiting.append(name)
        sections[part.name] = replace(section, **taken)
    return Renewed(Config(**sections), changed, waiting)


class Reloading:
    """Reads the configuration again and tells everybody who depends on it.

    Args:
        config: What the daemon was started with.
        read: Reads it anew; raises UsageError. It may block.
        during: Entered round each reload.

    Attributes:
        on_reload: Called in order with the new configuration, even where it is no other: what else
            was read from somewhere (users, certificates) may have changed. One that raises
            UsageError leaves its own things as they were; the others go on.
    """

    def __init__(
        self,
        config: Config,
        read: Callable[[], Config],
        during: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._config = config
        self._read = read
        self._during = during
        self._asked = asyncio.Event()
        self.on_reload: list[OnReload] = []

    def ask(self) -> None:
        """Reload soon; asked for twice before it begins, it is done once."""
        self._asked.set()

    async def run(self) -> NoReturn:
        """Reload whenever that was asked for, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            with self._during():
                await self._reload()

    async def _reload(self) -> None:
        try:
            new = await asyncio.to_thread(self._read)
        except UsageError as error:
            _log.error("config.not_reloaded", error=str(error))
            return
        renewed = renew(self._config, new)
        self._config = renewed.config
        for tell in self.on_reload:
            try:
                tell(renewed.config)
            except UsageError as error:
                _log.error("config.partly_reloaded", error=str(error))
        _log.info("config.reloaded", changed=renewed.changed)
        if renewed.waiting:
            _log.warning("config.waits_for_restart", keys=renewed.waiting)

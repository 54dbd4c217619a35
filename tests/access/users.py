"""A directory of API users in memory, whose queries can be held up and made to fail."""

import asyncio
import ipaddress
from typing import Final, TypedDict

from pbxapi.access.passwords import hash_password
from pbxapi.errors import DatabaseUnavailable

PASSWORD = "secretpwd"
HASH = hash_password(PASSWORD)
HERE = ipaddress.ip_address("192.0.2.1")

Row = dict[str, object]


class Limits(TypedDict):
    """What locks out."""

    max_failures: int
    lockout_s: float


#: For tests of something else.
LENIENT: Final[Limits] = {"max_failures": 1_000_000, "lockout_s": 60.0}


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Users:
    """Answers `user_by_name` from `rows`.

    Attributes:
        asked: Names, in the order in which they were asked for.
        down: Whether every query fails.
        open: Cleared, queries wait until it is set.
    """

    def __init__(self, *names: str) -> None:
        self.rows: dict[str, Row] = {}
        self.asked: list[str] = []
        self.down = False
        self.open = asyncio.Event()
        self.open.set()
        for number, name in enumerate(names, 1):
            self.put(name, id=number)

    def put(self, name: str, **changes: object) -> None:
        """Add or change a user, whose password is `PASSWORD` as long as nothing else is said."""
        row: Row = {
            "id": 1,
            "username": name,
            "password_hash": HASH,
            "permissions": ["listcalls"],
            "enabled": True,
            "networks": [],
        }
        self.rows[name] = {**self.rows.get(name, row), **changes}

    async def fetch(self, statement: str, /, *args: object) -> list[Row]:
        assert statement == "user_by_name"
        (name,) = args
        assert isinstance(name, str)
        self.asked.append(name)
        row = self.rows.get(name)
        await self.open.wait()
        if self.down:
            raise DatabaseUnavailable("stopped")
        return [] if row is None else [row]

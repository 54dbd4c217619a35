"""Lines and their SIP accounts, outbound routes, dial plans: look-ups of one round trip each.

Numbers and ids come as the texts of a request. What cannot be in a column finds nothing and asks
nobody. The relations may be views without constraints: an account whose name could be read as
something else in a dial string is left out here, whatever the schema promises.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, Final, Protocol, cast

import structlog

from pbxapi.directory.account import Account, Technology

#: PostgreSQL's bigint.
MAX_ID: Final = 2**63 - 1
_DIGITS: Final = re.compile(r"[0-9]+", re.ASCII)
#: PostgreSQL's text holds no NUL, and UTF-8 no half of a surrogate pair.
_NOT_TEXT: Final = re.compile(r"[\0\ud800-\udfff]")
#: The same as in the schema: nothing that separates words in a dial string.
_ACCOUNT_NAME: Final = re.compile(r"[A-Za-z0-9_.+-]{1,79}", re.ASCII)

_TECHNOLOGIES: Final = frozenset({"SIP", "PJSIP"})

_log = structlog.get_logger()


class Row(Protocol):
    """A row of a result: columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


class Queries(Protocol):
    """Runs the statements of `queries.sql`; `Directory` is one."""

    async def fetch(self, name: str, /, *args: object) -> Iterable[Row]:
        """Rows of the statement; raises DatabaseUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of `extensions`.

    Attributes:
        outroute_id: The route its calls leave by; None where it has none.
        recording: Whether its calls may be recorded.
        accounts: By id; empty where the line has none.
    """

    id: int
    dialplan_id: int
    dialplan_name: str
    internal_num: str
    public_num: str | None
    name: str
    outroute_id: int | None
    recording: bool
    accounts: tuple[Account, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outroute:
    """An outbound route: `dial_out_<id>` in the dial plan."""

    id: int
    name: str


class Lines:
    """Finds lines, dial plans and outbound routes; every method raises DatabaseUnavailable."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def by_public_num(self, number: str, /) -> tuple[Line, ...]:
        """Lines with this public number: none or one."""
        if not is_text(number):
            return ()
        return _lines(await self._queries.fetch("lines_by_public_num", number))

    async def by_internal_num(
        self, number: str, dialplan_id: int | None = None, /
    ) -> tuple[Line, ...]:
        """Lines with this internal number, of one dial plan or of all."""
        if not is_text(number):
            return ()
        return _lines(await self._queries.fetch("lines_by_internal_num", number, dialplan_id))

    async def by_id(self, identifier: str | int, /) -> tuple[Line, ...]:
        """The line with this id."""
        number = as_id(identifier)
        if number is None:
            return ()
        return _lines(await self._queries.fetch("line_by_id", number))

    async def by_sip_username(self, name: str, /) -> tuple[Line, ...]:
        """The line that this account belongs to, with all its accounts."""
        if not is_text(name):
            return ()
        return _lines(await self._queries.fetch("line_by_sip_username", name))

    async def dialplan_id(self, name: str, /) -> int | None:
        """Id of the dial plan of this name; None where there is none."""
        if not is_text(name):
            return None
        for row in await self._queries.fetch("dialplan_by_name", name):
            return int(row["id"])
        return None

    async def outroute_by_name(self, name: str, /) -> Outroute | None:
        """The outbound route of this name."""
        if not is_text(name):
            return None
        return _outroute(await self._queries.fetch("outroute_by_name", name))

    async def outroute_by_id(self, identifier: str | int, /) -> Outroute | None:
        """The outbound route with this id."""
        number = as_id(identifier)
        if number is None:
            return None
        return _outroute(await self._queries.fetch("outroute_by_id", number))


def as_id(value: str | int) -> int | None:
    """The id that a request means; None for what cannot be one."""
    if isinstance(value, str):
        # 19 digits are all that a bigint has, and int() refuses thousands of them with an error.
        digits = value.lstrip("0") or "0"
        if not _DIGITS.fullmatch(value) or len(digits) > len(str(MAX_ID)):
            return None
        value = int(digits)
    return value if 0 <= value <= MAX_ID else None


def is_text(value: str) -> bool:
    """Whether a column of text could hold this at all."""
    return _NOT_TEXT.search(value) is None


def _lines(rows: Iterable[Row]) -> tuple[Line, ...]:
    by_line = groupby(rows, key=itemgetter("id"))
    return tuple(_line(list(of_one)) for _id, of_one in by_line)


def _line(rows: list[Row]) -> Line:
    first = rows[0]
    return Line(
        id=first["id"],
        dialplan_id=first["dialplan_id"],
        dialplan_name=first["dialplan_name"],
        internal_num=first["internal_num"] or "",
        public_num=first["public_num"],
        name=first["name"] or "",
        outroute_id=first["outroute_id"],
        recording=bool(first["recording"]),
        accounts=tuple(account_in(row) for row in rows if _is_usable(row)),
    )


def _is_usable(row: Row) -> bool:
    if row["account_id"] is None:
        return False
    if is_account(row):
        return True
    _log.warning("directory.account_ignored", extension_line_id=row["account_id"])
    return False


def is_account(row: Row) -> bool:
    """Whether a row names something that Asterisk could dial, and that only."""
    name, technology = row["sip_username"] or "", row["technology"] or ""
    return bool(_ACCOUNT_NAME.fullmatch(name)) and technology.upper() in _TECHNOLOGIES


def account_in(row: Row) -> Account:
    """The account that a row names."""
    return Account(
        id=row["account_id"],
        sip_username=row["sip_username"],
        technology=cast("Technology", row["technology"].upper()),
    )


def _outroute(rows: Iterable[Row]) -> Outroute | None:
    for row in rows:
        return Outroute(id=row["id"], name=row["name"])
    return None

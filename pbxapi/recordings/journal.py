"""The journal of moves, and the call records that they change: what the database is asked."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pbxapi.recordings.copying import Copy
from pbxapi.recordings.files import Facts
from pbxapi.recordings.plan import Plan
from pbxapi.recordings.steps import Move, State


class Row(Protocol):
    """A row of a result: columns by name."""

    def __getitem__(self, column: str, /) -> Any: ...


class Queries(Protocol):
    """Runs the named statements of the directory; each is a transaction of its own."""

    async def fetch(self, name: str, /, *args: object) -> Sequence[Row]:
        """Rows of the statement; raises DatabaseUnavailable."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """What a row of the call records says of its recording.

    Attributes:
        recording: The path; "" where the call was not recorded.
        call_ids: Uniqueid and Linkedid of the call, as far as they are known.
    """

    id: int
    recording: str
    call_ids: frozenset[str]


class Journal:
    """All methods raise DatabaseUnavailable, after which it is unknown whether it was done."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries

    async def call_record(self, cdr_id: int) -> CallRecord | None:
        """The call record with this id."""
        for row in await self._queries.fetch("cdr_recording", cdr_id):
            call_ids = frozenset(row[name] for name in ("uniqueid", "linkedid") if row[name])
            return CallRecord(row["id"], row["recordingfile"] or "", call_ids)
        return None

    async def begin(self, record: CallRecord, plan: Plan, facts: Facts) -> Move | None:
        """Note a move before anything is done.

        Returns:
            None where the record has another recording by now, or another move has to do with one
            of the two files.
        """
        part = f".pbxapi-{secrets.token_hex(16)}.part"
        target = plan.target.path
        args = (record.id, record.recording, target, facts.size, facts.mtime_ns, part)
        for row in await self._queries.fetch("record_move_begin", *args):
            return Move(
                id=row["id"],
                cdr_id=record.id,
                source=record.recording,
                target=target,
                state=State.PLANNED,
                size=facts.size,
                mtime_ns=facts.mtime_ns,
                part=part,
            )
        return None

    async def copied(self, move: Move, copy: Copy) -> Move:
        """Note that the copy is whole."""
        await self._queries.fetch("record_move_copied", move.id, copy.checksum)
        return replace(move, state=State.COPIED, checksum=copy.checksum, verified=copy.verified)

    async def recorded(self, move: Move) -> tuple[Move, int]:
        """Write the new path into all call records that have the old one; returns how many.

        They are rows of one call, and the file they name is one.
        """
        rows = await self._queries.fetch("record_move_recorded", move.id, move.source, move.target)
        return replace(move, state=State.RECORDED), len(rows)

    async def forget(self, move: Move) -> None:
        """The move is done with."""
        await self._queries.fetch("record_move_forget", move.id)

    async def begun(self, paths: Collection[str] | None = None) -> list[Move]:
        """Moves that are not done with, oldest first: all, or those of any of these files."""
        rows = await self._queries.fetch("record_moves", None if paths is None else list(paths))
        return [
            Move(
                id=row["id"],
                cdr_id=row["cdr_id"],
                source=row["source_path"],
                target=row["target_path"],
                state=State(row["state"]),
                size=row["size"],
                mtime_ns=row["mtime_ns"],
                part=row["part"],
                checksum=row["checksum"],
            )
            for row in rows
        ]

"""Moves of recordings: begun by a request, finished or undone whatever happens.

Rules of this file:

* A move is in the journal before anything is done, and leaves it when nothing is left to do. What
  is done in between is looked up on disk (`steps`), by the request itself, and by whoever comes
  after a crash, a database that was away, a share that hung.
* Two moves that have to do with one file never run at once: the second is refused.
* The disk is touched in threads only. A request waits for it as long as it goes on; who waits for
  a share that hangs is told that it failed, and what becomes of the move is settled later.
"""

import asyncio
import errno
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, NamedTuple, NoReturn, Self, TypeVar

import structlog

from pbxapi.errors import DatabaseUnavailable, PbxapiError, PbxUnavailable
from pbxapi.faults import Fault
from pbxapi.recordings.files import Facts, Files
from pbxapi.recordings.journal import CallRecord, Journal, Queries
from pbxapi.recordings.plan import Plan
from pbxapi.recordings.steps import Move, State, Step, next_step
from pbxapi.recordings.syscalls import Syscalls
from pbxapi.recordings.threads import Threads

T = TypeVar("T")

#: More steps than any move has: what goes round in circles (a share that shows what is no longer
#: so) is left for later.
_MAX_STEPS: Final = 12

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long what may take.

    Attributes:
        stall_s: A move that does not get on for so long is given up: a share hangs.
        total_s: So is one that takes longer than this in all.
        tick_s: How often that is looked at.
        stop_s: At the end of the daemon, moves get this long to be undone.
        retry_s: After which a move that could not be settled is looked at again, …
        max_retry_s: … and, doubled each time, at most; a look may read the whole recording.
    """

    stall_s: float = 20.0
    total_s: float = 1800.0
    tick_s: float = 0.5
    stop_s: float = 3.0
    retry_s: float = 5.0
    max_retry_s: float = 600.0


class _Watch:
    """Whether a move gets on, and whether it should."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.is_stopped = False
        #: Call records changed; None until they are.
        self.rows: int | None = None

    def note(self) -> None:
        """It gets on."""
        self.last = time.monotonic()

    def check(self) -> None:
        """It gets on; raises OSError where it should not."""
        if self.is_stopped:
            raise OSError(errno.ECANCELED, "given up")
        self.note()


class _Settled(NamedTuple):
    """What became of a move; one that is not over is still in the journal."""

    move: Move
    is_over: bool

    @property
    def is_done(self) -> bool:
        """The recording is at the target and the call records say so."""
        return self.move.state is State.RECORDED


class RecordMoves:
    """Moves recordings, and settles what others have begun.

    Args:
        queries: The database.
        roots: The folders that recordings never leave.
        in_call: Whether a call with any of these ids goes on; raises PbxUnavailable.
        syscalls: By which the disk is touched.
        limits: How long what may take.

    Attributes:
        outcomes: How many moves were "moved" or "not_moved" as their requests were told, and, after
            an interruption, "recovered" or "undone".
    """

    def __init__(
        self,
        queries: Queries,
        roots: Sequence[PurePath],
        in_call: Callable[[Collection[str]], bool],
        *,
        syscalls: Syscalls | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._journal = Journal(queries)
        self._files = Files(roots, syscalls or Syscalls())
        self._in_call = in_call
        self._limits = limits or Limits()
        self._threads = Threads()
        self._busy: set[str] = set()
        self._watches: dict[asyncio.Task[int], _Watch] = {}
        self._asked = asyncio.Event()
        self._told: set[int] = set()
        self._is_closed = False
        self.outcomes: Counter[str] = Counter()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self.close()

    def set_roots(self, roots: Sequence[PurePath]) -> None:
        """Other folders from now on; a move that is under way in one that goes is left to them."""
        self._files = replace(self._files, roots=roots)
        self._asked.set()

    async def close(self) -> None:
        """End all moves: undone, or left to the journal where that takes too long."""
        self._is_closed = True
        for watch in self._watches.values():
            watch.is_stopped = True
        if tasks := tuple(self._watches):
            _, late = await asyncio.wait(tasks, timeout=self._limits.stop_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            if late:
                _log.warning("recording.left_to_journal", moves=len(late))
        self._threads.close()

    async def call_record(self, cdr_id: int, /) -> CallRecord | None:
        """The call record with this id; raises DatabaseUnavailable."""
        return await self._journal.call_record(cdr_id)

    async def move(self, record: CallRecord, plan: Plan, /) -> int:
        """Move a recording; returns how many call records have the new path now.

        Raises:
            Fault: 810, 811 or 812.
            PbxUnavailable: whether it is still being recorded, nobody can tell.
            DatabaseUnavailable: what has begun is finished or undone when the database is back.
        """
        outcome = "not_moved"
        try:
            rows = await self._begin(record, plan)
            outcome = "moved"
            return rows
        finally:
            self.outcomes[outcome] += 1

    @property
    def unsettled(self) -> int:
        """How many interrupted moves can be neither finished nor undone now."""
        return len(self._told)

    async def _begin(self, record: CallRecord, plan: Plan) -> int:
        watch = _Watch()
        task = asyncio.create_task(self._move(record, plan, watch), name="move")
        self._watches[task] = watch
        task.add_done_callback(self._on_done)
        while True:
            await asyncio.wait({task}, timeout=self._limits.tick_s)
            if task.done():
                return task.result()
            now = time.monotonic()
            stalled = now - watch.last > self._limits.stall_s
            if stalled or now - watch.began > self._limits.total_s:
                watch.is_stopped = True
                if watch.rows is not None:
                    return watch.rows
                raise Fault(812, filename=plan.target.path) from TimeoutError("it took too long")

    def _on_done(self, task: asyncio.Task[int]) -> None:
        del self._watches[task]
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, PbxapiError):
            _log.error("recording.failed", exc_info=error)  # nobody may be waiting for it

    async def _move(self, record: CallRecord, plan: Plan, watch: _Watch) -> int:
        cannot_move = Fault(812, filename=plan.target.path)
        if plan.is_nothing:
            await self._run(watch, self._files.check_source, plan.source)
            return 0
        names = {record.recording, plan.target.path}
        try:
            with self._claimed(names, cannot_move):
                await self._settle_begun(names, watch, cannot_move)
                facts = await self._run(watch, self._files.prepare, plan)
                self._require_finished(record, facts, cannot_move)
                move = await self._journal.begin(record, plan, facts)
                if move is None:
                    raise cannot_move
                return await self._carry_out(move, watch, cannot_move)
        except DatabaseUnavailable:
            self._asked.set()
            raise

    @contextmanager
    def _claimed(self, names: Collection[str], refusal: Fault) -> Iterator[None]:
        """Be the only one who has to do with these files."""
        if self._is_closed or not self._busy.isdisjoint(names):
            raise refusal
        self._busy.update(names)
        try:
            yield
        finally:
            self._busy.difference_update(names)

    async def _settle_begun(self, names: Collection[str], watch: _Watch, refusal: Fault) -> None:
        """Settle what earlier moves of these files have left in the journal."""
        for move in await self._journal.begun(names):
            with self._claimed({move.source, move.target} - set(names), refusal):
                if not (await self._settle(move, watch)).is_over:
                    raise refusal

    def _require_finished(self, record: CallRecord, facts: Facts, refusal: Fault) -> None:
        """Refuse a recording that is still being written."""
        try:
            in_call = self._in_call(record.call_ids)
        except PbxUnavailable:
            if facts.written is None:
                raise
            in_call = False
        if facts.written or in_call:
            raise refusal from OSError(errno.EBUSY, "it is still being recorded")

    async def _carry_out(self, move: Move, watch: _Watch, cannot_move: Fault) -> int:
        fault = cannot_move
        try:
            watch.check()
            if not await self._run(watch, self._files.rename, move):
                copy = await self._run(watch, self._files.copy, move, watch.check)
                move = await self._journal.copied(move, copy)
                await self._run(watch, self._files.publish, move)
        except Fault as error:
            fault = error
        except OSError as error:
            fault.__cause__ = error
        settled = await self._settle(move, watch)
        if not settled.is_over:
            self._asked.set()
        if settled.is_done:
            return watch.rows or 0
        raise fault

    async def _settle(self, move: Move, watch: _Watch) -> _Settled:
        """Do what is to be done next until nothing is, or nothing can be."""
        for _ in range(_MAX_STEPS):
            try:
                seen = await self._run(watch, self._files.look, move, watch.note)
                step = next_step(move.state, seen)
                if step is Step.WAIT:
                    break
                if step is Step.RECORD:
                    await self._run(watch, self._files.sync, move)
                    move, watch.rows = await self._journal.recorded(move)
                    continue
                await self._do(step, move, watch)
                if step in (Step.UNDO, Step.FORGET):
                    await self._journal.forget(move)
                    return _Settled(move, is_over=True)
            except OSError as error:
                _log.debug("recording.step_failed", move=move.id, error=str(error))
                break
            except DatabaseUnavailable:
                if move.state is State.RECORDED:
                    break
                raise
        return _Settled(move, is_over=False)

    async def _do(self, step: Step, move: Move, watch: _Watch) -> None:
        match step:
            case Step.UNDO | Step.REMOVE_PART:
                await self._run(watch, self._files.remove_part, move)
            case Step.PUBLISH:
                await self._run(watch, self._files.publish, move)
            case Step.REMOVE_SOURCE:
                await self._run(watch, self._files.remove_source, move)
            case _:
                pass

    async def _run(self, watch: _Watch, work: Callable[..., T], *args: Any) -> T:
        watch.note()
        try:
            return await self._threads.run(work, *args)
        finally:
            watch.note()

    async def run(self) -> NoReturn:
        """Settle what is in the journal, at once and whenever a move was left there."""
        retry_s = self._limits.retry_s
        while True:
            self._asked.clear()
            is_clear = await self._try_to_recover()
            try:
                async with asyncio.timeout(None if is_clear else retry_s):
                    await self._asked.wait()
                retry_s = self._limits.retry_s
                await asyncio.sleep(retry_s)
            except TimeoutError:
                retry_s = min(2 * retry_s, self._limits.max_retry_s)

    async def _try_to_recover(self) -> bool:
        try:
            return await self.recover()
        except DatabaseUnavailable:
            return False

    async def recover(self) -> bool:
        """Settle the moves of the journal that nobody is at; returns whether none is left.

        Raises:
            DatabaseUnavailable: the journal cannot be read or written.
        """
        is_clear = True
        for move in await self._journal.begun():
            names = {move.source, move.target}
            if not self._busy.isdisjoint(names):
                is_clear = False
                continue
            with self._claimed(names, Fault(812, filename=move.target)):
                # It may have got on since the journal was read.
                for still in await self._journal.begun(names):
                    if still.id == move.id:
                        settled = await self._settle(still, _Watch())
                        self._tell(settled)
                        is_clear = is_clear and settled.is_over
        return is_clear

    def _tell(self, settled: _Settled) -> None:
        move = settled.move
        log = _log.bind(move=move.id, cdr=move.cdr_id, source=move.source, target=move.target)
        if settled.is_over:
            self._told.discard(move.id)
            self.outcomes["recovered" if settled.is_done else "undone"] += 1
            log.warning("recording.recovered", outcome="moved" if settled.is_done else "undone")
        elif move.id not in self._told:
            self._told.add(move.id)
            log.error("recording.unsettled", state=move.state.value)

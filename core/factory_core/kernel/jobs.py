"""Ordinary jobs: taken from PostgreSQL by the workers, tried again, and kept as dead letters in the end.

The same bargain as for builds: the row is the truth and Redis says "look". A job is taken for a lease that its worker
renews, and its end counts only under the fence it was taken with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import structlog
from msgspec import Struct

from factory_core.builds.ids import uuid7
from factory_core.builds.line import Connect, Line
from factory_core.builds.masking import masked_text
from factory_core.contracts.jobs import Job

__all__ = ["JobLoop", "JobPace"]

_log = structlog.get_logger(__name__)


class JobPace(Struct, frozen=True, kw_only=True):
    """Times in seconds."""

    poll: float = 1.0
    """How long to rest when nobody calls."""
    ttl: float = 20.0
    """How long a job is taken for; renewed while it runs, so also how soon a lost worker's job starts over."""
    keep: float = 3600.0
    """How long jobs that are done are remembered: figures are counted from them, and keys hold for as long."""
    grace: float = 10.0
    """How long jobs may finish when the worker is asked to stop."""


class _Taken(Struct, frozen=True):
    id: UUID
    fence: int
    attempts: int
    name: str
    payload: dict[str, Any]


class _End(Struct, frozen=True):
    id: UUID
    fence: int
    error: str | None
    back: bool
    delay: float


class JobLoop:
    """Runs the jobs of one worker process, up to ``slots`` at a time."""

    def __init__(
        self,
        connect: Connect,
        jobs: Sequence[Job],
        *,
        slots: int = 10,
        pace: JobPace = JobPace(),  # noqa: B008 - frozen
    ) -> None:
        self._line = Line(connect)
        self._jobs = {job.name: job for job in jobs}
        self._slots = slots
        self._pace = pace
        self._running: dict[tuple[UUID, int], asyncio.Task[str | None]] = {}
        self._ended: list[_End] = []
        self._stopped: set[tuple[UUID, int]] = set()
        """Those we cancelled; what is cancelled otherwise has failed."""
        self._bell = asyncio.Event()
        self._stopping = False
        self._more = True
        self._held = self._swept = 0.0

    def kick(self) -> None:
        """A job is due, somebody says."""
        self._more = True
        self._bell.set()

    def stop(self) -> None:
        """Take no more, let what runs finish within the grace, give the rest back."""
        self._stopping = True
        self._bell.set()

    async def run(self) -> None:
        """Work until stopped."""
        try:
            while not self._stopping:
                failed = False
                try:
                    await self._turn()
                except Exception:  # noqa: BLE001 - as the comment says
                    # Whatever it was, the leases end and the jobs start over; a worker without this loop runs none.
                    _log.exception("a turn of the jobs failed")
                    failed = True
                if failed or not (self._more and len(self._running) < self._slots):
                    await self._rest()
            if self._running:
                await asyncio.wait(self._running.values(), timeout=self._pace.grace)
        finally:
            for key in self._running:
                self._cancel(key)
            await asyncio.gather(*self._running.values(), return_exceptions=True)
            await self._report()
            await self._line.close()

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._pace.poll):
                await self._bell.wait()
        except TimeoutError:
            self._more = True
        self._bell.clear()

    async def _turn(self) -> None:
        await self._report()
        now = asyncio.get_running_loop().time()
        if now - self._held >= self._pace.ttl / 4:
            self._held = now
            await self._hold()
        if now - self._swept >= 60.0:
            self._swept = now
            await self._line.use(lambda c: c.fetchval("select journal.sweep_jobs($1)", self._pace.keep))
        want = self._slots - len(self._running)
        if self._more and want > 0:
            await self._take(want)

    async def _take(self, want: int) -> None:
        self._more = False  # a kick that comes while we ask sets it again
        token = uuid7()
        rows = await self._line.use(
            lambda c: c.fetch(
                "select id, fence, attempts, name, payload from journal.take_jobs($1, $2, $3, $4)",
                list(self._jobs),
                want,
                self._pace.ttl,
                token,
            )
        )
        self._more = self._more or len(rows) == want
        for row in rows:
            payload = msgspec.json.decode(row["payload"])
            job = _Taken(row["id"], row["fence"], row["attempts"], row["name"], payload)
            task = asyncio.create_task(self._run(job))
            self._running[job.id, job.fence] = task
            task.add_done_callback(partial(self._end, job))

    def _end(self, taken: _Taken, task: asyncio.Task[str | None]) -> None:
        # In a callback, because a task that is cancelled before its first step runs none of its own code.
        del self._running[taken.id, taken.fence]
        back = task.cancelled() and (taken.id, taken.fence) in self._stopped
        self._stopped.discard((taken.id, taken.fence))
        if task.cancelled():
            error = None if back else "CancelledError: it was cancelled by something it waited for"
        else:
            error = task.result()
        self._ended.append(_End(taken.id, taken.fence, error, back, min(2.0**taken.attempts, 300.0)))
        self._bell.set()

    async def _run(self, taken: _Taken) -> str | None:
        """What went wrong."""
        job = self._jobs[taken.name]
        try:
            async with asyncio.timeout(job.timeout_seconds):
                await job.run(**taken.payload)
            return None
        except TimeoutError as late:
            error = str(late) or f"TimeoutError: not done within {job.timeout_seconds:g} seconds"
        except (Exception, SystemExit) as failure:  # noqa: BLE001 - whatever a job throws is its failure, not ours
            error = f"{type(failure).__name__}: {failure}"
        error = masked_text(error)
        _log.warning("job failed", job=job.name, id=str(taken.id), attempt=taken.attempts, error=error)
        return error

    async def _report(self) -> None:
        ended, self._ended = self._ended, []
        if ended:
            await self._line.use(
                lambda c: c.execute(
                    "select journal.end_jobs($1, $2, $3, $4, $5)",
                    [e.id for e in ended],
                    [e.fence for e in ended],
                    [e.error for e in ended],
                    [e.back for e in ended],
                    [e.delay for e in ended],
                )
            )

    async def _hold(self) -> None:
        """Renew what runs; stop what was given to others meanwhile."""
        keys = list(self._running)
        if not keys:
            return
        lost = await self._line.use(
            lambda c: c.fetch(
                "select journal.hold_jobs($1, $2, $3) as id",
                [k[0] for k in keys],
                [k[1] for k in keys],
                self._pace.ttl,
            )
        )
        gone = {row["id"] for row in lost}
        for key in keys:
            if key[0] in gone and key in self._running:
                _log.warning("job was given to another worker", id=str(key[0]))
                self._cancel(key)

    def _cancel(self, key: tuple[UUID, int]) -> None:
        self._stopped.add(key)
        self._running[key].cancel()

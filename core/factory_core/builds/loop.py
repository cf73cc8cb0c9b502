"""The loop of a worker: one connection, one step in flight, all its agents in this process.

There is no timer that gathers batches: what ends while a step is under way rides in the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import asyncpg
import structlog
from msgspec import Struct
from msgspec.structs import replace

from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.crew import Crew, Runner
from factory_core.builds.ids import uuid7
from factory_core.builds.line import Connect, Line, connect_to
from factory_core.builds.masking import masked_text
from factory_core.builds.schemas import Key, Report, Turn
from factory_core.builds.wake import News, Tell, Wake
from factory_core.builds.window import Window

__all__ = ["BuildLoop", "Connect", "Pace", "Runner", "connect_to"]

_log = structlog.get_logger(__name__)


class Pace(Struct, frozen=True, kw_only=True):
    """Times in seconds. The database judges leases by its own clock; these only say how often we speak to it."""

    ttl: float = 20.0
    """A worker silent for this long loses its tasks."""
    poll: float = 0.5
    """How long to rest when nobody calls; also the beat."""
    check: float = 1.0
    """How often to ask whether what runs still may, and to do the journal's upkeep."""
    timers: float = 0.2
    """How often to look for tasks whose time has come."""
    grace: float = 10.0
    """How long agents may finish when the worker is asked to stop."""
    batch: int = 100
    """Reports and tasks in one step at most. Larger is not better; fewer tasks are taken while the database is slow."""


async def _tell_nobody(*_: object) -> None:
    """Without Redis there is nobody to tell."""


class BuildLoop:
    """Takes tasks, has them done, reports them; survives the loss of any server."""

    def __init__(
        self,
        connect: Connect,
        runner: Runner,
        *,
        slots: int = 8,
        reserved: int = 0,
        name: str = "worker",
        wake: Wake | None = None,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        tell: Tell = _tell_nobody,
        crash: CrashPoints | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wake = wake or Wake()
        self._line = Line(connect, timeout=pace.ttl / 2)
        self._crew = Crew(runner, slots, self.wake.ring)
        self._slots = slots
        self._reserved = min(reserved, slots - 1)
        self._window = Window(min(pace.batch, slots))
        self._name = name
        self._pace = pace
        self._news = News(tell)
        self._crash = crash or CrashPoints()
        self._clock = clock
        self._worker = uuid7()
        self._tick = 0
        self._more = True
        self._stopping: float | None = None
        self._scanned = self._checked = self._tended = self._fired = self._acknowledged = clock()

    def stop(self) -> None:
        """Take no more, let agents finish within the grace, give the rest back, and return from ``run``."""
        self._stopping = self._clock() if self._stopping is None else self._stopping
        self.wake.ring()

    async def run(self) -> None:
        """Work until stopped."""
        beside = [asyncio.create_task(self._watch()), asyncio.create_task(self._news.spread())]
        try:
            await self._enlist()
            while self._stopping is None or self._crew.busy:
                await self._step()
                await self._rest()
        finally:
            for task in beside:
                task.cancel()
            await self._quit()

    async def _enlist(self) -> None:
        """Be known to the journal, under an id nobody had before."""
        self._worker, self._tick, self._more = uuid7(), 0, True
        await self._line.ask(lambda journal: journal.enlist(self._worker, self._name, self._slots))

    async def _step(self) -> None:
        now = self._clock()
        free = self._crew.free
        want = 0 if self._stopping is not None else min(free, self._window.size)
        keep = max(0, want - max(0, free - self._reserved))
        offers, look = self.wake.take()
        self._more = self._more or look or (want == 0 and bool(offers))
        scan = want > 0 and (self._more or now - self._scanned >= self._pace.poll)
        held: tuple[Key, ...] = ()
        if now - self._checked >= self._pace.check:
            held, self._checked = self._crew.held(), now
        if scan:
            self._scanned = now
        reports = self._crew.take(self._pace.batch)
        asked = self._clock()
        turn = await self._send(reports, held, want=want, scan=scan, offers=offers, keep=keep)
        self._window.note(self._clock() - asked)
        self._acknowledged = now
        # A short claim is no proof of emptiness; only a scan that found nothing is.
        self._more = turn.more or (self._more and not scan) or (self._reserved > 0 and bool(reports))
        await self._obey(turn, reports)
        if now - self._tended >= self._pace.check:
            self._tended = self._fired = now
            moved = await self._line.ask(lambda journal: journal.tend(self._pace.ttl))
            self._more = self._more or bool(moved)
            self._news.add(moved, more=False)
        elif now - self._fired >= self._pace.timers:
            self._fired = now
            fired = await self._line.ask(lambda journal: journal.fire())
            self._more = self._more or bool(fired)

    async def _send(self, reports: tuple[Report, ...], held: tuple[Key, ...], **taking: object) -> Turn:
        """One step. A report that the journal cannot store is sent as a failure that says why."""
        if reports:
            self._crash.reach("before_commit")
        self._tick += 1
        tick = self._tick
        try:
            return await self._line.ask(
                lambda journal: journal.step(self._worker, tick, reports, held, **taking)  # type: ignore[arg-type] - as in _step
            )
        except (asyncpg.PostgresError, ValueError) as error:
            if not reports or (len(reports) == 1 and reports[0].kind == "failed"):
                raise
            _log.exception("a report was refused by the database")
            if len(reports) == 1:
                return await self._send((_refused(reports[0], error),), held, **taking)
            nothing = {"want": 0, "scan": False, "offers": ()}
            seqs = [(await self._send((report,), (), **nothing)).seqs[0] for report in reports]
            return Turn(seqs=tuple(seqs), more=True)

    async def _obey(self, turn: Turn, reports: tuple[Report, ...]) -> None:
        if reports:
            self._crash.reach("after_commit")
        for key in turn.revoked:
            self._crew.revoke(key)
        if not turn.known:
            _log.warning("the worker was given up, starting over", worker=str(self._worker))
            self._crew.dismiss()
            await self._enlist()
        if turn.started:
            self._crash.reach("after_claim")
        for attempt in turn.started:
            self._crew.start(attempt)
        touched = frozenset([r.build for r in reports] + [a.build for a in turn.started])
        if touched:
            self._crash.reach("before_publish")
            self._news.add(touched, more=turn.more and self._crew.free == 0)

    async def _rest(self) -> None:
        """Until there is something to do, or it is time to beat."""
        hungry = self._crew.free > 0 and self._stopping is None
        if hungry:
            self.wake.hungry.set()
        else:
            self.wake.hungry.clear()
        if self._crew.reports or (hungry and (self._more or self.wake.called)):
            # Agents that end at once do so now and ride in the next step.
            await asyncio.sleep(0)
            return
        if self._stopping is None or self._crew.busy:
            await self.wake.wait(self._pace.poll)

    async def _watch(self) -> None:
        """Stop the agents of a worker that may have been given up, or whose grace is over."""
        while True:
            await asyncio.sleep(self._pace.ttl / 20)
            now = self._clock()
            if now - self._acknowledged > self._pace.ttl * 2 / 3:
                self._crew.dismiss()
            if self._stopping is not None and now - self._stopping > self._pace.grace:
                self._crew.dismiss()

    async def _quit(self) -> None:
        self._crew.dismiss()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pace.grace):
                await self._crew.dispersed()
                left = await self._line.ask(lambda journal: journal.leave(self._worker))
                self._news.add(left, more=bool(left))
                await self._news.flush()
        await self._line.close()


def _refused(report: Report, error: Exception) -> Report:
    reason = masked_text(f"its result could not be stored: {error}", 1000)
    return replace(report, kind="failed", result=None, reason=reason, memo=None, children=None)

"""The agents at work in this process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Protocol

import structlog

from factory_core.builds.masking import masked_text
from factory_core.builds.schemas import Assignment, Completion, CompletionKind, Key, Report
from factory_core.errors import RateLimited

__all__ = ["Crew", "Runner"]

_log = structlog.get_logger(__name__)


class Runner(Protocol):
    """Does the work of one attempt."""

    async def run(self, assignment: Assignment) -> Completion:
        """How it ended. An exception is a crash and is tried again later; being cancelled must stop all it started."""
        ...


class Crew:
    """Runs attempts, each in a task of its own, and collects their reports."""

    def __init__(self, runner: Runner, slots: int, ended: Callable[[], None]) -> None:
        self._runner = runner
        self._slots = slots
        self._ended = ended
        self._running: dict[Key, asyncio.Task[Report]] = {}
        self._reports: list[Report] = []
        self._stopped: set[Key] = set()
        """Those we cancelled; what is cancelled otherwise has crashed."""

    @property
    def free(self) -> int:
        """Slots without an agent."""
        return self._slots - len(self._running)

    @property
    def busy(self) -> bool:
        """Whether an agent runs or a report waits to be sent."""
        return bool(self._running or self._reports)

    @property
    def reports(self) -> int:
        """How many reports wait to be sent."""
        return len(self._reports)

    def held(self) -> tuple[Key, ...]:
        """The attempts that run."""
        return tuple(self._running)

    def start(self, attempt: Assignment) -> None:
        """Put an agent to work; once, however often it is told."""
        if attempt.key not in self._running:
            task = asyncio.create_task(self._run(attempt))
            task.add_done_callback(partial(self._end, attempt))
            self._running[attempt.key] = task

    def take(self, most: int) -> tuple[Report, ...]:
        """Up to ``most`` reports, no longer kept here."""
        taken, self._reports = self._reports[:most], self._reports[most:]
        return tuple(taken)

    def revoke(self, key: Key) -> None:
        """Stop an agent; it reports that it was cancelled."""
        if task := self._running.get(key):
            self._stopped.add(key)
            task.cancel()

    def dismiss(self) -> None:
        """Stop all agents."""
        for key in self._running:
            self.revoke(key)

    async def dispersed(self) -> None:
        """Wait until no agent runs."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def _run(self, attempt: Assignment) -> Report:
        try:
            return Report.of(attempt, await self._runner.run(attempt))
        except RateLimited as error:
            delay = error.retry_after * random.uniform(1.0, 1.1)  # noqa: S311 - spreads what was parked together
            parked = Completion(kind=CompletionKind.PARK, reason=masked_text(error.reason), delay=delay)
            return Report.of(attempt, parked)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an agent throws is its crash, not ours
            _log.exception("agent crashed", build=str(attempt.build), task=attempt.task, fence=attempt.fence)
            return Report.of(attempt, _crash(attempt, error))

    def _end(self, attempt: Assignment, task: asyncio.Task[Report]) -> None:
        # In a callback, because a task that is cancelled before its first step runs none of its own code.
        del self._running[attempt.key]
        if not task.cancelled():
            self._reports.append(task.result())
        elif attempt.key in self._stopped:
            stopped = Completion(kind=CompletionKind.CANCELLED, reason="stopped before its end")
            self._reports.append(Report.of(attempt, stopped))
        else:
            leaked = asyncio.CancelledError("it was cancelled by something it waited for")
            self._reports.append(Report.of(attempt, _crash(attempt, leaked)))
        self._stopped.discard(attempt.key)
        self._ended()


def _crash(attempt: Assignment, error: BaseException) -> Completion:
    delay = min(0.5 * 4**attempt.tries, 60.0) * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries
    reason = masked_text(f"{type(error).__name__}: {error}")
    return Completion(kind=CompletionKind.RETRY, reason=reason, delay=delay)

"""Events: the numbered facts of a build, 1..n without gaps."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from msgspec import Struct

__all__ = ["ENDED", "BuildState", "Event", "EventKind", "TaskState"]


class BuildState(StrEnum):
    """architecture.md, section 2."""

    QUEUED = "queued"
    PLANNING = "planning"
    RUNNING = "running"
    WAITING = "waiting"
    PAUSED = "paused"
    HALTED = "halted"
    STOPPING = "stopping"
    PASSED = "passed"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({BuildState.PASSED, BuildState.FAILED, BuildState.CANCELLED})


class TaskState(StrEnum):
    WAITING = "waiting"
    READY = "ready"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    QUARANTINED = "quarantined"
    SKIPPED = "skipped"


class EventKind(StrEnum):
    BUILD_CREATED = "build.created"
    BUILD_PLANNED = "build.planned"
    """``tasks``: how many the plan has; ``agents``: how many the build has."""
    BUILD_GROWN = "build.grown"
    """A task added ``tasks`` others as it ended; ``agents``: how many the build has now."""
    BUILD_PAUSED = "build.paused"
    """``by``, ``reason``."""
    BUILD_RESUMED = "build.resumed"
    """``by``."""
    BUILD_HALTED = "build.halted"
    """A task found what a person must judge: ``reason``."""
    BUILD_DECIDED = "build.decided"
    """``decision`` (approved, rejected), ``by``, ``note``."""
    BUILD_RETRIED = "build.retried"
    """``tasks`` (null: all that did not end well), ``by``. What is run again follows, task by task."""
    BUILD_STOPPING = "build.stopping"
    BUILD_ENDED = "build.ended"
    TASK_STARTED = "task.started"
    TASK_DONE = "task.done"
    TASK_FAILED = "task.failed"
    TASK_RETRYING = "task.retrying"
    TASK_PARKED = "task.parked"
    TASK_LEASE_LOST = "task.lease_lost"
    TASK_QUARANTINED = "task.quarantined"
    TASK_CANCELLED = "task.cancelled"
    TASK_SKIPPED = "task.skipped"
    TASK_REUSED = "task.reused"
    """A fork took it over, done, from the build ``source``."""
    TASK_RESET = "task.reset"
    """It will be run again; its result is void."""
    TASK_REMOVED = "task.removed"
    """It was spawned by a task that is run again, which will spawn it anew."""
    TASK_DISCARDED = "task.discarded"
    """A person accepts that a quarantined task stays undone."""


class Event(Struct, frozen=True, kw_only=True):
    """One fact. ``at`` is the database's clock."""

    build: UUID
    seq: int
    kind: str
    task: str | None = None
    fence: int | None = None
    at: datetime
    body: dict[str, Any] = {}

"""What goes into the journal and what comes out of it."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
from msgspec import Struct

from factory_core.contracts.events import BuildState, TaskState
from factory_core.contracts.plan import Plan

__all__ = [
    "Assignment",
    "AttemptRow",
    "BuildRow",
    "Completion",
    "CompletionKind",
    "Key",
    "NewEdge",
    "NewTask",
    "Report",
    "ResultRow",
    "SpawnedRow",
    "Submission",
    "Submitted",
    "TaskRow",
    "Turn",
    "rows_of",
]

LONGEST_REASON = 2000
"""Of why a build waits for a person, in characters."""
Key = tuple[UUID, str, int]
"""An attempt: build, task, fence."""


class Submission(Struct, frozen=True, kw_only=True):
    """A build to be made. ``options`` is the caller's own; the engine never looks inside."""

    org: UUID
    idem_key: str
    spec_digest: str
    options: dict[str, Any] = {}
    params: dict[str, str] = {}
    """The params of task ``plan``."""
    project: str = ""
    """Builds of one project share what the project may use."""
    max_running: int | None = None
    """Tasks of this build that may run at once."""
    max_agents: int = 200
    max_depth: int = 6
    max_seconds: float | None = None


class Submitted(Struct, frozen=True, kw_only=True):
    """``created`` is false when the idempotency key had made the build before."""

    build: UUID
    created: bool


class Assignment(Struct, frozen=True, kw_only=True):
    """One attempt at one task, handed to a worker. ``tries`` counts the tries that failed before."""

    org: UUID
    build: UUID
    task: str
    fence: int
    agent: str
    title: str = ""
    team: str = ""
    phase: str = ""
    scope: str = "project"
    params: dict[str, str] = {}
    tries: int = 0
    deadline_at: datetime | None = None
    spec_digest: str = ""
    afresh: bool = False
    """A person named the task: nothing of it is answered from memory."""

    @property
    def key(self) -> Key:
        return (self.build, self.task, self.fence)


class NewTask(Struct, frozen=True, kw_only=True):
    """A row of the plan, or a spawned agent. ``agent`` ``barrier`` or ``coordinator``: ends by itself when its parents
    have ended."""

    id: str
    agent: str
    title: str = ""
    team: str = ""
    phase: str = ""
    scope: str = "project"
    params: dict[str, str] = {}
    requirements: tuple[str, ...] = ()
    seconds: float = 0.0
    priority: int = 0
    optional: bool = False
    always: bool = False
    joined: bool = False
    """Whoever waits for the spawning task waits for this one too."""
    delay: float = 0.0
    """Not before this many seconds from now."""
    deadline_seconds: float = 900.0
    max_tries: int = 3


class NewEdge(Struct, frozen=True, array_like=True):
    """``child`` waits for ``parent``. Of two new tasks the parent stands earlier; one of the two is new."""

    parent: str
    child: str


class CompletionKind(StrEnum):
    DONE = "done"
    FAILED = "failed"
    """A verdict: not tried again, and what depends on it is skipped."""
    RETRY = "retry"
    """A crash: tried again after ``delay`` seconds, until the task's tries are used up."""
    PARK = "park"
    """It must wait, such as for a model's rate limit: its slot is free, and after ``delay`` seconds it is tried again
    without a try counted."""
    CANCELLED = "cancelled"
    """Stopped before its end: cancelled with its build, else ready again without a try counted."""


class Completion(Struct, frozen=True, kw_only=True):
    """How an attempt ended. ``tasks`` and ``edges`` are inserted in the commit that marks the task done."""

    kind: CompletionKind = CompletionKind.DONE
    result: dict[str, Any] = {}
    memo: str | None = None
    """Digest of agent version and inputs; keeps ``result`` for equal work."""
    reason: str = ""
    delay: float = 0.0
    tasks: tuple[NewTask, ...] = ()
    edges: tuple[NewEdge, ...] = ()
    halt: str = ""
    """Why the build must wait for a person's decision once this task is done."""
    risk: str = ""
    """Why it must wait if ``tasks``, which would look into it first, are refused."""


class _Children(Struct, frozen=True, omit_defaults=True):
    tasks: tuple[NewTask, ...]
    edges: tuple[NewEdge, ...]
    halt: str = ""
    risk: str = ""


def as_json(value: Any) -> str:
    """For a jsonb column, which cannot hold NUL: the replacement character stands in, as for other unreadable text."""
    return msgspec.json.encode(value).decode().replace("\\u0000", "\\ufffd")


class Report(Struct, frozen=True):
    """A completion in the form that is sent. Encoded when the agent ends, so that what cannot be sent fails there."""

    build: UUID
    task: str
    fence: int
    kind: str
    result: str | None
    reason: str
    memo: str | None
    delay: float
    children: str | None

    @classmethod
    def of(cls, attempt: Assignment, completion: Completion) -> Report:
        """Raises TypeError or ValueError when the result cannot be told as JSON."""
        done = completion.kind is CompletionKind.DONE
        verdict = done or completion.kind is CompletionKind.FAILED
        adds = done and (completion.tasks or completion.halt)
        why = (completion.halt[:LONGEST_REASON], completion.risk[:LONGEST_REASON])
        children = as_json(_Children(completion.tasks, completion.edges, *why)) if adds else None
        memo = completion.memo if done else None
        return cls(
            attempt.build,
            attempt.task,
            attempt.fence,
            str(completion.kind),
            as_json(completion.result) if verdict else None,
            "" if done else completion.reason.replace("\0", "\ufffd")[:4000],
            memo,
            completion.delay,
            children,
        )

    @property
    def key(self) -> Key:
        return (self.build, self.task, self.fence)


class Turn(Struct, frozen=True, kw_only=True):
    """The answer to a step. ``seqs`` has the event of each report in its order, None where it was refused."""

    seqs: tuple[int | None, ...] = ()
    started: tuple[Assignment, ...] = ()
    revoked: tuple[Key, ...] = ()
    more: bool = False
    """There may be more work: ask again."""
    known: bool = True
    """False: the worker was given up; what it runs belongs to others."""


class BuildRow(Struct, frozen=True, kw_only=True):
    id: UUID
    org: UUID
    idem_key: str
    spec_digest: str
    options: dict[str, Any]
    state: BuildState
    stop: bool
    reason: str
    seq: int
    """The last event's number."""
    tasks: int
    agents: int
    unfinished: int
    created_at: datetime
    deadline_at: datetime | None
    ended_at: datetime | None


class TaskRow(Struct, frozen=True, kw_only=True):
    id: str
    n: int
    parent: str | None
    after: tuple[str, ...]
    agent: str
    title: str
    team: str
    phase: str
    scope: str
    params: dict[str, str]
    requirements: tuple[str, ...]
    seconds: float
    priority: int
    optional: bool
    always: bool
    state: TaskState
    fence: int
    tries: int
    crashes: int
    reason: str
    started_at: datetime | None
    ended_at: datetime | None


class ResultRow(Struct, frozen=True, kw_only=True):
    """How a task ended; ``result`` is empty unless it is done or has failed by verdict."""

    id: str
    agent: str
    state: TaskState
    reason: str
    result: dict[str, Any]
    fence: int = 0
    """The number of the try it is the result of."""


class SpawnedRow(Struct, frozen=True, kw_only=True):
    """A task that another one added. ``heirs`` wait for it."""

    id: str
    parent: str
    depth: int
    n: int
    heirs: tuple[str, ...]


class AttemptRow(Struct, frozen=True, kw_only=True):
    """One try. ``outcome`` is the kind of the event that ended it, None while it runs."""

    task: str
    fence: int
    worker: UUID
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None


def rows_of(
    plan: Plan, *, deadline_seconds: float = 900.0
) -> tuple[tuple[NewTask, ...], tuple[NewEdge, ...]]:
    """A plan as what the completion of task ``plan`` carries."""
    tasks = tuple(
        NewTask(
            id=task.id,
            agent=task.agent,
            title=task.title,
            team=task.team,
            phase=task.phase,
            scope=task.scope,
            params=task.params,
            requirements=task.requirements,
            seconds=task.seconds,
            priority=task.priority,
            optional=task.optional,
            always=task.always,
            delay=task.delay,
            deadline_seconds=task.deadline_seconds or deadline_seconds,
        )
        for task in plan.tasks
    )
    return tasks, tuple(NewEdge(parent, task.id) for task in plan.tasks for parent in task.after)

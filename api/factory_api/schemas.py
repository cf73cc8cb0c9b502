"""What goes in and comes out under ``/api/v1``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Meta, Struct

from factory_core.builds.schemas import BuildRow, TaskRow
from factory_core.contracts.events import ENDED, BuildState, Event, TaskState


class NewBuild(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An order. ``name`` is what the specification is called in messages. ``onto`` and ``release`` are two ways to name the
    release that the build stands on, whose migrations it goes on from."""

    spec: Annotated[
        str, Meta(min_length=1, description="The specification: YAML, or Markdown with yaml fences.")
    ]
    name: Annotated[str, Meta(min_length=1, max_length=200)] = "spec"
    template: Annotated[str, Meta(min_length=1, max_length=100)] | None = None
    max_agents: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    onto: (
        Annotated[str, Meta(max_length=36, description="A build of the project that passed, or newest.")]
        | None
    ) = None
    release: Annotated[bytes, Meta(description="An archive that a build handed out, in base64.")] | None = (
        None
    )


TaskName = Annotated[str, Meta(min_length=1, max_length=300)]
Words = Annotated[str, Meta(max_length=2000)]


class PauseOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why, for whoever finds the build paused."""

    reason: Words = ""


class Decision(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The answer to what halted a build."""

    decision: Literal["approve", "reject"]
    note: Words = ""


class RetryOrder(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ids of tasks; none means all that did not end well."""

    tasks: Annotated[tuple[TaskName, ...], Meta(max_length=500)] = ()


class NewFork(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From ``task`` (without one, all of it), whose ``params`` may be changed; or by another ``spec``."""

    task: TaskName | None = None
    params: Annotated[dict[TaskName, Words], Meta(max_length=100)] = {}
    spec: Annotated[str, Meta(min_length=1)] | None = None
    name: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class BuildView(Struct, frozen=True, kw_only=True):
    """A build at a glance. ``last_event`` is where an event stream that starts now begins. ``budget_nano_usd`` is what the
    specification lets it spend (1e-9 USD): a plan quoted at more is not started. What is spent meanwhile is not counted; the
    studio's own agents call no model and spend nothing."""

    id: UUID
    name: str
    state: BuildState
    ended: bool
    reason: str
    tasks: int
    unfinished: int
    agents: int
    last_event: int
    spec_digest: str
    created_at: datetime
    deadline_at: datetime | None
    ended_at: datetime | None
    budget_nano_usd: int | None

    @classmethod
    def of(cls, row: BuildRow) -> BuildView:
        """The view of a journal row."""
        return cls(
            id=row.id,
            name=str(row.options.get("project", "")),
            state=row.state,
            ended=row.state in ENDED,
            reason=row.reason,
            tasks=row.tasks,
            unfinished=row.unfinished,
            agents=row.agents,
            last_event=row.seq,
            spec_digest=row.spec_digest,
            created_at=row.created_at,
            deadline_at=row.deadline_at,
            ended_at=row.ended_at,
            budget_nano_usd=row.options.get("budget_nano_usd"),
        )


class TaskView(Struct, frozen=True, kw_only=True):
    """A node of the plan, and how far it is. ``after`` are the tasks it waits for."""

    id: str
    title: str
    agent: str
    team: str
    phase: str
    after: tuple[str, ...]
    requirements: tuple[str, ...]
    state: TaskState
    seconds: float
    tries: int
    reason: str
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, row: TaskRow) -> TaskView:
        """The view of a journal row."""
        return cls(**{name: getattr(row, name) for name in cls.__struct_fields__})


class BuildDetails(Struct, frozen=True, kw_only=True):
    """A build with its plan as it stands, and how many tasks are in which state."""

    build: BuildView
    counts: dict[str, int]
    tasks: tuple[TaskView, ...]


class BuildPage(Struct, frozen=True, kw_only=True):
    """``next`` is the cursor of the next page, null on the last; ``total`` counts all pages."""

    items: tuple[BuildView, ...]
    next: str | None
    total: int


class EventPage(Struct, frozen=True, kw_only=True):
    """Ask again with ``after`` = ``last``. ``ended``: the build is over and there is nothing after these."""

    events: tuple[Event, ...]
    last: int
    ended: bool


class BuildQuery(Struct, frozen=True, kw_only=True):
    """Which builds, in which order, and which page of them."""

    states: tuple[BuildState, ...] = ()
    newest_first: bool = True
    limit: int = 50
    offset: int = 0
    cursor: str | None = None


EXAMPLE_ORDER: dict[str, Any] = {
    "spec": "project: {name: Taskboard}\nentities:\n  Card: {title: text(1..200)}\n",
    "name": "taskboard.yaml",
    "max_agents": 40,
}

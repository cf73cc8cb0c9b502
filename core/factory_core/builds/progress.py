"""How far a build is: a fold over its events. Any prefix folds; ended tasks absorb."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from factory_core.contracts.events import ENDED, BuildState, Event, EventKind, TaskState
from factory_core.contracts.plan import QUIET, Plan, PlannedTask

__all__ = ["PLAN_TASK", "PhaseProgress", "Progress"]

PLAN_TASK = "plan"
"""The task with which every build begins."""

_AFTER: dict[str, TaskState] = {
    EventKind.TASK_STARTED: TaskState.RUNNING,
    EventKind.TASK_DONE: TaskState.DONE,
    EventKind.TASK_REUSED: TaskState.DONE,
    EventKind.TASK_FAILED: TaskState.FAILED,
    EventKind.TASK_RETRYING: TaskState.READY,
    EventKind.TASK_LEASE_LOST: TaskState.READY,
    EventKind.TASK_QUARANTINED: TaskState.QUARANTINED,
    EventKind.TASK_CANCELLED: TaskState.CANCELLED,
    EventKind.TASK_SKIPPED: TaskState.SKIPPED,
}
_HELD: dict[str, BuildState] = {
    EventKind.BUILD_PAUSED: BuildState.PAUSED,
    EventKind.BUILD_HALTED: BuildState.HALTED,
    EventKind.BUILD_STOPPING: BuildState.STOPPING,
}
"""What holds a build until somebody says otherwise."""
_UNDONE = frozenset({EventKind.TASK_RESET, EventKind.TASK_REMOVED})
_OVER = frozenset(
    {TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED, TaskState.QUARANTINED, TaskState.SKIPPED}
)


class PhaseProgress(Struct, frozen=True, kw_only=True):
    """One phase's bar. Barriers and coordinators do not count."""

    name: str
    total: int
    over: int
    done: int
    running: int
    failed: int


class Progress:
    """The state of one build as far as its events tell."""

    def __init__(self) -> None:
        self.seq = 0
        self.state: BuildState = BuildState.QUEUED
        self.reason = ""
        self._paused: str | None = None
        self.started_at: datetime | None = None
        self.tasks: dict[str, PlannedTask] = {}
        self.states: dict[str, TaskState] = {}
        self.cores = 2

    def learn(self, plan: Plan) -> None:
        """Take in the plan, once it is known."""
        self.tasks = {task.id: task for task in plan.tasks}

    def apply(self, event: Event) -> None:
        """Fold one event in. Events at or before ``seq`` were seen already and change nothing."""
        if event.seq <= self.seq:
            return
        self.seq = event.seq
        self.started_at = self.started_at or event.at
        self._apply_to_build(event)
        after = _AFTER.get(event.kind)
        if after is not None and event.task is not None and self.states.get(event.task) not in _OVER:
            self.states[event.task] = after
        elif event.kind in _UNDONE and event.task is not None:
            self._forget(event.kind, event.task, event.fence)

    def _apply_to_build(self, event: Event) -> None:
        if event.kind == EventKind.BUILD_ENDED:
            self.state = BuildState(str(event.body.get("state", BuildState.FAILED)))
            self.reason = str(event.body.get("reason", ""))
        elif event.kind in _HELD:
            self._hold(event)
        elif event.kind in (EventKind.BUILD_RESUMED, EventKind.BUILD_DECIDED):
            self.state, self.reason = self._pace(), ""
            if self._paused is not None:  # the halt came over a pause
                self.state, self.reason, self._paused = BuildState.PAUSED, self._paused, None
        elif event.kind == EventKind.BUILD_RETRIED and self.ended:
            self.state, self.reason = BuildState.RUNNING, ""
        elif event.kind == EventKind.BUILD_PLANNED and self.state not in _HELD.values():
            self.state = BuildState.RUNNING
        elif event.kind == EventKind.TASK_STARTED and self.state is BuildState.QUEUED:
            self.state = BuildState.PLANNING

    def _hold(self, event: Event) -> None:
        if event.kind != EventKind.BUILD_HALTED:
            self._paused = None
        elif self.state is BuildState.PAUSED:
            self._paused = self.reason
        self.state = _HELD[event.kind]
        self.reason = str(event.body.get("reason", ""))

    def _forget(self, kind: str, task: str, fence: int | None) -> None:
        """The task runs again, or is gone."""
        if kind == EventKind.TASK_RESET and (fence or task != PLAN_TASK):
            self.states[task] = TaskState.WAITING
        else:
            self.states.pop(task, None)
        if task == PLAN_TASK and self.state is BuildState.RUNNING:
            self.state = self._pace()

    def _pace(self) -> BuildState:
        """The state of a build that goes on: it follows from its first task."""
        plan = self.states.get(PLAN_TASK)
        if plan is TaskState.DONE:
            return BuildState.RUNNING
        return BuildState.QUEUED if plan is None else BuildState.PLANNING

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def phases(self) -> tuple[PhaseProgress, ...]:
        """The phases in the plan's order."""
        groups: dict[str, list[PlannedTask]] = {}
        for task in self.tasks.values():
            if task.agent not in QUIET:
                groups.setdefault(task.phase, []).append(task)
        return tuple(self._phase(name, tasks) for name, tasks in groups.items())

    def _phase(self, name: str, tasks: Iterable[PlannedTask]) -> PhaseProgress:
        states = [self.states.get(task.id, TaskState.WAITING) for task in tasks]
        return PhaseProgress(
            name=name,
            total=len(states),
            over=sum(state in _OVER for state in states),
            done=states.count(TaskState.DONE),
            running=sum(state is TaskState.RUNNING for state in states),
            failed=sum(state in (TaskState.FAILED, TaskState.QUARANTINED) for state in states),
        )

    def running(self) -> tuple[PlannedTask, ...]:
        """The tasks at work now."""
        return tuple(
            self.tasks[task]
            for task, state in self.states.items()
            if state is TaskState.RUNNING and task in self.tasks
        )

    def seconds_left(self) -> float:
        """An estimate from the plan's figures: what is not over yet, on all cores."""
        left = sum(task.seconds for task in self.tasks.values() if self.states.get(task.id) not in _OVER)
        return left / self.cores

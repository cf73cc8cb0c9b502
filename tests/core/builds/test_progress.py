"""The fold of a build's events."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds.progress import Progress
from factory_core.contracts.events import BuildState, Event, EventKind, TaskState
from factory_core.contracts.plan import Plan, PlannedTask, Quote

BUILD = UUID(int=1)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = ("a", "b", "gate")
UNDONE = {EventKind.TASK_RESET, EventKind.TASK_REMOVED}
TASK_KINDS = [kind for kind in EventKind if kind.startswith("task.") and kind not in UNDONE]


def event(seq: int, kind: str, task: str | None = None, **body: object) -> Event:
    return Event(build=BUILD, seq=seq, kind=kind, task=task, at=NOON, body=body)


def plan() -> Plan:
    tasks = (
        PlannedTask(id="a", agent="builder", title="A", team="t", phase="build", seconds=2.0),
        PlannedTask(id="b", agent="builder", title="B", team="t", phase="build", seconds=4.0),
        PlannedTask(id="gate", agent="barrier", title="", team="", phase="build"),
    )
    quote = Quote(tasks=3, agents=2, total_seconds=6, critical_seconds=4)
    return Plan(
        tasks=tasks,
        teams=(),
        phases=("build",),
        critical_path=(),
        quote=quote,
        scale=1.0,
        paradigm="hierarchical",
    )


@pytest.fixture
def progress() -> Progress:
    folded = Progress()
    folded.learn(plan())
    return folded


def test_a_phase_counts_its_agents_and_no_barriers(progress: Progress) -> None:
    progress.apply(event(1, EventKind.TASK_STARTED, "a"))
    progress.apply(event(2, EventKind.TASK_DONE, "a"))
    progress.apply(event(3, EventKind.TASK_STARTED, "b"))
    (phase,) = progress.phases()
    assert (phase.total, phase.over, phase.done, phase.running, phase.failed) == (2, 1, 1, 1, 0)


def test_time_left_shrinks_as_tasks_end(progress: Progress) -> None:
    before = progress.seconds_left()
    progress.apply(event(1, EventKind.TASK_DONE, "b"))
    assert progress.seconds_left() == before - 4.0 / progress.cores


def test_an_event_seen_twice_changes_nothing(progress: Progress) -> None:
    progress.apply(event(1, EventKind.TASK_DONE, "a"))
    progress.apply(event(1, EventKind.TASK_FAILED, "a"))
    assert progress.states["a"] is TaskState.DONE


def test_the_end_of_the_build_carries_its_state_and_reason(progress: Progress) -> None:
    progress.apply(event(1, EventKind.BUILD_ENDED, state="failed", reason="a gate"))
    assert progress.ended
    assert (progress.state, progress.reason) == (BuildState.FAILED, "a gate")


@given(
    st.lists(st.tuples(st.sampled_from(TASK_KINDS), st.sampled_from(NAMES)), max_size=30), st.integers(0, 30)
)
def test_any_prefix_folds_and_resuming_equals_folding_at_once(
    facts: list[tuple[EventKind, str]], cut: int
) -> None:
    events = [event(n, kind, task) for n, (kind, task) in enumerate(facts, start=1)]
    whole, parts = Progress(), Progress()
    for one in events:
        whole.apply(one)
    for one in (*events[:cut], *events):
        parts.apply(one)
    assert (whole.states, whole.seq) == (parts.states, parts.seq)


@given(st.sampled_from(TASK_KINDS))
def test_an_ended_task_stays_as_it_ended(later: EventKind) -> None:
    folded = Progress()
    folded.apply(event(1, EventKind.TASK_QUARANTINED, "a"))
    folded.apply(event(2, later, "a"))
    assert folded.states["a"] is TaskState.QUARANTINED


def test_what_was_cancelled_is_over_but_not_done(progress: Progress) -> None:
    progress.apply(event(1, EventKind.TASK_DONE, "a"))
    progress.apply(event(2, EventKind.TASK_CANCELLED, "b"))
    (phase,) = progress.phases()
    assert (phase.over, phase.done, phase.failed) == (2, 1, 0)


@pytest.mark.parametrize("kind", sorted(UNDONE))
def test_only_what_is_retried_can_end_twice(kind: EventKind) -> None:
    folded = Progress()
    folded.apply(event(1, EventKind.TASK_FAILED, "a"))
    folded.apply(event(2, EventKind.BUILD_ENDED, state="failed"))
    folded.apply(event(3, EventKind.BUILD_RETRIED))
    folded.apply(event(4, kind, "a"))
    assert folded.states.get("a", TaskState.WAITING) is TaskState.WAITING
    assert not folded.ended
    folded.apply(event(5, EventKind.TASK_STARTED, "a"))
    folded.apply(event(6, EventKind.TASK_DONE, "a"))
    assert folded.states["a"] is TaskState.DONE

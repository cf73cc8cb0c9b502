"""Running parts of a build again, in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from factory_core.builds.errors import BuildMissing, BuildUnready, TaskMissing
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, CompletionKind, NewTask
from factory_core.builds.progress import Progress
from factory_core.contracts.events import BuildState

pytestmark = pytest.mark.anyio
Make = Callable[..., Any]
FAILED = Completion(kind=CompletionKind.FAILED, reason="why")
CHAIN = [("a", "b"), ("b", "c"), ("a", "side"), ("c", "deliver"), ("side", "deliver")]


async def chain(desk: Any, noop: Make) -> tuple[UUID, dict[str, Any]]:
    """a before b before c, a before side, both before deliver, which always runs; a is under way."""
    tasks = [noop(name) for name in ("a", "b", "c", "side")]
    return await desk.planned([*tasks, noop("deliver", always=True)], CHAIN, max_seconds=100.0)


async def run(desk: Any, ends: dict[str, Completion], started: dict[str, Any] | None = None) -> list[str]:
    """Let everything that can run end as ``ends`` says, done unless it says otherwise: what ran, in order."""
    ran: list[str] = []
    waiting = list((started or {}).values()) or list((await desk.turn()).started)
    while waiting:
        ran += [attempt.task for attempt in waiting]
        reports = [(attempt, ends.get(attempt.task, Completion(memo=attempt.task))) for attempt in waiting]
        waiting = list((await desk.turn(*reports)).started)
    return ran


async def failed(desk: Any, noop: Make, culprit: str = "b") -> UUID:
    """A chain in which one task failed, and so the delivery."""
    build, started = await chain(desk, noop)
    await run(desk, {culprit: FAILED, "deliver": FAILED}, started)
    assert await desk.state(build) == "failed"
    return build


async def test_a_retry_runs_what_ended_badly_and_nothing_else(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop)
    assert await desk.journal.control.retry(desk.org, build, by="Ann")
    assert await desk.states(build) == {
        "a": "done",
        "b": "ready",
        "c": "waiting",
        "side": "done",
        "deliver": "waiting",
    }
    assert await run(desk, {}) == ["b", "c", "deliver"]
    assert await desk.state(build) == "passed"


async def test_the_time_of_a_retried_build_begins_anew(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop)
    await desk.age(3600)
    await desk.journal.control.retry(desk.org, build)
    await desk.journal.tend(7200)
    assert (await desk.states(build))["b"] == "ready"
    await desk.age(3600 + 99)
    await desk.journal.tend(7200)
    assert (await desk.states(build))["b"] == "ready"
    await desk.age(3600 + 101)
    await desk.journal.tend(7200)
    assert (await desk.states(build))["b"] == "skipped"


async def test_a_finished_task_can_be_chosen_and_all_that_follows_runs_again(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop, culprit="c")
    await desk.journal.control.retry(desk.org, build, tasks=["b", "side"])
    assert sorted(await run(desk, {})) == ["b", "c", "deliver", "side"]
    attempts = await desk.journal.attempts(desk.org, build)
    assert [(a.fence, a.outcome) for a in attempts if a.task == "b"] == [(1, "task.done"), (2, "task.done")]
    dones = [e for e in await desk.journal.events(desk.org, build) if e.kind == "task.done" and e.task == "b"]
    assert [e.fence for e in dones] == [1, 2]


async def test_what_is_chosen_is_not_answered_from_memory(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop, culprit="c")
    assert [await desk.journal.memo(desk.org, name) for name in ("a", "b")] == [{}, {}]
    await desk.journal.control.retry(desk.org, build, tasks=["b"])
    assert [await desk.journal.memo(desk.org, name) for name in ("a", "b")] == [{}, None]


async def test_a_skipped_task_is_retried_with_what_made_it_be_skipped(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop)
    await desk.journal.control.retry(desk.org, build, tasks=["c"])
    assert await run(desk, {}) == ["b", "c", "deliver"]
    assert await desk.state(build) == "passed"


async def test_retrying_twice_is_retrying_once(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop)
    assert await desk.journal.control.retry(desk.org, build)
    before = await desk.kinds(build)
    assert not await desk.journal.control.retry(desk.org, build)
    assert await desk.kinds(build) == before
    assert await run(desk, {}) == ["b", "c", "deliver"]
    assert not await desk.journal.control.retry(desk.org, build)
    with pytest.raises(BuildUnready, match="fork it"):
        await desk.journal.control.retry(desk.org, build, tasks=["b"])


async def test_a_failed_task_of_an_open_build_is_retried(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b"), noop("slow")], [("a", "b")])
    with pytest.raises(BuildUnready, match="It is under way"):
        await desk.journal.control.retry(desk.org, build)
    await desk.turn((started["a"], FAILED))
    await desk.journal.control.retry(desk.org, build, tasks=["a"])
    assert await desk.states(build) == {"a": "ready", "b": "waiting", "slow": "running"}
    assert "slow" not in {
        e.task for e in await desk.journal.events(desk.org, build) if e.kind == "task.reset"
    }
    await desk.turn((started["slow"], Completion()), want=0)
    with pytest.raises(BuildUnready, match="a task that is done"):
        await desk.journal.control.retry(desk.org, build, tasks=["slow"])
    assert await run(desk, {}) == ["a", "b"]
    assert await desk.state(build) == "passed"


async def spawned_again(desk: Any, noop: Make) -> tuple[UUID, dict[str, Any], list[int | None]]:
    """A task spawns two, both are taken away while one of them runs, and it spawns them once more: the build, the second
    two, and what was answered to reports of the one that ran (before and after it was started again)."""
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")], max_agents=4)
    children = Completion(tasks=(NewTask(id="a/x/1", agent="x", joined=True), NewTask(id="a/x/2", agent="x")))
    turn = await desk.turn((started["a"], children))
    first, late = sorted(turn.started, key=lambda attempt: attempt.task)
    await desk.turn((first, FAILED))
    await desk.journal.cancel(desk.org, build)
    await desk.turn((late, Completion()))
    await desk.journal.control.retry(desk.org, build, tasks=["a"])
    assert await desk.states(build) == {"a": "ready", "b": "waiting"}
    (again,) = (await desk.turn()).started
    turn = await desk.turn((again, children), (late, Completion()))
    answers = [turn.seqs[1], *(await desk.turn((late, Completion()))).seqs]
    return build, {attempt.task: attempt for attempt in turn.started}, answers


async def test_what_a_retried_task_spawned_is_spawned_once_more_under_new_fences(
    desk: Any, noop: Make
) -> None:
    build, started, answers = await spawned_again(desk, noop)
    assert {task: attempt.fence for task, attempt in started.items()} == {"a/x/1": 2, "a/x/2": 2}
    assert answers == [None, None]
    row = await desk.journal.build(desk.org, build)
    assert (row.tasks, row.agents) == (5, 4)
    reports = [(attempt, Completion()) for attempt in started.values()]
    assert await run(desk, {}, {a.task: a for a in (await desk.turn(*reports)).started}) == ["b"]
    assert await desk.state(build) == "passed"


async def test_counting_fences_anew_takes_a_late_report_for_that_of_another(
    mutated: Any, desk_over: Any, noop: Make
) -> None:
    """Negative control: without the first fence, what was taken away ends the task of its name."""
    with mutated("04", "v_build.first_fence,", "0,") as url:
        connection: Any = await asyncpg.connect(url)
        try:
            desk = await desk_over(connection)
            build, started, answers = await spawned_again(desk, noop)
            assert {task: attempt.fence for task, attempt in started.items()} == {"a/x/1": 1, "a/x/2": 1}
            assert answers[1] is not None
            assert (await desk.states(build))["a/x/2"] == "done"
        finally:
            await connection.close()


async def test_who_merges_is_no_agent_when_the_build_is_planned_again(desk: Any, noop: Make) -> None:
    tasks = (noop("a"), noop("merge", agent="merger"))
    build, started = await desk.planned(tasks, [("a", "merge")], max_agents=1)
    await desk.turn((started["a"], FAILED))
    assert (await desk.journal.build(desk.org, build)).agents == 1
    await desk.journal.control.retry(desk.org, build, tasks=["plan"])
    assert (await desk.journal.build(desk.org, build)).agents == 0
    (plan,) = (await desk.turn()).started
    two = Completion(tasks=(*tasks, noop("b")))
    await desk.turn((plan, two))
    assert await desk.state(build) == "failed"  # the cap is one


async def test_a_rejected_finding_is_looked_for_again(desk: Any, noop: Make) -> None:
    """To run the build again is no approval."""
    build, started = await chain(desk, noop)
    turn = await desk.turn((started["a"], Completion()))
    await desk.connection.fetchval("select journal.halt($1, 'a', 'a secret', factory_now())", build)
    await desk.journal.control.decide(desk.org, build, approve=False)
    await run(desk, {}, {attempt.task: attempt for attempt in turn.started})
    assert await desk.state(build) == "cancelled"
    await desk.journal.control.retry(desk.org, build)
    assert (await run(desk, {}))[0] == "a"


async def test_the_events_tell_the_same_story(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop)
    await desk.journal.control.retry(desk.org, build)
    (attempt,) = (await desk.turn()).started
    progress = Progress()
    for event in await desk.journal.events(desk.org, build):
        progress.apply(event)
    assert progress.state is BuildState.RUNNING
    told = {name: str(state) for name, state in progress.states.items() if name != "plan"}
    assert told == await desk.states(build)
    assert attempt.task == "b"


async def test_a_build_whose_planning_failed_is_planned_again(desk: Any) -> None:
    build = await desk.submit()
    (plan,) = (await desk.turn()).started
    await desk.turn((plan, FAILED))
    assert await desk.state(build) == "failed"
    await desk.journal.control.retry(desk.org, build)
    assert await desk.state(build) == "planning"
    assert [(a.task, a.fence) for a in (await desk.turn()).started] == [("plan", 2)]


async def test_what_does_not_exist_cannot_be_retried(desk: Any, noop: Make) -> None:
    build = await failed(desk, noop)
    with pytest.raises(TaskMissing, match="no task 'nowhere'"):
        await desk.journal.control.retry(desk.org, build, tasks=["nowhere"])
    with pytest.raises(BuildMissing):
        await desk.journal.control.retry(uuid7(), build)
    assert await desk.state(build) == "failed"

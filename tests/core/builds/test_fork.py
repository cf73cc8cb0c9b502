"""A build of its own from any task of one that has ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from factory_core.builds.control import ForkOrder
from factory_core.builds.errors import (
    BuildMissing,
    BuildUnready,
    IdempotencyConflict,
    QueueFull,
    TaskMissing,
)
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, CompletionKind, NewTask
from factory_core.builds.progress import Progress
from factory_core.builds.shares import OrganisationShare, ProjectShare
from factory_core.contracts.agent import Message, Outcome

pytestmark = pytest.mark.anyio
Make = Callable[..., Any]
CHAIN = [("a", "b"), ("b", "c"), ("a", "side"), ("c", "deliver"), ("side", "deliver")]


async def run(desk: Any) -> list[str]:
    """Let all that is ready end well, and what follows: what ran, in order."""
    ran: list[str] = []
    waiting = (await desk.turn()).started
    while waiting:
        ran += [attempt.task for attempt in waiting]
        waiting = (await desk.turn(*((a, Completion(result={"by": str(a.build)})) for a in waiting))).started
    return ran


@pytest.fixture
async def source(desk: Any, noop: Make) -> UUID:
    """a before b before c, a before side, both before deliver; all done."""
    tasks = [noop(name, params={"x": "1"}) for name in ("a", "b", "c", "side", "deliver")]
    build, started = await desk.planned(tasks, CHAIN, max_seconds=100.0)
    await desk.turn((started["a"], Completion(result={"by": "source"}, memo="m-a")), want=0)
    await run(desk)
    assert await desk.state(build) == "passed"
    return build


def order(desk: Any, source: UUID, task: str, **more: Any) -> ForkOrder:
    return ForkOrder(org=desk.org, source=source, task=task, idem_key=more.pop("key", "k"), **more)


async def test_only_what_follows_from_the_task_runs_again(desk: Any, source: UUID) -> None:
    before = await desk.journal.events(desk.org, source)
    fork = (await desk.journal.control.fork(order(desk, source, "b", options={"project": "P"}))).build
    assert await desk.states(fork) == {
        "a": "done",
        "b": "ready",
        "c": "waiting",
        "side": "done",
        "deliver": "waiting",
    }
    assert await run(desk) == ["b", "c", "deliver"]
    assert await desk.state(fork) == "passed"
    results = {row.id: row.result for row in await desk.journal.results(desk.org, fork)}
    assert results["a"] == {"by": "source"}
    assert results["b"] == {"by": str(fork)}
    assert await desk.journal.events(desk.org, source) == before
    row = await desk.journal.build(desk.org, fork)
    assert (row.options, row.tasks, row.agents) == ({"project": "P"}, 6, 5)
    assert row.deadline_at is not None


async def test_what_is_taken_over_says_from_where(desk: Any, source: UUID) -> None:
    fork = (await desk.journal.control.fork(order(desk, source, "c", by="Ann"))).build
    events = await desk.journal.events(desk.org, fork)
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert (events[0].kind, events[0].body["source"], events[0].body["by"]) == (
        "build.created",
        str(source),
        "Ann",
    )
    reused = {e.task: e.body for e in events if e.kind == "task.reused"}
    assert reused == {name: {"source": str(source)} for name in ("plan", "a", "b", "side")}
    progress = Progress()
    for event in events:
        progress.apply(event)
    assert str(progress.state) == await desk.state(fork) == "running"


async def test_a_task_can_be_given_other_params(desk: Any, source: UUID) -> None:
    await desk.journal.control.fork(order(desk, source, "b", params={"y": "2"}))
    (attempt,) = (await desk.turn()).started
    assert (attempt.task, attempt.params) == ("b", {"x": "1", "y": "2"})


async def test_the_task_is_not_answered_from_memory(desk: Any, source: UUID) -> None:
    assert await desk.journal.memo(desk.org, "m-a") is not None
    await desk.journal.control.fork(order(desk, source, "b"))
    assert await desk.journal.memo(desk.org, "m-a") is not None
    await desk.journal.control.fork(order(desk, source, "a", key="other"))
    assert await desk.journal.memo(desk.org, "m-a") is None


async def test_a_failed_build_is_forked_with_what_failed(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b"), noop("c")], [("b", "c")])
    failed = Completion(kind=CompletionKind.FAILED, reason="why")
    await desk.turn((started["a"], Completion()), (started["b"], failed))
    assert await desk.state(build) == "failed"
    fork = (await desk.journal.control.fork(order(desk, build, "c"))).build
    assert await desk.states(fork) == {"a": "done", "b": "ready", "c": "waiting"}
    assert await desk.state(build) == "failed"


async def test_what_the_task_spawned_is_spawned_anew(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    child = Completion(tasks=(NewTask(id="a/x/1", agent="x", joined=True),))
    await desk.turn((started["a"], child), want=0)
    await run(desk)
    fork = (await desk.journal.control.fork(order(desk, build, "a"))).build
    assert await desk.states(fork) == {"a": "ready", "b": "waiting"}
    (attempt,) = (await desk.turn()).started
    await desk.turn((attempt, child), want=0)
    assert await run(desk) == ["a/x/1", "b"]
    kept = (await desk.journal.control.fork(order(desk, build, "b", key="other"))).build
    assert await desk.states(kept) == {"a": "done", "a/x/1": "done", "b": "ready"}


async def test_who_merges_is_no_agent_of_a_fork(desk: Any, noop: Make) -> None:
    tasks = [noop("a"), noop("merge", agent="merger"), noop("b")]
    build, started = await desk.planned(tasks, [("a", "merge"), ("merge", "b")])
    await desk.turn((started["a"], Completion()), want=0)
    await run(desk)
    fork = (await desk.journal.control.fork(order(desk, build, "b"))).build
    assert (await desk.journal.build(desk.org, fork)).agents == 2


async def test_a_fork_from_the_plan_is_planned_anew(desk: Any, source: UUID) -> None:
    fork = (await desk.journal.control.fork(order(desk, source, "plan"))).build
    assert await desk.state(fork) == "queued"
    assert await desk.kinds(fork) == ["build.created"]
    assert [attempt.task for attempt in (await desk.turn()).started] == ["plan"]


async def test_one_key_is_one_fork(desk: Any, source: UUID) -> None:
    asked = order(desk, source, "b")
    first, second = await desk.journal.control.fork(asked), await desk.journal.control.fork(asked)
    assert (first.build, first.created, second.created) == (second.build, True, False)
    with pytest.raises(IdempotencyConflict):
        await desk.journal.control.fork(replace(asked, task="c"))


async def test_only_what_has_ended_and_exists_and_is_ours_is_forked(desk: Any, source: UUID) -> None:
    with pytest.raises(TaskMissing):
        await desk.journal.control.fork(order(desk, source, "nowhere"))
    stranger = uuid7()
    await desk.journal.found(stranger, "other")
    with pytest.raises(BuildMissing):
        await desk.journal.control.fork(replace(order(desk, source, "b"), org=stranger))
    assert await desk.journal.builds(stranger) == ()
    with pytest.raises(BuildUnready, match="wait for its end"):
        await desk.journal.control.fork(order(desk, await desk.submit("open"), "plan"))


async def test_a_fork_s_rows_are_the_organisation_s(desk: Any, source: UUID) -> None:
    """What a fork copies belongs to the organisation, row by row."""
    fork = (await desk.journal.control.fork(order(desk, source, "b"))).build
    for table in ("task", "edge", "event"):
        query = f"select distinct org_id from {table} where build_id = $1"
        assert [row["org_id"] for row in await desk.connection.fetch(query, fork)] == [desk.org]


async def test_a_fork_stays_in_its_project_and_keeps_its_limit(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b"), noop("c")], project="shop", max_running=2)
    assert len(started) == 2
    await desk.turn(*((attempt, Completion()) for attempt in started.values()), want=0)
    await run(desk)
    await desk.journal.shares.give_project(desk.org, "shop", ProjectShare(max_running=1))
    await desk.journal.control.fork(order(desk, build, "plan"))
    (plan,) = (await desk.turn()).started
    three = Completion(tasks=(noop("a"), noop("b"), noop("c")))
    assert len((await desk.turn((plan, three))).started) == 1
    await desk.journal.shares.give_project(desk.org, "shop", ProjectShare())
    assert len((await desk.turn()).started) == 1  # the build's own limit of two


@pytest.mark.parametrize("limit", [OrganisationShare(max_builds=1), OrganisationShare(max_queued=1)])
async def test_forks_and_retries_are_no_way_round_a_full_queue(
    desk: Any, noop: Make, source: UUID, limit: OrganisationShare
) -> None:
    other = await desk.submit("failed")
    (plan,) = (await desk.turn()).started
    await desk.turn((plan, Completion(kind=CompletionKind.FAILED)), want=0)
    first = order(desk, source, "b")
    made = await desk.journal.control.fork(first)
    await desk.journal.shares.give(desk.org, limit)
    with pytest.raises(QueueFull):
        await desk.journal.control.fork(order(desk, source, "b", key="more"))
    with pytest.raises(QueueFull):
        await desk.journal.control.retry(desk.org, other)
    assert await desk.state(other) == "failed"
    again = await desk.journal.control.fork(first)
    assert (again.build, again.created) == (made.build, False)
    await desk.journal.cancel(desk.org, made.build)
    assert await desk.journal.control.retry(desk.org, other)


async def test_a_fork_has_the_letters_and_the_board_of_what_it_takes_over(desk: Any, noop: Make) -> None:
    tasks = [noop(f"r{turn}", params={"peer": "1", "round": str(turn)}) for turn in (1, 2, 3)]
    build, started = await desk.planned(tasks, [("r1", "r2"), ("r2", "r3")])
    boards = desk.journal.boards
    while started:
        (attempt,) = started.values()
        await boards.send(attempt, Outcome(mail=(Message(to="1", body=attempt.task),)))
        await boards.post(attempt, {attempt.task: "said"})
        turn = await desk.turn((attempt, Completion()))
        started = {each.task: each for each in turn.started}
    fork = (await desk.journal.control.fork(order(desk, build, "r2"))).build
    (again,) = (await desk.turn()).started
    assert (again.build, again.task) == (fork, "r2")
    assert [letter.body for letter in await boards.letters(again)] == ["r1"]
    assert await boards.letters(replace(again, params={"peer": "1", "round": "3"})) == (), (
        "r2 has not written yet"
    )
    assert {posted.key for posted in await boards.read(desk.org, fork)} == {"r1", "r2", "r3"}
    assert await desk.journal.boards.read(desk.org, build) == await boards.read(desk.org, fork)


async def test_what_is_run_again_has_not_written_yet(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a", params={"peer": "1", "round": "1"})])
    letter = Outcome(mail=(Message(to="1", body="old"),))
    await desk.journal.boards.send(started["a"], letter)
    await desk.turn((started["a"], Completion(kind=CompletionKind.FAILED)), want=0)
    assert await desk.journal.control.retry(desk.org, build, tasks=["a"])
    (again,) = (await desk.turn()).started
    assert await desk.journal.boards.letters(replace(again, params={"peer": "1", "round": "2"})) == ()

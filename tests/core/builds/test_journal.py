"""The journal's rules, one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from factory_core.builds.errors import BuildMissing, IdempotencyConflict, OrganisationMissing
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, NewEdge, NewTask, Submission, rows_of
from factory_core.contracts.plan import QUIET, Plan, PlannedTask, Quote, counts

pytestmark = pytest.mark.anyio
Make = Callable[..., Any]


async def test_one_idempotency_key_makes_one_build(desk: Any) -> None:
    order = Submission(org=desk.org, idem_key="k", spec_digest="s")
    first, second = await desk.journal.submit(order), await desk.journal.submit(order)
    assert (first.build, first.created, second.build, second.created) == (
        first.build,
        True,
        first.build,
        False,
    )
    assert await desk.kinds(first.build) == ["build.created"]


async def test_a_key_used_for_another_specification_is_refused(desk: Any) -> None:
    await desk.journal.submit(Submission(org=desk.org, idem_key="k", spec_digest="one"))
    with pytest.raises(IdempotencyConflict, match="new key"):
        await desk.journal.submit(Submission(org=desk.org, idem_key="k", spec_digest="two"))


async def test_a_build_needs_its_organisation(desk: Any) -> None:
    with pytest.raises(OrganisationMissing):
        await desk.journal.submit(Submission(org=uuid7(), idem_key="k", spec_digest="s"))


async def test_a_plan_becomes_rows_in_the_commit_that_ends_planning(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    assert list(started) == ["a"]
    assert await desk.states(build) == {"a": "running", "b": "waiting"}
    assert await desk.kinds(build) == [
        "build.created", "task.started", "build.planned", "task.done", "task.started",
    ]  # fmt: skip


async def test_a_plan_from_the_planner_is_taken_as_it_is() -> None:
    tasks = (
        PlannedTask(id="a", agent="builder", title="A", team="t", phase="p", requirements=("R-1",)),
        PlannedTask(id="b", agent="barrier", title="B", team="t", phase="p", after=("a",), optional=True),
    )
    quote = Quote(tasks=2, agents=1, total_seconds=1, critical_seconds=1)
    plan = Plan(tasks=tasks, teams=(), phases=(), critical_path=(), quote=quote, scale=1.0, paradigm="h")
    rows, edges = rows_of(plan)
    assert [row.id for row in rows] == ["a", "b"]
    assert rows[0].requirements == ("R-1",)
    assert rows[1].optional
    assert edges == (NewEdge("a", "b"),)


@pytest.mark.parametrize("agent", ["barrier", "coordinator", "merger", "builder", "planner"])
async def test_the_journal_and_the_planner_count_the_same_agents(desk: Any, agent: str) -> None:
    query = "select journal.counts($1) as counts, journal.quiet($1) as quiet"
    assert tuple(await desk.connection.fetchrow(query, agent)) == (counts(agent), agent in QUIET)


@pytest.mark.parametrize(
    ("options", "silent", "old"),
    [({}, 20.0, 30.0), ({}, 7200.0, 1000.0), ({"max_seconds": 100.0}, 7200.0, 200.0)],
    ids=["lost", "overdue", "curtailed"],
)
async def test_a_slot_that_is_taken_away_is_paid_for(
    desk: Any, noop: Make, options: dict[str, Any], silent: float, old: float
) -> None:
    await desk.planned([noop("a")], **options)
    await desk.age(old)
    await desk.journal.tend(silent)
    vt = await desk.connection.fetchval(
        "select sum(vt) from (select vt from organisation union all select vt from usage) x"
    )
    assert vt >= old


async def test_barriers_end_without_a_worker_and_the_build_passes(desk: Any, noop: Make) -> None:
    gates = [noop("g1", agent="barrier"), noop("g2", agent="coordinator")]
    build, started = await desk.planned([noop("a"), *gates], [("a", "g1"), ("g1", "g2")])
    await desk.turn((started["a"], Completion()))
    assert set((await desk.states(build)).values()) == {"done"}
    assert await desk.state(build) == "passed"
    assert (await desk.kinds(build))[-1] == "build.ended"


async def test_what_depends_on_a_failure_is_skipped_but_what_always_runs(
    desk: Any, noop: Make, ending: Make
) -> None:
    tasks = [noop("a"), noop("b"), noop("c"), noop("report", always=True)]
    build, started = await desk.planned(tasks, [("a", "b"), ("b", "c"), ("c", "report")])
    turn = await desk.turn((started["a"], ending("failed", reason="wrong")))
    assert await desk.states(build) == {"a": "failed", "b": "skipped", "c": "skipped", "report": "running"}
    await desk.turn((turn.started[0], Completion()))
    assert await desk.state(build) == "failed"


async def test_an_optional_failure_holds_back_nothing_required(desk: Any, noop: Make, ending: Make) -> None:
    tasks = [noop("a", optional=True), noop("extra", optional=True), noop("b")]
    build, started = await desk.planned(tasks, [("a", "extra"), ("a", "b")])
    turn = await desk.turn((started["a"], ending("failed", reason="no")))
    assert [a.task for a in turn.started] == ["b"]
    await desk.turn((turn.started[0], Completion()))
    assert await desk.states(build) == {"a": "failed", "extra": "skipped", "b": "done"}
    assert await desk.state(build) == "passed"


async def test_a_crash_is_tried_again_later_and_then_fails(desk: Any, noop: Make, ending: Make) -> None:
    build, started = await desk.planned([noop("a", max_tries=2)])
    crash = ending("retry", reason="boom", delay=60.0)
    assert (await desk.turn((started["a"], crash))).started == ()
    assert await desk.journal.tend(1000.0) == set()
    await desk.age(61)
    assert await desk.journal.tend(1000.0) == {build}
    again = (await desk.turn()).started[0]
    assert (again.fence, again.tries) == (2, 1)
    await desk.turn((again, crash))
    assert await desk.states(build) == {"a": "failed"}
    assert (await desk.journal.tasks(desk.org, build))[1].reason == "boom"


async def test_a_task_whose_worker_died_three_times_is_quarantined(desk: Any, noop: Make) -> None:
    build, _ = await desk.planned([noop("a")])
    for crashes in (1, 2, 3):
        await desk.age(30 * crashes)
        assert await desk.journal.reap(20.0) == {build}
        desk.worker, desk.tick = uuid7(), 0
        await desk.journal.enlist(desk.worker, "next", 50)
        await desk.turn()
    assert await desk.states(build) == {"a": "quarantined"}
    assert await desk.state(build) == "failed"
    outcomes = [a.outcome for a in await desk.journal.attempts(desk.org, build) if a.task == "a"]
    assert outcomes == ["task.lease_lost", "task.lease_lost", "task.quarantined"]


async def test_a_stuck_agent_in_a_live_worker_meets_its_deadline(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a", deadline_seconds=10)])
    await desk.age(11)
    assert await desk.journal.tend(1000.0) == {build}
    turn = await desk.turn(want=0, held=(started["a"].key,))
    assert turn.revoked == (started["a"].key,)
    assert (await desk.turn((started["a"], Completion()), want=0)).seqs == (None,)
    assert await desk.states(build) == {"a": "ready"}


async def test_out_of_time_drops_the_optional_first_and_still_reports(desk: Any, noop: Make) -> None:
    tasks = [noop("a"), noop("b"), noop("nice", optional=True), noop("report", always=True)]
    edges = [("a", "b"), ("a", "nice"), ("b", "report"), ("nice", "report")]
    build, _ = await desk.planned(tasks, edges, max_seconds=100.0)
    await desk.age(85)
    assert await desk.journal.tend(1000.0) == {build}
    assert await desk.states(build) == {
        "a": "running",
        "b": "waiting",
        "nice": "skipped",
        "report": "waiting",
    }
    await desk.age(101)
    assert await desk.journal.tend(1000.0) == {build}
    assert await desk.journal.tend(1000.0) == set()
    assert await desk.states(build) == {"a": "failed", "b": "skipped", "nice": "skipped", "report": "ready"}
    await desk.turn(((await desk.turn()).started[0], Completion()))
    assert await desk.state(build) == "failed"
    assert (await desk.journal.build(desk.org, build)).reason == "its time was up"


async def test_spawned_agents_are_waited_for_by_whoever_waits_for_their_parent(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    spawned = Completion(tasks=(noop("a/debugger/1", joined=True),))
    turn = await desk.turn((started["a"], spawned))
    assert [a.task for a in turn.started] == ["a/debugger/1"]
    turn = await desk.turn((turn.started[0], Completion()))
    assert [a.task for a in turn.started] == ["b"]
    assert await desk.journal.parents(desk.org, build, "b") == {"a", "a/debugger/1"}


async def test_tasks_that_are_added_are_told_in_the_commit_that_adds_them(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")])
    seen = (await desk.journal.build(desk.org, build)).seq
    added = Completion(tasks=(noop("a/x/1"), noop("a/gate/1", agent="barrier")))
    await desk.turn((started["a"], added), (started["b"], Completion()), want=0)
    events = await desk.journal.events(desk.org, build, after=seen)
    assert [(event.kind, event.task, event.body) for event in events] == [
        ("build.grown", "a", {"tasks": 2, "agents": 3}),  # a barrier is no agent
        ("task.done", "a", {}),
        ("task.done", "b", {}),
        ("task.done", "a/gate/1", {}),
    ]


async def test_what_is_known_of_a_task_is_not_read_again_but_another_try_is(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")])
    await desk.turn((started["a"], Completion(result={"n": 1})))
    (row,) = await desk.journal.news(desk.org, build, ["a"], {})
    assert (row.result, row.fence) == ({"n": 1}, started["a"].fence)
    news = await desk.journal.news(desk.org, build, ["a", "b"], {"a": row.fence, "b": started["b"].fence})
    assert [each.id for each in news] == ["b"]  # not done, so it may change
    assert [each.id for each in await desk.journal.news(desk.org, build, ["a"], {"a": row.fence - 1})] == [
        "a"
    ]


async def test_facts_are_kept_once_and_read_by_their_own_organisation_alone(desk: Any) -> None:
    other = uuid7()
    await desk.journal.found(other, "theirs")
    await desk.journal.remember(desk.org, {"a": {"fact": 1}, "b": {"fact": "\0"}})
    await desk.journal.remember(desk.org, {"a": {"fact": 2}})
    kept = await desk.journal.memos(desk.org, ["a", "b", "c"])
    assert kept == {"a": {"fact": 1}, "b": {"fact": "\ufffd"}}
    assert await desk.journal.memos(other, ["a", "b"]) == {}


@pytest.mark.parametrize(
    ("tasks", "edges", "reason"),
    [
        ([f"n{i}" for i in range(9)], [], "cap of 9"),
        (["b"], [], "already"),
        (["x"], [("nobody", "x")], "cannot be drawn"),
        (["x", "y"], [("y", "x")], "cannot be drawn"),
        (["x"], [("x", "done")], "cannot be drawn"),
        (["x", "y"], [("b", "x"), ("y", "b")], "cannot be drawn"),
    ],
)
async def test_children_that_cannot_be_are_the_failure_of_their_parent(
    desk: Any, noop: Make, tasks: list[str], edges: list[tuple[str, str]], reason: str
) -> None:
    build, started = await desk.planned([noop("done"), noop("a"), noop("b")], [("a", "b")], max_agents=9)
    await desk.turn((started["done"], Completion()))
    children = Completion(tasks=tuple(map(noop, tasks)), edges=tuple(NewEdge(*edge) for edge in edges))
    await desk.turn((started["a"], children))
    rows = {t.id: t for t in await desk.journal.tasks(desk.org, build)}
    assert rows["a"].state == "failed"
    assert reason in rows["a"].reason
    assert set(rows) == {"plan", "done", "a", "b"}
    assert "build.grown" not in await desk.kinds(build)


async def test_cancelling_ends_what_waits_and_records_late_results_as_cancelled(
    desk: Any, noop: Make
) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    assert await desk.journal.cancel(desk.org, build)
    assert await desk.journal.cancel(desk.org, build)
    assert await desk.states(build) == {"a": "running", "b": "cancelled"}
    turn = await desk.turn(held=(started["a"].key,))
    assert turn.revoked == (started["a"].key,)
    await desk.turn((started["a"], Completion(result={"late": True})))
    assert await desk.states(build) == {"a": "cancelled", "b": "cancelled"}
    assert await desk.state(build) == "cancelled"
    assert not await desk.journal.cancel(desk.org, build)


async def test_another_organisation_cannot_cancel(desk: Any) -> None:
    build = await desk.submit()
    with pytest.raises(BuildMissing):
        await desk.journal.cancel(uuid7(), build)
    assert await desk.state(build) == "queued"


async def test_equal_work_is_remembered_per_organisation(desk: Any, noop: Make) -> None:
    _, started = await desk.planned([noop("a")])
    await desk.turn((started["a"], Completion(result={"n": 1}, memo="digest")))
    assert await desk.journal.memo(desk.org, "digest") == {"n": 1}
    assert await desk.journal.memo(uuid7(), "digest") is None


async def test_a_worker_that_is_not_known_gets_nothing_but_is_judged(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")])
    desk.worker = uuid7()
    turn = await desk.turn((started["a"], Completion()))
    assert (turn.known, turn.started) == (False, ())
    assert turn.seqs[0] is not None
    assert (await desk.states(build))["a"] == "done"


async def test_text_that_postgresql_cannot_store_is_made_storable(
    desk: Any, noop: Make, ending: Make
) -> None:
    build, started = await desk.planned([noop("a"), noop("b")])
    await desk.turn(
        (started["a"], Completion(result={"x": "nul\0"})), (started["b"], ending("failed", reason="\0"))
    )
    results = {row.id: row for row in await desk.journal.results(desk.org, build)}
    assert results["a"].result == {"x": "nul\ufffd"}
    assert results["b"].reason == "\ufffd"


async def test_hot_builds_share_the_slots_by_weight(desk: Any, noop: Make) -> None:
    many = [noop(f"t{n}") for n in range(40)]
    for key in "ab":
        await desk.submit(key)
    plans = [(attempt, Completion(tasks=tuple(many))) for attempt in (await desk.turn()).started]
    turn = await desk.turn(*plans, want=20)
    shares: dict[UUID, int] = {}
    for attempt in turn.started:
        shares[attempt.build] = shares.get(attempt.build, 0) + 1
    assert list(shares.values()) == [10, 10]


async def test_ids_sort_by_age() -> None:
    ids = [uuid7() for _ in range(3)]
    assert all(i.version == 7 and i.variant == "specified in RFC 4122" for i in ids)
    assert [i.int >> 80 for i in ids] == sorted(i.int >> 80 for i in ids)


async def test_a_task_with_a_delay_waits_for_its_time(desk: Any) -> None:
    build, started = await desk.planned([NewTask(id="later", agent="noop", delay=30.0)])
    assert started == {}
    await desk.age(31)
    await desk.journal.tend(1000.0)
    assert [a.task for a in (await desk.turn()).started] == ["later"]
    assert await desk.states(build) == {"later": "running"}

"""The statements of a step are planned once, on whatever the tables hold then, and are right for what they hold later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, Journal, Report

pytestmark = pytest.mark.anyio

BUILDS, TASKS, BATCH = 200, 500, 100
FILL = """
    with b as (
        insert into build (id, org_id, idem_key, spec_digest, state, next_seq, tasks, unfinished, ready, max_agents,
            max_depth, created_at)
        select id, $1, id::text, '', 'running', 1, $3, $3, $4, 100000, 3, now() from unnest($2::uuid[]) id
        returning id
    ), t as (
        insert into task (build_id, id, org_id, n, agent, state, outs)
        select b.id, 't' || n, $1, n, 'noop', case when n < $4 then 'ready' else 'waiting' end, 1
        from b cross join generate_series(0, $3 - 1) n
        returning build_id, id, n
    )
    insert into edge (build_id, parent, child, org_id)
    select build_id, id, 't' || n + $4, $1 from t where n + $4 < $3"""
"""Builds with ready tasks, each of which stands before others."""
TOUCHED = """
    select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::integer
    from pg_stat_xact_user_tables where schemaname = 'public' and relname in ('task', 'edge', 'event', 'build')"""


async def fill(connection: Any, org: UUID, builds: Sequence[UUID], tasks: int, ready: int) -> None:
    await connection.execute(FILL, org, builds, tasks, ready)


async def touched(connection: Any, worker: UUID) -> list[int]:
    """Rows read by a step that takes a batch, and by one that reports it and takes another."""
    journal, rows = Journal(connection), list[int]()
    reports: list[Report] = []
    for tick in (1001, 1002):
        held = [(r.build, r.task, r.fence) for r in reports]
        async with connection.transaction():
            before = await connection.fetchval(TOUCHED)
            turn = await journal.step(worker, tick, reports, held, want=BATCH, scan=True)
            after = await connection.fetchval(TOUCHED)
        assert len(turn.started) == BATCH
        rows.append(after - before)
        reports = [Report.of(a, Completion()) for a in turn.started]
    return rows


async def worst(journal_url: str, *, hot: bool, change: str = "select") -> float:
    """The most rows a step reads for each task it moves, when it was planned on empty tables."""
    connection: Any = await asyncpg.connect(journal_url)
    try:
        await connection.execute(change)
        journal, org, worker = Journal(connection), uuid7(), uuid7()
        await journal.found(org, "one")
        await journal.enlist(worker, "early", 100)
        first = uuid7()
        await fill(connection, org, [first], 2, 1)
        early = await journal.step(worker, 1, want=1, scan=True)
        await journal.step(worker, 2, [Report.of(early.started[0], Completion())], want=1, scan=True)
        for tick in range(3, 20):
            await journal.step(worker, tick, want=1, scan=True)
        builds = [uuid7() for _ in range(1 if hot else BUILDS)]
        tasks = BUILDS * TASKS // len(builds)
        await fill(connection, org, builds, tasks, tasks * 2 // 5)
        await connection.execute("update build set open = false, ready = 0 where id = $1", first)
        return (max(await touched(connection, worker)) - len(builds)) / BATCH
    finally:
        await connection.close()


@pytest.mark.parametrize("hot", [False, True], ids=["many builds", "one hot build"])
async def test_plans_made_on_empty_tables_are_right_for_full_ones(journal_url: str, hot: bool) -> None:
    assert await worst(journal_url, hot=hot) < 20


async def test_left_to_itself_the_planner_is_wrong_later(journal_url: str) -> None:
    free = "alter function journal.step reset all; alter function journal.step set plan_cache_mode = force_generic_plan"
    assert await worst(journal_url, hot=True, change=free) > 40

"""What is kept of finished builds stays small, and what is updated often stays where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from factory_core.builds.archive import Archivist, History
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, NewTask
from factory_core.builds.packing import Packer
from factory_core.builds.shelf import Shelf
from factory_plugin_storage.service import LocalStorage

pytestmark = pytest.mark.anyio
BUILDS, TASKS = 20, 40


@pytest.fixture
async def pool(journal_url: str) -> AsyncIterator[Any]:
    library: Any = asyncpg
    async with library.create_pool(journal_url, min_size=1, max_size=2) as pool:
        yield pool


async def finish(desk: Any, builds: int) -> list[UUID]:
    """So many builds of so many tasks that have passed, a batch of tasks at a time as a worker does it."""
    made = [await desk.submit(str(uuid7())) for _ in range(builds)]
    plan = Completion(tasks=tuple(NewTask(id=f"t{n}", agent="x") for n in range(TASKS)))
    waiting = (await desk.turn(want=16)).started
    while waiting:
        ended = [(a, plan if a.task == "plan" else Completion(result={"by": a.task})) for a in waiting]
        waiting = (await desk.turn(*ended, want=16)).started
    return made


async def size_of(desk: Any, table: str) -> int:
    """Bytes of it and of its indexes, as autovacuum would leave them."""
    await desk.connection.execute(f"vacuum {table}")
    return await desk.connection.fetchval("select pg_total_relation_size($1::regclass)", table)


async def test_events_of_finished_builds_make_room_for_new_ones(desk: Any, pool: Any, tmp_path: Any) -> None:
    storage = LocalStorage(tmp_path)
    archivist, history = Archivist(pool, storage, after_seconds=0.0), History(desk.journal, storage)
    builds = await finish(desk, BUILDS)
    told = {build: await desk.journal.events(desk.org, build) for build in builds}
    full = await size_of(desk, "event")
    assert await archivist.turn(most=BUILDS + 1) == BUILDS
    assert await desk.connection.fetchval("select count(*) from event") == 0
    for _ in range(3):
        await size_of(desk, "event")
        builds += await finish(desk, BUILDS)
        assert await archivist.turn(most=BUILDS + 1) == BUILDS
    assert await desk.connection.fetchval("select count(*) from event") == 0
    assert await size_of(desk, "event") <= 1.3 * full  # four times the builds in the space of one
    files = [item.size async for item in storage.list("archives")]
    assert sum(files) < full * len(builds) / BUILDS / 10
    for build in builds:
        row = await desk.journal.build(desk.org, build)
        tasks = await desk.journal.tasks(desk.org, build)
        assert ([str(row.state), len(tasks), {str(task.state) for task in tasks}]) == [
            "passed",
            TASKS + 1,
            {"done"},
        ]
        (result,) = await desk.journal.results(desk.org, build, ("t7",))
        assert result.result == {"by": "t7"}
        (one,) = await history.events(desk.org, build, after=row.seq // 2, limit=1)
        assert one.seq == row.seq // 2 + 1
        if build in told:
            assert await history.events(desk.org, build, limit=row.seq) == told[build]


async def test_rows_of_old_builds_make_room_for_new_ones(desk: Any, pool: Any, tmp_path: Any) -> None:
    storage, tables = LocalStorage(tmp_path), ("task", "edge")
    archivist, packer = Archivist(pool, storage, after_seconds=0.0), Packer(pool, storage, after_seconds=0.0)
    shelf = Shelf(desk.journal, storage)
    builds = await finish(desk, BUILDS)
    told = {build: await desk.journal.tasks(desk.org, build) for build in builds}
    full = {table: await size_of(desk, table) for table in tables}
    for _ in range(4):
        assert await archivist.turn(most=BUILDS + 1) == BUILDS
        assert await packer.turn(most=BUILDS + 1) == BUILDS
        assert await desk.connection.fetchval("select count(*) from task") == 0
        for table in tables:
            assert await size_of(desk, table) <= 1.3 * full[table]
        builds += await finish(desk, BUILDS)
    for table in tables:
        assert await size_of(desk, table) <= 1.3 * full[table]  # five times the builds in the space of one
    files = [item.size async for item in storage.list("archives") if item.key.endswith(".rows")]
    assert sum(files) < full["task"] / 2
    for build in builds:
        tasks = await shelf.tasks(desk.org, build)
        assert len(tasks) == TASKS + 1
        assert tasks == told.get(build, tasks)


async def test_without_an_archive_they_do_not(desk: Any) -> None:
    """Negative control of the tests above."""
    await finish(desk, BUILDS)
    full = {table: await size_of(desk, table) for table in ("event", "task")}
    await finish(desk, 3 * BUILDS)
    for table, size in full.items():
        assert await size_of(desk, table) > 3 * size


async def test_rows_that_each_step_updates_stay_on_their_pages(desk: Any) -> None:
    """HOT updates touch no index and leave nothing to vacuum. A task's state is in the predicates of its indexes, so that
    none of its updates can be; the ratio that the fill factors rest on is in docs/reference/engine.md."""
    await finish(desk, BUILDS)
    await desk.connection.execute("select pg_stat_force_next_flush()")
    rows = await desk.connection.fetch(
        "select relname, n_tup_upd as updates, n_tup_hot_upd as hot, n_dead_tup as dead from pg_stat_user_tables"
        " where n_tup_upd > 0 order by 1"
    )
    ratios = {row["relname"]: row["hot"] / row["updates"] for row in rows}
    for row in rows:
        print(f"{row['relname']}: {row['updates']} updates, {100 * ratios[row['relname']]:.0f} % HOT")
    assert ratios["build"] > 0.9
    assert ratios["worker"] > 0.9
    assert ratios["usage"] > 0.9
    assert ratios["task"] == 0

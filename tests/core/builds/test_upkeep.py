"""Upkeep: each thing it does is done whatever happens to the others."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from factory_core.builds.ids import uuid7
from factory_core.kernel.upkeep import Upkeep
from factory_core.settings import KernelSettings

pytestmark = pytest.mark.anyio
MONTH = 31 * 86_400.0


async def nothing() -> int:
    return 0


async def test_upkeep_goes_on_when_the_database_was_away(pool: Any, wire: Any) -> None:
    turns, twice = [], asyncio.Event()

    async def sweep() -> int:
        turns.append(1)
        if len(turns) == 2:
            twice.set()
        async with pool.acquire() as connection:
            return await connection.fetchval("select pg_terminate_backend(pg_backend_pid())")

    upkeep = asyncio.create_task(Upkeep(pool, wire, KernelSettings(), sweep).run(every=0.0))
    await asyncio.wait_for(twice.wait(), 60)
    upkeep.cancel()
    await asyncio.gather(upkeep, return_exceptions=True)


async def test_upkeep_forgets_old_results_and_workers(desk: Any, pool: Any, wire: Any) -> None:
    for digest, age in (("old", 100), ("new", 10)):
        await pool.execute(
            "insert into memo values ($1, $2, '{}', now() - $3 * interval '1 day')", desk.org, digest, age
        )
        await pool.execute(
            "insert into past_worker values ($1, $2, now(), now() - $3 * interval '1 day')",
            uuid7(),
            digest,
            age,
        )
    never = KernelSettings(archive_after_days=0, memo_days=0)
    await Upkeep(pool, wire, never, nothing).turn()
    assert await pool.fetchval("select count(*) from memo") == 2
    await Upkeep(pool, wire, KernelSettings(), nothing).turn()
    assert await pool.fetchval("select array_agg(digest) from memo") == ["new"]
    assert await pool.fetchval("select array_agg(name) from past_worker") == ["new"]


async def remember(pool: Any, org: Any) -> None:
    """Something to forget."""
    await pool.execute("insert into memo values ($1, 'old', '{}', now() - interval '100 days')", org)


async def counts(pool: Any) -> list[int]:
    """How many old results, archived builds and packed builds there are."""
    tables = ("memo where digest <> 'm0'", "archive", "packed")
    return [await pool.fetchval(f"select count(*) from {table}") for table in tables]


async def test_a_storage_that_is_away_does_not_stop_forgetting(
    old: Any, desk: Any, pool: Any, wire: Any
) -> None:
    await old.ended()
    await remember(pool, desk.org)
    await desk.age(MONTH)
    wire.breaks = "put"
    assert not await Upkeep(pool, wire, KernelSettings(), nothing).turn()
    assert await counts(pool) == [0, 0, 0]
    assert await pool.fetchval("select count(*) from event") > 0


@pytest.mark.parametrize("fault", ["put", "torn"])
async def test_archiving_that_fails_does_not_stop_packing(
    fault: str, old: Any, desk: Any, pool: Any, wire: Any
) -> None:
    await old.archived()
    await old.ended()
    await desk.age(MONTH)
    wire.breaks, wire.of = fault, ".events"
    await Upkeep(pool, wire, KernelSettings(), nothing).turn()
    assert (await counts(pool))[1:] == [1, 1]


async def test_a_workspace_that_cannot_be_swept_stops_nothing(
    old: Any, desk: Any, pool: Any, wire: Any
) -> None:
    async def sweep() -> int:
        raise PermissionError("not mine")

    await old.ended()
    await remember(pool, desk.org)
    await desk.age(MONTH)
    await Upkeep(pool, wire, KernelSettings(), sweep).turn()
    assert await counts(pool) == [0, 1, 1]


async def test_upkeep_tells_whether_it_is_behind(old: Any, desk: Any, pool: Any, wire: Any) -> None:
    for _ in range(20):
        await old.ended()
    await desk.age(8 * 86_400.0)
    upkeep = Upkeep(pool, wire, KernelSettings(), nothing)
    assert await upkeep.turn()
    assert not await upkeep.turn()
    await pool.execute(
        "insert into memo select $1, n::text, '{}', now() - interval '100 days' from generate_series(1, 1500) n",
        desk.org,
    )
    assert await upkeep.turn()
    assert not await upkeep.turn()
    assert await counts(pool) == [0, 20, 0]

"""Rows of old builds in files: nothing is lost or changed, wherever it breaks off, and a build runs again from its file."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factory_core.builds import packing
from factory_core.builds.control import ForkOrder
from factory_core.builds.deadletters import DeadLetters
from factory_core.builds.errors import BuildMissing, TaskMissing
from factory_core.builds.figures import queue_figures
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal
from factory_core.builds.packing import TABLES, Packer, Row, pack_rows, unpack_rows
from factory_core.builds.service import BuildService
from factory_core.builds.shelf import Shelf
from factory_core.kernel.upkeep import Upkeep
from factory_core.settings import KernelSettings

pytestmark = pytest.mark.anyio


@given(
    rows=st.lists(st.tuples(st.sampled_from(TABLES), st.integers(0, 40)), max_size=60).map(
        lambda some: [(table, json.dumps("x" * size)) for table, size in sorted(some, key=in_order)]
    )
)
def test_chunks_hold_every_row_in_order_and_are_bounded(rows: list[Row]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(packing, "CHUNK", 7)
        patch.setattr(packing, "CHUNK_LENGTH", 100)
        chunks = list(unpack_rows("key", pack_rows(rows)))
    back = [(table, json.dumps(row)) for table, some in chunks for row in json.loads(some)]
    assert back == rows
    for _, some in chunks:
        found = json.loads(some)
        assert 1 <= len(found) <= 7
        assert len(found) == 1 or sum(len(json.dumps(row)) for row in found) <= 100


def in_order(row: tuple[str, int]) -> int:
    return TABLES.index(row[0])


async def test_a_packed_build_reads_as_before_and_leaves_no_row(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer
) -> None:
    build = await old.archived()
    before, there, shelf = await old.told(build), await old.rows(build), Shelf(desk.journal, wire)
    assert {table: len(some) for table, some in there.items()} == {
        "task": 4, "edge": 3, "board": 1, "mail": 1, "event": 2
    }  # fmt: skip
    assert before[1][1].params == old.params
    assert before[2][1].result == old.result
    assert await packer.turn() == 1
    assert await old.rows(build) == {table: [] for table in TABLES}
    assert await desk.journal.tasks(desk.org, build) == ()
    assert await old.told(build) == before
    assert [task.started_at.isoformat() for task in (await shelf.tasks(desk.org, build))[:2]] == [
        task.started_at.isoformat() for task in before[1][:2]
    ]
    assert await packer.turn() == 0, "a second run does nothing"
    assert (await shelf.tasks(uuid7(), build), await shelf.results(uuid7(), build)) == ((), ())


async def test_the_service_shows_it_as_before(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer, packed_service: BuildService
) -> None:
    left = await old.archived()
    right = await old.archived(failing="")

    async def shown() -> list[Any]:
        return [
            await packed_service.tasks(desk.org, left),
            await packed_service.attempts(desk.org, left),
            await packed_service.failures(desk.org, left),
            await packed_service.result(desk.org, right, "t0"),
            await packed_service.artifacts(desk.org, left),
            await packed_service.compare(desk.org, left, right),
        ]

    before = await shown()
    assert await packer.turn() == 2
    assert await shown() == before
    with pytest.raises(TaskMissing):
        await packed_service.result(desk.org, left, "nothing")
    with pytest.raises(BuildMissing):
        await packed_service.result(uuid7(), left, "t0")


async def test_what_is_not_archived_or_ended_lately_stays(old: Any, desk: Any, pool: Any, wire: Any) -> None:
    await desk.planned([old.noop("a")])
    build = await old.archived()
    later = Packer(pool, wire, after_seconds=3600.0)
    assert await later.turn() == 0
    await desk.age(3700.0)
    await desk.connection.execute("update build set archived = false where id = $1", build)
    assert await later.turn() == 0
    await desk.connection.execute("update build set archived = true where id = $1", build)
    assert await later.turn() == 1, "the one that runs stays"


@pytest.mark.parametrize("place", ["put", "torn", "commit", "count"])
async def test_breaking_off_anywhere_loses_nothing(
    place: str, old: Any, desk: Any, pool: Any, wire: Any, packer: Packer
) -> None:
    build = await old.archived()
    there, wire.breaks = await old.rows(build), place
    if place == "commit":
        await pool.execute("alter table packed add constraint never check (false)")
    if place == "count":  # a row that the file does not have
        await pool.execute(
            "create function more() returns trigger language plpgsql as $$ begin insert into mail"
            " select build_id, sender, 9, 9, org_id, recipient, body, task, fence from mail; return null; end $$;"
            "create trigger more after insert on packed execute function more()"
        )
    if place in ("put", "commit"):
        with pytest.raises((OSError, asyncpg.CheckViolationError)):
            await packer.turn()
    else:
        await packer.turn()
    wire.breaks = ""
    assert await old.rows(build) == there
    assert await pool.fetchval("select count(*) from packed") == 0
    await pool.execute(
        "alter table packed drop constraint if exists never; drop trigger if exists more on packed"
    )
    assert await Packer(pool, wire, after_seconds=0.0).turn() == 1
    assert [info.key async for info in wire.list("archives") if info.key.endswith(".rows")] == [
        await pool.fetchval("select key from packed")
    ], "it is the same object again"


async def test_nothing_that_is_counted_changes(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer
) -> None:
    dead, _ = await desk.planned([old.noop("dead")])
    await desk.connection.execute("update task set state = 'quarantined', ended_at = now() where id = 'dead'")
    build = await old.archived()

    async def counted() -> list[Any]:
        query = (
            "select (select sum(vt) from (select vt from organisation union all select vt from usage) x) as vt,"
            " (select jsonb_agg(to_jsonb(m)) from memo m) as memo, (select count(*) from build) as builds,"
            " (select jsonb_agg(jsonb_build_array(tasks, agents, unfinished, ready, broken, vt)) from build) as counts"
        )
        figures = await queue_figures(desk.connection)
        letters = await DeadLetters(desk.connection, desk.connection, desk.org).page()
        return [
            tuple(await desk.connection.fetchrow(query)),
            [letter.id for letter in letters.items],
            [(f.depth, f.waiting, f.running, f.dead, f.failed) for f in figures],
            await desk.journal.memo(desk.org, "m0"),
        ]

    before = await counted()
    assert before[1] == [f"{dead}:dead"]
    assert before[3] == old.result
    assert await packer.turn() == 1
    assert await counted() == before
    await Shelf(Journal(pool), wire).awake(desk.org, build, lambda control: control.fork(_order(desk, build)))
    assert (await counted())[1] == before[1]
    assert (await counted())[3] == before[3]


async def test_upkeep_packs_when_it_is_asked_to(old: Any, desk: Any, pool: Any, wire: Any) -> None:
    async def nothing() -> int:
        return 0

    await old.archived()
    await desk.age(31 * 86_400.0)
    await Upkeep(pool, wire, KernelSettings(pack_after_days=0), nothing).turn()
    await Upkeep(pool, wire, KernelSettings(pack_after_days=32), nothing).turn()
    assert await pool.fetchval("select count(*) from packed") == 0
    await Upkeep(pool, wire, KernelSettings(), nothing).turn()
    assert await pool.fetchval("select count(*) from packed") == 1


def _order(desk: Any, build: UUID) -> ForkOrder:
    return ForkOrder(org=desk.org, source=build, task="t2", idem_key="k")

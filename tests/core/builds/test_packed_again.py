"""Builds whose rows are in files are run again: the rows come back first, as they were."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from factory_core.builds.archive import Archivist
from factory_core.builds.control import Control, ForkOrder
from factory_core.builds.errors import ArchiveDamaged, BuildMissing, BuildPacked, BuildUnready, TaskMissing
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, Journal
from factory_core.builds.packing import TABLES, Packer, put_back
from factory_core.builds.service import BuildService
from factory_core.builds.shelf import Shelf

pytestmark = pytest.mark.anyio
PROGRAM = Path(__file__).with_name("pack_process.py")


async def test_a_packed_build_is_retried_from_its_file(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer, packed_service: BuildService
) -> None:
    build, twin = [await old.archived() for _ in range(2)]
    there = await old.rows(build)
    await pool.execute("update build set packed = true where id = $1", twin)  # leave it
    await packer.turn()
    await pool.execute("update build set packed = false where id = $1", twin)
    with pytest.raises(BuildPacked):
        await Control(pool).retry(desk.org, build)
    for each in (build, twin):  # the other was never packed
        assert await packed_service.retry(desk.org, each, by="me")
    assert await pool.fetchval("select count(*) from packed") == 0
    after = await old.rows(build)
    assert {name: len(some) for name, some in after.items()} == {
        name: len(some) + 3 * (name == "event") for name, some in there.items()
    }
    assert (
        await desk.states(build) == await desk.states(twin) == {"t0": "done", "t1": "ready", "t2": "waiting"}
    )
    while attempts := (await desk.turn()).started:
        assert {a.fence for a in attempts if a.task == "t1"} <= {2}
        await desk.turn(*((a, Completion(result={"n": 2})) for a in attempts), want=0)
    assert await desk.state(build) == await desk.state(twin) == "passed"
    await Archivist(pool, wire, after_seconds=0.0).turn()
    before = await old.told(build)
    assert [event.seq for event in before[-1]] == list(range(1, before[0].seq + 1))
    assert await packer.turn() == 2
    assert await old.told(build) == before


async def test_all_rows_come_back_as_they_were(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer, packed_service: BuildService
) -> None:
    build = await old.archived()
    there = await old.rows(build)
    await pool.execute("set timezone = 'Asia/Kolkata'")
    await packer.turn()
    made = await packed_service.fork(desk.org, _fork(build), by="me")
    assert await old.rows(build) == there
    assert await desk.states(made.build) == {"t0": "done", "t1": "ready", "t2": "waiting"}
    key = "select array_agg(key) from packed"
    assert await pool.fetchval(key) is None
    assert await packer.turn() == 1, "upkeep takes them away again"
    assert len([info async for info in wire.list("archives") if info.key.endswith(".rows")]) == 1
    again = await packed_service.fork(desk.org, _fork(build), by="me")
    assert (again.build, again.created) == (made.build, False)
    assert await pool.fetchval("select count(*) from packed") == 1, "the key was known without the rows"


def _fork(build: UUID) -> Any:
    from factory_core.builds.service import Fork

    return Fork(source=build, task="t1", key="again")


async def test_what_is_refused_leaves_it_packed(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer, packed_service: BuildService
) -> None:
    build = await old.archived(failing="")
    await packer.turn()
    for asked, error in (
        (packed_service.retry(desk.org, build, by="me"), BuildUnready),
        (packed_service.retry(desk.org, build, tasks=("nothing",), by="me"), TaskMissing),
        (packed_service.decide(desk.org, build, approve=False, by="me"), BuildUnready),
        (packed_service.pause(desk.org, build, by="me"), BuildUnready),
        (packed_service.resume(desk.org, build, by="me"), BuildUnready),
        (packed_service.retry(uuid7(), build, by="me"), BuildMissing),
    ):
        with pytest.raises(error):
            await asked
    assert not await packed_service.cancel(desk.org, build)
    assert await old.rows(build) == {table: [] for table in TABLES}
    assert await pool.fetchval("select count(*) from packed") == 1
    assert not await packed_service.decide(desk.org, build, approve=True, by="me"), (
        "the same answer as before"
    )


async def test_upkeep_and_people_at_once_lose_nothing(
    old: Any, desk: Any, pool: Any, wire: Any, packed_service: BuildService
) -> None:
    builds = [await old.archived() for _ in range(4)]
    packer = Packer(pool, wire, after_seconds=0.0)
    await packer.turn()
    asked = [packed_service.retry(desk.org, build, by=f"{n}") for build in builds for n in range(3)]
    forked = [
        packed_service.fork(desk.org, _fork(build), by="me") if n == 0 else packer.turn()
        for build in builds
        for n in range(3)
    ]
    answers = await asyncio.gather(*asked, *forked, return_exceptions=True)
    assert [answer for answer in answers if isinstance(answer, BaseException | None)] == [
        answer
        for answer in answers
        if isinstance(answer, BuildUnready)  # a fork of what was opened again
    ]
    for build in builds:
        assert await desk.states(build) == {"t0": "done", "t1": "ready", "t2": "waiting"}
        retried = await pool.fetchval(
            "select count(*) from event where build_id = $1 and kind = 'build.retried'", build
        )
        assert retried >= 1


def _order(desk: Any, build: UUID) -> ForkOrder:
    return ForkOrder(org=desk.org, source=build, task="t2", idem_key="k")


async def test_a_file_that_was_changed_is_not_believed(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer, packed_service: BuildService
) -> None:
    build = await old.archived()
    await packer.turn()
    key = await pool.fetchval("select key from packed")
    content = await wire.get(key)
    await wire.put(key, content + b"\0")
    for asked in (packed_service.tasks(desk.org, build), packed_service.retry(desk.org, build, by="me")):
        with pytest.raises(ArchiveDamaged, match="Restore the storage"):
            await asked
    await wire.put(key, content)
    assert await packed_service.retry(desk.org, build, by="me")


async def test_rows_fit_into_tables_that_changed_since(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer, packed_service: BuildService
) -> None:
    build = await old.archived()
    await packer.turn()
    await pool.execute(
        "alter table task add column later integer not null default 7; alter table mail drop column body"
    )
    assert await packed_service.retry(desk.org, build, by="me")
    assert await pool.fetchval("select array_agg(distinct later) from task where build_id = $1", build) == [7]
    assert await pool.fetchval("select recipient from mail where build_id = $1", build) == "t2"


async def test_a_reader_sees_its_tasks_while_they_move(
    old: Any, desk: Any, pool: Any, wire: Any, packer: Packer
) -> None:
    build = await old.archived()
    before = await old.told(build)

    class Racing(Journal):
        """Just after a look at the rows they go; just after a look at the note they come back."""

        async def tasks(self, org: UUID, build: UUID) -> Any:
            found = await super().tasks(org, build)
            await packer.turn()
            return found

        async def packed(self, org: UUID, build: UUID) -> Any:
            await Shelf(Journal(pool), wire).awake(
                org, build, lambda control: control.fork(_order(desk, build))
            )
            return await super().packed(org, build)

    shelf = Shelf(Racing(desk.connection), wire)
    assert await shelf.tasks(desk.org, build) == before[1]
    assert await shelf.tasks(desk.org, build) == before[1], "there was no row, and then no note"


async def without(pool: Any, function: str, rule: str, mutation: str) -> None:
    """The database's function without one of its rules."""
    text = await pool.fetchval("select pg_get_functiondef(to_regproc($1))", f"journal.{function}")
    assert rule in text, "the rule is no longer spelt like this"
    await pool.execute(text.replace(rule, mutation))


@pytest.mark.parametrize(
    ("function", "rule", "mutation"),
    [
        ("retry", "if v_build.packed then", "if false then"),
        ("fork", "if v_source.packed then", "if false then"),
        ("decide", "when v_packed then 'packed'", ""),
        ("unpack", "set packed = false where found", "set packed = true where found"),
    ],
    ids=["retry", "fork", "decide", "unpack"],
)
async def test_without_a_rule_a_packed_build_cannot_be_run_again(
    function: str,
    rule: str,
    mutation: str,
    old: Any,
    desk: Any,
    pool: Any,
    packer: Packer,
    packed_service: BuildService,
) -> None:
    """Negative control of the tests above."""
    build = await old.archived()
    await packer.turn()
    await without(pool, function, rule, mutation)
    asked = {
        "fork": lambda: packed_service.fork(desk.org, _fork(build), by="me"),
        "decide": lambda: packed_service.decide(desk.org, build, approve=True, by="me"),
    }.get(function, lambda: packed_service.retry(desk.org, build, by="me"))
    with pytest.raises((BuildUnready, TaskMissing, BuildPacked)):
        await asked()


async def test_another_organisation_brings_nothing_back(
    old: Any, desk: Any, pool: Any, packer: Packer
) -> None:
    build = await old.archived()
    await packer.turn()
    key = await pool.fetchval("select key from packed")
    async with pool.acquire() as connection:
        assert not await put_back(connection, uuid7(), build, key, ())
        assert not await put_back(connection, desk.org, build, "another file", ())
        await without(pool, "unpack", "and org_id = p_org and packed", "and packed")
        assert await put_back(connection, uuid7(), build, key, ()), "negative control"

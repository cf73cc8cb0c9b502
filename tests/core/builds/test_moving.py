"""What archiving and packing have in common: neither is held up, holds anything up, or loses what it moves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from factory_core.builds.archive import Archivist
from factory_core.builds.control import Control
from factory_core.builds.crashpoints import UPKEEP_POINTS, CrashPoints
from factory_core.builds.moving import ONE_AT_A_TIME
from factory_core.builds.packing import Packer

pytestmark = pytest.mark.anyio
PROGRAM = Path(__file__).with_name("pack_process.py")


class Side:
    """One of the two, and what it works on."""

    def __init__(self, old: Any, pool: Any, mover: Any, table: str) -> None:
        self.old, self.pool, self.table = old, pool, table
        self.make: Callable[..., Any] = lambda **more: mover(pool, old.wire, after_seconds=0.0, **more)
        self.mover = self.make()

    async def ready(self) -> UUID:
        """A build for it."""
        return await (self.old.ended() if isinstance(self.mover, Archivist) else self.old.archived())

    async def moved(self) -> list[UUID]:
        found = await self.pool.fetch(f"select build_id from {self.table} order by build_id")
        return [row["build_id"] for row in found]


SIDES = {"archive": Archivist, "packed": Packer}


@pytest.fixture(params=SIDES)
def side(request: Any, old: Any, pool: Any) -> Side:
    return Side(old, pool, SIDES[request.param], request.param)


async def test_a_file_that_comes_back_damaged_holds_up_nobody(side: Side, old: Any) -> None:
    hurt, *whole = sorted([await side.ready() for _ in range(3)])
    there = await old.rows(hurt)
    old.wire.breaks, old.wire.of = "torn", str(hurt)
    assert await side.mover.turn() == 3, "one of them was tried in vain"
    assert await side.moved() == whole
    assert await old.rows(hurt) == there
    old.wire.breaks = ""
    assert await side.mover.turn() == 0, "it is left until somebody has looked"
    assert await side.make().turn() == 1
    assert await side.moved() == [hurt, *whole]


async def test_a_storage_that_fails_for_one_build_holds_up_no_other(side: Side, old: Any) -> None:
    builds = [await side.ready() for _ in range(3)]
    old.wire.breaks, old.wire.of = "put", str(builds[0])
    with pytest.raises(OSError, match="no space"):
        await side.mover.turn()
    assert await side.moved() == []
    with pytest.raises(OSError, match="no space"):
        await side.mover.turn()
    assert await side.moved() == builds[1:], "it is tried again after the others"
    old.wire.breaks = ""
    assert await side.mover.turn() == 1
    assert await side.moved() == builds


async def test_a_storage_that_hangs_fails_as_one_that_breaks(side: Side, old: Any) -> None:
    build = await side.ready()
    old.wire.meanwhile = asyncio.Event().wait
    mover = side.make(patience=0.5)
    for said in ("for 0.5 s", "yet"):
        with pytest.raises(TimeoutError, match=f"not answered {said}"):
            await mover.turn()
    assert await side.moved() == []
    old.wire.meanwhile = None
    assert await side.mover.turn() == 1, "the lock was given back"
    assert await side.moved() == [build]


async def test_tables_are_free_while_a_file_is_made_and_stored(side: Side, old: Any, pool: Any) -> None:
    looks: list[Any] = []

    async def look() -> None:
        async with pool.acquire() as other:
            looks.extend(
                await other.fetch(
                    "select a.backend_xid, a.backend_xmin, "
                    "array(select l.locktype from pg_locks l where l.pid = a.pid) as locks"
                    " from pg_stat_activity a where a.state = 'idle in transaction' and a.pid <> pg_backend_pid()"
                )
            )
            async with other.transaction():
                await other.execute("lock table build, task, edge, event in access exclusive mode nowait")

    await side.ready()
    old.wire.meanwhile = look
    assert await side.mover.turn() == 1
    (mover,) = looks
    assert (mover["backend_xid"], mover["backend_xmin"]) == (None, None), "vacuum goes on"
    assert set(mover["locks"]) == {"advisory", "virtualxid"}
    assert len(await side.moved()) == 1


async def test_a_build_that_runs_again_while_its_file_is_stored_stays(side: Side, old: Any) -> None:
    build = await side.ready()
    before = await old.rows(build)
    old.wire.meanwhile = lambda: Control(old.desk.connection).retry(old.desk.org, build)
    await side.mover.turn()
    assert await side.moved() == []
    after = await old.rows(build)
    assert set(before["event"]) < set(after["event"])
    assert {table: len(rows) for table, rows in after.items() if table != "event"} == {
        table: len(rows) for table, rows in before.items() if table != "event"
    }


async def test_files_are_made_beside_the_loop(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    loops: list[Any] = []
    make = type(side.mover).pack

    def watched(*arguments: Any) -> bytes:
        loops.append(asyncio._get_running_loop())
        return make(*arguments)

    monkeypatch.setattr(type(side.mover), "pack", watched)
    await side.ready()
    assert await side.mover.turn() == 1
    assert loops == [None]


async def test_a_turn_is_bounded_by_builds_and_by_rows(side: Side) -> None:
    for _ in range(5):
        await side.ready()
    rows = (
        11 if isinstance(side.mover, Packer) else await side.pool.fetchval("select count(*) / 5 from event")
    )
    assert (await side.mover.turn(most=1), side.mover.more) == (1, True)
    assert (await side.mover.turn(rows=rows + 1), side.mover.more) == (2, True)
    assert (await side.mover.turn(), side.mover.more) == (2, False)


async def test_only_one_worker_is_at_it(side: Side) -> None:
    await side.ready()
    async with side.pool.acquire() as other, other.transaction():
        await other.execute("select pg_advisory_xact_lock($1)", ONE_AT_A_TIME)
        assert await side.mover.turn() == 0
    assert await side.mover.turn() == 1


@pytest.mark.parametrize("point", UPKEEP_POINTS)
async def test_a_death_between_the_steps_leaves_what_the_next_run_ends(
    point: str, old: Any, pool: Any, journal_url: str, tmp_path: Path
) -> None:
    stored = point.endswith("stored")
    table = "archive" if point.startswith("events") else "packed"
    side = Side(old, pool, SIDES[table], table)
    builds = [await side.ready() for _ in range(3)]
    before = [await old.told(build) for build in builds]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PROGRAM),
        journal_url,
        str(tmp_path),
        f"{point}:2",
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == CrashPoints.EXIT_CODE
    assert len(await files(side)) == 2, "the second file is there"
    assert len(await side.moved()) == (1 if stored else 2)
    assert [await old.told(build) for build in builds] == before
    while not await side.mover.turn():  # noqa: ASYNC110 - the server has yet to notice that the process is gone
        await asyncio.sleep(0)
    assert await side.moved() == builds
    assert [await old.told(build) for build in builds] == before
    assert len(await files(side)) == 3


async def files(side: Side) -> set[str]:
    return {info.key async for info in side.old.wire.list("archives") if info.key.endswith(side.mover.suffix)}

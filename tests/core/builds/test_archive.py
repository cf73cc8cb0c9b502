"""Events in files: nothing is lost, doubled or reordered, wherever it breaks off."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from factory_core.builds.archive import CHUNK, Archivist, History, pack, unpack
from factory_core.builds.control import Control
from factory_core.builds.errors import ArchiveDamaged
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, CompletionKind, Journal
from factory_core.contracts.events import Event
from factory_plugin_storage.service import LocalStorage

pytestmark = pytest.mark.anyio


class Shelf:
    """The storage plugin's, on a folder, with a wire that can be cut; it counts the bytes that are read."""

    name = "shelf"

    def __init__(self, storage: Any) -> None:
        self.storage = storage
        self.breaks: Callable[[str, bytes], bytes] | None = None
        self.read = 0

    async def put(self, key: str, data: bytes) -> int:
        if self.breaks is not None:
            data = self.breaks("put", data)
        return await self.storage.put(key, data)

    async def get(self, key: str) -> bytes:
        data = await self.storage.get(key)
        return self.breaks("get", data) if self.breaks is not None else data

    async def stream(self, key: str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        async for part in self.storage.stream(key, start=start, end=end):
            self.read += len(part)
            yield part

    def list(self, prefix: str = "") -> Any:
        return self.storage.list(prefix)


@pytest.fixture
def shelf(tmp_path: Any) -> Shelf:
    return Shelf(LocalStorage(tmp_path))


@pytest.fixture
async def pool(journal_url: str) -> AsyncIterator[Any]:
    library: Any = asyncpg
    async with library.create_pool(journal_url, min_size=1, max_size=4) as pool:
        yield pool


@pytest.fixture
def archivist(pool: Any, shelf: Shelf) -> Archivist:
    return Archivist(pool, shelf, after_seconds=0.0)


@pytest.fixture
def history(desk: Any, shelf: Shelf) -> History:
    return History(desk.journal, shelf)


async def finished(desk: Any, noop: Any, tasks: int = 30, *, failing: str = "") -> UUID:
    """A build of this many tasks that has passed, or failed with the task that is named."""
    build = await desk.submit(str(uuid7()), max_agents=5000)
    plan = next(a for a in (await desk.turn()).started if a.build == build)
    await desk.turn((plan, Completion(tasks=tuple(noop(f"t{n}") for n in range(tasks)))), want=0)
    while attempts := (await desk.turn(want=500)).started:
        await desk.turn(*((a, _end(a.task == failing)) for a in attempts), want=0)
    assert await desk.state(build) == ("failed" if failing else "passed")
    return build


def _end(failed: bool) -> Completion:
    return Completion(kind=CompletionKind.FAILED, reason="no") if failed else Completion(result={"n": 1})


async def page_through(
    history: History, desk: Any, build: UUID, limit: int = 7, start: int = 0
) -> list[Event]:
    found: list[Event] = []
    while page := await history.events(desk.org, build, after=found[-1].seq if found else start, limit=limit):
        assert len(page) <= limit
        found += page
    return found


async def rows(desk: Any, build: UUID) -> list[str]:
    found = await desk.connection.fetch("select kind from event where build_id = $1 order by seq", build)
    return [row["kind"] for row in found]


async def test_an_archived_build_reads_as_before(
    desk: Any, noop: Any, archivist: Archivist, history: History
) -> None:
    build = await finished(desk, noop)
    before = await desk.journal.events(desk.org, build)
    assert await archivist.turn() == 1
    assert await rows(desk, build) == []
    for limit in (1, 7, 1000):
        assert await page_through(history, desk, build, limit) == list(before)
    for start in range(len(before) + 2):
        assert await page_through(history, desk, build, 5, start) == list(before[start:])
    assert await archivist.turn() == 0, "a second run does nothing"
    note = await desk.connection.fetchrow("select first, last, org_id from archive")
    assert tuple(note) == (1, len(before), desk.org)


async def test_the_tries_of_an_archived_build_read_as_before(
    desk: Any, noop: Any, archivist: Archivist, history: History
) -> None:
    build = await finished(desk, noop, 5, failing="t1")
    before = await desk.journal.attempts(desk.org, build)
    assert [row.outcome for row in before].count("task.failed") == 1
    assert len(before) == 6
    assert await history.attempts(desk.org, build) == before
    await archivist.turn()
    assert await desk.journal.attempts(desk.org, build) == (), "the rows tell nothing any more"
    assert await history.attempts(desk.org, build) == before
    assert await history.attempts(uuid7(), build) == ()
    await Control(desk.connection).retry(desk.org, build, tasks=["t1"])
    (again,) = (await desk.turn()).started
    after = await history.attempts(desk.org, build)
    assert after[:6] == before
    assert [(row.task, row.fence, row.worker, row.outcome) for row in after[6:]] == [
        ("t1", 2, desk.worker, None)
    ]
    await desk.turn((again, Completion()))
    await archivist.turn()
    assert [row.outcome for row in await history.attempts(desk.org, build)][6:] == ["task.done"]


async def test_tries_are_all_there_though_the_build_is_archived_while_they_are_read(
    desk: Any, noop: Any, shelf: Shelf, archivist: Archivist
) -> None:
    build = await finished(desk, noop, 5)
    before = await desk.journal.attempts(desk.org, build)

    class Racing(Journal):
        async def attempts(self, org: UUID, build: UUID) -> Any:
            await archivist.turn()
            return await super().attempts(org, build)

    assert await History(Racing(desk.connection), shelf).attempts(desk.org, build) == before


async def test_builds_that_run_or_ended_lately_stay(desk: Any, noop: Any, pool: Any, shelf: Shelf) -> None:
    await desk.planned([noop("a")])
    await finished(desk, noop, 1)
    assert await Archivist(pool, shelf, after_seconds=3600.0).turn() == 0
    await desk.age(3700.0)
    assert await Archivist(pool, shelf, after_seconds=3600.0).turn() == 1, "the one that runs stays"


async def test_a_build_with_dead_letters_stays_until_somebody_answers(
    desk: Any, noop: Any, archivist: Archivist
) -> None:
    build = await finished(desk, noop, 1)
    await desk.connection.execute("update task set state = 'quarantined' where id = 't0'")
    assert await archivist.turn() == 0
    assert await desk.connection.fetchval("select journal.discard_task(null, $1, 't0', 'me')", build)
    assert await archivist.turn() == 1


@pytest.mark.parametrize("place", ["put", "get", "torn", "commit"])
async def test_breaking_off_anywhere_loses_nothing(
    place: str, desk: Any, noop: Any, pool: Any, shelf: Shelf, history: History, archivist: Archivist
) -> None:
    build = await finished(desk, noop)
    before = list(await desk.journal.events(desk.org, build))

    def breaks(at: str, data: bytes) -> bytes:
        if place == "torn" and at == "get":
            return data[:40] + b"\0" + data[41:]
        if at == place:
            raise OSError("no space left on device")
        return data

    shelf.breaks = breaks
    if place == "commit":
        await pool.execute("alter table archive add constraint never check (false)")
    if place == "torn":
        assert await archivist.turn() == 1, "it is logged and left"
    else:
        with pytest.raises((OSError, asyncpg.CheckViolationError)):
            await archivist.turn()
    assert list(await desk.journal.events(desk.org, build)) == before, "no row is gone"
    assert await pool.fetchval("select count(*) from archive") == 0
    shelf.breaks = None
    await pool.execute("alter table archive drop constraint if exists never")
    assert await Archivist(pool, shelf, after_seconds=0.0).turn() == 1
    assert await page_through(history, desk, build) == before
    assert len([info async for info in shelf.list("archives")]) == 1, "it is the same object again"


async def test_a_reader_sees_each_event_once_while_it_moves(
    desk: Any, noop: Any, pool: Any, shelf: Shelf, archivist: Archivist
) -> None:
    builds = [await finished(desk, noop, 25) for _ in range(8)]
    history = History(Journal(pool), shelf)
    before = {build: list(await desk.journal.events(desk.org, build)) for build in builds}
    moving = asyncio.create_task(archivist.turn())
    rounds = 0
    while not moving.done() or rounds == 0:
        rounds += 1
        read = await asyncio.gather(*(page_through(history, desk, build, 9) for build in builds))
        assert dict(zip(builds, read, strict=True)) == before
    assert await moving == len(builds)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_the_rows_vanish_between_two_looks(
    when: str, desk: Any, noop: Any, shelf: Shelf, archivist: Archivist
) -> None:
    """The archivist commits just before, or just after, a reader looked at the rows."""
    build = await finished(desk, noop)
    before = list(await desk.journal.events(desk.org, build))

    class Racing(Journal):
        async def events(self, org: UUID, build: UUID, *, after: int = 0, limit: int = 1000) -> Any:
            if when == "before":
                await archivist.turn()
            found = await super().events(org, build, after=after, limit=limit)
            await archivist.turn()
            return found

    assert await page_through(History(Racing(desk.connection), shelf), desk, build, 11) == before


async def test_a_build_that_moves_on_meanwhile_is_left_alone(desk: Any, noop: Any) -> None:
    build = await finished(desk, noop, 2, failing="t0")
    last = len(await desk.journal.events(desk.org, build))
    archive = "select journal.archive($1, 1, $2, 'key', 'digest', 1)"
    assert not await desk.connection.fetchval(archive, build, last - 1)
    await Control(desk.connection).retry(desk.org, build, tasks=["t0"])
    assert not await desk.connection.fetchval(archive, build, last)
    assert await desk.connection.fetchval("select count(*) from archive") == 0


async def test_an_archived_build_is_run_again_and_archived_again(
    desk: Any, noop: Any, archivist: Archivist, history: History
) -> None:
    build = await finished(desk, noop, 3, failing="t1")
    first = list(await desk.journal.events(desk.org, build))
    await archivist.turn()
    await Control(desk.connection).retry(desk.org, build, tasks=["t1"])
    assert (await page_through(history, desk, build))[: len(first)] == first
    assert await archivist.turn() == 0, "it runs"
    (again,) = (await desk.turn()).started
    await desk.turn((again, Completion()))
    both = await page_through(history, desk, build)
    assert [e.seq for e in both] == list(range(1, len(both) + 1))
    assert both[-1].kind == "build.ended"
    assert await archivist.turn() == 1
    assert await page_through(history, desk, build) == both
    assert await desk.connection.fetchval("select count(*) from archive") == 2


async def test_another_organisation_reads_nothing(
    desk: Any, noop: Any, archivist: Archivist, history: History
) -> None:
    build = await finished(desk, noop, 3)
    await archivist.turn()
    assert await history.events(uuid7(), build) == ()
    assert len(await history.events(desk.org, build)) > 3


async def test_a_number_is_opened_without_unpacking_all(
    desk: Any, noop: Any, shelf: Shelf, archivist: Archivist, history: History
) -> None:
    build = await finished(desk, noop, 1500)
    await archivist.turn()
    size = await desk.connection.fetchval("select size from archive")
    (event,) = await history.events(desk.org, build, after=2000, limit=1)
    assert event.seq == 2001
    assert shelf.read < size / 2
    shelf.read = 0
    await history.events(desk.org, build, after=2000, limit=1)
    assert shelf.read < size / 3, "the index is known by now"


async def test_a_damaged_file_says_so(
    desk: Any, noop: Any, shelf: Shelf, archivist: Archivist, history: History
) -> None:
    build = await finished(desk, noop, 5)
    await archivist.turn()
    key = await desk.connection.fetchval("select key from archive")
    content = await shelf.storage.get(key)
    await shelf.storage.put(key, content[:12] + b"\0\0\0" + content[15:])
    with pytest.raises(ArchiveDamaged, match="Restore the storage"):
        await history.events(desk.org, build, after=1)


async def test_a_build_with_missing_events_holds_up_nobody(
    desk: Any, noop: Any, archivist: Archivist
) -> None:
    hurt, whole = await finished(desk, noop, 2), await finished(desk, noop, 2)
    await desk.connection.execute("delete from event where build_id = $1 and seq = 3", hurt)
    await archivist.turn()
    found = await desk.connection.fetch("select build_id from archive")
    assert [row["build_id"] for row in found] == [whole]
    assert len(await rows(desk, hurt)) > 5


def test_a_file_is_the_same_for_the_same_events_and_gives_them_back() -> None:
    from datetime import UTC, datetime

    at = datetime(2026, 1, 1, 1, 2, 3, 456789, tzinfo=UTC)
    events = [
        Event(build=UUID(int=1), seq=n, kind="x", at=at, body={"b": n, "a": ["\ufffd", 1.5, None]})
        for n in range(1, 2 * CHUNK + 2)
    ]
    assert pack(events) == pack(list(events))
    assert list(unpack(pack(events))) == events
    assert pack(events) != pack(events[:-1])

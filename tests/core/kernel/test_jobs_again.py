"""Jobs that are asked for, taken or ended twice, because an answer was lost or a key was used again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from factory_core.builds.ids import uuid7
from factory_core.builds.line import connect_to
from factory_core.kernel.jobs import JobLoop, JobPace

pytestmark = pytest.mark.anyio


async def away(**_: Any) -> None:
    raise ConnectionError("the mail server is away")


TAKE = "select id from journal.take_jobs(array['mail'], 5, 20, $1)"


async def test_who_asks_again_is_given_what_it_has_taken(office: Any) -> None:
    office.offer("mail")
    first = await office.queue.enqueue("mail")
    asked, other = uuid7(), uuid7()
    fetch = office.database.pool.fetch
    assert [r["id"] for r in await fetch(TAKE, asked)] == [first]
    await office.queue.enqueue("mail")
    assert [r["id"] for r in await fetch(TAKE, asked)] == [first]
    assert [(r["attempts"], r["fence"]) for r in await office.rows()] == [(1, 1), (0, 0)]
    assert len(await fetch(TAKE, other)) == 1
    await office.database.pool.execute("update job set run_at = now() where id = $1", first)
    assert [r["id"] for r in await fetch(TAKE, other)] != [first]
    assert [r["id"] for r in await fetch(TAKE, uuid7())] == [first]


class Forgetful:
    """A connection that is cut once, after jobs were taken and before it is said which."""

    def __init__(self, connection: Any, cut: list[str]) -> None:
        self._connection, self._cut = connection, cut

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    async def fetch(self, query: str, *facts: Any) -> Any:
        rows = await self._connection.fetch(query, *facts)
        if rows and "take_jobs" in query and not self._cut:
            self._cut.append(query)
            raise ConnectionResetError
        return rows


async def test_jobs_that_were_taken_as_the_line_was_cut_run_in_their_first_attempt(office: Any) -> None:
    cut: list[str] = []

    async def connect() -> Any:
        return Forgetful(await connect_to(office.database.url)(), cut)

    office.offer("mail")
    await office.queue.enqueue("mail")
    loop = JobLoop(connect, office.jobs, pace=JobPace(poll=0.02, ttl=3600.0))
    office.loops.append((loop, asyncio.create_task(loop.run())))
    await office.until("select bool_and(state = 'done') from job")
    assert cut
    assert [r["attempts"] for r in await office.rows()] == [1]


async def test_a_kick_that_comes_while_jobs_are_taken_is_heard(office: Any) -> None:
    """The poll is too long to be what finds the second job."""
    loops: list[JobLoop] = []

    class Late(Forgetful):
        async def fetch(self, query: str, *facts: Any) -> Any:
            rows = await self._connection.fetch(query, *facts)
            if "take_jobs" in query and not self._cut:
                self._cut.append(query)
                await office.queue.enqueue("mail")
                loops[0].kick()
            return rows

    async def connect() -> Any:
        return Late(await connect_to(office.database.url)(), seen)

    seen: list[str] = []
    office.offer("mail")
    loop = JobLoop(connect, office.jobs, pace=JobPace(poll=3600.0))
    loops.append(loop)
    office.loops.append((loop, asyncio.create_task(loop.run())))
    async with asyncio.timeout(60):
        await office.again.wait()


async def test_a_job_that_something_else_cancelled_has_failed(office: Any) -> None:
    async def leaks(**_: Any) -> None:
        raise asyncio.CancelledError

    office.offer("mail", leaks, attempts=1)
    await office.queue.enqueue("mail")
    office.play()
    await office.until("select exists (select from dead_job)")
    (dead,) = await office.rows("dead_job")
    assert dead["error"] == "CancelledError: it was cancelled by something it waited for"


async def test_a_dead_job_holds_its_key(office: Any) -> None:
    office.offer("mail", away, attempts=1)
    identity = await office.queue.enqueue("mail", key="welcome ann")
    office.play()
    await office.until("select exists (select from dead_job)")
    await office.stop()
    assert await office.queue.enqueue("mail", key="welcome ann") == identity
    assert await office.queue.enqueue("mail", key="welcome bob") != identity
    fetch = office.database.pool.fetchval
    assert await fetch("select journal.revive_job(null, $1)", identity)
    assert await office.queue.enqueue("mail", key="welcome ann") == identity
    assert sorted(r["key"] for r in await office.rows()) == ["welcome ann", "welcome bob"]


async def test_a_dead_job_whose_key_was_used_again_while_it_died_is_not_run_twice(office: Any) -> None:
    office.offer("mail", away, attempts=1)
    dead = await office.queue.enqueue("mail", key="welcome ann")
    office.play()
    await office.until("select exists (select from dead_job)")
    await office.stop()
    await office.database.pool.execute(
        "insert into job (id, org_id, queue, name, key, max_attempts, run_at, created_at)"
        " select gen_random_uuid(), org_id, queue, name, key, 1, now(), now() from dead_job"
    )
    assert await office.database.pool.fetchval("select journal.revive_job(null, $1)", dead)
    assert len(await office.rows()) == 1
    assert await office.rows("dead_job") == []

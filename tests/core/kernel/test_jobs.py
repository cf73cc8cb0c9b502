"""Ordinary jobs are kept in PostgreSQL: they run, are tried again, outlive Redis and workers, and die as letters."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from redis import asyncio as redis

from factory_core.builds.ids import uuid7
from factory_core.contracts.jobs import Job
from factory_core.errors import EnvironmentUnfit, JobRefused
from factory_core.kernel.database import LOCAL_ORGANISATION
from factory_core.kernel.enqueue import LARGEST_PAYLOAD, OpenQueue
from factory_core.kernel.jobs import JobPace
from factory_core.kernel.queue import Queue, queue_name
from factory_core.kernel.worker import WorkerOrder, run_worker

pytestmark = pytest.mark.anyio
OFTEN = JobPace(poll=0.02)


async def away(**_: Any) -> None:
    raise ConnectionError("the mail server is away")


async def test_a_job_runs_once_and_is_remembered(office: Any) -> None:
    office.offer("mail")
    await office.queue.enqueue("mail", {"to": "ann"})
    office.play()
    await office.until("select bool_and(state = 'done') from job")
    await office.stop()
    assert office.ran == [{"to": "ann"}]
    assert [(r["org_id"], r["attempts"], r["error"]) for r in await office.rows()] == [
        (LOCAL_ORGANISATION, 1, "")
    ]


async def test_a_job_that_fails_is_tried_again_and_dies_after_its_last_attempt(office: Any) -> None:
    office.offer("mail", away, attempts=2)
    identity = await office.queue.enqueue("mail", {"to": "ann"})
    office.play()
    await office.until("select error <> '' from job where state = 'waiting'")
    assert await office.rows("dead_job") == []
    await office.hurry()
    await office.until("select exists (select from dead_job)")
    (dead,) = await office.rows("dead_job")
    assert (dead["id"], dead["attempts"]) == (identity, 2)
    assert dead["error"] == "ConnectionError: the mail server is away"
    assert await office.rows() == []
    assert len(office.ran) == 2


async def test_the_cause_of_a_dead_job_keeps_secrets(office: Any) -> None:
    async def refused(**_: Any) -> None:
        raise ConnectionError("smtp://studio:s3cr3t@mail is away")

    office.offer("mail", refused, attempts=1)
    await office.queue.enqueue("mail")
    office.play()
    await office.until("select exists (select from dead_job)")
    (dead,) = await office.rows("dead_job")
    assert dead["error"] == "ConnectionError: smtp://studio:********@mail is away"


async def test_a_dead_job_starts_over_or_is_discarded(office: Any) -> None:
    office.offer("mail", away, attempts=1)
    identity = await office.queue.enqueue("mail", {"to": "ann"})
    office.play()
    await office.until("select exists (select from dead_job)")
    await office.stop()
    fetch = office.database.pool.fetchval
    assert not await fetch("select journal.revive_job($1, $2)", uuid7(), identity), "another organisation's"
    assert await fetch("select journal.revive_job(null, $1)", identity)
    assert not await fetch("select journal.revive_job(null, $1)", identity)
    assert [(r["payload"], r["attempts"], r["max_attempts"]) for r in await office.rows()] == [
        ('{"to": "ann"}', 0, 1)
    ]
    office.play()
    await office.until("select exists (select from dead_job)")
    assert not await fetch("select journal.discard_job($1, $2)", uuid7(), identity)
    assert await fetch("select journal.discard_job($1, $2)", LOCAL_ORGANISATION, identity)
    assert await office.rows() == await office.rows("dead_job") == []


async def test_no_job_is_lost_with_redis(office: Any, valkey_url: str) -> None:
    """FLUSHALL between asking and running. Taken from Redis alone, all ten were gone."""
    office.offer("mail")
    office.queue.reminder = queue = Queue(valkey_url)
    client: Any = redis.Redis.from_url(valkey_url)
    for n in range(10):
        await office.queue.enqueue("mail", {"n": n})
    assert await client.zcard(queue_name("notifications")) == 10
    await client.flushdb()
    await office.until("select count(*) = 10 from job")
    stop = asyncio.Event()
    order = WorkerOrder(database_url=office.database.url, queue_url=valkey_url, arq_poll=0.02, job_pace=OFTEN)
    worker = asyncio.create_task(run_worker(order, Nobody(), office.jobs, stop=stop))
    await office.until("select count(*) = 10 from job where state = 'done'")
    stop.set()
    await worker
    assert sorted(p["n"] for p in office.ran) == list(range(10))
    await queue.close()
    await client.aclose()


class Nobody:
    async def run(self, assignment: Any) -> Any:
        raise AssertionError("no build was started")


async def test_a_reminder_starts_a_job_long_before_the_poll(office: Any, valkey_url: str) -> None:
    office.offer("count", queue="analytics")
    office.queue.reminder = queue = Queue(valkey_url)
    stop = asyncio.Event()
    order = WorkerOrder(
        database_url=office.database.url, queue_url=valkey_url, arq_poll=0.02, job_pace=JobPace(poll=600.0)
    )
    worker = asyncio.create_task(run_worker(order, Nobody(), office.jobs, stop=stop))
    async with asyncio.timeout(60):
        while (
            not office.ran
        ):  # the loop's first look may come before the job or after it: ask until both are past
            await office.queue.enqueue("count")
            await asyncio.sleep(0.05)
        office.again.clear()
        await office.until("select bool_and(state = 'done') from job")
        await office.queue.enqueue("count")
        await office.again.wait()
    stop.set()
    await worker
    await queue.close()


async def test_the_job_of_a_lost_worker_starts_over_and_its_late_end_is_refused(office: Any) -> None:
    forever, ends = asyncio.Event(), asyncio.Event()

    async def first_hangs(**_: Any) -> None:
        if len(office.ran) == 1:
            await forever.wait()
            raise ValueError("too late to matter")
        ends.set()

    office.offer("mail", first_hangs)
    await office.queue.enqueue("mail")
    office.play(ttl=3600.0)
    await office.again.wait()
    await office.database.pool.execute("update job set run_at = now()")  # its worker fell silent
    office.play()
    await ends.wait()
    forever.set()
    await office.until("select bool_and(state = 'done') from job")
    await office.stop()
    assert [(r["state"], r["attempts"], r["error"]) for r in await office.rows()] == [("done", 2, "")]


async def test_a_job_that_kills_its_workers_dies(office: Any) -> None:
    office.offer("mail", attempts=2)
    await office.queue.enqueue("mail")
    take = "select count(*) from journal.take_jobs(array['mail'], 5, 0)"
    assert [await office.database.pool.fetchval(take) for _ in range(3)] == [1, 1, 0]
    (dead,) = await office.rows("dead_job")
    assert dead["error"] == "its worker was lost"


async def test_a_worker_that_leaves_gives_its_jobs_back(office: Any) -> None:
    office.offer("mail", lambda **_: asyncio.Event().wait())
    await office.queue.enqueue("mail")
    office.play(grace=0.01)
    await office.again.wait()
    await office.stop()
    assert [(r["state"], r["attempts"]) for r in await office.rows()] == [("waiting", 0)]


async def test_a_job_that_takes_too_long_is_a_failure(office: Any) -> None:
    office.offer("mail", lambda **_: asyncio.Event().wait(), timeout_seconds=0.01)
    await office.queue.enqueue("mail")
    office.play()
    await office.until("select error = 'TimeoutError: not done within 0.01 seconds' from job")


async def test_a_lease_is_renewed_while_the_job_runs(office: Any) -> None:
    office.offer("mail", lambda **_: asyncio.Event().wait())
    await office.queue.enqueue("mail")
    office.play(ttl=0.2, grace=0.01)
    await office.again.wait()
    await office.until("select run_at > started_at + interval '1 second' from job")
    assert len(office.ran) == 1


async def test_a_job_is_part_of_the_transaction_that_asks_for_it(office: Any) -> None:
    office.offer("mail")

    async def changes_its_mind() -> None:
        async with office.database.transaction():
            await office.queue.enqueue("mail")
            raise ZeroDivisionError

    async def meddles() -> None:
        async with office.database.tenant_transaction(ours):
            await office.queue.enqueue("mail", org=theirs)

    with pytest.raises(ZeroDivisionError):
        await changes_its_mind()
    assert await office.rows() == []
    ours, theirs = uuid7(), uuid7()
    async with office.database.tenant_transaction(ours):
        await office.queue.enqueue("mail")
    assert [row["org_id"] for row in await office.rows()] == [ours]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await meddles()
    async with office.database.tenant_transaction(theirs) as connection:
        assert await connection.fetchval("select count(*) from job") == 0


async def test_one_key_is_one_job(office: Any) -> None:
    office.offer("mail")
    first = await office.queue.enqueue("mail", {"n": 1}, key="welcome ann")
    assert await office.queue.enqueue("mail", {"n": 2}, key="welcome ann") == first
    assert await office.queue.enqueue("mail", key="welcome bob") != first
    assert await office.queue.enqueue("mail", key="welcome ann", org=uuid7()) != first
    assert len(await office.rows()) == 3


async def test_a_job_for_later_waits(office: Any) -> None:
    office.offer("mail")
    await office.queue.enqueue("mail", delay=3600.0)
    take = "select count(*) from journal.take_jobs(array['mail'], 5, 20)"
    assert await office.database.pool.fetchval(take) == 0
    await office.hurry()
    assert await office.database.pool.fetchval(take) == 1


async def test_only_workers_that_know_a_job_take_it(office: Any) -> None:
    office.offer("mail")
    await office.queue.enqueue("mail")
    take = "select count(*) from journal.take_jobs(array['other'], 5, 20)"
    assert await office.database.pool.fetchval(take) == 0


async def test_jobs_that_are_done_are_forgotten_in_the_end(office: Any) -> None:
    office.offer("mail")
    await office.queue.enqueue("mail")
    office.play()
    await office.until("select bool_and(state = 'done') from job")
    sweep = office.database.pool.fetchval
    assert await sweep("select journal.sweep_jobs(3600)") == 0
    assert await sweep("select journal.sweep_jobs(0)") == 1
    assert await office.rows() == []


@pytest.mark.parametrize(
    ("name", "payload", "why"),
    [
        ("male", {}, "no plugin offers it"),
        ("mail", {"x": object()}, "no JSON"),
        ("mail", {"x": "y" * LARGEST_PAYLOAD}, "larger than"),
    ],
)
async def test_what_cannot_be_kept_is_refused(
    name: str, payload: dict[str, Any], why: str, office: Any
) -> None:
    office.offer("mail")
    with pytest.raises(JobRefused, match=why):
        await office.queue.enqueue(name, payload)
    assert await office.rows() == []


async def test_without_a_database_nothing_is_promised() -> None:
    async def run() -> None: ...

    with pytest.raises(EnvironmentUnfit, match="No database is open"):
        await OpenQueue(lambda: [Job(name="mail", run=run)]).enqueue("mail")

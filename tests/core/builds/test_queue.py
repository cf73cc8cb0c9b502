"""Redis as a reminder: it wakes, it runs ordinary jobs, and its absence fails nobody."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from redis import asyncio as redis

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Assignment, Completion, Journal, Submission
from factory_core.builds.loop import Pace
from factory_core.builds.wake import WAKE_LIST, Wake
from factory_core.kernel.queue import EVENTS_CHANNEL, Queue
from factory_core.kernel.worker import WorkerOrder, run_worker

pytestmark = pytest.mark.anyio
NO_REDIS = "redis://127.0.0.1:1/0"


@pytest.fixture
async def queue(valkey_url: str) -> AsyncIterator[Queue]:
    queue = Queue(valkey_url)
    yield queue
    await queue.close()


@pytest.fixture
async def client(valkey_url: str) -> AsyncIterator[Any]:
    client: Any = redis.Redis.from_url(valkey_url)
    yield client
    await client.aclose()


class Noop:
    def __init__(self) -> None:
        self.ran = asyncio.Event()

    async def run(self, assignment: Assignment) -> Completion:
        self.ran.set()
        return Completion()


@pytest.mark.parametrize("wakes", ["list", "arq"])
async def test_a_wake_up_starts_a_build_long_before_the_poll(
    wakes: Any, queue: Queue, client: Any, journal_url: str, valkey_url: str, connection: Any
) -> None:
    runner, stop, journal, org = Noop(), asyncio.Event(), Journal(connection), uuid7()
    pace = Pace(poll=600.0, ttl=6000.0)
    order = WorkerOrder(database_url=journal_url, queue_url=valkey_url, wakes=wakes, pace=pace, arq_poll=0.02)
    worker = asyncio.create_task(run_worker(order, runner, stop=stop))
    try:
        await journal.found(org, "ours")
        async with asyncio.timeout(30):
            while not await connection.fetchval("select bool_or(tick > 0) from worker"):  # noqa: ASYNC110 - its first look is over
                await asyncio.sleep(0.01)
        build = (await journal.submit(Submission(org=org, idem_key="k", spec_digest="s"))).build
        assert await queue.wake(build)
        await asyncio.wait_for(runner.ran.wait(), 60)
    finally:
        stop.set()
        await worker


async def test_news_is_published_and_left_over_work_wakes_others(queue: Queue, client: Any) -> None:
    build = uuid7()
    listener = client.pubsub()
    await listener.subscribe(EVENTS_CHANNEL)
    assert await queue.tell(frozenset([build]), True)
    async with asyncio.timeout(30):
        async for message in listener.listen():
            if message["type"] == "message":
                break
    assert message["data"] == build.bytes
    assert await client.lrange(WAKE_LIST, 0, -1) == [b""]
    await listener.aclose()


async def test_the_list_of_wake_ups_does_not_grow_for_ever(queue: Queue, client: Any) -> None:
    await client.rpush(WAKE_LIST, *[b""] * 5000)
    await queue.wake()
    assert await client.llen(WAKE_LIST) == 1000


@pytest.mark.parametrize("url", [None, NO_REDIS])
async def test_without_redis_nothing_fails(url: str | None) -> None:
    queue = Queue(url)
    assert not await queue.wake(uuid7())
    assert not await queue.ring(uuid7(), queue="notifications")
    assert not await queue.tell(frozenset([uuid7()]), True)
    await queue.close()


async def test_many_offers_become_a_look_at_everything() -> None:
    wake = Wake()
    for _ in range(60):
        wake.kick(uuid7())
    offers, look = wake.take()
    assert len(offers) == 50
    assert look
    assert wake.take() == ((), False)

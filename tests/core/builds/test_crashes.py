"""Whatever dies in the middle of a build, the build ends right."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from redis import asyncio as redis

from factory_core.builds.crashpoints import POINTS, CrashPoints
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal, Submission
from factory_core.kernel.queue import Queue
from factory_core.testing.boot import installed_servers

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PROGRAM = Path(__file__).with_name("worker_process.py")
NO_REDIS = "redis://127.0.0.1:1/0"


class Site:
    """Worker processes on one database, and what they wrote down."""

    def __init__(self, url: str, queue: str, ledger: Path) -> None:
        self.url, self.queue, self.ledger = url, queue, ledger
        self.org = uuid7()
        self.workers: list[asyncio.subprocess.Process] = []

    async def start(self, crashpoint: str = "") -> asyncio.subprocess.Process:
        arguments = [self.url, self.queue, str(self.ledger), *([crashpoint] if crashpoint else [])]
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            str(PROGRAM),
            *arguments,
            stderr=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
        )
        self.workers.append(worker)
        return worker

    async def ask(self, question: Callable[[Journal], Awaitable[Any]]) -> Any:
        connection: Any = await asyncpg.connect(self.url)
        try:
            return await question(Journal(connection))
        finally:
            await connection.close()

    async def submit(self) -> UUID:
        async def submit(journal: Journal) -> UUID:
            await journal.found(self.org, "ours")
            return (await journal.submit(Submission(org=self.org, idem_key="k", spec_digest="s"))).build

        build = await self.ask(submit)
        queue = Queue(self.queue)
        await queue.wake(build)
        await queue.close()
        return build

    async def until(self, build: UUID, reached: Callable[[Any], bool]) -> None:
        async with asyncio.timeout(60):
            while not reached(await self.ask(lambda journal: journal.build(self.org, build))):  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.02)

    async def ended(self, build: UUID) -> None:
        await self.until(build, lambda row: row.ended_at is not None)

    async def check(self, build: UUID) -> None:
        """It passed, every task is done once, no event is missing, and nothing ran after it was done."""
        row = await self.ask(lambda journal: journal.build(self.org, build))
        events = await self.ask(lambda journal: journal.events(self.org, build))
        assert row.state == "passed"
        assert [event.seq for event in events] == list(range(1, row.seq + 1))
        done = {event.task: event for event in events if event.kind == "task.done"}
        assert Counter(event.task for event in events if event.kind == "task.done") == Counter(list(done))
        assert len(done) == row.tasks == 11
        for event in events:
            if event.kind == "task.started":
                assert event.seq < done[event.task].seq
                assert event.fence <= done[event.task].fence
        runs = [line.split() for line in self.ledger.read_text().splitlines()]
        assert all(int(fence) <= done[task].fence for _, task, fence in runs)
        assert Counter(map(tuple, runs)).most_common(1)[0][1] == 1


@pytest.fixture
async def site(journal_url: str, valkey_url: str, tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(journal_url, valkey_url, tmp_path / "ledger")
    yield site
    for worker in site.workers:
        if worker.returncode is None:
            worker.kill()
        await worker.wait()


@pytest.mark.parametrize("point", POINTS)
async def test_a_build_survives_a_crash_at(point: str, site: Site) -> None:
    build = await site.submit()
    crashing = await site.start(f"{point}:2")
    assert await asyncio.wait_for(crashing.wait(), 60) == CrashPoints.EXIT_CODE
    await site.start()
    await site.ended(build)
    await site.check(build)


async def test_a_build_survives_sigkill_of_its_worker(site: Site) -> None:
    build = await site.submit()
    worker = await site.start()
    await site.until(build, lambda row: row.tasks - row.unfinished >= 3)
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    await site.start()
    await site.ended(build)
    await site.check(build)


async def test_a_worker_that_slept_past_its_lease_does_no_harm(site: Site) -> None:
    build = await site.submit()
    worker = await site.start()
    await site.until(build, lambda row: row.tasks - row.unfinished >= 2)
    worker.send_signal(signal.SIGSTOP)
    await site.start()
    await site.ended(build)
    worker.send_signal(signal.SIGCONT)
    await site.check(build)


async def test_a_worker_asked_to_stop_gives_everything_back(site: Site) -> None:
    build = await site.submit()
    worker = await site.start()
    await site.until(build, lambda row: row.tasks > 1)
    worker.terminate()
    assert await asyncio.wait_for(worker.wait(), 30) == 0
    running = "select (select count(*) from worker) + (select count(*) from task where state = 'running')"
    connection: Any = await asyncpg.connect(site.url)
    assert await connection.fetchval(running) == 0
    await connection.close()
    await site.start()
    await site.ended(build)
    await site.check(build)


async def test_a_build_survives_flushall(site: Site) -> None:
    client: Any = redis.Redis.from_url(site.queue)
    build = await site.submit()
    await site.start()
    while not (await site.ask(lambda journal: journal.build(site.org, build))).ended_at:
        await client.flushdb()
    await client.aclose()
    await site.check(build)


async def test_a_build_needs_no_redis_at_all(site: Site) -> None:
    site.queue = NO_REDIS
    build = await site.submit()
    await site.start()
    await site.ended(build)
    await site.check(build)


@pytest.fixture
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, Path]]:
    """A PostgreSQL that a test may stop."""
    home = tmp_path_factory.mktemp("pg")
    database, _ = installed_servers(home)
    database.start(home)
    yield database, home
    database.stop(home)


async def test_a_build_survives_an_immediate_restart_of_postgresql(
    own_server: tuple[Any, Path], tmp_path: Path, scripts: Callable[[str], Awaitable[None]], valkey_url: str
) -> None:
    server, home = own_server
    await scripts(server.url(home))
    site = Site(server.url(home), valkey_url, tmp_path / "ledger")
    build = await site.submit()
    worker = await site.start()
    try:
        await site.until(build, lambda row: row.tasks - row.unfinished >= 3)
        pid = int(next(home.rglob("postmaster.pid")).read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)  # immediate: nothing is flushed, the log is replayed at the next start
        while server.alive(home):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)
        await asyncio.to_thread(server.start, home)
        await site.ended(build)
        await site.check(build)
    finally:
        worker.kill()
        await worker.wait()

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import AsyncIterator, Callable
from importlib.metadata import EntryPoint, distributions
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from factory_core.builds.line import connect_to
from factory_core.contracts.jobs import Job
from factory_core.kernel.boot import Studio, start
from factory_core.kernel.database import Database, open_database
from factory_core.kernel.enqueue import OpenQueue
from factory_core.kernel.jobs import JobLoop, JobPace
from factory_core.settings import KernelSettings, read_sources
from factory_core.testing.databases import DatabaseFactory, run_apart
from factory_migrations.core.scripts import JOURNAL

HEAD = "from factory_core.hooks import hookimpl\n"


class Shelf:
    """A folder of installed distributions, found as pip's are."""

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home

    def add(self, name: str, source: str, *, first_party: bool = False, distribution: str = "") -> str:
        """Install a plugin of one module."""
        module = f"m{uuid4().hex}"
        (self.folder / f"{module}.py").write_text(HEAD + textwrap.dedent(source))
        distribution = distribution or f"factory-plugin-{name}"
        info = self.folder / f"{distribution.replace('-', '_')}-1.2.3.dist-info"
        info.mkdir()
        keywords = "Keywords: factory-studio-first-party\n" if first_party else ""
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n{keywords}"
        )
        (info / "entry_points.txt").write_text(f"[factory.plugins]\n{name} = {module}\n")
        return module

    def entry_points(self) -> list[EntryPoint]:
        return [point for dist in distributions(path=[str(self.folder)]) for point in dist.entry_points]

    def boot(self, **variables: str) -> Studio:
        """Boot with these plugins and no others."""
        sources = read_sources({"FACTORY_HOME": str(self.home), **variables})
        return start(sources, found=self.entry_points())


@pytest.fixture
def shelf(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return Shelf(folder, home)


@pytest.fixture
def write_settings(home: Path) -> Callable[[str], None]:
    return lambda text: (home / "studio.toml").write_text(textwrap.dedent(text)) and None


@pytest.fixture(scope="module")
def job_template(make_database: DatabaseFactory) -> str:
    url = make_database()

    async def fill() -> None:
        connection: Any = await asyncpg.connect(url)
        for script in JOURNAL:
            await connection.execute(script.read_text())
        await connection.close()

    run_apart(fill)
    return url


@pytest.fixture
async def opened(make_database: DatabaseFactory, job_template: str) -> AsyncIterator[Database]:
    url = make_database(job_template)
    async with open_database(url, KernelSettings()) as database:
        yield database
    make_database.drop(url)


class Office:
    """Jobs that note what they were asked, their queue, and loops that run them."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.jobs: list[Job] = []
        self.ran: list[dict[str, Any]] = []
        self.again = asyncio.Event()
        self.queue = OpenQueue(lambda: self.jobs)
        self.loops: list[tuple[JobLoop, asyncio.Task[None]]] = []

    def offer(self, name: str, work: Callable[..., Any] | None = None, **more: Any) -> None:
        async def run(**payload: Any) -> None:
            self.ran.append(payload)
            self.again.set()
            if work is not None:
                await work(**payload)

        self.jobs.append(Job(name=name, run=run, **more))

    def play(self, **pace: Any) -> JobLoop:
        loop = JobLoop(connect_to(self.database.url), self.jobs, pace=JobPace(**{"poll": 0.02, **pace}))
        self.loops.append((loop, asyncio.create_task(loop.run())))
        return loop

    async def stop(self) -> None:
        for loop, task in self.loops:
            loop.stop()
            await task
        self.loops.clear()

    async def rows(self, table: str = "job") -> list[dict[str, Any]]:
        return [dict(r) for r in await self.database.pool.fetch(f"select * from {table} order by created_at")]

    async def until(self, query: str) -> None:
        async with asyncio.timeout(60):
            while not await self.database.pool.fetchval(query):  # noqa: ASYNC110 - PostgreSQL tells nobody
                await asyncio.sleep(0.01)

    async def hurry(self) -> None:
        """Nobody waits for a second try."""
        await self.database.pool.execute("update job set run_at = now() where state = 'waiting'")


@pytest.fixture
async def office(opened: Database) -> AsyncIterator[Office]:
    office = Office(opened)
    yield office
    await office.stop()

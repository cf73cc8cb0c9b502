"""A journal for each test: a copy of one migrated database."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec import Struct, field

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import (
    Assignment,
    Completion,
    CompletionKind,
    Journal,
    NewEdge,
    NewTask,
    Report,
    Submission,
)
from factory_core.builds.packing import Packer
from factory_core.builds.service import BuildService
from factory_core.builds.shares import OrganisationShare
from factory_core.testing.databases import DatabaseFactory, run_apart
from factory_migrations.core.scripts import JOURNAL


async def apply_scripts(url: str, change: Callable[[str, str], str] = lambda _, text: text) -> None:
    connection: Any = await asyncpg.connect(url)
    try:
        for script in JOURNAL:
            await connection.execute(change(script.name, script.read_text()))
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def scripts() -> Callable[[str], Awaitable[None]]:
    """``await scripts(url)``: the journal's SQL."""
    return apply_scripts


@pytest.fixture(scope="session")
def mutated(make_database: DatabaseFactory) -> Callable[[str, str, str], AbstractContextManager[str]]:
    """``with mutated(file, rule, mutation) as url``: a journal without a rule of that script."""

    @contextmanager
    def mutated(file: str, rule: str, mutation: str) -> Generator[str]:
        changed: list[str] = []

        def change(script: str, text: str) -> str:
            if script.startswith(file) and rule in text:
                changed.append(script)
                return text.replace(rule, mutation)
            return text

        url = make_database()
        try:
            run_apart(lambda: apply_scripts(url, change))
            assert changed, "the rule is no longer spelt like this"
            yield url
        finally:
            make_database.drop(url)

    return mutated


@pytest.fixture(scope="session")
def journal_template(make_database: DatabaseFactory) -> str:
    """A database with the journal's tables and functions. Nobody connects to it."""
    url = make_database()
    run_apart(lambda: apply_scripts(url))
    return url


@pytest.fixture
def journal_url(make_database: DatabaseFactory, journal_template: str) -> Iterator[str]:
    """A journal of the test's own."""
    url = make_database(journal_template)
    yield url
    make_database.drop(url)


@pytest.fixture
async def connection(journal_url: str) -> AsyncIterator[Any]:
    opened: Any = await asyncpg.connect(journal_url)
    yield opened
    await opened.close()


class Desk(Struct):
    """One organisation, one worker, and the few moves most tests make."""

    journal: Journal
    connection: Any
    org: UUID
    worker: UUID
    tick: int = 0

    async def turn(
        self, *reports: tuple[Assignment, Completion], want: int = 50, scan: bool = True, **more: Any
    ) -> Any:
        self.tick += 1
        sent = [Report.of(attempt, completion) for attempt, completion in reports]
        return await self.journal.step(self.worker, self.tick, sent, want=want, scan=scan, **more)

    async def submit(self, key: str = "key", **more: Any) -> UUID:
        order = Submission(org=self.org, idem_key=key, spec_digest="spec", **more)
        return (await self.journal.submit(order)).build

    async def planned(
        self, tasks: Sequence[NewTask], edges: Sequence[tuple[str, str]] = (), **more: Any
    ) -> tuple[UUID, dict[str, Assignment]]:
        """A build with this plan, and what could be started of it."""
        build = await self.submit(str(uuid7()), **more)
        plan = next(a for a in (await self.turn()).started if a.build == build)
        done = Completion(tasks=tuple(tasks), edges=tuple(NewEdge(*edge) for edge in edges))
        turn = await self.turn((plan, done))
        return build, {attempt.task: attempt for attempt in turn.started}

    async def states(self, build: UUID) -> dict[str, str]:
        return {t.id: str(t.state) for t in await self.journal.tasks(self.org, build) if t.id != "plan"}

    async def kinds(self, build: UUID) -> list[str]:
        return [e.kind for e in await self.journal.events(self.org, build)]

    async def state(self, build: UUID) -> str:
        return str((await self.journal.build(self.org, build)).state)

    async def age(self, seconds: float) -> None:
        """Let the database's clock jump."""
        await self.connection.execute(
            "create or replace function factory_now() returns timestamptz language sql volatile as"
            f" $$ select clock_timestamp() + {seconds} * interval '1 second' $$"
        )


async def open_desk(connection: Any) -> Desk:
    desk = Desk(journal=Journal(connection), connection=connection, org=uuid7(), worker=uuid7())
    await desk.journal.found(desk.org, "ours")
    await desk.journal.enlist(desk.worker, "desk", 50)
    return desk


@pytest.fixture
async def desk(connection: Any) -> Desk:
    return await open_desk(connection)


@pytest.fixture
def desk_over() -> Callable[[Any], Awaitable[Desk]]:
    """``await desk_over(connection)``: a desk on another journal."""
    return open_desk


STILL_CLOCK = """create or replace function factory_now() returns timestamptz language sql volatile as
$$ select '2026-01-01T00:00:00Z'::timestamptz + current_setting('test.now')::float8 * interval '1 second' $$"""


class Floor(Struct):
    """Several organisations and workers under a clock that stands still between rounds."""

    journal: Journal
    connection: Any
    url: str
    now: float = 0.0
    names: dict[UUID, str] = field(default_factory=dict)
    ticks: dict[UUID, int] = field(default_factory=dict)
    running: dict[UUID, deque[Any]] = field(default_factory=dict)
    started: Counter[str] = field(default_factory=Counter)

    async def wait(self, seconds: float) -> None:
        self.now += seconds
        await self.connection.execute(f"set test.now = '{self.now}'")

    async def hire(self) -> UUID:
        worker = uuid7()
        await self.journal.enlist(worker, "w", 100)
        self.ticks[worker], self.running[worker] = 0, deque()
        return worker

    async def organisation(self, name: str, **share: Any) -> UUID:
        org = uuid7()
        self.names[org] = name
        await self.journal.found(org, name)
        await self.journal.shares.give(org, OrganisationShare(**share))
        return org

    async def flood(self, org: UUID, tasks: int, **more: Any) -> UUID:
        """A build with so many ready tasks, planned by a worker that comes and goes."""
        planner = uuid7()
        await self.journal.enlist(planner, "planner", 1)
        order = Submission(org=org, idem_key=str(uuid7()), spec_digest="s", max_agents=100_000, **more)
        build = (await self.journal.submit(order)).build
        plan = (await self.journal.step(planner, 1, want=1, scan=False, offers=[build])).started[0]
        rows = tuple(NewTask(id=f"t{n}", agent="x") for n in range(tasks))
        await self.journal.step(planner, 2, [Report.of(plan, Completion(tasks=rows))], want=0, scan=False)
        await self.journal.leave(planner)
        return build

    async def turn(self, worker: UUID, *, slots: int, ends: int = 0, reserved: int = 0) -> list[str]:
        """The first ``ends`` of what the worker runs end, and its free slots are filled: whose tasks started."""
        running = self.running[worker]
        done = [running.popleft() for _ in range(min(ends, len(running)))]
        free = slots - len(running)
        self.ticks[worker] += 1
        turn = await self.journal.step(
            worker,
            self.ticks[worker],
            [Report.of(attempt, Completion()) for attempt in done],
            want=free,
            scan=True,
            keep=max(0, free - max(0, free - reserved)),
        )
        running.extend(turn.started)
        names = [self.names[attempt.org] for attempt in turn.started]
        self.started.update(names)
        return names


async def open_floor(connection: Any, url: str) -> Floor:
    await connection.execute(STILL_CLOCK)
    floor = Floor(journal=Journal(connection), connection=connection, url=url)
    await floor.wait(0.0)
    return floor


@pytest.fixture
async def floor(connection: Any, journal_url: str) -> Floor:
    return await open_floor(connection, journal_url)


@pytest.fixture
def floor_over() -> Callable[[Any, str], Awaitable[Floor]]:
    """``await floor_over(connection, url)``: a floor on another journal."""
    return open_floor


@pytest.fixture
def noop() -> Callable[..., NewTask]:
    return lambda name, **more: NewTask(id=name, agent=more.pop("agent", "noop"), **more)


@pytest.fixture
def ending() -> Callable[..., Completion]:
    return lambda kind, **more: Completion(kind=CompletionKind(kind), **more)


@pytest.fixture
def git(git: Callable[..., str]) -> Callable[..., str]:
    """What git says, without blanks around."""
    return lambda *arguments: git(*arguments).strip()


@pytest.fixture(scope="session")
def model() -> ModuleType:
    """``journal_boards.py`` on top of what it imports; tests are no packages, so they are loaded by their paths."""
    return [_loaded(f"journal_{name}") for name in ("model", "packing", "machine", "control", "boards")][-1]


@pytest.fixture(scope="session")
def tracks() -> ModuleType:
    """``track_studio.py``."""
    return _loaded("track_studio")


@pytest.fixture
async def pool(journal_url: str) -> AsyncIterator[Any]:
    """Connections to the test's journal."""
    library: Any = asyncpg
    async with library.create_pool(journal_url, min_size=1, max_size=6) as pool:
        yield pool


@pytest.fixture
def old(desk: Any, noop: Callable[..., NewTask], pool: Any, tmp_path: Path) -> Any:
    """``old_builds.py``: builds that ended long ago."""
    return _loaded("old_builds").OldBuilds(desk, noop, pool, tmp_path)


def _loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def studio(desk: Any, tmp_path: Path, tracks: ModuleType) -> Any:
    """A studio in this process, whose template has tracks."""
    return tracks.Studio(desk, tmp_path / "home")


@pytest.fixture
def wire(old: Any) -> Any:
    """The storage of the old builds."""
    return old.wire


@pytest.fixture
def packer(pool: Any, wire: Any) -> Packer:
    """Packs whatever has ended."""
    return Packer(pool, wire, after_seconds=0.0)


@pytest.fixture
def packed_service(pool: Any, wire: Any) -> BuildService:
    """Plans nothing, so it needs no planner."""
    unused: Any = None
    return BuildService(Journal(pool), unused, wire, {}, unused)

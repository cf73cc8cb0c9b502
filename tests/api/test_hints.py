"""Whatever happens to a build reaches those who follow it at once, whoever brought it about."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import pytest
from msgspec import Struct
from msgspec.structs import replace

from factory_api.events import follow
from factory_api.service import BuildDesk
from factory_core.builds.deadletters import DeadLetters
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import (
    Assignment,
    Completion,
    CompletionKind,
    Journal,
    NewTask,
    Report,
    Submission,
)
from factory_core.builds.loop import BuildLoop, Pace, connect_to
from factory_core.builds.service import BuildService
from factory_core.kernel.database import LOCAL_ORGANISATION, Database, open_database
from factory_core.kernel.hints import Hints
from factory_core.kernel.office import make_service
from factory_core.kernel.queue import Queue

pytestmark = pytest.mark.anyio
ORG = LOCAL_ORGANISATION
FAILED = Completion(kind=CompletionKind.FAILED, reason="why")
PACE = Pace(ttl=20.0, poll=0.02, check=0.02, grace=0.1)


class Patient(Hints):
    """Nobody looks unless told to, and it says when somebody waits to be told."""

    def __init__(self, url: str | None) -> None:
        super().__init__(url)
        self.asleep = asyncio.Event()

    @property
    def patience(self) -> float:
        self.asleep.set()
        return 1e9


class Scene(Struct):
    """A build whose task ``a`` runs, of which nobody was told, and what acts on it. ``queue`` tells, or does not."""

    studio: Any
    client: Any
    database: Database
    journal: Journal
    queue: Queue
    build: UUID
    attempt: Assignment
    worker: UUID
    tick: int = 2
    seen: int = 0
    """Whoever follows has the events up to this number."""

    @property
    def service(self) -> BuildService:
        return make_service(self.studio, self.journal, self.queue)

    @property
    def letters(self) -> DeadLetters:
        return DeadLetters(self.database.pool, self.database.pool, ORG, self.queue)

    @property
    def letter(self) -> str:
        return f"{self.build}:a"

    async def report(self, completion: Completion | None = None) -> None:
        """As a worker that tells nobody; without a completion it is only alive."""
        self.tick += 1
        reports = [Report.of(self.attempt, completion)] if completion else []
        await self.journal.step(self.worker, self.tick, reports, want=0, scan=False)

    async def age(self, seconds: float) -> None:
        await self.database.pool.execute(
            "create or replace function factory_now() returns timestamptz language sql volatile as"
            f" $$ select clock_timestamp() + {seconds} * interval '1 second' $$"
        )

    async def told(self, kind: str) -> bool:
        """Whether the journal has such an event since."""
        events = await self.journal.events(ORG, self.build, after=self.seen)
        return any(event.kind == kind for event in events)

    async def work(self, until: str) -> None:
        """A real worker works until the journal has an event of this kind, and leaves."""

        class Runner:
            async def run(self, assignment: Assignment) -> Completion:
                await asyncio.Event().wait()
                raise AssertionError

        connect = connect_to(self.studio.database_url())
        loop = BuildLoop(connect, Runner(), slots=2, pace=PACE, tell=self.queue.tell)
        running = asyncio.create_task(loop.run())
        while not await self.told(until):  # noqa: ASYNC110 - the loop brings it about
            await asyncio.sleep(0.01)
        loop.stop()
        await running


@pytest.fixture
async def scene(studio: Any, client: Any) -> AsyncIterator[Scene]:
    async with open_database(studio.database_url(), studio.settings) as database:
        journal, worker, queue = Journal(database.pool), uuid7(), Queue(studio.queue_url())
        await journal.found(ORG, "local")
        await journal.enlist(worker, "silent", 5)
        order = Submission(org=ORG, idem_key="key", spec_digest="spec", max_seconds=100.0)
        build = (await journal.submit(order)).build
        (plan,) = (await journal.step(worker, 1, want=1, scan=True)).started
        later = NewTask(
            id="later", agent="x", delay=1e6
        )  # so that the build is open whatever becomes of the other
        done = Completion(tasks=(NewTask(id="a", agent="x", deadline_seconds=10.0), later))
        (attempt,) = (await journal.step(worker, 2, [Report.of(plan, done)], want=1, scan=True)).started
        yield Scene(studio, client, database, journal, queue, build, attempt, worker)
        await queue.close()


async def paused(scene: Scene) -> None:
    await scene.journal.control.pause(ORG, scene.build)


async def halted(scene: Scene) -> None:
    query = "select journal.halt($1, 'a', 'a key', factory_now())"
    assert await scene.database.pool.fetchval(query, scene.build)


async def failed(scene: Scene) -> None:
    await scene.report(FAILED)


async def quarantined(scene: Scene) -> None:
    pool = scene.database.pool
    await pool.execute("update task set crashes = 2 where build_id = $1", scene.build)
    await pool.execute("update worker set beat_at = '2020-01-01'")
    assert await scene.journal.reap(20.0) == {scene.build}


async def overdue(scene: Scene) -> None:
    """Paused, so that the worker that notices does not start the task again and tell of that."""
    await paused(scene)
    await scene.age(11)


async def silent(scene: Scene) -> None:
    await paused(scene)
    await scene.age(21)


async def out_of_time(scene: Scene) -> None:
    await scene.database.pool.execute("update task set deadline_at = null")
    await scene.age(101)
    await scene.report()


async def given_up(scene: Scene) -> None:
    """Ready for another worker, which leaves with it."""
    await scene.journal.leave(scene.worker)


Move = Callable[[Scene], Awaitable[Any]]
MOVES: dict[str, tuple[Move | None, Move, str]] = {
    "a pause": (None, lambda s: s.service.pause(ORG, s.build, by="me"), "build.paused"),
    "an end of a pause": (paused, lambda s: s.service.resume(ORG, s.build, by="me"), "build.resumed"),
    "an approval": (halted, lambda s: s.service.decide(ORG, s.build, approve=True, by="me"), "build.decided"),
    "a rejection": (
        halted,
        lambda s: s.service.decide(ORG, s.build, approve=False, by="me"),
        "build.decided",
    ),
    "a cancel": (None, lambda s: s.service.cancel(ORG, s.build), "build.stopping"),
    "a retry": (failed, lambda s: s.service.retry(ORG, s.build, by="me"), "build.retried"),
    "a letter retried": (quarantined, lambda s: s.letters.retry(s.letter), "build.retried"),
    "a letter discarded": (quarantined, lambda s: s.letters.discard(s.letter), "task.discarded"),
    "a deadline": (overdue, lambda s: s.work("task.retrying"), "task.retrying"),
    "a lost lease": (silent, lambda s: s.work("task.lease_lost"), "task.lease_lost"),
    "the end of the build's time": (out_of_time, lambda s: s.work("build.ended"), "build.ended"),
    "a worker that leaves": (given_up, lambda s: s.work("task.started"), "task.lease_lost"),
}
"""What was before, what happens, and what tells of it."""
ALWAYS = {"a pause", "a lost lease", "a worker that leaves"}
"""What is controlled in every run; ``make verify`` controls it all."""
OVER_HTTP: dict[str, tuple[Move | None, Move, str]] = {
    "a letter retried": (
        quarantined,
        lambda s: s.client.post("/api/v1/queue/dead/retry", json={"id": s.letter}),
        "build.retried",
    ),
    "a letter discarded": (
        quarantined,
        lambda s: s.client.post("/api/v1/queue/dead/discard", json={"id": s.letter}),
        "task.discarded",
    ),
    "a pause": (
        None,
        lambda s: s.client.post(f"/api/v1/builds/{s.build}/pause", json={}),
        "build.paused",
    ),
}


class Following:
    """A stream from now on, which ends with an event of a kind."""

    def __init__(self, scene: Scene, hints: Patient, kind: str) -> None:
        desk = BuildDesk(scene.service, scene.journal, scene.database, ORG)
        self._stream = follow(desk, hints, scene.build, scene.seen)
        self._kind = kind
        self.found = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._stream:
            if message.event == self._kind:
                return
        raise AssertionError("the build ended without it")


@pytest.fixture
async def hints(studio: Any) -> AsyncIterator[Patient]:
    hints = Patient(studio.queue_url())
    listener = asyncio.create_task(hints.run())
    await hints.listening.wait()
    yield hints
    listener.cancel()
    with suppress(asyncio.CancelledError):
        await listener


async def followed(scene: Scene, hints: Patient, before: Move | None, kind: str) -> Following:
    """Whoever follows has seen all there is and waits."""
    if before is not None:
        await before(scene)
    scene.seen = (await scene.journal.build(ORG, scene.build)).seq
    following = Following(scene, hints, kind)
    await hints.asleep.wait()
    return following


@pytest.mark.parametrize("name", MOVES)
async def test_it_is_told_to_whoever_follows(name: str, scene: Scene, hints: Patient) -> None:
    before, move, kind = MOVES[name]
    async with asyncio.timeout(60):
        following = await followed(scene, hints, before, kind)
        await move(scene)
        await following.found


@pytest.mark.parametrize("name", OVER_HTTP)
async def test_so_is_what_is_asked_of_the_api(name: str, scene: Scene, hints: Patient) -> None:
    before, move, kind = OVER_HTTP[name]
    async with asyncio.timeout(60):
        following = await followed(scene, hints, before, kind)
        assert (await move(scene)).is_success
        await following.found


@pytest.mark.parametrize(
    "name",
    [name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow) for name in MOVES],
)
async def test_untold_it_is_not_seen(name: str, scene: Scene, hints: Patient) -> None:
    """Negative control: the same without Redis. It happens, and a follower who never polls sees nothing of it."""
    before, move, kind = MOVES[name]
    async with asyncio.timeout(60):
        following = await followed(scene, hints, before, kind)
        other = uuid7()
        with hints.watch(scene.build) as bell, hints.watch(other) as later:
            await move(replace(scene, queue=Queue(None)))
            assert await scene.told(kind)
            # Hints come in the order they were given, so one about this build would be here before this one.
            await scene.queue.tell(frozenset((other,)), False)
            await later.wait()
            assert not bell.is_set()
        assert not following.found.done()
        await scene.queue.tell(frozenset((scene.build,)), False)
        await following.found

"""Agents that somebody else asks for patience: through the real runner and the real loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from factory_core.builds.figures import queue_figures
from factory_core.builds.journal import Completion, CompletionKind, Journal, NewTask
from factory_core.builds.loop import BuildLoop, Pace, connect_to
from factory_core.contracts.agent import Outcome, Tools, Work
from factory_core.errors import RateLimited

pytestmark = pytest.mark.anyio
QUICK = Pace(ttl=20.0, poll=0.02, check=0.02, grace=5.0)


@pytest.fixture
def build(studio: Any, tracks: ModuleType, journal_url: str, pool: Any) -> Callable[[], Awaitable[UUID]]:
    """A whole build, by one worker that runs one agent at a time."""
    studio.desk.journal = Journal(pool)  # for the agents and for who watches

    async def build() -> UUID:
        spec = await studio.blobs.put(tracks.SPEC)
        params = {"spec": spec, "spec_name": "cards.yaml", "template": "t", "max_agents": ""}
        made = await studio.desk.submit(params=params)
        loop = BuildLoop(connect_to(journal_url), studio.runner(), pace=QUICK, slots=1)
        task = asyncio.create_task(loop.run())
        try:
            async with asyncio.timeout(30):
                while (await studio.desk.journal.build(studio.desk.org, made)).ended_at is None:  # noqa: ASYNC110 - a loop does it
                    await asyncio.sleep(0.01)
        finally:
            loop.stop()
            await asyncio.wait_for(task, 30)
        return made

    return build


async def limited_for_ever(self: Any, work: Work, tools: Tools) -> Outcome:
    raise RateLimited("429 Too Many Requests", 0.1)


async def parked(studio: Any, build: UUID) -> list[str]:
    """The tasks that were parked, and that it cost them no try."""
    events = [e for e in await studio.desk.journal.events(studio.desk.org, build) if e.kind == "task.parked"]
    assert all("429" in e.body["reason"] for e in events)
    tries = {task.tries for task in await studio.desk.journal.tasks(studio.desk.org, build)}
    assert tries == {0}
    return sorted({str(e.task) for e in events})


async def test_a_rate_limit_parks_the_task_and_its_slot_does_other_work(
    build: Callable[[], Awaitable[UUID]], studio: Any, tracks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two tasks is limited until the other has run: with its slot taken, that would be for ever."""
    asked: list[str] = []
    original = tracks.Builder.run

    async def limited(self: Any, work: Work, tools: Tools) -> Outcome:
        if work.params["work"] == "models":
            asked.append(work.task)
            if len({*asked}) == 1:
                raise RateLimited("429 Too Many Requests", 0.1)
        return await original(self, work, tools)

    monkeypatch.setattr(tracks.Builder, "run", limited)
    made = await build()
    assert await studio.desk.state(made) == "passed"
    assert await parked(studio, made) == [asked[0]]


async def test_a_rate_limit_of_the_check_before_a_merge_parks_the_merge(
    build: Callable[[], Awaitable[UUID]], studio: Any
) -> None:
    asked: list[str] = []
    original = studio.integrator.run

    async def limited(work: Work, tools: Tools) -> Outcome:
        asked.append(work.task)
        if asked.count("merge/core") == 1 and work.task == "merge/core":
            raise RateLimited("429 Too Many Requests", 0.1)
        return await original(work, tools)

    studio.integrator.run = limited
    made = await build()
    assert await studio.desk.state(made) == "passed"
    assert await parked(studio, made) == ["merge/core"]
    assert asked.count("merge/core") == 2


async def test_an_agent_that_is_limited_for_ever_fails_its_build_in_the_end(
    build: Callable[[], Awaitable[UUID]], studio: Any, tracks: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await studio.desk.connection.fetchval("select journal.patience()") == 24 * 60 * 60
    await studio.desk.connection.execute(
        "create or replace function journal.patience() returns double precision language sql as"
        " 'select 0.35::double precision'"
    )
    monkeypatch.setattr(tracks.Builder, "run", limited_for_ever)
    made = await build()
    assert await studio.desk.state(made) == "failed"
    events = await studio.desk.journal.events(studio.desk.org, made)
    assert [str(e.kind) for e in events if e.task == "skeleton" and e.kind != "task.started"] == [
        *["task.parked"] * 3,
        "task.failed",
    ]
    (failure,) = [row for row in (await studio.report(made))["failures"] if row["task"] == "skeleton"]
    assert failure["reason"].startswith("429 Too Many Requests. It had waited for that for 0 s")


async def test_who_is_parked_is_counted_and_a_retry_starts_with_new_patience(
    desk: Any, noop: Callable[..., NewTask]
) -> None:
    build, started = await desk.planned([noop("a"), noop("later", delay=1e6), noop("busy")])
    park = Completion(kind=CompletionKind.PARK, reason="429", delay=3600.0)
    for hour in range(24):
        await desk.turn((started["a"], park))
        (builds,) = await queue_figures(desk.connection)
        assert (builds.parked, builds.waiting, builds.running) == (1, 2, 1)
        await desk.age(3601.0 * (hour + 1))
        await desk.connection.fetchval("select journal.fire()")
        started |= {attempt.task: attempt for attempt in (await desk.turn()).started}
    assert (await queue_figures(desk.connection))[0].parked == 0
    await desk.turn((started["a"], park), want=0)
    assert (await desk.states(build))["a"] == "failed"
    assert "waited for that for 86400 s" in next(
        row.reason for row in await desk.journal.results(desk.org, build, ["a"])
    )
    await desk.journal.control.retry(desk.org, build, tasks=["a"])
    again = next(attempt for attempt in (await desk.turn()).started if attempt.task == "a")
    await desk.turn((again, park))
    assert (await desk.states(build))["a"] == "waiting"

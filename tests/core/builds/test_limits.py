"""Agents that somebody else asks for patience: through the real runner and the real loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest

from factory_core.builds.journal import Journal
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

"""Whose command is next where only so many run at once."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factory_core.contracts.sandbox import HostShare, SandboxJob, SandboxResult
from factory_core.sandbox.turns import TakingTurns

pytestmark = pytest.mark.anyio


class Held:
    """A backend whose commands end when the test says so."""

    name = "held"

    def __init__(self) -> None:
        self.running: list[tuple[str, asyncio.Future[None]]] = []
        self.most = 0

    async def run(self, job: SandboxJob) -> SandboxResult:
        end = asyncio.get_running_loop().create_future()
        self.running.append((job.command[0], end))
        self.most = max(self.most, len(self.running))
        try:
            await end
        finally:
            self.running.remove((job.command[0], end))
        return SandboxResult(exit_code=0, stdout=b"", stderr=b"", seconds=0.0)

    @property
    def names(self) -> list[str]:
        return sorted(name for name, _ in self.running)

    async def end(self, name: str) -> None:
        next(end for running, end in self.running if running == name).set_result(None)
        await settle()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def job(org: str, project: str = "p", *, weight: int = 1, part: int = 1) -> SandboxJob:
    shares = (HostShare(name=org, weight=weight), HostShare(name=project, weight=part))
    return SandboxJob(command=(f"{org}/{project}",), work=Path(), shares=shares)


class Room:
    """Jobs ordered with ``order``; all are over when the block ends."""

    def __init__(self, at_once: int) -> None:
        self.sandbox = Held()
        self.turns = TakingTurns(self.sandbox, at_once)
        self.tasks: list[asyncio.Task[SandboxResult]] = []

    async def order(self, *jobs: SandboxJob) -> None:
        self.tasks += [asyncio.create_task(self.turns.run(each)) for each in jobs]
        await settle()

    async def __aenter__(self) -> Room:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def test_no_more_run_than_there_are_turns() -> None:
    async with Room(2) as room:
        await room.order(*[job("a")] * 5)
        assert room.sandbox.names == ["a/p"] * 2
        await room.sandbox.end("a/p")
        assert room.sandbox.names == ["a/p"] * 2


async def test_who_runs_nothing_waits_for_nobody() -> None:
    async with Room(2) as room:
        await room.order(*[job("flood")] * 20)
        await room.order(job("b"), job("b"))
        assert room.sandbox.names == ["b/p", "flood/p", "flood/p"], "one of b, the other waits"
        await room.sandbox.end("flood/p")
        assert room.sandbox.names == ["b/p", "flood/p"], "that was one more than there are turns"
        await room.sandbox.end("b/p")
        assert room.sandbox.names == ["b/p", "flood/p"]


async def test_who_comes_to_a_full_host_has_its_part_of_the_turns_at_once() -> None:
    async with Room(6) as room:
        await room.order(*[job("flood")] * 20)
        await room.order(*[job("b", weight=2)] * 20)
        assert room.sandbox.names == ["b/p"] * 4 + ["flood/p"] * 6
        for _ in range(5):
            await room.sandbox.end("flood/p")
        assert room.sandbox.names == ["b/p"] * 4 + ["flood/p"] * 2, "which is its part, too"


async def test_an_organisation_that_has_left_takes_no_part() -> None:
    async with Room(4) as room:
        await room.order(job("gone", weight=100))
        await room.sandbox.end("gone/p")
        await room.order(*[job("a")] * 9, *[job("b")] * 9)
        assert room.sandbox.names == ["a/p"] * 4 + ["b/p"] * 2


async def test_each_end_lets_in_who_runs_least_for_its_weight() -> None:
    async with Room(6) as room:
        await room.order(*[job("a", "z")] * 6, *[job("a", "x")] * 20, *[job("a", "y", part=2)] * 20)
        for _ in range(6):
            await room.sandbox.end("a/z")
        assert room.sandbox.names == ["a/x"] * 2 + ["a/y"] * 4


@pytest.mark.parametrize("when", ["waiting", "running", "given"])
async def test_a_cancelled_command_gives_its_turn_back(when: str) -> None:
    async with Room(1) as room:
        await room.order(job("a", "first"), job("a", "second"), job("a", "third"))
        if when == "given":  # its turn has come, and it has not noticed yet
            next(end for _, end in room.sandbox.running).set_result(None)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        room.tasks[0 if when == "running" else 1].cancel()
        await settle()
        expected = {"waiting": "a/first", "running": "a/second", "given": "a/third"}
        assert room.sandbox.names == [expected[when]]


async def test_jobs_without_a_share_are_one_organisation_more() -> None:
    async with Room(1) as room:
        await room.order(job("a"), *[SandboxJob(command=("nobody",), work=Path())] * 2)
        assert room.sandbox.names == ["a/p", "nobody"]


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 4), st.integers(1, 30))
def test_every_command_gets_its_turn_and_the_count_is_kept(
    dice: random.Random, at_once: int, count: int
) -> None:
    async def run() -> None:
        async with Room(at_once) as room:
            orgs = "abc"
            for _ in range(count):
                await room.order(job(dice.choice(orgs), dice.choice("xy"), weight=dice.randint(1, 3)))
                if dice.random() < 0.3:
                    dice.choice(room.tasks).cancel()
                    await settle()
                if room.sandbox.names and dice.random() < 0.4:
                    await room.sandbox.end(dice.choice(room.sandbox.names))
                assert len(room.sandbox.running) <= at_once * len(orgs)
                waiting = sum(not task.done() for task in room.tasks) - len(room.sandbox.running)
                assert not waiting or len(room.sandbox.running) >= at_once
            while room.sandbox.running:
                await room.sandbox.end(dice.choice(room.sandbox.names))
            assert all(task.done() for task in room.tasks)

    asyncio.run(run())

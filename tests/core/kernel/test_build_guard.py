"""Who watches a build also watches that somebody builds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from factory_core.kernel.commands.build_guard import DEATHS, Guard, WorkersKeepDying
from factory_core.kernel.supervisor_state import FileLock, SupervisorState, run_folder, write_state

pytestmark = pytest.mark.anyio


class Renewing:
    """Counts how often the supervisor had to be brought back."""

    def __init__(self) -> None:
        self.renewed = 0

    def renew(self) -> SupervisorState:
        self.renewed += 1
        return state(0)


def state(worker: int) -> SupervisorState:
    children = {"worker": worker} if worker else {}
    return SupervisorState(pid=os.getpid(), started=0.0, phase="ready", children=children)


@pytest.fixture
def supervised(home: Path) -> Iterator[Path]:
    """A home whose supervisor is this process."""
    lock = FileLock(run_folder(home) / "supervisor.lock")
    assert lock.take()
    yield home
    lock.close()


async def test_a_worker_that_is_new_at_every_look_is_told_with_its_last_words(supervised: Path) -> None:
    (supervised / "logs").mkdir()
    (supervised / "logs" / "worker.log").write_text("no such table\n")
    guard = Guard(Renewing(), supervised, every=0.0)
    for pid in range(1, DEATHS + 1):
        write_state(supervised, state(pid))
        await guard.look()
    write_state(supervised, state(DEATHS + 1))
    with pytest.raises(WorkersKeepDying, match="no such table"):
        await guard.look()


async def test_a_worker_that_stays_is_left_alone(supervised: Path) -> None:
    write_state(supervised, state(7))
    guard = Guard(Renewing(), supervised, every=0.0)
    for _ in range(DEATHS * 3):
        await guard.look()


async def test_events_between_two_deaths_forgive_the_first(supervised: Path) -> None:
    guard = Guard(Renewing(), supervised, every=0.0)
    for pid in range(1, DEATHS * 3):
        write_state(supervised, state(pid))
        await guard.look()
        guard.calm()


async def test_a_supervisor_that_was_killed_is_brought_back(home: Path) -> None:
    renewing = Renewing()
    await Guard(renewing, home, every=0.0).look()
    assert renewing.renewed == 1

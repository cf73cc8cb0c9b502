"""What one sandbox does to another on the same machine: it takes its share and no more.

Both spin through the same stretch of time and say how much of the processor they got, so only their ratio counts.
"""

from __future__ import annotations

import asyncio
import os
import runpy
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from factory_core.contracts.sandbox import Limits, SandboxJob, SandboxResult
from factory_core.sandbox import cgroups, container
from factory_core.sandbox.arguments import OWN_PROCESSES
from factory_core.sandbox.bubblewrap import BubblewrapSandbox

SPIN = """
import os, sys, time
def spin(start, end):
    while time.monotonic() < start:
        time.sleep(0.01)  # both begin at once, by the clock they share
    before = time.process_time()
    while time.monotonic() < end:
        pass
    os.write(1, f"{time.process_time() - before}\\n".encode())
start, end, count = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
"""
HONEST = (
    SPIN
    + """
for _ in range(count - 1):
    if os.fork() == 0:
        break
spin(start, end)
while True:
    try:
        os.wait()
    except ChildProcessError:
        break
"""
)
CROWD = (
    SPIN
    + """
refused = 0
for _ in range(60):
    try:
        if os.fork() == 0:
            os.setsid()  # a session of its own, for kernels that share by sessions
            spin(start, end)
            os._exit(0)
    except OSError:
        refused += 1
spin(start, end)
os.write(2, str(refused).encode())
"""
)
HARM = runpy.run_path(str(Path(__file__).parents[2] / "load" / "harm.py"))
BOMB = HARM["BOMB"]
GLUTTON = (
    SPIN
    + HARM["FILL"]
    + """
spin(start, end)
os.write(2, str(len(held) * 16).encode())
"""
)
SECONDS, AHEAD = 1.5, 3.0
LIMITS = Limits(wall_seconds=60, cpu_seconds=120, processes=48, memory_bytes=512 << 20)


@pytest.fixture
def beside(tmp_path: Path) -> Callable[[str, int], tuple[float, SandboxResult]]:
    """The processor time an honest sandbox gets for each second a hostile one gets, and how that one ended."""

    async def both(hostile: str, count: int) -> list[SandboxResult]:
        sandbox = BubblewrapSandbox()
        await sandbox.quick_probe()
        start = time.monotonic() + AHEAD
        jobs = []
        for name, script, processes in (("honest", HONEST, count), ("hostile", hostile, 1)):
            (tmp_path / name).mkdir(exist_ok=True)
            command = ("python3", "-c", script, str(start), str(start + SECONDS), str(processes))
            jobs.append(SandboxJob(command=command, work=tmp_path / name, limits=LIMITS))
        return await asyncio.gather(*map(sandbox.run, jobs))

    def run(hostile: str, count: int) -> tuple[float, SandboxResult]:
        honest, other = asyncio.run(both(hostile, count))
        assert honest.exit_code == 0, honest
        ours, theirs = (sum(map(float, result.stdout.split())) for result in (honest, other))
        return ours / max(theirs, 0.01), other

    return run


@pytest.fixture
def place() -> cgroups.Place:
    place = cgroups.find_place()
    if place is None or place.cpu is None:
        pytest.skip("control groups with a share of the processor cannot be made here")
    return place


def test_as_many_processes_as_may_be_take_their_share_and_no_more(
    place: cgroups.Place, beside: Callable[..., object]
) -> None:
    ratio, crowd = beside(CROWD, os.cpu_count())
    assert not crowd.killed, "to be refused some is no crime"
    assert 0 < int(crowd.stderr) <= 60 - LIMITS.processes + OWN_PROCESSES
    assert ratio > 0.6


def test_a_fork_bomb_is_ended_long_before_its_time_is_up(beside: Callable[..., object]) -> None:
    _, bomb = beside(BOMB, os.cpu_count())
    assert bomb.killed == "processes"
    assert bomb.seconds < LIMITS.wall_seconds / 2


def test_without_a_group_for_the_processor_it_takes_nearly_all(
    place: cgroups.Place, beside: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = replace(place, cpu=None, account=None)
    monkeypatch.setattr(
        container,
        "make_group",
        lambda *, memory, processes, shares: cgroups.ControlGroup(
            without,
            f"{cgroups.PREFIX}{os.getpid()}-{time.monotonic_ns()}",
            memory=memory,
            processes=processes,
        ),
    )
    ratio, _ = beside(CROWD, os.cpu_count())
    assert ratio < 0.3


def test_two_gibibytes_are_refused_and_slow_nobody(
    place: cgroups.Place, beside: Callable[..., object]
) -> None:
    ratio, glutton = beside(GLUTTON, 1)
    assert glutton.killed == "memory" or int(glutton.stderr) <= 512
    assert ratio > 0.6

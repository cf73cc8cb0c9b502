"""What projects get of one host: the processor by their weights, however many commands each runs; memory up to a limit.

All spin on one processor until together they have used enough of it. What each got is read where the kernel counts it, from
the groups themselves, so no clock is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from factory_core.contracts.sandbox import HostShare, Limits, SandboxJob, SandboxResult
from factory_core.sandbox import cgroups
from factory_core.sandbox.bubblewrap import BubblewrapSandbox

pytestmark = pytest.mark.anyio
SPIN = "while True: pass"
# Sleeps until it is killed, for memory or at the end of the test.
HOLD = "import time\nheld = bytearray(b'x') * (128 << 20)\ntime.sleep(600)"
HELD, ROOM = 128 << 20, 200 << 20
"""Two commands that each fit into the room, and do not together."""
UNDER_WAY, MEASURED = 0.2, 1.2
"""Seconds of the processor: after these a command spins for certain, and over so many it is measured."""
SANDBOXES = 4
LIMITS = Limits(wall_seconds=600, cpu_seconds=600, memory_bytes=512 << 20)
Shares = tuple[HostShare, ...]
Crowd = tuple[Shares, int]


@pytest.fixture(scope="module")
def place() -> cgroups.Place:
    place = cgroups.find_place()
    if place is None or place.cpu is None or not place.nested or not place.account:
        pytest.skip("control groups with a share of the processor, in one another, cannot be made here")
    return place


@pytest.fixture
def one_processor() -> Iterator[None]:
    allowed = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(allowed)})
    yield
    os.sched_setaffinity(0, allowed)


@pytest.fixture
def crowd(tmp_path: Path) -> Callable[..., contextlib.AbstractAsyncContextManager[list[asyncio.Task]]]:
    """Runs a command so many times for each of the shares, until the block ends."""

    @contextlib.asynccontextmanager
    async def run(script: str, *crowds: Crowd) -> AsyncIterator[list[asyncio.Task[SandboxResult]]]:
        sandbox = BubblewrapSandbox()
        await sandbox.quick_probe()
        tasks = []
        for shares, count in crowds:
            for _ in range(count):
                work = tmp_path / str(len(tasks))
                work.mkdir()
                job = SandboxJob(command=("python3", "-c", script), work=work, limits=LIMITS, shares=shares)
                tasks.append(asyncio.create_task(sandbox.run(job), name=shares[-1].name))
        try:
            yield tasks
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    return run


def held(group: Path) -> int:
    for file in ("memory.current", "memory.usage_in_bytes"):
        with contextlib.suppress(FileNotFoundError):
            return int((group / file).read_text())
    return 0


async def until(condition: Callable[[], bool], tasks: list[asyncio.Task]) -> None:
    """Fails when a command ends before."""
    async with asyncio.timeout(120):
        while not condition():
            assert not [task.result() for task in tasks if task.done()]
            await asyncio.sleep(0.02)


async def measure(place: cgroups.Place, crowd: Callable[..., object], *crowds: Crowd) -> list[list[float]]:
    """For each of the shares what its commands used, of one stretch in which all spun."""
    before = set(place.account.glob(f"{cgroups.PREFIX}{os.getpid()}-*"))

    def used() -> list[dict[Path, float]]:
        found = []
        for shares, _ in crowds:
            folder = cgroups.share_folder(place.account, shares)
            own = set(folder.glob(f"{cgroups.PREFIX}{os.getpid()}-*")) - before
            found.append({group: cgroups.processor_seconds(group) for group in own})
        return found

    def total() -> float:
        return sum(sum(each.values()) for each in used())

    async with crowd(SPIN, *crowds) as tasks:
        counts = [count for _, count in crowds]
        await until(
            lambda: (
                [len(each) for each in used()] == counts
                and all(min(each.values()) > UNDER_WAY for each in used())
            ),
            tasks,
        )
        start, base = used(), total()
        await until(lambda: total() > base + MEASURED, tasks)
        return [
            [after[group] - value for group, value in begun.items()]
            for begun, after in zip(start, used(), strict=True)
        ]


def of(project: str, weight: int = 1, *, org: str = "o", heavy: int = 20, most: int | None = None) -> Shares:
    """The organisations are heavy, so that whoever else uses the machine keeps nobody waiting."""
    return (
        HostShare(name=f"{org} {os.getpid()}", weight=heavy),
        HostShare(name=project, weight=weight, max_memory=most),
    )


@pytest.mark.parametrize(
    ("one", "three"),
    [
        pytest.param(of("one"), of("three", 3), id="projects"),
        pytest.param(of("p", 50, org="light"), of("p", org="heavy", heavy=60), id="organisations"),
    ],
)
@pytest.mark.usefixtures("one_processor")
async def test_the_processor_is_divided_by_weights_however_many_sandboxes_each_has(
    place: cgroups.Place, crowd: Callable[..., object], one: Shares, three: Shares
) -> None:
    light, heavy = await measure(place, crowd, (one, SANDBOXES), (three, 1))
    assert 2.2 < sum(heavy) / sum(light) < 4.2


@pytest.mark.usefixtures("one_processor")
async def test_with_equal_weights_they_get_the_same(
    place: cgroups.Place, crowd: Callable[..., object]
) -> None:
    one, other = await measure(place, crowd, (of("one"), SANDBOXES), (of("other"), 1))
    assert 0.7 < sum(other) / sum(one) < 1.4


@pytest.mark.usefixtures("one_processor")
async def test_without_groups_in_groups_who_has_most_sandboxes_gets_most(
    place: cgroups.Place, crowd: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing tells the flat groups apart, so all five are measured as one crowd, in which the heavy one would stand out."""
    flat = replace(place, nested=False)
    monkeypatch.setattr(cgroups, "find_place", lambda: flat)
    monkeypatch.setattr(cgroups, "share_folder", lambda root, shares: root)

    @contextlib.asynccontextmanager
    async def mixed(script: str, *_: object) -> AsyncIterator[list[asyncio.Task]]:
        async with crowd(script, (of("one"), SANDBOXES), (of("three", 3), 1)) as tasks:
            yield tasks

    (each,) = await measure(flat, mixed, (of("all"), SANDBOXES + 1))
    assert max(each) < 2 * min(each), "five equal parts: the one of weight 3 has a fifth"


@pytest.mark.parametrize("whose", ["organisation", "project"])
async def test_a_limit_of_memory_ends_only_what_belongs_to_it(
    place: cgroups.Place, crowd: Callable[..., object], whose: str
) -> None:
    if whose == "project":
        greedy, neighbour = of("greedy", most=ROOM), of("neighbour")
    else:
        org, project = of("greedy", org="greedy")
        greedy, neighbour = (replace(org, max_memory=ROOM), project), of("neighbour")
    async with crowd(HOLD, (greedy, 2), (neighbour, 2)) as tasks:
        ended, going = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=120)
        assert {(task.get_name(), task.result().killed) for task in ended} == {("greedy", "memory")}
        beside = [task for task in going if task.get_name() == "neighbour"]
        assert len(beside) == 2
        folder = cgroups.share_folder(place.memory, neighbour)
        await until(lambda: held(folder) > 2 * HELD, beside)


@pytest.mark.parametrize(("most", "count"), [(ROOM, 1), (None, 2)])
async def test_what_fits_is_left_alone(
    place: cgroups.Place, crowd: Callable[..., object], most: int | None, count: int
) -> None:
    folder = cgroups.share_folder(place.memory, of("greedy", most=most))
    async with crowd(HOLD, (of("greedy", most=most), count)) as tasks:
        await until(lambda: held(folder) > count * HELD, tasks)


@pytest.mark.parametrize(("weight", "times"), [(1, 1), (7, 7), (100, 100), (5000, 100)])
async def test_the_kernel_is_told_the_weight_as_far_as_it_goes(
    place: cgroups.Place, weight: int, times: int
) -> None:
    group = cgroups.make_group(memory=1 << 24, processes=4, shares=of("p", weight))
    try:
        folder = cgroups.share_folder(place.cpu, of("p"))
        (file,) = (each for each in folder.iterdir() if each.name in ("cpu.weight", "cpu.shares"))
        assert int(file.read_text()) == times * {"cpu.weight": 100, "cpu.shares": 1024}[file.name]
    finally:
        group.remove()


async def test_many_processes_make_and_remove_groups_of_the_same_project_at_once(
    place: cgroups.Place,
) -> None:
    """Each makes 50; whoever leaves the project's group empty takes it away under the others."""
    script = f"""
import sys
from factory_core.contracts.sandbox import HostShare
from factory_core.sandbox import cgroups
shares = (HostShare(name="raced {os.getpid()}"), HostShare(name="p", max_memory=1 << 28))
sys.stdin.read(1)
for _ in range(50):
    group = cgroups.make_group(memory=1 << 24, processes=4, shares=shares)
    assert cgroups.share_folder(cgroups.find_place().memory, shares).exists()
    assert group.remove()
"""
    racers = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    ended = await asyncio.gather(*(racer.communicate(b"x") for racer in racers))
    assert [(racer.returncode, said[1]) for racer, said in zip(racers, ended, strict=True)] == [(0, b"")] * 4
    for root in place.folders:
        assert not cgroups.share_folder(root, (HostShare(name=f"raced {os.getpid()}"),)).exists()


async def test_what_a_killed_process_left_in_a_shared_group_is_swept_and_the_rest_is_not(
    place: cgroups.Place,
) -> None:
    limits = {"memory": 1 << 24, "processes": 4}
    left, kept = of("left", org="left"), of("kept", org="kept")
    dead = [
        cgroups.ControlGroup(place, f"{cgroups.PREFIX}4194999-{number}", shares=shares, **limits)
        for number, shares in enumerate((left, kept))
    ]
    living = cgroups.make_group(shares=kept, **limits)
    try:
        cgroups.sweep()
        for root in place.folders:
            assert not cgroups.share_folder(root, left[:1]).exists()
            assert [
                each.name.split("-")[1] for each in cgroups.share_folder(root, kept).glob("factory-*")
            ] == [str(os.getpid())]
    finally:
        for group in (*dead, living):
            group.remove()


async def test_a_limit_changes_with_the_next_command_while_others_run(place: cgroups.Place) -> None:
    folder = cgroups.share_folder(place.memory, of("changing"))
    running = cgroups.make_group(memory=1 << 24, processes=4, shares=of("changing", most=ROOM))
    try:
        (file,) = (each for each in folder.iterdir() if each.name in ("memory.max", "memory.limit_in_bytes"))
        seen = [file.read_text().strip()]
        for most in (4 * ROOM, ROOM // 2, None):
            cgroups.make_group(memory=1 << 24, processes=4, shares=of("changing", most=most)).remove()
            seen.append(file.read_text().strip())
    finally:
        running.remove()
    assert seen[:3] == [str(ROOM), str(4 * ROOM), str(ROOM // 2)]
    assert seen[3] == "max" or int(seen[3]) > 1 << 60
    assert not folder.parent.exists(), "the groups go with the last in them"

"""Who takes too much of a contested processor is held back, and let go when nobody waits.

On groups of the kernel's where they can be made, apart from all others on the machine; what each got is read from them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import runpy
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from factory_core.contracts.sandbox import HostShare, Limits, SandboxJob
from factory_core.sandbox import cgroups
from factory_core.sandbox.bubblewrap import BubblewrapSandbox
from factory_core.sandbox.throttle import LEAST, LOOSENED, Sight, Throttle, bounds, look, set_bound

HARM = runpy.run_path(str(Path(__file__).parents[2] / "load" / "harm.py"))
SPIN = "while True: pass"
LIMITS = Limits(wall_seconds=600, cpu_seconds=600)
FIRST_LOOKS = 3
"""Before it could act."""
UNDER_WAY, MEASURED = 0.5, 6.0
"""Seconds of the processor: after these they do what they are to do, and over so many they are measured."""


def sights(*facts: tuple[float, float, float | None]) -> tuple[dict[str, Sight], dict[str, Sight]]:
    """Of each what it used and waited in a second, and its bound."""
    before = {f"o{n}": Sight(5.0, {n: 1.0}, 1.0, bound) for n, (_, _, bound) in enumerate(facts)}
    after = {
        f"o{n}": Sight(5.0 + used, {n: 1.0 + waited}, 1.0, bound)
        for n, (used, waited, bound) in enumerate(facts)
    }
    return before, after


def test_who_takes_too_much_while_another_waits_gets_its_part() -> None:
    assert bounds(*sights((1.9, 4.0, None), (0.1, 4.0, None)), 1.0) == {"o0": 1.0}


def test_who_wants_no_more_leaves_it_to_others() -> None:
    assert bounds(*sights((1.9, 4.0, None), (0.1, 0.01, None)), 1.0) == {}


def test_parts_are_of_what_there_was_lately() -> None:
    """Else somebody who waits now and then would have the other's bound shrink with every look."""
    assert bounds(*sights((1.0, 4.0, 1.0), (0.3, 0.3, None)), 1.0, most=2.0) == {"o0": pytest.approx(1.4)}


def test_a_bound_is_loosened_as_soon_as_nobody_waits_and_goes_with_the_others() -> None:
    assert bounds(*sights((1.0, 4.0, 1.0), (0.9, 0.0, None)), 1.0) == {"o0": LOOSENED}
    assert bounds(*sights((1.0, 4.0, 1.0)), 1.0) == {}


def test_who_waits_for_its_own_bound_alone_gets_its_part() -> None:
    """Six others have ended; the two that are left were held to a quarter each."""
    assert bounds(*sights((0.25, 4.0, 0.25), (0.25, 4.0, 0.25)), 1.0, most=2.0) == {"o0": 1.0, "o1": 1.0}


def test_those_who_sleep_have_no_part() -> None:
    crowd = [(0.0, 0.0, None)] * 8
    assert bounds(*sights((1.8, 4.0, None), (0.2, 0.8, None), *crowd), 1.0) == {"o0": 1.0}


def test_what_a_thread_waited_before_it_was_seen_is_not_of_this_turn() -> None:
    before, after = sights((1.9, 4.0, None), (0.1, 0.0, None))
    assert bounds(before, after | {"o1": replace(after["o1"], waited={7: 600.0})}, 1.0) == {}
    assert bounds(before, after | {"o1": replace(after["o1"], waited={7: 0.9})}, 1.0) == {
        "o0": pytest.approx(1.0)
    }


def test_a_bound_stays_as_it_is_while_nothing_is_known() -> None:
    _, after = sights((1.0, 4.0, 0.5), (0.9, 0.0, None))
    assert bounds({}, after, 1.0) == {"o0": 0.5}


def test_a_group_made_anew_is_not_judged_by_the_count_of_the_old_one() -> None:
    before, after = sights((1.9, 4.0, None), (0.1, 4.0, None))
    assert bounds(before, after | {"o1": replace(after["o1"], used=0.1)}, 1.0) == {}
    assert bounds({}, after, 1.0) == {}


def test_weights_decide_what_is_too_much() -> None:
    before, after = sights((1.5, 4.0, None), (0.5, 4.0, None))
    assert bounds(before, after, 1.0) == {"o0": 1.0}
    heavy = after | {"o0": replace(after["o0"], weight=3.0)}
    assert bounds(before, heavy, 1.0) == {}


amounts = st.floats(0, 8, allow_nan=False)


@given(st.lists(st.tuples(amounts, amounts, st.none() | st.floats(LEAST, 8)), max_size=5), amounts)
def test_nobody_is_bounded_below_its_part_or_without_taking_more(
    facts: list[tuple[float, float, float | None]], most: float
) -> None:
    before, after = sights(*facts)
    found = bounds(before, after, 1.0, most)
    total = max(most, sum(used for used, _, _ in facts))
    assume(total > LEAST * 5)
    for n, (used, _, held) in enumerate(facts):
        bound = found.get(f"o{n}")
        if bound is not None and bound != held:
            part = total / len(facts)
            assert bound > (held or 0.0) or (used > part and bound >= part - 1e-9)
    if all(waited == 0 for _, waited, _ in facts):
        assert all(found[name] > (after[name].bound or 0) for name in found), "nobody waited"


def test_bounds_are_written_as_both_versions_of_control_groups_have_them(tmp_path: Path) -> None:
    old, new = tmp_path / "v1", tmp_path / "v2"
    for folder in (old, new):
        group = folder / f"{cgroups.SHARED}x"
        (group / "inner").mkdir(parents=True)
        name = "tasks" if folder is old else "cgroup.threads"
        (group / name).write_text("")
        (group / "inner" / name).write_text(f"{os.getpid()}\n")
    files = old / f"{cgroups.SHARED}x"
    (files / "cpu.shares").write_text("3072\n")
    (files / "cpu.cfs_quota_us").write_text("-1\n")
    (files / "cpuacct.usage").write_text("1500000000\n")
    files = new / f"{cgroups.SHARED}x"
    (files / "cpu.weight").write_text("300\n")
    (files / "cpu.max").write_text("max 100000\n")
    (files / "cpu.stat").write_text("usage_usec 1500000\n")
    for folder in (old, new):
        (name, sight), *rest = look(folder, folder).items()
        assert (sight.used, sight.weight, sight.bound, set(sight.waited), rest) == (
            1.5,
            3.0,
            None,
            {os.getpid()},
            [],
        )
        set_bound(folder / name, 0.75)
        assert look(folder, folder)[name].bound == 0.75
        set_bound(folder / name, None)
        assert look(folder, folder)[name].bound is None


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[cgroups.Place]:
    """A corner of the kernel's groups, so that nobody else is bounded."""
    whole = cgroups.find_place()
    if whole is None or whole.cpu is None or not whole.nested or not whole.account:
        pytest.skip("control groups with a share of the processor, in one another, cannot be made here")
    name = f"{cgroups.PREFIX}{os.getpid()}-corner"
    for folder in whole.folders:
        (folder / name).mkdir()
        if folder == whole.pids == whole.memory:
            cgroups._hand_down(folder, ("memory", "pids", "cpu"))
    corner = cgroups.Place(whole.memory / name, whole.pids / name, whole.cpu / name, whole.account / name)
    monkeypatch.setattr(cgroups, "find_place", lambda: corner)
    yield corner
    for folder in corner.folders:
        folder.rmdir()


@pytest.fixture
def of() -> Callable[[str], tuple[HostShare, ...]]:
    return lambda org: (HostShare(name=f"{org} {os.getpid()}"), HostShare(name="project"))


async def crowded(
    place: cgroups.Place, folder: Path, crowd: dict[tuple[HostShare, ...], str]
) -> AsyncGenerator[list[float]]:
    """What each has used so far, again and again, while four sandboxes of each run its script."""
    sandbox = BubblewrapSandbox()
    await sandbox.quick_probe()
    tasks = []
    for shares, script in crowd.items():
        for _ in range(4):
            work = folder / str(len(tasks))
            work.mkdir()
            job = SandboxJob(command=("python3", "-c", script), work=work, limits=LIMITS, shares=shares)
            tasks.append(asyncio.create_task(sandbox.run(job)))
    groups = [cgroups.share_folder(place.account, shares[:1]) for shares in crowd]
    try:
        async with asyncio.timeout(240):
            while True:
                assert not [task.result() for task in tasks if task.done()]
                used = [cgroups.processor_seconds(group) if group.exists() else 0.0 for group in groups]
                if min(used) > UNDER_WAY:
                    yield used
                await asyncio.sleep(0.5)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.anyio
async def test_processes_that_fork_all_the_time_leave_others_their_part(
    place: cgroups.Place, of: Callable[[str], tuple[HostShare, ...]], tmp_path: Path
) -> None:
    throttle = Throttle(place.cpu, place.account)
    start: list[float] = []
    looks = 0
    crowd = {of("churning"): HARM["CHURN"], of("honest"): SPIN}
    async with contextlib.aclosing(crowded(place, tmp_path, crowd)) as seen:
        async for used in seen:
            throttle.turn()
            looks += 1
            start = used if looks <= FIRST_LOOKS else start
            churning, honest = (now - then for now, then in zip(used, start, strict=True))
            if churning + honest > MEASURED:
                break
    throttle.close()
    assert honest > 0.45 * churning, "a fifth and less, if nobody looked"


@pytest.mark.anyio
async def test_a_bound_holds_and_goes_with_the_last_of_the_others(
    place: cgroups.Place, of: Callable[[str], tuple[HostShare, ...]], tmp_path: Path
) -> None:
    alone = of("alone")
    group = cgroups.share_folder(place.cpu, alone[:1])
    throttle, other = Throttle(place.cpu, place.account), Throttle(place.cpu, place.account)
    throttle.turn()
    async with contextlib.aclosing(crowded(place, tmp_path, {alone: SPIN})) as seen:
        await anext(seen)
        set_bound(group, 0.25)
        other.turn()
        assert look(place.cpu, place.account)[group.name].bound == 0.25, "another is at it"
        throttle.turn()
        throttle.turn()
        assert look(place.cpu, place.account)[group.name].bound is None
        throttle.close()
        set_bound(group, 0.25)
        other.turn()
        other.turn()
        assert look(place.cpu, place.account)[group.name].bound is None, "the next one does it"
    other.close()

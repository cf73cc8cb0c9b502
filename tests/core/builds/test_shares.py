"""Who gets the slots: organisations by weight, limits counted from what runs, room for no more than may wait."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import asyncpg
import pytest

from factory_core.builds.errors import OrganisationMissing, QueueFull
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion, Journal, NewTask, Report, Submission
from factory_core.builds.shares import OrganisationShare, ProjectShare
from factory_core.errors import FactoryError

pytestmark = pytest.mark.anyio
Floor = Any
"""conftest.py has it."""


def shares(started: Counter[str]) -> dict[str, float]:
    return {name: count / started.total() for name, count in started.items()}


@pytest.mark.parametrize(("slots", "seconds"), [(14, 1.0), (5, 0.5), (100, 0.0)])
async def test_slots_follow_the_weights_though_one_floods(floor: Floor, slots: int, seconds: float) -> None:
    weights = {"light": 1, "middle": 3, "heavy": 10}
    for name, weight in weights.items():
        org = await floor.organisation(name, weight=weight)
        for _ in range(2):
            await floor.flood(org, 10_000 if name == "light" else 900)
    workers = [await floor.hire() for _ in range(2)]
    for _, worker in zip(range(1200 // slots), itertools.cycle(workers), strict=False):
        await floor.turn(worker, slots=slots, ends=slots)
        await floor.wait(seconds)
    for name, share in shares(floor.started).items():
        assert share == pytest.approx(weights[name] / 14, rel=0.1), floor.started


async def test_long_tasks_count_for_what_they_take(floor: Floor) -> None:
    """One has tasks of four seconds, the other of one: they get the same time of slots, not the same number of tasks."""
    for name in ("long", "short"):
        await floor.flood(await floor.organisation(name), 2_000)
    worker, used = await floor.hire(), Counter[str]()
    running = floor.running[worker]
    ages: dict[Any, int] = {}
    for _ in range(300):
        for attempt in running:
            ages[attempt.key] = ages.get(attempt.key, 0) + 1
            used[floor.names[attempt.org]] += 1
        over = [a for a in running if ages[a.key] == (4 if floor.names[a.org] == "long" else 1)]
        left = [a for a in running if a not in over]
        running.clear()
        running.extend([*over, *left])
        await floor.turn(worker, slots=8, ends=len(over))
        await floor.wait(1.0)
    assert used["long"] / used.total() == pytest.approx(0.5, abs=0.05), used
    assert floor.started["short"] > 3 * floor.started["long"]


async def test_a_newcomer_starts_at_once_and_without_credit_for_its_past(floor: Floor) -> None:
    await floor.flood(await floor.organisation("old"), 3_000)
    late = await floor.organisation("late")
    worker = await floor.hire()
    for _ in range(100):
        await floor.turn(worker, slots=10, ends=10)
        await floor.wait(1.0)
    await floor.flood(late, 3_000)
    floor.started.clear()
    assert "late" in await floor.turn(worker, slots=10, ends=2)
    for _ in range(100):
        await floor.turn(worker, slots=10, ends=10)
        await floor.wait(1.0)
    assert shares(floor.started)["late"] == pytest.approx(0.5, abs=0.05)


async def test_what_a_worker_knew_of_use_outlives_it(floor: Floor) -> None:
    for name in ("a", "b"):
        await floor.flood(await floor.organisation(name), 500)
    for _ in range(20):
        worker = await floor.hire()
        await floor.turn(worker, slots=3)
        await floor.wait(1.0)
        await floor.turn(worker, slots=0, ends=3)
        await floor.journal.leave(worker)
        await floor.journal.tend(60.0)
        assert await floor.connection.fetchval("select count(*) from usage") == 0
    assert abs(floor.started["a"] - floor.started["b"]) <= 2


async def test_limits_of_an_organisation_count_what_runs(floor: Floor) -> None:
    org = await floor.organisation("limited", max_running=3)
    await floor.flood(org, 50)
    await floor.flood(org, 50)
    await floor.flood(await floor.organisation("free"), 100)
    first, second = await floor.hire(), await floor.hire()
    await floor.turn(first, slots=4)
    await floor.turn(second, slots=20)
    assert floor.started["limited"] == 3
    assert floor.started["free"] == 21
    await floor.journal.leave(first)  # its tasks are ready again, so what runs is counted anew
    await floor.turn(second, slots=20, ends=0)
    running = await floor.connection.fetchval(
        "select count(*) from task where org_id = $1 and state = 'running'", org
    )
    assert running <= 3


async def test_limits_of_a_build_count_what_runs(floor: Floor) -> None:
    await floor.flood(await floor.organisation("a"), 50, max_running=2)
    worker = await floor.hire()
    assert len(await floor.turn(worker, slots=10)) == 2
    assert await floor.turn(worker, slots=10) == []
    assert len(await floor.turn(worker, slots=10, ends=1)) == 1


async def test_what_is_at_its_limit_gives_no_reason_to_ask_again(floor: Floor) -> None:
    await floor.flood(await floor.organisation("a", max_running=2), 50)
    worker = await floor.hire()
    more = [
        (await floor.journal.step(worker, tick, want=10, scan=True)).more
        for tick in (1, 2)  # something was found, so there may be more; then nothing was
    ]
    assert more == [True, False]


async def test_room_made_by_an_end_is_a_reason_to_ask_again(floor: Floor) -> None:
    """Another build of the organisation may use it, which a look at the reported build alone does not see."""
    org = await floor.organisation("a", max_running=1)
    await floor.flood(org, 1)
    await floor.flood(org, 1)
    worker = await floor.hire()
    (first,) = (await floor.journal.step(worker, 1, want=10, scan=True)).started
    turn = await floor.journal.step(worker, 2, [Report.of(first, Completion())], want=10, scan=False)
    assert (turn.started, turn.more) == ((), True)


async def test_projects_share_by_weight_and_keep_their_limit(floor: Floor) -> None:
    org = await floor.organisation("a")
    builds = {name: await floor.flood(org, 100, project=name) for name in ("one", "three", "one too many")}
    await floor.journal.shares.give_project(org, "three", ProjectShare(weight=3))
    await floor.journal.shares.give_project(org, "one too many", ProjectShare(max_running=1))
    worker = await floor.hire()
    await floor.turn(worker, slots=21)
    running = Counter(attempt.build for attempt in floor.running[worker])
    assert {name: running[build] for name, build in builds.items()} == {
        "one": 5,
        "three": 15,
        "one too many": 1,
    }
    assert await floor.journal.shares.of_projects(org) == {
        "one too many": ProjectShare(max_running=1),
        "three": ProjectShare(weight=3),
    }


async def test_reserved_slots_are_kept_for_those_who_may(floor: Floor) -> None:
    await floor.flood(await floor.organisation("anyone", weight=100), 50)
    worker = await floor.hire()
    assert len(await floor.turn(worker, slots=6, reserved=2)) == 4
    await floor.flood(await floor.organisation("tier", reserved=True), 50)
    assert await floor.turn(worker, slots=6, reserved=2) == ["tier", "tier"]
    assert (
        len(
            [
                *await floor.turn(worker, slots=6, reserved=2, ends=6),
                *await floor.turn(worker, slots=6, reserved=2),
            ]
        )
        == 6
    )


async def test_waiting_makes_up_for_priority(floor: Floor) -> None:
    """Ten milliseconds of waiting weigh as much as one of priority; what became ready together goes by priority."""
    build = await floor.flood(await floor.organisation("a"), 1)
    worker = uuid7()
    await floor.journal.enlist(worker, "w", 9)
    (task,) = (await floor.journal.step(worker, 1, want=1, scan=False, offers=[build])).started
    early = (
        NewTask(id="l0", agent="x"),
        NewTask(id="l1", agent="x"),
        NewTask(id="go", agent="x", priority=1),
    )
    report = Report.of(task, Completion(tasks=early))
    (task,) = (await floor.journal.step(worker, 2, [report], want=1, scan=True)).started
    assert task.task == "go"
    await floor.wait(20.0)
    late = (NewTask(id="later", agent="x", priority=1999), NewTask(id="urgent", agent="x", priority=2001))
    report, order = Report.of(task, Completion(tasks=late)), []
    for tick in range(3, 7):
        (task,) = (await floor.journal.step(worker, tick, [report], want=1, scan=True)).started
        report = Report.of(task, Completion())
        order.append(task.task)
    assert order == ["urgent", "l0", "l1", "later"]


async def test_two_claims_at_once_do_not_pass_a_limit(floor: Floor) -> None:
    org = await floor.organisation("limited", max_running=3)
    await floor.flood(org, 50)
    await floor.flood(org, 50)
    first, second = await floor.hire(), await floor.hire()
    other: Any = await asyncpg.connect(floor.url)
    try:
        await other.execute("set test.now = '0'")
        async with floor.connection.transaction():
            mine = await floor.journal.step(first, 1, want=2, scan=True)
            theirs = await Journal(other).step(second, 1, want=2, scan=True)
        assert (len(mine.started), len(theirs.started), theirs.more) == (2, 0, True)
        assert len((await Journal(other).step(second, 2, want=2, scan=True)).started) == 1
    finally:
        await other.close()


async def test_a_claim_waits_for_nobody_who_orders(floor: Floor) -> None:
    """Whoever submits holds the organisation for the count; a claim leaves it alone meanwhile."""
    org = await floor.organisation("limited", max_running=3, max_builds=5)
    await floor.flood(org, 50)
    worker = await floor.hire()
    other: Any = await asyncpg.connect(floor.url)
    try:
        await other.execute("set test.now = '0'")
        async with other.transaction():
            await Journal(other).submit(Submission(org=org, idem_key="k", spec_digest="s"))
            assert (await floor.journal.step(worker, 1, want=2, scan=True)).started == ()
        assert len((await floor.journal.step(worker, 2, want=2, scan=True)).started) == 2
    finally:
        await other.close()


async def test_more_builds_than_may_wait_are_refused(floor: Floor) -> None:
    org = await floor.organisation("a", max_builds=2)
    orders = [Submission(org=org, idem_key=str(n), spec_digest="s") for n in range(3)]
    made = [(await floor.journal.submit(order)).build for order in orders[:2]]
    with pytest.raises(QueueFull) as refused:
        await floor.journal.submit(orders[2])
    assert 1 <= refused.value.retry_after <= 300
    assert (await floor.journal.submit(orders[0])).build == made[0]  # it was taken before
    await floor.journal.cancel(org, made[0])
    assert (await floor.journal.submit(orders[2])).created


async def test_more_tasks_than_may_wait_are_refused(floor: Floor) -> None:
    org = await floor.organisation("a", max_queued=100)
    await floor.flood(org, 99)
    await floor.journal.submit(Submission(org=org, idem_key="one", spec_digest="s"))
    await floor.hire()
    with pytest.raises(QueueFull, match="Try again in 1 s"):
        await floor.journal.submit(Submission(org=org, idem_key="more", spec_digest="s"))


async def test_shares_of_nobody_are_refused(floor: Floor) -> None:
    for call in (
        floor.journal.shares.of(uuid7()),
        floor.journal.shares.give(uuid7(), OrganisationShare()),
        floor.journal.shares.give_project(uuid7(), "p", ProjectShare()),
    ):
        with pytest.raises(OrganisationMissing):
            await call


MUTANTS: dict[str, tuple[str, str, str, Callable[[Floor], Awaitable[None]]]] = {
    "weights are ignored": (
        "05",
        "n.used / o.weight",
        "n.used",
        partial(test_slots_follow_the_weights_though_one_floods, slots=14, seconds=1.0),
    ),
    "use is not charged": (
        "05",
        "set vt = u.vt + excluded.vt",
        "set vt = u.vt",
        partial(test_slots_follow_the_weights_though_one_floods, slots=14, seconds=1.0),
    ),
    "every task costs the same": (
        "05",
        "date_part('epoch', p_now - started_at)",
        "0",
        test_long_tasks_count_for_what_they_take,
    ),
    "a newcomer has credit": (
        "06",
        "if v_behind is not null then",
        "if false then",
        test_a_newcomer_starts_at_once_and_without_credit_for_its_past,
    ),
    "use is forgotten with its worker": (
        "07",
        "set vt = o.vt + g.vt",
        "set vt = o.vt",
        test_what_a_worker_knew_of_use_outlives_it,
    ),
    "an organisation passes its limit": (
        "06",
        "(ko <= org_room) is not false",
        "true",
        test_limits_of_an_organisation_count_what_runs,
    ),
    "a project passes its limit": (
        "06",
        "(kp <= project_room) is not false",
        "true",
        test_projects_share_by_weight_and_keep_their_limit,
    ),
    "projects weigh the same": (
        "06",
        "load + kp::double precision / part",
        "load + kp",
        test_projects_share_by_weight_and_keep_their_limit,
    ),
    "a build passes its limit": (
        "06",
        "least(f.share, f.room)",
        "f.share",
        test_limits_of_a_build_count_what_runs,
    ),
    "two claims pass a limit": (
        "06",
        "where i.org_id <> all (v_limited) or",
        "where true or",
        test_two_claims_at_once_do_not_pass_a_limit,
    ),
    "what is at its limit is asked for again": (
        "06",
        "(org.n < org.max_running) is not false and",
        "",
        test_what_is_at_its_limit_gives_no_reason_to_ask_again,
    ),
    "room is not told": (
        "06",
        "or (not p_scan and exists (",
        "or (false and exists (",
        test_room_made_by_an_end_is_a_reason_to_ask_again,
    ),
    "reserved slots are anyone's": (
        "06",
        "where reserved or kr <= p_free",
        "where true",
        test_reserved_slots_are_kept_for_those_who_may,
    ),
    "waiting counts for nothing": (
        "00",
        "extract(epoch from p_ready)::double precision * 100 - p_priority",
        "-p_priority",
        test_waiting_makes_up_for_priority,
    ),
    "builds wait without end": (
        "04",
        "v_builds >= v_org.max_builds",
        "false",
        test_more_builds_than_may_wait_are_refused,
    ),
    "tasks wait without end": (
        "04",
        "v_tasks >= v_org.max_queued",
        "false",
        test_more_tasks_than_may_wait_are_refused,
    ),
    "what was taken is refused": (
        "04",
        "and not exists (select from build b where b.org_id = p_org and b.idem_key = p_key)",
        "",
        test_more_builds_than_may_wait_are_refused,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
async def test_a_mutant_is_caught(name: str, mutated: Any, floor_over: Any) -> None:
    file, rule, mutation, judge = MUTANTS[name]
    with mutated(file, rule, mutation) as url:
        connection: Any = await asyncpg.connect(url)
        try:
            floor = await floor_over(connection, url)
            with pytest.raises((AssertionError, FactoryError, pytest.fail.Exception)):
                await judge(floor)
        finally:
            await connection.close()

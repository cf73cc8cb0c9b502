"""Pausing a build, halting it, and a person's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from factory_core.builds.errors import BuildMissing, BuildUnready
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion
from factory_core.builds.progress import Progress

pytestmark = pytest.mark.anyio
Make = Callable[..., Any]


async def halt(desk: Any, build: UUID, task: str = "a") -> bool:
    """As the completion of a task does, under the build's lock."""
    return await desk.connection.fetchval(
        "select journal.halt($1, $2, 'a secret is printed', factory_now())", build, task
    )


async def folded(desk: Any, build: UUID) -> str:
    """The state as the events alone tell it."""
    progress = Progress()
    for event in await desk.journal.events(desk.org, build):
        progress.apply(event)
    return str(progress.state)


async def test_a_paused_build_starts_nothing_and_keeps_what_ends(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    assert await desk.journal.control.pause(desk.org, build, by="Ann", reason="lunch")
    turn = await desk.turn((started["a"], Completion(result={"n": 1})))
    assert turn.started == ()
    assert await desk.states(build) == {"a": "done", "b": "ready"}
    assert await desk.state(build) == await folded(desk, build) == "paused"
    assert await desk.journal.control.resume(desk.org, build, by="Ann")
    assert [a.task for a in (await desk.turn()).started] == ["b"]
    assert await desk.state(build) == await folded(desk, build) == "running"
    bodies = {e.kind: e.body for e in await desk.journal.events(desk.org, build)}
    assert bodies["build.paused"] == {"by": "Ann", "reason": "lunch"}
    assert bodies["build.resumed"] == {"by": "Ann"}


async def test_pausing_and_resuming_again_change_nothing(desk: Any, noop: Make) -> None:
    build, _ = await desk.planned([noop("a")])
    answers = [await desk.journal.control.pause(desk.org, build) for _ in range(2)]
    answers += [await desk.journal.control.resume(desk.org, build) for _ in range(2)]
    assert answers == [True, False, True, False]
    assert [kind for kind in await desk.kinds(build) if kind in ("build.paused", "build.resumed")] == [
        "build.paused",
        "build.resumed",
    ]


async def test_a_pause_before_anything_ran_goes_back_to_the_queue(desk: Any) -> None:
    build = await desk.submit()
    await desk.journal.control.pause(desk.org, build)
    assert (await desk.turn()).started == ()
    await desk.journal.control.resume(desk.org, build)
    assert await desk.state(build) == await folded(desk, build) == "queued"


async def test_the_time_of_a_pause_is_none_of_the_build_s(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")], max_seconds=100.0)
    before = (await desk.journal.build(desk.org, build)).deadline_at
    await desk.journal.control.pause(desk.org, build)
    await desk.turn((started["a"], Completion()))
    await desk.age(3600)
    await desk.journal.tend(7200)
    assert await desk.states(build) == {"a": "done", "b": "ready"}
    await desk.journal.control.resume(desk.org, build)
    after = (await desk.journal.build(desk.org, build)).deadline_at
    assert 3590 < (after - before).total_seconds() < 3660
    await desk.journal.tend(7200)
    assert [a.task for a in (await desk.turn()).started] == ["b"]


async def test_without_a_pause_the_same_time_ends_it(desk: Any, noop: Make) -> None:
    """Negative control of the test above."""
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")], max_seconds=100.0)
    await desk.turn((started["a"], Completion()), want=0)
    await desk.age(3600)
    await desk.journal.tend(7200)
    assert (await desk.states(build))["b"] == "skipped"


async def test_a_paused_build_can_be_cancelled(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    await desk.journal.control.pause(desk.org, build)
    await desk.journal.cancel(desk.org, build)
    await desk.turn((started["a"], Completion()))
    assert await desk.state(build) == "cancelled"
    with pytest.raises(BuildUnready, match="is cancelled and cannot be resumed"):
        await desk.journal.control.resume(desk.org, build)


async def test_a_halted_build_waits_for_a_decision_even_when_nothing_is_left(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a")])
    assert await halt(desk, build)
    await desk.turn((started["a"], Completion()))
    assert await desk.state(build) == await folded(desk, build) == "halted"
    with pytest.raises(BuildUnready, match="Decide first"):
        await desk.journal.control.resume(desk.org, build)
    with pytest.raises(BuildUnready, match="Decide first"):
        await desk.journal.control.pause(desk.org, build)
    assert await desk.journal.control.decide(desk.org, build, approve=True, by="Ann", note="a test key")
    assert await desk.state(build) == "passed"
    assert not await desk.journal.control.decide(desk.org, build, approve=True, by="Ann", note="a test key")
    with pytest.raises(BuildUnready, match="cannot be decided on"):
        await desk.journal.control.decide(desk.org, build, approve=False, by="Ann")


async def test_a_rejected_build_is_cancelled_and_says_why(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    await halt(desk, build)
    await halt(desk, build)  # another task found something, too
    assert await desk.journal.control.decide(desk.org, build, approve=False, by="Ann", note="leaks")
    await desk.turn((started["a"], Completion()))
    row = await desk.journal.build(desk.org, build)
    assert (str(row.state), row.reason) == ("cancelled", "rejected: leaks")
    assert not await halt(desk, build)
    kinds = await desk.kinds(build)
    assert [kinds.count(kind) for kind in ("build.halted", "build.decided", "build.ended")] == [2, 1, 1]


async def test_a_paused_build_that_is_halted_is_paused_again_when_approved(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a"), noop("b")], [("a", "b")])
    await desk.journal.control.pause(desk.org, build, reason="the machine is needed")
    await halt(desk, build)
    await halt(desk, build, task="b")
    await desk.journal.control.decide(desk.org, build, approve=True)
    row = await desk.journal.build(desk.org, build)
    assert (str(row.state), row.reason) == ("paused", "the machine is needed")
    assert await folded(desk, build) == "paused"
    assert (await desk.turn((started["a"], Completion()))).started == ()
    await halt(desk, build)
    await desk.journal.control.decide(desk.org, build, approve=True)
    assert await desk.state(build) == await folded(desk, build) == "paused"
    assert await desk.journal.control.resume(desk.org, build)
    assert [attempt.task for attempt in (await desk.turn()).started] == ["b"]
    await halt(desk, build)
    await desk.journal.control.decide(desk.org, build, approve=True)
    assert await desk.state(build) == await folded(desk, build) == "running"


async def test_a_pause_does_not_outlive_its_cancelled_build(desk: Any, noop: Make) -> None:
    build, started = await desk.planned([noop("a")])
    await desk.journal.control.pause(desk.org, build)
    await halt(desk, build)
    await desk.journal.cancel(desk.org, build)
    await desk.turn((started["a"], Completion()))
    await desk.journal.control.retry(desk.org, build)
    await halt(desk, build)
    await desk.journal.control.decide(desk.org, build, approve=True)
    assert await desk.state(build) == await folded(desk, build) == "running"


@pytest.mark.parametrize("move", ["pause", "resume", "decide"])
async def test_another_organisation_s_build_does_not_exist(desk: Any, move: str) -> None:
    build = await desk.submit()
    more = {"approve": True} if move == "decide" else {}
    with pytest.raises(BuildMissing):
        await getattr(desk.journal.control, move)(uuid7(), build, **more)
    assert await desk.kinds(build) == ["build.created"]


async def test_words_that_postgresql_cannot_hold_are_replaced(desk: Any) -> None:
    build = await desk.submit()
    await desk.journal.control.pause(desk.org, build, reason="a\0" + "b" * 5000)
    assert (await desk.journal.build(desk.org, build)).reason == "a\ufffd" + "b" * 1998

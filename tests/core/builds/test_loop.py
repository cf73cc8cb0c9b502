"""The loop: what it does with agents, and with servers that come and go."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from msgspec.structs import replace

from factory_core.builds.crashpoints import CrashPoints
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Assignment, Completion, Journal, NewTask, Submission
from factory_core.builds.loop import BuildLoop, Pace, connect_to
from factory_core.builds.wake import News
from factory_core.errors import RateLimited

pytestmark = pytest.mark.anyio
QUICK = Pace(ttl=20.0, poll=0.02, check=0.02, grace=5.0)
CUT = """
    select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"""
Agent = Callable[[Assignment], Awaitable[Completion]]


class Stage:
    """Loops on one database, and an audience that looks at it through a connection of its own."""

    def __init__(self, url: str, journal: Journal, connection: Any) -> None:
        self.url, self.journal, self.connection, self.org = url, journal, connection, uuid7()
        self.loops: list[tuple[BuildLoop, asyncio.Task[None]]] = []
        self.runs: list[tuple[str, int]] = []

    def play(self, agent: Agent, *tasks: NewTask, **more: Any) -> BuildLoop:
        stage = self

        class Runner:
            async def run(self, assignment: Assignment) -> Completion:
                stage.runs.append((assignment.task, assignment.fence))
                return Completion(tasks=tasks) if assignment.task == "plan" else await agent(assignment)

        connect = more.pop("connect", connect_to(self.url))
        loop = BuildLoop(connect, Runner(), **{"pace": QUICK, "slots": 4, **more})
        self.loops.append((loop, asyncio.create_task(loop.run())))
        return loop

    async def submit(self) -> UUID:
        await self.journal.found(self.org, "ours")
        order = Submission(org=self.org, idem_key=str(uuid7()), spec_digest="s")
        return (await self.journal.submit(order)).build

    async def ended(self, build: UUID) -> str:
        async with asyncio.timeout(30):
            while (row := await self.journal.build(self.org, build)).ended_at is None:  # noqa: ASYNC110 - a loop does it
                await asyncio.sleep(0.01)
        return str(row.state)

    async def reached(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():  # noqa: ASYNC110 - several loops may bring it about
                await asyncio.sleep(0.01)

    async def reason(self, build: UUID, task: str) -> str:
        return next(row.reason for row in await self.journal.results(self.org, build) if row.id == task)


@pytest.fixture
async def stage(journal_url: str, connection: Any) -> AsyncIterator[Stage]:
    stage = Stage(journal_url, Journal(connection), connection)
    yield stage
    for loop, task in stage.loops:
        loop.stop()
        await asyncio.wait_for(task, 30)


async def works(_: Assignment) -> Completion:
    return Completion(result={"ok": True})


async def hangs(_: Assignment) -> Completion:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_build_is_done_by_polling_alone(stage: Stage) -> None:
    build = await stage.submit()
    stage.play(works, *(NewTask(id=f"t{n}", agent="x") for n in range(30)))
    assert await stage.ended(build) == "passed"
    assert sorted(stage.runs) == sorted([("plan", 1), *((f"t{n}", 1) for n in range(30))])


async def test_an_agent_that_throws_is_tried_again_and_its_last_words_are_kept(stage: Stage) -> None:
    async def throws(_: Assignment) -> Completion:
        raise ZeroDivisionError("of all things")

    build = await stage.submit()
    stage.play(throws, NewTask(id="t", agent="x", max_tries=2))
    assert await stage.ended(build) == "failed"
    assert stage.runs == [("plan", 1), ("t", 1), ("t", 2)]
    assert await stage.reason(build, "t") == "ZeroDivisionError: of all things"


async def test_an_agent_that_must_be_patient_is_parked_and_its_slot_is_free(stage: Stage) -> None:
    async def patient(assignment: Assignment) -> Completion:
        if assignment.task == "t" and assignment.fence == 1:
            raise RateLimited("the model's provider asks for patience", 0.1)
        return Completion()

    build = await stage.submit()
    tasks = (NewTask(id="t", agent="x", priority=9, max_tries=1), NewTask(id="u", agent="x"))
    stage.play(patient, *tasks, slots=1)
    assert await stage.ended(build) == "passed"
    assert stage.runs == [("plan", 1), ("t", 1), ("u", 1), ("t", 2)]
    kinds = [e.kind for e in await stage.journal.events(stage.org, build)]
    assert kinds.count("task.parked") == 1


async def test_slow_steps_make_a_worker_take_less_at_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock says that every step takes a second, so the window falls to one task."""
    wants: list[int] = []
    step = Journal.step

    async def watched(self: Journal, *arguments: Any, **taking: Any) -> Any:
        wants.append(taking["want"])
        return await step(self, *arguments, **taking)

    seconds = itertools.count()
    monkeypatch.setattr(Journal, "step", watched)
    build = await stage.submit()
    pace = replace(QUICK, ttl=1e6, grace=1e6)
    stage.play(
        works,
        *(NewTask(id=f"t{n}", agent="x") for n in range(60)),
        slots=8,
        clock=seconds.__next__,
        pace=pace,
    )
    assert await stage.ended(build) == "passed"
    assert max(wants[:1]) == 8
    assert len(wants) > 20
    assert set(wants[10:]) <= {0, 1}


async def test_timers_do_not_wait_for_the_upkeep(stage: Stage) -> None:
    build = await stage.submit()
    pace = replace(QUICK, check=1e9, timers=0.0)
    stage.play(works, NewTask(id="later", agent="x", delay=0.05), pace=pace)
    assert await stage.ended(build) == "passed"
    assert stage.runs == [("plan", 1), ("later", 1)]


async def test_a_result_that_is_no_json_is_a_crash(stage: Stage) -> None:
    async def strange(_: Assignment) -> Completion:
        return Completion(result={"x": object()})

    build = await stage.submit()
    stage.play(strange, NewTask(id="t", agent="x", max_tries=1))
    assert await stage.ended(build) == "failed"
    assert "object" in await stage.reason(build, "t")


async def test_a_result_the_database_refuses_fails_its_task_and_no_other(stage: Stage) -> None:
    async def unstorable(assignment: Assignment) -> Completion:
        # JSON knows such a number, the column does not.
        child = NewTask(id="c", agent="x", priority=2**40)
        return Completion(tasks=(child,)) if assignment.task == "bad" else Completion()

    build = await stage.submit()
    stage.play(unstorable, NewTask(id="bad", agent="x"), NewTask(id="good", agent="x"))
    assert await stage.ended(build) == "failed"
    assert "could not be stored" in await stage.reason(build, "bad")
    assert {row.id: row.state for row in await stage.journal.results(stage.org, build)}["good"] == "done"


async def test_what_a_crash_tells_keeps_secrets(stage: Stage) -> None:
    async def fails(assignment: Assignment) -> Completion:
        if assignment.fence == 1:
            raise RateLimited("ask with token=s3cr3t later", 0.1)
        raise ConnectionError("postgres://me:s3cr3t@db is away" + "." * 5000)

    build = await stage.submit()
    stage.play(fails, NewTask(id="t", agent="x", max_tries=1))
    assert await stage.ended(build) == "failed"
    assert (await stage.reason(build, "t")).startswith("ConnectionError: postgres://me:********@db is away..")
    events = await stage.journal.events(stage.org, build)
    told = [str(event.body.get("reason", "")) for event in events if event.task == "t"]
    assert max(map(len, told)) <= 2000
    assert any("token=********" in text for text in told)
    assert not any("s3cr3t" in text for text in told)


async def test_an_agent_that_something_else_cancelled_has_crashed(stage: Stage) -> None:
    async def leaks(_: Assignment) -> Completion:
        raise asyncio.CancelledError

    build = await stage.submit()
    stage.play(leaks, NewTask(id="t", agent="x", max_tries=1))
    assert await stage.ended(build) == "failed"
    assert await stage.reason(build, "t") == "CancelledError: it was cancelled by something it waited for"


async def test_cancelling_stops_the_agents_that_run(stage: Stage) -> None:
    build = await stage.submit()
    stage.play(hangs, NewTask(id="t", agent="x"))
    await stage.reached(lambda: ("t", 1) in stage.runs)
    assert await stage.journal.cancel(stage.org, build)
    assert await stage.ended(build) == "cancelled"


async def test_an_agent_past_its_deadline_is_stopped_and_tried_again(stage: Stage) -> None:
    async def slow_once(assignment: Assignment) -> Completion:
        return await hangs(assignment) if assignment.fence == 1 else Completion()

    build = await stage.submit()
    stage.play(slow_once, NewTask(id="t", agent="x", deadline_seconds=0.1), slots=1)
    assert await stage.ended(build) == "passed"
    assert stage.runs == [("plan", 1), ("t", 1), ("t", 2)]


async def test_a_worker_that_was_given_up_starts_over_under_a_new_id(stage: Stage) -> None:
    async def hangs_once(assignment: Assignment) -> Completion:
        return await hangs(assignment) if assignment.fence == 1 else Completion()

    build = await stage.submit()
    stage.play(hangs_once, NewTask(id="t", agent="x"))
    await stage.reached(lambda: ("t", 1) in stage.runs)
    while not await stage.journal.reap(-1.0):  # its row is skipped while a step holds it
        pass
    assert await stage.ended(build) == "passed"
    workers = {attempt.worker for attempt in await stage.journal.attempts(stage.org, build)}
    assert len(workers) == 2


async def test_without_an_answer_for_two_thirds_of_its_lease_a_worker_stops_its_agents(stage: Stage) -> None:
    stopped, cut = asyncio.Event(), asyncio.Event()
    reach = connect_to(stage.url)

    async def tells_when_stopped(assignment: Assignment) -> Completion:
        try:
            return await hangs(assignment) if assignment.fence == 1 else Completion()
        finally:
            stopped.set()

    async def connect() -> Any:
        if cut.is_set() and not stopped.is_set():
            raise ConnectionRefusedError
        return await reach()

    build = await stage.submit()
    stage.play(tells_when_stopped, NewTask(id="t", agent="x"), connect=connect, pace=replace(QUICK, ttl=1.0))
    await stage.reached(lambda: ("t", 1) in stage.runs)
    cut.set()
    await stage.connection.execute(CUT)
    await asyncio.wait_for(stopped.wait(), 30)
    assert await stage.ended(build) == "passed"


async def test_lost_connections_cost_nothing_but_time(stage: Stage) -> None:
    build = await stage.submit()
    stage.play(
        works, *(NewTask(id=f"t{n}", agent="x") for n in range(60)), slots=2, pace=replace(QUICK, batch=2)
    )
    for _ in range(5):
        await stage.connection.execute(CUT)
        await asyncio.sleep(0.02)
    assert await stage.ended(build) == "passed"
    assert len({task for task, _ in stage.runs}) == 61
    events = await stage.journal.events(stage.org, build)
    assert sum(event.kind == "task.done" for event in events) == 61


async def test_a_stopped_worker_gives_back_what_does_not_finish_in_time(stage: Stage) -> None:
    build = await stage.submit()
    loop = stage.play(hangs, NewTask(id="t", agent="x"), pace=replace(QUICK, ttl=1.0, grace=0.1))
    await stage.reached(lambda: ("t", 1) in stage.runs)
    loop.stop()
    await stage.loops[0][1]
    row = (await stage.journal.tasks(stage.org, build))[1]
    assert (row.state, row.tries, row.crashes) == ("ready", 0, 0)
    assert await stage.connection.fetchval("select count(*) from worker") == 0


class Listener:
    """Reads a build's events whenever it is told that there are some, and never else."""

    def __init__(self, stage: Stage, audience: Any, build: UUID) -> None:
        self.stage, self.journal, self.build = stage, Journal(audience), build
        self.seqs: list[int] = []

    async def tell(self, builds: frozenset[UUID], more: bool) -> None:
        after = self.seqs[-1] if self.seqs else 0
        self.seqs += [e.seq for e in await self.journal.events(self.stage.org, self.build, after=after)]


@pytest.fixture
async def listener(stage: Stage) -> AsyncIterator[Listener]:
    audience: Any = await asyncpg.connect(stage.url)
    yield Listener(stage, audience, await stage.submit())
    await audience.close()


async def test_who_is_told_can_read_what_happened(stage: Stage, listener: Listener) -> None:
    stage.play(works, NewTask(id="a", agent="x"), tell=listener.tell)
    await stage.ended(listener.build)
    last = (await stage.journal.build(stage.org, listener.build)).seq
    await stage.reached(lambda: listener.seqs == list(range(1, last + 1)))


async def test_who_is_told_before_the_commit_misses_the_end(
    stage: Stage, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: a loop that tells first."""
    send = BuildLoop._send

    async def hasty(self: BuildLoop, reports: Any, held: Any, **taking: Any) -> Any:
        if reports:
            await listener.tell(frozenset(r.build for r in reports), False)
        return await send(self, reports, held, **taking)

    monkeypatch.setattr(BuildLoop, "_send", hasty)
    monkeypatch.setattr(News, "add", lambda *_, **__: None)
    stage.play(works, NewTask(id="a", agent="x"))
    await stage.ended(listener.build)
    assert listener.seqs[-1] < (await stage.journal.build(stage.org, listener.build)).seq


def test_a_crash_point_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="after_claim"):
        CrashPoints("befor_commit")

"""Figures agree with the journal's rows, dead letters tell their cause, and organisations see their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from factory_core.builds.deadletters import LARGEST_PAGE, DeadLetter, DeadLetters, LetterMissing, NotDead
from factory_core.builds.errors import CursorUnknown
from factory_core.builds.figures import queue_figures, worker_figures
from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Completion

pytestmark = pytest.mark.anyio
# A name no row has: fixed, so that every test process collects the same tests.
NOWHERE = "01a1fed5-0000-7000-8000-000000000000"
PAYLOAD = '{"to": "ann", "smtp_password": "x", "deep": [{"api_key": "y", "n": 1}]}'


class Tenant:
    """Reads as ``factory_tenant`` for one organisation, one transaction a statement."""

    def __init__(self, connection: Any, org: UUID) -> None:
        self.connection, self.org = connection, org

    async def act(self, method: str, *arguments: Any) -> Any:
        async with self.connection.transaction():
            await self.connection.execute("set local role factory_tenant")
            await self.connection.execute("select set_config('factory.org', $1, true)", str(self.org))
            return await getattr(self.connection, method)(*arguments)

    async def fetch(self, *arguments: Any) -> Any:
        return await self.act("fetch", *arguments)

    async def fetchrow(self, *arguments: Any) -> Any:
        return await self.act("fetchrow", *arguments)

    async def fetchval(self, *arguments: Any) -> Any:
        return await self.act("fetchval", *arguments)


async def die(desk: Any, build: UUID, task: str) -> None:
    """Three workers die under the task."""
    for number in range(3):
        worker = uuid7()
        await desk.journal.enlist(worker, f"host:{number}", 5)
        started = (await desk.journal.step(worker, 1, want=1, scan=True)).started
        assert [a.task for a in started] == [task]
        await desk.connection.execute("update worker set beat_at = '2020-01-01' where id = $1", worker)
        assert await desk.journal.reap(20.0) == {build}
    assert (await desk.states(build))[task] == "quarantined"


async def dead_job(desk: Any, org: UUID) -> UUID:
    identity = uuid7()
    await desk.connection.execute(
        "insert into dead_job values ($1, $2, 'notifications', 'mail', $3, 5, 'ConnectionError: away', now(), now())",
        identity,
        org,
        PAYLOAD,
    )
    return identity


@pytest.fixture
def letters(desk: Any) -> Callable[..., DeadLetters]:
    def letters(org: UUID | None = None) -> DeadLetters:
        reader = Tenant(desk.connection, org) if org else desk.connection
        return DeadLetters(desk.connection, reader, org)

    return letters


async def quarantine(desk: Any, noop: Any) -> tuple[UUID, str]:
    plan = (await desk.submit(str(uuid7())), (await desk.turn()).started[0])
    await desk.turn((plan[1], Completion(tasks=(noop("a", title="Write a"),))), want=0)
    await die(desk, plan[0], "a")
    return plan[0], f"{plan[0]}:a"


async def test_a_quarantined_task_names_the_workers_it_killed(desk: Any, noop: Any, letters: Any) -> None:
    build, identity = await quarantine(desk, noop)
    assert await desk.state(build) == "failed"
    (letter,) = (await letters(desk.org).page()).items
    assert (letter.id, letter.kind, letter.queue, letter.name) == (identity, "task", "builds", "Write a")
    assert (letter.cause, letter.attempts) == ("its worker died", 3)
    assert [(lost.fence, lost.worker, lost.outcome) for lost in letter.tries] == [
        (3, "host:2", "task.quarantined"),
        (2, "host:1", "task.lease_lost"),
        (1, "host:0", "task.lease_lost"),
    ]
    assert {lost.reason for lost in letter.tries} == {"its worker died"}


async def test_a_discarded_task_leaves_the_list_and_the_build_its_end(
    desk: Any, noop: Any, letters: Any
) -> None:
    build, identity = await quarantine(desk, noop)
    with pytest.raises(LetterMissing):
        await letters(uuid7()).discard(identity)
    await letters(desk.org).discard(identity, by="ann")
    with pytest.raises(NotDead):
        await letters(desk.org).discard(identity)
    assert (await letters(desk.org).page()).items == ()
    assert (await desk.states(build), await desk.state(build)) == ({"a": "failed"}, "failed")
    last = (await desk.journal.events(desk.org, build))[-1]
    assert (last.kind, last.task, last.body) == ("task.discarded", "a", {"by": "ann"})
    assert [e.seq for e in await desk.journal.events(desk.org, build)] == list(range(1, last.seq + 1))


async def test_a_quarantined_task_is_retried_in_its_build(desk: Any, noop: Any, letters: Any) -> None:
    build, identity = await quarantine(desk, noop)
    with pytest.raises(LetterMissing):
        await letters(uuid7()).retry(identity)
    await letters(desk.org).retry(identity, by="ann")
    assert await desk.state(build) == "running"
    assert (await letters(desk.org).page()).items == ()
    with pytest.raises(NotDead):
        await letters(desk.org).retry(identity)
    again = next(a for a in (await desk.turn()).started if a.task == "a")
    assert again.fence == 4
    await desk.turn((again, Completion()))
    assert await desk.state(build) == "passed"


async def test_a_retried_task_is_quarantined_after_three_more_deaths(
    desk: Any, noop: Any, letters: Any
) -> None:
    build, identity = await quarantine(desk, noop)
    await letters().retry(identity)
    await die(desk, build, "a")
    assert [letter.id for letter in (await letters().page()).items] == [identity]


async def test_a_dead_job_hides_what_looks_like_a_secret(desk: Any, letters: Any) -> None:
    identity = await dead_job(desk, desk.org)
    (letter,) = (await letters(desk.org).page()).items
    assert (letter.id, letter.kind, letter.cause) == (str(identity), "job", "ConnectionError: away")
    assert letter.payload == {
        "to": "ann",
        "smtp_password": "********",
        "deep": [{"api_key": "********", "n": 1}],
    }


async def test_a_dead_job_is_retried_with_the_payload_it_had(desk: Any, letters: Any) -> None:
    identity = str(await dead_job(desk, desk.org))
    with pytest.raises(LetterMissing):
        await letters(uuid7()).retry(identity)
    await letters(desk.org).retry(identity)
    row = await desk.connection.fetchrow("select state, payload = $1 from job", PAYLOAD)
    assert tuple(row) == ("waiting", True)
    with pytest.raises(LetterMissing):
        await letters(desk.org).retry(identity)


@pytest.mark.parametrize(
    "letter", ["", "x", "x:y", ":", NOWHERE, f"{NOWHERE}:a", f"{NOWHERE}:", f"{NOWHERE}:\0"]
)
async def test_an_unknown_letter_is_named(letter: str, letters: Any) -> None:
    with pytest.raises(LetterMissing):
        await letters().discard(letter)
    with pytest.raises(LetterMissing):
        await letters().retry(letter)


async def test_an_organisation_sees_its_own_letters_and_the_operator_all(
    desk: Any, noop: Any, letters: Any
) -> None:
    stranger = uuid7()
    _, task = await quarantine(desk, noop)
    job = str(await dead_job(desk, stranger))
    assert [letter.id for letter in (await letters(desk.org).page()).items] == [task]
    assert [letter.id for letter in (await letters(stranger).page()).items] == [job]
    assert {letter.id for letter in (await letters().page()).items} == {task, job}


BURY = """
    insert into dead_job (id, org_id, queue, name, payload, attempts, error, created_at, died_at)
    select gen_random_uuid(), $1, 'notifications', 'mail', '{}', 5, 'away', now(),
        '2026-01-01'::timestamptz + n * interval '1 minute'
    from generate_series(1, $2) n"""
QUARANTINE = """
    insert into task (build_id, id, org_id, n, agent, state, ended_at)
    select $1, 't' || n, org_id, n + 1000, 'noop', 'quarantined', '2026-01-01'::timestamptz + n / 2 * interval '2 minutes'
    from build cross join generate_series(1, $2) n where build.id = $1"""


async def every(found: DeadLetters, limit: int) -> list[DeadLetter]:
    page = await found.page(limit=limit)
    seen = list(page.items)
    while page.next is not None:
        page = await found.page(limit=limit, cursor=page.next)
        seen += page.items
    return seen


async def test_all_letters_are_listed_by_the_time_of_their_death(desk: Any, letters: Any) -> None:
    """Those of the oldest build, too, and two that died at once on different pages."""
    old, new = [await desk.submit(str(n)) for n in range(2)]
    await desk.connection.execute(BURY, desk.org, 300)
    await desk.connection.execute(QUARANTINE, old, 60)
    await desk.connection.execute(QUARANTINE, new, 3)
    await desk.connection.execute("update task set ended_at = now() where build_id = $1 and id = 't60'", old)
    for found in (letters(desk.org), letters()):
        page = await found.page(limit=LARGEST_PAGE)
        assert (len(page.items), page.total, page.items[0].id) == (LARGEST_PAGE, 363, f"{old}:t60")
        whole = await every(found, LARGEST_PAGE)
        assert len({letter.id for letter in whole}) == 363
        assert [letter.died_at for letter in whole] == sorted((x.died_at for x in whole), reverse=True)
        assert [x.id for x in await every(found, 7)] == [x.id for x in whole]
    assert (await letters(uuid7()).page()).total == 0


async def test_what_is_decided_meanwhile_moves_no_other_letter(desk: Any, letters: Any) -> None:
    await desk.connection.execute(BURY, desk.org, 6)
    whole = [letter.id for letter in await every(letters(desk.org), 10)]
    first = await letters(desk.org).page(limit=2)
    await letters(desk.org).discard(whole[1])
    await dead_job(desk, desk.org)
    second = await letters(desk.org).page(limit=2, cursor=first.next)
    assert [letter.id for letter in (*first.items, *second.items)] == whole[:4]
    assert second.total == 6


@pytest.mark.parametrize("cursor", ["", "!", "eA", "é", "MSAyIDM", "MDAwMS0wMS0wMVQwMDowMCsyMzo1OSAxIDI"])
async def test_a_cursor_of_nobodys_is_refused(cursor: str, letters: Any) -> None:
    with pytest.raises(CursorUnknown):
        await letters().page(cursor=cursor)


class Explained:
    """Reads as another does, and keeps what the statements that list did to do it."""

    def __init__(self, reader: Any) -> None:
        self.reader, self.plans = reader, list[str]()

    async def fetch(self, query: str, *facts: Any) -> Any:
        if "limit $1" in query:
            rows = await self.reader.fetch(f"explain (analyze, costs off) {query}", *facts)
            self.plans.append("\n".join(row[0] for row in rows))
        return await self.reader.fetch(query, *facts)

    async def fetchval(self, *facts: Any) -> Any:
        return await self.reader.fetchval(*facts)


async def test_a_page_costs_its_own_letters(desk: Any, letters: Any) -> None:
    """Whoever else has many, and however far it goes: nothing is sorted or thrown away."""
    build = await desk.submit()
    await desk.connection.execute(BURY, uuid7(), 5000)
    await desk.connection.execute(BURY, desk.org, 3000)
    await desk.connection.execute(QUARANTINE, build, 3000)
    await desk.connection.execute("analyze task, dead_job")
    for org in (desk.org, None):
        reader = Explained(Tenant(desk.connection, org) if org else desk.connection)
        found = DeadLetters(desk.connection, reader, org)
        page = await found.page(limit=20)
        await found.page(limit=20, cursor=page.next)
        assert len(reader.plans) == 4
        for plan in reader.plans:
            assert "Sort" not in plan, plan
            assert "Rows Removed" not in plan, plan


async def test_the_figures_of_builds_are_the_journals(desk: Any, noop: Any) -> None:
    await desk.planned([noop(n) for n in "abcd"] + [noop("later", delay=900.0)], [("a", "later")])
    tasks = await desk.connection.fetch("select state, count(*) as n from task group by 1")
    assert {row["state"]: row["n"] for row in tasks} == {"done": 1, "running": 4, "waiting": 1}
    (builds,) = await queue_figures(desk.connection)
    assert (builds.depth, builds.waiting, builds.running, builds.dead) == (0, 1, 4, 0)
    assert (builds.done, builds.failed, builds.oldest_seconds) == (1, 0, 0.0)
    assert builds.per_minute == 0.2


async def test_depth_and_age_are_of_what_could_start(desk: Any, noop: Any) -> None:
    build = await desk.submit()
    plan = (await desk.turn()).started[0]
    await desk.turn((plan, Completion(tasks=(noop("a"), noop("b")))), want=0)
    await desk.age(100.0)
    (builds,) = await queue_figures(desk.connection)
    assert builds.depth == 2
    assert 100.0 <= builds.oldest_seconds < 160.0
    await desk.journal.cancel(desk.org, build)
    (builds,) = await queue_figures(desk.connection)
    assert (builds.depth, builds.oldest_seconds) == (0, 0.0)


async def test_what_failed_long_ago_counts_no_more(desk: Any, noop: Any, ending: Any) -> None:
    _, started = await desk.planned([noop("a"), noop("b")])
    await desk.turn((started["a"], ending("retry", reason="x")), (started["b"], ending("failed", reason="y")))
    (builds,) = await queue_figures(desk.connection)
    assert builds.failed == 2
    await desk.age(400.0)
    (builds,) = await queue_figures(desk.connection)
    assert (builds.failed, builds.done) == (0, 0)


async def test_the_figures_of_jobs(desk: Any) -> None:
    insert = """insert into job (id, org_id, queue, name, state, max_attempts, run_at, error, created_at, ended_at)
        values ($1, $2, 'notifications', 'mail', $3, 5, now() + $4 * interval '1 second', $5, now(), $6::timestamptz)"""
    for state, run_at, error in (
        ("waiting", -50, ""), ("waiting", -5, ""), ("waiting", 60, "x"), ("running", 20, ""), ("done", 0, ""),
    ):  # fmt: skip
        ended = await desk.connection.fetchval("select now()") if state == "done" or error else None
        await desk.connection.execute(insert, uuid7(), desk.org, state, run_at, error, ended)
    await dead_job(desk, desk.org)
    builds, analytics, mail = await queue_figures(desk.connection, ("analytics", "notifications"))
    assert (builds.name, builds.depth, analytics.name, analytics.depth) == ("builds", 0, "analytics", 0)
    assert (mail.depth, mail.waiting, mail.running, mail.dead, mail.done, mail.failed) == (2, 1, 1, 1, 1, 2)
    assert 50.0 <= mail.oldest_seconds < 110.0


async def test_an_organisations_figures_are_its_own(desk: Any, noop: Any) -> None:
    await desk.planned([noop("a")])
    await dead_job(desk, desk.org)
    ours = await queue_figures(Tenant(desk.connection, desk.org), ("notifications",))
    theirs = await queue_figures(Tenant(desk.connection, uuid7()), ("notifications",))
    assert [(q.running, q.dead, q.done) for q in ours] == [(1, 0, 1), (0, 1, 0)]
    assert [(q.running, q.dead, q.done, q.failed, q.depth, q.waiting) for q in theirs] == [(0,) * 6] * 2


async def test_workers_show_slots_beat_and_what_the_asker_may_see(desk: Any, noop: Any) -> None:
    await desk.planned([noop("a"), noop("b")])
    for org, running in ((desk.org, 2), (uuid7(), 0)):
        (worker,) = await worker_figures(desk.connection, Tenant(desk.connection, org))
        assert (worker.name, worker.slots, worker.running) == ("desk", 50, running)
        assert worker.beat_seconds < 60.0

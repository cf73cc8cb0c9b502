"""Organisations take turns in having their jobs done: who asks for many does not keep the others waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from factory_core.builds.ids import uuid7
from factory_core.builds.journal import Journal

pytestmark = pytest.mark.anyio
Mutated = Callable[[str, str, str], AbstractContextManager[str]]

ASK = """
    insert into job (id, org_id, queue, name, max_attempts, run_at, created_at)
    select gen_random_uuid(), $1, 'notifications', $3, 5, now() - interval '1 hour' + n * interval '1 millisecond', now()
    from generate_series(1, $2) n"""
TAKE = "select id, org_id, run_at, fence from journal.take_jobs(array['mail', 'hook'], $1, 20)"
END = """
    select journal.end_jobs(array_agg(id), array_agg(fence), array_agg(null::text), array_agg(false), array_agg(0.0))
    from job where state = 'running'"""


async def found(connection: Any, weight: int = 1) -> UUID:
    org = uuid7()
    await Journal(connection).found(org, "one")
    await connection.execute("update organisation set weight = $2 where id = $1", org, weight)
    return org


async def taken(connection: Any, want: int) -> list[UUID]:
    """Whose jobs are taken next; they are done at once."""
    rows = await connection.fetch(TAKE, want)
    await connection.execute(END)
    return [row["org_id"] for row in rows]


TOUCHED = """
    select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::integer, coalesce(sum(seq_scan), 0)::integer
    from pg_stat_xact_user_tables where schemaname = 'public' and relname in ('job', 'job_turn', 'organisation')"""


async def touched(connection: Any) -> Sequence[int]:
    """Rows that a taking of ten read, and tables that it read as a whole."""
    async with connection.transaction():
        before = await connection.fetchrow(TOUCHED)
        assert len(await connection.fetch(TAKE, 10)) == 10
        after = await connection.fetchrow(TOUCHED)
    return after[0] - before[0], after[1] - before[1]


async def a_newcomer_is_served_next(connection: Any) -> None:
    flood, newcomer = await found(connection, weight=10), await found(connection)
    await connection.execute(ASK, flood, 20_000, "mail")
    for _ in range(5):
        assert await taken(connection, 10) == [flood] * 10
    await connection.execute(ASK, newcomer, 1, "mail")
    assert newcomer in await taken(connection, 2)
    await connection.execute(ASK, newcomer, 3, "hook")
    assert Counter(await taken(connection, 40)) == {flood: 37, newcomer: 3}


async def shares_follow_the_weights(connection: Any, want: int = 1) -> None:
    """By one job at a time, too: what was had before counts, not what runs."""
    orgs = {await found(connection, weight): weight for weight in (1, 3, 10)}
    for org in orgs:
        await connection.execute(ASK, org, 1000, "mail")
    had = Counter[UUID]()
    for _ in range(280 // want):
        had.update(await taken(connection, want))
    assert sum(had.values()) == 280
    for org, weight in orgs.items():
        assert abs(had[org] - 20 * weight) <= weight + 1


async def who_was_idle_has_saved_nothing_up(connection: Any) -> None:
    busy, idle = await found(connection), await found(connection)
    await connection.execute(ASK, idle, 1, "mail")
    assert await taken(connection, 1) == [idle]
    await connection.execute(ASK, busy, 1000, "mail")
    for _ in range(50):
        await taken(connection, 10)
    await connection.execute(ASK, idle, 1000, "mail")
    had = Counter(await taken(connection, 10) + await taken(connection, 10))
    assert abs(had[idle] - 10) <= 1


async def a_job_that_takes_long_counts_for_more(connection: Any) -> None:
    slow, quick = await found(connection), await found(connection)
    for org in (slow, quick):
        await connection.execute(ASK, org, 100, "mail")
    rows = await connection.fetch(TAKE, 2)
    assert {row["org_id"] for row in rows} == {slow, quick}
    (held,) = (row for row in rows if row["org_id"] == slow)
    for _ in range(9):
        hold = "select count(*) from journal.hold_jobs(array[$1::uuid], array[$2::integer], 20)"
        assert await connection.fetchval(hold, held["id"], held["fence"]) == 0
    assert await taken(connection, 9) == [quick] * 9
    assert Counter(await taken(connection, 2)) == {slow: 1, quick: 1}


async def an_organisation_is_served_in_order(connection: Any) -> None:
    org = await found(connection)
    for name in ("mail", "hook", "mail"):
        await connection.execute(ASK, org, 5, name)
    due = [row[0] for row in await connection.fetch("select run_at from job order by run_at")]
    for n in range(0, 15, 3):
        assert len(await connection.fetch(TAKE, 3)) == 3
        left = await connection.fetchval("select min(run_at) from job where state = 'waiting'")
        assert left == (due[n + 3] if n < 12 else None)


async def a_taking_reads_no_more_than_it_needs(connection: Any) -> None:
    """Planned while nothing was there, then with much of what nobody here can do, and of one organisation's."""
    for _ in range(10):
        assert await taken(connection, 10) == []
    for _ in range(20):
        await connection.execute(ASK, await found(connection), 20, "mail")
    flood = await found(connection)
    for name in ("mail", "unknown"):
        await connection.execute(ASK, flood, 20_000, name)
    for _ in range(2):
        rows, scans = await touched(connection)
        assert (rows < 600, scans) == (True, 0), rows
        await connection.execute("analyze job")


RULES: dict[str, tuple[Callable[[Any], Awaitable[None]], tuple[str, str, str]]] = {
    "a newcomer is served next": (
        a_newcomer_is_served_next,
        ("10", "order by time, d.org_id limit p_want", "order by d.org_id limit 1"),
    ),
    "shares follow the weights": (shares_follow_the_weights, ("10", "coalesce(o.weight, 1)", "1")),
    "idleness saves nothing up": (
        who_was_idle_has_saved_nothing_up,
        ("10", "greatest(t.vt, v_clock) as time", "coalesce(t.vt, 0) as time"),
    ),
    "a job that takes long counts for more": (
        a_job_that_takes_long_counts_for_more,
        ("10", "set vt = t.vt + u.n::double", "set vt = t.vt + 0::double"),
    ),
    "an organisation is served in order": (
        an_organisation_is_served_in_order,
        ("10", "order by x.run_at, x.id)", "order by x.id)"),
    ),
    "a taking reads little": (
        a_taking_reads_no_more_than_it_needs,
        ("01", "create index job_due on job (org_id, name, run_at)", "create index job_due on job (run_at)"),
    ),
}
"""Each with what is taken out of the journal so that it does not hold."""


@pytest.mark.parametrize("rule", RULES)
async def test_a_rule_of_the_turns_holds(rule: str, connection: Any) -> None:
    await RULES[rule][0](connection)


@pytest.mark.parametrize("rule", RULES)
async def test_without_its_line_the_rule_is_missed(rule: str, mutated: Mutated) -> None:
    check, mutant = RULES[rule]
    with mutated(*mutant) as url:
        connection: Any = await asyncpg.connect(url)
        try:
            with pytest.raises(AssertionError):
                await check(connection)
        finally:
            await connection.close()


@pytest.mark.parametrize("want", [7, 28])
async def test_shares_follow_the_weights_however_many_are_taken_at_once(connection: Any, want: int) -> None:
    await shares_follow_the_weights(connection, want)


async def test_organisations_that_are_not_founded_weigh_one(connection: Any) -> None:
    """The operator's own, for one."""
    ours, theirs = uuid7(), await found(connection)
    for org in (ours, theirs):
        await connection.execute(ASK, org, 10, "mail")
    assert Counter(await taken(connection, 10)) == {ours: 5, theirs: 5}


async def test_one_taking_at_a_time(connection: Any, journal_url: str) -> None:
    """Or both would choose the same jobs, and one of them come back with none."""
    await connection.execute(ASK, await found(connection), 20, "mail")
    other: Any = await asyncpg.connect(journal_url)
    try:
        transaction = connection.transaction()
        await transaction.start()
        first = await connection.fetch(TAKE, 10)
        await other.execute("set lock_timeout = '1ms'")
        with pytest.raises(asyncpg.LockNotAvailableError):
            await other.fetch(TAKE, 10)
        await transaction.commit()
        await other.execute("reset lock_timeout")
        second = await other.fetch(TAKE, 10)
    finally:
        await other.close()
    assert len({row["id"] for row in (*first, *second)}) == 20

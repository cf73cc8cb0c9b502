"""The journal agrees with its model, and each rule taken out of it is missed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import ModuleType

import asyncpg
import pytest

from factory_core.builds.journal import Journal
from factory_core.errors import FactoryError

Mutated = Callable[[str, str, str], AbstractContextManager[str]]
EXAMPLES = 800
FINDINGS = (AssertionError, FactoryError, asyncpg.IntegrityConstraintViolationError, asyncpg.RaiseError)
"""How a rule is missed: the model disagrees, the journal refuses, or a guard of its tables or functions holds. SQL that
merely breaks, as with a column that is not there, shows nothing about a rule."""

MUTANTS: dict[str, tuple[str, str, str]] = {
    "a stale fence is accepted": (
        "05",
        "t.state = 'running' and t.fence = i.fence as fits",
        "t.state = 'running' as fits",
    ),
    "a task that ended is accepted": (
        "05",
        "t.state = 'running' and t.fence = i.fence as fits",
        "t.fence = i.fence as fits",
    ),
    "a doubled report counts twice": ("05", "order by i.o) = 1 as first", "order by i.o) > 0 as first"),
    "a doubled report is answered once": ("05", "when a.fits then (", "when false then ("),
    "a doubled report has children twice": ("05", "filter (where a.counts", "filter (where a.fits"),
    "parents ending together count once": ("03", "count(*)::integer as n", "1 as n"),
    "a repeated report is not answered again": (
        "05",
        "when a.end_fence = a.fence then a.end_seq end",
        "end",
    ),
    "a repeated tick takes work again": ("06", "if p_tick > v_last and p_want > 0", "if p_want > 0"),
    "a lost answer is not repeated": ("06", "if p_tick <= v_last then", "if false then"),
    "waiting tasks are handed out": ("06", "and t.state = 'ready'", "and t.state in ('ready', 'waiting')"),
    "claims do not raise the fence": (
        "06",
        "fence = s.fence, worker",
        "fence = greatest(t.fence, 1), worker",
    ),
    "events are not counted": ("06", "next_seq = b.next_seq + s.n,", "next_seq = b.next_seq + s.n - 1,"),
    "who adds tasks does not tell": ("04", "when jsonb_array_length(v_tasks) > 0 then 'build.grown'", ""),
    "a failure does not skip what follows": ("03", "when h.bad and not t.always then 'skipped'", ""),
    "always is ignored": ("03", "when h.bad and not t.always", "when h.bad"),
    "the cap of agents is ignored": ("04", "if p_build.agents + v_agents > p_build.max_agents", "if false"),
    "the depth cap is ignored": ("04", "if p_depth > p_build.max_depth", "if false"),
    "spawned tasks are not waited for": ("04", "(x -> 'joined')::boolean and", "false and"),
    "tries never end": ("05", "t.tries + 1 >= t.max_tries", "false"),
    "a stopped build goes on": ("05", "when b.stop then 'cancelled'", ""),
    "a dead worker keeps its tasks": ("07", "if v_build is not null then -- held", "if false then"),
    "whose lease was lost is not named": (
        "07",
        "delete from worker where id = p_worker;\n    return coalesce(v_build, '{}');",
        "delete from worker where id = p_worker;\n    return '{}';",
    ),
    "whose deadline passed is not named": (
        "07",
        "than its deadline', false, v_now);\n    end if;\n    return coalesce(v_build, '{}');",
        "than its deadline', false, v_now);\n    end if;\n    return '{}';",
    ),
    "nobody is quarantined": ("07", "when p_died and t.crashes >= 2 then", "when false then"),
    "revoked tasks are not named": ("06", "where (t.fence = h.fence", "where false and (t.fence = h.fence"),
    "a key is answered with nothing": ("04", "where b.org_id = p_org and b.idem_key = p_key", "where false"),
    "a discarded letter is still there": (
        "10",
        "set state = 'failed' where build_id",
        "set reason = '' where build_id",
    ),
    "parking counts a try": (
        "05",
        "or (s.kind = 'retry' and not s.ended)",
        "or (s.kind in ('retry', 'park') and not s.ended)",
    ),
    "parking never ends": ("05", "t.parked + i.delay > journal.patience()", "false"),
    "each parking is the first": ("05", "then t.parked + greatest(s.delay", "then greatest(s.delay"),
    "what was taken away costs nothing": ("03", "perform journal.charge(p_build, p_task, p_now);", ""),
    "a build that runs is archived": ("11", "where id = p_build and not open and", "where id = p_build and"),
    "a build that moved on is packed": ("12", "and not packed and next_seq - 1 = p_last", "and not packed"),
    "events that are rows are packed": (
        "12",
        "id = p_build and archived and not packed",
        "id = p_build and not packed",
    ),
    "builds never end": ("03", "and open and unfinished = 0", "and open and unfinished = -1"),
}

CONTROL: dict[str, tuple[str, str, str]] = {
    "a held build is handed out": ("06", "and b.state in ('queued', 'planning', 'running')", ""),
    "a halted build ends by itself": ("03", " and state <> 'halted'", ""),
    "a plan lifts a pause": ("04", "p_parent = 'plan' and held_at is null", "p_parent = 'plan'"),
    "a pause is told twice": ("08", "if v_state in ('queued',", "if v_state in ('paused', 'queued',"),
    "a halt is lifted without a decision": (
        "08",
        "if v_state = 'paused' then",
        "if v_state in ('paused', 'halted') then",
    ),
    "a decision is taken without a halt": (
        "08",
        "if v_state <> 'halted' then",
        "if v_state not in ('halted', 'running') then",
    ),
    "what goes on is always running": (
        "08",
        "when fence > 0 then 'planning' else 'queued' end",
        "else 'running' end",
    ),
    "what may not be looked into halts nothing": ("05", "?| array['risk', 'halt']", "?| array['halt']"),
    "who may call nobody may not halt either": (
        "04",
        "p_build.max_depth and jsonb_array_length(p_tasks) > 0",
        "p_build.max_depth",
    ),
    "a stopped build is halted": (
        "08",
        "where id = p_build and open and not stop;",
        "where id = p_build and open;",
    ),
    "a retry opens what has passed": (
        "09",
        "v_build.state in ('passed', 'stopping')",
        "v_build.state = 'stopping'",
    ),
    "what follows from a retried task stays": (
        "09",
        "text[] := journal.below(p_build, p_roots)",
        "text[] := p_roots",
    ),
    "what a retried task spawned stays": ("09", "and parent = any (v_again);", "and false;"),
    "retried tasks wait for nobody": ("09", "(p.id = any (v_again) or p.state in", "(p.state in"),
    "a retried task keeps its tries": ("09", "tries = 0, crashes = 0,", "crashes = 0,"),
    "a retry leaves what made its task be skipped": (
        "09",
        "v_roots || journal.culprits(p_build, v_roots)",
        "v_roots",
    ),
    "a retried build is still stopping": ("09", "open = true, stop = false,", "open = true,"),
    "a fork takes over what follows": (
        "09",
        "select journal.below(p_source, array_agg(id) || p_task || journal.unapproved(p_source))",
        "select array_agg(id) || p_task",
    ),
    "a fork takes over what was spawned": (
        "09",
        "where build_id = p_source and (parent = any (v_again)) is not true;",
        "where build_id = p_source;",
    ),
    "a fork waits for nobody": ("09", "and p.state <> 'done'\n", "and false\n"),
    "a decision lifts a pause": ("08", "where id = p_build and paused is not null;", "where false;"),
    "what a retry takes away costs nothing": (
        "09",
        "perform journal.charge(array_fill(p_build, array[cardinality(v_again)]), v_again, p_now);",
        "",
    ),
    "mergers count as agents": ("00", "('barrier', 'coordinator', 'merger')", "('barrier', 'coordinator')"),
    "a fork of what is under way": ("09", "if v_source.open then", "if false then"),
}
"""Caught by the machine that has people at it. Fences after a retry and builds that were packed take it too many
moves: test_retry.py and test_packed_again.py control them."""

BOARDS: dict[str, tuple[str, str, str]] = {
    "whoever lost a task may write": (
        "09",
        "and fence = p_fence and state = 'running' for share",
        "for share",
    ),
    "what stands is not compared": ("09", "v_item.version > 0 and b.version = v_item.version;", "true;"),
    "the first is overwritten": (
        "09",
        "on conflict do nothing;\n        update board",
        "on conflict (build_id, key) do update set value = excluded.value;\n        update board",
    ),
    "changes are not counted": ("09", "set version = b.version + 1, value", "set version = b.version, value"),
    "who lost is told to have won": (
        "09",
        "b.task = p_task and b.value = v_item.value and b.version = v_item.version + 1",
        "true",
    ),
    "who repeats a write has lost": (
        "09",
        "b.version = v_item.version + 1\n",
        "b.version = v_item.version\n",
    ),
    "letters are sent twice": (
        "09",
        "delete from mail where build_id = p_build and",
        "delete from mail where false and",
    ),
    "another's letters are lost": ("09", "and sender = p_sender and round = p_round", "and round = p_round"),
    "letters of another round are lost": (
        "09",
        "and sender = p_sender and round = p_round",
        "and sender = p_sender",
    ),
}
"""Caught by the machine whose agents talk."""

ALWAYS = {*list(MUTANTS)[:6], *list(CONTROL)[:2], *list(BOARDS)[:2], "waiting tasks are handed out"}
ALWAYS -= {"a halted build ends by itself"}
"""The classic ones that are found within seconds, in every run; ``make verify`` runs them all."""


def test_the_journal_agrees_with_its_model(model: ModuleType, journal_url: str) -> None:
    model.check(journal_url, 150, asyncpg.connect, Journal)


def test_people_at_it_agree_with_the_model(model: ModuleType, journal_url: str) -> None:
    model.check(journal_url, 150, asyncpg.connect, Journal, model.ControlMachine)


def test_agents_that_talk_agree_with_the_model(model: ModuleType, journal_url: str) -> None:
    model.check(journal_url, 100, asyncpg.connect, Journal, model.BoardMachine)


@pytest.mark.parametrize(
    "name",
    [
        name if name in ALWAYS else pytest.param(name, marks=pytest.mark.slow)
        for name in (*MUTANTS, *CONTROL, *BOARDS)
    ],
)
def test_a_mutant_is_caught(name: str, model: ModuleType, mutated: Mutated) -> None:
    machine = model.JournalMachine
    if name not in MUTANTS:
        machine = model.ControlMachine if name in CONTROL else model.BoardMachine
    with (
        mutated(*{**MUTANTS, **CONTROL, **BOARDS}[name]) as url,
        pytest.raises(FINDINGS),
    ):
        model.check(url, EXAMPLES, asyncpg.connect, Journal, machine)


@pytest.mark.parametrize(
    ("rule", "mutation"),
    [
        pytest.param("t.fence = i.fence as fits", "t.fences = i.fence as fits", id="no such column"),
        pytest.param("t.fence = i.fence as fits", "t.fence || i.fence as fits", id="no such operator"),
        pytest.param("t.fence = i.fence as fits", "1 / (t.fence - t.fence) = 1 as fits", id="no such number"),
    ],
)
def test_sql_that_merely_breaks_is_no_finding(
    rule: str, mutation: str, model: ModuleType, mutated: Mutated
) -> None:
    with mutated("05", rule, mutation) as url, pytest.raises(asyncpg.PostgresError) as broken:
        model.check(url, 5, asyncpg.connect, Journal)
    assert not isinstance(broken.value, FINDINGS)

"""How the queues do: depth, age, rate and failures, counted from the journal's rows at the moment of asking.

The same statements serve an organisation (over a connection that sees its rows only) and the operator (over one that
sees all). Each is bounded by what is open or by the last minutes, never by how much there has ever been.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct

from factory_core.contracts.events import ENDED, BuildState

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = [
    "BUILDS",
    "WINDOW_SECONDS",
    "BuildFigures",
    "QueueFigures",
    "WorkerFigures",
    "build_figures",
    "queue_figures",
    "worker_figures",
]

BUILDS = "builds"
WINDOW_SECONDS = 300.0
"""Over which rates and failures are counted."""

# The clock is volatile, as it must be for the journal; in a subselect it is asked once, so that indexes can be used.
#
# How long ready work has waited: since the last of its parents ended, else since the build began. Looked up for the ten
# first-planned ready tasks of the fifty oldest builds that have any.
_TASKS = """
    with open as (
        select coalesce(sum(ready), 0) as ready, coalesce(sum(unfinished), 0) as unfinished from build where open
    ), oldest as (
        select min(coalesce(x.since, b.created_at)) as since
        from (select id, created_at from build where open and ready > 0 order by id limit 50) b
        cross join lateral (
            select id from task where build_id = b.id and state = 'ready' order by n limit 10
        ) t
        left join lateral (
            select max(p.ended_at) as since from edge e join task p on p.build_id = e.build_id and p.id = e.parent
            where e.build_id = b.id and e.child = t.id
        ) x on true
    ), lately as (
        select count(*) filter (where kind = 'task.done') as done,
            count(*) filter (where kind in ('task.failed', 'task.quarantined', 'task.retrying', 'task.lease_lost')) as failed
        from event where at > (select factory_now() - $1 * interval '1 second')
    )
    select ready, unfinished, (select count(*) from task where state = 'running') as running,
        (select count(*) from task where state = 'quarantined') as dead,
        (select count(*) from task where state = 'waiting' and run_at is not null and parked > 0) as parked,
        extract(epoch from factory_now() - oldest.since)::float8 as oldest, done, failed
    from open, oldest, lately"""

_JOBS = """
    select queue, sum(due)::bigint as due, sum(later)::bigint as later, sum(running)::bigint as running,
        sum(dead)::bigint as dead, sum(done)::bigint as done, sum(failed)::bigint as failed,
        extract(epoch from factory_now() - min(since))::float8 as oldest
    from (
        select queue, count(*) filter (where state = 'waiting' and run_at <= factory_now()) as due,
            count(*) filter (where state = 'waiting' and run_at > factory_now()) as later,
            count(*) filter (where state = 'running') as running, 0 as dead, 0 as done,
            count(*) filter (where error <> '' and ended_at > (select factory_now() - $1 * interval '1 second')) as failed,
            min(run_at) filter (where state = 'waiting' and run_at <= factory_now()) as since
        from job where state <> 'done' group by queue
        union all
        select queue, 0, 0, 0, 0, count(*), 0, null
        from job where state = 'done' and ended_at > (select factory_now() - $1 * interval '1 second') group by queue
        union all
        select queue, 0, 0, 0, count(*), 0,
            count(*) filter (where died_at > (select factory_now() - $1 * interval '1 second')), null
        from dead_job group by queue
    ) parts group by queue"""

_WORKERS = """
    select id, name, slots, started_at, extract(epoch from factory_now() - beat_at)::float8 as beat from worker
    order by started_at limit 1000"""
_OPEN = "select state, count(*) as builds from build where open group by state"
_ENDED = """
    select body ->> 'state' as state, count(*) as builds from event
    where kind = 'build.ended' and at > (select factory_now() - $1 * interval '1 second') group by 1"""
_HELD = "select worker as id, count(*) as running from task where state = 'running' group by worker"


_COUNTS = ("due", "later", "running", "dead", "done", "failed")


class QueueFigures(Struct, frozen=True, kw_only=True):
    """One queue now, and over the last ``window_seconds``. Times are in seconds."""

    name: str
    """``builds`` for the tasks of builds, else the queue of jobs."""
    depth: int
    """What could start at once."""
    waiting: int
    """What waits for its time, or for other tasks."""
    running: int
    parked: int
    """What waits because somebody else asked for patience, such as a model's provider; it is part of ``waiting``."""
    dead: int
    """Dead letters: what waits for a person."""
    oldest_seconds: float
    """How long what could start has waited, at most; 0 when there is nothing."""
    done: int
    """Ended well in the window."""
    failed: int
    """Attempts that failed or were lost in the window, those that are tried again included."""
    per_minute: float
    """Ended well, a minute, over the window."""
    window_seconds: float


class WorkerFigures(Struct, frozen=True, kw_only=True):
    """A worker process. ``running`` counts what the asker may see of what it holds."""

    id: UUID
    name: str
    """Its host and process, for the operator; for others its id."""
    slots: int
    running: int
    beat_seconds: float
    """How long ago it was last heard of."""
    started_at: datetime


class BuildFigures(Struct, frozen=True, kw_only=True):
    """Builds by state: those that have not ended, and those that did in the last ``window_seconds``."""

    open: dict[BuildState, int]
    ended: dict[BuildState, int]
    window_seconds: float


async def build_figures(connection: Connection, *, window: float = WINDOW_SECONDS) -> BuildFigures:
    """Every state is there, with 0 if need be."""
    now = {row["state"]: row["builds"] for row in await connection.fetch(_OPEN)}
    lately = {row["state"]: row["builds"] for row in await connection.fetch(_ENDED, window)}
    return BuildFigures(
        open={state: now.get(state, 0) for state in BuildState if state not in ENDED},
        ended={state: lately.get(state, 0) for state in BuildState if state in ENDED},
        window_seconds=window,
    )


async def queue_figures(
    connection: Connection, queues: tuple[str, ...] = (), *, window: float = WINDOW_SECONDS
) -> tuple[QueueFigures, ...]:
    """``builds`` first, then the queues of jobs: those named, and whichever has rows."""
    tasks = await connection.fetchrow(_TASKS, window)
    rows = {row["queue"]: row for row in await connection.fetch(_JOBS, window)}
    ready, running = int(tasks["ready"]), int(tasks["running"])
    waiting = max(0, int(tasks["unfinished"]) - ready - running)
    builds = _figures(BUILDS, dict(tasks), depth=ready, waiting=waiting, window=window)
    others = [_job_figures(name, rows.get(name), window) for name in sorted({*queues, *rows})]
    return (builds, *others)


async def worker_figures(
    operator: Connection, asker: Connection, *, named: bool = True
) -> tuple[WorkerFigures, ...]:
    """The workers, oldest first. Workers are nobody's, so ``operator`` reads them; what they hold is the asker's. Their
    names tell of hosts: ``named`` says whether the asker may know."""
    held = {row["id"]: row["running"] for row in await asker.fetch(_HELD)}
    return tuple(
        WorkerFigures(
            id=row["id"],
            name=row["name"] if named else str(row["id"]),
            slots=row["slots"],
            running=held.get(row["id"], 0),
            beat_seconds=round(max(0.0, row["beat"]), 3),
            started_at=row["started_at"],
        )
        for row in await operator.fetch(_WORKERS)
    )


def _job_figures(name: str, row: Any, window: float) -> QueueFigures:
    found: dict[str, Any] = dict(row) if row is not None else dict.fromkeys(_COUNTS, 0)
    return _figures(name, found, depth=found["due"], waiting=found["later"], window=window)


def _figures(name: str, row: dict[str, Any], *, depth: int, waiting: int, window: float) -> QueueFigures:
    return QueueFigures(
        name=name,
        depth=depth,
        waiting=waiting,
        running=row["running"],
        parked=row.get("parked", 0),
        dead=row["dead"],
        oldest_seconds=round(max(0.0, row.get("oldest") or 0.0), 3),
        done=row["done"],
        failed=row["failed"],
        per_minute=round(row["done"] * 60.0 / window, 3),
        window_seconds=window,
    )

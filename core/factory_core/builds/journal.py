"""The journal: every fact of every build, in PostgreSQL. Nothing else is the truth about a build.

Writing goes through the SQL functions of schema ``journal`` (``factory_migrations/core/sql``), which hold the
invariants. Reading happens as the tenant's role with the organisation set, so a wrong organisation sees no rows.
Works behind PgBouncer in transaction mode when the connection has ``statement_cache_size=0``.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from factory_core.builds.answers import turn_of
from factory_core.builds.boards import Boards
from factory_core.builds.control import Control
from factory_core.builds.errors import BuildMissing, IdempotencyConflict, OrganisationMissing, QueueFull
from factory_core.builds.ids import uuid7
from factory_core.builds.schemas import (
    Assignment,
    AttemptRow,
    BuildRow,
    Completion,
    CompletionKind,
    Key,
    NewEdge,
    NewTask,
    Report,
    ResultRow,
    SpawnedRow,
    Submission,
    Submitted,
    TaskRow,
    Turn,
    as_json,
    rows_of,
)
from factory_core.builds.shares import Shares
from factory_core.contracts.events import Event

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection, Pool

__all__ = [
    "Assignment",
    "AttemptRow",
    "BuildRow",
    "Completion",
    "CompletionKind",
    "Journal",
    "NewEdge",
    "NewTask",
    "Report",
    "ResultRow",
    "SpawnedRow",
    "Submission",
    "Submitted",
    "TaskRow",
    "Turn",
    "rows_of",
]

_BUILD = """
    id, org_id as org, idem_key, spec_digest, options, state, stop, reason, next_seq - 1 as seq, tasks, agents, unfinished,
    created_at, deadline_at, ended_at"""

_TASKS = """
    select id, n, parent, agent, title, team, phase, scope, params, requirements, seconds, priority, optional, always,
        state, fence, tries, crashes, reason, started_at, ended_at,
        array(select e.parent from edge e where e.build_id = t.build_id and e.child = t.id order by 1) as after
    from task t where build_id = $1 order by n"""

_RESULTS = """
    select t.id, t.agent, t.state, t.reason, coalesce(t.result, '{}') as result, t.fence
    from task t where t.build_id = $1 and ($2::text[] is null or t.id = any ($2)) order by t.n"""

_NEWS = """
    select t.id, t.agent, t.state, t.reason, coalesce(t.result, '{}') as result, t.fence
    from task t left join unnest($3::text[], $4::integer[]) as k (id, fence) on k.id = t.id
    where t.build_id = $1 and t.id = any ($2) and (t.state <> 'done' or k.fence is distinct from t.fence) order by t.n"""

_PARENTS = "select parent from edge where build_id = $1 and child = $2"

_SPAWNED = """
    select t.id, t.parent, t.depth, t.n,
        array(select e.child from edge e where e.build_id = t.build_id and e.parent = t.id) as heirs
    from task t where t.build_id = $1 and t.depth > 1 order by t.depth, t.n"""

_STEP = "select * from journal.step($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19)"


class Journal:
    """Reads and writes builds over a pool, or over one connection when the caller wants its statements in order."""

    def __init__(self, source: Pool | Connection) -> None:
        self._source = source
        self.control = Control(source)
        self.shares = Shares(source)
        self.boards = Boards(source, self._tenant)

    async def found(self, org: UUID, name: str, *, weight: int = 1) -> None:
        """Make sure that the organisation exists."""
        await self._source.execute(
            "insert into organisation (id, name, weight) values ($1, $2, $3) on conflict (id) do nothing",
            org,
            name,
            weight,
        )

    async def submit(self, order: Submission, *, build: UUID | None = None) -> Submitted:
        """Create a build with its task ``plan`` (agent ``planner``) and event 1; one idempotency key, one build.

        ``build`` is its id if it is new. Raises IdempotencyConflict, OrganisationMissing, QueueFull. Safe to repeat."""
        row = await self._source.fetchrow(
            "select * from journal.submit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            order.org,
            build or uuid7(),
            order.idem_key,
            order.spec_digest,
            _encode(order.options),
            _encode(order.params),
            order.max_agents,
            order.max_depth,
            order.max_seconds,
            order.project,
            order.max_running,
        )
        if row is None:
            raise OrganisationMissing(order.org)
        if row["build"] is None:
            raise QueueFull(row["retry_after"])
        if row["spec_digest"] != order.spec_digest:
            raise IdempotencyConflict(order.idem_key, row["build"])
        return Submitted(build=row["build"], created=row["created"])

    async def cancel(self, org: UUID, build: UUID, *, reason: str = "cancelled") -> bool:
        """Stop a build; false when it had ended. Raises BuildMissing. Safe to repeat."""
        stopped: bool | None = await self._source.fetchval(
            "select journal.cancel($1, $2, $3)", org, build, reason
        )
        if stopped is None:
            raise BuildMissing(build)
        return stopped

    async def enlist(self, worker: UUID, name: str, slots: int) -> None:
        """Register a worker. Its id is new at each start of its process."""
        await self._source.execute("select journal.enlist($1, $2, $3)", worker, name, slots)

    async def step(
        self,
        worker: UUID,
        tick: int,
        reports: Sequence[Report] = (),
        held: Sequence[Key] = (),
        *,
        want: int,
        scan: bool,
        offers: Sequence[UUID] = (),
        per: int = 8,
        keep: int = 0,
    ) -> Turn:
        """Report, beat and take work in one transaction. Repeat the same tick when the answer was lost.

        ``keep`` of the tasks wanted may only be of organisations with ``reserved``."""
        rows = await self._source.fetch(
            _STEP,
            worker,
            tick,
            [r.build for r in reports],
            [r.task for r in reports],
            [r.fence for r in reports],
            [r.kind for r in reports],
            [r.result for r in reports],
            [r.reason for r in reports],
            [r.memo for r in reports],
            [r.delay for r in reports],
            [r.children for r in reports],
            [k[0] for k in held],
            [k[1] for k in held],
            [k[2] for k in held],
            want,
            scan,
            list(offers),
            per,
            keep,
        )
        return turn_of(rows)

    async def tend(self, ttl: float) -> frozenset[UUID]:
        """Reap a silent worker, fire timers, end what is overdue: the builds in which anything moved."""
        return frozenset(await self._source.fetchval("select journal.tend($1)", ttl))

    async def fire(self) -> frozenset[UUID]:
        """Make ready the tasks whose time has come: their builds. No event tells of it."""
        return frozenset(await self._source.fetchval("select journal.fire()"))

    async def reap(self, ttl: float) -> frozenset[UUID] | None:
        """Free the tasks of one worker silent for ``ttl`` seconds: their builds, or None when none is silent."""
        builds = await self._source.fetchval("select journal.reap($1)", ttl)
        return None if builds is None else frozenset(builds)

    async def leave(self, worker: UUID) -> frozenset[UUID]:
        """Say goodbye: what the worker still holds is ready for others. The builds of that."""
        return frozenset(await self._source.fetchval("select journal.leave($1)", worker))

    async def build(self, org: UUID, build: UUID) -> BuildRow:
        """Raises BuildMissing."""
        async with self._tenant(org) as connection:
            row = await connection.fetchrow(f"select {_BUILD} from build where id = $1", build)  # noqa: S608 - a constant
        if row is None:
            raise BuildMissing(build)
        return _as(BuildRow, row, "options")

    async def builds(self, org: UUID, *, before: UUID | None = None, limit: int = 50) -> tuple[BuildRow, ...]:
        """The organisation's builds, newest first, those older than ``before``."""
        query = f"select {_BUILD} from build where org_id = $1 and ($2::uuid is null or id < $2) order by id desc limit $3"  # noqa: S608 - a constant
        async with self._tenant(org) as connection:
            rows = await connection.fetch(query, org, before, limit)
        return tuple(_as(BuildRow, row, "options") for row in rows)

    async def passed(self, org: UUID, slug: str) -> UUID | None:
        """The project's newest build that passed."""
        query = """
            select id from build where org_id = $1 and state = 'passed' and options ->> 'slug' = $2
            order by id desc limit 1"""
        async with self._tenant(org) as connection:
            return await connection.fetchval(query, org, slug)

    async def tasks(self, org: UUID, build: UUID) -> tuple[TaskRow, ...]:
        """The tasks in the order they were inserted, each with the ids it waits for."""
        async with self._tenant(org) as connection:
            return tuple(_as(TaskRow, row, "params") for row in await connection.fetch(_TASKS, build))

    async def attempts(self, org: UUID, build: UUID) -> tuple[AttemptRow, ...]:
        """Every try that events in rows tell of, in the order they started; ``archive.History`` has those in files, too."""
        async with self._tenant(org) as connection:
            rows = await connection.fetch(
                "select * from attempt where build_id = $1 order by started_at, task", build
            )
        return tuple(_as(AttemptRow, row) for row in rows)

    async def events(self, org: UUID, build: UUID, *, after: int = 0, limit: int = 1000) -> tuple[Event, ...]:
        """Events ``after + 1`` and on, as far as they are rows; ``archive.History`` has those in files, too."""
        async with self._tenant(org) as connection:
            rows = await connection.fetch(
                "select build_id as build, seq, kind, task, fence, at, body from event"
                " where build_id = $1 and seq > $2 order by seq limit $3",
                build,
                after,
                limit,
            )
        return tuple(_as(Event, row, "body") for row in rows)

    async def running(self, builds: Sequence[UUID]) -> frozenset[UUID]:
        """Which of these builds, of whatever organisation, have not ended."""
        rows = await self._source.fetch(
            "select id from build where id = any ($1) and ended_at is null", list(builds)
        )
        return frozenset(row["id"] for row in rows)

    async def archive(self, org: UUID, build: UUID, after: int) -> Any:
        """The file that has the first archived event after this number: first, last, key and size; or None."""
        async with self._tenant(org) as connection:
            return await connection.fetchrow(
                "select first, last, key, size from archive where build_id = $1 and last > $2 order by last limit 1",
                build,
                after,
            )

    async def packed(self, org: UUID, build: UUID) -> Any:
        """The file with the rows of a build that ended long ago: key and digest; or None."""
        async with self._tenant(org) as connection:
            return await connection.fetchrow("select key, digest from packed where build_id = $1", build)

    async def results(
        self, org: UUID, build: UUID, tasks: Sequence[str] | None = None
    ) -> tuple[ResultRow, ...]:
        """How the tasks ended (all of them when none is named), in the order they were inserted."""
        async with self._tenant(org) as connection:
            rows = await connection.fetch(_RESULTS, build, list(tasks) if tasks is not None else None)
        return tuple(_as(ResultRow, row, "result") for row in rows)

    async def news(
        self, org: UUID, build: UUID, tasks: Sequence[str], known: Mapping[str, int]
    ) -> tuple[ResultRow, ...]:
        """How those of the tasks ended that are not done in the try that is known of them."""
        async with self._tenant(org) as connection:
            rows = await connection.fetch(_NEWS, build, list(tasks), list(known), list(known.values()))
        return tuple(_as(ResultRow, row, "result") for row in rows)

    async def parents(self, org: UUID, build: UUID, task: str) -> frozenset[str]:
        """What the task stands directly after."""
        async with self._tenant(org) as connection:
            return frozenset(row["parent"] for row in await connection.fetch(_PARENTS, build, task))

    async def spawned(self, org: UUID, build: UUID) -> tuple[SpawnedRow, ...]:
        """The tasks that were not planned but added by others, parents first."""
        async with self._tenant(org) as connection:
            return tuple(_as(SpawnedRow, row) for row in await connection.fetch(_SPAWNED, build))

    async def memo(self, org: UUID, digest: str) -> dict[str, Any] | None:
        """The result that equal work had, if any."""
        async with self._tenant(org) as connection:
            found = await connection.fetchval(
                "select result from memo where org_id = $1 and digest = $2", org, digest
            )
        return None if found is None else msgspec.json.decode(found)

    async def memos(self, org: UUID, digests: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Those of the digests under which something is remembered."""
        async with self._tenant(org) as connection:
            rows = await connection.fetch(
                "select digest, result from memo where org_id = $1 and digest = any ($2)", org, list(digests)
            )
        return {row["digest"]: msgspec.json.decode(row["result"]) for row in rows}

    async def remember(
        self, org: UUID, facts: Mapping[str, Mapping[str, Any]], *, instead: bool = False
    ) -> None:
        """Keep facts under their digests; what is there already stays, or goes (``instead``). Safe to repeat."""
        await self._source.execute(
            "select journal.remember($1, $2, $3, $4)",
            org,
            list(facts),
            [as_json(fact) for fact in facts.values()],
            instead,
        )

    @asynccontextmanager
    async def at_once(self) -> AsyncGenerator[tuple[Journal, Connection]]:
        """A journal whose writes are one transaction, and its connection."""
        acquire: Any = getattr(self._source, "acquire", None)
        opened: Any
        async with (
            acquire() if acquire is not None else nullcontext(self._source) as opened,
            opened.transaction(),
        ):
            yield Journal(opened), opened

    @asynccontextmanager
    async def _tenant(self, org: UUID) -> AsyncGenerator[Connection]:
        """A transaction that sees the organisation's rows and no others."""
        acquire: Any = getattr(self._source, "acquire", None)
        if acquire is None:
            async with _acting_for(self._source, org):
                yield self._source
        else:
            async with acquire() as connection, _acting_for(connection, org):
                yield connection


@asynccontextmanager
async def _acting_for(connection: Any, org: UUID) -> AsyncGenerator[None]:
    async with connection.transaction():
        # One round trip: without parameters this is a simple query of two statements. ``org`` is a UUID, no text.
        await connection.execute(
            f"set local role factory_tenant; select set_config('factory.org', '{org}', true)"
        )
        yield


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _as(kind: type[Any], row: Any, *documents: str) -> Any:
    fields = dict(row)
    for name in documents:
        fields[name] = msgspec.json.decode(fields[name])
    return msgspec.convert(fields, kind, strict=False)

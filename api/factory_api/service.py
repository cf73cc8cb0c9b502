"""What the API asks about builds, for one organisation."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from uuid import UUID

import msgspec

from factory_api.schemas import BuildPage, BuildQuery, BuildView, Decision, NewBuild, NewFork
from factory_core.builds.comparison import BuildComparison
from factory_core.builds.errors import BuildEnded, CursorUnknown
from factory_core.builds.estimate import Estimate
from factory_core.builds.journal import AttemptRow, BuildRow, Journal, TaskRow
from factory_core.builds.service import ArtifactRef, BuildOrder, BuildService, Fork
from factory_core.contracts.events import ENDED, BuildState, Event
from factory_core.kernel.database import Database

CALLER = "the API"
"""Who decides, as the events tell it; there are no accounts yet."""

_PAGE = """
    SELECT id, org_id AS org, idem_key, spec_digest, options, state, stop, reason, next_seq - 1 AS seq, tasks, agents,
        unfinished, created_at, deadline_at, ended_at
    FROM build WHERE state = ANY ($1)"""
# Ids are UUIDv7, so their order is that of creation, and there is an index on it.
_NEWEST = f"{_PAGE} AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3 OFFSET $4"
_OLDEST = f"{_PAGE} AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3 OFFSET $4"


class BuildDesk:
    """Builds of one organisation: ordered, listed, followed, cancelled, handed out."""

    def __init__(
        self, service: BuildService, journal: Journal, database: Database, organisation: UUID
    ) -> None:
        self._service = service
        self._journal = journal
        self._database = database
        self._organisation = organisation

    async def order(self, order: NewBuild, *, key: str) -> tuple[UUID, bool]:
        """Start a build, or find the one that ``key`` started: then false. Raises SpecRejected, IdempotencyConflict."""
        await self._journal.found(self._organisation, "local")
        started = await self._service.start(self._organisation, _wanted(order, key))
        return started.build, started.created

    async def estimate(self, order: NewBuild, since: UUID | None) -> Estimate:
        """What the order would do again. Raises SpecRejected, BuildMissing."""
        return await self._service.estimate(self._organisation, _wanted(order), since=since)

    async def page(self, query: BuildQuery) -> BuildPage:
        """One page of builds. Raises CursorUnknown."""
        last = _from_cursor(query.cursor) if query.cursor is not None else None
        states = [str(state) for state in query.states or BuildState]
        async with self._database.tenant_transaction(self._organisation) as connection:
            found = await connection.fetch(
                _NEWEST if query.newest_first else _OLDEST, states, last, query.limit + 1, query.offset
            )
            total = await connection.fetchval("SELECT count(*) FROM build WHERE state = ANY ($1)", states)
        builds = [_row(record) for record in found[: query.limit]]
        more = len(found) > query.limit
        return BuildPage(
            items=tuple(BuildView.of(build) for build in builds),
            next=_to_cursor(builds[-1].id) if more and builds else None,
            total=total,
        )

    async def build(self, build: UUID) -> BuildRow:
        """One build. Raises BuildMissing."""
        return await self._journal.build(self._organisation, build)

    async def tasks(self, build: UUID) -> tuple[TaskRow, ...]:
        """Its tasks, in the order of the plan."""
        return await self._service.tasks(self._organisation, build)

    async def attempts(self, build: UUID) -> tuple[AttemptRow, ...]:
        """Every try of its tasks. Raises BuildMissing."""
        return await self._service.attempts(self._organisation, build)

    async def events(self, build: UUID, *, after: int, limit: int) -> tuple[Event, ...]:
        """Its events ``after + 1`` and on."""
        return await self._service.events(self._organisation, build, after=after, limit=limit)

    async def cancel(self, build: UUID) -> BuildRow:
        """Stop it; once stopped, stopping is no error. Raises BuildMissing, BuildEnded."""
        await self._service.cancel(self._organisation, build)
        row = await self.build(build)
        if row.state in ENDED and row.state is not BuildState.CANCELLED:
            raise BuildEnded(build, row.state)
        return row

    async def pause(self, build: UUID, reason: str) -> BuildRow:
        """Start nothing new. Raises BuildMissing, BuildUnready."""
        await self._service.pause(self._organisation, build, by=CALLER, reason=reason)
        return await self.build(build)

    async def resume(self, build: UUID) -> BuildRow:
        """Let it go on. Raises BuildMissing, BuildUnready."""
        await self._service.resume(self._organisation, build, by=CALLER)
        return await self.build(build)

    async def decide(self, build: UUID, decision: Decision) -> BuildRow:
        """Answer a halt. Raises BuildMissing, BuildUnready."""
        approve = decision.decision == "approve"
        await self._service.decide(self._organisation, build, approve=approve, by=CALLER, note=decision.note)
        return await self.build(build)

    async def retry(self, build: UUID, tasks: tuple[str, ...]) -> BuildRow:
        """Run tasks again. Raises BuildMissing, TaskMissing, BuildUnready."""
        await self._service.retry(self._organisation, build, tasks=tasks, by=CALLER)
        return await self.build(build)

    async def fork(self, build: UUID, order: NewFork, *, key: str) -> tuple[UUID, bool]:
        """A build of its own, or the one that ``key`` made: then false. Raises what BuildService.fork raises."""
        fork = Fork(
            source=build,
            task=order.task or "",
            params=order.params,
            spec=order.spec.encode() if order.spec is not None else None,
            name=order.name or "",
            key=key,
        )
        made = await self._service.fork(self._organisation, fork, by=CALLER)
        return made.build, made.created

    async def compare(self, left: UUID, right: UUID) -> BuildComparison:
        """Two builds side by side. Raises BuildMissing."""
        return await self._service.compare(self._organisation, left, right)

    async def artifact(self, build: UUID, name: str) -> tuple[ArtifactRef, bytes]:
        """``zip``, ``tar.gz``, ``report.json`` or ``report.md``. Raises BuildMissing, ArtifactMissing."""
        return await self._service.artifact(self._organisation, build, name)


def _row(record: Any) -> BuildRow:
    fields = dict(record)
    return msgspec.convert(
        {**fields, "options": msgspec.json.decode(fields["options"])}, BuildRow, strict=False
    )


def _wanted(order: NewBuild, key: str = "") -> BuildOrder:
    return BuildOrder(
        spec=order.spec.encode(),
        name=order.name,
        template=order.template or "",
        max_agents=order.max_agents,
        onto=order.onto or "",
        release=order.release or b"",
        key=key,
    )


def _to_cursor(build: UUID) -> str:
    return base64.urlsafe_b64encode(build.bytes).decode().rstrip("=")


def _from_cursor(cursor: str) -> UUID:
    try:
        return UUID(bytes=base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True))
    except (ValueError, binascii.Error) as error:
        raise CursorUnknown(cursor) from error


def etag_of(*facts: Any) -> str:
    """A strong tag of facts that change whenever the answer does."""
    return '"' + hashlib.sha256(repr(facts).encode()).hexdigest()[:32] + '"'

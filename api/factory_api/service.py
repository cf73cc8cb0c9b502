"""What the API asks about builds, for one organisation. The journal and the storage are the truth."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import Any
from uuid import UUID, uuid4

import msgspec
from msgspec import structs

from factory_api.errors import ArtifactMissing, BuildEnded, CursorUnknown, SpecRefused
from factory_api.schemas import BuildPage, BuildQuery, BuildView, NewBuild
from factory_core.builds.journal import BuildRow, Journal, Submission, Submitted, TaskRow
from factory_core.contracts.events import ENDED, BuildState, Event
from factory_core.contracts.storage import ObjectInfo, Storage
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import Database
from factory_core.specs import read

ARCHIVES: Mapping[str, str] = {"zip": "application/zip", "tar.gz": "application/gzip"}

_PAGE = """
    SELECT id, org_id AS org, idem_key, spec_digest, options, state, stop, reason, next_seq - 1 AS seq, tasks, agents,
        unfinished, created_at, deadline_at, ended_at
    FROM build WHERE state = ANY ($1)"""
# Ids are UUIDv7, so their order is that of creation, and there is an index on it.
_NEWEST = f"{_PAGE} AND ($2::uuid IS NULL OR id < $2) ORDER BY id DESC LIMIT $3 OFFSET $4"
_OLDEST = f"{_PAGE} AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3 OFFSET $4"


class BuildDesk:
    """Builds of one organisation: ordered, listed, followed, cancelled, handed out."""

    def __init__(self, studio: Studio, database: Database, organisation: UUID) -> None:
        self._studio = studio
        self._database = database
        self._organisation = organisation
        self._journal = Journal(database.pool)

    async def order(self, order: NewBuild, *, key: str | None) -> Submitted:
        """Start a build, or find the one that ``key`` started. Raises SpecRefused, IdempotencyConflict."""
        content = order.spec.encode()
        reading = read(content, name=order.name)
        if reading.blueprint is None:
            raise SpecRefused(tuple(structs.asdict(problem) for problem in reading.errors))
        digest = hashlib.sha256(content).hexdigest()
        await self._storage().put(f"blobs/{digest[:2]}/{digest[2:]}", content)
        await self._journal.found(self._organisation, "local")
        options = {"name": reading.blueprint.project.name, "source": order.name, "template": order.template}
        submission = Submission(
            org=self._organisation,
            idem_key=key or uuid4().hex,
            spec_digest=digest,
            options=options,
            max_agents=order.max_agents or 200,
        )
        return await self._journal.submit(submission)

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
        return await self._journal.tasks(self._organisation, build)

    async def events(self, build: UUID, *, after: int, limit: int) -> tuple[Event, ...]:
        """Its events ``after + 1`` and on."""
        return await self._journal.events(self._organisation, build, after=after, limit=limit)

    async def cancel(self, build: UUID) -> BuildRow:
        """Stop it; once stopped, stopping is no error. Raises BuildMissing, BuildEnded."""
        await self._journal.cancel(self._organisation, build)
        row = await self.build(build)
        if row.state in ENDED and row.state is not BuildState.CANCELLED:
            raise BuildEnded(build, row.state)
        return row

    async def artifact(self, build: UUID, suffix: str, what: str) -> ObjectInfo:
        """The stored file of a build whose name ends in ``suffix``. Raises BuildMissing, ArtifactMissing."""
        row = await self.build(build)
        async for found in self._storage().list(f"artifacts/{build}"):
            if found.key.endswith(suffix):
                return found
        raise ArtifactMissing(build, what, row.state)

    def content(self, key: str, *, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes ``start`` to ``end`` (exclusive) of a stored file."""
        return self._storage().stream(key, start=start, end=end)

    async def whole(self, key: str) -> bytes:
        """A stored file."""
        return await self._storage().get(key)

    def _storage(self) -> Storage:
        return self._studio.storage()


def _row(record: Any) -> BuildRow:
    fields = dict(record)
    return msgspec.convert(
        {**fields, "options": msgspec.json.decode(fields["options"])}, BuildRow, strict=False
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

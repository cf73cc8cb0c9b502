"""What organisations, projects and builds may use, of slots and of the hosts that commands run on: weights and limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from factory_core.builds.errors import OrganisationMissing, ProjectShareMissing, ShareUnfit
from factory_core.contracts.sandbox import HostShare

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = ["OrganisationChange", "OrganisationShare", "ProjectChange", "ProjectShare", "Shares", "owner_of"]

MOST_PROJECTS = 1000
"""Shares that an organisation may give to projects."""
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{0,199}")
"""What the slug of a project looks like."""

Weight = Annotated[int, Meta(ge=1, le=10_000, description="Its part beside the others that have work.")]
Count = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Bytes = Annotated[
    int, Meta(ge=64 << 20, le=1 << 50, description="Bytes; less than 64 MiB would end every command.")
]

# $2 has the members that change; null is a value of its own, no limit.
_CHANGE = """
    update organisation set weight = coalesce(($2::jsonb ->> 'weight')::integer, weight),
        reserved = coalesce(($2::jsonb ->> 'reserved')::boolean, reserved),
        max_running = case when $2::jsonb ? 'max_running' then ($2::jsonb ->> 'max_running')::integer else max_running end,
        max_builds = case when $2::jsonb ? 'max_builds' then ($2::jsonb ->> 'max_builds')::integer else max_builds end,
        max_queued = case when $2::jsonb ? 'max_queued' then ($2::jsonb ->> 'max_queued')::integer else max_queued end,
        max_memory = case when $2::jsonb ? 'max_memory' then ($2::jsonb ->> 'max_memory')::bigint else max_memory end
    where id = $1 returning weight, reserved, max_running, max_builds, max_queued, max_memory"""
_CHANGE_PROJECT = """
    insert into project_share as s (org_id, project, weight, max_running, max_memory)
    select id, $2, coalesce(($3::jsonb ->> 'weight')::integer, 1), ($3::jsonb ->> 'max_running')::integer,
        ($3::jsonb ->> 'max_memory')::bigint
    from organisation where id = $1
    on conflict (org_id, project) do update set weight = coalesce(($3::jsonb ->> 'weight')::integer, s.weight),
        max_running = case when $3::jsonb ? 'max_running' then excluded.max_running else s.max_running end,
        max_memory = case when $3::jsonb ? 'max_memory' then excluded.max_memory else s.max_memory end
    returning weight, max_running, max_memory"""
_AROUND = """
    select max_running, max_memory, (
        select count(*) from project_share where org_id = $1 and project <> $2) as others
    from organisation where id = $1"""

# Two studios on one host may have organisations of the same id, as those without accounts do; they share nothing.
HOSTS = """
    select concat_ws(' ', o.id, extract(epoch from o.created_at)) as whose, o.weight, o.max_memory, b.project,
        coalesce(s.weight, 1) as part, s.max_memory as part_memory
    from build b join organisation o on o.id = b.org_id
    left join project_share s on s.org_id = b.org_id and s.project = b.project
    where b.id = $2 and b.org_id = $1"""


# The same of several at once, by what they were called then.
HOSTS_NOW = """
    select i.whose, o.weight, o.max_memory, i.project, coalesce(s.weight, 1) as part, s.max_memory as part_memory
    from unnest($1::uuid[], $2::text[], $3::text[]) as i (org, whose, project)
    join organisation o on o.id = i.org and concat_ws(' ', o.id, extract(epoch from o.created_at)) = i.whose
    left join project_share s on s.org_id = o.id and s.project = i.project"""


class OrganisationShare(Struct, frozen=True, kw_only=True):
    """None is no limit."""

    weight: int = 1
    """Slots, turns of ordinary jobs, and on each worker host the processor of sandboxed commands, are shared in proportion
    to the weights of those that have work."""
    reserved: bool = False
    """May take the slots that workers keep back (setting ``worker_reserved``)."""
    max_running: int | None = None
    """Tasks that run at once."""
    max_builds: int | None = None
    """Builds that have not ended; one more is refused with QueueFull."""
    max_queued: int | None = None
    """Tasks that have not ended; when there are as many, no further build is taken."""
    max_memory: int | None = None
    """Bytes that its sandboxed commands on one worker host may hold at once. What passes it is ended."""


class ProjectShare(Struct, frozen=True, kw_only=True):
    """How a project shares what its organisation gets. A project without one has weight 1 and no limit."""

    weight: int = 1
    """As its organisation's, among the projects of that one."""
    max_running: int | None = None
    max_memory: int | None = None
    """As its organisation's, for the commands of this project."""


class OrganisationChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What of an organisation's share is set anew; what is left out stays. Null takes a limit away."""

    weight: Weight | UnsetType = UNSET
    reserved: bool | UnsetType = UNSET
    max_running: Count | UnsetType | None = UNSET
    max_builds: Count | UnsetType | None = UNSET
    max_queued: Count | UnsetType | None = UNSET
    max_memory: Bytes | UnsetType | None = UNSET


class ProjectChange(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The same of a project's."""

    weight: Weight | UnsetType = UNSET
    max_running: Count | UnsetType | None = UNSET
    max_memory: Bytes | UnsetType | None = UNSET


class Shares:
    """Sets and reads them. Slots follow from the next claim on; the processor and the memory of a host follow with the next
    command that starts in the sandbox, or within five seconds."""

    def __init__(self, source: Connection) -> None:
        self._source = source

    async def give(self, org: UUID, share: OrganisationShare) -> None:
        """Raises OrganisationMissing."""
        found = await self._source.fetchval(
            "update organisation set weight = $2, reserved = $3, max_running = $4, max_builds = $5, max_queued = $6,"
            " max_memory = $7 where id = $1 returning true",
            org,
            share.weight,
            share.reserved,
            share.max_running,
            share.max_builds,
            share.max_queued,
            share.max_memory,
        )
        if not found:
            raise OrganisationMissing(org)

    async def of(self, org: UUID) -> OrganisationShare:
        """Raises OrganisationMissing."""
        row = await self._source.fetchrow(
            "select weight, reserved, max_running, max_builds, max_queued, max_memory from organisation where id = $1",
            org,
        )
        if row is None:
            raise OrganisationMissing(org)
        return OrganisationShare(**dict(row))

    async def find(self, named: str) -> UUID:
        """The organisation of this id, or the only one of this name. Raises OrganisationMissing."""
        rows = await self._source.fetch("select id from organisation where id::text = $1 or name = $1", named)
        if len(rows) != 1:
            raise OrganisationMissing(named[:200])
        return rows[0]["id"]

    async def give_project(self, org: UUID, project: str, share: ProjectShare) -> None:
        """Raises OrganisationMissing."""
        found = await self._source.fetchval(
            "insert into project_share (org_id, project, weight, max_running, max_memory)"
            " select id, $2, $3, $4, $5 from organisation where id = $1"
            " on conflict (org_id, project) do update set weight = $3, max_running = $4, max_memory = $5 returning true",
            org,
            project,
            share.weight,
            share.max_running,
            share.max_memory,
        )
        if not found:
            raise OrganisationMissing(org)

    async def of_projects(self, org: UUID) -> dict[str, ProjectShare]:
        """The projects that have one."""
        rows = await self._source.fetch(
            "select project, weight, max_running, max_memory from project_share where org_id = $1 order by project",
            org,
        )
        return {row[0]: ProjectShare(weight=row[1], max_running=row[2], max_memory=row[3]) for row in rows}

    async def change(self, org: UUID, change: OrganisationChange) -> OrganisationShare:
        """Set what the change names: the share as it is then. Raises OrganisationMissing."""
        row = await self._source.fetchrow(_CHANGE, org, _members(change))
        if row is None:
            raise OrganisationMissing(org)
        return OrganisationShare(**dict(row))

    async def change_project(self, org: UUID, project: str, change: ProjectChange) -> ProjectShare:
        """Set what the change names, of weight 1 and no limit if the project had no share: the share as it is then.

        Raises OrganisationMissing, and ShareUnfit for what goes past the organisation's limit as it is now. Should that one
        be lowered later, the lower of both holds."""
        if not _PROJECT.fullmatch(project):
            raise ShareUnfit("project", "is no slug: small letters, digits and hyphens, at most 200")
        around = await self._source.fetchrow(_AROUND, org, project)
        if around is None:
            raise OrganisationMissing(org)
        if around["others"] >= MOST_PROJECTS:
            raise ShareUnfit("project", f"would be one more than the {MOST_PROJECTS} that may have a share")
        for name in ("max_running", "max_memory"):
            wanted, most = getattr(change, name), around[name]
            if isinstance(wanted, int) and most is not None and wanted > most:
                raise ShareUnfit(name, f"is more than the organisation's {most}")
        row = await self._source.fetchrow(_CHANGE_PROJECT, org, project, _members(change))
        if row is None:
            raise OrganisationMissing(org)
        return ProjectShare(**dict(row))

    async def take_from_project(self, org: UUID, project: str) -> None:
        """The project shares as any without a share of its own. Raises ProjectShareMissing."""
        found = await self._source.fetchval(
            "delete from project_share where org_id = $1 and project = $2 returning true", org, project
        )
        if not found:
            raise ProjectShareMissing(project)

    async def of_hosts(self, org: UUID, build: UUID) -> tuple[HostShare, ...]:
        """What the build's commands share on a host: with all of the organisation, and with those of the project. Empty
        for a build that is gone."""
        row = await self._source.fetchrow(HOSTS, org, build)
        if row is None:
            return ()
        return _of_host(row)

    async def as_now(self, names: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], tuple[HostShare, ...]]:
        """By the names of what ``of_hosts`` answered, the shares of these as they are now. Unknown ones are left out."""
        known = [(owner_of(whose), whose, project) for whose, project in names if owner_of(whose)]
        rows = await self._source.fetch(HOSTS_NOW, *([each[n] for each in known] for n in range(3)))
        return {(row["whose"], row["project"]): _of_host(row) for row in rows}

    async def count_use(self, process: UUID, taken: Mapping[tuple[UUID, str], tuple[float, int]]) -> None:
        """Add up what commands of an organisation and project took of a process's host: seconds of processor since the last
        time, and bytes held now."""
        await self._source.execute(
            "select journal.count_use($1, $2, $3, $4, $5)",
            process,
            [org for org, _ in taken],
            [project for _, project in taken],
            [seconds for seconds, _ in taken.values()],
            [memory for _, memory in taken.values()],
        )


def owner_of(name: str) -> UUID | None:
    """The organisation that a share of ``of_hosts`` is called after."""
    try:
        return UUID(name.partition(" ")[0])
    except ValueError:
        return None


def _of_host(row: Any) -> tuple[HostShare, ...]:
    return (
        HostShare(name=row["whose"], weight=row["weight"], max_memory=row["max_memory"]),
        HostShare(name=row["project"], weight=row["part"], max_memory=row["part_memory"]),
    )


def _members(change: Any) -> str:
    return msgspec.json.encode(change).decode()

"""Who holds what: the shares of organisations and projects beside what they use of them at the moment of asking.

As in ``figures`` the same statements serve an organisation, over a connection that sees its rows only, and the operator.
What they count is bounded by what is open; shares themselves are read of all that have one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from factory_core.builds.errors import OrganisationMissing
from factory_core.builds.shares import OrganisationShare, ProjectShare

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = [
    "Holding",
    "OrganisationHolding",
    "ProjectHolding",
    "holding_of",
    "holding_of_project",
    "holdings",
    "largest_holdings",
]

MOST = 200
"""Organisations, and projects of one, that are told at most: those that hold most."""

_SHARES = """
    select id, name, weight, reserved, max_running, max_builds, max_queued, max_memory from organisation
    where $1::uuid is null or id = $1 order by created_at, id"""
_PROJECTS = """
    select org_id, project, weight, max_running, max_memory from project_share where $1::uuid is null or org_id = $1"""
_HELD = """
    with running as (
        select build_id, count(*) as n from task where state = 'running' and ($1::uuid is null or org_id = $1)
        group by build_id)
    select b.org_id, b.project, count(*) as builds, sum(b.ready)::bigint as ready,
        coalesce(sum(r.n), 0)::bigint as running
    from build b left join running r on r.build_id = b.id
    where b.open and ($1::uuid is null or b.org_id = $1) group by b.org_id, b.project"""
# A process tells every five seconds; what it held when it was last heard of is nobody's after three times that.
_USED = """
    with used as (
        select org_id, project, process, seconds, memory, counted_at, factory_now() - interval '15 seconds' as silent,
            row_number() over (partition by org_id, project, process order by minute desc) as age
        from host_use
        where minute > (select factory_now() - interval '5 minutes') and ($1::uuid is null or org_id = $1))
    select org_id, project, sum(seconds) as seconds,
        coalesce(sum(memory) filter (where age = 1 and counted_at > silent), 0)::bigint as memory
    from used group by org_id, project"""


class Holding(Struct, frozen=True, kw_only=True):
    """What is held now."""

    running: int = 0
    """Tasks that run, each on one slot of a worker."""
    ready: int = 0
    """Tasks that could start."""
    builds: int = 0
    """Builds that have not ended."""
    processor_seconds: float | None = None
    """What its sandboxed commands used of the processor in the last five minutes; None when nothing was counted: none
    ran, or the hosts have no control groups that count."""
    memory: int | None = None
    """Bytes that they hold now, with what the kernel keeps of their files; None as above."""


class ProjectHolding(Struct, frozen=True, kw_only=True):
    """A project that has a share of its own, a build that has not ended, or used a host lately."""

    project: str
    given: bool
    """Whether it has a share of its own; else ``share`` is what any project has."""
    share: ProjectShare
    holds: Holding


class OrganisationHolding(Struct, frozen=True, kw_only=True):
    """An organisation and its projects, those that hold most first, 200 of them at most."""

    organisation: UUID
    name: str
    share: OrganisationShare
    holds: Holding
    projects: tuple[ProjectHolding, ...]
    more_projects: int
    """How many are left out."""


async def holdings(
    connection: Connection, org: UUID | None = None, *, projects: int = MOST
) -> tuple[OrganisationHolding, ...]:
    """One organisation, or all that the connection sees, those that hold most first, at most 200; so many projects of
    each."""
    held = await _held(connection, org)
    given: dict[UUID, dict[str, ProjectShare]] = {}
    for row in await connection.fetch(_PROJECTS, org):
        share = ProjectShare(
            weight=row["weight"], max_running=row["max_running"], max_memory=row["max_memory"]
        )
        given.setdefault(row["org_id"], {})[row["project"]] = share
    found = [
        _organisation(dict(row), held.get(row["id"], {}), given.get(row["id"], {}), projects)
        for row in await connection.fetch(_SHARES, org)
    ]
    return tuple(sorted(found, key=lambda each: _most_first(each.holds))[:MOST])


async def holding_of(connection: Connection, org: UUID) -> OrganisationHolding:
    """The organisation's. Raises OrganisationMissing."""
    for found in await holdings(connection, org):
        return found
    raise OrganisationMissing(org)


async def holding_of_project(connection: Connection, org: UUID, project: str) -> ProjectHolding:
    """A project's; one that nobody heard of has the share that any has."""
    for found in await holdings(connection, org, projects=sys.maxsize):
        for each in found.projects:
            if each.project == project:
                return each
    return ProjectHolding(project=project, given=False, share=ProjectShare(), holds=Holding())


async def largest_holdings(connection: Connection, *, most: int = 50) -> dict[tuple[str, str], Holding]:
    """Organisation (its id) and project -> what it holds, of those that hold most; the others together under ``other``
    and no project, if there are any."""
    held = await _held(connection, None)
    found = {
        (str(org), project): holds for org, projects in held.items() for project, holds in projects.items()
    }
    names = sorted(found, key=lambda name: (*_most_first(found[name]), name))
    largest = {name: found[name] for name in names[:most]}
    rest = [found[name] for name in names[most:]]
    return {**largest, ("other", ""): _together(rest)} if rest else largest


async def _held(connection: Connection, org: UUID | None) -> dict[UUID, dict[str, Holding]]:
    held: dict[UUID, dict[str, Holding]] = {}
    for row in await connection.fetch(_HELD, org):
        held.setdefault(row["org_id"], {})[row["project"]] = Holding(
            running=row["running"], ready=row["ready"], builds=row["builds"]
        )
    for row in await connection.fetch(_USED, org):
        projects = held.setdefault(row["org_id"], {})
        projects[row["project"]] = replace(
            projects.get(row["project"], Holding()),
            processor_seconds=round(row["seconds"], 3),
            memory=row["memory"],
        )
    return held


def _organisation(
    row: dict[str, Any], held: dict[str, Holding], given: dict[str, ProjectShare], most: int
) -> OrganisationHolding:
    projects = [
        ProjectHolding(
            project=name,
            given=name in given,
            share=given.get(name, ProjectShare()),
            holds=held.get(name, Holding()),
        )
        for name in sorted(held.keys() | given.keys())
    ]
    projects.sort(key=lambda each: _most_first(each.holds))
    return OrganisationHolding(
        organisation=row.pop("id"),
        name=row.pop("name"),
        share=OrganisationShare(**row),
        holds=_together(held.values()),
        projects=tuple(projects[:most]),
        more_projects=max(0, len(projects) - most),
    )


def _together(parts: Iterable[Holding]) -> Holding:
    """What is counted for none of them is counted for none together."""
    parts = tuple(parts)
    sums: dict[str, Any] = {}
    for name in Holding.__struct_fields__:
        counted = [getattr(part, name) for part in parts if getattr(part, name) is not None]
        if counted:
            sums[name] = sum(counted)
    return Holding(**sums)


def _most_first(holds: Holding) -> tuple[float, ...]:
    return (-holds.running, -holds.ready, -holds.builds, -(holds.processor_seconds or 0.0))

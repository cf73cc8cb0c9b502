"""What organisations, projects and builds may use, of slots and of the hosts that commands run on: weights and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from factory_core.builds.errors import OrganisationMissing
from factory_core.contracts.sandbox import HostShare

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = ["OrganisationShare", "ProjectShare", "Shares"]


# Two studios on one host may have organisations of the same id, as those without accounts do; they share nothing.
HOSTS = """
    select concat_ws(' ', o.id, extract(epoch from o.created_at)) as whose, o.weight, o.max_memory, b.project,
        coalesce(s.weight, 1) as part, s.max_memory as part_memory
    from build b join organisation o on o.id = b.org_id
    left join project_share s on s.org_id = b.org_id and s.project = b.project
    where b.id = $2 and b.org_id = $1"""


class OrganisationShare(Struct, frozen=True, kw_only=True):
    """None is no limit."""

    weight: int = 1
    """Slots, and on each worker host the processor of sandboxed commands, are shared in proportion to the weights of those
    that have work."""
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


class Shares:
    """Sets and reads them. All of it works from the next claim, and the next sandboxed command, on."""

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

    async def of_hosts(self, org: UUID, build: UUID) -> tuple[HostShare, ...]:
        """What the build's commands share on a host: with all of the organisation, and with those of the project. Empty
        for a build that is gone."""
        row = await self._source.fetchrow(HOSTS, org, build)
        if row is None:
            return ()
        whose, project = row["whose"], row["project"]
        return (
            HostShare(name=whose, weight=row["weight"], max_memory=row["max_memory"]),
            HostShare(name=project, weight=row["part"], max_memory=row["part_memory"]),
        )

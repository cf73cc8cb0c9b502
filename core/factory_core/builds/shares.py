"""What organisations, projects and builds may use: weights and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from msgspec import Struct

from factory_core.builds.errors import OrganisationMissing

if TYPE_CHECKING:
    from factory_core.kernel.database import Connection

__all__ = ["OrganisationShare", "ProjectShare", "Shares"]


class OrganisationShare(Struct, frozen=True, kw_only=True):
    """None is no limit."""

    weight: int = 1
    """Slots are shared in proportion to the weights of those that have work."""
    reserved: bool = False
    """May take the slots that workers keep back (setting ``worker_reserved``)."""
    max_running: int | None = None
    """Tasks that run at once."""
    max_builds: int | None = None
    """Builds that have not ended; one more is refused with QueueFull."""
    max_queued: int | None = None
    """Tasks that have not ended; when there are as many, no further build is taken."""


class ProjectShare(Struct, frozen=True, kw_only=True):
    """How a project shares what its organisation gets. A project without one has weight 1 and no limit."""

    weight: int = 1
    max_running: int | None = None


class Shares:
    """Sets and reads them. All of it works from the next claim on."""

    def __init__(self, source: Connection) -> None:
        self._source = source

    async def give(self, org: UUID, share: OrganisationShare) -> None:
        """Raises OrganisationMissing."""
        found = await self._source.fetchval(
            "update organisation set weight = $2, reserved = $3, max_running = $4, max_builds = $5, max_queued = $6"
            " where id = $1 returning true",
            org,
            share.weight,
            share.reserved,
            share.max_running,
            share.max_builds,
            share.max_queued,
        )
        if not found:
            raise OrganisationMissing(org)

    async def of(self, org: UUID) -> OrganisationShare:
        """Raises OrganisationMissing."""
        row = await self._source.fetchrow(
            "select weight, reserved, max_running, max_builds, max_queued from organisation where id = $1",
            org,
        )
        if row is None:
            raise OrganisationMissing(org)
        return OrganisationShare(**dict(row))

    async def give_project(self, org: UUID, project: str, share: ProjectShare) -> None:
        """Raises OrganisationMissing."""
        found = await self._source.fetchval(
            "insert into project_share (org_id, project, weight, max_running)"
            " select id, $2, $3, $4 from organisation where id = $1"
            " on conflict (org_id, project) do update set weight = $3, max_running = $4 returning true",
            org,
            project,
            share.weight,
            share.max_running,
        )
        if not found:
            raise OrganisationMissing(org)

    async def of_projects(self, org: UUID) -> dict[str, ProjectShare]:
        """The projects that have one."""
        rows = await self._source.fetch(
            "select project, weight, max_running from project_share where org_id = $1 order by project", org
        )
        return {row[0]: ProjectShare(weight=row[1], max_running=row[2]) for row in rows}

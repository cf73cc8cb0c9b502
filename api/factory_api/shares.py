"""What organisations and projects get, and what they hold of it now.

An organisation shares out what it gets among its projects; what it gets itself the operator says.
"""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from litestar import Controller, delete, get, patch
from litestar.di import NamedDependency
from litestar.enums import RequestEncodingType
from litestar.openapi.spec import Example
from litestar.params import BodyKwarg, FromPath, PathParameter

from factory_api.answers import problems
from factory_api.builds import require_json
from factory_api.errors import NoDatabase
from factory_core.builds.holdings import (
    OrganisationHolding,
    ProjectHolding,
    holding_of,
    holding_of_project,
    holdings,
)
from factory_core.builds.journal import Journal
from factory_core.builds.shares import OrganisationChange, ProjectChange
from factory_core.kernel.database import Database

Project = Annotated[str, PathParameter(max_length=200, description="The slug of a project.")]
Store = NamedDependency[Database | None]
Caller = NamedDependency[UUID]


def _json(example: dict[str, Any]) -> BodyKwarg:
    return BodyKwarg(media_type=RequestEncodingType.JSON, examples=[Example(value=example)])


OfOrganisation = Annotated[OrganisationChange, _json({"weight": 3, "max_running": 40, "max_memory": None})]
OfProject = Annotated[ProjectChange, _json({"weight": 3, "max_running": 8, "max_memory": 2 << 30})]


class ShareRoutes(Controller):
    """``/api/v1/shares``: of the caller's organisation."""

    path = "/shares"
    tags = ("shares",)

    @get("/", summary="See your shares", responses=problems())
    async def ours(self, database: Store, organisation: Caller) -> OrganisationHolding:
        """What the organisation and its projects get, and what they hold now; the projects that hold most first."""
        opened = _opened(database)
        async with opened.tenant_transaction(organisation) as ours:
            if await holdings(ours, organisation):
                return await holding_of(ours, organisation)
        # Nothing was built yet. Not within the other: who holds one connection must not wait for a second.
        await Journal(opened.pool).found(organisation, "local")
        async with opened.tenant_transaction(organisation) as ours:
            return await holding_of(ours, organisation)

    @get("/projects/{project:str}", summary="See a project's share", responses=problems())
    async def of_project(self, project: Project, database: Store, organisation: Caller) -> ProjectHolding:
        """``given`` is false of a project without a share of its own: it has weight 1 and no limit."""
        async with _opened(database).tenant_transaction(organisation) as ours:
            return await holding_of_project(ours, organisation, project)

    @patch(
        "/projects/{project:str}",
        summary="Change a project's share",
        guards=[require_json],
        responses=problems(415),
    )
    async def change(
        self, project: Project, data: OfProject, database: Store, organisation: Caller
    ) -> ProjectHolding:
        """What is left out stays as it is; null takes a limit away. It counts from the next task and the next command
        that start, in builds that run, too. A limit above the organisation's own is refused."""
        opened = _opened(database)
        journal = Journal(opened.pool)
        await journal.found(organisation, "local")
        await journal.shares.change_project(organisation, project, data)
        async with opened.tenant_transaction(organisation) as ours:
            return await holding_of_project(ours, organisation, project)

    @delete(
        "/projects/{project:str}", status_code=204, summary="Take a project's share", responses=problems(404)
    )
    async def take(self, project: Project, database: Store, organisation: Caller) -> None:
        """It has weight 1 and no limit again."""
        await Journal(_opened(database).pool).shares.take_from_project(organisation, project)


class OrganisationShareRoutes(Controller):
    """``/api/v1/shares/organisations``: for the operator."""

    path = "/shares/organisations"
    tags = ("shares",)

    @get("/", summary="See the shares of every organisation", responses=problems(403))
    async def every(self, database: Store) -> tuple[OrganisationHolding, ...]:
        """Those that hold most first, 200 at most. For the operator: who sends the token of FACTORY_API_OPERATOR_TOKEN;
        without one, this machine only."""
        return await holdings(_opened(database).pool)

    @get("/{identity:uuid}", summary="See an organisation's share", responses=problems(403, 404))
    async def one(self, identity: FromPath[UUID], database: Store) -> OrganisationHolding:
        """What it and its projects get, and what they hold now. For the operator."""
        return await holding_of(_opened(database).pool, identity)

    @patch(
        "/{identity:uuid}",
        summary="Change an organisation's share",
        guards=[require_json],
        responses=problems(403, 404, 415),
    )
    async def change(
        self, identity: FromPath[UUID], data: OfOrganisation, database: Store
    ) -> OrganisationHolding:
        """What is left out stays as it is; null takes a limit away. For the operator."""
        pool = _opened(database).pool
        await Journal(pool).shares.change(identity, data)
        return await holding_of(pool, identity)


def _opened(database: Database | None) -> Database:
    if database is None:
        raise NoDatabase
    return database

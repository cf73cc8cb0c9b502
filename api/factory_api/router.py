"""The router of ``/api/v1`` and what its handlers are given."""

from __future__ import annotations

from uuid import UUID

from litestar import Router, get
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.response import Redirect

from factory_api.artifacts import ArtifactRoutes
from factory_api.builds import BuildRoutes
from factory_api.control import ControlRoutes
from factory_api.errors import NoDatabase
from factory_api.events import EventRoutes
from factory_api.operator import make_operator, operator_only
from factory_api.queue import QueueRoutes
from factory_api.service import BuildDesk
from factory_api.shares import OrganisationShareRoutes, ShareRoutes
from factory_core.builds.journal import Journal
from factory_core.builds.service import BuildService
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import LOCAL_ORGANISATION, Database
from factory_core.kernel.office import make_service
from factory_core.kernel.queue import Queue
from factory_core.settings import Secret


def give_organisation() -> UUID:
    """Who asks. Without accounts there is one organisation."""
    return LOCAL_ORGANISATION


def give_service(
    state: State,
    studio: NamedDependency[Studio],
    database: NamedDependency[Database | None],
    queue: NamedDependency[Queue],
) -> BuildService:
    """What starts builds and finds what they made; one for the process. Raises NoDatabase."""
    if database is None:
        raise NoDatabase
    if "builds" not in state:
        state["builds"] = make_service(studio, Journal(database.pool), queue)
    return state["builds"]


def give_desk(
    builds: NamedDependency[BuildService],
    database: NamedDependency[Database],
    organisation: NamedDependency[UUID],
) -> BuildDesk:
    """Builds, as the caller may see them."""
    return BuildDesk(builds, Journal(database.pool), database, organisation)


@get("/", include_in_schema=False)
async def front_door() -> Redirect:
    """Until there are pages, the documentation of the API is the first thing to see."""
    return Redirect("/api/docs")


def make_api(operator_token: Secret | None) -> Router:
    """Everything under ``/api/v1``; ``operator_token`` is what the operator has to send."""
    operator = Router(
        path="/", route_handlers=[OrganisationShareRoutes], guards=[operator_only(operator_token)]
    )
    return Router(
        path="/api/v1",
        route_handlers=[
            BuildRoutes,
            ControlRoutes,
            EventRoutes,
            ArtifactRoutes,
            QueueRoutes,
            ShareRoutes,
            operator,
        ],
        dependencies={
            "operator": Provide(make_operator(operator_token), sync_to_thread=False),
            "organisation": Provide(give_organisation, sync_to_thread=False),
            "builds": Provide(give_service, sync_to_thread=False),
            "desk": Provide(give_desk, sync_to_thread=False),
        },
    )

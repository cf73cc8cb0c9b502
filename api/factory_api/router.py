"""The router of ``/api/v1`` and what its handlers are given."""

from __future__ import annotations

from uuid import UUID

from litestar import Router
from litestar.di import Provide

from factory_api.artifacts import ArtifactRoutes
from factory_api.builds import BuildRoutes
from factory_api.errors import NoDatabase
from factory_api.events import EventRoutes
from factory_api.service import BuildDesk
from factory_core.kernel.boot import Studio
from factory_core.kernel.database import LOCAL_ORGANISATION, Database


def give_organisation() -> UUID:
    """Who asks. Without accounts there is one organisation."""
    return LOCAL_ORGANISATION


def give_desk(studio: Studio, database: Database | None, organisation: UUID) -> BuildDesk:
    """What the handlers ask about builds. Raises NoDatabase."""
    if database is None:
        raise NoDatabase
    return BuildDesk(studio, database, organisation)


API = Router(
    path="/api/v1",
    route_handlers=[BuildRoutes, EventRoutes, ArtifactRoutes],
    dependencies={
        "organisation": Provide(give_organisation, sync_to_thread=False),
        "desk": Provide(give_desk, sync_to_thread=False),
    },
)
